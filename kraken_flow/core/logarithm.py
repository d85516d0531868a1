"""The natural logarithm, in plain IEEE arithmetic: the same bits on every machine and in the Rust kernels."""

from math import frexp, inf, nan

LEAST = 0.7071067811865476
"""sqrt(1/2), the least m."""


def ln(x: float) -> float:
    """Return the natural logarithm: -inf of 0, NaN of NaN and of numbers below 0.

    x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f), and
    ln(1 + f) = 2 artanh(s) = f - (f^2/2 - s (f^2/2 + s^2 P(s^2))), where P is the polynomial that lies nearest to
    artanh's series on the interval; ln 2 is taken in two parts, k times the upper of which is exact. The largest error
    seen is 0.85 units in the last place. Operations and their order are those of `features/logarithm.rs`.

    >>> ln(1.0), ln(10.0), ln(0.0)
    (0.0, 2.302585092994046, -inf)
    """
    if not 0.0 < x < inf:
        return x if x == inf else -inf if x == 0.0 else nan
    m, k = frexp(x)
    if m < LEAST:
        m += m
        k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = 0.3999999999941467 + w * (0.22222198572997864 + w * 0.15314050296992207)
    even = 0.6666666666666734 + w * (0.2857142874238945 + w * (0.18183564335914396 + w * 0.14795952312351301))
    half = 0.5 * f * f
    return k * 0.6931471805598903 - ((half - (s * (half + (z * even + w * odd)) + k * 5.497923018708371e-14)) - f)
