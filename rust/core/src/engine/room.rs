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
use super::var_limit::Worst;

/// A limit that is exceeded, and by how much: cash units, the number measured, the number allowed.
struct Excess {
    trigger: Trigger,
    by: i128,
    value: f64,
    limit: f64,
}

/// Cuts working orders on the side of the new order `id`, which is about to be sent, to what the limits admit beside it.
///
/// The newest go first. What prices alone carried beyond a limit is not cut, but by `max_var`.
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
    let others: i64 = (0..n).filter(|&j| j != p).map(|j| reaches[j].fresh).sum();
    let trades = sim.watch.opened + before.open + others;
    if limits.max_trades > 0 && !may_open(&sim.orders[id]) && trades > limits.max_trades {
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
    if limits.max_var >= 0 && worth > 0 {
        hold_to_var(sim, now, id, &units, worth);
    }
}

/// Leaves working orders, the newest first, nothing to open while the worst book is beyond the limit.
fn hold_to_var(sim: &mut Simulator, now: Now<'_>, id: usize, units: &[i64], worth: i128) {
    let (p, n) = (sim.orders[id].pair(), sim.live.len());
    let beside = |sim: &Simulator, j: usize| reach(sim, j, (j == p).then_some(id));
    let worst = |sim: &Simulator| {
        let reaches: Vec<_> = (0..n).map(|j| beside(sim, j)).collect();
        Worst::of(sim, &reaches, |j| units[j], worth)
    };
    let mut found: Vec<usize> = sim.live.iter().flatten().copied().collect();
    found.retain(|&other| may_open(&sim.orders[other]));
    found.sort_unstable_by(|a, b| b.cmp(a));
    let mut at_risk = worst(sim);
    let (value, limit) = (at_risk.share(), sim.watch.limits.max_var as f64 / UNIT as f64);
    for other in found {
        if at_risk.variance.unwrap_or(0) <= at_risk.most {
            break;
        }
        let order = &sim.orders[other];
        let (j, side) = (order.pair(), order.side());
        let far = beside(sim, j).toward(side) - (side * sim.ledger.position[j]).max(0);
        let opens = order.remaining().min(far.max(0));
        if opens > 0 {
            shrink(sim, now, other, (opens, opens), &Excess { trigger: Trigger::MaxVar, by: 0, value, limit });
            at_risk = worst(sim);
        }
    }
}

/// Cuts what working orders, of one pair or of all, may open on the side of the new order `id` by an excess.
fn cut(sim: &mut Simulator, now: Now<'_>, id: usize, pair: Option<usize>, excess: Excess) {
    let mut left = excess.by;
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
        let order = &sim.orders[other];
        let j = order.pair();
        let opens = order.remaining().min(beyond[j]);
        if left <= 0 || opens <= 0 {
            continue;
        }
        let unit = unit_price(sim.ledger.inverse(j), now.bars.close(j));
        let needed = narrow(ceil_div(left, i128::from(unit.max(1))).min(i128::from(opens)));
        let less = shrink(sim, now, other, (opens, needed), &excess);
        left -= times(less, unit);
        beyond[j] -= less;
    }
}

/// Takes at least what is needed of what a working order may open, no dust being left; how much was taken.
fn shrink(sim: &mut Simulator, now: Now<'_>, other: usize, (opens, needed): (i64, i64), excess: &Excess) -> i64 {
    let &Excess { trigger, value, limit, .. } = excess;
    let order = &mut sim.orders[other];
    let (j, remaining) = (order.pair(), order.remaining());
    let (instrument, price) = (sim.spec.instruments[j], now.bars.close(j));
    let closing = to_lot(remaining - opens, instrument.lot);
    let at = if order.price() != 0 { order.price() } else { price };
    let kept = instrument.without_dust(to_lot(remaining - needed, instrument.lot), closing, at);
    let less = remaining - kept;
    order.allowed -= less;
    order.cut_reason = trigger.reason();
    let kind = if kept > 0 { LogKind::Amend } else { LogKind::Cancel };
    sim.log(kind, other, now.time, kept, trigger.reason());
    if kept == 0 {
        sim.end(other, State::Cancelled, trigger.reason());
    }
    sim.watch.refuse(now.time, trigger, value, limit, j as i64, other as i64);
    less
}
