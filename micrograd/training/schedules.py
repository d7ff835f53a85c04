"""Learning rates that change with time, as functions of the number of steps taken so far: pass one as lr."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Union

from ..arguments import number

Rate = Union[float, Callable[[int], float]]  # a learning rate, or a function of the number of steps taken so far


def step_decay(lr: float, every: int, factor: float = 0.1) -> Callable[[int], float]:
    """A learning rate that is multiplied by `factor` after each `every` steps.

    Args:
        lr: the rate of the first step.
        every: a number of steps, > 0.
        factor: what it is multiplied by.

    Returns:
        A function of the number of steps taken so far, to be given as lr.

    Raises:
        ValueError: if every is not > 0.

    Example:
        >>> rate = micrograd.optim.step_decay(1.0, every=10, factor=0.5)
        >>> rate(9), rate(10), rate(20)
        (1.0, 0.5, 0.25)
    """
    _rates("step_decay", lr=lr, factor=factor)
    _length("step_decay(every)", every)
    return lambda step: lr * factor ** (step // every)


def exponential_decay(lr: float, rate: float) -> Callable[[int], float]:
    """The learning rate lr · e^(−rate · step).

    Args:
        lr: the rate of the first step.
        rate: how fast it falls.

    Returns:
        A function of the number of steps taken so far, to be given as lr.

    Example:
        >>> rate = micrograd.optim.exponential_decay(1.0, rate=0.5)
        >>> rate(0), rate(2) == micrograd.exp(-1.0)
        (1.0, True)
    """
    _rates("exponential_decay", lr=lr, rate=rate)
    return lambda step: lr * math.exp(-rate * step)


def linear_decay(lr: float, steps: int, end: float = 0.0) -> Callable[[int], float]:
    """A learning rate that falls on a straight line, and stays at its end.

    Args:
        lr: the rate of the first step.
        steps: how many it falls for, > 0.
        end: the rate from there on.

    Returns:
        A function of the number of steps taken so far, to be given as lr.

    Raises:
        ValueError: if steps is not > 0.

    Example:
        >>> rate = micrograd.optim.linear_decay(1.0, steps=100)
        >>> rate(0), rate(50), rate(200)
        (1.0, 0.5, 0.0)
    """
    _rates("linear_decay", lr=lr, end=end)
    _length("linear_decay(steps)", steps)
    return lambda step: lr + (end - lr) * min(step / steps, 1.0)


def cosine_decay(lr: float, steps: int, end: float = 0.0) -> Callable[[int], float]:
    """A learning rate that falls along half a cosine, and stays at its end. (Loshchilov and Hutter 2017.)

    Args:
        lr: the rate of the first step.
        steps: how many it falls for, > 0.
        end: the rate from there on.

    Returns:
        A function of the number of steps taken so far, to be given as lr.

    Raises:
        ValueError: if steps is not > 0.

    Example:
        >>> rate = micrograd.optim.cosine_decay(1.0, steps=100)
        >>> rate(0), round(rate(50), 9), rate(200)
        (1.0, 0.5, 0.0)
    """
    _rates("cosine_decay", lr=lr, end=end)
    _length("cosine_decay(steps)", steps)
    return lambda step: end + 0.5 * (lr - end) * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def warmup(steps: int, then: Rate) -> Callable[[int], float]:
    """A learning rate that rises from 0 on a straight line.

    Args:
        steps: how many it rises for, > 0.
        then: the rate from there on, or a function of the number of steps.

    Returns:
        A function of the number of steps taken so far, to be given as lr.

    Raises:
        ValueError: if steps is not > 0.

    Example:
        >>> rate = micrograd.optim.warmup(4, then=1.0)
        >>> rate(0), rate(1), rate(9)
        (0.25, 0.5, 1.0)
    """
    _length("warmup(steps)", steps)
    if not callable(then):
        _rates("warmup", then=then)
    return lambda step: (then(step) if callable(then) else then) * min((step + 1) / steps, 1.0)


def _rates(where: str, **given: Any) -> None:
    for name, x in given.items():
        number(x, f"{where}({name})")


def _length(where: str, steps: Any) -> None:
    if not number(steps, where) > 0.0:
        raise ValueError(f"{where} needs a number of steps > 0, found {steps!r}")
