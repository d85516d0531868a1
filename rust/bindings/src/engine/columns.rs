//! Columns across the border: numpy arrays in, integer tables out.

use kraken_flow_core::engine::market::{PairColumns, Weights};
use kraken_flow_core::engine::order::Order;
use kraken_flow_core::engine::recorder::{self, FILL_FIELDS, Fill, LOG_FIELDS, Line, ORDER_FIELDS};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
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
            WeightArray::Floats(array) => split(array.as_slice()?, pairs, rows).map(Weights::Floats).collect(),
            WeightArray::Fixed(array) => split(array.as_slice()?, pairs, rows).map(Weights::Fixed).collect(),
        })
    }
}

fn split<T>(values: &[T], pairs: usize, rows: usize) -> impl Iterator<Item = &[T]> {
    (0..pairs).map(move |p| &values[p * rows..(p + 1) * rows])
}

type Table<'py> = Bound<'py, PyArray2<i64>>;

fn table(py: Python<'_>, values: Vec<i64>, fields: usize) -> PyResult<Table<'_>> {
    let rows = values.len() / fields;
    PyArray1::from_vec(py, values).reshape([fields, rows])
}

/// Orders as an int64 table of shape (fields, n).
pub(super) fn orders<'py>(py: Python<'py>, rows: &[Order]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows, recorder::order_values), ORDER_FIELDS.len())
}

/// Fills as an int64 table of shape (fields, n).
pub(super) fn fills<'py>(py: Python<'py>, rows: &[Fill]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows, Fill::values), FILL_FIELDS.len())
}

/// Log lines as an int64 table of shape (fields, n).
pub(super) fn log<'py>(py: Python<'py>, rows: &[Line]) -> PyResult<Table<'py>> {
    table(py, recorder::columns(rows, Line::values), LOG_FIELDS.len())
}
