"""Tables: from a CSV file to the numbers that a network takes, and back.

A column of numbers is one input; a column of categories is one input for each category, 1 for the one it is and 0 for
the others. What stands for a missing value, which categories there are, and so on is learnt from the training rows, and
is plain data: it goes into the model's file, and the rows of another file become numbers in the same way.
This module knows nothing of networks, files of models, or terminals.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .outside import File, read_whole

MISSING = {"", "?", "-", ".", "na", "n/a", "#n/a", "<na>", "nan", "null", "missing"}
LEAST_ROWS = 10         # below this nothing is learnt, let alone judged
MOST_CATEGORIES = 100   # each is an input of its own
MOSTLY = 0.9            # a column is one of numbers if this share of it is; the rest are slips, and count as missing
LARGEST = 1e150         # the square of a larger number overflows

# An amount of money, a number, or a number with a unit: 12, -1.5e-3, 1,234.5, $12, 5.1 cm, 12 %
QUANTITY = re.compile(r"([$€£¥]?)\s*([-+]?(?:\d+|\d{1,3}(?:,\d{3})+|(?=\.\d))(?:\.\d*)?(?:[eE][-+]?\d+)?)"
                      r"\s*([^\W\d_].{0,15}|[%°$€£¥].{0,15})?")
# The name of a column that counts the rows, if it counts; also a column without a name, as pandas writes its index
COUNTER = re.compile(r"(.*[ _])?(id|index|row|no|nr|#)|column \d+|unnamed: ?\d+", re.IGNORECASE)


class TableError(Exception):
    """What is wrong with a table, or with what is asked of it, in one line."""


class Row(NamedTuple):
    """One row: the line of the file where it ends, and its cells."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file, as text: a name for each column, and rows with as many cells."""

    path: str
    header: list[str]
    rows: list[Row]
    delimiter: str
    encoding: str

    def place(self, name: str) -> int:
        """Which column has that name, from 0. A TableError lists those there are, and the one that may be meant."""
        if name in self.header:
            return self.header.index(name)
        if len(self.header) == 1 and re.search(r"[|\s]", self.header[0]):
            raise TableError(f"{self.path} has one column, called {self.header[0]!r}: separate columns by commas, "
                             "semicolons or tabs")
        lower = {column.lower(): column for column in self.header}
        near = [f" (did you mean {lower[hit]!r}?)" for hit in difflib.get_close_matches(name.lower(), lower, n=1)]
        raise TableError(f"{self.path} has no column {name!r}{''.join(near)}; it has {listed(self.header, 20)}")

    def number(self, cell: str) -> tuple[float, str] | None:
        """A cell as a number and its unit ("" for none); None for other text, and for what is too large to work with.

        A comma groups thousands; in a file that separates its columns by something else it is the decimal point.
        """
        digits = cell.replace("−", "-")
        match = QUANTITY.fullmatch(digits if self.delimiter == "," else digits.replace(",", "."))
        if match is None or not abs(x := float(match[2].replace(",", ""))) <= LARGEST:
            return None
        return x, match[1] or match[3] or ""


def read_table(path: File) -> Table:
    """Read a CSV file with a header, by its path or as a stream of bytes. Commas, semicolons or tabs separate its
    columns; text is UTF-8, else Windows-1252.

    A column without a name is called "column 1" if it is the first, and so on. A first line `sep=;`, as Excel knows it,
    tells the separator.
    Raises TableError, with the line, for a file that is not such a table; OSError for one that cannot be read.
    """
    where, content = read_whole(path)
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in content and not wide:
        raise TableError(f"{where} is not a text file: save the table as CSV")
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text, encoding = content.decode("cp1252", errors="replace"), "Windows-1252"
    if not text.strip():
        raise TableError(f"{where} is empty: the first line must name the columns")
    first = text.lstrip("\r\n").splitlines()[0]
    told = re.fullmatch(r'"?sep=([,;|\t])"?\s*', first)
    delimiter = told[1] if told else max(",;\t", key=re.sub('"[^"]*"', "", first).count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    try:
        rows += (Row(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells)
    except csv.Error as error:
        last = rows[-1].line if rows else 0
        raise TableError(f"{where}, after line {last}: {error}; is a quotation mark left open?") from None
    if told:
        del rows[0]
    header = rows.pop(0).cells if rows else []
    numbers = [name.lstrip("+-").replace(".", "", 1).isdecimal() for name in header]
    if not any(header) or all(numbers) or any(number and "." in name for number, name in zip(numbers, header)):
        raise TableError(f"{where} has no header: the first line must name the columns, and is {listed(header, 4)}")
    header = [name or f"column {place}" for place, name in enumerate(header, 1)]
    for name, times in Counter(header).items():
        if times > 1:
            raise TableError(f"{where} has {times} columns called {name!r}: rename all but one")
    for row in rows:
        if len(row.cells) != len(header):
            raise TableError(f"{where}, line {row.line}: {len(row.cells)} fields, where the header has {len(header)}")
    return Table(where, header, rows, delimiter, encoding)


@dataclass(frozen=True, slots=True)
class Column:
    """How one column becomes inputs. median: what stands for a missing number; None in a column of categories. unit:
    what may follow the numbers. shares: of each category in the training rows; "" is the category of the missing."""

    name: str
    median: float | None
    unit: str
    shares: dict[str, float]

    def inputs(self, table: Table, cell: str) -> tuple[list[float], str]:
        """The inputs for a cell, and what is odd about it: "missing", "not a number", "unknown", or ""."""
        if self.median is not None:
            found = table.number(cell)
            if found is not None and found[1] in ("", self.unit):
                return [found[0]], ""
            return [self.median], "missing" if is_missing(cell, numeric=True) else "not a number"
        odd = "missing" if is_missing(cell) else "" if cell in self.shares else "unknown"
        if odd and "" not in self.shares:  # nothing was missing in training: halfway between all categories
            return list(self.shares.values()), odd
        return [float(known == ("" if odd else cell)) for known in self.shares], odd


@dataclass(frozen=True, slots=True)
class Target:
    """The column to predict. classes: their names; none for regression, which predicts mean + scale · output."""

    name: str
    classes: list[str]
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of a table become inputs, and outputs a prediction: all that was learnt of the columns."""

    target: Target
    columns: list[Column]

    @classmethod
    def of(cls, data: Any) -> Plan:
        """The plan that dataclasses.asdict wrote as plain data. Raises TypeError or KeyError for other data."""
        return cls(Target(**data["target"]), [Column(**column) for column in data["columns"]])

    def encode(self, table: Table, rows: Sequence[Row]) -> tuple[list[list[float]], list[str]]:
        """The inputs for each row; and a line for whatever is odd in a column, to print."""
        X: list[list[float]] = [[] for _ in rows]
        notes = []
        for column in self.columns:
            place, odd = table.place(column.name), dict[str, list[Row]]()
            for x, row in zip(X, rows):
                inputs, problem = column.inputs(table, row.cells[place])
                x += inputs
                if problem:
                    odd.setdefault(problem, []).append(row)
            for problem, found in odd.items():
                example = "" if problem == "missing" else f" ({found[0].cells[place]!r:.30} in line {found[0].line})"
                notes.append(f"{column.name}: {len(found)} {problem}{example}")
        return X, notes


def find_target(table: Table, name: str, task: str = "auto") -> tuple[Target, list[Row], list[float]]:
    """The target, the rows that have one, and for each the number to predict: the index of its class, or the number.

    task: "classification", "regression", or "auto": regression if all are numbers, and not just a few whole ones.
    Raises TableError where the column cannot be such a target.
    """
    place, where = table.place(name), f"{table.path}: the target {name!r}"
    rows = [row for row in table.rows if not is_missing(row.cells[place], numeric=True)]
    numbers = [value for row in rows if (value := table.number(row.cells[place]))]
    odd = next((row for row in rows if table.number(row.cells[place]) is None), None)
    if odd is None:  # 1 and 1.0 are one class
        cells = [f"{x + 0.0:.15g} {unit}".rstrip() for x, unit in numbers]
    else:
        rows = [row for row in table.rows if not is_missing(row.cells[place])]
        cells = [row.cells[place] for row in rows]
    if len(rows) < LEAST_ROWS:
        raise TableError(f"{where} has a value in {len(rows)} rows: at least {LEAST_ROWS} are needed to learn from")
    classes = set(cells)
    if len(classes) == 1:
        raise TableError(f"{where} is always {cells[0]!r}: there is nothing to tell apart")
    few = len(classes) <= min(10, len(cells) // 3) and all(x.is_integer() for x, _ in numbers)
    if task == "regression" or (task == "auto" and odd is None and not few):
        if odd is not None:
            raise TableError(f"{where} is {odd.cells[place]!r} in line {odd.line}: regression needs a finite number")
        return Target(name, []), rows, [x for x, _ in numbers]
    if len(classes) > len(cells) / 2:
        raise TableError(f"{where} has {len(classes)} different values in {len(rows)} rows: not numbers, not classes")
    ordered = sorted(classes, key=lambda cell: (table.number(cell) or (0.0, ""), cell))
    return Target(name, ordered), rows, [ordered.index(cell) for cell in cells]


def make_plan(table: Table, target: Target, rows: Sequence[Row], y: Sequence[float],
              ignore: Iterable[str] = ()) -> tuple[Plan, dict[str, str]]:
    """What the training rows, with the numbers y to predict, teach of each column; and what to print about each."""
    if not target.classes:
        target = replace(target, mean=statistics.fmean(y), scale=statistics.pstdev(y) or 1.0)
    ignored = [table.header[table.place(name)] for name in ignore]
    learnt = {name: learn(table, name, [row.cells[place] for row in rows])
              for place, name in enumerate(table.header) if name not in (target.name, *ignored)}
    columns = [column for column, _ in learnt.values() if column]
    report = {name: words for name, (_, words) in learnt.items()}
    if not columns:
        why = "".join(f"; {name}: {words}" for name, words in report.items())
        why += f"; ignored: {listed(ignored, 20)}" * bool(ignored)
        raise TableError(f"{table.path} has no column to predict {target.name!r} from{why}")
    return Plan(target, columns), report


def learn(table: Table, name: str, cells: list[str]) -> tuple[Column | None, str]:
    """How a column with these cells becomes inputs, and what to print about it; None for one that is of no use."""
    present = [cell for cell in cells if not is_missing(cell, numeric=True)]
    if not present:
        return None, "left out: all missing"
    found = [value for value in map(table.number, present) if value is not None]
    numbers, units = sorted(x for x, _ in found), {unit for _, unit in found if unit}
    if len(found) >= MOSTLY * len(present) and len(units) <= 1:
        if numbers[0] == numbers[-1]:
            return None, f"left out: always {present[0]}"
        if COUNTER.fullmatch(name) and len({int(x) for x in numbers}) == len(present):
            return None, "left out: it numbers the rows"
        middle, unit = statistics.median(numbers) + 0.0, "".join(units)  # 0, not -0
        counts = {"missing": len(cells) - len(present), "not a number": len(present) - len(found)}
        slips = "".join(f", {count} {what}" for what, count in counts.items() if count)
        return (Column(name, middle, unit, {}),
                f"{numbers[0]:g} to {numbers[-1]:g}{' ' * bool(unit)}{unit}, median {middle:g}{slips}")
    times = Counter("" if is_missing(cell) else cell for cell in cells)
    missing = times[""]
    if len(times) == 1:
        return None, f"left out: always {present[0]!r:.30}"
    if len(times) > MOST_CATEGORIES or len(times) > max(10, (len(cells) - missing) / 2):
        others = [cell for cell in present if table.number(cell) is None]
        if others and len(found) > len(others):
            return None, f"left out: {len(found)} numbers, but {len(others)} cells such as {others[0]!r:.20}"
        return None, f"left out: {len(times)} different values in {len(cells)} rows, such as {present[0]!r:.20}"
    shares = {category: times[category] / len(cells) for category in sorted(times)}
    words = listed([category for category in shares if category], 5) + f", {missing} missing" * bool(missing)
    return Column(name, None, "", shares), words


def is_missing(cell: str, numeric: bool = False) -> bool:
    """Does the cell stand for nothing? "None" does among numbers; among words it may be a category."""
    return cell.lower() in MISSING or (numeric and cell.lower() == "none")


def listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")
