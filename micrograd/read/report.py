"""Reports: what `grade` and `grade_class` found, as data, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

import csv
import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..engine import Value
from .formula import printable
from .sheets import Given, Key, Nodes
from .terms import Formula, number_of

EXACT, CLOSE, CARRIED, WRONG, MISSING, UNREADABLE = "exact", "close", "carried", "wrong", "missing", "unreadable"
VERDICTS = (EXACT, CLOSE, CARRIED, WRONG, MISSING, UNREADABLE)
RIGHT = (EXACT, CLOSE, CARRIED)
WIDTH = 100  # columns of a terminal


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
