"""Every row of the table against the truth: value, first and second derivatives, in units in the last place.

The truth, the points and the goal are those of benchmarks/truth.py; benchmarks/accuracy.py asks at many more points,
and asks others, too. A new row that is not made of others wants a line in FORMULAS there.
"""

import importlib.util
import math
import warnings
from functools import cache
from pathlib import Path

import pytest

import micrograd
from micrograd import Value, gradient, ops

pytest.importorskip("flint", reason="python-flint is not installed: pip install python-flint")
PATH = Path(__file__).parents[1] / "benchmarks" / "truth.py"
if not PATH.exists():
    pytest.skip("benchmarks/ is not in the sdist", allow_module_level=True)
spec = importlib.util.spec_from_file_location("truth", PATH)
truth = importlib.util.module_from_spec(spec)
spec.loader.exec_module(truth)

ROWS = [row for row in ops.OPS.values() if row.builtin]
COUNT = 400  # points a row

# What may be further off than the goal: (row, order of the derivative): (ulp, why).
EXCEPTIONS = {
    ("pow", 2): (20_000, "b - 2 is rounded, 1 + b ln a cancels, a subnormal a**b has few digits: torch and JAX are no better"),
}


@cache
def asked(row):
    """The points of a row, each with the truth of all quantities."""
    points = truth.points(row.name, row.arity, COUNT)
    return [(args, truth.truths(row.name, args, row.kink is None or row.kink(*args) != 0)) for args in points]


def eagerly(row, points):
    for args in points:
        nodes = [Value(arg) for arg in args]
        y = row(*nodes)
        y.backward()
        yield y.data, [node.grad for node in nodes], [[x.data for x in gradient(slope, nodes)] for slope in gradient(y, nodes)]


def natively(row, points):
    function = micrograd.compile(lambda *args: row(*args), inputs=row.arity, backend="native")
    values, slopes = function.map(*zip(*points), grad=True)
    slopes = zip(*slopes) if row.arity > 1 else zip(slopes)
    return zip(values, slopes, (function.hessian(*args) for args in points))


@cache
def answers(surface, row):
    """For each point the value, the slopes, and the curves [i][j]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # inf and nan are what is looked for here
        return list({"eager": eagerly, "native": natively}[surface](row, [args for args, _ in asked(row)]))


def worst(surface, row, order):
    """The largest error of that order of derivative, and where: (ulp, (quantity, arguments, found, true))."""
    errors = [(0.0, None)]
    for (args, trues), (value, slopes, curves) in zip(asked(row), answers(surface, row)):
        for at, (x, rest, unit) in zip(truth.quantities(row.arity), trues):
            if len(at) == order and not math.isnan(unit):
                found = [value] if not at else [slopes[at[0]]] if order == 1 else [curves[i][j] for i, j in (at, at[::-1])]
                off = max((abs((y - x) / unit - rest) for y in found), key=lambda off: math.inf if off != off else off)
                errors.append((math.inf if off != off else off, (at, args, found, x)))
    return max(errors, key=lambda error: error[0])


SURFACES = ["eager", "native"] if micrograd.engine_kind() == "compiled" else ["eager"]


@pytest.mark.parametrize("order", [0, 1, 2], ids=["value", "first", "second"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("surface", SURFACES)
def test_all_digits_are_right(surface, row, order):
    limit, _ = EXCEPTIONS.get((row.name, order), (truth.goal(row.name, order), ""))
    off, where = worst(surface, row, order)
    assert off <= limit, where
