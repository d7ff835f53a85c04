"""Encoding: a schedule as the numbers that the kernel runs (machine.h says what they mean).

Uniform numbers lie in one array: parameters, means, and the others in the order in which they are met. Varying ones get
registers, each free again after its last use. Sums of one shape over neighbours in the array become one instruction.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from .fuse import DenseSums, Fused, FusedSum, Monomial, OuterProducts, Pair, fused, reads, writes
from .program import MEAN
from .schedule import NONE, Apply, Schedule, SumOfProducts

CACHE = 24 * 1024       # bytes that the registers should fit into: most of a processor's first cache
KINDS = ((1, 0), (0, 1), (1, 1), (0, 2), (1, 2))  # how many uniform and varying factors a term has
MANY = 16               # terms of a sum that is looked at term by term, in search of neighbours
LEAST, MOST = 128, 512  # samples in a block; fewer would cost more than a slower cache does


@dataclass(slots=True)
class Code:
    """A program for the kernel."""

    before: array[int]
    body: array[int]
    after: array[int]
    uniforms: array[float]   # as they are at the start: the constants
    registers: int
    block: int               # vectors
    first_mean: int
    means: int
    outputs: array[int]      # the offset of each uniform output
    columns: int
    outs: int


def missing(schedule: Schedule, codes: Mapping[str, int]) -> list[str]:
    """The names of the ops that the kernel does not have."""
    return list(dict.fromkeys(instruction.op.name for instruction in
                              chain(schedule.before, schedule.body, schedule.after) if isinstance(instruction, Apply)
                              and not (instruction.op.builtin and instruction.op.name in codes)))


class Uniforms(dict[int, int]):
    """The offset of each uniform node in the array of uniform numbers, from the first time that it is asked for."""

    def __init__(self, numbers: Mapping[int, float]) -> None:
        self.numbers = numbers
        self.contents = array("d")

    def __missing__(self, node: int) -> int:
        self[node] = offset = len(self.contents)
        self.contents.append(self.numbers.get(node, 0.0))
        return offset


class Registers(dict[int, int]):
    """The register of each varying node. One that is free is taken again; `count` is how many there are."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.count = 0

    def take(self, node: int) -> int:
        if self.free:
            self[node] = self.free.pop()
        else:
            self[node] = self.count
            self.count += 1
        return self[node]

    def release(self, nodes: Iterable[int]) -> None:
        self.free += [self[node] for node in nodes]


def encode(schedule: Schedule, codes: Mapping[str, int], lanes: int, parameters: Sequence[int]) -> Code:
    """The code for a kernel with these opcodes, and vectors of so many numbers.

    parameters: nodes, which come first among the uniform numbers, in this order.
    """
    program = schedule.program
    uniforms = Uniforms(program.numbers)
    for node in parameters:
        uniforms[node]
    wanted = [a for sum_ in schedule.after if isinstance(sum_, SumOfProducts)
              for _, a, _ in sum_.terms if program.ops[a] is MEAN]
    means = list(dict.fromkeys([*wanted, *schedule.means]))
    first_mean = len(uniforms)
    offsets = {node: uniforms[node] - first_mean for node in means}
    one = program.constant(1.0)
    before, after = (encode_once(part, codes, uniforms, one) for part in (schedule.before, schedule.after))
    outputs = array("i", [uniforms[node] for node in schedule.uniform])
    body, registers = encode_body(schedule, codes, uniforms, offsets)
    samples = min(max(CACHE // (8 * max(registers, 1)) // LEAST * LEAST, LEAST), MOST)
    return Code(before, body, after, uniforms.contents, registers, samples // lanes, first_mean, len(means), outputs,
                len(program.inputs), len(schedule.varying))


# What is run once

def encode_once(part: Sequence[SumOfProducts | Apply], codes: Mapping[str, int], uniforms: Uniforms,
                one: int) -> array[int]:
    code = array("i")
    run: list[list[int]] = []  # sums of one shape over neighbours: sign, a, b, sign, a, b, ..., out
    steps: list[int] = []      # from each of them to the next
    for instruction in part:
        if isinstance(instruction, Apply):
            code.extend(words_of_run(run, steps, codes))
            run = []
            arguments = [uniforms[arg] for arg in instruction.args]
            code.extend((codes[instruction.op.name], uniforms[instruction.out], *arguments))
            continue
        flat: list[int] = []
        for sign, a, b in instruction.terms:
            flat += (sign, uniforms[a], uniforms[one if b == NONE else b])
        flat.append(uniforms[instruction.out])
        further = [y - x for x, y in zip(run[-1], flat)] if run and len(flat) == len(run[-1]) else []
        if further and max(flat[:-1]) < run[0][-1] and (further == steps if len(run) > 1 else are_neighbours(further)):
            steps = further
        else:
            code.extend(words_of_run(run, steps, codes))
            run, steps = [], []
        run.append(flat)
    code.extend(words_of_run(run, steps, codes))
    return code


def are_neighbours(steps: Sequence[int]) -> bool:
    """True if a second sum may follow a first one in a run: with the same signs, and all at most one place further."""
    return steps[-1] == 1 and not any(steps[:-1:3]) and all(-1 <= step <= 1 for step in steps)


def words_of_run(run: Sequence[Sequence[int]], steps: Sequence[int], codes: Mapping[str, int]) -> list[int]:
    """A run of sums as one instruction. A single sum of many terms is split where they are no neighbours."""
    if not run:
        return []
    *flat, out = run[0]
    terms = list(zip(flat[::3], flat[1::3], flat[2::3]))
    if len(run) > 1 or len(terms) < MANY:
        strides = zip(steps[1::3], steps[2::3]) if steps else [(0, 0)] * len(terms)
        return [codes["sum"], out, len(run), len(terms), *chain.from_iterable(
            (sign, a, step_a, b, step_b) for (sign, a, b), (step_a, step_b) in zip(terms, strides))]
    parts: list[list[int]] = []  # sign, a, b, count
    for sign, a, b in sorted(terms):
        if parts and [sign, a - parts[-1][3], b - parts[-1][3]] == parts[-1][:3]:
            parts[-1][3] += 1
        else:
            parts.append([sign, a, b, 1])
    return [codes["dot"], out, len(parts), *chain.from_iterable(parts)]


# What is run for each sample

def encode_body(schedule: Schedule, codes: Mapping[str, int], uniforms: Uniforms,
                offsets: Mapping[int, int]) -> tuple[array[int], int]:
    """The instructions for each sample, and how many registers they need. offsets: of the means, among themselves."""
    column = {node: i for i, node in enumerate(schedule.program.inputs)}
    body = fused(schedule)
    needs = [[node for node in reads(instruction) if node != NONE] for instruction in body]
    needs += [[node] for node in schedule.varying]
    last = {node: i for i, nodes in enumerate(needs) for node in nodes}
    code, registers = array("i"), Registers()
    for i, nodes in enumerate(needs):
        for node in nodes:
            if node not in registers:
                if node in column:
                    code.extend((codes["load"], registers.take(node), column[node]))
                else:
                    code.extend((codes["spread"], registers.take(node), uniforms[node]))
        if i >= len(body):
            code.extend((codes["store"], registers[nodes[0]], i - len(body)))
            continue
        instruction = body[i]
        done = [node for node in dict.fromkeys(nodes) if last[node] == i]
        if isinstance(instruction, Apply):  # which may write over its arguments
            registers.release(done)
        code.extend(words(instruction, codes, uniforms, registers, offsets))
        if not isinstance(instruction, Apply):
            registers.release(done)
        registers.release(node for node in writes(instruction) if node not in last)
    return code, registers.count


def words(instruction: Fused, codes: Mapping[str, int], uniforms: Uniforms, registers: Registers,
          offsets: Mapping[int, int]) -> list[int]:
    """An instruction whose arguments are in registers; those for what it computes are taken here."""
    match instruction:
        case FusedSum(out, terms, epilogue, other):
            to = registers.take(out)
            return [codes["sum"], to, epilogue, registers.get(other, to), *words_of_terms(terms, uniforms, registers)]
        case DenseSums(epilogue, inputs, outs, others, starts, weights):
            head = [codes["layer"], epilogue, len(outs), len(inputs)]
            for out, other, start in zip(outs, others, starts):
                to = registers.take(out)
                head += (to, uniforms[start], registers.get(other, to))
            rows = [[uniforms[u] for u in row] for row in weights]
            fours = len(rows) // 4 * 4
            by_input = [zip(*rows[j:j + 4]) for j in range(0, fours, 4)]
            return [*head, *[registers[x] for x in inputs], *chain.from_iterable(chain.from_iterable(by_input)),
                    *chain.from_iterable(rows[fours:])]
        case OuterProducts(a, b, means):
            return [codes["gather"], len(a), len(b), *[registers[x] for x in (*a, *b)],
                    *[offsets[mean] for row in means for mean in row]]
        case Pair(outs, op, args):
            return [codes[f"{op.name}+"], *map(registers.take, outs), *[registers[arg] for arg in args]]
        case Apply(out, op, args):
            return [codes[op.name], registers.take(out), *[registers[arg] for arg in args]]


def words_of_terms(terms: Sequence[Monomial], uniforms: Uniforms, registers: Registers) -> list[int]:
    """Runs of terms of a kind. What is subtracted comes last, so that (a + b) - (c + d) is 0 for equals, as in
    Python."""
    runs: dict[tuple[int, int, int], list[int]] = {(u, v, sign): [] for u, v in KINDS for sign in (1, -1)}
    for sign, uniform, *factors in terms:
        varying = [registers[x] for x in factors if x != NONE]
        operands = varying if uniform == NONE else [uniforms[uniform], *varying]
        runs[len(operands) - len(varying), len(varying), sign] += operands
    numbered = [(kind, u + v, run) for kind, ((u, v, _), run) in enumerate(runs.items()) if run]
    numbered.sort(key=lambda found: found[0] % 2)  # the odd kinds are subtracted
    return [len(numbered), *chain.from_iterable((kind, len(run) // size, *run) for kind, size, run in numbered)]
