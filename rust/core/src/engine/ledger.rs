//! The ledger: the engine's own fold over fills. Exact integers; read-only to everyone else.

use super::contract;
use super::market::Bars;
use super::number::{WIDE_UNIT, add, add_units, ceil_div, mul, times};

/// Cash (10^-16 of quote) and positions (10^-8 of base, short negative) of one account.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Cash.
    pub cash: i128,
    /// Position per pair.
    pub position: Vec<i64>,
    mark: f64,
    books: Option<Books>,
}

/// What the ledger keeps of perpetuals, margin and borrowed coins.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Which pairs are settled in their base.
    pub inverse: Vec<bool>,
    /// Which pairs are perpetuals.
    pub contracts: Vec<bool>,
    /// Leverage (10^-8) of isolated positions, 0 where margin is shared.
    pub leverage: i64,
    /// What each standing position was paid for, 10^-16.
    pub basis: Vec<i128>,
    /// What each isolated position stands on, 10^-16.
    pub margin: Vec<i128>,
}

impl Books {
    /// Keeps the position's entry value and isolated margin: averaged, reduced in proportion.
    fn track(&mut self, pair: usize, before: i64, after: i64, paid: i128) {
        let change = after - before;
        if change == 0 {
            return;
        }
        let mut grown = paid;
        if before != 0 && (before > 0) != (change > 0) {
            let closed = change.abs().min(before.abs());
            self.basis[pair] -= contract::share(self.basis[pair], closed, before.abs());
            self.margin[pair] -= contract::share(self.margin[pair], closed, before.abs());
            grown = contract::share(paid, change.abs() - closed, change.abs());
        }
        self.basis[pair] = add(self.basis[pair], grown);
        if self.leverage != 0 {
            self.margin[pair] += ceil_div(mul(grown.abs(), WIDE_UNIT), i128::from(self.leverage));
        }
    }
}

/// Float marks of the account at one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// Cash plus positions at the close.
    pub equity: f64,
    /// Cash.
    pub cash: f64,
    /// Sum of absolute position values.
    pub gross: f64,
}

/// Mean of gross over equity, over the rows with equity above 0, as it builds up in row order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposure {
    sum: f64,
    rows: u64,
}

impl Exposure {
    /// Counts one row.
    #[inline]
    pub fn add(&mut self, equity: f64, gross: f64) {
        if equity > 0.0 {
            self.sum += gross / equity;
            self.rows += 1;
        }
    }

    /// Counts rows without positions.
    #[inline]
    pub fn add_flat(&mut self, equity: f64, rows: usize) {
        if equity > 0.0 {
            self.rows += rows as u64;
        }
    }

    /// Counts rows whose equity is above 0 by gross over equity.
    #[inline]
    pub fn add_shares(&mut self, shares: &[f64]) {
        shares.iter().for_each(|share| self.sum += share);
        self.rows += shares.len() as u64;
    }

    /// Counts some rows.
    pub fn add_rows(&mut self, equity: &[f64], gross: &[f64]) {
        const BLOCK: usize = 32;
        let mut shares = [0.0; BLOCK];
        for (equity, gross) in equity.chunks(BLOCK).zip(gross.chunks(BLOCK)) {
            let mut sound = true;
            for ((share, equity), gross) in shares.iter_mut().zip(equity).zip(gross) {
                *share = gross / equity;
                sound &= *equity > 0.0;
            }
            if sound {
                shares[..equity.len()].iter().for_each(|share| self.sum += share);
                self.rows += equity.len() as u64;
            } else {
                equity.iter().zip(gross).for_each(|(equity, gross)| self.add(*equity, *gross));
            }
        }
    }

    /// The mean; NaN where no row had equity.
    pub fn mean(&self) -> f64 {
        self.sum / self.rows as f64
    }
}

/// Cash as a float of quote units.
#[inline]
fn cash_mark(cash: i128) -> f64 {
    cash as f64 / 1e16
}

/// Value of a position as a float of quote units.
#[inline]
pub fn value_mark(position: f64, price: i64) -> f64 {
    position * price as f64 / 1e16
}

/// 2^52. An integer below it in the fraction of this float is the float plus the integer: exact, and quicker than
/// converting.
const MAGIC: f64 = 4_503_599_627_370_496.0;

/// Whether all prices are integers that [`small_value_mark`] takes.
#[inline]
fn small(prices: &[i64]) -> bool {
    (prices.iter().fold(0, |all, price| all | price) as u64) >> 52 == 0
}

/// [`value_mark`] at a price below 2^52.
#[inline]
fn small_value_mark(position: f64, price: i64) -> f64 {
    position * (f64::from_bits(price as u64 | MAGIC.to_bits()) - MAGIC) / 1e16
}

/// Values of a position at several prices: [`value_mark`] of each.
pub fn value_marks(position: i64, prices: &[i64], values: &mut [f64]) {
    let held = position as f64;
    if small(prices) {
        for (value, price) in values.iter_mut().zip(prices) {
            *value = small_value_mark(held, *price);
        }
    } else {
        for (value, price) in values.iter_mut().zip(prices) {
            *value = value_mark(held, *price);
        }
    }
}

/// Adds a position's value at several prices to the equity of their rows, its size to the gross: a step of
/// [`Ledger::marks`].
pub fn add_marks(position: i64, prices: &[i64], equity: &mut [f64], gross: &mut [f64]) {
    let held = position as f64;
    let add = |value: f64, equity: &mut f64, gross: &mut f64| {
        *equity += value;
        *gross += value.abs();
    };
    let rows = equity.iter_mut().zip(gross).zip(prices);
    if small(prices) {
        rows.for_each(|((equity, gross), price)| add(small_value_mark(held, *price), equity, gross));
    } else {
        rows.for_each(|((equity, gross), price)| add(value_mark(held, *price), equity, gross));
    }
}

impl Ledger {
    /// An account with cash and no positions.
    pub fn new(cash: i128, n_pairs: usize) -> Self {
        Ledger { cash, position: vec![0; n_pairs], mark: cash_mark(cash), books: None }
    }

    /// An account that keeps books of entry values as well.
    pub fn with_books(cash: i128, n_pairs: usize, books: Option<Books>) -> Self {
        let fresh = |books| Books { basis: vec![0; n_pairs], margin: vec![0; n_pairs], ..books };
        Ledger { books: books.map(fresh), ..Ledger::new(cash, n_pairs) }
    }

    /// Whether it keeps entry values.
    #[inline]
    pub fn tracked(&self) -> bool {
        self.books.is_some()
    }

    /// Whether a pair is settled in its base.
    #[inline]
    pub fn inverse(&self, pair: usize) -> bool {
        self.books.as_ref().is_some_and(|books| books.inverse[pair])
    }

    /// Whether a pair is a perpetual.
    #[inline]
    pub fn contract(&self, pair: usize) -> bool {
        self.books.as_ref().is_some_and(|books| books.contracts[pair])
    }

    /// Whether each position stands on a margin of its own.
    pub fn isolated(&self) -> bool {
        self.books.as_ref().is_some_and(|books| books.leverage != 0)
    }

    /// What a standing position was paid for.
    pub fn basis(&self, pair: usize) -> i128 {
        self.books.as_ref().map_or(0, |books| books.basis[pair])
    }

    /// What an isolated position stands on.
    pub fn margin(&self, pair: usize) -> i128 {
        self.books.as_ref().map_or(0, |books| books.margin[pair])
    }

    /// What a pair's position is worth at a price, rounded down.
    #[inline]
    pub fn value(&self, pair: usize, price: i64) -> i128 {
        contract::value(self.inverse(pair), self.position[pair], price)
    }

    /// The size of a quantity at a price, rounded up.
    #[inline]
    pub fn notional(&self, pair: usize, qty: i64, price: i64) -> i128 {
        contract::notional(self.inverse(pair), qty, price)
    }

    /// Cash with the entry values of perpetuals put back.
    pub fn wallet(&self) -> i128 {
        let Some(books) = &self.books else { return self.cash };
        let entered = books.basis.iter().zip(&books.contracts).filter(|(_, contract)| **contract);
        entered.fold(self.cash, |cash, (basis, _)| add(cash, *basis))
    }

    /// Takes cash for something that is no fill; negative gives it.
    pub fn pay(&mut self, amount: i128) {
        self.cash = add(self.cash, -amount);
        self.mark = cash_mark(self.cash);
    }

    /// Takes it from an isolated position's margin too.
    pub fn take_margin(&mut self, pair: usize, amount: i128) {
        if let Some(books) = &mut self.books
            && books.leverage != 0
        {
            books.margin[pair] -= amount;
        }
    }

    /// Folds one fill: `fee` in cash units, `fee_base` in base units (one of them is 0).
    pub fn book(&mut self, pair: usize, side: i64, qty: i64, price: i64, fee: i128, fee_base: i64) {
        let before = self.position[pair];
        let after = add_units(before, side * qty - fee_base);
        self.position[pair] = after;
        let paid = if let Some(books) = &mut self.books {
            let paid = contract::cost(books.inverse[pair], side * qty, price);
            books.track(pair, before, after, paid);
            paid
        } else {
            i128::from(side) * times(qty, price)
        };
        self.cash = add(self.cash, -(paid + fee));
        self.mark = cash_mark(self.cash);
    }

    /// Cash as a float of quote units.
    #[inline]
    pub fn cash_mark(&self) -> f64 {
        self.mark
    }

    /// Exact equity at the bars' closes, 10^-16.
    pub fn equity(&self, bars: Bars<'_>) -> i128 {
        let mut total = self.cash;
        for (p, &q) in self.position.iter().enumerate() {
            if q != 0 {
                total = add(total, self.value(p, bars.close(p)));
            }
        }
        total
    }

    /// Float equity, cash and gross, summed over pairs in name order; statistics use these very operations.
    pub fn marks(&self, bars: Bars<'_>) -> Marks {
        let cash = self.mark;
        let (mut equity, mut gross) = (cash, 0.0);
        for (p, &q) in self.position.iter().enumerate() {
            if q != 0 {
                let price = bars.close(p);
                let value = if self.inverse(p) { -(q as f64 / price as f64) } else { value_mark(q as f64, price) };
                equity += value;
                gross += value.abs();
            }
        }
        let cash = if self.tracked() { cash_mark(self.wallet()) } else { cash };
        Marks { equity, cash, gross }
    }
}
