"""A recorded graph as seen from one result: its nodes in order, a name for each, who uses whom, and every gradient.

What `draw`, `steps`, `explain`, `grade` and `diagnose` look at. Nothing is stored on a node by looking: the gradients
are worked out here, from the recorded local derivatives, with the same sums in the same order as `backward`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isclose
from typing import NamedTuple

from ..engine import Value, topological_order
from ..ops import CONSTANT
from ..rows import carries
from .labels import Names, indices, unicode_label

LISTED = 8  # names in a message


class Edge(NamedTuple):
    """One argument of one node: `node.parents[i]` is `parent`. A node that is used twice over has two edges."""

    node: Value
    i: int
    parent: Value

    @property
    def local(self) -> float:
        """The recorded local derivative, ∂node/∂parent along this edge."""
        return self.node.local_derivatives[self.i]

    @property
    def carries(self) -> bool:
        """Tell whether a derivative passes along: not to a constant, nor where it is always 0, as that of step is."""
        return self.parent.op is not CONSTANT and carries(self.node.op, self.i)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """See `look`."""

    root: Value
    order: tuple[Value, ...]          # every node, each after its parents; the root is the last
    names: dict[Value, str]           # a name for each, no two alike, see `name_nodes`; "" for a bare number
    uses: dict[Value, list[Edge]]     # for each node, the edges that lead from it to what was computed from it
    onward: dict[Value, list[Edge]]   # for each node that a derivative of the root reaches, the edges that carry it on
    gradients: dict[Value, float]     # d(root)/d(node); 0.0 for a constant

    def sent(self, edge: Edge) -> float:
        """The contribution that goes back along an edge: 0.0 where no derivative of the root does."""
        return edge.local * self.gradients[edge.node] if edge.carries and edge.node in self.onward else 0.0

    def named(self, name: str) -> Value | None:
        """The node of that very name or label; None if there is none."""
        return next((node for node in reversed(self.order) if name and name in (self.names[node], node.label)), None)

    def find(self, x: Value | str, where: str) -> Value:
        """The node that is meant: a Value of this graph, or the label or name of one, however it is spelled.

        where: the call that asks, for messages. Raises TypeError for anything else; ValueError for what is not in the
        graph, and for a label that several nodes have.
        """
        root = unicode_label(self.names[self.root]) or "the root"
        if isinstance(x, Value):
            if x in self.names:
                return x
            name = f"{x.label!r}" if x.label else f"this Value ({x.data:.4g})"
            raise ValueError(f"{name} is not in the graph of {root}: {root} does not depend on it, and the derivative "
                             f"is 0. Was {root} computed from this very Value? {self.labelled()}")
        if not isinstance(x, str):
            raise TypeError(f"{where} needs a Value of the graph, or the label of one, found {type(x).__name__} "
                            f"{x!r:.40}")
        called, names = self.called()
        found = [node for name in names.asked(x) for node in called[name]]
        if len(found) == 1:
            return found[0]
        if found:
            meant = [node for node in found if node.op is not CONSTANT] or found
            listed = ", ".join(repr(self.names[node]) for node in meant[:LISTED])
            more = ", ..." if len(meant) > LISTED else ""
            raise ValueError(f"{x!r} can be any of {len(found)} nodes; call it {listed}{more}, or hand in the Value")
        printed = self.printed(self.order)
        near = [name for name in printed if name.casefold() == x.casefold()] or get_close_matches(x, printed, 3, 0.5)
        hint = f"; did you mean {' or '.join(near[:3])}?" if near else "."
        raise ValueError(f"{x!r} is not in the graph of {root}: no node is called that{hint} {self.labelled()}")

    def called(self) -> tuple[dict[str, list[Value]], Names]:
        """The nodes of each name and label, and how these are found."""
        called: dict[str, list[Value]] = {}
        for node in self.order:
            for name in filter(None, dict.fromkeys((self.names[node], node.label))):
                called.setdefault(name, []).append(node)
        return called, Names(called)

    def printed(self, nodes: Iterable[Value]) -> list[str]:
        """The names of what may be asked for, as they are printed; as they are typed, where that might mean several."""
        called, names = self.called()
        wanted = [self.names[node] for node in nodes if self.names[node] and node.op is not CONSTANT]
        return [word if sum(len(called[each]) for each in names.meant(word)) == 1 else name
                for name, word in zip(wanted, map(unicode_label, wanted))]

    def labelled(self) -> str:
        """The nodes that may be asked for by their labels, for a message."""
        known = self.printed(node for node in self.order if node.label)
        more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
        return f"Labelled there: {', '.join(known[:LISTED]) or 'nothing'}{more}"


def look(root: Value, where: str, fresh: bool = False) -> Graph:
    """The graph below root. A TypeError says what `where` was given instead of a Value.

    fresh: refuse, with a ValueError, a graph whose numbers were changed after the forward pass, as a gradient step
    does: formulas with the numbers of now would not give the results of then.
    """
    if not isinstance(root, Value):
        hint = ": draw or step through one result at a time" if isinstance(root, (list, tuple)) else ""
        raise TypeError(f"{where} needs a Value, found {type(root).__name__} {root!r:.40}{hint}")
    order = topological_order(root)
    uses: dict[Value, list[Edge]] = {node: [] for node in order}
    for node in order:
        for edge in edges_of(node):
            uses[edge.parent].append(edge)
    onward = onward_from(root, order)
    gradients = dict.fromkeys(order, 0.0)
    gradients[root] = float(root in onward)  # 0 for a constant
    for node, edges in onward.items():
        for edge in edges:
            gradients[edge.parent] += edge.local * gradients[node]
    graph = Graph(root, tuple(order), name_nodes(order), uses, onward, gradients)
    for node in order if fresh else ():
        if node.parents and not same(node.data, recomputed(node)):
            raise ValueError(f"{where}: a number was changed after the forward pass, as a gradient step does. "
                             f"{unicode_label(graph.names[node])} is {node.data:.6g}, but its arguments give "
                             f"{recomputed(node):.6g} now. Run the forward pass again, and look at its result "
                             "(diagnose tells what changed).")
    return graph


def recomputed(node: Value) -> float:
    """The number of a computed node, from the numbers that its parents hold now."""
    return node.op.value(*[parent.data for parent in node.parents])


def at_kink(node: Value) -> bool:
    """True if the arguments of a node are where the derivative of its row jumps."""
    return node.op.kink is not None and node.op.kink(*[parent.data for parent in node.parents]) == 0


def same(a: float, b: float) -> bool:
    """Tell whether two results of one op are the same, but for the last digits."""
    return a == b or (a != a and b != b) or isclose(a, b, rel_tol=1e-14)


def onward_from(root: Value, order: Sequence[Value]) -> dict[Value, list[Edge]]:
    """For each node that a derivative of root reaches, the edges along which it goes on; from root to the leaves."""
    reached = {root} if root.op is not CONSTANT else set()
    onward: dict[Value, list[Edge]] = {}
    for node in reversed(order):
        if node in reached:
            onward[node] = [edge for edge in edges_of(node) if edge.carries]
            reached.update(edge.parent for edge in onward[node])
    return onward


def depending_on(graph: Graph, *xs: Value) -> dict[Value, None]:
    """The nodes on the paths along which a derivative goes from the root to these, both included, each after its
    parents; none if there is no path."""
    found = {x: None for x in xs if x in graph.onward}
    for node in graph.order:
        if any(edge.parent in found for edge in graph.onward.get(node, ())):
            found[node] = None
    return found


@dataclass(frozen=True, slots=True)
class Pass:
    """The numbers of a forward and a backward pass, some of which are somebody's own."""

    values: dict[Value, float]                # of each node: own, or as it follows from those below it
    computed: dict[Value, float]              # as it follows from those below it
    locals: dict[Value, tuple[float, ...]]    # the local derivatives, from these values
    gradients: dict[Value, float]             # own, or as it follows from those above it
    found: dict[Value, float]                 # as it follows from those above it


@dataclass(frozen=True, slots=True)
class Rounding:
    """The nodes whose values, gradients and slopes somebody rounds on the way, and how. rounded: the number that is
    written; told whether it may be exact, as the value of a curve never is."""

    rounded: Callable[[float, bool], float]
    values: Collection[Value]
    gradients: Collection[Value]
    slopes: Collection[Value]


def passes(graph: Graph, values: Mapping[Value, float], gradients: Mapping[Value, float],
           rounding: Rounding | None = None) -> Pass:
    """A forward and a backward pass, in which each node that somebody has a number for has that number."""
    rounding = rounding or Rounding(lambda x, exact: x, (), (), ())
    rounded = rounding.rounded
    had: dict[Value, float] = {}
    computed: dict[Value, float] = {}
    slopes: dict[Value, tuple[float, ...]] = {}
    for node in graph.order:
        parents = node.parents
        args = [had[parent] for parent in parents]
        moved = any(had[parent] != parent.data for parent in parents)
        computed[node] = node.op.value(*args) if moved else node.data
        y = values.get(node, computed[node])
        had[node] = y = rounded(y, node not in rounding.slopes) if node in rounding.values else y
        slopes[node] = node.local_derivatives
        if (moved or y != node.data) and parents:
            slopes[node] = tuple(0.0 if parent.op is CONSTANT else node.op.slope_by_book(i, y, *args)
                                 for i, parent in enumerate(parents))
        if node in rounding.slopes:
            slopes[node] = tuple(rounded(slope, True) for slope in slopes[node])
    found = dict.fromkeys(graph.order, 0.0)
    found[graph.root] = 1.0
    used = {**dict.fromkeys(graph.order, 0.0), **gradients}
    for node, edges in graph.onward.items():
        upstream = rounded(found[node], True) if node in rounding.gradients else found[node]
        upstream = used[node] = gradients.get(node, upstream)
        for edge in edges:
            found[edge.parent] += slopes[node][edge.i] * upstream
    return Pass(had, computed, slopes, used, found)


def edges_of(node: Value) -> list[Edge]:
    return [Edge(node, i, parent) for i, parent in enumerate(node.parents)]


def name_nodes(order: Iterable[Value]) -> dict[Value, str]:
    """A name for each node, no two alike: its label. Without one, f for the last, x_1, x_2, ... for leaves and v_1,
    v_2, ... for what was computed on the way; none for a number that is written as such.

    Where several nodes have one label, as in a cost over several samples, their place among them is added:
    a^{2(1)}_{1}, a^{2(2)}_{1}, ...
    """
    nodes = list(order)
    count = Counter(node.label for node in nodes if node.label)
    taken = set(count)
    serials: Counter[str] = Counter()
    names: dict[Value, str] = {}
    for node in nodes:
        label = node.label
        repeated = count[label] > 1
        if (label or node.op is CONSTANT) and not repeated:
            names[node] = label
            continue
        name = "" if repeated or node is not nodes[-1] else "f"
        kind = label or ("v" if node.parents else "x")
        while not name or name in taken:
            serials[kind] += 1
            name = numbered(label, serials[kind]) if repeated else f"{kind}_{{{serials[kind]}}}"
        taken.add(name)
        names[node] = name
    return names


def numbered(label: str, n: int) -> str:
    """The label of the n-th node among several of that label, in the notation of samples: a^{2(n)}_{1}."""
    parts = indices(label)
    if parts is None:
        return f"{label} ({n})"
    base, above, below = parts
    return f"{base}^{{{above}({n})}}" + (f"_{{{below}}}" if below else "")
