"""Checks before a compiled function answers: of its data; that it still has the parameters it had; and, for the
first rows, that it comes to what the engine comes to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from ..arguments import as_float, is_number
from ..data.dataset import single
from ..engine import Value, made
from .batch import Batch, numbers_of, one_sample, prepared
from .executors import Executors
from .program import Program, TraceError, growing
from .trace import Traced, change, refuse

# By how much a replay may differ from the engine, relatively: sums are added in another order, and with the one digit
# after another that half as many bits cost
CLOSE = {"float64": 1e-9, "float32": 1e-3}


class Checks:
    """Of a compiled function.

    function: what was recorded; None where it stayed behind, in a pickle. summed: whether sums over the rows are asked
    for, not means. rows: how many are to be compared with the engine.
    """

    def __init__(self, recording: Program, function: Callable[..., Any] | None, executors: Executors, summed: bool,
                 rows: int) -> None:
        self.recording = recording
        self.function = function
        self.executors = executors
        self.summed = summed
        self.waiting = rows if function is not None else 0  # that are still to be compared
        self.made = made[0]  # leaves, when the parameters were last seen to be those of the function
        self.lists = any(executors.widths)

    # Data

    def prepared(self, data: Sequence[Any]) -> Batch:
        """Data for a question about all rows."""
        name = self.recording.name
        columns = prepared(name, self.recording.arguments, data)
        if not columns.rows:
            raise ValueError(f"{name}: the {'sum' if self.summed else 'mean'} over no rows is asked for; at least one "
                             "row is needed")
        return columns

    def columns(self, data: Sequence[Any]) -> Batch:
        """The same, and the first rows are verified."""
        for x in data:
            if isinstance(x[0] if isinstance(x, (list, tuple)) and x else x, Traced):
                refuse(f"calls {self.recording.name}, which is compiled", "call the function that it was made of")
        columns = self.prepared(data)
        self.verify(columns)
        return columns

    def sample(self, data: Sequence[Any]) -> tuple[float, ...]:
        """The numbers of the one sample that was given. TypeError for anything else."""
        arguments, name = self.recording.arguments, self.recording.name
        sample = one_sample(arguments, data)
        if sample is None and len(data) == len(self.executors.program.inputs) and all(map(is_number, data)):
            return tuple(map(as_float, data))  # flat already
        if sample is None:
            for argument, x in zip(arguments, data):
                if argument.width is not None and getattr(x, "shape", None) == (argument.width,):
                    single(f"{name}: {argument.name}", x)  # says which of its numbers is none
            wanted = ", ".join(a.name if a.width is None else f"{a.name} ({a.width} numbers)" for a in arguments)
            shown = ", ".join(f"{x!r:.30}" for x in data) or "no argument"
            raise TypeError(f"{name} takes {wanted} here: the numbers of one sample; found {shown:.60}. For columns of "
                            "them: .map(..., grad=True)")
        return sample

    def shaped(self, numbers: list[Any]) -> Any:
        """Numbers for all columns in the shape of the arguments: in a tuple, bare for a function of one argument."""
        parts = self.by_argument(numbers) if self.lists else numbers
        return parts[0] if len(parts) == 1 else tuple(parts)

    def row(self, columns: Batch, i: int) -> list[Any]:
        """One row: for each argument a number, or a list of numbers."""
        return self.by_argument(numbers_of(columns, i))

    def by_argument(self, numbers: Iterable[Any]) -> list[Any]:
        """Numbers side by side, put together for each argument that is a list."""
        rest = iter(numbers)
        return [list(islice(rest, width)) if width else next(rest) for width in self.executors.widths]

    def rows(self, columns: Batch, rows: Iterable[int]) -> Batch:
        samples = [self.row(columns, i) for i in rows]
        return prepared(self.recording.name, self.recording.arguments, [list(column) for column in zip(*samples)])

    def totals(self, kind: str, columns: Batch) -> tuple[list[float], list[float]]:
        """The mean (or sum) of each output over the rows, and the slopes in the order of params."""
        means, slopes = self.executors.totals(kind, columns)
        times = columns.rows if self.summed else 1
        return [times * x for x in means], [times * slopes[p] for p in self.executors.params] if slopes else []

    # The function

    def keep_up(self, wholly: bool = False) -> None:
        """A TraceError if the function has other parameters by now. That takes a run of it, which is left out where no
        leaf was made since the last one; wholly: never, and nothing else may have changed either."""
        if self.function is not None and (wholly or made[0] != self.made):
            now = made[0]
            found = change(self.recording, self.function, parameters_only=not wholly)
            if found:
                raise TraceError(f"{self.recording.name} {found}: what was compiled is out of date. Compile it again, "
                                 "and train with a new optimizer")
            self.made = now

    def verify(self, columns: Batch) -> None:
        """Compare a few rows with the engine, once; and see that the function still has the parameters it had. One
        thread at a time: the engine's gradient passes through the .grad of the parameters."""
        self.keep_up()
        if self.waiting:
            with growing:
                self.compare(columns)

    def compare(self, columns: Batch) -> None:
        """Compare what was compiled with the engine, over as many rows as are yet to be compared."""
        count = min(self.waiting, columns.rows)
        if not count:
            return
        chosen = [(2 * i + 1) * columns.rows // (2 * count) for i in range(count)]
        samples = [self.row(columns, i) for i in chosen]
        waiting, self.waiting = self.waiting, 0
        try:
            self.check_processes({"the rows": samples})
            means, slopes = self.totals("train", self.rows(columns, chosen))
            self.refuse_difference(samples, [*means, *slopes], self.eagerly(samples))
        except BaseException:
            self.waiting = waiting
            raise
        self.waiting = waiting - count
        self.made = made[0]

    def refuse_difference(self, samples: list[list[Any]], found: list[float], expected: list[float]) -> None:
        """Raise a TraceError where a number differs from that of the engine."""
        name, params = self.recording.name, self.executors.params
        scale = max([abs(x) for x in expected if math.isfinite(x)], default=0.0)
        labels = [f"output {i}" if self.recording.several else "its value" for i in range(len(found) - len(params))]
        labels += [f"the gradient of {p.label or repr(p)}" for p in params]
        for label, x, y in zip(labels, found, expected):
            size = max(abs(x), abs(y), 1e-3 * scale)
            if not (x == y or abs(x - y) <= CLOSE[self.executors.dtype] * size or (x != x and y != y)):
                over = f"over the rows {samples!r:.200}" if len(samples) > 1 else f"for the row {samples[0]!r:.200}"
                raise TraceError(
                    f"{name} does not replay as it runs: {over}, {label} is {x!r} compiled, and {y!r} when it is run. "
                    "Either it depends on something that has changed since it was compiled: compile it again, or pass "
                    "what changes as an argument. Or rounding decides, as sums are added in another order")

    def eagerly(self, samples: list[list[Any]]) -> list[float]:
        """The outputs and the gradient over these samples, by the engine. No .grad is changed."""
        assert self.function is not None
        everyone = list(self.executors.places)
        before = [p.grad for p in everyone]
        share = 1.0 if self.summed else 1.0 / len(samples)
        totals = [0.0] * len(self.executors.outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # inf and nan are compared like other results
            try:
                for p in everyone:
                    p.grad = 0.0
                for sample in samples:
                    given = [[Value(y) for y in x] if isinstance(x, list) else Value(x) for x in sample]
                    result = self.function(*given)
                    outputs = list(result) if self.recording.several else [result]
                    if isinstance(outputs[0], Value):
                        outputs[0].backward(share)
                    totals = [total + share * float(y) for total, y in zip(totals, outputs)]
                return [*totals, *[p.grad for p in self.executors.params]]
            finally:
                for p, x in zip(everyone, before):
                    p.grad = x

    def check_processes(self, facts: dict[str, Any]) -> None:
        """Compare the processes that share the devices, if there are several."""
        if self.executors.backend == "jax":
            numbers = [p.data for p in self.executors.places]
            self.executors.executor("train").check_alike({"the parameters": numbers, **facts})
