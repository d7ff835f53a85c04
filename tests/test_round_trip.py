"""Whatever derivations, steps, formulas and marked sheets print is read back, as an answer, to its number."""

import re
from math import isclose

import pytest
from graphs import diamond, neuron, two_by_two

from micrograd import MLP, Value, explain, latex, losses, ops, steps, text
from micrograd.formulas.graph import look
from micrograd.formulas.layout import formula
from micrograd.formulas.notations import UNICODE
from micrograd.look.derivation import summed
from micrograd.mark.answer import Submitted, submitted
from micrograd.mark.grade import Marker
from micrograd.mark.submission import Submission
from micrograd.terminal import spelling

ASCII = spelling("ascii", "strict")
NAMES = ("p", "q", "r")


def labelled(node, label):
    node.label = label
    return node


def of_row(row):
    """A cost of one row, at a place where it is sampled."""
    leaves = [Value(round(low + share * (high - low), 3), name)
              for (low, high), name, share in zip(row.domain, NAMES, (0.31, 0.62, 0.77))]
    a = labelled(row(*leaves), "a^{2}")
    return labelled(0.5 * a + a ** 2, "C")


def of_network(activation):
    net = MLP(2, [2, 1], activation=activation, output=activation, rng=3)
    out = net([Value(0.3, "x_{1}"), Value(-0.8, "x_{2}")])
    return labelled(losses.half_squared_error(out, [Value(0.5, "y")]), "C")


def unlabelled_inside():
    x, w = Value(0.7, "x"), Value(-1.2, "w_{1,1}")
    return labelled((w * x).exp() / (1 + x * x) - (w - x) ** 3, "f")


GRAPHS = {"a neuron": neuron, "a diamond": diamond, "2-2-2": lambda: two_by_two()[1], "no labels inside": unlabelled_inside,
          "a network of relu": lambda: of_network("relu"),
          **{row.name: lambda row=row: of_row(row) for row in ops.OPS.values() if row.builtin}}


def printed(root):
    """What is printed about a graph, in Unicode: sides of lines, each with its number, to as many digits as it is printed."""
    graph = look(root, "test")
    computed = [node for node in graph.order if node.parents and (node.label or node is root)]
    leaves = [node for node in graph.order if node in graph.onward and graph.names[node] and node is not root]
    for node in computed:
        for words in (text(node), text(node, None), formula(node, 1, UNICODE, "test"), latex(node), latex(node, None)):
            yield words, node.data
    found = [*map(explain, computed), *(explain(root, leaf) for leaf in leaves)]
    if any(node.label.startswith("z") for node in computed):
        found.append(explain(root, form="delta"))
    for each in found:
        for factor in each.factors:
            for words in (factor.symbols, factor.rule, factor.formula):
                yield from ((words.text, factor.value), (words.latex, factor.value))
        for line in each.lines:
            sides = [summed(side) for side in line.sides]
            number = re.fullmatch(r"−?[\d.]+", sides[-1]) if sides else None
            in_latex = [*line.left.latex.split(" = "), *(summed([part.latex for part in side]) for side in line.sides)]
            for words in [*line.left.split(" = "), *sides, *in_latex] if number else ():
                yield words, float(number[0].replace("−", "-"))
    for frame in steps(root):
        number = frame.value if frame.kind == "forward" else frame.contribution
        for words in frame.rule.text.split(" += ")[-1].split(" = "):
            if words != frame.product or frame.node.parents.count(frame.parent) < 2:  # ∂v/∂x of v = x·x is not 1 of 2
                yield words, number
        for words in frame.running_sum.text.split(" = ") if frame.running_sum else ():
            yield words, frame.after
    marker = Marker(graph, 4, None)
    for answer in marker.mark(dict.fromkeys([*leaves, *computed], 77.123), dict.fromkeys(computed, 77.123)).all:
        for words in [*answer.line.text.split(" = "), *answer.line.latex.split(" = ")]:
            yield words, answer.expected


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_printed_is_read_back(name):
    root = GRAPHS[name]()
    marker = Marker(look(root, "test"))
    handed_in = Submission(marker.nodes, marker.points, {}, {})
    forms = {(words, number) for words, number in printed(root) if not re.search(r"[⋯…∞]|\\cdots|\\infty", words)}
    assert len(forms) > 10
    for words, number in forms:
        for spelled in {words, ASCII(words)}:
            sides = submitted(spelled, "")
            read = sides if isinstance(sides, Submitted) else handed_in.read(root, spelled, sides, forward=True)
            value = read.value if isinstance(read, Submitted) else handed_in.evaluate(read)
            assert isclose(value, number, rel_tol=0.02, abs_tol=1e-3), spelled  # some are of numbers of four digits
