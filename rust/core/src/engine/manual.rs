//! What users ordered beside the strategy, and how much of it counts.

use super::codes::{Reason, State};
use super::decision::Now;
use super::order::Request;
use super::parents::{Manual, Parent, Parents, Task};
use super::simulator::Simulator;

impl Parents {
    /// Takes a user's order; asks for its first child, unless it is refused.
    pub fn give(&mut self, sim: &mut Simulator, now: Now<'_>, manual: Manual, paused: bool) -> Option<Request> {
        let Manual { pair, side, qty, plan } = manual;
        let position = sim.ledger.position[pair];
        let reducing = side * position.signum() < 0 && qty <= position.abs();
        let task = Task { pair, side, qty, reduce_only: reducing, reason: Reason::Manual, own_plan: Some(plan) };
        let number = self.open(sim, now, task);
        self.manual.push(number);
        if paused && !reducing {
            self.all[number].end(State::Rejected, Reason::Paused, now.row);
        } else if now.bars.close(pair) == 0 {
            self.all[number].end(State::Rejected, Reason::StaleGap, now.row);
        }
        let request = self.all[number].asked(sim, now);
        self.bury();
        request
    }

    /// What users ordered since the strategy last acted on a pair, signed: no part of its target.
    ///
    /// Of an order that ended, refused or taken back it is what filled, of one that works on all that it is to fill.
    pub fn given(&self, sim: &Simulator, p: usize) -> i64 {
        let mine = self.manual.iter().map(|&n| &self.all[n]).filter(|parent| parent.task.pair == p);
        let counted = |parent: &Parent| if parent.end_row < 0 { parent.task.qty } else { parent.filled(sim) };
        self.base[p] + mine.map(|parent| parent.task.side * counted(parent)).sum::<i64>()
    }

    /// Lets so much count as ordered by users, whatever else fills of their orders that have ended.
    pub fn settle(&mut self, sim: &Simulator, p: usize, given: i64) {
        let all = &self.all;
        self.manual.retain(|&n| all[n].task.pair != p || all[n].end_row < 0);
        self.base[p] += given - self.given(sim, p);
    }

    /// Takes what users ordered of a pair back, and their children: nothing of it counts any more.
    pub fn forget(&mut self, sim: &mut Simulator, now: Now<'_>, p: usize, reason: Reason) {
        for &n in &self.alive {
            let parent = &mut self.all[n];
            if parent.task.pair == p && parent.task.own_plan.is_some() {
                parent.withdraw(sim, now, reason, |_, _| true);
                let done = parent.filled(sim) >= parent.task.qty;
                let (state, why) = if done { (State::Filled, Reason::None) } else { (State::Cancelled, reason) };
                parent.end(state, why, now.row);
            }
        }
        self.bury();
        self.settle(sim, p, 0);
    }

    /// What parents have still to send that reduces a position, beside their working children.
    ///
    /// One that opens beside a market order which closes has nothing to close.
    pub fn reducing(&self, sim: &Simulator, p: usize, position: i64) -> i64 {
        let closes = |parent: &&Parent| {
            parent.task.side * position.signum() < 0 && (parent.task.reduce_only || !parent.plan.exit_market)
        };
        let rest = |parent: &Parent| parent.task.qty - parent.filled(sim) - parent.under_way(sim, |_| true);
        self.of(p).filter(closes).map(|parent| rest(parent).max(0)).sum()
    }
}
