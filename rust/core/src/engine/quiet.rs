//! Rows in which nothing can happen to a pair, found without stepping through them.
//!
//! A row is quiet for a pair when its forecast stands, no clock of its own runs out, and its bar reaches no level of a
//! resting order; a level that is merely touched counts as reached. Whatever is not provably quiet takes the full step.

use super::codes::{OrderType, State, Tif};
use super::decision::{Decider, is_own};
use super::market::{Market, PairColumns, REAL, Weights};
use super::order::Order;
use super::simulator::{Simulator, level_behind, trailing_level};
use super::spec::Protection;

/// Per pair, how far ahead nothing happens; kept until something touches the pair.
#[derive(Debug)]
pub struct Quiet {
    next: Vec<usize>,
    change: Vec<usize>,
    coming: Vec<Coming>,
    appointment: usize,
    trail: Vec<Option<Ratchet>>,
}

/// Changes of a pair's forecast after the next one, each counted from the one before; the last may be the end.
#[derive(Clone, Debug, Default)]
struct Coming {
    rows: Vec<usize>,
    taken: usize,
}

impl Coming {
    fn first(&self) -> Option<usize> {
        self.rows.get(self.taken).copied()
    }

    /// Finds the changes after `change`, and reads what steps at them will read: those reads, far apart in memory,
    /// wait for each other unless they are asked for together.
    fn find(&mut self, weights: &Weights<'_>, pair: &PairColumns<'_>, change: usize, ranges: bool) {
        const AHEAD: usize = 32;
        self.rows.clear();
        self.taken = 0;
        let (end, mut row) = (weights.len(), change);
        while row < end && self.rows.len() < AHEAD {
            row = next_change(weights, pair.state, weights.at(row), row + 1);
            self.rows.push(row);
        }
        if self.rows.is_empty() {
            self.rows.push(end);
        }
        let mut seen = 0;
        for &row in &self.rows {
            if let (Some(close), Some(open)) = (pair.close.get(row), pair.open.get(row + 1)) {
                seen |= close | open | pair.volume[row + 1] | i64::from(pair.state[row + 1]);
            }
        }
        if ranges {
            for &row in &self.rows {
                if let (Some(high), Some(low)) = (pair.high.get(row + 1), pair.low.get(row + 1)) {
                    seen |= high | low;
                }
            }
        }
        std::hint::black_box(seen);
    }
}

/// Where a trailing stop stands after the quiet rows before `at`.
#[derive(Clone, Copy, Debug)]
struct Ratchet {
    order: usize,
    at: usize,
    best: i64,
}

impl Quiet {
    /// Nothing is known yet.
    pub fn new(n_pairs: usize) -> Self {
        Quiet {
            next: vec![0; n_pairs],
            change: vec![0; n_pairs],
            coming: vec![Coming::default(); n_pairs],
            appointment: 0,
            trail: vec![None; n_pairs],
        }
    }

    /// The first row from `row` on that may not be quiet for some pair; the number of rows if none is.
    pub fn until(
        &mut self,
        sim: &mut Simulator,
        decider: &Decider,
        market: &Market<'_>,
        forecast: &[Weights<'_>],
        row: usize,
    ) -> usize {
        self.appointment = next_appointment(sim, decider, market, row);
        let mut first = self.appointment;
        for (p, weights) in forecast.iter().enumerate() {
            if sim.touched[p] || self.next[p] < row {
                sim.touched[p] = false;
                self.next[p] = self.look_ahead(sim, decider, market, weights, p, row);
            }
            first = first.min(self.next[p]);
        }
        if market.detail.is_some() && sim.busy() { row } else { first }
    }

    /// Whether a decision at `row` has more to look at than what happened to positions in its bar.
    pub fn news(&self, sim: &Simulator, row: usize) -> bool {
        sim.spec.scripted || self.appointment <= row || self.change.iter().any(|&change| change <= row)
    }

    /// Brings trailing stops to where the quiet rows before `stop` leave them.
    pub fn catch_up(&self, sim: &mut Simulator, market: &Market<'_>, start: usize, stop: usize) {
        for (p, ratchet) in self.trail.iter().enumerate() {
            let Some(ratchet) = ratchet else { continue };
            let order = &mut sim.orders[ratchet.order];
            if order.state != State::Active {
                continue;
            }
            order.best = if ratchet.at == stop { ratchet.best } else { extreme(order, &market.pairs[p], start, stop) };
            order.level = trailing_level(order, sim.spec.instruments[p].tick);
        }
    }

    /// Finds the next change of the forecast.
    fn find_change(
        &mut self,
        sim: &Simulator,
        weights: &Weights<'_>,
        pair: &PairColumns<'_>,
        standing: i64,
        p: usize,
        row: usize,
    ) {
        let Protection { stop_loss, take_profit, trailing, .. } = sim.spec.protection;
        let ranges = (stop_loss, take_profit, trailing) != (0, 0, 0);
        let coming = &mut self.coming[p];
        let next = coming.first().filter(|&next| next >= row && weights.at(self.change[p]) == standing);
        coming.taken += 1;
        let change = next.unwrap_or_else(|| next_change(weights, pair.state, standing, row));
        if next.is_none() || coming.taken == coming.rows.len() {
            coming.find(weights, pair, change, ranges);
        }
        self.change[p] = change;
    }

    fn look_ahead(
        &mut self,
        sim: &Simulator,
        decider: &Decider,
        market: &Market<'_>,
        weights: &Weights<'_>,
        p: usize,
        row: usize,
    ) -> usize {
        let pair = &market.pairs[p];
        self.trail[p] = None;
        let mut limit = market.times.len();
        if !sim.spec.scripted {
            if self.change[p] < row || self.coming[p].rows.is_empty() {
                self.find_change(sim, weights, pair, decider.forecast[p], p, row);
            }
            limit = self.change[p].min(own_clock(sim, decider, p, row));
        }
        if limit <= row || sim.live[p].is_empty() {
            return limit.max(row);
        }
        let Some(levels) = Levels::of(sim, p) else { return row };
        match levels.trailing {
            None => levels.reached(pair, row, limit),
            Some(id) => {
                let order = &sim.orders[id];
                let (at, best) = levels.ratcheted(pair, order, sim.spec.instruments[p].tick, row, limit);
                self.trail[p] = Some(Ratchet { order: id, at, best });
                at
            }
        }
    }
}

/// The next row with something due for all pairs: a scheduled rebalance, or a scripted order.
fn next_appointment(sim: &Simulator, decider: &Decider, market: &Market<'_>, row: usize) -> usize {
    let end = market.times.len();
    if sim.spec.scripted {
        if !decider.waiting.is_empty() {
            return row;
        }
        return match sim.spec.requests.get(decider.script) {
            Some(&(time, _)) => {
                let open = time - sim.spec.timeframe_ns;
                row + market.times[row..].partition_point(|&start| start < open)
            }
            None => end,
        };
    }
    match usize::try_from(sim.spec.rebalance_bars) {
        Ok(every) if every > 0 => {
            let since = row - usize::try_from(sim.spec.first_row).unwrap_or(0);
            end.min(row + (every - since % every) % every)
        }
        _ => end,
    }
}

/// The next row at which a clock of the pair runs out: re-arming, time stop, an executor's patience.
pub fn own_clock(sim: &Simulator, decider: &Decider, p: usize, row: usize) -> usize {
    let now = row as i64;
    let mut first = i64::MAX;
    let stopped = sim.stopped_row[p];
    if stopped >= 0 {
        if decider.target[p] != 0 {
            return row;
        }
        if sim.spec.rearm_bars > 0 {
            first = stopped + sim.spec.rearm_bars;
        }
    }
    let held = sim.spec.protection.max_bars;
    if held > 0 && sim.ledger.position[p].abs() >= sim.spec.instruments[p].lot {
        first = first.min(sim.entry_row[p] + held - 1);
    }
    if sim.spec.timeout >= 0 {
        for &id in &sim.live[p] {
            if sim.orders[id].kind == OrderType::Limit && is_own(sim, id) {
                first = first.min(sim.orders[id].row + sim.spec.timeout);
            }
        }
    }
    usize::try_from(first.max(now)).unwrap_or(usize::MAX)
}

/// The first real row from `row` on whose forecast is not `last`.
fn next_change(weights: &Weights<'_>, state: &[u8], last: i64, row: usize) -> usize {
    match weights {
        Weights::Floats(values) => first_change(values, state, row, |value| super::number::fix(value) == last),
        Weights::Fixed(values) => first_change(values, state, row, |value| value == last),
    }
}

fn first_change<T: Copy + PartialEq>(values: &[T], state: &[u8], row: usize, stands: impl Fn(T) -> bool) -> usize {
    const BLOCK: usize = 16;
    let mut i = row;
    while i < values.len() {
        let value = values[i];
        if !stands(value) {
            if state[i] == REAL {
                return i;
            }
            i += 1;
            continue;
        }
        i += 1;
        while let Some(block) = values.get(i..i + BLOCK) {
            if !block.iter().fold(true, |all, other| all & (*other == value)) {
                break;
            }
            i += BLOCK;
        }
        while i < values.len() && values[i] == value {
            i += 1;
        }
    }
    values.len()
}

/// The nearest levels of a pair's resting orders: prices strictly between them meet none.
pub(super) struct Levels {
    up: i64,
    down: i64,
    trailing: Option<usize>,
}

impl Levels {
    /// None where an order does more than rest.
    pub(super) fn of(sim: &Simulator, p: usize) -> Option<Self> {
        let settled = |id: &usize| sim.orders[*id].birth == 0 && !sim.orders[*id].born_inside;
        if sim.live[p].iter().all(settled) { Levels::around(sim, p) } else { None }
    }

    /// The same of orders that may have been born at this bar's open.
    pub(super) fn around(sim: &Simulator, p: usize) -> Option<Self> {
        let mut levels = Levels { up: i64::MAX, down: i64::MIN, trailing: None };
        for &id in &sim.live[p] {
            let order = &sim.orders[id];
            let resting = order.tif == Tif::Gtc && order.cancel_at < 0;
            if !resting || order.state == State::Pending || order.takes_market() {
                return None;
            }
            if order.kind == OrderType::Trailing {
                if levels.trailing.is_some() {
                    return None;
                }
                levels.trailing = Some(id);
            } else if order.waits_for_level() == (order.side() > 0) {
                levels.up = levels.up.min(if order.waits_for_level() { order.level } else { order.limit });
            } else {
                levels.down = levels.down.max(if order.waits_for_level() { order.level } else { order.limit });
            }
        }
        Some(levels)
    }

    /// The orders' state after one bar, if it reaches no level: a trailing stop and its best price, and whether `open`
    /// would reach none either.
    pub(super) fn after(&self, sim: &Simulator, pair: &PairColumns<'_>, row: usize, open: i64) -> Option<Stand> {
        let (mut up, mut down, mut trail) = (self.up, self.down, None);
        if let Some(id) = self.trailing {
            let (order, tick) = (&sim.orders[id], sim.spec.instruments[sim.orders[id].pair()].tick);
            let (at, best) = self.ratcheted(pair, order, tick, row, row + 1);
            if at == row {
                return None;
            }
            let level = level_behind(order, best, tick);
            if order.side() < 0 {
                down = down.max(level);
            } else {
                up = up.min(level);
            }
            trail = Some((id, best, level));
        } else if self.reached(pair, row, row + 1) == row {
            return None;
        }
        Some(Stand { trail, clear: down < open && open < up })
    }

    /// The first row in [row, limit) whose bar trades at a level.
    fn reached(&self, pair: &PairColumns<'_>, row: usize, limit: usize) -> usize {
        let bars = Prices::of(pair, row, limit);
        let mut from = 0;
        while let Some(i) = (from..bars.len()).find(|&i| {
            let (low, high) = bars.range(i);
            high >= self.up || low <= self.down
        }) {
            if bars.tradable(i) {
                return row + i;
            }
            from = i + 1;
        }
        limit
    }

    /// The same with a trailing stop whose level follows; also its best price before that row.
    ///
    /// Rows are taken several at once where even the level after them is reached by none: levels only follow.
    fn ratcheted(&self, pair: &PairColumns<'_>, order: &Order, tick: i64, row: usize, limit: usize) -> (usize, i64) {
        let bars = Prices::of(pair, row, limit);
        let sells = order.side() < 0;
        let between =
            |level: i64| if sells { (self.up, self.down.max(level)) } else { (self.up.min(level), self.down) };
        let (mut best, (mut above, mut below)) = (order.best, between(order.level));
        let mut i = 0;
        while i < bars.len() {
            if let Some((low, high)) = bars.span(i) {
                let seen = if sells { best.max(high) } else { best.min(low) };
                let (up, down) = if seen == best { (above, below) } else { between(level_behind(order, seen, tick)) };
                if high < up && low > down {
                    (best, above, below) = (seen, up, down);
                    i += SPAN;
                    continue;
                }
            }
            for i in i..bars.len().min(i + SPAN) {
                let (low, high) = bars.range(i);
                if high >= above || low <= below {
                    if bars.tradable(i) {
                        return (row + i, best);
                    }
                    continue;
                }
                let seen = if sells { high } else { low };
                let better = if sells { seen > best } else { seen < best };
                if better && bars.tradable(i) {
                    let level = level_behind(order, seen, tick);
                    if order.side() * (bars.close[i] - level) >= 0 {
                        return (row + i, best);
                    }
                    best = seen;
                    (above, below) = between(level);
                }
            }
            i += SPAN;
        }
        (limit, best)
    }
}

/// Where resting orders stand after a bar.
pub(super) struct Stand {
    /// A trailing stop, its best price and its level.
    pub trail: Option<(usize, i64, i64)>,
    /// Whether a price lies strictly between the levels.
    pub clear: bool,
}

/// Bars that a trailing stop is taken over at once.
const SPAN: usize = 8;

/// Bars of a run of rows.
struct Prices<'a> {
    high: &'a [i64],
    low: &'a [i64],
    close: &'a [i64],
    volume: &'a [i64],
    state: &'a [u8],
}

impl<'a> Prices<'a> {
    fn of(pair: &PairColumns<'a>, row: usize, limit: usize) -> Self {
        let rows = row..limit;
        Prices {
            high: &pair.high[rows.clone()],
            low: &pair.low[rows.clone()],
            close: &pair.close[rows.clone()],
            volume: &pair.volume[rows.clone()],
            state: &pair.state[rows],
        }
    }

    fn len(&self) -> usize {
        self.close.len()
    }

    /// Lowest and highest price of a bar.
    #[inline]
    fn range(&self, i: usize) -> (i64, i64) {
        (self.low[i], self.high[i])
    }

    /// Lowest and highest price of the `SPAN` bars from `i` on, where all of them trade.
    #[inline]
    fn span(&self, i: usize) -> Option<(i64, i64)> {
        let (highs, lows) = (self.high[i..].first_chunk::<SPAN>()?, self.low[i..].first_chunk::<SPAN>()?);
        let (volumes, states) = (self.volume[i..].first_chunk::<SPAN>()?, self.state[i..].first_chunk::<SPAN>()?);
        let (mut low, mut high, mut trade) = (lows[0], highs[0], true);
        for k in 0..SPAN {
            (low, high) = (low.min(lows[k]), high.max(highs[k]));
            trade &= states[k] == REAL && volumes[k] > 0;
        }
        trade.then_some((low, high))
    }

    #[inline]
    fn tradable(&self, i: usize) -> bool {
        self.state[i] == REAL && self.volume[i] > 0
    }
}

/// The best price that a trailing stop has seen after the quiet rows [start, stop).
fn extreme(order: &Order, pair: &PairColumns<'_>, start: usize, stop: usize) -> i64 {
    let bars = Prices::of(pair, start, stop);
    let tradable = (0..bars.len()).filter(|&i| bars.tradable(i));
    if order.side() < 0 {
        tradable.map(|i| bars.high[i]).fold(order.best, i64::max)
    } else {
        tradable.map(|i| bars.low[i]).fold(order.best, i64::min)
    }
}
