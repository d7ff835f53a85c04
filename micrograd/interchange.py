"""Networks that come from elsewhere and go there: PyTorch modules, safetensors files, ONNX files.

An MLP is read as its layers (a matrix, a bias, an activation), and each format is a way to write these down. Packages
(torch, safetensors, onnx, numpy) are loaded when a function needs them. This module knows nothing of training.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ops
from .compiler.onnx_graph import DTYPES, ROWS, Functions, OnnxGraph, Tensor, as_array, onnx_library
from .files import FileName, write_whole
from .modules import FORMAT, VERSION, check_shape
from .nn import MLP, Activation, Layer, Neuron
from .packages import needed
from .standardizer import Standardizer

if TYPE_CHECKING:
    from .compiler.compiled import Compiled

__all__ = ["to_torch", "from_torch", "to_safetensors", "from_safetensors", "to_onnx"]

# The module of torch.nn that computes a row, and the settings with which it does
TORCH: dict[ops.Op, tuple[str, dict[str, Any]]] = {
    ops.relu: ("ReLU", {}),
    ops.leaky_relu: ("LeakyReLU", {"negative_slope": ops.leaky_relu.defaults[0]}),
    ops.elu: ("ELU", {"alpha": ops.elu.defaults[0]}),
    ops.gelu: ("GELU", {"approximate": "none"}),
    ops.silu: ("SiLU", {}),
    ops.sigmoid: ("Sigmoid", {}),
    ops.tanh: ("Tanh", {}),
    ops.softplus: ("Softplus", {"beta": 1, "threshold": 40}),  # above it torch returns x: softplus from 37 on
}
LEAST_THRESHOLD = 20  # torch's own for Softplus, which is off by 2.1e-9 there; a lower one is another function

KEY = "micrograd"  # of the metadata in a safetensors file


class Dense(NamedTuple):
    """A layer as other programs have it: s(W x + b)."""

    number: int                # in the notation: 2..K
    place: int                 # where its Linear stands in a Sequential
    weight: list[list[float]]  # a row for each neuron
    bias: list[float] | None
    activation: Activation     # None for a linear layer

    def tensors(self) -> dict[str, Any]:
        """The matrix, and the bias if there is one, by the names that they have in a Sequential."""
        bias = {} if self.bias is None else {f"{self.place}.bias": self.bias}
        return {f"{self.place}.weight": self.weight, **bias}

    def row(self) -> ops.Op:
        """The row of the activation; TypeError where that is a Python function."""
        if isinstance(self.activation, str):
            return ops.named(self.activation)
        name = getattr(self.activation, "__name__", type(self.activation).__name__)
        raise TypeError(f"layer {self.number}: the activation {name} is a Python function, which no other program "
                        "knows; pass the name of an op")


def _layers(net: Any, function: str, finite: bool = True) -> list[Dense]:
    """The layers of an MLP; TypeError or ValueError for anything else, for custom computations and diverged nets."""
    if not isinstance(net, MLP):
        raise TypeError(f"{function} needs an MLP, found {type(net).__name__} (give it the net itself: not its outputs "
                        "or its state_dict; a layer alone is MLP(nin, [nout]))")
    neurons = [neuron for layer in net.layers for neuron in layer.neurons]
    inner = {type(part): kind for kind, parts in ((Layer, net.layers), (Neuron, neurons)) for part in parts}
    own = [part.__name__ for part, kind in inner.items() if part is not kind]
    if own or (type(net).forward, type(net).__call__) != (MLP.forward, MLP.__call__):
        raise TypeError(f"{function} needs an MLP of Layers of Neurons; found a custom computation in "
                        f"{', '.join(own) or type(net).__name__}")
    for path, x in net.state_dict().items():
        if finite and not math.isfinite(x):
            raise ValueError(f"{function}: parameter {path!r} is {x}: a model that diverged is not passed on")
    found, place = [], 0
    for number, layer in enumerate(net.layers, 2):
        first = layer.neurons[0]
        for neuron in layer.neurons:
            if neuron.activation != first.activation or (neuron.b is None) != (neurons[0].b is None):
                raise ValueError(f"{function}: the neurons of layer {number} differ; expected one activation per "
                                 "layer, and a bias for every neuron of the net or for none")
        biases = [neuron.b.data for neuron in layer.neurons if neuron.b is not None]
        found.append(Dense(number, place, [[w.data for w in neuron.w] for neuron in layer.neurons], biases or None,
                           first.activation if first.nonlin else None))
        place += 1 + first.nonlin
    return found


def _zero(nin: int, nout: int, rng: Any) -> float:
    """An initial weight that is overwritten at once: no random number is drawn."""
    return 0.0


def _fill(net: MLP, layers: Sequence[Dense]) -> MLP:
    for layer, dense in zip(net.layers, layers):
        for i, neuron in enumerate(layer.neurons):
            for w, number in zip(neuron.w, dense.weight[i]):
                w.data = number
            if neuron.b is not None and dense.bias is not None:
                neuron.b.data = dense.bias[i]
    return net


# PyTorch

def to_torch(net: MLP, dtype: Any = None) -> Any:
    """The network as a torch.nn.Sequential of Linear and activation modules: the same outputs, to rounding.

    The module takes a row of nin numbers or a table of them, and keeps the last axis even where there is one output. A
    scaler is folded into the first Linear, W/s and b − W (m/s), which has a bias then even in a net without; means that
    are large relative to their scales cost digits there. Softplus gets a threshold of 40, as torch's own, 20, costs
    half of the digits. No random number of torch is drawn.

    Args:
        net: an MLP.
        dtype: of the parameters, and of the inputs that the module takes: "float64" (the default), "float32", or a
            floating dtype of torch.

    Returns:
        A torch.nn.Sequential.

    Raises:
        TypeError: for anything but an MLP, for an activation that is a Python function, or for another dtype.
        ValueError: for an activation that torch.nn lacks, or a parameter that is not finite, in the net or in this
            dtype.
        ImportError: where torch is missing.

    Example:
        >>> net = micrograd.MLP(2, [3, 1], activation="tanh")
        >>> micrograd.to_torch(net)
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): Tanh()
          (2): Linear(in_features=3, out_features=1, bias=True)
        )
    """
    layers = _layers(net, "to_torch")
    torch = needed("torch", "torch")
    dtype = getattr(torch, dtype or DTYPES[0]) if dtype is None or dtype in DTYPES else dtype
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"to_torch: dtype must be 'float64', 'float32' or a floating dtype of torch, found {dtype!r}")
    for layer in layers:
        if layer.activation is not None and layer.row() not in TORCH:
            raise ValueError(f"layer {layer.number}: torch.nn has no module for {layer.activation}; it has one for "
                             f"{', '.join(row.name for row in TORCH)}")
    if net.scaler is not None:
        layers[0] = _folded(layers[0], net.scaler)
    modules = []
    for layer in layers:
        linear = torch.nn.utils.skip_init(torch.nn.Linear, len(layer.weight[0]), len(layer.weight), dtype=dtype,
                                          bias=layer.bias is not None)
        for parameter, numbers in zip(linear.parameters(), layer.tensors().values()):
            parameter.data.copy_(torch.tensor(numbers, dtype=torch.float64))
            if not parameter.isfinite().all():
                raise ValueError(f"layer {layer.number}: a parameter is beyond the numbers of {dtype}")
        modules.append(linear)
        if layer.activation is not None:
            kind, settings = TORCH[layer.row()]
            modules.append(getattr(torch.nn, kind)(**settings))
    return torch.nn.Sequential(*modules)


def _folded(layer: Dense, scaler: Standardizer) -> Dense:
    weight = [[w / s for w, s in zip(row, scaler.scales)] for row in layer.weight]
    shifts = [math.fsum(w * m for w, m in zip(row, scaler.means)) for row in weight]
    bias = [b - shift for b, shift in zip(layer.bias or [0.0] * len(shifts), shifts)]
    return layer._replace(weight=weight, bias=bias)


def from_torch(module: Any) -> MLP:
    """An MLP that computes what the module does, with its numbers to the last bit.

    Two Linear in a row make a linear layer. What does nothing to a table is left out: Identity, Flatten(), and Dropout
    with p=0 or after module.eval(). Where some Linear have a bias and others none, these get one of 0. Parameters of
    float32, float16 and bfloat16 are read exactly; a shared one becomes one per place.

    Args:
        module: a torch.nn.Sequential (others may be nested in it) of Linear, each followed by at most one activation:
            ReLU, LeakyReLU(0.01), ELU, GELU, SiLU, Sigmoid, Tanh, or Softplus, which has no threshold here: torch's own
            makes a difference of 2.1e-9 at most.

    Returns:
        An MLP.

    Raises:
        TypeError: for anything but a module.
        ValueError: for a layer that cannot be expressed: it names the first one.
        ImportError: where torch is missing.

    Example:
        >>> import torch
        >>> micrograd.from_torch(torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Tanh()))
        MLP of [Layer of [TanhNeuron(2)]]
    """
    torch = needed("torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch needs a torch.nn.Sequential, found {type(module).__name__} (give it the module "
                        "itself: not its state_dict, its outputs, or the path of a file)")
    layers: list[Dense] = []
    for name, part in _flat(torch, module, ""):
        try:
            if _is(part, torch.nn.Linear):
                if layers and part.in_features != len(layers[-1].weight):
                    raise ValueError(f"it takes {part.in_features} inputs, where the Linear before gives "
                                     f"{len(layers[-1].weight)}")
                weight = _numbers(torch, part.weight)
                bias = None if part.bias is None else _numbers(torch, part.bias)
                layers.append(Dense(len(layers) + 2, len(layers), weight, bias, None))
            elif not _does_nothing(torch, part):
                activation = _activation(torch, part)
                if not layers or layers[-1].activation is not None:
                    raise ValueError("an activation must follow a Linear, and each Linear has at most one activation")
                layers[-1] = layers[-1]._replace(activation=activation)
        except ValueError as error:
            text = " ".join(repr(part).split())
            text = text if len(text) <= 80 else f"{text[:77]}..."
            raise ValueError(f"{name and f'{name}: '}{text} cannot be expressed in an MLP: {error}") from None
    if not layers:
        raise ValueError("from_torch needs a Linear, and the module has none")
    net = MLP(len(layers[0].weight[0]), [len(layer.weight) for layer in layers], init=_zero,
              activation=[layer.activation for layer in layers], bias=any(layer.bias is not None for layer in layers))
    return _fill(net, layers)


def _flat(torch: Any, module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The modules in a Sequential in their order, with the names that its state_dict gives them."""
    if not _is(module, torch.nn.Sequential):
        yield name, module
        return
    for below, part in module._modules.items():  # named_children() leaves out a module's second place
        yield from _flat(torch, part, f"{name}.{below}" if name else below)


def _is(part: Any, kind: Any) -> bool:
    """Tell whether it computes what this class does: a subclass may, but not with a custom forward or with hooks."""
    return (isinstance(part, kind) and getattr(part.forward, "__func__", None) is kind.forward
            and not part._forward_hooks and not part._forward_pre_hooks)


def _numbers(torch: Any, parameter: Any) -> Any:
    if parameter.is_meta:
        raise ValueError("its parameters have no numbers yet (device meta)")
    if not parameter.is_floating_point():
        raise ValueError(f"its parameters are {parameter.dtype}, not real numbers")
    if not parameter.numel():
        raise ValueError("it has no inputs or no outputs")
    if parameter.numel() * parameter.element_size() > parameter.untyped_storage().nbytes():
        raise ValueError("a parameter repeats the numbers that it has in memory, as expand() does: make it "
                         "contiguous(), if that many are meant")
    if not parameter.isfinite().all():
        raise ValueError("a parameter is inf or nan: a model that diverged is not passed on")
    return parameter.detach().to("cpu", torch.float64).tolist()


def _does_nothing(torch: Any, part: Any) -> bool:
    if _is(part, torch.nn.Dropout) and part.p and part.training:
        raise ValueError("it drops numbers at random; call .eval() on the module first")
    return (_is(part, torch.nn.Identity) or _is(part, torch.nn.Dropout)
            or (_is(part, torch.nn.Flatten) and (part.start_dim, part.end_dim) == (1, -1)))


def _activation(torch: Any, part: Any) -> str:
    """The name of the row that the module computes; ValueError where there is none."""
    known = ["Linear"]
    for row, (kind, settings) in TORCH.items():
        if _is(part, getattr(torch.nn, kind)):
            for setting, expected in settings.items():
                found = getattr(part, setting)
                if found != expected and not (setting == "threshold" and found >= LEAST_THRESHOLD):
                    raise ValueError(f"{setting} is {found}, where the op {row.name} has {expected}")
            return row.name
        known.append(f"{kind}({', '.join(f'{setting}={value!r}' for setting, value in settings.items())})")
    raise ValueError(f"supported modules: Sequential, {', '.join(known)}, Identity(), Flatten() and Dropout that does "
                     "nothing, all without hooks or a custom forward")


# safetensors

def to_safetensors(net: MLP, path: FileName) -> None:
    """Write the network to a safetensors file, from which `from_safetensors` makes it again, every bit.

    The tensors are float64 and have the names of the state_dict of `to_torch(net)`: "0.weight" (nout, nin), "0.bias"
    (nout,), ..., so that a net without a scaler is loaded by model.load_state_dict(safetensors.torch.load_file(path)).
    A scaler is two tensors more, "scaler.means" and "scaler.scales". The metadata holds the rest of `net.config()` and
    `net.meta`, as JSON. The file is whole or not there.

    Args:
        net: an MLP.
        path: of the file.

    Raises:
        TypeError: for anything but an MLP, or for an activation that is a Python function.
        ValueError: for a parameter that is inf or nan.
        ImportError: where safetensors or numpy is missing.

    Example:
        >>> net = micrograd.MLP(2, [3, 1])
        >>> micrograd.to_safetensors(net, "net.safetensors")
        >>> micrograd.from_safetensors("net.safetensors").state_dict() == net.state_dict()
        True
    """
    tensors = {name: numbers for layer in _layers(net, "to_safetensors") for name, numbers in layer.tensors().items()}
    if net.scaler is not None:
        tensors.update({"scaler.means": net.scaler.means, "scaler.scales": net.scaler.scales})
    about = json.dumps({"format": FORMAT, "version": VERSION, "config": {**net.config(), "scaler": None},
                        "meta": net.meta}, allow_nan=False)
    numpy, safetensors = (needed(package, "safetensors") for package in ("numpy", "safetensors.numpy"))
    arrays = {name: numpy.array(numbers, dtype=float) for name, numbers in tensors.items()}
    write_whole(path, safetensors.save(arrays, {KEY: about}))


def from_safetensors(path: FileName, into: MLP | None = None) -> MLP:
    """The network in a safetensors file; or `into`, with the numbers of the file.

    Without `into` the file is one of `to_safetensors`, and the network is made again, its scaler and its meta included.
    With it the file may be anyone's, such as safetensors.torch.save_file(model.state_dict(), path): the tensors have
    the names and the shapes that `to_safetensors(into, path)` would give them, and are float64, float32 or float16;
    activations and meta stay those of `into`, and so does the scaler where the file has none. Nothing in the file is
    run as code.

    Args:
        path: of the file.
        into: an MLP that is to have the numbers.

    Returns:
        An MLP.

    Raises:
        ValueError: for a damaged file, or one of another kind; with `into` it names the first tensor that does not fit,
            and the net is as it was.
        TypeError: if `into` is anything but an MLP.
        ImportError: where safetensors or numpy is missing.

    Example:
        >>> net, other = micrograd.MLP(2, [3, 1]), micrograd.MLP(2, [3, 1])
        >>> micrograd.to_safetensors(net, "net.safetensors")
        >>> micrograd.from_safetensors("net.safetensors", into=other) is other
        True
    """
    where = os.fspath(path)
    if into is not None:
        _layers(into, "from_safetensors(into)", finite=False)
    tensors, about = _read(where)
    net = _blank(where, tensors, about) if into is None else into
    layers = _layers(net, "from_safetensors", finite=False)
    shapes = {name: (len(x), len(x[0])) if name.endswith("weight") else (len(x),)
              for layer in layers for name, x in layer.tensors().items()}
    scaled = "scaler.means" in tensors
    if scaled:
        shapes.update({"scaler.means": (net.nin,), "scaler.scales": (net.nin,)})
    for name in [*shapes, *tensors]:
        found = tensors[name].shape if name in tensors else "no such tensor"
        expected = shapes.get(name, "no such tensor")
        if found != expected:
            raise ValueError(f"{where}: tensor {name!r}: expected {expected}, found {found}; {_held(tensors)}")
    numbers = {name: tensor.tolist() for name, tensor in tensors.items()}
    if scaled:
        try:
            net.scaler = Standardizer(numbers["scaler.means"], numbers["scaler.scales"])
        except ValueError as error:
            raise ValueError(f"{where} is damaged: {error}") from None
    return _fill(net, [layer._replace(weight=numbers[f"{layer.place}.weight"], bias=numbers.get(f"{layer.place}.bias"))
                       for layer in layers])


def _read(where: str) -> tuple[dict[str, Any], str | None]:
    """The tensors in the file, as float64 arrays, and what `to_safetensors` wrote about them."""
    numpy, safetensors = (needed(package, "safetensors") for package in ("numpy", "safetensors"))
    tensors = {}
    try:
        with safetensors.safe_open(where, framework="numpy") as file:
            about = file.metadata() or {}
            if about.get("format", "").startswith("micrograd"):
                raise ValueError(f"{where} is a {about['format']}, expected a network: let fit go on with it "
                                 f"(checkpoint={where!r}), then write the network by to_safetensors")
            for name in file.keys():  # noqa: SIM118  (it is not a dict)
                kind = file.get_slice(name).get_dtype()
                if kind not in ("F64", "F32", "F16"):
                    raise ValueError(f"{where}: tensor {name!r} is {kind}, expected F64, F32 or F16; with torch, save "
                                     "model.float().state_dict()")
                tensors[name] = file.get_tensor(name).astype(float)
                if not numpy.isfinite(tensors[name]).all():
                    raise ValueError(f"{where}: tensor {name!r} holds inf or nan; a model that diverged is not read")
            return tensors, about.get(KEY)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{where} is not a safetensors file, or damaged: {error}") from None


def _held(tensors: dict[str, Any]) -> str:
    some = [f"{name} {tensor.shape}" for name, tensor in tensors.items()][:6]
    return f"the file has {', '.join(some) or 'no tensors'}{', ...' if len(tensors) > 6 else ''}"


def _blank(where: str, tensors: dict[str, Any], about: str | None) -> MLP:
    """The network that the metadata describes, without its numbers."""
    if about is None:
        raise ValueError(f"{where} does not say which activations its network has, as to_safetensors did not write "
                         f"it: pass into=MLP(...), a net of its shape; {_held(tensors)}")
    try:
        document = json.loads(about)
        if (document["format"], document["version"]) != (FORMAT, VERSION):
            raise ValueError(f"version {VERSION} expected, found {document['version']!r}")
        check_shape(document["config"], sum(t.size for name, t in tensors.items() if not name.startswith("scaler.")))
        net = MLP(**{**document["config"], "init": _zero})
        net.meta = dict(document["meta"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{where} is damaged, or made for other ops: {error}") from error
    return net


# ONNX

# Activations as other programs write them; m has the functions of tensors. They are faster than those of the library of
# arrays, which all others are written by, with all digits of tails and at inf.
IN_ONNX: dict[ops.Op, Callable[..., Any]] = {
    ops.relu: lambda m, z: m.relu(z),
    ops.leaky_relu: lambda m, z, k: m.relu(z) - k * m.relu(-z),
    ops.elu: lambda m, z, k: m.relu(z) + k * m.expm1(-m.relu(-z)),
    ops.gelu: lambda m, z: 0.5 * z * (1 + m.erf(z / math.sqrt(2))),
    ops.silu: lambda m, z: z * m.sigmoid(z),
    ops.sigmoid: lambda m, z: m.sigmoid(z),
    ops.tanh: lambda m, z: m.tanh(z),
    ops.softplus: lambda m, z: m.relu(z) + m.log(1 + m.exp(-m.abs(z))),
}


def to_onnx(net: MLP | Compiled[Any], path: FileName, dtype: str = "float64", grad: bool = False) -> None:
    """Write a network, or a compiled function, to an ONNX file (opset 17), which onnxruntime and many others run.

    The model of a network takes one input, "x", a table (rows, nin) of any number of rows, and gives one output, "y"
    (rows, nout). That of a compiled function takes its arguments under their names, (rows,) for a number and (rows, n)
    for a list of n, and gives "value" (rows, outputs), what `step.map` computes. The outputs are the same to rounding.
    Parameters are written with their present numbers, and a scaler is part of the model. An op of your own is written
    too, where its function is made of operators and rows. The model is checked by onnx, and the file is whole or not
    there.

    Args:
        net: an MLP, or what `micrograd.compile` returned.
        path: of the file.
        dtype: of all its numbers, "float64" or "float32".
        grad: for a compiled function, whether there is a second output, "gradient" (rows, inputs), the derivatives of
            the first output by each number that goes in, as `step.map(..., grad=True)` has them.

    Raises:
        TypeError: for anything else, for an activation that is a Python function, or for grad with a network.
        ValueError: for another dtype, for an op that cannot be written, or for a parameter that is not finite, in the
            net or in this dtype.
        ImportError: where onnx or numpy is missing.

    Example:
        >>> micrograd.to_onnx(micrograd.MLP(2, [3, 1]), "net.onnx")
        >>> micrograd.to_onnx(micrograd.compile(lambda a, b: a * micrograd.exp(b)), "f.onnx", grad=True)
    """
    write = getattr(net, "onnx_model", None)  # of a compiled function
    if grad and write is None:
        raise TypeError("to_onnx: grad=True needs a compiled function: micrograd.compile(net)")
    try:
        write_whole(path, _network(net, dtype) if write is None else write(dtype, grad))
    except OverflowError as error:
        raise ValueError(f"to_onnx: {error}") from None


def _network(net: Any, dtype: str) -> bytes:
    """The model of a network: a Gemm for each layer, and its activation."""
    layers, graph = _layers(net, "to_onnx"), OnnxGraph(dtype)
    y = graph.input("x", net.nin)
    if net.scaler is not None:
        if dtype != DTYPES[0] and min(net.scaler.scales) < 2.0 ** -126:
            raise OverflowError(f"a scale of the scaler is 0 in {dtype}")
        y = (y - as_array(net.scaler.means, dtype)) / as_array(net.scaler.scales, dtype)
    for layer in layers:
        parameters = [graph.constant(numbers, name) for name, numbers in layer.tensors().items()]
        y = graph.node("Gemm", y, *parameters, transB=1, shape=(ROWS, len(layer.weight)))
        if layer.activation is not None:
            y = _activated(layer, y)
    return graph.model({"y": y})


def _activated(layer: Dense, z: Tensor) -> Tensor:
    row, library = layer.row(), onnx_library()
    function = partial(IN_ONNX[row], Functions()) if row in IN_ONNX else library.rows.get(row) or library.opaque(row)
    try:
        y: Tensor = function(z, *row.defaults)
    except ValueError as error:
        raise ValueError(f"layer {layer.number}: {error}") from None
    return y
