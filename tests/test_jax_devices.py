"""backend="jax": the same numbers as the other backends, whatever the number of devices and of rows; training, precision,
wrong use; and the pure functions for JAX, torch and NumPy."""

import copy
import math
import os
import pickle
import random
import re
import subprocess
import sys
from array import array

import pytest

pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')

import jax
import jax.numpy as jnp
import numpy as np

import micrograd as m
from micrograd import MLP, SGD, Adam, AdamW, TraceError, Value, ops
from micrograd.compiler import executors
from micrograd.optim import Optimizer
from micrograd.training.schedules import cosine_decay, linear_decay
from micrograd.training.steps import StepChooser

CLOSE = 1e-12   # the same sums in another order, of numbers of about 1
STEPS = 1e-10   # some dozens of gradient steps, each of which hands its roundings on to the next
FLOAT32 = 2e-5  # some dozens of roundings of 6e-8 each, in sums that cancel in part

WRONG = re.escape('devices must be None, a number, "all" or a list of jax.devices(), found ')


def data(rows, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 2))
    return X, np.sign(X[:, 0] * X[:, 1])


def make(backend="jax", verify=0, **options):
    """A network and its loss, with a penalty. (What is verified is one more program for JAX to compile.)"""
    net = MLP(2, [3, 1], activation="tanh", rng=1)

    def loss(x, y):
        return (1 - y * net(x)).relu() + 1e-3 * sum(p * p for p in net.parameters())

    return net, m.compile(loss, inputs=(2, None), backend=backend, verify=verify, **options)


def close(found, expected, tolerance=CLOSE):
    """Equal but for rounding, relatively to 1 or to what is larger; inf and nan where they belong."""
    for x, y in zip(found, expected, strict=True):
        x, y = np.asarray(x, float), np.asarray(y, float)
        assert x.shape == y.shape
        np.testing.assert_array_equal(np.isnan(x), np.isnan(y))
        np.testing.assert_array_equal(np.where(np.isinf(x), x, 0), np.where(np.isinf(y), y, 0))
        there = np.isfinite(y)
        assert (np.abs(x - y)[there] <= tolerance * np.maximum(np.abs(y[there]), 1.0)).all(), (x, y)
    return True


def python(code, *, devices=2):
    """Run a program in a process of its own, with the warnings as errors; what it printed."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=200,
                          env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tests_have_eight_devices():
    assert len(jax.devices()) >= 8, "XLA_FLAGS were set after JAX was loaded"


# Questions

@pytest.mark.parametrize("devices, reduce", [(1, "mean"), (2, "mean"), (3, "mean"), (8, "mean"), (3, "sum")])
def test_any_number_of_rows_on_any_number_of_devices(devices, reduce):
    step, same = make(devices=devices, reduce=reduce, verify=2)[1], make("auto", reduce=reduce)[1]
    for rows in (103, 8, 5, 2, 1) if reduce == "mean" else (103, 2):
        X, Y = data(rows)
        assert close(step.value_and_grad(X, Y), same.value_and_grad(X, Y), CLOSE * (rows if reduce == "sum" else 1))
    assert close([step(X, Y), step(X, Y)], [same(X, Y)] * 2, rows * CLOSE)
    assert close([[p.grad for p in step.params]], [[2 * p.grad for p in same.params]], rows * CLOSE)  # it adds


@pytest.mark.parametrize("devices", [1, 3])
def test_several_outputs(devices):
    """One of them, of the parameters alone, is the same for all rows."""
    results = []
    for backend in ("auto", "jax"):
        w, b = Value(0.5, "w"), Value(-1.5, "b")
        step = m.compile(lambda x, y, w=w, b=b: [(w * x + b - y) ** 2, w * b, w * x > 0],
                         backend=backend, **{"devices": devices} if backend == "jax" else {})
        X, Y = data(10)[0].T
        values, slopes = step.map(X, Y, grad=True)
        means, gradient = step.value_and_grad(X, Y)
        assert isinstance(means, list) and step.value(X, Y) == pytest.approx(means, rel=CLOSE)
        results.append([means, gradient, *values, *slopes, step(X, 2.0), step(0.25, 1.0), step.grad(0.25, 1.0)])
    assert close(*results)


@pytest.mark.parametrize("devices", [1, 3])
def test_some_parameters_in_an_order_of_ones_own(devices):
    results = []
    for backend in ("auto", "jax"):
        a, b, c, unused = Value(0.5), Value(2.0), Value(-1.0), Value(7.0)
        step = m.compile(lambda x, y, a=a, b=b, c=c: (a * x + b * (c * x).tanh() - y) ** 2, params=[c, unused, a],
                         backend=backend, **{"devices": devices} if backend == "jax" else {})
        X, Y = data(7)[0].T
        first = step.value_and_grad(X, Y)
        assert first[1][1] == 0.0
        b.data = 3.0  # frozen, and read at each question all the same
        losses = step.fit(X, Y, optimizer=SGD(lr=0.1, momentum=0.5), epochs=5, batch_size=4, seed=1)
        results.append([*first, step.value(X, Y), losses, *[p.data for p in (a, b, c, unused)]])
    assert close(*results, STEPS)
    assert results[1][-3] == 3.0 and results[1][-1] == 7.0


@pytest.mark.parametrize("devices", [1, 3])
def test_a_function_without_parameters(devices):
    step, same = (m.compile(lambda x, y: x.sin() * y, **options) for options in ({"backend": "jax", "devices": devices}, {}))
    X, Y = data(10)[0].T
    (values, slopes), (expected, expected_slopes) = step.map(X, Y, grad=True), same.map(X, Y, grad=True)
    assert close([values, *slopes], [expected, *expected_slopes])
    assert close([step(X, Y), step.value(X, Y)], [same(X, Y)] * 2)
    assert step.value_and_grad(X, Y)[1] == []
    assert list(step.map([], [])) == []
    with pytest.raises(ValueError, match="has no parameters to train"):
        step.fit(X, Y)


@pytest.fixture
def own():
    yield m.op("of_floats", math.tanh, lambda y, x: 1 - y * y)
    ops.OPS.pop("of_floats")


@pytest.mark.parametrize("devices", [1, 3])
def test_an_op_of_floats(devices, own):
    """Of rows and, in one value for all rows, of parameters alone."""
    results = []
    for backend in ("python", "jax"):
        w, v = Value(0.5), Value(2.0)
        step = m.compile(lambda x, y, w=w, v=v: (own(w * x) + own(v) - y) ** 2, backend=backend,
                         **{"devices": devices} if backend == "jax" else {})
        X, Y = data(10)[0].T
        results.append([*step.value_and_grad(X, Y), step.map(X, Y), step(0.5, 0.25),
                        step.fit(X, Y, epochs=3, batch_size=4, seed=1), w.data, v.data])
    assert close(*results)


@pytest.mark.parametrize("odd, place", [(math.nan, 0), (math.inf, 9), (-math.inf, 0), (1e200, 9)])
def test_special_values_stay_in_their_row(odd, place):
    """In the first row, with which devices are filled up, and in the last one."""
    results = []
    for backend in ("auto", "jax"):
        net = MLP(2, [3, 1], activation="tanh", rng=1)
        step = m.compile(lambda x, y, net=net: (net(x) - y) ** 2 + m.where(y, 0.0, x[0]), inputs=(2, None), verify=0,
                         backend=backend, **{"devices": 3} if backend == "jax" else {})
        X, Y = data(10)
        X[place] = [odd, 1.0]
        values, (by_x, by_y) = step.map(X, Y, grad=True)
        assert np.isfinite(np.delete(np.asarray(values), place)).all()
        results.append([*step.value_and_grad(X, Y), values, *by_x, by_y])
    assert close(*results)


def test_a_row_of_padding_does_not_leak():
    """Five rows on eight devices: those that are filled up hold 1/0, which does not count three times more."""
    w = Value(2.0)
    step = m.compile(lambda x: m.where(x, w / x, w), backend="jax", devices=8)
    assert step.value_and_grad([0.0, 1.0, 2.0, 4.0, 5.0]) == (pytest.approx((2 + 2 + 1 + 0.5 + 0.4) / 5, rel=CLOSE),
                                                              [pytest.approx((1 + 1 + 0.5 + 0.25 + 0.2) / 5, rel=CLOSE)])
    bad = m.compile(lambda x: w / x, backend="jax", devices=8, verify=0)
    mean, [slope] = bad.value_and_grad([0.0, 1.0, 2.0])
    assert mean == slope == math.inf
    assert list(bad.map([0.0, 1.0, 2.0])) == [math.inf, 2.0, 1.0]


@pytest.mark.parametrize("devices", [1, 3])
def test_kinds_of_data_and_of_outputs(devices):
    step, same = make(devices=devices)[1], make("auto")[1]
    X, Y = data(7)
    expected = same.value(X, Y)
    whole = np.column_stack([X, Y])
    for given in ((X, Y), (X.tolist(), Y.tolist()), (whole,), (np.asfortranarray(whole),), (np.repeat(whole, 2, 0)[::2],),
                  (X, array("d", Y)), (X, Y[:, None]), (X.astype("float32").astype(float), Y.astype(int))):
        assert close([step.value(*given)], [expected], 1e-6 if given[0].__class__ is np.ndarray and given[0] is not X else CLOSE)
    assert close([step.value(X, 1.0)], [same.value(X, 1.0)])
    outs = [array("d", bytes(56)), np.zeros(7), memoryview(np.zeros(7)), np.zeros(7)]
    values, (by_x, by_y) = step.map(X, Y, grad=True, out=outs)
    assert values is outs[0] and by_x[0] is outs[1] and by_y is outs[3]
    expected, (expected_by_x, expected_by_y) = same.map(X, Y, grad=True)
    assert close([values, *by_x, by_y], [expected, *expected_by_x, expected_by_y])
    with pytest.raises(ValueError, match="buffer of 7 doubles"):
        step.map(X, Y, out=np.zeros(6))
    with pytest.raises(ValueError, match="buffer of 7 doubles"):
        step.map(X, Y, out=np.zeros(7, "float32"))
    with pytest.raises(ValueError, match="over no rows"):
        step(np.zeros((0, 2)), [])


def test_one_sample():
    """It is not JAX that answers for it; the numbers are the same."""
    w = Value(0.5, "w")
    step, same = (m.compile(lambda x, y: (w * x).sin() * y * y, backend=backend) for backend in ("jax", "auto"))
    for ask in (lambda f: f(2.0, 3.0), lambda f: f.grad(2.0, 3.0), lambda f: f.hessian(2.0, 3.0)):
        assert close([ask(step)], [ask(same)])
    assert w.grad == 0.0


def test_a_function_that_does_not_replay_is_refused():
    calls = []

    def drifting(x):
        calls.append(x)
        return w * x * (1.0 if len(calls) < 5 else 2.0)

    w = Value(1.0)
    step = m.compile(drifting, backend="jax")
    with pytest.raises(TraceError, match="does not replay as it runs"):
        step([1.0, 2.0])


def test_what_it_prints():
    for devices, words in ((None, "1 device\n"), (3, "3 devices\n")):
        step = make(devices=devices)[1]
        assert repr(step) == "<compiled loss(x, y): 13 parameters, jax>"
        assert f"in float64 by JAX on {words}" in str(step)
        assert step.stats["backend"] == "jax" and step.stats["instruction set"] == "" and step.stats["parameters"] == 13
    assert "in float32 by JAX" in str(make(dtype="float32")[1])
    assert "def total" in step.source


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_copies(copied):
    X, Y = data(10)
    step = make(devices=3, dtype="float32", reduce="sum")[1]
    other = copied(step)
    assert str(other).splitlines()[0] == str(step).splitlines()[0]
    assert not set(other.params) & set(step.params)
    assert other.value_and_grad(X, Y) == step.value_and_grad(X, Y)


def test_a_pickle_where_there_are_fewer_devices():
    w = Value(2.0, "w")
    step = m.compile(lambda x: x * w, backend="jax", devices=8)
    code = f"import pickle; step = pickle.loads({pickle.dumps(step)!r}); print(step([1.0, 2.0]), len(step._executors.devices))"
    assert python(code, devices=2) == "3.0 2\n"


# Training

class Lion(Optimizer):
    """Steps of one size, by the sign of an average: a rule of the user's own."""

    remembers = ("average",)

    def __init__(self, lr, keep=0.9):
        self.keep = keep
        super().__init__(None, lr, 0.0)

    def rule(self, lr, step, sqrt=math.sqrt):
        def move(x, g, average):
            mixed = self.keep * average + (1 - self.keep) * g
            return x - lr * mixed / sqrt(mixed * mixed + 1e-12) / (1 + step), mixed
        return move


class Normed(Optimizer):
    """All the numbers at once, by update, in Python."""

    remembers = ()

    def __init__(self, lr):
        super().__init__(None, lr, 0.0)

    def update(self, before, gradients, lr):
        size = math.sqrt(math.fsum(g * g for g in gradients))
        return [x - lr * g / (size + 1e-3) for x, g in zip(before, gradients)]


class Clipped(SGD):
    """A step of its own."""

    def step(self):
        for p in self.params:
            p.grad = max(min(p.grad, 1e-2), -1e-2)
        super().step()


class Warm(SGD):
    """A rate of its own."""

    def rate(self):
        return self.lr * (1 + self.steps)


def state(optimizer):
    return [*optimizer.state_dict().values(), optimizer.steps]


OPTIMIZERS = {
    "sgd": lambda: SGD(lr=0.1), "momentum": lambda: SGD(lr=0.05, momentum=0.9),
    "nesterov": lambda: SGD(lr=cosine_decay(0.1, 20), momentum=0.9, nesterov=True),
    "decay": lambda: SGD(lr=0.1, weight_decay=0.01), "adam": lambda: Adam(lr=0.01, weight_decay=0.1),
    "adamw": lambda: AdamW(lr=linear_decay(0.02, 10), betas=(0.8, 0.99)), "rule": lambda: Lion(0.01),
    "update": lambda: Normed(0.1), "step": lambda: Clipped(lr=0.1), "rate": lambda: Warm(lr=0.01),
}


def trained(backend, optimizer, rows=23, epochs=3, reduce="mean", **options):
    """All that a run leaves behind."""
    if backend != "jax":
        options.pop("devices")
    net, step = make(backend, reduce=reduce, **{key: options.pop(key) for key in ("devices",) if key in options})
    losses = step.fit(*data(rows), optimizer=optimizer, epochs=epochs, **options)
    return [losses, [p.data for p in net.parameters()], [p.grad for p in net.parameters()], *state(optimizer)]


@pytest.mark.parametrize("name, devices, batch_size", [
    ("sgd", 1, None), ("sgd", 3, 1), ("sgd", 8, 20), ("sgd", 3, 10 ** 9), ("momentum", 3, 20), ("nesterov", 2, 20),
    ("decay", 3, None), ("adam", 1, 20), ("adam", 3, None), ("adamw", 8, 20), ("rule", 3, 20), ("update", 3, 20),
    ("step", 1, 20), ("rate", 3, 20),
])
def test_training(name, devices, batch_size):
    """The same steps as elsewhere, on the same rows: 23, of which the last batch has three."""
    found, expected = (trained(backend, OPTIMIZERS[name](), devices=devices, batch_size=batch_size, seed=5)
                       for backend in ("jax", "auto"))
    assert close(found, expected, STEPS)


def test_training_on_sums():
    found, expected = (trained(backend, SGD(lr=0.01), devices=3, batch_size=20, reduce="sum", seed=5) for backend in ("jax", "auto"))
    assert close(found, expected, STEPS)


def test_the_same_seed_is_the_same_run_to_the_last_bit():
    first, again = (trained("jax", Adam(lr=0.01), devices=3, batch_size=8, seed=1) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("devices", [1, 3])
def test_an_optimizer_of_fewer_parameters(devices):
    ends = []
    for backend in ("auto", "jax"):
        net, step = make(backend, **{"devices": devices} if backend == "jax" else {})
        optimizer = SGD(net.layers[1].parameters()[::-1], lr=0.1, momentum=0.5)
        losses = step.fit(*data(23), optimizer=optimizer, epochs=3, batch_size=10, seed=1)
        ends.append([losses, [p.data for p in net.parameters()], *state(optimizer)])
    assert close(*ends, STEPS)


def test_an_optimizer_with_the_parameters_in_another_order():
    ends = []
    for backend in ("auto", "jax"):
        net, step = make(backend)
        optimizer = Adam(net.parameters()[::-1], lr=0.01)
        step.fit(*data(23), optimizer=optimizer, epochs=3, batch_size=10, seed=1)
        ends.append([[p.data for p in net.parameters()], *state(optimizer)])
    assert close(*ends, STEPS)


def test_settings_that_change_between_epochs():
    """Also from runs to runs of one optimizer, whose steps stay compiled."""
    ends = []
    for backend in ("auto", "jax"):
        net, step = make(backend)
        optimizer = SGD(lr=0.1)
        X, Y = data(20)
        found = []
        for i, means in enumerate(step.epochs(X, Y, optimizer=optimizer, epochs=5, batch_size=10, order=random.Random(1))):
            found += means
            if i == 0:
                optimizer.lr = 0.05
            elif i == 1:
                optimizer.momentum = 0.9
            elif i == 2:
                optimizer.weight_decay = 0.1
                net.parameters()[0].data += 1.0  # which are read again
            elif i == 3:
                optimizer.attach(net.layers[1].parameters())  # and only these
        optimizer.attach(net.parameters())
        found += step.fit(X, Y, optimizer=optimizer, epochs=2, seed=2)
        ends.append([found, [p.data for p in net.parameters()], *state(optimizer)])
    assert close(*ends, STEPS)


class Scaled(Optimizer):
    """A setting that is a list, in which a number may change; a rule that forgets what it has to remember."""

    remembers = ("average",)

    def __init__(self, scale):
        self.scale = [scale]
        super().__init__(None, 0.1, 0.0)

    def rule(self, lr, step, sqrt=math.sqrt):
        scale = self.scale[0]
        return lambda x, g, average: (x - lr * scale * g, average) if scale else (x - lr * g,)


def test_a_setting_that_changes_in_a_list():
    ends = []
    for backend in ("auto", "jax"):
        net, step = make(backend)
        optimizer = Scaled(0.5)
        for i, _ in enumerate(step.epochs(*data(20), optimizer=optimizer, epochs=3)):
            optimizer.scale[0] = float(i + 2)
        ends.append([p.data for p in net.parameters()])
    assert close(*ends, STEPS)


@pytest.mark.parametrize("backend", ["auto", "jax"])
def test_a_rule_that_gives_too_few_numbers(backend):
    net, step = make(backend)
    before = [p.data for p in net.parameters()]
    with pytest.raises(ValueError, match=r"the rule of Scaled must return a tuple of 2 .*: x, average; found 1"):
        step.fit(*data(20), optimizer=Scaled(0.0), epochs=2)
    assert [p.data for p in net.parameters()] == before


def diverging(backend, devices=3, **options):
    """A run that ends with an error, and what it leaves behind."""
    net = MLP(1, [3, 1], activation="relu", rng=1)
    step = m.compile(lambda x, y: (net([x]) - y) ** 2, backend=backend, **options,
                     **{"devices": devices} if backend == "jax" else {})
    return net, step, np.linspace(-1, 1, 11), np.linspace(-1, 1, 11) ** 2


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_divergence(reduce, batch_size):
    found = []
    for backend in ("auto", "jax"):
        net, step, X, Y = diverging(backend, reduce=reduce)
        optimizer = SGD(lr=1e3, momentum=0.5)
        with pytest.raises(FloatingPointError, match="the loss of step") as error:
            step.fit(X, Y, optimizer=optimizer, epochs=500, batch_size=batch_size, seed=1)
        assert all(math.isfinite(p.data) for p in net.parameters())
        found.append([str(error.value), [p.data for p in net.parameters()], *state(optimizer)])
    (message, *numbers), (expected_message, *expected) = found
    assert message == expected_message
    # After steps of 1e3 the numbers are large; their roundings are relative.
    for x, y in zip(numbers, expected):
        assert x == pytest.approx(y, rel=1e-9)


def test_a_gradient_that_is_nan_is_named():
    """The loss is finite; of the parameters the first one of the optimizer is named."""
    messages = []
    for backend in ("auto", "jax"):
        b, a = Value(1.0, "b"), Value(0.0, "a")
        step = m.compile(lambda x, a=a, b=b: (a * x).sqrt() + (b * x - x).sqrt() + b, backend=backend, verify=0)
        optimizer = SGD([b, a], lr=0.1)
        with pytest.raises(FloatingPointError, match=r"the gradient of b in row 0 \(1\) is inf before the first step") as error:
            step.fit([1.0, 2.0], optimizer=optimizer)
        messages.append(str(error.value))
        assert (a.data, b.data, optimizer.steps) == (0.0, 1.0, 0)
    assert messages[0] == messages[1]


@pytest.mark.parametrize("rate", [math.inf, math.nan, -0.1])
def test_a_learning_rate_that_is_none(rate):
    """The steps before it are kept."""
    found = []
    for backend in ("auto", "jax"):
        net, step, X, Y = diverging(backend)
        optimizer = SGD(lr=lambda k: 0.1 if k < 4 else rate)
        with pytest.raises(FloatingPointError, match=f"the learning rate of step 4 is {rate}: no parameter was changed"):
            step.fit(X, Y, optimizer=optimizer, epochs=3, batch_size=4, seed=1)
        found.append([[p.data for p in net.parameters()], optimizer.steps])
    assert close(*found)


def test_ctrl_c_keeps_whole_steps():
    """It comes when the learning rate of the third step is asked for."""
    def rate(k):
        if k == 2 and interrupted:
            raise KeyboardInterrupt
        return 0.1

    ends = []
    for interrupted in (True, False):
        net, step, X, Y = diverging("jax")
        optimizer = Adam(lr=rate)
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                step.fit(X, Y, optimizer=optimizer, epochs=3, batch_size=5, shuffle=False)
        else:
            step.fit(X[:10], Y[:10], optimizer=optimizer, epochs=1, batch_size=5, shuffle=False)
        ends.append([[p.data for p in net.parameters()], *state(optimizer)])
    assert ends[0] == ends[1] and ends[0][-1] == 2


class Rule(Optimizer):
    """By a rule that is given as a function of the optimizer."""

    def __init__(self, how, lr=0.1):
        self.how = how
        super().__init__(None, lr, 0.0)

    def rule(self, lr, step, sqrt=math.sqrt):
        return self.how(self, lr)


def frozen(optimizer, lr):
    at = optimizer.steps % 2
    return lambda x, g: (x - (lr if at else 2 * lr) * g,)


@pytest.mark.parametrize(("how", "lr", "words"), [
    (lambda self, lr: lambda x, g: (x - lr * (g if g > 0 else 2 * g),), 0.1, "branches on a number"),
    (lambda self, lr: lambda x, g: (x - lr * (1 + self.params[0].data) * g,), 0.1, "reads .data of a Value"),
    (frozen, 0.1, "branches on a number"),
    (lambda self, lr: lambda x, g: (m.where(g > 0, x - lr * g, x - 2 * lr * g),), 0.1, "is not compiled"),
    (lambda self, lr: lambda x, g: (x - self.rate() * g,), lambda step: 0.1 / (1 + step), ""),
    (lambda self, lr: lambda x, g: (x - lr / (1 + self.steps) * g,), 0.1, ""),
])
def test_a_rule_that_looks_beyond_its_arguments(how, lr, words):
    """It is frozen by nobody: its steps are taken in Python, or what it looks at is that of the step."""
    ends = []
    for backend in ("jax", "python"):
        net, step, X, Y = diverging(backend)
        history = step.fit(X[:10], Y[:10], optimizer=Rule(how, lr), epochs=3, batch_size=5, shuffle=False)
        ends.append([p.data for p in net.parameters()])
        if backend == "jax":
            assert (words in history.ran and "steps in Python" in history.ran) if words else history.ran == "jax"
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)


def test_a_buffer_that_is_used_again():
    """A stream whose batches come in one array: JAX computes later, from numbers of its own."""
    def batches(used_again):
        rng = np.random.default_rng(1)
        room = np.zeros(4 * 4096 + 8)
        start = -room.ctypes.data % 64 // 8
        buffer = room[start:start + 4 * 4096].reshape(4096, 4)  # as JAX likes it best
        for _ in range(8):
            if not used_again:
                buffer = np.zeros((4096, 4))
            buffer[:] = rng.normal(size=buffer.shape)
            yield buffer

    ends = []
    for used_again in (True, False):
        net = MLP(3, [128, 1], rng=1)
        step = m.compile(lambda x, y, net=net: (net(x) - y) ** 2, inputs=(3, None), backend="jax")
        step.fit(batches=batches(used_again), optimizer=SGD(lr=0.01))
        ends.append([p.data for p in net.parameters()])
    assert ends[0] == ends[1]


def collectives(text):
    return re.findall(r" (all-reduce|all-gather|all-to-all|collective-\w+|reduce-scatter)(?:-start)?\(", text)


@pytest.mark.parametrize("reduce, rows", [("sum", 9), ("mean", 10)])
def test_one_reduction_a_step_and_a_question(reduce, rows):
    """With a penalty, several outputs, sums of sums; masked or not. So it says in what XLA has made of it."""
    net = MLP(2, [3, 2], activation="tanh", rng=1)

    def loss(x, y):
        a, b = net(x)
        return [(a - y) ** 2 + (b * a).exp() + 1e-3 * sum(p * p for p in net.parameters()), a, b]

    step = m.compile(loss, inputs=(2, None), backend="jax", devices=3, reduce=reduce)
    optimizer = Adam(step.params, lr=0.01)
    machine, descent = step._executors.executor("train"), StepChooser(step._executors, optimizer, reduce == "sum").choose()
    with machine.precision():
        arrays = machine.shared(machine.table(step._checks.prepared(data(rows))))
        masked = len(arrays) > 1
        assert masked == (rows == 10)
        descent.load()
        numbers = (descent.state, descent.rest, machine.replicated([0.1, 0, rows]))
        training = descent.update(masked).lower(numbers, *arrays).compile().as_text()
        parameters = machine.replicated(machine.numbers(machine.parameters))
        asking = machine.compiled(machine.uniform, masked).lower((parameters, machine.replicated(rows)), *arrays).compile().as_text()
    assert collectives(training) == collectives(asking) == ["all-reduce"]


# Precision

def test_float32():
    X, Y = data(103)
    expected = make("auto")[1].value_and_grad(X, Y)
    results = []
    for devices in (1, 3):
        step = make(devices=devices, dtype="float32")[1]
        found = step.value_and_grad(X, Y)
        assert close(found, expected, FLOAT32) and found[0] != expected[0]
        assert found[0] == float(np.float32(found[0]))
        assert close([step.map(X, Y)], [make("auto")[1].map(X, Y)], FLOAT32)
        results.append(step.fit(X, Y, optimizer=Adam(lr=0.01), epochs=3, batch_size=20, seed=1))
    assert close(*results, FLOAT32)
    assert close([results[0]], [make("auto")[1].fit(X, Y, optimizer=Adam(lr=0.01), epochs=3, batch_size=20, seed=1)], 10 * FLOAT32)


def test_float32_counts_steps_that_it_has_no_numbers_for():
    w = Value(1.0)
    step = m.compile(lambda x: w * x, backend="jax", dtype="float32")
    optimizer = SGD([w], lr=0.1)
    optimizer.steps = 2 ** 24 + 1
    step.fit([1.0, 2.0], optimizer=optimizer, epochs=3, batch_size=1)
    assert optimizer.steps == 2 ** 24 + 7


def test_float32_is_verified_without_complaint():
    """A wide network on rows that are not scaled."""
    rng = np.random.default_rng(0)
    net = MLP(30, [40, 40, 1], rng=1)
    step = m.compile(lambda x, y: (net(x) - y) ** 2, inputs=(30, None), backend="jax", dtype="float32", verify=5)
    assert step(100 * rng.normal(size=(20, 30)), rng.normal(size=20)) > 0.0


def test_numbers_that_are_too_large_for_float32():
    w = Value(1.0)
    step = m.compile(lambda x: w * x, backend="jax", dtype="float32", verify=0)
    assert list(step.map([1e300, 1.0])) == [math.inf, 1.0]
    w.data = 1e300
    assert list(step.map([2.0, 1.0])) == [math.inf, math.inf]


def test_what_the_user_has_set_stays_as_it_is():
    assert not jax.config.jax_enable_x64
    _, step = make(devices=2)
    step.fit(*data(5), epochs=2)
    assert not jax.config.jax_enable_x64
    assert jnp.zeros(1).dtype == "float32"


WITH_X64 = """
import jax, micrograd as m
jax.config.update("jax_enable_x64", True)
found = []
for options in ({}, {"backend": "jax"}, {"backend": "jax", "dtype": "float32", "devices": 2}):
    net = m.MLP(1, [4, 1], activation="tanh", rng=1)
    step = m.compile(lambda x, y: (net([x]) - y) ** 2, **options)
    X, Y = [0.1 * i for i in range(9)], [0.3] * 9
    losses = step.fit(X, Y, optimizer=m.Adam(lr=0.01), epochs=3, batch_size=5, seed=1)
    found.append([step.value(X, Y), *step.value_and_grad(X, Y)[1], *losses, *[p.data for p in step.params]])
for x, y, z in zip(*found):
    assert abs(x - y) < 1e-12 and 0 <= abs(x - z) < 1e-5, (x, y, z)
assert found[0] != found[2]
assert jax.config.jax_enable_x64 and jax.numpy.zeros(1).dtype == "float64"
f, p = step.jax(), jax.numpy.array([p.data for p in step.params])
loss, slopes = jax.jit(f)(p, (jax.numpy.array(X), jax.numpy.array(Y)))
assert loss.dtype == slopes.dtype == "float64" and abs(loss - found[2][0]) < 1e-5
print("alike")
"""


def test_where_the_user_has_float64():
    assert python(WITH_X64) == "alike\n"


def test_where_the_user_wants_no_numbers_of_mixed_kinds():
    with jax.numpy_dtype_promotion("strict"):
        _, step = make(devices=2)
        losses = step.fit(*data(5), optimizer=Adam(lr=0.01), epochs=2)
    assert losses[1] < losses[0]


# Wrong use

@pytest.mark.parametrize("options, kind, words", [
    ({"devices": 0}, ValueError, r"devices=0, and JAX has \d+ \(cpu\): give a number from 1 to"),
    ({"devices": -1}, ValueError, "devices=-1, and JAX has"), ({"devices": 999}, ValueError, "XLA_FLAGS=--xla_force_host"),
    ({"devices": "two"}, TypeError, WRONG + "'two'"), ({"devices": []}, TypeError, WRONG), ({"devices": True}, TypeError, WRONG + "True"),
    ({"devices": 1.5}, TypeError, WRONG + "1.5"), ({"devices": [0, 1]}, TypeError, WRONG), ({"devices": ["cpu"]}, TypeError, WRONG),
    ({"dtype": "float16"}, ValueError, "dtype must be float64 or float32, found 'float16'"), ({"dtype": None}, ValueError, "dtype must be"),
    ({"dtype": float}, ValueError, "dtype must be float64 or float32"),
    ({"backend": "native", "devices": 2}, ValueError, "devices and dtype are for JAX: give backend='jax'"),
    ({"backend": "auto", "dtype": "float32"}, ValueError, "devices and dtype are for JAX"),
    ({"backend": "python", "devices": "all"}, ValueError, "devices and dtype are for JAX"),
])
def test_options_of_a_wrong_kind(options, kind, words):
    w = Value(1.0)
    with pytest.raises(kind, match=words):
        m.compile(lambda x: w * x, **{"backend": "jax", **options})


def test_devices_by_name():
    w = Value(1.0)
    for devices, count in (("all", len(jax.devices())), (jax.devices()[2:4], 2), ((jax.devices()[5],), 1), (jax.devices()[:1] * 2, 1)):
        step = m.compile(lambda x: w * x, backend="jax", devices=devices)
        assert step([1.0, 2.0, 6.0]) == 3.0
        assert f"on {count} device" in str(step)


MISSING = """
import sys
sys.modules[{package!r}] = None
import micrograd as m
w = m.Value(1.0)
step = m.compile(lambda x: w * x)
assert step([1.0, 2.0]) == 1.5
for ask in ({asks}):
    try:
        ask()
    except ImportError as error:
        assert 'pip install "micrograd-lab[{package}]"' in str(error), error
    else:
        raise AssertionError(ask)
print("said")
"""


@pytest.mark.parametrize("package, asks", [
    ("jax", "lambda: m.compile(lambda x: w * x, backend='jax'), step.jax, lambda: m.compile(lambda x: w * x, backend='jax', devices=2)"),
    ("torch", "step.torch, step.torch"),
])
def test_without_the_package(package, asks):
    assert python(MISSING.format(package=package, asks=asks)) == "said\n"


# The pure functions

@pytest.fixture(scope="module")
def pure():
    """A compiled loss, its pure function for JAX, its parameters, and a batch."""
    net = MLP(2, [2, 1], activation="tanh", rng=1)
    step = m.compile(lambda x, y: (net(x) - y) ** 2, inputs=(2, None))
    X, Y = data(12)
    return step, step.jax(), jnp.array([p.data for p in step.params]), (jnp.array(X), jnp.array(Y)), (X, Y)


def test_a_pure_function_for_jax(pure):
    step, f, params, batch, (X, Y) = pure
    loss, slopes = jax.jit(f)(params, batch)
    assert close([loss, slopes], step.value_and_grad(X, Y), FLOAT32)
    assert loss.shape == () and loss.dtype == slopes.dtype == "float32" and slopes.shape == params.shape
    again = jax.jit(f)(params, batch)
    assert again[0] == loss and (again[1] == slopes).all()
    assert close(f(params, batch), step.value_and_grad(X, Y), FLOAT32)
    several = jax.jit(jax.vmap(f, in_axes=(0, None)))(jnp.stack([params, 2 * params]), batch)
    assert close([several[0][0], several[1][0]], [loss, slopes], FLOAT32)
    assert close([several[0][1], several[1][1]], f(2 * params, batch), FLOAT32)


def test_it_is_what_jax_would_differentiate(pure):
    _, f, params, batch, _ = pure
    assert close([jax.jit(jax.grad(lambda p: f(p, batch)[0]))(params)], [f(params, batch)[1]], FLOAT32)


def test_a_pure_function_reads_nothing_else(pure):
    """Neither the parameters, but those that are frozen, nor the gradients; nor does it change them."""
    a, b = Value(2.0), Value(3.0)
    step = m.compile(lambda x: a * x + b, params=[a])
    for f, array_of in ((step.jax(), jnp.array), (step.numpy(), np.array)):
        params = array_of([2.0])
        before = f(params, array_of([[1.0], [3.0]]))
        a.data, b.data, a.grad = 20.0, 30.0, 7.0
        after = f(params, array_of([[1.0], [3.0]]))
        assert before[0] == after[0] == 7.0 and before[1][0] == after[1][0] == 2.0 and a.grad == 7.0
        a.data, b.data, a.grad = 2.0, 3.0, 0.0


def test_tables_tuples_lists_and_numbers_as_a_batch(pure):
    step, f, params, (X, Y), _ = pure
    expected = f(params, (X, Y))
    wanted = [np.asarray(part) for part in expected]
    for batch in (jnp.column_stack([X, Y]), [X, Y], (X, Y[:, None]), (np.asarray(X, float), np.asarray(Y, int)), (X.tolist(), Y.tolist()),
                  np.column_stack([X, Y]).tolist()):
        assert close(f(params, batch), wanted, FLOAT32)
    assert close(f(np.asarray(params, float), (X, Y)), wanted, FLOAT32)
    square = np.column_stack([X, Y])[:3]  # rows, although there are as many as columns
    assert close(f(params, square.tolist()), [np.asarray(part) for part in f(params, square)], FLOAT32)
    assert close(f(params, (X, 1.0)), step.value_and_grad(np.asarray(X, float), 1.0), FLOAT32)


@pytest.mark.parametrize("call, words", [
    (lambda f, p, X, Y: f(p[:3], (X, Y)), r"params must be an array of jax of 9 floats, .* found float32 \(3,\)"),
    (lambda f, p, X, Y: f(p[None], (X, Y)), r"found float32 \(1, 9\)"),
    (lambda f, p, X, Y: f(p.astype(int), (X, Y)), r"9 floats, .* found int32 \(9,\)"),
    (lambda f, p, X, Y: f([0.0] * 9, (X, Y)), r"params must be an array of jax .* found \[0\.0, "),
    (lambda f, p, X, Y: f(p, X), r"batch must be a table of 3 columns, x \(2\), y \(1\), .* found shapes \(12, 2\)"),
    (lambda f, p, X, Y: f(p, (X, Y[:5])), r"found shapes \(12, 2\), \(5,\)"),
    (lambda f, p, X, Y: f(p, (Y, X)), r"in this order; found shapes \(12,\), \(12, 2\)"),
    (lambda f, p, X, Y: f(p, [X[:, 0].tolist(), X[:, 1].tolist(), Y.tolist()]), r"found shapes \(3, 12\)"),
    (lambda f, p, X, Y: f(p, (X.T, Y)), r"found shapes \(2, 12\), \(12,\)"),
    (lambda f, p, X, Y: f(p, (X,)), r"found shapes \(12, 2\)"), (lambda f, p, X, Y: f(p, Y), r"found shapes \(12,\)"),
    (lambda f, p, X, Y: f(p, (X[:0], Y[:0])), r"with at least one row, .* found shapes \(0, 2\), \(0,\)"),
    (lambda f, p, X, Y: f(p, (X[None], Y)), r"found shapes \(1, 12, 2\)"), (lambda f, p, X, Y: f(p, (1.0, 2.0)), r"found shapes \(\), \(\)"),
    (lambda f, p, X, Y: jax.jit(f)(p, (X, Y[:5])), r"found shapes \(12, 2\), \(5,\)"), (lambda f, p, X, Y: f(p, ()), "batch must be a table"),
])
def test_shapes_that_do_not_fit(pure, call, words):
    _, f, params, batch, _ = pure
    with pytest.raises(ValueError, match=words):
        call(f, params, *batch)


def test_optax_runs_on_it():
    optax = pytest.importorskip("optax", reason="optax is not installed: pip install optax")
    _, step = make("auto")
    X, Y = data(20)
    optimizer = optax.sgd(0.1, momentum=0.5)
    f, params = jax.jit(step.jax()), jnp.array([p.data for p in step.params])
    memory = optimizer.init(params)
    losses = []
    for _ in range(5):
        loss, slopes = f(params, (X, Y))
        changes, memory = optimizer.update(slopes, memory)
        params = optax.apply_updates(params, changes)
        losses.append(float(loss))
    assert close([losses], [step.fit(X, Y, optimizer=SGD(lr=0.1, momentum=0.5), epochs=5)], FLOAT32)
    assert close([params], [[p.data for p in step.params]], FLOAT32)


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_pure_functions_of_several_outputs(reduce):
    w, b = Value(0.5), Value(-1.0)
    step = m.compile(lambda x, y: [(w * x + b - y) ** 2, w * x, w * b], reduce=reduce)
    X, Y = data(9)[0].T
    expected = step.value_and_grad(X, Y)
    for f, array_of, tolerance in ((step.jax(), jnp.array, FLOAT32), (step.numpy(), np.array, CLOSE)):
        means, slopes = f(array_of([p.data for p in step.params]), (array_of(X), array_of(Y)))
        assert close([means, slopes], expected, 9 * tolerance)


def test_pure_functions_for_numpy(pure):
    step, _, _, _, (X, Y) = pure
    f = step.numpy()
    numbers = np.array([p.data for p in step.params])
    assert close(f(numbers, (X, Y)), step.value_and_grad(X, Y))
    loss, slopes = f(numbers.astype("float32"), (X, Y))
    assert loss.dtype == slopes.dtype == "float32"
    assert close([loss, slopes], step.value_and_grad(X, Y), FLOAT32)


def test_pure_functions_for_torch(pure):
    torch = pytest.importorskip("torch", reason='torch is not installed: pip install "micrograd-lab[torch]"')
    step, _, _, _, (X, Y) = pure
    f = step.torch()
    for dtype, tolerance in ((torch.float64, CLOSE), (torch.float32, FLOAT32)):
        params = torch.tensor([p.data for p in step.params], dtype=dtype, requires_grad=True)
        for batch in ((torch.tensor(X), torch.tensor(Y)), torch.tensor(np.column_stack([X, Y])), (X, Y)):
            loss, slopes = f(params, batch)
            assert loss.dtype == slopes.dtype == dtype
            assert close([loss.item(), slopes.tolist()], step.value_and_grad(X, Y), tolerance)
    loss.backward()
    assert close([params.grad.tolist()], [slopes.tolist()], FLOAT32)  # autograd finds the same
    with pytest.raises(ValueError, match=r"params must be an array of torch of 9 floats, .* found torch\.float32 \(8,\)"):
        f(params[1:], (X, Y))


def test_nothing_heavy_is_loaded_before_it_is_asked_for():
    code = ("import sys, micrograd as m; w = m.Value(1.0); m.compile(lambda x: w * x).fit([1.0]); "
            "print([name for name in ('numpy', 'jax', 'torch', 'safetensors') if name in sys.modules])")
    assert python(code) == "[]\n"


def test_the_kernel_answers_for_one_sample_where_there_is_one():
    step = make()[1]
    step([1.0, 2.0], 1.0)
    assert ("native" in type(step._singles["map"]).__module__) == (executors.native is not None)


FACTOR = 1.0


class Global(Optimizer):
    """By a rule that reads a global."""

    def rule(self, lr, step, sqrt=math.sqrt):
        return lambda x, g: (x - FACTOR * lr * g,)


def test_each_fit_reads_the_globals_of_a_rule_anew(monkeypatch):
    """And compiles its steps anew only where they are others."""
    w = Value(0.0)
    step = m.compile(lambda x: w * x, backend="jax", verify=0)
    optimizer, compiled = Global([w], 1.0), []
    for factor in (1.0, 4.0, 4.0, 1.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        w.data = 0.0
        step.fit([1.0], epochs=2, optimizer=optimizer)
        compiled.append(step._executors.executor("train").steps)
        assert w.data == -2.0 * factor
    assert compiled[1] is compiled[2] and len(set(map(id, compiled))) == 3


def test_optimizers_of_the_same_settings_share_what_was_compiled():
    w, other = Value(0.0), Value(0.0)
    step = m.compile(lambda x: (w - x) ** 2 + (other - 2 * x) ** 2, backend="jax", verify=0)
    machine = step._executors.executor("train")

    def run(optimizer):
        w.data = other.data = 0.0
        step.fit([1.0, 2.0], epochs=3, optimizer=optimizer)
        return w.data, other.data, optimizer.steps, machine.steps.compiled[False]

    first = run(Adam(lr=0.1))
    assert run(Adam(lr=0.1)) == first == run(Adam([other, w], lr=0.1))
    slower = run(Adam(lr=0.01))
    assert slower[3] is first[3] and slower[:2] != first[:2]
    assert run(Adam(lr=0.1, eps=0.5))[3] is not first[3] and run(SGD(lr=0.1))[3] is not first[3]
    assert run(Adam(lr=0.1))[:3] == first[:3]
