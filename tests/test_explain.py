"""explain: derivations as lecture notes write them, and with the numbers that the graph has."""

import ast
import json
import math
import pickle
import random
import re
import xml.dom.minidom

import pytest
from graphs import diamond, four_layers, two_by_two
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import MLP, Value, explain
from micrograd.formulas.labels import indices, on_one_line, unicode_label
from micrograd.formulas.notations import UNICODE, rounded
from micrograd.look.derivation import summed


def total(explanation):
    return math.fsum(math.prod(factor.value for factor in path) for path in explanation.paths)


def test_the_four_layer_chain():
    net, C = four_layers()
    w = net.layers[0].neurons[0].w[0]
    found = explain(C, wrt=w)
    symbols, rules, formulas, numbers, result = [side[0] for side in found.lines[0].sides]
    assert found.symbols == "∂C/∂w²"
    assert symbols == "∂C/∂a⁴ · ∂a⁴/∂z⁴ · ∂z⁴/∂a³ · ∂a³/∂z³ · ∂z³/∂a² · ∂a²/∂z² · ∂z²/∂w²"
    assert rules == "(a⁴ − y) · σ′(z⁴) · w⁴ · σ′(z³) · w³ · σ′(z²) · a¹"
    assert formulas == "(a⁴ − y) · a⁴(1 − a⁴) · w⁴ · a³(1 − a³) · w³ · a²(1 − a²) · a¹"
    assert numbers == " · ".join(f"{x:.4g}".replace("-", "−") for x in [factor.value for factor in found.factors])
    assert formulas.latex == (r"\left(a^{4} - y\right) \cdot a^{4}\left(1 - a^{4}\right) \cdot w^{4} \cdot "
                              r"a^{3}\left(1 - a^{3}\right) \cdot w^{3} \cdot a^{2}\left(1 - a^{2}\right) \cdot a^{1}")
    assert [str(factor.symbols) for factor in found.factors][:2] == ["∂C/∂a⁴", "∂a⁴/∂z⁴"]
    assert [str(factor.formula) for factor in found.factors][:3] == ["a⁴ − y", "a⁴(1 − a⁴)", "w⁴"]
    assert (found.count, len(found.paths), len(found.factors)) == (1, 1, 7)
    assert w.grad == 0.0, "looking changes nothing"
    C.backward()
    assert found.value == w.grad
    assert math.isclose(math.prod(factor.value for factor in found.factors), w.grad, rel_tol=1e-12)
    assert float(result.replace("−", "-")) == pytest.approx(w.grad, rel=1e-5)  # six digits
    assert str(found).splitlines()[0] == f"∂C/∂w² = {symbols}"
    assert str(found).splitlines()[-1] == f"       = {result}"


def test_the_delta_form_of_the_chain():
    net, C = four_layers()
    found = explain(C, wrt=net.layers[0].neurons[0].w[0], form="delta")
    assert [str(line).rpartition(" = ")[0].rpartition(" = ")[0] for line in found.lines] == [
        "δ⁴ = ∂C/∂z⁴ = (a⁴ − y) · σ′(z⁴)", "δ³ = ∂C/∂z³ = δ⁴ · w⁴ · σ′(z³)", "δ² = ∂C/∂z² = δ³ · w³ · σ′(z²)",
        "∂C/∂w² = δ² · a¹"]
    assert not found.matrices
    [path] = found.paths
    assert [str(factor.symbols) for factor in path] == ["∂C/∂z²", "∂z²/∂w²"]
    assert str(path[0].formula) == "δ²"
    C.backward()
    assert math.isclose(total(found), found.value, rel_tol=1e-12)
    by_bias = explain(C, wrt=net.layers[1].neurons[0].b, form="delta")
    assert str(by_bias.lines[-1]).startswith("∂C/∂b³ = δ³ = ")


def test_the_two_by_two_example():
    net, C = two_by_two()
    w1 = net.layers[0].neurons[0].w[0]
    chain = explain(C, wrt=w1)
    assert chain.count == 2
    assert chain.value == pytest.approx(0.0004385677344743465, rel=1e-12)
    assert math.isclose(total(chain), chain.value, rel_tol=1e-12)
    assert [str(part) for part in chain.lines[0].sides[1]] == [
        f"(a³{i} − y{i}) · σ′(z³{i}) · w³{i},₁ · σ′(z²₁) · a¹₁" for i in "₁₂"]
    delta = explain(C, wrt=w1, form="delta")
    assert [str(line).replace("\n", " ").split(" = ")[2].rstrip() for line in delta.lines[:3]] == [
        "(a³₁ − y₁) · σ′(z³₁)", "(a³₂ − y₂) · σ′(z³₂)", "(δ³₁ · w³₁,₁ + δ³₂ · w³₂,₁) · σ′(z²₁)"]
    assert str(delta.lines[-1]) == "∂C/∂w²₁,₁ = δ²₁ · a¹₁ = 0.008771 · 0.05 = 0.000438568"
    values = {str(matrix.left): matrix.value for matrix in delta.matrices}
    assert [round(x, 12) for row in values["δ³"] for x in row] == [0.138498561629, -0.038098236517]
    assert [round(x, 12) for row in values["δ²"] for x in row] == [0.008771354689, 0.009954254705]
    assert [x for row in values["∂C/∂W²"] for x in row] == pytest.approx(
        [.0004385677344743465, .000877135468948693, .0004977127352608599, .0009954254705217198], rel=1e-12)
    assert [str(matrix.right) for matrix in delta.matrices] == ["∇ₐC ⊙ σ′(z³)", "((W³)ᵀ δ³) ⊙ σ′(z²)", "δ² (a¹)ᵀ"]
    assert str(delta.matrices[1]).splitlines() == [
        "δ² = ((W³)ᵀ δ³) ⊙ σ′(z²)",
        "   = ⎛⎡ 0.4  0.45 ⎤ᵀ ⎡  0.1385 ⎤⎞ ⊙ ⎡ 0.2413 ⎤ = ⎡ 0.008771 ⎤",
        "     ⎝⎣ 0.5  0.55 ⎦  ⎣ −0.0381 ⎦⎠   ⎣ 0.2406 ⎦   ⎣ 0.009954 ⎦"]


def test_all_error_terms_at_once():
    _, C = two_by_two()
    whole = explain(C, form="delta")
    assert [str(line.left).split(" = ")[0] for line in whole.lines[:4]] == ["δ³₁", "δ³₂", "δ²₁", "δ²₂"]
    assert [str(matrix.left) for matrix in whole.matrices] == [
        "δ³", "∂C/∂W³", "∂C/∂b³", "δ²", "∂C/∂W²", "∂C/∂b²"]
    _, C = four_layers()
    whole = explain(C, form="delta")
    assert [str(line.left).split(" = ")[0] for line in whole.lines] == [
        "δ⁴", "δ³", "δ²", *(f"∂C/∂{name}" for name in ("w²", "a¹", "b²", "w³", "b³", "w⁴", "b⁴", "y"))]


def test_forks_add():
    y = diamond()
    a, b = mg.topological_order(y)[:2]
    found = explain(y, wrt=a)
    assert str(found) == ("∂y/∂a = ∂y/∂c · ∂c/∂a + ∂y/∂d · ∂d/∂a\n"
                          "      = (1 + d) + (1 + c) · b\n"
                          "      = 7 + 6 · 3\n"
                          "      = 25")
    assert (explain(y, wrt=b).value, found.count) == (19.0, 2)
    full = explain(y, wrt=a, detail="full")
    assert full.count == 4
    assert total(full) == 25.0
    assert "∂y/∂v₁ · ∂v₁/∂c · ∂c/∂a" in str(full)
    square = a * a
    assert str(explain(square, wrt=a)) == "∂f/∂a = 2a\n      = 4"
    assert explain(square, wrt=a, detail="full").paths[0][0].formula == "2a"


def test_labels_choose_the_detail():
    x = Value(0.5, "x")
    u = 3 * x + 1
    y = mg.tanh(u) ** 2
    assert str(explain(y, wrt=x)) == ("∂f/∂x = 6 tanh(3x + 1) · tanh′(3x + 1)\n"
                                      "      = 6(1 − tanh(3x + 1)²) · tanh(3x + 1)\n"
                                      "      = 0.157418")
    u.label, y.label = "u", "y"
    named = explain(y, wrt=x)
    assert [str(factor.symbols) for factor in named.factors] == ["∂y/∂u", "∂u/∂x"]
    assert named.factors[1].formula == "3"
    assert total(named) == pytest.approx(explain(y, wrt=x, detail="full").value, rel=1e-12)


def test_one_node():
    _, C = four_layers()
    [a4] = [v for v in mg.topological_order(C) if v.label == "a^{4}"]
    found = explain(a4)
    assert found.form == "node"
    assert str(found.lines[0]).startswith("a⁴ = σ(z⁴) = σ(")
    assert str(found.lines[1]).startswith("∂a⁴/∂z⁴ = σ′(z⁴) = a⁴(1 − a⁴) = ")
    assert found.notes == ("a⁴ is computed by the op sigmoid.",)
    assert found.value == a4.data
    [z4] = a4.parents
    assert [str(line).split(" = ")[:2] for line in explain(z4).lines] == [
        ["z⁴", "b⁴ + w⁴ · a³"], ["∂z⁴/∂a³", "w⁴"], ["∂z⁴/∂w⁴", "a³"], ["∂z⁴/∂b⁴", "1"]]
    kink = Value(0.0, "z").relu()
    assert explain(kink).notes == ("f is computed by the op relu: relu'(0) = 0.",)
    assert str(explain(kink).lines[1]) == "∂f/∂z = ReLU′(z) = 1[z > 0] = 1[0 > 0] = 0"
    assert explain(Value(3.0, "x")).notes == ("x is a leaf: no op computed it.",)
    assert explain(mg.engine.constant(3.0)).notes == ("3 is a number that met a Value.",)
    product = Value(2.0) * Value(5.0)  # no labels at all
    assert str(explain(product).lines[0]) == "f = x₁ · x₂ = 2 · 5 = 10"


def test_many_paths_are_counted():
    net = MLP(2, [16, 16, 1], activation="tanh", rng=0)
    C = mg.losses.half_squared_error(net([0.5, -1.0]), 1.0)
    C.label = "C"
    w = net.layers[0].neurons[4].w[1]
    chain = explain(C, wrt=w)
    assert (chain.count, len(chain.paths)) == (16, 4)
    assert "⋯ (12 more)" in str(chain)
    assert chain.notes == ("16 paths lead from C to w²₅,₂: form='delta' sums them neuron by neuron.",)
    delta = explain(C, wrt=w, form="delta")
    assert len([line for line in delta.lines if str(line).startswith("δ³")]) == 7
    assert "9 more in this layer" in str(delta)
    assert "⋯ (12 more)" in str(delta)  # of the sum over the neurons above
    assert math.isclose(total(delta), delta.value, rel_tol=1e-12)
    assert max(map(len, str(delta).splitlines())) < 140
    w.label = "w"
    assert explain(C, wrt=w, form="delta").value == delta.value


def test_a_penalty_reaches_the_weight_without_a_delta():
    net, C = two_by_two()
    w = net.layers[0].neurons[0].w[0]
    J = C + 0.1 * w ** 2
    J.label = "J"
    found = explain(J, wrt=w, form="delta")
    assert len(found.paths) == 2
    assert math.isclose(total(found), found.value, rel_tol=1e-12)
    assert [str(matrix.left) for matrix in found.matrices] == ["δ³", "δ²"], "∂J/∂W² is not δ² (a¹)ᵀ here"


def test_several_samples():
    net = MLP(1, [1, 1], activation="sigmoid", output="sigmoid", rng=3)
    J = Value.sum([mg.losses.half_squared_error(net([Value(x, "a^{1}")]), t) for x, t in [(0.5, 1.0), (-1.0, 0.0)]]) / 2
    J.label = "J"
    w = net.layers[0].neurons[0].w[0]
    chain = explain(J, wrt=w)
    assert chain.count == 2
    assert "σ′(z³⁽²⁾)" in str(chain)
    assert math.isclose(total(chain), chain.value, rel_tol=1e-12)
    delta = explain(J, wrt=w, form="delta")
    assert str(delta.lines[-1]).startswith("∂J/∂w² = δ²⁽¹⁾ · a¹⁽¹⁾ + δ²⁽²⁾ · a¹⁽²⁾\n       = ")


def chain_form():
    net, C = four_layers()
    return explain(C, wrt=net.parameters()[0])


@pytest.mark.parametrize("make", [
    chain_form, lambda: explain(two_by_two()[1], form="delta"),
    lambda: explain(Value(2.0, r"\input{x} <b>&$%#_^~") * Value(3.0, "</script>")),
], ids=["chain", "delta", "hostile labels"])
def test_views(make):
    found = make()
    assert json.loads(json.dumps(found.to_dict()))["value"] == found.value
    xml.dom.minidom.parseString(found.to_mathml())
    xml.dom.minidom.parseString(found.to_html())
    assert "<script" not in found.to_html()
    assert "</script" not in found.to_html()
    assert found._repr_latex_().startswith("$$\\begin{aligned}")
    assert found._repr_latex_().endswith("\\end{aligned}$$")
    assert r"\input" not in found._repr_latex_()
    assert pickle.loads(pickle.dumps(found)).to_dict() == found.to_dict()
    assert found == make()
    assert repr(found) == str(found) == found.text
    for line in str(found).splitlines():
        assert line == line.rstrip()


    assert (str(found), found.latex) == (str(make()), make().latex), "the same graph gives the same bytes"


def test_an_op_of_ones_own():
    before = dict(mg.ops.OPS)
    try:
        gauss = mg.op("gauss", lambda x: mg.exp(-x * x), lambda y, x: -2 * x * y, latex="e^{{-{0:atom}^2}}", binds="power")
        t = Value(0.5, "t")
        g = gauss(t)
        g.label = "g"
        found = explain(g)
        assert [str(line).split(" = ")[:2] for line in found.lines] == [["g", "gauss(t)"], ["∂g/∂t", "−2t · g"]]
        xml.dom.minidom.parseString(found.to_mathml())
        assert "e^{-t^2}" in found.latex
    finally:
        mg.ops.OPS.clear()
        mg.ops.OPS.update(before)


def test_deep_and_large_graphs():
    x = Value(0.5, "x")
    y = x
    for _ in range(50_000):
        y = y + 1e-6
    found = explain(y, wrt=x)
    assert (found.value, found.count) == (1.0, 1)
    doubled = x
    for _ in range(200):
        doubled = doubled * 0.5 + doubled * 0.5
    found = explain(doubled, wrt=x, detail="full")
    assert found.count == 2 ** 200
    assert found.notes[0].startswith("about 10⁶⁰ paths lead from f to x")
    y = x
    for _ in range(3000):
        y = y.sin()
    assert "…" in str(explain(y, wrt=x))
    assert "label nodes on the way" in explain(y, wrt=x).notes[0]


def test_a_direct_effect_beside_others():
    x = Value(2.0, "x")
    u = x * x
    u.label = "u"
    assert str(explain(u * x, wrt=x)) == ("∂f/∂x = ∂f/∂x + ∂f/∂u · ∂u/∂x\n"
                                          "      = u + x · 2x\n"
                                          "      = 4 + 2 · 4\n"
                                          "      = 12\n\n"
                                          "On the right ∂f/∂x is the direct effect alone, with the other named nodes held\n"
                                          "fixed.")


def test_a_quotient_among_factors():
    x, y = Value(2.0, "x"), Value(4.0, "y")
    u = x / y
    u.label = "u"
    assert str(explain(u ** 2, wrt=y)).splitlines()[1] == "      = 2u · (−u / y)"


def test_wrong_use():
    net, C = four_layers()
    with pytest.raises(TypeError, match=r"explain\(y\) needs a Value, found float 3.0"):
        explain(3.0)
    with pytest.raises(TypeError, match=r"explain\(y, wrt\) needs a Value of the graph, or the label of one, found float 2.0"):
        explain(C, wrt=2.0)
    with pytest.raises(ValueError, match="one of chain, delta; found 'matrix'"):
        explain(C, wrt=net.parameters()[0], form="matrix")
    with pytest.raises(ValueError, match="None or 'full'; found 'all'"):
        explain(C, detail="all")
    with pytest.raises(ValueError, match="'q' is not in the graph of C"):
        explain(C, wrt=Value(1.0, "q"))
    with pytest.raises(ValueError, match="is a constant"):
        y = Value(1.0, "x") * 2
        explain(y, wrt=y.parents[1])
    with pytest.raises(ValueError, match="needs weighted sums labelled"):
        explain(Value(1.0, "x") * 2, form="delta")
    assert explain(C, wrt=C).value == 1.0
    assert str(explain(C, wrt=C)) == "∂C/∂C = 1"


def test_nodes_of_one_label_stay_apart():
    a1, a2 = Value(2.0, "a"), Value(3.0, "a")
    assert [str(line) for line in explain(a1 * a2 * a1).lines] == [
        "f = a⁽¹⁾ · a⁽²⁾ · a⁽¹⁾ = 2 · 3 · 2 = 12", "∂f/∂a⁽¹⁾ = 2a⁽¹⁾ · a⁽²⁾ = 2 · 2 · 3 = 12", "∂f/∂a⁽²⁾ = (a⁽¹⁾)² = 2² = 4"]
    assert explain(a1 * a2, wrt=a1).notes == (
        "Several nodes are called a; they are told apart by numbers in parentheses, as samples are: (1), (2), …",)


def test_an_error_term_takes_no_name_that_is_taken():
    d, x = Value(0.3, "δ"), Value(0.5, "x")
    z = d * x
    z.label = "z"
    assert [str(line).rpartition(" = ")[0] for line in explain(mg.tanh(z) * d, wrt=x, form="delta").lines] == [
        "Δ = ∂f/∂z = δ · tanh′(z) = 0.3 · 0.9778", "∂f/∂x = Δ · δ = 0.2933 · 0.3"]


def test_a_graph_whose_numbers_changed_is_refused():
    net, C = four_layers()
    w = net.layers[0].neurons[0].w[0]
    w.data += 0.1
    for look in (lambda: explain(C, wrt=w), lambda: explain(C, wrt=w, form="delta"), lambda: explain(C), lambda: mg.steps(C),
                 lambda: mg.stepper(C)):
        with pytest.raises(ValueError, match=r"a number was changed after the forward pass.*Run the forward pass again"):
            look()


def test_unnamed_nodes_are_explained():
    a, b = Value(2.0, "a"), Value(3.0, "b")
    found = explain((a * b) ** 2, wrt=a, detail="full")
    assert found.notes == ("Here v₁ = a · b.",)
    assert str(found.lines[0]) == "∂f/∂a = ∂f/∂v₁ · ∂v₁/∂a = 2v₁ · b = 12 · 3 = 36"


def test_whole_numbers_are_printed_whole():
    x = Value(1.0, "x")
    assert str(explain(x * 12345678, wrt=x)) == "∂f/∂x = 12345678"


def test_a_long_path_is_shortened():
    x = Value(0.5, "x")
    y = x
    for _ in range(100):
        y = y.sin()
    found = explain(y, wrt=x, detail="full")
    assert len(found.factors) == 100
    assert "⋯ (70 more factors)" in str(found)
    assert math.isclose(total(found), found.value, rel_tol=1e-12)


OPERATIONS = [lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: p / (q * q + 1), lambda p, q: -p,
              lambda p, q: mg.tanh(p), lambda p, q: mg.sigmoid(p), lambda p, q: p * 0.3, lambda p, q: mg.sin(p * q),
              lambda p, q: mg.maximum(p, q), lambda p, q: p.relu(), lambda p, q: (p + 0.5) ** 2]


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 30), st.integers(0, 30), st.booleans()), min_size=1,
                max_size=12), st.sampled_from([None, "full"]))
def test_the_factors_give_the_gradient(program, detail):
    leaves = [Value(0.7, "x"), Value(-1.3, "y"), Value(0.4, "w")]
    nodes = list(leaves)
    for operation, i, j, labelled in program:
        node = operation(nodes[i % len(nodes)], nodes[j % len(nodes)])
        if labelled and not node.label:
            node.label = f"u_{{{len(nodes)}}}"
        nodes.append(node)
    root = nodes[-1]
    frames = mg.steps(root).backward
    root.backward()
    for leaf in leaves:
        try:
            found = explain(root, wrt=leaf, detail=detail)
        except ValueError:
            assert leaf not in mg.topological_order(root)
            continue
        assert found.value == leaf.grad
        scale = math.fsum(abs(math.prod(f.value for f in path)) for path in found.paths)
        if found.count == len(found.paths):
            assert math.isclose(total(found), leaf.grad, rel_tol=1e-12, abs_tol=1e-12 * scale)
        arrived = [frame.contribution for frame in frames if frame.parent is leaf]
        assert math.isclose(math.fsum(arrived), leaf.grad, rel_tol=1e-12, abs_tol=1e-12 * scale)
        xml.dom.minidom.parseString(found.to_mathml())
        assert "+ −" not in str(found)
        for path in found.paths:
            for factor in path:
                xml.dom.minidom.parseString(factor.formula.mathml)


SATURATED = [  # an op at a point, the formula of its derivative, and what that comes to in floats
    ("sigmoid", (40.0,), "y(1 − y)", 0.0), ("sigmoid", (32.0,), "y(1 − y)", 1.2656542480726623e-14),
    ("tanh", (20.0,), "1 − y²", 0.0), ("elu", (-40.0, 1.0), "y + 1", 0.0), ("hypot", (0.0, 0.0), "z / y", None),
    ("atan2", (0.0, 0.0), "w / (z² + w²)", None), ("pow", (0.0, 0.0), "w · zʷ⁻¹", None),
]


@pytest.mark.parametrize(("name", "args", "rule", "comes_to"), SATURATED)
def test_a_formula_that_does_not_come_to_the_number_beside_it_is_owned_up_to(name, args, rule, comes_to):
    leaves = [Value(x, label) for x, label in zip(args, "zw")]
    leaves[1:] = [w.data for w in leaves[1:]] if name == "elu" else leaves[1:]
    y = mg.ops.named(name)(*leaves)
    y.label = "y"
    for found in (explain(y, leaves[0]), explain(y)):
        start = f"{rule} has no value here" if comes_to is None else f"{rule} with rounded numbers comes to "
        [note] = [note for note in found.notes if note.startswith(start)]
        assert "∂y/∂z = 0 by definition" in note or note.endswith("computed in another way, which loses no digits.")
    assert len(explain(y, leaves[0]).notes) == 1


def test_formulas_that_hold_need_no_note():
    for name, *args in (("sigmoid", 3.0), ("tanh", -2.0), ("elu", -1.0), ("hypot", 3.0, 4.0), ("atan2", 1.0, 2.0), ("asin", 1.0),
                        ("pow", 2.0, 3.0), ("floor", 2.5)):
        y = mg.ops.named(name)(*(Value(x, label) for x, label in zip(args, "zw")))
        assert not any("comes to" in note or "no value" in note for note in explain(y).notes), name


def test_a_slope_says_that_it_is_computed_in_another_way_and_names_no_private_row():
    x = Value(0.8, "x")
    for row in mg.ops.OPS.values():
        if row.arity == 1:
            y = row(Value(0.3 * row.domain[0][0] + 0.7 * row.domain[0][1], "x"))
            slope = mg.gradient(y, next(leaf for leaf in y.parents))
            words = str(explain(slope))
            assert not any(name in words for name in mg.ops.HELPERS), words
    y = mg.tanh(x)
    y.label = "y"
    assert "\nf is computed in another way than the formula says, one that loses no digits." in str(explain(mg.gradient(y, x)))


def test_what_only_leads_through_flat_ops_is_written_out_with_derivative_0():
    a, b = Value(0.8, "a"), Value(-0.4, "b")
    found = str(explain(mg.gradient(mg.maximum(a, b), a)))
    assert found.startswith("f     = 0.5 + 0.5 · sgn(a − b) = 0.5 + 0.5 · sgn(0.8 − (−0.4)) = 1\n∂f/∂a = 0\n∂f/∂b = 0\n")


def test_a_hypotenuse_is_the_same_from_either_side():
    a, b = Value(3.0, "a"), Value(4.0, "b")
    slope = mg.gradient(mg.hypot(a, b), a)
    assert str(explain(slope, a)).startswith("∂f/∂a = b² / hypot(b, a)³")
    assert str(explain(mg.gradient(b ** a, a), a)).startswith("∂f/∂a = f · ln(b)")


def test_random_nets_in_delta_form():
    rng = random.Random(0)
    for _ in range(20):
        sizes = [rng.randint(1, 3) for _ in range(rng.randint(2, 4))]
        net = MLP(sizes[0], sizes[1:], activation=rng.choice(["sigmoid", "tanh", "relu"]), output=rng.choice(["linear", "sigmoid"]),
                  rng=rng)
        outputs = net.forward([Value(rng.uniform(-1, 1), f"a^{{1}}_{{{j + 1}}}") for j in range(sizes[0])])
        C = mg.losses.half_squared_error(outputs, [rng.uniform(-1, 1) for _ in outputs])
        C.label = "C"
        for p in net.parameters():
            found = explain(C, wrt=p, form="delta")
            assert math.isclose(total(found), found.value, rel_tol=1e-12, abs_tol=1e-15)
            lines = {str(line.left).split(" = ")[0] for line in found.lines}
            assert len(lines) == len(found.lines)
        wide = max(sizes[1:]) > 1
        assert bool(explain(C, form="delta").matrices) == wide


def test_labels_stand_for_nodes():
    net, C = four_layers()
    w = net.layers[0].neurons[0].w[0]
    for label in ("w^{2}", "w²", "w_2", "w2"):
        assert explain(C, label) == explain(C, w)
    assert explain(C, "z4", form="delta") == explain(C, C_node(C, "z^{4}"), form="delta")
    assert mg.nudge(C, "w2").to_dict() == mg.nudge(C, w).to_dict()


def C_node(C, label):
    return next(node for node in mg.topological_order(C) if node.label == label)


@pytest.mark.parametrize(("wrt", "words"), [
    ("w", "'w' is not in the graph of C: no node is called that; did you mean w⁴ or w³ or w²"),
    ("W²", r"no node is called that; did you mean w²\? Labelled there: w²"), ("", "no node is called that"),
    ("losses", "no node is called that. Labelled there: w², a¹, b², z², a², w³, b³, z³ and 7 more"),
])
def test_labels_that_nothing_has(wrt, words):
    for ask in (explain, mg.nudge):
        with pytest.raises(ValueError, match=words):
            ask(four_layers()[1], wrt)


def test_a_label_that_several_nodes_have():
    a1, a2 = Value(2.0, "a"), Value(3.0, "a")
    y = a1 * a2
    for ask in (explain, mg.nudge):
        with pytest.raises(ValueError, match=r"'a' can be any of 2 nodes; call it 'a\^\{\(1\)\}', 'a\^\{\(2\)\}', or hand in"):
            ask(y, "a")
    assert explain(y, "a^{(2)}") == explain(y, a2)
    assert explain(y, ["a^{(1)}", a2])[1] == explain(y, a2)


def test_several_derivatives_at_once(tmp_path):
    net, C = four_layers()
    found = explain(C, ["w2", net.layers[1].neurons[0].b])
    assert isinstance(found, tuple) and [each.symbols for each in found] == ["∂C/∂w²", "∂C/∂b³"]
    assert str(found) == "\n\n".join(map(str, found)) == repr(found)
    assert found[0] == explain(C, "w2") == explain(C, (name for name in ["w2"]))[0]
    assert json.loads(json.dumps(found.to_dict()))["explanations"][1]["value"] == found[1].value
    assert found._repr_latex_().count("aligned") == 4 and found.to_html().count("<math") == 2
    assert "∂C/∂w², ∂C/∂b³" in found.save(tmp_path / "both.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="at least one Value or label"):
        explain(C, [])
    with pytest.raises(TypeError, match="or the label of one, found int 3"):
        explain(C, ["w2", 3])


# The order of the lines, the numbers on them, and what the notes propose

NAMES = ["", "", "z", "z_1", "z_2", "z_3", "z^{1}", "z^{2}", "z^{2}_{1}", "z^{2}_{2}", "a", "a_1", "w1", "w_1", "x*y", "net h", "δ^{2}"]
PROGRAMS = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 30), st.integers(0, 30), st.sampled_from(NAMES)),
                    min_size=1, max_size=14)


def run(program):
    """The nodes of a random graph; the last is the root."""
    nodes = [Value(0.7, "x"), Value(-1.3, "y"), Value(0.4, "w_1"), Value(1.0, "w1")]
    for operation, i, j, label in program:
        nodes.append(operation(nodes[i % len(nodes)], nodes[j % len(nodes)]))
        nodes[-1].label = nodes[-1].label or label
    return nodes


def recurrent(label, steps=3, units=1):
    """A recurrent net, whose weighted sums are labelled by time: label.format(time, unit)."""
    w, u, b = Value(0.5, "w"), Value(0.3, "u"), Value(0.1, "b")
    h = [Value(0.2, f"h_{{0,{i}}}") for i in range(units)]
    for t in range(1, steps + 1):
        sums = [w * Value.sum(h) + u * Value(0.4 * t - 1, f"x_{t}") + b for _ in range(units)]
        for i, z in enumerate(sums, 1):
            z.label = label.format(t, i)
        h = [z.tanh() for z in sums]
    C = Value.sum([0.5 * (h_i - 1) ** 2 for h_i in h])
    C.label = "C"
    return C


def in_order(found):
    """The names of the error terms, line by line; none is used before it is defined."""
    lines = [line for line in found.lines if line.left.count(" = ")]
    names = [str(line.left).split(" = ")[0] for line in lines]
    for place, line in enumerate(lines):
        used = set(re.findall(r"[δΔεd][₀-₉⁰¹²³⁴-⁹⁽⁾,]+|[δΔεd](?![\w′])", "".join(line.sides[0])))
        assert not used & set(names[place:]), str(found)
    return names


@pytest.mark.parametrize("label", ["z_{}", "z_{{{}}}", "z^{{{}}}", "z^{{({})}}"])
def test_error_terms_come_from_the_root_back_also_where_the_index_is_time(label):
    C = recurrent(label, 12)
    for found in (explain(C, form="delta"), explain(C, "w", form="delta")):
        assert [int("".join(c for c in on_one_line(name) if c.isdecimal())) for name in in_order(found)] \
            == list(range(12, 0, -1))


def test_error_terms_of_one_layer_come_by_number():
    assert in_order(explain(recurrent("z_{{{},{}}}", 2, 3), form="delta")) == ["δ₂,₁", "δ₂,₂", "δ₂,₃", "δ₁,₁", "δ₁,₂", "δ₁,₃"]
    net = MLP(1, [2, 2, 1], activation="tanh", rng=0)
    J = Value.sum([mg.losses.half_squared_error(net([x]), 1.0) for x in (0.5, -1.0)])
    assert in_order(explain(J, form="delta"))[:6] == [
        "δ⁴⁽¹⁾₁", "δ⁴⁽²⁾₁", "δ³⁽¹⁾₁", "δ³⁽¹⁾₂", "δ³⁽²⁾₁", "δ³⁽²⁾₂"]
    x = Value(0.5, "x")  # a short cut: z^{2}_{1} is next to the root, z^{2}_{2} below z^{3}, and they are one layer
    first, second = x * 2, x * 3
    third = second.tanh() + 1
    for z, label in ((first, "z^{2}_{1}"), (second, "z^{2}_{2}"), (third, "z^{3}")):
        z.label = label
    assert in_order(explain(first.tanh() + third.tanh(), form="delta")) == ["δ³", "δ²₁", "δ²₂"]


@given(PROGRAMS)
def test_no_error_term_is_used_before_it_is_defined(program):
    *_, root = run(program)
    try:
        in_order(explain(root, form="delta"))
    except ValueError as error:
        assert "form='delta' needs" in str(error)


def listed(found, leaf):
    """Whether the derivative by a leaf has a line, or is in a matrix."""
    name = f"{found.symbols}/∂{unicode_label(leaf.label)}"
    letter, above, _ = indices(leaf.label)
    return any(str(line.left) == f"∂{name}" for line in found.lines) or any(
        matrix.left in (f"∂{found.symbols}/∂{unicode_label(f'{form}^{{{above}}}')}" for form in (letter, letter.upper()))
        for matrix in found.matrices)


def test_no_leaf_is_lost():
    net = MLP(2, [3, 2], activation="tanh", rng=0)
    slope, bias = Value(0.9, "β"), Value(0.2, "b")
    a = [slope * z.tanh() + bias for z in net([Value(0.5, "x_1"), Value(-1.0, "x_2")])]
    C = mg.losses.half_squared_error(a, [1.0, 0.0])
    C.label = "C"
    J = C + 0.1 * Value.sum([p * p for p in net.parameters() if p.label.startswith("w")])
    J.label = "J"
    for root in (C, J):
        whole = explain(root, form="delta")
        assert all(listed(whole, leaf) for leaf in mg.topological_order(root) if leaf.op is mg.ops.LEAF)
        assert not whole.notes
    for p in net.parameters():
        line = explain(J, p, form="delta").lines[-1]
        assert ("0.2w" in str(line)) == p.label.startswith("w") and "δ" in str(line)
    x = [Value(0.1 * i, f"x_{i}") for i in range(41)]
    z = Value.sum(x)
    z.label = "z"
    many = explain(z.tanh(), form="delta")
    assert (len(many.lines), many.notes) == (1, ("41 leaves are not listed: wrt=... derives one.",))
    z = Value(1.0) * 2
    z.label = "z"
    assert explain(z.tanh(), form="delta").notes == ()


def the_relu_exercise():
    """C = ½(z − t)² of two hidden ReLU neurons, the second of them dead."""
    x, t = [Value(1.0, "x_1"), Value(0.0, "x_2")], Value(1.0, "t")
    hidden = []
    for i, row in enumerate([(1.0, 0.0), (-1.0, 1.0)], 1):
        z = Value.sum([Value(number, f"w_{{{i},{j}}}") * x_j for j, (number, x_j) in enumerate(zip(row, x), 1)])
        h = z.relu()
        z.label, h.label = f"z_{i}", f"h_{i}"
        hidden.append(h)
    z = Value(2.0, "v_1") * hidden[0] + Value(1.0, "v_2") * hidden[1]
    C = 0.5 * (z - t) ** 2
    z.label, C.label = "z", "C"
    return C


def test_a_factor_of_1_stays_in_the_numbers_where_the_symbols_have_it():
    C = the_relu_exercise()
    assert str(explain(C, "w_{1,2}")).splitlines()[1:] == [
        "         = (z − t) · v₁ · ReLU′(z₁) · x₂", "         = (z − t) · v₁ · 1[z₁ > 0] · x₂", "         = 1 · 2 · 1 · 0",
        "         = 0"]
    assert str(explain(C, "v_1")).splitlines()[1:] == ["       = (z − t) · h₁", "       = 1 · 1", "       = 1"]
    assert str(explain(C, "w_{1,2}", form="delta")).splitlines()[:3] == [
        "δ = ∂C/∂z   = z − t = 2 − 1 = 1", "δ₁ = ∂C/∂z₁ = δ · v₁ · ReLU′(z₁) = 1 · 2 · 1 = 2", "∂C/∂w₁,₂    = δ₁ · x₂ = 2 · 0 = 0"]
    assert str(mg.grade(C, {"w_{1,2}": 5.0}).answers["w_{1,2}"].line).endswith("= (2 − 1) · 2 · 0 · 1[1 > 0] = 0")
    u = Value(1.0, "x") + 1
    u.label = "u"
    assert str(explain(u * 3, "x")) == "∂f/∂x = ∂f/∂u · ∂u/∂x\n      = 3", "plain sums are left out in both"


@given(PROGRAMS, st.sampled_from([None, "full"]))
def test_the_numbers_have_the_factors_of_the_symbols(program, detail):
    nodes = run(program)
    for leaf in nodes[:4]:
        try:
            found = explain(nodes[-1], leaf, detail=detail)
        except ValueError:
            continue
        if found.count == 1 and len(found.factors) > 1 and "⋯" not in str(found):
            kept = [factor for factor in found.factors if factor.formula != "1"]
            numbers = "·".join(rounded(factor.value, UNICODE).text for factor in kept)
            if len(kept) > 1:
                assert re.sub("[ ()]", "", found.lines[0].sides[-2][0]) == numbers


@pytest.mark.parametrize(("name", "says"), [
    ("δ", "δ is ∂C/∂z, and not a node: ask for 'z'"), ("delta_2", "δ₂ is ∂C/∂z₂, and not a node: ask for 'z₂'"),
    ("δ7", "'δ7' is not in the graph of C")])
@pytest.mark.parametrize("form", ["chain", "delta"])
def test_an_error_term_is_no_node(name, says, form):
    C = the_relu_exercise()
    with pytest.raises(ValueError, match=re.escape(says)):
        explain(C, name, form)


def test_the_lines_of_a_wide_net_are_those_of_each_node_alone():
    net = MLP(3, [12, 9], activation="tanh", rng=1)
    C = mg.losses.half_squared_error(net([0.1, -0.4, 0.7]), [0.2] * 9)
    C.label = "C"
    whole = [str(line) for line in explain(C, form="delta").lines]
    assert [line for line in whole if "⋮" in line] == ["⋮ (2 more in this layer)", "⋮ (5 more in this layer)"]
    for k, rank in ((3, 0), (2, 8)):
        for i, line in enumerate(whole[rank:rank + 7], 1):
            assert line == str(explain(C, f"z^{{{k}}}_{{{i}}}", "delta").lines[-1])


def test_delta_form_and_steps_own_up_to_lost_digits():
    p, q = Value(40.0, "p"), Value(1.0, "q")
    a = mg.sigmoid(p * q + q * 2 + q * 4)
    z = a * 0.5
    a.label, z.label = "a", "z"
    words = "a(1 − a) with rounded numbers comes to 0"
    for text in (str(explain(z ** 2, "p", form="delta")), str(explain(z ** 2, form="delta")), str(explain(z ** 2, "p")),
                 str(mg.steps(z ** 2))):
        assert text.count(words) == 1
    assert [frame.parent for frame in mg.steps(z ** 2) if frame.note.startswith(words)] == list(a.parents)
    y = mg.sigmoid(p)
    assert explain(y * 2, "p", form="chain").notes and "comes to" not in str(explain(p * q, "p"))


UP = "⁰¹²³⁴⁵⁶⁷⁸⁹"
TO_ASCII = str.maketrans(f"{UP}⁻−", "0123456789--")
NUMERAL = re.compile(rf"(?<![\w.])(?:[0-9]+(?:\.[0-9]+)?·)?10[{UP}⁻]+|(?<![\w.])[0-9]+(?:\.[0-9]+)?")
FUNCTIONS = {"tanh": "tanh", "σ": "sigmoid", "sin": "sin", "cos": "cos", "ReLU": "relu", "max": "maximum", "sgn": "sign", "step": "step"}


def read(numeral):
    return float(re.sub(rf"·?\b10(?=[{UP}⁻])", lambda ten: "e" if "·" in ten[0] else "1e", numeral).translate(TO_ASCII))


def unit(x, digits):
    """A unit of the last digit."""
    return 10.0 ** (math.floor(math.log10(abs(x))) - digits + 1) if x else 0.0


def numbers_agree(sides, digits):
    """Whether the numbers of a line come to the result beside them, which has so many digits. True if there are none."""
    *_, numbers, result = sides
    if re.search("[A-Za-zα-ωΑ-Ω∂⋯…∞]", re.sub(rf"({'|'.join(FUNCTIONS)})\(", "(", numbers)):
        return True
    found = [read(numeral) for numeral in NUMERAL.findall(numbers)]
    places = iter(range(len(found)))
    text = re.sub(r"\[(.*?) > (.*?)\]", r" * step(\1 - (\2))", NUMERAL.sub(lambda numeral: f"n({next(places)})", numbers))
    text = re.sub(f"[{UP}]+", lambda power: "**" + power[0].translate(TO_ASCII), text)
    text = re.sub(r"(?<=[)0-9]) ?(?=[a-zσR(])", "*", text.replace("·", "*").replace("−", "-"))
    code = compile(text, "a side", "eval")
    functions = {name: mg.ops.named(row).value for name, row in FUNCTIONS.items()}
    rng = random.Random(0)
    near = [eval(code, {**functions, "n": [x + off * rng.choice((-1, 1)) * unit(x, 4) for x in found].__getitem__})
            for off in (0.0, *[0.5] * 8)]
    right = read(result.removeprefix("−")) * (-1 if result.startswith("−") else 1)
    room = max(near) - min(near) + unit(right, digits) + 1e-12
    return min(near) - room <= right <= max(near) + room


@settings(deadline=None)
@given(PROGRAMS)
def test_the_numbers_on_a_line_come_to_the_result_beside_them(program):
    nodes = run(program)
    root = nodes[-1]
    asked = [node for node in mg.topological_order(root) if node in nodes and node is not root]
    found = [explain(root)]
    for form in ("chain", "delta"):
        for node in asked:
            try:
                found.append(explain(root, node, form))
            except ValueError as error:
                assert "form='delta' needs" in str(error)
    for line in (line for each in found for line in each.lines):
        sides = [summed(side) for side in line.sides]
        assert len(sides) < 2 or numbers_agree(sides, 6), line
    report = mg.grade(root, dict.fromkeys(asked, 1e9))
    for rule in [frame.rule for frame in mg.steps(root)] + [answer.line for answer in report.answers.values()]:
        assert rule.count(" = ") < 2 or numbers_agree(rule.split(" = "), 4), rule


def test_a_line_whose_numbers_do_not_agree_is_found():
    assert numbers_agree(["2 · 3", "6"], 6) and not numbers_agree(["2 · 3", "5"], 6)
    assert numbers_agree(["0.4 · 0.3 + 0.12", "0.24"], 4) and not numbers_agree(["0.4 · 0.3 + 0.3 · 0.4 + 0.12", "0.24"], 4)
    assert numbers_agree(["1(1 − 1)", "1.053·10⁻²⁰"], 6) and not numbers_agree(["−0.4(1 − 0.4²) · tanh(0.5)", "0.155271"], 6)


def test_a_path_through_another_answer_is_counted_once_in_the_right_line():
    x = Value(0.7, "x")
    u = x * x
    C = u * x
    u.label, C.label = "u", "C"
    assert mg.grade(C, {"x": 9.0, "u": 9.0}).answers["x"].line == "∂C/∂x = ∂C/∂u · 2x + u = 0.7 · 2 · 0.7 + 0.49 = 1.47"


def proposed_names(message):
    """The names that a message about a label proposes."""
    meant = re.search(r"did you mean (.*?)\?", message)
    called = re.search(r"call it (.*), or hand in the Value", message)
    there = re.search(r"Labelled there: (.*?)(?: and [\d,]+ more)?$", message)
    quoted = [double or single for double, single in re.findall("\"(.*?)\"|'(.*?)'", called[1])] if called else []
    return [*(meant[1].split(" or ") if meant else []), *quoted,
            *(there[1].split(", ") if there and there[1] != "nothing" else [])]


@settings(deadline=None, max_examples=25)
@given(PROGRAMS, st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_what_is_proposed_is_accepted(program, label, asked):
    nodes = run([*program, (OPERATIONS[2], -1, 0, "")])
    constant = mg.engine.constant(2.0)
    constant.label = label
    root = nodes[-1] + constant
    for node in mg.topological_order(root):
        if node.op is mg.ops.CONSTANT:
            continue
        found = [explain(root, node), explain(node)]
        if any("form='delta' sums" in note for note in found[0].notes):
            assert explain(root, node, form="delta").lines
        if any("form='delta'" in note for note in found[1].notes):
            assert explain(node, form="delta").lines
    for ask in (explain, mg.nudge):
        for word in (asked, "z_9", "W_1", "net"):
            try:
                ask(root, word)
            except ValueError as error:
                for name in proposed_names(str(error)) if "is a constant" not in str(error) else ():
                    ask(root, name)
    computed = {node: node.data for node in mg.topological_order(root) if node.parents and node.label}
    for answer in mg.grade(root, {"x": None, **computed}).answers.values():
        hint = re.search(r"forward=\{(.*): \.\.\.\}, or in a file under the heading (.*)", answer.note)
        if hint:
            key, heading = map(ast.literal_eval, hint.groups())
            assert mg.grade(root, {}, forward={key: answer.node.data}).forward[key].verdict == "exact"
            assert mg.grade_class(root, {"Ada": {heading: answer.node.data}}).students["Ada"].score == 1


def test_hints_of_each_kind_are_given():
    """Lest the test above finds none."""
    net = MLP(2, [4, 4, 1], activation="tanh", rng=0)
    C = mg.losses.half_squared_error(net([0.5, -1.0]), 1.0)
    assert explain(C, "w^{2}_{1,1}").notes == () and explain(C.tanh() * 2).notes[1] == (
        "To derive a derivative, say with respect to what (wrt=...); all error terms of a network: form='delta'.")
    x = Value(0.5, "x")
    y = x
    for i in range(3):
        y = y.sin() + y.cos() + y
        y.label = f"y_{i}"
    assert explain(y, "x").notes == () and explain(y.exp() * 2).notes[1] == "To derive a derivative, say with respect to what (wrt=...)."
    short = explain(y, "x", detail="full")
    assert short.notes[0] == "27 paths lead from y₂ to x." and "form" not in str(short)
    with pytest.raises(ValueError, match=r"did you mean y₂ or y₁ or y₀\? Labelled there: x, y₀, y₁, y₂$") as error:
        explain(y, "y")
    assert proposed_names(str(error.value)) == ["y₂", "y₁", "y₀", "x", "y₀", "y₁", "y₂"]


def test_labels_on_the_way_make_a_formula_readable():
    y = Value(0.5, "w") * Value(1.0, "x")
    y.label = "z"
    on_the_way = []
    for _ in range(100):
        y = y.sin()
        on_the_way.append(y)
    y = y * 1
    for found in (explain(y, "x"), explain(y)):
        assert "…" in str(found) and found.notes[0].endswith("too long to read: label nodes on the way (z.label = 'z').")
    for i, node in enumerate(on_the_way[::5]):
        node.label = f"y_{i}"
    assert "…" not in str(explain(y, "x")) + str(explain(y))
