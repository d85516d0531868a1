//! Kernels and engine of Kraken Flow: columns in, columns out.
//!
//! This crate knows nothing of Python, YAML, paths or clocks, does no I/O and holds no unsafe code.
#![forbid(unsafe_code)]

pub mod engine;
pub mod features;
pub mod schedule;

/// Version of this crate; the Python package accepts only its own.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
