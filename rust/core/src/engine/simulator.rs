//! The simulated exchange: which order fills, when, at what price.
//!
//! Phases run phase by phase over all pairs: activation and open, then the path inside the bar, then trailing and
//! close. Inside the open phase reducing orders go first, then pair name, then order number.

use super::blotter::Blotter;
use super::codes::{FillPath, LogKind, OrderType, Reason, State, Tif};
use super::costs::FeeSchedule;
use super::ledger::Ledger;
use super::market::Bars;
use super::number::{FIX_NAN, UNIT, WIDE_UNIT, ceil_div, down_to_tick, floor_div, times, to_lot, up_to_tick};
use super::order::{Group, Order, Request};
use super::recorder::{Line, Recorder};
use super::spec::{Protection, Spec};
use super::watch::Watch;

/// Exchange, ledger and working orders of one run.
#[derive(Clone, Debug)]
pub struct Simulator {
    /// The run's specification.
    pub spec: Spec,
    /// Cash and positions.
    pub ledger: Ledger,
    /// What happened.
    pub record: Recorder,
    /// Fee tiers.
    pub fees: FeeSchedule,
    /// Every order of the run, by number.
    pub orders: Blotter,
    /// Every group of the run.
    pub groups: Vec<Group>,
    /// Working orders per pair, in order number.
    pub live: Vec<Vec<usize>>,
    /// Consecutive synthetic rows per pair.
    pub gap: Vec<i64>,
    /// The group that covers the pair's whole position, if risk attached one.
    pub protection: Vec<Option<u32>>,
    /// Row of the fill that opened the position.
    pub entry_row: Vec<i64>,
    /// Row of the last protective exit while disarmed, -1 when armed.
    pub stopped_row: Vec<i64>,
    /// Where the account stands with its limits.
    pub watch: Watch,
    /// Whether something happened to the pair's orders or position since the flag was last taken down.
    pub touched: Vec<bool>,
    /// Volatility that the impact model reads, 10^-9; empty without a column.
    pub sigma: Vec<i64>,
    /// Covariances of the pairs at the newest row, pair by pair, for the limit on the value at risk.
    pub covariance: Vec<i64>,
    /// Mean volume that the impact model reads, 10^-9; empty without a column.
    pub mean_volume: Vec<i64>,
    /// Grid row.
    pub row: i64,
    /// Open of the decision bar, ns.
    pub row_open: i64,
    /// Open of the (finer) bar, ns.
    pub open_time: i64,
    /// Close of the (finer) bar, ns.
    pub close_time: i64,
    /// Time that fee tiers see: the open in the open phase, the close afterwards.
    pub time: i64,
    /// Whether fills happen at the open.
    pub open_phase: bool,
    /// Whether the bar does not tell the order of events.
    pub ambiguous: bool,
    /// Quantity that own fills may still take in this bar.
    pub cap_left: Vec<i64>,
    /// When borrowed coins of a pair are next charged for, ns; 0 where none are borrowed.
    pub(super) loan_due: Vec<i64>,
    /// Marks at which the other positions stand while one is judged.
    pub(super) others: Vec<i64>,
    /// Whether a margin level was reached, and what is still held goes at the next marks.
    pub(super) called: bool,
    /// Value of all positions at this bar's opens, signed and absolute, once somebody asked for it.
    pub(super) worth: Option<(i128, i128)>,
    /// Whether an order works that reserves funds while it rests.
    pub(super) reserving: bool,
    queue: Vec<(bool, usize, usize)>,
}

impl Simulator {
    /// An exchange without orders.
    pub fn new(spec: Spec) -> Self {
        let n = spec.instruments.len();
        Simulator {
            ledger: Ledger::with_books(spec.cash, n, spec.books.clone()),
            record: Recorder::default(),
            fees: FeeSchedule::new(spec.tiers.clone()),
            orders: Blotter::default(),
            groups: Vec::new(),
            live: vec![Vec::new(); n],
            gap: vec![0; n],
            protection: vec![None; n],
            entry_row: vec![-1; n],
            stopped_row: vec![-1; n],
            watch: Watch::new(spec.limits, spec.cash, n),
            touched: vec![true; n],
            sigma: Vec::new(),
            covariance: vec![FIX_NAN; if spec.limits.max_var >= 0 { n * n } else { 0 }],
            mean_volume: Vec::new(),
            row: 0,
            row_open: 0,
            open_time: 0,
            close_time: 0,
            time: 0,
            open_phase: true,
            ambiguous: false,
            cap_left: vec![0; n],
            loan_due: vec![0; n],
            others: Vec::new(),
            called: false,
            worth: None,
            reserving: false,
            queue: Vec::new(),
            spec,
        }
    }

    /// Makes room for the orders that `rows` rows may bring, so that the lists need not be moved while they grow.
    pub fn expect(&mut self, rows: usize) {
        let Protection { stop_loss, take_profit, trailing, .. } = self.spec.protection;
        let legs = [stop_loss, take_profit, trailing].into_iter().filter(|&rate| rate != 0).count();
        let fills = (rows / 32).min(1 << 16);
        self.orders.reserve(fills * (2 + legs) / 2);
        self.groups.reserve(fills / 2 * usize::from(legs > 0));
        self.record.fills.reserve(fills);
        self.record.lines.reserve(fills * (1 + legs));
    }

    /// Whether any order is working, or a position that a venue may liquidate is held.
    pub fn busy(&self) -> bool {
        let held = self.at_risk() && self.ledger.position.iter().any(|&position| position != 0);
        held || self.live.iter().any(|orders| !orders.is_empty())
    }

    /// Runs the phases of one (finer) bar over all pairs; `detailed` tells which pairs have finer bars here.
    pub fn play(&mut self, bars: Bars<'_>, marks: Bars<'_>, detailed: Option<&[bool]>) {
        (self.worth, self.reserving) = (None, false);
        for p in 0..self.live.len() {
            if !self.live[p].is_empty() {
                self.cap_left[p] = self.capacity(bars, p);
                self.reserving |= self.live[p].iter().any(|&id| self.orders[id].may_reserve());
            }
        }
        self.open_phase = true;
        self.time = self.open_time;
        self.open(bars, detailed);
        if self.at_risk() {
            self.judge(|p| marks.open(p));
        }
        self.finish(bars, marks);
    }

    /// Runs the phases after the open.
    pub(super) fn finish(&mut self, bars: Bars<'_>, marks: Bars<'_>) {
        let at_risk = self.at_risk();
        self.open_phase = false;
        self.time = self.close_time;
        for p in 0..self.live.len() {
            let threat = if at_risk { self.threaten(bars, marks, p) } else { None };
            if !self.live[p].is_empty() && bars.tradable(p) {
                self.inside(bars, p);
            }
            if at_risk {
                self.settle_margin(marks, p, threat);
            }
        }
        self.trail(bars);
        if at_risk && self.close_time == self.row_open + self.spec.timeframe_ns {
            self.judge(|p| marks.close(p));
        }
        self.clean();
    }

    /// Ends good-till-date orders whose time has come at the bar's close.
    pub fn expire(&mut self) {
        let now = self.close_time;
        self.end_where(State::Expired, |order| {
            (order.tif == Tif::Gtd && order.expire_time <= now).then_some(Reason::GtdExpired)
        });
        self.clean();
    }

    /// Takes an order back: at once without latency, else when the message has arrived.
    pub fn cancel(&mut self, id: usize, reason: Reason, time: i64) {
        let order = &self.orders[id];
        if order.cancel_at >= 0 || !order.alive() {
            return;
        }
        self.log(LogKind::Cancel, id, time, self.orders[id].remaining(), reason);
        if self.spec.latency_ns == 0 {
            self.end(id, State::Cancelled, reason);
        } else {
            let order = &mut self.orders[id];
            order.cancel_at = time + self.spec.latency_ns;
            order.cancel_reason = reason;
            self.touched[order.pair()] = true;
        }
    }

    /// Moves an order to an end state with its reason; what was filled stays filled.
    pub fn end(&mut self, id: usize, state: State, reason: Reason) {
        if self.orders[id].alive() {
            self.advance(id, state);
            self.orders[id].end_reason = reason;
        }
    }

    /// Changes an order's state.
    pub fn advance(&mut self, id: usize, state: State) {
        let order = &mut self.orders[id];
        order.advance(state);
        self.touched[order.pair()] = true;
    }

    /// Numbers a new order.
    pub fn new_order(&mut self, request: Request, qty: i64, time: i64, row: i64, own: bool) -> usize {
        self.orders.open(Order::new(request, qty, time, row, own))
    }

    /// Writes one line of the order log.
    pub fn log(&mut self, kind: LogKind, order: usize, time: i64, qty: i64, reason: Reason) {
        self.record.lines.push(Line { kind, order: order as u32, time, qty, reason });
    }

    fn open(&mut self, bars: Bars<'_>, detailed: Option<&[bool]>) {
        let (now, close, latency) = (self.open_time, self.close_time, self.spec.latency_ns);
        if latency > 0 {
            self.end_where(State::Cancelled, |order| {
                (order.cancel_at >= 0 && now >= order.cancel_at).then_some(order.cancel_reason)
            });
        }
        let mut queue = std::mem::take(&mut self.queue);
        self.fill_queue(&mut queue);
        for &(growing, p, id) in &queue {
            self.open_one(bars, detailed, p, id, !growing);
        }
        self.queue = queue;
        if 0 < latency && latency < self.spec.timeframe_ns {
            self.end_where(State::Cancelled, |order| {
                (0 <= order.cancel_at && order.cancel_at < close).then_some(order.cancel_reason)
            });
        }
    }

    fn open_one(&mut self, bars: Bars<'_>, detailed: Option<&[bool]>, p: usize, id: usize, reducing: bool) {
        if !self.orders[id].alive() || !self.arrived(id, detailed) {
            return;
        }
        let order = &self.orders[id];
        let pending = order.state == State::Pending;
        if pending && order.tif == Tif::Gtd && order.expire_time <= self.open_time {
            self.end(id, State::Expired, Reason::GtdExpired);
            return;
        }
        if bars.tradable(p) {
            self.meet_open(bars, id, bars.open(p), reducing);
        } else if order.kind == OrderType::Market && self.gap[p] > self.spec.max_gap {
            self.end(id, if pending { State::Rejected } else { State::Cancelled }, Reason::StaleGap);
        }
    }

    fn fill_queue(&self, queue: &mut Vec<(bool, usize, usize)>) {
        queue.clear();
        for (p, orders) in self.live.iter().enumerate() {
            for &id in orders {
                let order = &self.orders[id];
                let held = -order.side() * self.ledger.position[p];
                let reducing = order.reduce_only || (0 < order.remaining() && order.remaining() <= held);
                queue.push((!reducing, p, id));
            }
        }
        if queue.len() > 1 {
            queue.sort_unstable();
        }
    }

    fn arrived(&mut self, id: usize, detailed: Option<&[bool]>) -> bool {
        let latency = self.spec.latency_ns;
        let order = &mut self.orders[id];
        if order.state != State::Pending || latency == 0 {
            return true;
        }
        let fine = detailed.is_some_and(|has| has[order.pair()]);
        if latency < self.spec.timeframe_ns && !fine {
            order.late = true;
            return self.open_time >= order.time;
        }
        self.open_time >= order.time + latency
    }

    /// Lets an order meet the open of a tradable bar.
    fn meet_open(&mut self, bars: Bars<'_>, id: usize, open: i64, reducing: bool) {
        let order = &self.orders[id];
        let (first, side, limit) = (order.state == State::Pending, order.side(), order.limit);
        let price = if first && order.late && order.rests_as_limit() { self.worsened(id, open) } else { open };
        if order.takes_market() {
            self.take(bars, id, price, true);
        } else if order.kind == OrderType::Trailing && first {
            self.orders[id].best = price;
            self.set_level(id);
        } else if order.waits_for_level() {
            if first && !reducing {
                self.reserve(bars, id, order.price());
            }
            let order = &self.orders[id];
            if order.alive() && side * (price - order.level) >= 0 {
                let limited = order.kind == OrderType::StopLimit;
                self.advance(id, State::Triggered);
                if limited {
                    let price = if first && self.orders[id].late { self.worsened(id, price) } else { price };
                    if side * (limit - price) >= 0 {
                        self.take(bars, id, price, false);
                    }
                } else {
                    self.take(bars, id, price, true);
                }
            }
        } else {
            self.limit_meets_open(bars, id, price, first, reducing);
        }
        let order = &self.orders[id];
        if order.alive() && order.state == State::Pending {
            self.advance(id, State::Active);
        }
        self.orders[id].late = false;
        let reason = match self.orders[id].tif {
            Tif::Ioc => Reason::IocRemainder,
            Tif::Fok => Reason::FokUnfilled,
            Tif::Gtc | Tif::Gtd => return,
        };
        self.end(id, State::Cancelled, reason);
    }

    fn limit_meets_open(&mut self, bars: Bars<'_>, id: usize, price: i64, first: bool, reducing: bool) {
        let order = &self.orders[id];
        let limit = order.limit;
        let ahead = order.side() * (limit - price);
        if first && ahead >= 0 {
            if order.post_only {
                self.end(id, State::Rejected, Reason::PostOnlyCross);
            } else {
                self.take(bars, id, price, false);
            }
        } else if first {
            if !reducing {
                self.reserve(bars, id, limit);
            }
        } else if ahead > 0 || (ahead == 0 && self.spec.limit_touch) {
            self.make(bars, id);
        }
    }

    fn inside(&mut self, bars: Bars<'_>, p: usize) {
        let path = self.spec.path;
        if matches!(path, FillPath::Pessimistic | FillPath::Detail) {
            self.run_pessimistic(bars, p);
            return;
        }
        let (o, h, low, c) = (bars.open(p), bars.high(p), bars.low(p), bars.close(p));
        let mut high_first = path == FillPath::Ohlc;
        if path == FillPath::Adaptive {
            let (up, down) = (h - o, o - low);
            high_first = up < down || (up == down && self.ledger.position[p] < 0);
        }
        self.run_path(bars, p, if high_first { [o, h, low, c] } else { [o, low, h, c] });
    }

    /// Raises trailing levels with the bar's extreme, then tests the close against the new level.
    fn trail(&mut self, bars: Bars<'_>) {
        for p in 0..self.live.len() {
            if self.live[p].is_empty() || !bars.tradable(p) {
                continue;
            }
            let close = bars.close(p);
            for k in 0..self.live[p].len() {
                let id = self.live[p][k];
                let order = &mut self.orders[id];
                let side = order.side();
                if order.kind == OrderType::Trailing && order.state == State::Active {
                    let extreme = if side < 0 { bars.high(p) } else { bars.low(p) };
                    let seen = if order.born_inside { close } else { extreme };
                    order.best = if side < 0 { order.best.max(seen) } else { order.best.min(seen) };
                    self.set_level(id);
                    let level = self.orders[id].level;
                    if side * (close - level) >= 0 {
                        self.advance(id, State::Triggered);
                        self.take(bars, id, level, true);
                    }
                }
            }
            for &id in &self.live[p] {
                self.orders[id].born_inside = false;
                self.orders[id].birth = 0;
            }
        }
    }

    /// Sets a trailing stop's level from the best price seen, rounded to the tick adversely.
    pub fn set_level(&mut self, id: usize) {
        let order = &mut self.orders[id];
        order.level = Trail::of(order, self.spec.instruments[order.pair()].tick).level(order.best);
    }

    /// Quantity that own fills may take in a bar.
    pub(super) fn capacity(&self, bars: Bars<'_>, p: usize) -> i64 {
        if self.spec.participation < 0 {
            return 1 << 62;
        }
        let share = floor_div(times(bars.volume(p), self.spec.participation), WIDE_UNIT);
        to_lot(i64::try_from(share).unwrap_or(i64::MAX), self.spec.instruments[p].lot)
    }

    fn end_where(&mut self, state: State, which: impl Fn(&Order) -> Option<Reason>) {
        for p in 0..self.live.len() {
            for k in 0..self.live[p].len() {
                let id = self.live[p][k];
                if let Some(reason) = which(&self.orders[id]) {
                    self.end(id, state, reason);
                }
            }
        }
    }

    /// Retires orders that have ended.
    pub(super) fn clean(&mut self) {
        let orders = &mut self.orders;
        for live in &mut self.live {
            live.retain(|&id| {
                let alive = orders[id].alive();
                if !alive {
                    orders.retire(id);
                }
                alive
            });
        }
    }
}

/// How a trailing stop's level follows its best price.
#[derive(Clone, Copy, Debug)]
pub struct Trail {
    /// +1 buys, -1 sells.
    pub side: i64,
    /// Distance as a price; 0: a rate.
    pub distance: i64,
    /// Distance as a rate, 10^-8.
    pub rate: i64,
    /// Price step.
    pub tick: i64,
}

impl Trail {
    /// That of an order.
    #[inline]
    pub fn of(order: &Order, tick: i64) -> Self {
        Trail { side: order.side(), distance: order.trail, rate: order.trail_rate, tick }
    }

    /// The level that a best price gives, rounded to the tick adversely.
    #[inline]
    pub fn level(&self, best: i64) -> i64 {
        let Trail { side, distance, rate, tick } = *self;
        let raw = if distance != 0 {
            i128::from(best) + i128::from(side) * i128::from(distance)
        } else if side < 0 {
            floor_div(times(best, UNIT - rate), WIDE_UNIT)
        } else {
            ceil_div(times(best, UNIT + rate), WIDE_UNIT)
        };
        if side < 0 { down_to_tick(raw, tick) } else { up_to_tick(raw, tick) }
    }
}
