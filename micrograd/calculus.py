"""Calculus: from a function to its derivatives, as functions.

    slope = grad(lambda x: x ** 3)
    slope(2.0)                          # 12.0
    grad(slope)(2.0)                    # 12.0: the derivative of a derivative, to any order

A function is run once, on fresh variables in the place of its arguments, and the graph that it records is read: from
the result back (`grad`, `vjp`, `jacobian`: the engine's `gradient`), or from the variables forward (`jvp`), with the
same rules of the table. Arguments and results are numbers, Values, and lists, tuples and dicts of them, nested, and
arrays; a derivative has the structure of what it was taken by. What gives an array of NumPy (a tensor, a frame) reaches
the function as one of Values, and its derivative is an array. Floats in, floats out; Values in, Values out. No `.grad`
is touched. This module knows nothing of networks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, Union, overload

from . import ops
from .arguments import as_float, function, is_number, shown
from .data import dataset
from .engine import Value, as_value, gradient, local_slope, of_branch, topological_order
from .rows import carries

__all__ = ["grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp"]

Function = Callable[..., Any]
TAKEN_FOR_A_LIST = re.compile(r"Value' object is not (subscriptable|iterable)|Value' has no len|non-iterable .*Value")
Wrt = Union[int, tuple[int, ...], None]


class Gradient(Protocol):
    """A gradient by all arguments, which has their structure: for a type checker, of the plain cases."""

    @overload
    def __call__(self, x: float, /) -> float: ...
    @overload
    def __call__(self, x: Value, /) -> Value: ...
    @overload
    def __call__(self, x: list[float], /) -> list[float]: ...
    @overload
    def __call__(self, x: list[Value], /) -> list[Value]: ...
    @overload
    def __call__(self, x: float, y: float, /, *more: float) -> tuple[float, ...]: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class ValueAndGradient(Protocol):
    """A value and its gradient by all arguments, in their structure: for a type checker, of the plain cases."""

    @overload
    def __call__(self, x: float, /) -> tuple[float, float]: ...
    @overload
    def __call__(self, x: Value, /) -> tuple[Value, Value]: ...
    @overload
    def __call__(self, x: list[float], /) -> tuple[float, list[float]]: ...
    @overload
    def __call__(self, x: list[Value], /) -> tuple[Value, list[Value]]: ...
    @overload
    def __call__(self, x: float, y: float, /, *more: float) -> tuple[float, tuple[float, ...]]: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]: ...


# The fresh variables of the functions that are running now. A function inside may be given floats and yet depend on a
# variable of one outside, D(x -> x * D(y -> x * y)(1.0)): then its derivative must stay a Value. Looked up, never
# listed; the threads' variables do not meet, since their graphs do not.
running: set[Value] = set()


@overload
def grad(f: Function, wrt: None = None) -> Gradient: ...
@overload
def grad(f: Function, wrt: int | tuple[int, ...]) -> Function: ...
def grad(f: Function, wrt: Wrt = None) -> Function:
    """The gradient of f as a function: grad(f)(x) is df/dx in the structure of x.

    Args:
        f: a function that returns one number.
        wrt: the position of the argument to differentiate with respect to, or a tuple of them; left out, all arguments.
            The other arguments, and keyword arguments, reach f as they are.

    Returns:
        A function of the arguments of f, which gives one gradient for one argument (or where wrt is a number), and a
        tuple for several. It raises TypeError where f returns anything but one number.

    Raises:
        TypeError: if f is not a function.

    Example:
        >>> micrograd.grad(lambda x: x ** 3)(2.0)
        12.0
        >>> micrograd.grad(lambda x, y: x * y)(2.0, 5.0)
        (5.0, 2.0)
    """
    function(f, "grad(f)")

    def gradient_of_f(*args: Any, **kwargs: Any) -> Any:
        run = RecordedCall(f, args, wrt, kwargs)
        return rebuild(run.point, run.plain(gradient(run.scalar(), run.variables)))
    return gradient_of_f


@overload
def value_and_grad(f: Function, wrt: None = None) -> ValueAndGradient: ...
@overload
def value_and_grad(f: Function, wrt: int | tuple[int, ...]) -> Callable[..., tuple[Any, Any]]: ...
def value_and_grad(f: Function, wrt: Wrt = None) -> Function:
    """A function that returns the value of f and its gradient, from one run.

    Args:
        f: a function that returns one number.
        wrt: as for `grad`.

    Returns:
        A function of the arguments of f, which gives the pair (f, gradient of f).

    Raises:
        TypeError: if f is not a function.

    Example:
        >>> micrograd.value_and_grad(lambda x: x ** 3)(2.0)
        (8.0, 12.0)
    """
    function(f, "value_and_grad(f)")

    def value_and_gradient_of_f(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        run = RecordedCall(f, args, wrt, kwargs)
        y = run.scalar()
        numbers = run.plain([y, *gradient(y, run.variables)])
        return next(numbers), rebuild(run.point, numbers)
    return value_and_gradient_of_f


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The result of f, and the pullback: from a weight for each output to the gradient of the weighted sum.

    Args:
        f: a function.
        *primals: its arguments.

    Returns:
        A pair: what f returns, and pullback(cotangent), which takes weights in the structure of that, and gives one
        gradient for one argument of f, a tuple for several. One run of f serves any number of pullbacks.

    Raises:
        TypeError: if f is not a function.

    Example:
        >>> y, pullback = micrograd.vjp(lambda a, b: [a * b, a + b], 2.0, 5.0)
        >>> y
        [10.0, 7.0]
        >>> pullback([1.0, 0.0])
        (5.0, 2.0)
    """
    run = RecordedCall(function(f, "vjp(f, ...)"), primals)

    def pullback(cotangent: Any) -> Any:
        weights = like(run.output, dataset.tree("the cotangent", cotangent), "the result", "the cotangent",
                       "the result")
        total = Value.dot(run.outputs, weights)
        return rebuild(run.point, run.plain(gradient(total, run.variables), weights))
    return rebuild(run.output, run.plain(run.outputs)), pullback


def jvp(f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """The result of f, and how fast it changes as the arguments move.

    This is forward mode: one pass from the arguments to the results, whatever their number. Where slopes are infinite
    it may have ∞ where reverse mode has nan: it adds what comes to a node before it multiplies, (1 + 0) · ∞, where the
    other has 1 · ∞ + 0 · ∞.

    Args:
        f: a function.
        primals: its arguments, in a tuple.
        tangents: the velocities of the arguments: a tuple that is like primals in structure.

    Returns:
        A pair: what f returns, and its velocity in the same structure.

    Raises:
        TypeError: if f is not a function, or primals or tangents are not tuples.
        ValueError: if the two differ in structure.

    Example:
        >>> micrograd.jvp(lambda a, b: a * b, (2.0, 5.0), (1.0, 0.0))
        (10.0, 5.0)
    """
    function(f, "jvp(f, primals, tangents)")
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple):
            raise TypeError(f"{name} must be a tuple with one entry for each argument of the function, as in "
                            f"jvp(f, (x,), (v,)); found {shown(given)}")
    primals, tangents = dataset.tree("", primals), dataset.tree("the tangents", tangents)
    velocities = like(primals, tangents, "", "the tangents", "the primals")
    run = RecordedCall(f, primals)
    moving = push_forward(run.outputs, dict(zip(run.variables, velocities)))
    numbers = run.plain([*run.outputs, *(as_value(moving.get(y, 0.0)) for y in run.outputs)], velocities)
    return rebuild(run.output, numbers), rebuild(run.output, numbers)


def jacobian(f: Function, wrt: Wrt = None) -> Function:
    """Every derivative of every output. Takes one backward pass for each output.

    Args:
        f: a function.
        wrt: as for `grad`.

    Returns:
        A function of the arguments of f, which gives the structure of the result and, in each of its places, a gradient
        as `grad` gives it. The places of a result that is an array are the first dimensions of arrays: n numbers from m
        give an array of n by m.

    Raises:
        TypeError: if f is not a function.

    Example:
        >>> micrograd.jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0])
        [[5.0, 2.0], [1.0, 1.0]]
    """
    function(f, "jacobian(f)")

    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        run = RecordedCall(f, args, wrt, kwargs)
        numbers = run.plain([slope for y in run.outputs for slope in gradient(y, run.variables)])
        return rebuild(run.output, iter([rebuild(run.point, numbers) for _ in run.outputs]))
    return jacobian_of_f


def hessian(f: Function, wrt: Wrt = None) -> Function:
    """The second derivatives of f: the jacobian of its gradient.

    Args:
        f: a function that returns one number.
        wrt: as for `grad`.

    Returns:
        A function of the arguments of f, which gives, in each place of the gradient, the gradient of what stands there.

    Raises:
        TypeError: if f is not a function.

    Example:
        >>> micrograd.hessian(lambda x: x[0] ** 2 * x[1])([2.0, 5.0])
        [[10.0, 4.0], [4.0, 0.0]]
    """
    return jacobian(grad(function(f, "hessian(f)"), wrt), wrt)


def hvp(f: Function, primals: tuple[Any, ...], vector: tuple[Any, ...]) -> Any:
    """The hessian of f times a vector, without the hessian: how fast the gradient changes as the arguments move.

    Args:
        f: a function that returns one number.
        primals: its arguments, in a tuple.
        vector: a tuple that is like primals in structure.

    Returns:
        The product, in the structure of ``grad(f)(*primals)``.

    Raises:
        TypeError: if f is not a function, or primals or vector are not tuples.
        ValueError: if the two differ in structure.

    Example:
        >>> micrograd.hvp(lambda x: x[0] ** 2 * x[1], ([2.0, 5.0],), ([1.0, 0.0],))
        [10.0, 4.0]
    """
    return jvp(grad(function(f, "hvp(f, primals, vector)")), primals, vector)[1]


# One run of a function

class RecordedCall:
    """One recorded run of f: the fresh variables that stood for its arguments, and what it returned."""

    def __init__(self, f: Function, args: tuple[Any, ...], wrt: Wrt = None, kwargs: dict[str, Any] | None = None):
        positions = picked(wrt, len(args))
        args = tuple(dataset.tree(f"argument {i}", x) if i in positions else x for i, x in enumerate(args))
        inputs = list(args)
        self.values_in = False
        for i in positions:
            found = [x for _, x in leaves(args[i], f"argument {i}")]
            self.values_in |= any(isinstance(x, Value) for x in found)
            # Never the user's own node: what f may hold of it by other ways is not an argument of f.
            inputs[i] = rebuild(args[i], (ops.identity(x) if isinstance(x, Value) else Value(x) for x in found))
        alone = isinstance(wrt, int) or (wrt is None and len(args) == 1)
        self.point = args[positions[0]] if alone else tuple(args[i] for i in positions)
        self.variables: list[Value] = [x for i in positions for _, x in leaves(inputs[i], f"argument {i}")]
        running.update(self.variables)
        try:
            self.output = dataset.tree("the result", f(*inputs, **(kwargs or {})))
        except TypeError as error:
            if TAKEN_FOR_A_LIST.search(str(error)) and any(isinstance(x, Value) for x in inputs):
                raise TypeError(f"{error}: the function takes a list, or several, and was given a bare number; give a "
                                "list as the argument, or as the point: [1.0]") from error
            raise
        finally:
            running.difference_update(self.variables)
        self.outputs: list[Value] = [as_value(y) for _, y in leaves(self.output, "the result")]

    def scalar(self) -> Value:
        """The result, which must be one number."""
        if not (isinstance(self.output, Value) or is_number(self.output)):
            raise TypeError(f"a gradient needs a function that returns one number, found {shown(self.output)}; for a "
                            "function of several results use jacobian")
        return self.outputs[0]

    def plain(self, results: list[Value], more_inputs: Sequence[Any] = ()) -> Iterator[Any]:
        """The results as the caller wants them: Values if a Value went in, or a variable still running; else floats."""
        if self.values_in or any(isinstance(x, Value) for x in more_inputs) or (
                running and not running.isdisjoint(topological_order(*results))):
            return iter(results)
        return iter([y.data for y in results])


def push_forward(outputs: list[Value], velocities: dict[Value, Any]) -> dict[Value, Any]:
    """Forward mode: the velocity of every node that moves when the given nodes do, parents before children.

    A velocity is a float or a Value. Only numbers fold.
    """
    def is_one(x: Any) -> bool:
        return not isinstance(x, Value) and x == 1

    moving = dict(velocities)
    for node in topological_order(*outputs):
        if node in velocities:
            continue
        for i, parent in enumerate(node.parents):
            if parent in moving and carries(node.op, i):
                velocity = moving[parent]
                if node.op is ops.where:  # recorded to be compiled; eagerly it is the branch itself
                    term = of_branch(node, i, velocity)
                else:
                    slope = local_slope(node, i)
                    term = slope if is_one(velocity) else velocity if is_one(slope) else velocity * slope
                moving[node] = moving[node] + term if node in moving else term
    return moving


def picked(wrt: Wrt, count: int) -> tuple[int, ...]:
    """The positions of the arguments to differentiate by."""
    positions = tuple(range(count)) if wrt is None else (wrt,) if isinstance(wrt, int) else wrt
    if not isinstance(positions, tuple) or not all(isinstance(i, int) for i in positions):
        raise TypeError(f"wrt must be the position of an argument, or a tuple of positions; found {shown(wrt)}")
    if not positions:
        raise TypeError("there is no argument to differentiate with respect to")
    for i in positions:
        if not 0 <= i < count:
            raise ValueError(f"wrt names argument {i}, but the function was called with {count} "
                             f"(the first is argument 0)")
    return positions


# Nested lists, tuples, dicts and arrays

def leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every number and Value in a nested container, in order, each with the path that leads there."""
    if isinstance(tree, (list, tuple, dict)):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(branch, f"{path}[{key!r}]" if path else f"argument {key}")
    elif isinstance(tree, Value) or is_number(tree):
        yield path, tree
    elif dataset.is_array(tree):
        yield from leaves(tree.tolist(), path)
    else:
        raise TypeError(f"found {shown(tree)} at {path}; derivatives are between numbers and Values, and lists, "
                        "tuples and dicts of them")


def rebuild(tree: Any, numbers: Iterator[Any]) -> Any:
    """A container like this one, with the next numbers in the place of its own."""
    if isinstance(tree, dict):
        return {key: rebuild(branch, numbers) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return dataset.like(tree, [rebuild(branch, numbers) for branch in tree])
    return dataset.filled(tree, islice(numbers, tree.size)) if dataset.is_array(tree) else next(numbers)


def like(model: Any, tree: Any, path: str, name: str, model_name: str) -> list[Any]:
    """The numbers of a container that must have the structure of `model`."""
    wanted, found = (dict(leaves(each, path)) for each in (model, tree))
    for place in [*wanted, *found]:
        if place not in found or place not in wanted:
            what = "one number too many" if place in found else "no number"
            raise ValueError(f"{name} must have the structure of {model_name}: there is {what} at {place}")
    return [found[place] if isinstance(found[place], Value) else as_float(found[place]) for place in wanted]
