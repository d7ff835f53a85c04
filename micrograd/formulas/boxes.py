r"""LaTeX, read into boxes: \frac{a}{b} is a command with two arguments, a^{4} a letter with a script.

The one reader of LaTeX: for the templates of the table, for what a user's own op is likely to add, and for formulas
that are handed over as text. What is shown of a box, `mathml` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Union

GREEK_LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
GREEK_COMMANDS = (r"\alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \pi \rho "
                  r"\sigma \tau \upsilon \phi \chi \psi \omega "
                  r"\Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega")
GREEK = dict(zip(GREEK_LETTERS, GREEK_COMMANDS.split()))
LETTER = {command: letter for letter, command in GREEK.items()}

# What a command shows, and as what: an identifier, an operator, a space.
IDENTIFIERS = LETTER | {r"\infty": "∞", r"\top": "⊤", r"\ell": "ℓ"}
OPERATORS = {
    r"\cdot": "·", r"\times": "×", r"\odot": "⊙", r"\pm": "±", r"\partial": "∂", r"\nabla": "∇", r"\sum": "∑",
    r"\prod": "∏", r"\le": "≤", r"\ge": "≥", r"\leq": "≤", r"\geq": "≥", r"\neq": "≠", r"\approx": "≈", r"\to": "→",
    r"\vdots": "⋮", r"\ddots": "⋱", r"\ldots": "…", r"\cdots": "⋯", r"\prime": "′", r"\backslash": "\\", r"\wedge": "^",
    r"\sim": "~", r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&", r"\#": "#", r"\%": "%", r"\_": "_",
    r"\|": "‖", r"\Vert": "‖", r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉",
    "-": "−", "'": "′", "*": "∗",
}
SPACES = {r"\quad": "1em", r"\qquad": "2em", r"\,": "0.17em", r"\;": "0.28em", r"\:": "0.22em", r"\ ": "0.33em"}
STYLES = {r"\mathbf": "bold", r"\mathrm": "normal", r"\boldsymbol": "bold", r"\mathit": "italic"}
NEW_CELL, NEW_LINE = "&", "\\\\"
DEEPEST = 100  # levels of groups and parentheses

TOKEN = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\s+|.", re.DOTALL)


class Box(NamedTuple):
    r"""A sign, or a command with what it holds: \frac and \sqrt; { for a group in braces; ^, _ or ' for an index; \left
    with the two marks around what is inside; \begin with the name of the environment; \text with its words."""

    sign: str
    inner: tuple[Boxes, ...] = ()
    words: tuple[str, ...] = ()


class Hole(NamedTuple):
    """The place of the n-th operand of a template."""

    n: int


Boxes = tuple[Union[Box, Hole], ...]


def read(latex: str) -> Boxes:
    """The boxes of a formula in LaTeX (without dollar signs).

    Raises ValueError for braces that do not match, and for more than 100 levels of them.
    """
    return LatexReader(tokens_of(latex), latex).whole()


def read_template(literals: Sequence[str]) -> Boxes:
    """The boxes of a template: text, a hole, text, a hole, ..., text."""
    tokens: list[str | Hole] = [*tokens_of(literals[0])]
    for n, literal in enumerate(literals[1:]):
        tokens += [Hole(n), *tokens_of(literal)]
    return LatexReader(tokens, "…".join(literals)).whole()


def tokens_of(latex: str) -> Iterable[str]:
    return (match[0] for match in TOKEN.finditer(latex))


class LatexReader:
    """A recursive-descent parser of LaTeX."""

    def __init__(self, tokens: Iterable[str | Hole], latex: str) -> None:
        self.latex = latex
        self.tokens = [*tokens]
        self.place = 0
        self.depth = 0

    def whole(self) -> Boxes:
        result = self.row()
        if self.place < len(self.tokens):
            raise self.wrong(f"{self.tokens[self.place]!r} closes nothing")
        return result

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"this LaTeX cannot be read: {what}: {self.latex:.60}")

    def peek(self) -> str | Hole:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str | Hole:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def skip(self) -> None:
        while isinstance(token := self.peek(), str) and token.isspace():
            self.take()

    def row(self, end: str = "}") -> Boxes:
        """Everything up to this token, or to another that closes something, which stays."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"it nests deeper than {DEEPEST} levels")
        boxes: list[Box | Hole] = []
        while self.peek() not in ("", end, "}", r"\right") and not self.closes_table():
            token = self.peek()
            if token == "'":
                boxes.append(Box(self.sign(), ((Box("'"),),)))
            elif token == "^" or token == "_":
                boxes.append(Box(self.sign(), (self.argument(),)))
            else:
                boxes += self.atom()
        self.depth -= 1
        return tuple(boxes)

    def closes_table(self) -> bool:
        token = self.peek()
        return isinstance(token, str) and token.startswith(r"\end{")

    def argument(self) -> Boxes:
        """The argument of a command: a group in braces, or the next atom."""
        self.skip()
        return self.atom()

    def sign(self) -> str:
        """The next token, where the operand of a template may not stand."""
        token = self.take()
        if isinstance(token, Hole):
            raise self.wrong("an operand stands in place of a sign")
        return token

    def words(self, command: str) -> Boxes:
        r"""The text inside the braces that follow, as it stands; a group, where it holds operands of a template."""
        self.skip()
        if self.peek() != "{":
            return (Box(command, (), (self.sign(),)),)
        start, depth = self.place, 0
        while self.peek():
            token = self.take()
            depth += (token == "{") - (token == "}")
            if not depth:
                break
        inside = self.tokens[start + 1:self.place - 1]
        if depth:
            raise self.wrong("a brace is not closed")
        if any(isinstance(token, Hole) for token in inside):
            self.place = start
            return self.atom()
        return (Box(command, (), ("".join(map(str, inside)),)),)

    def atom(self) -> Boxes:
        token = self.take()
        if isinstance(token, Hole):
            return (token,)
        if not token:
            return ()
        if token == "{":
            inner = self.row()
            self.close("}")
            return (Box(token, (inner,)),)
        if token == r"\left":
            left, inner = self.mark(), self.row(r"\right")
            self.close(r"\right")
            return (Box(token, (inner,), (left, self.mark())),)
        if token.startswith(r"\begin{"):
            end = token.replace("begin", "end")
            inner = self.row(end)
            self.close(end)
            return (Box(r"\begin", (inner,), (token[7:-1],)),)
        if token == r"\frac":
            return (Box(token, (self.argument(), self.argument())),)
        if token == r"\sqrt":
            degree = self.degree()
            return (Box(token, (self.argument(), *degree)),)
        if token in (r"\text", r"\operatorname") or token in STYLES:
            return self.words(token)
        if token == "}":
            raise self.wrong("'}' closes nothing")
        return (Box(token),)

    def degree(self) -> tuple[Boxes, ...]:
        if self.peek() != "[":
            return ()
        self.take()
        degree = self.row("]")
        self.close("]")
        return (degree,)

    def close(self, token: str) -> None:
        if self.take() != token:
            raise self.wrong(f"{token!r} is missing")

    def mark(self) -> str:
        """The sign of a fence; "" for the dot that stands for none."""
        self.skip()
        mark = self.sign()
        return "" if mark == "." else mark
