"""Plans: how many array operations a program becomes, and that they compute what generated Python computes, whatever the
program and the numbers are."""

import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import micrograd as m
from micrograd import MLP, Standardizer, Value, losses, maximum, ops, where
from micrograd.compiler import arrays
from micrograd.compiler.arrays import PlanRun
from micrograd.compiler.libraries import jax_library, numpy_library, torch_library
from micrograd.compiler.lines import operands
from micrograd.compiler.onnx_graph import OnnxGraph, Tensor, onnx_library
from micrograd.compiler.plan import Block, Map, MatMul, Outer, Pick, plan
from micrograd.compiler.python_code import Script

np = pytest.importorskip("numpy", reason="NumPy is not installed: pip install numpy")
pytestmark = pytest.mark.filterwarnings(r"ignore:.* is (-?inf|nan)")  # the engine warns; NumPy must not

# Sums in another order, and the last digit of functions that NumPy has of its own: of some hundred roundings (1e-16 each,
# of numbers as large as the largest on the way) few are in the same direction.
CLOSE = 1e-12
KINDS = ("train", "value", "map", "slopes", "curves")  # the programs of a compiled function
careful = settings(deadline=None, derandomize=True, database=None, max_examples=150,
                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large])


def compiled(function, inputs=None, params=None):
    return m.compile(function, inputs=inputs, params=params, backend="python", verify=0)


def lowered(step, kind="train"):
    """A program of a compiled function, and its plan."""
    program = step._executors.schedule(kind)
    return program, plan(program, [step._executors.places[p] for p in everything(step)])


def everything(step):
    """All parameters, those that are trained first and in their order."""
    return list(dict.fromkeys([*step.params, *step._executors.places]))


def generated(step, program, table):
    """What generated Python gives: the uniform outputs, a column for each varying one."""
    script = Script(program, list(step._executors.places))
    columns = [column.tolist() for column in table.T]
    rows = len(table)
    outs = [np.zeros(rows) for _ in program.varying]
    if outs:
        script.map(columns, rows, [memoryview(out) for out in outs])
    return np.array([*(script.total(columns, 0, rows, 1 / rows) if program.uniform else [])]), outs


def planned(step, program, found, table, mask=None, noise=None):
    """What the plan gives by NumPy, and the largest number on the way. noise: a random generator, to put every number that
    goes in and what every function gives off by a few roundings."""
    p, library = np.array([q.data for q in everything(step)]), numpy_library()
    if noise is not None:
        def off(x):
            return x * (1 + noise.choice([-4, -2, 2, 4], np.shape(x)) * 2**-53)
        p, table = off(p), off(table)
        library = replace(library, rows={op: lambda *args, f=f: off(f(*args)) for op, f in library.rows.items()},
                          matmul=lambda a, b: off(np.matmul(a, b)))
    uniform, varying, largest = np.array([]), [], 1.0
    for asked in (program.uniform, program.varying):
        if asked:
            run = PlanRun(found, library, p, table, mask)
            if asked is program.uniform:
                uniform = run.uniform()
            else:
                varying = run.varying()
            for array in run.groups:
                if array is not None:
                    largest = max([largest, *np.abs(array[np.isfinite(array)]).flat])
    return uniform, varying, largest


def by_torch(program, found, p, table, mask):
    torch = pytest.importorskip("torch", reason='torch is not installed: pip install "micrograd-lab[torch]"')
    p, table, mask = (torch.tensor(x) for x in (p, table, mask))
    return (PlanRun(found, torch_library(), p, table, mask).uniform().numpy() if program.uniform else [],
            [x.numpy() for x in (PlanRun(found, torch_library(), p, table).varying() if program.varying else [])])


def jax_in_float64(jax):
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # before JAX 0.8
    return enable_x64()


def by_jax(program, found, p, table, mask):
    jax = pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')

    def all_of_it(p, table, mask):
        return (PlanRun(found, jax_library(), p, table, mask).uniform() if program.uniform else [],
                PlanRun(found, jax_library(), p, table).varying() if program.varying else [])

    with jax_in_float64(jax):
        uniform, varying = jax.jit(all_of_it)(p, table, mask)
        return np.asarray(uniform, "float64"), [np.asarray(x) for x in varying]


def by_onnx(program, found, p, table, mask=None):
    """What onnxruntime makes of the graph that the plan leaves."""
    pytest.importorskip("onnx", reason='onnx is not installed: pip install "micrograd-lab[onnx]"')
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install onnxruntime")
    graph = OnnxGraph("float64")
    x, counts = graph.input("x", table.shape[1]), graph.input("counts")
    results = [PlanRun(found, onnx_library(), p, x, counts).uniform()] if program.uniform else []
    results += PlanRun(found, onnx_library(), p, x).varying() if program.varying else []
    tensors = [y if isinstance(y, Tensor) else graph.constant(y) for y in results]
    model = graph.model({f"y{i}": y for i, y in enumerate(tensors)})
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    arrays = session.run(None, {"x": table, "counts": np.ones(len(table)) if mask is None else mask})
    return (arrays[0], arrays[1:]) if program.uniform else ([], arrays)


def assert_same(found, expected, scale):
    """Equal, or both nan, or apart by some roundings. scale: a number, or how much each may be off."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape and found.dtype == np.float64
    with np.errstate(invalid="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected)) | (np.abs(found - expected) <= CLOSE * scale)
    assert same.all(), (found[~same], expected[~same], scale)


def check(function, rows=(1, 2, 7, 64), inputs=None, kinds=KINDS, params=None, table=None):
    """All programs of a function, on tables of so many rows."""
    step = compiled(function, inputs, params)
    rng = np.random.default_rng(1)
    for kind in kinds:
        program, found = lowered(step, kind)
        for count in rows:
            data = rng.normal(size=(count, len(program.program.inputs))) if table is None else table(rng, count)
            uniform, varying, largest = planned(step, program, found, data)
            by_python, columns = generated(step, program, data)
            assert_same(uniform, by_python, largest)
            assert len(varying) == len(columns)
            for x, y in zip(varying, columns):
                assert_same(x, y, largest)
            if program.uniform:
                masked(step, program, found, data, by_python, largest)
    return step


def masked(step, program, found, data, expected, largest):
    """Rows that do not count, before and after and among the others, whatever is in them."""
    some = np.concatenate([data, np.full((3, data.shape[1]), math.nan), np.full((2, data.shape[1]), math.inf), data[:1]])
    order = np.random.default_rng(2).permutation(len(some))
    mask = (order < len(data)).astype(float)
    assert_same(planned(step, program, found, some[order], mask)[0], expected, largest)
    assert_same(planned(step, program, found, data, np.ones(len(data)))[0], expected, largest)


# Structure

def shape(found):
    """The kinds of all steps, and of their parts."""
    return [(type(step).__name__, found.varies[step.group], *(
        [step.op.name] if isinstance(step, Map) else [(type(part).__name__, part.each == 1 if hasattr(part, "each") else "")
                                                      for part in step.parts])) for step in found.steps]


def parts(found, kind):
    return [part for step in found.steps if not isinstance(step, Map) for part in step.parts if isinstance(part, kind)]


def margin(net, penalty=0.0):
    def loss(x0, x1, y):
        return (1 - y * net([x0, x1])).relu() + (penalty * sum(p * p for p in net.parameters()) if penalty else 0.0)
    return loss


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("penalty", [0.0, 1e-4])
def test_the_number_of_steps_depends_on_depth_and_not_on_width(activation, penalty):
    for depth in (1, 2, 3):
        shapes = []
        for width in (2, 8, 24):
            net = MLP(2, [*[width] * depth, 1], rng=1, activation=activation)
            _, found = lowered(compiled(margin(net, penalty)))
            shapes.append(shape(found))
            forward_and_back = 2 * depth + 1  # but for the inputs, whose slope nobody wants
            assert len(parts(found, MatMul)) == forward_and_back
            assert len(parts(found, Outer)) == depth + 1
        assert shapes[0] == shapes[1] == shapes[2]
        assert len(shapes[0]) < 12 + 13 * depth


def test_parameters_are_parts_of_matrices():
    """The weights of a layer lie row by row, each row with its bias after it: nothing need be picked one by one."""
    net = MLP(3, [8, 5, 2], rng=1, activation="tanh")
    _, found = lowered(compiled(lambda x, y: losses.half_squared_error(net(x), y), inputs=(3, 2)))
    picks = [x for step in found.steps for x in operands(step) if isinstance(x, Pick)]
    assert all(x.at is None or isinstance(x.at, (range, Block)) for x in picks)
    first, second, third, *back = [part.weights.at for part in parts(found, MatMul)]
    assert (first, second, third) == (Block(0, 8, 4, 3, False), Block(32, 5, 9, 8, False), Block(77, 2, 6, 5, False))
    assert back == [Block(77, 2, 6, 5, True), Block(32, 5, 9, 8, True)]
    assert all(outer.at is None and outer.each == 1 for outer in parts(found, Outer))


def test_a_net_without_biases():
    weights = [[[Value(random.Random(i * j + k).uniform(-1, 1)) for k in range(3)] for j in range(3)] for i in range(2)]
    flat = [w for layer in weights for row in layer for w in row]

    def net(*x):
        for layer in weights:
            x = [ops.tanh(sum(w * a for w, a in zip(row, x))) for row in layer]
        return sum(a * a for a in x)

    step = check(net, inputs=[None] * 3, params=flat)
    _, found = lowered(step)
    assert [part.weights.at for part in parts(found, MatMul)] == [
        Block(0, 3, 3, 3, False), Block(9, 3, 3, 3, False), Block(9, 3, 3, 3, True)]
    assert [outer.at for outer in parts(found, Outer)] == [None, None]


@pytest.mark.parametrize("layers", [[1], [1, 1], [1, 1, 1, 1], [3, 1, 3], [1, 4]])
def test_layers_of_one_neuron(layers):
    net = MLP(2, layers, rng=1, activation="tanh")
    check(lambda x: sum(net(x) if layers[-1] > 1 else [net(x)]), inputs=(2,))


@pytest.mark.parametrize("name", ["sigmoid", "gelu", "relu", "softplus", "identity"])
def test_networks_of_all_programs(name):
    net = MLP(2, [4, 3, 1], rng=1, activation=name)
    check(margin(net, 0.01))


def test_shared_weights():
    """A convolution: windows of the inputs with the same weights are one step, however many there are."""
    w = [Value(0.3 * i - 0.5, f"k{i}") for i in range(3)]
    counts = []
    for width in (6, 12):
        def conv(x):
            h = [ops.tanh(sum(w[j] * x[i + j] for j in range(3)) + 0.1) for i in range(len(x) - 2)]
            return sum(a * a for a in h)
        step = check(conv, inputs=(width,))
        counts.append(len(lowered(step)[1].steps))
    assert counts[0] == counts[1] < 16


def test_many_windows_of_several_filters():
    """Each window is a small matrix product; many of them are done together."""
    w = [[Value(0.3 * i - 0.5 * j, f"k{j}{i}") for i in range(3)] for j in range(2)]
    counts = []
    for width in (12, 20):
        def conv(x):
            h = [ops.tanh(sum(row[j] * x[i + j] for j in range(3))) for i in range(len(x) - 2) for row in w]
            return sum(a * a for a in h)
        step = check(conv, rows=(1, 7), inputs=(width,))
        counts.append(len(lowered(step)[1].steps))
    assert counts[0] == counts[1] < 12


def test_recurrence():
    w = [Value(0.3 * i - 0.5, f"k{i}") for i in range(3)]
    lengths = []
    for n in (3, 6, 9):
        def rnn(x):
            h = w[0] * 0
            for xi in x:
                h = ops.tanh(w[0] * h + w[1] * xi + w[2])
            return h * h
        step = check(rnn, inputs=(n,), kinds=("train", "value", "map", "slopes"))
        lengths.append(len(lowered(step)[1].steps))
    assert lengths[2] - lengths[1] == lengths[1] - lengths[0]


def test_a_residual_net():
    counts = []
    for width in (3, 9):
        net = MLP(width, [width, width], rng=1, activation="tanh")

        def residual(x, y, net=net):
            for _ in range(2):
                x = [a + b for a, b in zip(x, net(x))]
            return losses.half_squared_error(x, y)
        step = check(residual, inputs=(width, width), kinds=("train", "value", "map", "slopes"))
        counts.append(len(lowered(step)[1].steps))
    assert counts[0] == counts[1]


def test_softmax_and_cross_entropy():
    for width in (4, 10):
        net = MLP(3, [width, width], rng=1, activation="tanh")
        check(lambda x, t, net=net: losses.half_squared_error(losses.softmax(net(x)), t), inputs=(3, width),
              kinds=("train", "map", "slopes"))
        check(lambda x, t, net=net: losses.cross_entropy(net(x), t), inputs=(3, None), kinds=("train", "map"), table=classes)


def classes(rng, rows):
    table = rng.normal(size=(rows, 4))
    table[:, -1] = rng.integers(0, 4, rows)
    return table


def test_several_outputs_and_a_standardizer():
    net = MLP(3, [4, 2], rng=3, scaler=Standardizer([.1, .2, .3], [1., 2., 3.]))
    check(lambda x, y: [(net(x)[0] - y) ** 2, *net(x), x[0], y], inputs=(3, None))


# Programs in which there is little to be found

OUTPUTS = {
    "an input": lambda x, y: x,
    "a parameter": lambda x, y: W[0],
    "a parameter among others": lambda x, y: [x * W[0], W[1], W[1] * W[0], ops.exp(W[0])],
    "a constant among others": lambda x, y: [x * W[0], 3.0, x * 0 + 1.0],
    "outputs that do not vary": lambda x, y: [W[0] * W[1] + 2, ops.sin(W[0])],
    "no parameters": lambda x, y: ops.sin(x) * y + x * x,
    "an output twice": lambda x, y: [x * W[0], x * W[0], x, x],
    "a parameter and its negative": lambda x, y: [W[0] - W[0], -W[0], -x, -(x * W[0])],
    "a slope that is a constant": lambda x, y: 2.0 * W[0] + 3.0 * x,
    "sums of the same terms": lambda x, y: ops.tanh((x + W[0]) + x * x) * ops.exp(x + (W[0] + x * x)),
    "uniform sums of the same terms": lambda x, y: ops.tanh((W[1] + W[0]) + W[0] * W[0]) * ops.exp(W[1] + (W[0] + W[0] * W[0])) * x,
    "repeated terms": lambda x, y: (x + x + x) * W[0] + x * W[0] + W[0] * x + (W[0] + W[0]) * y - x - x,
    "repeated constants": lambda x, y: 0.1 * x + 0.1 * x + 0.1 * x - 0.1 * x + 2 * x * y + 2 * x * y,
    "large repeated constants": lambda x, y: 1e308 * (x * 1e-9) + 1e308 * (x * 1e-9) + 1.5e308 * (y * 0) + 1.5e308 * (y * 0),
    "squares": lambda x, y: x * x + y * y - x * y + W[0] * W[0] * x,
    "a cube": lambda x, y: (x * W[0]) ** 3 - x * x * x * W[1] * W[1],
    "nothing is left": lambda x, y: (x - x) * W[0] + (x * W[0] - W[0] * x),
    "a mean of what varies by what does not": lambda x, y: (1e300 * W[3]) * (1e300 * W[0]) * maximum(x, 0) + W[1] * (x - y),
    "detached": lambda x, y: (x * W[0]).detach() * x * W[1] + (W[0] * y).detach() + ops.sin(x.detach()) * y,
    "signs": lambda x, y: -x - y * W[0] - W[1] - x * y + (-(x * W[0] + y * W[1] - 2)) * -W[0],
    "negative layers": lambda x, y: sum(ops.tanh(-W[2 * i] * x - y * W[2 * i + 1] - W[4]) for i in range(2)),
    "mixed layers": lambda x, y: sum(ops.tanh(W[2 * i] * x - y * W[2 * i + 1] - W[4] + 0.5) for i in range(2)),
    "constants in a layer": lambda x, y: ops.tanh(0.5 * x + W[0] * y) * ops.tanh(0.25 * x + W[1] * y),
    "a layer of constants": lambda x, y: ops.tanh(0.5 * x + 3 * y) * ops.tanh(0.25 * x + 2 * y),
    "a weight of a sample": lambda x, y: sum(W[i] * (x * y) for i in range(5)) * ops.sin(x) + y * ops.cos(y) * ops.sin(x),
    "an input that comes twice": lambda x, y: sum(ops.tanh(W[i] * x + W[i + 1] * x + x) for i in range(3)),
    "where": lambda x, y: where(x > y, x * W[0], W[1]) + where(W[0], y, x * y) + where(x > 0, W[0] * W[1], ops.exp(W[0])),
    "comparisons": lambda x, y: (x > y) * W[0] + (x - W[1] > W[0]) * x + (x >= 0) * (y <= x),
}
W = [Value(x, f"w{i}") for i, x in enumerate((0.7, -1.3, 0.4, 0.9, -0.2, 1.1))]


@pytest.mark.parametrize("name", OUTPUTS)
def test_all_kinds_of_outputs(name):
    check(OUTPUTS[name], params=W[:2] if name != "no parameters" else None)


def test_no_inputs():
    check(lambda: W[0] * W[1] + ops.sin(W[0]), inputs=0)


def test_parameters_that_are_not_used():
    check(lambda x: x * W[0], params=[W[3], W[0], W[1]])
    check(lambda x: x * W[0] + W[1], params=[])


def test_a_thousand_products():
    rng = random.Random(1)
    ws = [Value(rng.uniform(-1, 1)) for _ in range(1000)]
    kinds = ("train", "map", "slopes")
    step = check(lambda x: sum(w * a for w, a in zip(ws, x)), rows=(1, 7), inputs=(1000,), kinds=kinds)
    assert len(lowered(step)[1].steps) <= 3
    step = check(lambda x, y: sum(a * b for a, b in zip(x, y)) * W[0], rows=(1, 7), inputs=(500, 500), kinds=kinds)
    assert len(lowered(step)[1].steps) <= 4
    pairs = [(rng.randrange(30), rng.randrange(30), rng.randrange(1000)) for _ in range(1000)]
    step = check(lambda x: sum(x[a] * x[b] * ws[c] for a, b, c in pairs), rows=(1, 7), inputs=(30,), kinds=kinds)
    assert len(lowered(step)[1].steps) < 16
    step = check(lambda x: sum(ops.tanh(x[a] * ws[c]) for a, b, c in pairs), rows=(1, 7), inputs=(30,), kinds=kinds)
    assert len(lowered(step)[1].steps) < 16


def test_a_deep_chain():
    def chain(x):
        y = x * W[0]
        for i in range(3000):
            y = ops.sin(y) if i % 2 else y * 0.9 + W[1]
        return y
    step = check(chain, rows=(2,), kinds=("train", "value", "map"))
    assert len(lowered(step, "map")[1].steps) == 3001


@pytest.fixture(scope="module")
def own():
    """Ops of a user's own: written with rows, with functions of Python's, and such as leave an argument out."""
    yield (m.op("bend", lambda x: ops.tanh(x) * x + 0.5, lambda y, x: ops.tanh(x) + x * (1 - ops.tanh(x) ** 2)),
           m.op("hard", lambda x: math.sin(x) * 2, lambda y, x: 2 * ops.cos(x)),
           m.op("blend", lambda a, b: math.hypot(a, b + 3), lambda y, a, b: a / y, lambda y, a, b: (b + 3) / y),
           m.op("three", lambda x: 3.0, lambda y, x: 0.0),
           m.op("left", lambda a, b: a, lambda y, a, b: 1.0, lambda y, a, b: 0.0))
    for name in ("bend", "hard", "blend", "three", "left"):
        del ops.OPS[name]


def test_ops_of_a_users_own(own):
    bend, hard, blend, three, left = own
    check(lambda x, y: bend(x * W[0]) * hard(x + y * W[1]) + blend(x, W[0]) * hard(W[1]) + bend(W[0]))
    check(lambda x, y: [three(x), three(W[0]), left(x, y), left(W[0], x), left(2.0, x), left(W[0], W[1])])
    check(lambda x, y: three(x) * W[0] + three(x) * y + three(W[0]) * three(W[1]) + left(W[0], x) * y, params=W[:2])
    check(lambda x, y: [three(W[0]) * three(W[1]), three(x) * three(y), three(x) + W[0], left(W[0], x)])
    check(lambda x, y: ops.sin(three(x)) + ops.tanh(left(W[0], x)) * ops.tanh(left(W[1], y)) + hard(three(W[0])))


# Other libraries

def mixture(x, y):
    """All the formulas above in one, which compiles faster than each of them alone."""
    found = [f(x, y) for f in OUTPUTS.values()]
    flat = [z for f in found for z in (f if isinstance(f, list) else [f])]
    return [sum(ops.tanh(z) for z in flat), *flat]


def shared_windows(x, y):
    h = [ops.tanh(sum(W[j] * x[i + j] for j in range(3)) + 0.1) for i in range(5)]
    return losses.half_squared_error(sum(a * b for a, b in zip(h, y)), y[0])


CASES = {
    "a network": (margin(MLP(2, [8, 4, 1], rng=1, activation="tanh"), 1e-3), None),
    "softmax": (lambda x, y: losses.half_squared_error(losses.softmax(NET(x)), y), (3, 4)),
    "a mixture": (mixture, None),
    "windows": (shared_windows, (7, 5)),
}
NET = MLP(3, [5, 4], rng=2, activation="sigmoid", scaler=Standardizer([.1, .2, .3], [1., 2., 3.]))


@pytest.mark.parametrize("library", [by_torch, by_jax, by_onnx])
@pytest.mark.parametrize("case", CASES)
def test_other_libraries(case, library):
    function, inputs = CASES[case]
    step = compiled(function, inputs)
    for kind in ("train", "slopes"):
        on(library, step, kind, 7)


@pytest.mark.parametrize("library", [by_torch, by_jax])
def test_other_libraries_on_ops_of_a_users_own(library, own):
    bend, hard, blend, three, left = own
    step = compiled(lambda x, y: bend(x * W[0]) * hard(x + y * W[1]) + blend(x, W[0]) * hard(W[1]) + three(x) * left(W[0], y))
    for kind in ("train", "slopes"):
        on(library, step, kind, 7)


def on(library, step, kind, rows):
    program, found = lowered(step, kind)
    data = np.random.default_rng(3).normal(size=(rows, len(program.program.inputs)))
    p = np.array([q.data for q in everything(step)])
    by_python, columns = generated(step, program, data)
    largest = planned(step, program, found, data)[2]
    data = np.concatenate([data, data[:1] * math.nan])
    mask = np.array([1.0] * rows + [0.0])
    uniform, varying = library(program, found, p, data, mask)
    assert_same(uniform, by_python, largest)
    for x, y in zip(varying, columns, strict=True):
        assert_same(x[:rows], y, largest)


# The fuzzer

ROWS = [row for row in ops.OPS.values() if row.builtin and row.arity <= 2]
PARTS = {
    "a sum": lambda a, b, c, d, k: a + b - c,
    "the same sum": lambda a, b, c, d, k: b + (a - c),
    "products": lambda a, b, c, d, k: k + 0.5 * a - b * 0.3 + 0.25 * c * d,
    "a square": lambda a, b, c, d, k: (0.5 * a + k) ** 2,
    "x*x": lambda a, b, c, d, k: a * a,
    "twice": lambda a, b, c, d, k: a * b + a * b - c,
    "nothing": lambda a, b, c, d, k: a - a + k * b,
    "cancels": lambda a, b, c, d, k: a * b - b * a + c,
    "scaled": lambda a, b, c, d, k: k * a,
    "scaled thrice": lambda a, b, c, d, k: k * a + k * a + k * a + b,
    "-x": lambda a, b, c, d, k: -a,
    "a layer": lambda a, b, c, d, k: [ops.tanh(W[i] * a + W[i + 1] * b + W[i + 2]) for i in range(3)],
    "a layer of differences": lambda a, b, c, d, k: [ops.tanh(W[i] * a - W[i + 1] * b + k) for i in range(3)],
    "a layer of any weights": lambda a, b, c, d, k: [ops.tanh(c * a + d * b), ops.tanh(d * a + c * b)],
    "all pairs": lambda a, b, c, d, k: [a * c, a * d, b * c, b * d],
    "a dot": lambda a, b, c, d, k: a * c + b * d,
    "a quotient": lambda a, b, c, d, k: a / (b * b + 1) - c / (b * b + 1),
    "relu": lambda a, b, c, d, k: ops.relu(a + 0.3 * b - 0.123),
    "a choice": lambda a, b, c, d, k: where(a + k > b, c, d),
    "another choice": lambda a, b, c, d, k: where(ops.relu(a - 0.0321), b, ops.exp(c)),
    "detached": lambda a, b, c, d, k: a.detach() * b + (c * d).detach(),
    "bend": lambda a, b, c, d, k: ops.OPS["bend"](a),
    "hard": lambda a, b, c, d, k: ops.OPS["hard"](a) * b,
    "blend": lambda a, b, c, d, k: ops.OPS["blend"](a, b),
    "left": lambda a, b, c, d, k: ops.OPS["left"](a, b) * k,
    **{row.name: lambda a, b, c, d, k, row=row: row(*[low + (high - low) * ops.sigmoid(x) for x, (low, high) in zip((a, b), row.domain)])
       for row in ROWS},
}
NAMES = [*PARTS]


@st.composite
def formulas(draw):
    """A function, how many inputs it has, how many rows, and a seed for their numbers."""
    inputs, params = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    steps = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.tuples(*[st.integers(0, 99)] * 4), st.sampled_from([0.5, -1.3, 0.0, 2.0])),
                          min_size=2, max_size=14))

    def formula(*xs):
        nodes = [*xs, *W[:params]]
        for name, places, k in steps:
            a, b, c, d = [nodes[place % len(nodes)] for place in places]
            if "choice" in name or name == "detached":  # not of parameters alone
                a, c = a + 0.01 * xs[0], c * (1 + 0.1 * xs[0])
            y = PARTS[name](a, b, c, d, k)
            for z in y if isinstance(y, list) else [y]:
                nodes.append(ops.tanh(z) if len(nodes) % 4 == 0 else z)
        return [sum(ops.tanh(z) for z in nodes[-3:]), sum(nodes[-2:]), nodes[-1]]

    return formula, inputs, draw(st.sampled_from([1, 2, 7, 64])), draw(st.integers(0, 1000)), len(steps)


def agree(step, kind, data, rng, other=generated):
    """Compare a program with generated Python, or with `other`, where its numbers are no accident of rounding: a branch or a kink that a
    rounding decides, a difference that is all rounding.

    How far a result may be off is found by trial: the spread of some runs that are each off by a few roundings everywhere, times 30.
    """
    program, found = lowered(step, kind)
    runs = [planned(step, program, found, data, noise=noise) for noise in (None, *[rng] * 4)]
    largest = runs[0][2]
    assume(largest < 1e100)
    by_python, columns = other(step, program, data)
    for results, expected in ([([run[0] for run in runs], by_python)] if program.uniform else []) + [
            ([run[1][i] for run in runs], columns[i]) for i in range(len(columns))]:
        found, *others = np.asarray(results)
        with np.errstate(invalid="ignore"):
            spread = np.where(np.isfinite(found), np.abs(others - found).max(0), 0.0)
        definite = (np.isfinite(found) == np.isfinite(others)).all(0) & (np.isnan(found) == np.isnan(others)).all(0) & (spread < 1e-7 * largest)
        assert_same(found[definite], expected[definite], (largest + 30 * spread / CLOSE)[definite])


@careful
@given(formulas())
def test_random_formulas(own, case):
    function, inputs, rows, seed, size = case
    step, rng = compiled(function, inputs), np.random.default_rng(seed)
    data = rng.normal(size=(rows, inputs))
    for kind in KINDS if size < 7 else KINDS[:-1]:
        agree(step, kind, data, rng)
        program, found = lowered(step, kind)
        if program.uniform:
            uniform, _, largest = planned(step, program, found, data)
            assume(np.isfinite(uniform).all())
            masked(step, program, found, data, uniform, largest)


@careful
@given(formulas())
def test_random_formulas_at_inf_nan_and_0(own, case):
    function, inputs, rows, seed, size = case
    step, rng = compiled(function, inputs), np.random.default_rng(seed)
    data = rng.normal(size=(rows, inputs))
    data[rng.random(data.shape) < 0.3] = rng.choice([math.inf, -math.inf, math.nan, 0.0])
    for kind in KINDS if size < 7 else KINDS[:-1]:
        agree(step, kind, data, rng)


@settings(careful, max_examples=80)
@given(formulas(), st.booleans())
def test_random_formulas_by_onnxruntime(own, case, at_edges):
    function, inputs, rows, seed, _ = case
    step, rng = compiled(function, inputs), np.random.default_rng(seed)
    data = rng.normal(size=(rows, inputs))
    if at_edges:
        data[rng.random(data.shape) < 0.3] = rng.choice([math.inf, -math.inf, math.nan, 0.0])
    p = np.array([q.data for q in everything(step)])
    for kind in ("train", "slopes"):
        found = lowered(step, kind)[1]
        if any(isinstance(s, Map) and s.op in own for s in found.steps):
            with pytest.raises(ValueError, match=r"(hard|blend|left) cannot be written in ONNX .must be real number"):
                by_onnx(step._executors.schedule(kind), found, p, data)
        else:
            agree(step, kind, data, rng, lambda step, program, data, found=found: by_onnx(program, found, p, data))


# What else is asked of a plan

def test_outputs_in_another_order():
    step = compiled(lambda x, y: W[0] * x + W[1] * y + W[2])
    program, found = lowered(step)
    data = np.random.default_rng(1).normal(size=(5, 2))
    expected = planned(step, program, found, data)[0]
    order = [3, 0, 2, 2]
    again = plan(program, [step._executors.places[p] for p in everything(step)], [program.uniform[i] for i in order])
    assert_same(planned(step, program, again, data)[0], expected[order], 1.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_of_the_kind_of_the_parameters(dtype):
    step = compiled(mixture)
    p = np.array([q.data for q in everything(step)], dtype)
    for kind in ("train", "slopes"):
        program, found = lowered(step, kind)
        data = np.random.default_rng(1).normal(size=(5, 2)).astype(dtype)
        run = PlanRun(found, numpy_library(), p, data, np.ones(5, dtype))
        for array in [run.uniform()] if program.uniform else run.varying():
            assert array.dtype == dtype


def test_sums_of_all_devices():
    """Each of them with some of the rows; what is told to the others are sums."""
    step = compiled(margin(MLP(2, [4, 1], rng=1), 0.1))
    program, found = lowered(step)
    p = np.array([q.data for q in everything(step)])
    data = np.random.default_rng(1).normal(size=(7, 3))
    told = []
    for part in (data[:3], data[3:]):
        PlanRun(found, numpy_library(), p, part).uniform(7, lambda sums: told.append(sums) or sums)
    both = [x + y for x, y in zip(*told)]
    result = PlanRun(found, numpy_library(), p, data[:3]).uniform(7, lambda sums: both)
    assert_same(result, generated(step, program, data)[0], 1.0)


REPRS = """
import sys
sys.path[:0] = {path!r}
import test_plan
print(test_plan.texts())
"""


def texts():
    """Plans of some functions, as text."""
    return [repr(lowered(compiled(function, inputs), kind)[1]) for function, inputs in CASES.values() for kind in ("train", "slopes")]


def test_a_plan_is_the_same_each_time():
    found = texts()
    assert found == texts()
    assert all("0x" not in text for text in found)
    folder = Path(__file__).parent
    for seed in ("1", "2"):
        again = subprocess.run([sys.executable, "-c", REPRS.format(path=[str(folder), str(folder.parent)])], text=True, check=True,
                               capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        assert again.strip() == repr(found)


@pytest.mark.parametrize("rows", [96, 103])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_many_rows_go_block_by_block(name, masked, rows, monkeypatch):
    """They come to the same, whether the blocks divide them or not. A block has at least two rows here, and 40 numbers."""
    monkeypatch.setattr(arrays, "SMALLEST", 2)
    net = MLP(2, [4, 1], rng=1)
    step = compiled(lambda x, y: losses.max_margin(net(x), y) + sum(p * p for p in net.parameters()), (2, None))
    _, found = lowered(step, "train")
    rng = np.random.default_rng(1)
    table = np.column_stack([rng.normal(size=(rows, 2)), rng.choice([-1.0, 1.0], rows)])
    p, mask = np.array([q.data for q in everything(step)]), (np.arange(rows) < rows - 5) * 1.0
    if masked:
        table[rows - 5:] = math.nan
    expected = PlanRun(found, numpy_library(), p, table, mask if masked else None, whole=True).uniform()
    seen = []
    monkeypatch.setattr(PlanRun, "of_block", lambda run, *arrays, f=PlanRun.of_block: seen.append(len(arrays[0])) or f(run, *arrays))
    if name == "numpy":
        library, array, ran = numpy_library(), np.asarray, lambda f, *args: f(*args)
    elif name == "torch":
        torch = pytest.importorskip("torch", reason='torch is not installed: pip install "micrograd-lab[torch]"')
        library, array, ran = torch_library(), torch.tensor, lambda f, *args: f(*args)
    else:
        jax = pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')
        library, array = jax_library(), np.asarray

        def ran(f, *args):
            with jax_in_float64(jax):
                return jax.jit(f)(*args)
    library = replace(library, at_once=lambda like: 40)
    arguments = [array(x) for x in ((p, table, mask) if masked else (p, table))]
    result = ran(lambda *args: PlanRun(found, library, *args).uniform(), *arguments)
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-12, atol=1e-14)  # sums in another order
    assert 1 < max(seen) <= 8, seen
