//! Protection: reduce-only groups that live from the fill that opened a position, and disarming after they fire.

use super::codes::{LogKind, OrderType, Reason, State};
use super::number::{UNIT, WIDE_UNIT, ceil_div, floor_div, mul, narrow, times, to_lot};
use super::order::{Bracket, Group, Order, Request};
use super::simulator::Simulator;
use super::spec::Protection;

/// What an order paid, and where the market stood: levels are distances from the former, and the latter is where the
/// new orders meet the market.
#[derive(Clone, Copy)]
pub struct Paid {
    /// Price of the market.
    pub market: i64,
    /// Price of the fill.
    pub price: i64,
}

/// What the legs of a group have from the order that opened the position.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    /// Index of the pair.
    pub pair: usize,
    /// +1 bought, -1 sold.
    pub side: i64,
    /// Decision of the order, ns.
    pub time: i64,
    /// Whether portfolio and risk sent it.
    pub own: bool,
    /// Index into the run's tags.
    pub tag: u32,
}

impl Parent {
    fn of(order: &Order) -> Self {
        Parent { pair: order.pair(), side: order.side(), time: order.time, own: order.own, tag: order.tag }
    }
}

/// One leg of a group to be.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// Stop, limit or trailing stop.
    pub kind: OrderType,
    /// What it is for.
    pub reason: Reason,
    /// Stop price.
    pub stop: i64,
    /// Limit price.
    pub limit: i64,
    /// Distance of a trailing stop as a price.
    pub trail: i64,
    /// Distance of a trailing stop as a rate, 10^-8.
    pub rate: i64,
}

impl Leg {
    fn stop(stop: i64) -> Self {
        let stop = stop.max(0);
        Leg { kind: OrderType::Stop, reason: Reason::StopLoss, stop, limit: 0, trail: 0, rate: 0 }
    }

    fn target(limit: i64) -> Self {
        let limit = limit.max(0);
        Leg { kind: OrderType::Limit, reason: Reason::TakeProfit, stop: 0, limit, trail: 0, rate: 0 }
    }

    fn trailing(trail: i64, rate: i64) -> Self {
        Leg { kind: OrderType::Trailing, reason: Reason::TrailingStop, stop: 0, limit: 0, trail, rate }
    }

    /// The order that it is; `side` its own.
    #[inline]
    pub(super) fn request(&self, pair: usize, side: i64, qty: i64, tag: u32) -> Request {
        Request {
            pair,
            side,
            qty,
            kind: self.kind,
            limit_price: self.limit,
            stop_price: self.stop,
            trail: self.trail,
            reduce_only: true,
            reason: self.reason,
            tag: i64::from(tag),
            ..Request::default()
        }
    }
}

/// What risk attaches to a position opened at `price`: stop, target, trail; `side` that of their orders.
#[inline]
pub(super) fn legs(rates: Protection, price: i64, tick: i64, side: i64) -> [Option<Leg>; 3] {
    let Protection { stop_loss, take_profit, trailing, .. } = rates;
    [
        (stop_loss != 0).then(|| Leg::stop(toward(times(price, UNIT + side * stop_loss), tick, side))),
        (take_profit != 0).then(|| Leg::target(toward(times(price, UNIT - side * take_profit), tick, -side))),
        (trailing != 0).then(|| Leg::trailing(0, trailing)),
    ]
}

impl Simulator {
    /// Keeps groups in step with the position after a fill: shrinks siblings, closes, opens, resizes, disarms.
    pub fn after_fill(&mut self, id: usize, qty: i64, paid: Paid, before: i64) {
        let order = &self.orders[id];
        let (p, own, group, side) = (order.pair(), order.own, order.group, order.side());
        let lot = self.spec.instruments[p].lot;
        let after = self.ledger.position[p];
        if let Some(group) = group {
            self.shrink_siblings(id, group, qty);
            if own {
                self.stopped_row[p] = self.row;
                self.disarm(id, p);
            }
        }
        let turned = (before > 0 && after < 0) || (before < 0 && after > 0);
        if after.abs() < lot || turned {
            self.close_groups(id, p);
            self.protection[p] = None;
        }
        let opened = after.abs() >= lot && (before.abs() < lot || turned);
        if opened {
            self.entry_row[p] = self.row;
            if own {
                self.protection[p] = self.protect(Parent::of(&self.orders[id]), paid, to_lot(after.abs(), lot));
            }
        } else if group.is_none() {
            self.resize(id, p, to_lot(after.abs(), lot));
        }
        if self.orders[id].bracket.is_some() {
            let past = if turned { 0 } else { before.abs() };
            let grown = if side * after.signum() > 0 { after.abs() - past } else { 0 };
            if grown > 0 {
                self.bracket(id, paid, to_lot(grown, lot));
            }
        }
    }

    /// What an order can still fill; None once it has ended.
    fn open_qty(&self, id: usize) -> Option<i64> {
        self.orders.get(id).filter(|order| order.alive()).map(Order::remaining)
    }

    fn shrink_siblings(&mut self, id: usize, group: u32, qty: i64) {
        for leg in self.groups[group as usize].legs() {
            let Some(left) = self.open_qty(leg).filter(|_| leg != id) else { continue };
            if left <= qty {
                self.cancel_leg(leg, Reason::Oco);
            } else {
                let order = &mut self.orders[leg];
                order.allowed -= qty;
                order.qty -= qty;
                let left = order.remaining();
                self.log(LogKind::Amend, leg, self.close_time, left, Reason::Oco);
            }
        }
    }

    /// Leaves orders under way nothing but to close the position: after a protective exit the pair's target is 0.
    ///
    /// Without this a reversal, sent for the position and the new target together, would take twice its target.
    fn disarm(&mut self, leg: usize, p: usize) {
        let reason = self.orders[leg].reason;
        for k in 0..self.live[p].len() {
            let id = self.live[p][k];
            let order = &mut self.orders[id];
            if order.own && order.group.is_none() && order.alive() && !order.reduce_only && !order.closes_only {
                order.closes_only = true;
                let left = order.remaining();
                self.log(LogKind::Amend, id, self.close_time, left, reason);
            }
        }
    }

    /// Cancels what protects a position that order `id` closed.
    pub(super) fn close_groups(&mut self, id: usize, p: usize) {
        for k in 0..self.live[p].len() {
            let leg = self.live[p][k];
            let order = &self.orders[leg];
            if order.group.is_some() && leg != id && order.alive() {
                self.cancel_leg(leg, Reason::PositionClosed);
            }
        }
    }

    fn cancel_leg(&mut self, leg: usize, reason: Reason) {
        self.log(LogKind::Cancel, leg, self.close_time, self.orders[leg].remaining(), reason);
        self.end(leg, State::Cancelled, reason);
    }

    /// Attaches risk's stop, target and trail to a position that was just opened.
    pub(super) fn protect(&mut self, parent: Parent, paid: Paid, qty: i64) -> Option<u32> {
        let tick = self.spec.instruments[parent.pair].tick;
        let legs = legs(self.spec.protection, paid.price, tick, -parent.side);
        self.attach(parent, paid, qty, legs)
    }

    /// Makes a group of the legs that there are.
    fn attach(&mut self, parent: Parent, paid: Paid, qty: i64, legs: [Option<Leg>; 3]) -> Option<u32> {
        if legs.iter().all(Option::is_none) {
            return None;
        }
        self.groups.push(Group::default());
        let group = (self.groups.len() - 1) as u32;
        for leg in legs.iter().flatten() {
            self.child(parent, group, qty, paid, leg);
        }
        Some(group)
    }

    /// Creates the group of a scripted order, or enlarges it after a further fill.
    fn bracket(&mut self, id: usize, paid: Paid, qty: i64) {
        if qty <= 0 {
            return;
        }
        let order = &self.orders[id];
        let Some(Bracket { stop_loss, take_profit, trail }) = order.bracket else { return };
        let (parent, reason) = (Parent::of(order), order.reason);
        if let Some(group) = order.child {
            let legs = self.groups[group as usize];
            if legs.legs().any(|leg| self.open_qty(leg).is_some()) {
                for leg in legs.legs() {
                    if self.open_qty(leg).is_some() {
                        let order = &mut self.orders[leg];
                        order.qty += qty;
                        order.allowed += qty;
                        let left = order.remaining();
                        self.log(LogKind::Amend, leg, self.close_time, left, reason);
                    }
                }
                return;
            }
        }
        let legs = [
            (stop_loss != 0).then(|| Leg::stop(stop_loss)),
            (take_profit != 0).then(|| Leg::target(take_profit)),
            (trail != 0).then(|| Leg::trailing(trail, 0)),
        ];
        self.orders[id].child = self.attach(parent, paid, qty, legs);
    }

    fn child(&mut self, parent: Parent, group: u32, qty: i64, paid: Paid, leg: &Leg) {
        let Parent { pair, time, own, .. } = parent;
        let request = leg.request(pair, -parent.side, qty, parent.tag);
        let id = self.new_order(request, qty, time, self.row, own);
        let order = &mut self.orders[id];
        order.group = Some(group);
        order.state = State::Active;
        order.birth = paid.market;
        order.best = paid.price;
        order.born_inside = !self.open_phase;
        order.trail_rate = leg.rate;
        if leg.kind == OrderType::Trailing {
            self.set_level(id);
        }
        self.groups[group as usize].push(id);
        self.live[pair].push(id);
        self.touched[pair] = true;
        self.log(LogKind::Submit, id, time, qty, leg.reason);
    }

    /// Makes the position's own group cover exactly the position.
    fn resize(&mut self, id: usize, p: usize, qty: i64) {
        let Some(group) = self.protection[p] else { return };
        let reason = self.orders[id].reason;
        for leg in self.groups[group as usize].legs() {
            if self.open_qty(leg).is_some_and(|left| left != qty) {
                let order = &mut self.orders[leg];
                order.allowed = order.filled + qty;
                order.qty = order.allowed;
                self.log(LogKind::Amend, leg, self.close_time, qty, reason);
            }
        }
    }
}

/// A price times 10^-8 brought to the tick: up for buys, down for sells.
fn toward(value: i128, tick: i64, side: i64) -> i64 {
    // Rounding twice the same way is rounding once, and keeps both divisions narrow.
    let step = i128::from(tick);
    let ticks = if side > 0 {
        ceil_div(ceil_div(value, WIDE_UNIT), step)
    } else {
        floor_div(floor_div(value, WIDE_UNIT), step)
    };
    narrow(mul(ticks, step))
}
