"""Functions of floats that Python's math lacks, stable over the whole line, for the table of operations.

nan goes through all of them. Those that take `exp`, `erfc` or `bell` as arguments are formulas that rows can be put
into: the same formula is then computed with floats and recorded with nodes. This module knows nothing of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import copysign, inf, isfinite, nan
from typing import Any

LN_2, LN_10 = math.log(2), math.log(10)
SQRT_2, SQRT_PI, SQRT_TAU = math.sqrt(2), math.sqrt(math.pi), math.sqrt(math.tau)
SQRT_HALF = 0.7071067811865476  # as a float; its first 26 digits, the others, and what is missing to √½
SQRT_HALF_26, SQRT_HALF_52, SQRT_HALF_REST = 0.7071067839860916, -2.7995440410322203e-09, -4.833646656726457e-17


# Where Python raises an error, IEEE arithmetic has a result. (ISO C, annex F; IEEE 754-2019, section 9.2.)

def quotient_anyway(a: float, b: float) -> float:
    return nan if a == 0 or a != a else copysign(inf, a) * copysign(1.0, b)


def power_anyway(a: float, b: float) -> float:
    odd = b % 2.0 == 1.0
    if a == 0:
        return copysign(inf, a) if odd else inf
    if a < 0 and b != math.floor(b):
        return nan
    return -inf if a < 0 and odd else inf


def log_anyway(x: float) -> float:
    return -inf if x == 0 else nan


# Forward functions of rows

def sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def cbrt(x: float) -> float:  # math.cbrt came with Python 3.11
    if x == 0 or not isfinite(x):
        return x
    root = copysign(math.fabs(x) ** (1 / 3), x)
    return root - (root - x / (root * root)) / 3.0  # one step of Newton mends the last digit


def softplus(x: float) -> float:
    return (x if x > 0 else 0.0) + math.log1p(math.exp(-math.fabs(x)))


def silu(x: float) -> float:
    return x * sigmoid(x) if x > -700.0 or x != x else float(silu_below(max(x, -2000.0)))


def silu_below(x: Any, exp: Callable[..., Any] = math.exp) -> Any:
    """x e^x where e^x by itself has lost digits."""
    return x * exp(0.5 * x) * exp(0.5 * x)


def gelu(x: float) -> float:
    return x * normal(x)


def sign(x: float) -> float:
    return x if x == 0 or x != x else copysign(1.0, x)


def step(x: float) -> float:
    return x if x != x else float(x > 0)


def past_multiple(a: float, b: float) -> float:
    """a minus the multiple of b nearest to it."""
    past = a % b if b else nan
    return past - b if math.fabs(past) > 0.5 * math.fabs(b) else past


# Forward functions of private rows

def elu_slope(x: float, k: float) -> float:
    if x > 0:
        return 1.0
    return k * math.exp(0.5 * x) * math.exp(0.5 * x) if x < -700.0 else k * math.exp(x)


def bell(x: float) -> float:
    return gauss(math.fabs(x), 1.0) if not math.fabs(x) > 40.0 else 0.0


def density(x: float) -> float:
    return gauss(math.fabs(x), 0.5) / SQRT_TAU if not math.fabs(x) > 40.0 else 0.0


def gauss(a: Any, k: float, exp: Callable[..., Any] = math.exp) -> Any:
    """e^-ka² for a from 0 to 40; a² as h² and a rest, where h has half the digits of a (Veltkamp), so that its square
    is exact."""
    c = 134217729.0 * a
    h = c - (c - a)
    return exp(-k * h * h) * exp(k * (h - a) * (h + a))


def gelu_slope(x: float) -> float:
    return normal(x) + max(-40.0, min(x, 40.0)) * density(x)  # where x is infinite, the density is 0


def normal(x: float) -> float:
    """The normal distribution function."""
    return normal_below(x) if -40.0 < x < -1.0 else 0.5 * math.erfc(-x / SQRT_2)


def normal_below(x: Any, erfc: Callable[..., Any] = math.erfc, bell: Callable[..., Any] = bell) -> Any:
    """½ erfc(t) for t = -x/√2, which is far from erfc of the rounded t where t is large. What rounding took
    from t (Dekker) times the slope of erfc mends it."""
    t = -x * SQRT_HALF
    c = 134217729.0 * x
    high = c - (c - x)
    low = x - high
    lost = -(((high * SQRT_HALF_26 + t) + high * SQRT_HALF_52) + low * SQRT_HALF) - x * SQRT_HALF_REST
    return 0.5 * (erfc(t) - 2 / SQRT_PI * lost * bell(t))


def share(a: float, b: float) -> float:
    """a / √(a² + b²), 0 at (0, 0)."""
    h = math.hypot(a, b)
    if 1e-150 < h < 1e150:
        return a / h
    s = 2.0**500 if h < 1.0 else 2.0**-500  # where h is subnormal, or inf
    return a * s / math.hypot(a * s, b * s) if h else 0.0


def inversion(a: float, b: float) -> float:
    """a / (a² + b²), 0 at (0, 0)."""
    h = math.hypot(a, b)
    s = 1.0 if 1e-150 < h < 1e150 else 2.0**500 if h < 1.0 else 2.0**-500
    h = math.hypot(a * s, b * s)
    return a * s * 2.0**500 / h / h * 2.0**-500 * s if h else 0.0


def power_slope(a: float, b: float) -> float:
    """b a^(b-1); by a^b / a, where the subtraction rounds and the quotient does not lose what it needs."""
    if b == 0:
        return 0.0 if a == a else a
    if (b - 1) + 1 != b or b - (b - 1) != 1:
        y = math.pow(a, b)
        if (a > 0 and 1e-290 < y < 1e300) or y != y:
            return b * (y / a)
    return b * math.pow(a, b - 1)
