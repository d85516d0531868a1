//! Whole columns: a loop over the engine's step that passes over rows in which nothing can happen.

use super::callback::Callbacks;
use super::detail::Finer;
use super::fault::Fault;
use super::market::{Bars, Market, REAL, Signals, Weights};
use super::spec::Spec;
use super::state_machine::{Engine, Instant};

/// Runs `spec` over a market. Row t is decided with what is known at its close and filled from row t+1 on.
///
/// `forecast` has one held column per pair, `aux` per declared name one per pair.
pub fn run(
    spec: Spec,
    market: &Market<'_>,
    forecast: &[Weights<'_>],
    aux: &[Vec<Weights<'_>>],
    calls: &mut dyn Callbacks,
    quick: bool,
) -> Result<Engine, Fault> {
    let _ = quick;
    let first = usize::try_from(spec.first_row).unwrap_or(0);
    let mut engine = Engine::new(spec);
    engine.sim.record.detail_fallback_bars = fallback_bars(market, first);
    for at in first..market.times.len() {
        let bars = Bars { pairs: market.pairs, at };
        let signals = Signals { forecast, aux, at };
        let busy = engine.sim.busy();
        let finer = market.detail.as_ref().filter(|_| busy).map(|d| Finer::of(d, bars, market.times[at]));
        let instant = Instant { row: at as i64, open_time: market.times[at], bars, signals, finer: finer.as_ref() };
        engine.step(&instant, calls)?;
    }
    Ok(engine)
}

/// Real bars of the run that have no finer bar inside.
fn fallback_bars(market: &Market<'_>, first: usize) -> i64 {
    let Some(detail) = &market.detail else { return 0 };
    let k = detail.per_bar;
    let mut count = 0;
    for (coarse, fine) in market.pairs.iter().zip(detail.pairs) {
        for at in first..market.times.len() {
            count += i64::from(coarse.state[at] == REAL && !fine.state[at * k..(at + 1) * k].contains(&REAL));
        }
    }
    count
}
