"""Functions of functions: grad, value_and_grad, jvp, vjp, jacobian, hessian, hvp, and check_gradients."""

import json
import math
import random
import threading
import warnings
from collections import namedtuple
from html.parser import HTMLParser

import pytest

import micrograd as m
from micrograd import Value, calculus, check_gradients, grad, hessian, hvp, jacobian, jvp, ops, value_and_grad, vjp

# Two orders of multiplying the same few factors: they differ by a rounding each, far less than this.
EXACT = 1e-12


def close(a, b, rel=EXACT):
    return math.isclose(a, b, rel_tol=rel, abs_tol=rel)


# Known derivatives

@pytest.mark.parametrize("f, derivative", [
    (lambda x: x ** 3, lambda x: 3 * x ** 2),
    (lambda x: m.sin(x) * m.exp(x), lambda x: (math.cos(x) + math.sin(x)) * math.exp(x)),
    (lambda x: 1 / x, lambda x: -1 / x ** 2),
    (m.tanh, lambda x: 1 - math.tanh(x) ** 2),
    (lambda x: x, lambda x: 1.0),
    (lambda x: 5.0, lambda x: 0.0),
    (lambda x: 2 ** x, lambda x: math.log(2) * 2 ** x),
])
def test_known_first_derivatives(f, derivative):
    for x in (0.3, 1.7):
        found = grad(f)(x)
        assert type(found) is float
        assert close(found, derivative(x))
        assert close(jvp(f, (x,), (1.0,))[1], derivative(x))


def test_derivatives_of_any_order():
    f, slopes = m.sin, []
    for _ in range(6):
        slopes.append(f(0.5))
        f = grad(f)
    s, c = math.sin(0.5), math.cos(0.5)
    assert slopes == pytest.approx([s, c, -s, -c, s, c], rel=EXACT)


def test_an_integer_argument_gives_a_float():
    found = grad(lambda x: x * x)(3)
    assert (found, type(found)) == (6.0, float)


# Structures

def test_one_argument_gives_one_gradient_and_several_a_tuple():
    assert grad(lambda x: x * x)(3.0) == 6.0
    assert grad(lambda x, y: x * y)(3.0, 4.0) == (4.0, 3.0)
    assert value_and_grad(lambda x, y: x * y)(3.0, 4.0) == (12.0, (4.0, 3.0))


def test_the_gradient_has_the_structure_of_the_argument():
    def f(p):
        return p["w"][0] * p["w"][1] + p["deep"][0]["b"] ** 2

    assert grad(f)({"w": (2.0, 3.0), "deep": [{"b": 5.0}], "none": []}) == {
        "w": (3.0, 2.0), "deep": [{"b": 10.0}], "none": []}


def test_a_namedtuple_stays_one():
    point = namedtuple("point", "x y")
    assert grad(lambda p: p.x * p.y)(point(2.0, 3.0)) == point(3.0, 2.0)
    assert isinstance(grad(lambda p: p.x)(point(2.0, 3.0)), point)


def test_wrt_picks_arguments_by_position():
    def f(x, scale, y):
        return scale * x * y

    assert grad(f, wrt=0)(2.0, 10, 3.0) == 30.0
    assert grad(f, wrt=(0, 2))(2.0, 10, 3.0) == (30.0, 20.0)
    assert grad(f, wrt=(2, 0))(2.0, 10, 3.0) == (20.0, 30.0)
    assert grad(f, wrt=(2,))(2.0, 10, 3.0) == (20.0,)
    assert value_and_grad(f, wrt=2)(2.0, 10, 3.0) == (60.0, 20.0)
    assert hessian(f, wrt=(0, 2))(2.0, 10, 3.0) == ((0.0, 10.0), (10.0, 0.0))


def test_the_other_arguments_reach_the_function_as_they_are():
    seen = []

    def f(x, name, *, power):
        seen.append((name, power))
        return x ** power

    assert grad(f, wrt=0)(3.0, "text", power=2) == 6.0
    assert seen == [("text", 2)]


def test_jacobian_has_a_gradient_at_each_place_of_the_result():
    def polar(r, angle):
        return {"x": r * m.cos(angle), "y": [r * m.sin(angle), 7.0]}

    found = jacobian(polar)(2.0, 0.5)
    s, c = math.sin(0.5), math.cos(0.5)
    assert found["x"] == pytest.approx((c, -2 * s), rel=EXACT)
    assert found["y"][0] == pytest.approx((s, 2 * c), rel=EXACT)
    assert found["y"][1] == (0.0, 0.0)
    assert jacobian(lambda x: x * x)(3.0) == 6.0
    assert jacobian(lambda v: [v[0] * v[1], v[0]])([2.0, 3.0]) == [[3.0, 2.0], [1.0, 0.0]]


def test_hessian_of_a_polynomial():
    assert hessian(lambda x, y: x * x * y)(2.0, 3.0) == ((6.0, 4.0), (4.0, 0.0))
    assert hessian(lambda x: x ** 3)(2.0) == 12.0
    assert hessian(lambda v: v[0] ** 2 * v[1])([2.0, 3.0]) == [[6.0, 4.0], [4.0, 0.0]]


def test_hvp_is_the_hessian_times_the_vector():
    def f(v):
        return m.exp(v[0] * v[1]) + m.sin(v[2]) * v[0]

    point, vector = [0.3, -0.7, 1.1], [1.0, -2.0, 0.5]
    product = [sum(h * v for h, v in zip(row, vector)) for row in hessian(f)(point)]
    assert hvp(f, (point,), (vector,)) == pytest.approx(product, rel=EXACT)
    assert hvp(lambda x, y: x * x * y, (2.0, 3.0), (1.0, 10.0)) == (46.0, 4.0)


def test_jvp_of_several_results():
    value, tangent = jvp(lambda x, y: [x * y, {"s": x + y}, 3], (3.0, 4.0), (1.0, 10.0))
    assert value == [12.0, {"s": 7.0}, 3.0]
    assert tangent == [34.0, {"s": 11.0}, 0.0]


def test_vjp_serves_several_pullbacks():
    value, pullback = vjp(lambda x, y: (x * y, x + y), 3.0, 4.0)
    assert value == (12.0, 7.0)
    assert pullback((1.0, 0.0)) == (4.0, 3.0)
    assert pullback((0.0, 1.0)) == (1.0, 1.0)
    assert vjp(lambda v: v[0] * v[1], [2.0, 5.0])[1](3.0) == [15.0, 6.0]


# Floats and Values

def test_values_in_values_out_and_nothing_is_touched():
    x, y = Value(2.0), Value(3.0)
    value, (dx, dy) = value_and_grad(lambda a, b: a * a * b)(x, y)
    assert [type(v) for v in (value, dx, dy)] == [Value] * 3
    assert (value.data, dx.data, dy.data) == (12.0, 12.0, 4.0)
    assert x.grad == y.grad == 0.0
    dx.backward()                                   # d(2xy): the result is part of the user's own graph
    assert (x.grad, y.grad) == (6.0, 4.0)


def test_one_value_among_floats_is_enough():
    dx, dy = grad(lambda a, b: a * b)(Value(2.0), 3.0)
    assert (dx.data, dy.data) == (3.0, 2.0)
    assert isinstance(jvp(lambda a: a * a, (2.0,), (Value(1.0),))[1], Value)
    assert isinstance(vjp(lambda a: a * a, 2.0)[1](Value(1.0)), Value)
    assert isinstance(value_and_grad(lambda a: 5.0)(Value(2.0))[0], Value)


def test_a_closure_over_parameters_gives_floats_and_leaves_them_alone():
    net = m.MLP(2, [3, 1])

    def f(inputs):
        return net(inputs)

    point = [0.3, -0.2]
    results = [grad(f)(point), hessian(f)(point), jacobian(f)(point), jvp(f, (point,), ([1.0, 0.0],)),
               hvp(f, (point,), ([1.0, 0.0],)), vjp(f, point)[1](1.0), value_and_grad(f)(point)]

    def numbers(tree):
        return [x for branch in tree for x in numbers(branch)] if isinstance(tree, (list, tuple)) else [tree]
    assert {type(x) for x in numbers(results)} == {float}
    assert all(p.grad == 0.0 for p in net.parameters())


def test_what_the_function_holds_by_other_ways_is_no_argument():
    x = Value(3.0)
    assert grad(lambda t: t * x)(x).data == 3.0     # d(tx)/dt = x, though t was given as x


# Nested

D = grad


@pytest.mark.parametrize("four", [4.0, Value(4.0)])
def test_perturbations_are_not_confused(four):
    assert float(D(lambda x: x * D(lambda y: x + y)(1.0))(1.0)) == 1.0
    assert float(D(lambda x: x * D(lambda y: x * y)(1.0))(four)) == 8.0
    assert float(D(lambda x: x * D(lambda y: x * y)(x))(four)) == 8.0
    assert float(D(lambda x: x * D(lambda y: x * y * y)(1.0))(four)) == 16.0
    assert float(D(lambda x: D(lambda y: D(lambda z: x * y * y * z)(1.0))(x))(four)) == 16.0  # 2x^2


def test_the_outer_result_is_a_float_although_inner_variables_linger_in_its_graph():
    found = D(lambda x: x * D(lambda y: x * y * y)(1.0))(4.0)
    assert type(found) is float
    assert calculus.running == set()


def derivative_by_jvp(f):
    return lambda x: jvp(f, (x,), (1.0,))[1]


def derivative_by_vjp(f):
    return lambda x: vjp(f, x)[1](1.0)


@pytest.mark.parametrize("outer", [grad, derivative_by_jvp, derivative_by_vjp, jacobian])
@pytest.mark.parametrize("inner", [grad, derivative_by_jvp, derivative_by_vjp, jacobian])
def test_every_mode_nests_in_every_other(outer, inner):
    def f(x):
        return m.sin(x) * x

    assert close(outer(inner(f))(0.7), 2 * math.cos(0.7) - 0.7 * math.sin(0.7))
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    found = outer(lambda x: x * inner(lambda y: x * y * y)(1.0))(4.0)
    assert (found, type(found)) == (16.0, float)


def test_a_function_that_raises_leaves_nothing_running():
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 // 0)(1.0)
    assert calculus.running == set()


def test_threads_do_not_meet():
    results = []

    def work(n):
        results.extend((n, D(lambda x: x * D(lambda y: n * x * y)(1.0))(4.0)) for _ in range(50))
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted((n, 8.0 * n) for n in range(4) for _ in range(50))


# Random expressions

SMOOTH = [ops.add, ops.sub, ops.mul, ops.sin, ops.cos, ops.tanh, ops.sigmoid, ops.softplus, ops.atan, ops.erf, ops.gelu,
          ops.silu, ops.asinh]


def random_function(seed):
    """A function of three numbers with shared subexpressions."""
    def f(*args):
        rng, nodes = random.Random(seed), list(args)
        for _ in range(12):
            op = rng.choice(SMOOTH)
            nodes.append(op(*[rng.choice(nodes) for _ in range(op.arity)]))
        return m.tanh(sum(nodes))
    rng = random.Random(-seed)
    return f, tuple(rng.uniform(-1.5, 1.5) for _ in range(3))


@pytest.mark.parametrize("seed", range(1, 13))
def test_forward_is_reverse_and_the_hessian_symmetric(seed):
    f, point = random_function(seed)
    units = [tuple(float(i == j) for j in range(3)) for i in range(3)]
    # The sum of up to 2^12 paths may cancel: its error is relative to the terms, not to the result.
    near = {"rel": 1e-9, "abs": 1e-9}
    assert tuple(jvp(f, point, unit)[1] for unit in units) == pytest.approx(grad(f)(*point), **near)
    second = hessian(f)(*point)
    for i in range(3):
        assert hvp(f, point, units[i]) == pytest.approx(second[i], **near)
        for j in range(3):
            assert second[i][j] == pytest.approx(second[j][i], **near)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_expressions_pass_the_check(seed):
    f, point = random_function(seed)
    assert {row.verdict for row in check_gradients(f, point).rows} == {"ok"}


# Depth

def test_a_chain_of_100_000_nodes():
    def f(x):
        y = x
        for _ in range(50_000):
            y = 0.5 * y + x             # tends to 2x
        return y

    assert close(grad(f)(3.0), 2.0)
    assert close(jvp(f, (3.0,), (1.0,))[1], 2.0)


# Errors

@pytest.mark.parametrize("call, error, message", [
    (lambda: grad(lambda v: v)([1.0, 2.0]), TypeError, "one number, found list .*use jacobian"),
    (lambda: grad(lambda x: None)(1.0), TypeError, "found NoneType None at the result"),
    (lambda: grad(lambda p: 0.0)({"k": "a"}), TypeError, r"found str 'a' at argument 0\['k'\]"),
    (lambda: jacobian(lambda x: [x, "b"])(1.0), TypeError, r"found str 'b' at the result\[1\]"),
    (lambda: grad(lambda x: x, wrt=1)(1.0), ValueError, "argument 1, but the function was called with 1 "),
    (lambda: grad(lambda x: x, wrt=-1)(1.0), ValueError, "argument -1"),
    (lambda: grad(lambda x: x, wrt="x")(1.0), TypeError, "wrt must be the position .* found str 'x'"),
    (lambda: grad(lambda: 1.0)(), TypeError, "no argument to differentiate with respect to"),
    (lambda: grad(lambda x: x)(1.0, 2.0), TypeError, "positional argument"),
    (lambda: jvp(lambda x: x, 1.0, 1.0), TypeError, r"primals must be a tuple .*found float 1.0"),
    (lambda: jvp(lambda x: x, (1.0,), [1.0]), TypeError, r"tangents must be a tuple"),
    (lambda: jvp(lambda x, y: x, (1.0, 2.0), (1.0,)), ValueError, "no number at argument 1"),
    (lambda: jvp(lambda x: x, (1.0,), (1.0, 2.0)), ValueError, "one number too many at argument 1"),
    (lambda: jvp(lambda p: p["k"][0], ({"k": [1.0]},), ({"k": 1.0},)), ValueError, r"argument 0\['k'\]\[0\]"),
    (lambda: vjp(lambda x: [x, x], 1.0)[1](1.0), ValueError, r"no number at the result\[0\]"),
    (lambda: check_gradients(m.tanh, 1.0, order=3), ValueError, "order must be 1 or 2, found 3"),
    (lambda: check_gradients(lambda x: x * math.inf, 1.0), ValueError, "f is inf at 1.0"),
])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_errors_say_what_and_where(call, error, message):
    with pytest.raises(error, match=message):
        call()


# check_gradients

def test_what_does_not_settle_is_no_pass():
    def severed(x):
        return Value(math.sqrt(x.data)) + 5 * x                           # the slope of the first term is lost
    report = check_gradients(severed, 0.0, order=1)
    assert [row.verdict for row in report.rows] == ["unknown"]
    assert not report
    assert "1 unknown" in str(report)
    with pytest.warns(RuntimeWarning, match=r"cbrt'\(0.0\) is inf"):
        assert check_gradients(m.cbrt, 0.0)                               # inf at the edge of a right op


@pytest.mark.parametrize("row", [row for row in ops.OPS.values() if row.builtin], ids=lambda row: row.name)
def test_every_row_of_the_table_passes(row):
    if row is ops.where:
        def f(a, b):
            return ops.where(1.0, a * a, b)
        point = (0.5, 0.7)
    else:
        f, point = row, tuple(low + fraction * (high - low) for (low, high), fraction in zip(row.domain, (0.3, 0.6)))
    report = check_gradients(f, point)
    assert [str(check) for check in report.rows if check.verdict != "ok"] == []
    assert len(report.rows) == len(point) + len(point) ** 2


@pytest.mark.parametrize("f", [
    m.log, m.sin, m.cos, m.sqrt, m.atan, lambda x: x * x, lambda x: 1 / x, lambda x: 3.0 * x, lambda x: x - x,
    lambda x: (x + 1e8) - 1e8, lambda x: m.exp(-(x * 1e8) ** 2),
], ids=["log", "sin", "cos", "sqrt", "atan", "square", "inverse", "line", "zero", "cancelling", "narrow"])
@pytest.mark.parametrize("x", [1e-8, 1.0, 1e8])
def test_the_step_is_right_for_the_scale(f, x):
    rows = check_gradients(f, x).rows
    assert [row.verdict for row in rows] == ["ok", "ok"]
    # 1e-4: the cancelling function has no more digits than that.
    assert all(math.isclose(row.reverse, row.numeric, rel_tol=1e-4, abs_tol=1e-4) for row in rows)


@pytest.mark.parametrize("f, x", [
    (lambda x: m.sin(1e6 * x), 1.0), (lambda x: m.tanh(x * 1e8), 1e-8), (lambda x: m.log(x - 0.999), 1.0),
    (lambda x: x ** 3, 0.0), (lambda x: m.cos(x) - 1, 0.0), (lambda x: m.sin(x) - x, 0.0),
    (lambda x: m.relu(x), 1e-9), (lambda x: m.abs(x - 1), 1.0 + 1e-7), (lambda x: 1e12 + x, 1.0),
    (lambda x: m.exp(x), 300.0), (lambda x: m.sigmoid(x), -300.0), (lambda x: 5.0, 1.0),
    (lambda x: m.sin(x) ** 2 + m.cos(x) ** 2, 0.7), (lambda x: x * 1e-200, 1.0),
])
def test_hard_functions_are_ok(f, x):
    report = check_gradients(f, x)
    assert [row.verdict for row in report.rows] == ["ok", "ok"], report


@pytest.mark.parametrize("f, at, slopes, engine", [
    (m.relu, 0.0, (0.0, 1.0), 0.0),
    (m.abs, 0.0, (-1.0, 1.0), 0.0),
    (m.maximum, (2.0, 2.0), (0.0, 1.0), 0.5),
    (m.minimum, (2.0, 2.0), (1.0, 0.0), 0.5),
    (lambda x: m.abs(m.sin(x)) + x, 0.0, (0.0, 2.0), 1.0),
    (lambda x: x * x if x > 1 else x, 1.0, (1.0, 2.0), 1.0),    # a kink that no row knows of
], ids=["relu", "abs", "maximum", "minimum", "inner abs", "if"])
def test_kinks_are_reported_and_not_wrong(f, at, slopes, engine):
    report = check_gradients(f, at)
    assert report.ok
    row = report.rows[0]
    assert row.verdict == "kink"
    # One-sided differences lose more digits to rounding than central ones: 1e-6 leaves room.
    assert (row.left, row.right) == pytest.approx(slopes, abs=1e-6)
    assert row.reverse == row.forward == engine
    assert f"the engine takes {engine:g}" in row.note


def test_a_kink_names_the_convention_of_the_row():
    assert "relu'(0) = 0" in str(check_gradients(m.relu, 0.0))


def test_no_kink_where_the_branches_agree():
    assert {row.verdict for row in check_gradients(lambda x: m.maximum(x, x), 1.0).rows} == {"ok"}
    assert check_gradients(lambda x: m.relu(x) ** 3, 0.0).rows[0].verdict == "ok"


def test_a_kink_of_the_second_derivative_only():
    first, second = check_gradients(lambda x: x * m.abs(x), 0.0).rows
    assert (first.verdict, second.verdict) == ("ok", "kink")
    assert (second.left, second.right) == pytest.approx((-2.0, 2.0), abs=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_edge_of_a_domain_is_reported():
    report = check_gradients(m.sqrt, 0.0, order=1)
    assert report.ok
    assert report.rows[0].note == "left slope none, right slope none; the engine takes inf"
    assert not check_gradients(lambda x: m.sqrt(x * x), 0.0)          # nan lies between no slopes


def test_a_jump_does_not_settle():
    row = check_gradients(m.step, 0.0).rows[0]
    assert (row.verdict, row.left, row.numeric) == ("kink", 0.0, pytest.approx(math.nan, nan_ok=True))


def test_probes_out_of_the_domain_are_silent_and_errors_in_them_do_not_end_the_check():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_gradients(m.log, 1e-3)
        assert check_gradients(lambda x: x * math.log(float(x) ** 0), 2.0)

        def guarded(x):
            if x <= 0:
                raise ValueError("positive numbers only")
            return m.log(x)
        assert check_gradients(guarded, 0.5)


@pytest.fixture
def bad_row():
    """Enters rows into the table without the check that micrograd.op makes, and takes them out again."""
    before = dict(ops.OPS)
    yield lambda *fields, **more: ops.row("bad", *fields, builtin=False, **more)
    ops.OPS.clear()
    ops.OPS.update(before)


@pytest.mark.parametrize("derivative", [
    lambda y, x: 5.0,                       # no longer depends on x
    lambda y, x: x,                         # a factor forgotten
    lambda y, x: -2 * x,                    # the sign
    lambda y, x: 2 * x * (1 + 1e-5),        # a little off
    lambda y, x: 0.0,
])
@pytest.mark.parametrize("x", [1e-8, 1.0, 3.0, 1e8])
def test_wrong_rules_are_found(bad_row, derivative, x):
    bad = bad_row(lambda x: x * x, derivative)
    report = check_gradients(bad, x)
    assert not report
    assert not report.ok
    assert "wrong" in {row.verdict for row in report.rows}


def test_a_wrong_rule_inside_a_larger_function_is_found_in_the_right_component(bad_row):
    bad = bad_row(lambda a, b: a * b, lambda y, a, b: b, lambda y, a, b: b)
    report = check_gradients(lambda p: m.tanh(bad(p[0], p[1])) + p[2], [0.3, 0.4, 0.5], order=1)
    assert [row.verdict for row in report.rows] == ["ok", "wrong", "ok"]


def test_a_first_derivative_that_is_right_but_cannot_be_differentiated(bad_row):
    bad = bad_row(lambda x: x ** 3, lambda y, x: 3 * float(x) ** 2)   # a number where a node should be
    assert [row.verdict for row in check_gradients(bad, 2.0).rows] == ["ok", "wrong"]


def test_a_wrong_rule_at_a_kink_is_wrong(bad_row):
    bad = bad_row(abs, lambda y, x: 2.0, kink=lambda x: x)
    row = check_gradients(bad, 0.0, order=1).rows[0]
    assert row.verdict == "wrong"
    assert row.note.startswith("left slope -1, right slope 1; the engine takes 2")


def test_names_follow_the_arguments():
    def f(x, weights):
        return x * weights["w"][0]

    names = [row.derivative for row in check_gradients(f, (2.0, {"w": [3.0]})).rows]
    assert names == ["∂f/∂x", "∂f/∂weights['w'][0]", "∂²f/∂x²", "∂²f/∂weights['w'][0]∂x",
                     "∂²f/∂x∂weights['w'][0]", "∂²f/∂weights['w'][0]²"]
    assert [row.derivative for row in check_gradients(m.hypot, (3.0, 4.0), order=1).rows] == ["∂f/∂a", "∂f/∂b"]
    assert [row.derivative for row in check_gradients(lambda *v: v[0], (3.0,), order=1).rows] == ["∂f/∂x"]
    assert [row.derivative for row in check_gradients(max, (3.0, 4.0), order=1).rows] == ["∂f/∂x0", "∂f/∂x1"]


def test_the_report_reads_as_a_table():
    report = check_gradients(lambda x, y: x * x * y, (3.0, 2.0), order=1)
    lines = str(report).splitlines()
    assert repr(report) == str(report)
    assert lines[0].split() == ["derivative", "reverse", "forward", "differences", "±", "error", "verdict"]
    assert lines[1].split()[:4] == ["∂f/∂x", "12", "12", "12"]
    assert lines[2].split()[:4] == ["∂f/∂y", "9", "9", "9"]
    assert lines[3] == "2 derivatives: 2 ok, 0 wrong"
    assert len({line.rindex("  ") for line in lines[:3]}) == 1        # the last column starts at one place


def test_a_long_report_lists_only_what_is_not_ok():
    report = check_gradients(lambda v: sum(x * x for x in v) + m.relu(v[0] - 1), [1.0] * 7)
    lines = str(report).splitlines()
    assert lines[-1] == "56 derivatives: 54 ok (not listed), 2 at a kink, 0 wrong"
    assert [line.split()[0] for line in lines[1:-1] if line.startswith("∂")] == ["∂f/∂v[0]", "∂²f/∂v[0]²"]


def test_the_report_as_html_and_as_data():
    report = check_gradients(lambda d: d["<b>&"] ** 2, {"<b>&": 3.0})
    html = report._repr_html_()
    tags, text = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

        def handle_data(self, data):
            text.append(data)
    Reader().feed(html)
    assert "b" not in tags
    assert "∂f/∂d['<b>&']" in text
    assert (tags.count("tr"), tags.count("th"), tags.count("td")) == (3, 6, 12)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is True
    assert [row["verdict"] for row in data["rows"]] == ["ok", "ok"]
    assert data["rows"][0]["reverse"] == 6.0


def test_the_check_touches_nothing_of_the_users():
    w = Value(2.0)
    assert check_gradients(lambda x: w * x * x, 3.0)
    assert w.grad == 0.0
    point = Value(3.0)
    assert check_gradients(lambda x: x * x, point).rows[0].reverse == 6.0
    assert point.grad == 0.0
