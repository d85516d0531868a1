//! How prices ran inside a bar: in which order levels are reached.
//!
//! `run_pessimistic` assumes the worst admissible order; `run_path` walks a given path open, extreme, extreme, close.
//! In both, a protective order born where the market is already past its level acts there and then.

use super::codes::{OrderType, State, Tif};
use super::market::Bars;
use super::simulator::Simulator;

const UP: i64 = 1;
const DOWN: i64 = -1;

impl Simulator {
    /// Fills the pair's orders inside the bar in the worst admissible order.
    pub fn run_pessimistic(&mut self, bars: Bars<'_>, p: usize) {
        self.settle_births(bars, p);
        let reached = |direction| self.live[p].iter().any(|&id| self.reached(bars, id, direction));
        let (up, down) = (reached(UP), reached(DOWN));
        self.ambiguous = up && down;
        if up || down {
            let position = self.ledger.position[p];
            let first = if position != 0 {
                if position > 0 { DOWN } else { UP }
            } else if up && down {
                let open = bars.open(p);
                if bars.high(p) - open < open - bars.low(p) { UP } else { DOWN }
            } else if up {
                UP
            } else {
                DOWN
            };
            self.sweep(bars, p, first, false);
            self.sweep(bars, p, -first, false);
            self.sweep(bars, p, first, true);
            if self.make_at_close(bars, p) {
                self.sweep(bars, p, first, true);
                self.sweep(bars, p, -first, true);
            }
        }
        self.ambiguous = false;
    }

    /// Fills the pair's orders along the path through `points`.
    pub fn run_path(&mut self, bars: Bars<'_>, p: usize, points: [i64; 4]) {
        self.settle_births(bars, p);
        let reached = |direction| self.live[p].iter().any(|&id| self.reached(bars, id, direction));
        self.ambiguous = reached(UP) && reached(DOWN);
        let mut here = points[0];
        let mut done: Vec<usize> = Vec::new();
        for &target in &points[1..] {
            let direction = if target > here { UP } else { DOWN };
            while target != here {
                let mut best: Option<(i64, usize)> = None;
                for &id in &self.live[p] {
                    if done.contains(&id) {
                        continue;
                    }
                    let Some(level) = self.level(id, direction) else { continue };
                    if !self.passes(id, level, target, direction) {
                        continue;
                    }
                    let level = if direction == UP { level.max(here) } else { level.min(here) };
                    let key = (direction * level, id);
                    if best.is_none_or(|found| key < found) {
                        best = Some(key);
                    }
                }
                let Some((key, id)) = best else { break };
                here = direction * key;
                let order = &self.orders[id];
                let inside = order.born_inside;
                if order.rests_as_limit() {
                    done.push(id);
                }
                self.execute(bars, id, here, inside);
                self.settle_births(bars, p);
            }
            here = target;
        }
        self.ambiguous = false;
    }

    /// Lets orders act that were born where the market is past their level, stops first: that price is an ordered point.
    fn settle_births(&mut self, bars: Bars<'_>, p: usize) {
        loop {
            let born = self.live[p].iter().copied().filter(|&id| self.orders[id].past_level());
            let Some(id) = born.min_by_key(|&id| (self.orders[id].rests_as_limit(), id)) else { return };
            let price = std::mem::take(&mut self.orders[id].birth);
            if self.orders[id].rests_as_limit() {
                self.take(bars, id, price, false);
            } else {
                let inside = self.orders[id].born_inside;
                self.execute(bars, id, price, inside);
            }
        }
    }

    /// Fills limits that began to rest inside the bar and that its close is beyond; returns whether any did.
    fn make_at_close(&mut self, bars: Bars<'_>, p: usize) -> bool {
        let close = bars.close(p);
        let mut found = false;
        for k in 0..self.live[p].len() {
            let id = self.live[p][k];
            let order = &self.orders[id];
            if order.born_inside && order.alive() && order.rests_as_limit() {
                let beyond = order.side() * (order.limit - close);
                if beyond > 0 || (beyond == 0 && self.spec.limit_touch) {
                    self.ambiguous = true;
                    found = true;
                    self.make(bars, id);
                    self.settle_births(bars, p);
                }
            }
        }
        found
    }

    /// The price at which the order acts when prices move in `direction`, if they concern it.
    fn level(&self, id: usize, direction: i64) -> Option<i64> {
        let order = &self.orders[id];
        if !order.alive() || order.state == State::Pending || order.takes_market() {
            return None;
        }
        if order.tif == Tif::Gtd && order.expire_time < self.close_time {
            return None;
        }
        if order.waits_for_level() {
            (order.side() == direction).then_some(order.level)
        } else {
            (order.side() == -direction).then_some(order.limit)
        }
    }

    /// Whether a move to `extreme` reaches a stop's level, or trades through a limit's price.
    fn passes(&self, id: usize, level: i64, extreme: i64, direction: i64) -> bool {
        let beyond = direction * (extreme - level);
        if self.spec.limit_touch || self.orders[id].waits_for_level() { beyond >= 0 } else { beyond > 0 }
    }

    fn reached(&self, bars: Bars<'_>, id: usize, direction: i64) -> bool {
        self.level(id, direction).is_some_and(|level| {
            let p = self.orders[id].pair();
            let extreme = if direction == UP { bars.high(p) } else { bars.low(p) };
            self.passes(id, level, extreme, direction)
        })
    }

    /// Executes every level reached on one side, nearest to the open first, children born on the way included.
    fn sweep(&mut self, bars: Bars<'_>, p: usize, direction: i64, born_only: bool) {
        let mut done: Vec<usize> = Vec::new();
        let start = bars.open(p);
        loop {
            let mut best: Option<(i64, usize)> = None;
            for &id in &self.live[p] {
                let order = &self.orders[id];
                if done.contains(&id)
                    || (order.born_inside && order.rests_as_limit())
                    || (born_only && !order.born_inside)
                    || !self.reached(bars, id, direction)
                {
                    continue;
                }
                let level = self.level(id, direction).unwrap_or(0);
                let key = ((direction * (level - start)).max(0), id);
                if best.is_none_or(|found| key < found) {
                    best = Some(key);
                }
            }
            let Some((_, id)) = best else { return };
            done.push(id);
            let order = &self.orders[id];
            let level = if order.waits_for_level() { order.level } else { order.limit };
            let inside = order.born_inside;
            self.execute(bars, id, level, inside);
            self.settle_births(bars, p);
        }
    }

    /// Triggers and fills at `price`; a fill of an order born inside the bar is ambiguous.
    fn execute(&mut self, bars: Bars<'_>, id: usize, price: i64, inside: bool) {
        let outer = self.ambiguous;
        self.ambiguous = outer || inside;
        if self.orders[id].waits_for_level() {
            self.advance(id, State::Triggered);
            if self.orders[id].kind == OrderType::StopLimit {
                let order = &mut self.orders[id];
                order.born_inside = order.side() * (order.limit - price) < 0;
                if !order.born_inside {
                    self.take(bars, id, price, false);
                }
            } else {
                self.take(bars, id, price, true);
            }
        } else {
            self.make(bars, id);
        }
        self.ambiguous = outer;
    }
}
