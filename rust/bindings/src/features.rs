//! Bindings of the feature kernels.

use kraken_flow_core::features::{self, Kernel, MAX_WIDTH};
use kraken_flow_core::schedule::Schedule;
use numpy::{PyReadonlyArray1, PyReadwriteArray1, PyReadwriteArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyTuple};

/// Run the kernel `name` made from `parameters` over float64 columns of equal length and write its outputs into `out`,
/// float64 of shape (n_outputs, n). It starts afresh at each index in `resets` and at rows with NaN in an input;
/// `clean` says that there are none. Other Python threads run meanwhile.
#[pyfunction]
fn run_feature(
    py: Python<'_>,
    name: &str,
    parameters: Vec<f64>,
    inputs: Vec<PyReadonlyArray1<'_, f64>>,
    resets: PyReadonlyArray1<'_, i64>,
    mut out: PyReadwriteArray2<'_, f64>,
    clean: bool,
) -> PyResult<()> {
    let mut kernel = make(name, &parameters)?;
    let rows = out.shape()[1];
    check(name, kernel.as_ref(), inputs.iter().map(|x| x.len()), out.shape())?;
    let columns = inputs.iter().map(|x| x.as_slice()).collect::<Result<Vec<_>, _>>()?;
    let (resets, table) = (resets.as_slice()?, out.as_slice_mut()?);
    if rows == 0 {
        return Ok(());
    }
    let mut outputs: Vec<&mut [f64]> = table.chunks_exact_mut(rows).collect();
    py.detach(|| features::run(kernel.as_mut(), &columns, resets, clean, &mut outputs));
    Ok(())
}

/// Run a kernel as `run_feature` does over int64 columns in units of 10^-8, all real bars without a gap: the bits are
/// those of their floats, without columns of floats between.
#[pyfunction]
fn run_feature_units(
    py: Python<'_>,
    name: &str,
    parameters: Vec<f64>,
    inputs: Vec<PyReadonlyArray1<'_, i64>>,
    mut out: PyReadwriteArray2<'_, f64>,
) -> PyResult<()> {
    let mut kernel = make(name, &parameters)?;
    let rows = out.shape()[1];
    check(name, kernel.as_ref(), inputs.iter().map(|x| x.len()), out.shape())?;
    let columns = inputs.iter().map(|x| x.as_slice()).collect::<Result<Vec<_>, _>>()?;
    let table = out.as_slice_mut()?;
    if rows == 0 {
        return Ok(());
    }
    let mut outputs: Vec<&mut [f64]> = table.chunks_exact_mut(rows).collect();
    py.detach(|| features::run_units(kernel.as_mut(), &columns, &mut outputs));
    Ok(())
}

/// Write the one output of a kernel at the rows `first`, `first + every`, ... alone, as `run_feature_units` has it there,
/// into `out`, float64 of that many rows.
#[pyfunction]
fn sample_feature_units(
    py: Python<'_>,
    name: &str,
    parameters: Vec<f64>,
    inputs: Vec<PyReadonlyArray1<'_, i64>>,
    first: usize,
    every: usize,
    mut out: PyReadwriteArray1<'_, f64>,
) -> PyResult<()> {
    let mut kernel = make(name, &parameters)?;
    let columns = inputs.iter().map(|x| x.as_slice()).collect::<Result<Vec<_>, _>>()?;
    let rows = columns.first().map_or(0, |column| column.len());
    check(name, kernel.as_ref(), columns.iter().map(|x| x.len()), &[1, rows])?;
    let (schedule, out) = (Schedule { first, every: every.max(1) }, out.as_slice_mut()?);
    if out.len() != schedule.count(rows) {
        return Err(PyValueError::new_err(format!(
            "{} rows of {rows} are asked for, not {}",
            schedule.count(rows),
            out.len()
        )));
    }
    py.detach(|| features::sample_units(kernel.as_mut(), &columns, schedule, out));
    Ok(())
}

/// Refuses columns of another number or length than a kernel and its table have.
fn check(
    name: &str,
    kernel: &dyn Kernel,
    lengths: impl ExactSizeIterator<Item = usize>,
    out: &[usize],
) -> PyResult<()> {
    let (inputs, outputs) = (kernel.inputs(), kernel.outputs());
    if lengths.len() != inputs || out[0] != outputs || lengths.into_iter().any(|rows| rows != out[1]) {
        return Err(PyValueError::new_err(format!(
            "kernel {name} takes {inputs} columns and gives {outputs}, all of one length"
        )));
    }
    Ok(())
}

/// Fill rows of `values` that are NaN or not `live` with the value before (`start` before the first), in place.
/// Returns None, or the first row whose value lies outside [low, 1], from where on nothing was changed.
#[pyfunction]
fn hold(
    py: Python<'_>,
    mut values: PyReadwriteArray1<'_, f64>,
    live: Option<PyReadonlyArray1<'_, bool>>,
    low: f64,
    start: f64,
) -> PyResult<Option<usize>> {
    let live = live.as_ref().map(|x| x.as_slice()).transpose()?;
    let values = values.as_slice_mut()?;
    Ok(py.detach(|| features::hold(values, live, low, start)).err().map(|problem| problem.row))
}

/// Turn a column of few values into the held forecast of a strategy that reads nothing else, in place: `answers[k]`
/// where it is `levels[k]`, the last answer elsewhere; NaN, and rows that are not `live`, keep the one before.
#[pyfunction]
fn hold_levels(
    py: Python<'_>,
    mut values: PyReadwriteArray1<'_, f64>,
    levels: [f64; 3],
    answers: [f64; 4],
    live: Option<PyReadonlyArray1<'_, bool>>,
) -> PyResult<()> {
    let live = live.as_ref().map(|x| x.as_slice()).transpose()?;
    let values = values.as_slice_mut()?;
    py.detach(|| features::hold_levels(values, levels, answers, live));
    Ok(())
}

/// Write float64 values as int64 of 10^-9, half to even; NaN becomes the smallest integer.
#[pyfunction]
fn fix_floats(py: Python<'_>, values: PyReadonlyArray1<'_, f64>, mut out: PyReadwriteArray1<'_, i64>) -> PyResult<()> {
    let (values, out) = (values.as_slice()?, out.as_slice_mut()?);
    py.detach(|| features::fix(values, out));
    Ok(())
}

fn make(name: &str, parameters: &[f64]) -> PyResult<Box<dyn Kernel>> {
    features::make(name, parameters).map_err(PyValueError::new_err)
}

/// A kernel that takes one bar at a time.
#[pyclass]
struct FeatureStream {
    kernel: Box<dyn Kernel>,
    inputs: usize,
    outputs: usize,
}

#[pymethods]
impl FeatureStream {
    #[new]
    fn new(name: &str, parameters: Vec<f64>) -> PyResult<Self> {
        let kernel = make(name, &parameters)?;
        let (inputs, outputs) = (kernel.inputs(), kernel.outputs());
        Ok(Self { kernel, inputs, outputs })
    }

    /// Take one bar's inputs and return the output, or the tuple of outputs. NaN in an input starts afresh.
    #[pyo3(signature = (x, y=None, z=None, /))]
    fn update<'py>(&mut self, py: Python<'py>, x: f64, y: Option<f64>, z: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let given = 1 + usize::from(y.is_some()) + usize::from(z.is_some());
        if given != self.inputs {
            return Err(PyValueError::new_err(format!("update takes {} values, not {given}", self.inputs)));
        }
        let row = [x, y.unwrap_or(0.0), z.unwrap_or(0.0)];
        let mut out = [f64::NAN; MAX_WIDTH];
        if row.iter().any(|v| v.is_nan()) {
            self.kernel.reset();
        } else {
            self.kernel.update(&row[..given], &mut out[..self.outputs]);
        }
        if self.outputs == 1 {
            return Ok(PyFloat::new(py, out[0]).into_any());
        }
        Ok(PyTuple::new(py, &out[..self.outputs])?.into_any())
    }

    /// Take many bars' inputs at once, float64 columns of equal length, starting afresh at each index in `resets` and at
    /// rows with NaN: the state is that after as many calls of `update`.
    fn advance(&mut self, inputs: Vec<PyReadonlyArray1<'_, f64>>, resets: PyReadonlyArray1<'_, i64>) -> PyResult<()> {
        let columns = inputs.iter().map(|x| x.as_slice()).collect::<Result<Vec<_>, _>>()?;
        let rows = columns.first().map_or(0, |column| column.len());
        if columns.len() != self.inputs || columns.iter().any(|column| column.len() != rows) {
            return Err(PyValueError::new_err(format!("advance takes {} columns of one length", self.inputs)));
        }
        let (mut afresh, mut given, mut out) = (resets.as_slice()?.iter().peekable(), [0.0; 3], [f64::NAN; MAX_WIDTH]);
        for row in 0..rows {
            if afresh.next_if(|&&at| usize::try_from(at) == Ok(row)).is_some() {
                self.kernel.reset();
            }
            for (value, column) in given.iter_mut().zip(&columns) {
                *value = column[row];
            }
            let given = &given[..self.inputs];
            if given.iter().any(|v| v.is_nan()) {
                self.kernel.reset();
            } else {
                self.kernel.update(given, &mut out[..self.outputs]);
            }
        }
        Ok(())
    }

    /// Forget everything.
    fn reset(&mut self) {
        self.kernel.reset();
    }
}

/// Adds the functions and classes of this module to the extension.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<FeatureStream>()?;
    m.add_function(wrap_pyfunction!(run_feature, m)?)?;
    m.add_function(wrap_pyfunction!(run_feature_units, m)?)?;
    m.add_function(wrap_pyfunction!(sample_feature_units, m)?)?;
    m.add_function(wrap_pyfunction!(hold, m)?)?;
    m.add_function(wrap_pyfunction!(hold_levels, m)?)?;
    m.add_function(wrap_pyfunction!(fix_floats, m)?)
}
