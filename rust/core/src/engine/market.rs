//! What the engine reads of a market: integer columns of every pair, one row at a time.

use super::funding::Due;
use super::number::fix;
use crate::schedule::Schedule;

/// A row before the pair's first bar.
pub const ABSENT: u8 = 0;
/// A bar of the data.
pub const REAL: u8 = 1;
/// A missing bar, filled with the close before.
pub const SYNTHETIC: u8 = 2;

/// One pair's bars on the market's grid, units of 10^-8: low <= open, close <= high in every row, as loading checks.
#[derive(Clone, Copy, Debug, Default)]
pub struct PairColumns<'a> {
    /// First price.
    pub open: &'a [i64],
    /// Highest price.
    pub high: &'a [i64],
    /// Lowest price.
    pub low: &'a [i64],
    /// Last price.
    pub close: &'a [i64],
    /// Quantity traded.
    pub volume: &'a [i64],
    /// `ABSENT`, `REAL` or `SYNTHETIC`.
    pub state: &'a [u8],
}

/// One bar of every pair: row `at` of the columns.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    /// Columns in name order.
    pub pairs: &'a [PairColumns<'a>],
    /// The row.
    pub at: usize,
}

impl Bars<'_> {
    /// Number of pairs.
    #[inline]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Open of a pair.
    #[inline]
    pub fn open(&self, p: usize) -> i64 {
        self.pairs[p].open[self.at]
    }

    /// High of a pair.
    #[inline]
    pub fn high(&self, p: usize) -> i64 {
        self.pairs[p].high[self.at]
    }

    /// Low of a pair.
    #[inline]
    pub fn low(&self, p: usize) -> i64 {
        self.pairs[p].low[self.at]
    }

    /// Close of a pair.
    #[inline]
    pub fn close(&self, p: usize) -> i64 {
        self.pairs[p].close[self.at]
    }

    /// Volume of a pair.
    #[inline]
    pub fn volume(&self, p: usize) -> i64 {
        self.pairs[p].volume[self.at]
    }

    /// Whether the pair's row is a bar of the data.
    #[inline]
    pub fn real(&self, p: usize) -> bool {
        self.pairs[p].state[self.at] == REAL
    }

    /// Whether the pair trades in this bar: a real bar with volume.
    #[inline]
    pub fn tradable(&self, p: usize) -> bool {
        self.real(p) && self.volume(p) > 0
    }
}

/// A column of weights: floats that are rounded where they are read, or integers of 10^-9.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Natural units; NaN where undefined.
    Floats(&'a [f64]),
    /// Units of 10^-9; `FIX_NAN` where undefined.
    Fixed(&'a [i64]),
}

impl Weights<'_> {
    /// The value of a row in units of 10^-9.
    #[inline]
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Weights::Floats(values) => fix(values[row]),
            Weights::Fixed(values) => values[row],
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Weights::Floats(values) => values.len(),
            Weights::Fixed(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A column that account nodes declared: of all rows, or of those alone at which they read it.
#[derive(Clone, Debug)]
pub struct Declared<'a> {
    /// Values per pair, one for each of `rows`.
    pub pairs: Vec<Weights<'a>>,
    /// The rows it holds.
    pub rows: Schedule,
}

impl Declared<'_> {
    /// The value of a pair at a row, 10^-9.
    #[inline]
    pub fn at(&self, p: usize, row: usize) -> i64 {
        self.pairs[p].at(self.rows.place(row))
    }
}

/// What the signal half says at one row.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'a> {
    /// Held forecast per pair.
    pub forecast: &'a [Weights<'a>],
    /// Columns that account nodes read, per name of the specification's `aux`.
    pub aux: &'a [Declared<'a>],
    /// The row.
    pub at: usize,
}

impl Signals<'_> {
    /// Forecast of a pair, 10^-9.
    #[inline]
    pub fn forecast(&self, p: usize) -> i64 {
        self.forecast[p].at(self.at)
    }

    /// Value of a declared column, 10^-9.
    #[inline]
    pub fn aux(&self, column: usize, p: usize) -> i64 {
        self.aux[column].at(p, self.at)
    }
}

/// Finer bars inside the decision bars.
#[derive(Clone, Copy, Debug)]
pub struct Detail<'a> {
    /// Length of a finer bar, ns.
    pub timeframe_ns: i64,
    /// Finer bars in a decision bar.
    pub per_bar: usize,
    /// Columns of the finer bars in name order.
    pub pairs: &'a [PairColumns<'a>],
}

/// All pairs of a run on one regular grid.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    /// Bar opens, ns.
    pub times: &'a [i64],
    /// Columns in name order.
    pub pairs: &'a [PairColumns<'a>],
    /// Finer bars, where the fill path uses them.
    pub detail: Option<Detail<'a>>,
    /// Mark prices on the same grid; none where last prices have to do.
    pub marks: Option<&'a [PairColumns<'a>]>,
    /// Funding events, by the row in which they become known.
    pub funding: &'a [Due],
}

impl Market<'_> {
    /// Open of a row. On a regular grid it is computed: the column lies far from what a step reads otherwise.
    #[inline]
    pub fn open_time(&self, row: usize, timeframe_ns: i64) -> i64 {
        let (first, last) = (self.times[0], self.times[self.times.len() - 1]);
        if last - first == (self.times.len() - 1) as i64 * timeframe_ns {
            first + row as i64 * timeframe_ns
        } else {
            self.times[row]
        }
    }
}
