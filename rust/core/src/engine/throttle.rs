//! Throttles: new positions are smaller in a drawdown and after losing trades in a row.

use super::limits::Limits;
use super::number::{FIX, UNIT, WIDE_FIX, fix, floor_div, mul, narrow, to_lot};
use super::simulator::Simulator;

/// The share of its size that a new position keeps, 10^-9: 1 down to where it begins, 0 at the limit.
pub(super) fn drawdown_share(limits: &Limits, high: f64, equity: f64) -> i64 {
    if limits.throttle_from < 0 || high <= 0.0 {
        return FIX;
    }
    let (start, end) = (limits.throttle_from as f64 / UNIT as f64, limits.max_drawdown as f64 / UNIT as f64);
    fix(((end - (high - equity) / high) / (end - start)).clamp(0.0, 1.0))
}

/// Whether the row of losses is half as long as the one that begins a cool-down.
pub(super) fn halved(limits: &Limits, streak: i64) -> bool {
    limits.loss_throttle && limits.max_losses > 0 && 2 * streak >= limits.max_losses
}

/// Makes targets smaller that would open or enlarge a position; what is held may be kept.
pub(super) fn hold_back(sim: &Simulator, wanted: &mut [Option<i64>]) {
    let share = sim.watch.share;
    if share == FIX {
        return;
    }
    for (p, slot) in wanted.iter_mut().enumerate() {
        if let Some(target) = *slot {
            let (size, side) = (target.abs(), target.signum());
            let part = narrow(floor_div(mul(i128::from(size), i128::from(share)), WIDE_FIX));
            let kept = to_lot(part.max(side * sim.ledger.position[p]), sim.spec.instruments[p].lot);
            *slot = Some(side * size.min(kept));
        }
    }
}
