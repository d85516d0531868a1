//! Fees and slippage in integers: each rounds once, against the trader.

use std::collections::VecDeque;

use super::codes::Slippage;
use super::number::{
    FIX, FIX_NAN, WIDE_FIX, WIDE_UNIT, add, add_units, ceil_div, down_to_tick, floor_div, mul, narrow, times,
};
use super::spec::{Spec, Tier};

const DAY: i64 = 86_400_000_000_000;

/// The 30-day volume tier, computed from past fills only: a fill at t pays the tier of the volume in (t - 30 d, t).
#[derive(Clone, Debug)]
pub struct FeeSchedule {
    tiers: Vec<Tier>,
    volume: i128,
    history: VecDeque<(i64, i128)>,
}

impl FeeSchedule {
    /// A schedule without past volume.
    pub fn new(tiers: Vec<Tier>) -> Self {
        FeeSchedule { tiers, volume: 0, history: VecDeque::new() }
    }

    /// (maker, taker) rates in force at `time`.
    pub fn rates(&mut self, time: i64) -> (i64, i64) {
        while let Some(&(then, notional)) = self.history.front() {
            if then > time - 30 * DAY {
                break;
            }
            self.volume -= notional;
            self.history.pop_front();
        }
        let mut chosen = &self.tiers[0];
        for tier in &self.tiers {
            if self.volume >= tier.volume {
                chosen = tier;
            }
        }
        (chosen.maker, chosen.taker)
    }

    /// Counts a fill's notional.
    pub fn add(&mut self, time: i64, notional: i128) {
        if self.tiers.len() > 1 {
            self.history.push_back((time, notional));
            self.volume = add(self.volume, notional);
        }
    }
}

/// The fee on a notional or a quantity, rounded up; a rebate (rate < 0) is rounded toward zero.
#[inline]
pub fn fee_of(amount: i128, rate: i64) -> i128 {
    if rate == 0 { 0 } else { ceil_div(mul(amount, i128::from(rate)), WIDE_UNIT) }
}

/// What moves the price of one order that takes liquidity.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// +1 buys, -1 sells.
    pub side: i64,
    /// The whole order's quantity.
    pub qty: i64,
    /// What its parent had filled or working when it was sent.
    pub before: i64,
    /// The bar's volume.
    pub volume: i64,
    /// Whether the order met the open with latency.
    pub late: bool,
    /// Volatility known at the decision, 10^-9.
    pub sigma: i64,
    /// Mean volume known at the decision, 10^-9 of base.
    pub mean_volume: i64,
    /// Tick of the pair.
    pub tick: i64,
}

/// The price a taker pays: moved adversely by the slippage model and by latency, then rounded to the tick.
///
/// Square-root impact is Y sigma sqrt(Q / V), of a child what its parent pays more for it; volume share k (q / V)^2.
/// A price that nothing moves fills as printed.
pub fn slipped(spec: &Spec, price: i64, taking: &Taking) -> i64 {
    let mut offset = if taking.late { times(price, spec.latency_rate) } else { 0 };
    let size = i128::from(spec.slippage_size);
    let wide = i128::from(price);
    match spec.slippage {
        Slippage::None => {}
        Slippage::Bps => offset += mul(wide, size),
        Slippage::HalfSpread => offset += mul(size, WIDE_UNIT),
        Slippage::SqrtImpact => {
            if taking.sigma != FIX_NAN && taking.mean_volume != FIX_NAN && taking.mean_volume > 0 {
                let root = mean_root(taking.before, taking.qty, taking.mean_volume);
                let share = floor_div(mul(i128::from(taking.sigma), root), WIDE_FIX);
                offset += ceil_div(mul(mul(wide, share), size), WIDE_FIX);
            }
        }
        Slippage::VolumeShare => {
            if taking.volume > 0 {
                let share = floor_div(times(taking.qty, FIX), i128::from(taking.volume)).min(WIDE_FIX);
                let once = ceil_div(mul(wide, share), WIDE_FIX);
                offset += ceil_div(mul(mul(once, share), size), WIDE_FIX);
            }
        }
    }
    moved(price, offset, taking.side, taking.tick)
}

/// What a unit pays per Y sigma, 10^-9: the root of Q / V, averaged over a part of an order Q.
///
/// With C(Q) = Q root(Q), parts pay (C(before + qty) - C(before)) / qty per unit, so that parts of any sizes pay what the
/// whole pays at once. That is r + s^2 / (r + s) with the roots r after the part and s before it, where no small
/// difference of large numbers makes a price of a small part inexact.
pub fn mean_root(before: i64, qty: i64, mean_volume: i64) -> i128 {
    let root = |done: i64| (mul(i128::from(done) * 10, 1_000_000_000_000_000_000) / i128::from(mean_volume)).isqrt();
    let (after, ahead) = (root(add_units(before, qty)), if before == 0 { 0 } else { root(before) });
    if ahead == 0 { after } else { after + ceil_div(ahead * ahead, after + ahead) }
}

/// `price` moved adversely by `offset` (price times 10^-8) and rounded adversely to the tick.
pub fn moved(price: i64, offset: i128, side: i64, tick: i64) -> i64 {
    if offset == 0 {
        return price;
    }
    let unit = WIDE_UNIT * i128::from(tick);
    let wide = times(price, super::number::UNIT);
    if side > 0 {
        narrow(mul(ceil_div(add(wide, offset), unit), i128::from(tick)))
    } else {
        let ticks = floor_div(add(wide, -offset), unit);
        down_to_tick(mul(ticks, i128::from(tick)), tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebate_rounds_toward_zero_and_a_fee_away_from_it() {
        assert_eq!((fee_of(150, 1_000_000), fee_of(150, -1_000_000)), (2, -1));
    }

    #[test]
    fn parts_pay_what_the_whole_pays_at_once() {
        let (qty, volume) = (9_000_000_000_000_000_000, 7);
        assert_eq!(mean_root(0, qty, volume), (i128::from(qty) * 10_i128.pow(19) / 7).isqrt());
        let whole = mul(i128::from(qty), mean_root(0, qty, volume));
        for first in [1, 3_000_000_000, qty / 2, qty - 1] {
            let second = qty - first;
            let paid = times(first, narrow(mean_root(0, first, volume)))
                + mul(second.into(), mean_root(first, second, volume));
            assert!((paid - whole).abs() <= 2 * i128::from(qty));
        }
        let (last, root) = (mean_root(qty - 1, 1, volume), mean_root(0, qty, volume));
        assert!((2 * last - 3 * root).abs() <= 4, "the last unit pays the slope of C, 3/2 of the root");
    }

    #[test]
    fn tiers_look_back_thirty_days_and_not_at_the_present() {
        let tiers = vec![Tier { volume: 0, maker: 2, taker: 4 }, Tier { volume: 100, maker: 1, taker: 3 }];
        let mut fees = FeeSchedule::new(tiers);
        assert_eq!(fees.rates(0), (2, 4));
        fees.add(0, 100);
        assert_eq!(fees.rates(1), (1, 3));
        assert_eq!(fees.rates(30 * DAY), (2, 4));
    }
}
