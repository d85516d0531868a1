//! Risk: targets in, approved or clipped.

use super::number::{WIDE_UNIT, floor_div, mul, narrow};

/// A risk node's twin with its integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Limits on single positions.
    Position {
        /// Largest notional as a rate of equity, -1 off.
        max_fraction: i64,
    },
    /// A node without a twin.
    Callback,
}

impl Risk {
    /// The twin of a node by its kernel's name.
    pub fn named<E>(kernel: &str, parameter: impl Fn(&str) -> Result<i64, E>) -> Result<Option<Self>, E> {
        match kernel {
            "position" => Ok(Some(Risk::Position { max_fraction: parameter("max_fraction")? })),
            _ => Ok(None),
        }
    }

    /// The target that may stand; `equity` is exact and only asked for where the rule needs it.
    pub fn approve(&self, equity: i128, price: i64, target: i64) -> i64 {
        match *self {
            Risk::Position { max_fraction } if max_fraction >= 0 && price > 0 => {
                if within(equity, max_fraction, price, target) {
                    return target;
                }
                let cash = floor_div(mul(equity.max(0), i128::from(max_fraction)), WIDE_UNIT);
                let most = floor_div(cash, i128::from(price));
                let target = i128::from(target);
                narrow(target.min(most).max(-most))
            }
            Risk::Position { .. } | Risk::Callback => target,
        }
    }
}

/// Whether a target's value is at most its share of equity: then nothing needs to be divided.
fn within(equity: i128, max_fraction: i64, price: i64, target: i64) -> bool {
    let value = i128::from(target.unsigned_abs()) * i128::from(price);
    match (value.checked_mul(WIDE_UNIT), equity.checked_mul(i128::from(max_fraction))) {
        (Some(value), Some(most)) => value <= most,
        _ => false,
    }
}
