"""Other points of a graph than its own, at which formulas are tried: one that is right is right there, too.

At its own point a wrong formula may come out right, since y is 1, two inputs are equal or a term is 0. So all leaves
are moved, each by another share of itself; targets and inputs, too, which are constants with a label. A point is taken
where every node can be computed, on the side of each kink where it is at the graph's own point: there whoever writes 1
for relu′(z) is right. This module knows graphs, not formulas.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import copysign, fabs, isclose, isfinite, nan
from random import Random
from typing import Any

from .. import ops
from ..engine import Value
from ..formulas.graph import Graph, Pass, onward_from, passes
from ..formulas.labels import word_of
from ..ops import CONSTANT, Op
from ..rows import carries

LARGEST = 20_000   # nodes; a larger graph is not run with other numbers
COUNT = 4          # points
FURTHER = 12       # more of them, for a formula that cannot be computed at these
DIRECTIONS = 24    # tried for them
SHORTEST = 8       # how often a move is cut to a quarter where the graph cannot be computed at its end
SAME = 1e-9        # relative; what rounding alone does to the number of a node
LOST = 1e-11       # relative; how far y (1 − y) may be from the derivative of y, before a point is called saturated


# Where to try

@dataclass(frozen=True, slots=True)
class Probe(Pass):
    """The numbers of a graph at another point."""

    sizes: dict[Value, float]  # of what each gradient is added up from: its rounding is in proportion to that

    def right(self, node: Value, forward: bool) -> tuple[float, float]:
        """The value or the gradient of a node, and the size of what it is added up from."""
        if not forward:
            return self.found[node], self.sizes[node]
        terms = (fabs(slope * self.values[parent]) for slope, parent in zip(self.locals[node], node.parents))
        return self.values[node], fabs(self.values[node]) + sum(terms)


Side = tuple[Any, ...]  # of a function with kinks


class Points:
    """The points of one graph, found when they are first asked for. own: the graph's own one."""

    def __init__(self, graph: Graph, own: Pass) -> None:
        self.graph, self.own = graph, own
        self.leaves = [leaf for leaf in graph.order if not leaf.parents and (leaf.op is not CONSTANT or leaf.label)]
        self.found: dict[bool, list[Probe]] = {}
        self.single: dict[Value, Probe | None] = {}
        self.constants = {node.data for node in graph.order if node.op is CONSTANT}
        self.has_powers = any(node.op is ops.pow and node.parents[1].op is not CONSTANT for node in graph.order)

    def __call__(self, across_kinks: bool = False) -> list[Probe]:
        """The points; none where the graph is too large, or where none is found.

        across_kinks: where the graph's own point is exactly at a kink, on whatever side of it. Else on the side that
        has the same slopes; where neither has, what the node depends on is not moved."""
        if len(self.graph.order) > LARGEST:
            return []
        if across_kinks not in self.found:
            free = {node: allowed for node, allowed in self.sides.items() if len(allowed) == 1}
            found = [*self.drawn(free, {})] if across_kinks else [*self.drawn(self.sides, self.undecided)]
            at_kinks = self.below(node for node in self.sides if at_kink(node.op, arguments(node)))
            self.found[across_kinks] = found or [*self.drawn(self.sides, at_kinks)]
        return self.found[across_kinks]

    @cached_property
    def further(self) -> list[Probe]:
        """More points, for a formula that has no number at the others: x**a, where x is negative. Signs change."""
        return [*self.drawn(self.sides, self.undecided, further=True)] if self() else []

    @cached_property
    def sides(self) -> dict[Value, list[Side]]:
        """The pieces of its function that each node with several of them may be on."""
        return {node: sides_of(node.op, arguments(node)) for node in self.graph.order if node.op.kink is not None}

    @property
    def undecided(self) -> dict[Value, None]:
        """The nodes that have on neither side of a kink the slopes that they have here, and what these depend on."""
        return self.below(node for node, allowed in self.sides.items() if not allowed)

    def drawn(self, sides: Mapping[Value, list[Side]], fixed: Mapping[Value, None], further: bool = False,
              ) -> Iterator[Probe]:
        """Points on these sides."""
        order = self.graph.order
        leaves = [leaf for leaf in self.leaves if leaf not in fixed]
        whole = {node.parents[1] for node in order if node.op is ops.pow and node.parents[0].data < 0}
        shares = self.shares(leaves)
        rng, count, easiest = Random(further), 0, 0
        for _ in range(DIRECTIONS if leaves else 0):
            start = {leaf: leaf.data * (rng.choice((-1, 1)) if further and leaf not in whole else 1) for leaf in leaves}
            for ease, moved in enumerate(moves_of(start, whole, rng)):
                for group in shares:
                    share_out(moved, group)
                point = self.point(moved, sides) if ease >= easiest else None
                if point:
                    easiest, count = ease, count + 1
                    yield point
                    break
            if count == (FURTHER if further else COUNT):
                return

    def point(self, moved: Mapping[Value, float], sides: Mapping[Value, list[Side]]) -> Probe | None:
        """The point where these leaves have moved to, if the graph can be computed there."""
        if not self.fits(moved, sides):
            return None
        numbers = passes(self.graph, moved, {})
        if any(isfinite(gradient) and not isfinite(numbers.found[node])
               for node, gradient in self.graph.gradients.items()):
            return None
        return Probe(numbers.values, numbers.computed, numbers.locals, numbers.gradients, numbers.found,
                     self.sizes(numbers))

    def alone(self, leaf: Value) -> Probe | None:
        """A point where only this leaf has moved, those that are 0, which would hide much, and the shares of a whole;
        None where they cannot."""
        if leaf not in self.single:
            shared = [one for group in self.shares(self.leaves) for one in group]
            too = [*shared, *(one for one in self.leaves if one.data == 0)]
            places = [point.values for point in self() if point.values[leaf] != leaf.data]
            found = (self.point({one: values[one] for one in (leaf, *too)}, self.sides) for values in places)
            self.single[leaf] = next(filter(None, found), None)
        return self.single[leaf]

    def shares(self, leaves: Sequence[Value]) -> list[list[Value]]:
        """The leaves that are the shares of a whole, as the probabilities of a cross-entropy are: p − y is right for no
        others. Weights that happen to be 1 in all are none."""
        return [group for group in groups(leaves) if sums_to_1(group) and all(map(self.weighs_a_logarithm, group))]

    def weighs_a_logarithm(self, leaf: Value) -> bool:
        """True if all that becomes of a leaf is a factor of a logarithm, as y is in −y log p, but not in 1 − y."""
        factors, found = [leaf], False
        for factor in factors:
            for edge in self.graph.uses[factor]:
                if edge.node.op is ops.mul and is_logarithm(edge.node.parents[1 - edge.i]):
                    found = True
                elif edge.node.op in (ops.mul, ops.neg):
                    factors.append(edge.node)
                elif edge.node.op not in (ops.log, ops.div):
                    return False
        return found

    def below(self, nodes: Iterable[Value]) -> dict[Value, None]:
        """These nodes, and those that they depend on."""
        found = dict.fromkeys(nodes)
        for node in reversed(self.graph.order):
            if node in found:
                found.update(dict.fromkeys(node.parents))
        return found

    def fits(self, moved: Mapping[Value, float], sides: Mapping[Value, list[Side]]) -> bool:
        """True if the graph can be computed from these leaves, on these sides, and no function is so flat there that
        its derivative by the book loses its digits."""
        values: dict[Value, float] = {}
        for node in self.graph.order:
            op, args = node.op, [values[parent] for parent in node.parents]
            values[node] = y = op.value(*args) if args else moved.get(node, node.data)
            if not isfinite(y) or (node in sides and sides[node] and side(op, args) not in sides[node]):
                return False
            for i, parent in enumerate(node.parents if op.book else ()):
                slope = op.slope(i, y, *args)
                off = fabs(op.slope_by_book(i, y, *args) - slope)
                if parent.op is not CONSTANT and (off > LOST * fabs(slope) or (slope == 0 and op.kink is None)):
                    return False
        return True

    def sizes(self, numbers: Pass) -> dict[Value, float]:
        """The gradients as they would be, if nothing were negative."""
        found = dict.fromkeys(self.graph.order, 0.0)
        found[self.graph.root] = 1.0
        for node, edges in self.graph.onward.items():
            for edge in edges:
                found[edge.parent] += fabs(numbers.locals[node][edge.i]) * found[node]
        return found

    def sources(self, number: float, half: float) -> Iterator[Source]:
        """The nodes that have this number, or its negative, at the graph's own point; rounded by so much at most. One
        that cannot be rounded is from a node with a name; or it is 0, as the slope of a saturated function is."""
        reach = max(half, SAME * fabs(number))
        low = bisect_left(self.numbers, fabs(number) - reach, key=lambda entry: entry[0])
        high = bisect_right(self.numbers, fabs(number) + reach, key=lambda entry: entry[0])
        for _, source in self.numbers[low:high]:
            named = source.kind in ("value", "gradient") and (source.node.label or not source.node.parents)
            if half or named or (source.kind == "local" and number == 0):
                yield source if source.at(self.own) * number >= 0 else replace(source, sign=-1)

    @cached_property
    def numbers(self) -> list[tuple[float, Source]]:
        """The sizes of the numbers that there are, in order, each with where it is."""
        numbers = ((fabs(source.at(self.own)), source) for source in self.all_sources())
        return sorted((entry for entry in numbers if isfinite(entry[0])), key=lambda entry: entry[0])

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


def arguments(node: Value) -> list[float]:
    return [parent.data for parent in node.parents]


def kink_of(op: Op, args: Sequence[float]) -> float:
    """The function that is 0 at a kink; nan where a user's own raises an error."""
    try:
        return float(op.kink(*args)) if op.kink is not None else 1.0
    except (TypeError, ValueError, ArithmeticError):
        return nan


def at_kink(op: Op, args: Sequence[float]) -> bool:
    """True if these arguments are at a kink, or as near as rounding brings them."""
    return op.kink is not None and not fabs(kink_of(op, args)) > 1e-12 * max(map(fabs, args))


def side(op: Op, args: Sequence[float]) -> Side:
    """The piece of a function with kinks that these arguments are on."""
    kink = kink_of(op, args)
    jumps = not any(carries(op, i) for i in range(op.arity))
    return kink > 0, kink < 0, op.value(*args) if jumps else ops.floordiv.value(*args) if op is ops.mod else None


def sides_of(op: Op, args: Sequence[float]) -> list[Side]:
    """The pieces where a function has the slopes that it has here: at the kink of relu that for negative numbers, at
    that of max none, or both, where it has the same on both sides."""
    if not at_kink(op, args):
        return [side(op, args)]

    def slopes(args: Sequence[float]) -> list[float]:
        y = op.value(*args)
        return [y, *(op.slope(i, y, *args) for i in range(op.arity))]

    here, h = slopes(args), 1e-6 * max(1.0, *map(fabs, args))
    beside = [[args[0] + step, *args[1:]] for step in (-h, h)]
    return [side(op, near) for near in beside
            if all(fabs(a - b) <= 1e-3 * (1 + fabs(a)) for a, b in zip(here, slopes(near)))]


def groups(leaves: Sequence[Value]) -> Iterator[list[Value]]:
    """Leaves of one letter, y1 and y2; of each sample by itself."""
    open_now: dict[str, list[Value]] = {}
    for leaf in filter(lambda leaf: leaf.label, leaves):
        group = open_now.setdefault(word_of(leaf.label), [])
        if any(other.label == leaf.label for other in group):
            yield group
            group = open_now[word_of(leaf.label)] = []
        group.append(leaf)
    yield from open_now.values()


def sums_to_1(group: Sequence[Value]) -> bool:
    """True if these may be the shares of a whole."""
    return len(group) > 1 and min(leaf.data for leaf in group) >= 0 and isclose(sum(leaf.data for leaf in group), 1)


def is_logarithm(node: Value) -> bool:
    """True if a node is a logarithm, or has one as a term."""
    terms, met = [node], {node: None}
    for term in terms:
        if term.op in (ops.log, ops.log1p):
            return True
        if term.op in (ops.add, ops.sub, ops.neg):
            terms += [parent for parent in dict.fromkeys(term.parents) if parent not in met]
            met.update(dict.fromkeys(term.parents))
    return False


def share_out(moved: dict[Value, float], group: Sequence[Value]) -> None:
    """Make numbers the shares of a whole."""
    total = sum(fabs(moved[leaf]) for leaf in group)
    *others, last = group
    moved.update((leaf, fabs(moved[leaf]) / total) for leaf in others)
    moved[last] = 1 - sum(moved[leaf] for leaf in others)


def moves_of(start: Mapping[Value, float], whole: set[Value], rng: Random) -> Iterator[dict[Value, float]]:
    """Moves of the leaves, all in one direction: first some way off, then to where numbers are of the size of 1, then
    nearly to 0, where nothing is saturated; and then ever less far off. No sign changes. whole: exponents of what is
    negative, which stay whole, and odd or even."""
    share = {leaf: rng.choice((-1, 1)) * rng.uniform(0.2, 0.6) for leaf in start}
    size = {leaf: rng.uniform(0.3, 1.2) for leaf in start}
    steps = {leaf: 2 * rng.randint(1, 2) for leaf in start}

    def move(to: Callable[[Value, float], float]) -> dict[Value, float]:
        return {leaf: x + steps[leaf] if leaf in whole and x == x // 1 else to(leaf, x) for leaf, x in start.items()}

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
    """A place that a number may be from: the value of a node, 1 less that, its gradient, a local derivative."""

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


def computed_from(graph: Graph, x: Value) -> dict[Value, None]:
    """A node and all that its number goes into."""
    found = {x: None}
    for node in graph.order:
        if any(parent in found for parent in node.parents):
            found[node] = None
    return found
