"""Marking a derivation that was done by hand: `grade(C, {"w5": 0.0822, ...})`.

Each answer is held against the gradient that the graph has; if it is not that, against what follows from the student's
own answers next above it, so that one mistake is counted once; and if it is not that either, against what the usual
mistakes come to. A formula must then be right with other numbers, too. A class is many sheets on one graph. This module
knows verdicts; `mistakes` knows the mistakes, and `points` the other numbers.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite, isnan, nan
from random import Random
from typing import Any

from .. import ops
from ..arguments import is_number
from ..engine import Value
from ..formulas.algebra import (
    ONE,
    Formula,
    Term,
    both,
    chained,
    combine,
    equation,
    formula_of,
    number_of,
    partial,
    written,
)
from ..formulas.graph import Graph, Rounding, look, passes
from ..formulas.layout import LATEX, Notation, Written, apply, cut, printable
from ..formulas.undefined import undefined, worked_out
from .keys import SHOWN, Given, Key, Nodes, Sheet, listed, spelled
from .mistakes import QUANTITY, RATES, REVERSED, VALUE, Book, Candidate, Computation, Derivation, in_words, is_function
from .points import LARGEST, Failure, Points
from .report import (
    CARRIED,
    CLOSE,
    COARSE,
    EXACT,
    FROM_ZERO,
    MISSING,
    NOT_JUDGED,
    SPECIAL,
    UNREADABLE,
    WRONG,
    Answer,
    Answers,
    ClassReport,
    Mistake,
    Report,
    shown,
)
from .sheets import read_sheets
from .submission import ANY, PRECISION, TINY, WANTS, Handed, HandedIn, Reference, Writing, finite

__all__ = ["grade", "grade_class"]

EPSILON = 1e-15     # relative; what floats do not tell apart
DIGITS = 4          # significant ones, if nothing else is asked for
LOOSE, TIGHT = 50, 5  # units of the last digit that students are asked for: what is forgiven against the right result,
                      # which may come from rounded ones; and against what follows from other answers, in one go
SURELY = 10         # how much larger than a number what rounding does to it is where 0 is as good
TRIALS = 8          # passes with rounded numbers, to see what rounding does, unless the graph is too large
COPIES = (ops.add, ops.sub, ops.neg, ops.identity)  # what is written down anew neither for a value nor for a gradient
FEW = 0.005         # relative; an answer of coarser digits than 3 shows a mistake only if no other comes to it
NEAR = 1.5          # how much more far-fetched a second explanation of a wrong answer may be than the best
EXPLANATIONS = 3
FEWEST = "3 significant digits"  # that always tell right from wrong
MOVED = 6           # numbers with which a formula is shown to be wrong
WIDEST = 40         # names and signs in the formula of a line; a longer one is written in terms of labels,
WIDEST_OF_LABELS = 80  # and if that is longer than this, not at all
OFF = (WRONG, CARRIED, FROM_ZERO)  # verdicts on numbers that are not the right ones
AS_COARSE = "this follows from earlier answers, which have too few digits to tell right from wrong"
ALL_ZERO = "every answer on this sheet is 0: where that is right, it does not show that anything was worked out"

UNTRIED = ("this formula was tried with these numbers only, as no others were found with which the graph can be "
           "computed on the same side of each kink")
UNKNOWN = ("this formula was tried with these numbers only, as what the numbers in it stand for cannot be told; write "
           "names in their place")


class Marker:
    """Marks any number of sheets on one graph."""

    def __init__(self, graph: Graph, digits: int | None = None, lr: float | None = None,
                 decimals: int | None = None, want: str = ANY) -> None:
        for n, least, what in ((digits, 2, "digits is how many significant digits"),
                               (decimals, 0, "decimals is how many decimals")):
            if n is not None and (isinstance(n, bool) or not isinstance(n, int) or not least <= n <= 12):
                raise ValueError(f"{what} are asked for, from {least} to 12, found {n!r}")
        if digits is not None and decimals is not None:
            raise ValueError(f"digits={digits} and decimals={decimals}: what was asked for is one or the other; choose")
        if lr is not None and not (is_number(lr) and isfinite(lr) and lr > 0):
            raise ValueError(f"lr is the learning rate, above 0, found {lr!r}")
        if not (isinstance(want, str) and want in WANTS):
            raise ValueError(f"want is what an answer has to be, {', '.join(map(repr, WANTS))}, found {want!r:.40}")
        self.graph, self.want, self.lenient = graph, want, digits is None and decimals is None
        self.asked = Writing(digits=digits or DIGITS) if decimals is None else Writing(decimals=decimals)
        self.rates = RATES if lr is None else (float(lr),)
        self.book = Book(graph)
        self.nodes = Nodes(self.book)
        finest = 10.0 ** -max(digits or decimals or DIGITS, DIGITS)
        self.loose, self.tight = LOOSE * finest, TIGHT * finest
        self.right = passes(graph, {}, {})
        self.points = Points(graph, self.right)
        self.tried: dict[tuple[Any, ...], Failure | bool] = {}
        inner = [node for node in graph.order[:-1] if node.parents]
        self.on_paper = (frozenset(node for node in inner if node.label or node.op not in COPIES),
                         frozenset(node for node in inner if node.label or any(
                             use.node.op not in COPIES for use in graph.uses[node])),
                         frozenset(node for node in inner if is_function(node, 0) and
                                   node.data != node.local_derivatives[0] * node.parents[0].data))  # but not relu
        self.noise: dict[Any, tuple[dict[Value, float], dict[Value, float]]] = {}
        self.derivations: dict[tuple[Any, ...], Derivation] = {}
        self.lines: dict[tuple[Value, ...], Formula] = {}

    def mark(self, answers: Sheet, forward: Sheet, ask: Iterable[Key] = ()) -> Report:
        """One sheet."""
        if isinstance(ask, (str, Value)):
            ask = [ask]
        if not isinstance(ask, Iterable):
            raise TypeError(f"ask is a list of labels such as ['w5', 'b2'], found {type(ask).__name__} {ask!r:.40}")
        keys = self.keyed(answers, "answers", False)
        for question in self.nodes.questions(((key, "") for key in ask), False).values():
            keys.setdefault(question.node, question.key)
        forward_keys = self.keyed(forward, "forward", True)
        if not keys and not forward_keys:
            raise ValueError("there is nothing to mark: answers and forward are empty; to have what is missing "
                             "counted, say with ask=[...] what was asked")
        read = HandedIn(self.nodes, self.points, {node: answers.get(key) for node, key in keys.items()},
                        {node: forward.get(key) for node, key in forward_keys.items()}, self.want)
        marked_forward = self.mark_forward(read, forward_keys)
        before = {answer.verdict for answer in marked_forward.values()}
        marked = self.mark_backward(read, keys, before)
        wrong_forward = any(verdict in OFF for verdict in before)
        marked_forward = self.in_general(marked_forward, read, wrong_forward)
        marked = self.in_general(marked, read, wrong_forward)
        in_order = *marked_forward.values(), *marked.values()
        first = next((answer for off in (WRONG, FROM_ZERO, SPECIAL) for answer in in_order if answer.verdict == off),
                     None)
        given = [(answer, (read.forward if answer.forward else read.gradients)[answer.node]) for answer in in_order
                 if answer.value is not None]
        spoilt = first is not None or (not self.lenient and any(
            abs(answer.expected) > max(TINY, self.asked.half(answer.expected)) for answer, _ in given))
        if spoilt and all(self.is_zero(one, answer.expected) for answer, one in given):
            for sheet in (marked_forward, marked):
                sheet.update((node, replace(answer, verdict=FROM_ZERO, note=ALL_ZERO))
                             for node, answer in sheet.items() if answer.right)
        return Report(self.nodes.subject, Answers((marked[node] for node in keys), self.nodes),
                      Answers((marked_forward[node] for node in forward_keys), self.nodes), first)

    def keyed(self, sheet: Sheet, where: str, forward: bool) -> dict[Value, Key]:
        """The keys of a sheet, by the nodes that they mean."""
        if not isinstance(sheet, Mapping):
            raise TypeError(f"{where} is a dict such as {{'w5': 0.0822}}, found {type(sheet).__name__} {sheet!r:.40}")
        keys: dict[Value, Key] = {}
        for key, _, node in self.nodes.questions(((key, "") for key in sheet), forward).values():
            if node in keys:
                raise ValueError(f"{spelled(keys[node])} and {spelled(key)} are the same node: one answer for each")
            keys[node] = key
        return keys

    def mark_forward(self, read: HandedIn, keys: Mapping[Value, Key]) -> dict[Value, Answer]:
        own, writing = finite(read.forward), self.writing(read)
        zeros = self.wrong_zeros(read.forward, {node: node.data for node in own}, self.off(writing, ())[0])
        others = {node: x for node, x in own.items() if node not in zeros}
        numbers = [passes(self.graph, own, {}), self.right] if own else [self.right]
        without = [passes(self.graph, others, {}), self.right] if zeros else []
        marked: dict[Value, Answer] = {}
        for node in sorted(read.forward, key=self.book.place.__getitem__):
            given = read.forward[node]
            ways = [Computation(self.book, node, own, one) for one in numbers]
            solid = [Computation(self.book, node, others, one) for one in without if self.is_hollow(given)] or ways
            wrong = any(answer.verdict in OFF for answer in marked.values())
            vague = any(answer.verdict == COARSE for answer in marked.values())
            rough, coarse = (self.off(one, ())[0].get(node, 0.0) if own else 0.0 for one in (self.asked, writing))
            marked[node] = self.judge(given, keys[node], node, node.data, ways, solid, [rough] * len(ways),
                                      [coarse] * len(ways), wrong, vague, {}, self.forward_line(node),
                                      self.book.name(node), forward=True)
            if marked[node].verdict == FROM_ZERO:
                marked[node] = replace(marked[node], note=self.from_zero(zeros, ways[0]))
        return marked

    def mark_backward(self, read: HandedIn, keys: Mapping[Value, Key], before: Collection[str]) -> dict[Value, Answer]:
        """before: the verdicts on the forward values."""
        wrong_forward, vague_forward = any(verdict in OFF for verdict in before), COARSE in before
        own, values = finite(read.gradients), finite(read.forward) if wrong_forward or vague_forward else {}
        writing = self.writing(read)
        pairs = [(values, own), ({}, own), (values, {})] if values else [({}, own)]
        numbers = [passes(self.graph, *pair) for pair in pairs]
        noise = self.off(writing, ())
        zeros = self.wrong_zeros(read.gradients, self.graph.gradients, noise[1])
        zero_values = self.wrong_zeros(read.forward, {node: node.data for node in values}, noise[0])
        others = {node: x for node, x in own.items() if node not in zeros}
        other_values = {node: x for node, x in values.items() if node not in zero_values}
        without = [passes(self.graph, other_values if some else {}, others if more else {}) for some, more in pairs
                   ] if zeros or zero_values else []
        depth = self.depths(own)
        seen: dict[tuple[Any, ...], Answer] = {}
        marked: dict[Value, Answer] = {}
        for node in sorted(read.gradients, key=lambda node: (depth[node], self.book.place[node])):
            given = read.gradients[node]
            ways = [Derivation(self.book, node, own, one, self.rates) for one in numbers]
            tops = [top for top in ways[0].tops if top in marked]
            solid = [Derivation(self.book, node, others, one, self.rates)
                     for one in without if self.is_hollow(given)] or ways
            wrong = wrong_forward or any(marked[top].verdict in OFF for top in tops)
            vague = vague_forward or any(marked[top].verdict == COARSE for top in tops)
            right = self.derivation(node, tuple(own))
            down = [(abs(ways[0].down[top]), read.gradients[top]) for top in tops]
            known = sum(slope * self.unsure(top) for slope, top in down)
            half = sum(slope * top.half for slope, top in down)
            ways, solid = [*ways, right], [*solid, right]
            rough = [self.roughness(right, tuple(own), way, self.asked) + known for way in ways]
            coarse = [self.roughness(right, tuple(own), way, writing) + half for way in ways]
            marked[node] = self.judge(given, keys[node], node, self.graph.gradients[node], ways, solid, rough, coarse,
                                      wrong, vague, seen, self.line(right),
                                      partial(self.graph, self.graph.root, node))
            if marked[node].verdict == FROM_ZERO and not marked[node].note:
                above = [marked[top].called for top in tops if top in zeros]
                marked[node] = replace(marked[node], note=(
                    f"follows from 0: your {in_words(above)} {are(above)} 0, and 0 times anything is 0" if above else
                    self.from_zero(zero_values, ways[0])))
        return marked

    def vanishes(self, given: Handed) -> bool:
        """Whether an answer is 0; at the decimals that were asked for, if any were."""
        x = given.value
        return x is not None and (abs(x) <= TINY or (not self.lenient and abs(x) < self.asked.half(0.0)))

    def is_hollow(self, given: Handed) -> bool:
        """Whether an answer is 0 or infinite, which follows from other such numbers whatever else is there."""
        return self.vanishes(given) or (given.value is not None and not isfinite(given.value))

    def is_zero(self, given: Handed, expected: float) -> bool:
        """Whether an answer says 0, and not only because a gradient that it uses is 0 on this sheet, nor because the
        right number is as small."""
        small = given.value and isfinite(expected) and abs(given.value - expected) <= PRECISION * abs(expected)
        return self.vanishes(given) and abs(given.with_right or 0.0) <= TINY and not small

    def wrong_zeros(self, read: Mapping[Value, Handed], right: Mapping[Value, float], noise: Mapping[Value, float],
                    ) -> dict[Value, None]:
        """The answers of 0 that are wrong, and not for being rounded. noise: what rounding on the way may do."""
        return dict.fromkeys(node for node, given in read.items() if self.vanishes(given) and right.get(node)
                             and not given.may_be(right[node], noise.get(node, 0.0)))

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

    # Rounding

    def writing(self, read: HandedIn) -> Writing:
        """How the numbers on the way were written: as was asked, if no answer shows that they are coarser."""
        answers = (*finite(read.forward).values(), *finite(read.gradients).values())
        coarser = any(x and read.writing.half(x) > 1.01 * self.asked.half(x) for x in answers)
        return read.writing if coarser else self.asked

    def unsure(self, given: Handed) -> float:
        """How far an answer may be from the unrounded number, and be called right."""
        if given.value is None:
            return 0.0
        return given.unsure(self.tight) if self.lenient else min(given.half, self.asked.half(given.value))

    def off(self, writing: Writing, stops: tuple[Value, ...]) -> tuple[dict[Value, float], dict[Value, float]]:
        """How far numbers that are rounded on the way take each value, and each gradient, if those of the stops are
        right."""
        key = writing, stops
        if key not in self.noise:
            rng, graph = Random(0), self.graph

            def rounded(x: float, exact: bool) -> float:
                unit, least = 2 * writing.half(x), EPSILON * abs(x)
                if not unit > least or (exact and abs(x - round(x / unit) * unit) <= least):
                    return x
                return x + rng.choice((-0.5, 0.5)) * unit

            fixed = {node: graph.gradients[node] for node in stops}
            rounding = Rounding(rounded, *self.on_paper)
            values, gradients = self.noise[key] = {}, {}
            for _ in range(TRIALS if len(graph.order) <= LARGEST else 0):
                trial = passes(graph, {}, fixed, rounding)
                for node in graph.order:
                    for most, x, right in ((values, trial.computed[node], node.data),
                                           (gradients, trial.found[node], graph.gradients[node])):
                        if isfinite(x - right):
                            most[node] = max(most.get(node, 0.0), abs(x - right))
        return self.noise[key]

    def roughness(self, right: Derivation, stops: tuple[Value, ...], way: Derivation, writing: Writing) -> float:
        """How far rounding takes a gradient from what the stops' gradients say. A larger one is rounded more; and a
        smaller one less, if it is to digits."""
        off = 1.5 * self.off(writing, stops)[1].get(right.x, 0.0)
        share = way.size / right.size if right.size else 1.0
        return max(off * (max(share, 1.0) if isfinite(writing.decimals) else share), self.tight * way.size)

    # Verdicts

    def judge(self, given: Handed, key: Key, node: Value, expected: float, ways: Sequence[Derivation | Computation],
              solid: Sequence[Derivation | Computation], rough: Sequence[float], coarse: Sequence[float], wrong: bool,
              vague: bool, seen: dict[tuple[Any, ...], Answer], line: Formula, symbol: Formula,
              forward: bool = False) -> Answer:
        """The verdict on one answer. ways: how it follows from other answers, and from the right ones; solid: the same
        for an answer of 0 without those that are 0 and wrong; rough, coarse: how far off rounding may be on each way,
        to the digits that were asked for, and to those that are written; wrong, vague: whether some of those other
        answers are wrong, or too coarse."""
        verdict, note = self.verdict(given, expected), given.problem
        if verdict == NOT_JUDGED:
            note = self.no_right_answer(node, forward)
        found: list[Candidate] = []
        x = given.value
        if verdict == WRONG and x is not None:
            most = [off / SURELY for off in rough] if self.vanishes(given) and self.lenient else rough
            follows = [j for j, way in enumerate(ways) if self.near(given, way.base, most[j], wrong)]
            from_zero = not any(self.near(given, solid[j].base, most[j], wrong) or ways[j].cancels for j in follows)
            may_be = given.may_be(expected) or any(given.may_be(way.base, off) for way, off in zip(solid, coarse))
            if follows and (not from_zero or self.would_be_right(given, expected)):
                verdict = COARSE if vague and (self.vanishes(given) or not wrong) else CARRIED if wrong else CLOSE
                note = AS_COARSE * (verdict == COARSE)
            elif may_be:
                verdict, note = COARSE, self.too_coarse(given, expected, wrong or vague)
            elif follows:
                verdict = FROM_ZERO
            elif self.vanishes(given) and any(self.near(given, way.base, off, wrong) for way, off in zip(solid, rough)):
                verdict, note = COARSE, "rounding on the way may have made this 0, but it is not"
            else:
                found = self.explanations(given, solid, rough, coarse)
                earlier = next((seen[one.key] for one in found if one.key in seen), None)
                if earlier is not None:
                    verdict, found = FROM_ZERO if self.vanishes(given) else CARRIED, []
                    note = f"the same mistake as in {earlier.called}" + ", and 0 shows no more" * self.vanishes(given)
        name = self.graph.names[node]
        meant = ""
        if (verdict == WRONG and not forward and not self.vanishes(given) and node.parents
                and self.verdict(given, node.data) in (EXACT, CLOSE)):
            short = self.nodes.typed(name)
            meant = f"forward {short}"
            note = (f"this is the value of {self.book.name(node)}; if that is what was asked for, hand it in as a "
                    f"forward value: forward={{{short!r}: ...}}, or in a file under the heading {meant!r}")
        called = symbol if forward else self.nodes.delta(key) or symbol
        opposite = replace(given, value=-x) if x else given
        if verdict == WRONG and called != symbol and self.verdict(opposite, expected) in (EXACT, CLOSE):
            note = f"{called} is {symbol} here; some books, such as Mitchell's and Haykin's, call −{symbol} so"
        mistakes = tuple(Mistake(one.kind, one.words) for one in found)
        error = None if x is None or verdict == NOT_JUDGED else relative(x, expected)
        answer = Answer(key if isinstance(key, str) else name, name, forward, symbol, called, given.given, x, expected,
                        error, verdict, mistakes, line, note, meant, node)
        seen.update((one.key, answer) for one in found if one.kind not in (QUANTITY, VALUE))
        return answer

    def verdict(self, given: Handed, expected: float) -> str:
        """The verdict on an answer by itself."""
        x = given.value
        if isnan(expected):
            return NOT_JUDGED
        if x is None:
            return UNREADABLE if given.problem else MISSING
        if x == expected:
            return EXACT
        if isnan(x):
            return UNREADABLE
        if not isfinite(x) or not isfinite(expected):
            return WRONG
        if abs(x - expected) <= max(PRECISION * abs(expected), TINY):
            return EXACT
        return CLOSE if self.fits(given, expected, self.loose * abs(expected)) else WRONG

    def fits(self, given: Handed, target: float, allowed: float) -> bool:
        """Whether an answer is a number, or that number rounded to what was asked for."""
        assert given.value is not None
        off = abs(given.value - target)
        return off <= max(allowed, self.asked.half(target) * (1 + PRECISION)) or (
            self.lenient and given.rounds(target))

    def too_coarse(self, given: Handed, expected: float, spoilt: bool) -> str:
        """What to say of an answer whose digits do not tell whether it is right. spoilt: some earlier answers are not
        right, or too coarse themselves."""
        remedy = f"give {FEWEST if self.lenient else self.asked}"
        if given.may_be(expected):
            n = given.digits if given.value else 0
            digits = "its one digit does" if n == 1 else f"its {n} digits do" if n else "a 0 does"
            return (f"{shown(given.given)} could be the right {number_of(expected)}, rounded, but {digits} not tell "
                    f"right from wrong: {remedy}")
        source = "your earlier answers" if spoilt else "the right numbers, rounded on the way"
        return (f"{shown(given.given)} could come from {source}, but with so few digits nothing tells right from "
                f"wrong: {remedy}, and keep one more on the way")

    # Formulas at other points

    def in_general(self, marked: Mapping[Value, Answer], read: HandedIn, wrong_forward: bool) -> dict[Value, Answer]:
        """The same answers, but for those that are right for these numbers only. Whether another one follows from these
        goes by their numbers, as ever."""
        found = dict(marked)
        for node, answer in marked.items():
            reference = read.formulas.get((answer.forward, node))
            if reference is None or not answer.right:
                continue
            if not self.points():
                found[node] = replace(answer, note=answer.note or UNTRIED)
                continue
            rounded = answer.verdict != EXACT
            key = node, answer.forward, rounded, answer.given
            if key not in self.tried:
                self.tried[key] = read.tried(node, reference, answer.forward, self.points(), rounded)
            result = self.tried[key]
            if result is False:
                found[node] = replace(answer, note=answer.note or UNKNOWN)
            if isinstance(result, Failure) and answer.verdict == CARRIED:
                # It may be written out from wrong formulas. From a wrong number, who knows; and with a note it is the
                # same mistake as another.
                unknown = [other for other, above in marked.items() if above.verdict in (WRONG, CARRIED)
                           and (False, other) not in read.formulas and other not in reference.gradients.values()]
                known = not (answer.forward or answer.note or wrong_forward or unknown)
                result = known and read.follows(node, self.points(), rounded)
            if isinstance(result, Failure):
                found[node] = replace(answer, verdict=SPECIAL, note=self.where_wrong(node, answer, reference, result))
        return found

    def where_wrong(self, node: Value, answer: Answer, reference: Reference, failure: Failure) -> str:
        """What a formula gives at a point where it is wrong, with the numbers to work it out."""
        book, graph, numbers = self.book, self.graph, failure.numbers
        at = reference.at(graph, numbers, {})
        names: dict[Formula, float] = {}
        for name in reference.expression.names:
            if name in reference.locals:
                names[partial(graph, *reference.locals[name])] = at[name]
            elif name in reference.gradients:
                names[book.gradient(reference.gradients[name])] = at[name]
            else:
                names[book.name(reference.values[name])] = at[name]
        names.update((book.name(leaf), numbers.values[leaf]) for leaf in self.leaves_beside(node, answer.forward)
                     if numbers.values[leaf] != leaf.data)
        digits = next((digits for digits in range(4, 12)
                       if number_of(failure.found, digits) != number_of(failure.right, digits)), 12)
        found, right = (number_of(x, digits) for x in (failure.found, failure.right))
        shown = [f"{name} = {number_of(x)}" for name, x in [*names.items()][:MOVED]]
        where = f"with {', '.join(shown)}{', …' * (len(names) > MOVED)} your formula gives {found}, where {right}"
        if answer.verdict == CARRIED:
            return f"this follows from your other answers for these numbers, but not in general: {where} follows"
        return f"right for these numbers, but not in general: {where} is right"

    def leaves_beside(self, node: Value, forward: bool) -> list[Value]:
        """The leaves that the right formula of a gradient, or a forward value, may use."""
        stops = dict.fromkeys(other for other in self.graph.order if other.parents and self.book.is_named(other))
        if forward:
            inner = Computation(self.book, node, stops, self.right).inner
            near = [parent for each in inner for parent in each.parents]
        else:
            near = [parent for edge in Derivation(self.book, node, stops, self.right, self.rates).edges
                    for i, parent in enumerate(edge.node.parents)
                    if i != edge.i and edge.node.op not in (ops.add, ops.sub)]
        return [leaf for leaf in near if not leaf.parents and self.graph.names[leaf]]

    def would_be_right(self, given: Handed, expected: float) -> bool:
        """Whether an answer is a formula that is right with the right gradients in it."""
        right = given.with_right
        return right is not None and self.verdict(replace(given, value=right), expected) in (EXACT, CLOSE)

    def from_zero(self, zeros: Iterable[Value], way: Derivation | Computation) -> str:
        """The forward values of 0 that another answer follows from."""
        beside = way.beside
        names = [self.book.name(node) for node in zeros if node in beside] or [*map(self.book.name, zeros)]
        return f"follows from 0: your {in_words(names)} {are(names)} 0"

    def no_right_answer(self, node: Value, forward: bool) -> str:
        """Why there is nothing to hold an answer against."""
        reason = None if forward else undefined(self.graph, node)
        if reason is not None:
            return f"no right answer, as {reason.sentence}"
        return f"no right answer: {self.book.name(node)} is nan here"

    def near(self, given: Handed, target: float, rough: float, wrong: bool) -> bool:
        """Whether an answer follows from others, which makes it a number that it may be off by rounding. Of wrong ones
        one digit shows nothing: 1e-20 would follow from 1e-20, whatever the factor."""
        assert given.value is not None
        if not isfinite(given.value - target):
            return given.value == target
        own = max(self.tight * abs(target), self.asked.half(target)) + (rough if isfinite(rough) else 0.0)
        return abs(given.value - target) <= own or ((given.digits > 1 or not wrong) and self.fits(given, target, own))

    def explanations(self, given: Handed, ways: Sequence[Derivation | Computation], rough: Sequence[float],
                     coarse: Sequence[float]) -> list[Candidate]:
        """The mistakes that lead to this number, the most likely first."""
        x = given.value
        assert x is not None
        found: dict[Any, tuple[float, float, Candidate]] = {}
        few = given.half > FEW * abs(x) * (1 + PRECISION)
        for order, (way, off) in enumerate(zip(ways, rough)):
            if order and way.base == ways[0].base and way.numbers is ways[0].numbers:
                continue
            for one in way.candidates():
                miss = abs(x - one.value)
                if not isfinite(miss) or not isfinite(off):
                    continue
                if x == 0 and (abs(one.value) > TINY or one.kind in (QUANTITY, VALUE)):  # 0.000 shows nothing
                    continue
                if few and not given.may_be(one.value, coarse[order]):
                    continue
                if not few and not miss <= max(off + self.tight * abs(one.value), given.half * (given.digits >= 3)):
                    continue
                exactly = miss <= given.unsure(self.tight) * 1.01 + PRECISION * abs(x)
                score = one.rank + 0.3 * order + (0.0 if exactly else 0.7)
                same = REVERSED if one.kind == REVERSED else one.words  # the sign of one product, wherever it turned
                if same not in found or score < found[same][0]:
                    found[same] = score, miss, one
        best = sorted(found.values(), key=lambda entry: entry[:2])
        values = [one.value for _, _, one in best if not one.whole]
        best = [entry for entry in best if not (entry[2].whole and any(map(entry[2].same, values)))]
        hit = [entry for entry in best if entry[1] <= PRECISION * abs(x)]  # where few digits are all that there are
        if few and hit:
            best, few = hit, False
        likely = [one for score, _, one in best if few or score <= best[0][0] + NEAR]
        if len({one.kind for one in likely}) > (1 if x == 0 or few else EXPLANATIONS):  # so many that none is likely
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
        if isnan(self.graph.gradients[x]):  # nothing is simplified: what makes it nan would cancel
            pieces = []
            steps.append(worked_out(self.graph, x, right.tops))
        elif not pieces or width(pieces) > WIDEST:
            labelled = {node: None for node in self.graph.order if node.parents and book.is_named(node)}
            pieces = self.pieces(Derivation(book, x, labelled, self.right, self.rates))
        if pieces and width(pieces) <= WIDEST_OF_LABELS:
            steps += [self.sum_of_products(pieces, numbers) for numbers in (False, True)]
        self.lines[key] = equation(*steps, number_of(self.graph.gradients[x]))
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
                    text = name.latex if notation is LATEX else name.text
                    factors.insert(0, Written(text, "sum" if numbers and upstream < 0 else "atom"))
                product = chained(factors, notation)
                result = product if result is None else apply(ops.add, [result, product], notation)
            assert result is not None
            return result
        return both(write)

    def forward_line(self, node: Value) -> Formula:
        """The right step to a forward value."""
        if not node.parents:
            return equation(self.book.name(node), number_of(node.data))
        term = combine(node.op, self.book.terms.of_parents(node))
        if term.size > WIDEST_OF_LABELS:
            return equation(self.book.name(node), number_of(node.data))
        return equation(self.book.name(node), formula_of(term), formula_of(term, numbers=True), number_of(node.data))


def width(pieces: Iterable[tuple[Value, Term]]) -> int:
    return sum(term.size for _, term in pieces)


def are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def relative(x: float, expected: float) -> float:
    """The error relative to the right number; inf if that is 0."""
    if x == expected:
        return 0.0
    return abs(x - expected) / abs(expected) if expected and isfinite(expected) else nan if isnan(x) else inf


def grade(root: Value, answers: Sheet, forward: Sheet | None = None, *, ask: Iterable[Key] = (),
          lr: float | None = None, digits: int | None = None, decimals: int | None = None,
          want: str = "any") -> Report:
    """Mark a derivation that was done by hand: the gradients of root, and the forward values if they are given.

    An answer is close if it is right to 0.5 %, if it is rounded right to two digits or more and at most 2 % off, or to
    three decimals (0.000 for 0.000455), or if it follows, rounded, from other answers. With decimals or digits, it is
    close if it is right to so many, where all numbers on the way may be rounded to as many, too.

    An answer that is not close, but may be right as far as the digits go that are written, is "too coarse": 0.01 for
    0.0082. Of the numbers on the way it is assumed that they were rounded as those on the sheet are: to as many
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
            An answer is a number, as text if zeros at its end shall count as digits
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
        TypeError: for what is no number or expression.

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
        ValueError: as `grade` does, with the student; for a file that is none, with the line; for headings that are not
            understood, such as the parts a) and b) of a question, all of them, with their columns, or lines.
        TypeError: for what is no number or expression.

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
        raise TypeError("sheets is the path of a CSV file, or a dict {student: answers} of one student at least, found "
                        f"{type(sheets).__name__} {sheets!r:.40}")
    students: dict[Key, list[str]] = {}
    for student, sheet in sheets.items():
        if not isinstance(sheet, Mapping):
            raise TypeError(f"the answers of {student!r} are a dict, found {type(sheet).__name__} {sheet!r:.40}")
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
