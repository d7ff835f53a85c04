"""The derivations that lecture notes do by hand, number by number. The arithmetic here is written out, without helpers.

Numbers agree to 1e-12, which is what a dozen operations on numbers of size 1 lose at the most, with room to spare.
"""

import math
import random

import pytest

from micrograd import MLP, SGD, Neuron, Value, fit, grad, gradient, losses


def close(*expected: float) -> object:
    return pytest.approx(list(expected) if len(expected) > 1 else expected[0], rel=1e-12, abs=1e-12)


# One neuron a layer: K = 4, all sigmoid

X, Y = 0.7, 1.0


def four_layer_chain() -> tuple[MLP, dict[str, Value], Value]:
    net = MLP(1, [1, 1, 1], activation="sigmoid", output="sigmoid", rng=4)
    for k, (w, b) in enumerate([(0.8, 0.1), (-1.2, 0.4), (1.5, -0.3)], start=2):
        [neuron] = net.layers[k - 2].neurons
        neuron.w[0].data, neuron.b.data = w, b
    node = {}
    a = Value(X, "a^{1}")
    node["a1"] = a
    for k, layer in enumerate(net.layers, start=2):
        [neuron] = layer.neurons
        a = neuron([a])
        node[f"w{k}"], node[f"b{k}"] = neuron.w[0], neuron.b
        node[f"a{k}"], [node[f"z{k}"]] = a, a.parents
    cost = losses.half_squared_error(a, Y)
    return net, node, cost


def s(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def ds(z: float) -> float:
    return s(z) * (1.0 - s(z))


def test_the_chain_runs_forward() -> None:
    _, node, cost = four_layer_chain()
    z2 = 0.8 * X + 0.1
    z3 = -1.2 * s(z2) + 0.4
    z4 = 1.5 * s(z3) - 0.3
    assert [node["z2"].data, node["z3"].data, node["z4"].data] == close(z2, z3, z4)
    assert [node["a2"].data, node["a3"].data, node["a4"].data] == close(s(z2), s(z3), s(z4))
    assert cost.data == close(0.5 * (Y - s(z4)) ** 2)


def test_the_nodes_carry_the_names_of_the_notes() -> None:
    _, node, _ = four_layer_chain()
    for k in (2, 3, 4):
        for letter in "wbza":
            assert node[f"{letter}{k}"].label == f"{letter}^{{{k}}}"


def test_delta_is_the_gradient_of_z() -> None:
    _, node, cost = four_layer_chain()
    cost.backward()
    z2, z3, z4 = node["z2"].data, node["z3"].data, node["z4"].data
    delta4 = (s(z4) - Y) * ds(z4)
    delta3 = delta4 * 1.5 * ds(z3)
    delta2 = delta3 * -1.2 * ds(z2)
    assert [node["z4"].grad, node["z3"].grad, node["z2"].grad] == close(delta4, delta3, delta2)


def test_the_gradient_of_each_weight_is_delta_times_a() -> None:
    _, node, cost = four_layer_chain()
    cost.backward()
    for k in (2, 3, 4):
        delta, a_before = node[f"z{k}"].grad, node[f"a{k - 1}"].data
        assert node[f"w{k}"].grad == close(delta * a_before)
        assert node[f"b{k}"].grad == close(delta)


def test_each_line_of_the_derivation_is_a_product_of_derivatives_between_named_nodes() -> None:
    _, n, cost = four_layer_chain()
    cost.backward()

    def d(y: str, x: str) -> float:
        """dy/dx between two neighbours in the chain; the gradient taken with the engine."""
        return gradient(n[y], n[x]).data

    dC_da4 = gradient(cost, n["a4"]).data
    assert dC_da4 == close(n["a4"].data - Y)
    assert [d("a4", "z4"), d("a3", "z3"), d("a2", "z2")] == close(*(ds(n[z].data) for z in ("z4", "z3", "z2")))
    assert [d("z4", "a3"), d("z3", "a2")] == close(1.5, -1.2)
    assert [d("z4", "w4"), d("z3", "w3"), d("z2", "w2")] == close(n["a3"].data, n["a2"].data, X)

    assert n["w4"].grad == close(dC_da4 * d("a4", "z4") * d("z4", "w4"))
    assert n["w3"].grad == close(dC_da4 * d("a4", "z4") * d("z4", "a3") * d("a3", "z3") * d("z3", "w3"))
    assert n["w2"].grad == close(dC_da4 * d("a4", "z4") * d("z4", "a3") * d("a3", "z3") * d("z3", "a2")
                                 * d("a2", "z2") * d("z2", "w2"))


def test_one_update_with_the_old_weights() -> None:
    net, node, cost = four_layer_chain()
    cost.backward()
    before = {name: (v.data, v.grad) for name, v in node.items()}
    SGD(net.parameters(), lr=0.5).step()
    for k in (2, 3, 4):
        w, _ = before[f"w{k}"]
        _, delta = before[f"z{k}"]
        a_before, _ = before[f"a{k - 1}"]
        assert node[f"w{k}"].data == close(w - 0.5 * delta * a_before)


def test_the_gradient_of_J_is_the_mean_of_the_gradients_of_the_samples() -> None:
    net, _, _ = four_layer_chain()
    samples = [(0.7, 1.0), (-0.4, 0.0), (1.3, 1.0)]
    each = []
    for x, y in samples:
        net.zero_grad()
        losses.half_squared_error(net([x]), y).backward()
        each.append([p.grad for p in net.parameters()])
    net.zero_grad()
    J = Value.sum([losses.half_squared_error(net([x]), y) for x, y in samples]) / 3
    J.backward()
    assert [p.grad for p in net.parameters()] == close(*(sum(g) / 3 for g in zip(*each)))


def test_online_training_is_the_algorithm_of_the_notes() -> None:
    samples = [([0.7], 1.0), ([-0.4], 0.0)]
    net, _, _ = four_layer_chain()
    fit(net, [x for x, _ in samples], [y for _, y in samples], optimizer=SGD(lr=0.5), epochs=2, batch_size=1,
        shuffle=False, progress=False)
    w, b = {2: 0.8, 3: -1.2, 4: 1.5}, {2: 0.1, 3: 0.4, 4: -0.3}
    for [x], y in samples + samples:
        z, a = {}, {1: x}
        for k in (2, 3, 4):
            z[k] = w[k] * a[k - 1] + b[k]
            a[k] = s(z[k])
        delta = {4: (a[4] - y) * ds(z[4])}
        for k in (3, 2):
            delta[k] = delta[k + 1] * w[k + 1] * ds(z[k])
        for k in (2, 3, 4):
            w[k] -= 0.5 * delta[k] * a[k - 1]
            b[k] -= 0.5 * delta[k]
    assert [p.data for p in net.parameters()] == close(w[2], b[2], w[3], b[3], w[4], b[4])


# The matrix form, for a network with several neurons a layer

def test_the_matrix_form() -> None:
    net = MLP(3, [4, 2], activation="tanh", output="sigmoid", rng=11)
    x, y = [0.3, -0.8, 0.5], [1.0, 0.0]
    a2 = net.layers[0](x)
    a3 = net.layers[1](a2)
    z2, z3 = [a.parents[0] for a in a2], [a.parents[0] for a in a3]
    assert [z.label for z in z2] == ["z^{2}_{1}", "z^{2}_{2}", "z^{2}_{3}", "z^{2}_{4}"]
    cost = losses.half_squared_error(a3, y)
    cost.backward()

    W2, W3 = ([[w.data for w in neuron.w] for neuron in layer.neurons] for layer in net.layers)
    b2, b3 = ([neuron.b.data for neuron in layer.neurons] for layer in net.layers)
    z2_by_hand = [sum(W2[i][j] * x[j] for j in range(3)) + b2[i] for i in range(4)]
    a2_by_hand = [math.tanh(z) for z in z2_by_hand]
    z3_by_hand = [sum(W3[i][j] * a2_by_hand[j] for j in range(4)) + b3[i] for i in range(2)]
    a3_by_hand = [s(z) for z in z3_by_hand]
    assert [z.data for z in z2 + z3] == close(*z2_by_hand, *z3_by_hand)

    delta3 = [(a3_by_hand[i] - y[i]) * ds(z3_by_hand[i]) for i in range(2)]
    delta2 = [sum(W3[i][j] * delta3[i] for i in range(2)) * (1 - a2_by_hand[j] ** 2) for j in range(4)]
    assert [z.grad for z in z3] == close(*delta3)
    assert [z.grad for z in z2] == close(*delta2)
    for i in range(2):
        assert [w.grad for w in net.layers[1].neurons[i].w] == close(*(delta3[i] * a for a in a2_by_hand))
        assert net.layers[1].neurons[i].b.grad == close(delta3[i])
    for i in range(4):
        assert [w.grad for w in net.layers[0].neurons[i].w] == close(*(delta2[i] * xj for xj in x))
        assert net.layers[0].neurons[i].b.grad == close(delta2[i])


# Worked examples

def test_relu_exercise() -> None:
    net = MLP(2, [2, 1], bias=False)
    for neuron, weights in zip([*net.layers[0].neurons, *net.layers[1].neurons], [(1, 0), (-1, 1), (1, 2)]):
        for w, x in zip(neuron.w, weights):
            w.data = x
    x = [Value(1.0), Value(0.0)]
    h = net.layers[0](x)
    z = net.layers[1](h)
    cost = losses.half_squared_error(z, 2)
    cost.backward()
    assert [v.data for v in h] == [1.0, 0.0]
    assert (z.data, cost.data, z.grad) == (1.0, 0.5, -1.0)
    assert [w.grad for w in net.layers[1].neurons[0].w] == [-1.0, 0.0]
    assert [w.grad for w in net.layers[0].neurons[0].w] == [-1.0, 0.0]
    assert [w.grad for w in net.layers[0].neurons[1].w] == [0.0, 0.0]


def test_step_by_step_2_2_2() -> None:
    net = MLP(2, [2, 2], activation="sigmoid", output="sigmoid")
    hidden, output = net.layers
    for neuron, weights, bias in zip([*hidden.neurons, *output.neurons],
                                     [(0.15, 0.20), (0.25, 0.30), (0.40, 0.45), (0.50, 0.55)], [0.35, 0.35, 0.60, 0.60]):
        neuron.w[0].data, neuron.w[1].data = weights
        neuron.b.data = bias
    out_h = hidden([0.05, 0.10])
    out_o = output(out_h)
    net_h, net_o = [a.parents[0] for a in out_h], [a.parents[0] for a in out_o]
    cost = losses.half_squared_error(out_o, [0.01, 0.99])
    cost.backward()

    assert [v.data for v in net_h] == close(0.3775, 0.3925)
    assert [v.data for v in out_h] == close(0.5932699921071872, 0.596884378259767)
    assert [v.data for v in net_o] == close(1.10590596705977, 1.2249214040964653)
    assert [v.data for v in out_o] == close(0.7513650695523157, 0.7729284653214625)
    assert cost.data == close(0.2983711087600027)
    assert [v.grad for v in net_o] == close(0.13849856162855695, -0.038098236516556236)
    assert [w.grad for neuron in output.neurons for w in neuron.w] == close(
        0.08216704056423077, 0.08266762784753325, -0.02260254047747507, -0.022740242215978222)
    assert [v.grad for v in out_h] == close(0.03635030639314466, 0.0413703226487447)
    assert [v.grad for v in net_h] == close(0.00877135468948693, 0.009954254705217196)
    assert [w.grad for neuron in hidden.neurons for w in neuron.w] == close(
        0.0004385677344743465, 0.000877135468948693, 0.0004977127352608599, 0.0009954254705217198)

    SGD([w for layer in net.layers for neuron in layer.neurons for w in neuron.w], lr=0.5).step()  # biases are not updated
    assert [w.data for neuron in output.neurons for w in neuron.w] == close(
        0.35891647971788465, 0.4086661860762334, 0.5113012702387375, 0.5613701211079891)
    assert [w.data for neuron in hidden.neurons for w in neuron.w] == close(
        0.1497807161327628, 0.19956143226552567, 0.24975114363236958, 0.29950228726473915)


def test_circuit() -> None:
    x, y, z = Value(-2.0), Value(5.0), Value(-4.0)
    q = x + y
    f = q * z
    f.backward()
    assert (q.data, f.data) == (3.0, -12.0)
    assert (q.grad, x.grad, y.grad, z.grad) == (-4.0, -4.0, -4.0, 3.0)


def test_sigmoid_neuron() -> None:
    w, x = [Value(2.0), Value(-3.0), Value(-3.0)], [Value(-1.0), Value(-2.0)]
    dot = w[0] * x[0] + w[1] * x[1] + w[2]
    f = dot.sigmoid()
    f.backward()
    assert (dot.data, f.data, dot.grad) == (1.0, close(0.7310585786300049), close(0.19661193324148185))
    assert [v.grad for v in x] == close(0.3932238664829637, -0.5898357997244456)
    assert [v.grad for v in w] == close(-0.19661193324148185, -0.3932238664829637, 0.19661193324148185)


def test_the_readme_expression_of_micrograd() -> None:
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert (g.data, a.grad, b.grad) == (close(24.70408163265306), close(138.83381924198252), close(645.5772594752186))


@pytest.mark.parametrize("written", ["tanh", "exp"])
def test_the_lecture_neuron(written: str) -> None:
    x1, x2, w1, w2, b = Value(2.0), Value(0.0), Value(-3.0), Value(1.0), Value(6.8813735870195432)
    x1w1, x2w2 = x1 * w1, x2 * w2
    both = x1w1 + x2w2
    n = both + b
    if written == "tanh":
        o = n.tanh()
    else:
        e = (2 * n).exp()
        o = (e - 1) / (e + 1)
    o.backward()
    assert (n.data, o.data) == (close(0.8813735870195432), close(math.sqrt(0.5)))
    assert [v.grad for v in (n, b, both, x1w1, x2w2)] == close(0.5, 0.5, 0.5, 0.5, 0.5)
    assert [v.grad for v in (x1, w1, x2, w2)] == close(-1.5, 1.0, 0.5, 0.0)


def test_the_neuron_class_is_the_lecture_neuron() -> None:
    neuron = Neuron(2, activation="tanh", rng=random.Random(0))
    neuron.w[0].data, neuron.w[1].data, neuron.b.data = -3.0, 1.0, 6.8813735870195432
    neuron([2.0, 0.0]).backward()
    assert [neuron.w[0].grad, neuron.w[1].grad, neuron.b.grad] == close(1.0, 0.0, 0.5)


def test_a_diamond_needs_a_topological_order() -> None:
    a, b = Value(2.0), Value(3.0)
    c, d = a + b, a * b
    y = (c + d) + c * d
    y.backward()
    assert (y.data, a.grad, b.grad, c.grad, d.grad) == (41.0, 25.0, 19.0, 7.0, 6.0)


def test_repeated_backward() -> None:
    x = Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    y.backward()
    assert x.grad == 54.0
    x.grad = 0
    y.backward()
    assert x.grad == 27.0


def test_two_outputs_over_a_shared_subgraph() -> None:
    a = Value(1.0)
    b = 3 * a
    c, d = b + 1, 10 * b
    c.backward()
    d.backward()
    assert a.grad == 33.0


def test_perturbations_are_not_confused() -> None:
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(1.0))(4.0) == 8.0
