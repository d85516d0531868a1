//! What time alone does to a pair: arms it again, closes its position, ends the patience with an order.

use super::codes::{OrderType, Reason};
use super::decision::{Now, is_own};
use super::simulator::Simulator;

/// Arms a stopped-out pair again when its rule says so; tells whether it was.
pub(super) fn rearm(sim: &mut Simulator, p: usize, changed: bool, row: i64, bars: i64) -> bool {
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

/// Takes back own orders that rested longer than the executor's patience; tells whether any was.
pub(super) fn timed_out(sim: &mut Simulator, p: usize, now: Now<'_>) -> bool {
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

/// Whether a target gives the position up: then its signal closes it, and no time stop.
pub(super) fn leaves(sim: &Simulator, p: usize, target: Option<i64>) -> bool {
    target.is_some_and(|target| target.signum() * sim.ledger.position[p].signum() <= 0)
}

/// Stops a pair out whose position was held for long enough; tells whether it did.
pub(super) fn time_stop(sim: &mut Simulator, p: usize, row: i64) -> bool {
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
