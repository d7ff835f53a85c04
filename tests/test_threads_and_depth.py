"""Graphs of a million nodes, wide graphs, and graphs in several threads."""

import os
import subprocess
import sys
import threading

import pytest

import micrograd
from micrograd import Value, gradient

# Runs in a process of its own, with 8 MB of stack: an overflow would be a crash, not an exception.
DEEP = """
import copy, pickle, sys, time
from micrograd import Value, engine_kind, gradient, topological_order

start = time.perf_counter()
def done(what):
    global start
    print(f"{what}: {time.perf_counter() - start:.2f} s", flush=True)
    start = time.perf_counter()

def chain(n):
    x, b = Value(1.0, "x"), Value(2.0 ** -20, "b")
    y = x
    for _ in range(n // 2):
        y = y * x + b
    return x, b, y

x, b, y = chain(1_000_000)
done("forward")
y.backward()
assert (y.data, b.grad, x.grad) == (1 + 500_000 * 2.0 ** -20, 500_000.0, 1 + 500_000 + 2.0 ** -20 * sum(range(500_000)))
done("backward")
del y
done("deallocation")

n = int(sys.argv[1])
x, b, y = chain(n)
y.backward()
assert len(topological_order(y)) == n + 2
done("order")
derivative = gradient(y, b)
assert derivative.data == n // 2
derivative = gradient(y, x)
assert derivative.data == x.grad
done("gradient")
del derivative
done("its deallocation")
shallow, deep = copy.copy(y), copy.deepcopy(y)
assert shallow.parents == y.parents and deep.parents[0] is not y.parents[0]
done("copies")
again = pickle.loads(pickle.dumps(y, -1))
done("pickle")
for other in (shallow, deep, again):
    assert (other.data, other.grad, other.local_derivatives) == (y.data, y.grad, y.local_derivatives)
assert len(topological_order(again)) == len(topological_order(deep)) == n + 2
try:
    chain(n)[2].missing  # the graph dies while an exception is on its way
except AttributeError:
    pass
del shallow, deep, again, y
done("the end")
"""


def test_a_million_nodes_survive_everything_with_a_small_stack():
    nodes = 200_000 if micrograd.engine_kind() == "pure" else 1_000_000  # for the slower steps
    eight_megabytes_of_stack = ["sh", "-c", 'ulimit -S -s 8192 && exec "$@"', "sh"] if os.name == "posix" else []
    finished = subprocess.run([*eight_megabytes_of_stack, sys.executable, "-c", DEEP, str(nodes)], capture_output=True,
                              text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    print(finished.stdout)


def in_threads(tasks):
    """Run the tasks at the same time, switching as often as Python can; the errors that they raise come out."""
    errors = []

    def guarded(task):
        try:
            task()
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]


def test_a_deep_graph_dies_in_a_thread_with_little_stack():
    def task():
        y = x = Value(1.0)
        for _ in range(100_000):
            y = y + x

    # Compiled: less than any platform's default. Pure: CPython frees the chain, and 3.13 wants more for that.
    compiled = micrograd.engine_kind() == "compiled"
    before = threading.stack_size(256 * 1024 if compiled else 8 * 1024 * 1024)
    try:
        in_threads([task, task])
    finally:
        threading.stack_size(before)


IN_A_BROWSER = """
import sys, threading
sys.platform = "emscripten"
import micrograd
assert "__del__" in vars(micrograd.Value)

class Failing(micrograd.Value):
    def __init__(self): raise ValueError("no slot of it is filled")

def task():
    y = x = micrograd.Value(1.0)
    for _ in range(100_000):
        y = y + x
    z = y * 2
    del y
    assert z.parents[0].parents[1] is x  # what is still held stays whole
    del z
    for make in Failing, lambda: micrograd.Value("3"):
        try: make()
        except (ValueError, TypeError): done.append(x.data)

done = []
threading.stack_size(256 * 1024)
for _ in range(2):
    thread = threading.Thread(target=task)
    thread.start()
    thread.join()
print(len(done))
"""


def test_in_a_browser_the_pure_engine_frees_a_deep_graph_node_by_node():
    # test_pyodide.py has the small stack; this has the same engine where no browser is
    finished = subprocess.run([sys.executable, "-c", IN_A_BROWSER], capture_output=True, text=True,
                              env=os.environ | {"MICROGRAD_PURE": "1"})
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "4\n", "")


def test_many_parents_below_one_node_and_many_children_above_one():
    xs = [Value(float(i)) for i in range(50_000)]
    total = Value.sum(xs)
    total.backward()
    assert total.data == sum(range(50_000)) and all(x.grad == 1.0 for x in xs)
    hub = xs[1] * 2
    y = Value.sum(hub * x for x in xs)
    y.backward()
    assert hub.grad == sum(range(50_000)) and xs[3].grad == 1.0 + 2.0
    assert gradient(y, hub).data == hub.grad


def test_a_tall_ladder_of_shared_nodes_is_walked_once_a_node():
    # 2^2000 paths from the top to x: only an algorithm that visits nodes, not paths, comes to an end
    x = Value(1.0)
    y = x
    for _ in range(2000):
        y = (y + y) * 0.5
    y.backward()
    assert (y.data, x.grad, gradient(y, x).data, len(micrograd.topological_order(y))) == (1.0, 1.0, 1.0, 6001)


def network(parameters, x):
    y = x
    for w, b in parameters:
        y = (y * w + b).tanh() + y * x
    return y


def test_threads_on_graphs_of_their_own_that_share_parameters_get_the_gradients_of_one_thread():
    parameters = [(Value(0.3 * k - 1), Value(0.1 * k)) for k in range(10)]
    inputs = [0.1 * k - 0.7 for k in range(8)]

    def derivatives(point):
        x = Value(point)
        y = network(parameters, x)
        y.backward()
        by_graph = gradient(y, [x, *(p for pair in parameters for p in pair)])
        second = gradient(by_graph[0], x)
        return x.grad, [g.data for g in by_graph], second.data

    expected = [derivatives(point) for point in inputs]
    found = [[] for _ in inputs]

    def task(k):
        for _ in range(20):
            found[k].append(derivatives(inputs[k]))

    in_threads([lambda k=k: task(k) for k in range(len(inputs))])
    for k, results in enumerate(found):
        assert results == [expected[k]] * 20  # to the last bit


def test_threads_on_wholly_separate_graphs_train_as_one_thread_does():
    def train(seed):
        w, b = Value(0.1 * seed), Value(-0.2)
        for step in range(60):
            loss = (w * (step % 5) + b - 1).tanh() ** 2 + (w - b) ** 2 * 0.01
            w.grad = b.grad = 0.0
            loss.backward()
            w.data -= 0.1 * w.grad
            b.data -= 0.1 * b.grad
        return w.data, b.data

    expected = [train(seed) for seed in range(6)]
    found = {}
    in_threads([lambda seed=seed: found.__setitem__(seed, train(seed)) for seed in range(6)])
    assert [found[seed] for seed in range(6)] == expected


@pytest.mark.parametrize("steps", [1, 99, 100, 101, 1000])
def test_what_a_dying_graph_held_is_let_go(steps):
    # around the depth at which the compiled engine puts nodes off until later
    class Tracked(Value):
        alive = 0

        def __init__(self, data):
            super().__init__(data)
            Tracked.alive += 1

        def __del__(self):
            Tracked.alive -= 1

    leaves = [Tracked(1.0) for _ in range(steps)]
    y = Value.sum(leaf * leaf for leaf in leaves)
    y.backward()
    assert Tracked.alive == steps
    del leaves
    assert Tracked.alive == steps
    del y
    assert Tracked.alive == 0


# A process forks while other threads run compiled functions, and compile some. What the child needs is theirs at most
# times, and nobody there would give it back.
FORKS = """
import gc, os, signal, sys, threading, time, traceback
from array import array
import micrograd as mg

net = mg.MLP(2, [8, 1], rng=1)
step = mg.compile(lambda a, b, y: (net([a, b]) - y) ** 2, threads=2)
f = mg.compile(lambda a, b: a * b + b ** 3)
X = array("d", [i / 1000 for i in range(20_000)])
expected = step.value(X, X, X), f(2.0, 3.0), f.grad(2.0, 3.0), list(f.map(X, X))

def train():
    own = mg.Adam(lr=1e-300)
    while True:
        step.fit(X, X, X, optimizer=own, epochs=100_000, progress=False)

def compile():
    while True:
        mg.compile(lambda a, b: mg.exp(a) * sum(b ** k for k in range(1, 200))).grad(1.0, 0.5)

def ask():
    while True:
        f.map(X, X)

def child():
    assert gc.isenabled()
    assert (step.value(X, X, X), f(2.0, 3.0), f.grad(2.0, 3.0), list(f.map(X, X))) == expected
    assert step.fit(X, X, X, optimizer=mg.SGD(lr=1e-4), epochs=2, progress=False)[1] < expected[0]
    assert mg.compile(lambda a: a * mg.sin(a)).grad(0.0) == 0.0
    rows, own = [[i / 50, 1.0] for i in range(50)], mg.MLP(2, [3, 1], rng=1)
    assert mg.fit(own, rows, [x for x, _ in rows], epochs=30, progress=False).epochs == 30

for task in (train, compile, ask):
    threading.Thread(target=task, daemon=True).start()
time.sleep(0.5)
for i in range(int(sys.argv[1])):
    time.sleep(0.01 * i)
    process = os.fork()
    if not process:
        code = 1
        try:
            signal.alarm(120)  # instead of for ever
            child()
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    assert os.waitpid(process, 0)[1] == 0
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_of_a_process_whose_other_threads_compute():
    finished = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS, "8"], capture_output=True, text=True,
                              timeout=500, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
