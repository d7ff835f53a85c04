"""What was handed in: an answer as a number, with the digits that it is written with, or as an expression that becomes
one.

This module does not know whether an answer is right. It refuses those that are no answer: what uses what it answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import floor, inf, isfinite, isnan, log10

from ..arguments import as_float, is_number
from ..engine import Value
from ..formulas.algebra import Number as NumberTerm
from ..formulas.algebra import Term, combine
from ..formulas.factors import depending_on, links
from ..formulas.graph import Graph, Pass, passes
from ..formulas.layout import OPERATOR
from ..formulas.parse import Expression, ExpressionError, Name, Names, parse
from .answer import DATE, NUMBER, Numeral, has_decimal_commas, numeral, precision, refuse_doubts, sides_of, tidied
from .keys import DERIVATIVE, Given, Nodes
from .points import Failure, Point, Points, Source, Trial, computed_from, half_unit, is_lost, slope_between

PRECISION = 1e-9    # relative; an answer this near was not rounded
TINY = 1e-15        # an answer of 0 is as near as that to a difference that would be 0 without rounding
SLOPPY = 0.02       # relative; the most that is forgiven to an answer of two digits
SUCH_AS = 4         # names that are an example
NOTHING = ("", "?", "-", "–", "nan")
UNROUNDED = 9       # significant digits, or more: as a calculator shows them
ROUND = 3           # decimals; an answer that is right to so many that are written is rounded, even 0.000

ANY, NUMBER_WANTED, FORMULA_WANTED = WANTS = ("any", "number", "formula")  # what an answer has to be

OFF = 0.1           # relative; how far what is written after an = may be from what stands before it
NO_LABEL = re.compile(r"[,;:?]|\d\s+[^\W\d]|[^\W\d_]\s+\d")  # 0.3, b and 0.3 b of "0.3, b = 0.5"
MONTH = re.compile(r"(?i)(\d{1,4}[-./ ]+)?(jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*\.?"
                   r"([-./ ]+\d{1,4})?")


@dataclass(frozen=True, slots=True)
class Writing:
    """How somebody writes numbers: to so many decimals, or to so many significant digits; inf if not to any."""

    decimals: float = inf
    digits: float = inf

    def half(self, x: float) -> float:
        """Half a unit of the last digit that is written of a number. Where there are two, the coarser counts."""
        return max(0.5 * 10.0 ** -self.decimals, half_unit(x, self.digits)) if isfinite(x) else 0.0

    def __str__(self) -> str:
        n, what = (self.digits, "significant digit") if self.decimals == inf else (self.decimals, "decimal")
        return f"{n:.0f} {what}{'s' * (n != 1)}"


@dataclass(frozen=True, slots=True)
class Handed:
    """An answer as it was handed in, and what it says.

    value: its number, None if it has none. half: half a unit of its last digit; of an expression, what those of the
    numbers in it come to. digits, decimals: how many significant ones it has, and how many after the point. problem:
    why it cannot be read. with_right: what an expression that uses the student's own gradients comes to with the right
    ones; None for others. formula: what stands before the =, where the number stands behind it.
    """

    given: str | float | None
    value: float | None = None
    half: float = 0.0
    digits: int = 17
    decimals: int = 17
    problem: str = ""
    with_right: float | None = None
    formula: Reference | None = None

    def rounds(self, target: float) -> bool:
        """Whether this is the target, rounded to the digits that are written; to enough of them."""
        if self.value is None or not self.may_be(target):
            return False
        return self.decimals >= ROUND or (self.value != 0 and self.digits >= 2
                                          and abs(self.value - target) <= SLOPPY * abs(target))

    def may_be(self, target: float, off: float = 0.0) -> bool:
        """Whether this may be the target, rounded to the digits that are written, if that is off by so much."""
        return self.value is not None and isfinite(self.value - target) and (
            abs(self.value - target) <= (self.half + off) * (1 + PRECISION))

    def unsure(self, tight: float) -> float:
        """How far the number may be from the unrounded one, and be called right. Of a float nobody knows how many
        zeros it ended in."""
        if self.value is None:
            return 0.0
        return min(self.half, (SLOPPY if isinstance(self.given, str) else tight) * abs(self.value))

    @property
    def is_whole(self) -> bool:
        """Whether no digit after the point is seen, so that its zeros may or may not have been rounded: 1200, 3, 0."""
        return self.value is not None and self.value.is_integer() and (
            self.decimals <= 0 or not isinstance(self.given, str))

    def written(self, writing: Writing) -> Handed:
        """The same, where the other answers tell how its author writes numbers: a float 0.1 may be 0.10, and 1200 may
        be 1234 to two digits."""
        if self.value is None or not isfinite(self.value) or (isinstance(self.given, str) and not self.is_whole):
            return self
        half = writing.half(self.value)
        half = half if self.is_whole and self.value else min(self.half, half)
        digits, decimals = counted(self.value, half) if half else (self.digits, self.decimals)
        return replace(self, half=half, digits=digits, decimals=decimals)


def finite(read: Mapping[Value, Handed]) -> dict[Value, float]:
    """The answers that are numbers to go on with."""
    return {node: given.value for node, given in read.items() if given.value is not None and isfinite(given.value)}


def counted(x: float, half: float) -> tuple[int, int]:
    """How many significant digits, and how many decimals, a number has, if so much is half a unit of the last."""
    decimals = floor(-log10(2 * half) + PRECISION)
    return max(floor(log10(abs(x))) + 1 + decimals, 0) if x else 0, decimals


def writing_of(answers: Iterable[Handed]) -> Writing:
    """How the author of these numbers writes them: to as many decimals, or significant digits, as are seen at most.

    The coarser of the two counts, which is decimals for 0.14, 0.08 and 0.00, and digits for 0.14, 0.082 and 0.0044.
    Where one is the coarser for some numbers, and the other for others, each counts for these. A few numbers that were
    not rounded at all do not count.
    """
    numbers = [(one, one.value) for one in answers if one.value is not None and isfinite(one.value)]
    rounded = [(one, x) for one, x in numbers if one.digits < UNROUNDED]
    numbers = rounded if len(rounded) > len(numbers) / 2 else numbers
    nonzero = [(one, x) for one, x in numbers if x]
    decimals = max((one.decimals for one, _ in numbers if not (one.is_whole and nonzero)), default=0)
    digits = max((len(f"{abs(x):.0f}".rstrip("0")) if one.is_whole else one.digits for one, x in nonzero), default=0)
    by_decimals = Writing(decimals=decimals if decimals > 0 else inf)
    by_digits = Writing(digits=max(digits, 2) if nonzero else inf)  # nobody means to write one
    ratios = [by_decimals.half(x) / by_digits.half(x) for _, x in nonzero] or [1.0]
    if min(ratios) > 0.99 and max(ratios) > 1.01:
        return by_decimals
    if max(ratios) < 1.01 and min(ratios) < 0.99:
        return by_digits
    return Writing(by_decimals.decimals, by_digits.digits)


def handed(given: Given, where: str) -> Handed | list[str]:
    """What was handed in, if that is a number or nothing; else the sides of a text. Raises ExpressionError."""
    if given is None or (isinstance(given, float) and isnan(given)):
        return Handed(None)
    if isinstance(given, Decimal):
        given = str(given)  # zeros at its end count
    if isinstance(given, str):
        text = tidied(given)
        sides = [] if text.lower() in NOTHING else sides_of(text)
        return sides if sides and sides[-1].lower() not in NOTHING else Handed(None)
    if isinstance(given, Value) or not is_number(given):
        raise TypeError(f"the answer for {where} is a number or an expression, found {type(given).__name__} "
                        f"{given!r:.40}")
    return number(as_float(given), whole=not isinstance(given, float))


def number(x: float, whole: bool = False) -> Handed:
    """A float, at the digits that Python writes; whole: without those after the point, where they are 0."""
    match = NUMBER.fullmatch(repr(x).removesuffix(".0" * whole))
    return Handed(x, x, *precision(match)) if match else Handed(x, x)


NO_VALUE = "this has no value: something in it is undefined, as 0/0 and ln(-1) are"


@dataclass(frozen=True, slots=True)
class Reference:
    """An expression, with what the names in it stand for."""

    text: str  # as it was read; in that of the expression, names of one sign stand for ∂C/∂a⁴
    expression: Expression
    values: dict[str, Value]
    gradients: dict[str, Value]
    locals: dict[str, tuple[Value, Value]]  # derivatives of other nodes than the root: of what, by what

    def at(self, graph: Graph, numbers: Pass, own: Mapping[Value, float]) -> dict[str, float]:
        """The numbers of the names at a point. own: gradients that are somebody's own."""
        return {**{name: numbers.values[node] for name, node in self.values.items()},
                **{name: own.get(node, numbers.found[node]) for name, node in self.gradients.items()},
                **{name: slope_between(graph, numbers, y, x) for name, (y, x) in self.locals.items()}}

    def error(self, name: str, message: str) -> ExpressionError:
        """An error at the place where a name stands."""
        return ExpressionError(self.text, self.place_of(name), message)

    def written(self, name: str) -> str:
        """What is written where the name of a derivative stands."""
        place = self.place_of(name)
        return self.text[place:place + len(name)]

    def place_of(self, name: str) -> int:
        return next(step.place for step in self.expression.program if isinstance(step, Name) and step.name == name)


class HandedIn:
    """What one student handed in, read: expressions become numbers.

    In an expression a label stands for the right forward value, and δ⁴ or ∂C/∂a⁴ for the student's own answer, or for
    the right gradient where there is none. So an answer that uses what it answers, or what is only worked out from
    that, would be right whatever it says, and is refused. Where an expression is tried at another point, all are right
    ones of there. want: see `grade`.
    """

    def __init__(self, nodes: Nodes, points: Points, gradients: Mapping[Value, Given],
                 forward: Mapping[Value, Given], want: str = ANY) -> None:
        self.nodes, self.graph, self.points, self.want = nodes, nodes.graph, points, want
        self.gradients: dict[Value, Handed] = {}
        self.forward: dict[Value, Handed] = {}
        self.formulas: dict[tuple[bool, Value], Reference] = {}  # (forward, node): each after those that it refers to
        self.borrowed: dict[Value, dict[Value, None]] = {}  # by answer: the right gradients that it makes use of
        self.comma = has_decimal_commas([*forward.values(), *gradients.values()])
        read = [(own, sheet, {node: self.said(node, given, own) for node, given in sheet.items()})
                for own, sheet in ((self.forward, forward), (self.gradients, gradients))]
        self.writing = writing_of(one for _, _, said in read for one in said.values() if isinstance(one, Handed))
        for own, sheet, said in read:
            own.update((node, one.written(self.writing)) for node, one in said.items() if isinstance(one, Handed))
            self.formulas.update(((own is self.forward, node), one.formula) for node, one in own.items() if one.formula)
            self.settle({node: one for node, one in said.items() if isinstance(one, Reference)}, sheet, own)

    def said(self, node: Value, given: Given, own: dict[Value, Handed]) -> Handed | Reference:
        """What an answer says, as far as that can be told by itself."""
        try:
            sides = handed(given, self.graph.names[node])
            read = sides if isinstance(sides, Handed) else self.read(node, str(given), sides, own)
            formula = read if isinstance(read, Reference) else read.formula
            if not isinstance(read, Handed) or read.value is not None:
                self.refuse_what_is_not_wanted(node, str(given), formula, own is self.forward)
            if isinstance(read, Reference):
                self.refuse_what_is_asked(node, read, own is self.forward)
            return read
        except ExpressionError as error:
            return Handed(given, problem=str(error))

    def refuse_what_is_not_wanted(self, node: Value, text: str, formula: Reference | None, forward: bool) -> None:
        """An ExpressionError for a number where a formula is wanted."""
        if self.want == FORMULA_WANTED and not self.is_formula(node, formula, forward):
            raise ExpressionError(text, 0, "a formula is asked for, and there is no name in this; write it with names, "
                                           f"such as {', '.join(list(self.nodes.names.names)[:SUCH_AS])}")

    def refuse_what_is_asked(self, node: Value, reference: Reference, forward: bool) -> None:
        """An ExpressionError for an answer that names what it answers; for a forward value also if it uses anything
        that is computed from that."""
        place, called = self.nodes.book.place, self.nodes.book.name
        for name in reference.expression.names:
            other = (reference.values if forward else reference.gradients).get(name)
            if other is node:
                raise reference.error(name, "this is what is asked for")
            if not forward:
                continue
            if other is None:
                raise reference.error(name, "derivatives are worked out from forward values; work "
                                            f"{called(node)} out without them")
            if place[other] > place[node] and other in computed_from(self.graph, node):
                raise reference.error(name, f"{called(other)} is computed from {called(node)}; work {called(node)} out "
                                            "from what it is computed from")

    def uses_what_is_asked(self, node: Value, reference: Reference, forward: bool) -> bool:
        """Whether an expression would be refused for that, if it were the answer."""
        try:
            self.refuse_what_is_asked(node, reference, forward)
        except ExpressionError:
            return True
        return False

    def refuse_what_is_borrowed(self, node: Value, reference: Reference) -> None:
        """An ExpressionError for an answer that makes use of a right gradient which is only worked out from what is
        asked for; of any, where a number is wanted."""
        place, called = self.nodes.book.place, self.nodes.book.gradient
        borrowed = self.borrowed[node] = {}
        for name, other in reference.gradients.items():
            needs = self.borrowed.get(other, {}) if self.is_answered(other) else {other: None}
            if needs and self.want == NUMBER_WANTED:
                raise reference.error(name, f"a number is asked for, and {called(other)} is not answered on this "
                                            "sheet; work it out")
            for one in needs:
                if place[one] < place[node] and node in depending_on(self.graph, one):
                    raise reference.error(name, f"{called(one)} is not answered on this sheet, and is worked out from "
                                                f"{called(node)}, which is asked for; begin with what {called(node)} "
                                                "is worked out from")
            borrowed.update(needs)
        for name in reference.locals if self.want == NUMBER_WANTED else ():
            raise reference.error(name, f"a number is asked for, and {reference.written(name)} is not answered on this "
                                        "sheet; work it out")

    def is_answered(self, node: Value) -> bool:
        """Whether the gradient of a node is a number of this sheet; that of the root is 1 for everybody."""
        return node is self.graph.root or (node in self.gradients and self.gradients[node].value is not None)

    def is_formula(self, node: Value, reference: Reference | None, forward: bool) -> bool:
        """Whether an answer has names in it, unless the formula that is right has none either."""
        if reference is not None and reference.expression.names:
            return True
        if forward:
            right = combine(node.op, self.nodes.book.terms.of_parents(node)) if node.parents else None
        else:
            right = self.formula_of_book(node)
        return right is None or isinstance(right, NumberTerm)

    def settle(self, waiting: dict[Value, Reference], sheet: Mapping[Value, Given], own: dict[Value, Handed]) -> None:
        """Evaluate the expressions, each after those that it refers to."""
        while waiting:
            ready = [node for node, reference in waiting.items()
                     if own is self.forward or not any(other in waiting for other in reference.gradients.values())]
            for node in ready or in_circles(waiting):
                text, reference = str(sheet[node]), waiting.pop(node)
                try:
                    if not ready:
                        raise ExpressionError(text, 0, "this answer refers to itself, by way of others")
                    if own is self.gradients:
                        self.refuse_what_is_borrowed(node, reference)
                    x = self.evaluate(reference)
                    if self.is_right_but_for_rounding(x, node, reference, own is self.forward):
                        x = node.data if own is self.forward else self.graph.gradients[node]
                    with_right = self.evaluate(reference, own=False) if reference.gradients else None
                    own[node] = Handed(text, x, *self.precision(x, reference), problem=NO_VALUE * isnan(x),
                                       with_right=with_right)
                    if reference.expression.names:
                        self.formulas[own is self.forward, node] = reference
                except ExpressionError as error:
                    own[node] = Handed(text, problem=str(error))

    def read(self, asked: Value, given: str, sides: list[str], own: dict[Value, Handed]) -> Handed | Reference:
        """What the sides of an answer say, dC/dw = (a − y)·x = −0.0942 ≈ −0.1: the number of most digits, or else the
        last expression. The first side may be the name of what is asked for. Raises ExpressionError where they say
        different things."""
        numbers: list[tuple[str, Numeral]] = []
        expressions: list[tuple[str, Reference]] = []
        for place, side in enumerate(sides):
            refuse_doubts(side, self.nodes.names, self.comma)
            number = numeral(side)
            if number:
                numbers.append((side, number))
            elif not (place == 0 < len(sides) - 1 and self.is_label(side, asked, own is self.gradients)):
                try:
                    expressions.append((side, self.parse(side)))
                except ExpressionError:
                    if MONTH.fullmatch(side):
                        raise ExpressionError(side, 0, DATE) from None
                    if place == len(sides) - 1 or NO_LABEL.search(side) or not re.search(r"[^\W\d_]", side):
                        raise
        if len(sides) == 1 and expressions:
            return expressions[0][1]
        plain = [(side, self.evaluate(reference)) for side, reference in expressions if not reference.gradients]
        if numbers:
            said, best = max(reversed(numbers), key=lambda pair: pair[1].digits)
            off = [side for side, number in numbers if not number.agrees(best)]
            off += [side for side, x in plain if not is_near(x, best.value, best.half)]
        else:
            said = plain[-1][0] if plain else ""
            off = [side for side, x in plain if not is_near(x, plain[-1][1], 0.0)]
        if off:
            raise ExpressionError(off[0], 0, f"this is not {said}, and the answer says that they are equal; write the "
                                             "one or the other")
        if not numbers:
            return expressions[-1][1]
        formulas = [reference for _, reference in expressions if reference.expression.names
                    and not self.uses_what_is_asked(asked, reference, own is self.forward)]
        return Handed(given, *best, formula=formulas[-1] if formulas else None)

    def is_label(self, side: str, asked: Value, is_gradient: bool) -> bool:
        """Whether the first side is a name of what is asked for. Raises ExpressionError for another gradient."""
        quotient = DERIVATIVE.fullmatch(side.removeprefix("(").removesuffix(")"))  # that of \frac brackets
        node = self.node_or_none(quotient[2]) if quotient and self.node_or_none(quotient[1]) is None else None
        if node is None:
            try:
                reference = self.parse(side)
            except ExpressionError:
                return False
            if len(reference.expression.program) > 1 or not reference.expression.names:
                return False
            [name] = reference.expression.names
            if name not in reference.gradients:
                return self.nodes.by_name.get(name) is asked
            node = reference.gradients[name]
        if not is_gradient or (node is not asked and self.graph.gradients[node] != self.graph.gradients[asked]):
            raise ExpressionError(side, 0, "this is not what is asked for here; write the answer without its name")
        return True

    def parse(self, text: str) -> Reference:
        """Read an expression. In it may be names that only the library gives, v₁, as its derivations have them."""
        try:
            return self.parsed(text, self.nodes.by_name)
        except ExpressionError:
            if len(self.nodes.printed) > len(self.nodes.by_name):
                try:
                    return self.parsed(text, self.nodes.printed)
                except ExpressionError:
                    pass
            raise

    def parsed(self, text: str, nodes: Mapping[str, Value]) -> Reference:
        """Read an expression, ∂C/∂a⁴ and the like included: each stands behind a name as long as itself."""
        self.refuse_signs_of_names(text)
        gradients, stand_ins = dict(self.nodes.deltas), {}
        slopes: dict[str, tuple[Value, Value]] = {}
        plain, names = text, self.nodes.names if nodes is self.nodes.by_name else Names([*nodes, *gradients])
        for number, match in enumerate(DERIVATIVE.finditer(text)):
            above, below = (self.node_or_none(word, names) for word in match.groups())
            if above is None or below is None:
                continue
            stand_in = chr(0x20000 + number) * len(match[0])
            stand_ins[stand_in] = match[0]
            plain = plain[:match.start()] + stand_in + plain[match.end():]
            if above is self.graph.root:
                gradients[stand_in] = below
            else:
                self.refuse_two_slopes(above, below, text, match.start())
                slopes[stand_in] = above, below
        if plain != text:
            names = Names([*nodes, *gradients, *slopes])
        try:
            expression = parse(plain, names, loosely=True)
        except ExpressionError as error:
            message = error.message
            for stand_in, written in stand_ins.items():
                message = message.replace(stand_in, written)
            raise ExpressionError(text, error.place, message) from None
        values = {name: nodes[name] for name in expression.names if name in nodes}
        gradients = {name: node for name, node in gradients.items() if name in expression.names}
        slopes = {name: pair for name, pair in slopes.items() if name in expression.names}
        return Reference(text, expression, values, gradients, slopes)

    def refuse_signs_of_names(self, text: str) -> None:
        """Raise ExpressionError for w+ + 1 and ∂C/∂x*w, where a node is called w+, or x*w."""
        for name in self.nodes.with_signs:
            spelling = re.escape(name)
            at_its_end = rf"|{spelling}(?=\s*(?:$|[-−–+*/·×^)]))" if OPERATOR.match(name[-1]) else ""
            found = re.search(f"[∂d]{spelling}{at_its_end}", text) if name in text else None
            if found:
                raise ExpressionError(text, found.start(), f"this can be the name {name!r} or arithmetic; for "
                                                           "arithmetic write brackets, as in (w) + 1")

    def refuse_two_slopes(self, y: Value, x: Value, text: str, place: int) -> None:
        """Raise ExpressionError where ∂y/∂x is one number along all paths, and another along the direct ones, with the
        other named nodes held fixed, as a product of the chain rule means it."""
        book, between = self.nodes.book, depending_on(self.graph, x)
        total = slope_between(self.graph, self.points.own, y, x)
        found = links(y, book.terms.names, between, book.terms, book.place) if y in between else []
        direct = next((link.local for link in found if link.x is x), total)
        if abs(direct - total) > PRECISION * abs(total):
            raise ExpressionError(text, place, "this can be the direct effect alone, or that along all paths; write "
                                               "what it is")

    def node_or_none(self, word: str, names: Names | None = None) -> Value | None:
        """The node that a word means, for one of the names; those of the graph, if there are none."""
        meant = (names or self.nodes.names).meant(word)
        if len(meant) == 1 and meant[0] in self.nodes.printed:
            return self.nodes.printed[meant[0]]
        try:
            return self.nodes.spelled(word)
        except ValueError:
            return None

    def evaluate(self, reference: Reference, own: bool = True) -> float:
        """The number of an expression, with the student's own gradients or with the right ones."""
        return float(reference.expression.evaluate(self.meaning(reference, own)))

    def meaning(self, reference: Reference, own: bool = True) -> dict[str, float]:
        """The numbers of the names in an expression, at the graph's own point."""
        answered = {node: given.value for node, given in self.gradients.items() if given.value is not None and own}
        return reference.at(self.graph, self.points.own, answered)

    def precision(self, x: float, reference: Reference) -> tuple[float, int, int]:
        """Half a unit of the last digit of an expression, significant digits, decimals: what those of the numbers in it
        come to. Whole numbers, and those of the graph, were not rounded."""
        program, half = reference.expression.program, 0.0
        rounded = {place: number(step) for place, step in enumerate(program)
                   if isinstance(step, float) and not step.is_integer() and step not in self.nodes.exact}
        writing = writing_of(rounded.values())
        for place, one in rounded.items():
            assert one.value is not None
            moved = (*program[:place], one.value + one.written(writing).half, *program[place + 1:])
            y = self.evaluate(replace(reference, expression=replace(reference.expression, program=moved)))
            half += abs(y - x) if isfinite(y) else 0.0
        return (half, *counted(x, half)) if half and isfinite(x) else (0.0, 17, 17)

    # The same at other points

    def is_right_but_for_rounding(self, x: float, node: Value, reference: Reference, forward: bool) -> bool:
        """Whether an expression is what a derivation comes to, though its number is another: a/y has none at (0, 0),
        and a(1 − a) loses digits where a is nearly 1."""
        right = node.data if forward else self.graph.gradients[node]
        if reference.gradients or not isfinite(right) or abs(x - right) <= PRECISION * abs(right):
            return False
        return (is_lost(reference.expression, self.meaning(reference), right)
                and self.tried(node, reference, forward, self.points(across_kinks=True)) is True)

    def tried(self, node: Value, reference: Reference, forward: bool, at: Sequence[Point], rounded: bool = False,
              ) -> Failure | bool:
        """How a formula does at other points: see `Trial`."""
        asked = Source("value" if forward else "gradient", node)
        trial = Trial(self.points, asked, reference.expression, reference.values.values())
        return trial(at, lambda point: reference.at(self.graph, point, {}), lambda point: point.right(node, forward),
                     rounded)

    def follows(self, node: Value, at: Sequence[Point], rounded: bool) -> Failure | bool:
        """The same for a gradient that need not be right, but follow from the formulas for others that are here."""
        def own(point: Point) -> dict[Value, float]:
            found: dict[Value, float] = {}
            for (forward, other), reference in self.formulas.items():
                if not forward and other is not node:
                    found[other] = float(reference.expression.evaluate(reference.at(self.graph, point, found)))
            return found

        def target(point: Point) -> tuple[float, float]:
            leaves = {leaf: point.values[leaf] for leaf in self.graph.order if not leaf.parents}
            return passes(self.graph, leaves, own(point)).found[node], point.sizes[node]

        reference = self.formulas[False, node]
        trial = Trial(self.points, Source("gradient", node), reference.expression, reference.values.values())
        return trial(at, lambda point: reference.at(self.graph, point, own(point)), target, rounded)

    def formula_of_book(self, node: Value) -> Term | None:
        """What a derivation of the gradient of a node comes to, in names; None for those that are 0 or 1 always."""
        between = depending_on(self.graph, node)
        if not between or node is self.graph.root:
            return None
        [link] = links(self.graph.root, (node,), between, self.nodes.book.terms, self.nodes.book.place)
        return link.formula


def in_circles(waiting: Mapping[Value, Reference]) -> list[Value]:
    """Those of the answers that refer to themselves, by way of others."""
    found = []
    for node in waiting:
        met: dict[Value, None] = {}
        stack = [node]
        while stack:
            for other in waiting[stack.pop()].gradients.values():
                if other in waiting and other not in met:
                    met[other] = None
                    stack.append(other)
        found += [node] * (node in met)
    return found


def is_near(x: float, y: float, half: float) -> bool:
    """Whether two sides of an answer may be the same, computed with rounded numbers."""
    return x == y or (isnan(x) and isnan(y)) or abs(x - y) <= OFF * max(abs(x), abs(y)) + half
