r"""Ways to write a formula: LaTeX, plain text and Unicode. (MathML, in `mathml`, is one more.)

A notation says how numbers and names look in it, and puts operands into templates, with parentheses where they are
needed. This module knows nothing of any one op.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any, NamedTuple

from ..ops import Op
from ..rows import BINDS
from .boxes import GREEK, LETTER, Boxes, Hole, read
from .labels import OPERATOR, SUPERSCRIPT, indices, printable, shifted, text_in_latex, unicode_label

DIGITS = 4  # of a number that stands for a name

MINUS, MINUS_DIGIT, DIGIT, LETTERS, WORD = "minus", "minus digit", "digit", "letter", "word"
NEGATIVE = (MINUS, MINUS_DIGIT)
IN_SLOT = "slot"                 # a number whose sign stays with it
PLUS, QUOTIENT, CARET = 1, 2, 4  # a + or − between spaces, a / between spaces, a ^


class Written(NamedTuple):
    """A formula, or a part of one, as it is written in one notation; and what there is to know of its looks.

    text: of MathML the elements of a row. binds: how tightly it holds together, a key of BINDS. begins: with which kind
    of sign, of those above; "" for any other. word: whether it ends in a word of several letters, which would look like
    the name of a function before a parenthesis; None if it has no letter. marks: what stands in it anywhere.
    """

    text: Any
    binds: str
    begins: str = ""
    word: bool | None = None
    marks: int = 0

    @property
    def loose(self) -> bool:
        """A sum, but for a number with its sign."""
        return self.binds == "sum" and self.begins not in (MINUS_DIGIT, IN_SLOT)

    def without_minus(self) -> Written:
        """The piece without the minus sign that it begins with."""
        begins = DIGIT if self.begins == MINUS_DIGIT else ""
        return self._replace(text=self.text[1:], binds="product", begins=begins)

    def minus_apart(self) -> tuple[bool, Written]:
        """Tell whether a factor begins with a minus sign that may as well stand before the product; give the rest."""
        negative = self.binds == "sum" and self.begins in NEGATIVE and not self.marks & PLUS
        return negative, self.without_minus() if negative else self


@lru_cache(maxsize=4096)
def piece_of(text: str, binds: str) -> Written:
    """A name, or what stands between the operands of a template."""
    marks = sum(mark for mark, sign in ((PLUS, " [-+−] "), (QUOTIENT, " / "), (CARET, r"\^")) if re.search(sign, text))
    bare = re.sub(r"\\[A-Za-z]+|[{}]", "", text)
    word = bool(re.search(r"[A-Za-z]{2}\W*$", bare)) if re.search(r"\w", bare) else None
    if re.match("[-−]", text):
        begins = MINUS_DIGIT if re.match(r".[\d.]", text) else MINUS
    elif re.match(r"\\?[^\W\d]", text.replace(r"\mathbf", "")):
        begins = WORD if re.match("[a-z]{2}", text) else LETTERS
    else:
        begins = DIGIT if re.match(r"[\d.]", text) else ""
    return Written(text, binds, begins, word, marks)


class Notation(NamedTuple):
    """A way of writing: what differs between LaTeX, plain text and MathML."""

    template: Callable[[Any], Template]                 # of an op, or of other signs
    label: Callable[[str], Written]
    number: Callable[[float], Written]
    quote: Callable[[str, str, str], Written]           # of a text and the LaTeX for it the one, and how it binds
    fill: Callable[[Template, Sequence[Operand]], Any]  # the text of a template with its operands
    fence: Callable[[Any], Any]                         # the text in parentheses
    fence_begins: str                                   # the kind of sign that these begin with
    slot: Callable[[Any, str], Any] | None = None       # the text of a number, marked as that of a node


# Templates

RAISED = "raised"  # what a gap in Unicode may ask for: a superscript, or something after a ^
TERM = "term"      # a term of a sum, which has no parentheses whatever it is


class Signs(NamedTuple):
    """A template that is no op's: for plain text, for LaTeX, and how tightly the result holds together, in LaTeX too if
    that differs."""

    text: str
    latex: str
    binds: str = "atom"
    binds_in_latex: str = ""


class Gap(NamedTuple):
    """The place of an operand: how tightly it must bind there, and whether it comes after a "+ "."""

    operand: int
    needs: str
    added: bool


class Operand(NamedTuple):
    """A piece for a gap. minus: the sign that it began with, which takes the place of the + before it; else nothing."""

    piece: Written
    minus: Any


class Template:
    """A template of an op, taken apart: literals, and gaps for its operands."""

    def __init__(self, template: str, binds: str) -> None:
        self.gaps: list[Gap] = []
        literals = [""]
        for literal, operand, needs, _ in string.Formatter().parse(template):
            literals[-1] += literal
            if operand is not None:
                added = needs in ("sum", TERM) and literals[-1].endswith("+ ")
                self.gaps.append(Gap(int(operand), needs or "", added))
                literals.append("")
        self.texts = literals
        self.literals = [piece_of(literal, binds) for literal in literals]
        self.binds = binds
        self.marks = 0
        for piece in self.literals:
            self.marks |= piece.marks

    @cached_property
    def boxes(self) -> Boxes:
        """Those of a template in LaTeX, with a hole for each gap."""
        return read(*self.texts)


def apply(signs: Op | Signs, args: Sequence[Written], notation: Notation) -> Written:
    """The template with the arguments in its gaps, in parentheses where one asks for more than they bind."""
    template = notation.template(signs)
    operands = []
    marks = template.marks
    for index, needs, added in template.gaps:
        piece, minus = args[index], ""
        if needs == RAISED:
            piece = raised(piece, notation)
        elif added and piece.begins in NEGATIVE:  # a - b for a + -b
            piece, minus = piece.without_minus(), piece.text[:1]
        elif needs != TERM:
            piece = fenced(piece, needs, notation)
        marks |= piece.marks
        operands.append(Operand(piece, minus))
    first = template.literals[0]
    begins = first.begins
    if operands and not first.text:
        begins = operands[0].piece.begins
    elif operands and first.text in ("-", "−") and operands[0].piece.begins == DIGIT:
        begins = MINUS_DIGIT
    word = None  # as the last part says of which something can be said
    for operand, literal in zip(reversed(operands), reversed(template.literals)):
        word = operand.piece.word if literal.word is None else literal.word
        if word is not None:
            break
    word = first.word if word is None else word
    return Written(notation.fill(template, operands), template.binds, begins, word, marks)


def fenced(piece: Written, needs: str, notation: Notation) -> Written:
    """The piece, in parentheses if it does not hold together as tightly as `needs` says."""
    if BINDS[piece.binds] >= BINDS[needs]:
        return piece
    return piece._replace(text=notation.fence(piece.text), binds="atom", begins=notation.fence_begins)


def raised(piece: Written, notation: Notation) -> Written:
    """An exponent as superscript; after a ^ where Unicode has not all of its signs."""
    text = shifted("^", piece.text.replace(" ", ""), SUPERSCRIPT)
    if not text.startswith("^"):
        return Written(text, "atom", "", False)
    exponent = fenced(piece, "atom", notation)
    return exponent._replace(text=f"^{exponent.text}", marks=exponent.marks | CARET)


def filled(template: Template, operands: Sequence[Operand]) -> str:
    """The text of a template with its operands."""
    result = template.texts[0]
    for (piece, minus), literal in zip(operands, template.texts[1:]):
        result = f"{result[:-2]}{minus} {piece.text}{literal}" if minus else result + piece.text + literal
    return result


# Names

@lru_cache(maxsize=4096)
def label_in_latex(label: str) -> Written:
    parts = indices(label)
    if parts is None:
        return piece_of(text_in_latex(label), "sum" if OPERATOR.search(label) else "atom")
    base, above, below = parts
    name = GREEK.get(base, base) if len(base) == 1 or base in LETTER else text_in_latex(base)
    name += (f"^{{{above}}}" if above else "") + (f"_{{{below}}}" if below else "")
    return piece_of(name, "power" if above else "atom")  # (a^{4})^{2}: two indices above are an error in LaTeX


@lru_cache(maxsize=4096)
def label_in_text(label: str) -> Written:
    parts = indices(label)
    if parts is None:
        return piece_of(printable(label), "sum" if OPERATOR.search(label) else "atom")
    return piece_of(unicode_label(label), "power" if parts[1] else "atom")


# Numbers

def digits_of(x: float) -> str:
    """2 for 2.0; as many digits as the user wrote, six of a number that was computed."""
    digits = repr(x).removesuffix(".0")
    return digits if len(digits) <= 10 else f"{x:.6g}"


def number_in_text(x: float) -> Written:
    return number_piece(x, digits_of(x))


def number_in_latex(x: float) -> Written:
    digits = digits_of(x).replace("inf", r"\infty").replace("nan", r"\text{nan}")
    return with_power_of_ten(x, digits, r" \cdot ", lambda exponent: f"10^{{{exponent}}}")


def number_in_unicode(x: float) -> Written:
    digits = digits_of(x).replace("-", "−").replace("inf", "∞")
    return with_power_of_ten(x, digits, "·", lambda exponent: "10" + exponent.translate(SUPERSCRIPT))


def with_power_of_ten(x: float, digits: str, times: str, power: Callable[[str], str]) -> Written:
    mantissa, e, exponent = digits.partition("e")
    if not e or not isfinite(x):
        return number_piece(x, digits)
    ten = power(str(int(exponent.replace("−", "-"))))
    if mantissa in ("1", "-1", "−1"):
        return number_piece(x, mantissa[:-1] + ten, "power")
    return number_piece(x, mantissa + times + ten, "product")


def number_piece(x: float, text: str, if_positive: str = "atom") -> Written:
    negative = text[0] in "-−"
    binds = "sum" if negative else if_positive
    if not isfinite(x):  # that is written with a sign or with letters
        return piece_of(text, binds)
    return Written(text, binds, MINUS_DIGIT if negative else DIGIT, False)


def rounded(x: float, notation: Notation, digits: int = DIGITS) -> Written:
    """The number to that many significant digits."""
    return notation.number(to_digits(x, digits))


def to_digits(x: float, digits: int) -> float:
    whole = x == x // 1 and abs(x) < 1e10  # 12345 is not 12340
    return x + 0.0 if whole else float(f"{x:.{digits}g}")


# Notations

def in_latex(signs: Op | Signs) -> Template:
    return Template(signs.latex, (signs.binds_in_latex if isinstance(signs, Signs) else "") or signs.binds)


def in_text(signs: Op | Signs) -> Template:
    return Template(signs.text, "atom" if is_call(signs, signs.text) else signs.binds)


def in_unicode(signs: Op | Signs) -> Template:
    """An op as a person writes it on one line: the LaTeX template with letters for its commands, where that has no
    layout of two dimensions; else the template for plain text, with a power raised."""
    if isinstance(signs, Signs):
        return Template(signs.text, signs.binds)
    latex = template_in_latex(signs)
    try:
        words = on_one_line(latex.boxes, latex.gaps)
    except ValueError:
        words = re.sub(r"\*\*(\d)", lambda power: power[1].translate(SUPERSCRIPT), signs.text)
        words = words.replace("**{1:atom}", f"{{1:{RAISED}}}").replace("**", "^").replace("*", "·")
        if signs.builtin:
            words = words.replace("log(", "ln(").replace("pi", "π")
    words = words.replace("-", "−").replace("'", "′")
    return Template(words, "atom" if is_call(signs, words) else signs.binds)


def is_call(signs: Op | Signs, template: str) -> bool:
    """Tell whether an op is written by its name: expm1(x) is fenced in, unlike e^{x} - 1."""
    return isinstance(signs, Op) and template == f"{signs.name}({', '.join(f'{{{i}}}' for i in range(signs.arity))})"


LINEAR = {r"\cdot": "·", r"\;": "", r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉", **LETTER}


def on_one_line(boxes: Boxes, gaps: Sequence[Gap]) -> str:
    """A template on one line, with letters for commands. A ValueError of one that has a layout of two dimensions."""
    result = ""
    for box in boxes:
        if isinstance(box, Hole):
            gap = gaps[box.n]
            result += f"{{{gap.operand}:{gap.needs}}}" if gap.needs else f"{{{gap.operand}}}"
            continue
        sign, inner, words = box
        inside = "".join(on_one_line(each, gaps) for each in inner)
        if sign == r"\left":
            left, right = (LINEAR.get(mark, mark) for mark in words)
            result += left + (inside.strip() if words[0] in LINEAR else inside) + right
        elif sign == "{":
            result += inside
        elif words and not {"\\", "{"} & {*words[0]}:
            result += words[0]
        elif not inner and not words and (sign in LINEAR or sign[0] != "\\"):
            result += LINEAR.get(sign, sign)
        elif not inner and not words and sign[1:].isalpha() and not sign.endswith("frac"):
            result += sign[1:]
        else:
            raise ValueError("two dimensions")
    return result


# The last templates that were asked for are kept: that of each op, and those that are put together for one formula.
template_in_latex = lru_cache(maxsize=4096)(in_latex)
LATEX = Notation(template_in_latex, label_in_latex, number_in_latex, lambda text, latex, binds: piece_of(latex, binds),
                 filled, lambda text: rf"\left({text}\right)", LETTERS)
TEXT = Notation(lru_cache(maxsize=4096)(in_text), label_in_text, number_in_text,
                lambda text, latex, binds: piece_of(text, binds), filled, lambda text: f"({text})", "")
UNICODE = TEXT._replace(template=lru_cache(maxsize=4096)(in_unicode), number=number_in_unicode)
LATEX_WITH_SLOTS = LATEX._replace(slot=lambda text, slot: rf"\htmlData{{slot={slot}}}{{{text}}}")
