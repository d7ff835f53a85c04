"""What the rows of the table truly are: value, first and second derivatives, and points to ask for them.

The formulas here share nothing with micrograd's. A row is written once more, as a function of power series with
coefficients in ball arithmetic (python-flint): put in x + t, and what comes out is f + f′t + f″/2 t², each with a bound
on its error. Where the bound is too wide, because digits cancelled, all is done again with more of them. (A row that is
made of others and has no line here is taken for what it says of itself.)
"""

import math
import random
from fractions import Fraction
from itertools import combinations_with_replacement

from flint import arb, arb_series, ctx

from micrograd import ops
from micrograd.rows import Operators, spelling

BITS = 256, 1280, 2560, 5120, 10240  # of precision, until an answer is sharp; 1,100 tell 1e-308 from 1 + 1e-308
SHARP = 70                           # bits that must be right: the 53 of a float, and a ten-thousandth of its last one
LEAST = 2.0**-1022                   # of the normal numbers
NOWHERE = (math.nan, 0.0, math.nan)  # the truth where there is none, or none that is asked for


# The rows

def odd(f):
    return lambda x: f(x) if x[0] >= 0 else -f(-x)


def kinked(above, below):
    return lambda x, *k: above(x, *k) if x[0] > 0 else below(x, *k)


def power(a, b):
    if a[0] > 0:
        return (b * a.log()).exp()
    if b[1] != 0:
        return arb_series([arb.nan()] * 3)  # a negative number to a power that moves
    n = int(b[0].unique_fmpz())
    if a[0] == 0:
        return a ** n
    return (-1) ** n * (n * (-a).log()).exp()


def atan2(a, b):
    if abs(a[0]) > abs(b[0]):
        return (1 if a[0] > 0 else -1) * arb.pi() / 2 - (b / a).atan()
    return (a / b).atan() + (0 if b[0] > 0 else arb.pi() if a[0] >= 0 else -arb.pi())


FORMULAS = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "neg": lambda x: -x, "identity": lambda x: x, "pow": power,
    "exp": lambda x: x.exp(), "expm1": lambda x: x.exp() - 1,
    "log": lambda x: x.log(), "log1p": lambda x: (1 + x).log(),
    "log2": lambda x: x.log() / arb(2).log(), "log10": lambda x: x.log() / arb(10).log(),
    "sqrt": lambda x: x.sqrt(), "cbrt": odd(lambda x: (x.log() / 3).exp()),
    "sin": lambda x: x.sin(), "cos": lambda x: x.cos(), "tan": lambda x: x.tan(),
    "asin": lambda x: x.asin(), "acos": lambda x: x.acos(), "atan": lambda x: x.atan(),
    "sinh": lambda x: (x.exp() - (-x).exp()) / 2, "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "tanh": odd(lambda x: 1 - 2 / ((2 * x).exp() + 1)),
    "asinh": odd(lambda x: (x + (x * x + 1).sqrt()).log()), "acosh": lambda x: (x + (x * x - 1).sqrt()).log(),
    "atanh": lambda x: ((1 + x) / (1 - x)).log() / 2,
    "erf": lambda x: x.erf(), "erfc": lambda x: x.erfc(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()), "softplus": lambda x: (1 + x.exp()).log(),
    "gelu": lambda x: x * (-x / arb(2).sqrt()).erfc() / 2, "silu": lambda x: x / (1 + (-x).exp()),
    "abs": kinked(lambda x: x, lambda x: -x), "relu": kinked(lambda x: x, lambda x: 0 * x),
    "leaky_relu": kinked(lambda x, k: x, lambda x, k: k * x),
    "elu": kinked(lambda x, k: x, lambda x, k: k * (x.exp() - 1)),
    "step": kinked(lambda x: 0 * x + 1, lambda x: 0 * x), "sign": odd(lambda x: 0 * x + (x[0] > 0)),
    "floor": lambda x: 0 * x + x[0].floor(), "ceil": lambda x: 0 * x + x[0].ceil(),
    "trunc": odd(lambda x: 0 * x + x[0].floor()), "round": lambda x: 0 * x + round(Fraction(float(x[0]))),
    "mod": lambda a, b: a - b * (a[0] / b[0]).floor(), "floordiv": lambda a, b: 0 * a + 0 * b + (a[0] / b[0]).floor(),
    "hypot": lambda a, b: (a * a + b * b).sqrt(), "atan2": atan2,
    "maximum": lambda a, b: a if a[0] > b[0] else b, "minimum": lambda a, b: a if a[0] < b[0] else b,
    "where": lambda c, a, b: a if c[0] != 0 else b,
}

# The goal: units in the last place, for the value, first and second derivatives; and where more is allowed, why.
GOAL = 4, 4, 16
ALLOWED = {
    ("erfc", 0): (64, "its tail is the C library's"),
    ("gelu", 0): (64, "its tail is that of erfc"),
    ("gelu", 1): (64, "so is the tail of its slope"),
}

# Where a derivative of so high an order is 0 because two terms cancel. No term is known to more digits than it has, so
# within 1/4 of there errors are measured in units of the last place of 1/8, about the size of the terms, at least.
CANCELS = {("gelu", 1): (-0.751791524693564,), ("silu", 1): (-1.27846454276107,),
           ("gelu", 2): (-1.41421356237310, 1.41421356237310), ("silu", 2): (-2.39935728052175, 2.39935728052175)}

# Rows whose derivatives by the second argument are products with the value: they are not asked for the digits that a
# value below the normal numbers has lost.
FADING = "div", "pow"


def goal(name, order):
    """How many units in the last place a row's value (order 0) or derivatives may be off."""
    return ALLOWED.get((name, order), (GOAL[order],))[0]


def quantities(arity):
    """What is asked of a row: () is the value, (0,) the derivative by the first argument, (0, 1) the mixed one, ..."""
    return [at for order in range(3) for at in combinations_with_replacement(range(arity), order)]


def truths(name, args, smooth=True):
    """The truth of every quantity of a row at the floats args: triples (x, rest, unit), for the true value
    x + rest * unit, with x a float and unit that of its last place (but see CANCELS, FADING).

    smooth: False at a kink, where only the value is asked for. There x = nan stands for no answer, x = 0 for a true
    value below the normal numbers and x = ±inf for one above them; unit is nan in all three.
    """
    for ctx.prec in BITS:
        try:
            found = [sharp(ball) for ball in balls(name, args, smooth)]
        except ValueError:  # a divisor so wide that it may be 0
            continue
        if None not in found:
            return [asked(name, at, args, found[0], y) for at, y in zip(quantities(len(args)), found)]
    raise ArithmeticError(f"{name}{args}: {BITS[-1]} bits are not enough")


def asked(name, at, args, value, true):
    x, rest, unit = true
    if name in FADING and 1 in at and value[0] == 0 and args[0]:
        return NOWHERE
    if any(abs(args[0] - zero) < 0.25 for zero in CANCELS.get((name, len(at)), ())):
        coarse = max(unit, math.ulp(0.125))
        return x, rest * (unit / coarse), coarse
    return true


class Ball(Operators):
    """A power series on which a row that is made of others is worked out by the truth of those."""

    def __init__(self, series):
        self.series = series

    def __op__(self, op, args):
        series = [arg.series if isinstance(arg, Ball) else arb_series([arb(arg)]) for arg in args]
        return Ball(FORMULAS[op.name](*series))


def by_rows(formula):
    return lambda *args: formula(*map(Ball, args)).series


def balls(name, args, smooth):
    """The quantities in ball arithmetic; None where there is nothing to know."""
    ctx.cap = 3
    formula, n = FORMULAS.get(name) or by_rows(spelling(ops.named(name))), len(args)

    def along(*directions):
        moving = [[arb(x), arb(1)] if i in directions else [arb(x)] for i, x in enumerate(args)]
        y = formula(*map(arb_series, moving))
        return [y[0], y[1], 2 * y[2]]

    if not smooth:
        return [along()[0], *[None] * (len(quantities(n)) - 1)]
    lines = [along(i) for i in range(n)]
    value = lines[0][0]
    if name == "pow" and args[0] <= 0:
        lines[1] = [None] * 3  # a power of a negative number is no function of the exponent
    seconds = []
    for i, j in combinations_with_replacement(range(n), 2):
        if lines[i][2] is None or lines[j][2] is None:
            seconds.append(None)
        elif i == j:
            seconds.append(lines[i][2])
        else:  # along (1, 1) the second derivative is f_ii + 2 f_ij + f_jj
            seconds.append((along(i, j)[2] - lines[i][2] - lines[j][2]) / 2)
    return [value, *(line[1] for line in lines), *seconds]


def sharp(ball):
    """The triple of `truths`; None if the ball is too wide to tell."""
    if ball is None:
        return NOWHERE
    if ball.is_finite() and ball.abs_upper() < LEAST:
        return 0.0, 0.0, math.nan
    if not ball.is_finite() or ball.rel_accuracy_bits() < SHARP:
        return None
    middle = ball.mid()
    x = float(middle)
    if math.isinf(x):
        return x, 0.0, math.nan
    rest = middle - arb(x)
    unit = math.ulp(x if (rest >= 0) == (x >= 0) else math.nextafter(x, 0.0))  # below a power of two it is half
    return x, float(rest / arb(unit)), unit


# Points

CRITICAL = [  # edges of domains; where results overflow, underflow, become 0 or 1, change sign
    0.0, 0.5, 1.0, 2.0, math.pi / 2, math.pi, 709.782712893384, 708.396418532264, 745.133219101941, 36.7368005696771,
    37.5, 19.0615474653985, 18.7149738751185, 354.891356446692, 26.5432589256268, 27.2261141785, 38.4670845,
    5.8635847487552, 0.751791524693564, 1.41421356237310, 1.27846454276107, 2.39935728052175, 1.34078079299426e154,
    1.49166814624e-154, 5.64380309412e102, 1.7976931348623157e308, 2.2250738585072014e-308,
]
DOMAINS = {
    "log": lambda x: x > 0, "log2": lambda x: x > 0, "log10": lambda x: x > 0, "sqrt": lambda x: x > 0,
    "cbrt": lambda x: x != 0, "log1p": lambda x: x > -1, "asin": lambda x: abs(x) < 1, "acos": lambda x: abs(x) < 1,
    "atanh": lambda x: abs(x) < 1, "acosh": lambda x: x > 1, "div": lambda a, b: b != 0,
    "mod": lambda a, b: b != 0 and a % b != 0, "floordiv": lambda a, b: b != 0 and a % b != 0,
    "atan2": lambda a, b: a != 0 or b != 0, "hypot": lambda a, b: a != 0 or b != 0,
    "pow": lambda a, b: a > 0 or (b == math.floor(b) and (a < 0 or 0 <= b < 9)),
}


def points(name, arity, count, seed=1):
    """So many points of a row's domain, as tuples of finite floats: uniform ones, of all magnitudes, near what is
    critical; of two arguments also such as are nearly equal, and such as are alike in magnitude."""
    rng = random.Random(f"{name} {seed}")
    inside, found = DOMAINS.get(name, lambda *args: True), []
    draw = OWN.get(name, single if arity == 1 else pair)
    while len(found) < count:
        args = draw(rng)
        if all(map(math.isfinite, args)) and inside(*args):
            found.append(args)
    return found


def number(rng):
    how, sign = rng.random(), rng.choice((1.0, -1.0))
    if how < 0.3:
        width = rng.choice((1.0, 3.0, 40.0, 800.0))
        return rng.uniform(-width, width)
    if how < 0.6:
        return sign * math.ldexp(1 + rng.random(), rng.randint(-1074, 1023))
    if how < 0.75:
        return sign * 2 ** rng.uniform(-60, 10)
    return near(rng, sign * rng.choice(CRITICAL))


def near(rng, x):
    """x times 1 plus or minus 1/2, 1/4, ... or as little as there is."""
    return x * (1 + rng.choice((1, -1)) * math.ldexp(rng.random(), -rng.randint(0, 54))) + 0.0  # never -0.0


def single(rng):
    return (number(rng),)


def pair(rng):
    a, how = number(rng), rng.random()
    if how < 0.5:
        return a, number(rng)
    return a, rng.choice((1, -1)) * (near(rng, a) if how < 0.75 else a * 2 ** rng.uniform(-60, 60)) + 0.0


def powers(rng):
    """Bases and exponents whose power is a normal number, mostly."""
    a, how = number(rng), rng.random()
    if how < 0.3:
        return a, float(rng.randint(-4, 6))
    if how < 0.4:
        return abs(a), rng.choice((0.5, -0.5, 1 / 3, 1.5, 1.0, 2.0))
    b = rng.uniform(-745, 710) / (math.log(abs(a)) or 1.0) if a else 1.0
    return (abs(a), b) if how < 0.9 else (abs(a), number(rng))


def slopes(rng):
    return number(rng), rng.choice((0.01, 1.0, rng.uniform(0.0, 2.0), 2 ** rng.uniform(-60, 10)))


def branches(rng):
    return rng.choice((0.0, number(rng))), number(rng), number(rng)


OWN = {"pow": powers, "elu": slopes, "leaky_relu": slopes, "where": branches}
