"""The record of a run of training: the losses, epoch by epoch, and what else was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..arguments import counted, number, whole


class History(list[float]):
    """The mean loss after each epoch, as a list; and what else there is to say of a run of `fit`.

    Attributes:
        loss: the mean loss over the rows, a list of its own.
        accuracy: the share of right answers, in [0, 1]; empty for regression.
        validation_loss: the loss on rows that are not trained on; empty if there are none.
        validation_accuracy: the accuracy on these.
        stopped: why the run ended.
        ran: how: "native", "python" or "jax", by the compiled loss; or "eager", sample by sample, and why.
        best: with patience, the epoch, from 1, whose numbers the parameters have when the run is over; else None.

    Example:
        >>> net = micrograd.MLP(1, [1])
        >>> history = micrograd.fit(net, [[0.0], [1.0]], [1.0, 3.0], epochs=5)
        >>> history.epochs, len(history.loss), history.stopped
        (5, 5, 'all epochs done')
        >>> history[-1] == history.loss[-1] < history[0]
        True
    """

    CURVES = ("accuracy", "validation_loss", "validation_accuracy")  # besides the loss, which the list itself is
    __slots__ = (*CURVES, "stopped", "ran", "best")

    def __init__(self, loss: Iterable[float] = (), accuracy: Iterable[float] = (),
                 validation_loss: Iterable[float] = (), validation_accuracy: Iterable[float] = (), stopped: str = "",
                 ran: str = "", best: int | None = None) -> None:
        super().__init__(loss)
        self.accuracy = list(accuracy)
        self.validation_loss = list(validation_loss)
        self.validation_accuracy = list(validation_accuracy)
        self.stopped = stopped
        self.ran = ran
        self.best = best

    @property
    def loss(self) -> list[float]:
        """The mean loss over the rows after each epoch."""
        return list(self)

    @property
    def epochs(self) -> int:
        """The number of epochs that were finished."""
        return len(self)

    def last(self) -> dict[str, float]:
        """The newest entry of each list that has one."""
        return self._entries(-1)

    def kept(self) -> dict[str, float]:
        """The entries of the epoch whose numbers the network has: of the best one with patience, else of the last."""
        return self._entries(-1 if self.best is None else self.best - 1)

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known of the run, as plain JSON data by the names of the attributes."""
        return {name: getattr(self, name) for name in ("loss", *self.CURVES, "stopped", "ran", "best")}

    def curves(self) -> dict[str, list[float]]:
        """Everything else that was measured of each epoch, by name."""
        return {name: getattr(self, name) for name in self.CURVES if getattr(self, name)}

    def _entries(self, place: int) -> dict[str, float]:
        return {name: numbers[place] for name, numbers in {"loss": self, **self.curves()}.items() if numbers}

    def brief(self) -> str:
        """The newest numbers in a few words, for a progress bar: "loss 0.0267, accuracy 99.1%, validation 97.2%"."""
        if not self:
            return "no epoch was finished"
        words = [f"loss {self[-1]:.4g}"]
        if self.accuracy:
            words.append(f"accuracy {self.accuracy[-1]:.1%}")
        if self.validation_accuracy:
            words.append(f"validation {self.validation_accuracy[-1]:.1%}")
        elif self.validation_loss:
            words.append(f"validation {self.validation_loss[-1]:.4g}")
        return ", ".join(words)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, by every protocol, and for copy."""
        return type(self), (self.loss, *[getattr(self, name) for name in self.__slots__])

    def __repr__(self) -> str:
        return f"<History: {self}>"

    def __str__(self) -> str:
        numbers = ", ".join(f"{name.replace('_', ' ')} {x:.4g}" for name, x in self.kept().items())
        kept = "" if self.best is None else f"; epoch {self.best} kept"
        return f"{counted(self.epochs, 'epoch')} ({self.stopped}{kept}): {numbers or 'no epoch was finished'}"


class Criterion(partial[bool]):
    """A function for until= that looks at the history and changes nothing, so that `fit` need not see after each epoch
    whether the loss is still what was compiled."""


def converged(tolerance: float = 1e-4, patience: int = 5) -> Callable[[History], bool]:
    """For ``until=``: stop when the loss hardly falls any more.

    Args:
        tolerance: the share of the loss.
        patience: a number of epochs, 1 or more.

    Returns:
        A function of the history that is true once the loss has fallen by less than that share in each of that
        many epochs.

    Raises:
        ValueError: if patience is not a whole number, or < 1.

    Example:
        >>> until = micrograd.train.converged(tolerance=0.01, patience=2)
        >>> until(micrograd.History(loss=[1.0, 0.5, 0.4999, 0.4998]))
        True
    """
    number(tolerance, "converged(tolerance)")
    whole(patience, "converged(patience)", 1)

    @Criterion
    def until(history: History) -> bool:
        recent = history[-patience - 1:]
        return len(recent) > patience and all(
            before - after <= tolerance * math.fabs(before) for before, after in zip(recent, recent[1:]))
    return until
