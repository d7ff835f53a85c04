"""`Compiled`, what `compile` returns: questions about columns and single samples, training, what it says of itself."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic

from ..arguments import as_float, counted, is_number
from ..engine import Value, in_signs, made
from ..optim import Optimizer
from ..training.door import fit, table_steps
from ..training.history import History
from ..training.loop import FitOptions, Until
from ..training.steps import StepChooser
from . import executors
from .arrays import loss_and_gradient, onnx_model
from .batch import one_sample, outputs_of, prepared
from .checks import Checks
from .executors import Executors, uncollected
from .jax_devices import resolve_devices
from .libraries import Library, jax_library, numpy_library, torch_library
from .listing import graph_of, listing, shortened, stats
from .loading import load
from .program import Program
from .trace import change

__all__ = ["Compiled"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with a default, so that Compiled alone is a type, too

    from .equations import Equations

    Found = TypeVar("Found", default=Any)  # what is found for a sample: a float, or a list of them
else:
    from typing import TypeVar
    Found = TypeVar("Found")


class Compiled(Generic[Found]):
    """A compiled function. Call it on columns for the mean over the rows, on numbers for the value of one sample.

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
        self.name, self.arguments, self.several = recording.name, recording.arguments, recording.several
        self._recording = recording
        self._options = (reduce, backend, threads, dtype)
        self._executors = Executors(recording, params, backend, threads, devices, dtype)
        self.params: list[Value] = self._executors.params
        self.backend = self._executors.backend
        self._ready, self._singles = self._executors.made, self._executors.singles  # at hand, as a call takes little
        self._outputs, self._lists = self._executors.outputs, any(self._executors.widths)
        self._checks = Checks(recording, function, self._executors, reduce == "sum", verify)
        self._started = seconds + perf_counter() - start - self._executors.seconds

    @property
    def seconds(self) -> float:
        """The time that it took to compile, in seconds."""
        return self._started + self._executors.seconds

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
            TypeError: for what is not a number.
        """
        plain = True
        for x in data:
            if type(x) is not float:
                if not is_number(x):
                    break
                plain = False
        else:
            return self._one(data if plain else tuple(map(as_float, data)))
        if not self._checks.waiting and made[0] == self._checks.made:
            executor = self._ready.get("train")
            if executor is not None and self.backend == "native":
                found = executor.total(data, len(data) == 1 < len(self.arguments), self._checks.summed, True)
                if found is not None:
                    return self._shaped(found)
        return self._on_columns(data)

    def _one(self, numbers: tuple[float, ...]) -> Found:
        executor = self._singles.get("map") if made[0] == self._checks.made else None
        executor = executor or self._checked_on("map", numbers)
        try:
            found = executor.one(numbers)
        except (TypeError, ValueError, OverflowError):
            found = executor.one(self._checks.sample(numbers))  # says what is wrong
        shaped: Found = found if self.several else found[0]
        return shaped

    def _checked_on(self, kind: str, sample: Sequence[Any]) -> Any:
        """An executor that is asked for one sample, which is then the first to be verified."""
        numbers = self._checks.sample(sample)
        self._checks.keep_up()
        if numbers:
            self._checks.verify(prepared(self.name, self.arguments, [[x] for x in self._checks.by_argument(numbers)]))
        return self._executors.executor(kind, single=True)

    def _on_columns(self, data: tuple[Any, ...]) -> Found:
        """The slow path of a call: other data than buffers, the first data, generated Python."""
        sample = one_sample(self.arguments, data)
        if sample is not None:
            return self._one(sample)
        means, slopes = self._checks.totals("train", self._checks.columns(data))
        for p, slope in zip(self.params, slopes):
            p.grad += slope
        return self._shaped(means)

    def _shaped(self, found: Any) -> Found:
        numbers: Any = found if isinstance(found, list) else [found]
        shaped: Found = numbers if self.several else numbers[0]
        return shaped

    def columns(self, *data: Any) -> tuple[Any, ...]:
        """The data of a call, verified, as buffers of doubles, for those who call with the same data again and again.

        Args:
            *data: as for a call on columns.

        Returns:
            A tuple of buffers, to be given in the place of the data.
        """
        return self._checks.columns(data).given

    def holds(self) -> bool:
        """Ask whether the function would be recorded again as it was.

        Returns:
            False where something that it depends on, other than the numbers of its parameters, has changed.
        """
        return self._checks.function is None or not change(self._recording, self._checks.function)

    def value(self, *data: Any) -> Found:
        """The mean (or sum) over the rows of columns, without touching any gradient.

        Args:
            *data: as for a call on columns.

        Returns:
            A float; a list of them for a function of several outputs.
        """
        return self._shaped(self._checks.totals("value", self._checks.columns(data))[0])

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
        means, slopes = self._checks.totals("train", self._checks.columns(data))
        return self._shaped(means), slopes

    def grad(self, *data: Any) -> Any:
        """The derivatives of one sample's (first) output with respect to the inputs.

        Args:
            *data: the numbers of the sample.

        Returns:
            A number for each argument in a tuple, a list for one that is a list; bare for a function of one argument.

        Raises:
            TypeError: for anything but the numbers of one sample.
        """
        executor = self._singles.get("slopes") if made[0] == self._checks.made else None
        executor = executor or self._checked_on("slopes", data)
        try:
            found = executor.one(data)
        except (TypeError, ValueError, OverflowError):
            found = executor.one(self._checks.sample(data))
        del found[:len(self._outputs)]
        return self._checks.shaped(found) if self._lists or len(found) == 1 else tuple(found)

    def hessian(self, *data: Any) -> list[list[float]]:
        """The second derivatives of one sample's (first) output with respect to the inputs.

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
        found = self._checked_on("curves", data).one(self._checks.sample(data))
        n = len(self._executors.program.inputs)
        return [found[i * n:(i + 1) * n] for i in range(n)]

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
            TypeError: for what is not a number.

        Example:
            >>> micrograd.compile(lambda a: a * a).map([1.0, 2.0, 3.0])
            array('d', [1.0, 4.0, 9.0])
        """
        kind = "slopes" if grad else "map"
        self._executors.executor(kind)
        varying = self._executors.schedule(kind).varying
        columns = prepared(self.name, self.arguments, data)
        self._checks.verify(columns)
        outs = outputs_of(self.name, columns.rows, len(varying), out)
        self._executors.map(kind, columns, outs)
        outputs = len(self._outputs)
        values: Any = outs[:outputs] if self.several else outs[0]
        return (values, self._checks.shaped(outs[outputs:])) if grad else values

    def fit(self, *data: Any, batches: Iterable[Any] | None = None, optimizer: Optimizer | None = None,
            epochs: int = 100, batch_size: int | None = None, shuffle: bool = True, seed: int | None = None,
            until: Until = None, validation: Any = None, patience: int | None = None, progress: bool | None = False,
            callback: Callable[[History], None] | None = None, checkpoint: str | os.PathLike[str] | None = None,
            every: int | None = None) -> History:
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
            optimizer: SGD(lr=0.1) by default; one without parameters gets `params`. One of a class of your own whose
                `rule` can be compiled takes its steps in native code or on the devices; else in Python, and
                `History.ran` says so.
            epochs: how often every row is seen, 0 or more.
            batch_size: rows for each step, 1 or more; None for all of them.
            shuffle: visit the rows in another order in each epoch.
            seed: of that order, which Python draws, row by row; the same seed gives the same one.
            until: stop after the first epoch whose mean loss is at most this number, or after which this function of
                the history is true, such as `micrograd.train.converged()`.
            validation: data that are not trained on, as in a call, in a tuple or a list; or the share of the rows (in
                (0, 1)) to hold out for it.
            patience: keep the best epoch, and stop after this many without a better one; see `micrograd.fit`.
            progress: True for a tqdm bar, None for one in a terminal or a notebook, if tqdm is installed.
            callback: called with the history after each epoch.
            checkpoint: a file that is written after each `every` epochs or batches, and at the end. If it is there, the
                run goes on where it was, with the same numbers as if it had never stopped; what comes back starts with
                what it had found. (Of a stream, the batches that were seen are read and passed over.) Of several
                processes the first one writes, and all read. It is a safetensors file, whole at any moment.
            every: how many epochs (1 by default) or batches (100) there are between two writings.

        Returns:
            The `History` of the run, which is the list of the mean losses of the epochs; of batches, of each `every`
            batches, which are then what `until`, `patience` and `callback` look at.

        Raises:
            FloatingPointError: for a loss or gradient that is inf or nan; where it was so before
                the first step, it names the row (except in a stream).
            ValueError, TypeError: for arguments that do not fit, and for the checkpoint of another run.
            TraceError: as a call does, or where the function has changed since it was compiled.

        Example:
            >>> w = micrograd.Value(4.0)
            >>> micrograd.compile(lambda x: (w - x) ** 2).fit([1.0], epochs=2, optimizer=micrograd.SGD(lr=0.5)).loss
            [9.0, 0.0]
        """
        return fit(self._checks, data, batches, optimizer, FitOptions(
            epochs, batch_size, shuffle, seed, until, validation, patience, progress, callback, checkpoint, every))

    def epochs(self, *data: Any, optimizer: Optimizer, epochs: int, batch_size: int | None = None,
               order: random.Random | None = None, seen: list[int] | None = None,
               stretch: bool = False) -> Iterator[list[float]]:
        """Train for a number of epochs, and look at each: what `fit` does, for those who write their own loop.

        Args:
            *data: as for a call on columns.
            optimizer: one without parameters gets `params`.
            epochs: how many, 0 or more.
            batch_size: rows for each step, 1 or more; None for all of them.
            order: a random.Random that shuffles the rows before each epoch; None to leave them as they come.
            seen: the rows in the order that is shuffled; by default as they come.
            stretch: several epochs may be done at once, so that a caller who stops early may have trained for more.

        Yields:
            After each epoch, the mean of each output over the rows, as they were met.

        Raises:
            FloatingPointError, ValueError, TypeError, TraceError: as `fit` does.
        """
        chooser = StepChooser(self._executors, optimizer, self._checks.summed)
        return table_steps(self._checks, self._checks.prepared(data), chooser, epochs, batch_size, order, seen, stretch)

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
        load(path, self._recording, self._executors, self._checks.function)

    # Looking at it

    @property
    def source(self) -> str:
        """The program of a step, or of a sample where there are no parameters, as Python."""
        return self._executors.script("train" if self.params else "map").source

    @property
    def plan(self) -> Equations:
        """The program of a step, or of a sample where there are no parameters, as operations on whole arrays: `print`
        shows the matrix equations that were found in the scalars, the layers of a network, say."""
        from .equations import Equations  # not sooner: with all of formulas it takes long to load, and few ask

        note = "(the sums that are asked for are these means times rows)" if self.params and self._checks.summed else ""
        return Equations(self._executors.plan("train" if self.params else "map"), note=note)

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

    def _pure(self, library: Library) -> Callable[..., tuple[Any, Any]]:
        self._checks.keep_up()
        frozen = [p.data for p in self._executors.in_plan[len(self.params):]]
        return loss_and_gradient(self._executors.plan("train"), library, frozen, self.arguments, self._checks.summed,
                                 self.several)

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
        self._checks.keep_up()
        return onnx_model(self._executors.plan("slopes" if grad else "map"), self._executors.in_plan, self.arguments,
                          len(self._outputs), dtype)

    @property
    def tape(self) -> Program:
        """The recorded program, and what was added to it for derivatives. `print` shows it, a line for each node."""
        return self._executors.program

    @property
    def stats(self) -> dict[str, Any]:
        """Its size: the ops that were recorded; those of the program, with its gradient if there are parameters;
        the instructions that are run once and for each sample; and how long it took to compile, in seconds."""
        return stats(self._executors, self._recording, self.seconds)

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
        return graph_of(self._recording, numbers)

    def __repr__(self) -> str:
        names = ", ".join(argument.name for argument in self.arguments)
        return in_signs(f"<compiled {self.name}({names}): {counted(len(self.params), 'parameter')}, {self.backend}>")

    def __str__(self) -> str:
        shown = self.plan if self.backend == "jax" else shortened(self.source)
        return in_signs(f"{listing(self._executors, self._recording, self.stats, self._checks.summed)}\n\n{shown}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the recording and its parameters, which are compiled again. The function itself stays behind."""
        reduce, backend, threads, dtype = self._options
        return restored, (self._recording, self.params, reduce, backend, threads, len(self._executors.devices), dtype)


def restored(recording: Program, params: list[Value], reduce: str, backend: str, threads: int | None,
             devices: int = 0, dtype: str = "float64") -> Compiled:
    """Unpickle. Native code that is not there is replaced; devices are as many, of those that are there."""
    if executors.native is None and backend == "native":
        backend = "auto"
    there = resolve_devices("all" if devices > 1 else None)[:max(devices, 1)] if backend == "jax" else ()
    return Compiled(recording, params, None, reduce, backend, 0, threads, there, dtype)
