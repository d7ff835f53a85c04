"""Does the gradient tell the truth? `nudge(C, w, h)` moves one number by h, computes the graph again, and holds the
change against the one that the gradient predicts; with a picture of the function and its tangent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import inf, isclose, isfinite, isnan
from typing import Any

from ..arguments import number
from ..engine import Value
from ..formulas.formula import name_of, number_of, partial, signed
from ..formulas.graph import look
from ..formulas.labels import columns, cut
from ..formulas.undefined import undefined
from ..ops import CONSTANT
from ..page import Format, Grid, GridRow, Page, image
from ..terminal import Spelling, folded, padded

__all__ = ["nudge"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Nudge(Page):
    """The result of `nudge`. Print it; a notebook shows it with the picture, which `.save("nudge.svg")` writes.

    Attributes:
        name: of what moved.
        result: the name of what it moved.
        slope: the derivative, as written: ∂y/∂x.
        x, h: where it was, and by how much it moved.
        before, after: the result before and after.
        gradient: the slope at x.
        undefined: why there is no gradient; mostly "".
        curve: the result along the way, as pairs (x, result).

    Example:
        >>> x = micrograd.Value(3.0, "x")
        >>> moved = micrograd.nudge(x * x, "x", 0.5)
        >>> moved.before, moved.after, moved.gradient
        (9.0, 12.25, 6.0)
    """

    name: str
    result: str
    slope: str
    x: float
    h: float
    before: float
    after: float
    gradient: float
    undefined: str
    curve: tuple[tuple[float, float], ...]

    _data = ("name", "result", "x", "h", "before", "after", "gradient", "undefined", "predicted", "actual", "error",
             "relative_error", "curve")

    @property
    def predicted(self) -> float:
        """The change that the tangent predicts: gradient · h. nan if there is no gradient, and so no tangent."""
        return self.gradient * self.h

    @property
    def actual(self) -> float:
        """The change of the result."""
        return self.after - self.before

    @property
    def error(self) -> float:
        """The actual change less the predicted one."""
        return self.actual - self.predicted

    @property
    def relative_error(self) -> float:
        """The error as a fraction of the actual change; 0.0 if both are 0, inf if nothing changed at all."""
        return abs(self.error / self.actual) if self.actual else 0.0 if self.error == 0 else inf

    def table(self) -> list[tuple[str, str]]:
        """The report, line by line, as words and numbers."""
        share = self.relative_error
        of_actual = f" ({number_of(100 * share)} % of the actual change)" if isfinite(share) else ""
        predicted = f"none: {self.undefined}" if self.undefined else f"{self.slope} · h = {self.prediction()}"
        x, ahead, h, before, after = map(number_of, (self.x, self.x + self.h, self.h, self.before, self.after))
        lines = [(f"{self.name} moves", f"from {x} to {ahead}, h = {h}"),
                 (f"{self.result} changes", f"from {before} to {after}"),
                 ("predicted change", predicted), ("actual change", number_of(self.actual))]
        return lines if self.undefined else [*lines, ("error", number_of(self.error) + of_actual)]

    def prediction(self) -> str:
        """The predicted change in numbers: 0.75 · (−0.25) = −0.1875."""
        return f"{number_of(self.gradient)} · {signed(self.h)} = {number_of(self.predicted)}"

    def _laid_out(self, width: int, spell: Spelling) -> str:
        table = [(spell(words), spell(numbers)) for words, numbers in self.table()]
        left = max(columns(words) for words, _ in table) + 2
        return "\n".join(line for words, numbers in table
                         for line in folded(padded(words, left) + numbers, width, left if left <= width // 2 else 4))

    @property
    def svg(self) -> str:
        """The function, its tangent and the two points that the nudge leads to, as an SVG picture."""
        plot = Plot(self)
        return "".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="13"><title>{escape(self._title())}</title>'
            f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"/>'
            f'</clipPath><rect width="{WIDE}" height="{HIGH}" rx="6" fill="{GROUND}"/>',
            *axes(self, plot), *curves(self, plot), *legend(self), "</svg>"])

    def _title(self) -> str:
        return f"{self.result} as a function of {self.name}"

    @property
    def html(self) -> str:
        """The picture, and the report below it, as a piece of an HTML page."""
        return f"<div>{image(self.svg, self._title())}{Grid((), [*map(GridRow, self.table())]).html}</div>"

    def _rows(self) -> list[tuple[Any, ...]]:
        return [(self.name, self.result), *self.curve]

    def _formats(self) -> dict[str, Format]:
        return {".svg": lambda: self.svg, **Page._formats(self)}


POINTS = 61           # of the curve: x is in the middle, x + h at three quarters
RECOMPUTED = 600_000  # nodes, in all, for the curve: it gets fewer points where many nodes move with x


def nudge(root: Value, x: Value | str, h: float | None = None) -> Nudge:
    """Move x by h, compute the graph of root again, and compare the change with gradient · h. No node is changed.

    Args:
        root: a Value.
        x: a node of the graph, or its label; if it is a computed one, it moves on its own, and what it was computed
            from stays.
        h: any number but 0; by default a tenth of ``|x|``, or 0.1 at 0.

    Returns:
        A `Nudge`: print it, or show it in a notebook.

    Raises:
        ValueError: if x is not in the graph, is the label of several nodes, or is a constant; for an h of 0, nan or
            inf, or too small to move x; if root is inf or nan; and if numbers were changed after the forward pass, so
            that root does not belong to them.
        TypeError: for arguments of the wrong kind.

    Example:
        >>> x = micrograd.Value(3.0, "x")
        >>> moved = micrograd.nudge(x * x, "x", 0.5)
        >>> moved.predicted, moved.actual, moved.error
        (3.0, 3.25, 0.25)
    """
    graph = look(root, "nudge(root, x, h)")
    node, result = graph.find(x, "nudge(root, x)"), name_of(graph, root)
    name = name_of(graph, node)
    if node.op is CONSTANT:
        raise ValueError(f"{name} is a constant, and has no gradient: make it a Value before it is used")
    step = number(h, "nudge(h)") if h is not None else 0.1 * abs(node.data) or 0.1
    if not isfinite(step) or step == 0 or node.data + step == node.data:
        raise ValueError(f"h must be a finite number that moves {name} = {number_of(node.data)}, found {step!r}")
    if not isfinite(root.data) or not isfinite(node.data):
        raise ValueError(f"{result} is {number_of(root.data)} at {name} = {number_of(node.data)}: diagnose it first")
    moving: dict[Value, None] = {}  # also through step and sign, which hand no derivative on
    for each in graph.order:
        if any(parent is node or parent in moving for parent in each.parents) and each is not node:
            moving[each] = None

    def at(t: float) -> float:
        numbers = {node: t}
        for each in moving:
            numbers[each] = each.op.value(*[numbers.get(parent, parent.data) for parent in each.parents])
        return numbers.get(root, root.data)

    before = at(node.data)
    if not isclose(before, root.data, rel_tol=1e-9, abs_tol=1e-12):
        raise ValueError(f"{result} is {number_of(root.data)}, but {number_of(before)} for the numbers that the graph "
                         "holds now: run the forward pass again (diagnose tells what changed)")
    points = max(9, min(POINTS, RECOMPUTED // (len(moving) + 1) // 4 * 4 + 1))
    places = [node.data + step * 4 * (k / (points - 1) - 0.5) for k in range(points)]
    reason = undefined(graph, node)
    return Nudge(name.text, result.text, partial(graph, root, node).text, node.data, step, root.data,
                 at(node.data + step), graph.gradients[node], reason.sentence if reason is not None else "",
                 tuple((t, at(t)) for t in places))


# The picture: dark ink on an opaque pale ground, readable on a light page and on a dark one.
INK, PALE, CURVE, TANGENT, GROUND = "#1f2937", "#9aa3af", "#3567b0", "#d97b16", "#fbfbf8"
WIDE, HIGH = 540, 340
LEFT, TOP, RIGHT, BOTTOM = 84.0, 18.0, 520.0, 262.0  # of the plot, in pixels
LONGEST = 10  # characters of a name at an axis
DASHED, CLIPPED = 'stroke-width="1.8" stroke-dasharray="7 4"', 'clip-path="url(#plot)"'


class Plot:
    """The place of numbers in the picture, in pixels."""

    def __init__(self, found: Nudge) -> None:
        self.start, self.end = sorted((found.curve[0][0], found.curve[-1][0]))
        points = [y for y in (found.before, found.after, found.before + found.predicted) if isfinite(y)]
        curve = [y for _, y in found.curve if isfinite(y)]
        room = 3 * (max(points) - min(points)) or inf  # the points are seen, and the curve unless it runs far away
        low = max(min(points + curve), min(points) - room)
        high = min(max(points + curve), max(points) + room)
        margin = 0.08 * (high - low) or 0.1 * abs(low) or 0.1
        self.low, self.high = low - margin, high + margin

    def x(self, t: float) -> float:
        return LEFT + (t - self.start) / (self.end - self.start) * (RIGHT - LEFT)

    def y(self, y: float) -> float:
        height = (y - self.low) / (self.high - self.low) * (BOTTOM - TOP)
        return min(max(BOTTOM - height, -HIGH), 2 * HIGH)  # of use to nobody further away


def axes(found: Nudge, plot: Plot) -> Iterator[str]:
    """The axes with their names, the step from x to x + h, and numbers at its ends."""
    ahead, x, y = found.x + found.h, plot.x(found.x), plot.y(found.before)
    yield line(LEFT, BOTTOM, RIGHT, BOTTOM) + line(LEFT, TOP, LEFT, BOTTOM)
    yield words(RIGHT, BOTTOM + 19, cut(found.name, LONGEST), "end")
    yield words(LEFT - 8, TOP + 4, cut(found.result, LONGEST), "end")
    yield line(x, y, plot.x(ahead), y, PALE, 'stroke-dasharray="2 3"')
    below = (found.actual >= 0 or isnan(found.actual)) and y < BOTTOM - 24
    yield words((x + plot.x(ahead)) / 2, y + (15 if below else -6), "h")
    for t in (found.x, ahead):
        yield line(plot.x(t), BOTTOM, plot.x(t), BOTTOM + 5) + words(plot.x(t), BOTTOM + 19, number_of(t))
    ticks = [found.before]
    if isfinite(found.after) and abs(plot.y(found.after) - y) > 15:
        ticks.append(found.after)
    for tick in ticks:
        yield line(LEFT - 5, plot.y(tick), LEFT, plot.y(tick))
        yield words(LEFT - 8, plot.y(tick) + 4.5, number_of(tick), "end")


def curves(found: Nudge, plot: Plot) -> Iterator[str]:
    """The function, its tangent, and the points that the nudge leads from and to."""
    x, y, ahead = plot.x(found.x), plot.y(found.before), plot.x(found.x + found.h)
    for shown, stretch in groupby(found.curve, lambda point: isfinite(point[1])):
        if shown:  # neither inf nor nan
            points = " ".join(f"{plot.x(t):.1f},{plot.y(value):.1f}" for t, value in stretch)
            yield f'<polyline points="{points}" fill="none" stroke="{CURVE}" stroke-width="2.2" {CLIPPED}/>'
    predicted = found.before + found.predicted
    if isfinite(predicted):
        end = plot.y(predicted)
        tilt = (end - y) / (ahead - x)
        yield line(LEFT, y + tilt * (LEFT - x), RIGHT, y + tilt * (RIGHT - x), TANGENT, f"{DASHED} {CLIPPED}")
        yield line(ahead, y, ahead, end, TANGENT, 'stroke-width="1.2"') + box(ahead, end)
    if isfinite(found.after):
        yield dot(ahead, plot.y(found.after), CURVE)
    yield dot(x, y, INK)


def legend(found: Nudge) -> Iterator[str]:
    """The names of the two curves, and the changes along them."""
    actual = f"actual change {number_of(found.actual)}"
    predicted = "there is none here" if found.undefined else f"predicted change {found.prediction()}"
    yield line(LEFT, 299, LEFT + 34, 299, CURVE, 'stroke-width="2.2"') + dot(LEFT + 17, 299, CURVE)
    yield words(LEFT + 44, 303.5, f"{cut(found.result, LONGEST)} itself: {actual}", "start")
    yield line(LEFT, 321, LEFT + 34, 321, TANGENT, DASHED) + box(LEFT + 17, 321)
    yield words(LEFT + 44, 325.5, f"the tangent: {predicted}", "start")


def words(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = INK, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>'


def dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'


def box(x: float, y: float) -> str:
    return (f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{GROUND}" stroke="{TANGENT}" '
            'stroke-width="2"/>')
