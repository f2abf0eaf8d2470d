"""The normal distribution's cumulative function, which GELU needs. No array module has it under one name for all.

With t = 2 / (2 + z), z >= 0, the complement of the error function is erfc(z) = t e^(-z^2 + P(2t - 1)) with a smooth P.
The numbers below are P's Chebyshev coefficients, computed with 40 digits; what they leave out is below 1e-17.
"""

from .arrays import array_module

CHEBYSHEV = (
    -0.6513268598908547, 0.6419697923564902, 0.019476473204185836, -0.009561514786808632, -0.0009465953444820369,
    0.00036683949785276145, 4.252332480690777e-05, -2.0278578112534242e-05, -1.6242900046470256e-06,
    1.3036558355805232e-06, 1.5626441722066142e-08, -8.523809591492654e-08, 6.5290544390988515e-09,
    5.059343495551469e-09, -9.91364156493033e-10, -2.273651222931836e-10, 9.646791102015527e-11,
    2.3940380830391146e-12, -6.886027526497553e-12, 8.944879273090725e-13, 3.130921399342958e-13,
    -1.1270822361367252e-13, 3.810905255189232e-16, 7.106097613609237e-15, -1.5230282014571043e-15,
    -9.457494571291233e-17, 1.210237189224279e-16, -2.816663087747177e-17,
)  # fmt: skip


def normal_cdf(x):
    """The probability that a standard normal number is below x: erfc(-x / sqrt 2) / 2, to rounding in both tails."""
    xp = array_module(x)
    z = xp.abs(x) * 0.5**0.5
    t = 2 / (2 + z)
    u, b, before = 4 * t - 2, 0 * t, 0 * t
    for c in CHEBYSHEV[:0:-1]:  # Clenshaw's recurrence
        b, before = c + u * b - before, b
    tail = 0.5 * t * xp.exp(-0.5 * x * x + (CHEBYSHEV[0] + 0.5 * u * b - before))
    return xp.where(x < 0, tail, 1 - tail)
