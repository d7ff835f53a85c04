"""The rows and targets that a network is trained on, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..arguments import as_float, is_number
from ..compiler.program import TraceError
from ..data.dataset import is_refused, rows, targets
from ..engine import Value
from ..modules import Module
from ..nn import rows_for


def checked(X: Any, y: Any, where: str, net: Module | None = None) -> tuple[list[Any], list[Any]]:
    """Rows and targets as lists; rows that the network takes, if there is one."""
    found = rows(f"{where}: X", X, anything=True) if net is None else rows_for(net, f"{where}: X", X)
    wanted = targets(f"{where}: y", y, anything=True)
    if len(found) != len(wanted) or not found:
        raise ValueError(f"{where} needs a target for each row, and at least one row; found {len(found)} rows and "
                         f"{len(wanted)} targets")
    return found, wanted


def refuse_gaps(X: Sequence[Any], y: Sequence[Any], where: str = "") -> None:
    """Raise if a target is not a number, or if inf or nan stands in a row or a target."""
    for i, t in enumerate(y):
        if is_refused(t) or (isinstance(t, (list, tuple)) and any(map(is_refused, t))):
            raise TypeError(f"{where}a target must be a number, found {t!r} in row {i}; give each class its index "
                            "0, 1, ...")
        for letter, xs in (("y", t), ("X", X[i])):
            for j, x in enumerate(xs if isinstance(xs, (list, tuple)) else [xs]):
                if is_number(x) and not math.isfinite(as_float(x)):
                    place = f"row {i}, column {j}" if isinstance(xs, (list, tuple)) else f"row {i}"
                    raise ValueError(f"{where}{letter} holds {as_float(x)} in {place}: leave the row out, or fill the "
                                     "gap")


def width(rows: Sequence[Any]) -> int | None:
    """The number of numbers in each row; None if it is a bare number. A TraceError if rows differ, or are not
    numbers."""
    if all(is_number(row) for row in rows):
        return None
    if any(isinstance(row, (Value, str, dict)) or not hasattr(row, "__len__") for row in rows):
        raise TraceError("the rows are not lists of numbers")
    widths = {len(row) for row in rows}
    if len(widths) > 1 or not all(is_number(x) for row in rows for x in row):
        raise TraceError("the rows are not lists of as many numbers each")
    return widths.pop()
