"""The matrix form of backpropagation, found again in a graph of scalars:

    δ^K = ∇_a C ⊙ s′(z^K)        δ^k = ((W^{k+1})ᵀ δ^{k+1}) ⊙ s′(z^k)        ∂C/∂W^k = δ^k (a^{k−1})ᵀ

The layers are read off the labels z^{k}_{i}, a^{k}_{i} and w^{k}_{i,j}. A line is written only if it gives, with the
numbers of the graph, the gradients that the graph has: labels that say something else are not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, isnan
from typing import Any, Union

from ..engine import Value
from .formula import LATEX, UNICODE, Notation, indices, rounded
from .graph import Graph
from .plain import Printed, Spelling, folded
from .terms import CALL, Formula, name_of, prime, symbol

Rows = tuple[tuple[float, ...], ...]
Piece = Union[Rows, str]  # of a line: a matrix, or what stands between two, as a key of SIGNS
CELLS = 6                 # rows or columns that are printed; of more of them the first few and the last

TALL = {"(": "⎛⎜⎝", ")": "⎞⎟⎠"}
SIGNS = {"(": r"\left(", ")": r"\right)", "ᵀ": r"^{\top}", "⊙": r" \odot "}


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


def matrix_form(graph: Graph, x: Value | None) -> tuple[Matrix, ...]:
    """The lines for all layers, from the last one down to that of the parameter x. None for a net of single neurons, or
    where a weight between two layers has another label."""
    net = Net(graph)
    if all(len(layer) == 1 for layer in net.layers.values()):
        return ()
    wanted = indices(x.label) if x is not None else None
    lowest = int(wanted[1]) if wanted and wanted[1] in map(str, net.layers) else min(net.layers)
    found = []
    for k in sorted(net.layers, reverse=True):
        if k >= lowest:
            errors = net.error_terms(k)
            if not errors:
                return ()
            found += errors
            if x is None or k == lowest:
                found += net.weight_gradients(k)
    return tuple(found)


class Net:
    """The layers of a network in a graph, by the labels of its nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.C = name_of(graph, graph.root)
        self.named = {parts: node for node in graph.order if (parts := indices(graph.names[node]))}
        self.layers: dict[int, list[Value]] = {}  # the z of each layer, where it is complete
        for letter, k, _ in self.named:
            if letter == "z" and k.isdecimal() and self.vector("z", int(k)):
                self.layers[int(k)] = self.vector("z", int(k))

    def vector(self, letter: str, k: int) -> list[Value]:
        """The nodes letter^k_1, letter^k_2, ..., as far as they go."""
        found: list[Value] = []
        while (letter, str(k), str(len(found) + 1)) in self.named:
            found.append(self.named[letter, str(k), str(len(found) + 1)])
        return found

    def outputs(self, k: int) -> list[Value]:
        """The activations of layer k: the z themselves, where the neuron is linear."""
        a = self.vector("a", k)
        z = self.layers.get(k, a)
        return [z_i if i >= len(a) or z_i not in a[i].parents else a[i] for i, z_i in enumerate(z)] if z is not a else a

    def weights(self, k: int, rows: int, columns: int) -> list[list[Value]]:
        """W^k as its nodes; [] if one is missing."""
        places = [[("w", str(k), f"{i},{j}") for j in range(1, columns + 1)] for i in range(1, rows + 1)]
        if not rows or not columns or not all(place in self.named for row in places for place in row):
            return []
        return [[self.named[place] for place in row] for row in places]

    def gradients(self, nodes: Sequence[Value]) -> Rows:
        return column([self.graph.gradients[node] for node in nodes])

    def error_terms(self, k: int) -> list[Matrix]:
        """δ^k, from the output or from the layer above."""
        z, a = self.layers[k], self.outputs(k)
        slopes = column([a_i.local_derivatives[0] if a_i is not z_i else 1.0 for z_i, a_i in zip(z, a)])
        if k == max(self.layers):
            above: Rows = self.gradients(a)
            pieces: tuple[Piece, ...] = (above,)
            symbols = Formula(f"∇ₐ{self.C}", rf"\nabla_a {self.C.latex}")
        else:
            weights = self.weights(k + 1, len(self.layers.get(k + 1, ())), len(z))
            if not weights:
                return []
            W, d = symbol(f"W^{{{k + 1}}}"), symbol(f"δ^{{{k + 1}}}")
            matrix = tuple(tuple(w.data for w in row) for row in weights)
            following = self.gradients(self.layers[k + 1])
            above = times(transposed(matrix), following)
            pieces = (matrix, "ᵀ", following)
            symbols = Formula(f"({W})ᵀ {d}", rf"\left({W.latex}\right)^{{\top}} {d.latex}")
        if any(a_i is not z_i for z_i, a_i in zip(z, a)):
            prime = self.prime(k, z, a)
            if len(pieces) > 1:
                pieces, symbols = ("(", *pieces, ")"), Formula(f"({symbols})", rf"\left({symbols.latex}\right)")
            symbols = Formula(f"{symbols} ⊙ {prime}", rf"{symbols.latex} \odot {prime.latex}")
            pieces = (*pieces, "⊙", slopes)
        product = tuple((x * s,) for (x,), (s,) in zip(above, slopes))
        return checked(Matrix(symbol(f"δ^{{{k}}}"), symbols, pieces, product), self.gradients(z))

    def prime(self, k: int, z: list[Value], a: list[Value]) -> Formula:
        """σ′(z^k), if all neurons have the one activation; else s′(z^k)."""
        argument = symbol(f"z^{{{k}}}")
        ops = [a_i.op for z_i, a_i in zip(z, a) if a_i is not z_i]
        same = len(set(ops)) == 1 and CALL.fullmatch(ops[0].latex) is not None
        text, latex = (prime(ops[0], UNICODE), prime(ops[0], LATEX)) if same else ("s′", "s'")
        return Formula(f"{text}({argument})", rf"{latex}\left({argument.latex}\right)")

    def weight_gradients(self, k: int) -> list[Matrix]:
        """∂C/∂W^k, if the inputs of the layer are labelled."""
        inputs = self.outputs(k - 1)
        weights = self.weights(k, len(self.layers[k]), len(inputs))
        if not weights:
            return []
        W, d, a = symbol(f"W^{{{k}}}"), symbol(f"δ^{{{k}}}"), symbol(f"a^{{{k - 1}}}")
        error, before = self.gradients(self.layers[k]), column([node.data for node in inputs])
        left = Formula(f"∂{self.C}/∂{W}", rf"\frac{{\partial {self.C.latex}}}{{\partial {W.latex}}}")
        symbols = Formula(f"{d} ({a})ᵀ", rf"{d.latex} \left({a.latex}\right)^{{\top}}")
        product = times(error, transposed(before))
        return checked(Matrix(left, symbols, (error, before, "ᵀ"), product),
                       tuple(tuple(self.graph.gradients[w] for w in row) for row in weights))


def checked(line: Matrix, gradients: Rows) -> list[Matrix]:
    """The line, if it gives what the graph gives; else nothing."""
    same = all(isclose(x, y, rel_tol=1e-9, abs_tol=1e-12) or (isnan(x) and isnan(y))
               for row, other in zip(line.value, gradients) for x, y in zip(row, other))
    return [line] if same else []


def column(numbers: Sequence[float]) -> Rows:
    return tuple((x,) for x in numbers)


def transposed(matrix: Rows) -> Rows:
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


def shortened(items: Sequence[Any]) -> list[Any]:
    return [*items[:CELLS - 2], items[-1]] if len(items) > CELLS else list(items)


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
        if before in ("=", "⊙"):
            parts[-1] = [f"{line} {row}" for line, row in zip(parts[-1], rows)]
        elif before == "(" or piece in ("ᵀ", ")"):
            parts[-1] = [line + row for line, row in zip(parts[-1], rows)]
        else:
            parts.append(rows)
        before = piece if isinstance(piece, str) else "matrix"
    done: list[str] = []
    lines, *others = parts
    for rows in others:
        if len(lines[0]) + 1 + len(rows[0]) > width:
            done, lines = [*done, *lines, ""], rows
        else:
            lines = [f"{line} {row}" for line, row in zip(lines, rows)]
    return [*done, *lines]


def in_latex(piece: Piece) -> str:
    if isinstance(piece, str):
        return SIGNS[piece]
    table = cells(piece, LATEX, (r"\cdots", r"\vdots", r"\ddots"))
    return r"\begin{bmatrix}" + r" \\ ".join(" & ".join(row) for row in table) + r"\end{bmatrix}"
