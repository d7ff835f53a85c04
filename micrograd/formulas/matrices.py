"""The matrix form of backpropagation, found again in a graph of scalars:

    δ^K = ∇_a C ⊙ s′(z^K)    δ^k = ((W^{k+1})ᵀ δ^{k+1}) ⊙ s′(z^k)    ∂C/∂W^k = δ^k (a^{k−1})ᵀ    ∂C/∂b^k = δ^k

With a penalty on the weights, J = C + λ/2 · Σ w², it is ∂J/∂W^k = δ^k (a^{k−1})ᵀ + λ W^k; of several samples each
vector is a matrix, with a column for each. The layers are those of the graph's structure (`layers`); a line is written
only if it gives, with the numbers of the graph, the gradients that the graph has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isclose, isfinite, isnan
from typing import Any, Union

from ..engine import Value
from ..ops import CONSTANT
from ..terminal import Printed, Spelling, folded
from .algebra import (
    CALL,
    DOTS,
    ONE,
    ZERO,
    Formula,
    Name,
    Term,
    Terms,
    addends,
    both,
    comes_to,
    derivative_of,
    name_of,
    parts,
    prime,
    product_of,
    signed,
    symbol,
    with_number,
    written,
)
from .graph import Graph
from .layers import Layer, Layers, Nodes, NoFormError
from .layout import (
    LATEX,
    LETTER,
    SUBSCRIPT,
    UNICODE,
    Notation,
    Written,
    fenced,
    indices,
    rounded,
    unicode_label,
    word_of,
)

Rows = tuple[tuple[float, ...], ...]
Piece = Union[Rows, str]  # of a line: a matrix, what stands between two, as a key of SIGNS, or a number as a Formula
CELLS = 6                 # rows or columns that are printed; of more of them the first few and the last

TALL = {"(": "⎛⎜⎝", ")": "⎞⎟⎠"}
SIGNS = {"(": r"\left(", ")": r"\right)", "ᵀ": r"^{\top}", "⊙": r" \odot ", "+": " + ", "−": "-"}
ONES = Formula("1", r"\mathbf{1}")
LONG = 20                 # names, numbers and ops in the factor of a penalty: a longer one is for nobody to read


@dataclass(frozen=True, slots=True, repr=False)
class Matrix(Printed):
    """One line of the matrix form: left = right = matrices = the matrix that results."""

    left: Formula              # δ²
    right: Formula             # ((W³)ᵀ δ³) ⊙ σ′(z²)
    numbers: tuple[Piece, ...]  # the right side in numbers
    value: Rows                # what it comes to; a vector is a column

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data; a matrix is a list of rows."""
        def plain(matrix: Rows) -> list[list[float]]:
            return [list(row) for row in matrix]
        return {"left": self.left.to_dict(), "right": self.right.to_dict(), "value": plain(self.value),
                "numbers": [piece if isinstance(piece, str) else plain(piece) for piece in self.numbers]}

    def _laid_out(self, width: int, spell: Spelling) -> str:
        numbers: tuple[Piece, ...] = ("=", *self.numbers) if self.numbers != (self.value,) else ()
        rows = beside((*numbers, "=", self.value), width - 3, spell)
        equation = folded(spell(f"{self.left} = {self.right}"), width, 6)
        return "\n".join([*equation, *(f"   {row}".rstrip() for row in rows)])

    @property
    def latex(self) -> str:
        """The line as two rows of an aligned environment."""
        numbers, value = ("".join(map(in_latex, pieces)) for pieces in (self.numbers, [self.value]))
        numbers = "" if numbers == value else f" = {numbers}"
        return rf"{self.left.latex} & = {self.right.latex} \\ &{numbers} = {value}"


def matrix_form(graph: Graph, x: Value | None, errors: Mapping[Value, str]) -> tuple[
        tuple[Matrix, ...], list[str], dict[Value, None]]:
    """The lines for all layers, from the last one down to that of x, none for a net of single neurons; notes, what the
    names in them mean, or why there is no line; and the weights and biases whose gradients they give.

    errors: the weighted sums of the graph, each with the name of its δ.
    """
    layers = Layers(graph, errors)
    try:
        form = Form(layers, layers.found(x), errors)
        lines = form.all_lines(x) if form.wide() else []
    except NoFormError as reason:
        return (), [f"There is no matrix form: {reason}."] if layers.several() else [], {}
    return tuple(lines), [*form.words(lines), *form.notes], form.covered


class Form:
    """The lines of a network whose layers were found, the last one first, and the names of their matrices.

    A name is that of the labels, where these have it: W^{2} for w^{2}_{1,1}, w^{2}_{1,2}, ...; else layers are counted,
    1 being the inputs, and it is said what the name means.
    """

    def __init__(self, found: Layers, layers: list[Layer], errors: Mapping[Value, str]) -> None:
        self.found, self.graph, self.layers = found, found.graph, layers
        self.root = self.graph.names[self.graph.root]
        self.samples = len(layers[0].z)
        self.taken = {word_of(name) for name in self.graph.names.values()}
        self.meanings: dict[str, str] = {}  # what a name stands for that no label has
        self.names: dict[str, list[Value]] = {}
        self.wholes: list[str] = []         # what has a column for each sample
        self.notes: list[str] = []
        self.covered: dict[Value, None] = {}  # the weights and biases that have a line
        self.marks = self.numbered()
        self.z, self.a, self.W, self.d = [], [], [], []
        for mark, layer in zip(self.marks, layers):
            self.z.append(self.vector(layer.z, mark, "zns"))
            self.a.append(self.vector(layer.a, mark, "ahoy"))
            self.W.append(self.matrix(layer.weights, mark))
            self.d.append(self.vector(layer.z, mark, word_of(errors[layer.z[0][0]]), error_names(layer, errors)))
        below = str(int(self.marks[-1]) - 1) if self.marks[-1].isdecimal() else ""
        inputs = layers[-1].inputs
        self.inputs = [*self.a[1:], self.vector(inputs, below, "axhi", given=inputs[0][0] not in found.above)]

    def wide(self) -> bool:
        """Whether there is a layer of several neurons."""
        return any(len(layer.z[0]) > 1 or (len(layer.inputs[0]) > 1 and all(x.parents for x in layer.inputs[0]))
                   for layer in self.layers)

    # Names

    def numbered(self) -> list[str]:
        """The index of each layer."""
        marks = [{(indices(z.label) or ("", "", ""))[1] for z in layer.z[0]} for layer in self.layers]
        together = set().union(*marks)
        if "" not in together and len(together) == len(marks) == sum(map(len, marks)):
            return [mark.pop() for mark in marks]
        return [str(layer.rank + 1) for layer in self.layers]

    def vector(self, samples: Nodes, mark: str, letters: str, labels: list[list[str]] | None = None, *,
               given: bool = False) -> str:
        """A name for these nodes together: a^{2} for a^{2}_{1}, a^{2}_{2}. samples: the nodes of each; letters: to
        choose from, if theirs differ; labels: instead of their own; given: they are the inputs of the network."""
        nodes, one, own = samples[0], len(samples) == 1, labels or labelled(samples)
        alike = all(row == own[0] for row in own)
        parts = [indices(label) or ("", "", "") for label in own[0]]
        base, above, below = parts[0]
        known = alike and bool(base) and (above == mark or (given and below != "")) and is_counted(parts)
        bases = [base] if known else [*filter(None, [self.common(chain(*own))]), *self.free(letters)]
        if not one:
            bases = [self.capital(base) or base for base in bases]
        above = above if known else mark
        named = [base + f"^{{{above}}}" * bool(above) for base in bases]
        name = next((name for name in named if self.names.setdefault(name, nodes) == nodes), named[-1])
        if not known and (one or all(chain(*own))):
            words = list(map(self.found.name, nodes)) if one and not labels else list(map(unicode_label, own[0]))
            self.meanings[name] = f"({', '.join(shortened(words, '…'))})" if alike else in_rows(zip(*own))
        if not one and name not in self.wholes:
            self.wholes.append(name)
        return name

    def capital(self, letters: str) -> str:
        """W for w; "" for a word, or where something is called so."""
        upper = letters.upper()
        return upper if len(upper) == 1 and indices(upper) and upper not in self.taken else ""

    def common(self, labels: Iterable[str]) -> str:
        """The letters that all of them begin with; "" if they differ."""
        found = {word_of(label) for label in labels}
        return found.pop() if len(found) == 1 and indices(min(found)) else ""

    def free(self, letters: str) -> list[str]:
        """Those of these letters that no name in the graph begins with; the last one, if there is none."""
        return [each for each in letters if each not in self.taken] or [letters[-1]]

    def matrix(self, weights: list[list[Value]], mark: str) -> str:
        """A name for the weights of a layer."""
        labels = [[w.label for w in row] for row in weights]
        letters = self.common(label for row in labels for label in row)
        self.names.setdefault(f"{letters}^{{{mark}}}", [])  # no vector of biases beside W² is called w²
        common = self.capital(letters)
        name = f"{common or self.free('WMVΘ')[0]}^{{{mark}}}"
        one_row, one_column = len(labels) == 1, len(labels[0]) == 1
        for i, row in enumerate(labels, 1):
            for j, label in enumerate(row, 1):
                places = [f"{i},{j}", f"{i}{j}", f"{i}, {j}", f"{j}" * one_row, f"{i}" * one_column]
                _, above, below = indices(label) or ("", "", "?")
                if not common or above != mark or below not in (places if below else [""] * (one_row and one_column)):
                    if all(map(all, labels)):
                        self.meanings[name] = in_rows(labels)
                    return name
        return name

    def words(self, lines: Sequence[Matrix]) -> list[str]:
        """What the names in these lines mean."""
        texts = [side for line in lines for side in (line.left, line.right)] + self.notes

        def used(name: str) -> bool:
            return any(symbol(name) in text for text in texts)

        meanings = [f"{symbol(name)} = {words}" for name, words in self.meanings.items() if used(name)]
        notes = [f"Here {', '.join(meanings)}."] if meanings else []
        if any("[" in each for each in meanings):
            notes.append("A matrix of weights has a row for each neuron, and a column for each input.")
        if self.samples > 1 and lines:
            *names, last = (str(symbol(name)) for name in self.wholes if used(name))
            notes.append(f"{', '.join(names)} and {last} have a column for each of the {self.samples} samples.")
        if any(word in (ONES, f"{ONES}ᵀ") for line in lines for word in line.right.replace("−", "").split()):
            notes.append("1 is a vector of ones.")
        return notes

    # Lines

    def all_lines(self, x: Value | None) -> list[Matrix]:
        """The lines from the last layer down to that of x."""
        if x is not None and not any(layer.has(x) for layer in self.layers):
            raise NoFormError(f"{self.found.name(x)} is no part of a layer, such as a weight, a bias or an input")
        found = []
        for k, layer in enumerate(self.layers):
            found += self.lines(k, x)
            if x is not None and layer.has(x):
                return found
        computed = [self.found.name(node) for node in self.layers[-1].inputs[0] if node.parents]
        if computed:
            inputs = ", ".join(shortened(computed, "…"))
            self.notes.append(f"Taken as inputs of the network: {inputs}, as no weighted sum below them has a label.")
        return found

    def lines(self, k: int, x: Value | None) -> list[Matrix]:
        """Those of one layer. k: its place in the list. x: what is differentiated by, where that is one node."""
        layer = self.layers[k]
        found = [self.error_terms(k)]
        for nodes, make in ((chain(*layer.weights), self.by_weights),
                            ((bias.node for biases in layer.biases for bias in biases), self.by_biases),
                            (chain(*layer.inputs) if x is not None else (), self.by_inputs)):
            asked = [node for node in nodes if node.op is not CONSTANT]
            if asked if x is None else x in asked:
                try:
                    found.append(make(k))
                except NoFormError as reason:
                    self.notes.append(f"{reason}.")
        return found

    def error_terms(self, k: int) -> Matrix:
        """δ^k, from the output or from the layer above."""
        layer = self.layers[k]
        if k == 0:
            above = self.gradients(layer.a)
            pieces: tuple[Piece, ...] = (above,)
            symbols = nabla(self.a[k], name_of(self.graph, self.graph.root))
        else:
            symbols, pieces, above = self.handed_down(k - 1)
        if not layer.is_linear():
            slopes = transposed([[self.found.slope(a, z) for a, z in zip(*sample)] for sample in zip(layer.a, layer.z)])
            prime = self.prime(k)
            if len(pieces) > 1:
                pieces, symbols = ("(", *pieces, ")"), Formula(f"({symbols})", rf"\left({symbols.latex}\right)")
            symbols = Formula(f"{symbols} ⊙ {prime}", rf"{symbols.latex} \odot {prime.latex}")
            pieces = (*pieces, "⊙", slopes)
            above = tuple(tuple(x * s for x, s in zip(*rows)) for rows in zip(above, slopes))
        return checked(Matrix(symbol(self.d[k]), symbols, pieces, above), self.gradients(layer.z))

    def handed_down(self, k: int) -> tuple[Formula, tuple[Piece, ...], Rows]:
        """(W^k)ᵀ δ^k, the gradient by the inputs of a layer."""
        W, d = symbol(self.W[k]), symbol(self.d[k])
        matrix, error = data_of(self.layers[k].weights), self.gradients(self.layers[k].z)
        return (Formula(f"({W})ᵀ {d}", rf"\left({W.latex}\right)^{{\top}} {d.latex}"), (matrix, "ᵀ", error),
                times(transposed(matrix), error))

    def prime(self, k: int) -> Formula:
        """σ′(z^k), if all neurons have the one activation; else s′(z^k)."""
        argument, layer = symbol(self.z[k]), self.layers[k]
        ops = {a.op if z in a.parents else None for pair in zip(layer.a, layer.z) for a, z in zip(*pair)}
        op = ops.pop() if len(ops) == 1 else None
        same = op is not None and CALL.fullmatch(op.latex) is not None
        text, latex = (prime(op, UNICODE), prime(op, LATEX)) if op is not None and same else ("s′", "s'")
        slope = Formula(f"{text}({argument})", rf"{latex}\left({argument.latex}\right)")
        if not same:
            self.notes.append(f"{slope} is the slope of each neuron's own output by its weighted sum.")
        return slope

    def by_weights(self, k: int) -> Matrix:
        """∂C/∂W^k"""
        layer, W, d, a = self.layers[k], symbol(self.W[k]), symbol(self.d[k]), symbol(self.inputs[k])
        left, nodes = derivative_of(self.root, self.W[k]), list(chain(*layer.weights))
        count = Counter(nodes)
        often = [w for w in nodes if w.op is CONSTANT or count[w] > 1]
        if often:
            raise NoFormError(f"{left} has no line: {self.found.name(often[0])} "
                              + ("is a bare number" if often[0].op is CONSTANT else f"stands in several places of {W}"))
        error, before = self.gradients(layer.z), transposed(data_of(layer.inputs))
        right = Formula(f"{d} ({a})ᵀ", rf"{d.latex} \left({a.latex}\right)^{{\top}}")
        line = Matrix(left, right, (error, before, "ᵀ"), times(error, transposed(before)))
        return self.with_penalty(line, layer.weights, W, layer)

    def by_biases(self, k: int) -> Matrix:
        """∂C/∂b^k; by the one bias that all neurons of a layer share, a sum of the δ."""
        layer, d = self.layers[k], symbol(self.d[k])
        biases = [bias for biases in layer.biases for bias in biases]
        nodes = list(dict.fromkeys(bias.node for bias in biases))
        alike = all(len(each) == 1 for each in layer.biases) and len({bias.sign for bias in biases}) == 1
        if not alike or len(nodes) not in (1, len(biases)):
            raise NoFormError(f"There is no line for the biases beside {d}: not every neuron has one of its own, nor "
                              "do all share one")
        error, ones = self.gradients(layer.z), column([1.0] * self.samples)
        pieces: list[Piece] = [error]
        right, value = d, error
        if self.samples > 1:
            right, pieces, value = Formula(f"{d} {ONES}", rf"{d.latex} {ONES.latex}"), [error, ones], times(error, ones)
        if len(nodes) < len(biases):
            across = column([1.0] * len(biases))
            right = Formula(f"{ONES}ᵀ {right}", rf"{ONES.latex}^{{\top}} {right.latex}")
            pieces, value = [across, "ᵀ", *pieces], times(transposed(across), value)
            name = self.graph.names[nodes[0]]
        else:
            name = self.vector([nodes], self.marks[k], "bβ")
        if biases[0].sign < 0:
            right, pieces = Formula(f"−{right}", f"-{right.latex}"), ["−", *pieces]
            value = tuple(tuple(-x for x in row) for row in value)
        line = Matrix(derivative_of(self.root, name), right, tuple(pieces), value)
        return self.with_penalty(line, [[b] for b in nodes], symbol(name), layer)

    def by_inputs(self, k: int) -> Matrix:
        """∂C/∂a^{k−1}"""
        layer, left = self.layers[k], derivative_of(self.root, self.inputs[k])
        for node in chain(*layer.inputs):
            if any(use not in layer.inside for use in self.found.used(node)):
                raise NoFormError(f"{left} has no line: {self.found.name(node)} is used elsewhere, too")
        right, pieces, value = self.handed_down(k)
        return checked(Matrix(left, right, pieces, value),
                       self.gradients(self.layers[k].inputs))

    def gradients(self, samples: list[list[Value]]) -> Rows:
        """Those of a layer: a row for each neuron, a column for each sample."""
        return transposed([[self.graph.gradients[node] for node in nodes] for nodes in samples])

    # Penalties

    def with_penalty(self, line: Matrix, nodes: list[list[Value]], name: Formula, layer: Layer) -> Matrix:
        """The line, and λ W with it where the root has a penalty such as λ/2 · Σ w²."""
        factor = self.penalty(list(chain(*nodes)), line.left, name, layer)
        if factor is not None:
            numbers, times_it = data_of(nodes), ("+",) if factor == ONE else ("+", signed(factor.x))
            written_out = both(lambda notation: as_factor(written(factor, notation), notation))
            plus = Formula(f"{line.right} +", f"{line.right.latex} +")
            spelled = plus if factor == ONE else Formula(f"{plus} {written_out}",
                                                         rf"{plus.latex} {written_out.latex} \,")
            line = Matrix(line.left, Formula(f"{spelled} {name}", f"{spelled.latex} {name.latex}"),
                          (*line.numbers, *times_it, numbers),
                          tuple(tuple(x + factor.x * w for x, w in zip(*rows)) for rows in zip(line.value, numbers)))
        line = checked(line, tuple(tuple(self.graph.gradients[node] for node in row) for row in nodes))
        self.covered.update(dict.fromkeys(chain(*nodes)))
        return line

    def penalty(self, nodes: list[Value], left: Formula, name: Formula, layer: Layer) -> Term | None:
        """The factor λ, where these nodes reach the root past their layer, too, and each adds λ times itself to its
        gradient; None where none does. It is derived in symbols: for one weight, any number is a multiple."""
        graph, wanted = self.graph, dict.fromkeys(nodes)
        way: dict[Value, None] = {}
        for node in nodes:
            for use in self.found.used(node):
                if use not in layer.inside:
                    if use in self.found.below or use in self.found.sums:
                        raise NoFormError(f"{left} has no line: {self.found.name(node)} is used elsewhere, too")
                    way[use] = None
        if not way:
            return None
        for node in graph.order:
            if any(edge.parent in way for edge in graph.onward.get(node, ())):
                way[node] = None
        names = dict.fromkeys(way, DOTS)  # no formula of what is added up there, which may be long
        terms = Terms({**names, **{node: graph.names[node] for node in graph.order
                                   if node.label or node is graph.root or node in wanted}})
        gradients: dict[Value, Term] = {graph.root: ONE}
        for node, edges in graph.onward.items():
            for edge in edges if node in way else ():
                if edge.parent in way or edge.parent in wanted:
                    so_far = gradients.get(edge.parent, ZERO)
                    gradients[edge.parent] = so_far + gradients[node] * terms.slope(node, edge.i)
        factors = {multiple(gradients.get(node, ZERO), Name(graph.names[node], node.data)) for node in nodes}
        factor = factors.pop()
        if factor is None or factors or factor.size > LONG:
            root = name_of(graph, graph.root)
            raise NoFormError(f"{left} has no line: {root} depends on {name} in another way, too, which is no penalty "
                              "such as λ/2 · Σ w²")
        return factor


def labelled(samples: Nodes) -> list[list[str]]:
    """The labels of these nodes."""
    return [[node.label for node in nodes] for nodes in samples]


def error_names(layer: Layer, errors: Mapping[Value, str]) -> list[list[str]]:
    """The names of a layer's δ, without the number of the sample, where the labels have none."""
    repeated = len(layer.z) > 1 and all(row == labelled(layer.z)[0] for row in labelled(layer.z))
    return [[word_of(errors[z]) + z.label.removeprefix(word_of(z.label)) if repeated else errors[z] for z in zs]
            for zs in layer.z]


def in_rows(labels: Iterable[Sequence[str]]) -> str:
    """Labels as a matrix: [w₁₁ w₁₂; w₂₁ w₂₂]."""
    rows = [" ".join(shortened(list(map(unicode_label, row)), "⋯")) for row in labels]
    return f"[{'; '.join(shortened(rows, '⋮'))}]"


def is_counted(labels: Sequence[tuple[str, str, str]]) -> bool:
    """Whether labels, in their parts, are those of one vector in order, from 1 or 0 up: z^{2}_{1}, z^{2}_{2}, ..."""
    belows = [below for _, _, below in labels]
    counted = [[str(n + start) for n in range(len(labels))] for start in (0, 1)]
    return len({label[:2] for label in labels}) == 1 and belows in (*counted, [""])


def multiple(term: Term, name: Name) -> Term | None:
    """The factor by which a term is a multiple of a name; None if it is none."""
    found: Term = ZERO
    for addend, times_it in addends(term):
        coefficient, factors = parts(addend)
        others = [factor for factor in factors if factor != (name, 1)]
        if len(others) == len(factors):
            return None
        found = found + product_of(0.0, coefficient * times_it, others)
    return with_number(found, comes_to(found))


def as_factor(piece: Written, notation: Notation) -> Written:
    """A coefficient before a matrix: (λ / n) W."""
    return Written(fenced(piece, "power" if " / " in piece.text else "product", notation), "atom")


def nabla(a: str, C: Formula) -> Formula:
    """∇ₐC"""
    base, _, _ = indices(a) or (a, "", "")
    below = base.translate(SUBSCRIPT) if len(base) == 1 and ord(base) in SUBSCRIPT else f"_{LETTER.get(base, base)} "
    return Formula(f"∇{below}{C}", rf"\nabla_{{{symbol(base).latex}}} {C.latex}")


def checked(line: Matrix, gradients: Rows) -> Matrix:
    """The line, if it gives what the graph gives; else NoFormError."""
    rounding = 1e-12 * size_of(line.numbers)
    same = all(isclose(x, y, rel_tol=1e-9, abs_tol=rounding) or (isnan(x) and isnan(y))
               for row, other in zip(line.value, gradients) for x, y in zip(row, other))
    if not same:
        raise NoFormError(f"{line.left} = {line.right} would not give the numbers of the graph")
    return line


def size_of(pieces: Sequence[Piece]) -> float:
    """How large the addends of a line may be, which may cancel."""
    sizes = [1.0]
    for piece in pieces:
        if piece == "+":
            sizes.append(1.0)
        elif not isinstance(piece, str):
            sizes[-1] *= max((abs(x) for row in piece for x in row if isfinite(x)), default=0.0)
    return sum(sizes)


def data_of(nodes: Sequence[Sequence[Value]]) -> Rows:
    return tuple(tuple(node.data for node in row) for row in nodes)


def column(numbers: Sequence[float]) -> Rows:
    return tuple((x,) for x in numbers)


def transposed(matrix: Sequence[Sequence[float]]) -> Rows:
    return tuple(zip(*matrix))


def times(a: Rows, b: Rows) -> Rows:
    return tuple(tuple(sum(x * y for x, y in zip(row, other)) for other in transposed(b)) for row in a)


# Printing

def cells(matrix: Rows, notation: Notation, dots: tuple[str, str, str]) -> list[list[str]]:
    """The numbers as text; of a large matrix the first few rows and columns and the last."""
    across, down, both_ways = dots
    table = [[rounded(x, notation).text for x in shortened(row)] for row in shortened(matrix)]
    if len(matrix[0]) > CELLS:
        table = [[*row[:-1], across, row[-1]] for row in table]
    if len(matrix) > CELLS:
        middle = [down] * len(table[0])
        if len(matrix[0]) > CELLS:
            middle[-2] = both_ways
        table.insert(-1, middle)
    return table


def shortened(items: Sequence[Any], *dots: Any) -> list[Any]:
    return [*items[:CELLS - 2], *dots, items[-1]] if len(items) > CELLS else list(items)


def block(piece: Piece, spell: Spelling) -> list[str]:
    """A piece as lines of text: a matrix in brackets as high as it is."""
    if isinstance(piece, str):
        return [spell(piece)]
    table = [[spell(entry) for entry in row] for row in cells(piece, UNICODE, ("⋯", "⋮", "⋱"))]
    widths = [max(map(len, entries)) for entries in zip(*table)]
    rows = ["  ".join(f"{entry:>{width}}" for entry, width in zip(row, widths)) for row in table]
    if len(rows) == 1:
        return [f"[{rows[0]}]"]
    left, right = (top + middle * (len(rows) - 2) + bottom for top, middle, bottom in
                   (tuple(spell("⎡⎢⎣")), tuple(spell("⎤⎥⎦"))))
    return [f"{a} {row} {b}" for a, row, b in zip(left, rows, right)]


def beside(pieces: Sequence[Piece], width: int, spell: Spelling) -> list[str]:
    """Pieces side by side as lines of text, centred; a transposition mark at the top, parentheses as high as all. What
    has no room beside the others goes on below."""
    blocks = [block(piece, spell) for piece in pieces]
    height = max(map(len, blocks))
    parts: list[list[str]] = []  # a sign, and the matrix to its right
    before = ""
    for piece, rows in zip(pieces, blocks):
        if isinstance(piece, str) and piece in TALL and height > 1:
            top, middle, bottom = tuple(spell(TALL[piece]))
            rows = [top, *[middle] * (height - 2), bottom]
        above = 0 if piece == "ᵀ" else (height - len(rows)) // 2
        blank = " " * max(map(len, rows))
        rows = [row.ljust(len(blank)) for row in [blank] * above + rows + [blank] * (height - len(rows) - above)]
        if before in ("=", "⊙", "+", "number"):
            parts[-1] = [f"{line} {row}" for line, row in zip(parts[-1], rows)]
        elif before in ("(", "−") or piece in ("ᵀ", ")"):
            parts[-1] = [line + row for line, row in zip(parts[-1], rows)]
        else:
            parts.append(rows)
        before = "number" if isinstance(piece, Formula) else piece if isinstance(piece, str) else "matrix"
    done: list[str] = []
    lines, *others = parts
    for rows in others:
        if len(lines[0]) + 1 + len(rows[0]) > width:
            done, lines = [*done, *ended(lines), ""], rows
        else:
            lines = [f"{line} {row}" for line, row in zip(lines, rows)]
    return [*done, *ended(lines)]


def ended(lines: list[str]) -> list[str]:
    """Without the blank lines at the end."""
    return lines[:max(i for i, line in enumerate(lines, 1) if line.strip())]


def in_latex(piece: Piece) -> str:
    if isinstance(piece, str):
        return piece.latex if isinstance(piece, Formula) else SIGNS[piece]
    table = cells(piece, LATEX, (r"\cdots", r"\vdots", r"\ddots"))
    return r"\begin{bmatrix}" + r" \\ ".join(" & ".join(row) for row in table) + r"\end{bmatrix}"
