//! Parent orders: a quantity that is worked by children over bars, each child an order like any other.
//!
//! The same as `core/parents.py`; what it does at an instant follows from the instants before alone.

use std::collections::VecDeque;

use super::codes::{Algo, OrderType, Reason, Remainder, State, Tif};
use super::decision::Now;
use super::market::Bars;
use super::number::{WIDE_UNIT, ceil_div, floor_div, narrow, times, to_lot};
use super::order::Request;
use super::plan::{Counters, Plan, jittered, toward_passive};
use super::simulator::Simulator;

/// Fields of a parent, as `core/parents.py` names them.
pub const PARENT_FIELDS: [&str; 16] = [
    "pair",
    "side",
    "qty",
    "filled",
    "algo",
    "state",
    "reason",
    "end_reason",
    "reduce_only",
    "manual",
    "row",
    "time",
    "end_row",
    "arrival",
    "limit_price",
    "bars",
];
/// Fields of the table that says which order is whose child.
pub const CHILD_FIELDS: [&str; 3] = ["order", "parent", "before"];
const MEMORY_NS: i64 = 28 * 86_400_000_000_000;
const ICEBERG_LEAST: i128 = 15;

/// A parent order that a user gives a running session.
#[derive(Clone, Copy, Debug)]
pub struct Manual {
    /// Index of the pair in name order.
    pub pair: usize,
    /// +1 buys, -1 sells.
    pub side: i64,
    /// Quantity, 10^-8.
    pub qty: i64,
    /// How it is worked.
    pub plan: Plan,
}

/// What a parent is to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Index of the pair in name order.
    pub pair: usize,
    /// +1 buys, -1 sells.
    pub side: i64,
    /// Quantity, 10^-8.
    pub qty: i64,
    /// Whether it may only reduce the position.
    pub reduce_only: bool,
    /// Why.
    pub reason: Reason,
    /// How, where not as the run does.
    pub own_plan: Option<Plan>,
}

/// One parent order; prices and quantities 10^-8.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    number: usize,
    pub(super) task: Task,
    pub(super) plan: Plan,
    row: i64,
    time: i64,
    arrival: i64,
    limit: i64,
    at: Vec<i64>,
    due: Vec<i64>,
    state: State,
    end_reason: Reason,
    pub(super) end_row: i64,
    accrued: i128,
    slices: usize,
    shown: usize,
    crossed: bool,
    /// The last row with a bar of the pair.
    seen: i64,
    /// Rows without one.
    missed: i64,
    /// Those that may still be working.
    children: Vec<usize>,
    /// What the others filled.
    settled: i64,
    last: Option<usize>,
}

/// All parent orders of a run, and the volumes that a curve is forecast from.
#[derive(Clone, Debug, Default)]
pub struct Parents {
    pub(super) all: Vec<Parent>,
    pub(super) alive: Vec<usize>,
    links: Vec<[i64; 3]>,
    /// Orders of users since the strategy last acted on their pairs.
    pub(super) manual: Vec<usize>,
    /// Per pair, what counts as ordered by users besides these, signed.
    pub(super) base: Vec<i64>,
    /// Where the engine sees one row at a time: the volumes of the rows before, -1 where there was no bar.
    volumes: Option<Vec<VecDeque<i64>>>,
}

impl Parents {
    /// None yet.
    pub fn new(n_pairs: usize) -> Self {
        Parents { base: vec![0; n_pairs], ..Parents::default() }
    }

    /// Keeps the volumes of a row, the rows of the warm-up included.
    pub fn remember(&mut self, sim: &Simulator, bars: Bars<'_>) {
        let lookback = sim.spec.plan.map_or(0, |plan| plan.lookback());
        let kept = usize::try_from(lookback.max(MEMORY_NS / sim.spec.timeframe_ns)).unwrap_or(0);
        let volumes = self.volumes.get_or_insert_with(|| vec![VecDeque::new(); bars.len()]);
        for (p, known) in volumes.iter_mut().enumerate() {
            known.push_back(if bars.real(p) { bars.volume(p) } else { -1 });
            if known.len() > kept {
                known.pop_front();
            }
        }
    }

    /// Whether a parent of the pair is alive.
    #[inline]
    pub fn any(&self, p: usize) -> bool {
        self.alive.iter().any(|&n| self.all[n].task.pair == p)
    }

    /// Signed quantity that parents have still to send; reduce-only ones at most what is held.
    pub fn open_remainder(&self, sim: &Simulator, p: usize, mut held: i64) -> i64 {
        let mut total = 0;
        for parent in self.of(p) {
            let coming = parent.under_way(sim, |cancel_at| cancel_at < 0);
            let mut signed = parent.task.side * (parent.task.qty - parent.filled(sim) - coming).max(0);
            if parent.task.reduce_only {
                signed = if held > 0 { signed.min(0).max(-held) } else { signed.max(0).min(-held) };
                held += signed;
            }
            total += signed;
        }
        total
    }

    pub(super) fn of(&self, p: usize) -> impl Iterator<Item = &Parent> {
        self.alive.iter().map(|&n| &self.all[n]).filter(move |parent| parent.task.pair == p)
    }

    /// Takes a new parent; its first slice is due at once.
    pub fn open(&mut self, sim: &mut Simulator, now: Now<'_>, task: Task) -> usize {
        let number = self.all.len();
        let plan = task.own_plan.or(sim.spec.plan).unwrap_or_default();
        let (instrument, arrival, seed) = (sim.spec.instruments[task.pair], now.bars.close(task.pair), sim.spec.seed);
        let (mut at, mut due) = (Vec::new(), Vec::new());
        match plan.algo {
            Algo::Twap | Algo::Vwap => {
                let expected = if plan.algo == Algo::Vwap { self.expected(sim, now, &plan, task.pair) } else { None };
                let weights = expected.unwrap_or_else(|| vec![WIDE_UNIT; plan.slices()]);
                at = plan.offsets(seed, number);
                due = plan.cumulative(task.qty, instrument.lot, &weights, seed, number);
            }
            Algo::Chase => {
                at = plan.offsets(seed, number);
                due = vec![task.qty; at.len()];
            }
            Algo::Pov | Algo::Iceberg => {}
        }
        self.all.push(Parent {
            number,
            task,
            plan,
            row: now.row,
            time: now.time,
            arrival,
            limit: plan.worst(task.side, arrival, instrument.tick),
            at,
            due,
            state: State::Pending,
            end_reason: Reason::None,
            end_row: -1,
            accrued: 0,
            slices: 0,
            shown: 0,
            crossed: false,
            seen: now.row,
            missed: 0,
            children: Vec::new(),
            settled: 0,
            last: None,
        });
        self.alive.push(number);
        number
    }

    fn expected(&self, sim: &mut Simulator, now: Now<'_>, plan: &Plan, p: usize) -> Option<Vec<i128>> {
        let volume_at = |past: i64| {
            let back = now.row - past;
            let Ok(back) = usize::try_from(back) else { return -1 };
            if let Some(volumes) = &self.volumes {
                let known = &volumes[p];
                return if back < known.len() { known[known.len() - 1 - back] } else { -1 };
            }
            let before = Bars { pairs: now.bars.pairs, at: now.bars.at.wrapping_sub(back) };
            if back <= now.bars.at && before.real(p) { before.volume(p) } else { -1 }
        };
        let weights = plan.volume_weights(now.row, volume_at);
        if weights.is_none() {
            sim.record.vwap_without_curve += 1;
        }
        weights
    }

    /// Takes the pair's parents back, `enlarging` only those that do not merely reduce; their children stand.
    pub fn cancel(&mut self, sim: &Simulator, p: usize, reason: Reason, enlarging: bool, row: i64) {
        let all = &mut self.all;
        self.alive.retain(|&n| {
            let parent = &mut all[n];
            let stays = parent.task.pair != p || (enlarging && parent.task.reduce_only);
            if !stays && parent.filled(sim) >= parent.task.qty {
                parent.end(State::Filled, Reason::None, row);
            } else if !stays {
                parent.end(State::Cancelled, reason, row);
            }
            stays
        });
    }

    /// Whether a parent of the pair may do more than reduce.
    pub fn enlarges(&self, p: usize) -> bool {
        self.alive.iter().any(|&n| self.all[n].task.pair == p && !self.all[n].task.reduce_only)
    }

    /// Asks for the children that are due at this decision, by parent.
    pub fn step(&mut self, sim: &mut Simulator, now: Now<'_>, requests: &mut Vec<Request>) {
        for &n in &self.alive {
            requests.extend(self.all[n].asked(sim, now));
            sim.touched[self.all[n].task.pair] = true;
        }
        self.bury();
    }

    pub(super) fn bury(&mut self) {
        let all = &self.all;
        self.alive.retain(|&n| all[n].end_row < 0);
    }

    /// Says which order a request became.
    pub fn adopt(&mut self, sim: &Simulator, request: &Request, id: usize) {
        if let Some(number) = request.parent {
            self.links.push([id as i64, i64::from(number), request.before]);
            let parent = &mut self.all[number as usize];
            parent.children.push(id);
            parent.last = Some(id);
            if parent.state == State::Pending && sim.orders.get(id).is_some() {
                parent.state = State::Active;
            }
        }
    }

    /// Every parent as a row of [`PARENT_FIELDS`].
    pub fn rows(&self, sim: &Simulator) -> Vec<[i64; 16]> {
        self.all.iter().map(|parent| parent.values(sim)).collect()
    }

    /// Rows of [`CHILD_FIELDS`].
    pub fn links(&self) -> &[[i64; 3]] {
        &self.links
    }
}

impl Parent {
    pub(super) fn filled(&self, sim: &Simulator) -> i64 {
        self.settled + self.children.iter().map(|&id| sim.orders.filled(id)).sum::<i64>()
    }

    /// Keeps of children that have ended what they filled.
    fn settle(&mut self, sim: &Simulator) {
        let settled = &mut self.settled;
        self.children.retain(|&id| {
            let works = sim.orders.get(id).is_some_and(|order| order.alive());
            *settled += if works { 0 } else { sim.orders.filled(id) };
            works
        });
    }

    pub(super) fn under_way(&self, sim: &Simulator, which: impl Fn(i64) -> bool) -> i64 {
        let working = self.children.iter().filter_map(|&id| sim.orders.get(id)).filter(|order| order.alive());
        working.filter(|order| which(order.cancel_at)).map(|order| order.remaining()).sum()
    }

    fn working(&self, sim: &Simulator) -> bool {
        self.children.iter().any(|&id| sim.orders.get(id).is_some_and(|order| order.alive()))
    }

    pub(super) fn end(&mut self, state: State, reason: Reason, row: i64) {
        (self.state, self.end_reason, self.end_row) = (state, reason, row);
    }

    fn values(&self, sim: &Simulator) -> [i64; 16] {
        let Task { pair, side, qty, reduce_only, reason, own_plan } = self.task;
        [
            pair as i64,
            side,
            qty,
            self.filled(sim),
            self.plan.algo.code(),
            self.state.code(),
            reason.code(),
            self.end_reason.code(),
            i64::from(reduce_only),
            i64::from(own_plan.is_some()),
            self.row,
            self.time,
            self.end_row,
            self.arrival,
            self.limit,
            self.plan.bars,
        ]
    }

    /// The next child, where one is due; ends the parent where it is done or cannot go on.
    pub(super) fn asked(&mut self, sim: &mut Simulator, now: Now<'_>) -> Option<Request> {
        if self.end_row >= 0 || !now.bars.real(self.task.pair) {
            return None;
        }
        self.missed += (now.row - self.seen - 1).max(0);
        self.seen = now.row;
        if self.ended(sim, now) {
            return None;
        }
        let elapsed = now.row - self.row;
        let over = 0 < self.plan.bars && self.plan.bars <= elapsed - self.missed;
        let wanted = if over { self.rest(sim, now) } else { self.wanted(sim, now, elapsed) };
        let left = self.task.qty - self.filled(sim) - self.under_way(sim, |_| true);
        let qty = if over { narrow(wanted.min(i128::from(left))) } else { self.sized(sim, now, wanted, left) };
        (qty > 0).then(|| {
            self.crossed = over;
            self.shown += 1;
            Request { before: self.task.qty - left, ..self.child(sim, now, qty, over) }
        })
    }

    fn ended(&mut self, sim: &mut Simulator, now: Now<'_>) -> bool {
        self.settle(sim);
        let Task { pair, side, qty, reduce_only, .. } = self.task;
        let held = -side * sim.ledger.position[pair];
        let last = self.last.map_or(Reason::None, |id| sim.orders.end_reason(id));
        let again = matches!(
            last,
            Reason::None
                | Reason::PriceBand
                | Reason::PostOnlyCross
                | Reason::IocRemainder
                | Reason::StaleGap
                | Reason::Timeout
        );
        if self.filled(sim) >= qty {
            self.end(State::Filled, Reason::None, now.row);
        } else if if reduce_only { held < sim.spec.instruments[pair].lot } else { sim.stopped_row[pair] > self.row } {
            self.withdraw(sim, now, Reason::PositionClosed, |_, _| true);
            self.end(State::Cancelled, Reason::PositionClosed, now.row);
        } else if !again || (self.crossed && !self.working(sim)) {
            self.withdraw(sim, now, Reason::Timeout, |_, _| true);
            let reason = if last == Reason::None { Reason::Timeout } else { last };
            self.end(State::Cancelled, reason, now.row);
        }
        self.end_row >= 0
    }

    pub(super) fn withdraw(
        &self,
        sim: &mut Simulator,
        now: Now<'_>,
        reason: Reason,
        which: impl Fn(OrderType, i64) -> bool,
    ) {
        for &id in &self.children {
            if sim.orders.get(id).is_some_and(|order| order.alive() && which(order.kind, order.limit)) {
                sim.cancel(id, reason, now.time);
            }
        }
    }

    /// What to send of a parent whose plan is over; takes its resting children back first.
    fn rest(&mut self, sim: &mut Simulator, now: Now<'_>) -> i128 {
        let cross = self.plan.remainder == Remainder::Cross;
        if !self.crossed {
            self.withdraw(sim, now, Reason::Timeout, |kind, _| kind == OrderType::Limit || !cross);
        }
        let alive = self.children.iter().filter_map(|&id| sim.orders.get(id)).filter(|order| order.alive());
        let waiting = alive.into_iter().any(|order| order.cancel_at >= 0);
        if !cross && !self.working(sim) {
            self.end(State::Expired, Reason::Timeout, now.row);
        }
        if cross && !waiting && !self.crossed { i128::from(self.task.qty) } else { 0 }
    }

    /// What a parent may send now, beside what its children can still fill.
    fn wanted(&mut self, sim: &mut Simulator, now: Now<'_>, elapsed: i64) -> i128 {
        let (plan, qty) = (self.plan, self.task.qty);
        match plan.algo {
            Algo::Iceberg => {
                if self.working(sim) {
                    return 0;
                }
                let at = Counters { seed: sim.spec.seed, parent: self.number, index: self.shown };
                let shown = jittered(floor_div(times(qty, plan.display), WIDE_UNIT), plan.size_jitter, at);
                shown.max(ceil_div(i128::from(qty - self.filled(sim)), ICEBERG_LEAST))
            }
            Algo::Pov => {
                let part = plan.pov_part(now.bars.volume(self.task.pair));
                self.accrued += part;
                let sent = self.filled(sim) + self.under_way(sim, |_| true);
                (self.accrued - i128::from(sent)).min(floor_div(part * i128::from(plan.burst), WIDE_UNIT))
            }
            Algo::Twap | Algo::Vwap | Algo::Chase => {
                let slices = self.at.iter().filter(|&&at| at <= elapsed).count();
                if slices > self.slices && plan.offset >= 0 {
                    let price = self.price(sim, now);
                    self.withdraw(sim, now, Reason::Timeout, |_, limit| limit != price);
                }
                self.slices = slices;
                let due = if slices > 0 { self.due[slices - 1] } else { 0 };
                i128::from(due - self.filled(sim) - self.under_way(sim, |_| true))
            }
        }
    }

    /// The child's quantity in lots: at most its part of the last bar, no dust, and none left behind.
    fn sized(&self, sim: &Simulator, now: Now<'_>, wanted: i128, left: i64) -> i64 {
        let p = self.task.pair;
        let instrument = sim.spec.instruments[p];
        let mut room = i128::from(left);
        if self.plan.max_participation >= 0 {
            let part = floor_div(times(now.bars.volume(p), self.plan.max_participation), WIDE_UNIT);
            room = room.min(part - i128::from(self.under_way(sim, |_| true)));
        }
        let most = wanted.min(room);
        if most <= 0 {
            return 0;
        }
        let qty = to_lot(narrow(most), instrument.lot);
        let priced = self.price(sim, now);
        let least = instrument.least(if priced != 0 { priced } else { now.bars.close(p) }.max(1));
        if qty <= 0 || (i128::from(qty) < least && qty < left) {
            return 0;
        }
        if i128::from(left - qty) < least { left } else { qty }
    }

    /// The limit price of a child, 0 for a market order.
    fn price(&self, sim: &Simulator, now: Now<'_>) -> i64 {
        let Task { pair, side, .. } = self.task;
        if self.plan.offset < 0 {
            return self.limit;
        }
        let close = if self.plan.algo == Algo::Iceberg { self.arrival } else { now.bars.close(pair) };
        let price = toward_passive(close, self.plan.offset, side, sim.spec.instruments[pair].tick);
        match self.limit {
            0 => price,
            limit if side > 0 => price.min(limit),
            limit => price.max(limit),
        }
    }

    fn child(&self, sim: &Simulator, now: Now<'_>, qty: i64, over: bool) -> Request {
        let price = if over { self.limit } else { self.price(sim, now) };
        Request {
            pair: self.task.pair,
            side: self.task.side,
            qty,
            kind: if price != 0 { OrderType::Limit } else { OrderType::Market },
            limit_price: price,
            tif: if over && price != 0 { Tif::Ioc } else { Tif::Gtc },
            post_only: self.plan.post_only && !over && price > 0,
            reduce_only: self.task.reduce_only,
            reason: self.task.reason,
            parent: Some(self.number as u32),
            ..Request::default()
        }
    }
}
