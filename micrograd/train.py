"""Training: the algorithm of the notes, with a progress bar.

    initialise the weights; repeat for each (x, y): forward, error terms backward, update; until converged

One sample at a time (batch_size=1), minibatches, or the whole set at once: the gradient of a batch is the mean of the
gradients of its samples. Where the loss of a sample can be compiled, the same steps are taken by the compiled loss.
This module knows nothing of files or plots.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from . import arguments, losses, ops
from .arguments import as_float, is_number, shown, whole
from .compiler.api import Compiled, compile
from .compiler.program import TraceError
from .data.dataset import is_refused, rows, targets
from .engine import Value
from .modules import Module
from .nn import MLP, rows_for
from .optim import SGD, Optimizer, StartError, started, trouble
from .standardizer import Standardizer
from .training.progress import progress_bar

__all__ = ["fit", "History", "converged", "train_test_split", "accuracy"]

Loss = Callable[[Any, Any], Value]
Until = Union[float, Callable[["History"], bool], None]


@dataclass(slots=True, repr=False)
class History:
    """What happened in a run of `fit`: one entry an epoch in each list.

    Attributes:
        loss: the mean loss over the rows.
        accuracy: the share of right answers, in [0, 1]; empty for regression.
        validation_loss: the loss on rows that are not trained on; empty if there are none.
        validation_accuracy: the accuracy on these.
        stopped: why the run ended.
        ran: how: "native", "python" or "jax", by the compiled loss; or "eager", sample by sample, and why.
        best: with patience, the epoch, from 1, whose numbers the network has when the run is over; else None.

    Example:
        >>> net = micrograd.MLP(1, [1])
        >>> history = micrograd.fit(net, [[0.0], [1.0]], [1.0, 3.0], epochs=5)
        >>> history.epochs, len(history.loss), history.stopped
        (5, 5, 'all epochs done')
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    stopped: str = ""
    ran: str = ""
    best: int | None = None

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.loss)

    def last(self) -> dict[str, float]:
        """The newest entry of each list that has one."""
        return self._entries(-1)

    def kept(self) -> dict[str, float]:
        """The entries of the epoch whose numbers the network has: of the best one with patience, else of the last."""
        return self._entries(-1 if self.best is None else self.best - 1)

    def _entries(self, place: int) -> dict[str, float]:
        columns = ("loss", "accuracy", "validation_loss", "validation_accuracy")
        return {name: getattr(self, name)[place] for name in columns if getattr(self, name)}

    def brief(self) -> str:
        """The newest numbers in a few words, for a progress bar: "loss 0.0267, accuracy 99.1%, validation 97.2%"."""
        last = self.last()
        words = [f"loss {last['loss']:.4g}"]
        if self.accuracy:
            words.append(f"accuracy {last['accuracy']:.1%}")
        if self.validation_accuracy:
            words.append(f"validation {last['validation_accuracy']:.1%}")
        elif self.validation_loss:
            words.append(f"validation {last['validation_loss']:.4g}")
        return ", ".join(words)

    def __repr__(self) -> str:
        return f"<History: {self}>"

    def __str__(self) -> str:
        numbers = ", ".join(f"{name.replace('_', ' ')} {x:.4g}" for name, x in self.kept().items())
        kept = "" if self.best is None else f"; epoch {self.best} kept"
        return f"{self.epochs} epochs ({self.stopped}{kept}): {numbers or 'no epoch was finished'}"


def fit(net: Module, X: Any, y: Any, *, loss: Loss = losses.half_squared_error,
        optimizer: Optimizer | None = None, epochs: int = 100, batch_size: int | None = None, until: Until = None,
        validation: tuple[Any, Any] | float | None = None, patience: int | None = None,
        standardize: bool = False, penalty: Callable[[list[Value]], Value] | None = None, shuffle: bool = True,
        seed: int | None = None, progress: bool | None = None, callback: Callable[[History], None] | None = None,
        backend: str = "auto", devices: Any = None) -> History:
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
        loss: of one sample, loss(outputs, target): a function of `micrograd.losses` or your own.
        optimizer: by default SGD(lr=0.1); one without parameters gets the network's.
        epochs: how often every sample is seen, at the most.
        batch_size: samples per gradient step; None for all of them, 1 for one at a time.
        until: stop after the first epoch whose mean loss is at most this number, or after which this function of the
            history is true, such as `converged()`.
        validation: rows and targets that are not trained on, or the share of X (in (0, 1)) to hold out for it.
        patience: keep the best epoch, and stop when none of so many epochs after it was better. The best one has the
            lowest validation loss (which is without the penalty), and `history.best` names it; the network has its
            numbers when the run is over, however that ends, and the optimizer what it remembers of the last epoch.
            Without validation, a fifth of X is held out.
        standardize: scale every column of X, which an MLP then does by itself (`net.scaler`) and saves.
        penalty: added to each batch's loss, a function of the parameters.
        shuffle: visit the samples in another order in each epoch.
        seed: of that order, and of what is held out; the same seed gives the same run.
        progress: a tqdm bar; by default in a terminal or a notebook, if tqdm is installed.
        callback: called with the history after each epoch.
        backend: "auto" compiles the loss (see `micrograd.compile`) where it can be and where that pays, and takes the
            same steps faster, equal but for rounding; "native", "python" or "jax" insist on it, and "eager" trains
            sample by sample. `History.ran` says which it was.
        devices: of JAX, how many or which ones share the rows, as in `compile`.

    Returns:
        The `History` of the run.

    Raises:
        ValueError: for data that do not fit together, inf or nan in them, or a number that is out of range.
        TypeError: for arguments of the wrong kind, and what is no number in the data.
        TraceError: where a backend is insisted on, and the loss cannot be compiled.

    Example:
        >>> net = micrograd.MLP(1, [1], rng=1)
        >>> history = micrograd.fit(net, [[0.0], [1.0]], [1.0, 3.0], epochs=999, until=1e-6)
        >>> history.stopped, round(net([2.0]).data, 2)
        ('converged', 5.0)
    """
    _refuse_no_network(net, "fit(net, X, y)")
    if not callable(loss):
        raise TypeError(f"loss is a function such as micrograd.losses.cross_entropy, found {loss!r}")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer is an object such as micrograd.Adam(lr=0.01), found {optimizer!r}")
    if until is converged:  # type: ignore[comparison-overlap]
        raise TypeError("until=converged() with parentheses: converged makes the function that fit asks")
    if until is not None and not callable(until) and not is_number(until):
        raise TypeError(f"until is a number, the loss to stop at, or a function of the history, found {until!r}")
    for name, function in (("penalty", penalty), ("callback", callback)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} is a function, found {function!r}")
    pair = validation if isinstance(validation, (tuple, list)) and len(validation) == 2 else None
    share = as_float(validation) if is_number(validation) else None
    if validation is not None and pair is None and (share is None or not 0.0 < share < 1.0):
        raise (ValueError if share is not None else TypeError)(
            f"validation is a share in (0, 1), or a pair (rows, targets), found {shown(validation)}")
    if patience is not None:
        patience = whole(patience, "fit(patience)", 1)
    if backend not in ("auto", "eager", "native", "python", "jax"):
        raise ValueError(f"backend is auto, eager, native, python or jax; found {backend!r}")
    if devices is not None and backend != "jax":
        raise ValueError("devices are of JAX: give backend='jax' with them")
    epochs = whole(epochs, "fit(epochs)", 0)
    X, y = _checked(X, y, "fit", net)
    rng = random.Random(arguments.seed(seed, "fit(seed)"))
    if patience is not None and validation is None:
        share = HELD_OUT
    if share is not None:
        if len(X) < 2:
            raise ValueError("fit needs two rows at least to hold one out, found one; give others as validation=(rows, "
                             "targets)")
        X, held_X, y, held_y = train_test_split(X, y, test=share, seed=rng.random())
    else:
        held_X, held_y = ([], []) if pair is None else _checked(*pair, "validation", net)
    size = len(X) if batch_size is None else whole(batch_size, "fit(batch_size)", 1)
    if standardize and not isinstance(net, MLP):
        raise TypeError(f"standardize=True needs an MLP, which keeps its scaler; found a {type(net).__name__}")
    _refuse_gaps(X, y)
    _refuse_gaps(held_X, held_y, "validation: ")
    parameters = net.parameters()
    optimizer = optimizer if optimizer is not None else SGD(lr=0.1)
    if not optimizer.params:
        optimizer.attach(parameters)
    elif not set(optimizer.params) <= set(parameters):
        raise ValueError("the optimizer has the parameters of another network: make a new one, or call "
                         "optimizer.attach(net.parameters())")
    judge = _judge(X, y, net, loss)
    if standardize and isinstance(net, MLP):
        net.scaler = Standardizer.of(X)
    history = History()
    order = list(range(len(X)))
    shuffler = rng if shuffle else None
    sums: Compiled | None = None
    data: Sequence[Any] = (X, y)
    why = "not asked for"
    if backend == "auto" and epochs * len(X) < WORTHWHILE:
        why = "compiling would not pay for so few samples"
    elif backend != "eager":
        sums, data, why = _compiled(net, loss, penalty, judge, X, y, optimizer.params, backend, devices)
    held: Callable[..., list[float]] = _eager_means(net, loss, judge)
    held_data: Sequence[Any] = (held_X, held_y)
    if sums is not None and held_X:
        means, found, _ = _compiled(net, loss, None, judge, held_X, held_y, optimizer.params, backend, devices)
        held, held_data = (held, held_data) if means is None else (means.value, found)
    history.ran = f"eager: {why}" if sums is None else sums.backend
    lowest = math.inf
    kept: tuple[int | None, list[tuple[Value, float]]] = (None, [])  # the best epoch, and the numbers after it
    # Who is asked may change what the loss depends on.
    asked = callback is not None or (callable(until) and not isinstance(until, Criterion))
    bar = progress_bar(epochs, progress)
    try:
        while history.epochs < epochs and not history.stopped:
            left = epochs - history.epochs
            if sums is None:
                run = _eager_epochs(net, X, y, loss, optimizer, left, size, penalty, judge, shuffler, order)
            else:
                run = sums.epochs(*data, optimizer=optimizer, epochs=left, batch_size=size, order=shuffler, seen=order,
                                  stretch=not held_X and until is None and callback is None)
            for numbers in run:
                history.loss.append(numbers[0])
                history.accuracy += numbers[1:]
                if held_X:
                    cost, *right = held(*held_data)
                    history.validation_loss.append(cost)
                    history.validation_accuracy += right
                    if patience is not None and cost < lowest:
                        lowest, kept = cost, (history.epochs, [(p, p.data) for p in net.parameters()])
                        history.best = history.epochs
                bar.set_postfix_str(history.brief(), refresh=False)
                bar.update()
                if callback is not None:
                    callback(history)
                if until is not None and (until(history) is True if callable(until) else history.loss[-1] <= until):
                    history.stopped = "converged"
                    break
                if patience is not None and history.epochs - (history.best or 0) >= patience:
                    never = "" if history.best else ": the validation loss was never finite"
                    history.stopped = f"no better for {patience} epoch{'s' * (patience > 1)}{never}"
                    break
                if asked and not set(optimizer.params) <= set(net.parameters()):
                    raise ValueError("the callback has put other Values in the place of parameters that the optimizer "
                                     "trains: set the .data of those that are there, or call fit again")
                if asked and sums is not None and not sums.holds():
                    history.ran = f"{sums.backend}, then eager: the loss has changed after epoch {history.epochs}"
                    sums, held, held_data = None, _eager_means(net, loss, judge), (held_X, held_y)
                    break
        history.stopped = history.stopped or "all epochs done"
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    except StartError as error:
        history.stopped = str(error)
    except FloatingPointError as error:
        history.stopped = f"diverged: {error}"
    finally:
        bar.close()
        history.best, best_numbers = kept
        for p, x in best_numbers:
            p.data = x
    return history


HELD_OUT = 0.2     # the share of the rows to stop by, where none is given
WORTHWHILE = 1000  # samples to be seen in a run, from where on it is worth to compile the loss
Judge = Callable[[Any, Any], Any]


def _eager_epochs(net: Module, X: Sequence[Any], y: Sequence[Any], loss: Loss, optimizer: Optimizer, epochs: int,
                  size: int, penalty: Callable[[list[Value]], Value] | None, judge: Judge | None,
                  rng: random.Random | None, order: list[int]) -> Iterator[list[float]]:
    """Train for so many epochs, sample by sample; yield the mean loss, and the share of right answers if there is a
    judge, after each. order: the rows, which are shuffled."""
    parameters = net.parameters()

    def total(rows: Sequence[int]) -> tuple[float, float]:
        """The loss over these rows, and how many of the answers are right; the gradient is left in the parameters."""
        cost, right = 0.0, 0.0
        for p in parameters:
            p.grad = 0.0
        for i in rows:
            outputs = net(X[i])
            one = loss(outputs, y[i])
            one.backward(1.0 / len(rows))
            cost += one.data
            right += judge(_numbers(outputs), y[i]) if judge is not None else 0.0
        if penalty is not None:
            extra = penalty(parameters)
            extra.backward()
            cost += extra.data * len(rows)
        return cost, right

    def steps() -> Iterator[list[float]]:
        for _ in range(epochs):
            if rng is not None:
                rng.shuffle(order)
            cost, right = 0.0, 0.0
            for start in range(0, len(order), size):
                more, as_many = total(order[start:start + size])
                cost, right = cost + more, right + as_many
                if not math.isfinite(more):
                    raise FloatingPointError(trouble(more, (), 0.0, optimizer.steps))
                optimizer.step()
            yield [cost / len(order)] if judge is None else [cost / len(order), right / len(order)]

    def sloped(rows: Sequence[int]) -> tuple[float, list[tuple[Value, float]]]:
        before = [p.grad for p in parameters]
        cost, _ = total(rows)
        slopes = [(p, p.grad) for p in optimizer.params]
        for p, slope in zip(parameters, before):
            p.grad = slope
        return cost, slopes

    return started(steps(), optimizer, parameters, len(order), lambda i: _flat(X[i]) + _flat(y[i]), sloped)


def _eager_means(net: Module, loss: Loss, judge: Judge | None) -> Callable[..., list[float]]:
    """The function of rows and targets that gives the mean loss, and the share of right answers if there is a judge."""
    def means(X: Sequence[Any], y: Sequence[Any]) -> list[float]:
        outputs = [net(x) for x in X]
        costs = math.fsum(float(loss(out, t)) for out, t in zip(outputs, y)) / len(X)
        if judge is None:
            return [costs]
        return [costs, sum(judge(_numbers(out), t) for out, t in zip(outputs, y)) / len(X)]
    return means


def _compiled(net: Module, loss: Loss, penalty: Callable[[list[Value]], Value] | None, judge: Judge | None,
              X: Sequence[Any], y: Sequence[Any], trained: list[Value],
              backend: str, devices: Any) -> tuple[Compiled | None, Sequence[Any], str]:
    """The loss of a sample, and whether the answer is right if there is a judge, compiled and verified, and the data
    for it; or None, the data, and why not."""
    parameters = net.parameters()

    def sample(x: Any, t: Any) -> list[Any]:
        outputs = net(x)
        cost = loss(outputs, t)
        if penalty is not None:
            cost = cost + penalty(parameters)
        return [cost] if judge is None else [cost, judge(outputs if isinstance(outputs, list) else [outputs], t)]

    tried = list({repr(t): i for i, t in enumerate(y)}.values())[:MOST_TARGETS]
    rows, targets = [X[i] for i in tried], [y[i] for i in tried]
    costs = [float(loss(net(x), t)) for x, t in zip(rows, targets)]  # refuses a target that is none
    try:
        step = compile(sample, inputs=[_width(X), _width(y)], params=trained, backend=backend,
                       devices=devices)
        extra = 0.0 if penalty is None else float(penalty(parameters))
        replayed = step.map(rows, targets)
        for cost, found, t in zip(costs, replayed[0], targets):
            if not math.isclose(cost + extra, found, rel_tol=1e-9, abs_tol=1e-12) and not cost != cost:
                raise TraceError(f"for the target {t!r} the loss is {cost + extra}, and {found} compiled: it does "
                                 "something with the bare target, such as looking it up in a dictionary")
        return step, step.columns(X, y), ""
    except Exception as error:  # from the network or the loss, on Values that it cannot look into
        if backend != "auto":
            raise
        return None, (X, y), " ".join(f"{type(error).__name__}: {error}".split())


MOST_TARGETS = 50  # that a loss is tried on, before it is compiled


def _width(rows: Sequence[Any]) -> int | None:
    """How many numbers are in each row; None if it is a bare number. A TraceError if rows differ, or are not
    numbers."""
    if all(is_number(row) for row in rows):
        return None
    if any(isinstance(row, (Value, str, dict)) or not hasattr(row, "__len__") for row in rows):
        raise TraceError("the rows are not lists of numbers")
    widths = {len(row) for row in rows}
    if len(widths) > 1 or not all(is_number(x) for row in rows for x in row):
        raise TraceError("the rows are not lists of as many numbers each")
    return widths.pop()


class Criterion:
    """A function for until= that looks at the history and changes nothing, so that `fit` need not see after each epoch
    whether the loss is still what was compiled."""

    def __init__(self, function: Callable[[History], bool]) -> None:
        self.function = function

    def __call__(self, history: History) -> bool:
        return self.function(history)


def converged(tolerance: float = 1e-4, patience: int = 5) -> Callable[[History], bool]:
    """For ``until=``: stop when the loss hardly falls any more.

    Args:
        tolerance: the share of the loss.
        patience: a number of epochs, 1 or more.

    Returns:
        A function of the history that is true once the loss has fallen by less than that share in each of so many
        epochs.

    Raises:
        ValueError: if patience is no whole number, or < 1.

    Example:
        >>> until = micrograd.train.converged(tolerance=0.01, patience=2)
        >>> until(micrograd.History(loss=[1.0, 0.5, 0.4999, 0.4998]))
        True
    """
    arguments.number(tolerance, "converged(tolerance)")
    whole(patience, "converged(patience)", 1)

    @Criterion
    def until(history: History) -> bool:
        recent = history.loss[-patience - 1:]
        return len(recent) > patience and all(
            before - after <= tolerance * math.fabs(before) for before, after in zip(recent, recent[1:]))
    return until


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
            for found in _checked(X, y, "train_test_split"))
    if not 0.0 < arguments.number(test, "train_test_split(test)") < 1.0:
        raise ValueError(f"test is the share of the rows to hold out, in (0, 1), found {test!r}")
    if len(X) < 2:
        raise ValueError("train_test_split needs two rows at least, found one")
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
        ValueError: for targets that are no classes, and data that do not fit together.
        TypeError: for arguments of the wrong kind.

    Example:
        >>> net = micrograd.MLP(1, [1], init=lambda nin, nout, rng: 1.0)
        >>> micrograd.accuracy(net, [[-2.0], [-1.0], [3.0], [4.0]], [-1, 1, 1, 1])
        0.75
    """
    _refuse_no_network(net, "accuracy(net, X, y)")
    if threshold is not None:
        arguments.number(threshold, "accuracy(threshold)")
    X, y = _checked(X, y, "accuracy", net)
    _refuse_gaps(X, y)
    judge = _judge(X, y, net, None, threshold)
    if judge is None:
        raise ValueError(f"accuracy needs classes as targets (indices for several outputs, 0/1 or -1/1 for one), found "
                         f"such as {y[0]!r}")
    share: float = sum(judge(_numbers(net(x)), t) for x, t in zip(X, y)) / len(X)
    return share


def _refuse_no_network(net: Any, where: str) -> None:
    """Raise TypeError for what is given in the place of a network: data, or the class of a network."""
    if isinstance(net, type):
        raise TypeError(f"{where} needs a network, found the class {net.__name__}: make one of it, {net.__name__}(...)")
    if not callable(net) or not callable(getattr(net, "parameters", None)):
        raise TypeError(f"{where} needs a network, something with parameters() that can be called on a row, found "
                        f"{shown(net)}")


def _judge(X: Sequence[Any], y: Sequence[Any], net: Any, loss: Loss | None,
           threshold: float | None = None) -> Judge | None:
    """A function of a list of outputs and a target that is 1 where they name its class, and 0 elsewhere; None where the
    targets are no classes. It is written with rows, for numbers and for Values that are being compiled."""
    outputs = net(X[0])
    if not isinstance(outputs, Value) and len(outputs) > 1:
        if all(is_number(t) for t in y):
            indices = all(t == int(t) and 0 <= t < len(outputs) for t in y)
            return (lambda out, t: _same(_largest(out), t)) if indices else None
        chosen = all(not is_number(t) and sorted(_flat(t))[-2:] == [0.0, 1.0] for t in y)
        return (lambda out, t: _same(_largest(out), _largest(t))) if chosen else None
    wanted = {_flat(t)[0] for t in y}
    if wanted <= {-1.0, 1.0}:
        low, middle = -1.0, 0.0
    elif wanted <= {0.0, 1.0}:
        low, middle = 0.0, threshold if threshold is not None else _middle(net, loss)
    else:
        return None
    return lambda out, t: _same(ops.step(out[0] - middle),
                                ops.step((t if isinstance(t, Value) or is_number(t) else t[0]) - low))


def _middle(net: Any, loss: Loss | None) -> float:
    """Where an output changes from class 0 to class 1: 0.5 for a probability or a fitted number, 0 for a logit."""
    if loss in (losses.half_squared_error, losses.mean_squared_error, losses.binary_cross_entropy):
        return 0.5
    return 0.5 if isinstance(net, MLP) and net.layers[-1].neurons[0].activation == "sigmoid" else 0.0


def _same(a: Any, b: Any) -> Any:
    """1 where two numbers are equal, else 0."""
    return ops.where(a - b, 0.0, 1.0)


def _largest(xs: Any) -> Any:
    """The index of the first of the largest numbers."""
    best, index = xs[0], 0.0
    for i, x in enumerate(xs):
        if i:
            more = ops.step(x - best)
            best, index = ops.where(more, x, best), ops.where(more, float(i), index)
    return index


def _numbers(outputs: Any) -> list[float]:
    """What a network returned, as a list of numbers."""
    return [float(out) for out in ([outputs] if isinstance(outputs, Value) else outputs)]


def _flat(x: Any) -> list[float]:
    """A row or a target as a list of numbers."""
    return [float(x)] if isinstance(x, Value) or is_number(x) else [float(number) for number in x]


def _checked(X: Any, y: Any, where: str, net: Module | None = None) -> tuple[list[Any], list[Any]]:
    """Rows and targets as lists; rows that the network takes, if there is one."""
    found = rows(f"{where}: X", X, anything=True) if net is None else rows_for(net, f"{where}: X", X)
    wanted = targets(f"{where}: y", y, anything=True)
    if len(found) != len(wanted) or not found:
        raise ValueError(f"{where} needs a target for each row, and one row at least; found {len(found)} rows and "
                         f"{len(wanted)} targets")
    return found, wanted


def _refuse_gaps(X: Sequence[Any], y: Sequence[Any], where: str = "") -> None:
    """Raise if a target is no number, or if inf or nan stands in a row or a target."""
    for i, t in enumerate(y):
        if is_refused(t) or (isinstance(t, (list, tuple)) and any(map(is_refused, t))):
            raise TypeError(f"{where}a target is a number, found {t!r} in row {i}; give each class its index 0, 1, ...")
        for letter, xs in (("y", t), ("X", X[i])):
            for j, x in enumerate(xs if isinstance(xs, (list, tuple)) else [xs]):
                if is_number(x) and not math.isfinite(as_float(x)):
                    place = f"row {i}, column {j}" if isinstance(xs, (list, tuple)) else f"row {i}"
                    raise ValueError(f"{where}{letter} holds {as_float(x)} in {place}: leave the row out, or fill the "
                                     "gap")
