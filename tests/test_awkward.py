"""Files that people have, well made and not: what becomes of them, in the words that are printed."""

from pathlib import Path

import pytest

from micrograd.table import TableError, find_target, make_plan, read_table


def column(cells: list[str], head: str = "x,y", sep: str = ",", n: int = 12) -> str:
    """A file of two columns: these cells, over again until there are n; and a target of two words."""
    return head.replace(",", sep) + "\n" + "".join(f"{cells[i % len(cells)]}{sep}{'ab'[i % 2]}\n" for i in range(n))


def outcome(path: Path, content: str | bytes) -> tuple[str, list[float]]:
    """What is printed of the columns, and the inputs for the second row; or what is wrong, and none."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        table = read_table(path)
        target, rows, y = find_target(table, "y")
        plan, report = make_plan(table, target, rows, y)
    except TableError as error:
        return str(error).replace(str(path), "t.csv").replace("t.csv has no column to predict 'y' from; ", ""), []
    return "; ".join(f"{name}: {words}" for name, words in report.items()), plan.encode(table, rows)[0][1]


HALVES = [f"{i}.5" for i in range(12)]
GOOD = "x,c,y\n" + "".join(f"{x},{'red' if i % 3 else 'green'},{'ab'[i % 2]}\n" for i, x in enumerate(HALVES))

ONE_TABLE = {  # in many forms
    "plain": GOOD,
    "BOM": "\ufeff" + GOOD,
    "CRLF": GOOD.replace("\n", "\r\n"),
    "CR": GOOD.replace("\n", "\r"),
    "mixed line ends": GOOD.replace("\n", "\r\n", 5),
    "semicolons": GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "sep=|": "sep=|\n" + GOOD.replace(",", "|"),
    "sep=; quoted CRLF": '"sep=;"\r\n' + GOOD.replace(",", ";"),
    "sep after blank": "\n\nsep=;\n" + GOOD.replace(",", ";"),
    "UTF-16 LE BOM": GOOD.encode("utf-16"),
    "UTF-16 BE BOM": b"\xfe\xff" + GOOD.encode("utf-16-be"),
    "UTF-16 LE bare": GOOD.encode("utf-16-le"),
    "UTF-16 BE bare": GOOD.encode("utf-16-be"),
    "UTF-32": GOOD.encode("utf-32"),
    "blank lines": "\n" + GOOD.replace("\n", "\n\n"),
    "no newline at end": GOOD.rstrip("\n"),
    "lines of spaces": GOOD.replace("\n", "\n   \n", 3),
    "quoted all": "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in GOOD.splitlines()),
    "header spaces": GOOD.replace("x,c", " x , c "),
}


@pytest.mark.parametrize("content", ONE_TABLE.values(), ids=ONE_TABLE)
def test_the_same_table_in_many_forms(tmp_path: Path, content: str | bytes) -> None:
    assert outcome(tmp_path / "t.csv", content) == ("x: 0.5 to 11.5, median 6; c: green, red", [1.5, 0, 1])


FILES: dict[str, tuple[str | bytes, str, list[float]]] = {
    "latin-1": (GOOD.replace("red", "größe").encode("latin-1"),
        "x: 0.5 to 11.5, median 6; c: green, größe", [1.5, 0.0, 1.0]),
    "cp1252 euro": (column([f"{i}€" for i in range(5, 17)]).encode("cp1252"), "x: 5 to 16 €, median 10.5", [6.0]),
    "cp1252 hole": (GOOD.replace("red", "gr\x81n").encode("latin-1"),
        "x: 0.5 to 11.5, median 6; c: gr\\x81n, green", [1.5, 1.0, 0.0]),
    "Ctrl-Z": (GOOD + "\x1a", "t.csv, line 14: 1 fields, where the header has 3", []),
    "trailing delimiters": (GOOD.replace("\n", ",\n"),
        "x: 0.5 to 11.5, median 6; c: green, red; column 4: left out: all missing", [1.5, 0.0, 1.0]),
    "leading delimiter": ("\n".join("," + line for line in GOOD.splitlines()),
        "column 1: left out: all missing; x: 0.5 to 11.5, median 6; c: green, red", [1.5, 0.0, 1.0]),
    "quoted newline": (GOOD.replace("red", '"re\nd"'), "x: 0.5 to 11.5, median 6; c: green, re\nd", [1.5, 0.0, 1.0]),
    "quoted comma": (GOOD.replace("red", '"r,d"'), "x: 0.5 to 11.5, median 6; c: green, r,d", [1.5, 0.0, 1.0]),
    "quoted quote": (GOOD.replace("red", '"r""d"'), "x: 0.5 to 11.5, median 6; c: green, r\"d", [1.5, 0.0, 1.0]),
    "inch in the middle": (column([f'{i}.5"' for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '0.5\"'", []),
    "open quote": (GOOD + '1,"red,a\n', "t.csv, after line 13: unexpected end of data; is a quotation mark left open?", []),
    "text after quote": (GOOD + '1,"red"x,a\n',
        "t.csv, after line 13: ',' expected after '\"'; is a quotation mark left open?", []),
    "space before quote": (GOOD.replace("red", ' "red"'),
        "x: 0.5 to 11.5, median 6; c: \"red\", green", [1.5, 1.0, 0.0]),
    "apostrophes": (GOOD.replace("red", "'red'"), "x: 0.5 to 11.5, median 6; c: 'red', green", [1.5, 1.0, 0.0]),
    "NUL": (GOOD.replace("red", "re\0d"),
        "t.csv is not a text file: it has NUL characters, as a spreadsheet has; save it as CSV, in UTF-8", []),
    "zip": (b"PK\x03\x04\x14\0\0\0",
        "t.csv is not a text file: it has NUL characters, as a spreadsheet has; save it as CSV, in UTF-8", []),
    "empty": ("", "t.csv is empty: the first line must name the columns", []),
    "only blank": ("\n \n", "t.csv is empty: the first line must name the columns", []),
    "only header": ("x,y\n", "t.csv: the target 'y' has a value in 0 rows: at least 10 are needed to learn from", []),
    "no header": (GOOD.split("\n", 1)[1],
        "t.csv has no header: the first line must name the columns, and is 0.5, green, a", []),
    "numbers header": ("1,2,3\n" + GOOD, "t.csv has no header: the first line must name the columns, and is 1, 2, 3", []),
    "years header": (GOOD.replace("x,", "2019,"), "2019: 0.5 to 11.5, median 6; c: green, red", [1.5, 0.0, 1.0]),
    "double name": (GOOD.replace("c,y", "x,y"), "t.csv has 2 columns called 'x': rename all but one", []),
    "empty name": (GOOD.replace("x,c", ",c"), "column 1: 0.5 to 11.5, median 6; c: green, red", [1.5, 0.0, 1.0]),
    "short row": (GOOD + "1,red\n", "t.csv, line 14: 2 fields, where the header has 3", []),
    "long row": (GOOD + "1,red,a,4\n", "t.csv, line 14: 4 fields, where the header has 3", []),
    "comment": ("# made by\n" + GOOD, "t.csv, line 2: 3 fields, where the header has 1", []),
    "pipes": (GOOD.replace(",", "|"),
        "t.csv has one column, called 'x|c|y': separate columns by commas, semicolons or tabs", []),
    "spaces": (GOOD.replace(",", " "),
        "t.csv has one column, called 'x c y': separate columns by commas, semicolons or tabs", []),
    "colons": (GOOD.replace(",", ":"), "t.csv has no column 'y'; it has x:c:y", []),
    "semicolon in comma": (column(["1;2", "3;4"]), "x: 1;2, 3;4", [0.0, 1.0]),
    "comma in semicolon header": ('"x, y";y\n' + "".join(f"{i}.5;{'ab'[i%2]}\n" for i in range(12)),
        "x, y: 0.5 to 11.5, median 6", [1.5]),
    "long field": (GOOD + "1," + "a" * 200000 + ",a\n",
        "t.csv, after line 13: field larger than field limit (131072); is a quotation mark left open?", []),
    "unicode minus": (column([f"−{i}.5" for i in range(12)]), "x: -11.5 to -0.5, median -6", [-1.5]),
    "plus": (column([f"+{i}.5" for i in range(12)]), "x: 0.5 to 11.5, median 6", [1.5]),
    "exponents": (column([f"{i}.5e-3" for i in range(12)]), "x: 0.0005 to 0.0115, median 0.006", [0.0015]),
    "point first": (column([f".{i}1" for i in range(12)]), "x: 0.01 to 0.91, median 0.36", [0.11]),
    "point last": (column([f"{i}." for i in range(12)]), "x: 0 to 11, median 5.5", [1.0]),
    "thousands": (column([f'"{i},{i}00.5"' for i in range(1, 10)]), "x: 1100.5 to 9900.5, median 3850.5", [2200.5]),
    "thousands whole": (column([f'"{i},{i}00"' for i in range(1, 10)]), "x: 1100 to 9900, median 3850", [2200.0]),
    "decimal comma quoted": (column([f'"{i},5"' for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '0,5'; if these are numbers: --decimal ,", []),
    "decimal comma": (column([f"{i},5" for i in range(12)], sep=";"), "x: 0.5 to 11.5, median 6", [1.5]),
    "decimal comma tab": (column([f"{i},25" for i in range(12)], sep="\t"), "x: 0.25 to 11.25, median 5.75", [1.25]),
    "both marks": (column([f"1.{i}34,5" for i in range(10)], sep=";"), "x: 1034.5 to 1934.5, median 1384.5", [1134.5]),
    "dates": (column([f"2021-01-{i+10}" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '2021-01-10'", []),
    "german dates": (column([f"{i+10}.01.2021" for i in range(12)], sep=";"),
        "x: left out: 12 different values in 12 rows, such as '10.01.2021'", []),
    "times": (column([f"{i+10}:30" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '10:30'", []),
    "phone": (column([f"555-01{i:02}" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '555-0100'", []),
    "versions": (column([f"1.{i}.0" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '1.0.0'", []),
    "ip": (column([f"10.0.0.{i}" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '10.0.0.0'", []),
    "hex": (column([f"0x{i+10:X}" for i in range(12)]), "x: left out: 12 different values in 12 rows, such as '0xA'", []),
    "fractions": (column([f"{i}/4" for i in range(12)]), "x: left out: 12 different values in 12 rows, such as '0/4'", []),
    "underscores": (column([f"{i}_000" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '0_000'", []),
    "inf": (column([*HALVES[:11], "inf"]), "x: 0.5 to 10.5, median 5.5, 1 not a number", [1.5]),
    "1e999": (column([*HALVES[:11], "1e999"]), "x: 0.5 to 10.5, median 5.5, 1 not a number", [1.5]),
    "nan words": (column(["1.5", "NaN", "2.5", "#N/A", "n/a", "NULL", "-", "?", ".", "None", "3.5", "<NA>"]),
        "x: 1.5 to 3.5, median 2.5, 9 missing", [2.5]),
    "booleans": (column(["True", "False", "true"]), "x: False, True, true", [1.0, 0.0, 0.0]),
    "yes no": (column(["yes", "no"]), "x: no, yes", [1.0, 0.0]),
    "percent": (column([f"{i}%" for i in range(12)]), "x: 0 to 11 %, median 5.5", [1.0]),
    "percent space": (column([f"{i} %" for i in range(12)]), "x: 0 to 11 %, median 5.5", [1.0]),
    "dollars": (column([f"${i}.5" for i in range(12)]), "x: 0.5 to 11.5 $, median 6", [1.5]),
    "euros after": (column([f"{i},5 €" for i in range(12)], sep=";"), "x: 0.5 to 11.5 €, median 6", [1.5]),
    "cm": (column([f"{i}.5 cm" for i in range(12)]), "x: 0.5 to 11.5 cm, median 6", [1.5]),
    "km/h": (column([f"{i}km/h" for i in range(12)]), "x: 0 to 11 km/h, median 5.5", [1.0]),
    "cm some bare": (column([f"{i}.5 cm" for i in range(6)] + ["7.5"]),
        "x: 0.5 to 7.5 cm, median 3, 1 without cm", [1.5]),
    "cm and inch": (column(["5 cm", "3 inch", "2 cm"]),
        "x: 2 cm, 3 inch, 5 cm (taken as words: '5 cm' beside '3 inch': units are not mixed)", [0.0, 1.0, 0.0]),
    "cm and mm many": (column([f"{i} {'cm' if i % 2 else 'mm'}" for i in range(24)], n=24),
        "x: left out: '0 mm' beside '1 cm': units are not mixed", []),
    "dollar and euro": (column([f"{'$€'[i % 2]}{i}" for i in range(24)], n=24),
        "x: left out: '$0' beside '€1': units are not mixed", []),
    "degree": (column([f"{i}.5°C" for i in range(12)]), "x: 0.5 to 11.5 °C, median 6", [1.5]),
    "ages words": (column(["1 year", "2 years", "3 years"]),
        "x: 1 year, 2 years, 3 years (taken as words: '1 year' beside '2 years': units are not mixed)", [0.0, 1.0, 0.0]),
    "ranges": (column(["1-5", "6-10"]), "x: 1-5, 6-10", [0.0, 1.0]),
    "greater": (column(["<5", ">5"]), "x: <5, >5", [0.0, 1.0]),
    "slip": (column([str(i) for i in range(19)] + ["oops"], n=20), "x: 0 to 18, median 9, 1 not a number", [1.0]),
    "numbers and words": (column([str(i) if i % 2 else f"w{i}" for i in range(40)], n=40),
        "x: left out: 40 different values in 40 rows, such as 'w0'", []),
    "id": (column([str(i) for i in range(12)], head="id,y"), "id: left out: it numbers the rows", []),
    "id shuffled": (column([str((5 * i) % 12 + 100) for i in range(12)], head="Customer_ID,y"),
        "Customer_ID: left out: it numbers the rows", []),
    "unnamed": (column([str(i) for i in range(12)], head="Unnamed: 0,y"), "Unnamed: 0: left out: it numbers the rows", []),
    "day": (column([str(i) for i in range(12)], head="day,y"), "day: 0 to 11, median 5.5", [1.0]),
    "constant": (column(["3"]), "x: left out: always 3", []),
    "all missing": (column([""]), "x: left out: all missing", []),
    "many words": (column([f"k{i}" for i in range(24)], n=24),
        "x: left out: 24 different values in 24 rows, such as 'k0'", []),
    "zip codes": (column([f"0{1000+i}" for i in range(12)]), "x: 1000 to 1011, median 1005.5", [1001.0]),
    "leading zeros": (column([f"{i:03}" for i in range(12)]), "x: 0 to 11, median 5.5", [1.0]),
    "arabic digits": (column(["٣", "٤", "٥"]), "x: 3 to 5, median 4", [4.0]),
    "formula": (column(["=1+1", "=2+2"]), "x: =1+1, =2+2", [0.0, 1.0]),
    "at": (column(["@SUM(A1)", "b"]), "x: @SUM(A1), b", [0.0, 1.0]),
    "json": ('[{"x": 1}]',
        "t.csv has one column, called '[{\"x\": 1}]': separate columns by commas, semicolons or tabs", []),
    "html": ("<table><tr><td>x,y</td></tr>", "t.csv has no column 'y'; it has <table><tr><td>x, y</td></tr>", []),
    "size of rows": ("x,y\n" + "".join(f"{i}.25,{i*3}.5\n" for i in range(30)),
        "x: 0.25 to 29.25, median 14.75", [1.25]),
    "negative zero": (column(["-0.0", "0", "1.5"]), "x: 0 to 1.5, median 0", [0.0]),
    "big": (column([f"{i}e140" for i in range(1, 13)]), "x: 1e+140 to 1.2e+141, median 6.5e+140", [2e+140]),
    "euro number 1.234,56": (column([f"{i}.234,56" for i in range(1, 10)], sep=";"),
        "x: 1234.56 to 9234.56, median 3734.56", [2234.56]),
    "dollar minus": (column([f"$-{i}.5" for i in range(12)]), "x: -11.5 to -0.5 $, median -6", [-1.5]),
    "parentheses": (column([f"({i})" for i in range(12)]),
        "x: left out: 12 different values in 12 rows, such as '(0)'", []),
    "nbsp unit": (column([f"{i}.5\u00a0kg" for i in range(12)]), "x: 0.5 to 11.5 kg, median 6", [1.5]),
}


@pytest.mark.parametrize(("content", "words", "inputs"), FILES.values(), ids=FILES)
def test_what_becomes_of_a_file(tmp_path: Path, content: str | bytes, words: str, inputs: list[float]) -> None:
    assert outcome(tmp_path / "t.csv", content) == (words, inputs)
