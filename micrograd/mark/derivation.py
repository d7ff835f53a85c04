"""The way to a number from those next to it that are known: the right step as a line, and every mistake on it.

A gradient follows from the gradients next above it, a value from the values next below it. What may go wrong at one
place stands in the tables of `mistakes`; this module goes to all places, and works out what a flaw comes to there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from functools import cached_property, reduce
from math import isnan
from typing import Any

from .. import ops
from ..engine import Value
from ..formulas.algebra import ONE, Link, Term, combine, links
from ..formulas.formula import Chained, Formula, equation, formula_of, laid_out, number_of, partial
from ..formulas.graph import Edge, Pass
from ..formulas.labels import indices
from ..formulas.layout import Applied, Layout
from ..formulas.undefined import worked_out
from . import mistakes
from .mistakes import Candidate, Context, Fork, LocalError, Place, flaws_along, flaws_of_argument, local_errors

LARGEST = 2_000            # edges; in a larger part of a graph no mistake is looked for
LARGEST_FORMULA = 500      # edges; a larger part has no formula for anybody to read
LARGEST_COMPUTATION = 200  # nodes that follow from those below them
WIDEST = 40                # names and signs in the formula of a line; a longer one is written in terms of labels,
WIDEST_OF_LABELS = 80      # and if that is longer than this, not at all


class Derivation:
    """The way to the gradient of one node x from the gradients next above it, and the mistakes on it.

    stops: the nodes whose gradients are known.
    """

    def __init__(self, context: Context, x: Value, stops: Mapping[Value, Any], numbers: Pass) -> None:
        self.context, self.x, self.numbers = context, x, numbers
        self.tops: list[Value] = []                 # the stops next above
        self.inner: list[Value] = []                # the nodes below these, x first
        self.edges: list[Edge] = []                 # all edges between
        self.down = {x: 1.0}                        # ∂node/∂x, for each of the nodes
        graph, place = context.graph, context.place
        heap = [place[x]]
        while heap:
            node = graph.order[heapq.heappop(heap)]
            if node is graph.root or (node in stops and node is not x):
                self.tops.append(node)
                continue
            self.inner.append(node)
            for edge in graph.uses[node]:
                user = edge.node
                if user not in self.down:
                    self.down[user] = 0.0
                    heapq.heappush(heap, place[user])
                self.down[user] += self.local(edge) * self.down[node] if edge.carries else 0.0
                self.edges.append(edge)
        self.edges.sort(key=lambda edge: place[edge.node], reverse=True)
        self.base = numbers.found[x]
        # whether several labelled nodes are next above
        self.forks_first = len({self.outer(use.node) for use in graph.uses[x]}) > 1

    def local(self, edge: Edge) -> float:
        return self.numbers.locals[edge.node][edge.i]

    def up(self, node: Value) -> float:
        return self.numbers.gradients[node]

    @property
    def size(self) -> float:
        """The sum that the gradient is, without regard to signs: what its rounding errors are in proportion to."""
        return sum(abs(self.up(edge.node) * self.local(edge)) for edge in self.edges
                   if edge.parent is self.x and edge.carries and edge.node in self.context.graph.onward)

    @property
    def cancels(self) -> bool:
        """True if it is a sum that is 0, of terms that are not."""
        return abs(self.base) < mistakes.NEGLIGIBLE * self.size

    @property
    def beside(self) -> dict[Value, None]:
        """The nodes whose values are in its factors."""
        return dict.fromkeys(node for edge in self.edges for node in (edge.node, *edge.node.parents))

    def with_all(self, changed: Mapping[tuple[Value, int], float]) -> float:
        """The gradient of x, if the local derivatives along some edges were others."""
        if len({node for node, _ in changed}) == 1:  # no path goes along two of them, so that their changes add
            return self.base + sum(self.up(node) * (local - self.numbers.locals[node][i]) * self.down[node.parents[i]]
                                   for (node, i), local in changed.items())
        total = dict.fromkeys(self.inner, 0.0)
        for node in self.tops:
            total[node] = self.up(node)
        for edge in self.edges:
            total[edge.parent] += changed.get((edge.node, edge.i), self.local(edge)) * total[edge.node]
        return total[self.x]

    def is_error(self, node: Value) -> bool:
        """True if a node is the (a − y) of a square."""
        uses = self.context.graph.uses[node]
        return node.op is ops.sub and len(uses) == 1 and uses[0].node.op is ops.pow

    def outer(self, node: Value) -> Value:
        """The nearest node with a label on the way up from a node; the node itself, if the way forks before."""
        above = node
        while not above.label and above in self.down and above not in self.tops:
            uses = self.context.graph.uses[above]
            if len(uses) != 1:
                break
            above = uses[0].node
        return above if above.label else node

    # The candidates

    def candidates(self) -> Iterator[Candidate]:
        """Every mistake that is thought of."""
        if len(self.edges) > LARGEST:
            return
        yield from self.at_edges()
        yield from self.at_forks()
        yield from self.on_the_way()
        for error in local_errors(mistakes.ANSWERS, Place(self, self.x)):
            yield error.candidate(error.case.number)

    def at_edges(self) -> Iterator[Candidate]:
        """Slopes that are taken for others, along one edge or wherever that can happen."""
        alike: dict[tuple[Any, ...], list[LocalError]] = {}
        for edge in self.edges:
            at = Place(self, edge.node, edge.i)
            for error in local_errors(flaws_along(at), at):
                alike.setdefault(error.key, []).append(error)
        for errors in alike.values():
            layers: dict[Any, list[LocalError]] = {}
            for error in errors:
                layers.setdefault(self.layer(error.at), []).append(error)
            several = [group for group in [errors, *(layers.values() if len(layers) > 1 else ())] if len(group) > 1]
            for group in several:
                changed = {(error.at.node, error.at.i): error.case.number for error in group}
                places = tuple(error.at for error in reversed(group))
                yield group[0]._replace(places=places).candidate(self.with_all(changed), *changed)
            for error in errors:
                at = error.at
                value = self.base + self.up(at.node) * (error.case.number - at.local) * self.down[at.parent]
                yield error.candidate(value, (at.node, at.i), rank=0.3 if several else 0.0)

    def layer(self, at: Place) -> Any:
        """A key that the edges of one layer have in common."""
        nearest = next((node for node in (at.node, *at.node.parents) if node.label), None)
        parts = indices(nearest.label) if nearest is not None else None
        return parts[:2] if parts else self.context.place[at.node]

    def at_forks(self) -> Iterator[Candidate]:
        """Paths that are not counted where several come together."""
        leading: dict[Value, list[Edge]] = {}
        for edge in self.edges:
            leading.setdefault(edge.parent, []).append(edge)
        several = {node: edges for node, edges in leading.items() if len(edges) > 1}
        for node, edges in several.items():
            at = Fork(self, node, edges)
            for error in local_errors(mistakes.AT_FORKS, at):
                yield error.candidate(self.base + (error.case.number - at.total) * self.down[node], node)
        for keep, which in ((0, "last"), (-1, "first")) if len(several) > 1 else ():  # edges come from the root down
            changed = {(edge.node, edge.i): 0.0 for edges in several.values()
                       for edge in edges if edge is not edges[keep]}
            yield Candidate(self.with_all(changed), 1, mistakes.FORK, (mistakes.FORK, which),
                            f"keep only the {which} path at every fork: {mistakes.ADDED}")

    def on_the_way(self) -> Iterator[Candidate]:
        """Gradients from above that are left out, or mistaken; links between labels that are left out as a whole."""
        context = self.context
        labelled = [node for node in self.inner if node.label and node is not self.x]
        for node in [*labelled, *(top for top in self.tops if top is not context.graph.root)]:
            rest = self.base - self.up(node) * self.down[node]
            for error in local_errors(mistakes.ON_THE_WAY, Place(self, node)):
                where = (node, self.x) if node in self.tops else (node,)
                yield error.candidate(rest + error.case.number * self.down[node], *where)
        leading: dict[Value, list[Link]] = {}
        stops = dict.fromkeys([*labelled, self.x])
        for top in [*self.tops, *labelled]:
            for link in self.factors(top, stops):
                leading.setdefault(link.x, []).append(link)
                value = self.base + self.up(top) * (1 - link.local) * self.down[link.x]
                left_out = f"{partial(context.graph, top, link.x)} = {formula_of(link.formula)}"
                yield Candidate(value, 2.2, mistakes.FACTOR, (mistakes.FACTOR, top, link.x),
                                f"leave out the factor {left_out}", True)
        for node, several in leading.items():
            if len(several) > 1:
                change = sum(link.local for link in several) - self.numbers.found[node]
                names = mistakes.in_words(context.gradient(link.y) for link in several)
                yield Candidate(self.base + change * self.down[node], 1.5, mistakes.UPSTREAM,
                                (mistakes.UPSTREAM, node, "all"), f"leave out the upstream gradients {names}")

    def factors(self, top: Value, stops: Mapping[Value, Any]) -> list[Link]:
        """The factors from a node down to the nearest stops, past none of the tops; none if too large to read."""
        if len(self.edges) > LARGEST_FORMULA:
            return []
        found = links(top, {**stops, **dict.fromkeys(self.tops)}, dict.fromkeys(self.down), self.context.terms,
                      self.context.place)
        return [link for link in found if link.x in stops]

    @cached_property
    def terms(self) -> list[int]:
        """The number of terms that the root is the sum of, if the gradient follows from them: one number, or none."""
        count, stack = 0, [self.context.graph.root] if self.context.graph.root in self.tops else []
        while stack and count < LARGEST:
            node = stack.pop()
            inner = [parent for parent in node.parents if not mistakes.is_bare(parent)]
            if node.op is ops.add or (len(inner) == 1 and node.op in (ops.mul, ops.div)):
                stack += inner
            else:
                count += 1
        return [count] if count > 1 else []

    # The right step, as a line

    @property
    def line(self) -> Formula:
        """Symbols = numbers = result: ∂C/∂w⁴ = δ⁴ · a³ = 0.1385 · 0.5933 = 0.08217."""
        x, context, graph = self.x, self.context, self.context.graph
        key = x, *self.tops
        if key not in context.lines:
            symbol = partial(graph, graph.root, x)
            delta = context.gradient(x)
            steps = [symbol] if delta == symbol else [symbol, delta]
            if isnan(graph.gradients[x]):  # nothing is simplified: what makes it nan would cancel
                steps.append(Formula.of(worked_out(graph, x, self.tops)))
            else:
                steps += self.steps()
            context.lines[key] = equation(*steps, number_of(graph.gradients[x]))
        return context.lines[key]

    def steps(self) -> list[Formula]:
        """The right formula, and the same in numbers; none if they would be too wide."""
        pieces = self.pieces()
        if not pieces or width(pieces) > WIDEST:
            context = self.context
            labelled = {node: None for node in context.graph.order if node.parents and context.is_named(node)}
            pieces = Derivation(context, self.x, labelled, self.numbers).pieces()
        readable = pieces and width(pieces) <= WIDEST_OF_LABELS
        return [self.sum_of_products(pieces, numbers) for numbers in (False, True)] if readable else []

    def pieces(self) -> list[tuple[Value, Term]]:
        """The factors from the tops down to x, each beside the top that it is of."""
        return [(top, link.formula) for top in self.tops for link in self.factors(top, {self.x: None})]

    def sum_of_products(self, pieces: list[tuple[Value, Term]], numbers: bool) -> Formula:
        """∂C/∂a · formula + ..., or the same in numbers."""
        products: list[Layout] = []
        for top, term in pieces:
            is_root = top is self.context.graph.root
            factors = [] if term == ONE and not is_root else [laid_out(term, numbers)]
            if not is_root:
                upstream = number_of(self.context.graph.gradients[top]) if numbers else self.context.gradient(top)
                factors.insert(0, upstream.layout)
            products.append(Chained(factors))
        return Formula.of(reduce(lambda a, b: Applied(ops.add, [a, b]), products))


def width(pieces: list[tuple[Value, Term]]) -> int:
    return sum(term.size for _, term in pieces)


class Computation:
    """The way to the number of one node from the numbers next below it, and the mistakes on it."""

    def __init__(self, context: Context, x: Value, stops: Mapping[Value, Any], numbers: Pass) -> None:
        self.context, self.x, self.numbers = context, x, numbers
        self.base = numbers.computed[x]
        self.inner: list[Value] = []  # x, and the computed nodes below it down to the stops, from the leaves up
        place = context.place
        heap, met = [-place[x]], {x}
        while heap and len(self.inner) <= LARGEST:
            node = context.graph.order[-heapq.heappop(heap)]
            if not node.parents or (node in stops and node is not x):
                continue
            self.inner.append(node)
            for parent in node.parents:
                if parent not in met:
                    met.add(parent)
                    heapq.heappush(heap, -place[parent])
        self.inner.reverse()

    @property
    def cancels(self) -> bool:
        """True if there is a sum that is 0, of terms that are not."""
        values, computed = self.numbers.values, self.numbers.computed
        return any(abs(computed[node]) < mistakes.NEGLIGIBLE * max(abs(values[parent]) for parent in node.parents)
                   for node in self.inner if node.op in (ops.add, ops.sub))

    @property
    def beside(self) -> dict[Value, None]:
        """The nodes that it is computed from."""
        return dict.fromkeys(parent for node in self.inner for parent in node.parents)

    def with_one(self, changed: Value, value: float) -> float:
        """The number of x, if that of one node on the way were another."""
        had: dict[Value, float] = {}
        for node in self.inner:
            args = [had.get(parent, self.numbers.values[parent]) for parent in node.parents]
            had[node] = value if node is changed else node.op.value(*args)
        return had[self.x]

    def candidates(self) -> Iterator[Candidate]:
        """Every mistake that is thought of."""
        if len(self.inner) > LARGEST_COMPUTATION:
            return
        for node in self.inner:
            for at in (Place(self, node, i) for i in range(len(node.parents))):
                for error in local_errors(flaws_of_argument(at), at):
                    yield error.candidate(self.with_one(node, error.case.number), node, error.at.i)
        for error in local_errors(mistakes.FORWARD_ANSWERS, Place(self, self.x)):
            yield error.candidate(error.case.number)

    @property
    def line(self) -> Formula:
        """The right step, as a line: symbols = numbers = result."""
        name, result = self.context.name(self.x), number_of(self.x.data)
        term = combine(self.x.op, self.context.terms.of_parents(self.x)) if self.x.parents else None
        if term is None or term.size > WIDEST_OF_LABELS:
            return equation(name, result)
        return equation(name, formula_of(term), formula_of(term, numbers=True), result)
