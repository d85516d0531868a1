//! Exits that were lost: what of a position nobody wants any more and nothing on its way reduces.

use super::codes::Reason;
use super::control::reduced;
use super::decision::{Decider, Now};
use super::number::to_lot;
use super::order::Request;
use super::simulator::Simulator;

/// How much of a pair's position lies beyond what is wanted, with nothing under way or planned to reduce it.
///
/// An exit that an outage or the venue refused, and what filled while it was being taken back, remain so. An order on
/// its way back still counts as under way: until it is back it may fill.
pub(super) fn beyond(sim: &Simulator, decider: &Decider, p: usize) -> i64 {
    let (position, lot) = (sim.ledger.position[p], sim.spec.instruments[p].lot);
    let wanted = decider.target[p] + decider.parents.given(sim, p);
    let mut rest = position.abs() - reduced(position, wanted).abs();
    if rest < lot {
        return 0;
    }
    for &id in &sim.live[p] {
        let order = &sim.orders[id];
        let market = order.group.is_none() || order.takes_market();
        if order.alive() && order.side() * position.signum() < 0 && market {
            rest -= order.remaining();
        }
    }
    to_lot((rest - decider.parents.reducing(sim, p, position)).max(0), lot)
}

/// The same, 0 where the venue would not take so little.
pub(super) fn unattended(sim: &Simulator, decider: &Decider, p: usize, now: Now<'_>) -> i64 {
    let qty = beyond(sim, decider, p);
    if qty > 0 && sim.spec.instruments[p].takes(qty, now.bars.close(p)) { qty } else { 0 }
}

/// The market order that closes what is left of a scripted pair which was flattened.
pub(super) fn closed(sim: &Simulator, decider: &Decider, p: usize, now: Now<'_>) -> Option<Request> {
    let (qty, side) = (unattended(sim, decider, p, now), -sim.ledger.position[p].signum());
    let request = Request { pair: p, side, qty, reduce_only: true, reason: Reason::Flatten, ..Request::default() };
    (qty > 0).then_some(request)
}

/// What of an order that turns a position only closes it, 0 where the venue would not take that alone.
pub(super) fn closing_part(sim: &Simulator, p: usize, open_remainder: i64, now: Now<'_>) -> i64 {
    let (position, instrument) = (sim.ledger.position[p], sim.spec.instruments[p]);
    let rest = position + open_remainder;
    let qty = if rest.signum() * position.signum() > 0 { rest.abs().min(position.abs()) } else { 0 };
    let qty = to_lot(qty, instrument.lot);
    if qty > 0 && instrument.takes(qty, now.bars.close(p)) { qty } else { 0 }
}
