//! Contracts in integers: what a position is worth, what margin it needs, what holding it costs.
//!
//! A linear contract is worth quantity x price in what it settles in; an inverse one is a number of quote units, worth
//! -n / price in its base: cash paid its value when it was opened, as for a coin.

use super::codes::codes;
use super::number::{UNIT, ceil_div, floor_div, narrow, times};

/// Units of cash in one unit of the account's currency.
pub const CASH_UNIT: i64 = 10_000_000_000_000_000;
/// Units of a funding rate of 1.0.
pub const RATE_UNIT: i64 = 1_000_000_000_000;

codes! {
    /// What stands behind a position, and so when the venue closes it.
    MarginMode {
        /// Nothing is ever liquidated.
        #[default]
        None = "NONE" 0,
        /// The whole account.
        Cross = "CROSS" 1,
        /// The position's own margin.
        Isolated = "ISOLATED" 2,
        /// Spot on margin: equity over used margin.
        Level = "LEVEL" 3,
    }
}

codes! {
    /// Why cash moved without a fill.
    FlowKind {
        /// Between longs and shorts.
        #[default]
        Funding = "FUNDING" 0,
        /// Coins were borrowed.
        BorrowOpening = "BORROW_OPENING" 1,
        /// Borrowed coins were kept.
        BorrowRollover = "BORROW_ROLLOVER" 2,
    }
}

/// When and how a venue liquidates; rates 10^-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarginTerms {
    /// What is judged.
    pub mode: MarginMode,
    /// Share of the notional, or of used margin, that has to be left.
    pub maintenance: i64,
    /// Fee of a liquidation, as far as margin is left.
    pub fee: i64,
    /// Whether it fills where nothing of the margin is left.
    pub at_bankruptcy: bool,
}

/// What borrowed coins cost, rates 10^-8 of the notional at entry; `every_ns` 0 is off.
#[derive(Clone, Copy, Debug, Default)]
pub struct BorrowTerms {
    /// When they are borrowed.
    pub opening: i64,
    /// For each completed period.
    pub rollover: i64,
    /// Length of a period.
    pub every_ns: i64,
}

/// Quantity over price, 10^-16 of base, rounded down.
fn over(qty: i64, price: i64) -> i128 {
    floor_div(times(qty, CASH_UNIT), i128::from(price))
}

/// What a signed position is worth at a price, rounded down.
#[inline]
pub fn value(inverse: bool, qty: i64, price: i64) -> i128 {
    if !inverse {
        times(qty, price)
    } else if qty == 0 {
        0
    } else {
        over(-qty, price)
    }
}

/// What cash pays for a signed change of position, rounded against the trader.
#[inline]
pub fn cost(inverse: bool, change: i64, price: i64) -> i128 {
    if inverse { -over(change, price) } else { times(change, price) }
}

/// The size of a quantity at a price, rounded up.
#[inline]
pub fn notional(inverse: bool, qty: i64, price: i64) -> i128 {
    if !inverse {
        times(qty, price)
    } else if qty == 0 {
        0
    } else {
        ceil_div(times(qty, CASH_UNIT), i128::from(price))
    }
}

/// The price of one unit of quantity in the settlement currency, rounded up.
pub fn unit_price(inverse: bool, price: i64) -> i64 {
    if !inverse || price == 0 { price } else { narrow(ceil_div(i128::from(CASH_UNIT), i128::from(price))) }
}

/// The price of one unit of quantity in the quote currency: inverse contracts are counted in it.
#[inline]
pub fn quote_price(inverse: bool, price: i64) -> i64 {
    if inverse { UNIT } else { price }
}

/// The size of a quantity in the quote currency, 10^-16: what fee tiers and smallest costs are written in.
#[inline]
pub fn quoted(inverse: bool, qty: i64, price: i64) -> i128 {
    times(qty, quote_price(inverse, price))
}

/// a b / c rounded down, c > 0: exact where a b alone would leave 128 bits.
pub fn share(a: i128, b: i64, c: i64) -> i128 {
    let (whole, rest) = (a.div_euclid(i128::from(c)), a.rem_euclid(i128::from(c)));
    whole * i128::from(b) + floor_div(rest * i128::from(b), i128::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_contract_is_worth_less_the_lower_the_price() {
        let (n, entry, exit) = (10_000 * 100_000_000, 50_000 * 100_000_000, 55_000 * 100_000_000);
        assert_eq!(value(true, n, exit) - cost(true, n, entry), 181_818_181_818_181);
        assert_eq!(
            (value(true, -3, 2), cost(true, -3, 2), notional(true, 3, 2)),
            (15_000_000_000_000_000, 15_000_000_000_000_000, 15_000_000_000_000_000)
        );
        assert_eq!((value(false, -3, 2), unit_price(true, 50_000 * 100_000_000)), (-6, 2_000));
    }

    #[test]
    fn shares_round_down_and_stay_in_range() {
        assert_eq!((share(7, 1, 2), share(-7, 1, 2), share(7, -1, 2)), (3, -4, -4));
        let large = 10_i128.pow(28);
        assert_eq!(share(large, i64::MAX - 1, i64::MAX), large - share(large, 1, i64::MAX) - 1);
    }
}
