//! How a parent order is worked: its plan, its slices, and the draws that randomise them; as `core/plan.py`.

use super::codes::{Algo, Remainder};
use super::number::{UNIT, WIDE_UNIT, ceil_div, floor_div, narrow, times};

/// A plan in integers, the fields of the Python class of the same name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The way in which it is cut into children.
    pub algo: Algo,
    /// Bars that it lasts; 0: until the parent is filled.
    pub bars: i64,
    /// Bars from slice to slice.
    pub every: i64,
    /// Largest shift of a slice, a rate of `every`.
    pub time_jitter: i64,
    /// Largest change of a slice, a rate.
    pub size_jitter: i64,
    /// Distance of children on the passive side of the close; -1: none.
    pub offset: i64,
    /// Worst price as a distance from the arrival price; -1 off.
    pub limit_rate: i64,
    /// Worst price; 0 off.
    pub limit_price: i64,
    /// Largest share of the last bar's volume that works at a time; -1 off.
    pub max_participation: i64,
    /// Share of all volume that a POV takes.
    pub participation: i64,
    /// Largest child of a POV as a multiple of the last bar's part.
    pub burst: i64,
    /// Share of the parent that an iceberg shows.
    pub display: i64,
    /// Bars after which a volume curve repeats.
    pub period: i64,
    /// How many such stretches of the past it is taken from.
    pub periods: i64,
    /// What becomes of the rest.
    pub remainder: Remainder,
    /// Whether limit orders may only rest.
    pub post_only: bool,
    /// Whether what only reduces goes as one market order.
    pub exit_market: bool,
}

/// Counters that a draw follows from: the run's seed, the parent's number, the slice.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the parent.
    pub parent: usize,
    /// Number of the slice.
    pub index: usize,
}

/// 0 <= k < n, n < 2^32: a number that follows from its counters alone.
pub fn draw(at: Counters, stream: u64, n: i64) -> i64 {
    let mut z = at
        .seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add((at.parent as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9))
        .wrapping_add((at.index as u64).wrapping_mul(0x94D0_49BB_1331_11EB))
        .wrapping_add(stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    for _ in 0..2 {
        z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
    }
    (((z >> 32) * n as u64) >> 32) as i64
}

/// A size changed by at most the rate `jitter`, rounded down.
pub fn jittered(value: i128, jitter: i64, at: Counters) -> i128 {
    if jitter == 0 {
        return value;
    }
    floor_div(value * i128::from(UNIT - jitter + draw(at, 1, 2 * jitter + 1)), WIDE_UNIT)
}

impl Plan {
    /// Number of slices of a schedule.
    pub fn slices(&self) -> usize {
        (self.bars + self.every - 1).div_euclid(self.every).max(0) as usize
    }

    /// Past bars that the plan reads.
    pub fn lookback(&self) -> i64 {
        self.period * self.periods
    }

    /// At which bar after the decision each slice is sent.
    pub fn offsets(&self, seed: u64, parent: usize) -> Vec<i64> {
        let span = narrow(floor_div(times(self.every, self.time_jitter), WIDE_UNIT));
        let shift = |index| if span == 0 { 0 } else { draw(Counters { seed, parent, index }, 0, 2 * span + 1) - span };
        let at = |i: usize| (i as i64 * self.every + shift(i)).min(self.bars - 1).max(0);
        (0..self.slices()).map(at).collect()
    }

    /// Quantity that shall have been sent after each slice.
    pub fn cumulative(&self, qty: i64, lot: i64, weights: &[i128], seed: u64, parent: usize) -> Vec<i64> {
        let length = |value: u128| 128 - value.leading_zeros();
        let largest = weights.iter().copied().max().unwrap_or(0).unsigned_abs();
        let narrower = (length(largest) + length(weights.len() as u128)).saturating_sub(60);
        let sized: Vec<i128> = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| jittered(weight >> narrower, self.size_jitter, Counters { seed, parent, index }))
            .collect();
        let (whole, lots) = (sized.iter().sum::<i128>(), i128::from(qty / lot));
        let (mut total, last) = (0, sized.len().saturating_sub(1));
        let due = |(i, weight): (usize, &i128)| {
            total += weight;
            if whole == 0 || i == last { qty } else { narrow(floor_div(lots * total, whole)) * lot }
        };
        sized.iter().enumerate().map(due).collect()
    }

    /// Each slice's part of the volume that past days let expect; None where they do not tell.
    pub fn volume_weights(&self, row: i64, volume_at: impl Fn(i64) -> i64) -> Option<Vec<i128>> {
        let mut expected = Vec::new();
        let mut known = Vec::new();
        for j in 0..self.bars {
            let first = row + 1 + j % self.period - self.period;
            known.clear();
            known.extend((0..self.periods).map(|k| volume_at(first - k * self.period)).filter(|&volume| volume >= 0));
            known.sort_unstable();
            let half = known.len() / 2;
            expected.push(match known.len() {
                0 => return None,
                n if n % 2 == 1 => i128::from(known[half]),
                _ => floor_div(i128::from(known[half - 1]) + i128::from(known[half]), 2),
            });
        }
        let weights: Vec<i128> =
            expected.chunks(usize::try_from(self.every).unwrap_or(1)).map(|slice| slice.iter().sum()).collect();
        weights.iter().any(|&weight| weight != 0).then_some(weights)
    }

    /// Quantity that makes up a POV's share of all volume beside `volume` of others.
    pub fn pov_part(&self, volume: i64) -> i128 {
        floor_div(times(self.participation, volume), i128::from(UNIT - self.participation))
    }

    /// A parent's limit price on the tick, 0 where it has none.
    pub fn worst(&self, side: i64, arrival: i64, tick: i64) -> i64 {
        if self.limit_price != 0 {
            toward_passive(self.limit_price, 0, side, tick)
        } else if self.limit_rate < 0 {
            0
        } else {
            toward_passive(arrival, -self.limit_rate, side, tick)
        }
    }
}

/// The price at a rate's distance on the passive side of `close`, rounded away from the market to the tick.
pub fn toward_passive(close: i64, offset: i64, side: i64, tick: i64) -> i64 {
    let (moved, unit) = (times(close, UNIT - side * offset), WIDE_UNIT * i128::from(tick));
    let ticks = if side > 0 { floor_div(moved, unit) } else { ceil_div(moved, unit) };
    narrow(ticks.max(1) * i128::from(tick))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(due: &[i64]) -> Vec<i64> {
        due.iter().scan(0, |last, &now| Some(now - std::mem::replace(last, now))).collect()
    }

    #[test]
    fn slices_are_floors_of_cumulative_weights() {
        let plan = Plan { bars: 7, every: 1, ..Plan::default() };
        let even = plan.cumulative(1000, 1, &[WIDE_UNIT; 7], 0, 0);
        assert_eq!(sizes(&even), [142, 143, 143, 143, 143, 143, 143]);
        let curve = plan.cumulative(733, 1, &[5, 10, 20, 30, 20, 15], 0, 0);
        assert_eq!(sizes(&curve), [36, 73, 147, 220, 147, 110]);
    }
}
