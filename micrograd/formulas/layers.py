"""The layers of a network, found in a graph of scalars by its structure: neurons of one layer have the same inputs and
weights of their own, and the inputs are the outputs of the layer below. Labels only say in which order they come.

A network that was run on several samples has each neuron several times, with the same weights: one layer, n samples.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from ..engine import Value
from ..ops import CONSTANT, add, div, identity, mul, neg, pow, sub
from .graph import Graph
from .labels import cut, unicode_label, word_of
from .layout import formula
from .notations import UNICODE

Nodes = list[list[Value]]

LONGEST = 40  # characters of a formula in a message
LINEAR = (add, sub, mul, div, neg, identity)
INPUTS = {"x", "X"}


class NoFormError(Exception):
    """There is no matrix form, or a line of it is missing; the message tells the user why."""


class Bias(NamedTuple):
    """A node that a weighted sum adds or subtracts as it is, as in w · x − θ."""

    node: Value
    sign: int


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """The addends of a weighted sum."""

    products: list[tuple[Value, Value]]  # (weight, input)
    biases: list[Bias]
    inside: dict[Value, None]            # the nodes that it is made of, its additions and products

    def by_input(self) -> dict[object, tuple[Value, Value]]:
        return {key(x): (w, x) for w, x in self.products}


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """One layer, in several samples: z[s][i] is the weighted sum of neuron i in sample s."""

    z: Nodes
    a: Nodes              # what goes on from it; z itself, where the neuron is linear
    inputs: Nodes         # inputs[s][j]
    weights: Nodes        # weights[i][j], by which neuron i multiplies input j in all samples
    biases: list[list[Bias]]  # of each neuron
    inside: dict[Value, None]
    rank: int             # 1 for the layer on the inputs of the network

    def has(self, x: Value) -> bool:
        """Tell whether x is one of its nodes, an input included."""
        return any(x in nodes for nodes in (*self.z, *self.a, *self.inputs, *self.weights)) or any(
            x is bias.node for biases in self.biases for bias in biases)

    def is_linear(self) -> bool:
        """Tell whether its neurons give their weighted sums as they are."""
        return all(a is z or (a.op is identity and a.parents == (z,))
                   for one, other in zip(self.a, self.z) for a, z in zip(one, other))


class LayerFinder:
    """A search for the layers of a graph. sums: its weighted sums."""

    def __init__(self, graph: Graph, sums: Iterable[Value]) -> None:
        self.graph = graph
        self.place = {node: i for i, node in enumerate(graph.order)}
        self.sums = dict.fromkeys(sorted((z for z in sums if z in graph.onward), key=self.place.__getitem__))
        self.below: set[Value] = set()  # what a weighted sum depends on
        for node, edges in graph.onward.items():
            if node in self.sums or node in self.below:
                self.below.update(edge.parent for edge in edges)
        self.above: dict[Value, int] = {}   # the sums, and what depends on one: how many lie on the way at most
        for node in graph.order:
            ranks = [self.above[edge.parent] for edge in graph.onward.get(node, ()) if edge.parent in self.above]
            if ranks or node in self.sums:
                self.above[node] = max(ranks, default=0) + (node in self.sums)
        read: dict[Value, WeightedSum] = {}
        self.unread: dict[Value, NoFormError] = {}
        for z in self.sums:
            try:
                read[z] = self.read(z)
            except NoFormError as reason:
                self.unread[z] = reason
        self.parts = self.told_apart(read)

    def name(self, node: Value) -> str:
        """A node in a message: its name, its number, or, without a label, its formula."""
        if node.parents and not node.label:
            try:
                return cut(formula(node, 1, UNICODE, "matrix_form", names=self.graph.names), LONGEST)
            except ValueError:  # too long to read
                pass
        return unicode_label(self.graph.names[node]) or f"{node.data:.4g}"

    def several(self) -> bool:
        """Tell whether there is a layer of several neurons: sums of one rank, with a common input, or used together."""
        if len({self.above[z] for z in self.sums}) < len(self.sums):
            return True
        inputs = [dict.fromkeys(x for _, x in each.products) for each in self.parts.values()]
        used = Counter(x for each in inputs for x in each)
        return any(n > 1 for n in used.values()) or any(sum(bool(x.parents) for x in each) > 1 for each in inputs)

    def found(self, x: Value | None) -> list[FoundLayer]:
        """The layers, the last one first. A NoFormError where there are none, unless that is below the layer of x."""
        last = [z for z in self.sums if z not in self.below]
        if not last:
            raise NoFormError("there is no weighted sum on the way")
        layers = [self.layer(self.samples(last), None)]
        while any(node in self.above for node in layers[-1].inputs[0]):
            try:
                z = [[self.source(node) for node in inputs] for inputs in layers[-1].inputs]
                layers.append(self.layer(z, layers[-1]))
            except NoFormError:
                if x is None or not any(layer.has(x) for layer in layers):
                    raise
                break
        return layers

    # One weighted sum

    def read(self, z: Value) -> WeightedSum:
        """The addends of z; which factor of a product of two leaves is the weight is open yet."""
        products: list[tuple[Value, Value]] = []
        biases: list[Bias] = []
        ones: list[tuple[Value, Value]] = []  # b · 1
        inside: dict[Value, None] = {}
        stack = [(z, 1)]
        while stack:
            node, sign = stack.pop()
            if node in self.sums and node is not z:
                raise NoFormError(f"{self.name(z)} adds {self.name(node)}, which no weight multiplies")
            if node.op in (add, sub, neg, identity):
                inside[node] = None
                signs = (sign, -sign) if node.op is sub else (-sign,) if node.op is neg else (sign, sign)
                stack += list(zip(node.parents, signs))[::-1]
            elif node.op is mul:
                inside[node] = None
                weight, x = self.pair(z, node, sign)
                (ones if key(x) == 1.0 and not weight.parents else products).append((weight, x))
            elif node.parents:
                raise NoFormError(f"{self.name(z)} adds {self.name(node)}, which no weight multiplies"
                                  if node.label and node is not z else
                                  f"{self.name(z)} is not a plain sum of weights times inputs")
            elif node.op is not CONSTANT:
                biases.append(Bias(node, sign))
        weights = {word_of(w.label) for w, _ in products}
        named = all(x.parents or x.label for _, x in products)  # so that 1 is not one of several numbers put in
        if len(ones) == 1 and products and not biases and (named or word_of(ones[0][0].label) not in weights):
            biases = [Bias(ones[0][0], 1)]
        else:
            products += ones
        if not products:
            raise NoFormError(f"{self.name(z)} has no input")
        return WeightedSum(products, biases, inside)

    def pair(self, z: Value, product: Value, sign: int) -> tuple[Value, Value]:
        """The weight and the input of a product, as far as it shows there."""
        p, q = product.parents
        if sign < 0:
            raise NoFormError(f"{self.name(z)} subtracts {self.name(p)} · {self.name(q)}")
        if p.parents and q.parents:
            raise NoFormError(f"{self.name(z)} adds {self.name(p)} · {self.name(q)}, which is not a weight times an "
                              "input")
        if p.parents or q.parents:
            weight, x = (q, p) if p.parents else (p, q)
            if weight.op is CONSTANT and x not in self.above and not x.label:
                raise NoFormError(f"{self.name(z)} is not a plain sum of weights times inputs")
            return weight, x
        if p.op is CONSTANT or q.op is CONSTANT:  # 0.3 · w, a number that was put in; but 0.3 · x
            number, name = (p, q) if p.op is CONSTANT else (q, p)
            return (number, name) if word_of(name.label) in INPUTS else (name, number)
        return p, q

    def told_apart(self, sums: Mapping[Value, WeightedSum]) -> dict[Value, WeightedSum]:
        """The same with weights and inputs told apart where both are leaves."""
        products = [pair for each in sums.values() for pair in each.products]
        open_ = [pair for pair in products if both_are_leaves(pair)]
        certain = {w for w, x in products if x.parents}
        often = {w for w, n in Counter(w for w, _ in products).items() if n > 1 and w in certain}
        beside = Counter((leaf, w) for each in sums.values() for w, _ in each.products if w in often
                         for pair in each.products if both_are_leaves(pair) for leaf in pair)
        known = {leaf for (leaf, _), n in beside.items() if n > 1}  # beside a weight at several times: a weight, too
        letters = {word_of(w.label) for w in certain} | {"w", "W"}

        def tell(letters: set[str]) -> bool:
            """Tell whether in each of these products exactly one factor has one of the letters."""
            return all((word_of(p.label) in letters) != (word_of(q.label) in letters) for p, q in open_)

        by_letter, by_input = tell(letters), tell(INPUTS)
        degree = Counter(node for pair in open_ for node in pair)

        def is_input(node: Value) -> tuple[object, ...]:
            """The larger, the more a leaf seems to be the input in a product: not used as a weight elsewhere; without
            the letter of weights, or with that of inputs, if that tells all apart; one of several of its label, as in
            samples; in more sums."""
            return (node not in known, by_letter and word_of(node.label) not in letters,
                    by_input and word_of(node.label) in INPUTS, node.label != self.graph.names[node], degree[node])

        def ordered(pair: tuple[Value, Value]) -> tuple[Value, Value]:
            p, q = pair
            return (q, p) if both_are_leaves(pair) and is_input(p) > is_input(q) else (p, q)

        return {z: WeightedSum([ordered(pair) for pair in each.products], each.biases, each.inside)
                for z, each in sums.items()}

    # One layer

    def samples(self, last: list[Value]) -> Nodes:
        """The sums of the last layer, sample by sample: those of one sample have their inputs in common."""
        self.check_read(last)
        groups: dict[frozenset[object], list[Value]] = {}
        for z in last:
            groups.setdefault(frozenset(self.parts[z].by_input()), []).append(z)
        first, *others = groups.values()
        samples = [in_order(first)]
        for group in others:
            by_weights = {self.weights_of(z): z for z in group}
            if len(group) != len(by_weights) or set(by_weights) != set(map(self.weights_of, first)):
                raise NoFormError(self.other_input(group[0], first[0]))
            samples.append([by_weights[self.weights_of(z)] for z in samples[0]])
        return samples

    def check_read(self, sums: Iterable[Value]) -> None:
        for z in sums:
            if z in self.unread:
                raise self.unread[z]

    def weights_of(self, z: Value) -> frozenset[Value]:
        return frozenset(w for w, _ in self.parts[z].products)

    def layer(self, z: Nodes, following: FoundLayer | None) -> FoundLayer:
        """The layer with these sums, whose outputs go into the `following` one."""
        self.check_read(chain(*z))
        inputs, weights = self.first(z[0])
        by_sample = [inputs, *[self.inputs_of(zs, weights, z[0]) for zs in z[1:]]]
        for zs in z:
            for each, first in zip(zs, z[0]):
                if [b.node for b in self.parts[each].biases] != [b.node for b in self.parts[first].biases]:
                    raise NoFormError(f"{self.name(each)} and {self.name(first)} have the same weights, but not the "
                                      "same bias")
        for zs, xs in zip(z, by_sample):
            kinds = [x in self.above for x in xs]
            if any(kinds) and not all(kinds):
                skipped, computed = xs[kinds.index(False)], xs[kinds.index(True)]
                raise NoFormError(f"no weighted sum below {self.name(skipped)} has a label" if skipped.parents else
                                  f"{self.name(zs[0])} has inputs from several layers, {self.name(skipped)} and "
                                  f"{self.name(computed)}")
        a = [self.last_outputs(zs) for zs in z] if following is None else following.inputs
        if following is not None:
            for each, output in zip(chain(*z), chain(*a)):
                self.used_by(following, each, output)
        inside = {node: None for each in chain(*z) for node in self.parts[each].inside}
        biases = [self.parts[each].biases for each in z[0]]
        return FoundLayer(z, a, by_sample, weights, biases, inside, self.above[z[0][0]])

    def first(self, zs: list[Value]) -> tuple[list[Value], Nodes]:
        """The inputs of a layer in order, and its weights, from one sample."""
        rows: list[dict[object, tuple[Value, Value]]] = []
        for z in zs:
            row = self.parts[z].by_input()
            if len(row) != len(self.parts[z].products):
                raise NoFormError(f"{self.name(z)} has an input twice")
            if rows and set(row) != set(rows[0]):
                raise NoFormError(self.other_input(z, zs[0]))
            rows.append(row)
        given = [x for _, x in rows[0].values()]
        if all(x in self.above for x in given):
            by_source = {self.source(x): x for x in given}
            if len(by_source) < len(given):
                raise NoFormError(f"{self.name(zs[0])} has several inputs that come from one weighted sum")
            given = [by_source[source] for source in in_order(by_source)]
        else:
            given = in_order(given)
        return given, [[row[key(x)][0] for x in given] for row in rows]

    def other_input(self, z: Value, other: Value) -> str:
        """A message that tells apart two weighted sums whose inputs differ."""
        one, x, without = next((one, x, without) for one, without in ((z, other), (other, z))
                               for _, x in self.parts[one].products if key(x) not in self.parts[without].by_input())
        return f"{self.name(one)} has the input {self.name(x)}, which {self.name(without)} lacks"

    def inputs_of(self, zs: list[Value], weights: Nodes, first: list[Value]) -> list[Value]:
        """The inputs in another sample, in the order of the weights."""
        found: list[Value] = []
        for i, z in enumerate(zs):
            by_weight = dict(self.parts[z].products)
            if set(by_weight) != set(weights[i]) or len(by_weight) != len(self.parts[z].products):
                raise NoFormError(f"{self.name(z)} and {self.name(first[i])} have neither the same inputs nor the "
                                  "same weights")
            row = [by_weight[w] for w in weights[i]]
            if found and list(map(key, row)) != list(map(key, found)):
                raise NoFormError(f"{self.name(z)} has other inputs than {self.name(zs[0])}")
            found = found or row
        return found

    def source(self, a: Value) -> Value:
        """The one weighted sum that a node is a function of."""
        found = [node for node in self.between(a) if node in self.sums]
        if not found:  # in one of several samples
            raise NoFormError(f"no weighted sum below {self.name(a)} has a label" if a.parents else
                              f"{self.name(a)} is not computed, as other samples have it")
        if len(found) > 1:
            raise NoFormError(f"{self.name(a)} is made of several weighted sums, "
                                  f"{' and '.join(map(self.name, found[:2]))}")
        return found[0]

    def between(self, a: Value) -> list[Value]:
        """The nodes from a down to the nearest weighted sums, each before its parents."""
        found, stack = {a: None}, [a]
        while stack:
            node = stack.pop()
            for edge in self.graph.onward[node] if node not in self.sums else ():
                if edge.parent in self.above and edge.parent not in found:
                    found[edge.parent] = None
                    stack.append(edge.parent)
        return sorted(found, key=lambda node: -self.place[node])

    def slope(self, a: Value, z: Value) -> float:
        """∂a/∂z"""
        slopes = dict.fromkeys(self.between(a), 0.0)
        slopes[a] = 1.0
        for node, slope in slopes.items():
            for edge in self.graph.onward[node] if node is not z else ():
                if edge.parent in slopes:
                    slopes[edge.parent] += edge.local * slope
        return slopes[z]

    def used_by(self, following: FoundLayer, z: Value, a: Value) -> None:
        """Refuse a neuron from which something else leads to the root than the layer above."""
        way = self.between(a)
        for node in way:
            inner = following.inside if node is a else dict.fromkeys(way)
            for use in self.used(node):
                if use not in inner:
                    where = f", in {self.name(use)}" if use.label else ""
                    raise NoFormError(f"{self.name(node)} is also used outside the next layer{where}")

    def last_outputs(self, zs: list[Value]) -> list[Value]:
        """The activations of the last layer; the sum itself, where there is none."""
        functions = {use.node.op for z in self.sums if z in self.below for use in self.graph.uses[z]} - {*LINEAR, pow}
        return [next((node for node in self.functions_of(z)
                      if (z in node.parents and node.op in functions) or (node.label and not self.is_summed(node))), z)
                for z in zs]

    def functions_of(self, node: Value) -> Iterator[Value]:
        """The nodes computed from a node alone, each from the one before, up to the first that has a label."""
        while True:
            uses = self.used(node)
            if len(uses) != 1 or uses[0] is self.graph.root or any(
                    parent is not node and parent.op is not CONSTANT for parent in uses[0].parents):
                return
            node = uses[0]
            yield node
            if node.label:
                return

    def is_summed(self, node: Value) -> bool:
        """Tell whether a node is a cost by itself: not a function of one argument, and only added up further on."""
        if node.op.arity == 1:
            return False
        while node is not self.graph.root:
            uses = self.used(node)
            if len(uses) != 1 or uses[0].op not in LINEAR or (uses[0].op not in (add, sub) and any(
                    parent is not node and parent.op is not CONSTANT for parent in uses[0].parents)):
                return False
            node = uses[0]
        return True

    def used(self, node: Value) -> list[Value]:
        """The nodes through which a derivative of the root reaches this one."""
        return [use.node for use in self.graph.uses[node] if use.carries and use.node in self.graph.onward]


def both_are_leaves(pair: tuple[Value, Value]) -> bool:
    """Tell whether a product of two does not show by itself which is the weight."""
    return not any(node.parents or node.op is CONSTANT for node in pair)


def key(x: Value) -> object:
    """The identity of an input: for a bare number, which is another node wherever it stands, the number."""
    return x.data if x.op is CONSTANT and not x.label else x


def in_order(nodes: Iterable[Value]) -> list[Value]:
    """By the numbers in the labels, where these are all that differs: z_2 before z_10. Else as they come."""
    found = list(nodes)
    if len({re.sub("[0-9]+", "0", node.label) for node in found}) > 1:
        return found
    return sorted(found, key=lambda node: [int(n) for n in re.findall("[0-9]+", node.label)])
