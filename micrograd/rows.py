"""The machinery of the table of operations: what a row is, how it is called, and what can be asked of it.

A row is callable. On numbers it computes, with the results of IEEE arithmetic (inf, nan) where Python's own functions
raise an error; on nodes (anything that has an `__op__` method) it lets the node record. This module knows nothing of
nodes beyond that. The rows themselves are in ops.py.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from functools import cache
from math import nan
from numbers import Real
from typing import Any, Protocol, SupportsFloat, TypeVar, Union, overload

from .arguments import counted, function, is_number, number, shown

OPS: dict[str, Op] = {}      # every row, by name, in the order of the table
HELPERS: dict[str, Op] = {}  # the private rows at the end of the table, which derivatives are computed by
LEAVES: dict[str, Op] = {}   # the two that stand in the place of the op of a leaf, which no op computed
ROWS: list[Op] = []          # every row ever made, those since replaced and the two kinds of leaf included, by number

# How tightly a printed formula holds together, loosest first. A template says at each slot what may stand there
# without parentheses ("{0:sum} - {1:product}"); a slot that says nothing is fenced in already.
BINDS = {"": 0, "sum": 1, "product": 2, "power": 3, "atom": 4}

Interval = tuple[float, float]


class _Node(Protocol):
    """An object that records the ops that it meets: a Value, and whatever else has this method."""

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
    builtin: bool                               # a row of ops.py, not a user's
    index: int                                  # its number, which is what a node holds: ROWS[index] is the row

    def __init__(self, **fields: Any) -> None:
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
        """The number of arguments that the op takes; 0 for the kinds of leaf."""
        return len(self.derivatives)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of its arguments: as in its rules, (y, *arguments), or x and a, b where those do not say."""
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
                raise TypeError(f"{self.name} takes {counted(self.arity, 'argument')}, found {len(args)}")
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
        """The same by the formula of a book, which uses y, whatever y is: what somebody with another y would get."""
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
    setattr(Op, "__doc__", _OfRow(Op.__doc__, lambda row: by().described(row) if row.arity else row.note))  # noqa: B010
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

    def __neg__(self) -> Any: return OPS["neg"](self)
    def __abs__(self) -> Any: return OPS["abs"](self)
    def __add__(self, other: Any) -> Any: return OPS["add"](self, other)
    def __radd__(self, other: Any) -> Any: return OPS["add"](other, self)
    def __sub__(self, other: Any) -> Any: return OPS["sub"](self, other)
    def __rsub__(self, other: Any) -> Any: return OPS["sub"](other, self)
    def __mul__(self, other: Any) -> Any: return OPS["mul"](self, other)
    def __rmul__(self, other: Any) -> Any: return OPS["mul"](other, self)
    def __truediv__(self, other: Any) -> Any: return OPS["div"](self, other)
    def __rtruediv__(self, other: Any) -> Any: return OPS["div"](other, self)
    def __mod__(self, other: Any) -> Any: return OPS["mod"](self, other)
    def __rmod__(self, other: Any) -> Any: return OPS["mod"](other, self)
    def __floordiv__(self, other: Any) -> Any: return OPS["floordiv"](self, other)
    def __rfloordiv__(self, other: Any) -> Any: return OPS["floordiv"](other, self)
    def __pow__(self, other: Any) -> Any: return OPS["pow"](self, other)
    def __rpow__(self, other: Any) -> Any: return OPS["pow"](other, self)


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
    """An argument without a number, which a rule is called on to see what holds of it for all arguments. It knows the
    ops that it is made of."""

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
    """True if a derivative passes from an op to its i-th argument: not where it is always 0, as for step and sign.

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


def named(name: str) -> Op:
    """The row of that name; the two kinds of leaf included. A KeyError lists what there is."""
    row = LEAVES.get(name) or OPS.get(name) or HELPERS.get(name)
    if row is None:
        raise KeyError(f"no op is called {name!r}; there are {', '.join(OPS)} (an op of your own: micrograd.op(...))")
    return row


# What a row has where nothing is said of it
DEFAULTS: dict[str, Any] = {
    "binds": "atom", "domain": (-2.0, 2.0), "kink": None, "defaults": (), "note": "", "about": "an op of your own",
    "defined": "", "spelled": None, "book": (), "stands_for": None, "builtin": True}


def row(name: str, forward: Callable[..., float], *derivatives: Callable[..., Any], **fields: Any) -> Op:
    """Enter a row into the table. For the fields see `Op`; those that are left out are as above."""
    arity = len(derivatives)
    slots = ", ".join(f"{{{i}}}" for i in range(arity))
    command = r"\operatorname{{" + name.replace("_", r"\_") + "}}"
    shapes = {"symbol": name, "latex": rf"{command}\left({slots}\right)", "text": f"{name}({slots})"}
    given = {**DEFAULTS, "otherwise": _by_rows(fields.get("spelled") or forward), **fields}
    given |= {field: given.get(field) or shape for field, shape in shapes.items()}
    domain = given["domain"]
    several = isinstance(domain, tuple) and domain and isinstance(domain[0], tuple)
    given["domain"] = domain if several else (domain,) * arity
    table = HELPERS if name.startswith("_") and given["builtin"] else OPS
    table[name] = Op(name=name, forward=forward, derivatives=derivatives, **given)
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
        raise ValueError(f"an op's name must be an identifier such as 'square', found {name!r}")
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
    """Raise if the row cannot be printed: a slot for an argument that it does not have, an unknown word in a slot."""
    for field in ("symbol", "latex", "text", "binds", "note"):
        if not isinstance(getattr(new, field), str):
            raise TypeError(f"op {new.name!r}: {field} must be text, found {shown(getattr(new, field))}")
    if new.binds not in BINDS:
        raise ValueError(f"op {new.name!r}: binds must be one of sum, product, power, atom; found {new.binds!r}")
    for template in (new.latex, new.text):
        try:
            slots = [(slot, needs) for _, slot, needs, _ in string.Formatter().parse(template) if slot is not None]
        except ValueError:  # a brace without its partner
            slots = [("", "")]
        if any(slot not in ("0", "1")[:new.arity] or needs not in BINDS for slot, needs in slots):
            names = "{0} and {1}" if new.arity == 2 else "{0}"
            raise ValueError(f"op {new.name!r}: in the template {template!r} {names} stand for the arguments, "
                             "with :sum, :product, :power or :atom inside; a brace of the formula itself is written "
                             "twice")


def _is_interval(ends: Any) -> bool:
    return isinstance(ends, (tuple, list)) and len(ends) == 2 and all(map(is_number, ends)) and bool(ends[0] < ends[1])


def _compare_with_differences(new: Op) -> None:
    """Raise if a derivative of the row is not the slope of its forward function at three points of its domain, or is
    a formula for floats only."""
    if len(new.domain) != new.arity or not all(map(_is_interval, new.domain)):
        raise ValueError(f"op {new.name!r}: domain must be one interval, or one for each of the {new.arity} arguments, "
                         f"each (low, high); found {new.domain!r}")
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
