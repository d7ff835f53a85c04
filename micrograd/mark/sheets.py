"""The answer sheets of a class, from a CSV file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..data.delimited import Row, read_delimited
from ..engine import Value
from ..files import File, read_whole
from ..formulas.expression import ExpressionError
from ..formulas.labels import is_invisible
from ..formulas.parse import parse
from .answer import numeral, tidied
from .given import Submitted, submitted
from .keys import DERIVATIVE, Nodes, NotUnderstood, listed, quoted

LONG = ({"label", "question", "derivative", "gradient", "node"}, {"answer", "value", "given"})
STUDENT = "student"


def read_sheets(path: File, nodes: Nodes) -> dict[str, dict[str, str]]:
    """Read the answer sheets of a class from a CSV file, or a stream of its bytes: {student: {label: answer}}.

    A row for each student: the name in the first column, an answer in each other column, whose heading is the label
    (w5, dC/dw5; "forward a4" for a forward value). Or a row for each answer, under the headings student, label, answer;
    without the first of these the file is one sheet. A label with a comma, w^{2}_{1,1}, stands in quotes, as does a
    number with a decimal comma, where commas separate columns: see `read_delimited` for what else may. If the first
    heading is a label, there are no names, and the students are row 1, row 2, ...
    Raises ValueError for labels that `nodes` do not understand, all of them, each with its column or its lines; for any
    other file that is none, with the line; OSError for one that cannot be read.
    """
    where, content = read_whole(path)
    rows = [row for row in read_delimited(content, where).rows if any(row.cells)]
    if len(rows) < 2:
        raise ValueError(f"{where} has no answers: the first line names the columns, each other one is a sheet")
    header = [on_one_row(cell) for cell in rows[0].cells]
    while header and not header[-1]:
        header.pop()
    for line, cells in rows[1:]:
        if any(cells[len(header):]):
            raise ValueError(f"{where}, line {line}: {len(cells)} fields, where the header has {len(header)}; a number "
                             "with a decimal comma, or a label with a comma, belongs in quotes")
    lower = [name.lower() for name in header]
    if len(header) in (2, 3) and lower[-2] in LONG[0] and lower[-1] in LONG[1]:
        return sheets_by_answer(rows[1:], len(header), nodes, where)
    objection = nodes.objection(header[0])
    if len(header) == 1 and objection:
        raise ValueError(f"{where}: found one column, {quoted(header[0])}; separate columns with , or ; or tabs, or "
                         "head it with a label")
    unnamed = objection is None or not objection.stray  # what is nearly a label is refused with the others
    check_first_column(header[0], [cells[0] for _, cells in rows[1:] if cells[0]], objection, nodes, where)
    labels = header if unnamed else header[1:]
    columns = {name: f"column {column}" for column, name in enumerate(labels, 1 + len(header) - len(labels))}
    for name, times in Counter(labels).items():
        if times > 1 or not name:
            raise ValueError(f"{where} has {times} columns called {name!r}" if name else
                             f"{where}: {columns[name]} has no heading; it names a label")
    questions = nodes.questions(columns.items(), where=where)
    asked: dict[tuple[bool, Value], str] = {}
    for name, column in columns.items():
        other = asked.setdefault(questions[name][1:], name)
        if other != name:
            raise ValueError(f"{where}: {columns[other]}, {quoted(other)}, and {column}, {quoted(name)}, are the same "
                             "node: one column for each")
    sheets: dict[str, dict[str, str]] = {}
    for row, (_, cells) in enumerate(rows[1:], 1):
        answers = dict(zip(labels, [*(cells if unnamed else cells[1:]), *[""] * len(header)]))
        first = f"row {row}" if unnamed else cells[0] or "(no name)"
        name, number = first, 1
        while name in sheets:  # two students of one name
            number += 1
            name = f"{first} ({number})"
        sheets[name] = answers
    return sheets


def sheets_by_answer(rows: Iterable[Row], width: int, nodes: Nodes, where: str) -> dict[str, dict[str, str]]:
    """The sheets of a file that has a row for each answer."""
    sheets: dict[str, dict[str, str]] = {}
    lines: dict[str, list[str]] = {}
    for line, cells in rows:
        *student, label, answer = [*cells, "", ""][:width]
        label, sheet = on_one_row(label), sheets.setdefault(student[0] if student else Path(where).stem, {})
        if label in sheet:
            raise ValueError(f"{where}, line {line}: a second answer for {quoted(label)}")
        sheet[label] = answer
        lines.setdefault(label, []).append(str(line))
    nodes.questions(((label, f"line{'s' * (len(found) > 1)} {listed(found)}") for label, found in lines.items()),
                    where=where)
    return sheets


def on_one_row(cell: str) -> str:
    """A cell without line breaks, other white space and signs that are not seen."""
    return " ".join("".join(sign for sign in cell if not is_invisible(sign)).split())


def check_first_column(heading: str, column: list[str], objection: NotUnderstood | None, nodes: Nodes,
                       where: str) -> None:
    """A ValueError where its heading says that the first column has answers, and its cells that it has names, or the
    other way round."""
    first = f"{where}: the first column, {quoted(heading)},"
    remedy = f"head it {STUDENT!r} if it says whose answers these are"
    if objection is None and column and not any(can_read(cell, nodes) for cell in column):
        raise ValueError(f"{first} has the name of a node, but what is in it, such as {quoted(column[0])}, is "
                         f"not an answer; {remedy}")
    if objection is None and len(column) > 2 and column == [str(row) for row in range(1, len(column) + 1)]:
        raise ValueError(f"{first} has the name of a node, but counts the rows; {remedy}, else add a column of names")
    numbers = {cell: numeral(tidied(cell)) for cell in column}
    answers = [cell for cell, x in numbers.items() if x and (x.value < 0 or x.value % 1)]  # no numbers of students
    if objection and objection.stray and heading.lower() != STUDENT and answers and all(numbers.values()):
        raise ValueError(f"{first} has numbers such as {quoted(answers[0])}, and no node is called that; {remedy}; "
                         f"{nodes.remedy(True)}")


def can_read(answer: str, nodes: Nodes) -> bool:
    """True if text can be an answer: a number, an expression in these names, or a sign that there is none."""
    try:
        read = submitted(answer, "")
        return isinstance(read, Submitted) or all(numeral(side) or DERIVATIVE.search(side)
                                               or parse(side, nodes.names, loosely=True) for side in read)
    except ExpressionError:
        return False
