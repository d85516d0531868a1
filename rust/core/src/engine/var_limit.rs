//! The limit on the value at risk of the whole book: targets cut together, single orders by the worst that may fill.
//!
//! A weight is a position's signed value over equity, 10^-9; a covariance that of two pairs' returns of one bar in
//! squared percents, 10^-9; a variance of the book is 10^-20 squared percents. What lies beyond [`MOST_WEIGHT`] and
//! [`MOST_COVARIANCE`], where 128 bits would not do, counts as not known.

use super::admission::Reach;
use super::contract::unit_price;
use super::decision::Now;
use super::limits::Limits;
use super::market::Signals;
use super::number::{FIX, FIX_NAN, WIDE_FIX, add, ceil_div, floor_div, mul, narrow, times, to_lot};
use super::simulator::Simulator;

const MOST_WEIGHT: i128 = 1_000_000_000_000;
const MOST_COVARIANCE: i64 = 100_000_000_000_000;
/// Squared weights times a covariance, 10^-27, over variances of the book.
const GRAIN: i128 = 10_000_000;
/// Variances below which a product with a share fits 128 bits.
const ROOM: i128 = 1_000_000_000_000_000_000_000_000_000;

/// A weight, from low to high.
type Span = (i128, i128);

/// Covariances by pair and pair.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [i64],
    n: usize,
}

impl Matrix<'_> {
    fn at(&self, i: usize, k: usize) -> i64 {
        self.values[i * self.n + k]
    }

    /// What the covariance of two pairs is at most, as far as their variances tell.
    fn bound(&self, i: usize, k: usize) -> i128 {
        times(self.at(i, i), self.at(k, k)).isqrt() + 1
    }

    /// The largest product of the weights of two pairs, each anywhere from low to high, and their covariance. Where that
    /// is not known, both count as moving together for the worse.
    fn worst_product(&self, (i, a): (usize, Span), (k, b): (usize, Span)) -> i128 {
        let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
        let fold = |of: fn(i128, i128) -> i128| corners[1..].iter().fold(corners[0], |best, &next| of(best, next));
        let (most, least, known) = (fold(i128::max), fold(i128::min), self.at(i, k));
        if known == FIX_NAN {
            return ceil_div(mul(most.max(-least), self.bound(i, k)), GRAIN);
        }
        ceil_div(mul(if known > 0 { most } else { least }, i128::from(known)), GRAIN)
    }
}

/// Keeps the covariances in the columns from `first` on; `FIX_NAN` where one is not known.
pub(super) fn remember(signals: Signals<'_>, first: usize, n: usize, matrix: &mut Vec<i64>) {
    matrix.clear();
    matrix.resize(n * n, FIX_NAN);
    for i in 0..n {
        for k in 0..=i {
            let (a, b) = (signals.aux(first + i, k), signals.aux(first + k, i));
            let known = if a == FIX_NAN || b == FIX_NAN {
                a.max(b)
            } else if a == b {
                a
            } else {
                narrow((i128::from(a) + i128::from(b)) / 2)
            };
            let beyond = known.checked_abs().is_none_or(|size| size > MOST_COVARIANCE) || (i == k && known < 0);
            let value = if beyond { FIX_NAN } else { known };
            (matrix[i * n + k], matrix[k * n + i]) = (value, value);
        }
    }
}

fn matrix(sim: &Simulator) -> Matrix<'_> {
    Matrix { values: &sim.covariance, n: sim.live.len() }
}

/// How many deviations of one bar the value at risk is, 10^-9.
fn horizon_scale(limits: &Limits, periods_root: i64) -> i128 {
    floor_div(times(periods_root, limits.var_reach), WIDE_FIX).max(1000)
}

/// The largest variance of a book that meets the limit.
fn most_variance(limits: &Limits, scale: i128) -> i128 {
    let deviation = floor_div(times(limits.max_var, 10_000_000_000_000), scale);
    mul(deviation + 1, deviation + 1) - 1
}

/// The value at risk of a book as a share of equity; 0 where its variance is not known.
fn share_at_risk(variance: Option<i128>, scale: i128) -> f64 {
    variance.map_or(0.0, |variance| variance.isqrt() as f64 * scale as f64 / 1e21)
}

/// A position's signed value over equity, 10^-9.
fn weight_of(qty: i64, price: i64, equity: i128) -> i128 {
    let value = times(qty, price);
    let size = value.abs();
    let whole = add(mul(size / equity, WIDE_FIX), floor_div(mul(size % equity, WIDE_FIX), equity));
    value.signum() * whole
}

fn open(span: Span) -> bool {
    span != (0, 0)
}

fn size(span: Span) -> i128 {
    span.1.max(-span.0)
}

/// An upper bound of a book's variance, each weight being anywhere from low to high; None where it is not known.
fn worst_variance(spans: &[Span], matrix: Matrix<'_>) -> Option<i128> {
    let unknown = |(i, &span): (usize, &Span)| open(span) && (matrix.at(i, i) == FIX_NAN || size(span) > MOST_WEIGHT);
    if spans.iter().enumerate().any(unknown) {
        return None;
    }
    let mut total = 0;
    for (i, &span) in spans.iter().enumerate().filter(|(_, span)| open(**span)) {
        total = add(total, ceil_div(mul(size(span) * size(span), i128::from(matrix.at(i, i))), GRAIN));
        for (k, &other) in spans[..i].iter().enumerate().filter(|(_, span)| open(**span)) {
            total = add(total, 2 * matrix.worst_product((i, span), (k, other)));
        }
    }
    Some(total.max(0))
}

/// The worst that a book may come to while the pair `p`'s order is added to those under way.
struct Room<'a> {
    matrix: Matrix<'a>,
    spans: &'a [Span],
    p: usize,
    rest: Option<i128>,
}

impl Room<'_> {
    /// The worst variance with the pair's own weight at one of two ends; None where it is not known.
    fn at(&self, one: i128, other: i128) -> Option<i128> {
        let rest = self.rest?;
        if self.matrix.at(self.p, self.p) == FIX_NAN || one.abs().max(other.abs()) > MOST_WEIGHT {
            return None;
        }
        Some(add(rest, self.end(one).max(self.end(other))).max(0))
    }

    fn end(&self, weight: i128) -> i128 {
        let (matrix, p) = (self.matrix, self.p);
        let mut cross = 0;
        for (j, &span) in self.spans.iter().enumerate().filter(|(j, span)| *j != p && open(**span)) {
            cross = add(cross, matrix.worst_product((p, (weight, weight)), (j, span)));
        }
        add(ceil_div(mul(weight * weight, i128::from(matrix.at(p, p))), GRAIN), 2 * cross)
    }
}

/// An order as the limit sees it.
#[derive(Clone, Copy)]
pub(super) struct Asking {
    /// Pair.
    pub p: usize,
    /// Side.
    pub side: i64,
    /// What other limits leave of it.
    pub qty: i64,
    /// What was asked for.
    pub asked: i64,
}

/// The weights between which working orders can move each pair; `worth` above 0.
fn spans_of(sim: &Simulator, reaches: &[Reach], unit: impl Fn(usize) -> i64, worth: i128) -> Vec<Span> {
    let held = &sim.ledger.position;
    let weight = |j: usize, qty: i64| weight_of(qty, unit(j), worth);
    let span = |j: usize| (weight(j, reaches[j].low.min(held[j])), weight(j, reaches[j].high.max(held[j])));
    (0..reaches.len()).map(span).collect()
}

/// The worst that a book may come to, and the most that meets the limit: variances, the first None where not known.
pub(super) struct Worst {
    pub variance: Option<i128>,
    pub most: i128,
    scale: i128,
}

impl Worst {
    /// The worst of the book to which working orders can lead; `worth` above 0.
    pub(super) fn of(sim: &Simulator, reaches: &[Reach], unit: impl Fn(usize) -> i64, worth: i128) -> Self {
        let scale = horizon_scale(&sim.watch.limits, sim.spec.periods_root);
        let variance = worst_variance(&spans_of(sim, reaches, unit, worth), matrix(sim));
        Worst { variance, most: most_variance(&sim.watch.limits, scale), scale }
    }

    /// The value at risk as a share of equity.
    pub(super) fn share(&self) -> f64 {
        share_at_risk(self.variance, self.scale)
    }
}

/// How much of an order's quantity may go, and the value at risk if all that is asked filled.
///
/// The order may not bring the worst case beyond the limit; where that is beyond it already, nothing may.
pub(super) fn admissible(
    sim: &Simulator,
    order: Asking,
    reaches: &[Reach],
    unit: impl Fn(usize) -> i64,
    worth: i128,
) -> (i64, f64) {
    let Asking { p, side, qty, asked } = order;
    let scale = horizon_scale(&sim.watch.limits, sim.spec.periods_root);
    if worth == 0 {
        return (0, 0.0);
    }
    let (held, mine, price) = (sim.ledger.position[p], reaches[p], unit(p));
    let mut spans = spans_of(sim, reaches, unit, worth);
    let span = std::mem::take(&mut spans[p]);
    let matrix = matrix(sim);
    let room = Room { matrix, spans: &spans, p, rest: worst_variance(&spans, matrix) };
    let most = most_variance(&sim.watch.limits, scale);
    let (start, away) = if side > 0 { (mine.high.max(held), span.0) } else { (mine.low.min(held), span.1) };
    let after = |more: i64| room.at(away, weight_of(start + side * more, price, worth));
    let fit = |variance: Option<i128>| variance.is_some_and(|variance| variance <= most);
    let whole = after(asked);
    if fit(whole) {
        return (qty, 0.0);
    }
    let lot = sim.spec.instruments[p].lot;
    let (mut fits, mut fails) = (0, qty / lot + 1);
    while fails - fits > 1 {
        let middle = (fits + fails) / 2;
        *(if fit(after(middle * lot)) { &mut fits } else { &mut fails }) = middle;
    }
    (fits * lot, share_at_risk(whole, scale))
}

/// Cuts targets to the limit, all by one factor; the value at risk as wanted, None where they meet it.
///
/// Where a variance is not known, targets only become smaller than what is held, and the value is 0.
pub(super) fn cut_targets(
    sim: &Simulator,
    now: Now<'_>,
    standing: &[i64],
    given: &mut [Option<i64>],
    worth: i128,
) -> Option<f64> {
    let (limits, matrix, n) = (&sim.watch.limits, matrix(sim), given.len());
    let wanted = given.to_vec();
    let free: Vec<usize> = (0..n).filter(|&p| wanted[p].unwrap_or(0) != 0 && sim.stopped_row[p] < 0).collect();
    let smaller = |given: &mut [Option<i64>], p: usize| {
        let held = sim.ledger.position[p];
        given[p] = wanted[p].map(|target| target.min(held.max(0)).max(held.min(0)));
    };
    for &p in &free {
        if matrix.at(p, p) == FIX_NAN || worth == 0 {
            smaller(given, p);
        }
    }
    let weight = |p: usize| {
        if worth == 0 || sim.stopped_row[p] >= 0 {
            return 0;
        }
        weight_of(given[p].unwrap_or(standing[p]), unit_price(sim.ledger.inverse(p), now.bars.close(p)), worth)
    };
    let weights: Vec<i128> = (0..n).map(weight).collect();
    let scale = horizon_scale(limits, sim.spec.periods_root);
    let most = most_variance(limits, scale);
    let whole = variance_of(&weights, matrix, |_| true);
    match whole {
        None => free.iter().for_each(|&p| smaller(given, p)),
        Some(whole) if whole > most => {
            let share = share(&weights, &free, [whole, most], matrix);
            for &p in &free {
                let target = given[p].unwrap_or(0);
                let size = narrow(floor_div(mul(i128::from(target.abs()), share), WIDE_FIX));
                given[p] = Some(target.signum() * to_lot(size, sim.spec.instruments[p].lot));
            }
        }
        Some(_) => {}
    }
    (given != wanted).then(|| share_at_risk(whole.filter(|whole| *whole > most), scale))
}

/// The variance of the weights that are meant; the others are nothing.
fn variance_of(weights: &[i128], matrix: Matrix<'_>, meant: impl Fn(usize) -> bool) -> Option<i128> {
    let span = |(p, &weight): (usize, &i128)| if meant(p) { (weight, weight) } else { (0, 0) };
    worst_variance(&weights.iter().enumerate().map(span).collect::<Vec<Span>>(), matrix)
}

/// The largest share of the free weights, 10^-9, with which the book meets the limit; the others stay.
fn share(weights: &[i128], free: &[usize], [whole, mut most]: [i128; 2], matrix: Matrix<'_>) -> i128 {
    let is_free = |p: usize| free.binary_search(&p).is_ok();
    let mut own = variance_of(weights, matrix, is_free).unwrap_or(0);
    let mut rest = variance_of(weights, matrix, |p| !is_free(p)).unwrap_or(0);
    let mut cross = whole - own - rest;
    while own.max(rest).max(cross.abs()).max(most) > ROOM {
        (own, rest, cross, most) = (own / 10, rest / 10, cross / 10, most / 10);
    }
    let (mut low, mut high) = (0, FIX);
    while high - low > 1 {
        let middle = (low + high) / 2;
        let part = i128::from(middle);
        let variance =
            floor_div(mul(floor_div(mul(own, part), WIDE_FIX), part), WIDE_FIX) + mul(cross, part) / WIDE_FIX + rest;
        *(if variance <= most { &mut low } else { &mut high }) = middle;
    }
    i128::from(low)
}
