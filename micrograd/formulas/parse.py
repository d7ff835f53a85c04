r"""What people write, as a computation: "0.5*(y - sigmoid(w*x + b))**2", "(a4 - y)·a4·(1 - a4)", "1/3".

Nothing is handed to Python to evaluate. The text is read sign by sign into a program of numbers, names and rows of the
table of operations, which then runs on floats or on Values. There is no recursion, and the length is limited, so that
text from anybody may be read. Whatever cannot be read is an `ExpressionError`, which knows the place.

    numbers        2, 0.5, 2e-3, ½, 2½, and the constants pi, e and tau, unless these are names
    operators      + - * / ** % //, also ^ and x² for powers, · and × for products, "a mod b"; |x|, ⌊x⌋, ⌈x⌉;
                   "2(x + 1)" is a product; 1[a > b] is 1 where a > b, else 0
    functions      every row, by its name or symbol: exp(x), max(a, b), σ(z); ln(x); σ'(z) for the derivative, also
                   elu'(z) and elu'(z, 0.5)
    names          as they are spelled, or else as people spell them: a4, a_4, a^4 and a⁴ all find a^{4}

A caret is thus a power, unless it makes a name that is known. Where it could be both, that is an error. So are, where
this is read loosely, e^x and σ(1 - σ) with a name e or σ, and h(x) with names h and x.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .. import ops
from ..engine import Value
from .expression import Expression, ExpressionError
from .labels import LOWERED, Names, indices, is_inside, is_letter, notation, structure
from .reading import ExpressionReader

WHOLE = 20_000  # characters of several expressions, or of a list of values


def parse(text: str, names: Iterable[str] | Names | None = None, loosely: bool = False) -> Expression:
    """Read an expression. Nothing is computed yet: see `Expression.evaluate`.

    text: up to 1,000 characters. names: those that it may use (labels of a graph, say), which are then found however
    they are spelled; without them every name will do, and ^ is always a power. loosely: whether this is written as by
    hand, so that 2x is 2*x, 0.5 sgn(x) is 0.5*sgn(x), and h(x) is in doubt.
    Raises ExpressionError, with the place, if it is not an expression.
    """
    if not isinstance(text, str):
        raise TypeError(f"an expression is text such as '2*x', found {type(text).__name__} {text!r:.40}")
    known = names if isinstance(names, Names) or names is None else Names(names)
    return ExpressionReader(text, known, 0, len(text), loosely).read()


# Several expressions, and values for the names

class Statement(NamedTuple):
    """One line of a `Expressions`: name = expression. The name of the last one may be ""."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Expressions:
    """Expressions that build on each other. Make one with `parse_program`."""

    text: str
    statements: tuple[Statement, ...]

    def graph(self, values: Mapping[str, float]) -> dict[str, Value]:
        """The graph, as Values by name, each labelled with its name; the last is the result, "" if it has no name.

        values: a number for each name that was given to `parse_program`. Those that it does not use are there as well.
        """
        nodes: dict[str, Value] = {name: Value(x, name) for name, x in values.items()}
        for name, expression in self.statements:
            result = expression.evaluate(nodes)
            if not isinstance(result, Value):
                result = Value(result)
            elif name and result.label:  # "z = x": another name for the same, which has one
                result = ops.identity(result)
            if name:
                result.label = name
            nodes[name] = result
        return nodes


def parse_program(text: str, names: Iterable[str]) -> Expressions:
    """Read "z = w*x + b; a = sigmoid(z); 0.5*(y - a)**2": expressions that may use the names before them.

    names: those that have values. Raises ExpressionError, with the place, if something cannot be read, if a name is
    given a second meaning, and for more than 20,000 characters.
    """
    check_length(text, "expressions have")
    known = Names(names)
    statements = []
    start, end = 0, len(text.rstrip())
    while start <= len(text):
        stop = text.find(";", start)
        stop = len(text) if stop < 0 else stop
        last = stop + 1 >= end
        equals = text.find("=", start, stop)
        name = new_name(text, start, equals, known) if equals >= 0 else ""
        if not name and not last:
            raise ExpressionError(text, start + len(text[start:stop]) - len(text[start:stop].lstrip()),
                                  "only the last expression may go without a name; write z = ...")
        statements.append(Statement(name, ExpressionReader(text, known, max(start, equals + 1), stop).read()))
        known.add(name)
        start = len(text) + 1 if last else stop + 1
    return Expressions(text, tuple(statements))


def check_length(text: str, what: str) -> None:
    """One limit for all that is read at once; the time that it takes grows with its length, and no faster."""
    if len(text) > WHOLE:
        raise ExpressionError(text, WHOLE, f"{what} at most {WHOLE:,} characters in all, found {len(text):,}; write "
                                           "larger ones in Python, with Value")


def new_name(text: str, start: int, stop: int, known: Names) -> str:
    """The name that text[start:stop] gives to something, which none of the known ones may be."""
    word = text[start:stop].strip()
    place = stop - len(text[start:stop].lstrip())
    name = word if indices(word) else notation(word)
    if not word or not (indices(name) or (is_letter(word[0]) and all(map(is_inside, word)))):
        raise ExpressionError(text, place, "before '=' comes a name: letters and digits, or letters with indices such "
                                           "as w_1, a^{4} or w^{2}_{1,1}")
    form = structure(name)
    alike = [name] if name in known.known else known.structures.get(form) if form else None
    if alike:
        raise ExpressionError(text, place, f"{alike[0]!r} has a value already; choose another name")
    return name


def parse_values(*texts: str) -> dict[str, float]:
    """Read "w=0.5" or "w = 1/3, x = 2": names and their numbers, which may be written as expressions of numbers.

    Raises ExpressionError, with the place, if something cannot be read, or if a name is given two values.
    """
    values: dict[str, float] = {}
    known = Names(())
    for text in texts:
        check_length(text, "values have")
        starts: list[int] = []  # a name begins after the last comma before its "="
        start = depth = 0
        for place, sign in enumerate(text):
            depth += (sign in "({") - (sign in ")}")
            if sign == "," and depth == 0 and text[place + 1:place + 2] not in LOWERED:
                start = place + 1
            elif sign == "=" and starts[-1:] != [start]:
                starts.append(start)
        if not starts:
            raise ExpressionError(text, len(text), "names and their values are written like this: w=0.5")
        for start, end in zip([0, *starts[1:]], [*starts[1:], len(text) + 1]):
            equals = text.index("=", start)
            name = new_name(text, start, equals, known)
            known.add(name)
            values[name] = float(ExpressionReader(text, Names(()), equals + 1, end - 1).read().evaluate({}))
    return values
