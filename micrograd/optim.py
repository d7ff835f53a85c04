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

from .arguments import as_float, many, number
from .engine import Value

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW",
    "step_decay", "exponential_decay", "linear_decay", "cosine_decay", "warmup",
]

Rate = Union[float, Callable[[int], float]]  # a learning rate, or a function of the number of steps taken so far
Rule = Callable[..., tuple[Any, ...]]  # (x, gradient, *memory) → (x after the step, *memory after it)


class Optimizer:
    """What the optimizers share: the parameters, the learning rate, and that a step is whole.

    A class of your own states its `rule`, and names in `remembers` what it keeps of each parameter. One that needs to
    see all the numbers at once overrides `update` instead; its steps are taken in Python.

    Args:
        params: the Values to change; None where `fit` is to give them, which calls `attach`.
        lr: the learning rate, > 0, or a function of the number of steps taken so far.
        weight_decay: how strongly parameters are drawn towards 0; 0 or more.

    Raises:
        ValueError: for a learning rate or a weight decay that is out of range.
        TypeError: for parameters that are no Values.

    Example:
        >>> class Signs(micrograd.optim.Optimizer):
        ...     def rule(self, lr, step, sqrt):
        ...         return lambda x, g: (x - lr * (2 * (g > 0) - 1),)
        >>> w = micrograd.Value(1.0); w.grad = 9.0
        >>> Signs([w], 0.25, 0.0).step(); w.data
        0.75
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
        """Set the parameters, and start afresh.

        Args:
            params: the Values to change.

        Raises:
            TypeError: for what is no Value.
        """
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
        """Change every parameter by one step; an interrupted step is undone.

        Raises:
            FloatingPointError: if a gradient is inf or nan: then no parameter is changed.
            ValueError: if there are no parameters.

        Example:
            >>> w = micrograd.Value(1.0); w.grad = 4.0
            >>> micrograd.SGD([w], lr=0.25).step()
            >>> w.data
            0.0
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
        """The rule, parameter by parameter.

        Args:
            before: the numbers of the parameters.
            gradients: as many slopes.
            lr: the rate of this step.

        Returns:
            The numbers after the step.

        Raises:
            ValueError: where the rule gives anything but the parameter and all that is remembered of it.
        """
        names = self.remembers
        move = self.rule(lr, self.steps, math.sqrt)
        after = list(map(move, before, gradients, *[getattr(self, name) for name in names]))
        self.check_moved(after[0])
        for i, name in enumerate(names, start=1):
            setattr(self, name, [numbers[i] for numbers in after])
        return [numbers[0] for numbers in after]

    def rule(self, lr: Any, step: Any, sqrt: Callable[[Any], Any] = math.sqrt) -> Rule:
        """How one parameter moves. The numbers are floats, or arrays of one shape for as many parameters.

        Args:
            lr: the rate of this step.
            step: how many were taken before. Both may be numbers that JAX traces.
            sqrt: the square root for such numbers.

        Returns:
            A function (x, gradient, ``*memory``) → (x, ``*memory``), where the memory has a number for each name of
            `remembers`, 0 before the first step.

        Raises:
            NotImplementedError: for a class that states none.
        """
        raise NotImplementedError(f"{type(self).__name__} states no step: give it a rule(lr, step, sqrt) or an "
                                  "update(before, gradients, lr)")

    def check_moved(self, found: Any) -> None:
        """Refuse what a rule gave, where it is not the parameter and all that is remembered of it.

        Args:
            found: what it gave.

        Raises:
            ValueError: if so.
        """
        names = ("x", *self.remembers)
        if not isinstance(found, (tuple, list)) or len(found) != len(names):
            shown = len(found) if isinstance(found, (tuple, list)) else type(found).__name__
            raise ValueError(f"the rule of {type(self).__name__} is to give a tuple of {len(names)} a parameter: "
                             f"{', '.join(names)}; found {shown}")

    def decay(self, x: Any, g: Any, lr: Any) -> tuple[Any, Any]:
        """Weight decay of one parameter, as an L2 penalty: part of the gradient.

        Args:
            x: the parameter.
            g: its gradient.
            lr: the rate of this step.

        Returns:
            The pair (x, g) to go on with.
        """
        return x, g + self.weight_decay * x

    # For checkpoints

    def settings(self) -> dict[str, Any]:
        """What was chosen, as plain JSON data, so that two optimizers can be told apart; lr is None where it is a
        function.
        """
        return {"optimizer": type(self).__name__, "lr": None if callable(self.lr) else as_float(self.lr),
                "weight_decay": as_float(self.weight_decay)}

    def state_dict(self) -> dict[str, list[float]]:
        """What is kept of the parameters. With `steps` it is all that the next step depends on, besides settings.

        Returns:
            A list for each name of `remembers`.

        Raises:
            TypeError: for a class that overrides `update` and does not say what it remembers.
        """
        if type(self).update is not Optimizer.update and type(self).remembers is Optimizer.remembers:
            raise TypeError(f"{type(self).__name__} does not say what it keeps from step to step: name the "
                            'lists in it, remembers = ("velocity",), or remembers = () if there are none')
        return {name: list(getattr(self, name)) for name in self.remembers}

    def load_state_dict(self, state: Mapping[str, Sequence[float]], steps: int) -> None:
        """Go on where an optimizer of the same settings was.

        Args:
            state: what its `state_dict` gave.
            steps: how many steps it had taken.

        Raises:
            ValueError: if the names or lengths are not those of this one: then nothing is changed.
            TypeError: for what is no number.

        Example:
            >>> one, other = (micrograd.Adam([micrograd.Value(1.0)]) for _ in range(2))
            >>> one.step()
            >>> other.load_state_dict(one.state_dict(), one.steps)
        """
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

    (Sutskever et al. 2013.)

    Args:
        params: the Values to change; may be left out and given by `fit`.
        lr: the learning rate, > 0, or a function of the number of steps taken so far.
        momentum: in [0, 1).
        nesterov: look ahead: v is replaced by gradient + momentum · v.
        weight_decay: adds weight_decay · w to the gradient; 0 or more.

    Raises:
        ValueError: for a number that is out of range, or nesterov without momentum.

    Example:
        >>> w = micrograd.Value(1.0)
        >>> optimizer = micrograd.SGD([w], lr=0.25)
        >>> (w * w).backward()
        >>> optimizer.step(); w.data
        0.5
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

    Args:
        params: the Values to change; may be left out and given by `fit`.
        lr: the learning rate, > 0, or a function of the number of steps taken so far.
        betas: how fast the averages of the gradient and of its square forget, each in [0, 1).
        eps: added to the divisor; 0 or more.
        weight_decay: adds weight_decay · w to the gradient; 0 or more.

    Raises:
        ValueError: for a number that is out of range.

    Example:
        >>> w = micrograd.Value(1.0)
        >>> optimizer = micrograd.Adam([w], lr=0.25)
        >>> (1000 * w).backward()
        >>> optimizer.step(); round(w.data, 6)
        0.75
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
    """Adam whose weight decay shrinks the weights directly. (Loshchilov and Hutter 2019.)

    Args:
        params: the Values to change; may be left out and given by `fit`.
        lr: the learning rate, > 0, or a function of the number of steps taken so far.
        betas: how fast the averages of the gradient and of its square forget, each in [0, 1).
        eps: added to the divisor; 0 or more.
        weight_decay: takes lr · weight_decay · w from each weight; 0 or more.

    Raises:
        ValueError: for a number that is out of range.

    Example:
        >>> w = micrograd.Value(1.0)
        >>> optimizer = micrograd.AdamW([w], lr=0.5, weight_decay=0.5)
        >>> optimizer.step(); w.data
        0.75
    """

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.001,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def decay(self, x: Any, g: Any, lr: Any) -> tuple[Any, Any]:
        """Weight decay of one parameter, which shrinks by itself and leaves the gradient alone.

        Args:
            x: the parameter.
            g: its gradient.
            lr: the rate of this step.

        Returns:
            The pair (x, g) to go on with.
        """
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


def _check(name: str, x: float, low: float, high: float) -> None:
    if not low <= number(x, name) < high:
        raise ValueError(f"{name} is in [{low:g}, {high:g}), found {x!r}")


def _some(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
