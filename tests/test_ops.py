"""Every row of the table, by the same questions: a new row is tested by existing.

Values are compared with digits from a calculator of 60 digits, derivatives with differences over the row's own domain,
and what the engine records with what the row says. Then the edges: kinks, infinities, nan, and ops of a user's own.
"""

import inspect
import itertools
import math
import pickle
import string
import struct
import warnings
from fractions import Fraction
from math import inf, nan

import pytest

import micrograd
from micrograd import Value, gradient, ops
from micrograd.rows import BINDS, Ieee, spelling

ROWS = [row for row in ops.OPS.values() if row.builtin]
NODES = [row for row in ROWS if row.arity <= 2]  # `where` records no node: it takes a branch
EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e308, -1e308, 1e-320, inf, -inf, nan]

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
each_node = pytest.mark.parametrize("row", NODES, ids=lambda row: row.name)
quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what warns is tested in test_engine.py


def bits(x):
    """The bits of a float, so that 0.0 and -0.0 differ and nan equals nan."""
    assert type(x) is float
    return "nan" if x != x else struct.pack("d", x)


def mixes(row):
    """Every mix of extreme arguments."""
    return itertools.product(EXTREMES, repeat=row.arity)


def points(row):
    """Points of the row's domain, off its kinks."""
    for fractions in ((0.05, 0.71, 0.33), (0.28, 0.12, 0.86), (0.47, 0.93, 0.11), (0.7, 0.31, 0.64), (0.97, 0.55, 0.2)):
        yield tuple(low + fraction * (high - low) for fraction, (low, high) in zip(fractions, row.domain))


def slope_by_differences(f, args, i, width):
    """df/d(argument i) from five points.

    The step is 1e-4 of the domain: the formula's own error is (step^4) f'''''/30 < 1e-10 for every row of the table,
    rounding adds 1e-16 / step = 1e-12 of f.
    """
    h = 1e-4 * width

    def at(k):
        return f(*args[:i], args[i] + k * h, *args[i + 1:])

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def close(found, expected, tolerance):
    return abs(found - expected) <= tolerance * (1 + abs(expected))


# Values

DIGITS = [  # computed with 60 digits; the arguments are the floats written here
    ("exp", (1.0,), 2.7182818284590452354), ("exp", (-40.0,), 4.2483542552915889953e-18),
    ("expm1", (1.0,), 1.7182818284590452354), ("expm1", (1e-10,), 1.0000000000500000364e-10),
    ("log", (10.0,), 2.302585092994045684), ("log2", (10.0,), 3.3219280948873623479),
    ("log1p", (1.0,), 0.69314718055994530942), ("log1p", (1e-10,), 9.9999999995000003644e-11),
    ("log10", (2.0,), 0.30102999566398119521), ("sqrt", (2.0,), 1.4142135623730950488),
    ("cbrt", (10.0,), 2.1544346900318837218), ("cbrt", (-0.3,), -0.66943295008216951362),
    ("sin", (1.0,), 0.84147098480789650665), ("cos", (1.0,), 0.5403023058681397174),
    ("tan", (1.0,), 1.5574077246549022305), ("asin", (0.3,), 0.30469265401539749633),
    ("acos", (0.3,), 1.2661036727794991229), ("atan", (0.3,), 0.29145679447786708181),
    ("sinh", (1.0,), 1.1752011936438014569), ("cosh", (1.0,), 1.5430806348152437785),
    ("tanh", (1.0,), 0.76159415595576488812), ("tanh", (1e-10,), 1.0000000000000000364e-10),
    ("asinh", (1.0,), 0.88137358701954302523), ("asinh", (-1e-10,), -1.0000000000000000364e-10),
    ("acosh", (2.0,), 1.3169578969248167086), ("atanh", (0.3,), 0.30951960420311170327),
    ("erf", (0.5,), 0.52049987781304653768), ("erfc", (0.5,), 0.47950012218695346232),
    ("erfc", (10.0,), 2.088487583762544757e-45),
    ("identity", (0.3,), 0.3),
    ("sigmoid", (1.0,), 0.73105857863000487925), ("sigmoid", (-40.0,), 4.2483542552915889773e-18),
    ("sigmoid", (-700.0,), 9.8596765437597708567e-305),
    ("softplus", (1.0,), 1.313261687518222834), ("softplus", (-40.0,), 4.2483542552915889863e-18),
    ("softplus", (40.0,), 40.000000000000000004),
    ("gelu", (1.0,), 0.84134474606854294859), ("gelu", (-1.0,), -0.15865525393145705141),
    ("silu", (1.0,), 0.73105857863000487925), ("silu", (-40.0,), -1.6993417021166355909e-16),
    ("relu", (2.5,), 2.5), ("relu", (-2.5,), 0.0),
    ("leaky_relu", (2.5, 0.1), 2.5), ("leaky_relu", (-2.5, 0.5), -1.25), ("leaky_relu", (-1.0,), -0.01),
    ("elu", (2.5, 1.5), 2.5), ("elu", (-0.5, 1.5), -0.59020401043104986459),
    ("elu", (-1e-10,), -9.9999999995000003643e-11),
    ("abs", (-2.5,), 2.5), ("neg", (2.5,), -2.5), ("step", (2.5,), 1.0), ("step", (-2.5,), 0.0),
    ("sign", (2.5,), 1.0), ("sign", (-2.5,), -1.0),
    ("add", (0.1, 0.2), 0.30000000000000004), ("sub", (0.3, 0.1), 0.19999999999999998), ("mul", (0.1, 3.0),
     0.30000000000000004), ("div", (3.0, 10.0), 0.3), ("div", (-1.0, 49.0), -0.02040816326530612),
    ("pow", (2.0, 0.5), 1.4142135623730950488), ("pow", (1.5, -2.5), 0.3628873693012115701), ("pow", (-2.0, 3.0), -8.0),
    ("atan2", (1.0, -2.0), 2.6779450445889871222), ("atan2", (-1.0, -2.0), -2.6779450445889871222),
    ("hypot", (1.0, 2.0), 2.2360679774997896964),
    ("floor", (2.7,), 2.0), ("floor", (-2.1,), -3.0), ("ceil", (2.1,), 3.0), ("ceil", (-2.7,), -2.0), ("trunc", (-2.7,), -2.0),
    ("round", (2.5,), 2.0), ("round", (3.5,), 4.0), ("round", (0.49999999999999994,), 0.0), ("round", (-2.7,), -3.0),
    ("mod", (1.0, 0.1), 0.09999999999999995), ("mod", (-5.5, 2.0), 0.5), ("mod", (5.5, -2.0), -0.5), ("mod", (1e300, 7.0), 1.0),
    ("floordiv", (1.0, 0.1), 9.0), ("floordiv", (-5.5, 2.0), -3.0), ("floordiv", (5.5, -2.0), -3.0),
    ("maximum", (1.0, 2.0), 2.0), ("maximum", (2.0, 1.0), 2.0), ("minimum", (1.0, 2.0), 1.0),
    ("minimum", (2.0, 1.0), 1.0), ("where", (2.0, 3.0, 4.0), 3.0), ("where", (0.0, 3.0, 4.0), 4.0),
]


@pytest.mark.parametrize("name, args, expected", DIGITS)
def test_value_is_that_of_a_calculator(name, args, expected):
    # Three units in the last place: C libraries differ in the last one or two, and a formula of two steps adds one.
    assert ops.named(name)(*args) == pytest.approx(expected, rel=3 * 2.3e-16, abs=0)


def test_the_table_holds_every_function_of_the_calculus_book_and_each_has_digits():
    expected = {"add", "sub", "mul", "div", "neg", "pow", "abs", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt",
                "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh",
                "atanh", "sigmoid", "softplus", "relu", "leaky_relu", "elu", "gelu", "silu", "erf", "erfc", "hypot",
                "maximum", "minimum", "step", "sign", "floor", "ceil", "trunc", "round", "mod", "floordiv", "where"}
    names = {row.name for row in ROWS}
    assert expected <= names
    assert {name for name, _, _ in DIGITS} >= {row.name for row in ROWS if spelling(row) is None}


@pytest.mark.parametrize("x", [2.0, 10.0, -0.3, 1e-320, 5e-324, 1.7976931348623157e308, 1 / 3, 27.0, 1e-5, 12345.6789])
def test_cbrt_is_right_to_one_unit_in_the_last_place(x):
    y = ops.cbrt(x)
    below, above = Fraction(math.nextafter(y, -inf)), Fraction(math.nextafter(y, inf))
    assert below**3 <= Fraction(x) <= above**3


def test_cbrt_of_a_cube_is_exact():
    assert [ops.cbrt(float(n**3)) for n in range(-50, 51)] == [float(n) for n in range(-50, 51)]


# Derivatives over the row's domain

@each_row
def test_first_derivatives_are_those_of_differences(row):
    for args in points(row):
        for i, (low, high) in enumerate(row.domain):
            by_rule = row.slope(i, row(*args), *args)
            by_difference = slope_by_differences(row, args, i, high - low)
            assert close(by_rule, by_difference, 1e-9), (args, i)


@each_node
def test_second_derivatives_are_those_of_differences(row):
    for args in points(row):
        nodes = [Value(arg) for arg in args]
        for i, first in enumerate(gradient(row(*nodes), nodes)):
            for j, second in enumerate(gradient(first, nodes)):
                low, high = row.domain[j]
                by_difference = slope_by_differences(lambda *at, i=i: row.slope(i, row(*at), *at), args, j, high - low)
                assert close(second.data, by_difference, 1e-8), (args, i, j)  # f'''''' is larger than f'''''


@each_node
def test_third_derivatives_are_those_of_differences(row):
    def second(i, j, *at):
        nodes = [Value(x) for x in at]
        return gradient(gradient(row(*nodes), nodes)[i], nodes)[j].data

    args = next(points(row))
    nodes = [Value(arg) for arg in args]
    for i, first in enumerate(gradient(row(*nodes), nodes)):
        for j, (low, high) in enumerate(row.domain):
            third = gradient(gradient(first, nodes)[j], nodes[j]).data
            by_difference = slope_by_differences(lambda *at, i=i, j=j: second(i, j, *at), args, j, high - low)
            assert close(third, by_difference, 1e-7), (args, i, j)


@each_row
def test_points_of_the_domain_are_off_the_kink(row):
    for args in points(row):
        if row.kink is not None:
            assert abs(row.kink(*args)) > 0.01
        for x, (low, high) in zip(args, row.domain):
            assert low < x < high


# What the engine records

def assert_recorded_as_the_row_says(row, args):
    y = row(*args)
    slopes = [row.slope(i, y, *args) for i in range(row.arity)]
    nodes = [Value(arg) for arg in args]
    node = row(*nodes)
    assert node.op is row
    assert node.parents == tuple(nodes)
    assert bits(node.data) == bits(y)
    assert list(map(bits, node.local_derivatives)) == list(map(bits, slopes))
    for found, slope in zip(gradient(node, nodes), slopes):
        # 0 terms are folded, which may turn -0.0 into 0.0; all else is the same arithmetic
        assert bits(found.data + 0.0) == bits(slope + 0.0)
    node.backward()
    assert [bits(x.grad + 0.0) for x in nodes] == [bits(slope + 0.0) for slope in slopes]


@each_node
def test_local_derivatives_are_the_slopes_and_the_gradient_graph(row):
    for args in points(row):
        assert_recorded_as_the_row_says(row, args)


@quiet
@each_node
def test_local_derivatives_are_the_slopes_and_the_gradient_graph_at_the_extremes(row):
    for args in mixes(row):
        assert_recorded_as_the_row_says(row, args)


@quiet
@pytest.mark.parametrize("row", [row for row in NODES if row.arity == 2], ids=lambda row: row.name)
def test_a_constant_argument_changes_neither_value_nor_the_other_slope(row):
    for a, b in [*points(row), *mixes(row)]:
        y = row(a, b)
        with_constant_b, with_constant_a = row(Value(a), b), row(a, Value(b))
        assert bits(with_constant_b.data) == bits(with_constant_a.data) == bits(y)
        assert list(map(bits, with_constant_b.local_derivatives)) == [bits(row.slope(0, y, a, b)), bits(0.0)]
        assert list(map(bits, with_constant_a.local_derivatives)) == [bits(0.0), bits(row.slope(1, y, a, b))]
        for node, i in ((with_constant_b, 0), (with_constant_a, 1)):
            g = gradient(node, node.parents[i])
            assert bits(g.data + 0.0) == bits(row.slope(i, y, a, b) + 0.0)
            assert type(gradient(g, node.parents[i]).data) is float


WRITTEN_OUT = {  # arithmetic that engine.py writes out, for speed
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "pow": lambda a, b: a ** b, "neg": lambda a: -a, "abs": lambda a: abs(a), "relu": lambda a: a.relu(),
}


@quiet
@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_arithmetic_written_out_in_the_engine_is_the_row_bit_for_bit(name):
    row, written_out = ops.named(name), WRITTEN_OUT[name]
    ordinary = itertools.product([3.0, -3.0, 2.0, 1 / 3, 1e-200, 700.0], repeat=row.arity)
    for args in [*points(row), *ordinary, *mixes(row)]:
        y = row.value(*args)
        node = written_out(*map(Value, args))
        assert node.op is row
        assert bits(node.data) == bits(y), args
        for i, recorded in enumerate(node.local_derivatives):
            assert bits(recorded) == bits(row.slope(i, y, *args)), (args, i)
        if row.arity == 2:
            a, b = args
            for i, mixed in enumerate((written_out(Value(a), b), written_out(a, Value(b)))):
                assert bits(mixed.data) == bits(y), args
                assert bits(mixed.local_derivatives[i]) == bits(row.slope(i, y, *args)), (args, i)


@quiet
def test_products_and_sums_of_the_fast_loops_are_the_rows_bit_for_bit():
    for a, b in mixes(ops.mul):
        assert bits(Value.dot([Value(a)], [b], b).data) == bits(ops.add(b, ops.mul(a, b)))
        assert bits(Value.sum([Value(a), b]).data) == bits(ops.add(a, b))


# Totality, and IEEE results

@each_row
def test_no_row_and_no_slope_raises_for_any_mix_of_extremes(row):
    for args in mixes(row):
        y = row(*args)
        assert type(y) is float
        for i in range(row.arity):
            assert type(row.slope(i, y, *args)) is float


@quiet
@each_node
def test_no_node_and_no_second_derivative_raises_for_any_mix_of_extremes(row):
    for args in mixes(row):
        nodes = [Value(arg) for arg in args]
        for first in gradient(row(*nodes), nodes):
            for second in gradient(first, nodes):
                assert type(second.data) is float


SPECIAL = [  # ISO C annex F, IEEE 754-2019 section 9.2
    ("add", (inf, -inf), nan), ("add", (1e308, 1e308), inf), ("sub", (inf, inf), nan), ("mul", (0.0, inf), nan),
    ("mul", (1e308, -1e308), -inf), ("mul", (-0.0, 1.0), -0.0), ("mul", (1e-320, 1e-320), 0.0),
    ("div", (1.0, 0.0), inf), ("div", (1.0, -0.0), -inf), ("div", (-1.0, 0.0), -inf), ("div", (-1.0, -0.0), inf),
    ("div", (0.0, 0.0), nan), ("div", (0.0, -0.0), nan), ("div", (inf, 0.0), inf), ("div", (-inf, 0.0), -inf),
    ("div", (nan, 0.0), nan), ("div", (inf, inf), nan), ("div", (1.0, -inf), -0.0), ("div", (1e308, 1e-320), inf),
    ("neg", (0.0,), -0.0), ("neg", (nan,), nan), ("abs", (-0.0,), 0.0), ("abs", (-inf,), inf),
    ("pow", (0.0, 0.0), 1.0), ("pow", (nan, 0.0), 1.0), ("pow", (1.0, nan), 1.0), ("pow", (inf, 0.0), 1.0),
    ("pow", (0.0, -1.0), inf), ("pow", (-0.0, -1.0), -inf), ("pow", (-0.0, -3.0), -inf), ("pow", (-0.0, -2.0), inf),
    ("pow", (-0.0, -2.5), inf), ("pow", (0.0, -inf), inf), ("pow", (-0.0, -inf), inf), ("pow", (-0.0, 3.0), -0.0),
    ("pow", (-1.0, inf), 1.0), ("pow", (-1.0, -inf), 1.0), ("pow", (-8.0, 1 / 3), nan), ("pow", (-8.0, -0.5), nan),
    ("pow", (10.0, 400.0), inf), ("pow", (-10.0, 401.0), -inf), ("pow", (-10.0, 400.0), inf),
    ("pow", (1e-200, -3.0), inf), ("pow", (-1e-200, -3.0), -inf), ("pow", (-2.5, 1e308), inf), ("pow", (10.0, -400.0), 0.0),
    ("pow", (-inf, 3.0), -inf), ("pow", (-inf, 0.5), inf), ("pow", (0.5, inf), 0.0), ("pow", (0.5, -inf), inf),
    ("pow", (nan, 1.0), nan), ("pow", (2.0, nan), nan),
    ("exp", (1000.0,), inf), ("exp", (-1000.0,), 0.0), ("exp", (-inf,), 0.0), ("exp", (inf,), inf),
    ("expm1", (1000.0,), inf), ("expm1", (-1000.0,), -1.0), ("expm1", (-0.0,), -0.0),
    ("log", (0.0,), -inf), ("log", (-0.0,), -inf), ("log", (-1.0,), nan), ("log", (inf,), inf), ("log", (-inf,), nan),
    ("log1p", (-1.0,), -inf), ("log1p", (-2.0,), nan), ("log1p", (-0.0,), -0.0), ("log1p", (1e-320,), 1e-320),
    ("log2", (0.0,), -inf), ("log2", (-1.0,), nan), ("log10", (-0.0,), -inf), ("log10", (-1.0,), nan),
    ("sqrt", (-1.0,), nan), ("sqrt", (-0.0,), -0.0), ("sqrt", (inf,), inf), ("cbrt", (-inf,), -inf),
    ("cbrt", (-0.0,), -0.0), ("sin", (inf,), nan), ("cos", (-inf,), nan), ("tan", (inf,), nan), ("sin", (-0.0,), -0.0),
    ("asin", (2.0,), nan), ("acos", (-2.0,), nan), ("acos", (1.0,), 0.0), ("atan", (inf,), math.pi / 2),
    ("sinh", (1000.0,), inf), ("sinh", (-1000.0,), -inf), ("cosh", (-1000.0,), inf), ("tanh", (-inf,), -1.0),
    ("asinh", (-inf,), -inf), ("acosh", (0.5,), nan), ("acosh", (inf,), inf), ("acosh", (1.0,), 0.0),
    ("atanh", (1.0,), inf), ("atanh", (-1.0,), -inf), ("atanh", (2.0,), nan), ("atanh", (inf,), nan),
    ("erf", (inf,), 1.0), ("erfc", (inf,), 0.0), ("erfc", (-inf,), 2.0),
    ("sigmoid", (inf,), 1.0), ("sigmoid", (-inf,), 0.0), ("softplus", (inf,), inf), ("softplus", (-inf,), 0.0),
    ("relu", (-0.0,), 0.0), ("relu", (inf,), inf), ("relu", (-inf,), 0.0), ("elu", (-inf, 1.0), -1.0),
    ("gelu", (inf,), inf), ("silu", (inf,), inf), ("step", (-0.0,), 0.0), ("sign", (-0.0,), -0.0),
    ("sign", (-inf,), -1.0), ("atan2", (0.0, -0.0), math.pi), ("atan2", (-0.0, 0.0), -0.0), ("atan2", (inf, inf), math.pi / 4),
    ("hypot", (inf, nan), inf), ("hypot", (nan, -inf), inf), ("hypot", (1.0, nan), nan), ("hypot", (0.0, -0.0), 0.0),
    ("floor", (-0.0,), -0.0), ("floor", (0.5,), 0.0), ("floor", (-5e-324,), -1.0), ("floor", (inf,), inf), ("floor", (1e308,), 1e308),
    ("ceil", (-0.5,), -0.0), ("ceil", (5e-324,), 1.0), ("ceil", (-inf,), -inf), ("trunc", (-0.9,), -0.0), ("trunc", (inf,), inf),
    ("round", (-0.5,), -0.0), ("round", (0.5,), 0.0), ("round", (-inf,), -inf), ("round", (4503599627370495.5,), 4503599627370496.0),
    ("mod", (-1e-320, 1.0), 1.0), ("mod", (4.0, -2.0), -0.0), ("mod", (-4.0, 2.0), 0.0), ("mod", (1.0, inf), 1.0),
    ("mod", (-1.0, inf), inf), ("mod", (inf, 2.0), nan), ("mod", (1.0, 0.0), nan), ("mod", (0.0, -0.0), nan),
    ("floordiv", (1.0, 0.0), inf), ("floordiv", (-1.0, 0.0), -inf), ("floordiv", (1.0, -0.0), -inf), ("floordiv", (0.0, 0.0), nan),
    ("floordiv", (-1.0, inf), -1.0), ("floordiv", (1.0, -inf), -1.0), ("floordiv", (0.0, -2.0), -0.0), ("floordiv", (inf, 2.0), nan),
    ("maximum", (nan, 1.0), nan), ("maximum", (1.0, nan), nan), ("minimum", (nan, 1.0), nan),
    ("minimum", (1.0, nan), nan), ("maximum", (-inf, 1.0), 1.0), ("minimum", (inf, 1.0), 1.0),
]


@pytest.mark.parametrize("name, args, expected", SPECIAL)
def test_results_are_those_of_ieee_arithmetic(name, args, expected):
    assert bits(ops.named(name)(*args)) == bits(expected)


@pytest.mark.parametrize("name, args, i, expected", [
    ("sqrt", (0.0,), 0, inf), ("cbrt", (0.0,), 0, inf), ("cbrt", (-0.0,), 0, inf), ("log", (0.0,), 0, inf),
    ("log1p", (-1.0,), 0, inf), ("asin", (1.0,), 0, inf), ("acos", (-1.0,), 0, -inf), ("acosh", (1.0,), 0, inf),
    ("atanh", (-1.0,), 0, inf), ("div", (1.0, 0.0), 0, inf), ("div", (0.0, 0.0), 1, nan), ("div", (1.0, 0.0), 1, -inf),
    ("pow", (0.0, 0.5), 0, inf), ("pow", (0.0, 2.0), 0, 0.0), ("pow", (0.0, 1.0), 0, 1.0), ("pow", (0.0, 0.0), 0, 0.0),
    ("pow", (0.0, 2.0), 1, 0.0), ("pow", (0.0, -1.0), 0, -inf), ("pow", (-2.0, 3.0), 0, 12.0),
    ("pow", (-2.0, 3.0), 1, nan), ("pow", (-8.0, 1 / 3), 0, nan), ("pow", (1e200, 2.0), 0, 2e200),
    ("exp", (1000.0,), 0, inf), ("sinh", (1000.0,), 0, inf), ("cosh", (-1000.0,), 0, -inf), ("tanh", (1000.0,), 0, 0.0),
    ("sigmoid", (-1000.0,), 0, 0.0), ("sigmoid", (1000.0,), 0, 0.0), ("softplus", (1000.0,), 0, 1.0),
    ("softplus", (-1000.0,), 0, 0.0), ("gelu", (1000.0,), 0, 1.0), ("gelu", (-1000.0,), 0, 0.0),
    ("silu", (1000.0,), 0, 1.0), ("silu", (-1000.0,), 0, 0.0), ("elu", (-1000.0, 1.0), 0, 0.0),
    ("erf", (1000.0,), 0, 0.0), ("tan", (inf,), 0, nan), ("asin", (2.0,), 0, nan), ("acosh", (0.5,), 0, nan),
    ("hypot", (0.0, 0.0), 0, 0.0), ("hypot", (0.0, 0.0), 1, 0.0), ("atan2", (0.0, 0.0), 0, 0.0),
    ("hypot", (3e200, 4e200), 0, 0.6), ("hypot", (3e-200, 4e-200), 1, 0.8), ("atan2", (1e-200, 1e-200), 0, 5e199),
    ("maximum", (1e308, -1e308), 0, 1.0), ("minimum", (1e308, -1e308), 0, 0.0),
])
def test_slopes_at_the_edges(name, args, i, expected):
    row = ops.named(name)
    found = row.slope(i, row(*args), *args)
    # one or two roundings in the ordinary numbers; inf, nan and 0 are exact
    assert found == pytest.approx(expected, rel=4e-16, abs=0, nan_ok=True)


LOSES_NAN = {  # name: the arguments for which nan does not go through
    "pow": lambda a, b: b == 0 or a == 1,                          # ISO C
    "hypot": lambda a, b: math.isinf(a) or math.isinf(b),          # ISO C
    "leaky_relu": lambda x, k: x > 0,                              # the slope is not used
    "elu": lambda x, k: x > 0,
    "where": lambda c, a, b: not math.isnan(a if c else b),        # the other branch is not looked at
}


@each_row
def test_nan_goes_through(row):
    for args in mixes(row):
        if any(math.isnan(arg) for arg in args):
            lost = row.name in LOSES_NAN and LOSES_NAN[row.name](*args)
            assert math.isnan(row(*args)) is not lost, args


def test_stable_where_the_textbook_formula_overflows():
    assert [ops.sigmoid(x) for x in (-1000, 1000)] == [0.0, 1.0]
    assert [ops.tanh(x) for x in (-1000, 1000)] == [-1.0, 1.0]
    assert [ops.softplus(x) for x in (-1000, 1000)] == [0.0, 1000.0]
    assert [ops.silu(x) for x in (-1000, 1000)] == [0.0, 1000.0]
    assert [ops.gelu(x) for x in (-1000, 1000)] == [0.0, 1000.0]
    # Rounding -x / sqrt 2 moves erfc by 2 z^2 = 100 units in the last place
    assert ops.gelu(-10) == pytest.approx(-7.619853024160526066e-23, rel=100 * 2.3e-16, abs=0)
    assert [ops.elu(x) for x in (-1000, 1000)] == [-1.0, 1000.0]
    assert ops.hypot(3e200, 4e200) == pytest.approx(5e200, rel=4e-16)
    assert ops.hypot(3e-200, 4e-200) == pytest.approx(5e-200, rel=4e-16)
    assert ops.sigmoid(-40) == pytest.approx(4.2483542552915889773e-18, rel=7e-16, abs=0)
    assert ops.sigmoid.slope(0, ops.sigmoid(-40.0), -40.0) == pytest.approx(4.2483542552915889e-18, rel=1e-15, abs=0)


@quiet
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu", "gelu", "relu", "elu", "leaky_relu", "erf"])
@pytest.mark.parametrize("x", [-1e100, -1000.0, -40.0, -1e-320, 0.0, 1e-320, 40.0, 1000.0, 1e100])
def test_activations_are_finite_to_the_third_derivative(name, x):
    v = Value(x)
    y = getattr(v, name)()
    for _ in range(4):
        assert math.isfinite(y.data)
        y = gradient(y, v)


@quiet
@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -3.0, 1e308, 1e-300, inf, -inf])
def test_the_power_zero_has_slope_zero(x):
    v = Value(x)
    y = v ** 0
    assert (y.data, y.local_derivatives) == (1.0, (0.0, 0.0))
    assert gradient(y, v).data == 0.0


# Kinks

AT_THE_KINK = {  # arguments on the kink, and the derivatives there
    "abs": ((0.0,), (0.0,)), "relu": ((0.0,), (0.0,)), "step": ((0.0,), (0.0,)), "sign": ((0.0,), (0.0,)),
    "leaky_relu": ((0.0, 0.25), (0.25, 0.0)), "elu": ((0.0, 0.75), (0.75, 0.0)),
    "maximum": ((1.5, 1.5), (0.5, 0.5)), "minimum": ((1.5, 1.5), (0.5, 0.5)),
    "hypot": ((0.0, 0.0), (0.0, 0.0)), "atan2": ((0.0, 0.0), (0.0, 0.0)),  # at a point, not along a line
    "floor": ((-2.0,), (0.0,)), "ceil": ((3.0,), (0.0,)), "trunc": ((-1.0,), (0.0,)), "round": ((1.5,), (0.0,)),
    "mod": ((3.0, 1.5), (1.0, -2.0)), "floordiv": ((-3.0, 1.5), (0.0, 0.0)),
}


@each_row
def test_a_kink_is_documented_and_as_documented(row):
    assert (row.kink is not None) == (row.name in AT_THE_KINK)
    if row.kink is None:
        return
    assert row.note
    args, slopes = AT_THE_KINK[row.name]
    assert row.kink(*args) == 0
    assert tuple(row.slope(i, row(*args), *args) for i in range(row.arity)) == slopes
    node = row(*map(Value, args))
    assert node.local_derivatives == slopes
    h = 1e-9
    before, after = [(args[0] + step, *args[1:]) for step in (-h, h)]
    assert row.kink(*before) * row.kink(*after) < 0 or row.kink(*before) > 0 < row.kink(*after)
    jump = row(*after) - row(*before), row.slope(0, row(*after), *after) - row.slope(0, row(*before), *before)
    assert max(map(abs, jump)) > 0.2  # the value jumps or the slope does


@pytest.mark.parametrize("row, text", [
    (ops.abs, "abs'(0) = 0"), (ops.relu, "relu'(0) = 0"), (ops.step, "step(0) = 0"), (ops.sign, "sign(0) = 0"),
    (ops.maximum, "one half each"), (ops.minimum, "one half each"), (ops.sqrt, "sqrt'(0) = inf"),
    (ops.cbrt, "cbrt'(0) = inf"), (ops.hypot, "slope 0 at (0, 0)"), (ops.atan2, "slope 0 at (0, 0)"),
    (ops.floor, "slope 0 everywhere, at whole numbers too"), (ops.round, "slope 0 everywhere, at halves too"),
    (ops.mod, "at multiples of b, where the value jumps, the slopes are those of a - b * (a // b)"),
    (ops.leaky_relu, "at 0 the slope of the negative side"), (ops.elu, "at 0 the slope of the negative side"),
])
def test_notes_say_what_the_tests_above_hold(row, text):
    assert text in row.note


# where

def test_where_takes_the_branch_so_that_nan_in_the_other_cannot_leak():
    x = Value(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bad = x.log() * 0
    good = x + 1
    y = micrograd.where(x > 0, bad, good)
    assert y is good
    y.backward()
    assert x.grad == 1.0
    assert micrograd.where(x, bad, good) is good                # a node as the condition
    assert micrograd.where(nan, 1.0, 2.0) == 1.0                # as `if nan`
    assert micrograd.where(-0.0, 1.0, 2.0) == 2.0
    assert micrograd.where(True, x, 5) is x
    assert micrograd.where(False, x, 5).data == 5.0
    assert x.where(1, 2).data == 2.0
    assert good.where(bad, good) is bad


def test_where_on_numbers_gives_a_float():
    assert bits(micrograd.where(1, 2, 3)) == bits(2.0)
    with pytest.raises(TypeError, match=r"where takes 3 arguments, found 2"):
        micrograd.where(1, 2)


# How a row is written

@each_row
def test_every_row_says_how_it_is_written(row):
    assert row.symbol and row.binds in BINDS and len(row.domain) == row.arity
    assert all(low < high for low, high in row.domain)
    assert repr(row) == f"<op {row.name}>"
    for template in (row.latex, row.text):
        slots = [(slot, needs) for _, slot, needs, _ in string.Formatter().parse(template) if slot is not None]
        assert {slot for slot, _ in slots} == {str(i) for i in range(row.arity)}  # each argument is shown
        assert {needs for _, needs in slots} <= set(BINDS)
    bare = "".join(text for text, *_ in string.Formatter().parse(row.latex))  # what is printed round the arguments
    assert bare.count("{") == bare.count("}")
    assert bare.count(r"\left") == bare.count(r"\right")


def test_the_table_of_names_and_the_two_kinds_of_leaf():
    assert all(name == row.name and ops.named(name) is row for name, row in ops.OPS.items())
    assert ops.named("leaf") is ops.LEAF and ops.named("constant") is ops.CONSTANT
    assert all(leaf.arity == 0 and leaf.symbol == "" for leaf in ops.LEAVES.values())
    assert Value(1.0).op.__doc__ == "a Value that the user made"
    with pytest.raises(KeyError, match=r"no op is called 'sine'; there are add, sub.*micrograd\.op"):
        ops.named("sine")


@each_row
def test_a_row_pickles_as_itself(row):
    assert all(pickle.loads(pickle.dumps(row, protocol)) is row for protocol in range(pickle.HIGHEST_PROTOCOL + 1))


# Methods and functions

@each_row
def test_every_row_is_a_function_of_the_package_and_a_method_of_value(row):
    function, method = getattr(micrograd, row.name), getattr(Value, row.name)
    assert function is row
    if row.name not in ("abs", "pow", "round"):  # `from micrograd import *` must not hide the built-in functions
        assert row.name in micrograd.__all__
    assert len(inspect.signature(method).parameters) == row.arity
    args = next(points(row))
    for rest in (args[1:], tuple(map(Value, args[1:]))):
        by_method, by_function = method(Value(args[0]), *rest), function(Value(args[0]), *rest)
        assert by_method.op is by_function.op
        assert by_method.data == by_function.data == function(*args)
        assert by_method.local_derivatives == by_function.local_derivatives


@pytest.mark.parametrize("row", [row for row in ROWS if row.defaults], ids=lambda row: row.name)
def test_defaults_of_methods_and_functions_agree(row):
    for x in (-0.7, 0.7):
        full = row(x, *row.defaults)
        assert row(x) == full
        assert row(Value(x)).data == full
        assert getattr(Value(x), row.name)().data == full


@each_node
def test_functions_take_numbers_and_nodes_in_any_mix(row):
    args = next(points(row))
    assert type(row(*args)) is float
    for kinds in itertools.product((float, Value), repeat=row.arity):
        mixed = [kind(arg) for kind, arg in zip(kinds, args)]
        result = row(*mixed)
        assert type(result) is (Value if Value in kinds else float)
        assert float(result) == row(*args)
    assert type(ops.maximum(2, True)) is float
    assert ops.exp(Fraction(1, 2)) == math.exp(0.5)


@pytest.mark.parametrize("bad, message", [
    ("1", r"exp needs a real number, found str '1'; convert text first: float\('1'\)"),
    (None, "exp needs a real number, found NoneType None"),
    (1j, "exp needs a real number, found complex 1j"),
    ([1.0], r"exp needs a real number, found list \[1.0\]; for many numbers make one each"),
    ("x" * 99, r"found str 'x{36}\.\.\.; convert"),
])
def test_functions_refuse_what_is_no_number(bad, message):
    with pytest.raises(TypeError, match=message):
        micrograd.exp(bad)
    with pytest.raises(TypeError, match="needs a real number"):
        micrograd.hypot(Value(1.0), bad)
    with pytest.raises(TypeError, match="needs a real number"):
        micrograd.hypot(bad, Value(1.0))


@pytest.mark.parametrize("call, message", [
    (lambda: micrograd.exp(), "exp takes 1 argument, found 0"),
    (lambda: micrograd.exp(1, 2), "exp takes 1 argument, found 2"),
    (lambda: micrograd.hypot(1), "hypot takes 2 arguments, found 1"),
    (lambda: micrograd.hypot(Value(1)), "hypot takes 2 arguments, found 1"),
    (lambda: micrograd.leaky_relu(), "leaky_relu takes 2 arguments, found 0"),
    (lambda: micrograd.leaky_relu(1, 2, 3), "leaky_relu takes 2 arguments, found 3"),
])
def test_a_wrong_number_of_arguments_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


# The float whose every operation is a row

OPERATIONS = [
    (ops.add, lambda a, b: a + b), (ops.sub, lambda a, b: a - b), (ops.mul, lambda a, b: a * b),
    (ops.div, lambda a, b: a / b), (ops.pow, lambda a, b: a ** b), (ops.mod, lambda a, b: a % b),
    (ops.floordiv, lambda a, b: a // b),
]


@pytest.mark.parametrize("row, operator", OPERATIONS, ids=lambda x: getattr(x, "name", ""))
def test_ieee_arithmetic_is_total_and_that_of_the_rows(row, operator):
    for a, b in mixes(row):
        for x, y in ((Ieee(a), Ieee(b)), (Ieee(a), b), (a, Ieee(b))):
            result = operator(x, y)
            assert type(result) is Ieee
            assert bits(float(result)) == bits(row(a, b))


def test_ieee_numbers_compare_as_floats():
    x = Ieee(2)
    assert x < 3 and x <= 2 and x > 1 and x >= 2 and not x < Ieee(2)
    assert bool(x) and not Ieee(-0.0)
    assert (-x).x == -2.0 and abs(-x).x == 2.0


# Ops of a user's own

@pytest.fixture
def table():
    """The table, put back as it was after the test."""
    before = dict(ops.OPS)
    yield ops.OPS
    ops.OPS.clear()
    ops.OPS.update(before)


def test_an_op_of_ones_own_works_eagerly_and_to_any_order(table):
    cube = micrograd.op("cube", lambda x: x * x * x, lambda y, x: 3 * x * x, symbol="³",
                        latex="{0:atom}^3", text="{0:atom}³")
    assert cube(2) == 8.0
    x = Value(2.0, "x")
    y = cube(x)
    assert (y.data, y.op, y._op, y.local_derivatives) == (8.0, cube, "³", (12.0,))
    y.backward()
    assert x.grad == 12.0
    first = gradient(y, x)
    second = gradient(first, x)
    assert (first.data, second.data, gradient(second, x).data) == (12.0, 12.0, 6.0)
    assert table["cube"] is cube is ops.named("cube")
    assert not cube.builtin
    assert pickle.loads(pickle.dumps(y)).op is cube


def test_an_op_of_two_arguments_with_rows_in_its_rule(table):
    power = micrograd.op("my_pow", lambda a, b: a ** b,
                         lambda y, a, b: b * a ** (b - 1), lambda y, a, b: y * micrograd.log(a),
                         domain=((0.5, 2.0), (-1.0, 2.0)), binds="power")
    a, b = Value(1.5), Value(0.7)
    for found, expected in zip(gradient(power(a, b), [a, b]), gradient(a ** b, [a, b])):
        assert found.data == expected.data
        for x in (a, b):  # the same formula in another order of operations
            assert gradient(found, x).data == pytest.approx(gradient(expected, x).data, rel=1e-15)
    assert power(a, 2).local_derivatives == (3.0, 0.0)
    assert power(2, b).local_derivatives[0] == 0.0


@quiet
def test_an_op_of_ones_own_is_total(table):
    root = micrograd.op("root", math.sqrt, lambda y, x: 1 / (2 * y), domain=(0.5, 2.0))
    assert math.isnan(root(-1.0))
    assert root(Value(0.0)).local_derivatives == (inf,)
    v = root(Value(-1.0))
    assert math.isnan(v.data) and math.isnan(v.local_derivatives[0])
    third = micrograd.op("third", lambda x: x ** (1 / 3), lambda y, x: 1 / (3 * y * y), domain=(0.5, 2.0))
    assert math.isnan(third(-8.0))  # Python's own ** gives a complex number
    assert math.isnan(third(Value(-8.0)).data)


def test_what_an_op_of_ones_own_returns_becomes_a_float(table):
    less = micrograd.op("less", lambda a, b: a < b, lambda y, a, b: 0.0, lambda y, a, b: 0.0, kink=lambda a, b: a - b)
    assert bits(less(1.0, 2.0)) == bits(1.0)
    assert bits(less(Value(1.0), Value(2.0)).data) == bits(1.0)
    whole = micrograd.op("whole", math.floor, lambda y, x: 0.0, domain=(0.1, 0.9))
    assert bits(whole(1.5)) == bits(1.0)
    assert bits(whole(Value(1.5)).data) == bits(1.0)


def test_an_op_may_be_redefined_as_a_notebook_cell_does(table):
    first = micrograd.op("twice", lambda x: x + x, lambda y, x: 2.0, symbol="2x")
    old = first(Value(1.0))
    second = micrograd.op("twice", lambda x: 2 * x, lambda y, x: 2.0, symbol="×2")
    assert ops.named("twice") is second is not first
    assert old.op is first and gradient(old, old.parents[0]).data == 2.0  # what was recorded stays as it was


def test_a_refused_redefinition_leaves_the_op_as_it_was(table):
    good = micrograd.op("twice", lambda x: x + x, lambda y, x: 2.0)
    with pytest.raises(ValueError, match="derivative"):
        micrograd.op("twice", lambda x: x + x, lambda y, x: 3.0)
    assert ops.named("twice") is good


SQUARE = (lambda x: x * x, lambda y, x: 2 * x)


@pytest.mark.parametrize("error, message, name, functions, options", [
    (ValueError, r"'square': derivative 1 at \(-0.92\) is -0.92 by your rule, but -1.84 by differences",
     "square", (SQUARE[0], lambda y, x: x), {}),
    (ValueError, r"'product': derivative 2 at",
     "product", (lambda a, b: a * b, lambda y, a, b: b, lambda y, a, b: b), {}),
    (ValueError, "derivative 1 .* is nan", "square", (SQUARE[0], lambda y, x: nan), {}),
    (ValueError, "identifier such as 'square', found 'my square'", "my square", SQUARE, {}),
    (ValueError, "identifier", "", SQUARE, {}),
    (ValueError, "identifier such as 'square', found 3", 3, SQUARE, {}),
    (ValueError, "'tanh' is a built-in op; choose another name", "tanh", SQUARE, {}),
    (ValueError, "'leaf' is a built-in", "leaf", SQUARE, {}),
    (ValueError, "'constant' is a built-in", "constant", SQUARE, {}),
    (ValueError, r"in the template '\{1\}\^2' \{0\} stand", "square", SQUARE, {"latex": "{1}^2"}),
    (ValueError, r"in the template '\{0:wide\}'", "square", SQUARE, {"text": "{0:wide}"}),
    (ValueError, r"in the template '\{\}\^2'", "square", SQUARE, {"latex": "{}^2"}),
    (ValueError, "op 'square': in the template .* a brace of the formula itself is written twice",
     "square", SQUARE, {"latex": r"\sqrt{{0}"}),
    (ValueError, "binds must be one of sum, product, power, atom; found 'tight'", "square", SQUARE, {"binds": "tight"}),
    (ValueError, "domain must be one interval, or one for each of the 1 argument",
     "square", SQUARE, {"domain": ((0, 1), (0, 1))}),
    (TypeError, "one derivative for each argument, one or two; found 3",
     "fma", (lambda a, b, c: a * b + c, lambda y, a, b, c: b, lambda y, a, b, c: a, lambda y, a, b, c: 1.0), {}),
    (TypeError, "one or two; found 0", "square", (SQUARE[0],), {}),
    (TypeError, "for forward and each derivative, needs a function, found float 2.0", "square", (SQUARE[0], 2.0), {}),
    (TypeError, "for forward and each derivative, needs a function, found float 2.0", "square", (2.0, SQUARE[1]), {}),
    (TypeError, r"forward\(-0.92\) must return a float, found 'a'", "square", (lambda x: "a", SQUARE[1]), {}),
    (ValueError, r"op 'ln': forward\(-0\.92\) fails .*; name the domain", "ln", (math.log, lambda y, x: 1 / x), {}),
])
def test_a_wrong_op_is_refused_and_leaves_no_trace(table, error, message, name, functions, options):
    before = dict(table)
    with pytest.raises(error, match=message):
        micrograd.op(name, *functions, **options)
    assert table == before


def test_a_rule_that_leaves_the_graph_is_refused(table):
    # math.exp of a node is a mere float: the first derivative would be right and the second silently 0
    with pytest.raises(TypeError, match=r"op 'my_exp': derivative 1: .*micrograd.exp\(x\), not math.exp\(x\)"):
        micrograd.op("my_exp", math.exp, lambda y, x: math.exp(x))
    with pytest.raises(TypeError, match="op 'my_mul': derivative 2"):
        micrograd.op("my_mul", lambda a, b: a * b, lambda y, a, b: b, lambda y, a, b: a * float(b) / b)
    branches = micrograd.op("ramp", lambda x: max(0.0, x), lambda y, x: 1.0 if x > 0 else 0.0, kink=lambda x: x)
    assert branches(Value(3.0)).local_derivatives == (1.0,)  # a test of the argument stays in the graph


def test_a_kink_is_skipped_when_a_new_op_is_compared_with_differences(table):
    clip = micrograd.op("clip", lambda x: max(-1.0, min(1.0, x)), lambda y, x: micrograd.step(1 - micrograd.abs(x)),
                        kink=lambda x: 1 - abs(x))
    assert clip(Value(0.5)).local_derivatives == (1.0,)
    assert clip(Value(1.5)).local_derivatives == (0.0,)
    hinge = micrograd.op("hinge", lambda x: max(0.0, x), lambda y, x: micrograd.step(x), kink=lambda x: x,
                         domain=(-0.55 / 0.45, 1.0))  # 0 is one of the three points
    assert hinge(Value(0.0)).local_derivatives == (0.0,)
