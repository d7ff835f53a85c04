"""An optimizer's rule as a program: what becomes of a parameter, its gradient, and what is remembered of it.

The learning rate and the number of steps taken before are numbers that all parameters share. The settings of the
optimizer are constants of the program, which is recorded again where one has changed.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from .. import ops
from ..compiler.encode import missing
from ..compiler.executors import machine, native
from ..compiler.program import Program, simplified
from ..compiler.schedule import schedule
from ..compiler.trace import Traced, record
from ..engine import Value
from ..optim import Optimizer
from ..packages import needed

# What stand for the learning rate and the number of steps. They are made once: a new leaf would have compiled functions
# ask whether their parameters are still theirs.
RATE, STEPS = Value(0.0, "lr"), Value(0.0, "steps")


def rule_in_native_code(optimizer: Optimizer) -> Any:
    """The machine that takes the steps of an optimizer which goes by its rule; or the words why there is none."""
    try:
        return compiled(recording_of(optimizer))
    except Exception as error:  # of the rule: it may be any
        return not_compiled(optimizer, error)


def why_not_on_devices(optimizer: Optimizer) -> str | None:
    """The words why JAX, which traces a rule once, would freeze some of it or fail; None where it does neither."""
    numpy = needed("numpy", "jax")
    pair = numpy.ones(2)
    try:
        recording_of(optimizer)
        copy(optimizer).rule(0.5, 1.0, numpy.sqrt)(pair, pair, *[pair for _ in optimizer.remembers])
    except Exception as error:
        return not_compiled(optimizer, error)
    return None


def not_compiled(optimizer: Optimizer, error: Exception) -> str:
    return " ".join(f"the rule of {type(optimizer).__name__} is not compiled, {type(error).__name__}: {error}".split())


def recording_of(optimizer: Optimizer) -> Program:
    """The rule, recorded: its parameters are the learning rate and the number of steps, its inputs what one parameter
    has. A TraceError where it looks into a number, or at more than one parameter."""
    twin = copy(optimizer)  # so that no parameter is within reach, and lr and steps are those of the program
    others = [Traced("another parameter")] * len(optimizer.params)  # which no rule can compute with
    hidden = dict.fromkeys(("params", *optimizer.remembers), others)

    def rule(lr: Any, step: Any, x: Any, g: Any, *memory: Any) -> list[Any]:
        vars(twin).update(hidden, lr=lr, steps=step)
        moved = twin.rule(lr, step, ops.sqrt)(x, g, *memory)
        twin._check_moved(moved)
        return list(moved)

    vars(twin).update(hidden, lr=0.0)
    found = record(rule, 4 + len(optimizer.remembers))
    if found.parameters:
        raise TypeError("it computes with a Value of its own")
    found.ops[:2] = [ops.LEAF] * 2
    found.inputs, found.arguments = found.inputs[2:], found.arguments[2:]
    found.parameters = {0: RATE, 1: STEPS}
    return found


def compiled(recording: Program) -> Any:
    """The machine, whose first values are the learning rate and the number of steps."""
    program = simplified(recording)
    found = schedule(program, [], program.outputs)
    lacking = missing(found, native.codes)
    if lacking:
        raise TypeError(f"native code cannot run {', '.join(lacking)}")
    return machine(found, {p: node for node, p in program.parameters.items()}, 0, [0] * len(program.inputs), 1)
