"""`compile`: a function of one sample, recorded once, and run over whole columns of data in native code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, Protocol, overload

from .. import ops
from ..engine import Value
from .checks import CLOSE
from .compiled import Compiled
from .executors import uncollected
from .jax_devices import resolve_devices
from .trace import is_whole, record

__all__ = ["compile"]

BACKENDS = ("auto", "native", "python", "jax")


class _Network(Protocol):
    """A network as type checkers know it: not how many outputs it has."""

    def __call__(self, x: Any) -> Any: ...
    def parameters(self) -> list[Value]: ...


@overload
def compile(function: _Network, *, inputs: int | Sequence[int | None] | None = None,
            params: Iterable[Value] | None = None, reduce: str = "mean", backend: str = "auto", verify: int = 2,
            threads: int | None = None, devices: Any = None, dtype: str = "float64") -> Compiled[Any]: ...
@overload
def compile(function: Callable[..., Value], *, inputs: int | Sequence[int | None] | None = None,
            params: Iterable[Value] | None = None, reduce: str = "mean", backend: str = "auto", verify: int = 2,
            threads: int | None = None, devices: Any = None, dtype: str = "float64") -> Compiled[float]: ...
@overload
def compile(function: Callable[..., Any], *, inputs: int | Sequence[int | None] | None = None,
            params: Iterable[Value] | None = None, reduce: str = "mean", backend: str = "auto", verify: int = 2,
            threads: int | None = None, devices: Any = None, dtype: str = "float64") -> Compiled[Any]: ...
@uncollected()
def compile(function: Callable[..., Any], *, inputs: int | Sequence[int | None] | None = None,
            params: Iterable[Value] | None = None, reduce: str = "mean", backend: str = "auto", verify: int = 2,
            threads: int | None = None, devices: Any = None, dtype: str = "float64") -> Compiled[Any]:
    """Record a function of the numbers of one sample, to run it over whole columns of data at the speed of C.

    What the function reads besides its arguments and parameters, a number outside of it, say, stays as it was when it
    was recorded. If that changes, `fit` raises a TraceError; if a new Value takes the place of a parameter, every
    question does. To be recorded the function is run four times, three of them with other numbers in the parameters, to
    see that it does not look into them; then once for each row that is verified, by each `fit`, and by the first
    question after new Values were made. No other thread may use the parameters meanwhile.

    Args:
        function: ordinary scalar Python that returns a Value, or several (the first is what is differentiated); or a
            network. Parameters are the leaf Values that it computes with; their numbers are read at each call.
        inputs: only needed where the signature does not tell: how many numbers the function takes, or for each argument
            the length of the list that it is (None for a single number).
        params: the parameters to take the gradient of, in this order; by default all that are used.
        reduce: "mean" or "sum" over the rows.
        backend: "native", "python" (generated Python), "auto": native where it can be; or "jax": what is alike becomes
            one operation on arrays, see `Compiled.plan`.
        verify: how many rows of the first data are compared with the engine.
        threads: how many share the rows, 1 to 1024; by default one for each processor, where that pays. The result does
            not depend on it.
        devices: for JAX: None for one, a number, "all", or a list of jax.devices(), which share the rows: any number of
            rows, with one sum over all devices per question or step. Where JAX runs in several processes, each of them
            asks the same questions with the same data, and all get the same answers.
        dtype: for JAX: "float64", or "float32", which gives about 6 digits (and is compared with the engine to 3).

    Returns:
        A `Compiled`, which is called on columns, on numbers, or trained.

    Raises:
        TraceError: with your line, where the recording would not hold for every sample: a branch on a Value, .data,
            float(x), random numbers, ...; also where a verified row differs.
        ValueError: for an unknown option.
        TypeError: for arguments of the wrong kind.
        RuntimeError: where backend="native" cannot run it.

    Example:
        >>> w = micrograd.Value(0.0)
        >>> step = micrograd.compile(lambda x, y: (w * x - y) ** 2)
        >>> step([1.0, 2.0], [3.0, 6.0]), w.grad
        (22.5, -15.0)
        >>> losses = step.fit([1.0, 2.0], [3.0, 6.0], optimizer=micrograd.SGD(lr=0.1), epochs=100)
        >>> round(w.data, 9)
        3.0
    """
    if reduce not in ("mean", "sum"):
        raise ValueError(f"reduce must be 'mean' or 'sum', found {reduce!r}")
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; found {backend!r}")
    if not isinstance(dtype, str) or dtype not in CLOSE:
        raise ValueError(f"dtype must be {' or '.join(CLOSE)}, found {dtype!r}")
    if backend != "jax" and (devices is not None or dtype != "float64"):
        raise ValueError("devices and dtype are for JAX: give backend='jax' with them. Native code uses all processors "
                         "of this machine, in float64")
    there = resolve_devices(devices) if backend == "jax" else ()
    if threads is not None and not (is_whole(threads, 1) and threads <= 1024):
        raise ValueError(f"threads must be a whole number from 1 to 1024, found {threads!r}")
    if not is_whole(verify, 0):
        raise ValueError(f"verify must be how many rows to compare, 0 or more; found {verify!r}")
    if not callable(function):
        raise TypeError("compile needs a function of the numbers of one sample, found "
                        f"{type(function).__name__} {function!r}")
    start = perf_counter()
    if params is not None and not isinstance(params, Iterable):
        raise TypeError(f"params must be Values that you made, in a list; found {params!r}")
    wanted = None if params is None else list(params)
    for p in wanted or ():
        if not isinstance(p, Value) or p.op is not ops.LEAF:
            raise TypeError(f"params must be Values that you made, found {p!r}")
    recording = record(function, inputs)
    return Compiled(recording, wanted, function, reduce, backend, verify, threads, there, dtype,
                    perf_counter() - start)
