//! The natural logarithm, in plain IEEE arithmetic: the same bits on every machine and in `kraken_flow.core.logarithm`.
//!
//! x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f), and
//! ln(1 + f) = 2 artanh(s) = f - (f^2/2 - s (f^2/2 + s^2 P(s^2))), where P is the polynomial that lies nearest to
//! artanh's series on the interval. The largest error seen is 0.85 units in the last place.

/// sqrt(1/2), the least m.
const LEAST: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
const ONE: u64 = 1.0_f64.to_bits();
const FRACTION: u64 = (1 << 52) - 1;
/// A whole number below 2^52, written into the low bits of 2^52, becomes that float plus itself.
const SHIFT: f64 = 4_503_599_627_370_496.0;
const BIAS: f64 = 1023.0;
/// ln 2 in two parts: k times the upper one is exact.
const LN_2_HIGH: f64 = 0.693_147_180_559_890_3;
const LN_2_LOW: f64 = 5.497_923_018_708_371e-14;

/// Makes subnormal numbers normal.
const LIFT: f64 = 54.0;
const LIFTED: f64 = 18_014_398_509_481_984.0;

const SIGN: u64 = 1 << 63;
const LEAST_NORMAL: u64 = 1 << 52;

/// The sign bit is set where x is not a finite, normal number above 0.
#[inline(always)]
fn unusual(x: f64) -> u64 {
    let bits = x.to_bits();
    bits | bits.wrapping_sub(LEAST_NORMAL) | bits.wrapping_add(LEAST_NORMAL)
}

/// The logarithm of a finite, normal x above 0, divided by 2^(zero - BIAS). Free of branches, so that a loop over it runs
/// in vectors.
#[inline(always)]
fn normal(x: f64, zero: f64) -> f64 {
    let bits = x.to_bits().wrapping_add(ONE - LEAST);
    let k = f64::from_bits(bits >> 52 | SHIFT.to_bits()) - (SHIFT + zero);
    let f = f64::from_bits((bits & FRACTION) + LEAST) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let odd = 0.399_999_999_994_146_7 + w * (0.222_221_985_729_978_64 + w * 0.153_140_502_969_922_07);
    let even = 0.666_666_666_666_673_4
        + w * (0.285_714_287_423_894_5 + w * (0.181_835_643_359_143_96 + w * 0.147_959_523_123_513_01));
    let half = 0.5 * f * f;
    k * LN_2_HIGH - ((half - (s * (half + (z * even + w * odd)) + k * LN_2_LOW)) - f)
}

/// The natural logarithm: -inf of 0, NaN of numbers below it.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    if unusual(x) & SIGN == 0 { normal(x, BIAS) } else { of_unusual(x) }
}

#[cold]
fn of_unusual(x: f64) -> f64 {
    if x == 0.0 {
        f64::NEG_INFINITY
    } else if x > 0.0 && x < f64::INFINITY {
        normal(x * LIFTED, BIAS + LIFT)
    } else if x > 0.0 {
        x
    } else {
        f64::NAN
    }
}

/// Replaces values by their logarithms.
pub(super) fn ln_all(values: &mut [f64]) {
    const BLOCK: usize = 64;
    for block in values.chunks_mut(BLOCK) {
        if block.iter().fold(0, |any, &x| any | unusual(x)) & SIGN == 0 {
            for x in block {
                *x = normal(*x, BIAS);
            }
        } else {
            for x in block {
                *x = ln(*x);
            }
        }
    }
}
