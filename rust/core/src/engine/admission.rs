//! How much of an order the account's limits admit: exposure as if every working order had filled.

use super::codes::{LogKind, Reason};
use super::contract::unit_price;
use super::limits::{Effect, Trigger};
use super::market::Bars;
use super::number::{UNIT, WIDE_UNIT, floor_div, mul, narrow, times, to_lot};
use super::order::Order;
use super::simulator::Simulator;
use super::var_limit::{Asking, admissible};

/// An answer: the quantity that may go (0 refuses), which limit cut it, and the numbers.
#[derive(Clone, Copy, Debug)]
pub struct Admitted {
    /// Quantity.
    pub qty: i64,
    /// The limit, if one cut it.
    pub trigger: Trigger,
    /// Whether all it may do is close what is held.
    pub closes: bool,
    /// What was measured.
    pub value: f64,
    /// What is allowed.
    pub limit: f64,
}

impl Admitted {
    fn whole(qty: i64) -> Self {
        Admitted { qty, trigger: Trigger::None, closes: false, value: 0.0, limit: 0.0 }
    }
}

/// How far working orders can move a pair: its position if all buys filled, and if all sells did. `high` and `low` are
/// where it ends if orders that only reduce come first: those behind them then reach farther.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    up: i64,
    down: i64,
    pub(super) high: i64,
    pub(super) low: i64,
    pub(super) open: i64,
    /// Of the `open` orders those that may open a position: on the side of one that is held, none can before it is closed.
    pub(super) fresh: i64,
}

impl Reach {
    /// How far the pair can move to one side, positive beyond flat.
    pub(super) fn toward(self, side: i64) -> i64 {
        if side > 0 { self.high } else { -self.low }
    }

    /// The largest position, long or short.
    pub(super) fn widest(self) -> i64 {
        self.high.abs().max(self.low.abs())
    }
}

/// Whether an order works that may open or enlarge a position.
pub(super) fn may_open(order: &Order) -> bool {
    order.alive() && !order.reduce_only && !order.closes_only
}

/// Whether an order on a side enlarges a position that its pair holds, and so opens none.
fn enlarges(sim: &Simulator, p: usize, side: i64) -> bool {
    side * sim.ledger.position[p] >= sim.spec.instruments[p].lot
}

/// How far a pair's working orders can move it, `also` counting as one of them.
///
/// No sequence of their fills moves it farther, and none widens this: an order that opens moves the position by what it
/// has left less to fill; one that only reduces moves it toward flat, where `high` and `low` see it already. Risk's own
/// protection disarms the orders that it leaves, and so is left out.
pub(super) fn reach(sim: &Simulator, p: usize, also: Option<usize>) -> Reach {
    let held = sim.ledger.position[p];
    let mut reach = Reach { up: held, down: held, high: 0, low: 0, open: 0, fresh: 0 };
    let (mut bought, mut sold) = (0, 0);
    for id in sim.live[p].iter().copied().chain(also) {
        let order = &sim.orders[id];
        let (buys, left) = (order.side() > 0, order.remaining());
        if !order.alive() {
            continue;
        }
        if may_open(order) {
            reach.open += 1;
            reach.fresh += i64::from(!enlarges(sim, p, order.side()));
            *(if buys { &mut reach.up } else { &mut reach.down }) += if buys { left } else { -left };
        } else if !(order.group.is_some() && order.own) {
            *(if buys { &mut bought } else { &mut sold }) += left;
        }
    }
    reach.high = reach.up + bought.min((-held).max(0));
    reach.low = reach.down - sold.min(held.max(0));
    reach
}

/// Leaves orders nothing to open in a pair that was just closed or turned, where the day's trades are used up.
///
/// Every working order was admitted as one position that it may open, or to enlarge one that was held; the rest of it
/// would open another.
/// `side` is that of the orders that can do so now: against a position that was turned, 0 for both.
pub fn hold_to_trades(sim: &mut Simulator, p: usize, side: i64) {
    let limits = sim.watch.limits;
    if limits.shadow || limits.max_trades <= 0 {
        return;
    }
    let others: i64 = (0..sim.live.len()).filter(|&j| j != p).map(|j| reach(sim, j, None).fresh).sum();
    let can = |id: &usize| may_open(&sim.orders[*id]) && sim.orders[*id].side() * side >= 0;
    let found: Vec<usize> = sim.live[p].iter().copied().filter(can).collect();
    if sim.watch.opened + others + found.len() as i64 <= limits.max_trades {
        return;
    }
    for id in found {
        let order = &mut sim.orders[id];
        order.closes_only = true;
        let (time, left) = (sim.close_time, order.remaining());
        sim.log(LogKind::Amend, id, time, left, Reason::MaxTrades);
    }
}

/// How much of the new order `id`, of `qty` on the lot grid, may go; `room` makes room for it.
///
/// What reduces a position is always admitted, where others may close it first as an order that only reduces.
pub fn admit(sim: &Simulator, id: usize, qty: i64, bars: Bars<'_>) -> Admitted {
    let (watch, order) = (&sim.watch, &sim.orders[id]);
    let limits = watch.limits;
    if order.reduce_only || !limits.on() {
        return Admitted::whole(qty);
    }
    let (p, side) = (order.pair(), order.side());
    let held = (-side * sim.ledger.position[p]).max(0).min(qty);
    let closing = if held > 0 { qty } else { 0 };
    let of = |qty: i64, trigger: Trigger, closes: bool, value: f64, limit: f64| Admitted {
        qty,
        trigger,
        closes,
        value,
        limit,
    };
    let grows = enlarges(sim, p, side);
    if watch.effect() != Effect::None && !(grows && watch.cause == Trigger::MaxTrades) {
        return of(closing, watch.cause, true, 0.0, 0.0);
    }
    let far = far(limits.price_band, bars.close(p), [order.limit, order.stop]);
    if far > 0.0 {
        return of(0, Trigger::PriceBand, false, far, limits.price_band as f64 / UNIT as f64);
    }
    if !limits.bounds_exposure() {
        return Admitted::whole(qty);
    }
    let (lot, n) = (sim.spec.instruments[p].lot, bars.len());
    let reaches: Vec<Reach> = (0..n).map(|j| reach(sim, j, None)).collect();
    let mine = reaches[p];
    let behind = to_lot(held.min(-side * if side > 0 { mine.up } else { mine.down }).max(0), lot);
    let free = held.min(-mine.toward(side)).max(0);
    if qty <= free {
        return Admitted::whole(qty);
    }
    let taken = |j: usize| reaches[j].open > 0 || sim.ledger.position[j].abs() >= sim.spec.instruments[j].lot;
    let pairs = (0..n).filter(|&j| taken(j)).count() as i64;
    if limits.max_positions > 0 && !taken(p) && pairs >= limits.max_positions {
        return of(0, Trigger::MaxPositions, false, (pairs + 1) as f64, limits.max_positions as f64);
    }
    let trades = watch.opened + reaches.iter().map(|reach| reach.fresh).sum::<i64>() + 1;
    if limits.max_trades > 0 && !grows && trades > limits.max_trades {
        return of(closing, Trigger::MaxTrades, true, trades as f64, limits.max_trades as f64);
    }
    let worth = sim.ledger.equity(bars).max(0);
    let unit = |j: usize| unit_price(sim.ledger.inverse(j), bars.close(j));
    let price = i128::from(unit(p));
    let share = |limit: i64| floor_div(mul(worth, i128::from(limit)), WIDE_UNIT);
    let mut answer = Admitted::whole(qty);
    let cut = |answer: Admitted, most: i128| {
        let allowed = floor_div(most.max(i128::from(free)), i128::from(lot)) * i128::from(lot);
        (allowed < i128::from(answer.qty)).then(|| narrow(allowed.max(0)))
    };
    if limits.max_gross >= 0 {
        let rest: i128 = (0..n).filter(|&j| j != p).map(|j| times(reaches[j].widest(), unit(j))).sum();
        let most = floor_div(share(limits.max_gross) - rest, price.max(1)) - i128::from(mine.toward(side));
        if let Some(qty_cut) = cut(answer, most) {
            let wanted = rest + i128::from((mine.toward(side) + qty).abs()) * price;
            let limit = limits.max_gross as f64 / UNIT as f64;
            answer = of(qty_cut, Trigger::MaxGross, false, multiple(wanted, worth), limit);
        }
    }
    if limits.max_net >= 0 {
        let net: i128 = (0..n).map(|j| times(reaches[j].toward(side), unit(j))).sum();
        let most = floor_div(share(limits.max_net) - net, price.max(1));
        if let Some(qty_cut) = cut(answer, most) {
            let wanted = net + times(qty, unit(p));
            let limit = limits.max_net as f64 / UNIT as f64;
            answer = of(qty_cut, Trigger::MaxNet, false, multiple(wanted, worth), limit);
        }
    }
    if limits.max_var >= 0 {
        let asking = Asking { p, side, qty: answer.qty, asked: qty };
        let (most, value) = admissible(sim, asking, &reaches, unit, worth);
        if let Some(qty_cut) = cut(answer, i128::from(most)) {
            answer = of(qty_cut, Trigger::MaxVar, false, value, limits.max_var as f64 / UNIT as f64);
        }
    }
    if answer.qty < behind {
        // Others may close the position first: then it is to open none.
        (answer.qty, answer.closes) = (behind, true);
    }
    if answer.qty < qty {
        let at = if order.price() != 0 { order.price() } else { bars.close(p) };
        answer.qty = sim.spec.instruments[p].without_dust(answer.qty, to_lot(held, lot), at);
    }
    answer
}

/// How far the farthest price lies from the last close, 0 where all lie within the band.
fn far(band: i64, close: i64, prices: [i64; 2]) -> f64 {
    if band < 0 || close <= 0 {
        return 0.0;
    }
    let away = prices.iter().filter(|price| **price != 0).map(|price| (price - close).abs()).max().unwrap_or(0);
    if times(away, UNIT) > times(band, close) { away as f64 / close as f64 } else { 0.0 }
}

/// Exposure over equity, 0 where there is no equity.
pub(super) fn multiple(exposure: i128, equity: i128) -> f64 {
    if equity > 0 { exposure as f64 / equity as f64 } else { 0.0 }
}
