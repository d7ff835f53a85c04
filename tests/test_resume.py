"""Runs that are cut short and go on: the same numbers to the last bit, by every backend; and training on streams."""

import importlib.util
import itertools
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref

import pytest

pytest.importorskip("safetensors.numpy", reason='safetensors is not installed: pip install "micrograd-lab[safetensors]"')

import numpy as np

import micrograd as m
from micrograd import MLP, SGD, Adam, Value
from micrograd.compiler import executors
from micrograd.optim import Optimizer
from micrograd.training.schedules import cosine_decay

BACKENDS = ["python"] + (["native"] if executors.native is not None else [])
STEPS = 1e-10  # some dozens of gradient steps, each of which hands its roundings on to the next

without_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None,
                                 reason='JAX is not installed: pip install "micrograd-lab[jax]"')
every_backend = pytest.mark.parametrize("backend", [*BACKENDS, pytest.param("jax", marks=without_jax)])
X = [[math.sin(3.1 * i + j) for j in range(2)] for i in range(23)]
Y = [a * b for a, b in X]


def make(backend, start=1, **options):
    """All afresh, as in a new process."""
    net = MLP(2, [3, 1], activation="tanh", rng=start)

    def loss(x, y):
        return (net(x) - y) ** 2

    if backend == "jax":
        options.setdefault("devices", 2)
    return net, m.compile(loss, inputs=(2, None), backend=backend, verify=0, **options)


OPTIMIZERS = {
    "sgd": lambda: SGD(lr=0.1), "momentum": lambda: SGD(lr=cosine_decay(0.1, 30), momentum=0.9), "adam": lambda: Adam(lr=0.01),
}


def run(backend, optimizer, *, start=1, stop=None, **options):
    """Train a network that is made for it; all that is left behind. stop: raise KeyboardInterrupt when the learning rate
    of that step is asked for."""
    net, step = make(backend, start)
    lr = optimizer.lr

    def rate(k):
        if k >= stop:
            raise KeyboardInterrupt
        return lr(k) if callable(lr) else lr

    if stop is not None:
        optimizer.lr = rate
        with pytest.raises(KeyboardInterrupt):
            step.fit(X, Y, optimizer=optimizer, **options)
        return None
    losses = step.fit(X, Y, optimizer=optimizer, **options)
    return [losses, [p.data for p in net.parameters()], [p.grad for p in net.parameters()], optimizer.steps,
            optimizer.state_dict()]


# A table

@every_backend
@pytest.mark.parametrize("name, batch_size", [("momentum", 7), ("adam", 7), ("adam", None), ("sgd", 7)])
def test_three_epochs_and_three_are_six(backend, name, batch_size, tmp_path):
    """To the last bit. The network of the second run starts with other numbers, which must not matter."""
    options = {"batch_size": batch_size, "seed": 5}
    whole = run(backend, OPTIMIZERS[name](), epochs=6, **options)
    first = run(backend, OPTIMIZERS[name](), epochs=3, checkpoint=tmp_path / "run", **options)
    assert first[0] == whole[0][:3] and first[1] != whole[1]
    assert run(backend, OPTIMIZERS[name](), start=2, epochs=6, checkpoint=tmp_path / "run", **options) == whole
    assert run(backend, OPTIMIZERS[name](), start=3, epochs=6, checkpoint=tmp_path / "run", **options) == whole  # none left
    assert run(backend, OPTIMIZERS[name](), start=3, epochs=2, checkpoint=tmp_path / "run", **options) == whole  # fewer


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_order_that_nobody_has_chosen_goes_on_too(backend, tmp_path):
    """Without a seed the generator starts anywhere; where it was is in the file."""
    first = run(backend, Adam(lr=0.01), epochs=3, batch_size=7, checkpoint=tmp_path / "run")
    ends = []
    for name in ("a", "b"):
        shutil.copy(tmp_path / "run", tmp_path / name)
        ends.append(run(backend, Adam(lr=0.01), epochs=6, batch_size=7, checkpoint=tmp_path / name))
    assert ends[0] == ends[1] and ends[0][0][:3] == first[0]
    assert run(backend, Adam(lr=0.01), epochs=6, batch_size=7) != ends[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_the_order_of_the_table(backend, tmp_path):
    whole = run(backend, Adam(lr=0.01), epochs=4, batch_size=7, shuffle=False)
    for epochs in (1, 4):
        last = run(backend, Adam(lr=0.01), epochs=epochs, batch_size=7, shuffle=False, checkpoint=tmp_path / "run")
    assert last == whole


@every_backend
def test_every_second_epoch(backend, tmp_path):
    """The fifth epoch is interrupted in its third step: what goes on is what was there after the fourth."""
    whole = run(backend, OPTIMIZERS["momentum"](), epochs=7, batch_size=7, seed=5)
    options = {"epochs": 7, "batch_size": 7, "seed": 5, "checkpoint": tmp_path / "run", "every": 2}

    def facts(optimizer):  # the learning rate of both runs is a function
        optimizer.lr = lambda k, lr=optimizer.lr: lr(k)
        return optimizer

    run(backend, facts(OPTIMIZERS["momentum"]()), stop=4 * 4 + 2, **options)
    from safetensors import safe_open
    with safe_open(tmp_path / "run", framework="numpy") as file:
        assert file.get_tensor("losses").tolist() == whole[0][:4]
    assert run(backend, facts(OPTIMIZERS["momentum"]()), start=2, **options) == whole
    with safe_open(tmp_path / "run", framework="numpy") as file:
        assert file.get_tensor("losses").tolist() == whole[0]  # the end is written, too


@pytest.mark.parametrize("backend", BACKENDS)
def test_until(backend, tmp_path):
    """A run that has reached it is over, however often it is started."""
    whole = run(backend, Adam(lr=0.05), epochs=30, batch_size=7, seed=5)
    goal = whole[0][6]
    options = {"epochs": 30, "batch_size": 7, "seed": 5, "until": goal, "checkpoint": tmp_path / "run", "every": 4}
    first = run(backend, Adam(lr=0.05), **options)
    assert first[0] == whole[0][:next(i for i, loss in enumerate(whole[0]) if loss <= goal) + 1]
    assert run(backend, Adam(lr=0.05), start=2, **options) == first
    assert run(backend, Adam(lr=0.05), start=2, **{**options, "until": None}) == whole  # which is no fact of a run


@without_jax
def test_another_backend_goes_on_with_the_run(tmp_path):
    """But for roundings."""
    ways = [*BACKENDS, "jax"]
    whole = run("python", Adam(lr=0.01), epochs=2 * len(ways), batch_size=7, seed=5)
    for i, backend in enumerate(ways, 1):
        last = run(backend, Adam(lr=0.01), epochs=2 * i, batch_size=7, seed=5, checkpoint=tmp_path / "run")
    for found, expected in zip(last[:3], whole[:3]):
        assert found == pytest.approx(expected, rel=STEPS, abs=STEPS)


@every_backend
def test_parameters_that_are_not_trained(backend, tmp_path):
    """They are kept in the file: the features may have been drawn at random."""
    def train(seed, epochs, **options):
        net = MLP(2, [3, 1], activation="tanh", rng=seed)
        step = m.compile(lambda x, y: (net(x) - y) ** 2, inputs=(2, None), backend=backend, verify=0,
                         params=net.layers[1].parameters())
        optimizer = SGD(net.layers[1].parameters()[1:], lr=0.1, momentum=0.5)
        losses = step.fit(X, Y, optimizer=optimizer, epochs=epochs, seed=5, batch_size=7, **options)
        return losses, [p.data for p in net.parameters()], optimizer.state_dict()

    whole = train(1, 4)
    train(1, 2, checkpoint=tmp_path / "run")
    assert train(2, 4, checkpoint=tmp_path / "run") == whole


class Trust(Optimizer):
    """Of the user's own, by update, with a memory."""

    remembers = ("last",)

    def __init__(self, lr):
        super().__init__(None, lr, 0.0)

    def update(self, before, gradients, lr):
        moves = [lr * g + 0.5 * x for g, x in zip(gradients, self.last)]
        self.last = moves
        return [x - move for x, move in zip(before, moves)]


class Forgetful(Optimizer):
    """It does not say what it keeps."""

    def __init__(self):
        super().__init__(None, 0.1, 0.0)

    def update(self, before, gradients, lr):
        return before


@every_backend
def test_an_optimizer_of_ones_own(backend, tmp_path):
    whole = run(backend, Trust(0.1), epochs=4, batch_size=12, seed=5)
    for epochs in (2, 4):
        last = run(backend, Trust(0.1), epochs=epochs, batch_size=12, seed=5, checkpoint=tmp_path / "run")
    assert last == whole
    _, step = make(backend)
    with pytest.raises(TypeError, match="Forgetful does not say what it keeps"):
        step.fit(X, Y, optimizer=Forgetful(), checkpoint=tmp_path / "other")
    assert not (tmp_path / "other").exists()


# Wrong files, folders, packages

def swapped(net):
    return SGD(net.parameters()[::-1], lr=0.1, momentum=0.5)


@pytest.mark.parametrize("change, words", [
    ({"optimizer": Adam(lr=0.1)}, r"optimizer\.optimizer is 'SGD' in the file, and 'Adam' now"),
    ({"optimizer": SGD(lr=0.2, momentum=0.5)}, r"optimizer\.lr is 0\.1 in the file, and 0\.2 now"),
    ({"optimizer": SGD(lr=0.1, momentum=0.6)}, r"optimizer\.momentum is 0\.5 in the file"),
    ({"optimizer": swapped}, "trained is 'all' in the file, and 13 items, "),
    ({"rows": 22}, "rows is 23 in the file, and 22 now"), ({"batch_size": 8}, "batch_size is 7 in the file, and 8 now"),
    ({"seed": 6}, "seed is '5' in the file, and '6' now"), ({"shuffle": False}, "shuffle is True in the file, and False now"),
    ({"reduce": "sum"}, "reduce is 'mean' in the file, and 'sum' now"),
    ({"batches": True}, "rows is 23 in the file, and 0 now"),
])
@pytest.mark.parametrize("backend", BACKENDS[-1:])
def test_the_file_of_another_run(backend, change, words, tmp_path):
    """Nothing is changed, neither the network, nor the optimizer, nor the file."""
    path = tmp_path / "run"
    run(backend, SGD(lr=0.1, momentum=0.5), epochs=1, batch_size=7, seed=5, checkpoint=path)
    content = path.read_bytes()
    net, step = make(backend, 3, reduce=change.get("reduce", "mean"))
    optimizer = change.get("optimizer") or SGD(lr=0.1, momentum=0.5)
    optimizer = optimizer if isinstance(optimizer, Optimizer) else optimizer(net)
    before = [p.data for p in net.parameters()]
    options = {"batch_size": 7, "seed": 5, "shuffle": True,
               **{key: x for key, x in change.items() if key in ("batch_size", "seed", "shuffle")}}
    rows = change.get("rows", 23)
    given = () if "batches" in change else (X[:rows], Y[:rows])
    with pytest.raises(ValueError, match=f"run holds another run: {words}"):
        step.fit(*given, optimizer=optimizer, epochs=2, checkpoint=path, **options,
                 **{"batches": [(X, Y)]} if "batches" in change else {})
    assert [p.data for p in net.parameters()] == before and all(p.grad == 0.0 for p in net.parameters())
    assert optimizer.steps == 0 and not any(map(any, optimizer.state_dict().values()))
    assert path.read_bytes() == content


def test_a_network_of_another_shape(tmp_path):
    run("python", SGD(lr=0.1), epochs=1, seed=5, checkpoint=tmp_path / "run")
    net = MLP(2, [4, 1], rng=1)
    step = m.compile(lambda x, y: (net(x) - y) ** 2, inputs=(2, None))
    with pytest.raises(ValueError, match="holds another run"):
        step.fit(X, Y, optimizer=SGD(lr=0.1), seed=5, checkpoint=tmp_path / "run")


@pytest.mark.parametrize("activation, power", [("sigmoid", 2), ("tanh", 4)])
def test_a_formula_that_was_changed(activation, power, tmp_path):
    """As many parameters, which are not those of this function."""
    def step(activation, power):
        net = MLP(2, [3, 1], activation=activation, rng=1)
        return m.compile(lambda x, y: (net(x) - y) ** power, inputs=(2, None))

    options = {"optimizer": SGD(lr=0.1), "seed": 5, "checkpoint": tmp_path / "run"}
    step("tanh", 2).fit(X, Y, epochs=1, **options)
    with pytest.raises(ValueError, match=r"another run: the checksum of its operations is '[0-9a-f]{8}' in the file, and"):
        step(activation, power).fit(X, Y, epochs=2, **{**options, "optimizer": SGD(lr=0.1)})
    assert len(step("tanh", 2).fit(X, Y, epochs=2, **{**options, "optimizer": SGD(lr=0.1)})) == 2


class Pulled(Optimizer):
    """With a setting that its rule depends on."""

    def __init__(self, pull):
        self.pull = pull
        super().__init__(lr=0.1)

    def rule(self, lr, step, sqrt=math.sqrt):
        return lambda x, g: (x - lr * g - self.pull * x,)


def test_other_settings_of_an_optimizer_of_ones_own_are_another_run(tmp_path):
    for door in (lambda pull, epochs: make("python")[1].fit(X, Y, epochs=epochs, seed=1, optimizer=Pulled(pull), checkpoint=tmp_path / "a"),
                 lambda pull, epochs: m.fit(make("python")[0], X, Y, epochs=epochs, seed=1, optimizer=Pulled(pull), checkpoint=tmp_path / "b")):
        door(0.25, 1)
        with pytest.raises(ValueError, match=r"holds another run: optimizer\.pull is 0\.25 in the file, and 0\.5 now; delete the file"):
            door(0.5, 2)
        assert len(door(0.25, 2)) == 2


@pytest.mark.parametrize("epochs, backend", [(9, "auto"), (60, "auto"), (60, "eager")])
def test_a_network_goes_on_bit_for_bit_for_as_many_epochs(epochs, backend, tmp_path):
    """Eagerly, as there are so few samples, or by the compiled loss."""
    def run(name, end=None):
        net = MLP(2, [3, 1], activation="tanh", rng=1)

        def interrupt(history):
            if len(history) == end:
                raise KeyboardInterrupt

        history = m.fit(net, X, Y, epochs=epochs, batch_size=4, seed=1, optimizer=Adam(lr=0.05), validation=0.25, patience=epochs,
                        backend=backend, checkpoint=tmp_path / name, every=2, progress=False, callback=interrupt)
        return history.to_dict(), [p.data.hex() for p in net.parameters()]

    assert run("a", end=5)[0]["stopped"] == "interrupted"
    assert run("a") == run("b")


def test_where_nothing_can_be_written_nothing_is_trained(tmp_path, monkeypatch):
    net, step = make("python")
    before = [p.data for p in net.parameters()]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        step.fit(X, Y, checkpoint=tmp_path / "runs" / "1")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'safetensors.*pip install "micrograd-lab\[safetensors\]"'):
        step.fit(X, Y, checkpoint=tmp_path / "run")
    assert [p.data for p in net.parameters()] == before and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_every_is_a_count(every, tmp_path):
    with pytest.raises(ValueError, match="every must be a whole number >= 1"):
        make("python")[1].fit(X, Y, every=every, checkpoint=tmp_path / "run")


@every_backend
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_can_go_on_from_its_last_file(backend, tmp_path):
    """It diverges again, at the same step, with the same numbers."""
    ends = []
    for _ in range(2):
        net = MLP(1, [2, 1], rng=1)
        step = m.compile(lambda x, y, net=net: (net([x]) - y) ** 2, backend=backend, verify=0)
        optimizer = SGD(lr=30.0)
        with pytest.raises(FloatingPointError) as error:
            step.fit([-1.0, 0.5, 1.0, 2.0], [1.0, 0.0, 1.0, 4.0], optimizer=optimizer, epochs=2000, batch_size=2, seed=1,
                     checkpoint=tmp_path / "run", every=20)
        ends.append([str(error.value), optimizer.steps, [p.data for p in net.parameters()]])
    assert ends[0] == ends[1] and ends[0][1] > 1


# Streams

def batches(sizes=(5, 5, 5, 5, 3)):
    """The table, batch by batch."""
    ends = list(itertools.accumulate(sizes))
    return [(X[end - size:end], Y[end - size:end]) for size, end in zip(sizes, ends)]


def streamed(backend, given, *, start=1, optimizer=None, **options):
    net, step = make(backend, start)
    optimizer = optimizer or Adam(lr=0.01)
    losses = step.fit(batches=given, optimizer=optimizer, **options)
    return [losses, [p.data for p in net.parameters()], optimizer.steps, optimizer.state_dict()]


@every_backend
@pytest.mark.parametrize("sizes", [(5, 5, 5, 5, 3), (1, 7, 2, 4, 9)])
def test_a_stream_is_steps_one_by_one(backend, sizes):
    net, step = make("python")
    optimizer = Adam(step.params, lr=0.01)
    losses = []
    for x, y in batches(sizes):
        optimizer.zero_grad()
        losses.append(step(x, y))
        optimizer.step()
    found = streamed(backend, iter(batches(sizes)), every=2)
    pairs = [list(zip(losses, sizes))[i:i + 2] for i in (0, 2, 4)]
    assert found[0] == pytest.approx([sum(a * n for a, n in pair) / sum(n for _, n in pair) for pair in pairs], rel=STEPS)
    assert found[1] == pytest.approx([p.data for p in net.parameters()], rel=STEPS)
    assert found[2] == 5
    assert len(streamed(backend, batches(sizes))[0]) == 1  # of a hundred


@every_backend
def test_the_sum_over_a_stream(backend):
    _, step = make(backend, reduce="sum")
    _, same = make("python")
    assert step.fit(batches=batches(), optimizer=SGD(lr=1e-9)) == pytest.approx([23 * same.value(X, Y)], rel=1e-6)  # steps of 1e-9


class Batch:
    """A table that is counted while it is there."""

    alive = most = 0

    def __init__(self, rows):
        type(self).alive += 1
        type(self).most = max(self.most, self.alive)
        self.rows = rows
        weakref.finalize(self, type(self).gone)

    @classmethod
    def gone(cls):
        cls.alive -= 1

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)


@every_backend
def test_a_stream_need_not_fit_in_memory(backend):
    """Of 300 batches some are alive at once: the one that is read, and those that wait for the devices."""
    Batch.alive = Batch.most = 0
    rows = [[*x, y] for x, y in zip(X[:4], Y)]
    _, step = make(backend)
    losses = step.fit(batches=(Batch(rows) for _ in range(300)), optimizer=SGD(lr=0.1), every=50)
    assert len(losses) == 6 and losses[0] > losses[-1]
    assert 0 < Batch.most <= 5


@every_backend
def test_the_memory_of_a_stream_on_arrays(backend):
    """The same of arrays of NumPy, which JAX may use as they are."""
    alive = []

    def given():
        for _ in range(40):
            table = np.random.default_rng(1).normal(size=(64, 3))
            alive[:] = [ref for ref in alive if ref() is not None]
            most.append(len(alive))
            alive.append(weakref.ref(table))
            yield table
            del table

    most = []
    make(backend)[1].fit(batches=given(), optimizer=SGD(lr=0.01), every=20)
    assert max(most) <= 5


@every_backend
@pytest.mark.parametrize("cut", [2, 4])
def test_a_stream_goes_on(backend, cut, tmp_path):
    """What was seen is read and passed over; the numbers are the same to the last bit."""
    given = batches() * 2
    whole = streamed(backend, given, every=2)
    streamed(backend, given[:cut], every=2, checkpoint=tmp_path / "run")
    read = []

    def counted():
        for i, batch in enumerate(given):
            read.append(i)
            yield batch

    assert streamed(backend, counted(), start=2, every=2, checkpoint=tmp_path / "run") == whole
    assert read == list(range(10))
    assert streamed(backend, counted(), start=3, every=2, checkpoint=tmp_path / "run") == whole  # which is over
    assert streamed(backend, given[:1], start=3, every=2, checkpoint=tmp_path / "run") == whole  # so is a shorter one


@every_backend
def test_an_empty_stream(backend, tmp_path):
    net, step = make(backend)
    before = [p.data for p in net.parameters()]
    assert step.fit(batches=[], checkpoint=tmp_path / "run") == [] == step.fit(batches=iter(()))
    assert [p.data for p in net.parameters()] == before


@every_backend
def test_a_bad_batch(backend, tmp_path):
    """The steps before it are kept; the file is that of the last whole group, from which a run with better data goes
    on."""
    for bad, kind, words in (((X[:5], Y[:4]), ValueError, "batch 3: loss: the columns differ in length"),
                             (([], []), ValueError, "batch 3: loss: "), (([["a", 1]], [1]), TypeError, "batch 3: loss: x, row 0"),
                             ("rows", TypeError, "batch 3: loss")):
        path = tmp_path / f"{kind.__name__}{len(bad)}{words[-1]}"
        net, step = make(backend)
        optimizer = Adam(lr=0.01)
        given = batches()
        with pytest.raises(kind, match=words):
            step.fit(batches=[*given[:3], bad, *given[3:]], optimizer=optimizer, every=2, checkpoint=path)
        found = [[p.data for p in net.parameters()], optimizer.steps, optimizer.state_dict()]
        assert found == streamed(backend, given[:3], every=2)[1:]
        if bad == "rows":
            assert streamed(backend, given, start=2, every=2, checkpoint=path) == streamed(backend, given, every=2)


@every_backend
def test_a_stream_that_breaks(backend):
    def given():
        yield from batches()[:2]
        raise OSError("the file is gone")

    net, step = make(backend)
    with pytest.raises(OSError, match="the file is gone"):
        step.fit(batches=given(), optimizer=Adam(lr=0.01))
    assert [p.data for p in net.parameters()] == streamed(backend, batches()[:2])[1]


@every_backend
def test_a_stream_that_diverges(backend):
    """The group is over at the first step that is not taken; the numbers are those before it."""
    given = batches()
    given[2] = (X[:3], [1.0, math.inf, 1.0])
    net, step = make(backend)
    optimizer = Adam(lr=0.01)
    with pytest.raises(FloatingPointError, match="the loss of step 2 is inf"):
        step.fit(batches=given, optimizer=optimizer)
    assert [[p.data for p in net.parameters()], optimizer.steps, optimizer.state_dict()] == streamed(backend, given[:2])[1:]


@pytest.mark.parametrize("backend", BACKENDS)
def test_until_of_a_stream(backend, tmp_path):
    whole = streamed(backend, batches() * 4, every=5)
    read = []
    given = (read.append(1) or batch for batch in batches() * 4)
    options = {"every": 5, "until": whole[0][1], "checkpoint": tmp_path / "run"}
    found = streamed(backend, given, **options)
    assert found[0] == whole[0][:2] and len(read) == 10
    assert streamed(backend, batches() * 4, start=2, **options) == found


def test_wrong_streams():
    _, step = make("python")
    with pytest.raises(TypeError, match="data, or batches, not both"):
        step.fit(X, Y, batches=batches())
    for wrong in (3, None.__class__, len):
        with pytest.raises(TypeError, match="batches must be an iterable of minibatches"):
            step.fit(batches=wrong)


def test_a_stream_reads_a_network_that_is_trained_elsewhere_meanwhile():
    """Ops that are read between groups are those of the newest numbers."""
    w = Value(1.0)
    step = m.compile(lambda x: w * x)
    seen = []

    def given():
        for _ in range(3):
            seen.append(w.data)
            yield [1.0]

    step.fit(batches=given(), optimizer=SGD(lr=0.5), every=1)
    assert seen == [1.0, 0.5, 0.0]


# Killed

PROGRAM = """
import json, math, os, sys, time
import micrograd as m
path, backend, slow = sys.argv[1:]
X = [[math.sin(3.1 * i + j) for j in range(2)] for i in range(23)]
Y = [a * b for a, b in X]
net = m.MLP(2, [3, 1], activation="tanh", rng=1)
step = m.compile(lambda x, y: (net(x) - y) ** 2, inputs=(2, None), backend=backend)
def rate(k):
    if slow == "slow":
        time.sleep(0.01)
    return 0.01
optimizer = m.Adam(lr=rate)
losses = step.fit(X, Y, optimizer=optimizer, epochs=60, batch_size=7, seed=5, checkpoint=path)
print(json.dumps([losses, [p.data for p in net.parameters()], optimizer.steps, optimizer.state_dict()]))
"""


def program(path, backend, slow=""):
    return [sys.executable, "-c", PROGRAM, str(path), backend, slow]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process is killed in another way here")
@every_backend
def test_a_process_that_is_killed_goes_on(backend, tmp_path):
    """With the numbers of one that was left in peace."""
    path = tmp_path / "run"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    child = subprocess.Popen(program(path, backend, "slow"), env=environment, stdout=subprocess.PIPE)
    whole = subprocess.Popen(program(tmp_path / "whole", backend), env=environment, stdout=subprocess.PIPE)
    try:
        end = time.monotonic() + 60  # far more than it takes to start
        while not path.exists() and child.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)  # in the middle of an epoch, or while it writes
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL  # it was not done: sixty epochs take two seconds and more
        again = subprocess.run(program(path, backend), env=environment, capture_output=True, timeout=200, check=True).stdout
        assert whole.communicate(timeout=200)[0] == again and len(again) > 1000
    finally:
        for process in (child, whole):
            process.kill()
            process.communicate()


# The rest of a history

@every_backend
def test_the_best_epoch_goes_on_too(backend, tmp_path):
    """Validation, patience and the numbers of the best epoch, wherever a run was cut."""
    options = {"batch_size": 7, "seed": 5, "validation": 0.3, "patience": 4}

    def train(epochs, start=1, **more):
        net, step = make(backend, start)
        optimizer = Adam(lr=0.1)
        history = step.fit(X, Y, optimizer=optimizer, epochs=epochs, **options, **more)
        return history.to_dict(), [p.data for p in net.parameters()], optimizer.state_dict()

    whole = train(60)
    assert whole[0]["best"] and len(whole[0]["loss"]) == whole[0]["best"] + 4
    for start, epochs in enumerate((2, whole[0]["best"] + 2, 60, 60), 1):
        last = train(epochs, start, checkpoint=tmp_path / "run")
    assert last == whole


@pytest.mark.parametrize("backend", ["eager", *BACKENDS])
@pytest.mark.parametrize("more", [{"batch_size": 7}, {"validation": 0.3, "patience": 5, "batch_size": 4, "standardize": True}, {"shuffle": False}])
def test_a_network_goes_on(backend, more, tmp_path):
    """`fit` keeps its runs as a compiled function does."""
    def train(epochs, start=1, **options):
        net = MLP(2, [3, 1], activation="tanh", rng=start)
        optimizer = Adam(lr=0.05)
        history = m.fit(net, X, Y, optimizer=optimizer, epochs=epochs, seed=5, backend=backend, progress=False, **more, **options)
        return history.to_dict(), [p.data for p in net.parameters()], optimizer.steps, optimizer.state_dict()

    whole = train(9)
    for epochs in (1, 4, 9, 2):
        last = train(epochs, start=epochs, checkpoint=tmp_path / "run", every=3)
    assert last == whole
    with pytest.raises(ValueError, match="holds another run: batch_size is "):
        m.fit(MLP(2, [3, 1]), X, Y, optimizer=Adam(lr=0.05), seed=5, progress=False, backend=backend, checkpoint=tmp_path / "run",
              **{**more, "batch_size": 5})
