"""The table of operations: one row an op, and everything else in the package follows from the row.

A row reads like a line of the table of derivatives at the back of a calculus book: a name, what it computes, and its
derivative with respect to each argument, written as a function of the result y and of the arguments with ordinary
operators and other rows. The same formula is therefore a float computation, a graph that can be differentiated again,
a rule that can be printed, and a line of compiled code. What else a row may say is listed at `Op` in rows.py.
"""

# mypy: disable-error-code=has-type
# (A row may name a later one: the table is in the order of a book, not of a program.)

from __future__ import annotations

import math
from math import copysign, inf, nan
from typing import Any

from . import functions
from .arguments import is_number
from .functions import LN_2, LN_10, SQRT_2, SQRT_PI, SQRT_TAU, normal_below
from .rows import DEFAULTS, LEAVES, op, row, shortcut
from .rows import HELPERS as HELPERS
from .rows import OPS as OPS
from .rows import ROWS as ROWS
from .rows import Op as Op
from .rows import named as named

# What the package takes from here: `op`, and the rows but abs, pow and round, which a star import must not hide.
__all__ = [
    "op", "add", "sub", "mul", "div", "neg", "mod", "floordiv", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt",
    "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf",
    "erfc", "identity", "sigmoid", "softplus", "relu", "leaky_relu", "elu", "gelu", "silu", "atan2", "hypot",
    "maximum", "minimum", "step", "sign", "floor", "ceil", "trunc", "where",
]

POSITIVE, INSIDE, ABOVE = (0.1, 3.0), (-0.9, 0.9), (1.1, 3.0)  # intervals where tests sample

# The table. At a kink and at the edge of a domain the note says what the derivative is; where two branches meet, a
# formula takes them with `where`, `step` or `sign`, never with `if`, so that a recorded formula holds everywhere.
# fmt: off

# name                  forward                   d/d first argument             d/d second argument
add = row("add",        lambda a, b: a + b,       lambda y, a, b: 1.0,           lambda y, a, b: 1.0,
          symbol="+", latex="{0:sum} + {1:sum}", text="{0:sum} + {1:sum}", binds="sum", about="the sum of a and b")
sub = row("sub",        lambda a, b: a - b,       lambda y, a, b: 1.0,           lambda y, a, b: -1.0,
          symbol="-", latex="{0:sum} - {1:product}", text="{0:sum} - {1:product}", binds="sum",
          about="the difference of a and b")
mul = row("mul",        lambda a, b: a * b,       lambda y, a, b: b,             lambda y, a, b: a,
          symbol="*", latex=r"{0:product} \cdot {1:product}", text="{0:product} * {1:product}", binds="product",
          about="the product of a and b")
div = row("div",        lambda a, b: a / b,       lambda y, a, b: 1 / b,         lambda y, a, b: -y / b,
          symbol="/", latex=r"\frac{{{0}}}{{{1}}}", text="{0:product} / {1:power}", binds="product",
          domain=((-2.0, 2.0), POSITIVE), otherwise=functions.quotient_anyway,
          about="the quotient of a and b", defined="b ≠ 0")
neg = row("neg",        lambda x: -x,             lambda y, x: -1.0,
          symbol="-", latex="-{0:product}", text="-{0:product}", binds="sum", about="the negative of x")
pow = row("pow",        math.pow,
          lambda y, a, b: _slope_in_base(a, b),          lambda y, a, b: pow_log(a, b),
          symbol="**", latex="{0:atom}^{{{1}}}", text="{0:atom}**{1:atom}", binds="power",
          book=(lambda y, a, b: b * pow(a, b - 1), lambda y, a, b: y * log(a)),
          domain=(POSITIVE, (-2.0, 2.0)), otherwise=functions.power_anyway,
          note="x⁰ has slope 0 at x = 0, and 0ᵇ with b > 0 has slope 0 in b; a negative base gives nan as the slope "
               "in b, and for a fractional b altogether",
          about="a to the power of b", defined="a > 0, or a = 0 and b ≥ 0, or a < 0 and b whole")

# name                  forward                   derivative                     how it is written, where it is sampled
abs = row("abs",        math.fabs,                lambda y, x: sign(x),          latex=r"\left|{0}\right|",
          text="|{0}|", kink=lambda x: x, note="abs'(0) = 0, the middle of -1 and 1", about="the absolute value of x")
exp = row("exp",        math.exp,                 lambda y, x: y,                latex="e^{{{0}}}", binds="power",
          otherwise=lambda x: inf, about="e to the power of x")
expm1 = row("expm1",    math.expm1,               lambda y, x: exp(x),           latex="e^{{{0}}} - 1", binds="sum",
          otherwise=lambda x: inf, about="e^x − 1, with all its digits near 0")
log = row("log",        math.log,                 lambda y, x: 1 / x,            latex=r"\ln\left({0}\right)",
          domain=POSITIVE, otherwise=functions.log_anyway, about="the natural logarithm of x", defined="x > 0")
log1p = row("log1p",    math.log1p,               lambda y, x: 1 / (1 + x),      latex=r"\ln\left(1 + {0:sum}\right)",
          domain=(-0.9, 2.0), otherwise=lambda x: functions.log_anyway(1 + x),
          about="the natural logarithm of 1 + x, with all its digits near 0", defined="x > −1")
log2 = row("log2",      math.log2,                lambda y, x: 1 / LN_2 / x,     latex=r"\log_2\left({0}\right)",
          domain=POSITIVE, otherwise=functions.log_anyway, about="the logarithm of x to the base 2", defined="x > 0")
log10 = row("log10",    math.log10,               lambda y, x: 1 / LN_10 / x,    latex=r"\log_{{10}}\left({0}\right)",
          domain=POSITIVE, otherwise=functions.log_anyway, about="the logarithm of x to the base 10", defined="x > 0")
sqrt = row("sqrt",      math.sqrt,                lambda y, x: 0.5 / y,          latex=r"\sqrt{{{0}}}",
          domain=POSITIVE, note="sqrt'(0) = inf", about="the square root of x", defined="x ≥ 0")
cbrt = row("cbrt",      functions.cbrt,          lambda y, x: third(y),          latex=r"\sqrt[3]{{{0}}}",
          domain=POSITIVE, note="cbrt'(0) = inf", about="the cube root of x")
sin = row("sin",        math.sin,                 lambda y, x: cos(x),           latex=r"\sin\left({0}\right)",
          about="the sine of x, an angle in radians")
cos = row("cos",        math.cos,                 lambda y, x: -sin(x),          latex=r"\cos\left({0}\right)",
          about="the cosine of x, an angle in radians")
tan = row("tan",        math.tan,                 lambda y, x: 1 + y * y,        latex=r"\tan\left({0}\right)",
          domain=(-1.2, 1.2), about="the tangent of x, an angle in radians")
asin = row("asin",      math.asin,                lambda y, x: 1 / sqrt(one_minus_square(x)),
          latex=r"\arcsin\left({0}\right)", domain=INSIDE,
          about="the angle from −π/2 to π/2 whose sine is x", defined="−1 ≤ x ≤ 1")
acos = row("acos",      math.acos,                lambda y, x: -1 / sqrt(one_minus_square(x)),
          latex=r"\arccos\left({0}\right)", domain=INSIDE,
          about="the angle from 0 to π whose cosine is x", defined="−1 ≤ x ≤ 1")
atan = row("atan",      math.atan,                lambda y, x: witch(x),          latex=r"\arctan\left({0}\right)",
           about="the angle from −π/2 to π/2 whose tangent is x")
sinh = row("sinh",      math.sinh,                lambda y, x: cosh(x),          latex=r"\sinh\left({0}\right)",
          otherwise=lambda x: copysign(inf, x), about="the hyperbolic sine of x")
cosh = row("cosh",      math.cosh,                lambda y, x: sinh(x),          latex=r"\cosh\left({0}\right)",
          otherwise=lambda x: inf, about="the hyperbolic cosine of x")
tanh = row("tanh",      math.tanh,                lambda y, x: tanh_slope(y, x),  latex=r"\tanh\left({0}\right)",
           book=(lambda y, x: 1 - y * y,), about="the hyperbolic tangent of x")
asinh = row("asinh",    math.asinh,               lambda y, x: 1 / hypot(x, 1),
          latex=r"\operatorname{{arsinh}}\left({0}\right)", about="the inverse of sinh")
acosh = row("acosh",    math.acosh,               lambda y, x: 1 / sqrt(x - 1) / sqrt(x + 1),
          latex=r"\operatorname{{arcosh}}\left({0}\right)", domain=ABOVE,
          about="the inverse of cosh, from 0 up", defined="x ≥ 1")
atanh = row("atanh",    math.atanh,               lambda y, x: 1 / one_minus_square(x),
          latex=r"\operatorname{{artanh}}\left({0}\right)", domain=INSIDE,
          otherwise=lambda x: copysign(inf, x) if x in (-1.0, 1.0) else nan,
          about="the inverse of tanh", defined="−1 < x < 1")
erf = row("erf",        math.erf,                 lambda y, x: 2 / SQRT_PI * bell(x),
          about="the error function, 2/√π times the integral of e^−t² from 0 to x")
erfc = row("erfc",      math.erfc,                lambda y, x: -2 / SQRT_PI * bell(x),
           about="1 − erf(x), with all its digits where erf(x) is near 1")

# Activations
identity = row("identity", lambda x: x,           lambda y, x: 1.0,              latex="{0:sum}", text="{0:sum}",
               binds="sum", note="the linear activation", about="x as it is")
sigmoid = row("sigmoid", functions.sigmoid,       lambda y, x: sigmoid_slope(y, x), latex=r"\sigma\left({0}\right)",
              symbol="σ", book=(lambda y, x: y * (1 - y),), about="the logistic function, 1/(1 + e^−x)")
softplus = row("softplus", functions.softplus,    lambda y, x: sigmoid(x), about="the smooth relu, ln(1 + e^x)")
relu = row("relu",      lambda x: 0.0 if x <= 0 else x, lambda y, x: step(x),    symbol="ReLU",
           latex=r"\operatorname{{ReLU}}\left({0}\right)", kink=lambda x: x, note="relu'(0) = 0",
           about="x where it is positive, else 0")
leaky_relu = row("leaky_relu", lambda x, k: k * x if x <= 0 else x,
                 lambda y, x, k: leaky_slope(x, k),             lambda y, x, k: -relu(-x),
                 defaults=(0.01,), domain=((-2.0, 2.0), (0.01, 0.5)), kink=lambda x, k: x,
                 note="at 0 the slope of the negative side", about="x where it is positive, else k times x")
elu = row("elu",        lambda x, k: k * math.expm1(x) if x <= 0 else x,
          lambda y, x, k: elu_slope(x, k),               lambda y, x, k: expm1(-relu(-x)),
          defaults=(1.0,), domain=((-2.0, 2.0), (0.5, 1.5)), kink=lambda x, k: x,
          book=(lambda y, x, k: where(step(x), 1.0, y + k), lambda y, x, k: expm1(-relu(-x))),
          note="at 0 the slope of the negative side; Clevert, Unterthiner and Hochreiter 2015",
          about="x where it is positive, else k (e^x − 1)")
gelu = row("gelu",      functions.gelu,
           lambda y, x: gelu_slope(x),
           spelled=lambda x: x * _normal_anywhere(x),
           note="x times the normal distribution function, exact; Hendrycks and Gimpel 2016",
           about="the Gaussian error linear unit")
silu = row("silu",      functions.silu,          lambda y, x: sigmoid(x) + y * sigmoid(-x),
           spelled=lambda x: where(step(x + 700), x * sigmoid(x), functions.silu_below(maximum(x, -2000.0), exp)),
           note="x * sigmoid(x), also called swish; Elfwing, Uchibe and Doya 2017", about="the sigmoid linear unit")

# Two arguments, and the steps that other rows are made of
atan2 = row("atan2",    math.atan2,
            lambda y, a, b: inversion(b, a),             lambda y, a, b: -inversion(a, b),
            book=(lambda y, a, b: b / (a * a + b * b), lambda y, a, b: -a / (a * a + b * b)),
            domain=((0.1, 2.0), (-2.0, 2.0)), kink=lambda a, b: hypot(a, b), note="slope 0 at (0, 0)",
            about="the angle of the point (b, a), from −π to π")
hypot = row("hypot",    math.hypot,               lambda y, a, b: share(a, b),    lambda y, a, b: share(b, a),
            latex=r"\sqrt{{{0:atom}^2 + {1:atom}^2}}", book=(lambda y, a, b: a / y, lambda y, a, b: b / y),
            kink=lambda a, b: hypot(a, b), note="slope 0 at (0, 0)", about="the length of the vector (a, b)")
maximum = row("maximum", lambda a, b: a if a >= b or a != a else b,
              lambda y, a, b: 0.5 + 0.5 * sign(a - b),   lambda y, a, b: 0.5 - 0.5 * sign(a - b),
              symbol="max", latex=r"\max\left({0}, {1}\right)", kink=lambda a, b: a - b,
              note="equal arguments share the slope, one half each", about="the larger one of a and b")
minimum = row("minimum", lambda a, b: a if a <= b or a != a else b,
              lambda y, a, b: 0.5 - 0.5 * sign(a - b),   lambda y, a, b: 0.5 + 0.5 * sign(a - b),
              symbol="min", latex=r"\min\left({0}, {1}\right)", kink=lambda a, b: a - b,
              note="equal arguments share the slope, one half each", about="the smaller one of a and b")
step = row("step",      functions.step,          lambda y, x: 0.0,
           latex=r"\mathbf{{1}}\left[{0:sum} > 0\right]", kink=lambda x: x, note="step(0) = 0; slope 0 everywhere",
           about="1 where x is positive, else 0")
sign = row("sign",      functions.sign,          lambda y, x: 0.0,
           latex=r"\operatorname{{sgn}}\left({0}\right)", kink=lambda x: x, note="sign(0) = 0; slope 0 everywhere",
           about="−1, 0 or 1, as x is negative, zero or positive")
floor = row("floor",    lambda x: copysign(math.floor(x), x), lambda y, x: 0.0,      otherwise=lambda x: x,
            latex=r"\left\lfloor {0} \right\rfloor", kink=lambda x: functions.past_multiple(x, 1.0),
            note="slope 0 everywhere, at whole numbers too, where the value jumps",
            about="the largest whole number up to x")
ceil = row("ceil",      lambda x: copysign(math.ceil(x), x), lambda y, x: 0.0,       otherwise=lambda x: x,
           latex=r"\left\lceil {0} \right\rceil", kink=lambda x: functions.past_multiple(x, 1.0),
           note="slope 0 everywhere, at whole numbers too, where the value jumps",
           about="the smallest whole number from x up")
trunc = row("trunc",    lambda x: copysign(math.trunc(x), x), lambda y, x: 0.0,      otherwise=lambda x: x,
            kink=lambda x: functions.past_multiple(x, 1.0) if math.fabs(x) > 0.5 else 1.0,
            note="towards 0; slope 0 everywhere, at whole numbers too, where the value jumps",
            about="x without its fraction")
round = row("round",    lambda x: copysign(x - math.remainder(x, 1.0), x), lambda y, x: 0.0, otherwise=lambda x: x,
            kink=lambda x: functions.past_multiple(x - 0.5, 1.0),
            note="halves go to the even neighbour; slope 0 everywhere, at halves too, where the value jumps",
            about="the whole number nearest to x")
mod = row("mod",        lambda a, b: a % b,       lambda y, a, b: 1.0,           lambda y, a, b: -floordiv(a, b),
          symbol="%", latex=r"{0:power} \;\operatorname{{mod}}\; {1:power}", text="{0:power} % {1:power}", binds="",
          domain=((-2.0, 2.0), (0.5, 2.0)), kink=functions.past_multiple, otherwise=lambda a, b: nan,
          note="the sign is that of b; at multiples of b, where the value jumps, the slopes are those of "
               "a - b * (a // b)", about="the remainder of a divided by b, as Python has it", defined="b ≠ 0")
floordiv = row("floordiv", lambda a, b: a // b,   lambda y, a, b: 0.0,           lambda y, a, b: 0.0,
               symbol="//", latex=r"\left\lfloor {0:product} / {1:power} \right\rfloor",
               domain=((-2.0, 2.0), (0.5, 2.0)), kink=functions.past_multiple, otherwise=functions.quotient_anyway,
               note="slope 0 everywhere, at multiples of b too, where the value jumps",
               about="the quotient of a and b, rounded down", defined="b ≠ 0")
where = row("where",    lambda c, a, b: a if c else b,
            lambda y, c, a, b: 0.0,  lambda y, c, a, b: where(c, 1.0, 0.0),  lambda y, c, a, b: where(c, 0.0, 1.0),
            note="a where c is not zero, else b; an eager node is the branch itself, so that a nan in the other branch "
                 "cannot reach it", about="one of a and b, chosen by c")

# Private rows: slopes whose formula in a book would lose digits, since it subtracts what is nearly equal, or would need
# a branch. They are computed in another way; `stands_for` is what they are. Some are functions of a result y and take
# its argument x besides, to be computed by: the derivative goes through y, as in a book, and nothing passes to x.

tanh_slope = row("_tanh_slope", lambda y, x: 4 * (e := exp(-2 * abs(x))) / ((1 + e) * (1 + e)),
                 lambda s, y, x: -2 * y,                lambda s, y, x: 0.0,
                 latex=r"1 - {0:product} \cdot {0:product}", text="1 - {0:product} * {0:product}", binds="sum",
                 symbol="tanh'", stands_for=lambda y, x: 1 - y * y)
sigmoid_slope = row("_sigmoid_slope", lambda y, x: (e := exp(-abs(x))) / ((1 + e) * (1 + e)),
                    lambda s, y, x: sigmoid_turn(y, x),    lambda s, y, x: 0.0,
                    latex=r"{0:product} \cdot \left(1 - {0:product}\right)", text="{0:product} * (1 - {0:product})",
                    binds="product", symbol="σ'", stands_for=lambda y, x: y * (1 - y))
sigmoid_turn = row("_sigmoid_turn", lambda y, x: -tanh(0.5 * x), lambda s, y, x: -2.0, lambda s, y, x: 0.0,
                   latex=r"1 - 2 \cdot {0:product}", text="1 - 2 * {0:product}", binds="sum",
                   symbol="1-2σ", stands_for=lambda y, x: 1 - 2 * y)
leaky_slope = row("_leaky_slope", lambda x, k: 1.0 if x > 0 else k if x <= 0 else x,
                  lambda s, x, k: 0.0,                   lambda s, x, k: where(step(x), 0.0, 1.0),
                  latex=r"\operatorname{{leaky\_relu}}'\left({0}, {1}\right)", text="leaky_relu'({0}, {1})",
                  spelled=lambda x, k: where(step(x), step(x), k), symbol="leaky_relu'",
                  stands_for=lambda x, k: where(step(x), step(x), k))
elu_slope = row("_elu_slope", functions.elu_slope,
                lambda s, x, k: where(step(x), 0.0, s),  lambda s, x, k: where(step(x), 0.0, exp(-relu(-x))),
                latex=r"\operatorname{{elu}}'\left({0}, {1}\right)", text="elu'({0}, {1})",
                spelled=lambda x, k: where(step(x), step(x), k * exp(-relu(-x))),
                symbol="elu'", stands_for=lambda x, k: where(step(x), 1.0, elu(x, k) + k))
third = row("_third",   lambda y: 1 / (3 * y * y),  lambda s, y: -2 * s / y,
            latex=r"\frac{{1}}{{3 {0:atom}^2}}", text="1 / (3 * {0:atom}**2)", binds="product",
            symbol="cbrt'", stands_for=lambda y: 1 / (3 * y * y))
witch = row("_witch",   lambda x: 1 / (1 + x * x),  lambda s, x: -2 * (x * s) * s,
            latex=r"\frac{{1}}{{1 + {0:atom}^2}}", text="1 / (1 + {0:atom}**2)", binds="product",
            symbol="atan'", stands_for=lambda x: 1 / (1 + x * x), note="the witch of Agnesi")
one_minus_square = row("_one_minus_square", lambda x: (1 - x) * (1 + x), lambda s, x: -2 * x,
                       latex="1 - {0:atom}^2", text="1 - {0:atom}**2", binds="sum", symbol="1-x²",
                       stands_for=lambda x: 1 - x * x)
within = row("_within", lambda x: maximum(minimum(x, 40.0), -40.0), lambda s, x: 1.0,
             latex="{0:product}", text="{0:product}", binds="product", symbol="x", stands_for=lambda x: x,
             note="x as a factor of exp(−x²) and the like, which are 0 beyond 38: with it no power of x is inf there")
bell = row("_bell",     functions.bell,          lambda s, x: -2 * (within(x) * s),
           latex="e^{{-{0:atom}^2}}", text="exp(-{0:atom}**2)", binds="power",
           spelled=lambda x: functions.gauss(minimum(abs(x), 40.0), 1.0, exp),
           symbol="exp(-x²)", stands_for=lambda x: exp(-x * x))
density = row("_density", functions.density,       lambda s, x: -(within(x) * s),
              latex=r"\frac{{e^{{-{0:atom}^2 / 2}}}}{{\sqrt{{2 \pi}}}}", text="exp(-{0:atom}**2 / 2) / sqrt(2 * pi)",
              spelled=lambda x: functions.gauss(minimum(abs(x), 40.0), 0.5, exp) / SQRT_TAU,
              binds="product", symbol="φ", stands_for=lambda x: exp(-0.5 * x * x) / SQRT_TAU)
gelu_slope = row("_gelu_slope", functions.gelu_slope,
                 lambda s, x: 2 * density(x) - within(x) * (within(x) * density(x)),
                 latex=r"\operatorname{{gelu}}'\left({0}\right)", text="gelu'({0})",
                 spelled=lambda x: _normal_anywhere(x) + within(x) * density(x),
                 symbol="gelu'", stands_for=lambda x: 0.5 * erfc(-x / SQRT_2) + x * exp(-0.5 * x * x) / SQRT_TAU)
share = row("_share",   functions.share,         lambda s, a, b: share(b, a) * (share(b, a) / hypot(a, b)),
            lambda s, a, b: -s * share(b, a) / hypot(a, b),
            latex=r"\frac{{{0}}}{{\sqrt{{{0:atom}^2 + {1:atom}^2}}}}", text="{0:product} / hypot({0}, {1})",
            binds="product", symbol="hypot'",
            stands_for=lambda a, b: a / hypot(a, b), note="0 at (0, 0)")
inversion = row("_inversion", functions.inversion,
                lambda s, a, b: ((b - a) / hypot(a, b) * ((b + a) / hypot(a, b))) / hypot(a, b) / hypot(a, b),
                lambda s, a, b: -2 * s * share(b, a) / hypot(a, b),
                latex=r"\frac{{{0}}}{{{0:atom}^2 + {1:atom}^2}}", text="{0:product} / ({0:atom}**2 + {1:atom}**2)",
                binds="product", symbol="atan2'",
                stands_for=lambda a, b: a / (a * a + b * b), note="0 at (0, 0)")
pow_slope = row("_pow_slope", functions.power_slope,
                lambda s, a, b: b * pow_slope(a, b - 1),
                lambda s, a, b: pow(a, b - 1) + b * pow_log(a, b - 1),
                latex=r"{1:product} \cdot {0:atom}^{{{1:sum} - 1}}", text="{1:product} * {0:atom}**({1:sum} - 1)",
                binds="product", domain=(POSITIVE, (-2.0, 2.0)), symbol="pow'",
                spelled=lambda a, b: _pow_slope_by_rows(a, b), stands_for=lambda a, b: b * pow(a, b - 1))
pow_log = row("_pow_log", lambda a, b: where(pow(a, b), pow(a, b) * log(a), 0.0),
              lambda s, a, b: pow(a, b - 1) + b * pow_log(a, b - 1),
              lambda s, a, b: pow_log(a, 0.5 * b)**2,
              book=(lambda s, a, b: pow(a, b - 1) + b * pow_log(a, b - 1), lambda s, a, b: s * log(a)),
              latex=r"{0:atom}^{{{1}}} \cdot \ln\left({0}\right)", text="{0:atom}**{1:atom} * log({0})",
              binds="product", domain=(POSITIVE, (-2.0, 2.0)), symbol="pow'",
              stands_for=lambda a, b: pow(a, b) * log(a), note="0 where aᵇ is 0")
# fmt: on

# Formulas of the table in several lines

def _normal_anywhere(x: Any) -> Any:
    inside = step(-1.0 - x) * step(x + 40.0)
    return where(inside, normal_below(where(inside, x, -2.0), erfc, bell), 0.5 * erfc(-x / SQRT_2))


def _pow_slope_by_rows(a: Any, b: Any) -> Any:
    by_power, y = b * pow(a, b - 1), pow(a, b)
    divides = step(a) * step(y - 1e-290) * step(1e300 - y)
    return where(b, where(_lost(b), where(divides, b * (y / a), by_power), by_power), 0.0 * step(a))


def _lost(b: Any) -> Any:
    """The part of b that rounding takes from b - 1, or something else that is not 0."""
    return abs((b - 1) + 1 - b) + abs(b - (b - 1) - 1)


def _slope_in_base(a: Any, b: Any) -> Any:
    """b a^(b-1): of a constant exponent as a book has it, where that loses nothing; that of x^0 is 0 to any order."""
    if not is_number(b) or _lost(float(b)):
        return pow_slope(a, b)
    if b == 1:
        return 1.0
    return b * pow(a, b - 1) if b else 0.0 * step(a)


for _row in OPS.values():
    _row.slopes = tuple(shortcut(rule, _row.arity) for rule in _row.derivatives)
del _row

# A leaf is a node that no op computed. These two stand in the place of its op.
LEAF, CONSTANT = (
    Op(name=kind, forward=identity.forward, derivatives=(), otherwise=identity.otherwise, symbol="", latex="", text="",
       **{**DEFAULTS, "domain": (), "about": "", "note": note})
    for kind, note in (("leaf", "a Value that the user made"), ("constant", "a number that met a Value"))
)
LEAVES |= {LEAF.name: LEAF, CONSTANT.name: CONSTANT}
