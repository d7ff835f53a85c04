"""Whole numbers and remainders: floor, ceil, trunc, round, %, // and divmod, bit for bit those of Python, eagerly and
compiled; and Python's own math.floor(v), round(v) and int(v), which give numbers."""

import math
import operator
import struct
from array import array
from math import inf, nan

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import Value, gradient
from micrograd.compiler import executors
from micrograd.compiler.program import TraceError

SETS = executors.native.available if executors.native is not None else []
quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")

TINY = 5e-324
EDGES = (0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 0.49999999999999994, 2.0**52 - 0.5, -(2.0**52) + 0.5,
         2.0**53 + 2, 1e300, -1e300, TINY, -TINY, 1e-310, 1.7976931348623157e308, inf, -inf, nan)
sizes = st.floats() | st.sampled_from(EDGES)
multiples = st.builds(lambda n, b: (n * b, b), st.integers(-1000, 1000), st.floats(-1e3, 1e3))  # quotients near whole numbers
pairs = st.tuples(sizes, sizes) | st.tuples(st.floats(-100, 100), st.floats(-10, 10)) | multiples


def bits(x):
    """The bits of a float, so that 0.0 and -0.0 differ and nan equals nan."""
    assert type(x) is float
    return "nan" if x != x else struct.pack("d", x)


def remainder(a, b):
    """a % b as Python has it; nan for b = 0, as IEEE arithmetic has it."""
    return a % b if b else nan


def quotient(a, b):
    """a // b as Python has it; a / b for b = 0, as IEEE arithmetic has it."""
    return a // b if b else nan if a == 0 or a != a else math.copysign(inf, a) * math.copysign(1.0, b)


def to_whole(function):
    """A function of Python from float to int, as one of floats: inf and nan stay, and so does the sign of 0."""
    return lambda x: math.copysign(function(x), x) if math.isfinite(x) else x


OF_ONE = {mg.floor: to_whole(math.floor), mg.ceil: to_whole(math.ceil), mg.trunc: to_whole(math.trunc), mg.round: to_whole(round)}
OF_TWO = {mg.mod: remainder, mg.floordiv: quotient}


# Bit for bit

@quiet
@settings(max_examples=500, deadline=None)
@given(pairs)
@example((1.0, 0.1))       # 9.0, though 1.0 / 0.1 is 10.0
@example((-TINY, 1.0))     # the remainder is 1.0
@example((1.0, -TINY))
@example((1e300, 1e-300))
@example((-1.0, inf))
@example((4.0, -2.0))
def test_remainder_and_quotient_are_those_of_python(pair):
    a, b = pair
    for row, operation, wanted in ((mg.mod, operator.mod, remainder), (mg.floordiv, operator.floordiv, quotient)):
        expected = bits(wanted(a, b))
        assert bits(row(a, b)) == expected
        for x, y in ((Value(a), Value(b)), (a, Value(b)), (Value(a), b)):
            node = operation(x, y)
            assert node.op is row and bits(node.data) == expected
    for found in (divmod(Value(a), Value(b)), divmod(Value(a), b), divmod(a, Value(b))):
        assert [bits(v.data) for v in found] == [bits(quotient(a, b)), bits(remainder(a, b))]


@settings(max_examples=500, deadline=None)
@given(sizes | st.floats(-1e3, 1e3) | st.integers(-10, 10).map(lambda n: n + 0.5))
def test_whole_numbers_are_those_of_python(x):
    for row, wanted in OF_ONE.items():
        assert bits(row(x)) == bits(wanted(x))
        assert bits(row(Value(x)).data) == bits(wanted(x))


@pytest.fixture(params=[*SETS, "python"])
def compile_by(request, monkeypatch):
    """compile, for an instruction set of the kernel or as Python source."""
    if request.param == "python":
        return lambda function, inputs: mg.compile(function, inputs=inputs, backend="python", verify=0)
    monkeypatch.setattr(executors.native, "available", [request.param])
    return lambda function, inputs: mg.compile(function, inputs=inputs, backend="native", verify=0)


@quiet
def test_compiled_they_are_the_same_to_the_bit(compile_by):
    table = [(a, b) for a in EDGES for b in EDGES] + [(n * b, b) for n in range(-30, 31) for b in (0.1, -0.3, 7.0, 1e-310)]
    first, second = (array("d", column) for column in zip(*table))
    for row, wanted in OF_TWO.items():
        found = compile_by(lambda a, b, row=row: row(a, b), 2).map(first, second)
        assert [bits(y) for y in found] == [bits(wanted(a, b)) for a, b in table]
    for row, wanted in OF_ONE.items():
        found = compile_by(lambda x, row=row: row(x), 1).map(first)
        assert [bits(y) for y in found] == [bits(wanted(a)) for a, _ in table]


@pytest.mark.parametrize("function", [lambda x, w: x % w, lambda x, w: w % x, lambda x, w: x * (x // w), lambda x, w: mg.floor(x * w) * x,
                                      lambda x, w: divmod(x, w)[0] * x + divmod(7.0, x)[1] * w, lambda x, w: mg.sin(x % 1.0) * w])
def test_compiled_gradients_are_those_of_the_engine(compile_by, function):
    w = Value(0.7)
    step = compile_by(lambda x: function(x, w), 1)
    for x in (2.3, -1.2, 5.0, 0.31):
        node, w.grad = Value(x), 0.0
        y = function(node, w)
        y.backward()
        value, [slope] = step.value_and_grad([x])
        assert (value, slope, step.grad(x)) == pytest.approx((y.data, w.grad, node.grad), rel=1e-14)


# Derivatives

@pytest.mark.parametrize(("a", "b"), [(7.3, 2.0), (-7.3, 2.0), (7.3, -2.0), (-7.3, -2.0), (1.0, 0.1), (-0.3, 5.0), (6.0, 2.0)])
def test_the_slopes_of_a_remainder_are_1_and_minus_the_quotient(a, b):
    x, y = Value(a), Value(b)
    (x % y).backward()
    assert (x.grad, y.grad) == (1.0, -(a // b))
    by_a, by_b = gradient(x % y, [x, y])
    assert (by_a.data, by_b.data) == (1.0, -(a // b))
    assert [g.data for g in gradient(by_b, [x, y])] == [0.0, 0.0]


def test_nothing_comes_through_what_is_flat():
    x, y = Value(7.3), Value(2.0)
    (x // y + mg.floor(x) + mg.ceil(x) + mg.trunc(x) + mg.round(x) + x).backward()
    assert (x.grad, y.grad) == (1.0, 0.0)
    assert gradient(mg.floor(x), x).data == 0.0


@pytest.mark.parametrize(("function", "at", "verdicts"), [
    (mg.floor, 2.3, {"ok"}), (mg.ceil, -0.3, {"ok"}), (mg.round, 2.0, {"ok"}), (mg.trunc, 0.0, {"ok"}), (mg.floor, 1 - 1e-9, {"ok"}),
    (lambda a, b: a % b, (7.3, -2.0), {"ok"}), (lambda a, b: a // b, (7.0, 2.0), {"ok"}), (lambda x: mg.sin(x % 1.0), 4.3, {"ok"}),
    *[(mg.floor, n, {"kink"}) for n in (0.0, 1.0, -3.0, 1000.0)], *[(mg.ceil, n, {"kink"}) for n in (0.0, -1.0, 12.0)],
    *[(mg.trunc, n, {"kink"}) for n in (1.0, -1.0, 7.0)], *[(mg.round, n + 0.5, {"kink"}) for n in (-2, -1, 0, 1, 100)],
    (lambda a, b: a % b, (6.0, 2.0), {"kink"}), (lambda a, b: a % b, (-6.0, 2.0), {"kink"}), (lambda x: x % -2.0, 0.0, {"kink"}),
    (lambda a, b: a // b, (6.0, 2.0), {"kink"}), (lambda a, b: b * (a // b) + a % b, (7.3, 2.0), {"ok"}),
])
def test_check_gradients_calls_a_jump_a_kink(function, at, verdicts):
    report = mg.check_gradients(function, at, order=1)
    assert {row.verdict for row in report.rows} == verdicts
    if verdicts == {"kink"}:
        assert all("where the value jumps" in row.note for row in report.rows)
    assert mg.check_gradients(function, at)


# Numbers, errors and warnings

def test_python_s_own_functions_give_numbers():
    v = Value(-2.7)
    found = math.floor(v), math.ceil(v), math.trunc(v), round(v), int(v), round(v, 1)
    assert found == (-3, -2, -2, -3, -2, -2.7)
    assert [type(x) for x in found] == [int] * 5 + [float]
    for function, error in ((math.floor, OverflowError), (math.ceil, OverflowError), (math.trunc, OverflowError)):
        with pytest.raises(error):
            function(Value(inf))


@pytest.mark.parametrize(("function", "message"), [
    (lambda x: x % 0, r"mod\(x = 2\.5, 0\.0\) is nan"), (lambda x: 0 % (x - 2.5), r"mod\(0\.0, 0\.0\) is nan"),
    (lambda x: x // 0.0, r"floordiv\(x = 2\.5, 0\.0\) is inf"), (lambda x: 0 // (x - 2.5), r"floordiv\(0\.0, 0\.0\) is nan"),
])
def test_division_by_zero_warns_as_everywhere(function, message):
    with pytest.warns(RuntimeWarning, match=message):
        function(Value(2.5, "x"))


@pytest.mark.parametrize("operation", [operator.mod, operator.floordiv, divmod])
@pytest.mark.parametrize("other", ["2", None, 1j, [1.0]])
def test_foreign_things_are_type_errors(operation, other):
    with pytest.raises(TypeError):
        operation(Value(1.0), other)
    with pytest.raises(TypeError):
        operation(other, Value(1.0))


@pytest.mark.parametrize("function", [math.floor, math.ceil, math.trunc, round, int, lambda x: round(x, 2)])
def test_a_recording_refuses_them_and_says_what_records(function):
    with pytest.raises(TraceError, match=r"micrograd\.floor\(x\), ceil\(x\), trunc\(x\) and round\(x\) record, with slope 0"):
        mg.compile(lambda x: x * function(x))


# How they are written

def test_how_they_are_written():
    a, b = Value(7.5, "a"), Value(2.0, "b")
    y = (a % b) * 3 + a // b - mg.floor(a + 1) + mg.ceil(b)
    assert mg.text(y) == "(a % b) * 3 + floordiv(a, b) - floor(a + 1) + ceil(b)"
    assert mg.latex(mg.floor(a / b)) == r"\left\lfloor \frac{a}{b} \right\rfloor"
    assert mg.latex(1 + a % b) == r"1 + \left(a \;\operatorname{mod}\; b\right)"
    assert mg.latex(a // b) == r"\left\lfloor a / b \right\rfloor"


def test_how_they_are_explained():
    a, b = Value(7.5, "a"), Value(2.0, "b")
    y = a % b
    y.label = "y"
    assert "−⌊a / b⌋" in str(mg.explain(y)) and "a mod b" in str(mg.explain(y))
