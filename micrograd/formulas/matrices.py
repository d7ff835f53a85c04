"""The matrix form of backpropagation, found again in a graph of scalars:

    δ^K = ∇_a C ⊙ s′(z^K)    δ^k = ((W^{k+1})ᵀ δ^{k+1}) ⊙ s′(z^k)    ∂C/∂W^k = δ^k (a^{k−1})ᵀ    ∂C/∂b^k = δ^k

With a penalty on the weights, J = C + λ/2 · Σ w², it is ∂J/∂W^k = δ^k (a^{k−1})ᵀ + λ W^k; of several samples each
vector is a matrix, with a column for each. The layers are those of the graph's structure (`layers`); a line is written
only if it gives, with the numbers of the graph, the gradients that the graph has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isclose, isfinite, isnan
from typing import Any, Union

from ..engine import Value
from ..ops import CONSTANT
from ..terminal import Printed, Spelling, folded
from .algebra import DOTS, ONE, ZERO, Name, Term, Terms, is_function, multiple
from .boxes import LETTER
from .formula import Formula, composed, derivative_of, laid_out, name_of, prime, signed, symbol
from .graph import Graph, depending_on
from .labels import SUBSCRIPT, indices
from .layers import FoundLayer, LayerFinder, NoFormError
from .layout import Fenced
from .matrix_names import MOST, ONES, MatrixNames, shortened
from .notations import LATEX, QUOTIENT, UNICODE, Notation, Signs, rounded

Rows = tuple[tuple[float, ...], ...]
Piece = Union[Rows, str]  # of a line: a matrix, what stands between two, as a key of SIGNS, or a number as a Formula

TALL = {"(": "⎛⎜⎝", ")": "⎞⎟⎠"}
SIGNS = {"(": r"\left(", ")": r"\right)", "ᵀ": r"^{\top}", "⊙": r" \odot ", "+": " + ", "−": "-"}
SLOPE = Signs("s′({0})", r"s'\left({0}\right)")
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
    names in them mean, or why there is no line; and the weights and biases whose gradients they give. errors: the
    weighted sums of the graph, each with the name of its δ."""
    finder = LayerFinder(graph, errors)
    try:
        layers = finder.found(x)
        names = MatrixNames(finder, layers, errors)
        form = MatrixLines(finder, layers, names)
        lines = form.all_lines(x) if form.wide() else []
    except NoFormError as reason:
        return (), [f"There is no matrix form: {reason}."] if finder.several() else [], {}
    sides = [side for line in lines for side in (line.left, line.right)]
    return tuple(lines), [*names.explained(sides, form.notes), *form.notes], form.covered


@dataclass(frozen=True, slots=True)
class Side:
    """The right side of a line, or a part of it: in symbols, in numbers, and what it comes to."""

    symbols: Formula
    numbers: tuple[Piece, ...]
    value: Rows

    @property
    def T(self) -> Side:
        text, latex = self.symbols, self.symbols.latex
        spelled = Formula(f"{text}ᵀ", rf"{latex}^{{\top}}") if text == ONES else Formula(
            f"({text})ᵀ", rf"\left({latex}\right)^{{\top}}")
        return Side(spelled, (*self.numbers, "ᵀ"), transposed(self.value))

    def __matmul__(self, other: Side) -> Side:
        value = tuple(tuple(sum(x * y for x, y in zip(row, column)) for column in zip(*other.value))
                      for row in self.value)
        return Side(joined(self.symbols, other.symbols), (*self.numbers, *other.numbers), value)

    def __mul__(self, other: Side) -> Side:
        """Number by number: ⊙."""
        symbols, numbers = self.symbols, self.numbers
        if len(numbers) > 1:
            symbols, numbers = Formula(f"({symbols})", rf"\left({symbols.latex}\right)"), ("(", *numbers, ")")
        value = tuple(tuple(x * y for x, y in zip(*rows)) for rows in zip(self.value, other.value))
        return Side(joined(symbols, other.symbols, " ⊙ ", r" \odot "), (*numbers, "⊙", *other.numbers), value)

    def __neg__(self) -> Side:
        return Side(Formula(f"−{self.symbols}", f"-{self.symbols.latex}"), ("−", *self.numbers),
                    tuple(tuple(-x for x in row) for row in self.value))

    def plus(self, factor: float, spelled: Formula | None, other: Side) -> Side:
        """The side + factor · other. spelled: the factor in symbols, None where it is 1."""
        term, numbers = other.symbols, other.numbers
        if spelled is not None:
            term, numbers = joined(spelled, term, latex=r" \, "), (signed(factor), *numbers)
        value = tuple(tuple(x + factor * y for x, y in zip(*rows)) for rows in zip(self.value, other.value))
        return Side(joined(self.symbols, term, " + ", " + "), (*self.numbers, "+", *numbers), value)

    def checked(self, left: Formula, gradients: Rows) -> Matrix:
        """The line with this right side, if it gives what the graph gives; else NoFormError."""
        rounding = 1e-12 * size_of(self.numbers)
        if not all(isclose(x, y, rel_tol=1e-9, abs_tol=rounding) or (isnan(x) and isnan(y))
                   for row, other in zip(self.value, gradients) for x, y in zip(row, other)):
            raise NoFormError(f"{left} = {self.symbols} would not give the numbers of the graph")
        return Matrix(left, self.symbols, self.numbers, self.value)


def side(name: Formula, matrix: Rows) -> Side:
    """A name alone."""
    return Side(name, (matrix,), matrix)


def ones(count: int) -> Side:
    return side(ONES, ((1.0,),) * count)


def joined(a: Formula, b: Formula, text: str = " ", latex: str = " ") -> Formula:
    """Two formulas with these signs between them."""
    return Formula(f"{a}{text}{b}", f"{a.latex}{latex}{b.latex}")


class MatrixLines:
    """The lines of a network whose layers were found, the last one first."""

    def __init__(self, found: LayerFinder, layers: list[FoundLayer], names: MatrixNames) -> None:
        self.found, self.graph, self.layers, self.names = found, found.graph, layers, names
        self.root = self.graph.names[self.graph.root]
        self.samples = len(layers[0].z)
        self.notes: list[str] = []
        self.covered: dict[Value, None] = {}  # the weights and biases that have a line

    def wide(self) -> bool:
        """Tell whether there is a layer of several neurons."""
        return any(len(layer.z[0]) > 1 or (len(layer.inputs[0]) > 1 and all(x.parents for x in layer.inputs[0]))
                   for layer in self.layers)

    def all_lines(self, x: Value | None) -> list[Matrix]:
        """The lines from the last layer down to that of x."""
        if x is not None and not any(layer.has(x) for layer in self.layers):
            raise NoFormError(f"{self.found.name(x)} is not a weight, a bias or an input of any layer")
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
            above = side(nabla(self.names.a[k], name_of(self.graph, self.graph.root)), self.gradients(layer.a))
        else:
            above = self.handed_down(k - 1)
        if not layer.is_linear():
            slopes = [[self.found.slope(a, z) for a, z in zip(*sample)] for sample in zip(layer.a, layer.z)]
            above = above * side(self.prime(k), transposed(slopes))
        return above.checked(symbol(self.names.d[k]), self.gradients(layer.z))

    def error(self, k: int) -> Side:
        """δ^k as it is."""
        return side(symbol(self.names.d[k]), self.gradients(self.layers[k].z))

    def handed_down(self, k: int) -> Side:
        """(W^k)ᵀ δ^k, the gradient by the inputs of a layer."""
        return side(symbol(self.names.W[k]), data_of(self.layers[k].weights)).T @ self.error(k)

    def prime(self, k: int) -> Formula:
        """σ′(z^k), if all neurons have the one activation; else s′(z^k)."""
        argument, layer = symbol(self.names.z[k]), self.layers[k]
        ops = {a.op if z in a.parents else None for pair in zip(layer.a, layer.z) for a, z in zip(*pair)}
        op = ops.pop() if len(ops) == 1 else None
        same = op is not None and is_function(op)
        slope = composed(prime(op) if op is not None and same else SLOPE, argument)
        if not same:
            self.notes.append(f"{slope} is the slope of each neuron's own output with respect to its weighted sum.")
        return slope

    def by_weights(self, k: int) -> Matrix:
        """∂C/∂W^k"""
        layer, W = self.layers[k], symbol(self.names.W[k])
        left, nodes = derivative_of(self.root, self.names.W[k]), list(chain(*layer.weights))
        count = Counter(nodes)
        often = [w for w in nodes if w.op is CONSTANT or count[w] > 1]
        if often:
            raise NoFormError(f"{left} has no line: {self.found.name(often[0])} "
                              + ("is a bare number" if often[0].op is CONSTANT else f"stands in several places of {W}"))
        before = side(symbol(self.names.inputs[k]), transposed(data_of(layer.inputs)))
        return self.with_penalty(left, self.error(k) @ before.T, layer.weights, W, layer)

    def by_biases(self, k: int) -> Matrix:
        """∂C/∂b^k; by the one bias that all neurons of a layer share, a sum of the δ."""
        layer = self.layers[k]
        biases = [bias for biases in layer.biases for bias in biases]
        nodes = list(dict.fromkeys(bias.node for bias in biases))
        alike = all(len(each) == 1 for each in layer.biases) and len({bias.sign for bias in biases}) == 1
        if not alike or len(nodes) not in (1, len(biases)):
            raise NoFormError(f"There is no line for the biases beside {symbol(self.names.d[k])}: not every neuron has "
                              "one of its own, nor do all share one")
        right = self.error(k)
        if self.samples > 1:
            right = right @ ones(self.samples)
        if len(nodes) < len(biases):
            right, name = ones(len(biases)).T @ right, self.graph.names[nodes[0]]
        else:
            name = self.names.vector([nodes], self.names.marks[k], "bβ")
        right = -right if biases[0].sign < 0 else right
        return self.with_penalty(derivative_of(self.root, name), right, [[b] for b in nodes], symbol(name), layer)

    def by_inputs(self, k: int) -> Matrix:
        """∂C/∂a^{k−1}"""
        layer, left = self.layers[k], derivative_of(self.root, self.names.inputs[k])
        for node in chain(*layer.inputs):
            if any(use not in layer.inside for use in self.found.used(node)):
                raise NoFormError(f"{left} has no line: {self.found.name(node)} is also used elsewhere")
        return self.handed_down(k).checked(left, self.gradients(layer.inputs))

    def gradients(self, samples: list[list[Value]]) -> Rows:
        """Those of a layer: a row for each neuron, a column for each sample."""
        return transposed([[self.graph.gradients[node] for node in nodes] for nodes in samples])

    # Penalties

    def with_penalty(self, left: Formula, right: Side, nodes: list[list[Value]], name: Formula,
                     layer: FoundLayer) -> Matrix:
        """The line, with λ W where the root has a penalty such as λ/2 · Σ w²."""
        factor = self.penalty(list(chain(*nodes)), left, name, layer)
        if factor is not None:
            spelled = Formula.of(Fenced("power", [Fenced("product", [laid_out(factor)])], QUOTIENT))
            right = right.plus(factor.x, None if factor == ONE else spelled, side(name, data_of(nodes)))
        line = right.checked(left, tuple(tuple(self.graph.gradients[node] for node in row) for row in nodes))
        self.covered.update(dict.fromkeys(chain(*nodes)))
        return line

    def penalty(self, nodes: list[Value], left: Formula, name: Formula, layer: FoundLayer) -> Term | None:
        """The factor λ, where these nodes reach the root past their layer, too, and each adds λ times itself to its
        gradient; None where none does. It is derived in symbols: for one weight, any number is a multiple."""
        graph, wanted = self.graph, dict.fromkeys(nodes)
        past: list[Value] = []
        for node in nodes:
            for use in self.found.used(node):
                if use not in layer.inside:
                    if use in self.found.below or use in self.found.sums:
                        raise NoFormError(f"{left} has no line: {self.found.name(node)} is also used elsewhere")
                    past.append(use)
        if not past:
            return None
        way = depending_on(graph, *past)
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
            raise NoFormError(f"{left} has no line: {root} depends on {name} in another way, too, which is not a "
                              "penalty such as λ/2 · Σ w²")
        return factor


def nabla(a: str, C: Formula) -> Formula:
    """∇ₐC"""
    base, _, _ = indices(a) or (a, "", "")
    below = base.translate(SUBSCRIPT) if len(base) == 1 and ord(base) in SUBSCRIPT else f"_{LETTER.get(base, base)} "
    return Formula(f"∇{below}{C}", rf"\nabla_{{{symbol(base).latex}}} {C.latex}")


def size_of(pieces: Sequence[Piece]) -> float:
    """The largest size that the addends of a line, which may cancel, can have."""
    sizes = [1.0]
    for piece in pieces:
        if piece == "+":
            sizes.append(1.0)
        elif not isinstance(piece, str):
            sizes[-1] *= max((abs(x) for row in piece for x in row if isfinite(x)), default=0.0)
    return sum(sizes)


def data_of(nodes: Sequence[Sequence[Value]]) -> Rows:
    return tuple(tuple(node.data for node in row) for row in nodes)


def transposed(matrix: Sequence[Sequence[float]]) -> Rows:
    return tuple(zip(*matrix))


# Printing

def cells(matrix: Rows, notation: Notation, dots: tuple[str, str, str]) -> list[list[str]]:
    """The numbers as text; of a large matrix the first few rows and columns and the last."""
    across, down, both_ways = dots
    table = [[rounded(x, notation).text for x in shortened(row)] for row in shortened(matrix)]
    if len(matrix[0]) > MOST:
        table = [[*row[:-1], across, row[-1]] for row in table]
    if len(matrix) > MOST:
        middle = [down] * len(table[0])
        if len(matrix[0]) > MOST:
            middle[-2] = both_ways
        table.insert(-1, middle)
    return table


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
