"""The class that the outputs of a network name, and whether it is the right one.

It is written with rows, for numbers and for Values that are being compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import losses, ops
from ..arguments import is_number
from ..engine import Value
from ..nn import MLP

Loss = Callable[[Any, Any], Value]  # of the outputs and a target
Judge = Callable[[Any, Any], Any]  # of a list of outputs and a target: 1 where they name its class, and 0 elsewhere


def judge_of(X: Sequence[Any], y: Sequence[Any], net: Any, loss: Loss | None,
             threshold: float | None = None) -> Judge | None:
    """The judge of the outputs of a network; None where the targets are not classes."""
    outputs = net(X[0])
    if not isinstance(outputs, Value) and len(outputs) > 1:
        if all(is_number(t) for t in y):
            indices = all(t == int(t) and 0 <= t < len(outputs) for t in y)
            return (lambda out, t: same(largest(out), t)) if indices else None
        chosen = all(not is_number(t) and sorted(flat(t))[-2:] == [0.0, 1.0] for t in y)
        return (lambda out, t: same(largest(out), largest(t))) if chosen else None
    wanted = {flat(t)[0] for t in y}
    if wanted <= {-1.0, 1.0}:
        low, boundary = -1.0, 0.0
    elif wanted <= {0.0, 1.0}:
        low, boundary = 0.0, threshold if threshold is not None else boundary_of(net, loss)
    else:
        return None
    return lambda out, t: same(ops.step(out[0] - boundary),
                               ops.step((t if isinstance(t, Value) or is_number(t) else t[0]) - low))


def boundary_of(net: Any, loss: Loss | None) -> float:
    """The number at which an output changes from class 0 to class 1: 0.5 for a probability or a fitted number, 0 for a
    logit."""
    if loss in (losses.half_squared_error, losses.mean_squared_error, losses.binary_cross_entropy):
        return 0.5
    return 0.5 if isinstance(net, MLP) and net.layers[-1].neurons[0].activation == ops.sigmoid.name else 0.0


def same(a: Any, b: Any) -> Any:
    """1 where two numbers are equal, else 0."""
    return ops.where(a - b, 0.0, 1.0)


def largest(xs: Any) -> Any:
    """The index of the first of the largest numbers."""
    best, index = xs[0], 0.0
    for i, x in enumerate(xs):
        if i:
            more = ops.step(x - best)
            best, index = ops.where(more, x, best), ops.where(more, float(i), index)
    return index


def numbers(outputs: Any) -> list[float]:
    """The outputs of a network as a list of numbers."""
    return [float(out) for out in ([outputs] if isinstance(outputs, Value) else outputs)]


def flat(x: Any) -> list[float]:
    """A row or a target as a list of numbers."""
    return [float(x)] if isinstance(x, Value) or is_number(x) else [float(number) for number in x]
