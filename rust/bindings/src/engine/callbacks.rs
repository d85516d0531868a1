//! Account nodes that stay in Python, asked by the engine at decisions.

use kraken_flow_core::engine::callback::{Callbacks, Moment};
use kraken_flow_core::engine::codes::{OrderType, Tif};
use kraken_flow_core::engine::execution::Placement;
use kraken_flow_core::engine::fault::Fault;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

/// The Python object that holds the nodes, and the error that ended the run if one of them raised.
pub(super) struct PythonNodes<'py> {
    nodes: Bound<'py, PyAny>,
    error: Option<PyErr>,
}

impl<'py> PythonNodes<'py> {
    pub(super) fn new(nodes: Bound<'py, PyAny>) -> Self {
        PythonNodes { nodes, error: None }
    }

    /// The error to raise for a fault that ended a run.
    pub(super) fn error(self, fault: &Fault) -> PyErr {
        self.error.unwrap_or_else(|| super::drivers::error_of(fault))
    }

    fn kept<T>(&mut self, done: PyResult<T>) -> Result<T, Fault> {
        done.map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(self.nodes.py()) {
                return Fault::Units;
            }
            self.error = Some(error);
            Fault::Callback
        })
    }
}

impl Callbacks for PythonNodes<'_> {
    fn begin(&mut self, m: &Moment<'_>) -> Result<(), Fault> {
        let facts = (m.row, m.time, m.equity, m.price, m.position, m.forecast, m.aux);
        let done = self.nodes.call_method1("begin", facts).map(|_| ());
        self.kept(done)
    }

    fn targets(&mut self) -> Result<Vec<Option<i64>>, Fault> {
        let done = self.nodes.call_method0("targets").and_then(|targets| targets.extract());
        self.kept(done)
    }

    fn approve(&mut self, pair: usize, target: i64) -> Result<i64, Fault> {
        let done = self.nodes.call_method1("approve", (pair, target)).and_then(|target| target.extract());
        self.kept(done)
    }

    fn place(&mut self, pair: usize, side: i64, qty: i64, reducing: bool) -> Result<Placement, Fault> {
        let done = self.nodes.call_method1("place", (pair, side, qty, reducing)).and_then(|placement| {
            let (kind, limit_price, tif, post_only): (i64, i64, i64, bool) = placement.extract()?;
            Ok(Placement {
                kind: OrderType::from_code(kind).unwrap_or_default(),
                limit_price,
                tif: Tif::from_code(tif).unwrap_or_default(),
                post_only,
            })
        });
        self.kept(done)
    }
}
