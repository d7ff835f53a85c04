"""One door for data: whatever holds the same numbers gives the same at every door, or is refused there, and says where."""

import ctypes
import importlib
import math
import random
import subprocess
import sys
from array import array
from collections import UserDict, UserList, UserString, deque
from decimal import Decimal
from fractions import Fraction
from functools import cache
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd
from micrograd import MLP, SGD, Adam, Standardizer, Value, accuracy, fit, train_test_split
from micrograd.data import dataset

np = pytest.importorskip("numpy", reason="NumPy is not installed: pip install numpy")

SHAPES = [(3, 3), (2, 2), (4, 1), (1, 3), (1, 1), (5, 2)]


def package(name):
    """A package that holds data; skipped where a user lacks it."""
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install {name}")


def numbers(shape, whole=False):
    """A table of that shape, of numbers that a bfloat16 has."""
    rng = random.Random(str(shape))
    count = iter(range(1, 100))
    return [[float(next(count)) if whole else rng.randint(-16, 16) / 8 for _ in range(shape[1])] for _ in range(shape[0])]


def named(rows):
    return {f"c{j}": [row[j] for row in rows] for j in range(len(rows[0]))}


def strided(rows):
    wide = np.full((2 * len(rows), 3 * len(rows[0])), np.nan)
    wide[::2, 1::3] = rows
    return wide[::2, 1::3]


def read_only(rows):
    held = np.array(rows)
    held.flags.writeable = False
    return held


def in_objects(rows):
    held = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        held[i] = row
    return held


def dlpack_alone(rows):
    class Tensor:
        """What has no way to its numbers but DLPack."""

        def __init__(self, held):
            self.held = held

        def __dlpack__(self, **kwargs):
            return self.held.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return self.held.__dlpack_device__()

    return Tensor(np.array(rows))


# Tables, by what makes one of a list of rows
TABLES = {
    "lists": lambda rows: [list(row) for row in rows], "tuples": lambda rows: tuple(map(tuple, rows)),
    "generators": lambda rows: (iter(row) for row in rows), "zip": lambda rows: zip(*zip(*rows)),
    "array.array in a list": lambda rows: [array("d", row) for row in rows],
    "decimals": lambda rows: [[Decimal(x) for x in row] for row in rows],
    "fractions": lambda rows: [[Fraction(x) for x in row] for row in rows],
    "memoryview": lambda rows: memoryview(np.array(rows)), "NumPy": np.array, "float32": lambda rows: np.array(rows, np.float32),
    "float16": lambda rows: np.array(rows, np.float16), "longdouble": lambda rows: np.array(rows, np.longdouble),
    "big-endian": lambda rows: np.array(rows, ">f8"), "big-endian float32": lambda rows: np.array(rows, ">f4"),
    "objects": lambda rows: np.array(rows, object), "Fortran": np.asfortranarray, "strided": strided,
    "transposed": lambda rows: np.array([*zip(*rows)]).T, "rows reversed": lambda rows: np.array(rows[::-1])[::-1],
    "columns reversed": lambda rows: np.array([row[::-1] for row in rows])[:, ::-1], "read-only": read_only,
    "matrix": np.matrix, "nothing masked": lambda rows: np.ma.array(rows),
    "records": lambda rows: np.array([*map(tuple, rows)], [(f"c{j}", ">f4" if j % 2 else "f8") for j in range(len(rows[0]))]),
    "rows as arrays": lambda rows: [np.array(row) for row in rows], "0-d arrays": lambda rows: [[np.array(x) for x in row] for row in rows],
    "DLPack": dlpack_alone, "pandas": lambda rows: package("pandas").DataFrame(rows),
    "pandas with names": lambda rows: package("pandas").DataFrame(named(rows), index=[f"r{i}" for i in range(len(rows))]),
    "pandas nullable": lambda rows: package("pandas").DataFrame(rows).astype("Float64"),
    "pandas mixed": lambda rows: package("pandas").DataFrame(rows).astype({0: "float32"}), "pandas of objects": lambda rows: package("pandas").DataFrame(rows, dtype=object),
    "pandas twice the same name": lambda rows: package("pandas").DataFrame(rows, columns=["c"] * len(rows[0])),
    "pandas by pyarrow": lambda rows: package("pyarrow") and package("pandas").DataFrame(rows).astype("double[pyarrow]"),
    "pandas categories": lambda rows: package("pandas").DataFrame(rows).astype("category"),
    "Series in a list": lambda rows: [package("pandas").Series(row) for row in rows],
    "polars": lambda rows: package("polars").DataFrame(named(rows)), "polars list": lambda rows: package("polars").Series(rows),
    "polars decimals": lambda rows: package("polars").DataFrame({name: [Decimal(x) for x in c] for name, c in named(rows).items()}),
    "pyarrow": lambda rows: package("pyarrow").table(named(rows)),
    "pyarrow chunks": lambda rows: package("pyarrow").concat_tables([package("pyarrow").table(named([row])) for row in rows]),
    "record batch": lambda rows: package("pyarrow").record_batch(named(rows)), "pyarrow lists": lambda rows: package("pyarrow").array(rows),
    "xarray": lambda rows: package("xarray").DataArray(rows),
    "xarray dataset": lambda rows: package("xarray").Dataset({name: ("row", c) for name, c in named(rows).items()}),
    "torch": lambda rows: package("torch").tensor(rows), "torch double": lambda rows: package("torch").tensor(rows).double(),
    "torch that requires a gradient": lambda rows: package("torch").tensor(rows, requires_grad=True),
    "bfloat16": lambda rows: package("torch").tensor(rows, dtype=package("torch").bfloat16),
    "tensors in a list": lambda rows: list(package("torch").tensor(rows)), "JAX": lambda rows: package("jax.numpy").array(rows),
    "JAX bfloat16": lambda rows: package("jax.numpy").array(rows, dtype="bfloat16"),
    "sparse": lambda rows: package("scipy.sparse").csr_array(np.array(rows)), "sparse by place": lambda rows: package("scipy.sparse").coo_array(np.array(rows)),
    "sparse by key": lambda rows: package("scipy.sparse").dok_array(np.array(rows)),
    "sparse torch": lambda rows: package("torch").tensor(rows).to_sparse(),
    "torch, conjugate": lambda rows: -package("torch").complex(package("torch").zeros(len(rows), len(rows[0])), package("torch").tensor(rows)).conj().imag,
    "torch, negative": lambda rows: package("torch")._neg_view(-package("torch").tensor(rows)),
    "rows of records": lambda rows: list(TABLES["records"](rows)), "rows of lists in objects": in_objects,
    "deque": lambda rows: deque(map(deque, rows)), "UserList": lambda rows: UserList(map(UserList, rows)),
    "ctypes": lambda rows: (ctypes.c_double * len(rows[0]) * len(rows))(*map(tuple, rows)), "values of a dict": lambda rows: dict(enumerate(rows)).values(),
    "rows of a frame": lambda rows: package("pandas").DataFrame(rows).itertuples(index=False), "named twice": lambda rows: package("pandas").DataFrame(rows, index=[0] * len(rows)),
    "pyarrow's numbers": lambda rows: [list(package("pyarrow").array(row)) for row in rows], "rows of pyarrow": lambda rows: list(package("pyarrow").array(rows)),
    "pyarrow dictionaries": lambda rows: package("pyarrow").table({name: package("pyarrow").array(c).dictionary_encode() for name, c in named(rows).items()}),
    "xarray with coordinates": lambda rows: package("xarray").DataArray(rows, dims=("y", "x"), coords={"y": range(5, 5 + len(rows))}),
}

# Columns, by what makes one of a list of numbers
COLUMNS = {
    "list": list, "tuple": tuple, "generator": lambda xs: (x for x in xs), "array.array": lambda xs: array("d", xs),
    "float array": lambda xs: array("f", xs), "memoryview": lambda xs: memoryview(array("d", xs)), "NumPy": np.array,
    "float16": lambda xs: np.array(xs, np.float16), "big-endian": lambda xs: np.array(xs, ">f8"), "objects": lambda xs: np.array(xs, object),
    "reversed": lambda xs: np.array(xs[::-1])[::-1], "every other": lambda xs: np.repeat(xs, 2)[::2],
    "one column": lambda xs: np.array([xs]).T, "nothing masked": lambda xs: np.ma.array(xs),
    "Series": lambda xs: package("pandas").Series(xs), "nullable": lambda xs: package("pandas").Series(xs, dtype="Float64"),
    "Index": lambda xs: package("pandas").Index(xs), "pandas of one column": lambda xs: package("pandas").DataFrame({"y": xs}),
    "pandas array": lambda xs: package("pandas").array(xs), "polars": lambda xs: package("polars").Series(xs),
    "polars of one column": lambda xs: package("polars").DataFrame({"y": xs}), "pyarrow": lambda xs: package("pyarrow").array(xs),
    "decimals": lambda xs: [Decimal(x) for x in xs], "fractions": lambda xs: [Fraction(x) for x in xs],
    "chunks": lambda xs: package("pyarrow").chunked_array([[x] for x in xs]), "pyarrow of one column": lambda xs: package("pyarrow").table({"y": xs}),
    "xarray": lambda xs: package("xarray").DataArray(xs), "torch": lambda xs: package("torch").tensor(xs),
    "bfloat16": lambda xs: package("torch").tensor(xs, dtype=package("torch").bfloat16), "0-d tensors": lambda xs: list(package("torch").tensor(xs)),
    "JAX": lambda xs: package("jax.numpy").array(xs), "NumPy's numbers": lambda xs: list(np.array(xs)),
    "sparse": lambda xs: package("torch").tensor(xs).to_sparse(), "deque": deque, "values of a dict": lambda xs: dict(enumerate(xs)).values(),
    "ctypes": lambda xs: (ctypes.c_float * len(xs))(*xs), "Series with an index": lambda xs: package("pandas").Series(xs, index=range(len(xs), 0, -1)),
    "pyarrow's numbers": lambda xs: list(package("pyarrow").array(xs)), "decimals of polars": lambda xs: package("polars").Series([Decimal(x) for x in xs]),
}


@cache
def compiled(width):
    net = MLP(width, [2, 1], rng=0)
    return net, micrograd.compile(lambda x, t: (net(x) - t) ** 2, inputs=[width, None])


@cache
def of_columns(width):
    return micrograd.compile(lambda *xs: sum(i * x * x for i, x in enumerate(xs, 1)), inputs=width)


def trained(step, net, *data, **options):
    """The losses of a few steps, after which the network is what it was."""
    before = net.state_dict()
    try:
        return step.fit(*data, optimizer=SGD(lr=0.01), epochs=3, **options)
    finally:
        net.load_state_dict(before)


def fitted(width, X, y, **options):
    net = MLP(width, [2, 1], rng=0)
    history = fit(net, X, y, epochs=2, seed=0, progress=False, **options)
    return history.loss, history.validation_loss, net.state_dict()


def boundary(width, X, y):
    plots = pytest.importorskip("micrograd.plots", reason="matplotlib is not installed")
    steps = plots.STEPS
    plots.STEPS = 2
    try:
        axes = plots.decision_boundary(MLP(width, [2], rng=0), X(), y, X(), y, features=(0, width - 1)).axes[0]
        return [each.get_offsets().tolist() for each in axes.collections if len(each.get_offsets())]
    finally:
        plots.STEPS = steps


def listed(found):
    return [list(map(float, row)) if isinstance(row, (list, tuple)) else float(row) for row in found]


# Every door: what a table X and targets y come to there. X, y: functions that make them, as a generator serves once.
DOORS = {
    "a call": lambda w, X, y: compiled(w)[1](X(), y()),
    "value": lambda w, X, y: compiled(w)[1].value(X(), y()),
    "value_and_grad": lambda w, X, y: compiled(w)[1].value_and_grad(X(), y()),
    "map": lambda w, X, y: compiled(w)[1].map(X(), y()).tolist(),
    "map of columns": lambda w, X, y: of_columns(w).map(X()).tolist(),
    "step.fit": lambda w, X, y: trained(*compiled(w)[::-1], X(), y()),
    "batches": lambda w, X, y: trained(*compiled(w)[::-1], batches=[(X(), y()), (X(), y())], every=1),
    "fit": lambda w, X, y: fitted(w, X(), y()),
    "fit, compiled": lambda w, X, y: fitted(w, X(), y(), backend="python"),
    "fit, standardised": lambda w, X, y: fitted(w, X(), y(), standardize=True),
    "validation": lambda w, X, y: fitted(w, [[0.5] * w], [1.0], validation=(X(), y())),
    "predict": lambda w, X, y: compiled(w)[0].predict(X()),
    "Standardizer": lambda w, X, y: vars(Standardizer.of(X())),
    "train_test_split": lambda w, X, y: [listed(part) for part in train_test_split(X(), y(), seed=1)],
    "accuracy": lambda w, X, y: accuracy(compiled(w)[0], X(), [1.0 if t > 0 else 0.0 for t in dataset.targets("y", y())]),
    "decision_boundary": lambda w, X, y: boundary(w, X, [0 if t > 0 else 1 for t in dataset.targets("y", y())]),
}


def at_door(door, width, X, y):
    try:
        return DOORS[door](width, X, y)
    except ValueError as error:
        return str(error)  # of one row, say, which cannot be split: alike for all that holds the same


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_the_same_at_every_door(kind, door):
    for shape in SHAPES if door != "decision_boundary" else [(3, 3)]:
        rows = numbers(shape)
        y = [row[0] + 0.5 for row in rows]
        expected = at_door(door, shape[1], lambda rows=rows: rows, lambda y=y: y)
        found = at_door(door, shape[1], lambda rows=rows: TABLES[kind](rows), lambda y=y: y)
        assert found == expected, shape


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", COLUMNS)
def test_targets_are_the_same_at_every_door(kind, door):
    for count in (1, 2, 4):
        rows = numbers((count, 2))
        y = [row[0] + 0.5 for row in rows]
        expected = at_door(door, 2, lambda rows=rows: rows, lambda y=y: y)
        assert at_door(door, 2, lambda rows=rows: rows, lambda y=y: COLUMNS[kind](y)) == expected, count


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_and_a_row(kind):
    xs = [0.5, -1.25, 3.0]
    make = COLUMNS[kind]
    square = micrograd.compile(lambda a: a * a)
    assert square.map(make(xs)).tolist() == [x * x for x in xs]
    assert square.map(make(xs[:1])).tolist() == [0.25]
    flat = "of one column" in kind or kind == "one column"
    calls = [compiled(3)[0], Standardizer([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])]
    if kind != "generator":  # which a compiled function reads as a column
        calls += [lambda xs: compiled(3)[1](xs, 1.0), lambda xs: compiled(3)[1].grad(xs, 1.0)]
    for call in calls:
        if flat:  # three rows of one number are no row of three
            with pytest.raises((TypeError, ValueError), match=r"one row of numbers|must have 3 columns|one sample"):
                call(make(xs))
        else:
            found, wanted = call(make(xs)), call(xs)
            assert found.data == wanted.data if isinstance(found, Value) else found == wanted


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_no_row(kind):
    net = MLP(2, [1])
    with pytest.raises(ValueError, match=r"MLP\(2, \[1\]\) is one row of numbers, found a table of 2 rows and 2 columns; "
                                         "predict takes a table"):
        made = TABLES[kind]([[1.0, 2.0], [3.0, 4.0]])
        net([list(row) for row in made] if kind in ("generators", "zip") else made)


def test_what_was_read_by_its_columns_before():
    pandas, polars, arrow = package("pandas"), package("polars"), package("pyarrow")
    square = micrograd.compile(lambda a: a * a)
    assert square.map(pandas.DataFrame([[3.0], [4.0]])).tolist() == [9.0, 16.0]
    first = micrograd.compile(lambda a, b: a - 2 * b)
    for table in (polars.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), arrow.table({"a": [1.0, 2.0], "b": [3.0, 4.0]})):
        assert first.map(table).tolist() == [-5.0, -6.0]
    pair = micrograd.compile(lambda xs: xs[0] * 10 + xs[1], inputs=[2])  # two rows are no sample, though there are two names
    assert pair.map(pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]])).tolist() == [12.0, 34.0]
    assert pair.value(pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]])) == 23.0 == pair(pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]]))


def test_whole_numbers_stay_whole_and_classes_may_stand_in_any_column():
    seen = []

    def loss(outputs, target):
        seen.append(type(target))
        return -outputs[int(target)]

    X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    expected = None
    for make in (list, np.array, lambda y: np.array(y, ">i2"), lambda y: package("pandas").DataFrame({"y": y}),
                 lambda y: package("polars").Series(y), lambda y: package("torch").tensor(y), lambda y: package("pyarrow").array(y)):
        net = MLP(2, [3], rng=0)
        fit(net, X, make([2, 0, 1]), loss=loss, epochs=1, seed=0, progress=False, backend="eager")
        expected = expected or net.state_dict()
        assert net.state_dict() == expected
        history = fit(net, X, make([2, 0, 1]), loss=micrograd.losses.cross_entropy, epochs=2, progress=False)
        assert len(history.accuracy) == 2
    assert set(seen) == {int}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_several_outputs_have_rows_of_targets():
    X, y = numbers((3, 2)), numbers((3, 2))
    expected = None
    for make in TABLES.values():
        net = MLP(2, [2], rng=0)
        fit(net, make(X), make(y), epochs=2, seed=0, progress=False)
        expected = expected or net.state_dict()
        assert net.state_dict() == expected


def test_values_in_lists_stay_the_values_that_they_are():
    x = [Value(1.0), Value(2.0)]
    net = MLP(2, [1], rng=0)
    for row in (x, tuple(x), iter(x), np.array(x)):
        for v in x:
            v.grad = 0.0
        net(row).backward()
        assert all(v.grad for v in x)
    target = Value(0.5)
    history = fit(net, [[1.0, 2.0]], [target], epochs=1, progress=False)
    assert history.epochs == 1
    assert net.predict([x]) == [net([1.0, 2.0]).data]


def test_networks_of_other_things_than_numbers_get_them_as_they_are():
    class Words(micrograd.Module):
        def __init__(self):
            self.table = {"a": Value(1.0), "b": Value(2.0)}

        def __call__(self, x):
            return Value.sum([self.table[letter] for letter in x])

    for X in (["ab", "b"], [["a", "b"], ["b"]], [("a", "b"), ("b",)], np.array([["a", "b"], ["b", "b"]])):
        assert fit(Words(), X, [1.0, 2.0], epochs=2, progress=False).epochs == 2
    parts = train_test_split(["ann", "bob", "eve"], np.array(["x", "y", "x"]), seed=0)
    assert sorted(parts[0] + parts[1]) == ["ann", "bob", "eve"] and sorted(parts[2] + parts[3]) == ["x", "x", "y"]


# What is refused

def frame(name, columns, **options):
    return getattr(package(name), "table" if name == "pyarrow" else "DataFrame")(columns, **options)


def dates():
    from datetime import date
    return [date(2026, 1, 1), date(2026, 1, 2)]


# A table with something odd in row 1 (of a whole column, in row 0), column 1, called b where columns have names
ODD = {
    "None": lambda: [[1.0, 2.0], [3.0, None]], "text": lambda: [[1.0, 2.0], [3.0, "4"]], "complex": lambda: [[1.0, 2.0], [3.0, 4j]],
    "a date": lambda: [[1.0, 2.0], [3.0, dates()[0]]], "a masked row": lambda: [[1.0, 2.0], np.ma.array([3.0, 4.0], mask=[0, 1])], "a complex row": lambda: [[1.0, 2.0], np.array([1j, 2.0])],
    "a NumPy date": lambda: [[1.0, 2.0], [3.0, np.datetime64(1, "ns")]],
    "NumPy's complex": lambda: [[1.0, 2.0], [3.0, np.complex64(4)]], "a masked item": lambda: [[1.0, 2.0], [3.0, np.ma.masked]],
    "a duration": lambda: [[1.0, 2.0], [3.0, np.timedelta64(4, "s")]], "bytes": lambda: [[1.0, 2.0], [3.0, bytearray(b"4")]],
    "a view of bytes": lambda: [[1.0, 2.0], [3.0, memoryview(b"4")]], "UserString": lambda: [[1.0, 2.0], [3.0, UserString("4")]],
    "text as a number of pyarrow": lambda: [[1.0, 2.0], [3.0, package("pyarrow").scalar("4")]], "null as a number of pyarrow": lambda: [[1.0, 2.0], [3.0, package("pyarrow").scalar(None, "double")]],
    "masked without dimensions": lambda: [[1.0, 2.0], [3.0, np.ma.array(4.0, mask=True)]],
    "masked records": lambda: list(np.ma.array([(1.0, 2.0), (3.0, 4.0)], mask=[(0, 0), (0, 1)], dtype="d,d")),
    "masked rows of objects": lambda: in_objects([[1.0, 2.0], np.ma.array([3.0, 4.0], mask=[0, 1])]),
    "a list": lambda: [[1.0, 2.0], [3.0, [4.0]]], "an array": lambda: [[1.0, 2.0], [3.0, np.array([4.0])]],
    "NA": lambda: [[1.0, 2.0], [3.0, package("pandas").NA]], "NaT": lambda: [[1.0, 2.0], [3.0, package("pandas").NaT]],
    "masked": lambda: np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 0], [0, 1]]), "object None": lambda: np.array([[1.0, 2.0], [3.0, None]], object),
    "complex array": lambda: np.array([[1.0, 2.0], [3.0, 4j]]), "text array": lambda: np.array([["1", "2"], ["3", "4"]]),
    "dates": lambda: np.array([["2026-01-01", "2026-01-02"]] * 2, "datetime64[ns]"),
    "durations": lambda: np.array([[1, 2], [3, 4]], "timedelta64[ns]"),
    "complex torch": lambda: package("torch").tensor([[1.0, 2.0], [3.0, 4j]]),
    "pandas nan": lambda: frame("pandas", {"a": [1.0, 2.0], "b": [3.0, math.nan]}),
    "pandas None": lambda: frame("pandas", {"a": [1, 2], "b": [3, None]}, dtype=object),
    "pandas NA": lambda: frame("pandas", {"a": [1, 2], "b": [3, None]}, dtype="Int64"),
    "pandas NaT": lambda: frame("pandas", {"a": [1, 2], "b": package("pandas").to_datetime(["2026-01-01", None])}),
    "pandas text": lambda: frame("pandas", {"a": [1, 2], "b": ["x", "y"]}),
    "pandas dates": lambda: frame("pandas", {"a": [1, 2], "b": package("pandas").to_datetime(["2026-01-01", "2026-01-02"])}),
    "pandas dates with zones": lambda: frame("pandas", {"a": [1, 2], "b": package("pandas").to_datetime(["2026-01-01", "2026-01-02"], utc=True)}),
    "pandas complex": lambda: frame("pandas", {"a": [1, 2], "b": [1j, 2]}),
    "polars null": lambda: frame("polars", {"a": [1.0, 2.0], "b": [3.0, None]}),
    "polars null among whole numbers": lambda: frame("polars", {"a": [1, 2], "b": [3, None]}),
    "polars text": lambda: frame("polars", {"a": [1, 2], "b": ["x", "y"]}), "polars dates": lambda: frame("polars", {"a": [1, 2], "b": dates()}),
    "pyarrow null": lambda: frame("pyarrow", {"a": [1.0, 2.0], "b": [3.0, None]}), "pyarrow text": lambda: frame("pyarrow", {"a": [1, 2], "b": ["x", "y"]}),
    "pyarrow dates": lambda: frame("pyarrow", {"a": [1, 2], "b": dates()}),
    "null in a list of polars": lambda: package("polars").Series([[1.0, 2.0], [3.0, None]]),
    "null in an array of polars": lambda: package("polars").Series([[1.0, 2.0], [3.0, None]], dtype=package("polars").Array(float, 2)),
    "null in a list of pyarrow": lambda: package("pyarrow").array([[1.0, 2.0], [3.0, None]]),
    "xarray nan": lambda: package("xarray").DataArray([[1.0, 2.0], [3.0, math.nan]]),
}
NAMED = ("pandas", "polars", "pyarrow")
LEARNING = [door for door in DOORS if door != "train_test_split"]  # which deals what it is given in lists


@pytest.mark.parametrize("door", LEARNING)
@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_number_is_refused_at_every_door_with_its_place(kind, door):
    whole = kind in ("text array", "dates", "durations", "complex array", "complex torch") or kind.split()[-1] in ("text", "complex", "zones")
    row = 0 if (whole or "dates" in kind) and kind not in ("text", "complex", "NumPy's complex") else 1
    column = "'b'" if kind.startswith(NAMED) else 0 if kind in ("text array", "dates", "durations", "complex array", "complex torch") else 1
    row, column = {"complex torch": (0, 0), "a complex row": (1, 0)}.get(kind, (row, column))
    with pytest.raises((TypeError, ValueError), match=rf"row {row},? column {column}:"):
        DOORS[door](2, ODD[kind], lambda: [0.5, 1.0])


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind.split()[1:2] in (["nan"], ["null"], ["NA"], ["NaT"], ["None"])
                                  or kind == "masked"])
def test_what_a_library_says_is_missing_is_not_dealt_either(kind):
    with pytest.raises(TypeError, match="row"):
        train_test_split(ODD[kind](), [0.5, 1.0])


# Tables that are no tables, and what is said
NO_TABLE = {
    "a mapping": (lambda: UserDict({1.0: [1.0, 2.0], 2.0: [3.0, 4.0]}), "found UserDict with the keys 1.0, 2.0: give what is under one"),
    "rows as mappings": (lambda: [MappingProxyType({1.0: 5.0, 2.0: 6.0})] * 2, "row 0 needs numbers .*, found mappingproxy with the keys"),
    "rows as sets": (lambda: [frozenset([1.0, 2.0]), frozenset([3.0, 4.0])], "row 0 needs numbers .*, found frozenset"),
    "no memory": (lambda: package("torch").ones(2, 2, device="meta"), "found Tensor that cannot be read"),
    "an expression": (lambda: package("polars").col("a"), "found Expr that cannot be read"),
    "levels": (lambda: package("pandas").MultiIndex.from_tuples([(1, 2), (3, 4)]), "found MultiIndex that cannot be read"),
    "columns of other lengths": (lambda: package("xarray").Dataset({"a": ("x", [1.0, 2.0]), "b": ("y", [1.0, 2.0, 3.0])}), "no dimension in common, found x, y"),
    "columns of other dimensions": (lambda: package("xarray").Dataset({"a": ("x", [1.0, 2.0]), "b": ("y", [3.0, 4.0])}), "no dimension in common, found x, y"),
    "structs": (lambda: package("pyarrow").array([{"a": 1.0, "b": 2.0}] * 2), "row 0 needs numbers .*, found dict with the keys 'a', 'b'"),
}


@pytest.mark.parametrize("door", LEARNING)
@pytest.mark.parametrize("kind", NO_TABLE)
def test_what_is_no_table_is_refused_at_every_door(kind, door):
    make, words = NO_TABLE[kind]
    with pytest.raises((TypeError, ValueError), match=words):
        DOORS[door](2, make, lambda: [0.5, 1.0])


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
def test_masked_tensors_are_refused():
    torch = package("torch")
    with pytest.raises(TypeError, match=r"found MaskedTensor: to_tensor\(...\) says what stands for what is masked"):
        MLP(2, [1]).predict(torch.masked.masked_tensor(torch.ones(2, 2), torch.tensor([[True, False], [True, True]])))


GAPS = {
    "None": [1.0, None], "masked": np.ma.array([1.0, 2.0], mask=[0, 1]), "masked item": [1.0, np.ma.masked],
    "text": [1.0, "2"], "complex": [1.0, 2j], "date": [1.0, np.datetime64(1, "ns")],
}


@pytest.mark.parametrize("door", [d for d in LEARNING if d not in ("map of columns", "predict", "Standardizer")])
@pytest.mark.parametrize("kind", GAPS)
def test_targets_that_are_no_numbers_are_refused_with_their_row(kind, door):
    with pytest.raises((TypeError, ValueError), match="row 1"):
        DOORS[door](2, lambda: [[1.0, 2.0], [3.0, 4.0]], lambda: GAPS[kind])


def test_a_refusal_leaves_all_as_it_was():
    net, step = compiled(2)
    before = net.state_dict(), [p.grad for p in net.parameters()]
    for make in ODD.values():
        for ask in (step, step.fit, step.map, lambda X, y: fit(net, X, y, standardize=True)):
            with pytest.raises((TypeError, ValueError)):
                ask(make(), [0.5, 1.0])
    assert (net.state_dict(), [p.grad for p in net.parameters()]) == before and net.scaler is None


@pytest.mark.parametrize("ask, words", [
    (lambda: MLP(2, [1])(1.0, 2.0), r"MLP\(2, \[1\]\) is called on one list, found 2 arguments: give the inputs as one list"),
    (lambda: MLP(2, [1])([1.0, 2.0], [3.0]), "give the inputs as one list"),
    (lambda: MLP(2, [1]).layers[0](1.0, 2.0), "give the inputs as one list"),
    (lambda: MLP(2, [1]).layers[0].neurons[0](1.0, 2.0), "give the inputs as one list"),
    (lambda: fit(MLP(2, [1]), [1.0, 2.0], [1.0, 2.0]), r"fit: X needs 2 numbers in each row for MLP\(2, \[1\]\), found one flat list of 2"),
    (lambda: fit(MLP(2, [1]), np.ones((3, 4)), np.ones(3)), "found 4 in row 0"),
    (lambda: fit(MLP(2, [1]), [[1.0, 2.0], [1.0]], [1.0, 2.0]), "found 1 in row 1"),
    (lambda: fit(MLP(2, [1]), np.ones((3, 2)), np.ones(4)), "found 3 rows and 4 targets"),
    (lambda: fit(MLP(2, [1]), np.ones((3, 2)), np.ones(3), validation=(np.ones((3, 2)),)), "validation must be a share"),
    (lambda: fit(MLP(2, [1]), np.ones((3, 2)), np.ones(3), validation=(np.ones((3, 3)), np.ones(3))), "validation: X needs 2 numbers"),
    (lambda: fit(MLP(2, [1]), np.ones((3, 2)), np.ones(3), validation=([[1.0, math.nan]], [1.0])), "validation: X holds nan in row 0, column 1"),
    (lambda: MLP(2, [1]).predict([1.0, 2.0]), "found one flat list of 2 numbers"),
    (lambda: MLP(2, [1]).predict("ab"), "predict: X needs numbers in a list or an array, found str"),
    (lambda: MLP(2, [1]).predict({"a": [1.0]}), r"found dict with the keys 'a': give what is under one of them"),
    (lambda: accuracy(MLP(2, [1]), np.ones((2, 2, 2)), [0, 1]), "an array of 2x2x2"),
    (lambda: accuracy(MLP(2, [1]), [], []), "found 0 rows"),
    (lambda: MLP(2, [1])(np.ma.array([1.0, 2.0], mask=[0, 1])), r"the input of MLP\(2, \[1\]\), column 1: the number is missing"),
    (lambda: MLP(2, [1]).predict(package("pandas").DataFrame(index=[1, 2])), "predict: X has no columns"),
    (lambda: Standardizer.of(3.0), "needs numbers in a list or an array, found float"),
    (lambda: Standardizer([1.0], [1.0])([[1.0], [2.0]]), "one row of numbers, found a table of 2 rows and 1 column; give each row by itself"),
    (lambda: Standardizer.of([[], []]), "at least one row, and all of one length, with numbers in them; found rows of 0 numbers"),
    (lambda: Standardizer({1.0: 2.0}, [1.0]), r"Standardizer\(means\) needs a list of numbers, found dict"),
    (lambda: micrograd.losses.softmax(package("pandas").DataFrame([[1.0, 2.0]])), r"softmax\(logits\) needs a list of numbers, found DataFrame"),
    (lambda: micrograd.losses.half_squared_error([Value(1.0), Value(2.0)], {1.0: 0.0, 2.0: 0.0}), "the loss, for targets, needs .* found dict"),
    (lambda: micrograd.losses.cross_entropy([Value(1.0), Value(2.0)], math.nan), "the index of a class, 0 to 1, found nan"),
    (lambda: micrograd.losses.cross_entropy([Value(1.0), Value(2.0)], math.inf), "the index of a class, 0 to 1, found inf"),
    (lambda: compiled(2)[1].grad(np.ma.array([1.0, 2.0], mask=[0, 1]), 1.0), "lambda: x, column 1: the number is missing"),
    (lambda: compiled(2)[1].map([[1.0, 2.0]], np.ma.masked), "lambda: t needs numbers in a list or an array, found MaskedConstant masked"),
    (lambda: micrograd.losses.logsumexp({1.0, 2.0}), "found set"), (lambda: Value.sum(UserDict({1.0: 2.0})), "found UserDict"),
    (lambda: micrograd.gradient(Value(1.0) * 2, {Value(1.0), Value(2.0)}), r"gradient\(y, xs\) needs a Value or a list of them as xs, found set"),
    (lambda: fit(MLP(1, [1]), [[10**400]], [1.0]), "X holds inf in row 0, column 0"),
    (lambda: Standardizer([1.0], [1.0])([1.0, 2.0]), "takes a row of as many numbers, found 2"),
    (lambda: Standardizer.of([[1.0, 2.0], [3.0, math.nan]]), "row 1, column 1: a finite number is needed, found nan"),
    (lambda: Standardizer.of(type("Frame", (), {"__dataframe__": lambda self: None})()), "a Frame gives neither its columns nor an array"),
    (lambda: train_test_split(package("polars").DataFrame({"a": [1.0]}).lazy(), [1.0]), r"found LazyFrame: collect\(\) it first"),
])
def test_what_was_meant_otherwise_is_told(ask, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ask()


def test_nan_of_lists_and_arrays_is_a_float_that_only_learning_refuses():
    net, step = compiled(2)
    X = [[1.0, 2.0], [math.nan, 1.0]]
    for make in (list, np.array):
        assert math.isnan(step.map(make(X), [1.0, 1.0])[1]) and math.isnan(net.predict(make(X))[1])
        with pytest.raises(ValueError, match="X holds nan in row 1, column 0"):
            fit(net, make(X), [1.0, 1.0])
        with pytest.raises(FloatingPointError, match="row 1"):
            step.fit(make(X), [1.0, 1.0], optimizer=SGD(lr=0.1))


# Numbers

ALONE = {"NumPy": np.array, "whole": lambda x: np.array(int(x)), "big-endian": lambda x: np.array(x, ">f4"), "longdouble": lambda x: np.array(x, np.longdouble),
         "masked but shown": np.ma.array, "xarray": lambda x: package("xarray").DataArray(x), "torch": lambda x: package("torch").tensor(x),
         "torch with a gradient": lambda x: package("torch").tensor(x, requires_grad=True), "JAX": lambda x: package("jax.numpy").array(x),
         "bfloat16": lambda x: package("torch").tensor(x, dtype=package("torch").bfloat16), "JAX bfloat16": lambda x: package("jax.numpy").bfloat16(x)}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ALONE)
def test_an_array_without_dimensions_is_a_number(kind):
    x = ALONE[kind](3.0)
    assert micrograd.arguments.is_number(x) and type(micrograd.arguments.as_float(x)) is float
    assert Value(x).data == 3.0 and (Value(2.0) * x).data == 6.0 and micrograd.exp(x) == math.exp(3.0)
    assert micrograd.grad(lambda v: v * v)(x) == 6.0
    assert MLP(1, [1], rng=0)(x).data == MLP(1, [1], rng=0)(3.0).data
    assert micrograd.compile(lambda a, b: a * b)(x, x) == 9.0
    assert micrograd.compile(lambda a, b: a * b).map([1.0, 2.0], x).tolist() == [3.0, 6.0]


@pytest.mark.parametrize("x", [np.array(1j), np.array("1"), np.ma.masked, np.datetime64(1, "ns"), np.array(1, "timedelta64[ns]"),
                               np.array([1.0]), np.array(None), np.complex64(1), np.str_("1")])
def test_what_has_no_dimensions_need_be_no_number(x):
    assert not micrograd.arguments.is_number(x)
    with pytest.raises(TypeError):
        Value(x)


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(st.lists(st.lists(st.floats(width=16, allow_nan=False) | st.booleans() | st.integers(-2**70, 2**70), min_size=2, max_size=2),
                min_size=1, max_size=6))
def test_any_numbers_in_objects_are_the_nearest_floats(rows):
    expected = [[float(x) for x in row] for row in rows]
    for x in (rows, np.array(rows, object), package("pandas").DataFrame(rows, dtype=object)):
        assert dataset.table("f: X", x, 2).tolist() == expected
        assert [list(map(float, row)) for row in dataset.rows("f: X", x)] == expected


def test_doubles_are_not_copied():
    for x in (np.ones((3, 2)), np.asfortranarray(np.ones((3, 2))), np.ones((6, 4))[::2, ::2], memoryview(np.ones((3, 2)))):
        assert dataset.table("f: X", x, 2).obj is (x.obj if isinstance(x, memoryview) else x)
    column = array("d", [1.0, 2.0])
    assert dataset.column("f: x", column).obj is column


def test_what_comes_back_is_new():
    for make in (np.array, lambda rows: [list(row) for row in rows], lambda rows: package("pandas").DataFrame(rows)):
        given = make(numbers((4, 2)))
        parts = train_test_split(given, [1.0, 2.0, 3.0, 4.0], seed=0)
        scaler, mapped = Standardizer.of(given), compiled(2)[1].map(given, [1.0] * 4)
        first, means, values = [list(row) for row in parts[0]], list(scaler.means), list(mapped)
        parts[0][0][0] = mapped[0] = 99.0
        assert np.array(given).tolist() == numbers((4, 2))
        given[:] = [[5.0, 5.0]] * 4
        assert [list(row) for row in parts[0]][1:] == first[1:] and scaler.means == means and list(mapped)[1:] == values[1:]


@pytest.mark.parametrize("backend", ["auto", "python"])
def test_outputs_are_written_to_buffers_alone(backend):
    square = micrograd.compile(lambda a: a * a, backend=backend)
    for out in (read_only([1.0, 2.0]), np.zeros(2, np.float32), np.zeros(4)[::2], np.zeros(3), package("pandas").Series([0.0, 0.0]),
                package("torch").zeros(2)):
        with pytest.raises(ValueError, match="an output must be a writable buffer of 2 doubles without gaps; found another buffer"):
            square.map([1.0, 2.0], out=out)


def test_no_library_is_loaded():
    code = "import sys, micrograd; net = micrograd.MLP(2, [1]); net.predict([[1, 2]]); micrograd.fit(net, [[1, 2]], [1]); "
    code += "print([m for m in ('numpy', 'pandas', 'polars', 'pyarrow', 'xarray', 'torch', 'jax') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# Derivatives

ARRAYS = ["NumPy", "float16", "big-endian", "reversed", "every other", "Series", "nullable", "polars", "pyarrow", "xarray", "torch", "bfloat16", "JAX",
          "sparse"]
LISTS = ["list", "NumPy's numbers", "array.array", "memoryview", "decimals", "fractions", "deque", "pyarrow's numbers", "decimals of polars"]


def cubes(x):
    return sum(v ** 3 for v in x) * x[0]


@pytest.mark.parametrize("kind", [*ARRAYS, *LISTS])
def test_derivatives_of_arrays_are_arrays(kind):
    xs = [0.5, -1.25, 3.0]
    x = COLUMNS[kind](xs)
    for derivative in (micrograd.grad(cubes), micrograd.hessian(cubes), micrograd.jacobian(lambda x: [x[0] * x[1], x[2]]),
                       lambda x: micrograd.value_and_grad(cubes)(x)[1], lambda x: micrograd.hvp(cubes, (x,), (x,)),
                       lambda x: micrograd.vjp(cubes, x)[1](2.0)):
        found, wanted = derivative(x), derivative(xs)
        assert np.array(found).tolist() == wanted
        if kind in ARRAYS:
            assert isinstance(found, np.ndarray) or all(isinstance(row, np.ndarray) for row in found)
        else:
            assert repr(found) == repr(wanted)
    assert micrograd.jvp(cubes, (x,), (x,)) == micrograd.jvp(cubes, (xs,), (xs,))
    report = micrograd.check_gradients(cubes, x)
    assert report.ok and report.to_dict() == micrograd.check_gradients(cubes, xs).to_dict()


def test_the_places_of_a_result_that_is_an_array_come_first():
    x, w = np.array([1.0, 2.0]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    by_x, by_w = micrograd.jacobian(lambda x, w: x @ w)(x, w)
    assert by_x.tolist() == w.T.tolist() and by_w.shape == (3, 2, 3) and by_w[1].tolist() == [[0, 1, 0], [0, 2, 0]]
    second = micrograd.hessian(lambda p: ((p["w"] @ p["w"]) * p["b"]))({"w": x, "b": 3.0})
    assert second["w"]["w"].tolist() == [[6.0, 0.0], [0.0, 6.0]] and second["b"]["w"].tolist() == [2.0, 4.0]
    y, pull = micrograd.vjp(lambda x: x * x, x)
    assert y.tolist() == [1.0, 4.0] and pull(np.array([1.0, 0.0])).tolist() == pull([1.0, 0.0]).tolist() == [2.0, 0.0]
    with pytest.raises(ValueError, match=r"there is no number at the result\[1\]"):
        pull([1.0])


def test_arrays_of_values_stay_such():
    x = np.array([Value(1.0), Value(2.0)])
    found = micrograd.grad(cubes)(x)
    assert found.dtype == object and all(isinstance(v, Value) for v in found)


@pytest.mark.parametrize("x", [np.array([1.0, 2j]), np.array(["a"]), np.ma.array([1.0, 2.0], mask=[0, 1])])
def test_derivatives_of_what_is_no_number_are_refused(x):
    for derivative in (micrograd.grad(cubes), micrograd.hessian(cubes), micrograd.value_and_grad(cubes)):
        with pytest.raises(TypeError, match="argument 0, row"):
            derivative(x)


def test_scipy_minimizes():
    minimize = package("scipy.optimize").minimize

    def rosenbrock(x):
        return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))

    start = np.array([-1.0, 2.0, 0.5])
    found = minimize(micrograd.value_and_grad(rosenbrock), start, jac=True)
    assert found.success and found.x == pytest.approx([1.0, 1.0, 1.0], abs=1e-4)
    found = minimize(rosenbrock, start, jac=micrograd.grad(rosenbrock), hess=micrograd.hessian(rosenbrock), method="trust-exact")
    assert found.success and found.x == pytest.approx([1.0, 1.0, 1.0], abs=1e-4)


# Other doors

def test_a_state_may_hold_arrays():
    net, other = MLP(3, [2, 1], rng=0), MLP(3, [2, 1], rng=1)
    state = net.state_dict()
    rows = {f"layers.{k}.neurons.{i}.w": [v.data for v in neuron.w] for k, layer in enumerate(net.layers) for i, neuron in enumerate(layer.neurons)}
    biases = {name: np.array(x) for name, x in state.items() if name.endswith(".b")}
    for make in (list, np.array, lambda xs: package("torch").tensor(xs, dtype=package("torch").float64, requires_grad=True), tuple, lambda xs: array("d", xs)):
        other = MLP(3, [2, 1], rng=1)
        other.load_state_dict({**{name: make(xs) for name, xs in rows.items()}, **biases})
        assert other.state_dict() == state
    before = other.state_dict()
    for broken in ([1.0, 2.0], [1.0, 2.0, None], np.ones(4), np.ones((3, 1)), np.array(["a", "b", "c"]), np.ma.array(np.ones(3), mask=[0, 0, 1])):
        with pytest.raises((TypeError, ValueError), match=r"layers\.0\.neurons\.0\.w"):
            other.load_state_dict({**rows, **biases, "layers.0.neurons.0.w": broken})
        assert other.state_dict() == before
    with pytest.raises(ValueError, match="has a parameter twice"):
        other.load_state_dict({**state, **rows})


def test_batches_of_a_data_loader():
    torch = package("torch")
    data = importlib.import_module("torch.utils.data")
    X, y = numbers((6, 2)), [0.5, 1.0, -1.0, 0.25, 2.0, 0.0]
    net, step = compiled(2)
    loader = data.DataLoader(data.TensorDataset(torch.tensor(X), torch.tensor(y)), batch_size=2)
    expected = trained(step, net, batches=[(X[i:i + 2], y[i:i + 2]) for i in (0, 2, 4)], every=1)
    assert trained(step, net, batches=loader, every=1) == expected


def test_adam_on_a_frame_takes_the_steps_of_lists():
    rows = numbers((8, 3))
    y = [sum(row) for row in rows]
    losses = [fit(MLP(3, [2, 1], rng=0), X, t, optimizer=Adam(lr=0.01), epochs=3, batch_size=3, seed=1, progress=False).loss
              for X, t in ((rows, y), (package("pandas").DataFrame(rows), package("pandas").DataFrame({"sum": y})))]
    assert losses[0] == losses[1]
