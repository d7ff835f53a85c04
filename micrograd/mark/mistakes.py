"""What learners get wrong: the numbers that a wrong derivation comes to, to be held against an answer.

A derivative follows from the gradients next above it, which are known, by factors along edges and by sums at forks.
Every mistake spoils some of these. A flaw is a row of a table: the number taken for the right one, where it can happen,
and what is said of it. This module works out what each would come to; answers and verdicts are for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from .. import ops
from ..engine import Value
from ..formulas.algebra import Terms
from ..formulas.deltas import weighted_sums
from ..formulas.formula import Formula, formula_of, name_of, number_of, partial, symbol
from ..formulas.graph import Edge, Graph
from ..formulas.labels import indices, word_of
from ..ops import CONSTANT, LEAF, Op

FORK = "path forgotten at a fork"
REVERSED = "wrong sign"
SLOPE = "derivative of the function left out"
UPSTREAM = "upstream gradient left out"
FACTOR = "factor left out"
PLACE = "derivative of the function at the wrong place"
FUNCTION = "derivative of another function"
UPDATED = "updated weight"
ELSEWHERE = "number of another weight or neuron"
POWER = "factor of the power"
MEAN = "mean for sum, or sum for mean"
INVERSE = "divided where multiplied, or the other way round"
QUANTITY = "another quantity"
VALUE = "value instead of gradient"
TERM = "term left out"

RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates that are tried where none is known
NEGLIGIBLE = 1e-12                   # relative; what rounding leaves of a difference that would be 0 without it
MOST = 3                             # names that a sentence lists


class Candidate(NamedTuple):
    """One mistake: what it comes to, how far-fetched it is (0: a classic), and a key, which it has in common with the
    same mistake at the same place where that spoils another answer."""

    value: float
    rank: float
    kind: str
    key: tuple[Any, ...]
    said: object         # what was done: "you get this if you ...", a verb first; as text when it is asked for
    whole: bool = False  # whether it is about a whole link between labels, which may be a single factor

    @property
    def words(self) -> str:
        return str(self.said)

    def same(self, value: float) -> bool:
        """True if it comes to that value, but for rounding."""
        return abs(self.value - value) <= NEGLIGIBLE * abs(value)


class Context:
    """A graph with what all its answers share: places, terms, how things are called.

    rates: learning rates with which weights may have been updated.
    """

    def __init__(self, graph: Graph, rates: Sequence[float] = RATES) -> None:
        self.graph, self.rates = graph, {rate: number_of(rate) for rate in rates}
        self.place = {node: place for place, node in enumerate(graph.order)}
        self.terms = Terms({node: graph.names[node] for node in graph.order if self.is_named(node)})
        self.alike: dict[str, list[Value]] = {}  # labelled nodes by the letters of their labels
        for node in graph.order:
            if node.label:
                self.alike.setdefault(word_of(node.label), []).append(node)
        self.deltas = weighted_sums(graph)
        self.names: dict[Value, Formula] = {}
        self.gradients: dict[Value, Formula] = {}
        self.lines: dict[tuple[Value, ...], Formula] = {}  # of the right steps, by what they follow from

    def is_named(self, node: Value) -> bool:
        """True if formulas stop at this node: it has a label, or there is nothing below it, or it is the root."""
        return bool(node.label) or node is self.graph.root or not (node.parents or node.op is CONSTANT)

    def name(self, node: Value) -> Formula:
        """The name of a node; the number of a bare constant."""
        if node not in self.names:
            self.names[node] = name_of(self.graph, node)
        return self.names[node]

    def gradient(self, node: Value) -> Formula:
        """δ⁴ for the gradient of z⁴, ∂C/∂a⁴ for all others."""
        if node not in self.gradients:
            name = self.deltas.get(node)
            self.gradients[node] = symbol(name) if name is not None else partial(self.graph, self.graph.root, node)
        return self.gradients[node]

    def slope(self, node: Value) -> str:
        """The derivative of a function of one argument: σ′(z⁴) = a⁴(1 − a⁴)."""
        short, long = (formula_of(term) for term in (self.terms.prime(node, 0), self.terms.slope(node, 0)))
        return short.text if short == long else f"{short} = {long}"

    def like(self, node: Value) -> list[Value]:
        """The other nodes whose label has the same letters: the other weights, for a weight."""
        found = self.alike.get(word_of(node.label), []) if node.label else []
        return [other for other in found if other is not node and (other.op is LEAF) == (node.op is LEAF)][:100]


def is_bare(node: Value) -> bool:
    """True if a node is a number that is written as such."""
    return node.op is CONSTANT and not node.label


def is_half(node: Value) -> bool:
    """True if it is one that goes with a square."""
    return is_bare(node) and node.data in (0.5, 2.0)


def is_function(node: Value, i: int) -> bool:
    """True if a node is a function of one argument, the i-th, such as an activation."""
    op = node.op
    return i == 0 and op.arity - len(op.defaults) == 1 and op not in (ops.neg, ops.identity)


def in_words(names: Iterable[Formula]) -> str:
    """Names in a sentence: a, b and c."""
    words = list(dict.fromkeys(names))
    if len(words) > MOST:
        return f"{', '.join(words[:MOST])} and {len(words) - MOST} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


# Flaws: what goes wrong at one place

class Place:
    """A node on the way to an answer, or the edge to its i-th argument, with the numbers there."""

    def __init__(self, way: Any, node: Value, i: int = 0) -> None:  # a Derivation, or a Computation
        self.way, self.context, self.node, self.i, self.op = way, way.context, node, i, node.op
        self.values: Mapping[Value, float] = way.numbers.values
        self.value = self.values[node]
        self.args: list[float] = [self.values[parent] for parent in node.parents]
        self.parent = node.parents[i] if node.parents else node
        self.other = node.parents[1 - i] if len(node.parents) == 2 else node
        self.local: float = way.numbers.locals[node][i] if node.parents else 0.0

    @property
    def is_part(self) -> bool:
        """True if the other argument is what remains if this one is left out."""
        return self.op is ops.mul or (self.op in PARTS and self.i == 1)

    @property
    def beside(self) -> float:
        return self.args[1 - self.i]

    @property
    def shows(self) -> bool:
        """True if it makes a difference if the derivative is left out."""
        return self.local not in (0.0, 1.0)

    def slope_at(self, x: float) -> float:
        """The derivative of a function at another argument."""
        rest = self.args[1:]
        return self.op.slope_by_book(0, self.op.value(x, *rest), x, *rest)

    def with_arg(self, i: int, x: float) -> list[float]:
        """The two arguments, if the i-th were x."""
        return [self.args[0], x] if i else [x, self.args[1]]

    def slope_beside(self, x: float) -> float:
        """The derivative of a product or quotient by one argument, if the other were x."""
        args = self.with_arg(1 - self.i, x)
        return self.op.slope_by_book(self.i, self.op.value(*args), *args)

    def names(self) -> dict[str, object]:
        """The names that words may mention."""
        name, op = self.context.name, self.op
        return {"result": name(self.node), "argument": name(self.parent), "other": name(self.other),
                "function": op.name, "symbol": op.symbol, "numbers": [*map(number_of, self.args)],
                "rule": self.context.slope(self.node) if is_function(self.node, self.i) else "",
                "gradient": self.context.gradient(self.node), "term": formula_of(self.context.terms[self.parent]),
                "constant": "the division by" if op is ops.div else "the constant factor",
                "inverse": "divide" if op is ops.mul else "multiply", "part": PARTS.get(op, "")}


PARTS = {ops.mul: "factor", ops.div: "division by", ops.pow: "exponent"}  # what an argument is


class Fork(Place):
    """A node that a derivative reaches along several edges, with what comes along each."""

    def __init__(self, way: Any, node: Value, edges: Sequence[Edge]) -> None:
        super().__init__(way, node)
        self.shares = [way.up(edge.node) * way.local(edge) for edge in edges]
        self.total = sum(self.shares)
        self.through = [self.context.name(way.outer(edge.node)) for edge in edges]
        if len(set(self.through)) < len(edges):
            self.through = [Formula(f"{name} (use {j})", name.latex) for j, name in enumerate(self.through, 1)]

    def subsets(self) -> list[Case]:
        """Paths that are counted alone."""
        count = len(self.shares)
        sizes = range(1, count) if count <= 5 else (1, count - 1)
        return [Case(sum(self.shares[j] for j in kept), self.counting(kept), 0.0 if len(kept) == 1 else 0.2, (kept,))
                for size in sizes for kept in combinations(range(count), size)]

    def counting(self, kept: Sequence[int]) -> str:
        if len(kept) == 1 and len(self.through) < 4:
            return f"count only the path through {self.through[kept[0]]}"
        missing = [name for j, name in enumerate(self.through) if j not in kept]
        return f"forget the path{'s' if len(missing) > 1 else ''} through {in_words(missing)}"

    def names(self) -> dict[str, object]:
        into = "" if self.node is self.way.x else f" into {self.context.gradient(self.node)}"
        return {**super().names(), "into": into, "count": len(self.shares)}


class Case(NamedTuple):
    """A number that is taken for the right one, where there is a choice of weights, or of learning rates."""

    number: float
    name: object = ""           # in words
    rank: float = 0.0           # how much more far-fetched it is
    key: tuple[Any, ...] = ()   # cases of one key are one misunderstanding
    hint: str = ""
    group: str = ""             # in words, all of a key


@dataclass(frozen=True, slots=True, eq=False)
class Flaw:
    """Something that learners get wrong.

    rank: how far-fetched it is; 0: a classic. words: "you get this if you ...", a verb first, with names of the place,
    and of the case: {it}. number: what is taken for the right number at a place; None where it cannot happen; or the
    cases. several: what is said where it happens at {which} places at once; {same}: the words.
    """

    kind: str
    rank: float
    words: str
    number: Callable[[Any], float | list[Case] | None]
    several: str = "{same} (at {which})"


def updates(at: Place) -> list[Case]:
    """Slopes with the other factor after a gradient step, by the gradient on the sheet and by the right one."""
    def by(gradient: float, which: str) -> list[Case]:
        cases = by_rates(at, lambda rate: at.slope_beside(at.beside - rate * gradient), 1.8)
        return [case._replace(key=(which, *case.key)) for case in cases]

    return by(at.way.up(at.other), "own") + by(at.context.graph.gradients[at.other], "right")


def by_rates(at: Place, number: Callable[[float], float], unknown: float = 2.0) -> list[Case]:
    """unknown: how much more far-fetched it is if the learning rate of the exercise is not known."""
    rates = at.context.rates
    return [Case(number(rate), name, unknown if len(rates) > 1 else 0.0, (rate,)) for rate, name in rates.items()]


def changes(at: Place) -> list[Case]:
    """Changes of a weight by one gradient step, up or down."""
    cases = by_rates(at, lambda rate: rate * at.way.base)
    return [case._replace(number=x) for case in cases if case.key != (1.0,) for x in (case.number, -case.number)]


def similar(at: Place, node: Value, number: Callable[[float], float]) -> list[Case]:
    """Nodes that one may be mistaken for by its label."""
    found = []
    for other in at.context.like(node):
        relation = related(node.label, other.label)
        rank, hint, group = RELATIONS[relation]
        key = (relation, *(indices(other.label) or ())[1:2]) if group else (node, other)
        found.append(Case(number(at.values[other]), at.context.name(other), rank, key, hint, group))
    return found


def others(at: Place, number: Callable[[Value], float]) -> list[Case]:
    """The gradients that one may be mistaken for."""
    return [Case(number(other), at.context.gradient(other), 0.0, (other,))
            for other in at.context.like(at.node) if other.op is not CONSTANT]


def by_itself(at: Place) -> list[Case]:
    """A sign that has turned, which is not a misunderstanding that would repeat itself elsewhere."""
    return [Case(-at.local, at.context.name(at.way.outer(at.node)), 0.0, (at.node, at.i))]


def insides(at: Place, node: Value, number: Callable[[float], float]) -> list[Case]:
    """The argument of a function, which is taken for its result."""
    return [Case(number(at.values[inside]), at.context.name(inside)) for inside in node.parents[:is_function(node, 0)]]


def activations_but(op: Op) -> list[Op]:
    """Those that a function may be mistaken for."""
    return [other for other in (ops.sigmoid, ops.tanh, ops.relu) if other is not op]


ADDED = "the contributions of all paths are added (+=, not =)"
FORWARD_PASS = " (learning rate {it}): all gradients belong to the weights of the forward pass"

# The slope that is taken for the right one: of a function,
OF_FUNCTIONS = [
    Flaw(SLOPE, 1, "leave out the derivative of the function, {rule}", lambda at: 1.0 if at.local != 1 else None,
         "leave out the derivatives of the functions that give {which}"),
    Flaw(PLACE, 1.5, "take the derivative of {symbol} at {result} instead of at {argument}; it is {rule}",
         lambda at: at.slope_at(at.value)),
    Flaw(PLACE, 2, "take {argument} where {result} belongs: the derivative is {rule}",
         lambda at: at.op.slope_by_book(0, at.args[0], *at.args)),
    Flaw(PLACE, 2, "multiply by {result} itself: the derivative is {rule}", lambda at: at.value),
    Flaw(PLACE, 4, "multiply by (1 − {result}): the derivative is {rule}", lambda at: 1 - at.value),
    Flaw(FUNCTION, 1.5, "take {argument} = {numbers[0]} for negative: the derivative is {rule}",
         lambda at: 0.0 if at.op is ops.relu and at.local else None),
    Flaw(FUNCTION, 4, "take the derivative of {it}, where the function is {function}: {rule}",
         lambda at: [Case(op.slope_by_book(0, y, at.args[0]), op.name, key=(op, which)) for op in activations_but(at.op)
                     for which, y in (("right", at.value), ("own", op.value(at.args[0])))]),
]
# of a power with a constant exponent,
OF_POWERS = [
    Flaw(POWER, 2, "forget the factor {numbers[1]} that the power brings down",
         lambda at: at.local / at.args[1] if at.args[1] else None, "{same}"),
    Flaw(POWER, 3, "leave the exponent at {numbers[1]}: it goes down by 1", lambda at: at.local * at.args[0], "{same}"),
    Flaw(FACTOR, 3, "leave out the derivative of the power", lambda at: 1.0, "{same}"),
]
# of a product or a quotient,
OF_PRODUCTS = [
    Flaw(POWER, 1.8, "leave out {constant} {other}", lambda at: 1.0 if at.shows and is_half(at.other) else None,
         "leave out {constant} {which}"),
    Flaw(MEAN, 1.8, "leave out {constant} {other}",
         lambda at: 1.0 if at.shows and is_bare(at.other) and not is_half(at.other) else None,
         "leave out {constant} {which}"),
    Flaw(FACTOR, 2, "leave out the factor {other}", lambda at: 1.0 if at.shows and not is_bare(at.other) else None,
         "leave out the factors {which}"),
    Flaw(INVERSE, 5, "{inverse} by {other}", lambda at: 1 / at.local if at.shows else None, "{inverse} by {which}"),
]
# of one with a name, which is taken for another,
OF_NAMED_FACTORS = [
    Flaw(UPDATED, 1.2, "use the updated {other}" + FORWARD_PASS,
         lambda at: updates(at) if at.other.op is LEAF else None, "use the updated {which}" + FORWARD_PASS),
    Flaw(ELSEWHERE, 0, "use {it} instead of {other}{hint}", lambda at: similar(at, at.other, at.slope_beside),
         "use {group} instead of {which}"),
    Flaw(ELSEWHERE, 2.5, "use {it} instead of {other}", lambda at: insides(at, at.other, at.slope_beside),
         "use the arguments of the functions instead of {which}"),
    Flaw(ELSEWHERE, 2.5, "use {it} instead of {other}",
         lambda at: [Case(at.slope_beside(at.values[use.node]), at.context.name(use.node))
                     for use in at.context.graph.uses[at.other] if is_function(use.node, use.i)],
         "use the results of the functions instead of {which}"),
    Flaw(ELSEWHERE, 2.5, "use {argument} instead of {other}", lambda at: at.slope_beside(at.values[at.parent]),
         "use the other factors instead of {which}"),
]
# and of anything.
OF_SIGNS = [
    Flaw(REVERSED, 0.9, "take ({other} − {argument}) where ({argument} − {other}) belongs",
         lambda at: by_itself(at) if at.way.is_error(at.node) else None),
    Flaw(REVERSED, 1, "take the opposite sign on the path through {it}",
         lambda at: by_itself(at) if at.way.forks_first and not at.way.is_error(at.node) else None),
    Flaw(REVERSED, 1, "take the opposite sign",
         lambda at: by_itself(at) if not (at.way.forks_first or at.way.is_error(at.node)) else None),
]

# The number that is taken for the gradient of a node that several paths lead to, of any on the way,
AT_FORKS = [
    Flaw(FORK, 0, "{it}{into}: at a fork " + ADDED, lambda at: at.subsets()),
    Flaw(MEAN, 4, "take the mean of the {count} paths into {gradient} instead of their sum",
         lambda at: at.total / len(at.shares)),
]
ON_THE_WAY = [
    Flaw(UPSTREAM, 1.1, "leave out the upstream gradient {gradient}", lambda at: 1.0),
    Flaw(UPSTREAM, 3.5, "multiply by {result} itself instead of by its gradient, {gradient}", lambda at: at.value),
    Flaw(ELSEWHERE, 3, "multiply by {it} instead of {gradient}", lambda at: others(at, at.way.up)),
]
# and of that which is asked for.
ANSWERS = [
    Flaw(REVERSED, 1, "take the opposite sign", lambda at: [Case(-at.way.base, key=(at.node,))]),
    Flaw(VALUE, 3, "give the value of {result} instead of its gradient", lambda at: at.node.data),
    Flaw(QUANTITY, 2, "give the updated {result} (learning rate {it}) instead of the gradient",
         lambda at: by_rates(at, lambda rate: at.node.data - rate * at.way.base) if at.node.op is LEAF else None),
    Flaw(QUANTITY, 2, "multiply by the learning rate {it}: the gradient does not depend on it",
         lambda at: changes(at) if at.node.op is LEAF else None),
    Flaw(QUANTITY, 3.5, "give {it} in its place", lambda at: others(at, at.context.graph.gradients.__getitem__)),
    Flaw(MEAN, 3, "divide by {it}, as for a mean: this is a sum of {it} terms",
         lambda at: [Case(at.way.base / n, n) for n in at.way.terms]),
    Flaw(MEAN, 3.5, "forget to divide by {it}, the number of terms",
         lambda at: [Case(at.way.base * n, n) for n in at.way.terms]),
]

# Of a forward pass, the number that is taken for a value: that of a function,
VALUES_OF_FUNCTIONS = [
    Flaw(TERM, 1, "leave out the function {function}", lambda at: at.args[0]),
    Flaw(FUNCTION, 3, "take {it} where the function is {function}",
         lambda at: [Case(op.value(at.args[0]), op.name, key=(op,)) for op in activations_but(at.op)]),
]
# of an operation, by what happens to one of its two arguments,
VALUES_OF_ARGUMENTS = [
    Flaw(TERM, 1, "leave out the term {term}",
         lambda at: at.op.value(*at.with_arg(at.i, 0.0)) if at.op in (ops.add, ops.sub) else None),
    Flaw(REVERSED, 2, "subtract {term} instead of adding it",
         lambda at: at.beside - at.args[at.i] if at.op is ops.add else None),
    Flaw(POWER, 1.5, "leave out the {part} {term}",
         lambda at: at.beside if at.is_part and is_bare(at.parent) else None),
    Flaw(FACTOR, 2, "leave out the {part} {term}",
         lambda at: at.beside if at.is_part and not is_bare(at.parent) else None),
    Flaw(ELSEWHERE, 0, "use {it} instead of {term}{hint}",
         lambda at: similar(at, at.parent, lambda x: x * at.beside) if at.op is ops.mul else None),
    Flaw(ELSEWHERE, 2, "use {it} instead of {term}",
         lambda at: insides(at, at.parent, lambda x: x * at.beside) if at.op is ops.mul else None),
]
# by what happens to all of it, and that of what is asked for.
VALUES_OF_OPERATIONS = [
    Flaw(REVERSED, 1.5, "turn the difference around", lambda at: at.args[1] - at.args[0] if at.op is ops.sub else None),
    Flaw(INVERSE, 4, "take the product where it says to add",
         lambda at: at.args[0] * at.args[1] if at.op is ops.add else None),
    Flaw(INVERSE, 4, "take the sum where it says to multiply",
         lambda at: at.args[0] + at.args[1] if at.op is ops.mul else None),
]
FORWARD_ANSWERS = [
    Flaw(QUANTITY, 3.5, "give {it} in its place",
         lambda at: [Case(other.data, at.context.name(other)) for other in at.context.like(at.node)]),
]

RELATIONS = {  # how far-fetched it is to take one for the other; what to say of one, and of several
    "swapped": (1.4, ": the indices are swapped", "the weights with their indices swapped"),
    "layer": (2.0, ": that belongs to another layer", "those of another layer"),
    "neighbour": (2.5, "", ""),
    "": (3.2, "", ""),
}


def related(right: str, wrong: str) -> str:
    """The likeness of two labels of weights or neurons: a key of RELATIONS."""
    first, second = indices(right), indices(wrong)
    if first is None or second is None or first[0] != second[0]:
        return ""
    if first[1] == second[1]:
        row, column = (parts[2].split(",") for parts in (first, second))
        if len(row) == 2 and row[::-1] == column:
            return "swapped"
        return "" if len(row) == 2 and len(column) == 2 and all(a != b for a, b in zip(row, column)) else "neighbour"
    return "layer" if first[2] == second[2] else ""


class LocalError(NamedTuple):
    """A flaw at a place, in one of its cases; or at several places, the first of which is this."""

    flaw: Flaw
    at: Place
    case: Case
    places: tuple[Place, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """The same for one misunderstanding, wherever it happens."""
        return self.flaw, *self.case.key

    def __str__(self) -> str:
        flaw, case = self.flaw, self.case
        names = {**self.at.names(), "it": case.name, "hint": case.hint, "group": case.group}
        same = flaw.words.format_map(names)
        if not self.places:
            return same
        which = in_words(at.context.name(at.other if at.op in (ops.mul, ops.div) else at.node) for at in self.places)
        return flaw.several.format(same=same, which=which, **names)

    def candidate(self, value: float, *where: Any, rank: float = 0.0) -> Candidate:
        """The mistake with the answer that it leads to. where: what makes it the same in another answer."""
        flaw, case = self.flaw, self.case
        return Candidate(value, flaw.rank + case.rank + rank, flaw.kind, (*self.key, *where), self)


def local_errors(flaws: Iterable[Flaw], at: Place) -> Iterator[LocalError]:
    """All that may go wrong at a place."""
    for flaw in flaws:
        found = flaw.number(at)
        if found is not None:
            yield from (LocalError(flaw, at, case) for case in (found if isinstance(found, list) else [Case(found)]))


def flaws_along(at: Place) -> Iterator[Flaw]:
    """Flaws in the slope along an edge."""
    if is_function(at.node, at.i):
        yield from OF_FUNCTIONS
    elif at.op is ops.pow and at.i == 0 and at.other.op is CONSTANT:
        yield from OF_POWERS
    elif at.op in (ops.mul, ops.div):
        yield from OF_PRODUCTS
        yield from OF_NAMED_FACTORS if at.other.label or at.other.op is LEAF else ()
    yield from OF_SIGNS if at.local else ()


def flaws_of_argument(at: Place) -> Iterator[Flaw]:
    """Flaws in a value, at one of the arguments; with the last of two also those that concern both."""
    if is_function(at.node, at.i):
        yield from VALUES_OF_FUNCTIONS
    if len(at.args) == 2:
        yield from VALUES_OF_ARGUMENTS
        yield from VALUES_OF_OPERATIONS if at.i else ()
