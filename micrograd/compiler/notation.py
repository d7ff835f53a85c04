"""The parts of equations: pieces of formulas, in text and in LaTeX at once, and the names of matrices and of their
parts, as NumPy has them: W2.T, X[0:2], p[0:48].reshape(16, 3).

This module knows nothing of what is computed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ops
from ..formulas.labels import cut, indices
from ..formulas.layout import Applied, Layout, Quoted, ShownNumber, written
from ..formulas.notations import LATEX, NEGATIVE, PLUS, TEXT, Notation, Signs, Written
from .plan import block, in_rows, spaced

PLACES = 4     # numbers that are listed one by one, and things
TERMS = 8      # of a sum; the middle of a longer one is left out
LONGEST = 40   # characters of a name
NUMBERED = re.compile(r"(.*[^\d\[])(?:\[(\d+)\]|(\d+))")  # x[0], x0


def put(text: str, latex: str, binds: str, *operands: Layout) -> Applied:
    """A text template and a LaTeX template with the operands in their gaps."""
    return Applied(Signs(text, latex, binds), operands)


def in_text(piece: Layout) -> str:
    return str(written(piece, TEXT).text)


def in_latex(piece: Layout) -> str:
    return str(written(piece, LATEX).text)


def listed(items: Sequence[Layout], separator: str) -> Layout:
    """[a; b] or [1, 2]; of many the first few and the last."""
    shown = shortened(items, PLACES, "…")
    kept = [item for item in shown if item != "…"]
    gaps = iter(range(len(kept)))
    inner = f"{separator} ".join("…" if item == "…" else f"{{{next(gaps)}}}" for item in shown)
    return put(f"[{inner}]", rf"\left[{inner}\right]".replace("…", r"\ldots"), "atom", *kept)


def shortened(items: Sequence[Any], most: int, words: str) -> list[Any]:
    """The items, or of too many the first and the last, with words for how many are left out."""
    if len(items) <= most:
        return [*items]
    first, last = most // 2, most - most // 2 - 1
    return [*items[:first], words.format(len(items) - first - last), *items[len(items) - last:]]


def total(terms: Sequence[tuple[int, Layout]]) -> Layout:
    """The sum of the terms with their signs; what is added comes first."""
    terms = sorted(terms, key=lambda term: -term[0])
    if len(terms) == 1 and terms[0][0] > 0:
        return terms[0][1]
    signed = [f"- {{{i}:product}}" if sign < 0 else f"+ {{{i}:sum}}" for i, (sign, _) in enumerate(terms)]
    text, latex = (" ".join(shortened(signed, TERMS, more)) for more in ("+ … ({} more)", r"+ \ldots"))
    first = "-" if terms[0][0] < 0 else ""
    return put(first + text[2:], first + latex[2:], "sum", *(term for _, term in terms))


@dataclass(frozen=True, slots=True)
class Unsigned(Layout):
    """A piece that begins with a minus sign, without that."""

    operands: Sequence[Layout] = ()

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        return pieces[0].without_minus()


def without_sign(piece: Layout) -> tuple[int, Layout]:
    """-1 and x for a piece -x; 1 and the piece for any other."""
    text = written(piece, TEXT)
    negative = text.binds == "sum" and text.begins in NEGATIVE and not text.marks & PLUS
    return (-1, Unsigned([piece])) if negative else (1, piece)


def multiplied(pieces: Sequence[Layout], by_number: bool) -> tuple[int, Layout]:
    """The sign of the product of arrays, number by number, and the product without it. by_number: whether one of them
    is a number."""
    signed = sorted([without_sign(piece) for piece in pieces], key=lambda piece: not begins_with_number(piece[1]))
    (sign, found), *rest = signed if len(pieces) > 1 else [(1, pieces[0])]
    dot = r"\cdot" if by_number else r"\odot"
    for other, piece in rest:
        sign *= other
        found = put("{0:product} * {1:product}", rf"{{0:product}} {dot} {{1:product}}", "product", found, piece)
        dot = r"\odot"  # numbers come first
    return sign, found


def begins_with_number(piece: Layout) -> bool:
    """Tell whether it is a number, or a product that begins with one."""
    match piece:
        case ShownNumber():
            return True
        case Unsigned([inner]):
            return begins_with_number(inner)
        case Applied(signs, [first, _]):
            return signs.text == ops.mul.text and begins_with_number(first)
    return False


def literal(numbers: float | tuple[Any, ...]) -> Layout:
    if isinstance(numbers, float):
        return ShownNumber(numbers)
    if len(numbers) == 1 and isinstance(numbers[0], float):
        return ShownNumber(numbers[0])
    rows = [listed([*map(ShownNumber, row)], ",") if isinstance(row, tuple) else ShownNumber(row) for row in numbers]
    return listed(rows, ",")


# Names

def unique(proposed: Layout, taken: Counter[str]) -> Layout:
    """The proposed name, with a number where it is taken; it is taken then."""
    text = in_text(proposed)
    taken[text] += 1
    n = taken[text]
    if n == 1:
        return proposed
    return unique(put(f"{{0:atom}}_{n}", f"{{{{{{0:atom}}}}}}_{{{{({n})}}}}", "atom", proposed), taken)


@dataclass(eq=False, slots=True)
class Array:
    """Numbers in an order, with a name for all of them.

    taken: names of all arrays. proposed_name: the name, or of what it is the gradient. grid: rows and columns, where it
    is a matrix. error: whether the gradient by it is δ. labels: of its numbers, where one alone goes by its own. kept:
    whether it gets a line however seldom it is used.
    """

    taken: Counter[str]
    proposed_name: Layout | Array
    size: int
    grid: tuple[int, int] | None = None
    error: bool = False
    labels: tuple[str, ...] = ()
    kept: bool = True
    found: Layout | None = None

    @property
    def name(self) -> Layout:
        """Chosen when it is first asked for."""
        if self.found is None:
            proposed = self.proposed_name
            self.found = unique(proposed.slope() if isinstance(proposed, Array) else proposed, self.taken)
        return self.found

    def gradient(self) -> Array:
        """The gradient by it."""
        return Array(self.taken, self, self.size, self.grid, labels=tuple([f"d{label}" for label in self.labels]),
                     kept=self.error)

    def slope(self) -> Layout:
        """The name of the gradient by it: δ2 for Z2, dW2 for W2."""
        if not self.error:
            return put("d{0:atom}", r"\mathrm{{d}}{0:atom}", "atom", self.name)
        text, latex = in_text(self.name), in_latex(self.name)
        return Quoted(text.replace(text[0], "δ", 1), latex.replace(text[0], r"\delta", 1))

    def part(self, index: Sequence[int], columns: int = 0) -> Layout:
        """The numbers at these places; as a matrix of that many columns."""
        if self.grid is None:
            return self.stretch(index, columns)
        high, wide = self.grid
        if not columns and sorted(index) == [*range(self.size)]:  # row by row, or column by column
            columns = wide if index[-1] - index[-2:][0] <= 1 else high
        rows = in_rows(index, columns or (wide if len(index) % wide == 0 else 1))
        for turned, table in ((False, rows), (True, [*zip(*rows)])):
            down, across = [row[0] // wide for row in table], [place % wide for place in table[0]]
            if all(row == tuple([i * wide + j for j in across]) for i, row in zip(down, table)):
                whole = (down, across) == ([*range(high)], [*range(wide)])
                found = self.name if whole else self.at(", ".join([subscript(down, high), subscript(across, wide)]))
                return transposed(found) if turned and len(index) > 1 else found
        return self.at(subscript(index, self.size), ".flat")

    def stretch(self, index: Sequence[int], columns: int) -> Layout:
        """The same, of an array that is not a matrix."""
        if 1 < columns < len(index):
            found = block([*index], columns, self.size)
            if found is None:
                return self.at(f"{len(index) // columns} × {columns} of them")
            piece = self.stretch(range(found.start, found.start + found.rows * found.width), 0)
            piece = put(f"{{0:atom}}.reshape({found.rows}, {found.width})",
                        rf"{{{{{{0:atom}}}}}}_{{{{{found.rows} \times {found.width}}}}}", "atom", piece)
            if found.columns < found.width:
                left = f"[:, :{found.columns}]"
                piece = put("{0}" + left, f"{{{{{{0}}}}}}_{{{{{left}}}}}", "atom", piece)
            return transposed(piece) if found.transposed else piece
        if len(index) == 1 and self.labels:
            return whole_label(self.labels[index[0]])
        piece = self.name if [*index] == [*range(self.size)] else self.at(subscript(index, self.size))
        return transposed(piece) if columns == len(index) > 1 else piece

    def at(self, where: str, of: str = "") -> Layout:
        return put(f"{{0:atom}}{of}[{where}]", f"{{{{{{0:atom}}}}}}_{{{{[{where}]}}}}".replace("…", r"\ldots "),
                   "atom", self.name)

    def running(self, index: Sequence[int], each: int) -> Layout | None:
        """The j-th number of `each` for the i-th sum, by i and j, where the places are so regular."""
        wide = self.grid[1] if self.grid else self.size
        axes = ([[place // wide for place in index]] if self.grid else []) + [[place % wide for place in index]]
        found = []
        for axis in axes:
            start, by_i, by_j = axis[0], axis[each] - axis[0], axis[1] - axis[0]
            line = [start + by_i * (k // each) + by_j * (k % each) for k in range(len(axis))]
            if by_i < 0 or by_j < 0 or axis != line:
                return None
            terms = [("" if by == 1 else str(by)) + name for by, name in ((by_i, "i"), (by_j, "j")) if by]
            found.append(" + ".join(terms + ([str(start)] if start > 0 or not terms else [])))
        return self.at(", ".join(found))


def transposed(piece: Layout) -> Layout:
    bare = isinstance(piece, Quoted) and piece.latex.isalnum()
    return put("{0:atom}.T", r"{0:atom}^{{\top}}" if bare else r"\left({0}\right)^{{\top}}", "atom", piece)


def subscript(index: Sequence[int], size: int) -> str:
    """Places as Python writes them: 3, 1:4, :, or a list in brackets of its own, X[[0, 2, 5]], as X[0, 2] is one
    number."""
    if len(index) == 1:
        return str(index[0])
    found = spaced([*index])
    if found is None:
        return f"[{', '.join([str(i) for i in shortened(index, 2 * PLACES, '…')])}]"
    if found.step > 1:
        return f"{found.start}:{found.stop}:{found.step}"
    return ":" if len(index) == size else f"{found.start}:{found.stop}"


def split(label: str) -> tuple[tuple[str, str, str], tuple[int, ...]]:
    """A label as the name of a whole (letters, upper index, what else is below) and the place in it: w^{2}_{1,3} is
    (1, 3) of w^{2}; x[0] and x0 are (0,) of x."""
    parts = indices(label)
    if parts:
        base, above, below = parts
        numbers = below.split(",")
        if len(numbers) <= 2 and all(map(str.isdecimal, numbers)):
            return (base, above, ""), tuple(map(int, numbers))
        return parts, ()
    match = NUMBERED.fullmatch(label)
    return ((match[1], "", ""), (int(match[2] or match[3]),)) if match else ((label, "", ""), ())


def array_name(base: tuple[str, str, str], axes: int, varies: bool, alone: str = "") -> Layout:
    """The name of a whole: w^{2} of two axes is W2, x of one that varies X. alone: its label, if it is one number."""
    letter, above, below = base
    if alone and axes and not above:  # x[3]
        return whole_label(alone)
    if len(letter) == 1 and letter.isascii() and (axes == 2 or (axes == 1 and varies)):
        letter = letter.upper()
    name = whole_label(letter + (f"^{{{above}}}" if above else "") + (f"_{{{below}}}" if below else ""))
    return Quoted(letter + above, name.latex) if above.isalnum() and not below else name


def whole_label(label: str) -> Quoted:
    """A label as a name; in parentheses only where it holds an operator."""
    text, latex = (notation.label(cut(label, LONGEST)) for notation in (TEXT, LATEX))
    return Quoted(text.text, latex.text, "sum" if text.binds == "sum" else "atom")


def wholes(taken: Counter[str], labels: Mapping[int, str], varies: Callable[[int], bool],
           is_function: Callable[[int], bool]) -> dict[int, tuple[Array, int]]:
    """Of what each labelled node is a part, and its place there. Nodes whose labels differ in their lower indices only
    are one array. Labels that come again, as in a network that is called twice, are another."""
    seen: Counter[Any] = Counter()
    arrays: dict[Any, dict[tuple[int, ...], int]] = {}
    for node in sorted(labels):
        base, place = split(labels[node])
        key = base, len(place), varies(node)
        seen[key, place] += 1
        arrays.setdefault((*key, seen[key, place]), {})[place] = node
    found: dict[int, tuple[Array, int]] = {}
    for (base, axes, varying, count), nodes in arrays.items():
        places = sorted(nodes)
        own = [labels[nodes[place]] for place in places]
        array = Array(taken, array_name(base, axes, varying, own[0] if len(own) == 1 else ""), len(own))
        if base[0] == "z" and not any(map(is_function, nodes.values())):  # as Bishop calls activations
            array.error = True
        elif axes == 1 and count == 1 and not indices(own[0]):
            array.labels = tuple(own)
        elif axes == 2:
            (top, left), (bottom, right) = places[0], places[-1]
            high, wide = bottom - top + 1, right - left + 1
            if places == [(top + i, left + j) for i in range(high) for j in range(wide)]:
                array.grid = high, wide
        found.update((nodes[place], (array, i)) for i, place in enumerate(places))
    return found
