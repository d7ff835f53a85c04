"""A schedule as Python source: always at hand, good to read, and run as it is printed.

The text is optimistic: it divides by `/` and calls the forward functions of the rows as they are, which raise where
IEEE arithmetic has inf or nan. When one does, the whole call is done again with a second, careful text, in which the
ops are those of `row.value`. Nothing is lost or counted twice, because a call keeps its sums to itself until it is
done. This module knows nothing of where samples come from, nor of what the numbers are for.
"""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .. import ops
from ..engine import Value
from ..ops import Op
from .program import AT_LEAST, GREATER, LEAVES, growing
from .schedule import NONE, Accumulate, Apply, Instruction, Schedule, SumOfProducts, Term

# Rows that are written out: a call would take longer than what it does. None of them raises, but for /.
WRITTEN = {
    ops.div: "{0} / {1}",
    ops.where: "{1} if {0} else {2}",
    ops.relu: "0.0 if {0} <= 0.0 else {0}",
    ops.step: "1.0 if {0} > 0.0 else {0} if {0} != {0} else 0.0",
    GREATER: "1.0 if {0} > {1} else 0.0",
    AT_LEAST: "1.0 if {0} >= {1} else 0.0",
}
REFUSALS = (TypeError, ValueError, ArithmeticError)  # what `row.value` has an answer to
TERMS = 50        # in one statement: the compiler of Python goes down a sum term by term
LARGEST = 50_000  # nodes in one function
PIECE = 1_000     # statements in each function of a larger program
WIDTH = 100       # characters in a line, from where a statement begins
RESERVED = (*keyword.kwlist, "enumerate", "float", "inf", "nan", "one", "each", "total", "sample", "samples", "scale",
            "parameters", "outs", "row", "v")


class Script:
    """A schedule that Python runs.

    parameters: one Value for each of the program's parameters; their numbers are read at every run.
    """

    def __init__(self, schedule: Schedule, parameters: Sequence[Value]) -> None:
        self.schedule = schedule
        self.parameters = list(parameters)
        self.written: dict[bool, dict[str, Any]] = {}

    @property
    def source(self) -> str:
        """The text that is run."""
        with growing:
            return "\n\n".join(PythonWriter(self.schedule, careful=False).functions())

    def one(self, numbers: Sequence[float]) -> list[float]:
        """The varying outputs for one sample. numbers: one for each column."""
        numbers, parameters = floats(numbers), [p.data for p in self.parameters]
        try:  # as in `_call`, through which a call of a short function would take a third longer
            return self._functions(careful=False)["one"](numbers, parameters)  # type: ignore[no-any-return]
        except REFUSALS:
            pass
        return self._functions(careful=True)["one"](numbers, parameters)  # type: ignore[no-any-return]

    def total(self, columns: Sequence[Sequence[float]], start: int, stop: int, scale: float) -> list[float]:
        """The uniform outputs, from the rows start <= i < stop; a mean is the sum over these rows times scale.

        columns: as many as the program has inputs; each an array, a memoryview or a list of numbers, with stop or more.
        """
        return self._call("total", lambda: self._samples(columns, start, stop), (scale,))  # type: ignore[no-any-return]

    def map(self, columns: Sequence[Sequence[float]], rows: int, outs: Sequence[Any]) -> None:
        """The varying outputs for each of the first rows. columns: as in `total`. outs: where to write each output, an
        array or a memoryview of doubles that shares no memory with the columns."""
        self._call("each", lambda: self._samples(columns, 0, rows), (outs,))

    def _call(self, name: str, samples: Callable[[], Any], more: tuple[Any, ...]) -> Any:
        """Call a function of the text; where it raises what IEEE arithmetic has an answer to, that of the careful
        text. samples: makes the first argument, anew for each of them."""
        parameters = [p.data for p in self.parameters]
        try:
            return self._functions(careful=False)[name](samples(), *more, parameters)
        except REFUSALS:
            pass
        return self._functions(careful=True)[name](samples(), *more, parameters)

    def _samples(self, columns: Sequence[Sequence[float]], start: int, stop: int) -> Iterable[Any]:
        if not self.schedule.program.inputs:
            return range(start, stop)
        return zip(*[floats(column[start:stop]) for column in columns])

    def _functions(self, careful: bool) -> dict[str, Any]:
        """Written when first needed. (Not a cached_property: up to Python 3.11 that has a lock, at which the child of a
        fork waits for ever if another thread of the parent was just writing.)"""
        if careful not in self.written:
            with growing:
                if careful not in self.written:
                    self.written[careful] = PythonWriter(self.schedule, careful).compiled()
        return self.written[careful]


def floats(rows: Sequence[float]) -> Sequence[float]:
    """The same numbers, as floats: 1 / 10**400 and -0 are something else for whole numbers."""
    if (isinstance(rows, array) and rows.typecode == "d") or (isinstance(rows, memoryview) and rows.format == "d"):
        return rows
    return array("d", rows)


class PythonWriter:
    """The text of a schedule. careful: whether the rows are called by `row.value`, which raises nothing.

    A node is a local variable. Those of a large program are places of one list, v[0], v[1], ..., which many functions
    share, because Python's compiler holds a whole function in memory, at some thousand bytes a term. (To interpret the
    instructions would be no shorter, and it would be another thing to get right.)
    """

    def __init__(self, schedule: Schedule, careful: bool) -> None:
        self.schedule = schedule
        self.careful = careful
        self.large = schedule.nodes > LARGEST
        self.taken = dict.fromkeys(RESERVED, 1)
        # Functions are global names: Python caches where they are, so that local ones are no faster.
        self.namespace: dict[str, Any] = {"inf": math.inf, "nan": math.nan}
        self.template = {op: self.written(op) for op in dict.fromkeys(schedule.program.ops) if op not in LEAVES}
        self.name = self.names()

    def written(self, op: Op) -> str:
        """A template of how a row is applied to its arguments."""
        if op in WRITTEN and not (self.careful and op is ops.div):
            return WRITTEN[op]
        name = self.unique(identifier(op.name))
        self.namespace[name] = op.value if self.careful else op.forward
        call = f"{name}({', '.join(f'{{{i}}}' for i in range(op.arity))})"
        return call if op.builtin or self.careful else f"float({call})"  # a user's op may give an int, or be complex

    # Names

    def unique(self, name: str) -> str:
        """The name itself, or with a number after it if there is one such already."""
        base = name
        while name in self.taken:
            self.taken[base] += 1
            name = f"{base}_{self.taken[base]}"
        self.taken[name] = 1
        return name

    def names(self) -> list[str]:
        """For each node what stands for it in the text: a name, or a number for a constant."""
        program = self.schedule.program
        nodes = range(len(program.ops))
        if self.large:
            name = [f"v[{i}]" for i in nodes]
        else:
            readable = [(i, identifier(label)) for i, label in program.labels.items()]
            labelled = {i: self.unique(label) for i, label in readable if label}
            prefix = self.prefix("v")
            name = [f"{prefix}{i}" for i in nodes]
            prefix = self.prefix("mean")
            for i in self.schedule.means:
                name[i] = f"{prefix}{i}"
            for i, label in labelled.items():
                name[i] = label
        for i, x in program.numbers.items():
            name[i] = repr(x)
        return name

    def prefix(self, wanted: str) -> str:
        """A prefix that no name in the text begins with, to be followed by a number."""
        while any(name.startswith(wanted) and name[len(wanted):].isdigit() for name in self.taken):
            wanted += "_"
        return wanted

    # Statements

    def statements(self, instructions: Iterable[Instruction]) -> Iterator[str]:
        name, template = self.name, self.template
        for instruction in instructions:
            match instruction:
                case SumOfProducts(out, terms):
                    yield from self.sum(name[out], terms)
                case Apply(out, op, args):
                    yield f"{name[out]} = {template[op].format(*[name[arg] for arg in args])}"
                case Accumulate(a, pairs):
                    for b, mean in pairs:
                        yield f"{name[mean]} += {name[a]}" if b == NONE else f"{name[mean]} += {name[a]} * {name[b]}"

    def sum(self, out: str, terms: Sequence[Term]) -> Iterator[str]:
        name = self.name
        words = []
        for sign, a, b in terms:
            product = name[a] if b == NONE else f"{name[a]} * {name[b]}"
            words.append(f"- {product}" if sign < 0 else f"+ {product}")
        words[0] = words[0][2:] if words[0][0] == "+" else "-" + words[0][2:]  # -x, which is not 0 - x for x = 0
        for start in range(0, len(words), TERMS):
            some = words[start:start + TERMS]
            text = filled([out, *some] if start else some, " ")
            yield f"{out} = ({text})" if "\n" in text else f"{out} = {text}"

    # Functions

    def functions(self) -> Iterator[str]:
        """The functions of the text: `one` and `each` where there are varying outputs, `total` where uniform ones."""
        schedule, program, name = self.schedule, self.schedule.program, self.name
        pieces: list[str] = []
        before, after = self.part(pieces, "before", schedule.before), self.part(pieces, "after", schedule.after)
        body = self.part(pieces, "body", schedule.body)
        yield from pieces
        columns = [name[i] for i in program.inputs]
        given = [name[i] for i in program.parameters]
        first = [*([f"v = [0.0] * {len(name)}"] if self.large else []),
                 *([f"{target(given)} = parameters"] if given else []),
                 *titled("Once, before the samples", before)]
        if schedule.varying:
            single = body if self.large else [
                *self.statements(i for i in schedule.body if not isinstance(i, Accumulate))]
            yield function("one(sample, parameters)", "the outputs for one sample", [
                *first, *titled("For the sample", [*([f"{target(columns)} = sample"] if columns else []), *single]),
                *results(name, schedule.varying)])
            outs = [self.unique(f"out_{i}") for i in range(len(schedule.varying))]
            yield function("each(samples, outs, parameters)", "the same for many samples", [
                *first, f"{target(outs)} = outs",
                *loop(f"row, {target(columns, nested=True)} in enumerate(samples)", [
                    *single, *[f"{out}[row] = {name[y]}" for out, y in zip(outs, schedule.varying)]])])
        if schedule.uniform:
            means = [name[i] for i in schedule.means]
            zeros = [" = ".join([*means[i:i + 8], "0.0"]) for i in range(0, len(means), 8)]
            yield function("total(samples, scale, parameters)", "sums over the samples, and what depends on them", [
                *first, *([] if self.large else zeros),
                *(loop(f"{target(columns)} in samples", body) if body else []),
                *titled("Once, after the samples: sums become means", [f"{mean} *= scale" for mean in means]), *after,
                *results(name, schedule.uniform)])

    def part(self, pieces: list[str], part: str, instructions: Sequence[Instruction]) -> list[str]:
        """The statements of one part of the program. In a large one they go into functions, which are added to the
        pieces, and calls of these come back."""
        statements = [*self.statements(instructions)]
        if not self.large:
            return statements
        calls = []
        for start in range(0, len(statements), PIECE):
            call = f"{self.unique(f'{part}_{start // PIECE}')}(v)"
            pieces.append(function(call, "", statements[start:start + PIECE]))
            calls.append(call)
        return calls

    def compiled(self) -> dict[str, Callable[..., Any]]:
        """The functions of the text, by their names."""
        for text in self.functions():
            exec(compile(text, "<recorded program>", "exec"), self.namespace)
        return self.namespace


def identifier(label: str) -> str:
    """A label as a name of Python: w2_11 for w^{2}_{1,1}, x_3 for x[3]; "" where little would be left of it."""
    name = re.sub(r"\{([\d,\s]+)\}", in_a_row, label)
    name = re.sub(r"[\^{}\\]|\]$|\)$", "", name)
    name = unicodedata.normalize("NFKC", re.sub(r"\W+", "_", name)).strip("_")  # as Python reads it: x¹ is x1
    return name if name.isidentifier() else ""


def in_a_row(found: re.Match[str]) -> str:
    """Indices in braces: 11 for 1,1, but 1_10 for 1,10."""
    numbers = re.findall(r"\d+", found[1])
    return ("" if all(len(number) == 1 for number in numbers) else "_").join(numbers)


def filled(words: Sequence[str], between: str) -> str:
    """The words in lines, all but the first of them indented."""
    lines: list[list[str]] = [[]]
    width = 0
    for word in words:
        if width + len(word) > WIDTH and lines[-1]:
            lines.append([])
            width = 0
        lines[-1].append(word)
        width += len(word) + len(between)
    return f"{between.rstrip()}\n    ".join([between.join(line) for line in lines])


def target(names: Sequence[str], nested: bool = False) -> str:
    """The target that a tuple is unpacked to; _ for what stands in its place where there are no columns."""
    if not names:
        return "_"
    text = filled(names, ", ") + ("," if len(names) == 1 else "")
    return f"({text})" if nested or len(names) == 1 or "\n" in text else text


def results(name: Sequence[str], outputs: Sequence[int]) -> list[str]:
    return [f"return [{filled([name[y] for y in outputs], ', ')}]"]


def titled(title: str, statements: Sequence[str]) -> list[str]:
    return [f"# {title}", *statements] if statements else []


def loop(header: str, statements: Sequence[str]) -> list[str]:
    return ["# For each sample", f"for {header}:", *indented(statements)]


def function(header: str, what: str, statements: Sequence[str]) -> str:
    return "\n".join([f"def {header}:" + (f"  # {what}" if what else ""), *indented(statements), ""])


def indented(statements: Iterable[str]) -> list[str]:
    return ["    " + statement.replace("\n", "\n    ") for statement in statements]
