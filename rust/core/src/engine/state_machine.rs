//! One account trading one specification: fed rows in time order, read at any time.

use super::callback::Callbacks;
use super::codes::Control;
use super::decision::{Decider, Now};
use super::detail::Finer;
use super::fault::{Fault, guard};
use super::funding::{Accrual, Due};
use super::ledger::{Exposure, Marks};
use super::limits::Effect;
use super::market::{Bars, SYNTHETIC, Signals};
use super::parents::Manual;
use super::simulator::Simulator;
use super::spec::Spec;
use super::var_limit;

/// One bar of time with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Instant<'a> {
    /// Grid row.
    pub row: i64,
    /// Open of the bar, ns.
    pub open_time: i64,
    /// The bar that closed.
    pub bars: Bars<'a>,
    /// Forecasts and declared columns at its close.
    pub signals: Signals<'a>,
    /// Finer bars inside it.
    pub finer: Option<&'a Finer>,
    /// The bar of the marks, where the data has them.
    pub marks: Option<Bars<'a>>,
    /// Funding events that become known in it.
    pub funding: &'a [Due],
    /// Whether the decision has to look at every pair; false where no forecast changed, no rebalance is due and no
    /// script goes on, so that only what happened to positions in this very bar can make it act.
    pub news: bool,
}

/// The engine: exchange and decider.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Exchange, ledger, orders.
    pub sim: Simulator,
    /// Portfolio, risk, execution.
    pub decider: Decider,
    /// Funding that is known and not yet settled.
    pub accrual: Accrual,
    /// Mean exposure so far.
    pub exposure: Exposure,
    broken: bool,
}

impl Engine {
    /// An engine before its first row.
    pub fn new(spec: Spec) -> Self {
        let decider = Decider::new(spec.instruments.len());
        Engine {
            sim: Simulator::new(spec),
            decider,
            accrual: Accrual::default(),
            exposure: Exposure::default(),
            broken: false,
        }
    }

    /// Does `work` unless a fault ended an earlier one.
    pub(crate) fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Fault> {
        if self.broken {
            return Err(Fault::Broken);
        }
        let done = guard(|| work(self));
        self.broken = done.is_err();
        done
    }

    /// Takes one instant: fills of the bar that just closed, marks, expiries, then one decision. Returns the marks.
    pub fn step(&mut self, instant: &Instant<'_>, calls: &mut dyn Callbacks) -> Result<Marks, Fault> {
        self.guarded(|engine| {
            engine.count_gaps(instant.bars);
            engine.warm(instant.bars);
            engine.advance(instant, calls)
        })
    }

    /// Takes a row of the warm-up, in which nothing is traded.
    pub fn warm(&mut self, bars: Bars<'_>) {
        self.decider.parents.remember(&self.sim, bars);
    }

    /// Does what a user says after the newest instant, whose bars are `bars`, at `time` ns.
    pub fn control(&mut self, what: Control, time: i64, bars: Bars<'_>, manual: Option<Manual>) -> Result<(), Fault> {
        self.guarded(|engine| {
            let signals = Signals { forecast: &[], aux: &[], at: 0 };
            let now = Now { row: engine.sim.row, time, bars, signals };
            engine.decider.control(&mut engine.sim, what, now, manual);
        })
    }

    /// Counts consecutive synthetic rows per pair.
    fn count_gaps(&mut self, bars: Bars<'_>) {
        for (gap, pair) in self.sim.gap.iter_mut().zip(bars.pairs) {
            *gap = if pair.state[bars.at] == SYNTHETIC { *gap + 1 } else { 0 };
        }
    }

    /// The step after gaps were counted.
    pub(crate) fn advance(&mut self, instant: &Instant<'_>, calls: &mut dyn Callbacks) -> Marks {
        self.trade(instant);
        self.settle(instant, calls)
    }

    /// The step after gaps were counted, but for the marks.
    pub(crate) fn advance_unmarked(&mut self, instant: &Instant<'_>, calls: &mut dyn Callbacks) {
        self.trade(instant);
        self.decide(instant, calls);
    }

    /// The bar's fills and expiries.
    fn trade(&mut self, instant: &Instant<'_>) {
        let Instant { row, open_time, bars, finer, .. } = *instant;
        let sim = &mut self.sim;
        let close_time = open_time + sim.spec.timeframe_ns;
        (sim.row, sim.row_open) = (row, open_time);
        if sim.ledger.tracked() {
            self.accrual.settle(sim, instant.funding, instant.marks.unwrap_or(bars), open_time);
            sim.roll_over(open_time);
        }
        if sim.busy() {
            if let Some(finer) = finer {
                for slot in &finer.slots {
                    let columns = slot.columns();
                    (sim.open_time, sim.close_time) = (slot.start, slot.stop);
                    let slot = Bars { pairs: &columns, at: 0 };
                    sim.play(slot, instant.marks.unwrap_or(slot), Some(&finer.detailed));
                    sim.expire();
                }
            } else {
                (sim.open_time, sim.close_time) = (open_time, close_time);
                sim.play(bars, instant.marks.unwrap_or(bars), None);
                sim.expire();
            }
        }
    }

    /// What follows a bar's fills: marks and one decision.
    pub(crate) fn settle(&mut self, instant: &Instant<'_>, calls: &mut dyn Callbacks) -> Marks {
        let marks = self.sim.ledger.marks(instant.bars);
        self.exposure.add(marks.equity, marks.gross);
        if self.sim.ledger.tracked() {
            self.sim.record.accounts.push((marks.cash, marks.gross));
        }
        let Instant { row, open_time, bars, signals, .. } = *instant;
        let now = Now { row, time: open_time + self.sim.spec.timeframe_ns, bars, signals };
        self.decider.observe(&mut self.sim, now, &marks);
        self.decide(instant, calls);
        marks
    }

    /// The one decision of a bar, where there is a reason for it; no cash or position moves.
    fn decide(&mut self, instant: &Instant<'_>, calls: &mut dyn Callbacks) {
        let Instant { row, open_time, bars, signals, .. } = *instant;
        self.remember(signals);
        if (0..bars.len()).any(|p| bars.real(p))
            && (instant.news || self.sim.watch.effect() != Effect::None || self.decider.concerned(&self.sim, row))
        {
            let now = Now { row, time: open_time + self.sim.spec.timeframe_ns, bars, signals };
            self.decider.decide(&mut self.sim, now, calls);
        }
    }

    /// Keeps the estimates known now: what the next bar's impact, and what the book risks until then, is computed with.
    pub(crate) fn remember(&mut self, signals: Signals<'_>) {
        let sim = &mut self.sim;
        let n = sim.live.len();
        if let Some(first) = sim.spec.covariance {
            var_limit::remember(signals, first, n, &mut sim.covariance);
        }
        for (column, values) in [(sim.spec.sigma, &mut sim.sigma), (sim.spec.mean_volume, &mut sim.mean_volume)] {
            if let Some(column) = column {
                values.clear();
                values.extend((0..n).map(|p| signals.aux(column, p)));
            }
        }
    }
}
