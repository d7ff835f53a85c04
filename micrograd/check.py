"""Checking: every derivative of a function found in three ways, by reverse mode, forward mode and differences.

For users to hold their own code against, and for the tests of this package. This module knows nothing of networks.
"""

from __future__ import annotations

import html
import inspect
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from math import floor, inf, isfinite, log2, nan
from sys import float_info
from typing import Any

from .calculus import Function, Run, leaves, push_forward, rebuild
from .engine import Value, gradient, topological_order

Points = list[tuple[float, float]]  # x and f(x)

RELATIVE = 1e-6  # how far, as a fraction of its size, a derivative may be from what the differences say
RATIO = 4.0      # from one step of the differences to the next; a power of two, so that x + h is exact
OK, WRONG, KINK, UNKNOWN = "ok", "wrong", "kink", "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One derivative, found in three ways."""

    derivative: str  # "∂f/∂x[0]"
    reverse: float   # by the engine, from the result back
    forward: float   # by the same rules, from the variable forward
    numeric: float   # by differences, central ones at a kink; nan if they do not settle
    error: float     # of the differences, by their own estimate
    left: float      # the slopes by differences to either side; nan if they do not settle
    right: float
    verdict: str     # "ok"; "wrong"; "kink": the slopes differ or do not exist, and the engine's value is a convention;
                     # "unknown": the differences do not settle, and no row of the table says why
    note: str        # what there is to say of a kink


@dataclass(frozen=True, slots=True, repr=False)
class GradientReport:
    """What `check_gradients` found: true if no derivative is wrong. Print it, or show it in a notebook."""

    rows: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no derivative is wrong. A kink is not wrong if the engine's value lies between the slopes."""
        return all(row.verdict in (OK, KINK) for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data: {"ok": ..., "rows": [{"derivative": ..., "reverse": ..., ...}]}."""
        return {"ok": self.ok, "rows": [asdict(row) for row in self.rows]}

    @property
    def long(self) -> bool:
        """Whether the table leaves out what is ok."""
        return len(self.rows) > 50

    def summary(self) -> str:
        """One line: how many of each verdict."""
        count = {verdict: sum(row.verdict == verdict for row in self.rows) for verdict in (OK, KINK, UNKNOWN, WRONG)}
        kinks = f", {count[KINK]} at a kink" if count[KINK] else ""
        kinks += f", {count[UNKNOWN]} unknown" if count[UNKNOWN] else ""
        hidden = " (not listed)" if self.long else ""
        plural = "s" * (len(self.rows) != 1)
        return f"{len(self.rows)} derivative{plural}: {count[OK]} ok{hidden}{kinks}, {count[WRONG]} wrong"

    def table(self) -> list[tuple[str, ...]]:
        """The report as text, cell by cell, the heading first."""
        return [("derivative", "reverse", "forward", "differences", "± error", "verdict")] + [
            (row.derivative, *(f"{x:.9g}" for x in (row.reverse, row.forward, row.numeric)), f"{row.error:.0e}",
             row.verdict + (row.note and f": {row.note}")) for row in self.rows if row.verdict != OK or not self.long]

    def __str__(self) -> str:
        table = self.table()
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:5], widths[1:5]), row[5]]) for row in table]
        return "\n".join([*lines, self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *body = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.table())
        rows = "".join(f"<tr>{row}</tr>" for row in body)
        return (f"<table><caption>{self.summary()}</caption><thead><tr>{head.replace('td>', 'th>')}</tr></thead>"
                f"<tbody>{rows}</tbody></table>")


def check_gradients(f: Function, at: Any, order: int = 2) -> GradientReport:
    """Compare the derivatives of f at a point: reverse mode, forward mode, and central differences of f itself.

    f: a function that returns one number. at: its argument, a number or a list or dict of numbers; or a tuple of its
    arguments. order: 1 for the first derivatives, 2 for the second ones as well (by reverse mode twice, forward over
    reverse, and differences of the gradient: n^2 checks for n numbers).

    The differences are taken at steps from a trillionth of x up to x or 1, and extrapolated; they bring an estimate of
    their own error, and a derivative is wrong if it is off by more than that and 1e-6 of its size. Where the slopes to
    the left and to the right differ, or do not exist, the verdict is "kink": then only a value that lies between them
    is not wrong. Raises ValueError if f is not finite at the point.
    """
    if order not in (1, 2):
        raise ValueError(f"order is 1 or 2, found {order!r}")
    args = at if isinstance(at, tuple) else (at,)
    paths = [path for name, arg in zip(argument_names(f, len(args)), args) for path, _ in leaves(arg, name)]
    point = [float(x) for _, x in leaves(args, "")]

    def record(numbers: Sequence[float]) -> tuple[list[Value], list[Value]]:
        run = Run(f, rebuild(args, iter(numbers)))
        y = run.scalar()
        return run.variables, [y, *gradient(y, run.variables)] if order == 2 else [y]

    def measure(j: int, x: float) -> tuple[float, list[float]]:
        try:
            return x, [y.data for y in record([*point[:j], x, *point[j + 1:]])[1]]
        except (ArithmeticError, ValueError):  # the step leaves the domain of something in f
            return x, [nan] * len(outputs)

    variables, outputs = record(point)
    if not isfinite(outputs[0].data):
        raise ValueError(f"f is {outputs[0].data} at {at!r}; check it at a point of its domain")
    reverse = [gradient(y, variables) for y in outputs]
    rows: list[list[Check]] = [[] for _ in outputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        roundings = [rounding_of(y) for y in outputs]
        for j, x in enumerate(point):
            moving = push_forward(outputs, {variables[j]: 1.0})
            conventions = dict.fromkeys(node.op.note for node in topological_order(outputs[0])
                                        if turns(node) and any(parent in moving for parent in node.parents))
            steps = steps_around(x)
            ahead, behind = ([measure(j, x + sign * h) for h in steps] for sign in (1, -1))
            for k, y in enumerate(outputs):
                name = (f"∂f/∂{paths[j]}" if k == 0 else
                        f"∂²f/∂{paths[j]}²" if k == j + 1 else f"∂²f/∂{paths[j]}∂{paths[k - 1]}")
                here, before, after = [(x, y.data)] * len(steps), finite(behind, k), finite(ahead, k)
                rows[k].append(judge(name, reverse[k][j].data, float(moving.get(y, 0.0)), ", ".join(conventions),
                                     central=limit(after, before, 2, roundings[k]),
                                     left=limit(here, before, 1, roundings[k]),
                                     right=limit(after, here, 1, roundings[k])))
    return GradientReport(tuple(row for group in rows for row in group))


def argument_names(f: Function, count: int) -> list[str]:
    """The names that f itself has for its arguments, or x0, x1, ..."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # some functions written in C do not say
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names if len(names) >= count else ["x"] if count == 1 else [f"x{i}" for i in range(count)]


def turns(node: Value) -> bool:
    """Whether a node stands at a kink of its row."""
    return node.op.kink is not None and node.op.kink(*[parent.data for parent in node.parents]) == 0


def rounding_of(y: Value) -> float:
    """How large the numbers are that were rounded on the way to y: each computed node's, times its weight in y."""
    nodes = [node for node in topological_order(y) if node.parents]
    size = sum(abs(slope.data * node.data) for slope, node in zip(gradient(y, nodes), nodes))
    return size if isfinite(size) else 0.0


def steps_around(x: float) -> list[float]:
    """Steps for the differences at x: from a trillionth of |x|, still far above the spacing of the floats there, up to
    |x| or 1, whichever is larger. Powers of two."""
    steps = [2.0 ** floor(log2(max(abs(x or 1.0) * 2.0 ** -40, float_info.min)))]
    while steps[-1] < max(abs(x), 1.0):
        steps.append(steps[-1] * RATIO)
    return steps


def finite(probes: list[tuple[float, list[float]]], k: int) -> Points:
    """The k-th output at the probes, up to the first that lies outside its domain."""
    return [(x, values[k]) for x, values in takewhile(lambda probe: isfinite(probe[1][k]), probes)]


def limit(upper: Points, lower: Points, power: int, rounding: float) -> tuple[float, float]:
    """The limit of (f(b) - f(a)) / (b - a), and its error, from points b and a that move apart; (nan, inf) if none.

    Ridders' method: slopes at a geometric sequence of steps, freed of one power of the step after the other as in
    Neville's table (`power`: 2 if b and a lie symmetrically, else 1); the error is how far a result lies from the two
    that it was made of, and what rounding adds. Larger steps are taken for as long as they confirm the smaller ones.
    (C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4, 1982.)
    """
    estimate, error = nan, inf
    finer: list[tuple[float, float]] = []
    for (b, fb), (a, fa) in zip(upper, lower):
        row = [((fb - fa) / (b - a), 2 * float_info.epsilon * (rounding + abs(fb) + abs(fa)) / (b - a))]
        settled = RELATIVE * max(abs(fb), abs(fa)) / (b - a)  # across a jump, slopes differ by more
        for j, (fine, fine_noise) in enumerate(finer[:6], 1):
            coarse, coarse_noise = row[-1]
            gain = 1 / (RATIO ** (power * j) - 1)
            result, noise = fine + (fine - coarse) * gain, fine_noise + (fine_noise + coarse_noise) * gain
            row.append((result, noise))
            spread = max(abs(result - fine), abs(result - coarse))
            if spread <= settled + noise and spread + noise < error and (
                    error == inf or abs(result - estimate) <= error + spread + noise):
                estimate, error = result, spread + noise
        finer = row
    return estimate, error


def judge(derivative: str, reverse: float, forward: float, conventions: str, *, central: tuple[float, float],
          left: tuple[float, float], right: tuple[float, float]) -> Check:
    """The verdict on one derivative, given the limits of the differences with their errors."""
    def near(a: float, b: float, error: float) -> bool:
        return a == b or abs(a - b) <= error + RELATIVE * max(abs(a), abs(b))

    best = min(central, left, right, key=lambda found: found[1])
    agree = near(reverse, forward, best[1] if best[1] < inf else 0.0)
    sides = sorted(side for side in (left, right) if side[1] < inf)
    if len(sides) == 2 and near(left[0], right[0], left[1] + right[1]):
        verdict, note = OK if agree and near(reverse, *best) else WRONG, ""
    else:
        if sides:
            between = sides[0][0] <= reverse <= sides[-1][0] or any(near(reverse, *side) for side in sides)
            verdict = KINK if agree and between else WRONG
        else:
            verdict = KINK if conventions or not isfinite(reverse) else UNKNOWN
        slopes = ["none" if error == inf else f"{slope:.6g}" for slope, error in (left, right)]
        note = f"left slope {slopes[0]}, right slope {slopes[1]}; the engine takes {reverse:.6g}"
        note += f" ({conventions})" if conventions else ""
        best = central
    return Check(derivative, reverse, forward, *best, left[0], right[0], verdict, note)
