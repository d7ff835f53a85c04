"""A plan on JAX: on one device, or with the rows shared among many, of one process or of several.

Each device works on its rows of the table, with parameters of its own that are the same everywhere; the sums over the
rows are added up across the devices once for each question or training step, all of them in one vector. Rows are padded
to as many for each device; what is padded does not count. This module knows nothing of recordings, nor of where a table
comes from.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

from ..engine import Value
from ..optim import Optimizer
from ..packages import needed
from ..training.failures import why_step_failed
from .arrays import PlanRun
from .batch import Batch
from .libraries import jax_library
from .plan import Plan

AXIS = "rows"  # of the mesh
AHEAD = 2      # steps that may be waiting for the devices: each of them holds a batch


def resolve_devices(devices: Any) -> list[Any]:
    """The devices meant by None (the first of this process), a number (so many of all), "all", or a list of them.

    Raises ImportError without JAX, TypeError and ValueError for what names none.
    """
    jax = needed("jax", "jax")
    if devices is None:
        return list(jax.local_devices()[:1])
    there = list(jax.devices())
    if isinstance(devices, str) and devices == "all":
        return there
    if isinstance(devices, int) and not isinstance(devices, bool):
        if not 0 < devices <= len(there):
            raise ValueError(f"devices={devices}, and JAX has {len(there)} ({there[0].platform}): give a number from 1 "
                             'to that, "all" or a list of jax.devices(). A processor counts as one; before JAX is '
                             "loaded, XLA_FLAGS=--xla_force_host_platform_device_count=8 makes it eight")
        found = there[:devices]
    elif isinstance(devices, (list, tuple)) and devices and all(isinstance(d, jax.Device) for d in devices):
        found = list(dict.fromkeys(devices))
    else:
        raise TypeError(f'devices must be None, a number, "all" or a list of jax.devices(), found {devices!r}')
    if not any(d.process_index == jax.process_index() for d in found):
        raise ValueError(f"devices={devices!r} has none of process {jax.process_index()}: every process takes part "
                         'with devices of its own, devices="all", say')
    return found


class OnDevices:
    """One program on JAX. parameters: the Values whose numbers are read at every question, in the plan's order."""

    def __init__(self, plan: Plan, parameters: Sequence[Value], devices: Sequence[Any], dtype: str) -> None:
        self.plan = plan
        self.parameters = list(parameters)
        self.devices = list(devices)
        self.dtype = dtype
        self.library = jax_library()
        self.jax = needed("jax", "jax")
        self.numpy = needed("numpy", "jax")
        mesh = self.jax.sharding.Mesh(self.numpy.array(self.devices), (AXIS,))
        part = self.jax.sharding.PartitionSpec
        self.everywhere, self.spread = (self.jax.sharding.NamedSharding(mesh, part(*axes)) for axes in ((), (AXIS,)))
        processes = {device.process_index for device in self.devices}
        self.several = len(processes) > 1  # who share these devices
        self.first = self.jax.process_index() == min(processes)
        self.functions: dict[tuple[str, bool], Any] = {}
        self.steps: DeviceSteps | None = None  # the newest, which is compiled for its optimizer,
        self.rule = ""                         # and the checksum of its rule

    def precision(self) -> AbstractContextManager[Any]:
        """In which double precision is what it says, whatever the user has set."""
        if self.dtype != "float64":
            return nullcontext()
        switch = getattr(self.jax, "enable_x64", None)
        if switch is None:  # before JAX 0.8
            switch = needed("jax.experimental", "jax").enable_x64
        found: AbstractContextManager[Any] = switch(True)
        return found

    def check_alike(self, facts: Mapping[str, Any]) -> None:
        """Raise ValueError, in every process, where the processes differ in a fact: each would go its own way, with
        numbers that are nobody's. facts: by name, anything that prints alike where it is alike."""
        if self.several:
            marks = self.numpy.array([[zlib.crc32(repr(fact).encode()) for fact in facts.values()]], "uint32")
            mine = self.placed(marks.repeat(len(self.devices), 0), self.spread)
            found = self.numpy.asarray(self.jax.jit(lambda x: x, out_shardings=self.everywhere)(mine))
            differ = [name for name, column in zip(facts, found.T) if len(self.numpy.unique(column)) > 1]
            if differ:
                raise ValueError(f"the processes differ in {', '.join(differ)}: each of them runs the same program on "
                                 "the same data, and takes its share of the rows by itself. Give seeds to networks and "
                                 "to fit (rng=1, seed=1), and a checkpoint that all of them can read")

    def steps_by(self, trained: int, optimizer: Optimizer, summed: bool, outputs: int) -> DeviceSteps:
        """The steps of an optimizer on the devices; the newest ones are kept, as they are compiled."""
        if self.steps is None or self.steps.optimizer is not optimizer:
            self.steps = DeviceSteps(self, trained, optimizer, summed, outputs)
        return self.steps

    # Questions

    def total(self, data: Batch) -> list[float]:
        """The uniform outputs: their means over the rows."""
        with self.precision():
            arrays = self.shared(self.table(data))
            given = self.replicated(self.numbers(self.parameters)), self.replicated(data.rows)
            found = self.compiled(self.uniform, len(arrays) > 1)(given, *arrays)
            return list(self.numpy.asarray(found, "float64").tolist())

    def map(self, data: Batch, outs: Sequence[Any]) -> None:
        """The varying outputs for each row, written to buffers of doubles."""
        with self.precision():
            found = self.compiled(self.varying, False)(self.replicated(self.numbers(self.parameters)),
                                                       self.shared(self.table(data))[0])
            for out, column in zip(outs, found):
                self.numpy.asarray(out)[:] = self.numpy.asarray(column)[:data.rows]

    def compiled(self, asked: Any, masked: bool) -> Any:
        """`uniform` or `varying`, compiled for all devices together."""
        key = asked.__name__, masked
        if key not in self.functions:
            self.functions[key] = self.jax.jit(self.on_each(asked, masked, gives_rows=asked == self.varying),
                                               out_shardings=self.everywhere)
        return self.functions[key]

    def uniform(self, given: Any, table: Any, *mask: Any) -> Any:
        """The uniform outputs, from the rows of one device and the sums of the others. To be traced by `on_each`.
        given: the parameters, and how many rows there are on all devices."""
        parameters, rows = given
        return PlanRun(self.plan, self.library, parameters, table, *mask).uniform(rows, self.added_up)

    def varying(self, parameters: Any, table: Any) -> Any:
        return PlanRun(self.plan, self.library, parameters, table).varying()

    def added_up(self, sums: list[Any]) -> list[Any]:
        """The sums of all devices: one vector travels."""
        if len(self.devices) == 1 or not sums:
            return sums
        flat = self.jax.lax.psum(self.library.concatenate(sums), AXIS)
        ends = self.numpy.cumsum([len(x) for x in sums])
        return [flat[end - len(x):end] for x, end in zip(sums, ends)]

    def on_each(self, function: Any, masked: bool, gives_rows: bool = False) -> Any:
        """A function of (what is everywhere, table, mask if there is one) as one of all devices together."""
        if len(self.devices) == 1:
            return function
        share = getattr(self.jax, "shard_map", None)
        if share is None:  # before JAX 0.6
            share = needed("jax.experimental.shard_map", "jax").shard_map
        everywhere, rows = self.everywhere.spec, self.spread.spec
        return share(function, mesh=self.everywhere.mesh, out_specs=rows if gives_rows else everywhere,
                     in_specs=(everywhere, *[rows] * (1 + masked)))

    # Numbers to the devices

    def table(self, data: Batch, own: bool = False) -> Any:
        """Batch as one array: a row for each sample, a column for each input. own: a copy, where nobody waits for the
        result: JAX reads the memory of an array of NumPy's as it is, and later; by then its owner may have changed it.
        """
        np = self.numpy
        columns = [self.array(x) for x in data.given]
        if len(columns) == 1 and columns[0].ndim == 2:
            return columns[0].copy() if own else columns[0]
        return np.column_stack([np.broadcast_to(x, (data.rows,)) if x.ndim == 0 else x for x in columns])

    def array(self, x: Any) -> Any:
        with self.numpy.errstate(over="ignore"):  # 1e300 is inf as a float32
            return self.numpy.asarray(x, self.dtype)

    def numbers(self, values: Sequence[Value]) -> Any:
        return self.array([p.data for p in values])

    def replicated(self, x: Any) -> Any:
        """A vector or a number on every device."""
        return self.placed(self.array(x), self.everywhere)

    def shared(self, table: Any, size: int = 0) -> list[Any]:
        """A table with its rows shared among the devices; and the mask, where it is padded to `size` rows, or to as
        many as the devices can share evenly."""
        n = len(self.devices)
        rows = len(table)
        size = -(-max(rows, size) // n) * n
        if size > rows:
            table = self.numpy.concatenate([table, table[:1].repeat(size - rows, 0)])
        found = [self.placed(table, self.spread)]
        if size > rows:
            found.append(self.placed((self.numpy.arange(size) < rows).astype(self.dtype), self.spread))
        return found

    def placed(self, x: Any, sharding: Any) -> Any:
        with self.precision():  # else double precision would be lost on the way
            if len(self.devices) == 1:
                return self.jax.device_put(x, self.devices[0])
            return self.jax.make_array_from_callback(x.shape, sharding, lambda part: x[part])


class DeviceSteps:
    """Gradient steps on the devices. The numbers stay there from `load` to `store`; a step whose loss or gradient is
    inf or nan is not taken, nor any after it.

    trained: how many of the parameters, the first ones, are changed; the optimizer has the same, in any order. summed:
    whether sums are minimised, not means. outputs: how many there are, of which the first is minimised.
    """

    def __init__(self, machine: OnDevices, trained: int, optimizer: Optimizer, summed: bool, outputs: int) -> None:
        self.machine = machine
        self.optimizer = optimizer
        self.trained, self.others = machine.parameters[:trained], machine.parameters[trained:]
        self.summed = summed
        self.outputs = outputs
        self.compiled: dict[bool, Any] = {}
        self.constants = ""

    def load(self) -> None:
        """Take over the numbers of the parameters and of the optimizer."""
        machine, optimizer = self.machine, self.optimizer
        place = {p: i for i, p in enumerate(optimizer.params)}
        memory = [[getattr(optimizer, name)[place[p]] for p in self.trained] for name in optimizer.remembers]
        constants = optimizer._constants()
        if constants != self.constants:  # they are compiled in
            self.compiled, self.constants = {}, constants
        zeros = [0.0] * self.outputs
        with machine.precision():
            x = machine.numbers(self.trained)
            self.state = tuple(map(machine.replicated, [x, 0, 1, zeros, zeros, x, *memory]))
            self.rest = machine.replicated(machine.numbers(self.others))
        self.waiting: deque[Any] = deque(maxlen=AHEAD)
        self.start = optimizer.steps
        self.asked = self.start  # how many steps there will be when all are done

    def table(self, columns: Batch) -> Any:
        """Data as a table of the library's, from which batches are taken."""
        return self.machine.table(columns, own=True)

    def batch(self, table: Any, rows: Sequence[int] | None, size: int) -> tuple[list[Any], int]:
        """These rows of a table on the devices, padded to as many as the largest batch has; and how many they are."""
        table = table if rows is None else table[rows]
        return self.machine.shared(table, size), len(table)

    def step(self, batch: tuple[list[Any], int]) -> None:
        """One step on a batch. FloatingPointError for a learning rate that is none."""
        arrays, rows = batch
        machine, rate = self.machine, self.optimizer._rate_of(self.asked)
        if not 0.0 <= rate < math.inf:
            raise FloatingPointError(why_step_failed(0.0, (), rate, self.asked))
        with machine.precision():
            self.state = self.update(len(arrays) > 1)(
                (self.state, self.rest, machine.replicated([rate, self.asked, rows])), *arrays)
        self.asked += 1
        if len(self.waiting) == AHEAD:
            self.waiting[0].block_until_ready()
        self.waiting.append(self.state[1])

    def update(self, masked: bool) -> Any:
        """A step, compiled: (state, other parameters, (rate, steps before, rows)), table, mask if there is one → state.
        """
        if masked not in self.compiled:
            machine, optimizer, outputs = self.machine, self.optimizer, self.outputs
            jnp = needed("jax.numpy", "jax")

            def update(given: Any, table: Any, *mask: Any) -> Any:
                (x, taken, fine, totals, means, slopes, *memory), rest, (rate, steps, rows) = given
                found = machine.uniform((jnp.concatenate([x, rest]), rows), table, *mask)
                found = found * rows if self.summed else found
                # After a step that is not fine, all stays as that one found it.
                means, slopes = (jnp.where(fine > 0, new, old) for new, old in
                                 ((found[:outputs], means), (found[outputs:], slopes)))
                fine = jnp.where(jnp.isfinite(means[0]) & jnp.isfinite(slopes).all(), fine, 0.0)
                twin = copy(optimizer)  # whose rate and steps are not frozen as they are now
                vars(twin).update(lr=rate, steps=steps)
                try:
                    moved = twin.rule(rate, steps, jnp.sqrt)(x, slopes, *memory)
                except (TypeError, ValueError) as error:
                    raise TypeError(f"the rule of {type(optimizer).__name__} is for numbers, and not for arrays of "
                                    "them: let it use operators and the sqrt that it is given; or override update, "
                                    "whose steps are taken in Python") from error
                optimizer._check_moved(moved)
                x, *memory = (jnp.where(fine > 0, new, old) for new, old in zip(moved, (x, *memory)))
                totals = totals + jnp.where(fine > 0, means if self.summed else means * rows, 0.0)
                return x, taken + fine, fine, totals, means, slopes, *memory

            self.compiled[masked] = machine.jax.jit(machine.on_each(update, masked))
        return self.compiled[masked]

    def store(self) -> list[float]:
        """Give the numbers back to the parameters and the optimizer. Returns the totals of the outputs over all rows
        since `load`. FloatingPointError if there was a step that could not be taken; the numbers are those before
        it."""
        with self.machine.precision():
            x, taken, fine, totals, means, slopes, *memory = (
                self.machine.numpy.asarray(part, "float64").tolist() for part in self.state)
        optimizer = self.optimizer
        place = {p: i for i, p in enumerate(self.trained)}
        order = [place[p] for p in optimizer.params]

        def give_back() -> None:
            for name, numbers in zip(optimizer.remembers, memory):
                setattr(optimizer, name, [numbers[i] for i in order])
            optimizer.steps = self.start + round(taken)
            for p, number, slope in zip(self.trained, x, slopes):
                p.data = number
                p.grad = slope

        try:
            give_back()
        except BaseException:  # an interrupt, say: all or nothing
            give_back()
            raise
        if not fine:
            found_slopes = [(self.trained[i], slopes[i]) for i in order]
            raise FloatingPointError(why_step_failed(means[0], found_slopes, 0.0, optimizer.steps))
        return list(totals)
