"""Scheduling: from a program to the instructions that are run, in three parts.

    before   once: what depends on parameters only
    body     for each sample; means over the samples are accumulated on the way
    after    once: what depends on those means

Chains of additions and products become one instruction, a sum of products; a product whose mean is wanted is
accumulated as it is computed. An unused node is left out. `schedule`, below, has the passes in order.
This module knows nothing of registers, memory or Python code: what an instruction names are nodes of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from .. import ops
from ..ops import Op
from .program import LEAVES, MEAN, SYMMETRIC, TOTAL, UNIFORM, VARYING, Program

NONE = -1  # in the place of a second factor
ADDITIVE = {ops.add: (1, 1), ops.sub: (1, -1), ops.neg: (-1, 0), TOTAL: (1, 1)}  # the signs of the first, the others

Term = tuple[int, int, int]  # of a sum: (sign, a, b) is sign * a * b, or sign * a where b is NONE; sign is 1 or -1


class SumOfProducts(NamedTuple):
    """out = the sum of the terms."""

    out: int
    terms: list[Term]


class Apply(NamedTuple):
    """out = op(args)."""

    out: int
    op: Op
    args: tuple[int, ...]


class Accumulate(NamedTuple):
    """Add a * b (or a alone, where b is NONE) to the mean `out`, for each pair (b, out). Only in the body."""

    a: int
    pairs: list[tuple[int, int]]


Instruction = Union[SumOfProducts, Apply, Accumulate]


@dataclass(slots=True)
class Schedule:
    """The instructions. uniform: the outputs that are the same for all samples; varying: those of each sample."""

    program: Program
    before: list[SumOfProducts | Apply]
    body: list[Instruction]
    after: list[SumOfProducts | Apply]
    means: list[int]
    uniform: list[int]
    varying: list[int]
    nodes: int        # how many nodes of the program are computed


def schedule(program: Program, uniform: Sequence[int], varying: Sequence[int] = ()) -> Schedule:
    """The schedule that computes these nodes of the program."""
    args, first = merged(program)
    rewire(program, args)
    uniform, varying = ([first[node] for node in nodes] for nodes in (uniform, varying))
    uses = counted(args, [*uniform, *varying])
    terms, means = collected(program, args, uses, {*uniform, *varying})
    before, body, after = written(program, args, terms, means)
    nodes = sum([1 for op, used in zip(program.ops, uses) if used and op not in LEAVES])
    return Schedule(program, before, body, after, means, uniform, varying, nodes)


def merged(program: Program) -> tuple[list[tuple[int, ...]], list[int]]:
    """The arguments of each node, where of equal nodes the first is read; and for each node the first that is equal."""
    args, first = [*program.args], list(range(len(program.ops)))
    known: dict[tuple[Op, tuple[int, ...]], int] = {}
    for node, op in enumerate(program.ops if program.repeats else ()):
        if args[node]:
            same = args[node] = tuple([first[arg] for arg in args[node]])
            first[node] = known.setdefault((op, tuple(sorted(same)) if op in SYMMETRIC else same), node)
    return args, first


def rewire(program: Program, args: list[tuple[int, ...]]) -> None:
    """Let an inlined node read the one with its number; and step(relu(z)) stand for step(z), as z itself is seldom
    needed any more."""
    for node, made in program.inlined.items():
        args[node] = (made,)
    positive = {args[node]: node for node, op in enumerate(program.ops) if op is ops.relu}
    for node, op in enumerate(program.ops):
        if op is ops.step and positive.get(args[node], node) < node:
            args[node] = (positive[args[node]],)


def counted(args: Sequence[tuple[int, ...]], outputs: Sequence[int]) -> list[int]:
    """The number of times that each node is read; 0 for one that is left out."""
    uses = [0] * len(args)
    for node in outputs:
        uses[node] += 1
    for node in range(len(args) - 1, -1, -1):
        if uses[node]:
            for arg in args[node]:
                uses[arg] += 1
    return uses


def collected(program: Program, args: Sequence[tuple[int, ...]], uses: Sequence[int],
              outputs: set[int]) -> tuple[dict[int, list[Term] | None], list[int]]:
    """The nodes that are computed, the last first, with the terms of those that are sums of products; and the means.

    A sum takes in the sums that only it uses, but not what is subtracted as a whole, as in (a + b) - (c + d), so that
    equals leave 0. A product is taken into every sum and mean that uses it, and is left out if nothing else does."""
    ops_, rank = program.ops, program.rank
    found: dict[int, list[Term] | None] = {}
    means: list[int] = []
    taken = [0] * len(ops_)  # how many of its uses do without a node

    def terms_of(node: int) -> list[Term]:
        terms: list[Term] = []
        where = rank[node]
        waiting = [(1, node)]
        while waiting:
            sign, n = waiting.pop()
            op = ops_[n]
            if op is ops.mul and rank[n] == where:
                taken[n] += 1
                a, b = args[n]
                terms.append((sign, a, b))
            elif n == node or (uses[n] == 1 and op in ADDITIVE and rank[n] == where and (sign > 0 or op is ops.neg)):
                if n != node:
                    taken[n] = 1
                first, others = ADDITIVE[op]
                waiting += [(sign * others, arg) for arg in args[n][:0:-1]]
                waiting.append((sign * first, args[n][0]))
            else:
                terms.append((sign, n, NONE))
        return terms

    for node in range(len(ops_) - 1, -1, -1):
        if not uses[node] or (taken[node] == uses[node] and node not in outputs):
            continue
        op, found[node] = ops_[node], None
        if op in ADDITIVE:
            found[node] = terms_of(node)
        elif op is ops.mul:
            found[node] = [(1, *args[node])]  # type: ignore[list-item]
        elif node in program.inlined:
            found[node] = [(1, args[node][0], NONE)]
        elif op is MEAN:
            means.append(node)
            for arg in args[node]:
                if ops_[arg] is ops.mul:
                    taken[arg] += 1
    return found, means[::-1]


def written(program: Program, args: Sequence[tuple[int, ...]], terms: dict[int, list[Term] | None],
            means: Iterable[int]) -> tuple[list[SumOfProducts | Apply], list[Instruction], list[SumOfProducts | Apply]]:
    """The instructions of the three parts, each mean right after the last number that it needs."""
    ops_, rank = program.ops, program.rank
    before: list[SumOfProducts | Apply] = []
    body: list[Instruction] = []
    after: list[SumOfProducts | Apply] = []
    late = bytearray(len(ops_))  # whether a uniform node depends on a mean
    pairs: dict[int, list[tuple[int, int]]] = {}
    for mean in means:
        late[mean] = 1
        for arg in args[mean]:
            a, b = args[arg] if ops_[arg] is ops.mul and arg not in terms else (arg, NONE)
            if b != NONE and (rank[a] != VARYING or (rank[b] == VARYING and b > a)):
                a, b = b, a
            pairs.setdefault(a, []).append((b, mean))
    for node, op in enumerate(ops_):
        if rank[node] == UNIFORM:
            for arg in args[node]:
                if late[arg]:
                    late[node] = 1
                    break
        if node not in terms:
            continue
        if op not in LEAVES and op is not MEAN:
            found = terms[node]
            part: list[Any] = body if rank[node] == VARYING else after if late[node] else before
            part.append(Apply(node, op, args[node]) if found is None else SumOfProducts(node, found))
        if node in pairs:
            body.append(Accumulate(node, pairs[node]))
    return before, body, after
