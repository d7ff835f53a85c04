"""The programs of a recorded function, and who runs them: each is made when it is first asked for.

    train    the means over the rows, and the gradient of the first by the parameters
    value    the means alone
    map      the outputs of each row
    slopes   the same, and the gradient of the first by the inputs
    curves   its second derivatives by the inputs

An executor is the native kernel; generated Python where there is none, or where an op of the user's own takes bare
floats; JAX, as operations on whole arrays, where that was asked for. This module knows nothing of what is asked, nor of
training.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import get_ident
from time import perf_counter
from typing import Any

from ..engine import Value, engine_kind
from .batch import Batch, flat_columns
from .encode import encode, missing
from .gradient import gradient
from .jax_devices import OnDevices
from .plan import Plan, plan
from .program import Program, growing, simplified
from .python_code import Script
from .schedule import Schedule, schedule

native: Any = None  # the kernel, where it was built; it works on the Values of the compiled engine
if engine_kind() == "compiled":
    with suppress(ImportError):
        native = import_module(f"{__package__}.kernel.native")


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


class Executors:
    """The programs of a recorded function, and their executors.

    params: those that the gradient is taken of, None for all. threads: None for as many as pay. devices, dtype: of JAX.
    """

    def __init__(self, recording: Program, params: list[Value] | None, backend: str, threads: int | None,
                 devices: Sequence[Any], dtype: str) -> None:
        start = perf_counter()
        self.threads = threads or -available_processors()
        self.devices = devices
        self.dtype = dtype
        self.program = simplified(recording)
        self.outputs = self.program.outputs
        recorded = dict.fromkeys(recording.parameters.values())
        for p in dict.fromkeys(params or ()):
            if p not in recorded:
                self.program.parameter(p, p.label)
        self.places = {p: node for node, p in self.program.parameters.items()}
        self.params: list[Value] = list(recorded) if params is None else list(dict.fromkeys(params))
        # The gradient comes out from the last place to the first; in this order neighbours are neighbours.
        self.trained = sorted(self.params, key=self.places.__getitem__, reverse=True)
        self.in_plan = list(dict.fromkeys([*self.params, *self.places]))  # the parameters as a plan takes them
        self.arguments = recording.arguments
        self.widths = [argument.width or 0 for argument in self.arguments]
        self.schedules: dict[str, Schedule] = {}
        self.plans: dict[str, Plan] = {}
        self.made: dict[str, Any] = {}  # the executors
        self.rule: Any = None  # of the last optimizer, compiled
        self.backend = self.choose(backend)
        # For one sample: JAX takes as long for it as for thousands.
        self.singles: dict[str, Any] = {} if self.backend == "jax" else self.made
        self.seconds = perf_counter() - start  # that it took to compile

    def choose(self, backend: str) -> str:
        if backend in ("python", "jax") or (native is None and backend == "auto"):
            return backend if backend != "auto" else "python"
        if native is None:
            raise RuntimeError("backend='native' needs the compiled kernel: install micrograd where a C compiler is at "
                               "hand, without MICROGRAD_PURE; or choose backend='auto'")
        lacking = missing(self.schedule("train"), native.codes)
        if lacking and backend == "native":
            raise RuntimeError(f"backend='native' cannot run {', '.join(lacking)}: an op of your own runs natively if "
                               "its function is written with operators and rows, such as micrograd.exp(x), not "
                               "math.exp(x)")
        return "python" if lacking else "native"

    def schedule(self, kind: str) -> Schedule:
        with growing:
            if kind not in self.schedules:
                program, outputs = self.program, self.outputs
                if kind in ("train", "value"):
                    means = [program.mean(y) for y in outputs]
                    slopes = self.gradient([self.places[p] for p in self.trained]) if kind == "train" else []
                    self.schedules[kind] = schedule(program, means + slopes)
                else:
                    slopes = [] if kind == "map" else self.gradient(program.inputs)
                    if kind == "curves":
                        slopes = [d for slope in slopes for d in gradient(program, slope, program.inputs)]
                    self.schedules[kind] = schedule(program, [], slopes if kind == "curves" else [*outputs, *slopes])
            return self.schedules[kind]

    def gradient(self, leaves: list[int]) -> list[int]:
        """The gradient of the first output, under names such as d_w."""
        labels = self.program.labels
        slopes = gradient(self.program, self.outputs[0], leaves)
        for leaf, slope in zip(leaves, slopes):
            if self.program.args[slope]:
                labels.setdefault(slope, f"d_{self.program.title(leaf)}")
        return slopes

    def executor(self, kind: str, single: bool = False) -> Any:
        """The executor of a program: for a single sample, or for columns."""
        found = (self.singles if single else self.made).get(kind)
        return found if found is not None else self.make(kind, single)

    @uncollected()
    def make(self, kind: str, single: bool) -> Any:
        executors = self.singles if single else self.made
        with growing:
            if kind not in executors:
                start = perf_counter()
                found = self.schedule(kind)
                if self.backend == "jax" and not single:
                    executors[kind] = OnDevices(self.plan(kind), self.in_plan, self.devices, self.dtype)
                elif self.backend == "python" or native is None or missing(found, native.codes):
                    executors[kind] = Script(found, list(self.places))
                else:
                    first = dict.fromkeys([*self.trained, *self.places])
                    executors[kind] = machine(found, {p: self.places[p] for p in first},
                                              len(self.trained) if kind == "train" else 0, self.widths, self.threads)
                self.seconds += perf_counter() - start
            return executors[kind]

    def script(self, kind: str) -> Script:
        """A program as Python, whoever runs it."""
        executor = self.made.get(kind)
        return executor if isinstance(executor, Script) else Script(self.schedule(kind), list(self.places))

    def totals(self, kind: str, columns: Batch) -> tuple[list[float], dict[Value, float]]:
        """The mean of each output over the rows, and the slopes of the first by the parameters."""
        executor = self.executor(kind)
        if isinstance(executor, Script):
            found = executor.total(flat_columns(columns, self.arguments), 0, columns.rows, 1.0 / columns.rows)
        elif isinstance(executor, OnDevices):
            found = executor.total(columns)
        else:
            found = executor.total(columns.given, columns.table, False, False)
        outputs = len(self.outputs)
        return found[:outputs], dict(zip(self.params if self.backend == "jax" else self.trained, found[outputs:]))

    def map(self, kind: str, columns: Batch, outs: list[Any]) -> None:
        """Write the outputs of each row to buffers of doubles."""
        executor = self.executor(kind)
        if isinstance(executor, Script):
            executor.map(flat_columns(columns, self.arguments), columns.rows, outs)
        elif isinstance(executor, OnDevices):
            executor.map(columns, outs)
        else:
            executor.map(columns.given, columns.table, outs)

    @uncollected()
    def plan(self, kind: str) -> Plan:
        """A program as operations on arrays. The slopes come in the order of `params`."""
        with growing:
            if kind not in self.plans:
                found = self.schedule(kind)
                uniform = dict(zip(self.trained, found.uniform[len(self.outputs):]))
                self.plans[kind] = plan(found, [self.places[p] for p in self.in_plan],
                                        [*found.uniform[:len(self.outputs)],
                                         *[uniform[p] for p in self.params if uniform]])
            return self.plans[kind]


def machine(program: Schedule, places: Mapping[Value, int], trained: int, widths: Sequence[int], threads: int) -> Any:
    """A program in native code, on the best instruction set of this processor.

    places: the Values whose numbers it reads, first those that are trained, and the nodes that stand for them. trained:
    how many these are. widths: for each argument how many numbers are in it, 0 for a bare one.
    """
    code = encode(program, native.codes, native.lanes(native.available[0]), list(places.values()))
    return native.Machine(code, list(places), trained, list(widths), native.available[0], threads)


def available_processors() -> int:
    """The number of processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
