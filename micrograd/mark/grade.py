"""Marking a derivation that was done by hand: `grade(C, {"w5": 0.0822, ...})`.

Each answer is held against the gradient that the graph has; if it is not that, against what follows from the student's
own answers next above it, so that one mistake is counted once; and if it is not that either, against what the usual
mistakes come to. A formula must then be right with other numbers, too. A class is many sheets on one graph. This module
knows verdicts; `mistakes` knows the mistakes, and `points` the other numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite, isnan
from typing import Any

from .. import ops
from ..arguments import is_number
from ..engine import Value
from ..formulas.formula import number_of, partial
from ..formulas.graph import Graph, look, passes
from ..formulas.labels import cut, printable
from ..formulas.undefined import undefined
from .answer import Reference, Submitted, Writing, finite
from .derivation import Computation, Derivation
from .mistakes import QUANTITY, RATES, VALUE, Context, in_words
from .points import Points
from .report import CARRIED, COARSE, EXACT, FROM_ZERO, SPECIAL, WRONG, Answer, Answers, ClassReport, Mistake, Report
from .sheets import SHOWN, Given, Key, Nodes, Sheet, listed, read_sheets, spelled
from .submission import ANY, TINY, WANTS, Submission
from .trial import Failure
from .verdicts import Basis, Noise, Standard, relative

__all__ = ["grade", "grade_class"]

MOVED = 6           # numbers with which a formula is shown to be wrong
OFF = (WRONG, CARRIED, FROM_ZERO)  # verdicts on numbers that are not the right ones
ALL_ZERO = "every answer on this sheet is 0: where that is right, it does not show that anything was worked out"

UNTRIED = ("this formula was tried with these numbers only, as no others were found with which the graph can be "
           "computed on the same side of each kink")
UNKNOWN = ("this formula was tried with these numbers only, as what the numbers in it stand for cannot be told; write "
           "names in their place")


class Marker:
    """Marks any number of sheets on one graph."""

    def __init__(self, graph: Graph, digits: int | None = None, lr: float | None = None,
                 decimals: int | None = None, want: str = ANY) -> None:
        if lr is not None and not (is_number(lr) and isfinite(lr) and lr > 0):
            raise ValueError(f"lr must be a learning rate, above 0, found {lr!r}")
        if not (isinstance(want, str) and want in WANTS):
            raise ValueError(f"want is what an answer has to be, {', '.join(map(repr, WANTS))}, found {want!r:.40}")
        self.graph, self.want, self.standard = graph, want, Standard(digits, decimals)
        self.context = Context(graph, RATES if lr is None else (float(lr),))
        self.right = passes(graph, {}, {})
        self.nodes = Nodes(self.context)
        self.points = Points(graph, self.right)
        self.noise = Noise(graph)
        self.tried: dict[tuple[Any, ...], Failure | bool] = {}
        self.derivations: dict[tuple[Any, ...], Derivation] = {}

    def mark(self, answers: Sheet, forward: Sheet, ask: Iterable[Key] = ()) -> Report:
        """One sheet."""
        if isinstance(ask, (str, Value)):
            ask = [ask]
        if not isinstance(ask, Iterable):
            raise TypeError("ask must be a list of labels such as ['w5', 'b2'], found "
                            f"{type(ask).__name__} {ask!r:.40}")
        keys = self.keyed(answers, "answers", False)
        for question in self.nodes.questions(((key, "") for key in ask), False).values():
            keys.setdefault(question.node, question.key)
        forward_keys = self.keyed(forward, "forward", True)
        if not keys and not forward_keys:
            raise ValueError("there is nothing to mark: answers and forward are empty; to have what is missing "
                             "counted, say with ask=[...] what was asked")
        read = Submission(self.nodes, self.points, {node: answers.get(key) for node, key in keys.items()},
                          {node: forward.get(key) for node, key in forward_keys.items()}, self.want)
        in_order = self.mark_forward(read, forward_keys)
        before = {answer.verdict for answer in in_order}
        wrong_forward = not before.isdisjoint(OFF)
        in_order += self.mark_backward(read, keys, wrong_forward, COARSE in before)
        in_order = [self.in_general(answer, read, wrong_forward, in_order) for answer in in_order]
        first = next((answer for off in (WRONG, FROM_ZERO, SPECIAL) for answer in in_order if answer.verdict == off),
                     None)
        given = [(answer, (read.forward if answer.forward else read.gradients)[answer.node]) for answer in in_order
                 if answer.value is not None]
        spoilt = first is not None or (not self.standard.lenient and any(
            abs(answer.expected) > max(TINY, self.standard.asked.half(answer.expected)) for answer, _ in given))
        if spoilt and all(self.standard.is_zero(one, answer.expected) for answer, one in given):
            in_order = [replace(answer, verdict=FROM_ZERO, note=ALL_ZERO) if answer.right else answer
                        for answer in in_order]
        marked = {(answer.forward, answer.node): answer for answer in in_order}
        return Report(self.nodes.subject, Answers((marked[False, node] for node in keys), self.nodes),
                      Answers((marked[True, node] for node in forward_keys), self.nodes), first)

    def keyed(self, sheet: Sheet, where: str, forward: bool) -> dict[Value, Key]:
        """The keys of a sheet, by the nodes that they mean."""
        if not isinstance(sheet, Mapping):
            raise TypeError(f"{where} must be a dict such as {{'w5': 0.0822}}, found "
                            f"{type(sheet).__name__} {sheet!r:.40}")
        keys: dict[Value, Key] = {}
        for key, _, node in self.nodes.questions(((key, "") for key in sheet), forward).values():
            if node in keys:
                raise ValueError(f"{spelled(keys[node])} and {spelled(key)} are the same node: one answer for each")
            keys[node] = key
        return keys

    def mark_forward(self, read: Submission, keys: Mapping[Value, Key]) -> list[Answer]:
        """The marked forward values, in the order in which they are worked out."""
        context, own, writing = self.context, finite(read.forward), self.writing(read)
        zeros = self.wrong_zeros(read.forward, self.right.values, self.noise(writing, ())[0])
        others = {node: x for node, x in own.items() if node not in zeros}
        numbers = [passes(self.graph, own, {}), self.right]
        without = [passes(self.graph, others, {}), self.right] if zeros else []
        marked: list[Answer] = []
        for node in sorted(read.forward, key=context.place.__getitem__):
            given = read.forward[node]
            ways = [Computation(context, node, own, one) for one in numbers]
            solid = [Computation(context, node, others, one)
                     for one in without if self.standard.is_hollow(given)] or ways
            rough, coarse = (self.noise(one, ())[0].get(node, 0.0) for one in (self.standard.asked, writing))
            basis = Basis(ways, solid, [rough] * len(ways), [coarse] * len(ways),
                          any(answer.verdict in OFF for answer in marked),
                          any(answer.verdict == COARSE for answer in marked))
            answer = self.judge(given, keys[node], node, basis, {}, forward=True)
            if answer.verdict == FROM_ZERO:
                answer = replace(answer, note=self.from_zero(zeros, ways[0]))
            marked.append(answer)
        return marked

    def mark_backward(self, read: Submission, keys: Mapping[Value, Key], wrong_forward: bool,
                      vague_forward: bool) -> list[Answer]:
        """The marked gradients, in the order in which they are worked out. wrong_forward, vague_forward: whether some
        forward value is wrong, or too coarse."""
        context, own, writing = self.context, finite(read.gradients), self.writing(read)
        values = finite(read.forward) if wrong_forward or vague_forward else {}
        noise = self.noise(writing, ())
        zeros = self.wrong_zeros(read.gradients, self.graph.gradients, noise[1])
        zero_values = self.wrong_zeros(read.forward, self.right.values, noise[0]) if values else {}
        others = {node: x for node, x in own.items() if node not in zeros}
        other_values = {node: x for node, x in values.items() if node not in zero_values}
        pairs = [(values, own), ({}, own), (values, {})] if values else [({}, own)]
        numbers = [passes(self.graph, *pair) for pair in pairs]
        without = [passes(self.graph, other_values if some else {}, others if more else {}) for some, more in pairs
                   ] if zeros or zero_values else []
        depth, stops = self.depths(own), tuple(own)
        seen: dict[tuple[Any, ...], Answer] = {}
        marked: dict[Value, Answer] = {}
        for node in sorted(read.gradients, key=lambda node: (depth[node], context.place[node])):
            given, right = read.gradients[node], self.derivation(node, stops)
            ways = [Derivation(context, node, own, one) for one in numbers]
            tops = [top for top in ways[0].tops if top in marked]
            solid = [Derivation(context, node, others, one)
                     for one in without if self.standard.is_hollow(given)] or ways
            down = [(abs(ways[0].down[top]), read.gradients[top]) for top in tops]
            known = sum(slope * self.standard.unsure(top) for slope, top in down)
            half = sum(slope * top.half for slope, top in down)
            ways, solid = [*ways, right], [*solid, right]
            basis = Basis(ways, solid,
                          [self.roughness(way, stops, self.standard.asked) + known for way in ways],
                          [self.roughness(way, stops, writing) + half for way in ways],
                          wrong_forward or any(marked[top].verdict in OFF for top in tops),
                          vague_forward or any(marked[top].verdict == COARSE for top in tops))
            answer = self.judge(given, keys[node], node, basis, seen, forward=False)
            if answer.verdict == FROM_ZERO and not answer.note:
                above = [marked[top].called for top in tops if top in zeros]
                answer = replace(answer, note=(
                    f"follows from 0: your {in_words(above)} {are(above)} 0, and 0 times anything is 0" if above else
                    self.from_zero(zero_values, ways[0])))
            marked[node] = answer
        return [*marked.values()]

    def wrong_zeros(self, read: Mapping[Value, Submitted], right: Mapping[Value, float], noise: Mapping[Value, float],
                    ) -> dict[Value, None]:
        """The answers of 0 that are wrong, and not for being rounded. noise: what rounding on the way may do."""
        return dict.fromkeys(node for node, given in read.items() if self.standard.vanishes(given) and right.get(node)
                             and not given.may_be(right[node], noise.get(node, 0.0)))

    def depths(self, answered: Iterable[Value]) -> dict[Value, int]:
        """The number of named or answered nodes above each node, on the longest way to the root."""
        depth = dict.fromkeys(self.graph.order, 0)
        counts = set(answered)
        for node in reversed(self.graph.order):
            below = depth[node] + (node in counts or self.context.is_named(node))
            for parent in node.parents:
                depth[parent] = max(depth[parent], below)
        return depth

    def derivation(self, node: Value, stops: tuple[Value, ...]) -> Derivation:
        """The way to the gradient of a node from those of the stops, in the right numbers."""
        key = node, stops
        if key not in self.derivations:
            self.derivations[key] = Derivation(self.context, node, dict.fromkeys(stops), self.right)
        return self.derivations[key]

    # Rounding

    def writing(self, read: Submission) -> Writing:
        """The writing of the numbers on the way: as was asked, if no answer shows that they are coarser."""
        answers = (*finite(read.forward).values(), *finite(read.gradients).values())
        coarser = any(x and read.writing.half(x) > 1.01 * self.standard.asked.half(x) for x in answers)
        return read.writing if coarser else self.standard.asked

    def roughness(self, way: Derivation, stops: tuple[Value, ...], writing: Writing) -> float:
        """The most that rounding moves a gradient from what the stops' gradients say. A larger one is rounded more; a
        smaller one less, if it is to digits."""
        right = self.derivation(way.x, stops)
        off = 1.5 * self.noise(writing, stops)[1].get(way.x, 0.0)
        share = way.size / right.size if right.size else 1.0
        return max(off * (max(share, 1.0) if isfinite(writing.decimals) else share), self.standard.tight * way.size)

    # Verdicts

    def judge(self, given: Submitted, key: Key, node: Value, basis: Basis, seen: dict[tuple[Any, ...], Answer],
              forward: bool) -> Answer:
        """The marked answer. seen: by mistakes, the answers in which they were made first."""
        standard, graph, x = self.standard, self.graph, given.value
        expected = node.data if forward else graph.gradients[node]
        verdict, note, found = standard.judged(given, expected, basis)
        if isnan(expected):
            note = self.no_right_answer(node, forward)
        earlier = next((seen[one.key] for one in found if one.key in seen), None)
        if earlier is not None:
            verdict, found = FROM_ZERO if standard.vanishes(given) else CARRIED, []
            no_more = ", and 0 shows no more" if standard.vanishes(given) else ""
            note = f"the same mistake as in {earlier.called}{no_more}"
        name, meant = graph.names[node], ""
        if (verdict == WRONG and not forward and not standard.vanishes(given) and node.parents
                and standard.accepts(given, node.data)):
            short = self.nodes.typed(name)
            meant = f"forward {short}"
            note = (f"this is the value of {self.context.name(node)}; if that is what was asked for, hand it in as a "
                    f"forward value: forward={{{short!r}: ...}}, or in a file under the heading {meant!r}")
        symbol = self.context.name(node) if forward else partial(graph, graph.root, node)
        called = symbol if forward else self.nodes.delta(key) or symbol
        opposite = replace(given, value=-x) if x else given
        if verdict == WRONG and called != symbol and standard.accepts(opposite, expected):
            note = f"{called} is {symbol} here; some books, such as Mitchell's and Haykin's, have −{symbol} for it"
        mistakes = tuple(Mistake(one.kind, one.words) for one in found)
        error = None if x is None or isnan(expected) else relative(x, expected)
        answer = Answer(key if isinstance(key, str) else name, name, forward, symbol, called, given.given, x, expected,
                        error, verdict, mistakes, basis.ways[-1].line, note, meant, node)
        seen.update((one.key, answer) for one in found if one.kind not in (QUANTITY, VALUE))
        return answer

    # Formulas at other points

    def in_general(self, answer: Answer, read: Submission, wrong_forward: bool, marked: Iterable[Answer]) -> Answer:
        """The same answer, unless it is right for these numbers only. Whether another one of the sheet follows from it
        goes by its number, as ever."""
        node, reference = answer.node, read.formulas.get((answer.forward, answer.node))
        if reference is None or not answer.right:
            return answer
        if not self.points():
            return replace(answer, note=answer.note or UNTRIED)
        rounded = answer.verdict != EXACT
        key = node, answer.forward, rounded, answer.given
        if key not in self.tried:
            self.tried[key] = read.tried(node, reference, answer.forward, self.points(), rounded)
        result = self.tried[key]
        if result is False:
            return replace(answer, note=answer.note or UNKNOWN)
        if isinstance(result, Failure) and answer.verdict == CARRIED:
            # It may be written out from wrong formulas. From a wrong number, who knows; and with a note it is the
            # same mistake as another.
            unknown = [above for above in marked if above.verdict in (WRONG, CARRIED) and not above.forward
                       and (False, above.node) not in read.formulas and above.node not in reference.gradients.values()]
            known = not (answer.forward or answer.note or wrong_forward or unknown)
            result = known and read.tried(node, reference, False, self.points(), rounded, follows=True)
        if isinstance(result, Failure):
            return replace(answer, verdict=SPECIAL, note=self.where_wrong(answer, reference, result))
        return answer

    def where_wrong(self, answer: Answer, reference: Reference, failure: Failure) -> str:
        """The note that says what a formula gives at a point where it is wrong, with the numbers to work it out."""
        context, graph, numbers = self.context, self.graph, failure.numbers
        called = {**{name: context.name(node) for name, node in reference.values.items()},
                  **{name: context.gradient(node) for name, node in reference.gradients.items()},
                  **{name: partial(graph, *slope) for name, slope in reference.locals.items()}}
        at = reference.at(graph, numbers, {})
        names = {called[name]: at[name] for name in reference.expression.names}
        names.update((context.name(leaf), numbers.values[leaf]) for leaf in self.leaves_beside(answer)
                     if numbers.values[leaf] != leaf.data)
        digits = next((digits for digits in range(4, 12)
                       if number_of(failure.found, digits) != number_of(failure.right, digits)), 12)
        found, right = (number_of(x, digits) for x in (failure.found, failure.right))
        shown = ", ".join(f"{name} = {number_of(x)}" for name, x in [*names.items()][:MOVED])
        more = ", …" if len(names) > MOVED else ""
        where = f"with {shown}{more} your formula gives {found}, where {right}"
        if answer.verdict == CARRIED:
            return f"this follows from your other answers for these numbers, but not in general: {where} follows"
        return f"right for these numbers, but not in general: {where} is right"

    def leaves_beside(self, answer: Answer) -> list[Value]:
        """The leaves that the right formula of a gradient, or a forward value, may use."""
        stops = dict.fromkeys(other for other in self.graph.order if other.parents and self.context.is_named(other))
        if answer.forward:
            near = [*Computation(self.context, answer.node, stops, self.right).beside]
        else:
            near = [parent for edge in Derivation(self.context, answer.node, stops, self.right).edges
                    for i, parent in enumerate(edge.node.parents)
                    if i != edge.i and edge.node.op not in (ops.add, ops.sub)]
        return [leaf for leaf in near if not leaf.parents and self.graph.names[leaf]]

    def from_zero(self, zeros: Iterable[Value], way: Derivation | Computation) -> str:
        """The forward values of 0 that another answer follows from."""
        beside = way.beside
        names = [self.context.name(node) for node in zeros if node in beside] or [*map(self.context.name, zeros)]
        return f"follows from 0: your {in_words(names)} {are(names)} 0"

    def no_right_answer(self, node: Value, forward: bool) -> str:
        """The reason why there is nothing to hold an answer against."""
        reason = None if forward else undefined(self.graph, node)
        if reason is not None:
            return f"no right answer, as {reason.sentence}"
        return f"no right answer: {self.context.name(node)} is nan here"


def are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def grade(root: Value, answers: Sheet, forward: Sheet | None = None, *, ask: Iterable[Key] = (),
          lr: float | None = None, digits: int | None = None, decimals: int | None = None,
          want: str = "any") -> Report:
    """Mark a derivation that was done by hand: the gradients of root, and the forward values if they are given.

    An answer is close if it is right to 0.5 %, if it is rounded right to two digits or more and at most 2 % off, or to
    three decimals (0.000 for 0.000455), or if it follows, rounded, from other answers. With decimals or digits, it is
    close if it is right to that many, where all numbers on the way may be rounded to as many, too.

    An answer that is not close, but may be right as far as the written digits go, is "too coarse": 0.01 for
    0.0082. The numbers on the way are assumed to be rounded as those on the sheet are: to as many
    decimals, or significant digits, as an answer has at most, whichever is coarser. An expression is as coarse as the
    numbers in it, 0.14*0.59; those of the graph, and whole ones, are exact.

    An expression that cannot be read, or has no value, gets the verdict "unreadable". Where the right number is nan, as
    0 · ∞ is, there is no right answer: whatever the sheet says is "not judged", and counts neither for nor against it.
    A formula is tried with other numbers, too: one that is wrong there is "right for these numbers only", and not
    counted as right.

    Nothing is earned by nothing. An answer that uses what it answers, or what is worked out from that, is "unreadable".
    An answer that is 0 only because an earlier one is 0, which is wrong, is not carried but "follows from 0", as 0
    times anything is; and so is what is right on a sheet of zeros that are not all right.

    Args:
        root: a Value, such as a cost.
        answers: {label or Value: answer}. A key is a label however people spell it (w5, w_5, w⁵), or dC/dw5, ∂C/∂w5; δ4
            is the gradient of the weighted sum z^{4}, or net_4, whatever its letter: see `explain`.
            An answer is a number, as text if zeros at its end are to count as digits
            ("0.0820"; a decimal comma will do, "-9.42%", "9.42 x 10^-2" and "inf"), or an expression: "(a4 - y) * a4 *
            (1 - a4)", "δ4 * a3". In it a label is the right forward value; δ4 or ∂C/∂a4 is the student's own answer, or
            the right gradient where there is none. What can be read in two ways, as 1/2x can, is "unreadable"
            (docs/answers.md has tables of both). None and "" are missing. What a key has besides a label, as w5+ and a)
            have, is an error.
        forward: the same for forward values.
        ask: what was asked; what `answers` lacks of it counts as missing.
        lr: the learning rate of the exercise, to tell an updated weight from an old one; without it a few usual ones
            are tried.
        digits: how many significant digits were asked for, 2 to 12. Without it, and without decimals, answers are held
            against 4, and fewer will do as above.
        decimals: how many decimals were asked for, 0 to 12, instead: with 2, 0.00 is right for 0.0042.
        want: what an answer has to be, a forward value, too. "number": it may be an expression, but one that uses a
            gradient which the sheet does not answer, or da/dz, is "unreadable". "formula": so is an answer without a
            name in it, unless the right formula has none. "any": either; dC/da*da/dz is right for dC/dz.

    Returns:
        A `Report`: print it, or show it in a notebook.

    Raises:
        ValueError: for labels that are not in the graph, all of them; for digits and decimals at once, or another
            `want`; and for a graph whose numbers were changed after the forward pass.
        TypeError: for what is not a number or an expression.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> report = micrograd.grade(w * x, {"w": 2.0, "x": 0.4})
        >>> report.score, report.first_wrong.mistakes[0].kind
        (0.5, 'updated weight')
    """
    marker = Marker(look(root, "grade(root, answers)", fresh=True), digits, lr, decimals, want)
    return marker.mark(answers, {} if forward is None else forward, ask)


# A class

def grade_class(root: Value, sheets: Any, *, lr: float | None = None, digits: int | None = None,
                decimals: int | None = None, want: str = "any") -> ClassReport:
    """Mark the sheets of a class, all on the same graph. What one student has answered, all were asked.

    Args:
        root: a Value, such as a cost.
        sheets: {student: answers}, or a CSV file, by its path or as a stream of bytes: see `read_sheets`. A key
            "forward a" of the answers is the forward value of a.
        lr, digits, decimals, want: as for `grade`. How an answer sheet is rounded is seen for each student.

    Returns:
        A `ClassReport`: print it, or show it in a notebook.

    Raises:
        ValueError: as `grade` does, with the student; for a damaged file, with the line; for headings that are not
            understood, such as the parts a) and b) of a question, all of them, with their columns, or lines.
        TypeError: for what is not a number or an expression.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> report = micrograd.grade_class(w * x, {"Ada": {"w": 2, "x": 0.5}, "Max": {"w": 2, "x": 0.4}})
        >>> {name: sheet.score for name, sheet in report.students.items()}
        {'Ada': 1.0, 'Max': 0.5}
    """
    graph = look(root, "grade_class(root, sheets)", fresh=True)
    marker = Marker(graph, digits, lr, decimals, want)
    if isinstance(sheets, (str, os.PathLike)) or hasattr(sheets, "read"):
        sheets = read_sheets(sheets, marker.nodes)
    if not isinstance(sheets, Mapping) or not sheets:
        raise TypeError("sheets must be the path of a CSV file, or a dict {student: answers} of at least one student, "
                        f"found {type(sheets).__name__} {sheets!r:.40}")
    students: dict[Key, list[str]] = {}
    for student, sheet in sheets.items():
        if not isinstance(sheet, Mapping):
            raise TypeError(f"the answers of {student!r} must be a dict, found {type(sheet).__name__} {sheet!r:.40}")
        for key in sheet:
            students.setdefault(key, []).append(cut(printable(str(student)), SHOWN))
    questions = marker.nodes.questions(((key, listed(names)) for key, names in students.items()), where="sheets")
    asked: dict[tuple[bool, Value], Key] = {}
    for question in questions.values():
        asked.setdefault((question.forward, question.node), question.key)
    reports = {}
    for student, sheet in sheets.items():
        parts: tuple[dict[Key, Given], dict[Key, Given]] = {}, {}
        answered: dict[tuple[bool, Value], Key] = {}
        for key, given in sheet.items():
            question = questions[key]
            other = answered.setdefault((question.forward, question.node), key)
            if other != key:
                raise ValueError(f"{student}: {spelled(other)} and {spelled(key)} are the same node: one answer for "
                                 "each")
            parts[question.forward][question.key] = given
        for (forward, node), key in asked.items():
            if (forward, node) not in answered:
                parts[forward][key] = None
        reports[str(student)] = marker.mark(*parts)
    return ClassReport(reports)
