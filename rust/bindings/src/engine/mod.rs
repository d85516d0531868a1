//! Bindings of the engine.

use kraken_flow_core::engine::{codes, contract, limits, parents, recorder, watch};
use pyo3::prelude::*;
use pyo3::types::PyDict;

mod arguments;
mod callbacks;
mod columns;
mod drivers;

/// Fields of the columns that the engine returns: `orders`, `fills`, `log`, `risk`.
#[pyfunction]
fn engine_fields(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("orders", recorder::ORDER_FIELDS)?;
    fields.set_item("fills", recorder::FILL_FIELDS)?;
    fields.set_item("log", recorder::LOG_FIELDS)?;
    fields.set_item("parents", parents::PARENT_FIELDS)?;
    fields.set_item("children", parents::CHILD_FIELDS)?;
    fields.set_item("flows", recorder::FLOW_FIELDS)?;
    fields.set_item("risk", watch::EVENT_FIELDS)?;
    Ok(fields)
}

/// The engine's enums as name -> {member: code}.
#[pyfunction]
fn engine_codes(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let tables = [
        ("Side", codes::SIDE_TABLE),
        ("OrderType", codes::OrderType::TABLE),
        ("Tif", codes::Tif::TABLE),
        ("State", codes::State::TABLE),
        ("Reason", codes::Reason::TABLE),
        ("Control", codes::Control::TABLE),
        ("Liquidity", codes::Liquidity::TABLE),
        ("LogKind", codes::LogKind::TABLE),
        ("FillPath", codes::FillPath::TABLE),
        ("Slippage", codes::Slippage::TABLE),
        ("Algo", codes::Algo::TABLE),
        ("Remainder", codes::Remainder::TABLE),
        ("MarginMode", contract::MarginMode::TABLE),
        ("FlowKind", contract::FlowKind::TABLE),
        ("Safety", limits::Safety::TABLE),
        ("Effect", limits::Effect::TABLE),
        ("Trigger", limits::Trigger::TABLE),
    ];
    let result = PyDict::new(py);
    for (name, members) in tables {
        let table = PyDict::new(py);
        for (member, code) in members {
            table.set_item(member, code)?;
        }
        result.set_item(name, table)?;
    }
    Ok(result)
}

/// The legal transitions between order states: code -> codes.
#[pyfunction]
fn engine_transitions() -> Vec<(i64, Vec<i64>)> {
    let states = codes::State::ALL;
    states.iter().map(|a| (a.code(), states.iter().filter(|b| a.may_become(**b)).map(|b| b.code()).collect())).collect()
}

/// Adds the functions and classes of this module to the extension.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(engine_fields, m)?)?;
    m.add_function(wrap_pyfunction!(engine_codes, m)?)?;
    m.add_function(wrap_pyfunction!(engine_transitions, m)?)?;
    m.add_function(wrap_pyfunction!(drivers::run_engine, m)?)?;
    m.add_function(wrap_pyfunction!(drivers::account_columns, m)?)?;
    m.add_class::<drivers::Engine>()
}
