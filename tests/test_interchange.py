"""Networks to and from PyTorch, safetensors and ONNX: the same numbers, the same outputs, or an error that says why."""

import io
import json
import math
import pickle
import random
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd
from micrograd import MLP, Layer, Neuron, Standardizer, Value, ops
from micrograd.interchange import TORCH, from_safetensors, from_torch, to_onnx, to_safetensors, to_torch

IN_TORCH = [row.name for row in TORCH]
IN_ONNX = [row.name for row in ops.OPS.values() if row.builtin and row.arity - len(row.defaults) == 1]
STEADY = [*IN_TORCH, "sin", "cos", "erf", "abs", "identity"]  # no poles, and no growth that magnifies roundings
EXTREME = [-1000.0, -40.0, -21.0, -6.5, -1.0, -1e-9, 0.0, 1e-9, 1.0, 6.5, 19.0, 21.0, 40.0, 1000.0]

# Both sides round each of some dozens of sums, products and functions to 2^-53, relative to the largest number in the
# sum, which is a few hundreds at most: the networks are small and their weights in (-1, 1). The worst seen is 5e-14.
ROUNDING = 1e-12
# In float32 the same with 2^-24, and with onnxruntime's own exp, which is good to 2e-6. The worst seen is 9e-6.
ROUNDING32 = 2e-5


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason='needs torch: pip install "micrograd-lab[torch]"')


@pytest.fixture
def numpy():
    return pytest.importorskip("numpy", reason="needs numpy: pip install numpy")


@pytest.fixture
def safetensors():
    pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    return pytest.importorskip("safetensors", reason='needs safetensors: pip install "micrograd-lab[safetensors]"')


@pytest.fixture
def run_onnx(tmp_path):
    """A function from (net, rows, dtype) to what onnxruntime computes for the rows."""
    numpy = pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    pytest.importorskip("onnx", reason='needs onnx: pip install "micrograd-lab[onnx]"')
    runtime = pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "micrograd-lab[onnx]"')

    def run(net, rows, dtype="float64"):
        to_onnx(net, tmp_path / "net.onnx", dtype)
        session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
        [y] = session.run(["y"], {"x": numpy.array(rows, dtype=dtype).reshape(-1, net.nin)})
        assert y.dtype == dtype and y.shape == (len(rows), len(net.layers[-1].neurons))
        return y.tolist()
    return run


def table(net, rows):
    """The outputs of the net, a list for each row."""
    return [out if isinstance(out, list) else [out] for out in net.predict(rows)]


def near(found, expected, rounding=ROUNDING):
    for found_row, row in zip(found, expected, strict=True):
        assert found_row == pytest.approx(row, rel=rounding, abs=rounding)


def numbers(net):
    return [p.data.hex() for p in net.parameters()]


def random_rows(nin, n=5, seed=1):
    rng = random.Random(seed)
    return [[rng.gauss(0, 2) for _ in range(nin)] for _ in range(n)]


def with_biases(net, seed=2):
    """The net with biases that are not 0, as training would leave them."""
    rng = random.Random(seed)
    for layer in net.layers:
        for neuron in layer.neurons:
            if neuron.b is not None:
                neuron.b.data = rng.uniform(-1, 1)
    return net


def one_neuron(activation):
    """a = s(x), exactly."""
    net = MLP(1, [1], output=activation)
    net.layers[0].neurons[0].w[0].data = 1.0
    return net


shapes = st.lists(st.integers(1, 5), min_size=2, max_size=4)


@st.composite
def nets(draw, names):
    sizes = draw(shapes)
    names = draw(st.lists(st.sampled_from([*names, "linear"]), min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    scaler = None
    if draw(st.booleans()):
        rng = random.Random(draw(st.integers(0, 9)))
        scaler = Standardizer([rng.uniform(-3, 3) for _ in range(sizes[0])], [rng.uniform(0.5, 3) for _ in range(sizes[0])])
    return with_biases(MLP(sizes[0], sizes[1:], activation=names, bias=draw(st.booleans()), scaler=scaler,
                           rng=draw(st.integers(0, 99))))


EXAMPLES = [MLP(1, [1], rng=1), MLP(3, [5, 4, 2], rng=2), MLP(2, [3, 3, 1], bias=False, activation="tanh", rng=3),
            MLP(2, [4, 4, 4, 1], activation=["gelu", "linear", "softplus"], output="sigmoid", rng=4)]


# PyTorch

@pytest.mark.parametrize("net", EXAMPLES, ids=str)
def test_to_torch_and_back_is_the_same_net_to_the_last_bit(torch, net):
    net = with_biases(net)
    back = from_torch(to_torch(net))
    assert numbers(back) == numbers(net)
    assert back.config() == net.config()
    assert back.parameters()[0].label == net.parameters()[0].label


def test_a_sequential_is_what_a_user_of_torch_would_write(torch):
    model = to_torch(MLP(3, [4, 5, 2], activation=["relu", "linear"], output="tanh"))
    assert [type(part).__name__ for part in model] == ["Linear", "ReLU", "Linear", "Linear", "Tanh"]
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())
    assert model(torch.zeros(3, dtype=torch.float64)).shape == (2,)
    assert to_torch(MLP(3, [1]))(torch.zeros(7, 3, dtype=torch.float64)).shape == (7, 1)


@settings(max_examples=40, deadline=None)
@given(net=nets(IN_TORCH))
def test_to_torch_computes_what_the_net_does(net):
    torch = pytest.importorskip("torch", reason='needs torch: pip install "micrograd-lab[torch]"')
    rows = random_rows(net.nin)
    model = to_torch(net)
    near(model(torch.tensor(rows, dtype=torch.float64)).tolist(), table(net, rows))
    near(table(from_torch(model), rows), table(net, rows))


@pytest.mark.parametrize("name", IN_TORCH)
def test_activations_in_torch_agree_everywhere_and_so_do_their_slopes(torch, name):
    net = one_neuron(name)
    near(to_torch(net)(torch.tensor(EXTREME, dtype=torch.float64).reshape(-1, 1)).tolist(), table(net, [[x] for x in EXTREME]))
    for x in EXTREME:
        at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        to_torch(net)(at).backward()
        if x or ops.OPS[name].kink is None:
            assert at.grad.item() == pytest.approx(ops.OPS[name].slope(0, ops.OPS[name](x), x, *ops.OPS[name].defaults),
                                                   rel=ROUNDING, abs=ROUNDING)


@pytest.mark.parametrize("name", IN_TORCH)
def test_gradients_and_steps_of_torch_are_those_of_the_engine(torch, name):
    net = with_biases(MLP(3, [4, 2], activation=name, output=name, rng=5))
    model = to_torch(net)
    rows, targets = random_rows(3), random_rows(2, seed=7)
    descent = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        net.zero_grad()
        loss = sum((a - t) ** 2 for x, target in zip(rows, targets) for a, t in zip(net(x), target))
        loss.backward()
        descent.zero_grad()
        torch_loss = ((model(torch.tensor(rows, dtype=torch.float64)) - torch.tensor(targets, dtype=torch.float64)) ** 2).sum()
        torch_loss.backward()
        assert torch_loss.item() == pytest.approx(loss.data, rel=1e-12)
        for linear, layer in zip([model[0], model[2]], net.layers):
            # 1e-12: roundings of 2^-53 in sums of 5 rows, which grow by the factors of three steps
            assert linear.weight.grad.tolist() == [pytest.approx([w.grad for w in n.w], rel=1e-12, abs=1e-12) for n in layer.neurons]
            assert linear.bias.grad.tolist() == pytest.approx([n.b.grad for n in layer.neurons], rel=1e-12, abs=1e-12)
        descent.step()
        for p in net.parameters():
            p.data -= 0.05 * p.grad
    assert from_torch(model).parameters()[-1].data == pytest.approx(net.parameters()[-1].data, rel=1e-12)


def test_other_dtypes(torch):
    net = with_biases(MLP(2, [3, 1], activation="tanh", rng=6))
    rows = random_rows(2)
    for dtype in ("float32", torch.float32):
        model = to_torch(net, dtype)
        near(model(torch.tensor(rows)).tolist(), table(net, rows), 1e-6)  # 2^-24, some ten times
        for p, q in zip(model.parameters(), to_torch(from_torch(model)).parameters(), strict=True):
            assert torch.equal(p.double(), q)  # float32 numbers are read exactly
    for dtype in (torch.float16, torch.bfloat16):
        model = to_torch(net, dtype)
        assert model[0].weight[0, 0].double().item() == from_torch(model).layers[0].neurons[0].w[0].data
    net.layers[1].neurons[0].b.data = 1e60
    with pytest.raises(ValueError, match=r"layer 3: .* beyond the numbers of torch\.float32"):
        to_torch(net, "float32")
    for wrong in ("float8", torch.int64, 64, torch.complex64, ["float32"]):
        with pytest.raises(TypeError, match="to_torch: dtype must be"):
            to_torch(MLP(1, [1]), wrong)


def test_a_scaler_is_folded_into_the_first_linear(torch):
    net = MLP(2, [3, 1], bias=False, activation="tanh", rng=6, scaler=Standardizer([10.0, -3.0], [2.0, 0.5]))
    model = to_torch(net)
    assert [part.bias is not None for part in (model[0], model[2])] == [True, False]
    assert model[0].weight[0].tolist() == [net.layers[0].neurons[0].w[0].data / 2, net.layers[0].neurons[0].w[1].data / 0.5]
    rows = [[12.0, -3.0], [10.0, -3.5]]
    near(model(torch.tensor(rows, dtype=torch.float64)).tolist(), table(net, rows))
    back = from_torch(model)
    assert back.scaler is None and back.layers[1].neurons[0].b.data == 0
    near(table(back, rows), table(net, rows))


def test_no_random_number_is_drawn(torch, safetensors, tmp_path):
    net = MLP(2, [3, 1])
    before = random.getstate(), torch.get_rng_state()
    model = to_torch(net)
    from_torch(model)
    to_safetensors(net, tmp_path / "net.safetensors")
    from_safetensors(tmp_path / "net.safetensors")
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


def test_the_module_can_be_pickled_and_its_state_kept(torch):
    model = to_torch(MLP(2, [3, 1], activation="softplus"))
    again = pickle.loads(pickle.dumps(model))
    x = torch.ones(2, dtype=torch.float64)
    assert torch.equal(again(x), model(x))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    to_torch(MLP(2, [3, 1], activation="softplus")).load_state_dict(torch.load(file, weights_only=True))


def test_from_torch_reads_what_users_write(torch):
    nn = torch.nn
    shared = nn.ReLU()
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(3, 4), shared), nn.Identity(), nn.Linear(4, 4, bias=False),
                          nn.Linear(4, 4), shared, nn.Dropout(0.5), nn.Linear(4, 2), nn.LeakyReLU(inplace=True)).eval()
    net = from_torch(model)
    assert net.config()["activation"] == ["relu", "linear", "relu", "leaky_relu"]
    assert net.config()["bias"] and [n.b.data for n in net.layers[1].neurons] == [0.0] * 4
    rows = random_rows(3)
    near(model(torch.tensor(rows)).tolist(), table(net, rows), 1e-6)  # 2^-24, some ten times


def test_from_torch_reads_a_lone_linear_and_weights_that_are_computed(torch):
    linear = torch.nn.Linear(2, 1, dtype=torch.float64)
    assert [p.data for p in from_torch(linear).parameters()] == [*linear.weight[0].tolist(), linear.bias.item()]
    normed = torch.nn.utils.parametrizations.weight_norm(linear)
    assert from_torch(normed)([1.0, 2.0]).data == pytest.approx(normed(torch.tensor([1.0, 2.0], dtype=torch.float64)).item(), rel=ROUNDING)


def test_the_threshold_of_torch_s_own_softplus_makes_the_difference_that_is_documented(torch):
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Softplus()).double()
    torch.nn.init.ones_(model[0].weight)
    torch.nn.init.zeros_(model[0].bias)
    net = from_torch(model)
    for x in (19.9, 20.1, 30.0):
        assert abs(net([x]).data - model(torch.tensor([x], dtype=torch.float64)).item()) <= 2.1e-9


def cannot_be_expressed():
    """(what is in the module, the start of the error)"""
    return [
        (lambda nn: [nn.Linear(2, 3), nn.ReLU(), nn.Conv2d(1, 2, 3), nn.Softmax(1)], r"2: Conv2d\(1, 2, .*Linear, ReLU\(\), LeakyReLU\(negative_slope=0.01\)"),
        (lambda nn: [nn.ReLU(), nn.Linear(2, 3)], r"0: ReLU\(\) cannot .* an activation must follow a Linear"),
        (lambda nn: [nn.Linear(2, 3), nn.ReLU(), nn.Identity(), nn.Tanh()], r"3: Tanh\(\) .* at most one activation"),
        (lambda nn: [nn.Linear(2, 3), nn.Tanh(), nn.Linear(4, 1)], r"2: Linear\(in_features=4, .* it takes 4 inputs, where the Linear before gives 3"),
        (lambda nn: [nn.Linear(2, 3), nn.LeakyReLU(0.2)], r"1: LeakyReLU\(.*negative_slope is 0.2, where the op leaky_relu has 0.01"),
        (lambda nn: [nn.Linear(2, 3), nn.ELU(2.0)], r"1: ELU\(.*alpha is 2.0"),
        (lambda nn: [nn.Linear(2, 3), nn.Softplus(beta=2)], r"1: Softplus\(.*beta is 2"),
        (lambda nn: [nn.Linear(2, 3), nn.Softplus(threshold=5)], r"1: Softplus\(.*threshold is 5"),
        (lambda nn: [nn.Linear(2, 3), nn.GELU("tanh")], r"1: GELU\(.*approximate is tanh"),
        (lambda nn: [nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 1), nn.Softmax(dim=1))], r"1.2: Softmax\(dim=1\)"),
        (lambda nn: [nn.Linear(2, 3), nn.Dropout(0.5)], r"1: Dropout\(.*\.eval\(\)"),
        (lambda nn: [nn.Flatten(0), nn.Linear(2, 3)], r"0: Flatten\("),
        (lambda nn: [nn.LazyLinear(2)], r"0: LazyLinear\("),
        (lambda nn: [nn.Linear(2, 3, device="meta")], r"0: Linear\(.*device meta"),
        (lambda nn: [nn.Linear(2, 3).to(dtype=__import__("torch").complex64)], r"0: Linear\(.*complex64"),
        (lambda nn: [nn.Linear(2, 3), nn.BatchNorm1d(3)], r"1: BatchNorm1d\("),
    ]


@pytest.mark.parametrize(("parts", "message"), cannot_be_expressed())
@pytest.mark.filterwarnings("ignore:.*(Lazy|Complex) modules:UserWarning")  # torch says that they are new
def test_the_error_names_the_first_layer_that_cannot_be_expressed(torch, parts, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_torch(torch.nn.Sequential(*parts(torch.nn)))


def test_a_computation_of_its_own_is_not_guessed(torch):
    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Backwards(torch.nn.Sequential):
        def forward(self, x):
            return super().forward(-x)

    class Renamed(torch.nn.Linear):
        pass

    assert from_torch(Renamed(2, 1)).nin == 2
    with pytest.raises(ValueError, match=r"^0: Doubled\("):
        from_torch(torch.nn.Sequential(Doubled(2, 1)))
    with pytest.raises(ValueError, match=r"^Backwards\("):
        from_torch(Backwards(torch.nn.Linear(2, 1)))
    hooked = torch.nn.Sequential(torch.nn.Linear(2, 1))
    hooked[0].register_forward_hook(lambda module, args, out: out + 1)
    with pytest.raises(ValueError, match=r"^0: Linear\(.*hooks"):
        from_torch(hooked)
    patched = torch.nn.Sequential(torch.nn.Linear(2, 1))
    patched[0].forward = lambda x: x
    with pytest.raises(ValueError, match=r"^0: Linear\(.*a custom forward"):
        from_torch(patched)


def test_a_module_that_diverged_or_has_no_layer_is_refused(torch):
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    torch.nn.init.constant_(model[2].bias, math.nan)
    with pytest.raises(ValueError, match=r"^2: Linear\(.* inf or nan"):
        from_torch(model)
    with pytest.raises(ValueError, match="needs a Linear"):
        from_torch(torch.nn.Sequential())


def test_a_small_module_of_a_huge_network_takes_no_memory(torch):
    """As it comes out of a small file: the numbers of a tensor may be fewer than its shape has places."""
    model = torch.nn.Sequential(torch.nn.Linear(1, 1))
    model[0].weight = torch.nn.Parameter(torch.zeros(1, 1).expand(10**6, 10**9))
    with pytest.raises(ValueError, match=r"^0: Linear\(.* a parameter repeats the numbers"):
        from_torch(model)
    half = torch.nn.Sequential(torch.nn.Linear(4, 1))
    half[0].weight = torch.nn.Parameter(torch.arange(8.0).reshape(2, 4).t()[::2].t()[:1])  # strides, but no repetition
    assert from_torch(torch.nn.Sequential(half[0])).nin == 2


def test_what_is_no_module(torch):
    model = torch.nn.Linear(1, 1)
    for wrong in (model.state_dict(), "model.pt", MLP(1, [1]), torch.nn.Linear, model(torch.ones(1))):
        with pytest.raises(TypeError, match=r"from_torch needs a torch\.nn\.Sequential, found"):
            from_torch(wrong)


def test_torch_lacks_some_activations(torch):
    with pytest.raises(ValueError, match=r"layer 3: torch\.nn has no module for sin; it has one for relu, .*softplus"):
        to_torch(MLP(1, [2, 2, 1], activation=["relu", "sin"]))


# What no format takes

def exports(tmp_path):
    return [to_torch, lambda net: to_safetensors(net, tmp_path / "net"), lambda net: to_onnx(net, tmp_path / "net")]


def test_a_net_is_needed(torch, safetensors, run_onnx, tmp_path):
    net = MLP(2, [3, 1])
    for export in exports(tmp_path):
        for wrong in (net([1.0, 2.0]), net.state_dict(), Value(1.0), net.layers[0], "net.json", None):
            with pytest.raises(TypeError, match=f"needs an MLP, found {type(wrong).__name__}"):
                export(wrong)
        with pytest.raises(TypeError, match=r"layer 2: the activation twice is a Python function|the activation twice cannot be saved"):
            export(MLP(2, [3, 1], activation=twice))
    assert list(tmp_path.iterdir()) == []


def twice(z):
    return 2 * z


def test_nets_that_are_no_ordinary_mlp(torch, safetensors, run_onnx, tmp_path):
    class Residual(MLP):
        def forward(self, x):
            return [a + b for a, b in zip(x, super().forward(x))]

    class Steep(Neuron):
        pass

    class Named(MLP):
        name = "mine"

    steep, mixed, half_biased, nan = MLP(1, [1]), MLP(1, [2]), MLP(1, [1, 1], activation="tanh"), MLP(1, [1])
    steep.layers[0].neurons[0] = Steep(1)
    mixed.layers[0].neurons[1] = Neuron(1, activation="tanh")
    half_biased.layers[1] = Layer(1, 1, bias=False)
    nan.layers[0].neurons[0].b.data = math.nan
    for export in exports(tmp_path):
        with pytest.raises(TypeError, match="a custom computation in Residual"):
            export(Residual(1, [1]))
        with pytest.raises(TypeError, match="a custom computation in Steep"):
            export(steep)
        with pytest.raises(ValueError, match="the neurons of layer 2 differ"):
            export(mixed)
        with pytest.raises(ValueError, match="the neurons of layer 3 differ"):
            export(half_biased)
        with pytest.raises(ValueError, match=r"parameter 'layers\.0\.neurons\.0\.b' is nan: a model that diverged"):
            export(nan)
        assert list(tmp_path.iterdir()) == []
        export(Named(1, [1]))
        for file in tmp_path.iterdir():
            file.unlink()


@pytest.mark.parametrize(("package", "extra", "use"), [
    ("torch", "torch", "micrograd.to_torch(net)"), ("torch", "torch", "micrograd.from_torch(net)"),
    ("safetensors", "safetensors", "micrograd.from_safetensors('net')"), ("safetensors", "safetensors", "micrograd.to_safetensors(net, 'net')"),
    ("onnx", "onnx", "micrograd.to_onnx(net, 'net')"), ("numpy", "onnx", "micrograd.to_onnx(net, 'net')")])
def test_a_missing_package_is_an_error_that_names_the_extra(package, extra, use):
    pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    pytest.importorskip("onnx", reason='needs onnx: pip install "micrograd-lab[onnx]"')
    code = f"import sys; sys.modules[{package!r}] = None\nimport micrograd\nnet = micrograd.MLP(1, [1])\n{use}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ") and package in last
    assert last.endswith(f'pip install "micrograd-lab[{extra}]"')


def test_importing_the_module_loads_no_package():
    code = ("import sys, micrograd.interchange; print(*{'numpy', 'torch', 'onnx', 'safetensors'} & set(sys.modules))")
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""


# safetensors

@settings(max_examples=40, deadline=None)
@given(net=nets(IN_ONNX))
def test_safetensors_and_back_is_the_same_net_to_the_last_bit(net, tmp_path_factory):
    pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    pytest.importorskip("safetensors", reason='needs safetensors: pip install "micrograd-lab[safetensors]"')
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    net.meta["classes"] = ["a", 0.1]
    to_safetensors(net, path)
    back = from_safetensors(path)
    assert numbers(back) == numbers(net) and back.config() == net.config() and back.meta == net.meta


def test_the_file_is_that_of_a_state_dict(torch, safetensors, tmp_path):
    path = tmp_path / "net.safetensors"
    net = with_biases(MLP(3, [4, 5, 2], activation=["relu", "linear"], output="tanh", rng=8))
    to_safetensors(net, path)
    loaded = pytest.importorskip("safetensors.torch").load_file(path)
    assert {name: tuple(t.shape) for name, t in loaded.items()} == {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (5, 4), "2.bias": (5,), "3.weight": (2, 5), "3.bias": (2,)}
    model = to_torch(MLP(3, [4, 5, 2], activation=["relu", "linear"], output="tanh"))
    model.load_state_dict(loaded)
    assert numbers(from_torch(model)) == numbers(net)
    first = path.read_bytes()
    to_safetensors(net, path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_file_of_torch_into_a_net(torch, safetensors, tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    trained = to_torch(with_biases(MLP(2, [3, 1], activation="tanh", rng=8)), getattr(torch, dtype))
    pytest.importorskip("safetensors.torch").save_file(trained.state_dict(), path)
    net = MLP(2, [3, 1], activation="tanh", scaler=Standardizer([1, 2], [3, 4]))
    net.layers[0].neurons[0].w[0].data = math.nan  # a net that diverged may be mended
    assert from_safetensors(path, into=net) is net
    assert numbers(net) == numbers(from_torch(trained))
    assert net.scaler.means == [1, 2]
    with pytest.raises(ValueError, match=r"pass into=MLP\(\.\.\.\).*the file has 0.bias \(3,\), 0.weight \(3, 2\)"):
        from_safetensors(path)


def test_all_of_a_file_is_loaded_or_none(torch, safetensors, numpy, tmp_path):
    path = tmp_path / "model.safetensors"
    save = pytest.importorskip("safetensors.numpy").save_file
    good = {"0.weight": numpy.ones((3, 2)), "0.bias": numpy.ones(3), "2.weight": numpy.ones((1, 3)), "2.bias": numpy.ones(1)}
    wrong = [({"2.weight": numpy.ones((3, 1))}, r"tensor '2.weight': expected \(1, 3\), found \(3, 1\); the file has"),
             ({"2.bias": numpy.ones(())}, r"tensor '2.bias': expected \(1,\), found \(\)"),
             ({"2.bias": None}, r"tensor '2.bias': expected \(1,\), found no such tensor"),
             ({"0.bias": None, "2.bias": None}, r"tensor '0.bias': expected \(3,\), found no such tensor"),
             ({"4.weight": numpy.ones((1, 1))}, r"tensor '4.weight': expected no such tensor, found \(1, 1\)"),
             ({"0.bias": numpy.ones(3, dtype=int)}, r"tensor '0.bias' is I64, expected F64, F32 or F16"),
             ({"0.bias": numpy.array([1, math.inf, 1])}, r"tensor '0.bias' holds inf or nan"),
             ({"scaler.means": numpy.zeros(2)}, r"tensor 'scaler.scales': expected \(2,\), found no such tensor"),
             ({"scaler.means": numpy.zeros(2), "scaler.scales": numpy.zeros(2)}, "is damaged: Standardizer needs")]
    net = MLP(2, [3, 1], rng=1)
    before = numbers(net)
    for change, message in wrong:
        save({name: t for name, t in {**good, **change}.items() if t is not None}, path)
        with pytest.raises(ValueError, match=message):
            from_safetensors(path, into=net)
        assert numbers(net) == before and net.scaler is None
    pytest.importorskip("safetensors.torch").save_file({"0.bias": torch.ones(3, dtype=torch.bfloat16)}, path)
    with pytest.raises(ValueError, match=r"tensor '0.bias' is BF16, expected .* model\.float\(\)\.state_dict\(\)"):
        from_safetensors(path, into=net)
    save({**good, "scaler.means": numpy.zeros(2), "scaler.scales": numpy.ones(2)}, path)
    assert from_safetensors(path, into=net)([1.0, 1.0]).data == 10  # 3 relu(1 + 1 + 1) + 1
    assert net.scaler.scales == [1, 1]
    for no_net in (net.layers[0], "net", net.state_dict()):
        with pytest.raises(TypeError, match=r"from_safetensors\(into\) needs an MLP"):
            from_safetensors(path, into=no_net)


def test_the_checkpoint_of_a_run_is_no_network(safetensors, tmp_path):
    path, w = tmp_path / "run.safetensors", Value(0.5)
    micrograd.compile(lambda x, y: (w * x - y) ** 2).fit([1.0], [2.0], epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=r"is a micrograd training run, expected a network: let fit go on with it \(checkpoint="):
        from_safetensors(path)


def test_damaged_files(safetensors, tmp_path):
    path, net = tmp_path / "net.safetensors", MLP(2, [3, 1], rng=1)
    to_safetensors(net, path)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + length])
    for cut in (0, 4, 9, length, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="is not a safetensors file, or damaged"):
            from_safetensors(path)
    net.save(path)
    with pytest.raises(ValueError, match="is not a safetensors file, or damaged"):
        from_safetensors(path)
    about = json.loads(header["__metadata__"]["micrograd"])
    config = about["config"]
    for damaged in ("{", "[]", "7", "[" * 100_000, {**about, "version": 99}, {**about, "format": "x"}, {"config": config},
                    {**about, "config": {**config, "nouts": [3, 10**12]}}, {**about, "config": {**config, "nin": 10**12}},
                    {**about, "config": {**config, "nouts": [3, "1"]}}, {**about, "config": {**config, "nin": -2}},
                    {**about, "config": {**config, "activation": ["no such op"]}}, {**about, "meta": 3},
                    {**about, "config": {**config, "more": 1}}, {**about, "config": 3},
                    {**about, "config": {**config, "nouts": [1, 6]}}, {**about, "config": {**config, "bias": False}}):
        header["__metadata__"]["micrograd"] = damaged if isinstance(damaged, str) else json.dumps(damaged)
        new = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length:])
        with pytest.raises(ValueError, match=r"is damaged, or made for other ops|expected"):
            from_safetensors(path)


def test_files_that_cannot_be_read_or_written(safetensors, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="missing"):
        from_safetensors(tmp_path / "missing")
    with pytest.raises(OSError):
        from_safetensors(tmp_path)
    net = MLP(1, [1])
    with pytest.raises(FileNotFoundError):
        to_safetensors(net, tmp_path / "no folder" / "net")
    with pytest.raises(TypeError, match="needs an MLP, found str"):
        to_safetensors("net", net)
    path = tmp_path / "net"
    to_safetensors(net, path)
    before = path.read_bytes()
    net.meta["set"] = {1}
    with pytest.raises(TypeError, match="set is not JSON"):
        to_safetensors(net, path)
    net.meta = {"x": math.nan}
    with pytest.raises(ValueError):
        to_safetensors(net, path)
    net.meta = {}

    def full(*args):
        raise OSError("no space left on device")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        to_safetensors(net, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# ONNX

@settings(max_examples=30, deadline=None)
@given(net=nets(STEADY))
def test_onnxruntime_computes_what_the_net_does(net, tmp_path_factory):
    pytest.importorskip("onnx", reason='needs onnx: pip install "micrograd-lab[onnx]"')
    numpy = pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    runtime = pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "micrograd-lab[onnx]"')
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    rows = random_rows(net.nin)
    to_onnx(net, path)
    [y] = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": numpy.array(rows)})
    near(y.tolist(), table(net, rows))


@pytest.mark.parametrize("name", IN_ONNX)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_activations_in_onnx(run_onnx, name, dtype):
    [low, high] = ops.OPS[name].domain[0]
    inside = [low + (high - low) * i / 40 for i in range(41)]
    xs = inside + [x for x in EXTREME if name in IN_TORCH or name in ("abs", "neg", "sign", "step", "erf", "identity", "expm1")]
    xs = [struct.unpack("f", struct.pack("f", x))[0] for x in xs]
    near(run_onnx(one_neuron(name), [[x] for x in xs], dtype), [[float(ops.OPS[name](x))] for x in xs],
         ROUNDING if dtype == "float64" else ROUNDING32)


def test_a_random_net_in_float32(run_onnx):
    net = with_biases(MLP(3, [6, 5, 2], activation=["gelu", "softplus"], output="tanh", rng=4,
                          scaler=Standardizer([1.0, 2.0, 3.0], [2.0, 0.5, 4.0])))
    rows = random_rows(3, 50)
    near(run_onnx(net, rows, "float32"), table(net, rows), ROUNDING32)
    assert run_onnx(net, []) == []


def test_the_onnx_model_is_as_documented(run_onnx, tmp_path):
    import onnx
    to_onnx(MLP(3, [4, 2], rng=1), tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    [x], [y] = model.graph.input, model.graph.output
    for end, name, width in ((x, "x", 3), (y, "y", 2)):
        rows, columns = end.type.tensor_type.shape.dim
        assert (end.name, rows.dim_param, columns.dim_value) == (name, "rows", width)
        assert end.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm"]
    assert [(t.name, list(t.dims)) for t in model.graph.initializer] == [
        ("0.weight", [4, 3]), ("0.bias", [4]), ("2.weight", [2, 4]), ("2.bias", [2])]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]


@pytest.fixture
def own_ops():
    before = dict(ops.OPS)
    micrograd.op("leaky_sine", lambda x: micrograd.where(micrograd.step(x), micrograd.sin(x), x / 10),
                 lambda y, x: micrograd.where(micrograd.step(x), micrograd.cos(x), 0.1), kink=lambda x: x)
    micrograd.op("sawtooth", lambda x: x % 0.75 + x // -0.5 / 4 + 2.0 % (x * x + 0.5),
                 lambda y, x: 1 - 2 * x * micrograd.floordiv(2.0, x * x + 0.5))
    micrograd.op("bare", lambda x: math.sin(x), lambda y, x: micrograd.cos(x))
    micrograd.op("branching", lambda x: x if x > 0 else 0.0, lambda y, x: micrograd.step(x), kink=lambda x: x)
    micrograd.op("comparing", lambda x: 0.0 if x == 0 else x, lambda y, x: 1.0)
    micrograd.op("truthful", lambda x: x if x else 0.0, lambda y, x: 1.0)
    micrograd.op("flat", lambda x: 1.5, lambda y, x: 0.0)
    micrograd.op("huge", lambda x: x * 1e60, lambda y, x: 1e60)
    yield
    for name in ops.OPS.keys() - before.keys():
        del ops.OPS[name]


def test_an_op_of_one_s_own(run_onnx, own_ops, tmp_path):
    rows = [[x] for x in (-3.0, -0.5, 0.5, 2.0)]
    near(run_onnx(one_neuron("leaky_sine"), rows), table(one_neuron("leaky_sine"), rows))
    rows = [[x] for x in (-3.1, -0.75, -0.4, 0.0, 0.3, 2.0)]
    near(run_onnx(one_neuron("sawtooth"), rows), table(one_neuron("sawtooth"), rows))
    for name, why in (("bare", "real number"), ("branching", "'>' not supported"), ("comparing", "it compares numbers"),
                      ("truthful", "it branches on a number"), ("flat", "1.5")):
        with pytest.raises(ValueError, match=f"layer 3: {name} cannot be written in ONNX .*{why}.*an op of your own can where its function is written with operators"):
            to_onnx(MLP(1, [2, 1], output=name), tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_numbers_that_float32_lacks(run_onnx, own_ops, tmp_path):
    net = MLP(1, [1], rng=1)
    net.layers[0].neurons[0].b.data = 1e60
    near(run_onnx(net, [[1.0]]), table(net, [[1.0]]))
    for large in (net, MLP(1, [1], scaler=Standardizer([1e60], [1.0])), MLP(1, [1], output="huge")):
        with pytest.raises(ValueError, match="to_onnx: a number is beyond those of float32"):
            to_onnx(large, tmp_path / "other", "float32")
    with pytest.raises(ValueError, match="to_onnx: a scale of the scaler is 0 in float32"):
        to_onnx(MLP(1, [1], scaler=Standardizer([0.0], [1e-60])), tmp_path / "other", "float32")
    for wrong in ("float16", float, None):
        with pytest.raises(ValueError, match="to_onnx: dtype must be 'float64' or 'float32'"):
            to_onnx(net, tmp_path / "other", wrong)
    assert not (tmp_path / "other").exists()


def run_compiled(step, tmp_path, inputs, dtype="float64", grad=False):
    """What onnxruntime computes of a compiled function, by the names of its outputs."""
    numpy = pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    pytest.importorskip("onnx", reason='needs onnx: pip install "micrograd-lab[onnx]"')
    runtime = pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "micrograd-lab[onnx]"')
    to_onnx(step, tmp_path / "f.onnx", dtype, grad)
    session = runtime.InferenceSession(tmp_path / "f.onnx", providers=["CPUExecutionProvider"])
    assert {x.name for x in session.get_inputs()} == set(inputs)
    found = session.run(None, {name: numpy.array(column, dtype) for name, column in inputs.items()})
    return {y.name: array.tolist() for y, array in zip(session.get_outputs(), found)}


def wave(a, x):
    low, high = x
    return [W[0] * micrograd.sin(a * low) + abs(high) ** 1.5 + W[1], micrograd.where(a > low, high, W[0] / a), micrograd.hypot(W[1], W[0])]


W = [Value(0.75, "w0"), Value(-1.5, "w1")]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings(r"ignore:.* is (-?inf|nan)")
def test_a_compiled_function_in_onnx(tmp_path, dtype):
    step = micrograd.compile(wave, inputs=(None, 2))
    a, x = [0.5, -1.0, 0.0, math.inf, math.nan, 1.0], [[0.25, 2.0], [1.0, -0.5], [0.0, 0.0], [1.0, -math.inf], [2.0, 1.0], [math.nan, 3.0]]
    values, (by_a, by_x) = step.map(a, x, grad=True)
    found = run_compiled(step, tmp_path, {"a": a, "x": x}, dtype, grad=True)
    limit = 1e-14 if dtype == "float64" else 1e-6
    same(found["value"], zip(*values), limit)
    same(found["gradient"], zip(by_a, *by_x), limit)
    assert list(run_compiled(step, tmp_path, {"a": a, "x": x}, dtype)) == ["value"]
    W[0].data = 2.0
    same(run_compiled(step, tmp_path, {"a": a, "x": x}, dtype)["value"], zip(*step.map(a, x)), limit)
    W[0].data = 0.75


def same(found, expected, limit):
    for row, other in zip(found, expected, strict=True):
        for x, y in zip(row, other, strict=True):
            assert x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= limit * max(1.0, abs(y)), (x, y)


def test_the_model_of_a_compiled_network_computes_what_that_of_the_network_does(run_onnx, tmp_path):
    net = with_biases(MLP(3, [4, 2], activation="gelu", rng=1, scaler=Standardizer([1.0, 2.0, 3.0], [2.0, 0.5, 4.0])))
    rows = random_rows(3, 20)
    step = micrograd.compile(net)
    near(run_compiled(step, tmp_path, {"x": rows})["value"], run_onnx(net, rows))
    assert step.onnx_model() == (tmp_path / "f.onnx").read_bytes()


def test_the_outputs_of_a_compiled_function_are_named_beside_its_arguments(tmp_path):
    step = micrograd.compile(lambda value, gradient: value * gradient)
    found = run_compiled(step, tmp_path, {"value": [2.0], "gradient": [3.0]}, grad=True)
    assert found == {"value_": [[6.0]], "gradient_": [[3.0, 2.0]]}
    step = micrograd.compile(lambda value, value_, Mul_0, constant_0: value * value_ + Mul_0 * 2 + constant_0)
    found = run_compiled(step, tmp_path, {"value": [2.0], "value_": [3.0], "Mul_0": [4.0], "constant_0": [5.0]})
    assert found == {"value__": [[19.0]]}


def test_an_output_that_the_gradient_is_computed_from(tmp_path):
    """An Identity behind such a one has led onnxruntime to an invalid model."""
    step = micrograd.compile(lambda x: micrograd.silu(x))
    found = run_compiled(step, tmp_path, {"x": [0.25, -2.0]}, grad=True)
    values, slopes = step.map([0.25, -2.0], grad=True)
    same(found["value"], [[y] for y in values], 1e-15)
    same(found["gradient"], [[slope] for slope in slopes], 1e-15)
    assert run_compiled(micrograd.compile(lambda x: micrograd.exp(x)), tmp_path, {"x": [0.0]}, grad=True) == {
        "value": [[1.0]], "gradient": [[1.0]]}


@pytest.mark.filterwarnings(r"ignore:.* is (-?inf|nan)")
def test_compiled_functions_that_onnx_has_not(run_onnx, own_ops, tmp_path):
    path = tmp_path / "f.onnx"
    bare = micrograd.compile(lambda x: ops.OPS["bare"](x) * W[0])
    with pytest.raises(ValueError, match=r"bare cannot be written in ONNX .must be real number.*; an op of your own can where its function"):
        to_onnx(bare, path)
    found = run_compiled(micrograd.compile(lambda x: ops.OPS["leaky_sine"](x)), tmp_path, {"x": [-0.5, 0.5]}, grad=True)
    same(found["value"], [[-0.05], [math.sin(0.5)]], 1e-15)
    same(found["gradient"], [[0.1], [math.cos(0.5)]], 1e-15)
    path.unlink()
    with pytest.raises(ValueError, match="to_onnx: the function takes no argument"):
        to_onnx(micrograd.compile(lambda: W[0] * 2, inputs=0), path)
    with pytest.raises(ValueError, match="to_onnx: a number is beyond those of float32"):
        to_onnx(micrograd.compile(lambda x: x * 1e60), path, "float32")
    with pytest.raises(ValueError, match="to_onnx: dtype must be 'float64' or 'float32', found 'float16'"):
        to_onnx(bare, path, "float16")
    with pytest.raises(ValueError, match="to_onnx: dtype must be 'float64' or 'float32', found 'float16'"):
        micrograd.compile(lambda x: x * 2).onnx_model("float16")
    with pytest.raises(ValueError, match="to_onnx: a number is beyond those of float32"):
        micrograd.compile(lambda x: x * 1e60).onnx_model("float32")
    with pytest.raises(TypeError, match=r"to_onnx: grad=True needs a compiled function: micrograd.compile\(net\)"):
        to_onnx(MLP(1, [1]), path, grad=True)
    step = micrograd.compile(lambda x: x * W[0])
    W[0].data = math.inf
    with pytest.raises(ValueError, match=r"the parameter .* is not finite: a model that diverged is not passed on"):
        to_onnx(step, path)
    W[0].data = 0.75
    assert not path.exists()


def test_matrices_in_jax(numpy):
    """The page on what flax and equinox take, run, and held against the network in plain JAX."""
    jnp = pytest.importorskip("jax.numpy", reason='needs jax: pip install "micrograd-lab[jax]"')
    page = (Path(__file__).parents[1] / "docs" / "many-devices.md").read_text(encoding="utf-8")
    [program] = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "matrices=True" in block]
    there = {}
    exec(compile(program, "many-devices.md", "exec"), there)
    net = MLP(2, [8, 1], activation="tanh", rng=1)
    rows = [[0.5, -1.0], [2.0, 0.25]]
    found = there["forward"](there["params"], jnp.array(rows))
    assert numpy.allclose(found[:, 0], net.predict(rows), rtol=ROUNDING32)
    assert [shape for weight, bias in there["layers"] for shape in (weight.shape, bias.shape)] == [(8, 2), (8,), (1, 8), (1,)]
    back, state = there["net"].state_dict(), net.state_dict()
    assert list(back) == list(state) and numpy.allclose(list(back.values()), list(state.values()), rtol=ROUNDING32)


# A compiled function, and the file of its network

X, Y = [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], [0.0, 1.0, 1.0]


def half(net):
    return lambda x, y: micrograd.losses.half_squared_error(net(x), y)


def mean_of(net):
    return math.fsum(half(net)(x, y).data for x, y in zip(X, Y)) / len(X)


@pytest.mark.parametrize("scaler", [None, Standardizer([0.5, 0.25], [2.0, 4.0])], ids=["bare", "scaled"])
@pytest.mark.parametrize("name", ["net.json", "net.safetensors"])
def test_a_compiled_function_loads_its_network(name, scaler, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = MLP(2, [3, 1], activation="tanh", rng=5, scaler=scaler)
    if name.endswith("json"):
        other.save(name)
    else:
        request.getfixturevalue("safetensors")
        to_safetensors(other, name)
    net = MLP(2, [3, 1], activation="tanh", rng=0, scaler=scaler)
    step, outputs = micrograd.compile(half(net), inputs=(2, None)), micrograd.compile(net)
    assert step(X, Y) != pytest.approx(mean_of(other))
    step.load(name)
    assert net.state_dict() == other.state_dict()
    assert step.value(X, Y) == pytest.approx(mean_of(other), rel=1e-12)
    assert list(outputs.map(X)) == pytest.approx(other.predict(X), rel=1e-12)
    net.load_state_dict(MLP(2, [3, 1], rng=1).state_dict())
    outputs.load(name)
    assert net.state_dict() == other.state_dict()


def test_of_two_networks_the_one_that_fits_is_loaded(tmp_path):
    wide, deep, file = MLP(2, [3, 1], rng=0), MLP(2, [2, 2, 1], rng=0), tmp_path / "net.json"
    both = micrograd.compile(lambda x: wide(x) * deep(x), inputs=[2])
    before, other = wide.state_dict(), MLP(2, [2, 2, 1], rng=3)
    other.save(file)
    both.load(file)
    assert deep.state_dict() == other.state_dict() and wide.state_dict() == before


@pytest.mark.parametrize("other", [MLP(2, [3, 1], rng=5), MLP(2, [4, 1], activation="tanh", rng=5),
                                   MLP(2, [3, 1], activation="tanh", rng=5, scaler=Standardizer([0, 0], [1, 2]))],
                         ids=["activation", "width", "scaler"])
def test_the_file_of_another_network_changes_nothing(other, tmp_path):
    net = MLP(2, [3, 1], activation="tanh", rng=0)
    step = micrograd.compile(half(net), inputs=(2, None))
    before = net.state_dict()
    other.save(tmp_path / "net.json")
    with pytest.raises(ValueError, match=r"is not loaded from .*net.json, which is of another network than it was compiled with"):
        step.load(tmp_path / "net.json")
    with pytest.raises(ValueError, match="not a saved model"):
        (tmp_path / "text").write_text("hello")
        step.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        step.load(tmp_path / "none")
    assert net.state_dict() == before
    again, file = MLP(2, [3, 1], activation="tanh", rng=1), tmp_path / "net.json"
    twins = micrograd.compile(lambda x: net(x) + again(x), inputs=[2])
    net.save(file)
    with pytest.raises(ValueError, match="which fits several of its networks"):
        twins.load(file)
    with pytest.raises(ValueError, match="no network whose parameters it computes with"):
        pickle.loads(pickle.dumps(step)).load(file)


def test_a_compiled_function_loads_its_checkpoint(safetensors, tmp_path):
    net = MLP(2, [3, 1], activation="tanh", rng=0)
    step = micrograd.compile(half(net), inputs=(2, None))
    step.fit(X, Y, epochs=3, checkpoint=tmp_path / "run.safetensors")
    learnt = net.state_dict()
    step.fit(X, Y, epochs=2)
    step.load(tmp_path / "run.safetensors")
    assert net.state_dict() == learnt
    other = pickle.loads(pickle.dumps(step))
    other.params[0].data = 7.0
    other.load(tmp_path / "run.safetensors")
    assert [p.data for p in other.params] == [p.data for p in step.params]
    with pytest.raises(ValueError, match="holds the run of another function, lambda, with 13 parameters: the operations differ"):
        micrograd.compile(lambda x: net(x), inputs=[2]).load(tmp_path / "run.safetensors")
    assert net.state_dict() == learnt
