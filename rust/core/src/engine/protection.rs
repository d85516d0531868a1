//! Protection: reduce-only groups that live from the fill that opened a position, and disarming after they fire.

use super::codes::{LogKind, OrderType, Reason, State};
use super::number::{UNIT, WIDE_UNIT, ceil_div, floor_div, mul, narrow, times, to_lot};
use super::order::{Bracket, Group, Request};
use super::simulator::Simulator;

/// What an order paid, and where the market stood: levels are distances from the former, and the latter is where the
/// new orders meet the market.
#[derive(Clone, Copy)]
pub struct Paid {
    /// Price of the market.
    pub market: i64,
    /// Price of the fill.
    pub price: i64,
}

/// One leg of a group to be.
struct Leg {
    kind: OrderType,
    reason: Reason,
    stop: i64,
    limit: i64,
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
                self.protection[p] = self.protect(id, paid, to_lot(after.abs(), lot));
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

    fn shrink_siblings(&mut self, id: usize, group: u32, qty: i64) {
        for leg in self.groups[group as usize].legs() {
            if leg == id || !self.orders[leg].alive() {
                continue;
            }
            if self.orders[leg].remaining() <= qty {
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

    /// Attaches risk's stop, target and trail to a position that order `id` just opened at `price`.
    pub(super) fn protect(&mut self, id: usize, paid: Paid, qty: i64) -> Option<u32> {
        let rates = self.spec.protection;
        if rates.stop_loss == 0 && rates.take_profit == 0 && rates.trailing == 0 {
            return None;
        }
        let order = &self.orders[id];
        let (tick, side) = (self.spec.instruments[order.pair()].tick, -order.side());
        let group = self.new_group();
        if rates.stop_loss != 0 {
            let stop = toward(times(paid.price, UNIT + side * rates.stop_loss), tick, side);
            let leg = Leg { kind: OrderType::Stop, reason: Reason::StopLoss, stop, limit: 0 };
            self.child(id, group, qty, paid, leg);
        }
        if rates.take_profit != 0 {
            let limit = toward(times(paid.price, UNIT - side * rates.take_profit), tick, -side);
            let leg = Leg { kind: OrderType::Limit, reason: Reason::TakeProfit, stop: 0, limit };
            self.child(id, group, qty, paid, leg);
        }
        if rates.trailing != 0 {
            let leg = Leg { kind: OrderType::Trailing, reason: Reason::TrailingStop, stop: 0, limit: 0 };
            let leg = self.child(id, group, qty, paid, leg);
            self.orders[leg].trail_rate = rates.trailing;
            self.set_level(leg);
        }
        Some(group)
    }

    /// Creates the group of a scripted order, or enlarges it after a further fill.
    fn bracket(&mut self, id: usize, paid: Paid, qty: i64) {
        if qty <= 0 {
            return;
        }
        let order = &self.orders[id];
        let Some(Bracket { stop_loss, take_profit, trail }) = order.bracket.as_deref().copied() else { return };
        let reason = order.reason;
        if let Some(group) = order.child {
            let legs = self.groups[group as usize];
            if legs.legs().any(|leg| self.orders[leg].alive()) {
                for leg in legs.legs() {
                    let order = &mut self.orders[leg];
                    if order.alive() {
                        order.qty += qty;
                        order.allowed += qty;
                        let left = order.remaining();
                        self.log(LogKind::Amend, leg, self.close_time, left, reason);
                    }
                }
                return;
            }
        }
        let group = self.new_group();
        self.orders[id].child = Some(group);
        if stop_loss != 0 {
            let stop = stop_loss;
            self.child(id, group, qty, paid, Leg { kind: OrderType::Stop, reason: Reason::StopLoss, stop, limit: 0 });
        }
        if take_profit != 0 {
            let limit = take_profit;
            let leg = Leg { kind: OrderType::Limit, reason: Reason::TakeProfit, stop: 0, limit };
            self.child(id, group, qty, paid, leg);
        }
        if trail != 0 {
            let leg = Leg { kind: OrderType::Trailing, reason: Reason::TrailingStop, stop: 0, limit: 0 };
            let leg = self.child(id, group, qty, paid, leg);
            self.orders[leg].trail = trail;
            self.set_level(leg);
        }
    }

    fn new_group(&mut self) -> u32 {
        self.groups.push(Group::default());
        (self.groups.len() - 1) as u32
    }

    fn child(&mut self, parent: usize, group: u32, qty: i64, paid: Paid, leg: Leg) -> usize {
        let order = &self.orders[parent];
        let (time, own) = (order.time, order.own);
        let request = Request {
            pair: order.pair(),
            side: -order.side(),
            qty,
            kind: leg.kind,
            limit_price: leg.limit.max(0),
            stop_price: leg.stop.max(0),
            trail: if leg.kind == OrderType::Trailing {
                order.bracket.as_ref().map_or(0, |bracket| bracket.trail)
            } else {
                0
            },
            reduce_only: true,
            reason: leg.reason,
            tag: i64::from(order.tag),
            ..Request::default()
        };
        let id = self.new_order(request, qty, time, self.row, own);
        let order = &mut self.orders[id];
        order.group = Some(group);
        order.state = State::Active;
        order.birth = paid.market;
        order.best = paid.price;
        order.born_inside = !self.open_phase;
        self.groups[group as usize].push(id);
        self.live[request.pair].push(id);
        self.touched[request.pair] = true;
        self.log(LogKind::Submit, id, time, qty, leg.reason);
        id
    }

    /// Makes the position's own group cover exactly the position.
    fn resize(&mut self, id: usize, p: usize, qty: i64) {
        let Some(group) = self.protection[p] else { return };
        let reason = self.orders[id].reason;
        for leg in self.groups[group as usize].legs() {
            let order = &mut self.orders[leg];
            if order.alive() && order.remaining() != qty {
                order.allowed = order.filled + qty;
                order.qty = order.allowed;
                self.log(LogKind::Amend, leg, self.close_time, qty, reason);
            }
        }
    }
}

/// A price times 10^-8 brought to the tick: up for buys, down for sells.
fn toward(value: i128, tick: i64, side: i64) -> i64 {
    let unit = WIDE_UNIT * i128::from(tick);
    let ticks = if side > 0 { ceil_div(value, unit) } else { floor_div(value, unit) };
    narrow(mul(ticks, i128::from(tick)))
}
