"""Tracing: run a function once on Values that have no number yet, and read the graph that it leaves behind.

The engine records as it always does; only the inputs are of a kind of their own, `Traced`, and so is all that is
computed from them. A Traced refuses whatever would take a number out of it, since that number would be frozen into the
program for all samples. Parameters are the ordinary leaf Values that the graph ends in. This module knows nothing of
how a program is run.
"""

from __future__ import annotations

import inspect
import linecache
import math
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from os import path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

from .. import ops
from ..arguments import is_number
from ..engine import Value, as_value, in_signs, skeleton
from ..ops import ROWS, Op
from .program import AT_LEAST, BRANCHES, CHOICE, DETACHED, GREATER, INPUT, LEAVES, NUMBER, Argument, Program, TraceError

PACKAGE = path.dirname(path.dirname(__file__)) + path.sep
PROBES = (1e300, -1e300, 0.0)  # for parameters, to see whether a function looks into one: either side of any bound
MOST_THINGS = 100_000  # that are looked at in search of parameters

BRANCH = ("write micrograd.where(x > 0, a, b), x.relu(), abs(x), micrograd.maximum(x, y), ..., which record both "
          "sides, and (x > 0) * (x < 1) where both must hold; or call the function as it is, without compile")
LIST = ("takes a Value for a list: this argument is recorded as a single number",
        "if it is a list, say so: compile(..., inputs=(2, None)) for a list of two numbers and a number")
ROUNDED = f"micrograd.floor(x), ceil(x), trunc(x) and round(x) record, with slope 0; {NUMBER}"


def refuse(what: str, instead: str) -> NoReturn:
    raise TraceError(f"{place()}{what}. Nothing is known of a sample while a function is recorded, so the recording "
                     f"would hold for one sample only: {instead}")


def place() -> str:
    """The line of the user's code that is being run, for the head of a message; "" where there is none."""
    frame: Any = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return ""
    file, line = frame.f_code.co_filename, frame.f_lineno
    where = "the cell" if "ipykernel_" in file else path.basename(file)
    code = linecache.getline(file, line, frame.f_globals).strip()
    return f"{where}, line {line}, in {frame.f_code.co_name}:\n    {code}\n" if code else ""


class Traced(Value):
    """A Value that stands for a number of every sample. It computes like any other, and refuses to be looked into."""

    __slots__ = ()
    _propagates_type = True

    def __init__(self, label: str) -> None:
        super().__init__(math.nan, label)

    @property  # type: ignore[misc]
    def data(self) -> Any:
        refuse("reads .data of a Value that differs from sample to sample", NUMBER)

    @property  # type: ignore[misc]
    def grad(self) -> Any:
        refuse("reads .grad of a Value that differs from sample to sample",
               "use micrograd.gradient(y, x), which is recorded as well")

    @property
    def op(self) -> Op:
        return ops.where if super().op is CHOICE else super().op

    @property
    def parents(self) -> tuple[Value, ...]:
        found: Any = super().parents
        return (found[0], *found[1].parents) if super().op is CHOICE else found

    def __op__(self, op: Op, args: Sequence[Any]) -> Value:
        if op is not ops.where:
            return super().__op__(op, args)
        condition, a, b = args
        return super().__op__(CHOICE, (condition, super().__op__(BRANCHES, (a, b))))

    def __gt__(self, other: Any) -> Any: return compared(GREATER, self, other)
    def __ge__(self, other: Any) -> Any: return compared(AT_LEAST, self, other)
    def __lt__(self, other: Any) -> Any: return compared(GREATER, other, self)
    def __le__(self, other: Any) -> Any: return compared(AT_LEAST, other, self)
    def __getitem__(self, *index: Any) -> Any: refuse(*LIST)
    __len__ = __iter__ = __getitem__
    def __bool__(self) -> bool: refuse("branches on a number that differs from sample to sample", BRANCH)
    def __eq__(self, other: object) -> bool: refuse("compares Values by ==, which asks whether they are one object",
                                                    "write micrograd.where(a - b, if_different, if_equal)")
    def __ne__(self, other: object) -> bool: return self == other  # the compiled Value has a __ne__ of its own
    __hash__ = Value.__hash__
    def __float__(self) -> float: refuse("takes the bare number out of a Value (as float() and math.exp() do)", NUMBER)
    def __int__(self) -> int: refuse("takes a whole number out of a Value", ROUNDED)
    def __index__(self) -> int: refuse("uses a Value as an index or a count", NUMBER)
    def __round__(self, *digits: Any) -> Any: refuse("rounds a Value", ROUNDED)
    __trunc__ = __floor__ = __ceil__ = __round__
    def __format__(self, spec: str) -> str: return repr(self) if not spec else refuse("prints a number", NUMBER)
    def __repr__(self) -> str: return in_signs(f"Traced({self.label or self.op.name})")
    def __copy__(self) -> Value: return self
    def __deepcopy__(self, memo: dict[int, Any]) -> Value: return self
    def __reduce__(self) -> Any: refuse("pickles a Value", NUMBER)

    def detach(self, label: str = "") -> Value:
        node: Value = Value.__op__(self, DETACHED, (self,))
        node.label = label
        return node

    def backward(self, seed: float = 1.0) -> None:
        refuse("calls .backward()", "the function returns the loss of one sample, and compile takes the gradient; for "
               "a derivative inside of a loss use micrograd.gradient(y, x)")


def compared(row: Op, a: Any, b: Any) -> Any:
    if all(isinstance(x, Value) or is_number(x) for x in (a, b)):
        node: Value = a if isinstance(a, Traced) else b
        return Value.__op__(node, row, (a, b))
    return NotImplemented


def arguments(function: Callable[..., Any], inputs: Any) -> list[Argument]:
    """The arguments that the function is called with. inputs: None to ask its signature; how many numbers it takes; or
    for each argument the length of the list that it is, None for a single number."""
    name = getattr(function, "__name__", type(function).__name__)
    if inputs is None and isinstance(getattr(function, "nin", None), int):  # a network
        return [Argument("x", function.nin)]  # type: ignore[attr-defined]
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        found = []
    kinds = inspect.Parameter
    positional = [p for p in found if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    names, needed = [p.name for p in positional], [p.name for p in positional if p.default is kinds.empty]
    countable = found and not any(p.kind is kinds.VAR_POSITIONAL for p in found)
    if inputs is None:
        if not countable:
            raise TypeError(f"compile cannot see how many numbers {name} takes: say inputs=3 for three of them, or "
                            "inputs=(2, None) for a list of two and a number")
        return [Argument(n, None) for n in needed]
    widths = [None] * inputs if is_whole(inputs, 0) else inputs
    if not isinstance(widths, (list, tuple)) or not all(width is None or is_whole(width, 1) for width in widths):
        raise TypeError("inputs must be how many numbers the function takes, or for each argument the length of its "
                        f"list (None for a single number); found {inputs!r}")
    if countable and widths is inputs and not len(needed) <= len(widths) <= len(names):
        raise TypeError(f"inputs gives {name} {len(widths)} arguments, and it takes {len(needed)}"
                        f"{f' to {len(names)}' if len(names) > len(needed) else ''}: {', '.join(names)}")
    if len(names) < len(widths):
        names = [f"x{i}" for i in range(len(widths))]
    return [Argument(n, width) for n, width in zip(names, widths)]


def is_whole(x: Any, least: int) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and x >= least


@dataclass(slots=True)
class TracedRun:
    """The graph of one run of a function, as `skeleton` has it."""

    inputs: list[Traced]     # the first nodes
    several: bool            # whether the function returned a list, and not one Value
    nodes: list[Value]
    shape: list[int]         # three numbers for each node: its row, its parents
    outputs: list[int]

    def leaves(self, kind: Op) -> dict[int, Value]:
        """The leaves of that kind that are not inputs, by their places."""
        count = len(self.inputs)
        return {i: self.nodes[i] for i, row in enumerate(self.shape[3 * count::3], count) if row == kind.index}

    def operations(self) -> tuple[list[Op], list[tuple[int, ...]]]:
        """The row and the parents of each node, of an input the row INPUT."""
        rows = [ROWS[row] for row in self.shape[::3]]
        rows[:len(self.inputs)] = [INPUT] * len(self.inputs)
        parents: list[tuple[int, ...]] = [() if a < 0 else (a,) if b < 0 else (a, b)
                                          for a, b in zip(self.shape[1::3], self.shape[2::3])]
        if CHOICE in rows:
            for i, row in enumerate(rows):
                if row is CHOICE:
                    rows[i] = ops.where
                    parents[i] = (parents[i][0], *parents[parents[i][1]])
        return rows, parents

    def program(self, name: str, wanted: list[Argument]) -> Program:
        """The graph as a program, node by node."""
        rows, parents = self.operations()
        rank: list[int] = []
        for row, a, b in zip(rows, self.shape[1::3], self.shape[2::3]):
            rank.append(LEAVES[row] if a < 0 else rank[a] if b < 0 or rank[a] > rank[b] else rank[b])
        return Program(
            name, wanted, self.several, rows, parents, rank,
            {i: node.data for i, node in self.leaves(ops.CONSTANT).items()},
            {i: node.label for i, node in enumerate(self.nodes) if node.label},
            list(range(len(self.inputs))), self.leaves(ops.LEAF), self.outputs)


def record(function: Callable[..., Any], inputs: Any = None) -> Program:
    """Record a function of the numbers of one sample. Its parameters come in the order in which its objects hold them.

    It is run four times, the last three with other numbers in the parameters that it can reach; a TraceError says so if
    that makes a difference, as it does where the function is random, counts, or looks into a parameter.
    """
    wanted = arguments(function, inputs)
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    try:
        first = run(function, name, wanted)
    except (TypeError, ValueError) as error:
        flat = inputs is None or (isinstance(inputs, int) and inputs > 1)
        if not flat or isinstance(error, TraceError):
            raise
        given = "a single number for each argument" if inputs is None else f"{inputs} arguments, a number each"
        raise TraceError(f"{name} fails while it is recorded, with {given}: {error}. If an argument is a list, say so: "
                         "compile(..., inputs=(2, None)) for a list of two numbers and a number, inputs=(3,) for a "
                         "list of three") from error
    program = first.program(name, wanted)
    for node in program.parameters.values():
        if isinstance(node, Traced):
            raise TraceError(f"{name} uses {node!r} of another function that is being recorded: they cannot share "
                             "nodes")
    place = {node: i for i, node in program.parameters.items()}
    reached = list(dict.fromkeys([*reachable_parameters(function), *place]))
    with restored(reached):
        for number in PROBES:
            for p in reached:
                p.data = p.grad = number
            try:
                again = run(function, name, wanted)
            except Exception as error:
                raise TraceError(f"{name} fails with other numbers in the parameters ({type(error).__name__}: "
                                 f"{error}), so it looks into one, and its recording would not hold after a gradient "
                                 f"step; {NUMBER}") from error
            alike = first.shape == again.shape and first.outputs == again.outputs
            numbers = other_number(program, again) if alike else None
            if not alike or numbers or any(again.nodes[i] is not node for node, i in place.items()):
                break
        else:
            program.parameters = {place[node]: node for node in reached if node in place}
            return program
    raise not_the_same(program, function, first, numbers)


def not_the_same(program: Program, function: Any, first: TracedRun, numbers: tuple[float, float] | None) -> TraceError:
    """An error that says why a function differs with other numbers in its parameters, which are as they were again."""
    again = run(function, program.name, program.arguments)
    alike = again.shape == first.shape
    if alike and any(again.nodes[i] is not node for i, node in program.parameters.items()):
        return TraceError(f"{program.name} makes a Value of its own, a new one in each run: a parameter is made "
                          "outside, once; a number that stays the same is written as a number")
    code = getattr(function, "__code__", None)
    where = f" ({path.basename(code.co_filename)}, line {code.co_firstlineno})" if code else ""
    if alike and other_number(program, again) is None:
        return TraceError(f"{program.name}{where} looks into a parameter: with other numbers in the parameters it is "
                          "another function, and its recording would not hold after a gradient step. Compute "
                          "with the parameter itself: not p.data, float(p) or p > 0, but such as "
                          "micrograd.maximum(p, 0)")
    found = " (a number is {:.6g}, then {:.6g})".format(*numbers) if numbers else ""
    return TraceError(f"{program.name}{where} does not do the same each time{found}: random numbers and counters would "
                      "be frozen as they are now. Pass what changes as an argument, a column of data")


def other_number(program: Program, again: TracedRun) -> tuple[float, float] | None:
    """A constant, and what it is in another run of the same shape, where the two differ."""
    for i, x in program.numbers.items():
        y = again.nodes[i].data
        if repr(x) != repr(y):  # nan is nan there, and -0.0 is not 0.0
            return x, y
    return None


def change(program: Program, function: Callable[..., Any], parameters_only: bool = False) -> str:
    """The first thing that differs if the function is run again, as the end of a sentence; "" if nothing does."""
    try:
        again = run(function, program.name, program.arguments)
    except Exception as error:
        return f"fails now, {type(error).__name__}: {error}"
    leaves = again.leaves(ops.LEAF)
    known, found = (dict.fromkeys(nodes[i] for i in sorted(nodes)) for nodes in (program.parameters, leaves))
    gone, new = [p for p in known if p not in found], [p for p in found if p not in known]
    if gone or new:
        named = [f"{some[0]!r}{f' and {len(some) - 1} more' if len(some) > 1 else ''}" if some else "none"
                 for some in (new, gone)]
        return f"computes with other parameters now, {named[0]} in place of {named[1]}"
    if parameters_only:
        return ""
    if (program.ops, program.args, program.outputs, program.parameters) != (
            *again.operations(), again.outputs, leaves):
        return "does other operations now"
    if numbers := other_number(program, again):
        return "computes with another number now, {1:.6g} in place of {0:.6g}".format(*numbers)
    return ""


def run(function: Callable[..., Any], name: str, wanted: list[Argument]) -> TracedRun:
    """Run the function on inputs of its own."""
    inputs: list[Traced] = []
    given: list[Any] = []
    for argument in wanted:
        columns = [Traced(column) for column in argument.columns]
        given.append(columns[0] if argument.width is None else columns)
        inputs += columns
    with warnings.catch_warnings():  # a Traced holds nan, of which NumPy may warn when Python compares it
        warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
        result = function(*given)
    several = isinstance(result, (list, tuple))
    outputs = list(result) if several else [result]
    if not outputs or not all(isinstance(y, Value) or is_number(y) for y in outputs):
        raise TraceError(f"{name} returns {result!r:.60}: a Value is needed, or several of them in a list or tuple")
    nodes, shape, places = skeleton([*inputs, *map(as_value, outputs)])
    return TracedRun(inputs, several, nodes, shape, places[len(inputs):])


def reachable_parameters(function: Any) -> list[Value]:
    """The leaf Values that a function can look into."""
    return [thing for thing in reachable_objects(function)
            if isinstance(thing, Value) and thing.op is ops.LEAF and not isinstance(thing, Traced)]


def reachable_objects(function: Any) -> Iterator[Any]:
    """The objects that a function can look into: those in its closure, its globals, its defaults, and what these hold,
    in the order in which they hold it, which for the Values of a network is that of its parameters."""
    seen: set[int] = set()
    waiting: list[Any] = [function]
    while waiting and len(seen) < MOST_THINGS:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, (ModuleType, str, float, int)):
            continue
        seen.add(id(thing))
        yield thing
        match thing:
            case Value():
                continue
            case FunctionType():
                near: list[Any] = named_in(thing)
            case list() | tuple() | set() | frozenset() | deque():
                near = list(thing)
            case dict():
                near = list(thing.values())
            case partial():
                near = [thing.func, thing.args, thing.keywords]
            case type():
                near = [x for x in vars(thing).values() if not callable(x)]
            case _ if str(getattr(thing, "dtype", "")) == "object":  # an array of NumPy
                near = thing.tolist()
            case _ if hasattr(thing, "__self__"):  # a bound method
                near = [thing.__self__, getattr(thing, "__func__", None)]
            case _:
                near = held_by(thing)
        waiting += reversed(near)  # the first comes up first


def held_by(thing: Any) -> list[Any]:
    """The attributes of an object, its class, and the function that a call of it runs."""
    near = [getattr(thing, "__dict__", None), type(thing)]
    for kind in type(thing).__mro__:
        near.append(vars(kind).get("__call__"))
        names = vars(kind).get("__slots__", ())
        near += [getattr(thing, name, None) for name in ([names] if isinstance(names, str) else names)]
    return near


def named_in(function: FunctionType) -> list[Any]:
    """The objects that the code of a function can name: its defaults, its closure and its globals, those of inner
    functions included."""
    near: list[Any] = [function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # an empty one: nothing has been given that name yet
            near.append(cell.cell_contents)
    codes = [function.__code__]
    for code in codes:
        near += [function.__globals__[name] for name in code.co_names if name in function.__globals__]
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return near


@contextmanager
def restored(parameters: list[Value]) -> Iterator[None]:
    """For a while the parameters may have other numbers and gradients; without warnings of what these lead to."""
    before = [(p.data, p.grad) for p in parameters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        finally:
            for p, (x, slope) in zip(parameters, before):
                p.data, p.grad = x, slope
