"""A formula tried at other points of a graph than its own, whatever the numbers in it stand for.

This module knows expressions and points, neither answers nor verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, compress, product
from math import fabs, isfinite, isnan, prod
from typing import Any, NamedTuple, Union

from .. import ops
from ..engine import Value
from ..formulas.expression import Expression, Slope, Variable
from ..formulas.reading import NUMBER
from ..ops import Op
from ..rows import Ieee, bare
from .answer import Reference, half_unit
from .points import SAME, Points, Probe, Source, computed_from

READINGS = 20_000  # ways to take the numbers in a formula for those of nodes, which are all tried
FEW = 2_000        # so many are not narrowed down first
ALONE = 40         # leaves that are moved one by one, to see which ways are not right
ROUNDED, ODD = 2, 3  # significant digits; a number of so many may be rounded from that of a node, and must be from some
PER_STEP = 1e-8    # relative; the rounding that is forgiven to each step of a formula,
PLAIN = 1e-4, 0.05  # relative; so much is wrong, whatever steps round to; and numbers in the formula
OF_GRAPH = 1e-10   # and to the graph in all
BITS = 1e-15       # relative; what rounding does in fact, in each step

Own = Callable[[Probe], Mapping[Value, float]]   # gradients at a point that are somebody's own
Target = Callable[[Probe], tuple[float, float]]  # what is right there, and the size of what that is added up from


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


Reading = Sequence[Union[Source, None]]           # for each number in a formula, where it is from; None for itself
Choice = Sequence[Sequence[Union[Source, None]]]  # for each, where it may be from


class WrittenNumber(NamedTuple):
    """A number in a formula. half: half a unit of its last digit, where it has so many that it may be rounded. sources:
    where it may be from; None for itself."""

    number: float
    half: float
    sources: list[Source | None]


class Failure(NamedTuple):
    """A point where a formula is wrong: what it gives, what is right."""

    numbers: Probe
    found: float
    right: float


class Setting(NamedTuple):
    """A point, with the numbers of the names there, what is right there, and the size of what that is added up from."""

    numbers: Probe
    values: Mapping[str, float]
    expected: float
    size: float

    def plainly_wrong(self, found: float, rounded: bool) -> bool:
        """True if a number is so far off that there is no need to ask what rounding may have done."""
        return fabs(found - self.expected) > PLAIN[rounded] * (fabs(found) + fabs(self.expected) + self.size)


class Trial:
    """A formula that is to be tried at points. A number in it may stand for itself, or for any node that has it at the
    graph's own point; at each place for another."""

    def __init__(self, points: Points, asked: Source, reference: Reference) -> None:
        """asked: what it is for."""
        self.points, self.asked, self.reference = points, asked, reference
        self.named, expression = [*reference.values.values()], reference.expression
        self.above = computed_from(points.graph, asked.node)
        self.written: dict[str, WrittenNumber] = {}
        self.unknown = False  # whether some number in it was worked out, and nobody knows from what
        factors, digits = factors_of(expression), digits_written(expression.text)
        program: list[Any] = [*expression.program]
        for place, step in enumerate(program):
            is_exponent = program[place + 1:place + 2] == [ops.pow]
            if isinstance(step, float) and isfinite(step) and (points.has_powers or not is_exponent):
                name = f"number {place}"
                self.written[name] = self.number(step, digits.get(fabs(step), 0), place in factors)
                program[place] = Variable(name, 0)
        self.expression = replace(expression, program=tuple(program))
        sources = [source.node for number in self.written.values() for source in number.sources if source]
        used = [node for node in (*self.named, *sources) if not node.parents]
        self.leaves = [*dict.fromkeys([*used, *points.leaves])][:ALONE]

    def number(self, x: float, digits: int, is_factor: bool) -> WrittenNumber:
        """A number in the formula, of so many significant digits. A node that has it by chance is no proof that it is
        from there."""
        half = half_unit(x, digits) if digits >= ROUNDED else 0.0
        found = [*self.points.sources(x, half)]
        by_chance = len(self.points.numbers) > 3 * 10 ** (digits - 1)
        self.unknown |= digits >= ODD and x not in self.points.constants and (not found or by_chance)
        points = self.points()
        distinct: dict[tuple[float, ...], Source | None] = {  # by their numbers, at all points
            tuple(source.at(point) for point in points): source for source in found
            if not self.is_answer(source) and (digits >= ROUNDED or self.is_likely(source, is_factor))}
        distinct.pop((x,) * len(points), None)  # the number itself
        return WrittenNumber(x, half if digits >= ODD else 0.0, [None, *distinct.values()])

    def __call__(self, points: Sequence[Probe], own: Own, target: Target, rounded: bool) -> Failure | bool:
        """True if the formula is right at all points, by one reading of its numbers; the point that shows best that it
        is wrong; False where nobody can say. rounded: whether numbers in the formula may be rounded."""
        def settings(points: Iterable[Probe | None]) -> Iterator[Setting]:
            return (Setting(point, self.reference.at(self.points.graph, point, own(point)), *target(point))
                    for point in points if point is not None)

        def outcomes(points: Iterable[Probe]) -> list[tuple[Setting, bool | None]]:
            return [(setting, self.fits(setting, as_it_is, rounded)) for setting in settings(points)]

        as_it_is = (None,) * len(self.written)
        found = outcomes(points)
        if points and all(fits is None for _, fits in found):
            found = outcomes(self.points.further)
        wrong = [setting for setting, fits in found if fits is False]
        if not wrong:
            return any(fits for _, fits in found)
        choices = self.narrowed(settings(map(self.points.alone, self.leaves)), rounded)
        few = count(choices) <= READINGS
        for reading in chain.from_iterable(self.readings(choice, wrong, rounded) for choice in choices if few):
            fits = [self.fits(setting, reading, rounded) for setting, _ in found]
            if False not in fits and True in fits:
                return True
        if self.unknown or not few:
            return False
        failures = [Failure(setting.numbers, self.value(setting, as_it_is), setting.expected) for setting in wrong]
        return max(failures, key=lambda one: fabs(one.found - one.right) / (fabs(one.found) + fabs(one.right)))

    def is_answer(self, source: Source) -> bool:
        """True if a number may only be from what is asked for, or from what is worked out from that and is the same:
        with it any formula would be right."""
        asked = self.asked
        if source.kind != asked.kind:
            return False
        if asked.kind == "value":
            return source.node in self.above
        return source.node is asked.node or (source.node not in self.above and all(
            fabs(source.at(point)) == fabs(asked.at(point)) for point in self.points()))

    def is_likely(self, source: Source, is_factor: bool) -> bool:
        """True if a number that is too short to be rounded may be from here. A derivative is a factor, by the chain
        rule, and from above; and the 1 of 1 − a and the 2 of a square are no computed numbers that have a name in the
        same formula."""
        if source.kind != "value":
            return is_factor and source.node in self.above
        return not (source.node.parents and source.node in self.named and fabs(source.node.data) in (0, 1, 2))

    def given(self, setting: Setting, reading: Reading) -> dict[str, float]:
        """The numbers of all names at a point."""
        numbers = {name: self.number_at(setting, name, source) for name, source in zip(self.written, reading)}
        return {**setting.values, **numbers}

    def value(self, setting: Setting, reading: Reading) -> float:
        return float(self.expression.evaluate(self.given(setting, reading)))

    def fits(self, setting: Setting, reading: Reading, rounded: bool) -> bool | None:
        """True if the formula is right at a point; None where it has no number, or one that says nothing."""
        found = self.value(setting, reading)
        off = fabs(found - setting.expected)
        if off <= SAME * fabs(setting.expected):
            return True
        if setting.plainly_wrong(found, rounded):
            return False
        halves = {name: number.half * rounded
                  for (name, number), source in zip(self.written.items(), reading) if source is None}
        values = {name: Measured(x, 0.0, halves[name]) if name in halves else Measured(x, fabs(x))
                  for name, x in self.given(setting, reading).items()}
        most = measured(self.expression, values)  # that rounding may move the formula from what is right
        allowed = PER_STEP * most.size + 1.5 * most.off + OF_GRAPH * setting.size
        return off <= allowed if isfinite(off) and isfinite(allowed) else None

    def readings(self, choice: Choice, settings: Iterable[Setting], rounded: bool) -> Iterable[Reading]:
        """The readings of a choice that are plainly wrong at none of these points."""
        fine = [True] * count([choice])
        for setting in settings:
            numbers = {name: [self.number_at(setting, name, source) for source in sources]
                       for name, sources in zip(self.written, choice)}
            fine = [so_far and not setting.plainly_wrong(x, rounded)
                    for so_far, x in zip(fine, self.computed(setting, numbers))]
            if True not in fine:
                return []
        return compress(product(*choice), fine)

    def narrowed(self, settings: Iterable[Setting], rounded: bool) -> list[Choice]:
        """Choices of sources, without what is plainly wrong where only one leaf has moved: there most sources
        have the same number there, so that many readings are tried at once. What would take too long is left as it
        is."""
        choices: list[Choice] = [[number.sources for number in self.written.values()]]
        work = 0
        for setting in settings if count(choices) > FEW else ():
            remaining: list[Choice] = []
            for choice in choices:
                alike = [self.alike(setting, name, sources) for name, sources in zip(self.written, choice)]
                many, work = prod(map(len, alike)), work + len(self.expression.program)
                if 2 * many > count([choice]) or work + many > READINGS:
                    remaining.append(choice)
                    continue
                work += many
                found = self.computed(setting, {name: [*by] for name, by in zip(self.written, alike)})
                remaining += [[*parts] for x, parts in zip(found, product(*(by.values() for by in alike)))
                              if not setting.plainly_wrong(x, rounded)]
            choices = remaining if 2 * count(remaining) <= count(choices) else choices
            if count(choices) <= FEW or work > READINGS:
                break
        return choices

    def alike(self, setting: Setting, name: str, sources: Sequence[Source | None]) -> dict[float, list[Source | None]]:
        """The sources of a number, by what it would be at a point."""
        found: dict[float, list[Source | None]] = {}
        for source in sources:
            found.setdefault(self.number_at(setting, name, source), []).append(source)
        return found

    def number_at(self, setting: Setting, name: str, source: Source | None) -> float:
        """The number at a point that stands for one in the formula."""
        return self.written[name].number if source is None else source.at(setting.numbers)

    def computed(self, setting: Setting, numbers: Mapping[str, list[float]]) -> list[float]:
        """Evaluate the formula at a point with each choice of these numbers, subexpression by subexpression."""
        stack: list[list[float]] = []
        for step in self.expression.program:
            if isinstance(step, Variable):
                stack.append(numbers.get(step.name) or [setting.values[step.name]])
            elif isinstance(step, float):
                stack.append([step])
            else:
                row = step.row if isinstance(step, Slope) else step
                choices = product(*stack[-row.arity:])
                stack[-row.arity:] = [[float(step(*each)) for each in choices]]
        return stack[0]


def count(choices: Iterable[Choice]) -> int:
    """The number of readings."""
    return sum(prod(map(len, choice)) for choice in choices)


def digits_written(text: str) -> dict[float, int]:
    """The significant digits of each number in a text, zeros at its end included."""
    found: dict[float, int] = {}
    for match in NUMBER.finditer(text):
        digits = match[0].lower().partition("e")[0].replace(".", "").lstrip("0")
        found[float(match[0])] = max(len(digits), found.get(float(match[0]), 0))
    return found


def factors_of(expression: Expression) -> set[int]:
    """The places in a program of what a formula, or a term of it, is in proportion to."""
    alone, factor, term = range(3)
    stack: list[dict[int, int]] = []  # of each subexpression, what is in it
    for place, step in enumerate(expression.program):
        if isinstance(step, (float, Variable)):
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
    """True if an expression has no number, or only rounding lies between its number and the right one."""
    found = measured(expression, {name: Measured(x, fabs(x)) for name, x in values.items()})
    return isnan(found.x) or fabs(found.x - right) <= BITS * found.size
