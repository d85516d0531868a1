//! What the account's limits do to targets and orders: watch each instant, take back, close, bound, admit.

use super::admission::admit;
use super::codes::{LogKind, Reason};
use super::contract::unit_price;
use super::control::reduction;
use super::decision::{Decider, Now, open_remainder, submit};
use super::ledger::Marks;
use super::limits::{Effect, Safety, Trigger};
use super::market::Bars;
use super::number::{UNIT, WIDE_FIX, WIDE_UNIT, floor_div, mul, narrow, times, to_lot};
use super::order::Request;
use super::parents::Parents;
use super::simulator::Simulator;
use super::throttle::hold_back;
use super::var_limit::cut_targets;
use super::watch::Breach;

impl Decider {
    /// Takes an instant's marks before its decision, and does what the state that follows asks for.
    pub(super) fn observe(&mut self, sim: &mut Simulator, now: Now<'_>, marks: &Marks) {
        if !sim.watch.limits.on() {
            return;
        }
        let before = sim.watch.effect();
        let (swan, stale) = (swan(sim, now.bars), stale(sim));
        sim.watch.observe(now.time, marks.equity, swan, stale);
        let effect = sim.watch.effect();
        if effect < Effect::Halt {
            return;
        }
        for p in 0..self.target.len() {
            if effect > before {
                self.take_back(sim, p, now, effect == Effect::Flatten);
            }
            if effect == Effect::Flatten {
                close(sim, &self.parents, p, now);
            }
        }
    }

    /// Takes back what would open or enlarge a position, or everything but protection; lets targets follow.
    fn take_back(&mut self, sim: &mut Simulator, p: usize, now: Now<'_>, everything: bool) {
        let (reason, position) = (sim.watch.cause.reason(), sim.ledger.position[p]);
        for k in 0..sim.live[p].len() {
            let id = sim.live[p][k];
            let order = &mut sim.orders[id];
            if order.group.is_some() || !order.alive() || order.cancel_at >= 0 {
                continue;
            }
            let closes = order.reduce_only || order.closes_only;
            if everything || !(closes || -order.side() * position.signum() > 0) {
                sim.cancel(id, reason, now.time);
            } else if !closes {
                order.closes_only = true;
                let left = order.remaining();
                sim.log(LogKind::Amend, id, now.time, left, reason);
            }
        }
        let turning = !everything && self.parents.enlarges(p);
        let standing = self.target[p];
        let wanted = bounded(sim, &self.parents, p, standing + self.parents.given(sim, p), standing);
        self.parents.cancel(sim, p, reason, !everything, now.row);
        self.target[p] = bounded(sim, &self.parents, p, standing, standing);
        self.parents.settle(sim, p, wanted - self.target[p]);
        if turning
            && !sim.spec.scripted
            && let Some(request) = reduction(sim, &self.parents, p, wanted, false)
        {
            submit(sim, now, request, true, false);
        }
        if everything {
            self.keep_out(sim, p, now.row);
        }
        sim.touched[p] = true;
    }

    /// Keeps a pair that is being closed out of the market until its forecast changes, or its script goes on.
    pub(super) fn keep_out(&mut self, sim: &mut Simulator, p: usize, row: i64) {
        self.flattened[p] = true;
        if !sim.spec.scripted {
            sim.stopped_row[p] = row;
        }
    }
}

/// Closes a pair's position at the market, where no order under way does and the venue would take one.
fn close(sim: &mut Simulator, parents: &Parents, p: usize, now: Now<'_>) {
    let (instrument, position) = (sim.spec.instruments[p], sim.ledger.position[p]);
    if !now.bars.real(p) && sim.gap[p] > sim.spec.max_gap {
        return;
    }
    let rest = position + open_remainder(sim, parents, p, position);
    let qty = rest.abs() / instrument.lot * instrument.lot;
    if qty == 0 || rest.signum() * position.signum() <= 0 || !instrument.takes(qty, now.bars.close(p)) {
        return;
    }
    let reason = sim.watch.cause.reason();
    let request = Request { pair: p, side: -position.signum(), qty, reduce_only: true, reason, ..Request::default() };
    submit(sim, now, request, true, false);
}

/// The target nearest to the one wanted that the state of the account allows where one stands.
pub(super) fn bounded(sim: &Simulator, parents: &Parents, p: usize, target: i64, standing: i64) -> i64 {
    let held = sim.ledger.position[p];
    let reach = match sim.watch.effect() {
        Effect::None => return target,
        Effect::Flatten => return 0,
        Effect::ReduceOnly => {
            let reach = held + open_remainder(sim, parents, p, held);
            let goes_on = sim.watch.cause == Trigger::MaxTrades && held.abs() >= sim.spec.instruments[p].lot;
            // What it was opened for is still due, though no order may be under way just now.
            match held.signum() {
                1 if goes_on => reach.max(standing),
                -1 if goes_on => reach.min(standing),
                _ => reach,
            }
        }
        Effect::Halt => held,
    };
    target.min(reach.max(0)).max(reach.min(0))
}

/// Cuts targets so that together they stay within the limits of the book: all of them, or all of one side, alike.
///
/// What only drifting prices make too large is cut without a record (`news` false). Throttled, they are smaller first.
pub(super) fn scale(sim: &mut Simulator, now: Now<'_>, target: &[i64], wanted: &mut [Option<i64>], news: bool) {
    let limits = sim.watch.limits;
    hold_back(sim, wanted);
    if limits.max_gross < 0 && limits.max_net < 0 && limits.max_var < 0 {
        return;
    }
    let worth = sim.ledger.equity(now.bars).max(0);
    let mut given = wanted.to_vec();
    let share = |limit: i64| floor_div(mul(worth, i128::from(limit)), WIDE_UNIT);
    let gross: i128 = values(sim, now, target, &given).iter().map(|value| value.abs()).sum();
    if limits.max_gross >= 0 && gross > share(limits.max_gross) {
        let cut = Cut { trigger: Trigger::MaxGross, side: 0, whole: gross, most: share(limits.max_gross) };
        cut.apply(sim, now, &mut given, news.then_some((gross, worth, limits.max_gross)));
    }
    let now_worth = values(sim, now, target, &given);
    let net: i128 = now_worth.iter().sum();
    if limits.max_net >= 0 && net.abs() > share(limits.max_net) {
        let whole: i128 = now_worth.iter().filter(|value| **value * net.signum() > 0).map(|value| value.abs()).sum();
        let most = share(limits.max_net) + whole - net.abs();
        let cut = Cut { trigger: Trigger::MaxNet, side: net.signum() as i64, whole, most };
        cut.apply(sim, now, &mut given, news.then_some((net.abs(), worth, limits.max_net)));
    }
    if limits.max_var >= 0
        && let Some(at_risk) = cut_targets(sim, now, target, &mut given, worth)
        && news
    {
        sim.watch.refuse(now.time, Trigger::MaxVar, at_risk, limits.max_var as f64 / UNIT as f64, -1, -1);
    }
    if !limits.shadow {
        wanted.copy_from_slice(&given);
    }
}

/// What each pair's target is worth at its last close; nothing where it has to stay out.
fn values(sim: &Simulator, now: Now<'_>, target: &[i64], given: &[Option<i64>]) -> Vec<i128> {
    let qty = |p: usize| if sim.stopped_row[p] >= 0 { 0 } else { given[p].unwrap_or(target[p]) };
    (0..given.len()).map(|p| times(qty(p), unit_price(sim.ledger.inverse(p), now.bars.close(p)))).collect()
}

/// A cut of all targets, or of those of one side, to a part of what they are worth together.
struct Cut {
    trigger: Trigger,
    side: i64,
    whole: i128,
    most: i128,
}

impl Cut {
    /// Cuts; records exposure, equity and limit where they are told.
    fn apply(&self, sim: &mut Simulator, now: Now<'_>, given: &mut [Option<i64>], told: Option<(i128, i128, i64)>) {
        if let Some((exposure, worth, limit)) = told {
            let value = if worth > 0 { exposure as f64 / worth as f64 } else { 0.0 };
            sim.watch.refuse(now.time, self.trigger, value, limit as f64 / UNIT as f64, -1, -1);
        }
        let share = floor_div(mul(self.most.max(0), WIDE_FIX), self.whole);
        for (p, slot) in given.iter_mut().enumerate() {
            let Some(wanted) = slot.filter(|wanted| *wanted != 0 && wanted.signum() * self.side >= 0) else { continue };
            if sim.stopped_row[p] < 0 {
                let size = narrow(floor_div(mul(i128::from(wanted.abs()), share), WIDE_FIX));
                *slot = Some(wanted.signum() * to_lot(size, sim.spec.instruments[p].lot));
            }
        }
    }
}

/// Passes the new order `id` through the limits: the quantity that may go; where that is none, why.
pub(super) fn admitted(sim: &mut Simulator, now: Now<'_>, id: usize, qty: i64) -> (i64, Reason) {
    let answer = admit(sim, id, qty, now.bars);
    if answer.trigger == Trigger::None {
        return (qty, Reason::None);
    }
    if sim.watch.effect() == Effect::None || answer.trigger != sim.watch.cause {
        let pair = sim.orders[id].pair() as i64;
        sim.watch.refuse(now.time, answer.trigger, answer.value, answer.limit, pair, id as i64);
    }
    if sim.watch.limits.shadow {
        return (qty, Reason::None);
    }
    sim.orders[id].closes_only = answer.closes && answer.qty > 0;
    (answer.qty, if answer.qty > 0 { Reason::None } else { answer.trigger.reason() })
}

/// Whether a limit acts on every row: it does until an account that closes everything holds nothing.
pub(super) fn restless(sim: &Simulator) -> bool {
    let held = || sim.ledger.position.iter().zip(&sim.spec.instruments).any(|(q, i)| q.abs() >= i.lot);
    match sim.watch.effect() {
        Effect::None => false,
        Effect::Flatten => held(),
        Effect::ReduceOnly | Effect::Halt => true,
    }
}

/// The first pair whose bar moved by more than the allowed multiple of what was usual before it.
fn swan(sim: &mut Simulator, bars: Bars<'_>) -> Option<Breach> {
    let limit = sim.watch.limits.black_swan as f64 / UNIT as f64;
    let mut found = None;
    for (p, moves) in sim.watch.moves.iter_mut().enumerate() {
        if !bars.real(p) {
            moves.miss();
            continue;
        }
        let Some((moved, usual)) = moves.update(bars.close(p)) else { continue };
        if found.is_none() && moved > limit * usual {
            let (trigger, state) = (Trigger::BlackSwan, Safety::Killed);
            found = Some(Breach { trigger, state, value: moved / usual, limit, reference: usual, pair: p as i64 });
        }
    }
    found
}

/// The first pair with a position that had no bar for too long.
fn stale(sim: &Simulator) -> Option<Breach> {
    let limit = sim.watch.limits.stale_ns;
    let age = |p: usize| sim.gap[p] * sim.spec.timeframe_ns;
    let p = (0..sim.gap.len()).find(|&p| limit > 0 && sim.ledger.position[p] != 0 && age(p) >= limit)?;
    Some(Breach {
        trigger: Trigger::StaleData,
        state: Safety::Throttled,
        value: age(p) as f64 / 1e9,
        limit: limit as f64 / 1e9,
        reference: 0.0,
        pair: p as i64,
    })
}
