"""Grouped lowering: a scheduled program as few operations on whole arrays, however many nodes it has.

Nodes that are computed alike, at the same depth, are a group: one array. Sums of the same numbers become a matrix
product, means of products of all pairs an outer product, all else one operation on arrays. So the layers of a network
are found again in its scalars, and the number of operations depends on the depth of the program, not on its width.
Where a program has no such order, the numbers are picked one by one, and the result is as right.

A group that varies has a row for each node and a column for each sample; a uniform one is a vector. This module knows
nothing of array libraries, nor of how an operation is written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any, NamedTuple, Union

from ..ops import Op
from .program import FIXED, VARYING
from .schedule import NONE, Accumulate, Apply, Schedule, SumOfProducts, Term


class Block(NamedTuple):
    """The first columns of a matrix that lies row by row from `start`, each row `width` places long; or its
    transpose."""

    start: int
    rows: int
    width: int
    columns: int
    transposed: bool

    @property
    def places(self) -> list[Sequence[int]]:
        """Row by row."""
        first = range(self.start, self.start + self.rows * self.width, self.width)
        rows = [range(start, start + self.columns) for start in first]
        return [*zip(*rows)] if self.transposed else [*rows]


class Pick(NamedTuple):
    """Some nodes of some groups. at: their places in these groups, laid end to end; None for all, in order."""

    groups: tuple[int, ...]
    at: range | Block | tuple[int, ...] | tuple[tuple[int, ...], ...] | None

    @property
    def places(self) -> Any:
        """`at`, with the places of a block one by one."""
        return self.at.places if isinstance(self.at, Block) else self.at


class Literal(NamedTuple):
    """Constants; a bare number stands for as many as are needed."""

    numbers: float | tuple[float, ...] | tuple[tuple[float, ...], ...]


Operand = Union[Pick, Literal]


class Elementwise(NamedTuple):
    """sign times the product of the factors, `each` of them at a time added up: of 6 rows by 3 there are 2 left."""

    sign: int
    factors: tuple[Operand, ...]
    each: int


class MatMul(NamedTuple):
    """sign * weights @ inputs. weights: a uniform matrix."""

    sign: int
    weights: Operand
    inputs: Pick


class Add(NamedTuple):
    """group = the sum of the parts."""

    group: int
    parts: tuple[MatMul | Elementwise, ...]


class Map(NamedTuple):
    """group = op(args), number by number."""

    group: int
    op: Op
    args: tuple[Operand, ...]


class Outer(NamedTuple):
    """Each number of a times each of b, row by row; of these those at `at` (None for all), `each` of them at a time
    added up."""

    a: Pick
    b: Pick
    at: tuple[int, ...] | None
    each: int


class Mean(NamedTuple):
    """group = the mean over the samples of the sum of the parts."""

    group: int
    parts: tuple[Outer | Elementwise, ...]


Step = Union[Add, Map, Mean]
PARAMETERS, COLUMNS, CONSTANTS = 0, 1, 2  # the groups that are given


@dataclass(slots=True)
class Plan:
    """Operations on arrays, in order. groups: the nodes of each; varies: whether they differ from sample to sample.

    `before` and `after` need no sample, `body` goes over all of them at once, and ends in means.
    """

    schedule: Schedule = field(repr=False)
    groups: list[tuple[int, ...]]
    varies: list[bool]
    before: list[Add | Map]
    body: list[Add | Map]
    means: list[Mean]
    after: list[Add | Map]
    uniform: Operand | None       # the outputs that are the same for all samples, where there are any
    varying: tuple[Operand, ...]  # those of each sample

    @property
    def steps(self) -> list[Step]:
        """All steps, in order."""
        return [*self.before, *self.body, *self.means, *self.after]


def plan(schedule: Schedule, parameters: Sequence[int], uniform: Sequence[int] | None = None) -> Plan:
    """The plan of a schedule. parameters: their nodes, in the order in which their numbers will be given. uniform: the
    outputs that are the same for all samples, in the order in which they are wanted; by default the schedule's."""
    return Lowering(schedule, parameters, schedule.uniform if uniform is None else uniform).plan


MANY = 8  # nodes that are computed alike from different groups, from where on it pays to gather their operands


class Lowering:
    """A plan that is being made. at: the group of each node, and its place there."""

    def __init__(self, schedule: Schedule, parameters: Sequence[int], uniform: Sequence[int]) -> None:
        program = schedule.program
        self.rank = program.rank
        self.numbers = program.numbers
        self.at: dict[int, tuple[int, int]] = {}
        self.constants: list[int] = []
        self.plan = Plan(schedule, [], [], [], [], [], [], None, ())
        for nodes, varies in ((parameters, False), (program.inputs, True), ((), False)):
            self.group(nodes, varies)
        self.lower(schedule.before, self.plan.before, False)
        self.lower((i for i in schedule.body if not isinstance(i, Accumulate)), self.plan.body, True)
        self.gather(i for i in schedule.body if isinstance(i, Accumulate))
        self.lower(schedule.after, self.plan.after, False)
        self.plan.uniform = self.operand(uniform) if uniform else None
        self.plan.varying = tuple([self.operand([y]) for y in schedule.varying])
        self.plan.groups[CONSTANTS] = tuple(self.constants)

    def group(self, nodes: Sequence[int], varies: bool) -> int:
        """A new group of these nodes; its number."""
        number = len(self.plan.groups)
        self.plan.groups.append(tuple(nodes))
        self.plan.varies.append(varies)
        for i, node in enumerate(nodes):
            self.at[node] = (number, i)
        return number

    def where(self, node: int) -> tuple[int, int]:
        """The group of a node, and its place there. A constant comes into its group when it is first asked for."""
        found = self.at.get(node)
        if found is None:
            found = self.at[node] = (CONSTANTS, len(self.constants))
            self.constants.append(node)
        return found

    def spot(self, node: int) -> tuple[int, int]:
        """The same to compare and to sort by. Asks for no constant."""
        return (CONSTANTS, node) if self.rank[node] == FIXED else self.at[node]

    # Picking

    def operand(self, nodes: Sequence[int], columns: int = 0, alone: bool = False) -> Operand:
        """These nodes as an operand; as the rows of a matrix of so many columns. alone: whether one number may stand
        for all of them, if they are the same."""
        if all(self.rank[node] == FIXED for node in nodes):
            numbers = tuple([self.numbers[node] for node in nodes])
            if alone and len({repr(x) for x in numbers}) == 1:
                return Literal(numbers[0])
            return Literal(in_rows(numbers, columns) if columns else numbers)
        return self.pick(nodes, columns, alone)

    def pick(self, nodes: Sequence[int], columns: int = 0, alone: bool = False) -> Pick:
        """The same for any nodes. The group of constants comes last, as it may still grow."""
        places = [self.where(node) for node in nodes]
        homes = tuple(sorted({home for home, _ in places}, key=lambda home: (home == CONSTANTS, home)))
        start = {}
        total = 0
        for home in homes:
            start[home] = total
            total += len(self.constants if home == CONSTANTS else self.plan.groups[home])
        index = [start[home] + i for home, i in places]
        if alone and len(index) > 1 and index.count(index[0]) == len(index):
            index = index[:1]
        if columns:
            return Pick(homes, block(index, columns, total) or in_rows(index, columns))
        if CONSTANTS not in homes and index == list(range(total)):
            return Pick(homes, None)
        return Pick(homes, spaced(index) or tuple(index))

    # Sums and other operations

    def lower(self, instructions: Iterable[SumOfProducts | Apply], steps: list[Add | Map], varies: bool) -> None:
        """Instructions by their depth, and those of a depth in groups."""
        depth = [0] * (len(self.rank) + 1)  # the last place is that of NONE
        levels: list[list[SumOfProducts | Apply]] = []
        alias: dict[int, int] = {}
        for instruction in instructions:
            if isinstance(instruction, SumOfProducts):
                if alias:
                    instruction = SumOfProducts(instruction.out, [(s, alias.get(a, a), alias.get(b, b))
                                                        for s, a, b in instruction.terms])
                sign, a, b = instruction.terms[0]
                if len(instruction.terms) == 1 and sign > 0 and b == NONE and (self.rank[a] == VARYING) == varies:
                    alias[instruction.out] = a  # another name of the same number
                    continue
                found = max([depth[a] if depth[a] > depth[b] else depth[b] for _, a, b in instruction.terms])
            else:
                if alias:
                    instruction = instruction._replace(args=tuple([alias.get(arg, arg) for arg in instruction.args]))
                found = max([depth[arg] for arg in instruction.args])
            depth[instruction.out] = found + 1
            if found == len(levels):
                levels.append([])
            levels[found].append(instruction)
        for level in levels:
            self.maps([i for i in level if isinstance(i, Apply)], steps, varies)
            self.sums([i for i in level if isinstance(i, SumOfProducts)], steps, varies)
        for node, other in alias.items():
            self.at[node] = self.where(other)

    def maps(self, instructions: Sequence[Apply], steps: list[Add | Map], varies: bool) -> None:
        def look(i: Apply) -> Look:
            return Look((i.op.index, *[self.rank[arg] == VARYING for arg in i.args]),
                        tuple([self.spot(arg)[0] for arg in i.args]))

        for members in self.alike(instructions, look):
            members.sort(key=lambda i: [self.spot(arg) for arg in i.args])
            columns = [*zip(*[i.args for i in members])]
            group = self.group([i.out for i in members], varies)
            steps.append(Map(group, members[0].op, self.abreast(columns)))

    def abreast(self, columns: Sequence[Sequence[int]]) -> tuple[Operand, ...]:
        """Operands of one operation: one number may stand for all in some of them, but not in all."""
        alone = [len(set(column)) == 1 for column in columns]
        varying = [i for i, column in enumerate(columns) if self.rank[column[0]] == VARYING]
        if all(alone):
            alone[varying[0] if varying else 0] = False
        return tuple([self.operand(column, alone=one) for column, one in zip(columns, alone)])

    def alike(self, things: Sequence[Any], look: Callable[[Any], Look]) -> list[list[Any]]:
        """Things that are computed alike: from the same groups; or by the same op from other numbers of one group; or
        by the same op, if they are many."""
        waiting: dict[Look, list[Any]] = {}
        for thing in things:
            waiting.setdefault(look(thing), []).append(thing)
        found = [members for members in waiting.values() if len(members) > 1]
        single = [(seen, members) for seen, members in waiting.items() if len(members) == 1]
        takers = Counter((seen.op, home) for seen, _ in single for home in {*seen.homes}
                         if home > CONSTANTS and len(self.plan.groups[home]) > 1)  # of several numbers, computed alike
        groups: dict[Any, list[Any]] = {}
        for seen, members in single:
            most = max([(takers[seen.op, home], home) for home in {*seen.homes}], default=(0, NONE))
            groups.setdefault((most[0] <= 1, seen.op, most[1] if most[0] > 1 else NONE), []).extend(members)
        for (by_op, *_), members in sorted(groups.items(), key=lambda group: group[0][0]):
            found += [members] if not by_op or len(members) >= MANY else [[member] for member in members]
        return found

    def sums(self, instructions: Sequence[SumOfProducts], steps: list[Add | Map], varies: bool) -> None:
        split = [self.parted(i, varies) for i in instructions]
        rows: dict[Any, list[Parted]] = {}
        for sum_ in split:
            rows.setdefault((sum_.inputs, sum_.look), []).append(sum_)
        # Inputs that only one sum has are a matrix of one row. Many of these are done together, as are all with the
        # same weights: a window that is moved along a sequence. So are many matrices that are small.
        many = Counter((len(inputs), look) for inputs, look in rows)
        moved = Counter((tuple(members[0].weights), look) for (_, look), members in rows.items() if len(members) == 1)
        loners: list[Parted] = []
        for (inputs, look), members in rows.items():
            few = many[len(inputs), look] < MANY
            if len(members) > 1:
                unlike = len(inputs) == 1 < len({self.spot(member.weights[0])[0] for member in members})
                layer = len(inputs) > 0 and not unlike and (few or len(members) * len(inputs) >= MANY**2)
            else:
                layer = len(inputs) > 1 == moved[tuple(members[0].weights), look] and few
            if layer:
                members.sort(key=lambda m: [self.spot(u) for u in m.weights])
                self.add(members, self.layer(inputs, members), steps, varies)
            else:
                loners += [self.spread(member) for member in members]
        for members in self.alike(loners, lambda m: m.look):
            members.sort(key=lambda m: m.spots)
            self.add(members, [], steps, varies)

    def layer(self, inputs: Sequence[tuple[int, int]], members: Sequence[Parted]) -> list[MatMul | Elementwise]:
        """The weighted inputs that sums share, as matrix products: one for each group of inputs, and for those that are
        subtracted. Many groups that have one input each are taken together."""
        columns: dict[Any, list[int]] = {}
        for i, (sign, x) in enumerate(inputs):
            columns.setdefault((sign, self.spot(x)[0]), []).append(i)
        single = [key for key, found in columns.items() if len(found) == 1]
        if len(single) >= MANY:
            for key in single:
                columns.setdefault(key[0], []).extend(columns.pop(key))
        parts: list[MatMul | Elementwise] = []
        for found in columns.values():
            sign, picked = inputs[found[0]][0], self.pick([inputs[i][1] for i in found])
            weights = [member.weights[i] for member in members for i in found]
            if len(weights) == 1:
                parts.append(Elementwise(sign, (self.operand(weights), picked), 1))
            else:
                parts.append(MatMul(sign, self.operand(weights, len(found)), picked))
        return parts

    def add(self, members: list[Parted], parts: Sequence[MatMul | Elementwise], steps: list[Add | Map],
            varies: bool) -> None:
        """One step for sums of the same kind. parts: what is known of it already."""
        products: list[tuple[int, int, list[list[int]]]] = []  # sign, how many, the nodes of each factor
        position = 0
        op, homes = members[0].look
        same = all(member.look.homes == homes for member in members)
        for _, run in groupby(zip(op, homes[::2], homes[1::2]) if same else op):
            each = len([*run])
            sign = members[0].terms[position][0]
            several = [member.terms[position:position + each] for member in members]
            products.append((sign, each, [[term[k] for terms in several for term in terms]
                                          for k in ((1,) if several[0][0][2] == NONE else (1, 2))]))
            position += each
        full = bool(parts) or len(members) == 1 or any(
            each > 1 or any(len(set(column)) > 1 for column in columns) for _, each, columns in products)
        copies: list[Parted] = []
        if not full:  # the very same sum, several times over
            members, copies = members[:1], members[1:]
            products = [(sign, each, [column[:1] for column in columns]) for sign, each, columns in products]
        found = [Elementwise(sign, tuple([self.operand(column, alone=each == 1) for column in columns]), each)
                 for sign, each, columns in products]
        group = self.group([member.out for member in members], varies)
        self.at |= {member.out: (group, 0) for member in copies}
        steps.append(Add(group, (*parts, *found)))

    def merged(self, terms: Sequence[Term]) -> Iterable[Term]:
        """Equal terms together, where they have a constant factor."""
        if len({*terms}) == len(terms):
            return terms
        found: list[Term] = []
        for (sign, a, b), n in Counter(terms).items():
            fixed = NONE if b == NONE else a if self.rank[a] == FIXED else b if self.rank[b] == FIXED else NONE
            if n > 1 and fixed != NONE and math.isfinite(n * self.numbers[fixed]):
                found.append((sign, a + b - fixed, self.plan.schedule.program.constant(n * self.numbers[fixed])))
            else:
                found += [(sign, a, b)] * n
        return found

    def parted(self, sum_: SumOfProducts, varies: bool) -> Parted:
        """A sum as products of varying numbers with weights, and all else."""
        rank = self.rank
        weighted, others = [], []
        for sign, a, b in self.merged(sum_.terms):
            if varies and b != NONE and (rank[a] == VARYING) != (rank[b] == VARYING):
                x, u = (a, b) if rank[a] == VARYING else (b, a)
                weighted.append((-sign, self.at[x], x, u))
            else:
                others.append((sign, a, b))
        weighted.sort()
        return self.in_order(sum_.out, tuple([(-sign, x) for sign, _, x, _ in weighted]),
                             [u for _, _, _, u in weighted], others)

    def spread(self, sum_: Parted) -> Parted:
        """The same with the weighted inputs among the other terms."""
        inputs = [(sign, x, u) for (sign, x), u in zip(sum_.inputs, sum_.weights)]
        return self.in_order(sum_.out, (), [], [*inputs, *sum_.terms]) if inputs else sum_

    def in_order(self, out: int, inputs: tuple[tuple[int, int], ...], weights: list[int],
                 others: Iterable[Term]) -> Parted:
        """The sum with its other terms, and their factors, in the order of their kinds and groups."""
        terms = []
        rank, spot = self.rank, self.spot
        for sign, a, b in others:
            at_a, at_b = spot(a), (NONE, NONE) if b == NONE else spot(b)
            if b != NONE and at_a < at_b:
                a, b, at_a, at_b = b, a, at_b, at_a
            kind = (rank[a] == VARYING, b != NONE, b != NONE and rank[b] == VARYING, sign)
            terms.append((kind, at_a[0], at_b[0], at_a[1], at_b[1], sign, a, b))
        terms.sort()
        look = Look(tuple([term[0] for term in terms]), tuple([home for term in terms for home in term[1:3]]))
        return Parted(out, inputs, weights, [term[5:] for term in terms], [term[1:5] for term in terms], look)

    # Means

    def gather(self, instructions: Iterable[Accumulate]) -> None:
        """The means, those with factors from the same groups together."""
        contributions: dict[int, list[tuple[int, ...]]] = {}  # the groups of both factors, their places, and they
        rank = self.rank
        for a, pairs in instructions:
            home_a, at_a = self.spot(a)
            for b, mean in pairs:
                home_b, at_b = (NONE, NONE) if b == NONE else self.spot(b)
                if b != NONE and rank[b] == VARYING and (home_b, at_b) > (home_a, at_a):
                    term = home_b, home_a, at_b, at_a, b, a
                else:
                    term = home_a, home_b, at_a, at_b, a, b
                contributions.setdefault(mean, []).append(term)
        alike: dict[Any, list[tuple[list[tuple[int, ...]], int]]] = {}
        for mean in self.plan.schedule.means:
            terms = sorted(contributions[mean])
            alike.setdefault(tuple([term[:2] for term in terms]), []).append((terms, mean))
        for key, members in alike.items():
            members.sort()
            parts: list[Outer | Elementwise] = []
            position = 0
            for (_, home), run in groupby(key):
                each = len([*run])
                pairs_ = [(a, b) for terms, _ in members for _, _, _, _, a, b in terms[position:position + each]]
                parts.append(self.averaged(pairs_, home, each))
                position += each
            self.plan.means.append(Mean(self.group([mean for _, mean in members], False), tuple(parts)))

    def averaged(self, pairs: list[tuple[int, int]], home: int, each: int) -> Outer | Elementwise:
        a, b = [*zip(*pairs)]
        if home == NONE:
            return Elementwise(1, (self.pick(a),), each)
        rows, columns = (sorted({*nodes}, key=self.spot) for nodes in (a, b))
        if not self.plan.varies[home] or len(rows) * len(columns) > 4 * len(pairs):
            return Elementwise(1, (self.pick(a), self.operand(b)), each)
        row, column = ({node: i for i, node in enumerate(nodes)} for nodes in (rows, columns))
        index = [row[x] * len(columns) + column[y] for x, y in pairs]
        everything = index == list(range(len(rows) * len(columns)))
        return Outer(self.pick(rows), self.pick(columns), None if everything else tuple(index), each)


class Look(NamedTuple):
    """The kind of a computation: its op, and the groups of its operands."""

    op: tuple[Any, ...]
    homes: tuple[int, ...]


class Parted(NamedTuple):
    """A sum: inputs (sign, node) with weights, and other terms (sign, a, b) at these places, which look so."""

    out: int
    inputs: tuple[tuple[int, int], ...]
    weights: list[int]
    terms: list[Term]
    spots: list[tuple[int, ...]]
    look: Look


def in_rows(items: Sequence[Any], columns: int) -> Any:
    return tuple([tuple(items[i:i + columns]) for i in range(0, len(items), columns)])


def spaced(index: list[int]) -> range | None:
    """Places that are equally far apart, in order."""
    step = index[1] - index[0] if len(index) > 1 else 1
    found = range(index[0], index[-1] + 1, max(step, 1))
    return found if index == [*found] else None


def block(index: list[int], columns: int, total: int) -> Block | None:
    """Places that are a part of a matrix, or of a transposed one."""
    rows, start = len(index) // columns, index[0]
    for transposed in (False, True):
        lines, length, below = (columns, rows, 1) if transposed else (rows, columns, columns)
        wide = index[below] - start if lines > 1 else length
        if wide >= length and start + lines * wide <= total:
            found = Block(start, lines, wide, length, transposed)
            if index == [*chain(*found.places)]:
                return found
    return None
