"""The lines of a plan: how each step is written, and what it computes is called.

The names come from the labels of the nodes: w^{2}_{i,j} is W2. What has a row for each node and a column for each
sample has a capital letter; the gradient by Z2, where no function gives that, is δ2, by anything else it is d and its
name. What has no label and is used once stands where it is used, all else gets a name. This module knows nothing of how
a plan is made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, groupby
from typing import Any, NamedTuple, Union

from .. import ops
from ..formulas.layout import Applied, Layout, Quoted, ShownNumber
from ..formulas.notations import TEXT, Signs
from ..ops import Op
from .notation import PLACES, Array, in_text, listed, literal, multiplied, put, total, transposed, wholes
from .plan import COLUMNS, PARAMETERS, Elementwise, Literal, Map, MatMul, Mean, Operand, Outer, Pick, Plan, Step
from .program import FIXED, VARYING

Shape = tuple[Union[int, str], ...]
INLINE = 40  # characters; a longer formula gets a line of its own


class PlanLine(NamedTuple):
    """A line: what is computed and how, its shape, and which group of the plan it is."""

    left: Layout
    formula: Layout
    shape: Shape
    group: int


class PlanWriter:
    """The lines of a plan, as they are written."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan, self.program = plan, plan.schedule.program
        self.taken: Counter[str] = Counter()     # names
        self.gradients: dict[Array, Array] = {}
        self.unnamed = 0                         # groups that have no better name
        self.inline: dict[int, Layout] = {}      # groups that stand where they are used
        self.given = {group: Array(self.taken, Quoted(name, latex), len(plan.groups[group]))
                      for group, name, latex in ((PARAMETERS, "p", "p"), (COLUMNS, "inputs", r"\text{inputs}"))}
        self.known = wholes(self.taken, self.labels(name), lambda node: self.program.rank[node] == VARYING,
                            lambda node: len(self.program.args[node]) == 1 and self.program.ops[node] is not ops.neg)
        for group, array in self.given.items():
            self.known |= {node: (array, i) for i, node in enumerate(plan.groups[group]) if node not in self.known}

    def labels(self, name: str) -> dict[int, str]:
        """The labels of what is computed, and of what is given."""
        program, schedule = self.program, self.plan.schedule
        labels = {node: label for node, label in program.labels.items()
                  if program.rank[node] != FIXED and not (node in program.adjoints and label.startswith("d_"))}
        for node, made in program.inlined.items():
            label = labels.pop(node, "")
            if label:
                labels.setdefault(made, label)
        for node in [*schedule.uniform, *schedule.varying]:
            if program.args[node] and node not in program.adjoints:
                labels.setdefault(node, name)
        return labels

    def spot(self, node: int) -> tuple[Array, int] | None:
        """Of what named array a node is a part, and where there."""
        if node not in self.known and self.program.adjoints.get(node) in self.known:
            array, place = self.known[self.program.adjoints[node]]
            if array not in self.gradients:
                self.gradients[array] = array.gradient()
            self.known[node] = self.gradients[array], place
        return self.known.get(node)

    # Operands

    def index(self, pick: Pick) -> tuple[list[int], int]:
        """The places that are picked, in the pick's groups laid end to end; in how many columns, 0 for none."""
        at = pick.places
        if at is None:
            at = range(sum(len(self.plan.groups[group]) for group in pick.groups))
        return ([*at], 0) if isinstance(at[0], int) else ([*chain.from_iterable(at)], len(at[0]))

    def spots(self, pick: Pick) -> list[tuple[Any, int]]:
        """Each number that is picked: of what it is a part, and where there. A constant is its number, as a piece."""
        numbers = self.program.numbers
        nodes = [node for group in pick.groups for node in self.plan.groups[group]]
        picked = [nodes[place] for place in self.index(pick)[0]]
        return [(ShownNumber(numbers[node]), 0) if node in numbers else self.spot(node) or (None, 0) for node in picked]

    def operand(self, operand: Operand) -> Layout:
        if isinstance(operand, Literal):
            return literal(operand.numbers)
        home = operand.groups[0]
        if operand.at is None and home in self.inline:
            return self.inline[home]
        runs = [(array, [i for _, i in run]) for array, run in groupby(self.spots(operand), lambda spot: spot[0])]
        index, columns = self.index(operand)
        if len(runs) > PLACES and home in self.given and len(operand.groups) == 1:
            runs = [(self.given[home], index)]
        if len(runs) == 1 and isinstance(runs[0][0], Array):
            return runs[0][0].part(runs[0][1], columns)
        stack = listed([array.part(i) if isinstance(array, Array) else array for array, i in runs], ";")
        if columns < 2:
            return stack
        high = len(index) // columns
        return put(f"{{0}}.reshape({high}, {columns})", rf"{{0}}_{{{{{high} \times {columns}}}}}", "atom", stack)

    def abreast(self, operands: Sequence[Operand]) -> list[Layout]:
        """Operands that are computed with number by number: beside what varies, a row of a matrix stands upright."""
        upright = any(self.first(operand) > 1 for operand in operands)
        found = []
        for operand in operands:
            piece = self.operand(operand)
            if upright and isinstance(operand, Pick) and self.first(operand) == 1:
                spots = self.spots(operand)
                array = spots[0][0]
                if len(spots) > 1 and isinstance(array, Array) and array.grid and array.grid[0] == 1:
                    piece = transposed(piece)
            found.append(piece)
        return found

    def regular(self, operand: Operand, each: int) -> Layout | None:
        """The operand by i and j, where it is so regular. See `Array.running`."""
        if isinstance(operand, Literal) or len(self.index(operand)[0]) == 1:
            return self.operand(operand) if isinstance(operand, Pick) or isinstance(operand.numbers, float) else None
        spots = self.spots(operand)
        [array, *others] = {array for array, _ in spots}
        return array.running([i for _, i in spots], each) if isinstance(array, Array) and not others else None

    def outer(self, factors: Sequence[Operand]) -> Layout | None:
        """All products of two arrays, where each number of the one stands beside each of the other."""
        picks = [(factor, self.index(factor)[0]) for factor in factors if isinstance(factor, Pick)]
        if len(picks) != 2:
            return None
        for (a, rows), (b, columns) in (picks, picks[::-1]):
            wide = next((k for k, place in enumerate(rows) if place != rows[0]), 0)
            if wide > 1 and rows == [place for place in rows[::wide] for _ in range(wide)] and \
                    columns == columns[:wide] * (len(rows) // wide):
                return put("{0:power} ⊗ {1:power}", r"{0:power} \otimes {1:power}", "product",
                           self.operand(some(a, rows[::wide])), self.operand(some(b, columns[:wide])))
        return None

    # Steps

    def product(self, sign: int, factors: Sequence[Operand], each: int) -> tuple[int, Layout]:
        """The product of the factors, number by number, `each` of them at a time added up; its sign apart."""
        if each > 1:
            same = [some(factor, index[::each]) for factor in factors if isinstance(factor, Pick)
                    if (index := self.index(factor)[0]) == [place for place in index[::each] for _ in range(each)]]
            if len(same) == len(factors):  # the very same several times
                factors, each = [Literal(float(each)), *same], 1
        kept: list[Operand] = []
        for factor in factors:
            x = factor.numbers if isinstance(factor, Literal) else None
            x = x[0] if isinstance(x, tuple) and len(x) == 1 else x
            if not isinstance(x, float):
                kept.append(factor)
            elif x != x or abs(x) != 1.0 or len(factors) == 1:
                kept.append(Literal(abs(x)))
            sign = -sign if isinstance(x, float) and x < 0 else sign
        kept.sort(key=self.first)
        by_number = any(isinstance(factor, Literal) for factor in kept)
        count = max([1, *[len(self.index(factor)[0]) for factor in kept if isinstance(factor, Pick)]])
        if each > 1 and count > each:
            pieces = [piece for piece in [self.regular(factor, each) for factor in kept] if piece]
            if len(pieces) == len(kept):
                own, found = multiplied(pieces, by_number)
                found = put(f"sum({{0}} for j < {each})", rf"\sum_{{{{j < {each}}}}} {{0:product}}", "atom", found)
                return sign * own, found
        outer = self.outer(kept)
        own, found = (1, outer) if outer else multiplied(self.abreast(kept), by_number)
        if each == 1:
            return sign * own, found
        by, under = ("", "") if count == each else (f", by={each}", f"_{{{{{each}}}}}")
        return sign * own, put(f"sum({{0}}{by})", rf"\operatorname{{{{sum}}}}{under}\left({{0}}\right)", "atom", found)

    def apart(self, part: Elementwise) -> list[tuple[Sequence[Operand], int]]:
        """A short sum of numbers from here and there as its terms; any other as it is. Each is (factors, each)."""
        factors, each = part.factors, part.each
        if not 1 < each <= PLACES:
            return [(factors, each)]
        columns: list[list[Operand]] = []
        for factor in factors:
            if isinstance(factor, Literal):
                numbers = factor.numbers if isinstance(factor.numbers, tuple) else (factor.numbers,) * each
                columns.append([Literal(x) for x in numbers if isinstance(x, float)])
            elif factor.at is None and factor.groups[0] in self.inline:
                return [(factors, each)]
            else:
                columns.append([some(factor, [place]) for place in self.index(factor)[0]])
        if any(len(column) != each for column in columns):
            return [(factors, each)]
        terms = [*zip(*columns)]
        if all(isinstance(factor, Literal) for factor in factors):
            return [([Literal(math.fsum(math.prod(x for (x,) in term) for term in terms))], 1)]
        # Where one term comes several times, `product` says how often.
        scattered = len({*terms}) > 1 and any(isinstance(factor, Pick) and self.scattered(factor) for factor in factors)
        return [(term, 1) for term in terms] if scattered else [(factors, each)]

    def scattered(self, pick: Pick) -> bool:
        """Tell whether numbers of several arrays are picked, or one of them twice."""
        spots = self.spots(pick)
        return len({array for array, _ in spots}) > 1 or len({*spots}) < len(spots)

    def first(self, factor: Operand) -> int:
        """The order of factors: numbers, what is the same for all samples, what is given of them, all else."""
        if isinstance(factor, Literal):
            return 0
        home = factor.groups[0]
        return 2 if home == COLUMNS else 3 if self.plan.varies[home] else 1

    def added(self, part: MatMul | Elementwise) -> list[tuple[int, Layout]]:
        """The terms of a part with their signs."""
        if isinstance(part, Elementwise):
            return [self.product(part.sign, *term) for term in self.apart(part)]
        weights, inputs, spots = part.weights, part.inputs, self.spots(part.inputs)
        if isinstance(weights, Pick):
            places, table = self.index(inputs)[0], weights.places
            order = sorted(range(len(spots)), key=lambda k: spots[k][1])
            if inputs.at is None and inputs.groups[0] in self.inline:
                pass  # it has no name
            elif len(table) == 1 and len(spots) <= PLACES and (self.scattered(inputs) or self.scattered(weights)):
                return [self.product(part.sign, [some(weights, [w]), some(inputs, [x])], 1)
                        for w, x in zip(table[0], places)]
            elif len({array for array, _ in spots}) == 1 and order != [*range(len(order))]:  # the order is free
                inputs = some(inputs, [places[k] for k in order])
                weights = Pick(weights.groups, tuple([tuple([row[k] for k in order]) for row in table]))
        return [(part.sign, put("{0:power} @ {1:power}", "{0:power} {1:power}", "sum",  # in a product in parentheses
                                self.operand(weights), self.operand(inputs)))]

    def averaged(self, part: Outer | Elementwise) -> tuple[int, Layout]:
        if isinstance(part, Outer):
            return 1, put("{0:power} @ {1} / rows", r"\frac{{1}}{{n}} {0:power} {1}", "product",
                          self.operand(part.a), transposed(self.operand(part.b)))
        sign, found = self.product(*part)
        return sign, put("mean({0})", r"\operatorname{{mean}}\left({0}\right)", "atom", found)

    def formula(self, step: Step) -> Layout:
        if isinstance(step, Map):
            return Applied(number_by_number(step.op), self.abreast(step.args))
        if isinstance(step, Mean):
            lies = self.lies(step.group)
            return total([(sign, transposed(found) if lies and isinstance(part, Elementwise) else found)
                          for part in step.parts for sign, found in [self.averaged(part)]])
        parts = [part for part in step.parts if part != ZERO]
        return total([term for part in parts or step.parts for term in self.added(part)])

    def lies(self, group: int) -> bool:
        """Tell whether a group is a matrix of one row."""
        nodes = self.plan.groups[group]
        arrays = {spot[0] if spot else None for spot in map(self.spot, nodes)}
        grid = next((array.grid for array in arrays if array is not None and len(arrays) == 1), None)
        return grid == (1, len(nodes)) and len(nodes) > 1

    def paired(self, part: Outer | Elementwise) -> Outer | Elementwise:
        """Some of all the products of two arrays as products of as many numbers."""
        if isinstance(part, Elementwise):
            return part
        a, b = self.index(part.a)[0], self.index(part.b)[0]
        if len(a) == len(b) == 1:
            return Elementwise(1, (part.a, part.b), 1)
        if part.at is None and part.each == 1:
            return part
        at = part.at or range(len(a) * len(b))
        rows, columns = [a[k // len(b)] for k in at], [b[k % len(b)] for k in at]
        return Elementwise(1, (some(part.a, rows), some(part.b, columns)), part.each)

    def lines(self) -> Iterator[PlanLine]:
        plan = self.plan
        positive: dict[Operand, tuple[Operand, ...]] = {
            Pick((step.group,), None): step.args for step in plan.steps
            if isinstance(step, Map) and step.op is ops.relu}
        steps: list[Step] = []
        for step in plan.steps:
            if isinstance(step, Map) and step.op is ops.step:  # step(relu(z)) is step(z)
                step = step._replace(args=positive.get(step.args[0], step.args))
            elif isinstance(step, Map):  # without what is not shown: of a slope by y, the x that it is computed by
                step = step._replace(args=step.args[:1 + max(gap.operand for gap in TEXT.template(step.op).gaps)])
            elif isinstance(step, Mean):
                step = step._replace(parts=tuple([self.paired(part) for part in step.parts]))
            steps.append(step)
        picks = [pick for step in steps for pick in operands(step) if isinstance(pick, Pick)]
        outputs = [pick for pick in [plan.uniform, *plan.varying] if isinstance(pick, Pick)]
        uses = Counter(group for pick in [*picks, *outputs, *outputs] for group in pick.groups)
        once = {pick.groups[0] for pick in picks if pick.at is None and len(pick.groups) == 1
                if uses[pick.groups[0]] == 1}
        names: set[str] = set()
        for step in steps:
            formula, nodes, group = self.formula(step), plan.groups[step.group], step.group
            spots = [self.spot(node) for node in nodes]
            arrays = {spot[0]: None for spot in spots if spot}
            known = None not in spots and len({*spots}) == len(spots) and len(arrays) <= PLACES
            if group in once and not (known and any(array.kept for array in arrays)) and \
                    len(in_text(formula)) <= INLINE:
                self.inline[group] = formula
                continue
            left = self.operand(Pick((group,), None)) if known else None
            if left is None or in_text(left) in names:
                self.unnamed += left is None
                letter = "G" if plan.varies[group] and len(nodes) > 1 else "g"
                name = left or Quoted(f"{letter}{self.unnamed}", f"{letter}_{{{self.unnamed}}}")
                array = Array(self.taken, name, len(nodes))
                self.known.update((node, (array, i)) for i, node in enumerate(nodes))
                left, arrays = array.name, {array: None}
            names.add(in_text(left))
            yield PlanLine(left, formula, self.shape(group, len(nodes), arrays), group)

    def shape(self, group: int, count: int, arrays: Iterable[Array]) -> Shape:
        if self.plan.varies[group]:
            return count, "rows"
        grid = next((array.grid for array in arrays if array.grid and array.size == count), None)
        return grid or ((count,) if count > 1 else ())

    def read(self) -> Iterator[tuple[str, Shape, int, list[int]]]:
        """The parameters and inputs that the lines mention: name, shape, group, and the places there."""
        for group in self.given:
            places: dict[Array, dict[int, int]] = {}
            for place, node in enumerate(self.plan.groups[group]):
                array, i = self.known[node]
                places.setdefault(array, {})[i] = place
            for array, where in places.items():
                if array.found is not None:
                    yield in_text(array.name), self.shape(group, len(where), [array]), group, [
                        where[i] for i in sorted(where)]


@cache
def number_by_number(op: Op) -> Signs:
    """The template of an op on arrays: that of its row, with another dot."""
    latex = op.latex.replace(r"\cdot", r"\odot").replace(">=", r"\ge")
    return Signs(op.text, latex, TEXT.template(op).binds, op.binds)


def some(pick: Pick, places: Sequence[int]) -> Pick:
    """Other places of the same groups."""
    return Pick(pick.groups, tuple(places))


ZERO = Elementwise(1, (Literal(0.0),), 1)  # what `sum` starts with


def operands(step: Step) -> Iterator[Operand]:
    """The operands that a step reads."""
    if isinstance(step, Map):
        yield from step.args
        return
    for part in step.parts:
        if isinstance(part, Elementwise):
            yield from part.factors
        else:
            yield from (part.weights, part.inputs) if isinstance(part, MatMul) else (part.a, part.b)
