//! Nodes that live outside the engine: a user's own portfolio, risk rule or executor.

use super::execution::Placement;
use super::fault::Fault;

/// The account at one decision, as nodes outside see it: integers, pairs in name order.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Grid row.
    pub row: i64,
    /// The decision, ns.
    pub time: i64,
    /// Exact equity, 10^-16.
    pub equity: i128,
    /// Last closes.
    pub price: &'a [i64],
    /// Positions.
    pub position: &'a [i64],
    /// Forecasts, 10^-9.
    pub forecast: &'a [i64],
    /// Declared columns, 10^-9: per name, per pair.
    pub aux: &'a [Vec<i64>],
}

/// What the engine asks of nodes without a twin. `begin` comes once before the questions of a decision.
pub trait Callbacks {
    /// Shows the account.
    fn begin(&mut self, moment: &Moment<'_>) -> Result<(), Fault>;
    /// Signed quantity wanted per pair; None keeps the standing target.
    fn targets(&mut self) -> Result<Vec<Option<i64>>, Fault>;
    /// The target that may stand.
    fn approve(&mut self, pair: usize, target: i64) -> Result<i64, Fault>;
    /// Type and prices of an order.
    fn place(&mut self, pair: usize, side: i64, qty: i64, reducing: bool) -> Result<Placement, Fault>;
}

/// Stands where every node has a twin.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCallbacks;

impl Callbacks for NoCallbacks {
    fn begin(&mut self, _: &Moment<'_>) -> Result<(), Fault> {
        Err(Fault::Callback)
    }

    fn targets(&mut self) -> Result<Vec<Option<i64>>, Fault> {
        Err(Fault::Callback)
    }

    fn approve(&mut self, _: usize, _: i64) -> Result<i64, Fault> {
        Err(Fault::Callback)
    }

    fn place(&mut self, _: usize, _: i64, _: i64, _: bool) -> Result<Placement, Fault> {
        Err(Fault::Callback)
    }
}
