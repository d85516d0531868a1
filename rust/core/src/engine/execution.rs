//! Execution: an approved change of position in, the placement of an order out.

use super::codes::{OrderType, Tif};
use super::number::{UNIT, WIDE_UNIT, ceil_div, floor_div, mul, narrow, times};

/// An execution node's twin with its integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Market orders at the next open.
    Market,
    /// Limit orders around the last close.
    Limit {
        /// Distance from the close on the passive side, 10^-8.
        offset: i64,
        /// Whether an order that would take is rejected.
        post_only: bool,
        /// Whether orders that only reduce go as market orders.
        exit_market: bool,
    },
    /// Children of parent orders; what goes out beside a plan are market orders.
    Plan,
    /// A node without a twin.
    Callback,
}

/// How an executor wants an order placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// What makes it fill.
    pub kind: OrderType,
    /// Limit price, 10^-8.
    pub limit_price: i64,
    /// How long it lives.
    pub tif: Tif,
    /// Whether it may only rest.
    pub post_only: bool,
}

impl Execution {
    /// The twin of a node by its kernel's name.
    pub fn named<E>(kernel: &str, parameter: impl Fn(&str) -> Result<i64, E>) -> Result<Option<Self>, E> {
        Ok(Some(match kernel {
            "market" => Execution::Market,
            "plan" => Execution::Plan,
            "limit" => Execution::Limit {
                offset: parameter("offset")?,
                post_only: parameter("post_only")? != 0,
                exit_market: parameter("exit_market")? != 0,
            },
            _ => return Ok(None),
        }))
    }

    /// Type and prices of an order at the last close.
    pub fn place(&self, close: i64, tick: i64, side: i64, reducing: bool) -> Placement {
        match *self {
            Execution::Limit { offset, post_only, exit_market } if !(reducing && exit_market) => {
                let moved = times(close, UNIT - side * offset);
                let unit = WIDE_UNIT * i128::from(tick);
                let ticks = if side > 0 { floor_div(moved, unit) } else { ceil_div(moved, unit) };
                let limit_price = narrow(mul(ticks.max(1), i128::from(tick)));
                Placement { kind: OrderType::Limit, limit_price, tif: Tif::Gtc, post_only }
            }
            _ => Placement::default(),
        }
    }
}
