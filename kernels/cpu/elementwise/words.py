"""What NumPy's functions of one element are in LLVM's language, for whole vectors of float32 or float64.

Exponential and logarithm follow the usual way: take out a power of two, exactly, and sum a series for what is left.

    e^x  = 2^n e^r                n the whole number nearest to x / ln 2,  r = x - n ln 2,  |r| <= ln 2 / 2
    ln x = e ln 2 + ln m          x = 2^e m,  sqrt(1/2) <= m < sqrt(2)
    ln m = 2 (s + s^3/3 + s^5/5 ...)                     s = (m - 1) / (m + 1)

ln 2 is the sum of two numbers, the first of which has so few digits that n times it is exact. (Cody and Waite,
"Software manual for the elementary functions", 1980.) Errors are a few units in the last place; NaN stays NaN.
"""

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from ...reference import normal as reference
from ...reference.normal import CHEBYSHEV
from ..llvm import INT, INT32, emit_fma


class Format(NamedTuple):
    """A type of numbers: the integer as wide, bits of the fraction, what is added to exponents, sqrt(1/2)'s bits.

    high + low: ln 2; series, odd: terms of e^r and of ln m; e^largest is infinite, e^least 0; smallest normal number
    """

    integer: ir.IntType
    fraction: int
    bias: int
    root: int
    high: float
    low: float
    series: int
    odd: int
    largest: float
    least: float
    smallest: float


FORMATS = {
    ir.FloatType(): Format(
        INT32, 23, 127, 0x3F3504F3, high=0.693359375, low=math.log(2) - 0.693359375, series=8, odd=5,
        largest=89.0, least=-104.0, smallest=2.0**-126,
    ),
    ir.DoubleType(): Format(
        INT, 52, 1023, 0x3FE6A09E667F3BCD, high=0.6931471803691238, low=1.9082149292705877e-10, series=14, odd=11,
        largest=710.0, least=-746.0, smallest=2.0**-1022,
    ),
}  # fmt: skip


def format_of(x):
    return FORMATS[x.type.element]


def number(x, value):
    """A vector like x of one number."""
    return ir.Constant(x.type, [float(value)] * x.type.count)


def integers(x, value):
    """A vector of integers as wide as x's numbers."""
    return ir.Constant(ir.VectorType(format_of(x).integer, x.type.count), [value] * x.type.count)


def named(b, name, x):
    """llvm.NAME(x)"""
    kind, suffix = ir.FunctionType(x.type, [x.type]), f"v{x.type.count}{x.type.element.intrinsic_name}"
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}.{suffix}"), [x])


def truth(b, condition, x):
    """1 where a condition holds, else 0."""
    return b.select(condition, number(x, 1), number(x, 0))


def compared(sign):
    return lambda b, x, y: truth(b, (b.fcmp_unordered if sign == "!=" else b.fcmp_ordered)(sign, x, y), x)


def choose(b, condition, x, y):
    return b.select(b.fcmp_unordered("!=", condition, number(x, 0)), x, y)


def larger(b, x, y):
    """max(x, y), NaN where one is."""
    return b.select(b.or_(b.fcmp_ordered(">", x, y), b.fcmp_unordered("uno", x, x)), x, y)


def smaller(b, x, y):
    return b.select(b.or_(b.fcmp_ordered("<", x, y), b.fcmp_unordered("uno", x, x)), x, y)


def negative(b, x):
    return b.fsub(number(x, -0.0), x)


def polynomial(b, x, coefficients):
    """The sum of c_k x^k by Horner's rule; coefficients from the highest to the lowest."""
    total = number(x, coefficients[0])
    for c in coefficients[1:]:
        total = emit_fma(b, total, x, number(x, c))
    return total


def power_of_two(b, n, x):
    """2^n for integers n of a normal number's exponents, like x."""
    form = format_of(x)
    return b.bitcast(b.shl(b.add(n, integers(x, form.bias)), integers(x, form.fraction)), x.type)


def reduced(b, x):
    """(n, e^r - 1) with x = n ln 2 + r; x between `least` and `largest`, or NaN, which r is then."""
    form = format_of(x)
    n = named(b, "rint", b.fmul(x, number(x, 1 / math.log(2))))
    r = emit_fma(b, n, number(x, -form.low), emit_fma(b, n, number(x, -form.high), x))
    series = polynomial(b, r, [1 / math.factorial(k) for k in range(form.series, 0, -1)])
    n = b.select(b.fcmp_unordered("uno", n, n), number(x, 0), n)
    return b.fptosi(n, integers(x, 0).type), b.fmul(r, series)


def limited(b, x):
    form = format_of(x)
    return smaller(b, larger(b, x, number(x, form.least)), number(x, form.largest))


def exp(b, x):
    """2^n in two factors: the result may be too small for one, and still be a number."""
    n, rest = reduced(b, limited(b, x))
    half = b.ashr(n, integers(x, 1))
    one = b.fadd(rest, number(x, 1))
    return b.fmul(b.fmul(one, power_of_two(b, half, x)), power_of_two(b, b.sub(n, half), x))


def less_one(b, rest, power):
    """2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1), from e^r - 1 and 2^n"""
    return emit_fma(b, rest, power, b.fsub(power, number(rest, 1)))


def expm1(b, x):
    """Where e^x is large, 1 is nothing beside it, and 2^n may be infinite where e^x is not."""
    n, rest = reduced(b, limited(b, x))
    half = b.ashr(n, integers(x, 1))
    first, second = power_of_two(b, half, x), power_of_two(b, b.sub(n, half), x)
    far = b.fmul(b.fmul(b.fadd(rest, number(x, 1)), first), second)
    near = less_one(b, rest, b.fmul(first, second))
    return same_at_zero(b, x, b.select(b.fcmp_ordered(">", x, number(x, 64)), far, near))


def same_at_zero(b, x, y):
    """y, but x where x is 0: minus 0 stays minus 0."""
    return b.select(b.fcmp_ordered("==", x, number(x, 0)), x, y)


def tanh(b, x):
    """t / (t + 2) with t = e^(2 |x|) - 1, and x's sign; beyond 20 it is 1"""
    size = smaller(b, named(b, "fabs", x), number(x, 20))
    n, rest = reduced(b, b.fadd(size, size))
    t = less_one(b, rest, power_of_two(b, n, x))
    y = b.fdiv(t, b.fadd(t, number(x, 2)))
    return same_at_zero(b, x, b.select(b.fcmp_ordered("<", x, number(x, 0)), negative(b, y), y))


def log(b, x):
    """Numbers below the smallest normal one are first made larger."""
    form = format_of(x)
    small = b.fcmp_ordered("<", x, number(x, form.smallest))
    raised = b.select(small, b.fmul(x, number(x, 2.0 ** (form.fraction + 1))), x)
    e, m = split(b, raised)
    e = b.fsub(b.sitofp(e, x.type), b.select(small, number(x, form.fraction + 1), number(x, 0)))
    f = b.fsub(m, number(x, 1))
    s = b.fdiv(f, b.fadd(f, number(x, 2)))
    square = b.fmul(s, s)
    # ln m = f - s (f - 2 (s^2 / 3 + s^4 / 5 ...)): it begins with f, which is exact
    series = b.fmul(square, polynomial(b, square, [2 / (2 * k + 1) for k in range(form.odd, 0, -1)]))
    bend = b.fmul(s, b.fsub(f, series))
    y = b.fadd(f, b.fsub(b.fmul(e, number(x, form.low)), bend))
    y = b.fadd(b.fmul(e, number(x, form.high)), y)
    y = b.select(b.fcmp_ordered("==", x, number(x, math.inf)), x, y)
    y = b.select(b.fcmp_ordered("==", x, number(x, 0)), number(x, -math.inf), y)
    return b.select(b.fcmp_ordered(">=", x, number(x, 0)), y, number(x, math.nan))


def split(b, x):
    """(e, m) with x = 2^e m and sqrt(1/2) <= m < sqrt(2); e are integers."""
    form = format_of(x)
    bits, root = b.bitcast(x, integers(x, 0).type), integers(x, form.root)
    e = b.ashr(b.sub(bits, root), integers(x, form.fraction))
    return e, b.bitcast(b.sub(bits, b.shl(e, integers(x, form.fraction))), x.type)


def log1p(b, x):
    """ln(1 + x) = ln u + (x - (u - 1)) / u with u = 1 + x, as far as it has digits"""
    u = b.fadd(x, number(x, 1))
    lost = b.fdiv(b.fsub(x, b.fsub(u, number(x, 1))), u)
    y = b.select(b.fcmp_ordered("==", u, number(x, 1)), x, b.fadd(log(b, u), lost))
    ends = b.or_(b.fcmp_ordered("==", u, number(x, 0)), b.fcmp_ordered("==", u, number(x, math.inf)))
    return b.select(ends, log(b, u), y)


def normal_cdf(b, x):
    """erfc(-x / sqrt 2) / 2, as the reference computes it; float32 needs half of the numbers."""
    form = format_of(x)
    numbers = CHEBYSHEV[: 14 if form.bias == 127 else None]
    t = b.fdiv(number(x, 2), emit_fma(b, named(b, "fabs", x), number(x, 0.5**0.5), number(x, 2)))
    u = b.fmul(t, number(x, 4))
    u, last, before = b.fsub(u, number(x, 2)), number(x, 0), number(x, 0)
    for c in numbers[:0:-1]:  # Clenshaw's recurrence
        last, before = b.fsub(emit_fma(b, u, last, number(x, c)), before), last
    power = b.fsub(emit_fma(b, b.fmul(u, number(x, 0.5)), last, number(x, numbers[0])), before)
    tail = b.fmul(b.fmul(t, number(x, 0.5)), exp(b, emit_fma(b, b.fmul(x, number(x, -0.5)), x, power)))
    return b.select(b.fcmp_ordered("<", x, number(x, 0)), tail, b.fsub(number(x, 1), tail))


WORDS = {
    np.add: lambda b, x, y: b.fadd(x, y),
    np.subtract: lambda b, x, y: b.fsub(x, y),
    np.multiply: lambda b, x, y: b.fmul(x, y),
    np.divide: lambda b, x, y: b.fdiv(x, y),
    np.maximum: larger,
    np.minimum: smaller,
    np.negative: negative,
    np.absolute: lambda b, x: named(b, "fabs", x),
    np.sqrt: lambda b, x: named(b, "sqrt", x),
    np.greater: compared(">"),
    np.greater_equal: compared(">="),
    np.less: compared("<"),
    np.less_equal: compared("<="),
    np.equal: compared("=="),
    np.not_equal: compared("!="),
    np.bitwise_and: lambda b, x, y: b.fmul(x, y),  # of ones and zeros
    np.bitwise_or: larger,
    np.where: choose,
    np.exp: exp,
    np.expm1: expm1,
    np.log: log,
    np.log1p: log1p,
    np.tanh: tanh,
    reference.normal_cdf: normal_cdf,
}
