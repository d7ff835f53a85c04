"""Fusion for the kernel: the instructions for each sample as fewer, larger ones.

A relu, or a product, that nothing but a sum goes into is done at the end of that sum. Sums of the same numbers become one
Layer, and products of the same numbers on their way to means one Outer, each number being fetched once for several of
them. Knows nothing of registers, slots and opcodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Union

from .. import ops
from .schedule import NONE, Apply, Gather, Instruction, Program, Sum, Term
from .tape import VARYING

AS_IS, RELU, TIMES, TIMES_STEP = range(4)  # the ends of a sum, as kernel.c has them


class Ended(NamedTuple):
    """out = the sum of the terms; its relu; or it times `other`, or times step(other)."""

    out: int
    terms: list[Term]
    end: int
    other: int


class Layer(NamedTuple):
    """Sums with the same end. Each is a start, which is uniform, or NONE, and the inputs times uniform weights."""

    end: int
    inputs: list[int]
    outs: list[int]
    others: list[int]
    starts: list[int]
    weights: list[list[int]]  # of each sum


class Outer(NamedTuple):
    """Each a times each b (1 where it is NONE), added to the mean in that row and column."""

    a: list[int]
    b: list[int]
    means: list[list[int]]


Fused = Union[Ended, Layer, Outer, Apply]


def fused(program: Program) -> list[Fused]:
    """The body of the program."""
    return list(outers(layers(ended(program), program.tape.rank)))


def ended(program: Program) -> list[Ended | Apply | Gather]:
    """What is left when the ends of sums are taken into them."""
    body, rank = program.body, program.tape.rank
    uses = Counter(x for instruction in body for x in read(instruction))
    uses.update(program.varying)
    place = {i.out: at for at, i in enumerate(body) if not isinstance(i, Gather)}
    found: list[Ended | Apply | Gather | None] = []

    def take(node: int, row: ops.Op | None) -> Sum | Apply | None:
        """The instruction for a node that is used only once: a sum, or that row. It is left out where it was."""
        if node not in place or uses[node] != 1:
            return None
        instruction = found[place[node]]
        if isinstance(instruction, Apply) and instruction.op is row:
            found[place[node]] = None
            return instruction
        if isinstance(instruction, Ended) and row is None and instruction.end == AS_IS:
            found[place[node]] = None
            return Sum(node, instruction.terms)
        return None

    for instruction in body:
        if isinstance(instruction, Apply) and instruction.op is ops.relu:
            inner = take(instruction.args[0], None)
            found.append(Ended(instruction.out, inner.terms, RELU, NONE) if isinstance(inner, Sum) else instruction)
        elif isinstance(instruction, Sum):
            found.append(Ended(instruction.out, instruction.terms, AS_IS, NONE))
            sign, a, b = instruction.terms[0]
            if len(instruction.terms) == 1 and sign > 0 and b != NONE and a != b and rank[a] == rank[b] == VARYING:
                for a, b in ((a, b), (b, a)):  # noqa: B020
                    inner = take(a, None)
                    if isinstance(inner, Sum):
                        step = take(b, ops.step)
                        found[-1] = (Ended(instruction.out, inner.terms, TIMES_STEP, step.args[0])
                                     if isinstance(step, Apply) else Ended(instruction.out, inner.terms, TIMES, b))
                        break
        else:
            found.append(instruction)
    return [instruction for instruction in found if instruction is not None]


def layers(body: list[Ended | Apply | Gather], rank: list[int]) -> Iterator[Ended | Layer | Apply | Gather]:
    """Sums of the same inputs together, where the first of them was."""
    made = {i.out: at for at, i in enumerate(body) if not isinstance(i, Gather)}
    first: dict[tuple[int, ...], int] = {}
    groups: dict[int, list[tuple[Ended, int, list[tuple[int, int]]]]] = {}
    moved = bytearray(len(body))
    for at, instruction in enumerate(body):
        found = linear(instruction, rank) if isinstance(instruction, Ended) else None
        if found is not None:
            assert isinstance(instruction, Ended)
            key = (instruction.end, *[x for x, _ in found[1]])
            if key in first and made.get(instruction.other, -1) < first[key]:
                moved[at] = 1
            else:
                first[key] = at
            groups.setdefault(first[key], []).append((instruction, *found))
    for at, instruction in enumerate(body):
        group = groups.get(at, ())
        if len(group) > 1:
            sums = [sum_ for sum_, _, _ in group]
            yield Layer(sums[0].end, [x for x, _ in group[0][2]], [sum_.out for sum_ in sums],
                        [sum_.other for sum_ in sums], [start for _, start, _ in group],
                        [[u for _, u in products] for _, _, products in group])
        elif not moved[at]:
            yield instruction


def linear(sum_: Ended, rank: list[int]) -> tuple[int, list[tuple[int, int]]] | None:
    """The start of a sum that may be one of a layer, and its inputs, in order, with their weights."""
    start, products = NONE, []
    for sign, a, b in sum_.terms:
        if sign < 0:
            return None
        if b == NONE and rank[a] != VARYING and start == NONE:
            start = a
        elif b != NONE and (rank[a] == VARYING) != (rank[b] == VARYING):
            products.append((a, b) if rank[a] == VARYING else (b, a))
        else:
            return None
    return start, sorted(products)


def outers(body: Iterable[Ended | Layer | Apply | Gather]) -> Iterator[Fused]:
    """Gathers one after the other, of products with the same numbers, as one."""
    last: Outer | None = None
    for instruction in body:
        if isinstance(instruction, Gather):
            pairs = sorted(instruction.pairs)
            b, means = [b for b, _ in pairs], [mean for _, mean in pairs]
            if last is not None and last.b == b:
                last.a.append(instruction.a)
                last.means.append(means)
                continue
            if last is not None:
                yield last
            last = Outer([instruction.a], b, [means])
        else:
            if last is not None:
                yield last
            last = None
            yield instruction
    if last is not None:
        yield last


def read(instruction: Instruction) -> list[int]:
    """What an instruction reads, as often as it does."""
    if isinstance(instruction, Sum):
        return [x for _, a, b in instruction.terms for x in (a, b) if x != NONE]
    if isinstance(instruction, Gather):
        return [instruction.a, *[b for b, _ in instruction.pairs if b != NONE]]
    return list(instruction.args)
