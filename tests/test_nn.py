"""Neurons, layers, networks: the contract of micrograd, names, shapes, initial weights, saving."""

import io
import json
import math
import random
import tracemalloc
from pathlib import Path

import pytest

import micrograd
from micrograd import MLP, Layer, Module, Neuron, Standardizer, Value, losses, ops, topological_order


def test_repr_is_that_of_micrograd() -> None:
    assert repr(Neuron(3)) == "ReLUNeuron(3)"
    assert repr(Neuron(3, nonlin=False)) == "LinearNeuron(3)"
    assert repr(MLP(2, [1, 1])) == "MLP of [Layer of [ReLUNeuron(2)], Layer of [LinearNeuron(1)]]"
    assert repr(Neuron(1, activation="tanh")) == "TanhNeuron(1)"


def test_weights_are_drawn_in_the_order_of_micrograd() -> None:
    random.seed(1337)
    net = MLP(2, [3, 1])
    rng = random.Random(1337)
    drawn = [rng.uniform(-1, 1) for _ in range(3 * 2 + 1 * 3)]
    weights = [w.data for layer in net.layers for neuron in layer.neurons for w in neuron.w]
    assert weights == drawn
    assert [neuron.b.data for layer in net.layers for neuron in layer.neurons] == [0.0] * 4


def test_one_output_stands_alone_and_several_are_a_list() -> None:
    assert isinstance(MLP(2, [3, 1])([1.0, 2.0]), Value)
    assert len(MLP(2, [3, 2])([1.0, 2.0])) == 2
    assert isinstance(Layer(2, 1)([1.0, 2.0]), Value)


def test_a_hidden_layer_of_width_one_works() -> None:
    out = MLP(2, [3, 1, 4, 1])([1.0, -1.0])
    out.backward()
    assert isinstance(out, Value)


@pytest.mark.parametrize("make", [lambda: MLP(3, [2, 1]), lambda: Layer(3, 2), lambda: Neuron(3)])
@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0], []])
def test_a_wrong_number_of_inputs_names_both_sizes(make: object, x: list[float]) -> None:
    with pytest.raises(ValueError, match=rf"takes 3 inputs, found {len(x)}"):
        make()(x)


@pytest.mark.parametrize("x, error", [(["a", 1.0], "found str 'a'"), ([None, 1.0], "found NoneType"),
                                      (object(), r"the input of MLP\(2, \[1\]\) needs numbers in a list")])
def test_inputs_that_are_no_numbers_are_refused(x: object, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        MLP(2, [1])(x)


@pytest.mark.parametrize("make, error", [
    (lambda: MLP(0, [1]), "1 or more"), (lambda: MLP(2, []), "at least one layer"), (lambda: MLP(2, [2, 0]), "1 or more"),
    (lambda: MLP(2, [2, 1], activation="rlu"), "no activation is called 'rlu'"),
    (lambda: MLP(2, [2, 1], activation="add"), "takes 2 arguments"),
    (lambda: MLP(2, [2, 2, 1], activation=["tanh"]), "1 entries for 3 layers"),
    (lambda: MLP(2, [2, 1], activation=["tanh", "tanh"], output="sigmoid"), "gives tanh for the last layer, and output sigmoid"),
    (lambda: MLP(2, [2, 1], init="best"), "init must be one of"),
])
def test_networks_that_cannot_be(make: object, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        make()


@pytest.mark.parametrize("wrong", ["foo", "", "Tanh", 0, 5, False, True, 1.5, b"tanh", Value(1.0), {}, "add", "atan2", "pow",
                                   "where", "leaf", micrograd.pow, micrograd.where], ids=repr)
@pytest.mark.parametrize("make", [
    lambda wrong: Neuron(2, activation=wrong), lambda wrong: Neuron(2, nonlin=False, activation=wrong),
    lambda wrong: Layer(2, 2, activation=wrong), lambda wrong: MLP(2, [1], activation=wrong),
    lambda wrong: MLP(2, [2, 1], activation=wrong), lambda wrong: MLP(2, [1], output=wrong),
    lambda wrong: MLP(2, [2, 1], activation=["tanh", wrong]), lambda wrong: MLP(2, [2, 1], activation=[wrong, "tanh"]),
    lambda wrong: MLP(2, [2, 1], activation=["tanh", "linear"], output=wrong),
])
def test_what_is_no_activation_is_refused_when_a_network_is_made(make: object, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"no activation is called .*; there are linear, .*tanh|cannot be an activation: it takes"):
        make(wrong)


@pytest.mark.parametrize("activation", [lambda z: 1.0, lambda z: None, lambda z: z.data, lambda z: [z]])
def test_an_activation_gives_a_value(activation: object) -> None:
    with pytest.raises(TypeError, match=r"from a Value to a Value, found that <lambda> gives (float|NoneType|list) .*"):
        MLP(2, [1], output=activation)([1.0, 2.0])


@pytest.mark.parametrize("size", [2.0, "2", None, True])
def test_sizes_are_whole_numbers(size: object) -> None:
    with pytest.raises(TypeError, match="whole number"):
        MLP(size, [1])


def test_any_op_of_one_argument_is_an_activation() -> None:
    for name, row in ops.OPS.items():
        if row.arity - len(row.defaults) == 1:
            neuron = Neuron(1, activation=name)
            neuron.w[0].data = 1.0
            x = row.domain[0][0] * 0.6 + row.domain[0][1] * 0.4
            assert neuron([x]).data == pytest.approx(row(x)), name


def test_activations_for_each_layer_by_name_and_by_function() -> None:
    net = MLP(2, [3, 3, 1], activation=["tanh", lambda z: z * z], output="sigmoid")
    hidden = net.layers[0]([0.1, 0.2])
    squares = net.layers[1](hidden)
    assert [a.op.name for a in hidden] == ["tanh"] * 3
    assert [a.op.name for a in squares] == ["mul"] * 3
    assert net.layers[2](squares).op.name == "sigmoid"
    whole = MLP(2, [3, 1], activation=["tanh", "sigmoid"])
    assert whole([0.1, 0.2]).op.name == "sigmoid"


def test_an_op_of_ones_own_is_an_activation_by_name() -> None:
    micrograd.op("cubed", lambda x: x ** 3, lambda y, x: 3 * x * x)
    try:
        neuron = Neuron(1, activation="cubed", bias=False)
        neuron.w[0].data = 2.0
        y = neuron([3.0])
        y.backward()
        assert (y.data, neuron.w[0].grad) == (216.0, 3 * 36.0 * 3.0)
    finally:
        del ops.OPS["cubed"]


def test_labels_of_parameters_and_of_a_forward_pass() -> None:
    net = MLP(2, [2, 1], activation="tanh", output="sigmoid")
    assert [p.label for p in net.parameters()] == [
        "w^{2}_{1,1}", "w^{2}_{1,2}", "b^{2}_{1}", "w^{2}_{2,1}", "w^{2}_{2,2}", "b^{2}_{2}",
        "w^{3}_{1,1}", "w^{3}_{1,2}", "b^{3}_{1}"]
    labels = {node.label for node in topological_order(net([1.0, 2.0])) if node.label}
    assert {"a^{1}_{1}", "a^{1}_{2}", "z^{2}_{1}", "z^{2}_{2}", "a^{2}_{1}", "a^{2}_{2}", "z^{3}_{1}", "a^{3}_{1}"} <= labels


def test_labels_of_a_neuron_and_of_a_layer_that_stand_alone() -> None:
    assert [p.label for p in Neuron(2).parameters()] == ["w_{1}", "w_{2}", "b"]
    assert [p.label for p in Neuron(1).parameters()] == ["w", "b"]
    assert [p.label for p in Layer(1, 2).parameters()] == ["w_{1,1}", "b_{1}", "w_{2,1}", "b_{2}"]


def test_a_users_own_input_keeps_its_label_and_gets_a_gradient() -> None:
    x = [Value(1.0, "mine"), Value(2.0)]
    net = MLP(2, [2, 1], activation="tanh")
    net(x).backward()
    assert [v.label for v in x] == ["mine", ""]
    assert all(v.grad != 0.0 for v in x)


def test_number_inputs_are_one_constant_each_for_the_whole_layer() -> None:
    nodes = topological_order(MLP(2, [5, 1])([1.0, 2.0]))
    assert sum(node.op is ops.CONSTANT for node in nodes) == 2


def test_without_bias() -> None:
    net = MLP(2, [3, 1], bias=False)
    assert len(net.parameters()) == 2 * 3 + 3
    net([1.0, 2.0]).backward()


@pytest.mark.parametrize("init, bound", [("uniform", 1.0), ("xavier", math.sqrt(6 / 28)), ("glorot", math.sqrt(6 / 28)),
                                         ("he", math.sqrt(6 / 8)), ("lecun", math.sqrt(3 / 8))])
def test_initial_weights_fill_their_interval(init: str, bound: float) -> None:
    weights = [w.data for neuron in Layer(8, 20, init=init, rng=0).neurons for w in neuron.w]
    assert max(map(abs, weights)) <= bound
    assert max(map(abs, weights)) > 0.9 * bound  # 160 draws: missed with probability 0.9^160 = 5e-8


def test_the_automatic_init_fits_the_activation() -> None:
    def largest(activation: str) -> float:
        return max(abs(w.data) for n in Layer(6, 60, activation=activation, init="auto", rng=0).neurons for w in n.w)
    assert largest("relu") == pytest.approx(1.0, rel=0.05)
    assert largest("tanh") == pytest.approx(math.sqrt(6 / 66), rel=0.05)
    assert largest("linear") == pytest.approx(math.sqrt(3 / 6), rel=0.05)


def test_an_init_of_ones_own() -> None:
    seen = []
    Layer(2, 3, init=lambda nin, nout, rng: seen.append((nin, nout)) or 0.5, rng=0)
    assert seen == [(2, 3)] * 6


def test_a_seed_gives_the_same_network_and_leaves_random_alone() -> None:
    random.seed(5)
    state = random.getstate()
    one, two = MLP(2, [3, 1], rng=7), MLP(2, [3, 1], rng=7)
    assert one.state_dict() == two.state_dict()
    assert len(set(one.state_dict().values())) > 8
    assert random.getstate() == state


def test_a_module_of_ones_own_finds_its_parameters() -> None:
    class Pair(Module):
        def __init__(self) -> None:
            self.scale = Value(2.0)
            self.parts = {"left": Neuron(1, rng=0), "right": [Neuron(1, rng=1)]}
            self.again = self.scale
            self.note = "not a parameter"

    pair = Pair()
    assert [name for name, _ in pair.named_parameters()] == [
        "scale", "parts.left.w.0", "parts.left.b", "parts.right.0.w.0", "parts.right.0.b"]
    for p in pair.parameters():
        p.grad = 3.0
    pair.zero_grad()
    assert [p.grad for p in pair.parameters()] == [0.0] * 5
    with pytest.raises(TypeError, match=r"config\(\)"):
        pair.save("never-written.json")
    assert not Path("never-written.json").exists()


def test_parameters_and_named_parameters_agree() -> None:
    net = MLP(2, [3, 2], bias=True)
    assert [p for _, p in net.named_parameters()] == net.parameters()
    assert next(name for name, _ in net.named_parameters()) == "layers.0.neurons.0.w.0"


def test_load_state_dict_is_all_or_nothing() -> None:
    net, other = MLP(2, [2, 1], rng=0), MLP(2, [2, 1], rng=1)
    before, state = net.state_dict(), other.state_dict()
    first = next(iter(state))
    for broken, error in [({k: v for k, v in state.items() if k != first}, "lacks"), ({**state, "extra": 1.0}, "unknown"),
                          ({**state, "layers.1.neurons.0.b": "7"}, "found str '7'")]:
        with pytest.raises((ValueError, TypeError), match=error):
            net.load_state_dict(broken)
        assert net.state_dict() == before
    net.load_state_dict(state)
    assert net.state_dict() == state


@pytest.mark.parametrize("net", [MLP(3, [4, 2], rng=1), MLP(1, [1, 1], rng=1), MLP(2, [3], bias=False, rng=1), Layer(2, 3, rng=1)],
                         ids=["wide", "chain", "no bias", "layer"])
def test_the_matrices_of_layers(net: Module) -> None:
    matrices, state = net.state_dict(matrices=True), net.state_dict()
    layers = net.layers if isinstance(net, MLP) else [net]
    for k, layer in enumerate(layers):
        prefix = f"layers.{k}." if isinstance(net, MLP) else ""
        assert matrices[f"{prefix}weight"] == [[w.data for w in neuron.w] for neuron in layer.neurons]
        if layer.neurons[0].b is not None:
            assert matrices[f"{prefix}bias"] == [neuron.b.data for neuron in layer.neurons]
    assert len(matrices) == len(layers) * (1 if layers[0].neurons[0].b is None else 2)
    for p in net.parameters():
        p.data = 0.0
    net.load_state_dict(matrices)
    assert net.state_dict() == state
    net.load_state_dict(state)  # by path, as before
    assert net.state_dict() == state


def test_matrices_that_do_not_fit_change_nothing() -> None:
    net = MLP(3, [2, 1], rng=0)
    before, matrices = net.state_dict(), net.state_dict(matrices=True)
    transposed = [list(column) for column in zip(*matrices["layers.0.weight"])]
    for broken, error in [({**matrices, "layers.0.weight": transposed}, "lacks layers.0.neurons.0.w.2"),
                          ({**matrices, "layers.0.bias": [0.0] * 3}, "has unknown layers.0.bias.2"),
                          ({**matrices, **before}, "a parameter twice"), ({**matrices, "layers.2.weight": [[1.0]]}, "has unknown")]:
        with pytest.raises(ValueError, match=error):
            net.load_state_dict(broken)
        assert net.state_dict() == before


def test_parameters_outside_of_layers_stay_by_path() -> None:
    class Gated(Module):
        def __init__(self) -> None:
            self.gate = Value(0.5)
            self.net = MLP(2, [1], rng=0)

    gated = Gated()
    assert set(gated.state_dict(matrices=True)) == {"gate", "net.layers.0.weight", "net.layers.0.bias"}
    neuron = gated.net.layers[0].neurons[0]
    neuron.w[0] = gated.gate
    with pytest.raises(ValueError, match=r"a parameter of 'net\.layers\.0\.weight' stands elsewhere, too"):
        gated.state_dict(matrices=True)


def test_a_saved_network_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    net = MLP(3, [4, 2], activation="tanh", output="sigmoid", bias=False, scaler=Standardizer([0.1, 0.2, 0.3], [1, 2, 3]))
    net.meta["classes"] = ["yes", "no"]
    net.save(tmp_path / "net.json")
    again = MLP.load(tmp_path / "net.json")
    assert again.state_dict() == net.state_dict()
    assert again.predict([[1, 2, 3]]) == net.predict([[1, 2, 3]])
    assert again.meta == {"classes": ["yes", "no"]}
    assert [p.label for p in again.parameters()] == [p.label for p in net.parameters()]
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]


def test_what_cannot_be_saved_says_so_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    MLP(1, [1], rng=0).save(path)
    old = path.read_bytes()
    with pytest.raises(TypeError, match="Python function"):
        MLP(1, [2, 1], activation=lambda z: z).save(path)
    diverged = MLP(1, [1])
    diverged.parameters()[0].data = math.nan
    with pytest.raises(ValueError, match="is nan"):
        diverged.save(path)
    assert path.read_bytes() == old


@pytest.mark.parametrize("damage, error", [
    (lambda d: "{ not json", "not JSON"), (lambda d: "[]", "lacks"), (lambda d: json.dumps({**d, "version": 9}), "version 9"),
    (lambda d: json.dumps({**d, "class": "Layer"}), "holds a Layer"),
    (lambda d: json.dumps({**d, "parameters": {}}), "damaged"), (lambda d: json.dumps({**d, "config": {}}), "damaged"),
    (lambda d: json.dumps({**d, "config": {**d["config"], "activation": ["gone", "linear"]}}), "'gone'"),
    (lambda d: json.dumps({**d, "config": {**d["config"], "nouts": [10**9, 1]}}), "its layers need more"),
    (lambda d: json.dumps({**d, "config": {**d["config"], "scaler": {"means": [0.0], "scales": [1.0]}}}), "2 columns"),
    (lambda d: json.dumps({**d, "parameters": dict.fromkeys(d["parameters"], math.nan)}), "not finite"),
    (lambda d: json.dumps({**d, "parameters": dict.fromkeys(d["parameters"], 10**400)}), "damaged"),
    (lambda d: "[" * 200_000, "not JSON"),
])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, damage: object, error: str) -> None:
    path = tmp_path / "net.json"
    MLP(2, [2, 1]).save(path)
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(ValueError, match=error):
        MLP.load(path)


HUGE = (10**5, 10**12, 10**30, 10**4000)


@pytest.mark.parametrize("config", [
    *[{"nin": n} for n in HUGE], *[{"nouts": [n]} for n in HUGE], *[{"nouts": [1, n, 1]} for n in HUGE],
    *[{"nouts": [n, 1], "nin": 1, "bias": False} for n in HUGE], {"nouts": [1] * 10_000}, {"nouts": []},
    {"nin": 10**30, "nouts": [1, -10**30]}, {"nin": -10**30, "nouts": [-1]}, {"nin": 10**30, "nouts": [0]},
    {"nin": 1e30}, {"nin": "9" * 30}, {"nin": True}, {"nin": [10**30]}, {"nin": None}, {"nouts": 10**30}, {"nouts": "99"},
    {"nouts": {"9": 9}}, {"nouts": [[10**30]]},
])
def test_a_small_file_of_a_huge_network_takes_no_memory(tmp_path: Path, config: dict[str, object]) -> None:
    path = tmp_path / "net.json"
    MLP(2, [2, 1], rng=1).save(path)
    document = json.loads(path.read_text())
    document["config"].update(config)
    path.write_text(json.dumps(document))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"net\.json is "):
            MLP.load(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * path.stat().st_size + 100_000
    finally:
        tracemalloc.stop()


def test_any_shape_is_saved_and_loaded(tmp_path: Path) -> None:
    rng = random.Random(0)
    for bias in (True, False):
        for _ in range(10):
            net = MLP(rng.randint(1, 4), [rng.randint(1, 4) for _ in range(rng.randint(1, 4))], bias=bias)
            net.save(tmp_path / "net.json")
            assert MLP.load(tmp_path / "net.json").state_dict() == net.state_dict()


def test_a_network_goes_through_a_stream() -> None:
    net, stream = MLP(2, [2, 1]), io.BytesIO()
    net.save(stream)
    stream.seek(0)
    assert MLP.load(stream).state_dict() == net.state_dict()
    with pytest.raises(ValueError, match="the stream is not a saved model"):
        MLP.load(stream)


def test_standardizer() -> None:
    scaler = Standardizer.of([[1.0, 5.0], [3.0, 5.0]])
    assert (scaler.means, scaler.scales) == ([2.0, 5.0], [1.0, 1.0])
    assert scaler([3.0, 6.0]) == [1.0, 1.0]
    with pytest.raises(ValueError, match="at least one row"):
        Standardizer.of([])
    with pytest.raises(ValueError, match="scales > 0"):
        Standardizer([0.0], [0.0])


def test_a_column_that_never_varies_is_only_shifted() -> None:
    assert Standardizer.of([[0.1], [0.1], [0.1]])([0.2]) == [0.1]


@pytest.mark.parametrize("rows, error", [([[1.0], [1.0, 2.0]], "one length"), ([["a"]], "found str 'a'"),
                                         ([[1.0], [math.inf]], "row 1, column 0: a finite number")])
def test_rows_that_cannot_be_standardised(rows: object, error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        Standardizer.of(rows)


def test_a_row_of_the_table_is_an_activation_that_can_be_saved(tmp_path: Path) -> None:
    MLP(1, [1], output=micrograd.sigmoid).save(tmp_path / "net.json")
    assert MLP.load(tmp_path / "net.json").layers[0].neurons[0].activation == "sigmoid"


def test_a_network_with_a_scaler_differentiates_through_it() -> None:
    net = MLP(1, [1], scaler=Standardizer([1.0], [4.0]), rng=0)
    x = Value(3.0)
    y = net([x])
    y.backward()
    w = net.layers[0].neurons[0].w[0].data
    assert (y.data, x.grad) == (w * 0.5, w / 4.0)


def test_the_demo_of_micrograd_learns() -> None:
    random.seed(1337)
    points = [(random.gauss(0, 1), random.gauss(0, 1)) for _ in range(60)]
    labels = [1 if x * x + y * y > 1.2 else -1 for x, y in points]
    model = MLP(2, [8, 8, 1])
    for k in range(40):
        scores = [model(point) for point in points]
        data_loss = sum((1 + -yi * si).relu() for yi, si in zip(labels, scores)) * (1.0 / len(points))
        total = data_loss + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 40) * p.grad
    correct = sum((score.data > 0) == (label > 0) for score, label in zip(map(model, points), labels))
    assert correct >= 54


def test_losses_flow_into_the_labels_of_the_net() -> None:
    cost = losses.half_squared_error(MLP(1, [1], rng=0)([2.0]), 1.0)
    assert {node.label for node in topological_order(cost)} >= {"y", "z^{2}", "w^{2}", "b^{2}", "a^{1}"}
