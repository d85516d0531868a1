//! What the engine needs to know of a graph, as plain integers: the same fields as `core/spec.py`.

use super::codes::{FillPath, Slippage};
use super::contract::{BorrowTerms, MarginTerms, quote_price, quoted};
use super::execution::Execution;
use super::ledger::Books;
use super::limits::Limits;
use super::number::ceil_div;
use super::order::Request;
use super::plan::Plan;
use super::portfolio::Portfolio;
use super::risk::Risk;

/// The grid and the minima of a pair's orders: 10^-8, the smallest cost 10^-16.
#[derive(Clone, Copy, Debug)]
pub struct Instrument {
    /// Price step.
    pub tick: i64,
    /// Quantity step.
    pub lot: i64,
    /// Smallest quantity.
    pub qty_min: i64,
    /// Smallest notional, in the quote currency.
    pub cost_min: i128,
    /// Whether it is settled in its base.
    pub inverse: bool,
}

impl Instrument {
    /// Whether the venue takes an order of this size.
    pub fn takes(&self, qty: i64, price: i64) -> bool {
        qty >= self.qty_min && !self.is_cheap(qty, price)
    }

    /// Whether an order costs less than the venue takes.
    pub fn is_cheap(&self, qty: i64, price: i64) -> bool {
        quoted(self.inverse, qty, price) < self.cost_min
    }

    /// The smallest quantity that the venue takes at a price above 0.
    pub fn least(&self, price: i64) -> i128 {
        let lot = i128::from(self.lot);
        let costly = ceil_div(ceil_div(self.cost_min, i128::from(quote_price(self.inverse, price))), lot) * lot;
        costly.max(i128::from(self.qty_min))
    }

    /// What may fill of an order that was cut to `qty`, of which `closing` only closes a position.
    ///
    /// Nothing below the venue's minima is sent, nor is so little opened: no order could close it again.
    pub fn without_dust(&self, qty: i64, closing: i64, price: i64) -> i64 {
        let qty = if qty > closing && !self.takes(qty - closing, price) { closing } else { qty };
        if self.takes(qty, price) { qty } else { 0 }
    }
}

/// Fee rates (10^-8) from a 30-day traded volume (10^-16) on.
#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// Volume from which the rates hold.
    pub volume: i128,
    /// Rate of resting orders.
    pub maker: i64,
    /// Rate of orders that take liquidity.
    pub taker: i64,
}

/// What risk attaches to an opened position: rates (10^-8) of the opening price, bars; 0 is off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protection {
    /// Distance of the stop.
    pub stop_loss: i64,
    /// Distance of the target.
    pub take_profit: i64,
    /// Distance of the trailing stop.
    pub trailing: i64,
    /// Bars after which the position is closed.
    pub max_bars: i64,
}

/// One run in integers. Rates, prices and quantities 10^-8, cash 10^-16, times ns; -1 or 0 is off, as in Python.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Length of the decision bar.
    pub timeframe_ns: i64,
    /// One per pair, in name order.
    pub instruments: Vec<Instrument>,
    /// Sizing.
    pub portfolio: Portfolio,
    /// Approval.
    pub risk: Risk,
    /// Placement.
    pub execution: Execution,
    /// What is attached to positions.
    pub protection: Protection,
    /// Starting cash.
    pub cash: i128,
    /// Whether selling may open a short.
    pub short: bool,
    /// Gross exposure allowed over equity.
    pub leverage: i64,
    /// Fee tiers, ascending.
    pub tiers: Vec<Tier>,
    /// Whether buys pay their fee in base.
    pub fee_in_base: bool,
    /// How takers' prices move.
    pub slippage: Slippage,
    /// The model's one number.
    pub slippage_size: i64,
    /// Feed delay plus latency.
    pub latency_ns: i64,
    /// Rate by which latency worsens the next open.
    pub latency_rate: i64,
    /// Whether a touch fills a resting limit.
    pub limit_touch: bool,
    /// How prices run inside a bar.
    pub path: FillPath,
    /// Share of a bar's volume that own fills may take, -1 off.
    pub participation: i64,
    /// Distance from the close beyond which orders are refused, -1 off.
    pub price_band: i64,
    /// Longest gap in bars over which a market order waits.
    pub max_gap: i64,
    /// Drift that triggers a new target, -1 off.
    pub band: i64,
    /// Whether the portfolio's targets move with prices.
    pub drifts: bool,
    /// Bars between scheduled rebalances, 0 off.
    pub rebalance_bars: i64,
    /// Bars until a stopped-out pair may enter again, 0: when its forecast changes.
    pub rearm_bars: i64,
    /// Bars an own limit order may rest, -1 off.
    pub timeout: i64,
    /// Square root of bars per year, 10^-9.
    pub periods_root: i64,
    /// First row with a decision.
    pub first_row: i64,
    /// Column of `aux` that holds the portfolio's volatility.
    pub volatility: Option<usize>,
    /// Column of `aux` that holds the slippage model's volatility.
    pub sigma: Option<usize>,
    /// Column of `aux` that holds the slippage model's mean volume.
    pub mean_volume: Option<usize>,
    /// First of the columns of `aux` that hold the covariances with each pair.
    pub covariance: Option<usize>,
    /// How changes of position are worked; none: as single orders.
    pub plan: Option<Plan>,
    /// What the draws of plans follow from.
    pub seed: u64,
    /// When the venue liquidates.
    pub margin: MarginTerms,
    /// What borrowed coins cost.
    pub borrow: BorrowTerms,
    /// How long the rate of a funding event accrues, 0: due at once.
    pub funding_interval_ns: i64,
    /// What the ledger keeps besides cash and positions, where it keeps more.
    pub books: Option<Books>,
    /// Whether orders come from a script.
    pub scripted: bool,
    /// The script: (time, order) in order.
    pub requests: Vec<(i64, Request)>,
    /// Limits of a day and of the system.
    pub limits: Limits,
}
