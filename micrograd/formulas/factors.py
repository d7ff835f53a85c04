"""The chain rule between named nodes: `links` are the factors ∂y/∂x of a derivation.

The names decide how coarse a derivation is. Between two of them a factor is the sum, over the paths through nodes
without a name, of the products of the recorded local derivatives; as a number, and as a formula.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..engine import Value
from .algebra import ONE, Term, Terms
from .graph import Graph, edges_of


@dataclass(frozen=True, slots=True)
class Link:
    """One factor: ∂y/∂x along all paths from y to x that meet no other named node."""

    y: Value
    x: Value
    local: float   # as recorded
    rule: Term     # in the notation of primes: σ′(z)
    formula: Term  # written out: a(1 − a)


def depending_on(graph: Graph, x: Value) -> dict[Value, None]:
    """The nodes on the paths along which a derivative goes from the root to x, both included, each after its parents;
    none if there is no path."""
    if x not in graph.onward:
        return {}
    found = {x: None}
    for node in graph.order:
        if any(edge.parent in found for edge in graph.onward.get(node, ())):
            found[node] = None
    return found


def links(y: Value, stops: Collection[Value], between: Collection[Value], terms: Terms,
          place: Mapping[Value, int]) -> list[Link]:
    """The factors that lead from y down to the nearest of the `stops`, in the order of the graph.

    between: the nodes that matter, such as those on the way to x. place: the position of each node in the order.
    """
    arrived: dict[Value, list[Link]] = {y: [Link(y, y, 1.0, ONE, ONE)]}  # one for each edge that leads into a node
    heap = [-place[y]]
    at = {-place[y]: y}
    found: list[Link] = []
    while heap:
        node = at[heapq.heappop(heap)]
        so_far, *others = arrived[node][::-1]  # in the order of the graph
        for other in others:
            so_far = Link(y, node, so_far.local + other.local, so_far.rule + other.rule,
                          so_far.formula + other.formula)
        if node in stops and node is not y:
            found.append(so_far)
            continue
        for edge in reversed(edges_of(node)):
            parent = edge.parent
            if parent in between and edge.carries:
                if parent not in arrived:
                    arrived[parent] = []
                    at[-place[parent]] = parent
                    heapq.heappush(heap, -place[parent])
                arrived[parent].append(Link(y, parent, so_far.local * edge.local, so_far.rule * terms.prime(*edge[:2]),
                                            so_far.formula * terms.slope(*edge[:2])))
    return found[::-1]
