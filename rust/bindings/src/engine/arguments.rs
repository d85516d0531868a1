//! The specification of a run as Python hands it over.

use std::collections::HashMap;

use kraken_flow_core::engine::codes::{Algo, FillPath, OrderType, Reason, Remainder, Slippage, Tif};
use kraken_flow_core::engine::contract::{BorrowTerms, MarginMode, MarginTerms};
use kraken_flow_core::engine::execution::Execution;
use kraken_flow_core::engine::ledger::Books;
use kraken_flow_core::engine::limits::{Effect, Limits};
use kraken_flow_core::engine::order::Request;
use kraken_flow_core::engine::plan::Plan;
use kraken_flow_core::engine::portfolio::Portfolio;
use kraken_flow_core::engine::risk::Risk;
use kraken_flow_core::engine::spec::{Instrument, Protection, Spec, Tier};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A node: the name of its twin, empty for none, and its integers.
type Node = (String, HashMap<String, i64>);

/// A scripted request: its time and the integers of an order, in the order of the Python class's fields.
type ScriptLine = (i64, [i64; 16]);

/// Limits of a day and of the system, as `core.limits.Limits` names them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct LimitArguments {
    max_loss: i64,
    max_trades: i64,
    max_losses: i64,
    cooldown_ns: i64,
    max_drawdown: i64,
    max_gross: i64,
    max_net: i64,
    max_positions: i64,
    black_swan: i64,
    stale_ns: i64,
    price_band: i64,
    max_var: i64,
    var_reach: i64,
    throttle_from: i64,
    loss_throttle: bool,
    day_effect: i64,
    system_effect: i64,
    shadow: bool,
}

impl LimitArguments {
    fn limits(self) -> PyResult<Limits> {
        let effect = |code| Effect::from_code(code).ok_or_else(|| unknown("effect", code));
        Ok(Limits {
            max_loss: self.max_loss,
            max_trades: self.max_trades,
            max_losses: self.max_losses,
            cooldown_ns: self.cooldown_ns,
            max_drawdown: self.max_drawdown,
            max_gross: self.max_gross,
            max_net: self.max_net,
            max_positions: self.max_positions,
            black_swan: self.black_swan,
            stale_ns: self.stale_ns,
            price_band: self.price_band,
            max_var: self.max_var,
            var_reach: self.var_reach,
            throttle_from: self.throttle_from,
            loss_throttle: self.loss_throttle,
            day_effect: effect(self.day_effect)?,
            system_effect: effect(self.system_effect)?,
            shadow: self.shadow,
        })
    }
}

/// The dictionary that `kraken_flow.core.twin` makes of a specification.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(super) struct SpecArguments {
    timeframe_ns: i64,
    instruments: Vec<(i64, i64, i64, i128, bool)>,
    portfolio: Node,
    risk: Node,
    execution: Node,
    protection: (i64, i64, i64, i64),
    cash: i128,
    short: bool,
    leverage: i64,
    tiers: Vec<(i128, i64, i64)>,
    fee_in_base: bool,
    slippage: i64,
    slippage_size: i64,
    latency_ns: i64,
    latency_rate: i64,
    limit_touch: bool,
    path: i64,
    participation: i64,
    price_band: i64,
    max_gap: i64,
    band: i64,
    drifts: bool,
    rebalance_bars: i64,
    rearm_bars: i64,
    timeout: i64,
    periods_root: i64,
    first_row: i64,
    aux: Vec<String>,
    margin: (i64, i64, i64, bool),
    borrow: (i64, i64, i64),
    funding_interval_ns: i64,
    books: Option<(Vec<bool>, Vec<bool>, i64)>,
    scripted: bool,
    requests: Vec<ScriptLine>,
    limits: LimitArguments,
    plan: Option<HashMap<String, i64>>,
    seed: u64,
}

/// A plan from the integers of its fields.
pub(super) fn plan(fields: &HashMap<String, i64>) -> PyResult<Plan> {
    let value = |name: &str| {
        fields.get(name).copied().ok_or_else(|| PyValueError::new_err(format!("plan: the field {name} is missing")))
    };
    let (algo, remainder) = (value("algo")?, value("remainder")?);
    let plan = Plan {
        algo: Algo::from_code(algo).ok_or_else(|| unknown("algo", algo))?,
        bars: value("bars")?,
        every: value("every")?,
        time_jitter: value("time_jitter")?,
        size_jitter: value("size_jitter")?,
        offset: value("offset")?,
        limit_rate: value("limit_rate")?,
        limit_price: value("limit_price")?,
        max_participation: value("max_participation")?,
        participation: value("participation")?,
        burst: value("burst")?,
        display: value("display")?,
        period: value("period")?,
        periods: value("periods")?,
        remainder: Remainder::from_code(remainder).ok_or_else(|| unknown("remainder", remainder))?,
        post_only: value("post_only")? != 0,
        exit_market: value("exit_market")? != 0,
    };
    let scheduled = matches!(plan.algo, Algo::Twap | Algo::Vwap | Algo::Chase);
    if plan.every <= 0
        || plan.bars < 0
        || (scheduled && plan.bars == 0)
        || (plan.algo == Algo::Vwap && plan.period <= 0)
    {
        return Err(PyValueError::new_err("plan: a schedule needs bars, and a curve a period"));
    }
    Ok(plan)
}

fn unknown(what: &str, code: i64) -> PyErr {
    PyValueError::new_err(format!("{what}: code {code} is not one of the engine's"))
}

fn parameter<'a>(node: &'a Node) -> impl Fn(&str) -> PyResult<i64> + 'a {
    move |name| {
        let value = node.1.get(name).copied();
        value.ok_or_else(|| PyValueError::new_err(format!("kernel {}: parameter {name} is missing", node.0)))
    }
}

/// The twin of a node, or the callback where it names none.
fn twin<T>(node: &Node, callback: T, made: PyResult<Option<T>>) -> PyResult<T> {
    if node.0.is_empty() {
        return Ok(callback);
    }
    made?.ok_or_else(|| PyValueError::new_err(format!("there is no kernel {}", node.0)))
}

fn request(values: [i64; 16]) -> PyResult<Request> {
    let [
        pair,
        side,
        qty,
        kind,
        limit_price,
        stop_price,
        trail,
        tif,
        expire_time,
        post_only,
        reduce_only,
        stop_loss,
        take_profit,
        bracket_trail,
        reason,
        tag,
    ] = values;
    Ok(Request {
        pair: usize::try_from(pair)?,
        side,
        qty,
        kind: OrderType::from_code(kind).ok_or_else(|| unknown("order type", kind))?,
        limit_price,
        stop_price,
        trail,
        tif: Tif::from_code(tif).ok_or_else(|| unknown("tif", tif))?,
        expire_time,
        post_only: post_only != 0,
        reduce_only: reduce_only != 0,
        stop_loss,
        take_profit,
        bracket_trail,
        reason: Reason::from_code(reason).ok_or_else(|| unknown("reason", reason))?,
        tag,
        parent: None,
        before: 0,
    })
}

impl SpecArguments {
    /// Number of declared columns.
    pub(super) fn n_aux(&self) -> usize {
        self.aux.len()
    }

    /// Number of pairs.
    pub(super) fn n_pairs(&self) -> usize {
        self.instruments.len()
    }

    /// Rows from the first decision row on, out of `rows`.
    pub(super) fn decision_rows(&self, rows: usize) -> usize {
        rows.saturating_sub(usize::try_from(self.first_row).unwrap_or(0))
    }

    /// The engine's own form; unknown codes and kernels are errors.
    pub(super) fn spec(self) -> PyResult<Spec> {
        let named = |name: &str| self.aux.iter().position(|known| known == name);
        let volatility = named("volatility");
        let (sigma, mean_volume) = (named("sigma"), named("mean_volume"));
        let portfolio = twin(
            &self.portfolio,
            Portfolio::Callback,
            Portfolio::named(&self.portfolio.0, parameter(&self.portfolio)),
        )?;
        if volatility.is_none() && matches!(portfolio, Portfolio::InverseVol { .. } | Portfolio::VolTarget { .. }) {
            return Err(PyValueError::new_err("the portfolio's column volatility is missing"));
        }
        let covariance = named("risk_covariance_0").filter(|_| self.limits.max_var >= 0);
        let declared = |(at, name): (usize, &String)| *name == format!("risk_covariance_{at}");
        if covariance.is_some_and(|first| {
            let columns = self.aux.iter().skip(first).take(self.instruments.len());
            columns.len() < self.instruments.len() || !columns.enumerate().all(declared)
        }) {
            return Err(PyValueError::new_err("risk's columns risk_covariance_0, ... do not follow each other"));
        }
        let (stop_loss, take_profit, trailing, max_bars) = self.protection;
        let n = self.n_pairs();
        let requests: Vec<(i64, Request)> =
            self.requests.into_iter().map(|(time, values)| Ok((time, request(values)?))).collect::<PyResult<_>>()?;
        if requests.iter().any(|(_, request)| request.pair >= n) {
            return Err(PyValueError::new_err("a scripted request names a pair that the run lacks"));
        }
        let tiers: Vec<Tier> =
            self.tiers.into_iter().map(|(volume, maker, taker)| Tier { volume, maker, taker }).collect();
        if tiers.is_empty() || n == 0 || self.timeframe_ns <= 0 {
            return Err(PyValueError::new_err("a run needs a pair, a fee tier and a timeframe"));
        }
        let (mode, maintenance, fee, at_bankruptcy) = self.margin;
        let mode = MarginMode::from_code(mode).ok_or_else(|| unknown("margin mode", mode))?;
        let (opening, rollover, every_ns) = self.borrow;
        let books =
            self.books.map(|(inverse, contracts, leverage)| Books { inverse, contracts, leverage, ..Books::default() });
        if books.as_ref().is_some_and(|books| books.inverse.len() != n || books.contracts.len() != n) {
            return Err(PyValueError::new_err("the books do not fit the pairs"));
        }
        Ok(Spec {
            timeframe_ns: self.timeframe_ns,
            instruments: self
                .instruments
                .into_iter()
                .map(|(tick, lot, qty_min, cost_min, inverse)| Instrument {
                    tick: tick.max(1),
                    lot: lot.max(1),
                    qty_min,
                    cost_min,
                    inverse,
                })
                .collect(),
            portfolio,
            risk: twin(&self.risk, Risk::Callback, Risk::named(&self.risk.0, parameter(&self.risk)))?,
            execution: twin(
                &self.execution,
                Execution::Callback,
                Execution::named(&self.execution.0, parameter(&self.execution)),
            )?,
            protection: Protection { stop_loss, take_profit, trailing, max_bars },
            cash: self.cash,
            short: self.short,
            leverage: self.leverage,
            tiers,
            fee_in_base: self.fee_in_base,
            slippage: Slippage::from_code(self.slippage).ok_or_else(|| unknown("slippage", self.slippage))?,
            slippage_size: self.slippage_size,
            latency_ns: self.latency_ns,
            latency_rate: self.latency_rate,
            limit_touch: self.limit_touch,
            path: FillPath::from_code(self.path).ok_or_else(|| unknown("path", self.path))?,
            participation: self.participation,
            price_band: self.price_band,
            max_gap: self.max_gap,
            band: self.band,
            drifts: self.drifts,
            rebalance_bars: self.rebalance_bars,
            rearm_bars: self.rearm_bars,
            timeout: self.timeout,
            periods_root: self.periods_root,
            first_row: self.first_row,
            volatility,
            sigma,
            mean_volume,
            covariance,
            plan: self.plan.as_ref().map(plan).transpose()?,
            seed: self.seed,
            margin: MarginTerms { mode, maintenance, fee, at_bankruptcy },
            borrow: BorrowTerms { opening, rollover, every_ns },
            funding_interval_ns: self.funding_interval_ns,
            books,
            scripted: self.scripted,
            requests,
            limits: self.limits.limits()?,
        })
    }
}
