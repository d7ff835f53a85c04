"""One engine at work, in a process of its own: both micrograds bear the same name, so they cannot share one.

    python workloads.py KIND [FOLDER]

KIND is "values" for anything with micrograd's interface, "xad" for xad; FOLDER is where it is installed, if not in the
environment. Requests come as lines of JSON on stdin, {"name": "chain", "gc": false, ...}; each is answered by a line.

What is timed: building the graph (forward), the backward pass, the update of the parameters where there is one, and
letting go of every reference to the graph. The graph of the original micrograd is full of reference cycles, so that
letting go frees nothing: with gc on the collector frees it in the timed part, with gc off it is freed afterwards, at
nobody's cost. The other engines free their graphs in the timed part in either case.
"""

import gc
import json
import math
import random
import sys
import threading
import time

POINTS, STRENGTH, RATE = 100, 1e-4, 0.01  # of the training step: samples, L2 penalty, learning rate
LAYERS = [2, 16, 16, 1]
TURN = 0.05  # seconds that an engine has at least when it is its turn


def moons(count=POINTS):
    """Two half circles, one inside the other: inputs, and targets -1 or 1."""
    rng = random.Random(1)
    points, targets = [], []
    for i in range(count):
        angle, second = math.pi * i / count, i % 2
        x, y = math.cos(angle), math.sin(angle)
        points.append(((1 - x if second else x) + rng.gauss(0, 0.1), (0.5 - y if second else y) + rng.gauss(0, 0.1)))
        targets.append(2 * second - 1)
    return points, targets


def initial_parameters(sizes):
    rng = random.Random(2)
    return [rng.uniform(-1, 1) for nin, nout in zip(sizes, sizes[1:]) for _ in range(nout) for _ in range(nin + 1)]


class Values:
    """The original micrograd, or ours: the code is the same."""

    def __init__(self):
        import micrograd.engine
        import micrograd.nn
        self.Value, self.MLP = micrograd.engine.Value, micrograd.nn.MLP
        self.kind = micrograd.engine_kind() if hasattr(micrograd, "engine_kind") else ""
        self.version = getattr(micrograd, "__version__", "")
        self.nets = {}

    def chain_graph(self, steps):
        y, a, b = self.Value(1.0), self.Value(0.9999), self.Value(1e-5)
        for _ in range(steps):
            y = y * a + b
        return y, a, b

    def chain(self, steps):
        y, a, b = self.chain_graph(steps)
        y.backward()
        return y.data, [a.grad, b.grad]

    def net(self, sizes):
        """A network of the library's own, with the parameters that every engine begins with."""
        key = tuple(sizes)
        if key not in self.nets:
            self.nets[key] = self.MLP(sizes[0], sizes[1:])
            for p, x in zip(self.nets[key].parameters(), initial_parameters(sizes)):
                p.data = x
        return self.nets[key]

    def loss(self, net):
        """The demo's loss: max-margin, plus an L2 penalty."""
        points, targets = DATA
        scores = [net(list(map(self.Value, point))) for point in points]
        losses = [(1 + -y * score).relu() for y, score in zip(targets, scores)]
        return sum(losses) * (1.0 / len(losses)) + STRENGTH * sum(p * p for p in net.parameters())

    def step(self, sizes):
        net = self.net(sizes)
        total = self.loss(net)
        net.zero_grad()
        total.backward()
        gradient = []
        for p in net.parameters():
            p.data -= RATE * p.grad
            gradient.append(p.grad)
        return total.data, gradient

    def count(self, sizes):
        """How many nodes the graph of a training step has, leaves included."""
        from micrograd import topological_order
        return len(topological_order(self.loss(self.net(sizes))))


class Xad:
    """xad: plain loops over its Reals, recorded on its tape, as its documentation has it."""

    def __init__(self):
        import xad
        import xad.adj_1st
        self.Real, self.Tape = xad.adj_1st.Real, xad.adj_1st.Tape
        self.kind, self.version = "", getattr(xad, "__version__", "")
        self.parameters = {}

    def adjoints(self, tape, y, inputs):
        tape.registerOutput(y)
        y.derivative = 1.0
        tape.computeAdjoints()
        return y.value, [x.derivative for x in inputs]

    def chain_graph(self, steps, tape=None):
        if tape is None:  # to weigh the graph, it has to outlive the call
            tape = self.tape = self.Tape()
            tape.activate()
        y, a, b = self.Real(1.0), self.Real(0.9999), self.Real(1e-5)
        for x in (y, a, b):
            tape.registerInput(x)
        tape.newRecording()
        for _ in range(steps):
            y = y * a + b
        return y, a, b

    def chain(self, steps):
        with self.Tape() as tape:
            y, a, b = self.chain_graph(steps, tape)
            return self.adjoints(tape, y, [a, b])

    def step(self, sizes):
        points, targets = DATA
        numbers = self.parameters.setdefault(tuple(sizes), initial_parameters(sizes))
        with self.Tape() as tape:
            parameters = [self.Real(x) for x in numbers]
            for p in parameters:
                tape.registerInput(p)
            tape.newRecording()
            losses = [self.hinge(1 - y * self.output(parameters, sizes, point)) for point, y in zip(points, targets)]
            total = sum(losses) * (1.0 / len(losses)) + STRENGTH * sum(p * p for p in parameters)
            value, gradient = self.adjoints(tape, total, parameters)
        for i, slope in enumerate(gradient):
            numbers[i] -= RATE * slope
        return value, gradient

    def hinge(self, x):
        return x if x > 0 else self.Real(0.0)

    def output(self, parameters, sizes, x):
        start = 0
        for nin, nout in zip(sizes, sizes[1:]):
            outputs = []
            for _ in range(nout):
                z = parameters[start + nin]
                for i in range(nin):
                    z = z + parameters[start + i] * x[i]
                outputs.append(z if nout == 1 else self.hinge(z))
                start += nin + 1
            x = outputs
        return x[0]


DATA = moons()


def resident():
    """The memory of this process in bytes, where Linux tells."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def bytes_per_node(engine, steps):
    """How much the process grows by a chain of x * a + b, two nodes a step. Ask it of a fresh process."""
    try:
        before = resident()
        graph = engine.chain_graph(steps)
        after = resident()
    except OSError:
        return None
    del graph
    return (after - before) / (2 * steps)


def answer(engine, request):
    name, argument = request["name"], request.get("argument")
    if name == "about":
        return {"version": engine.version, "kind": engine.kind}
    if name == "bytes":
        return {"bytes": bytes_per_node(engine, argument)}
    if name == "count":
        return {"nodes": engine.count(argument)}
    if name == "check":
        value, gradient = getattr(engine, request["of"])(argument)
        return {"value": value, "gradient": gradient}
    work = getattr(engine, name)
    if request["gc"]:
        gc.enable()
    else:
        gc.disable()
    times, start = 0, time.perf_counter()
    while True:  # a turn: once, or as often as it takes for the caches to be those of a running program
        work(argument)
        times, seconds = times + 1, time.perf_counter() - start
        if seconds > TURN:
            gc.collect()
            return {"seconds": seconds / times}


def serve():
    engine = {"values": Values, "xad": Xad}[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(answer(engine, json.loads(line))), flush=True)


if __name__ == "__main__":
    sys.path[1:1] = sys.argv[2:]
    sys.setrecursionlimit(10**6)         # the original micrograd recurses to the depth of the graph
    threading.stack_size(1 << 29)
    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
