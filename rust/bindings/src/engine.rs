//! Bindings of the engine.

use pyo3::prelude::*;

/// Adds the functions and classes of this module to the extension.
pub(crate) fn register(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
