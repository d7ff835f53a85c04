"""`Compiled.fit`: a run of a compiled function, from its arguments and its checkpoint to its history."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Union

from .. import arguments
from ..arguments import as_float, is_number, whole
from ..compiler.batch import Batch, numbers_of
from ..compiler.checks import Checks
from ..compiler.jax_devices import OnDevices
from ..engine import Value
from ..optim import SGD, Optimizer
from .checkpoint import OPERATIONS, Progress, read, write
from .failures import started
from .history import History, converged
from .loop import Run, Until, epochs, stream
from .progress import progress_bar
from .steps import Order, StepChooser

STREAMED = 100   # batches of a stream between two reports
HELD_OUT = 0.2   # the share of the rows to stop by, where none is given
FileName = Union[str, "os.PathLike[str]"]


@dataclass(slots=True)
class FitOptions:
    """The options of `Compiled.fit`."""

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


def check_asked(until: Any, patience: Any, callback: Any) -> None:
    """Raise TypeError and ValueError for what cannot be asked after each epoch."""
    if patience is not None:
        whole(patience, "fit(patience)", 1)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function, found {callback!r}")
    if until is converged:
        raise TypeError("until=converged() with parentheses: converged makes the function that fit asks")
    if until is not None and not callable(until) and not is_number(until):
        raise TypeError(f"until must be a number, the loss to stop at, or a function of the history, found {until!r}")


def check_optimizer(optimizer: Any) -> Optimizer:
    """SGD by default. TypeError for what is not an optimizer."""
    optimizer = optimizer if optimizer is not None else SGD(lr=0.1)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an object such as micrograd.Adam(lr=0.01), found {optimizer!r}")
    return optimizer


def check(data: tuple[Any, ...], batches: Any, options: FitOptions) -> None:
    """Raise TypeError and ValueError for arguments that make no sense."""
    every = options.every
    check_asked(options.until, options.patience, options.callback)
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise ValueError(f"every must be a whole number >= 1, found {every!r}")
    if batches is not None and data:
        raise TypeError("fit takes data, or batches, not both")
    if batches is not None and not isinstance(batches, Iterable):
        raise TypeError(f"batches must be an iterable of minibatches, such as a generator, found {batches!r:.60}")
    share = share_of(options)
    if share is not None and not 0.0 < share < 1.0:
        raise ValueError(f"validation must be a share in (0, 1), or data as in a call, found {options.validation!r}")
    if share is not None and batches is not None:
        raise ValueError("no share of a stream can be held out: give data, validation=(X, y)")
    if share is not None and options.checkpoint is not None and options.seed is None:
        raise ValueError("a run that continues later must hold out the same rows again: give it a seed, or data as "
                         "validation=(X, y)")


def share_of(options: FitOptions) -> float | None:
    """The share of the rows that is held out; None where other rows are, or none."""
    if options.validation is None:
        return None if options.patience is None else HELD_OUT
    return as_float(options.validation) if is_number(options.validation) else None


def attach(checks: Checks, optimizer: Optimizer) -> None:
    """Give the parameters to an optimizer that has none. ValueError for one that has others."""
    name, params = checks.recording.name, checks.executors.params
    if not params:
        raise ValueError(f"{name} has no parameters to train: it computes with no Value that you made")
    if not optimizer.params:
        optimizer.attach(params)
    mine = set(params)
    strangers = [p for p in optimizer.params if p not in mine]
    if strangers:
        raise ValueError(f"the optimizer has parameters that {name} does not use ({strangers[0]!r}): make a new one, "
                         "or call optimizer.attach(step.params)")


def table_steps(checks: Checks, columns: Batch, optimizer: Optimizer, count: int, batch_size: int | None,
                shuffler: random.Random | None, seen: list[int] | None, stretch: bool) -> Iterator[list[float]]:
    """`Compiled.epochs`: the mean of each output after each epoch."""
    for what, n in (("epochs", count), ("batch_size", 1 if batch_size is None else batch_size)):
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"{what} must be a whole number, found {n!r}")
    size = columns.rows if batch_size is None else batch_size
    if size < 1 or count < 0:
        raise ValueError(f"fit needs batch_size >= 1 and epochs >= 0, found {batch_size} and {count}")
    attach(checks, optimizer)
    checks.verify(columns)
    shuffler = shuffler if size < columns.rows else None  # of a whole batch the order does not matter
    order = Order(columns.rows, size, shuffler, seen if shuffler is not None else None)
    stepper = StepChooser(checks.executors, optimizer, checks.summed)

    def total(rows: Sequence[int]) -> tuple[float, list[tuple[Value, float]]]:
        means, slopes = checks.totals("train", checks.rows(columns, rows))
        found = dict(zip(checks.executors.params, slopes))
        return means[0], [(p, found[p]) for p in optimizer.params]

    return started(epochs(stepper.choose, columns, order, count, stretch), not optimizer.steps,
                   [*optimizer.params, *checks.executors.places], columns.rows, lambda i: numbers_of(columns, i), total)


def stream_steps(checks: Checks, batches: Iterable[Any], optimizer: Optimizer, every: int,
                 known: int) -> Iterator[tuple[list[float], int]]:
    """A step on each batch but the first, known, ones."""
    def given() -> Iterator[Batch]:
        for i, batch in enumerate(islice(batches, known, None), known):
            try:
                listed = isinstance(batch, list) and any(getattr(x, "ndim", 0) > 1 for x in batch)
                columns = checks.prepared(tuple(batch) if listed or isinstance(batch, tuple) else (batch,))
            except (TypeError, ValueError) as error:
                raise type(error)(f"batch {i}: {error}") from None
            checks.verify(columns)
            yield columns

    return stream(StepChooser(checks.executors, optimizer, checks.summed).choose, given(), every)


class File:
    """The checkpoint of a run: what is in it, and what is to be written.

    name: of what is trained. everyone: its parameters, those that are not trained, too: they may have been drawn at
    random. facts: what else tells this run from another.
    """

    def __init__(self, path: FileName, name: str, everyone: Sequence[Value], optimizer: Optimizer,
                 facts: dict[str, Any]) -> None:
        places = {p: i for i, p in enumerate(everyone)}
        trained = [places[p] for p in optimizer.params]
        self.path = path
        self.everyone = everyone
        self.optimizer = optimizer
        self.facts = {"function": name, "parameters": len(places), **facts,
                      "optimizer": optimizer.settings(),
                      "trained": "all" if trained == list(range(len(places))) else trained}
        optimizer.state_dict()  # which says if an optimizer cannot be saved

    def resume(self, run: Run, shuffler: random.Random | None, seen: list[int]) -> None:
        """Take over what is in the file, if there is one."""
        now = read(self.path, self.facts)
        if now is None:
            return
        if shuffler is not None:
            shuffler.setstate(now.random)
        self.optimizer.load_state_dict(now.memory, now.steps)
        for p, x, slope in zip(self.everyone, now.parameters, now.gradients):
            p.data = x
            p.grad = slope
        run.history.extend(now.losses)
        for name, numbers in now.curves.items():
            setattr(run.history, name, numbers)
        run.history.best = now.best or None
        run.best = run.history.best, list(zip(self.everyone, now.kept))
        run.epochs, run.batches = now.epochs, now.batches
        seen[:] = now.order

    def write(self, run: Run, shuffler: random.Random | None, seen: list[int]) -> None:
        best, kept = run.best
        write(self.path, Progress(
            [p.data for p in self.everyone], [p.grad for p in self.everyone], self.optimizer.state_dict(),
            self.optimizer.steps, run.epochs, run.batches, run.history.loss, seen,
            None if shuffler is None else shuffler.getstate(), run.history.curves(), best or 0, [x for _, x in kept]),
            self.facts)


def fit(checks: Checks, data: tuple[Any, ...], batches: Iterable[Any] | None, optimizer: Optimizer | None,
        options: FitOptions) -> History:
    """`Compiled.fit`."""
    check(data, batches, options)
    optimizer = check_optimizer(optimizer)
    checks.keep_up(wholly=True)
    streamed = batches is not None
    shuffler = random.Random(arguments.seed(options.seed, "fit(seed)")) if options.shuffle and not streamed else None
    columns = Batch((), False, 0) if streamed else checks.prepared(data)
    attach(checks, optimizer)
    columns, held = held_out(checks, columns, options)
    seen = list(range(columns.rows))
    every = options.every or (STREAMED if streamed else 1)
    run = Run(History(), lambda: checks.executors.in_plan, options.until, options.patience, options.callback,
              every=1 if streamed else every)
    if held is not None:
        run.held = lambda: checks.totals("value", held)[0][:1]
    if options.checkpoint is not None:
        file = File(options.checkpoint, checks.recording.name, checks.executors.in_plan, optimizer, {
            "rows": len(seen), "streamed": streamed, OPERATIONS: checks.recording.checksum(),
            "batch_size": options.batch_size, "shuffle": shuffler is not None, "seed": repr(options.seed),
            "reduce": "sum" if checks.summed else "mean", "dtype": checks.executors.dtype})
        file.resume(run, shuffler, seen)
        machine = checks.executors.executor("train")
        if not isinstance(machine, OnDevices) or machine.first:
            run.save = lambda: file.write(run, shuffler, seen)
    checks.check_processes({
        "the optimizer": [type(optimizer).__name__, optimizer.steps], "the number of rows": len(seen),
        "the arguments of fit": [options.epochs, options.batch_size, None if callable(options.until) else options.until,
                                 every, options.checkpoint is None],
        "the order of the rows": shuffler and options.batch_size and [seen, shuffler.getstate()],
        "where the run is": [run.epochs, run.batches, run.history.loss]})
    run.history.ran = StepChooser(checks.executors, optimizer, checks.summed).ran()
    run.history.stopped = run.reason()
    if options.progress is not False and not streamed:
        run.bar = progress_bar(options.epochs, options.progress)
    try:
        if not run.history.stopped:
            run.follow(steps_of(run, checks, columns, batches, optimizer, options, shuffler, seen))
    finally:
        if run.bar is not None:
            run.bar.close()
        run.keep_best()
    run.history.stopped = run.history.stopped or ("all batches seen" if streamed else "all epochs done")
    return run.history


def steps_of(run: Run, checks: Checks, columns: Batch, batches: Iterable[Any] | None, optimizer: Optimizer,
             options: FitOptions, shuffler: random.Random | None, seen: list[int]) -> Iterator[list[float]]:
    """The steps that are left of a run."""
    if batches is not None:
        for means, count in stream_steps(checks, batches, optimizer, options.every or STREAMED, run.batches):
            run.batches += count
            yield means
    else:
        left = max(options.epochs - run.epochs, 0) if run.epochs else options.epochs
        told = (run.held, run.until, run.callback, run.save)
        yield from table_steps(checks, columns, optimizer, left, options.batch_size, shuffler, seen,
                               stretch=all(each is None for each in told))


def held_out(checks: Checks, columns: Batch, options: FitOptions) -> tuple[Batch, Batch | None]:
    """The rows to train on, and those that are not trained on."""
    share = share_of(options)
    if share is None:
        given = options.validation
        try:
            return columns, None if given is None else checks.prepared(given if isinstance(given, tuple) else (given,))
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation: {error}") from None
    if columns.rows < 2:
        raise ValueError("fit needs at least two rows to hold one out, found one; give others as validation=(X, y)")
    rows = list(range(columns.rows))
    random.Random(options.seed).shuffle(rows)
    count = min(max(1, round(share * columns.rows)), columns.rows - 1)
    return checks.rows(columns, sorted(rows[count:])), checks.rows(columns, sorted(rows[:count]))
