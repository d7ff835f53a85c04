"""The gradient of a program, as more nodes of the same program.

The derivatives are those of the rows, called on nodes, so that a gradient can be differentiated again. Unlike in the
engine, many samples are differentiated at once: the branch of a `where` that a sample does not take is masked, and what
reaches a parameter is a mean over the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from .. import ops
from ..rows import carries, plain_slope
from .program import MEAN, TOTAL, VARYING, Node, Program


def gradient(program: Program, y: int, xs: Sequence[int]) -> list[int]:
    """dy/dx for each leaf x of xs, written into the program. y is a number of each sample, or of all of them; where x
    is uniform and y varies, dy/dx is that of the mean of y over the samples. The constant 0 where y does not depend on
    x."""
    args, rank, labels, adjoints = program.args, program.rank, program.labels, program.adjoints
    depends = dependent(program, y, xs)
    regions = Regions(program, y) if ops.where in program.ops[:y + 1] else None
    one, zero = program.constant(1.0), program.constant(0.0)
    waiting: dict[int, list[Any]] = {y: [one if regions is None else (None, one, None)]} if depends[y] else {}
    leaves = dict.fromkeys(xs)
    found: dict[int, int] = {}
    for node in range(y, -1, -1):
        contributions = waiting.pop(node, None)
        if contributions is None:
            continue
        if regions is not None:
            contributions = regions.enter(node, contributions)
        elif rank[node] != VARYING:
            contributions = averaged(program, contributions)
        upstream = contributions[0] if len(contributions) == 1 else program.total(contributions)
        if upstream > y and adjoints.get(upstream) not in labels:
            adjoints[upstream] = node  # of several nodes the first that has a name
        if node in leaves:
            found[node] = upstream
            continue
        for i, arg in enumerate(args[node]):
            if depends[arg]:
                local = slope(program, node, i, one)
                if local is None:
                    continue
                if regions is not None:
                    contribution: Any = regions.leave(node, i, upstream, local)
                else:
                    contribution = upstream if local == one else program.times(upstream, local)
                waiting.setdefault(arg, []).append(contribution)
    return [found.get(x, zero) for x in xs]


def dependent(program: Program, y: int, xs: Sequence[int]) -> bytearray:
    """For each node up to y, whether it depends on one of xs."""
    depends = bytearray(y + 1)
    for x in xs:
        if x <= y:
            depends[x] = 1
    for node in range(y + 1):
        if not depends[node]:
            for arg in program.args[node]:
                if depends[arg]:
                    depends[node] = 1
                    break
    return depends


def slope(program: Program, node: int, i: int, one: int) -> int | None:
    """The i-th local derivative of a node, which may be the constant `one`; None where it carries nothing. The row sees
    constants as the numbers that they are."""
    op, args = program.ops[node], program.args[node]
    if op is ops.where:
        return one if i else None
    known: Any = 1.0 if op is TOTAL else plain_slope(op, i)
    if isinstance(known, int):
        return args[known - 1] if known else node
    if known == 1.0:
        return one
    if not carries(op, i):
        return None
    if known is None:
        given = [program.numbers[arg] if arg in program.numbers else Node(program, arg) for arg in args]
        try:
            known = op.derivatives[i](Node(program, node), *given)
        except (ValueError, ArithmeticError):  # arithmetic on constants alone, such as 1 / 0.0
            known = op.derivatives[i](Node(program, node), *[Node(program, arg) for arg in args])
    return program.node(known)


def averaged(program: Program, terms: list[int]) -> list[int]:
    """Terms of something uniform: one mean takes the place of all the varying ones."""
    varying = [term for term in terms if program.rank[term] == VARYING]
    if not varying:
        return terms
    return [*[term for term in terms if program.rank[term] != VARYING], program.emit(MEAN, tuple(varying))]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The nodes that serve only one side of a condition: 1 where it is not zero, 2 where it is."""

    around: Region | None
    condition: int
    side: int
    depth: int


class Regions:
    """The nodes that serve only one branch of a `where`, so that nothing of them may be felt where the other is taken.

    There, a slope may be inf or nan, and 0 * inf is nan. So the contributions of such nodes are not made zero on the
    way in, but thrown away where they leave the region. None is the outside, where leaves are.

    A uniform node has no sample: it lies outside of branches that only some samples take. What comes to it from them is
    averaged before it goes on. Such a node, and one that serves several branches, may be of no use to a sample, or to
    all of them. Another node, its `mask`, is 1 where it is of use, and 0 where it is not; None says that it always is.
    """

    def __init__(self, program: Program, y: int) -> None:
        self.program = program
        self.home: dict[int, Region | None] = {y: None}
        self.branches: dict[tuple[Region | None, int, int], Region] = {}
        self.mask: dict[int, int | None] = {}
        for node in range(y, -1, -1):
            if node not in self.home:
                continue
            for i, arg in enumerate(program.args[node]):
                if program.ops[node] is not TOTAL and not carries(program.ops[node], i):
                    continue
                region = self.of_argument(node, i)
                if not program.args[arg]:
                    region = None
                elif program.rank[arg] != VARYING:
                    region = self.of_all_samples(region)
                self.home[arg] = common(self.home[arg], region) if arg in self.home else region

    def of_argument(self, node: int, i: int) -> Region | None:
        """The region in which a node needs its i-th argument."""
        around = self.home[node]
        if self.program.ops[node] is not ops.where or i == 0:
            return around
        key = around, self.program.args[node][0], i  # the same for every `where` there with this condition
        if key not in self.branches:
            self.branches[key] = Region(*key, 1 + (around.depth if around else 0))
        return self.branches[key]

    def of_all_samples(self, region: Region | None) -> Region | None:
        """The innermost region around one that depends on no condition of a sample."""
        found = region
        while region is not None:
            if self.program.rank[region.condition] == VARYING:
                found = region.around
            region = region.around
        return found

    def leave(self, node: int, i: int, upstream: int, local: int) -> tuple[Region | None, int, int | None]:
        """The contribution of a node to its i-th argument: the region that it leaves, the term, the mask of the node.

        The argument may be a parameter, to which a whole layer contributes products of two numbers. Then the factors
        are cut, not the products: there are fewer of them, and the mean of the products stays one outer product."""
        program, region, mask = self.program, self.of_argument(node, i), self.mask[node]
        factors = [upstream] if program.numbers.get(local) == 1.0 else [upstream, local]
        if program.ops[program.args[node][i]] is ops.LEAF and self.of_all_samples(region) is not region:
            if len(factors) > 1 and mask is not None:  # upstream is 0 already where the node is of no use
                factors[1] = self.cut(mask, 1, local)
            while region is not None and self.of_all_samples(region) is not region:
                factors = [self.cut(region.condition, region.side, x) for x in factors]
                region = region.around
        elif len(factors) > 1 and mask is not None:  # the slope may be 0 * inf where the node is of no use
            return region, self.cut(mask, 1, program.times(factors[0], factors[1])), mask
        return region, factors[0] if len(factors) == 1 else program.times(factors[0], factors[1]), mask

    def cut(self, condition: int, side: int, x: int) -> int:
        """x on one side of a condition, and 0 on the other."""
        zero = self.program.constant(0.0)
        return self.program.emit(ops.where, (condition, x, zero) if side == 1 else (condition, zero, x))

    def enter(self, node: int, contributions: list[tuple[Region | None, int, int | None]]) -> list[int]:
        """Contributions to a node, without what does not count there; its mask is noted. From the innermost region
        outwards, what comes from the same one is added up before it is cut."""
        program, outside = self.program, self.home[node]
        terms: dict[Region | None, list[int]] = {}
        masks: dict[Region | None, list[int | None]] = {}
        sides: dict[tuple[Region | None, int], int] = {}  # the sides of a condition on which it always is
        waiting: list[tuple[int, int, Region | None]] = []

        def add(region: Region | None, term: int, mask: int | None) -> None:
            if region not in terms:
                terms[region], masks[region] = [], []
                heappush(waiting, (-region.depth if region else 0, len(terms), region))
            terms[region].append(term)
            masks[region].append(mask)

        for contribution in contributions:
            add(*contribution)
        while True:
            region = heappop(waiting)[2]
            found, met = terms[region], masks[region]
            if program.rank[node] != VARYING and self.of_all_samples(region) is region:
                found, met = averaged(program, found), [x if x is None else program.mean(x) for x in met]
            mask = self.union(met)
            if region is None or region is outside:
                self.mask[node] = mask
                return found
            around, condition = region.around, region.condition
            term = program.total(found)
            if mask is None:
                mask = program.constant(1.0)
                sides[around, condition] = sides.get((around, condition), 0) | region.side
            term, mask = (self.cut(condition, region.side, x) for x in (term, mask))
            add(around, term, None if sides.get((around, condition)) == 3 else mask)

    def union(self, masks: list[int | None]) -> int | None:
        """The mask of where one of them is 1."""
        found, *others = dict.fromkeys(masks)
        for mask in others:
            if found is None or mask is None:
                return None
            found = self.program.emit(ops.where, (found, self.program.constant(1.0), mask))
        return found


def common(p: Region | None, q: Region | None) -> Region | None:
    """The innermost region around two."""
    while p is not q:
        if q is None or (p is not None and p.depth >= q.depth):
            assert p is not None
            p = p.around
        else:
            q = q.around
    return p
