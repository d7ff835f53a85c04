"""Tables: from a CSV file to the numbers that a network takes, and back.

A column of numbers is one input; a column of categories is one input for each category, 1 for the one it is and 0 for
the others. What stands for a missing value, which categories there are, and so on is learnt from the training rows, and
is plain data: it goes into the model's file, and the rows of another file become numbers in the same way.
This module knows nothing of networks, files of models, or terminals.
"""

from __future__ import annotations

import difflib
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..arguments import counted
from ..files import File, read_whole
from .delimited import DelimitedError, Row, read_delimited
from .quantities import (
    LARGEST,
    MixedError,
    Quantity,
    explained,
    in_common,
    in_units,
    is_suffix,
    largest_before_suffix,
    marked,
    quantity,
)

MISSING = {"", "?", "-", ".", "na", "n/a", "#n/a", "<na>", "nan", "null", "missing"}
LEAST_ROWS = 10         # below this nothing is learnt, let alone judged
MOST_CATEGORIES = 100   # each is an input of its own
MOST_INPUTS = 20_000    # with 16 neurons after them, a step of training takes seconds
MOSTLY = 0.9            # a column is one of numbers if this share of it is; the rest are slips, and count as missing

# The names of a column that counts the rows, if it counts, and of one that tells them apart; also a column without a
# name, as pandas writes its index
COUNTER = re.compile(r"(.*[ _])?(index|row|no|nr|#)", re.IGNORECASE)
IDENTITY = re.compile(r"(.*[ _])?id|column \d+|unnamed: ?\d+", re.IGNORECASE)


class TableError(Exception):
    """A fault of a table, or of what is asked of it, in one line."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file, as text: a name for each column, and rows with as many cells. decimal: the mark before decimals, "."
    or ","; "" where no number shows one."""

    path: str
    header: list[str]
    rows: list[Row]
    delimiter: str
    encoding: str
    decimal: str = ""
    places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {name: place for place, name in enumerate(self.header)})

    def place(self, name: str) -> int:
        """The place of the column of that name, from 0. A TableError lists the names, and the one that may be meant."""
        if name in self.places:
            return self.places[name]
        if len(self.header) == 1 and re.search(r"[|\s]", self.header[0]):
            raise TableError(f"{self.path} has one column, called {self.header[0]!r}: separate columns by commas, "
                             "semicolons or tabs")
        lower = {column.lower(): column for column in self.header}
        near = [f" (did you mean {brief(lower[hit])!r}?)"
                for hit in difflib.get_close_matches(name.lower(), lower, n=1)]
        raise TableError(f"{self.path} has no column {brief(name)!r}{''.join(near)}; it has {listed(self.header, 20)}")

    def number(self, cell: str) -> Quantity | None:
        """A cell as a number with its unit; None for other text, and for what is too large to work with."""
        return quantity(cell, self.decimal or ".")

    def other_mark(self, cells: Iterable[str]) -> str:
        """A hint about cells that are not numbers, but all would be with the other decimal mark."""
        other = "." if self.decimal == "," else ","
        return f"; if these are numbers: --decimal {other}" if all(quantity(cell, other) for cell in cells) else ""


def read_table(path: File, decimal: str | None = None) -> CsvTable:
    """Read a CSV file with a header (see `read_delimited`), by its path or as a stream of bytes. A column without a
    name is called "column 1" if it is the first, and so on.

    decimal: the mark before decimals, "." or ",". By default the numbers show it, all columns together: 0,5 does, and
    1.200 does not. Where commas separate columns it is the point, unless numbers show that this would be wrong.
    Raises TableError, with the line, for a file that is not such a table, and where the mark is in doubt; OSError for
    one that cannot be read.
    """
    where, content = read_whole(path)
    try:
        found = read_delimited(content, where)
    except DelimitedError as error:
        raise TableError(str(error)) from None
    rows = found.rows
    if not rows:
        raise TableError(f"{where} is empty: the first line must name the columns")
    header = rows.pop(0).cells
    numbers = [name.lstrip("+-").replace(".", "", 1).isdecimal() for name in header]
    if not any(header) or all(numbers) or any(number and "." in name for number, name in zip(numbers, header)):
        raise TableError(f"{where} has no header: the first line must name the columns, and is {listed(header, 4)}")
    header = [name or f"column {place}" for place, name in enumerate(header, 1)]
    for name, times in Counter(header).items():
        if times > 1:
            raise TableError(f"{where} has {times} columns called {name!r}: rename all but one")
    for row in rows:
        if len(row.cells) != len(header):
            raise TableError(f"{where}, line {row.line}: {counted(len(row.cells), 'field')}, where the header has "
                             f"{len(header)}")
    table = CsvTable(where, header, rows, found.delimiter, found.encoding, decimal or "")
    return table if decimal else replace(table, decimal=decimal_mark(table))


WHICH = "--decimal . or --decimal , says which mark stands before decimals"


def decimal_mark(table: CsvTable) -> str:
    """The mark before decimals that the columns of numbers of a table show; "" if none does. Raises TableError if it is
    in doubt."""
    point, commas = next(examples(table, table.header, "."), None), [*examples(table, table.header, ",")]
    by_commas = table.delimiter == ","  # then a cell such as "1,2" may be no number at all
    if point and commas and not by_commas:
        (one, cell, line), (other, comma, there) = point, commas[0]
        raise TableError(f"{table.path}: {cell!r} (line {line}, {one}) has a decimal point, {comma!r} (line {there}, "
                         f"{other}) a decimal comma; {WHICH}, and what has the other one is then text")
    if point and not commas:
        return "."
    if commas and not by_commas:
        return ","
    doubt = next(examples(table, [name for name, *_ in commas] if point else table.header, "?"), None)
    if doubt is None or (by_commas and not commas):
        return "." if doubt or commas else ""
    name, cell, line = doubt
    readings = sorted({f"{q.number:.15g}" for mark in ".," if (q := quantity(cell, mark))})
    raise TableError(f"{table.path}: {cell!r} (line {line}, {name}) may be {' or '.join(readings)}; {WHICH}")


def examples(table: CsvTable, names: Iterable[str], kind: str) -> Iterator[tuple[str, str, int]]:
    """Of each column of numbers that has one, the first cell whose decimal mark is of this kind (see `marked`): the
    name of the column, the cell, its line."""
    signs = ".," if kind == "?" else kind
    for name in names:
        place = table.place(name)
        for row in table.rows:
            cell = row.cells[place]
            if any(sign in cell for sign in signs) and marked(cell) == kind:
                present = [cell for row in table.rows if not is_missing(cell := row.cells[place], numeric=True)]
                if sum(1 for cell in present if quantity(cell, ".") or quantity(cell, ",")) >= MOSTLY * len(present):
                    yield name, row.cells[place], row.line
                break


@dataclass(frozen=True, slots=True)
class Column:
    """The rule by which one column becomes inputs.

    median: what stands for a missing number; None in a column of categories. unit: what stands beside the numbers.
    shares: of each category in the training rows; "" is the category of the missing. suffixes, largest: those that mean
    powers of ten here, and the largest number before one, see `in_units`.
    """

    name: str
    median: float | None
    unit: str
    shares: dict[str, float]
    suffixes: list[str] = field(default_factory=list)
    largest: float = 0.0

    @property
    def width(self) -> int:
        """The number of inputs that a cell makes."""
        return 1 if self.median is not None else len(self.shares)

    def inputs(self, table: CsvTable, cell: str) -> tuple[list[float], str]:
        """The inputs for a cell, and what is odd about it: "missing", "not a number", "of another unit", "unknown", or
        ""."""
        if self.median is not None:
            found = table.number(cell)
            if found is None:
                return [self.median], "missing" if is_missing(cell, numeric=True) else "not a number"
            x = in_units(found, self.unit, self.suffixes, self.largest)
            return ([self.median], "of another unit") if x is None else ([x], "")
        odd = "" if cell and cell in self.shares else "missing" if is_missing(cell) else "unknown"
        if odd and "" not in self.shares:  # nothing was missing in training: halfway between all categories
            return list(self.shares.values()), odd
        return [float(known == ("" if odd else cell)) for known in self.shares], odd


@dataclass(frozen=True, slots=True)
class Target:
    """The column to predict. classes: their names; none for regression, which predicts mean + scale · output. unit,
    suffixes: of the numbers, as those of a `Column`."""

    name: str
    classes: list[str]
    mean: float = 0.0
    scale: float = 1.0
    unit: str = ""
    suffixes: list[str] = field(default_factory=list)


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) <= LARGEST


def are_names(x: Any) -> bool:
    return isinstance(x, list) and all(isinstance(name, str) for name in x) and len(set(x)) == len(x)


FITS: dict[str, Callable[[Any], bool]] = {  # what each field of a Target and of a Column may hold, in a file
    "name": lambda x: isinstance(x, str),
    "unit": lambda x: isinstance(x, str),
    "suffixes": lambda x: are_names(x) and all(map(is_suffix, x)),
    "classes": lambda x: are_names(x) and len(x) != 1,
    "mean": is_number,
    "scale": is_number,
    "largest": is_number,
    "median": lambda x: x is None or is_number(x),
    "shares": lambda x: isinstance(x, dict) and all(map(is_number, x.values())),
}


@dataclass(frozen=True, slots=True)
class CsvPlan:
    """The rules by which rows become inputs, and outputs a prediction: all that was learnt of the columns."""

    target: Target
    columns: list[Column]

    @classmethod
    def of(cls, data: Any) -> CsvPlan:
        """The plan that dataclasses.asdict wrote as plain data. Raises ValueError for other data."""
        try:
            facts = [(key, fact) for part in (data["target"], *data["columns"]) for key, fact in part.items()]
            plan = cls(Target(**data["target"]), [Column(**column) for column in data["columns"]])
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"how it reads a table is not plain: {error}") from None
        for key, fact in facts:
            if not FITS[key](fact):
                raise ValueError(f"how it reads a table is not plain: {key!r} is {fact!r:.40}")
        return plan

    @property
    def inputs(self) -> int:
        """The number of inputs that all columns make together."""
        return sum(column.width for column in self.columns)

    def encode(self, table: CsvTable, rows: Sequence[Row]) -> tuple[list[list[float]], list[str]]:
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
                cells = [row.cells[place] for row in found]
                hint = table.other_mark(cells) if problem == "not a number" else ""
                example = "" if problem == "missing" else f" ({cells[0]!r:.30} in line {found[0].line}{hint})"
                notes.append(f"{column.name}: {len(found)} {problem}{example}")
        return X, notes


def find_target(table: CsvTable, name: str, task: str = "auto") -> tuple[Target, list[Row], list[float]]:
    """The target, the rows that have one, and for each the number to predict: the index of its class, or the number.

    task: "classification", "regression", or "auto": regression if all are numbers, and not just a few whole ones.
    Raises TableError where the column cannot be such a target.
    """
    place, where = table.place(name), f"{table.path}: the target {name!r}"
    signs = any(row.cells[place] == "+" for row in table.rows)
    rows = [row for row in table.rows if not is_missing(row.cells[place], True, signs)]
    odd = next((row for row in rows if table.number(row.cells[place]) is None), None)
    unit, suffixes, numbers, why = "", list[str](), dict[str, float](), ""  # why: they are not to be compared
    if odd is not None:
        rows = [row for row in table.rows if not is_missing(row.cells[place], False, signs)]
        why = f" is {odd.cells[place]!r} in line {odd.line}"
    cells = [row.cells[place] for row in rows]
    hint = table.other_mark(cells) if odd is not None and cells else ""
    found = {cell: q for cell in dict.fromkeys(cells) if odd is None and (q := table.number(cell))}
    called = {cell: cell for cell in cells}
    called |= {cell: called_alike(table, q.number, q.beside) for cell, q in found.items()}  # 1 and 1.0 are one class
    if found:
        try:
            unit, suffixes = in_common(found)
            numbers = {cell: q.scaled if suffixes else q.number for cell, q in found.items()}
            called = {cell: called_alike(table, x, unit) for cell, x in numbers.items()}
        except MixedError as error:
            why = f" has {error}"
    if len(rows) < LEAST_ROWS:
        raise TableError(f"{where} has a value in {counted(len(rows), 'row')}: at least {LEAST_ROWS} are needed to "
                         "learn from")
    classes = {called[cell]: numbers.get(cell, q.number if (q := table.number(cell)) else 0.0) for cell in called}
    if len(classes) == 1:
        raise TableError(f"{where} is always {called[cells[0]]!r}: there is nothing to tell apart")
    few = len(classes) <= min(10, len(cells) // 3) and all(x.is_integer() for x in numbers.values())
    if task == "regression" or (task == "auto" and (numbers or hint) and not few):
        if not numbers:
            unit_too = ", of one unit" if odd is None else ""
            raise TableError(f"{where}{why}: regression needs a finite number{unit_too}{hint}")
        return Target(name, [], unit=unit, suffixes=suffixes), rows, [numbers[cell] for cell in cells]
    if len(classes) > len(cells) / 2:
        numeric = 2 * sum(table.number(cell) is not None for cell in cells) > len(cells)
        more = f"; it{why}" if why and (odd is None or numeric) else ""
        raise TableError(f"{where} has {len(classes)} different values in {len(rows)} rows: not numbers, not classes"
                         + more)
    ordered = sorted(classes, key=lambda name: (classes[name], name))
    index = {name: number for number, name in enumerate(ordered)}
    return Target(name, ordered), rows, [index[called[cell]] for cell in cells]


def called_alike(table: CsvTable, x: float, unit: str) -> str:
    """The name of a class of numbers, however it is written in a cell."""
    return f"{x + 0.0:.15g}".replace(".", table.decimal or ".") + f" {unit}".rstrip()


def make_plan(table: CsvTable, target: Target, rows: Sequence[Row], y: Sequence[float],
              ignore: Iterable[str] = ()) -> tuple[CsvPlan, dict[str, str]]:
    """The plan that the training rows, with the numbers y to predict, teach; and what to print about each column."""
    if not target.classes:
        target = replace(target, mean=statistics.fmean(y), scale=statistics.pstdev(y) or 1.0)
    ignored = [table.header[table.place(name)] for name in ignore]
    unused = {target.name, *ignored}
    columns, report, inputs = list[Column](), dict[str, str](), 0
    for place, name in enumerate(table.header):
        if name not in unused:
            column, report[name] = learn(table, name, [row.cells[place] for row in rows])
            columns += [column] if column else []
            inputs += column.width if column else 0
        if inputs > MOST_INPUTS:
            raise TableError(f"{table.path} makes more than {MOST_INPUTS:,} inputs of its columns up to {name!r}: a "
                             "network of single numbers learns from fewer; leave columns out")
    if not columns:
        why = "".join(f"; {name}: {words}" for name, words in report.items())
        why += f"; ignored: {listed(ignored, 20)}" if ignored else ""
        raise TableError(f"{table.path} has no column to predict {target.name!r} from{why}")
    return CsvPlan(target, columns), report


def learn(table: CsvTable, name: str, cells: list[str]) -> tuple[Column | None, str]:
    """The column that these cells make, and what to print about it; None for one that is of no use."""
    signs = "+" in cells
    present = [cell for cell in cells if not is_missing(cell, True, signs)]
    if not present:
        return None, "left out: all missing"
    found = {cell: q for cell in dict.fromkeys(present) if (q := table.number(cell))}
    right, why = sum(cell in found for cell in present), ""
    if right >= MOSTLY * len(present):
        try:
            common = in_common(found)
        except MixedError as error:
            why = str(error)
        else:
            return learn_numbers(table, name, [found.get(cell) for cell in present], len(cells) - len(present), *common)
    times = Counter("" if is_missing(cell, False, signs) else cell for cell in cells)
    missing = times[""]
    if len(times) == 1:
        return None, f"left out: always {present[0]!r:.30}"
    if len(times) > MOST_CATEGORIES or len(times) > max(10, (len(cells) - missing) / 2):
        others = [cell for cell in present if cell not in found]
        if others and right > len(others):
            return None, f"left out: {right} numbers, but {len(others)} cells such as {others[0]!r:.20}"
        why = why or (f"{len(times)} different values in {len(cells)} rows, such as {present[0]!r:.20}"
                      f"{table.other_mark(others)}")
        return None, f"left out: {why}"
    shares = {category: times[category] / len(cells) for category in sorted(times)}
    words = listed([category for category in shares if category], 5) + (f", {missing} missing" if missing else "")
    return Column(name, None, "", shares), words + (f" (taken as words: {why})" if why else "")


def learn_numbers(table: CsvTable, name: str, found: Sequence[Quantity | None], missing: int, unit: str,
                  suffixes: list[str]) -> tuple[Column | None, str]:
    """The column that `learn` makes of numbers that have this in common; None among them is a slip."""
    known = [q for q in found if q is not None]
    numbers = sorted(q.scaled if suffixes else q.number for q in known)
    if numbers[0] == numbers[-1]:
        return None, f"left out: always {numbers[0] + 0.0:.15g} {unit}".rstrip()
    if len(set(numbers)) == len(found) and all(x.is_integer() for x in numbers):
        if (COUNTER.fullmatch(name) or IDENTITY.fullmatch(name)) and counts(table, name, numbers):
            return None, "left out: it numbers the rows"
        if IDENTITY.fullmatch(name):
            return None, "left out: it tells the rows apart"
    middle = statistics.median(numbers) + 0.0  # 0, not -0
    odd = {"missing": missing, "not a number": len(found) - len(known),
           f"without {unit}": sum(not q.unit for q in known) if unit else 0}
    words = f"{span(numbers, unit, suffixes)}, median {middle:{form(suffixes)}}"
    return (Column(name, middle, unit, {}, suffixes, largest_before_suffix(known) if suffixes else 0.0),
            words + "".join(f", {count} {what}" for what, count in odd.items() if count))


def counts(table: CsvTable, name: str, numbers: list[float]) -> bool:
    """True if different whole numbers count without a gap; in the whole table, of which these may be a part."""
    place = table.place(name)
    whole = [q.number for row in table.rows if (q := table.number(row.cells[place]))] or numbers
    return len(set(whole)) == len(whole) == max(whole) - min(whole) + 1


def span(numbers: Iterable[float], unit: str, suffixes: Sequence[str]) -> str:
    """From the least number to the largest, to print: "1 to 8 cm", "950 to 2,900 (K = thousand)"."""
    least, *_, largest = sorted(x + 0.0 for x in numbers)  # 0, not -0
    return f"{least:{form(suffixes)}} to {largest:{form(suffixes)}} {unit}".rstrip() + explained(suffixes)


def form(suffixes: Sequence[str]) -> str:
    """The format of numbers that were read with suffixes, or without."""
    return ",.10g" if suffixes else "g"


def is_missing(cell: str, numeric: bool = False, signs: bool = False) -> bool:
    """True if the cell stands for nothing: "None" does among numbers; among words it may be a category. signs: "-" is
    the other of "+"."""
    return (cell.lower() in MISSING and not (signs and cell == "-")) or (numeric and cell.lower() == "none")


def brief(text: str) -> str:
    """A name or a cell, to print."""
    return text if len(text) <= 60 else text[:57] + "..."


def listed(names: Sequence[str], most: int) -> str:
    return ", ".join(map(brief, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")
