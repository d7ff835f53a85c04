r"""LaTeX, read into boxes: \frac{a}{b} is a command with two arguments, a^{4} a letter with a script.

The one reader of LaTeX: for the templates of the table, for what a user's own op is likely to add, and for formulas
that are handed over as text. What is shown of a box, `mathml` says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def read(*literals: str) -> Boxes:
    """The boxes of a formula in LaTeX (without dollar signs); of a template: text, a hole, text, a hole, ..., text.

    Raises ValueError for braces that do not match, and for more than 100 levels of them.
    """
    return LatexReader(literals).whole()


class LatexReader:
    """A recursive-descent parser of LaTeX."""

    def __init__(self, literals: Sequence[str]) -> None:
        self.latex = "…".join(literals)
        self.tokens: list[str | Hole] = TOKEN.findall(literals[0])
        for n, literal in enumerate(literals[1:]):
            self.tokens += [Hole(n), *TOKEN.findall(literal)]
        self.tokens.append("")  # the end
        self.place = 0
        self.depth = 0

    def whole(self) -> Boxes:
        result = self.row()
        if self.place < len(self.tokens) - 1:
            raise self.wrong(f"{self.peek()!r} closes nothing")
        return result

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"this LaTeX cannot be read: {what}: {self.latex:.60}")

    def peek(self) -> str | Hole:
        return self.tokens[self.place]

    def take(self) -> str | Hole:
        token = self.peek()
        self.place += bool(token)
        return token

    def skip(self) -> None:
        while str(self.peek()).isspace():
            self.take()

    def row(self, end: str = "}") -> Boxes:
        """Everything up to this token, or to another that closes something, which stays."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"it nests deeper than {DEEPEST} levels")
        boxes: list[Box | Hole] = []
        while (token := self.peek()) not in ("", end, "}", r"\right") and not str(token).startswith(r"\end{"):
            if token == "'":
                boxes.append(Box(self.sign(), ((Box("'"),),)))
            elif token in ("^", "_"):
                boxes.append(Box(self.sign(), (self.argument(),)))
            else:
                boxes += self.atom()
        self.depth -= 1
        return tuple(boxes)

    def closed(self, end: str) -> Boxes:
        """Everything up to this token, which is taken, too."""
        inner = self.row(end)
        if self.take() != end:
            raise self.wrong(f"{end!r} is missing")
        return inner

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
        while token := self.take():
            depth += (token == "{") - (token == "}")
            if not depth:
                break
        else:
            raise self.wrong("a brace is not closed")
        inside = self.tokens[start + 1:self.place - 1]
        if any(isinstance(token, Hole) for token in inside):
            self.place = start
            return self.atom()
        return (Box(command, (), ("".join(map(str, inside)),)),)

    def atom(self) -> Boxes:
        token = self.take()
        if isinstance(token, Hole):
            return (token,)
        if token in (r"\text", r"\operatorname", *STYLES):
            return self.words(token)
        if token == "}":
            raise self.wrong("'}' closes nothing")
        return (self.box(token),) if token else ()

    def box(self, token: str) -> Box:
        """The box of a sign or a command that was taken."""
        if token == "{":
            return Box(token, (self.closed("}"),))
        if token == r"\left":
            left = self.mark()
            return Box(token, (self.closed(r"\right"),), (left, self.mark()))
        if token.startswith(r"\begin{"):
            return Box(r"\begin", (self.closed(token.replace("begin", "end")),), (token[7:-1],))
        if token == r"\frac":
            return Box(token, (self.argument(), self.argument()))
        if token == r"\sqrt":
            degree = self.degree()
            return Box(token, (self.argument(), *degree))
        return Box(token)

    def degree(self) -> tuple[Boxes, ...]:
        if self.peek() != "[":
            return ()
        self.take()
        return (self.closed("]"),)

    def mark(self) -> str:
        """The sign of a fence; "" for the dot that stands for none."""
        self.skip()
        mark = self.sign()
        return "" if mark == "." else mark
