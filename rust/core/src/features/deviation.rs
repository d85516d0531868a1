//! Dispersion of a window.

use super::logarithm::{ln, ln_all};
use super::{Kernel, Ring, sample_whole, units};
use crate::schedule::Schedule;

/// Windows between two recomputations of the running moments.
const ANCHOR_EVERY: usize = 8;

/// Mean and sum of squared deviations of a window that slides.
#[derive(Clone, Copy)]
struct Running {
    /// A bar of the window at the last recomputation: all values are taken as distances from it.
    base: f64,
    /// The mean less `base`.
    offset: f64,
    squares: f64,
    last: f64,
    equal: usize,
}

impl Running {
    const FRESH: Self = Self { base: 0.0, offset: 0.0, squares: 0.0, last: 0.0, equal: 0 };

    #[inline(always)]
    fn see(&mut self, x: f64) {
        self.equal = if x == self.last { self.equal + 1 } else { 1 };
        self.last = x;
    }

    #[inline(always)]
    fn slide(&mut self, new: f64, old: f64, inverse: f64) {
        let change = new - old;
        let before = self.offset;
        self.offset += change * inverse;
        self.squares += change * (((new - self.base) - self.offset) + ((old - self.base) - before));
    }

    /// Recomputes the moments from a window given as two runs, oldest first.
    fn anchor(&mut self, older: &[f64], newer: &[f64], inverse: f64) {
        self.base = older[0];
        let mut total = 0.0;
        for x in older.iter().chain(newer) {
            total += x - self.base;
        }
        self.offset = total * inverse;
        total = 0.0;
        for x in older.iter().chain(newer) {
            let distance = self.distance(*x);
            total += distance * distance;
        }
        self.squares = total;
    }

    #[inline(always)]
    fn mean(&self) -> f64 {
        self.base + self.offset
    }

    #[inline(always)]
    fn distance(&self, x: f64) -> f64 {
        (x - self.base) - self.offset
    }

    #[inline(always)]
    fn deviation(&self, window: usize, scale: f64) -> f64 {
        let root = (self.squares * scale).sqrt();
        if self.equal >= window || self.squares.is_nan() || self.squares <= 0.0 { 0.0 } else { root }
    }
}

/// A window and its moments.
struct Moments {
    window: usize,
    inverse: f64,
    ring: Ring,
    running: Running,
    /// Slides left before the next recomputation.
    age: usize,
}

impl Moments {
    fn new(window: usize) -> Self {
        Self { window, inverse: 1.0 / window as f64, ring: Ring::new(), running: Running::FRESH, age: 0 }
    }

    fn clear(&mut self) {
        self.ring.clear();
        self.running = Running::FRESH;
        self.age = 0;
    }

    /// Takes one value; says whether the window is full.
    #[inline(always)]
    fn add(&mut self, x: f64) -> bool {
        self.running.see(x);
        let old = self.ring.push(x, self.window);
        if self.ring.len() < self.window {
            return false;
        }
        match old {
            Some(old) if self.age > 0 => {
                self.age -= 1;
                self.running.slide(x, old, self.inverse);
            }
            _ => {
                self.age = ANCHOR_EVERY * self.window - 1;
                let (older, newer) = self.ring.in_order();
                self.running.anchor(older, newer, self.inverse);
            }
        }
        true
    }

    /// Runs over a slice from a fresh state, reading the window from the slice itself, and calls `emit` with the index,
    /// the value and the moments for each full window.
    #[inline(always)]
    fn sweep(&self, x: &[f64], mut emit: impl FnMut(usize, f64, &Running)) {
        let (window, inverse) = (self.window, self.inverse);
        let mut running = Running::FRESH;
        for &value in &x[..(window - 1).min(x.len())] {
            running.see(value);
        }
        let mut at = window - 1;
        while at < x.len() {
            running.see(x[at]);
            running.anchor(&x[at + 1 - window..=at], &[], inverse);
            emit(at, x[at], &running);
            let end = (at + ANCHOR_EVERY * window).min(x.len());
            let (news, olds) = (&x[at + 1..end], &x[at + 1 - window..end - window]);
            for (k, (&new, &old)) in news.iter().zip(olds).enumerate() {
                running.see(new);
                running.slide(new, old, inverse);
                emit(at + 1 + k, new, &running);
            }
            at = end;
        }
    }
}

/// A stretch of a long column that is made as it is read, from front to back, and kept while it is needed.
struct Stretch<F> {
    make: F,
    /// Length of the whole column.
    rows: usize,
    values: Vec<f64>,
    start: usize,
    end: usize,
}

impl<F: FnMut(usize, &mut [f64])> Stretch<F> {
    /// `make` writes the values from an index on. At least `least` values and a block more are kept at a time.
    fn new(rows: usize, least: usize, make: F) -> Self {
        const BLOCK: usize = 1024;
        Self { make, rows, values: vec![0.0; least + least.max(BLOCK)], start: 0, end: 0 }
    }

    /// Makes the values up to index `at` known; those before `from` may be forgotten.
    fn reach(&mut self, from: usize, at: usize) {
        if at < self.end {
            return;
        }
        let kept = self.end.saturating_sub(from);
        self.values.copy_within(self.end - kept - self.start..self.end - self.start, 0);
        self.start = from;
        self.end = (from + self.values.len()).min(self.rows);
        (self.make)(from + kept, &mut self.values[kept..self.end - from]);
    }

    /// The known values of indices `from` to `to`.
    fn part(&self, from: usize, to: usize) -> &[f64] {
        &self.values[from - self.start..to - self.start]
    }
}

impl Moments {
    /// Gives `emit` the moments at the indices `wanted`, ascending and from the first full window on: those of `sweep`.
    ///
    /// What lies before the last recomputation at or before a wanted index has no effect on it and is not computed.
    fn sample<F: FnMut(usize, &mut [f64])>(
        &self,
        x: &mut Stretch<F>,
        wanted: impl Iterator<Item = usize>,
        mut emit: impl FnMut(&Running),
    ) {
        let (window, inverse) = (self.window, self.inverse);
        let (mut running, mut next) = (Running::FRESH, 0);
        for at in wanted {
            let anchor = at - (at + 1 - window) % (ANCHOR_EVERY * window);
            if anchor >= next {
                x.reach(anchor + 1 - window, anchor);
                running.anchor(x.part(anchor + 1 - window, anchor + 1), &[], inverse);
                next = anchor + 1;
            }
            while next <= at {
                x.reach(next - window, next);
                let end = x.end.min(at + 1);
                for (&new, &old) in x.part(next, end).iter().zip(x.part(next - window, end - window)) {
                    running.slide(new, old, inverse);
                }
                next = end;
            }
            let full = x.part(at + 1 - window, at + 1);
            running.equal = full.iter().rev().take_while(|&x| *x == full[window - 1]).count();
            emit(&running);
        }
    }
}

fn fill_head(out: &mut [&mut [f64]], window: usize) {
    for column in out {
        let head = (window - 1).min(column.len());
        column[..head].fill(f64::NAN);
    }
}

/// Standard deviation.
pub(crate) struct Std {
    moments: Moments,
    scale: f64,
}

impl Std {
    pub(crate) fn new(window: usize, ddof: f64) -> Self {
        Self { moments: Moments::new(window), scale: 1.0 / (window as f64 - ddof) }
    }

    fn next(&mut self, x: f64) -> f64 {
        if self.moments.add(x) { self.moments.running.deviation(self.moments.window, self.scale) } else { f64::NAN }
    }
}

impl Kernel for Std {
    fn reset(&mut self) {
        self.moments.clear();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        out[0] = self.next(x[0]);
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (window, scale) = (self.moments.window, self.scale);
        fill_head(out, window);
        let out = &mut *out[0];
        self.moments.sweep(x[0], |i, _, running| out[i] = running.deviation(window, scale));
    }
}

/// Distance from the mean in sample deviations.
pub(crate) struct ZScore {
    moments: Moments,
    scale: f64,
}

#[inline(always)]
fn zscore(x: f64, running: &Running, window: usize, scale: f64) -> f64 {
    let deviation = running.deviation(window, scale);
    if deviation > 0.0 { running.distance(x) / deviation } else { 0.0 }
}

impl ZScore {
    pub(crate) fn new(window: usize) -> Self {
        Self { moments: Moments::new(window), scale: 1.0 / (window as f64 - 1.0) }
    }

    fn next(&mut self, x: f64) -> f64 {
        if self.moments.add(x) { zscore(x, &self.moments.running, self.moments.window, self.scale) } else { f64::NAN }
    }
}

impl Kernel for ZScore {
    fn reset(&mut self) {
        self.moments.clear();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        out[0] = self.next(x[0]);
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (window, scale) = (self.moments.window, self.scale);
        fill_head(out, window);
        let out = &mut *out[0];
        self.moments.sweep(x[0], |i, value, running| out[i] = zscore(value, running, window, scale));
    }
}

/// The z-score of ln(volume) over the bars that traded.
pub(crate) struct VolumeZ {
    inner: ZScore,
}

impl VolumeZ {
    pub(crate) fn new(window: usize) -> Self {
        Self { inner: ZScore::new(window) }
    }
}

impl Kernel for VolumeZ {
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        out[0] = if x[0] > 0.0 { self.inner.next(ln(x[0])) } else { f64::NAN };
    }
}

/// Mean and bands.
pub(crate) struct Bollinger {
    moments: Moments,
    scale: f64,
    deviations: f64,
}

impl Bollinger {
    pub(crate) fn new(window: usize, deviations: f64) -> Self {
        Self { moments: Moments::new(window), scale: 1.0 / window as f64, deviations }
    }
}

impl Kernel for Bollinger {
    fn outputs(&self) -> usize {
        3
    }

    fn reset(&mut self) {
        self.moments.clear();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        if self.moments.add(x[0]) {
            let middle = self.moments.running.mean();
            let distance = self.deviations * self.moments.running.deviation(self.moments.window, self.scale);
            (out[0], out[1], out[2]) = (middle + distance, middle, middle - distance);
        } else {
            out.fill(f64::NAN);
        }
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (window, scale, deviations) = (self.moments.window, self.scale, self.deviations);
        fill_head(out, window);
        let [upper, middle, lower] = out else { return };
        let rows = x[0].len();
        let (upper, middle, lower) = (&mut upper[..rows], &mut middle[..rows], &mut lower[..rows]);
        self.moments.sweep(x[0], |i, _, running| {
            let distance = deviations * running.deviation(window, scale);
            let mean = running.mean();
            (upper[i], middle[i], lower[i]) = (mean + distance, mean, mean - distance);
        });
    }
}

/// Standard deviation of log returns.
pub(crate) struct LogReturnStd {
    inner: Std,
    before: f64,
}

impl LogReturnStd {
    pub(crate) fn new(window: usize, ddof: f64) -> Self {
        Self { inner: Std::new(window, ddof), before: 0.0 }
    }

    /// Writes the deviations of the returns between all bars of a segment.
    fn spread(&mut self, returns: &[f64], out: &mut [&mut [f64]]) {
        let [out] = out else { return };
        let (first, rest) = out.split_at_mut(1);
        first.fill(f64::NAN);
        self.inner.segment(&[returns], &mut [rest]);
    }
}

impl Kernel for LogReturnStd {
    fn reset(&mut self) {
        self.inner.reset();
        self.before = 0.0;
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        let before = std::mem::replace(&mut self.before, x[0]);
        out[0] = if before <= 0.0 || x[0] <= 0.0 { f64::NAN } else { self.inner.next(ln(x[0] / before)) };
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let prices = x[0];
        if prices.iter().any(|&price| price <= 0.0) {
            return self.step_through(x, out);
        }
        let mut returns: Vec<f64> = prices.iter().zip(&prices[1..]).map(|(before, price)| price / before).collect();
        ln_all(&mut returns);
        self.spread(&returns, out);
    }

    fn segment_units(&mut self, x: &[&[i64]], out: &mut [&mut [f64]]) {
        let prices = x[0];
        let mut returns = vec![0.0; prices.len().saturating_sub(1)];
        if log_returns(prices, &mut returns) {
            self.spread(&returns, out);
        } else {
            self.step_through(&[&units::floats(prices)], out);
        }
    }

    fn sample_units(&mut self, x: &[&[i64]], rows: Schedule, out: &mut [f64]) {
        let prices = x[0];
        let Std { moments, scale } = &self.inner;
        let window = moments.window;
        let unknown = rows.count(window).min(out.len());
        let (head, rest) = out.split_at_mut(unknown);
        head.fill(f64::NAN);
        // The return of a row stands at the index before: the first row has none.
        let wanted = rows.rows(prices.len()).skip(unknown).map(|row| row - 1);
        let (mut positive, mut seen) = (true, 0);
        let mut returns = Stretch::new(prices.len().saturating_sub(1), window + 1, |from, returns: &mut [f64]| {
            let end = from + returns.len();
            positive &= all_positive(&prices[seen.min(from)..from]) && log_returns(&prices[from..=end], returns);
            seen = end;
        });
        let mut slots = rest.iter_mut();
        moments.sample(&mut returns, wanted, |running| {
            if let Some(slot) = slots.next() {
                *slot = running.deviation(window, *scale);
            }
        });
        if !positive {
            sample_whole(self, x, rows, out);
        }
    }
}

/// Whether all prices are above 0.
fn all_positive(prices: &[i64]) -> bool {
    // The sign bit of x | (x - 1) is set where x <= 0.
    prices.iter().fold(0, |any, &price| any | price | price.wrapping_sub(1)) >= 0
}

/// Writes the logarithms of the ratios of neighbouring prices, one less than there are prices; says whether all prices
/// are above 0, without which they mean nothing.
fn log_returns(prices: &[i64], returns: &mut [f64]) -> bool {
    let mut positive = true;
    // A block, with the price before it at its head, is converted where it stays in the cache.
    let mut floats = [0.0; units::BLOCK + 1];
    for (k, returns) in returns.chunks_mut(units::BLOCK).enumerate() {
        let first = k * units::BLOCK;
        let block = &prices[first..=first + returns.len()];
        let floats = &mut floats[..block.len()];
        positive &= all_positive(block);
        units::convert(block, floats);
        for ((slot, price), before) in returns.iter_mut().zip(&floats[1..]).zip(&*floats) {
            *slot = price / before;
        }
        ln_all(returns);
    }
    positive
}
