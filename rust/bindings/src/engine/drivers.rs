//! The two ways to drive the engine from Python: whole columns, and one instant at a time.

use std::collections::HashMap;

use kraken_flow_core::engine::account;
use kraken_flow_core::engine::batch;
use kraken_flow_core::engine::blotter::Blotter;
use kraken_flow_core::engine::callback::NoCallbacks;
use kraken_flow_core::engine::codes::Control;
use kraken_flow_core::engine::fault::Fault;
use kraken_flow_core::engine::market::{Bars, Declared, Detail, Market, PairColumns, Signals, Weights};
use kraken_flow_core::engine::parents::Manual;
use kraken_flow_core::engine::recorder::Line;
use kraken_flow_core::engine::state_machine::{self, Instant};
use kraken_flow_core::schedule::Schedule;
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, PyReadwriteArray1,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyAssertionError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arguments::{self, SpecArguments};
use super::callbacks::PythonNodes;
use super::columns::{self, DeclaredArray, PairArrays, WeightArray};

/// The Python error of a fault.
pub(super) fn error_of(fault: &Fault) -> PyErr {
    let text = fault.to_string();
    match fault {
        Fault::Cash | Fault::Units => PyOverflowError::new_err(text),
        Fault::Transition(_) => PyAssertionError::new_err(text),
        Fault::Callback => PyValueError::new_err("a node gave the engine something else than it was asked for"),
        Fault::Broken => PyRuntimeError::new_err(text),
    }
}

/// What a run wrote down, kept in the engine's own form until its columns are asked for.
#[pyclass(module = "kraken_flow_native", frozen)]
pub(super) struct Record {
    orders: Blotter,
    lines: Vec<Line>,
}

#[pymethods]
impl Record {
    /// Orders as an int64 table of shape (fields, n).
    fn orders<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i64>>> {
        columns::orders(py, &self.orders, 0)
    }

    /// Log lines as an int64 table of shape (fields, n).
    fn log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i64>>> {
        columns::log(py, &self.lines)
    }
}

fn as_dict<'py>(py: Python<'py>, engine: state_machine::Engine) -> PyResult<Bound<'py, PyDict>> {
    let result = PyDict::new(py);
    let (parents, children) = columns::parents(py, &engine.decider.parents, &engine.sim)?;
    result.set_item("parents", parents)?;
    result.set_item("children", children)?;
    let sim = engine.sim;
    result.set_item("fills", columns::fills(py, &sim.record.fills)?)?;
    result.set_item("risk", columns::events(py, &sim.watch.events)?)?;
    let counted = sim.record.counts();
    result.set_item("record", Record { orders: sim.orders, lines: sim.record.lines })?;
    result.set_item("exposure", engine.exposure.mean())?;
    if sim.ledger.tracked() {
        let basis: Vec<i128> = (0..sim.ledger.position.len()).map(|p| sim.ledger.basis(p)).collect();
        result.set_item("flows", columns::flows(py, &sim.record.flows)?)?;
        result.set_item("basis", basis)?;
        let (cash, gross): (Vec<f64>, Vec<f64>) = sim.record.accounts.iter().copied().unzip();
        result.set_item("accounts", (cash.into_pyarray(py), gross.into_pyarray(py)))?;
    }
    result.set_item("final_cash", sim.ledger.wallet())?;
    result.set_item("final_positions", sim.ledger.position.into_pyarray(py))?;
    let counts = PyDict::new(py);
    for (name, count) in counted {
        counts.set_item(name, count)?;
    }
    result.set_item("counts", counts)?;
    Ok(result)
}

/// Run a specification over whole columns and return its fills, balances, counts and its record of orders and log.
///
/// `pairs` holds (open, high, low, close, volume, state) per pair; `forecast` is of shape
/// (n_pairs, n_rows), float64 or int64 of 10^-9; each of `aux` is (first, every, values), the values of the rows first,
/// first + every, ...; `detail` is None or (timeframe_ns, per_bar, pairs); `nodes` answers for
/// nodes without a twin. `equity` is a float64 array that receives one mark per row from the first decision row on.
/// `quick=False` steps through every row, with the same result. Without `nodes` other Python
/// threads run meanwhile. `marks` are mark prices on the same grid, in the form of `pairs`; `funding` is int64 of shape
/// (4, n): the row in which an event becomes known, pair, time, rate (10^-12).
#[pyfunction]
#[pyo3(signature = (
    spec, times, pairs, forecast, aux, equity, detail=None, nodes=None, quick=true, marks=None, funding=None
))]
#[allow(clippy::too_many_arguments)] // the columns of a run, each its own argument of one Python call
pub(super) fn run_engine<'py>(
    py: Python<'py>,
    spec: SpecArguments,
    times: PyReadonlyArray1<'py, i64>,
    pairs: Vec<PairArrays<'py>>,
    forecast: WeightArray<'py>,
    aux: Vec<DeclaredArray<'py>>,
    mut equity: PyReadwriteArray1<'py, f64>,
    detail: Option<(i64, usize, Vec<PairArrays<'py>>)>,
    nodes: Option<Bound<'py, PyAny>>,
    quick: bool,
    marks: Option<Vec<PairArrays<'py>>>,
    funding: Option<PyReadonlyArray2<'py, i64>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (n, rows) = (spec.n_pairs(), times.len());
    if pairs.len() != n || aux.len() != spec.n_aux() || equity.len() != spec.decision_rows(rows) {
        return Err(PyValueError::new_err("the columns do not fit the specification"));
    }
    let spec = spec.spec()?;
    let coarse = pairs.iter().map(|pair| pair.slices(rows)).collect::<PyResult<Vec<_>>>()?;
    let fine = match &detail {
        Some((_, per_bar, arrays)) if arrays.len() == n => {
            arrays.iter().map(|pair| pair.slices(rows * per_bar)).collect::<PyResult<Vec<_>>>()?
        }
        Some(_) => return Err(PyValueError::new_err("the finer columns do not fit the pairs")),
        None => Vec::new(),
    };
    let marks = marks
        .iter()
        .map(|arrays| arrays.iter().map(|pair| pair.slices(rows)).collect::<PyResult<Vec<_>>>())
        .next()
        .transpose()?;
    if marks.as_ref().is_some_and(|marks| marks.len() != n) {
        return Err(PyValueError::new_err("the marks do not fit the pairs"));
    }
    let funding = funding.map(|table| columns::dues(&table, n, rows)).transpose()?.unwrap_or_default();
    let market = Market {
        marks: marks.as_deref(),
        funding: &funding,
        times: times.as_slice()?,
        pairs: &coarse,
        detail: detail.as_ref().map(|(timeframe_ns, per_bar, _)| Detail {
            timeframe_ns: *timeframe_ns,
            per_bar: *per_bar,
            pairs: &fine,
        }),
    };
    let forecast = forecast.slices(n, rows)?;
    let aux = aux.iter().map(|column| column.slices(n, rows)).collect::<PyResult<Vec<_>>>()?;
    let equity = equity.as_slice_mut()?;
    let engine = if let Some(nodes) = nodes {
        let mut nodes = PythonNodes::new(nodes);
        let done = batch::run(spec, &market, &forecast, &aux, &mut nodes, quick, equity);
        done.map_err(|fault| nodes.error(&fault))?
    } else {
        let done = py.detach(|| batch::run(spec, &market, &forecast, &aux, &mut NoCallbacks, quick, equity));
        done.map_err(|fault| error_of(&fault))?
    };
    as_dict(py, engine)
}

/// Write cash and gross at each row's close, from the fills of a run: int64 table of shape (fields, n).
///
/// `pairs` are the run's columns, `first_row` its first decision row.
#[pyfunction]
pub(super) fn account_columns(
    cash: i128,
    fills: PyReadonlyArray2<'_, i64>,
    pairs: Vec<PairArrays<'_>>,
    first_row: usize,
    mut cash_out: PyReadwriteArray1<'_, f64>,
    mut gross_out: PyReadwriteArray1<'_, f64>,
) -> PyResult<()> {
    let rows = cash_out.len();
    let after = pairs.iter().map(|pair| pair.slices_from(first_row, rows)).collect::<PyResult<Vec<_>>>()?;
    let bookings = columns::bookings(&fills, first_row, rows, pairs.len())?;
    account::columns(cash, bookings, &after, cash_out.as_slice_mut()?, gross_out.as_slice_mut()?);
    Ok(())
}

/// The engine one instant at a time: the state machine that a whole run loops over.
#[pyclass(module = "kraken_flow_native")]
pub(super) struct Engine {
    engine: state_machine::Engine,
    nodes: Option<Py<PyAny>>,
    n_pairs: usize,
    n_aux: usize,
    detail_ns: i64,
    drained: (usize, usize, usize),
    last: Vec<i64>,
    equity: Vec<f64>,
    cash: Vec<f64>,
    gross: Vec<f64>,
}

/// The states in a row of values (field, pair).
fn states(flat: &[i64], n: usize) -> Vec<u8> {
    flat[5 * n..6 * n].iter().map(|&state| state as u8).collect()
}

/// One bar of every pair, from a row of values (field, pair).
fn one_row<'a>(flat: &'a [i64], state: &'a [u8]) -> Vec<PairColumns<'a>> {
    let n = state.len();
    let cell = |field: usize, p: usize| &flat[field * n + p..=field * n + p];
    (0..n)
        .map(|p| PairColumns {
            open: cell(0, p),
            high: cell(1, p),
            low: cell(2, p),
            close: cell(3, p),
            volume: cell(4, p),
            state: &state[p..=p],
        })
        .collect()
}

/// A user's order: pair, side, quantity and the fields of its plan.
type ManualOrder = (usize, i64, i64, HashMap<String, i64>);

impl Engine {
    fn manual(&self, (pair, side, qty, fields): ManualOrder) -> PyResult<Manual> {
        if pair >= self.n_pairs || qty <= 0 || side.abs() != 1 {
            return Err(PyValueError::new_err("an order needs one of the pairs, a side and a quantity"));
        }
        Ok(Manual { pair, side, qty, plan: arguments::plan(&fields)? })
    }

    /// How many orders, fills and log lines wait to be drained.
    fn waiting(&self) -> (usize, usize, usize) {
        let sim = &self.engine.sim;
        let (orders, fills, lines) = self.drained;
        (sim.orders.len() - orders, sim.record.fills.len() - fills, sim.record.lines.len() - lines)
    }
}

type Tables<'py> = (Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<i64>>);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (spec, nodes=None, detail_ns=0))]
    fn new(spec: SpecArguments, nodes: Option<Py<PyAny>>, detail_ns: i64) -> PyResult<Self> {
        let (n_pairs, n_aux) = (spec.n_pairs(), spec.n_aux());
        let engine = state_machine::Engine::new(spec.spec()?);
        let drained = (0, 0, 0);
        let last = vec![0; 6 * n_pairs];
        Ok(Engine {
            engine,
            nodes,
            n_pairs,
            n_aux,
            detail_ns,
            drained,
            last,
            equity: vec![],
            cash: vec![],
            gross: vec![],
        })
    }

    /// Take one instant. `values` is int64 of shape (7 + n_aux, n_pairs): open, high, low, close, volume, state,
    /// forecast, then the declared columns; `finer`, of shape (6, n_pairs, per_bar), the bars inside it, open to state;
    /// `marks`, of shape (6, n_pairs), the bar of the marks; `funding`, of shape (4, n), the events known in it.
    /// Returns how many fills, orders and log lines wait to be drained.
    #[pyo3(signature = (row, open_time, values, finer=None, marks=None, funding=None))]
    #[allow(clippy::too_many_arguments)] // the columns of an instant, each its own argument of one Python call
    fn step(
        &mut self,
        py: Python<'_>,
        row: i64,
        open_time: i64,
        values: PyReadonlyArray2<'_, i64>,
        finer: Option<PyReadonlyArray3<'_, i64>>,
        marks: Option<PyReadonlyArray2<'_, i64>>,
        funding: Option<PyReadonlyArray2<'_, i64>>,
    ) -> PyResult<(usize, usize, usize)> {
        let n = self.n_pairs;
        if values.shape() != [7 + self.n_aux, n] {
            let (fields, shape) = (7 + self.n_aux, values.shape());
            return Err(PyValueError::new_err(format!("a step takes values of shape ({fields}, {n}), not {shape:?}")));
        }
        let flat = values.as_slice()?;
        self.last.copy_from_slice(&flat[..6 * n]);
        let state = states(flat, n);
        let pairs = one_row(flat, &state);
        let cell = |field: usize, p: usize| &flat[field * n + p..=field * n + p];
        let weights = |field: usize| (0..n).map(|p| Weights::Fixed(cell(field, p))).collect::<Vec<_>>();
        let forecast = weights(6);
        let aux: Vec<Declared<'_>> =
            (0..self.n_aux).map(|column| Declared { pairs: weights(7 + column), rows: Schedule::ALL }).collect();
        let bars = Bars { pairs: &pairs, at: 0 };
        let finer = finer.map(|table| columns::finer(&table, self.detail_ns, bars, open_time)).transpose()?;
        if let Some(finer) = &finer {
            let lacking = (0..n).filter(|&p| bars.real(p) && !finer.detailed[p]).count();
            self.engine.sim.record.detail_fallback_bars += lacking as i64;
        }
        let signals = Signals { forecast: &forecast, aux: &aux, at: 0 };
        if marks.as_ref().is_some_and(|table| table.shape() != [6, n]) {
            return Err(PyValueError::new_err(format!("marks need the shape (6, {n})")));
        }
        let flat_marks = marks.as_ref().map(|table| table.as_slice()).transpose()?;
        let marked = flat_marks.map(|flat| one_row(flat, &state));
        let marks = marked.as_ref().map(|pairs| Bars { pairs, at: 0 });
        let funding = funding.map(|table| columns::dues(&table, n, usize::MAX)).transpose()?.unwrap_or_default();
        let finer = finer.as_ref();
        let instant = Instant { row, open_time, bars, signals, finer, marks, funding: &funding, news: true };
        let marks = if let Some(nodes) = &self.nodes {
            let mut nodes = PythonNodes::new(nodes.bind(py).clone());
            let done = self.engine.step(&instant, &mut nodes);
            done.map_err(|fault| nodes.error(&fault))?
        } else {
            self.engine.step(&instant, &mut NoCallbacks).map_err(|fault| error_of(&fault))?
        };
        self.equity.push(marks.equity);
        self.cash.push(marks.cash);
        self.gross.push(marks.gross);
        Ok(self.waiting())
    }

    /// Take a row of the warm-up: volume and state of every pair.
    fn warm(&mut self, volume: Vec<i64>, state: Vec<u8>) -> PyResult<()> {
        if [volume.len(), state.len()] != [self.n_pairs; 2] {
            return Err(PyValueError::new_err("a row needs a volume and a state for every pair"));
        }
        let row = |p: usize| PairColumns { volume: &volume[p..=p], state: &state[p..=p], ..PairColumns::default() };
        let pairs: Vec<PairColumns<'_>> = (0..self.n_pairs).map(row).collect();
        self.engine.warm(Bars { pairs: &pairs, at: 0 });
        Ok(())
    }

    /// Do what a user says, a code of `Control`, after the newest instant, at `time` ns, with (pair, side, quantity,
    /// plan) where it is an order. Returns what `step` does.
    #[pyo3(signature = (what, time, manual=None))]
    fn control(&mut self, what: i64, time: i64, manual: Option<ManualOrder>) -> PyResult<(usize, usize, usize)> {
        let manual = manual.map(|order| self.manual(order)).transpose()?;
        let what = Control::from_code(what).ok_or_else(|| PyValueError::new_err(format!("{what} is no control")))?;
        let state = states(&self.last, self.n_pairs);
        let pairs = one_row(&self.last, &state);
        let done = self.engine.control(what, time, Bars { pairs: &pairs, at: 0 }, manual);
        done.map_err(|fault| error_of(&fault))?;
        Ok(self.waiting())
    }

    /// Return the orders, fills and log lines that are new since the last call, as tables of shape (fields, n).
    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<Tables<'py>> {
        let sim = &self.engine.sim;
        let (orders, fills, lines) = self.drained;
        self.drained = (sim.orders.len(), sim.record.fills.len(), sim.record.lines.len());
        Ok((
            columns::orders(py, &sim.orders, orders)?,
            columns::fills(py, &sim.record.fills[fills..])?,
            columns::log(py, &sim.record.lines[lines..])?,
        ))
    }

    /// Float (equity, cash, gross) of the last row, None before the first.
    fn marks(&self) -> Option<(f64, f64, f64)> {
        Some((*self.equity.last()?, *self.cash.last()?, *self.gross.last()?))
    }

    /// Exact cash (10^-16) and positions (10^-8).
    fn balances<'py>(&self, py: Python<'py>) -> (i128, Bound<'py, PyArray1<i64>>) {
        let ledger = &self.engine.sim.ledger;
        (ledger.wallet(), PyArray1::from_slice(py, &ledger.position))
    }

    /// How many orders work, per pair whether a protective exit keeps it out of the market, and where the account
    /// stands with its limits: codes of `Safety` and of the `Trigger` that brought it there.
    fn standing(&self) -> (usize, Vec<bool>, i64, i64) {
        let sim = &self.engine.sim;
        let working = sim.live.iter().flatten().filter(|&&id| sim.orders[id].alive()).count();
        let out = sim.stopped_row.iter().map(|&row| row >= 0).collect();
        (working, out, sim.watch.state.code(), sim.watch.cause.code())
    }

    /// Return everything recorded so far, as `run_engine` does, and the columns equity, cash and gross.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let result = as_dict(py, self.engine.clone())?;
        result.set_item("equity", PyArray1::from_slice(py, &self.equity))?;
        result.set_item("cash", PyArray1::from_slice(py, &self.cash))?;
        result.set_item("gross", PyArray1::from_slice(py, &self.gross))?;
        Ok(result)
    }
}
