"""A Standardizer: the columns of a table, shifted and scaled, before a network sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .arguments import as_float, counted, many, number
from .data.dataset import check_finite, rows, single
from .engine import Value

__all__ = ["Standardizer"]


class Standardizer:
    """Shifts and scales every column of a table to mean 0 and standard deviation 1: x_j → (x_j − mean_j) / scale_j.

    Args:
        means: a number for each column. See `of` to take them from data.
        scales: a number > 0 for each column.

    Raises:
        ValueError: for more of one than of the other, a scale ≤ 0, inf or nan.
        TypeError: for anything but numbers.

    Example:
        >>> micrograd.Standardizer([1.0, 0.0], [2.0, 4.0])([5.0, 2.0])
        [2.0, 0.5]
    """

    def __init__(self, means: Sequence[float], scales: Sequence[float]) -> None:
        self.means = [number(m, "Standardizer(means)") for m in many(means, "Standardizer(means)")]
        self.scales = [number(s, "Standardizer(scales)") for s in many(scales, "Standardizer(scales)")]
        fit = len(self.means) == len(self.scales) and all(map(math.isfinite, self.means + self.scales))
        if not fit or not all(s > 0 for s in self.scales):
            raise ValueError(f"Standardizer needs as many means as scales, all finite, and scales > 0; found "
                             f"{self.means} and {self.scales}")

    @classmethod
    def of(cls, X: Any) -> Standardizer:
        """The one that standardises the rows of a table. A column that never varies is only shifted.

        Args:
            X: lists, an array, a tensor or a frame, with at least one row.

        Returns:
            A Standardizer.

        Raises:
            ValueError: for rows of several lengths or none, and for inf or nan, with row and column.
            TypeError: for anything but numbers.

        Example:
            >>> micrograd.Standardizer.of([[1.0, 5.0], [3.0, 5.0]])
            Standardizer(means=[2.0, 5.0], scales=[1.0, 1.0])
        """
        found = [row if isinstance(row, (list, tuple)) else [row] for row in rows("Standardizer.of: X", X)]
        lengths = sorted({len(row) for row in found})
        if len(lengths) != 1 or not lengths[0]:
            of_rows = f"rows of {' and '.join(map(str, lengths))} numbers" if found else "no rows"
            raise ValueError("Standardizer.of needs at least one row, and all of one length, with numbers in them; "
                             f"found {of_rows}")
        columns = [[number(x, "Standardizer.of") for x in column] for column in zip(*found)]
        check_finite("Standardizer.of: X", zip(*columns))
        # The mean of a column that never varies is its number, not a rounding of it: then its scale is exactly 0.
        means = [c[0] if min(c) == max(c) else math.fsum(c) / len(c) for c in columns]
        scales = [math.sqrt(math.fsum((x - m) ** 2 for x in column) / len(column)) for column, m in zip(columns, means)]
        return cls(means, [s or 1.0 for s in scales])

    def __call__(self, x: Iterable[Any]) -> list[Any]:
        """One row, standardised.

        Args:
            x: as many numbers or Values as there are columns.

        Returns:
            A list of as many.

        Raises:
            ValueError: for a row of another length.
        """
        row = single("what a Standardizer is called on", x)
        if len(row) != len(self.means):
            raise ValueError(f"a Standardizer of {counted(len(self.means), 'column')} takes a row of as many numbers, "
                             f"found {len(row)}")
        return self.scaled([xj if isinstance(xj, Value) else as_float(xj) for xj in row])

    def scaled(self, row: Sequence[Any]) -> list[Any]:
        """One row, standardised, where it is known to be in order.

        Args:
            row: as many floats or Values as there are columns.

        Returns:
            A list of as many.
        """
        return [(xj - m) / s for xj, m, s in zip(row, self.means, self.scales, strict=True)]

    def __repr__(self) -> str:
        return f"Standardizer(means={self.means}, scales={self.scales})"
