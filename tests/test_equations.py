"""A plan as matrix equations: what they say is what the plan computes, and what `explain` derives."""

import math
import random
import re

import pytest

import micrograd
from micrograd import MLP, Value, losses, ops
from micrograd.compiler.equations import LINES, Equations
from micrograd.compiler.plan import plan
from micrograd.formulas.mathml import mathml

np = pytest.importorskip("numpy", reason="the numbers of equations need NumPy: pip install numpy")

CLOSE = {"rel": 1e-12, "abs": 1e-12}  # sums of a few numbers near 1, in another order


def equations(function, inputs=None, kind="train"):
    """The equations of a function, and its parameters as numbers."""
    compiled = micrograd.compile(function, inputs=inputs, backend="python", verify=0)
    found = plan(compiled._executors.schedule(kind), [compiled._executors.places[p] for p in compiled.params])
    return Equations(found, function.__name__), [p.data for p in compiled.params]


def lines(function, inputs=None, kind="train"):
    return [str(line) for line in equations(function, inputs, kind)[0].equations]


def margin(width, activation="relu"):
    net = MLP(2, [width, width, 1], rng=1, activation=activation)

    def loss(x, y):
        return (1 - y * net(x)).relu() + 1e-4 * sum(p * p for p in net.parameters())
    return loss


def test_a_network_prints_as_in_lecture_notes():
    printed = str(equations(margin(8), (2, None))[0])
    assert printed.splitlines()[:9] == [
        "Z2   = W2 @ X + b2                            8 × rows",
        "A2   = relu(Z2)                               8 × rows",
        "Z3   = W3 @ A2 + b3                           8 × rows",
        "A3   = relu(Z3)                               8 × rows",
        "Z4   = W4 @ A3 + b4                           1 × rows",
        "g1   = 1 - y * Z4                             1 × rows",
        "δ4   = -y * step(g1)                          1 × rows",
        "δ3   = (W4.T @ δ4) * step(Z3)                 8 × rows",
        "δ2   = (W3.T @ δ3) * step(Z2)                 8 × rows"]
    assert "dW3  = δ3 @ A2.T / rows + 0.0002 * W3         8 × 8" in printed.splitlines()
    assert "db3  = mean(δ3) + 0.0002 * b3                 8" in printed.splitlines()
    assert "loss = mean(0.0001 * sum(p * p) + relu(g1))" in printed.splitlines()


def test_the_latex_of_a_network():
    found, _ = equations(margin(8, "tanh"), (2, None))
    rows = found.latex.splitlines()
    assert rows[0] == r"\begin{aligned}" and rows[-1] == r"\end{aligned}"
    assert rows[1] == r"Z^{2} & = W^{2} X + b^{2} \\"
    assert r"A^{2} & = \tanh\left(Z^{2}\right) \\" in rows
    assert (r"\delta^{2} & = \left(\left(W^{3}\right)^{\top} \delta^{3}\right) \odot "
            r"\left(1 - A^{2} \odot A^{2}\right) \\") in rows
    assert any(row.startswith(r"\mathrm{d}W^{2} & = \frac{1}{n} \delta^{2} X^{\top} + ") for row in rows)
    assert found._repr_latex_() == f"$${found.latex}$$"


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_equations_do_not_depend_on_the_width(activation):
    narrow, wide = (equations(margin(width, activation), (2, None))[0].equations for width in (8, 24))
    assert [str(line) for line in narrow] == [str(line) for line in wide]
    assert [line.latex for line in narrow] == [line.latex for line in wide]
    assert [tuple(24 if n == 8 else n for n in line.shape) for line in narrow] == [line.shape for line in wide]


# Agreement with explain

def half_squared_error(net):
    return lambda x, y: losses.half_squared_error(net(x), y), lambda rng, width: [rng.gauss(0, 1) for _ in range(width)]


def binary_cross_entropy_from_logits(net):
    return (lambda x, y: losses.binary_cross_entropy_from_logits(net(x), y),
            lambda rng, width: [rng.random() for _ in range(width)])


def cross_entropy(net):
    return lambda x, y: losses.cross_entropy(net(x), y), lambda rng, width: rng.randrange(width)


def collected(numbers, name):
    """A matrix of the equations, also where its rows have a line each: δ4[2], dW4[2, :]."""
    if name in numbers:
        return np.array(numbers[name])
    rows = {}
    for key, value in numbers.items():
        match = re.fullmatch(rf"{re.escape(name)}\[([\d:]+)(, :)?\]", key)
        if match:
            first, _, last = match[1].partition(":")
            span = range(int(first), int(last) if last else int(first) + 1)
            rows.update(zip(span, np.array(value).reshape(len(span), -1)))
    return np.array([rows[i] for i in sorted(rows)])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("loss", [half_squared_error, binary_cross_entropy_from_logits, cross_entropy])
@pytest.mark.parametrize("shape", [(3, 4, 3), (2, 5, 4, 2), (4, 3, 3, 6, 9)])
def test_explain_finds_the_same_equations_and_numbers(activation, loss, shape):
    if loss is binary_cross_entropy_from_logits:
        shape = (*shape[:-1], 1)  # several outputs: see below
    rng = random.Random(f"{activation} {loss.__name__} {shape}")
    net = MLP(shape[0], shape[1:], activation=activation, rng=rng)
    function, target = loss(net)
    x, y = [rng.gauss(0, 1) for _ in range(shape[0])], target(rng, shape[-1])
    found, parameters = equations(function, (shape[0], shape[-1] if isinstance(y, list) else None))
    numbers = found.numbers(parameters, [[*x, *(y if isinstance(y, list) else [y])]])
    matrices = micrograd.explain(function(x, y), form="delta").matrices
    derived = [[*map(str.strip, str(matrix).splitlines()[0].split(" = "))] for matrix in matrices]
    layers = range(len(shape), 1, -1)
    subscript = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    assert [left.partition("/")[2] or left for left, _ in derived] == [
        name.translate(subscript) for k in layers for name in (f"δ{k}", f"∂W{k}", f"∂b{k}")]
    for k, *lines in zip(layers, matrices[::3], matrices[1::3], matrices[2::3]):
        for name, line in zip((f"δ{k}", f"dW{k}", f"db{k}"), lines):
            assert collected(numbers, name) == pytest.approx(np.array(line.value), **CLOSE)
    written = {line.name: line.formula for line in found.equations}
    for k, (_, right) in zip(layers, derived[::3]):
        if k < len(shape):
            assert right.startswith(f"((W{k + 1})ᵀ δ{k + 1}) ⊙ ".translate(subscript))
            assert written[f"δ{k}"].startswith(f"(W{k + 1}.T @ δ{k + 1}) * ")
    errors = [int(line.name[1]) for line in found.equations if line.name.startswith("δ")]
    assert list(dict.fromkeys(errors)) == [*layers]


def test_several_binary_outputs_have_the_same_numbers_too():
    """Each is in branches of its own there, so that their contributions come apart."""
    rng = random.Random(3)
    net = MLP(3, [4, 3], activation="tanh", rng=rng)
    function, _ = binary_cross_entropy_from_logits(net)
    x, y = [0.3, -1.2, 0.7], [0.2, 1.0, 0.0]
    found, parameters = equations(function, (3, 3))
    numbers = found.numbers(parameters, [[*x, *y]])
    matrices = micrograd.explain(function(x, y), form="delta").matrices
    assert len(matrices) == 6
    for name, matrix in zip(("δ3", "dW3", "db3", "δ2", "dW2", "db2"), matrices):
        if name != "δ3":  # which is 1/3 of the error of each
            assert collected(numbers, name) == pytest.approx(np.array(matrix.value), **CLOSE)


# What is printed is what is computed

NAMESPACE = {
    "__builtins__": {}, "maximum": np.maximum, "tanh": np.tanh, "exp": np.exp, "log": np.log, "sin": np.sin,
    "cos": np.cos, "nan": math.nan, "relu": lambda z: np.maximum(z, 0), "step": lambda z: (z > 0) * 1.0,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "softplus": lambda z: np.log1p(np.exp(z)),
    "mean": lambda a: np.mean(a, axis=1, keepdims=True), "sum": lambda a: np.sum(a, axis=0, keepdims=True),
    "where": lambda c, a, b: np.where(np.asarray(c) != 0, a, b)}


def evaluated(found, parameters, table):
    """Each line as Python, with the numbers of the lines before it: (line, by Python, by the plan)."""
    numbers = {name: np.array(rows) for name, rows in found.numbers(parameters, table).items()}
    names = {**NAMESPACE, **numbers, "rows": len(table), "p": np.array(parameters).reshape(-1, 1)}
    return [(line, eval(line.formula, names), numbers[line.name]) for line in found.equations]


TWO_LAYERS, SHIFTED = MLP(3, [4, 5, 1], rng=4, activation="tanh"), MLP(3, [4, 3], rng=5, activation="sigmoid")
THREE, TWELVE = [Value(0.3), Value(-0.5), Value(1.7)], [Value(0.1 * i - 0.4) for i in range(12)]
A, B = Value(0.7, "a"), Value(-0.2, "b")
W = [Value(0.3 * i - 0.5, f"w{i}") for i in range(3)]


def two_layers(x, y):
    return losses.half_squared_error(TWO_LAYERS(x), y)


def shifted(x, y):
    return losses.half_squared_error([a + 1 for a in SHIFTED(x)], y)


def by_hand(x, y):
    return micrograd.sin(THREE[0] * x + THREE[1]) * micrograd.exp(-y * y) / THREE[2]


def with_labels(x, y):
    return (A * x + B - y) ** 2


def weighted(x, y, weight):  # its slope is the same product twice, of three factors with the number 2
    return weight * (A * x + B - y) ** 2


def recurrent(x):
    h = W[2]
    for x_i in x:
        h = (W[0] * h + W[1] * x_i + W[2]).tanh()
    return h * h


def without_labels(x):
    hidden = [sum(TWELVE[3 * i + j] * x[j] for j in range(3)).tanh() for i in range(4)]
    return sum(h * h for h in hidden)


@pytest.mark.parametrize("function, inputs", [
    (margin(5), (2, None)), (margin(5, "softplus"), (2, None)), (two_layers, (3, None)), (shifted, (3, 3)),
    (by_hand, None), (with_labels, None), (weighted, None), (without_labels, (3,))])
def test_each_line_is_python_that_gives_its_numbers(function, inputs):
    found, parameters = equations(function, inputs)
    width = len(found.plan.schedule.program.inputs)
    table = np.random.default_rng(0).normal(size=(6, width))
    for line, by_python, by_plan in evaluated(found, parameters, table):
        by_python = np.broadcast_to(by_python, by_plan.shape) if by_plan.shape[1] == 6 else by_python.reshape(by_plan.shape)
        assert by_python == pytest.approx(by_plan, **CLOSE), str(line)


def test_numbers_have_the_shapes_that_are_printed():
    found, parameters = equations(margin(4), (2, None))
    numbers = found.numbers(parameters, [[0.5, -1.0, 1.0], [1.5, 2.0, -1.0], [0.1, 0.2, 1.0]])
    for line in found.equations:
        rows = numbers[line.name]
        shape = tuple(3 if n == "rows" else n for n in line.shape)
        assert (len(rows), len(rows[0])) == (*shape, 1, 1)[:2], str(line)
    assert numbers["X"] == [[0.5, 1.5, 0.1], [-1.0, 2.0, 0.2]] and numbers["y"] == [[1.0, -1.0, 1.0]]
    assert numbers["W4"] == [parameters[-5:-1]] and numbers["b4"] == [[parameters[-1]]]
    assert len(numbers["W3"]) == len(numbers["W3"][0]) == 4


# Names

def test_shared_weights_are_a_sum_over_j():
    w = [Value(0.3 * i - 0.5, f"k{i}") for i in range(3)]

    def conv(x):
        return sum(a * a for a in [sum(w[j] * x[i + j] for j in range(3)).tanh() for i in range(12)])
    assert lines(conv, (14,)) == [
        "G1 = tanh(sum(k[j] * X[i + j] for j < 3))", "G2 = 2 * G1 * (1 - G1 * G1)", "conv = mean(sum(G1 * G1))",
        "dk = mean(sum(X[i + j] * G2[j] for j < 12))"]


def test_a_recurrent_formula_goes_by_the_labels_of_its_weights():
    found = lines(recurrent, (2,))
    assert "g2 = tanh(w1 * x[1] + w0 * g1 + w2)" in found
    assert "recurrent = mean(g2 * g2)" in found and any(line.startswith("dw1 = mean(x[1] * ") for line in found)


def test_a_formula_without_labels_is_written_with_p():
    assert lines(by_hand)[0] == "g1 = p[1] + p[0] * x"
    assert "dp[0] = mean(x * g4)" in lines(by_hand)
    assert "p.reshape(4, 3) @ X" in lines(without_labels, (3,))[0]


def test_a_network_that_is_called_twice_has_two_of_each():
    net = MLP(2, [3, 2], rng=1, activation="tanh")

    def twice(x):
        return sum(net(net(x)))
    found = lines(twice, (2,))
    assert {"Z2 = W2 @ X + b2", "A2 = tanh(Z2)", "Z3 = W3 @ A2 + b3", "Z2_2 = W2 @ Z3 + b2",
            "A2_2 = tanh(Z2_2)"} <= {*found}
    assert "δ2 = (W3.T @ δ3) * (1 - A2 * A2)" in found and "dW2 = δ2_2 @ Z3.T / rows + δ2 @ X.T / rows" in found


def test_two_networks_do_not_share_a_name():
    first, second = MLP(2, [3, 2], rng=1), MLP(2, [3, 1], rng=2)

    def both(x):
        return second([z.tanh() for z in first(x)])
    names = {name for line in lines(both, (2,)) for name in re.findall(r"\bW\w+", line)}
    assert {"W2", "W3", "W2_2", "W3_2"} <= names


def test_several_outputs_and_other_programs():
    def two(x):
        return [x * x, micrograd.sin(x)]
    assert [line.split(" = ")[1] for line in sorted(lines(two, kind="map"))] in (
        ["x * x", "sin(x)"], ["sin(x)", "x * x"])
    slopes = lines(margin(3), (2, None), "slopes")
    assert "δ2 = (W3.T @ δ3) * step(Z2)" in slopes and "dX = W2.T @ δ2" in slopes


def test_an_op_of_the_users_own_and_labels_of_any_kind():
    square = ops.op("square_for_equations", lambda x: x * x, lambda y, x: 2 * x, text="{0:atom}²", latex="{0:atom}^2",
                    binds="power")
    opaque = ops.op("opaque_for_equations", lambda x: math.exp(x), lambda y, x: y)
    try:
        a, b = Value(2.0, "50% of {a} & b"), Value(1.0, "a*b + c")

        def odd(x, y):
            return opaque(square(x * a) * b * y)
        found, parameters = equations(odd)
        assert "opaque_for_equations(" in str(found) and "(a*b + c)" in str(found)
        assert r"\%" in found.latex and r"\&" in found.latex
        assert found.numbers(parameters, [[0.1, 0.2]])["odd"] == [[pytest.approx(math.exp(0.008), rel=1e-12)]]
    finally:
        for name in ("square_for_equations", "opaque_for_equations"):
            ops.OPS.pop(name, None)


# Any plan

KINDS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b.tanh(), "m": micrograd.maximum,
         "s": lambda a, b: micrograd.sin(a), "t": lambda a, b: a.tanh(), "/": lambda a, b: a / (1 + b * b)}


def irregular(seed, size):
    rng = random.Random(seed)
    ps = [Value(rng.uniform(-1, 1), f"p{i}" if i % 2 else "") for i in range(7)]
    drawn = [(rng.choice("+-*mstw/"), rng.random(), rng.random()) for _ in range(size)]

    def function(*x):
        nodes = [*x, *ps]
        for kind, a, b in drawn:
            a, b = nodes[int(a * len(nodes))], nodes[int(b * len(nodes))]
            if kind == "w":
                nodes.append(micrograd.where(micrograd.step(x[0] + a - b), a, b * b.tanh()))
            else:
                nodes.append(KINDS[kind](a, b))
        return sum(node.tanh() for node in nodes[-20:])
    return function


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [12, 120])
def test_an_irregular_formula_prints(seed, size):
    function = irregular(seed, size)
    for kind in ("train", "map", "slopes"):
        found, parameters = equations(function, [None] * 4, kind)
        printed = found._laid_out(10_000, str).splitlines()
        assert len(printed) == min(len(found.equations), LINES)
        assert found.latex.count(r"\\") == len(printed) - 1
        assert mathml(found.layout()) == mathml(found.latex)
        names = [line.name for line in found.equations]
        assert len({*names}) == len(names)
        assert len({line.group for line in found.equations}) == len(names)
        assert max(len(line.formula) for line in found.equations) < 1000
        for letter, other in (("(", ")"), ("[", "]"), ("{", "}")):
            assert found.latex.count(letter) == found.latex.count(other)
            assert str(found).count(letter) == str(found).count(other)
        numbers = found.numbers(parameters, [[0.1, -0.2, 0.3, 0.4], [1.0, 2.0, -3.0, 0.5]])
        assert {*names} <= {*numbers}
        assert printed == found._laid_out(10_000, str).splitlines()


def test_a_long_plan_is_shortened_in_the_middle():
    found, _ = equations(irregular(0, 120), [None] * 4)
    printed = found._laid_out(10_000, str).splitlines()
    more = len(found.equations) - LINES + 1
    assert len(printed) == LINES and printed[LINES // 2] == f"⋮ ({more} more lines)"
    assert printed[-1].startswith(found.equations[-1].name)
    assert rf"\vdots \text{{ ({more} more lines)}}" in found.latex


def test_a_long_sum_and_a_long_list_are_shortened():
    ps = [Value(0.1 * i, f"a{'bcdefghijklm'[i]}") for i in range(12)]

    def many(x):
        return sum(micrograd.sin(p * x[i] + p) * x[(i * i) % 5] for i, p in enumerate(ps)) + micrograd.exp(ps[3] * x[2])
    assert all(len(line) < 300 for line in lines(many, (12,)))


def test_the_row_of_a_matrix_stands_upright_beside_what_varies():
    net = MLP(2, [2, 1], activation="tanh", rng=1)
    printed = [str(line) for line in micrograd.compile(net).plan.equations]
    assert "δ2 = W3.T * (1 - A2 * A2)" in printed
    assert "dW3 = mean(A2).T" in printed  # which has one row, as W3 has


@pytest.mark.parametrize("function, formula", [
    (lambda x: x + 1 + 2, "3 + x"), (lambda x, y: x - 1 - y - 1, "x - 2 - y"), (lambda x, y: x + x + y, "x + x + y"),
    (lambda x, y: A * x + B * y, "a * x + b * y"), (lambda x, y: A * x + A * y, "a * x + a * y"),
    (lambda x, y: sum([x, y, x * y]), "x + y + y * x")])
def test_a_few_numbers_from_here_and_there_are_written_as_the_learner_did(function, formula):
    [line] = equations(function, kind="map")[0].equations
    assert line.formula == formula


def test_a_sum_over_the_rows_is_said_to_be_one():
    means, sums = (micrograd.compile(with_labels, reduce=reduce).plan for reduce in ("mean", "sum"))
    note = "(the sums that are asked for are these means times rows)"
    assert str(sums).splitlines() == [*str(means).splitlines(), note]
    assert rf"& \text{{{note}}}" in sums.latex and sums.latex.count(r"\\") == means.latex.count(r"\\") + 1


def test_the_very_same_several_times_has_its_number():
    assert "g2 = 2 * weight * g1" in lines(weighted)
    assert "g2 = 2 * g1" in lines(with_labels)


def test_picked_places_are_a_list_as_numpy_has_them():
    def some(x):
        return sum(x[i] for i in (0, 2, 3, 6, 7))
    assert lines(some, (8,), "map") == ["some = sum(X[[0, 2, 3, 6, 7]])"]  # X[0, 2] is one number


def test_a_recurrent_net_has_a_product_for_each_of_its_inputs():
    W = [[Value(0.1, f"w_{{{i},{j}}}") for j in (1, 2)] for i in (1, 2)]
    u, b = ([Value(0.2, f"{name}_{i}") for i in (1, 2)] for name in "ub")

    def net(x):
        h = [(u[i] * x[0] + b[i]).tanh() for i in range(2)]
        return sum(a * a for a in [(Value.dot(W[i], h) + u[i] * x[1] + b[i]).tanh() for i in range(2)])
    assert {"G2 = tanh(u @ x[1] + W @ G1 + b)", "dW = G3 @ G1.T / rows"} <= set(lines(net, (2,)))


def test_a_plan_without_steps_says_so():
    assert str(micrograd.compile(lambda x: x).plan) == "nothing is computed"
