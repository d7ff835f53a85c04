"""The sheet that one student handed in, read: its expressions become numbers.

This module does not know whether an answer is right. It refuses what is not an answer: what uses what it answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import isfinite, isnan

from ..engine import Value
from ..formulas.algebra import Number as NumberTerm
from ..formulas.algebra import Term, combine, links
from ..formulas.expression import ExpressionError
from ..formulas.graph import depending_on, passes
from ..formulas.labels import OPERATOR, Names
from ..formulas.parse import parse
from .answer import (
    DATE,
    PRECISION,
    Numeral,
    Reference,
    Submitted,
    digits_of,
    has_decimal_commas,
    numeral,
    of_float,
    refuse_doubts,
    submitted,
    writing_of,
)
from .points import Points, Probe, Source, computed_from, slope_between
from .sheets import DERIVATIVE, Given, Nodes
from .trial import Failure, Trial, is_lost

TINY = 1e-15        # an answer of 0 is as near as that to a difference that would be 0 without rounding
SUCH_AS = 4         # names that are an example

ANY, NUMBER_WANTED, FORMULA_WANTED = WANTS = ("any", "number", "formula")  # what an answer has to be

OFF = 0.1           # relative; how far what is written after an = may be from what stands before it
NO_LABEL = re.compile(r"[,;:?]|\d\s+[^\W\d]|[^\W\d_]\s+\d")  # 0.3, b and 0.3 b of "0.3, b = 0.5"
MONTH = re.compile(r"(?i)(\d{1,4}[-./ ]+)?(jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*\.?"
                   r"([-./ ]+\d{1,4})?")
NO_VALUE = "this has no value: something in it is undefined, as 0/0 and ln(-1) are"


class Submission:
    """The answers of one student, read: expressions become numbers.

    In an expression a label stands for the right forward value, and δ⁴ or ∂C/∂a⁴ for the student's own answer, or for
    the right gradient where there is none. So an answer that uses what it answers, or what is only worked out from
    that, would be right whatever it says, and is refused. Where an expression is tried at another point, all are right
    ones of there. want: see `grade`.
    """

    def __init__(self, nodes: Nodes, points: Points, gradients: Mapping[Value, Given],
                 forward: Mapping[Value, Given], want: str = ANY) -> None:
        self.nodes, self.graph, self.points, self.want = nodes, nodes.graph, points, want
        self.gradients: dict[Value, Submitted] = {}
        self.forward: dict[Value, Submitted] = {}
        self.formulas: dict[tuple[bool, Value], Reference] = {}  # (forward, node): each after those that it refers to
        self.borrowed: dict[Value, dict[Value, None]] = {}  # by answer: the right gradients that it makes use of
        self.comma = has_decimal_commas([*forward.values(), *gradients.values()])
        halves = [(True, self.forward, forward), (False, self.gradients, gradients)]
        read = [{node: self.said(node, given, is_forward) for node, given in sheet.items()}
                for is_forward, _, sheet in halves]
        self.writing = writing_of(one for said in read for one in said.values() if isinstance(one, Submitted))
        for (is_forward, own, sheet), said in zip(halves, read):
            own.update((node, one.written(self.writing)) for node, one in said.items() if isinstance(one, Submitted))
            self.formulas.update(((is_forward, node), one.formula) for node, one in own.items() if one.formula)
            self.settle({node: one for node, one in said.items() if isinstance(one, Reference)}, sheet, is_forward)

    def said(self, node: Value, given: Given, forward: bool) -> Submitted | Reference:
        """Read an answer as far as that can be done by itself."""
        try:
            sides = submitted(given, self.graph.names[node])
            read = sides if isinstance(sides, Submitted) else self.read(node, str(given), sides, forward)
            if isinstance(read, Reference) or read.value is not None:
                formula = read if isinstance(read, Reference) else read.formula
                self.refuse_a_number(node, str(given), formula, forward)
            objection = self.uses_what_is_asked(node, read, forward) if isinstance(read, Reference) else None
            if objection:
                raise objection
            return read
        except ExpressionError as error:
            return Submitted(given, problem=str(error))

    def refuse_a_number(self, node: Value, text: str, formula: Reference | None, forward: bool) -> None:
        """An ExpressionError where a formula is wanted for an answer without a name in it, unless the formula that is
        right has none either."""
        if self.want != FORMULA_WANTED or (formula is not None and formula.expression.names):
            return
        if forward:
            right = combine(node.op, self.nodes.context.terms.of_parents(node)) if node.parents else None
        else:
            right = self.formula_of_book(node)
        if right is not None and not isinstance(right, NumberTerm):
            raise ExpressionError(text, 0, "a formula is asked for, and there is no name in this; write it with names, "
                                           f"such as {', '.join(list(self.nodes.names.names)[:SUCH_AS])}")

    def uses_what_is_asked(self, node: Value, reference: Reference, forward: bool) -> ExpressionError | None:
        """An objection to an answer that names what it answers; for a forward value also if it uses anything that is
        computed from that."""
        place, called = self.nodes.context.place, self.nodes.context.name
        for name in reference.expression.names:
            other = (reference.values if forward else reference.gradients).get(name)
            if other is node:
                return reference.error(name, "this is what is asked for")
            if not forward:
                continue
            if other is None:
                return reference.error(name, "derivatives are worked out from forward values; work "
                                             f"{called(node)} out without them")
            if place[other] > place[node] and other in computed_from(self.graph, node):
                return reference.error(name, f"{called(other)} is computed from {called(node)}; work {called(node)} "
                                             "out from what it is computed from")
        return None

    def refuse_what_is_borrowed(self, node: Value, reference: Reference) -> None:
        """An ExpressionError for an answer that makes use of a right gradient which is only worked out from what is
        asked for; of any, where a number is wanted."""
        place, called = self.nodes.context.place, self.nodes.context.gradient
        borrowed = self.borrowed[node] = {}  # never that of the root, which is 1 for everybody
        for name, other in reference.gradients.items():
            answered = other is self.graph.root or (other in self.gradients and self.gradients[other].value is not None)
            needs = self.borrowed.get(other, {}) if answered else {other: None}
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

    def settle(self, waiting: dict[Value, Reference], sheet: Mapping[Value, Given], forward: bool) -> None:
        """Evaluate the expressions, each after those that it refers to."""
        own = self.forward if forward else self.gradients
        while waiting:
            ready = [node for node, reference in waiting.items()
                     if forward or not any(other in waiting for other in reference.gradients.values())]
            for node in ready or in_circles(waiting):
                text, reference = str(sheet[node]), waiting.pop(node)
                try:
                    if not ready:
                        raise ExpressionError(text, 0, "this answer refers to itself, by way of others")
                    if not forward:
                        self.refuse_what_is_borrowed(node, reference)
                    x = self.evaluate(reference)
                    if self.is_right_but_for_rounding(x, node, reference, forward):
                        x = node.data if forward else self.graph.gradients[node]
                    with_right = self.evaluate(reference, own=False) if reference.gradients else None
                    own[node] = Submitted(text, x, *self.precision(x, reference), problem=NO_VALUE if isnan(x) else "",
                                       with_right=with_right)
                    if reference.expression.names:
                        self.formulas[forward, node] = reference
                except ExpressionError as error:
                    own[node] = Submitted(text, problem=str(error))

    def read(self, asked: Value, given: str, sides: list[str], forward: bool) -> Submitted | Reference:
        """Read the sides of an answer, dC/dw = (a − y)·x = −0.0942 ≈ −0.1: the number of most digits, or else the
        last expression. The first side may be the name of what is asked for. Raises ExpressionError where they say
        different things."""
        numbers: list[tuple[str, Numeral]] = []
        expressions: list[tuple[str, Reference]] = []
        for place, side in enumerate(sides):
            refuse_doubts(side, self.nodes.names, self.comma)
            number = numeral(side)
            if number:
                numbers.append((side, number))
            elif not (place == 0 < len(sides) - 1 and self.is_label(side, asked, forward)):
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
            raise ExpressionError(off[0], 0, f"this is not {said}, and the answer says that they are equal; write "
                                             "one or the other")
        if not numbers:
            return expressions[-1][1]
        formulas = [reference for _, reference in expressions if reference.expression.names
                    and not self.uses_what_is_asked(asked, reference, forward)]
        return Submitted(given, *best, formula=formulas[-1] if formulas else None)

    def is_label(self, side: str, asked: Value, forward: bool) -> bool:
        """True if the first side is a name of what is asked for. Raises ExpressionError for another gradient."""
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
        if forward or (node is not asked and self.graph.gradients[node] != self.graph.gradients[asked]):
            raise ExpressionError(side, 0, "this is not what is asked for here; write the answer without its name")
        return True

    def parse(self, text: str) -> Reference:
        """Read an expression. In it may be names that only the library gives, v₁, as its derivations have them."""
        try:
            return self.parsed(text, self.nodes.by_name)
        except ExpressionError:
            if len(self.nodes.printed) > len(self.nodes.by_name):
                with suppress(ExpressionError):
                    return self.parsed(text, self.nodes.printed)
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
        context, between = self.nodes.context, depending_on(self.graph, x)
        total = slope_between(self.graph, self.points.own, y, x)
        found = links(y, context.terms.names, between, context.terms, context.place) if y in between else []
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
        rounded = {place: of_float(step) for place, step in enumerate(program)
                   if isinstance(step, float) and not step.is_integer() and step not in self.nodes.exact}
        writing = writing_of(rounded.values())
        for place, one in rounded.items():
            assert one.value is not None
            moved = (*program[:place], one.value + one.written(writing).half, *program[place + 1:])
            y = self.evaluate(replace(reference, expression=replace(reference.expression, program=moved)))
            half += abs(y - x) if isfinite(y) else 0.0
        return (half, *digits_of(x, half)) if half and isfinite(x) else (0.0, 17, 17)

    # The same at other points

    def is_right_but_for_rounding(self, x: float, node: Value, reference: Reference, forward: bool) -> bool:
        """True if an expression is what a derivation comes to, though its number is another: a/y has none at (0, 0),
        and a(1 − a) loses digits where a is nearly 1."""
        right = node.data if forward else self.graph.gradients[node]
        if reference.gradients or not isfinite(right) or abs(x - right) <= PRECISION * abs(right):
            return False
        return (is_lost(reference.expression, self.meaning(reference), right)
                and self.tried(node, reference, forward, self.points(across_kinks=True)) is True)

    def tried(self, node: Value, reference: Reference, forward: bool, at: Sequence[Probe], rounded: bool = False,
              follows: bool = False) -> Failure | bool:
        """Try a formula at other points: see `Trial`. follows: whether a gradient need not be right, but follow from
        the formulas for others that are here."""
        def own(point: Probe) -> dict[Value, float]:
            found: dict[Value, float] = {}
            for (is_value, other), formula in self.formulas.items() if follows else ():
                if not is_value and other is not node:
                    found[other] = float(formula.expression.evaluate(formula.at(self.graph, point, found)))
            return found

        def target(point: Probe) -> tuple[float, float]:
            if not follows:
                return point.right(node, forward)
            leaves = {leaf: point.values[leaf] for leaf in self.graph.order if not leaf.parents}
            return passes(self.graph, leaves, own(point)).found[node], point.sizes[node]

        asked = Source("value" if forward else "gradient", node)
        return Trial(self.points, asked, reference)(at, own, target, rounded)

    def formula_of_book(self, node: Value) -> Term | None:
        """The formula of the gradient of a node, in names; None for those that are 0 or 1 always."""
        between = depending_on(self.graph, node)
        if not between or node is self.graph.root:
            return None
        [link] = links(self.graph.root, (node,), between, self.nodes.context.terms, self.nodes.context.place)
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
        if node in met:
            found.append(node)
    return found


def is_near(x: float, y: float, half: float) -> bool:
    """True if two sides of an answer may be the same, computed with rounded numbers."""
    return x == y or (isnan(x) and isnan(y)) or abs(x - y) <= OFF * max(abs(x), abs(y)) + half
