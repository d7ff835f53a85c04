"""The data of a call of a compiled function: what was given for its arguments, as buffers of doubles.

A column is given as anything that holds as many numbers as there are rows, an argument that is a list of k numbers as a
table with k numbers in each row, and all arguments at once as one table. How data are read is for `data/dataset.py` to
say.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from ..arguments import as_float, counted, is_number
from ..data.dataset import as_view, column, single, table
from .program import Argument


class Batch(NamedTuple):
    """Rows of data, as an executor takes them.

    given: for each argument a number for all rows, a buffer of doubles, or one of two dimensions. table: whether it is
    one such buffer for all arguments together.
    """

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
            try:
                cells = single(argument.name, x) if len(x) == argument.width else None
            except (TypeError, ValueError):  # a table of as many rows, or what is refused as a column
                return None
            if cells is None or not all(map(is_number, cells)):
                return None
            numbers += map(as_float, cells)
    return tuple(numbers)


def prepared(name: str, arguments: Sequence[Argument], data: Sequence[Any]) -> Batch:
    """The data of a function of that name, checked. Raises TypeError and ValueError; numbers may be inf or nan."""
    wanted = ", ".join(a.name if a.width is None else f"{a.name} ({a.width} numbers a row)" for a in arguments)
    columns = sum(a.width or 1 for a in arguments)
    if len(data) == 1 < columns and (len(arguments) > 1 or arguments[0].width is None):
        if isinstance(data[0], (list, tuple)) and data[0] and all(map(is_number, data[0])):
            raise TypeError(f"{name} takes {wanted}: one column for each, or one table of {columns} columns; found one "
                            "flat list of numbers")
        whole = table(f"{name}: the table", data[0], columns)
        return Batch((whole,), True, len(whole))
    if len(data) != len(arguments):
        raise TypeError(f"{name} takes {wanted}: one column for each, or one table of {columns} columns; found "
                        f"{counted(len(data), 'argument')}")
    given: list[Any] = []
    rows: dict[str, int] = {}
    for argument, x in zip(arguments, data):
        if argument.width is not None:
            given.append(table(f"{name}: {argument.name}", x, argument.width))
        elif is_number(x):
            given.append(as_float(x))
            continue
        else:
            given.append(column(f"{name}: {argument.name}", x))
        rows[argument.name] = len(given[-1])
    if not rows:
        raise TypeError(f"{name} needs at least one column; every argument is a single number")
    if len(set(rows.values())) > 1:
        raise ValueError(f"{name}: the columns differ in length: "
                         + ", ".join(f"{key} has {counted(n, 'row')}" for key, n in rows.items()))
    return Batch(tuple(given), False, next(iter(rows.values())))


def flat_columns(data: Batch, arguments: Sequence[Argument]) -> list[Sequence[float]]:
    """The columns one by one, for an executor in Python."""
    found: list[Sequence[float]] = []
    for x in data.given:
        if isinstance(x, float):
            found.append(array("d", [x]) * data.rows)
        elif isinstance(x, array) and x.typecode == "d":
            found.append(x)
        else:
            view = memoryview(x)
            if view.ndim == 1:
                found.append(array("d", view.tolist()))
            else:
                found += [array("d", column) for column in zip(*view.tolist())]
    return found


def numbers_of(columns: Batch, i: int) -> list[float]:
    """The numbers of one row, side by side."""
    numbers: list[float] = []
    for x in columns.given:
        if isinstance(x, float):
            numbers.append(x)
        elif memoryview(x).ndim == 1:
            numbers.append(x[i])
        else:
            view = memoryview(x)
            numbers += [view[i, j] for j in range(view.shape[1] if view.shape else 0)]
    return numbers


def outputs_of(name: str, rows: int, count: int, out: Any) -> list[Any]:
    """So many buffers with a double for each row: new ones, or those in `out`, a buffer or several."""
    if out is None:
        return [array("d", bytes(8 * rows)) for _ in range(count)]
    outs = list(out) if isinstance(out, (list, tuple)) else [out]
    if len(outs) != count:
        raise ValueError(f"{name}: out needs {count} buffers of doubles, found {len(outs)}")
    for view in map(as_view, outs):
        if view is None or view.format != "d" or view.shape != (rows,) or not view.c_contiguous or view.readonly:
            raise ValueError(f"an output must be a writable buffer of {rows} doubles without gaps; found another "
                             "buffer")
    return outs


def as_table(columns: Sequence[Sequence[float]]) -> Any:
    """Columns as one table, a buffer of doubles with two dimensions."""
    flat = array("d", chain.from_iterable(zip(*columns)))
    return memoryview(flat).cast("B").cast("d", (len(columns[0]), len(columns)))
