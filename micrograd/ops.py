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
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from math import copysign, inf, isfinite, nan
from numbers import Real
from typing import Any, Protocol, SupportsFloat, TypeVar, Union, overload

OPS: dict[str, Op] = {}      # every row, by name, in the order of the table
HELPERS: dict[str, Op] = {}  # the private rows at the end of the table, which derivatives are computed by
ROWS: list[Op] = []          # every row ever made, those since replaced and the two kinds of leaf included, by number

# How tightly a printed formula holds together, loosest first. A template says at each slot what may stand there
# without parentheses ("{0:sum} - {1:product}"); a slot that says nothing is fenced in already.
BINDS = {"": 0, "sum": 1, "product": 2, "power": 3, "atom": 4}

Interval = tuple[float, float]


class _Node(Protocol):
    """What records the ops that it meets: a Value, and whatever else has this method."""

    def __op__(self, op: Any, args: Any) -> Any: ...


Node = TypeVar("Node", bound=_Node)
Plain = Union[float, Real]


class Op:
    """One row: an operation, its derivatives, and how it is written.

    Call it on numbers to compute (a float comes back), on nodes to record (a node comes back). Arguments that the row
    has defaults for may be left out.
    """

    __slots__ = ("name", "forward", "derivatives", "slopes", "otherwise", "symbol", "latex", "text", "binds", "domain",
                 "kink", "defaults", "note", "about", "defined", "spelled", "book", "stands_for", "builtin", "index")

    name: str                                   # "tanh"
    forward: Callable[..., float]               # floats to float; may raise what Python's math raises
    derivatives: tuple[Callable[..., Any], ...]  # the i-th: (y, *arguments) -> dy/d(argument i)
    slopes: tuple[Callable[..., Any], ...]      # the derivatives for floats alone; see `shortcut`
    otherwise: Callable[..., float]             # the IEEE result, where forward raises
    symbol: str                                 # what a drawing shows: "+"
    latex: str                                  # a template in LaTeX: "{0:sum} - {1:product}"
    text: str                                   # the same in plain text
    binds: str                                  # how tightly the result holds together: a key of BINDS
    domain: tuple[Interval, ...]                # for each argument, the interval where tests sample it
    kink: Callable[..., float] | None           # the derivative jumps where this function of the arguments is zero
    defaults: tuple[float, ...]                 # for trailing arguments
    note: str                                   # the convention at the kink; the source of a formula
    about: str                                  # what it is, in words
    defined: str                                # for which arguments: "x > 0"; "" for all
    spelled: Callable[..., Any] | None          # the op written with operators and rows; forward itself, where it is
    book: tuple[Callable[..., Any], ...]        # the derivatives as a book has them, where others are computed
    stands_for: Callable[..., Any] | None       # of a private row: the formula that a book has in its place
    builtin: bool                               # a row of this file, not a user's
    index: int                                  # its number, which is what a node holds: ROWS[index] is the row

    def __init__(self, **fields: Any) -> None:
        self.about = self.defined = ""
        for field, value in fields.items():
            setattr(self, field, value)
        self.slopes = self.derivatives
        self.index = len(ROWS)
        ROWS.append(self)

    @property
    def __name__(self) -> str:
        """As functions have it."""
        return self.name

    @property
    def arity(self) -> int:
        """How many arguments the op takes; 0 for the kinds of leaf."""
        return len(self.derivatives)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What its arguments are called: as in its rules, (y, *arguments), or x and a, b where those do not say."""
        names: tuple[str, ...] = ()
        if self.derivatives and (code := getattr(self.derivatives[0], "__code__", None)) is not None:
            names = code.co_varnames[1:code.co_argcount]
        return names if len(names) == self.arity else ("x",) if self.arity == 1 else ("a", "b", "c")[:self.arity]

    @overload
    def __call__(self, *args: Plain) -> float: ...
    @overload
    def __call__(self, a: Node, /, *more: Node | Plain) -> Node: ...
    @overload
    def __call__(self, a: Plain, b: Node, /, *more: Node | Plain) -> Node: ...
    @overload
    def __call__(self, c: Plain, a: Plain, b: Node, /) -> Node: ...
    @overload
    def __call__(self, *args: SupportsFloat) -> Any: ...  # numbers that type checkers do not know as such: np.float32

    def __call__(self, *args: Any) -> Any:
        missing = self.arity - len(args)
        if not missing and type(args[0]) is float is type(args[-1]) and self.arity < 3:  # what rules do most
            return self.value(*args)
        if missing:
            if not 0 < missing <= len(self.defaults):
                raise TypeError(f"{self.name} takes {self.arity} argument{'s' * (self.arity != 1)}, found {len(args)}")
            args += self.defaults[-missing:]
        for arg in args:
            if type(arg) is not float and hasattr(type(arg), "__op__"):
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
            return float(self.slopes[i](y, *args))
        except (TypeError, ValueError, ArithmeticError):
            return _total(self.derivatives[i], y, args)

    def slope_by_book(self, i: int, y: float, *args: float) -> float:
        """The same by the formula of a book, which goes by y, whatever y is: what somebody with another y would get."""
        return _total((self.book or self.derivatives)[i], y, args)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return named, (self.name,)


class _OfRow:
    """An attribute that the class has, and each row anew."""

    def __init__(self, of_class: Any, of_row: Callable[[Op], Any]) -> None:
        self.of_class, self.of_row = of_class, of_row

    def __get__(self, row: Op | None, kind: type[Op]) -> Any:
        return self.of_class if row is None else self.of_row(row)


def describe(by: Callable[[], Any]) -> None:
    """Give each row a docstring and a signature of its own, made when they are asked for by the module that `by` loads:
    the table does not know how formulas are printed."""
    setattr(Op, "__doc__", _OfRow(Op.__doc__, lambda row: by().described(row)))  # noqa: B010
    setattr(Op, "__signature__", _OfRow(None, lambda row: by().signature(row)))  # noqa: B010


def _total(rule: Callable[..., Any], y: float, args: Sequence[float]) -> float:
    """The number that a rule gives; that of IEEE arithmetic where Python's float refuses."""
    try:
        return float(rule(y, *args))
    except (TypeError, ValueError, ArithmeticError):  # 1 / 0.0, 1e200 ** 2, float((-8.0) ** 0.5)
        return float(rule(Ieee(y), *map(Ieee, args)))


class Operators:
    """Arithmetic written with operators and done by the rows, for classes whose `__op__` says what a row does."""

    __slots__ = ()

    def __op__(self, op: Op, args: Sequence[Any]) -> Any: raise NotImplementedError

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


class Opaque(Operators):
    """What a rule is called on to see what can be said of it whatever its arguments are. It has no number, and knows
    the ops that it is made of."""

    __slots__ = ("args", "ops")

    def __init__(self, *ops: Op, args: Sequence[Any] = ()) -> None:
        self.ops, self.args = ops, args

    def __op__(self, op: Op, args: Sequence[Any]) -> Opaque:
        return Opaque(op, *[inner for arg in args if isinstance(arg, Opaque) for inner in arg.ops], args=args)

    def refuse(self, *args: Any) -> Any: raise TypeError("the rule looks at its arguments")

    __float__ = __bool__ = __lt__ = __le__ = __gt__ = __ge__ = refuse


@cache
def plain_slope(op: Op, i: int) -> float | int | None:
    """The i-th derivative of a row where it takes no arithmetic: a float, if it is that number always; an int, if it is
    the result (0) or an argument (1, 2, ...) itself; None for all others."""
    given = [Opaque() for _ in range(op.arity + 1)]
    try:
        found = op.derivatives[i](*given)
    except Exception:  # a user's rule that looks at its arguments, or fails without them
        return None
    if isinstance(found, Opaque):
        return next((place for place, x in enumerate(given) if x is found), None)
    return float(found) if is_number(found) else None


def carries(op: Op, i: int) -> bool:
    """Whether a derivative passes from an op to its i-th argument: not where it is 0 always, as that of step and sign.

    This is the whole rule of 0 · inf: what an edge does not carry is not there; all else is IEEE arithmetic, in which
    0 · inf is nan. It depends on the op alone, so that all who differentiate a graph come to the same answer."""
    slope = plain_slope(op, i)
    return not (isinstance(slope, float) and slope == 0.0)


def shortcut(rule: Callable[..., Any], arity: int) -> Callable[..., Any]:
    """A rule for floats. One that is a private row of its arguments, as they are, is the forward function of that."""
    given = [Opaque() for _ in range(arity + 1)]
    found = rule(*given)
    if isinstance(found, Opaque) and len(found.ops) == 1 and all(arg in given for arg in found.args):
        f = found.ops[0].forward
        match tuple(given.index(arg) for arg in found.args):
            case (0,): return lambda y, *args: f(y)
            case (1,): return lambda y, x, *rest: f(x)
            case (0, 1): return f
            case (1, 2): return lambda y, a, b: f(a, b)
            case (2, 1): return lambda y, a, b: f(b, a)
    return rule


@cache
def spelling(op: Op) -> Callable[..., Any] | None:
    """The op as a formula of other rows, for whoever has no instruction for it: what the row says, or its forward
    function, where that takes anything that the rows take. None for an op that is made of nothing smaller."""
    formula = op.spelled or op.forward
    try:
        found = formula(*[Opaque() for _ in range(op.arity)])
    except Exception:  # it takes floats only: math.exp(x), a branch, a loop over digits, ...
        return None
    return None if isinstance(found, Opaque) and op in found.ops else formula


def is_number(x: object) -> bool:
    """Whether x is one real number: int, float, bool, Fraction, NumPy scalar, an array or tensor without dimensions, a
    scalar of pyarrow; no other array, no text, no date, no node."""
    kind = type(x)
    if kind is float or kind is int:  # at once: operators ask this
        return True
    if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_", "timedelta64"):  # which is Integral
        return kind.__name__ != "timedelta64"
    return isinstance(x, (float, int, Real)) or isinstance(alone(x), (float, int, Real))


def alone(x: Any) -> Any:
    """What an array or tensor without dimensions, or a scalar of pyarrow, holds; x itself, if it is none."""
    if isinstance(x, (float, int)):
        return x
    if getattr(x, "shape", None) == ():
        take = getattr(x, "tolist", None) or getattr(x, "item", None)  # a masked one gives None by the first alone
    else:
        take = getattr(type(x), "as_py", None) and x.as_py
    if not take or getattr(getattr(x, "dtype", None), "kind", None) in ("m", "M"):  # a date, which gives an int
        return x
    try:
        return take()
    except Exception:  # it is being traced by JAX, or lies where it cannot be read
        return x


def as_float(x: Any) -> float:
    """A number as a float; a whole number beyond all floats as inf."""
    try:
        return float(alone(x))
    except OverflowError:
        return inf if x > 0 else -inf


def number(x: Any, where: str) -> float:
    """x as a float, or a TypeError that says what `where` was given and what to write instead."""
    if type(x) is float:
        return x
    if is_number(x) or isinstance(x, Decimal):
        return as_float(x)
    if isinstance(x, str):
        hint = f"; convert text first: float({x!r})"
    elif isinstance(x, type):
        hint = "; it is a class, not an object of it"
    elif hasattr(x, "__op__"):
        hint = "; it is a node already: use it as it is, or its number, .data"
    elif (hasattr(x, "__len__") or hasattr(x, "__array__")) and getattr(x, "shape", None) != ():
        hint = "; for many numbers make one each: [Value(x) for x in ...]"
    else:
        hint = ""
    raise TypeError(f"{where} needs a real number, found {shown(x)}{hint}")


def whole(x: Any, where: str, low: int) -> int:
    """x as an int of at least so much, or an error that says what `where` was given."""
    if isinstance(x, (bool, type)) or not hasattr(x, "__index__"):
        hint = f"; convert text first: int({x!r})" if isinstance(x, str) else ""
        raise TypeError(f"{where} needs a whole number, found {shown(x)}{hint}")
    if x < low:
        raise ValueError(f"{where} needs {low} or more, found {x}")
    return int(x)


def many(xs: Any, where: str, what: str = "a list of numbers") -> tuple[Any, ...]:
    """xs as a tuple, or a TypeError that says what `where` was given: what would hand out its keys, the names of its
    columns, or its items in any order is none either."""
    if type(xs) is list or type(xs) is tuple:
        return tuple(xs)
    try:
        keyed = isinstance(xs, (str, bytes, bytearray, set, frozenset, Mapping)) or hasattr(xs, "columns")
        each = None if keyed else iter(xs)
    except TypeError:
        each = None
    if each is None:
        hint = "; did you mean its parameters()?" if hasattr(xs, "parameters") else ""
        raise TypeError(f"{where} needs {what}, found {shown(xs)}{hint}")
    return tuple(each)


def function(f: Any, where: str) -> Any:
    """f, if it can be called, or a TypeError that says what `where` was given."""
    if not callable(f):
        hint = "; y.backward() and micrograd.gradient(y, xs) differentiate a Value" if hasattr(f, "__op__") else ""
        raise TypeError(f"{where} needs a function, found {shown(f)}{hint}")
    return f


def seed(x: Any, where: str) -> Any:
    """x, if `random.Random` takes it, or a TypeError that says what `where` was given."""
    if x is None or isinstance(x, (int, float, str, bytes)):
        return x
    return whole(x, where, 0)


def shown(x: Any) -> str:
    """What was found, for a message: its type, and in 40 characters itself."""
    words = " ".join(repr(x).split())
    return f"{type(x).__name__} {words if len(words) <= 40 else words[:37] + '...'}"


def counted(n: int, thing: str) -> str:
    """So many of a thing, for a message: 1 node, 1,200 nodes."""
    return f"{n:,} {thing}{'s' * (n != 1)}"


def named(name: str) -> Op:
    """The row of that name; the two kinds of leaf included. A KeyError lists what there is."""
    row = LEAVES.get(name) or OPS.get(name) or HELPERS.get(name)
    if row is None:
        raise KeyError(f"no op is called {name!r}; there are {', '.join(OPS)} (an op of your own: micrograd.op(...))")
    return row


def row(name: str, forward: Callable[..., float], *derivatives: Callable[..., Any], symbol: str = "",
        latex: str = "", text: str = "", binds: str = "atom", domain: Interval | tuple[Interval, ...] = (-2.0, 2.0),
        otherwise: Callable[..., float] | None = None, kink: Callable[..., float] | None = None,
        defaults: tuple[float, ...] = (), note: str = "", about: str = "an op of your own", defined: str = "",
        spelled: Callable[..., Any] | None = None, book: tuple[Callable[..., Any], ...] = (),
        stands_for: Callable[..., Any] | None = None, builtin: bool = True) -> Op:
    """Enter a row into the table. For the fields see `Op`."""
    arity = len(derivatives)
    slots = ", ".join(f"{{{i}}}" for i in range(arity))
    several = isinstance(domain, tuple) and domain and isinstance(domain[0], tuple)
    intervals: Any = domain if several else (domain,) * arity
    command = r"\operatorname{{" + name.replace("_", r"\_") + "}}"
    table = HELPERS if name.startswith("_") and builtin else OPS
    table[name] = Op(name=name, forward=forward, derivatives=derivatives,
                     otherwise=otherwise or _by_rows(spelled or forward), symbol=symbol or name,
                     latex=latex or rf"{command}\left({slots}\right)", text=text or f"{name}({slots})", binds=binds,
                     domain=intervals, kink=kink, defaults=defaults, note=note, about=about,
                     defined=defined, spelled=spelled, book=book, stands_for=stands_for, builtin=builtin)
    return table[name]


def op(name: str, forward: Callable[..., float], *derivatives: Callable[..., Any], symbol: str = "", latex: str = "",
       text: str = "", binds: str = "atom", domain: Interval | tuple[Interval, ...] = (-2.0, 2.0),
       kink: Callable[..., float] | None = None, note: str = "") -> Op:
    """Add an operation of your own. It works everywhere at once, like the built-in ones.

    Calling it again with the name of an op of your own replaces that op.

    Args:
        name: a new identifier.
        forward: one or two floats in, a float out.
        *derivatives: one for each argument, called with the result y and the arguments; written with operators and rows
            (micrograd.exp, micrograd.where, ...), so that it works on floats and on nodes alike.
        symbol, latex, text: how drawings and formulas show it; in the templates {0} and {1} are the arguments, and
            {0:sum}, {0:product}, {0:power}, {0:atom} say what may stand there without parentheses.
        binds: says the same of the result: "sum", "product", "power" or "atom".
        domain: the interval, or one for each argument, where the op is defined; the derivatives are compared with
            differences there.
        kink: a function of the arguments, zero where a derivative jumps.
        note: the convention at the kink, or the source of a formula.

    Returns:
        The row, which is callable.

    Raises:
        ValueError: for a taken name or a wrong derivative.
        TypeError: for arguments of the wrong kind.

    Example:
        >>> square = micrograd.op("square", lambda x: x * x, lambda y, x: 2 * x, latex="{0:atom}^2", binds="power")
        >>> x = micrograd.Value(3.0)
        >>> square(x).backward()
        >>> x.grad
        6.0
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"an op's name is an identifier such as 'square', found {name!r}")
    if name in LEAVES or name in HELPERS or name == "linear" or (name in OPS and OPS[name].builtin):
        raise ValueError(f"{name!r} is a built-in op; choose another name")
    for given in (forward, *derivatives):
        function(given, f"op {name!r}, for forward and each derivative,")
    if len(derivatives) not in (1, 2):
        raise TypeError(f"op {name!r}: give one derivative for each argument, one or two; found {len(derivatives)}. "
                        "Write a function of more arguments as an ordinary Python function of smaller ops.")
    if kink is not None:
        function(kink, f"op {name!r}: kink")
    before = OPS.get(name)
    new = row(name, forward, *derivatives, symbol=symbol, latex=latex, text=text, binds=binds, domain=domain,
              kink=kink, note=note, builtin=False)
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
    for field in ("symbol", "latex", "text", "binds", "note"):
        if not isinstance(getattr(new, field), str):
            raise TypeError(f"op {new.name!r}: {field} is a text, found {shown(getattr(new, field))}")
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


def _is_interval(ends: Any) -> bool:
    return isinstance(ends, (tuple, list)) and len(ends) == 2 and all(map(is_number, ends)) and bool(ends[0] < ends[1])


def _compare_with_differences(new: Op) -> None:
    """Raise if a derivative of the row is not the slope of its forward function at three points of its domain, or is
    a formula for floats only."""
    if len(new.domain) != new.arity or not all(map(_is_interval, new.domain)):
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


def _silu(x: float) -> float:
    if x > -700.0 or x != x:
        return x * _sigmoid(x)
    return float(_silu_below(max(x, -2000.0)))


def _silu_below(x: Any) -> Any:
    """x e^x where e^x by itself has lost digits."""
    return x * exp(0.5 * x) * exp(0.5 * x)


def _gelu(x: float) -> float:
    return x * _normal(x)


def _sign(x: float) -> float:
    return x if x == 0 or x != x else copysign(1.0, x)


def _step(x: float) -> float:
    return x if x != x else float(x > 0)


def _past_multiple(a: float, b: float) -> float:
    """a minus the multiple of b nearest to it."""
    past: float = mod(a, b)
    return past - b if math.fabs(past) > 0.5 * math.fabs(b) else past


# Of the private rows

def _tanh_slope(y: Any, x: Any) -> Any:
    e = exp(-2 * abs(x))
    return 4 * e / ((1 + e) * (1 + e))


def _sigmoid_slope(y: Any, x: Any) -> Any:
    e = exp(-abs(x))
    return e / ((1 + e) * (1 + e))


def _elu_slope(x: float, k: float) -> float:
    if x > 0:
        return 1.0
    return k * math.exp(0.5 * x) * math.exp(0.5 * x) if x < -700.0 else k * math.exp(x)


def _bell(x: float) -> float:
    return _gauss(math.fabs(x), 1.0, math.exp) if not math.fabs(x) > 40.0 else 0.0


def _density(x: float) -> float:
    return _gauss(math.fabs(x), 0.5, math.exp) / SQRT_TAU if not math.fabs(x) > 40.0 else 0.0


def _gauss(a: Any, k: float, exp: Callable[..., Any]) -> Any:
    """e^-ka² for a from 0 to 40; a² as h² and a rest, where h has half the digits of a (Veltkamp), so that its square
    is exact."""
    c = 134217729.0 * a
    h = c - (c - a)
    return exp(-k * h * h) * exp(k * (h - a) * (h + a))


def _gelu_slope(x: float) -> float:
    return _normal(x) + max(-40.0, min(x, 40.0)) * _density(x)  # where x is infinite, the density is 0


def _normal(x: float) -> float:
    return _normal_below(x) if -40.0 < x < -1.0 else 0.5 * math.erfc(-x / SQRT_2)


def _normal_below(x: Any, erfc: Callable[..., Any] = math.erfc, bell: Callable[..., Any] = _bell) -> Any:
    """The normal distribution function as ½ erfc(t) for t = -x/√2, which is far from erfc of the rounded t where t is
    large. What rounding took from t (Dekker) times the slope of erfc mends it."""
    t = -x * SQRT_HALF
    c = 134217729.0 * x
    high = c - (c - x)
    low = x - high
    lost = -(((high * SQRT_HALF_26 + t) + high * SQRT_HALF_52) + low * SQRT_HALF) - x * SQRT_HALF_REST
    return 0.5 * (erfc(t) - 2 / SQRT_PI * lost * bell(t))


def _normal_anywhere(x: Any) -> Any:
    inside = step(-1.0 - x) * step(x + 40.0)
    return where(inside, _normal_below(where(inside, x, -2.0), erfc, bell), 0.5 * erfc(-x / SQRT_2))


def _share(a: float, b: float) -> float:
    h = math.hypot(a, b)
    if 1e-150 < h < 1e150:
        return a / h
    s = 2.0**500 if h < 1.0 else 2.0**-500  # where h is subnormal, or inf
    return a * s / math.hypot(a * s, b * s) if h else 0.0


def _inversion(a: float, b: float) -> float:
    h = math.hypot(a, b)
    s = 1.0 if 1e-150 < h < 1e150 else 2.0**500 if h < 1.0 else 2.0**-500
    h = math.hypot(a * s, b * s)
    return a * s * 2.0**500 / h / h * 2.0**-500 * s if h else 0.0


def _pow_slope(a: float, b: float) -> float:
    """b a^(b-1); by a^b / a, where the subtraction rounds and the quotient does not lose what it needs."""
    if b == 0:
        return 0.0 if a == a else a
    if (b - 1) + 1 != b or b - (b - 1) != 1:
        y = math.pow(a, b)
        if (a > 0 and 1e-290 < y < 1e300) or y != y:
            return b * (y / a)
    return b * math.pow(a, b - 1)


# The same in rows

def _pow_slope_by_rows(a: Any, b: Any) -> Any:
    by_power, y = b * pow(a, b - 1), pow(a, b)
    divides = step(a) * step(y - 1e-290) * step(1e300 - y)
    return where(b, where(_lost(b), where(divides, b * (y / a), by_power), by_power), 0.0 * step(a))


def _lost(b: Any) -> Any:
    """What rounding takes from b - 1, or something else that is not 0."""
    return abs((b - 1) + 1 - b) + abs(b - (b - 1) - 1)


def _pow_log(a: Any, b: Any) -> Any:
    return where(pow(a, b), pow(a, b) * log(a), 0.0)


def _slope_in_base(a: Any, b: Any) -> Any:
    """b a^(b-1): of a constant exponent as a book has it, where that loses nothing; that of x^0 is 0 to any order."""
    if not is_number(b) or _lost(float(b)):
        return pow_slope(a, b)
    if b == 1:
        return 1.0
    return b * pow(a, b - 1) if b else 0.0 * step(a)


LN_2, LN_10 = math.log(2), math.log(10)
SQRT_2, SQRT_PI, SQRT_TAU = math.sqrt(2), math.sqrt(math.pi), math.sqrt(math.tau)
SQRT_HALF = 0.7071067811865476  # as a float; its first 26 digits, the others, and what is missing to √½
SQRT_HALF_26, SQRT_HALF_52, SQRT_HALF_REST = 0.7071067839860916, -2.7995440410322203e-09, -4.833646656726457e-17

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
          domain=((-2.0, 2.0), POSITIVE), otherwise=_div, about="the quotient of a and b", defined="b ≠ 0")
neg = row("neg",        lambda x: -x,             lambda y, x: -1.0,
          symbol="-", latex="-{0:product}", text="-{0:product}", binds="sum", about="the negative of x")
pow = row("pow",        math.pow,
          lambda y, a, b: _slope_in_base(a, b),          lambda y, a, b: pow_log(a, b),
          symbol="**", latex="{0:atom}^{{{1}}}", text="{0:atom}**{1:atom}", binds="power",
          book=(lambda y, a, b: b * pow(a, b - 1), lambda y, a, b: y * log(a)),
          domain=(POSITIVE, (-2.0, 2.0)), otherwise=_pow,
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
          domain=POSITIVE, otherwise=_log, about="the natural logarithm of x", defined="x > 0")
log1p = row("log1p",    math.log1p,               lambda y, x: 1 / (1 + x),      latex=r"\ln\left(1 + {0:sum}\right)",
          domain=(-0.9, 2.0), otherwise=lambda x: _log(1 + x),
          about="the natural logarithm of 1 + x, with all its digits near 0", defined="x > −1")
log2 = row("log2",      math.log2,                lambda y, x: 1 / LN_2 / x,     latex=r"\log_2\left({0}\right)",
          domain=POSITIVE, otherwise=_log, about="the logarithm of x to the base 2", defined="x > 0")
log10 = row("log10",    math.log10,               lambda y, x: 1 / LN_10 / x,    latex=r"\log_{{10}}\left({0}\right)",
          domain=POSITIVE, otherwise=_log, about="the logarithm of x to the base 10", defined="x > 0")
sqrt = row("sqrt",      math.sqrt,                lambda y, x: 0.5 / y,          latex=r"\sqrt{{{0}}}",
          domain=POSITIVE, note="sqrt'(0) = inf", about="the square root of x", defined="x ≥ 0")
cbrt = row("cbrt",      _cbrt,                    lambda y, x: third(y),          latex=r"\sqrt[3]{{{0}}}",
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
sigmoid = row("sigmoid", _sigmoid,                lambda y, x: sigmoid_slope(y, x), latex=r"\sigma\left({0}\right)",
              symbol="σ", book=(lambda y, x: y * (1 - y),), about="the logistic function, 1/(1 + e^−x)")
softplus = row("softplus", _softplus,             lambda y, x: sigmoid(x), about="the smooth relu, ln(1 + e^x)")
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
gelu = row("gelu",      _gelu,
           lambda y, x: gelu_slope(x),
           spelled=lambda x: x * _normal_anywhere(x),
           note="x times the normal distribution function, exact; Hendrycks and Gimpel 2016",
           about="the Gaussian error linear unit")
silu = row("silu",      _silu,                    lambda y, x: sigmoid(x) + y * sigmoid(-x),
           spelled=lambda x: where(step(x + 700), x * sigmoid(x), _silu_below(maximum(x, -2000.0))),
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
step = row("step",      _step,                    lambda y, x: 0.0,
           latex=r"\mathbf{{1}}\left[{0:sum} > 0\right]", kink=lambda x: x, note="step(0) = 0; slope 0 everywhere",
           about="1 where x is positive, else 0")
sign = row("sign",      _sign,                    lambda y, x: 0.0,
           latex=r"\operatorname{{sgn}}\left({0}\right)", kink=lambda x: x, note="sign(0) = 0; slope 0 everywhere",
           about="−1, 0 or 1, as x is negative, zero or positive")
floor = row("floor",    lambda x: copysign(math.floor(x), x), lambda y, x: 0.0,      otherwise=lambda x: x,
            latex=r"\left\lfloor {0} \right\rfloor", kink=lambda x: _past_multiple(x, 1.0),
            note="slope 0 everywhere, at whole numbers too, where the value jumps",
            about="the largest whole number up to x")
ceil = row("ceil",      lambda x: copysign(math.ceil(x), x), lambda y, x: 0.0,       otherwise=lambda x: x,
           latex=r"\left\lceil {0} \right\rceil", kink=lambda x: _past_multiple(x, 1.0),
           note="slope 0 everywhere, at whole numbers too, where the value jumps",
           about="the smallest whole number from x up")
trunc = row("trunc",    lambda x: copysign(math.trunc(x), x), lambda y, x: 0.0,      otherwise=lambda x: x,
            kink=lambda x: _past_multiple(x, 1.0) if math.fabs(x) > 0.5 else 1.0,
            note="towards 0; slope 0 everywhere, at whole numbers too, where the value jumps",
            about="x without its fraction")
round = row("round",    lambda x: copysign(x - math.remainder(x, 1.0), x), lambda y, x: 0.0, otherwise=lambda x: x,
            kink=lambda x: _past_multiple(x - 0.5, 1.0),
            note="halves go to the even neighbour; slope 0 everywhere, at halves too, where the value jumps",
            about="the whole number nearest to x")
mod = row("mod",        lambda a, b: a % b,       lambda y, a, b: 1.0,           lambda y, a, b: -floordiv(a, b),
          symbol="%", latex=r"{0:power} \;\operatorname{{mod}}\; {1:power}", text="{0:power} % {1:power}", binds="",
          domain=((-2.0, 2.0), (0.5, 2.0)), kink=_past_multiple, otherwise=lambda a, b: nan,
          note="the sign is that of b; at multiples of b, where the value jumps, the slopes are those of "
               "a - b * (a // b)", about="the remainder of a divided by b, as Python has it", defined="b ≠ 0")
floordiv = row("floordiv", lambda a, b: a // b,   lambda y, a, b: 0.0,           lambda y, a, b: 0.0,
               symbol="//", latex=r"\left\lfloor {0:product} / {1:power} \right\rfloor", otherwise=_div,
               domain=((-2.0, 2.0), (0.5, 2.0)), kink=_past_multiple,
               note="slope 0 everywhere, at multiples of b too, where the value jumps",
               about="the quotient of a and b, rounded down", defined="b ≠ 0")
where = row("where",    lambda c, a, b: a if c else b,
            lambda y, c, a, b: 0.0,  lambda y, c, a, b: where(c, 1.0, 0.0),  lambda y, c, a, b: where(c, 0.0, 1.0),
            note="a where c is not zero, else b; an eager node is the branch itself, so that a nan in the other branch "
                 "cannot reach it", about="one of a and b, chosen by c")

# Private rows: slopes whose formula in a book would lose digits, since it subtracts what is nearly equal, or would need
# a branch. They are computed in another way; `stands_for` is what they are. Some are functions of a result y and take
# its argument x besides, to be computed by: the derivative goes through y, as in a book, and nothing passes to x.

tanh_slope = row("_tanh_slope", _tanh_slope,      lambda s, y, x: -2 * y,        lambda s, y, x: 0.0,
                 latex=r"1 - {0:product} \cdot {0:product}", text="1 - {0:product} * {0:product}", binds="sum",
                 symbol="tanh'", stands_for=lambda y, x: 1 - y * y)
sigmoid_slope = row("_sigmoid_slope", _sigmoid_slope, lambda s, y, x: sigmoid_turn(y, x), lambda s, y, x: 0.0,
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
elu_slope = row("_elu_slope", _elu_slope,
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
bell = row("_bell",     _bell,                    lambda s, x: -2 * (within(x) * s),
           latex="e^{{-{0:atom}^2}}", text="exp(-{0:atom}**2)", binds="power",
           spelled=lambda x: _gauss(minimum(abs(x), 40.0), 1.0, exp),
           symbol="exp(-x²)", stands_for=lambda x: exp(-x * x))
density = row("_density", _density,               lambda s, x: -(within(x) * s),
              latex=r"\frac{{e^{{-{0:atom}^2 / 2}}}}{{\sqrt{{2 \pi}}}}", text="exp(-{0:atom}**2 / 2) / sqrt(2 * pi)",
              spelled=lambda x: _gauss(minimum(abs(x), 40.0), 0.5, exp) / SQRT_TAU,
              binds="product", symbol="φ", stands_for=lambda x: exp(-0.5 * x * x) / SQRT_TAU)
gelu_slope = row("_gelu_slope", _gelu_slope,      lambda s, x: 2 * density(x) - within(x) * (within(x) * density(x)),
                 latex=r"\operatorname{{gelu}}'\left({0}\right)", text="gelu'({0})",
                 spelled=lambda x: _normal_anywhere(x) + within(x) * density(x),
                 symbol="gelu'", stands_for=lambda x: 0.5 * erfc(-x / SQRT_2) + x * exp(-0.5 * x * x) / SQRT_TAU)
share = row("_share",   _share,                   lambda s, a, b: share(b, a) * (share(b, a) / hypot(a, b)),
            lambda s, a, b: -s * share(b, a) / hypot(a, b),
            latex=r"\frac{{{0}}}{{\sqrt{{{0:atom}^2 + {1:atom}^2}}}}", text="{0:product} / hypot({0}, {1})",
            binds="product", symbol="hypot'",
            stands_for=lambda a, b: a / hypot(a, b), note="0 at (0, 0)")
inversion = row("_inversion", _inversion,
                lambda s, a, b: ((b - a) / hypot(a, b) * ((b + a) / hypot(a, b))) / hypot(a, b) / hypot(a, b),
                lambda s, a, b: -2 * s * share(b, a) / hypot(a, b),
                latex=r"\frac{{{0}}}{{{0:atom}^2 + {1:atom}^2}}", text="{0:product} / ({0:atom}**2 + {1:atom}**2)",
                binds="product", symbol="atan2'",
                stands_for=lambda a, b: a / (a * a + b * b), note="0 at (0, 0)")
pow_slope = row("_pow_slope", _pow_slope,
                lambda s, a, b: b * pow_slope(a, b - 1),
                lambda s, a, b: pow(a, b - 1) + b * pow_log(a, b - 1),
                latex=r"{1:product} \cdot {0:atom}^{{{1:sum} - 1}}", text="{1:product} * {0:atom}**({1:sum} - 1)",
                binds="product", domain=(POSITIVE, (-2.0, 2.0)), symbol="pow'",
                spelled=_pow_slope_by_rows, stands_for=lambda a, b: b * pow(a, b - 1))
pow_log = row("_pow_log", _pow_log,               lambda s, a, b: pow(a, b - 1) + b * pow_log(a, b - 1),
              lambda s, a, b: pow_log(a, 0.5 * b)**2,
              book=(lambda s, a, b: pow(a, b - 1) + b * pow_log(a, b - 1), lambda s, a, b: s * log(a)),
              latex=r"{0:atom}^{{{1}}} \cdot \ln\left({0}\right)", text="{0:atom}**{1:atom} * log({0})",
              binds="product", domain=(POSITIVE, (-2.0, 2.0)), symbol="pow'",
              stands_for=lambda a, b: pow(a, b) * log(a), note="0 where aᵇ is 0")
# fmt: on

for _row in OPS.values():
    _row.slopes = tuple(shortcut(rule, _row.arity) for rule in _row.derivatives)
del _row

# A leaf is a node that no op computed. These two stand in the place of its op.
LEAF, CONSTANT = (
    Op(name=kind, forward=identity.forward, derivatives=(), otherwise=identity.otherwise, symbol="", latex="", text="",
       binds="atom", domain=(), kink=None, defaults=(), note=note, spelled=None, book=(), stands_for=None,
       builtin=True)
    for kind, note in (("leaf", "a Value that the user made"), ("constant", "a number that met a Value"))
)
LEAVES = {LEAF.name: LEAF, CONSTANT.name: CONSTANT}
