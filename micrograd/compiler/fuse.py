"""Fusion for the kernel: the instructions for each sample as fewer, larger ones.

A relu, or a product, that nothing but a sum goes into becomes the epilogue of that sum; a product that only sums need
is worked out in them. Sums of the same numbers become one `DenseSums`, products of the same numbers on their way to
means one `OuterProducts`; a row and its slope are one `Pair`. Knows nothing of registers, uniforms and opcodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import isfinite
from typing import Any, NamedTuple, Union

from .. import ops
from ..ops import Op
from .program import FIXED, VARYING, Program
from .schedule import NONE, Accumulate, Apply, Instruction, Schedule, SumOfProducts, Term

AS_IS, RELU, TIMES, TIMES_STEP = range(4)  # the epilogues of a sum, as kernel.c has them
MOST_USES = 2  # of a product that is worked out in each of the sums that use it


class Monomial(NamedTuple):
    """sign * (uniform * (a * b)), where NONE stands for 1. sign is 1 or -1; a and b vary, and a is there if b is."""

    sign: int
    uniform: int
    a: int
    b: int


class FusedSum(NamedTuple):
    """out = the sum of the terms; its relu; or it times `other`, or times step(other)."""

    out: int
    terms: list[Monomial]
    epilogue: int
    other: int


class DenseSums(NamedTuple):
    """Sums with the same epilogue. Each is a start, which is uniform, and the inputs times uniform weights."""

    epilogue: int
    inputs: list[int]
    outs: list[int]
    others: list[int]
    starts: list[int]
    weights: list[list[int]]  # of each sum


class OuterProducts(NamedTuple):
    """Each a times each b, added to the mean in that row and column."""

    a: list[int]
    b: list[int]
    means: list[list[int]]


class Pair(NamedTuple):
    """The first out = op(args), and its slope the second: two results of one exponential."""

    outs: tuple[int, int]
    op: Op
    args: tuple[int, ...]


Fused = Union[FusedSum, DenseSums, OuterProducts, Pair, Apply]
Body = list[Union[FusedSum, Apply, Accumulate, None]]  # None for what was taken into another instruction
PAIRS = {ops.tanh: ops.tanh_slope, ops.sigmoid: ops.sigmoid_slope, ops.elu: ops.elu_slope, ops.gelu: ops.gelu_slope}
ROW = {slope: row for row, slope in PAIRS.items()}


def fused(schedule: Schedule) -> list[Fused]:
    one, nothing = schedule.program.constant(1.0), schedule.program.constant(-0.0)
    body = with_epilogues(schedule)
    fold_products(body, schedule)
    paired = with_pairs([instruction for instruction in body if instruction is not None])
    return list(with_outer_products(with_dense_sums(paired, nothing), one))


def monomials(program: Program, terms: Sequence[Term]) -> list[Monomial]:
    """The terms of a sum, equal ones together."""
    found, rank = [], program.rank
    for (sign, a, b), times in Counter(terms).items():
        uniform = NONE
        if rank[a] != VARYING:
            uniform, a, b = a, b, NONE
        elif b != NONE and rank[b] != VARYING:
            uniform, b = b, NONE
        if times > 1:
            u = multiplied(program, program.constant(float(times)), uniform)
            if u is not None:
                uniform, times = u, 1
        found += [Monomial(sign, uniform, a, b)] * times
    return found


def multiplied(program: Program, u: int, v: int) -> int | None:
    """The product of two uniform factors, if it is known by now."""
    if v == NONE:
        return u
    if program.rank[u] == program.rank[v] == FIXED and isfinite(program.numbers[u] * program.numbers[v]):
        return program.constant(program.numbers[u] * program.numbers[v])
    return None


def with_epilogues(schedule: Schedule) -> Body:
    """A relu or a product that is all that a sum is used for becomes the epilogue of that sum."""
    body, rank = schedule.body, schedule.program.rank
    uses = uses_of(body, schedule)
    place = places(body)
    found: Body = []

    def used_once(node: int) -> FusedSum | Apply | Accumulate | None:
        return found[place[node]] if node in place and uses[node] == 1 else None

    def ended(node: int, out: int, epilogue: int, other: int) -> FusedSum | None:
        """The sum that a node is, with an epilogue, if that is all it is used for."""
        sum_ = used_once(node)
        if not isinstance(sum_, FusedSum) or sum_.epilogue != AS_IS:
            return None
        found[place[node]] = None
        return FusedSum(out, sum_.terms, epilogue, other)

    def times(out: int, a: int, b: int) -> FusedSum | None:
        """a * b as the epilogue of the sum a."""
        sum_, step = ended(a, out, TIMES, b), used_once(b)
        if sum_ and isinstance(step, Apply) and step.op is ops.step:
            found[place[b]] = None
            return sum_._replace(epilogue=TIMES_STEP, other=step.args[0])
        return sum_

    for instruction in body:
        more: FusedSum | None = None
        if isinstance(instruction, Apply) and instruction.op is ops.relu:
            more = ended(instruction.args[0], instruction.out, RELU, NONE)
        elif isinstance(instruction, SumOfProducts):
            out, terms = instruction
            sign, a, b = terms[0]
            if len(terms) == 1 and sign > 0 and b != NONE and a != b and rank[a] == rank[b] == VARYING:
                more = times(out, a, b) or times(out, b, a)
            more = more or FusedSum(out, monomials(schedule.program, terms), AS_IS, NONE)
        found.append(more or instruction)  # type: ignore[arg-type]
    return found


def fold_products(body: Body, schedule: Schedule) -> None:
    """Work out products in the sums that use them, if nothing else does, and if they are then multiplied in the same
    order: 0 * (y * y) is nan where y * y is inf, and (0 * y) * y is 0."""
    uses = uses_of(body, schedule)
    products = {each.out: at for at, each in enumerate(body) if isinstance(each, FusedSum) and len(each.terms) == 1
                and each.epilogue == AS_IS and uses[each.out] <= MOST_USES}
    users: dict[int, list[int]] = {node: [] for node in products}  # the sums that it is a factor in, as often as it is
    for at, instruction in enumerate(body):
        if isinstance(instruction, FusedSum):
            for _, _, a, b in instruction.terms:
                for x in (a, b):
                    if x in users:
                        users[x].append(at)

    def folded(term: Monomial, inner: Monomial) -> Monomial | None:
        if term.b != NONE or NONE not in (term.uniform, inner.uniform):
            return None
        return Monomial(term.sign * inner.sign, max(term.uniform, inner.uniform), inner.a, inner.b)

    for node, at in products.items():
        if uses[node] != len(users[node]):
            continue
        [inner] = body[at].terms  # type: ignore[union-attr]
        changed: dict[int, FusedSum] = {}
        for user in dict.fromkeys(users[node]):
            sum_: Any = body[user]
            terms = [folded(term, inner) if node in (term.a, term.b) else term for term in sum_.terms]
            known = [term for term in terms if term is not None]
            if len(known) < len(terms):
                break
            changed[user] = sum_._replace(terms=known)
        else:
            body[at] = None
            for user, sum_ in changed.items():
                body[user] = sum_
                for x in (inner.a, inner.b):
                    if x in users:
                        users[x].append(user)


def with_pairs(body: Sequence[FusedSum | Apply | Accumulate]) -> list[FusedSum | Pair | Apply | Accumulate]:
    """A row and its slope, where both are asked for, become one instruction."""
    applied = [each for each in body if isinstance(each, Apply)]
    slopes = {(each.op, each.args[-ROW[each.op].arity:]): each.out for each in applied if each.op in ROW}
    pairs: dict[int, Pair | None] = {}  # in the place of what computes a node
    for out, op, args in applied:
        slope = slopes.get((PAIRS[op], args)) if op in PAIRS else None
        if slope is not None:
            pairs |= {out: Pair((out, slope), op, args), slope: None}
    found = [pairs.get(each.out, each) if isinstance(each, Apply) else each for each in body]
    return [each for each in found if each is not None]


def with_dense_sums(body: Sequence[FusedSum | Pair | Apply | Accumulate],
                    nothing: int) -> Iterator[FusedSum | DenseSums | Pair | Apply | Accumulate]:
    """Sums of the same inputs become one instruction, where the first of them was."""
    place = places(body)
    first: dict[tuple[int, ...], int] = {}
    groups: dict[int, list[tuple[FusedSum, int, list[tuple[int, int]]]]] = {}
    moved = bytearray(len(body))
    for at, instruction in enumerate(body):
        found = linear(instruction, nothing) if isinstance(instruction, FusedSum) else None
        if found is not None:
            assert isinstance(instruction, FusedSum)
            key = (instruction.epilogue, *[x for x, _ in found[1]])
            if key in first and place.get(instruction.other, -1) < first[key]:
                moved[at] = 1
            else:
                first[key] = at
            groups.setdefault(first[key], []).append((instruction, *found))
    for at, instruction in enumerate(body):
        group = groups.get(at, ())
        if len(group) > 1:
            sums = [sum_ for sum_, _, _ in group]
            yield DenseSums(sums[0].epilogue, [x for x, _ in group[0][2]], [sum_.out for sum_ in sums],
                            [sum_.other for sum_ in sums], [start for _, start, _ in group],
                            [[u for _, u in products] for _, _, products in group])
        elif not moved[at]:
            yield instruction


def linear(sum_: FusedSum, nothing: int) -> tuple[int, list[tuple[int, int]]] | None:
    """The start of a sum that may be one of several, and its inputs, in order, with their weights."""
    start, weighted = NONE, []
    for sign, uniform, a, b in sum_.terms:
        if sign < 0 or uniform == NONE or b != NONE or (a == NONE and start != NONE):
            return None
        if a == NONE:
            start = uniform
        else:
            weighted.append((a, uniform))
    return nothing if start == NONE else start, sorted(weighted)


def with_outer_products(body: Iterable[FusedSum | DenseSums | Pair | Apply | Accumulate], one: int) -> Iterator[Fused]:
    """Products with the same numbers that are accumulated one after the other become one instruction."""
    def others(instruction: Any) -> list[int] | None:
        return sorted([b for b, _ in instruction.pairs]) if isinstance(instruction, Accumulate) else None

    for b, group in groupby(body, others):
        if b is None:
            yield from group  # type: ignore[misc]
        else:
            rows: list[Any] = list(group)
            yield OuterProducts([row.a for row in rows], [one if x == NONE else x for x in b],
                                [[mean for _, mean in sorted(row.pairs)] for row in rows])


def reads(instruction: Fused | Instruction) -> Sequence[int]:
    """The nodes that an instruction needs, and NONE here and there."""
    match instruction:
        case SumOfProducts(_, terms):
            return [x for _, a, b in terms for x in (a, b)]
        case FusedSum(_, terms, _, other):
            return [*[x for _, _, a, b in terms for x in (a, b)], other]
        case DenseSums():
            return [*instruction.inputs, *instruction.others]
        case Accumulate(a, pairs):
            return [a, *[b for b, _ in pairs]]
        case OuterProducts():
            return [*instruction.a, *instruction.b]
        case _:
            return instruction.args


def writes(instruction: Fused | Instruction) -> Sequence[int]:
    """The nodes that an instruction computes."""
    match instruction:
        case Accumulate() | OuterProducts():
            return ()
        case DenseSums() | Pair():
            return instruction.outs
        case _:
            return (instruction.out,)


def places(body: Sequence[Any]) -> dict[int, int]:
    """The place in the body where each node is computed."""
    return {node: at for at, instruction in enumerate(body) for node in writes(instruction)}


def uses_of(body: Iterable[Any], schedule: Schedule) -> Counter[int]:
    """The number of times that each node that varies is read."""
    uses = Counter(schedule.varying)
    for instruction in body:
        if instruction is not None:
            uses.update(reads(instruction))
    return uses
