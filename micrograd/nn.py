"""Neurons, layers and multilayer perceptrons, built from Values one neuron at a time.

The notation is that of lecture notes on backpropagation: layers are numbered 1..K, layer 1 being the input, and neuron
i of layer k computes

    z^k_i = b^k_i + w^k_{i,1} a^{k-1}_1 + w^k_{i,2} a^{k-1}_2 + ...        a^k_i = s(z^k_i)

Parameters carry these names as labels from birth, and so do the z and a nodes of every forward pass.
This module knows nothing of costs, training, drawing or data.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Union

from . import ops
from .arguments import counted, is_number, many, number, seed, shown, whole
from .data.dataset import is_table, rows, single
from .engine import Number, Value, constant, in_signs
from .modules import Module
from .standardizer import Standardizer

__all__ = ["Module", "Neuron", "Layer", "MLP", "Standardizer"]

Activation = Union[str, Callable[[Value], Value], None]


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
        ValueError: for an unknown activation or init, or nin < 1.
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
        nin = whole(nin, "Neuron(nin)")
        if not is_number(nonlin):
            raise TypeError(f"Neuron(nonlin) must be True or False, found {shown(nonlin)}; a function is "
                            "activation=...")
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
            raise TypeError(f"an activation must be a function from a Value to a Value, found that "
                            f"{_activation_name(self.activation)} gives {type(a).__name__} {a!r:.40}: give the name of "
                            "an op instead, or write it with operators and functions such as micrograd.exp(z)")
        if a is not z:
            a.label = self._a
        return a

    def parameters(self) -> list[Value]:
        return self.w if self.b is None else [*self.w, self.b]

    def _takes(self) -> int:
        return len(self.w)

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
        nout = whole(nout, "Layer(nout)")
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

    def _takes(self) -> int | None:
        return self.neurons[0]._takes()

    def _title(self) -> str:
        return f"Layer({self._takes()}, {len(self.neurons)})"

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """A multilayer perceptron: nin inputs, then a layer of each width in nouts.

    Called on a sequence of nin numbers or Values it returns the list of outputs; one output stands alone. A number
    becomes a constant a^1_j, for which no gradient is taken; give Values for derivatives with respect to the inputs.
    The defaults, and the order of random draws, are those of Karpathy's micrograd.

    Args:
        nin: the number of inputs, 1 or more.
        nouts: the widths of the layers, the last one that of the outputs.
        activation: of the hidden layers: the name of an op, or a function from a Value to a Value; a list gives one for
            each hidden layer (or for each layer, the last one included).
        output: the activation of the last layer.
        init, bias, rng: see `Neuron`.
        scaler: None, or a Standardizer, through which the inputs go first.

    Raises:
        ValueError: for widths < 1, an unknown activation or init, or a scaler of other columns.
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
        sizes = [whole(nin, "MLP(nin)"), *(whole(n, "MLP(nouts)") for n in widths)]
        if len(sizes) == 1:
            raise ValueError("MLP(nouts) needs the width of at least one layer, found none")
        activations = _each_layer(activation, output, len(sizes) - 1)
        generator = _generator(rng)
        self.meta = {}
        self.nin = sizes[0]
        if isinstance(scaler, dict) and scaler.keys() == {"means", "scales"}:
            scaler = Standardizer(**scaler)
        if scaler is not None and (not isinstance(scaler, Standardizer) or len(scaler.means) != nin):
            raise ValueError(f"the scaler of MLP({nin}, ...) must be a Standardizer of {counted(self.nin, 'column')}, "
                             f"found {scaler!r}")
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
            TypeError: for anything but numbers.

        Example:
            >>> micrograd.MLP(2, [4, 1], activation="tanh").predict([[0.0, 0.0], [0.0, 0.0]])
            [0.0, 0.0]
        """
        outputs = [self(x) for x in rows_for(self, "predict: X", X)]
        return [out.data if isinstance(out, Value) else [o.data for o in out] for out in outputs]

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]

    def _takes(self) -> int:
        return self.nin

    def _title(self) -> str:
        return f"MLP({self.nin}, {[len(layer.neurons) for layer in self.layers]})"

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
        raise ValueError(f"init must be one of {', '.join(BOUNDS)}, auto, or a function (nin, nout, rng) -> float; "
                         f"found {init!r}")
    bound = BOUNDS[name](nin, nout)
    return lambda: float(rng.uniform(-bound, bound))


# Inputs, names and sizes

Inputs = Union[Iterable[Number], Number]


def as_inputs(x: Any, n: int, module: Module, more: Sequence[Any] = (), labels: Sequence[str] = (),
              scaler: Standardizer | None = None) -> list[Value]:
    """x as a list of n Values: numbers become constants, with these labels. A ValueError names both sizes."""
    if more:
        raise TypeError(f"{module._title()} is called on one list, found {1 + len(more)} arguments: give the inputs as "
                        "one list, in brackets")
    if type(x) is not list or is_table(x):
        x = [x] if isinstance(x, Value) or is_number(x) else single(
            f"the input of {module._title()}", x, "; predict takes a table" if isinstance(module, MLP) else "")
    if len(x) != n:
        raise ValueError(f"{module._title()} takes {counted(n, 'input')}, found {len(x)}")
    where = f"input of {module._title()}"
    row = [xj if isinstance(xj, Value) else number(xj, where) for xj in x]
    if scaler is not None:
        row = scaler.scaled(row)
    return [xj if isinstance(xj, Value) else constant(xj, labels[j] if labels else "") for j, xj in enumerate(row)]


def rows_for(module: Module, where: str, X: Any) -> list[Any]:
    """X as rows that the module takes: of as many numbers as it says, or of anything where it does not say."""
    n = module._takes()
    found = rows(where, X, anything=n is None)
    if n is None:
        return found
    for i, row in enumerate(found):
        count = len(row) if isinstance(row, (list, tuple)) else 1
        if count != n:
            raise ValueError(f"{where} needs {counted(n, 'number')} in each row for {module._title()}, found "
                             + (f"{count} in row {i}" if isinstance(row, (list, tuple)) else
                                f"one flat list of {counted(len(found), 'number')}"))
    return found


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
