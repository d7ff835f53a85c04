"""The right steps of a derivation, as lines: symbols = numbers = result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from math import isnan

from .. import ops
from ..engine import Value
from ..formulas.algebra import ONE, Term, combine
from ..formulas.formula import Chained, Formula, equation, formula_of, laid_out, number_of, partial
from ..formulas.graph import Pass
from ..formulas.layout import Applied, Layout
from ..formulas.undefined import worked_out
from .derivation import Derivation
from .mistakes import Context

WIDEST = 40         # names and signs in the formula of a line; a longer one is written in terms of labels,
WIDEST_OF_LABELS = 80  # and if that is longer than this, not at all


class Lines:
    """The right lines of one graph."""

    def __init__(self, context: Context, right: Pass, rates: Sequence[float]) -> None:
        self.context, self.graph, self.right, self.rates = context, context.graph, right, rates
        self.known: dict[tuple[Value, ...], Formula] = {}

    def backward(self, right: Derivation) -> Formula:
        """The right step to a gradient, symbols = numbers = result: ∂C/∂w⁴ = δ⁴ · a³ = 0.1385 · 0.5933 = 0.08217."""
        x, context = right.x, self.context
        key = x, *right.tops
        if key in self.known:
            return self.known[key]
        symbol = partial(self.graph, self.graph.root, x)
        delta = context.gradient(x)
        steps = [symbol] if delta == symbol else [symbol, delta]
        pieces = self.pieces(right)
        if isnan(self.graph.gradients[x]):  # nothing is simplified: what makes it nan would cancel
            pieces = []
            steps.append(Formula.of(worked_out(self.graph, x, right.tops)))
        elif not pieces or width(pieces) > WIDEST:
            labelled = {node: None for node in self.graph.order if node.parents and context.is_named(node)}
            pieces = self.pieces(Derivation(context, x, labelled, self.right, self.rates))
        if pieces and width(pieces) <= WIDEST_OF_LABELS:
            steps += [self.sum_of_products(pieces, numbers) for numbers in (False, True)]
        self.known[key] = equation(*steps, number_of(self.graph.gradients[x]))
        return self.known[key]

    def pieces(self, right: Derivation) -> list[tuple[Value, Term]]:
        return [(top, link.formula) for top in right.tops for link in right.factors(top, {right.x: None})]

    def sum_of_products(self, pieces: list[tuple[Value, Term]], numbers: bool) -> Formula:
        """∂C/∂a · formula + ..., or the same in numbers."""
        products: list[Layout] = []
        for top, term in pieces:
            factors = [] if term == ONE and top is not self.graph.root else [laid_out(term, numbers)]
            if top is not self.graph.root:
                upstream = number_of(self.graph.gradients[top]) if numbers else self.context.gradient(top)
                factors.insert(0, upstream.layout)
            products.append(Chained(factors))
        return Formula.of(reduce(lambda a, b: Applied(ops.add, [a, b]), products))

    def forward(self, node: Value) -> Formula:
        """The right step to a forward value."""
        if not node.parents:
            return equation(self.context.name(node), number_of(node.data))
        term = combine(node.op, self.context.terms.of_parents(node))
        if term.size > WIDEST_OF_LABELS:
            return equation(self.context.name(node), number_of(node.data))
        return equation(self.context.name(node), formula_of(term), formula_of(term, numbers=True), number_of(node.data))


def width(pieces: Iterable[tuple[Value, Term]]) -> int:
    return sum(term.size for _, term in pieces)
