//! The equity curve of a market of many pairs, marked on another processor while the run goes on.
//!
//! No decision reads a mark unless targets drift, so a run only notes what the account holds from which row on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{available_parallelism, scope};

use super::ledger::{Exposure, Ledger, add_marks};
use super::market::{Market, PairColumns};

/// Values of positions in a run from which a second thread is worth its start.
const MANY: usize = 500_000;
/// Rows that are handed over together.
const HANDED: usize = 4096;
/// Rows marked at a time, one pair after the other: few enough that their sums stay in the processor's cache.
const BLOCK: usize = 1024;

/// What the account holds from a row on.
#[derive(Clone, Debug)]
struct Holding {
    from: usize,
    cash: f64,
    position: Vec<i64>,
}

/// Holdings in the order of their rows, the last up to the row `end`.
struct Chapter {
    holdings: Vec<Holding>,
    end: usize,
}

/// Notes of a run for the thread that marks its rows.
pub(crate) struct Notes {
    holdings: Vec<Holding>,
    end: usize,
    sender: Sender<Chapter>,
}

impl Notes {
    /// Takes the account as it stands from `row` on.
    pub fn note(&mut self, row: usize, ledger: &Ledger) {
        let (cash, position) = (ledger.cash_mark(), &ledger.position);
        if self.holdings.last().is_some_and(|last| last.cash == cash && last.position == *position) {
            return;
        }
        if self.holdings.first().is_some_and(|first| row - first.from >= HANDED) {
            self.hand_over(row);
        }
        self.holdings.push(Holding { from: row, cash, position: position.clone() });
    }

    fn hand_over(&mut self, end: usize) {
        let holdings = std::mem::take(&mut self.holdings);
        // A thread that stopped has panicked, which its end tells.
        let _ = self.sender.send(Chapter { holdings, end });
    }
}

impl Drop for Notes {
    /// The account stays as it is from the last note on.
    fn drop(&mut self) {
        self.hand_over(self.end);
    }
}

/// Whether the marks of a run are worth a second thread, and there is a processor for it.
pub(crate) fn worthwhile(pairs: usize, rows: usize) -> bool {
    pairs > 1 && pairs * rows >= MANY && available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// Does `work`, which notes the account from row `first` on and drops the notes in the end, while another thread marks each row in `equity`.
pub(crate) fn beside<T>(
    market: &Market<'_>,
    first: usize,
    equity: &mut [f64],
    work: impl FnOnce(Notes) -> T,
) -> (T, Exposure) {
    scope(|threads| {
        let (sender, receiver) = channel();
        let pairs = market.pairs;
        let marking = threads.spawn(move || follow(&receiver, pairs, first, equity));
        let done = work(Notes { holdings: Vec::new(), end: market.times.len(), sender });
        let exposure = marking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, exposure)
    })
}

/// Marks what is handed over until no more comes.
fn follow(chapters: &Receiver<Chapter>, pairs: &[PairColumns<'_>], first: usize, equity: &mut [f64]) -> Exposure {
    let mut exposure = Exposure::default();
    let mut gross = [0.0; BLOCK];
    for Chapter { holdings, end } in chapters {
        let begin = holdings.first().map_or(end, |holding| holding.from);
        for start in (begin..end).step_by(BLOCK) {
            let stop = end.min(start + BLOCK);
            let (equity, gross) = (&mut equity[start - first..stop - first], &mut gross[..stop - start]);
            mark(&holdings, pairs, start, equity, gross);
            exposure.add_rows(equity, gross);
        }
    }
    exposure
}

/// Marks the rows from `start` on: for each row the operations of `Ledger::marks`, in its order.
fn mark(holdings: &[Holding], pairs: &[PairColumns<'_>], start: usize, equity: &mut [f64], gross: &mut [f64]) {
    let stop = start + equity.len();
    let ends = holdings[1..].iter().map(|next| next.from).chain([usize::MAX]);
    let spans: Vec<_> = holdings
        .iter()
        .zip(ends)
        .map(|(holding, end)| (holding, holding.from.max(start)..end.min(stop)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    gross.fill(0.0);
    for (holding, rows) in &spans {
        equity[rows.start - start..rows.end - start].fill(holding.cash);
    }
    for (p, pair) in pairs.iter().enumerate() {
        for (holding, rows) in &spans {
            let marked = rows.start - start..rows.end - start;
            if holding.position[p] != 0 {
                let (equity, gross) = (&mut equity[marked.clone()], &mut gross[marked]);
                add_marks(holding.position[p], &pair.close[rows.clone()], equity, gross);
            }
        }
    }
}
