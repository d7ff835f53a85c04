"""Names for the vectors and matrices of layers that were found in a graph: W^{2}, z^{2}, δ^{2}.

A name is that of the labels, where these have it: W^{2} for w^{2}_{1,1}, w^{2}_{1,2}, ...; else layers are counted, 1
being the inputs, and it is said what the name means. This module knows nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from ..engine import Value
from .formula import Formula, symbol
from .labels import indices, unicode_label, word_of
from .layers import FoundLayer, LayerFinder, Nodes

MOST = 6  # items in a row or column that are shown; of more of them the first few and the last
ONES = Formula("1", r"\mathbf{1}")


class MatrixNames:
    """The names for the layers of a network, the last one first. marks: the index of each layer; z, a, W, d: the names
    of its weighted sums, its outputs, its weights and its δ; inputs: of what goes into it."""

    def __init__(self, found: LayerFinder, layers: list[FoundLayer], errors: Mapping[Value, str]) -> None:
        self.found = found
        self.samples = len(layers[0].z)
        self.taken = {word_of(name) for name in found.graph.names.values()}
        self.meanings: dict[str, str] = {}  # what a name stands for that no label has
        self.names: dict[str, list[Value]] = {}
        self.wholes: list[str] = []         # what has a column for each sample
        self.marks = numbered(layers)
        self.z, self.a, self.W, self.d = [], [], [], []
        for mark, layer in zip(self.marks, layers):
            self.z.append(self.vector(layer.z, mark, "zns"))
            self.a.append(self.vector(layer.a, mark, "ahoy"))
            self.W.append(self.matrix(layer.weights, mark))
            self.d.append(self.vector(layer.z, mark, word_of(errors[layer.z[0][0]]), error_names(layer, errors)))
        below = str(int(self.marks[-1]) - 1) if self.marks[-1].isdecimal() else ""
        inputs = layers[-1].inputs
        self.inputs = [*self.a[1:], self.vector(inputs, below, "axhi", given=inputs[0][0] not in found.above)]

    def vector(self, samples: Nodes, mark: str, letters: str, labels: list[list[str]] | None = None, *,
               given: bool = False) -> str:
        """A name for these nodes together: a^{2} for a^{2}_{1}, a^{2}_{2}. samples: the nodes of each; letters: to
        choose from, if theirs differ; labels: instead of their own; given: they are the inputs of the network."""
        nodes, one, own = samples[0], len(samples) == 1, labels or labelled(samples)
        alike = all(row == own[0] for row in own)
        parts = [index_parts(label) for label in own[0]]
        base, above, below = parts[0]
        known = alike and bool(base) and (above == mark or (given and below != "")) and is_counted(parts)
        bases = [base] if known else [*filter(None, [common(chain(*own))]), *self.free(letters)]
        if not one:
            bases = [self.capital(base) or base for base in bases]
        above = above if known else mark
        named = [f"{base}^{{{above}}}" if above else base for base in bases]
        name = next((name for name in named if self.names.setdefault(name, nodes) == nodes), named[-1])
        if not known and (one or all(chain(*own))):
            words = list(map(self.found.name, nodes)) if one and not labels else list(map(unicode_label, own[0]))
            self.meanings[name] = f"({', '.join(shortened(words, '…'))})" if alike else in_rows(zip(*own))
        if not one and name not in self.wholes:
            self.wholes.append(name)
        return name

    def matrix(self, weights: Nodes, mark: str) -> str:
        """A name for the weights of a layer."""
        labels = labelled(weights)
        letters = common(chain(*labels))
        self.names.setdefault(f"{letters}^{{{mark}}}", [])  # no vector of biases beside W² is called w²
        capital = self.capital(letters)
        name = f"{capital or self.free('WMVΘ')[0]}^{{{mark}}}"
        one_row, one_column = len(labels) == 1, len(labels[0]) == 1

        def has_its_place(label: str, i: int, j: int) -> bool:
            """Tell whether a label says that it is of this layer, in row i and column j."""
            _, above, below = indices(label) or ("", "", "?")
            places = [f"{i},{j}", f"{i}{j}", f"{i}, {j}"]
            places += ([f"{j}"] if one_row else []) + ([f"{i}"] if one_column else [])
            return above == mark and (below in places if below else one_row and one_column)

        known = capital and all(has_its_place(label, i, j) for i, row in enumerate(labels, 1)
                                for j, label in enumerate(row, 1))
        if not known and all(chain(*labels)):
            self.meanings[name] = in_rows(labels)
        return name

    def capital(self, letters: str) -> str:
        """W for w; "" for a word, or where something is called so."""
        upper = letters.upper()
        return upper if len(upper) == 1 and indices(upper) and upper not in self.taken else ""

    def free(self, letters: str) -> list[str]:
        """Those of these letters that no name in the graph begins with; the last one, if there is none."""
        return [each for each in letters if each not in self.taken] or [letters[-1]]

    def explained(self, sides: Sequence[Formula], notes: Sequence[str]) -> list[str]:
        """The meanings of the names that are used in these sides of lines, or in notes."""
        def used(name: str) -> bool:
            return any(symbol(name) in text for text in (*sides, *notes))

        meanings = [f"{symbol(name)} = {words}" for name, words in self.meanings.items() if used(name)]
        found = [f"Here {', '.join(meanings)}."] if meanings else []
        if any("[" in each for each in meanings):
            found.append("A matrix of weights has a row for each neuron, and a column for each input.")
        if self.samples > 1 and sides:
            *names, last = (str(symbol(name)) for name in self.wholes if used(name))
            found.append(f"{', '.join(names)} and {last} have a column for each of the {self.samples} samples.")
        if any(word in (ONES, f"{ONES}ᵀ") for side in sides for word in side.replace("−", "").split()):
            found.append("1 is a vector of ones.")
        return found


def numbered(layers: Sequence[FoundLayer]) -> list[str]:
    """The index of each layer."""
    marks = [{index_parts(z.label)[1] for z in layer.z[0]} for layer in layers]
    together = set().union(*marks)
    if "" not in together and len(together) == len(marks) == sum(map(len, marks)):
        return [mark.pop() for mark in marks]
    return [str(layer.rank + 1) for layer in layers]


def index_parts(label: str) -> tuple[str, str, str]:
    """The letters of a label, its upper index and its lower one; nothing for a label that has no such form."""
    return indices(label) or ("", "", "")


def common(labels: Iterable[str]) -> str:
    """The letters that all labels begin with; "" if they differ."""
    found = {word_of(label) for label in labels}
    return found.pop() if len(found) == 1 and indices(min(found)) else ""


def labelled(samples: Nodes) -> list[list[str]]:
    return [[node.label for node in nodes] for nodes in samples]


def error_names(layer: FoundLayer, errors: Mapping[Value, str]) -> list[list[str]]:
    """The names of a layer's δ, without the number of the sample, where the labels have none."""
    labels = labelled(layer.z)
    repeated = len(labels) > 1 and all(row == labels[0] for row in labels)
    return [[word_of(errors[z]) + z.label.removeprefix(word_of(z.label)) if repeated else errors[z] for z in zs]
            for zs in layer.z]


def in_rows(labels: Iterable[Sequence[str]]) -> str:
    """Labels as a matrix: [w₁₁ w₁₂; w₂₁ w₂₂]."""
    rows = [" ".join(shortened(list(map(unicode_label, row)), "⋯")) for row in labels]
    return f"[{'; '.join(shortened(rows, '⋮'))}]"


def is_counted(labels: Sequence[tuple[str, str, str]]) -> bool:
    """Tell whether labels, in their parts, are those of one vector in order, from 1 or 0 up: z^{2}_{1}, z^{2}_{2}."""
    belows = [below for _, _, below in labels]
    counted = [[str(n + start) for n in range(len(labels))] for start in (0, 1)]
    return len({label[:2] for label in labels}) == 1 and belows in (*counted, [""])


def shortened(items: Sequence[Any], *dots: Any) -> list[Any]:
    """Items with dots in the place of those that are too many."""
    return [*items[:MOST - 2], *dots, items[-1]] if len(items) > MOST else list(items)
