"""Gradient steps on batches of rows, by whoever takes them: native code, Python, or the devices of JAX.

Native code takes the steps of a whole epoch (or of many) at once, devices take them one by one and keep the numbers,
and else the gradient comes from the executor and the optimizer steps in Python. This module knows nothing of epochs
that end early, nor of recordings.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..compiler.batch import Batch, as_table, flat_columns
from ..compiler.executors import Executors
from ..compiler.jax_devices import OnDevices
from ..compiler.python_code import Script
from ..optim import Optimizer
from .failures import why_step_failed
from .rules import rule_in_native_code, rule_on_devices

STRETCH = 0.05  # seconds of training between two reports, by a guess:
SLOW = 1e-10    # seconds that a word of native code takes for a sample, at the most


class Order:
    """The rows of a table in batches.

    size: rows in each batch, but for the last; None for all of them. shuffler: shuffles the rows before each epoch;
    None leaves them as they are. seen: the rows in the order in which they come, which is shuffled.
    """

    def __init__(self, rows: int, size: int | None = None, shuffler: random.Random | None = None,
                 seen: list[int] | None = None) -> None:
        self.rows = rows
        self.size = rows if size is None else min(size, rows)
        self.shuffler = shuffler
        self.seen = list(range(rows)) if seen is None else seen
        self.lengths = [min(self.size, rows - start) for start in range(0, rows, self.size)]

    def shuffle(self) -> None:
        if self.shuffler is not None:
            self.shuffler.shuffle(self.seen)

    def batches(self) -> Iterator[Sequence[int] | None]:
        """The rows of each batch; None for all of them as they are."""
        if self.shuffler is None and self.size >= self.rows:
            yield None
        else:
            for start in range(0, self.rows, self.size):
                yield self.seen[start:start + self.size]


class GradientSteps(Protocol):
    """Gradient steps of one optimizer. The numbers of the parameters may be elsewhere between `load` and `store`."""

    summed: bool         # whether sums over the rows are minimised, not means
    outputs: int         # how many there are, of which the first is minimised
    totals: list[float]  # of the outputs since `load`

    def table(self, data: Any) -> Any:
        """The data in the form that batches are taken from."""
        return data

    def batch(self, table: Any, rows: Sequence[int] | None, size: int) -> Any:
        """These rows of a table, None for all of them. size: of the largest batch."""
        return table

    def load(self) -> None:
        """Begin with the numbers that there are."""
        self.totals = [0.0] * self.outputs

    def step(self, batch: Any) -> None:
        """Take a step. FloatingPointError for one that would not be finite, here or in `store`."""

    def store(self) -> list[float]:
        """Give the numbers back. Returns the totals of the outputs over the rows of all steps since `load`."""
        return self.totals


class InPython(GradientSteps):
    """The gradient by an executor, the step by the optimizer: with generated Python, with an optimizer that is more
    than a rule, or one of fewer parameters."""

    def __init__(self, executors: Executors, optimizer: Optimizer, summed: bool) -> None:
        self.executors = executors
        self.optimizer = optimizer
        self.summed = summed
        self.outputs = len(executors.outputs)

    def table(self, columns: Batch) -> list[Sequence[float]]:
        return flat_columns(columns, self.executors.arguments)

    def batch(self, columns: list[Sequence[float]], rows: Sequence[int] | None, size: int) -> Batch:
        if rows is not None:
            columns = [array("d", [column[i] for i in rows]) for column in columns]
        if self.executors.backend == "python":
            return Batch(tuple(columns), False, len(columns[0]))
        return Batch((as_table(columns),), True, len(columns[0]))

    def step(self, batch: Batch) -> None:
        means, slopes = self.executors.totals("train", batch)
        self.totals = [total + mean * batch.rows for total, mean in zip(self.totals, means)]
        if not math.isfinite(means[0]):
            raise FloatingPointError(why_step_failed(means[0], (), 0.0, self.optimizer.steps))
        for p, slope in slopes.items():
            p.grad = slope * batch.rows if self.summed else slope
        self.optimizer.step()


class InNativeCode(GradientSteps):
    """The loop over batches in native code, with the rule of the optimizer as a second program."""

    def __init__(self, executors: Executors, optimizer: Optimizer, summed: bool, rule: Any) -> None:
        self.machine = executors.executor("train")
        self.trained = executors.trained
        self.outputs = len(executors.outputs)
        self.optimizer = optimizer
        self.summed = summed
        self.rule = rule
        self.constants = optimizer._constants()
        self.attached = list(optimizer.params)
        place = {p: i for i, p in enumerate(self.attached)}
        back = {p: i for i, p in enumerate(self.trained)}
        self.places = [place[p] for p in self.trained]
        self.back = [back[p] for p in self.attached]

    def goes_on(self) -> bool:
        """Ask whether the optimizer is as it was, but for its learning rate."""
        return self.optimizer.params == self.attached and self.optimizer._constants() == self.constants

    def step(self, batch: Batch) -> None:
        [means] = self.epochs(batch, Order(batch.rows), 1)
        self.totals = [total + mean * (1 if self.summed else batch.rows) for total, mean in zip(self.totals, means)]

    def epochs(self, columns: Batch, order: Order, epochs: int,
               stretch: bool = False) -> Generator[list[float], None, int]:
        """Train for so many epochs, or until the optimizer has changed; yield the mean of each output after each.
        stretch: several may be done at once and then be told. Returns how many were finished."""
        batches = len(order.lengths)
        chunk, done = 1, 0
        if stretch and order.shuffler is None:  # by a guess, which is on the safe side
            chunk = max(1, int(STRETCH / (SLOW * columns.rows * (1 + self.machine.words))))
        while done < epochs and self.goes_on():
            n = min(chunk, epochs - done)
            order.shuffle()
            end, taken, history, slopes, rates = self.run(columns, order, n)
            for epoch in range(taken // batches):
                yield self.means(history, epoch * batches, order)
            done += n
            if isinstance(end, BaseException):
                raise end
            if end:
                loss, in_order = history[taken * self.outputs], [slopes[i] for i in self.back]
                raise FloatingPointError(why_step_failed(loss, zip(self.attached, in_order), rates[taken],
                                                         self.optimizer.steps))
        return done

    def run(self, columns: Batch, order: Order, epochs: int) -> tuple[Any, int, Any, list[float], Any]:
        """So many epochs at once. Returns why they ended and how many steps were taken, as `Machine.fit` says it, the
        outputs of each, the slopes of the last, and the learning rates."""
        optimizer = self.optimizer
        lr, several = optimizer.lr, range(optimizer.steps, optimizer.steps + epochs * len(order.lengths))
        rates = array("d", map(optimizer._rate_of, several) if callable(lr) else [lr] * len(several))
        memory = [(name, getattr(optimizer, name)) for name in optimizer.remembers]
        kept = [array("d", [numbers[i] for i in self.places]) for _, numbers in memory]
        asked = (columns.given, columns.table, None if order.shuffler is None else array("q", order.seen), order.size,
                 epochs, self.summed, rates, self.rule, optimizer.steps, kept)
        results: list[Any] = []
        try:  # Ctrl-C may wait until the steps are taken; `extend` and `map` keep the result all the same
            results.extend(map(self.machine.fit, *[[x] for x in asked]))
        finally:
            for ended, taken, _, slopes in results:
                for (name, _), numbers in zip(memory, kept):
                    setattr(optimizer, name, [numbers[i] for i in self.back])
                optimizer.steps += taken
                batch = taken if isinstance(ended, str) and ended else taken - 1  # whose slopes they are
                times = order.lengths[batch % len(order.lengths)] if self.summed else 1
                for p, slope in zip(self.trained, slopes):
                    p.grad = slope * times
        return (*results[0], rates)

    def means(self, history: Any, first: int, order: Order) -> list[float]:
        """The mean of each output over the rows (or the sum), from those over the batches of an epoch."""
        outputs, batches = self.outputs, len(order.lengths)
        if batches == 1:
            found: list[float] = history[first * outputs:(first + 1) * outputs].tolist()
            return found
        return [math.fsum(history[(first + i) * outputs + k] * (1 if self.summed else length)
                          for i, length in enumerate(order.lengths)) / (1 if self.summed else order.rows)
                for k in range(outputs)]


@dataclass(slots=True)
class StepChooser:
    """The choice of who takes the steps of an optimizer on a compiled function, in one run. It may change from one
    epoch to the next, where the optimizer does.

    known: the settings of the optimizer, and its rule compiled. What else a rule reads, such as a global, stays as it
    is for a run.
    """

    executors: Executors
    optimizer: Optimizer
    summed: bool
    steps: InPython | InNativeCode | None = None  # the last that were chosen
    known: tuple[str, Any] = ("", None)

    def choose(self) -> GradientSteps:
        machine, rule = self.executors.executor("train"), self.rule()
        if rule is None:
            on_devices: GradientSteps = machine.steps_by(len(self.executors.params), self.optimizer, self.summed,
                                                 len(self.executors.outputs))
            return on_devices
        if isinstance(rule, str):
            if not isinstance(self.steps, InPython):
                self.steps = InPython(self.executors, self.optimizer, self.summed)
        elif not isinstance(self.steps, InNativeCode) or not self.steps.goes_on():
            self.steps = InNativeCode(self.executors, self.optimizer, self.summed, rule)
        return self.steps

    def rule(self) -> Any:
        """The rule of the optimizer in native code, None for one on devices; or the words why its steps are taken in
        Python, "" where that is expected: by generated Python, by more than a rule, on fewer parameters."""
        optimizer, machine = self.optimizer, self.executors.executor("train")
        if isinstance(machine, Script) or not optimizer._goes_by_rule() or (
                set(optimizer.params) != set(self.executors.params)):
            return ""
        settings = optimizer._constants()
        if self.known[0] != settings:
            self.known = settings, (rule_on_devices(optimizer, machine) if isinstance(machine, OnDevices)
                                    else rule_in_native_code(optimizer, self.executors))
        return self.known[1]

    def ran(self) -> str:
        """The way a run goes, for its history."""
        rule = self.rule()
        return f"{self.executors.backend}, steps in Python: {rule}" if isinstance(rule, str) and rule else (
            self.executors.backend)
