"""Error terms: which nodes are the weighted sums of a network, and what the gradients by them are called.

A weighted sum is told by its structure, whatever its letter (z, net, v, s, or the a of Bishop): a labelled node that is
a sum of products weight · input, and goes into an activation, or into a cost that compares it with a target. Its error
term has its index: δ₁ for net₁, δ³₁ for z³₁.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .. import ops
from ..engine import Value
from ..ops import CONSTANT
from .graph import Edge, Graph
from .labels import cut, indices, notation, on_one_line, unicode_label
from .layout import formula
from .notations import UNICODE

LETTERS = "δΔεd"  # what error terms are called: the first letter that no label begins with
BY_LETTER = "z"   # so networks label weighted sums: a sum of that name is one wherever it goes, if it is no activation

# What a node goes into, on the way up as long as nothing but a sum is made of it:
ACTIVATED = 1  # the argument of a function
SQUARED = 2    # of a power or an absolute value, as costs and a few activations are
COMPARED = 4   # the same, where a target was taken from it, or what that gives is TESTED
ADDED = 8      # a summand of a weighted sum
WEIGHED = 16   # a factor in one, beside a weight
TESTED = 32    # anything that comes to be compared with a target, or to a weighted sum, further up

NEAREST, ROOM = 3, 50  # nodes that a message has, and characters of a formula

SIZES = (ops.pow, ops.abs, ops.hypot)
IN_COSTS = (ops.log, ops.log1p, ops.log2, ops.log10, ops.sqrt, ops.cbrt)  # of probabilities and means; no activations


class Part(NamedTuple):
    """A node as a part of the sums above it. Whatever has a name, or is the result of a function, is one part. degree:
    how many computed factors there are in one product; with more than 1 it is no weighted sum. weight: 2 if there is a
    product of two names, such as w · x, 1 for a name and a number, 0.5 · x, else 0. names: what it is made of, two at
    the most."""

    degree: int
    weight: int = 0
    names: tuple[Value, ...] = ()

    @property
    def argument(self) -> Value | None:
        """The one computed node of which this is a function, 0.01 · z or 2s − 1."""
        return self.names[0] if len(self.names) == 1 and self.names[0].parents else None


def weighted_sums(graph: Graph) -> dict[Value, str]:
    """The nodes whose gradients are error terms, in the order of the graph, and the names of these, no two alike, none
    that of a node: δ^{3}_{1} for z^{3}_{1}, δ_{h1} for net_h1."""
    found = set(found_in(graph, sums_of(graph.order)))
    return named(graph, [node for node in graph.order if node in found])


def found_in(graph: Graph, sums: Mapping[Value, Part]) -> Iterator[Value]:
    """The weighted sums, from the root down."""
    above: dict[Value, int] = {}
    outputs = outputs_in(graph.order, sums)
    letters: set[str] = set()  # of those found so far
    for node, edges in graph.onward.items():
        into = above.get(node, 0)
        if node.label and node in sums and node is not graph.root:
            part = sums[node]
            if is_weighted_sum(graph, node, into, sums, outputs, letters):
                letters.add(split(node.label)[0])
                yield node
                into = ADDED | TESTED
            elif part.argument is not None and into & (ACTIVATED | COMPARED | WEIGHED):
                into = ACTIVATED | into & TESTED  # an activation that is a straight line
        for edge in edges:
            above[edge.parent] = above.get(edge.parent, 0) | passed_on(edge, into, sums)


def is_weighted_sum(graph: Graph, node: Value, into: int, sums: Mapping[Value, Part],
                    outputs: Container[Value], letters: Container[str]) -> bool:
    """Tell a weighted sum among sums with a name by what it is made of and what it goes into, or by its letter.
    letters: of those above."""
    part = sums[node]
    if part.argument is not None and part_of(part.argument, sums).weight:  # 0.01 · net, net + 1
        return part.degree <= 1 and bool(into & ACTIVATED)
    if split(node.label)[0] == BY_LETTER and node not in outputs:  # whatever its factors are; but a · σ(a) is none
        return part.degree <= 1 or not any(part_of(name, sums).weight and is_activation(edge.node, edge.i)
                                           for name in part.names for edge in graph.uses[name])
    if part.degree > 1 or not part.weight or (part.argument is not None and part.weight < 2):
        return False
    if into & (ACTIVATED | COMPARED):
        return True
    return bool(into & WEIGHED) and (part.weight == 2 or len(part.names) == 2) and (
        split(node.label)[0] in letters or not is_masked(node, sums))


def outputs_in(order: Iterable[Value], sums: Mapping[Value, Part]) -> set[Value]:
    """The nodes made of a function of a weighted sum that is not called z: 1.7 · tanh(a), which Bishop calls so. Such a
    function has no name; what has one is an input to what is above it."""
    near: set[Value] = set()  # these weighted sums, and what is made of them
    found: set[Value] = set()
    for node in order:
        if any((parent in found and not parent.label) or (parent in near and node not in sums)
               for parent in node.parents):
            found.add(node)
        if (part_of(node, sums).weight and split(node.label)[0] != BY_LETTER) or (
                not node.label and any(parent in near for parent in node.parents)):
            near.add(node)
    return found


def is_masked(node: Value, sums: Mapping[Value, Part]) -> bool:
    """Tell whether a node is a function's result times one leaf, as with the masks of dropout, m · a / 0.5: such a
    product alone, of which no function is taken, is not a neuron."""
    product = node
    while node.op in (ops.mul, ops.div, ops.neg) and (node is product or not node.label):
        computed = [parent for parent in node.parents if parent.parents]
        if len(computed) != 1:
            return False
        node = computed[0]
        if node not in sums:
            return True
    return False


# Downward: what a node is made of

def sums_of(order: Iterable[Value]) -> dict[Value, Part]:
    """Each node that is a sum or a product of those next below it that are a part, and what it is then."""
    sums: dict[Value, Part] = {}
    for node in order:
        part = sum_of(node, [part_of(parent, sums) for parent in node.parents])
        if part is not None:
            sums[node] = part
    return sums


def part_of(node: Value, sums: Mapping[Value, Part]) -> Part:
    """A node as a part of the sums above it."""
    if not node.parents:
        return Part(0, 0, () if is_number(node) else (node,))
    if node not in sums:
        return Part(1, 0, (node,))
    part = sums[node]
    return Part(1, part.weight if part.degree <= 1 else 0, (node,)) if node.label else part


def sum_of(node: Value, parts: Sequence[Part]) -> Part | None:
    """A node as a sum, by its op; None if that makes no sum."""
    op, parents = node.op, node.parents
    if op is ops.neg or (op is ops.identity and not node.label):
        return parts[0]
    if op is ops.pow and parts[0].degree == 0 and is_number(parents[1]):
        return parts[0]  # x², a feature
    if op is ops.div and parts[1].degree == 0:
        return parts[0]
    if op not in (ops.add, ops.sub, ops.mul):
        return None
    one, other = parts
    names = tuple(dict.fromkeys(one.names + other.names))[:2]
    weight = max(one.weight, other.weight)
    if op is not ops.mul:
        return Part(max(one.degree, other.degree), weight, names)
    if not (one.names and other.names):  # by a number: of a name, not of a sum, nor of what a function gives
        weight = max(weight, any(each in names and bool(each.label or not each.parents) for each in parents))
    elif parents[0] is not parents[1] and 0 in (one.degree, other.degree):
        weight = 2
    return Part(one.degree + other.degree, weight, names)


def is_number(node: Value) -> bool:
    """Tell whether a node is a bare number."""
    return node.op is CONSTANT and not node.label


# Upward: what a node goes into

def passed_on(edge: Edge, into: int, sums: Mapping[Value, Part]) -> int:
    """The flags of an argument of an op whose result has the flags `into`."""
    node, i, _ = edge
    op, tested = node.op, into & TESTED
    beside = [part_of(other, sums) for j, other in enumerate(node.parents) if j != i]
    if op is ops.neg or (op is ops.identity and not node.label):
        return into
    if op is ops.add:  # one of several products is not yet what the function is of
        return into & (ADDED | TESTED) if beside[0].weight else into
    if op is ops.sub:
        return into | COMPARED * bool(into & SQUARED) | TESTED * bool(into & (SQUARED | ACTIVATED))
    if op in SIZES or is_square(node):
        return SQUARED | COMPARED * bool(tested) | tested if i == 0 or op is not ops.pow else tested
    if op is ops.mul and any(other.op is ops.step for other in node.parents):
        return ACTIVATED | tested  # z · 1[z > 0]
    if op is ops.mul and beside[0].degree == 0:
        return (into & ~ADDED) | WEIGHED if into & ADDED and beside[0].names else into
    if op is ops.div and i == 0 and beside[0].degree == 0:
        return into
    return ACTIVATED | tested if is_activation(node, i) else tested


def is_square(node: Value) -> bool:
    """Tell whether a product is that of something computed with itself, (a − y) · (a − y), written out twice or not."""
    if node.op is not ops.mul or not node.parents[0].parents:
        return False
    one, other = node.parents
    return one is other or (one.op, one.parents) == (other.op, other.parents)


def is_activation(node: Value, i: int) -> bool:
    """Tell whether a node is a function of its i-th argument alone: sigmoid(z), max(0, z), 2 ** z; or the largest of
    several, as maxout units are."""
    if node.op in (ops.maximum, ops.minimum):
        return True
    if node.op in (ops.add, ops.sub, ops.neg, ops.mul, ops.div, *IN_COSTS) or (
            node.op is ops.identity and not node.label):
        return False
    return all(not parent.parents for j, parent in enumerate(node.parents) if j != i)


# Where there are none

def missing(graph: Graph) -> str:
    """Explain why a graph has no error term: which nodes come nearest to a weighted sum, and what they lack."""
    sums = sums_of(graph.order)
    near = [*dict.fromkeys(nearest(graph, sums))] or ["label it, as z = w*x + b before sigmoid(z)"]
    return ("no labelled node is a sum of products weight · input that goes into an activation, or into a cost that "
            f"compares it with a target: {'; '.join(near[:NEAREST])}")


def nearest(graph: Graph, sums: Mapping[Value, Part]) -> Iterator[str]:
    """Say what to do, or what keeps a labelled node from being one."""
    def is_product(node: Value) -> bool:
        part = sums.get(node, Part(0))
        return part.degree <= 1 and part.weight > 0 and part.argument is None

    for node in graph.order:
        for i, parent in enumerate(node.parents):
            into = f"the argument of {node.op.name}" if is_activation(node, i) else ""
            if parent.op is ops.sub and (node.op in SIZES or is_square(node)):
                parent = next(filter(is_product, parent.parents), parent)
                into = "the weighted sum in the cost"
            while parent.op is ops.neg and not parent.label:
                parent = parent.parents[0]
            if into and not parent.label and is_product(parent):
                yield f"label {into}, {written(graph, parent)}"
    for node in reversed(graph.order[:-1]):
        if node.label and node in sums:
            name = f"{unicode_label(graph.names[node])} = {written(graph, node)}"
            functions = [edge.node.op.name for edge in graph.uses[node] if is_activation(edge.node, edge.i)]
            if is_product(node):
                yield f"{name} goes into neither" if node in graph.onward else f"no derivative leads to {name}"
            elif functions:
                yield f"{name} goes into {functions[0]}, but there is no product weight · input in it"


def written(graph: Graph, node: Value) -> str:
    """The formula of a node, as far as a message has room."""
    try:
        return cut(formula(node, 1, UNICODE, "explain(y)", names=graph.names), ROOM)
    except ValueError:  # too long for anybody to read
        return "…"


# What error terms are called

def named(graph: Graph, nodes: Sequence[Value]) -> dict[Value, str]:
    """A name for the error term of each weighted sum: the index of its label; where this would be that of another one
    as well, the label's letters, too."""
    taken = {on_one_line(node.label)[:1] for node in graph.order if node.label}
    letter = next((each for each in LETTERS if each not in taken), LETTERS[-1])
    parts = {node: (split(node.label)[0], split(graph.names[node])[1]) for node in nodes}
    names = {node: letter + index for node, (_, index) in parts.items()}
    bases: dict[str, dict[str, None]] = {}  # for each name, as it is typed, the letters of the labels
    for node, name in names.items():
        bases.setdefault(on_one_line(name), {})[parts[node][0]] = None
    alike = {base for several in bases.values() if len(several) > 1 for base in several}
    stems = {base[:-1] for base in alike}
    stem = stems.pop() if len(stems) == 1 else ""  # the z of zₕ and zₒ; nothing, for c and d
    for node, (base, index) in parts.items():
        if base in alike and base != BY_LETTER:
            names[node] = longer(letter, base[len(stem):], index)
    count = Counter([*names.values(), *graph.names.values()])
    return {node: name if name and count[name] == 1 else f"{letter}({graph.names[node]})"
            for node, name in names.items()}


def split(label: str) -> tuple[str, str]:
    """The letters of a label and its index, as that is written: z and ^{3}_{1}, z and 1, net and _{h1} for net_h1; all
    of a label that is no such name, and ""."""
    name = notation(label)
    parts = indices(name)
    match = re.fullmatch(r"([^\W\d_]+)((?:_[0-9A-Za-z]+|[\w.,\[\]]*)(?: \([0-9]+\))?)", name)
    if parts is not None or match is None:
        return (parts[0], name[len(parts[0]):]) if parts else (name, "")
    return match[1], re.sub(r"^_([0-9A-Za-z]+)$", r"_{\1}", match[2])


def longer(letter: str, base: str, index: str) -> str:
    """The name with the letters of the label before its lower index: δ^{2}_{o1} for o^{2}_{1}, δ_{c} for c; "" where
    that is no name."""
    parts = indices(letter + index)
    above, below = parts[1:] if parts else ("", index)
    found = letter + (f"^{{{above}}}" if above else "") + f"_{{{base}{below}}}"
    return found if indices(found) else ""
