//! Funding: events that move cash between longs and shorts, each known at its time.

use super::contract::{FlowKind, RATE_UNIT, share};
use super::market::Bars;
use super::number::narrow;
use super::recorder::Flow;
use super::simulator::Simulator;

/// An event that becomes known in a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Row in which it becomes known.
    pub row: usize,
    /// Index of the pair.
    pub pair: usize,
    /// When it is due, ns.
    pub time: i64,
    /// 10^-12 of the notional, paid by longs where positive.
    pub rate: i64,
}

/// Events that are known but not yet fully settled.
#[derive(Clone, Debug, Default)]
pub struct Accrual {
    waiting: Vec<(Due, i64)>,
}

impl Accrual {
    /// Takes the events that become known in the bar that opens at `open_time` and settles what is due by then, on the
    /// positions held before that open.
    pub fn settle(&mut self, sim: &mut Simulator, news: &[Due], marks: Bars<'_>, open_time: i64) {
        let interval = sim.spec.funding_interval_ns;
        self.waiting.extend(news.iter().map(|due| (*due, 0)));
        self.waiting.retain_mut(|(event, settled)| {
            if event.time > open_time {
                return true;
            }
            let run = open_time - event.time;
            let accrues = interval != 0 && run < interval;
            let due = if accrues { narrow(share(i128::from(event.rate), run, interval)) } else { event.rate };
            let time = if interval == 0 { event.time } else { open_time };
            pay(sim, event.pair, time, due - *settled, marks);
            *settled = due;
            accrues
        });
    }
}

impl Simulator {
    /// Writes that cash moved without a fill.
    #[allow(clippy::too_many_arguments)] // the fields of one row of a table
    pub(super) fn flow(
        &mut self,
        kind: FlowKind,
        pair: usize,
        time: i64,
        qty: i64,
        price: i64,
        rate: i64,
        amount: i128,
    ) {
        let (row, pair) = (self.row as u32, pair as u32);
        self.record.flows.push(Flow { row, kind, pair, time, qty, price, rate, amount });
    }
}

/// Moves what a rate on the pair's position costs, at the mark of the bar's open, rounded up.
fn pay(sim: &mut Simulator, p: usize, time: i64, rate: i64, marks: Bars<'_>) {
    let position = sim.ledger.position[p];
    if position == 0 || rate == 0 {
        return;
    }
    let mark = marks.open(p);
    let size = sim.ledger.notional(p, position.abs(), mark);
    let paid = -share(size, -position.signum() * rate, RATE_UNIT);
    sim.ledger.pay(paid);
    sim.ledger.take_margin(p, paid);
    sim.flow(FlowKind::Funding, p, time, position, mark, rate, -paid);
}
