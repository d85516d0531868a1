//! Portfolios: forecasts and the account in, target quantities out. Floored toward zero, step by step, as in Python.

use super::number::{FIX, FIX_NAN, UNIT, WIDE_FIX, WIDE_UNIT, floor_div, mul, narrow, times};

/// Scale of an inverse volatility.
const INVERSE: i64 = 1_000_000_000_000_000;
/// Smallest volatility per bar that is believed, 10^-9.
const FLOOR: i64 = 1000;

/// A portfolio node's twin with its integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portfolio {
    /// The same quantity every time.
    FixedQuantity {
        /// Quantity at forecast 1, 10^-8.
        quantity: i64,
    },
    /// An equal share of equity per pair.
    FixedFraction {
        /// Share of equity, 10^-8.
        fraction: i64,
        /// Share never used, 10^-8.
        buffer: i64,
    },
    /// The quantity that loses a fixed share of equity at the stop.
    FixedRisk {
        /// Share of equity at risk, 10^-8.
        risk: i64,
        /// Share never used, 10^-8.
        buffer: i64,
    },
    /// Weights in inverse proportion to volatility.
    InverseVol {
        /// Share of equity, 10^-8.
        fraction: i64,
        /// Share never used, 10^-8.
        buffer: i64,
    },
    /// Exposure scaled to a target volatility.
    VolTarget {
        /// Annual volatility wanted, 10^-8.
        target: i64,
        /// Share never used, 10^-8.
        buffer: i64,
    },
    /// A node without a twin: asked through [`super::callback::Callbacks`].
    Callback,
}

/// What a portfolio reads at a decision; slices run over the pairs in name order.
#[derive(Clone, Copy, Debug)]
pub struct Sizing<'a> {
    /// Exact equity, 10^-16.
    pub equity: i128,
    /// Gross exposure allowed over equity, 10^-8.
    pub leverage: i64,
    /// Distance of the stop loss, 10^-8.
    pub stop_rate: i64,
    /// Square root of bars per year, 10^-9.
    pub periods_root: i64,
    /// Last closes.
    pub price: &'a [i64],
    /// Quantities held, 10^-8.
    pub position: &'a [i64],
    /// Forecasts, 10^-9.
    pub forecast: &'a [i64],
    /// Volatility per bar, 10^-9; empty where the portfolio declares none.
    pub volatility: &'a [i64],
}

impl Sizing<'_> {
    /// The cash that may be exposed: the fraction of equity, at most leverage x (1 - buffer).
    fn budget(&self, fraction: i64, buffer: i64) -> i128 {
        let ceiling = floor_div(times(self.leverage, UNIT - buffer), WIDE_UNIT);
        scaled(self.equity.max(0), i128::from(fraction).min(ceiling))
    }
}

/// Part of a cash amount given by a rate; both may be negative, rounding is down.
fn scaled(value: i128, rate: i128) -> i128 {
    floor_div(mul(value, rate), WIDE_UNIT)
}

/// The quantity of a cash value scaled by the forecast's size, with the forecast's sign.
fn signed(value: i128, forecast: i64, price: i64) -> i64 {
    if price <= 0 {
        return 0;
    }
    let size = i128::from(forecast.unsigned_abs());
    let qty = narrow(floor_div(floor_div(mul(value, size), WIDE_FIX), i128::from(price)));
    if forecast > 0 { qty } else { -qty }
}

impl Portfolio {
    /// The twin of a node by its kernel's name; `parameter` gives its integers.
    pub fn named<E>(kernel: &str, parameter: impl Fn(&str) -> Result<i64, E>) -> Result<Option<Self>, E> {
        Ok(Some(match kernel {
            "fixed_quantity" => Portfolio::FixedQuantity { quantity: parameter("quantity")? },
            "fixed_fraction" => {
                Portfolio::FixedFraction { fraction: parameter("fraction")?, buffer: parameter("buffer")? }
            }
            "fixed_risk" => Portfolio::FixedRisk { risk: parameter("risk")?, buffer: parameter("buffer")? },
            "inverse_vol" => Portfolio::InverseVol { fraction: parameter("fraction")?, buffer: parameter("buffer")? },
            "vol_target" => Portfolio::VolTarget { target: parameter("target")?, buffer: parameter("buffer")? },
            _ => return Ok(None),
        }))
    }

    /// Writes the signed quantity wanted per pair; None keeps the standing target.
    pub fn targets(&self, view: &Sizing<'_>, out: &mut Vec<Option<i64>>) {
        out.clear();
        let pairs = view.forecast.iter().copied().zip(view.price.iter().copied());
        let n = view.price.len() as i128;
        match *self {
            Portfolio::FixedQuantity { quantity } => {
                let whole = i128::from(quantity);
                out.extend(view.forecast.iter().map(|&f| {
                    let qty = narrow(floor_div(mul(whole, i128::from(f.unsigned_abs())), WIDE_FIX));
                    Some(if f > 0 { qty } else { -qty })
                }));
            }
            Portfolio::FixedFraction { fraction, buffer } => {
                let share = view.budget(fraction, buffer).div_euclid(n);
                out.extend(pairs.map(|(f, price)| Some(signed(share, f, price))));
            }
            Portfolio::FixedRisk { risk, buffer } => {
                let ceiling = view.budget(view.leverage, buffer);
                let lost = scaled(view.equity.max(0), i128::from(risk));
                out.extend(pairs.map(|(f, price)| {
                    if price <= 0 {
                        return Some(0);
                    }
                    let distance = floor_div(times(price, view.stop_rate), WIDE_UNIT);
                    let full = if distance > 0 { floor_div(lost, distance) } else { 0 };
                    let qty = floor_div(mul(full, i128::from(f.unsigned_abs())), WIDE_FIX);
                    let qty = narrow(qty.min(floor_div(ceiling, i128::from(price))));
                    Some(if f > 0 { qty } else { -qty })
                }));
            }
            Portfolio::InverseVol { fraction, buffer } => {
                // What is held of a pair without a weight stays, and is not divided.
                let held = view.position.iter().zip(view.price).zip(view.volatility);
                let unknown = held.filter(|(_, v)| inverse(**v) == 0);
                let kept: i128 = unknown.map(|((&position, &price), _)| times(position.abs(), price)).sum();
                let whole = (view.budget(fraction, buffer) - kept).max(0);
                let total: i128 = view.volatility.iter().map(|&v| i128::from(inverse(v))).sum();
                out.extend(pairs.zip(view.volatility).map(|((f, price), &v)| {
                    let weight = i128::from(inverse(v));
                    (weight != 0).then(|| signed(floor_div(mul(whole, weight), total), f, price))
                }));
            }
            Portfolio::VolTarget { target, buffer } => {
                let share = scaled(view.equity.max(0), i128::from(target)).div_euclid(n);
                let ceiling = view.budget(view.leverage, buffer).div_euclid(n);
                out.extend(pairs.zip(view.volatility).map(|((f, price), &v)| {
                    if v == FIX_NAN {
                        return None;
                    }
                    let annual = floor_div(times(v.max(FLOOR), view.periods_root), WIDE_FIX);
                    Some(signed(floor_div(mul(share, WIDE_FIX), annual).min(ceiling), f, price))
                }));
            }
            Portfolio::Callback => {}
        }
    }
}

/// Weight of a volatility before normalising; 0 where it is not known, and where the price stands.
#[inline]
pub fn inverse(volatility: i64) -> i64 {
    if volatility == FIX_NAN || volatility == 0 { 0 } else { INVERSE / volatility.max(FLOOR) }
}

/// Annual volatility in units of 10^-9 as the drift filter estimates it.
#[inline]
pub fn annual(volatility: i64, periods_root: i64) -> f64 {
    volatility.max(FLOOR) as f64 * periods_root as f64 / FIX as f64
}
