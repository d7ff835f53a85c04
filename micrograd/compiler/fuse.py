"""Fusion for the kernel: the instructions for each sample as fewer, larger ones.

A relu, or a product, that nothing but a sum goes into is done at the end of that sum; a product that only sums need is
worked out in them. Sums of the same numbers become one Layer, products of the same numbers on their way to means one
Outer; a row and its slope are one Pair. Knows nothing of registers, slots and opcodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Any, NamedTuple, Union

from .. import ops
from ..ops import Op
from .program import FIXED, VARYING, Tape
from .schedule import NONE, Apply, Gather, Program, Sum, Term

AS_IS, RELU, TIMES, TIMES_STEP = range(4)  # the ends of a sum, as kernel.c has them
MOST_USES = 2  # of a product that is worked out in each of the sums that use it


class Product(NamedTuple):
    """sign * (uniform * (a * b)), where NONE stands for 1. sign is 1 or -1; a and b vary, and a is there if b is."""

    sign: int
    uniform: int
    a: int
    b: int


class Ended(NamedTuple):
    """out = the sum of the terms; its relu; or it times `other`, or times step(other)."""

    out: int
    terms: list[Product]
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


class Pair(NamedTuple):
    """The first out = op(args), and its slope the second: two results of one exponential."""

    outs: tuple[int, int]
    op: Op
    args: tuple[int, ...]


Fused = Union[Ended, Layer, Outer, Pair, Apply]
PAIRS = {ops.tanh: ops.tanh_slope, ops.sigmoid: ops.sigmoid_slope, ops.elu: ops.elu_slope, ops.gelu: ops.gelu_slope}
ROW = {slope: row for row, slope in PAIRS.items()}


def fused(program: Program) -> list[Fused]:
    """The body of the program."""
    body = ended(program)
    fold(body, program)
    return list(outers(layers(pairs([instruction for instruction in body if instruction is not None]))))


def products(tape: Tape, terms: Sequence[Term]) -> list[Product]:
    """The terms of a sum, equal ones together."""
    found = []
    for (sign, a, b), times in Counter(terms).items():
        factors = (a,) if b == NONE else (a, b)
        varying = [x for x in factors if tape.rank[x] == VARYING] + [NONE, NONE]
        uniform = [x for x in factors if tape.rank[x] != VARYING] + [NONE]
        if times > 1:
            u = multiplied(tape, tape.constant(float(times)), uniform[0])
            if u is not None:
                uniform, times = [u], 1
        found += [Product(sign, uniform[0], varying[0], varying[1])] * times
    return found


def multiplied(tape: Tape, u: int, v: int) -> int | None:
    """The product of two uniform factors, if it is known by now."""
    if v == NONE:
        return u
    if tape.rank[u] == tape.rank[v] == FIXED and isfinite(tape.numbers[u] * tape.numbers[v]):
        return tape.constant(tape.numbers[u] * tape.numbers[v])
    return None


def ended(program: Program) -> list[Ended | Apply | Gather | None]:
    """What is left when the ends of sums are taken into them; None for what was taken."""
    body, rank = program.body, program.tape.rank
    uses = uses_of(body, program)
    place = places(body)
    found: list[Ended | Apply | Gather | None] = []

    def take(node: int) -> Ended | None:
        """The sum that a node is, if that is all it is used for."""
        instruction = found[place[node]] if node in place and uses[node] == 1 else None
        if isinstance(instruction, Ended) and instruction.end == AS_IS:
            found[place[node]] = None
            return instruction
        return None

    def times(out: int, a: int, b: int) -> Ended | None:
        """a * b as the end of the sum a."""
        sum_ = take(a)
        if sum_ is None:
            return None
        step = found[place[b]] if b in place and uses[b] == 1 else None
        if isinstance(step, Apply) and step.op is ops.step:
            found[place[b]] = None
            return Ended(out, sum_.terms, TIMES_STEP, step.args[0])
        return Ended(out, sum_.terms, TIMES, b)

    for instruction in body:
        more: Ended | None = None
        if isinstance(instruction, Apply) and instruction.op is ops.relu:
            sum_ = take(instruction.args[0])
            more = sum_ and Ended(instruction.out, sum_.terms, RELU, NONE)
        elif isinstance(instruction, Sum):
            sign, a, b = instruction.terms[0]
            if len(instruction.terms) == 1 and sign > 0 and b != NONE and a != b and rank[a] == rank[b] == VARYING:
                more = times(instruction.out, a, b) or times(instruction.out, b, a)
            more = more or Ended(instruction.out, products(program.tape, instruction.terms), AS_IS, NONE)
        found.append(more or instruction)  # type: ignore[arg-type]
    return found


def fold(body: list[Ended | Apply | Gather | None], program: Program) -> None:
    """Work out products in the sums that use them, if nothing else does, and if they are then multiplied in the same
    order: 0 * (y * y) is nan where y * y is inf, and (0 * y) * y is 0."""
    uses = uses_of(body, program)
    users: dict[int, list[int]] = {}  # the sums with terms of which a node is a factor, as often as it is one
    for at, instruction in enumerate(body):
        if isinstance(instruction, Ended):
            for _, _, a, b in instruction.terms:
                for x in (a, b):
                    users.setdefault(x, []).append(at)

    def folded(term: Product, inner: Product) -> Product | None:
        if term.b != NONE or NONE not in (term.uniform, inner.uniform):
            return None
        return Product(term.sign * inner.sign, max(term.uniform, inner.uniform), inner.a, inner.b)

    for at, instruction in enumerate(body):
        if not isinstance(instruction, Ended) or len(instruction.terms) != 1 or instruction.end != AS_IS:
            continue
        node, inner = instruction.out, instruction.terms[0]
        if uses[node] > MOST_USES or uses[node] != len(users.get(node, ())):
            continue
        changed: dict[int, Ended] = {}
        for user in dict.fromkeys(users[node]):
            sum_ = body[user]
            assert isinstance(sum_, Ended)
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
                    users[x].append(user)


def pairs(body: list[Ended | Apply | Gather]) -> list[Ended | Pair | Apply | Gather]:
    """Rows with their slopes, where both are asked for."""
    slopes = {(each.op, each.args[-ROW[each.op].arity:]): each.out for each in body
              if isinstance(each, Apply) and each.op in ROW}
    both = {each.out: slopes[PAIRS[each.op], each.args] for each in body
            if isinstance(each, Apply) and each.op in PAIRS and (PAIRS[each.op], each.args) in slopes}
    second = set(both.values())
    found: list[Ended | Pair | Apply | Gather] = []
    for each in body:
        if isinstance(each, Apply) and each.out in both:
            found.append(Pair((each.out, both[each.out]), each.op, each.args))
        elif not (isinstance(each, Apply) and each.out in second):
            found.append(each)
    return found


def layers(body: Sequence[Ended | Pair | Apply | Gather]) -> Iterator[Ended | Layer | Pair | Apply | Gather]:
    """Sums of the same inputs together, where the first of them was."""
    place = places(body)
    first: dict[tuple[int, ...], int] = {}
    groups: dict[int, list[tuple[Ended, int, list[tuple[int, int]]]]] = {}
    moved = bytearray(len(body))
    for at, instruction in enumerate(body):
        found = linear(instruction) if isinstance(instruction, Ended) else None
        if found is not None:
            assert isinstance(instruction, Ended)
            key = (instruction.end, *[x for x, _ in found[1]])
            if key in first and place.get(instruction.other, -1) < first[key]:
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


def linear(sum_: Ended) -> tuple[int, list[tuple[int, int]]] | None:
    """The start of a sum that may be one of a layer, and its inputs, in order, with their weights."""
    start, weighted = NONE, []
    for sign, uniform, a, b in sum_.terms:
        if sign < 0 or uniform == NONE or b != NONE or (a == NONE and start != NONE):
            return None
        if a == NONE:
            start = uniform
        else:
            weighted.append((a, uniform))
    return start, sorted(weighted)


def outers(body: Iterable[Ended | Layer | Pair | Apply | Gather]) -> Iterator[Fused]:
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


def made_by(instruction: Fused | Sum | Gather) -> Sequence[int]:
    """The nodes that an instruction computes."""
    if isinstance(instruction, (Gather, Outer)):
        return ()
    return instruction.outs if isinstance(instruction, (Layer, Pair)) else (instruction.out,)


def places(body: Sequence[Any]) -> dict[int, int]:
    """Where each node is computed."""
    return {node: at for at, instruction in enumerate(body) for node in made_by(instruction)}


def uses_of(body: Iterable[Any], program: Program) -> Counter[int]:
    """How often each node that varies is read."""
    uses = Counter(program.varying)
    for instruction in body:
        if isinstance(instruction, (Sum, Ended)):
            uses.update([x for term in instruction.terms for x in term[1:]])
            if isinstance(instruction, Ended):
                uses[instruction.other] += 1
        elif isinstance(instruction, Gather):
            uses.update([instruction.a, *[b for b, _ in instruction.pairs]])
        elif instruction is not None:
            uses.update(instruction.args)
    return uses
