"""What is promised of the last bit: compiled, a single operation is that of IEEE arithmetic, as it is in the engine.

Quotients, products and their sums of two terms, roots, and what only chooses or rounds, are the same to the last bit in
native code, in generated Python and eagerly. Longer sums may be added in another order, whole powers are products, and
functions such as exp have rounding of their own (see ARCHITECTURE.md).
"""

import itertools
import math
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import Value, ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
BACKENDS = ["python", "native"] if mg.engine_kind() == "compiled" else ["python"]
EXACT = [ops.mul, ops.div, ops.sqrt, ops.abs, ops.neg, ops.relu, ops.step, ops.sign, ops.maximum, ops.minimum, ops.where,
         ops.floor, ops.ceil, ops.trunc, ops.round, ops.mod, ops.floordiv]
SUMS = [ops.add, ops.sub]
NUMBERS = st.one_of(st.integers(-60, 60).map(float), st.floats(-1e3, 1e3), st.sampled_from([0.0, -0.0, 1 / 3, 0.1, 1e-300]))

every_backend = pytest.mark.parametrize("backend", BACKENDS)


def bits(x):
    return "nan" if math.isnan(x) else x.hex()


@st.composite
def functions(draw):
    """A function of three numbers in which no term of a sum is a sum, and no factor a constant's product."""
    steps = draw(st.lists(st.tuples(st.sampled_from(EXACT + SUMS * 3), *[st.integers(0, 30)] * 3), min_size=1, max_size=8))

    def function(*xs):
        stack, is_sum = list(xs), [False] * len(xs)
        for row, *places in steps:
            places = [len(stack) - 1 - place % len(stack) for place in places][:3 if row is ops.where else row.arity]
            sums = any(is_sum[place] for place in places)
            if not (sums and row in (*SUMS, ops.neg)):
                stack.append(row(*[stack[place] for place in places]))
                is_sum.append(row in (*SUMS, ops.neg) or (sums and row is ops.where))
        return stack[-1]

    function.__doc__ = str([(row.name, *places) for row, *places in steps])
    return function


@every_backend
@settings(deadline=None, derandomize=True, max_examples=300, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(function=functions(), rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=9))
def test_exact_operations_are_the_same_to_the_last_bit(backend, function, rows):
    compiled = mg.compile(lambda a, b, c: function(a, b, c), backend=backend, verify=0)
    eager = [bits(function(*map(Value, row)).data) for row in rows]
    assert [bits(x) for x in compiled.map(*zip(*rows))] == eager, function.__doc__
    values, _ = compiled.map(*zip(*rows), grad=True)  # slopes beside them change nothing
    assert [bits(x) for x in values] == eager


@every_backend
def test_a_quotient_does_not_depend_on_what_else_is_asked(backend):
    same = mg.compile(lambda a: a / a, backend=backend)
    numbers = [float(n) for n in range(1, 400)]
    assert same.map(numbers).tolist() == same.map(numbers, grad=True)[0].tolist() == [1.0] * 399
    assert same.grad(1e-300) == 0.0
    assert mg.compile(lambda a, b: mg.sqrt(a / b - 1), backend=backend)(49.0, 49.0) == 0.0
    assert mg.compile(lambda a: mg.acosh(a / a), backend=backend)(49.0) == 0.0


@every_backend
def test_a_branch_on_quotients_is_the_branch_of_python(backend):
    def whole(x, y):
        t = x + y
        return mg.where(x / t + y / t - 1, 1.0, 0.0)

    pairs = list(itertools.product(range(1, 60), repeat=2))
    found = mg.compile(whole, backend=backend).map(*zip(*pairs))
    assert found.tolist() == [float(x / (x + y) + y / (x + y) != 1) for x, y in pairs]


@every_backend
def test_a_product_is_taken_in_the_order_in_which_it_is_written(backend):
    """0 · (y · y) is nan where y · y is inf, and −2 · (x · y) is finite where −2 · x is not."""
    zero = mg.compile(lambda y: 0.0 * (y * y) + y, backend=backend)
    assert math.isnan(zero(1e300)) and math.isnan(zero.map([1e300])[0])
    assert mg.compile(lambda x, y: -2 * (x * y) + y, backend=backend)(1.7e308, 1e-300) == -2 * (1.7e308 * 1e-300) + 1e-300
    assert mg.compile(lambda x, y: (0.1 * x) * y + 3 * (0.1 * x), backend=backend)(3.0, 7.0) == (
        0.1 * 3.0) * 7.0 + 3 * (0.1 * 3.0)


ALL_ROWS = """
import hashlib, itertools, random, struct, warnings
import micrograd as mg
from micrograd import Value, gradient, ops
warnings.simplefilter("ignore")
rng, digest = random.Random(1), hashlib.sha256()
edges = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 40.0, -40.0, 1e-309, 1e300, -1e300, float("inf"), float("nan"), 0.1, -7.3]
for row in ops.OPS.values():
    if row is not ops.where:
        points = [*itertools.product(edges, repeat=row.arity)]
        points += [[rng.gauss(0, 2) * 10 ** rng.choice((0, 0, 0, -8, 3)) for _ in range(row.arity)] for _ in range(300)]
        for point in points:
            xs = [Value(x) for x in point]
            y = row(*xs) * xs[0] + 0.3
            y.backward()
            numbers = [y.data, *[x.grad for x in xs], *[g.data for g in gradient(y, xs)]]
            digest.update(b"".join(struct.pack("<d", x) if x == x else b"nan" for x in numbers))
print(mg.engine_kind(), digest.hexdigest())
"""


def test_the_pure_engine_has_the_bits_of_the_compiled_one():
    """(Where nothing is compiled, it is the pure one twice.)"""
    found = [subprocess.run([sys.executable, "-c", ALL_ROWS], env={**os.environ, "MICROGRAD_PURE": pure},
                            capture_output=True, text=True, check=True).stdout.split() for pure in "01"]
    assert found[1][0] == "pure"
    assert found[0][1] == found[1][1]


def test_what_was_right_stays_right():
    assert ops.pow(0.0, 0.0) == 1.0 and mg.grad(lambda x: x ** 0)(0.0) == 0.0
    assert mg.grad(lambda x: 0.0 * x)(3.0) == 0.0 and mg.grad(lambda x: x * 0.0 + x)(3.0) == 1.0
    assert mg.grad(mg.maximum)(2.0, 2.0) == (0.5, 0.5)
    assert mg.grad(lambda x: mg.where(x, x * 2, mg.log(x)))(3.0) == 2.0
    assert mg.compile(lambda x: mg.where(x > 0, x * 2, mg.sqrt(x))).grad(3.0) == 2.0
    assert mg.asinh(1e300) == pytest.approx(691.4686750787736, rel=1e-15) and mg.grad(mg.asinh)(1e300) == 1e-300
    assert -mg.softplus(800.0) == -800.0 and mg.grad(lambda x: -mg.softplus(-x))(-800.0) == 1.0  # log sigmoid
    assert mg.grad(lambda x: x * mg.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    w = Value(3.0)
    (w * w + 2 * w).backward()
    assert w.grad == 8.0
