"""What is wrong with a graph: `diagnose(C)` looks for what goes wrong in practice.

The first nan, dead and saturated neurons, gradients that vanish, numbers that were changed behind the graph's back:
each finding is data, and a sentence with names and numbers. What is flat, and where, is asked of the rows of the table,
so that it holds for a user's own op. Nothing is changed by looking.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import copysign, isclose, isfinite, isnan, nan
from statistics import fmean
from typing import Any, NamedTuple

from .. import ops
from ..arguments import counted
from ..engine import Value
from ..formulas.algebra import forward_rule, name_of, number_of, partial
from ..formulas.deltas import weighted_sums
from ..formulas.graph import Edge, Graph, look, recomputed, same
from ..formulas.layout import DIGITS, SUPERSCRIPT, indices, unicode_label
from ..formulas.undefined import SLOPE, ZERO_INFINITE, undefined
from ..ops import CONSTANT, LEAF, Op
from ..page import BLUE, RED, YELLOW, Block, Entry, Grid, GridRow, Page, Summary
from ..terminal import Spelling, wrapped

__all__ = ["diagnose"]

# What may be found, the worst first.
KINDS = {
    "stale": "a number was changed after others had been computed from it",
    "inf": "the first inf",
    "nan": "the first nan",
    "steep": "an infinite (or nan) slope at a finite number",
    "overflow": "a gradient beyond the largest float, though every slope is finite",
    "no path": "parameters that the result does not depend on",
    "vanishing": "error terms that shrink from layer to layer, on the way back to the input",
    "exploding": "error terms that grow so; in a network alone: huge parameters",
    "dead": "the flat piece of a function with a kink: a ReLU at z ≤ 0",
    "saturated": "the flat end of a smooth function: a sigmoid far from 0",
    "zero factor": "a gradient that is 0 because something is multiplied by 0",
    "cancelled": "a gradient whose contributions add up to exactly 0",
    "flat": "a gradient that is 0 at a top, a bottom or an edge of a function",
    "no gradient": "(in a network alone) neurons whose gradients are all 0",
    "kink": "an argument exactly where a slope jumps",
    "accumulated": "gradients that several backward passes have added up",
}
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

# What to do, by the row that made the first inf or nan.
LOGARITHM = ("a logarithm needs a number above 0. For a cost take one that starts from logits, "
             "losses.cross_entropy or losses.binary_cross_entropy_from_logits, or keep the argument away from 0")
EXPONENTIAL = ("eˣ is beyond the largest float above x = 709.78. Subtract the largest argument from all of them "
               "first, as losses.softmax and losses.logsumexp do")
DIVISION = "let the divisor not become 0: treat that case apart, or add a small number to it"
TOO_LARGE = ("numbers of this size come from weights that are too large, or from a learning rate that is too high: "
             "make both smaller, and bring the inputs to a size of about 1")
ADVICE = {ops.log: LOGARITHM, ops.log1p: LOGARITHM, ops.log2: LOGARITHM, ops.log10: LOGARITHM, ops.div: DIVISION,
          ops.exp: EXPONENTIAL, ops.expm1: EXPONENTIAL, ops.sinh: EXPONENTIAL, ops.cosh: EXPONENTIAL,
          ops.add: TOO_LARGE, ops.sub: TOO_LARGE, ops.mul: TOO_LARGE}
OUTSIDE = "its argument is outside the domain of the function: look at where it comes from"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Finding(Entry):
    """One thing that was found.

    Attributes:
        kind: a key of KINDS.
        severity: "error" (numbers or gradients are not to be used), "warning" (learning suffers), "note" (normal, but
            it explains a 0 or a convention).
        sentence: what it is and how it came about.
        advice: what to do.
        nodes: those that it is about, the first of which the sentence names.
        names: theirs, as printed.
        numbers: the numbers of the sentence, and "count", how many nodes.

    Example:
        >>> finding, = micrograd.diagnose(micrograd.Value(-30.0, "z").relu()).findings
        >>> print(finding.severity, finding.sentence)
        warning f = ReLU(z) = ReLU(−30) = 0 is dead: its slope there is 0.
    """

    kind: str
    severity: str
    sentence: str
    advice: str
    nodes: tuple[Value, ...]
    names: tuple[str, ...]
    numbers: dict[str, float]

    _data = ("kind", "severity", "sentence", "advice", "names", "numbers")

    @property
    def node(self) -> Value:
        """The first of the nodes, which the sentence names."""
        return self.nodes[0]

    @property
    def label(self) -> str:
        """The name of the node, as printed: its label w^{2}_{1} as w²₁, or v₁, v₂, ... without one."""
        return self.names[0]

    @property
    def said(self) -> list[str]:
        """The sentence, and after an arrow the advice, if there is any."""
        return [words for words in (self.sentence, self.advice and f"→ {self.advice}") if words]

    def _blocks(self) -> tuple[Block, ...]:
        return (f"{self.severity}, {self.kind}: {self.sentence} {sentence_case(self.advice)}".strip(),)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Diagnosis(Page):
    """What `diagnose` found. Print it, show it in a notebook, or `.save("C.html")` it. True if there are only notes.

    Attributes:
        subject: what was looked at.
        findings: each a `Finding`, the worst first.

    Example:
        >>> bool(micrograd.diagnose(micrograd.Value(30.0, "z").relu()))
        True
    """

    subject: str
    findings: tuple[Finding, ...]

    _data = ("subject", "ok", "findings")

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning."""
        return all(finding.severity == NOTE for finding in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind.

        Args:
            kind: a key of KINDS.

        Returns:
            A list of `Finding`.

        Raises:
            ValueError: if no kind is called that.
        """
        if kind not in KINDS:
            raise ValueError(f"no kind of finding is called {kind!r}; there are {', '.join(KINDS)}")
        return [finding for finding in self.findings if finding.kind == kind]

    @property
    def summary(self) -> str:
        """One line: how many of each severity."""
        count = Counter(finding.severity for finding in self.findings)
        return f"{self.subject}: " + (", ".join(counted(count[severity], severity) for severity in SEVERITIES
                                                if count[severity]) or "nothing found")

    def _laid_out(self, width: int, spell: Spelling) -> str:
        lines = wrapped(spell(self.summary), width)
        room = max((len(finding.kind) for finding in self.findings), default=0)
        left = room + 11 if room + 11 <= width // 2 else 4  # below, where there is no room beside
        for finding in self.findings:
            head = f"{finding.severity:<7}  {finding.kind:<{room}}  "
            if left < len(head):
                lines.append(head.rstrip())
                head = " " * left
            for words in finding.said:
                lines += wrapped(spell(words), width, head, left)
                head = " " * left
        return "\n".join(lines)

    def _title(self) -> str:
        return f"Diagnosis of {self.subject}"

    def _blocks(self) -> Iterator[Block]:
        yield Summary(self.summary)
        if self.findings:
            rows = [GridRow((each.severity, each.kind), each.said) for each in self.findings]
            yield Grid((), rows, badge=0, looks={ERROR: (RED, ""), WARNING: (YELLOW, ""), NOTE: (BLUE, "")})

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        yield "severity", "kind", "sentence", "advice", "nodes"
        for each in self.findings:
            yield each.severity, each.kind, each.sentence, each.advice, ", ".join(each.names)


def diagnose(root: Any, parameters: Any = ()) -> Diagnosis:
    """Look for what goes wrong, in the graph of a result. Takes time proportional to the number of nodes.

    What it looks for stands in KINDS of this module; ratios from layer to layer, and groups of neurons, go by labels as
    a Neuron gives them: z^{2}_{1}, a^{2}_{1}.

    Args:
        root: a Value, such as a cost, after the forward pass; backward() need not have run. Several in a list are
            looked at as their sum. Or a network (anything with parameters()): no graph is at hand in that case, only
            the numbers and gradients of its parameters, as they stand, are looked at.
        parameters: a network, or a list of Values, each of which ought to be in the graph; those that are not are
            reported.

    Returns:
        A `Diagnosis`: print it, or show it in a notebook.

    Raises:
        TypeError: for anything else.

    Example:
        >>> z = micrograd.Value(-30.0, "z")
        >>> report = micrograd.diagnose(z.relu())
        >>> report.ok, [finding.kind for finding in report.findings]
        (False, ['dead'])
    """
    if callable(getattr(root, "parameters", None)):
        named = parameters_of(root)
        return Diagnosis(f"{counted(len(named), 'parameter')}, and no graph (diagnose(cost, parameters=net) sees more)",
                         ordered(in_parameters(named)))
    roots = list(root) if isinstance(root, (list, tuple)) else [root]
    if not roots or not all(isinstance(each, Value) for each in roots):
        raise TypeError("diagnose(root) needs a Value, several in a list, or a network; found "
                        f"{type(root).__name__} {root!r:.40}")
    graph = look(Value.sum(roots), "diagnose(root)")
    what = name_of(graph, graph.root) if len(roots) == 1 else f"the sum of {counted(len(roots), 'result')}"
    flats = Flats(graph)
    return Diagnosis(f"{what}, {counted(len(graph.order), 'node')}", ordered([
        *changed_numbers(graph), *first_not_finite(graph), *not_finite_gradients(graph),
        *not_in_graph(graph, parameters_of(parameters)), *ratios_of_layers(graph), *flat_units(graph, flats),
        *zero_gradients(graph, flats), *kinks(graph), *accumulated(graph)]))


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; in the order of KINDS among equals, and then as they were found."""
    kinds = list(KINDS)
    return tuple(sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), kinds.index(finding.kind))))


def found(graph: Graph, kind: str, severity: str, nodes: Sequence[Value], sentence: str, advice: str,
          **numbers: float) -> Finding:
    return Finding(kind, severity, sentence, advice, tuple(nodes), tuple(name_of(graph, node) for node in nodes),
                   {**numbers, "count": len(nodes)})


def parameters_of(source: Any) -> list[tuple[str, Value]]:
    """Each parameter of a network, or of a list, with the name that it goes by."""
    if isinstance(source, type):
        raise TypeError(f"diagnose(parameters=...) needs a network or Values, found the class {source.__name__}")
    if callable(getattr(source, "named_parameters", None)):
        pairs = list(source.named_parameters())
    else:
        listed = source.parameters() if callable(getattr(source, "parameters", None)) else source
        if isinstance(listed, Value) or not isinstance(listed, Iterable):
            listed = [listed]
        pairs = [(f"parameter {i}", value) for i, value in enumerate(listed, 1)]
    for _, value in pairs:
        if not isinstance(value, Value):
            raise TypeError(f"diagnose(parameters=...) needs a network or Values, found {type(value).__name__} "
                            f"{value!r:.40}")
    return [(unicode_label(value.label) or path, value) for path, value in pairs]


# Numbers that do not fit together

def changed_numbers(graph: Graph) -> Iterator[Finding]:
    """Nodes that do not have the value that their op has for the numbers that their parents hold now, and who did it.

    Such a node was overwritten if what it ought to hold explains what was computed from it. Else the suspects are its
    parents: leaves, and computed ones that were overwritten. Whoever has another use that fits is innocent. Where
    nobody is left, or nobody explains it while the recorded slopes fit, the node itself was overwritten.
    """
    stale = {node for node in graph.order if node.parents and not same(recomputed(node), node.data)}
    innocent = {parent for node in graph.order if node not in stale for parent in node.parents
                if sum(local for p, local in zip(node.parents, node.local_derivatives) if p is parent) != 0}
    guilty: dict[Value, tuple[Value, float]] = {}  # with the first node that shows it, and the number before
    unclear: dict[Value, list[Value]] = {}
    overwritten: dict[Value, None] = {}
    for node in graph.order:
        if node not in stale:
            continue
        parents = dict.fromkeys(node.parents)
        suspects = ([parent for parent in parents if parent.op is LEAF and parent not in innocent]
                    or [parent for parent in parents if parent in overwritten])
        before = {suspect: number_before(node, suspect) for suspect in suspects}
        able = [suspect for suspect in suspects if not isnan(before[suspect])]
        witnesses = [edge.node for edge in graph.uses[node] if edge.node in stale
                     and not any(parent in before for parent in edge.node.parents)]
        if any(same(value_with(witness, node, recomputed(node)), witness.data) for witness in witnesses) or (
                not able and slopes_fit(node, [p.data for p in node.parents])):
            overwritten[node] = None
        elif len(able or suspects) > 1:
            unclear[node] = able or suspects
        else:
            [suspect] = able or suspects
            if suspect not in overwritten and isnan(guilty.get(suspect, (node, nan))[1]):
                guilty[suspect] = (node, before[suspect])
    unclear = {node: suspects for node, suspects in unclear.items() if not any(each in guilty for each in suspects)}

    again = "run the forward pass again before backward(): a graph is a record of the numbers that it was computed from"
    if guilty:
        leaf, (node, old) = next(iter(guilty.items()))
        what = name_of(graph, node) + ("" if node.label else f" = {forward_rule(graph, node)}")
        was = "had another value" if isnan(old) else f"was {number(old)}"
        sentence = (f"{name_of(graph, leaf)} {was} when {what} was computed, and is {number(leaf.data)} now"
                    f"{others(graph, list(guilty), ' has changed too', ' have changed too')}.")
        yield found(graph, "stale", ERROR, list(guilty), sentence, again, before=old, now=leaf.data)
    if overwritten:
        node = next(iter(overwritten))
        sentence = (f"{name_of(graph, node)} holds {number(node.data)}, but {forward_rule(graph, node)} is "
                    f"{number(recomputed(node))}: its .data was overwritten"
                    f"{others(graph, list(overwritten), ' was, too', ' were, too')}.")
        yield found(graph, "stale", ERROR, list(overwritten), sentence,
                    "change the data of leaves only, and " + again, computed=recomputed(node), now=node.data)
    if unclear:
        node, suspects = next(iter(unclear.items()))
        names = " or ".join(name_of(graph, suspect) for suspect in suspects)
        sentence = (f"{name_of(graph, node)} holds {number(node.data)}, but {forward_rule(graph, node)} is "
                    f"{number(recomputed(node))} now: {names} has changed since, or both"
                    f"{others(graph, list(unclear), ' does not fit either', ' do not fit either')}.")
        yield found(graph, "stale", ERROR, list(unclear), sentence, again, computed=recomputed(node), now=node.data)


def value_with(node: Value, changed: Value, x: float) -> float:
    """What the node would hold if one of its parents held x."""
    return node.op.value(*[x if parent is changed else parent.data for parent in node.parents])


def number_before(node: Value, parent: Value) -> float:
    """What parent held when node was computed, if all else is as it was; nan if that explains nothing.

    By Newton's method, with steps of a modest size; the slopes that were recorded must be those at the number found,
    and not 0: from a flat piece there is no way back.
    """
    x = parent.data
    args = [p.data for p in node.parents]
    places = [i for i, p in enumerate(node.parents) if p is parent]
    for _ in range(100):
        for i in places:
            args[i] = x
        y = node.op.value(*args)
        slope = sum(node.op.slope(i, y, *args) for i in places)
        if slope == 0 or not isfinite(slope) or not isfinite(y - node.data):
            return nan
        if isclose(y, node.data, rel_tol=1e-12, abs_tol=1e-15 * max(map(abs, args))):
            return x if slopes_fit(node, args) else nan
        x -= copysign(min(abs((y - node.data) / slope), 1 + abs(x)), (y - node.data) / slope)
    return nan


def slopes_fit(node: Value, args: Sequence[float]) -> bool:
    """Whether the slopes that were recorded are those at these arguments."""
    y = node.op.value(*args)
    return all(p.op is CONSTANT or isclose(node.op.slope(i, y, *args), node.local_derivatives[i], rel_tol=1e-6)
               for i, p in enumerate(node.parents))


# nan and inf

def first_not_finite(graph: Graph) -> Iterator[Finding]:
    """The first inf and the first nan: those that no parent handed down."""
    spoilt = [node for node in graph.order if not isfinite(node.data)]
    infinite = [node for node in spoilt if not isnan(node.data) and all(isfinite(p.data) for p in node.parents)]
    undefined = [node for node in spoilt if isnan(node.data) and not any(isnan(p.data) for p in node.parents)]
    for kind, starts in (("inf", infinite), ("nan", undefined)):
        if not starts:
            continue
        first, rest = starts[0], len(spoilt) - len(starts)
        if not first.parents:
            name = name_of(graph, first) if graph.names[first] else "a number"
            sentence = f"{name} is {number(first.data)} from the start: no op made it"
            advice = "look at the data; or at the last steps of the training: was the learning rate too high?"
        elif all(isfinite(parent.data) for parent in first.parents):
            sentence = f"{equation(graph, first)} is the first {kind}"
            advice = ADVICE.get(first.op, OUTSIDE if kind == "nan" else TOO_LARGE)
        else:
            sentence = f"{equation(graph, first)} is the first {kind}"
            advice = "it comes from an inf: mend that"
        sentence += others(graph, starts, " came about in this way, too", " came about in this way, too")
        if rest:
            reached = "" if isfinite(graph.root.data) else f", {name_of(graph, graph.root)} among them"
            reached = reached * (graph.root not in starts)
            sentence += f"; {counted(rest, 'other number')} {'is' if rest == 1 else 'are'} inf or nan{reached}"
        yield found(graph, kind, ERROR, starts, sentence + ".", advice, value=first.data, spoilt=len(spoilt),
                    **{f"argument {i}": parent.data for i, parent in enumerate(first.parents, 1)})


def not_finite_gradients(graph: Graph) -> Iterator[Finding]:
    """Slopes, or gradients, that are inf or nan where all numbers are finite. A slope that no derivative meets does no
    harm; where one does, all gradients below are lost: as inf, or as nan where it meets a 0."""
    def fine(node: Value) -> bool:
        return isfinite(node.data) and all(isfinite(parent.data) for parent in node.parents)

    steep = [edge for node in reversed(graph.onward) if fine(node) for edge in graph.onward[node]
             if not isfinite(edge.local)]
    if steep:
        nodes = list(dict.fromkeys(edge.node for edge in steep))
        node, _, parent = edge = steep[0]
        lost = [leaf for leaf in graph.order if leaf.op is LEAF and not isfinite(graph.gradients[leaf])]
        reason = next((reason for each in (parent, *lost) if (reason := undefined(graph, each)) is not None), None)
        why = ""
        if reason is not None and reason.kind == ZERO_INFINITE and reason.steep == edge:
            why = f" It meets {reason.factor}: 0 · ∞ has no value."
        elif reason is not None and reason.kind != SLOPE:
            why = f" {reason.sentence}."
        sentence = (f"The slope of {equation(graph, node)} is {number(edge.local)} there, so that "
                    f"{partial(graph, graph.root, parent)} is {number(graph.gradients[parent])}"
                    + (f", and the gradient of {listing(graph, lost)} inf or nan" if lost and lost != [parent] else "")
                    + f"{others(graph, nodes, ' has such a slope, too', ' have such slopes, too')}."
                    + why)
        yield found(graph, "steep", ERROR, nodes, sentence,
                    f"keep {name_of(graph, parent)} away from there{way_out(edge)}",
                    slope=edge.local, argument=parent.data, gradient=graph.gradients[parent])
        return
    lost = [node for node in reversed(graph.order) if not isfinite(graph.gradients[node])]
    if lost and all(isfinite(node.data) for node in graph.order):
        sentence = (f"{partial(graph, graph.root, lost[0])} is {number(graph.gradients[lost[0]])}, though every "
                    "slope on the way is finite: their product is beyond the largest float"
                    f"{others(graph, lost, ' has lost its gradient, too', ' have lost their gradients, too')}.")
        yield found(graph, "overflow", ERROR, lost, sentence, TOO_LARGE, gradient=graph.gradients[lost[0]])


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
        steepest: dict[tuple[Op, tuple[float, ...]], float] = {}
        for node in graph.order:
            op, rest = node.op, tuple(parent.data for parent in node.parents[1:])
            if not node.parents or op.arity - len(op.defaults) != 1 or node.parents[0].op is CONSTANT:
                continue
            if (op, rest) not in steepest:
                steepest[op, rest] = steepest_slope(op, rest)
            layer = layer_of(node.label) or layer_of(node.parents[0].label)
            self.group[node] = (op, layer)
            self.unit[node] = node.label or node.parents[0].label or node
            limit, x, local = FLAT * steepest[op, rest], node.parents[0].data, node.local_derivatives[0]
            if abs(local) <= limit and (limit == 0 or levels_off(op, x, rest, limit)):  # 0: flat everywhere
                self.kind[node] = "dead" if local == 0 and op.kink is not None else "saturated"
        self.units = Counter(self.unit.values())
        self.groups = Counter(self.group.values())
        layers = [layer_of(label) for label in {node.label: None for node in graph.order if node.label}]
        self.last_layer = max(layers, key=lambda layer: (len(layer), layer), default="")


def steepest_slope(op: Op, rest: tuple[float, ...]) -> float:
    low, high = op.domain[0]
    points = [low + (high - low) * k / 8 for k in range(9)]
    return max(abs(op.slope(0, op.value(x, *rest), x, *rest)) for x in points)


def levels_off(op: Op, x: float, rest: tuple[float, ...], limit: float) -> bool:
    """Whether a function on the whole line becomes level on the side of x, and is so from x on: no mere bottom."""
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


def no_leaf_learns(graph: Graph) -> bool:
    leaves = [node for node in graph.order if node.op is LEAF]
    return bool(leaves) and all(graph.gradients[leaf] == 0 for leaf in leaves)


def reported(flats: Flats) -> dict[tuple[str, Op, str], list[Value]]:
    """The flat nodes to report, by kind, op and layer: those of neurons that are flat wherever they occur; and for
    saturation all, where it has half of a layer."""
    flat_units = Counter(flats.unit[node] for node in flats.kind)
    share = Counter((kind, *flats.group[node]) for node, kind in flats.kind.items())
    groups: dict[tuple[str, Op, str], list[Value]] = {}
    for node, kind in flats.kind.items():
        key = (kind, *flats.group[node])
        always = flat_units[flats.unit[node]] == flats.units[flats.unit[node]]
        if always or (kind == "saturated" and key[2] and share[key] >= flats.groups[key[1:]] / 2):
            groups.setdefault(key, []).append(node)
    return groups


def flat_units(graph: Graph, flats: Flats) -> Iterator[Finding]:
    """Dead and saturated neurons, a finding for each layer."""
    stuck = no_leaf_learns(graph)
    for (kind, op, layer), nodes in reported(flats).items():
        first, total = nodes[0], flats.groups[op, layer]
        units = dict.fromkeys(flats.unit[node] for node in nodes)
        samples = max(flats.units[unit] for unit in units)
        whole = len(nodes) == total
        if kind == "dead":
            serious = stuck or samples >= MANY or (whole and layer != "")
        elif layer in ("", flats.last_layer):  # an output may well be sure of itself, unless it is wrong
            serious = whole and all(abs(graph.gradients[node.parents[0]]) < 0.01 * abs(graph.root.data) and
                                    graph.gradients[node] != 0 for node in nodes)
        else:
            serious = 2 * len(nodes) >= total
        z, local = first.parents[0], first.local_derivatives[0]
        everywhere = steepest_slope(op, tuple(parent.data for parent in first.parents[1:])) == 0
        slope = "its slope is 0 everywhere" if everywhere else f"its slope there is {number(local)}"
        sentence = f"{equation(graph, first)} is {kind}: {slope}"
        if len(nodes) > 1:
            of = f"all {total:,}" if whole else f"{len(nodes):,} of the {total:,}"
            which = listing(graph, nodes) if samples == 1 else (
                f"{counted(len(units), 'neuron')} in {counted(samples, 'sample')}")
            sentence += f". So are {of} {op.symbol} nodes in {f'layer {layer}' if layer else 'the graph'} ({which})"
        if kind == "dead" and everywhere:
            advice = "nothing before it can learn by gradients: take a function with a slope, a sigmoid for a step"
        elif kind == "dead":
            advice = ("no gradient passes through. A neuron that is dead for all samples does not learn; only layers "
                      "before it, if they learn, can wake it. Raise its bias, lower the learning rate, or take "
                      "leaky_relu"
                      if serious else
                      "no gradient passes through. That is normal for a part of the samples: look at more of them")
        else:
            advice = ("hardly any gradient passes through: draw smaller weights (init=\"auto\"), bring the inputs to a "
                      "size of about 1; at the output, take a cost that starts from logits" if serious else
                      "hardly any gradient passes through; that is no harm where the output is right")
        yield found(graph, kind, WARNING if serious else NOTE, nodes, sentence + ".", advice, argument=z.data,
                    slope=local, total=total, samples=samples)


class Reason(NamedTuple):
    """Why a gradient is 0: the kind of finding, the node that stops it, and the edge there, if it is one edge."""

    kind: str
    node: Value
    edge: Edge | None = None


def reason_of(edge: Edge, graph: Graph, flats: Flats, why: dict[Value, Reason]) -> Reason:
    """Why nothing comes back along an edge."""
    node = edge.node
    if edge.local != 0:
        return why.get(node, Reason("vanishing", node, edge))
    if node.op in (ops.mul, ops.div):
        factor = next((parent for parent in node.parents if parent in flats.kind), None)
        return Reason("zero factor", node, edge) if factor is None else Reason(flats.kind[factor], factor)
    return Reason(flats.kind.get(node, "flat" if node.op.kink is None or at_kink(node) else "dead"), node, edge)


def reasons(graph: Graph, flats: Flats) -> dict[Value, Reason]:
    """For each node with gradient 0 its reason; of several, the one that most of its uses have."""
    why: dict[Value, Reason] = {}
    for node in reversed(graph.order[:-1]):
        if graph.gradients[node] != 0 or node.op is CONSTANT:
            continue
        if any(graph.sent(edge) != 0 for edge in graph.uses[node]):
            why[node] = Reason("cancelled", node)
        else:
            each = [reason_of(edge, graph, flats, why) for edge in graph.uses[node]]
            [(kind, _)] = Counter(reason.kind for reason in each).most_common(1)
            why[node] = next(reason for reason in each if reason.kind == kind)
    return why


def zero_gradients(graph: Graph, flats: Flats) -> Iterator[Finding]:
    """Leaves with gradient 0 that no finding on dead or saturated neurons explains, by kind of reason."""
    why = reasons(graph, flats)
    explained = {node for nodes in reported(flats).values() for node in nodes}
    groups: dict[str, list[Value]] = {}
    for leaf in graph.order:
        if leaf.op is LEAF and leaf in why and why[leaf].node not in explained:
            groups.setdefault(why[leaf].kind, []).append(leaf)
    stuck = no_leaf_learns(graph)
    for kind, leaves in groups.items():
        leaf = leaves[0]
        _, node, edge = why[leaf]
        uses = len(graph.uses[leaf])
        if kind == "cancelled":
            cause = f"the contributions to {name_of(graph, node)} along its uses add up to exactly 0"
        elif kind == "vanishing" and edge is not None:
            cause = (f"{partial(graph, graph.root, node)} · {partial(graph, node, edge.parent)} = "
                     f"{number(graph.gradients[node])} · {number(edge.local)} is below the smallest float")
        elif kind == "zero factor" and edge is not None:
            cause = f"{name_of(graph, edge.parent)} is multiplied by 0 in {equation(graph, node)}"
        else:
            cause = f"{equation(graph, node)} is {kind}"
            if edge is not None and len(node.parents) > 1:
                cause += f", its slope with {name_of(graph, edge.parent)} is 0"
        also = others(graph, leaves, " gets none for such a reason", " get none for such a reason")
        severe = kind == "vanishing" or (stuck and kind != "flat")
        yield found(graph, kind, WARNING if severe else NOTE, leaves,
                    f"{name_of(graph, leaf)} gets no gradient{f' in its {uses} uses' if uses > 1 else ''}: "
                    f"{cause}{also}.", ZERO_ADVICE[kind], uses=uses, total=sum(n.op is LEAF for n in graph.order))


ZERO_ADVICE = {
    "dead": "normal if other samples give it a gradient",
    "saturated": "draw smaller weights (init=\"auto\"), and bring the inputs to a size of about 1",
    "flat": "at the lowest cost this is as it should be; at another point the slope is not 0",
    "zero factor": "normal if that 0 is data; if it is a weight, do not start all weights at 0",
    "cancelled": "the result does not change with it, here at least: is something subtracted from itself?",
    "vanishing": "too many small slopes are multiplied: fewer layers, larger weights, or another activation",
}


def not_in_graph(graph: Graph, parameters: list[tuple[str, Value]]) -> Iterator[Finding]:
    """Parameters that the root does not depend on."""
    absent = [(name, value) for name, value in parameters if value not in graph.names]
    if not absent:
        return
    root = name_of(graph, graph.root)
    names = tuple(name for name, _ in absent)
    if len(absent) == len(parameters) > 1:
        sentence = f"{root} depends on none of the {len(parameters)} parameters: they are not in its graph."
        advice = "was it computed from plain numbers (.data, float), or by another network?"
    else:
        sentence = f"{root} does not depend on {shortened(names)}: there is no path in the graph."
        advice = "backward() leaves the gradient as it was: use it in the forward pass, or do not train it"
    yield Finding("no path", WARNING, sentence, advice, tuple(value for _, value in absent), names,
                  {"total": len(parameters), "count": len(absent)})


# From layer to layer

def ratios_of_layers(graph: Graph) -> Iterator[Finding]:
    """Error terms, the gradients of weighted sums such as z^{k}, that shrink or grow on the way back."""
    terms: dict[int, list[Value]] = {}
    for node in weighted_sums(graph):
        layer = (indices(node.label) or ("", "", ""))[1]
        if layer.isdecimal():
            terms.setdefault(int(layer), []).append(node)
    trend = trend_of({layer: fmean(abs(graph.gradients[node]) for node in nodes) for layer, nodes in terms.items()})
    if trend is not None:
        yield found(graph, trend.kind, WARNING, terms[trend.first], f"The error terms δ {trend}.", trend.advice,
                    **trend.numbers)


class Trend(NamedTuple):
    """Error terms that shrink or grow: the first and the last layer, and the mean size there."""

    first: int
    last: int
    size: float         # in the first layer
    size_before: float  # in the last, from which the backward pass comes

    @property
    def shrinking(self) -> bool:
        return self.size < self.size_before

    @property
    def kind(self) -> str:
        return "vanishing" if self.shrinking else "exploding"

    @property
    def factor(self) -> float:
        return math.pow(self.size / self.size_before, 1 / (self.last - self.first))

    @property
    def numbers(self) -> dict[str, float]:
        return {"factor": self.factor, "first": self.size, "last": self.size_before}

    @property
    def advice(self) -> str:
        if self.shrinking:
            return ("draw the weights to fit the activation (init=\"auto\"), take tanh or relu in the place of "
                    "sigmoid, or fewer layers")
        return "draw smaller weights (init=\"auto\"), or clip the gradients"

    def __str__(self) -> str:
        times = max(self.size / self.size_before, self.size_before / self.size)
        return (f"{'shrink' if self.shrinking else 'grow'} by a factor of {number(self.factor)} a layer on the way "
                f"back: |δ| is {number(self.size_before)} on average in layer {self.last}, and "
                f"{number(self.size)} in layer {self.first}, whose biases take steps {number(times)} times as "
                f"{'small' if self.shrinking else 'large'}")


def trend_of(sizes: dict[int, float]) -> Trend | None:
    """What there is to say of the mean error terms of the layers; None if they are about alike."""
    alive = sorted(layer for layer, size in sizes.items() if size > 0 and isfinite(size))
    if len(alive) < LAYERS or SHRINKS <= sizes[alive[0]] / sizes[alive[-1]] <= 1 / SHRINKS:
        return None
    return Trend(alive[0], alive[-1], sizes[alive[0]], sizes[alive[-1]])


# What else there is to know

def at_kink(node: Value) -> bool:
    return node.op.kink is not None and node.op.kink(*[parent.data for parent in node.parents]) == 0


def kinks(graph: Graph) -> Iterator[Finding]:
    """Nodes exactly at a kink, where that matters to the result."""
    met = [node for node in graph.order if graph.gradients[node] != 0 and at_kink(node)
           and any(parent.op is not CONSTANT for parent in node.parents)]
    if met:
        node = met[0]
        slopes = " and ".join(number(local) for local, p in zip(node.local_derivatives, node.parents)
                              if p.op is not CONSTANT)
        sentence = (f"{equation(graph, node)} is exactly at its kink, where the slope jumps: the engine takes {slopes}"
                    f"{node.op.note and f' ({node.op.note})'}{others(graph, met, ' is, too', ' are, too')}.")
        yield found(graph, "kink", NOTE, met, sentence,
                    "any slope between the two sides would be as good; it matters only if it happens often",
                    slope=node.local_derivatives[0])


def accumulated(graph: Graph) -> Iterator[Finding]:
    """Leaves whose .grad is a multiple of the gradient, the same for all. (That of a root shows the seed.)"""
    leaves = [node for node in graph.order if node.op is LEAF and graph.gradients[node] != 0]
    if not leaves or graph.root.grad != 1.0 or not graph.root.parents:
        return
    times = leaves[0].grad / graph.gradients[leaves[0]]
    if isfinite(times) and times > 1.5 and isclose(times, round(times), rel_tol=1e-9) and all(
            isclose(leaf.grad, round(times) * graph.gradients[leaf], rel_tol=1e-9) for leaf in leaves):
        leaf = leaves[0]
        sentence = (f"{name_of(graph, leaf)}.grad is {number(leaf.grad)}, {round(times)} times the gradient "
                    f"{number(graph.gradients[leaf])}"
                    f"{others(graph, leaves, ' has the same factor', ' have the same factor')}: it looks as if "
                    f"backward() ran {round(times)} times, and the gradients were added up.")
        yield found(graph, "accumulated", NOTE, leaves, sentence,
                    "set the gradients to 0 before each backward(): net.zero_grad()", factor=round(times))


# A network without a graph

def in_parameters(named: list[tuple[str, Value]]) -> Iterator[Finding]:
    """What can be said of parameters by themselves."""
    def finding(kind: str, severity: str, which: list[tuple[str, Value]], sentence: str, advice: str,
                **numbers: float) -> Finding:
        return Finding(kind, severity, sentence, advice, tuple(value for _, value in which),
                       tuple(name for name, _ in which), {**numbers, "count": len(which)})

    spoilt = [(name, value) for name, value in named if not isfinite(value.data)]
    if spoilt:
        kind = "nan" if isnan(spoilt[0][1].data) else "inf"
        yield finding(kind, ERROR, spoilt, f"{counted(len(spoilt), 'parameter')} of {len(named)} "
                      f"{'is' if len(spoilt) == 1 else 'are'} inf or nan: {shortened([name for name, _ in spoilt])}.",
                      "the training has diverged: start again with a smaller learning rate", value=spoilt[0][1].data)
    lost = [(name, value) for name, value in named if not isfinite(value.grad)]
    if lost:
        yield finding("overflow", ERROR, lost, f"{counted(len(lost), 'gradient')} of {len(named)} "
                      f"{'is' if len(lost) == 1 else 'are'} inf or nan: {shortened([name for name, _ in lost])}.",
                      "diagnose(cost) names the op that made it", gradient=lost[0][1].grad)
    huge = [(name, value) for name, value in named if isfinite(value.data) and abs(value.data) > HUGE]
    if huge:
        name, value = max(huge, key=lambda pair: abs(pair[1].data))
        yield finding("exploding", WARNING, huge, f"{counted(len(huge), 'parameter')} of {len(named)} "
                      f"{'is' if len(huge) == 1 else 'are'} beyond ±{number(HUGE)}, the largest {name} = "
                      f"{number(value.data)}.",
                      "lower the learning rate, bring the inputs to a size of about 1, or add a penalty on the weights",
                      value=value.data)
    silent = [pair for pair in named if pair[1].grad == 0]
    if len(silent) == len(named) > 0:
        yield finding("no gradient", NOTE, silent, f"All {len(named)} gradients are 0.",
                      "has backward() run since zero_grad()? If so, diagnose(cost) finds out why")
        return
    neurons: dict[tuple[str, str], list[tuple[str, Value]]] = {}
    biases: dict[int, list[tuple[str, Value]]] = {}
    for pair in named:
        base, layer, place = indices(pair[1].label) or ("", "", "")
        if base in ("w", "b") and layer.isdigit():
            neurons.setdefault((layer, place.partition(",")[0]), []).append(pair)
            if base == "b":
                biases.setdefault(int(layer), []).append(pair)
    idle = [neuron for neuron, pairs in neurons.items() if all(value.grad == 0 for _, value in pairs)]
    if idle:
        yield finding("no gradient", NOTE, [pair for neuron in idle for pair in neurons[neuron]],
                      f"All gradients of {counted(len(idle), 'neuron')} are 0: "
                      f"{shortened([f'neuron {place or 1} of layer {layer}' for layer, place in idle])}.",
                      "dead for the samples since zero_grad(), or not used: diagnose(cost, parameters=net) tells which",
                      neurons=len(idle))
    trend = trend_of({layer: fmean(abs(value.grad) for _, value in pairs) for layer, pairs in biases.items()})
    if trend is not None:
        yield finding(trend.kind, WARNING, biases[trend.first],
                      f"The gradients of the biases, which are the error terms δ, {trend}.", trend.advice,
                      **trend.numbers)


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


def equation(graph: Graph, node: Value) -> str:
    """v₃ = ln(p) = ln(0) = −inf: the name, the rule, with numbers, the result."""
    parts = [name_of(graph, node) if graph.names[node] else "", forward_rule(graph, node).text,
             forward_rule(graph, node, numbers=True).text, number(node.data)]
    return " = ".join(dict.fromkeys(part for part in parts if part))


def shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")


def listing(graph: Graph, nodes: Sequence[Value]) -> str:
    return shortened([name_of(graph, node) for node in nodes])


def others(graph: Graph, nodes: Sequence[Value], one: str, many: str) -> str:
    """The rest of a group, in parentheses: the first has been named."""
    rest = list(nodes[1:])
    return f" ({listing(graph, rest)}{one if len(rest) == 1 else many})" if rest else ""


def sentence_case(words: str) -> str:
    return words and words[0].upper() + words[1:] + "."
