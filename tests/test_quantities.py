"""Numbers as people write them: what is read is what was written, or it is refused in words."""

import csv
import io
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micrograd.data.quantities import MixedError, Quantity, explained, in_common, in_units, marked, quantity
from micrograd.data.table import Column, TableError, learn, read_table


@pytest.mark.parametrize(("cell", "number", "unit"), [
    ("12", 12, ""), ("-1.5e-3", -0.0015, ""), ("+.5", 0.5, ""), ("5.", 5, ""), ("−2", -2, ""), ("0012", 12, ""),
    ("1,234.5", 1234.5, ""), ("1,234,567", 1234567, ""), ("1 200", 1200, ""), ("1 200 300.5", 1200300.5, ""),
    ("1\u00a0200", 1200, ""), ("1\u202f200", 1200, ""), ("1'200.50", 1200.5, ""), ("1’200", 1200, ""),
    ("0.5D+03", 500, ""), ("0.5d-01", 0.05, ""), ("1E3", 1000, ""), ("٣", 3, ""),
    ("$12", 12, "$"), ("-$5", -5, "$"), ("$-5", -5, "$"), ("12 €", 12, "€"), ("$3 per kg", 3, "$ per kg"), ("₹7", 7, "₹"),
    ("5.1 cm", 5.1, "cm"), ("12 %", 12, "%"), ("80km/h", 80, "km/h"), ("5 km", 5, "km"), ("21 m2", 21, "m2"),
    ("5.6 l/100km", 5.6, "l/100km"), ("5m", 5, "m"), ("300 K", 300, "K"), ("1.2 M", 1.2, "M"), ("1.2 billion", 1.2, "billion"),
])
def test_numbers(cell: str, number: float, unit: str) -> None:
    assert quantity(cell) == Quantity(number, unit, "", number)


@pytest.mark.parametrize(("cell", "number", "unit", "suffix", "scaled"), [
    ("1.2K", 1.2, "", "K", 1200), ("2.9k", 2.9, "", "k", 2900), ("1.1M", 1.1, "", "M", 1100000), ("4.35K", 4.35, "", "K", 4350),
    ("1.2 Mio.", 1.2, "", "Mio", 1.2e6), ("3 MIO", 3, "", "MIO", 3e6), ("2.5 million people", 2.5, "people", "million", 2.5e6),
    ("7bn", 7, "", "bn", 7e9), ("1.5 Mrd €", 1.5, "€", "Mrd", 1.5e9), ("12 lakh", 12, "", "lakh", 1.2e6),
    ("$1.2K", 1.2, "$", "K", 1200), ("1.2K USD", 1.2, "USD", "K", 1200), ("5 k€", 5, "€", "k", 5000), ("3M$", 3, "$", "M", 3e6),
    ("1e2K", 100, "", "K", 100000), ("2.5B", 2.5, "", "B", 2.5e9),
])
def test_suffixes(cell: str, number: float, unit: str, suffix: str, scaled: float) -> None:
    assert quantity(cell) == Quantity(number, unit, suffix, scaled)


@pytest.mark.parametrize("cell", [
    "2021-01-05", "12:30", "1.2.3", "A1", "inf", "nan", "1e999", "1e200", "1e149 K€", "", "-", "1_000", "1,5", "0,123", "1,2345",
    "12,34,567", "1 20", "1,200'300", "-$-5", "(5)", "1/2", "5½", "5²", "5 ft 11 in", "2h30", "3x10^5", "0x1F", "5'11", "5 to 10",
    "1" * 400, "7" * 5000 + "x" * 20,
])
def test_what_is_no_number(cell: str) -> None:
    assert quantity(cell) is None


@pytest.mark.parametrize(("cell", "number"), [
    ("0,5", 0.5), ("1.234,5", 1234.5), ("1.200", 1200), ("-0,25 cm", -0.25), ("1 200,5", 1200.5), (",5", 0.5), ("12", 12),
    ("1.234.567", 1234567), ("5.", 5), ("1,5e3", 1500), ("1,2 Mio. €", 1.2), ("1.5", None), ("1,200,300", None), ("0.5", None),
])
def test_with_a_decimal_comma(cell: str, number: float | None) -> None:
    found = quantity(cell, ",")
    assert (found.number if found else None) == number


@pytest.mark.parametrize(("cell", "mark"), [
    ("0.5", "."), ("12.34", "."), ("1234.567", "."), ("0.500", "."), ("1,200.5", "."), ("1,200,300", "."), ("5.e3", ""),
    ("0,5", ","), ("1.200,5", ","), ("1.200.300", ","), ("0,123", ","), ("1 200,500", ","),
    ("1.200", "?"), ("1,200", "?"), ("-12,345 cm", "?"), ("$1.200", "?"), ("999.999", "?"),
    ("12", ""), ("5.", ""), ("5,", ""), ("1 200", ""), ("01.02.2021", ""), ("a.b", ""), ("", ""),
])
def test_which_mark_a_cell_shows(cell: str, mark: str) -> None:
    assert marked(cell) == mark


# What a column has in common

def common(*cells: str) -> tuple[str, list[str]]:
    found = {cell: q for cell in cells if (q := quantity(cell))}
    assert len(found) == len(set(cells))
    return in_common(found)


@pytest.mark.parametrize(("cells", "unit", "suffixes"), [
    (("1", "2.5"), "", []), (("1 cm", "2cm"), "cm", []), (("1 cm", "2"), "cm", []), (("$5", "5 $", "7"), "$", []),
    (("50%", "3 %"), "%", []), (("5m", "7 m"), "m", []), (("300 K", "295 K"), "K", []), (("5B", "7B"), "B", []), (("3T", "1.5T"), "T", []),
    (("950", "1.2K", "2.9K"), "", ["", "K"]), (("1.2K", "2.9K"), "", ["K"]), (("1.2K", "1.1M"), "", ["", "K", "M"]),
    (("$950", "$1.2K"), "$", ["", "K"]), (("999.5", "1.2K"), "", ["", "K"]), (("0", "0.0", "1.2K"), "", ["", "K"]),
    (("1.2 Mio. €", "900 Tsd. €"), "€", ["", "Mio", "Tsd"]), (("950M", "1.2B", "2.1T"), "", ["", "B", "M", "T"]),
])
def test_what_makes_sense_together(cells: tuple[str, ...], unit: str, suffixes: list[str]) -> None:
    assert common(*cells) == (unit, suffixes)


@pytest.mark.parametrize(("cells", "words"), [
    (("50%", "0.5"), "'0.5' beside '50%': is that without %?"), (("5 cm", "3 mm"), "'5 cm' beside '3 mm': units are not mixed"),
    (("$5", "€3"), "units are not mixed"), (("300 K", "295"), "is that without K?"), (("1.2K", "3 K"), "is that without K?"),
    (("5m", "3"), "is that without m?"), (("950", "1.2m"), "is that without m?"), (("950", "1.2 tys."), "is that without tys.?"),
    (("1.2m", "950k"), "is that without m?"), (("1.2K", "0.5"), "'0.5' beside '1.2K': is that without K?"),
    (("300K", "5B"), "'5B' beside '300K': B may be a unit, or billion"), (("950B", "3M", "1T"), "may be a unit"),
    (("5 MB", "900 KB"), "units are not mixed"), (("950", "1.2B"), "is that without B?"),
    (("$1.2K", "€3K"), "units are not mixed"), (("1.2K kg", "5 g"), "units are not mixed"),
])
def test_what_does_not(cells: tuple[str, ...], words: str) -> None:
    with pytest.raises(MixedError) as error:
        common(*cells)
    assert words in str(error.value)


@pytest.mark.parametrize(("learnt", "cell", "number"), [
    (("950", "1.2K"), "3K", 3000), (("950", "1.2K"), "700", 700), (("950", "1.2K"), "1.1M", 1.1e6), (("950", "1.2K"), "5 kg", None),
    (("1.2K", "2K"), "950", None), (("1.2K", "2K"), "3k", 3000), (("1.2K", "2M"), "950", 950), (("1.2K", "2K"), "5B", None),
    (("1", "2"), "1.2K", None), (("1", "2"), "3 cm", None), (("1 cm", "2 cm"), "3", 3), (("1 cm", "2 cm"), "3 mm", None),
    (("50%", "3%"), "0.5", None), (("50%", "3%"), "7 %", 7), (("5m", "3m"), "7", None), (("300 K", "2 K"), "295", None),
    (("$950", "$1.2K"), "€3K", None), (("$950", "$1.2K"), "3K", 3000),
])
def test_what_was_learnt_holds_for_other_numbers(learnt: tuple[str, ...], cell: str, number: float | None) -> None:
    found = quantity(cell)
    assert found is not None
    assert in_units(found, *common(*learnt)) == number


def test_what_suffixes_mean() -> None:
    assert explained(["", "K", "Mio"]) == " (K = thousand, Mio = million)"
    assert explained(["", "million"]) == explained([]) == ""


# Columns in files, of any country

FORMATS = [(".", ""), (".", ","), (".", " "), (".", "\u00a0"), (".", "'"), (",", ""), (",", "."), (",", " "), (",", "\u202f")]
UNITS = ["{}", "{}", "{} cm", "${}", "{} €"]
MORE_UNITS = ["{}%", "{} %", "{}m", "{} K", "{} tys.", "{}B"]  # no suffix goes with them
OTHER_UNITS = {"{}%": ("{}", -2), "{} %": ("{}", -2), "{} cm": ("{} mm", 1), "{}m": ("{} mm", 3), "{} tys.": ("{}", 3)}
SUFFIXES = [("k", 3), ("K", 3), ("M", 6), (" Mio", 6), (" Mio.", 6), ("bn", 9)]


def spelled(x: Decimal, decimal: str, group: str) -> str:
    whole, _, decimals = f"{abs(x):f}".partition(".")
    whole = f"{int(whole):,}".replace(",", group)
    return "-" * (x < 0) + whole + (decimal + decimals if decimals else "")


Meant = list[dict[str, float]]  # what each cell stands for, in one unit and in another; nothing, where it is missing


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[str], Meant, str, str]:
    """Cells, what they stand for, the decimal mark, what separates the columns."""
    decimal, group = draw(st.sampled_from(FORMATS))
    places = draw(st.integers(0, 4))
    largest = 10 ** draw(st.integers(1, 7))
    numbers = draw(st.lists(st.integers(-largest // 9, largest), min_size=10, max_size=16))
    suffix = draw(st.none() | st.sampled_from(SUFFIXES))
    unit = draw(st.sampled_from(UNITS if suffix else UNITS + MORE_UNITS))
    missing = draw(st.sampled_from(["", "NA", "?", "None", "nan", "-"]))
    other, power = OTHER_UNITS.get(unit, ("{}", 0))  # or without one, which is to mean the same
    others = draw(st.sampled_from([0, 0, 0.2, 0.7]))
    units = unit.format("").strip(), other.format("").strip()
    cells, meant = list[str](), Meant()
    for n in numbers:
        x = Decimal(n).scaleb(-places)
        kind = draw(st.floats(0, 1))
        if kind < 0.1:
            cells.append(missing)
            meant.append({})
        elif suffix and abs(x) >= 1000:  # as programs for people do: 950, 1.2K
            short = (x / 1000).quantize(Decimal("0.1"))
            cells.append(unit.format(spelled(short, decimal, group) + suffix[0]))
            meant.append(dict.fromkeys(units, float(short.scaleb(suffix[1]))))
        else:
            form, written_as = (other, x.scaleb(power)) if kind > 1 - others else (unit, x)
            cells.append(form.format(spelled(written_as, decimal, group)))
            meant.append({units[1]: float(x.scaleb(power)), units[0]: float(x)})
    return cells, meant, decimal, draw(st.sampled_from(",;\t"))


def written(path: Path, cells: list[str], delimiter: str, decimal: str) -> None:
    """A file with this column, and one that shows the decimal comma where columns are separated by commas."""
    shown = delimiter == "," == decimal
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow(["x", "class"] + ["shown"] * shown)
        rows.writerows([cell, "ab"[i % 2]] + ["0,5"] * shown for i, cell in enumerate(cells))


def agrees(column: Column, path: Path, meant: Meant) -> None:
    """What is read is what was meant, or is told to be odd; or the file is refused with a question."""
    try:
        table = read_table(path)
    except TableError as error:
        assert "--decimal" in str(error)
        return
    for row, numbers in zip(table.rows, meant, strict=True):
        inputs, odd = column.inputs(table, row.cells[0])
        assert odd or inputs == [numbers.get(column.unit, numbers.get(""))], (row, table.decimal, column)


@given(columns(), columns())
@settings(max_examples=400, deadline=None)
def test_what_is_read_is_what_was_written(first: tuple[list[str], Meant, str, str],
                                          later: tuple[list[str], Meant, str, str]) -> None:
    cells, meant, decimal, delimiter = first
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        written(path, cells, delimiter, decimal)
        try:
            table = read_table(path)
        except TableError as error:
            assert "--decimal" in str(error)
            return
        column, words = learn(table, "x", [row.cells[0] for row in table.rows])
        assert words
        if column is None or column.median is None:
            return
        agrees(column, path, meant)
        cells, meant, decimal, delimiter = later
        written(path, cells, delimiter, decimal)  # that were learnt from one file, and are used on another
        agrees(column, path, meant)


def test_the_property_would_see_a_wrong_number(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    written(file, ["950", "1.2K"] * 6, ",", ".")
    with pytest.raises(AssertionError):
        agrees(Column("x", 1.0, "", {}, ["", "K"]), file, [{"": 950}, {"": 1.2}] * 6)
    assert io.StringIO(file.read_text()).readline() == "x,class\n"
