"""Reports: the results of `grade` and `grade_class` as data, from which `page` makes text, HTML and CSV."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import nan
from typing import Any

from ..data.delimited import harmless
from ..engine import Value
from ..files import File, write_whole
from ..formulas.formula import Formula, number_of
from ..formulas.labels import cut, printable, unicode_label
from ..page import BLUE, GREEN, GREY, RED, YELLOW, Block, Entry, Grid, GridRow, Page, Remark, Summary
from .sheets import Given, Key, Nodes

EXACT, CLOSE, CARRIED, WRONG, SPECIAL, FROM_ZERO, COARSE, MISSING, UNREADABLE, NOT_JUDGED = VERDICTS = (
    "exact", "close", "carried", "wrong", "right for these numbers only", "follows from 0", "too coarse", "missing",
    "unreadable", "not judged")
RIGHT = (EXACT, CLOSE, CARRIED)
SEVERAL = {FROM_ZERO: "follow from 0"}  # the plural of a verdict, where it differs
# The verbs that sentences about mistakes begin with:
PAST = {"count": "counted", "divide": "divided", "forget": "forgot", "give": "gave", "keep": "kept", "leave": "left",
        "multiply": "multiplied", "subtract": "subtracted", "take": "took", "turn": "turned", "use": "used"}


@dataclass(frozen=True, slots=True, repr=False)
class Mistake(Entry):
    """A mistake that would explain an answer.

    Attributes:
        kind: one of a few, to be counted.
        sentence: what was done, in words.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> answer = micrograd.grade(w * x, {"x": -0.5}).first_wrong
        >>> answer.mistakes[0].kind
        'wrong sign'
    """

    kind: str
    sentence: str

    @property
    def done(self) -> str:
        """The mistake in the past tense, for a table, without the reason why it is wrong: "left out the upstream
        gradient δ⁴"."""
        verb, _, rest = re.split(": |; ", self.sentence, maxsplit=1)[0].partition(" ")
        return f"{PAST[verb]} {rest}"

    def _blocks(self) -> tuple[Block, ...]:
        return (self.sentence,)


@dataclass(frozen=True, slots=True, repr=False)
class Answer(Entry):
    """One answer, marked.

    Attributes:
        label: as the key was spelled.
        name: of the node, as in the graph.
        forward: whether it is a forward value.
        symbol: ∂C/∂z⁴, or z⁴ for a forward value.
        called: the same, but δ⁴ where the key is one.
        given: what was handed in.
        value: its number, or None.
        expected: the right number.
        error: relative, None without a number.
        verdict: "exact"; "close" (rounded); "carried" (right, given earlier answers that are wrong); "wrong"; "right
            for these numbers only", a formula that is wrong for others; "follows from 0", for what would be 0 whatever
            had been answered before; "too coarse", where the digits that are written do not tell right from wrong;
            "missing"; "unreadable"; "not judged", whatever the answer, where the right number is nan: there is no right
            answer, and the note says why.
        mistakes: the mistakes that lead to this number, the most likely first.
        line: the right step, symbols = numbers = result.
        note: anything else, such as why an expression cannot be read.
        meant: "forward z4", if the answer is not the gradient but the value of z4; else "".
        node: the node itself.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> answer = micrograd.grade(w * x, {"w": "2x"}).answers["w"]
        >>> answer.value, answer.expected, answer.verdict
        (4.0, 2.0, 'wrong')
    """

    label: str
    name: str
    forward: bool
    symbol: Formula
    called: Formula
    given: str | float | None
    value: float | None
    expected: float
    error: float | None
    verdict: str
    mistakes: tuple[Mistake, ...]
    line: Formula
    note: str
    meant: str
    node: Value = field(compare=False)

    @property
    def heading(self) -> str:
        """The heading of a column for it: the label, after "forward" for a forward value."""
        return f"forward {self.label}" if self.forward else self.label

    @property
    def mistake(self) -> str:
        """The likely mistake in a sentence, or the likely ones; "" if none is known."""
        if not self.mistakes:
            return ""
        first, *others = (mistake.sentence for mistake in self.mistakes)
        return f"your {self.called} equals what you get if you {first}" + "".join(f"; or if you {o}" for o in others)

    @property
    def right(self) -> bool:
        """True if it earns its mark: exact, close or carried."""
        return self.verdict in RIGHT

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The likely mistake, the note, and the right step, as far as there are any."""
        right: list[Remark] = [("right: ", self.line)] if self.verdict in (WRONG, SPECIAL) else []
        return *filter(None, (self.mistake, self.note)), *right

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; of the right step also the LaTeX."""
        return Entry.to_dict(self) | {"line": self.line.to_dict()}

    def _blocks(self) -> tuple[Block, ...]:
        return (f"{self.called}: {self.verdict}, found {shown(self.given)}, expected {shown_right(self)}"
                f"{self.mistake and '; '}{self.mistake}",)


class Answers(Mapping[Key, Answer]):
    """The marked answers, in the order in which they were given; looked up by label, in any spelling, or Value."""

    def __init__(self, answers: Iterable[Answer], nodes: Nodes) -> None:
        self.all = {answer.node: answer for answer in answers}
        self.nodes = nodes

    def __getitem__(self, key: Key) -> Answer:
        by_label = next((answer for answer in self.all.values() if answer.label == key), None)
        found = by_label or self.all.get(self.nodes.find(key))
        if found is None:
            raise KeyError(f"{key!r} was not answered, only {', '.join(a.label for a in self.all.values())}")
        return found

    def __iter__(self) -> Iterator[str]:
        return (answer.label for answer in self.all.values())

    def __len__(self) -> int:
        return len(self.all)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{answer.label!r}: {answer!r}" for answer in self.all.values()) + "}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Report(Page):
    """A marked sheet. Print it, show it in a notebook, or `.save("marks.html")` it.

    Attributes:
        subject: the name of what was differentiated.
        answers: the gradients, each an `Answer`, by label or Value.
        forward: the forward values, in the same way.
        first_wrong: the first in the order in which they are worked out: forward, then backward; where none is wrong,
            the first that is right for these numbers only; None if all are right.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> micrograd.grade(w * x, {"w": 2.0, "x": 0.4}).summary
        '1 of 2 right: 1 exact, 1 wrong'
    """

    subject: str
    answers: Answers
    forward: Answers
    first_wrong: Answer | None

    @property
    def all(self) -> tuple[Answer, ...]:
        """The forward values, then the gradients."""
        return *self.forward.values(), *self.answers.values()

    @property
    def right(self) -> int:
        """The number of answers that are exact, close or carried."""
        return sum(answer.right for answer in self.all)

    @property
    def total(self) -> int:
        """The number of answers, without those that are not judged."""
        return sum(answer.verdict != NOT_JUDGED for answer in self.all)

    @property
    def score(self) -> float:
        """right / total; nan where nothing is judged."""
        return self.right / self.total if self.total else nan

    @property
    def summary(self) -> str:
        """One line: how many are right, and how many of each verdict."""
        count = Counter(answer.verdict for answer in self.all)
        hint = {CARRIED: " (right, given the earlier answers)"}
        return f"{self.right} of {self.total} right: " + ", ".join(
            f"{counted(count[verdict], verdict)}{hint.get(verdict, '')}" for verdict in VERDICTS if count[verdict])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"subject": self.subject, "right": self.right, "total": self.total,
                "answers": [answer.to_dict() for answer in self.answers.values()],
                "forward": [answer.to_dict() for answer in self.forward.values()],
                "first_wrong": self.first_wrong and self.first_wrong.heading}

    def table(self) -> list[tuple[str, ...]]:
        """The report as text, cell by cell, the heading first."""
        return [("", "yours", "right", "verdict", "error"), *(
            (answer.called, shown(answer.given), shown_right(answer), answer.verdict, shown_error(answer))
            for answer in self.all)]

    def _title(self) -> str:
        return f"Marks: {self.subject}"

    def _blocks(self) -> tuple[Block, ...]:
        head, *rows = self.table()
        marked = [GridRow(row, answer.remarks, "The first mistake" if answer is self.first_wrong else "")
                  for row, answer in zip(rows, self.all)]
        return Grid(head, marked, badge=3, looks=LOOKS), "", Summary(self.summary)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        yield "question", "yours", "right", "verdict", "error", "mistake"
        for answer in self.all:
            yield (answer.heading, answer.given if answer.value is None else answer.value, answer.expected,
                   answer.verdict, answer.error, answer.mistake)


@dataclass(frozen=True, slots=True, repr=False)
class Question(Entry):
    """The results of a class on one question.

    Attributes:
        label, forward, symbol, called: see `Answer`.
        verdicts: how many sheets have each verdict.
        mistakes: each with how often it was made, the most common first.
        note: what is odd about the answers of the class; mostly "".

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> report = micrograd.grade_class(w * x, {"Ada": {"x": 0.5}, "Max": {"x": 0.4}})
        >>> report.questions[0].verdicts
        {'exact': 1, 'wrong': 1}
    """

    label: str
    forward: bool
    symbol: Formula
    called: Formula
    verdicts: dict[str, int]
    mistakes: tuple[tuple[str, int], ...]
    note: str

    _data = ("label", "forward", "symbol", "called", "right", "verdicts", "mistakes", "note")

    @property
    def right(self) -> int:
        """The number of answers that are exact, close or carried."""
        return sum(self.verdicts.get(verdict, 0) for verdict in RIGHT)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return Entry.to_dict(self) | {"mistakes": dict(self.mistakes)}

    def _blocks(self) -> tuple[Block, ...]:
        counts = [*(counted(n, verdict) for verdict, n in self.verdicts.items()),
                  *(f"{kind} ({n}×)" for kind, n in self.mistakes)]
        return (f"{self.called}: {', '.join(counts)}",)


def question_of(answers: Sequence[Answer]) -> Question:
    """A question with the answers of a class."""
    first = answers[0]
    mistakes = Counter(answer.mistakes[0].kind for answer in answers if answer.mistakes and answer.verdict == WRONG)
    values = sum(bool(answer.meant) for answer in answers)
    note = ""
    if 2 * values > sum(answer.value is not None for answer in answers):
        meant = next(answer.meant for answer in answers if answer.meant)
        note = (f"{first.called}: {values} of {len(answers)} answers are values of {unicode_label(first.name)}, not "
                f"gradients. If that is what was asked for, head the column {meant!r}.")
    return Question(first.label, first.forward, first.symbol, first.called,
                    dict(Counter(answer.verdict for answer in answers)), tuple(mistakes.most_common()), note)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ClassReport(Page):
    """The marked sheets of a class. Print it, show it in a notebook, or `.save("marks.csv")` it.

    Attributes:
        students: by name, each a `Report`.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> report = micrograd.grade_class(w * x, {"Ada": {"w": 2, "x": 0.5}, "Max": {"w": 2, "x": 0.4}})
        >>> [question.right for question in report.questions]
        [2, 1]
    """

    students: dict[str, Report]

    _data = ("students", "questions")

    def __getitem__(self, student: str) -> Report:
        return self.students[student]

    def __len__(self) -> int:
        return len(self.students)

    @property
    def questions(self) -> tuple[Question, ...]:
        """The results on each question. A mistake is counted where it was made, not where it was carried."""
        return tuple(question_of(answers) for answers in self.asked.values())

    @property
    def asked(self) -> dict[tuple[bool, Value], list[Answer]]:
        """The answers to each question."""
        asked: dict[tuple[bool, Value], list[Answer]] = {}
        for report in self.students.values():
            for answer in report.all:
                asked.setdefault((answer.forward, answer.node), []).append(answer)
        return asked

    @property
    def rows(self) -> Iterator[tuple[str, Report, list[Answer]]]:
        """The students, each with the answers in the order of the questions."""
        asked = [*self.asked]
        for name, report in self.students.items():
            answers = {(answer.forward, answer.node): answer for answer in report.all}
            yield name, report, [answers[question] for question in asked]

    def tables(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """The students and the questions as text, cell by cell, headings first."""
        students: list[tuple[str, ...]] = [("student", "right", "answers", "first mistake")]
        for name, report, answers in self.rows:
            first = report.first_wrong
            what = "" if first is None else first.mistakes[0].done if first.mistakes else (
                first.verdict if first.verdict != WRONG else "")
            students.append((printable(name), f"{report.right}/{report.total}",
                             "".join(MARK[answer.verdict] for answer in answers),
                             f"{first.called}{what and f': {what}'}" if first else ""))
        columns = {**COLUMNS, **{MARK[verdict]: (verdict,) for verdict in self.rare}}
        questions: list[tuple[str, ...]] = [("question", *columns, "most common mistake")]
        for question in self.questions:
            most = "; ".join(f"{kind} ({n}×)" for kind, n in question.mistakes[:2])
            counts = (sum(question.verdicts.get(verdict, 0) for verdict in column) for column in columns.values())
            questions.append((question.called, *map(str, counts), most))
        return students, questions

    @property
    def rare(self) -> tuple[str, ...]:
        """Those of the rarer verdicts that occur."""
        return tuple(verdict for verdict in RARE if any(verdict in question.verdicts for question in self.questions))

    @property
    def legend(self) -> str:
        """The meaning of the marks."""
        return "; ".join([LEGEND, *(RARE[verdict] for verdict in self.rare)])

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on questions with odd answers; mostly none."""
        return tuple(question.note for question in self.questions if question.note)

    def _title(self) -> str:
        return "Marks"

    def _blocks(self) -> Iterator[Block]:
        for note in self.notes:
            yield Summary(note)
            yield ""
        (head, *students), (titles, *questions) = self.tables()
        yield Grid(head, [*map(GridRow, students)], below="First mistake, ")
        yield from ("", self.legend, "")
        yield Grid(titles, [*map(GridRow, questions)], below="Most common: ")

    def _sections(self) -> list[str]:
        return [self.html, *(f"<h2>{escape(name)}</h2>{report.html}" for name, report in self.students.items())]

    def to_csv(self, path: File) -> None:
        """Write a table: a row for each student with the marks, the verdict on each answer, and the first mistake.

        The columns of verdicts are called as the questions were, those of forward values "forward z". What a
        spreadsheet would compute, such as a student called =1+1, has a ' in front (see `write_delimited`).

        Args:
            path: of the file; or a stream of bytes.
        """
        write_whole(path, self.csv.encode())

    def table(self) -> list[tuple[Any, ...]]:
        """The table of `to_csv`, the heading first."""
        asked = [answers[0].heading for answers in self.asked.values()]
        rows: list[tuple[Any, ...]] = [("student", "right", "total", *asked, "first mistake", "which")]
        for name, report, answers in self.rows:
            first = report.first_wrong
            rows.append((harmless(name), report.right, report.total, *(answer.verdict for answer in answers),
                         first.heading if first else "",
                         (first.mistake or first.note.split("\n")[0]) if first else ""))
        return rows

    _rows = table


# Reports as text and HTML

def counted(n: int, verdict: str) -> str:
    """The number of answers with a verdict, in words: 3 wrong, 1 follows from 0, 2 follow from 0."""
    return f"{n} {SEVERAL.get(verdict, verdict) if n > 1 else verdict}"


def shown(given: Given) -> str:
    """An answer as it was written, not too much of it."""
    text = "–" if given is None else given if isinstance(given, str) else repr(given)
    text = printable(text).replace("-", "−")  # as all numbers in reports
    if isinstance(given, float):
        text = repr(given + 0.0).removesuffix(".0").replace("-", "−") if len(text) <= 10 else number_of(given, 6)
    return cut(text, 32)


def shown_right(answer: Answer) -> str:
    """The right number, or "none"."""
    return "none" if answer.verdict == NOT_JUDGED else number_of(answer.expected)


def shown_error(answer: Answer) -> str:
    """The relative error, in percent; nothing where it says nothing."""
    error = answer.error
    if error is None or answer.verdict in (EXACT, SPECIAL) or not 0 < error < 100:
        return ""
    return f"{100 * error:.0f} %" if error > 0.1 else f"{100 * error:.2g} %"


LOOKS = {EXACT: (GREEN, "✓"), CLOSE: (GREEN, "✓"), CARRIED: (BLUE, "↓"), WRONG: (RED, "✗"), SPECIAL: (YELLOW, "!"),
         FROM_ZERO: (YELLOW, "0"), COARSE: (YELLOW, "~"), MISSING: (GREY, "·"), UNREADABLE: (YELLOW, "?"),
         NOT_JUDGED: (GREY, "–")}
MARK = {verdict: mark for verdict, (_, mark) in LOOKS.items()}
LEGEND = "✓ exact or close, ↓ carried, ✗ wrong, · missing, ? unreadable; ✓ and ↓ count as right"
RARE = {SPECIAL: "! right for these numbers only", FROM_ZERO: "0 follows from 0", COARSE: "~ too coarse to judge",
        NOT_JUDGED: "– no right answer"}  # what is explained, and has a column, where it occurs
COLUMNS = {"exact or close": (EXACT, CLOSE), "carried": (CARRIED,), "wrong": (WRONG,),
           "missing or unreadable": (MISSING, UNREADABLE)}
