"""Looking for what goes wrong in a graph: for each symptom, where it is and what shows it.

What is flat, and where, is asked of the rows of the table of operations, so that it holds for a user's own op. Nothing
is changed by looking. This module knows neither the words of findings nor views.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from math import copysign, isclose, isfinite, isnan
from statistics import fmean
from typing import Any, NamedTuple

from .. import ops
from ..arguments import counted
from ..engine import Value
from ..formulas.deltas import weighted_sums
from ..formulas.formula import forward_rule, name_of, number_of
from ..formulas.formula import partial as derivative
from ..formulas.graph import Edge, Graph, at_kink, recomputed
from ..formulas.labels import SUPERSCRIPT, indices
from ..formulas.notations import DIGITS
from ..formulas.undefined import SLOPE, ZERO_INFINITE, undefined
from ..ops import CONSTANT, LEAF, Op
from .changes import Changes

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")

FLAT = 1e-3        # a slope below this fraction of the steepest that the row has where tests sample it is "saturated"
NEAR, FAR = 1e3, 1e6  # a function levels off on a side if it changes by less than LEVEL between these two
LEVEL = 1e-2
MANY = 20          # samples: a neuron that is dead for so many of them is a warning
SHRINKS = 1e-3     # from the last layer to the first, in error terms; 1 / SHRINKS is "exploding"
LAYERS = 3         # at the least, to speak of a ratio from layer to layer
HUGE = 1e3         # a parameter of this size is a finding
LISTED = 5         # names in a sentence
POWER = 6          # from a million on, a number in a sentence has a power of ten


class Evidence(NamedTuple):
    """The place of a symptom: the nodes, the first of which the sentence names, and the facts it mentions. severity:
    where it is not that of the row."""

    nodes: Sequence[Value]
    facts: Mapping[str, object]
    severity: str = ""


class Patient:
    """A graph that is looked at; and the parameters that ought to be in it, by the names that they go by."""

    def __init__(self, graph: Graph, parameters: Sequence[tuple[str, Value]] = ()) -> None:
        self.graph, self.root = graph, graph.root
        self.gradients = graph.gradients
        self.sums = weighted_sums(graph)
        self.leaves = [node for node in graph.order if node.op is LEAF]
        self.parameters = [value for _, value in parameters]
        self.called = {value: name for name, value in parameters}

    def name(self, node: Value) -> str:
        return name_of(self.graph, node) if node in self.graph.names else self.called[node]

    def equation(self, node: Value) -> str:
        """v₃ = ln(p) = ln(0) = −inf: the name, the rule, with numbers, the result."""
        parts = [self.name(node) if self.graph.names[node] else "", forward_rule(self.graph, node).text,
                 forward_rule(self.graph, node, numbers=True).text, number(node.data)]
        return " = ".join(dict.fromkeys(part for part in parts if part))

    @cached_property
    def stuck(self) -> bool:
        """True if no leaf learns."""
        return bool(self.leaves) and all(self.gradients[leaf] == 0 for leaf in self.leaves)

    @cached_property
    def changes(self) -> Changes:
        return Changes(self.graph)

    @cached_property
    def flats(self) -> Flats:
        return Flats(self.graph)

    @cached_property
    def reasons(self) -> dict[Value, Reason]:
        """For each node with gradient 0 its reason; of several, the one that most of its uses have."""
        graph = self.graph
        why: dict[Value, Reason] = {}
        for node in reversed(graph.order[:-1]):
            if graph.gradients[node] != 0 or node.op is CONSTANT:
                continue
            if any(graph.sent(edge) != 0 for edge in graph.uses[node]):
                why[node] = Reason("cancelled", node)
            else:
                each = [reason_of(edge, self.flats, why) for edge in graph.uses[node]]
                [(kind, _)] = Counter(reason.kind for reason in each).most_common(1)
                why[node] = next(reason for reason in each if reason.kind == kind)
        return why


# Numbers that do not fit together

def changed(patient: Patient) -> Iterator[Evidence]:
    guilty = patient.changes.guilty
    for leaf, (node, old) in list(guilty.items())[:1]:
        yield Evidence([*guilty], {
            "was": "had another value" if isnan(old) else f"was {number(old)}", "before": old, "now": leaf.data,
            "what": patient.name(node) + ("" if node.label else f" = {forward_rule(patient.graph, node)}")})


def misfits(patient: Patient, nodes: Mapping[Value, Sequence[Value] | None]) -> Iterator[Evidence]:
    """Nodes that hold another number than their rule gives; each with whoever may have changed."""
    for node, suspects in list(nodes.items())[:1]:
        yield Evidence([*nodes], {"rule": forward_rule(patient.graph, node), "computed": recomputed(node),
                                  "now": node.data, "suspects": " or ".join(map(patient.name, suspects or ()))})


# nan and inf

# What to do, by the row that made the first inf or nan.
LOGARITHM = ("a logarithm needs a number above 0. For a cost take one that starts from logits, "
             "losses.cross_entropy or losses.binary_cross_entropy_from_logits, or keep the argument away from 0")
EXPONENTIAL = ("eˣ is beyond the largest float above x = 709.78. Subtract the largest argument from all of them "
               "first, as losses.softmax and losses.logsumexp do")
DIVISION = "keep the divisor away from 0: treat that case apart, or add a small number to it"
TOO_LARGE = ("numbers of this size come from weights that are too large, or from a learning rate that is too high: "
             "make both smaller, and bring the inputs to a size of about 1")
ADVICE = {ops.log: LOGARITHM, ops.log1p: LOGARITHM, ops.log2: LOGARITHM, ops.log10: LOGARITHM, ops.div: DIVISION,
          ops.exp: EXPONENTIAL, ops.expm1: EXPONENTIAL, ops.sinh: EXPONENTIAL, ops.cosh: EXPONENTIAL,
          ops.add: TOO_LARGE, ops.sub: TOO_LARGE, ops.mul: TOO_LARGE}
OUTSIDE = "its argument is outside the domain of the function: look at where it comes from"


def first_not_finite(kind: str, patient: Patient) -> Iterator[Evidence]:
    """The first inf, or nan: those that no parent handed down."""
    spoilt = [node for node in patient.graph.order if not isfinite(node.data)]
    starts = [node for node in spoilt if isnan(node.data) == (kind == "nan") and not any(
        isnan(p.data) or (kind == "inf" and not isfinite(p.data)) for p in node.parents)]
    for first in starts[:1]:
        rest = len(spoilt) - len(starts)
        if not first.parents:
            name = patient.name(first) if patient.graph.names[first] else "a number"
            what = f"{name} is {number(first.data)} from the start: no op made it"
            advice = "look at the data; or at the last steps of the training: was the learning rate too high?"
        else:
            what = f"{patient.equation(first)} is the first {kind}"
            advice = (ADVICE.get(first.op, OUTSIDE if kind == "nan" else TOO_LARGE)
                      if all(isfinite(parent.data) for parent in first.parents) else "it comes from an inf: mend that")
        reached = patient.root not in starts and not isfinite(patient.root.data)
        among = f", {patient.name(patient.root)} among them" if reached else ""
        more = f"; {counted(rest, 'other number')} {'is' if rest == 1 else 'are'} inf or nan{among}" if rest else ""
        arguments = {f"argument {i}": parent.data for i, parent in enumerate(first.parents, 1)}
        yield Evidence(starts, {"what": what, "more": more, "advice": advice, "value": first.data,
                                "spoilt": len(spoilt), **arguments})


def steep_edges(patient: Patient) -> list[Edge]:
    """Slopes that are inf or nan where all numbers are finite, and a derivative meets them."""
    onward = patient.graph.onward
    return [edge for node in reversed(onward) if all(isfinite(each.data) for each in (node, *node.parents))
            for edge in onward[node] if not isfinite(edge.local)]


def steep(patient: Patient) -> Iterator[Evidence]:
    """Such slopes: where a derivative meets one, all gradients below are lost, as inf, or as nan where it meets a 0."""
    edges, gradients = steep_edges(patient), patient.gradients
    for edge in edges[:1]:
        parent = edge.parent
        lost = [leaf for leaf in patient.leaves if not isfinite(gradients[leaf])]
        found = (undefined(patient.graph, each) for each in (parent, *lost))
        reason = next((each for each in found if each is not None), None)
        why = ""
        if reason is not None and reason.kind == ZERO_INFINITE and reason.steep == edge:
            why = f" It meets {reason.factor}: 0 · ∞ has no value."
        elif reason is not None and reason.kind != SLOPE:
            why = f" {reason.sentence}."
        leaves = f", and the gradient of {shortened([*map(patient.name, lost)])} inf or nan"
        yield Evidence(list(dict.fromkeys(edge.node for edge in edges)), {
            "slope": edge.local, "argument": parent.data, "gradient": gradients[parent], "at": patient.name(parent),
            "by": derivative(patient.graph, patient.root, parent), "why": why, "way_out": way_out(edge),
            "lost": leaves if lost and lost != [parent] else ""})


def overflow(patient: Patient) -> Iterator[Evidence]:
    """Gradients that are lost though all numbers and slopes are finite."""
    lost = [node for node in reversed(patient.graph.order) if not isfinite(patient.gradients[node])]
    if lost and all(isfinite(node.data) for node in patient.graph.order) and not steep_edges(patient):
        yield Evidence(lost, {"by": derivative(patient.graph, patient.root, lost[0]),
                              "gradient": patient.gradients[lost[0]]})


def way_out(edge: Edge) -> str:
    """To which side of its argument a node has a slope: of asin at 1, to the left."""
    node, i, parent = edge
    for sign, words in ((1, "add a small positive number to it"), (-1, "subtract a small positive number from it")):
        moved = parent.data + sign * 1e-3 * max(abs(parent.data), 1.0)
        args = [moved if each is parent else each.data for each in node.parents]
        y = node.op.value(*args)
        if isfinite(y) and isfinite(node.op.slope(i, y, *args)):
            return f": {words}, for example"
    return ""


# Gradients that are 0

class Flats:
    """The nodes at which an activation is flat, by kind; and how many activations there are, to compare with.

    An activation is a row of one argument, defaults not counted. It is flat if its slope is at most FLAT times the
    steepest that it has where tests sample it, and if it levels off on that side or has no slope at all.
    """

    def __init__(self, graph: Graph) -> None:
        self.kind: dict[Value, str] = {}
        self.group: dict[Value, tuple[Op, str]] = {}          # the op, and the layer
        self.unit: dict[Value, Any] = {}                      # what stands for a neuron: its label, or the node
        for node in graph.order:
            op, rest = node.op, tuple(parent.data for parent in node.parents[1:])
            if not node.parents or op.arity - len(op.defaults) != 1 or node.parents[0].op is CONSTANT:
                continue
            argument = node.parents[0]
            self.group[node] = op, layer_of(node.label) or layer_of(argument.label)
            self.unit[node] = node.label or argument.label or node
            limit, local = FLAT * steepest_slope(op, rest), node.local_derivatives[0]
            if abs(local) <= limit and (limit == 0 or levels_off(op, argument.data, rest, limit)):  # 0: flat everywhere
                self.kind[node] = "dead" if local == 0 and op.kink is not None else "saturated"
        self.units = Counter(self.unit.values())
        self.groups = Counter(self.group.values())
        layers = map(layer_of, {node.label for node in graph.order})
        self.last_layer = max(layers, key=lambda layer: (len(layer), layer))

    @cached_property
    def reported(self) -> dict[tuple[str, Op, str], list[Value]]:
        """The flat nodes to report, by kind, op and layer: those of neurons that are flat wherever they occur; and for
        saturation all, where it has half of a layer."""
        units = Counter(self.unit[node] for node in self.kind)
        share = Counter((kind, *self.group[node]) for node, kind in self.kind.items())
        groups: dict[tuple[str, Op, str], list[Value]] = {}
        for node, kind in self.kind.items():
            key = (kind, *self.group[node])
            always = units[self.unit[node]] == self.units[self.unit[node]]
            if always or (kind == "saturated" and key[2] and share[key] >= self.groups[key[1:]] / 2):
                groups.setdefault(key, []).append(node)
        return groups


@lru_cache
def steepest_slope(op: Op, rest: tuple[float, ...]) -> float:
    low, high = op.domain[0]
    points = [low + (high - low) * k / 8 for k in range(9)]
    return max(abs(op.slope(0, op.value(x, *rest), x, *rest)) for x in points)


def levels_off(op: Op, x: float, rest: tuple[float, ...], limit: float) -> bool:
    """True if a function on the whole line becomes level on the side of x, and is so from x on: no mere bottom."""
    ends = {side: (op.value(side * NEAR, *rest), op.value(side * FAR, *rest)) for side in (-1.0, 1.0)}
    if not all(isfinite(y) for near_and_far in ends.values() for y in near_and_far):
        return False
    sides = (-1.0, 1.0) if x == 0 else (copysign(1.0, x),)
    return (any(abs(ends[side][1] - ends[side][0]) < LEVEL for side in sides)
            and abs(op.slope(0, op.value(2 * x, *rest), 2 * x, *rest)) <= limit)


def layer_of(label: str) -> str:
    """The layer that a label such as z^{2}_{1} names: "2"; "" for none."""
    parts = indices(label)
    return parts[1] if parts is not None and parts[0] in ("z", "a") and parts[1].isdigit() else ""


NO_SLOPE = "nothing before it can learn by gradients: take a function with a slope, a sigmoid for a step"
FLAT_ADVICE = {
    ("dead", WARNING): "no gradient passes through. A neuron that is dead for all samples does not learn; only layers "
                       "before it, if they learn, can wake it. Raise its bias, lower the learning rate, or take "
                       "leaky_relu",
    ("dead", NOTE): "no gradient passes through. That is normal for some of the samples: look at more of them",
    ("saturated", WARNING): 'hardly any gradient passes through: draw smaller weights (init="auto"), bring the inputs '
                            "to a size of about 1; at the output, take a cost that starts from logits",
    ("saturated", NOTE): "hardly any gradient passes through; that does no harm where the output is right",
}


def flat_units(kind: str, patient: Patient) -> Iterator[Evidence]:
    """Dead or saturated neurons, by layers."""
    flats = patient.flats
    for (found, op, layer), nodes in flats.reported.items():
        if found != kind:
            continue
        first, total = nodes[0], flats.groups[op, layer]
        units = dict.fromkeys(flats.unit[node] for node in nodes)
        samples = max(flats.units[unit] for unit in units)
        whole = len(nodes) == total
        if kind == "dead":
            serious = patient.stuck or samples >= MANY or (whole and layer != "")
        elif layer in ("", flats.last_layer):  # an output may well be sure of itself, unless it is wrong
            serious = whole and all(abs(patient.gradients[node.parents[0]]) < 0.01 * abs(patient.root.data) and
                                    patient.gradients[node] != 0 for node in nodes)
        else:
            serious = 2 * len(nodes) >= total
        everywhere = steepest_slope(op, tuple(parent.data for parent in first.parents[1:])) == 0
        severity = WARNING if serious else NOTE
        local = first.local_derivatives[0]
        of = f"all {total:,}" if whole else f"{len(nodes):,} of the {total:,}"
        which = shortened([*map(patient.name, nodes)]) if samples == 1 else (
            f"{counted(len(units), 'neuron')} in {counted(samples, 'sample')}")
        so_are = f". So are {of} {op.symbol} nodes in {f'layer {layer}' if layer else 'the graph'} ({which})"
        yield Evidence(nodes, {
            "argument": first.parents[0].data, "slope": local, "total": total, "samples": samples,
            "is": "is 0 everywhere" if everywhere else f"there is {number(local)}",
            "so_are": so_are if len(nodes) > 1 else "",
            "advice": NO_SLOPE if everywhere and kind == "dead" else FLAT_ADVICE[kind, severity]}, severity)


class Reason(NamedTuple):
    """The reason why a gradient is 0: the kind of finding, the node that stops it, and the edge, if it is one edge."""

    kind: str
    node: Value
    edge: Edge | None = None


def reason_of(edge: Edge, flats: Flats, why: dict[Value, Reason]) -> Reason:
    """The reason why nothing comes back along an edge."""
    node = edge.node
    if edge.local != 0:
        return why.get(node, Reason("vanishing", node, edge))
    if node.op in (ops.mul, ops.div):
        factor = next((parent for parent in node.parents if parent in flats.kind), None)
        return Reason("zero factor", node, edge) if factor is None else Reason(flats.kind[factor], factor)
    return Reason(flats.kind.get(node, "flat" if node.op.kink is None or at_kink(node) else "dead"), node, edge)


def no_gradient(kind: str, patient: Patient) -> Iterator[Evidence]:
    """Leaves with gradient 0 that no finding on dead or saturated neurons explains."""
    graph = patient.graph
    explained = {node for nodes in patient.flats.reported.values() for node in nodes}
    leaves = [leaf for leaf in patient.leaves if leaf in patient.reasons and patient.reasons[leaf].kind == kind
              and patient.reasons[leaf].node not in explained]
    for leaf in leaves[:1]:
        _, node, edge = patient.reasons[leaf]
        uses = len(graph.uses[leaf])
        facts: dict[str, object] = {"in_uses": f" in its {uses} uses" if uses > 1 else "", "node": patient.name(node),
                                    "stops": patient.equation(node), "one": "", "uses": uses,
                                    "total": len(patient.leaves)}
        if edge is not None:
            facts |= {"factor": patient.name(edge.parent), "upstream": derivative(graph, patient.root, node),
                      "local": derivative(graph, node, edge.parent),
                      "product": f"{number(graph.gradients[node])} · {number(edge.local)}",
                      "one": f", its slope with {patient.name(edge.parent)} is 0" if len(node.parents) > 1 else ""}
        severe = kind == "vanishing" or (patient.stuck and kind != "flat")
        yield Evidence(leaves, facts, WARNING if severe else NOTE)


# Parameters, layers, and what else there is to know

def no_path(of_all: bool, patient: Patient) -> Iterator[Evidence]:
    """Parameters that the root does not depend on; of_all: none of them is in the graph."""
    absent = [value for value in patient.parameters if value not in patient.graph.names]
    total = len(patient.parameters)
    if absent and of_all == (len(absent) == total > 1):
        yield Evidence(absent, {"root": patient.name(patient.root), "total": total})


def trend(kind: str, terms: Mapping[int, Sequence[Value]], size: Callable[[Value], float]) -> Iterator[Evidence]:
    """Error terms that shrink or grow on the way back, from their mean sizes in the layers."""
    sizes = {layer: fmean(size(node) for node in nodes) for layer, nodes in terms.items()}
    alive = sorted(layer for layer, mean in sizes.items() if mean > 0 and isfinite(mean))
    if len(alive) < LAYERS:
        return
    first, last = alive[0], alive[-1]
    ratio = sizes[first] / sizes[last]
    if ratio < SHRINKS if kind == "vanishing" else ratio > 1 / SHRINKS:
        yield Evidence(terms[first], {
            "factor": math.pow(ratio, 1 / (last - first)), "first": sizes[first], "last": sizes[last],
            "layers": (first, last), "times": number(max(ratio, sizes[last] / sizes[first]))})


def ratios_of_layers(kind: str, patient: Patient) -> Iterator[Evidence]:
    """Error terms, the gradients of weighted sums such as z^{k}."""
    terms: dict[int, list[Value]] = {}
    for node in patient.sums:
        layer = (indices(node.label) or ("", "", ""))[1]
        if layer.isdecimal():
            terms.setdefault(int(layer), []).append(node)
    return trend(kind, terms, lambda node: abs(patient.gradients[node]))


def kinks(patient: Patient) -> Iterator[Evidence]:
    """Nodes exactly at a kink, where that matters to the result."""
    met = [node for node in patient.graph.order if patient.gradients[node] != 0 and at_kink(node)
           and any(parent.op is not CONSTANT for parent in node.parents)]
    for node in met[:1]:
        slopes = [number(local) for local, p in zip(node.local_derivatives, node.parents) if p.op is not CONSTANT]
        yield Evidence(met, {"slope": node.local_derivatives[0], "slopes": " and ".join(slopes),
                             "note": f" ({node.op.note})" if node.op.note else ""})


def accumulated(patient: Patient) -> Iterator[Evidence]:
    """Leaves whose .grad is a multiple of the gradient, the same for all. (That of a root shows the seed.)"""
    gradients, leaves = patient.gradients, [leaf for leaf in patient.leaves if patient.gradients[leaf] != 0]
    if not leaves or patient.root.grad != 1.0 or not patient.root.parents:
        return
    first = leaves[0]
    times = first.grad / gradients[first]
    if isfinite(times) and times > 1.5 and isclose(times, round(times), rel_tol=1e-9) and all(
            isclose(leaf.grad, round(times) * gradients[leaf], rel_tol=1e-9) for leaf in leaves):
        yield Evidence(leaves, {"grad": number(first.grad), "gradient": number(gradients[first]),
                                "factor": round(times)})


# A network without a graph

class Parameters:
    """The parameters of a network, by the names that they go by, with the numbers and gradients that they have."""

    def __init__(self, named: Sequence[tuple[str, Value]]) -> None:
        self.names = {value: name for name, value in named}
        self.all = [value for _, value in named]
        self.silent = bool(self.all) and all(value.grad == 0 for value in self.all)
        self.neurons: dict[tuple[str, str], list[Value]] = {}
        self.biases: dict[int, list[Value]] = {}
        for value in self.all:
            base, layer, place = indices(value.label) or ("", "", "")
            if base in ("w", "b") and layer.isdigit():
                self.neurons.setdefault((layer, place.partition(",")[0]), []).append(value)
                if base == "b":
                    self.biases.setdefault(int(layer), []).append(value)

    def name(self, node: Value) -> str:
        return self.names[node]

    def some(self, values: Sequence[Value], what: str) -> str:
        return f"{counted(len(values), what)} of {len(self.all)} {'is' if len(values) == 1 else 'are'}"


def spoilt(kind: str, net: Parameters) -> Iterator[Evidence]:
    values = [value for value in net.all if not isfinite(value.data)]
    if values and isnan(values[0].data) == (kind == "nan"):
        yield Evidence(values, {"some": net.some(values, "parameter"), "value": values[0].data})


def lost(net: Parameters) -> Iterator[Evidence]:
    if values := [value for value in net.all if not isfinite(value.grad)]:
        yield Evidence(values, {"some": net.some(values, "gradient"), "gradient": values[0].grad})


def huge(net: Parameters) -> Iterator[Evidence]:
    if values := [value for value in net.all if HUGE < abs(value.data) < math.inf]:
        largest = max(values, key=lambda value: abs(value.data))
        yield Evidence(values, {"some": net.some(values, "parameter"), "name": net.name(largest),
                                "value": largest.data})


def silent(net: Parameters) -> Iterator[Evidence]:
    if net.silent:
        yield Evidence(net.all, {})


def idle(net: Parameters) -> Iterator[Evidence]:
    """Neurons none of whose parameters has a gradient."""
    neurons = [neuron for neuron, values in net.neurons.items() if all(value.grad == 0 for value in values)]
    if neurons and not net.silent:
        yield Evidence([value for neuron in neurons for value in net.neurons[neuron]], {
            "idle": counted(len(neurons), "neuron"), "neurons": len(neurons),
            "which": shortened([f"neuron {place or 1} of layer {layer}" for layer, place in neurons])})


def ratios_of_biases(kind: str, net: Parameters) -> Iterator[Evidence]:
    return trend(kind, net.biases, lambda value: abs(value.grad)) if not net.silent else iter(())


# Words

def number(x: float) -> str:
    """Four significant digits; a million and more with a power of ten, 3.352·10⁹, but 1234567 as it is."""
    digits = f"{x:.{DIGITS - 1}e}"
    mantissa, _, exponent = digits.partition("e+")
    as_it_is = x == x // 1 and x != float(digits)
    if not exponent or int(exponent) < POWER or as_it_is:
        return number_of(x)
    power = "10" + str(int(exponent)).translate(SUPERSCRIPT)
    factor = number_of(float(mantissa))
    return factor.removesuffix("1") + power if factor in ("1", "−1") else f"{factor}·{power}"


def shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")
