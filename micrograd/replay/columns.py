"""Data as columns: what users have, lists, tables, arrays of NumPy, as buffers of doubles; and errors that say what is
odd.

A column is given as anything that holds as many numbers as there are rows, an argument that is a list of k numbers as a
table with k numbers in each row, and all arguments at once as one table.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from numbers import Complex, Real
from typing import Any, NamedTuple

from ..ops import as_float, is_number
from .trace import Argument

FORMATS = set("?bBhHiIlLqQnNefd")  # the formats of buffers of real numbers; see the struct module


class Data(NamedTuple):
    """What an executor takes. given: for each argument a number for all rows, a buffer of doubles, or one of two
    dimensions; table: whether it is one such buffer for all arguments together."""

    given: tuple[Any, ...]
    table: bool
    rows: int


def one_sample(arguments: Sequence[Argument], data: Sequence[Any]) -> tuple[float, ...] | None:
    """The numbers of a single sample, if that is what was given: a number, or a flat list of numbers, for each
    argument."""
    numbers: list[float] = []
    if len(data) != len(arguments):
        return None
    for argument, x in zip(arguments, data):
        if argument.width is None:
            if not is_number(x):
                return None
            numbers.append(as_float(x))
        else:
            if not hasattr(x, "__len__") or len(x) != argument.width or not all(map(is_number, x)):
                return None
            numbers += map(as_float, x)
    return tuple(numbers)


def prepared(name: str, arguments: Sequence[Argument], data: Sequence[Any]) -> Data:
    """The data of a function of that name, checked. Raises TypeError and ValueError; numbers may be inf or nan."""
    wanted = ", ".join(a.name if a.width is None else f"{a.name} ({a.width} numbers a row)" for a in arguments)
    columns = sum(a.width or 1 for a in arguments)
    if len(data) == 1 < columns and (len(arguments) > 1 or arguments[0].width is None):
        if isinstance(data[0], (list, tuple)) and data[0] and all(map(is_number, data[0])):
            raise TypeError(f"{name} takes {wanted}: one column for each, or one table of {columns} columns; found one "
                            "flat list of numbers")
        whole = table(name, "the table", data[0], columns, wanted)
        return Data((whole,), True, len(whole))
    if len(data) != len(arguments):
        raise TypeError(f"{name} takes {wanted}: one column for each, or one table of {columns} columns; found "
                        f"{len(data)} argument{'s' * (len(data) != 1)}")
    given: list[Any] = []
    rows: dict[str, int] = {}
    for argument, x in zip(arguments, data):
        if argument.width is not None:
            given.append(table(name, argument.name, x, argument.width, wanted))
        elif is_number(x):
            given.append(as_float(x))
            continue
        else:
            given.append(column(name, argument.name, x))
        rows[argument.name] = len(given[-1])
    if not rows:
        raise TypeError(f"{name} needs a column at least, found numbers only")
    if len(set(rows.values())) > 1:
        raise ValueError(f"{name}: the columns differ in length: "
                         + ", ".join(f"{key} has {n} rows" for key, n in rows.items()))
    return Data(tuple(given), False, next(iter(rows.values())))


def column(name: str, which: str, x: Any) -> Any:
    """One column as a buffer of doubles."""
    view = as_view(x)
    if view is not None:
        check_format(name, which, view)
        if view.ndim == 2 and view.shape is not None and view.shape[1] == 1:  # a column that is a table
            return array("d", [row[0] for row in items(view, x)])
        if view.ndim != 1:
            raise ValueError(f"{name}: {which} is one column of numbers, found an array of {view.ndim} dimensions")
        return view if view.format == "d" else array("d", items(view, x))
    numbers = listed(name, which, x)
    if has_complex(numbers):
        numbers = [real(name, f"{which}, row {i}", y) for i, y in enumerate(numbers)]
    try:
        return array("d", numbers)
    except (TypeError, ValueError, OverflowError):
        return array("d", [real(name, f"{which}, row {i}", y) for i, y in enumerate(numbers)])


def table(name: str, which: str, x: Any, width: int, wanted: str) -> Any:
    """A table as a buffer of doubles with two dimensions."""
    view = as_view(x)
    if view is not None:
        check_format(name, which, view)
        if view.ndim != 2 or view.shape is None or view.shape[1] != width:
            found = "x".join(map(str, view.shape or ()))
            raise ValueError(f"{name} takes {wanted}; {which} must have {width} columns, found an array of {found}")
        if view.format == "d":
            return view
        rows = items(view, x)
    else:
        rows = [listed(name, f"{which}, row {i},", row) for i, row in enumerate(listed(name, which, x))]
        for i, row in enumerate(rows):
            if len(row) != width:
                raise ValueError(f"{name} takes {wanted}; {which} must have {width} numbers a row, found {len(row)} in "
                                 f"row {i}")
        if has_complex(chain.from_iterable(rows)):
            rows = [[real(name, f"{which}, row {i}, column {j}", y) for j, y in enumerate(row)]
                    for i, row in enumerate(rows)]
    flat = array("d", bytes(8 * len(rows) * width))
    for i, row in enumerate(rows):
        try:
            flat[i * width:(i + 1) * width] = array("d", row)
        except (TypeError, ValueError, OverflowError):
            numbers = [real(name, f"{which}, row {i}, column {j}", y) for j, y in enumerate(row)]
            flat[i * width:(i + 1) * width] = array("d", numbers)
    if not rows:
        raise ValueError(f"{name}: {which} has no rows")
    return memoryview(flat).cast("B").cast("d", (len(rows), width))


def as_view(x: Any) -> memoryview | None:
    if isinstance(x, (str, bytes, bytearray)):
        return None
    try:
        return memoryview(x)
    except (TypeError, ValueError, BufferError):
        return None


def items(view: memoryview, x: Any) -> list[Any]:
    """The items of an array as Python's numbers."""
    try:
        return view.tolist()
    except NotImplementedError:  # half precision before Python 3.12, "<d" as ctypes has it
        return [list(row) if view.ndim == 2 else row for row in x]


def check_format(name: str, which: str, view: memoryview) -> None:
    if view.format.lstrip("@=<>!") not in FORMATS or view.format[0] in ">!":
        found = "text" if view.format[-1] in "ws" else f"items of format {view.format!r}"
        raise TypeError(f"{name}: {which} needs real numbers, found an array with {found}")


def listed(name: str, which: str, x: Any) -> list[Any]:
    if isinstance(x, (str, bytes, bytearray, dict, set, frozenset)) or is_number(x):
        raise TypeError(f"{name}: {which} needs numbers, one for each row, found {type(x).__name__} {x!r:.40}")
    try:
        return list(x)
    except TypeError:
        raise TypeError(f"{name}: {which} needs numbers, one for each row, found {type(x).__name__}") from None


def has_complex(numbers: Iterable[Any]) -> bool:
    """Whether a complex number is among these. A float made of NumPy's is a part of it, with a warning."""
    return any(map(is_complex, dict.fromkeys(map(type, numbers))))


def is_complex(kind: type) -> bool:
    return issubclass(kind, Complex) and not issubclass(kind, Real)


def real(name: str, where: str, x: Any) -> float:
    try:
        if not isinstance(x, (str, bytes)) and not is_complex(type(x)):
            return as_float(x)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name}: {where}: a real number is needed, found {type(x).__name__} {x!r:.40}")


def flat_columns(data: Data, arguments: Sequence[Argument]) -> list[Sequence[float]]:
    """The columns one by one, for an executor in Python."""
    found: list[Sequence[float]] = []
    for x in data.given:
        if isinstance(x, float):
            found.append(array("d", [x]) * data.rows)
        else:
            view = memoryview(x)
            if view.ndim == 1:
                found.append(array("d", view.tolist()))
            else:
                found += [array("d", column) for column in zip(*view.tolist())]
    return found


def check_output(out: Any, rows: int) -> None:
    """Raise ValueError if so many doubles cannot be written to a buffer."""
    view = as_view(out)
    if view is None or view.format != "d" or view.shape != (rows,) or not view.c_contiguous or view.readonly:
        raise ValueError(f"an output is written to {rows} doubles in a row, found another buffer")


def as_table(columns: Sequence[Sequence[float]]) -> Any:
    """Columns as one table, a buffer of doubles with two dimensions."""
    flat = array("d", chain.from_iterable(zip(*columns)))
    return memoryview(flat).cast("B").cast("d", (len(columns[0]), len(columns)))
