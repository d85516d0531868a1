//! How a run can fail: found deep inside the arithmetic, told at the door.
//!
//! Faults are rare and end the run, so they unwind to [`guard`] and need no `Result` in every line of the exchange.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Why a run cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An amount of cash left 128 bits.
    Cash,
    /// A price or a quantity left 64 bits.
    Units,
    /// An order was moved to a state that the transition table does not allow.
    Transition(String),
    /// A node outside the engine failed; the caller knows why.
    Callback,
    /// The engine failed before and may not go on.
    Broken,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Cash => write!(f, "an amount of cash is larger than the engine can hold exactly (128 bits)"),
            Fault::Units => {
                write!(
                    f,
                    "a price or a quantity is larger than the engine can hold exactly: 92,233,720,368 with 8 decimals"
                )
            }
            Fault::Transition(what) => write!(f, "{what} is not a legal transition"),
            Fault::Callback => write!(f, "a node outside the engine failed"),
            Fault::Broken => write!(f, "this engine failed before and cannot go on"),
        }
    }
}

/// Ends the run.
#[cold]
pub fn raise(fault: Fault) -> ! {
    resume_unwind(Box::new(fault))
}

/// Runs `work` and returns the fault that ended it, if one did.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(other) => resume_unwind(other),
    })
}
