"""One answer: its sides, a number as people write it by hand, what can be read in two ways; and what it says: a number
at its digits, or an expression that becomes one.

    sides      dC/dw = (a - y)*x = -0.0942 ≈ -0.1 has four
    numbers    -9.42%, 0.0942…, 9.42 x 10^-2, 0,0942, 1.234,5, 1/3
    in doubt   1,234 and 3*10-2, 03/05/2024, 2 1/2: an `ExpressionError` says what it can mean, and how to write either

This module does not know what is asked, nor whether an answer is right. An expression is read by `expression.parse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import floor, inf, isfinite, isnan, log10
from typing import Any, NamedTuple
from unicodedata import decimal

from .. import ops
from ..arguments import as_float, counted, is_number
from ..data.quantities import quantity
from ..engine import Value
from ..formulas.expression import Expression, ExpressionError, Variable
from ..formulas.graph import Graph, Pass
from ..formulas.labels import Names
from ..formulas.reading import LENGTH
from .points import slope_between

EXACT = 17  # digits and decimals of what is not rounded
PRECISION = 1e-9    # relative; an answer this near was not rounded
SLOPPY = 0.02       # relative; the most that is forgiven to an answer of two digits
NOTHING = ("", "?", "-", "–", "nan")
UNROUNDED = 9       # significant digits, or more: as a calculator shows them
ROUND = 3           # decimals; an answer that is right to so many that are written is rounded, even 0.000

# Signs, as keyboards, word processors and other scripts have them. Dashes that an expression knows stay as they are.
INVISIBLE = re.compile("[\u200b-\u200e\u2060\ufeff]")
SAME = str.maketrans({**{chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)},
                      **dict.fromkeys("—‒﹣⁃˗", "-"), **dict.fromkeys("✕✖⨯⨉", "×"), **dict.fromkeys("∼˜", "~"),
                      "٫": ".", "٪": "%"})
DIGITS = re.compile(r"(?<!\w)\d+")  # not those of a name
DASHES = str.maketrans(dict.fromkeys("−–‐‑", "-"))

EQUALS = re.compile(r"==|:=|[=≈~≃≅≐]")
COMPARISON = re.compile(r"[-+*/<>!]=|=[<>/]|[≠≤≥]")


def tidied(text: str) -> str:
    """The text in the signs of an ordinary keyboard, without what nobody sees, and without $…$ or Excel's ' around."""
    if not text.isascii():
        text = INVISIBLE.sub("", text).translate(SAME)
        text = DIGITS.sub(lambda run: "".join(str(decimal(digit)) for digit in run[0]), text)
    return text.strip().lstrip("'").strip().strip("$").strip()


def sides_of(text: str) -> list[str]:
    """The sides of an answer, between = and ≈. Raises ExpressionError for a comparison or a long text."""
    if len(text) > LENGTH:
        raise ExpressionError(text, LENGTH, f"an answer has at most {LENGTH:,} characters, found {len(text):,}")
    text = unlatexed(text) if "\\" in text else text
    comparison = COMPARISON.search(text)
    if comparison:
        raise ExpressionError(text, comparison.start(), f"an answer is a number or an expression, and not a comparison "
                                                        f"or an update, such as {comparison[0]!r}")
    return [side.strip() for side in EQUALS.split(text) if side.strip()]


# LaTeX, as derivations are printed in it. What an expression knows, \delta^{4} and \tanh, stays.
LATEX = [(re.compile(pattern), plain) for pattern, plain in (
    (r"\\(?:left|right)(?![A-Za-z])", ""), (r"\\lfloor\s*", "⌊"), (r"\s*\\rfloor\b", "⌋"), (r"\\lceil\s*", "⌈"),
    (r"\s*\\rceil\b", "⌉"), (r"\\mathbf\{1\}", "1"), (r"\\(?:operatorname|mathrm|text)\{([\w\\]+)\}", r"\1"),
    (r"\\_", "_"), (r"\\log_2\b", ops.log2.name), (r"\\log_\{10\}", ops.log10.name), (r"\\cdot\b", "·"),
    (r"\\times\b", "×"), (r"\\approx\b", "≈"), (r"\\infty\b", "∞"), (r"\\partial\b\s*", "∂"), (r"\\[;,:! ]", " "),
    (r"\\%", "%"), (r"\\[dt]frac\b", r"\\frac"),
)]
MIXED = re.compile(r"[0-9]\s*\\frac\{\s*[0-9]+\s*\}\{\s*[0-9]+\s*\}")
LAYOUT = re.compile(r".*(\\frac|\\sqrt\[3\]|\\sqrt)(?=\{)", re.DOTALL)  # the last one, in which there is no other
DIFFERENTIAL = re.compile(r"[∂d][^-+*/·×\s()]+")


def unlatexed(text: str) -> str:
    r"""((a)/(b)) for \frac{a}{b}, · for \cdot; what is not known stays. Raises ExpressionError."""
    for pattern, plain in LATEX:
        text = pattern.sub(plain, text)
    mixed = MIXED.search(text)
    if mixed:
        raise ExpressionError(text, mixed.start() + 1, "this can be a sum or a product; write + or \\cdot before the "
                                                       "fraction")
    while layout := LAYOUT.match(text):
        start, end = layout.start(1), after_braces(text, layout.end())
        inside = text[layout.end() + 1:end - 1]
        if layout[1] == r"\frac":
            above, second, end = inside, end, after_braces(text, end)
            below = text[second + 1:end - 1]
            is_derivative = DIFFERENTIAL.fullmatch(above) and DIFFERENTIAL.fullmatch(below)
            plain = f"({above}/{below})" if is_derivative else f"(({above})/({below}))"
        else:
            plain = f"{(ops.cbrt if '[' in layout[1] else ops.sqrt).name}({inside})"
        text = text[:start] + plain + text[end:]
    return text


def after_braces(text: str, start: int) -> int:
    """The place after the {...} that begins at a place. Raises ExpressionError, if there is none."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            if place > start:
                return place + 1
            break
    raise ExpressionError(text, start, "braces are missing here, as in \\frac{1}{2}")


# Numbers

RAISED_DIGITS, LOWERED_DIGITS = "⁰¹²³⁴-⁹", "₀-₉"
NUMBER = re.compile(r"([-+]?)([0-9]*)[.,]?([0-9]*)(?:[eE]([-+]?[0-9]+))?")
FRACTION = re.compile(r"[-+]?[0-9]+\s*[/÷∕⁄]\s*[1-9][0-9]*")
TIMES = "[xX×·⋅∙•∗*]"
TEN = re.compile(rf"(?<=[0-9.,])\s*({TIMES})\s*10(?:(?:\^|\*\*)(?:([-+]?[0-9]+)|\(([-+]?[0-9]+)\)|\{{([-+]?[0-9]+)\}})"
                 rf"|([⁺⁻]?[{RAISED_DIGITS}]+))$")
ON_THE_LINE = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
ENDLESS = {"inf": inf, "infinity": inf, "∞": inf}
LOST = re.compile(r"([-+]?[1-9][.,][0-9]+)\s*[xX×·⋅∙•]\s*10-([0-9]{1,2})")  # -9.42×10-2, which had a raised exponent


class Numeral(NamedTuple):
    """A number as it is written. half: half a unit of its last digit; digits, decimals: how many significant ones it
    has, and how many after the point. An exact one has no last digit."""

    value: float
    half: float = 0.0
    digits: int = EXACT
    decimals: int = EXACT

    def agrees(self, other: Numeral) -> bool:
        """True if one of the two may be the other, rounded or cut off."""
        fine, coarse = sorted((self, other), key=lambda one: one.half)
        if fine.half == coarse.half:
            return fine.value == coarse.value
        cut_off = 0 <= (fine.value - coarse.value) * (-1 if fine.value < 0 else 1) < 2 * coarse.half
        return cut_off or abs(fine.value - coarse.value) <= coarse.half * (1 + 1e-9)


def numeral(text: str) -> Numeral | None:
    """A number as people write it; None for any other text."""
    plain = text.translate(DASHES)
    if plain.lstrip("+-").lower() in ENDLESS:
        return Numeral(-inf if plain[0] == "-" else inf)
    if FRACTION.fullmatch(plain):
        above, below = re.split("[/÷∕⁄]", plain)
        return Numeral(float(above) / float(below))
    match, percent, cut = NUMBER.fullmatch(plain), 0, 0
    if not match:
        plain, percent = re.subn(r"\s*%$", "", plain)
        plain, cut = re.subn(r"\s*(?:\.\.\.|…)$", "", plain)
        plain = LOST.sub(r"\1e-\2", plain)
        plain = TEN.sub(lambda ten: f"e{''.join(filter(None, ten.groups()[1:])).translate(ON_THE_LINE)}", plain)
        match = NUMBER.fullmatch(ungrouped(plain))
    if not match or not match[2] + match[3]:
        return None
    half, digits, decimals = precision(match)
    scale = 0.01 if percent else 1.0
    return Numeral(float(match[0].replace(",", ".")) * scale, half * scale * (1 + cut), digits, decimals + 2 * percent)


def ungrouped(plain: str) -> str:
    """1234.5 for 1,234.5, for 1.234,5 and for 1'234.5: nothing between the thousands, if that can be told."""
    for mark, groups in ((".", ",'’"), (",", ".'’")):
        if not NUMBER.fullmatch(plain) and " " not in plain:
            found = quantity(plain, mark)
            if found and not found.beside:
                plain = re.sub(f"[{groups}]", "", plain)
    return plain


def precision(match: re.Match[str]) -> tuple[float, int, int]:
    """Half a unit of the last digit, significant digits, decimals, of a NUMBER."""
    _, whole, decimals, exponent = match.groups()
    places = len(decimals) - int(exponent or 0)
    half = 0.5 * 10.0 ** -places if abs(places) < 300 else 0.0
    return half, len((whole + decimals).lstrip("0")), places


def half_unit(x: float, digits: float) -> float:
    """Half a unit of the last of so many significant digits."""
    return 0.5 * 10.0 ** (floor(log10(abs(x))) - digits + 1) if x and isfinite(x) else 0.0


# What can be read in two ways, or was not written by a person

DATE = "this is a date, such as a spreadsheet makes of a fraction; write 0.6, or 3/5 in a cell formatted as text"
LOST_HERE = "has a raised exponent been lost here? A power of ten is written"
VULGAR = "¼½¾⅐-⅞"
PLAIN = r"(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)"
DOUBTS = [(re.compile(pattern), message) for pattern, message in (
    (r"^(?:\d{1,4}([-/.])\d{1,2}\1\d{2,4}|\d{4}([-/.])\d{1,2}\2\d{1,2})(?:$|[ T]\d)",
     DATE),
    (r"^\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?$",
     "this is a time, such as a spreadsheet makes of a ratio; write a quotient with /"),
    (r"^#(?:DIV|REF|NAME|VALUE|N/A|NUM|NULL|SPILL|CALC)", "this is an error of a spreadsheet, not an answer"),
    (rf"^[-+]?{PLAIN}\s+(?P<at>[-+]{PLAIN})$",
     "this can be one number computed from two, or two answers; write a space after the sign, or one of the two"),
    (r"^[-+]\s*(?P<at>[-+])", "there are two signs before this; write one"),
    (r"(?P<at>\+/?-|±)", "an answer is one number, without a range about it; to add what is negative, write + (-0.1)"),
    (rf"^[-+]?(?P<whole>[0-9]+)(?:\s+(?P<at>[0-9]+\s*[/⁄]\s*[0-9]+)|\s+(?P<vulgar>[{VULGAR}]))$",
     "this can be a sum or a product; write + or * after {whole}"),
    (rf"^[-+]?(?P<whole>[0-9]+)(?P<at>[{RAISED_DIGITS}]+)\s*[/⁄]\s*[0-9{LOWERED_DIGITS}]+$",
     "this can be a power, or a fraction beside {whole}; write ** for the one, + before the fraction for the other"),
    (rf"^[-+]?(?P<number>{PLAIN})\s*(?P<at>\({PLAIN}\))$",
     "this can be a product, or a number with its uncertainty; write {number} alone, or * for a product"),
    (rf"^[-+]?(?P<number>{PLAIN})\s*{TIMES}\s*(?P<at>10)\s*(?P<sign>[-+])\s*(?P<exponent>[0-9]{{1,2}})$",
     f"{LOST_HERE} {{number}}e{{sign}}{{exponent}}, and arithmetic with brackets: ({{number}}*10) "
     "{sign} {exponent}"),
    (rf"^[-+]?(?P<number>{PLAIN})\s*{TIMES}\s*(?P<at>10(?P<exponent>[1-9][0-9]?))$",
     f"{LOST_HERE} {{number}}e{{exponent}}, and a product with brackets: {{number}}*({{at}})"),
    (r"^[-+]?(?P<whole>[0-9]+)(?P<at>[·⋅∙•])(?P<decimals>[0-9]+)(?:$|\s*[xX×·⋅∙•∗*]\s*10)",
     "this can be a decimal point or a product; write {whole}.{decimals} or {whole}*{decimals}"),
    (r"[0-9]\s+(?P<at>[eE])\s*[-+]?\s*[0-9]", "a number has no spaces in it; write 9.42e-2 for 9.42·10⁻²"),
    (r"(?:(?<![\w.,)^*/])|(?<!\*)[xX×·⋅∙•∗*]\s*)(?P<at>10)-(?P<exponent>[0-9]{1,2})(?![\w.])",
     f"{LOST_HERE} 1e-{{exponent}} or 10**-{{exponent}}, and a difference with brackets: (10) - {{exponent}}"),
    (r"[0-9](?P<at>%)\s*[\w(]", "this can be percent or the remainder of a division; write 0.5*x for 50% of x, "
     "mod(a, b) for a remainder"),
)]
RAISED_E = re.compile(r"(?<![\w.])e-(?=[^\W_]|\()")
TEN_OR_NAME = re.compile(r"(?<=[0-9.])\s*x10(?!\w)")


THOUSANDS = re.compile(r"[-+]?([1-9][0-9]{0,2})([.,])([0-9]{3})(?:\s*%)?")


def has_decimal_commas(sheet: Iterable[Any]) -> bool:
    """True if the decimal mark of a sheet is the comma: it has 0,5 and nowhere 0.5."""
    clear = [text for text in (tidied(each).translate(DASHES) for each in sheet if isinstance(each, str))
             if not THOUSANDS.fullmatch(text)]
    points = any(re.search(r"\.[0-9]", text) for text in clear)
    return not points and any(re.match("[-+]?[0-9]*,[0-9]", text) for text in clear)


def refuse_doubts(text: str, names: Names, comma: bool = False) -> None:
    """Raise ExpressionError for what can be read in two ways. names: those that an expression may use here; comma:
    whether this is the decimal mark of the whole sheet."""
    plain = text.translate(DASHES)
    thousands = THOUSANDS.fullmatch(plain)
    if thousands and (thousands[2] == ".") == comma:
        one, other = f"{thousands[1]}.{thousands[3]}", f"{thousands[1]}{thousands[3]}"
        everywhere = ", with the same decimal mark everywhere" if comma else ""
        raise ExpressionError(text, thousands.start(2), f"this can be {one} or {other}; write one or the other"
                                                        f"{everywhere}")
    number = NUMBER.fullmatch(plain)
    if LOST.fullmatch(plain) or (number and number[2] + number[3]):
        return
    for pattern, message in DOUBTS:
        match = pattern.search(plain)
        if match:
            place = match.start("at" if "at" in pattern.groupindex and match["at"] else 0)
            raise ExpressionError(text, place, message.format(**match.groupdict()))
    lost = RAISED_E.search(plain)
    if lost and not names.meant("e"):
        raise ExpressionError(text, lost.start(), "has a raised exponent been lost here? Write exp(-x) for a power of "
                                                  "e, (e) - x for a difference")
    product = TEN_OR_NAME.search(plain)
    if product and names.meant("x10"):
        raise ExpressionError(text, product.start(), "this can be a power of ten, or the name x10; write *")


# What an answer says

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
    match = NUMBER.fullmatch(repr(x).removesuffix(".0") if whole else repr(x))
    return Submitted(x, x, *precision(match)) if match else Submitted(x, x)
