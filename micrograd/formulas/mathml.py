r"""LaTeX as MathML, which browsers show by themselves: a^{4} is <msup><mi>a</mi><mn>4</mn></msup>.

For the LaTeX that the templates of the table and the printers of this package write, and for what a user's own op is
likely to add. A command that is not known is shown by its name; nothing in the text can become markup.
"""

from __future__ import annotations

import re
from html import escape

from .layout import GREEK, printable

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
# Brackets as borders: they are as high as the matrix in any font, while few machines have one whose brackets grow.
TABLES = {"aligned": ' displaystyle="true"',
          "bmatrix": ' style="border: solid; border-width: 0 1.5px; border-radius: 5px; margin: 0 0.1em"'}
ALIGNED = [' style="text-align: right; padding-right: 0"', ' style="text-align: left; padding-left: 0"']
MINUS = "<mo>−</mo>"
NEW_LINE = "\\\\"
DEEPEST = 100  # levels of groups and parentheses

TOKEN = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\s+|.", re.DOTALL)

# What a command shows, and as what: an identifier, an operator, a space.
IDENTIFIERS = {command: letter for letter, command in GREEK.items()} | {r"\infty": "∞", r"\top": "⊤", r"\ell": "ℓ"}
OPERATORS = {
    r"\cdot": "·", r"\times": "×", r"\odot": "⊙", r"\pm": "±", r"\partial": "∂", r"\nabla": "∇", r"\sum": "∑",
    r"\prod": "∏", r"\le": "≤", r"\ge": "≥", r"\leq": "≤", r"\geq": "≥", r"\neq": "≠", r"\approx": "≈", r"\to": "→",
    r"\vdots": "⋮", r"\ddots": "⋱", r"\ldots": "…", r"\cdots": "⋯", r"\prime": "′", r"\backslash": "\\", r"\wedge": "^",
    r"\sim": "~", r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&", r"\#": "#", r"\%": "%", r"\_": "_",
    r"\|": "‖", r"\Vert": "‖", r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉",
    "-": "−", "'": "′", "*": "∗",
}
SPACES = {r"\quad": "1em", r"\qquad": "2em", r"\,": "0.17em", r"\;": "0.28em", r"\:": "0.22em", r"\ ": "0.33em"}
FUNCTIONS = r"\sin \cos \tan \sinh \cosh \tanh \arcsin \arccos \arctan \ln \log \exp \max \min"
STYLES = {r"\mathbf": "bold", r"\mathrm": "normal", r"\boldsymbol": "bold", r"\mathit": "italic"}
BOLD = str.maketrans({digit: chr(0x1D7CE + i) for i, digit in enumerate("0123456789")}
                     | {chr(ord("A") + i): chr(0x1D400 + i) for i in range(26)}
                     | {chr(ord("a") + i): chr(0x1D41A + i) for i in range(26)})


def mathml(latex: str, display: bool = False) -> str:
    """A formula in LaTeX (without dollar signs) as a <math> element; display: on a line of its own.

    Raises ValueError for braces that do not match, and for more than 100 levels of them.
    """
    block = ' display="block"' if display else ""
    return f'<math xmlns="{NAMESPACE}"{block}>{Reader(latex).whole()}</math>'


class Reader:
    """A recursive-descent parser, which writes MathML as it reads."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = [match[0] for match in TOKEN.finditer(latex)]
        self.place = 0
        self.depth = 0

    def whole(self) -> str:
        result = self.row("")
        if self.place < len(self.tokens):
            raise self.wrong(f"{self.tokens[self.place]!r} closes nothing")
        return result

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"this LaTeX cannot be read: {what}: {self.latex:.60}")

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def row(self, *ends: str) -> str:
        """Everything up to one of these tokens, which stays; "" is the end of the text. One element, or an <mrow>."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"it nests deeper than {DEEPEST} levels")
        parts: list[str] = []
        while self.peek() and self.peek() not in (*ends, "}", r"\right") and not self.peek().startswith(r"\end{"):
            base = "" if self.peek() in ("^", "_", "'") else self.atom()
            part = self.scripts(base)
            if part == MINUS and (not parts or parts[-1].startswith("<mo")):
                part = MINUS.replace("<mo>", '<mo form="prefix">')  # no space between the sign and its number
            if part:
                parts.append(part)
        self.depth -= 1
        return one(parts)

    def scripts(self, base: str) -> str:
        """The base with the indices that follow it."""
        above: list[str] = []
        below: list[str] = []
        while True:
            self.skip()
            mark = self.peek()
            if mark == "'":
                above.append(f"<mo>{OPERATORS[self.take()]}</mo>")
            elif mark in ("^", "_"):
                self.take()
                (above if mark == "^" else below).append(self.argument())
            else:
                break
        if not above and not below:
            return base
        tag = "msubsup" if above and below else "msup" if above else "msub"
        return f"<{tag}>{one([base])}{one(below) if below else ''}{one(above) if above else ''}</{tag}>"

    def skip(self) -> None:
        while self.peek().isspace():
            self.take()

    def argument(self) -> str:
        """What a command takes: a group in braces, or the next atom."""
        self.skip()
        return one([self.atom()])

    def words(self) -> str:
        r"""The text inside the braces that follow, as it stands: for \text, \operatorname and the like."""
        self.skip()
        if self.peek() != "{":
            return self.take()
        self.take()
        start = self.place
        depth = 1
        while depth and self.peek():
            depth += {"{": 1, "}": -1}.get(self.take(), 0)
        if depth:
            raise self.wrong("a brace is not closed")
        return "".join(self.tokens[start:self.place - 1])

    def atom(self) -> str:
        token = self.take()
        if not token or token.isspace():
            return ""
        if token == "{":
            inner = self.row("}")
            self.close("}")
            return inner
        if token == r"\left":
            return self.fenced()
        if token.startswith(r"\begin{"):
            return self.table(token[7:-1])
        if token == r"\frac":
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if token == r"\sqrt":
            return self.root()
        if token == r"\text":
            return f"<mtext>{shown(self.words(), spaces=True)}</mtext>"
        if token == r"\operatorname":
            return f"<mi>{shown(self.words())}</mi>"
        if token in STYLES:
            return style(self.words(), STYLES[token])
        if token in FUNCTIONS.split():
            return f"<mi>{token[1:]}</mi>"
        if token in SPACES:
            return f'<mspace width="{SPACES[token]}"></mspace>'
        if token in IDENTIFIERS:
            return f"<mi>{IDENTIFIERS[token]}</mi>"
        if token in OPERATORS:
            return f"<mo>{escape(OPERATORS[token])}</mo>"
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token == "}":
            raise self.wrong("'}' closes nothing")
        if token[0] == "\\":  # a command that is not known, by its name
            return f"<mtext>{shown(token)}</mtext>"
        return f"<mi>{shown(token)}</mi>" if token.isalpha() else f"<mo>{shown(token)}</mo>"

    def close(self, token: str) -> None:
        if self.take() != token:
            raise self.wrong(f"{token!r} is missing")

    def fence(self) -> str:
        self.skip()
        mark = self.take()
        return "" if mark == "." else shown(OPERATORS.get(mark, mark))

    def fenced(self) -> str:
        left = self.fence()
        inner = self.row(r"\right")
        self.close(r"\right")
        right = self.fence()
        marks = [f"<mo>{mark}</mo>" if mark else "" for mark in (left, right)]
        return f"<mrow>{marks[0]}{inner}{marks[1]}</mrow>"

    def root(self) -> str:
        if self.peek() != "[":
            return f"<msqrt>{self.argument()}</msqrt>"
        self.take()
        degree = self.row("]")
        self.close("]")
        return f"<mroot>{self.argument()}{degree}</mroot>"

    def table(self, kind: str) -> str:
        """An environment: aligned lines, or a matrix in brackets."""
        rows: list[list[str]] = [[]]
        while True:
            rows[-1].append(self.row("&", NEW_LINE))
            mark = self.take()
            if mark == NEW_LINE:
                rows.append([])
            elif mark != "&":
                break
        if mark != rf"\end{{{kind}}}":
            raise self.wrong(f"\\end{{{kind}}} is missing")
        if rows[-1] == ["<mrow></mrow>"]:
            rows.pop()
        sides = ALIGNED if kind == "aligned" else [""]
        cells = "".join("<mtr>" + "".join(f"<mtd{sides[i % len(sides)]}>{cell}</mtd>" for i, cell in enumerate(row))
                        + "</mtr>" for row in rows)
        return f"<mtable{TABLES.get(kind, '')}>{cells}</mtable>"


def one(parts: list[str]) -> str:
    """The parts as one element."""
    return parts[0] if len(parts) == 1 and parts[0] else f"<mrow>{''.join(parts)}</mrow>"


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
