"""Gradient steps: SGD, Adam, AdamW, and classes of your own.

An optimizer reads p.grad and changes p.data of the parameters that it was given; it knows nothing of how they came
about. A step is taken whole or not at all. How one parameter moves is said once, by `rule`, for floats and for whole
arrays of NumPy or JAX alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .arguments import as_float, counted, is_number, many, number
from .engine import Value
from .training.failures import why_step_failed
from .training.schedules import Rate, cosine_decay, exponential_decay, linear_decay, step_decay, warmup

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW",
    "step_decay", "exponential_decay", "linear_decay", "cosine_decay", "warmup",
]

Rule = Callable[..., tuple[Any, ...]]  # (x, gradient, *memory) → (x after the step, *memory after it)


class Optimizer:
    """The base of all optimizers: the parameters, the learning rate, and steps that are whole.

    A class of your own states its `rule`, and names in `remembers` what it keeps of each parameter. One that needs to
    see all the numbers at once overrides `update` instead; its steps are taken in Python.

    Args:
        params: the Values to change; may be left out and given by `fit`, which calls `attach`.
        lr: the learning rate, > 0, or a function of the number of steps taken so far.
        weight_decay: how strongly parameters are drawn towards 0; 0 or more.

    Raises:
        ValueError: for a learning rate or a weight decay that is out of range.
        TypeError: for parameters that are not Values.

    Example:
        >>> class Signs(micrograd.optim.Optimizer):
        ...     def rule(self, lr, step, sqrt):
        ...         return lambda x, g: (x - lr * (2 * (g > 0) - 1),)
        >>> w = micrograd.Value(1.0); w.grad = 9.0
        >>> Signs([w], 0.25).step(); w.data
        0.75
    """

    def __init__(self, params: Iterable[Value] | None = None, lr: Rate = 0.01, weight_decay: float = 0.0) -> None:
        if not callable(lr) and not 0.0 < number(lr, "the learning rate lr") < math.inf:
            raise ValueError(f"the learning rate lr must be a number > 0 or a function of the step, found {lr!r}")
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
            TypeError: for what is not a Value.
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
        """The names of attributes that keep a number of each parameter from step to step, in lists."""
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
        return self._rate_of(self.steps)

    def _rate_of(self, step: int) -> float:
        """The learning rate of a step; TypeError for a schedule that gives no number."""
        return number(self.lr(step), f"the learning rate of step {step}") if callable(self.lr) else self.lr

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
            raise FloatingPointError(why_step_failed(0.0, zip(self.params, gradients), lr, self.steps))
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
        self._check_moved(after[0])
        for i, name in enumerate(names, start=1):
            setattr(self, name, [numbers[i] for numbers in after])
        return [numbers[0] for numbers in after]

    def rule(self, lr: Any, step: Any, sqrt: Callable[[Any], Any] = math.sqrt) -> Rule:
        """Say how one parameter moves. The numbers are floats, or arrays of one shape for as many parameters.

        Where a rule can be recorded, a compiled loss is trained by it in native code or on devices. So it depends on
        its arguments and on settings of the optimizer alone, and multiplies by (g > 0) instead of using an if. Where it
        cannot, the steps are taken in Python, and `History.ran` says why.

        Args:
            lr: the rate of this step.
            step: how many were taken before. Both may be nodes that are recorded.
            sqrt: the square root for such numbers.

        Returns:
            A function (x, gradient, ``*memory``) → (x, ``*memory``), where the memory has a number for each name of
            `remembers`, 0 before the first step.

        Raises:
            NotImplementedError: for a class that states none.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no step: give it a rule(lr, step, sqrt) or an "
                                  "update(before, gradients, lr)")

    def _check_moved(self, found: Any) -> None:
        """Raise ValueError for what a rule gave, where it is not the parameter and all that is remembered of it."""
        names = ("x", *self.remembers)
        if not isinstance(found, (tuple, list)) or len(found) != len(names):
            shown = len(found) if isinstance(found, (tuple, list)) else type(found).__name__
            raise ValueError(f"the rule of {type(self).__name__} must return a tuple of {len(names)} for each "
                             f"parameter: {', '.join(names)}; found {shown}")

    def _goes_by_rule(self) -> bool:
        """False where there is more to a step than the rule: a class that overrides `step`, `update` or `rate`, or
        methods of this one object."""
        kind = type(self)
        return (kind.step is Optimizer.step and kind.update is Optimizer.update and kind.rate is Optimizer.rate
                and not any(callable(getattr(kind, name, None)) for name in vars(self)))

    def _constants(self) -> str:
        """Everything that the rule may depend on besides its arguments, in one text that changes when it does."""
        others = ("params", "steps", "lr", *self.remembers)
        return repr((len(self.params), {name: x for name, x in vars(self).items() if name not in others}))

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
        """The settings as plain JSON data, so that two optimizers can be told apart: the numbers and texts among the
        public attributes, and tuples of them. lr is None where it is a function.
        """
        found: dict[str, Any] = {"optimizer": type(self).__name__, "lr": None, "weight_decay": None}
        for name, x in vars(self).items():
            several = isinstance(x, tuple)
            plain = all(is_number(each) or isinstance(each, str) for each in (x if several else [x]))
            if plain and not name.startswith("_") and name not in ("params", "steps", *self.remembers):
                found[name] = [_plain(each) for each in x] if several else _plain(x)
        return found

    def state_dict(self) -> dict[str, list[float]]:
        """A copy of what is kept of the parameters; with `steps` all that the next step depends on, besides settings.

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
            TypeError: for what is not a number.

        Example:
            >>> one, other = (micrograd.Adam([micrograd.Value(1.0)]) for _ in range(2))
            >>> one.step()
            >>> other.load_state_dict(one.state_dict(), one.steps)
        """
        names = self.remembers
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict needs what state_dict() gave, found {type(state).__name__} {state!r}")
        if sorted(state) != sorted(names):
            raise ValueError(f"{type(self).__name__} remembers {_some(names)}, found {_some(state)}: it is the state "
                             "of another optimizer")
        for name in names:
            if len(state[name]) != len(self.params):
                raise ValueError(f"this optimizer has {counted(len(self.params), 'parameter')}, found "
                                 f"{counted(len(state[name]), 'number')} in {name!r}: attach the parameters first, or "
                                 "it is the state of others")
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            raise ValueError(f"steps must be a whole number >= 0, found {steps!r}")
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
            raise ValueError(f"betas must be a pair of numbers such as (0.9, 0.999), found {betas!r}")
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
        return {**super().settings(), "betas": [as_float(beta) for beta in self.betas]}  # of a list, too


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
        return x - lr * self.weight_decay * x, g


def _check(name: str, x: float, low: float, high: float) -> None:
    if not low <= number(x, name) < high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}), found {x!r}")


def _plain(x: Any) -> Any:
    """A number or a text as JSON has it."""
    if isinstance(x, (bool, str)):
        return x
    return as_float(x) if math.isfinite(as_float(x)) else str(as_float(x))


def _some(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
