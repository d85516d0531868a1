//! What a user tells a session between two decisions: pause, resume, flatten.

use super::codes::{Control, Reason};
use super::decision::{Decider, Now, open_remainder, submit};
use super::number::{narrow, toward_zero};
use super::order::Request;
use super::parents::{Manual, Parents};
use super::simulator::Simulator;

impl Decider {
    /// Does what a user says at the time and the closes of `now`.
    ///
    /// Paused, orders that would open or enlarge a position are taken back and no new ones are sent; protection, exits
    /// and reductions go on, that of an order taken back which was to turn a position included. To flatten takes back
    /// all but protection, closes every position at the market, and keeps each pair out until its forecast changes.
    /// A reset ends what a limit of the account began. An order is worked by its plan beside the strategy's own, until the
    /// strategy next acts on that pair.
    pub fn control(&mut self, sim: &mut Simulator, what: Control, now: Now<'_>, manual: Option<Manual>) {
        if what == Control::Reset {
            sim.watch.reset(now.time);
            return;
        }
        if what == Control::Order {
            let first = manual.and_then(|manual| self.parents.give(sim, now, manual, self.paused));
            if let Some(request) = first {
                self.send(sim, now, request);
            }
            return;
        }
        if what != Control::Flatten {
            self.paused = what == Control::Pause;
        }
        if what == Control::Resume {
            return;
        }
        let flatten = what == Control::Flatten;
        let reason = if flatten { Reason::Flatten } else { Reason::Paused };
        let mut reducing = Vec::new();
        for p in 0..self.target.len() {
            let position = sim.ledger.position[p];
            let given = self.parents.given(sim, p);
            let wanted = if flatten { 0 } else { reduced(position, self.target[p] + given) };
            self.target[p] = if flatten { 0 } else { reduced(position, self.target[p]) };
            self.parents.cancel(sim, p, reason, !flatten, now.row);
            self.parents.settle(sim, p, wanted - self.target[p]);
            for k in 0..sim.live[p].len() {
                let id = sim.live[p][k];
                let order = &sim.orders[id];
                if order.group.is_none() && (flatten || !order.reduce_only) {
                    sim.cancel(id, reason, now.time);
                }
            }
            if flatten {
                self.keep_out(sim, p, now.row);
            }
            if flatten || !sim.spec.scripted {
                reducing.extend(reduction(sim, &self.parents, p, wanted, flatten));
            }
            sim.touched[p] = true;
        }
        for request in reducing {
            submit(sim, now, request, true, false);
        }
    }
}

/// The market order that reduces a pair's position to its target, where no order under way does.
pub(super) fn reduction(sim: &Simulator, parents: &Parents, p: usize, target: i64, flatten: bool) -> Option<Request> {
    let position = sim.ledger.position[p];
    let under_way = if flatten { 0 } else { open_remainder(sim, parents, p, position) };
    let wanted = i128::from(target) - i128::from(position) - i128::from(under_way);
    let delta = toward_zero(narrow(wanted), sim.spec.instruments[p].lot);
    let reason = match (flatten, target) {
        (true, _) => Reason::Flatten,
        (false, 0) => Reason::ExitSignal,
        (false, _) => Reason::Rebalance,
    };
    (delta.signum() * position.signum() < 0).then(|| Request {
        pair: p,
        side: delta.signum(),
        qty: delta.abs(),
        reduce_only: true,
        reason,
        ..Request::default()
    })
}

/// The target nearest to the one wanted that does not enlarge the position.
pub(super) fn reduced(position: i64, target: i64) -> i64 {
    target.min(position.max(0)).max(position.min(0))
}
