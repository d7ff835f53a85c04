"""A formula tried at other points of a graph than its own: one that is right is right there, too.

At its own point a wrong formula may come out right, since y is 1, two inputs are equal or a term is 0. So all leaves
are moved, each by another share of itself; targets and inputs, too, which are constants with a label. A point is taken
where every node can be computed, on the side of each kink where it is at the graph's own point: there whoever writes 1
for relu′(z) is right. This module knows graphs and expressions, neither answers nor verdicts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import copysign, fabs, floor, isfinite, isnan, log10
from random import Random
from typing import Any, NamedTuple

from .. import ops
from ..engine import Value
from ..ops import CONSTANT, Ieee, Op, bare, carries
from .expression import NUMBER, Expression, Name
from .graph import Graph, Pass, onward_from, passes

LARGEST = 20_000   # nodes; a larger graph is not run with other numbers
COUNT = 4          # points
DIRECTIONS = 12    # tried for them
SHORTEST = 8       # how often a move is cut to a quarter where the graph cannot be computed at its end
READINGS = 2_000   # ways to take the numbers in a formula for those of nodes; where there are more, nobody can say
ROUNDED, ODD = 2, 3  # significant digits; a number of so many may be rounded from that of a node, and must be from some
SAME = 1e-9        # relative; what rounding alone does to the number of a node
LOST = 1e-11       # relative; how far y (1 − y) may be from the derivative of y, before a point is called saturated
PER_STEP = 1e-8    # relative; the rounding that is forgiven to each step of a formula,
OF_GRAPH = 1e-10   # and to the graph in all
BITS = 1e-15       # relative; what rounding does in fact, in each step

Meaning = Callable[[Pass], Mapping[str, float]]
Target = Callable[[Pass], tuple[float, float]]


# Where to try

class Points:
    """The points of one graph, found when they are first asked for. own: the graph's own one."""

    def __init__(self, graph: Graph, own: Pass) -> None:
        self.graph, self.own = graph, own
        self.found: dict[bool, list[Pass]] = {}
        self.numbers: list[tuple[float, Source]] = []

    def __call__(self, across_kinks: bool = False) -> list[Pass]:
        """The points; none where the graph is too large, or where none is found.

        across_kinks: where the graph's own point is exactly at a kink, on whatever side of it. Else what such a node
        depends on is not moved."""
        if across_kinks not in self.found:
            self.found[across_kinks] = list(self.drawn(across_kinks)) if len(self.graph.order) <= LARGEST else []
        return self.found[across_kinks]

    def drawn(self, across_kinks: bool) -> Iterator[Pass]:
        sides, at_kinks = self.sides()
        fixed = {} if across_kinks else self.below(at_kinks)
        leaves = [node for node in self.graph.order if not node.parents and node not in fixed
                  and (node.op is not CONSTANT or node.label)]
        whole = {exponent for node in self.graph.order if node.op is ops.pow
                 for base, exponent in [node.parents] if base.data < 0 and exponent.data == exponent.data // 1}
        rng, count, easiest = Random(0), 0, 0
        for _ in range(DIRECTIONS if leaves else 0):
            moves = moves_of({leaf: leaf.data for leaf in leaves}, whole, rng)
            for ease, moved in enumerate(moves):
                if ease < easiest or not self.fits(moved, sides):
                    continue
                numbers = passes(self.graph, moved, {})
                if all(isfinite(numbers.found[node]) or not isfinite(gradient)
                       for node, gradient in self.graph.gradients.items()):
                    easiest, count = ease, count + 1
                    yield numbers
                    break
            if count == COUNT:
                return

    def sides(self) -> tuple[dict[Value, Any], list[Value]]:
        """On which piece of its function each node is that has several, and those that are exactly between two."""
        sides, between = {}, []
        for node in self.graph.order:
            if node.op.kink is not None:
                args = [parent.data for parent in node.parents]
                if fabs(node.op.kink(*args)) > 1e-12 * max(map(fabs, args)):
                    sides[node] = side(node.op, args)
                else:
                    between.append(node)
        return sides, between

    def below(self, nodes: Sequence[Value]) -> dict[Value, None]:
        """These nodes, and those that they depend on."""
        found = dict.fromkeys(nodes)
        for node in reversed(self.graph.order):
            if node in found:
                found.update(dict.fromkeys(node.parents))
        return found

    def fits(self, moved: Mapping[Value, float], sides: Mapping[Value, Any]) -> bool:
        """Whether the graph can be computed from these leaves, on these sides, and no function is so flat there that
        its derivative by the book loses its digits."""
        values: dict[Value, float] = {}
        for node in self.graph.order:
            op, args = node.op, [values[parent] for parent in node.parents]
            values[node] = y = op.value(*args) if args else moved.get(node, node.data)
            if not isfinite(y) or (node in sides and side(op, args) != sides[node]):
                return False
            for i, parent in enumerate(node.parents if op.book else ()):
                slope = op.slope(i, y, *args)
                if parent.op is not CONSTANT and fabs(op.slope_by_book(i, y, *args) - slope) > LOST * fabs(slope):
                    return False
        return True

    def sources(self, number: float, half: float) -> Iterator[Source]:
        """The nodes that have this number, or its negative, at the graph's own point; rounded by so much at most."""
        if not self.numbers:
            self.numbers = sorted(((fabs(source.at(self.own)), source) for source in self.all_sources()),
                                  key=lambda entry: entry[0])
        reach = max(half, SAME * number)
        low = bisect_left(self.numbers, number - reach, key=lambda entry: entry[0])
        high = bisect_right(self.numbers, number + reach, key=lambda entry: entry[0])
        for _, source in self.numbers[low:high]:
            yield source if source.at(self.own) * number >= 0 else replace(source, sign=-1)

    def all_sources(self) -> Iterator[Source]:
        for node in self.graph.order:
            if node.op is not CONSTANT or node.label:
                yield Source("value", node)
                yield Source("rest", node)
            if node.op is not CONSTANT:
                yield Source("gradient", node)
            for i, parent in enumerate(node.parents):
                if parent.op is not CONSTANT:
                    yield Source("local", node, i)


def side(op: Op, args: Sequence[float]) -> tuple[Any, ...]:
    """The piece of a function with kinks that these arguments are on."""
    kink = op.kink(*args) if op.kink is not None else 0.0
    jumps = not any(carries(op, i) for i in range(op.arity))
    return kink > 0, kink < 0, op.value(*args) if jumps else ops.floordiv.value(*args) if op is ops.mod else None


def moves_of(start: Mapping[Value, float], whole: set[Value], rng: Random) -> Iterator[dict[Value, float]]:
    """Where the leaves go, all in one direction: first some way off, then to where numbers are of the size of 1, then
    nearly to 0, where nothing is saturated; and then ever less far off. No sign changes. whole: exponents of what is
    negative, which stay whole, and odd or even."""
    share = {leaf: rng.choice((-1, 1)) * rng.uniform(0.2, 0.6) for leaf in start}
    size = {leaf: rng.uniform(0.3, 1.2) for leaf in start}
    steps = {leaf: 2 * rng.randint(1, 2) for leaf in start}

    def move(to: Callable[[Value, float], float]) -> dict[Value, float]:
        return {leaf: x + steps[leaf] if leaf in whole else to(leaf, x) for leaf, x in start.items()}

    def off(leaf: Value, x: float) -> float:
        return x * (1 + share[leaf]) if x else copysign(size[leaf], share[leaf])

    def of_size_1(leaf: Value, x: float) -> float:
        return copysign(size[leaf], x or share[leaf])

    def between(t: float, leaf: Value, x: float) -> float:
        return x + t * (off(leaf, x) - x)

    yield move(lambda leaf, x: short(off(leaf, x)))
    yield move(lambda leaf, x: short(of_size_1(leaf, x)))
    yield move(lambda leaf, x: short(0.2 * off(leaf, x)))
    for i in range(1, SHORTEST + 1):
        yield move(partial(between, 4.0 ** -i))


def short(x: float) -> float:
    """A number that is quickly typed, by whoever looks a point up."""
    return float(f"{x:.3g}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where somebody may have a number from: the value of a node, 1 less that, its gradient, a local derivative."""

    kind: str
    node: Value
    i: int = 0
    sign: int = 1

    def at(self, numbers: Pass) -> float:
        """The number at a point."""
        match self.kind:
            case "value": found = numbers.values[self.node]
            case "rest": found = 1 - numbers.values[self.node]
            case "gradient": found = numbers.found[self.node]
            case _: found = numbers.locals[self.node][self.i]
        return self.sign * found


def slope_between(graph: Graph, numbers: Pass, y: Value, x: Value) -> float:
    """∂y/∂x at a point, for any two nodes of a graph."""
    onward = onward_from(y, graph.order)
    sent = dict.fromkeys(onward, 0.0)
    for node, edges in onward.items():
        if node is y:
            sent[y] = 1.0
        for edge in edges:
            sent[edge.parent] += numbers.locals[node][edge.i] * sent[node]
    return sent.get(x, 0.0)


def size_of(graph: Graph, numbers: Pass, x: Value, forward: bool) -> float:
    """The size of what the value or the gradient of a node is added up from: its rounding is in proportion to that."""
    if forward:
        return fabs(numbers.values[x]) + sum(fabs(slope * numbers.values[parent])
                                             for slope, parent in zip(numbers.locals[x], x.parents))
    sizes = dict.fromkeys(graph.order, 0.0)
    sizes[graph.root] = 1.0
    for node, edges in graph.onward.items():
        for edge in edges:
            sizes[edge.parent] += fabs(numbers.locals[node][edge.i]) * sizes[node]
    return sizes[x]


# What to try

class Measured(Ieee):
    """A number with what it may be off by: size, in proportion to what its steps round to; and off, as numbers in the
    formula are rounded."""

    __slots__ = ("size", "off")

    def __init__(self, x: float, size: float, off: float = 0.0) -> None:
        self.x, self.size, self.off = x, size, off

    def __op__(self, op: Op, args: Sequence[Any]) -> Measured:
        numbers = [bare(arg) for arg in args]
        y = op.value(*numbers)
        size, off = fabs(y), 0.0
        for i, arg in enumerate(args):
            if isinstance(arg, Measured):
                slope = fabs(op.slope(i, y, *numbers))
                size += slope * arg.size if arg.size and slope == slope else 0.0  # a negative base has no slope in the
                off += slope * arg.off if arg.off and slope == slope else 0.0     # exponent
        return Measured(y, size, off)


class Literal(NamedTuple):
    """A number in a formula. half: half a unit of its last digit, where it has so many that it may be rounded. sources:
    where it may be from; None for itself."""

    number: float
    half: float
    sources: list[Source | None]

    def at(self, numbers: Pass, source: Source | None, rounded: bool) -> Measured:
        """What it is at a point, if it is from there."""
        if source is None:
            return Measured(self.number, 0.0, self.half * rounded)
        x = source.at(numbers)
        return Measured(x, fabs(x))


class Failure(NamedTuple):
    """A point where a formula is wrong: what it gives, what is right."""

    numbers: Pass
    found: float
    right: float

    @property
    def shown(self) -> float:
        """How clearly it shows, from 0 to 1."""
        return fabs(self.found - self.right) / (fabs(self.found) + fabs(self.right))


class Trial:
    """A formula that is to be tried at points. A number in it may stand for itself, or for any node that has it at the
    graph's own point; at each place for another."""

    def __init__(self, points: Points, expression: Expression) -> None:
        self.literals: dict[str, Literal] = {}
        self.unknown = False  # whether some number in it was worked out, and nobody knows from what
        digits = digits_written(expression.text)
        constants = {node.data for node in points.graph.order if node.op is CONSTANT}
        program: list[Any] = []
        for step in expression.program:
            if isinstance(step, float) and step and isfinite(step):
                many = digits.get(fabs(step), 0)
                half = 0.5 * 10.0 ** (floor(log10(fabs(step))) - many + 1) if many >= ROUNDED else 0.0
                sources = distinct(points.sources(step, half), step, points())
                self.unknown |= many >= ODD and not sources and step not in constants
                name = f"number {len(program)}"
                self.literals[name] = Literal(step, half if many >= ODD else 0.0, [None, *sources])
                program.append(Name(name, 0))
            else:
                program.append(step)
        self.expression = replace(expression, program=tuple(program))

    def __call__(self, points: Sequence[Pass], meaning: Meaning, target: Target, rounded: bool) -> Failure | bool:
        """True if the formula is right at all points, by one reading of its numbers; the point that shows best that it
        is wrong; False where nobody can say.

        meaning: the numbers of the names at a point. target: what is right there, and the size of what that is added up
        from. rounded: whether numbers in the formula may be rounded."""
        places = [(point, {name: Measured(x, fabs(x)) for name, x in meaning(point).items()}, *target(point))
                  for point in points]
        wrong: list[Failure] = []
        for count, reading in enumerate(product(*(literal.sources for literal in self.literals.values()))):
            if count == READINGS:
                return False
            said = right = 0
            for point, values, expected, size in places:
                numbers = {name: literal.at(point, source, rounded)
                           for (name, literal), source in zip(self.literals.items(), reading)}
                found = measured(self.expression, {**values, **numbers})
                allowed = PER_STEP * found.size + OF_GRAPH * size + 1.5 * found.off
                if not isfinite(found.x) or not isfinite(allowed):
                    continue
                said += 1
                if fabs(found.x - expected) <= allowed:
                    right += 1
                elif count:
                    break
                else:
                    wrong.append(Failure(point, found.x, expected))
            if right == said:
                return said > 0
        return False if self.unknown else max(wrong, key=lambda failure: failure.shown)


def digits_written(text: str) -> dict[float, int]:
    """How many significant digits each number in a text has, zeros at its end included."""
    found: dict[float, int] = {}
    for match in NUMBER.finditer(text):
        digits = match[0].lower().partition("e")[0].replace(".", "").lstrip("0")
        found[float(match[0])] = max(len(digits), found.get(float(match[0]), 0))
    return found


def distinct(sources: Iterable[Source], number: float, points: Sequence[Pass]) -> list[Source]:
    """Those that differ from the number itself, and from each other, at some point."""
    kept = {(number,) * len(points): None} | {tuple(source.at(point) for point in points): source for source in sources}
    return [source for source in kept.values() if source]


def measured(expression: Expression, values: Mapping[str, Measured]) -> Measured:
    """The number of an expression, with what it may be off by."""
    found: Any = expression.evaluate(values)  # type: ignore[arg-type]
    return found if isinstance(found, Measured) else Measured(float(found), 0.0)


def is_lost(expression: Expression, values: Mapping[str, float], right: float) -> bool:
    """Whether an expression has no number, or only rounding lies between its number and the right one."""
    found = measured(expression, {name: Measured(x, fabs(x)) for name, x in values.items()})
    return isnan(found.x) or fabs(found.x - right) <= BITS * found.size
