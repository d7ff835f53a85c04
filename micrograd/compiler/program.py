"""A tape: the recorded program as lists, and its derivative as more of the same.

A node is a number, its place on the tape: an op of the table, and the places of its arguments, which come before it.
The derivatives are those of the rows, called on nodes of the tape, so that the gradient of a program is a program, too.

Each node has a rank. A constant is a number; a uniform node depends on parameters only, and is the same for all
samples; a varying node depends on the sample. The mean over the samples makes a varying node uniform. This module knows
nothing of samples' numbers, nor of how a tape is run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from threading import RLock
from typing import Any

from .. import ops
from ..arguments import number
from ..ops import Op
from ..rows import Operators, carries, plain_slope, spelling
from ..terminal import in_signs_of_stdout
from .trace import BRANCHES, DETACHED, INPUT, NUMBER, Recording, TraceError, inner_row

FIXED, UNIFORM, VARYING = 0, 1, 2  # the ranks

MEAN = inner_row("mean", "mean", lambda *xs: math.fsum(xs), 1, "over the samples, of the sum of the arguments")
TOTAL = inner_row("total", "+", lambda *xs: math.fsum(xs), 1, "the sum of any number of arguments")
LEAVES = (ops.CONSTANT, ops.LEAF, INPUT)
# Rows that could be written out, but have instructions of their own in kernel.c.
KEPT = (ops.tanh_slope, ops.sigmoid_slope, ops.elu_slope, ops.bell, ops.density, ops.gelu_slope, ops.pow_slope,
        ops.gelu, ops.silu)

# On all tapes. Each program adds to its tape, so that whoever reads one whole holds this, too. Held while a process
# forks, so that in the child none is in the middle of something.
growing = RLock()


class Tape:
    """Program nodes as parallel lists: op, arguments, rank."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.args: list[tuple[int, ...]] = []
        self.rank: list[int] = []
        self.numbers: dict[int, float] = {}         # of the constants
        self.labels: dict[int, str] = {}
        self.inputs: list[int] = []                 # a node for each column
        self.parameters: list[int] = []             # a node for each parameter
        self.written_out: dict[int, int] = {}       # a node that no instruction is for, or a detached one -> the same
        self.adjoints: dict[int, int] = {}          # a derivative of what was differentiated -> the node by which it is
        self.repeats = False                        # whether two nodes compute the same
        self._constants: dict[str, int] = {}
        self._known: dict[Any, int] = {}

    def leaf(self, op: Op, rank: int, label: str = "") -> int:
        self.ops.append(op)
        self.args.append(())
        self.rank.append(rank)
        node = len(self.ops) - 1
        if label:
            self.labels[node] = label
        return node

    def constant(self, x: float) -> int:
        key = repr(x)
        node = self._constants.get(key)
        if node is None:
            node = self._constants[key] = self.leaf(ops.CONSTANT, FIXED)
            self.numbers[node] = x
        return node

    def place(self, x: Any) -> int:
        """The place of a node, or of a number as a constant."""
        return x.place if isinstance(x, Node) else self.constant(number(x, "a recorded formula"))

    def emit(self, op: Op, args: tuple[int, ...], anew: bool = False) -> int:
        """The node op(args): a new one, or the one that computes the same already.

        anew: a new one in any case. Two nodes of a recorded graph have a gradient each, and 1 · inf − 1 · inf is nan,
        where (1 − 1 + 1) · inf is inf. They become one when the program is scheduled."""
        simpler = SIMPLER.get(op)
        if simpler is not None:
            found: int | None = simpler(self, *args)
            if found is not None:
                return found
        key = (op, args if op not in SYMMETRIC or args[0] <= args[1] else args[::-1])
        node = self._known.get(key)
        if anew and node is not None:
            node, self.repeats = None, True
        if node is None:
            ranks = self.rank
            rank = UNIFORM if op is MEAN else max([ranks[arg] for arg in args])
            if rank == FIXED:
                return self.constant(op.value(*[self.numbers[arg] for arg in args]))
            made = args[0] if op is DETACHED else self.write_out(op, args)
            self.ops.append(op)
            self.args.append(args)
            ranks.append(rank)
            node = self._known[key] = len(ranks) - 1
            if made is not None:
                self.written_out[node] = made
        return node

    def write_out(self, op: Op, args: tuple[int, ...]) -> int | None:
        """The op made of other rows, for one that has no instruction of its own; None where it cannot be."""
        formula = None if op in KEPT else spelling(op)
        return None if formula is None else self.place(formula(*[Node(self, arg) for arg in args]))

    def times(self, a: int, b: int) -> int:
        """a * b, without factors of 1."""
        ranks = self.rank
        if ranks[a] == FIXED or ranks[b] == FIXED:
            return self.emit(ops.mul, (a, b))
        key = (ops.mul, (a, b) if a <= b else (b, a))
        node = self._known.get(key)
        if node is None:
            node = self._known[key] = len(ranks)
            self.ops.append(ops.mul)
            self.args.append((a, b))
            ranks.append(ranks[a] if ranks[a] > ranks[b] else ranks[b])
        return node

    def total(self, terms: Sequence[int]) -> int:
        """The sum of any number of nodes."""
        if len(terms) <= 2:
            return self.emit(ops.add, tuple(terms)) if len(terms) == 2 else terms[0] if terms else self.constant(0.0)
        return self.emit(TOTAL, tuple(terms))

    def name(self, node: int) -> str:
        """How a node is called in a listing: its label, its number if it is a constant, or else its place."""
        if node in self.numbers:
            return f"{self.numbers[node]:g}"
        return self.labels.get(node) or f"v{node}"

    def __str__(self) -> str:
        """A line for each computed node."""
        lines = []
        for node, (op, args) in enumerate(zip(self.ops, self.args)):
            if args:
                names = [self.name(arg) for arg in args]
                infix = op is TOTAL or (len(args) == 2 and not op.symbol.isalnum())
                formula = f" {op.symbol} ".join(names) if infix else f"{op.name}({', '.join(names)})"
                lines.append(f"{self.name(node)} = {formula}")
        return in_signs_of_stdout("\n".join(lines))

    def mean(self, node: int) -> int:
        """The mean of a node over the samples."""
        return self.emit(MEAN, (node,)) if self.rank[node] == VARYING else node


class Node(Operators):
    """A node of a tape that is being written: what the rules of the rows are called on."""

    __slots__ = ("tape", "place")

    def __init__(self, tape: Tape, place: int) -> None:
        self.tape = tape
        self.place = place

    def __op__(self, op: Op, args: Sequence[Any]) -> Node:
        return Node(self.tape, self.tape.emit(op, tuple([self.tape.place(arg) for arg in args])))

    def refuse(self, *args: Any) -> Any:
        raise TraceError(f"the formula of an op takes a bare number out of a node: {NUMBER}")

    __bool__ = __float__ = __int__ = __index__ = __lt__ = __le__ = __gt__ = __ge__ = __round__ = refuse


# What is written more simply, with the very same result for any number

def product(tape: Tape, a: int, b: int) -> int | None:
    for factor, other in ((a, b), (b, a)):
        if tape.rank[factor] == FIXED:
            if tape.numbers[factor] == 1.0:
                return other
            if tape.numbers[factor] == -1.0:
                return tape.emit(ops.neg, (other,))
    return None


def negative(tape: Tape, x: int) -> int | None:
    return tape.args[x][0] if tape.ops[x] is ops.neg else None


def quotient(tape: Tape, a: int, b: int) -> int | None:
    return tape.emit(ops.neg, (tape.emit(ops.div, (tape.args[a][0], b)),)) if tape.ops[a] is ops.neg else None


def power(tape: Tape, x: int, n: int) -> int | None:
    """Small whole powers as products (which round more often than pow does, and each time by half a digit)."""
    exponent = tape.numbers.get(n, math.nan)
    if exponent == -1.0:
        return tape.emit(ops.div, (tape.constant(1.0), x))
    if exponent not in WHOLE:
        return None
    y, k = x, WHOLE[exponent]
    for digit in k:
        y = tape.emit(ops.mul, (y, y))
        if digit == "1":
            y = tape.emit(ops.mul, (y, x))
    return y


def choice(tape: Tape, condition: int, a: int, b: int) -> int | None:
    if a == b:
        return a
    if tape.rank[condition] == FIXED:
        return a if tape.numbers[condition] else b
    never_zero = tape.ops[condition] is ops.hypot and any(tape.numbers.get(arg) for arg in tape.args[condition])
    return a if never_zero else None  # the slope of pow asks whether both its arguments are 0


WHOLE = {float(n): format(n, "b")[1:] for n in range(1, 9)}  # exponents, and their binary digits after the first
SYMMETRIC = {ops.add, ops.mul}
SIMPLER: dict[Op, Callable[..., int | None]] = {
    ops.mul: product, ops.div: quotient, ops.neg: negative, ops.pow: power, ops.where: choice,
    ops.identity: lambda tape, x: x}


def tape_of(recording: Recording) -> tuple[Tape, list[int]]:
    """The recorded program, and the places of its outputs."""
    tape = Tape()
    spot: list[int] = []
    for i, row in enumerate(recording.rows):
        if row is INPUT:
            spot.append(tape.leaf(INPUT, VARYING, recording.labels[i]))
            tape.inputs.append(spot[i])
        elif row is ops.LEAF:
            spot.append(tape.leaf(ops.LEAF, UNIFORM, recording.labels[i]))
            tape.parameters.append(spot[i])
        elif row is ops.CONSTANT:
            spot.append(tape.constant(recording.constants[i]))
        elif row is BRANCHES:
            spot.append(-1)
        else:
            node = tape.emit(row, tuple([spot[parent] for parent in recording.parents[i]]), anew=True)
            if recording.labels[i] and tape.args[node]:
                tape.labels.setdefault(node, recording.labels[i])
            spot.append(node)
    return tape, [spot[y] for y in recording.outputs]


# The gradient

def slope(tape: Tape, node: int, i: int) -> int | None:
    """The place of the i-th local derivative of a node; None where it carries nothing. The row sees constants as the
    numbers they are."""
    op, args = tape.ops[node], tape.args[node]
    if op is TOTAL:
        return tape.constant(1.0)
    if not carries(op, i):
        return None
    known = plain_slope(op, i)
    if isinstance(known, int):
        return args[known - 1] if known else node
    found: Any = known
    if known is None:
        given = [tape.numbers[arg] if arg in tape.numbers else Node(tape, arg) for arg in args]
        try:
            found = op.derivatives[i](Node(tape, node), *given)
        except (ValueError, ArithmeticError):  # arithmetic on constants alone, such as 1 / 0.0
            found = op.derivatives[i](Node(tape, node), *[Node(tape, arg) for arg in args])
    return tape.place(found)


def gradient(tape: Tape, y: int, xs: Sequence[int]) -> list[int]:
    """dy/dx for each leaf x of xs, written onto the tape. y is a number of each sample, or of all of them; where x is
    uniform and y varies, dy/dx is that of the mean of y over the samples. The constant 0 where y does not depend on
    x."""
    args, rank, labels, adjoints = tape.args, tape.rank, tape.labels, tape.adjoints
    depends = bytearray(y + 1)
    for x in xs:
        if x <= y:
            depends[x] = 1
    for node in range(y + 1):
        if not depends[node]:
            for arg in args[node]:
                if depends[arg]:
                    depends[node] = 1
                    break
    regions = Regions(tape, y) if ops.where in tape.ops[:y + 1] else None
    one, zero = tape.constant(1.0), tape.constant(0.0)
    terms: dict[int, list[Any]] = {y: [one if regions is None else (None, one, None)]} if depends[y] else {}
    leaves = dict.fromkeys(xs)
    found: dict[int, int] = {}
    for node in range(y, -1, -1):
        contributions = terms.pop(node, None)
        if contributions is None:
            continue
        if regions is not None:
            contributions = regions.enter(node, contributions)
        elif rank[node] != VARYING:
            contributions = gathered(tape, contributions)
        upstream = tape.total(contributions)
        if upstream > y and adjoints.get(upstream) not in labels:
            adjoints[upstream] = node  # of several nodes the first that has a name
        if node in leaves:
            found[node] = upstream
            continue
        op = tape.ops[node]
        for i, arg in enumerate(args[node]):
            if depends[arg]:
                local = (one if i else None) if op is ops.where else slope(tape, node, i)
                if local is None:
                    continue
                if regions is not None:
                    contribution: Any = regions.leave(node, i, upstream, local)
                else:
                    contribution = upstream if local == one else tape.times(upstream, local)
                terms.setdefault(arg, []).append(contribution)
    return [found.get(x, zero) for x in xs]


def gathered(tape: Tape, terms: list[int]) -> list[int]:
    """Terms of something uniform: one mean takes the place of all the varying ones."""
    varying = [term for term in terms if tape.rank[term] == VARYING]
    if not varying:
        return terms
    return [*[term for term in terms if tape.rank[term] != VARYING], tape.emit(MEAN, tuple(varying))]


class Regions:
    """Which nodes serve only one branch of a `where`, so that nothing of them may be felt where the other is taken.

    There, a slope may be inf or nan, and 0 * inf is nan. So the contributions of such nodes are not made zero on the
    way in, but thrown away where they leave the region. A region is a chain: (the one around it, the condition, which
    side of it, how deep it lies); None is the outside, where leaves are.

    A uniform node has no sample: it lies outside of branches that only some samples take. What comes to it from them is
    gathered before it goes on. Such a node, and one that serves several branches, may be of no use to a sample, or to
    all of them. Another node, its `use`, is 1 where it is of use, and 0 where it is not; None says that it always is.
    """

    def __init__(self, tape: Tape, y: int) -> None:
        self.tape = tape
        self.region: dict[int, Any] = {y: None}
        self.branch: dict[tuple[int, int, int], Any] = {}
        self.use: dict[int, int | None] = {}
        for node in range(y, -1, -1):
            if node not in self.region:
                continue
            for i, arg in enumerate(tape.args[node]):
                if tape.ops[node] is not TOTAL and not carries(tape.ops[node], i):
                    continue
                around = self.of_use(node, i)
                if not tape.args[arg]:
                    around = None
                elif tape.rank[arg] != VARYING:
                    around = all_samples(tape, around)
                self.region[arg] = common(self.region[arg], around) if arg in self.region else around

    def of_use(self, node: int, i: int) -> Any:
        """The region in which a node needs its i-th argument."""
        if self.tape.ops[node] is not ops.where or i == 0:
            return self.region[node]
        around, condition = self.region[node], self.tape.args[node][0]
        key = id(around), condition, i  # the same for every `where` there with this condition
        if key not in self.branch:
            self.branch[key] = (around, condition, i, 1 + (around[3] if around else 0))
        return self.branch[key]

    def leave(self, node: int, i: int, upstream: int, local: int) -> tuple[Any, int, int | None]:
        """What a node contributes to its i-th argument: from which region, the term, where the node is of use.

        The argument may be a parameter, to which a whole layer contributes products of two numbers. Then the factors
        are cut, not the products: there are fewer of them, and the mean of the products stays one outer product."""
        tape, region, use = self.tape, self.of_use(node, i), self.use[node]
        factors = [upstream] if tape.numbers.get(local) == 1.0 else [upstream, local]
        if tape.ops[tape.args[node][i]] is ops.LEAF and all_samples(tape, region) is not region:
            if len(factors) > 1 and use is not None:  # upstream is 0 already where the node is of no use
                factors[1] = self.where(use, 1, local)
            while all_samples(tape, region) is not region:
                region, condition, side, _ = region
                factors = [self.where(condition, side, x) for x in factors]
        elif len(factors) > 1 and use is not None:  # the slope may be 0 * inf where the node is of no use
            return region, tape.emit(ops.where, (use, tape.times(*factors), tape.constant(0.0))), use
        return region, factors[0] if len(factors) == 1 else tape.times(*factors), use

    def where(self, condition: int, side: int, x: int) -> int:
        """x on one side of a condition, and 0 on the other."""
        zero = self.tape.constant(0.0)
        return self.tape.emit(ops.where, (condition, x, zero) if side == 1 else (condition, zero, x))

    def enter(self, node: int, contributions: list[tuple[Any, int, int | None]]) -> list[int]:
        """Contributions to a node, without what does not count there; and where it is of use. From the innermost region
        outwards, what comes from the same one is added up before it is cut."""
        tape, outside = self.tape, self.region[node]
        terms: dict[int, list[int]] = {}
        uses: dict[int, list[int | None]] = {}
        sides: dict[tuple[int, int], int] = {}  # the sides of a condition on which it always is
        waiting: list[tuple[int, int, Any]] = []

        def add(region: Any, term: int, use: int | None) -> None:
            key = id(region)
            if key not in terms:
                terms[key], uses[key] = [], []
                heappush(waiting, (-region[3] if region else 0, len(terms), region))
            terms[key].append(term)
            uses[key].append(use)

        for contribution in contributions:
            add(*contribution)
        while True:
            region = heappop(waiting)[2]
            found, used = terms[id(region)], uses[id(region)]
            if tape.rank[node] != VARYING and all_samples(tape, region) is region:
                found, used = gathered(tape, found), [use if use is None else tape.mean(use) for use in used]
            use = self.either(used)
            if region is outside:
                self.use[node] = use
                return found
            around, condition, side, _ = region
            term = tape.total(found)
            if use is None:
                use = tape.constant(1.0)
                sides[id(around), condition] = sides.get((id(around), condition), 0) | side
            term, use = (self.where(condition, side, x) for x in (term, use))
            add(around, term, None if sides.get((id(around), condition)) == 3 else use)

    def either(self, uses: list[int | None]) -> int | None:
        """Where one of them is of use."""
        found, *others = dict.fromkeys(uses)
        for use in others:
            if found is None or use is None:
                return None
            found = self.tape.emit(ops.where, (found, self.tape.constant(1.0), use))
        return found


def all_samples(tape: Tape, region: Any) -> Any:
    """The innermost region around one that depends on no condition of a sample."""
    found, chain = region, region
    while chain is not None:
        if tape.rank[chain[1]] == VARYING:
            found = chain[0]
        chain = chain[0]
    return found


def common(p: Any, q: Any) -> Any:
    """The innermost region around two."""
    while p is not q:
        if q is None or (p is not None and p[3] >= q[3]):
            p = p[0]
        else:
            q = q[0]
    return p
