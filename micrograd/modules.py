"""Modules: things with parameters, which go by their paths; saved in files and loaded from them.

This module knows nothing of neurons, beyond how the layers of a network are written as matrices.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import mul
from typing import Any, Literal, TypeVar, overload

from . import engine
from .arguments import counted, number, shown, whole
from .data.dataset import tree
from .engine import Value
from .files import File, read_whole, write_whole
from .ops import LEAF

__all__ = ["Module"]

FORMAT, VERSION = "micrograd model", 1
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
            ValueError: if the state lacks a parameter, or has one that is unknown here.
            TypeError: for anything but a dict of numbers.

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
                                 f"{counted(len(parameters), 'parameter')}: {_some(list(parameters))}")
        numbers = [number(state[path], f"parameter {path!r}") for path in parameters]
        for p, x in zip(parameters.values(), numbers):
            p.data = x

    def _takes(self) -> int | None:
        """The length of an input; None where the module does not say."""
        return None

    def _title(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return engine.in_notebook(self)

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
    """Raise ValueError, before a network is made, unless its layers need as many parameters as the file has."""
    if "nin" in config and "nouts" in config:
        sizes = [whole(n, "a file") for n in (config["nin"], *config["nouts"])]
        if sum(map(mul, sizes, sizes[1:])) + (sum(sizes[1:]) if config.get("bias", True) else 0) != found:
            raise ValueError(f"its layers need more or fewer parameters than the {found:,} that it has")


# Parameters by their paths

def _parameters_in(path: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Value):
        if value.op is LEAF:
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
    """The place of a parameter in the matrices of its layer: ["layers.0.weight", 1, 2] for "layers.0.neurons.1.w.2";
    the path itself for one that is not in a layer."""
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
