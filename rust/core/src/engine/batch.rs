//! Whole columns: a loop over the engine's step that passes over rows in which nothing can happen.

use super::callback::Callbacks;
use super::curve::{Notes, beside, worthwhile};
use super::detail::Finer;
use super::drift::{Marked, steady};
use super::fault::Fault;
use super::held;
use super::lane::Lane;
use super::ledger::{Ledger, add_marks};
use super::market::{Bars, Declared, Market, PairColumns, REAL, SYNTHETIC, Signals, Weights};
use super::portfolio::Portfolio;
use super::quiet::Quiet;
use super::safety::restless;
use super::spec::Spec;
use super::state_machine::{Engine, Instant};

/// Rows marked at a time: few enough that they stay in the processor's cache.
pub(crate) const BLOCK: usize = 512;

/// Runs `spec` over a market. Row t is decided with what is known at its close and filled from row t+1 on.
///
/// `equity` receives one mark per row from the first decision row on. `forecast` has one held
/// column per pair, `aux` one column per declared name. Without `quick` every row is stepped through; the result is the
/// same.
pub fn run(
    spec: Spec,
    market: &Market<'_>,
    forecast: &[Weights<'_>],
    aux: &[Declared<'_>],
    calls: &mut dyn Callbacks,
    quick: bool,
    equity: &mut [f64],
) -> Result<Engine, Fault> {
    let first = usize::try_from(spec.first_row).unwrap_or(0);
    let mut engine = Engine::new(spec);
    engine.sim.expect(equity.len() * market.pairs.len());
    engine.sim.record.detail_fallback_bars = fallback_bars(market, first);
    let limits = engine.sim.watch.limits;
    let quick = quick && !engine.sim.ledger.tracked() && limits.of_equity_alone();
    let ready = |equity, notes| Run { market, forecast, aux, first, equity, notes, gross: [0.0; BLOCK], events: 0 };
    if quick && !limits.on() && !drifts(&engine) && worthwhile(market.pairs.len(), equity.len()) {
        let (done, exposure) = beside(market, first, equity, |mut notes| {
            notes.note(first, &engine.sim.ledger);
            engine.guarded(|engine| ready(&mut [], Some(notes)).quickly(engine, calls))
        });
        engine.exposure = exposure;
        return done.map(|()| engine);
    }
    let mut run = ready(equity, None);
    engine.guarded(|engine| {
        if quick {
            run.quickly(engine, calls);
        } else {
            (first..market.times.len()).for_each(|row| run.step(engine, calls, row, row, true));
        }
    })?;
    Ok(engine)
}

/// Whether targets move with prices, so that every row's equity may bring new ones.
fn drifts(engine: &Engine) -> bool {
    let spec = &engine.sim.spec;
    spec.band >= 0 && spec.drifts && !spec.scripted
}

/// A run on its way.
pub(super) struct Run<'a> {
    pub(super) market: &'a Market<'a>,
    pub(super) forecast: &'a [Weights<'a>],
    aux: &'a [Declared<'a>],
    first: usize,
    /// One mark per row; empty where `notes` are taken.
    equity: &'a mut [f64],
    /// Where another thread marks the rows.
    notes: Option<Notes>,
    /// Funding events taken so far.
    events: usize,
    gross: [f64; BLOCK],
}

impl<'a> Run<'a> {
    /// Steps through the rows in which something may happen and marks the others.
    fn quickly(&mut self, engine: &mut Engine, calls: &mut dyn Callbacks) {
        let (market, end) = (self.market, self.market.times.len());
        let drifts = drifts(engine);
        let opaque = drifts && engine.sim.spec.portfolio == Portfolio::Callback;
        let mut quiet = Quiet::new(market.pairs.len());
        let mut lane = Lane::of(&engine.sim.spec, market);
        let (mut row, mut stepped) = (self.first, self.first);
        while row < end {
            if let Some(lane) = &mut lane {
                row = lane.drive(self, engine, calls, row);
                if row == end {
                    break;
                }
            }
            let until = if opaque || restless(&engine.sim) {
                row
            } else {
                quiet.until(&mut engine.sim, &engine.decider, market, self.forecast, row)
            };
            if until > row {
                let stop = self.pass(engine, row, until, drifts);
                quiet.catch_up(&mut engine.sim, market, row, stop);
                row = stop;
                if row == end {
                    break;
                }
                if row > self.first {
                    engine.remember(self.signals(row - 1));
                }
            }
            let news = drifts || quiet.news(&engine.sim, row);
            self.step(engine, calls, row, stepped, news);
            row += 1;
            stepped = row;
        }
    }

    /// Takes the whole step of a row; gaps were counted up to the row before `stepped`.
    fn step(&mut self, engine: &mut Engine, calls: &mut dyn Callbacks, row: usize, stepped: usize, news: bool) {
        let bars = Bars { pairs: self.market.pairs, at: row };
        if bars.len() > 1 {
            fetch(bars);
        }
        for (gap, pair) in engine.sim.gap.iter_mut().zip(self.market.pairs) {
            if pair.state[row] != SYNTHETIC {
                *gap = 0;
            } else if stepped == row {
                *gap += 1;
            } else {
                let run = pair.state[self.first..=row].iter().rev().take_while(|&&state| state == SYNTHETIC);
                *gap = run.count() as i64;
            }
        }
        let open_time = self.market.open_time(row, engine.sim.spec.timeframe_ns);
        let detail = self.market.detail.as_ref().filter(|_| engine.sim.busy());
        let finer = detail.map(|detail| Finer::of(detail, bars, open_time));
        let signals = self.signals(row);
        let marks = self.market.marks.map(|pairs| Bars { pairs, at: row });
        let events = &self.market.funding[self.events..];
        let funding = &events[..events.iter().take_while(|event| event.row == row).count()];
        self.events += funding.len();
        let finer = finer.as_ref();
        let instant = Instant { row: row as i64, open_time, bars, signals, finer, marks, funding, news };
        if let Some(notes) = &mut self.notes {
            engine.advance_unmarked(&instant, calls);
            notes.note(row, &engine.sim.ledger);
        } else {
            self.equity[row - self.first] = engine.advance(&instant, calls).equity;
        }
    }

    pub(super) fn signals(&self, at: usize) -> Signals<'a> {
        Signals { forecast: self.forecast, aux: self.aux, at }
    }

    /// Marks the rows [row, until) or, where targets drift, those before the first that may bring a new target.
    pub(super) fn pass(&mut self, engine: &mut Engine, row: usize, until: usize, drifts: bool) -> usize {
        if drifts {
            return self.pass_while_steady(engine, row, until);
        }
        if self.notes.is_some() {
            return until;
        }
        if engine.sim.watch.limits.on() {
            return self.pass_while_calm(engine, row, until);
        }
        let cash = engine.sim.ledger.cash_mark();
        let mut held = engine.sim.ledger.position.iter().zip(self.market.pairs).filter(|(position, _)| **position != 0);
        let equity = &mut self.equity[row - self.first..until - self.first];
        match (held.next(), held.next()) {
            (None, _) => {
                equity.fill(cash);
                engine.exposure.add_flat(cash, until - row);
            }
            (Some((&position, pair)), None) => {
                held::mark(position, cash, &pair.close[row..], equity, &mut engine.exposure);
            }
            _ => {
                for (k, equity) in equity.chunks_mut(BLOCK).enumerate() {
                    let gross = &mut self.gross[..equity.len()];
                    mark(&engine.sim.ledger, self.market.pairs, row + k * BLOCK, equity, gross);
                    engine.exposure.add_rows(equity, gross);
                }
            }
        }
        until
    }

    /// Marks one row.
    #[inline]
    pub(super) fn mark(&mut self, engine: &mut Engine, bars: Bars<'_>) {
        let marks = engine.sim.ledger.marks(bars);
        engine.exposure.add(marks.equity, marks.gross);
        self.write(bars.at, marks.equity);
        if engine.sim.watch.limits.on() {
            let time = self.close_time(engine, bars.at);
            engine.sim.watch.note(time, marks.equity);
        }
    }

    /// Whether the marks of a row make a limit of the account act.
    #[inline]
    pub(super) fn stirs(&self, engine: &Engine, bars: Bars<'_>) -> bool {
        let watch = &engine.sim.watch;
        watch.limits.on() && watch.stirs(self.close_time(engine, bars.at), engine.sim.ledger.marks(bars).equity)
    }

    fn close_time(&self, engine: &Engine, row: usize) -> i64 {
        let length = engine.sim.spec.timeframe_ns;
        self.market.open_time(row, length) + length
    }

    /// Marks the rows [row, until), or those before the first in which a limit of the account acts.
    fn pass_while_calm(&mut self, engine: &mut Engine, row: usize, until: usize) -> usize {
        for start in (row..until).step_by(BLOCK) {
            let stop = until.min(start + BLOCK);
            let equity = &mut self.equity[start - self.first..stop - self.first];
            let gross = &mut self.gross[..stop - start];
            mark(&engine.sim.ledger, self.market.pairs, start, equity, gross);
            let length = engine.sim.spec.timeframe_ns;
            let close = self.market.open_time(start, length) + length;
            let good = engine.sim.watch.pass(close, length, equity);
            engine.exposure.add_rows(&equity[..good], &gross[..good]);
            if start + good < stop {
                return start + good;
            }
        }
        until
    }

    /// Keeps the equity of a row.
    #[inline]
    pub(super) fn write(&mut self, row: usize, equity: f64) {
        self.equity[row - self.first] = equity;
    }

    fn pass_while_steady(&mut self, engine: &mut Engine, row: usize, until: usize) -> usize {
        let cash = engine.sim.ledger.cash_mark();
        for start in (row..until).step_by(BLOCK) {
            let stop = until.min(start + BLOCK);
            let equity = &mut self.equity[start - self.first..stop - self.first];
            let gross = &mut self.gross[..stop - start];
            mark(&engine.sim.ledger, self.market.pairs, start, equity, gross);
            let marked = Marked { start, equity, gross, cash };
            let mut good = steady(&engine.sim, &engine.decider, self.market, self.aux, &marked);
            if engine.sim.watch.limits.on() {
                let length = engine.sim.spec.timeframe_ns;
                let close = self.market.open_time(start, length) + length;
                good = engine.sim.watch.pass(close, length, &equity[..good]);
            }
            engine.exposure.add_rows(&equity[..good], &gross[..good]);
            if start + good < stop {
                return start + good;
            }
        }
        until
    }
}

/// Marks at most `BLOCK` rows from `start` on in which neither cash nor positions change: the operations of `Ledger::marks`.
pub(crate) fn mark(ledger: &Ledger, pairs: &[PairColumns<'_>], start: usize, equity: &mut [f64], gross: &mut [f64]) {
    equity.fill(ledger.cash_mark());
    gross.fill(0.0);
    for (&position, pair) in ledger.position.iter().zip(pairs) {
        if position != 0 {
            add_marks(position, &pair.close[start..start + equity.len()], equity, gross);
        }
    }
}

/// Asks for a row of all columns at once: one after the other, as a step comes to need them, they take far longer.
fn fetch(bars: Bars<'_>) {
    let at = bars.at;
    let of = |pair: &PairColumns<'_>| {
        pair.open[at] ^ pair.high[at] ^ pair.low[at] ^ pair.close[at] ^ pair.volume[at] ^ i64::from(pair.state[at])
    };
    std::hint::black_box(bars.pairs.iter().fold(0, |all, pair| all ^ of(pair)));
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
