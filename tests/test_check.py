"""check_gradients never accuses the right, at points of every size, and finds the wrong."""

import math
import random

import pytest

import micrograd as mg
from micrograd import check_gradients, ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
ROWS = [row for row in ops.OPS.values() if row.builtin and row.arity <= 2]
GENTLE = [row for row in ROWS if row is not ops.leaky_relu]  # whose slope k + (1 - k) cancels for k beyond 1 / epsilon
LARGEST = 1e307  # beyond, the slope of log10, 1 / (x * ln 10), underflows where the true one does not
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -2.0, 5e-324, -5e-324, 1e-309, 2.0 ** -1022, 1e-200, 1e155, 1e200, -1e300,
           LARGEST, 1 - 2 ** -53, 1 + 2 ** -52, -1 + 2 ** -53, math.pi, -745.0, -744.4, 709.78, 710.0, -709.0, 37.0, -37.0,
           20.0, 26.5, 27.0, 1e16]


def anywhere(rng):
    """A float of any size."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(SPECIAL)
    if kind < 0.7:
        return rng.choice((-1, 1)) * 10 ** rng.uniform(-323.3, math.log10(LARGEST))
    return rng.uniform(-40, 40) if kind < 0.85 else rng.choice((-1, 1)) * 10 ** rng.uniform(-3, 3)


def verdicts(f, point):
    return check_gradients(f, point).rows if math.isfinite(f(*point)) else ()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_row_is_wrong_anywhere(row):
    rng = random.Random(row.name)
    for _ in range(25):
        point = tuple(anywhere(rng) for _ in range(row.arity))
        if row is ops.leaky_relu:
            point = point[0], abs(math.tanh(point[1]))
        for check in verdicts(row, point):
            assert check.verdict != "wrong", (point, check)
            assert (check.verdict == "undefined") >= (math.isnan(check.reverse) or math.isnan(check.forward))


def composed(seed):
    """A function of two numbers, of a few rows with shared subexpressions."""
    rng = random.Random(seed)
    rows = [rng.choice(GENTLE) for _ in range(rng.randint(2, 5))]
    places = [[rng.randrange(10) for _ in range(row.arity)] for row in rows]
    number = rng.choice((0.0, 1.0, -1.0, 0.5, 2.0, 3.0))

    def f(x, y):
        stack = [x, y, number]
        for row, where in zip(rows, places):
            stack.append(row(*[stack[-1 - place % len(stack)] for place in where]))
        return stack[-1]
    return f


@pytest.mark.parametrize("seed", range(200))
def test_no_composition_is_wrong_anywhere(seed):
    rng = random.Random(-seed)
    f = composed(seed)
    for _ in range(2):
        point = anywhere(rng), anywhere(rng)
        for check in verdicts(f, point):
            assert check.verdict != "wrong", (point, check)


# It finds the wrong

SPOILT = {"factor": lambda slope: slope * (1 + 1e-4), "sign": lambda slope: -slope, "half": lambda slope: slope * 0.5,
          "added": lambda slope: slope + 1e-3}


@pytest.fixture
def spoilt_row():
    """Rows of the table with one derivative spoilt, and the table as it was in the end."""
    before = dict(ops.OPS)

    def spoil(row, i, spoilt):
        rules = [*row.derivatives]
        rules[i] = lambda *args: spoilt(row.derivatives[i](*args))
        return ops.row("bad", row.forward, *rules, otherwise=row.otherwise, kink=row.kink, domain=row.domain,
                       builtin=False)
    yield spoil
    ops.OPS.clear()
    ops.OPS.update(before)


def test_a_spoilt_rule_is_found_in_99_of_100_points_alone_and_inside_others(spoilt_row):
    rng = random.Random(5)
    alone, inside = [], []
    for row in ROWS:
        for kind, spoilt in SPOILT.items():
            for i in range(row.arity):
                bad = spoilt_row(row, i, spoilt)
                point = tuple(rng.uniform(low, high) for low, high in row.domain)
                if kind == "added" or row.slope(i, row(*point), *point) != 0:
                    alone.append(check_gradients(bad, point, order=1).rows[i].verdict)
                    inside.append(check_gradients(lambda *args, bad=bad: mg.tanh(0.3 * bad(*args)) * args[0] + mg.sin(args[0]),
                                                  point, order=1).rows[i].verdict)
    assert len(alone) > 200
    for found in (alone, inside):
        assert found.count("wrong") >= 0.99 * len(found)


@pytest.mark.parametrize("x", [1e-300, 1e-100, 1e-20, 1e20, 1e100])
def test_a_spoilt_power_is_found_at_any_size(spoilt_row, x):
    bad = spoilt_row(ops.sqrt, 0, SPOILT["factor"])
    assert check_gradients(bad, x, order=1).rows[0].verdict == "wrong"


def test_a_rule_whose_own_rule_is_wrong(spoilt_row):
    bad = spoilt_row(ops.sin, 0, lambda slope: float(slope) if not isinstance(slope, mg.Value) else slope.detach())
    assert [row.verdict for row in check_gradients(bad, 0.7).rows] == ["ok", "wrong"]


# What cannot be known

@pytest.mark.parametrize("f, x", [
    (lambda x: x ** 2, 1e-200), (lambda x: x * x, -1e-180), (mg.exp, -745.0), (mg.exp, -744.4), (mg.erf, 27.0),
    (mg.silu, -745.0), (mg.gelu, -38.0), (mg.softplus, -745.0), (lambda x: (x * 1e-200) * 1e-124, 1.0),
    (lambda x: 1 + 1e-300 * mg.log(x), 1e-200), (lambda x: 1 + x ** 2, 1e-12), (lambda x: mg.erf(x), 5.639943809566155),
])
def test_what_is_lost_to_underflow_or_rounding_is_not_wrong(f, x):
    rows = check_gradients(f, x).rows
    assert {row.verdict for row in rows} <= {"ok", "unknown"}
    assert all(row.note for row in rows if row.verdict == "unknown")


def test_digits_that_are_lost_are_no_pass():
    report = check_gradients(lambda x: x ** 2, 1e-200)
    assert [row.verdict for row in report.rows] == ["unknown", "ok"]
    assert not report.ok
    assert check_gradients(lambda x: x ** 2, 1e-100).ok


@pytest.mark.parametrize("f, x", [
    (lambda x: mg.sin(1e20 * x) * 1e-20, 1.0), (lambda x: mg.sin(1e100 * x) * 1e-100, 0.0),
    (lambda x: mg.tanh(1e300 * (x - 1)), 1.0), (lambda x: 1e-20 * mg.log(x + 1e-300) + 1, 0.0),
    (lambda x: mg.sqrt(x - 1), 1 + 2 ** -52), (lambda x: x + 1e-3 * mg.sin(1e15 * x), 1.0),
    (lambda x: mg.exp(-(1e200 * x) ** 2), 1e-200), (lambda x: mg.atan2(x, -2.789e-218), -3.0759e-178),
    (lambda x: 1e155 * (1e155 * (1e-160 * (1e-160 * (1e155 * (1e155 * x))))), 1e-100),
    (lambda x: mg.sin(1e-300 * x), 1e300), (lambda x: mg.hypot(x, 1e-200), 1e-210), (lambda x: x ** 3, 5e-324),
    (lambda x: mg.abs(x), 5e-324), (lambda x: 1 / x, 1e307), (lambda x: x * 1.0, 1.7e308), (lambda x: x * 1.0, -1.7e308),
])
def test_what_bends_within_the_smallest_step_is_not_wrong(f, x):
    assert "wrong" not in {row.verdict for row in check_gradients(f, x).rows}


def test_an_infinite_point_has_nothing_beside_it():
    rows = check_gradients(lambda x, y: mg.tanh(x) * y, (math.inf, 2.0)).rows
    assert (rows[0].verdict, rows[1].verdict) == ("unknown", "ok")


# What has no answer

@pytest.mark.parametrize("f, x, note", [
    (lambda x: mg.sqrt(0 * x) + x, 3.0, "sqrt(v₁) is ∞ at v₁ = 0 · x = 0, and ∂v₁/∂x = 0"),
    (lambda x: 0 * mg.sqrt(x) + x, 0.0, "sqrt(x) is ∞ at x = 0, and ∂v₂/∂v₁ = 0, where v₂ = 0 · v₁"),
    (lambda x: mg.sqrt(x) ** 2, 0.0, "sqrt(x) is ∞ at x = 0, and ∂f/∂v₁ = 0"),
    (lambda x: mg.sqrt(x * x), 0.0, "∂v₁/∂x = 0"),
    (lambda x: mg.relu(-mg.sqrt(x)), 0.0, "∂f/∂v₂ = 0"),
    (lambda x: x * mg.sqrt(x), 0.0, "∂f/∂v₁ = 0"),
    (lambda x: mg.cbrt(x ** 3), 0.0, "∂v₁/∂x = 0"),
    (lambda x: 0 * mg.acos(x) + x, 1.0, "arccos(x) is −∞ at x = 1"),
    (lambda x: mg.acos(x * 0 + 1), 3.0, "is −∞"),
    (lambda x: mg.sqrt(x) - mg.sqrt(x), 0.0, "∞ − ∞"),
    (lambda x: (-1.0) ** x, 2.0, "is not defined"),
])
def test_no_answer_is_undefined_and_no_pass(f, x, note):
    report = check_gradients(f, x)
    assert report.rows[0].verdict == "undefined" and note in report.rows[0].note
    assert not report and ", 1 undefined" in str(check_gradients(f, x, order=1))
    assert report.rows[1].verdict != "wrong"
    assert report.to_dict()["ok"] is False


def test_an_op_that_carries_nothing_does_not_stand_in_the_way():
    assert check_gradients(lambda x: mg.sign(mg.sqrt(x)) + x, 0.0, order=1).rows[0].reverse == 1.0
    assert check_gradients(lambda x: mg.step(mg.sqrt(x * x)) * x, 2.0)


def test_forward_mode_may_have_infinity_where_reverse_mode_has_nothing():
    def f(x):
        y = mg.abs(x)
        return mg.acosh(y ** y)

    report = check_gradients(f, -1.0, order=1)
    assert (report.rows[0].forward, math.isnan(report.rows[0].reverse)) == (-math.inf, True)
    assert report.rows[0].verdict == "undefined"
