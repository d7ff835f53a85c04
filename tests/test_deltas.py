"""Error terms: which nodes are weighted sums, by their structure, and what their δ is called, on every surface."""

import math
import random
from unicodedata import normalize

import pytest
from graphs import diamond, four_layers, two_by_two

import micrograd as mg
from micrograd import MLP, Value, diagnose, draw, explain, grade
from micrograd.formulas.deltas import weighted_sums
from micrograd.formulas.expression import UnknownName
from micrograd.formulas.formula import symbol
from micrograd.formulas.graph import look
from micrograd.formulas.labels import indices
from micrograd.formulas.parse import parse_program

LETTERS = "abcefghijklmnopqrsuvwxy"


def root_of(text):
    """The last node of a program; each name that has no value gets one, the same for each program."""
    names = []
    while True:
        try:
            program = parse_program(text, names)
            break
        except UnknownName as error:
            names.append(error.name)
    rng = random.Random(len(text))
    nodes = program.graph({name: round(rng.uniform(0.1, 0.9), 2) for name in names})
    return nodes[program.statements[-1].name]


def found(root):
    """The labels of the weighted sums, and the names of their error terms."""
    graph = look(root, "test")
    return {graph.names[node]: name for node, name in weighted_sums(graph).items()}


# Each as its book writes it; for each weighted sum how its error term is called, and a formula for it.
NOTATIONS = {
    "Nielsen, Ng": (
        "z_1 = w_1*x + b_1; a_1 = sigmoid(z_1); z_2 = w_2*a_1 + b_2; a_2 = sigmoid(z_2); C = (a_2 - y)**2/2",
        {"z_2": ("δ_2", "(a2 - y)*a2*(1 - a2)"), "z_1": ("δ_1", "δ2*w2*a1*(1 - a1)")}),
    "Ng, with Θ": (
        "z2 = Θ10 + Θ11*x1; a2 = sigmoid(z2); z3 = Θ20 + Θ21*a2; h = sigmoid(z3); J = -y*log(h) - (1 - y)*log(1 - h)",
        {"z3": ("δ3", "h - y"), "z2": ("δ2", "Θ21*δ3*a2*(1 - a2)")}),
    "Bishop": (
        "a_1 = w_10 + w_11*x_1; a_2 = w_20 + w_21*x_1; z_1 = tanh(a_1); z_2 = tanh(a_2); a_3 = v_1*z_1 + v_2*z_2; "
        "E = (a_3 - t)**2/2",
        {"a_3": ("δ_3", "a3 - t"), "a_1": ("δ_1", "(1 - z1**2)*v1*δ3"), "a_2": ("δ_2", "(1 - z2**2)*v2*δ3")}),
    "Bishop, linear rectifiers written out": (
        "a_1 = w_1*x; z_1 = max(0, a_1); a_2 = w_2*z_1; z_2 = 0.01*a_2; a_3 = w_3*z_2 + b; E = (t - a_3)**2/2",
        {"a_3": ("δ_3", "a3 - t"), "a_2": ("δ_2", "δ3*w3*0.01"), "a_1": ("δ_1", "δ2*w2")}),
    "Rojas, Mitchell": (
        "net1 = w11*x1 + w12*x2 + b1; o1 = sigmoid(net1); net2 = w2*o1 + b2; o2 = sigmoid(net2); E = (t - o2)**2/2",
        {"net2": ("δ2", "-(t - o2)*o2*(1 - o2)"), "net1": ("δ1", "o1*(1 - o1)*w2*δ2")}),
    "Haykin": (
        "v_1 = w_10 + w_11*x_1; y_1 = tanh(v_1); v_2 = w_20 + w_21*y_1; y_2 = tanh(v_2); e = d - y_2; E = e**2/2",
        {"v_2": ("δ_2", "-e*tanh'(v2)"), "v_1": ("δ_1", "tanh'(v1)*δ2*w21")}),
    "Mazur": (
        "net_h1 = w1*i1 + w2*i2 + b1; out_h1 = sigmoid(net_h1); net_h2 = w3*i1 + w4*i2 + b1; out_h2 = sigmoid(net_h2); "
        "net_o1 = w5*out_h1 + w6*out_h2 + b2; out_o1 = sigmoid(net_o1); E_o1 = (t1 - out_o1)**2/2; "
        "net_o2 = w7*out_h1 + w8*out_h2 + b2; out_o2 = sigmoid(net_o2); E_o2 = (t2 - out_o2)**2/2; E = E_o1 + E_o2",
        {"net_o1": ("δ_{o1}", "-(t1 - out_o1)*out_o1*(1 - out_o1)"),
         "net_o2": ("δ_{o2}", "-(t2 - out_o2)*out_o2*(1 - out_o2)"),
         "net_h1": ("δ_{h1}", "(δ_o1*w5 + δo2*w7)*out_h1*(1 - out_h1)"),
         "net_h2": ("δ_{h2}", "(delta_o1*w6 + delta_o2*w8)*out_h2*(1 - out_h2)")}),
    "Goodfellow": (
        "a^{1} = w^{1}*x + b^{1}; h^{1} = relu(a^{1}); a^{2} = w^{2}*h^{1} + b^{2}; h^{2} = sigmoid(a^{2}); "
        "J = -(y*log(h^{2}) + (1 - y)*log(1 - h^{2}))",
        {"a^{2}": ("δ^{2}", "h2 - y"), "a^{1}": ("δ^{1}", "δ2*w^2*relu'(a1)")}),
    "a to h": (
        "c = w1*a + w2*b; e = sigmoid(c); d = w3*a + w4*b; f = sigmoid(d); g = w5*e + w6*f; h = sigmoid(g); L = (h - y)**2",
        {"g": ("δ_{g}", "2*(h - y)*h*(1 - h)"), "c": ("δ_{c}", "δg*w5*e*(1 - e)"), "d": ("δ_{d}", "δg*w6*f*(1 - f)")}),
    "s and x": (
        "s_1 = w_1*x_0; x_1 = tanh(s_1); s_2 = w_2*x_1; x_2 = s_2; e = (x_2 - y)**2",
        {"s_2": ("δ_2", "2*(x2 - y)"), "s_1": ("δ_1", "(1 - x1^2)*w2*δ2")}),
    "zₕ and zₒ": (
        "z_h = v*x; h = sigmoid(z_h); z_o = w*h; o = sigmoid(z_o); E = (o - t)**2/2",
        {"z_o": ("δ_o", "(o - t)*o*(1 - o)"), "z_h": ("δ_h", "δo*w*h*(1 - h)")}),
    "the letters run on": (
        "neth1 = v1*x; h1 = sigmoid(neth1); neth2 = v2*x; h2 = sigmoid(neth2); neto1 = w1*h1 + w2*h2; E = (neto1 - t)**2/2",
        {"neto1": ("δ_{o1}", "neto1 - t"), "neth1": ("δ_{h1}", "δo1*w1*h1*(1 - h1)"),
         "neth2": ("δ_{h2}", "δo1*w2*h2*(1 - h2)")}),
    "one neuron": ("s = w*x + b; y = sigmoid(s); C = (y - t)**2/2", {"s": ("δ", "(y - t)*y*(1 - y)")}),
    "the lecture neuron": (
        "x1w1 = x1*w1; x2w2 = x2*w2; s = x1w1 + x2w2; n = s + b; o = tanh(n)", {"n": ("δ", "1 - o^2")}),
    "the lecture neuron, with exp": (
        "s = x1*w1 + x2*w2; n = s + b; e2n = exp(2*n); o = (e2n - 1)/(e2n + 1)", {"n": ("δ", "1 - o**2")}),
    "a neuron as a circuit": ("dot = w0*x0 + w1*x1 + w2; f = 1/(1 + exp(-dot))", {"dot": ("δ", "f*(1 - f)")}),
    "softmax, written out": (
        "n1 = w1*x + b1; n2 = w2*x + b2; s = exp(n1) + exp(n2); p1 = exp(n1)/s; p2 = exp(n2)/s; L = -log(p1)",
        {"n1": ("δ1", "p1 - 1"), "n2": ("δ2", "exp(n2)/s")}),
    "Duda": (
        "net_1 = w_11*x_1 + w_12*x_2 + w_10; y_1 = tanh(net_1); net_k = v_1*y_1 + v_0; z = tanh(net_k); J = (t - z)**2/2",
        {"net_k": ("δ_k", "(z - t)*(1 - z^2)"), "net_1": ("δ_1", "δk*v1*(1 - y1^2)")}),
    "Russell and Norvig": (
        "in_3 = w_03 + w_13*a_1 + w_23*a_2; a_3 = sigmoid(in_3); in_4 = w_04 + w_34*a_3; a_4 = sigmoid(in_4); L = (y - a_4)**2",
        {"in_4": ("δ_4", "-2*(y - a4)*a4*(1 - a4)"), "in_3": ("δ_3", "δ4*w34*a3*(1 - a3)")}),
    "thresholds": (
        "X_3 = w_13*x_1 + w_23*x_2 - θ_3; y_3 = sigmoid(X_3); X_4 = w_34*y_3 - θ_4; y_4 = sigmoid(X_4); e = d - y_4; E = e^2/2",
        {"X_4": ("δ_4", "-e*y4*(1 - y4)"), "X_3": ("δ_3", "δ4*w34*y3*(1 - y3)")}),
    "CS231n": (
        "s1 = w11*x1 + b1; s2 = w21*x1 + b2; s3 = w31*x1 + b3; L = max(0, s1 - s3 + 1) + max(0, s2 - s3 + 1)",
        {"s1": ("δ1", "step(s1 - s3 + 1)"), "s2": ("δ2", "step(s2 - s3 + 1)"),
         "s3": ("δ3", "-step(s1 - s3 + 1) - step(s2 - s3 + 1)")}),
    "backpropagation through time": (
        "a_1 = W*x_1 + U*h_0; h_1 = tanh(a_1); o_1 = V*h_1; a_2 = W*x_2 + U*h_1; h_2 = tanh(a_2); o_2 = V*h_2; "
        "L = (o_1 - y_1)**2/2 + (o_2 - y_2)**2/2",
        {"o_2": ("δ_{o2}", "o_2 - y_2"), "o_1": ("δ_{o1}", "o_1 - y_1"), "a_2": ("δ_{a2}", "δo2*V*(1 - h_2^2)"),
         "a_1": ("δ_{a1}", "(δo1*V + δa2*U)*(1 - h_1^2)")}),
    "Hagan": (
        "n^{1} = w^{1}*p + b^{1}; a^{1} = sigmoid(n^{1}); n^{2} = w^{2}*a^{1} + b^{2}; a^{2} = n^{2}; F = (t - a^{2})**2",
        {"n^{2}": ("δ^{2}", "-2*(t - a2)"), "n^{1}": ("δ^{1}", "a1*(1 - a1)*w2*δ2")}),
    "Bishop, with a skip connection and the hyperbolic tangent of LeCun": (
        "a_1 = w_1*x; z_1 = 1.7159*tanh(2*a_1/3); a_2 = w_2*z_1; z_2 = tanh(a_2) + z_1; a_3 = w_3*z_2; E = (a_3 - t)**2/2",
        {"a_3": ("δ_3", "a3 - t"), "a_2": ("δ_2", "δ3*w3*(1 - tanh(a2)**2)"),
         "a_1": ("δ_1", "(δ2*w2 + δ3*w3)*1.7159*2/3*(1 - tanh(2*a1/3)^2)")}),
    "dropout, in the notation of Bishop": (
        "a_1 = w_1*x; z_1 = relu(a_1); d_1 = m_1*z_1/0.5; a_2 = w_2*x; z_2 = tanh(a_2); d_2 = m_2*z_2; "
        "a_3 = v_1*d_1 + v_2*d_2; E = (a_3 - t)**2/2",
        {"a_3": ("δ_3", "a3 - t"), "a_1": ("δ_1", "δ3*v1*m1*relu'(a1)/0.5"), "a_2": ("δ_2", "δ3*v2*m2*(1 - z2^2)")}),
    "maxout": (
        "p = w1*x + b1; q = w2*x - b2; h = max(p, q); o = v*h; E = (o - t)**2/2",
        {"o": ("δ_{o}", "o - t"), "q": ("δ_{q}", "δo*v*step(q - p)"), "p": ("δ_{p}", "δo*v*step(p - q)")}),
    "an absolute error as a maximum": ("o = w*x + b; L = max(o - t, t - o)", {"o": ("δ", "sign(o - t)")}),
    "hinge": ("s = w*x + b; L = max(0, 1 - 0.3*s)", {"s": ("δ", "-0.3")}),
    "weights as numbers": ("net = 0.4*h1 + 0.45*h2 + 0.6; o = tanh(net); E = (o - t)**2/2", {"net": ("δ", "(o - t)*(1 - o^2)")}),
    "linear neurons": (
        "u1 = w1*x + b1; u2 = w2*u1 + b2; E = abs(u2 - t)", {"u2": ("δ2", "sign(u2 - t)"), "u1": ("δ1", "δ2*w2")}),
    "an activation of one's own": (
        "q = w*x + b; y = q/(1 + abs(q)); L = (y - t)*(y - t)", {"q": ("δ", "2*(y - t)/(1 + abs(q))^2")}),
    "squares as activations": (
        "p = v*x; h = p**2; q = w*h; L = (q - t)**2/2", {"q": ("δ_{q}", "q - t"), "p": ("δ_{p}", "δq*w*2*p")}),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_each_notation_has_its_error_terms(notation):
    text, expected = NOTATIONS[notation]
    root = root_of(text)
    graph = look(root, "test")
    assert found(root) == {label: name for label, (name, _) in expected.items()}
    spelled = {label: spellings(name) for label, (name, _) in expected.items()}
    for label, (_, formula) in expected.items():
        right = graph.gradients[graph.named(label)]
        for key in [*spelled[label], f"dC/d{label}" if root.label == "C" else label]:
            assert grade(root, {key: right}).answers[key].verdict == "exact"
            assert grade(root, {key: formula}).answers[key].verdict == "exact", (key, formula)
            assert grade(root, {key: 1.37 * right + 0.2}).answers[key].verdict == "wrong"
    report = grade(root, {keys[-1]: expected[label][1] for label, keys in spelled.items()})
    assert {answer.verdict for answer in report.answers.values()} == {"exact"}
    whole = explain(root, form="delta")
    for label, (name, _) in expected.items():
        called = symbol(name)
        lines = [line for line in whole.lines if str(line.left).split(" = ")[0] == str(called)]
        assert len(lines) == 1, "one derivative has one name"
        assert number(lines[0]) == pytest.approx(graph.gradients[graph.named(label)], rel=1e-5)
        assert grade(root, {spelled[label][0]: 5.0}).answers[spelled[label][0]].called == called


def spellings(name):
    """How people write δ_{o1}."""
    _, above, below = indices(name) or (name[0], "", name[1:])
    index = above + below
    return [name, f"δ{index}", f"delta{index}" if index[:1].isdigit() or not index else f"delta_{index}",
            f"delta_{index}" if index else r"$\delta$", *([rf"$\delta_{{{index}}}$"] if below and indices(name) else [])]


def number(line):
    result = normalize("NFKC", line.sides[-1][0].text)
    return float(result.replace("−", "-").replace("·10", "e"))


@pytest.mark.parametrize("text", [
    "e = a*b; d = e + c; L = d*f",                              # a circuit: no function, no target
    "q = x + y; f = q*z",
    "c = a + b; d = a*b; y = (c + d) + c*d",
    "u = 3*x + 1; y = u**2",                                     # the chain rule of calculus
    "s = x + y; p = tanh(s)",                                    # no product of a weight and an input
    "p = w*x; q = v*y; r = p*q; o = tanh(r)",                    # two computed factors
    "m = (x1 + x2 + x3)/3; v = ((x1 - m)**2 + (x2 - m)**2)/3",    # a mean
    "m = (x1 + x2 + x3)*(1/3); v = (x1 - m)**2 + (x2 - m)**2",
    "a = sigmoid(w*x + b); C = (a - y)**2",                      # its argument has no label
    "z = tanh(w*x + b); E = (z - t)**2",                         # what Bishop calls z
    "s = w*x; y = floor(s)",                                     # no derivative passes
    "e = x - y; C = e**2",
])
def test_what_is_no_weighted_sum(text):
    root = root_of(text)
    assert found(root) == {}
    with pytest.raises(ValueError, match="needs weighted sums labelled, and no labelled node is a sum of products"):
        explain(root, form="delta")
    with pytest.raises(ValueError, match="There is no δ: no labelled node is a sum of products"):
        grade(root, {"δ4": 1.0})


@pytest.mark.parametrize(("text", "labels"), [
    ("net = w*x; u = net - theta; o = sigmoid(u); E = (o - t)**2", ["u"]),  # the argument of the function, not a part
    ("s = w*x; u = s + 6.88; o = tanh(u)", ["u"]),
    ("p = w*x; q = v*y; o = tanh(p + q + b)", []),
    ("net = w*x; o = 2*sigmoid(2*net) - 1; E = (o - t)**2", ["net"]),       # tanh
    ("net = w*x; o = net; E = (o - t)**2", ["net"]),                        # a linear neuron
    ("net = w*x + b; o = v*relu(net) + c; E = (o - t)**2", ["net", "o"]),   # an activation without a label
    ("xs = (x - 0.4)/0.2; n = w*xs + b; a = relu(n); C = (a - y)**2", ["n"]),
    ("z = x + y; f = z*w", ["z"]),                                          # z is one by its letter
    ("n = w*x*x + v*x + b; a = tanh(n); C = (a - y)**2", ["n"]),            # a square as an input
    ("v = exp(u); h = sin(k); z = v*h + b; a = tanh(z); C = (a - y)**2", ["z"]),    # a weight that is computed
    ("i = sigmoid(u); g = tanh(v); z = i*g; C = (z - y)**2", ["z"]),
    ("a = w*x + b; z = a*sigmoid(a); E = (z - t)**2", ["a"]),               # what Bishop calls z
    ("a = w*x + b; s = sigmoid(a); z = s*a; E = (z - t)**2", ["a"]),
    ("a = w*x + b; z = (1 + tanh(a/2))/2; E = (z - t)**2", ["a"]),
    ("z = 1.7*tanh(w*x + b); a = v*z; E = (a - t)**2", ["a"]),
    ("z = m*relu(w*x + b); a = v*z; E = (a - t)**2", ["a"]),
    ("z_1 = u*x; z = v*tanh(w*z_1) + b; E = (z - t)**2", ["z_1", "z"]),
    ("a = w*x + b; z = a*1[a > 0]; E = (z - t)**2", ["a"]),
    ("a = w*x + b; z = m*relu(a); o = v*z; E = (o - t)**2", ["a", "o"]),
    ("net = w*x; z = v*tanh(net) + b; E = (z - t)**2", ["net", "z"]),       # but here z is one
    ("net = w*x; h = tanh(net); z = h + x; y = v*z; E = (y - t)**2", ["net", "z", "y"]),
    ("h = w*x; o = v*h; E = (o - t)**2", ["h", "o"]),                       # linear neurons, without biases
    ("n = w*x; h = tanh(n); u = v*h; s = q*u; E = (s - t)**2", ["n", "s"]),  # no neuron is told from a mask,
    ("u1 = w*x; h = tanh(u1); u2 = v*h; u3 = q*u2; E = (u3 - t)**2", ["u1", "u2", "u3"]),  # but by the letter of others
    ("n = w*x; h = tanh(n); u = v*h; s = tanh(u); E = (s - t)**2", ["n", "u"]),
    ("n = w*x; h = tanh(n); u = v*h + b; s = q*u; E = (s - t)**2", ["n", "u", "s"]),
    ("r = w*x + b - y; C = r**2", []),                                      # a residual
    ("o = w*x + b; r = o - y; C = r**2", ["o"]),
])
def test_which_nodes_are(text, labels):
    assert list(found(root_of(text))) == labels


@pytest.mark.parametrize(("text", "says"), [
    ("a = sigmoid(w*x + b); C = (a - y)**2", "label the argument of sigmoid, w · x \\+ b"),
    ("f = 1/(1 + exp(-(w*x + b)))", "label the argument of exp, w · x \\+ b"),
    ("C = (w*x + b - y)**2/2", "label the weighted sum in the cost, w · x \\+ b"),
    ("e = a*b; d = e + c; L = d*f", "d = e \\+ c goes into neither"),
    ("s = x + y; p = tanh(s)", "s = x \\+ y goes into tanh, but there is no product weight · input in it"),
    ("s = w*x; y = floor(s)", "no derivative leads to s = w · x"),
    ("y = x**2", "label it, as z = w\\*x \\+ b before sigmoid\\(z\\)"),
])
def test_where_there_is_none_what_is_missing_is_said(text, says):
    with pytest.raises(ValueError, match=says):
        explain(root_of(text), form="delta")
    with pytest.raises(ValueError, match=says):
        grade(root_of(text), {"delta": 1})


def test_none_on_the_way():
    root = root_of("net = w*x + b; o = tanh(net); E = (o - t)**2")
    with pytest.raises(ValueError, match="of those that are, net, none is on the way to t; or use form='chain'"):
        explain(root, "t", form="delta")


@pytest.mark.parametrize(("labels", "names"), [
    (("z1", "z2", "o1"), ("δ1", "δ2", "δ_{o1}")),                 # z keeps its index
    (("h1", "h2", "o1"), ("δ_{h1}", "δ_{h2}", "δ_{o1}")),
    (("hid", "out", "top"), ("δ_{hid}", "δ_{out}", "δ_{top}")),
    (("net", "net_1", "net_2"), ("δ", "δ_1", "δ_2")),
    (("z[0]", "z[1]", "z'"), ("δ[0]", "δ[1]", "δ")),
    (("a*b + c", "n", "m"), ("δ(a*b + c)", "δ_{n}", "δ_{m}")),
    (("ζ", "s", "ζ1"), ("δ(ζ)", "δ_{s}", "δ(ζ1)")),
    (("z₁", "zₕ", "z²"), ("δ_{1}", "δ_{h}", "δ^{2}")),
    (("s^{1}_{2}", "u^{1}_{2}", "s^{2}_{1}"), ("δ^{1}_{s2}", "δ^{1}_{u2}", "δ^{2}_{s1}")),
])
def test_no_two_have_one_name(labels, names):
    x = Value(0.3, "x")
    for i, label in enumerate(labels):
        n = Value(0.5 + i, f"weight {i}") * x
        n.label = label
        x = mg.tanh(n)
    root = x * 2
    root.label = "y"
    assert tuple(found(root).values()) == names
    for label, name in zip(labels, names):
        assert grade(root, {name: look(root, "test").gradients[look(root, "test").named(label)]}).score == 1


@pytest.mark.parametrize("taken", ["δ", "δ_{1}", "delta", r"\delta^2"])
def test_a_node_that_is_called_so_wins(taken):
    d, x, y = Value(0.3, taken), Value(0.5, "x"), Value(1.0, "y")
    z = Value(0.7, "w") * x
    z.label = "z_{4}"
    a = mg.sigmoid(z)
    a.label = "a"
    C = d * (a - y) ** 2
    C.label = "C"
    graph = look(C, "test")
    assert found(C) == {"z_{4}": "Δ_{4}"}
    assert str(explain(C, form="delta").lines[0]).startswith("Δ₄ = ∂C/∂z₄ = ")
    for key in ("Δ4", "δ4", "z4"):  # δ4 can mean nothing else
        assert grade(C, {key: graph.gradients[z]}).score == 1
    assert grade(C, {"δ4": 7}).answers["δ4"].called == "Δ₄"
    assert grade(C, {taken: graph.gradients[d]}).score == 1
    assert "Δ₄ · x" in grade(C, {"δ4": graph.gradients[z], "w": 0.1}).answers["w"].line


def test_the_sign_of_other_books():
    root = root_of("net_1 = w_1*x_1 + w_0; o_1 = sigmoid(net_1); E = (t - o_1)**2/2")
    answer = grade(root, {"δ1": "o1*(1 - o1)*(t - o1)"}).answers["δ1"]
    assert (answer.verdict, answer.note) == (
        "wrong", "δ₁ is ∂E/∂net₁ here; some books, such as Mitchell's and Haykin's, have −∂E/∂net₁ for it")
    assert not grade(root, {"net1": "o1*(1 - o1)*(t - o1)"}).answers["net1"].note


def test_mistakes_name_error_terms():
    root = root_of(NOTATIONS["Bishop"][0])
    assert grade(root, {"v1": "z1"}).first_wrong.mistake == (
        "your ∂E/∂v₁ equals what you get if you leave out the upstream gradient δ₃")
    assert str(explain(root, "w_11", form="delta").lines[-1]).startswith("∂E/∂w₁₁ = δ₁ · x₁ = ")


# Random networks: what is found by structure is what an MLP labels z

def soft(x):
    return x / (1 + abs(x))


def tanh_by_exp(x):
    return (mg.exp(2 * x) - 1) / (mg.exp(2 * x) + 1)


def leaky(x):
    return x if x.data > 0 else 0.1 * x


def swish(x):
    return x * mg.sigmoid(x)


def scaled(x):
    return 1.7159 * mg.tanh(2 / 3 * x)


def masked(x):
    return Value(1.0) * mg.relu(x) / 0.5


def rectified(x):
    return x * mg.step(x)


def skipped(x):
    return mg.tanh(x) + Value(0.3)


def squared(x):
    return x ** 2


def hinge(outputs, targets):
    return Value.sum([mg.relu(1 - t * o) for o, t in zip(outputs, targets)])


def signs(cost):
    return lambda outputs, targets: cost(outputs, [1.0 if t.data > 0 else -1.0 for t in targets])


def first_class(outputs, targets):
    return mg.losses.cross_entropy(outputs, 0) if len(outputs) > 1 else mg.losses.half_squared_error(outputs, targets)


def logits(outputs, targets):
    return mg.losses.binary_cross_entropy_from_logits(outputs, [float(t.data > 0) for t in targets])


ACTIVATIONS = ["sigmoid", "tanh", "relu", "linear", "softplus", "gelu", "elu", "sin", soft, tanh_by_exp, leaky, swish, squared, scaled,
               masked, rectified, skipped]
COSTS = [mg.losses.half_squared_error, mg.losses.mean_squared_error, hinge, signs(mg.losses.max_margin), first_class, logits]
STYLES = ["{}^{{{}}}_{{{}}}", "{}{}{}", "{}_{}{}", "{}[{}][{}]"]


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_in_random_letters(seed):
    rng = random.Random(seed)
    for _ in range(8):
        sizes = [rng.randint(1, 3) for _ in range(rng.randint(2, 4))]
        net = MLP(sizes[0], sizes[1:], activation=rng.choice(ACTIVATIONS), output=rng.choice(["linear", "sigmoid", "tanh"]),
                  rng=rng)
        costs = []
        cost = rng.choice(COSTS)
        for _ in range(rng.choice((1, 1, 2))):
            outputs = net.forward([Value(rng.uniform(-1, 1), f"a^{{1}}_{{{j + 1}}}") for j in range(sizes[0])])
            costs.append(cost(outputs, [Value(rng.choice((-0.7, 0.4)), "t") for _ in outputs]))
        C = Value.sum(costs) / len(costs)
        C.label = "C"
        graph = look(C, "test")
        by_letter = {node for node in graph.onward if node.parents and node.label.startswith("z")}
        assert set(weighted_sums(graph)) == by_letter
        z, a, w, b = rng.sample(LETTERS, 4)
        a = rng.choice((a, "z"))
        style = rng.choice(STYLES)
        letters = {"z": z, "a": a, "w": w, "b": b}
        for node in graph.order:
            parts = indices(node.label) if node.label else None
            if parts and parts[0] in letters and parts[1].isdigit():
                node.label = style.format(letters[parts[0]], *parts[1:])
        graph = look(C, "test")
        sums = weighted_sums(graph)
        assert set(sums) == by_letter
        assert len(set(sums.values())) == len(sums)
        called = {symbol(name).text: node for node, name in sums.items()}
        lines = {str(line.left).split(" = ")[0]: line for line in explain(C, form="delta").lines}
        for name in called.keys() & lines.keys():
            assert number(lines[name]) == pytest.approx(graph.gradients[called[name]], rel=1e-5)
        right = {node: graph.gradients[node] for node in sums if math.isfinite(graph.gradients[node])}
        report = grade(C, {sums[node]: gradient for node, gradient in right.items()})
        assert [answer.verdict for answer in report.answers.values()] == ["exact"] * len(right)
        assert [answer.called for answer in report.answers.values()] == [symbol(sums[node]) for node in right]
        node = rng.choice(list(right))
        assert grade(C, {sums[node]: right[node] + 1 + abs(right[node])}).answers[sums[node]].verdict == "wrong"


def test_networks_of_the_package_keep_theirs():
    assert found(four_layers()[1]) == {"z^{2}": "δ^{2}", "z^{3}": "δ^{3}", "z^{4}": "δ^{4}"}
    assert list(found(two_by_two()[1]).values()) == ["δ^{2}_{1}", "δ^{2}_{2}", "δ^{3}_{1}", "δ^{3}_{2}"]
    assert found(diamond()) == {}
    y = root_of("z = w*x + b")
    assert found(y) == {}, "the result itself"


def test_samples_keep_their_numbers():
    net = MLP(1, [1], activation="tanh", output="tanh", rng=3)
    J = Value.sum([mg.losses.half_squared_error(net([Value(x, "x")]), t) for x, t in [(0.5, 1.0), (-1.0, 0.0)]]) / 2
    for node in mg.topological_order(J):
        node.label = node.label.replace("z^{2}", "net")
    assert list(found(J).values()) == ["δ^{(1)}", "δ^{(2)}"]


def test_deep_graphs():
    x = Value(0.5, "x")
    y = x
    for i in range(5_000):
        y = y * Value(1.0) if i % 2 else y + 1e-6
    net = y * Value(2.0, "w")
    net.label = "net"
    assert found(mg.tanh(net)) == {"net": "δ"}


# Other surfaces

def test_pictures_do_not_call_the_gradient_of_an_activation_delta():
    a = mg.tanh(Value(0.3, "w^{2}_{1,1}") * Value(0.7, "x"))
    a.label = "z^{2}_{1}"
    E = (a - 1) ** 2
    E.backward()
    for collapse in ("neuron", "layer"):
        assert "δ" not in draw(E, collapse=collapse).source


def test_equations_do_not_call_the_gradient_of_an_activation_delta():
    w = [Value(0.1 * i, f"w_{{{i}}}") for i in range(4)]

    def cost(x, t):
        z = []
        for i in range(2):
            z.append(mg.tanh(w[i] * x))
            z[i].label = f"z_{{{i}}}"
        return (w[2] * z[0] + w[3] * z[1] - t) ** 2

    plan = str(mg.compile(cost, inputs=(None, None)).plan)
    assert "tanh" in plan
    assert "δ" not in plan


def test_vanishing_error_terms_in_other_letters():
    net = MLP(2, [3] * 8 + [1], activation="sigmoid", output="sigmoid", rng=1)
    C = mg.losses.half_squared_error(net([0.5, -0.3]), 1.0)
    findings = {finding.kind: finding.sentence for finding in diagnose(C).findings}
    for node in mg.topological_order(C):
        if node.label.startswith(("z", "a")):
            node.label = {"z": "a", "a": "z"}[node.label[0]] + node.label[1:]  # Bishop's
    assert {finding.kind: finding.sentence for finding in diagnose(C).findings}["vanishing"] == findings["vanishing"]
