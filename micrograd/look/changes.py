"""Numbers of a graph that were changed after its forward pass: where, by whom, and what they were before."""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, isclose, isfinite, isnan, nan

from ..engine import Value
from ..formulas.graph import Graph, recomputed, same
from ..ops import CONSTANT, LEAF


class Changes:
    """Nodes that do not have the value that their op has for the numbers that their parents hold now, and who did it.

    Such a node was overwritten if what it ought to hold explains what was computed from it. Else the suspects are its
    parents: leaves, and computed ones that were overwritten. Whoever has another use that fits is innocent. Where
    nobody is left, or nobody explains it, while the recorded slopes fit, the node itself was overwritten.
    """

    def __init__(self, graph: Graph) -> None:
        stale = {node for node in graph.order if node.parents and not same(recomputed(node), node.data)}
        innocent = {parent for node in graph.order if node not in stale for parent in node.parents
                    if sum(local for p, local in zip(node.parents, node.local_derivatives) if p is parent) != 0}
        self.guilty: dict[Value, tuple[Value, float]] = {}  # with the first node that shows it, and the number before
        self.overwritten: dict[Value, None] = {}
        unclear: dict[Value, list[Value]] = {}
        for node in graph.order:
            if node not in stale:
                continue
            parents = [parent for parent in dict.fromkeys(node.parents) if parent.op is not CONSTANT]
            fits = slopes_fit(node, [parent.data for parent in node.parents])
            suspects = ([parent for parent in parents if parent.op is LEAF and parent not in innocent]
                        or [parent for parent in parents if parent in self.overwritten] or ([] if fits else parents))
            before = {suspect: number_before(node, suspect) for suspect in suspects}
            able = [suspect for suspect in suspects if not isnan(before[suspect])]
            witnesses = [edge.node for edge in graph.uses[node] if edge.node in stale
                         and not any(parent in before for parent in edge.node.parents)]
            explains = any(same(value_with(witness, node, recomputed(node)), witness.data) for witness in witnesses)
            if explains or not suspects or (fits and not able):
                self.overwritten[node] = None
            elif len(able or suspects) > 1:
                unclear[node] = able or suspects
            else:
                [suspect] = able or suspects
                if suspect not in self.overwritten and isnan(self.guilty.get(suspect, (node, nan))[1]):
                    self.guilty[suspect] = (node, before[suspect])
        self.unclear = {node: suspects for node, suspects in unclear.items() if self.guilty.keys().isdisjoint(suspects)}


def value_with(node: Value, changed: Value, x: float) -> float:
    """The number that the node would hold if one of its parents held x."""
    return node.op.value(*[x if parent is changed else parent.data for parent in node.parents])


def number_before(node: Value, parent: Value) -> float:
    """The number that parent held when node was computed, if all else is as it was; nan if that explains nothing.

    By Newton's method, with steps of a modest size; the slopes that were recorded must be those at the number found,
    and not 0: from a flat piece there is no way back.
    """
    x = parent.data
    for _ in range(100):
        args = [x if p is parent else p.data for p in node.parents]
        y = node.op.value(*args)
        slope = sum(node.op.slope(i, y, *args) for i, p in enumerate(node.parents) if p is parent)
        if slope == 0 or not isfinite(slope) or not isfinite(y - node.data):
            return nan
        if isclose(y, node.data, rel_tol=1e-12, abs_tol=1e-15 * max(map(abs, args))):
            return x if slopes_fit(node, args) else nan
        x -= copysign(min(abs((y - node.data) / slope), 1 + abs(x)), (y - node.data) / slope)
    return nan


def slopes_fit(node: Value, args: Sequence[float]) -> bool:
    """True if the slopes that were recorded are those at these arguments."""
    y = node.op.value(*args)
    return all(p.op is CONSTANT or isclose(node.op.slope(i, y, *args), node.local_derivatives[i], rel_tol=1e-6)
               for i, p in enumerate(node.parents))
