"""`compile`: a function of one sample, recorded once, and run over whole columns of data in native code.

What is recorded is a `Program`, its gradient is more of it; a `Schedule` is made from it for each kind of question (the
mean over the rows with its gradient, the value of each row, ...) when it is first asked, and run by one of three
executors: the native kernel; generated Python where there is none, or where an op of the user's own takes bare floats;
JAX, as operations on whole arrays, where that was asked for.
"""

from __future__ import annotations

import gc
import math
import os
import random
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import islice
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, Protocol, overload

from .. import arguments, ops
from ..arguments import as_float, counted, is_number
from ..data.dataset import single
from ..engine import Value, engine_kind, in_signs, made
from ..interchange import from_safetensors
from ..modules import Module
from ..optim import SGD, Optimizer, started
from ..training.checkpoint import FORMAT as TRAINING_RUN
from ..training.checkpoint import OPERATIONS, Progress, parameters_in, read, write
from ..training.loop import Task
from ..training.progress import progress_bar
from .arrays import loss_and_gradient, onnx_model
from .batch import Batch, check_output, flat_columns, one_sample, prepared
from .encode import encode, missing
from .equations import Equations
from .gradient import gradient
from .jax_devices import OnDevices, chosen
from .libraries import Library, jax_library, numpy_library, torch_library
from .plan import Plan, plan
from .program import Program, TraceError, growing, simplified
from .python_code import Script
from .schedule import Schedule, SumOfProducts, schedule
from .trace import Traced, change, reachable_objects, record, refuse

__all__ = ["compile", "Compiled"]

native: Any = None  # the kernel, where it was built; it works on the Values of the compiled engine
if engine_kind() == "compiled":
    with suppress(ImportError):
        native = import_module(f"{__package__}.kernel.native")

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with a default, so that Compiled alone is a type, too
    Found = TypeVar("Found", default=Any)  # what is found for a sample: a float, or a list of them
else:
    from typing import TypeVar
    Found = TypeVar("Found")

BACKENDS = ("auto", "native", "python", "jax")
# By how much a replay may differ from the engine, relatively: sums are added in another order, and with the one digit
# after another that half as many bits cost
CLOSE = {"float64": 1e-9, "float32": 1e-3}
STREAMED = 100  # batches of a stream between two reports


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's garbage collector, for whole functions: it would go through all that a large program is made of
    again and again, and find no cycle. Of the whole process, for as long as something is compiled."""
    was = gc.isenabled()
    if was:
        pausing.add(get_ident())
    gc.disable()
    try:
        yield
    finally:
        if was:
            pausing.discard(get_ident())
            gc.enable()


pausing: set[int] = set()  # the threads that have switched the collector off


def forked() -> None:
    """In a child, in the one thread that is left."""
    growing.release()
    if pausing - {get_ident()}:
        pausing.intersection_update({get_ident()})
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=growing.acquire, after_in_parent=growing.release, after_in_child=forked)


class _Network(Protocol):
    """What type checkers know of a network: not how many outputs it has."""

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
        threads: so many share the rows, 1 to 1024; by default one for each processor, where that pays. The result does
            not depend on it.
        devices: of JAX: None for one, a number, "all", or a list of jax.devices(), which share the rows: any number of
            rows, with one sum over all devices a question or step. Where JAX runs in several processes, each of them
            asks the same questions with the same data, and all get the same answers.
        dtype: of JAX: "float64", or "float32", which gives about 6 digits (and is compared with the engine to 3).

    Returns:
        A `Compiled`, which is called on columns, on numbers, or trained.

    Raises:
        TraceError: with your line, where the recording would not hold for every sample: a branch on a Value, .data,
            float(x), random numbers, ...; also where a verified row differs.
        ValueError: for an option that there is none of.
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
        raise ValueError(f"reduce is 'mean' or 'sum', found {reduce!r}")
    if backend not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}; found {backend!r}")
    if not isinstance(dtype, str) or dtype not in CLOSE:
        raise ValueError(f"dtype is {' or '.join(CLOSE)}, found {dtype!r}")
    if backend != "jax" and (devices is not None or dtype != "float64"):
        raise ValueError("devices and dtype are of JAX: give backend='jax' with them. Native code uses all processors "
                         "of this machine, in float64")
    there = chosen(devices) if backend == "jax" else ()
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or not 0 < threads <= 1024):
        raise ValueError(f"threads is a whole number from 1 to 1024, found {threads!r}")
    if isinstance(verify, bool) or not isinstance(verify, int) or verify < 0:
        raise ValueError(f"verify is how many rows to compare, 0 or more; found {verify!r}")
    if not callable(function):
        raise TypeError("compile needs a function of the numbers of one sample, found "
                        f"{type(function).__name__} {function!r}")
    start = perf_counter()
    if params is not None and not isinstance(params, Iterable):
        raise TypeError(f"params are Values that you made, in a list; found {params!r}")
    wanted = None if params is None else list(params)
    for p in wanted or ():
        if not isinstance(p, Value) or p.op is not ops.LEAF:
            raise TypeError(f"params are Values that you made, found {p!r}")
    recording = record(function, inputs)
    return Compiled(recording, wanted, function, reduce, backend, verify, threads, there, dtype,
                    perf_counter() - start)


class Compiled(Generic[Found]):
    """What `compile` returns. Call it on columns for the mean over the rows, on numbers for the value of one sample.

    Attributes:
        name: of the function.
        arguments: what it takes: for each argument its name and its width, None for a single number.
        several: whether it has several outputs, so that lists come back.
        params: the parameters that the gradient is taken of.
        backend: who runs it: "native", "python" or "jax".
        seconds: how long it took to compile.

    Example:
        >>> f = micrograd.compile(lambda a, b: a * b + b ** 3)
        >>> f(2.0, 3.0), f.grad(2.0, 3.0), f([2.0, 4.0], [3.0, 1.0])
        (33.0, (3.0, 29.0), 19.0)
    """

    @uncollected()
    def __init__(self, recording: Program, params: list[Value] | None, function: Callable[..., Any] | None,
                 reduce: str, backend: str, verify: int, threads: int | None, devices: Sequence[Any] = (),
                 dtype: str = "float64", seconds: float = 0.0) -> None:
        start = perf_counter()
        self.name = recording.name
        self.arguments = recording.arguments
        self.several = recording.several
        self._recording = recording
        self._options = (reduce, backend, threads, dtype)
        self._devices = devices
        self._dtype = dtype
        self._function = function
        self._summed = reduce == "sum"
        self._unverified = verify if function is not None else 0
        self._threads = threads or -available_processors()
        self._tape = simplified(recording)
        self._outputs = self._tape.outputs
        recorded = dict.fromkeys(recording.parameters.values())
        for p in dict.fromkeys(params or ()):
            if p not in recorded:
                self._tape.parameter(p, p.label)
        self._places = {p: node for node, p in self._tape.parameters.items()}
        self.params: list[Value] = list(recorded) if params is None else list(dict.fromkeys(params))
        # The gradient comes out from the last place to the first; in this order neighbours are neighbours.
        self._trained = sorted(self.params, key=self._places.__getitem__, reverse=True)
        self._programs: dict[str, Schedule] = {}
        self._plans: dict[str, Plan] = {}
        self._executors: dict[str, Any] = {}
        self._widths = [argument.width or 0 for argument in self.arguments]
        self._lists = any(self._widths)
        self.backend = self._choose(backend)
        # Who answers for one sample: JAX takes as long for it as for thousands.
        self._singles = {} if self.backend == "jax" else self._executors
        self._made = made[0]  # leaves, when the parameters were last seen to be those of the function
        self.seconds = seconds + perf_counter() - start

    def _choose(self, backend: str) -> str:
        if backend in ("python", "jax") or (native is None and backend == "auto"):
            return backend if backend != "auto" else "python"
        if native is None:
            raise RuntimeError("backend='native' needs the compiled kernel: install micrograd where a C compiler is at "
                               "hand, without MICROGRAD_PURE; or choose backend='auto'")
        lacking = missing(self._program("train"), native.codes)
        if lacking and backend == "native":
            raise RuntimeError(f"backend='native' cannot run {', '.join(lacking)}: an op of your own runs natively if "
                               "its function is written with operators and rows, such as micrograd.exp(x), not "
                               "math.exp(x)")
        return "python" if lacking else "native"

    # Programs and their executors, each when it is first asked for

    def _program(self, kind: str) -> Schedule:
        """train: means and gradient; value: means; map: each row; slopes: its gradient by the inputs; curves: its
        Hessian."""
        with growing:
            if kind not in self._programs:
                tape, outputs = self._tape, self._outputs
                if kind in ("train", "value"):
                    means = [tape.mean(y) for y in outputs]
                    slopes = self._gradient([self._places[p] for p in self._trained]) if kind == "train" else []
                    self._programs[kind] = schedule(tape, means + slopes)
                else:
                    slopes = [] if kind == "map" else self._gradient(tape.inputs)
                    if kind == "curves":
                        slopes = [d for slope in slopes for d in gradient(tape, slope, tape.inputs)]
                    self._programs[kind] = schedule(tape, [], slopes if kind == "curves" else [*outputs, *slopes])
            return self._programs[kind]

    def _gradient(self, leaves: list[int]) -> list[int]:
        """The gradient of the first output, under names such as d_w."""
        labels = self._tape.labels
        slopes = gradient(self._tape, self._outputs[0], leaves)
        for leaf, slope in zip(leaves, slopes):
            if self._tape.args[slope]:
                labels.setdefault(slope, f"d_{self._tape.title(leaf)}")
        return slopes

    @uncollected()
    def _executor(self, kind: str, single: bool = False) -> Any:
        """Who runs a program: for a single sample, or for columns."""
        executors = self._singles if single else self._executors
        with growing:
            if kind not in executors:
                start = perf_counter()
                program = self._program(kind)
                if self.backend == "jax" and not single:
                    executors[kind] = OnDevices(self._plan(kind), self._in_plan(), self._devices, self._dtype)
                elif self.backend == "python" or native is None or missing(program, native.codes):
                    executors[kind] = Script(program, list(self._places))
                else:
                    first = list(dict.fromkeys([*self._trained, *self._places]))
                    places = [self._places[p] for p in first]
                    code = encode(program, native.codes, native.lanes(native.available[0]), places)
                    count = len(self._trained) if kind == "train" else 0
                    executors[kind] = native.Machine(code, first, count, self._widths, native.available[0],
                                                     self._threads)
                self.seconds += perf_counter() - start
            return executors[kind]

    def _in_plan(self) -> list[Value]:
        """The parameters in the order in which a plan takes them: first those that are trained."""
        return list(dict.fromkeys([*self.params, *self._places]))

    @uncollected()
    def _plan(self, kind: str) -> Plan:
        """A program as operations on arrays. The slopes come in the order of `params`."""
        with growing:
            if kind not in self._plans:
                program = self._program(kind)
                uniform = dict(zip(self._trained, program.uniform[len(self._outputs):]))
                self._plans[kind] = plan(program, [self._places[p] for p in self._in_plan()],
                                         [*program.uniform[:len(self._outputs)],
                                          *[uniform[p] for p in self.params if uniform]])
            return self._plans[kind]

    # Asking

    def __call__(self, *data: Any) -> Found:
        """On columns, the mean (or sum) over the rows; on numbers, the value of one sample.

        On columns the gradient is added to .grad of every parameter, as `backward` does; on numbers nothing is.

        Args:
            *data: a column for each argument: a list, a buffer, an array, a tensor; for an argument that is a list, a
                table. Or a table of all of them. Or the numbers of one sample.

        Returns:
            A float; a list of them for a function of several outputs.

        Raises:
            TraceError: where the first rows do not replay as they run, or the function has other parameters by now.
            ValueError: for columns of several lengths, or of none.
            TypeError: for what is no number.
        """
        plain = True
        for x in data:
            if type(x) is not float:
                if not is_number(x):
                    break
                plain = False
        else:
            return self._one(data if plain else tuple(map(as_float, data)))
        if not self._unverified and made[0] == self._made:
            executor = self._executors.get("train")
            if executor is not None and self.backend == "native":
                found = executor.total(data, len(data) == 1 < len(self._widths), self._summed, True)
                if found is not None:
                    return self._shaped(found)
        return self._on_columns(data)

    def _one(self, numbers: tuple[float, ...]) -> Found:
        executor = self._singles.get("map") if made[0] == self._made else None
        executor = executor or self._checked_on("map", numbers)
        try:
            found = executor.one(numbers)
        except (TypeError, ValueError, OverflowError):
            found = executor.one(self._sample(numbers))  # says what is wrong
        shaped: Found = found if self.several else found[0]
        return shaped

    def _checked_on(self, kind: str, sample: Sequence[Any]) -> Any:
        """An executor that is asked for one sample, which is then the first to be verified."""
        numbers = self._sample(sample)
        rest = iter(numbers)
        self._keep_up()
        if numbers:
            self._verify(prepared(self.name, self.arguments,
                                  [[list(islice(rest, width)) if width else next(rest)] for width in self._widths]))
        return self._executor(kind, single=True)

    def _on_columns(self, data: tuple[Any, ...]) -> Found:
        """The slow path of a call: other data than buffers, the first data, generated Python."""
        sample = one_sample(self.arguments, data)
        if sample is not None:
            return self._one(sample)
        for x in data:
            if isinstance(x[0] if isinstance(x, (list, tuple)) and x else x, Traced):
                refuse(f"calls {self.name}, which is compiled", "call the function that it was made of")
        columns = self._prepared(data)
        self._verify(columns)
        means, slopes = self._totals("train", columns)
        for p, slope in zip(self.params, slopes):
            p.grad += slope
        return self._shaped(means)

    def _shaped(self, found: Any) -> Found:
        numbers: Any = found if isinstance(found, list) else [found]
        shaped: Found = numbers if self.several else numbers[0]
        return shaped

    def _prepared(self, data: Sequence[Any]) -> Batch:
        columns = prepared(self.name, self.arguments, data)
        if not columns.rows:
            raise ValueError(f"{self.name}: the {'sum' if self._summed else 'mean'} over no rows is asked for; one row "
                             "at least is needed")
        return columns

    def _totals(self, kind: str, columns: Batch) -> tuple[list[float], list[float]]:
        """The means, and the slopes in the order of params."""
        executor = self._executor(kind)
        if isinstance(executor, Script):
            found = executor.total(flat_columns(columns, self.arguments), 0, columns.rows, 1.0 / columns.rows)
        elif isinstance(executor, OnDevices):
            found = executor.total(columns)
        else:
            found = executor.total(columns.given, columns.table, self._summed, False)
        if self._summed and isinstance(executor, (Script, OnDevices)):
            found = [x * columns.rows for x in found]
        outputs = len(self._outputs)
        slopes = dict(zip(self._sloped(), found[outputs:]))
        return found[:outputs], [slopes[p] for p in self.params] if slopes else []

    def _sloped(self) -> list[Value]:
        """The parameters in the order in which an executor gives their slopes."""
        return self.params if self.backend == "jax" else self._trained

    def columns(self, *data: Any) -> tuple[Any, ...]:
        """The data of a call as buffers of doubles, for those who call with the same data again and again.

        The first rows are verified.

        Args:
            *data: as for a call on columns.

        Returns:
            A tuple of buffers, to be given in the place of the data.
        """
        columns = self._prepared(data)
        self._verify(columns)
        return columns.given

    def holds(self) -> bool:
        """Whether the function would be recorded again as it was.

        Returns:
            False where something that it depends on, other than the numbers of its parameters, has changed.
        """
        return self._function is None or not change(self._recording, self._function)

    def value(self, *data: Any) -> Found:
        """The mean (or sum) over the rows of columns, without touching any gradient.

        Args:
            *data: as for a call on columns.

        Returns:
            A float; a list of them for a function of several outputs.
        """
        columns = self._prepared(data)
        self._verify(columns)
        return self._shaped(self._totals("value", columns)[0])

    def value_and_grad(self, *data: Any) -> tuple[Found, list[float]]:
        """The mean (or sum) over the rows of columns, and its gradient, without touching those of the parameters.

        Args:
            *data: as for a call on columns.

        Returns:
            A pair: as from `value`; and a list with a slope for each of `params`.

        Example:
            >>> w = micrograd.Value(0.0)
            >>> micrograd.compile(lambda x, y: (w * x - y) ** 2).value_and_grad([1.0, 2.0], [3.0, 6.0])
            (22.5, [-15.0])
        """
        columns = self._prepared(data)
        self._verify(columns)
        means, slopes = self._totals("train", columns)
        return self._shaped(means), slopes

    def grad(self, *data: Any) -> Any:
        """The derivatives of one sample's (first) output by the inputs.

        Args:
            *data: the numbers of the sample.

        Returns:
            A number for each argument in a tuple, a list for one that is a list; bare for a function of one argument.

        Raises:
            TypeError: for anything but the numbers of one sample.
        """
        executor = self._singles.get("slopes") if made[0] == self._made else None
        executor = executor or self._checked_on("slopes", data)
        try:
            found = executor.one(data)
        except (TypeError, ValueError, OverflowError):
            found = executor.one(self._sample(data))
        del found[:len(self._outputs)]
        return self._by_argument(found)

    def hessian(self, *data: Any) -> list[list[float]]:
        """The second derivatives of one sample's (first) output by the inputs.

        Args:
            *data: the numbers of the sample.

        Returns:
            A row and a column for each number that goes in: a list of lists.

        Raises:
            TypeError: for anything but the numbers of one sample.

        Example:
            >>> micrograd.compile(lambda a, b: a ** 2 * b).hessian(2.0, 5.0)
            [[10.0, 4.0], [4.0, 0.0]]
        """
        found = self._checked_on("curves", data).one(self._sample(data))
        n = len(self._tape.inputs)
        return [found[i * n:(i + 1) * n] for i in range(n)]

    def _sample(self, data: Sequence[Any]) -> tuple[float, ...]:
        sample = one_sample(self.arguments, data)
        if sample is None and len(data) == len(self._tape.inputs) and all(map(is_number, data)):
            return tuple(map(as_float, data))  # flat already
        if sample is None:
            for argument, x in zip(self.arguments, data):
                if argument.width is not None and getattr(x, "shape", None) == (argument.width,):
                    single(f"{self.name}: {argument.name}", x)  # says which of its numbers is none
            wanted = ", ".join(a.name if a.width is None else f"{a.name} ({a.width} numbers)" for a in self.arguments)
            shown = ", ".join(f"{x!r:.30}" for x in data) or "no argument"
            raise TypeError(f"{self.name} takes {wanted} here: the numbers of one sample; found {shown:.60}. For "
                            "columns of them: .map(..., grad=True)")
        return sample

    def _by_argument(self, found: list[Any]) -> Any:
        if not self._lists:
            return tuple(found) if len(found) != 1 else found[0]
        parts: list[Any] = []
        rest = iter(found)
        for width in self._widths:
            parts.append(list(islice(rest, width)) if width else next(rest))
        return parts[0] if len(parts) == 1 else tuple(parts)

    def map(self, *data: Any, grad: bool = False, out: Any = None) -> Any:
        """The outputs of each row.

        Args:
            *data: as for a call on columns.
            grad: whether the slopes are wanted, too.
            out: buffers of doubles to write to, as many as come back, in that order.

        Returns:
            An array of doubles, or a list of arrays for a function of several outputs. With grad, a pair (values,
            slopes), slopes being those of the first output by each argument, as `grad` has them, an array for each
            number.

        Raises:
            ValueError: for other buffers, and columns of several lengths.
            TypeError: for what is no number.

        Example:
            >>> micrograd.compile(lambda a: a * a).map([1.0, 2.0, 3.0])
            array('d', [1.0, 4.0, 9.0])
        """
        executor = self._executor("slopes" if grad else "map")
        program = self._program("slopes" if grad else "map")
        columns = prepared(self.name, self.arguments, data)
        self._verify(columns)
        if out is None:
            outs = [array("d", bytes(8 * columns.rows)) for _ in program.varying]
        else:
            outs = list(out) if isinstance(out, (list, tuple)) else [out]
            if len(outs) != len(program.varying):
                raise ValueError(f"{self.name}: out needs {len(program.varying)} buffers of doubles, found {len(outs)}")
        for x in outs:
            check_output(x, columns.rows)
        if isinstance(executor, Script):
            executor.map(flat_columns(columns, self.arguments), columns.rows, outs)
        elif isinstance(executor, OnDevices):
            executor.map(columns, outs)
        else:
            executor.map(columns.given, columns.table, outs)
        outputs = len(self._outputs)
        values: Any = outs[:outputs] if self.several else outs[0]
        return (values, self._by_argument(outs[outputs:])) if grad else values

    # Training

    def fit(self, *data: Any, batches: Iterable[Any] | None = None, optimizer: Optimizer | None = None,
            epochs: int = 100, batch_size: int | None = None, shuffle: bool = True, seed: int | None = None,
            until: float | None = None, progress: bool | None = False,
            checkpoint: str | os.PathLike[str] | None = None, every: int | None = None) -> list[float]:
        """Gradient steps on the parameters.

        With the native backend the whole loop runs in native code, with JAX the numbers stay on the devices for an
        epoch. A learning rate that is a function depends on the step alone: it is asked for several steps at once.
        Ctrl-C stops the run within a tenth of a second, and raises KeyboardInterrupt after the last whole step. A step
        whose loss or gradient is inf or nan is not taken.

        Args:
            *data: as for a call on columns.
            batches: in place of data, an iterable of minibatches that need not fit in memory together, such as a
                DataLoader of torch: each is the data of a call, in a tuple or a list, or one table. A step is taken on
                each of them, as they come; epochs, batch_size and shuffle have no meaning then, and whoever makes the
                batches leaves the parameters and the optimizer alone.
            optimizer: SGD(lr=0.1) by default; one without parameters gets `params`; one of a class of your own takes
                its steps in Python; with JAX, on the devices, if all it states is a `rule`.
            epochs: how often every row is seen, 0 or more.
            batch_size: rows for each step, 1 or more; None for all of them.
            shuffle: visit the rows in another order in each epoch.
            seed: of that order, which Python draws, row by row; the same seed gives the same one.
            until: stop after the first epoch whose mean loss is at most this number.
            progress: True for a tqdm bar, None for one in a terminal or a notebook, if tqdm is installed.
            checkpoint: a file that is written after each `every` epochs or batches, and at the end. If it is there, the
                run goes on where it was, with the same numbers as if it had never stopped; what comes back starts with
                what it had found. (Of a stream, the batches that were seen are read and passed over.) Of several
                processes the first one writes, and all read. It is a safetensors file, whole at any moment.
            every: how many epochs (1 by default) or batches (100) there are between two writings.

        Returns:
            The mean loss of each epoch; of batches, of each `every` batches, which is then what `until` looks at.

        Raises:
            FloatingPointError: for a loss or gradient that is inf or nan; it names the row (but of a stream) where it
                was so before the first step.
            ValueError, TypeError: for arguments that do not fit, and for the checkpoint of another run.
            TraceError: as a call does, or where the function has changed since it was compiled.

        Example:
            >>> w = micrograd.Value(4.0)
            >>> micrograd.compile(lambda x: (w - x) ** 2).fit([1.0], epochs=2, optimizer=micrograd.SGD(lr=0.5))
            [9.0, 0.0]
        """
        if until is not None and not is_number(until):
            raise TypeError(f"until is a number here, the loss to stop at, found {until!r}; a function of the history "
                            "is for micrograd.fit")
        if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
            raise ValueError(f"every is a whole number >= 1, found {every!r}")
        if batches is not None and data:
            raise TypeError("fit takes data, or batches, not both")
        if batches is not None and not isinstance(batches, Iterable):
            raise TypeError(f"batches is an iterable of minibatches, such as a generator, found {batches!r:.60}")
        optimizer = optimizer if optimizer is not None else SGD(lr=0.1)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer is an object such as micrograd.Adam(lr=0.01), found {optimizer!r}")
        self._keep_up(wholly=True)
        streamed = batches is not None
        order = random.Random(arguments.seed(seed, "fit(seed)")) if shuffle and not streamed else None
        columns = Batch((), False, 0) if streamed else self._prepared(data)
        self._attach(optimizer)
        seen = list(range(columns.rows))
        every = every or (STREAMED if streamed else 1)
        now = Progress([], [], {}, 0, 0, 0, [], seen, None)
        run: dict[str, Any] = {}
        if checkpoint is not None:
            places = {p: i for i, p in enumerate(self._in_plan())}
            trained = [places[p] for p in optimizer.params]
            run = {"function": self.name, "parameters": len(places), "rows": len(seen), "streamed": streamed,
                   OPERATIONS: self._recording.checksum(), "batch_size": batch_size,
                   "shuffle": order is not None, "seed": repr(seed),
                   "reduce": self._options[0], "dtype": self._dtype, "optimizer": optimizer.settings(),
                   "trained": "all" if trained == list(range(len(places))) else trained}
            optimizer.state_dict()  # which says if an optimizer cannot be saved
            now = self._resumed(read(checkpoint, run), optimizer, order) or now
        self._check_processes({
            "the optimizer": [type(optimizer).__name__, optimizer.steps], "the number of rows": len(seen),
            "the arguments of fit": [epochs, batch_size, until, every, checkpoint is None],
            "the order of the rows": order and batch_size and [now.order, order.getstate()],
            "where the run is": [now.epochs, now.batches, now.losses]})
        if until is not None and now.losses and now.losses[-1] <= until:
            return now.losses
        if batches is not None:
            steps = self._stream(batches, optimizer, every, now.batches)
        else:
            steps = ((means, 1) for means in self.epochs(
                *columns.given, optimizer=optimizer, epochs=max(epochs - now.epochs, 0) if now.epochs else epochs,
                batch_size=batch_size, order=order, seen=now.order, stretch=until is None and checkpoint is None))
        bar = progress_bar(epochs, progress) if not streamed else progress_bar(0, False)
        written = True  # all that there is
        try:
            for means, n in steps:
                now.losses.append(means[0])
                now.batches += n if streamed else 0
                now.epochs += 0 if streamed else n
                if progress is not False:
                    bar.set_postfix_str(f"loss {means[0]:.4g}", refresh=False)
                    bar.update()
                written = streamed or now.epochs % every == 0
                if checkpoint is not None and written:
                    self._write(checkpoint, now, run, optimizer, order)
                if until is not None and means[0] <= until:
                    break
            if checkpoint is not None and not written:
                self._write(checkpoint, now, run, optimizer, order)
        finally:
            bar.close()
        return now.losses

    def epochs(self, *data: Any, optimizer: Optimizer, epochs: int, batch_size: int | None = None,
               order: random.Random | None = None, seen: list[int] | None = None,
               stretch: bool = False) -> Iterator[list[float]]:
        """Train for so many epochs, and look at each: what `fit` does, for those who write their own loop.

        Args:
            *data: as for a call on columns.
            optimizer: one without parameters gets `params`.
            epochs: how many, 0 or more.
            batch_size: rows for each step, 1 or more; None for all of them.
            order: a random.Random that shuffles the rows before each epoch; None to leave them as they come.
            seen: the rows in the order that is shuffled; by default as they come.
            stretch: several epochs may be done at once and then be told; so a caller who stops early would have trained
                for more.

        Yields:
            After each epoch, the mean of each output over the rows, as they were met.

        Raises:
            FloatingPointError, ValueError, TypeError, TraceError: as `fit` does.
        """
        for what, n in (("epochs", epochs), ("batch_size", 1 if batch_size is None else batch_size)):
            if not isinstance(n, int) or isinstance(n, bool):
                raise TypeError(f"{what} is a whole number, found {n!r}")
        columns = self._prepared(data)
        size = columns.rows if batch_size is None else batch_size
        if size < 1 or epochs < 0:
            raise ValueError(f"fit needs batch_size >= 1 and epochs >= 0, found {batch_size} and {epochs}")
        self._attach(optimizer)
        self._verify(columns)
        task = self._task(optimizer, size, order, list(range(columns.rows)) if seen is None else seen, stretch)

        def total(rows: Sequence[int]) -> tuple[float, list[tuple[Value, float]]]:
            means, slopes = self._totals("train", self._rows(columns, rows))
            found = dict(zip(self.params, slopes))
            return means[0], [(p, found[p]) for p in optimizer.params]

        return started(task.epochs(columns, epochs), optimizer, self._places, columns.rows,
                       lambda i: self._numbers(columns, i), total)

    def _attach(self, optimizer: Optimizer) -> None:
        """Give the parameters to an optimizer that has none. ValueError for one that has others."""
        if not self.params:
            raise ValueError(f"{self.name} has no parameters to train: it computes with no Value that you made")
        if not optimizer.params:
            optimizer.attach(self.params)
        mine = set(self.params)
        strangers = [p for p in optimizer.params if p not in mine]
        if strangers:
            raise ValueError(f"the optimizer has parameters that {self.name} does not use ({strangers[0]!r}): make a "
                             "new one, or call optimizer.attach(step.params)")

    def _task(self, optimizer: Optimizer, size: int = 1, order: random.Random | None = None,
              seen: list[int] | None = None, stretch: bool = False) -> Task:
        return Task(self._executor("train"), self.arguments, self._sloped(), len(self._outputs), self._summed,
                    optimizer, size, order, seen or [], stretch)

    def _stream(self, batches: Iterable[Any], optimizer: Optimizer, every: int,
                known: int) -> Iterator[tuple[list[float], int]]:
        """A step on each batch but the first, known, ones."""
        def given() -> Iterator[Batch]:
            for i, batch in enumerate(islice(batches, known, None), known):
                try:
                    listed = isinstance(batch, list) and any(getattr(x, "ndim", 0) > 1 for x in batch)
                    columns = self._prepared(tuple(batch) if listed or isinstance(batch, tuple) else (batch,))
                except (TypeError, ValueError) as error:
                    raise type(error)(f"batch {i}: {error}") from None
                self._verify(columns)
                yield columns

        return self._task(optimizer).stream(given(), every)

    def _write(self, checkpoint: str | os.PathLike[str], now: Progress, run: dict[str, Any], optimizer: Optimizer,
               order: random.Random | None) -> None:
        executor = self._executors["train"]
        if not isinstance(executor, OnDevices) or executor.first:
            everyone = self._in_plan()  # those that are not trained, too: they may have been drawn at random
            now.parameters, now.gradients = [p.data for p in everyone], [p.grad for p in everyone]
            now.memory, now.steps = optimizer.state_dict(), optimizer.steps
            now.random = None if order is None else order.getstate()
            write(checkpoint, now, run)

    def _resumed(self, now: Progress | None, optimizer: Optimizer, order: random.Random | None) -> Progress | None:
        """Take the numbers of a checkpoint over, if there is one."""
        if now is not None:
            if order is not None:
                order.setstate(now.random)
            optimizer.load_state_dict(now.memory, now.steps)
            for p, x, slope in zip(self._in_plan(), now.parameters, now.gradients):
                p.data = x
                p.grad = slope
        return now

    def load(self, path: str | os.PathLike[str]) -> None:
        """Set the parameters to those in a file, all of them or, with an error, none; the function goes on with them.

        Optimizers are left alone. No number of a file changes what was compiled: its activations, widths and scaler.

        Args:
            path: what `net.save` or `to_safetensors` wrote of a network that this function computes with (and which is
                found by what the function can name), or the checkpoint of a `fit` of this function.

        Raises:
            ValueError: for the file of another network or function, and for a damaged one.
            OSError: for a file that cannot be read.
        """
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")  # with which a safetensors file begins
            tensors = size <= os.path.getsize(path)
            notes = file.read(size) if tensors else b""
        where = os.fspath(path)
        if f'"{TRAINING_RUN}"'.encode() in notes:
            for p, x in zip(self._in_plan(), parameters_in(path, self._recording.checksum())):
                p.data = x
            return
        mine = set(self._places)
        found: dict[Module, Module] = {}  # the networks that are meant by the file, and what is in it
        nets = [thing for thing in reachable_objects(self._function)
                if isinstance(thing, Module) and mine.issuperset(thing.parameters())]
        for net in nets:
            if not any(net is not other and set(net.parameters()) < set(other.parameters()) for other in nets):
                found[net] = from_safetensors(path) if tensors else type(net).load(path)
        fitting = [net for net, other in found.items() if net.config() == other.config()]
        if len(fitting) != 1:
            known = "; ".join(f"{net!s:.200}" for net in found) or "no network whose parameters it computes with"
            why = "fits several of its networks" if fitting else "is of another network than it was compiled with"
            raise ValueError(f"{self.name} is not loaded from {where}, which {why}. Within its reach there is {known}. "
                             "Load a network by net.load_state_dict(MLP.load(path).state_dict()), or compile what was "
                             "loaded")
        fitting[0].load_state_dict(found[fitting[0]].state_dict())

    # Trust

    def _keep_up(self, wholly: bool = False) -> None:
        """A TraceError if the function has other parameters by now. That takes a run of it, which is left out where no
        leaf was made since the last one; wholly: never, and nothing else may have changed either."""
        if self._function is not None and (wholly or made[0] != self._made):
            now = made[0]
            found = change(self._recording, self._function, parameters_only=not wholly)
            if found:
                raise TraceError(f"{self.name} {found}: what was compiled is out of date. Compile it again, and train "
                                 "by a new optimizer")
            self._made = now

    def _verify(self, columns: Batch) -> None:
        """Compare a few rows with the engine, once; and see that the function still has the parameters it had. One
        thread at a time: the engine's gradient passes through the .grad of the parameters."""
        self._keep_up()
        if self._unverified:
            with growing:
                self._compare(columns)

    def _compare(self, columns: Batch) -> None:
        """Replay and engine, over as many rows as are yet to be compared."""
        count = min(self._unverified, columns.rows)
        if not count:
            return
        assert self._function is not None
        chosen_rows = [(2 * i + 1) * columns.rows // (2 * count) for i in range(count)]
        samples = [self._row(columns, i) for i in chosen_rows]
        waiting, self._unverified = self._unverified, 0
        try:
            self._check_processes({"the rows": samples})
            means, slopes = self._totals("train", self._rows(columns, chosen_rows))
            expected, expected_slopes = self._eagerly(samples)
            scale = max([abs(x) for x in (*expected, *expected_slopes) if math.isfinite(x)], default=0.0)
            labels = [f"output {i}" if self.several else "its value" for i in range(len(means))]
            labels += [f"the gradient of {p.label or repr(p)}" for p in self.params]
            for label, x, y in zip(labels, [*means, *slopes], [*expected, *expected_slopes]):
                size = max(abs(x), abs(y), 1e-3 * scale)
                if not (x == y or abs(x - y) <= CLOSE[self._dtype] * size or (x != x and y != y)):
                    over = f"over the rows {samples!r:.200}" if count > 1 else f"for the row {samples[0]!r:.200}"
                    raise TraceError(f"{self.name} does not replay as it runs: {over}, {label} is {x!r} compiled, and "
                                     f"{y!r} when it is run. Either it depends on something that has changed since it "
                                     "was compiled: compile it again, or pass what changes as an argument. Or rounding "
                                     "decides, as sums are added in another order")
        except BaseException:
            self._unverified = waiting
            raise
        self._unverified = waiting - count
        self._made = made[0]

    def _check_processes(self, facts: dict[str, Any]) -> None:
        """Compare the processes that share the devices, if there are several."""
        if self.backend == "jax":
            self._executor("train").check_alike({"the parameters": [p.data for p in self._places], **facts})

    def _row(self, columns: Batch, i: int) -> list[Any]:
        """One row: for each argument a number, or a list of numbers."""
        rest = iter(self._numbers(columns, i))
        return [list(islice(rest, width)) if width else next(rest) for width in self._widths]

    def _rows(self, columns: Batch, rows: Iterable[int]) -> Batch:
        """Some of the rows."""
        samples = [self._row(columns, i) for i in rows]
        return prepared(self.name, self.arguments, [list(column) for column in zip(*samples)])

    def _numbers(self, columns: Batch, i: int) -> list[float]:
        """The numbers of one row, side by side."""
        numbers: list[float] = []
        for x in columns.given:
            if isinstance(x, float):
                numbers.append(x)
            elif memoryview(x).ndim == 1:
                numbers.append(x[i])
            else:
                view = memoryview(x)
                numbers += [view[i, j] for j in range(view.shape[1] if view.shape else 0)]
        return numbers

    def _eagerly(self, samples: list[list[Any]]) -> tuple[list[float], list[float]]:
        """The outputs and the gradient over these samples, by the engine. No .grad is changed."""
        assert self._function is not None
        everyone = list(self._places)
        before = [p.grad for p in everyone]
        share = 1.0 if self._summed else 1.0 / len(samples)
        totals = [0.0] * len(self._outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # inf and nan are compared like other results
            try:
                for p in everyone:
                    p.grad = 0.0
                for sample in samples:
                    given = [[Value(y) for y in x] if isinstance(x, list) else Value(x) for x in sample]
                    result = self._function(*given)
                    outputs = list(result) if self.several else [result]
                    if isinstance(outputs[0], Value):
                        outputs[0].backward(share)
                    totals = [total + share * float(y) for total, y in zip(totals, outputs)]
                return totals, [p.grad for p in self.params]
            finally:
                for p, x in zip(everyone, before):
                    p.grad = x

    # Looking at it

    @property
    def source(self) -> str:
        """The program of a step, or of a sample where there are no parameters, as Python."""
        kind = "train" if self.params else "map"
        executor = self._executors.get(kind)
        if not isinstance(executor, Script):
            executor = Script(self._program(kind), list(self._places))
        return executor.source

    @property
    def plan(self) -> Equations:
        """The program of a step, or of a sample where there are no parameters, as operations on whole arrays: `print`
        shows the matrix equations that were found in the scalars, the layers of a network, say."""
        if not self.params:
            return Equations(self._plan("map"))
        return Equations(self._plan("train"), note="(the sums that are asked for are these means times rows)" *
                         self._summed)

    def numpy(self) -> Callable[..., tuple[Any, Any]]:
        """As `jax`, for arrays of NumPy.

        Returns:
            A function (params, batch) → (loss, gradient).

        Raises:
            ImportError: where numpy is missing.

        Example:
            >>> import numpy as np
            >>> w = micrograd.Value(0.0)
            >>> loss = micrograd.compile(lambda x, y: (w * x - y) ** 2).numpy()
            >>> value, gradient = loss(np.array([1.0]), np.array([[1.0, 3.0], [2.0, 6.0]]))
            >>> float(value), gradient.tolist()
            (10.0, [-10.0])
        """
        return self._pure(numpy_library())

    def jax(self) -> Callable[..., tuple[Any, Any]]:
        """A pure function of parameters and data, to go on with in JAX: to jit, shard, scan, or to train by optax.

        It takes (params, batch). params: a vector with a number for each of `Compiled.params`, in that order. batch: a
        table with a row for each sample and all arguments side by side, or the arguments in a tuple, as in a call. All
        numbers are of the kind that params are: float32, unless you switch jax_enable_x64 on. Parameters that are not
        among `Compiled.params` are frozen as they are now.

        Returns:
            A function (params, batch) → (loss, gradient). loss: a number (a vector for a function of several outputs),
            the mean or sum over the rows; gradient: of the first output, a vector like params. (jax.grad of the loss is
            another: at kinks, and nan where a branch that is not taken has such a slope.)

        Raises:
            ImportError: where jax is missing.
        """
        return self._pure(jax_library())

    def torch(self) -> Callable[..., tuple[Any, Any]]:
        """As `jax`, for tensors of PyTorch, on the device of params. The gradient is worked out, not left to autograd.

        Returns:
            A function (params, batch) → (loss, gradient).

        Raises:
            ImportError: where torch is missing.
        """
        return self._pure(torch_library())

    def onnx_model(self, dtype: str = "float64", grad: bool = False) -> bytes:
        """The computation of each row as an ONNX model, in memory: what `micrograd.to_onnx` writes to a file.

        Args:
            dtype: of all its numbers, "float64" or "float32".
            grad: whether the derivatives of the first output by each number that goes in are a second output.

        Returns:
            The content of the file.

        Raises:
            ValueError: for an op or a number that cannot be written.
            ImportError: where onnx or numpy is missing.
        """
        self._keep_up()
        for p in self._in_plan():
            if not math.isfinite(p.data):
                raise ValueError(f"to_onnx: the parameter {p!r} is not finite: a model that diverged is not passed on")
        return onnx_model(self._plan("slopes" if grad else "map"), [p.data for p in self._in_plan()], self.arguments,
                          len(self._outputs), dtype)

    def _pure(self, library: Library) -> Callable[..., tuple[Any, Any]]:
        self._keep_up()
        frozen = [p.data for p in self._in_plan()[len(self.params):]]
        return loss_and_gradient(self._plan("train"), library, frozen, self.arguments, self._summed, self.several)

    @property
    def tape(self) -> Program:
        """The recorded program, and what was added to it for derivatives. `print` shows it, a line for each node."""
        return self._tape

    @property
    def stats(self) -> dict[str, Any]:
        """How large it is: the ops that were recorded; those of the program, with its gradient if there are parameters;
        the instructions that are run once and for each sample; and how long it took to compile, in seconds."""
        kind = "train" if self.params else "map"
        program = self._program(kind)
        self._executor(kind)
        sums = [len(instruction.terms) for instruction in program.body if isinstance(instruction, SumOfProducts)]
        return {
            "backend": self.backend, "instruction set": native.available[0] if self.backend == "native" else "",
            "columns": len(self._tape.inputs), "parameters": len(self.params),
            "recorded nodes": sum(1 for parents in self._recording.args if parents), "program nodes": program.nodes,
            "instructions before": len(program.before), "instructions for each sample": len(program.body),
            "instructions after": len(program.after), "sums": len(sums), "terms in sums": sum(sums),
            "means": len(program.means), "seconds": round(self.seconds, 6),
        }

    def graph(self, *numbers: float) -> list[Value]:
        """The graph of one sample, as ordinary Values, for `draw`.

        Args:
            *numbers: one for each column; 0 by default.

        Returns:
            Its outputs, a list of Values.

        Raises:
            ValueError: for more numbers than columns, or fewer.

        Example:
            >>> y, = micrograd.compile(lambda a, b: a * b).graph(2.0, 5.0)
            >>> y.data, [node.label for node in y.parents]
            (10.0, ['a', 'b'])
        """
        recording = self._recording
        given = numbers or [0.0] * len(recording.inputs)
        if len(given) != len(recording.inputs):
            raise ValueError(f"{self.name} needs {len(recording.inputs)} numbers, found {len(given)}")
        nodes: list[Any] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of inf and nan: the numbers may be of no interest
            for i, (row, parents) in enumerate(zip(recording.ops, recording.args)):
                if i < len(given):
                    node: Any = Value(given[i], recording.labels.get(i, ""))
                elif i in recording.parameters:
                    node = recording.parameters[i]
                elif i in recording.numbers:
                    node = recording.numbers[i]
                else:
                    given_to = [nodes[parent] for parent in parents]
                    node = row(*given_to) if row.name in ops.OPS else row.value(*map(float, given_to))
                    if isinstance(node, Value) and recording.labels.get(i, "") and not node.label and node.parents:
                        node.label = recording.labels.get(i, "")
                nodes.append(node)
        return [node if isinstance(node, Value) else Value(node) for node in (nodes[y] for y in recording.outputs)]

    def __repr__(self) -> str:
        names = ", ".join(argument.name for argument in self.arguments)
        return in_signs(f"<compiled {self.name}({names}): {counted(len(self.params), 'parameter')}, {self.backend}>")

    def __str__(self) -> str:
        stats = self.stats
        names = ", ".join(a.name if a.width is None else f"{a.name}[{a.width}]" for a in self.arguments)
        where = {"native": f"native code ({stats['instruction set']})", "python": "generated Python",
                 "jax": f"{self._dtype} by JAX on {counted(len(self._devices), 'device')}"}[self.backend]
        over = f", {'sum' if self._summed else 'mean'} over the rows" if self.params else ""
        with_gradient = f" with the gradient by {counted(len(self.params), 'parameter')}" if self.params else ""
        return in_signs(
            f"{self.name}({names}){over}, in {where}\n"
            f"  {counted(stats['recorded nodes'], 'op')} recorded, {stats['program nodes']:,}{with_gradient}; as "
            f"instructions:\n"
            f"  {stats['instructions before']:6,} once before\n"
            f"  {stats['instructions for each sample']:6,} for each sample, {stats['sums']:,} of them sums of "
            f"{counted(stats['terms in sums'], 'product')}\n"
            f"  {stats['instructions after']:6,} once after, from {counted(stats['means'], 'mean')}\n"
            f"  compiled in {1e3 * stats['seconds']:.1f} ms\n\n"
            f"{self.plan if self.backend == 'jax' else shortened(self.source)}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the recording and its parameters, which are compiled again. The function itself stays behind."""
        reduce, backend, threads, dtype = self._options
        return restored, (self._recording, self.params, reduce, backend, threads, len(self._devices), dtype)


def restored(recording: Program, params: list[Value], reduce: str, backend: str, threads: int | None,
             devices: int = 0, dtype: str = "float64") -> Compiled:
    """Unpickle. Native code that is not there is replaced; devices are as many, of those that are there."""
    if native is None and backend == "native":
        backend = "auto"
    there = chosen("all" if devices > 1 else None)[:max(devices, 1)] if backend == "jax" else ()
    return Compiled(recording, params, None, reduce, backend, 0, threads, there, dtype)


def shortened(source: str, most: int = 40) -> str:
    """A program to look at: the whole of a short one, the beginning of what is done for each sample of a long one."""
    lines = source.rstrip().splitlines()
    if len(lines) <= most:
        return "\n".join(lines)
    start = next((i for i, line in enumerate(lines) if line.strip().lower().startswith("# for each sample")), 0)
    shown = [line if len(line) <= 110 else line[:107] + "..." for line in lines[start:start + most // 2]]
    return "\n".join([*shown, f"    ...  ({len(lines):,} lines in all: .source)"])


def available_processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
