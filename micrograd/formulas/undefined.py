"""The reason why a derivative has no value: where 0 meets ∞ on the way back from the root, or another nan arises.

A derivative is computed factor by factor, and 0 · ∞ is nan, as in IEEE arithmetic. Here is found which slope is the
infinite one and which factor is the 0, and it is said in words.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import reduce
from math import isfinite, isinf, isnan, nan
from typing import Any

from .. import ops
from ..engine import Value
from .formula import Chained, forward_rule, left_out, name_of, number_of, partial
from .graph import Edge, Graph, passes
from .layout import Applied, Layout, ShownNumber
from .notations import DIGITS

ZERO_INFINITE, DIFFERENCE, SLOPE, NUMBER = ("0 · ∞", "∞ − ∞", "slope", "value")
BESIDE = 1e-3     # how far away a point is looked at, as a fraction of |x|; at 0 by itself
SHOWN = 4         # products that are written out
FACTORS = 12      # of one of them; of more only those that are 0 or infinite
LARGEST = 20_000  # nodes; in a larger graph no other point is looked at

Way = tuple[Edge, Any]  # an edge, and the way that goes on from there; None at its end


@dataclass(frozen=True, slots=True)
class Undefined:
    """The reason why a derivative is nan.

    kind: "0 · ∞"; "∞ − ∞", contributions to one node that are infinite, with either sign; "slope", a local derivative
    that is nan at numbers that are not; "value", a number of the graph that is nan itself, or comes of an infinite one.
    node: the first whose derivative is nan. steep: of "0 · ∞" the edge whose slope is infinite, None if none is and a
    product is too large. sentence: all this in words, without a full stop; factor: of "0 · ∞" the 0: ∂v₁/∂x = 0.
    """

    kind: str
    node: Value
    sentence: str
    steep: Edge | None = None
    factor: str = ""


def undefined(graph: Graph, x: Value) -> Undefined | None:
    """The reason why ∂root/∂x is nan; None if it is a number. x: a node of the graph."""
    if not isnan(graph.gradients[x]):
        return None
    node, edge = x, lost_along(graph, x)
    while edge is not None and isnan(graph.gradients[edge.node]):
        node, edge = edge.node, lost_along(graph, edge.node)
    name = partial(graph, graph.root, node)
    if edge is None:
        sentence = f"{name} is ∞ − ∞, which has no value: contributions of either sign are infinite"
        return Undefined(DIFFERENCE, node, sentence)
    if not isnan(edge.local):
        steep = edge if isinf(edge.local) else source(graph, edge.node, infinite=True)
        zero = edge if edge.local == 0 else source(graph, edge.node, infinite=False)
        factor = zero_factor(graph, zero, edge.node, steep)
        sentence = f"{name} is 0 · ∞, which has no value: {infinite_factor(graph, steep, edge.node)}, and {factor}"
        return Undefined(ZERO_INFINITE, node, sentence, steep, factor)
    spoilt = next((v for v in (*edge.node.parents, edge.node) if not isfinite(v.data)), None)
    if spoilt is not None:
        return Undefined(NUMBER, node, computed(graph, spoilt))
    at = ", ".join(f"{name_of(graph, v)} = {number_of(v.data)}" for v in dict.fromkeys(edge.node.parents)
                   if graph.names[v])
    sentence = f"the slope of {defined(graph, edge.node)} with {name_of(graph, edge.parent)} is not defined at {at}"
    return Undefined(SLOPE, node, sentence)


def lost_along(graph: Graph, x: Value) -> Edge | None:
    """The edge that brings a nan to x; None if none does."""
    return next((edge for edge in reversed(arriving(graph, x)) if isnan(graph.sent(edge))), None)


def arriving(graph: Graph, x: Value) -> list[Edge]:
    """The edges along which derivatives come to a node."""
    return [edge for edge in graph.uses[x] if edge.carries and edge.node in graph.onward]


def source(graph: Graph, x: Value, infinite: bool) -> Edge | None:
    """The edge whose slope makes the gradient of a node infinite, or 0; None if it is not a single one: a product too
    large or too small for a float, or contributions that cancel."""
    while True:
        edges = arriving(graph, x)
        if infinite:
            edges = [edge for edge in edges if isinf(graph.sent(edge))]
        elif any(graph.sent(edge) != 0 for edge in edges):
            return None
        wanted = isinf if infinite else (0.0).__eq__
        for edge in edges:
            if wanted(edge.local):
                return edge
        above = next((edge.node for edge in edges if wanted(graph.gradients[edge.node])), None)
        if above is None:
            return None
        x = above


def ways(graph: Graph, x: Value, stops: Container[Value], top: Value | None) -> list[list[Edge]]:
    """The ways along which derivatives come to x from the nearest of the stops, or from the root, each from there down;
    the first few, in the order of the graph. top: the only one of these that matters, if not None."""
    between: Container[Value] = graph.onward if top is None else under(graph, top, stops)
    found: list[list[Edge]] = []
    stack: list[Way | None] = [None]
    while stack and len(found) <= SHOWN:
        way = stack.pop()
        highest = x if way is None else way[0].node
        if way is not None and (highest in stops or highest is graph.root):
            found.append([])
            while way is not None:
                found[-1].append(way[0])
                way = way[1]
        else:
            stack += [(edge, way) for edge in reversed(arriving(graph, highest)) if edge.node in between]
    return found


def under(graph: Graph, top: Value, stops: Container[Value]) -> dict[Value, None]:
    """A node, and those to which a derivative comes from it without meeting a stop."""
    found = {top: None}
    for node, edges in graph.onward.items():
        if node in found:
            found.update((edge.parent, None) for edge in edges if edge.parent not in stops)
    return found


def worked_out(graph: Graph, x: Value, stops: Container[Value], top: Value | None = None) -> Layout:
    """∂root/∂x as its factors come, in numbers, before anything cancels: ∞ · 0 + 1. stops: where the gradient is known.
    top: of these the only one that matters, whose own gradient is left out: what is written is ∂top/∂x."""
    found = ways(graph, x, stops, top)
    products: list[Layout] = []
    for way in found[:SHOWN]:
        upstream = graph.gradients[way[0].node] if top is None else 1.0
        factors = [factor for factor in (upstream, *(edge.local for edge in way)) if factor != 1] or [1.0]
        telling = factors
        if len(factors) > FACTORS:
            telling = [factor for factor in factors if factor == 0 or not isfinite(factor)][:FACTORS]
        pieces: list[Layout] = [ShownNumber(factor, DIGITS) for factor in telling]
        if len(factors) > len(telling):
            pieces.append(left_out(f"{len(factors) - len(telling):,} more factors"))
        products.append(Chained(pieces))
    if len(found) > SHOWN:
        products.append(left_out("more"))
    return reduce(lambda a, b: Applied(ops.add, [a, b]), products)


def no_answer(graph: Graph, x: Value) -> list[str]:
    """Notes on a derivative that is nan, in sentences; none on one that is a number."""
    reason = undefined(graph, x)
    if reason is None:
        return []
    diagnosis = f" diagnose({name_of(graph, graph.root)}) looks for its cause." if reason.kind == NUMBER else ""
    also = beside(graph, x)
    name = partial(graph, graph.root, x)
    said = reason.sentence if reason.sentence.startswith(name) else f"{name} has no value here: {reason.sentence}"
    return [f"{said}." + diagnosis + (f" {also}." if also else "")]


# Words

def defined(graph: Graph, node: Value) -> str:
    """v₁ = 0 · x; of a leaf the name."""
    name = name_of(graph, node)
    return f"{name} = {forward_rule(graph, node)}" if node.parents else name.text


def computed(graph: Graph, node: Value) -> str:
    """f = v₁ / x = 0 / 0 = nan: the name, the rule, with numbers, the result."""
    rules = [forward_rule(graph, node).text, forward_rule(graph, node, numbers=True).text] if node.parents else []
    return " = ".join(dict.fromkeys([name_of(graph, node).text, *rules, number_of(node.data).text]))


def infinite_factor(graph: Graph, steep: Edge | None, node: Value) -> str:
    if steep is None:
        return f"{partial(graph, graph.root, node)} = {number_of(graph.gradients[node])}, beyond the largest float"
    at = ", ".join(f"{name_of(graph, v) if v.label else defined(graph, v)} = {number_of(v.data)}"
                   for v in dict.fromkeys(steep.node.parents) if graph.names[v])
    return f"the slope of {defined(graph, steep.node)} is {number_of(steep.local)}" + (f" at {at}" if at else "")


def zero_factor(graph: Graph, zero: Edge | None, node: Value, steep: Edge | None) -> str:
    if zero is None:
        return f"{partial(graph, graph.root, node)} = 0"
    said = zero.node.label or (steep is not None and zero.node in (steep.node, steep.parent))
    return f"{partial(graph, zero.node, zero.parent)} = 0" + ("" if said else f", where {defined(graph, zero.node)}")


def beside(graph: Graph, x: Value) -> str:
    """The derivative at points beside x, in a sentence: "Beside it there is an answer: 0.5 at x = 1.001". "" for a
    graph that is too large to compute again."""
    if len(graph.order) > LARGEST or not isfinite(x.data):
        return ""
    h, name = BESIDE * abs(x.data) or BESIDE, name_of(graph, x)
    points = [x.data + h, x.data - h]
    there = [passes(graph, {x: t}, {}) for t in points]
    found = [at.found.get(x, nan) if isfinite(at.values[graph.root]) else nan for at in there]  # ln(x) · 0 ends at 0
    answers = ", ".join(f"{number_of(slope)} at {name} = {number_of(t)}" for t, slope in zip(points, found)
                        if isfinite(slope))
    if answers:
        return f"Beside it there is an answer: {answers}"
    return f"There is none beside it either, at {name} = {' and '.join(map(number_of, points))}"

