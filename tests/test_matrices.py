"""The matrix form of a network, whatever its letters: there with every layer, and right; or not there, with the reason."""

import json
import random
import xml.dom.minidom
from dataclasses import dataclass, field

import pytest
from graphs import two_by_two
from hypothesis import given, settings
from hypothesis import strategies as st
from test_deltas import root_of

import micrograd as mg
from micrograd import MLP, Value, explain
from micrograd.formulas.deltas import weighted_sums
from micrograd.formulas.graph import look
from micrograd.formulas.matrices import matrix_form

# How networks are labelled: the weighted sum, activation, weight and bias of neuron i in layer k, the n-th of all neurons
# (the weight by its input j, the m-th of all weights)
STYLES = {
    "by layer": ("z^{{{k}}}_{{{i}}}", "a^{{{k}}}_{{{i}}}", "w^{{{k}}}_{{{i},{j}}}", "b^{{{k}}}_{{{i}}}"),
    "Bishop": ("a^{{({k})}}_{{{i}}}", "z^{{({k})}}_{{{i}}}", "w^{{({k})}}_{{{i}{j}}}", "w^{{({k})}}_{{{i}0}}"),
    "Rojas": ("net_{{{n}}}", "o_{{{n}}}", "w_{{{m}}}", "theta_{{{n}}}"),
    "Mazur": ("net_h{n}", "out_h{n}", "w{m}", "b{n}"),
    "Haykin": ("v_{{{n}}}", "y_{{{n}}}", "w_{{{n},{j}}}", "b_{{{n}}}"),
    "no letter in common": ("s{n}", "h{n}", "{m}th weight", "offset {n}"),
}
ACTIVATIONS = {
    "tanh": mg.tanh, "sigmoid": mg.sigmoid, "relu": mg.relu, "by hand": lambda z: 1 / (1 + mg.exp(-z)),
}


def called(node, label):
    node.label = label
    return node


@dataclass
class Net:
    """A network written with Values. What is in weights[k][i][j] multiplies input j in neuron i of layer k."""

    root: Value
    z: list = field(default_factory=list)  # of one sample: z[k][i]
    weights: list = field(default_factory=list)
    biases: list = field(default_factory=list)


def network(rng, widths, style="by layer", activation="tanh", output="sigmoid", bias="own", samples=1, penalty="none"):
    """A network at random numbers. widths: of the inputs and all layers."""
    def number():
        return rng.uniform(0.2, 1.5) * rng.choice([-1, 1])
    of_z, of_a, of_w, of_b = STYLES[style]
    count = {"n": 0, "m": 0}
    weights, biases, places = [], [], []
    for k, (below, width) in enumerate(zip(widths, widths[1:]), 2):
        weights.append([])
        biases.append([])
        places.append([])
        shared = None
        for i in range(1, width + 1):
            count["n"] += 1
            places[-1].append({"k": k, "i": i, "n": count["n"]})
            weights[-1].append([])
            for j in range(1, below + 1):
                count["m"] += 1
                weights[-1][-1].append(Value(number(), of_w.format(j=j, m=count["m"], **places[-1][-1])))
            own = Value(number(), of_b.format(**places[-1][-1]))
            shared = shared or own
            biases[-1].append({"own": own, "minus": own, "shared": shared, "none": None}[bias])
    costs, sums = [], []
    for _ in range(samples):
        a = [Value(number(), f"x_{{{j}}}") for j in range(1, widths[0] + 1)]
        sums = []
        for k, rows in enumerate(weights):
            z = []
            for row, b, place in zip(rows, biases[k], places[k]):
                total = Value.sum(w * x for w, x in zip(row, a))
                total = total if b is None else total - b if bias == "minus" else total + b
                z.append(called(total, of_z.format(**place)))
            act = ACTIVATIONS[activation if k < len(weights) - 1 else output]
            a = [called(act(each), of_a.format(**place)) for each, place in zip(z, places[k])]
            sums.append(z)
        costs.append(Value.sum((Value(number(), f"t_{{{i}}}") - each) ** 2 for i, each in enumerate(a, 1)) / 2)
    root = Value.sum(costs) / samples if samples > 1 else costs[0]
    every = [w for rows in weights for row in rows for w in row]
    if penalty == "number":
        root = root + 0.05 * Value.sum(w * w for w in every)
    elif penalty == "λ":
        root = root + Value(0.3, "λ") / 2 * Value.sum(w ** 2 for w in every)
    elif penalty == "biases, too":
        root = root + 0.01 * Value.sum(p ** 2 for p in dict.fromkeys([*every, *(b for row in biases for b in row if b)]))
    return Net(called(root, "J"), sums, weights, biases)


def form(root, x=None):
    """The lines, and the notes."""
    graph = look(root, "test")
    lines, notes, _ = matrix_form(graph, x, weighted_sums(graph))
    return list(lines), notes


def close(found, expected):
    assert len(found) == len(expected)
    for row, other in zip(found, expected):
        assert row == pytest.approx(other, rel=1e-9, abs=1e-15)


NETS = {
    "widths": st.lists(st.integers(1, 4), min_size=2, max_size=5), "style": st.sampled_from(list(STYLES)),
    "activation": st.sampled_from(list(ACTIVATIONS)), "output": st.sampled_from(list(ACTIVATIONS)),
    "bias": st.sampled_from(["own", "minus", "shared", "none"]), "samples": st.sampled_from([1, 1, 1, 2, 3]),
    "penalty": st.sampled_from(["none", "number", "λ", "biases, too"]),
}


@given(st.integers(0, 10**6), st.fixed_dictionaries(NETS))
@settings(deadline=None, max_examples=80)
def test_every_layer_is_there_and_right(seed, kind):
    net = network(random.Random(seed), **kind)
    net.root.backward()
    lines, notes = form(net.root)
    if max(kind["widths"][1:]) == 1:
        assert not lines and not notes
        return
    assert not any("no line" in note or "no matrix" in note for note in notes), notes
    for k in reversed(range(len(net.weights))):
        delta, by_weights, by_biases = lines.pop(0), lines.pop(0), lines.pop(0) if kind["bias"] != "none" else None
        close([row[-1:] for row in delta.value], [[z.grad] for z in net.z[k]])
        close(by_weights.value, [[w.grad for w in row] for row in net.weights[k]])
        assert ("+" in by_weights.right) == (kind["penalty"] != "none")
        if by_biases:
            close(by_biases.value, [[b.grad] for b in dict.fromkeys(net.biases[k])])
            assert ("+" in by_biases.right) == (kind["penalty"] == "biases, too")
    assert not lines


@given(st.integers(0, 10**6), st.fixed_dictionaries(NETS))
@settings(deadline=None, max_examples=30)
def test_the_lines_down_to_one_node(seed, kind):
    rng = random.Random(seed)
    net = network(rng, **kind)
    net.root.backward()
    whole = {line.left: line for line in form(net.root)[0]}
    k = rng.randrange(len(net.weights))
    x = rng.choice(rng.choice(net.weights[k]))
    lines, _ = form(net.root, x)
    assert bool(lines) <= bool(whole)
    if lines:
        assert len(lines) == len(net.weights) - k + 1, "each δ down to its layer, and the weights of that"
        assert all(whole[line.left] == line for line in lines)
        close(lines[-1].value, [[w.grad for w in row] for row in net.weights[k]])
    given = next(node for node in mg.topological_order(net.root) if node.label == "x_{1}")
    if lines := form(net.root, given)[0]:
        assert any(number == pytest.approx(given.grad, rel=1e-9) for row in lines[-1].value for number in row)
        assert str(lines[-1].left) in ("∂J/∂x", "∂J/∂X")


def small(missing=False, skip=False, shared=False, tied=False, straight=False, also=False, gate=False, twice=False,
          penalty=lambda w, h: 0.0):
    """A 2-2-2 network, or what is not quite one."""
    x = [Value(0.3, "x_1"), Value(-0.6, "x_2")]
    w = [Value(0.1 * k + 0.1, f"w{k}") for k in range(1, 11)]
    net = [w[0] * x[0] + w[1] * x[1], w[2] * x[0] + w[3] * x[1]]
    if missing:
        net[1] = w[2] * x[0] + 0.5
    if tied:
        net[1] = w[1] * x[0] + w[0] * x[1]
    if twice:
        net[1] = net[1] + w[8] * x[0]
    net = [called(each, f"net{i}") for i, each in enumerate(net, 1)]
    h = [called(mg.tanh(each), f"h{i}") for i, each in enumerate(net, 1)]
    above = w[:4] if shared else w[4:]
    out = [above[0] * h[0] + above[1] * h[1], above[2] * h[0] + above[3] * h[1]]
    if skip:
        out = [each + w[8 + i] * x[0] for i, each in enumerate(out)]
    if straight:
        out[0] = out[0] + h[0]
    if gate:
        out[1] = out[1] + h[0] * h[1]
    out = [called(each, f"net{i}") for i, each in enumerate(out, 3)]
    o = [called(mg.sigmoid(each), f"o{i}") for i, each in enumerate(out, 1)]
    C = (o[0] - 1.0) ** 2 + (o[1] - 0.2) ** 2 + penalty(w[:4], h)
    return called(C + h[0] if also else C, "C")


@pytest.mark.parametrize(("kind", "reason"), [
    ({"missing": True}, "There is no matrix form: net1 has the input x₂, which net2 lacks."),
    ({"skip": True}, "There is no matrix form: net3 has inputs from several layers, x₁ and h1."),
    ({"straight": True}, "There is no matrix form: net3 adds h1, which no weight multiplies."),
    ({"also": True}, "There is no matrix form: h1 is also used outside the next layer, in C."),
    ({"gate": True}, "There is no matrix form: h1 is also used outside the next layer"),
    ({"twice": True}, "There is no matrix form: net2 has an input twice."),
    ({"penalty": lambda w, h: 0.1 * h[1] ** 2}, "There is no matrix form: h2 is also used outside the next layer."),
    ({"shared": True}, "∂C/∂W³ has no line: w1 is also used elsewhere."),
    ({"tied": True}, "∂C/∂W² has no line: w1 stands in several places of W²."),
    ({"penalty": lambda w, h: 0.1 * Value.sum(abs(each) for each in w)},
     "∂C/∂W² has no line: C depends on W² in another way, too, which is not a penalty such as λ/2 · Σ w²."),
    ({"penalty": lambda w, h: 0.1 * w[0] ** 2},
     "∂C/∂W² has no line: C depends on W² in another way, too, which is not a penalty such as λ/2 · Σ w²."),
    ({"penalty": lambda w, h: 0.1 * Value.sum(each ** 4 for each in w)}, "∂C/∂W² has no line"),
    ({"penalty": lambda w, h: Value.sum(0.1 * k * each ** 2 for k, each in enumerate(w, 1))}, "∂C/∂W² has no line"),
])
def test_what_is_no_network_of_layers_says_why(kind, reason):
    C = small(**kind)
    C.backward()
    lines, notes = form(C)
    assert any(note.startswith(reason) for note in notes), notes
    assert bool(lines) == ("no matrix form" not in reason)
    gradients = {node.grad for node in mg.topological_order(C)}
    for line in lines:
        assert all(any(number == pytest.approx(gradient, rel=1e-9) for gradient in gradients)
                   for row in line.value for number in row), line


def equations(root, x=None):
    return [f"{line.left} = {line.right}" for line in form(root, x)[0]]


def two_by_two_in_words(penalty=lambda w, b: 0.0):
    """The step-by-step 2-2-2 example as it was published: weights w1 to w8, a bias for each layer."""
    x = [Value(0.05, "i1"), Value(0.10, "i2")]
    w = [Value(number, f"w{k}") for k, number in enumerate((0.15, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.55), 1)]
    b = [Value(0.35, "b1"), Value(0.6, "b2")]
    net_h = [called(w[2 * i] * x[0] + w[2 * i + 1] * x[1] + b[0] * 1, f"net_h{i + 1}") for i in range(2)]
    h = [called(mg.sigmoid(net), f"out_h{i}") for i, net in enumerate(net_h, 1)]
    net_o = [called(w[2 * i + 4] * h[0] + w[2 * i + 5] * h[1] + b[1] * 1, f"net_o{i + 1}") for i in range(2)]
    o = [called(mg.sigmoid(net), f"out_o{i}") for i, net in enumerate(net_o, 1)]
    C = 0.5 * (Value(0.01, "t1") - o[0]) ** 2 + 0.5 * (Value(0.99, "t2") - o[1]) ** 2
    return called(C + penalty(w, b), "E")


def test_names_that_have_no_layer_are_explained():
    E = two_by_two_in_words()
    lines, notes = form(E)
    assert [f"{line.left} = {line.right}" for line in lines] == [
        "δ³ = ∇_out E ⊙ σ′(net³)", "∂E/∂W³ = δ³ (out²)ᵀ", "∂E/∂b2 = 1ᵀ δ³",
        "δ² = ((W³)ᵀ δ³) ⊙ σ′(net²)", "∂E/∂W² = δ² (i¹)ᵀ", "∂E/∂b1 = 1ᵀ δ²"]
    for meaning in ("Here net³ = (net_o1, net_o2), W³ = [w5 w6; w7 w8], δ³ = (δ", "), net² = (net_h1, net_h2), ",
                    "out² = (out_h1, out_h2), W² = [w1 w2; w3 w4], δ² = (δ", "), i¹ = (i1, i2)."):
        assert meaning in notes[0]
    assert notes[1:] == ["A matrix of weights has a row for each neuron, and a column for each input.",
                         "1 is a vector of ones."]
    same = form(two_by_two()[1])[0]
    for line, other in zip(*([line for line in each if "b" not in line.left] for each in (lines, same))):
        close(line.value, other.value)
    assert str(lines[2]).splitlines() == ["∂E/∂b2 = 1ᵀ δ³", "   = ⎡ 1 ⎤ᵀ ⎡  0.1385 ⎤ = [0.1004]",
                                          "     ⎣ 1 ⎦  ⎣ −0.0381 ⎦"]
    assert equations(E, next(node for node in mg.topological_order(E) if node.label == "b1")) == [
        "δ³ = ∇_out E ⊙ σ′(net³)", "δ² = ((W³)ᵀ δ³) ⊙ σ′(net²)", "∂E/∂b1 = 1ᵀ δ²"]


def test_letters_of_their_own():
    """A net that calls its nodes a to h, and one in the notation of Bishop, a for the sum and z for what it gives."""
    a, b = Value(1.0, "a"), Value(0.5, "b")
    c = called(a * Value(0.3, "p") + b * Value(0.2, "q"), "c")
    d = called(a * Value(0.1, "r") + b * Value(-0.4, "s"), "d")
    e, f = called(c.tanh(), "e"), called(d.tanh(), "f")
    g = called(e * Value(0.7, "u") + f * Value(0.6, "v"), "g")
    lines, notes = form(called((called(g.sigmoid(), "h") - 1) ** 2, "L"))
    assert [f"{line.left} = {line.right}" for line in lines] == [
        "δ³ = ∇ₕL ⊙ σ′(g³)", "∂L/∂W³ = δ³ (o²)ᵀ", "δ² = ((W³)ᵀ δ³) ⊙ tanh′(z²)", "∂L/∂W² = δ² (x¹)ᵀ"]
    assert "z² = (c, d), o² = (e, f), W² = [p q; r s]" in notes[0] and "x¹ = (a, b)" in notes[0]
    bishop = network(random.Random(1), [2, 2, 2], "Bishop", bias="none")
    assert equations(bishop.root) == [
        "δ⁽³⁾ = ∇_z J ⊙ σ′(a⁽³⁾)", "∂J/∂W⁽³⁾ = δ⁽³⁾ (z⁽²⁾)ᵀ", "δ⁽²⁾ = ((W⁽³⁾)ᵀ δ⁽³⁾) ⊙ tanh′(a⁽²⁾)",
        "∂J/∂W⁽²⁾ = δ⁽²⁾ (x)ᵀ"]
    assert form(bishop.root)[1] == []


@pytest.mark.parametrize(("penalty", "added"), [
    (lambda w, b: Value(0.1, "λ") / 2 * Value.sum(each ** 2 for each in w), " + λ W²"),
    (lambda w, b: Value(0.1, "λ") * Value.sum(each * each for each in w), " + 2λ W²"),
    (lambda w, b: Value(0.1, "λ") / (2 * Value(4.0, "n")) * Value.sum(each ** 2 for each in w), " + (λ / n) W²"),
    (lambda w, b: 0.5 * Value.sum(each ** 2 for each in w), " + W²"),
    (lambda w, b: sum(0.05 * each ** 2 for each in w), " + 0.1 W²"),
    (lambda w, b: Value(0.1, "λ") * called(mg.sqrt(Value.sum(each ** 2 for each in w)), "N"), " + (λ / N) W²"),
    (lambda w, b: Value(0.1, "λ") * Value.sum(w[4:]) + b[0] ** 2, ""),
])
def test_the_factor_of_a_penalty_is_derived(penalty, added):
    E = two_by_two_in_words(penalty)
    E.backward()
    [line] = [line for line in form(E)[0] if line.left == "∂E/∂W²"]
    assert line.right == "δ² (i¹)ᵀ" + added
    w = {node.label: node.grad for node in mg.topological_order(E)}
    close(line.value, [[w["w1"], w["w2"]], [w["w3"], w["w4"]]])


def test_the_loss_of_the_moons():
    """A hinge loss, averaged over samples, and a penalty on all parameters, as in the demo of the original."""
    net = MLP(2, [4, 1], rng=3)
    scores = [net(x) for x in ([0.1, 0.2], [-0.3, 0.4], [0.5, -0.9])]
    losses = [(1 + -y * score).relu() for y, score in zip((1, -1, 1), scores)]
    J = called(sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in net.parameters()), "J")
    J.backward()
    lines, notes = form(J)
    assert [f"{line.left} = {line.right}" for line in lines] == [
        "Δ³ = ∇_Z J", "∂J/∂W³ = Δ³ (A²)ᵀ + 0.0002 W³", "∂J/∂b³ = Δ³ 1 + 0.0002 b³",
        "Δ² = ((W³)ᵀ Δ³) ⊙ ReLU′(Z²)", "∂J/∂W² = Δ² (A¹)ᵀ + 0.0002 W²", "∂J/∂b² = Δ² 1 + 0.0002 b²"]
    assert notes == ["Δ³, Z², A², Δ² and A¹ have a column for each of the 3 samples.", "1 is a vector of ones."]
    close(lines[4].value, [[w.grad for w in neuron.w] for neuron in net.layers[0].neurons])
    close(lines[5].value, [[neuron.b.grad] for neuron in net.layers[0].neurons])


def test_activations_that_differ_are_said_to():
    net = MLP(2, [2, 1], activation="tanh", rng=1)
    net.layers[0].neurons[1] = mg.Neuron(2, activation="sigmoid", rng=2, layer=2, index=2)
    lines, notes = form(called((net([0.3, -0.2]) - 1) ** 2, "C"))
    assert lines[3].right == "((W³)ᵀ δ³) ⊙ s′(z²)"
    assert notes == ["s′(z²) is the slope of each neuron's own output with respect to its weighted sum."]


def test_neurons_whose_sums_have_no_label_are_named():
    x, w = Value(0.5, "x"), [Value(0.1 * k, f"w{k}") for k in range(1, 7)]
    h = [called(mg.tanh(w[k] * x), f"h{k + 1}") for k in range(2)]
    net = [called(w[2 * k + 2] * h[0] + w[2 * k + 3] * h[1], f"net{k + 1}") for k in range(2)]
    lines, notes = form(called(Value.sum((mg.sigmoid(each) - 1) ** 2 for each in net), "C"))
    assert [str(line.left) for line in lines] == ["δ²", "∂C/∂W²"]
    assert notes[-1] == "Taken as inputs of the network: h1, h2, as no weighted sum below them has a label."


HIDDEN = "net1 = w11*x1 + w12*x2; o1 = tanh(net1); net2 = w21*x1 + w22*x2; o2 = tanh(net2); "


@pytest.mark.parametrize(("text", "reason"), [
    ("h1 = tanh(w11*x1 + w12*x2); " + HIDDEN.replace("o1", "o3") + "net3 = w31*h1 + w32*o2; E = (net3 - t)**2/2",
     "no weighted sum below h1 has a label"),
    ("a_1 = W*x_1 + U*h_0; h_1 = tanh(a_1); o_1 = V*h_1; a_2 = W*x_2 + U*h_1; h_2 = tanh(a_2); o_2 = V*h_2; "
     "L = (o_1 - y_1)**2 + (o_2 - y_2)**2", "a₂ has inputs from several layers, x₂ and h₁"),
    ("z1 = k1*x1 + k2*x2 + b; z2 = k1*x2 + k2*x3 + b; a1 = relu(z1); a2 = relu(z2); z3 = v1*a1 + v2*a2; C = (z3 - y)**2",
     "z2 has the input x3, which z1 lacks"),
    (HIDDEN + "u = (w31*o1 + w32*o2)/2; E = (u - t)**2", "u is not a plain sum of weights times inputs"),
    (HIDDEN + "p_1 = v1*o1 + v2*o2; p_2 = v1*x3 + v2*x4; E = (p_1 - t_1)**2 + (p_2 - t_2)**2",
     "x3 is not computed, as other samples have it"),
    (HIDDEN + "h3 = tanh(w11*x3 + w12*x4); p_1 = v1*o1 + v2*o2; p_2 = v1*h3 + v2*h3; E = (p_1 - t_1)**2 + (p_2 - t_2)**2",
     "no weighted sum below h3 has a label"),
])
def test_the_reason_names_the_node_that_it_is_about(text, reason):
    assert form(root_of(text)) == ([], [f"There is no matrix form: {reason}."])


def test_hidden_neurons_without_labels_are_said_to_be_taken_as_inputs():
    root = root_of("h1 = tanh(w11*x1 + w12*x2); h2 = tanh(w21*x1 + w22*x2); z = v1*h1 + v2*h2; E = (z - t)**2/2")
    assert equations(root) == ["δ² = ∇_z E", "∂E/∂V² = δ² (h¹)ᵀ"]
    assert form(root)[1][-1] == ("Taken as inputs of the network: h1, h2, as no weighted sum below them has a label.")


@pytest.mark.parametrize("net", [
    "net{0} = w{0}0 + w{0}1*{1}1 + w{0}2*{1}2", "net{0} = w{0}1*{1}1 + w{0}2*{1}2 + w{0}0*1",
    "net{0} = 1*w{0}0 + w{0}1*{1}1 + w{0}2*{1}2"])
def test_a_bias_that_is_called_a_weight(net):
    root = root_of("; ".join([net.format(1, "x"), net.format(2, "x"), "o1 = tanh(net1)", "o2 = tanh(net2)",
                              net.format(3, "o"), "E = (net3 - t)**2/2"]))
    assert equations(root) == ["δ³ = ∇_net E", "∂E/∂W³ = δ³ (o²)ᵀ", "∂E/∂b³ = δ³",
                               "δ² = ((W³)ᵀ δ³) ⊙ tanh′(net²)", "∂E/∂W² = δ² (x¹)ᵀ", "∂E/∂b² = δ²"]
    assert "W² = [w11 w12; w21 w22]" in form(root)[1][0] and "b³ = (w30), b² = (w10, w20)" in form(root)[1][0]


def test_an_input_that_is_the_number_1_is_no_bias():
    root = root_of("z1 = w11*1 + w12*0.5; z2 = w21*1 + w22*0.5; C = sigmoid(z1)*t1 + sigmoid(z2)*t2")
    assert equations(root)[1] == "∂C/∂W² = δ² (a¹)ᵀ" and len(form(root)[0][1].value[0]) == 2


def test_where_the_node_that_is_asked_for_has_no_line():
    root = root_of("a1 = w1*x1 + w2*x2; h = tanh(a1); r1 = v1*h; r2 = v2*h; L = (r1 - x1)**2 + (r2 - x2)**2")
    inputs = [node for node in mg.topological_order(root) if node.label.startswith("x")]
    for x in inputs:
        lines, notes = form(root, x)
        assert [str(line.left) for line in lines] == ["δ³", "δ²"]
        assert notes[-1] == "∂L/∂x¹ has no line: x1 is also used elsewhere."
    root = root_of("h1 = tanh(w1*x); h2 = tanh(w2*x); z = v1*h1 + v2*h2; E = (z - t)**2")
    for name in ("w1", "x"):
        x = next(node for node in mg.topological_order(root) if node.label == name)
        assert form(root, x) == ([], [f"There is no matrix form: {name} is not a weight, a bias or an "
                                      "input of any layer."])


def test_weights_that_are_numbers():
    root = root_of("z1 = 0.3*x1 + x2*0.5 + b; z2 = 0.7*x1 + x2*0.2 + b; a1 = tanh(z1); a2 = tanh(z2); "
                   "z3 = 2*a1 + 3*a2; C = (z3 - y)**2")
    assert equations(root) == ["δ³ = ∇_z C", "δ² = ((W³)ᵀ δ³) ⊙ tanh′(z²)", "∂C/∂b = 1ᵀ δ²"]
    assert form(root)[0][1].numbers[1] == ((2, 3),)


def test_samples_with_labels_of_their_own():
    sample = "net{0}1 = w11*x{0}1 + w12*x{0}2 + b1; net{0}2 = w21*x{0}1 + w22*x{0}2 + b2; h{0}1 = tanh(net{0}1); " \
             "h{0}2 = tanh(net{0}2); o{0} = v1*h{0}1 + v2*h{0}2"
    root = root_of(f"{sample.format(1)}; {sample.format(2)}; L = ((o1 - y1)**2 + (o2 - y2)**2)/2")
    assert equations(root)[:2] == ["Δ³ = ∇_O L", "∂L/∂V³ = Δ³ (H²)ᵀ"]
    for meaning in ("V³ = [v1 v2], ", "Δ³ = [δ1 δ2], ", "net² = [net11 net21; net12 net22], ", "b² = (b1, b2).",
                    "Δ² = [δ11 δ21; δ12 δ22], ", "X¹ = [x11 x21; x12 x22], "):
        assert meaning in form(root)[1][0]


def test_a_linear_layer_has_no_slope():
    root = root_of("n1 = w1*p; n2 = w2*p; a1 = n1; a2 = n2; n3 = v1*a1 + v2*a2; a3 = n3; F = (t - a3)**2")
    assert equations(root) == ["δ³ = ∇ₐF", "∂F/∂V³ = δ³ (a²)ᵀ", "δ² = (V³)ᵀ δ³", "∂F/∂W² = δ² (p¹)ᵀ"]


def test_single_neurons_and_formulas_are_left_alone():
    for widths in ([1, 1, 1], [3, 1, 1], [2, 1]):
        for samples in (1, 3):
            assert form(network(random.Random(0), widths, samples=samples).root) == ([], [])
    w, u, h = Value(0.4, "w"), Value(0.3, "u"), Value(0.0, "h_0")
    for t in range(1, 4):  # in time, one neuron
        z = called(u * Value(0.1 * t, f"x_{t}") + w * h, f"z_{t}")
        h = called(z.tanh(), f"h_{t}")
    assert form(called((h - 1) ** 2, "C")) == ([], [])


def test_leaves_that_no_line_has_are_listed():
    said = explain(small(shared=True), form="delta")
    assert "∂C/∂w1" in [str(line.left) for line in said.lines] and len(said.matrices) == 2
    said = explain(small(), form="delta")
    assert not [line for line in said.lines if "w1" in line.left] and len(said.matrices) == 4


@pytest.mark.parametrize("root", [two_by_two_in_words(lambda w, b: Value(0.1, "λ") / Value(3.0, "n") * w[0] ** 2),
                                  network(random.Random(2), [3, 4, 2], samples=7, penalty="λ").root,
                                  network(random.Random(2), [9, 8, 7], "Rojas", bias="minus").root], ids=str)
def test_views_of_all_kinds(root):
    found = explain(root, form="delta")
    xml.dom.minidom.parseString(found.to_mathml())
    assert json.loads(json.dumps(found.to_dict()))["matrices"]
    for width in (60, 80, 120):
        for row in found._laid_out(width, str).splitlines():
            assert row == row.rstrip()
    assert found.latex.count("{") == found.latex.count("}")
