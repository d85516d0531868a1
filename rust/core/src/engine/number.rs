//! Integer arithmetic of the account half: scales, rounding, and products that cannot go wrong in silence.

use super::fault::{Fault, raise};

/// Units in one price, one quantity or one rate of 1.0.
pub const UNIT: i64 = 100_000_000;
/// Units of a weight or a volatility of 1.0.
pub const FIX: i64 = 1_000_000_000;
/// The integer that stands for "no value" in a column of fixed weights.
pub const FIX_NAN: i64 = i64::MIN;
/// `UNIT` as a cash integer.
pub const WIDE_UNIT: i128 = UNIT as i128;
/// `FIX` as a cash integer.
pub const WIDE_FIX: i128 = FIX as i128;

/// Rounds a float to an integer of 10^-9, half to even; NaN becomes [`FIX_NAN`].
#[inline]
pub fn fix(value: f64) -> i64 {
    if value.is_nan() {
        return FIX_NAN;
    }
    let scaled = value * 1e9;
    if scaled.abs() < EXACT {
        return ((scaled + ROUNDER).to_bits() as i64) - (ROUNDER.to_bits() as i64);
    }
    scaled.round_ties_even().clamp(-9.2e18, 9.2e18) as i64
}

/// Below this, adding [`ROUNDER`] rounds half to even and leaves the integer in the low bits.
const EXACT: f64 = 2_251_799_813_685_248.0;
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Brings a cash-wide integer into 64 bits.
#[inline]
pub fn narrow(value: i128) -> i64 {
    match i64::try_from(value) {
        Ok(value) => value,
        Err(_) => raise(Fault::Units),
    }
}

/// Product of two 64-bit integers: always exact.
#[inline]
pub fn times(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// Product of cash and a factor.
#[inline]
pub fn mul(a: i128, b: i128) -> i128 {
    a.checked_mul(b).unwrap_or_else(|| raise(Fault::Cash))
}

/// Sum of two amounts of cash.
#[inline]
pub fn add(a: i128, b: i128) -> i128 {
    a.checked_add(b).unwrap_or_else(|| raise(Fault::Cash))
}

/// Sum of two prices or quantities.
#[inline]
pub fn add_units(a: i64, b: i64) -> i64 {
    a.checked_add(b).unwrap_or_else(|| raise(Fault::Units))
}

/// Quotient rounded down, `b` > 0. Amounts that fit take the machine's own division.
#[inline]
pub fn floor_div(a: i128, b: i128) -> i128 {
    if let (Ok(small), Ok(by)) = (u64::try_from(a), u64::try_from(b)) {
        return i128::from(small / by);
    }
    if b == WIDE_UNIT && (0..WIDE_UNIT << 64).contains(&a) {
        return i128::from(by_unit(a as u128));
    }
    a.div_euclid(b)
}

/// A number below `UNIT` 2^64 over `UNIT`, digit by digit in base 2^32.
#[inline]
fn by_unit(a: u128) -> u64 {
    let by = UNIT as u64;
    let (high, low) = ((a >> 64) as u64, a as u64);
    let first = (high << 32) | (low >> 32);
    let second = ((first % by) << 32) | (low & 0xffff_ffff);
    ((first / by) << 32) + second / by
}

/// Quotient rounded up, `b` > 0.
#[inline]
pub fn ceil_div(a: i128, b: i128) -> i128 {
    if a >= 0 { floor_div(a + (b - 1), b) } else { -floor_div(-a, b) }
}

/// Quantity rounded down to the lot grid; not negative.
#[inline]
pub fn to_lot(value: i64, lot: i64) -> i64 {
    if lot == 1 { value } else { value.div_euclid(lot) * lot }
}

/// Signed quantity rounded to the lot grid toward zero.
#[inline]
pub fn toward_zero(value: i64, lot: i64) -> i64 {
    if lot == 1 { value } else { value / lot * lot }
}

/// Price rounded up to the tick.
#[inline]
pub fn up_to_tick(price: i128, tick: i64) -> i64 {
    narrow(ceil_div(price, i128::from(tick)) * i128::from(tick))
}

/// Price rounded down to the tick, never below one tick.
#[inline]
pub fn down_to_tick(price: i128, tick: i64) -> i64 {
    narrow(floor_div(price, i128::from(tick)) * i128::from(tick)).max(tick)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_round_as_python_does() {
        for (a, b, down, up) in [(7, 2, 3, 4), (-7, 2, -4, -3), (6, 2, 3, 3), (-6, 2, -3, -3), (0, 5, 0, 0)] {
            assert_eq!((floor_div(a, b), ceil_div(a, b)), (down, up));
        }
        let wide = i128::from(i64::MAX) * 10_i128.pow(8);
        assert_eq!(floor_div(wide, WIDE_UNIT), i128::from(i64::MAX));
        assert_eq!(ceil_div(wide + 1, WIDE_UNIT), i128::from(i64::MAX) + 1);
        for a in [WIDE_UNIT << 64, (WIDE_UNIT << 64) - 1, (7 << 64) + 12_345_678_901, 1 << 64, 3 * WIDE_UNIT - 1] {
            assert_eq!((floor_div(a, WIDE_UNIT), ceil_div(-a, WIDE_UNIT)), (a / WIDE_UNIT, -(a / WIDE_UNIT)));
        }
    }

    #[test]
    fn fix_rounds_half_to_even_and_clips() {
        assert_eq!((fix(0.5e-9), fix(1.5e-9), fix(-2.5e-9)), (0, 2, -2));
        assert_eq!((fix(f64::NAN), fix(1e300)), (FIX_NAN, 9_200_000_000_000_000_000));
    }

    #[test]
    fn prices_stay_on_the_tick() {
        assert_eq!((up_to_tick(101, 10), down_to_tick(109, 10), down_to_tick(-3, 10)), (110, 100, 10));
        assert_eq!((toward_zero(-19, 10), toward_zero(19, 10)), (-10, 10));
    }
}
