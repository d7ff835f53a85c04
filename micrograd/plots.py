"""Pictures of training: the learning curve, and which class a network sees where. They need matplotlib.

Each function returns a matplotlib Figure of its own, which a notebook shows and `.savefig("name.png")` writes; nothing
of matplotlib's global state is touched. This module knows nothing of files.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from .arguments import as_float, many, number
from .data import dataset
from .engine import Value
from .losses import softmax
from .nn import MLP, rows_for
from .packages import to_install
from .training.history import History

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter
except ImportError as error:
    raise ImportError(f"plots need matplotlib: {to_install('plot')}") from error

__all__ = ["learning_curve", "decision_boundary"]

INK = "#1f2937"
COLOURS = ("#3567b0", "#d97b16", "#2f9461", "#b03a5b", "#7455a6", "#8a6d3b", "#4a8a9c")  # told apart by most eyes
MARKERS = "os^DvPX"
STEPS = 90  # of the grid, each way


def learning_curve(history: Any) -> Figure:
    """The loss of each epoch, and the accuracy where there is one. A line marks the epoch that patience kept.

    Args:
        history: what `fit` returned, or the losses alone, as a part of it is: history[10:].

    Returns:
        A Figure of matplotlib.

    Example:
        >>> from micrograd.plots import learning_curve
        >>> learning_curve(micrograd.History(loss=[1.0, 0.5, 0.25])).savefig("curve.png")
    """
    history = history if isinstance(history, History) else History(
        [number(x, f"learning_curve: loss {i}") for i, x in enumerate(many(history, "history", "a list of losses"))])
    shown = [("loss", history.loss, history.validation_loss)]
    if history.accuracy:
        shown.append(("accuracy", history.accuracy, history.validation_accuracy))
    figure = Figure(figsize=(4.8 * len(shown), 3.6), dpi=150, layout="constrained")
    for k, (name, trained, held) in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), k + 1)
        epochs = range(1, len(trained) + 1)
        axes.plot(epochs, trained, color=COLOURS[0], lw=1.8, label="training rows")
        if held:
            axes.plot(epochs, held, color=COLOURS[1], lw=1.8, label="held-out rows")
        if history.best:
            axes.axvline(history.best, color=INK, lw=0.8, ls="--", label=f"epoch {history.best}, kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.set_xlim(left=0)
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        elif min([*trained, *held], default=0.0) >= 0.0:
            axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        plain(axes)
        axes.grid(color="#e5e7eb", lw=0.8)
    return figure


def decision_boundary(net: MLP, X: Any, y: Any, held_X: Any = (), held_y: Any = (), *,
                      features: tuple[int, int] = (0, 1), names: Sequence[str] = (),
                      classes: Sequence[str] = ()) -> Figure:
    """The class that a network with an output for each sees at each place of two inputs, the others at their mean.

    Args:
        net: an MLP.
        X, y: rows and the indices of their classes, drawn as filled marks.
        held_X, held_y: the same, drawn as hollow ones.
        features: which two columns of X.
        names: of all columns.
        classes: their names.

    Returns:
        A Figure of matplotlib.

    Raises:
        ValueError: for a network with one output, and for data that do not fit together.

    Example:
        >>> from micrograd.plots import decision_boundary
        >>> net = micrograd.MLP(2, [2])
        >>> decision_boundary(net, [[0.0, 0.0], [1.0, 1.0]], [0, 1]).savefig("classes.png")
    """
    i, j = features
    X, y = finite_rows(net, "decision_boundary: X", X), dataset.targets("decision_boundary: y", y)
    held_X = finite_rows(net, "decision_boundary: held_X", held_X)
    held_y = dataset.targets("decision_boundary: held_y", held_y)
    for where, found, wanted in (("", X, y), ("held out: ", held_X, held_y)):
        if len(found) != len(wanted):
            raise ValueError(f"decision_boundary needs a class for each row, {where}found {len(found)} rows and "
                             f"{len(wanted)} classes")
    if not X:
        raise ValueError("decision_boundary needs at least one row, found none")
    for place in (i, j):
        if not 0 <= place < len(X[0]):
            raise ValueError(f"features must be two columns of X, from 0 to {len(X[0]) - 1}, found {features}")
    x_ends, y_ends = ends([x[i] for x in [*X, *held_X]]), ends([x[j] for x in [*X, *held_X]])
    across, up = steps(*x_ends), steps(*y_ends)
    row = [statistics.fmean(column) for column in zip(*X)]
    shares = [[shares_at(net, [*row], {i: right, j: above}) for right in across] for above in up]

    figure = Figure(figsize=(6.4, 4.8), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow([[blend(point) for point in line] for line in shares], extent=(*x_ends, *y_ends), origin="lower",
                aspect="auto", interpolation="bilinear")
    for k in range(len(shares[0][0])):
        lead = [[point[k] - max(p for c, p in enumerate(point) if c != k) for point in line] for line in shares]
        if min(map(min, lead)) < 0 < max(map(max, lead)):
            axes.contour(across, up, lead, levels=[0], colors=INK, linewidths=1.2)
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        for rows, targets, face, edge, width in ((X, y, colour, "white", 0.7), (held_X, held_y, "white", colour, 1.4)):
            points = [x for x, t in zip(rows, targets) if t == k]
            axes.scatter([x[i] for x in points], [x[j] for x in points], s=30, marker=marker, facecolor=face,
                         edgecolor=edge, linewidth=width, zorder=3)
        axes.scatter([], [], s=30, marker=marker, color=colour, label=classes[k] if classes else f"class {k}")
    if held_X:
        axes.scatter([], [], s=30, facecolor="white", edgecolor=INK, label="held out (hollow)")
    axes.legend(loc="upper left", framealpha=0.9, edgecolor="none")
    axes.set_xlabel(names[i] if names else f"input {i + 1}")
    axes.set_ylabel(names[j] if names else f"input {j + 1}")
    if len(row) > 2:
        axes.set_title("the other inputs at their mean", loc="right", fontsize=9, color=INK)
    plain(axes)
    return figure


def finite_rows(net: MLP, where: str, X: Any) -> list[list[float]]:
    """Rows that the network takes, all of finite floats."""
    found = [[as_float(x) for x in (row if isinstance(row, (list, tuple)) else [row])]
             for row in rows_for(net, where, X)]
    dataset.check_finite(where, found)
    return found


def shares_at(net: MLP, row: list[float], changed: dict[int, float]) -> list[float]:
    """The probability of each class, for the row with some inputs changed."""
    for place, x in changed.items():
        row[place] = x
    outputs = net(row)
    if isinstance(outputs, Value):
        raise ValueError("decision_boundary needs a network with an output for each of two classes or more, found one")
    return [share.data for share in softmax(outputs)]


def blend(shares: Sequence[float]) -> list[float]:
    """A pale mixture of the colours of the classes, as red, green and blue in [0, 1]."""
    paints = [[int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)] for colour in COLOURS]
    mixed = [sum(p * paints[k % len(paints)][c] for k, p in enumerate(shares)) for c in range(3)]
    return [1 - 0.35 * (1 - c) for c in mixed]


def ends(xs: Sequence[float]) -> tuple[float, float]:
    margin = 0.06 * (max(xs) - min(xs)) or 1.0
    return min(xs) - margin, max(xs) + margin


def steps(low: float, high: float) -> list[float]:
    """The middles of the cells of the grid."""
    return [low + (high - low) * (k + 0.5) / STEPS for k in range(STEPS)]


def plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK)
