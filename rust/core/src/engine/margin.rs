//! Margin: what it takes to open a position, and how the venue closes one that its margin no longer carries.
//!
//! Positions are judged at the mark: after the fills of the open, inside the bar at the extreme that hurts them, where
//! a stop nearer to the open goes first, and for shared margin at all marks' closes together.

use super::codes::{Liquidity, LogKind, OrderType, Reason, State};
use super::contract::{MarginMode, quoted};
use super::costs::fee_of;
use super::market::Bars;
use super::number::{WIDE_UNIT, add, mul};
use super::order::Request;
use super::protection::Paid;
use super::recorder::Fill;
use super::simulator::Simulator;
use super::watch::Change;

/// The price above which none is looked for.
const HIGHEST: i64 = 1 << 62;

/// An order that margin has to cover.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: usize,
    pub(super) price: i64,
    pub(super) rate: i64,
    pub(super) held: i64,
}

/// The price nearest to `start` at which a condition holds that holds at `stop`, and from there on.
fn first_price(start: i64, stop: i64, holds: impl Fn(i64) -> bool) -> i64 {
    if holds(start) {
        return start;
    }
    let (mut low, mut high, falling) = (start.min(stop), start.max(stop), stop < start);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) == falling {
            low = middle;
        } else {
            high = middle;
        }
    }
    if falling { low } else { high }
}

impl Simulator {
    /// Whether positions may be liquidated.
    #[inline]
    pub(super) fn at_risk(&self) -> bool {
        self.spec.margin.mode != MarginMode::None
    }

    /// What stands behind a pair's position when it is marked at `price`: its own margin, or the account.
    fn equity_at(&self, p: usize, price: i64) -> i128 {
        let ledger = &self.ledger;
        if self.spec.margin.mode == MarginMode::Isolated {
            return add(ledger.margin(p), ledger.value(p, price)) - ledger.basis(p);
        }
        let mut total = add(ledger.cash, ledger.value(p, price));
        for (j, &position) in ledger.position.iter().enumerate() {
            if position != 0 && j != p {
                total = add(total, ledger.value(j, self.others[j]));
            }
        }
        total
    }

    /// Whether the margin behind a pair's position is used up to the maintenance level at `price`.
    fn exposed(&self, p: usize, price: i64) -> bool {
        let (ledger, terms) = (&self.ledger, self.spec.margin);
        let (equity, maintenance) = (self.equity_at(p, price), i128::from(terms.maintenance));
        if terms.mode == MarginMode::Level {
            if ledger.cash >= 0 && ledger.position.iter().all(|&position| position >= 0) {
                return false; // Nothing is borrowed: there is nothing to call.
            }
            let used = (0..ledger.position.len()).map(|j| ledger.basis(j).abs()).sum();
            return mul(equity, i128::from(self.spec.leverage)) <= mul(maintenance, used);
        }
        let mut size = ledger.notional(p, ledger.position[p].abs(), price);
        if terms.mode == MarginMode::Cross {
            for (j, &position) in ledger.position.iter().enumerate() {
                if position != 0 && j != p {
                    size = add(size, ledger.notional(j, position.abs(), self.others[j]));
                }
            }
        }
        mul(equity, WIDE_UNIT) <= mul(maintenance, size)
    }

    /// The price at which nothing is left of the margin behind a position, `otherwise` where there is none.
    fn bankruptcy_price(&self, p: usize, otherwise: i64) -> i64 {
        let nothing_left = |price| self.equity_at(p, price) <= 0;
        let (best, worst) = if self.ledger.position[p] > 0 { (HIGHEST, 1) } else { (1, HIGHEST) };
        if nothing_left(best) || !nothing_left(worst) { otherwise } else { first_price(best, worst, nothing_left) }
    }

    /// Liquidates what the marks of one moment no longer carry; where margin is shared, the largest position first. A
    /// margin level that is reached closes everything.
    pub(super) fn judge(&mut self, price: impl Fn(usize) -> i64) {
        self.others.clear();
        self.others.extend((0..self.live.len()).map(price));
        let ledger = &self.ledger;
        let held = (0..ledger.position.len()).filter(|&p| ledger.position[p] != 0);
        let size = |p: usize| ledger.notional(p, ledger.position[p].abs(), self.others[p]);
        let mut order: Vec<(i128, usize)> = held.map(|p| (-size(p), p)).collect();
        order.sort_unstable();
        for (_, p) in order {
            let price = self.others[p];
            if self.called || self.exposed(p, price) {
                self.liquidate(p, price);
            }
        }
        self.called = false;
    }

    /// Places the venue's order where the bar's marks reach the pair's liquidation; the mark may lie off the bar's own
    /// prices: then the order stands at the nearest of them.
    pub(super) fn threaten(&mut self, bars: Bars<'_>, marks: Bars<'_>, p: usize) -> Option<usize> {
        let found = self.ruin(marks, p)?;
        let id = self.venue_order(p, OrderType::Stop);
        let order = &mut self.orders[id];
        order.best = found;
        order.level = if order.side() < 0 { found.max(bars.low(p)) } else { found.min(bars.high(p)) };
        self.live[p].push(id);
        Some(id)
    }

    /// Closes what the bar's extreme no longer carries once the bar's orders are done.
    pub(super) fn settle_margin(&mut self, marks: Bars<'_>, p: usize, threat: Option<usize>) {
        if let Some(id) = threat
            && self.orders[id].alive()
        {
            if self.ledger.position[p].signum() * self.orders[id].side() < 0 {
                self.close_out(id);
            } else {
                self.end(id, State::Cancelled, Reason::PositionClosed);
            }
        }
        if let Some(found) = self.ruin(marks, p) {
            self.liquidate(p, found);
        }
    }

    /// The first mark between the open and the extreme that hurts the position at which it is liquidated.
    fn ruin(&self, marks: Bars<'_>, p: usize) -> Option<i64> {
        let position = self.ledger.position[p];
        if position == 0 {
            return None;
        }
        let extreme = if position > 0 { marks.pairs[p].low[marks.at] } else { marks.pairs[p].high[marks.at] };
        let exposed = |price| self.exposed(p, price);
        exposed(extreme).then(|| first_price(marks.open(p), extreme, exposed))
    }

    fn venue_order(&mut self, p: usize, kind: OrderType) -> usize {
        let position = self.ledger.position[p];
        let (side, qty) = (-position.signum(), position.abs());
        let request =
            Request { pair: p, side, qty, kind, reduce_only: true, reason: Reason::Liquidation, ..Request::default() };
        let id = self.new_order(request, qty, self.time, self.row, !self.spec.scripted);
        self.advance(id, State::Active);
        id
    }

    fn liquidate(&mut self, p: usize, mark: i64) {
        let id = self.venue_order(p, OrderType::Market);
        self.orders[id].best = mark;
        self.close_out(id);
        self.orders.retire(id);
    }

    /// Fills the venue's order: the whole position, whatever the volume; then takes back the pair's other orders.
    pub(super) fn close_out(&mut self, id: usize) {
        let order = &self.orders[id];
        let (p, side, found, own) = (order.pair(), order.side(), order.best, order.own);
        let before = self.ledger.position[p];
        if before.signum() * side >= 0 {
            self.end(id, State::Cancelled, Reason::PositionClosed);
            return;
        }
        let terms = self.spec.margin;
        let mut price = found;
        if terms.mode != MarginMode::Level {
            let limit = self.bankruptcy_price(p, found);
            price = if terms.at_bankruptcy {
                limit
            } else if before > 0 {
                found.max(limit)
            } else {
                found.min(limit)
            };
        }
        let qty = before.abs();
        let left = self.equity_at(p, price).max(0);
        let notional = self.ledger.notional(p, qty, price);
        let fee = fee_of(notional, terms.fee).min(left);
        let order = &mut self.orders[id];
        (order.qty, order.allowed, order.filled) = (qty, qty, qty);
        self.ledger.book(p, side, qty, price, fee, 0);
        self.called = terms.mode == MarginMode::Level;
        self.fees.add(self.time, quoted(self.ledger.inverse(p), qty, price));
        let (lot, inverse) = (self.spec.instruments[p].lot, self.ledger.inverse(p));
        self.watch.fill(p, side, qty, price, fee, Change { before, after: 0, lot, inverse });
        self.log(LogKind::Submit, id, self.time, qty, Reason::Liquidation);
        self.record.fills.push(Fill {
            row: self.row as u32,
            open_phase: self.time == self.row_open,
            pair: p as u32,
            side: side as i8,
            qty,
            price,
            fee_is_base: false,
            fee,
            slip: 0,
            liquidity: Liquidity::Taker,
            order: id as u32,
            ambiguous: self.ambiguous,
        });
        self.record.liquidations += 1;
        self.advance(id, State::Filled);
        for k in 0..self.live[p].len() {
            let other = self.live[p][k];
            let order = &self.orders[other];
            if other != id && order.alive() && order.group.is_none() {
                self.log(LogKind::Cancel, other, self.time, self.orders[other].remaining(), Reason::Liquidation);
                self.end(other, State::Cancelled, Reason::Liquidation);
            }
        }
        self.worth = None;
        self.after_fill(id, qty, Paid { market: price, price }, before);
        if own {
            self.stopped_row[p] = self.row;
        }
    }

    /// The wallet that no isolated margin holds, once an order has closed what it closes of its pair at `price`.
    fn free(&self, p: usize, side: i64, price: i64) -> i128 {
        let ledger = &self.ledger;
        let held: i128 = (0..ledger.position.len()).map(|j| ledger.margin(j)).sum();
        let mut left = ledger.wallet() - held;
        if ledger.position[p].signum() * side < 0 {
            left += ledger.margin(p) + ledger.value(p, price) - ledger.basis(p);
        }
        left
    }

    /// Tells whether margin covers a quantity larger than what only closes; `reserves` are notional and fees of resting
    /// orders.
    pub(super) fn margin_cover(
        &self,
        bars: Bars<'_>,
        asked: Asked,
        reserves: (i128, i128),
    ) -> impl Fn(i64) -> bool + '_ {
        let Asked { id, price, rate, held } = asked;
        let (ledger, order) = (&self.ledger, &self.orders[id]);
        let (p, side) = (order.pair(), order.side());
        let (notional, fees) = reserves;
        let (mut equity, mut gross) = (ledger.cash - fees + ledger.value(p, price), notional);
        for (j, &position) in ledger.position.iter().enumerate() {
            if position != 0 && j != p {
                equity += ledger.value(j, bars.open(j));
                gross += ledger.notional(j, position.abs(), bars.open(j));
            }
        }
        let (own, leverage, isolated) = (ledger.position[p], i128::from(self.spec.leverage), ledger.isolated());
        let backing = if isolated { self.free(p, side, price) - fees } else { 0 };
        move |qty: i64| {
            let fee = fee_of(ledger.notional(p, qty, price), rate);
            let after = ledger.notional(p, (own + side * qty).abs(), price);
            if mul(gross + after, WIDE_UNIT) > mul(leverage, equity - fee) {
                return false;
            }
            let grown = ledger.notional(p, qty - held, price) + notional;
            !isolated || mul(grown, WIDE_UNIT) <= mul(leverage, backing - fee)
        }
    }
}
