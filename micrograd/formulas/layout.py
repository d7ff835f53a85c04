r"""The formula of a recorded graph, in LaTeX or in plain text: `latex(C)` is 0.5 \cdot \left(y - a^{4}\right)^{2}.

A formula is a tree until it is shown: numbers, names, and ops with their operands. Every row of the table says how its
op is written, as a template, and how tightly the result holds together; `notations` writes that down. This module knows
nothing of any one op.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf

from ..engine import Value
from ..ops import Op
from .labels import in_one_notation
from .notations import DIGITS, IN_SLOT, LATEX, TEXT, Notation, Signs, Written, apply, fenced, rounded

__all__ = ["latex", "text"]

LIMIT = 10_000  # characters; a formula that is longer is for nobody to read


def latex(node: Value, depth: int | None = 1) -> str:
    """The formula of a Value in LaTeX (without dollar signs), in terms of the labelled nodes nearest to it.

    A leaf is written as its label, or else as its number.

    Args:
        node: a Value.
        depth: through how many levels of labelled nodes to write formulas out: at 1, C is written with a^{4}; at 2,
            with the formula of a^{4} in its place; None: down to the leaves.

    Returns:
        The formula.

    Raises:
        ValueError: if it is longer than 10,000 characters: label some nodes on the way.
        TypeError: if node is not a Value.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> print(micrograd.latex((w * x).tanh()))
        \\tanh\\left(w \\cdot x\\right)
    """
    return formula(node, depth, LATEX, "latex")


def text(node: Value, depth: int | None = 1) -> str:
    """The formula of a Value in plain text, with labels such as w^{2}_{1} as w²₁.

    Args:
        node: a Value.
        depth: as for `latex`.

    Returns:
        The formula.

    Raises:
        ValueError: if it is longer than 10,000 characters: label some nodes on the way.
        TypeError: if node is not a Value.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> micrograd.text((w * x).tanh())
        'tanh(w * x)'
    """
    return in_one_notation(formula(node, depth, TEXT, "text"))


def formula(root: Value, depth: int | None, notation: Notation, where: str, numbers: bool = False,
            names: Mapping[Value, str] | None = None) -> str:
    """The formula of root in the given notation; see `latex`. A ValueError says so of one that is too long."""
    if not isinstance(root, Value):
        raise TypeError(f"{where}(node) needs a Value, found {type(root).__name__} {root!r:.40}")
    if depth is not None and not (isinstance(depth, int) and depth >= 1):
        raise ValueError(f"{where}(node, depth) needs a whole number from 1 up, or None, found {depth!r}")
    pieces: dict[Value, Written] = {}
    for node, layout in layouts_of(root, depth, numbers, names):
        pieces[node] = layout.put([pieces[parent] for parent in node.parents] if layout.operands else (), notation)
        if len(pieces[node].text) > LIMIT:
            raise ValueError(too_long(root, depth, notation, where))
    text: str = pieces[root].text
    return text


def layouts_of(root: Value, depth: int | None, numbers: bool = False,
               names: Mapping[Value, str] | None = None) -> Iterator[tuple[Value, Layout]]:
    """The nodes that the formula of root is made of, each with its own, after its parents; root is the last. numbers:
    with numbers of a few digits for the labels; names: other names for labelled nodes."""
    deepest = inf if depth is None else depth
    levels = levels_of_labels(root, deepest)
    layouts: dict[Value, Layout] = {}
    for node in levels:
        if node.label and (levels[node] > deepest or not node.parents):
            name = (names or {}).get(node, node.label)
            layouts[node] = ShownNumber(node.data, DIGITS, name) if numbers else Label(name)
        elif not node.parents:
            layouts[node] = ShownNumber(node.data)
        else:
            layouts[node] = Applied(node.op, [layouts[parent] for parent in node.parents])
        yield node, layouts[node]


def too_long(root: Value, depth: int | None, notation: Notation, where: str) -> str:
    """The message about a formula that is for nobody to read, with a way to make it shorter."""
    name = f"{root.label!r}" if root.label else f"this Value ({root.op.name}, data {root.data:.4g})"
    remedy = "Label nodes on the way (z.label = 'z'): a formula stops at labelled nodes"
    if depth != 1:
        remedy += ", with depth=1"
        try:
            formula(root, 1, notation, where)
            remedy = "Take a smaller depth: at 1 it is written in terms of the labelled nodes next below"
        except ValueError:
            pass
    return (f"the formula of {name} is longer than {LIMIT:,} characters, as a part is written out wherever it is used. "
            f"{remedy}.")


def levels_of_labels(root: Value, deepest: float) -> dict[Value, int]:
    """For each node that the formula of root mentions, its level: how many labels lie on the way, plus one. Each comes
    after its parents; the rest of the graph is not looked at."""
    levels = {root: 1}
    queue = deque([root])  # those of a lower level first
    while queue:
        node = queue.popleft()
        for parent in node.parents if levels[node] <= deepest else ():  # else it is mentioned by its label only
            level = levels[node] + bool(parent.label)
            if level < levels.get(parent, inf):
                levels[parent] = level
                if parent.label:
                    queue.append(parent)
                else:
                    queue.appendleft(parent)
    found: dict[Value, int] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        waiting = [parent for parent in node.parents if parent not in found] if levels[node] <= deepest else []
        stack += waiting
        if not waiting:
            found[stack.pop()] = levels[node]
    return found


# The tree

class Layout:
    """A formula, or a part of one, before it is shown: one of the kinds below, which are data."""

    __slots__ = ()

    operands: Sequence[Layout] = ()

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        """The formula, with its operands as they are written."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Label(Layout):
    """A name."""

    name: str

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        return notation.label(self.name)


@dataclass(frozen=True, slots=True)
class ShownNumber(Layout):
    """A number, to so many significant digits; by default as it is. slot: which node's number it is, where it stands
    for one; so that a page can fill in another."""

    x: float
    digits: int | None = None
    slot: str = ""

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        piece = notation.number(self.x) if self.digits is None else rounded(self.x, notation, self.digits)
        if notation.slot is None or not self.slot:
            return piece
        return piece._replace(text=notation.slot(piece.text, self.slot), begins=IN_SLOT)


@dataclass(frozen=True, slots=True)
class Quoted(Layout):
    """A formula that is given as text and as LaTeX."""

    text: str
    latex: str
    binds: str = "atom"

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        return notation.quote(self.text, self.latex, self.binds)


@dataclass(frozen=True, slots=True)
class Applied(Layout):
    """An op, or other signs, with operands."""

    signs: Op | Signs
    operands: Sequence[Layout] = ()

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        return apply(self.signs, pieces, notation)


@dataclass(frozen=True, slots=True)
class Fenced(Layout):
    """A formula in parentheses, if it does not hold together as tightly as `needs` says. mark: only if this stands in
    it, as PLUS."""

    needs: str
    operands: Sequence[Layout] = ()
    mark: int = 0

    def put(self, pieces: Sequence[Written], notation: Notation) -> Written:
        [piece] = pieces
        return piece if self.mark and not piece.marks & self.mark else fenced(piece, self.needs, notation)


def written(layout: Layout, notation: Notation) -> Written:
    """The formula in a notation. Nothing recurses: a sum of a thousand terms is a thousand levels deep."""
    pieces: list[Written] = []
    waiting = [(layout, False)]
    while waiting:
        node, ready = waiting.pop()
        operands = node.operands
        if not operands:
            pieces.append(node.put((), notation))
        elif ready:
            pieces[-len(operands):] = [node.put(pieces[-len(operands):], notation)]
        else:
            waiting.append((node, True))
            waiting += [(operand, False) for operand in reversed(operands)]
    return pieces[0]


def aligned(rows: Sequence[Layout]) -> Layout:
    """An environment of rows, in each of which an & stands where they are aligned."""
    lines = series(" \\\\\n", len(rows)).latex
    return Applied(Signs("", f"\\begin{{{{aligned}}}}\n{lines}\n\\end{{{{aligned}}}}"), rows)


@cache
def series(sign: str, n: int) -> Signs:
    """A row of n operands, with the sign between them."""
    template = sign.join(f"{{{i}}}" for i in range(n))
    return Signs(template, template)
