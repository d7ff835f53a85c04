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
from itertools import compress, product
from math import copysign, fabs, floor, isclose, isfinite, isnan, log10, nan, prod
from random import Random
from typing import Any, NamedTuple, Union

from .. import ops
from ..engine import Value
from ..formulas.graph import Graph, Pass, onward_from, passes
from ..formulas.layout import word_of
from ..formulas.parse import NUMBER, Expression, Name, Slope
from ..ops import CONSTANT, Op
from ..rows import Ieee, bare, carries

LARGEST = 20_000   # nodes; a larger graph is not run with other numbers
COUNT = 4          # points
FURTHER = 12       # more of them, for a formula that cannot be computed at these
DIRECTIONS = 24    # tried for them
SHORTEST = 8       # how often a move is cut to a quarter where the graph cannot be computed at its end
READINGS = 20_000  # ways to take the numbers in a formula for those of nodes, which are all tried
FEW = 2_000        # so many are not narrowed first
ALONE = 40         # leaves that are moved one by one, to see which ways are not right
ROUNDED, ODD = 2, 3  # significant digits; a number of so many may be rounded from that of a node, and must be from some
SAME = 1e-9        # relative; what rounding alone does to the number of a node
LOST = 1e-11       # relative; how far y (1 − y) may be from the derivative of y, before a point is called saturated
PER_STEP = 1e-8    # relative; the rounding that is forgiven to each step of a formula,
PLAIN = 1e-4, 0.05  # relative; so much is wrong, whatever steps round to; and numbers in the formula
OF_GRAPH = 1e-10   # and to the graph in all
BITS = 1e-15       # relative; what rounding does in fact, in each step


# Where to try

@dataclass(frozen=True, slots=True)
class Point(Pass):
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
        self.found: dict[bool, list[Point]] = {}
        self.more: list[Point] | None = None
        self.single: dict[Value, Point | None] = {}
        self.numbers: list[tuple[float, Source]] = []
        self.constants = {node.data for node in graph.order if node.op is CONSTANT}
        self.has_powers = any(node.op is ops.pow and node.parents[1].op is not CONSTANT for node in graph.order)

    def __call__(self, across_kinks: bool = False) -> list[Point]:
        """The points; none where the graph is too large, or where none is found.

        across_kinks: where the graph's own point is exactly at a kink, on whatever side of it. Else on the side that
        has the same slopes; where neither has, what the node depends on is not moved."""
        if len(self.graph.order) > LARGEST:
            return []
        if across_kinks not in self.found:
            sides = self.sides()
            free = {node: allowed for node, allowed in sides.items() if len(allowed) == 1}
            undecided = [node for node, allowed in sides.items() if not allowed]
            found = list(self.drawn(free, {})) if across_kinks else list(self.drawn(sides, self.below(undecided)))
            at_kinks = [node for node in sides if at_kink(node.op, arguments(node))]
            self.found[across_kinks] = found or list(self.drawn(sides, self.below(at_kinks)))
        return self.found[across_kinks]

    def further(self) -> list[Point]:
        """More points, for a formula that has no number at the others: x**a, where x is negative. Signs change."""
        if self.more is None:
            sides = self.sides()
            fixed = self.below([node for node, allowed in sides.items() if not allowed])
            self.more = [*self.drawn(sides, fixed, further=True)] if self() else []
        return self.more

    def sides(self) -> dict[Value, list[Side]]:
        """The pieces of its function that each node with several of them may be on."""
        return {node: sides_of(node.op, arguments(node)) for node in self.graph.order if node.op.kink is not None}

    def drawn(self, sides: Mapping[Value, list[Side]], fixed: Mapping[Value, None], further: bool = False,
              ) -> Iterator[Point]:
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

    def point(self, moved: Mapping[Value, float], sides: Mapping[Value, list[Side]]) -> Point | None:
        """The point where these leaves have moved to, if the graph can be computed there."""
        if not self.fits(moved, sides):
            return None
        numbers = passes(self.graph, moved, {})
        if any(isfinite(gradient) and not isfinite(numbers.found[node])
               for node, gradient in self.graph.gradients.items()):
            return None
        return Point(numbers.values, numbers.computed, numbers.locals, numbers.gradients, numbers.found,
                     self.sizes(numbers))

    def alone(self, leaf: Value) -> Point | None:
        """A point where only this leaf has moved, those that are 0, which would hide much, and the shares of a whole;
        None where they cannot."""
        if leaf not in self.single:
            shared = [one for group in self.shares(self.leaves) for one in group]
            too = [*shared, *(one for one in self.leaves if one.data == 0)]
            places = [point.values for point in self() if point.values[leaf] != leaf.data]
            found = (self.point({one: values[one] for one in (leaf, *too)}, self.sides()) for values in places)
            self.single[leaf] = next(filter(None, found), None)
        return self.single[leaf]

    def shares(self, leaves: Sequence[Value]) -> list[list[Value]]:
        """The leaves that are the shares of a whole, as the probabilities of a cross-entropy are: p − y is right for no
        others. Weights that happen to be 1 in all are none."""
        return [group for group in groups(leaves) if sums_to_1(group) and all(map(self.weighs_a_logarithm, group))]

    def weighs_a_logarithm(self, leaf: Value) -> bool:
        """Whether all that becomes of a leaf is a factor of a logarithm, as y is in −y log p, but not in 1 − y."""
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

    def below(self, nodes: Sequence[Value]) -> dict[Value, None]:
        """These nodes, and those that they depend on."""
        found = dict.fromkeys(nodes)
        for node in reversed(self.graph.order):
            if node in found:
                found.update(dict.fromkeys(node.parents))
        return found

    def fits(self, moved: Mapping[Value, float], sides: Mapping[Value, list[Side]]) -> bool:
        """Whether the graph can be computed from these leaves, on these sides, and no function is so flat there that
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
        """What the gradients would be, if nothing were negative."""
        found = dict.fromkeys(self.graph.order, 0.0)
        found[self.graph.root] = 1.0
        for node, edges in self.graph.onward.items():
            for edge in edges:
                found[edge.parent] += fabs(numbers.locals[node][edge.i]) * found[node]
        return found

    def sources(self, number: float, half: float) -> Iterator[Source]:
        """The nodes that have this number, or its negative, at the graph's own point; rounded by so much at most. One
        that cannot be rounded is from a node with a name; or it is 0, as the slope of a saturated function is."""
        if not self.numbers:
            numbers = ((fabs(source.at(self.own)), source) for source in self.all_sources())
            self.numbers = sorted((entry for entry in numbers if isfinite(entry[0])), key=lambda entry: entry[0])
        reach = max(half, SAME * fabs(number))
        low = bisect_left(self.numbers, fabs(number) - reach, key=lambda entry: entry[0])
        high = bisect_right(self.numbers, fabs(number) + reach, key=lambda entry: entry[0])
        for _, source in self.numbers[low:high]:
            named = source.kind in ("value", "gradient") and (source.node.label or not source.node.parents)
            if half or named or (source.kind == "local" and number == 0):
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


def arguments(node: Value) -> list[float]:
    return [parent.data for parent in node.parents]


def kink_of(op: Op, args: Sequence[float]) -> float:
    """The function that is 0 at a kink; nan where a user's own raises an error."""
    try:
        return float(op.kink(*args)) if op.kink is not None else 1.0
    except (TypeError, ValueError, ArithmeticError):
        return nan


def at_kink(op: Op, args: Sequence[float]) -> bool:
    """Whether these arguments are at a kink, or as near as rounding brings them."""
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
    """Whether these may be the shares of a whole."""
    return len(group) > 1 and min(leaf.data for leaf in group) >= 0 and isclose(sum(leaf.data for leaf in group), 1)


def is_logarithm(node: Value) -> bool:
    """Whether a node is a logarithm, or has one as a term."""
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
    """Where the leaves go, all in one direction: first some way off, then to where numbers are of the size of 1, then
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


Meaning = Callable[[Point], Mapping[str, float]]
Target = Callable[[Point], tuple[float, float]]


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


def computed_from(graph: Graph, x: Value) -> dict[Value, None]:
    """A node and all that its number goes into."""
    found = {x: None}
    for node in graph.order:
        if any(parent in found for parent in node.parents):
            found[node] = None
    return found


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


Reading = Sequence[Union[Source, None]]  # for each number in a formula, where it is from; None for itself
Choice = Sequence[Sequence[Union[Source, None]]]  # for each, where it may be from


class Literal(NamedTuple):
    """A number in a formula. half: half a unit of its last digit, where it has so many that it may be rounded. sources:
    where it may be from; None for itself."""

    number: float
    half: float
    sources: list[Source | None]


class Failure(NamedTuple):
    """A point where a formula is wrong: what it gives, what is right."""

    numbers: Point
    found: float
    right: float

    @property
    def shown(self) -> float:
        """How clearly it shows, from 0 to 1."""
        return fabs(self.found - self.right) / (fabs(self.found) + fabs(self.right))


class Place(NamedTuple):
    """A point, with the numbers of the names there, what is right there, and the size of what that is added up from."""

    numbers: Point
    values: Mapping[str, float]
    expected: float
    size: float

    def plainly_wrong(self, found: float, rounded: bool) -> bool:
        """Whether a number is so far off that there is no need to ask what rounding may have done."""
        return fabs(found - self.expected) > PLAIN[rounded] * (fabs(found) + fabs(self.expected) + self.size)


class Trial:
    """A formula that is to be tried at points. A number in it may stand for itself, or for any node that has it at the
    graph's own point; at each place for another."""

    def __init__(self, points: Points, asked: Source, expression: Expression, names: Iterable[Value]) -> None:
        """asked: what it is for. names: the nodes of which values are in the expression."""
        self.points, self.asked, self.named = points, asked, [*names]
        self.above = computed_from(points.graph, asked.node)
        factors = factors_of(expression)
        self.literals: dict[str, Literal] = {}
        self.unknown = False  # whether some number in it was worked out, and nobody knows from what
        digits = digits_written(expression.text)
        program: list[Any] = []
        for place, (step, then) in enumerate(zip(expression.program, [*expression.program[1:], None])):
            if isinstance(step, float) and isfinite(step) and (then is not ops.pow or points.has_powers):
                many = digits.get(fabs(step), 0)
                half = half_unit(step, many) if many >= ROUNDED else 0.0
                found = [*points.sources(step, half)]
                by_chance = len(points.numbers) > 3 * 10 ** (many - 1)
                self.unknown |= many >= ODD and step not in points.constants and (not found or by_chance)
                likely = [source for source in found if not self.is_answer(source)
                          and (many >= ROUNDED or self.is_likely(source, place in factors))]
                name = f"number {len(program)}"
                self.literals[name] = Literal(step, half if many >= ODD else 0.0, distinct(likely, step, points()))
                program.append(Name(name, 0))
            else:
                program.append(step)
        self.expression = replace(expression, program=tuple(program))
        sources = [source.node for literal in self.literals.values() for source in literal.sources if source]
        used = [node for node in (*self.named, *sources) if not node.parents]
        self.leaves = [*dict.fromkeys([*used, *points.leaves])][:ALONE]

    def __call__(self, points: Sequence[Point], meaning: Meaning, target: Target, rounded: bool) -> Failure | bool:
        """True if the formula is right at all points, by one reading of its numbers; the point that shows best that it
        is wrong; False where nobody can say.

        meaning: the numbers of the names at a point. target: what is right there, and the size of what that is added up
        from. rounded: whether numbers in the formula may be rounded."""
        as_it_is = (None,) * len(self.literals)

        def tried(points: Iterable[Point]) -> Iterator[tuple[Place, bool | None]]:
            for point in points:
                place = Place(point, meaning(point), *target(point))
                yield place, self.fits(place, as_it_is, rounded)

        outcomes = [*tried(points)]
        if points and all(fits is None for _, fits in outcomes):
            outcomes = [*tried(self.points.further())]
        places = [place for place, _ in outcomes]
        wrong = [place for place, fits in outcomes if fits is False]
        if not wrong:
            return any(fits for _, fits in outcomes)
        choices: list[Choice] = [[literal.sources for literal in self.literals.values()]]
        if count(choices[0]) > FEW:
            alone = filter(None, map(self.points.alone, self.leaves))
            choices = self.narrowed(choices, (Place(point, meaning(point), *target(point)) for point in alone), rounded)
            if sum(map(count, choices)) > READINGS:
                return False
        for choice in choices:
            for reading in self.readings(wrong, choice, rounded):
                fits = [self.fits(place, reading, rounded) for place in places]
                if False not in fits and True in fits:
                    return True
        if self.unknown:
            return False
        failures = [Failure(place.numbers, self.value(place, as_it_is), place.expected) for place in wrong]
        return max(failures, key=lambda failure: failure.shown)

    def is_answer(self, source: Source) -> bool:
        """Whether a number may only be from what is asked for, or from what is worked out from that and is the same:
        with it any formula would be right."""
        asked = self.asked
        if source.kind != asked.kind:
            return False
        if asked.kind == "value":
            return source.node in self.above
        return source.node is asked.node or (source.node not in self.above and all(
            fabs(source.at(point)) == fabs(asked.at(point)) for point in self.points()))

    def is_likely(self, source: Source, is_factor: bool) -> bool:
        """Whether a number that is too short to be rounded may be from here. A derivative is a factor, by the chain
        rule, and from above; and the 1 of 1 − a and the 2 of a square are no computed numbers that have a name in the
        same formula."""
        if source.kind != "value":
            return is_factor and source.node in self.above
        return not (source.node.parents and source.node in self.named and fabs(source.node.data) in (0, 1, 2))

    def given(self, place: Place, reading: Reading) -> dict[str, float]:
        """The numbers of all names at a point."""
        numbers = {name: self.number_at(place, name, source) for name, source in zip(self.literals, reading)}
        return {**place.values, **numbers}

    def value(self, place: Place, reading: Reading) -> float:
        return float(self.expression.evaluate(self.given(place, reading)))

    def fits(self, place: Place, reading: Reading, rounded: bool) -> bool | None:
        """Whether the formula is right at a point; None where it has no number, or one that says nothing."""
        found = self.value(place, reading)
        off = fabs(found - place.expected)
        if off <= SAME * fabs(place.expected):
            return True
        if place.plainly_wrong(found, rounded):
            return False
        halves = {name: literal.half * rounded
                  for (name, literal), source in zip(self.literals.items(), reading) if source is None}
        allowed = self.allowed(self.given(place, reading), halves) + OF_GRAPH * place.size
        return off <= allowed if isfinite(off) and isfinite(allowed) else None

    def readings(self, places: Sequence[Place], choice: Choice, rounded: bool) -> Iterable[Reading]:
        """The readings of a choice that are plainly wrong at none of these points."""
        fine = [True] * count(choice)
        for place in places:
            numbers = {name: [self.number_at(place, name, source) for source in sources]
                       for name, sources in zip(self.literals, choice)}
            fine = [so_far and not place.plainly_wrong(x, rounded)
                    for so_far, x in zip(fine, self.computed(place, numbers))]
            if True not in fine:
                return []
        return compress(product(*choice), fine)

    def narrowed(self, choices: list[Choice], places: Iterable[Place], rounded: bool) -> list[Choice]:
        """The choices without what is plainly wrong where only one leaf has moved: most sources have the same number
        there, so that many readings are tried at once. What would take too long, or makes no great difference, is left
        as it is."""
        work = 0
        for place in places:
            if sum(map(count, choices)) <= FEW or work > READINGS:
                break
            remaining: list[Choice] = []
            for choice in choices:
                alike = [self.alike(place, name, sources) for name, sources in zip(self.literals, choice)]
                many, work = prod(map(len, alike)), work + len(self.expression.program)
                if 2 * many > count(choice) or work + many > READINGS:
                    remaining.append(choice)
                    continue
                work += many
                found = self.computed(place, {name: [*by] for name, by in zip(self.literals, alike)})
                remaining += [[*parts] for x, parts in zip(found, product(*(by.values() for by in alike)))
                              if not place.plainly_wrong(x, rounded)]
            if 2 * sum(map(count, remaining)) <= sum(map(count, choices)):
                choices = remaining
        return choices

    def alike(self, place: Place, name: str, sources: Sequence[Source | None]) -> dict[float, list[Source | None]]:
        """Where a number may be from, by what it would be at a point."""
        found: dict[float, list[Source | None]] = {}
        for source in sources:
            found.setdefault(self.number_at(place, name, source), []).append(source)
        return found

    def number_at(self, place: Place, name: str, source: Source | None) -> float:
        """The number at a point that stands for one in the formula."""
        return self.literals[name].number if source is None else source.at(place.numbers)

    def computed(self, place: Place, numbers: Mapping[str, list[float]]) -> list[float]:
        """What the formula comes to at a point with each choice of these numbers, subexpression by subexpression."""
        stack: list[list[float]] = []
        for step in self.expression.program:
            if isinstance(step, Name):
                stack.append(numbers.get(step.name) or [place.values[step.name]])
            elif isinstance(step, float):
                stack.append([step])
            else:
                row = step.row if isinstance(step, Slope) else step
                choices = product(*stack[-row.arity:])
                stack[-row.arity:] = [[float(step(*each)) for each in choices]]
        return stack[0]

    def allowed(self, values: Mapping[str, float], halves: Mapping[str, float]) -> float:
        """How far rounding may take the formula from what is right. halves: of those numbers that stand for themselves,
        half a unit of the last digit."""
        found = measured(self.expression, {name: Measured(x, 0.0, halves[name]) if name in halves
                                           else Measured(x, fabs(x)) for name, x in values.items()})
        return PER_STEP * found.size + 1.5 * found.off


def count(choice: Choice) -> int:
    """How many readings there are."""
    return prod(map(len, choice))


def half_unit(x: float, digits: float) -> float:
    """Half a unit of the last of so many significant digits."""
    return 0.5 * 10.0 ** (floor(log10(fabs(x))) - digits + 1) if x and isfinite(x) else 0.0


def digits_written(text: str) -> dict[float, int]:
    """How many significant digits each number in a text has, zeros at its end included."""
    found: dict[float, int] = {}
    for match in NUMBER.finditer(text):
        digits = match[0].lower().partition("e")[0].replace(".", "").lstrip("0")
        found[float(match[0])] = max(len(digits), found.get(float(match[0]), 0))
    return found


def distinct(sources: Iterable[Source], number: float, points: Sequence[Point]) -> list[Source | None]:
    """The number itself, and the sources that differ from that, and from each other, at some point."""
    kept = {tuple(source.at(point) for point in points): source for source in sources}
    kept.pop((number,) * len(points), None)
    return [None, *kept.values()]


def factors_of(expression: Expression) -> set[int]:
    """The places in a program of what a formula, or a term of it, is in proportion to."""
    alone, factor, term = range(3)
    stack: list[dict[int, int]] = []  # of each subexpression, what is in it
    for place, step in enumerate(expression.program):
        if isinstance(step, (float, Name)):
            stack.append({place: alone})
            continue
        row = step.row if isinstance(step, Slope) else step
        sides = stack[-row.arity:]
        found = {one: what for side in (sides[:1] if step is ops.div else sides) for one, what in side.items()}
        if step in (ops.add, ops.sub):
            found = {one: term if what == alone else what for one, what in found.items()}
        elif step in (ops.mul, ops.div):
            found = {one: factor for one, what in found.items() if what != term}
        elif step is not ops.neg:
            found = {}
        stack[-row.arity:] = [found]
    return set(stack[0])


def measured(expression: Expression, values: Mapping[str, Measured]) -> Measured:
    """The number of an expression, with what it may be off by."""
    found: Any = expression.evaluate(values)  # type: ignore[arg-type]
    return found if isinstance(found, Measured) else Measured(float(found), 0.0)


def is_lost(expression: Expression, values: Mapping[str, float], right: float) -> bool:
    """Whether an expression has no number, or only rounding lies between its number and the right one."""
    found = measured(expression, {name: Measured(x, fabs(x)) for name, x in values.items()})
    return isnan(found.x) or fabs(found.x - right) <= BITS * found.size
