"""What is wrong with a graph: `diagnose(C)` looks for what goes wrong in practice.

The first nan, dead and saturated neurons, gradients that vanish, numbers that were changed behind the graph's back:
each finding is data, and a sentence with names and numbers. What there is to find is a
table at the end. Nothing is changed by looking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from ..arguments import counted
from ..engine import Value
from ..formulas.formula import name_of
from ..formulas.graph import look
from ..formulas.labels import unicode_label
from ..page import BLUE, RED, YELLOW, Block, Entry, Grid, GridRow, Page, Summary
from ..terminal import Spelling, wrapped
from . import evidence
from .evidence import ERROR, NOTE, SEVERITIES, WARNING, Evidence, Parameters, Patient, number, shortened

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
    "exploding": "error terms that grow in the same way; in a network alone: huge parameters",
    "dead": "the flat piece of a function with a kink: a ReLU at z ≤ 0",
    "saturated": "the flat end of a smooth function: a sigmoid far from 0",
    "zero factor": "a gradient that is 0 because something is multiplied by 0",
    "cancelled": "a gradient whose contributions add up to exactly 0",
    "flat": "a gradient that is 0 at a top, a bottom or an edge of a function",
    "no gradient": "(in a network alone) neurons whose gradients are all 0",
    "kink": "an argument exactly where a slope jumps",
    "accumulated": "gradients that several backward passes have added up",
}


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
    """The findings of `diagnose`. Print it, show it in a notebook, or `.save("C.html")` it. True if all are notes.

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
        """True if there is no error and no warning."""
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

    What it looks for is listed in KINDS of this module; ratios from layer to layer, and groups of neurons, go by labels
    as a Neuron gives them: z^{2}_{1}, a^{2}_{1}.

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
                         findings(OF_PARAMETERS, Parameters(named)))
    roots = list(root) if isinstance(root, (list, tuple)) else [root]
    if not roots or not all(isinstance(each, Value) for each in roots):
        raise TypeError("diagnose(root) needs a Value, several in a list, or a network; found "
                        f"{type(root).__name__} {root!r:.40}")
    graph = look(Value.sum(roots), "diagnose(root)")
    what = name_of(graph, graph.root) if len(roots) == 1 else f"the sum of {counted(len(roots), 'result')}"
    patient = Patient(graph, parameters_of(parameters))
    return Diagnosis(f"{what}, {counted(len(graph.order), 'node')}", findings(SYMPTOMS, patient))


def findings(symptoms: Iterable[Symptom], patient: Patient | Parameters) -> tuple[Finding, ...]:
    """The worst first; in the order of KINDS among equals, and then as they were found."""
    kinds = list(KINDS)
    found = [finding for symptom in symptoms for finding in symptom.found(patient)]
    return tuple(sorted(found, key=lambda each: (SEVERITIES.index(each.severity), kinds.index(each.kind))))


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


def sentence_case(words: str) -> str:
    return words and words[0].upper() + words[1:] + "."


# What goes wrong

class Symptom(NamedTuple):
    """A row. when: finds the evidence in what is looked at. sentence, advice: words with gaps for the facts, {first},
    {names}, {equation} and {others}. also: said of one other node, and of several."""

    kind: str
    severity: str
    when: Callable[[Any], Iterable[Evidence]]
    sentence: str
    advice: str
    also: tuple[str, str] = ("", "")

    def found(self, patient: Any) -> Iterator[Finding]:
        for nodes, facts, severity in self.when(patient):
            names = tuple(map(patient.name, nodes))
            numbers = {fact: x for fact, x in facts.items() if isinstance(x, (int, float))} | {"count": len(names)}
            rest = f" ({shortened(names[1:])} {self.also[len(names) > 2]})" if names[1:] else ""
            words = {"first": names[0], "names": shortened(names), "others": rest, **facts, **{
                fact: number(x) if isinstance(x, float) else x for fact, x in numbers.items()}}
            if "{equation}" in self.sentence:
                words["equation"] = patient.equation(nodes[0])
            yield Finding(self.kind, severity or self.severity, self.sentence.format(**words),
                          self.advice.format(**words), tuple(nodes), names, numbers)


AGAIN = "run the forward pass again before backward(): a graph is a record of the numbers that it was computed from"
OF_BIASES = "The gradients of the biases, which are the error terms δ, "
DIVERGED = "the training has diverged: start again with a smaller learning rate"
SHRINK = ("shrink by a factor of {factor} a layer on the way back: |δ| is {last} on average in layer {layers[1]}, and "
          "{first} in layer {layers[0]}, whose biases take steps {times} times as small.")
GROW = SHRINK.replace("shrink", "grow").replace("small", "large")
TOO_SMALL = ('draw the weights to fit the activation (init="auto"), take tanh or relu instead of sigmoid, or '
             "fewer layers")
TOO_STEEP = 'draw smaller weights (init="auto"), or clip the gradients'
NO_GRADIENT = {
    "dead": ("{stops} is dead{one}", "normal if other samples give it a gradient"),
    "saturated": ("{stops} is saturated{one}",
                  'draw smaller weights (init="auto"), and bring the inputs to a size of about 1'),
    "flat": ("{stops} is flat{one}", "at the lowest cost this is as it should be; at another point the slope is not 0"),
    "zero factor": ("{factor} is multiplied by 0 in {stops}",
                    "normal if that 0 is data; if it is a weight, do not start all weights at 0"),
    "cancelled": ("the contributions to {node} along its uses add up to exactly 0",
                  "the result does not change with it, here at least: is something subtracted from itself?"),
    "vanishing": ("{upstream} · {local} = {product} is below the smallest float",
                  "too many small slopes are multiplied: fewer layers, larger weights, or another activation"),
}

SYMPTOMS = [
    Symptom("stale", ERROR, evidence.changed,
            "{first} {was} when {what} was computed, and is {now} now{others}.", AGAIN,
            ("has changed too", "have changed too")),
    Symptom("stale", ERROR, lambda patient: evidence.misfits(patient, patient.changes.overwritten),
            "{first} holds {now}, but {rule} is {computed}: its .data was overwritten{others}.",
            "change the data of leaves only, and " + AGAIN, ("was, too", "were, too")),
    Symptom("stale", ERROR, lambda patient: evidence.misfits(patient, patient.changes.unclear),
            "{first} holds {now}, but {rule} is {computed} now: {suspects} has changed since, or both{others}.", AGAIN,
            ("does not fit either", "do not fit either")),
    *(Symptom(kind, ERROR, partial(evidence.first_not_finite, kind), "{what}{others}{more}.", "{advice}",
              ("arose in this way, too", "arose in this way, too")) for kind in ("inf", "nan")),
    Symptom("steep", ERROR, evidence.steep,
            "The slope of {equation} is {slope} there, so that {by} is {gradient}{lost}{others}.{why}",
            "keep {at} away from there{way_out}", ("has such a slope, too", "have such slopes, too")),
    Symptom("overflow", ERROR, evidence.overflow,
            "{by} is {gradient}, though every slope on the way is finite: their product is beyond the largest float"
            "{others}.", evidence.TOO_LARGE,
            ("has lost its gradient, too", "have lost their gradients, too")),
    Symptom("no path", WARNING, partial(evidence.no_path, True),
            "{root} depends on none of the {total} parameters: they are not in its graph.",
            "was it computed from plain numbers (.data, float), or by another network?"),
    Symptom("no path", WARNING, partial(evidence.no_path, False),
            "{root} does not depend on {names}: there is no path in the graph.",
            "backward() leaves the gradient as it was: use it in the forward pass, or do not train it"),
    Symptom("vanishing", WARNING, partial(evidence.ratios_of_layers, "vanishing"), "The error terms δ " + SHRINK,
            TOO_SMALL),
    Symptom("exploding", WARNING, partial(evidence.ratios_of_layers, "exploding"), "The error terms δ " + GROW,
            TOO_STEEP),
    Symptom("dead", WARNING, partial(evidence.flat_units, "dead"),
            "{equation} is dead: its slope {is}{so_are}.", "{advice}"),
    Symptom("saturated", WARNING, partial(evidence.flat_units, "saturated"),
            "{equation} is saturated: its slope {is}{so_are}.", "{advice}"),
    *(Symptom(kind, NOTE, partial(evidence.no_gradient, kind),
              "{first} gets no gradient{in_uses}: " + why + "{others}.", advice,
              ("gets none for a reason of this kind", "get none for a reason of this kind"))
      for kind, (why, advice) in NO_GRADIENT.items()),
    Symptom("kink", NOTE, evidence.kinks,
            "{equation} is exactly at its kink, where the slope jumps: the engine takes {slopes}{note}{others}.",
            "any slope between the two sides would be as good; it matters only if it happens often",
            ("is, too", "are, too")),
    Symptom("accumulated", NOTE, evidence.accumulated,
            "{first}.grad is {grad}, {factor} times the gradient {gradient}{others}: it looks as if "
            "backward() ran {factor} times, and the gradients were added up.",
            "set the gradients to 0 before each backward(): net.zero_grad()",
            ("has the same factor", "have the same factor")),
]
OF_PARAMETERS = [
    Symptom("inf", ERROR, partial(evidence.spoilt, "inf"), "{some} inf or nan: {names}.", DIVERGED),
    Symptom("nan", ERROR, partial(evidence.spoilt, "nan"), "{some} inf or nan: {names}.", DIVERGED),
    Symptom("overflow", ERROR, evidence.lost, "{some} inf or nan: {names}.",
            "diagnose(cost) names the op that made it"),
    Symptom("exploding", WARNING, evidence.huge,
            f"{{some}} beyond ±{number(evidence.HUGE)}, the largest {{name}} = {{value}}.",
            "lower the learning rate, bring the inputs to a size of about 1, or add a penalty on the weights"),
    Symptom("no gradient", NOTE, evidence.silent, "All {count} gradients are 0.",
            "has backward() run since zero_grad()? If so, diagnose(cost) finds out why"),
    Symptom("no gradient", NOTE, evidence.idle, "All gradients of {idle} are 0: {which}.",
            "dead for the samples since zero_grad(), or not used: diagnose(cost, parameters=net) tells which"),
    Symptom("vanishing", WARNING, partial(evidence.ratios_of_biases, "vanishing"), OF_BIASES + SHRINK, TOO_SMALL),
    Symptom("exploding", WARNING, partial(evidence.ratios_of_biases, "exploding"), OF_BIASES + GROW, TOO_STEEP),
]
