//! The nearest levels of a pair's resting orders, and how far ahead its bars reach none.

use super::codes::{OrderType, State, Tif};
use super::market::{PairColumns, REAL};
use super::number::{UNIT, times};
use super::simulator::{Simulator, Trail};

/// The nearest levels of a pair's resting orders: prices strictly between them meet none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// The nearest above.
    pub up: i64,
    /// The nearest below.
    pub down: i64,
}

/// A trailing stop on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    /// How its level follows.
    pub trail: Trail,
    /// Best price it has seen.
    pub best: i64,
}

impl Levels {
    /// No level at all.
    pub(super) const NONE: Levels = Levels { up: i64::MAX, down: i64::MIN };

    /// Levels and trailing stop of a pair's orders; None where an order does more than rest.
    pub(super) fn of(sim: &Simulator, p: usize) -> Option<(Self, Option<(usize, Follower)>)> {
        let (mut levels, mut trailing) = (Levels::NONE, None);
        for &id in &sim.live[p] {
            let order = &sim.orders[id];
            let resting = order.tif == Tif::Gtc && order.cancel_at < 0 && order.birth == 0 && !order.born_inside;
            if !resting || order.state == State::Pending || order.takes_market() {
                return None;
            }
            if order.kind == OrderType::Trailing {
                if trailing.is_some() {
                    return None;
                }
                let trail = Trail::of(order, sim.spec.instruments[p].tick);
                trailing = Some((id, Follower { trail, best: order.best }));
            } else if order.waits_for_level() == (order.side() > 0) {
                levels.up = levels.up.min(if order.waits_for_level() { order.level } else { order.limit });
            } else {
                levels.down = levels.down.max(if order.waits_for_level() { order.level } else { order.limit });
            }
        }
        Some((levels, trailing))
    }

    /// Whether a price certainly lies strictly between these levels and that of a trailing stop.
    #[inline]
    pub(super) fn clear(&self, follower: Option<&Follower>, price: i64) -> bool {
        let before = follower.is_none_or(|follower| follower.trail.beyond(follower.best, price, price));
        self.down < price && price < self.up && before
    }

    /// The first row in [row, limit) whose bar trades at a level.
    pub(super) fn reached(&self, pair: &PairColumns<'_>, row: usize, limit: usize) -> usize {
        let (highs, lows) = (&pair.high[row..limit], &pair.low[row..limit]);
        let mut from = 0;
        while let Some(i) = (from..highs.len()).find(|&i| highs[i] >= self.up || lows[i] <= self.down) {
            if tradable(pair, row + i) {
                return row + i;
            }
            from = i + 1;
        }
        limit
    }

    /// The same with a trailing stop whose level follows; also how it stands before that row.
    ///
    /// Rows are taken several at once where even the level after them is reached by none: levels only follow.
    pub(super) fn followed(
        &self,
        pair: &PairColumns<'_>,
        mut follower: Follower,
        row: usize,
        limit: usize,
    ) -> (usize, Follower) {
        let mut at = row;
        while at < limit {
            let stop = limit.min(at + SPAN);
            if let Some(best) = self.untouched(pair, &follower, at, limit) {
                follower.best = best;
            } else {
                at = self.walked(pair, &mut follower, at, stop);
                if at < stop {
                    return (at, follower);
                }
            }
            at = stop;
        }
        (limit, follower)
    }

    /// Best price after the `SPAN` rows from `start` on, where there are as many and none of them can reach a level.
    #[inline]
    fn untouched(&self, pair: &PairColumns<'_>, follower: &Follower, start: usize, limit: usize) -> Option<i64> {
        let rows = start..limit;
        let highs = pair.high[rows.clone()].first_chunk::<SPAN>()?;
        let lows = pair.low[rows.clone()].first_chunk::<SPAN>()?;
        let (mut low, mut high) = (lows[0], highs[0]);
        for k in 1..SPAN {
            (low, high) = (low.min(lows[k]), high.max(highs[k]));
        }
        let best = follower.trail.better(follower.best, low, high);
        if !self.far(follower.trail, best, low, high) {
            return None;
        }
        if best != follower.best {
            let (volumes, states) = (&pair.volume[rows.clone()][..SPAN], &pair.state[rows][..SPAN]);
            if !states.iter().zip(volumes).fold(true, |all, (&state, &volume)| all & (state == REAL && volume > 0)) {
                return None;
            }
        }
        Some(best)
    }

    /// The same row by row: where a level is reached.
    #[inline]
    fn walked(&self, pair: &PairColumns<'_>, follower: &mut Follower, row: usize, limit: usize) -> usize {
        let trail = follower.trail;
        for at in row..limit {
            let (low, high) = (pair.low[at], pair.high[at]);
            let best = trail.better(follower.best, low, high);
            let far = self.far(trail, best, low, high);
            if !(far && best == follower.best) && tradable(pair, at) {
                if !far && self.meets(pair, follower, at) {
                    return at;
                }
                follower.best = best;
            }
        }
        limit
    }

    /// Whether a range certainly reaches no level, even that of a trailing stop whose best price lies in it.
    #[inline]
    fn far(&self, trail: Trail, best: i64, low: i64, high: i64) -> bool {
        high < self.up && low > self.down && trail.beyond(best, low, high)
    }

    /// Whether a bar that trades reaches a level, or its close the one that the bar has moved.
    #[cold]
    fn meets(&self, pair: &PairColumns<'_>, follower: &Follower, at: usize) -> bool {
        let (low, high, Follower { trail, best }) = (pair.low[at], pair.high[at], *follower);
        let level = trail.level(best);
        let stopped = if trail.side < 0 { low <= level } else { high >= level };
        let moved = trail.level(trail.better(best, low, high));
        high >= self.up || low <= self.down || stopped || trail.side * (pair.close[at] - moved) >= 0
    }
}

impl Trail {
    /// The better of a price and a bar's extreme.
    #[inline]
    pub(super) fn better(&self, best: i64, low: i64, high: i64) -> i64 {
        if self.side < 0 { best.max(high) } else { best.min(low) }
    }

    /// Whether a range lies certainly on the near side of the level that `best` gives, without a division.
    #[inline]
    fn beyond(&self, best: i64, low: i64, high: i64) -> bool {
        if self.distance != 0 {
            let level = self.level(best);
            return if self.side < 0 { low > level } else { high < level };
        }
        let raw = times(best, UNIT + self.side * self.rate);
        if self.side < 0 { low > self.tick && times(low, UNIT) > raw } else { times(high, UNIT) < raw }
    }
}

/// Bars that a trailing stop is taken over at once.
const SPAN: usize = 8;

#[inline]
fn tradable(pair: &PairColumns<'_>, row: usize) -> bool {
    pair.state[row] == REAL && pair.volume[row] > 0
}
