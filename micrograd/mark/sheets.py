"""Answer sheets: what a label, or the heading of a column, asks for; the sheets of a class, from a CSV file.

A key means what it says, or is refused, with what is left over in it and what may be meant. This module does not know
whether an answer is right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import Any, NamedTuple, Union
from unicodedata import name as name_of_character

from ..data.delimited import Row, read_delimited
from ..engine import Value
from ..files import File, read_whole
from ..formulas.boxes import GREEK_LETTERS
from ..formulas.deltas import missing
from ..formulas.expression import ExpressionError
from ..formulas.formula import Formula, partial
from ..formulas.labels import OPERATOR, Names, cut, in_usual_signs, is_invisible, is_word, on_one_line
from ..formulas.parse import parse
from ..ops import CONSTANT
from .answer import Submitted, numeral, submitted, tidied
from .mistakes import Context

LISTED = 12         # names that an error lists, and keys
SHOWN = 40          # characters of a key that an error quotes

Key = Union[str, Value]
Given = Any  # a number, an expression, or nothing
Sheet = Mapping[Key, Given]

WORD = r"[^\W\d](?:[\^_]\{[^{}]*\}|\^[^\W_]+|\w|,(?=[₀-₉ᵢⱼₖₗₙ]))*"
DERIVATIVE = re.compile(rf"(?<![^\W\d])(?:∂|d|\\partial\s*)({WORD})\s*/\s*(?:∂|d|\\partial\s*)({WORD})")
QUOTIENT = re.compile(r"[\s{]*[∂d](.+?)/[\s{]*[∂d](.+)", re.DOTALL)  # a whole key
FRACTION = re.compile(r"\\[dt]?frac\s*\{(.+?)\}\s*\{(.+)\}", re.DOTALL)
FORWARD = re.compile(r"forward\s+(\S.*)", re.IGNORECASE | re.DOTALL)
QUOTES = ("$$", '""', "''", "``", "“”", "„“", "‘’", "«»")
PROMPT = " =:"      # at the end of "dC/dw5 = ", where the answer is to be written
LATEX = {r"\\(?:[,;:! ]|displaystyle\b)": " ", r"\\(?:mathrm|mathit|text)\s*\{([^{}]*)\}": r"\1", r"\\(?=[_{}])": "",
         r"\\partial": "∂", r"^\s*\\[(\[](.*)\\[)\]]\s*$": r"\1"}
UPDATED = re.compile(r"\^?\+|'|new|neu")  # after the name of a weight
PART = re.compile(r"(?:(?:q|question|part|problem|task|exercise|response|answer|item)?[\s.]*[(\[]?[0-9]{1,3}\s*[a-z]?"
                  r"|[(\[](?:[a-z]|[ivx]+)|(?:[a-z]|[ivx]+)(?=[)\].:]))[)\].:]*", re.IGNORECASE)  # of a question


class NotUnderstood(ValueError):
    """A key that asks for nothing here. why: the message, without the names that there are; stray: whether nothing
    here is like it, so that it may be no key at all."""

    def __init__(self, why: str, names: str = "", stray: bool = False) -> None:
        super().__init__(why + names)
        self.why = why
        self.stray = stray


class Asked(NamedTuple):
    """A question that a key asks: for the gradient of a node, or its forward value. key: without "forward"."""

    key: Key
    forward: bool
    node: Value


class Nodes:
    """The nodes of a graph, found by a Value or by what people write: w5, w_5, δ4 for z^{4}, dC/dw5, ∂C/∂w².

    A key is a label as that is spelled; or it differs from one by spaces, $ _ ^ { } and commas, and by what is raised
    or lowered, and by nothing else: a sign that is left over may have a meaning, as in w5+, |w5| and a).
    """

    def __init__(self, context: Context) -> None:
        self.context, self.graph = context, (graph := context.graph)
        self.printed = {graph.names[node]: node for node in graph.order if graph.names[node]}  # v_{1}, too
        self.with_signs = [name for name in self.printed if not is_word(name)]  # w+
        self.by_name = {name: node for name, node in self.printed.items() if context.is_named(node)}
        self.asked: dict[tuple[Key, bool | None], Asked] = {}
        self.deltas = {name: node for node, name in context.deltas.items()}  # δ^{4}: z^{4}
        taken = set(map(on_one_line, self.by_name))
        for name, node in list(self.deltas.items()):  # δ^{4} is understood where Δ^{4} is its name, as there is a δ
            if on_one_line(f"δ{name[1:]}") not in taken:
                self.deltas.setdefault(f"δ{name[1:]}", node)
        self.names = Names([*self.by_name, *self.deltas])
        self.exact = {node.data for node in graph.order if not node.parents}  # what a number may stand for
        self.subject = graph.names[graph.root]

    def find(self, key: Key, forward: bool = False) -> Value:
        """The node whose gradient, or forward value, a key of the answers asks for.

        Raises ValueError, or TypeError for what is not a key.
        """
        if isinstance(key, Value):
            if key not in self.graph.names:
                raise NotUnderstood(f"{key!r:.60} is not in the graph of {self.subject}: a forward pass makes new "
                                    "nodes; take those that belong to this result, or use labels")
            return key
        if not isinstance(key, str):
            raise TypeError(f"an answer belongs to a label or a Value, found {type(key).__name__} {key!r:.40}")
        word = key if key in self.names.known else bare(key)
        found = self.spelled(word)
        if found is not None:
            return found
        delta, quotient, (is_value, plain) = self.meant_delta(word), QUOTIENT.fullmatch(word), forward_key(key)
        if forward and (delta or quotient):
            raise NotUnderstood(f"{quoted(key)} is a gradient, where the value of a node is asked for")
        if delta:
            return self.deltas[delta]
        if is_value:
            self.find(plain, forward=True)
            raise NotUnderstood(f"{quoted(key)} is a forward value: hand it in as forward={{{quoted(plain)}: ...}}")
        if quotient:
            above, below = (side.strip() for side in quotient.groups())
            upper = self.spelled(above)
            if upper is None and on_one_line(above) != on_one_line(self.subject):
                raise NotUnderstood(f"{quoted(key)}: there is no {quoted(above)} here{named_letter(above)}; "
                                    f"gradients are those of {self.subject}")
            if upper not in (None, self.graph.root):
                raise NotUnderstood(f"{quoted(key)} is not a gradient of {self.subject}; to have a derivative of "
                                    f"{above} marked, give {above} as the root")
            for each in (below, below.rstrip(PROMPT), *self.in_brackets(below)):
                found = self.spelled(each)
                if found is not None:
                    return found
            word = below
        raise self.unknown(key, word, forward, stray=not (quotient or forward))

    def spelled(self, word: str) -> Value | None:
        """The node that a word means; None for none. A ValueError, if it means several."""
        meant = self.names.asked(word)
        if len(meant) > 1:
            raise NotUnderstood(f"{quoted(word)} can be {' or '.join(map(repr, meant[:LISTED]))}; write it in full")
        if meant:
            return self.by_name.get(meant[0])
        alike = [name for name, node in self.by_name.items() if node.label and node.label == word]
        if alike:
            raise NotUnderstood(f"{len(alike)} nodes are labelled {quoted(word)}; write "
                                f"{' or '.join(map(repr, alike[:3]))}, or give the Value itself")
        return self.graph.named(word)

    def in_brackets(self, word: str) -> list[str]:
        """The label with signs in a derivative by it, as that is printed: x*w, of ∂C/∂(x*w)."""
        inside = word[1:-1]
        found = word == f"({inside})" and inside in self.by_name and OPERATOR.search(inside) is not None
        return [inside] if found else []

    def meant_delta(self, word: str) -> str:
        """The name of the δ that a word means; "" for none."""
        meant = self.names.asked(word.rstrip(PROMPT))
        return meant[0] if len(meant) == 1 and meant[0] in self.deltas else ""

    def delta(self, key: Key) -> Formula | None:
        """δ⁴, where a key asks for a gradient by that name; else None."""
        name = self.meant_delta(bare(key)) if isinstance(key, str) else ""
        return self.context.gradient(self.deltas[name]) if name else None

    def typed(self, name: str) -> str:
        """A name as people type it: a31 for a^{3}_{1}, unless that may be another."""
        short = on_one_line(name)
        return short if short.isalnum() and self.names.asked(short) == [name] else name

    @cached_property
    def offered(self) -> tuple[dict[str, Value], dict[str, Value]]:
        """Whose gradients can be asked for, and whose forward values, by names as people type them; the δs last."""
        values = {self.typed(name): node for name, node in self.by_name.items()}
        gradients = {name: node for name, node in values.items() if node.op is not CONSTANT}
        return {**gradients, **{self.typed(name): node for name, node in self.deltas.items()}}, values

    def unknown(self, key: str, word: str, forward: bool, stray: bool) -> NotUnderstood:
        """The error for a key that names no node: what is left over in it, or the names there are, nearest first."""
        why, line, part = f"{quoted(key)} is not understood", on_one_line(word), PART.fullmatch(bare(key))
        offered = self.offered[forward]
        for name in sorted(offered, key=len, reverse=True):
            rest = left_over(line, on_one_line(name))
            if rest:
                what = f"the value of {name}" if forward else partial(self.graph, self.graph.root, offered[name]).text
                hint = f"did you mean {name!r} ({what})?"
                if part:
                    hint = f"if it is a part of a question, write what that asks for, such as {name!r} for {what}"
                elif UPDATED.fullmatch(line.removeprefix(on_one_line(name))) and not offered[name].parents:
                    hint += " Updated weights are not questions here"
                return NotUnderstood(f"{why}: {rest} {name}; {hint}")
        if part:
            return NotUnderstood(f"{why}: it looks like the number of a question; write what that asks for")
        line = re.sub(r"^([^\W\d]+)([0-9]+)\^([0-9]+)$", r"\1\3\2", line)  # z1^3, where z^{3}_{1} may be meant
        near = get_close_matches(line, offered, LISTED, cutoff=0.4)
        near.sort(key=lambda name: sum(takewhile(bool, map(eq, name, line))), reverse=True)  # for a29 a21, not a32
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        no_delta = f". There is no δ: {missing(self.graph)}" if line[:1] == "δ" and not self.deltas else ""
        why = f"no node is called {quoted(key)} in the graph of {self.subject}{named_letter(word)}{meant}{no_delta}"
        return NotUnderstood(why, f"; there are {listed([*near, *offered])}", stray)

    # What a key asks for, or several

    def question(self, key: Key, forward: bool | None = None) -> Asked:
        """The question of a key. forward: whether it is for a forward value; None if it says so itself, "forward a4".
        Raises as `find` does, and for what has no gradient."""
        known = self.asked.get((key, forward)) if isinstance(key, (str, Value)) else None
        if known is not None:  # as all sheets of a class have the same keys
            return known
        is_forward, plain = forward_key(key) if forward is None and key not in self.by_name else (bool(forward), key)
        node = self.find(plain, is_forward)
        if node.op is CONSTANT and not is_forward:
            raise NotUnderstood(f"{spelled(key):.{SHOWN}} is a constant, which has no gradient here; if it is asked "
                                "for, make it a Value before the forward pass")
        found = self.asked[key, forward] = Asked(plain, is_forward, node)
        return found

    def questions(self, keys: Iterable[tuple[Key, str]], forward: bool | None = None,
                  where: str = "") -> dict[Key, Asked]:
        """The questions of keys, see `question`; a ValueError names all those that are not understood.

        keys: each with its place, such as "column 2"; or with "". where: they are from.
        """
        found: dict[Key, Asked] = {}
        wrong: list[tuple[Key, str, NotUnderstood]] = []
        for key, place in keys:
            try:
                found[key] = self.question(key, forward)
            except NotUnderstood as error:
                wrong.append((key, place, error))
        if len(wrong) == 1 and not where:
            raise wrong[0][2]
        if wrong:
            lines = [f"{place}: {error.why}" if place else error.why for _, place, error in wrong[:LISTED]]
            if len(wrong) > LISTED:
                lines.append(f"and {len(wrong) - LISTED:,} more: {listed(quoted(key) for key, _, _ in wrong[LISTED:])}")
            raise ValueError("\n  ".join([
                f"{where + ': ' if where else ''}nothing is marked, since {len(wrong)} of {len(wrong) + len(found)} "
                f"labels {'are' if len(wrong) > 1 else 'is'} not understood", *lines,
                *in_doubt(found, [key for key, _, _ in wrong]), self.remedy(bool(where))]))
        return found

    def remedy(self, in_a_file: bool) -> str:
        """A hint: which labels there are, and how a file may begin."""
        names = list(self.offered[False]) or [self.subject]
        inner = [self.typed(name) for name, node in self.by_name.items() if node.parents] or names
        slope = f"d{self.typed(self.subject)}/d"
        words = f"write {names[0]} or {slope}{names[0]} for a gradient; there are {listed(names)}"
        header = ["student", names[0], slope + inner[0], f"forward {inner[0]}"]
        example = ",".join(f'"{name}"' if "," in name else name for name in header)
        return f"{words}\n  a file may begin: {example}" if in_a_file else words


def bare(key: str) -> str:
    """A key without what spreadsheets and LaTeX put around it, a fraction on one line."""
    word = in_usual_signs(key)
    for command, sign in LATEX.items():
        word = re.sub(command, sign, word)
    word = word.strip()
    while len(word) > 1 and word[0] + word[-1] in QUOTES:
        word = word[1:-1].strip()
    fraction = FRACTION.fullmatch(word)
    return f"{fraction[1]}/{fraction[2]}" if fraction else word


def forward_key(key: Key) -> tuple[bool, Key]:
    """Tell whether a key asks for a forward value, and of what: "forward a4"."""
    asked = FORWARD.fullmatch(bare(key)) if isinstance(key, str) else None
    return (True, asked[1].rstrip(PROMPT)) if asked else (False, key)


def left_over(word: str, name: str) -> str:
    """The signs of a word besides a name, and where: "'+' is left over after"; "" for another word. Letters and
    digits make it another, unless a sign sets them off, or they have a meaning there, as in 2w5, Δw5, dw5, w5new."""
    before, inside, after = word.rpartition(name)
    rest = [part for part in (before, after) if part]
    if not inside:  # signs in between, as in w.5
        rest = [sign for sign in word if not sign.isalnum()]
        if not name.isalnum() or name != "".join(sign for sign in word if sign.isalnum()) or "^" in rest:
            return ""
    elif not rest or not re.fullmatch(r"(.*\W)?([0-9]*|[dΔ])", before) or not re.fullmatch(r"(new|neu)?|\W.*", after):
        return ""
    place = "in" if not inside else "around" if len(rest) == 2 else "before" if before else "after"
    return f"{' and '.join(map(quoted, rest))} {'is' if len(rest) == 1 else 'are'} left over {place}"


def in_doubt(found: Iterable[Key], wrong: Iterable[Key]) -> list[str]:
    """A hint that parts of a question may have been taken for nodes: a and b, beside c), or a c that is no node."""
    letters = [key for key in found if isinstance(key, str) and key in "abcdefgh"]
    parts = [key for key in wrong if isinstance(key, str) and (key in "abcdefgh" or PART.fullmatch(key))]
    are = "are parts" if len(letters) > 1 else "is a part"
    hint = f"if {' and '.join(letters)} {are} of a question, too, write what that asks for: these are nodes here"
    return [hint] if letters and parts else []


def named_letter(word: str) -> str:
    """A hint at a letter that looks like another, as the Cyrillic С does."""
    names = {sign: name_of_character(sign, "") for sign in word if sign not in GREEK_LETTERS}
    return next((f" ({sign} is {name})" for sign, name in names.items() if name.startswith(("CYRILLIC", "GREEK"))), "")


def spelled(key: Key) -> str:
    return key if isinstance(key, str) else key.label or repr(key)


def quoted(key: Key) -> str:
    """A key as errors quote it."""
    return repr(cut(key, SHOWN)) if isinstance(key, str) else f"{key!r:.60}"


def listed(names: Iterable[str]) -> str:
    """Names in a message, not too many."""
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    return ", ".join(known[:LISTED]) + more


# The sheets of a class, from a file

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
    objection = None  # to the heading of the first column, if that asks for nothing
    try:
        nodes.question(header[0])
    except NotUnderstood as error:
        objection = error
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
    nodes.questions(((label, f"line{'s' if len(found) > 1 else ''} {listed(found)}") for label, found in lines.items()),
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
