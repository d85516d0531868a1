//! The short cuts of whole runs against the plain loops that they stand for, over made-up columns.

use super::blotter::Blotter;
use super::changes::Changes;
use super::codes::{OrderType, Reason, State};
use super::held;
use super::ledger::{Exposure, Ledger};
use super::levels::{Follower, Levels};
use super::market::{Bars, PairColumns, REAL, SYNTHETIC, Weights};
use super::order::{Order, Request};
use super::simulator::Trail;

const ROWS: usize = 5000;

/// A small generator of whole numbers (a linear congruence of 64 bits).
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Bars of a random walk; some rows are synthetic or without volume.
struct Made {
    open: Vec<i64>,
    high: Vec<i64>,
    low: Vec<i64>,
    close: Vec<i64>,
    volume: Vec<i64>,
    state: Vec<u8>,
}

impl Made {
    fn new(draws: &mut Draws, start: i64) -> Self {
        let mut made = Made { open: vec![], high: vec![], low: vec![], close: vec![], volume: vec![], state: vec![] };
        let mut price = start;
        for _ in 0..ROWS {
            let open = price;
            price = (price + draws.below(201) as i64 - 100).max(200);
            made.open.push(open);
            made.close.push(price);
            made.high.push(open.max(price) + draws.below(40) as i64);
            made.low.push(open.min(price) - draws.below(40) as i64);
            made.volume.push(i64::from(draws.below(20) != 0));
            made.state.push(if draws.below(20) == 0 { SYNTHETIC } else { REAL });
        }
        made
    }

    fn pair(&self) -> PairColumns<'_> {
        PairColumns {
            open: &self.open,
            high: &self.high,
            low: &self.low,
            close: &self.close,
            volume: &self.volume,
            state: &self.state,
        }
    }
}

#[test]
fn changes_are_those_that_a_plain_search_finds() {
    let mut draws = Draws(1);
    let made = Made::new(&mut draws, 10_000);
    let pair = made.pair();
    for length in [1, 7, 400, 4000] {
        let mut values = vec![0.0_f64; ROWS];
        for i in 1..ROWS {
            let drawn = [0.0, 1.0, -1.0, 1.0 + 1e-12, f64::NAN][draws.below(5) as usize];
            values[i] = if draws.below(length) == 0 { drawn } else { values[i - 1] };
        }
        let weights = Weights::Floats(&values);
        let mut changes = Changes::new(true);
        let (mut standing, mut row) = (0, 0);
        while row < ROWS {
            let plain = (row..ROWS).find(|&row| pair.state[row] == REAL && weights.at(row) != standing);
            let found = changes.next(&weights, &pair, standing, row);
            assert_eq!(found, plain.unwrap_or(ROWS), "from {row} in runs of about {length}");
            // Now and then ask again from a row before the change, as after an exit by protection.
            if draws.below(3) == 0 && found > row {
                row += 1 + draws.below((found - row) as u64) as usize;
            } else {
                standing = if found < ROWS { weights.at(found) } else { standing };
                row = found + 1;
            }
        }
    }
}

/// `Levels::followed`, one row after the other with the exact level of every row.
fn plainly(levels: &Levels, pair: &PairColumns<'_>, mut follower: Follower, row: usize, limit: usize) -> (usize, i64) {
    let trail = follower.trail;
    for at in row..limit {
        if pair.state[at] != REAL || pair.volume[at] == 0 {
            continue;
        }
        let (low, high) = (pair.low[at], pair.high[at]);
        let level = trail.level(follower.best);
        let stopped = if trail.side < 0 { low <= level } else { high >= level };
        if stopped || high >= levels.up || low <= levels.down {
            return (at, follower.best);
        }
        let best = if trail.side < 0 { follower.best.max(high) } else { follower.best.min(low) };
        if best != follower.best && trail.side * (pair.close[at] - trail.level(best)) >= 0 {
            return (at, follower.best);
        }
        follower.best = best;
    }
    (limit, follower.best)
}

#[test]
fn trailing_stops_are_reached_where_a_plain_walk_reaches_them() {
    let mut draws = Draws(2);
    for round in 0..400 {
        let made = Made::new(&mut draws, 10_000);
        let pair = made.pair();
        let row = draws.below(ROWS as u64 / 2) as usize;
        let limit = row + draws.below(ROWS as u64 / 2) as usize;
        let side = if draws.below(2) == 0 { 1 } else { -1 };
        let rate = [100_000, 2_000_000, 30_000_000, 120_000_000][draws.below(4) as usize];
        let distance = if draws.below(4) == 0 { 1 + draws.below(2000) as i64 } else { 0 };
        let trail = Trail { side, distance, rate, tick: [1, 10, 100][draws.below(3) as usize] };
        let follower = Follower { trail, best: pair.open[row] };
        let reach = 50 + draws.below(5000) as i64;
        let levels = Levels { up: pair.open[row] + reach, down: pair.open[row] - reach };
        let (at, reached) = levels.followed(&pair, follower, row, limit);
        assert_eq!((at, reached.best), plainly(&levels, &pair, follower, row, limit), "round {round}");
    }
}

#[test]
fn a_lone_position_is_marked_as_the_ledger_marks_it() {
    let mut draws = Draws(3);
    // Prices beyond 2^52 leave the floats' quick path; cash below 0 lets equity end.
    for (start, cash, position) in [(10_000, 5, 7), (1 << 53, 10_i128.pow(30), -3), (10_000, -60_000, 7)] {
        let made = Made::new(&mut draws, start);
        let pairs = [made.pair()];
        let mut ledger = Ledger::new(cash, 1);
        ledger.position[0] = position;
        for (from, to) in [(0, 1), (3, 10), (0, ROWS), (ROWS - 6, ROWS)] {
            let (mut plain, mut quick) = (Exposure::default(), Exposure::default());
            let mut equity = vec![f64::NAN; to - from];
            held::mark(position, ledger.cash_mark(), &made.close[from..], &mut equity, &mut quick);
            for row in from..to {
                let marks = ledger.marks(Bars { pairs: &pairs, at: row });
                plain.add(marks.equity, marks.gross);
                assert_eq!(equity[row - from].to_bits(), marks.equity.to_bits());
            }
            assert_eq!(plain.mean().to_bits(), quick.mean().to_bits());
        }
    }
}

#[test]
fn a_retired_order_reads_as_it_did_when_it_ended() {
    let mut blotter = Blotter::default();
    let kinds = [OrderType::Market, OrderType::Limit, OrderType::Stop, OrderType::StopLimit, OrderType::Trailing];
    for (i, kind) in kinds.into_iter().cycle().take(20).enumerate() {
        let price = 100 + i as i64;
        let request = Request {
            pair: i,
            side: if i % 2 == 0 { 1 } else { -1 },
            qty: price,
            kind,
            limit_price: if matches!(kind, OrderType::Limit | OrderType::StopLimit) { price } else { 0 },
            stop_price: if matches!(kind, OrderType::Stop | OrderType::StopLimit) { price + 1 } else { 0 },
            trail: if kind == OrderType::Trailing { 5 } else { 0 },
            expire_time: i as i64 % 3,
            post_only: i % 4 == 0,
            reduce_only: i % 3 == 0,
            reason: Reason::Scripted,
            tag: i as i64,
            ..Request::default()
        };
        let number = blotter.open(Order::new(request, price, 7 * price, 0, false));
        assert_eq!(number, i);
        if i > 2 {
            let ending = &mut blotter[i - 2];
            (ending.filled, ending.state, ending.end_reason) = (1, State::Cancelled, Reason::Oco);
            let before = blotter.values(i - 2);
            blotter.retire(i - 2);
            assert!(blotter.get(i - 2).is_none() && blotter.get(i - 1).is_some());
            assert_eq!(blotter.values(i - 2), before);
        }
    }
    assert_eq!(blotter.values(3)[6..11], [103, 104, 0, 0, 0]);
    assert_eq!(blotter.values(4)[6..11], [0, 0, 5, 0, 1]);
    assert_eq!((blotter.len(), blotter.is_empty()), (20, false));
}
