"""The table of operations: one row an op, and everything else in the package follows from the row.

A row reads like a line of the table of derivatives at the back of a calculus book: a name, what it computes, and its
derivative with respect to each argument, written as a function of the result y and of the arguments with ordinary
operators and other rows. The same formula is therefore a float computation, a graph that can be differentiated again,
a rule that can be printed, and a line of compiled code.

Rows are callable. On numbers they compute, with the results of IEEE arithmetic (inf, nan) where Python's own functions
raise an error; on nodes (anything that has an `__op__` method) they let the node record. This module knows nothing of
nodes beyond that.
"""

# mypy: disable-error-code=has-type
# (A row may name a later one: the table is in the order of a book, not of a program.)

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from math import copysign, inf, isfinite, nan
from numbers import Real
from typing import Any

OPS: dict[str, Op] = {}  # every row, by name, in the order of the table
ROWS: list[Op] = []      # every row ever made, those since replaced and the two kinds of leaf included, by its number

# How tightly a printed formula holds together, loosest first. A template says at each slot what may stand there
# without parentheses ("{0:sum} - {1:product}"); a slot that says nothing is fenced in already.
BINDS = {"": 0, "sum": 1, "product": 2, "power": 3, "atom": 4}

Interval = tuple[float, float]


class Op:
    """One row: an operation, its derivatives, and how it is written.

    Call it on numbers to compute (a float comes back), on nodes to record (a node comes back). Arguments that the row
    has defaults for may be left out.
    """

    __slots__ = ("name", "forward", "derivatives", "otherwise", "symbol", "latex", "text", "binds", "domain", "kink",
                 "defaults", "note", "builtin", "index")

    name: str                                   # "tanh"
    forward: Callable[..., float]               # floats to float; may raise what Python's math raises
    derivatives: tuple[Callable[..., Any], ...]  # the i-th: (y, *arguments) -> dy/d(argument i)
    otherwise: Callable[..., float]             # the IEEE result, where forward raises
    symbol: str                                 # what a drawing shows: "+"
    latex: str                                  # a template in LaTeX: "{0:sum} - {1:product}"
    text: str                                   # the same in plain text
    binds: str                                  # how tightly the result holds together: a key of BINDS
    domain: tuple[Interval, ...]                # for each argument, the interval where tests sample it
    kink: Callable[..., float] | None           # the derivative jumps where this function of the arguments is zero
    defaults: tuple[float, ...]                 # for trailing arguments
    note: str                                   # the convention at the kink; the source of a formula
    builtin: bool                               # a row of this file, not a user's
    index: int                                  # its number, which is what a node holds: ROWS[index] is the row

    def __init__(self, **fields: Any) -> None:
        for field, value in fields.items():
            setattr(self, field, value)
        self.index = len(ROWS)
        ROWS.append(self)

    @property
    def arity(self) -> int:
        """How many arguments the op takes; 0 for the kinds of leaf."""
        return len(self.derivatives)

    def __call__(self, *args: Any) -> Any:
        missing = self.arity - len(args)
        if missing:
            if not 0 < missing <= len(self.defaults):
                raise TypeError(f"{self.name} takes {self.arity} argument{'s' * (self.arity != 1)}, found {len(args)}")
            args += self.defaults[-missing:]
        for arg in args:
            if type(arg) is not float and hasattr(arg, "__op__"):
                return arg.__op__(self, args)
        return self.value(*[arg if type(arg) is float else number(arg, self.name) for arg in args])

    def value(self, *args: float) -> float:
        """The op on floats. Total: inf or nan, as IEEE arithmetic has it, where Python's own function would raise."""
        try:
            return float(self.forward(*args))
        except (TypeError, ValueError, ArithmeticError):  # a TypeError: float((-8.0) ** 0.5), in a user's op
            return self.otherwise(*args)

    def slope(self, i: int, y: float, *args: float) -> float:
        """dy/d(argument i) on floats, y being the op's value there. Total, like `value`."""
        try:
            return float(self.derivatives[i](y, *args))
        except (TypeError, ValueError, ArithmeticError):  # 1 / 0.0, 1e200 ** 2, float((-8.0) ** 0.5)
            return float(self.derivatives[i](Ieee(y), *map(Ieee, args)))

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return named, (self.name,)


class Operators:
    """Arithmetic written with operators and done by the rows, for classes whose `__op__` says what a row does."""

    __slots__ = ()

    def __neg__(self) -> Any: return neg(self)
    def __abs__(self) -> Any: return abs(self)
    def __add__(self, other: Any) -> Any: return add(self, other)
    def __radd__(self, other: Any) -> Any: return add(other, self)
    def __sub__(self, other: Any) -> Any: return sub(self, other)
    def __rsub__(self, other: Any) -> Any: return sub(other, self)
    def __mul__(self, other: Any) -> Any: return mul(self, other)
    def __rmul__(self, other: Any) -> Any: return mul(other, self)
    def __truediv__(self, other: Any) -> Any: return div(self, other)
    def __rtruediv__(self, other: Any) -> Any: return div(other, self)
    def __mod__(self, other: Any) -> Any: return mod(self, other)
    def __rmod__(self, other: Any) -> Any: return mod(other, self)
    def __floordiv__(self, other: Any) -> Any: return floordiv(self, other)
    def __rfloordiv__(self, other: Any) -> Any: return floordiv(other, self)
    def __pow__(self, other: Any) -> Any: return pow(self, other)
    def __rpow__(self, other: Any) -> Any: return pow(other, self)


class Ieee(Operators):
    """A float whose every operation is a row, and so total: 1 / Ieee(0.0) is inf where 1 / 0.0 raises an error."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = float(x)

    def __float__(self) -> float: return self.x
    def __bool__(self) -> bool: return self.x != 0.0
    def __lt__(self, other: Any) -> bool: return self.x < bare(other)
    def __le__(self, other: Any) -> bool: return self.x <= bare(other)
    def __gt__(self, other: Any) -> bool: return self.x > bare(other)
    def __ge__(self, other: Any) -> bool: return self.x >= bare(other)
    def __op__(self, op: Op, args: Sequence[Any]) -> Ieee: return type(self)(op.value(*map(bare, args)))


def bare(x: Any) -> float:
    return x.x if isinstance(x, Ieee) else float(x)


class Sealed(Ieee):
    """An Ieee number that cannot become a float. A formula that tries, as math.exp(x) does, would break a graph."""

    __slots__ = ()

    def __float__(self) -> float:
        raise TypeError("the rule takes the bare number out of a node, so that it could not be differentiated again; "
                        "write it with operators and rows: micrograd.exp(x), not math.exp(x) or float(x)")


def is_number(x: object) -> bool:
    """Whether x is one real number: int, float, bool, Fraction, NumPy scalar; no array, no text, no node."""
    kind = type(x)
    return isinstance(x, (float, int, Real)) or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"))


def as_float(x: Any) -> float:
    """A number as a float; a whole number beyond all floats as inf."""
    try:
        return float(x)
    except OverflowError:
        return inf if x > 0 else -inf


def number(x: Any, where: str) -> float:
    """x as a float, or a TypeError that says what `where` was given and what to write instead."""
    if is_number(x):
        return as_float(x)
    found = repr(x)
    found = f"{type(x).__name__} {found if len(found) <= 40 else found[:37] + '...'}"
    if isinstance(x, str):
        hint = f"; convert text first: float({x!r})"
    elif hasattr(x, "__op__"):
        hint = "; it is a node already: use it as it is, or its number, .data"
    elif hasattr(x, "__len__") or hasattr(x, "__array__"):
        hint = "; for many numbers make one each: [Value(x) for x in ...]"
    else:
        hint = ""
    raise TypeError(f"{where} needs a real number, found {found}{hint}")


def named(name: str) -> Op:
    """The row of that name; the two kinds of leaf included. A KeyError lists what there is."""
    row = LEAVES.get(name) or OPS.get(name)
    if row is None:
        raise KeyError(f"no op is called {name!r}; there are {', '.join(OPS)} (an op of your own: micrograd.op(...))")
    return row


def row(name: str, forward: Callable[..., float], *derivatives: Callable[..., Any], symbol: str = "",
        latex: str = "", text: str = "", binds: str = "atom", domain: Interval | tuple[Interval, ...] = (-2.0, 2.0),
        otherwise: Callable[..., float] = lambda *args: nan, kink: Callable[..., float] | None = None,
        defaults: tuple[float, ...] = (), note: str = "", builtin: bool = True) -> Op:
    """Enter a row into the table. For the fields see `Op`."""
    arity = len(derivatives)
    slots = ", ".join(f"{{{i}}}" for i in range(arity))
    intervals = domain if domain and isinstance(domain[0], tuple) else (domain,) * arity
    command = r"\operatorname{{" + name.replace("_", r"\_") + "}}"
    OPS[name] = Op(name=name, forward=forward, derivatives=derivatives, otherwise=otherwise, symbol=symbol or name,
                   latex=latex or rf"{command}\left({slots}\right)", text=text or f"{name}({slots})", binds=binds,
                   domain=intervals, kink=kink, defaults=defaults, note=note, builtin=builtin)
    return OPS[name]


def op(name: str, forward: Callable[..., float], *derivatives: Callable[..., Any], symbol: str = "", latex: str = "",
       text: str = "", binds: str = "atom", domain: Interval | tuple[Interval, ...] = (-2.0, 2.0),
       kink: Callable[..., float] | None = None, note: str = "") -> Op:
    """Add an operation of your own. It works everywhere at once, like the built-in ones.

        square = micrograd.op("square", lambda x: x * x, lambda y, x: 2 * x, latex="{0:atom}^2", binds="power")
        square(Value(3.0)).backward()

    name: a new identifier. forward: one or two floats in, a float out. derivatives: one for each argument, called with
    the result y and the arguments; written with operators and rows (micrograd.exp, micrograd.where, ...), so that it
    works on floats and on nodes alike. symbol, latex, text: how drawings and formulas show it; in the templates {0} and
    {1} are the arguments, and {0:sum}, {0:product}, {0:power}, {0:atom} say what may stand there without parentheses;
    binds says the same of the result. domain: the interval, or one for each argument, where the op is defined; the
    derivatives are compared with differences there, and a wrong one raises a ValueError. kink: a function of the
    arguments, zero where a derivative jumps.

    Returns the row, which is callable. Raises ValueError for a taken name or a wrong derivative, TypeError for
    arguments of the wrong kind. Calling it again with the name of an op of your own replaces that op.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"an op's name is an identifier such as 'square', found {name!r}")
    if name in LEAVES or name == "linear" or (name in OPS and OPS[name].builtin):
        raise ValueError(f"{name!r} is a built-in op; choose another name")
    if not callable(forward) or not all(map(callable, derivatives)):
        raise TypeError(f"op {name!r}: forward and the derivatives must be functions")
    if len(derivatives) not in (1, 2):
        raise TypeError(f"op {name!r}: give one derivative for each argument, one or two; found {len(derivatives)}. "
                        "Write a function of more arguments as an ordinary Python function of smaller ops.")
    before = OPS.get(name)
    new = row(name, forward, *derivatives, symbol=symbol, latex=latex, text=text, binds=binds, domain=domain,
              otherwise=_by_rows(forward), kink=kink, note=note, builtin=False)
    try:
        _check_templates(new)
        _compare_with_differences(new)
    except BaseException:
        OPS.pop(name)
        ROWS.pop()
        if before is not None:
            OPS[name] = before
        raise
    return new


def _by_rows(forward: Callable[..., float]) -> Callable[..., float]:
    """The function with the arithmetic of the rows, where Python's own raises: 1 / 0.0 is inf. nan where that fails."""
    def otherwise(*args: float) -> float:
        try:
            return float(forward(*map(Ieee, args)))
        except (TypeError, ValueError, ArithmeticError):
            return nan
    return otherwise


def _check_templates(new: Op) -> None:
    """Raise if the row cannot be printed: a slot for an argument that it has not got, an unknown word in a slot."""
    if new.binds not in BINDS:
        raise ValueError(f"op {new.name!r}: binds is one of sum, product, power, atom; found {new.binds!r}")
    for template in (new.latex, new.text):
        try:
            slots = [(slot, needs) for _, slot, needs, _ in string.Formatter().parse(template) if slot is not None]
        except ValueError:  # a brace without its partner
            slots = [("", "")]
        if any(slot not in ("0", "1")[:new.arity] or needs not in BINDS for slot, needs in slots):
            raise ValueError(f"op {new.name!r}: in the template {template!r} {{0}}{' and {1}' * (new.arity - 1)} "
                             "stand for the arguments, with :sum, :product, :power or :atom inside; a brace of the "
                             "formula itself is written twice")


def _compare_with_differences(new: Op) -> None:
    """Raise if a derivative of the row is not the slope of its forward function at three points of its domain, or is
    a formula for floats only."""
    if len(new.domain) != new.arity or not all(len(ends) == 2 and ends[0] < ends[1] for ends in new.domain):
        raise ValueError(f"op {new.name!r}: domain is one interval, or one for each of the {new.arity} arguments, each "
                         f"(low, high); found {new.domain!r}")
    for fractions in ((0.27, 0.68), (0.55, 0.19), (0.83, 0.42)):
        args = [low + fraction * (high - low) for fraction, (low, high) in zip(fractions, new.domain)]
        at = ", ".join(f"{arg:.6g}" for arg in args)
        try:
            y = new.forward(*args)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"op {new.name!r}: forward({at}) fails ({error}); name the domain where it is "
                             "defined: domain=(low, high)") from error
        if not isinstance(y, Real):
            raise TypeError(f"op {new.name!r}: forward({at}) must return a float, found {y!r}")
        for i, (low, high) in enumerate(new.domain):
            h = 1e-4 * (high - low)
            ahead, behind = ([*args[:i], args[i] + step, *args[i + 1:]] for step in (h, -h))
            if new.kink is not None and not new.kink(*ahead) * new.kink(*behind) > 0:
                continue
            by_difference = (new.value(*ahead) - new.value(*behind)) / (2 * h)
            by_rule = new.slope(i, float(y), *args)
            try:
                new.derivatives[i](Sealed(y), *map(Sealed, args))
            except TypeError as error:
                raise TypeError(f"op {new.name!r}: derivative {i + 1}: {error}") from error
            if not math.fabs(by_rule - by_difference) <= 1e-4 * (1 + math.fabs(by_rule)):
                raise ValueError(f"op {new.name!r}: derivative {i + 1} at ({at}) is {by_rule:.6g} by your rule, but "
                                 f"{by_difference:.6g} by differences of forward; mend the rule, or name the domain")


# Where Python raises an error, IEEE arithmetic has a result. (ISO C, annex F; IEEE 754-2019, section 9.2.)

def _div(a: float, b: float) -> float:
    return nan if a == 0 or a != a else copysign(inf, a) * copysign(1.0, b)


def _pow(a: float, b: float) -> float:
    odd = b % 2.0 == 1.0
    if a == 0:
        return copysign(inf, a) if odd else inf
    if a < 0 and b != math.floor(b):
        return nan
    return -inf if a < 0 and odd else inf


def _log(x: float) -> float:
    return -inf if x == 0 else nan


# Forward functions that Python's math lacks, stable over the whole line. nan goes through all of them.

def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _cbrt(x: float) -> float:  # math.cbrt came with Python 3.11
    if x == 0 or not isfinite(x):
        return x
    root = copysign(math.fabs(x) ** (1 / 3), x)
    return root - (root - x / (root * root)) / 3.0  # one step of Newton mends the last digit


def _softplus(x: float) -> float:
    return (x if x > 0 else 0.0) + math.log1p(math.exp(-math.fabs(x)))


def _gelu(x: float) -> float:
    return 0.5 * x * math.erfc(-x / SQRT_2)


def _sign(x: float) -> float:
    return x if x == 0 or x != x else copysign(1.0, x)


def _step(x: float) -> float:
    return x if x != x else float(x > 0)


def _past_multiple(a: float, b: float) -> float:
    """a minus the multiple of b nearest to it."""
    past: float = mod(a, b)
    return past - b if math.fabs(past) > 0.5 * math.fabs(b) else past


def _over(a: Any, h: Any) -> Any:
    """a / h for a hypotenuse h of a, and 0 where both are 0."""
    return a / where(h, h, 1.0)


LN_2, LN_10 = math.log(2), math.log(10)
SQRT_2, SQRT_PI, SQRT_TAU = math.sqrt(2), math.sqrt(math.pi), math.sqrt(math.tau)

POSITIVE, INSIDE, ABOVE = (0.1, 3.0), (-0.9, 0.9), (1.1, 3.0)  # intervals where tests sample

# The table. At a kink and at the edge of a domain the note says what the derivative is; where two branches meet, a
# formula takes them with `where`, `step` or `sign`, never with `if`, so that a recorded formula holds everywhere.
# fmt: off

# name                  forward                   d/d first argument             d/d second argument
add = row("add",        lambda a, b: a + b,       lambda y, a, b: 1.0,           lambda y, a, b: 1.0,
          symbol="+", latex="{0:sum} + {1:sum}", text="{0:sum} + {1:sum}", binds="sum")
sub = row("sub",        lambda a, b: a - b,       lambda y, a, b: 1.0,           lambda y, a, b: -1.0,
          symbol="-", latex="{0:sum} - {1:product}", text="{0:sum} - {1:product}", binds="sum")
mul = row("mul",        lambda a, b: a * b,       lambda y, a, b: b,             lambda y, a, b: a,
          symbol="*", latex=r"{0:product} \cdot {1:product}", text="{0:product} * {1:product}", binds="product")
div = row("div",        lambda a, b: a / b,       lambda y, a, b: 1 / b,         lambda y, a, b: -y / b,
          symbol="/", latex=r"\frac{{{0}}}{{{1}}}", text="{0:product} / {1:power}", binds="product",
          domain=((-2.0, 2.0), POSITIVE), otherwise=_div)
neg = row("neg",        lambda x: -x,             lambda y, x: -1.0,
          symbol="-", latex="-{0:product}", text="-{0:product}", binds="sum")
pow = row("pow",        math.pow,
          lambda y, a, b: b * pow(where(hypot(a, b), a, 1.0), b - 1),
          lambda y, a, b: y * log(where(y, a, 1.0)),
          symbol="**", latex="{0:atom}^{{{1}}}", text="{0:atom}**{1:atom}", binds="power",
          domain=(POSITIVE, (-2.0, 2.0)), otherwise=_pow,
          note="x^0 has slope 0 at x = 0, and 0^b with b > 0 has slope 0 in b; a negative base gives nan as the slope "
               "in b, and for a fractional b altogether")

# name                  forward                   derivative                     how it is written, where it is sampled
abs = row("abs",        math.fabs,                lambda y, x: sign(x),          latex=r"\left|{0}\right|",
          text="|{0}|", kink=lambda x: x, note="abs'(0) = 0, the middle of -1 and 1")
exp = row("exp",        math.exp,                 lambda y, x: y,                latex="e^{{{0}}}", binds="power",
          otherwise=lambda x: inf)
expm1 = row("expm1",    math.expm1,               lambda y, x: exp(x),           latex="e^{{{0}}} - 1", binds="sum",
          otherwise=lambda x: inf)
log = row("log",        math.log,                 lambda y, x: 1 / x,            latex=r"\ln\left({0}\right)",
          domain=POSITIVE, otherwise=_log)
log1p = row("log1p",    math.log1p,               lambda y, x: 1 / (1 + x),      latex=r"\ln\left(1 + {0:sum}\right)",
          domain=(-0.9, 2.0), otherwise=lambda x: _log(1 + x))
log2 = row("log2",      math.log2,                lambda y, x: 1 / (x * LN_2),   latex=r"\log_2\left({0}\right)",
          domain=POSITIVE, otherwise=_log)
log10 = row("log10",    math.log10,               lambda y, x: 1 / (x * LN_10),  latex=r"\log_{{10}}\left({0}\right)",
          domain=POSITIVE, otherwise=_log)
sqrt = row("sqrt",      math.sqrt,                lambda y, x: 0.5 / y,          latex=r"\sqrt{{{0}}}",
          domain=POSITIVE, note="sqrt'(0) = inf")
cbrt = row("cbrt",      _cbrt,                    lambda y, x: 1 / (3 * y * y),  latex=r"\sqrt[3]{{{0}}}",
          domain=POSITIVE, note="cbrt'(0) = inf")
sin = row("sin",        math.sin,                 lambda y, x: cos(x),           latex=r"\sin\left({0}\right)")
cos = row("cos",        math.cos,                 lambda y, x: -sin(x),          latex=r"\cos\left({0}\right)")
tan = row("tan",        math.tan,                 lambda y, x: 1 + y * y,        latex=r"\tan\left({0}\right)",
          domain=(-1.2, 1.2))
asin = row("asin",      math.asin,                lambda y, x: 1 / sqrt((1 - x) * (1 + x)),
          latex=r"\arcsin\left({0}\right)", domain=INSIDE)
acos = row("acos",      math.acos,                lambda y, x: -1 / sqrt((1 - x) * (1 + x)),
          latex=r"\arccos\left({0}\right)", domain=INSIDE)
atan = row("atan",      math.atan,                lambda y, x: 1 / (1 + x * x),  latex=r"\arctan\left({0}\right)")
sinh = row("sinh",      math.sinh,                lambda y, x: cosh(x),          latex=r"\sinh\left({0}\right)",
          otherwise=lambda x: copysign(inf, x))
cosh = row("cosh",      math.cosh,                lambda y, x: sinh(x),          latex=r"\cosh\left({0}\right)",
          otherwise=lambda x: inf)
tanh = row("tanh",      math.tanh,                lambda y, x: 1 - y * y,        latex=r"\tanh\left({0}\right)")
asinh = row("asinh",    math.asinh,               lambda y, x: 1 / hypot(x, 1),
          latex=r"\operatorname{{arsinh}}\left({0}\right)")
acosh = row("acosh",    math.acosh,               lambda y, x: 1 / (sqrt(x - 1) * sqrt(x + 1)),
          latex=r"\operatorname{{arcosh}}\left({0}\right)", domain=ABOVE)
atanh = row("atanh",    math.atanh,               lambda y, x: 1 / ((1 - x) * (1 + x)),
          latex=r"\operatorname{{artanh}}\left({0}\right)", domain=INSIDE,
          otherwise=lambda x: copysign(inf, x) if x in (-1.0, 1.0) else nan)
erf = row("erf",        math.erf,                 lambda y, x: 2 / SQRT_PI * exp(-x * x))
erfc = row("erfc",      math.erfc,                lambda y, x: -2 / SQRT_PI * exp(-x * x))

# Activations
identity = row("identity", lambda x: x,           lambda y, x: 1.0,              latex="{0:sum}", text="{0:sum}",
               binds="sum", note="the linear activation")
sigmoid = row("sigmoid", _sigmoid,                lambda y, x: y * (1 - y),      latex=r"\sigma\left({0}\right)",
              symbol="σ")
softplus = row("softplus", _softplus,             lambda y, x: sigmoid(x))
relu = row("relu",      lambda x: 0.0 if x <= 0 else x, lambda y, x: step(x),    symbol="ReLU",
           latex=r"\operatorname{{ReLU}}\left({0}\right)", kink=lambda x: x, note="relu'(0) = 0")
leaky_relu = row("leaky_relu", lambda x, k: k * x if x <= 0 else x,
                 lambda y, x, k: k + (1 - k) * step(x),  lambda y, x, k: -relu(-x),
                 defaults=(0.01,), domain=((-2.0, 2.0), (0.01, 0.5)), kink=lambda x, k: x,
                 note="at 0 the slope of the negative side")
elu = row("elu",        lambda x, k: k * math.expm1(x) if x <= 0 else x,
          lambda y, x, k: where(step(x), 1.0, y + k),    lambda y, x, k: expm1(-relu(-x)),
          defaults=(1.0,), domain=((-2.0, 2.0), (0.5, 1.5)), kink=lambda x, k: x,
          note="at 0 the slope of the negative side; Clevert, Unterthiner and Hochreiter 2015")
gelu = row("gelu",      _gelu,
           lambda y, x: 0.5 * erfc(-x / SQRT_2) + x * exp(-0.5 * x * x) / SQRT_TAU,
           note="x times the normal distribution function, exact; Hendrycks and Gimpel 2016")
silu = row("silu",      lambda x: x * _sigmoid(x), lambda y, x: sigmoid(x) + y * sigmoid(-x),
           note="x * sigmoid(x), also called swish; Elfwing, Uchibe and Doya 2017")

# Two arguments, and the steps that other rows are made of
atan2 = row("atan2",    math.atan2,
            lambda y, a, b: _over(_over(b, hypot(a, b)), hypot(a, b)),
            lambda y, a, b: _over(_over(-a, hypot(a, b)), hypot(a, b)),
            domain=((0.1, 2.0), (-2.0, 2.0)), note="slope 0 at (0, 0)")
hypot = row("hypot",    math.hypot,               lambda y, a, b: _over(a, y),   lambda y, a, b: _over(b, y),
            latex=r"\sqrt{{{0:atom}^2 + {1:atom}^2}}", note="slope 0 at (0, 0)")
maximum = row("maximum", lambda a, b: a if a >= b or a != a else b,
              lambda y, a, b: 0.5 + 0.5 * sign(a - b),   lambda y, a, b: 0.5 - 0.5 * sign(a - b),
              symbol="max", latex=r"\max\left({0}, {1}\right)", kink=lambda a, b: a - b,
              note="equal arguments share the slope, one half each")
minimum = row("minimum", lambda a, b: a if a <= b or a != a else b,
              lambda y, a, b: 0.5 - 0.5 * sign(a - b),   lambda y, a, b: 0.5 + 0.5 * sign(a - b),
              symbol="min", latex=r"\min\left({0}, {1}\right)", kink=lambda a, b: a - b,
              note="equal arguments share the slope, one half each")
step = row("step",      _step,                    lambda y, x: 0.0,
           latex=r"\mathbf{{1}}\left[{0:sum} > 0\right]", kink=lambda x: x, note="step(0) = 0; slope 0 everywhere")
sign = row("sign",      _sign,                    lambda y, x: 0.0,
           latex=r"\operatorname{{sgn}}\left({0}\right)", kink=lambda x: x, note="sign(0) = 0; slope 0 everywhere")
floor = row("floor",    lambda x: copysign(math.floor(x), x), lambda y, x: 0.0,      otherwise=lambda x: x,
            latex=r"\left\lfloor {0} \right\rfloor", kink=lambda x: _past_multiple(x, 1.0),
            note="slope 0 everywhere, at whole numbers too, where the value jumps")
ceil = row("ceil",      lambda x: copysign(math.ceil(x), x), lambda y, x: 0.0,       otherwise=lambda x: x,
           latex=r"\left\lceil {0} \right\rceil", kink=lambda x: _past_multiple(x, 1.0),
           note="slope 0 everywhere, at whole numbers too, where the value jumps")
trunc = row("trunc",    lambda x: copysign(math.trunc(x), x), lambda y, x: 0.0,      otherwise=lambda x: x,
            kink=lambda x: _past_multiple(x, 1.0) if math.fabs(x) > 0.5 else 1.0,
            note="towards 0; slope 0 everywhere, at whole numbers too, where the value jumps")
round = row("round",    lambda x: copysign(x - math.remainder(x, 1.0), x), lambda y, x: 0.0, otherwise=lambda x: x,
            kink=lambda x: _past_multiple(x - 0.5, 1.0),
            note="halves go to the even neighbour; slope 0 everywhere, at halves too, where the value jumps")
mod = row("mod",        lambda a, b: a % b,       lambda y, a, b: 1.0,           lambda y, a, b: -floordiv(a, b),
          symbol="%", latex=r"{0:power} \;\operatorname{{mod}}\; {1:power}", text="{0:power} % {1:power}", binds="",
          domain=((-2.0, 2.0), (0.5, 2.0)), kink=_past_multiple,
          note="the sign is that of b; at multiples of b, where the value jumps, the slopes are those of "
               "a - b * (a // b)")
floordiv = row("floordiv", lambda a, b: a // b,   lambda y, a, b: 0.0,           lambda y, a, b: 0.0,
               symbol="//", latex=r"\left\lfloor {0:product} / {1:power} \right\rfloor", otherwise=_div,
               domain=((-2.0, 2.0), (0.5, 2.0)), kink=_past_multiple,
               note="slope 0 everywhere, at multiples of b too, where the value jumps")
where = row("where",    lambda c, a, b: a if c else b,
            lambda y, c, a, b: 0.0,  lambda y, c, a, b: where(c, 1.0, 0.0),  lambda y, c, a, b: where(c, 0.0, 1.0),
            note="a where c is not zero, else b; an eager node is the branch itself, so that a nan in the other branch "
                 "cannot reach it")
# fmt: on

# A leaf is a node that no op computed. These two stand in the place of its op.
LEAF, CONSTANT = (
    Op(name=kind, forward=identity.forward, derivatives=(), otherwise=identity.otherwise, symbol="", latex="", text="",
       binds="atom", domain=(), kink=None, defaults=(), note=note, builtin=True)
    for kind, note in (("leaf", "a Value that the user made"), ("constant", "a number that met a Value"))
)
LEAVES = {LEAF.name: LEAF, CONSTANT.name: CONSTANT}
