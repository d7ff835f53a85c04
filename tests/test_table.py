"""From CSV files, well made and not, to numbers."""

import json
import math
import statistics
from dataclasses import asdict
from pathlib import Path

import pytest

from micrograd.cli.demo import IRIS
from micrograd.data.delimited import Row
from micrograd.data.table import (
    MOST_INPUTS,
    Column,
    CsvPlan,
    CsvTable,
    TableError,
    Target,
    find_target,
    learn,
    make_plan,
    read_table,
)

GOOD = "x,colour,y\n" + "".join(f"{i}.5,{'red' if i % 3 else 'green'},{'ab'[i % 2]}\n" for i in range(12))
ROWS = [[f"{i}.5", "red" if i % 3 else "green", "ab"[i % 2]] for i in range(12)]


def table_of(tmp_path: Path, content: str | bytes) -> CsvTable:
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def bare(name: str = "x") -> CsvTable:
    return CsvTable("t.csv", [name], [], ",", "utf-8-sig")


# Reading

@pytest.mark.parametrize("content", [
    GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("\n", "\r"), GOOD.replace(",", ";"),
    GOOD.replace(",", "\t"), GOOD.replace(",", " , "), "\n\n" + GOOD.replace("\n", "\n\n"), GOOD.encode("utf-16"),
    GOOD.replace("red", '"red"'), GOOD.removesuffix("\n"),
], ids=["plain", "BOM", "CRLF", "CR", "semicolons", "tabs", "spaces", "blank lines", "UTF-16", "quoted", "no end"])
def test_the_same_table_in_many_forms(tmp_path: Path, content: str | bytes) -> None:
    table = table_of(tmp_path, content)
    assert table.header == ["x", "colour", "y"]
    assert [row.cells for row in table.rows] == ROWS


def test_text_that_is_not_utf8_is_read_as_windows_text(tmp_path: Path) -> None:
    table = table_of(tmp_path, GOOD.replace("red", "größe").encode("latin-1"))
    assert table.rows[1].cells[1] == "größe"
    assert table.encoding == "Windows-1252"


def test_quoted_cells_may_hold_delimiters_and_newlines(tmp_path: Path) -> None:
    table = table_of(tmp_path, '"a;b","c\nd"\n"1,5","two\nlines"\n3,4\n')
    assert table.header == ["a;b", "c\nd"]
    assert table.rows == [Row(4, ["1,5", "two\nlines"]), Row(5, ["3", "4"])]


@pytest.mark.parametrize(("content", "message"), [
    ("", "t.csv is empty"),
    (" \n\n", "t.csv is empty"),
    (b"PK\x03\x04\0\0", "not a text file"),
    ("1.5,2,a\n" + GOOD, "has no header: the first line must name the columns, and is 1.5, 2, a"),
    ("1,2,3\n" + GOOD, "has no header"),
    ("x,x,y\n1,2,3\n", "2 columns called 'x'"),
    (",,\n1,2,3\n", "has no header"),
    ("column 2,,y\n1,2,3\n", "2 columns called 'column 2'"),
    ("sep=;\n", "t.csv is empty"),
    (GOOD + "1,2\n", "line 14: 2 fields, where the header has 3"),
    (GOOD + "1,2,3,4\n", "line 14: 4 fields, where the header has 3"),
    (GOOD + '1,"2,3\n', "after line 13: .*quotation mark"),
    (GOOD + "1," + "a" * 200_000 + ",3\n", "after line 13: field larger"),
])
def test_what_is_not_a_table_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        table_of(tmp_path, content)


def test_a_header_may_name_years(tmp_path: Path) -> None:
    assert table_of(tmp_path, "country,2019,2020\na,1,2\n").header == ["country", "2019", "2020"]


def test_columns_without_a_name_are_numbered(tmp_path: Path) -> None:
    """As pandas writes its index; and a delimiter too many at the end of each line."""
    table = table_of(tmp_path, ",x,y,\n" + "".join(f"{i},{i % 3},{'ab'[i % 2]},\n" for i in range(12)))
    assert table.header == ["column 1", "x", "y", "column 4"]
    target, rows, y = find_target(table, "y")
    assert make_plan(table, target, rows, y)[1] == {
        "column 1": "left out: it numbers the rows", "x": "0 to 2, median 1", "column 4": "left out: all missing"}
    assert table_of(tmp_path, "\tx\n0\t1\n").header == ["column 1", "x"]


def test_a_first_line_may_tell_the_separator(tmp_path: Path) -> None:
    for line in ("sep=;", '"sep=;"'):
        table = table_of(tmp_path, f"{line}\r\nx;y,z\r\n1;2\r\n")
        assert table.header == ["x", "y,z"]
        assert table.rows == [Row(3, ["1", "2"])]


def test_an_unknown_separator_is_told(tmp_path: Path) -> None:
    for header in ("x|y|label", "x y label"):
        with pytest.raises(TableError, match="has one column, called '" + header.replace("|", "[|]") + "': separate"):
            table_of(tmp_path, header + "\n1\n").place("label")


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no column 'Color' \(did you mean 'colour'\?\); it has x, colour, y"):
        table_of(tmp_path, GOOD).place("Color")


# Columns

def test_a_column_of_numbers() -> None:
    column, words = learn(bare(), "x", ["3", "NA", "1", "10", ""])
    assert column == Column("x", 3.0, "", {})
    assert words == "1 to 10, median 3, 2 missing"
    assert column.inputs(bare(), "7.5") == ([7.5], "")
    assert column.inputs(bare(), "?") == ([3.0], "missing")
    assert column.inputs(bare(), "seven") == ([3.0], "not a number")
    assert column.inputs(bare(), "7 cm") == ([3.0], "of another unit")


def test_a_column_of_numbers_with_a_unit() -> None:
    column, words = learn(bare(), "x", ["3 cm", "1 cm", "8"])
    assert column == Column("x", 3.0, "cm", {})
    assert words == "1 to 8 cm, median 3, 1 without cm"
    assert column.inputs(bare(), "2 cm") == ([2.0], "")
    assert column.inputs(bare(), "2 inch") == ([3.0], "of another unit")
    assert learn(bare(), "x", ["3 cm", "1 inch", "8"]) == (
        Column("x", None, "", {"1 inch": 1 / 3, "3 cm": 1 / 3, "8": 1 / 3}),
        "1 inch, 3 cm, 8 (taken as words: '3 cm' beside '1 inch': units are not mixed)")


def test_a_slip_in_a_column_of_numbers() -> None:
    column, words = learn(bare(), "x", [str(i) for i in range(19)] + ["oops"])
    assert column == Column("x", 9.0, "", {})
    assert words == "0 to 18, median 9, 1 not a number"


def test_none_is_missing_among_numbers_only() -> None:
    column, words = learn(bare(), "x", ["3", "None", "1", "none"])
    assert column == Column("x", 2.0, "", {})
    assert words == "1 to 3, median 2, 2 missing"
    assert column.inputs(bare(), "None") == ([2.0], "missing")
    assert learn(bare(), "pain", ["none", "mild", "none", ""])[1] == "mild, none, 1 missing"
    assert target_of(["1", "2", "None"] * 6) == (Target("y", ["1", "2"]), [0, 1] * 6)
    assert target_of(["none", "mild"] * 6)[0].classes == ["mild", "none"]


def test_a_column_of_categories() -> None:
    column, words = learn(bare(), "c", ["red", "green", "red", "", "red"])
    assert column == Column("c", None, "", {"": 0.2, "green": 0.2, "red": 0.6})
    assert words == "green, red, 1 missing"
    assert column.inputs(bare(), "red") == ([0, 0, 1], "")
    assert column.inputs(bare(), "NaN") == ([1, 0, 0], "missing")
    assert column.inputs(bare(), "blue") == ([1, 0, 0], "unknown")


def test_a_category_that_nothing_was_learnt_of_is_the_average_one() -> None:
    column, _ = learn(bare(), "c", ["red", "green", "red", "red"])
    assert column is not None
    assert column.inputs(bare(), "blue") == ([0.25, 0.75], "unknown")
    assert column.inputs(bare(), "") == ([0.25, 0.75], "missing")


@pytest.mark.parametrize(("name", "cells", "words"), [
    ("x", ["", "NA", "nan"], "left out: all missing"),
    ("x", ["3", "3.0", ""], "left out: always 3"),
    ("c", ["red", "red"], "left out: always 'red'"),
    ("c", [f"k{i}" for i in range(30)], "left out: 30 different values in 30 rows, such as 'k0'"),
    ("c", [f"k{i % 101}" for i in range(1000)], "left out: 101 different values in 1000 rows, such as 'k0'"),
    ("x", [f"{i}.5" for i in range(33)] + ["abc", "?"] * 11, "left out: 33 numbers, but 11 cells such as 'abc'"),
    ("Unnamed: 0", ["5", "3", "4"], "left out: it numbers the rows"),
    ("No", ["5", "3", "4"], "left out: it numbers the rows"),
    ("Unnamed: 0", ["17", "3", "4"], "left out: it tells the rows apart"),
    ("Id", ["17", "3", "4"], "left out: it tells the rows apart"),
    ("customer_id", ["17", "3", "4"], "left out: it tells the rows apart"),
])
def test_columns_of_no_use(name: str, cells: list[str], words: str) -> None:
    assert learn(bare(name), name, cells) == (None, words)


def test_numbers_that_only_look_like_those_of_rows_are_kept() -> None:
    for name, cells in (("day", ["1", "2", "3"]), ("paid", ["1", "2", "3"]), ("id", ["1.5", "1.25", "3"]),
                        ("NO", ["1.5", "2.5", "3.5"]), ("no", ["10.5", "11", "12"]), ("NO", ["17", "3", "4"]),
                        ("glycemic index", ["55", "40", "72"]), ("row", ["1", "2", "2"])):
        column, words = learn(bare(name), name, cells)
        assert column is not None, words


# Targets

def target_of(cells: list[str], task: str = "auto", decimal: str = "") -> tuple[Target, list[float]]:
    table = CsvTable("t.csv", ["y"], [Row(i + 2, [cell]) for i, cell in enumerate(cells)], ",", "utf-8-sig", decimal)
    target, _, y = find_target(table, "y", task)
    return target, y


def test_words_are_classes() -> None:
    assert target_of(["no", "yes", "no"] * 4) == (Target("y", ["no", "yes"]), [0, 1, 0] * 4)


def test_plus_and_minus_are_classes() -> None:
    """A - by itself stands for nothing."""
    target, y = target_of(["+", "-", "+", "-"] * 5)
    assert (target.classes, y) == (["+", "-"], [0, 1] * 10)
    assert target_of(["low", "-", "high"] * 6)[0].classes == ["high", "low"]
    assert target_of(["+", "-", "", "0"] * 6)[0].classes == ["+", "-", "0"]


def test_few_whole_numbers_are_classes_in_their_order() -> None:
    assert target_of(["10", "9", "9"] * 4) == (Target("y", ["9", "10"]), [1, 0, 0] * 4)


def test_one_number_written_in_two_ways_is_one_class() -> None:
    assert target_of(["0", "1", "1.0"] * 4) == (Target("y", ["0", "1"]), [0, 1, 1] * 4)
    assert target_of(["5 mg", "10mg", "10 mg"] * 4) == (Target("y", ["5 mg", "10 mg"]), [0, 1, 1] * 4)
    assert target_of(["950", "1.2K", "1200"] * 4) == (Target("y", ["950", "1200"]), [0, 1, 1] * 4)
    assert target_of(["a", "1", "1.0"] * 4)[0].classes == ["a", "1", "1.0"]  # not all are numbers
    assert target_of(["1,50", "2", "1,5"] * 4, "classification", ",") == (Target("y", ["1,5", "2"]), [0, 1, 0] * 4)


def test_numbers_are_for_regression() -> None:
    numbers = [1.5, 2.0, 2.5] * 4
    assert target_of([str(x) for x in numbers]) == (Target("y", []), numbers)
    assert target_of([str(i) for i in range(12)]) == (Target("y", []), list(range(12)))
    assert target_of(["10", "9", "9"] * 4, "regression") == (Target("y", []), [10, 9, 9] * 4)
    assert target_of(["1.5", "2.5", "1.5"] * 4, "classification") == (Target("y", ["1.5", "2.5"]), [0, 1, 0] * 4)


def test_rows_without_a_target_are_left_out(tmp_path: Path) -> None:
    target, rows, y = find_target(table_of(tmp_path, GOOD + "1,red,\n1,red,NA\n"), "y")
    assert len(rows) == len(y) == 12
    assert target.classes == ["a", "b"]


@pytest.mark.parametrize(("cells", "task", "message"), [
    (["a", "b"] * 4 + [""] * 9, "auto", "has a value in 8 rows: at least 10"),
    (["a"] * 12, "auto", "always 'a'"),
    ([f"name {i}" for i in range(12)], "auto", "12 different values in 12 rows: not numbers, not classes"),
    (["1.5"] * 11 + ["two"], "regression", "'two' in line 13: regression needs a finite number"),
    (["5 cm", "3 mm"] * 6, "regression", "has '5 cm' beside '3 mm': units are not mixed: regression needs a finite number, of"),
    ([f"{i}{'%' * (i % 2)}" for i in range(12)], "auto", r"not classes; it has '0' beside '1%': is that without %\?"),
    (["1.5", "2.5"] * 6 + ["inf"], "regression", "'inf' in line 14: regression needs a finite number"),
    ([f"{i},5" for i in range(20)] * 2, "auto", "is '0,5' in line 2: regression needs a finite number; if these are "
     "numbers: --decimal ,"),
    ([f"{i},5" for i in range(20)] * 2, "regression", "; if these are numbers: --decimal ,"),
    ([f"{i}.5" for i in range(20)] + ["(3)"], "auto", r"not numbers, not classes; it is '\(3\)' in line 22"),
])
def test_columns_that_cannot_be_a_target(cells: list[str], task: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        target_of(cells, task)


# Plans

def test_a_plan_encodes_and_survives_json(tmp_path: Path) -> None:
    table = table_of(tmp_path, GOOD + "lots,blue,\n,,\n")
    target, rows, y = find_target(table, "y")
    plan, report = make_plan(table, target, rows, y)
    assert report == {"x": "0.5 to 11.5, median 6", "colour": "green, red"}
    assert CsvPlan.of(json.loads(json.dumps(asdict(plan)))) == plan
    X, notes = plan.encode(table, table.rows)
    assert X[:2] == [[0.5, 1, 0], [1.5, 0, 1]]
    assert X[-2:] == [[6.0, 1 / 3, 2 / 3]] * 2
    assert notes == ["x: 1 not a number ('lots' in line 14)", "x: 1 missing",
                     "colour: 1 unknown ('blue' in line 14)", "colour: 1 missing"]


def test_a_regression_target_is_standardised_by_the_training_rows(tmp_path: Path) -> None:
    table = table_of(tmp_path, "x,y\n" + "".join(f"{i},{i * i / 2}\n" for i in range(12)))
    target, rows, y = find_target(table, "y")
    plan, _ = make_plan(table, target, rows[:6], y[:6])
    assert plan.target.mean == statistics.fmean(y[:6])
    assert math.isclose(plan.target.scale, statistics.pstdev(y[:6]))


def test_columns_to_ignore(tmp_path: Path) -> None:
    table = table_of(tmp_path, GOOD)
    target, rows, y = find_target(table, "y")
    plan, report = make_plan(table, target, rows, y, ignore=["colour"])
    assert [column.name for column in plan.columns] == list(report) == ["x"]
    with pytest.raises(TableError, match="no column 'color'"):
        make_plan(table, target, rows, y, ignore=["color"])
    with pytest.raises(TableError, match="no column to predict 'y' from; ignored: colour, x"):
        make_plan(table, target, rows, y, ignore=["colour", "x"])


# Wide tables

def test_there_is_a_limit_to_what_a_network_of_single_numbers_takes(tmp_path: Path) -> None:
    cells = [f"{i}.5" for i in range(12)]
    wide = ",".join(f"c{k}" for k in range(MOST_INPUTS + 1)) + ",y\n"
    table = table_of(tmp_path, wide + "".join(f"{cell}," * (MOST_INPUTS + 1) + "ab"[i % 2] + "\n" for i, cell in enumerate(cells)))
    target, rows, y = find_target(table, "y")
    assert len(make_plan(table, target, rows, y, ["c7"])[0].columns) == MOST_INPUTS
    with pytest.raises(TableError, match=r"more than 20,000 inputs of its columns up to 'c20000': .*; leave columns out"):
        make_plan(table, target, rows, y)


# The data in the package

def test_iris_is_as_fisher_published_it() -> None:
    table = read_table(IRIS)
    assert table.header[-1] == "species"
    flowers = [[float(cell) for cell in row.cells[:4]] for row in table.rows]
    assert [row.cells[4] for row in table.rows] == ["setosa"] * 50 + ["versicolor"] * 50 + ["virginica"] * 50
    means = [[round(statistics.fmean(column), 3) for column in zip(*flowers[k:k + 50])] for k in (0, 50, 100)]
    assert means == [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]]
    assert flowers[34] == [4.9, 3.1, 1.5, 0.2]  # these two are often given wrong
    assert flowers[37] == [4.9, 3.6, 1.4, 0.1]
