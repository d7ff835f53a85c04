"""Reasons why a gradient step was not taken: what is inf or nan, and whether it was so from the start."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..engine import Value


class StartError(FloatingPointError):
    """Something was inf or nan before the first step: no learning rate is to blame."""


def why_step_failed(loss: float, slopes: Iterable[tuple[Value, float]], rate: float, step: int) -> str:
    """Say why a gradient step was not taken."""
    advice = "try a smaller learning rate" if step else "micrograd.diagnose(loss) shows where it comes from"
    if not math.isfinite(loss):
        return f"the loss of step {step} is {loss}; {advice}"
    for p, slope in slopes:
        if not math.isfinite(slope):
            return f"the gradient of {_name(p)} is {slope} in step {step}: no parameter was changed; {advice}"
    return f"the learning rate of step {step} is {rate}: no parameter was changed"


Sum = Callable[[Sequence[int]], tuple[float, list[tuple[Value, float]]]]


def started(run: Iterator[list[float]], fresh: bool, parameters: Iterable[Value], rows: int,
            row: Callable[[int], Sequence[float]], total: Sum) -> Iterator[list[float]]:
    """A run of gradient steps whose FloatingPointError is a StartError if what it started with is to blame.

    fresh: whether no step was taken before, which may be to blame. parameters: also those that are not trained. row:
    the numbers of a row of the data. total: the loss over some rows, and its derivatives by the parameters.
    """
    before = {p: p.data for p in parameters}
    try:
        yield from run
    except FloatingPointError:
        why = why_it_cannot_start(before, rows, row, total) if fresh else ""
        if why:
            raise StartError(why) from None
        raise


def why_it_cannot_start(before: Mapping[Value, float], rows: int, row: Callable[[int], Sequence[float]],
                        total: Sum) -> str:
    """Find what was inf or nan already when the parameters had the numbers `before`, and say what to do; "" if nothing
    was."""
    for p, x in before.items():
        if not math.isfinite(x):
            return f"{_name(p)} is {x} before the first step: give the parameters finite numbers"

    def wrong(part: Sequence[int]) -> tuple[str, float] | None:
        loss, slopes = total(part)
        found = [("the loss of", loss), *[(f"the gradient of {_name(p)} in", slope) for p, slope in slopes]]
        return next(((what, x) for what, x in found if not math.isfinite(x)), None)

    now = [p.data for p in before]
    try:
        for p, x in before.items():
            p.data = x
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it is said here
            part = range(rows)
            while len(part) > 1 and wrong(part):
                half = len(part) // 2
                part = part[:half] if wrong(part[:half]) else part[half:]
            found = wrong(part) if len(part) == 1 else None
    finally:
        for p, x in zip(before, now):
            p.data = x
    if found is None:
        return ""
    numbers = row(part[0])
    for x in numbers:
        if not math.isfinite(x):
            return f"row {part[0]} holds {x}: leave the row out, or fill the gap"
    shown = ", ".join(f"{x:g}" for x in numbers[:SHOWN]) + (", ..." if len(numbers) > SHOWN else "")
    what, x = found
    return (f"{what} row {part[0]} ({shown}) is {x} before the first step, so that a smaller learning rate would not "
            "help: micrograd.diagnose of that row's loss shows where it comes from. Where a probability rounds to 0 or "
            "1, losses.binary_cross_entropy_from_logits or losses.cross_entropy takes the logit instead")


SHOWN = 6  # numbers of a row in a sentence


def _name(p: Value) -> str:
    return p.label or "a parameter"
