"""Training: the algorithm of the notes, with a progress bar.

    initialise the weights; repeat for each (x, y): forward, error terms backward, update; until converged

One sample at a time (batch_size=1), minibatches, or the whole set at once: the gradient of a batch is the mean of the
gradients of its samples. Where the loss of a sample can be compiled, the same steps are taken by the compiled loss.
This module knows nothing of files or plots.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from . import arguments, losses
from .arguments import number, shown, whole
from .compiler.api import compile
from .compiler.batch import Batch
from .compiler.compiled import Compiled
from .compiler.program import TraceError
from .engine import Value
from .modules import Module
from .nn import MLP
from .optim import Optimizer
from .standardizer import Standardizer
from .training.door import STREAMED, check_optimizer, checked_batches, keep, table_steps
from .training.failures import StartError, started, why_step_failed
from .training.history import Criterion, History, converged
from .training.loop import FitOptions, Run, Until, progress_bar, stream
from .training.loop import epochs as each_epoch
from .training.samples import Judge, Loss, checked, flat, judge_of, numbers, refuse_gaps, width
from .training.steps import GradientSteps, Order, StepChooser

__all__ = ["fit", "History", "converged", "train_test_split", "accuracy"]

Penalty = Callable[[list[Value]], Value]


def fit(net: Module, X: Any = None, y: Any = None, *, batches: Iterable[Any] | None = None,
        loss: Loss = losses.half_squared_error,
        optimizer: Optimizer | None = None, epochs: int = 100, batch_size: int | None = None, until: Until = None,
        validation: tuple[Any, Any] | float | None = None, patience: int | None = None,
        standardize: bool = False, penalty: Penalty | None = None, shuffle: bool = True,
        seed: int | None = None, progress: bool | None = None, callback: Callable[[History], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None, every: int | None = None, backend: str = "auto",
        devices: Any = None) -> History:
    """Train a network on rows X and targets y. The network is changed in place.

    Ctrl-C ends the run after the last whole step and keeps what was learnt. A loss or gradient that is inf or nan ends
    it before the step. `History.stopped` says why a run ended; what was inf or nan with the numbers that the parameters
    started with is named with its row.

    A compiled run reads the rows and targets once, and asks a learning rate that is a function for several steps at
    once; what a callback changes in the loss or the network is seen.

    Args:
        net: called on a row of X, it returns an output or a list of outputs.
        X: the rows: lists, an array, a tensor or a frame (see `micrograd.data.dataset`).
        y: a target for each row.
        batches: in place of X and y, an iterable of minibatches that need not fit in memory together, such as a
            DataLoader of torch: each is a pair (rows, targets). A step is taken on each of them, as they come; epochs,
            batch_size and shuffle have no meaning then, and no accuracy is kept.
        loss: of one sample, loss(outputs, target): a function of `micrograd.losses` or your own.
        optimizer: by default SGD(lr=0.1); one without parameters gets the network's.
        epochs: how often every sample is seen, at most.
        batch_size: samples per gradient step; None for all of them, 1 for one at a time.
        until: stop after the first epoch whose mean loss is at most this number, or after which this function of the
            history is true, such as `converged()`.
        validation: rows and targets that are not trained on, or the share of X (in (0, 1)) to hold out for it.
        patience: keep the best epoch, and stop after this many epochs without a better one. The best one has the
            lowest validation loss (which is without the penalty), and `history.best` names it; the network has its
            numbers when the run is over, however that ends, and the optimizer what it remembers of the last epoch.
            Without validation, a fifth of X is held out.
        standardize: scale every column of X, which an MLP then does by itself (`net.scaler`) and saves.
        penalty: added to each batch's loss, a function of the parameters.
        shuffle: visit the samples in another order in each epoch.
        seed: of that order, and of what is held out; the same seed gives the same run.
        progress: a tqdm bar; by default in a terminal or a notebook, if tqdm is installed.
        callback: called with the history after each epoch.
        checkpoint: a file that is written after each `every` epochs, and at the end. If it is there, the run goes on
            where it was, for the same `epochs` with the same numbers as if it had never stopped, bit for bit. (Whether
            backend="auto" compiles depends on them, and what is compiled rounds otherwise.) It is a safetensors file,
            whole at any moment.
        every: how many epochs (1 by default) or batches (100) there are between two writings.
        backend: "auto" compiles the loss (see `micrograd.compile`) where it can be and where that pays, and takes the
            same steps faster, equal but for rounding; "native", "python" or "jax" insist on it, and "eager" trains
            sample by sample. `History.ran` says which it was.
        devices: for JAX, how many or which ones share the rows, as in `compile`.

    Returns:
        The `History` of the run: the mean losses of the epochs; of batches, of each `every` batches, which are then
        what `until`, `patience` and `callback` look at.

    Raises:
        ValueError: for data that do not fit together, inf or nan in them, or a number that is out of range.
        TypeError: for arguments of the wrong kind, and what is not a number in the data.
        TraceError: where a backend is insisted on, and the loss cannot be compiled.

    Example:
        >>> net = micrograd.MLP(1, [1], rng=1)
        >>> history = micrograd.fit(net, [[0.0], [1.0]], [1.0, 3.0], epochs=999, until=1e-6)
        >>> history.stopped, round(net([2.0]).data, 2)
        ('converged', 5.0)
    """
    options = FitOptions(epochs, batch_size, shuffle, seed, until, validation, patience, progress, callback, checkpoint,
                         every)
    _check(net, loss, penalty, options, backend, devices)
    optimizer = check_optimizer(optimizer)
    epochs = whole(epochs, "fit(epochs)", 0)
    streamed = batches is not None
    every = whole((STREAMED if streamed else 1) if every is None else every, "fit(every)", 1)
    given = _stream(net, X, y, batches, standardize) if streamed else iter([checked(X, y, "fit", net)])
    X, y = next(given)  # of a stream the first batch
    rng = random.Random(arguments.seed(seed, "fit(seed)"))
    X, y, held_X, held_y = _held_out(net, X, y, options, rng, streamed)
    size = len(X) if batch_size is None else whole(batch_size, "fit(batch_size)", 1)
    if standardize and not isinstance(net, MLP):
        raise TypeError(f"standardize=True needs an MLP, which keeps its scaler; found a {type(net).__name__}")
    refuse_gaps(X, y)
    refuse_gaps(held_X, held_y, "validation: ")
    parameters = net.parameters()
    if not optimizer.params:
        optimizer.attach(parameters)
    elif not set(optimizer.params) <= set(parameters):
        raise ValueError("the optimizer has the parameters of another network: make a new one, or call "
                         "optimizer.attach(net.parameters())")
    judge = None if streamed else judge_of(X, y, net, loss)  # the first batch does not show which classes there are
    task = _Task(net, loss, penalty, judge, optimizer, X, y, held_X, held_y, backend, devices,
                 chain([(X, y)], given) if streamed else None)
    order = Order(len(X), size, rng if shuffle and not streamed else None)
    run = Run(options, net.parameters, 1 if streamed else every, judged=judge is not None)
    history = run.history
    if checkpoint is not None:
        run.save = keep(checkpoint, run, type(net).__name__, optimizer, rng, order.seen, {
            "rows": "streamed" if streamed else len(X), "loss": getattr(loss, "__name__", ""),
            "batch_size": batch_size, "shuffle": shuffle, "seed": repr(seed), "held out": len(held_X)})
    if standardize and isinstance(net, MLP):
        net.scaler = Standardizer.of(X)
    run.bar = None if streamed else progress_bar(epochs, progress)
    try:
        history.stopped = run.reason()
        task.train(run, order, epochs)
        history.stopped = history.stopped or ("all batches seen" if streamed else "all epochs done")
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    except StartError as error:
        history.stopped = str(error)
    except FloatingPointError as error:
        history.stopped = f"diverged: {error}"
    finally:
        run.end()
    return history


WORTHWHILE = 1000  # samples to be seen in a run, from where on it is worth to compile the loss


def _check(net: Any, loss: Any, penalty: Any, options: FitOptions, backend: str, devices: Any) -> None:
    """Raise TypeError and ValueError for arguments of `fit` that make no sense."""
    _refuse_no_network(net, "fit(net, X, y)")
    if not callable(loss):
        raise TypeError(f"loss must be a function such as micrograd.losses.cross_entropy, found {loss!r}")
    options.check()
    if penalty is not None and not callable(penalty):
        raise TypeError(f"penalty must be a function, found {penalty!r}")
    if backend not in ("auto", "eager", "native", "python", "jax"):
        raise ValueError(f"backend must be auto, eager, native, python or jax; found {backend!r}")
    if devices is not None and backend != "jax":
        raise ValueError("devices are for JAX: give backend='jax' with them")


def _stream(net: Module, X: Any, y: Any, batches: Any, standardize: bool) -> Iterator[tuple[list[Any], list[Any]]]:
    """The rows and targets of each batch, checked."""
    if X is not None or y is not None:
        raise TypeError("fit takes rows and targets, or batches, not both")
    if standardize:
        raise ValueError("the columns of a stream cannot be standardized before they were seen: scale them, or set "
                         "net.scaler = micrograd.Standardizer.of(rows)")
    if not isinstance(batches, Iterable):
        raise TypeError("batches must be an iterable of pairs (rows, targets), such as a generator, found "
                        f"{shown(batches)}")
    i = -1
    for i, batch in enumerate(batches):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise TypeError(f"batch {i}: a batch must be a pair (rows, targets), found {shown(batch)}")
        rows, targets = checked(batch[0], batch[1], f"batch {i}", net)
        refuse_gaps(rows, targets, f"batch {i}: ")
        yield rows, targets
    if i < 0:
        raise ValueError("fit needs at least one batch, found none: an iterator can be used once only")


def _held_out(net: Module, X: list[Any], y: list[Any], options: FitOptions, rng: random.Random,
              streamed: bool) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """The rows and targets to train on, and those that are not trained on."""
    given, pair = options.validation, "a pair (rows, targets)"
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return X, y, *checked(given[0], given[1], "validation", net)
    share = options.share(0 if streamed else len(X), pair)
    if share is None:
        if given is not None:
            raise TypeError(f"validation must be a share in (0, 1), or {pair}, found {shown(given)}")
        return X, y, [], []
    X, held_X, y, held_y = train_test_split(X, y, test=share, seed=rng.random())
    return X, y, held_X, held_y


@dataclass(slots=True)
class _Task:
    """A network, its data, and what it is trained by."""

    net: Module
    loss: Loss
    penalty: Penalty | None
    judge: Judge | None
    optimizer: Optimizer
    X: list[Any]
    y: list[Any]
    held_X: list[Any]
    held_y: list[Any]
    backend: str
    devices: Any
    batches: Iterator[tuple[list[Any], list[Any]]] | None  # in place of X and y, which are the first of them

    def train(self, run: Run, order: Order, epochs: int) -> None:
        """By the compiled loss, where it can be compiled; eagerly from where it has changed."""
        sums, data, why = self.compiled(epochs)
        if self.batches is not None:
            self.batches = islice(self.batches, run.batches, None)
        history, eagerly_held = run.history, self.held if self.held_X else None
        history.ran, run.held = f"eager: {why}", eagerly_held
        if sums is not None:
            chooser = StepChooser(sums._executors, self.optimizer, False)
            history.ran = chooser.ran()
            if self.held_X:
                means, held, _ = self.compile(self.held_X, self.held_y, None)
                run.held = eagerly_held if means is None else lambda: means.value(*held)
        if sums is not None and not history.stopped:
            left = max(epochs - run.epochs, 0)
            run.follow(table_steps(sums._checks, sums._checks.prepared(data), chooser, left, order.size, order.shuffler,
                                   order.seen, run.unwatched())
                       if self.batches is None else self.streamed(run, chooser.choose, sums),
                       lambda: self.changed(run, sums))
            if history.stopped or self.over(run, epochs):
                return
            history.ran = f"{sums.backend}, then eager: the loss has changed after epoch {history.epochs}"
            run.held = eagerly_held
        if not history.stopped:
            run.follow(self.eagerly(order, epochs - run.epochs) if self.batches is None else
                       self.streamed(run, lambda: _Eagerly(self), None), lambda: self.changed(run, None))

    def streamed(self, run: Run, choose: Callable[[], GradientSteps], sums: Compiled | None) -> Iterator[list[float]]:
        """Take a step on each batch that is left, by the compiled loss or eagerly; yield the means of so many."""
        def one_by_one(batches: Iterator[tuple[list[Any], list[Any]]]) -> Iterator[Batch]:
            for X, y in batches:
                self.X, self.y = X, y
                yield Batch((), False, len(X))  # of which `_Eagerly` asks no more than the rows

        assert self.batches is not None
        given = one_by_one(self.batches) if sums is None else checked_batches(sums._checks, self.batches)
        for means, count in stream(choose, given, run.options.every or STREAMED):
            run.batches += count
            yield means

    def over(self, run: Run, epochs: int) -> bool:
        """True if all epochs are done, or all batches seen."""
        if self.batches is None:
            return run.epochs >= epochs
        following = list(islice(self.batches, 1))
        self.batches = chain(following, self.batches)
        return not following

    def compiled(self, epochs: int) -> tuple[Compiled | None, Sequence[Any], str]:
        """The compiled loss and the data for it; or None, and why not."""
        if self.backend == "eager":
            return None, (), "not asked for"
        if self.backend == "auto" and self.batches is None and epochs * len(self.X) < WORTHWHILE:
            return None, (), "compiling would not pay for so few samples"
        return self.compile(self.X, self.y, self.penalty)

    def changed(self, run: Run, sums: Compiled | None) -> bool:
        """Ask whether a callback has changed what was compiled. ValueError if it has changed what is trained."""
        until = run.options.until
        if run.options.callback is None and (not callable(until) or isinstance(until, Criterion)):
            return False
        if not set(self.optimizer.params) <= set(self.net.parameters()):
            raise ValueError("the callback has put other Values in place of parameters that the optimizer trains: "
                             "set the .data of those that are there, or call fit again")
        return sums is not None and not sums.holds()

    def held(self) -> list[float]:
        """The mean loss, and the share of right answers if there is a judge, on the rows that are not trained on."""
        outputs = [self.net(x) for x in self.held_X]
        costs = math.fsum(float(self.loss(out, t)) for out, t in zip(outputs, self.held_y)) / len(outputs)
        if self.judge is None:
            return [costs]
        return [costs, sum(self.judge(numbers(out), t) for out, t in zip(outputs, self.held_y)) / len(outputs)]

    def eagerly(self, order: Order, epochs: int) -> Iterator[list[float]]:
        """Train sample by sample; yield the mean loss, and the share of right answers if there is a judge, after each
        epoch."""
        steps = _Eagerly(self)
        parameters = self.net.parameters()

        def sloped(rows: Sequence[int]) -> tuple[float, list[tuple[Value, float]]]:
            before = [p.grad for p in parameters]
            cost, _ = steps.total(rows)
            slopes = [(p, p.grad) for p in self.optimizer.params]
            for p, slope in zip(parameters, before):
                p.grad = slope
            return cost, slopes

        return started(each_epoch(lambda: steps, None, order, epochs), not self.optimizer.steps,
                       [*self.optimizer.params, *parameters], order.rows,
                       lambda i: flat(self.X[i]) + flat(self.y[i]), sloped)

    def compile(self, X: list[Any], y: list[Any],
                penalty: Penalty | None) -> tuple[Compiled | None, Sequence[Any], str]:
        """The loss of a sample, and whether the answer is right if there is a judge, compiled and verified, and the
        data for it; or None, and why not."""
        net, loss, judge = self.net, self.loss, self.judge

        def sample(x: Any, t: Any) -> list[Any]:
            outputs = net(x)
            cost = loss(outputs, t)
            if penalty is not None:
                cost = cost + penalty(parameters)
            return [cost] if judge is None else [cost, judge(outputs if isinstance(outputs, list) else [outputs], t)]

        parameters = net.parameters()
        tried = list({repr(t): i for i, t in enumerate(y)}.values())[:MOST_TARGETS]
        rows, targets = [X[i] for i in tried], [y[i] for i in tried]
        costs = [float(loss(net(x), t)) for x, t in zip(rows, targets)]  # refuses a target that is none
        try:
            step = compile(sample, inputs=[width(X), width(y)], params=self.optimizer.params, backend=self.backend,
                           devices=self.devices)
            extra = 0.0 if penalty is None else float(penalty(parameters))
            for cost, found, t in zip(costs, step.map(rows, targets)[0], targets):
                if not math.isclose(cost + extra, found, rel_tol=1e-9, abs_tol=1e-12) and not cost != cost:
                    raise TraceError(f"for the target {t!r} the loss is {cost + extra}, and {found} compiled: it does "
                                     "something with the bare target, such as looking it up in a dictionary")
            return step, step.columns(X, y), ""
        except Exception as error:  # from the network or the loss, on Values that it cannot look into
            if self.backend != "auto":
                raise
            return None, (), " ".join(f"{type(error).__name__}: {error}".split())


class _Eagerly(GradientSteps):
    """Gradient steps sample by sample: the algorithm of the notes."""

    summed = False

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.parameters = task.net.parameters()
        self.outputs = 1 if task.judge is None else 2

    def batch(self, table: None, rows: Sequence[int] | None, size: int) -> Sequence[int]:
        return range(len(self.task.X)) if rows is None else rows

    def step(self, batch: Sequence[int]) -> None:
        cost, right = self.total(batch)
        self.totals = [total + more for total, more in zip(self.totals, (cost, right))]
        if not math.isfinite(cost):
            raise FloatingPointError(why_step_failed(cost, (), 0.0, self.task.optimizer.steps))
        self.task.optimizer.step()

    def total(self, rows: Sequence[int]) -> tuple[float, float]:
        """The loss over these rows, and how many of the answers are right; the gradient is left in the parameters."""
        task, cost, right = self.task, 0.0, 0.0
        for p in self.parameters:
            p.grad = 0.0
        for i in rows:
            outputs = task.net(task.X[i])
            one = task.loss(outputs, task.y[i])
            one.backward(1.0 / len(rows))
            cost += one.data
            right += task.judge(numbers(outputs), task.y[i]) if task.judge is not None else 0.0
        if task.penalty is not None:
            extra = task.penalty(self.parameters)
            extra.backward()
            cost += extra.data * len(rows)
        return cost, right


MOST_TARGETS = 50  # that a loss is tried on, before it is compiled


def train_test_split(X: Any, y: Any, test: float = 0.25,
                     seed: float | None = None) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """The rows in a random order, a share of them for the test.

    Where the targets are classes, each class gives that share of its rows. At least one row goes to each side.

    Args:
        X: the rows: lists, an array, a tensor or a frame.
        y: a target for each row.
        test: the share of the rows that are held out, in (0, 1).
        seed: of the order; the same seed gives the same split.

    Returns:
        X_train, X_test, y_train, y_test, as lists, which are new ones.

    Raises:
        ValueError: for data that do not fit together, fewer than two rows, or another share.

    Example:
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> X_train, X_test, y_train, y_test = micrograd.train_test_split(X, y, test=0.5)
        >>> sorted(y_train), sorted(y_test)
        ([0, 1], [0, 1])
    """
    X, y = ([row.copy() if type(row) is list else row for row in found]
            for found in checked(X, y, "train_test_split"))
    if not 0.0 < number(test, "train_test_split(test)") < 1.0:
        raise ValueError(f"test must be the share of the rows to hold out, in (0, 1), found {test!r}")
    if len(X) < 2:
        raise ValueError("train_test_split needs at least two rows, found one")
    order = list(range(len(X)))
    random.Random(arguments.seed(seed, "train_test_split(seed)")).shuffle(order)
    groups: dict[Any, list[int]] = {}
    classes = len({str(t) for t in y}) <= math.sqrt(len(y))
    for i in order:
        groups.setdefault(str(y[i]) if classes else None, []).append(i)
    taken = {i for group in groups.values() for i in group[:round(test * len(group))]}
    if not 0 < len(taken) < len(X):
        taken = set(order[:min(max(1, round(test * len(X))), len(X) - 1)])
    train, held = [i for i in order if i not in taken], [i for i in order if i in taken]
    return [X[i] for i in train], [X[i] for i in held], [y[i] for i in train], [y[i] for i in held]


def accuracy(net: Module, X: Any, y: Any, threshold: float | None = None) -> float:
    """The share of the rows whose class the network gives.

    Several outputs: the largest one names the class, and y is its index (or a list with its largest number there). One
    output: y is −1 or 1, and the output's side of 0 decides; or y is 0 or 1, and its side of the threshold does.

    Args:
        net: called on a row of X, it returns an output or a list of outputs.
        X: the rows: lists, an array, a tensor or a frame.
        y: a class for each row.
        threshold: by default 0.5 for a network that ends in a sigmoid, and 0 (a logit) for another.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: for targets that are not classes, and data that do not fit together.
        TypeError: for arguments of the wrong kind.

    Example:
        >>> net = micrograd.MLP(1, [1], init=lambda nin, nout, rng: 1.0)
        >>> micrograd.accuracy(net, [[-2.0], [-1.0], [3.0], [4.0]], [-1, 1, 1, 1])
        0.75
    """
    _refuse_no_network(net, "accuracy(net, X, y)")
    if threshold is not None:
        number(threshold, "accuracy(threshold)")
    X, y = checked(X, y, "accuracy", net)
    refuse_gaps(X, y)
    judge = judge_of(X, y, net, None, threshold)
    if judge is None:
        raise ValueError(f"accuracy needs classes as targets (indices for several outputs, 0/1 or -1/1 for one), found "
                         f"such as {y[0]!r}")
    share: float = sum(judge(numbers(net(x)), t) for x, t in zip(X, y)) / len(X)
    return share


def _refuse_no_network(net: Any, where: str) -> None:
    """Raise TypeError for what is given in the place of a network: data, or the class of a network."""
    if isinstance(net, type):
        raise TypeError(f"{where} needs a network, found the class {net.__name__}: make one of it, {net.__name__}(...)")
    if not callable(net) or not callable(getattr(net, "parameters", None)):
        raise TypeError(f"{where} needs a network, something with parameters() that can be called on a row, found "
                        f"{shown(net)}")
