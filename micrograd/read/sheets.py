"""Answer sheets: which node a student means, and what an answer says, be it a number or an expression.

Sheets come as dicts or, those of a class, from a CSV file. This module does not know whether an answer is right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from itertools import takewhile
from math import inf, isfinite, isnan
from operator import eq
from pathlib import Path
from typing import Any, Union

from ..delimited import read_delimited
from ..engine import Number, Value
from ..files import File, read_whole
from ..ops import as_float, is_number
from .chain import depending_on, is_weighted_sum, links
from .expression import Expression, ExpressionError, Name, Names, letters_and_digits, parse
from .graph import Graph, gradients_along, onward_from
from .mistakes import Book
from .terms import Formula, as_term, symbol

PRECISION = 1e-9    # relative; an answer this near was not rounded
SLOPPY = 0.02       # relative; the most that is forgiven to an answer of two digits
LISTED = 12         # names that an error lists
NOTHING = ("", "?", "-", "–", "nan")
ENDLESS = {"inf": inf, "infinity": inf, "∞": inf}
ROUND = 3           # decimals; an answer that is right to so many that are written is rounded, even 0.000

Key = Union[str, Value]
Given = Any  # a number, an expression, or nothing
Sheet = Mapping[Key, Given]


# Which node is meant

WORD = r"[^\W\d](?:\w|[\^_]\{[^{}]*\}|\^\w+|,(?=[₀-₉ᵢⱼₖₗₙ]))*"
DERIVATIVE = re.compile(rf"(?:∂|d|\\partial\s*)({WORD})\s*/\s*(?:∂|d|\\partial\s*)({WORD})")
FRACTION = re.compile(r"\\d?frac\s*\{\s*(?:\\partial|d)\s*(.+?)\s*\}\s*\{\s*(?:\\partial|d)\s*(.+?)\s*\}")


class Nodes:
    """The nodes of a graph, found by a Value or by what people write: w5, w_5, δ4 for z^{4}, dC/dw5, ∂C/∂w²."""

    def __init__(self, book: Book) -> None:
        self.book, self.graph = book, (graph := book.graph)
        self.by_name = {graph.names[node]: node for node in graph.order if book.is_named(node)}
        self.deltas = {}  # δ^{4}: z^{4}, where no node is called so
        for name, node in self.by_name.items():
            if (is_weighted_sum(name) or re.fullmatch("z[0-9]+", name)) and f"δ{name[1:]}" not in self.by_name:
                self.deltas[f"δ{name[1:]}"] = node
        self.names = Names([*self.by_name, *self.deltas])

    def find(self, key: Key) -> Value:
        """The node that a key of the answers means. Raises ValueError, or TypeError for what is no key."""
        if isinstance(key, Value):
            if key not in self.graph.names:
                raise ValueError(f"{key!r:.60} is not in the graph of {self.subject}: a forward pass makes new nodes; "
                                 "take those that belong to this result, or use labels")
            return key
        if not isinstance(key, str):
            raise TypeError(f"an answer belongs to a label or a Value, found {type(key).__name__} {key!r:.40}")
        word = key.strip().strip("$").strip()
        found = self.spelled(word)
        if found is not None:
            return found
        quotient = DERIVATIVE.fullmatch(word) or FRACTION.fullmatch(word)
        if quotient:
            above, below = self.spelled(quotient[1]), self.spelled(quotient[2])
            if above is None and letters_and_digits(quotient[1]) != letters_and_digits(self.subject):
                raise ValueError(f"{key!r}: there is no {quotient[1]!r} here; gradients are those of {self.subject}")
            if above not in (None, self.graph.root):
                raise ValueError(f"{key!r} is not a gradient of {self.subject}; to have a derivative of {quotient[1]} "
                                 f"marked, give {quotient[1]} as the root")
            if below is not None:
                return below
            word = quotient[2]
        raise ValueError(self.unknown(key, word))

    def spelled(self, word: str) -> Value | None:
        """The node that a word means; None for none. A ValueError, if it means several."""
        meant = self.names.meant(word)
        if len(meant) > 1:
            raise ValueError(f"{word!r} can be {' or '.join(map(repr, meant))}; write it in full")
        if meant:
            return self.by_name[meant[0]] if meant[0] in self.by_name else self.deltas[meant[0]]
        alike = [name for name, node in self.by_name.items() if node.label and node.label == word]
        if alike:
            raise ValueError(f"{len(alike)} nodes are labelled {word!r}; write {' or '.join(map(repr, alike[:3]))}, or "
                             "give the Value itself")
        return self.graph.named(word)

    def has(self, heading: str) -> bool:
        """Whether the heading of a column asks for a node."""
        try:
            self.find(forward_key(heading)[1])
        except ValueError:
            return False
        return True

    def delta(self, key: Key) -> Formula | None:
        """δ⁴, where a key asks for a gradient by that name; else None."""
        meant = self.names.meant(key.strip().strip("$").strip()) if isinstance(key, str) else []
        return symbol(meant[0]) if len(meant) == 1 and meant[0] in self.deltas else None

    def typed(self, name: str) -> str:
        """A name as people type it: a31 for a^{3}_{1}, unless that may be another."""
        short = letters_and_digits(name)
        return short if self.names.meant(short) == [name] else name

    def unknown(self, key: str, word: str) -> str:
        """What to say of a key that names no node: which names there are, the nearest first."""
        names = [self.typed(name) for name in self.by_name]
        short = letters_and_digits(word)
        near = get_close_matches(short, [*names, *map(self.typed, self.deltas)], LISTED, cutoff=0.4)
        near.sort(key=lambda name: sum(takewhile(bool, map(eq, name, short))), reverse=True)  # for a29 a21, not a32
        listed = list(dict.fromkeys([*near, *names]))[:LISTED]
        more = len({*names, *listed}) - len(listed)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        return (f"no node is called {key!r} in the graph of {self.subject}{meant}; there are {', '.join(listed)}"
                + f" and {more:,} more" * (more > 0))

    @property
    def subject(self) -> str:
        return self.graph.names[self.graph.root]


# What was handed in

NUMBER = re.compile(r"([-+]?)([0-9]*)[.,]?([0-9]*)(?:[eE]([-+]?[0-9]+))?")
TIMES_TEN = re.compile(r"(?<=[0-9.,])\s*[x×·⋅*]\s*10(?:(?:\^|\*\*)[({]?([-+]?[0-9]+)[)}]?|([⁺⁻]?[⁰¹²³⁴-⁹]+))$")
ON_THE_LINE = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
# The 2 of 2x, but neither that of w2x nor that of 2e-3:
TIMES_NAME = re.compile(r"(?<![\w.,^{}])([0-9]+(?:\.[0-9]+)?)(?![eE][-+]?[0-9])(?=[^\W\d_]|∂)")


@dataclass(frozen=True, slots=True)
class Handed:
    """An answer as it was handed in, and what it says.

    value: its number, None if it has none. half: half a unit of its last digit, 0.0 for an expression; digits,
    decimals: how many significant ones it has, and how many after the point. problem: why it cannot be read.
    """

    given: str | float | None
    value: float | None = None
    half: float = 0.0
    digits: int = 17
    decimals: int = 17
    problem: str = ""

    def rounds(self, target: float, digits: int) -> bool:
        """Whether this is the target, rounded to the digits that are written; to enough of them."""
        if self.value is None or not abs(self.value - target) <= self.half * (1 + PRECISION):
            return False
        return self.decimals >= min(digits, ROUND) or (self.value != 0 and self.digits >= 2
                                                       and abs(self.value - target) <= SLOPPY * abs(target))

    def unsure(self, tight: float) -> float:
        """How far the number may be from the unrounded one. Of a float nobody knows how many zeros it ended in."""
        if self.value is None:
            return 0.0
        return min(self.half, (SLOPPY if isinstance(self.given, str) else tight) * abs(self.value))


def finite(read: Mapping[Value, Handed]) -> dict[Value, float]:
    """The answers that are numbers to go on with."""
    return {node: given.value for node, given in read.items() if given.value is not None and isfinite(given.value)}


def handed(given: Given, where: str) -> Handed | str:
    """What was handed in, unless it is an expression, which comes back as text."""
    if given is None or (isinstance(given, float) and isnan(given)):
        return Handed(None)
    if isinstance(given, Decimal):
        given = str(given)  # zeros at its end count
    if isinstance(given, str):
        text = given.strip().lstrip("'").strip().strip("$").strip()
        text = re.split("[=≈~]", text)[-1].strip() or text  # what follows, of dC/dw = -0.0942
        if text.strip("=≈~").lower() in NOTHING:
            return Handed(None)
        return number_in(text, given) or text
    if isinstance(given, Value) or not is_number(given):
        raise TypeError(f"the answer for {where} is a number or an expression, found {type(given).__name__} "
                        f"{given!r:.40}")
    x = as_float(given)
    match = NUMBER.fullmatch(repr(x).removesuffix(".0"))
    return Handed(x, x, *precision(match)) if match else Handed(x, x)


def number_in(text: str, given: str) -> Handed | None:
    """A number as people write it, -9.42%, 0.0942… and 9.42 x 10^-2 included; None for any other text."""
    plain = text.replace("−", "-")
    if plain.lstrip("+-").lower() in ENDLESS:
        return Handed(given, -inf if plain[0] == "-" else inf)
    plain, percent = re.subn(r"\s*%$", "", plain)
    plain, cut = re.subn(r"\s*(?:\.\.\.|…)$", "", plain)
    plain = TIMES_TEN.sub(lambda match: f"e{(match[1] or match[2]).translate(ON_THE_LINE)}", plain)
    match = NUMBER.fullmatch(plain)
    if not match or not match[2] + match[3]:
        return None
    half, digits, decimals = precision(match)
    scale = 0.01 if percent else 1.0
    return Handed(given, float(plain.replace(",", ".")) * scale, half * scale * (1 + cut), digits,
                  decimals + 2 * percent)


def precision(match: re.Match[str]) -> tuple[float, int, int]:
    """Half a unit of the last digit, significant digits, decimals."""
    _, whole, decimals, exponent = match.groups()
    places = len(decimals) - int(exponent or 0)
    half = 0.5 * 10.0 ** -places if abs(places) < 300 else 0.0
    return half, len((whole + decimals).lstrip("0")), places


NO_VALUE = "this has no value: something in it is undefined, as 0/0 and ln(-1) are"


@dataclass(frozen=True, slots=True)
class Reference:
    """An expression, with the nodes whose gradients it uses, by the names that stand for them."""

    expression: Expression
    gradients: dict[str, Value]
    locals: dict[str, float]  # numbers of derivatives of other nodes than the root


def spelled(key: Key) -> str:
    return key if isinstance(key, str) else key.label or repr(key)


class HandedIn:
    """What one student handed in, read: expressions become numbers.

    In an expression a label stands for the right forward value, and δ⁴ or ∂C/∂a⁴ for the student's own answer, or for
    the right gradient where there is none.
    """

    def __init__(self, nodes: Nodes, gradients: Mapping[Value, Given], forward: Mapping[Value, Given]) -> None:
        self.nodes, self.graph = nodes, nodes.graph
        self.gradients: dict[Value, Handed] = {}
        self.forward: dict[Value, Handed] = {}
        for own, sheet in ((self.forward, forward), (self.gradients, gradients)):
            waiting: dict[Value, tuple[str, Reference]] = {}
            for node, given in sheet.items():
                read = handed(given, self.graph.names[node])
                if isinstance(read, Handed):
                    own[node] = read
                    continue
                try:
                    reference = self.parse_loosely(read)
                    asked = next((name for name, other in reference.gradients.items()
                                  if other is node and own is self.gradients), None)
                    if asked is not None:
                        raise ExpressionError(read, place_of(asked, reference.expression), "this is what is asked for")
                    waiting[node] = read, reference
                except ExpressionError as error:
                    own[node] = Handed(given, problem=str(error))
            self.settle(waiting, own)

    def settle(self, waiting: dict[Value, tuple[str, Reference]], own: dict[Value, Handed]) -> None:
        """Evaluate the expressions, each after those that it refers to."""
        while waiting:
            ready = [node for node, (_, reference) in waiting.items()
                     if own is self.forward or not any(other in waiting for other in reference.gradients.values())]
            for node in ready or list(waiting):
                text, reference = waiting.pop(node)
                try:
                    if not ready:
                        raise ExpressionError(text, 0, "this answer refers to itself, by way of others")
                    x = self.evaluate(reference)
                    right = self.graph.gradients[node]
                    if own is self.gradients and x != right and self.is_formula_of_book(node, reference):
                        x = right
                    own[node] = Handed(text, x, problem=NO_VALUE * isnan(x))
                except ExpressionError as error:
                    own[node] = Handed(text, problem=str(error))

    def parse_loosely(self, text: str) -> Reference:
        """Read an expression in which 2x may stand for 2*x."""
        try:
            return self.parse(text)
        except ExpressionError:
            try:
                return self.parse(TIMES_NAME.sub(r"\1*", text))
            except ExpressionError:
                pass
            raise

    def parse(self, text: str) -> Reference:
        """Read an expression, ∂C/∂a⁴ and the like included: each stands behind a name as long as itself."""
        gradients, slopes, stand_ins = dict(self.nodes.deltas), {}, {}
        plain, names = text, self.nodes.names
        for number, match in enumerate(DERIVATIVE.finditer(text)):
            above, below = (self.node_or_none(word) for word in match.groups())
            if above is None or below is None:
                continue
            stand_in = chr(0x4E00 + number) * len(match[0])
            stand_ins[stand_in] = match[0]
            plain = plain[:match.start()] + stand_in + plain[match.end():]
            if above is self.graph.root:
                gradients[stand_in] = below
            else:
                slopes[stand_in] = slope_between(self.graph, above, below)
        if plain != text:
            names = Names([*self.nodes.by_name, *gradients, *slopes])
        try:
            expression = parse(plain, names)
        except ExpressionError as error:
            message = error.message
            for stand_in, written in stand_ins.items():
                message = message.replace(stand_in, written)
            raise ExpressionError(text, error.place, message) from None
        return Reference(expression, {name: gradients[name] for name in expression.names if name in gradients}, slopes)

    def node_or_none(self, word: str) -> Value | None:
        try:
            return self.nodes.spelled(word)
        except ValueError:
            return None

    def evaluate(self, reference: Reference) -> float:
        values: dict[str, Number] = {}
        for name in reference.expression.names:
            if name in reference.gradients:
                node = reference.gradients[name]
                own = self.gradients.get(node, Handed(None)).value
                values[name] = self.graph.gradients[node] if own is None else own
            elif name in reference.locals:
                values[name] = reference.locals[name]
            else:
                values[name] = self.nodes.by_name[name].data
        return float(reference.expression.evaluate(values))


    def is_formula_of_book(self, node: Value, reference: Reference) -> bool:
        """Whether an expression is what a derivation comes to, though its number is another: a/y has none at (0, 0),
        and a(1 − a) loses digits where a is nearly 1."""
        terms, names, between = self.nodes.book.terms, reference.expression.names, depending_on(self.graph, node)
        if not between or node is self.graph.root or not all(name in self.nodes.by_name for name in names):
            return False
        of_names: dict[str, Any] = {name: terms[self.nodes.by_name[name]] for name in names}
        given = reference.expression.evaluate(of_names)
        [link] = links(self.graph.root, (node,), between, terms, self.nodes.book.place)
        return as_term(given) == link.formula


def place_of(name: str, expression: Expression) -> int:
    return next(step.place for step in expression.program if isinstance(step, Name) and step.name == name)


def slope_between(graph: Graph, y: Value, x: Value) -> float:
    """∂y/∂x, for any two nodes of a graph."""
    return gradients_along(onward_from(y, graph.order)).get(x, 0.0)


# A class

def forward_key(key: Key) -> tuple[bool, Key]:
    """Whether a key asks for a forward value, and of what: "forward a4"."""
    if isinstance(key, str) and key.strip().lower().startswith("forward "):
        return True, key.strip()[len("forward "):].strip()
    return False, key


LONG = ({"label", "question", "derivative", "gradient", "node"}, {"answer", "value", "given"})


def no_label(heading: str) -> bool:
    return False


def read_sheets(path: File, is_label: Callable[[str], bool] = no_label) -> dict[str, dict[str, str]]:
    """Read the answer sheets of a class from a CSV file, or a stream of its bytes: {student: {label: answer}}.

    A row for each student: the name in the first column, an answer in each other column, whose heading is the label
    (w5, dC/dw5; "forward a4" for a forward value). Or a row for each answer, under the headings student, label, answer;
    without the first of these the file is one sheet. A label with a comma, w^{2}_{1,1}, stands in quotes, as does a
    number with a decimal comma, where commas separate columns: see `read_delimited` for what else may. is_label:
    whether a heading is a label; if the first one is, there are no names, and the students are row 1, row 2, ...
    Raises ValueError, with the line, for any other file; OSError for one that cannot be read.
    """
    where, content = read_whole(path)
    rows = [row for row in read_delimited(content, where).rows if any(row.cells)]
    if len(rows) < 2:
        raise ValueError(f"{where} has no answers: the first line names the columns, each other one is a sheet")
    header = rows[0].cells
    while header and not header[-1]:
        header.pop()
    for name, times in Counter(header[1:]).items():
        if times > 1 or not name:
            raise ValueError(f"{where} has {times} columns called {name!r}" if name else
                             f"{where}: column {header.index('', 1) + 1} has no heading; it names a label")
    for line, cells in rows[1:]:
        if any(cells[len(header):]):
            raise ValueError(f"{where}, line {line}: {len(cells)} fields, where the header has {len(header)}; a number "
                             "with a decimal comma, or a label with a comma, stands in quotes")
    lower = [name.lower() for name in header]
    sheets: dict[str, dict[str, str]] = {}
    unnamed = is_label(header[0])
    if len(header) == 1 and not unnamed:
        raise ValueError(f"{where}: found one column, {header[0]!r:.60}; separate columns with , or ; or tabs")
    if len(header) in (2, 3) and lower[-2] in LONG[0] and lower[-1] in LONG[1]:
        for line, cells in rows[1:]:
            *student, label, answer = [*cells, "", ""][:len(header)]
            sheet = sheets.setdefault(student[0] if student else Path(where).stem, {})
            if label in sheet:
                raise ValueError(f"{where}, line {line}: a second answer for {label!r}")
            sheet[label] = answer
        return sheets
    for row, (_, cells) in enumerate(rows[1:], 1):
        if unnamed:
            sheets[f"row {row}"] = dict(zip(header, [*cells, *[""] * len(header)]))
            continue
        name, number = cells[0] or "(no name)", 1
        while name in sheets:  # two students of one name
            number += 1
            name = f"{cells[0] or '(no name)'} ({number})"
        sheets[name] = dict(zip(header[1:], [*cells[1:], *[""] * len(header)]))
    return sheets
