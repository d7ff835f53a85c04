"""A text that was read: an `Expression`, a program of numbers, names and rows that runs on floats or on Values; or an
`ExpressionError`, which knows the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import e, pi, tau
from typing import Any, NamedTuple, Union

from .. import ops
from ..arguments import number
from ..engine import Number
from ..ops import OPS, Op
from .labels import columns, cut, printable

WIDTH = 70  # columns of the text that a message quotes


class ExpressionError(ValueError):
    """A text that cannot be read. `message` says why, `text` is all of it, and `place` the index into it."""

    def __init__(self, text: str, place: int, message: str) -> None:
        super().__init__(text, place, message)
        self.text = text
        self.place = place
        self.message = message

    def __str__(self) -> str:
        """The message, the text around the place on one line, and a caret below the place."""
        before, after = printable(self.text[:self.place]), printable(self.text[self.place:])
        start = max(0, len(before) - WIDTH // 2)
        before = ("…" if start else "") + before[start:]
        return f"{self.message}\n  {before}{cut(after, WIDTH - len(before))}\n  {' ' * columns(before)}^"


class UnknownName(ExpressionError):
    """A text that uses a name without a meaning. `name` is the name as it is written, `meant` what to say of another
    that may be meant; "" where there is none."""

    def __init__(self, text: str, place: int, message: str, name: str, meant: str = "") -> None:
        super().__init__(text, place, message)
        self.args = text, place, message, name, meant
        self.name = name
        self.meant = meant


# Functions, and other words with a meaning

CONSTANTS = {"pi": pi, "π": pi, "e": e, "tau": tau, "τ": tau}
ALIASES = {"ln": ops.log, "sigma": ops.sigmoid, "arcsin": ops.asin, "arccos": ops.acos, "arctan": ops.atan,
           "arsinh": ops.asinh, "arcosh": ops.acosh, "artanh": ops.atanh, "sgn": ops.sign}


def functions() -> dict[str, Op]:
    """Every row by its name, and by its symbol where that is a word; a user's rows too."""
    symbols = {row.symbol: row for row in OPS.values() if row.symbol.isidentifier()}
    return {**ALIASES, **symbols, **OPS}


# What an expression becomes

class Variable(NamedTuple):
    """A step of a program: the value of a name. place: where it is written."""

    name: str
    place: int


class Slope(NamedTuple):
    """A step of a program: the derivative of a row by its first argument, as in σ'(z), elu'(z) and elu'(z, 0.5)."""

    row: Op

    def __call__(self, *args: Number) -> Number:
        y: Any = self.row(*args)
        if not any(hasattr(arg, "__op__") for arg in args):
            return self.row.slope(0, y, *map(float, args))
        slope: Number = self.row.derivatives[0](y, *args)
        return slope


Step = Union[float, Variable, Op, Slope]


@dataclass(frozen=True, slots=True)
class Expression:
    """A text that was read. Make one with `parse`."""

    text: str
    names: tuple[str, ...]    # those that it uses, in order of appearance
    program: tuple[Step, ...]  # each step puts a number on a stack, a row in the place of its arguments

    def evaluate(self, values: Mapping[str, Number]) -> Number:
        """The number that comes out, for the numbers of the names.

        With floats for all names it is a float, inf or nan where IEEE arithmetic has it. With Values it is a Value that
        has recorded the operations as they are written. Raises ExpressionError if a name has no number.
        """
        stack: list[Number] = []
        for step in self.program:
            if isinstance(step, float):
                stack.append(step)
            elif isinstance(step, Variable):
                if step.name not in values:
                    raise ExpressionError(self.text, step.place, f"{step.name!r} has no value")
                value = values[step.name]
                stack.append(value if hasattr(value, "__op__") else number(value, f"the value of {step.name!r}"))
            else:
                row = step.row if isinstance(step, Slope) else step
                arguments = stack[-row.arity:]
                stack[-row.arity:] = [step(*arguments)]
        return stack[0]
