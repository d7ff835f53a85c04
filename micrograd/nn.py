"""Neurons, layers and multilayer perceptrons, built from Values one neuron at a time.

The notation is that of lecture notes on backpropagation: layers are numbered 1..K, layer 1 being the input, and neuron
i of layer k computes

    z^k_i = b^k_i + w^k_{i,1} a^{k-1}_1 + w^k_{i,2} a^{k-1}_2 + ...        a^k_i = s(z^k_i)

Parameters carry these names as labels from birth, and so do the z and a nodes of every forward pass.
This module knows nothing of costs, training, drawing or data.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import mul
from typing import Any, Literal, TypeVar, Union, overload

from . import ops
from .arguments import as_float, is_number, many, number, seed, shown, whole
from .data.dataset import is_table, rows, single, tree
from .engine import Number, Value, constant, in_signs, shown_in_notebook
from .files import File, read_whole, write_whole

__all__ = ["Module", "Neuron", "Layer", "MLP", "Standardizer"]

Activation = Union[str, Callable[[Value], Value], None]
Self = TypeVar("Self", bound="Module")


class Module:
    """Something with parameters. Subclasses hold Values and Modules in attributes, or in lists, tuples and dicts.

    Attributes:
        meta: whatever else belongs in the file of `save`: a dict of plain JSON data.

    Example:
        >>> class Line(micrograd.Module):
        ...     def __init__(self):
        ...         self.a, self.b = micrograd.Value(2.0), micrograd.Value(1.0)
        ...     def __call__(self, x):
        ...         return self.a * x + self.b
        >>> Line()(3.0).data, len(Line().parameters())
        (7.0, 2)
    """

    meta: dict[str, Any]

    def __call__(self, x: Any) -> Any:
        """The outputs for the inputs.

        Args:
            x: what the module takes.

        Returns:
            A Value, or a list of them.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Every parameter once, with the path to it.

        Returns:
            Pairs of a path and a Value.

        Example:
            >>> [path for path, p in micrograd.MLP(1, [1]).named_parameters()]
            ['layers.0.neurons.0.w.0', 'layers.0.neurons.0.b']
        """
        found: dict[Value, str] = {}
        for name, value in vars(self).items():
            for path, parameter in _parameters_in(name, value):
                found.setdefault(parameter, path)
        return [(path, parameter) for parameter, path in found.items()]

    def parameters(self) -> list[Value]:
        """Every parameter once, in the order of construction."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0, as one does before each backward pass."""
        for p in self.parameters():
            p.grad = 0.0

    @overload
    def state_dict(self, matrices: Literal[False] = False) -> dict[str, float]: ...

    @overload
    def state_dict(self, matrices: bool) -> dict[str, Any]: ...

    def state_dict(self, matrices: bool = False) -> dict[str, Any]:
        """The number in every parameter, by path. `load_state_dict` takes it back.

        Args:
            matrices: give of each layer "layers.0.weight", a list of lists with a row for each neuron, and
                "layers.0.bias", a list, as torch, equinox and many others have them.

        Returns:
            A dict from paths to floats; or, with matrices, to lists of them.

        Raises:
            ValueError: if a parameter stands in several places, so that there is no matrix.

        Example:
            >>> micrograd.MLP(2, [1], init=lambda nin, nout, rng: 0.5).state_dict(matrices=True)
            {'layers.0.weight': [[0.5, 0.5]], 'layers.0.bias': [0.0]}
        """
        if not matrices:
            return {path: p.data for path, p in self.named_parameters()}
        state: dict[str, Any] = {}
        for path, p in self.named_parameters():
            name, *places = _in_a_matrix(path)
            if not places:
                state[name] = p.data
            elif not _appended(state.setdefault(name, []), places, p.data):
                raise ValueError(f"a parameter of {name!r} stands elsewhere, too, so that they make no matrix: take "
                                 "state_dict(), by path")
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every parameter to the number of its path; all of them or none.

        Args:
            state: the numbers by path, as `state_dict` gives them. An array, or a list, has the numbers of all paths
                that begin with its own: "layers.0.neurons.1.w". A layer may be given by its matrices, as
                `state_dict(matrices=True)` gives them.

        Raises:
            ValueError: if a parameter is lacking, or the state has one that is unknown here.
            TypeError: for what is no dict, or no number.

        Example:
            >>> one, other = micrograd.MLP(2, [2, 1]), micrograd.MLP(2, [2, 1])
            >>> other.load_state_dict(one.state_dict())
            >>> other.predict([[1.0, 2.0]]) == one.predict([[1.0, 2.0]])
            True
        """
        parameters = dict(self.named_parameters())
        if not isinstance(state, Mapping):
            raise TypeError("load_state_dict needs a dict of numbers by path, such as state_dict() gives, found "
                            f"{shown(state)}")
        also = {".".join(map(str, _in_a_matrix(path))): path for path in parameters}
        entries = [(also.get(path, path), x) for name, numbers in state.items()
                   for path, x in _spread(name, tree(f"parameter {name!r}", numbers))]
        if len(dict(entries)) < len(entries):
            raise ValueError("the state has a parameter twice, by itself and in an array")
        state = dict(entries)
        for problem, paths in (("lacks", parameters.keys() - state.keys()),
                               ("has unknown", state.keys() - parameters.keys())):
            if paths:
                raise ValueError(f"the state {problem} {_some(sorted(paths))}; this {type(self).__name__} has "
                                 f"{len(parameters)} parameters: {_some(list(parameters))}")
        numbers = [number(state[path], f"parameter {path!r}") for path in parameters]
        for p, x in zip(parameters.values(), numbers):
            p.data = x

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return shown_in_notebook(self)

    def config(self) -> dict[str, Any]:
        """The keyword arguments that make a module of this shape again, as plain JSON data; for `save`.

        Raises:
            TypeError: for a class that does not say them, or an activation that is a Python function.
        """
        raise TypeError(f"a {type(self).__name__} does not say how to make it again: give it a config() method, or "
                        "save its state_dict() with json")

    def save(self, path: File) -> None:
        """Write the module to a JSON file: shape, parameters to the last digit, and `meta`.

        The file is whole or not there.

        Args:
            path: of the file; or a stream of bytes.

        Raises:
            TypeError: where the shape cannot be written (an activation that is not an op of the table).
            ValueError: for a parameter that is inf or nan, or if there are no parameters.

        Example:
            >>> net = micrograd.MLP(2, [3, 1])
            >>> net.save("net.json")
            >>> micrograd.MLP.load("net.json").state_dict() == net.state_dict()
            True
        """
        state = self.state_dict()
        if not state:
            raise ValueError(f"a {type(self).__name__} without parameters is not saved")
        for name, x in state.items():
            if not math.isfinite(x):
                raise ValueError(f"parameter {name!r} is {x}: a model that diverged is not saved")
        document = {"format": FORMAT, "version": VERSION, "class": type(self).__name__, "config": self.config(),
                    "parameters": state, "meta": vars(self).get("meta", {})}
        content = json.dumps(document, indent=1, allow_nan=False)
        write_whole(path, f"{content}\n".encode())

    @classmethod
    def load(cls: type[Self], path: File) -> Self:
        """Read a module that `save` wrote.

        It runs no code from the file, and makes no network that is larger than the file.

        Args:
            path: of the file; or a stream of bytes.

        Returns:
            A new module of this class.

        Raises:
            ValueError: for any other file.
        """
        where, content = read_whole(path)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where} is not a saved model: it is not JSON ({error})") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f"{where} is not a saved model: it lacks \"format\": {FORMAT!r}")
        if document.get("version") != VERSION:
            raise ValueError(f"{where} has version {document.get('version')!r}; this program reads {VERSION}")
        if document.get("class") != cls.__name__:
            raise ValueError(f"{where} holds a {document.get('class')}, not a {cls.__name__}")
        try:
            state, config = dict(document["parameters"]), dict(document["config"])
            check_shape(config, len(state))
            if not all(map(math.isfinite, state.values())):
                raise ValueError("a parameter is not finite")
            module = cls(**config)
            module.load_state_dict(state)
            module.meta = dict(document["meta"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise ValueError(f"{where} is damaged, or made for other ops: {error}") from error
        return module


def check_shape(config: Mapping[str, Any], found: int) -> None:
    """Before a network of a file is made: a ValueError unless its layers need as many parameters as the file has."""
    if "nin" in config and "nouts" in config:
        sizes = [whole(n, "a file", 1) for n in (config["nin"], *config["nouts"])]
        if sum(map(mul, sizes, sizes[1:])) + sum(sizes[1:]) * bool(config.get("bias", True)) != found:
            raise ValueError(f"its layers need more or fewer parameters than the {found:,} that it has")


FORMAT, VERSION = "micrograd model", 1


class Neuron(Module):
    """One neuron: called on its inputs it returns a = s(b + w·x).

    Args:
        nin: the number of inputs, 1 or more.
        nonlin: False for a = z, where no activation is given.
        activation: the name of an op ("tanh"), or a function from a Value to a Value; None or "linear" for a = z. By
            default "relu", or linear with nonlin=False.
        init: how the weights are drawn: "uniform" in (−1, 1); "xavier" (or "glorot"), "he", "lecun": uniform, with the
            variance of their authors; "auto": the one of these that fits the activation; or a function (nin, nout, rng)
            → float.
        bias: False for a neuron without one.
        rng: a seed, or an object with uniform(low, high); by default the `random` module.
        layer, index: its place in a network, for the labels.
        chain: whether each layer of the network has one neuron: then labels carry no indices.
        fan_out: the width of its layer, for some inits.

    Raises:
        ValueError: for an activation or an init that there is none of, or nin < 1.
        TypeError: for arguments of the wrong kind.

    Example:
        >>> neuron = micrograd.Neuron(2, activation="tanh", rng=1)
        >>> neuron.b.data, len(neuron.w)
        (0.0, 2)
        >>> neuron([0.0, 0.0]).data
        0.0
    """

    def __init__(self, nin: int, nonlin: bool = True, *, activation: Activation = None, init: Init = "uniform",
                 bias: bool = True, rng: Any = None, layer: int | None = None, index: int | None = None,
                 chain: bool = False, fan_out: int = 1) -> None:
        nin = whole(nin, "Neuron(nin)", 1)
        if not is_number(nonlin):
            raise TypeError(f"Neuron(nonlin) is True or False, found {shown(nonlin)}; a function is activation=...")
        if isinstance(activation, ops.Op):
            activation = activation.name
        self.activation = activation if activation is not None else "relu" if nonlin else "linear"
        self._act = _function(self.activation)
        self.nonlin = self._act is not None
        places: list[Any] = [index] if index is not None else []
        inputs = [[*places, j + 1] for j in range(nin)]
        if chain or (nin == 1 and not places):
            places, inputs = [], [[]]
        draw = draws(init, nin, fan_out, self.activation, _generator(rng))
        self.w = [Value(draw(), _name("w", layer, place)) for place in inputs]
        self.b = Value(0.0, _name("b", layer, places)) if bias else None
        self._z = _name("z", layer, places)
        self._a = _name("a", layer, places)

    def __call__(self, x: Inputs, *more: Any) -> Value:
        return self.fire(as_inputs(x, len(self.w), self, more))

    def fire(self, x: Sequence[Value]) -> Value:
        """The neuron on inputs that are known to be Values.

        Args:
            x: as many Values as there are weights.

        Returns:
            The activation a, a Value.

        Raises:
            TypeError: where the activation gives no Value.
        """
        z = Value.dot(self.w, x, self.b)
        z.label = self._z
        if self._act is None:
            return z
        a = self._act(z)
        if not isinstance(a, Value):
            raise TypeError(f"an activation is a function from a Value to a Value, found that "
                            f"{_activation_name(self.activation)} gives {type(a).__name__} {a!r:.40}: give the name of "
                            "an op instead, or write it with operators and functions such as micrograd.exp(z)")
        if a is not z:
            a.label = self._a
        return a

    def parameters(self) -> list[Value]:
        return self.w if self.b is None else [*self.w, self.b]

    def __repr__(self) -> str:
        name = _activation_name(self.activation)
        return in_signs(f"{'ReLU' if name == 'relu' else name.capitalize()}Neuron({len(self.w)})")


class Layer(Module):
    """nout neurons over the same nin inputs. Called on them it returns the list of outputs; one output stands alone.

    Args:
        nin: the number of inputs, 1 or more.
        nout: the number of neurons, 1 or more.
        layer: its number in a network, for the labels.
        chain: whether each layer of the network has one neuron.
        **kwargs: as for `Neuron`: activation, init, bias, rng.

    Raises:
        ValueError: for a size < 1, or as `Neuron` does.

    Example:
        >>> layer = micrograd.Layer(3, 2, activation="tanh", rng=1)
        >>> [a.data for a in layer([0.0, 0.0, 0.0])]
        [0.0, 0.0]
    """

    def __init__(self, nin: int, nout: int, *, layer: int | None = None, chain: bool = False, **kwargs: Any) -> None:
        nout = whole(nout, "Layer(nout)", 1)
        kwargs["rng"] = _generator(kwargs.get("rng"))
        self.neurons = [Neuron(nin, layer=layer, index=i + 1, chain=chain, fan_out=nout, **kwargs) for i in range(nout)]

    def __call__(self, x: Inputs, *more: Any) -> Any:
        return _one_or_all(self.forward(as_inputs(x, len(self.neurons[0].w), self, more)))

    def forward(self, x: Sequence[Value]) -> list[Value]:
        """The layer on inputs that are known to be Values.

        Args:
            x: as many Values as it takes.

        Returns:
            A list of Values, of one output too.
        """
        return [neuron.fire(x) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """A multilayer perceptron: nin inputs, then a layer of each width in nouts.

    Called on a sequence of nin numbers or Values it returns the list of outputs; one output stands alone. A number
    becomes a constant a^1_j, for which no gradient is taken; give Values to differentiate by the inputs. The defaults,
    and the order of random draws, are those of Karpathy's micrograd.

    Args:
        nin: the number of inputs, 1 or more.
        nouts: the widths of the layers, the last one that of the outputs.
        activation: of the hidden layers: the name of an op, or a function from a Value to a Value; a list gives one for
            each hidden layer (or for each layer, the last one included).
        output: the activation of the last layer.
        init, bias, rng: see `Neuron`.
        scaler: None, or a Standardizer, through which the inputs go first.

    Raises:
        ValueError: for widths < 1, an activation or an init that there is none of, or a scaler of other columns.
        TypeError: for arguments of the wrong kind.

    Example:
        >>> net = micrograd.MLP(2, [4, 1], activation="tanh", rng=1)
        >>> len(net.parameters()), net([0.0, 0.0]).data
        (17, 0.0)
    """

    def __init__(self, nin: int, nouts: Sequence[int] | int, *, activation: Activation | Sequence[Activation] = "relu",
                 output: Activation = "linear", init: Init = "uniform", bias: bool = True, rng: Any = None,
                 scaler: Standardizer | dict[str, Any] | None = None) -> None:
        widths = [nouts] if is_number(nouts) else many(nouts, "MLP(nouts)", "a list of widths")
        sizes = [whole(nin, "MLP(nin)", 1), *(whole(n, "MLP(nouts)", 1) for n in widths)]
        if len(sizes) == 1:
            raise ValueError("MLP(nouts) needs the width of one layer at least, found none")
        activations = _each_layer(activation, output, len(sizes) - 1)
        generator = _generator(rng)
        self.meta = {}
        self.nin = sizes[0]
        if isinstance(scaler, dict) and scaler.keys() == {"means", "scales"}:
            scaler = Standardizer(**scaler)
        if scaler is not None and (not isinstance(scaler, Standardizer) or len(scaler.means) != nin):
            raise ValueError(f"the scaler of MLP({nin}, ...) is a Standardizer of {nin} columns, found {scaler!r}")
        self.scaler: Standardizer | None = scaler
        self.layers = [
            Layer(sizes[k], sizes[k + 1], activation=activations[k], init=init, bias=bias, rng=generator, layer=k + 2,
                  chain=set(sizes) == {1})
            for k in range(len(sizes) - 1)
        ]
        self._inputs = [_name("a", 1, [j + 1] if set(sizes) != {1} else []) for j in range(self.nin)]

    def __call__(self, x: Inputs, *more: Any) -> Any:
        return _one_or_all(self.forward(as_inputs(x, self.nin, self, more, self._inputs, self.scaler)))

    def forward(self, x: list[Value]) -> list[Value]:
        """The network on inputs that are known to be Values.

        Args:
            x: as many Values as it takes, scaled already.

        Returns:
            A list of Values, of one output too.
        """
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def predict(self, X: Any) -> list[Any]:
        """The outputs for each row of a table, as floats.

        Args:
            X: lists, an array, a tensor or a frame, with nin numbers in each row.

        Returns:
            A list with a float (one output) or a list of floats for each row.

        Raises:
            ValueError: for rows of another length.
            TypeError: for what is no number.

        Example:
            >>> micrograd.MLP(2, [4, 1], activation="tanh").predict([[0.0, 0.0], [0.0, 0.0]])
            [0.0, 0.0]
        """
        outputs = [self(x) for x in rows_for(self, "predict: X", X)]
        return [out.data if isinstance(out, Value) else [o.data for o in out] for out in outputs]

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]

    def config(self) -> dict[str, Any]:
        activations = [layer.neurons[0].activation for layer in self.layers]
        for activation in activations:
            if not isinstance(activation, str):
                raise TypeError(f"the activation {_activation_name(activation)} cannot be saved: it is a Python "
                                "function. Make it an op, micrograd.op(name, ...), and pass that name.")
        return {"nin": self.nin, "nouts": [len(layer.neurons) for layer in self.layers], "activation": activations,
                "bias": self.layers[0].neurons[0].b is not None,
                "scaler": None if self.scaler is None else vars(self.scaler)}

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"


class Standardizer:
    """Shifts and scales every column of a table to mean 0 and standard deviation 1: x_j → (x_j − mean_j) / scale_j.

    Args:
        means: a number for each column. See `of` to take them from data.
        scales: a number > 0 for each column.

    Raises:
        ValueError: for more of one than of the other, a scale ≤ 0, inf or nan.
        TypeError: for what is no number.

    Example:
        >>> micrograd.Standardizer([1.0, 0.0], [2.0, 4.0])([5.0, 2.0])
        [2.0, 0.5]
    """

    def __init__(self, means: Sequence[float], scales: Sequence[float]) -> None:
        self.means = [number(m, "Standardizer(means)") for m in many(means, "Standardizer(means)")]
        self.scales = [number(s, "Standardizer(scales)") for s in many(scales, "Standardizer(scales)")]
        fit = len(self.means) == len(self.scales) and all(map(math.isfinite, self.means + self.scales))
        if not fit or not all(s > 0 for s in self.scales):
            raise ValueError(f"Standardizer needs as many means as scales, all finite, and scales > 0; found "
                             f"{self.means} and {self.scales}")

    @classmethod
    def of(cls, X: Any) -> Standardizer:
        """The one that standardises the rows of a table. A column that never varies is only shifted.

        Args:
            X: lists, an array, a tensor or a frame, one row at least.

        Returns:
            A Standardizer.

        Raises:
            ValueError: for rows of several lengths or none, and for inf or nan, with row and column.
            TypeError: for what is no number.

        Example:
            >>> micrograd.Standardizer.of([[1.0, 5.0], [3.0, 5.0]])
            Standardizer(means=[2.0, 5.0], scales=[1.0, 1.0])
        """
        found = [row if isinstance(row, (list, tuple)) else [row] for row in rows("Standardizer.of: X", X)]
        lengths = sorted({len(row) for row in found})
        if len(lengths) != 1 or not lengths[0]:
            raise ValueError("Standardizer.of needs rows of one length, and one at least, with numbers in it; found "
                             + (f"rows of {' and '.join(map(str, lengths))} numbers" if found else "no rows"))
        columns = [[number(x, "Standardizer.of") for x in column] for column in zip(*found)]
        for j, column in enumerate(columns):
            for i, x in enumerate(column):
                if not math.isfinite(x):
                    raise ValueError(f"Standardizer.of: X, row {i}, column {j}: a finite number is needed, found {x}")
        # The mean of a column that never varies is its number, not a rounding of it: then its scale is exactly 0.
        means = [c[0] if min(c) == max(c) else math.fsum(c) / len(c) for c in columns]
        scales = [math.sqrt(math.fsum((x - m) ** 2 for x in column) / len(column)) for column, m in zip(columns, means)]
        return cls(means, [s or 1.0 for s in scales])

    def __call__(self, x: Iterable[Any]) -> list[Any]:
        """One row, standardised.

        Args:
            x: as many numbers or Values as there are columns.

        Returns:
            A list of as many.

        Raises:
            ValueError: for a row of another length.
        """
        row = single("what a Standardizer is called on", x)
        if len(row) != len(self.means):
            raise ValueError(f"a Standardizer of {len(self.means)} columns takes a row of as many numbers, found "
                             f"{len(row)}")
        return self.scaled([xj if isinstance(xj, Value) else as_float(xj) for xj in row])

    def scaled(self, row: Sequence[Any]) -> list[Any]:
        """One row, standardised, where it is known to be in order.

        Args:
            row: as many floats or Values as there are columns.

        Returns:
            A list of as many.
        """
        return [(xj - m) / s for xj, m, s in zip(row, self.means, self.scales, strict=True)]

    def __repr__(self) -> str:
        return f"Standardizer(means={self.means}, scales={self.scales})"


# How weights are drawn

Init = Union[str, Callable[[int, int, Any], float]]
BOUNDS: dict[str, Callable[[int, int], float]] = {  # weights are uniform in (-bound, bound)
    "uniform": lambda nin, nout: 1.0,                           # micrograd's own
    "xavier": lambda nin, nout: math.sqrt(6 / (nin + nout)),    # Glorot and Bengio 2010
    "glorot": lambda nin, nout: math.sqrt(6 / (nin + nout)),
    "he": lambda nin, nout: math.sqrt(6 / nin),                 # He et al. 2015
    "lecun": lambda nin, nout: math.sqrt(3 / nin),              # LeCun et al. 1998
}
FIT = {"relu": "he", "leaky_relu": "he", "elu": "he", "gelu": "he", "silu": "he", "softplus": "he",
       "tanh": "xavier", "sigmoid": "xavier"}


def draws(init: Init, nin: int, nout: int, activation: Activation, rng: Any) -> Callable[[], float]:
    """A function that draws one weight, by an init as `Neuron` takes it."""
    if callable(init):
        rule = init
        return lambda: number(rule(nin, nout, rng), "init")
    name = FIT.get(_activation_name(activation), "lecun") if init == "auto" else init
    if not isinstance(name, str) or name not in BOUNDS:
        raise ValueError(f"init is one of {', '.join(BOUNDS)}, auto, or a function (nin, nout, rng) -> float; found "
                         f"{init!r}")
    bound = BOUNDS[name](nin, nout)
    return lambda: float(rng.uniform(-bound, bound))


# Inputs, names and sizes

Inputs = Union[Iterable[Number], Number]


def as_inputs(x: Any, n: int, module: Module, more: Sequence[Any] = (), labels: Sequence[str] = (),
              scaler: Standardizer | None = None) -> list[Value]:
    """x as a list of n Values: numbers become constants, with these labels. A ValueError names both sizes."""
    if more:
        raise TypeError(f"{_title(module)} is called on one list, found {1 + len(more)} arguments: give the inputs as "
                        "one list, in brackets")
    if type(x) is not list or is_table(x):
        x = [x] if isinstance(x, Value) or is_number(x) else single(
            f"the input of {_title(module)}", x, "; predict takes a table" * isinstance(module, MLP))
    if len(x) != n:
        raise ValueError(f"{_title(module)} takes {n} input{'s' * (n != 1)}, found {len(x)}")
    where = f"input of {_title(module)}"
    row = [xj if isinstance(xj, Value) else number(xj, where) for xj in x]
    if scaler is not None:
        row = scaler.scaled(row)
    return [xj if isinstance(xj, Value) else constant(xj, labels[j] if labels else "") for j, xj in enumerate(row)]


def width(module: Module) -> int | None:
    """How many numbers a module takes as its input; None where it does not say."""
    if isinstance(module, MLP):
        return module.nin
    neuron = module.neurons[0] if isinstance(module, Layer) else module
    return len(neuron.w) if isinstance(neuron, Neuron) else None


def rows_for(module: Module, where: str, X: Any) -> list[Any]:
    """X as rows that the module takes: of as many numbers as it says, or of anything where it does not."""
    n = width(module)
    found = rows(where, X, anything=n is None)
    for i, row in enumerate(found if n is not None else ()):
        count = len(row) if isinstance(row, (list, tuple)) else 1
        if count != n:
            raise ValueError(f"{where} needs {n} number{'s' * (n != 1)} in each row for {_title(module)}, found "
                             + (f"{count} in row {i}" if isinstance(row, (list, tuple)) else
                                f"one flat list of {len(found)} numbers"))
    return found


def _title(module: Module) -> str:
    if isinstance(module, MLP):
        return f"MLP({module.nin}, {[len(layer.neurons) for layer in module.layers]})"
    if isinstance(module, Layer):
        return f"Layer({len(module.neurons[0].w)}, {len(module.neurons)})"
    return str(module)


def _name(letter: str, layer: int | None, places: Sequence[int]) -> str:
    above = "" if layer is None else f"^{{{layer}}}"
    return letter + above + (f"_{{{','.join(map(str, places))}}}" if places else "")


def _generator(rng: Any) -> Any:
    if rng is None:
        return random
    if hasattr(rng, "uniform"):
        return rng
    return random.Random(seed(rng, "rng, a seed or an object with uniform(low, high),"))


def _function(activation: Any) -> Callable[[Value], Value] | None:
    """The function of that name, as fast as it comes: the method of Value, or the row of the table; None for a linear
    one. A ValueError if there is none."""
    if callable(activation) and not isinstance(activation, ops.Op):
        return activation  # type: ignore[no-any-return]
    name = activation.name if isinstance(activation, ops.Op) else activation
    if isinstance(name, str) and name in ("linear", "identity"):
        return None
    row = ops.OPS.get(name) if isinstance(name, str) else None
    if row is None:
        unary = ", ".join(name for name, row in ops.OPS.items() if row.arity - len(row.defaults) == 1)
        raise ValueError(f"no activation is called {name!r}; there are linear, {unary} (and functions from a Value to "
                         "a Value)")
    if row.arity - len(row.defaults) != 1:
        raise ValueError(f"{name!r} cannot be an activation: it takes {row.arity} arguments")
    method: Callable[[Value], Value] = getattr(Value, row.name, row) if row.builtin else row
    return method


def _activation_name(activation: Activation) -> str:
    if isinstance(activation, str):
        return activation
    return str(getattr(activation, "name", None) or getattr(activation, "__name__", type(activation).__name__))


def _each_layer(activation: Any, output: Activation, n: int) -> list[Activation]:
    several = isinstance(activation, (list, tuple))
    given = ["linear" if a is None else a for a in (*(activation if several else [activation]), output)]
    for each in given:
        _function(each)  # of a network without hidden layers, too, which has no use for it
    if not several:
        return given[:1] * (n - 1) + given[1:]
    if len(given) == n:
        return given
    if len(given) == n + 1 and given[-1] in ("linear", given[-2]):
        return given[:-1]
    if len(given) == n + 1:
        raise ValueError(f"activation gives {_activation_name(given[-2])} for the last layer, and output "
                         f"{_activation_name(given[-1])}: give one of them")
    raise ValueError(f"activation has {len(given) - 1} entries for {n} layers: give one for each hidden layer "
                     f"({n - 1}), or one for each layer ({n})")


def _one_or_all(outputs: list[Value]) -> Any:
    return outputs[0] if len(outputs) == 1 else outputs


def _parameters_in(path: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Value):
        if value.op.name == ops.LEAF.name:
            yield path, value
    elif isinstance(value, Module):
        for below, parameter in value.named_parameters():
            yield f"{path}.{below}", parameter
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _parameters_in(f"{path}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _parameters_in(f"{path}.{key}", item)


def _in_a_matrix(path: str) -> list[Any]:
    """Where a parameter of a layer stands in its matrices: "layers.0.neurons.1.w.2" is ["layers.0.weight", 1, 2]. Of
    what is in no layer: the path itself."""
    found = re.fullmatch(r"(.*\.)?neurons\.(\d+)\.(?:w\.(\d+)|b)", path)
    if found is None:
        return [path]
    layer, i, j = found.groups()
    return [f"{layer or ''}bias", int(i)] if j is None else [f"{layer or ''}weight", int(i), int(j)]


def _appended(table: list[Any], places: Sequence[int], x: float) -> bool:
    """Put x into lists of lists that grow at their ends; False where something is missing before it."""
    for place in places[:-1]:
        if place == len(table):
            table.append([])
        table = table[-1]
    table.append(x)
    return len(table) == places[-1] + 1


def _spread(path: str, x: Any) -> Iterator[tuple[str, Any]]:
    """The numbers in nested lists and arrays, each with its path."""
    if isinstance(x, (list, tuple)) or hasattr(x, "__array__"):
        for i, item in enumerate(x if isinstance(x, (list, tuple)) else x.tolist()):
            yield from _spread(f"{path}.{i}", item)
    else:
        yield path, x


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f", ... ({len(names)} in all)" if len(names) > 3 else "")
