"""Formulas at several points: wrong ones that come out right at the point of an exercise, right ones in all forms."""

import math
import random
import re

import pytest
from graphs import two_by_two

from micrograd import MLP, Value, grade, grade_class, losses, maximum, op, sigmoid
from micrograd.formulas.algebra import Terms, links
from micrograd.formulas.formula import formula_of
from micrograd.formulas.graph import depending_on, look
from micrograd.formulas.parse import parse, parse_program
from micrograd.mark.grade import Marker
from micrograd.mark.mistakes import Context

SPECIAL = "right for these numbers only"
ROUND = (1, 1, 1, 0.5, 0.5, 2, 2, 0)  # what exercises are made of
ODD = (0.37, 1.6, 0.81, 2.3, 0.052, 1.13)


class Exercise:
    """A graph from text, with the numbers of its leaves, on which many formulas are marked."""

    def __init__(self, text, values):
        self.program, self.values = parse_program(text, values), values
        nodes = self.program.graph(values)
        self.data = {name: node.data for name, node in nodes.items()}
        self.marker = Marker(look([*nodes.values()][-1], "test"), 4, None)

    def elsewhere(self, rng):
        """The numbers for other leaves of the same signs: u, the gradient of u, the derivative of a function u."""
        nodes = self.program.graph({name: math.copysign(rng.uniform(0.3, 1.7), x or rng.choice((-1, 1)))
                                    for name, x in self.values.items()})
        [*_, root] = nodes.values()
        root.backward()
        return {**{name: node.data for name, node in nodes.items()},
                **{f"gradient_{name}": node.grad for name, node in nodes.items()},
                **{f"local_{name}": node.local_derivatives[0] for name, node in nodes.items() if node.parents}}

    def is_right(self, label, formula, rng):
        """Whether a formula is the gradient far from here, by means that know nothing of `points`."""
        for _ in range(3):
            names = self.elsewhere(rng)
            plain = re.sub(r"d(\w+)/d\w+", r"local_\1", re.sub(r"dC/d(\w+)", r"gradient_\1", formula))
            found, right = parse(plain, names).evaluate(names), names[f"gradient_{label}"]
            if math.isfinite(found) and not math.isclose(found, right, rel_tol=1e-6, abs_tol=1e-12):
                return False
        return True

    def answer(self, label, formula):
        return self.marker.mark({label: formula}, {}).answers[label]


# Right formulas: for each function its derivative in several forms, and then what follows from it.

SLOPES = {
    "sigmoid": ("{a}*(1 - {a})", "({a} - {a}^2)", "sigmoid({z})*(1 - sigmoid({z}))", "exp(-{z})/(1 + exp(-{z}))^2",
                "1/(2 + exp({z}) + exp(-{z}))", "σ'({z})", "σ({z})*σ(-{z})", "(1/4 - ({a} - 1/2)^2)", "d{a}/d{z}"),
    "tanh": ("(1 - {a}^2)", "(1 - {a})*(1 + {a})", "1/cosh({z})^2", "4/(exp({z}) + exp(-{z}))^2", "tanh'({z})",
             "(1 - tanh({z})*tanh({z}))", "d{a}/d{z}"),
    "relu": ("1", "step({z})", "relu'({z})", "{a}/{z}", "d{a}/d{z}"),
    "softplus": ("sigmoid({z})", "1/(1 + exp(-{z}))", "(1 - exp(-{a}))", "d{a}/d{z}"),
    "identity": ("1", "{z}/{a}"),
}
COSTS = {
    "0.5*(y - a)**2": ("(a - y)", "-(y - a)", "(a*a - y*a)/a"),
    "(a - y)**2": ("2*(a - y)", "(2*a - 2*y)", "-2*(y - a)"),
    "-(y*log(a) + (1 - y)*log(1 - a))": ("(a - y)/(a*(1 - a))", "((1 - y)/(1 - a) - y/a)", "(1/(1 - a) - y/(a - a*a))"),
}


def network(rng, numbers):
    """The 2-2-1 network and its cost, with numbers to choose from."""
    f, g = rng.choice([*SLOPES]), rng.choice(["sigmoid", "sigmoid", "tanh", "identity"])
    cost = rng.choice([*COSTS] if g == "sigmoid" else [*COSTS][:2])
    leaves = ["x1", "x2", "w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3", "y"]
    values = {name: rng.choice(numbers) for name in leaves}
    values |= {name: abs(values[name]) or 1.0 for name in leaves if f == "relu" and name[0] in "xwb"}
    values["y"] = rng.choice([1, 1, 0, 0.25])
    text = (f"z1 = w1*x1 + w2*x2 + b1; z2 = w3*x1 + w4*x2 + b2; h1 = {f}(z1); h2 = {f}(z2); "
            f"z3 = w5*h1 + w6*h2 + b3; a = {g}(z3); C = {cost}")
    return Exercise(text, values), f, g, cost


def in_some_form(rng, f, g, cost):
    """A label and a right formula for its gradient."""
    def slope(function, z, a):
        return rng.choice(SLOPES[function]).format(z=z, a=a)

    def upstream(label):
        """∂C/∂label, in full or as such."""
        return f"dC/d{label}" if rng.random() < 0.3 else right(label)

    def right(label):
        if label == "a":
            return rng.choice(COSTS[cost])
        if label == "z3":
            return times(upstream("a"), slope(g, "z3", "a"))
        if label in ("w5", "w6"):
            return times(upstream("z3"), f"h{int(label[1]) - 4}")
        if label in ("h1", "h2"):
            return times(upstream("z3"), f"w{int(label[1]) + 4}")
        if label in ("z1", "z2"):
            return times(upstream(f"h{label[1]}"), slope(f, label, f"h{label[1]}"))
        if label[0] == "w":
            return times(upstream(f"z{(int(label[1]) + 1) // 2}"), f"x{2 - int(label[1]) % 2}")
        if label[0] == "b":
            return upstream(f"z{label[1]}")
        first, second = f"w{label[1]}", f"w{int(label[1]) + 2}"
        return f"({times(upstream('z1'), first)} + {times(upstream('z2'), second)})"

    def times(one, other):
        if rng.random() < 0.3 and (split := re.fullmatch(r"\((\w+) - (\w+)\)", one)):
            return f"({split[1]}*{other} - {split[2]}*{other})"
        return f"{one}*{other}" if rng.random() < 0.5 else f"({other})*({one})"

    label = rng.choice(["a", "z3", "w5", "w6", "h1", "h2", "z1", "z2", "w1", "w2", "w3", "w4", "b1", "b3", "x1", "x2"])
    return label, right(label)


def expression(rng, leaves, size):
    """A random formula of these leaves."""
    if size <= 1:
        return rng.choice(leaves)
    if rng.random() < 0.3:
        return f"{rng.choice(['sin', 'tanh', 'sigmoid', 'exp', 'cos', 'atan'])}({expression(rng, leaves, size - 1)})"
    left = rng.randint(1, size - 1)
    one, other = expression(rng, leaves, left), expression(rng, leaves, size - left)
    return f"({one} {rng.choice('+-**')} {other})"


def graph_of_any_kind(rng, numbers):
    """A random graph, with a right formula for one of its leaves, as a derivation has it."""
    leaves = ["p", "q", "r", "s", "t"]
    exercise = Exercise(f"u = {expression(rng, leaves, 5)}; v = {expression(rng, [*leaves, 'u'], 4)}; "
                        f"C = {expression(rng, [*leaves, 'u', 'v', 'u'], 6)}", {x: rng.choice(numbers) for x in leaves})
    graph = exercise.marker.graph
    node = rng.choice([node for node in graph.order if not node.parents and node.label])
    context = Context(graph)
    terms = Terms({leaf: graph.names[leaf] for leaf in graph.order if not leaf.parents and leaf.label}
                  ) if rng.random() < 0.5 else context.terms
    found = links(graph.root, (node,), depending_on(graph, node), terms, context.place)
    formula = formula_of(found[0].formula).text if found else "0"
    return exercise, graph.names[node], re.sub(r"(?<![\w.])(\d+) ?(?=[a-zA-Z])", r"\1*", formula)


def coincidence(exercise, formula, rng):
    """The formula with a change that makes no difference at these numbers; None if nothing was changed."""
    words = [word for word in re.finditer(r"(?<![\w/.])[a-zA-Z]\w*(?!\w|\(|/d)", formula) if word[0] in exercise.data]
    ones = [name for name, x in exercise.data.items() if x == 1 and name != "C"]
    zeros = [name for name, x in exercise.data.items() if x == 0 and name != "C"]
    changes = []
    for word in words:
        name = word[0]
        x = exercise.data[name]
        changes += [(word, other) for other, y in exercise.data.items() if y == x and other not in (name, "C")]
        changes += [(word, f"({name}*{one})") for one in ones] + [(word, f"({name}/{one})") for one in ones]
        changes += [(word, f"({name} + {zero})") for zero in zeros]
        changes += [(word, f"({name}*{name})")] * (x in (0, 1)) + [(word, f"({name} - {name})")] * (x == 0)
    changes += [(digit, one) for digit in re.finditer(r"(?<![\w.^])1(?![\w.])", formula) for one in ones]
    changes += [(factor, "") for factor in re.finditer(r"[*·] ?(\w+)(?![\w(^²³])", formula)
                if exercise.data.get(factor[1]) == 1]
    if not changes:
        return None
    place, instead = rng.choice(changes)
    return formula[:place.start()] + instead + formula[place.end():]


def with_names_for_numbers(exercise, formula, many=2):
    """Formulas that a wrong one may be short for: x1/w6 · 1/(1 + e^-z), where the first 1 is w6."""
    for place in re.finditer(r"(?<![\w.^])[0-9.]+(?![\w.])", formula):
        for name, x in exercise.data.items():
            if abs(x) == float(place[0]):
                longer = formula[:place.start()] + f"({'-' * (x < 0)}{name})" + formula[place.end():]
                yield longer
                yield from with_names_for_numbers(exercise, longer, many - 1) if many > 1 else ()


def test_wrong_formulas_that_are_right_at_the_point_of_the_exercise_are_found():
    rng = random.Random(1)
    made, missed = 0, []
    while made < 1000:
        if rng.random() < 0.5:
            exercise, *kinds = network(rng, ROUND)
            right = [in_some_form(rng, *kinds) for _ in range(25)]
        else:
            exercise, label, formula = graph_of_any_kind(rng, ROUND)
            right = [(label, formula)] * 10
        for label, formula in right:
            wrong = coincidence(exercise, formula, rng)
            if wrong is None or label not in exercise.data or exercise.is_right(label, wrong, rng):
                continue
            answer = exercise.answer(label, wrong)
            if answer.value is None or not math.isclose(answer.value, answer.expected, rel_tol=1e-9, abs_tol=1e-15):
                continue
            made += 1
            if answer.verdict != SPECIAL and not any(exercise.is_right(label, read, rng)
                                                     for read in with_names_for_numbers(exercise, wrong)):
                missed.append((exercise.program.text, exercise.values, label, wrong, answer.verdict, answer.note))
    assert len(missed) <= 5, missed


def test_right_formulas_are_right_in_every_form():
    rng = random.Random(2)
    made, refused = 0, []
    while made < 1000:
        numbers = rng.choice((ROUND, ODD))
        if rng.random() < 0.7:
            exercise, *kinds = network(rng, numbers)
            right = [in_some_form(rng, *kinds) for _ in range(25)]
        else:
            exercise, label, formula = graph_of_any_kind(rng, numbers)
            right = [(label, formula)]
        for label, formula in right:
            for name, x in exercise.values.items():  # a number for a leaf
                if rng.random() < 0.1:
                    formula = re.sub(rf"(?<![\w/]){name}(?![\w/])", repr(x) if x >= 0 else f"({x!r})", formula)
            answer = exercise.answer(label, formula)
            if answer.value is None or math.isnan(answer.value) or not re.search("[a-z]", formula):
                continue  # 0/0, or no name is left
            made += 1
            if not answer.right:
                refused.append((exercise.program.text, exercise.values, label, formula, answer.verdict, answer.note))
    assert not refused, refused


# Which verdict, and what is said

NEURON = "z = w*x + b; a = sigmoid(z); C = 0.5*(y - a)**2"


def graph(text, **values):
    """A graph from text."""
    return [*parse_program(text, values).graph(values).values()][-1]


def neuron():
    return graph(NEURON, w=0.5, x=1.5, b=0.1, y=1.0)


def verdict(root, label, formula):
    return grade(root, {label: formula}).answers[label].verdict


@pytest.mark.parametrize("formula", [
    "-(y-a)**2*a*x", "(a-y)*a*(y-a)*x", "dC/dz*x*y", "dC/dz*x/y**3", "dC/da*da/dz*y*x", "(a-y)*(a-a^2)*1.5*y",
    "-0.0942*y", "-0.0942*y/y", "-0.0942 + 0*x", "-0.0628*x*y", "(a-y)*0.2098*x*y", "dC/db*x*y",
])
def test_what_is_right_for_these_numbers_only_earns_nothing(formula):
    report = grade(neuron(), {"w": formula})
    answer = report.answers["w"]
    assert answer.verdict == SPECIAL
    assert (report.right, report.score, answer.mistakes) == (0, 0, ())
    assert report.first_wrong is answer
    assert re.fullmatch("right for these numbers, but not in general: with .* = .* your formula gives .*, where .* is "
                        "right", answer.note)
    assert "right: ∂" in str(report)
    assert "first mistake" in report._repr_html_()


@pytest.mark.parametrize("formula", [
    "(a-y)*a*(1-a)*x", "(a-1)*a*(1-a)*x", "(a-1)*a*(1-a)*1.5", "-0.06281*x", "-0.0628x", "-0.063*x", "dC/dz*1.5",
    "(a-y)*0.2098*x", "(a-y)*0.21*x", "-0.2994*0.2098*x", "(a-1)*a*0.2994*x", "(0.7006-1)*a*0.2994*x", "(a-y)*da/dz*x",
    "a^2*x - a^3*x - y*a*x + y*a^2*x", "-0.0628*x*y/y", "(a-y)*exp(-z)/(1+exp(-z))**2*x", "(a-y)*x/(2+2*cosh(z))",
])
def test_numbers_may_stand_for_what_they_are_rounded_from(formula):
    assert verdict(neuron(), "w", formula) in ("exact", "close")


def test_an_answer_without_a_name_is_a_number():
    assert verdict(neuron(), "w", "0.2994*-0.2098*1.5") == "close"
    assert verdict(neuron(), "w", "-0.09422") == "close"


def test_the_point_in_the_note_can_be_looked_up():
    note = grade(neuron(), {"b": "(a-y)*a*(y-a)"}).answers["b"].note
    a, y, found, right = (float(x.replace("−", "-")) for x in re.search(
        r"with a = (\S+), y = (\S+) your formula gives (\S+), where (\S+) is right", note).groups())
    assert found == pytest.approx((a - y) * a * (y - a), rel=0.01)
    assert right == pytest.approx((a - y) * a * (1 - a), rel=0.01)


def test_forward_formulas():
    right = {"z": "w*x + b", "a": "1/(1 + exp(-w*x-b))", "C": "(1 - a)^2/2"}
    assert grade(neuron(), {}, right).score == 1
    report = grade(neuron(), {}, {"z": "w*x + b*y", "a": "1/(1 + exp(-z))^y", "C": "y/2*(y-a)^2"})
    assert [answer.verdict for answer in report.forward.values()] == [SPECIAL] * 3
    assert report.first_wrong is report.forward["z"]


def test_a_wrong_answer_comes_before_one_that_is_right_for_these_numbers():
    report = grade(neuron(), {"z": "dC/da*a*(y-a)", "w": "dC/dz", "b": "dC/dz"})
    assert [answer.verdict for answer in report.answers.values()] == [SPECIAL, "wrong", "exact"]
    assert report.first_wrong is report.answers["w"]


def test_what_is_carried():
    wrong = "(y-a)*a*(1-a)"
    report = grade(neuron(), {"z": wrong, "w": f"{wrong}*x", "b": "(1-a)*a*(1-a)", "x": "dC/dz*w"})
    assert [answer.verdict for answer in report.answers.values()] == ["wrong", "carried", "carried", "carried"]
    report = grade(neuron(), {"z": wrong, "w": f"{wrong}*x*y", "b": "dC/dz*y"})
    assert [answer.verdict for answer in report.answers.values()] == ["wrong", SPECIAL, SPECIAL]
    assert report.answers["b"].note.startswith("this follows from your other answers for these numbers, but not in ")
    report = grade(neuron(), {"z": 0.0628, "w": f"{wrong}*x", "b": "dC/dz"})
    assert [answer.verdict for answer in report.answers.values()] == ["wrong", "carried", "carried"]
    report = grade(neuron(), {"w": f"{wrong}*x", "b": wrong})
    assert report.answers["b"].note == "the same mistake as in ∂C/∂w"
    assert grade(neuron(), {"w": 7}, {"z": "w*x", "a": "sigmoid(w*x)"}).forward["a"].verdict == "carried"


def test_a_class():
    marked = grade_class(neuron(), {"Ada": {"w": "(a-y)*a*(y-a)*x"}, "Max": {"w": "(a-y)*a*(1-a)*x"}})
    assert marked.questions[0].verdicts == {SPECIAL: 1, "exact": 1}
    assert "! right for these numbers only" in str(marked)
    marked = grade_class(neuron(), {"Ada": {"w": "dC/dz*x"}, "Max": {"w": "dC/db*x"}, "Eve": {"w": "dC/dz*x*y"},
                                    "Bob": {"w": "da/dz*x*dC/da"}, "Lea": {"w": "dz/dw*x*dC/da*a*(1-a)/x"}})
    assert [report.answers["w"].verdict for report in marked.students.values()] == [
        "exact", "exact", SPECIAL, "exact", "exact"]


def test_derivatives_are_told_apart():
    a, b = Value(2.0, "a"), Value(2.0, "b")
    C = a * b + b * a
    C.label = "C"
    p, q = C * 1.0, C * 1.0
    p.label, q.label = "p", "q"
    E = p * b + q * a
    E.label = "E"
    marked = grade_class(E, {"Ada": {"C": "dE/dp + dE/dq"}, "Max": {"C": "dE/dp + dE/dp"}})
    assert [report.answers["C"].verdict for report in marked.students.values()] == ["exact", SPECIAL]


# Points of graphs of all kinds

@pytest.mark.parametrize(("text", "values", "label", "right", "special"), [
    ("z = w*x + b; h = relu(z); C = (h-y)**2", {"w": -1.0, "x": 1.0, "b": -1.0, "y": 1.0}, "w",  # dead
     ["0*w", "w - w", "dC/dh*relu'(z)*x", "h*x"], ["w + x", "b - w"]),
    ("z = w*x + b; h = relu(z); C = (h-y)**2", {"w": 1.0, "x": 1.0, "b": 1.0, "y": 1.0}, "w",
     ["2*(h-y)*x", "2*(z-y)*1*x"], ["2*(h-y)", "2*(h-y)*y*x", "h*x"]),
    ("z = w*x + b; h = relu(z); C = (h-y)**2", {"w": 1.0, "x": 1.0, "b": -1.0, "y": 1.0}, "w",  # exactly at the kink
     ["2*(h-y)*0*x", "0*w"], ["w - x", "2*w - 2*y"]),
    ("m = max(p, q); C = m*c", {"p": 2.0, "q": 1.0, "c": 1.0}, "p", ["c", "1*c"], ["q", "c*q"]),
    ("m = max(p, q); C = m*c", {"p": 1.0, "q": 1.0, "c": 1.0}, "p", ["c/2", "0.5*c"], ["1/(c + c)", "c*c/2"]),
    ("C = abs(x)*c", {"x": -1.0, "c": 1.0}, "x", ["-c", "x/|x|*c", "sign(x)*c"], ["x", "x*c"]),
    ("C = floor(x)*c + x*c", {"x": 1.5, "c": 2.0}, "c", ["1 + x", "floor(x) + x"], ["c + 0.5", "c*c/4 + x"]),
    ("C = x**n", {"x": -2.0, "n": 2.0}, "x", ["n*x**(n-1)", "2*x**(n-1)"], ["n*x", "x*n"]),
    ("C = x**3", {"x": -1.0}, "x", ["3*x^2", "3x*x"], ["-3*x", "3*x^4"]),
    ("C = log(x) + sqrt(y)/v", {"x": 1.0, "y": 1.0, "v": 1.0}, "v", ["-sqrt(y)/v**2", "-exp(log(y)/2)/v/v"],
     ["-y/v", "-1/x"]),
    ("C = a*b + 0*c", {"a": 1.0, "b": 1.0, "c": 0.0}, "a", ["b", "b + 0*c"], ["b + c", "a"]),
    ("z = u*p + v*q; E = (z - s1)**2 + (z*u - s2)**2", {"u": 1.0, "v": 0.0, "p": 2.0, "q": 1.0, "s1": 1.0, "s2": 0.0},
     "z", ["2*(z - s1) + 2*(z*u - s2)*u", "2*(z - 1) + 2*z*u^2 - 2*0*u"],
     ["2*(z - (1 - s2)) + 2*(z*u - s2)*u", "2*(z - s1) + 2*(z*u + s1 - 1)*u"]),  # s1 + s2 is 1, but these are no shares
    ("z = w*x + b; a = tanh(z); C = (a - y)**2", {"w": 400.0, "x": 2.0, "b": 0.0, "y": 1.0}, "w",  # saturated
     ["2*(a - y)*(1 - a^2)*x", "2*(a - y)*0*x"], ["2*(a - y)*(1 - a^2)", "w - w"]),
    ("C = x**a + b", {"x": -1.0, "a": 2.0, "b": 1.0}, "b", ["1", "x/x"], ["x**(b + 1)", "x**a"]),  # no number near
    ("n = x*w + b; o = tanh(n)", {"x": 2.0, "w": 1.0, "b": -2.0}, "b", ["1 - o^2", "do/dn"], ["1/w", "1 - (x + b)"]),
    ("p = sigmoid(x*w); L = -(y*log(p) + (1 - y)*log(1 - p))", {"x": 1.0, "w": 1.0, "y": 0.0}, "y",
     ["log(1 - p) - log(p)", "-x*w"], ["log(1 - p) - log(y + p)", "log(1 - p)/x - log(p)"]),
])
def test_points(text, values, label, right, special):
    root = graph(text, **values)
    assert {formula: verdict(root, label, formula) for formula in right + special} == {
        **dict.fromkeys(right, "exact"), **dict.fromkeys(special, SPECIAL)}


def test_a_formula_with_many_numbers_that_many_leaves_have():
    root = graph("f = sigmoid(wf*x + uf*h + bf); i = sigmoid(wi*x + ui*h + bi); g = tanh(wg*x + ug*h + bg); "
                 "c = f*k + i*g; C = (c - y)**2", wf=1.0, uf=1.0, bf=1.0, wi=1.0, ui=1.0, bi=0.0, wg=1.0, ug=1.0, bg=1.0,
                 x=1.0, h=1.0, k=0.0, y=1.0)
    right = ("2*(c - y)*(k*uf*exp(-wf*x - uf*h - bf)/(1 + exp(-wf*x - uf*h - bf))^2 + g*ui*exp(-wi*x - ui*h - bi)/"
             "(1 + exp(-wi*x - ui*h - bi))^2 + ug*(1 - tanh(wg*x + ug*h + bg)^2)/(1 + exp(-wi*x - ui*h - bi)))")
    assert verdict(root, "h", right) == verdict(root, "h", right.replace("(c - y)", "(c - 1)")) == "exact"
    for wrong in (right.replace("(1 + exp(-wf*x - uf*h - bf))", "(1 + exp(-wf*x - uf*h - (1 - bi)))"),
                  right.replace("(1 - tanh", "(1 - x*tanh"), right.replace("k*uf", "bi*uf")):
        assert verdict(root, "h", wrong) == SPECIAL


def test_softmax_with_shares_that_are_1_in_all():
    net = MLP(2, [2, 2], activation="tanh", rng=1)
    p = "exp(z31)/(exp(z31) + exp(z32))"
    for p1, p2 in ((0.5, 0.5), (0.25, 0.75)):
        C = losses.cross_entropy(net([1.0, 1.0]), [p1, p2])
        assert verdict(C, "z31", f"{p} - y1") == verdict(C, "z31", f"1 - {p.replace('31)/', '32)/')} - y1") == "exact"
        assert verdict(C, "z31", f"{p} - y2") == (SPECIAL if p1 == p2 else "wrong")
    C = losses.cross_entropy(net([1.0, 1.0]), 0)
    assert verdict(C, "z31", f"{p} - 1") == "exact"
    assert verdict(C, "w^{2}_{1,1}", "δ21*a11") == "exact"
    assert verdict(C, "w^{2}_{1,1}", "δ21*a12") == SPECIAL


def test_a_deep_chain_and_several_samples():
    a = Value(1.0, "x")
    for i in range(60):
        a = sigmoid(a * Value(1.0, f"w{i}"))
        a.label = f"a{i}"
    assert verdict(a, "w57", "da59/da57*a57*(1-a57)*a56") == "exact"
    assert verdict(a, "w57", "da59/da57*a57*(1-a57)*a56*w5") == SPECIAL
    net = MLP(1, [1], activation="sigmoid", output="sigmoid", rng=1)
    J = sum(losses.half_squared_error(net([x]), [y]) for x, y in [(1.0, 1.0), (1.0, 0.0)]) / 2
    J.label = "J"
    assert verdict(J, "b^{2}", "δ^{2(1)} + δ^{2(2)}") == "exact"
    assert verdict(J, "b^{2}", "δ^{2(1)}*a^{1(1)} + δ^{2(2)}") == SPECIAL
    assert verdict(J, "w^{2}", "δ^{2(1)}*a^{1(2)} + δ^{2(2)}*a^{1(2)}") == SPECIAL


def test_an_operation_of_a_users_own():
    odd = op("odd_kink", lambda x: x * x, lambda y, x: 2 * x, domain=(0.5, 1.5), kink=lambda x: math.log(x - 0.4))
    assert verdict(odd(Value(-1.0, "x")), "x", "2*x") == "exact", "whose kink is an error here"
    cube = op("cube_at_points", lambda x: x ** 3, lambda y, x: 3 * x ** 2)
    C = 2 * cube(Value(1.0, "x"))
    assert [verdict(C, "x", formula) for formula in ("6*x^2", "6*x^3", "6*x")] == ["exact", SPECIAL, SPECIAL]


def test_where_no_other_point_is_found_that_is_said():
    a = Value(1.0, "a")
    answer = grade(maximum(a, 1.0), {"a": "a/2"}).answers["a"]
    assert answer.verdict == "exact"
    assert "tried with these numbers only" in answer.note
    y = Value(1.0, "x")
    for _ in range(20_001):
        y = y + 0.0
    assert "tried with these numbers only" in grade(y, {"x": "x"}).answers["x"].note


def test_looking_elsewhere_changes_nothing():
    _, C = two_by_two()
    before = [(node.data, node.grad, node.local_derivatives) for node in look(C, "test").order]
    texts = {str(grade(two_by_two()[1], {"z31": "(a31 - y1)*a31*(1-a31)", "b^{3}_{1}": "δ31*a21"})) for _ in "12"}
    assert len(texts) == 1, "the same points each time"
    grade(C, {"b^{3}_{1}": "δ31"})
    assert [(node.data, node.grad, node.local_derivatives) for node in look(C, "test").order] == before


def test_a_formula_before_the_number_that_it_comes_to_is_tried_too():
    root = graph(NEURON, w=0.5, x=1.5, b=0.1, y=1.0)
    right = grade(root, {"w": "dC/dw = (a - y)*a*(1 - a)*x = -0.0942"}).answers["w"]
    wrong = grade(root, {"w": "dC/dw = -(y - a)**2*a*x = -0.0942"}).answers["w"]
    assert (right.verdict, wrong.verdict) == ("close", SPECIAL)
    assert grade(root, {"w": "(a - y)*a*(1 - a)*x = -0.0942"}, want="formula").right == 1
    assert grade(root, {"w": "dC/dw = -0.0942"}, want="formula").answers["w"].verdict == "unreadable"
    assert grade(root, {}, forward={"z": "z = z = 0.85"}).forward["z"].verdict == "exact"
    assert grade(root, {}, forward={"z": "log(a/(1 - a)) = 0.85"}).forward["z"].verdict == "exact", "a number is one"
    for text in ("δ = ∂C/∂z = (a − y)·a·(1 − a) = −0.0628", "δ = ∂C/∂z = −0.0628", "dC/dz = δ = -0.0628"):
        assert grade(root, {"δ": text}).answers["δ"].verdict == "close", text
    assert grade(root, {"δ": "δ = ∂C/∂z = -(y - a)**2*a = -0.0628"}).answers["δ"].verdict == SPECIAL


def test_where_nobody_can_say_what_a_number_stands_for_that_is_said():
    root = graph(NEURON, w=0.5, x=1.5, b=0.1, y=1.0)
    answer = grade(root, {"w": "(a - y)*0.3147*y"}).answers["w"]
    assert answer.verdict == "close" and "what the numbers in it stand for cannot be told" in answer.note
