//! The rows at which a lone pair's forecast changes, found some way ahead.

use super::market::{PairColumns, REAL, Weights};

/// Rows looked at in one go.
const WINDOW: usize = 2048;
/// Rows of which mostly none begins a run.
const SPAN: usize = 8;

/// Where runs of equal forecasts begin, as far as rows were looked at.
#[derive(Debug)]
pub(super) struct Changes {
    begins: [u32; WINDOW],
    count: usize,
    taken: usize,
    seen: usize,
    ranges: bool,
    last: Answer,
}

/// The change that was found for a standing forecast from a row on.
#[derive(Clone, Copy, Debug)]
struct Answer {
    standing: i64,
    from: usize,
    change: usize,
}

impl Changes {
    /// Nothing was looked at yet; `ranges` where trades read the range of their bar too.
    pub(super) fn new(ranges: bool) -> Self {
        let last = Answer { standing: 0, from: 1, change: 0 };
        Changes { begins: [0; WINDOW], count: 0, taken: 0, seen: 0, ranges, last }
    }

    /// The first real row from `row` on whose forecast is not `standing`; the number of rows if there is none.
    #[inline]
    pub(super) fn next(&mut self, weights: &Weights<'_>, pair: &PairColumns<'_>, standing: i64, row: usize) -> usize {
        let Answer { from, change, .. } = self.last;
        if from <= row && row <= change {
            if self.last.standing == standing {
                return change;
            }
            (self.count, self.taken, self.seen) = (0, 0, 0);
        }
        let change = self.find(weights, pair, standing, row);
        self.last = Answer { standing, from: row, change };
        change
    }

    #[inline]
    fn find(&mut self, weights: &Weights<'_>, pair: &PairColumns<'_>, standing: i64, row: usize) -> usize {
        let end = weights.len();
        let mut begin = row;
        while begin < end {
            let stop = self.run_end(weights, pair, begin);
            if weights.at(begin) != standing
                && let Some(real) = (begin..stop).find(|&row| pair.state[row] == REAL)
            {
                return real;
            }
            begin = stop;
        }
        end
    }

    /// Where the run ends that `row` belongs to.
    #[inline]
    fn run_end(&mut self, weights: &Weights<'_>, pair: &PairColumns<'_>, row: usize) -> usize {
        loop {
            while self.taken < self.count {
                let begin = self.begins[self.taken] as usize;
                if begin > row {
                    return begin;
                }
                self.taken += 1;
            }
            if !self.look_ahead(weights, pair, row) {
                return weights.len();
            }
        }
    }

    /// Looks at the next rows; false at the end.
    fn look_ahead(&mut self, weights: &Weights<'_>, pair: &PairColumns<'_>, row: usize) -> bool {
        let from = self.seen.max(row).max(1);
        if from >= weights.len() {
            return false;
        }
        let to = weights.len().min(from + WINDOW);
        (self.taken, self.seen) = (0, to);
        self.count = match weights {
            Weights::Floats(values) => begins(&values[from - 1..to], from, &mut self.begins, |value| value.to_bits()),
            Weights::Fixed(values) => begins(&values[from - 1..to], from, &mut self.begins, |value| value as u64),
        };
        let begins = &self.begins[..self.count];
        fetch(pair, begins);
        if self.ranges {
            fetch_ranges(weights, pair, begins);
        }
        true
    }
}

/// Writes the rows whose value differs from the one before; `values` begin one row before `from`.
#[inline]
fn begins<T: Copy>(values: &[T], from: usize, rows: &mut [u32; WINDOW], bits: impl Fn(T) -> u64) -> usize {
    let (mut count, mut row) = (0, from);
    let differ = |span: &[T]| span.windows(2).fold(0, |all, pair| all | (bits(pair[0]) ^ bits(pair[1]))) != 0;
    while let Some(span) = values[row - from..].first_chunk::<{ SPAN + 1 }>() {
        if differ(span) {
            for (i, pair) in span.windows(2).enumerate() {
                // Written whether it is one or not: a branch that nobody can predict costs more.
                rows[count % WINDOW] = (row + i) as u32;
                count += usize::from(bits(pair[0]) != bits(pair[1]));
            }
        }
        row += SPAN;
    }
    for pair in values[row - from..].windows(2) {
        if bits(pair[0]) != bits(pair[1]) {
            rows[count] = row as u32;
            count += 1;
        }
        row += 1;
    }
    count
}

/// Reads what trades at these rows will read: those reads, far apart in memory, wait for each other unless they are
/// asked for together.
fn fetch(pair: &PairColumns<'_>, rows: &[u32]) {
    let mut seen = 0;
    for &row in rows {
        let row = row as usize;
        if let (Some(close), Some(open)) = (pair.close.get(row), pair.open.get(row + 1)) {
            seen |= close | open | pair.volume[row + 1] | i64::from(pair.state[row + 1]);
        }
    }
    std::hint::black_box(seen);
}

/// The same of the ranges that protection meets in the bar that opens a position.
fn fetch_ranges(weights: &Weights<'_>, pair: &PairColumns<'_>, rows: &[u32]) {
    let mut seen = 0;
    for &row in rows {
        let next = row as usize + 1;
        if let (Some(high), Some(low)) = (pair.high.get(next), pair.low.get(next))
            && weights.at(row as usize) != 0
        {
            seen |= high | low;
        }
    }
    std::hint::black_box(seen);
}
