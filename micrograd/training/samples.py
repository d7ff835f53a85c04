"""The rows and targets that a network is trained on, checked; and whether its outputs name the right class, written
with rows, for numbers and for Values that are being compiled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import losses, ops
from ..arguments import as_float, counted, is_number
from ..compiler.program import TraceError
from ..data.dataset import is_refused, rows, targets
from ..engine import Value
from ..modules import Module
from ..nn import MLP, rows_for

Loss = Callable[[Any, Any], Value]  # of the outputs and a target
Judge = Callable[[Any, Any], Any]  # of a list of outputs and a target: 1 where they name its class, and 0 elsewhere


def checked(X: Any, y: Any, where: str, net: Module | None = None) -> tuple[list[Any], list[Any]]:
    """Rows and targets as lists; rows that the network takes, if there is one."""
    found = rows(f"{where}: X", X, anything=True) if net is None else rows_for(net, f"{where}: X", X)
    wanted = targets(f"{where}: y", y, anything=True)
    if len(found) != len(wanted) or not found:
        raise ValueError(f"{where} needs a target for each row, and at least one row; found "
                         f"{counted(len(found), 'row')} and {counted(len(wanted), 'target')}")
    return found, wanted


def refuse_gaps(X: Sequence[Any], y: Sequence[Any], where: str = "") -> None:
    """Raise if a target is not a number, or if inf or nan stands in a row or a target."""
    for i, (x, t) in enumerate(zip(X, y)):
        if is_refused(t) or (isinstance(t, (list, tuple)) and any(map(is_refused, t))):
            raise TypeError(f"{where}a target must be a number, found {t!r} in row {i}; give each class its index "
                            "0, 1, ...")
        refuse_gap(where, i, {"y": t, "X": x})


def refuse_gap(where: str, row: int, parts: Mapping[str, Any]) -> None:
    """Raise ValueError if inf or nan stands in a part of this row, which is a number or a list of them."""
    for name, xs in parts.items():
        several = isinstance(xs, (list, tuple))
        for j, x in enumerate(xs if several else [xs]):
            if is_number(x) and not math.isfinite(as_float(x)):
                place = f"row {row}, column {j}" if several else f"row {row}"
                raise ValueError(f"{where}{name} holds {as_float(x)} in {place}: leave the row out, or fill the gap")


def width(rows: Sequence[Any]) -> int | None:
    """The number of numbers in each row; None if it is a bare number. A TraceError if rows differ, or are not
    numbers."""
    if all(is_number(row) for row in rows):
        return None
    if any(isinstance(row, (Value, str, dict)) or not hasattr(row, "__len__") for row in rows):
        raise TraceError("the rows are not lists of numbers")
    widths = {len(row) for row in rows}
    if len(widths) > 1 or not all(is_number(x) for row in rows for x in row):
        raise TraceError("the rows are not lists of as many numbers each")
    return widths.pop()


# Outputs

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
