//! The protection of a lone pair's position while nothing reaches it: levels, not yet working orders.
//!
//! Most protection dies untouched when its position is closed. Then its orders and log lines are written down in one
//! go; where a price comes near, they begin to work as if they had from the start.

use super::blotter::Blotter;
use super::codes::{LogKind, OrderType, Reason, State};
use super::levels::{Follower, Levels};
use super::market::PairColumns;
use super::order::Order;
use super::protection::{Leg, Paid, Parent, legs};
use super::recorder::Line;
use super::simulator::{Simulator, Trail};

/// Stop, target and trail of a position that was opened at an open.
#[derive(Debug)]
pub(super) struct Guard {
    parent: Parent,
    qty: i64,
    price: i64,
    legs: [Option<Leg>; 3],
    levels: Levels,
    follower: Option<Follower>,
}

impl Guard {
    /// What risk attaches to a position opened at `price`, if anything.
    pub(super) fn of(sim: &Simulator, parent: Parent, qty: i64, price: i64) -> Option<Self> {
        let (tick, side) = (sim.spec.instruments[parent.pair].tick, -parent.side);
        let legs = legs(sim.spec.protection, price, tick, side);
        let (mut levels, mut follower, mut any) = (Levels::NONE, None, false);
        for leg in legs.iter().flatten() {
            any = true;
            if leg.kind == OrderType::Trailing {
                let trail = Trail { side, distance: 0, rate: leg.rate, tick };
                follower = Some(Follower { trail, best: price });
            } else if (leg.kind == OrderType::Stop) == (side > 0) {
                levels.up = levels.up.min(leg.stop | leg.limit);
            } else {
                levels.down = levels.down.max(leg.stop | leg.limit);
            }
        }
        any.then_some(Guard { parent, qty, price, legs, levels, follower })
    }

    /// Follows the bars of [row, limit) and returns the first that trades at a level, before which it stands then.
    #[inline]
    pub(super) fn follow(&mut self, pair: &PairColumns<'_>, row: usize, limit: usize) -> usize {
        let (at, follower) = self.ahead(pair, row, limit);
        self.follower = follower;
        at
    }

    /// Whether neither the bars of [row, limit) nor `open` after them reach a level.
    #[inline]
    pub(super) fn outlasts(&self, pair: &PairColumns<'_>, row: usize, limit: usize, open: i64) -> bool {
        let (at, follower) = self.ahead(pair, row, limit);
        at == limit && self.levels.clear(follower.as_ref(), open)
    }

    fn ahead(&self, pair: &PairColumns<'_>, row: usize, limit: usize) -> (usize, Option<Follower>) {
        match self.follower {
            None => (self.levels.reached(pair, row, limit), None),
            Some(follower) => {
                let (at, follower) = self.levels.followed(pair, follower, row, limit);
                (at, Some(follower))
            }
        }
    }

    /// Writes down that its orders were sent, as orders that were taken back when the position was closed.
    #[inline]
    pub(super) fn file(&self, orders: &mut Blotter, lines: &mut Vec<Line>) {
        let Parent { pair, side, time, own, tag } = self.parent;
        for leg in self.legs.iter().flatten() {
            let request = leg.request(pair, -side, self.qty, tag);
            let mut order = Order::new(request, self.qty, time, 0, own);
            (order.trail_rate, order.state, order.end_reason) = (leg.rate, State::Cancelled, Reason::PositionClosed);
            let number = orders.file(&order) as u32;
            lines.push(Line { kind: LogKind::Submit, order: number, time, qty: self.qty, reason: leg.reason });
        }
    }

    /// Writes down that its orders, the first of them numbered `first`, were taken back.
    #[inline]
    pub(super) fn cancel(&self, first: usize, time: i64, lines: &mut Vec<Line>) {
        for (k, _) in self.legs.iter().flatten().enumerate() {
            let (order, reason) = ((first + k) as u32, Reason::PositionClosed);
            lines.push(Line { kind: LogKind::Cancel, order, time, qty: self.qty, reason });
        }
    }

    /// Lets its orders work, as they stand before they meet another bar.
    pub(super) fn rest(self, sim: &mut Simulator) {
        let p = self.parent.pair;
        self.born(sim);
        for &id in &sim.live[p] {
            let order = &mut sim.orders[id];
            order.birth = 0;
            if let Some(Follower { trail, best }) = self.follower.filter(|_| order.kind == OrderType::Trailing) {
                (order.best, order.level) = (best, trail.level(best));
            }
        }
    }

    /// Lets its orders begin to work at the open that opened the position.
    pub(super) fn born(&self, sim: &mut Simulator) {
        let paid = Paid { market: self.price, price: self.price };
        sim.protection[self.parent.pair] = sim.protect(self.parent, paid, self.qty);
    }
}
