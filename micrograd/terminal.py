"""Printing: in lines that fit the terminal, and in signs that it has: dC/dw^4 where it lacks those of ∂C/∂w⁴.

A `Printed` object lays itself out for a number of columns, in a given spelling. Its `.text` is the same everywhere;
`str`, `print` and a REPL ask standard output what it can show. This module does not know what is said.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from shutil import get_terminal_size
from typing import Any

from .formulas.boxes import GREEK
from .formulas.labels import LOWERED_RUN, RAISED_RUN, columns, in_one_notation, lowered_on_the_line, raised_on_the_line

WIDTH = 80                    # columns of a file, a pipe or a notebook; of a terminal as many as it has,
NARROWEST, WIDEST = 40, 120   # but no fewer and no more than these
TYPEWRITER = {letter: command[1:] for letter, command in GREEK.items()} | {
    "∂": "d", "½": "1/2", "·": "*", "×": "x", "÷": "/", "−": "-", "–": "-", "′": "'", "∞": "inf", "⊙": "(*)",
    "…": "...", "⋯": "...", "⋮": ":", "⋱": "...", "≈": "~", "→": "->", "←": "<-", "∇": "grad ", "Σ": "sum", "⁄": "/",
    "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=", "²": "^2", "³": "^3", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")",
    "✓": "+", "✗": "x", "↓": "v", "ℓ": "l", "\u00a0": " ", **dict.fromkeys("⎡⎢⎣", "["), **dict.fromkeys("⎤⎥⎦", "]"),
    **dict.fromkeys("⎛⎜⎝", "("), **dict.fromkeys("⎞⎟⎠", ")")}

Spelling = Callable[[str], str]  # rewrites words in the signs that a stream has


class Printed:
    """Something that prints itself, and shows itself in a REPL. Its class says how, in `_laid_out`."""

    __slots__ = ()

    def _laid_out(self, width: int, spell: Spelling) -> str:
        """The whole as text, in lines of at most `width` columns where they can be broken, its words spelled so."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The whole in Unicode, in lines of 80 columns where they can be broken: the same wherever it is asked for."""
        return printed(self._laid_out, WIDTH, in_one_notation)

    def __str__(self) -> str:
        return printed(self._laid_out, width_of_stdout(), spelling_of(sys.stdout))

    def __repr__(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def printed(lay_out: Callable[[int, Spelling], str], width: int, spell: Spelling) -> str:
    """The text in one notation: with all indices on the line, if one could not be raised or lowered."""
    text = lay_out(width, spell)
    return text if text == in_one_notation(text) else lay_out(width, lambda words: on_the_line(spell(words)))


def width_of_stdout() -> int:
    """The number of columns that a line may have."""
    try:
        is_terminal = sys.stdout.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        is_terminal = False
    return min(max(get_terminal_size().columns - 1, NARROWEST), WIDEST) if is_terminal else WIDTH


# Signs

def in_signs_of_stdout(words: str) -> str:
    """The words as they are, or as a typewriter has them, where standard output lacks some of the signs."""
    return spelling_of(sys.stdout)(words)


def spelling_of(stream: Any) -> Spelling:
    """The spelling for a stream of text; that of Unicode, if it says nothing of an encoding."""
    encoding, errors = (getattr(stream, name, None) for name in ("encoding", "errors"))
    return spelling(str(encoding or "utf-8"), str(errors or "strict"))


@lru_cache
def spelling(encoding: str, errors: str) -> Spelling:
    """The spelling for a stream. One that has been told what to do about signs that it lacks, as by
    PYTHONIOENCODING=ascii:replace, does that. What lacks some of the raised signs gets none, as Latin-1, which has w²
    and no w⁴; so with the lowered ones."""
    def has(words: str) -> bool:
        try:
            words.encode(encoding)
        except (UnicodeError, LookupError):
            return False
        return True

    if errors not in ("strict", "surrogateescape", typewriter.__name__):
        return str
    notations = [write for write, signs in ((raised_on_the_line, "⁴ᵏ"), (lowered_on_the_line, "₄ₖ")) if not has(signs)]

    def spell(words: str) -> str:
        if words.isascii():
            return words
        for write in notations:
            words = write(words)
        return words if has(words) else "".join(
            sign if has(sign) else TYPEWRITER.get(sign, "?") for sign in words.replace("∇_", "grad_"))
    return spell


def typewriter(error: UnicodeError) -> tuple[str, int]:
    """For streams that cannot write a sign (see `codecs.register_error`): a^4 for a⁴, a^{k-1} for aᵏ⁻¹, x_1 for x₁."""
    assert isinstance(error, UnicodeEncodeError)
    end = error.end
    for index in (RAISED_RUN, LOWERED_RUN):
        more = index.match(error.object, error.end - 1)  # an index stays together, though Latin-1 has the ¹
        end = more.end() if more else end
    return spelling("ascii", "strict")(error.object[error.start:end]), end


def on_the_line(words: str) -> str:
    """With no index raised or lowered."""
    return lowered_on_the_line(raised_on_the_line(words))


# Lines

OPERATORS = {"=": 0, **dict.fromkeys("+-−", 1), **dict.fromkeys("·*×/⊙@", 2)}  # from those between the largest parts on
OPENING, CLOSING = "([⌊⌈", ")]⌋⌉"
ROOM = 10  # columns that a cell should have


def folded(words: str, width: int, indent: int = 0) -> list[str]:
    """Break a formula into lines of at most `width` columns: before operators, inside as few parentheses as possible.
    indent: of the lines after the first."""
    lines = []
    while columns(words) > width:
        start = len(words) - len(words.lstrip()) + 1
        place = break_of(words, width, max(start, width // 2)) or break_of(words, width, start)
        if not place:  # no room before the next space
            place = words.find(" ", max(width, start))
        if place <= 0 or not words[place:].strip():
            break
        lines.append(words[:place].rstrip())
        words = " " * indent + words[place:].strip()
    return [*lines, words]


def break_of(words: str, width: int, least: int) -> int:
    """The best space to break at, no nearer than `least` and no further than width; 0 if there is none."""
    best, place, depth, at = (9, 9), 0, 0, 0
    for i, sign in enumerate(words):
        if at > width:
            break
        depth += (sign in OPENING) - (sign in CLOSING)
        if sign == " " and i >= least:
            rank = OPERATORS.get(words[i + 1:i + 2], 3) if words[i + 2:i + 3] == " " else 3
            if (depth, rank) <= best:
                best, place = (depth, rank), i
        at += columns(sign)
    return place


def wrapped(words: str, width: int, head: str = "", indent: int = 0) -> list[str]:
    """Break a sentence into lines of at most `width` columns, the first after `head`, the others after an indent. One
    that has lines already, such as an error with its caret, stays as it is."""
    if "\n" in words:
        return words.splitlines()
    indent = indent if indent <= width // 2 else 4
    if columns(words) > len(words):  # of wide signs
        return folded(head + words, width, indent)
    return textwrap.wrap(words, width, initial_indent=head, subsequent_indent=" " * indent,
                         break_long_words=False, break_on_hyphens=False) or [head.rstrip()]


def padded(words: str, width: int, right: bool = False) -> str:
    space = " " * (width - columns(words))
    return space + words if right else words + space


def in_columns(table: Iterable[Sequence[str] | str], width: int, right: Sequence[int] = ()) -> list[str]:
    """A table as lines; the first row is the head. A cell that is too wide goes on below; and where there is no room
    for columns side by side, each row becomes a list of heads and cells.

    table: rows of cells; a string instead of a row is a whole line. right: the columns of numbers, aligned right.
    """
    table = list(table)
    rows = [row for row in table if not isinstance(row, str)]
    widths = [max(map(columns, column)) for column in zip(*rows)]
    least = [max(min(widest, ROOM), *(columns(word) for cell in column for word in cell.split(" ")))
             for widest, column in zip(widths, zip(*rows))]
    gap = " " * (2 if sum(least) + 2 * (len(least) - 1) <= width else 1)
    room = width - len(gap) * (len(widths) - 1)
    if sum(least) > room and sum(widths) > room:
        return as_lists(table, width)
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda i: widths[i] - least[i] and widths[i])
        widths[widest] -= 1
    cells = [row if isinstance(row, str) else [folded(cell, size) for cell, size in zip(row, widths)] for row in table]
    widths = [max(columns(line) for cell in column for line in cell)
              for column in zip(*(row for row in cells if not isinstance(row, str)))]
    lines: list[str] = []
    for row in cells:
        lines += wrapped(row, width) if isinstance(row, str) else [
            gap.join(padded(cell[k] if k < len(cell) else "", size, i in right)
                     for i, (cell, size) in enumerate(zip(row, widths))).rstrip() for k in range(max(map(len, row)))]
    return lines


def as_lists(table: Sequence[Sequence[str] | str], width: int) -> list[str]:
    """The rows of a table one below the other, each as the head and the cell of its columns."""
    head, *others = table
    lines: list[str] = []
    for row in others:
        if isinstance(row, str):
            lines += wrapped(row, width)
            continue
        line = ""
        for piece in (f"{name}: {cell}" if name else cell for name, cell in zip(head, row) if cell):
            if line.strip() and columns(line) + 3 + columns(piece) > width:
                lines += folded(line, width, 4)
                line = "  "
            line += f"   {piece}" if line.strip() else piece
        lines += folded(line, width, 4)
    return lines
