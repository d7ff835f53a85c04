"""Where 0 meets ∞: every way of reading a graph has the gradient of backward(), and says why where that is none."""

import math
import random
import re

import pytest

import micrograd as mg
from micrograd import Value, check_gradients, diagnose, explain, grade, grade_class, gradient, nudge, ops, steps
from micrograd.formulas import undefined
from micrograd.formulas.graph import look

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
ROWS = [row for row in ops.OPS.values() if row.builtin]
POINTS = [0.0, 1.0, -1.0, 2.0, 0.5, -2.0]
EXTREME = [*POINTS, 1e-309, 1e300, -1e300, 1e-300, 1e-200, math.inf, -math.inf]

STUDENT = {  # at 0: the functions, what meets, and what the answer beside 0 is, if there is one
    "sqrt(0*x) + x": (lambda x: mg.sqrt(0 * x) + x, "sqrt(v₁) is ∞ at v₁ = 0 · x = 0, and ∂v₁/∂x = 0", "none beside"),
    "0*sqrt(x) + x": (lambda x: 0 * mg.sqrt(x) + x, "∂v₂/∂v₁ = 0, where v₂ = 0 · v₁", "1 at x = 0.001"),
    "sqrt(x)**2": (lambda x: mg.sqrt(x) ** 2, "sqrt(x) is ∞ at x = 0, and ∂y/∂v₁ = 0", "1 at x = 0.001"),
    "sqrt(x*x)": (lambda x: mg.sqrt(x * x), "sqrt(v₁) is ∞ at v₁ = x · x = 0, and ∂v₁/∂x = 0", "−1 at x = −0.001"),
    "relu(-sqrt(x))": (lambda x: mg.relu(-mg.sqrt(x)), "∂y/∂v₂ = 0", "0 at x = 0.001"),
    "x*sqrt(x)": (lambda x: x * mg.sqrt(x), "∂y/∂v₁ = 0", "0.04743 at x = 0.001"),
    "x**2 / x": (lambda x: x ** 2 / x, "y = v₁ / x = 0 / 0 = nan", "1 at x = 0.001"),
    "x.detach()*sqrt(x)": (lambda x: x.detach() * mg.sqrt(x), "∂y/∂v₁ = 0", "0 at x = 0.001"),
    "sign(sqrt(x)) + x": (lambda x: mg.sign(mg.sqrt(x)) + x, "", ""),
}


def at(f, x):
    leaf = Value(x, "x")
    y = f(leaf)
    y.label = "y"
    return y, leaf


@pytest.fixture(params=STUDENT)
def case(request):
    f, why, beside = STUDENT[request.param]
    return *at(f, 0.0), why, beside


# What a person sees

def test_explain_shows_the_product_and_says_why(case):
    y, x, why, beside = case
    for form in ({}, {"detail": "full"}):
        found = explain(y, wrt=x, **form)
        text = str(found)
        if not why:
            assert text.startswith("∂y/∂x = 1") and found.notes == ()
            continue
        assert math.isnan(found.value)
        sides = [line.split("= ", 1)[1] for line in text.split("\n\n")[0].splitlines()]
        assert sides[-1] == "nan" and re.search("∞|nan", sides[-2]) and "1" not in sides[:-2]
        assert why in found.notes[0] and beside in found.notes[0]
        assert "nan" in found.latex and found.to_mathml().startswith("<math")
    alone = " ".join(str(explain(y)).split())
    assert "= 1 = nan" not in alone and (why in alone or not why)


def test_no_answer_where_the_function_itself_has_none():
    y, x = at(lambda x: mg.log(x) * 0, 0.0)  # whose derivative at −0.001 is 0 · (1/x), but whose value is nan
    assert explain(y, wrt=x).notes[0].endswith("Beside it there is an answer: 0 at x = 0.001.")


def test_nothing_is_simplified_where_it_would_contradict_the_number():
    y, x = at(lambda x: mg.sqrt(x) ** 2, 0.0)
    assert str(explain(y, wrt=x)).splitlines()[:2] == ["∂y/∂x = 0 · ∞", "      = nan"]
    assert "Simplified, the formula would be 1;" in str(explain(y, wrt=x))
    y, x = at(lambda x: 1e200 * (1e200 * (1e-300 * x)), 1e-300)
    assert "Simplified, the formula would be 10¹⁰⁰;" in str(explain(y, wrt=x))
    y, x = at(lambda x: mg.sqrt(x) - mg.sqrt(x), 0.0)
    assert "∞ − 1 · ∞" in str(explain(y, wrt=x)) and "is ∞ − ∞, which has no value" in str(explain(y, wrt=x))
    y, x = at(lambda x: (-1.0) ** x, 2.0)
    assert "the slope of y = (−1)ˣ with x is not defined at x = 2" in str(explain(y, wrt=x)).replace("^x", "ˣ")


def test_error_terms_that_have_no_value():
    w, x, b = Value(0.0, "w"), Value(2.0, "x"), Value(0.0, "b")
    z = w * x + b
    z.label = "z"
    C = (mg.sqrt(z * z) - 1) ** 2 + mg.sqrt(0 * z)
    C.label = "C"
    for found in (explain(C, wrt=w, form="delta"), explain(C, form="delta")):
        assert [part for side in found.lines[0].sides[-1:] for part in side] == ["nan"]
        assert [note for note in found.notes if "is 0 · ∞, which has no value" in note] == [*found.notes[:1]]
    again = (mg.sqrt(0 * z) + 3 * z)
    again.label = "C"
    lines = str(explain(again, wrt=z, form="chain")).splitlines()
    assert lines[:2] == ["∂C/∂z = ∞ · 0 + 3", "      = nan"]
    assert "δ = ∂C/∂z = ∞ · 0 + 3 = nan" in str(explain(again, wrt=w, form="delta"))


def test_a_deep_graph_without_a_value_is_explained():
    x = Value(0.0, "x")
    y = 0 * mg.sqrt(x)
    for _ in range(3_000):
        y = y * 1.5 - 0.5 * y
    z = mg.sqrt(x)
    for _ in range(3_000):
        z = 1.5 * z
    assert math.isnan(explain(y, wrt=x).value)
    assert "more factors" in str(explain(0 * z, wrt=x))


def test_steps_show_where_it_comes_about(case):
    y, _, why, _ = case
    notes = [frame.note for frame in steps(y) if frame.note]
    assert bool(notes) == bool(why)
    assert all("has no value: 0 · ∞" in note for note in notes)
    assert all(frame.contribution != frame.contribution for frame in steps(y) if frame.note)


def test_nudge_predicts_nothing(case):
    y, x, why, _ = case
    if math.isnan(y.data):
        return
    found = nudge(y, x)
    assert (found.undefined == "") == (why == "") and why in found.undefined
    assert ("none: ∂y/∂x is 0 · ∞" in str(found)) == bool(why)
    assert ("there is none here" in found.svg) == bool(why)
    assert ("error" in str(found)) == (why == "")


def test_diagnose_names_the_slope_and_the_zero(case):
    y, _, why, _ = case
    found = diagnose(y)
    if not why:
        assert found.ok
    elif math.isnan(y.data):
        assert found.of("nan")
    else:
        [steep] = found.of("steep")
        assert "is ∞ there" in steep.sentence and steep.sentence.endswith("0 · ∞ has no value.")
        assert f"It meets {why.rpartition('and ')[2]}" in steep.sentence


def test_diagnose_names_the_place_in_a_training_step():
    w, x = Value(0.5, "w"), Value(3.0, "x")
    C = (mg.sqrt(0.0 * w) + w * x - 1) ** 2
    C.label = "C"
    [steep] = diagnose(C, parameters=[w]).of("steep")
    assert "the gradient of w inf or nan. It meets ∂v₁/∂w = 0: 0 · ∞ has no value." in steep.sentence
    C.backward()
    assert math.isnan(w.grad)


# Marks

def test_a_sheet_without_a_right_answer_is_not_judged():
    y, _ = at(lambda x: mg.sqrt(0 * x) + x, 3.0)
    for given in ("1", "2", 1, "nan", "", None, "undefined", "0/0", math.inf, "x"):
        report = grade(y, {"x": given})
        answer = report.answers["x"]
        assert (answer.verdict, answer.right, answer.error, report.first_wrong) == ("not judged", False, None, None)
        assert answer.note.startswith("no right answer, as ∂y/∂x is 0 · ∞, which has no value: the slope of v₂")
        assert (report.right, report.total) == (0, 0) and math.isnan(report.score)
        assert report.summary == "0 of 0 right: 1 not judged"
    assert str(answer.line) == "∂y/∂x = ∞ · 0 + 1 = nan"
    assert str(report).splitlines()[1].split() == ["∂y/∂x", "x", "none", "not", "judged"]
    assert ">none<" in report._repr_html_() and "– not judged" in report._repr_html_()


def test_what_follows_is_not_judged_either_and_the_rest_is(tmp_path):
    w, b, x = Value(0.5, "w"), Value(1.0, "b"), Value(2.0, "x")
    z = w * x + b
    z.label = "z"
    a = mg.sqrt(z * 0)
    a.label = "a"
    C = (a + z - 1) ** 2
    C.label = "C"
    report = grade(C, {"a": "2", "z": "2", "w": "4", "b": "nonsense("}, {"z": 2})
    assert [answer.verdict for answer in report.all] == ["exact", "exact", *["not judged"] * 3]
    assert (report.right, report.total, report.score) == (2, 2, 1.0)
    classes = grade_class(C, {"ann": {"w": "4", "a": "2"}, "bo": {"w": "", "a": "1"}})
    assert [line.split()[:3] for line in str(classes).splitlines()[1:3]] == [["ann", "1/1", "–✓"], ["bo", "0/1", "–✗"]]
    assert "– no right answer" in str(classes) and classes.tables()[1][0][-2] == "–"
    assert classes.questions[0].verdicts == {"not judged": 2}
    classes.to_csv(tmp_path / "marks.csv")
    assert (tmp_path / "marks.csv").read_text().splitlines()[1].startswith("ann,1,1,not judged,exact,")
    sane = grade_class(C, {"ann": {"a": "2"}})
    assert "not judged" not in str(sane) and "no right answer" not in str(sane)


def test_a_forward_value_that_is_nan_is_not_judged():
    p = Value(-1.0, "p")
    y = mg.log(p)
    y.label = "y"
    report = grade(y, {"p": -1.0}, {"y": 0.0, "p": -1.0})
    assert [answer.verdict for answer in report.forward.values()] == ["not judged", "exact"]
    assert report.forward["y"].note == "no right answer: y is nan here"


# All surfaces together

def expression(rng):
    """The steps of an expression of a few rows, two inputs, and constants among its arguments."""
    rows = [rng.choice(ROWS) for _ in range(rng.randint(1, 6))]
    return [(row, [rng.choice((0, 1, 2, 3, 4, 5, 6, 0.0, 1.0, -1.0, 2.0)) for _ in range(row.arity)]) for row in rows]


def value_of(program, inputs):
    stack = list(inputs)
    for row, args in program:
        args = [arg if isinstance(arg, float) else stack[-1 - arg % len(stack)] for arg in args]
        stack.append(row(*args))
    return stack[-1] + 0.5 * stack[-2]


def alike(x, y):
    """The same numbers, but for the order in which they were added; nan, and inf, in the same places."""
    return (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-300)


@pytest.mark.parametrize("points", [POINTS, EXTREME], ids=["plain", "extreme"])
@pytest.mark.parametrize("seed", range(12))
def test_every_surface_has_the_gradient_of_backward(seed, points):
    rng = random.Random(f"{seed} {points[-1]}")
    for _ in range(40):
        program = expression(rng)
        xs = [Value(rng.choice(points), f"x_{i}") for i in range(2)]
        y = value_of(program, xs)
        if not isinstance(y, Value) or y.op is ops.CONSTANT:
            continue
        y.label = "y"
        y.backward()
        at = f"{[(row.name, args) for row, args in program]} at {[x.data for x in xs]}"
        graph, frames, marked = look(y, "test"), steps(y), {x.label: 0 for x in xs if x in look(y, "test").names}
        report = grade(y, marked) if marked else None
        diagnosis = str(diagnose(y))
        str(explain(y))
        for x, graphic in zip(xs, gradient(y, xs)):
            assert alike(graphic.data, x.grad), at
            if x not in graph.names:
                continue
            right = graph.gradients[x]
            assert alike(right, x.grad), at
            last = next((frame.after for frame in reversed(frames) if frame.receiver is x), 0.0)
            assert alike(last or 0.0, x.grad), at
            found = explain(y, wrt=x)
            assert alike(found.value, x.grad), at
            assert alike(report.answers[x.label].expected, x.grad), at
            reason = undefined.undefined(graph, x)
            assert (reason is not None) == math.isnan(x.grad), at
            if reason is not None:
                assert reason.sentence in " ".join(found.notes) and report.answers[x.label].verdict == "not judged", at
                sides = re.sub("\n *", " ", str(found)).partition("= nan")[0].split(" = ")
                assert not re.fullmatch("[−0-9.]+ *", sides[-1]), at  # no number = nan
                assert "error" in diagnosis, at
            if math.isfinite(y.data) and math.isfinite(x.data):
                assert alike(nudge(y, x).gradient, x.grad), at
                if math.isnan(x.grad):
                    checked = check_gradients(lambda *p, program=program: value_of(program, p),
                                              tuple(x.data for x in xs), order=1)
                    assert checked.rows[xs.index(x)].verdict == "undefined", at


def test_an_arrow_that_carries_nothing_shows_no_flow():
    dot = pytest.importorskip("micrograd.look.dot")
    y, _ = at(lambda x: mg.sign(mg.sqrt(x)) + 0 * mg.sqrt(x) + x, 0.0)
    y.backward()
    sent = dot.sent_by_backward(look(y, "test").order)
    carried = {(node.op.name, i): flow for (node, i), flow in sent.items()}
    assert ("sign", 0) not in carried and math.isnan(carried["sqrt", 0])
    y, _ = at(lambda x: mg.sign(mg.sqrt(x)) + x, 0.0)
    y.backward()
    assert all(flow == 1.0 for flow in dot.sent_by_backward(look(y, "test").order).values())
    assert "nan" not in mg.draw(y, by_gradient=True).source


def test_a_factor_is_found_among_many_ways():
    """More ways lead to v from f, w and t than are written out, and only the last of them comes from w."""
    x = Value(0.0, "x")
    v = x - x
    w = mg.hypot(v, v)
    w.label = "w"
    t = v * v * (v - w - 2)
    t.label = "t"
    with pytest.warns(RuntimeWarning, match="div"):
        f = t / v
    f.label = "f"
    assert "∞ · 0 · 0" in str(explain(f, wrt=x))
    assert "0 has no value here" not in str(explain(f, wrt=x))  # the formula of ∂w/∂v, after x − x has cancelled


def test_layers_without_a_value_keep_their_matrices():
    net = mg.MLP(2, [2, 2], activation="tanh", rng=1)
    first, second = net([0.3, -0.4])
    C = mg.sqrt(0 * first) + second
    C.label = "C"
    found = explain(C, form="delta")
    assert len(found.matrices) == 6 and "nan" in str(found.matrices[0])
    assert [math.isnan(x) for (x,) in found.matrices[0].value] == [True, False]


def test_the_page_of_the_steps_says_it():
    y, _ = at(lambda x: mg.sqrt(0 * x) + x, 3.0)
    assert "has no value: 0 · ∞" in mg.stepper(y).html()
