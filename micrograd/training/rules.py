"""An optimizer's rule as a program: what becomes of a parameter, its gradient, and what is remembered of it.

The learning rate and the number of steps taken before are numbers that all parameters share. The settings of the
optimizer are constants of the program. A rule may read what else there is, a global, say, and so each run sees whether
it is as it was recorded; but for those of this package, which depend on their settings alone.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from .. import ops
from ..compiler.encode import Code, encode, missing
from ..compiler.executors import Executors, native
from ..compiler.jax_devices import OnDevices
from ..compiler.program import Program, TraceError, simplified
from ..compiler.schedule import schedule
from ..compiler.trace import Traced, change, record
from ..engine import Value
from ..optim import SGD, Adam, AdamW, Optimizer
from ..packages import needed

# What stand for the learning rate and the number of steps. They are made once: a new leaf would have compiled functions
# ask whether their parameters are still theirs.
RATE, STEPS = Value(0.0, "lr"), Value(0.0, "steps")

# What the rules of this package depend on, and what these are made of, unless somebody changes them
OWN: dict[type[Optimizer], tuple[tuple[str, ...], Any]] = {
    kind: (names, (kind.rule, kind.decay, kind.remembers)) for kind, names in (
        (SGD, ("momentum", "nesterov", "weight_decay")), (Adam, ("betas", "eps", "weight_decay")),
        (AdamW, ("betas", "eps", "weight_decay")))}
CODES: dict[tuple[Any, ...], Code] = {}  # of their rules, by class and settings
MOST_CODES = 100  # what comes after them is not kept


@dataclass(frozen=True, slots=True)
class NativeRule:
    """A rule that was compiled, and what for. own: the settings of an optimizer of this package. as_recorded: whether
    the rule of another one does now what it did then."""

    machine: Any
    optimizer: Optimizer
    constants: str
    own: tuple[Any, ...]
    as_recorded: Callable[[], bool]

    def is_of(self, optimizer: Optimizer) -> bool:
        if self.own:
            return self.own == own_settings(optimizer)
        return self.optimizer is optimizer and self.constants == optimizer._constants() and self.as_recorded()


def rule_in_native_code(optimizer: Optimizer, executors: Executors) -> Any:
    """The machine that takes the steps of an optimizer which goes by its rule; or the words why there is none. The
    executors keep the last one."""
    found = executors.rule
    if found is None or not found.is_of(optimizer):
        try:
            executors.rule = found = compiled(optimizer)
        except Exception as error:  # of the rule: it may be any
            return not_compiled(optimizer, error)
    return found.machine


def compiled(optimizer: Optimizer) -> NativeRule:
    """The rule in native code, or any error of it."""
    own = own_settings(optimizer)
    code = CODES.get(own) if own else None
    as_recorded: Callable[[], bool] = bool  # which is not asked
    if code is None:
        recording, as_recorded = recording_of(optimizer)
        code = code_of(recording)
    if own and len(CODES) < MOST_CODES:
        CODES[own] = code
    # A machine of its own, as each is of one thread at a time. Its first values are those of RATE and STEPS.
    machine = native.Machine(code, [RATE, STEPS], 0, [0] * code.columns, native.available[0], 1)
    return NativeRule(machine, optimizer, optimizer._constants(), own, as_recorded)


def own_settings(optimizer: Optimizer) -> tuple[Any, ...]:
    """All that the rule of an optimizer depends on; () for one of a user's class, and for settings that are not plain
    numbers."""
    kind = type(optimizer)
    names, parts = OWN.get(kind, ((), None))
    if parts != (kind.rule, kind.decay, kind.remembers):
        return ()
    settings: list[Any] = []
    for name in names:
        setting = getattr(optimizer, name)
        settings += setting if isinstance(setting, (tuple, list)) else [setting]
    return (kind, repr(settings)) if all(type(x) in (float, int, bool) for x in settings) else ()


def rule_on_devices(optimizer: Optimizer, machine: OnDevices) -> str | None:
    """None for a rule that is compiled for the devices, anew if it is another than that of their last optimizer; or the
    words why JAX, which traces a rule once, would freeze some of it or fail."""
    numpy = needed("numpy", "jax")
    pair = numpy.ones(2)
    try:
        recording, _ = recording_of(optimizer)
        copy(optimizer).rule(0.5, 1.0, numpy.sqrt)(pair, pair, *[pair for _ in optimizer.remembers])
    except Exception as error:
        return not_compiled(optimizer, error)
    if machine.rule != recording.checksum():
        machine.rule, machine.steps = recording.checksum(), None
    elif machine.steps is not None:
        machine.steps.optimizer = optimizer
    return None


def not_compiled(optimizer: Optimizer, error: Exception) -> str:
    return " ".join(f"the rule of {type(optimizer).__name__} is not compiled, {type(error).__name__}: {error}".split())


def recording_of(optimizer: Optimizer) -> tuple[Program, Callable[[], bool]]:
    """The rule, recorded: its parameters are the learning rate and the number of steps, its inputs what one parameter
    has; and a function that tells whether it still does the same. A TraceError where it looks into a number, or at more
    than one parameter; a TypeError where it counts."""
    twin = copy(optimizer)  # so that no parameter is within reach, and lr and steps are those of the program
    others = [Traced("another parameter")] * len(optimizer.params)  # which no rule can compute with
    hidden = dict.fromkeys(("params", *optimizer.remembers), others)

    def rule(lr: Any, step: Any, x: Any, g: Any, *memory: Any) -> list[Any]:
        vars(twin).update(hidden, lr=lr, steps=step)
        moved = twin.rule(lr, step, ops.sqrt)(x, g, *memory)
        twin._check_moved(moved)
        return list(moved)

    vars(twin).update(hidden, lr=0.0)
    try:
        found = record(rule, 4 + len(optimizer.remembers))
    except TraceError as error:
        if "does not do the same each time" not in str(error):
            raise
        raise TypeError("it counts, or is random: called again with the same numbers, it comes to others. Let it go by "
                        "`step`, the number of steps taken before, and name in `remembers` what it keeps of each "
                        "parameter") from None
    if found.parameters:
        raise TypeError("it computes with a Value of its own")
    program = replace(found, ops=[ops.LEAF, ops.LEAF, *found.ops[2:]], inputs=found.inputs[2:],
                      arguments=found.arguments[2:], parameters={0: RATE, 1: STEPS})
    return program, lambda: not change(found, rule)


def code_of(recording: Program) -> Code:
    """The code, in which the learning rate and the number of steps come first."""
    program = simplified(recording)
    found = schedule(program, [], program.outputs)
    lacking = missing(found, native.codes)
    if lacking:
        raise TypeError(f"native code cannot run {', '.join(lacking)}")
    return encode(found, native.codes, native.lanes(native.available[0]), list(program.parameters))
