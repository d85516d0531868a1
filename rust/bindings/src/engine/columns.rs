//! Columns across the border: numpy arrays in, integer tables out.

use kraken_flow_core::engine::account::Booking;
use kraken_flow_core::engine::blotter::Blotter;
use kraken_flow_core::engine::detail::Finer;
use kraken_flow_core::engine::funding::Due;
use kraken_flow_core::engine::market::{Bars, Declared, Detail, PairColumns, Weights};
use kraken_flow_core::engine::parents::{CHILD_FIELDS, PARENT_FIELDS, Parents};
use kraken_flow_core::engine::recorder::{self, FILL_FIELDS, FLOW_FIELDS, Fill, Flow, LOG_FIELDS, Line, ORDER_FIELDS};
use kraken_flow_core::engine::simulator::Simulator;
use kraken_flow_core::engine::watch::{EVENT_FIELDS, Event};
use kraken_flow_core::schedule::Schedule;
use numpy::ndarray::Axis;
use numpy::{
    Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

type Ints<'py> = PyReadonlyArray1<'py, i64>;

/// Open, high, low, close, volume and state of one pair.
#[derive(FromPyObject)]
pub(super) struct PairArrays<'py>(Ints<'py>, Ints<'py>, Ints<'py>, Ints<'py>, Ints<'py>, PyReadonlyArray1<'py, u8>);

impl PairArrays<'_> {
    /// The arrays as slices; all have to be contiguous and have `rows` rows.
    pub(super) fn slices(&self, rows: usize) -> PyResult<PairColumns<'_>> {
        let PairArrays(open, high, low, close, volume, state) = self;
        if [open, high, low, close, volume].iter().any(|column| column.len() != rows) || state.len() != rows {
            return Err(PyValueError::new_err(format!("all columns of a pair need {rows} rows")));
        }
        Ok(PairColumns {
            open: open.as_slice()?,
            high: high.as_slice()?,
            low: low.as_slice()?,
            close: close.as_slice()?,
            volume: volume.as_slice()?,
            state: state.as_slice()?,
        })
    }
}

impl PairArrays<'_> {
    /// The columns of `rows` rows from `first` on.
    pub(super) fn slices_from(&self, first: usize, rows: usize) -> PyResult<PairColumns<'_>> {
        let all = self.slices(first + rows)?;
        Ok(PairColumns {
            open: &all.open[first..],
            high: &all.high[first..],
            low: &all.low[first..],
            close: &all.close[first..],
            volume: &all.volume[first..],
            state: &all.state[first..],
        })
    }
}

/// The finer bars of one decision bar, from a table of shape (6, pairs, finer bars): open to state.
pub(super) fn finer(
    table: &PyReadonlyArray3<'_, i64>,
    timeframe_ns: i64,
    bars: Bars<'_>,
    open_time: i64,
) -> PyResult<Finer> {
    let (pairs, shape) = (bars.len(), table.shape());
    let per_bar = shape[2];
    if shape[..2] != [6, pairs] {
        return Err(PyValueError::new_err(format!("finer bars need the shape (6, {pairs}, n), not {shape:?}")));
    }
    let flat = table.as_slice()?;
    let state: Vec<u8> = flat[5 * pairs * per_bar..].iter().map(|&state| state as u8).collect();
    let cells = |field: usize, p: usize| &flat[(field * pairs + p) * per_bar..][..per_bar];
    let columns: Vec<PairColumns<'_>> = (0..pairs)
        .map(|p| PairColumns {
            open: cells(0, p),
            high: cells(1, p),
            low: cells(2, p),
            close: cells(3, p),
            volume: cells(4, p),
            state: &state[p * per_bar..][..per_bar],
        })
        .collect();
    Ok(Finer::of(&Detail { timeframe_ns, per_bar, pairs: &columns }, bars, open_time))
}

/// What the fills of a table of shape (fields, n) did to the account.
pub(super) fn bookings(
    fills: &PyReadonlyArray2<'_, i64>,
    first_row: usize,
    rows: usize,
    pairs: usize,
) -> PyResult<Vec<Booking>> {
    let [fields, n] = [fills.shape()[0], fills.shape()[1]];
    let values = fills.as_slice()?;
    if fields != FILL_FIELDS.len() {
        return Err(PyValueError::new_err("these are not the columns of fills"));
    }
    let at = |name: &str| FILL_FIELDS.iter().position(|field| *field == name).unwrap_or(0) * n;
    let [row, pair, side, qty, price] = ["row", "pair", "side", "qty", "price"].map(at);
    let [in_base, fee_hi, fee_lo] = ["fee_is_base", "fee_hi", "fee_lo"].map(at);
    (0..n)
        .map(|i| {
            let fee = (i128::from(values[fee_hi + i]) << 62) + i128::from(values[fee_lo + i]);
            let in_base = values[in_base + i] != 0;
            let booking = Booking {
                row: usize::try_from(values[row + i])?.wrapping_sub(first_row),
                pair: usize::try_from(values[pair + i])?,
                side: values[side + i],
                qty: values[qty + i],
                price: values[price + i],
                fee: if in_base { 0 } else { fee },
                fee_base: if in_base { i64::try_from(fee)? } else { 0 },
            };
            if booking.row >= rows || booking.pair >= pairs {
                return Err(PyValueError::new_err("a fill lies outside the run"));
            }
            Ok(booking)
        })
        .collect()
}

/// One weight per pair and row: float64 in natural units, or int64 of 10^-9.
#[derive(FromPyObject)]
pub(super) enum WeightArray<'py> {
    Floats(PyReadonlyArray2<'py, f64>),
    Fixed(PyReadonlyArray2<'py, i64>),
}

impl WeightArray<'_> {
    /// The rows of the array, one per pair.
    pub(super) fn slices(&self, pairs: usize, rows: usize) -> PyResult<Vec<Weights<'_>>> {
        let shape = match self {
            WeightArray::Floats(array) => array.shape(),
            WeightArray::Fixed(array) => array.shape(),
        };
        if shape != [pairs, rows] {
            return Err(PyValueError::new_err(format!("weights need the shape ({pairs}, {rows}), not {shape:?}")));
        }
        Ok(match self {
            WeightArray::Floats(array) => split(array)?.into_iter().map(Weights::Floats).collect(),
            WeightArray::Fixed(array) => split(array)?.into_iter().map(Weights::Fixed).collect(),
        })
    }
}

/// A declared column: its first row, the distance to the next, and the values.
#[derive(FromPyObject)]
pub(super) struct DeclaredArray<'py>(usize, usize, WeightArray<'py>);

impl DeclaredArray<'_> {
    /// The column of a run of `rows` rows.
    pub(super) fn slices(&self, pairs: usize, rows: usize) -> PyResult<Declared<'_>> {
        let DeclaredArray(first, every, values) = self;
        if *every == 0 {
            return Err(PyValueError::new_err("the rows of a column need a distance"));
        }
        let held = Schedule { first: *first, every: *every };
        Ok(Declared { pairs: values.slices(pairs, held.count(rows))?, rows: held })
    }
}

/// The rows of a table, which have to be contiguous each; one row may stand for all.
fn split<'a, T: Element>(table: &'a PyReadonlyArray2<'_, T>) -> PyResult<Vec<&'a [T]>> {
    let view = table.as_array();
    let rows = (0..view.nrows()).map(|row| view.index_axis_move(Axis(0), row).to_slice());
    rows.collect::<Option<_>>().ok_or_else(|| PyValueError::new_err("the rows of weights need to be contiguous"))
}

type Table<'py> = Bound<'py, PyArray2<i64>>;

fn table(py: Python<'_>, values: Vec<i64>, fields: usize) -> PyResult<Table<'_>> {
    let rows = values.len() / fields;
    PyArray1::from_vec(py, values).reshape([fields, rows])
}

/// Orders from the number `first` on as an int64 table of shape (fields, n).
pub(super) fn orders<'py>(py: Python<'py>, orders: &Blotter, first: usize) -> PyResult<Table<'py>> {
    table(py, recorder::columns((first..orders.len()).map(|number| orders.values(number))), ORDER_FIELDS.len())
}

/// Fills as an int64 table of shape (fields, n).
pub(super) fn fills<'py>(py: Python<'py>, rows: &[Fill]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows.iter().map(Fill::values)), FILL_FIELDS.len())
}

/// Parent orders, and which order is whose child, as int64 tables of shape (fields, n).
pub(super) fn parents<'py>(py: Python<'py>, parents: &Parents, sim: &Simulator) -> PyResult<(Table<'py>, Table<'py>)> {
    let rows = table(py, recorder::columns(parents.rows(sim).into_iter()), PARENT_FIELDS.len())?;
    Ok((rows, table(py, recorder::columns(parents.links().iter().copied()), CHILD_FIELDS.len())?))
}

/// Flows of cash as an int64 table of shape (fields, n).
pub(super) fn flows<'py>(py: Python<'py>, rows: &[Flow]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows.iter().map(Flow::values)), FLOW_FIELDS.len())
}

/// Funding events from a table of shape (4, n): row, pair, time, rate; rows ascending, below `rows`.
pub(super) fn dues(table: &PyReadonlyArray2<'_, i64>, pairs: usize, rows: usize) -> PyResult<Vec<Due>> {
    let view = table.as_array();
    if view.nrows() != 4 {
        return Err(PyValueError::new_err("funding events need the shape (4, n)"));
    }
    let due = |event: &[i64]| {
        let due =
            Due { row: usize::try_from(event[0])?, pair: usize::try_from(event[1])?, time: event[2], rate: event[3] };
        if due.pair >= pairs || due.row >= rows {
            return Err(PyValueError::new_err("a funding event lies outside the run"));
        }
        Ok(due)
    };
    view.columns().into_iter().map(|column| due(&column.to_vec())).collect()
}

/// Log lines as an int64 table of shape (fields, n).
pub(super) fn log<'py>(py: Python<'py>, rows: &[Line]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows.iter().map(Line::values)), LOG_FIELDS.len())
}

/// Recorded triggers as an int64 table of shape (fields, n); its last fields are the bits of float64.
pub(super) fn events<'py>(py: Python<'py>, rows: &[Event]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows.iter().map(Event::values)), EVENT_FIELDS.len())
}
