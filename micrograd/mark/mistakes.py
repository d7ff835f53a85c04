"""What learners get wrong: the numbers that a wrong derivation comes to, to be held against an answer.

A derivative follows from the gradients next above it, which are known, by factors along edges and by sums at forks.
Every mistake spoils some of these: a factor is left out or taken from elsewhere, a path is forgotten. This module makes
up the mistakes, works out what each would come to, and says it in words. It knows nothing of answers and verdicts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from .. import ops
from ..engine import Value
from ..formulas.algebra import Formula, Terms, formula_of, name_of, number_of, partial, symbol
from ..formulas.deltas import weighted_sums
from ..formulas.factors import Link, links
from ..formulas.graph import Edge, Graph, Pass
from ..formulas.layout import indices, word_of
from ..ops import CONSTANT, LEAF

FORK = "path forgotten at a fork"
REVERSED = "wrong sign"
SLOPE = "derivative of the function left out"
UPSTREAM = "upstream gradient left out"
FACTOR = "factor left out"
PLACE = "derivative of the function at the wrong place"
FUNCTION = "derivative of another function"
UPDATED = "updated weight"
ELSEWHERE = "number of another weight or neuron"
POWER = "factor of the power"
MEAN = "mean for sum, or sum for mean"
INVERSE = "divided where multiplied, or the other way round"
QUANTITY = "another quantity"
VALUE = "value instead of gradient"
TERM = "term left out"

RATES = (1.0, 0.5, 0.1, 0.05, 0.01)  # learning rates that are tried where none is known
LARGEST = 2_000                      # edges; in a larger part of a graph no mistake is looked for
LARGEST_FORMULA = 500                # edges; a larger part has no formula for anybody to read
LARGEST_COMPUTATION = 200            # nodes that follow from those below them
NEGLIGIBLE = 1e-12                   # relative; what rounding leaves of a difference that would be 0 without it
MOST = 3                             # names that a sentence lists


class Candidate(NamedTuple):
    """One mistake: what it comes to, how far-fetched it is (0: a classic), and a key, which it has in common with the
    same mistake at the same place where that spoils another answer."""

    value: float
    rank: float
    kind: str
    key: tuple[Any, ...]
    words: str           # "you get this if you ...", a verb first
    whole: bool = False  # whether it is about a whole link between labels, which may be a single factor

    def same(self, value: float) -> bool:
        """Whether it comes to that value, but for rounding."""
        return abs(self.value - value) <= NEGLIGIBLE * abs(value)


class Book:
    """A graph with what all its answers share: places, terms, how things are called."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place = {node: place for place, node in enumerate(graph.order)}
        self.terms = Terms({node: graph.names[node] for node in graph.order if self.is_named(node)})
        self.alike: dict[str, list[Value]] = {}  # labelled nodes by the letters of their labels
        for node in graph.order:
            if node.label:
                self.alike.setdefault(word_of(node.label), []).append(node)
        self.deltas = weighted_sums(graph)
        self.names: dict[Value, Formula] = {}
        self.slopes: dict[Value, str] = {}

    def is_named(self, node: Value) -> bool:
        """Whether formulas stop at this node: it has a label, or there is nothing below it, or it is the root."""
        return bool(node.label) or node is self.graph.root or not (node.parents or node.op is CONSTANT)

    def name(self, node: Value) -> Formula:
        """The name of a node; the number of a bare constant."""
        if node not in self.names:
            self.names[node] = name_of(self.graph, node)
        return self.names[node]

    def gradient(self, node: Value) -> Formula:
        """δ⁴ for the gradient of z⁴, ∂C/∂a⁴ for all others."""
        name = self.deltas.get(node)
        return symbol(name) if name is not None else partial(self.graph, self.graph.root, node)

    def slope(self, node: Value) -> str:
        """The derivative of a function of one argument: σ′(z⁴) = a⁴(1 − a⁴)."""
        if node not in self.slopes:
            short, long = (formula_of(term) for term in (self.terms.prime(node, 0), self.terms.slope(node, 0)))
            self.slopes[node] = short.text if short == long else f"{short} = {long}"
        return self.slopes[node]

    def like(self, node: Value) -> list[Value]:
        """The other nodes whose label has the same letters: the other weights, for a weight."""
        found = self.alike.get(word_of(node.label), []) if node.label else []
        return [other for other in found if other is not node and (other.op is LEAF) == (node.op is LEAF)][:100]


def is_function(node: Value, i: int) -> bool:
    """Whether a node is a function of one argument, the i-th, such as an activation."""
    op = node.op
    return i == 0 and op.arity - len(op.defaults) == 1 and op not in (ops.neg, ops.identity)


def in_words(names: Iterable[Formula]) -> str:
    """Names in a sentence: a, b and c."""
    words = list(dict.fromkeys(names))
    if len(words) > MOST:
        return f"{', '.join(words[:MOST])} and {len(words) - MOST} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


class Slip(NamedTuple):
    """One way in which the local derivative along one edge goes wrong. Slips of one key are one misunderstanding."""

    edge: Edge
    local: float
    rank: float
    kind: str
    key: tuple[Any, ...]
    words: str         # of this one
    several: str       # of all of that key, with {} for the list of
    what: Formula      # these


class Derivation:
    """How the gradient of one node x follows from the gradients next above it, and the ways in which that goes wrong.

    stops: the nodes whose gradients are known. rates: learning rates with which weights may have been updated.
    """

    def __init__(self, book: Book, x: Value, stops: Mapping[Value, Any], numbers: Pass, rates: Sequence[float]) -> None:
        self.book, self.x, self.numbers, self.rates = book, x, numbers, rates
        self.tops: list[Value] = []                 # the stops next above
        self.inner: list[Value] = []                # the nodes below these, x first
        self.edges: list[Edge] = []                 # all edges between
        self.down = {x: 1.0}                        # ∂node/∂x, for each of the nodes
        graph, place = book.graph, book.place
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
        self.forks_first = len({self.outer(use) for use in graph.uses[x]}) > 1  # several labelled nodes are next above

    def local(self, edge: Edge) -> float:
        return self.numbers.locals[edge.node][edge.i]

    def up(self, node: Value) -> float:
        return self.numbers.gradients[node]

    @property
    def size(self) -> float:
        """The sum that the gradient is, without regard to signs: what its rounding errors are in proportion to."""
        return sum(abs(self.up(edge.node) * self.local(edge)) for edge in self.edges
                   if edge.parent is self.x and edge.carries and edge.node in self.book.graph.onward)

    @property
    def cancels(self) -> bool:
        """Whether it is a sum that is 0, of terms that are not."""
        return abs(self.base) < NEGLIGIBLE * self.size

    @property
    def beside(self) -> dict[Value, None]:
        """The nodes whose values are in its factors."""
        return dict.fromkeys(node for edge in self.edges for node in (edge.node, *edge.node.parents))

    def at(self, edge: Edge, local: float) -> float:
        """The gradient of x, if the local derivative along one edge were another."""
        return self.base + self.up(edge.node) * (local - self.local(edge)) * self.down[edge.parent]

    def with_all(self, changed: Mapping[tuple[Value, int], float]) -> float:
        """The same for several edges at once."""
        if len({node for node, _ in changed}) == 1:  # no path goes along two of them, so that their changes add
            return self.base + sum(self.up(node) * (local - self.numbers.locals[node][i]) * self.down[node.parents[i]]
                                   for (node, i), local in changed.items())
        total = dict.fromkeys(self.inner, 0.0)
        for node in self.tops:
            total[node] = self.up(node)
        for edge in self.edges:
            total[edge.parent] += changed.get((edge.node, edge.i), self.local(edge)) * total[edge.node]
        return total[self.x]

    # The candidates

    def candidates(self) -> Iterator[Candidate]:
        """Every mistake that is thought of."""
        if len(self.edges) > LARGEST:
            return
        yield from self.slips_at_edges()
        yield from self.forks()
        yield from self.upstream()
        yield from self.quantities()

    def slips_at_edges(self) -> Iterator[Candidate]:
        kinds: dict[tuple[Any, ...], list[Slip]] = {}
        for edge in self.edges:
            for slip in self.slips(edge):
                kinds.setdefault((slip.kind, *slip.key), []).append(slip)
        for slips in kinds.values():
            groups: dict[Any, list[Slip]] = {}
            for slip in slips:
                groups.setdefault(self.layer(slip.edge), []).append(slip)
            several = [group for group in [slips, *(groups.values() if len(groups) > 1 else ())] if len(group) > 1]
            for group in several:
                changed = {(slip.edge.node, slip.edge.i): slip.local for slip in group}
                yield self.candidate(group, self.with_all(changed), 0.0)
            for slip in slips:
                yield self.candidate([slip], self.at(slip.edge, slip.local), 0.3 if several else 0.0)

    def candidate(self, slips: list[Slip], value: float, extra: float) -> Candidate:
        slip = slips[0]
        which = in_words(one.what for one in reversed(slips))
        words = slip.words if len(slips) == 1 else slip.several.replace("{}", which)
        key = (slip.kind, *slip.key, *((slip.edge.node, slip.edge.i) for slip in slips))
        return Candidate(value, slip.rank + extra, slip.kind, key, words)

    def layer(self, edge: Edge) -> Any:
        """What the edges of one layer have in common."""
        nearest = next((node for node in (edge.node, *edge.node.parents) if node.label), None)
        parts = indices(nearest.label) if nearest is not None else None
        return parts[:2] if parts else self.book.place[edge.node]

    def slips(self, edge: Edge) -> Iterator[Slip]:
        """All that may go wrong along one edge."""
        node, i = edge.node, edge.i
        local = self.local(edge)
        if is_function(node, i):
            yield from self.slips_of_function(edge, local)
        elif node.op is ops.pow and i == 0 and node.parents[1].op is CONSTANT:
            yield from self.slips_of_power(edge, local)
        elif node.op in (ops.mul, ops.div):
            yield from self.slips_of_product(edge, local)
        if local:
            words, classic = self.words_of_sign(edge)
            yield Slip(edge, -local, 0.9 if classic else 1.0, REVERSED, (edge,), words, words, self.book.name(node))

    def squared(self, node: Value) -> bool:
        uses = self.book.graph.uses[node]
        return len(uses) == 1 and uses[0].node.op is ops.pow

    def words_of_sign(self, edge: Edge) -> tuple[str, bool]:
        """What to say of a sign, and whether it is the one of (a − y)."""
        node, name = edge.node, self.book.name
        if node.op is ops.sub and self.squared(node):
            first, second = map(name, node.parents if edge.i else reversed(node.parents))
            return f"take ({first} − {second}) where ({second} − {first}) belongs", True
        if not self.forks_first:
            return "take the opposite sign", False
        return f"take the opposite sign on the path through {name(self.outer(edge))}", False

    def outer(self, edge: Edge) -> Value:
        """The nearest node with a label on the way up along an edge; the edge's own node, if the way forks before."""
        node = edge.node
        while not node.label and node in self.down and node not in self.tops:
            uses = self.book.graph.uses[node]
            if len(uses) != 1:
                break
            node = uses[0].node
        return node if node.label else edge.node

    def slips_of_function(self, edge: Edge, local: float) -> Iterator[Slip]:
        node, op, values = edge.node, edge.node.op, self.numbers.values
        z, *rest = (values[parent] for parent in node.parents)
        a = values[node]
        result, argument, rule = self.book.name(node), self.book.name(edge.parent), self.book.slope(node)

        def slip(local: float, rank: float, kind: str, key: str, words: str, several: str = "") -> Slip:
            return Slip(edge, local, rank, kind, (key,), words, several or f"{words} (at {{}})", result)

        if local != 1.0:
            yield slip(1.0, 1, SLOPE, "", f"leave out the derivative of the function, {rule}",
                       "leave out the derivatives of the functions that give {}")
        yield slip(op.slope_by_book(0, op.value(a, *rest), a, *rest), 1.5, PLACE, "there",
                   f"take the derivative of {op.symbol} at {result} instead of at {argument}; it is {rule}")
        yield slip(op.slope_by_book(0, z, z, *rest), 2, PLACE, "argument for result",
                   f"take {argument} where {result} belongs: the derivative is {rule}")
        yield slip(a, 2, PLACE, "function for derivative", f"multiply by {result} itself: the derivative is {rule}")
        yield slip(1 - a, 4, PLACE, "half of it", f"multiply by (1 − {result}): the derivative is {rule}")
        if op is ops.relu and local:
            yield slip(0.0, 1.5, FUNCTION, "dead",
                       f"take {argument} = {number_of(z)} for negative: the derivative is {rule}")
        for row in (ops.sigmoid, ops.tanh, ops.relu):
            if row is not op:
                words = f"take the derivative of {row.name}, where the function is {op.name}: {rule}"
                yield slip(row.slope_by_book(0, a, z), 4, FUNCTION, f"{row.name} of the result", words)
                yield slip(row.slope_by_book(0, row.value(z), z), 4, FUNCTION, f"{row.name} of the argument", words)

    def slips_of_power(self, edge: Edge, local: float) -> Iterator[Slip]:
        base, exponent = (self.numbers.values[parent] for parent in edge.node.parents)
        k, name = number_of(exponent), self.book.name(edge.node)

        def slip(local: float, rank: float, kind: str, key: str, words: str) -> Slip:
            return Slip(edge, local, rank, kind, (key,), words, words, name)

        if exponent:
            yield slip(local / exponent, 2, POWER, "factor", f"forget the factor {k} that the power brings down")
        yield slip(local * base, 3, POWER, "exponent", f"leave the exponent at {k}: it goes down by 1")
        yield slip(1.0, 3, FACTOR, "power", "leave out the derivative of the power")

    def slips_of_product(self, edge: Edge, local: float) -> Iterator[Slip]:
        """Along a product or quotient: the other factor left out, or mistaken for another number."""
        node, i, book = edge.node, edge.i, self.book
        other = node.parents[1 - i]
        name = book.name(other)

        def slip(local: float, rank: float, kind: str, key: tuple[Any, ...], words: str, several: str) -> Slip:
            return Slip(edge, local, rank, kind, key, words, several, name)

        if local not in (0.0, 1.0):
            if other.op is CONSTANT and not other.label:
                half = other.data in (0.5, 2.0)
                words = f"leave out {'the division by' if node.op is ops.div else 'the constant factor'} "
                yield slip(1.0, 1.8, POWER if half else MEAN, ("constant",), words + name, words + "{}")
            else:
                yield slip(1.0, 2, FACTOR, ("factor",), f"leave out the factor {name}", "leave out the factors {}")
            words = f"{'divide' if node.op is ops.mul else 'multiply'} by "
            yield slip(1 / local, 5, INVERSE, ("inverse",), words + name, words + "{}")
        if not (other.label or other.op is LEAF):
            return
        args = [self.numbers.values[parent] for parent in node.parents]
        for args[1 - i], rank, kind, key, words, several in self.instead_of(other, edge.parent):
            yield slip(node.op.slope_by_book(i, node.op.value(*args), *args), rank, kind, key, words, several)

    def instead_of(self, other: Value, x: Value) -> Iterator[tuple[float, float, str, tuple[Any, ...], str, str]]:
        """The numbers that are mistaken for that of a factor in the derivative by x."""
        book, values, gradients = self.book, self.numbers.values, self.numbers.gradients
        name = book.name(other)

        def use(wrong: object, right: object) -> str:
            return f"use {wrong} instead of {right}"

        if other.op is LEAF:
            for rate in self.rates:
                hint = f" (learning rate {number_of(rate)}): all gradients belong to the weights of the forward pass"
                for key, gradient in (("own", gradients[other]), ("right", book.graph.gradients[other])):
                    yield (values[other] - rate * gradient, 1.2 if len(self.rates) == 1 else 3, UPDATED, (key, rate),
                           f"use the updated {name}{hint}", f"use the updated {{}}{hint}")
        for alike in book.like(other):
            relation = related(other.label, alike.label)
            rank, hint, group = RELATIONS[relation]
            which: tuple[Any, ...] = (relation, *(indices(alike.label) or ())[1:2]) if group else (other, alike)
            yield (values[alike], rank, ELSEWHERE, which,
                   use(book.name(alike), name) + hint, use(group, "{}"))
        if is_function(other, 0):
            inside = other.parents[0]
            yield (values[inside], 2.5, ELSEWHERE, ("argument",), use(book.name(inside), name),
                   use("the arguments of the functions", "{}"))
        for edge in book.graph.uses[other]:
            if is_function(edge.node, edge.i):
                yield (values[edge.node], 2.5, ELSEWHERE, ("function",), use(book.name(edge.node), name),
                       use("the results of the functions", "{}"))
        yield values[x], 2.5, ELSEWHERE, ("itself",), use(book.name(x), name), use("the other factors", "{}")

    def forks(self) -> Iterator[Candidate]:
        """Paths that are not counted where several come together."""
        book = self.book
        leading: dict[Value, list[Edge]] = {}
        for edge in self.edges:
            leading.setdefault(edge.parent, []).append(edge)
        several = {node: edges for node, edges in leading.items() if len(edges) > 1}
        for node, edges in several.items():
            shares = [self.up(edge.node) * self.local(edge) for edge in edges]
            total = sum(shares)
            count = len(edges)
            sizes = range(1, count) if count <= 5 else (1, count - 1)
            for kept in (kept for size in sizes for kept in combinations(range(count), size)):
                value = self.base + (sum(shares[j] for j in kept) - total) * self.down[node]
                yield Candidate(value, 0 if len(kept) == 1 else 0.2, FORK, (FORK, node, kept),
                                self.words_of_fork(node, edges, kept))
            yield Candidate(self.base + (total / count - total) * self.down[node], 4, MEAN, (MEAN, node),
                            f"take the mean of the {count} paths into {book.gradient(node)} instead of their sum")
        if len(several) > 1:
            for keep, which in ((0, "last"), (-1, "first")):  # the edges come from the root down
                changed = {(edge.node, edge.i): 0.0 for edges in several.values()
                           for edge in edges if edge is not edges[keep]}
                yield Candidate(self.with_all(changed), 1, FORK, (FORK, which), f"keep only the {which} path at every "
                                "fork: the contributions of all paths are added (+=, not =)")

    def words_of_fork(self, node: Value, edges: list[Edge], kept: tuple[int, ...]) -> str:
        through = [self.book.name(self.outer(edge)) for edge in edges]
        if len(set(through)) < len(through):
            through = [Formula(f"{name} (use {j})", name.latex) for j, name in enumerate(through, 1)]
        missing = [name for j, name in enumerate(through) if j not in kept]
        many = "s" * (len(missing) > 1)
        what = (f"count only the path through {through[kept[0]]}" if len(kept) == 1 and len(edges) < 4
                else f"forget the path{many} through {in_words(missing)}")
        at = "" if node is self.x else f" into {self.book.gradient(node)}"
        return f"{what}{at}: at a fork the contributions of all paths are added (+=, not =)"

    def upstream(self) -> Iterator[Candidate]:
        """Gradients from above that are left out, or mistaken; links between labels that are left out as a whole."""
        book, values = self.book, self.numbers.values
        labelled = [node for node in self.inner if node.label and node is not self.x]
        for node in [*labelled, *(top for top in self.tops if top is not book.graph.root)]:
            name, gradient, down = book.name(node), book.gradient(node), self.down[node]
            at = (node, self.x) if node in self.tops else (node,)
            rest = self.base - self.up(node) * down
            yield Candidate(rest + down, 1.1, UPSTREAM, (UPSTREAM, *at), f"leave out the upstream gradient {gradient}")
            yield Candidate(rest + values[node] * down, 3.5, UPSTREAM, (UPSTREAM, *at, "value"),
                            f"multiply by {name} itself instead of by its gradient, {gradient}")
            for other in book.like(node):
                if other.op is CONSTANT:
                    continue
                yield Candidate(rest + self.up(other) * down, 3, ELSEWHERE, (ELSEWHERE, *at, other),
                                f"multiply by {book.gradient(other)} instead of {gradient}")
        leading: dict[Value, list[Link]] = {}
        stops = dict.fromkeys([*labelled, self.x])
        for top in [*self.tops, *labelled]:
            for link in self.factors(top, stops):
                leading.setdefault(link.x, []).append(link)
                value = self.base + self.up(top) * (1 - link.local) * self.down[link.x]
                left_out = f"{partial(book.graph, top, link.x)} = {formula_of(link.formula)}"
                yield Candidate(value, 2.2, FACTOR, (FACTOR, top, link.x), f"leave out the factor {left_out}", True)
        for node, several in leading.items():
            if len(several) > 1:
                change = sum(link.local for link in several) - self.numbers.found[node]
                names = in_words(book.gradient(link.y) for link in several)
                yield Candidate(self.base + change * self.down[node], 1.5, UPSTREAM, (UPSTREAM, node, "all"),
                                f"leave out the upstream gradients {names}")

    def factors(self, top: Value, stops: Mapping[Value, Any]) -> list[Link]:
        """The factors that lead from a node down to the nearest stops, past none of the tops; none if they would be too
        large to read."""
        if len(self.edges) > LARGEST_FORMULA:
            return []
        found = links(top, {**stops, **dict.fromkeys(self.tops)}, dict.fromkeys(self.down), self.book.terms,
                      self.book.place)
        return [link for link in found if link.x in stops]

    def quantities(self) -> Iterator[Candidate]:
        """The opposite of the gradient that was asked for, or something else."""
        book, x = self.book, self.x
        name = book.name(x)
        yield Candidate(-self.base, 1, REVERSED, (REVERSED, x), "take the opposite sign")
        yield Candidate(x.data, 3, VALUE, (VALUE,), f"give the value of {name} instead of its gradient")
        rank = 2 if len(self.rates) == 1 else 4
        for rate in self.rates if x.op is LEAF else ():
            yield Candidate(x.data - rate * self.base, rank, QUANTITY, (QUANTITY, "updated"),
                            f"give the updated {name} (learning rate {number_of(rate)}) instead of the gradient")
            for step in (rate * self.base, -rate * self.base) if rate != 1 else ():
                yield Candidate(step, rank, QUANTITY, (QUANTITY, "change"),
                                f"multiply by the learning rate {number_of(rate)}: the gradient does not depend on it")
        for other in book.like(x):
            if other.op is CONSTANT:
                continue
            yield Candidate(book.graph.gradients[other], 3.5, QUANTITY, (QUANTITY, other),
                            f"give {book.gradient(other)} in its place")
        count = self.terms_of_the_sum
        if count > 1 and book.graph.root in self.tops:
            yield Candidate(self.base / count, 3, MEAN, (MEAN, "/"),
                            f"divide by {count}, as for a mean: this is a sum of {count} terms")
            yield Candidate(self.base * count, 3.5, MEAN, (MEAN, "*"),
                            f"forget to divide by {count}, the number of terms")

    @property
    def terms_of_the_sum(self) -> int:
        """How many terms the root is the sum of."""
        count, stack = 0, [self.book.graph.root]
        while stack and count < LARGEST:
            node = stack.pop()
            inner = [parent for parent in node.parents if parent.op is not CONSTANT or parent.label]
            if node.op is ops.add or (len(inner) == 1 and node.op in (ops.mul, ops.div)):
                stack += inner
            else:
                count += 1
        return count


RELATIONS = {  # how far-fetched it is to take one for the other; what to say of one, and of several
    "swapped": (1.4, ": the indices are swapped", "the weights with their indices swapped"),
    "layer": (2.0, ": that belongs to another layer", "those of another layer"),
    "neighbour": (2.5, "", ""),
    "": (3.2, "", ""),
}


def related(right: str, wrong: str) -> str:
    """How the label of one weight or neuron is like that of another."""
    first, second = indices(right), indices(wrong)
    if first is None or second is None or first[0] != second[0]:
        return ""
    if first[1] == second[1]:
        row, column = (parts[2].split(",") for parts in (first, second))
        if len(row) == 2 and row[::-1] == column:
            return "swapped"
        return "" if len(row) == 2 and len(column) == 2 and all(a != b for a, b in zip(row, column)) else "neighbour"
    return "layer" if first[2] == second[2] else ""


class Computation:
    """How the number of one node follows from the numbers next below it, and the ways in which that goes wrong."""

    def __init__(self, book: Book, x: Value, stops: Mapping[Value, Any], numbers: Pass) -> None:
        self.book, self.x, self.numbers = book, x, numbers
        self.base = numbers.computed[x]
        self.inner: list[Value] = []  # x, and the computed nodes below it down to the stops, from the leaves up
        place = book.place
        heap, met = [-place[x]], {x}
        while heap and len(self.inner) <= LARGEST:
            node = book.graph.order[-heapq.heappop(heap)]
            if not node.parents or (node in stops and node is not x):
                continue
            self.inner.append(node)
            for parent in node.parents:
                if parent not in met:
                    met.add(parent)
                    heapq.heappush(heap, -place[parent])
        self.inner.reverse()

    @property
    def size(self) -> float:
        """The largest number of a sum, without regard to signs: what rounding errors are in proportion to."""
        return max(abs(self.numbers.values[n]) for node in self.inner for n in (node, *node.parents)
                   if node is self.x or node.op in (ops.add, ops.sub)) if self.inner else abs(self.base)

    @property
    def cancels(self) -> bool:
        """Whether there is a sum that is 0, of terms that are not."""
        values, computed = self.numbers.values, self.numbers.computed
        return any(abs(computed[node]) < NEGLIGIBLE * max(abs(values[parent]) for parent in node.parents)
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
            for value, rank, kind, key, words in self.slips(node):
                yield Candidate(self.with_one(node, value), rank, kind, (kind, node, key), words)
        for other in self.book.like(self.x):
            yield Candidate(other.data, 3.5, QUANTITY, (QUANTITY, other), f"give {self.book.name(other)} in its place")

    def slips(self, node: Value) -> Iterator[tuple[float, float, str, Any, str]]:
        """All that may go wrong in one operation: the result, how far-fetched it is, its kind and key, in words."""
        op, book, values = node.op, self.book, self.numbers.values
        args = [values[parent] for parent in node.parents]
        if is_function(node, 0):
            yield args[0], 1, TERM, "function", f"leave out the function {op.name}"
            for row in (ops.sigmoid, ops.tanh, ops.relu):
                if row is not op:
                    yield row.value(args[0]), 3, FUNCTION, row, f"take {row.name} where the function is {op.name}"
        for j, one in enumerate(node.parents if len(args) == 2 else ()):
            name, plain = self.written(one), one.op is CONSTANT and not one.label
            other = args[1 - j]
            if op in (ops.add, ops.sub):
                yield op.value(args[0], 0.0) if j else op.value(0.0, other), 1, TERM, j, f"leave out the term {name}"
            if op is ops.add:
                yield other - args[j], 2, REVERSED, j, f"subtract {name} instead of adding it"
            if op is ops.mul or (j == 1 and op in (ops.div, ops.pow)):
                what = {ops.mul: "factor", ops.div: "division by", ops.pow: "exponent"}[op]
                yield other, 1.5 if plain else 2, POWER if plain else FACTOR, j, f"leave out the {what} {name}"
            if op is ops.mul:
                for alike in book.like(one):
                    rank, hint, _ = RELATIONS[related(one.label, alike.label)]
                    words = f"use {book.name(alike)} instead of {name}{hint}"
                    yield values[alike] * other, rank, ELSEWHERE, alike, words
                if is_function(one, 0):
                    inside = one.parents[0]
                    yield values[inside] * other, 2, ELSEWHERE, inside, f"use {book.name(inside)} instead of {name}"
        if op is ops.sub:
            yield args[1] - args[0], 1.5, REVERSED, "", "turn the difference around"
        if op is ops.add:
            yield args[0] * args[1], 4, INVERSE, "", "take the product where it says to add"
        if op is ops.mul:
            yield args[0] + args[1], 4, INVERSE, "", "take the sum where it says to multiply"

    def written(self, node: Value) -> Formula:
        return formula_of(self.book.terms[node])


