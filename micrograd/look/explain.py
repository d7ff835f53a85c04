"""Explaining a derivative the way lecture notes derive it: `explain(C, wrt=w)`.

    ∂C/∂w² = ∂C/∂a⁴ · ∂a⁴/∂z⁴ · ∂z⁴/∂a³ · …        form="chain": a product of factors for each path, and their sum
           = (a⁴ − y) · σ′(z⁴) · w⁴ · …
           = −0.0123
    δ⁴ = ∂C/∂z⁴ = (a⁴ − y) · σ′(z⁴) = …            form="delta": error terms, layer by layer from the output back
    δ³ = ∂C/∂z³ = δ⁴ · w⁴ · σ′(z³) = …

What results is an Explanation, see `derivation`. The labels of the nodes decide how coarse it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain
from math import isfinite, isnan, log10, prod
from operator import add, attrgetter
from typing import Union, overload

from ..engine import Value
from ..formulas.algebra import DOTS, LONGEST, ONE, ZERO, Call, Link, Name, Term, Terms, addends, comes_to, links
from ..formulas.deltas import missing, weighted_sums
from ..formulas.formula import (
    Chained,
    Formula,
    derivative,
    equation,
    formula_of,
    forward_rule,
    laid_out,
    left_out,
    loses_digits,
    name_of,
    number_of,
    partial,
    positive_first,
    symbol,
)
from ..formulas.graph import Graph, depending_on, edges_of, look
from ..formulas.labels import SUPERSCRIPT, Names, unicode_label
from ..formulas.layout import Applied, Fenced, Layout, ShownNumber, formula, layouts_of
from ..formulas.matrices import matrix_form
from ..formulas.notations import DIGITS, LATEX, PLUS, UNICODE, Signs, to_digits
from ..formulas.undefined import no_answer, worked_out
from ..ops import CONSTANT, LEAF
from .derivation import CHAIN, DELTA, FORMS, Explanation, Explanations, Factor, Line, summed

__all__ = ["explain"]

SHOWN = 4      # paths that are written out
NEURONS = 8    # lines of one layer, in the delta form
DEFINED = 12   # nodes without a label whose names are explained
FACTORS = 30   # of a path that are written out
LEAVES = 40    # leaves that the delta form of a whole graph lists
RESULT = 6     # digits of the result


Several = Union[list[Value], list[str], list[Union[Value, str]], tuple[Union[Value, str], ...]]


@overload
def explain(y: Value, wrt: Value | str | None = None, form: str = CHAIN, *,
            detail: str | None = None) -> Explanation: ...
@overload
def explain(y: Value, wrt: Several, form: str = CHAIN, *,
            detail: str | None = None) -> Explanations: ...


def explain(y: Value, wrt: Value | str | Several | None = None, form: str = CHAIN, *,
            detail: str | None = None) -> Explanation | Explanations:
    """Derive ∂y/∂x for x = `wrt`, factor by factor; or, without `wrt`, say how the node y was computed.

    No .grad is touched.

    Args:
        y: a Value.
        wrt: a node of the graph, or its label; or several in a list, for a tuple of Explanations that prints as one.
        form: "chain", the product of the local derivatives along each path from y to x, and the sum over the paths; or
            "delta", line by line the error terms, from the output back, and with them ∂y/∂x; for whole layers also in
            matrices. An error term δ = ∂y/∂z is the gradient of a weighted sum, whatever its letter: a labelled node
            that is a sum of products weight · input, and goes into an activation, or into a cost that compares it with
            a target. δ has the index of its label: δ₁ for z_1, net_1 or v_1. Without `wrt` form="delta" gives all of
            them.
        detail: by default the derivation runs between labelled nodes, and what lies between two of them is multiplied
            out; "full" walks every node.

    Returns:
        An `Explanation`, with the numbers that the graph recorded: print it, or show it in a notebook.

    Raises:
        TypeError: if y is not a Value.
        ValueError: if y does not depend on x, if no node or several are called that, or if there is no weighted sum for
            "delta".

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> y = (w * x).tanh()
        >>> y.label = "y"
        >>> print(micrograd.explain(y, w))
        ∂y/∂w = (1 − y²) · x
              = 0.839949
    """
    graph = look(y, "explain(y)", fresh=True)
    if form not in FORMS:
        raise ValueError(f"explain(form=...) is one of {', '.join(FORMS)}; found {form!r}")
    if detail not in (None, "full"):
        raise ValueError(f"explain(detail=...) is None or 'full'; found {detail!r}")
    if wrt is None:
        return deltas(graph, None, dict.fromkeys(graph.order)) if form == DELTA else one_node(graph, detail)
    if isinstance(wrt, Iterable) and not isinstance(wrt, str):
        found = Explanations(explain(y, each, form, detail=detail) for each in wrt)
        if not found:
            raise ValueError("explain(y, wrt=[...]) needs at least one Value or label in the list; found none")
        return found
    x = find(graph, wrt)
    between = depending_on(graph, x)
    if y in between:
        return along_paths(graph, x, between, detail) if form == CHAIN else deltas(graph, x, between)
    if x.op is CONSTANT:
        name = f"{x.label!r}" if x.label else f"This Value ({x.data:.4g})"
        raise ValueError(f"{name} is a constant, a number that met a Value, and no derivative is taken with "
                         "respect to it: make it a Value before the computation")
    return nothing_passes(graph, x)


def find(graph: Graph, x: Value | str) -> Value:
    """The node by which is differentiated. The name of a δ is none, and a ValueError says what it is."""
    try:
        return graph.find(x, "explain(y, wrt)")
    except ValueError:
        errors = {name: z for z, name in weighted_sums(graph).items()} if isinstance(x, str) else {}
        meant = Names(errors).meant(x) if isinstance(x, str) else []
        if len(meant) != 1:
            raise
        [z] = graph.printed([errors[meant[0]]])
        raise ValueError(f"{symbol(meant[0])} is {partial(graph, graph.root, errors[meant[0]])}, and not a node: ask "
                         f"for {z!r}") from None


# One node

def recorded(node: Value, numbers: bool, names: Mapping[Value, str]) -> Formula:
    """The formula of a node in terms of the labelled ones below it. A ValueError says so of one that is too long."""
    text, _ = (formula(node, 1, notation, "explain(y)", numbers, names) for notation in (UNICODE, LATEX))
    *_, (_, layout) = layouts_of(node, 1, numbers, names)
    return Formula(text, layout)


def one_node(graph: Graph, detail: str | None) -> Explanation:
    """The root as it was computed from the labelled nodes nearest to it, and its derivatives by them."""
    node, name, place = graph.root, name_of(graph, graph.root), {node: i for i, node in enumerate(graph.order)}
    result = number_of(node.data, RESULT)
    if not node.parents:
        kind = "a number that met a Value" if node.op is CONSTANT else "a leaf: no op computed it"
        return Explanation(name, "node", node.data, (), 0, (line(name, result),), (), (f"{name} is {kind}.",))
    names = {v: graph.names[v] for v in graph.order if v.label or v is node}
    terms = Terms(names)
    inside = dict.fromkeys(written_out(node, names))
    nearest = [v for v in graph.order
               if v in names and v.op is not CONSTANT and any(use.node in inside for use in graph.uses[v])]
    found: list[Link] = []
    if detail is None:  # what only an op that carries nothing leads to has the derivative 0
        reached = {link.x: link for link in links(node, names, graph.names, terms, place)}
        found = [reached.get(v, Link(node, v, 0.0, ZERO, ZERO)) for v in nearest]
    try:
        rule = [recorded(node, numbers, names) for numbers in (False, True)]
    except ValueError:  # too long to read
        found = []
    if not found:  # no label in reach: the op alone, with names for its arguments
        rule = [forward_rule(graph, node), forward_rule(graph, node, numbers=True)]
        terms = Terms(graph.names)
        found = [Link(node, parent, node.local_derivatives[i], terms.prime(node, i), terms.slope(node, i))
                 for i, parent in enumerate(node.parents) if parent.op is not CONSTANT]
    lines = [line(name, *rule, result)]
    factors = [factor_of(graph, link) for link in found]
    unclear: list[str] = []
    for link, factor in zip(found, factors):
        if contradicts(comes_to(link.formula), link.local):
            sides = [Formula.of(worked_out(graph, link.x, terms.names, link.y))]
            unclear += [*no_answer(graph, link.x), simplified(factor.formula)]
        else:
            sides = [factor.rule, factor.formula, formula_of(link.formula, numbers=True)]
            unclear += no_answer(graph, link.x)
        lines.append(Line(factor.symbols, down_to([(side,) for side in sides], link.local)))
    last = "" if all(link.x in node.parents for link in found) else ", last of all"
    unclear += digits_lost(written_out(node, terms.names), graph.names, graph, terms)
    how = f"by the op {node.op.name}{last}" if node.op.stands_for is None else (
        "in another way than the formula says, one that loses no digits")
    notes = [f"{name} is computed {how}" + (f": {node.op.note}" if node.op.note else "") + "."]
    if last:
        hint = f"; all error terms of a network: form={DELTA!r}" if weighted_sums(graph) else ""
        notes.append(f"To derive a derivative, say with respect to what (wrt=...){hint}.")
    notes = [*dict.fromkeys(unclear), *too_long(side for line in lines for side in line.sides), *notes]
    paths = tuple((factor,) for factor in factors)
    return Explanation(name, "node", node.data, paths, len(paths), tuple(lines), (), tuple(notes))


def nothing_passes(graph: Graph, x: Value) -> Explanation:
    """The derivative by a node from which every way to the root leads through an op that carries nothing."""
    symbols, above = partial(graph, graph.root, x), {x: None}
    flat: dict[Value, None] = {}
    for node in graph.order:  # those that depend on x, as far as the ops that carry nothing
        for edge in graph.uses[node] if node in above else ():
            (above if edge.carries else flat)[edge.node] = None
    names = ", ".join(f"{name_of(graph, node)} = {forward_rule(graph, node)}" for node in [*flat][:DEFINED])
    note = (f"Every way from {name_of(graph, x)} to {name_of(graph, graph.root)} leads through an op whose derivative "
            f"is 0 everywhere, which hands nothing on: {names}{', …' if len(flat) > DEFINED else ''}.")
    return Explanation(symbols, CHAIN, 0.0, (), 0, (line(symbols, number_of(0.0)),), (), (note,))


def factor_of(graph: Graph, link: Link) -> Factor:
    return Factor(partial(graph, link.y, link.x), formula_of(link.rule), formula_of(link.formula), link.local)


# The product of factors along each path

def along_paths(graph: Graph, x: Value, between: dict[Value, None], detail: str | None) -> Explanation:
    """form="chain"."""
    root, symbols, value = graph.root, partial(graph, graph.root, x), graph.gradients[x]
    if root is x:
        return Explanation(symbols, CHAIN, 1.0, ((),), 1, (line(symbols, number_of(1.0)),), (), ())
    names = {node: graph.names[node] for node in graph.order
             if node.label or node is root or node is x or (detail and graph.names[node])}
    place = {node: i for i, node in enumerate(graph.order)}
    terms = Terms(names)
    count: dict[Value, int] = {x: 1}
    below: dict[Value, list[Link]] = {x: []}
    for node in between:
        if node in names and node is not x:
            below[node] = links(node, names, between, terms, place)
            count[node] = sum(count[link.x] for link in below[node])
    found: list[list[Link]] = []
    stack: list[tuple[Value, list[Link]]] = [(root, [])]
    while stack and len(found) < SHOWN:
        node, path = stack.pop()
        if node is x:
            found.append(path)
        stack += [(link.x, [*path, link]) for link in reversed(below[node])]
    more, notes = count[root] - len(found), no_answer(graph, x)
    sides = [[Formula.of(product(path, laid, len(found) > 1)) for path in found] for laid in (
        lambda link: derivative(graph.names[link.y], graph.names[link.x]),
        lambda link: laid_out(link.rule),
        lambda link: laid_out(link.formula),
        lambda link: local(graph, link, names))]
    formal = [sum(prod(comes_to(formula(link)) for link in path) for path in found) for formula in (
        attrgetter("rule"), attrgetter("formula"))]
    if not more and any(contradicts(x, value) for x in formal):
        notes.append(simplified(summed(sides[2])))
        sides[1:3] = [side for side, x in zip(sides[1:3], formal) if not contradicts(x, value)]
    if more:
        for side in sides:
            side.append(Formula.of(left_out(f"{many(more)} more")))
        hint = f": form={DELTA!r} sums them neuron by neuron" if any(z in between for z in weighted_sums(graph)) else ""
        notes.append(f"{many(count[root])} paths lead from {name_of(graph, root)} to {name_of(graph, x)}{hint}.")
    if any(len(path) == 1 for path in found) and count[root] > 1:
        notes.append(f"On the right {symbols} is the direct effect alone, with the other named nodes held fixed.")
    products = tuple(tuple(factor_of(graph, link) for link in path) for path in found)
    notes += too_long((factor.formula,) for path in products for factor in path)
    met = dict.fromkeys(node for path in found for link in path for node in (link.y, link.x))
    unlabelled = [equation(name_of(graph, node), forward_rule(graph, node)) for node in graph.order
                  if node in met and node is not root and not node.label]
    if unlabelled:
        notes.append("Here " + ", ".join(unlabelled[:DEFINED]) + (", …" if len(unlabelled) > DEFINED else "") + ".")
    notes += digits_lost((node for node in between if node is not x), between, graph, terms) + sample_note(graph, met)
    derivation = Line(symbols, down_to([(symbols,), *map(tuple, sides)], value)[1:])
    return Explanation(symbols, CHAIN, value, products, count[root], (derivation,), (), tuple(notes))


def many(n: int) -> str:
    """1,024; a number that nobody would count as a power of ten."""
    digits = int(n.bit_length() * log10(2))
    return f"{n:,}" if digits < 15 else f"about 10{str(digits).translate(SUPERSCRIPT)}"


def local(graph: Graph, link: Link, stops: Container[Value]) -> Layout:
    """The number of a factor; where it is none, the products that it is the sum of: 0 · ∞ + 1."""
    if isfinite(link.local):
        return ShownNumber(link.local, DIGITS)
    whole = worked_out(graph, link.x, stops, link.y)
    return whole if isinstance(whole, Chained) and len(whole.operands) == 1 else Applied(LOOSE, [whole])


def contradicts(formal: float, value: float) -> bool:
    """Tell whether a formula comes to a number where the derivative, computed factor by factor, is none or infinite."""
    return not isfinite(value) and formal != value and not isnan(formal)


def written_out(root: Value, names: Container[Value]) -> list[Value]:
    """The nodes whose slopes make up the derivatives of root by the named nodes nearest to it."""
    found, stack = {root: None}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent.parents and parent not in names and parent not in found:
                found[parent] = None
                stack.append(parent)
    return list(found)


def digits_lost(nodes: Iterable[Value], parents: Container[Value], graph: Graph, terms: Terms,
                slope: Callable[[Value, int], Term] | None = None) -> list[str]:
    """Notes on formulas that do not come to the numbers beside them. parents: the arguments that a derivative is asked
    for by; slope: how the slopes are written, if not all as the book has them."""
    notes: dict[str, None] = {}
    for node in nodes:
        for edge in edges_of(node) if node.op.book else ():
            primed = slope is not None and isinstance(term := slope(node, edge.i), Call) and term.prime
            if edge.parent in parents and not primed and (note := loses_digits(graph, edge, terms)):
                notes[note] = None
        if len(notes) >= SHOWN:
            break
    return list(notes)[:SHOWN]


def too_long(sides: Iterable[Iterable[str]], remedy: str = ": label nodes on the way (z.label = 'z')") -> list[str]:
    """A note on three dots, if there are any."""
    if any(DOTS in part for side in sides for part in side):
        return [f"Where … stands, the formula is too long to read{remedy}."]
    return []


def simplified(formal: str) -> str:
    """A note on a formula that contradicts the number, as what makes that infinite, or nan, has cancelled."""
    return (f"Simplified, the formula would be {formal}; but a derivative is computed factor by factor, before "
            "anything cancels.")


def sample_note(graph: Graph, nodes: Iterable[Value]) -> list[str]:
    """A note on what the numbers in parentheses mean, where there are any."""
    for node in nodes:
        if node.label and graph.names[node] != node.label:
            return [f"Several nodes are called {symbol(node.label)}; they are told apart by numbers in parentheses, as "
                    "samples are: (1), (2), …"]
    return []


def product(path: Sequence[Link], laid: Callable[[Link], Layout], addend: bool) -> Layout:
    """The factors of a path in one product; one whose formula is 1 is left out. addend: one of several."""
    pairs = [(link, laid(link)) for link in path[:FACTORS]]
    factors = [factor for link, factor in pairs if link.formula != ONE or not is_one(factor)] or [pairs[0][1]]
    if len(path) > FACTORS:
        factors.append(left_out(f"{len(path) - FACTORS:,} more factors"))
    return Fenced("product", [Chained(factors)], PLUS) if addend else Chained(factors)


def is_one(factor: Layout) -> bool:
    """Tell whether a factor is written as 1."""
    return isinstance(factor, ShownNumber) and to_digits(factor.x, DIGITS) == 1


LOOSE = Signs("{0}", "{0}", "sum")  # what has parentheses in a product, whatever it is


# Error terms, layer by layer

def deltas(graph: Graph, x: Value | None, between: dict[Value, None]) -> Explanation:
    """form="delta"."""
    root, sums = graph.root, weighted_sums(graph)
    zs = {node: name for node, name in sums.items() if node in between}
    if not zs:
        known = ", ".join(unicode_label(graph.names[node]) for node in [*sums][:DEFINED])
        why = missing(graph) if x is None or not sums else (
            f"of those that are, {known}, none is on the way to {name_of(graph, x)}")
        raise ValueError(f"form='delta' needs weighted sums labelled, and {why}; or use form='chain'")
    matrices, said, covered = matrix_form(graph, x, sums)
    leaves = [x] if x is not None else [
        node for node in between if node.op is LEAF and node.label and node not in covered]
    if len(leaves) > LEAVES:
        said = [f"{len(leaves):,} leaves{' more' if matrices else ''} are not listed: wrt=... derives one.", *said]
        leaves = []
    layers = layers_of(between, zs)
    shown = [layer if len(layer) <= NEURONS else layer[:NEURONS - 1] for layer in layers]
    terms = Terms({node: graph.names[node] for node in graph.order if node.label or node is root or node is x})
    found, notes = derived(graph, between, zs, {*chain(*shown), *leaves}, terms)
    lines = []
    for layer, few in zip(layers, shown):
        lines += [found[z] for z in few]
        if len(few) < len(layer):
            words = f"({len(layer) - len(few)} more in this layer)"
            lines.append(line(Formula(f"⋮ {words}", rf"\vdots \text{{ {words}}}")))
    lines += [found[leaf] for leaf in leaves if leaf not in zs]
    lost = digits_lost((node for node in between if node is not x), between, graph, terms, terms.prime)
    notes += lost + said + too_long((side for each in lines for side in each.sides), remedy="")
    notes += sample_note(graph, zs)
    if x is None:
        return Explanation(name_of(graph, root), DELTA, root.data, (), 0, tuple(lines), matrices, tuple(notes))
    products = last_links(graph, x, between, zs, terms)
    return Explanation(partial(graph, root, x), DELTA, graph.gradients[x], products, len(products), tuple(lines),
                       matrices, tuple(notes))


def derived(graph: Graph, between: dict[Value, None], zs: Mapping[Value, str], wanted: Container[Value],
            terms: Terms) -> tuple[dict[Value, Line], list[str]]:
    """The lines of the wanted nodes, and notes: one pass from the root down. At each z the gradient so far gets the
    name δ, and goes on by it."""
    lines: dict[Value, Line] = {}
    notes: list[str] = []
    so_far: dict[Value, list[Term]] = {graph.root: [ONE]}
    leading: dict[Value, None] = {}  # the nodes from which a way leads down to one of those
    for node in between:
        if node in wanted or any(parent in leading for parent in node.parents):
            leading[node] = None
    undefined = False  # whether a δ further up is nan, which says enough
    for node in reversed(between):
        if node not in so_far:
            continue
        gradient = reduce(add, reversed(so_far.pop(node)))  # in the order of the graph
        value = graph.gradients[node]
        if node in wanted:
            sides = [parts_of(gradient), parts_of(gradient, numbers=True)]
            if contradicts(comes_to(gradient), value):
                notes += [*no_answer(graph, node), simplified(summed(sides[0]))]
                sides = [(Formula.of(worked_out(graph, node, zs)),)]
            elif not undefined:
                notes += no_answer(graph, node)
            symbols = partial(graph, graph.root, node)
            left = equation(symbol(zs[node]), symbols) if node in zs else symbols
            lines[node] = Line(left, down_to(sides, value))
        if node in zs:
            undefined = undefined or isnan(value)
            gradient = Name(zs[node], value)
        for i, parent in reversed(list(enumerate(node.parents))):
            if parent in leading:
                so_far.setdefault(parent, []).append(gradient * terms.prime(node, i))
    return lines, notes


def layers_of(between: Iterable[Value], zs: Mapping[Value, str]) -> list[list[Value]]:
    """The weighted sums by height, from the output back; those of one height by the numbers in their names, of layer,
    sample and neuron. The height is the number of zs on the longest way up to a z, itself included: its layer, or its
    time. Those of one height do not depend on each other, and a δ is made of those that are higher."""
    height: dict[Value, int] = {}
    layers: dict[int, list[Value]] = {}
    for node in between:
        height[node] = max((height[parent] for parent in node.parents if parent in height), default=0) + (node in zs)
        if node in zs:
            layers.setdefault(height[node], []).append(node)
    return [sorted(layer, key=lambda z: [int(n) for n in re.findall("[0-9]+", zs[z])])
            for _, layer in sorted(layers.items(), reverse=True)]


def parts_of(term: Term, numbers: bool = False) -> tuple[Formula, ...]:
    """A sum in its parts, the middle of a long one left out; of anything else the one part that it is."""
    parts = [formula_of(coefficient * part, numbers) for part, coefficient in positive_first(addends(term))]
    if len(parts) > LONGEST:
        more = len(parts) - 4
        parts[3:-1] = [Formula.of(left_out(f"{more} more"))]
    return tuple(parts)


def last_links(graph: Graph, x: Value, between: dict[Value, None], zs: dict[Value, str],
               terms: Terms) -> tuple[tuple[Factor, ...], ...]:
    """The products δ · ∂z/∂x whose sum is the derivative: one for each z from which a path leads to x past no other."""
    place = {node: i for i, node in enumerate(graph.order)}
    stops = {**zs, x: ""}
    found = []
    for z in between:
        if (z in zs or z is graph.root) and z is not x:
            for link in links(z, stops, between, terms, place):
                if link.x is x:
                    name = symbol(zs[z]) if z in zs else number_of(1.0)
                    error = Factor(partial(graph, graph.root, z), name, name, graph.gradients[z])
                    found.append((error, factor_of(graph, link)) if z in zs else (factor_of(graph, link),))
    return tuple(found)


# Lines

def line(left: Formula, *sides: Formula) -> Line:
    return Line(left, once([(side,) for side in sides]))


def down_to(sides: Iterable[tuple[Formula, ...]], x: float) -> tuple[tuple[Formula, ...], ...]:
    """The sides of a line and its result; a number is left out that is only the result with fewer digits."""
    return once([*(side for side in sides if side != (number_of(x),)), (number_of(x, RESULT),)])


def once(sides: Sequence[tuple[Formula, ...]]) -> tuple[tuple[Formula, ...], ...]:
    """The sides of a line, without those that only repeat the one before."""
    return tuple(side for place, side in enumerate(sides) if place == 0 or side != sides[place - 1])
