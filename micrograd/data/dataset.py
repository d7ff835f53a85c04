"""One door for data: what users have, as rows, columns or a table of doubles; and errors that say what is odd.

Lists, tuples and other iterables, buffers, arrays, tensors and frames are understood by what they can do: they have
columns, they give an array of NumPy, a buffer, DLPack, or Python's lists. None of their libraries is imported. What has
columns is never iterated over: a frame would hand out its columns, or their names, as if they were rows.

One rule for what stands in them. A real number is whatever Python calls one (bool, int, float, Fraction, Decimal,
NumPy's, an array without dimensions); a whole number beyond 2^53 is rounded to the nearest float. Text, dates and
complex numbers are refused. So is, at every door, what is missing: None, and whatever its library calls so (NA, null, a
masked item; in pandas and xarray nan, too). Elsewhere nan and inf are floats like others, which those refuse that learn
from them. Nodes pass where a network takes them: this module knows of them only that they have `__op__`.
"""

from __future__ import annotations

import sys
from array import array
from collections import UserString
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager, suppress
from decimal import Decimal
from math import isfinite
from numbers import Complex
from typing import Any, NamedTuple, Union

from ..arguments import alone, as_float, counted, is_number, shown


class Columns(NamedTuple):
    """A table by its columns, each a buffer of one dimension or a list."""

    names: list[str]
    columns: list[Any]


Body = Union["memoryview[Any]", list[Any], Columns]
FORMATS = set("?bBhHiIlLqQnNfd")  # of the buffers of real numbers that Python reads; see the struct module
PLAIN = {float, int, bool}
TEXT = (str, bytes, bytearray, UserString)  # some of which float() would parse, others iterate over as over bytes


# What the rest of the package asks for. `where` opens the messages: "fit: X".

def column(where: str, x: Any) -> Any:
    """One column as a buffer of doubles; a buffer of doubles as it is."""
    body = one_column(opened(where, x))
    if isinstance(body, list) and not is_flat(body):
        body = [only(f"{where}, row {i},", row) if is_container(row) else row for i, row in enumerate(body)]
    if isinstance(body, Columns) or (isinstance(body, memoryview) and body.ndim != 1):
        raise ValueError(f"{where} is one column of numbers, found {size(body)}")
    return body if is_doubles(body) else doubles(where, listing(body))


def table(where: str, x: Any, width: int) -> Any:
    """A table of `width` columns as a buffer of doubles with two dimensions; such a buffer as it is."""
    body = opened(where, x)
    if isinstance(body, Columns) and len(body.names) == width:
        flat = array("d", bytes(8 * width * len(body.columns[0])))
        for j, (name, cells) in enumerate(zip(*body)):
            flat[j::width] = array("d", cells.tobytes()) if is_doubles(cells) else doubles(where, listing(cells), name)
    elif isinstance(body, memoryview) and body.ndim == 2 and body.shape is not None and body.shape[1] == width:
        if is_doubles(body):
            return body
        flat = array("d", [x for row in listing(body) for x in row])
    elif width == 1 and is_flat(body):
        flat = doubles(where, listing(body))
    elif isinstance(body, list) and not is_flat(body):
        flat = array("d", bytes(8 * width * len(body)))
        for i, row in enumerate(body):
            cells = listing(opened(f"{where}, row {i},", row))
            if len(cells) != width:
                raise ValueError(f"{where} must have {counted(width, 'number')} a row, found {len(cells)} in row {i}")
            flat[i * width:(i + 1) * width] = doubles(where, cells, row=i)
    else:
        raise ValueError(f"{where} must have {counted(width, 'column')}, found {size(body)}")
    if not flat:
        raise ValueError(f"{where} has no rows")
    return memoryview(flat).cast("B").cast("d", (len(flat) // width, width))


def rows(where: str, x: Any, anything: bool = False) -> list[Any]:
    """A list with a list of numbers for each row, or with a number where the data are flat. Whole numbers stay such.

    anything: what stands in Python's lists is let pass, for networks that take something else than numbers.
    """
    return in_rows(where, opened(where, x, anything), anything)


def targets(where: str, y: Any, anything: bool = False) -> list[Any]:
    """Targets, in rows like those of `rows`: a frame or an array of one column has a number for each row."""
    return in_rows(where, one_column(opened(where, y, anything)), anything)


def check_finite(where: str, rows: Iterable[Iterable[float]]) -> None:
    """Raise ValueError for inf or nan, with row and column."""
    for i, row in enumerate(rows):
        for j, x in enumerate(row):
            if not isfinite(x):
                raise ValueError(f"{at(where, i, j)}: a finite number is needed, found {x}")


def single(where: str, x: Any, hint: str = "; give each row by itself") -> list[Any]:
    """The numbers, or nodes, of one row."""
    body = opened(f"{where},", x)
    if isinstance(body, Columns) or (isinstance(body, memoryview) and body.ndim != 1) or is_table(body):
        raise ValueError(f"{where} is one row of numbers, found {size(body)}{hint}")
    return [cell(f"{where},", x, False, i) for i, x in enumerate(listing(body))]


def is_table(x: Any) -> bool:
    """True if a list holds rows, where one row of numbers was meant."""
    return (isinstance(x, (list, tuple)) and bool(x) and not is_cell(x[0]) and hasattr(x[0], "__len__")
            and not isinstance(x[0], str))


def tree(where: str, x: Any) -> Any:
    """Data within lists, tuples and dicts as arrays of NumPy, of numbers or objects, where they give some; else as
    lists. All else as it is."""
    ways = ways_into(x)
    if isinstance(x, dict) and not ways.intersection(ARRAYS):
        return {key: tree(f"{where}[{key!r}]", branch) for key, branch in x.items()}
    if isinstance(x, (list, tuple)):
        return like(x, [branch if type(branch) is float or hasattr(branch, "__op__") else tree(f"{where}[{i}]", branch)
                        for i, branch in enumerate(x)])
    x = float(x) if isinstance(x, Decimal) else alone(x)
    sequence = isinstance(x, (array, Sequence)) and not is_refused(x)
    if not (ways.intersection((*ARRAYS, *LISTS)) or sequence) or is_cell(x):
        return x
    body = opened(where, x)
    if not isinstance(body, memoryview):
        body = tree(where, listing(body))
    if in_numpy(x, ways) is None:
        return listing(body)
    with suppress(ValueError):  # rows of several lengths
        return sys.modules["numpy"].asarray(body)
    return body


def like(x: Any, branches: list[Any]) -> Any:
    """A list, or a tuple of the same kind."""
    if isinstance(x, list):
        return branches
    return type(x)(*branches) if hasattr(x, "_fields") else tuple(branches)  # a namedtuple stays one


def is_array(x: Any) -> bool:
    """True if x is an array of NumPy as `tree` gives them, and not a number of NumPy."""
    return hasattr(x, "__array__") and not is_number(x)


def filled(model: Any, items: Iterable[Any]) -> Any:
    """An array of NumPy in the shape of another with these items, floats or nodes. Where an item has a structure of its
    own, the result has it, of arrays; the dimensions of items that are arrays come last."""
    numpy = sys.modules["numpy"]
    found = list(items)
    first: Any = found[0] if found else 0.0
    if isinstance(first, dict):
        return {key: filled(model, [item[key] for item in found]) for key in first}
    if isinstance(first, (list, tuple)):
        return like(first, [filled(model, each) for each in zip(*found)])
    if hasattr(first, "__array__"):
        return numpy.array(found).reshape(model.shape + first.shape)
    return numpy.array(found, float if all(type(item) is float for item in found) else object).reshape(model.shape)


def size(body: Body) -> str:
    """The size of data, for a message: "a table of 150 rows and 4 columns"."""
    if isinstance(body, Columns):
        lengths = [len(body.columns[0]) if body.columns else 0, len(body.names)]
    elif isinstance(body, memoryview):
        lengths = list(body.shape or ())
    else:
        lengths = [len(body), *[len(row) for row in body[:1] if hasattr(row, "__len__")]]
    if len(lengths) > 2:
        return f"an array of {'x'.join(map(str, lengths))}"
    if len(lengths) == 2:
        return f"a table of {counted(lengths[0], 'row')} and {counted(lengths[1], 'column')}"
    return f"one flat list of {counted(lengths[0], 'number')}"


# Opening what was given

ARRAYS = ("__array__", "to_numpy", "toarray")           # the methods that give an array of NumPy,
DENSE = ("to_dense", "todense", "dequantize")           # those that give what has one,
LISTS = ("tolist", "to_list", "to_pylist", "as_py")     # one of Python's lists,
GAPS = ("isna", "isnull", "is_null", "mask")            # and what is missing
FRAMES = ("data_vars", "get_columns", "column_names", "items", "columns")
OTHERS = ("__dataframe__", "__dlpack__", "detach", "null_count", "get_mask")
WAYS: dict[type, frozenset[str]] = {}


def ways_into(x: Any) -> frozenset[str]:
    """The methods of a container, of all that are asked for here; looked up once for each type."""
    kind = type(x)
    if kind not in WAYS:
        WAYS[kind] = frozenset(way for way in (*ARRAYS, *DENSE, *LISTS, *GAPS, *FRAMES, *OTHERS) if hasattr(kind, way))
    return WAYS[kind]


def opened(where: str, x: Any, anything: bool = False, name: str = "") -> Body:
    """The content of a container: a buffer of real numbers, columns, or a list of whatever it holds. name: that of the
    column which it is. anything: arrays of text are let pass."""
    if isinstance(x, (list, tuple)):
        return list(x)
    whole = where.removesuffix(",")
    ways = ways_into(x)
    if isinstance(x, Mapping) and not ways.intersection((*ARRAYS, "data_vars")):
        keys = ", ".join([*map(repr, list(x)[:3]), *(["..."] if len(x) > 3 else [])])
        raise no_numbers(where, f"{type(x).__name__} with the keys {keys}: give what is under one of them")
    if isinstance(x, (*TEXT, set, frozenset)) or hasattr(x, "__op__") or is_number(x) or is_missing(x):
        raise no_numbers(where, shown(x))
    if "get_mask" in ways:  # of torch: what is masked would be any number
        raise no_numbers(where, f"{type(x).__name__}: to_tensor(...) says what stands for what is masked")
    if getattr(getattr(x, "dtype", None), "names", None) and x.shape == ():  # a row of a structured array of NumPy
        return list(x.tolist())                                              # with None for what is masked
    columns = columns_of(where, x, ways)
    if columns == []:
        raise ValueError(f"{whole} has no columns")
    if columns is not None:
        bodies = [opened(where, cells, anything, each) for each, cells in columns]
        for (each, _), body in zip(columns, bodies):
            if isinstance(body, Columns) or (isinstance(body, memoryview) and body.ndim != 1):
                raise ValueError(f"{where}: column {each!r} needs a number in each row, found {size(body)}")
            if len(body) != len(bodies[0]):
                raise ValueError(f"{where}: the columns differ in length: {columns[0][0]!r} has "
                                 f"{counted(len(bodies[0]), 'row')}, {each!r} has {len(body)}")
        return Columns([each for each, _ in columns], bodies)
    with readable(where, x):
        place = gap(x, ways)
    if place:
        raise TypeError(f"{at(where, *place, name)}: the number is missing; fill the gap, or leave the "
                        "row out")
    given = in_numpy(x, ways)
    if given is not None:
        return numbers_in(where, given, anything, name)
    view = as_view(x)
    if view is not None:
        if view.format.lstrip("@=<") not in FORMATS:
            raise TypeError(f"{whole} needs real numbers, found an array with items of format {view.format!r}")
        if len(view.format) == 1:
            return view
        return [list(row) if view.ndim == 2 else row for row in x]  # of ctypes, "<d"
    for way in LISTS:
        if way in ways:
            with readable(where, x):
                return list(getattr(x, way)())
    try:
        return list(x)
    except TypeError:
        hint = ": collect() it first" if hasattr(x, "collect") else ""  # a frame that is not computed yet
        raise no_numbers(where, type(x).__name__ + hint) from None


def columns_of(where: str, x: Any, ways: frozenset[str]) -> list[tuple[str, Any]] | None:
    """The columns of what has some, with their names; None for all else."""
    names = getattr(getattr(x, "dtype", None), "names", None)
    if names:                                                      # a structured array of NumPy
        return [(name, x[name]) for name in names]
    found: Iterable[tuple[Any, Any]]
    if "data_vars" in ways:                                        # xarray
        if len(x.sizes) > 1 and all(cells.ndim == 1 for cells in x.data_vars.values()):
            raise ValueError(f"{where}: the variables of a {type(x).__name__} have no dimension in common, found "
                             + ", ".join(map(str, x.sizes)))
        found = x.data_vars.items()
    elif "get_columns" in ways:                                    # polars
        found = [(each.name, each) for each in x.get_columns()]
    elif {"columns", "column_names"} <= ways:                      # pyarrow
        found = zip(x.column_names, x.columns)
    elif {"columns", "items"} <= ways:                             # pandas, and what is like it
        found = x.items()
    elif "__dataframe__" in ways and not ways.intersection(ARRAYS):
        raise TypeError(f"{where}: a {type(x).__name__} gives neither its columns nor an array of NumPy; make it a "
                        "frame of pandas, polars or pyarrow first")
    else:
        return None
    return [(str(name), cells) for name, cells in found]


@contextmanager
def readable(where: str, x: Any) -> Iterator[None]:
    """Whatever the library of x raises becomes a TypeError with the place: no memory left, being traced, ..."""
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise no_numbers(where, f"{type(x).__name__} that cannot be read ({reason:.120})") from error


def gap(x: Any, ways: frozenset[str]) -> list[int]:
    """The place of the first item that is missing by the word of its library; empty if there is none."""
    way = next((way for way in GAPS if way in ways), None)
    if way is None or (way == "mask") == callable(getattr(x, way)):
        return []
    count = getattr(x, "null_count", None)
    if count is not None and not (count() if callable(count) else count):
        return []
    missing = x.mask if way == "mask" else getattr(x, way)()
    if hasattr(missing, "any") and not missing.any():
        return []
    for each in LISTS:
        if hasattr(missing, each):
            missing = getattr(missing, each)()
    return first_true(missing if isinstance(missing, list) else missing.__array__().tolist())


def first_true(missing: list[Any]) -> list[int]:
    """The place of the first one that is, in nested lists."""
    for i, each in enumerate(missing):
        place = first_true(each) if isinstance(each, list) else []
        if place or each is True:
            return [i, *place]
    return []


def in_numpy(x: Any, ways: frozenset[str]) -> Any:
    """An array of NumPy with what x holds, where it gives one."""
    for way in ARRAYS:
        if way in ways:
            with suppress(Exception):  # whatever its library raises: of bfloat16, of numbers on another device
                given = getattr(x.detach() if "detach" in ways else x, way)()
                if "null_count" in ways and "get_columns" not in ways and (given.dtype.kind == "O" or given.ndim > 1):
                    return None  # lists of polars or pyarrow, whose nulls would be nan in it
                if hasattr(given, "astype"):
                    return given
    for way in DENSE:
        if way in ways:
            with suppress(Exception):
                given = in_numpy(getattr(x, way)(), ways - {*DENSE})
                if given is not None:
                    return given
    numpy = sys.modules.get("numpy")
    if "__dlpack__" in ways and numpy is not None and not ways.intersection(LISTS):  # it knows of no signs to be turned
        with suppress(Exception):
            return numpy.from_dlpack(x)
    return None


def numbers_in(where: str, given: Any, anything: bool, name: str) -> memoryview[Any] | list[Any]:
    """An array of NumPy as a buffer of numbers that Python reads, or as a list of objects."""
    kind = given.dtype.kind
    if given.ndim == 0:
        raise no_numbers(where, f"an array without dimensions, {shown(given.tolist())}")
    if kind in "fV":
        with suppress(TypeError, ValueError):  # V: bfloat16 and its like can be made doubles, raw bytes cannot
            view = as_view(given)
            return view if view is not None and view.format == "d" else memoryview(given.astype("d"))
    if kind in "biu":
        view = memoryview(given)
        return view if len(view.format) == 1 else memoryview(given.astype(given.dtype.newbyteorder("=")))
    if kind == "O" or (anything and kind in "SUT") or not given.size:
        return list(given.tolist())
    raise wrong(at(where, *[0] * given.ndim, name), given.flat[0])


def as_view(x: Any) -> memoryview[Any] | None:
    if isinstance(x, (str, bytes, bytearray)):
        return None
    with suppress(TypeError, ValueError, BufferError):
        return memoryview(x)
    return None


# What is inside

def one_column(body: Body) -> Body:
    """A frame or an array of one column as that column."""
    if isinstance(body, Columns) and len(body.names) == 1:
        cells: Body = body.columns[0]
        return cells
    if isinstance(body, memoryview) and body.ndim == 2 and body.shape is not None and body.shape[1] == 1:
        return [x for [x] in listing(body)]
    return body


def only(where: str, row: Any) -> Any:
    """The one number of a row that has one; any other row as a list."""
    cells = listing(opened(where, row))
    return cells[0] if len(cells) == 1 else cells


def in_rows(where: str, body: Body, anything: bool) -> list[Any]:
    if isinstance(body, Columns):
        columns = [[cell(where, x, anything, i, name) for i, x in enumerate(listing(cells))]
                   for name, cells in zip(*body)]
        return [list(row) for row in zip(*columns)]
    if isinstance(body, memoryview):
        if body.ndim > 2:
            raise ValueError(f"{where} needs a row of numbers for each sample, found {size(body)}")
        return body.tolist()
    found: list[Any] = []
    for i, row in enumerate(body):
        if is_cell(row) or is_missing(row):
            row = cell(where, row, anything, i)
        elif not anything or is_container(row):
            cells = row if isinstance(row, (list, tuple)) else listing(opened(f"{where}, row {i},", row, anything))
            if set(map(type, cells)) <= PLAIN or (anything and type(cells) not in (list, tuple)):
                row = cells
            else:
                row = [cell(where, x, anything, i, j) for j, x in enumerate(cells)]
        found.append(row)
    return found


def cell(where: str, x: Any, anything: bool, row: int, column: Any = None) -> Any:
    """One number as Python has it, or a node."""
    if is_number(x):
        return alone(x)
    if hasattr(x, "__op__") or (anything and not is_missing(x) and not isinstance(x, Decimal)):
        return x
    y = real(x)
    if y is None:
        raise wrong(at(where, row, column), x)
    return y


def doubles(where: str, cells: list[Any], name: str = "", row: int | None = None) -> array[float]:
    """Numbers as doubles: of the column of that name, or of one row of a table."""
    if set(map(type, cells)) <= PLAIN:
        with suppress(OverflowError):
            return array("d", cells)
    found = array("d")
    for i, x in enumerate(cells):
        y = real(x)
        if y is None:
            raise wrong(at(where, i, name) if row is None else at(where, row, i), x)
        found.append(y)
    return found


def real(x: Any) -> float | None:
    """A real number as a float; None for anything else."""
    if is_number(x):
        return as_float(x)
    x = alone(x)
    if is_refused(x) or hasattr(x, "dtype") or not hasattr(type(x), "__float__"):  # float() would cut or parse it
        return None
    with suppress(TypeError, ValueError):
        return float(x)
    return None


def is_cell(x: Any) -> bool:
    """True if x is a number or a node by itself, and not a row."""
    return is_number(x) or hasattr(x, "__op__") or isinstance(x, Decimal)


def is_container(x: Any) -> bool:
    """True if x holds items, as a row does."""
    return (isinstance(x, (Sequence, Iterator, ValuesView, array, memoryview)) or (
        bool(ways_into(x)) and not isinstance(x, Mapping))) and not is_cell(x) and not is_refused(x)


def is_flat(body: Body) -> bool:
    """True if the data are numbers one after the other, without rows."""
    if isinstance(body, memoryview):
        return body.ndim == 1
    return isinstance(body, list) and bool(body) and is_cell(body[0])


def is_refused(x: Any) -> bool:
    """True if x is refused at every door: missing, text, a date, a complex number."""
    if is_number(x) or hasattr(x, "__op__"):
        return False
    x = alone(x)
    return (is_missing(x) or isinstance(x, (*TEXT, Complex)) or hasattr(x, "isoformat")
            or (getattr(x, "shape", None) == () and not getattr(getattr(x, "dtype", None), "names", None)))


def is_missing(x: Any) -> bool:
    return alone(x) is None or type(x).__name__ in ("NAType", "NaTType")


def is_doubles(body: Body) -> bool:
    return isinstance(body, memoryview) and body.format == "d"


def listing(body: Body) -> list[Any]:
    if isinstance(body, Columns):
        return [list(row) for row in zip(*map(listing, body.columns))]
    return body if isinstance(body, list) else body.tolist()


# Messages

def at(where: str, row: int, *column: Any) -> str:
    """The place of a number. Where that is within a row already, "X, row 3,", what comes next are columns."""
    if where.endswith(","):
        return f"{where} column {row}"
    return ", ".join([f"{where}, row {row}", *(f"column {each!r}" for each in column if each not in ("", None))])


def no_numbers(where: str, found: str) -> TypeError:
    return TypeError(f"{where.removesuffix(',')} needs numbers in a list or an array, found {found}")


def wrong(place: str, x: Any) -> TypeError:
    hint = "; fill the gap, or leave the row out" if is_missing(x) else ""
    return TypeError(f"{place}: a real number is needed, found {shown(x)}{hint}")
