"""The same seeded programs with Karpathy's micrograd 0.1.0 and with ours, digit by digit.

The two packages have the same name, so the original runs in a process of its own, from a folder made by
`pip install --target FOLDER micrograd==0.1.0` that the environment variable MICROGRAD_ORIGINAL names.
"""

import json
import os
import subprocess
import sys

import pytest

FOLDER = os.environ.get("MICROGRAD_ORIGINAL")
pytestmark = pytest.mark.skipif(not FOLDER, reason="MICROGRAD_ORIGINAL names no folder with micrograd 0.1.0")

README = """
from micrograd.engine import Value
a, b = Value(-4.0), Value(2.0)
c = a + b
d = a * b + b**3
c += c + 1
c += 1 + c + (-a)
d += d * 2 + (b + a).relu()
d += 3 * d + (b - a).relu()
e = c - d
f = e**2
g = f / 2.0
g += 10.0 / f
g.backward()
exact, close = [c.data, d.data, e.data, f.data], [g.data, a.grad, b.grad]
"""

MLP = """
import random
from micrograd.engine import Value
from micrograd.nn import MLP
random.seed(1337)
net = MLP(3, [4, 4, 1])
xs = [[random.uniform(-2, 2) for _ in range(3)] for _ in range(10)]
outputs = [net(x) for x in xs]
loss = sum((y - 1)**2 for y in outputs)
net.zero_grad()
loss.backward()
exact = [p.data for p in net.parameters()] + [y.data for y in outputs] + [loss.data, random.random()]
close = [p.grad for p in net.parameters()]
wide = MLP(2, [16, 16, 2])
exact += [p.data for p in wide.parameters()] + [y.data for y in wide([0.5, -1.5])] + [random.random()]
"""

DEMO = """
import random
from micrograd.engine import Value
from micrograd.nn import MLP
random.seed(7)
X = [(random.gauss(0, 1), random.gauss(0, 1)) for _ in range(30)]
y = [1 if a * b > 0 else -1 for a, b in X]
model = MLP(2, [8, 8, 1])
exact, close = [], []
for k in range(5):
    scores = [model(list(map(Value, row))) for row in X]
    losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    total = data_loss + 1e-4 * sum(p * p for p in model.parameters())
    (exact if k == 0 else close).extend([s.data for s in scores] + [total.data])
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= (1.0 - 0.9 * k / 100) * p.grad
close += [p.data for p in model.parameters()]
"""

SHOWN = """
import random
from micrograd.engine import Value
from micrograd.nn import Neuron, Layer, MLP
random.seed(0)
shown = [str(Neuron(2)), str(Neuron(2, nonlin=False)), str(Layer(2, 3)), str(MLP(2, [3, 1]))]
shown += [len(MLP(3, [4, 4, 1]).parameters()), [v._op for v in (Value(1) + 2, Value(1) * 2, Value(1).relu())]]
exact, close = shown, []
"""


def with_the_original(program):
    source = f"{program}\nimport json, micrograd\nprint(json.dumps([exact, close, micrograd.__file__]))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": FOLDER}
    finished = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, cwd=FOLDER, env=environment)
    assert finished.returncode == 0, finished.stderr
    exact, close, file = json.loads(finished.stdout)
    assert os.path.realpath(file).startswith(os.path.realpath(FOLDER)), f"ran {file}, not the original"
    return exact, close


@pytest.mark.parametrize("program", [README, MLP, DEMO, SHOWN], ids=["readme", "mlp", "demo", "shown"])
def test_seeded_programs_give_the_digits_of_the_original(program):
    ours = {}
    exec(program, ours)
    exact, close = with_the_original(program)
    assert len(exact) > 3 and len(ours["exact"]) == len(exact) and len(ours["close"]) == len(close)
    assert ours["exact"] == exact
    # Gradients add up in another order, and a / b is not a * b**-1: a rounding here and there
    assert ours["close"] == pytest.approx(close, rel=1e-12, abs=1e-14)
