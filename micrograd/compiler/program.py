"""A program: what a function computes from the numbers of one sample, as lists, in static single assignment.

A node is a number, its place in the lists: an op of the table, and the nodes that are its arguments, which come before
it. Tracing fills a program with what the function does (`trace.record`), `simplified` writes that more simply, and the
gradient extends it (`gradient.gradient`), as the rules of the rows can be called on its nodes.

Each node has a rank. A constant is a number; a uniform node depends on parameters only, and is the same for all
samples; a varying node depends on the sample. The mean over the samples makes a varying node uniform. This module knows
nothing of the samples' numbers, nor of how a program is run.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any

from .. import ops
from ..arguments import number
from ..engine import Value
from ..ops import Op
from ..rows import DEFAULTS, Operators, spelling
from ..terminal import in_signs_of_stdout

__all__ = ["TraceError"]  # what the package takes from here

FIXED, UNIFORM, VARYING = 0, 1, 2  # the ranks

NUMBER = ("compute with the Value itself, and with micrograd.exp(x) or x.exp() in place of math.exp(x); what does not "
          "depend on a sample may stay a number")


class TraceError(TypeError):
    """A function cannot be recorded, or its recording would not hold for every sample. It names your line.

    Example:
        >>> micrograd.compile(lambda x: x if x > 0 else -x)
        Traceback (most recent call last):
        micrograd.compiler.program.TraceError: ...
    """


class InnerOp(Op):
    """A row that only programs know."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return self.name.upper()  # the name that it has below


def inner_row(name: str, symbol: str, forward: Callable[..., float], arity: int, note: str) -> Op:
    written = f" {symbol} ".join(f"{{{i}:sum}}" for i in range(arity))
    return InnerOp(
        name=name, forward=forward, derivatives=(lambda y, *args: 0.0,) * arity, otherwise=forward, symbol=symbol,
        latex=written, text=written,
        **{**DEFAULTS, "binds": "", "domain": ((-2.0, 2.0),) * arity, "about": "", "note": note})


INPUT = inner_row("input", "", lambda: math.nan, 0, "a number of a sample")
GREATER = inner_row("greater", ">", lambda a, b: float(a > b), 2, "1 where it holds, else 0; slope 0")
AT_LEAST = inner_row("at_least", ">=", lambda a, b: float(a >= b), 2, "1 where it holds, else 0; slope 0")
DETACHED = inner_row("detached", "", lambda x: x, 1, "the same number, through which no derivative passes")
# A `where` has three parents, and a node has two: the second stands for both branches.
CHOICE = inner_row("choice", "?", lambda condition, branches: math.nan, 2, "where(condition, *branches)")
BRANCHES = inner_row("branches", ":", lambda a, b: 0.0, 2, "the two branches of a choice")
MEAN = inner_row("mean", "mean", lambda *xs: math.fsum(xs), 1, "over the samples, of the sum of the arguments")
TOTAL = inner_row("total", "+", lambda *xs: math.fsum(xs), 1, "the sum of any number of arguments")

LEAVES = {ops.CONSTANT: FIXED, ops.LEAF: UNIFORM, INPUT: VARYING}  # and their ranks
SYMMETRIC = {ops.add, ops.mul}
# Rows that are made of others, and have an instruction of their own in kernel.c all the same.
KEPT = (ops.tanh_slope, ops.sigmoid_slope, ops.elu_slope, ops.bell, ops.density, ops.gelu_slope, ops.pow_slope,
        ops.gelu, ops.silu)

# Held while a program grows, any of them, or is read as a whole: each question adds to its program. Held while a
# process forks, so that in the child none is in the middle of something.
growing = RLock()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a function: its name, and how many numbers it is a list of; None for a single number."""

    name: str
    width: int | None

    @property
    def columns(self) -> list[str]:
        """The name of each column of data that it takes."""
        return [self.name] if self.width is None else [f"{self.name}[{j}]" for j in range(self.width)]


@dataclass(slots=True, eq=False)
class Program:
    """Nodes as parallel lists, and what a function has besides."""

    name: str = ""                                            # of the function
    arguments: list[Argument] = field(default_factory=list)
    several: bool = False                                     # whether it returns a list, and not one Value
    ops: list[Op] = field(default_factory=list)
    args: list[tuple[int, ...]] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    numbers: dict[int, float] = field(default_factory=dict)   # of the constants
    labels: dict[int, str] = field(default_factory=dict)
    inputs: list[int] = field(default_factory=list)           # a node for each column
    parameters: dict[int, Value] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    inlined: dict[int, int] = field(default_factory=dict)     # a node without an instruction -> one with its number
    adjoints: dict[int, int] = field(default_factory=dict)    # a derivative -> the node by which it is
    repeats: bool = False                                     # whether two nodes compute the same
    known: dict[Any, int] = field(default_factory=dict)       # op and arguments, or a constant's text -> the node

    def leaf(self, op: Op, label: str = "") -> int:
        self.ops.append(op)
        self.args.append(())
        self.rank.append(LEAVES[op])
        node = len(self.ops) - 1
        if label:
            self.labels[node] = label
        return node

    def input(self, label: str) -> int:
        """A new column of the data."""
        self.inputs.append(self.leaf(INPUT, label))
        return self.inputs[-1]

    def parameter(self, value: Value, label: str) -> int:
        node = self.leaf(ops.LEAF, label)
        self.parameters[node] = value
        return node

    def constant(self, x: float) -> int:
        key = repr(x)
        node = self.known.get(key)
        if node is None:
            node = self.known[key] = self.leaf(ops.CONSTANT)
            self.numbers[node] = x
        return node

    def node(self, x: Any) -> int:
        """The node that a `Node` stands for, or a number as a constant."""
        return x.index if isinstance(x, Node) else self.constant(number(x, "a recorded formula"))

    def emit(self, op: Op, args: tuple[int, ...], anew: bool = False) -> int:
        """The node op(args): a new one, or the one that computes the same already.

        anew: a new one in any case. Two nodes of a recorded graph have a gradient each, and 1 · inf − 1 · inf is nan,
        where (1 − 1 + 1) · inf is inf. They become one when the program is scheduled."""
        key = (op, args if op not in SYMMETRIC or args[0] <= args[1] else args[::-1])
        node = self.known.get(key)
        if node is not None and not anew:
            return node
        if node is None and op in SIMPLER:
            simpler: int | None = SIMPLER[op](self, *args)
            if simpler is not None:
                return simpler
        ranks = self.rank
        rank = UNIFORM if op is MEAN else max([ranks[arg] for arg in args])
        if rank == FIXED:
            return self.constant(op.value(*[self.numbers[arg] for arg in args]))
        formula = inlining(op)
        made = None if formula is None else self.node(formula(*[Node(self, arg) for arg in args]))
        self.repeats = self.repeats or node is not None
        self.ops.append(op)
        self.args.append(args)
        ranks.append(rank)
        node = self.known[key] = len(ranks) - 1
        if made is not None:
            self.inlined[node] = made
        return node

    def times(self, a: int, b: int) -> int:
        """a * b; at once where neither is a constant, as most of a gradient is such products."""
        ranks = self.rank
        if ranks[a] == FIXED or ranks[b] == FIXED:
            return self.emit(ops.mul, (a, b))
        key = (ops.mul, (a, b) if a <= b else (b, a))
        node = self.known.get(key)
        if node is None:
            node = self.known[key] = len(ranks)
            self.ops.append(ops.mul)
            self.args.append((a, b))
            ranks.append(max(ranks[a], ranks[b]))
        return node

    def total(self, terms: Sequence[int]) -> int:
        """The sum of any number of nodes."""
        if len(terms) <= 2:
            return self.emit(ops.add, tuple(terms)) if len(terms) == 2 else terms[0] if terms else self.constant(0.0)
        return self.emit(TOTAL, tuple(terms))

    def mean(self, node: int) -> int:
        """The mean of a node over the samples."""
        return self.emit(MEAN, (node,)) if self.rank[node] == VARYING else node

    def title(self, node: int) -> str:
        """The name of a node in a listing: its label, its number if it is a constant, or else its place."""
        if node in self.numbers:
            return f"{self.numbers[node]:g}"
        return self.labels.get(node) or f"v{node}"

    def __str__(self) -> str:
        """A line for each computed node."""
        lines = []
        for node, (op, args) in enumerate(zip(self.ops, self.args)):
            if args:
                names = [self.title(arg) for arg in args]
                infix = op is TOTAL or (len(args) == 2 and not op.symbol.isalnum())
                formula = f" {op.symbol} ".join(names) if infix else f"{op.name}({', '.join(names)})"
                lines.append(f"{self.title(node)} = {formula}")
        return in_signs_of_stdout("\n".join(lines))

    def checksum(self) -> str:
        """A checksum of the operations and the numbers among them: another formula or constant has another."""
        names = [op.name for op in self.ops]
        return f"{zlib.crc32(repr((names, self.args, self.inputs, self.numbers, self.outputs)).encode()):08x}"


class Node(Operators):
    """A node of a program that is being written: what the rules of the rows are called on."""

    __slots__ = ("index", "program")

    def __init__(self, program: Program, index: int) -> None:
        self.program = program
        self.index = index

    def __op__(self, op: Op, args: Sequence[Any]) -> Node:
        return Node(self.program, self.program.emit(op, tuple([self.program.node(arg) for arg in args])))

    def refuse(self, *args: Any) -> Any:
        raise TraceError(f"the formula of an op takes a bare number out of a node: {NUMBER}")

    __bool__ = __float__ = __int__ = __index__ = __lt__ = __le__ = __gt__ = __ge__ = __round__ = refuse


@cache
def inlining(op: Op) -> Callable[..., Any] | None:
    """The op as a formula of other rows, for one that has no instruction of its own; None for one that has, or that is
    made of nothing smaller. This is the whole rule, for built-in ops and for those of users."""
    if op is DETACHED:
        return op.forward
    return None if op in KEPT else spelling(op)


def simplified(recorded: Program) -> Program:
    """The program as it is compiled: constants folded, small powers as products, `SIMPLER` forms, ops inlined."""
    program = Program(recorded.name, recorded.arguments, recorded.several)
    new: list[int] = []
    for i, (op, args) in enumerate(zip(recorded.ops, recorded.args)):
        label = recorded.labels.get(i, "")
        if op is INPUT:
            new.append(program.input(label))
        elif op is ops.LEAF:
            new.append(program.parameter(recorded.parameters[i], label))
        elif op is ops.CONSTANT:
            new.append(program.constant(recorded.numbers[i]))
        elif op is BRANCHES:
            new.append(-1)
        else:
            node = program.emit(op, tuple([new[arg] for arg in args]), anew=True)
            if label and program.args[node]:
                program.labels.setdefault(node, label)
            new.append(node)
    program.outputs = [new[y] for y in recorded.outputs]
    return program


# What is written more simply, with the very same result for any number

def product(program: Program, a: int, b: int) -> int | None:
    rank = program.rank
    if rank[a] != FIXED != rank[b]:
        return None
    for factor, other in ((a, b), (b, a)):
        if rank[factor] == FIXED:
            if program.numbers[factor] == 1.0:
                return other
            if program.numbers[factor] == -1.0:
                return program.emit(ops.neg, (other,))
    return None


def negative(program: Program, x: int) -> int | None:
    return program.args[x][0] if program.ops[x] is ops.neg else None


def quotient(program: Program, a: int, b: int) -> int | None:
    if program.ops[a] is not ops.neg:
        return None
    return program.emit(ops.neg, (program.emit(ops.div, (program.args[a][0], b)),))


def power(program: Program, x: int, n: int) -> int | None:
    """Small whole powers as products (which round more often than pow does, and each time by half a digit)."""
    exponent = program.numbers.get(n, math.nan)
    if exponent == -1.0:
        return program.emit(ops.div, (program.constant(1.0), x))
    if exponent not in WHOLE:
        return None
    y = x
    for digit in WHOLE[exponent]:
        y = program.emit(ops.mul, (y, y))
        if digit == "1":
            y = program.emit(ops.mul, (y, x))
    return y


def choice(program: Program, condition: int, a: int, b: int) -> int | None:
    if a == b:
        return a
    if program.rank[condition] == FIXED:
        return a if program.numbers[condition] else b
    never_zero = program.ops[condition] is ops.hypot and any(map(program.numbers.get, program.args[condition]))
    return a if never_zero else None  # the slope of pow asks whether both its arguments are 0


WHOLE = {float(n): format(n, "b")[1:] for n in range(1, 9)}  # exponents, and their binary digits after the first
SIMPLER: dict[Op, Callable[..., int | None]] = {
    ops.mul: product, ops.div: quotient, ops.neg: negative, ops.pow: power, ops.where: choice,
    ops.identity: lambda program, x: x}
