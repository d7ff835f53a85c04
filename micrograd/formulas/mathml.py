r"""Formulas as MathML, which browsers show by themselves: a^{4} is <msup><mi>a</mi><mn>4</mn></msup>.

Made of the boxes of the templates, filled with their operands; of LaTeX that is handed over as text, of its own boxes.
A command that is not known is shown by its name; nothing in the text can become markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from typing import NamedTuple, Union

from .boxes import IDENTIFIERS, NEW_CELL, NEW_LINE, OPERATORS, SPACES, STYLES, Box, Boxes, Hole, read
from .labels import printable
from .layout import Layout, written
from .notations import LATEX, Notation, Operand, Written

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
# Brackets as borders: they are as high as the matrix in any font, while few machines have one whose brackets grow.
TABLES = {"aligned": ' displaystyle="true"',
          "bmatrix": ' style="border: solid; border-width: 0 1.5px; border-radius: 5px; margin: 0 0.1em"'}
ALIGNED = [' style="text-align: right; padding-right: 0"', ' style="text-align: left; padding-left: 0"']
MINUS, PREFIX = "<mo>−</mo>", '<mo form="prefix">−</mo>'
FUNCTIONS = {r"\sin", r"\cos", r"\tan", r"\sinh", r"\cosh", r"\tanh", r"\arcsin", r"\arccos", r"\arctan", r"\ln",
             r"\log", r"\exp", r"\max", r"\min"}
SCRIPTS = ("^", "_", "'")
SEPARATORS = {NEW_CELL: "<mo>&amp;</mo>", NEW_LINE: r"<mtext>\\</mtext>"}  # what they show outside of a table
KNOWN = {**{separator: separator for separator in SEPARATORS},
         **{command: f"<mi>{command[1:]}</mi>" for command in FUNCTIONS},
         **{command: f"<mi>{letter}</mi>" for command, letter in IDENTIFIERS.items()},
         **{command: f"<mo>{escape(mark)}</mo>" for command, mark in OPERATORS.items()},
         **{command: f'<mspace width="{width}"></mspace>' for command, width in SPACES.items()}}
BOLD = str.maketrans({digit: chr(0x1D7CE + i) for i, digit in enumerate("0123456789")}
                     | {chr(ord("A") + i): chr(0x1D400 + i) for i in range(26)}
                     | {chr(ord("a") + i): chr(0x1D41A + i) for i in range(26)})


def mathml(formula: str | Layout, display: bool = False, slots: bool = False) -> str:
    """A formula as a <math> element: a layout, or LaTeX (without dollar signs).

    display: on a line of its own. slots: each number that stands for a node is in an <mrow data-slot="..."> that says
    for which. Raises ValueError for LaTeX whose braces do not match, or that has more than 100 levels of them.
    """
    block = ' display="block"' * display
    inner = row(elements(read(formula))) if isinstance(formula, str) else one_element(formula, slots)
    return f'<math xmlns="{NAMESPACE}"{block}>{inner}</math>'


def one_element(layout: Layout, slots: bool = False) -> str:
    """The content of a formula's <math> element."""
    return row(written(layout, SLOTTED if slots else MATHML).text)


class Scripted(NamedTuple):
    """An element with indices, to which more may come."""

    base: str
    below: tuple[str, ...]
    above: tuple[str, ...]


Element = Union[str, Scripted]


def elements(boxes: Boxes, operands: Sequence[Operand] = ()) -> tuple[Element, ...]:
    """The elements of a row of boxes, with the operands in their holes."""
    found: list[Element] = []
    for box in boxes:
        if isinstance(box, Hole):
            piece, minus = operands[box.n]
            found[len(found) - len(minus):] = minus  # a - b for a + -b
            found += piece.text
        elif box.inner and box.sign in SCRIPTS:
            base = found.pop() if found and found[-1] not in SEPARATORS else "<mrow></mrow>"
            own, below, above = base if isinstance(base, Scripted) else Scripted(base, (), ())
            index = row(elements(box.inner[0], operands))
            found.append(Scripted(own, (*below, index), above) if box.sign == "_" else
                         Scripted(own, below, (*above, index)))
        elif not box.sign.isspace():
            found.append(element(box, operands))
    return tuple(found)


def row(parts: Iterable[Element]) -> str:
    """The elements as one."""
    found: list[str] = []
    for part in parts:
        element = part if isinstance(part, str) else closed(part)
        if element == MINUS and (not found or found[-1].startswith("<mo")):
            element = PREFIX  # no space between the sign and its number
        found.append(SEPARATORS.get(element, element))
    return found[0] if len(found) == 1 else f"<mrow>{''.join(found)}</mrow>"


def closed(part: Scripted) -> str:
    tag = "msubsup" if part.above and part.below else "msup" if part.above else "msub"
    indices = (row(index) for index in (part.below, part.above) if index)
    return f"<{tag}>{part.base}{''.join(indices)}</{tag}>"


def element(box: Box, operands: Sequence[Operand]) -> str:
    """A box as it is shown."""
    if not box.inner and not box.words:
        return sign(box.sign)
    inner = [row(elements(each, operands)) for each in box.inner if box.sign != r"\begin"]
    match box.sign:
        case "{":
            return inner[0]
        case r"\left":
            left, right = (f"<mo>{shown(OPERATORS.get(mark, mark))}</mo>" if mark else "" for mark in box.words)
            return f"<mrow>{left}{inner[0]}{right}</mrow>"
        case r"\begin":
            return table(box.words[0], elements(box.inner[0], operands))
        case r"\frac":
            return f"<mfrac>{''.join(inner)}</mfrac>"
        case r"\sqrt":
            return f"<mroot>{''.join(inner)}</mroot>" if len(inner) > 1 else f"<msqrt>{inner[0]}</msqrt>"
        case r"\text":
            return f"<mtext>{shown(box.words[0], spaces=True)}</mtext>"
        case r"\operatorname":
            return f"<mi>{shown(box.words[0])}</mi>"
    return style(box.words[0], STYLES[box.sign])


@lru_cache(maxsize=4096)
def sign(token: str) -> str:
    if token in KNOWN:
        return KNOWN[token]
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token[0] == "\\":  # a command that is not known, by its name
        return f"<mtext>{shown(token)}</mtext>"
    return f"<mi>{shown(token)}</mi>" if token.isalpha() else f"<mo>{shown(token)}</mo>"


def table(kind: str, parts: Sequence[Element]) -> str:
    """An environment: aligned lines, or a matrix in brackets."""
    rows: list[list[list[Element]]] = [[[]]]
    for part in parts:
        if part == NEW_LINE:
            rows.append([[]])
        elif part == NEW_CELL:
            rows[-1].append([])
        else:
            rows[-1][-1].append(part)
    if rows[-1] == [[]]:
        rows.pop()
    sides = ALIGNED if kind == "aligned" else [""]
    cells = "".join("<mtr>" + "".join(f"<mtd{sides[i % len(sides)]}>{row(cell)}</mtd>" for i, cell in enumerate(each))
                    + "</mtr>" for each in rows)
    return f"<mtable{TABLES.get(kind, '')}>{cells}</mtable>"


def shown(words: str, spaces: bool = False) -> str:
    r"""Text for the inside of an element. `spaces`: those at the ends are kept, which browsers would drop."""
    words = printable(words.replace(r"\_", "_"))
    if spaces:
        words = re.sub("^ | $", "\u00a0", words)
    return escape(words)


def style(words: str, kind: str) -> str:
    """Letters and digits in bold or upright."""
    tag = "mn" if words.isdigit() else "mi"
    upright = ' mathvariant="normal"' if kind == "normal" else ""
    return f"<{tag}{upright}>{shown(words.translate(BOLD) if kind == 'bold' else words)}</{tag}>"


# MathML as a notation: the elements of a row are put together as the signs of LaTeX are.

@lru_cache(maxsize=4096)
def of_leaf(leaf: Written) -> Written:
    """A name or a number that is written in LaTeX."""
    return leaf._replace(text=elements(read(leaf.text)))


MATHML = Notation(LATEX.template, lambda name: of_leaf(LATEX.label(name)), lambda x: of_leaf(LATEX.number(x)),
                  lambda text, latex, binds: of_leaf(LATEX.quote(text, latex, binds)),
                  lambda template, operands: elements(template.boxes, operands),
                  lambda parts: (f"<mrow><mo>(</mo>{row(parts)}<mo>)</mo></mrow>",), LATEX.fence_begins)
SLOTTED = MATHML._replace(slot=lambda parts, slot: (f'<mrow data-slot="{escape(slot)}">{row(parts)}</mrow>',))
