"""A plan run on whole arrays, by whichever library has them: NumPy, JAX, torch. Only array operations are used, no
Python per number, so that JAX can trace it once and compile it.

An array of numbers that vary has a row for each sample and a column for each node, as tables have: the other way round
from the plan and its equations, because libraries are faster so. This module knows nothing of devices, nor of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from .. import ops
from ..engine import Value
from ..ops import Op
from .libraries import Library
from .onnx_graph import ROWS, OnnxGraph, as_array, onnx_library
from .plan import CONSTANTS, PARAMETERS, Add, Block, Elementwise, Literal, Map, MatMul, Mean, Operand, Outer, Plan
from .program import GREATER, Argument

Reduce = Callable[[list[Any]], list[Any]]
WORTHWHILE = 4  # blocks, from where on they are faster than all at once (which many processors may share)
SMALLEST = 256  # rows in a block


class PlanRun:
    """One run of a plan. groups: the array of each group, as far as they are known.

    parameters: a vector, in the plan's order. table: a row for each sample, a column for each input. mask: 1 for each
    row that counts, 0 for the others; by default all count. Numbers are of the kind that the parameters are. whole:
    whether all rows are computed together, so that `groups` holds them afterwards; else block by block, where the
    library says that this is faster.
    """

    def __init__(self, plan: Plan, library: Library, parameters: Any, table: Any, mask: Any = None,
                 whole: bool = False) -> None:
        self.plan = plan
        self.library = library
        self.mask = mask
        self.parameters = parameters
        self.table = table
        self.rows = table.shape[0]
        self.positive: list[Any] = []  # what nothing is negative of
        self.whole = whole
        constants = [plan.schedule.program.numbers[node] for node in plan.groups[CONSTANTS]]
        self.groups: list[Any] = [parameters, table, library.constant(constants, parameters)]
        self.groups += [None] * (len(plan.groups) - len(self.groups))

    def uniform(self, count: Any = None, reduce: Reduce | None = None) -> Any:
        """The outputs that are the same for all samples, as a vector. count: how many rows the means are over; by
        default those that count. reduce: what turns the sums over these rows into sums over the rows of all devices."""
        if count is None:
            count = self.rows if self.mask is None else self.mask.sum()
        with self.library.quiet():
            self.do(self.plan.before, False)
            sums = self.sums()
            if reduce is not None:
                sums = reduce(sums)
            for mean, total in zip(self.plan.means, sums):
                self.groups[mean.group] = total / count
            self.do(self.plan.after, False)
            assert self.plan.uniform is not None
            return self.read(self.plan.uniform)

    def varying(self) -> list[Any]:
        """The outputs of each sample: a vector for each."""
        return [column[:, 0] for column in self.columns()]

    def columns(self) -> list[Any]:
        """The same as tables of one column."""
        with self.library.quiet():
            self.do(self.plan.before, False)
            self.do(self.plan.body, True)
            return [self.filled(self.read(y), (self.rows, 1)) for y in self.plan.varying]

    def sums(self) -> list[Any]:
        """The sums over the rows that each mean is made of."""
        width = sum(len(nodes) for nodes, varies in zip(self.plan.groups, self.plan.varies) if varies)
        at_once = 0 if self.whole else self.library.at_once(self.parameters)
        if not at_once or self.rows * width < WORTHWHILE * at_once:
            self.do(self.plan.body, True)
            return [self.gathered(mean) for mean in self.plan.means]
        blocks = -(-self.rows // max(at_once // width, SMALLEST))
        height = -(-self.rows // blocks)
        end = self.rows // height * height  # fewer rows than a block's may be left
        arrays = [self.table] if self.mask is None else [self.table, self.mask]
        sums = self.library.summed(self.of_block, [x[:end].reshape(-1, height, *x.shape[1:]) for x in arrays],
                                   self.parameters)
        if end < self.rows:
            sums = [a + b for a, b in zip(sums, self.of_block(*[x[end:] for x in arrays]))]
        return sums

    def of_block(self, table: Any, mask: Any = None) -> list[Any]:
        """The same over other rows."""
        run = PlanRun(self.plan, self.library, self.parameters, table, mask, whole=True)
        run.groups[CONSTANTS:] = self.groups[CONSTANTS:]
        return run.sums()

    def do(self, steps: Sequence[Add | Map], varies: bool) -> None:
        for step in steps:
            if isinstance(step, Map):
                self.groups[step.group] = self.applied(step.op, [self.read(arg) for arg in step.args])
                continue
            total: Any = None
            for part in step.parts:
                if isinstance(part, MatMul):
                    inputs, weights = self.read(part.inputs), self.read(part.weights).T
                    one = len(weights) == 1  # input: the product is faster as an ordinary one
                    found = inputs * weights if one else self.library.matmul(inputs, weights)
                else:
                    found = added(self.product(part), part.each)
                if total is None:
                    total = found if part.sign > 0 else -found
                else:
                    total = total + found if part.sign > 0 else total - found
            size = len(self.plan.groups[step.group])
            self.groups[step.group] = self.filled(total, (self.rows, size) if varies else (size,))

    def filled(self, numbers: Any, shape: tuple[int, ...]) -> Any:
        """The numbers, which may be one for all, as an array of this shape."""
        if not isinstance(numbers, float) and numbers.shape == shape:
            return numbers
        return numbers - self.library.zeros(shape, self.table)  # x - 0.0 is x, also for -0.0

    def product(self, part: Elementwise) -> Any:
        factors = [self.read(factor) for factor in part.factors]
        return factors[0] if len(factors) == 1 else factors[0] * factors[1]

    def applied(self, op: Op, args: list[Any]) -> Any:
        rows = self.library.rows
        if op is ops.step and any(args[0] is array for array in self.positive):
            # the same where nothing is negative, and faster
            return rows[ops.where](rows[GREATER](args[0], 0.0), 1.0, args[0])
        found = (rows[op] if op in rows else self.library.opaque(op))(*args)
        if op is ops.relu:
            self.positive.append(found)
        return found

    # Means

    def gathered(self, mean: Mean) -> Any:
        """The sums over the rows that a mean is made of, as a vector."""
        total: Any = None
        for part in mean.parts:
            if isinstance(part, Outer):
                a, b = self.counted(self.read(part.a)), self.counted(self.read(part.b))
                found = self.library.matmul(a.T, b).reshape(-1)
                found = found if part.at is None else found[self.library.index(part.at, found)]
            else:
                found = self.counted(self.product(part)).sum(0)
            found = added(found, part.each)
            total = found if total is None else total + found
        return total

    def counted(self, array: Any) -> Any:
        """The numbers of the rows that count, and 0 in the others. (0 times inf, or nan, is nan.)"""
        return array if self.mask is None else self.library.rows[ops.where](self.mask.reshape(-1, 1), array, 0.0)

    def read(self, operand: Operand) -> Any:
        """The numbers that are picked, a column for each node of a group that varies; or a matrix of weights."""
        if isinstance(operand, Literal):
            numbers = operand.numbers
            return numbers if isinstance(numbers, float) else self.library.constant(numbers, self.parameters)
        arrays, at = [self.groups[group] for group in operand.groups], operand.at
        array = arrays[0] if len(arrays) == 1 else self.library.concatenate(arrays)
        if at is None:
            return array
        if isinstance(at, range):
            return array[..., at.start:at.stop:at.step]
        if isinstance(at, Block):
            stop = at.start + at.rows * at.width
            found = array[at.start:stop].reshape(at.rows, at.width)[:, :at.columns]
            return found.T if at.transposed else found
        return array[..., self.library.index(at, array)]


def added(array: Any, each: int) -> Any:
    """The sums of `each` neighbours along the last axis."""
    return array if each == 1 else array.reshape(*array.shape[:-1], -1, each).sum(-1)


def is_rows(batch: Any) -> bool:
    """Tell whether a batch is a list of lists of numbers: a table, as in a call, and not its columns."""
    return isinstance(batch, list) and all(isinstance(row, (list, tuple)) and not any(
        isinstance(x, (list, tuple)) or getattr(x, "ndim", 0) for x in row) for row in batch)


def loss_and_gradient(plan: Plan, library: Library, frozen: Sequence[float], arguments: Sequence[Argument],
                      summed: bool, several: bool) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A pure function (params, batch) → (loss, gradient) by a plan whose uniform outputs are the means, then the slopes
    by the first parameters. frozen: the numbers of the other parameters."""
    count = len(plan.groups[PARAMETERS]) - len(frozen)
    widths = [a.width or 1 for a in arguments]

    def as_table(batch: Any, params: Any) -> Any:
        """One row for each sample, of numbers of the kind that params are."""
        apart = isinstance(batch, (tuple, list)) and not is_rows(batch)
        parts = [library.constant(x, params) for x in (batch if apart else (batch,))]
        shapes = [tuple(x.shape) for x in parts]
        rows = next((shape[0] for shape in shapes if shape), 0)
        if rows and apart:  # numbers are of all rows, vectors are columns
            parts = [library.zeros((rows, 1), params) + x if not x.ndim else x.reshape(-1, 1) if x.ndim == 1 else x
                     for x in parts]
        if not rows or any(x.ndim != 2 or len(x) != rows for x in parts) or \
                [x.shape[1] for x in parts] not in (widths, [sum(widths)]):
            wanted = ", ".join(f"{a.name} ({width})" for a, width in zip(arguments, widths))
            raise ValueError(f"batch must be a table of {sum(widths)} columns, {wanted}, with at least one row, or "
                             f"these arguments in a tuple, in this order; found shapes {', '.join(map(str, shapes))}")
        return parts[0] if len(parts) == 1 else library.concatenate(parts)

    def loss_and_grads(params: Any, batch: Any) -> tuple[Any, Any]:
        if tuple(getattr(params, "shape", ())) != (count,) or "float" not in str(params.dtype):
            found = f"{params.dtype} {tuple(params.shape)}" if hasattr(params, "dtype") else f"{params!r:.60}"
            raise ValueError(f"params must be an array of {library.name} of {count} floats, such as that of "
                             f"[p.data for p in step.params]; found {found}")
        params = library.concatenate([params])  # JAX takes an array of NumPy's, too
        table = as_table(batch, params)
        given = params if not frozen else library.concatenate([params, library.constant(frozen, params)])
        found = PlanRun(plan, library, given, table).uniform()
        if summed:
            found = found * len(table)
        means = len(found) - count
        return found[:means] if several else found[0], found[means:]

    return loss_and_grads


def onnx_model(plan: Plan, parameters: Sequence[Value], arguments: Sequence[Argument], outputs: int,
               dtype: str) -> bytes:
    """A plan as an ONNX model, from its arguments to its first outputs as "value" and the others as "gradient"."""
    for p in parameters:
        if not isfinite(p.data):
            raise ValueError(f"to_onnx: the parameter {p!r} is not finite: a model that diverged is not passed on")
    graph, library = OnnxGraph(dtype), onnx_library()
    given = [graph.input(a.name, *([] if a.width is None else [a.width])) for a in arguments]
    if not given:
        raise ValueError("to_onnx: the function takes no argument, so that a model of it would have no rows")
    table = library.concatenate([x if len(x.shape) > 1 else x.reshape(ROWS, 1) for x in given])
    try:
        found = PlanRun(plan, library, as_array([p.data for p in parameters], dtype), table).columns()
        return graph.model({graph.free(name): library.concatenate(some)
                            for name, some in (("value", found[:outputs]), ("gradient", found[outputs:])) if some})
    except OverflowError as error:
        raise ValueError(f"to_onnx: {error}") from None
