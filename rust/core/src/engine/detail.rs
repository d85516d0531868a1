//! The finer bars inside a decision bar, merged over pairs: pairs without detail play their whole bar in the first slot.

use super::market::{ABSENT, Bars, Detail, PairColumns, REAL, SYNTHETIC};

/// One finer bar of every pair.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Open of the finer bar, ns.
    pub start: i64,
    /// Close of the finer bar, ns.
    pub stop: i64,
    values: [Vec<i64>; 5],
    state: Vec<u8>,
}

/// The finer bars of one decision bar.
#[derive(Clone, Debug, Default)]
pub struct Finer {
    /// In time order.
    pub slots: Vec<Slot>,
    /// Which pairs have finer bars here.
    pub detailed: Vec<bool>,
}

impl Slot {
    /// The slot's bars as columns of one row.
    pub fn columns(&self) -> Vec<PairColumns<'_>> {
        let [open, high, low, close, volume] = &self.values;
        (0..self.state.len())
            .map(|p| PairColumns {
                open: &open[p..=p],
                high: &high[p..=p],
                low: &low[p..=p],
                close: &close[p..=p],
                volume: &volume[p..=p],
                state: &self.state[p..=p],
            })
            .collect()
    }
}

impl Finer {
    /// The finer bars of the decision bar `bars` that opens at `start`.
    pub fn of(detail: &Detail<'_>, bars: Bars<'_>, start: i64) -> Self {
        let k = detail.per_bar;
        let first = bars.at * k;
        let detailed: Vec<bool> =
            detail.pairs.iter().map(|pair| pair.state[first..first + k].contains(&REAL)).collect();
        let slots = (0..k).map(|s| merged(detail, bars, start, s, &detailed)).collect();
        Finer { slots, detailed }
    }
}

fn merged(detail: &Detail<'_>, bars: Bars<'_>, start: i64, s: usize, detailed: &[bool]) -> Slot {
    let step = detail.timeframe_ns;
    let mut slot = Slot { start: start + s as i64 * step, stop: start + (s as i64 + 1) * step, ..Slot::default() };
    let at = bars.at * detail.per_bar + s;
    for (p, fine) in detail.pairs.iter().enumerate() {
        let coarse = [bars.open(p), bars.high(p), bars.low(p), bars.close(p)];
        // What comes after the open is known only at the bar's end.
        let flat = if s == 0 { coarse } else { [bars.open(p); 4] };
        let fine_prices = [fine.open[at], fine.high[at], fine.low[at], fine.close[at]];
        let whole = if s == 0 { (bars.volume(p), bars.pairs[p].state[bars.at]) } else { (0, SYNTHETIC) };
        let (prices, (volume, state)) = if detailed[p] {
            let prices = if fine.state[at] == ABSENT { flat } else { fine_prices };
            (prices, (fine.volume[at], fine.state[at]))
        } else {
            (flat, whole)
        };
        for (column, value) in slot.values.iter_mut().zip([prices[0], prices[1], prices[2], prices[3], volume]) {
            column.push(value);
        }
        slot.state.push(state);
    }
    slot
}
