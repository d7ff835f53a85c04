"""Optimizers: their rules written out by hand, schedules, and steps that are whole or not at all."""

import json
import math

import numpy as np
import pytest

from micrograd import SGD, Adam, AdamW, Value, compile
from micrograd.optim import Optimizer
from micrograd.training.schedules import cosine_decay, exponential_decay, linear_decay, step_decay, warmup


def run(optimizer_of: object, gradients: list[float], start: float = 1.0) -> list[float]:
    p = Value(start)
    optimizer = optimizer_of([p])
    path = []
    for g in gradients:
        p.grad = g
        optimizer.step()
        path.append(p.data)
    return path


def test_sgd_is_the_rule_of_the_notes() -> None:
    assert run(lambda ps: SGD(ps, lr=0.5), [2.0, -1.0]) == [0.0, 0.5]


def test_sgd_momentum_nesterov_and_weight_decay() -> None:
    assert run(lambda ps: SGD(ps, lr=0.5, momentum=0.5), [2.0, 2.0]) == [0.0, 0.0 - 0.5 * 3.0]
    assert run(lambda ps: SGD(ps, lr=0.5, momentum=0.5, nesterov=True), [2.0, 2.0]) == [
        1.0 - 0.5 * 3.0, -0.5 - 0.5 * (2.0 + 0.5 * 3.0)]
    assert run(lambda ps: SGD(ps, lr=0.5, weight_decay=0.1), [2.0]) == [1.0 - 0.5 * (2.0 + 0.1)]


def adam_by_hand(gradients: list[float], lr: float, decay: float, decoupled: bool) -> list[float]:
    x, m, v, path = 1.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            x -= lr * decay * x
        else:
            g += decay * x
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        x -= lr * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        path.append(x)
    return path


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_and_adamw(decay: float) -> None:
    gradients = [3.0, -1.0, 0.5]
    assert run(lambda ps: Adam(ps, lr=0.1, weight_decay=decay), gradients) == pytest.approx(
        adam_by_hand(gradients, 0.1, decay, False), rel=1e-14)
    assert run(lambda ps: AdamW(ps, lr=0.1, weight_decay=decay), gradients) == pytest.approx(
        adam_by_hand(gradients, 0.1, decay, True), rel=1e-14)


def test_every_optimizer_finds_the_minimum() -> None:
    for make in (lambda ps: SGD(ps, lr=0.1), lambda ps: SGD(ps, lr=0.05, momentum=0.8, nesterov=True),
                 lambda ps: Adam(ps, lr=0.1), lambda ps: AdamW(ps, lr=0.1, weight_decay=0.0)):
        x, y = Value(4.0), Value(-3.0)
        optimizer = make([x, y])
        for _ in range(400):
            optimizer.zero_grad()
            ((x - 1) ** 2 + 3 * (y + 2) ** 2).backward()
            optimizer.step()
        assert (x.data, y.data) == (pytest.approx(1.0, abs=1e-3), pytest.approx(-2.0, abs=1e-3))


def test_schedules() -> None:
    assert [step_decay(1.0, every=2, factor=0.5)(k) for k in range(5)] == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert exponential_decay(2.0, 0.1)(10) == pytest.approx(2.0 * math.exp(-1.0))
    assert [linear_decay(1.0, steps=4, end=0.5)(k) for k in (0, 2, 4, 9)] == [1.0, 0.75, 0.5, 0.5]
    assert [cosine_decay(1.0, steps=4)(k) for k in (0, 2, 4, 9)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert [warmup(4, 1.0)(k) for k in (0, 1, 3, 9)] == [0.25, 0.5, 1.0, 1.0]
    assert warmup(2, linear_decay(1.0, 10))(5) == 0.5


def test_a_schedule_is_followed() -> None:
    assert run(lambda ps: SGD(ps, lr=lambda step: 1.0 / (step + 1)), [1.0, 1.0], start=2.0) == [1.0, 0.5]


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    a, b = Value(1.0, "a"), Value(2.0, "b")
    optimizer = Adam([a, b])
    a.grad, b.grad = 1.0, math.nan
    with pytest.raises(FloatingPointError, match="gradient of b is nan"):
        optimizer.step()
    assert (a.data, b.data, optimizer.steps) == (1.0, 2.0, 0)


@pytest.mark.parametrize("rate", [math.nan, -1.0, math.inf])
def test_a_rate_that_is_none_changes_nothing(rate: float) -> None:
    p = Value(1.0)
    p.grad = 1.0
    with pytest.raises(FloatingPointError, match="learning rate of step 0"):
        Adam([p], lr=lambda step: rate).step()
    assert p.data == 1.0


def test_an_interrupted_step_is_undone() -> None:
    class Stubborn(Value):
        interrupted = False

        @property
        def data(self) -> float:
            return Value.data.__get__(self)

        @data.setter
        def data(self, x: float) -> None:
            if not Stubborn.interrupted:
                Stubborn.interrupted = True
                raise KeyboardInterrupt
            Value.data.__set__(self, x)

    a, b = Value(1.0), Stubborn(2.0)
    a.grad = b.grad = 1.0
    with pytest.raises(KeyboardInterrupt):
        SGD([a, b], lr=0.5).step()
    assert (a.data, b.data) == (1.0, 2.0)


@pytest.mark.parametrize("make, error", [
    (lambda: SGD(lr=0), "lr must be a number > 0"), (lambda: SGD(lr=-1.0), "lr must be a number > 0"),
    (lambda: SGD(momentum=1.0), r"momentum must be in \[0, 1\)"), (lambda: SGD(nesterov=True), "needs a momentum"),
    (lambda: Adam(betas=(0.9, 1.0)), "betas"), (lambda: Adam(eps=-1), "eps"), (lambda: AdamW(weight_decay=-1), "weight_decay"),
])
def test_wrong_settings(make: object, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        make()


def test_an_optimizer_without_parameters_says_so() -> None:
    with pytest.raises(ValueError, match=r"SGD\(net\.parameters\(\)"):
        SGD(lr=0.1).step()


def test_only_values_are_optimized() -> None:
    for wrong in ([1.0, 2.0], 0.1):
        with pytest.raises(TypeError, match=r"net\.parameters\(\)"):
            SGD(wrong)
    with pytest.raises(TypeError, match=r"found str '0\.1'"):
        SGD(lr="0.1")


# One rule for numbers and for arrays

KINDS = {
    "SGD": lambda ps: SGD(ps, lr=0.1), "decay": lambda ps: SGD(ps, lr=0.1, weight_decay=0.03),
    "momentum": lambda ps: SGD(ps, lr=0.1, momentum=0.9), "nesterov": lambda ps: SGD(ps, lr=0.1, momentum=0.7, nesterov=True, weight_decay=0.01),
    "Adam": lambda ps: Adam(ps, lr=0.1), "Adam with decay": lambda ps: Adam(ps, lr=0.1, betas=(0.0, 0.99), eps=1e-6, weight_decay=0.3),
    "AdamW": lambda ps: AdamW(ps, lr=lambda step: 0.1 / (step + 1), weight_decay=0.3),
}
NUMBERS = [0.1, -3.7, 0.0, -0.0, 1e-308, 1e100, -1e-5, 12345.678, 1 / 3]


def slopes(step: int) -> list[float]:
    return [NUMBERS[(i + step) % len(NUMBERS)] * (step + 1) / 7 for i in range(len(NUMBERS))]


def bits(numbers: object) -> bytes:
    return np.array(numbers, dtype=float).tobytes()


@pytest.mark.parametrize("name", KINDS)
def test_the_rule_gives_the_same_bits_on_arrays(name: str) -> None:
    ps = [Value(x) for x in NUMBERS]
    optimizer = KINDS[name](ps)
    x = np.array(NUMBERS)
    memory = [np.zeros(len(NUMBERS)) for _ in optimizer.remembers]
    for step in range(5):
        x, *memory = optimizer.rule(optimizer.rate(), step, np.sqrt)(x, np.array(slopes(step)), *memory)
        for p, g in zip(ps, slopes(step)):
            p.grad = g
        optimizer.step()
        assert bits([p.data for p in ps]) == bits(x)
        assert [bits(numbers) for numbers in optimizer.state_dict().values()] == [*map(bits, memory)]
    assert bits(x) != bits(NUMBERS)


class Signs(Optimizer):
    """By a rule of its own: steps against the sign of an average."""

    remembers = ("average",)

    def rule(self, lr, step, sqrt=math.sqrt):
        def move(x, g, average):
            average = 0.5 * average + g
            return x - lr * average / sqrt(average * average), average
        return move


def test_an_optimizer_of_ones_own_states_its_rule() -> None:
    p = Value(1.0)
    optimizer = Signs([p], 0.25, 0.0)
    for g, expected in ((2.0, 0.75), (-0.5, 0.5), (-1.0, 0.75)):
        p.grad = g
        optimizer.step()
        assert p.data == expected
    assert optimizer.state_dict() == {"average": [-0.75]}
    with pytest.raises(NotImplementedError, match=r"Optimizer defines no step: give it a rule"):
        Optimizer(None, 0.1, 0.0).update([1.0], [1.0], 0.1)


def test_a_setting_with_a_default_in_the_class_is_no_reason_to_step_in_python() -> None:
    class Scaled(Optimizer):
        scale = 1.0

        def rule(self, lr, step, sqrt=math.sqrt):
            return lambda x, g: (x - lr * self.scale * g,)

    optimizer = Scaled([Value(1.0)], 0.25, 0.0)
    optimizer.scale = 2.0
    assert optimizer._goes_by_rule()
    optimizer.rule = lambda lr, step, sqrt: lambda x, g: (x,)
    assert not optimizer._goes_by_rule()


@pytest.mark.parametrize("backend", ["auto", "python"])
def test_a_schedule_that_gives_no_number(backend: str) -> None:
    w = Value(1.0)
    step = compile(lambda x: (w - x) ** 2, backend=backend)
    with pytest.raises(TypeError, match="the learning rate of step 0 needs a real number, found NoneType None"):
        step.fit([2.0], optimizer=SGD(lr=lambda step: None))
    assert w.data == 1.0


# Going on later

def test_the_state_of_no_optimizer() -> None:
    optimizer = Adam([Value(1.0)])
    with pytest.raises(TypeError, match=r"load_state_dict needs what state_dict\(\) gave, found NoneType None"):
        optimizer.load_state_dict(None, 0)
    with pytest.raises(ValueError, match="steps must be a whole number >= 0, found True"):
        optimizer.load_state_dict(optimizer.state_dict(), True)


@pytest.mark.parametrize("name", KINDS)
def test_an_optimizer_goes_on_from_its_state(name: str) -> None:
    def steps(optimizer: Optimizer, ps: list[Value], numbers: range) -> bytes:
        for step in numbers:
            for p, g in zip(ps, slopes(step)):
                p.grad = g
            optimizer.step()
        return bits([p.data for p in ps])

    whole = [Value(x) for x in NUMBERS]
    expected = steps(KINDS[name](whole), whole, range(6))
    first = [Value(x) for x in NUMBERS]
    stopped = KINDS[name](first)
    steps(stopped, first, range(3))
    state = stopped.state_dict()
    second = [Value(p.data) for p in first]
    resumed = KINDS[name](second)
    resumed.load_state_dict(state, stopped.steps)
    assert steps(resumed, second, range(3, 6)) == expected
    assert state == stopped.state_dict() and resumed.steps == 6  # a copy: the later steps did not change it


@pytest.mark.parametrize("state, steps, error", [
    ({"mean": [0.5, 1.0]}, 3, "Adam remembers 'mean', 'square', found 'mean': it is the state of another optimizer"),
    ({"velocity": [0.5, 1.0]}, 3, "found 'velocity'"), ({}, 3, "found nothing"),
    ({"mean": [0.5, 1.0], "square": [0.5]}, 3, "has 2 parameters, found 1 number in 'square'"),
    ({"mean": [0.5, 1.0], "square": [0.5, 1.0]}, -1, "steps must be a whole number >= 0, found -1"),
    ({"mean": [0.5, 1.0], "square": [0.5, 1.0]}, 2.0, r"steps must be a whole number >= 0, found 2\.0"),
])
def test_a_state_that_does_not_fit_changes_nothing(state: object, steps: object, error: str) -> None:
    optimizer = Adam([Value(1.0), Value(2.0)])
    with pytest.raises(ValueError, match=error):
        optimizer.load_state_dict(state, steps)
    with pytest.raises(TypeError, match="'square', item 1, needs a real number, found str"):
        optimizer.load_state_dict({"mean": [0.5, 1.0], "square": [0.5, "1.0"]}, 3)
    assert (optimizer.state_dict(), optimizer.steps) == ({"mean": [0.0, 0.0], "square": [0.0, 0.0]}, 0)


def test_an_optimizer_that_does_not_say_what_it_keeps_has_no_state() -> None:
    class Own(Optimizer):
        def update(self, before: list[float], gradients: list[float], lr: float) -> list[float]:
            return [x - lr * g for x, g in zip(before, gradients)]

    class Said(Own):
        remembers = ()

    class Halved(SGD):
        def update(self, before: list[float], gradients: list[float], lr: float) -> list[float]:
            return super().update(before, gradients, lr / 2)

    with pytest.raises(TypeError, match=r"Own does not say what it keeps.*remembers = \(\)"):
        Own([Value(1.0)], 0.1, 0.0).state_dict()
    assert Said([Value(1.0)], 0.1, 0.0).state_dict() == {}
    assert Halved([Value(1.0)], momentum=0.5).state_dict() == {"velocity": [0.0]}


def test_settings_are_plain_data_that_tell_optimizers_apart() -> None:
    assert SGD(lr=1, nesterov=True, momentum=0.5).settings() == {
        "optimizer": "SGD", "lr": 1.0, "weight_decay": 0.0, "momentum": 0.5, "nesterov": True}
    assert AdamW(lr=cosine_decay(0.1, 10), betas=(0.5, np.float32(0.75))).settings() == {
        "optimizer": "AdamW", "lr": None, "weight_decay": 0.01, "betas": [0.5, 0.75], "eps": 1e-8}
    written = [json.dumps(make(None).settings(), allow_nan=False) for make in KINDS.values()]
    assert len(dict.fromkeys(written)) == len(KINDS)

    class Own(Optimizer):
        remembers = ("average",)

        def __init__(self, lr: float, scale: float) -> None:
            super().__init__(lr=lr)
            self.scale, self.pair, self.kind, self.far = scale, (1, True), "a", math.inf
            self.seen = [1.0, 2.0]  # a list is what changes, so is `average`
            self._hidden = 7.0

        def rule(self, lr: object, step: object, sqrt: object = math.sqrt) -> object:
            return lambda x, g, average: (x - self.scale * lr * g, average)

    assert json.loads(json.dumps(Own(0.5, 2).settings(), allow_nan=False)) == {
        "optimizer": "Own", "lr": 0.5, "weight_decay": 0.0, "scale": 2.0, "pair": [1.0, True], "kind": "a", "far": "inf"}


def test_a_class_of_ones_own_needs_no_arguments() -> None:
    class Plain(Optimizer):
        def rule(self, lr: float, step: int, sqrt: object = math.sqrt) -> object:
            return lambda x, g: (x - lr * g,)

    optimizer, w = Plain(), Value(1.0)
    optimizer.attach([w])
    w.grad = 1.0
    optimizer.step()
    assert (w.data, optimizer.lr, optimizer.weight_decay) == (0.99, 0.01, 0.0)
