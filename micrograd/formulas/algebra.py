"""The algebra of formulas: a derivative as a person would write it.

A rule of the table, called on Terms instead of floats, gives the formula of a derivative as a tree of Terms. Products
and sums simplify as they are made: numbers are multiplied out, in exact decimals; 1 · x is x and x + 0 is x; x · x is
x²; like terms are collected; −(y − a) is (a − y). Factors otherwise stay in the order in which they came. How a Term is
written, `formula` knows.

Every Term also holds its number, so that a formula can be written with numbers for names. This module knows what sums,
products and powers are; of all other ops it knows only what their rows say.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite
from typing import Any, Union

from .. import ops
from ..engine import Value
from ..ops import Op
from ..rows import Ieee, bare, plain_slope
from .boxes import Box, Hole
from .graph import edges_of
from .notations import LATEX

BIGGEST, DEEPEST = 400, 60  # names and ops in one formula, levels of parentheses: a larger one is for nobody to read
SUMMED = 1000               # terms of a sum that is worked with
LONGEST = 12                # terms of a sum that are written; the middle of a longer one is left out
DOTS = "…"                  # stands for a formula that is too large

SYMMETRIC = (ops.hypot, ops.maximum, ops.minimum)  # of what the algebra does not look into: f(a, b) is f(b, a)

Coefficient = Union[Fraction, float]  # a float only where it is inf or nan


def floated(c: Coefficient) -> float:
    """The float nearest to it; inf where it is too large for one."""
    try:
        return float(c)
    except OverflowError:
        return inf if c > 0 else -inf


# Terms

class Term(Ieee):
    """A formula with its number. Of one of the five kinds below, all immutable, equal if they look alike."""

    __slots__ = ("key", "hash", "size", "depth")

    size: int   # names, numbers and ops in it
    depth: int  # levels of nesting

    def __init__(self, x: float, key: tuple[Any, ...], parts: Iterable[Term] = ()) -> None:
        inner = list(parts)
        self.x = x
        self.key = key
        self.hash = hash(key)
        self.size = 1 + sum(part.size for part in inner)
        self.depth = 1 + max((part.depth for part in inner), default=0)

    def __op__(self, op: Op, args: Sequence[Any]) -> Term:
        return combine(op, [as_term(arg) for arg in args])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and self.hash == other.hash and self.key == other.key

    def __hash__(self) -> int:
        return self.hash


class Number(Term):
    """A number of the formula itself."""

    __slots__ = ("value",)

    def __init__(self, value: Coefficient) -> None:
        self.value = value
        super().__init__(floated(value), ("number", value if isinstance(value, Fraction) else str(value)))


class Name(Term):
    """A node that has a name."""

    __slots__ = ("name",)

    def __init__(self, name: str, x: float) -> None:
        self.name = name
        super().__init__(x, ("name", name))


class Call(Term):
    """An op that the algebra does not look into. prime: its derivative, in the notation σ′(z)."""

    __slots__ = ("op", "args", "prime")

    def __init__(self, op: Op, args: Sequence[Term], x: float, prime: bool = False) -> None:
        self.op, self.args, self.prime = op, tuple(args), prime
        super().__init__(x, (op.index, prime, frozenset(args) if op in SYMMETRIC else tuple(args)), args)


class Product(Term):
    """coefficient · base^exponent · ..., as a list of pairs (base, exponent)."""

    __slots__ = ("coefficient", "factors")

    def __init__(self, coefficient: Coefficient, factors: Sequence[tuple[Term, Coefficient]], x: float) -> None:
        self.coefficient, self.factors = coefficient, tuple(factors)
        super().__init__(x, ("product", coefficient, frozenset(self.factors)), (base for base, _ in factors))


class Sum(Term):
    """coefficient · term + ..., as a list of pairs (term, coefficient); the term of a bare number is 1."""

    __slots__ = ("terms",)

    def __init__(self, terms: Sequence[tuple[Term, Coefficient]], x: float) -> None:
        self.terms = tuple(terms)
        shown = terms if len(terms) <= LONGEST else [*terms[:3], terms[-1]]
        super().__init__(x, ("sum", frozenset(self.terms)), (term for term, _ in shown))


ZERO, ONE = Number(Fraction(0)), Number(Fraction(1))


def as_term(x: Any) -> Term:
    return x if isinstance(x, Term) else Number(x if isinstance(x, Fraction) else exact(bare(x)))


def exact(x: float) -> Coefficient:
    """The decimal that a float is written as: 0.1 is 1/10, so that 3 · 0.1 is 0.3."""
    return Fraction(repr(x)) if isfinite(x) else x


def readable(term: Term) -> Term:
    """The term, or three dots in its place if it is too large to read."""
    too_long = isinstance(term, Sum) and len(term.terms) > SUMMED
    return Name(DOTS, term.x) if term.size > BIGGEST or term.depth > DEEPEST or too_long else term


# The algebra

def combine(op: Op, args: Sequence[Term]) -> Term:
    """The op on Terms, simplified."""
    if op is ops.where:  # the branch that is taken here
        return args[1] if args[0].x else args[2]
    x = op.value(*[arg.x for arg in args])
    if any(isinstance(arg, Name) and arg.name == DOTS for arg in args):
        return Name(DOTS, x)
    if op.stands_for is not None:
        return with_number(as_term(op.stands_for(*args)), x)
    if op in ARITHMETIC:
        return readable(ARITHMETIC[op](x, *args))
    return readable(Call(op, args, x))


def with_number(term: Term, x: float) -> Term:
    """The same formula with a number that was computed in another way."""
    if repr(term.x) == repr(x) or isinstance(term, Number):
        return term
    other = copy(term)
    other.x = x
    return other


def added(x: float, a: Term, b: Term, sign: int = 1) -> Term:
    return sum_of(x, [*addends(a), *((term, sign * coefficient) for term, coefficient in addends(b))])


def multiplied(x: float, a: Term, b: Term, sign: int = 1) -> Term:
    c, numerator = parts(a)
    d, denominator = parts(b)
    if sign < 0:
        if d == 0:
            return Number(x)
        d = 1 / d
    return product_of(x, c * d, [*numerator, *((base, sign * exponent) for base, exponent in denominator)])


def powered(x: float, a: Term, b: Term) -> Term:
    """a ** b. A power of a product is multiplied out where that holds for all numbers: where b is whole."""
    c, factors = parts(a)
    if not isinstance(b, Number) or not isinstance(b.value, Fraction):
        return Call(ops.pow, (a, b), x)
    whole = b.value.denominator == 1 and abs(b.value) <= 100 and isinstance(c, Fraction)
    if whole and (c != 0 or b.value > 0):
        return product_of(x, c ** int(b.value), [(base, exponent * b.value) for base, exponent in factors])
    return product_of(x, Fraction(1), [(a, b.value)]) if b.value else ONE


ARITHMETIC: dict[Op, Callable[..., Term]] = {
    ops.add: added,
    ops.sub: lambda x, a, b: added(x, a, b, -1),
    ops.neg: lambda x, a: multiplied(x, a, Number(Fraction(-1))),
    ops.mul: multiplied,
    ops.div: lambda x, a, b: multiplied(x, a, b, -1),
    ops.pow: powered,
    ops.identity: lambda x, a: a,
}


def parts(term: Term) -> tuple[Coefficient, list[tuple[Term, Coefficient]]]:
    """A term as a product: coefficient and factors."""
    if isinstance(term, Number):
        return term.value, []
    if isinstance(term, Product):
        return term.coefficient, list(term.factors)
    return Fraction(1), [(term, Fraction(1))]


def addends(term: Term) -> list[tuple[Term, Coefficient]]:
    """A term as a sum: pairs of a term without a coefficient, and its coefficient."""
    if isinstance(term, Sum):
        return list(term.terms)
    coefficient, factors = parts(term)
    if len(factors) == 1 and isinstance(factors[0][0], Sum) and factors[0][1] == 1 and coefficient == -1:
        return [(inner, -c) for inner, c in factors[0][0].terms]
    if coefficient == 0 or not factors:
        return [(ONE, coefficient)]
    return [(product_of(ops.div.value(term.x, floated(coefficient)), Fraction(1), factors), coefficient)]


def product_of(x: float, coefficient: Coefficient, factors: Iterable[tuple[Term, Coefficient]]) -> Term:
    """The product, with equal factors collected and functions last; a number or a single factor as such."""
    exponents: dict[Term, Coefficient] = {}
    for base, exponent in factors:
        exponents[base] = exponents.get(base, Fraction(0)) + exponent
    kept = sorted(((base, exponent) for base, exponent in exponents.items() if exponent != 0),
                  key=lambda factor: isinstance(factor[0], Call))
    if coefficient == 0 or not kept:
        return Number(shortened(coefficient))
    if coefficient < 0:
        for place, (base, exponent) in enumerate(kept):
            if exponent == 1 and isinstance(base, Sum) and turns(base):
                kept[place] = (Sum([(term, -c) for term, c in base.terms], -base.x), exponent)
                coefficient = -coefficient
                break
    if coefficient == 1 and len(kept) == 1 and kept[0][1] == 1:
        return kept[0][0]
    return Product(shortened(coefficient), kept, x)


def turns(difference: Sum) -> bool:
    """Tell whether a minus sign before it is better taken inside: −(y − a) is (a − y), but −(1 − a) stays."""
    negative = [c < 0 for _, c in difference.terms]
    return sum(negative) * 2 >= len(negative) and ONE not in [term for term, _ in difference.terms]


def sum_of(x: float, terms: Iterable[tuple[Term, Coefficient]]) -> Term:
    """The sum, with like terms collected; a number or a single term as such."""
    coefficients: dict[Term, Coefficient] = {}
    for term, coefficient in terms:
        coefficients[term] = coefficients.get(term, Fraction(0)) + coefficient
    kept = [(term, shortened(c)) for term, c in coefficients.items() if c != 0]
    if not kept:
        return ZERO
    if len(kept) == 1:
        [(term, coefficient)] = kept
        return multiplied(x, Number(coefficient), term)
    if all(c < 0 for _, c in kept):
        return Product(Fraction(-1), [(Sum([(term, -c) for term, c in kept], -x), Fraction(1))], x)
    return Sum(kept, x)


def shortened(coefficient: Coefficient) -> Coefficient:
    """The same, to the precision of a float where its fraction is longer than that."""
    if isinstance(coefficient, Fraction) and coefficient.denominator > 10**30:
        return exact(floated(coefficient))
    return coefficient


def comes_to(term: Term) -> float:
    """The number of a formula as it is written: 1 for x / x at 0, where the product that it was made of is nan."""
    if isinstance(term, Call) and not term.prime:
        return term.op.value(*map(comes_to, term.args))
    if isinstance(term, Product):
        result = floated(term.coefficient)
        for base, exponent in term.factors:
            result *= ops.pow.value(comes_to(base), floated(exponent))
        return result
    if isinstance(term, Sum):
        return sum(floated(coefficient) * comes_to(inner) for inner, coefficient in term.terms)
    return term.x


def multiple(term: Term, name: Name) -> Term | None:
    """The factor by which a term is a multiple of a name; None if it is none."""
    found: Term = ZERO
    for addend, times_it in addends(term):
        coefficient, factors = parts(addend)
        others = [factor for factor in factors if factor != (name, 1)]
        if len(others) == len(factors):
            return None
        found = found + product_of(0.0, coefficient * times_it, others)
    return with_number(found, comes_to(found))


# The terms of a graph

class Terms(dict[Value, Term]):
    """The nodes of a graph as terms: a node's name, if it has one; a number; or its op, on the terms of its parents."""

    def __init__(self, names: Mapping[Value, str]) -> None:
        super().__init__()
        self.names = names

    def __missing__(self, wanted: Value) -> Term:
        stack = [wanted]
        while stack:
            node, name = stack[-1], self.names.get(stack[-1])
            missing = [] if name else [parent for parent in node.parents if parent not in self]
            stack += missing
            if name:
                self[stack.pop()] = Name(name, node.data)
            elif not node.parents:
                self[stack.pop()] = Number(exact(node.data))
            elif not missing:
                self[stack.pop()] = combine(node.op, self.of_parents(node))
        return self[wanted]

    def of_parents(self, node: Value) -> list[Term]:
        return [self[parent] for parent in node.parents]

    def slope(self, node: Value, i: int) -> Term:
        """The i-th local derivative of a node, as a book has it."""
        plain = plain_slope(node.op, i)
        if isinstance(plain, float):
            return Number(exact(plain))
        op, args = node.op, self.of_parents(node)
        slope = as_term((op.book or op.derivatives)[i](self[node], *args))
        return with_number(slope, op.slope(i, node.data, *[arg.x for arg in args])) if op.book else slope

    def prime(self, node: Value, i: int) -> Term:
        """The same in the notation f′(x), for a function of one argument, where that is shorter: σ′(z), not ln′(x)."""
        slope = self.slope(node, i)
        if is_function(node.op):
            call = readable(Call(node.op, self.of_parents(node), node.local_derivatives[i], prime=True))
            if slope.size > call.size or node.op.kink is not None:
                return call
        return slope


def is_function(op: Op) -> bool:
    r"""Tell whether an op of one argument is written as a function in LaTeX, as \tanh(x) is."""
    template = LATEX.template(op)
    try:
        boxes = template.boxes
    except ValueError:  # a template of a user's own that cannot be read
        return False
    match boxes:
        case (Box(name, (), words), Box(r"\left", ((Hole(0),),), ("(", ")"))) if not template.gaps[0].needs:
            return name == r"\operatorname" if words else name[0] == "\\" and name[1:].isalpha()
    return False


# The factors of the chain rule between named nodes. The names decide how coarse a derivation is: between two of them a
# factor is the sum, over the paths through nodes without a name, of the products of the recorded local derivatives.

@dataclass(frozen=True, slots=True)
class Link:
    """One factor: ∂y/∂x along all paths from y to x that meet no other named node."""

    y: Value
    x: Value
    local: float   # as recorded
    rule: Term     # in the notation of primes: σ′(z)
    formula: Term  # written out: a(1 − a)


def links(y: Value, stops: Collection[Value], between: Collection[Value], terms: Terms,
          place: Mapping[Value, int]) -> list[Link]:
    """The factors that lead from y down to the nearest of the `stops`, in the order of the graph. between: the nodes
    that matter, such as those on the way to x. place: the position of each node in the order."""
    arrived: dict[Value, list[Link]] = {y: [Link(y, y, 1.0, ONE, ONE)]}  # one for each edge that leads into a node
    heap = [-place[y]]
    at = {-place[y]: y}
    found: list[Link] = []
    while heap:
        node = at[heapq.heappop(heap)]
        so_far, *others = arrived[node][::-1]  # in the order of the graph
        for other in others:
            so_far = Link(y, node, so_far.local + other.local, so_far.rule + other.rule,
                          so_far.formula + other.formula)
        if node in stops and node is not y:
            found.append(so_far)
            continue
        for edge in reversed(edges_of(node)):
            parent = edge.parent
            if parent in between and edge.carries:
                if parent not in arrived:
                    arrived[parent] = []
                    at[-place[parent]] = parent
                    heapq.heappush(heap, -place[parent])
                arrived[parent].append(Link(y, parent, so_far.local * edge.local, so_far.rule * terms.prime(*edge[:2]),
                                            so_far.formula * terms.slope(*edge[:2])))
    return found[::-1]
