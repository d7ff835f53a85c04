"""Training: the loop over epochs and batches, and what is done after each epoch.

It is the same for a network that is trained sample by sample and for a compiled function, on a table and on a stream of
batches; who takes the steps is for `GradientSteps` to know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Union

from ..arguments import counted
from ..engine import Value
from .history import History
from .steps import GradientSteps, InNativeCode, Order

Until = Union[float, Callable[[History], bool], None]


def epochs(choose: Callable[[], GradientSteps], data: Any, order: Order, count: int,
           stretch: bool = False) -> Iterator[list[float]]:
    """Train for so many epochs; yield the mean (or sum) of each output over the rows, as they were met, after each.

    choose: who takes the steps, asked before each epoch. stretch: several epochs may be done at once and then be told.
    FloatingPointError for a step that is not taken.
    """
    steps: GradientSteps | None = None
    while count > 0:
        if steps is not (chosen := choose()):
            steps, table, whole = chosen, chosen.table(data), None
        if isinstance(steps, InNativeCode):
            count -= yield from steps.epochs(table, order, count, stretch)
            continue
        order.shuffle()
        steps.load()
        try:
            for rows in order.batches():
                if rows is not None or whole is None:
                    whole = steps.batch(table, rows, order.size)
                steps.step(whole)
        finally:
            totals = steps.store()
        count -= 1
        yield [total if steps.summed else total / order.rows for total in totals]


def stream(choose: Callable[[], GradientSteps], batches: Iterator[Any],
           every: int) -> Iterator[tuple[list[float], int]]:
    """Take a step on each batch; yield the mean (or sum) of each output over the rows of so many batches, and how many
    these were."""
    while True:
        steps = choose()
        rows = count = 0
        steps.load()
        try:
            for batch in islice(batches, every):
                rows += batch.rows
                count += 1
                steps.step(steps.batch(steps.table(batch), None, 0))
        finally:
            totals = steps.store()
        if not count:
            return
        yield [total if steps.summed else total / rows for total in totals], count


@dataclass(slots=True)
class Run:
    """A run: what it has found, and what is done after each epoch (of a stream: after so many batches).

    history: is written to. parameters: what the numbers of the best epoch are kept of. until, patience, callback: as
    `micrograd.fit` has them. held: gives the loss (and the accuracy) on rows that are not trained on. bar: of tqdm.
    save: keeps the run in a file, after each `every` epochs. judged: whether the second output is the accuracy. epochs,
    batches: how many were finished.
    """

    history: History
    parameters: Callable[[], Sequence[Value]]
    until: Until = None
    patience: int | None = None
    callback: Callable[[History], None] | None = None
    held: Callable[[], Sequence[float]] | None = None
    bar: Any = None
    save: Callable[[], None] | None = None
    every: int = 1
    judged: bool = False
    epochs: int = 0
    batches: int = 0
    best: tuple[int | None, Sequence[tuple[Value, float]]] = (None, ())  # the best epoch, and the numbers after it

    def follow(self, steps: Iterable[list[float]], changed: Callable[[], bool] = lambda: False) -> None:
        """Take the steps until there are no more, until the run is over (`history.stopped` says why), or until what is
        trained has changed."""
        asked = (self.held, self.until, self.patience, self.callback, self.bar, self.save)
        if all(each is None for each in asked) and not self.judged:
            for means in steps:  # which may be all that takes time
                self.history.append(means[0])
                self.epochs += 1
            return
        unsaved = False
        for means in steps:
            self.note(means)
            self.history.stopped = self.reason()
            unsaved = self.epochs % self.every != 0
            if self.save is not None and not unsaved:
                self.save()
            if self.history.stopped or changed():
                break
        if self.save is not None and unsaved:
            self.save()

    def note(self, means: list[float]) -> None:
        """Add what an epoch has come to, keep the numbers of the best one, and tell of it."""
        history = self.history
        history.append(means[0])
        self.epochs += 1
        if self.judged:
            history.accuracy += means[1:]
        if self.held is not None:
            loss, *right = self.held()
            lowest = math.inf if history.best is None else history.validation_loss[history.best - 1]
            history.validation_loss.append(loss)
            history.validation_accuracy += right
            if self.patience is not None and loss < lowest:
                self.best = len(history), [(p, p.data) for p in self.parameters()]
                history.best = len(history)
        if self.bar is not None:
            self.bar.set_postfix_str(history.brief(), refresh=False)
            self.bar.update()
        if self.callback is not None:
            self.callback(history)

    def reason(self) -> str:
        """The reason why the run is over; "" if it goes on."""
        history, until, patience = self.history, self.until, self.patience
        if until is not None and history:
            reached: Any = until(history) if callable(until) else history[-1] <= until
            if callable(reached):
                raise TypeError("until must be a function of the history that is true or false; it returned a function")
            if reached:
                return "converged"
        if patience is not None and len(history) - (history.best or 0) >= patience:
            never = "" if history.best else ": the validation loss was never finite"
            return f"no better for {counted(patience, 'epoch')}{never}"
        return ""

    def keep_best(self) -> None:
        """Give the parameters the numbers of the best epoch, if one was kept."""
        self.history.best, numbers = self.best
        for p, x in numbers:
            p.data = x
