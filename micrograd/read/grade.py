"""Marking a derivation that was done by hand: `grade(C, {"w5": 0.0822, ...})`.

Each answer is held against the gradient that the graph has; if it is not that, against what follows from the student's
own answers next above it, so that one mistake is counted once; and if it is not that either, against what the usual
mistakes come to. A class is many sheets on one graph. This module knows verdicts; `mistakes` knows the mistakes.
"""

from __future__ import annotations

import csv
import io
import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from html import escape
from math import floor, inf, isfinite, isnan, log10, nan
from pathlib import Path
from random import Random
from typing import Any, Union

from .. import ops
from ..engine import Number, Value
from ..ops import CONSTANT, as_float, is_number
from .expression import Expression, ExpressionError, Name, Names, letters_and_digits, parse
from .formula import LATEX, Notation, Written, apply, printable, unicode_label
from .graph import Graph, look
from .mistakes import (
    QUANTITY,
    RATES,
    REVERSED,
    Book,
    Candidate,
    Computation,
    Derivation,
    is_weighted_sum,
    passes,
)
from .terms import ONE, Formula, Term, both, chained, combine, formula_of, number_of, partial, written

EXACT, CLOSE, CARRIED, WRONG, MISSING, UNREADABLE = "exact", "close", "carried", "wrong", "missing", "unreadable"
VERDICTS = (EXACT, CLOSE, CARRIED, WRONG, MISSING, UNREADABLE)
RIGHT = (EXACT, CLOSE, CARRIED)

PRECISION = 1e-9    # relative; an answer this near was not rounded
TINY = 1e-15        # an answer of 0 is as near as that to a difference that would be 0 without rounding
LOOSE, TIGHT = 50, 5  # units of the last digit that students are asked for: what is forgiven against the right result,
                      # which may come from rounded ones; and against what follows from other answers, in one go
SLOPPY = 0.02       # relative; the most that is forgiven to an answer of two digits
TRIALS = 8          # passes with rounded numbers, to see what rounding does
LARGEST = 20_000    # nodes; in a larger graph these are not made
NEAR = 1.5          # how much more far-fetched a second explanation of a wrong answer may be than the best
EXPLANATIONS = 3
WIDEST = 40         # names and signs in the formula of a line; a longer one is written in terms of labels
WIDTH = 100         # columns of a terminal
NOTHING = ("", "?", "-", "–", "nan")

Key = Union[str, Value]
Given = Any  # a number, an expression, or nothing
Sheet = Mapping[Key, Given]


# Reports

@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake that would explain an answer. kind: one of a few, to be counted; sentence: what was done, in words."""

    kind: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """One answer, marked.

    label: as the key was spelled. name: of the node, as in the graph. given: what was handed in; value: its number, or
    None. expected: the right number. error: relative, None without a number. verdict: "exact"; "close" (rounded);
    "carried" (right, given earlier answers that are wrong); "wrong"; "missing"; "unreadable".
    mistakes: the mistakes that lead to this number, the most likely first. line: the right step, symbols = numbers =
    result. note: what else is to be said, such as why an expression cannot be read.
    """

    label: str
    name: str
    symbol: Formula
    given: str | float | None
    value: float | None
    expected: float
    error: float | None
    verdict: str
    mistakes: tuple[Mistake, ...]
    line: Formula
    note: str
    node: Value = field(compare=False)

    @property
    def mistake(self) -> str:
        """The likely mistake in a sentence, or the likely ones; "" if none is known."""
        if not self.mistakes:
            return ""
        first, *others = (mistake.sentence for mistake in self.mistakes)
        return f"your {self.symbol} equals what you get if you {first}" + "".join(f"; or if you {o}" for o in others)

    @property
    def right(self) -> bool:
        """Whether it earns its mark: exact, close or carried."""
        return self.verdict in RIGHT

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"label": self.label, "name": self.name, "symbol": str(self.symbol), "given": self.given,
                "value": self.value, "expected": self.expected, "error": self.error, "verdict": self.verdict,
                "mistakes": [{"kind": mistake.kind, "sentence": mistake.sentence} for mistake in self.mistakes],
                "line": self.line.to_dict(), "note": self.note}

    def __repr__(self) -> str:
        return (f"<{self.symbol}: {self.verdict}, found {shown(self.given)}, expected {number_of(self.expected)}"
                f"{self.mistake and '; '}{self.mistake}>")


class Answers(Mapping[Key, Answer]):
    """The marked answers, in the order in which they were given; looked up by label, in any spelling, or Value."""

    def __init__(self, answers: Iterable[Answer], nodes: Nodes) -> None:
        self.all = {answer.node: answer for answer in answers}
        self.nodes = nodes

    def __getitem__(self, key: Key) -> Answer:
        node = next((answer.node for answer in self.all.values() if answer.label == key), None)
        if node is None:
            node = self.nodes.find(key)
        if node not in self.all:
            raise KeyError(f"{key!r} was not answered, only {', '.join(a.label for a in self.all.values())}")
        return self.all[node]

    def __iter__(self) -> Iterator[str]:
        return (answer.label for answer in self.all.values())

    def __len__(self) -> int:
        return len(self.all)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{answer.label!r}: {answer!r}" for answer in self.all.values()) + "}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Report:
    """A marked sheet. Print it, or show it in a notebook."""

    subject: str               # the name of what was differentiated
    answers: Answers           # gradients
    forward: Answers           # forward values
    first_wrong: Answer | None  # the first in the order in which they are worked out: forward, then backward

    @property
    def all(self) -> tuple[Answer, ...]:
        """The forward values, then the gradients."""
        return *self.forward.values(), *self.answers.values()

    @property
    def right(self) -> int:
        """How many are exact, close or carried."""
        return sum(answer.right for answer in self.all)

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.all)

    @property
    def score(self) -> float:
        """right / total"""
        return self.right / self.total

    @property
    def summary(self) -> str:
        """One line: how many are right, and how many of each verdict."""
        count = Counter(answer.verdict for answer in self.all)
        hint = {CARRIED: " (right, given the earlier answers)"}
        return f"{self.right} of {self.total} right: " + ", ".join(
            f"{count[verdict]} {verdict}{hint.get(verdict, '')}" for verdict in VERDICTS if count[verdict])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"subject": self.subject, "right": self.right, "total": self.total,
                "answers": [answer.to_dict() for answer in self.answers.values()],
                "forward": [answer.to_dict() for answer in self.forward.values()],
                "first_wrong": self.first_wrong and self.first_wrong.label}

    def table(self) -> list[tuple[str, ...]]:
        """The report as text, cell by cell, the heading first."""
        return [("", "yours", "right", "verdict", "error"), *(
            (answer.symbol, shown(answer.given), number_of(answer.expected), answer.verdict, shown_error(answer))
            for answer in self.all)]

    def __str__(self) -> str:
        lines = in_columns(self.table())
        for answer in sorted(self.all, key=lambda answer: answer is not self.first_wrong):
            which = "The first mistake, " * (answer is self.first_wrong)
            said = [*(answer.mistake and [answer.mistake]), *(answer.note and [answer.note]),
                    *([f"right: {answer.line}"] if answer.verdict == WRONG else ())]
            if said:
                lines += ["", f"{which}{answer.symbol}:", *(f"  {line}" for text in said for line in wrapped(text))]
        return "\n".join([*lines, "", self.summary])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page(f"<b>{escape(self.summary)}</b>", rows_of(self), ("", "yours", "right", "verdict", ""))


@dataclass(frozen=True, slots=True)
class Question:
    """How a class did on one question: how many sheets have each verdict, and the mistakes, the most common first."""

    label: str
    symbol: Formula
    verdicts: dict[str, int]
    mistakes: tuple[tuple[str, int], ...]

    @property
    def right(self) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in RIGHT)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"label": self.label, "symbol": str(self.symbol), "right": self.right, "verdicts": dict(self.verdicts),
                "mistakes": dict(self.mistakes)}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ClassReport:
    """The marked sheets of a class. Print it, show it in a notebook, or write it with `to_csv`."""

    students: dict[str, Report]

    def __getitem__(self, student: str) -> Report:
        return self.students[student]

    def __len__(self) -> int:
        return len(self.students)

    @property
    def questions(self) -> tuple[Question, ...]:
        """How the class did on each question. A mistake is counted where it was made, not where it was carried."""
        asked: dict[str, list[Answer]] = {}
        for report in self.students.values():
            for answer in report.all:
                asked.setdefault(answer.symbol, []).append(answer)
        return tuple(Question(
            answers[0].label, answers[0].symbol, dict(Counter(answer.verdict for answer in answers)),
            tuple(Counter(answer.mistakes[0].kind for answer in answers
                          if answer.mistakes and answer.verdict == WRONG).most_common()))
            for answers in asked.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"students": {name: report.to_dict() for name, report in self.students.items()},
                "questions": [question.to_dict() for question in self.questions]}

    def tables(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """The students and the questions as text, cell by cell, headings first."""
        asked = self.questions
        students: list[tuple[str, ...]] = [("student", "right", "answers", "first mistake", "")]
        for name, report in self.students.items():
            first = report.first_wrong
            marks = {answer.symbol: MARK[answer.verdict] for answer in report.all}
            students.append((printable(name), f"{report.right}/{report.total}",
                             "".join(marks[question.symbol] for question in asked), first.symbol if first else "",
                             first.mistakes[0].sentence if first and first.mistakes else ""))
        questions: list[tuple[str, ...]] = [("question", "right", "carried", "wrong", "missing", "most common mistake")]
        for question in asked:
            count = question.verdicts
            most = "; ".join(f"{kind} ({n}×)" for kind, n in question.mistakes[:2])
            questions.append((question.symbol, str(question.right), *(str(count.get(v, 0)) for v in (CARRIED, WRONG)),
                              str(count.get(MISSING, 0) + count.get(UNREADABLE, 0)), most))
        return students, questions

    def __str__(self) -> str:
        students, questions = self.tables()
        return "\n".join([*in_columns(students), "", LEGEND, "", *in_columns(questions)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = (html_table(head, (f"<tr>{''.join(cell(escape(text)) for text in row)}</tr>" for row in rows))
                  for head, *rows in self.tables())
        return f"<div>{f'<p>{LEGEND}</p>'.join(tables)}</div>"

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table: a row for each student with the marks, the verdict on each answer, and the first mistake."""
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            asked = [question.symbol for question in self.questions]
            writer.writerow(["student", "right", "total", *asked, "first mistake", "which"])
            for name, report in self.students.items():
                verdicts = {answer.symbol: answer.verdict for answer in report.all}
                first = report.first_wrong
                writer.writerow([name, report.right, report.total, *map(verdicts.__getitem__, asked),
                                 first.symbol if first else "", first.mistake if first else ""])


# Reports as text and HTML

def shown(given: Given) -> str:
    """An answer as it was written, not too much of it."""
    text = "–" if given is None else given if isinstance(given, str) else repr(given)
    text = printable(text)
    if isinstance(given, float):
        text = repr(given + 0.0).removesuffix(".0").replace("-", "−") if len(text) <= 10 else number_of(given, 6)
    return text if len(text) <= 32 else text[:31] + "…"


def shown_error(answer: Answer) -> str:
    """The relative error, in percent; nothing where it says nothing."""
    error = answer.error
    if error is None or answer.verdict == EXACT or not error < 100:
        return ""
    return f"{100 * error:.0f} %" if error > 0.1 else f"{100 * error:.2g} %"


def wrapped(text: str) -> list[str]:
    """A text in lines for a terminal; one that has lines already, such as an error with its caret, as it is."""
    return text.splitlines() if "\n" in text else textwrap.wrap(text, WIDTH, break_long_words=False,
                                                                break_on_hyphens=False)


def in_columns(table: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in table]


# Styles stand in the elements, as notebooks take others away; dark ink on pale fills shows on light and dark pages.
CELL = "text-align:left;vertical-align:top;padding:4px 8px;white-space:nowrap"
BADGE = "display:inline-block;padding:0 6px;border-radius:4px;color:#1f2937;white-space:nowrap"
FILL = {EXACT: "#cdebd0", CLOSE: "#cdebd0", CARRIED: "#d7e3f4", WRONG: "#f7c5bf", MISSING: "#e5e7eb",
        UNREADABLE: "#fbe3a6"}
MARK = {EXACT: "✓", CLOSE: "✓", CARRIED: "↓", WRONG: "✗", MISSING: "·", UNREADABLE: "?"}
LEGEND = ", ".join(f"{mark} {verdict}" for verdict, mark in MARK.items())


def cell(content: str, tag: str = "td") -> str:
    return f'<{tag} style="{CELL}">{content}</{tag}>'


def html_table(head: Sequence[str], rows: Iterable[str]) -> str:
    return (f"<table><thead><tr>{''.join(cell(escape(text), 'th') for text in head)}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>")


def page(title: str, rows: Iterable[str], head: Sequence[str]) -> str:
    return f'<div><p style="margin:4px 0">{title}</p>{html_table(head, rows)}</div>'


def rows_of(report: Report) -> Iterator[str]:
    for answer in report.all:
        fill = f"{BADGE};background:{FILL[answer.verdict]}"
        said = f"{MARK[answer.verdict]} {answer.verdict}"
        badge = f'<span style="{fill}">{said}</span> <small>{shown_error(answer)}</small>'
        remarks = [escape(line) for line in (answer.mistake, *answer.note.split("\n", 1)[:1]) if line]
        if "\n" in answer.note:
            remarks.append(f"<pre style='margin:0'>{escape(answer.note.split(chr(10), 1)[1])}</pre>")
        if answer.verdict == WRONG:
            remarks.append(f"right: {answer.line.mathml}")
        if answer is report.first_wrong:
            remarks.insert(0, "<b>The first mistake.</b>")
        yield (f"<tr>{cell(escape(answer.symbol))}{cell(escape(shown(answer.given)))}"
               f"{cell(number_of(answer.expected))}{cell(badge)}"
               f'<td style="{CELL};max-width:40em;white-space:normal">{"<br/>".join(remarks)}</td></tr>')


# Which node is meant

WORD = r"[^\W\d](?:\w|[\^_]\{[^{}]*\}|\^\w+|,(?=[₀-₉ᵢⱼₖₗₙ]))*"
DERIVATIVE = re.compile(rf"(?:∂|d|\\partial\s*)({WORD})\s*/\s*(?:∂|d|\\partial\s*)({WORD})")
FRACTION = re.compile(r"\\d?frac\s*\{\s*(?:\\partial|d)\s*(.+?)\s*\}\s*\{\s*(?:\\partial|d)\s*(.+?)\s*\}")


class Nodes:
    """The nodes of a graph, found by a Value or by what people write: w5, w_5, δ4 for z^{4}, dC/dw5, ∂C/∂w²."""

    def __init__(self, book: Book) -> None:
        self.graph = graph = book.graph
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

    def unknown(self, key: str, word: str) -> str:
        names = list(self.by_name)
        near = get_close_matches(word, [*names, *map(unicode_label, names)], n=1, cutoff=0.4)
        listed = ", ".join(names[:12]) + f" and {len(names) - 12:,} more" * (len(names) > 12)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        return f"no node is called {key!r} in the graph of {self.subject}{meant}; there are {listed}"

    @property
    def subject(self) -> str:
        return self.graph.names[self.graph.root]


# What was handed in

NUMBER = re.compile(r"([-+]?)([0-9]*)[.,]?([0-9]*)(?:[eE]([-+]?[0-9]+))?")


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
        if self.value is None or self.value == 0 or abs(self.value - target) > self.half * (1 + PRECISION):
            return False
        return self.decimals >= digits or (self.digits >= 2 and abs(self.value - target) <= SLOPPY * abs(target))

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
    if isinstance(given, str):
        text = given.strip().lstrip("=≈").strip().strip("$")
        if text.lower() in NOTHING:
            return Handed(None)
        plain = text.replace("−", "-")
        match = NUMBER.fullmatch(plain)
        if not match or not match[2] + match[3]:
            return text
        return Handed(given, float(plain.replace(",", ".")), *precision(match))
    if isinstance(given, Value) or not is_number(given):
        raise TypeError(f"the answer for {where} is a number or an expression, found {type(given).__name__} "
                        f"{given!r:.40}")
    x = as_float(given)
    match = NUMBER.fullmatch(repr(x).removesuffix(".0"))
    return Handed(x, x, *precision(match)) if match else Handed(x, x)


def precision(match: re.Match[str]) -> tuple[float, int, int]:
    """Half a unit of the last digit, significant digits, decimals."""
    _, whole, decimals, exponent = match.groups()
    places = len(decimals) - int(exponent or 0)
    half = 0.5 * 10.0 ** -places if abs(places) < 300 else 0.0
    return half, len((whole + decimals).lstrip("0")), places


# Marking

@dataclass(frozen=True, slots=True)
class Reference:
    """An expression, with the nodes whose gradients it uses, by the names that stand for them."""

    expression: Expression
    gradients: dict[str, Value]
    locals: dict[str, float]  # numbers of derivatives of other nodes than the root


class Marker:
    """Marks any number of sheets on one graph."""

    def __init__(self, graph: Graph, digits: int, lr: float | None) -> None:
        if isinstance(digits, bool) or not isinstance(digits, int) or not 2 <= digits <= 12:
            raise ValueError(f"digits is how many significant digits are asked for, from 2 to 12, found {digits!r}")
        if lr is not None and not (is_number(lr) and isfinite(lr) and lr > 0):
            raise ValueError(f"lr is the learning rate, above 0, found {lr!r}")
        self.graph, self.digits = graph, digits
        self.rates = RATES if lr is None else (float(lr),)
        self.book = Book(graph)
        self.nodes = Nodes(self.book)
        self.loose, self.tight = LOOSE * 10.0 ** -digits, TIGHT * 10.0 ** -digits
        self.right = passes(graph, {}, {})
        self.rounded: list[dict[Value, tuple[float, float]]] = []
        if len(graph.order) <= LARGEST:
            rng = Random(0)
            units = {node: (self.half_unit(node.data), self.half_unit(graph.gradients[node]))
                     for node in graph.order[:-1] if node.parents and node.label}
            self.rounded = [{node: (rng.choice((-1, 1)) * value, rng.choice((-1, 1)) * gradient)
                             for node, (value, gradient) in units.items()} for _ in range(TRIALS)]
        self.noise: dict[tuple[Value, ...], dict[Value, float]] = {}
        self.derivations: dict[tuple[Any, ...], Derivation] = {}
        self.lines: dict[tuple[Value, ...], Formula] = {}

    def half_unit(self, x: float) -> float:
        """Half a unit of the last digit of a number that is rounded."""
        return 0.5 * 10.0 ** (floor(log10(abs(x))) - self.digits + 1) if x and isfinite(x) else 0.0

    def mark(self, answers: Sheet, forward: Sheet, ask: Iterable[Key] = ()) -> Report:
        """One sheet."""
        keys = self.keyed(answers, "answers")
        for key in ask:
            if self.nodes.find(key) not in keys:
                keys[self.nodes.find(key)] = key
        forward_keys = self.keyed(forward, "forward")
        if not keys and not forward_keys:
            raise ValueError("there is nothing to mark: answers and forward are empty; to have what is missing "
                             "counted, say with ask=[...] what was asked")
        for node, key in keys.items():
            if node.op is CONSTANT:
                raise ValueError(f"{spelled(key)} is a constant, which has no gradient here; if it is asked for, "
                                 "make it a Value before the forward pass")
        read = HandedIn(self, {node: answers.get(key) for node, key in keys.items()},
                      {node: forward.get(key) for node, key in forward_keys.items()})
        marked_forward = self.mark_forward(read.forward, forward_keys)
        wrong_forward = [node for node, answer in marked_forward.items() if answer.verdict in (WRONG, CARRIED)]
        marked = self.mark_backward(read.gradients, keys, read.forward if wrong_forward else {})
        in_order = *marked_forward.values(), *marked.values()
        first = next((answer for answer in in_order if answer.verdict == WRONG), None)
        return Report(self.nodes.subject, Answers((marked[node] for node in keys), self.nodes),
                      Answers((marked_forward[node] for node in forward_keys), self.nodes), first)

    def keyed(self, sheet: Sheet, where: str) -> dict[Value, Key]:
        """The keys of a sheet, by the nodes that they mean."""
        if not isinstance(sheet, Mapping):
            raise TypeError(f"{where} is a dict such as {{'w5': 0.0822}}, found {type(sheet).__name__} {sheet!r:.40}")
        keys: dict[Value, Key] = {}
        for key in sheet:
            node = self.nodes.find(key)
            if node in keys:
                raise ValueError(f"{spelled(keys[node])} and {spelled(key)} are the same node: one answer for each")
            keys[node] = key
        return keys

    def mark_forward(self, read: Mapping[Value, Handed], keys: Mapping[Value, Key]) -> dict[Value, Answer]:
        own = finite(read)
        numbers = [passes(self.graph, own, {}), self.right] if own else [self.right]
        noise = [passes(self.graph, {}, {}, rounded) for rounded in self.rounded] if own else []
        marked: dict[Value, Answer] = {}
        for node in sorted(read, key=self.book.place.__getitem__):
            ways = [Computation(self.book, node, own, one) for one in numbers]
            wrong = any(answer.verdict in (WRONG, CARRIED) for answer in marked.values())
            rough = max((abs(one.computed[node] - node.data) for one in noise), default=0.0)
            marked[node] = self.judge(read[node], keys[node], node, node.data, ways, [rough] * len(ways), wrong, {},
                                      self.forward_line(node), self.book.name(node))
        return marked

    def mark_backward(self, read: Mapping[Value, Handed], keys: Mapping[Value, Key],
                      forward: Mapping[Value, Handed]) -> dict[Value, Answer]:
        own, values = finite(read), finite(forward)
        numbers = [passes(self.graph, values, own)] + [passes(self.graph, {}, own)] * bool(values)
        numbers += [passes(self.graph, values, {})] * bool(values)
        depth = self.depths(own)
        seen: dict[tuple[Any, ...], Answer] = {}
        marked: dict[Value, Answer] = {}
        for node in sorted(read, key=lambda node: (depth[node], self.book.place[node])):
            ways = [Derivation(self.book, node, own, one, self.rates) for one in numbers]
            tops = [top for top in ways[0].tops if top in marked]
            wrong = bool(values) or any(marked[top].verdict in (WRONG, CARRIED) for top in tops)
            right = self.derivation(node, tuple(own))
            written = sum(abs(ways[0].down[top]) * read[top].unsure(self.tight) for top in tops)
            rough = [self.roughness(right, tuple(own)) * way.size + written for way in ways]
            marked[node] = self.judge(read[node], keys[node], node, self.graph.gradients[node], [*ways, right],
                                      [*rough, rough[0]], wrong, seen, self.line(right),
                                      partial(self.graph, self.graph.root, node))
        return marked

    def depths(self, answered: Iterable[Value]) -> dict[Value, int]:
        """How many named or answered nodes lie above each node on the longest way to the root."""
        depth = dict.fromkeys(self.graph.order, 0)
        counts = set(answered)
        for node in reversed(self.graph.order):
            below = depth[node] + (node in counts or self.book.is_named(node))
            for parent in node.parents:
                depth[parent] = max(depth[parent], below)
        return depth

    def derivation(self, node: Value, stops: tuple[Value, ...]) -> Derivation:
        """How the gradient of a node follows from those of the stops, in the right numbers."""
        key = node, stops
        if key not in self.derivations:
            self.derivations[key] = Derivation(self.book, node, dict.fromkeys(stops), self.right, self.rates)
        return self.derivations[key]

    def roughness(self, right: Derivation, stops: tuple[Value, ...]) -> float:
        """How far rounded forward values take the gradient from what the stops' gradients say, relative to its size."""
        if stops not in self.noise:
            fixed = {node: self.graph.gradients[node] for node in stops}
            trials = [passes(self.graph, {}, fixed, rounded).found for rounded in self.rounded]
            self.noise[stops] = {node: max((abs(found[node] - gradient) for found in trials), default=0.0)
                                 for node, gradient in self.graph.gradients.items()}
        off = self.noise[stops][right.x]
        return max(1.5 * off / right.size if right.size and isfinite(off) else 0.0, self.tight)

    # Verdicts

    def judge(self, given: Handed, key: Key, node: Value, expected: float, ways: Sequence[Derivation | Computation],
              rough: Sequence[float], wrong: bool, seen: dict[tuple[Any, ...], Answer], line: Formula,
              symbol: Formula) -> Answer:
        """The verdict on one answer. ways: how it follows from other answers, and from the right ones; wrong: whether
        some of those other answers are wrong."""
        verdict, note = self.verdict(given, expected), given.problem
        found: list[Candidate] = []
        x = given.value
        if verdict == WRONG and x is not None:
            if any(self.near(given, way.base, off) for way, off in zip(ways, rough)):
                verdict = CARRIED if wrong else CLOSE
            else:
                found = self.explanations(given, ways, rough)
                earlier = next((seen[one.key] for one in found if one.key in seen), None)
                if earlier is not None:
                    verdict, found = CARRIED, []
                    note = f"the same mistake as in {earlier.symbol}"
        mistakes = tuple(Mistake(one.kind, one.words) for one in found)
        error = None if x is None else relative(x, expected)
        answer = Answer(spelled(key), self.graph.names[node], symbol, given.given, x, expected, error, verdict,
                        mistakes, line, note, node)
        seen.update((one.key, answer) for one in found if one.kind != QUANTITY)
        return answer

    def verdict(self, given: Handed, expected: float) -> str:
        """The verdict on an answer by itself."""
        x = given.value
        if x is None:
            return EXACT if isnan(expected) and given.given is not None else UNREADABLE if given.problem else MISSING
        if x == expected or abs(x - expected) <= max(PRECISION * abs(expected), TINY) or (isnan(x) and isnan(expected)):
            return EXACT
        if not isfinite(x) or not isfinite(expected):
            return WRONG
        if abs(x - expected) <= self.loose * abs(expected) or given.rounds(expected, self.digits):
            return CLOSE
        return WRONG

    def near(self, given: Handed, target: float, rough: float) -> bool:
        """Whether an answer is a number that it may be off by rounding."""
        assert given.value is not None
        off = abs(given.value - target)
        return off <= rough + self.tight * abs(target) or given.rounds(target, self.digits)

    def explanations(self, given: Handed, ways: Sequence[Derivation | Computation], rough: Sequence[float],
                     ) -> list[Candidate]:
        """The mistakes that lead to this number, the most likely first."""
        x = given.value
        assert x is not None
        found: dict[Any, tuple[float, float, Candidate]] = {}
        for order, (way, off) in enumerate(zip(ways, rough)):
            if order and way.base == ways[0].base and way.numbers is ways[0].numbers:
                continue
            for one in way.candidates():
                miss = abs(x - one.value)
                if not miss <= max(off + self.tight * abs(one.value), given.half * (given.digits >= 3)):
                    continue
                exactly = miss <= given.unsure(self.tight) * 1.01 + PRECISION * abs(x)
                score = one.rank + 0.3 * order + (0.0 if exactly else 0.7)
                same = REVERSED if one.kind == REVERSED else one.words  # the sign of one product, wherever it turned
                if same not in found or score < found[same][0]:
                    found[same] = score, miss, one
        best = sorted(found.values(), key=lambda entry: entry[:2])
        values = [one.value for _, _, one in best if not one.whole]
        best = [entry for entry in best if not (entry[2].whole and any(map(entry[2].same, values)))]
        likely = [one for score, _, one in best if score <= best[0][0] + NEAR]
        if len({one.kind for one in likely}) > (1 if x == 0 else EXPLANATIONS):  # so many that none is likely
            return []
        return likely[:EXPLANATIONS]

    # Right lines

    def line(self, right: Derivation) -> Formula:
        """The right step to a gradient, symbols = numbers = result: ∂C/∂w⁴ = δ⁴ · a³ = 0.1385 · 0.5933 = 0.08217."""
        x, book = right.x, self.book
        key = x, *right.tops
        if key in self.lines:
            return self.lines[key]
        symbol = partial(self.graph, self.graph.root, x)
        delta = book.gradient(x)
        steps = [symbol] if delta == symbol else [symbol, delta]
        pieces = self.pieces(right)
        if not pieces or sum(term.size for _, term in pieces) > WIDEST:
            labelled = {node: None for node in self.graph.order if node.parents and book.is_named(node)}
            pieces = self.pieces(Derivation(book, x, labelled, self.right, self.rates))
        if pieces:
            steps += [self.sum_of_products(pieces, numbers) for numbers in (False, True)]
        self.lines[key] = equation([*steps, number_of(self.graph.gradients[x])])
        return self.lines[key]

    def pieces(self, right: Derivation) -> list[tuple[Value, Term]]:
        return [(top, link.formula) for top in right.tops for link in right.factors(top, {right.x: None})]

    def sum_of_products(self, pieces: list[tuple[Value, Term]], numbers: bool) -> Formula:
        """∂C/∂a · formula + ..., or the same in numbers."""
        def write(notation: Notation) -> Written:
            result = None
            for top, term in pieces:
                factors = [] if term == ONE and top is not self.graph.root else [written(term, notation, numbers)]
                if top is not self.graph.root:
                    upstream = self.graph.gradients[top]
                    name = number_of(upstream) if numbers else self.book.gradient(top)
                    text = name.latex if notation is LATEX else str(name)
                    factors.insert(0, Written(text, "sum" if numbers and upstream < 0 else "atom"))
                product = chained(factors, notation)
                result = product if result is None else apply(ops.add, [result, product], notation)
            assert result is not None
            return result
        return both(write)

    def forward_line(self, node: Value) -> Formula:
        """The right step to a forward value."""
        if not node.parents:
            return equation([self.book.name(node), number_of(node.data)])
        term = combine(node.op, self.book.terms.of_parents(node))
        return equation([self.book.name(node), formula_of(term), formula_of(term, numbers=True), number_of(node.data)])


def equation(sides: Iterable[Formula]) -> Formula:
    """a = b = c; equal neighbours once."""
    kept: list[Formula] = []
    for side in sides:
        if not kept or side != kept[-1]:
            kept.append(side)
    return Formula(" = ".join(kept), " = ".join(side.latex for side in kept))


def relative(x: float, expected: float) -> float:
    """The error relative to the right number; inf if that is 0."""
    if x == expected or (isnan(x) and isnan(expected)):
        return 0.0
    return abs(x - expected) / abs(expected) if expected and isfinite(expected) else nan if isnan(x) else inf


def spelled(key: Key) -> str:
    return key if isinstance(key, str) else key.label or repr(key)


class HandedIn:
    """What one student handed in, read: expressions become numbers.

    In an expression a label stands for the right forward value, and δ⁴ or ∂C/∂a⁴ for the student's own answer, or for
    the right gradient where there is none.
    """

    def __init__(self, marker: Marker, gradients: Mapping[Value, Given], forward: Mapping[Value, Given]) -> None:
        self.marker, self.graph, self.nodes = marker, marker.graph, marker.nodes
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
                    reference = self.parse(read)
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
                    own[node] = Handed(text, self.evaluate(reference))
                except ExpressionError as error:
                    own[node] = Handed(text, problem=str(error))

    def parse(self, text: str) -> Reference:
        """Read an expression, ∂C/∂a⁴ and the like included: each stands behind a name as long as itself."""
        gradients, slopes = dict(self.nodes.deltas), {}
        plain, names = text, self.nodes.names
        for number, match in enumerate(DERIVATIVE.finditer(text)):
            above, below = (self.node_or_none(word) for word in match.groups())
            if above is None or below is None:
                continue
            stand_in = chr(0x4E00 + number) * len(match[0])
            plain = plain[:match.start()] + stand_in + plain[match.end():]
            if above is self.graph.root:
                gradients[stand_in] = below
            else:
                slopes[stand_in] = passes_from(self.graph, above, below)
        if plain != text:
            names = Names([*self.nodes.by_name, *gradients, *slopes])
        try:
            expression = parse(plain, names)
        except ExpressionError as error:
            raise ExpressionError(text, error.place, error.message) from None
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


def place_of(name: str, expression: Expression) -> int:
    return next(step.place for step in expression.program if isinstance(step, Name) and step.name == name)


def passes_from(graph: Graph, y: Value, x: Value) -> float:
    """∂y/∂x, for any two nodes of a graph."""
    slopes = dict.fromkeys(graph.order, 0.0)
    slopes[y] = 1.0
    for node in reversed(graph.order):
        for parent, local in zip(node.parents, node.local_derivatives):
            slopes[parent] += local * slopes[node]
    return slopes[x]


def grade(root: Value, answers: Sheet, forward: Sheet | None = None, *, ask: Iterable[Key] = (),
          lr: float | None = None, digits: int = 4) -> Report:
    """Mark a derivation that was done by hand: the gradients of root, and the forward values if they are given.

    answers: {label or Value: answer}. A key is a label however people spell it (w5, w_5, w⁵), or dC/dw5, ∂C/∂w5; δ4 is
    the gradient of z^{4}. An answer is a number, as text if zeros at its end shall count as digits ("0.0820"; a
    decimal comma will do), or an expression: "(a4 - y) * a4 * (1 - a4)", "δ4 * a3". In it a label is the right forward
    value; δ4 or ∂C/∂a4 is the student's own answer, or the right gradient where there is none. None and "" are missing.
    forward: the same for forward values. ask: what was asked; what `answers` lacks of it counts as missing.
    lr: the learning rate of the exercise, to tell an updated weight from an old one; without it a few usual ones are
    tried. digits: the significant digits, 2 to 12, that students may round intermediate results to.

    An answer is close if it is within 50 units of the last of these digits (0.5 % for 4 digits), if it is rounded right
    to two digits or more and at most 2 % off, or to `digits` decimals, or if it follows, rounded, from other answers.
    Raises ValueError for a label that is not in the graph, TypeError for what is no number or expression. An expression
    that cannot be read gets the verdict "unreadable".
    """
    marker = Marker(look(root, "grade(root, answers)"), digits, lr)
    return marker.mark(answers, {} if forward is None else forward, ask)


# A class

def grade_class(root: Value, sheets: Any, *, lr: float | None = None, digits: int = 4) -> ClassReport:
    """Mark the sheets of a class, all on the same graph.

    sheets: {student: answers}, or the path of a CSV file, see `read_sheets`. A key "forward a4" of the answers is the
    forward value of a4. What one student has answered, all were asked. For the rest see `grade`.
    """
    graph = look(root, "grade_class(root, sheets)")
    if isinstance(sheets, (str, os.PathLike)):
        sheets = read_sheets(sheets)
    if not isinstance(sheets, Mapping) or not sheets:
        raise TypeError("sheets is the path of a CSV file, or a dict {student: answers} of one student at least, found "
                        f"{type(sheets).__name__} {sheets!r:.40}")
    marker = Marker(graph, digits, lr)
    asked: dict[tuple[bool, Value], Key] = {}
    for student, sheet in sheets.items():
        if not isinstance(sheet, Mapping):
            raise TypeError(f"the answers of {student!r} are a dict, found {type(sheet).__name__} {sheet!r:.40}")
        for key in sheet:
            is_forward, plain = forward_key(key)
            asked.setdefault((is_forward, marker.nodes.find(plain)), plain)
    reports = {}
    for student, sheet in sheets.items():
        parts: tuple[dict[Key, Given], dict[Key, Given]] = {}, {}
        for key, given in sheet.items():
            is_forward, plain = forward_key(key)
            parts[is_forward][plain] = given
        present = [{marker.nodes.find(key) for key in part} for part in parts]
        for (is_forward, node), key in asked.items():
            if node not in present[is_forward]:
                parts[is_forward][key] = None
        reports[str(student)] = marker.mark(*parts)
    return ClassReport(reports)


def forward_key(key: Key) -> tuple[bool, Key]:
    """Whether a key asks for a forward value, and of what: "forward a4"."""
    if isinstance(key, str) and key.strip().lower().startswith("forward "):
        return True, key.strip()[len("forward "):].strip()
    return False, key


LONG = ({"label", "question", "derivative", "gradient", "node"}, {"answer", "value", "given"})


def read_sheets(path: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Read the answer sheets of a class from a CSV file: {student: {label: answer}}.

    A row for each student: the name in the first column, an answer in each other column, whose heading is the label
    (w5, dC/dw5; "forward a4" for a forward value). Or a row for each answer, under the headings student, label, answer;
    without the first of these the file is one sheet. A label with a comma, w^{2}_{1,1}, stands in quotes. Commas,
    semicolons or tabs separate columns; numbers may have a decimal comma, in quotes where commas separate.
    Raises ValueError, with the line, for any other file; OSError for one that cannot be read.
    """
    where = os.fspath(path)
    content = Path(path).read_bytes()
    try:
        text = content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    first = re.sub('"[^"]*"', "", text.lstrip().split("\n", 1)[0])
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows += ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells)))
    except csv.Error as error:
        raise ValueError(f"{where}, after line {rows[-1][0] if rows else 0}: {error}; is a quotation mark left "
                         "open?") from None
    if len(rows) < 2:
        raise ValueError(f"{where} has no answers: the first line names the columns, each other one is a sheet")
    header = rows[0][1]
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
    if len(header) in (2, 3) and lower[-2] in LONG[0] and lower[-1] in LONG[1]:
        for line, cells in rows[1:]:
            *student, label, answer = [*cells, "", ""][:len(header)]
            sheet = sheets.setdefault(student[0] if student else Path(path).stem, {})
            if label in sheet:
                raise ValueError(f"{where}, line {line}: a second answer for {label!r}")
            sheet[label] = answer
        return sheets
    for _, cells in rows[1:]:
        name, number = cells[0] or "(no name)", 1
        while name in sheets:  # two students of one name
            number += 1
            name = f"{cells[0] or '(no name)'} ({number})"
        sheets[name] = dict(zip(header[1:], [*cells[1:], *[""] * len(header)]))
    return sheets
