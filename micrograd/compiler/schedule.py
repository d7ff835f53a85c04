"""Scheduling: from a tape to the instructions that are run, in three parts.

    before   once: what depends on parameters only
    body     for each sample; means over the samples are gathered on the way
    after    once: what depends on those means

Chains of additions and products become one instruction, a sum of products; a product whose mean is wanted is gathered
as it is computed. An unused node is left out.
This module knows nothing of registers, memory or Python code: a place is that of a node on the tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Union

from .. import ops
from ..ops import Op
from .program import LEAVES, MEAN, SYMMETRIC, TOTAL, UNIFORM, VARYING, Tape

NONE = -1  # in the place of a second factor


Term = tuple[int, int, int]  # of a sum: (sign, a, b) is sign * a * b, or sign * a where b is NONE; sign is 1 or -1


class Sum(NamedTuple):
    """out = the sum of the terms."""

    out: int
    terms: list[Term]


class Apply(NamedTuple):
    """out = op(args)."""

    out: int
    op: Op
    args: tuple[int, ...]


class Gather(NamedTuple):
    """Add a * b (or a alone, where b is NONE) to the mean `out`, for each pair (b, out). Only in the body."""

    a: int
    pairs: list[tuple[int, int]]


Instruction = Union[Sum, Apply, Gather]


@dataclass(slots=True)
class Program:
    """What is to be run. uniform: the outputs that are the same for all samples; varying: those of each sample."""

    tape: Tape
    before: list[Sum | Apply]
    body: list[Instruction]
    after: list[Sum | Apply]
    means: list[int]
    uniform: list[int]
    varying: list[int]
    nodes: int        # how many nodes of the tape are computed


def schedule(tape: Tape, uniform: Sequence[int], varying: Sequence[int] = ()) -> Program:
    """The program that computes these nodes of the tape."""
    ops_, args, rank = tape.ops, [*tape.args], tape.rank
    if tape.repeats:
        first = merged(tape)
        args = [tuple([first[arg] for arg in each]) for each in args]
        uniform, varying = ([first[node] for node in nodes] for nodes in (uniform, varying))
    for node, made in tape.written_out.items():  # in other words
        args[node] = (made,)
    outputs = [*uniform, *varying]
    uses = [0] * len(ops_)
    for node in outputs:
        uses[node] += 1
    positive = {args[node]: node for node, op in enumerate(ops_) if op is ops.relu}
    for node, op in enumerate(ops_):
        if op is ops.step and positive.get(args[node], node) < node:
            args[node] = (positive[args[node]],)  # step(relu(z)) is step(z), and z itself is seldom needed any more
    late = bytearray(len(ops_))  # whether a uniform node depends on a mean
    for node in range(len(ops_) - 1, -1, -1):
        if uses[node]:
            for arg in args[node]:
                uses[arg] += 1
    nodes = 0
    for node, op in enumerate(ops_):
        if uses[node] and op not in LEAVES:
            nodes += 1
            if op is MEAN:
                late[node] = 1
            elif rank[node] == UNIFORM:
                for arg in args[node]:
                    if late[arg]:
                        late[node] = 1
                        break

    # From the last node to the first: who is a term of whom. A sum takes in the sums that only it uses, but not what is
    # subtracted as a whole, as in (a + b) - (c + d), so that equals leave 0; a product is taken into every sum and mean
    # that uses it, and is left out if no one else does.
    kept = set(outputs)
    sums: dict[int, list[Term]] = {}
    means: list[int] = []
    taken = [0] * len(ops_)  # how many of its uses do without it

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

    stays = bytearray(len(ops_))
    for node in range(len(ops_) - 1, -1, -1):
        if not uses[node] or (taken[node] == uses[node] and node not in kept):
            continue
        stays[node] = 1
        if ops_[node] in ADDITIVE:
            sums[node] = terms_of(node)
        elif ops_[node] is MEAN:
            means.append(node)
            for arg in args[node]:
                if ops_[arg] is ops.mul:
                    taken[arg] += 1
    means.reverse()

    # From the first to the last: the instructions, each mean right after the last number that it needs.
    before: list[Sum | Apply] = []
    body: list[Instruction] = []
    after: list[Sum | Apply] = []
    gathers: dict[int, list[tuple[int, int]]] = {}
    for mean in means:
        for arg in args[mean]:
            a, b = args[arg] if ops_[arg] is ops.mul and not stays[arg] else (arg, NONE)
            if b != NONE and (rank[a] != VARYING or (rank[b] == VARYING and b > a)):
                a, b = b, a
            gathers.setdefault(a, []).append((b, mean))
    for node, op in enumerate(ops_):
        if not stays[node]:
            continue
        if op not in LEAVES and op is not MEAN:
            if node in sums:
                instruction: Sum | Apply = Sum(node, sums[node])
            elif op is ops.mul:
                instruction = Sum(node, [(1, args[node][0], args[node][1])])
            elif node in tape.written_out:
                instruction = Sum(node, [(1, args[node][0], NONE)])
            else:
                instruction = Apply(node, op, args[node])
            (body if rank[node] == VARYING else after if late[node] else before).append(instruction)
        if node in gathers:
            body.append(Gather(node, gathers[node]))
    return Program(tape, before, body, after, means, list(uniform), list(varying), nodes)


def merged(tape: Tape) -> list[int]:
    """For each node the first that computes the same."""
    first = list(range(len(tape.ops)))
    known: dict[tuple[Op, tuple[int, ...]], int] = {}
    for node, (op, args) in enumerate(zip(tape.ops, tape.args)):
        if args:
            same = tuple([first[arg] for arg in args])
            first[node] = known.setdefault((op, tuple(sorted(same)) if op in SYMMETRIC else same), node)
    return first


ADDITIVE = {ops.add: (1, 1), ops.sub: (1, -1), ops.neg: (-1, 0), TOTAL: (1, 1)}  # the signs of the first, the others
