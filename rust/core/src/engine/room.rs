//! Room for what closes a position: orders that had counted on closing it are cut to what the limits still admit.
//!
//! What only reduces is always admitted. Yet it may close what a working order that turns the position had counted on
//! closing, which then ends as much farther on the other side. Each order that leaves pays for what it adds to the reach
//! of the working ones; `core/room.py` says what holds then, and why.

use super::admission::{may_open, multiple, reach};
use super::codes::{LogKind, State};
use super::contract::unit_price;
use super::decision::Now;
use super::limits::Trigger;
use super::number::{UNIT, WIDE_UNIT, ceil_div, floor_div, mul, narrow, times, to_lot};
use super::simulator::Simulator;
use super::var_limit::{Asking, admissible};

/// A limit that is exceeded, and by how much: cash units, the number measured, the number allowed.
struct Excess {
    trigger: Trigger,
    by: i128,
    value: f64,
    limit: f64,
}

/// Cuts working orders on the side of the new order `id`, which is about to be sent, to what the limits admit beside it.
///
/// The newest go first. What prices alone carried beyond a limit is not cut.
pub(super) fn make_room(sim: &mut Simulator, now: Now<'_>, id: usize) {
    let limits = sim.watch.limits;
    if limits.shadow || !limits.bounds_exposure() {
        return;
    }
    let (p, side, n) = (sim.orders[id].pair(), sim.orders[id].side(), sim.live.len());
    let reaches: Vec<_> = (0..n).map(|j| reach(sim, j, None)).collect();
    let (before, after) = (reaches[p], reach(sim, p, Some(id)));
    if after.toward(side) == before.toward(side) {
        return;
    }
    let units: Vec<i64> = (0..n).map(|j| unit_price(sim.ledger.inverse(j), now.bars.close(j))).collect();
    let worth = sim.ledger.equity(now.bars).max(0);
    let share = |limit: i64| floor_div(mul(worth, i128::from(limit)), WIDE_UNIT);
    let trades = sim.watch.opened + reaches.iter().map(|reach| reach.open).sum::<i64>();
    if limits.max_trades > 0 && trades > limits.max_trades {
        let by = times(after.toward(side).max(0), units[p]);
        let (value, limit) = (trades as f64, limits.max_trades as f64);
        cut(sim, now, id, Some(p), Excess { trigger: Trigger::MaxTrades, by, value, limit });
    }
    if limits.max_gross >= 0 {
        let after = reach(sim, p, Some(id));
        let rest: i128 = (0..n).filter(|&j| j != p).map(|j| times(reaches[j].widest(), units[j])).sum();
        let wanted = rest + times(after.widest(), units[p]);
        let by = wanted - share(limits.max_gross).max(rest + times(before.widest(), units[p]));
        let (value, limit) = (multiple(wanted, worth), limits.max_gross as f64 / UNIT as f64);
        cut(sim, now, id, Some(p), Excess { trigger: Trigger::MaxGross, by, value, limit });
    }
    if limits.max_net >= 0 {
        let net: i128 = (0..n).map(|j| times(reaches[j].toward(side), units[j])).sum();
        let lift = reach(sim, p, Some(id)).toward(side) - before.toward(side);
        let wanted = net + times(lift, units[p]);
        let by = wanted - share(limits.max_net).max(net);
        let (value, limit) = (multiple(wanted, worth), limits.max_net as f64 / UNIT as f64);
        cut(sim, now, id, None, Excess { trigger: Trigger::MaxNet, by, value, limit });
    }
    if limits.max_var >= 0 {
        let far = reach(sim, p, Some(id)).toward(side);
        let wider = (far - before.toward(side).max(side * sim.ledger.position[p]).max(0)).max(0);
        let asking = Asking { p, side, qty: wider, asked: wider };
        let (room, value) = admissible(sim, asking, &reaches, |j| units[j], worth);
        let (by, limit) = (times(wider - room, units[p]), limits.max_var as f64 / UNIT as f64);
        cut(sim, now, id, Some(p), Excess { trigger: Trigger::MaxVar, by, value, limit });
    }
}

/// Cuts what working orders, of one pair or of all, may open on the side of the new order `id` by an excess.
fn cut(sim: &mut Simulator, now: Now<'_>, id: usize, pair: Option<usize>, excess: Excess) {
    let Excess { trigger, by: mut left, value, limit } = excess;
    if left <= 0 {
        return;
    }
    let (p, side, n) = (sim.orders[id].pair(), sim.orders[id].side(), sim.live.len());
    let beyond = |j: usize| {
        let far = reach(sim, j, (j == p).then_some(id)).toward(side);
        (far - (side * sim.ledger.position[j]).max(0)).max(0)
    };
    let mut beyond: Vec<i64> = (0..n).map(beyond).collect();
    let in_reach = |j: usize| pair.is_none_or(|pair| pair == j);
    let mut found: Vec<usize> = (0..n).filter(|&j| in_reach(j)).flat_map(|j| sim.live[j].iter().copied()).collect();
    found.retain(|&other| may_open(&sim.orders[other]) && sim.orders[other].side() == side);
    found.sort_unstable_by(|a, b| b.cmp(a));
    for other in found {
        let order = &mut sim.orders[other];
        let (j, remaining) = (order.pair(), order.remaining());
        let opens = remaining.min(beyond[j]);
        if left <= 0 || opens <= 0 {
            continue;
        }
        let (instrument, price) = (sim.spec.instruments[j], now.bars.close(j));
        let unit = unit_price(sim.ledger.inverse(j), price);
        let closing = to_lot(remaining - opens, instrument.lot);
        let needed = narrow(ceil_div(left, i128::from(unit.max(1))).min(i128::from(opens)));
        let at = if order.price() != 0 { order.price() } else { price };
        let kept = instrument.without_dust(to_lot(remaining - needed, instrument.lot), closing, at);
        let less = remaining - kept;
        left -= times(less, unit);
        beyond[j] -= less;
        order.allowed -= less;
        order.cut_reason = trigger.reason();
        let kind = if kept > 0 { LogKind::Amend } else { LogKind::Cancel };
        sim.log(kind, other, now.time, kept, trigger.reason());
        if kept == 0 {
            sim.end(other, State::Cancelled, trigger.reason());
        }
        sim.watch.refuse(now.time, trigger, value, limit, j as i64, other as i64);
    }
}
