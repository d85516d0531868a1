//! Rows in which nothing can happen to a pair, found without stepping through them.
//!
//! A row is quiet for a pair when its forecast stands, no clock of its own runs out, and its bar reaches no level of a
//! resting order; a level that is merely touched counts as reached. Whatever is not provably quiet takes the full step.

use super::codes::{OrderType, State};
use super::decision::{Decider, is_own};
use super::exits::beyond;
use super::levels::{Follower, Levels};
use super::market::{Market, PairColumns, REAL, Weights};
use super::order::Order;
use super::simulator::Simulator;

/// Per pair, how far ahead nothing happens; kept until something touches the pair.
#[derive(Debug)]
pub struct Quiet {
    next: Vec<usize>,
    change: Vec<usize>,
    known: Vec<bool>,
    appointment: usize,
    trail: Vec<Option<Ratchet>>,
}

/// Where a trailing stop stands after the quiet rows before `at`.
#[derive(Clone, Copy, Debug)]
struct Ratchet {
    order: usize,
    at: usize,
    follower: Follower,
}

impl Quiet {
    /// Nothing is known yet.
    pub fn new(n_pairs: usize) -> Self {
        Quiet {
            next: vec![0; n_pairs],
            change: vec![0; n_pairs],
            known: vec![false; n_pairs],
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
            if sim.orders.get(ratchet.order).is_none_or(|order| order.state != State::Active) {
                continue;
            }
            let order = &mut sim.orders[ratchet.order];
            let Follower { trail, best } = ratchet.follower;
            order.best = if ratchet.at == stop { best } else { extreme(order, &market.pairs[p], start, stop) };
            order.level = trail.level(order.best);
        }
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
            if self.change[p] < row || !self.known[p] {
                self.change[p] = next_change(weights, pair.state, decider.forecast[p], row);
                self.known[p] = true;
            }
            limit = self.change[p].min(own_clock(sim, decider, p, row));
        }
        if limit <= row || sim.live[p].is_empty() {
            return limit.max(row);
        }
        let Some((levels, trailing)) = Levels::of(sim, p) else { return row };
        match trailing {
            None => levels.reached(pair, row, limit),
            Some((order, follower)) => {
                let (at, follower) = levels.followed(pair, follower, row, limit);
                self.trail[p] = Some(Ratchet { order, at, follower });
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

/// The next row at which a clock of the pair runs out: re-arming, time stop, an executor's patience, a lost exit.
pub fn own_clock(sim: &Simulator, decider: &Decider, p: usize, row: usize) -> usize {
    let now = row as i64;
    if decider.parents.any(p) || beyond(sim, decider, p) > 0 {
        return row;
    }
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

/// The best price that a trailing stop has seen after the quiet rows [start, stop).
fn extreme(order: &Order, pair: &PairColumns<'_>, start: usize, stop: usize) -> i64 {
    let rows = (start..stop).filter(|&row| pair.state[row] == REAL && pair.volume[row] > 0);
    if order.side() < 0 {
        rows.map(|row| pair.high[row]).fold(order.best, i64::max)
    } else {
        rows.map(|row| pair.low[row]).fold(order.best, i64::min)
    }
}
