"""Encoding: a scheduled program as the numbers that the kernel runs (machine.h says what they mean).

Uniform numbers get slots: parameters, means, and the others in the order in which they are met. Varying ones get
registers, each free again after its last use. Sums of one shape over neighbouring slots become one instruction.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from .fuse import Ended, Fused, Layer, Outer, Pair, Product, fused, made_by
from .program import MEAN
from .schedule import NONE, Apply, Program, Sum
from .trace import INPUT

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
    slots: array[float]      # what is in them at the start: the constants
    registers: int
    block: int               # vectors
    first_mean: int
    means: int
    uniform: array[int]      # the slot of each output
    columns: int
    outs: int


def missing(program: Program, codes: Mapping[str, int]) -> list[str]:
    """The names of the ops that the kernel has not got."""
    return list(dict.fromkeys(instruction.op.name for instruction in
                              chain(program.before, program.body, program.after) if isinstance(instruction, Apply)
                              and not (instruction.op.builtin and instruction.op.name in codes)))


class Slots(dict[int, int]):
    """Where uniform nodes are: a slot each, from the first time that it is asked for."""

    def __init__(self, numbers: Mapping[int, float]) -> None:
        self.numbers = numbers
        self.contents = array("d")

    def __missing__(self, node: int) -> int:
        self[node] = slot = len(self.contents)
        self.contents.append(self.numbers.get(node, 0.0))
        return slot


def encode(program: Program, codes: Mapping[str, int], lanes: int, parameters: Sequence[int]) -> Code:
    """The program for a kernel with these opcodes and vectors of so many numbers.

    parameters: nodes, which get the first slots in this order.
    """
    tape = program.tape
    slots = Slots(tape.numbers)
    for node in parameters:
        slots[node]
    wanted = [a for sum_ in program.after if isinstance(sum_, Sum) for _, a, _ in sum_.terms if tape.ops[a] is MEAN]
    means = list(dict.fromkeys([*wanted, *program.means]))
    first_mean = len(slots)
    place_of_mean = {node: slots[node] - first_mean for node in means}
    one = tape.constant(1.0)
    before, after = (encode_once(part, codes, slots, one) for part in (program.before, program.after))
    uniform = array("i", [slots[node] for node in program.uniform])
    body, registers = encode_body(program, codes, slots, place_of_mean)
    samples = min(max(CACHE // (8 * max(registers, 1)) // LEAST * LEAST, LEAST), MOST)
    return Code(before, body, after, slots.contents, registers, samples // lanes, first_mean, len(means), uniform,
                len(tape.inputs), len(program.varying))


def encode_once(part: Sequence[Sum | Apply], codes: Mapping[str, int], slots: Slots, one: int) -> array[int]:
    """The instructions that are run once."""
    code = array("i")
    flats: list[list[int]] = []  # the sums that are waiting: sign, a, b, sign, a, b, ..., out
    steps: list[int] = []        # from each of them to the next

    def close() -> None:
        if flats:
            *terms, out = flats[0]
            if len(flats) == 1 and len(terms) >= 3 * MANY:
                encode_dot(out, terms, codes, code)
                flats.clear()
                return
            strides = steps or [0] * len(terms)
            code.extend((codes["sum"], out, len(flats), len(terms) // 3))
            for i in range(0, len(terms), 3):
                code.extend((terms[i], terms[i + 1], strides[i + 1], terms[i + 2], strides[i + 2]))
            flats.clear()
            steps.clear()

    for instruction in part:
        if isinstance(instruction, Sum):
            flat: list[int] = []
            for sign, a, b in instruction.terms:
                flat += (sign, slots[a], slots[one if b == NONE else b])
            flat.append(slots[instruction.out])
            if flats and len(flat) == len(flats[-1]):
                found = [y - x for x, y in zip(flats[-1], flat)]
                begins = not steps and found[-1] == 1 and not any(found[::3][:-1])
                goes_on = found == steps or (begins and all(-1 <= step <= 1 for step in found))
                if goes_on and max(flat[:-1]) < flats[0][-1]:
                    steps[:] = found
                    flats.append(flat)
                    continue
            close()
            flats.append(flat)
        else:
            close()
            assert isinstance(instruction, Apply)
            arguments = [slots[arg] for arg in instruction.args]
            code.extend((codes[instruction.op.name], slots[instruction.out], *arguments))
    close()
    return code


def encode_dot(out: int, flat: Sequence[int], codes: Mapping[str, int], code: array[int]) -> None:
    """A sum of many terms, of which neighbours make runs: [sign, a, b, count]."""
    runs: list[list[int]] = []
    for sign, a, b in sorted(zip(flat[::3], flat[1::3], flat[2::3])):
        if runs and [sign, a - runs[-1][3], b - runs[-1][3]] == runs[-1][:3]:
            runs[-1][3] += 1
        else:
            runs.append([sign, a, b, 1])
    code.extend((codes["dot"], out, len(runs), *chain.from_iterable(runs)))


def encode_body(program: Program, codes: Mapping[str, int], slots: Slots,
                place_of_mean: Mapping[int, int]) -> tuple[array[int], int]:
    """The instructions for each sample, and how many registers they need."""
    tape = program.tape
    column = {node: i for i, node in enumerate(tape.inputs)}
    one, nothing = tape.constant(1.0), tape.constant(-0.0)
    body = fused(program)
    needs = [needed(instruction, one) for instruction in body] + [[node] for node in program.varying]
    last = {node: i for i, nodes in enumerate(needs) for node in nodes}

    code = array("i")
    register: dict[int, int] = {}
    free: list[int] = []
    count = 0

    def place(node: int) -> int:
        nonlocal count
        if free:
            register[node] = free.pop()
        else:
            register[node] = count
            count += 1
        return register[node]

    def release(i: int) -> None:
        for node in dict.fromkeys(needs[i]):
            if last[node] == i:
                free.append(register[node])

    for i, nodes in enumerate(needs):
        for node in nodes:
            if node not in register:
                if tape.ops[node] is INPUT:
                    code.extend((codes["load"], place(node), column[node]))
                else:
                    code.extend((codes["spread"], place(node), slots[node]))
        if i >= len(body):
            code.extend((codes["store"], register[nodes[0]], i - len(body)))
            continue
        instruction = body[i]
        if isinstance(instruction, Ended):
            out = place(instruction.out)
            code.extend((codes["sum"], out, instruction.end, register.get(instruction.other, out)))
            encode_terms(instruction.terms, slots, register, code)
            release(i)
        elif isinstance(instruction, Layer):
            code.extend((codes["layer"], instruction.end, len(instruction.outs), len(instruction.inputs)))
            for out, other, start in zip(instruction.outs, instruction.others, instruction.starts):
                out = place(out)
                code.extend((out, slots[nothing if start == NONE else start], register.get(other, out)))
            code.extend([register[x] for x in instruction.inputs])
            weights = [[slots[u] for u in row] for row in instruction.weights]
            fours = len(weights) // 4 * 4
            for j in range(0, fours, 4):
                code.extend(chain.from_iterable(zip(*weights[j:j + 4])))
            code.extend(chain.from_iterable(weights[fours:]))
            release(i)
        elif isinstance(instruction, Outer):
            code.extend((codes["gather"], len(instruction.a), len(instruction.b)))
            code.extend([register[a] for a in instruction.a])
            code.extend([register[one if b == NONE else b] for b in instruction.b])
            code.extend([place_of_mean[mean] for row in instruction.means for mean in row])
            release(i)
        elif isinstance(instruction, Pair):
            arguments = [register[arg] for arg in instruction.args]
            code.extend((codes[f"{instruction.op.name}+"], *map(place, instruction.outs), *arguments))
            release(i)
        else:
            arguments = [register[arg] for arg in instruction.args]
            release(i)
            code.extend((codes[instruction.op.name], place(instruction.out), *arguments))
        for node in made_by(instruction):
            if node not in last:
                free.append(register[node])
    return code, count


def needed(instruction: Fused, one: int) -> list[int]:
    """Which nodes an instruction must find in registers."""
    if isinstance(instruction, Ended):
        nodes = [x for _, _, a, b in instruction.terms for x in (a, b)] + [instruction.other]
        return [x for x in nodes if x != NONE]
    if isinstance(instruction, Layer):
        return [*instruction.inputs, *[x for x in instruction.others if x != NONE]]
    if isinstance(instruction, Outer):
        return [*instruction.a, *[one if b == NONE else b for b in instruction.b]]
    return list(instruction.args)


def encode_terms(terms: Sequence[Product], slots: Slots, register: Mapping[int, int], code: array[int]) -> None:
    """Runs of terms of a kind. What is subtracted comes last, so that (a + b) - (c + d) is 0 for equals, as in
    Python."""
    runs: dict[tuple[int, int, int], list[int]] = {(u, v, sign): [] for u, v in KINDS for sign in (1, -1)}
    for sign, uniform, *factors in terms:
        varying = [register[x] for x in factors if x != NONE]
        operands = varying if uniform == NONE else [slots[uniform], *varying]
        runs[len(operands) - len(varying), len(varying), sign] += operands
    code.append(sum([1 for run in runs.values() if run]))
    numbered = [(kind, u + v, run) for kind, ((u, v, _), run) in enumerate(runs.items()) if run]
    for kind, size, run in sorted(numbered, key=lambda found: found[0] % 2):  # the odd kinds are subtracted
        code.extend((kind, len(run) // size, *run))
