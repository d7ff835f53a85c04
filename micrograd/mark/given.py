"""One answer as it was handed in: a number with the digits that it is written with, or an expression that becomes one.

This module does not know what is asked, nor whether an answer is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import floor, inf, isfinite, isnan, log10
from typing import Any

from ..arguments import as_float, counted, is_number
from ..engine import Value
from ..formulas.expression import Expression, ExpressionError, Variable
from ..formulas.graph import Graph, Pass
from .answer import NUMBER, half_unit, precision, sides_of, tidied
from .points import slope_between

PRECISION = 1e-9    # relative; an answer this near was not rounded
SLOPPY = 0.02       # relative; the most that is forgiven to an answer of two digits
NOTHING = ("", "?", "-", "–", "nan")
UNROUNDED = 9       # significant digits, or more: as a calculator shows them
ROUND = 3           # decimals; an answer that is right to so many that are written is rounded, even 0.000


@dataclass(frozen=True, slots=True)
class Writing:
    """The way somebody writes numbers: to so many decimals, or significant digits; inf if not to any."""

    decimals: float = inf
    digits: float = inf

    def half(self, x: float) -> float:
        """Half a unit of the last digit that is written of a number. Where there are two, the coarser counts."""
        return max(0.5 * 10.0 ** -self.decimals, half_unit(x, self.digits)) if isfinite(x) else 0.0

    def __str__(self) -> str:
        n, what = (self.digits, "significant digit") if self.decimals == inf else (self.decimals, "decimal")
        return counted(int(n), what)


@dataclass(frozen=True, slots=True)
class Reference:
    """An expression, with what the names in it stand for."""

    text: str  # as it was read; in that of the expression, names of one sign stand for ∂C/∂a⁴
    expression: Expression
    values: dict[str, Value]
    gradients: dict[str, Value]
    locals: dict[str, tuple[Value, Value]]  # derivatives of other nodes than the root: of what, by what

    def at(self, graph: Graph, numbers: Pass, own: Mapping[Value, float]) -> dict[str, float]:
        """The numbers of the names at a point. own: gradients that are somebody's own."""
        return {**{name: numbers.values[node] for name, node in self.values.items()},
                **{name: own.get(node, numbers.found[node]) for name, node in self.gradients.items()},
                **{name: slope_between(graph, numbers, y, x) for name, (y, x) in self.locals.items()}}

    def error(self, name: str, message: str) -> ExpressionError:
        """An error at the place where a name stands."""
        return ExpressionError(self.text, self.place_of(name), message)

    def written(self, name: str) -> str:
        """The text where the name of a derivative stands."""
        place = self.place_of(name)
        return self.text[place:place + len(name)]

    def place_of(self, name: str) -> int:
        return next(step.place for step in self.expression.program if isinstance(step, Variable) and step.name == name)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An answer as it was handed in, and what it says.

    value: its number, None if it has none. half: half a unit of its last digit; of an expression, what those of the
    numbers in it come to. digits, decimals: how many significant ones it has, and how many after the point. problem:
    why it cannot be read. with_right: what an expression that uses the student's own gradients comes to with the right
    ones; None for others. formula: what stands before the =, where the number stands behind it.
    """

    given: str | float | None
    value: float | None = None
    half: float = 0.0
    digits: int = 17
    decimals: int = 17
    problem: str = ""
    with_right: float | None = None
    formula: Reference | None = None

    def rounds(self, target: float) -> bool:
        """True if this is the target, rounded to the digits that are written; to enough of them."""
        if self.value is None or not self.may_be(target):
            return False
        return self.decimals >= ROUND or (self.value != 0 and self.digits >= 2
                                          and abs(self.value - target) <= SLOPPY * abs(target))

    def may_be(self, target: float, off: float = 0.0) -> bool:
        """True if this may be the target, rounded to the digits that are written, if that is off by so much."""
        return self.value is not None and isfinite(self.value - target) and (
            abs(self.value - target) <= (self.half + off) * (1 + PRECISION))

    def unsure(self, tight: float) -> float:
        """The most that the number may be off the unrounded one, and be right. Of a float nobody knows how many
        zeros it ended in."""
        if self.value is None:
            return 0.0
        return min(self.half, (SLOPPY if isinstance(self.given, str) else tight) * abs(self.value))

    @property
    def is_whole(self) -> bool:
        """True if no digit after the point is seen, so that its zeros may or may not have been rounded: 1200, 3, 0."""
        return self.value is not None and self.value.is_integer() and (
            self.decimals <= 0 or not isinstance(self.given, str))

    def written(self, writing: Writing) -> Submitted:
        """The same, where the other answers tell how its author writes numbers: a float 0.1 may be 0.10, and 1200 may
        be 1234 to two digits."""
        if self.value is None or not isfinite(self.value) or (isinstance(self.given, str) and not self.is_whole):
            return self
        half = writing.half(self.value)
        half = half if self.is_whole and self.value else min(self.half, half)
        digits, decimals = digits_of(self.value, half) if half else (self.digits, self.decimals)
        return replace(self, half=half, digits=digits, decimals=decimals)


def finite(read: Mapping[Value, Submitted]) -> dict[Value, float]:
    """The answers that are numbers to go on with."""
    return {node: given.value for node, given in read.items() if given.value is not None and isfinite(given.value)}


def digits_of(x: float, half: float) -> tuple[int, int]:
    """The significant digits and the decimals of a number, if so much is half a unit of the last."""
    decimals = floor(-log10(2 * half) + PRECISION)
    return max(floor(log10(abs(x))) + 1 + decimals, 0) if x else 0, decimals


def writing_of(answers: Iterable[Submitted]) -> Writing:
    """The writing of whoever wrote these numbers: to as many decimals, or significant digits, as are seen at most.

    The coarser of the two counts, which is decimals for 0.14, 0.08 and 0.00, and digits for 0.14, 0.082 and 0.0044.
    Where one is the coarser for some numbers, and the other for others, each counts for these. A few numbers that were
    not rounded at all do not count.
    """
    numbers = [(one, one.value) for one in answers if one.value is not None and isfinite(one.value)]
    rounded = [(one, x) for one, x in numbers if one.digits < UNROUNDED]
    numbers = rounded if len(rounded) > len(numbers) / 2 else numbers
    nonzero = [(one, x) for one, x in numbers if x]
    decimals = max((one.decimals for one, _ in numbers if not (one.is_whole and nonzero)), default=0)
    digits = max((len(f"{abs(x):.0f}".rstrip("0")) if one.is_whole else one.digits for one, x in nonzero), default=0)
    by_decimals = Writing(decimals=decimals if decimals > 0 else inf)
    by_digits = Writing(digits=max(digits, 2) if nonzero else inf)  # nobody means to write one
    ratios = [by_decimals.half(x) / by_digits.half(x) for _, x in nonzero] or [1.0]
    if min(ratios) > 0.99 and max(ratios) > 1.01:
        return by_decimals
    if max(ratios) < 1.01 and min(ratios) < 0.99:
        return by_digits
    return Writing(by_decimals.decimals, by_digits.digits)


def submitted(given: Any, where: str) -> Submitted | list[str]:
    """The answer, if that is a number or nothing; else the sides of a text. Raises ExpressionError."""
    if given is None or (isinstance(given, float) and isnan(given)):
        return Submitted(None)
    if isinstance(given, Decimal):
        given = str(given)  # zeros at its end count
    if isinstance(given, str):
        text = tidied(given)
        sides = [] if text.lower() in NOTHING else sides_of(text)
        return sides if sides and sides[-1].lower() not in NOTHING else Submitted(None)
    if isinstance(given, Value) or not is_number(given):
        raise TypeError(f"the answer for {where} is a number or an expression, found {type(given).__name__} "
                        f"{given!r:.40}")
    return of_float(as_float(given), whole=not isinstance(given, float))


def of_float(x: float, whole: bool = False) -> Submitted:
    """A float, at the digits that Python writes; whole: without those after the point, where they are 0."""
    match = NUMBER.fullmatch(repr(x).removesuffix(".0" * whole))
    return Submitted(x, x, *precision(match)) if match else Submitted(x, x)
