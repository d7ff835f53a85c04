"""The caller of `__float__`: the function of Python itself, such as math.sin, that takes the number out of a node.

`__float__` is not told who calls it, and `float(v)` is as right as `math.sin(v)` is wrong: one looks at a number, the
other computes with it, and the graph ends there unseen. Both are one instruction of the code that is running. So that
instruction is read: what it calls is found by the names that the code loads it by, without running anything. What
cannot be told for certain is let pass. This module knows nothing of nodes.
"""

from __future__ import annotations

import dis
import os
import sys
import warnings
from collections.abc import Sequence, Set
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any

# The modules in C whose functions compute with a number, and those of them that only look at it. The last three take
# iterables, which may be `map(float, ...)`: there the number is asked for by name.
COMPUTING = {"math", "cmath"}
LOOKING = {"isnan", "isinf", "isfinite", "isclose", "fsum", "dist", "sumprod"}
# Python code that a caller's number passes through on its way to such a function. The line to show is further out.
PACKAGE = __name__.partition(".")[0]
BETWEEN = {PACKAGE, "numpy", "random", "statistics"}
LIBRARIES = (os.path.dirname(dis.__file__) + os.sep, f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

Path = tuple[str, ...]                   # how code loads what it calls: the instruction, a name, names of attributes
Place = tuple[int, int]                  # a code object, by its id, and where it is

# What was found of places; the code is held, so that its id stays its own.
paths: dict[Place, tuple[CodeType, Path]] = {}
settled: dict[Place, CodeType] = {}      # no such function can be called there; with the compiled engine see caller.pxd
MOST = 1000                              # places


def unsettled() -> bool:
    """True if the running code may be calling such a function. (The compiled engine has this and `settle` in C.)"""
    frame = sys._getframe(2)
    return (id(frame.f_code), frame.f_lasti) not in settled


def settle() -> None:
    """The running code never calls such a function here."""
    frame = asking()
    if len(settled) >= MOST:
        settled.clear()
    settled[id(frame.f_code), frame.f_lasti] = frame.f_code


def keep_open(kind: type) -> None:
    """Let a class take new methods, Value.double = f, as classes of Python do. (The compiled engine has this in C.)"""


def asking() -> FrameType:
    """The code that runs __float__ of a node."""
    frame = sys._getframe(2)             # (the engine has frames only where it is code in Python)
    while frame.f_globals.get("__name__") == f"{PACKAGE}.engine" and frame.f_back is not None:
        frame = frame.f_back
    return frame


def function() -> tuple[str, FrameType, bool]:
    """The function that the running code calls, such as "math.sin", if it computes with the number that it takes, else
    ""; the line to show; and whether no other can ever be called here."""
    frame = asking()
    place = id(frame.f_code), frame.f_lasti
    if place not in paths:
        if len(paths) >= MOST:
            paths.clear()
        paths[place] = frame.f_code, callee(frame.f_code, frame.f_lasti, package(frame) in BETWEEN)
    path = paths[place][1]
    root, thing = resolved(frame, path)
    if type(thing) is BuiltinFunctionType:
        module, name = str(thing.__module__), thing.__name__
        if (module in COMPUTING and name not in LOOKING) or (module.startswith("numpy.") and name == "interp"):
            line = outside(frame, BETWEEN)
            file = line.f_code.co_filename
            library = file.startswith(LIBRARIES[0]) or any(folder in file for folder in LIBRARIES[1:])
            return "" if library else f"{module.partition('.')[0]}.{name}", line, False
    # What a name means may change, but for a module's and those of Python itself.
    return "", frame, not path or isinstance(root, ModuleType) or root is frame.f_builtins.get(path[1], frame)


def package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def outside(frame: FrameType, packages: Set[str] = frozenset({PACKAGE})) -> FrameType:
    """The first code, from this outwards, that is not of these packages."""
    while frame.f_back is not None and package(frame) in packages:
        frame = frame.f_back
    return frame


def callee(code: CodeType, last: int, starred: bool) -> Path:
    """The names by which the call at this place of a code loads what it calls; () for none, and if it is not a call.

    starred: whether a call f(*args) counts; it takes its arguments from args itself, which may be `map(float, ...)`.

    What is called lies on the stack below its arguments, so it was loaded by the last instruction before which the
    stack was as low as the call will leave it.
    """
    before: list[dis.Instruction] = []
    heights: list[int] = []              # of the stack, before each instruction
    known: dict[int, int] = {}           # the same, where a jump leads to
    height = 0
    for now in dis.get_instructions(code):
        height = known.get(now.offset, height)
        before.append(now)
        heights.append(height)
        if now.offset >= last and now.opname != "PRECALL":
            break
        if now.opcode in dis.hasjrel or now.opcode in dis.hasjabs:
            known.setdefault(now.argval, height + dis.stack_effect(now.opcode, now.arg, jump=True))
        height += effect(now)
    kind = before[-1].opname
    if not kind.startswith("CALL") or (kind == "CALL_FUNCTION_EX" and not starred):
        return ()
    below = heights[-1] + effect(before[-1]) - 1
    start = max((i for i in range(len(before) - 1) if heights[i] <= below), default=len(before))
    return loaded(before[start:], below - heights[start] if start < len(before) else 0, set(known))


def effect(instruction: dis.Instruction) -> int:
    argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
    return dis.stack_effect(instruction.opcode, argument, jump=False)


def loaded(instructions: Sequence[dis.Instruction], which: int, targets: set[int]) -> Path:
    """The names in instructions that load a function; () if they are of another kind, or if a jump leads to their end:
    then there are two of them. which: in an instruction that loads two names, the one."""
    path: Path = ()
    for now in instructions:
        if path and now.offset in targets:
            return ()
        if now.opname in ("PUSH_NULL", "EXTENDED_ARG", "CACHE"):
            continue
        if not path and now.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            path = now.opname, now.argval
        elif not path and now.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF")):
            names = now.argval if isinstance(now.argval, tuple) else (now.argval,)
            path = ("LOAD_FAST", names[min(which, len(names) - 1)])
        elif path and now.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path += (now.argval,)
        else:
            return path
    return ()


def resolved(frame: FrameType, path: Path) -> tuple[Any, Any]:
    """The present meaning of a path of names: of its first name, and of all of it. Only dictionaries are asked."""
    scopes: list[Any] = [] if path[:1] == ("LOAD_GLOBAL",) else [frame.f_locals]
    if path[:1] != ("LOAD_FAST",):
        scopes += [frame.f_globals, frame.f_builtins]
    root = thing = next((scope[name] for name in path[1:2] for scope in scopes if name in scope), None)
    for attribute in path[2:]:
        thing = names_in(thing).get(attribute)
    return root, thing


def names_in(thing: Any) -> dict[str, Any]:
    """The names of a module, or the attributes that an object itself has."""
    try:
        names = (ModuleType if isinstance(thing, ModuleType) else object).__getattribute__(thing, "__dict__")
    except AttributeError:
        return {}
    return names if type(names) is dict else {}


def warn(message: str, frame: FrameType) -> None:
    """A RuntimeWarning at the line that runs in a frame; one text once a line, unless the user asks for more."""
    warnings.warn_explicit(message, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno,
                           frame.f_globals.get("__name__", "<string>"),
                           frame.f_globals.setdefault("__warningregistry__", {}))
