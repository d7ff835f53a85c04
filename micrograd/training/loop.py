"""Training: the loop over epochs and batches, and what is done after each epoch.

It is the same for a network that is trained sample by sample and for a compiled function, on a table and on a stream of
batches; who takes the steps is for `GradientSteps` to know.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Union

from ..arguments import alone, as_float, counted, is_number, shown, whole
from ..engine import Value
from ..files import FileName
from ..packages import IN_BROWSER
from .history import History, converged
from .steps import GradientSteps, InNativeCode, Order

Until = Union[float, Callable[[History], bool], None]
HELD_OUT = 0.2  # the share of the rows to stop by, where none is given


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
class FitOptions:
    """The options of both kinds of `fit`."""

    epochs: int
    batch_size: int | None
    shuffle: bool
    seed: Any
    until: Until
    validation: Any
    patience: int | None
    progress: bool | None
    callback: Callable[[History], None] | None
    checkpoint: FileName | None
    every: int | None

    def check(self) -> None:
        """Raise TypeError and ValueError for what cannot be asked after each epoch."""
        until: Any = self.until
        if self.patience is not None:
            whole(self.patience, "fit(patience)", 1)
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be a function, found {self.callback!r}")
        if until is converged:
            raise TypeError("until=converged() with parentheses: converged makes the function that fit asks")
        if until is not None and not callable(until) and (not is_number(until) or isinstance(alone(until), bool)):
            raise TypeError("until must be a number, the loss to stop at, or a function of the history, found "
                            f"{until!r}")

    def share(self, rows: int, instead: str) -> float | None:
        """The share of the rows that is held out; None where other rows are, or none. rows: how many, 0 of a stream.
        instead: what else validation may be."""
        given = self.validation
        if self.patience is None if given is None else not is_number(given):
            return None
        share = HELD_OUT if given is None else as_float(given)
        if not 0.0 < share < 1.0:
            raise ValueError(f"validation must be a share in (0, 1), or {instead}, found {shown(given)}")
        if not rows:
            raise ValueError("no share of a stream can be held out: give data, validation=(X, y)")
        if self.checkpoint is not None and self.seed is None:
            raise ValueError("a run that continues later must hold out the same rows again: give it a seed, or data as "
                             "validation=(X, y)")
        if rows < 2:
            raise ValueError("fit needs at least two rows to hold one out, found one; give others as validation=(X, y)")
        return share


@dataclass(slots=True)
class Run:
    """A run: what it has found, and what is done after each epoch (of a stream: after so many batches).

    parameters: what the numbers of the best epoch are kept of. judged: whether the second output is the accuracy. held:
    gives the loss (and the accuracy) on rows that are not trained on. bar: of tqdm. save: keeps the run in a file,
    after each `every` epochs. epochs, batches: how many were finished.
    """

    options: FitOptions
    parameters: Callable[[], Sequence[Value]]
    every: int
    judged: bool = False
    history: History = field(default_factory=History)
    held: Callable[[], Sequence[float]] | None = None
    bar: Any = None
    save: Callable[[], None] | None = None
    epochs: int = 0
    batches: int = 0
    best: tuple[int | None, Sequence[tuple[Value, float]]] = (None, ())  # the best epoch, and the numbers after it

    def follow(self, steps: Iterable[list[float]], changed: Callable[[], bool] = lambda: False) -> None:
        """Take the steps until there are no more, until the run is over (`history.stopped` says why), or until what is
        trained has changed."""
        if self.unwatched() and self.options.patience is None and self.bar is None and not self.judged:
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

    def unwatched(self) -> bool:
        """True if nothing is done between two epochs that depends on the parameters, or changes them."""
        return all(each is None for each in (self.held, self.options.until, self.options.callback, self.save))

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
            if self.options.patience is not None and loss < lowest:
                self.best = len(history), [(p, p.data) for p in self.parameters()]
                history.best = len(history)
        if self.bar is not None:
            self.bar.set_postfix_str(history.brief(), refresh=False)
            self.bar.update()
        if self.options.callback is not None:
            self.options.callback(history)

    def reason(self) -> str:
        """The reason why the run is over; "" if it goes on."""
        history, until, patience = self.history, self.options.until, self.options.patience
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

    def end(self) -> None:
        """Close the bar, and give the parameters the numbers of the best epoch, if one was kept."""
        if self.bar is not None:
            self.bar.close()
        self.history.best, numbers = self.best
        for p, x in numbers:
            p.data = x


# A progress bar, where tqdm is installed and one is wanted

def watched() -> bool:
    """Ask whether anybody can see a bar move: in a terminal, or a notebook. In a file it is a long line of nonsense."""
    shell = sys.modules.get("IPython")
    kernel = shell is not None and getattr(shell.get_ipython(), "kernel", None)  # of a notebook
    return bool(kernel) or (sys.stderr is not None and sys.stderr.isatty())


def progress_bar(epochs: int, progress: bool | None) -> Any:
    """A tqdm bar over so many epochs, or None. progress: None for one in a terminal or a notebook, if tqdm is
    installed; True for one anywhere, or an ImportError."""
    if progress is False or (progress is None and not watched()):
        return None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")  # a notebook without ipywidgets: a bar of text
            from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise ImportError("progress=True needs tqdm: pip install tqdm, or leave progress out") from None
        return None
    if IN_BROWSER:
        tqdm.monitor_interval = 0  # which would be a thread
    return tqdm(total=epochs, bar_format="{n}/{total} |{bar}| {remaining} left{postfix}", dynamic_ncols=True)
