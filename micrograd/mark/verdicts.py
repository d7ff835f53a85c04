"""The verdict on one answer: by itself, and as it may follow from others or from a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, isnan, nan
from random import Random
from typing import Any

from .. import ops
from ..engine import Value
from ..formulas.formula import number_of
from ..formulas.graph import Graph, Rounding, passes
from .answer import PRECISION, Submitted, Writing
from .derivation import Computation, Derivation
from .mistakes import QUANTITY, REVERSED, VALUE, Candidate, is_function
from .points import LARGEST
from .report import CARRIED, CLOSE, COARSE, EXACT, FROM_ZERO, MISSING, NOT_JUDGED, UNREADABLE, WRONG, shown
from .submission import TINY

DIGITS = 4          # significant ones, if nothing else is asked for
LOOSE, TIGHT = 50, 5  # units of the last digit that students are asked for: what is forgiven against the right result,
                      # which may come from rounded ones; and against what follows from other answers, in one go
SURELY = 10         # how much larger than a number what rounding does to it is where 0 is as good
EPSILON = 1e-15     # relative; what floats do not tell apart
TRIALS = 8          # passes with rounded numbers, to see what rounding does, unless the graph is too large
COPIES = (ops.add, ops.sub, ops.neg, ops.identity)  # what is written down anew neither for a value nor for a gradient
FEW = 0.005         # relative; an answer of coarser digits than 3 shows a mistake only if no other comes to it
NEAR = 1.5          # how much more far-fetched a second explanation of a wrong answer may be than the best
EXPLANATIONS = 3
FEWEST = "3 significant digits"  # that always tell right from wrong
AS_COARSE = "this follows from earlier answers, which have too few digits to tell right from wrong"


@dataclass(frozen=True, slots=True)
class Basis:
    """Whatever an answer may follow from."""

    ways: Sequence[Derivation | Computation]   # from other answers, and last from the right ones
    solid: Sequence[Derivation | Computation]  # the same, for an answer of 0 without those that are 0 and wrong
    rough: Sequence[float]   # how far off rounding may be on each way, to the digits that were asked for
    coarse: Sequence[float]  # and to those that are written
    wrong: bool              # whether some of the other answers are wrong,
    vague: bool              # or too coarse


class Standard:
    """The digits or decimals that answers are held against: those that were asked for, or else the usual ones."""

    def __init__(self, digits: int | None = None, decimals: int | None = None) -> None:
        for n, least, what in ((digits, 2, "digits is how many significant digits"),
                               (decimals, 0, "decimals is how many decimals")):
            if n is not None and (isinstance(n, bool) or not isinstance(n, int) or not least <= n <= 12):
                raise ValueError(f"{what} are asked for, from {least} to 12, found {n!r}")
        if digits is not None and decimals is not None:
            raise ValueError(f"digits={digits} and decimals={decimals}: what was asked for is one or the other; choose")
        self.lenient = digits is None and decimals is None
        self.asked = Writing(digits=digits or DIGITS) if decimals is None else Writing(decimals=decimals)
        finest = 10.0 ** -max(digits or decimals or DIGITS, DIGITS)
        self.loose, self.tight = LOOSE * finest, TIGHT * finest

    def vanishes(self, given: Submitted) -> bool:
        """True if an answer is 0; at the decimals that were asked for, if any were."""
        x = given.value
        return x is not None and (abs(x) <= TINY or (not self.lenient and abs(x) < self.asked.half(0.0)))

    def is_hollow(self, given: Submitted) -> bool:
        """True if an answer is 0 or infinite, which follows from other such numbers whatever else is there."""
        return self.vanishes(given) or (given.value is not None and not isfinite(given.value))

    def is_zero(self, given: Submitted, expected: float) -> bool:
        """True if an answer says 0, and not only because a gradient that it uses is 0 on this sheet, nor because the
        right number is as small."""
        small = given.value and isfinite(expected) and abs(given.value - expected) <= PRECISION * abs(expected)
        return self.vanishes(given) and abs(given.with_right or 0.0) <= TINY and not small

    def unsure(self, given: Submitted) -> float:
        """The most that an answer may be off the unrounded number, and be called right."""
        return given.unsure(self.tight) if self.lenient else min(given.half, self.asked.half(given.value or 0.0))

    def verdict(self, given: Submitted, expected: float) -> str:
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

    def fits(self, given: Submitted, target: float, allowed: float) -> bool:
        """True if an answer is a number, or that number rounded to what was asked for."""
        assert given.value is not None
        off = abs(given.value - target)
        return off <= max(allowed, self.asked.half(target) * (1 + PRECISION)) or (self.lenient and given.rounds(target))

    def accepts(self, given: Submitted, expected: float) -> bool:
        """True if an answer is right by itself."""
        return self.verdict(given, expected) in (EXACT, CLOSE)

    def too_coarse(self, given: Submitted, expected: float, spoilt: bool) -> str:
        """The note for an answer whose digits do not tell whether it is right. spoilt: some earlier answers are not
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

    def would_be_right(self, given: Submitted, expected: float) -> bool:
        """True if an answer is a formula that is right with the right gradients in it."""
        right = given.with_right
        return right is not None and self.accepts(replace(given, value=right), expected)

    def near(self, given: Submitted, target: float, rough: float, wrong: bool) -> bool:
        """True if an answer follows from others, which makes it a number that it may be off by rounding. Of wrong ones
        one digit shows nothing: 1e-20 would follow from 1e-20, whatever the factor."""
        assert given.value is not None
        if not isfinite(given.value - target):
            return given.value == target
        own = max(self.tight * abs(target), self.asked.half(target)) + (rough if isfinite(rough) else 0.0)
        return abs(given.value - target) <= own or ((given.digits > 1 or not wrong) and self.fits(given, target, own))

    def judged(self, given: Submitted, expected: float, basis: Basis) -> tuple[str, str, list[Candidate]]:
        """The verdict, a note, and the mistakes that would explain the answer."""
        verdict, x = self.verdict(given, expected), given.value
        if verdict != WRONG or x is None:
            return verdict, given.problem, []
        ways, solid, wrong, vanishes = basis.ways, basis.solid, basis.wrong, self.vanishes(given)
        most = [off / SURELY for off in basis.rough] if vanishes and self.lenient else basis.rough
        follows = [j for j, way in enumerate(ways) if self.near(given, way.base, most[j], wrong)]
        from_zero = not any(self.near(given, solid[j].base, most[j], wrong) or ways[j].cancels for j in follows)
        if follows and (not from_zero or self.would_be_right(given, expected)):
            if basis.vague and (vanishes or not wrong):
                return COARSE, AS_COARSE, []
            return CARRIED if wrong else CLOSE, "", []
        if given.may_be(expected) or any(given.may_be(way.base, off) for way, off in zip(solid, basis.coarse)):
            return COARSE, self.too_coarse(given, expected, wrong or basis.vague), []
        if follows:
            return FROM_ZERO, given.problem, []
        if vanishes and any(self.near(given, way.base, off, wrong) for way, off in zip(solid, basis.rough)):
            return COARSE, "rounding on the way may have made this 0, but it is not", []
        return WRONG, given.problem, self.explanations(given, basis)

    def explanations(self, given: Submitted, basis: Basis) -> list[Candidate]:
        """The mistakes that lead to this number, the most likely first."""
        x = given.value
        assert x is not None
        found: dict[Any, tuple[float, float, Candidate]] = {}
        few = given.half > FEW * abs(x) * (1 + PRECISION)
        for order, (way, off) in enumerate(zip(basis.solid, basis.rough)):
            if order and way.base == basis.solid[0].base and way.numbers is basis.solid[0].numbers:
                continue
            for one in way.candidates():
                miss = abs(x - one.value)
                if not isfinite(miss) or not isfinite(off):
                    continue
                if x == 0 and (abs(one.value) > TINY or one.kind in (QUANTITY, VALUE)):  # 0.000 shows nothing
                    continue
                if few and not given.may_be(one.value, basis.coarse[order]):
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


def relative(x: float, expected: float) -> float:
    """The error relative to the right number; inf if that is 0."""
    if x == expected:
        return 0.0
    return abs(x - expected) / abs(expected) if expected and isfinite(expected) else nan if isnan(x) else inf


class Noise:
    """The effect of rounding on the numbers of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        inner = [node for node in graph.order[:-1] if node.parents]
        self.on_paper = (frozenset(node for node in inner if node.label or node.op not in COPIES),
                         frozenset(node for node in inner if node.label or any(
                             use.node.op not in COPIES for use in graph.uses[node])),
                         frozenset(node for node in inner if is_function(node, 0) and
                                   node.data != node.local_derivatives[0] * node.parents[0].data))  # but not relu
        self.known: dict[Any, tuple[dict[Value, float], dict[Value, float]]] = {}

    def __call__(self, writing: Writing, stops: tuple[Value, ...]) -> tuple[dict[Value, float], dict[Value, float]]:
        """The most that rounding on the way moves each value, and each gradient, if those of the stops are right."""
        key = writing, stops
        if key not in self.known:
            rng, graph = Random(0), self.graph

            def rounded(x: float, exact: bool) -> float:
                unit, least = 2 * writing.half(x), EPSILON * abs(x)
                if not unit > least or (exact and abs(x - round(x / unit) * unit) <= least):
                    return x
                return x + rng.choice((-0.5, 0.5)) * unit

            fixed = {node: graph.gradients[node] for node in stops}
            rounding = Rounding(rounded, *self.on_paper)
            values, gradients = self.known[key] = {}, {}
            for _ in range(TRIALS if len(graph.order) <= LARGEST else 0):
                trial = passes(graph, {}, fixed, rounding)
                for node in graph.order:
                    for most, x, right in ((values, trial.computed[node], node.data),
                                           (gradients, trial.found[node], graph.gradients[node])):
                        if isfinite(x - right):
                            most[node] = max(most.get(node, 0.0), abs(x - right))
        return self.known[key]
