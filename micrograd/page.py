"""Reports as data: tables and sentences, from which text, HTML, CSV and JSON follow, and files of these.

A report's class says what its columns, rows and remarks are; what they look like is decided here. A page is one file
that loads nothing, and runs no script but its own: its Content-Security-Policy says so. This module knows nothing of
graphs.
"""

from __future__ import annotations

import io
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Union

from .data.delimited import write_delimited
from .files import FileName, write_whole
from .formulas.formula import sides_of
from .formulas.layout import Layout
from .formulas.mathml import mathml
from .terminal import Printed, Spelling, in_columns, wrapped

GREEN, BLUE, RED, YELLOW, GREY = "#cdebd0", "#d7e3f4", "#f7c5bf", "#fbe3a6", "#e5e7eb"  # pale, below dark ink
SMALLEST = 0.45  # of its size, a picture in HTML
SHORT = 11       # characters that stay on one line of a cell

# Styles stand in the elements, as notebooks take others away; dark ink on pale fills shows on light and dark pages.
# What may be long goes on in the next line, so that nothing is cut off where a page is narrow.
CELL = "vertical-align:top;padding:4px 5px;white-space:"
WORDS, WHOLE, ANYWHERE = CELL + "normal", CELL + "nowrap", CELL + "normal;overflow-wrap:anywhere;min-width:5em"
BELOW = "text-align:left;white-space:normal;padding:0 5px 10px 20px"
REMARK = "max-width:min(56em,80vw);overflow-x:auto"
ASIDE = "white-space:nowrap;font-size:.9em"
BADGE = "display:inline-block;padding:0 4px;border-radius:4px;color:#1f2937;background:"


# What a report is made of

Remark = Union[str, tuple[str, Any]]  # a sentence; or words, and a formula after them


class Summary(str):
    """The result of a report in a sentence: in bold, and before everything else in HTML."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class GridRow:
    """The cells of a row, and what is to be said of it: below the table in text, and right below the row in HTML.

    A row with a lead, such as "The first mistake", comes first among those that something is said of.
    """

    cells: Sequence[str]
    remarks: Sequence[Remark] = ()
    lead: str = ""

    def lines(self, width: int, spell: Spelling) -> list[str]:
        """The remarks as text, below the name that the first cell gives the row."""
        name = f"{self.lead}, {self.cells[0]}:" if self.lead else f"{self.cells[0]}:"
        said = (each if isinstance(each, str) else f"{each[0]}{each[1]}" for each in self.remarks)
        return ["", *wrapped(spell(name), width),
                *(f"  {line}" for words in said for line in wrapped(spell(words), width - 2))]

    @property
    def html(self) -> str:
        """The remarks as HTML."""
        said = [*map(remark_html, self.remarks)]
        if self.lead:
            said.insert(0, f"<b>{escape(self.lead)}.</b>")
        return f'<div style="{REMARK}">{"<br/>".join(said)}</div>'


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells below a head.

    Args:
        head: a cell for each column; () in a table for HTML alone.
        rows: as `GridRow`.
        right: the columns of numbers, which stand to the right.
        badge: the column whose words stand out in HTML, on a fill, with the words of the next column beside them.
        looks: for each word of that column the fill, and a mark before it.
        below: in HTML, the last column, whose words may be long, goes below each row, after these words.
        left_out: words in the middle of a table, for the rows that it lacks there.
    """

    head: Sequence[str]
    rows: Sequence[GridRow]
    right: Sequence[int] = ()
    badge: int = -2
    looks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    below: str = ""
    left_out: str = ""

    def lines(self, width: int, spell: Spelling) -> list[str]:
        """The table as text."""
        rows: list[Sequence[str] | str] = [[spell(cell) for cell in row.cells] for row in self.rows]
        if self.left_out:
            rows.insert(len(rows) // 2, f"... {self.left_out}")
        said = sorted((row for row in self.rows if row.remarks), key=lambda row: not row.lead)
        return [*in_columns([[*map(spell, self.head)], *rows], width, self.right),
                *(line for row in said for line in row.lines(width, spell))]

    @property
    def html(self) -> str:
        """The table as HTML."""
        head, rows = self.head, self.rows
        if self.below:
            head, rows = head[:-1], [GridRow(row.cells[:-1], [self.below + row.cells[-1]] if row.cells[-1] else [])
                                     for row in rows]
        tr = '<tr style="background:none">' if any(row.remarks for row in rows) else "<tr>"  # no stripes across pairs
        columns = max((len(row.cells) for row in rows), default=0)
        across = f'{tr}<td colspan="{columns if self.badge < 0 else columns - 1}" style="{BELOW}">'
        body = [f"{tr}{self.cells(row.cells)}</tr>" + (f"{across}{row.html}</td></tr>" if row.remarks else "")
                for row in rows]
        if self.left_out:
            body.insert(len(body) // 2, f"{across}… {escape(self.left_out)}</td></tr>")
        heading = "".join(f'<th style="text-align:{self.side(i)};{WORDS}">{escape(cell)}</th>'
                          for i, cell in enumerate(head) if i != self.badge + 1)
        return f"<table>{heading and f'<thead><tr>{heading}</tr></thead>'}<tbody>{''.join(body)}</tbody></table>"

    def side(self, i: int) -> str:
        return "right" if i in self.right else "left"

    def cells(self, cells: Sequence[str]) -> str:
        found = []
        for i, cell in enumerate(cells):
            style, content = WHOLE if len(cell) <= SHORT else ANYWHERE, escape(cell)
            if i == self.badge:
                fill, mark = self.looks[cell]
                style, content = WORDS, (f'<span style="{BADGE}{fill}">{f"{mark} {content}".strip()}</span> '
                                         f'<span style="{ASIDE}">{escape(cells[i + 1])}</span>')
            if i != self.badge + 1:
                found.append(f'<td style="text-align:{self.side(i)};{style}">{content}</td>')
        return "".join(found)


def remark_html(remark: Remark) -> str:
    """A remark; of a message with its caret, all lines but the first as they are."""
    if not isinstance(remark, str):
        return escape(remark[0]) + in_lines(remark[1].layout)
    first, _, more = remark.partition("\n")
    return escape(first) + (f"<br/><pre style='margin:0'>{escape(more)}</pre>" if more else "")


def in_lines(line: Layout) -> str:
    """A chain of equations that goes on in the next line before an = where there is no room; MathML alone does not."""
    first, *others = sides_of(line)
    return " ".join([mathml(first), *(f'<span style="white-space:nowrap">= {mathml(side)}</span>' for side in others)])


Block = Union[str, Grid]  # words are a paragraph; "" is an empty line of text


def html_of(blocks: Iterable[Block]) -> str:
    """The blocks as a piece of an HTML page, which needs no style sheet."""
    first = sorted((block for block in blocks if block), key=lambda block: not isinstance(block, Summary))
    return f"<div>{''.join(map(block_html, first))}</div>"


def block_html(block: Block) -> str:
    if isinstance(block, Grid):
        return block.html
    style = ' style="margin:4px 0;font-weight:bold"' if isinstance(block, Summary) else ""
    return f"<p{style}>{escape(block)}</p>"


def image(svg: str, words: str) -> str:
    """A picture as an HTML image, which a notebook that is not trusted shows as well; the words are its description.

    It is at most as wide as the page, but large enough to be read: where it would be smaller, it scrolls.
    """
    width = re.search(r'width="([\d.]+)pt"', svg)
    least = f"min-width: {SMALLEST * float(width[1]):.0f}pt; " if width else ""
    return (f'<div style="overflow-x: auto"><img alt="{escape(words)}" style="{least}max-width: 100%; height: auto" '
            f'src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"></div>')


# Reports

class Entry(Printed):
    """A part of a report: it prints itself, and is plain data. Its class says what is in it."""

    __slots__ = ()

    _data: ClassVar[tuple[str, ...]] = ()  # the attributes that `to_dict` has; by default, the fields that are compared

    def _blocks(self) -> Iterable[Block]:
        """Its tables and sentences, in the order in which text has them."""
        raise NotImplementedError

    def _laid_out(self, width: int, spell: Spelling) -> str:
        return "\n".join(line for block in self._blocks() for line in (
            wrapped(spell(block), width) if isinstance(block, str) else block.lines(width, spell)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: what it has found, by name; formulas as text."""
        names = self._data or [each.name for each in fields(self) if each.compare]  # type: ignore[arg-type]
        return {name: plain(getattr(self, name)) for name in names}


class Savable:
    """Something that can be written to a file. Its class says in which formats."""

    __slots__ = ()

    def _formats(self) -> Mapping[str, Format]:
        """A writer for each format, by ending; the usual one first."""
        raise NotImplementedError

    def save(self, path: FileName) -> Path:
        """Write it to a file, wholly or not at all.

        Args:
            path: of the file, whose ending says how: .html or .json; .txt for what prints itself, .csv for tables, .tex
                (for pdflatex) for formulas, .svg for pictures.

        Returns:
            The path.

        Raises:
            ValueError: for another ending; the message names those that there are.
        """
        return saved(type(self).__name__, path, self._formats())


class Page(Entry, Savable):
    """A report as a whole: it shows itself in a notebook, and saves itself."""

    __slots__ = ()

    def _title(self) -> str:
        """The title of the page."""
        raise NotImplementedError

    def _rows(self) -> Iterable[Sequence[Any]]:
        """The rows of the report as a table for other programs, with all digits; the first is the head."""
        raise NotImplementedError

    def _formats(self) -> Mapping[str, Format]:
        return {".txt": lambda: f"{self.text}\n", ".csv": lambda: self.csv,
                ".html": lambda: page(self._title(), self._sections()), ".json": lambda: as_json(self.to_dict())}

    def _sections(self) -> list[str]:
        """The sections of the page, as HTML."""
        return [self.html]

    @property
    def html(self) -> str:
        """The report as a piece of an HTML page, as a notebook shows it."""
        return html_of(self._blocks())

    @property
    def csv(self) -> str:
        """The report as a CSV table, in which the numbers have all digits."""
        return as_csv(self._rows())

    def _repr_html_(self) -> str:
        return self.html


def plain(data: Any, number: Callable[[Any], Any] = lambda x: x) -> Any:
    """Plain data: entries as dictionaries, formulas as text, tuples as lists; all else as `number` has it."""
    match data:
        case Entry():
            return plain(data.to_dict(), number)
        case str():
            return str.__str__(data)
        case Mapping():
            return {str(key): plain(value, number) for key, value in data.items()}
        case list() | tuple():
            return [plain(value, number) for value in data]
    return number(data)


# Pages

def page(title: str, sections: Sequence[str]) -> str:
    """An HTML page. title: as text; sections: as HTML."""
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    return PAGE.format(policy=policy(styles=[STYLE]), style=STYLE, title=escape(title), body=body)


def policy(styles: Sequence[str], scripts: Sequence[str] = ()) -> str:
    """The <meta> element that lets a page run these scripts and no other, and load nothing from anywhere.

    styles, scripts: the contents of <style> and <script>. The style="..." of an
    element is allowed, as it can load nothing. Pictures must stand in the page itself.
    """
    rules = ["default-src 'none'", f"style-src-elem {hashes(styles)}", "style-src-attr 'unsafe-inline'",
             f"script-src {hashes(scripts)}", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'


def hashes(pieces: Sequence[str]) -> str:
    found = [f"'sha256-{b64encode(sha256(piece.encode()).digest()).decode()}'" for piece in pieces]
    return " ".join(found) or "'none'"


STYLE = """
:root { color-scheme: light dark }
body { font: 1.1rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.3rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem }
section { margin: 1.2rem 0; padding: .3rem 0; overflow: auto hidden }
math { font-size: 1.15rem; text-align: left }
mtd { padding-block: .35em }
table + table { margin-top: 1rem }
th, td { text-align: start; vertical-align: top; padding-inline-end: 1rem }
pre { font-size: .9rem; overflow-x: auto }
svg { max-width: 100%; height: auto }
@media (max-width: 30rem) { body { font-size: 1rem; padding: 0 .5rem } table, math { font-size: .8rem } }
@media print { img { min-width: 0 !important } math { font-size: .8rem } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
{policy}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
{body}
</html>
"""

# Files

Format = Callable[[], Union[str, bytes]]
ALIKE = {".htm": ".html", ".dot": ".gv"}
HINTS = {".pdf": {".tex": "for a PDF, compile the .tex with pdflatex", ".html": "for a PDF, print the .html page"},
         ".png": {".svg": "for pixels, convert the .svg", ".html": "for a picture, take one of the .html page"}}


def saved(what: str, path: FileName, formats: Mapping[str, Format]) -> Path:
    """Write a file wholly or not at all, in the format of its ending; one of that name is replaced. Returns the path.

    what: of whom messages speak. formats: by ending, the usual one first, which also goes to what is not a file (a
    pipe, a device) and has no ending. Raises ValueError for any other ending.
    """
    name = os.fsdecode(path)
    ending = os.path.splitext(name)[1].lower()
    write = formats.get(ALIKE.get(ending, ending))
    if write is None and not ending and os.path.exists(name) and not os.path.isfile(name) and not os.path.isdir(name):
        write = next(iter(formats.values()))
    if write is None:
        hints = [words for other, words in HINTS.get(ending, {}).items() if other in formats]
        raise ValueError(f"{what}.save(path) writes {', '.join(formats)}, by the ending of the name; found {name!r}"
                         + "".join(f" ({words})" for words in hints[:1]))
    content = write()
    write_whole(path, content.encode() if isinstance(content, str) else content)
    return Path(name)


def as_json(data: Any) -> str:
    """Plain data as strict JSON, which any program reads: for inf and nan, which it lacks, "Infinity" and "NaN"."""
    return json.dumps(strict(data), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def strict(data: Any) -> Any:
    """Plain data with "NaN", "Infinity" and "-Infinity" in place of these numbers."""
    return plain(data, lambda x: json.dumps(x) if isinstance(x, float) and not isfinite(x) else x)


def as_csv(rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    """A table, for spreadsheets, too (see `write_delimited`)."""
    file = io.StringIO(newline="")
    write_delimited(file, rows, delimiter)
    return file.getvalue()
