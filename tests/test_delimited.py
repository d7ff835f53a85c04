"""Rows and cells, from bytes and back."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micrograd import Value, grade_class
from micrograd.data.delimited import Delimited, DelimitedError, Row, harmless, plain, read_delimited, write_delimited
from micrograd.data.table import TableError, read_table

TEXT = "name,größe\nAnn,1\nBéa,2\n"
ROWS = [Row(1, ["name", "größe"]), Row(2, ["Ann", "1"]), Row(3, ["Béa", "2"])]


def read(content: bytes | str) -> Delimited:
    return read_delimited(content if isinstance(content, bytes) else content.encode(), "t.csv")


@pytest.mark.parametrize(("content", "encoding"), [
    (TEXT.encode(), "utf-8-sig"), (TEXT.encode("utf-8-sig"), "utf-8-sig"), (("\ufeff\ufeff" + TEXT).encode(), "utf-8-sig"),
    (TEXT.encode("utf-16"), "utf-16"), (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"), (TEXT.encode("utf-32"), "utf-32"),
    (TEXT.encode("utf-16-le"), "utf-16-le"), (TEXT.encode("utf-16-be"), "utf-16-be"),
    (TEXT.encode("cp1252"), "Windows-1252"), (TEXT.encode("latin-1"), "Windows-1252"),
])
def test_encodings(content: bytes, encoding: str) -> None:
    assert read(content) == Delimited(ROWS, ",", encoding)


def test_two_words_stay_two() -> None:
    assert [row.cells for row in read(b"gr\x81n,gr\x8dn\n\x80,\xff\n").rows] == [["gr\\x81n", "gr\\x8dn"], ["€", "ÿ"]]


@pytest.mark.parametrize("content", [
    b"a,b\0\n", b"PK\x03\x04\0\0", b"\0a\0b", b"a\0b\0", "a,b\n".encode("utf-32-le"), b"\xff\xfea\0\0\0", b"\0" * 64,
    "a,b\n1,2\n".encode("utf-16-le")[:-1], b"name,w\nAnn,\0001\nBob,\0002\n",
])
def test_what_is_no_text(content: bytes) -> None:
    with pytest.raises(DelimitedError, match=r"t\.csv is not a text file: it has NUL characters"):
        read(content)


@pytest.mark.parametrize(("text", "delimiter", "rows"), [
    ("a,b\n1,2\n", ",", [(1, "a b"), (2, "1 2")]), ("a;b\r\n1;2,5", ";", [(1, "a b"), (2, "1 2,5")]), ("a\tb\r1\t2\r", "\t", [(1, "a b"), (2, "1 2")]),
    ('"a,b,c";d\n1;2\n', ";", [(1, "a,b,c d"), (2, "1 2")]), ('"a\nb,,,";d\n1;2\n', ";", [(2, "a\nb,,, d"), (3, "1 2")]),
    ("sep=|\na|b\n", "|", [(2, "a b")]), ('"sep=;"\r\na;b\r\n', ";", [(2, "a b")]), ("SEP=;;;\na;b\n", ";", [(2, "a b")]),
    ("\n\nsep=:\na:b\n", ":", [(4, "a b")]), ("sep=\t\na\tb\n", "\t", [(2, "a b")]), ("sep=^", "^", []),
    ("\n \na,b\n\n   \n1,2\n", ",", [(3, "a b"), (6, "1 2")]), ("a,b\n,\n\t\n", ",", [(1, "a b"), (2, " ")]),
    ('a\n""\n\nx\n', ",", [(1, "a"), (2, ""), (4, "x")]), (" a , b \n", ",", [(1, "a b")]), ("a\u00a0,b\n", ",", [(1, "a b")]),
    ("", ",", []), ("\tx\n0\t1\n", "\t", [(1, " x"), (2, "0 1")]),
])
def test_delimiters_and_lines(text: str, delimiter: str, rows: list[tuple[int, str]]) -> None:
    found = read(text)
    assert (found.delimiter, [(line, " ".join(cells)) for line, cells in found.rows]) == (delimiter, rows)


@pytest.mark.parametrize(("text", "message"), [
    ('a,b\n1,"2\n3,4\n', "t.csv, after line 1: unexpected end of data; is a quotation mark left open?"),
    ('a,b\n1,"2"x\n', "t.csv, after line 1: ',' expected after '\"'"), ('"', "after line 0"),
    ("a\n" + "x" * 200_000, "after line 1: field larger than field limit"),
])
def test_what_is_no_table(text: str, message: str) -> None:
    with pytest.raises(DelimitedError) as error:
        read(text)
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"a,b\0\n", b'a,b\n1,"2\n'])
def test_tables_and_answer_sheets_refuse_in_their_own_way(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=r"t\.csv"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"t\.csv"):
        grade_class(Value(1.0), tmp_path / "t.csv")


# Writing

FORMULAS = ["=1+1", "@SUM(A1)", "+1+2", "-1-2", "-cmd|' /C calc'!A0", "=HYPERLINK(\"http://x\")", "-A1", "+49 123", "\t=1", "\r=1", "-",
            "+5*2", "-1/2", "-2(3)", "-5%+1", "=", "-5 km/A1", "-1e5+A1"]
NUMBERS = ["-1.5", "+2", "-.5", "-1,5", "-1.234,5", "-1e-3", "-5 cm", "-3%", "-3 %", "-$5", "-5 °C", "-7€", "12", "1-2", "a=b", "'x", ""]


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_a_spreadsheet_would_compute_is_neutralised(cell: str) -> None:
    assert written([cell]) == [["'" + cell]]
    assert plain("'" + cell) == cell


@pytest.mark.parametrize("cell", NUMBERS)
def test_what_it_would_not_is_not(cell: str) -> None:
    assert written([cell]) == [[cell]]


def test_a_name_is_text_even_where_it_is_a_number() -> None:
    assert written([harmless("-1"), -1, -1.5]) == [["'-1", "-1", "-1.5"]]


def written(*rows: list[object], delimiter: str = ",") -> list[list[str]]:
    file = io.StringIO(newline="")
    write_delimited(file, rows, delimiter)
    return [*csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=delimiter)]


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.lists(st.lists(WORDS | st.sampled_from(FORMULAS).map(str.strip), min_size=2, max_size=2), min_size=1, max_size=5),
       st.sampled_from(",;\t"))
def test_what_is_written_is_read_again(rows: list[list[str]], delimiter: str) -> None:
    rows = [["a", "b"], *([plain(cell) for cell in row] for row in rows)]
    file = io.StringIO(newline="")
    write_delimited(file, rows, delimiter)
    found = read(file.getvalue())
    assert [row.cells for row in found.rows] == rows
    assert found.delimiter == delimiter
