"""Gradient steps: SGD, Adam, AdamW, and learning rates that change with time.

An optimizer reads p.grad and changes p.data of the parameters that it was given; it knows nothing of how they came
about. A step is taken whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Union

from .engine import Value
from .ops import number

Rate = Union[float, Callable[[int], float]]  # a learning rate, or a function of the number of steps taken so far


class Optimizer:
    """What the optimizers share: the parameters, the learning rate, and that a step is whole.

    params: the Values to change; may be left out and given by `fit`, which calls `attach`.
    """

    def __init__(self, params: Iterable[Value] | None, lr: Rate, weight_decay: float) -> None:
        if not callable(lr) and not 0.0 < number(lr, "the learning rate lr") < math.inf:
            raise ValueError(f"the learning rate lr is a number > 0 or a function of the step, found {lr!r}")
        _check("weight_decay", weight_decay, 0.0, math.inf)
        self.lr = lr
        self.weight_decay = weight_decay
        self.steps = 0
        self.params: list[Value] = []
        if params is not None:
            self.attach(params)

    def attach(self, params: Iterable[Value]) -> None:
        """Set the parameters, and start afresh."""
        if not isinstance(params, Iterable):
            raise TypeError(f"an optimizer changes Values, found {type(params).__name__} {params!r}; did you mean "
                            "params=net.parameters(), or lr=...?")
        self.params = list(params)
        for p in self.params:
            if not isinstance(p, Value):
                raise TypeError(f"an optimizer changes Values, found {type(p).__name__} {p!r}; did you mean "
                                "params=net.parameters()?")
        self.steps = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past of the parameters."""

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.params:
            p.grad = 0.0

    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.lr(self.steps) if callable(self.lr) else self.lr

    def step(self) -> None:
        """Change every parameter by one step.

        Raises FloatingPointError, and changes none, if a gradient is inf or nan; an interrupted step is undone.
        """
        if not self.params:
            raise ValueError(f"this optimizer has no parameters: {type(self).__name__}(net.parameters(), lr=...)")
        gradients = [p.grad for p in self.params]
        for p, g in zip(self.params, gradients):
            if not math.isfinite(g):
                raise FloatingPointError(f"the gradient of {p.label or 'a parameter'} is {g}: no parameter was "
                                         "changed; try a smaller learning rate")
        lr = self.rate()
        if not 0.0 <= lr < math.inf:
            raise FloatingPointError(f"the learning rate of step {self.steps} is {lr}: no parameter was changed")
        before = [p.data for p in self.params]
        after = self.update(before, gradients, lr)
        try:
            for p, x in zip(self.params, after):
                p.data = x
        except BaseException:  # an interrupt, say
            for p, x in zip(self.params, before):
                p.data = x
            raise
        self.steps += 1

    def update(self, before: list[float], gradients: list[float], lr: float) -> list[float]:
        """The numbers after a step from `before` along `gradients` at rate lr."""
        raise NotImplementedError


class SGD(Optimizer):
    """w ← w − lr · v with v = momentum · v + gradient; without momentum, the rule of the notes: w ← w − lr · gradient.

    momentum: in [0, 1). nesterov: look ahead, v is replaced by gradient + momentum · v. weight_decay: adds
    weight_decay · w to the gradient. (Sutskever et al. 2013.)
    """

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.01, momentum: float = 0.0,
                 nesterov: bool = False, weight_decay: float = 0.0) -> None:
        _check("momentum", momentum, 0.0, 1.0)
        if nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum > 0")
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocity: list[float] = []
        super().__init__(params, lr, weight_decay)

    def reset(self) -> None:
        self.velocity = [0.0] * len(self.params)

    def update(self, before: list[float], gradients: list[float], lr: float) -> list[float]:
        if self.weight_decay:
            gradients = [g + self.weight_decay * x for x, g in zip(before, gradients)]
        if self.momentum:
            self.velocity = [self.momentum * v + g for v, g in zip(self.velocity, gradients)]
            look_ahead = [g + self.momentum * v for v, g in zip(self.velocity, gradients)]
            gradients = look_ahead if self.nesterov else self.velocity
        return [x - lr * g for x, g in zip(before, gradients)]


class Adam(Optimizer):
    """Steps of about the same size lr for every parameter, whatever the scale of its gradient. (Kingma and Ba 2015.)

    betas: how fast the averages of the gradient and of its square forget, each in [0, 1). eps: added to the divisor.
    weight_decay: adds weight_decay · w to the gradient.
    """

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.001,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        for beta in betas:
            _check("betas", beta, 0.0, 1.0)
        _check("eps", eps, 0.0, math.inf)
        self.betas = betas
        self.eps = eps
        self.mean: list[float] = []
        self.square: list[float] = []
        super().__init__(params, lr, weight_decay)

    def reset(self) -> None:
        self.mean = [0.0] * len(self.params)
        self.square = [0.0] * len(self.params)

    def update(self, before: list[float], gradients: list[float], lr: float) -> list[float]:
        if self.weight_decay:
            before, gradients = self.decay(before, gradients, lr)
        b1, b2 = self.betas
        c1, c2 = 1 - b1 ** (self.steps + 1), 1 - b2 ** (self.steps + 1)
        self.mean = [b1 * m + (1 - b1) * g for m, g in zip(self.mean, gradients)]
        self.square = [b2 * s + (1 - b2) * g * g for s, g in zip(self.square, gradients)]
        return [x - lr * (m / c1) / (math.sqrt(s / c2) + self.eps) for x, m, s in zip(before, self.mean, self.square)]

    def decay(self, before: list[float], gradients: list[float], lr: float) -> tuple[list[float], list[float]]:
        """Weight decay as an L2 penalty: part of the gradient."""
        return before, [g + self.weight_decay * x for x, g in zip(before, gradients)]


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly, by lr · weight_decay · w. (Loshchilov and Hutter 2019.)"""

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.001,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def decay(self, before: list[float], gradients: list[float], lr: float) -> tuple[list[float], list[float]]:
        return [x - lr * self.weight_decay * x for x in before], gradients


# Learning rates as functions of the step: pass one as lr

def step_decay(lr: float, every: int, factor: float = 0.1) -> Callable[[int], float]:
    """lr, times `factor` after each `every` steps."""
    return lambda step: lr * factor ** (step // every)


def exponential_decay(lr: float, rate: float) -> Callable[[int], float]:
    """lr · e^(−rate · step)."""
    return lambda step: lr * math.exp(-rate * step)


def linear_decay(lr: float, steps: int, end: float = 0.0) -> Callable[[int], float]:
    """From lr straight down to `end` in `steps` steps, and `end` from there on."""
    return lambda step: lr + (end - lr) * min(step / steps, 1.0)


def cosine_decay(lr: float, steps: int, end: float = 0.0) -> Callable[[int], float]:
    """From lr down to `end` along half a cosine in `steps` steps, then `end`. (Loshchilov and Hutter 2017.)"""
    return lambda step: end + 0.5 * (lr - end) * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def warmup(steps: int, then: Rate) -> Callable[[int], float]:
    """From 0 straight up to `then` in `steps` steps; `then`, a rate or a function of the step, from there on."""
    return lambda step: (then(step) if callable(then) else then) * min((step + 1) / steps, 1.0)


def _check(name: str, x: float, low: float, high: float) -> None:
    if not low <= x < high:
        raise ValueError(f"{name} is in [{low:g}, {high:g}), found {x!r}")
