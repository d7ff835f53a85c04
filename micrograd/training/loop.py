"""Training: the loop over epochs and batches, by whoever runs the program.

Native code takes the steps of a whole epoch (or of many) at once, devices take them one by one and keep the numbers,
and else the gradient comes from the executor and the optimizer steps in Python. This module knows nothing of
recordings, nor of why training stops.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..compiler.batch import Batch, as_table, flat_columns
from ..compiler.jax_devices import Descent, OnDevices
from ..compiler.program import Argument
from ..compiler.python_code import Script
from ..engine import Value
from ..optim import SGD, Adam, AdamW, Optimizer, trouble

STRETCH = 0.05  # seconds of training between two reports, by a guess:
SLOW = 1e-10    # seconds that a word of native code takes for a sample, at the most


@dataclass(slots=True)
class Task:
    """What is trained, and how.

    executor: of the program whose outputs are the means of `outputs` functions, then the slopes of the first of them by
    each of `trained` (for an OnDevices: its first parameters, in order). summed: sums are minimised, not means. size:
    rows for each step. order: shuffles `seen`, the rows in the order in which they come, before each epoch; None leaves
    them as they are. stretch: several epochs may be done at once and then be told.
    """

    executor: Any
    arguments: Sequence[Argument]
    trained: Sequence[Value]
    outputs: int
    summed: bool
    optimizer: Optimizer
    size: int
    order: random.Random | None
    seen: list[int]
    stretch: bool

    def epochs(self, columns: Batch, epochs: int) -> Iterator[list[float]]:
        """Train for so many epochs on the columns; yield the mean of each output over the rows, as they were met, after
        each. FloatingPointError for a step that is not taken."""
        if self.size >= columns.rows:
            self.order = None  # of a whole batch the order does not matter
        if isinstance(self.executor, OnDevices) and self.by_rule():
            return self.on_devices(columns, epochs)
        if not isinstance(self.executor, (Script, OnDevices)) and self.by_rule() and type(self.optimizer) in (
                SGD, Adam, AdamW):
            return self.natively(columns, epochs)
        return self.one_by_one(columns, epochs)

    def stream(self, batches: Iterator[Batch], every: int) -> Iterator[tuple[list[float], int]]:
        """A step on each batch; yield the mean of each output over the rows of so many batches, and how many they
        were."""
        descent = self.descent() if isinstance(self.executor, OnDevices) and self.by_rule() else None
        while True:
            totals, rows, count = [0.0] * self.outputs, 0, 0
            if descent is not None:
                descent.load()
            try:
                for columns in islice(batches, every):
                    rows += columns.rows
                    count += 1
                    if descent is not None:
                        descent.step(self.executor.shared(self.executor.table(columns, own=True)), columns.rows)
                    else:
                        self.size, self.seen = columns.rows, list(range(columns.rows))
                        [means] = self.epochs(columns, 1)
                        totals = [total + mean * self.share(columns.rows) for total, mean in zip(totals, means)]
            finally:
                if descent is not None:
                    totals = descent.store()
            if not count:
                return
            yield [total / self.share(rows) for total in totals], count

    def by_rule(self) -> bool:
        """Whether the optimizer goes by its rule, on all parameters that the slopes are by."""
        optimizer, kind = self.optimizer, type(self.optimizer)
        usual = (kind.step is Optimizer.step and kind.update is Optimizer.update and kind.rate is Optimizer.rate
                 and not any(hasattr(kind, name) for name in vars(optimizer)))  # nor a method of this one alone
        return usual and set(optimizer.params) == set(self.trained)

    def descent(self) -> Descent:
        machine: OnDevices = self.executor
        if machine.descent is None or machine.descent.optimizer is not self.optimizer:
            machine.descent = Descent(machine, len(self.trained), self.optimizer, self.summed, self.outputs)
        return machine.descent

    def share(self, rows: int) -> int:
        """What totals over the rows are divided by."""
        return 1 if self.summed else rows

    def natively(self, columns: Batch, epochs: int) -> Iterator[list[float]]:
        """The loop in native code, an epoch or several at a time."""
        optimizer: Any = self.optimizer
        rows, outputs, trained = columns.rows, self.outputs, self.trained
        batches = -(-rows // self.size)
        lengths = [min(self.size, rows - i * self.size) for i in range(batches)]
        adam = isinstance(optimizer, Adam)
        attached = list(optimizer.params)
        place = {p: i for i, p in enumerate(attached)}
        back = {p: i for i, p in enumerate(trained)}
        done, chunk = 0, 1
        if self.stretch and self.order is None:  # by a guess, which is on the safe side
            chunk = max(1, int(STRETCH / (SLOW * rows * (1 + self.executor.words))))
        while done < epochs:
            if optimizer.params != attached:  # by a callback, say
                yield from self.one_by_one(columns, epochs - done)
                return
            n = min(chunk, epochs - done)
            if self.order is not None:
                self.order.shuffle(self.seen)
            steps = optimizer.steps
            lr, several = optimizer.lr, range(steps, steps + n * batches)
            rates = array("d", map(lr, several) if callable(lr) else [lr]) * (1 if callable(lr) else len(several))
            settings = (adam, not adam and optimizer.nesterov, isinstance(optimizer, AdamW),
                        0.0 if adam else optimizer.momentum, optimizer.weight_decay,
                        *((*optimizer.betas, optimizer.eps) if adam else (0.0, 0.0, 0.0)), steps)
            averages = ([optimizer.mean, optimizer.square] if adam else [optimizer.velocity] * 2)
            average, square = (array("d", [xs[place[p]] for p in trained]) for xs in averages)
            asked = (columns.given, columns.table, None if self.order is None else array("q", self.seen), self.size, n,
                     self.summed, rates, settings, average, square)
            results: list[Any] = []
            try:  # Ctrl-C may wait until the steps are taken; `extend` and `map` keep the result all the same
                results.extend(map(self.executor.fit, *[[x] for x in asked]))
            finally:
                for ended, taken, _, slopes in results:
                    first, second = ([xs[back[p]] for p in optimizer.params] for xs in (average, square))
                    if adam:
                        optimizer.mean, optimizer.square = first, second
                    else:
                        optimizer.velocity = first
                    optimizer.steps += taken
                    batch = taken if isinstance(ended, str) and ended else taken - 1  # whose slopes they are
                    times = lengths[batch % batches] if self.summed else 1
                    for p, slope in zip(trained, slopes):
                        p.grad = slope * times
            end, taken, history, slopes = results[0]
            for epoch in range(taken // batches):
                if batches == 1:
                    yield history[epoch * outputs:(epoch + 1) * outputs].tolist()
                    continue
                yield [math.fsum(history[(epoch * batches + i) * outputs + k] * self.share(lengths[i])
                                 for i in range(batches)) / self.share(rows) for k in range(outputs)]
            done += n
            if isinstance(end, BaseException):
                raise end
            if end:
                loss = history[taken * outputs]
                in_order = [(p, slopes[back[p]]) for p in optimizer.params]
                raise FloatingPointError(trouble(loss, in_order, rates[taken], steps + taken))

    def on_devices(self, columns: Batch, epochs: int) -> Iterator[list[float]]:
        """The same with the numbers on the devices; after each epoch they are brought back."""
        table = self.executor.table(columns, own=True)
        size = min(self.size, columns.rows)
        batches = range(0, columns.rows, size)
        placed: Any = None
        descent = self.descent()
        for epoch in range(epochs):
            if not self.by_rule():  # by a callback, say
                yield from self.one_by_one(columns, epochs - epoch)
                return
            if self.order is not None:
                self.order.shuffle(self.seen)
            descent.load()
            try:
                for start in batches:
                    rows = min(size, columns.rows - start)
                    if len(batches) > 1 or placed is None:
                        batch = table[self.seen[start:start + rows]] if len(batches) > 1 else table
                        placed = self.executor.shared(batch, size)
                    descent.step(placed, rows)
            finally:
                totals = descent.store()
            yield [total / self.share(columns.rows) for total in totals]

    def one_by_one(self, columns: Batch, epochs: int) -> Iterator[list[float]]:
        """The same, a step at a time: with generated Python, an optimizer of the user's own, or one of fewer
        parameters."""
        flat = flat_columns(columns, self.arguments)
        optimizer = self.optimizer
        for _ in range(epochs):
            if self.order is not None:
                self.order.shuffle(self.seen)
            now = flat if self.order is None else [array("d", [column[i] for i in self.seen]) for column in flat]
            totals = [0.0] * self.outputs
            for start in range(0, columns.rows, self.size):
                stop = min(start + self.size, columns.rows)
                if isinstance(self.executor, Script):
                    found = self.executor.total(now, start, stop, 1.0 / (stop - start))
                else:
                    batch = Batch((as_table([column[start:stop] for column in now]),), True, stop - start)
                    found = self.executor.total(*((batch,) if isinstance(self.executor, OnDevices) else
                                                  (batch.given, True, False, False)))
                means, slopes = found[:self.outputs], found[self.outputs:]
                if self.summed:
                    slopes = [slope * (stop - start) for slope in slopes]
                totals = [total + mean * (stop - start) for total, mean in zip(totals, means)]
                if not math.isfinite(means[0]):
                    raise FloatingPointError(trouble(means[0], (), 0.0, optimizer.steps))
                for p, slope in zip(self.trained, slopes):
                    p.grad = slope
                optimizer.step()
            yield [total / self.share(columns.rows) for total in totals]
