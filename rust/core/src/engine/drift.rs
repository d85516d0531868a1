//! Whether targets may have drifted beyond the band, estimated in floats.
//!
//! The decision itself is exact and costs divisions of 128-bit integers; an estimate with a generous margin says in
//! which rows it cannot come to a new target.

use super::decision::Decider;
use super::market::{Declared, Market, REAL};
use super::number::{FIX_NAN, UNIT};
use super::portfolio::{Portfolio, annual, inverse};
use super::risk::Risk;
use super::simulator::Simulator;

/// Relative error that the estimate may have; the steps it leaves out round by far less.
const MARGIN: f64 = 1e-3;
/// Cash over price for a rate of 10^-8: equity is in quote units, prices and quantities in 10^-8.
const SCALE: f64 = 1e16 / UNIT as f64;
/// Distance of a stop in price units below which its rounding matters.
const SMALL_DISTANCE: f64 = 1e4;
/// Gross exposure over equity from which float equity is not trusted.
const THIN: f64 = 1e9;

/// Marks of some rows: their floats and where they begin.
#[derive(Clone, Copy, Debug)]
pub struct Marked<'a> {
    /// First row.
    pub start: usize,
    /// Equity per row.
    pub equity: &'a [f64],
    /// Gross exposure per row.
    pub gross: &'a [f64],
    /// Cash, the same in all rows.
    pub cash: f64,
}

/// How many of the marked rows certainly bring no new target.
pub fn steady(
    sim: &Simulator,
    decider: &Decider,
    market: &Market<'_>,
    aux: &[Declared<'_>],
    marked: &Marked<'_>,
) -> usize {
    let spec = &sim.spec;
    if spec.limits.max_gross >= 0 || spec.limits.max_net >= 0 {
        return 0;
    }
    let most = match spec.risk {
        Risk::Position { max_fraction } if max_fraction >= 0 => max_fraction as f64,
        Risk::Position { .. } => f64::INFINITY,
        Risk::Callback => return 0,
    };
    let ceiling = spec.leverage as f64 * (1.0 - buffer(spec.portfolio) as f64 / UNIT as f64);
    let band = spec.band as f64 / UNIT as f64;
    let n = market.pairs.len() as f64;
    let mut rows = marked.equity.len();
    for (k, (&equity, &gross)) in marked.equity.iter().zip(marked.gross).enumerate() {
        if equity <= 0.0 || gross + marked.cash.abs() > THIN * equity {
            rows = k;
            break;
        }
    }
    let volatility = |p: usize, row: usize| spec.volatility.map_or(FIX_NAN, |column| aux[column].at(p, row));
    let totals: Vec<f64> = if matches!(spec.portfolio, Portfolio::InverseVol { .. }) {
        (0..rows)
            .map(|k| (0..market.pairs.len()).map(|p| inverse(volatility(p, marked.start + k)) as f64).sum())
            .collect()
    } else {
        Vec::new()
    };
    if !totals.is_empty() {
        // What is held of a pair without a weight takes from the budget.
        let kept = |k: usize, p: usize| sim.ledger.position[p] != 0 && inverse(volatility(p, marked.start + k)) == 0;
        rows = first(rows, |k| !(0..market.pairs.len()).any(|p| kept(k, p)));
    }
    for (p, pair) in market.pairs.iter().enumerate() {
        let (forecast, standing) = (decider.forecast[p], decider.target[p]);
        if sim.stopped_row[p] >= 0 || (standing == 0 && (forecast == 0 || (!spec.short && forecast < 0))) {
            continue;
        }
        let weight = forecast as f64 / 1e9;
        let slack = band * (standing as f64).abs() - (2 * spec.instruments[p].lot + 16) as f64;
        let near = |target: f64| (target - standing as f64).abs() + MARGIN * target.abs() <= slack;
        let at = |k: usize| marked.start + k;
        rows = match spec.portfolio {
            Portfolio::FixedFraction { fraction, .. } => {
                let rate = ((fraction as f64).min(ceiling) / n * weight.abs()).min(most) * SCALE * weight.signum();
                let (close, state) = (&pair.close[at(0)..], &pair.state[at(0)..]);
                first(rows, |k| near(marked.equity[k] * rate / close[k] as f64) || state[k] != REAL)
            }
            Portfolio::FixedRisk { risk, .. } => first(rows, |k| {
                let price = pair.close[at(k)] as f64;
                let distance = (price * spec.protection.stop_loss as f64 / UNIT as f64).floor();
                let rate = (risk as f64 / distance * weight.abs()).min(ceiling / price).min(most / price);
                let target = marked.equity[k] * rate * SCALE * weight.signum();
                pair.state[at(k)] != REAL || (distance > SMALL_DISTANCE && near(target))
            }),
            Portfolio::InverseVol { fraction, .. } => first(rows, |k| {
                let share = inverse(volatility(p, at(k))) as f64 / totals[k];
                let rate = ((fraction as f64).min(ceiling) * share * weight.abs()).min(most);
                let target = marked.equity[k] * rate * SCALE * weight.signum() / pair.close[at(k)] as f64;
                pair.state[at(k)] != REAL || inverse(volatility(p, at(k))) == 0 || near(target)
            }),
            Portfolio::VolTarget { target, .. } => first(rows, |k| {
                let known = volatility(p, at(k));
                let scaled = target as f64 * 1e9 / annual(known, spec.periods_root);
                let rate = (scaled.min(ceiling) / n * weight.abs()).min(most);
                let wanted = marked.equity[k] * rate * SCALE * weight.signum() / pair.close[at(k)] as f64;
                pair.state[at(k)] != REAL || known == FIX_NAN || near(wanted)
            }),
            Portfolio::FixedQuantity { .. } | Portfolio::Callback => 0,
        };
    }
    rows
}

fn first(rows: usize, steady: impl Fn(usize) -> bool) -> usize {
    (0..rows).find(|&k| !steady(k)).unwrap_or(rows)
}

fn buffer(portfolio: Portfolio) -> i64 {
    match portfolio {
        Portfolio::FixedFraction { buffer, .. }
        | Portfolio::FixedRisk { buffer, .. }
        | Portfolio::InverseVol { buffer, .. }
        | Portfolio::VolTarget { buffer, .. } => buffer,
        Portfolio::FixedQuantity { .. } | Portfolio::Callback => 0,
    }
}
