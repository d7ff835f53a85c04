"""Data as users have them: every kind that holds numbers gives the same result, and what is odd is named."""

import ctypes
import decimal
import fractions
import math
import re
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micrograd import Value, compile
from micrograd.compiler import executors
from micrograd.compiler.batch import flat_columns, one_sample, prepared
from micrograd.compiler.program import Argument

BACKENDS = ["python"] + (["native"] if executors.native is not None else [])

A = [1.5, -2.0, 0.25, 3.0, -0.5]
B = [2.0, 1.0, -1.0, 0.5, 4.0]
X, Y, XY = Argument("x", None), Argument("y", None), Argument("xy", 2)


class Odd:
    """No number, no sequence."""


def strided(xs):
    wide = np.full((len(xs), 3), np.nan)
    wide[:, 1] = xs
    return wide[:, 1]


def read_only(xs):
    held = np.array(xs)
    held.flags.writeable = False
    return held


def unaligned(xs):
    held = np.frombuffer(bytearray(8 * len(xs) + 1), dtype=np.uint8)[1:].view(np.float64)
    held[:] = xs
    return held


KINDS = {
    "list": list, "tuple": tuple, "array": lambda xs: array("d", xs), "array of floats": lambda xs: array("f", xs),
    "numpy": np.array, "big-endian": lambda xs: np.array(xs, ">f8"), "objects": lambda xs: np.array(xs, object),
    "records of one": lambda xs: np.array([(x,) for x in xs], [("a", float)]), "rows of one": lambda xs: [[x] for x in xs],
    "float32": lambda xs: np.array(xs, np.float32), "float16": lambda xs: np.array(xs, np.float16),
    "strided": strided, "reversed": lambda xs: np.array(xs[::-1])[::-1], "read-only": read_only, "unaligned": unaligned,
    "a row of a Fortran table": lambda xs: np.asfortranarray([xs, xs])[0], "a column that is a table": lambda xs: np.array([xs]).T,
    "every other": lambda xs: np.repeat(xs, 2)[::2], "object array as a list": lambda xs: list(np.array(xs, object)),
    "memoryview": lambda xs: memoryview(array("d", xs)), "memoryview, every other": lambda xs: memoryview(array("d", np.repeat(xs, 2)))[::2],
    "memoryview, reversed": lambda xs: memoryview(array("d", xs[::-1]))[::-1],
    "ctypes": lambda xs: (ctypes.c_double * len(xs))(*xs), "ctypes floats": lambda xs: (ctypes.c_float * len(xs))(*xs),
    "generator": lambda xs: (x for x in xs), "map": lambda xs: map(float, xs), "dict values": lambda xs: dict(enumerate(xs)).values(),
    "Values": lambda xs: [Value(x) for x in xs], "NumPy scalars": lambda xs: [np.float32(x) for x in xs],
    "fractions": lambda xs: [fractions.Fraction(x) for x in xs], "decimals": lambda xs: [decimal.Decimal(x) for x in xs],
    "a mix": lambda xs: [x if i % 2 else Value(x) for i, x in enumerate(xs)],
}
INTEGERS = {
    "ints": list, "int64": lambda xs: np.array(xs, np.int64), "int8": lambda xs: np.array(xs, np.int8),
    "array of ints": lambda xs: array("i", xs), "array of longs": lambda xs: array("q", xs),
    "ctypes": lambda xs: (ctypes.c_int16 * len(xs))(*xs), "range": lambda xs: range(xs[0], xs[-1] + 1),
}
TABLES = {
    "lists": lambda rows: [list(row) for row in rows], "tuples": lambda rows: tuple(tuple(row) for row in rows),
    "numpy": np.array, "float32": lambda rows: np.array(rows, np.float32), "Fortran": np.asfortranarray,
    "transposed": lambda rows: np.array([*zip(*rows)]).T, "part of a wider one": lambda rows: np.hstack([rows, rows])[:, :len(rows[0])],
    "reversed": lambda rows: np.array(rows[::-1])[::-1], "columns reversed": lambda rows: np.array([row[::-1] for row in rows])[:, ::-1],
    "every other": lambda rows: np.repeat(rows, 2, axis=0)[::2], "read-only": read_only,
    "memoryview": lambda rows: memoryview(np.array(rows)), "rows as arrays": lambda rows: [np.array(row) for row in rows],
    "rows as generators": lambda rows: ((x for x in row) for row in rows), "ctypes": lambda rows: ctypes_table(rows),
    "Values": lambda rows: [[Value(x) for x in row] for row in rows], "float16": lambda rows: np.array(rows, np.float16),
    "zip": lambda rows: zip(*zip(*rows)),
}


def ctypes_table(rows):
    row = ctypes.c_double * len(rows[0])
    return (row * len(rows))(*[row(*xs) for xs in rows])


def product(x, y):
    return x * y + x


def of_pair(xs, y):
    return xs[0] * y - xs[1]


PRODUCT = [x * y + x for x, y in zip(A, B)]


@pytest.fixture(params=BACKENDS, scope="module")
def f(request):
    return compile(product, backend=request.param)


@pytest.fixture(params=BACKENDS, scope="module")
def pair(request):
    return compile(of_pair, inputs=(2, None), backend=request.param)


def check(f, expected, *data):
    """The mean and each row; data: functions that make them, since a generator serves only once."""
    assert f(*[make() for make in data]) == pytest.approx(sum(expected) / len(expected), rel=1e-14)
    assert f.map(*[make() for make in data]).tolist() == pytest.approx(expected, rel=1e-14)  # one rounding or two
    assert f.value(*[make() for make in data]) == pytest.approx(sum(expected) / len(expected), rel=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column(f, kind):
    make = KINDS[kind]
    check(f, PRODUCT, lambda: make(A), lambda: make(B))
    check(f, PRODUCT, lambda: A, lambda: make(B))
    check(f, [x * 2.0 + x for x in A], lambda: make(A), lambda: 2.0)


@pytest.mark.parametrize("kind", INTEGERS)
def test_whole_numbers(f, kind):
    numbers = [3, 4, 5, 6]
    check(f, [x * x + x for x in numbers], lambda: INTEGERS[kind](numbers), lambda: INTEGERS[kind](numbers))


def test_truth_values(f):
    truth = [True, False, True]
    for make in (list, np.array, lambda xs: array("b", xs), lambda xs: np.array(xs, np.uint8)):
        check(f, [2.0, 0.0, 2.0], lambda make=make: make(truth), lambda: [1.0] * 3)


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_table(f, pair, kind):
    make = TABLES[kind]
    rows = [*zip(A, B)]
    check(f, PRODUCT, lambda: make(rows))  # one table for all arguments
    check(pair, [x * 0.5 - y for x, y in rows], lambda: make(rows), lambda: [0.5] * len(rows))
    check(pair, [x * 0.5 - y for x, y in rows], lambda: make(rows), lambda: 0.5)
    check(pair, [x * 2.0 - y for x, y in rows], lambda: make([(x, y, 2.0) for x, y in rows]))


@pytest.mark.parametrize("number", [2.0, 2, True + 1, np.float64(2), np.int8(2), np.float32(2), fractions.Fraction(2), np.array(2.0)])
def test_a_number_stands_for_a_column(f, number):
    check(f, [x * 2.0 + x for x in A], lambda: A, lambda: number)
    check(f, [2.0 * x + 2.0 for x in A], lambda: number, lambda: np.array(A))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_of_one_list(backend):
    g = compile(lambda xs: xs[0] - 2 * xs[1], inputs=[2], backend=backend)
    rows = [*zip(A, B)]
    for make in TABLES.values():
        check(g, [x - 2 * y for x, y in rows], lambda make=make: make(rows))
    assert g([3.0, 1.0]) == g((3.0, 1.0)) == g(np.array([3.0, 1.0])) == 1.0  # one sample


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_of_one_number(backend):
    square = compile(lambda x: x * x, backend=backend)
    check(square, [x * x for x in A], lambda: A)
    check(square, [x * x for x in A], lambda: np.array([A]).T)
    check(square, [x * x for x in A], lambda: np.array(A))
    assert square.map([]).tolist() == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_inf_and_nan_go_through_as_eagerly(backend):
    def g(x):
        return 1 / x + (x * 2).relu()

    specials = [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e308, 5e-324]
    f = compile(g, backend=backend)
    eager = [g(Value(x)).data for x in specials]
    for make in (list, np.array, lambda xs: array("d", xs)):
        assert [repr(x) for x in f.map(make(specials))] == [repr(x) for x in eager]
        assert math.isnan(f(make(specials)))
        assert f(make([math.inf, 1.0])) == math.inf and f.value(make([-0.0, -1.0])) == -math.inf


# What is odd

WRONG = {
    "different lengths": ((A, B[:3]), ValueError, "the columns differ in length: x has 5 rows, y has 3 rows"),
    "arrays of different lengths": ((np.array(A), array("d", B[:3])), ValueError, "x has 5 rows, y has 3 rows"),
    "strings": ((A, [*"12345"]), TypeError, "y, row 0: a real number is needed, found str '1'"),
    "a string in row 3": ((A, [1.0, 2.0, 3.0, "four", 5.0]), TypeError, "y, row 3: a real number is needed, found str 'four'"),
    "None": (([1.0, None], [1.0, 2.0]), TypeError, "x, row 1: a real number is needed, found NoneType None"),
    "complex": (([1.0, 2j], [1.0, 2.0]), TypeError, "x, row 1: a real number is needed, found complex 2j"),
    "NumPy's complex": (([1.0, np.complex128(2j)], [1.0, 2.0]), TypeError, "x, row 1: a real number is needed, found complex128"),
    "NumPy's complex of single precision": ((np.ones(2), list(np.ones(2, np.complex64))), TypeError, "y, row 0: a real number is needed"),
    "a complex number in a table": (([[1.0, 2.0], [3.0, np.complex64(1)]],), TypeError, "the table, row 1, column 1: a real number"),
    "an object": (([1.0, Odd()], [1.0, 2.0]), TypeError, "x, row 1: a real number is needed, found Odd"),
    "a list too deep": (([[1.0], [[2.0]]], [1.0, 2.0]), TypeError, "x, row 1: a real number is needed, found list [2.0]"),
    "a list with a row": (([1.0, [2.0]], [1.0, 2.0]), TypeError, "x, row 1: a real number is needed, found list [2.0]"),
    "a list of arrays": (([np.array([1.0, 2.0]), np.array([1.0, 2.0])], [1.0, 2.0]), TypeError, "x, row 0: a real number is needed"),
    "text": (("12345", B), TypeError, "x needs numbers in a list or an array, found str '12345'"),
    "bytes": ((b"12345", B), TypeError, "x needs numbers in a list or an array, found bytes"),
    "a dictionary": ((dict(enumerate(A)), B), TypeError, "x needs numbers in a list or an array, found dict"),
    "no sequence": ((Odd(), B), TypeError, "x needs numbers in a list or an array, found Odd"),
    "None alone": ((None, B), TypeError, "x needs numbers in a list or an array, found NoneType"),
    "object array": ((np.array([1.0, None], object), B), TypeError, "x, row 1: a real number is needed, found NoneType None"),
    "complex array": ((np.array(A, complex), B), TypeError, "x, row 0: a real number is needed, found complex128"),
    "array of text": ((np.array(["1", "2"]), B), TypeError, "x, row 0: a real number is needed, found str_"),
    "a memoryview of complex numbers": ((memoryview(np.array(A, complex)), B), TypeError,
                                        "x needs real numbers, found an array with items of format 'Zd'"),
    "dates": ((np.array(["2026-01-01"] * 5, "datetime64[D]"), B), TypeError, "x, row 0: a real number is needed"),
    "records of two": ((np.zeros(5, [("a", float), ("b", float)]), B), ValueError, "x is one column of numbers, found a table of 5 rows and 2 columns"),
    "two dimensions": ((np.ones((5, 2)), B), ValueError, "x is one column of numbers, found a table of 5 rows and 2 columns"),
    "three dimensions": ((np.ones((5, 1, 1)), B), ValueError, "x is one column of numbers, found an array of 5x1x1"),
    "one argument too many": ((A, B, A), TypeError, "product takes x, y: one column for each, or one table of 2 columns; found 3 arguments"),
    "a table of three columns": ((np.ones((5, 3)),), ValueError, "the table must have 2 columns, found a table of 5 rows and 3 columns"),
    "a table of three dimensions": ((np.ones((5, 2, 1)),), ValueError, "the table must have 2 columns, found an array of 5x2x1"),
    "one column for two": ((np.ones(5),), ValueError, "the table must have 2 columns, found one flat list of 5 numbers"),
    "a list for two columns": ((A,), TypeError, "one table of 2 columns; found one flat list of numbers"),
    "ragged rows": (([[1.0, 2.0], [3.0]],), ValueError, "the table must have 2 numbers a row, found 1 in row 1"),
    "rows too long": (([[1.0, 2.0, 3.0]],), ValueError, "the table must have 2 numbers a row, found 3 in row 0"),
    "text in a table": (([[1.0, 2.0], [3.0, "4"]],), TypeError, "the table, row 1, column 1: a real number is needed, found str '4'"),
    "a row that is text": (([[1.0, 2.0], "ab"],), TypeError, "the table, row 1 needs numbers"),
    "object table": ((np.array([[1.0, 2.0], [3.0, "4"]], object),), TypeError, "the table, row 1, column 1: a real number is needed, found str '4'"),
    "no rows": (([], []), ValueError, "over no rows is asked for; at least one row is needed"),
    "no rows in an array": ((np.zeros(0), np.zeros(0)), ValueError, "over no rows is asked for"),
    "no rows in a table": (([],), ValueError, "the table has no rows"),
    "no rows in a table of NumPy": ((np.zeros((0, 2)),), ValueError, "over no rows is asked for"),
    "a row and none": ((1.0, []), ValueError, "over no rows is asked for"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_odd_is_named(f, case):
    data, kind, words = WRONG[case]
    for ask in (f, f.value, f.value_and_grad, f.fit):
        with pytest.raises(kind, match=re.escape(words)) as caught:
            ask(*data)
        assert "product" in str(caught.value)
    if "no rows" not in case and case != "a row and none":  # none in, none out
        with pytest.raises(kind, match=re.escape(words)):
            f.map(*data)


def test_in_tables_of_one_argument_the_argument_is_named(pair):
    for data, words in [
            (([[1.0, 2.0], [3.0]], [1.0, 2.0]), "xs must have 2 numbers a row, found 1 in row 1"),
            ((np.ones((4, 3)), np.ones(4)), "xs must have 2 columns, found a table of 4 rows and 3 columns"),
            ((np.ones((4, 2)), np.ones(3)), "the columns differ in length: xs has 4 rows, y has 3 rows")]:
        with pytest.raises(ValueError, match=re.escape(words)):
            pair(*data)
    with pytest.raises(TypeError, match=re.escape("of_pair takes xs (2 numbers a row), y: one column for each")):
        pair(A, B, A)
    with pytest.raises(TypeError, match=r"xs needs numbers in a list or an array, found float 1.0"):
        pair(1.0, B)
    with pytest.raises(TypeError, match="xs, row 1, column 0: a real number is needed, found NoneType None"):
        pair([[1.0, 2.0], [None, 1.0]], [1.0, 2.0])


def test_numbers_alone_are_a_sample_and_no_columns(f):
    assert f(2.0, 3.0) == 8.0
    for ask in (f.value, f.value_and_grad, f.map, f.fit):
        with pytest.raises(TypeError, match="product needs at least one column; every argument is a single number"):
            ask(2.0, 3.0)
    for ask in (f, f.grad, f.hessian):
        with pytest.raises(TypeError, match="product takes x, y here: the numbers of one sample"):
            ask(2.0)
        with pytest.raises(TypeError, match="product takes x, y here: the numbers of one sample"):
            ask(2.0, 3.0, 4.0)
        with pytest.raises(TypeError):
            ask()
    for ask in (f.grad, f.hessian):
        with pytest.raises(TypeError, match=re.escape(".map(..., grad=True)")):
            ask(A, B)


def test_nothing_is_changed_by_data_that_are_refused():
    w = Value(2.0)
    f = compile(lambda x, y: w * x * y)
    f(A, B)
    before = w.grad
    for data, kind, _ in WRONG.values():
        with pytest.raises(kind):
            f(*data)
        with pytest.raises(kind):
            f.fit(*data)
    assert (w.grad, w.data) == (before, 2.0)


def test_the_data_are_not_changed_and_not_held(f):
    column = array("d", A)
    table = bytearray(np.array([*zip(A, B)]).tobytes())
    view = memoryview(table).cast("d", (5, 2))
    f(column, B)
    f(view)
    f.map(column, B, grad=True)
    f.value(view)
    assert column.tolist() == A
    column.append(1.0)  # a BufferError, were it held
    view.release()
    table.append(0)


# The parts

def test_one_sample_is_a_number_or_a_flat_list_for_each_argument():
    assert one_sample([X, Y], [1, 2.5]) == (1.0, 2.5)
    assert one_sample([XY, Y], [[1, 2], 3]) == (1.0, 2.0, 3.0)
    assert one_sample([XY], [np.array([1.0, 2.0])]) == (1.0, 2.0)
    assert one_sample([X], [10**400]) == (math.inf,)
    for arguments, data in [([X], [[1.0]]), ([X, Y], [1.0]), ([XY], [[1.0, 2.0, 3.0]]), ([XY], [[[1.0, 2.0], [3.0, 4.0]]]), ([X], ["1"]),
                            ([XY], [1.0]), ([XY], ["12"]), ([X], [Value(1.0)]), ([XY, Y], [[1.0, 2.0], [3.0]])]:
        assert one_sample(arguments, data) is None


def test_a_table_of_doubles_is_taken_as_it_is():
    for rows in (np.ones((3, 2)), np.asfortranarray(np.ones((3, 2))), np.ones((6, 4))[::2, ::2]):
        data = prepared("f", [X, Y], [rows])
        assert data.table and data.rows == 3 and data.given[0].obj is rows
    assert flat_columns(prepared("f", [X, Y], [[[1, 2], [3, 4]]]), [X, Y]) == [array("d", [1, 3]), array("d", [2, 4])]
    assert flat_columns(prepared("f", [X, Y], [2, [3, 4]]), [X, Y]) == [array("d", [2, 2]), array("d", [3, 4])]


numbers = st.floats(width=64) | st.integers(-10**6, 10**6) | st.booleans()


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=9), st.booleans())
def test_columns_hold_what_was_given(rows, as_table):
    data = prepared("f", [X, Y], [rows] if as_table else [*zip(*rows)])
    found = flat_columns(data, [X, Y])
    assert data.rows == len(rows)
    assert [repr(x) for column in found for x in column] == [repr(float(x)) for column in zip(*rows) for x in column]
