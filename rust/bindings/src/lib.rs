//! The Python face of `kraken-flow-core`. No logic lives here: arguments in, kernels called, columns out.

use pyo3::prelude::*;
use pyo3::types::PyDict;

mod engine;
mod features;

/// Version of the compiled extension, equal to that of the Python package it was made for.
#[pyfunction]
fn version() -> &'static str {
    kraken_flow_core::VERSION
}

/// How the extension was built: `version`, `profile` (`release` or `debug`), `target` and `python_abi`.
#[pyfunction]
fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let info = PyDict::new(py);
    info.set_item("version", kraken_flow_core::VERSION)?;
    info.set_item("profile", profile)?;
    info.set_item("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
    info.set_item("python_abi", "abi3-cp311")?;
    Ok(info)
}

/// The compiled accelerator of Kraken Flow.
#[pymodule]
fn kraken_flow_native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(version, m)?)?;
    m.add_function(wrap_pyfunction!(build_info, m)?)?;
    features::register(m)?;
    engine::register(m)
}
