"""Does the gradient tell the truth? `nudge(C, w, h)` moves one number by h, computes the graph again, and holds the
change against the one that the gradient predicts; with a picture of the function and its tangent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import inf, isclose, isfinite, isnan, nan
from pathlib import Path
from typing import Any

from ..arguments import number
from ..engine import Value
from ..files import FileName
from ..formulas.algebra import name_of, number_of, partial, signed
from ..formulas.graph import look
from ..formulas.layout import columns, cut
from ..formulas.undefined import undefined
from ..ops import CONSTANT
from ..page import page
from ..save import as_csv, as_json, saved
from ..terminal import Printed, Spelling, folded, padded


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Nudge(Printed):
    """What `nudge` found. Print it; a notebook shows it with the picture, `.save("nudge.svg")` writes that.

    Attributes:
        name: of what moved.
        result: the name of what it moved.
        slope: the derivative, as written: ∂y/∂x.
        x, h: where it was, and by how much it moved.
        before, after: the result there and then.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: names, numbers, and the curve as a list of pairs."""
        return {"name": self.name, "result": self.result, "x": self.x, "h": self.h, "before": self.before,
                "after": self.after, "gradient": self.gradient, "undefined": self.undefined,
                "predicted": self.predicted, "actual": self.actual,
                "error": self.error, "relative_error": self.relative_error,
                "curve": [list(point) for point in self.curve]}

    def table(self) -> list[tuple[str, str]]:
        """The report, line by line, as words and numbers."""
        share = f" ({number_of(100 * self.relative_error)} % of the actual change)" * isfinite(self.relative_error)
        x, ahead, h, before, after = map(number_of, (self.x, self.x + self.h, self.h, self.before, self.after))
        lines = [(f"{self.name} moves", f"from {x} to {ahead}, h = {h}"),
                 (f"{self.result} changes", f"from {before} to {after}"),
                 ("predicted change", "none: " * bool(self.undefined) + (
                     self.undefined or f"{self.slope} · h = {self.prediction()}")),
                 ("actual change", number_of(self.actual))]
        return lines if self.undefined else [*lines, ("error", number_of(self.error) + share)]

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
        return picture_of(self)

    def save(self, path: FileName) -> Path:
        """Write the picture, or the report, to a file.

        Args:
            path: of the file, whose ending says how: .svg, .txt, .csv (the curve), .html or .json.

        Returns:
            The path.
        """
        return saved("Nudge", path, {
            ".svg": lambda: self.svg,
            ".txt": lambda: f"{self.text}\n",
            ".csv": lambda: as_csv([(self.name, self.result), *self.curve]),
            ".html": lambda: page(f"{self.result} as a function of {self.name}", [self._repr_html_()]),
            ".json": lambda: as_json(self.to_dict())})

    def _repr_html_(self) -> str:
        # As an image: notebooks that are not trusted keep it, unlike SVG in the page.
        picture = base64.b64encode(self.svg.encode()).decode()
        cell = "text-align:left;padding:2px 8px"
        rows = "".join(f'<tr><td style="{cell}">{escape(words)}</td><td style="{cell}">{escape(numbers)}</td></tr>'
                       for words, numbers in self.table())
        return (f'<div><img style="max-width:100%" alt="{escape(f"{self.result} as a function of {self.name}")}" '
                f'src="data:image/svg+xml;base64,{picture}"><table><tbody>{rows}</tbody></table></div>')


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
        raise ValueError(f"{name} is a constant, and no gradient is taken by it: make it a Value before it is used")
    step = number(h, "nudge(h)") if h is not None else 0.1 * abs(node.data) or 0.1
    if not isfinite(step) or step == 0 or node.data + step == node.data:
        raise ValueError(f"h is a finite number that moves {name} = {number_of(node.data)}, found {step!r}")
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


def picture_of(found: Nudge) -> str:
    """See `Nudge.svg`."""
    ahead, predicted = found.x + found.h, found.before + found.predicted
    name, result = cut(found.name, LONGEST), cut(found.result, LONGEST)
    low, high = window(found)
    start, end = sorted((found.curve[0][0], found.curve[-1][0]))

    def px(t: float) -> float:
        return LEFT + (t - start) / (end - start) * (RIGHT - LEFT)

    def py(y: float) -> float:
        return min(max(BOTTOM - (y - low) / (high - low) * (BOTTOM - TOP), -HIGH), 2 * HIGH)  # of use to nobody there

    def words(x: float, y: float, text: str, anchor: str = "middle") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'

    def line(x1: float, y1: float, x2: float, y2: float, colour: str = INK, more: str = "") -> str:
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>'

    def dot(x: float, y: float, colour: str) -> str:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'

    def box(x: float, y: float) -> str:
        return (f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{GROUND}" stroke="{TANGENT}" '
                'stroke-width="2"/>')

    x, y = px(found.x), py(found.before)
    below = (found.actual >= 0 or isnan(found.actual)) and y < BOTTOM - 24
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" '
             'font-family="Helvetica, Arial, sans-serif" font-size="13">',
             f"<title>{escape(found.result)} as a function of {escape(found.name)}</title>",
             f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"/>',
             "</clipPath>",
             f'<rect width="{WIDE}" height="{HIGH}" rx="6" fill="{GROUND}"/>',
             line(LEFT, BOTTOM, RIGHT, BOTTOM), line(LEFT, TOP, LEFT, BOTTOM),
             words(RIGHT, BOTTOM + 19, name, "end"), words(LEFT - 8, TOP + 4, result, "end"),
             line(x, y, px(ahead), y, PALE, 'stroke-dasharray="2 3"'),
             words((x + px(ahead)) / 2, y + (15 if below else -6), "h")]
    for t in (found.x, ahead):
        parts += [line(px(t), BOTTOM, px(t), BOTTOM + 5), words(px(t), BOTTOM + 19, number_of(t))]
    ticks = [found.before, *[found.after] * (isfinite(found.after) and abs(py(found.after) - y) > 15)]
    for tick in ticks:
        parts += [line(LEFT - 5, py(tick), LEFT, py(tick)), words(LEFT - 8, py(tick) + 4.5, number_of(tick), "end")]
    for stretch in stretches(found.curve):
        points = " ".join(f"{px(t):.1f},{py(value):.1f}" for t, value in stretch)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{CURVE}" stroke-width="2.2" '
                     'clip-path="url(#plot)"/>')
    if isfinite(predicted):
        tilt = (py(predicted) - y) / (px(ahead) - x)
        parts += [line(LEFT, y + tilt * (LEFT - x), RIGHT, y + tilt * (RIGHT - x), TANGENT,
                       'stroke-width="1.8" stroke-dasharray="7 4" clip-path="url(#plot)"'),
                  line(px(ahead), y, px(ahead), py(predicted), TANGENT, 'stroke-width="1.2"'),
                  box(px(ahead), py(predicted))]
    if isfinite(found.after):
        parts.append(dot(px(ahead), py(found.after), CURVE))
    parts += [dot(x, y, INK),
              line(LEFT, 299, LEFT + 34, 299, CURVE, 'stroke-width="2.2"'), dot(LEFT + 17, 299, CURVE),
              words(LEFT + 44, 303.5, f"{result} itself: actual change {number_of(found.actual)}", "start"),
              line(LEFT, 321, LEFT + 34, 321, TANGENT, 'stroke-width="1.8" stroke-dasharray="7 4"'),
              box(LEFT + 17, 321), words(LEFT + 44, 325.5, "the tangent: " + (
                  "there is none here" if found.undefined else f"predicted change {found.prediction()}"), "start")]
    return "".join([*parts, "</svg>"])


def window(found: Nudge) -> tuple[float, float]:
    """The lowest and the highest y of the picture: the points are in it, and the curve unless it runs far away."""
    points = [y for y in (found.before, found.after, found.before + found.predicted) if isfinite(y)]
    curve = [y for _, y in found.curve if isfinite(y)]
    room = 3 * (max(points) - min(points)) or inf
    low = max(min(points + curve), min(points) - room)
    high = min(max(points + curve), max(points) + room)
    margin = 0.08 * (high - low) or 0.1 * abs(low) or 0.1
    return low - margin, high + margin


def stretches(curve: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The pieces of a curve between the points that are inf or nan."""
    piece: list[tuple[float, float]] = []
    for point in [*curve, (nan, nan)]:
        if isfinite(point[1]):
            piece.append(point)
        elif piece:
            yield piece
            piece = []
