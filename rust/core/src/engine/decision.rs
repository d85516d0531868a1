//! From forecasts to orders: one decision over all pairs when a decision bar closes.

use super::callback::{Callbacks, Moment};
use super::clocks::{leaves, rearm, time_stop, timed_out};
use super::codes::{LogKind, Reason, State};
use super::contract::unit_price;
use super::control::reduced;
use super::execution::{Execution, Placement};
use super::exits::{closed, closing_part, unattended};
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
    /// Per pair, whether a user or a limit closed it: then only a changed forecast, or a script's next order, arms it.
    pub flattened: Vec<bool>,
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
            parents: Parents::new(n_pairs),
            ..Decider::default()
        }
    }

    /// Takes the one decision of this row.
    pub fn decide(&mut self, sim: &mut Simulator, now: Now<'_>, calls: &mut dyn Callbacks) {
        if sim.spec.scripted {
            self.follow_script(sim, now);
            self.requests.clear();
            for p in (0..now.bars.len()).filter(|&p| now.bars.real(p) && self.flattened[p]) {
                self.requests.extend(closed(sim, self, p, now));
            }
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
            if self.paused && (acts || self.parents.given(sim, p) == 0) {
                target = reduced(sim.ledger.position[p], target);
            }
            target = bounded(sim, &self.parents, p, target, standing);
            if acts || target != standing {
                sim.touched[p] = true;
                self.order(sim, now, calls, p, target, standing);
            } else {
                self.exit_again(sim, now, calls, p);
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
                position: &sim.ledger.position,
                forecast: &self.seen,
                volatility: &self.volatility,
            };
            sim.spec.portfolio.targets(&sizing, &mut wanted);
        }
        for (p, slot) in wanted.iter_mut().enumerate() {
            let (before, now_said) = (self.forecast[p], self.seen[p]);
            // A position that the forecast gives up needs no size.
            if slot.is_none() && (now_said == 0 || (now_said.signum() == -before.signum())) {
                *slot = Some(0);
            }
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
        self.target[p] = target;
        if target != standing || timed {
            self.parents.cancel(sim, p, Reason::TargetChanged, false, now.row);
            for k in 0..sim.live[p].len() {
                let id = sim.live[p][k];
                if is_own(sim, id) {
                    sim.cancel(id, Reason::TargetChanged, now.time);
                }
            }
        }
        self.parents.forget(sim, now, p, Reason::TargetChanged);
        let position = sim.ledger.position[p];
        let open_remainder = open_remainder(sim, &self.parents, p, position);
        let instrument = sim.spec.instruments[p];
        let missing = i128::from(target) - i128::from(position) - i128::from(open_remainder);
        let delta = toward_zero(super::number::narrow(missing), instrument.lot);
        if delta == 0 {
            return;
        }
        let (side, mut qty) = (delta.signum(), delta.abs());
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
        let turns = !reducing && side * position.signum() < 0;
        if turns && !expired && sim.spec.plan.is_some_and(|plan| plan.exit_market) {
            let closing = closing_part(sim, p, open_remainder, now);
            if 0 < closing && closing < qty {
                qty -= closing;
                let reason = Reason::ExitSignal;
                let request = Request { pair: p, side, qty: closing, reduce_only: true, reason, ..Request::default() };
                self.requests.push(request);
            }
        }
        let request = Request { pair: p, side, qty, reduce_only: reducing, reason, ..Request::default() };
        self.work(sim, now, calls, request, expired);
    }

    /// Sends again what reduces a position to its target, where nothing does any more; never what enlarges one.
    ///
    /// A pair that is to stay out is closed at the market.
    fn exit_again(&mut self, sim: &mut Simulator, now: Now<'_>, calls: &mut dyn Callbacks, p: usize) {
        if sim.stopped_row[p] == now.row {
            self.parents.forget(sim, now, p, Reason::PositionClosed);
        }
        let qty = unattended(sim, self, p, now);
        if qty == 0 {
            return;
        }
        let held = sim.ledger.position[p].signum();
        let reason = match (self.flattened[p], self.target[p].signum() * held <= 0) {
            (true, _) => Reason::Flatten,
            (false, true) => Reason::ExitSignal,
            (false, false) => Reason::Rebalance,
        };
        let request = Request { pair: p, side: -held, qty, reduce_only: true, reason, ..Request::default() };
        self.work(sim, now, calls, request, sim.stopped_row[p] >= 0);
    }

    /// Lets the executor work a market order, or sends it as it is.
    fn work(
        &mut self,
        sim: &mut Simulator,
        now: Now<'_>,
        calls: &mut dyn Callbacks,
        request: Request,
        at_market: bool,
    ) {
        let Request { pair, side, qty, reduce_only, reason, .. } = request;
        let plan = sim.spec.plan;
        sim.touched[pair] = true;
        if !at_market && plan.is_some_and(|plan| !(reduce_only && plan.exit_market)) {
            self.parents.open(sim, now, Task { pair, side, qty, reduce_only, reason, own_plan: None });
            return;
        }
        let placement = if at_market || plan.is_some() {
            Placement::default()
        } else if sim.spec.execution == Execution::Callback {
            self.begin(sim, now, calls);
            calls.place(pair, side, qty, reduce_only).unwrap_or_else(|fault| raise(fault))
        } else {
            sim.spec.execution.place(now.bars.close(pair), sim.spec.instruments[pair].tick, side, reduce_only)
        };
        let Placement { kind, limit_price, tif, post_only } = placement;
        self.requests.push(Request { kind, limit_price, tif, post_only, ..request });
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
                self.flattened[request.pair] = false;
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
