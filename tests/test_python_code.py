"""Recorded programs as Python source: the same results as the eager engine, whatever the numbers; text that reads well."""

import keyword
import math
import re
from array import array

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_properties import programs, run

import micrograd as m
from micrograd import MLP, Value, ops, topological_order, where
from micrograd.compiler import python_code as source
from micrograd.compiler import trace
from micrograd.compiler.gradient import gradient
from micrograd.compiler.program import simplified
from micrograd.compiler.python_code import PythonWriter, Script, identifier
from micrograd.compiler.schedule import schedule

# A replay adds and multiplies the same numbers as the eager engine, in another order: of some hundred roundings (1e-16
# each, of numbers as large as the largest in the sum) few are in the same direction.
EXACT = 1e-12

quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the eager engine warns of inf and nan
careful = settings(deadline=None, derandomize=True, max_examples=150, database=None,
                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large])


def scripts(function, inputs=None):
    """The two programs of a function, as scripts: the mean of its outputs and of the gradient of the first with respect
    to the parameters; and the outputs themselves, with the gradient of the first with respect to the inputs."""
    program = simplified(trace.record(function, inputs))
    outputs = program.outputs
    uniform = [*[program.mean(y) for y in outputs], *gradient(program, outputs[0], program.parameters)]
    varying = [*outputs, *gradient(program, outputs[0], program.inputs)]
    parameters = [*program.parameters.values()]
    return Script(schedule(program, uniform), parameters), Script(schedule(program, [], varying), parameters)


def eager(function, row, parameters):
    """What the eager engine says of one sample: outputs, the gradient of the first with respect to the inputs and to the
    parameters, and the largest number on the way."""
    xs = [Value(x) for x in row]
    result = function(*xs)
    outputs = [m.engine.as_value(y) for y in (result if isinstance(result, (list, tuple)) else [result])]
    for p in parameters:
        p.grad = 0.0
    outputs[0].backward()
    numbers = [x for v in topological_order(*outputs) for x in (v.data, v.grad)]
    largest = max([1.0, *[abs(x) for x in numbers if math.isfinite(x)]])
    return [y.data for y in outputs], [x.grad for x in xs], [p.grad for p in parameters], largest


def assert_close(found, expected, scale):
    assert len(found) == len(expected)
    for x, y in zip(found, expected):
        assert type(x) is float
        assert x == y or (x != x and y != y) or abs(x - y) <= EXACT * scale, (found, expected)


def check(function, rows, inputs=None):
    """All three ways to run a recorded function agree with the eager engine, for every kind of text."""
    rows = [[float(x) for x in row] for row in rows]
    step, each = scripts(function, inputs)
    results = [eager(function, row, step.parameters) for row in rows]
    scale = max([1.0, *[largest for *_, largest in results]])
    mean = [sum(numbers) / len(rows) for numbers in zip(*[[*ys, *by_parameter] for ys, _, by_parameter, _ in results])]
    columns = [array("d", column) for column in zip(*rows)]
    assert_close(step.total(columns, 0, len(rows), 1 / len(rows)), mean, scale)
    outs = [array("d", [math.pi] * len(rows)) for _ in each.schedule.varying]
    each.map(columns, len(rows), outs)
    for i, (ys, by_input, _, _) in enumerate(results):
        assert_close(each.one(rows[i]), [*ys, *by_input], scale)
        assert same(each.one(rows[i]), [out[i] for out in outs])
    for other in variants(step):
        assert same(other.total(columns, 0, len(rows), 1 / len(rows)), step.total(columns, 0, len(rows), 1 / len(rows)))
    for other in variants(each):
        again = [array("d", [math.pi] * len(rows)) for _ in outs]
        other.map(columns, len(rows), again)
        assert same([x for out in again for x in out], [x for out in outs for x in out])
        assert all(same(other.one(row), each.one(row)) for row in rows)


def variants(script):
    """The same script with its careful text only; and cut into the small functions of a large program."""
    other = Script(script.schedule, script.parameters)
    other.written[False] = other._functions(careful=True)
    yield other
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("LARGEST", -1), ("PIECE", 3), ("TERMS", 2)):
            patch.setattr(source, name, value)
        yield Script(script.schedule, script.parameters)


def same(xs, ys):
    """Bit for bit, but for the sign of nan."""
    return [*map(repr, xs)] == [*map(repr, ys)]


POINTS = [(0.5, -1.0, 1.0), (-0.3, 0.25, -1.0), (2.0, 1.5, 1.0), (0.0, 0.0, -1.0), (-1.0, 3.0, 1.0)]


# The same results as the eager engine

@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("layers", [[1], [4, 1], [3, 3, 1]])
def test_networks_with_max_margin_and_l2(activation, layers):
    model = MLP(2, layers, activation=activation, rng=1)
    check(lambda x0, x1, y: (1 - y * model([x0, x1])).relu() + 1e-2 * sum(p * p for p in model.parameters()), POINTS)


def test_a_network_of_several_outputs():
    model = MLP(2, [3, 2], activation="tanh", rng=2)
    check(lambda *x: model(list(x)), [row[:2] for row in POINTS], 2)


def test_several_outputs_of_shared_subgraphs():
    w = Value(0.7, "w")

    def function(x, y):
        shared = (x * w + y).tanh()
        square = shared * shared
        return square * shared + square, shared / (1 + square), x - y, square

    check(function, [row[:2] for row in POINTS])


w = Value(1.5, "w")


@pytest.mark.parametrize("function", [
    lambda x: x, lambda x: w, lambda x: 2.0, lambda x: (x, w, 2.0), lambda x: w * w, lambda x: (w * w, x), lambda x: -x,
    lambda x: x * 0.0, lambda x: x - x, lambda x: Value.sum([2.0, 3.0, 4.0, x - x]), lambda x: math.inf * x,
])
def test_outputs_that_are_an_input_a_parameter_or_a_constant(function):
    check(function, [(1.0,), (-2.5,), (1e-3,)])


def test_no_inputs():
    check(lambda: w * w + 1, [()], 0)
    step, each = scripts(lambda: w * 2, 0)
    assert step.total([], 0, 7, 1 / 7) == [3.0, 2.0]
    out = array("d", [0.0] * 3)
    each.map([], 3, [out])
    assert [*out] == [3.0] * 3


def test_no_rows():
    step, each = scripts(lambda x: (x * w, w * w))
    assert step.total([[1.0, 2.0]], 1, 1, 1.0) == [0.0, 2.25, 0.0]
    each.map([[]], 0, [array("d")] * 3)


def test_a_part_of_the_rows_and_their_scale():
    step, _ = scripts(lambda x, y: x * w + y)
    assert step.total([[1.0, 2.0, 3.0, 4.0], [0.5] * 4], 1, 3, 10.0) == [(2 * 1.5 + 0.5 + 3 * 1.5 + 0.5) * 10, 50.0]


# Where Python raises, and eager has inf or nan

@quiet
@pytest.mark.parametrize("function", [
    lambda x: where(x > 0, m.log(x), -x),
    lambda x: where(x, 1 / x, 0.0) * w,
    lambda x: where(x < 0, 3 * x, (w * x).sqrt() + 1),
    lambda x: where(x > 5, m.exp(x * 1000), x * x),
    lambda x: where(x > -100, where(x > 0, m.log(x * w), w * x), m.log(x)) + x,
    lambda x: where(x > 0, x / m.exp(w), w),
    lambda x: where(x > 0.75, x, (w - 1.5).sqrt()),
    lambda x: where(m.sqrt(x) < 2, m.sqrt(x), x) * w,
    lambda x: where(x > 0, m.log(x), w) + where(x > 0, 2 * m.log(x), x),
    lambda x: 2 * where(x >= 0, (x + 1) ** 0.5, (1 - x) ** 0.5) * where(x <= 0, w, m.log(x)),
])
def test_the_branch_not_taken_is_not_felt(function):
    check(function, [(x,) for x in (-2.0, -0.5, 0.5, 2.0, 0.0)])
    check(function, [(2.0,)])


@quiet
@pytest.mark.parametrize("function", [
    lambda x: 1 / x, lambda x: w / x + x, lambda x: m.exp(x * 1000), lambda x: m.log(x), lambda x: x ** w,
    lambda x: m.sin(x / 0.0), lambda x: x ** -3, lambda x: m.sinh(1000 * x) - m.cosh(1000 * x), lambda x: m.log(x - x),
    lambda x: m.atanh(x) + w, lambda x: x * 1e200 * 1e200,
])
@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -1.0, 2.5])
def test_division_by_zero_overflow_and_what_is_undefined(function, x):
    _, each = scripts(function)
    expected = eager(function, [x], each.parameters)[0]
    assert_close(each.one([x])[:1], expected, 1.0)
    for other in variants(each):
        assert_close(other.one([x])[:1], expected, 1.0)


def test_no_sample_is_lost_or_counted_twice_when_the_run_starts_again():
    step, each = scripts(lambda x: where(x, 1 / x, 3.0) * w)
    for column in ([0.0, 4.0, 2.0], [4.0, 0.0, 2.0], [4.0, 2.0, 0.0]):
        assert step.total([column], 0, 3, 1.0) == [(3 + 0.25 + 0.5) * 1.5, 3 + 0.25 + 0.5]
    out, slope = array("d", [0.0] * 3), array("d", [0.0] * 3)
    each.map([[4.0, 0.0, 2.0]], 3, [out, slope])
    assert [*out] == [1.5 * x for x in (0.25, 3.0, 0.5)]
    assert [*slope] == [1.5 * x for x in (-1 / 16, 0.0, -1 / 4)]


def test_the_careful_text_is_made_only_when_it_is_needed():
    _, each = scripts(lambda x: 1 / x)
    assert each.one([2.0]) == [0.5, -0.25]
    assert True not in each.written
    assert each.one([0.0]) == [math.inf, -math.inf]
    assert True in each.written


@pytest.mark.parametrize("row", source.WRITTEN, ids=lambda row: row.name)
def test_rows_written_out_are_the_rows(row):
    numbers = [0.0, -0.0, 1.0, -1.0, 0.5, 1e308, 5e-324, math.inf, -math.inf, math.nan]
    for a in numbers:
        for b in numbers:
            if row is ops.div and b == 0:
                continue
            args = (a, b, -3.25)[:row.arity]
            assert same([eval(source.WRITTEN[row].format(*[f"({x})" for x in args]), {"inf": math.inf, "nan": math.nan})],
                        [row.value(*args)])


def test_nan_is_true_in_a_condition():
    check(lambda x, y: where(x, y, 2 * y), [(math.nan, 1.0), (0.0, 1.0), (-0.0, 1.0), (2.0, 1.0)])


def test_signs_of_zero():
    assert same(scripts(lambda x: -x)[1].one([0.0]), [-0.0, -1.0])
    assert same(scripts(lambda x: 0 - x)[1].one([0.0]), [0.0, -1.0])
    assert same(scripts(lambda x: -x * w)[1].one([0.0])[:1], [-0.0])
    assert same(scripts(lambda x, y: -(x * y))[1].one([0.0, 5.0])[:1], [-0.0])
    assert same(scripts(lambda x, y: -x - y)[1].one([0.0, 0.0])[:1], [-0.0])


# Ops of the user's own

@pytest.fixture
def own(monkeypatch):
    """m.op, for ops that are gone after the test."""
    monkeypatch.setattr(ops, "OPS", dict(ops.OPS))
    return m.op


def test_ops_with_math_functions(own):
    wave = own("wave", lambda x: math.sin(x) * math.exp(-x), lambda y, x: m.cos(x) * m.exp(-x) - y)
    tilted = own("tilted", lambda a, b: math.hypot(a, 1.0) * b, lambda y, a, b: a * b / m.hypot(a, 1.0),
                 lambda y, a, b: m.hypot(a, 1.0))
    square = own("lambda", lambda x: x * x, lambda y, x: 2 * x)
    check(lambda x: wave(x * w) + tilted(x, w) * square(x), [(0.3,), (-1.0,), (2.0,)])


@quiet
def test_an_op_that_gives_whole_or_complex_numbers_or_raises(own):
    count = own("count", lambda x: math.floor(x), lambda y, x: 0.0, domain=(0.1, 0.9))
    root = own("root", lambda x: (x if float(x) else 0.0) ** 0.5, lambda y, x: 0.5 / y, domain=(0.1, 2.0))
    inverse = own("inverse", lambda x: 1 / float(x), lambda y, x: -y * y, domain=(0.1, 2.0))
    _, each = scripts(lambda x: (-count(x), root(x), inverse(x)))
    assert same(each.one([0.5])[:3], [-0.0, 0.5 ** 0.5, 2.0])  # -0.0: count gives the float 0.0
    assert same(each.one([-4.0])[:3], [4.0, math.nan, -0.25])
    assert same(each.one([0.0])[:3], [-0.0, 0.0, math.nan])


def test_an_op_that_fails_in_its_own_way_is_heard(own):
    look_up = own("look_up", lambda x: {0.5: 1.0}.get(x) or {}[x] if x > 3 else float(x), lambda y, x: 1.0)
    step, each = scripts(lambda x: look_up(x))
    with pytest.raises(KeyError, match=r"4\.0"):
        step.total([[1.0, 4.0]], 0, 2, 1.0)
    assert each.one([1.0]) == [1.0, 1.0]


def test_an_op_that_replaces_another_of_its_name(own):
    first = own("twist", lambda x: math.sin(x), lambda y, x: m.cos(x))
    second = own("twist", lambda x: math.cos(x), lambda y, x: -m.sin(x))
    check(lambda x: first(x) - 2 * second(x), [(0.5,), (2.0,)])


# Random expressions

@careful
@given(programs(), st.integers(0, 3))
def test_random_expressions(case, fixed):
    """Over the rows of the table, at inputs where all is defined; some of the inputs are parameters."""
    program, numbers = case
    fixed = min(fixed, len(numbers))
    parameters = [Value(x, f"p{i}") for i, x in enumerate(numbers[:fixed])]
    check(lambda *xs: run(program, [*parameters, *xs]), [numbers[fixed:]], len(numbers) - fixed)


NUMBERS = st.sampled_from([0.0, 0.5, 1.0, 2.0, -0.5, -1.0, -3.0, 0.3, 1.7])
WILD = {
    "a + b": lambda a, b, c: a + b, "a - b": lambda a, b, c: a - b, "a * b": lambda a, b, c: a * b,
    "a / b": lambda a, b, c: ops.div(a, b), "-a": lambda a, b, c: -a,
    "where(a > b, b, c)": lambda a, b, c: where(a > b, b, c), "where(a, b, c)": lambda a, b, c: where(a, b, c),
    "where(a <= b, c, a)": lambda a, b, c: where(a <= b, c, a), "max(a, b)": lambda a, b, c: m.maximum(a, b),
    "log a": lambda a, b, c: m.log(a), "sqrt a": lambda a, b, c: m.sqrt(a), "exp a": lambda a, b, c: m.exp(a),
    "tanh a": lambda a, b, c: m.tanh(a), "relu a": lambda a, b, c: m.relu(a), "a ** 3": lambda a, b, c: ops.pow(a, 3),
    "asin a": lambda a, b, c: m.asin(a),
}


@quiet
@careful
@given(st.lists(st.tuples(st.sampled_from([*WILD]), *[st.integers(0, 99)] * 3), min_size=1, max_size=14),
       st.tuples(NUMBERS, NUMBERS), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_random_expressions_that_may_be_undefined(steps, numbers, rows):
    """The value and the gradient are those of the eager engine, inf and nan included. But what all samples share is
    multiplied by the mean of the rest, (0 + 1) · ∞ = ∞, where one by one they give 0 · ∞ + 1 · ∞ = nan."""
    parameters = [Value(x, f"p{i}") for i, x in enumerate(numbers)]

    def function(x, y):
        stack = [x, y, *parameters, 2.0, m.tanh(x) * 0.5]
        for name, *places in steps:
            a, b, c = (stack[place % len(stack)] for place in places)
            stack.append(WILD[name](a + 0 * x if "where" in name else a, b, c))  # no condition on parameters alone
        made.append(stack)
        return stack[-1]

    made = []
    results = []
    for row in rows:
        results.append(eager(function, row, parameters))
        for v in made[-1]:
            if isinstance(v, Value) and v.op in (ops.add, ops.sub):  # what two results cancel to may be 0 or 1e-17,
                assume(not abs(v.data) <= 1e-6 * abs(v.parents[0].data))  # and so the choice of a branch an accident
    step, each = scripts(function)
    by_parameter = [sum(g) / len(rows) for g in zip(*[eager(function, row, step.parameters)[2] for row in rows])]
    for variant in (step, *variants(step)):
        found = variant.total([*zip(*rows)], 0, len(rows), 1 / len(rows))
        expected = [x if math.isnan(y) and math.isinf(x) and len(rows) > 1 else y for x, y in zip(found[1:], by_parameter)]
        assert_close(found[1:], expected, max(scale for *_, scale in results))
    for variant in (each, *variants(each)):
        for row, (ys, by_input, _, scale) in zip(rows, results):
            found = variant.one(row)
            assert_close(found, [*ys, *by_input], scale)


# Data

def test_columns_of_any_kind():
    step, each = scripts(lambda x, y: where(x, y / x, -x) + w)
    xs, ys = [2, 0, -4, 1], [1.0, 2.0, 3.0, 4.0]
    expected = step.total([array("d", xs), array("d", ys)], 0, 4, 1.0)
    table = memoryview(array("d", [number for pair in zip(xs, ys) for number in pair]))
    for columns in ([xs, ys], [tuple(xs), tuple(ys)], [array("q", xs), array("f", ys)], [table[::2], table[1::2]]):
        assert step.total(columns, 0, 4, 1.0) == expected
        assert step.total(columns, 1, 2, 1.0) == [1.5, 1.0]
        outs = [array("d", [0.0] * 8) for _ in range(3)]
        each.map(columns, 4, [memoryview(out)[1::2] for out in outs])
        assert [*outs[0][1::2]] == [2.0, 1.5, 0.75, 5.5] and [*outs[0][::2]] == [0.0] * 4


def test_whole_numbers_in_a_list_are_floats_in_the_program():
    step, each = scripts(lambda x: -x)
    out, slope = array("d", [1.0]), array("d", [0.0])
    each.map([[0]], 1, [out, slope])
    assert same(out, [-0.0])
    assert step.total([[2 ** 60 + 1]], 0, 1, 1.0) == [-2.0 ** 60]


def test_parameters_are_read_at_every_run():
    p = Value(2.0, "p")
    step, each = scripts(lambda x: p * x)
    assert step.total([[3.0]], 0, 1, 1.0) == [6.0, 3.0] and each.one([3.0]) == [6.0, 2.0]
    p.data = 5.0
    assert step.total([[3.0]], 0, 1, 1.0) == [15.0, 3.0] and each.one([3.0]) == [15.0, 5.0]


def test_too_few_or_too_many_numbers():
    _, each = scripts(lambda x, y: x * y)
    for numbers in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="unpack"):
            each.one(numbers)


# The text

def test_the_text_of_a_step():
    w, b = Value(2.0, "w^{2}_{1,1}"), Value(1.0, "β")

    def loss(x, y):
        z = w * x + b
        z.label = "z"
        return (z.tanh() - z * y) ** 2 + 0.1 * (w * w)

    step, _ = scripts(lambda x, y: loss(x[0], y), (1, None))
    lines = [line.strip() for line in step.source.splitlines()]
    for line in ("w2_11, β = parameters", "for x_0, y in samples:", "z = w2_11 * x_0 + β"):
        assert line in lines
    order = [next(i for i, line in enumerate(lines) if start in line)
             for start in ("# Once, before", "w2_11 * w2_11", "for ", "z = ", "# Once, after", "*= scale", "return")]
    assert order == sorted(order)


def test_the_text_is_what_is_run():
    step, each = scripts(lambda x: m.tanh(x * w) / x)
    for script, functions in ((step, ["total"]), (each, ["one", "each"])):
        assert re.findall(r"^def (\w+)", script.source, re.M) == functions
        namespace = {"tanh": math.tanh, "tanh_slope": ops.tanh_slope.forward}
        exec(script.source, namespace)
        if script is each:
            assert namespace["one"]([0.5], [w.data]) == each.one([0.5])
        else:
            assert namespace["total"](iter([(0.5,)]), 1.0, [w.data]) == step.total([[0.5]], 0, 1, 1.0)


@pytest.mark.parametrize("label, name", [
    ("x", "x"), ("x[3]", "x_3"), ("w^{2}_{1,1}", "w2_11"), ("w^{2}_{10,1}", "w2_10_1"), ("w_{1, 2}", "w_12"),
    ("b^{4}", "b4"), ("δ^{l}", "δl"), (r"\theta_1", "theta_1"), ("z¹", "z1"), ("my weight", "my_weight"), ("f(x)", "f_x"),
    ("2x", ""), ("½", ""), ("", ""), ("{}", ""), ("___", ""), ("'; import os #", "import_os"), ("a\nb", "a_b"),
])
def test_labels_as_names(label, name):
    assert identifier(label) == name


def test_names_are_unique_and_do_not_hide_each_other():
    labels = ["w", "w", "w_2", "w", "tanh", "v7", "v1", "mean3", "lambda", "None", "samples", "scale", "float", "row", "ﬁ",
              "fi", "v", "inf", "nan", "total", "out_0", "0", "'''", "w\n", "one"]
    parameters = [Value(0.1 * i + 0.1, label) for i, label in enumerate(labels)]

    def function(tanh, parameters_, row):
        inner = m.tanh(tanh * row)
        inner.label = "w"
        return Value.dot(parameters, [inner, *[tanh + i * row for i in range(len(labels) - 1)]]) / parameters_

    check(function, [(0.5, 2.0, 0.25), (-1.0, 3.0, 0.5)])
    for script in scripts(function):
        names = [name for name in PythonWriter(script.schedule, careful=False).name if not re.match(r"-?\d|inf|nan$", name)]
        assert len(names) == len(dict.fromkeys(names))
        assert all(name.isidentifier() and not keyword.iskeyword(name) for name in names)


@given(st.lists(st.text(max_size=8), max_size=6), st.text(max_size=5))
@careful
def test_any_label_will_do(labels, other):
    parameters = [Value(1.0 + i, label) for i, label in enumerate(labels)]

    def function(x):
        y = x * 2.0 + Value.sum(parameters)
        y.label = other
        return y * x

    total = sum(p.data for p in parameters)
    assert scripts(function)[1].one([3.0]) == [3.0 * (6.0 + total), 12.0 + total]


# Size

def test_long_sums_are_cut():
    parameters = [Value(1.0, "p") for _ in range(3000)]
    step, _ = scripts(lambda x: Value.sum(parameters) * x - Value.sum([p * p for p in parameters]))
    assert step.total([[2.0]], 0, 1, 1.0) == [3000.0, *[0.0] * 3000]
    statements = re.sub(r"\n        +", " ", step.source).splitlines()
    assert max(line.count(" + ") + line.count(" - ") for line in statements) == source.TERMS
    assert max(map(len, step.source.splitlines())) < 130


def test_depth_is_no_limit_and_a_large_program_is_the_same_program(monkeypatch):
    def function(x):
        for _ in range(5000):
            x = m.sin(x + w)
        return x

    expected = eager(function, [0.5], [w])
    for largest, functions in ((100_000, 2), (1000, 22)):  # 20,000 statements in functions of a thousand, and the two
        monkeypatch.setattr(source, "LARGEST", largest)
        step, each = scripts(function)
        assert each.source.count("def ") == functions
        assert_close(each.one([0.5]), [*expected[0], *expected[1]], expected[3])
        assert_close(step.total([[0.5]], 0, 1, 1.0), [*expected[0], *expected[2]], expected[3])
