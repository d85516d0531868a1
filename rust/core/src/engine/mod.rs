//! The deterministic state machine of the account half: instants in, integer columns out.
//!
//! The Python engine in `kraken_flow/core` is the reference; the modules here bear the names of its files. Equal
//! inputs give equal orders, fills, log lines and marks, to the bit.

pub mod account;
mod admission;
pub mod batch;
pub mod blotter;
mod borrow;
pub mod callback;
mod changes;
mod clocks;
pub mod codes;
pub mod contract;
mod control;
pub mod costs;
mod curve;
pub mod decision;
pub mod detail;
mod drift;
pub mod execution;
mod exits;
pub mod fault;
mod fills;
pub mod funding;
mod guard;
mod held;
mod lane;
pub mod ledger;
mod levels;
pub mod limits;
mod manual;
mod margin;
pub mod market;
pub mod number;
pub mod order;
pub mod parents;
mod paths;
pub mod plan;
pub mod portfolio;
mod protection;
mod quiet;
pub mod recorder;
pub mod risk;
mod room;
mod safety;
pub mod simulator;
pub mod spec;
pub mod state_machine;
mod throttle;
mod var_limit;
pub mod watch;

#[cfg(test)]
mod tests;
