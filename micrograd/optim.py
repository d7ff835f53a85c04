"""Gradient steps: SGD, Adam, AdamW, and learning rates that change with time.

An optimizer reads p.grad and changes p.data of the parameters that it was given; it knows nothing of how they came
about. A step is taken whole or not at all. How one parameter moves is said once, by `rule`, for floats and for whole
arrays of NumPy or JAX alike.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

from .engine import Value
from .ops import as_float, many, number

Rate = Union[float, Callable[[int], float]]  # a learning rate, or a function of the number of steps taken so far
Rule = Callable[..., tuple[Any, ...]]  # (x, gradient, *memory) → (x after the step, *memory after it)


class Optimizer:
    """What the optimizers share: the parameters, the learning rate, and that a step is whole.

    params: the Values to change; may be left out and given by `fit`, which calls `attach`.

    A class of your own states its `rule`, and names in `remembers` what it keeps of each parameter. One that needs to
    see all the numbers at once overrides `update` instead; its steps are taken in Python.
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

    @property
    def remembers(self) -> tuple[str, ...]:
        """What is kept of each parameter from step to step: names of attributes, lists of a number for each."""
        return ()

    def reset(self) -> None:
        """Forget the past of the parameters."""
        for name in self.remembers:
            setattr(self, name, [0.0] * len(self.params))

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
        lr = self.rate()
        if not all(map(math.isfinite, gradients)) or not 0.0 <= lr < math.inf:
            raise FloatingPointError(trouble(0.0, zip(self.params, gradients), lr, self.steps))
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
        """The numbers after a step from `before` along `gradients` at rate lr: the rule, parameter by parameter."""
        names = self.remembers
        after = list(map(self.rule(lr, self.steps), before, gradients, *[getattr(self, name) for name in names]))
        self.check_moved(after[0])
        for i, name in enumerate(names, start=1):
            setattr(self, name, [numbers[i] for numbers in after])
        return [numbers[0] for numbers in after]

    def rule(self, lr: Any, step: Any, sqrt: Callable[[Any], Any] = math.sqrt) -> Rule:
        """How one parameter moves, as a function (x, gradient, *memory) → (x, *memory), where the memory has a number
        for each name of `remembers`, 0 before the first step.

        The numbers are floats, or arrays of one shape for as many parameters, with the sqrt of their library. lr: the
        rate of this step. step: how many were taken before. Both may be numbers that JAX traces.
        """
        raise NotImplementedError(f"{type(self).__name__} states no step: give it a rule(lr, step, sqrt) or an "
                                  "update(before, gradients, lr)")

    def check_moved(self, found: Any) -> None:
        """Raise ValueError for what a rule gave, where it is not the parameter and all that is remembered of it."""
        names = ("x", *self.remembers)
        if not isinstance(found, (tuple, list)) or len(found) != len(names):
            shown = len(found) if isinstance(found, (tuple, list)) else type(found).__name__
            raise ValueError(f"the rule of {type(self).__name__} is to give a tuple of {len(names)} a parameter: "
                             f"{', '.join(names)}; found {shown}")

    def decay(self, x: Any, g: Any, lr: Any) -> tuple[Any, Any]:
        """Weight decay of one parameter, as an L2 penalty: part of the gradient."""
        return x, g + self.weight_decay * x

    # For checkpoints

    def settings(self) -> dict[str, Any]:
        """What was chosen, as plain JSON data, so that two optimizers can be told apart; lr is None where it is a
        function."""
        return {"optimizer": type(self).__name__, "lr": None if callable(self.lr) else as_float(self.lr),
                "weight_decay": as_float(self.weight_decay)}

    def state_dict(self) -> dict[str, list[float]]:
        """What is kept of the parameters, a list for each name of `remembers`. With `steps` it is all that the next
        step depends on, besides settings.

        Raises TypeError for a class that overrides `update` and does not say what it remembers.
        """
        if type(self).update is not Optimizer.update and type(self).remembers is Optimizer.remembers:
            raise TypeError(f"{type(self).__name__} does not say what it keeps from step to step: name the "
                            'lists in it, remembers = ("velocity",), or remembers = () if there are none')
        return {name: list(getattr(self, name)) for name in self.remembers}

    def load_state_dict(self, state: Mapping[str, Sequence[float]], steps: int) -> None:
        """Go on where an optimizer of the same settings was after so many steps; raises ValueError, and changes
        nothing, if the names or lengths are not those of this one, and TypeError for what is no number."""
        names = self.remembers
        if sorted(state) != sorted(names):
            raise ValueError(f"{type(self).__name__} remembers {_some(names)}, found {_some(state)}: it is the state "
                             "of another optimizer")
        for name in names:
            if len(state[name]) != len(self.params):
                raise ValueError(f"this optimizer has {len(self.params)} parameters, found {len(state[name])} numbers "
                                 f"in {name!r}: attach the parameters first, or it is the state of others")
        if not isinstance(steps, int) or steps < 0:
            raise ValueError(f"steps is a whole number >= 0, found {steps!r}")
        memory = {name: [number(x, f"{name!r}, item {i},") for i, x in enumerate(state[name])] for name in names}
        for name, numbers in memory.items():
            setattr(self, name, numbers)
        self.steps = steps


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

    @property
    def remembers(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def reset(self) -> None:
        self.velocity = [0.0] * len(self.params)  # without momentum, too: it may be set later

    def rule(self, lr: Any, step: Any, sqrt: Callable[[Any], Any] = math.sqrt) -> Rule:
        momentum = self.momentum

        def move(x: Any, g: Any, *velocity: Any) -> tuple[Any, ...]:
            if self.weight_decay:
                x, g = self.decay(x, g, lr)
            if not velocity:
                return (x - lr * g,)
            v = momentum * velocity[0] + g
            return x - lr * (g + momentum * v if self.nesterov else v), v

        return move

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "momentum": as_float(self.momentum), "nesterov": bool(self.nesterov)}


class Adam(Optimizer):
    """Steps of about the same size lr for every parameter, whatever the scale of its gradient. (Kingma and Ba 2015.)

    betas: how fast the averages of the gradient and of its square forget, each in [0, 1). eps: added to the divisor.
    weight_decay: adds weight_decay · w to the gradient.
    """

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.001,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        for beta in many(betas, "betas", "a pair of numbers such as (0.9, 0.999)"):
            _check("betas", beta, 0.0, 1.0)
        if len(betas) != 2:
            raise ValueError(f"betas is a pair of numbers such as (0.9, 0.999), found {betas!r}")
        _check("eps", eps, 0.0, math.inf)
        self.betas = betas
        self.eps = eps
        self.mean: list[float] = []
        self.square: list[float] = []
        super().__init__(params, lr, weight_decay)

    @property
    def remembers(self) -> tuple[str, ...]:
        return "mean", "square"

    def rule(self, lr: Any, step: Any, sqrt: Callable[[Any], Any] = math.sqrt) -> Rule:
        (b1, b2), eps = self.betas, self.eps
        c1, c2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)

        def move(x: Any, g: Any, mean: Any, square: Any) -> tuple[Any, ...]:
            if self.weight_decay:
                x, g = self.decay(x, g, lr)
            mean = b1 * mean + (1 - b1) * g
            square = b2 * square + (1 - b2) * g * g
            return x - lr * (mean / c1) / (sqrt(square / c2) + eps), mean, square

        return move

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "betas": [as_float(beta) for beta in self.betas], "eps": as_float(self.eps)}


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly, by lr · weight_decay · w. (Loshchilov and Hutter 2019.)"""

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.001,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def decay(self, x: Any, g: Any, lr: Any) -> tuple[Any, Any]:
        """Weight decay of one parameter, which shrinks by itself and leaves the gradient alone."""
        return x - lr * self.weight_decay * x, g


class StartError(FloatingPointError):
    """What is inf or nan was so before the first step: no learning rate is to blame."""


def trouble(loss: float, slopes: Iterable[tuple[Value, float]], rate: float, step: int) -> str:
    """Why a gradient step was not taken."""
    advice = "try a smaller learning rate" if step else "micrograd.diagnose(loss) shows where it comes from"
    if not math.isfinite(loss):
        return f"the loss of step {step} is {loss}; {advice}"
    for p, slope in slopes:
        if not math.isfinite(slope):
            return f"the gradient of {_name(p)} is {slope} in step {step}: no parameter was changed; {advice}"
    return f"the learning rate of step {step} is {rate}: no parameter was changed"


Sum = Callable[[Sequence[int]], tuple[float, list[tuple[Value, float]]]]


def started(run: Iterator[list[float]], optimizer: Optimizer, others: Iterable[Value], rows: int,
            row: Callable[[int], Sequence[float]], total: Sum) -> Iterator[list[float]]:
    """A run of gradient steps whose FloatingPointError is a StartError if what it started with is to blame.

    others: parameters that are not trained. row: the numbers of a row of the data. total: the loss over some rows, and
    its derivatives by the parameters.
    """
    before = {p: p.data for p in [*optimizer.params, *others]}
    fresh = not optimizer.steps  # else earlier steps may be to blame
    try:
        yield from run
    except FloatingPointError:
        why = trouble_at_start(before, rows, row, total) if fresh else ""
        if why:
            raise StartError(why) from None
        raise


def trouble_at_start(before: Mapping[Value, float], rows: int, row: Callable[[int], Sequence[float]],
                     total: Sum) -> str:
    """What was inf or nan already when the parameters had the numbers `before`, and what to do; "" if nothing was."""
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
    shown = ", ".join(f"{x:g}" for x in numbers[:SHOWN]) + ", ..." * (len(numbers) > SHOWN)
    what, x = found
    return (f"{what} row {part[0]} ({shown}) is {x} before the first step, so that a smaller learning rate would not "
            "help: micrograd.diagnose of that row's loss shows where it comes from. Where a probability rounds to 0 or "
            "1, losses.binary_cross_entropy_from_logits or losses.cross_entropy takes the logit instead")


SHOWN = 6  # numbers of a row in a sentence


def _name(p: Value) -> str:
    return p.label or "a parameter"


# Learning rates as functions of the step: pass one as lr

def step_decay(lr: float, every: int, factor: float = 0.1) -> Callable[[int], float]:
    """lr, times `factor` after each `every` steps."""
    _rates("step_decay", lr=lr, factor=factor)
    _length("step_decay(every)", every)
    return lambda step: lr * factor ** (step // every)


def exponential_decay(lr: float, rate: float) -> Callable[[int], float]:
    """lr · e^(−rate · step)."""
    _rates("exponential_decay", lr=lr, rate=rate)
    return lambda step: lr * math.exp(-rate * step)


def linear_decay(lr: float, steps: int, end: float = 0.0) -> Callable[[int], float]:
    """From lr straight down to `end` in `steps` steps, and `end` from there on."""
    _rates("linear_decay", lr=lr, end=end)
    _length("linear_decay(steps)", steps)
    return lambda step: lr + (end - lr) * min(step / steps, 1.0)


def cosine_decay(lr: float, steps: int, end: float = 0.0) -> Callable[[int], float]:
    """From lr down to `end` along half a cosine in `steps` steps, then `end`. (Loshchilov and Hutter 2017.)"""
    _rates("cosine_decay", lr=lr, end=end)
    _length("cosine_decay(steps)", steps)
    return lambda step: end + 0.5 * (lr - end) * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def warmup(steps: int, then: Rate) -> Callable[[int], float]:
    """From 0 straight up to `then` in `steps` steps; `then`, a rate or a function of the step, from there on."""
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


def _check(name: str, x: float, low: float, high: float) -> None:
    if not low <= number(x, name) < high:
        raise ValueError(f"{name} is in [{low:g}, {high:g}), found {x!r}")


def _some(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
