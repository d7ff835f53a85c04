"""One engine of replay.py at work, in a process of its own: thread pools and garbage collectors do not share one well.

    python replay_peers.py KIND [OPTIONS]

KIND is a name in KINDS below, OPTIONS its arguments as JSON. Requests come as lines of JSON on stdin, {"ask": "time",
"job": {...}}; each is answered by a line. A job is a dict: "work", the name of a method here, and its arguments. Such a
method returns a Task: what to run, and how to read off what came out, so that all engines can be compared. Nothing of
an engine but its Task.run is timed. All engines compute in float64, and all begin with the same parameters.
"""

import ctypes
import functools
import gc
import json
import math
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import repeat
from pathlib import Path

from workloads import RATE, STRENGTH, Values, initial_parameters, moons

HERE = Path(__file__).parent
TURN = 0.02        # seconds that an engine has at least when it is its turn
STEPS = 100        # of training
CALLS = 1000       # of a function of two numbers, at a time
SHOWN = 50         # points of a formula that are compared
A, B = 0.7, 0.25   # the parameters of the formula
POOL = f"up to {os.cpu_count()}"  # threads of a library that is left to itself


@dataclass
class Task:
    run: Callable[[], object]                       # what is timed
    result: Callable[[], list[float]]               # the numbers that came out, or none to compare
    prepare: Callable[[], object] = lambda: None    # before every run, at nobody's cost
    per: int = 1                                    # how many units of work a run is
    keep: object = None                             # what the run has only the address of


def potential(x, y, a, b):
    """Two wells in a bowl, tilted: a formula of arithmetic alone, for numbers, arrays, and anything that records."""
    bowl = x**2 + y**2
    left = (x + 1) ** 2 + y**2 + b
    right = (x - 1) ** 2 + y**2 + b
    return 0.1 * bowl**2 - a / left - a / right + 0.3 * x * y


def potential_and_slopes(x, y, a, b):
    """The same with its derivatives with respect to x and y, worked out by hand; for numbers and arrays."""
    u, v, yy = x + 1, x - 1, y * y
    bowl = x * x + yy
    left = 1 / (u * u + yy + b)
    right = 1 / (v * v + yy + b)
    pull_left, pull_right = 2 * a * left * left, 2 * a * right * right
    value = 0.1 * bowl * bowl - a * left - a * right + 0.3 * x * y
    dx = 0.4 * bowl * x + u * pull_left + v * pull_right + 0.3 * y
    dy = 0.4 * bowl * y + y * (pull_left + pull_right) + 0.3 * x
    return value, dx, dy


def curve(a, b):
    """The function of the scalar calls."""
    return a * b + b**3


def plane(points):
    """So many points of the plane, as two columns."""
    turns = [2.399963 * i for i in range(points)]
    radii = [2 * math.sqrt((i + 0.5) / points) for i in range(points)]
    return (array("d", [r * math.cos(t) for r, t in zip(radii, turns)]),
            array("d", [r * math.sin(t) for r, t in zip(radii, turns)]))


def columns(samples):
    """The two inputs and the targets of the demo."""
    points, targets = moons(samples)
    return (array("d", [x for x, _ in points]), array("d", [y for _, y in points]), array("d", targets))


def parameters(width):
    """What every network begins with, as its parameters() come: neuron by neuron, the weights, then the bias.

    Small, so that no sample is beyond the margin yet: mlp.c skips the backward pass of those, and how many they are
    would blur what a multiplication costs.
    """
    return [x / math.sqrt(width) for x in initial_parameters([2, width, width, 1])]


def shapes(width):
    """Inputs and outputs of each layer."""
    return (2, width), (width, width), (width, 1)


def layers(numbers, width):
    """The same as a pair of lists a layer: the weights as one list for every input, and the biases."""
    rest, pairs = iter(numbers), []
    for nin, nout in shapes(width):
        neurons = [[next(rest) for _ in range(nin + 1)] for _ in range(nout)]
        *weights, biases = map(list, zip(*neurons))
        pairs.append((weights, biases))
    return pairs


def flat(pairs):
    """Such pairs, or such gradients, as one list in the order of parameters()."""
    return [number for weights, biases in pairs for neuron in zip(*weights, biases) for number in neuron]


def every(columns):
    """Some points of each column, for comparison."""
    return [float(column[i]) for column in columns for i in range(0, len(column), max(1, len(column) // SHOWN))]


def address(numbers):
    return numbers.buffer_info()[0]


class Plain:
    """Python itself, for the scale."""

    version, threads = sys.version.split()[0], 1

    def scalar(self, grad=False):
        return None if grad else scalar_task(curve, list)


def scalar_task(function, read):
    def run():
        for _ in repeat(None, CALLS):
            function(2.0, 3.0)

    def result():
        answer = function(2.0, 3.0)
        return read(answer if isinstance(answer, tuple) else (answer,))

    return Task(run, result, per=CALLS)


class Compiled:
    """Ours, through the public interface, with columns of the standard library's arrays."""

    def __init__(self, **options):
        import micrograd
        self.micrograd, self.options = micrograd, options
        self.version, self.threads = micrograd.__version__, options.get("threads", POOL)

    def compile(self, function):
        return self.micrograd.compile(function, **self.options)

    def net(self, width, activation):
        net = self.micrograd.MLP(2, [width, width, 1], activation=activation)
        reset(net, parameters(width))
        return net

    def loss(self, net):
        def loss(x0, x1, y):
            return (1 - y * net([x0, x1])).relu() + STRENGTH * sum(p * p for p in net.parameters())
        return loss

    def call(self, width, samples, activation):
        net = self.net(width, activation)
        step, data = self.compile(self.loss(net)), columns(samples)

        def result():
            net.zero_grad()
            return [step(*data), *(p.grad for p in net.parameters())]

        return Task(lambda: step(*data), result)

    def train(self, width, samples, activation):
        net = self.net(width, activation)
        step, data, start = self.compile(self.loss(net)), columns(samples), parameters(width)
        optimizer = self.micrograd.SGD(lr=RATE)
        return Task(lambda: step.fit(*data, optimizer=optimizer, epochs=STEPS),
                    lambda: [p.data for p in net.parameters()], lambda: reset(net, start), STEPS)

    def formula(self, points):
        a, b = self.micrograd.Value(A), self.micrograd.Value(B)
        f, (x, y) = self.compile(lambda x, y: potential(x, y, a, b)), plane(points)
        value, dx, dy = (array("d", bytes(8 * points)) for _ in range(3))
        return Task(lambda: f.map(x, y, grad=True, out=(value, dx, dy)), lambda: every((value, dx, dy)))

    def scalar(self, grad=False):
        f = self.compile(curve)
        return scalar_task(f.grad if grad else f, list)

    def compiling(self, width):
        """All until the first answer is there: some of the work is put off until something is asked."""
        self.compiled, net, data = None, self.net(width, "relu"), columns(100)

        def run():
            self.compiled = self.compile(self.loss(net))
            self.compiled(*data)

        return Task(run, list)

    def about(self):
        """How many nodes the formula has; the constants of its text are none."""
        micrograd = self.micrograd
        nodes = micrograd.topological_order(potential(*map(micrograd.Value, (0.5, 0.5, A, B))))
        return {"nodes of the formula": sum(node.op.name != "constant" for node in nodes)}

    def stats(self):
        """What the last compilation says of itself."""
        return {key: self.compiled.stats[key] for key in ("program nodes", "seconds")}


def reset(net, numbers):
    for p, number in zip(net.parameters(), numbers):
        p.data = number


class Original(Values):
    """micrograd 0.1.0: a training step is one of its own, graph and all."""

    threads = 1

    def __init__(self, folder):
        sys.path.insert(1, folder)
        super().__init__()
        self.version = "0.1.0"

    def call(self, width, samples, activation):
        sizes = [2, width, width, 1]
        if (samples, activation) != (100, "relu"):
            return None
        reset(self.net(sizes), parameters(width))

        def result():
            reset(self.net(sizes), parameters(width))
            value, gradient = self.step(sizes)
            return [value, *gradient]

        return Task(lambda: self.step(sizes), result)

    def train(self, width, samples, activation):
        """One step, too: a hundred would take minutes. What it computes is checked in `call`."""
        task = self.call(width, samples, activation)
        return task and Task(task.run, list, lambda: reset(self.net([2, width, width, 1]), parameters(width)))


class C:
    """mlp.c, loaded with ctypes: built for the width or for any width, whichever is faster at the job."""

    version, threads = "gcc", 1

    def __init__(self, flags):
        self.flags = flags

    def libraries(self, width, activation):
        return [self.library(width, activation, known) for known in (True, False)]

    def library(self, width, activation, known=True, name=""):
        """The library with a width known to the compiler, or set here; of another name, built anew."""
        how = "known" if known else "set"  # a file for each width even so, as it has one variable `width`
        target = HERE / ".peers" / f"mlp{''.join(self.flags)}-{width}-{how}-{activation}{name}.so"
        source = HERE / "mlp.c"
        if name or not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            macros = [f"-DWIDTH={width}"] * known + ["-DTANH"] * (activation == "tanh")
            subprocess.run(["gcc", "-shared", "-fPIC", *self.flags, *macros, "-o", str(target), str(source), "-lm"],
                           check=True)
        library, pointer = ctypes.CDLL(str(target)), ctypes.c_void_p
        if not known:
            ctypes.c_int.in_dll(library, "width").value = width
        library.loss.restype = library.train.restype = ctypes.c_double
        library.loss.argtypes = [pointer] * 4 + [ctypes.c_long, pointer]
        library.train.argtypes = [pointer] * 4 + [ctypes.c_long, ctypes.c_long, ctypes.c_double]
        return library

    def pack(self, width):
        """The parameters as mlp.c has them: the weights input by input, then the biases."""
        return array("d", [number for weights, biases in layers(parameters(width), width)
                           for row in (*weights, biases) for number in row])

    def unpack(self, numbers, width):
        rest, pairs = iter(numbers), []
        for nin, nout in shapes(width):
            *weights, biases = [[next(rest) for _ in range(nout)] for _ in range(nin + 1)]
            pairs.append((weights, biases))
        return flat(pairs)

    def call(self, width, samples, activation):
        p, data = self.pack(width), columns(samples)
        g = array("d", bytes(8 * len(p)))

        def task(library):
            run = functools.partial(library.loss, address(p), *map(address, data), samples, address(g))
            return Task(run, lambda: [run(), *self.unpack(g, width)], keep=(p, data))

        return fastest(map(task, self.libraries(width, activation)))

    def train(self, width, samples, activation):
        start, data = self.pack(width), columns(samples)
        p = start[:]

        def prepare():
            p[:] = start

        def task(library):
            run = functools.partial(library.train, address(p), *map(address, data), samples, STEPS, RATE)
            return Task(run, lambda: self.unpack(p, width), prepare, STEPS, keep=data)

        return fastest(map(task, self.libraries(width, activation)))

    def compiling(self, width):
        return Task(lambda: self.library(width, "relu", name="-again"), list)


def fastest(tasks):
    """The fastest of some ways to do the same."""
    def best(task):
        return min(seconds(task) for _ in range(20))
    return min(tasks, key=best)


def seconds(task):
    """What one run takes."""
    task.prepare()
    start = time.perf_counter()
    task.run()
    return time.perf_counter() - start


class NumPy:
    """A training step in NumPy as one writes it by hand: layer after layer, a row a sample."""

    threads = POOL

    def __init__(self):
        import numpy
        self.numpy, self.version = numpy, version("numpy")

    def layers(self, width):
        return [(self.numpy.array(w), self.numpy.array(b)) for w, b in layers(parameters(width), width)]

    def data(self, samples):
        x0, x1, y = (self.numpy.array(column) for column in columns(samples))
        return self.numpy.column_stack([x0, x1]), y

    def activation(self, name):
        """The function, and its derivative from its value."""
        np = self.numpy
        return {"relu": (lambda z: np.maximum(z, 0), lambda a: a > 0), "tanh": (np.tanh, lambda a: 1 - a * a)}[name]

    def gradient(self, pairs, x, y, activation):
        f, slope = activation
        (w1, b1), (w2, b2), (w3, b3) = pairs
        a1 = f(x @ w1 + b1)
        a2 = f(a1 @ w2 + b2)
        margin = 1 - y * (a2 @ w3 + b3)[:, 0]
        penalty = sum((w * w).sum() + (b * b).sum() for w, b in pairs)
        loss = self.numpy.maximum(margin, 0).mean() + STRENGTH * penalty

        d3 = ((margin > 0) * -y / len(y))[:, None]
        d2 = d3 @ w3.T * slope(a2)
        d1 = d2 @ w2.T * slope(a1)
        return loss, [(a.T @ d + 2 * STRENGTH * w, d.sum(0) + 2 * STRENGTH * b)
                      for a, d, (w, b) in zip((x, a1, a2), (d1, d2, d3), pairs)]

    def call(self, width, samples, activation):
        pairs, (x, y), functions = self.layers(width), self.data(samples), self.activation(activation)

        def run():
            return self.gradient(pairs, x, y, functions)

        def result():
            loss, gradient = run()
            return [float(loss), *flat([(w.tolist(), b.tolist()) for w, b in gradient])]

        return Task(run, result)

    def train(self, width, samples, activation):
        start, (x, y), functions, pairs = self.layers(width), self.data(samples), self.activation(activation), []

        def prepare():
            pairs[:] = [(w.copy(), b.copy()) for w, b in start]

        def run():
            for _ in range(STEPS):
                for (w, b), (dw, db) in zip(pairs, self.gradient(pairs, x, y, functions)[1]):
                    w -= RATE * dw
                    b -= RATE * db

        return Task(run, lambda: flat([(w.tolist(), b.tolist()) for w, b in pairs]), prepare, STEPS)

    def formula(self, points):
        x, y = map(self.numpy.array, plane(points))
        out = self.numpy.empty((3, points))

        def run():
            for row, column in zip(out, potential_and_slopes(x, y, A, B)):
                row[:] = column

        return Task(run, lambda: every(out))


class Blocks(NumPy):
    """The formula in NumPy for who knows about caches: a few thousand points at a time."""

    size = 4096

    call = train = None

    def formula(self, points):
        x, y = map(self.numpy.array, plane(points))
        out = self.numpy.empty((3, points))

        def run():
            for start in range(0, points, self.size):
                part = slice(start, start + self.size)
                out[0, part], out[1, part], out[2, part] = potential_and_slopes(x[part], y[part], A, B)

        return Task(run, lambda: every(out))


class Jax:
    """A hand-written network under jax.jit; its training is one lax.scan."""

    def __init__(self, threads=POOL):
        import jax
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cpu")
        self.jax, self.np, self.version, self.threads = jax, jax.numpy, version("jax"), threads

    def layers(self, width):
        return [(self.np.array(w), self.np.array(b)) for w, b in layers(parameters(width), width)]

    def data(self, samples):
        x0, x1, y = (self.np.array(list(column)) for column in columns(samples))
        return self.np.column_stack([x0, x1]), y

    def loss(self, activation):
        np, f = self.np, {"relu": self.jax.nn.relu, "tanh": self.np.tanh}[activation]

        def loss(pairs, x, y):
            *hidden, (w, b) = pairs
            for v, c in hidden:
                x = f(x @ v + c)
            margin = 1 - y * (x @ w + b)[:, 0]
            penalty = sum((v * v).sum() + (c * c).sum() for v, c in pairs)
            return np.maximum(margin, 0).mean() + STRENGTH * penalty

        return self.jax.value_and_grad(loss)

    def call(self, width, samples, activation):
        step, pairs, (x, y) = self.jax.jit(self.loss(activation)), self.layers(width), self.data(samples)

        def run():
            return self.jax.block_until_ready(step(pairs, x, y))

        def result():
            loss, gradient = run()
            return [float(loss), *flat([(w.tolist(), b.tolist()) for w, b in gradient])]

        return Task(run, result)

    def train(self, width, samples, activation):
        step, start, (x, y) = self.loss(activation), self.layers(width), self.data(samples)

        @self.jax.jit
        def train(pairs, x, y):
            def one(pairs, _):
                loss, gradient = step(pairs, x, y)
                return self.jax.tree.map(lambda p, g: p - RATE * g, pairs, gradient), loss
            return self.jax.lax.scan(one, pairs, None, length=STEPS)

        def run():
            return self.jax.block_until_ready(train(start, x, y))

        return Task(run, lambda: flat([(w.tolist(), b.tolist()) for w, b in run()[0]]), per=STEPS)

    def formula(self, points):
        x, y = (self.np.array(list(column)) for column in plane(points))
        slopes = self.jax.jit(self.jax.vmap(self.jax.value_and_grad(potential, argnums=(0, 1)),
                                            in_axes=(0, 0, None, None)))

        def run():
            return self.jax.block_until_ready(slopes(x, y, A, B))

        def result():
            value, (dx, dy) = run()
            return every((value, dx, dy))

        return Task(run, result)

    def compiling(self, width):
        pairs, (x, y) = self.layers(width), self.data(100)
        return Task(lambda: self.jax.jit(self.loss("relu")).lower(pairs, x, y).compile(), list)


class Torch:
    """A hand-written network in torch, eager."""

    def __init__(self):
        import torch
        self.torch, self.version, self.threads = torch, version("torch"), torch.get_num_threads()

    def layers(self, width):
        return [tuple(self.torch.tensor(numbers, dtype=self.torch.float64, requires_grad=True) for numbers in pair)
                for pair in layers(parameters(width), width)]

    def data(self, samples):
        x0, x1, y = (self.torch.tensor(list(column), dtype=self.torch.float64) for column in columns(samples))
        return self.torch.stack([x0, x1], 1), y

    def backward(self, pairs, x, y, activation):
        *hidden, (w, b) = pairs
        for v, c in hidden:
            x = activation(x @ v + c)
        margin = 1 - y * (x @ w + b)[:, 0]
        penalty = sum((v * v).sum() + (c * c).sum() for v, c in pairs)
        loss = margin.relu().mean() + STRENGTH * penalty
        for pair in pairs:
            for p in pair:
                p.grad = None
        loss.backward()
        return loss

    def call(self, width, samples, activation):
        pairs, (x, y), function = self.layers(width), self.data(samples), getattr(self.torch, activation)

        def run():
            return self.backward(pairs, x, y, function)

        def result():
            return [run().item(), *flat([(w.grad.tolist(), b.grad.tolist()) for w, b in pairs])]

        return Task(run, result)

    def train(self, width, samples, activation):
        (x, y), function, pairs = self.data(samples), getattr(self.torch, activation), []

        def prepare():
            pairs[:] = self.layers(width)

        def run():
            for _ in range(STEPS):
                self.backward(pairs, x, y, function)
                with self.torch.no_grad():
                    for pair in pairs:
                        for p in pair:
                            p -= RATE * p.grad

        return Task(run, lambda: flat([(w.tolist(), b.tolist()) for w, b in pairs]), prepare, STEPS)


class Casadi:
    """Loss and gradient of one sample as a graph of scalars, CasADi's SX, mapped over the samples and summed."""

    threads = 1

    def __init__(self):
        import casadi
        self.casadi, self.version = casadi, version("casadi")

    def call(self, width, samples, activation):
        if width > 16:
            return None
        ca, start = self.casadi, parameters(width)
        p, x, y = ca.SX.sym("p", len(start)), ca.SX.sym("x", 2), ca.SX.sym("y")
        f = {"relu": lambda z: ca.fmax(z, 0), "tanh": ca.tanh}[activation]
        (w1, b1), (w2, b2), (w3, b3) = layers(ca.vertsplit(p), width)
        a = x
        for w, b in ((w1, b1), (w2, b2)):
            a = f(ca.vertcat(*b) + ca.vertcat(*(ca.horzcat(*row) for row in w)).T @ a)
        hinge = ca.fmax(1 - y * (ca.vertcat(*b3) + ca.vertcat(*(row[0] for row in w3)).T @ a), 0)
        one = ca.Function("one", [p, x, y], [hinge, ca.gradient(hinge, p)])
        total = one.map("total", "serial", samples, [0], [0, 1])  # shares p, sums both results
        q, xs, ys = ca.MX.sym("q", len(start)), ca.MX.sym("xs", 2, samples), ca.MX.sym("ys", 1, samples)
        hinges, slopes = total(q, xs, ys)
        step = ca.Function("step", [q, xs, ys], [hinges / samples + STRENGTH * ca.dot(q, q),
                                                 slopes / samples + 2 * STRENGTH * q])
        x0, x1, targets = columns(samples)
        points = array("d", [number for point in zip(x0, x1) for number in point])  # CasADi's order is column by column
        numbers, value, gradient = array("d", start), array("d", [0.0]), array("d", bytes(8 * len(start)))
        buffer, run = step.buffer()
        for i, column in enumerate((numbers, points, targets)):
            buffer.set_arg(i, memoryview(column))
        for i, column in enumerate((value, gradient)):
            buffer.set_res(i, memoryview(column))

        def result():
            run()
            return [value[0], *gradient]

        return Task(run, result, keep=(buffer, numbers, points, targets))


class Numba:
    """numba without fastmath, on one thread. Divisions follow IEEE as ours do; with Python's they do not vectorise."""

    threads = 1

    def __init__(self):
        import numba
        import numpy
        self.numba, self.numpy, self.version = numba, numpy, version("numba")

    def fill(self):
        slopes = self.numba.njit(error_model="numpy")(potential_and_slopes)

        @self.numba.njit(error_model="numpy")
        def fill(x, y, a, b, value, dx, dy):
            for i in range(x.size):
                value[i], dx[i], dy[i] = slopes(x[i], y[i], a, b)

        return fill

    def formula(self, points):
        fill, (x, y), out = self.fill(), map(self.numpy.array, plane(points)), self.numpy.empty((3, points))
        value, dx, dy = out
        return Task(lambda: fill(x, y, A, B, value, dx, dy), lambda: every(out))

    def scalar(self, grad=False):
        function = self.numba.njit(slopes_of_curve if grad else curve)
        return scalar_task(function, list)


def slopes_of_curve(a, b):
    return b, a + 3 * b**2


def demo(peer):
    """Train the demo once, in a process that ends with it."""
    task = peer.train(16, 100, "relu")
    task.prepare()
    task.run()


KINDS = {kind.__name__: kind for kind in (Compiled, Plain, Original, C, NumPy, Blocks, Jax, Torch, Casadi, Numba)}


class Server:
    """Answers requests for one engine."""

    def __init__(self, engine, collect):
        self.engine, self.collect, self.tasks = engine, collect, {}
        if not collect:
            gc.disable()

    def task(self, job):
        """The Task of a job, made when it is first asked for; None if this engine has none."""
        key = json.dumps(job, sort_keys=True)
        if key not in self.tasks:
            arguments = dict(job)
            method = getattr(self.engine, arguments.pop("work"), None)
            self.tasks[key] = method and method(**arguments)
        return self.tasks[key]

    def about(self, job):
        more = getattr(self.engine, "about", dict)()
        return {"version": self.engine.version, "threads": self.engine.threads, **more}

    def check(self, job):
        """What comes out of a job; None if the engine has no such job."""
        task = self.task(job)
        if task is None:
            return {"numbers": None}
        task.prepare()
        task.run()
        return {"numbers": task.result()}

    def time(self, job):
        """Seconds for a unit of work, and how many cores were busy."""
        task = self.task(job)
        taken, runs, cpu, begin = 0.0, 0, time.process_time(), time.perf_counter()
        while taken < TURN:
            taken, runs = taken + seconds(task), runs + 1
        cores = (time.process_time() - cpu) / (time.perf_counter() - begin)
        if not self.collect:
            gc.collect()
        return {"seconds": taken / runs / task.per, "cores": cores}

    def stats(self, job):
        return {"stats": self.engine.stats()}

    def serve(self):
        for line in sys.stdin:
            request = json.loads(line)
            print(json.dumps(getattr(self, request["ask"])(request.get("job"))), flush=True)


def main():
    options = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    collect = options.pop("gc", True)
    Server(KINDS[sys.argv[1]](**options), collect).serve()


if __name__ == "__main__":
    sys.setrecursionlimit(10**6)  # the original micrograd recurses to the depth of the graph
    threading.stack_size(1 << 29)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
