//! What a user tells a session between two decisions: pause, resume, flatten.

use super::codes::{Control, Reason};
use super::decision::{Decider, Now, submit};
use super::order::Request;
use super::simulator::Simulator;

impl Decider {
    /// Does what a user says at the time and the closes of `now`.
    ///
    /// Paused, orders that would open or enlarge a position are taken back and no new ones are sent; protection, exits
    /// and reductions go on. To flatten takes back all but protection, closes every position at the market, and keeps
    /// each pair out until its forecast changes, as after a protective exit.
    pub fn control(&mut self, sim: &mut Simulator, what: Control, now: Now<'_>) {
        if what != Control::Flatten {
            self.paused = what == Control::Pause;
        }
        if what == Control::Resume {
            return;
        }
        let flatten = what == Control::Flatten;
        let reason = if flatten { Reason::Flatten } else { Reason::Paused };
        let mut closing = Vec::new();
        for p in 0..self.target.len() {
            self.target[p] = if flatten { 0 } else { reduced(sim.ledger.position[p], self.target[p]) };
            for k in 0..sim.live[p].len() {
                let id = sim.live[p][k];
                let order = &sim.orders[id];
                if order.group.is_none() && (flatten || !order.reduce_only) {
                    sim.cancel(id, reason, now.time);
                }
            }
            if flatten {
                closing.extend(close(sim, p));
                sim.stopped_row[p] = if sim.spec.scripted { -1 } else { now.row };
                sim.touched[p] = true;
            }
        }
        for request in closing {
            submit(sim, now, request, true, false);
        }
    }
}

/// The order that closes a pair's position.
fn close(sim: &Simulator, p: usize) -> Option<Request> {
    let position = sim.ledger.position[p];
    (position.abs() >= sim.spec.instruments[p].lot).then(|| Request {
        pair: p,
        side: -position.signum(),
        qty: position.abs(),
        reduce_only: true,
        reason: Reason::Flatten,
        ..Request::default()
    })
}

/// The target nearest to the one wanted that does not enlarge the position.
pub(super) fn reduced(position: i64, target: i64) -> i64 {
    target.min(position.max(0)).max(position.min(0))
}
