"""Diagnoses: what is planted is found and named, what is healthy is left in peace; and nudges."""

import base64
import json
import random
import warnings
from math import exp, inf, isnan, nan
from typing import Any
from xml.etree import ElementTree

import pytest

import micrograd
from micrograd import MLP, Value, losses, ops
from micrograd.look.diagnose import KINDS, Diagnosis, Finding, diagnose
from micrograd.look.evidence import ERROR, MANY, NOTE, WARNING, number
from micrograd.look.nudge import Nudge, nudge


def named(node: Value, label: str) -> Value:
    node.label = label
    return node


def quietly(compute: Any) -> Any:
    """The engine warns when an op makes inf or nan; here that is the purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return compute()


def kinds(found: Diagnosis) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in found.findings]


def only(found: Diagnosis) -> Finding:
    [finding] = found.findings
    return finding


def neuron(w: float, b: float, act: str, x: float = 2.0, y: float = 0.5) -> tuple[Value, dict[str, Value]]:
    """C = (y - a)², a = act(w · x + b), with all its nodes by name."""
    nodes = {"w": Value(w, "w"), "x": Value(x, "x"), "b": Value(b, "b")}
    nodes["p"] = nodes["w"] * nodes["x"]
    nodes["z"] = named(nodes["p"] + nodes["b"], "z")
    nodes["a"] = named(getattr(nodes["z"], act)(), "a")
    return named((y - nodes["a"]) ** 2, "C"), nodes


def cost(net: MLP, samples: int, seed: int = 0) -> Value:
    rng = random.Random(seed)
    outputs = len(net.layers[-1].neurons)
    terms = [losses.half_squared_error(net([rng.gauss(0, 1) for _ in range(net.nin)]), [rng.random()] * outputs)
             for _ in range(samples)]
    return named(Value.sum(terms) / samples, "C")


# nan and inf

def test_the_first_inf_is_named_with_its_op_and_its_arguments() -> None:
    p, q = Value(0.0, "p"), Value(2.0, "q")
    C = quietly(lambda: named(-(q * (p * 1.0).log()), "C"))
    finding = only(diagnose(C))
    assert (finding.kind, finding.severity) == ("inf", ERROR)
    assert finding.node.op is micrograd.log
    assert finding.numbers == {"value": -inf, "spoilt": 3, "argument 1": 0.0, "count": 1}
    assert finding.sentence == f"{finding.label} = ln(v₁) = ln(0) = −∞ is the first inf; 2 other numbers are inf or nan, C among them."
    assert "logits" in finding.advice


def test_softmax_without_care_overflows_to_inf_and_then_to_nan() -> None:
    u, v = Value(1000.0, "u"), Value(1.0, "v")

    def share() -> Value:
        e = u.exp()
        return named(e / (e + v.exp()), "C")

    C = quietly(share)
    first, second = diagnose(C).findings
    assert (first.kind, first.node.parents, second.kind, second.node) == ("inf", (u,), "nan", C)
    assert second.advice == "it comes from an inf: mend that"
    assert "logsumexp" in first.advice
    assert diagnose(losses.logsumexp([u, v])).ok


@pytest.mark.parametrize(("x", "kind"), [(nan, "nan"), (inf, "inf")])
def test_a_number_that_was_spoilt_from_the_start(x: float, kind: str) -> None:
    C = Value(1.0, "w") * Value(x, "x") + 1
    finding = only(diagnose(C))
    assert (finding.kind, finding.label) == (kind, "x")
    assert finding.sentence.startswith(f"x is {'nan' if isnan(x) else '∞'} from the start: no op made it")


def test_a_nan_out_of_finite_numbers() -> None:
    x = Value(-1.0, "x")
    finding = only(diagnose(quietly(lambda: named(x.sqrt(), "C"))))
    assert (finding.kind, finding.sentence) == ("nan", "C = sqrt(x) = sqrt(−1) = nan is the first nan.")


def test_several_beginnings_are_one_finding() -> None:
    ps = [Value(0.0, f"p_{i}") for i in range(12)]
    finding = only(diagnose(quietly(lambda: Value.sum([-p.log() for p in ps]))))
    assert (finding.numbers["count"], len(finding.nodes)) == (12, 12)
    assert "and 6 more arose in this way" in finding.sentence


def test_an_infinite_slope_at_a_finite_number() -> None:
    x = Value(0.0, "x")
    finding = only(diagnose(named(x.sqrt() * 3, "C")))
    assert (finding.kind, finding.severity, finding.numbers["slope"]) == ("steep", ERROR, inf)
    assert finding.sentence == "The slope of v₁ = sqrt(x) = sqrt(0) = 0 is ∞ there, so that ∂C/∂x is ∞."


@pytest.mark.parametrize(("name", "at"), [("sqrt", 0.0), ("cbrt", 0.0), ("asin", 1.0), ("asin", -1.0), ("acos", 1.0),
                                          ("acos", -1.0), ("acosh", 1.0)])
def test_what_is_advised_against_an_infinite_slope_gives_a_finite_one(name: str, at: float) -> None:
    advice = only(diagnose(ops.named(name)(Value(at, "x")))).advice
    x = Value(at + (-0.001 if "subtract a small positive number from it" in advice else 0.001), "x")
    assert "a small positive number" in advice and diagnose(ops.named(name)(x)).ok


def test_an_infinite_slope_that_meets_a_zero() -> None:
    x = Value(0.0, "x")
    finding = diagnose(named(0.0 * x.sqrt(), "C")).of("steep")[0]
    assert isnan(finding.numbers["gradient"])
    a, b = Value(0.0, "a"), Value(0.0, "b")
    finding = only(diagnose(named((a * a + b * b).sqrt(), "d")))
    assert "and the gradient of a, b inf or nan" in finding.sentence


def test_gradients_beyond_the_largest_float() -> None:
    x = Value(1e-300, "x")
    C = named(x * 1e200 * 1e200, "C")
    finding = only(diagnose(C))
    assert (C.data, finding.kind, finding.node) == (1e100, "overflow", x)


# Gradients that are 0

def test_a_dead_relu() -> None:
    C, nodes = neuron(1.0, -9.0, "relu")
    finding = only(diagnose(C))
    assert (finding.kind, finding.severity, finding.node) == ("dead", WARNING, nodes["a"])
    assert finding.sentence == "a = ReLU(z) = ReLU(−7) = 0 is dead: its slope there is 0."
    assert finding.numbers == {"argument": -7.0, "slope": 0.0, "total": 1, "samples": 1, "count": 1}


@pytest.mark.parametrize(("act", "x"), [("sigmoid", 9.0), ("tanh", -5.0), ("erf", 4.0), ("atan", 900.0),
                                        ("softplus", -9.0), ("gelu", -9.0), ("silu", -12.0), ("elu", -9.0)])
def test_saturated(act: str, x: float) -> None:
    C, nodes = neuron(x, 0.0, act, x=1.0, y=30.0)
    assert (only(diagnose(C)).kind, only(diagnose(C)).node) == ("saturated", nodes["a"])


@pytest.mark.parametrize(("act", "x"), [
    ("sigmoid", 5.0), ("tanh", 2.0), ("relu", 3.0), ("softplus", 40.0), ("elu", 50.0), ("gelu", 30.0), ("exp", -30.0),
    ("log", 5000.0), ("identity", 0.0), ("sin", 1.5708), ("cos", 0.001), ("sqrt", 1e8), ("abs", -4.0),
    ("gelu", -0.7518), ("silu", -1.2785), ("cosh", 0.0), ("leaky_relu", -80.0), ("asinh", 5000.0), ("cbrt", 1e6)])
def test_small_slopes_that_are_no_saturation(act: str, x: float) -> None:
    C, _ = neuron(x, 0.0, act, x=1.0, y=30.0)
    assert [finding for finding in diagnose(C).findings if finding.kind in ("dead", "saturated")] == []


def test_an_output_that_is_sure_and_right_is_no_warning() -> None:
    def sure(y: float) -> Diagnosis:
        z = named(Value(1.0, "w") * 10.0, "z")
        return diagnose(named(losses.half_squared_error(named(z.sigmoid(), "a"), y), "C"))
    assert kinds(sure(0.0)) == [(WARNING, "saturated")]
    assert kinds(sure(1.0)) == [(NOTE, "saturated")]


def test_a_hidden_layer_that_is_saturated_by_half_is_a_warning() -> None:
    net = MLP(2, [4, 1], activation="tanh", init="auto", rng=1)
    for each in net.layers[0].neurons[:2]:
        each.b.data = 20.0
    finding = only(diagnose(cost(net, 3)))
    assert (finding.kind, finding.severity, finding.numbers["count"]) == ("saturated", WARNING, 6)
    net.layers[0].neurons[0].b.data = 0.0
    assert kinds(diagnose(cost(net, 3))) == [(NOTE, "saturated")]


@pytest.mark.parametrize("activation", ["step", "sign", "floor", "ceil", "trunc", "round"])
def test_an_op_that_is_flat_everywhere(activation: str) -> None:
    C, _ = neuron(1.2, 0.5, activation)
    assert "slope is 0 everywhere" in only(diagnose(C)).sentence


def test_a_users_own_activation_is_asked_by_its_row() -> None:
    hard = micrograd.op("hard_diagnosed", lambda x: min(max(x, -1.0), 1.0),
                        lambda y, x: micrograd.step(x + 1) * micrograd.step(1 - x), kink=lambda x: (x + 1) * (1 - x))
    try:
        w = Value(3.0, "w")
        assert only(diagnose(hard(w * 2.0))).kind == "dead"
        assert diagnose(hard(w * 0.2)).findings == ()
    finally:
        micrograd.ops.OPS.pop("hard_diagnosed")


def test_neurons_that_are_dead_for_all_samples_are_told_from_those_that_are_dead_for_some() -> None:
    net = MLP(2, [8, 1], rng=3)
    net.layers[0].neurons[4].b.data = -100.0
    dead = {node.label for finding in diagnose(cost(net, MANY)).of("dead") if finding.severity == WARNING
            for node in finding.nodes}
    assert "a^{2}_{5}" in dead
    few = diagnose(cost(net, 2))
    assert few.ok
    assert few.of("dead")[0].numbers["samples"] == 2


def test_a_dead_layer_is_one_finding() -> None:
    net = MLP(2, [16, 1], rng=1)
    for each in net.layers[0].neurons:
        each.b.data = -30.0
    finding = diagnose(cost(net, 3)).findings[0]
    assert (finding.kind, finding.severity, finding.numbers["count"], finding.numbers["total"]) == ("dead", WARNING, 48, 48)
    assert "So are all 48 ReLU nodes in layer 2 (16 neurons in 3 samples)." in finding.sentence


def test_multiplied_by_zero() -> None:
    w, v = Value(3.0, "w"), Value(2.0, "v")
    finding = only(diagnose(named(w * 0.0 + v, "C")))
    assert (finding.kind, finding.severity, finding.node) == ("zero factor", NOTE, w)
    assert finding.sentence == "w gets no gradient: w is multiplied by 0 in v₁ = w · 0 = 3 · 0 = 0."


def test_contributions_that_cancel() -> None:
    w, v = Value(3.0, "w"), Value(1.0, "v")
    z = named(w * 2.0, "z")
    finding = only(diagnose(named(z - z + v, "C")))
    assert (finding.kind, finding.node) == ("cancelled", w)
    assert "the contributions to z along its uses add up to exactly 0" in finding.sentence


def test_at_the_lowest_cost_all_is_well() -> None:
    C, _ = neuron(0.25, 0.0, "identity")
    found = diagnose(C)
    assert (C.data, found.ok, kinds(found)) == (0.0, True, [(NOTE, "flat")])


def test_the_loser_of_a_maximum() -> None:
    a, b = Value(1.0, "a"), Value(2.0, "b")
    finding = only(diagnose(named(a.maximum(b), "C")))
    assert finding.node is a
    assert "its slope with a is 0" in finding.sentence


def test_the_bottom_of_an_absolute_value_is_no_dead_piece() -> None:
    found = diagnose(named(abs(Value(0.0, "z")), "y"))
    assert kinds(found) == [(NOTE, "flat"), (NOTE, "kink")]
    assert found.findings[0].sentence == "z gets no gradient: y = |z| = |0| = 0 is flat."


def test_a_product_below_the_smallest_float() -> None:
    x = Value(1.0, "x")
    finding = only(diagnose(named(x * 1e-200 * 1e-200, "C")))
    assert (finding.kind, finding.severity, finding.node) == ("vanishing", WARNING, x)
    assert "below the smallest float" in finding.sentence


# Parameters, layers

def test_parameters_that_the_result_does_not_depend_on() -> None:
    net = MLP(2, [2, 1], activation="tanh", rng=1)
    C = cost(net, 1)
    assert diagnose(C, net).of("no path") == []
    spare = Value(1.0, "s_{1}")
    finding = only(diagnose(C, [*net.parameters(), spare, Value(2.0)]))
    assert (finding.kind, finding.severity, finding.names) == ("no path", WARNING, ("s₁", "parameter 11"))
    assert finding.sentence == "C does not depend on s₁, parameter 11: there is no path in the graph."
    assert only(diagnose(C, spare)).node is spare
    [none] = diagnose(C, MLP(2, [2])).findings
    assert "C depends on none of the 6 parameters" in none.sentence


def test_vanishing_from_layer_to_layer() -> None:
    net = MLP(2, [3] * 6 + [1], activation="sigmoid", rng=1)
    C = cost(net, 2)
    C.backward()
    finding = only(diagnose(C))
    delta = {k: sum(abs(micrograd.gradient(C, z).data) for z in micrograd.topological_order(C)
                    if z.label.startswith(f"z^{{{k}}}")) for k in (2, 8)}
    ratio = (delta[2] / 6) / (delta[8] / 2)  # two samples: six error terms in layer 2, two in layer 8
    assert (finding.kind, finding.severity) == ("vanishing", WARNING)
    assert finding.numbers["factor"] == pytest.approx(ratio ** (1 / 6), rel=1e-12)
    assert "in layer 8" in finding.sentence
    steps = [sum(abs(each.b.grad) for each in layer.neurons) / len(layer.neurons) for layer in net.layers]
    assert finding.sentence.endswith(f"whose biases take steps {number(steps[-1] / steps[0])} times as small.")


def test_exploding_from_layer_to_layer() -> None:
    net = MLP(2, [8] * 5 + [1], activation="linear", init=lambda nin, nout, rng: rng.uniform(-9, 9), rng=1)
    finding = only(diagnose(cost(net, 2)))
    assert (finding.kind, finding.severity) == ("exploding", WARNING)
    assert finding.numbers["factor"] > 5
    assert "whose biases take steps" in finding.sentence
    assert finding.sentence.endswith("times as large.")


@pytest.mark.parametrize(("x", "text"), [
    (3352000000.0, "3.352·10⁹"), (-3352100000.25, "−3.352·10⁹"), (1e6, "10⁶"), (-1e6, "−10⁶"), (999999.9, "10⁶"),
    (1234567.0, "1234567"), (1234567.5, "1.235·10⁶"), (2e9, "2·10⁹"), (79260.3, "79260"), (0.0, "0"),
    (1e16, "10¹⁶"), (2.5e20, "2.5·10²⁰"), (1.3e-5, "1.3·10⁻⁵"), (-inf, "−∞"), (nan, "nan")])
def test_large_numbers_have_a_power_of_ten(x: float, text: str) -> None:
    assert number(x) == text


@pytest.mark.parametrize("act", ["tanh", "relu", "sigmoid", "gelu", "leaky_relu", "softplus"])
@pytest.mark.parametrize("init", ["auto", "uniform"])
def test_healthy_networks_are_left_in_peace(act: str, init: str) -> None:
    for shape in ([1], [4, 1], [8, 8, 1], [6, 6, 2]):
        for seed in range(3):
            net = MLP(3, shape, activation=act, init=init, rng=seed)
            C = cost(net, 1 + 4 * seed, seed)
            C.backward()
            found = diagnose(C, net)
            assert found.ok, found
            assert {kind for _, kind in kinds(found)} <= ({"dead", "kink"} if act == "relu" else set())


# Kinks, numbers that were changed, gradients that were added up

def test_kinks() -> None:
    x, y = Value(1.0, "x"), Value(1.0, "y")
    finding = only(diagnose(named(3 * x.maximum(y), "C")))
    assert (finding.kind, finding.severity, finding.numbers["slope"]) == ("kink", NOTE, 0.5)
    assert finding.sentence == ("v₁ = max(x, y) = max(1, 1) = 1 is exactly at its kink, where the slope jumps: the engine "
                                "takes 0.5 and 0.5 (equal arguments share the slope, one half each).")
    zero = Value(0.0, "z")
    assert [f.node.parents for f in diagnose(zero.relu() + x).of("kink")] == [(zero,)]
    assert diagnose(0.0 * abs(zero) + x).of("kink") == []


@pytest.mark.parametrize(("name", "before", "now"), [("w", 0.5, 0.3), ("b", -0.5, 2.0), ("x", 2.0, 2.5)])
def test_a_leaf_that_changed(name: str, before: float, now: float) -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    nodes[name].data = now
    finding = only(diagnose(C))
    assert (finding.kind, finding.severity, finding.nodes) == ("stale", ERROR, (nodes[name],))
    assert finding.numbers["before"] == pytest.approx(before, rel=1e-12)
    assert f"{name} was {before:g}".replace("-", "−") in finding.sentence
    assert f"is {now:g} now" in finding.sentence
    nodes[name].data = before
    assert diagnose(C).findings == ()


@pytest.mark.parametrize("act", ["tanh", "exp", "sigmoid", "sin", "sqrt"])
def test_the_old_number_is_found_through_any_row(act: str) -> None:
    x = Value(0.8, "x")
    y = getattr(x, act)()
    x.data = 0.9
    assert only(diagnose(y)).numbers["before"] == pytest.approx(0.8, rel=1e-9)


def test_an_old_number_that_cannot_be_known_is_not_made_up() -> None:
    x = Value(-3.0, "x")
    y = x.relu() + 1.0
    x.data = 2.0
    finding = diagnose(y).of("stale")[0]
    assert isnan(finding.numbers["before"])
    assert finding.sentence == "x had another value when v₁ = ReLU(x) was computed, and is 2 now."


def test_a_training_step_without_a_new_forward_pass() -> None:
    net = MLP(2, [3, 1], activation="tanh", rng=1)
    C = cost(net, 2)
    C.backward()
    old = {p: p.data for p in net.parameters()}
    for p in net.parameters():
        p.data -= 0.1 * p.grad
    finding = only(diagnose(C, net))
    assert finding.kind == "stale"
    assert set(finding.nodes) == set(net.parameters())
    assert finding.numbers["before"] == pytest.approx(old[finding.node], rel=1e-12)


def test_a_computed_number_that_was_overwritten() -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    nodes["z"].data = 4.0
    finding = only(diagnose(C))
    assert (finding.kind, finding.nodes) == ("stale", (nodes["z"],))
    assert finding.sentence == "z holds 4, but v₁ + b is 0.5: its .data was overwritten."


def test_a_number_that_no_argument_explains() -> None:
    y = named(Value(0.8, "x").sin(), "y")
    y.data = 1.5
    assert only(diagnose(y)).sentence == "y holds 1.5, but sin(x) is 0.7174: its .data was overwritten."


def test_a_leaf_and_what_was_computed_from_it() -> None:
    x = Value(0.5, "x")
    a = named(x.exp(), "a")
    b = named(a.sin(), "b")
    x.data = a.data = 0.3
    finding = only(diagnose(b))
    assert finding.nodes == (x, a)
    assert finding.sentence == "x had another value when a was computed, and is 0.3 now (a has changed too)."


def test_two_leaves_of_one_node() -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    nodes["w"].data, nodes["x"].data = 1.0, 3.0
    assert "w or x has changed since, or both" in only(diagnose(C)).sentence


def test_what_did_not_change_is_not_accused() -> None:
    w, v = Value(2.0, "w"), Value(3.0, "v")
    C = named(w * v + w.exp() + v * v, "C")
    v.data = 4.0
    assert only(diagnose(C)).nodes == (v,)


def random_graph(rng: random.Random) -> tuple[list[Value], Value]:
    """Four leaves, and a result of some of them through 4 to 14 ops."""
    leaves = [Value(rng.uniform(-2, 2), f"x_{i}") for i in range(4)]
    pool = leaves[:]
    for _ in range(rng.randint(4, 14)):
        a, b = rng.choice(pool[-6:]), rng.choice(pool)
        pool.append(rng.choice([lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a.tanh(),
                                lambda a, b: a.sigmoid(), lambda a, b: a.sin(), lambda a, b: a.relu(),
                                lambda a, b: a * 2 + b])(a, b))
    return leaves, pool[-1]


def test_nobody_is_accused_wrongly_in_random_graphs() -> None:
    proven = 0
    for seed in range(400):
        rng = random.Random(seed)
        leaves, C = random_graph(rng)
        assert diagnose(C).of("stale") == []
        leaf = rng.choice(leaves)
        old = leaf.data
        leaf.data += rng.choice([-1, 1]) * rng.uniform(0.1, 1)
        for finding in diagnose(C).of("stale"):
            if " or both" not in finding.sentence:
                assert finding.nodes == (leaf,)
                if not isnan(finding.numbers["before"]):
                    assert finding.numbers["before"] == pytest.approx(old, rel=1e-6)  # Newton stops at 1e-12 in y
                    proven += 1
    assert proven > 150  # of the rest, most have no effect: the leaf is not in the graph


def test_backward_twice() -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    C.backward()
    assert diagnose(C).findings == ()
    C.backward()
    C.backward()
    finding = only(diagnose(C))
    assert (finding.kind, finding.severity, finding.numbers["factor"]) == ("accumulated", NOTE, 3)
    nodes["b"].grad = 1.0
    assert diagnose(C).findings == ()


def test_a_seed_is_not_taken_for_two_passes() -> None:
    C, _ = neuron(0.5, -0.5, "tanh")
    C.backward(2.0)
    assert diagnose(C).findings == ()


# A network without a graph

def test_a_network_alone() -> None:
    net = MLP(2, [3, 1], rng=1)
    found = diagnose(net)
    assert (found.ok, kinds(found)) == (True, [(NOTE, "no gradient")])
    assert "and no graph" in str(found)
    net.layers[0].neurons[0].b.data = -50.0
    cost(net, 4).backward()
    assert "neuron 1 of layer 2" in diagnose(net).of("no gradient")[0].sentence
    w = net.layers[0].neurons[1].w[0]
    w.data = 5e4
    assert diagnose(net).of("exploding")[0].nodes == (w,)
    w.data, w.grad = nan, inf
    assert kinds(diagnose(net))[:2] == [(ERROR, "nan"), (ERROR, "overflow")]


def test_a_network_alone_whose_gradients_vanish() -> None:
    net = MLP(2, [3] * 6 + [1], activation="sigmoid", rng=1)
    C = cost(net, 1)
    C.backward()
    ours, theirs = only(diagnose(net)), only(diagnose(C))
    assert ours.kind == theirs.kind == "vanishing"
    assert ours.numbers["factor"] == pytest.approx(theirs.numbers["factor"], rel=1e-12)


# The report

def test_looking_changes_nothing() -> None:
    C, nodes = neuron(0.5, -9.0, "relu")
    C.backward()
    before = [(node.data, node.grad, node.label) for node in micrograd.topological_order(C)]
    nodes["w"].data = 0.7
    str(diagnose(C)), diagnose(C)._repr_html_(), nudge(neuron(0.5, 0.0, "tanh")[0], "w")
    nodes["w"].data = 0.5
    assert [(node.data, node.grad, node.label) for node in micrograd.topological_order(C)] == before


def test_the_worst_first_and_the_same_each_time() -> None:
    net = MLP(2, [4, 4, 1], rng=2)
    net.layers[0].neurons[0].b.data = -30.0
    C = cost(net, 3)
    net.layers[1].neurons[0].b.data = 7.0
    found = diagnose(C, [*net.parameters(), Value(1.0, "s")])
    order = [ERROR, WARNING, NOTE]
    places = [(order.index(severity), list(KINDS).index(kind)) for severity, kind in kinds(found)]
    assert places == sorted(places)
    assert len({severity for severity, _ in kinds(found)}) == 3
    assert str(found) == str(diagnose(C, [*net.parameters(), Value(1.0, "s")]))


def test_the_views() -> None:
    C, _ = neuron(1.0, -9.0, "relu")
    C.label = "<b>&"
    found = diagnose(C)
    assert bool(found) is found.ok is False
    assert str(found).splitlines()[0] == "<b>&, 10 nodes: 1 warning"
    assert all(len(line) <= 100 for line in str(found).splitlines())
    page = ElementTree.fromstring(found._repr_html_())
    text = "".join(page.itertext())
    assert found.summary in text
    assert only(found).sentence in text
    data = json.loads(json.dumps(found.to_dict()))
    assert (data["ok"], data["findings"][0]["kind"], data["findings"][0]["names"]) == (False, "dead", ["a"])
    assert str(only(found)).startswith("warning, dead: a = ReLU(z)")


def test_nothing_found() -> None:
    C, _ = neuron(0.5, 0.1, "tanh")
    found = diagnose(C)
    assert found
    assert str(found) == "C, 10 nodes: nothing found"
    ElementTree.fromstring(found._repr_html_())
    with pytest.raises(ValueError, match="no kind of finding is called 'NaN'; there are stale, inf"):
        found.of("NaN")


def test_several_results_and_what_is_no_result() -> None:
    net = MLP(2, [3, 2], activation="tanh", rng=1)
    assert diagnose(net([1.0, 2.0]), net).summary.startswith("the sum of 2 results")
    for root in (1.5, [], [Value(1.0), 2.0], None):
        with pytest.raises(TypeError, match="needs a Value, several in a list, or a network; found"):
            diagnose(root)
    with pytest.raises(TypeError, match="a network or Values, found float"):
        diagnose(Value(1.0) * 2, [1.0])


def test_deep_and_large_graphs() -> None:
    x = Value(1.0, "x")
    y = x
    for _ in range(100_000):
        y = y + 0.0
    assert diagnose(y).ok
    x.data = 2.0
    assert diagnose(y).of("stale")[0].node is x


# Nudges

def test_a_nudge_predicts_by_the_tangent() -> None:
    x = Value(2.0, "x")
    found = nudge(named(x ** 3 - 2 * x, "f"), x, 0.1)
    assert (found.name, found.result, found.x, found.h) == ("x", "f", 2.0, 0.1)
    assert (found.before, found.gradient, found.predicted) == (4.0, 10.0, 1.0)
    assert found.actual == pytest.approx(1.061, rel=1e-12)
    assert found.error == pytest.approx(0.061, rel=1e-9)  # 3 x h² + h³
    assert found.relative_error == pytest.approx(0.061 / 1.061, rel=1e-9)


def test_the_error_shrinks_with_the_square_of_h() -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    errors = [nudge(C, nodes["w"], h).error for h in (1e-3, 1e-4)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)  # the next term is of the size of h itself


def test_a_computed_node_moves_on_its_own() -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    found = nudge(C, nodes["a"], 0.25)
    assert found.actual == pytest.approx((0.5 - nodes["a"].data - 0.25) ** 2 - C.data, rel=1e-12)
    assert nudge(C, C, 1.0).actual == 1.0


def test_the_default_h_and_a_label() -> None:
    C, _ = neuron(0.5, 0.0, "tanh")
    assert nudge(C, "w").h == 0.05
    assert nudge(C, "b").h == 0.1
    assert nudge(C, "w", -0.1).actual == pytest.approx(nudge(C, "w", -0.1).predicted, rel=0.2)


def test_the_curve_is_the_function() -> None:
    x = Value(1.0, "x")
    found = nudge(named(x.exp(), "y"), x, -0.5)
    assert [t for t, _ in (found.curve[0], found.curve[30], found.curve[45], found.curve[60])] == [2.0, 1.0, 0.5, 0.0]
    assert all(y == pytest.approx(exp(t), rel=1e-15) for t, y in found.curve)


def test_x_is_met_where_it_is_used_twice() -> None:
    x = Value(3.0, "x")
    assert nudge(x * x, x, 1.0).after == 16.0


def test_what_cannot_be_nudged() -> None:
    C, nodes = neuron(0.5, -0.5, "tanh")
    with pytest.raises(ValueError, match=r"'q' is not in the graph of C: no node is called that. Labelled there: w, x, b, z, a"):
        nudge(C, "q", 0.1)
    with pytest.raises(ValueError, match="is not in the graph of C"):
        nudge(C, Value(1.0, "w"), 0.1)
    with pytest.raises(TypeError, match=r"nudge\(root, x\) needs a Value of the graph, or the label of one, found float"):
        nudge(C, 0.5, 0.1)  # type: ignore[arg-type]
    for h in (0.0, nan, inf, 1e-30):
        with pytest.raises(ValueError, match=r"h must be a finite number that moves w = 0.5, found"):
            nudge(C, "w", h)
    with pytest.raises(ValueError, match=r"0.5 is a constant"):
        nudge(C, C.parents[0].parents[0], 0.1)
    nodes["w"].data = 2.0
    with pytest.raises(ValueError, match="run the forward pass again"):
        nudge(C, "w", 0.1)
    p = Value(0.0, "p")
    with pytest.raises(ValueError, match="C is −∞ at p = 0: diagnose it first"):
        nudge(quietly(lambda: named(p.log(), "C")), p, 0.1)


@pytest.mark.parametrize("case", ["smooth", "edge", "pole", "steep", "constant", "wild"])
def test_the_picture(case: str, tmp_path: Any) -> None:
    x = Value({"steep": 0.0, "wild": 300.0}.get(case, 1.0), "x<1>")
    y = {"smooth": lambda: x * x, "edge": lambda: x.sqrt(), "pole": lambda: 1 / x, "steep": lambda: x.sqrt(),
         "constant": lambda: x * 0.0 + 2, "wild": lambda: x.exp()}[case]()
    y.label = "a result & its long name"
    found: Nudge = nudge(y, x, {"wild": 200.0, "pole": -1.0}.get(case, 0.75))
    picture = ElementTree.fromstring(found.svg)
    name = "{http://www.w3.org/2000/svg}"
    words = [element.text for element in picture.iter(f"{name}text")]
    assert "x<1>" in words
    assert "a result …" in words
    assert "nan" not in found.svg.replace("∞", "")
    assert len(list(picture.iter(f"{name}polyline"))) == {"pole": 2}.get(case, 1)
    for polyline in picture.iter(f"{name}polyline"):
        numbers = [float(number) for pair in polyline.get("points", "").split() for number in pair.split(",")]
        assert all(-400 < number < 1000 for number in numbers)
    found.save(tmp_path / "nudge.svg")
    assert (tmp_path / "nudge.svg").read_text(encoding="utf-8") == found.svg
    with pytest.raises(ValueError, match=r"Nudge.save\(path\) writes .svg, .txt, .csv, .html, .json, by the ending of the name; found"):
        found.save(tmp_path / "nudge.png")
    json.dumps(found.to_dict())


def test_the_text_of_a_nudge() -> None:
    x = Value(2.0, "x")
    assert str(nudge(named(x * x, "y"), x, -0.5)) == (
        "x moves           from 2 to 1.5, h = −0.5\n"
        "y changes         from 4 to 2.25\n"
        "predicted change  ∂y/∂x · h = 4 · (−0.5) = −2\n"
        "actual change     −1.75\n"
        "error             0.25 (14.29 % of the actual change)")


def test_a_nudge_in_a_notebook() -> None:
    x = Value(2.0, "<x>")
    found = nudge(named(x * x, '"y"'), x, -0.5)
    page = found._repr_html_()
    picture = page.partition('src="data:image/svg+xml;base64,')[2].partition('"')[0]
    assert base64.b64decode(picture).decode() == found.svg
    assert "<x>" not in page
    assert 'alt="&quot;y&quot; as a function of &lt;x&gt;"' in page
