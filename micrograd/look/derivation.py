"""A derivation as data: factors, lines, numbers. `explain` finds it; its views in text, LaTeX, MathML and HTML are made
of the lines."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from ..formulas.formula import Formula, equation, number_of
from ..formulas.labels import columns, text_in_latex
from ..formulas.layout import Applied, Layout, Quoted, aligned, series, written
from ..formulas.mathml import mathml
from ..formulas.matrices import Matrix
from ..formulas.notations import LATEX, TERM, Signs
from ..page import Format, Savable, as_json, page
from ..terminal import Printed, Spelling, folded, padded, wrapped
from .tex import as_tex, text_in_tex

FORMS = CHAIN, DELTA = ("chain", "delta")
WIDTH = 100    # characters; a longer side of a line in LaTeX is broken
MINUS = ("-", "−")


@dataclass(frozen=True, slots=True, repr=False)
class Factor(Printed):
    """One factor of a product: ∂a⁴/∂z⁴ = σ′(z⁴) = a⁴(1 − a⁴) = 0.2384."""

    symbols: Formula  # ∂a⁴/∂z⁴
    rule: Formula     # σ′(z⁴); the same as `formula`, where there is no shorter notation
    formula: Formula  # a⁴(1 − a⁴)
    value: float      # as the graph has recorded it

    def _laid_out(self, width: int, spell: Spelling) -> str:
        whole = equation(self.symbols, self.rule, self.formula, number_of(self.value))
        return "\n".join(folded(spell(whole), width))

    def to_dict(self) -> dict[str, Any]:
        return {"symbols": self.symbols.to_dict(), "rule": self.rule.to_dict(), "formula": self.formula.to_dict(),
                "value": self.value}


@dataclass(frozen=True, slots=True, repr=False)
class Line(Printed):
    """left = side = side = ...; a side is a sum, in parts at which a long line may be broken."""

    left: Formula
    sides: tuple[tuple[Formula, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        return {"left": self.left.to_dict(), "sides": [[part.to_dict() for part in side] for side in self.sides]}

    def _laid_out(self, width: int, spell: Spelling) -> str:
        return "\n".join(self.in_text(False, columns(spell(self.left)), width, spell))

    def in_text(self, stacked: bool, left: int, width: int, spell: Spelling) -> list[str]:
        """The rows of the line as text: one, if it is short enough; a row for each side of a long one, or if `stacked`;
        and if a side is too long for that, a row for each part of it. left: columns of the left side."""
        name = spell(self.left)
        if not self.sides:
            return wrapped(name, width)
        sides = [[spell(part) for part in side] for side in self.sides]
        row = " = ".join([padded(name, left), *map(summed, sides)])
        if not stacked and columns(row) <= width:
            return [row]
        widest = max(columns(word) for side in sides for part in side for word in part.split(" "))
        below = left > width // 2 or left + 3 + widest > width  # the sides, where there is no room beside
        rows = folded(name, width, 4) if below else []
        before = "  " if below else padded(name, left) + " "
        for side in sides:
            whole = f"{before}= {summed(side)}"
            if columns(whole) <= width or len(side) == 1:
                rows += folded(whole, width, len(before) + 4)
            else:
                rows += folded(f"{before}= {side[0]}", width, len(before) + 6)
                for part in side[1:]:
                    sign, rest = sign_of(part)
                    rows += folded(f"{' ' * len(before)}{sign:>3} {rest}", width, len(before) + 6)
            before = " " * columns(before)
        return rows

    def rows(self, stacked: bool) -> list[Layout]:
        """The rows of the line, for an aligned environment."""
        if not self.sides:
            return [Applied(ALONE, [self.left.layout])]
        sides: list[Layout] = [
            Applied(side_signs(len(side), stacked and len(summed(side)) > WIDTH), [part.layout for part in side])
            for side in self.sides]
        first, *others = sides if stacked else [Applied(series(" ", len(sides)), sides)]
        return [Applied(BESIDE, [self.left.layout, first]), *(Applied(ALONE, [side]) for side in others)]


BESIDE, ALONE = Signs("", "{0} & {1}"), Signs("", "& {0}")


@cache
def side_signs(n: int, broken: bool) -> Signs:
    """A side as a sum of n parts; broken: with a row for each."""
    plus = r" \\ & \qquad + " if broken else " + "
    return Signs("", "= {0}" + "".join(f"{plus}{{{i}:{TERM}}}" for i in range(1, n)))


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Printed, Savable):
    """The derivation that `explain` found. Print it, show it in a notebook, take it apart, or `.save("w.html")` it.

    Attributes:
        symbols: ∂C/∂w²; or the name of the node that is explained.
        form: "chain" or "delta"; "node" for one node alone.
        value: the derivative, as backward() finds it; a node's number.
        paths: the products whose sum is the derivative; of many paths the first few.
        count: how many paths there are.
        lines: the derivation.
        matrices: the same for whole layers, in matrices.
        notes: what else there is to say.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> found = micrograd.explain(w * x, w)
        >>> found.value, found.count
        (2.0, 1)
    """

    symbols: Formula
    form: str
    value: float
    paths: tuple[tuple[Factor, ...], ...]
    count: int
    lines: tuple[Line, ...]
    matrices: tuple[Matrix, ...]
    notes: tuple[str, ...]

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors in reading order: of the one path, or of all that are written out, one path after the other."""
        return tuple(chain.from_iterable(self.paths))

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain data."""
        return {"symbols": self.symbols.to_dict(), "form": self.form, "value": self.value, "count": self.count,
                "paths": [[factor.to_dict() for factor in path] for path in self.paths],
                "lines": [line.to_dict() for line in self.lines],
                "matrices": [matrix.to_dict() for matrix in self.matrices], "notes": list(self.notes)}

    def _laid_out(self, width: int, spell: Spelling) -> str:
        left = max((columns(spell(line.left)) for line in self.lines if line.sides), default=0)
        rows = [row.rstrip() for line in self.lines for row in line.in_text(self.form == CHAIN, left, width, spell)]
        notes = [row for note in self.notes for row in wrapped(spell(note), width)]
        return "\n\n".join(filter(None, ["\n".join(rows), *(each._laid_out(width, spell) for each in self.matrices),
                                         "\n".join(notes)]))

    @property
    def latex(self) -> str:
        """The derivation as one aligned environment, without dollar signs."""
        return str(written(self.layout(), LATEX).text)

    def layout(self) -> Layout:
        """The lines as one aligned environment."""
        rows = [row for line in self.lines for row in line.rows(self.form == CHAIN)]
        return aligned([*rows, *(Quoted("", matrix.latex) for matrix in self.matrices)])

    def _repr_latex_(self) -> str:
        notes = "".join(rf" \\\\[0.5em] & {text_in_latex(note)}" for note in self.notes)
        return "$$" + self.latex.replace("\n\\end{aligned}", notes + "\n\\end{aligned}") + "$$"

    def to_mathml(self) -> str:
        """The derivation as one <math> element."""
        return mathml(self.layout(), display=True)

    def to_html(self) -> str:
        """The derivation as a piece of a page, in MathML, with the notes below."""
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f'<div class="derivation" style="overflow: auto hidden">{self.to_mathml()}{notes}</div>'

    def _formats(self) -> dict[str, Format]:
        return Explanations([self])._formats()


class Explanations(Printed, Savable, tuple[Explanation, ...]):
    """Several of them, as `explain` finds for a list: a tuple that prints, shows and saves itself as one derivation."""

    __slots__ = ()

    def _laid_out(self, width: int, spell: Spelling) -> str:
        return "\n\n".join(each._laid_out(width, spell) for each in self)

    def to_dict(self) -> dict[str, Any]:
        """All of them as plain data: {"explanations": [...]}."""
        return {"explanations": [each.to_dict() for each in self]}

    @property
    def latex(self) -> str:
        """A list of aligned environments, without dollar signs."""
        return "\n\\\\[1em]\n".join(each.latex for each in self)

    def _repr_latex_(self) -> str:
        return "\n\n".join(each._repr_latex_() for each in self)

    def to_html(self) -> str:
        """One piece of a page after the other."""
        return "\n".join(each.to_html() for each in self)

    def _formats(self) -> dict[str, Format]:
        names = ", ".join(each.symbols for each in self)
        return {".txt": lambda: f"{self.text}\n",
                ".tex": lambda: as_tex("\n\n".join(map(in_tex, self))),
                ".html": lambda: page(names, [each.to_html() for each in self]),
                ".json": lambda: as_json(self.to_dict() if len(self) != 1 else self[0].to_dict())}


def in_tex(found: Explanation) -> str:
    r"""A derivation inside of a document: the lines, and the notes as paragraphs."""
    notes = "".join(f"\n\n\\noindent {text_in_tex(note)}" for note in found.notes)
    return rf"\[ {found.latex} \]{notes}"


def summed(parts: Sequence[str]) -> str:
    """The sum of the parts: a + −b is a − b."""
    first, *rest = parts
    return " ".join([first, *(word for part in rest for word in sign_of(part))])


def sign_of(part: str) -> tuple[str, str]:
    """An addend as its sign and the rest."""
    return (part[0], part[1:]) if part.startswith(MINUS) else ("+", part)
