"""Slopes where formulas usually fail: in the tails, at the edges of a domain, at (0, 0), where numbers are subnormal.

The numbers are true ones, in closed form or to 20 digits. (test_accuracy.py asks at hundreds of points.)
"""

import math
from math import inf, isnan, nan

import pytest

import micrograd as mg
from micrograd import Value, gradient, hessian

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
BACKENDS = ["python", "native"] if mg.engine_kind() == "compiled" else ["python"]


def derivative(f, order):
    for _ in range(order):
        f = mg.grad(f)
    return f


@pytest.mark.parametrize("f, order, x, expected", [
    (mg.sigmoid, 1, 40.0, 4.2483542552915889953e-18), (mg.sigmoid, 1, 37.0, 8.5330476257440657796e-17),
    (mg.sigmoid, 1, -700.0, 9.8596765437597708567e-305), (mg.sigmoid, 2, 40.0, -4.2483542552915889953e-18),
    (mg.tanh, 1, 20.0, 1.6993417021166355981e-17), (mg.tanh, 1, 19.0, 1.2556531168192119e-16),
    (mg.tanh, 2, 20.0, -3.3986834042332711962e-17), (mg.tanh, 1, 300.0, 1.0601586212017242e-260),
    (mg.elu, 1, -40.0, 4.2483542552915889953e-18), (mg.softplus, 2, 40.0, 4.2483542552915889953e-18),
    (mg.asin, 2, 1e-9, 1e-9), (mg.asin, 2, 1e-17, 1e-17), (mg.acos, 2, 1e-17, -1e-17), (mg.atanh, 2, 1e-17, 2e-17),
    (mg.asin, 2, 1.0, inf), (mg.asin, 2, -1.0, -inf), (mg.acos, 2, 1.0, -inf), (mg.acos, 2, -1.0, inf),
    (mg.acosh, 2, 1.0, -inf), (mg.atanh, 2, 1.0, inf), (mg.cbrt, 2, 0.0, -inf), (mg.cbrt, 2, -0.0, inf),
    (mg.gelu, 3, 1e155, 0.0), (mg.erf, 3, 1e155, 0.0), (mg.erfc, 3, -1e155, 0.0), (mg.gelu, 5, 1e200, 0.0),
    (mg.atan, 3, 1e308, 0.0), (mg.atan, 2, 1e80, -2e-240),
    (lambda x: x ** 0, 1, 1e-309, 0.0), (lambda x: x ** 0, 1, -5e-324, 0.0), (lambda x: x ** 0, 1, 0.0, 0.0),
    (lambda x: sum(c * x ** k for k, c in enumerate((1, 2, 3))), 1, 1e-309, 2.0),
    (lambda x: x ** 2, 3, 0.0, 0.0), (lambda x: x ** 2, 4, 0.0, 0.0), (lambda x: x ** 0.1, 1, 1e-10, 0.1 * 1e9),
])
def test_a_slope_in_closed_form(f, order, x, expected):
    found = [derivative(f, order)(x)]
    if order < 3:
        for backend in BACKENDS:
            compiled = mg.compile(lambda x: f(x), backend=backend)
            found.append(compiled.grad(x) if order == 1 else compiled.hessian(x)[0][0])
    for y in found:
        assert y == expected or y == pytest.approx(expected, rel=1e-14, abs=0), found


@pytest.mark.parametrize("f, at, slopes, bends", [
    (mg.atan2, (0.0, 0.0), (0.0, 0.0), ((nan, nan), (nan, nan))),
    (mg.hypot, (0.0, 0.0), (0.0, 0.0), ((nan, nan), (nan, nan))),
    (lambda a, b: mg.hypot(a, b) ** 2, (0.0, 0.0), (0.0, 0.0), ((nan, nan), (nan, nan))),
    (mg.atan2, (1.0, 1.0), (0.5, -0.5), ((-0.5, 0.0), (0.0, 0.5))),
    (mg.atan2, (0.0, 1e-160), (1e160, -0.0), ((0.0, -inf), (-inf, 0.0))),
    (mg.hypot, (1e200, 1e-200), (1.0, 0.0), ((0.0, 0.0), (0.0, 1e-200))),
    (mg.hypot, (3.0, 4.0), (0.6, 0.8), ((0.128, -0.096), (-0.096, 0.072))),
    (lambda a, b: a ** b, (0.0, 0.0), (0.0, -inf), ((nan, nan), (nan, inf))),
    (lambda a, b: a ** b, (0.0, 2.0), (0.0, 0.0), ((2.0, 0.0), (0.0, 0.0))),
    (lambda a, b: a ** b, (1e-200, 2.0), (2e-200, 0.0), ((2.0, -9.2003403719761827e-198), (-9.2003403719761827e-198, 0.0))),
    (lambda a, b: a ** b, (1e155, 2.0), (2e155, inf), ((2.0, 7.1480137882815424e157), (7.1480137882815424e157, inf))),
])
def test_a_hessian_is_symmetric_and_right_where_there_is_one(f, at, slopes, bends):
    for backend in (None, *BACKENDS):
        compiled = None if backend is None else mg.compile(lambda a, b: f(a, b), backend=backend)
        first = mg.grad(f)(*at) if compiled is None else compiled.grad(*at)
        second = hessian(f)(*at) if compiled is None else compiled.hessian(*at)
        assert first == pytest.approx(slopes, rel=1e-14, abs=0, nan_ok=True), backend
        for row, expected in zip(second, bends):
            assert tuple(row) == pytest.approx(expected, rel=1e-14, abs=0, nan_ok=True), backend
        assert second[0][1] == second[1][0] or isnan(second[0][1])


@pytest.mark.parametrize("f, at, wanted", [
    (lambda a, b: a ** b, (0.0, 2.0), ("b · aᵇ⁻¹", "y · ln(a)")), (mg.hypot, (0.0, 0.0), ("a / y", "b / y")),
    (mg.hypot, (3.0, 4.0), ("a / y", "b / y")), (mg.atan2, (0.0, 0.0), ("b / (a² + b²)", "−a / (a² + b²)")),
])
def test_a_derivation_has_the_formula_of_a_book_everywhere(f, at, wanted):
    a, b = (Value(x, name) for x, name in zip(at, "ab"))
    y = f(a, b)
    y.label = "y"
    for x, formula in zip((a, b), wanted):
        assert str(mg.explain(y, wrt=x)).splitlines()[0] == f"∂y/∂{x.label} = {formula}"
    answers = {"a": wanted[0], "b": wanted[1]}
    assert [answer.verdict for answer in mg.grade(y, answers).answers.values()] == ["exact", "exact"]


def test_what_is_recorded_is_true_everywhere():
    """The second derivatives at (0, 0) come from formulas that hold beside it, not from a branch that was taken there."""
    a, b = Value(0.0), Value(0.0)
    for slope in gradient(mg.hypot(a, b), [a, b]) + gradient(mg.atan2(a, b), [a, b]) + gradient(a ** b, [a, b]):
        assert {a, b} <= set(mg.topological_order(slope))


def test_a_gradient_reads_as_in_a_book():
    z = Value(0.3, "z")
    for f, wanted in ((mg.sigmoid, "a * (1 - a)"), (mg.tanh, "1 - a * a"), (mg.atan, "1 / (1 + z**2)"),
                      (mg.asin, "1 / sqrt(1 - z**2)"), (mg.atanh, "1 / (1 - z**2)"), (mg.cbrt, "1 / (3 * a**2)"),
                      (mg.erf, "1.12838 * exp(-z**2)")):
        a = f(z)
        a.label = "a"
        assert mg.text(gradient(a, z)) == wanted


def test_a_node_takes_80_bytes():
    if mg.engine_kind() == "compiled" and math.log2(__import__("sys").maxsize) > 62:
        assert Value.__basicsize__ == 80
