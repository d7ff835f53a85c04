"""A user's programs, for type checkers: all of this is right, and must stay so under `mypy --strict` and pyright.

`test_types.py` hands it to both, and runs it besides, so that what a checker believes is what happens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_origin

import micrograd
import micrograd as mg
from micrograd import MLP, Adam, Compiled, Value, check_gradients, draw, exp, explain, fit, grad, losses, tanh
from micrograd import compile as mg_compile
from micrograd.losses import cross_entropy

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:
    def assert_type(found, kind):
        """What a checker says of the type is so: list[float] is a list of floats."""
        assert isinstance(found, get_origin(kind) or kind), (found, kind)
        for inside in get_args(kind):
            assert found
            assert all(isinstance(one, inside) for one in found), (found, kind)


def neuron(x1: Value, x2: Value, w: Sequence[Value], b: Value) -> Value:
    return (w[0] * x1 + w[1] * x2 + b).tanh()


def the_original() -> None:
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert_type(g, Value)
    assert_type(a.grad, float)
    assert_type(g.data, float)
    print(f"{g.data:.4f} {a.grad:.4f} {g:.2f}")
    print(neuron(a, b, [Value(0.1), Value(0.2)], Value(0.3)))
    a.data -= 0.1 * a.grad
    if a < b and a <= 2.0 and not a.isnan():
        print(max(a, b), float(a), int(a), abs(a), -a, 2**a, a % 2, a // 2, divmod(a, 2), sum([a, b]))


def ops_of_numbers_and_of_values() -> None:
    x = Value(0.5, "x")
    assert_type(mg.exp(0.5), float)
    assert_type(mg.exp(1), float)
    assert_type(mg.exp(x), Value)
    assert_type(exp(x) + tanh(0.5), Value)
    assert_type(mg.hypot(x, 2.0), Value)
    assert_type(mg.hypot(2, x), Value)
    assert_type(mg.hypot(2.0, 3.0), float)
    assert_type(mg.leaky_relu(x), Value)
    assert_type(mg.where(x > 0, x, 0.0), Value)
    assert_type(mg.where(x > 0, 0.0, x), Value)
    assert_type(mg.where(True, 0.0, 1.0), float)
    assert_type(mg.abs(x) + mg.pow(x, 2) + mg.round(x), Value)
    assert_type(x.sin().log1p().softplus(), Value)
    either: Value | float = x if random.random() < 2 else 0.0
    assert_type(Value.sum([mg.exp(either), 1.0]), Value)
    assert_type(Value.dot([x, 2.0], [1.0, x], bias=0.5), Value)
    square = mg.op("typed_square", lambda x: x * x, lambda y, x: 2 * x, latex="{0:atom}^2", binds="power")
    assert_type(square(x), Value)
    assert_type(square(3.0), float)


def functions_and_their_derivatives() -> None:
    def f(x: Value) -> Value:
        return x**3

    slope = mg.grad(f)
    assert_type(slope(2.0), float)
    assert_type(grad(slope)(2), float)
    assert_type(mg.grad(lambda x: x * x)(Value(2.0)), Value)
    assert_type(mg.grad(lambda v: v[0] * v[1])([2.0, 3.0]), list[float])
    assert_type(mg.grad(lambda v: v[0] * v[1])([Value(2.0), Value(3.0)]), list[Value])
    dx, dy = mg.grad(lambda x, y: x * y)(2.0, 3.0)
    assert_type(dx, float)
    print(dx + dy, mg.grad(lambda x, y: x * y, wrt=1)(2.0, 3.0), mg.grad(lambda p: p["w"])({"w": 1.0})["w"])
    y, dy = mg.value_and_grad(f)(2.0)
    assert_type(y, float)
    assert_type(dy, float)
    x = Value(2.0)
    z = f(x)
    assert_type(mg.gradient(z, x), Value)
    assert_type(mg.gradient(z, [x]), list[Value])
    value, pullback = mg.vjp(f, 2.0)
    print(value, pullback(1.0), mg.jvp(f, (2.0,), (1.0,)), mg.hvp(f, (2.0,), (1.0,)))
    print(mg.jacobian(lambda v: [v[0], v[1]])([1.0, 2.0])[0][1], mg.hessian(f)(2.0))
    report = check_gradients(f, 2.0)
    assert_type(report, mg.GradientReport)
    assert report


def training() -> None:
    net = MLP(2, [3, 2], activation="tanh", rng=random.Random(1))
    X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    logits = net([0.0, 1.0])
    print(logits[0].data + 1.0, net(X[0])[1])
    assert_type(mg.Neuron(2)([1.0, 2.0]), Value)
    one = mg.MLP(2, [1], output="sigmoid")
    loss: Value = (one([1.0, 2.0]) - 1.0) ** 2
    loss.backward()
    history = fit(net, X, y, loss=cross_entropy, optimizer=Adam(lr=0.01), epochs=2, progress=False, seed=1)
    assert_type(history, mg.History)
    assert_type(mg.accuracy(net, X, y), float)
    train_X, test_X, train_y, test_y = mg.train_test_split(X, y, test=0.5, seed=1)
    print(len(train_X), len(test_X), len(train_y), len(test_y), history.loss[-1])
    optimizer = mg.SGD(net.parameters(), lr=mg.optim.cosine_decay(0.1, steps=10), momentum=0.9)
    for _ in range(2):
        total = losses.cross_entropy(net(X[0]), 1) + losses.l2_penalty(net.parameters(), 1e-3)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    for p in net.parameters():
        p.data += -0.1 * p.grad
    net.load_state_dict(net.state_dict())
    scaler = mg.Standardizer.of(X)
    print(scaler(X[0]), net.predict(X))


class Squared(mg.Module):
    """A network of the user's own."""

    def __init__(self) -> None:
        self.w = [Value(0.1, "w")]

    def __call__(self, x: Sequence[float]) -> Value:
        return self.w[0] * x[0] ** 2


def compiled() -> None:
    w = Value(2.0, "w")

    def loss(x: Value, y: Value) -> Value:
        return (w * x - y) ** 2

    step = mg.compile(loss)
    assert_type(step([1.0, 2.0], [3.0, 4.0]), float)
    assert_type(step.fit([1.0, 2.0], [3.0, 4.0], optimizer=mg.SGD(lr=0.1), epochs=2), mg.History)
    also: Compiled = mg_compile(lambda x, y: (w * x - y) ** 2)
    print(also(1.0, 2.0), also.grad(1.0, 2.0), step.map([1.0], [2.0])[0], step.plan, also.source)
    two = mg.compile(MLP(2, [2]))
    a, b = two([1.0, 2.0])
    print(a + b)
    net = Squared()
    assert_type(net([2.0]), Value)
    try:
        mg.compile(lambda x: w if x > 0 else x)
    except mg.TraceError as error:
        print(str(error))


def reading(folder: Path) -> None:
    w, x, b, y = Value(0.5, "w"), Value(1.5, "x"), Value(0.1, "b"), Value(1.0, "y")
    z = w * x + b
    z.label = "z"
    a = z.sigmoid()
    a.label = "a"
    C = 0.5 * (y - a) ** 2
    C.label = "C"
    print(explain(C, wrt=w), mg.explain(C, wrt=w, form="delta").to_mathml(), mg.latex(C), mg.text(C))
    mg.draw.renderer = lambda dot: "<svg></svg>" if dot else ""
    mg.draw.renderer = None
    print(mg.steps(C), mg.stepper(C), mg.diagnose(C), mg.nudge(C, w, 0.1), len(draw(C).source))
    report = mg.grade(C, {"z": "-0.0628", "w": -0.0942})
    print(report.answers["w"].verdict, mg.grade_class(C, {"Ann": {"w": 0.1}}))
    mg.stepper({"one": C}).save(folder / "page.html")
    net = mg.MLP(2, [2])
    net.save(folder / "net.json")
    assert_type(mg.MLP.load(folder / "net.json"), mg.MLP)
    print(mg.topological_order(C)[-1] is C, mg.engine_kind(), micrograd.__version__)


def main(folder: Path) -> None:
    the_original()
    ops_of_numbers_and_of_values()
    functions_and_their_derivatives()
    training()
    compiled()
    reading(folder)
