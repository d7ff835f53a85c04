"""Grouping a graph for drawing: the roles of its nodes, its neurons and layers, and which node goes into which box.

Neurons are told by the labels of the notation, z^{k}_{i} and a^{k}_{i}. A network is something that can be called on
Values. This module knows nothing of pictures.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..engine import Value
from ..formulas.graph import name_nodes
from ..formulas.labels import indices
from ..ops import CONSTANT, add, div, mul, neg, sub

NODES = 60          # a graph with more is a summary in a notebook, not a picture
SUMS = (add, sub, mul, div, neg)  # the ops that a weighted sum may end in
NEURONS = 100       # a network with more is drawn by layers by default


def values_of(root: Any) -> list[Value]:
    roots = [root] if isinstance(root, Value) else list(root) if isinstance(root, Iterable) else [root]
    for each in roots:
        if not isinstance(each, Value):
            raise TypeError("draw(root) needs a Value or several, or a network, found "
                            f"{type(each).__name__} {each!r:.40}")
    if not roots:
        raise ValueError("draw(root) needs a Value or several, or a network, found none")
    return list(dict.fromkeys(roots))


def symbolic_outputs(network: Any) -> list[Value]:
    """The outputs of a network on placeholders for its inputs: their numbers mean nothing."""
    if isinstance(network, type):
        raise TypeError(f"draw(network) needs a network, found the class {network.__name__}: make one of it, "
                        f"{network.__name__}(...)")
    fire = getattr(network, "fire", getattr(network, "forward", None))
    neurons = getattr(network, "neurons", [network])
    n = getattr(network, "nin", None) or len(getattr(neurons[0], "w", ()))
    if fire is None or not n:
        raise TypeError(f"draw(network) draws a Neuron, a Layer or an MLP, found {type(network).__name__}: call it on "
                        "inputs, and draw the result")
    letter = "a^{1}" if hasattr(network, "layers") else "x"
    inputs = [Value(0.0, f"{letter}_{{{j + 1}}}" if n > 1 else letter) for j in range(n)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # ln(0) is -inf
        outputs = fire(inputs)
    return [outputs] if isinstance(outputs, Value) else list(outputs)


def collapse_of(network: Any, nodes: int) -> str | None:
    if nodes <= NODES and not hasattr(network, "layers"):
        return None
    layers = getattr(network, "layers", [network])
    return "neuron" if sum(len(layer.neurons) for layer in layers if hasattr(layer, "neurons")) <= NEURONS else "layer"


@dataclass(slots=True, eq=False)
class NeuronBox:
    """The nodes of one neuron on one sample: from its parameters to its weighted sum, and on to its activation."""

    layer: str
    index: str
    last: Value                    # a, or z if there is no a
    z: Value | None = None
    sample: int = 0                # 1, 2, ... if the graph has the neuron several times
    parameters: dict[Value, None] = field(default_factory=dict)

    def activation(self, spell: Callable[[Any], str]) -> str:
        """The name or symbol of the op between z and a."""
        if self.last is self.z:
            return "linear"
        return spell(self.last.op) if self.z in self.last.parents else "s"


class Arrow(NamedTuple):
    """An arrow between two boxes, which stands for one argument of one node, or several."""

    tail: Value
    head: Value
    edges: list[tuple[Value, int]]  # (node, which of its arguments)


@dataclass(slots=True, eq=False)
class LayerBox:
    """The neurons of one layer, or the inputs of a network, in one box."""

    title: str
    members: list[NeuronBox]
    inputs: list[Value]


class Grouping:
    """A graph as it is to be drawn: which nodes belong to which neuron, and in which box each node is found."""

    def __init__(self, order: list[Value], roots: list[Value], parameters: Container[Value] | None = None) -> None:
        self.order = order
        self.place = {node: i for i, node in enumerate(order)}
        self.names = name_nodes(order)
        self.parts = {node: indices(node.label) or ("", "", "") for node in order}  # letter, layer, index
        self.symbolic = parameters is not None  # a network without a sample: only their numbers mean something
        self.uses: dict[Value, list[Value]] = {node: [] for node in order}
        for node in order:
            for parent in node.parents:
                self.uses[parent].append(node)
        self.roles = roles_of(order, roots, parameters or ())
        self.reached = reached_by_backward(order)
        self.neurons: list[NeuronBox] = []
        self.by_layer: dict[str, list[NeuronBox]] = {}
        self.member: dict[Value, NeuronBox] = {}
        self.find_neurons()
        self.home: dict[Value, Value | None] = {node: node for node in order}  # whose box a node is in; None: in none
        self.layers: dict[Value, LayerBox] = {}                                   # the boxes of layers, by their home

    def find_neurons(self) -> None:
        """Tell by the labels which nodes make up a neuron.

        It ends in a^k_i, or z^k_i. It has in it what is used nowhere else and follows from parameters, up to the
        activations of the layer before.
        """
        parts = self.parts
        follows = dict.fromkeys(node for node, role in self.roles.items() if role == "parameter")
        for node in self.order:
            if any(parent in follows and not (parent.parents and parts[parent][0] == "a") for parent in node.parents):
                follows[node] = None
        for node in reversed(self.order):
            owners = list(dict.fromkeys(self.member.get(use) for use in self.uses[node]))
            owner = owners[0] if len(owners) == 1 else None
            letter, layer, index = parts[node]
            if node.parents and node in follows and letter in ("z", "a"):
                if owner and letter == "z" and owner.z is None and (owner.layer, owner.index) == (layer, index):
                    owner.z = node
                else:
                    is_sum = letter == "z" and node.op in SUMS  # not what Bishop calls z, which is an activation
                    owner = NeuronBox(layer, index, node, node if is_sum else None)
                    self.neurons.append(owner)
                self.member[node] = owner
            elif owner and (node in follows or (node.op is CONSTANT and not node.label)):
                self.member[node] = owner
            if self.roles[node] == "parameter":
                for each in owners:
                    if each is not None:
                        each.parameters[node] = None
        self.neurons.reverse()
        count = Counter((neuron.layer, neuron.index) for neuron in self.neurons)
        met: Counter[tuple[str, str]] = Counter()
        for neuron in self.neurons:
            key = neuron.layer, neuron.index
            met[key] += 1
            neuron.sample = met[key] if count[key] > 1 else 0
            self.by_layer.setdefault(neuron.layer, []).append(neuron)

    def fold(self, by: str) -> None:
        """Put the nodes of each neuron, or of each layer, into one box."""
        for node in self.order:
            if node in self.member:
                self.home[node] = self.member[node].last
            elif self.roles[node] == "parameter" or (node.op is CONSTANT and not node.label):
                owners = [self.member.get(use) for use in self.uses[node]]
                if owners and None not in owners:
                    self.home[node] = None  # shared by the samples, or by neurons
        if by == "layer":
            for key, members in self.by_layer.items():
                self.box(LayerBox(title_of(key), members, []), [neuron.last for neuron in members])
            found: dict[str, list[Value]] = {}
            for node, (letter, key, _) in self.parts.items():
                if not node.parents and letter == "a" and key:
                    found.setdefault(key, []).append(node)
            for key, inputs in found.items():
                self.box(LayerBox(title_of(key), [], inputs), inputs)

    def box(self, layer: LayerBox, nodes: list[Value]) -> None:
        home = nodes[-1]
        inside = dict.fromkeys(nodes)
        for node, at in self.home.items():
            if at in inside:
                self.home[node] = home
        self.layers[home] = layer

    def boxes(self) -> list[Value]:
        return [node for node in self.order if self.home[node] is node]

    def arrows(self) -> list[Arrow]:
        """One for each argument that comes from another box; between layers, one for all of them."""
        found: dict[Any, Arrow] = {}
        for node in self.order:
            for i, parent in enumerate(node.parents):
                tail, head = self.home[parent], self.home[node]
                if tail is None or head is None or (tail is head and parent is not head):
                    continue
                merged = tail in self.layers or head in self.layers
                found.setdefault((tail, head) if merged else (node, i), Arrow(tail, head, [])).edges.append((node, i))
        return list(found.values())

    def length_of_arrows(self) -> int:
        """The number of columns that all arrows cross, with each box to the right of those that it depends on."""
        arrows = self.arrows()
        column: dict[Value, int] = {}
        for arrow in sorted(arrows, key=lambda arrow: self.place[arrow.head]):
            column[arrow.head] = max(column.get(arrow.head, 0), column.get(arrow.tail, 0) + 1)
        for arrow in arrows:
            if not arrow.tail.parents:  # a leaf stands just left of where it is used first
                column[arrow.tail] = min(column.get(arrow.tail, column[arrow.head]), column[arrow.head] - 1)
        return sum(column[arrow.head] - column.get(arrow.tail, 0) for arrow in arrows)

    def weight(self, arrow: Arrow) -> Value | None:
        """The parameter that the arrow into a neuron is multiplied by; None if it is not one."""
        node, i = arrow.edges[0]
        if len(arrow.edges) > 1 or node.op is not mul or self.home[node] is node:
            return None
        other = node.parents[1 - i]
        return other if self.roles[other] == "parameter" else None


def title_of(layer: str) -> str:
    return f"layer {layer}".strip()


PARAMETER = re.compile(r"(w|weight|b|bias)[_ ]?[0-9]*")


def roles_of(order: list[Value], roots: list[Value], parameters: Container[Value]) -> dict[Value, str]:
    """The role of each node: a key of LOOKS. A bare b is a bias only beside weights: in y = a + b it is an input."""
    ends = dict.fromkeys(roots)
    letters = {node: letter_of_parameter(node) for node in order if not node.parents and node.op is not CONSTANT}
    weights = any(letter == "w" for letter in letters.values())
    roles = {}
    for node in order:
        if node.parents:
            roles[node] = "output" if node in ends else "computed"
        elif node.op is CONSTANT:
            roles[node] = "constant"
        else:
            known = node in parameters or letters[node] == "w" or (letters[node] and weights)
            roles[node] = "parameter" if known else "input"
    return roles


def letter_of_parameter(node: Value) -> str:
    """w or b, if a leaf is labelled as a weight or a bias: w, w1, w^{2}_{1,1}, bias."""
    parts = indices(node.label)
    word = parts[0] if parts else node.label
    return word[0] if PARAMETER.fullmatch(word) else ""


def reached_by_backward(order: list[Value]) -> dict[Value, None]:
    """The nodes whose gradient is known: where it is 0, that is a result if a node computed from it has another."""
    reached: dict[Value, None] = {}
    for node in reversed(order):
        if node in reached or node.grad != 0.0:
            reached.update(dict.fromkeys((node, *node.parents)))
    return reached
