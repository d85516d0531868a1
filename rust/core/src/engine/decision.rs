//! From forecasts to orders: one decision over all pairs when a decision bar closes.

use super::callback::{Callbacks, Moment};
use super::codes::{LogKind, OrderType, Reason, State};
use super::contract::unit_price;
use super::control::reduced;
use super::execution::{Execution, Placement};
use super::fault::{Fault, raise};
use super::market::{Bars, Signals};
use super::number::{WIDE_UNIT, down_to_tick, mul, times, to_lot, toward_zero, up_to_tick};
use super::order::Request;
use super::parents::{Parents, Task};
use super::portfolio::{Portfolio, Sizing};
use super::quiet::own_clock;
use super::risk::Risk;
use super::room::make_room;
use super::safety::{admitted, bounded, scale};
use super::simulator::Simulator;

/// What is known when a decision is taken.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Grid row.
    pub row: i64,
    /// Close of the decision bar, ns.
    pub time: i64,
    /// The bar that closed.
    pub bars: Bars<'a>,
    /// Forecasts and declared columns.
    pub signals: Signals<'a>,
}

/// The account half above the exchange: portfolio, risk, execution, order admission.
#[derive(Clone, Debug, Default)]
pub struct Decider {
    /// Standing target per pair, 10^-8.
    pub target: Vec<i64>,
    /// Forecast at the pair's last decision, 10^-9.
    pub forecast: Vec<i64>,
    /// How many scripted requests were taken so far.
    pub script: usize,
    /// Scripted requests that are due but whose pair had no bar yet.
    pub waiting: Vec<usize>,
    /// Whether positions may only be reduced.
    pub paused: bool,
    /// Per pair, whether a user closed it: then only a changed forecast arms it again.
    pub flattened: Vec<bool>,
    /// Per pair, what users ordered since the strategy last acted on it, signed: no part of the target.
    pub given: Vec<i64>,
    /// Orders that are worked by children.
    pub parents: Parents,
    equity: Option<i128>,
    begun: bool,
    flags: Vec<Flags>,
    wanted: Vec<Option<i64>>,
    price: Vec<i64>,
    seen: Vec<i64>,
    volatility: Vec<i64>,
    aux: Vec<Vec<i64>>,
    requests: Vec<Request>,
}

/// Why a pair may act in this decision.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    real: bool,
    changed: bool,
    rearmed: bool,
    expired: bool,
    timed: bool,
}

impl Decider {
    /// No targets yet.
    pub fn new(n_pairs: usize) -> Self {
        Decider {
            target: vec![0; n_pairs],
            forecast: vec![0; n_pairs],
            flags: vec![Flags::default(); n_pairs],
            flattened: vec![false; n_pairs],
            given: vec![0; n_pairs],
            ..Decider::default()
        }
    }

    /// Takes the one decision of this row.
    pub fn decide(&mut self, sim: &mut Simulator, now: Now<'_>, calls: &mut dyn Callbacks) {
        if sim.spec.scripted {
            self.follow_script(sim, now);
            self.requests.clear();
            self.send_all(sim, now);
            return;
        }
        (self.equity, self.begun) = (None, false);
        let n = now.bars.len();
        let every = sim.spec.rebalance_bars;
        let due = every > 0 && (now.row - sim.spec.first_row) % every == 0;
        let drifts = sim.spec.band >= 0 && sim.spec.drifts;
        let mut news = due;
        self.seen.clear();
        for p in 0..n {
            let seen = now.signals.forecast(p);
            self.seen.push(seen);
            let real = now.bars.real(p);
            let changed = real && seen != self.forecast[p];
            self.flags[p] = Flags { real, changed, ..Flags::default() };
            news |= changed;
        }
        for p in 0..n {
            if self.flags[p].real {
                let bars = if self.flattened[p] { 0 } else { sim.spec.rearm_bars };
                self.flags[p].rearmed = rearm(sim, p, self.flags[p].changed, now.row, bars);
                self.flattened[p] &= !self.flags[p].rearmed;
                news |= self.flags[p].rearmed;
            }
        }
        for p in 0..n {
            self.flags[p].timed = self.flags[p].real && timed_out(sim, p, now);
        }
        if news || drifts {
            self.want(sim, now, calls);
            scale(sim, now, &self.target, &mut self.wanted, news);
        } else {
            self.wanted.clear();
            self.wanted.resize(n, None);
        }
        for p in 0..n {
            let leaves = self.flags[p].changed && leaves(sim, p, self.wanted[p]);
            self.flags[p].expired = self.flags[p].real && !leaves && time_stop(sim, p, now.row);
        }
        self.requests.clear();
        for p in 0..n {
            let flags = self.flags[p];
            if !flags.real {
                continue;
            }
            self.forecast[p] = self.seen[p];
            let standing = self.target[p];
            let mut target = standing;
            if sim.stopped_row[p] >= 0 {
                target = 0;
            } else if let Some(new) = self.wanted[p] {
                let moved = flags.changed || flags.rearmed || due;
                if moved || (drifts && beyond_band(new, standing, sim.spec.band)) {
                    target = new;
                }
            }
            let acts = flags.changed || flags.rearmed || due || target != standing || flags.expired || flags.timed;
            if self.paused && (acts || self.given[p] == 0) {
                target = reduced(sim.ledger.position[p], target);
            }
            target = bounded(sim, &self.parents, p, target);
            if acts || target != standing {
                sim.touched[p] = true;
                self.order(sim, now, calls, p, target, standing);
            }
        }
        self.send_all(sim, now);
    }

    /// Sends the decision's orders and the children that are due: reducing first, then by pair name.
    fn send_all(&mut self, sim: &mut Simulator, now: Now<'_>) {
        let mut requests = std::mem::take(&mut self.requests);
        self.parents.step(sim, now, &mut requests);
        requests.sort_by_key(|request| (!request.reduce_only, request.pair));
        for request in &requests {
            self.send(sim, now, *request);
        }
        self.requests = requests;
    }

    /// Sends one order.
    pub(super) fn send(&mut self, sim: &mut Simulator, now: Now<'_>, request: Request) {
        let id = submit(sim, now, request, true, false);
        self.parents.adopt(sim, &request, id);
    }

    /// Whether a pair has to act at `row` because of its position or its orders, whatever the forecasts say.
    pub fn concerned(&self, sim: &Simulator, row: i64) -> bool {
        let now = usize::try_from(row).unwrap_or(0);
        (0..self.target.len()).any(|p| own_clock(sim, self, p, now) <= now)
    }

    /// Computes approved targets on the lot grid.
    fn want(&mut self, sim: &Simulator, now: Now<'_>, calls: &mut dyn Callbacks) {
        let n = now.bars.len();
        let equity = self.exact_equity(sim, now);
        let mut wanted = std::mem::take(&mut self.wanted);
        if sim.spec.portfolio == Portfolio::Callback {
            self.begin(sim, now, calls);
            wanted = calls.targets().unwrap_or_else(|fault| raise(fault));
            if wanted.len() != n {
                raise(Fault::Callback);
            }
        } else {
            self.price.clear();
            self.price.extend((0..n).map(|p| unit_price(sim.ledger.inverse(p), now.bars.close(p))));
            self.volatility.clear();
            if let Some(column) = sim.spec.volatility {
                self.volatility.extend((0..n).map(|p| now.signals.aux(column, p)));
            }
            let sizing = Sizing {
                equity,
                leverage: sim.spec.leverage,
                stop_rate: sim.spec.protection.stop_loss,
                periods_root: sim.spec.periods_root,
                price: &self.price,
                forecast: &self.seen,
                volatility: &self.volatility,
            };
            sim.spec.portfolio.targets(&sizing, &mut wanted);
        }
        for (p, slot) in wanted.iter_mut().enumerate() {
            *slot = match *slot {
                Some(raw) if self.flags[p].real => {
                    let raw = if !sim.spec.short && raw < 0 { 0 } else { raw };
                    let lot = sim.spec.instruments[p].lot;
                    let asked = toward_zero(raw, lot);
                    let approved = if sim.spec.risk == Risk::Callback {
                        self.begin(sim, now, calls);
                        calls.approve(p, asked).unwrap_or_else(|fault| raise(fault))
                    } else {
                        let price = unit_price(sim.ledger.inverse(p), now.bars.close(p));
                        sim.spec.risk.approve(equity, price, asked)
                    };
                    Some(toward_zero(approved, lot))
                }
                _ => None,
            };
        }
        self.wanted = wanted;
    }

    fn exact_equity(&mut self, sim: &Simulator, now: Now<'_>) -> i128 {
        *self.equity.get_or_insert_with(|| sim.ledger.equity(now.bars))
    }

    /// Shows the account to nodes outside, once a decision.
    fn begin(&mut self, sim: &Simulator, now: Now<'_>, calls: &mut dyn Callbacks) {
        if self.begun {
            return;
        }
        self.begun = true;
        let n = now.bars.len();
        let equity = self.exact_equity(sim, now);
        self.price.clear();
        self.price.extend((0..n).map(|p| now.bars.close(p)));
        self.aux.resize(now.signals.aux.len(), Vec::new());
        for (column, values) in self.aux.iter_mut().enumerate() {
            values.clear();
            values.extend((0..n).map(|p| now.signals.aux(column, p)));
        }
        let moment = Moment {
            row: now.row,
            time: now.time,
            equity,
            price: &self.price,
            position: &sim.ledger.position,
            forecast: &self.seen,
            aux: &self.aux,
        };
        calls.begin(&moment).unwrap_or_else(|fault| raise(fault));
    }

    /// Brings position plus open remainder to the target.
    fn order(
        &mut self,
        sim: &mut Simulator,
        now: Now<'_>,
        calls: &mut dyn Callbacks,
        p: usize,
        target: i64,
        standing: i64,
    ) {
        let Flags { expired, timed, .. } = self.flags[p];
        (self.target[p], self.given[p]) = (target, 0);
        if target != standing || timed {
            self.parents.cancel(sim, p, Reason::TargetChanged, false, now.row);
            for k in 0..sim.live[p].len() {
                let id = sim.live[p][k];
                if is_own(sim, id) {
                    sim.cancel(id, Reason::TargetChanged, now.time);
                }
            }
        }
        let position = sim.ledger.position[p];
        let open_remainder = open_remainder(sim, &self.parents, p, position);
        let instrument = sim.spec.instruments[p];
        let missing = i128::from(target) - i128::from(position) - i128::from(open_remainder);
        let delta = toward_zero(super::number::narrow(missing), instrument.lot);
        if delta == 0 {
            return;
        }
        let (side, qty) = (delta.signum(), delta.abs());
        let reducing = delta.signum() * position.signum() < 0 && qty <= position.abs();
        let reason = if expired {
            Reason::TimeStop
        } else if reducing {
            if target == 0 { Reason::ExitSignal } else { Reason::Rebalance }
        } else if position.signum() * target.signum() > 0 {
            Reason::Rebalance
        } else {
            Reason::EntrySignal
        };
        let plan = sim.spec.plan;
        if !expired && plan.is_some_and(|plan| !(reducing && plan.exit_market)) {
            let task = Task { pair: p, side, qty, reduce_only: reducing, reason, own_plan: None };
            self.parents.open(sim, now, task);
            return;
        }
        let placement = if expired || plan.is_some() {
            Placement::default()
        } else if sim.spec.execution == Execution::Callback {
            self.begin(sim, now, calls);
            calls.place(p, side, qty, reducing).unwrap_or_else(|fault| raise(fault))
        } else {
            sim.spec.execution.place(now.bars.close(p), instrument.tick, side, reducing)
        };
        self.requests.push(Request {
            pair: p,
            side,
            qty,
            kind: placement.kind,
            limit_price: placement.limit_price,
            tif: placement.tif,
            post_only: placement.post_only,
            reduce_only: reducing,
            reason,
            ..Request::default()
        });
    }

    /// Sends the scripted orders that are due, in order; a pair without a bar keeps its orders waiting.
    fn follow_script(&mut self, sim: &mut Simulator, now: Now<'_>) {
        let mut due = std::mem::take(&mut self.waiting);
        while let Some(&(time, _)) = sim.spec.requests.get(self.script) {
            if time > now.time {
                break;
            }
            due.push(self.script);
            self.script += 1;
        }
        for index in due {
            let request = sim.spec.requests[index].1;
            if now.bars.real(request.pair) {
                submit(sim, now, request, false, self.paused && !request.reduce_only);
            } else {
                self.waiting.push(index);
            }
        }
    }
}

/// Whether an order is the decider's own: not scripted, not protective, not on its way out.
#[inline]
pub fn is_own(sim: &Simulator, id: usize) -> bool {
    let order = &sim.orders[id];
    order.own && order.group.is_none() && order.alive() && order.cancel_at < 0
}

/// Signed quantity that own working orders can still fill; reduce-only ones at most the position.
///
/// A protective order counts once it was triggered: its remainder is a market order under way.
pub(super) fn open_remainder(sim: &Simulator, parents: &Parents, p: usize, position: i64) -> i64 {
    let (mut total, mut held) = (0, position);
    for &id in &sim.live[p] {
        let order = &sim.orders[id];
        if !order.own || !order.alive() || order.cancel_at >= 0 || (order.group.is_some() && !order.takes_market()) {
            continue;
        }
        let mut signed = order.side() * order.remaining();
        if order.reduce_only || order.closes_only {
            signed = if held > 0 { signed.min(0).max(-held) } else { signed.max(0).min(-held) };
            held += signed;
        }
        total += signed;
    }
    total + parents.open_remainder(sim, p, held)
}

fn beyond_band(new: i64, standing: i64, band: i64) -> bool {
    let drift = (i128::from(new) - i128::from(standing)).abs();
    mul(drift, WIDE_UNIT) > mul(i128::from(band), i128::from(standing).abs())
}

/// Arms a stopped-out pair again when its rule says so; tells whether it was.
fn rearm(sim: &mut Simulator, p: usize, changed: bool, row: i64, bars: i64) -> bool {
    let stopped = sim.stopped_row[p];
    if stopped < 0 {
        return false;
    }
    let armed = if bars == 0 { changed } else { row - stopped >= bars };
    if armed {
        sim.stopped_row[p] = -1;
    }
    armed
}

/// Whether a target gives the position up: then its signal closes it, and no time stop.
fn leaves(sim: &Simulator, p: usize, target: Option<i64>) -> bool {
    target.is_some_and(|target| target.signum() * sim.ledger.position[p].signum() <= 0)
}

fn time_stop(sim: &mut Simulator, p: usize, row: i64) -> bool {
    let bars = sim.spec.protection.max_bars;
    if bars == 0
        || sim.ledger.position[p].abs() < sim.spec.instruments[p].lot
        || row - sim.entry_row[p] + 1 < bars
        || sim.live[p].iter().any(|&id| sim.orders[id].reason == Reason::TimeStop)
    {
        return false;
    }
    sim.stopped_row[p] = row;
    true
}

/// Takes back own orders that rested longer than the executor's patience; tells whether any was.
fn timed_out(sim: &mut Simulator, p: usize, now: Now<'_>) -> bool {
    let timeout = sim.spec.timeout;
    let mut found = false;
    if timeout >= 0 {
        for k in 0..sim.live[p].len() {
            let id = sim.live[p][k];
            let order = &sim.orders[id];
            if order.kind == OrderType::Limit && now.row - order.row >= timeout && is_own(sim, id) {
                sim.cancel(id, Reason::Timeout, now.time);
                found = true;
            }
        }
    }
    found
}

/// Admits an order (lot, tick, minima, price band, no pause) and sends it, or records why it was refused.
pub(super) fn submit(sim: &mut Simulator, now: Now<'_>, request: Request, own: bool, refused: bool) -> usize {
    let p = request.pair;
    let instrument = sim.spec.instruments[p];
    let mut qty = to_lot(request.qty, instrument.lot);
    let id = sim.new_order(request, qty, now.time, now.row, own);
    let order = &mut sim.orders[id];
    if order.limit != 0 {
        order.limit = toward_side(order.limit, instrument.tick, -request.side);
    }
    if order.stop != 0 {
        order.stop = toward_side(order.stop, instrument.tick, request.side);
        order.level = order.stop;
    }
    let mut reason = if refused { Reason::Paused } else { Reason::None };
    if !refused && qty > 0 && sim.watch.limits.on() {
        let (allowed, why) = admitted(sim, now, id, qty);
        reason = why;
        if why == Reason::None {
            let order = &mut sim.orders[id];
            (qty, order.qty, order.allowed) = (allowed, allowed, allowed);
        }
    }
    let order = &mut sim.orders[id];
    let close = now.bars.close(p);
    let price = if order.price() != 0 { order.price() } else { close };
    let band = sim.spec.price_band;
    let far = |price: i64| {
        let away = i128::from(price) - i128::from(close);
        price != 0 && mul(away.abs(), WIDE_UNIT) > times(band, close)
    };
    if reason != Reason::None {
        // Refused before the venue's own rules were asked.
    } else if qty <= 0 || qty < instrument.qty_min {
        reason = Reason::BelowMinQty;
        (order.qty, order.allowed) = (request.qty, request.qty);
    } else if instrument.is_cheap(qty, price) {
        reason = Reason::BelowMinCost;
    } else if band >= 0 && (far(order.limit) || far(order.stop)) {
        reason = Reason::PriceBand;
    }
    if reason != Reason::None {
        order.advance(State::Rejected);
        order.end_reason = reason;
        sim.orders.retire(id);
        return id;
    }
    make_room(sim, now, id);
    sim.log(LogKind::Submit, id, now.time, qty, request.reason);
    sim.live[p].push(id);
    sim.touched[p] = true;
    id
}

/// A price rounded to the tick: up for side +1, down for side -1, never to zero.
fn toward_side(price: i64, tick: i64, side: i64) -> i64 {
    if side > 0 { up_to_tick(i128::from(price), tick) } else { down_to_tick(i128::from(price), tick) }
}
