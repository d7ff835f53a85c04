"""`Compiled.fit`: a run of a compiled function, from its arguments and its checkpoint to its history. The checkpoint is
that of `micrograd.fit`, too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any

from .. import arguments
from ..compiler.batch import Batch, numbers_of
from ..compiler.checks import Checks
from ..compiler.jax_devices import OnDevices
from ..data.dataset import is_container
from ..engine import Value
from ..files import FileName
from ..optim import SGD, Optimizer
from .checkpoint import OPERATIONS, Progress, read, write
from .failures import started
from .history import History
from .loop import FitOptions, Run, epochs, progress_bar, stream
from .samples import refuse_gap
from .steps import Order, StepChooser

STREAMED = 100   # batches of a stream between two reports


def check_optimizer(optimizer: Any) -> Optimizer:
    """SGD by default. TypeError for what is not an optimizer."""
    optimizer = optimizer if optimizer is not None else SGD(lr=0.1)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an object such as micrograd.Adam(lr=0.01), found {optimizer!r}")
    return optimizer


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


def table_steps(checks: Checks, columns: Batch, chooser: StepChooser, count: int, batch_size: int | None,
                shuffler: random.Random | None, seen: list[int] | None, stretch: bool) -> Iterator[list[float]]:
    """`Compiled.epochs`: the mean of each output after each epoch."""
    for what, n in (("epochs", count), ("batch_size", 1 if batch_size is None else batch_size)):
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"{what} must be a whole number, found {n!r}")
    size = columns.rows if batch_size is None else batch_size
    if size < 1 or count < 0:
        raise ValueError(f"fit needs batch_size >= 1 and epochs >= 0, found {batch_size} and {count}")
    optimizer = chooser.optimizer
    attach(checks, optimizer)
    checks.verify(columns)
    shuffler = shuffler if size < columns.rows else None  # of a whole batch the order does not matter
    order = Order(columns.rows, size, shuffler, seen if shuffler is not None else None)

    def total(rows: Sequence[int]) -> tuple[float, list[tuple[Value, float]]]:
        means, slopes = checks.totals("train", checks.rows(columns, rows))
        found = dict(zip(checks.executors.params, slopes))
        return means[0], [(p, found[p]) for p in optimizer.params]

    return started(epochs(chooser.choose, columns, order, count, stretch), not optimizer.steps,
                   [*optimizer.params, *checks.executors.places], columns.rows, lambda i: numbers_of(columns, i), total)


def checked_batches(checks: Checks, batches: Iterable[Any], known: int = 0) -> Iterator[Batch]:
    """The batches of a stream but the first, known, ones."""
    for i, batch in enumerate(islice(batches, known, None), known):
        try:
            listed = isinstance(batch, list) and any(getattr(x, "ndim", 0) > 1 for x in batch)
            columns = checks.prepared(tuple(batch) if listed or isinstance(batch, tuple) else (batch,))
        except (TypeError, ValueError) as error:
            raise type(error)(f"batch {i}: {error}") from None
        checks.verify(columns)
        yield columns


def keep(path: FileName, run: Run, name: str, optimizer: Optimizer, shuffler: random.Random | None, seen: list[int],
         facts: Mapping[str, Any]) -> Callable[[], None]:
    """Let a run go on where its checkpoint is, if there is one. Returns the function that writes it.

    name: of what is trained. facts: what else tells this run from another.
    """
    everyone = run.parameters()  # those that are not trained, too: they may have been drawn at random
    places = {p: i for i, p in enumerate(everyone)}
    trained = [places[p] for p in optimizer.params]
    facts = {"function": name, "parameters": len(places), **facts, "optimizer": optimizer.settings(),
             "trained": "all" if trained == list(range(len(places))) else trained}
    optimizer.state_dict()  # which says if an optimizer cannot be saved
    now = read(path, facts)
    if now is not None:
        if shuffler is not None:
            shuffler.setstate(now.random)
        optimizer.load_state_dict(now.memory, now.steps)
        for p, x, slope in zip(everyone, now.parameters, now.gradients):
            p.data = x
            p.grad = slope
        run.history.extend(now.losses)
        for curve, numbers in now.curves.items():
            setattr(run.history, curve, numbers)
        run.history.best = now.best or None
        run.best = run.history.best, list(zip(everyone, now.kept))
        run.epochs, run.batches = now.epochs, now.batches
        seen[:] = now.order

    def save() -> None:
        best, kept = run.best
        write(path, Progress(
            [p.data for p in everyone], [p.grad for p in everyone], optimizer.state_dict(), optimizer.steps, run.epochs,
            run.batches, run.history.loss, seen, None if shuffler is None else shuffler.getstate(),
            run.history.curves(), best or 0, [x for _, x in kept]), facts)

    return save


def fit(checks: Checks, data: tuple[Any, ...], batches: Iterable[Any] | None, optimizer: Optimizer | None,
        options: FitOptions) -> History:
    """`Compiled.fit`."""
    options.check()
    every, streamed = options.every, batches is not None
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise ValueError(f"every must be a whole number >= 1, found {every!r}")
    if streamed and data:
        raise TypeError("fit takes data, or batches, not both")
    if streamed and not isinstance(batches, Iterable):
        raise TypeError(f"batches must be an iterable of minibatches, such as a generator, found {batches!r:.60}")
    optimizer = check_optimizer(optimizer)
    checks.keep_up(wholly=True)
    shuffler = random.Random(arguments.seed(options.seed, "fit(seed)")) if options.shuffle and not streamed else None
    columns = Batch((), False, 0) if streamed else checks.prepared(data)
    attach(checks, optimizer)
    columns, held = held_out(checks, columns, options)
    seen = list(range(columns.rows))
    every = every or (STREAMED if streamed else 1)
    run = Run(options, lambda: checks.executors.in_plan, 1 if streamed else every)
    if held is not None:
        run.held = lambda: checks.totals("value", held)[0][:1]
    if options.checkpoint is not None:
        save = keep(options.checkpoint, run, checks.recording.name, optimizer, shuffler, seen, {
            "rows": len(seen), "streamed": streamed, OPERATIONS: checks.recording.checksum(),
            "batch_size": options.batch_size, "shuffle": shuffler is not None, "seed": repr(options.seed),
            "reduce": "sum" if checks.summed else "mean", "dtype": checks.executors.dtype})
        machine = checks.executors.executor("train")
        if not isinstance(machine, OnDevices) or machine.first:
            run.save = save
    checks.check_processes({
        "the optimizer": [type(optimizer).__name__, optimizer.steps], "the number of rows": len(seen),
        "the arguments of fit": [options.epochs, options.batch_size, None if callable(options.until) else options.until,
                                 every, options.checkpoint is None],
        "the order of the rows": shuffler and options.batch_size and [seen, shuffler.getstate()],
        "where the run is": [run.epochs, run.batches, run.history.loss]})
    if held is not None:
        refuse_gaps(checks, held)
    chooser = StepChooser(checks.executors, optimizer, checks.summed)
    run.history.ran = chooser.ran()
    run.history.stopped = run.reason()
    if not streamed:
        run.bar = progress_bar(options.epochs, options.progress)
    try:
        if not run.history.stopped:
            run.follow(steps_of(run, checks, columns, batches, chooser, options, shuffler, seen))
    finally:
        run.end()
    run.history.stopped = run.history.stopped or ("all batches seen" if streamed else "all epochs done")
    return run.history


def steps_of(run: Run, checks: Checks, columns: Batch, batches: Iterable[Any] | None, chooser: StepChooser,
             options: FitOptions, shuffler: random.Random | None, seen: list[int]) -> Iterator[list[float]]:
    """The steps that are left of a run."""
    if batches is not None:
        given = checked_batches(checks, batches, run.batches)
        for means, count in stream(chooser.choose, given, options.every or STREAMED):
            run.batches += count
            yield means
    else:
        left = max(options.epochs - run.epochs, 0) if run.epochs else options.epochs
        yield from table_steps(checks, columns, chooser, left, options.batch_size, shuffler, seen, run.unwatched())


def held_out(checks: Checks, columns: Batch, options: FitOptions) -> tuple[Batch, Batch | None]:
    """The rows to train on, and those that are not trained on."""
    share = options.share(columns.rows, "data as in a call")
    if share is None:
        given = options.validation
        try:
            return columns, None if given is None else checks.prepared(arguments_in(given, checks))
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation: {error}") from None
    rows = list(range(columns.rows))
    random.Random(options.seed).shuffle(rows)
    count = min(max(1, round(share * columns.rows)), columns.rows - 1)
    return checks.rows(columns, sorted(rows[count:])), checks.rows(columns, sorted(rows[:count]))


def arguments_in(given: Any, checks: Checks) -> tuple[Any, ...]:
    """The arguments of a call on columns: of a tuple, or of a list, unless it holds the rows of a table."""
    if isinstance(given, tuple):
        return given
    arguments, width = len(checks.recording.arguments), len(checks.executors.program.inputs)
    if isinstance(given, list) and len(given) == arguments > 1 and any(map(is_container, given)):
        rows = [x for x in given if is_container(x) and hasattr(x, "__len__")]
        if len(rows) < arguments or any(len(row) != width or any(map(is_container, row)) for row in rows):
            return tuple(given)
    return (given,)


def refuse_gaps(checks: Checks, held: Batch) -> None:
    """Raise ValueError where the loss is not finite for rows that are not trained on, as inf or nan stands in them."""
    if not isfinite(checks.totals("value", held)[0][0]):
        names = [argument.name for argument in checks.recording.arguments]
        for i in range(held.rows):
            refuse_gap("validation: ", i, dict(zip(names, checks.row(held, i))))
