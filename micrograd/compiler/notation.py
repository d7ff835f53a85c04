"""What equations are made of: pieces of formulas, in text and in LaTeX at once, and the names of matrices and of their
parts, as NumPy has them: W2.T, X[0:2], p[0:48].reshape(16, 3).

This module knows nothing of what is computed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..formulas.layout import LATEX, TEXT, Notation, Written, apply, cut, fenced, indices, label_in_latex, label_in_text
from ..ops import Op
from .plan import block, in_rows

PLACES = 4     # numbers that are listed one by one, and things
TERMS = 8      # of a sum; the middle of a longer one is left out
LONGEST = 40   # characters of a name
NUMBERED = re.compile(r"(.*[^\d\[])(?:\[(\d+)\]|(\d+))")  # x[0], x0


class Both(NamedTuple):
    """A piece as text and as LaTeX."""

    text: Written
    latex: Written


class Slot:
    """A piece in a template, where {0:product} asks for parentheses around what binds less tightly."""

    def __init__(self, piece: Written, notation: Notation) -> None:
        self.piece, self.notation = piece, notation

    def __format__(self, needs: str) -> str:
        return fenced(self.piece, needs, self.notation)


def put(text: str, latex: str, binds: str, *parts: Both) -> Both:
    """A text template and a LaTeX template with the parts in their slots."""
    return Both(Written(text.format(*[Slot(part.text, TEXT) for part in parts]), binds),
                Written(latex.format(*[Slot(part.latex, LATEX) for part in parts]), binds))


def atom(text: str, latex: str) -> Both:
    return Both(Written(text, "atom"), Written(latex, "atom"))


def number(x: float) -> Both:
    return Both(TEXT.number(x), LATEX.number(x))


def listed(items: Sequence[Both], separator: str) -> Both:
    """[a; b] or [1, 2]; of many the first few and the last."""
    shown = shortened(items, PLACES, "…")
    text, latex = (f"{separator} ".join(
        item if isinstance(item, str) else item[i].text for item in shown) for i in (0, 1))
    return atom(f"[{text}]", rf"\left[{latex}\right]".replace("…", r"\ldots"))


def shortened(items: Sequence[Any], most: int, words: str) -> list[Any]:
    """The items, or of too many the first and the last, with words for how many are left out."""
    if len(items) <= most:
        return [*items]
    first, last = most // 2, most - most // 2 - 1
    return [*items[:first], words.format(len(items) - first - last), *items[len(items) - last:]]


def total(terms: Sequence[tuple[int, Both]]) -> Both:
    """The sum of the terms with their signs; what is added comes first."""
    terms = sorted(terms, key=lambda term: -term[0])
    if len(terms) == 1 and terms[0][0] > 0:
        return terms[0][1]
    whole = []
    for i, notation in enumerate((TEXT, LATEX)):
        signed = [("- " if sign < 0 else "+ ") + fenced(term[i], "product" if sign < 0 else "sum", notation)
                  for sign, term in terms]
        first, *rest = shortened(signed, TERMS, "+ … ({} more)" if i == 0 else r"+ \ldots")
        whole.append(Written(" ".join([first[2:] if first[0] == "+" else f"-{first[2:]}", *rest]), "sum"))
    return Both(*whole)


def without_sign(piece: Both) -> tuple[int, Both]:
    """-1 and x for a piece -x; 1 and the piece for any other."""
    if piece.text.binds != "sum" or piece.text.text[0] != "-" or re.search(" [-+] ", piece.text.text):
        return 1, piece
    return -1, Both(*[Written(written.text[1:], "product") for written in piece])


def literal(numbers: float | tuple[Any, ...]) -> Both:
    if isinstance(numbers, float):
        return number(numbers)
    if len(numbers) == 1 and isinstance(numbers[0], float):
        return number(numbers[0])
    return listed([listed([*map(number, row)], ",") if isinstance(row, tuple) else number(row) for row in numbers], ",")


def applied(op: Op, args: Sequence[Both]) -> Both:
    """The row's own templates."""
    by_number = LATEX._replace(template=lambda op: op.latex.replace(r"\cdot", r"\odot"))
    text, latex = apply(op, [arg.text for arg in args], TEXT), apply(op, [arg.latex for arg in args], by_number)
    return Both(text, latex._replace(text=latex.text.replace(">=", r"\ge")))


# Names

class Names:
    """Names that are taken."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    def unique(self, wish: Both) -> Both:
        """The name that is wished for, with a number where it is taken."""
        self.taken[wish.text.text] += 1
        n = self.taken[wish.text.text]
        if n == 1:
            return wish
        return self.unique(put(f"{{0:atom}}_{n}", f"{{{{{{0:atom}}}}}}_{{{{({n})}}}}", "atom", wish))


@dataclass(eq=False, slots=True)
class Thing:
    """What has a name, and numbers in an order.

    wish: the name, or of what it is the gradient. grid: rows and columns, where it is a matrix. error: whether the
    gradient by it is δ. labels: of its numbers, where one alone goes by its own. kept: whether it gets a line however
    seldom it is used.
    """

    names: Names
    wish: Both | Thing
    size: int
    grid: tuple[int, int] | None = None
    error: bool = False
    labels: tuple[str, ...] = ()
    kept: bool = True
    found: Both | None = None

    @property
    def name(self) -> Both:
        """Chosen when it is first asked for."""
        if self.found is None:
            self.found = self.names.unique(self.wish if isinstance(self.wish, Both) else self.wish.slope())
        return self.found

    def gradient(self) -> Thing:
        """The gradient by it."""
        return Thing(self.names, self, self.size, self.grid, labels=tuple([f"d{label}" for label in self.labels]),
                     kept=self.error)

    def slope(self) -> Both:
        """The name of the gradient by it: δ2 for Z2, dW2 for W2."""
        text, latex = self.name.text.text, self.name.latex.text
        if not self.error:
            return put("d{0:atom}", r"\mathrm{{d}}{0:atom}", "atom", self.name)
        return atom(text.replace(text[0], "δ", 1), latex.replace(text[0], r"\delta", 1))

    def part(self, index: Sequence[int], columns: int = 0) -> Both:
        """The numbers at these places; as a matrix of so many columns."""
        if self.grid is None:
            return self.stretch(index, columns)
        high, wide = self.grid
        if not columns and sorted(index) == [*range(self.size)]:  # row by row, or column by column
            columns = wide if index[-1] - index[-2:][0] <= 1 else high
        table = in_rows(index, columns or (wide if len(index) % wide == 0 else 1))
        for turned in (False, True):
            if turned:
                table = tuple(zip(*table))
            down, across = [row[0] // wide for row in table], [place % wide for place in table[0]]
            if all(row == tuple([i * wide + j for j in across]) for i, row in zip(down, table)):
                whole = (down, across) == ([*range(high)], [*range(wide)])
                found = self.name if whole else self.at(", ".join([bracketed(down, high), bracketed(across, wide)]))
                return transposed(found) if turned and len(index) > 1 else found
        return self.at(bracketed(index, self.size), ".flat")

    def stretch(self, index: Sequence[int], columns: int) -> Both:
        """The same of what is no matrix."""
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
        piece = self.name if [*index] == [*range(self.size)] else self.at(bracketed(index, self.size))
        return transposed(piece) if columns == len(index) > 1 else piece

    def at(self, places: str, of: str = "") -> Both:
        return put(f"{{0:atom}}{of}[{places}]", f"{{{{{{0:atom}}}}}}_{{{{[{places}]}}}}".replace("…", r"\ldots "),
                   "atom", self.name)

    def running(self, index: Sequence[int], each: int) -> Both | None:
        """The j-th number of `each` for the i-th sum, by i and j, where the places are so regular."""
        wide = self.grid[1] if self.grid else self.size
        axes = [[place // wide for place in index]] * bool(self.grid) + [[place % wide for place in index]]
        found = []
        for axis in axes:
            start, by_i, by_j = axis[0], axis[each] - axis[0], axis[1] - axis[0]
            line = [start + by_i * (k // each) + by_j * (k % each) for k in range(len(axis))]
            if by_i < 0 or by_j < 0 or axis != line:
                return None
            terms = [("" if by == 1 else str(by)) + name for by, name in ((by_i, "i"), (by_j, "j")) if by]
            found.append(" + ".join(terms + [str(start)] * (start > 0 or not terms)))
        return self.at(", ".join(found))


def transposed(piece: Both) -> Both:
    bare = piece.latex.text.isalnum()
    return put("{0:atom}.T", r"{0:atom}^{{\top}}" if bare else r"\left({0}\right)^{{\top}}", "atom", piece)


def spots(index: Sequence[int], size: int) -> str:
    """Places as Python writes them: 3, 1:4, :, or a list of them."""
    first, last = index[0], index[-1]
    if len(index) == 1:
        return str(first)
    if [*index] == [*range(first, last + 1)]:
        return ":" if len(index) == size else f"{first}:{last + 1}"
    step = index[1] - first
    if step > 0 and [*index] == [*range(first, last + 1, step)]:
        return f"{first}:{last + 1}:{step}"
    return ", ".join([str(i) for i in shortened(index, 2 * PLACES, "…")])


def bracketed(index: Sequence[int], size: int) -> str:
    """Places as one index: a list of them in brackets of its own, X[[0, 2, 5]], as X[0, 2] is one number."""
    found = spots(index, size)
    return f"[{found}]" if "," in found else found


def split(label: str) -> tuple[tuple[str, str, str], tuple[int, ...]]:
    """A label as the name of a whole (letters, upper index, what else is below) and the place in it: w^{2}_{1,3} is
    (1, 3) of w^{2}; x[0] and x0 are (0,) of x."""
    parts = indices(label)
    if parts:
        base, above, below = parts
        places = below.split(",")
        if len(places) <= 2 and all(place.isdecimal() for place in places):
            return (base, above, ""), tuple(map(int, places))
        return parts, ()
    match = NUMBERED.fullmatch(label)
    return ((match[1], "", ""), (int(match[2] or match[3]),)) if match else ((label, "", ""), ())


def name_of(base: tuple[str, str, str], axes: int, varies: bool, alone: str = "") -> Both:
    """How a whole is called: w^{2} of two axes is W2, x of one that varies X. alone: its label, if it is one number."""
    letter, above, below = base
    if alone and axes and not above:  # x[3]
        return whole_label(alone)
    if len(letter) == 1 and letter.isascii() and (axes == 2 or (axes == 1 and varies)):
        letter = letter.upper()
    name = whole_label(letter + f"^{{{above}}}" * bool(above) + f"_{{{below}}}" * bool(below))
    return Both(Written(letter + above, "atom"), name.latex) if above.isalnum() and not below else name


def whole_label(label: str) -> Both:
    """A label as a name; in parentheses only where it holds an operator."""
    text, latex = label_in_text(cut(label, LONGEST)), label_in_latex(cut(label, LONGEST))
    return Both(*[written._replace(binds="sum" if text.binds == "sum" else "atom") for written in (text, latex)])


def wholes(names: Names, labels: Mapping[int, str], varies: Callable[[int], bool],
           is_function: Callable[[int], bool]) -> dict[int, tuple[Thing, int]]:
    """Of what each labelled node is a part, and its place there. Nodes whose labels differ in their lower indices only
    are one thing. Labels that come again, as in a network that is called twice, are another."""
    seen: Counter[Any] = Counter()
    things: dict[Any, dict[tuple[int, ...], int]] = {}
    for node in sorted(labels):
        base, place = split(labels[node])
        key = base, len(place), varies(node)
        seen[key, place] += 1
        things.setdefault((*key, seen[key, place]), {})[place] = node
    found: dict[int, tuple[Thing, int]] = {}
    for (base, axes, varying, count), nodes in things.items():
        places = sorted(nodes)
        own = [labels[nodes[place]] for place in places]
        thing = Thing(names, name_of(base, axes, varying, own[0] if len(own) == 1 else ""), len(own))
        if base[0] == "z" and not any(map(is_function, nodes.values())):  # as Bishop calls activations
            thing.error = True
        elif axes == 1 and count == 1 and not indices(own[0]):
            thing.labels = tuple(own)
        elif axes == 2:
            (top, left), (bottom, right) = places[0], places[-1]
            high, wide = bottom - top + 1, right - left + 1
            if places == [(top + i, left + j) for i in range(high) for j in range(wide)]:
                thing.grid = high, wide
        found.update((nodes[place], (thing, i)) for i, place in enumerate(places))
    return found
