"""How well `grade` finds mistakes: 1,000 spoilt and 1,000 right answer sheets over 50 random networks.

    python benchmarks/grading.py [--sheets N] [--nets N] [--seed N] [--show]

The student of this file does forward and backward pass of a network on plain lists of floats, as lecture notes write
them. On a spoilt sheet one mistake happens at one place, and all that follows is worked out from the wrong number, as a
student would. All answers are rounded to 4 significant digits; on half of the sheets, so is every number on the way. A
mistake that changes no answer by more than 1 % cannot be told from rounding: then another is drawn. A third of the
networks ask for ∂C/∂a, δ, ∂C/∂w and ∂C/∂b, a third not for ∂C/∂a, and a third for ∂C/∂w and ∂C/∂b only; there a mistake
in a δ shows first in the weights and the bias of its neuron, and the first of these is the one to find.

Counted are the sheets on which the first wrong answer is found, those where the mistake is among those named (where
two mistakes come to the same number, nobody can tell them apart; `grade` names up to 3, the likeliest first), and the
right sheets on which something is called wrong. On each right sheet one answer is then replaced by a random number, for
which no mistake should be made up. A right sheet is also marked with 0, written in one way or another, in the place
of some answers, where a 0 that is wrong should earn nothing, even if it follows from another, and all else be right as
before; and with 0 in the place of all, where nothing should be right.

The second table is of fewer sheets, written to fewer digits (on half of them, so is every number on the way), where
nothing is said of how many were asked for: how often a right sheet is left in peace, and in how far a mistake is found
all the same.

Last come sheets of formulas, for networks of round numbers, 0 and 1 among them, and in the notation of several books:
whether all right formulas are right, and whether one that is wrong earns nothing, though it may come to the right
number there. Exits with 1 if a goal is missed.
"""

import argparse
import math
import random
import sys
from collections import Counter
from time import perf_counter

from micrograd import MLP, losses
from micrograd.formulas.graph import look
from micrograd.mark import mistakes
from micrograd.mark.grade import Marker
from micrograd.mark.report import CLOSE, COARSE, EXACT

FUNCTIONS = {
    "sigmoid": (lambda z: 1 / (1 + math.exp(-z)), lambda z, a: a * (1 - a)),
    "tanh": (math.tanh, lambda z, a: 1 - a * a),
    "relu": (lambda z: max(z, 0.0), lambda z, a: 1.0 if z > 0 else 0.0),
}
SHEETS = 5  # that are marked in each round: a right one, two of zeros, one with a number from nowhere, a spoilt one
CALM = (EXACT, CLOSE, COARSE)  # what a right answer may be called
GOALS = {"first wrong answer found": 0.95, "mistake found": 0.90, "right sheets with nothing called wrong": 1.0,
         "numbers from nowhere left unexplained": 0.95, "nothing earned by zeros": 1.0}
ZEROS = [0, 0.0, "0", "0.0", "-0", "0/5", "{} - {}", "0*{}"]  # with the name of a weight


class Exercise:
    """A network with a sample, as a graph to mark on and as lists to work with. Indices of layers as in the notes."""

    def __init__(self, rng):
        self.widths = [rng.randint(1, 3) for _ in range(rng.randint(2, 4) + 1)]
        self.function = rng.choice(list(FUNCTIONS))
        self.rate = rng.choice([0.1, 0.5, 1.0])
        net = MLP(self.widths[0], self.widths[1:], activation=self.function, output=self.function)
        for p in net.parameters():
            p.data = round(rng.uniform(-1, 1) or 0.5, 2)
        self.x = [round(rng.uniform(0.1, 1), 2) for _ in range(self.widths[0])]
        self.y = [round(rng.uniform(0, 1), 2) for _ in range(self.widths[-1])]
        self.w = {k: [[w.data for w in neuron.w] for neuron in layer.neurons] for k, layer in enumerate(net.layers, 2)}
        self.b = {k: [neuron.b.data for neuron in layer.neurons] for k, layer in enumerate(net.layers, 2)}
        self.C = losses.half_squared_error(net(self.x), self.y)
        self.C.label = "C"
        self.ask = rng.choice(["azwb", "zwb", "wb"])  # the letters of what is asked for
        self.ask_a = "a" in self.ask
        self.last = len(self.widths)

    @property
    def hidden(self):
        """For each δ the answers in which it shows, where it is not asked for itself."""
        return {self.name("z", k, i): [*(self.name("w", k, i, j) for j in range(len(row))), self.name("b", k, i)]
                for k, rows in self.w.items() for i, row in enumerate(rows)}

    def alive(self):
        """Whether some number comes out: not all relus are dead."""
        answers = Student(self, random.Random(0)).answers()
        return sum(x != 0 for x in answers.values()) > len(answers) / 2

    def name(self, letter, k, *places):
        if set(self.widths) == {1}:
            return f"{letter}^{{{k}}}"
        return f"{letter}^{{{k}}}_{{{','.join(str(place + 1) for place in places)}}}"


def rounded(x, how=".4g"):
    return float(f"{x:{how}}")


WRITINGS = {  # how numbers are written; the least share of sheets on which the first wrong answer is still found
    "2 decimals": (".2f", 0.5), "3 decimals": (".3f", 0.7), "4 decimals": (".4f", 0.8),
    "2 digits": (".2g", 0.65), "3 digits": (".3g", 0.9), "4 digits": (".4g", 0.95),
}


class Student:
    """Works out a sheet. mistake: what goes wrong at `place`, the label of an answer, see MISTAKES; keep: what is kept
    of a number on the way."""

    def __init__(self, exercise, rng, mistake="", place="", keep=float):
        self.e, self.rng, self.mistake, self.place = exercise, rng, mistake, place
        self.round = keep
        self.says = ()  # what a sentence about the mistake must mention

    def makes(self, mistake, place):
        return mistake == self.mistake and place == self.place

    def answers(self):
        e, keep = self.e, self.round
        f, slope = FUNCTIONS[e.function]
        z, a = {}, {1: e.x}
        for k in range(2, e.last + 1):
            z[k] = [keep(b + sum(w * x for w, x in zip(row, a[k - 1]))) for row, b in zip(e.w[k], e.b[k])]
            a[k] = [keep(f(x)) for x in z[k]]
        self.z, self.a, self.slope = z, a, lambda k, i: keep(slope(z[k][i], a[k][i]))
        sheet, delta = {}, {}
        for k in range(e.last, 1, -1):
            da = [self.by_a(k, i, delta) for i in range(e.widths[k - 1])]
            if e.ask_a:
                sheet |= {e.name("a", k, i): d for i, d in enumerate(da)}
            delta[k] = [self.by_z(k, i, da[i], delta) for i in range(len(da))]
            sheet |= {e.name("z", k, i): d for i, d in enumerate(delta[k])}
            for i, d in enumerate(delta[k]):
                for j in range(len(a[k - 1])):
                    sheet[e.name("w", k, i, j)] = self.by_w(k, i, j, d, delta[k])
                place = e.name("b", k, i)
                sheet[place] = self.finish(place, 1.0 if self.makes("no upstream", place) else d)
        return {label: x for label, x in sheet.items() if label[0] in e.ask}

    def finish(self, place, x):
        if self.makes("opposite sign", place):
            x = -x
        return self.round(x)

    def by_a(self, k, i, delta):
        """∂C/∂a^k_i: a − y above, the sum over the neurons of the next layer below. `place` is ∂C/∂a where that is
        asked for, else ∂C/∂z, in which it is hidden."""
        e = self.e
        place = e.name("a" if e.ask_a else "z", k, i)
        if k == e.last:
            d = self.a[k][i] - e.y[i]
            if self.makes("turned difference", place):
                d = -d
            if self.makes("no half", place):
                d *= 2
        else:
            above = list(range(e.widths[k]))
            weights = [e.w[k + 1][m][i] for m in above]
            deltas = list(delta[k + 1])
            if self.makes("updated weights", place):
                weights = [w - e.rate * d * self.a[k][i] for w, d in zip(weights, deltas)]
            if self.makes("one updated weight", place):
                m = self.rng.choice(above)
                weights[m] -= e.rate * deltas[m] * self.a[k][i]
                self.says = [e.name("w", k + 1, m, i)]
            if self.makes("weights of the layer below", place):
                weights = [e.w[k][m][i] for m in above]
            if self.makes("swapped indices", place):
                weights = [e.w[k + 1][i][m] for m in above]
            if self.makes("no weights", place):
                weights = [1.0 for _ in above]
            if self.makes("no upstream", place):
                deltas = [1.0 for _ in above]
            if self.makes("last path only", place):
                above = above[-1:]
                self.says = [e.name("z", k + 1, above[0])]
            if self.makes("first path only", place):
                above = above[:1]
                self.says = [e.name("z", k + 1, above[0])]
            if self.makes("one path forgotten", place) and len(above) > 1:
                m = above.pop(self.rng.randrange(len(above)))
                m = above[0] if len(above) == 1 else m  # of two, the other is the only one that is counted
                self.says = [e.name("z", k + 1, m)]
            d = sum(self.round(weights[m] * deltas[m]) for m in above)
        return self.finish(e.name("a", k, i), d) if e.ask_a else self.round(d)

    def by_z(self, k, i, da, delta):
        e = self.e
        place = e.name("z", k, i)
        slope, (f, s) = self.slope(k, i), FUNCTIONS[e.function]
        a, z = self.a[k][i], self.z[k][i]
        if self.makes("no slope", place):
            slope = 1.0
        if self.makes("slope at a", place):
            slope = s(a, f(a))
        if self.makes("z for a in the slope", place):
            slope = s(z, z)
        if self.makes("function for slope", place):
            slope = a
        if self.makes("slope of the sigmoid", place):
            slope = a * (1 - a)
        if self.makes("only the slope", place):
            da = 1.0
        return self.finish(place, da * slope)

    def by_w(self, k, i, j, d, deltas):
        e = self.e
        place = e.name("w", k, i, j)
        x = self.a[k - 1][j]
        if self.makes("no upstream", place):
            d = 1.0
        if self.makes("no input", place):
            x = 1.0
        if self.makes("input of another neuron", place):
            j = self.rng.choice([m for m in range(len(self.a[k - 1])) if m != j])
            x = self.a[k - 1][j]
            self.says = [e.name("a", k - 1, j)]
        if self.makes("output for input", place):
            x = self.a[k][i]
        if self.makes("z for a", place):
            x = self.z[k - 1][j]
        if self.makes("weight for input", place):
            x = e.w[k][i][j]
        if self.makes("delta of another neuron", place):
            m = self.rng.choice([m for m in range(len(deltas)) if m != i])
            d = deltas[m]
        if self.makes("updated weight for gradient", place):
            return self.round(e.w[k][i][j] - e.rate * d * x)
        return self.finish(place, d * x)


M = mistakes
MISTAKES = {  # where it can happen: the letter of the label; and the kinds that are right names for it
    "turned difference": ("az", {M.REVERSED}),
    "opposite sign": ("azwb", {M.REVERSED}),
    "no half": ("az", {M.POWER}),
    "last path only": ("az", {M.FORK}),
    "first path only": ("az", {M.FORK}),
    "one path forgotten": ("az", {M.FORK}),
    "updated weights": ("az", {M.UPDATED}),
    "one updated weight": ("az", {M.UPDATED}),
    "weights of the layer below": ("az", {M.ELSEWHERE}),
    "swapped indices": ("az", {M.ELSEWHERE}),
    "no weights": ("az", {M.FACTOR}),
    "no upstream": ("azwb", {M.UPSTREAM}),
    "no slope": ("z", {M.SLOPE}),
    "slope at a": ("z", {M.PLACE}),
    "z for a in the slope": ("z", {M.PLACE}),
    "function for slope": ("z", {M.PLACE}),
    "slope of the sigmoid": ("z", {M.FUNCTION}),
    "only the slope": ("z", {M.UPSTREAM, M.FACTOR}),
    "no input": ("w", {M.FACTOR}),
    "input of another neuron": ("w", {M.ELSEWHERE}),
    "output for input": ("w", {M.ELSEWHERE}),
    "z for a": ("w", {M.ELSEWHERE}),
    "weight for input": ("w", {M.ELSEWHERE}),
    "delta of another neuron": ("w", {M.ELSEWHERE, M.UPSTREAM}),
    "updated weight for gradient": ("w", {M.QUANTITY}),
}


def spoilt(exercise, rng, write=rounded):
    """A sheet with one mistake that shows: the answers as written, where it shows first, what it was, its subject."""
    right = Student(exercise, rng).answers()
    hidden = {} if "z" in exercise.ask else exercise.hidden
    while True:
        mistake, rough = rng.choice(list(MISTAKES)), rng.random() < 0.5
        place = rng.choice([*right, *hidden])
        if place[0] not in MISTAKES[mistake][0]:
            continue
        student = Student(exercise, rng, mistake, place, write if rough else float)
        try:
            sheet = student.answers()
        except LookupError:  # no such neuron, no such weight
            continue
        shows = [label for label in hidden.get(place, [place])
                 if abs(sheet[label] - right[label]) > 0.01 * abs(right[label])]
        if shows:
            return {label: write(x) for label, x in sheet.items()}, shows, mistake, student.says


def zeros_earn_nothing(exercise, marker, rng):
    """Whether zeros instead of some right answers, and instead of all, are neither right nor carried."""
    clean = {label: rounded(x) for label, x in Student(exercise, rng).answers().items()}
    for share in (rng.random(), 1.0):
        zero = rng.choice(ZEROS)
        zero = zero.replace("{}", exercise.name("w", 2, 0, 0)) if isinstance(zero, str) else zero
        gone = [label for label in clean if rng.random() < share]
        report = marker.mark({**clean, **dict.fromkeys(gone, zero)}, {})
        stay = [label for label, x in clean.items() if x and label not in gone]
        if not all(report.answers[label].right for label in stay):
            return False
        if any(report.answers[label].right and clean[label] for label in gone) or (not stay and report.right):
            return False
    return True


NOTATIONS = [("z", "a", "w"), ("net", "o", "w"), ("a", "z", "w"), ("v", "y", "w"), ("s", "x", "θ")]  # Bishop: a, z
SLOPES = {"sigmoid": "{a}*(1 - {a})", "tanh": "(1 - {a}**2)"}
ONE_FOR_ANOTHER = {"sigmoid": "{a}*({t} - {a})", "tanh": "({t} - {a}**2)"}  # the same if the target is 1


class Formulas:
    """An exercise with round numbers, its right formulas, and wrong ones, by label."""

    def __init__(self, rng):
        self.widths = [rng.randint(1, 3) for _ in range(rng.randint(2, 3) + 1)]
        self.function = rng.choice(list(SLOPES))
        self.z, self.a, self.w = rng.choice(NOTATIONS)
        net = MLP(self.widths[0], self.widths[1:], activation=self.function, output=self.function)
        for p in net.parameters():
            p.data = rng.choice([-1.0, 0.5, 1.0, 1.0, 0.0, 2.0])
        x = [rng.choice([-1.0, 0.0, 0.5, 1.0, 1.0]) for _ in range(self.widths[0])]
        self.C = losses.half_squared_error(net(x), [rng.choice([0.0, 1.0]) for _ in range(self.widths[-1])])
        self.C.label = "C"
        called = {"z": self.z, "a": self.a, "w": self.w, "y": "t"}
        for node in look(self.C, "benchmark").order:
            if node.label[:1] in called:
                node.label = called[node.label[0]] + node.label[1:]
        self.last = len(self.widths)

    def name(self, letter, k, *places):
        if set(self.widths) == {1}:
            return f"{letter}^{{{k}}}"
        return f"{letter}^{{{k}}}_{{{','.join(str(place + 1) for place in places)}}}"

    def target(self, i):
        return "t" if self.widths[-1] == 1 else f"t_{{{i + 1}}}"

    def by_a(self, k, i):
        if k == self.last:
            return f"({self.name(self.a, k, i)} - {self.target(i)})"
        return "(" + " + ".join(f"{self.name(self.w, k + 1, m, i)}*{self.name('δ', k + 1, m)}"
                                for m in range(self.widths[k])) + ")"

    def slope(self, k, i, slopes=SLOPES):
        return slopes[self.function].format(a=self.name(self.a, k, i), t=self.target(i if k == self.last else 0))

    def right(self):
        found = {}
        for k in range(self.last, 1, -1):
            for i in range(self.widths[k - 1]):
                error = self.name("δ", k, i)
                found[error] = f"{self.by_a(k, i)}*{self.slope(k, i)}"
                found[self.name("b", k, i)] = error
                for j in range(self.widths[k - 2]):
                    found[self.name(self.w, k, i, j)] = f"{error}*{self.name(self.a, k - 1, j)}"
        return found

    def wrong(self, rng):
        """A label, and a formula that is wrong for it, if not for these numbers."""
        k = rng.randint(2, self.last)
        i, j = rng.randrange(self.widths[k - 1]), rng.randrange(self.widths[k - 2])
        error, x, label = self.name("δ", k, i), self.name(self.a, k - 1, j), self.name(self.w, k, i, j)
        return rng.choice([
            (error, self.by_a(k, i)), (error, f"{self.by_a(k, i)}*{self.slope(k, i, ONE_FOR_ANOTHER)}"),
            (error, f"-{self.by_a(k, i)}*{self.slope(k, i)}"), (error, f"{self.by_a(k, i)}**2*{self.slope(k, i)}"),
            (error, f"{self.by_a(k, i)}*{self.slope(k, i)}*{x}"), (label, error), (label, f"{error}*{x}**2"),
            (label, f"{error}*{self.name(self.a, k, i)}"), (label, f"{error}*{x}*{label}"), (label, f"{error} + {x}"),
            (label, f"{error}*{x} + {label}")])


def of_formulas(sheets=200, nets=40, seed=1, show=False):
    """The shares of sheets of formulas on which all right ones are right, and on which the wrong one earns nothing; and
    of those on which it comes to the right number all the same."""
    rng, count = random.Random(seed), Counter()
    exercises = [(exercise, Marker(look(exercise.C, "benchmark"))) for exercise in (Formulas(rng) for _ in range(nets))]
    for number in range(sheets):
        exercise, marker = exercises[number % nets]
        right = exercise.right()
        count["right"] += (report := marker.mark(right, {})).right == report.total
        label, formula = exercise.wrong(rng)
        answer = marker.mark({**right, label: formula}, {}).answers[label]
        count["caught"] += not answer.right
        count["agree"] += answer.value is not None and abs(answer.value - answer.expected) < 1e-9
        if show and (answer.right or report.right < report.total):
            print(exercise.widths, label, formula, answer, report, sep="\n")
    return {what: count[what] / sheets for what in ("right", "caught", "agree")}


def as_printed(label, context):
    return str(context.name(context.graph.named(label)))


def networks(rng, nets):
    """Exercises, each with what marks it."""
    exercises = []
    while len(exercises) < nets:
        exercise = Exercise(rng)
        if exercise.alive():
            exercises.append((exercise, Marker(look(exercise.C, "benchmark"), lr=exercise.rate)))
    return exercises


def is_named(answer, mistake, says, marker):
    """Whether what happened is among the mistakes that are named."""
    names = [as_printed(label, marker.context) for label in says]
    return any(one.kind in MISTAKES[mistake][1] and all(name in one.sentence for name in names)
               for one in answer.mistakes)


def by_digits(sheets=200, nets=40, seed=1):
    """For each writing the shares of right sheets on which nothing is called wrong, and on which all is right; of
    spoilt ones on which the first wrong answer is found, is too coarse, and whose mistake is named; and of mistakes
    that are named, those that happened."""
    shares = {}
    for writing, (how, _) in WRITINGS.items():
        rng, count = random.Random(seed), Counter()
        exercises = networks(rng, nets)

        def write(x, how=how):
            return rounded(x, how)

        for number in range(sheets):
            exercise, marker = exercises[number % nets]
            clean = Student(exercise, rng, keep=write if number // nets % 2 == 1 else float).answers()
            report = marker.mark({label: write(x) for label, x in clean.items()}, {})
            count["calm"] += all(answer.verdict in CALM and not answer.mistakes for answer in report.all)
            count["right"] += report.right == report.total
            sheet, shows, mistake, says = spoilt(exercise, rng, write)
            report = marker.mark(sheet, {})
            first = report.first_wrong
            placed = first is not None and first.name in shows
            count["placed"] += placed
            count["coarse"] += not placed and COARSE in [report.answers[label].verdict for label in shows]
            count["accused"] += first is not None and bool(first.mistakes)
            count["named"] += placed and is_named(first, mistake, says, marker)
        shares[writing] = {what: count[what] / sheets for what in ("calm", "right", "placed", "coarse", "named")}
        shares[writing]["true"] = count["named"] / count["accused"] if count["accused"] else 1.0
    return shares


def run(sheets=1000, nets=50, seed=1, show=False):
    """The counts: found[goal] of sheets; and for each mistake how often it was made, placed, named."""
    rng, rng_of_zeros = random.Random(seed), random.Random(seed)
    found, table = Counter(), {}
    exercises = networks(rng, nets)
    for number in range(sheets):
        exercise, marker = exercises[number % nets]
        clean = Student(exercise, rng, keep=rounded if number // nets % 2 == 1 else float).answers()
        clean = {label: rounded(x) for label, x in clean.items()}
        report = marker.mark(clean, {})
        found["right sheets with nothing called wrong"] += report.right == report.total
        if show and report.right < report.total:
            print("false alarm:", exercise.widths, exercise.function, report, sep="\n")
        nothing = zeros_earn_nothing(exercise, marker, rng_of_zeros)
        found["nothing earned by zeros"] += nothing
        if show and not nothing:
            print("earned by zeros:", exercise.widths, exercise.function, exercise.ask)
        label = rng.choice([label for label, x in clean.items() if x])
        clean[label] = rounded(clean[label] * rng.choice([-1, 1]) * rng.uniform(0.3, 3))
        found["numbers from nowhere left unexplained"] += not marker.mark(clean, {}).answers[label].mistakes
        sheet, shows, mistake, says = spoilt(exercise, rng)
        report = marker.mark(sheet, {})
        first = report.first_wrong
        placed = first is not None and first.name in shows
        named = placed and is_named(first, mistake, says, marker)
        found["first wrong answer found"] += placed
        found["mistake found"] += named
        row = table.setdefault(mistake, [0, 0, 0])
        row[0], row[1], row[2] = row[0] + 1, row[1] + placed, row[2] + named
        if show and not named:
            print(f"--- {mistake} at {shows} {says}: {exercise.widths} {exercise.function} rate {exercise.rate}, "
                  f"found {first!r}, given {sheet[shows[0]]}, its verdict {report.answers[shows[0]].verdict}")
    return found, table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sheets", type=int, default=1000)
    parser.add_argument("--nets", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print what was missed")
    options = parser.parse_args()
    start = perf_counter()
    found, table = run(**vars(options))
    seconds = perf_counter() - start
    print(f"{'mistake':30} {'made':>5} {'placed':>7} {'named':>6}")
    for mistake, (made, placed, named) in sorted(table.items()):
        print(f"{mistake:30} {made:5} {placed / made:7.1%} {named / made:6.1%}")
    print(f"\n{options.sheets} spoilt and {options.sheets} right sheets over {options.nets} networks, "
          f"seed {options.seed}, {seconds:.0f} s: {1000 * seconds / options.sheets / SHEETS:.1f} ms a sheet")
    missed = 0
    for goal, share in GOALS.items():
        reached = found[goal] / options.sheets
        missed += reached < share
        print(f"{goal:40} {found[goal]:5} = {reached:6.1%}   goal {share:4.0%} {'MISSED' if reached < share else ''}")
    print(f"\n{'':12} right sheets:             spoilt sheets: first wrong            of named\n"
          f"{'written to':12} nothing wrong  all right      found  too coarse  named   are true")
    for writing, row in by_digits(options.sheets // 5, seed=options.seed).items():
        goal = WRITINGS[writing][1]
        bad = row["calm"] < 1 or row["placed"] < goal
        missed += bad
        print(f"{writing:12} {row['calm']:13.1%} {row['right']:10.1%} {row['placed']:10.1%} {row['coarse']:11.1%} "
              f"{row['named']:6.1%} {row['true']:10.1%}   goal 100% and {goal:.0%} {'MISSED' if bad else ''}")
    shares = of_formulas(options.sheets // 5, seed=options.seed, show=options.show)
    bad = shares["right"] < 1 or shares["caught"] < 0.995
    missed += bad
    print(f"\nof formulas, {shares['right']:.1%} of sheets with right ones are right, and {shares['caught']:.1%} of "
          f"wrong ones earn nothing,\nof which {shares['agree']:.1%} come to the right number   goal 100% and 99.5% "
          f"{'MISSED' if bad else ''}")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
