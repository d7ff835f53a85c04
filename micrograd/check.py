"""Checking: every derivative of a function found in three ways, by reverse mode, forward mode and differences.

For users to hold their own code against, and for the tests of this package. This module knows nothing of networks.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import pairwise, takewhile
from math import floor, inf, isfinite, isinf, isnan, log2, nan
from sys import float_info
from typing import Any, NamedTuple

from . import ops
from .arguments import as_float, counted, function
from .calculus import Function, RecordedCall, leaves, push_forward, rebuild
from .data import dataset
from .engine import Value, gradient, topological_order
from .formulas.graph import at_kink, look
from .formulas.undefined import undefined
from .page import Block, Entry, Grid, GridRow, Page, Summary
from .rows import carries

__all__ = ["check_gradients", "GradientReport", "Check"]


class CheckedPoint(NamedTuple):
    """A point that the differences look at."""

    x: float
    y: float
    rounding: float  # how far y may be off because numbers were rounded on the way


Probes = list[CheckedPoint]

RELATIVE = 1e-6   # a derivative may be off the differences by this fraction of its size
LOST = 0.1        # an error of this fraction of a derivative leaves no digit to compare
RESOLVED = 0.01   # two rules for an integral may differ by this fraction of what they are to decide
RATIO = 4.0       # from one step of the differences to the next; a power of two, so that x + h is exact
ULPS = 2 * float_info.epsilon  # how far a row may be from its exact result, as a fraction of it,
TINY = 2.0 ** -1074            # and at least this: numbers near 0 have no more digits than that
SMALL = 2.0 ** -960
ARITHMETIC = (ops.add, ops.sub, ops.mul, ops.div, ops.neg)  # rounded right, always
OK, WRONG, KINK, UNKNOWN, UNDEFINED = "ok", "wrong", "kink", "unknown", "undefined"
OTHERS = {KINK: "at a kink", UNKNOWN: UNKNOWN, UNDEFINED: UNDEFINED}  # what a summary calls them
HEAD = ("derivative", "reverse", "forward", "differences", "± error", "verdict")
NUMBERS = (1, 2, 3, 4)  # the columns of the report that hold them


@dataclass(frozen=True, slots=True, repr=False)
class Check(Entry):
    """One derivative, found in three ways.

    Attributes:
        derivative: its name, "∂f/∂x[0]".
        reverse: by the engine, from the result back.
        forward: by the same rules, from the variable forward.
        numeric: by differences, central ones at a kink; nan if they do not settle.
        error: of the differences, by their own estimate.
        left, right: the slopes by differences to either side; nan if they do not settle.
        verdict: "ok"; "wrong"; "kink": the slopes differ or do not exist, and the engine's value is a convention;
            "unknown": the differences do not settle, and no row of the table says why, or they have lost all digits;
            "undefined": there is no answer, as 0 · ∞ is nan.
        note: what there is to say of a verdict that is not "ok".

    Example:
        >>> row, = micrograd.check_gradients(lambda x: abs(x), 0.0, order=1).rows
        >>> row.verdict, row.reverse, row.left, row.right
        ('kink', 0.0, -1.0, 1.0)
    """

    derivative: str
    reverse: float
    forward: float
    numeric: float
    error: float
    left: float
    right: float
    verdict: str
    note: str

    def cells(self) -> tuple[str, ...]:
        """The row of the report, as text."""
        numbers = (f"{x:.9g}" for x in (self.reverse, self.forward, self.numeric))
        return self.derivative, *numbers, f"{self.error:.0e}", self.verdict + (self.note and f": {self.note}")

    def _blocks(self) -> tuple[Block, ...]:
        return (Grid(HEAD, [GridRow(self.cells())], NUMBERS),)


@dataclass(frozen=True, slots=True, repr=False)
class GradientReport(Page):
    """The result of `check_gradients`. Print it, show it in a notebook, or `.save("check.html")` it.

    It is true if every derivative is found right, or is a convention at a kink.

    Attributes:
        rows: a `Check` for each derivative.

    Example:
        >>> report = micrograd.check_gradients(lambda x: x ** 3, 2.0)
        >>> report.ok, report.summary()
        (True, '2 derivatives: 2 ok, 0 wrong')
    """

    rows: tuple[Check, ...]

    _data = ("ok", "rows")

    @property
    def ok(self) -> bool:
        """True if every derivative is "ok" or "kink". One that is "unknown" or "undefined" was not found wrong, but not
        found right either."""
        return all(row.verdict in (OK, KINK) for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def long(self) -> bool:
        """True if the table leaves out what is ok."""
        return len(self.rows) > 50

    def summary(self) -> str:
        """One line: how many of each verdict."""
        count = Counter(row.verdict for row in self.rows)
        others = "".join(f", {count[verdict]} {words}" for verdict, words in OTHERS.items() if count[verdict])
        hidden = " (not listed)" if self.long else ""
        return f"{counted(len(self.rows), 'derivative')}: {count[OK]} ok{hidden}{others}, {count[WRONG]} wrong"

    def table(self) -> list[tuple[str, ...]]:
        """The report as text, cell by cell, the heading first."""
        return [HEAD, *(row.cells() for row in self.rows if row.verdict != OK or not self.long)]

    def _title(self) -> str:
        return "Gradients, checked"

    def _blocks(self) -> tuple[Block, ...]:
        head, *rows = self.table()
        return Grid(head, [*map(GridRow, rows)], NUMBERS), Summary(self.summary())

    def _rows(self) -> list[tuple[Any, ...]]:
        return [tuple(each.name for each in fields(Check)), *map(astuple, self.rows)]


def check_gradients(f: Function, at: Any, order: int = 2) -> GradientReport:
    """Compare the derivatives of f at a point: reverse mode, forward mode, and central differences of f itself.

    The differences are taken at steps from a trillionth of x up to x or 1, and extrapolated; they bring an estimate of
    their own error, and a derivative is wrong if it is off by more than that and 1e-6 of its size. Where the slopes to
    the left and to the right differ, or do not exist, the verdict is "kink": then only a value that lies between them
    is not wrong. Where the differences do not settle, or lose all digits to rounding or underflow, it is "unknown".
    Where reverse or forward mode gives nan, it is "undefined": 0 · ∞ has no value, and the note says which slope is
    infinite and which factor is 0. (Forward mode may have ∞ where reverse mode has nan: the one adds before it
    multiplies, (1 + 0) · ∞, where the other has 1 · ∞ + 0 · ∞.) What `detach` hides from the derivatives is part of the
    differences all the same, so there the verdict is "wrong".

    Args:
        f: a function that returns one number.
        at: its argument, a number or a list or dict of numbers; or a tuple of its arguments.
        order: 1 for the first derivatives, 2 for the second ones as well (by reverse mode twice, forward over reverse,
            and differences of the gradient: n^2 checks for n numbers).

    Returns:
        A `GradientReport`.

    Raises:
        ValueError: if f is not finite at the point, or for another order.
        TypeError: if f is not a function, or does not return one number.

    Example:
        >>> print(micrograd.check_gradients(lambda x: x * x * x, 2.0, order=1))
        derivative  reverse  forward  differences  ± error  verdict
        ∂f/∂x            12       12           12    6e-14  ok
        1 derivative: 1 ok, 0 wrong
    """
    function(f, "check_gradients(f, at)")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, found {order!r}")
    experiment = Experiment(f, at, order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        by_variable = [experiment.checks(j) for j in range(len(experiment.point))]
    return GradientReport(tuple(check for checks in zip(*by_variable) for check in checks))


class Experiment:
    """A function near a point: its outputs (for order 2 its first derivatives, too) there, and where a number moves."""

    def __init__(self, f: Function, at: Any, order: int) -> None:
        self.f = f
        self.args = dataset.tree("at", at if isinstance(at, tuple) else (at,))
        self.order = order
        names = argument_names(f, len(self.args))
        found = [leaf for arg, name in zip(self.args, names) for leaf in leaves(arg, name)]
        self.point = [as_float(x) for _, x in found]
        self.variables, self.outputs = self.recorded(self.point)
        if not isfinite(self.outputs[0].data):
            raise ValueError(f"f is {self.outputs[0].data} at {at!r}; check it at a point of its domain")
        for variable, (path, _) in zip(self.variables, found):
            variable.label = path
        self.reverse = [gradient(y, self.variables) for y in self.outputs]
        self.rounding = roundings(self.outputs, self.variables)
        self.errors = [errors_of(y) for y in self.outputs]

    def recorded(self, numbers: Sequence[float]) -> tuple[list[Value], list[Value]]:
        """The variables and the outputs, recorded anew for these numbers."""
        run = RecordedCall(self.f, rebuild(self.args, iter(numbers)))
        y = run.scalar()
        return run.variables, [y, *gradient(y, run.variables)] if self.order == 2 else [y]

    def moved(self, j: int, x: float) -> tuple[list[Value], list[Value]]:
        """The same where the j-th number is x."""
        return self.recorded([*self.point[:j], x, *self.point[j + 1:]])

    def probes(self, j: int, x: float) -> Probes:
        """Each output there; nan where that is outside the domain of something in f."""
        try:
            variables, outputs = self.moved(j, x)
        except (ArithmeticError, ValueError):
            return [CheckedPoint(x, nan, nan)] * len(self.outputs)
        rounding = roundings(outputs, variables)
        return [CheckedPoint(x, y.data, rounding.get(y, 0.0)) for y in outputs]

    def slope(self, j: int, k: int, x: float) -> float:
        """The derivative of the k-th output by the j-th number there, or nan."""
        try:
            variables, outputs = self.moved(j, x)
            return float(gradient(outputs[k], variables[j]).data)
        except (ArithmeticError, ValueError):
            return nan

    def checks(self, j: int) -> list[Check]:
        """The derivatives of all outputs by the j-th number."""
        x, variable = self.point[j], self.variables[j]
        moving = push_forward(self.outputs, {variable: 1.0})
        conventions = ", ".join(dict.fromkeys(
            node.op.note for node in topological_order(self.outputs[0])
            if at_kink(node) and any(parent in moving for parent in node.parents)))
        steps = steps_around(x)
        ahead, behind = ([self.probes(j, x + sign * h) for h in steps] for sign in (1, -1))
        checks = []
        for k, y in enumerate(self.outputs):
            here = [CheckedPoint(x, y.data, self.rounding.get(y, 0.0))] * len(steps)
            before, after = finite(behind, k), finite(ahead, k)
            found = Found(self.reverse[k][j].data, float(moving.get(y, 0.0)), self.errors[k].get(variable, 0.0),
                          size_near(x, here + before + after), limit(after, before, 2),
                          limit(here, before, 1), limit(after, here, 1))
            verdict, note = judge(found, conventions)
            if isnan(y.data) or verdict == UNDEFINED:
                verdict, note = UNDEFINED, why_undefined(y, variable, found)
            elif verdict == WRONG and found.agree and not self.refuted(j, k, found, here[0], before, after):
                verdict, note = UNKNOWN, "it changes within steps that are large enough to see it"
            elif verdict == WRONG and all(found.fits(side) or leap_within(y, moving, side.reach)
                                          for side in (found.left, found.central, found.right)):
                verdict, note = UNKNOWN, "it jumps within the steps"
            best = found.best if verdict == OK else found.central
            checks.append(Check(self.name(j, k), found.reverse, found.forward, best.slope, best.error,
                                found.left.slope, found.right.slope, verdict, note))
        return checks

    def refuted(self, j: int, k: int, found: Found, here: CheckedPoint, before: Probes, after: Probes) -> bool:
        """True if the differences that contradict the derivative are right."""
        sides = ((after, found.right), (before, found.left), (after, found.central), (before, found.central))
        return any(refuted([here, *probes], side.reach, lambda x: self.slope(j, k, x))
                   for probes, side in sides if not found.fits(side))

    def name(self, j: int, k: int) -> str:
        """The derivative of the k-th output by the j-th variable: ∂f/∂x, ∂²f/∂x², ∂²f/∂y∂x."""
        x = self.variables[j].label
        if k == 0:
            return f"∂f/∂{x}"
        return f"∂²f/∂{x}²" if k == j + 1 else f"∂²f/∂{x}∂{self.variables[k - 1].label}"


def argument_names(f: Function, count: int) -> list[str]:
    """The names that f itself has for its arguments, or x0, x1, ..."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # some functions written in C do not say
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names if len(names) >= count else ["x"] if count == 1 else [f"x{i}" for i in range(count)]


def leap_within(y: Value, moving: Mapping[Value, Any], reach: float) -> bool:
    """True if a row that jumps, as floor does at every whole number, does so within that reach of the variable."""
    for node in topological_order(y):
        row = ops.floordiv if node.op is ops.mod else node.op
        if row.kink is not None and not all(carries(row, i) for i in range(row.arity)):
            args = [parent.data for parent in node.parents]
            moves = [float(moving.get(parent, 0.0)) * reach for parent in node.parents]
            if len({row.value(*[x + sign * move for x, move in zip(args, moves)]) for sign in (-1, 0, 1)}) > 1:
                return True
    return False


def roundings(outputs: Sequence[Value], variables: Sequence[Value]) -> dict[Value, float]:
    """The error that rounding may have left in the number of each node that depends on the variables."""
    off = dict.fromkeys(variables, 0.0)
    for node in topological_order(*outputs):
        if any(parent in off for parent in node.parents):
            least = TINY
            if abs(node.data) < SMALL and node.op not in ARITHMETIC:  # a factor that underflows inside, times another
                least += TINY * max(abs(parent.data) for parent in node.parents)
            off[node] = ULPS * abs(node.data) + least
            for parent, slope in zip(node.parents, node.local_derivatives):
                inside = 0.0 if node.op in ARITHMETIC else ULPS * abs(parent.data)  # as if the argument were rounded
                if slope and (inside or off.get(parent)):
                    off[node] += abs(slope) * (inside + off.get(parent, 0.0))
    return off


def errors_of(y: Value) -> dict[Value, float]:
    """The error that rounding of factors and products may have left in the derivative of y by each node: in proportion
    to the sum of the absolute values, and more for each product that underflows. inf where one may overflow."""
    sizes, errors = {y: 1.0}, {y: 0.0}
    for node in reversed(topological_order(y)):
        for parent, slope in zip(node.parents, node.local_derivatives) if node in sizes else ():
            if isfinite(slope):
                sizes[parent] = sizes.get(parent, 0.0) + abs(slope) * sizes[node]
                errors[parent] = errors.get(parent, 0.0) + abs(slope) * errors[node] + TINY * (1 + sizes[node])
    found = {node: 8 * ULPS * sizes[node] + error for node, error in errors.items()}
    return {node: inf if isnan(error) else error for node, error in found.items()}


def steps_around(x: float) -> list[float]:
    """Steps for the differences at x: from a trillionth of |x|, still far above the spacing of the floats there, up to
    |x| or 1, whichever is larger. Powers of two. None at an infinite x, which has no points beside it."""
    if not isfinite(x):
        return []
    steps = [2.0 ** floor(log2(max(abs(x or 1.0) * 2.0 ** -40, TINY)))]
    while steps[-1] < max(abs(x), 1.0):
        steps.append(steps[-1] * RATIO)
    return steps


def finite(probes: list[Probes], k: int) -> Probes:
    """The k-th output at the probes, up to the first that lies outside its domain."""
    return [*takewhile(lambda probe: isfinite(probe.x) and isfinite(probe.y), (probe[k] for probe in probes))]


def size_near(x: float, points: Probes) -> float:
    """The size of a slope that takes f from 0 to its largest value within |x|, or within 1 of 0."""
    sizes = [abs(point.y) for point in points if x == 0 or abs(point.x) <= 2 * abs(x)]
    return max(sizes, default=0.0) / (abs(x) or 1.0)


class Limit(NamedTuple):
    """The limit of differences."""

    slope: float = nan
    error: float = inf
    reach: float = 0.0  # the largest step that was taken for it


def limit(upper: Probes, lower: Probes, power: int) -> Limit:
    """The limit of (f(b) - f(a)) / (b - a) with its error, from points b and a that move apart; nan if there is none.

    Ridders' method: slopes at a geometric sequence of steps, freed of one power of the step after the other as in
    Neville's table (`power`: 2 if b and a lie symmetrically, else 1); the error is how far a result lies from the two
    that it was made of, and what rounding adds. Larger steps are taken for as long as they confirm the smaller ones.
    (C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4, 1982.)
    """
    best = Limit()
    finer: list[tuple[float, float]] = []
    for b, a in zip(upper, lower):
        width = b.x - a.x
        row = [((b.y - a.y) / width, (b.rounding + a.rounding) / width + TINY)]
        settled = RELATIVE * max(abs(b.y), abs(a.y)) / width  # across a jump, slopes differ by more
        for j, (fine, fine_noise) in enumerate(finer[:6], 1):
            coarse, coarse_noise = row[-1]
            gain = 1 / (RATIO ** (power * j) - 1)
            result, noise = fine + (fine - coarse) * gain, fine_noise + (fine_noise + coarse_noise) * gain
            row.append((result, noise))
            spread = max(abs(result - fine), abs(result - coarse))
            if spread <= settled + noise and spread + noise < best.error and (
                    best.error == inf or abs(result - best.slope) <= best.error + spread + noise):
                best = Limit(result, spread + noise, width)
        finer = row
    return best


class Found(NamedTuple):
    """Everything found out about one derivative."""

    reverse: float
    forward: float
    unsure: float                 # how far these may be off by rounding; inf if they may overflow
    size: float                   # see `size_near`
    central: Limit
    left: Limit
    right: Limit

    @property
    def best(self) -> Limit:
        return min(self.central, self.left, self.right, key=lambda side: side.error)

    @property
    def agree(self) -> bool:
        """True if reverse and forward mode give the same."""
        return self.near(self.reverse, self.forward, self.best.error if self.best.error < inf else 0.0)

    def near(self, a: float, b: float, error: float) -> bool:
        return a == b or abs(a - b) <= error + self.unsure + RELATIVE * max(abs(a), abs(b))

    def fits(self, side: Limit) -> bool:
        """True if these differences allow for the derivative."""
        return self.near(self.reverse, side.slope, side.error)


def judge(found: Found, conventions: str) -> tuple[str, str]:
    """The verdict on one derivative, with a note."""
    reverse, left, right = found.reverse, found.left, found.right
    if isnan(reverse) or isnan(found.forward):
        return UNDEFINED, ""
    if isinf(found.unsure) or (reverse != found.forward and (isinf(reverse) or isinf(found.forward))):
        return UNKNOWN, "a product of slopes on the way is beyond the largest float"
    sides = sorted(side for side in (left, right) if side.error < inf)
    if len(sides) == 2 and found.near(left.slope, right.slope, left.error + right.error):
        if not found.agree or not found.fits(found.best):
            return WRONG, ""
        error = found.best.error + found.unsure
        if reverse and error > max(LOST * abs(reverse), RELATIVE * found.size):
            return UNKNOWN, f"the differences have no digits left: {found.best.slope:.2g} ± {error:.0e}"
        return OK, ""
    if sides:
        between = sides[0].slope <= reverse <= sides[-1].slope or any(map(found.fits, sides))
        verdict = KINK if found.agree and between else WRONG
    else:
        verdict = KINK if conventions or not isfinite(reverse) else UNKNOWN
    slopes = ["none" if side.error == inf else f"{side.slope:.6g}" for side in (left, right)]
    note = f"left slope {slopes[0]}, right slope {slopes[1]}; the engine takes {reverse:.6g}"
    return verdict, note + (f" ({conventions})" if conventions else "")


def refuted(points: Probes, reach: float, slope: Callable[[float], float]) -> bool:
    """True if f changes by something other than the integral of its derivative, on the way from the first point to two
    others in a row, neither further away than reach. Differences alone can be deceived where f bends within the steps
    that rise above rounding.

    The integral is that of Gauss's rule for five points from each point to the next. It decides nothing where it
    differs from that for three, nor by as little as rounding explains.
    """
    integral = unsure = 0.0
    differed = False
    for a, b in pairwise(points):
        if not abs(b.x - points[0].x) <= reach:
            break
        middle, half = 0.5 * a.x + 0.5 * b.x, 0.5 * (b.x - a.x)
        five, three = (half * sum(weight * slope(middle + half * place) for place, weight in rule)
                       for rule in (FIVE, THREE))
        integral, unsure = integral + five, unsure + abs(five - three)
        off = abs(b.y - points[0].y - integral)
        differs = (off > 2 * (b.rounding + points[0].rounding) + RELATIVE * abs(integral) and unsure < RESOLVED * off)
        if differs and differed:
            return True
        differed = differs
    return False


# Where, on the interval from -1 to 1, and with which weight
FIVE = [(0.0, 128 / 225), *((sign * node, weight) for sign in (-1, 1) for node, weight in (
    (0.5384693101056831, 0.47862867049936647), (0.906179845938664, 0.23692688505618908)))]
THREE = [(0.0, 8 / 9), (0.7745966692414834, 5 / 9), (-0.7745966692414834, 5 / 9)]


def why_undefined(y: Value, x: Value, found: Found) -> str:
    """A sentence on where 0 · ∞, or another nan, comes from."""
    if isnan(y.data):
        return "the first derivative is undefined, too"
    reason = undefined(look(y, "check_gradients"), x)
    if reason is not None:
        return reason.sentence
    return f"forward mode comes to 0 · ∞, which has no value, where reverse mode has {found.reverse:.6g}"
