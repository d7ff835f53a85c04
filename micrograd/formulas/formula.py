"""Formulas of terms, numbers, derivatives and nodes, as they are printed: text, and a tree for LaTeX and MathML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import groupby
from math import isnan
from typing import Any

from .. import ops
from ..engine import Value
from ..ops import CONSTANT, Op
from ..terminal import in_signs_of_stdout
from .algebra import (
    DOTS,
    LONGEST,
    Call,
    Coefficient,
    Name,
    Number,
    Product,
    Sum,
    Term,
    Terms,
    exact,
    floated,
    multiplied,
)
from .graph import Edge, Graph
from .labels import in_one_notation
from .layout import Applied, Fenced, Label, Layout, Quoted, ShownNumber, series, written
from .mathml import mathml
from .notations import CARET, DIGITS, LATEX, LETTERS, QUOTIENT, UNICODE, WORD, Notation, Signs, Written, apply, fenced

VISIBLE = 1e-6  # relative; a difference between a formula and a number that six digits show


class Formula(str):
    """A formula as text for a terminal, "a⁴(1 − a⁴)"; with `.latex` and `.mathml` for everywhere else."""

    __slots__ = ("layout",)
    layout: Layout

    def __new__(cls, text: str, latex: str | Layout) -> Formula:
        formula = super().__new__(cls, text)
        formula.layout = Quoted(text, latex) if isinstance(latex, str) else latex
        return formula

    @staticmethod
    def of(layout: Layout) -> Formula:
        return Formula(in_one_notation(written(layout, UNICODE).text), layout)

    @property
    def text(self) -> str:
        """In Unicode, as in f"{formula}". (`str`, and so `print`, gives it in signs that standard output has.)"""
        return str.__str__(self)

    def __str__(self) -> str:
        return in_signs_of_stdout(self.text)

    def __format__(self, spec: str) -> str:
        return format(self.text, spec)

    def __repr__(self) -> str:
        return repr(str(self))

    @property
    def latex(self) -> str:
        """In LaTeX, without dollar signs."""
        latex: str = written(self.layout, LATEX).text
        return latex

    @property
    def mathml(self) -> str:
        """As a <math> element."""
        return mathml(self.layout)

    def to_dict(self) -> dict[str, str]:
        """{"text": ..., "latex": ...}"""
        return {"text": self.text, "latex": self.latex}

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"

    def __reduce__(self) -> tuple[Any, ...]:
        return Formula, (self.text, self.latex)


# Terms and numbers

def formula_of(term: Term, numbers: bool = False) -> Formula:
    """The term written down; numbers: with the number of each name in its place."""
    return Formula.of(laid_out(term, numbers))


def laid_out(term: Term, numbers: bool = False) -> Layout:
    """The layout of a term. See `formula_of`."""
    if isinstance(term, Number):
        return quotient_of(term.value)
    if isinstance(term, Name):
        return ShownNumber(term.x, DIGITS, term.name if term.name != DOTS else "") if numbers else Label(term.name)
    if isinstance(term, Call):
        if not term.prime:
            return Applied(term.op, [laid_out(arg, numbers) for arg in term.args])
        return ShownNumber(term.x, DIGITS) if numbers else Applied(prime(term.op), [laid_out(term.args[0])])
    if isinstance(term, Product):
        return quotient_of(term.coefficient, term.factors, numbers)
    assert isinstance(term, Sum)
    pieces = [(c, laid_out(multiplied(inner.x, Number(max(c, -c)), inner), numbers))
              for inner, c in positive_first(term.terms)]
    if len(pieces) > LONGEST:
        pieces[3:-1] = [(Fraction(1), left_out(f"{len(pieces) - 4} more"))]
    (c, result), *others = pieces
    result = result if c > 0 else Applied(ops.neg, [result])
    for c, piece in others:
        result = Applied(ops.add if c > 0 else ops.sub, [result, piece])
    return result


def left_out(what: str) -> Layout:
    """⋯ (7 more), in the place of what is too much to write."""
    return Quoted(f"⋯ ({what})", rf"\cdots\text{{ ({what})}}")


def positive_first(terms: Sequence[tuple[Term, Coefficient]]) -> list[tuple[Term, Coefficient]]:
    """The terms of a sum, with no minus in front if that can be had."""
    first = next((place for place, (_, c) in enumerate(terms) if c > 0), 0)
    return [terms[first], *terms[:first], *terms[first + 1:]]


def quotient_of(c: Coefficient, factors: Sequence[tuple[Term, Coefficient]] = (), numbers: bool = False) -> Layout:
    """Numerator over denominator, the coefficient in front; without factors a number of the formula itself."""
    over, under = in_two(max(c, -c))
    if under == 1 and not factors:
        return ShownNumber(floated(c))
    above = [power_of(base, exponent, numbers) for base, exponent in factors if exponent > 0]
    below = [power_of(base, -exponent, numbers) for base, exponent in factors if exponent < 0]
    result = joined(over, above)
    if below or under != 1:
        result = Applied(ops.div, [result, joined(under, below)])
    return Applied(ops.neg, [result]) if c < 0 else result


def in_two(c: Coefficient) -> tuple[Coefficient, Fraction]:
    """A number that is not negative as a numerator and a denominator, which is 1 if it is written as a decimal."""
    if isinstance(c, Fraction) and not decimal(c):
        return Fraction(c.numerator), Fraction(c.denominator)
    return c, Fraction(1)


def joined(c: Coefficient, factors: list[Layout]) -> Layout:
    """A product with a coefficient, which is left out if it is 1."""
    counted = c != 1 or not factors
    pieces = [ShownNumber(floated(c)), *factors] if counted else factors
    return Joined(counted, pieces) if len(pieces) > 1 else pieces[0]


def power_of(base: Term, exponent: Coefficient, numbers: bool) -> Layout:
    piece = laid_out(base, numbers)
    return piece if exponent == 1 else Applied(ops.pow, [piece, quotient_of(exponent)])


def decimal(c: Fraction) -> bool:
    """Tell whether it is written as a decimal of a few digits, or a fraction would be no shorter."""
    rest = c.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return (rest == 1 and len(repr(floated(c))) <= 10) or max(c.numerator, c.denominator) > 1000


@cache
def prime(op: Op) -> Signs:
    """σ′({0}), of an op that is written as a function."""
    text, latex = (notation.template(op).literals[0].text.replace("{", "{{").replace("}", "}}")
                   for notation in (UNICODE, LATEX))
    return Signs(f"{text.partition('(')[0]}′({{0}})", f"{latex.partition(BRACKET)[0]}'{BRACKET}{{0}}\\right)")


BRACKET = r"\left("


def number_of(x: float, digits: int = DIGITS) -> Formula:
    """A number with that many significant digits."""
    return Formula.of(ShownNumber(x, digits))


def as_factor(formula: Formula) -> Formula:
    """The formula as a factor or a term: a sum, or a negative one, in parentheses."""
    return Formula.of(Fenced("product", [formula.layout]))


def signed(x: float) -> Formula:
    """A number as a factor or a term."""
    return as_factor(number_of(x))


def composed(signs: Signs, *parts: Formula) -> Formula:
    return Formula(signs.text.format(*parts), Applied(signs, [part.layout for part in parts]))


def equation(*sides: Formula) -> Formula:
    """The sides with = between them; a side that reads like the one before is left out."""
    different = [side for side, _ in groupby(sides)]
    return composed(series(" = ", len(different)), *different) if len(different) > 1 else different[0]


def sides_of(layout: Layout) -> list[Layout]:
    """The sides of what `equation` has put together; of anything else the one that it is."""
    if isinstance(layout, Applied) and layout.signs == series(" = ", len(layout.operands)):
        return [side for operand in layout.operands for side in sides_of(operand)]
    return [layout]


# Products. Whether a dot stands between two factors is seen when they are written: it depends on their signs.

@dataclass(frozen=True, slots=True)
class Chained(Layout):
    """The factors of a derivation in one product: 0.2 · (−0.3)."""

    operands: Sequence[Layout] = ()

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        if len(pieces) > 1 and notation is UNICODE:  # where a quotient is on the line
            pieces = [apply(PARENTHESES, [piece], notation) if piece.marks & QUOTIENT and piece.binds == "product"
                      else piece for piece in pieces]
        negative, result = pieces[0].minus_apart()
        for piece in pieces[1:]:
            result = apply(ops.mul, [result, piece], notation)
        return apply(ops.neg, [result], notation) if negative else result


@dataclass(frozen=True, slots=True)
class Joined(Layout):
    """A product in which a dot is left out between a number or a letter and what is neither: 2x, a(1 − a). counted:
    whether the first factor is a number of the formula itself."""

    counted: bool
    operands: Sequence[Layout] = ()

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        counted = self.counted and pieces[0].binds == "atom"
        negative, result = pieces[0].minus_apart()
        for place, piece in enumerate(pieces[1:]):
            open_power = notation is UNICODE and result.marks & CARET  # x^0.5(x + 1) might seem to go on
            if (place == 0 and counted and (piece.loose or piece.begins in (LETTERS, WORD))) or (
                    piece.loose and (result.binds == "sum" or not result.word) and not open_power):
                word = fenced(piece, "product", notation).begins == WORD  # 2 cos(x)
                result = apply(SPACED if word else BESIDE, [result, piece], notation)
            else:
                result = apply(ops.mul, [result, piece], notation)
        return apply(ops.neg, [result], notation) if negative else result


PARENTHESES = Signs("({0})", r"\left({0}\right)")
BESIDE, SPACED = (Signs(template, template, "product")
                  for template in ("{0:product}{1:product}", "{0:product} {1:product}"))


# Nodes

def symbol(name: str) -> Formula:
    return Formula.of(Label(name))


def name_of(graph: Graph, node: Value) -> Formula:
    """The name of a node; the number itself for one that has none."""
    return symbol(graph.names[node]) if graph.names[node] else formula_of(Number(exact(node.data)))


def partial(graph: Graph, y: Value, x: Value) -> Formula:
    """∂y/∂x"""
    return derivative_of(graph.names[y], graph.names[x])


DERIVATIVE = Signs("∂{0:product}/∂{1:product}", r"\frac{{\partial {0}}}{{\partial {1}}}")


def derivative_of(y: str, x: str) -> Formula:
    """∂y/∂x, of names."""
    return Formula.of(derivative(y, x))


def derivative(y: str, x: str) -> Layout:
    return Applied(DERIVATIVE, [Label(y), Label(x)])


def forward_rule(graph: Graph, node: Value, numbers: bool = False) -> Formula:
    """The formula of a computed node in terms of its parents, as its op is written; of a leaf its number."""
    if not node.parents:
        return formula_of(Number(exact(node.data)))
    args = [laid_out(arg, numbers) for arg in Terms(graph.names).of_parents(node)]
    return Formula.of(Chained(args) if node.op is ops.mul else Applied(node.op, args))


def local_rule(graph: Graph, node: Value, i: int, numbers: bool = False) -> Formula:
    """The i-th local derivative of a computed node, in terms of the names of the node and its parents."""
    return formula_of(Terms(graph.names).slope(node, i), numbers)


def loses_digits(graph: Graph, edge: Edge, terms: Terms) -> str:
    """A note on the formula of a slope that does not come to the number beside it: a(1 − a), where a is 1 but for
    rounding, or a / y at (0, 0), which are computed in another way. "" if it does."""
    node, i, parent = edge
    local = edge.local
    if not node.op.book or parent.op is CONSTANT or isnan(local):
        return ""
    by_book = node.op.slope_by_book(i, node.data, *[each.data for each in node.parents])
    if by_book == local or abs(by_book - local) <= VISIBLE * abs(local):
        return ""
    slope = terms.slope(node, i)
    if slope == Number(exact(local)):  # all else has cancelled
        return ""
    rule, number = formula_of(slope), f"{partial(graph, node, parent)} = {number_of(local)}"
    if isnan(by_book):
        return f"{rule} has no value here: {number} by definition."
    return (f"{rule} with rounded numbers comes to {number_of(by_book)}: {number} is computed in another way, which "
            "loses no digits.")
