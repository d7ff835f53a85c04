"""Steps: every frame of the forward and backward pass, against backward(), by hand, and as tables."""

import json
import math
import pickle
import re
from dataclasses import FrozenInstanceError

import pytest
from graphs import diamond, neuron
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd
from micrograd import Value, nn
from micrograd.formulas.algebra import Name
from micrograd.formulas.formula import as_factor, formula_of
from micrograd.formulas.graph import look
from micrograd.formulas.labels import unicode_label
from micrograd.look.steps import LONGEST, steps
from micrograd.terminal import WIDTH


def last_gradients(result):
    """What each node's gradient has come to after the last of its frames."""
    gradients = dict.fromkeys(result.graph.order, 0.0)
    for frame in result.backward:
        gradients[frame.receiver] = frame.after
    return gradients


def by_rule(result):
    return [str(frame.rule) for frame in result]


def test_one_neuron_by_hand():
    assert by_rule(steps(neuron())) == [
        "v₁ = w⁴ · a³ = 0.5 · (−0.3) = −0.15",
        "z⁴ = v₁ + b⁴ = −0.15 + 0.1 = −0.05",
        "a⁴ = σ(z⁴) = σ(−0.05) = 0.4875",
        "v₂ = y − a⁴ = 1 − 0.4875 = 0.5125",
        "v₃ = v₂² = 0.5125² = 0.2627",
        "C = 0.5 · v₃ = 0.5 · 0.2627 = 0.1313",
        "∂C/∂C = 1",
        "∂C/∂v₃ += ∂C/∂C · ∂C/∂v₃ = ∂C/∂C · 0.5 = 1 · 0.5 = 0.5",
        "∂C/∂v₂ += ∂C/∂v₃ · ∂v₃/∂v₂ = ∂C/∂v₃ · 2v₂ = 0.5 · 1.025 = 0.5125",
        "∂C/∂y += ∂C/∂v₂ · ∂v₂/∂y = ∂C/∂v₂ · 1 = 0.5125 · 1 = 0.5125",
        "∂C/∂a⁴ += ∂C/∂v₂ · ∂v₂/∂a⁴ = ∂C/∂v₂ · (−1) = 0.5125 · (−1) = −0.5125",
        "∂C/∂z⁴ += ∂C/∂a⁴ · ∂a⁴/∂z⁴ = ∂C/∂a⁴ · a⁴(1 − a⁴) = −0.5125 · 0.2498 = −0.128",
        "∂C/∂v₁ += ∂C/∂z⁴ · ∂z⁴/∂v₁ = ∂C/∂z⁴ · 1 = −0.128 · 1 = −0.128",
        "∂C/∂b⁴ += ∂C/∂z⁴ · ∂z⁴/∂b⁴ = ∂C/∂z⁴ · 1 = −0.128 · 1 = −0.128",
        "∂C/∂w⁴ += ∂C/∂v₁ · ∂v₁/∂w⁴ = ∂C/∂v₁ · a³ = −0.128 · (−0.3) = 0.03841",
        "∂C/∂a³ += ∂C/∂v₁ · ∂v₁/∂a³ = ∂C/∂v₁ · w⁴ = −0.128 · 0.5 = −0.06402",
    ]


def test_the_fields_of_frames():
    x = Value(3.0, "x")
    y = x * x
    y.label = "y"
    forward, seed, first, second = steps(y)
    assert (forward.number, forward.kind, forward.node, forward.value) == (1, "forward", y, 9.0)
    assert {forward.parent, forward.upstream, forward.local, forward.contribution, forward.before, forward.after} == {None}
    assert (seed.number, seed.kind, seed.node, seed.parent, seed.path) == (2, "backward", y, None, "")
    assert (seed.contribution, seed.before, seed.after) == (1.0, 0.0, 1.0)
    for frame, path, before, after in (first, "1 of 2", 0.0, 3.0), (second, "2 of 2", 3.0, 6.0):
        assert (frame.node, frame.parent, frame.receiver, frame.path) == (y, x, x, path), "two edges, as x is used twice"
        assert (frame.upstream, frame.local, frame.contribution, frame.before, frame.after) == (1.0, 3.0, 3.0, before, after)
    assert second.running_sum == "3 + 3 = 6"
    assert seed.running_sum is None and forward.running_sum is None
    assert (forward.note, forward.path) == ("", "")


def test_a_running_sum_only_where_paths_meet():
    sums = [frame.running_sum for frame in steps(diamond()).backward]
    assert [each for each in sums if each] == ["0 + 6 = 6", "0 + 5 = 5", "6 + 1 = 7", "5 + 1 = 6",
                                               "0 + 18 = 18", "0 + 12 = 12", "18 + 7 = 25", "12 + 7 = 19"]


def test_topological_order_on_the_diamond():
    result = steps(diamond())
    names = result.graph.names
    assert {names[node]: x for node, x in last_gradients(result).items()} == {
        "a": 25.0, "b": 19.0, "c": 7.0, "d": 6.0, "v_{1}": 1.0, "v_{2}": 1.0, "y": 1.0}
    assert result.wrong == {}
    assert not any(frame.note for frame in result)


def test_naive_order_on_the_diamond():
    result = steps(diamond(), order="naive")
    assert result.wrong == {"a": (4.0, 25.0), "b": (3.0, 19.0)}
    late = [(str(result.graph.names[frame.node]), str(result.graph.names[frame.parent]), frame.note)
            for frame in result if frame.note]
    assert late == [("c", "a", "c passes on 1, but 6 more will reach it later"),
                    ("c", "b", "c passes on 1, but 6 more will reach it later"),
                    ("d", "a", "d passes on 1, but 5 more will reach it later"),
                    ("d", "b", "d passes on 1, but 5 more will reach it later")]
    assert "∂y/∂a comes out as 4, should be 25" in str(result)
    assert len(result) == len(steps(diamond())), "the same edges, in another order"


def test_naive_order_is_right_on_a_tree():
    naive, right = steps(neuron(), order="naive"), steps(neuron())
    assert naive.wrong == {}
    assert sorted(by_rule(naive)) == sorted(by_rule(right))


@pytest.mark.parametrize("root", [diamond(), neuron(), Value(2.0, "x"), nn.MLP(2, [3, 2], rng=1)([0.5, -2.0])[0],
                                  nn.MLP(3, [4, 1], activation="tanh", rng=2)([1.0, 2.0, 3.0]).exp()])
def test_gradients_are_those_of_backward_bit_for_bit(root):
    result = steps(root)
    assert last_gradients(result) == result.graph.gradients
    order = micrograd.topological_order(root)
    for node in order:
        node.grad = 0.0
    root.backward()
    assert [node.grad for node in order] == list(last_gradients(result).values())


OPERATIONS = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, lambda a, b: a * a, lambda a, b: a.tanh(),
              lambda a, b: 2 * b, lambda a, b: b.relu()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 99), st.integers(0, 99)), max_size=25),
       st.lists(st.floats(-2, 2), min_size=2, max_size=3))
def test_every_frame_adds_up(program, leaves):
    nodes = [Value(x) for x in leaves]
    for operation, i, j in program:
        nodes.append(OPERATIONS[operation](nodes[i % len(nodes)], nodes[j % len(nodes)]))
    result = steps(nodes[-1])
    assert last_gradients(result) == result.graph.gradients
    for frame in result.backward[1:]:
        assert frame.contribution == frame.local * frame.upstream
        assert frame.after == frame.before + frame.contribution
        assert frame.upstream == result.graph.gradients[frame.node], "a node hands on only when its gradient is complete"
        k, n = map(int, frame.path.split(" of "))
        assert 1 <= k <= n == len(result.graph.uses[frame.parent])
    assert [frame.number for frame in result] == list(range(1, len(result) + 1))
    naive = steps(nodes[-1], order="naive")
    assert len(naive) == len(result)
    assert str(naive) and str(result)


def test_looking_changes_nothing():
    y = diamond()
    order = micrograd.topological_order(y)
    for i, node in enumerate(order):
        node.grad = float(i)
    for result in steps(y), steps(y, order="naive"):
        str(result), result._repr_html_(), result.to_dict(), [frame.rule for frame in result]
    assert [node.grad for node in order] == [float(i) for i in range(len(order))]
    assert [node.label for node in order] == ["a", "b", "c", "d", "", "", "y"]


def test_constants_get_no_frame():
    x = Value(3.0, "x")
    assert [frame.receiver.label for frame in steps(2 * x ** 2).backward] == ["", "", "x"]
    constant = (2 * x).parents[0]
    assert list(steps(constant)) == [] and steps(constant).wrong == {}


def test_a_leaf_has_a_seed_only():
    [seed] = steps(Value(2.0, "x"))
    assert str(seed) == "∂x/∂x = 1"
    assert seed.product == "∂x/∂x" and seed.symbols == "1" and seed.numbers == "1"


@pytest.mark.filterwarnings("ignore:log")
def test_numbers_that_are_none():
    x = Value(0.0, "x")
    y = x.log() * x
    result = steps(y)
    assert math.isnan(last_gradients(result)[x])
    assert "nan" in str(result[-1]) and "−∞" in str(result)
    assert steps(y, order="naive").wrong == {}


def test_a_sequence_that_cannot_change():
    result = steps(diamond())
    assert (len(result), len(result.forward), len(result.backward)) == (16, 5, 11)
    assert [*result.forward, *result.backward] == list(result)
    assert result[2:4] == result[2:4] != result[2:5]
    assert hash(result[:3]) == hash(result[:3])
    assert result[-1] is list(result)[-1] and result[3] in result
    assert repr(result[4:7]).startswith("steps of y: 1 forward, 2 backward\n")
    assert repr(steps(diamond(), "naive")).startswith("steps of y in naive order: 5 forward, 11 backward\n")
    assert result != 3
    with pytest.raises(FrozenInstanceError):
        result[0].value = 3.0
    with pytest.raises(FrozenInstanceError):
        result.order = "naive"


def test_what_frames_print():
    result = steps(diamond())
    assert repr(result[0]) == "c = a + b = 2 + 3 = 5"
    assert repr(result[-1]) == "∂y/∂b += ∂y/∂c · ∂c/∂b = ∂y/∂c · 1 = 7 · 1 = 7"
    noted = next(frame for frame in steps(diamond(), "naive") if frame.note)
    assert str(noted) == ("∂y/∂a += ∂y/∂c · ∂c/∂a = ∂y/∂c · 1 = 1 · 1\n"
                          "    = 1  (c passes on 1, but 6 more will reach it later)")
    assert result[0]._repr_latex_() == r"$\displaystyle c = a + b = 2 + 3 = 5$"
    assert result[-1].rule.latex.startswith(r"\frac{\partial y}{\partial b} += \frac{\partial y}{\partial c} \cdot ")
    assert result[-1].rule.mathml.startswith("<math")


def test_printed_as_a_table():
    lines = str(steps(diamond())).splitlines()
    assert lines[0] == "steps of y: 5 forward, 11 backward"
    assert lines[2:4] == ["step  node  rule     in numbers  value", "1     c     a + b    2 + 3       5"]
    assert lines[9:11] == ["step  gradient  path    upstream  local       upstream  adds  sum so far",
                           "                                  derivative  · local"]
    assert lines[11] == "6     ∂y/∂y     seed                                    1     1"
    assert lines[-1] == "16    ∂y/∂b     2 of 2  ∂y/∂c     ∂c/∂b = 1   7 · 1     7     19"


def test_a_long_table_is_shortened():
    x = Value(0.5, "x")
    y = x
    for _ in range(300):
        y = (y * x + 0.25).tanh()
    text = str(steps(y))
    lines = text.splitlines()
    assert len(lines) < 4 * LONGEST + 12
    assert max(map(len, lines)) <= WIDTH
    assert "... 860 more steps, left out" in lines and "... 861 more steps, left out" not in lines
    assert any(line.startswith("step: 2101 ") for line in lines[-4:])
    html = steps(y)._repr_html_()
    assert html.count("<tr>") == 2 * (LONGEST + 2)
    assert "… 860 more steps, left out" in html


def test_long_names_fit_the_table():
    x = Value(0.123456, "the learning rate that the user chose for the first epoch")
    y = x.exp() * x
    y.label = "what comes of it " * 5
    lines = str(steps(y)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "epoch" in str(steps(y)), "nothing is cut off"


def test_a_table_for_notebooks_is_escaped():
    a = Value(2.0, "<script>alert(1)</script>")
    html = steps(a * a, order="naive")._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_plain_data():
    result = steps(diamond(), order="naive")
    data = json.loads(json.dumps(result.to_dict()))
    assert (data["root"], data["order"], data["wrong"]) == ("y", "naive", {"a": [4.0, 25.0], "b": [3.0, 19.0]})
    assert len(data["frames"]) == 16
    assert data["frames"][0] == {
        "number": 1, "kind": "forward", "node": "c", "parent": None, "value": 5.0, "upstream": None, "local": None,
        "contribution": None, "before": None, "after": None, "path": "", "note": "", "rule": "c = a + b = 2 + 3 = 5"}
    assert data["frames"][8]["path"] == "1 of 2" and data["frames"][8]["parent"] == "c"


def test_an_op_of_ones_own():
    square = micrograd.op("square_of_steps", lambda x: x * x, lambda y, x: 2 * x)
    x = Value(3.0, "x")
    assert [str(frame.rule) for frame in steps(square(x))] == [
        "f = square_of_steps(x) = square_of_steps(3) = 9", "∂f/∂f = 1", "∂f/∂x += ∂f/∂f · ∂f/∂x = ∂f/∂f · 2x = 1 · 6 = 6"]


A, B = Name("a", 0.5), Name("b", 2.0)


@pytest.mark.parametrize("rule, factor", [
    (A, "a"), (A + B, "(a + b)"), (micrograd.sin(A - B), "sin(a − b)"), (-A, "(−a)"), (A * (1 - A), "a(1 − a)"),
    (micrograd.sin(micrograd.cos(A) + 1) - 2, "(sin(cos(a) + 1) − 2)")])
def test_sums_are_fenced_as_factors(rule, factor):
    found = as_factor(formula_of(rule))
    assert found == factor
    in_latex = re.sub("sin|cos", r"\\\g<0>", factor.replace("−", "-"))
    assert found.latex == in_latex.replace("(", r"\left(").replace(")", r"\right)")


def test_a_deep_and_large_graph():
    x = y = Value(0.5, "x")
    for _ in range(10_000):
        y = y * x + 1e-9
    result = steps(y)
    assert len(result) == 20_000 + 1 + 30_000
    assert result[-1].path == "10001 of 10001" and last_gradients(result)[x] == look(y, "").gradients[x]
    assert len(str(result).splitlines()) < 4 * LONGEST + 12
    assert len(steps(y, order="naive")) == len(result)


def test_what_it_refuses():
    with pytest.raises(TypeError, match=r"steps\(root\) needs a Value, found list"):
        steps([Value(1.0)])
    with pytest.raises(ValueError, match="one of topological, naive; found 'random'"):
        steps(Value(1.0), order="random")


def test_names_in_wrong_are_labels():
    y = diamond()
    for node in micrograd.topological_order(y):
        node.label = node.label and f"{node.label}^{{2}}"
    assert [unicode_label(name) for name in steps(y, "naive").wrong] == ["a²", "b²"]


def test_pickled_steps_are_the_same():
    y = diamond()
    for result in (steps(y), steps(y, order="naive"), steps(y)[3:7]):
        copy = pickle.loads(pickle.dumps(result))
        assert str(copy) == str(result)
        assert copy.to_dict() == result.to_dict()
