"""Text in rows and cells, as CSV files have it: from bytes, whatever program of whatever country wrote them, and back.

What cells mean, and whether the first row is a header, others say.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

# "sep=;", as Excel reads and writes it; it may have put that in quotes, or delimiters after it
TOLD = re.compile(r'[\r\n]*("?sep=([^"\r\n])"?\2*[ \t]*)(?=[\r\n]|$)', re.IGNORECASE)
FIRST_ROW = re.compile(r'(?: *[\r\n])*((?:[^"\r\n]+|"[^"]*")*)')
BOMS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

# A cell of text that spreadsheets would compute, and what only looks so: -1.5, +2e3, -3,5 %, -5 cm
FORMULA = ("=", "+", "-", "@", "\t", "\r")
SIGNED = re.compile(r"[-+][$€£¥]?[.,]?\d[\d.,]*(?:[eE][-+]?\d+)?\s?(?:[^\W\d_]{0,15}|[%°$€£¥]C?)")


class DelimitedError(ValueError):
    """The reason why a file gives no rows, in one line."""


class Row(NamedTuple):
    """One row: the line of the file where it ends, and its cells."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Delimited:
    """The rows of a file; what separates their cells; the encoding, by the name that Python or Windows has for it."""

    rows: list[Row]
    delimiter: str
    encoding: str


def read_delimited(content: bytes, where: str) -> Delimited:
    """The rows of a CSV file: its bytes, and how errors shall call it.

    Text is UTF-8; UTF-16 or UTF-32, with a mark at its start, or UTF-16 where that is certain; else Windows-1252.
    Commas, semicolons or tabs separate cells, whichever the first row has most of, or what a first line such as `sep=|`
    says. Blank lines are skipped, and white space around cells. A ' that `write_delimited` puts before what begins as a
    formula is taken away.
    Raises DelimitedError, with the line, for what is not text, or has a quotation mark left open.
    """
    text, encoding = decoded(content)
    if "\0" in text:
        raise DelimitedError(f"{where} is not a text file: it has NUL characters, as a spreadsheet has; save it as "
                             "CSV, in UTF-8")
    told = TOLD.match(text)
    if told:  # the lines keep their numbers
        text = text[:told.start(1)] + text[told.end(1):]
        delimiter = told[2]
    else:
        first = FIRST_ROW.match(text)
        unquoted = re.sub('"[^"]*"', "", first[1]) if first else ""
        delimiter = max(",;\t", key=unquoted.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    try:
        rows += (Row(reader.line_num, [plain(cell.strip()) for cell in cells]) for cells in reader
                 if len(cells) > 1 or (cells and (cells[0].strip() or not cells[0])))
    except csv.Error as error:
        last = rows[-1].line if rows else 0
        raise DelimitedError(f"{where}, after line {last}: {error}; is a quotation mark left open?") from None
    return Delimited(rows, delimiter, encoding)


def decoded(content: bytes) -> tuple[str, str]:
    """The text, without a mark at its start, and the encoding that it was in."""
    mark = next((mark for mark in BOMS if content.startswith(mark)), None)
    encoding = BOMS[mark] if mark else bare_utf_16(content) or "utf-8-sig"
    try:
        return content.decode(encoding).lstrip("\ufeff"), encoding
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="backslashreplace"), "Windows-1252"  # so that two words never become one


def bare_utf_16(content: bytes) -> str:
    """The name of UTF-16 without a mark, where bytes are certainly that: one byte of each letter of a table of numbers
    is 0, always the first or always the second, and the lines end as lines do."""
    for encoding, high in (("utf-16-le", 1), ("utf-16-be", 0)):
        zeros = content[high::2].count(0)
        if len(content) % 2 == 0 and 8 * zeros >= len(content) and 0 not in content[1 - high::2]:
            try:
                return encoding if re.search("[\r\n]", content.decode(encoding)) else ""
            except UnicodeDecodeError:
                pass
    return ""


def write_delimited(file: IO[Any], rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
    """Write rows of text and numbers. Text that a spreadsheet would compute, as it begins with = + - or @, is made
    `harmless`; numbers stay, -1.5 as well as those in text, "-1,5" or "-5 cm"."""
    line = io.StringIO(newline="")
    writer = csv.writer(line, delimiter=delimiter, lineterminator="\r\n")  # so that cells with either sign are quoted
    for row in rows:
        writer.writerow([harmless(cell) if isinstance(cell, str) and not SIGNED.fullmatch(cell) else cell
                         for cell in row])
        file.write(line.getvalue().removesuffix("\r\n") + "\n")
        line.seek(0)
        line.truncate()


def harmless(text: str) -> str:
    """Text for a cell that spreadsheets do not take for a formula: with ' before what begins as one does."""
    return "'" + text if text.startswith(FORMULA) else text


def plain(cell: str) -> str:
    """A cell as it was before it was made harmless."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
