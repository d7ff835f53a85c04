"""The docstring of an op, made of what its row says: `help(micrograd.sin)`.

The formula, the derivatives as a book has them, where it is defined, what holds at a kink, and an example with the
numbers that the op gives; in Google's style, which Sphinx reads. This module knows nothing of graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from math import nan
from textwrap import wrap
from typing import Any

from .. import ops
from ..ops import Op
from ..rows import Operators
from .algebra import Call, Name, Term, as_term, combine
from .formula import derivative_of, formula_of
from .layout import Applied, Label, written
from .notations import UNICODE

SAMPLES = (0.5, 2.0, 1.25)  # the arguments of an example: the first of these that the op is sampled at, each used once
WIDTH = 72  # of a line


class Rule(Operators):
    """A Term that depends on no number: a `where` is both of its branches."""

    __slots__ = ("term",)

    def __init__(self, term: Term) -> None:
        self.term = term

    def __op__(self, op: Op, args: Sequence[Any]) -> Any:
        if op.stands_for is not None:
            return op.stands_for(*args)
        terms = [plain(arg) for arg in args]
        return Rule(Call(op, terms, nan) if op is ops.where else combine(op, terms))


def plain(x: Any) -> Term:
    return x.term if isinstance(x, Rule) else as_term(x)


def described(op: Op) -> str:
    """The docstring of an op."""
    names, at = op.arguments, samples(op)
    given = names[:op.arity - len(op.defaults)]
    args = [Name(name, nan) for name in names]
    defaults = dict(zip(names[len(given):], op.defaults))
    parts = [
        wrap(f"y = {written(Applied(op, [Label(name) for name in names]), UNICODE).text}: {op.about}.", WIDTH),
        *([f"{derivative_of('y', name) if op.arity > 1 else f'dy/d{name}'} = {stated(rule, args)}"]
          for name, rule in zip(names, op.book or op.derivatives)),
        wrap(f"Defined for {op.defined}; beyond that it is inf or nan, as IEEE arithmetic has it, with a warning."
             if op.defined else "", WIDTH),
        section("Note", wrap(op.note, WIDTH)),
        section("Args", [f"{name}: a number or a Value{f', by default {defaults[name]:g}' if name in defaults else ''}."
                         for name in names]),
        section("Returns", ["A Value that records the op, if a Value is given; else a float."]),
        section("Example", example(op, given, at)),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def stated(derivative: Callable[..., Any], args: Sequence[Term]) -> str:
    """A derivative; one of two branches as "1 where x > 0, else k"."""
    try:
        rule = plain(derivative(*map(Rule, [Name("y", nan), *args])))
    except Exception:  # a user's rule that looks at its arguments
        return "…"
    if isinstance(rule, Call) and rule.op is ops.where:
        condition, then, otherwise = rule.args
        if isinstance(condition, Call) and condition.op is ops.step:
            return (f"{1 if then == condition else formula_of(then)} where {formula_of(condition.args[0])} > 0, "
                    f"else {formula_of(otherwise)}")
    return str(formula_of(rule))


def signature(op: Op) -> Signature:
    """The signature that `inspect` finds: the arguments of an op, and their defaults."""
    defaults = [Parameter.empty] * (op.arity - len(op.defaults)) + [*op.defaults]
    return Signature([Parameter(name, Parameter.POSITIONAL_ONLY, default=default)
                      for name, default in zip(op.arguments, defaults)])


def section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"    {line}" for line in lines)] if lines else []


def samples(op: Op) -> list[float]:
    """A number for each argument, from the interval where tests sample it; the default of one that has one."""
    found: list[float] = []
    for low, high in op.domain[:op.arity - len(op.defaults)]:
        inside = [x for x in SAMPLES if low <= x <= high] or [(low + high) / 2]
        found.append(next((x for x in inside if x not in found), inside[0]))
    return [*found, *op.defaults]


def example(op: Op, given: Sequence[str], at: Sequence[float]) -> list[str]:
    """The op on Values, as a session of Python: its result and its slopes."""
    y = op.value(*at)
    numbers = [y, *(0.0 + op.slope(i, y, *at) for i in range(len(given)))]  # as in .grad, -0.0 is 0.0
    several = f"map(micrograd.Value, {tuple(at[:len(given)])})"
    return [
        f">>> {', '.join(given)} = {several if len(given) > 1 else f'micrograd.Value({at[0]!r})'}",
        f">>> y = {'micrograd.' * op.builtin}{op.name}({', '.join(given)})",
        ">>> y.backward()",
        f">>> {', '.join(['y.data', *(f'{name}.grad' for name in given)])}",
        f"({', '.join(map(repr, numbers))})",
    ]
