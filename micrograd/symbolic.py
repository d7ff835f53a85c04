"""Expressions of SymPy: a recorded graph as one, and one as a graph.

A row is written as SymPy has it: by the function of its name there, by a formula of such functions, or, for private
rows and ops of the user's own, by the formula that they are made of. An expression is read the same way back. Both walk
without recursion, and meet what is shared once.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial, reduce
from math import nan
from typing import Any

from . import arguments, ops
from .arguments import as_float, is_number
from .engine import Value, as_value, topological_order
from .formulas.graph import name_nodes
from .packages import needed
from .rows import Operators, spelling

__all__ = ["to_sympy", "from_sympy"]

# The rows that are a function of SymPy: those that have its name, and those that have another.
NAMED_ALIKE = (ops.exp, ops.log, ops.sin, ops.cos, ops.tan, ops.asin, ops.acos, ops.atan, ops.sinh, ops.cosh, ops.tanh,
               ops.asinh, ops.acosh, ops.atanh, ops.erf, ops.erfc, ops.atan2, ops.sign, ops.floor)
NAMED = {**{row: row.name for row in NAMED_ALIKE}, ops.abs: "Abs", ops.ceil: "ceiling", ops.maximum: "Max",
         ops.minimum: "Min", ops.mod: "Mod"}

# The others, as formulas: s is the module sympy. No Piecewise where there is another way: SymPy tries to solve for the
# condition of one that stands in the condition of another.
COMPOSED: dict[ops.Op, Callable[..., Any]] = {
    ops.add: lambda s, a, b: a + b,
    ops.sub: lambda s, a, b: a - b,
    ops.mul: lambda s, a, b: a * b,
    ops.div: lambda s, a, b: a / b,
    ops.neg: lambda s, x: -x,
    ops.pow: lambda s, a, b: a ** b,
    ops.identity: lambda s, x: x,
    ops.expm1: lambda s, x: s.exp(x) - 1,
    ops.log1p: lambda s, x: s.log(1 + x),
    ops.log2: lambda s, x: s.log(x) / s.log(2),
    ops.log10: lambda s, x: s.log(x) / s.log(10),
    ops.sqrt: lambda s, x: s.sqrt(x),
    ops.cbrt: lambda s, x: s.sign(x) * s.Abs(x) ** s.Rational(1, 3),
    ops.hypot: lambda s, a, b: s.sqrt(a ** 2 + b ** 2),
    ops.sigmoid: lambda s, x: 1 / (1 + s.exp(-x)),
    ops.softplus: lambda s, x: s.log(1 + s.exp(x)),
    ops.relu: lambda s, x: _beside_0(s, s.Max, x),
    ops.leaky_relu: lambda s, x, k: _beside_0(s, s.Max, x) + k * _beside_0(s, s.Min, x),
    ops.elu: lambda s, x, k: _beside_0(s, s.Max, x) + k * (s.exp(_beside_0(s, s.Min, x)) - 1),
    ops.gelu: lambda s, x: x * (1 + s.erf(x / s.sqrt(2))) / 2,
    ops.silu: lambda s, x: x / (1 + s.exp(-x)),
    ops.step: lambda s, x: s.Heaviside(x, 0),
    ops.trunc: lambda s, x: s.sign(x) * s.floor(s.Abs(x)),
    ops.round: lambda s, x: s.floor(x + s.S.Half) + s.ceiling((2 * x - 1) / 4) - s.floor((2 * x - 1) / 4) - 1,
    ops.floordiv: lambda s, a, b: s.floor(a / b),
    ops.where: lambda s, c, a, b: s.Piecewise((a, _is_not_0(s, c)), (b, True)),
}

# Functions that SymPy has besides, by the names of their classes
MORE: dict[str, Callable[..., Any]] = {
    "cot": lambda x: 1 / ops.tan(x), "sec": lambda x: 1 / ops.cos(x), "csc": lambda x: 1 / ops.sin(x),
    "coth": lambda x: 1 / ops.tanh(x), "sech": lambda x: 1 / ops.cosh(x), "csch": lambda x: 1 / ops.sinh(x),
    "acot": lambda x: ops.atan(1 / x), "asec": lambda x: ops.acos(1 / x), "acsc": lambda x: ops.asin(1 / x),
    "acoth": lambda x: ops.atanh(1 / x), "asech": lambda x: ops.acosh(1 / x), "acsch": lambda x: ops.asinh(1 / x),
    "frac": lambda x: x - ops.floor(x),
    "Heaviside": lambda x, at_0: ops.where(x, ops.step(x), at_0),
    "DiracDelta": lambda x, *order: 0.0,  # the slope of a jump, which the rows have as 0 everywhere
    "re": lambda x: x, "conjugate": lambda x: x, "im": lambda x: 0.0,  # all numbers are real
    **{row.name: row for row in (ops.expm1, ops.log1p, ops.log2, ops.log10, ops.hypot)},  # of sympy.codegen
}
RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "StrictGreaterThan": operator.gt, "GreaterThan": operator.ge, "StrictLessThan": operator.lt,
    "LessThan": operator.le, "Equality": lambda a, b: _both(a <= b, a >= b),
    "Unequality": lambda a, b: _opposite(_both(a <= b, a >= b)),
}
INSTEAD = {  # what to do about what has no counterpart
    **dict.fromkeys(("Sum", "Product"), "write a finite one out with .doit()"),
    **dict.fromkeys(("Integral", "Limit", "Derivative", "Subs"), "let SymPy work it out first, with .doit()"),
    **dict.fromkeys(("ImaginaryUnit", "ComplexInfinity"), "Values are real numbers"),
}


# To SymPy

def to_sympy(v: Value, real: bool = False) -> Any:
    """The formula by which v was computed, as an expression of SymPy.

    Leaves become symbols by their labels, as Symbol("x") makes them; so do constants with a label. Leaves without one
    are called x_1, x_2, ...; of leaves with the same label each gets a number. A constant without a label is its
    number, exactly. Computed nodes are written out, whatever their labels. Ops of your own are, too, where their
    function is written with operators and rows. SymPy knows no derivative of floor and what is made of it (ceil, trunc,
    round, %, //), and leaves it open.

    A graph that is too deep for SymPy to simplify, or would be too long if what is shared were written out, is written
    as it stands: as large as the graph, but not in SymPy's usual form, and not fit to be printed.

    Args:
        v: the result.
        real: whether SymPy is told that the symbols are real numbers, Symbol("x", real=True): it then knows the
            derivative of abs(x), and that the square root of x**2 is abs(x). To SymPy they are other symbols.

    Returns:
        An expression of SymPy.

    Raises:
        TypeError: for anything but a Value.
        ValueError: for an op that has no counterpart.
        ImportError: where sympy is missing.

    Example:
        >>> x = micrograd.Value(2.0, "x")
        >>> micrograd.to_sympy(x * micrograd.exp(-x))
        x*exp(-x)
        >>> micrograd.to_sympy(x * micrograd.sigmoid(x)).diff()
        x*exp(-x)/(1 + exp(-x))**2 + 1/(1 + exp(-x))
    """
    sympy = needed("sympy", "sympy")
    if not isinstance(v, Value):
        raise TypeError(f"to_sympy needs a Value, found {type(v).__name__} {v!r:.40}; of several, one at a time")
    order = topological_order(v)
    with suppress(RecursionError):
        found = _written(sympy, order, real, simple=True)
        if found is not None:
            return found
    with sympy.evaluate(False):
        return _written(sympy, order, real, simple=False)


def _written(s: Any, order: Sequence[Value], real: bool, simple: bool) -> Any:
    """The last node of a topological order; None where that would take SymPy long, though it should be simple. A sum of
    many is one sum, not one for each two of its terms, where nothing else uses what lies between; a product, too."""
    uses = Counter(parent for node in order for parent in node.parents)
    names = _symbols(order)
    done: dict[Value, Any] = {}
    parts: dict[Value, list[Any]] = {}  # of sums and products that are used once, and not yet put together
    kinds = {ops.add: s.Add, ops.sub: s.Add, ops.mul: s.Mul}
    sizes: dict[Any, tuple[int, int]] = {}  # of expressions: how long, how deep

    def gathered(node: Value, kind: Any) -> list[Any]:
        if node in parts and kinds[node.op] is kind:
            return parts.pop(node)
        return [whole(node)]

    def whole(node: Value) -> Any:
        if node in parts:
            done[node] = kinds[node.op](*parts.pop(node))
        return done[node]

    for node in order:
        kind = kinds.get(node.op)
        if not node.parents:
            done[node] = s.Symbol(names[node], real=real or None) if names[node] else _number(s, node.data)
        elif kind is None:
            done[node] = _row(s, node.op, [whole(parent) for parent in node.parents])
        else:
            a, b = (gathered(parent, kind) for parent in node.parents)
            parts[node] = a + ([-term for term in b] if node.op is ops.sub else b)
            if uses[node] != 1:
                whole(node)
        if simple and node in done and not _is_handy(done[node], sizes):
            return None
    return whole(order[-1])


def _is_handy(e: Any, sizes: dict[Any, tuple[int, int]]) -> bool:
    """Tell whether an expression is short and flat enough for SymPy, which simplifies it along every path in it."""
    stack = [e]
    while stack:
        part = stack[-1]
        unknown = [arg for arg in part.args if arg not in sizes]
        stack += unknown
        if not unknown:
            inner = [sizes[arg] for arg in part.args]
            sizes[part] = 1 + sum(length for length, _ in inner), 1 + max([depth for _, depth in inner], default=0)
            stack.pop()
    length, depth = sizes[e]
    return depth <= FLAT or (depth <= DEEPEST and length <= LONGEST)


def _symbols(order: Sequence[Value]) -> dict[Value, str]:
    """A name for each leaf, no two alike; "" for a bare number."""
    names = {node: name for node, name in name_nodes(order).items() if not node.parents}
    plain = {node: re.sub("[{}]", "", name) for node, name in names.items() if not node.label}
    taken = set(names.values())
    return names | {node: name for node, name in plain.items() if name not in taken}


def _number(s: Any, x: float) -> Any:
    """Exactly x: a fraction where that is a short one, else a float."""
    if x - x != 0.0:
        return s.nan if x != x else s.oo if x > 0 else -s.oo
    numerator, denominator = x.as_integer_ratio()
    short = denominator <= 1024 and abs(numerator) < 2**53
    return s.Rational(numerator, denominator) if short else s.Float(x)


def _row(s: Any, row: ops.Op, args: Sequence[Any]) -> Any:
    """A row on expressions."""
    if row in NAMED:
        kind = getattr(s, NAMED[row])
        swift = row in (ops.maximum, ops.minimum) and not s.core.parameters.global_parameters.evaluate
        return s.Expr.__new__(kind, *args) if swift else kind(*args)  # see _beside_0
    if row in COMPOSED:
        return COMPOSED[row](s, *args)
    formula = row.stands_for or spelling(row)
    if formula is None:
        raise ValueError(f"to_sympy: {row.name} has no counterpart in SymPy, as its function takes bare numbers; write "
                         "it with operators and rows, such as micrograd.exp(x)")
    found = formula(*[_Expression(s, arg) for arg in args])
    return found.bare if isinstance(found, _Expression) else _number(s, float(found))


class _Expression(Operators):
    """An expression of SymPy that rows may be called on."""

    __slots__ = ("bare", "sympy")

    def __init__(self, sympy: Any, bare: Any) -> None:
        self.sympy, self.bare = sympy, bare

    def __op__(self, op: ops.Op, args: Sequence[Any]) -> _Expression:
        s = self.sympy
        return _Expression(s, _row(s, op, [x.bare if isinstance(x, _Expression) else _number(s, float(x))
                                           for x in args]))


def _beside_0(s: Any, kind: Any, x: Any) -> Any:
    """Max(0, x) or Min(0, x), made at once: SymPy's own way counts the nodes along every path that leads to x."""
    return kind(0, x) if x.is_Number else s.Expr.__new__(kind, s.S.Zero, x)


def _is_not_0(s: Any, c: Any) -> Any:
    return c.args[0] > 0 if isinstance(c, s.Heaviside) and c.args[1] == 0 else s.Ne(c, 0)


# From SymPy

def from_sympy(expr: Any, /, **values: Any) -> Value:
    """The Value that an expression of SymPy has where its symbols have these values: a graph, with every derivative.

    Of a Piecewise the branch that holds here is computed and no other; while a function is being compiled all are, and
    the choice is recorded.

    Args:
        expr: the expression.
        **values: for each symbol, by its name, a Value, or a number, which becomes a leaf of that name. (A name that is
            not an identifier goes in as ``**{"w_{1}": 0.5}``.)

    Returns:
        A Value.

    Raises:
        TypeError: for anything but an expression.
        ValueError: for a symbol without a value, and for what has no counterpart here: sums, integrals and derivatives
            that were not worked out, matrices, undefined functions, complex numbers.
        ImportError: where sympy is missing.

    Example:
        >>> import sympy
        >>> s, x = sympy.Symbol("s"), micrograd.Value(2.0, "x")
        >>> y = micrograd.from_sympy(s**2 / (1 + s), s=x)
        >>> y.backward()
        >>> micrograd.text(y), x.grad == 8 / 9
        ('x**2 / (x + 1)', True)
    """
    sympy = needed("sympy", "sympy")
    if is_number(expr) and not isinstance(expr, sympy.Basic):
        return as_value(expr)
    if not isinstance(expr, sympy.Expr):
        hint = (": a relation is not a number; Piecewise((a, condition), (b, True)) takes one of two"
                if isinstance(expr, sympy.logic.boolalg.Boolean) else
                ": sympy.sympify makes an expression of text, by Python's eval" if isinstance(expr, str) else
                "; of a matrix, give each entry by itself")
        raise TypeError(f"from_sympy needs an expression of SymPy, found {type(expr).__name__} {_shown(expr)}{hint}")
    bound = {name: x if isinstance(x, Value) else Value(arguments.number(x, f"from_sympy({name}=...)"), name)
             for name, x in values.items()}
    return as_value(_read(expr, bound))


Reading = Generator[Any, Any, Any]  # asks for parts of an expression, is sent their values, and returns its own


def _read(expr: Any, bound: dict[str, Value]) -> Any:
    """The Value, number or truth of an expression, each part once."""
    done: dict[Any, Any] = {}
    symbols: dict[str, Any] = {}  # by name, to see that no two have the same one
    stack = [(expr, _reading(expr, bound, symbols))]
    answer = None
    while stack:
        part, reading = stack[-1]
        try:
            wanted = reading.send(answer)
        except StopIteration as end:
            done[part] = answer = end.value
            stack.pop()
            continue
        answer = done.get(wanted)
        if wanted not in done:
            stack.append((wanted, _reading(wanted, bound, symbols)))
    return done[expr]


def _reading(e: Any, bound: dict[str, Value], symbols: dict[str, Any]) -> Reading:
    kind = type(e).__name__
    if e.is_Symbol:
        return _symbol(e, bound, symbols)
    if kind in ("BooleanTrue", "BooleanFalse"):
        return bool(e)
    if e.is_Number or e.is_NumberSymbol:
        return as_float(e)
    if kind in RULES:
        return (yield from RULES[kind](e))
    function = FUNCTIONS.get(kind) or MORE.get(kind) or RELATIONS.get(kind)
    if function is None:
        undefined = "a function without a definition; " if getattr(e, "is_Function", False) else ""
        raise ValueError(f"from_sympy: {_shown(e)} has no counterpart here: {INSTEAD.get(kind) or undefined}"
                         + ("" if kind in INSTEAD else f"there are + - * / **, Piecewise, {', '.join(FUNCTIONS)}"))
    return (yield from _called(e, function))


def _symbol(e: Any, bound: dict[str, Value], symbols: dict[str, Any]) -> Value:
    name = e.name
    if name not in bound:
        given = f"given are {', '.join(bound)}" if bound else "none is given"
        raise ValueError(f"from_sympy: the symbol {name} has no value ({given}): from_sympy(expr, {name}=...)")
    if symbols.setdefault(name, e) != e:
        raise ValueError(f"from_sympy: two symbols are called {name}, with different assumptions, or one of them a "
                         "Dummy: replace one of them, expr.subs(one, other)")
    return bound[name]


def _called(e: Any, function: Callable[..., Any]) -> Reading:
    args = []
    for arg in e.args:
        args.append((yield arg))
    row = isinstance(function, ops.Op) and function.arity == 2
    return reduce(function, args) if row and len(args) > 2 else function(*args)  # Max and Min take any number


def _sum(e: Any) -> Reading:
    total: Any = None
    terms = [(bool(term.as_coeff_Mul()[0].is_negative), term) for term in e.args]
    for negative, term in sorted(terms, key=lambda each: (each[0], each[1].is_Number)):
        x = yield -term if negative else term
        signed = -x if negative and total is None else x
        total = signed if total is None else total - x if negative else total + x
    return total


def _product(e: Any) -> Reading:
    """Factors with a negative exponent are below the line, and so is the denominator of the coefficient."""
    c, rest = e.as_coeff_Mul()
    number, below = as_float(c), 1.0
    if c.is_Rational and abs(c.p) < EXACT and c.q < EXACT:
        number, below = float(c.p), float(c.q)
    product = None if abs(number) == 1.0 else number
    divisor = None if below == 1.0 else below
    for factor in rest.args if rest.is_Mul else (rest,):
        under = factor.is_Pow and factor.exp.is_Number and factor.exp.is_negative
        x = yield factor.base ** -factor.exp if under else factor
        if under:
            divisor = x if divisor is None else divisor * x
        else:
            product = x if product is None else product * x
    product = 1.0 if product is None else product
    product = -product if number == -1.0 else product
    return product if divisor is None else ops.div(product, divisor)


def _power(e: Any) -> Reading:
    base, exponent = e.args
    x = yield base
    if exponent == -1:
        return ops.div(1.0, x)
    if exponent.is_Rational and exponent.q == 2 and abs(exponent.p) == 1:
        return ops.sqrt(x) if exponent.p == 1 else ops.div(1.0, ops.sqrt(x))
    n = yield exponent
    return ops.pow(x, n)


def _max(e: Any) -> Reading:
    first, *others = e.args
    if first == 0 and len(others) == 1:
        x = yield others[0]
        return ops.relu(x)
    return (yield from _called(e, ops.maximum))


def _piecewise(e: Any) -> Reading:
    pairs = []
    for branch, condition in e.args:
        truth = yield condition
        if truth is not False:
            pairs.append((truth, (yield branch)))
        if truth is True:
            break
    else:
        pairs.append((True, nan))  # as SymPy has it where no condition holds
    choice = pairs.pop()[1]
    for truth, x in reversed(pairs):  # while it is recorded
        choice = ops.where(truth, x, choice)
    return choice


def _all(e: Any, each: Callable[[Any], Any] = lambda p: p, whole: Callable[[Any], Any] = lambda p: p) -> Reading:
    """Tell whether all parts hold, by the truth of each and of the whole; one that fails is the last to be read."""
    found: Any = True
    for part in e.args:
        truth = yield part
        found = _both(found, each(truth))
        if found is False:
            break
    return whole(found)


def _both(p: Any, q: Any) -> Any:
    """Tell whether both are true: truths of Python, or, while it is recorded, Values that are 1 or 0."""
    if isinstance(p, bool):
        return q if p else False
    if isinstance(q, bool):
        return p if q else False
    return p * q


def _opposite(p: Any) -> Any:
    return not p if isinstance(p, bool) else 1 - p


def _shown(e: Any) -> str:
    try:
        return f"{e!s:.60}"
    except RecursionError:
        return f"a deep {type(e).__name__}"


FLAT, DEEPEST, LONGEST = 5, 50, 2_000  # of formulas that are left to SymPy to simplify: how deep, how long
EXACT = 2**53  # below it, a whole number is a float
FUNCTIONS = {name: row for row, name in NAMED.items()}
RULES: dict[str, Callable[[Any], Reading]] = {
    "Add": _sum, "Mul": _product, "Pow": _power, "Max": _max, "Piecewise": _piecewise, "And": _all,
    "Or": partial(_all, each=_opposite, whole=_opposite), "Not": partial(_all, whole=_opposite),
}
