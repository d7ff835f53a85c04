"""Marking by hand: verdicts, the first wrong link, the mistake; what students write, and what teachers hand in."""

import copy
import csv
import json
import math
import pickle
import random
import re
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from graphs import two_by_two
from programs import benchmark

from micrograd import MLP, Value, grade, grade_class, losses, op, relu, sigmoid
from micrograd.formulas.formula import number_of
from micrograd.formulas.graph import look
from micrograd.mark import mistakes
from micrograd.mark.answer import Submitted, numeral, submitted, writing_of
from micrograd.mark.derivation import Computation, Derivation
from micrograd.mark.grade import Marker
from micrograd.mark.report import PAST, Mistake
from micrograd.ops import named

# The step-by-step example: its numbers, in full
D1, D2 = 0.13849856162855695, -0.038098236516556236
RIGHT = {"z31": D1, "z32": D2,
         "w5": .08216704056423077, "w6": .08266762784753325, "w7": -.02260254047747507, "w8": -.022740242215978222,
         "a21": .03635030639314466, "a22": .0413703226487447, "z21": .00877135468948693, "z22": .009954254705217196,
         "w1": .0004385677344743465, "w2": .000877135468948693, "w3": .0004977127352608599, "w4": .0009954254705217198}
W5, W6, W7, W8 = .40, .45, .50, .55
A21, A22, A31, A32 = .5932699921071872, .596884378259767, .7513650695523157, .7729284653214625


def two_two_two():
    net, C = two_by_two()
    for p, name in zip(net.parameters(), ["w1", "w2", "b1", "w3", "w4", "b2", "w5", "w6", "b3", "w7", "w8", "b4"]):
        p.label = name
    return C


@pytest.fixture(scope="module")
def C():
    return two_two_two()


def four(x):
    return float(f"{x:.4g}")


def carry(answers):
    """The sheet of a student who goes on with the numbers that are in `answers`."""
    sheet = {**RIGHT, **answers}
    for label, rule in {
        "a21": lambda: sheet["z31"] * W5 + sheet["z32"] * W7, "a22": lambda: sheet["z31"] * W6 + sheet["z32"] * W8,
        "w5": lambda: sheet["z31"] * A21, "w6": lambda: sheet["z31"] * A22, "w7": lambda: sheet["z32"] * A21,
        "w8": lambda: sheet["z32"] * A22, "z21": lambda: sheet["a21"] * A21 * (1 - A21),
        "z22": lambda: sheet["a22"] * A22 * (1 - A22), "w1": lambda: sheet["z21"] * .05,
        "w2": lambda: sheet["z21"] * .1, "w3": lambda: sheet["z22"] * .05, "w4": lambda: sheet["z22"] * .1,
    }.items():
        if label not in answers:
            sheet[label] = rule()
    return {label: four(x) for label, x in sheet.items()}


# Verdicts

def test_the_numbers_of_the_example_are_exact(C):
    report = grade(C, RIGHT)
    assert [answer.verdict for answer in report.answers.values()] == ["exact"] * 14
    assert report.first_wrong is None
    assert report.score == 1
    for label, x in RIGHT.items():
        assert math.isclose(report.answers[label].expected, x, rel_tol=1e-12)


@pytest.mark.parametrize("rounding", [four, lambda x: f"{x:.4g}", lambda x: f"{x:.4f}" if abs(x) > 5e-5 else x,
                                      lambda x: f"{x:.3g}", lambda x: f"{x:.6f}"])
def test_rounded_numbers_are_close(C, rounding):
    report = grade(C, {label: rounding(x) for label, x in RIGHT.items()})
    assert {answer.verdict for answer in report.answers.values()} <= {"close", "exact"}
    for answer in report.answers.values():
        assert answer.error == pytest.approx(abs(answer.value - answer.expected) / abs(answer.expected))


@pytest.mark.parametrize("given, verdict", [
    (D1, "exact"), ("0.13849856162855695", "exact"), (0.1385, "close"), ("0.139", "close"), ("0.14", "close"),
    ("0.1", "too coarse"), (0.1, "too coarse"), (0.15, "wrong"), ("0.1400", "wrong"), ("13.85e-2", "close"), ("0,1385", "close"),
    ("−0.1385", "wrong"), ("+0.1385", "close"), ("≈ 0.1385", "close"), ("= .1385", "close"), (0, "wrong"), (0.0, "wrong"),
    (math.inf, "wrong"), (-math.inf, "wrong"), ("1e999", "wrong"), (math.nan, "missing"), (None, "missing"), ("", "missing"),
    ("?", "missing"), (" ", "missing"), ("0,", "wrong"), (",", "unreadable"), ("0.1385.", "unreadable"),
    ("1/0", "wrong"), ("277/2000", "close"), ("1e-320", "wrong"), (10**400, "wrong"), (True, "wrong"),
])
def test_one_number(C, given, verdict):
    report = grade(C, {"z31": given})
    assert report.answers["z31"].verdict == verdict
    json.dumps(report.to_dict())
    assert str(report)
    assert report._repr_html_()


def test_four_decimals_of_a_small_number_will_do(C):
    report = grade(C, {"w1": "0.0004", "w3": .0005, "w4": "0.001"})
    assert [answer.verdict for answer in report.answers.values()] == ["close", "close", "close"]
    assert grade(C, {"w1": "0.0005"}).answers["w1"].verdict == "wrong"
    assert grade(C, {"w1": "0.0000"}).answers["w1"].verdict == "wrong", "zero is no rounding of what is not zero"


def test_digits_that_are_asked_for(C):
    assert grade(C, {"z31": 0.1386}).answers["z31"].verdict == "close"
    assert grade(C, {"z31": 0.1386}, digits=8).answers["z31"].verdict == "too coarse"
    assert grade(C, {"z31": 0.1386}, digits=2).answers["z31"].verdict == "close"
    for digits in (2, 3):
        assert grade(C, {"z31": 0.16}, digits=digits).answers["z31"].verdict == "wrong"


def test_an_answer_that_follows_from_rounded_ones_is_close():
    """(a − y) is small, so that rounding a changes it by 10 %."""
    w, x, y = Value(2.0, "w"), 1.5, 0.9525
    z = w * x
    z.label = "z"
    a = sigmoid(z)
    a.label = "a"
    C = 0.5 * (a - y) ** 2
    C.label = "C"
    a_rounded = 0.9526
    delta = (a_rounded - y) * a_rounded * (1 - a_rounded)
    right = (a.data - y) * a.data * (1 - a.data)
    assert abs(delta / right - 1) > 0.2
    report = grade(C, {"z": four(delta), "w": four(delta * x)})
    assert [answer.verdict for answer in report.answers.values()] == ["close", "close"]
    assert grade(C, {"z": -four(delta)}).answers["z"].verdict == "wrong"


def test_nan_and_infinite_gradients():
    x = Value(0.0, "x")
    with pytest.warns(RuntimeWarning, match="log"):
        y = x.log()
    report = grade(y, {"x": math.inf})
    assert report.answers["x"].verdict == "exact"
    z = Value(math.nan, "z")
    assert [grade(z * z, {"z": x}).answers["z"].verdict for x in (math.nan, 1.0, "2z", "?")] == ["not judged"] * 4


def test_looking_changes_nothing(C):
    C.backward()
    before = [(node.data, node.grad, node.label) for node in look(C, "test").order]
    grade(C, {"z31": 2.0, "w5": "a21"}, {"z21": 3.0})
    assert [(node.data, node.grad, node.label) for node in look(C, "test").order] == before


# Carried, and the first wrong link

def test_a_mistake_is_counted_once(C):
    report = grade(C, carry({"z31": -D1}))
    verdicts = {label: answer.verdict for label, answer in report.answers.items()}
    assert verdicts["z31"] == "wrong"
    assert [label for label, verdict in verdicts.items() if verdict == "carried"] == [
        "w5", "w6", "a21", "a22", "z21", "z22", "w1", "w2", "w3", "w4"]
    assert report.first_wrong is report.answers["z31"]
    assert (report.right, report.total) == (13, 14)


def test_a_second_mistake_is_found_behind_the_first(C):
    sheet = carry({"z31": -D1})
    sheet = {**sheet, "z21": sheet["a21"]}  # and s′ left out, of a number that was wrong already
    report = grade(C, sheet)
    assert report.first_wrong.label == "z31"
    assert report.answers["z21"].verdict == "wrong"
    assert report.answers["z21"].mistakes[0].kind == mistakes.SLOPE
    assert "a²₁(1 − a²₁)" in report.answers["z21"].mistake
    assert report.answers["w1"].verdict == "wrong", "it follows from the δ that the student did not hand in"


def test_the_first_wrong_link_is_the_one_nearest_to_the_cost(C):
    for order in (RIGHT, dict(reversed(RIGHT.items()))):
        report = grade(C, {**{label: four(RIGHT[label]) for label in order}, "w1": .7, "z32": .3, "w5": .9})
        assert report.first_wrong.label == "z32"
    assert grade(C, {"w1": 1.23, "w6": 4.56}).first_wrong.label == "w6"


def test_forward_mistakes_come_first(C):
    report = grade(C, {"z31": -D1}, forward={"z21": .0275, "a21": 1 / (1 + math.exp(-.0275))})
    assert report.first_wrong is report.forward["z21"]
    assert report.forward["z21"].mistakes[0].sentence == "leave out the term b1"
    assert report.forward["a21"].verdict == "carried"
    assert report.answers["z31"].verdict == "wrong"


def test_gradients_from_wrong_forward_values_are_carried(C):
    a31 = .8
    delta = (a31 - .01) * a31 * (1 - a31)
    report = grade(C, {"z31": four(delta), "w5": four(delta * A21)}, forward={"a31": a31})
    assert report.forward["a31"].verdict == "wrong"
    assert report.answers["z31"].verdict == "carried"
    assert report.answers["w5"].verdict == "carried"
    assert grade(C, {"z31": four(D1)}, forward={"a31": a31}).answers["z31"].verdict == "close", "right all the same"


def test_a_mistake_in_what_was_not_asked_for_is_counted_once(C):
    """Only weights are asked for; the δ before them is wrong."""
    sheet = carry({"z21": RIGHT["a21"]})
    report = grade(C, {label: sheet[label] for label in ("w5", "w1", "w2")})
    assert report.answers["w1"].verdict == "wrong"
    assert report.answers["w1"].mistakes[0].kind == mistakes.SLOPE
    assert report.answers["w2"].verdict == "carried"
    assert "same mistake" in report.answers["w2"].note


def test_a_mistake_in_the_cost_is_counted_once(C):
    report = grade(C, {"z31": 2 * four(D1), "z32": 2 * four(D2)})
    assert [answer.verdict for answer in report.answers.values()] == ["wrong", "carried"]
    assert "constant factor 0.5" in report.first_wrong.mistake


def test_but_the_same_mistake_at_two_places_is_two(C):
    report = grade(C, {"z31": D1, "w5": A21, "w6": A22})
    assert [answer.verdict for answer in report.answers.values()] == ["exact", "wrong", "wrong"]


# The mistakes that learners make, one by one

@pytest.mark.parametrize("label, x, kind, words", [
    ("a21", D1 * W5, mistakes.FORK, "count only the path through z³₁"),
    ("a21", D2 * W7, mistakes.FORK, "count only the path through z³₂"),
    ("w5", A21, mistakes.UPSTREAM, "leave out the upstream gradient δ³₁"),
    ("z21", A21 * (1 - A21), mistakes.UPSTREAM, "leave out the upstream gradient ∂C/∂a²₁"),
    ("z31", A31 - .01, mistakes.SLOPE, "σ′(z³₁) = a³₁(1 − a³₁)"),
    ("z21", RIGHT["a21"], mistakes.SLOPE, "σ′(z²₁) = a²₁(1 − a²₁)"),
    ("z31", (.01 - A31) * A31 * (1 - A31), mistakes.REVERSED, "take (y₁ − a³₁) where (a³₁ − y₁) belongs"),
    ("a22", -RIGHT["a22"], mistakes.REVERSED, "opposite sign"),
    ("a21", D1 * (W5 - .5 * RIGHT["w5"]) + D2 * (W7 - .5 * RIGHT["w7"]), mistakes.UPDATED, "use the updated w5 and w7"),
    ("a21", D1 * (W5 - .5 * RIGHT["w5"]) + D2 * W7, mistakes.UPDATED, "use the updated w5 (learning rate 0.5)"),
    ("a21", D1 * W6 + D2 * W7, mistakes.ELSEWHERE, "use w6 instead of w5"),
    ("w5", D1 * A22, mistakes.ELSEWHERE, "use a²₂ instead of a²₁"),
    ("w5", D2 * A21, mistakes.ELSEWHERE, "δ³₂ instead of δ³₁"),
    ("w5", D1 * .3775, mistakes.ELSEWHERE, "use z²₁ instead of a²₁"),
    ("w5", D1, mistakes.FACTOR, "leave out the factor a²₁"),
    ("z21", RIGHT["a21"] * sigmoid(A21) * (1 - sigmoid(A21)), mistakes.PLACE, "at a²₁ instead of at z²₁"),
    ("z21", RIGHT["a21"] * A21, mistakes.PLACE, "multiply by a²₁ itself"),
    ("z21", RIGHT["a21"] * (1 - A21 ** 2), mistakes.FUNCTION, "derivative of tanh"),
    ("z31", 2 * D1, mistakes.POWER, "leave out the constant factor 0.5"),
    ("z31", D1 / 2, mistakes.POWER, "forget the factor 2 that the power brings down"),
    ("w5", W5 - .5 * RIGHT["w5"], mistakes.QUANTITY, "give the updated w5 (learning rate 0.5)"),
    ("w5", .5 * RIGHT["w5"], mistakes.QUANTITY, "multiply by the learning rate 0.5"),
])
def test_what_learners_get_wrong(C, label, x, kind, words):
    report = grade(C, carry({label: x}), lr=0.5)
    first = report.first_wrong
    assert first.label == label
    assert kind in [mistake.kind for mistake in first.mistakes]
    assert words in first.mistake
    assert first.mistake.startswith(f"your {first.symbol} equals what you get if you ")
    assert report.right == report.total - 1, "the rest is carried"
    assert f"right: {first.line}" in " ".join(str(report).split())


def test_swapped_indices_and_the_weights_of_another_layer():
    net = MLP(2, [2, 2, 2], activation="tanh", output="tanh", rng=3)
    C = losses.half_squared_error(net([.4, -.7]), [.5, .1])
    C.label = "C"
    w = {p.label: p.data for p in net.parameters()}
    graph = look(C, "test")
    delta = {i: graph.gradients[graph.named(f"z^{{4}}_{{{i}}}")] for i in (1, 2)}
    swapped = sum(w[f"w^{{4}}_{{1,{i}}}"] * delta[i] for i in (1, 2))
    below = sum(w[f"w^{{3}}_{{{i},1}}"] * delta[i] for i in (1, 2))
    answers = {"δ41": delta[1], "δ42": delta[2]}
    first = grade(C, {**answers, "a31": four(swapped)}).first_wrong
    assert "use w⁴₁,₂ instead of w⁴₂,₁: the indices are swapped" in first.mistake
    first = grade(C, {**answers, "a31": four(below)}).first_wrong
    assert "another layer" in first.mistake


def test_a_batch_that_was_not_averaged():
    net = MLP(1, [1], activation="sigmoid", output="sigmoid", rng=1)
    samples = [(.3, 1.0), (.9, 0.0), (-.5, 1.0)]
    J = sum(losses.half_squared_error(net([x]), [y]) for x, y in samples) / 3
    J.label = "J"
    w = net.parameters()[0]
    right = grade(J, {w: 0}).answers[w].expected
    first = grade(J, {w: four(3 * right)}).first_wrong
    assert first.mistakes[0].kind == mistakes.MEAN
    assert "division by 3" in first.mistake
    first = grade(J, {"w^{2}": four(3 * right)}).first_wrong
    assert "∂J/∂w²" in first.mistake
    shares = {name: grade(J, {name: 0}).answers[name].expected for name in ("z^{2(1)}", "z^{2(2)}", "z^{2(3)}")}
    last = shares["z^{2(3)}"] * -.5
    assert "count only the path" in grade(J, {**shares, w: four(last)}).first_wrong.mistake or \
        "forget the paths" in grade(J, {**shares, w: four(last)}).first_wrong.mistake


def test_a_relu_that_was_taken_for_dead_and_one_that_is():
    x = Value(2.0, "x")
    h = relu(x)
    h.label = "h"
    y = 3 * h
    y.label = "y"
    report = grade(y, {"h": 3, "x": 0})
    assert "for negative" in report.first_wrong.mistake
    dead = relu(-x)
    dead.label = "h"
    y = 3 * dead
    y.label = "y"
    assert grade(y, {"h": 3, "x": 0}).score == 1
    assert grade(y, {"h": 3, "x": -3}).first_wrong.mistakes[0].kind == mistakes.SLOPE


def test_operations_of_a_users_own_are_marked_too():
    cube = op("cube_for_grading", lambda x: x ** 3, lambda y, x: 3 * x ** 2)
    x = Value(1.7, "x")
    z = cube(x)
    z.label = "z"
    y = z * z
    y.label = "y"
    report = grade(y, {"z": 2 * 1.7 ** 3, "x": 2 * 1.7 ** 3})
    assert report.first_wrong.mistakes[0].kind == mistakes.SLOPE
    assert grade(y, {"x": "2 * z * 3 * x**2"}).answers["x"].verdict == "exact"


def test_quotients_and_powers():
    a, b = Value(3.0, "a"), Value(4.0, "b")
    q = a / b
    q.label = "q"
    y = q ** 3
    y.label = "y"
    assert grade(y, {"q": "3*q²", "a": "dy/dq / b", "b": "-dy/dq*a/b**2"}).score == 1
    assert "multiply by b" in grade(y, {"q": 3 * .75 ** 2, "a": 3 * .75 ** 2 * 4}).first_wrong.mistake
    assert "exponent" in grade(y, {"q": four(3 * .75 ** 3)}).first_wrong.mistake


@pytest.mark.parametrize("x", [0, 1, 123.456, -0.5])
def test_no_mistake_is_made_up(C, x):
    """Numbers that come from nowhere."""
    report = grade(C, {**{label: four(value) for label, value in RIGHT.items()}, "w6": x})
    assert report.first_wrong.label == "w6"
    assert report.first_wrong.mistakes == ()
    assert report.first_wrong.mistake == ""


def test_two_mistakes_with_one_result_are_both_named():
    x = Value(2.0, "x")
    a, b = Value(3.0, "a"), Value(3.0, "b")
    y = a * x + b * x
    y.label = "y"
    report = grade(y, {"x": 3})
    assert report.first_wrong.verdict == "wrong"
    assert len(report.first_wrong.mistakes) > 1
    assert "; or if you " in report.first_wrong.mistake


@pytest.mark.parametrize("label, line", [
    ("w5", "∂C/∂w5 = δ³₁ · a²₁ = 0.1385 · 0.5933 = 0.08217"),
    ("z31", "∂C/∂z³₁ = δ³₁ = (a³₁ − y₁) · a³₁(1 − a³₁) = (0.7514 − 0.01) · 0.7514(1 − 0.7514) = 0.1385"),
    ("a21", "∂C/∂a²₁ = δ³₁ · w5 + δ³₂ · w7 = 0.1385 · 0.4 − 0.0381 · 0.5 = 0.03635"),
    ("z21", "∂C/∂z²₁ = δ²₁ = ∂C/∂a²₁ · a²₁(1 − a²₁) = 0.03635 · 0.5933(1 − 0.5933) = 0.008771"),
])
def test_the_right_line(C, label, line):
    answer = grade(C, {**RIGHT, label: 7.0}).answers[label]
    assert re.sub(r"\s", "", answer.line) == re.sub(r"\s", "", line)
    ElementTree.fromstring(answer.line.mathml)


# Keys and expressions

@pytest.mark.parametrize("key", ["z^{3}_{1}", "z31", "z3_1", "z³₁", "δ^{3}_{1}", "δ31", "δ³₁", "delta31", "delta^{3}_{1}",
                                 "dC/dz31", "∂C/∂z³₁", "∂C/∂z^{3}_{1}", r"\partial C/\partial z^{3}_{1}",
                                 r"\frac{\partial C}{\partial z^{3}_{1}}", r"$\delta^3_1$", " z31 "])
def test_keys_as_people_write_them(C, key):
    report = grade(C, {key: D1})
    assert report.answers[key].verdict == "exact"
    assert report.answers["z31"] is report.answers[key]
    assert report.answers[look(C, "test").named("z^{3}_{1}")] is report.answers[key]
    assert list(report.answers) == [key]
    assert len(report.answers) == 1
    with pytest.raises(KeyError, match="not answered"):
        report.answers["w5"]


def test_values_as_keys(C):
    w5 = look(C, "test").named("w5")
    report = grade(C, {w5: RIGHT["w5"]})
    assert report.answers[w5].verdict == report.answers["w5"].verdict == "exact"


@pytest.mark.parametrize("label, text, verdict", [
    ("z31", "(a31 - y1) * a31 * (1 - a31)", "exact"), ("z31", "(a³₁ − y₁)·a³₁·(1 − a³₁)", "exact"),
    ("z31", "(a31 - y1)*σ'(z31)", "exact"), ("w5", "δ31 * a21", "exact"), ("w5", "dC/dz31 * a21", "exact"),
    ("w5", "∂C/∂z³₁ · a²₁", "exact"), ("a21", "w5*δ31 + w7*δ32", "exact"), ("z21", "dC/da21 * da21/dz21", "exact"),
    ("z21", "(w5*δ31 + w7*δ32)*a21*(1-a21)", "exact"), ("z31", "(y1 - a31)*a31*(1-a31)", "wrong"),
    ("z31", "2*", "unreadable"), ("z31", "import os", "unreadable"), ("z31", "w9 + 1", "unreadable"),
    ("z31", "__import__('os')", "unreadable"), ("z31", "(" * 900, "unreadable"), ("z31", "1+" * 600 + "1", "unreadable"),
    ("z31", "δ31", "unreadable"), ("z31", "2*dC/dz31", "unreadable"), ("z31", "a31.data", "unreadable"),
])
def test_expressions(C, label, text, verdict):
    answer = grade(C, {label: text}).answers[label]
    assert answer.verdict == verdict
    if verdict == "unreadable":
        assert answer.note.splitlines()[-1].strip() == "^", "a caret under the place"
        assert answer.value is None


def test_expressions_use_the_students_own_gradients(C):
    report = grade(C, {"z31": -D1, "w5": "δ31 * a21"})
    assert report.answers["w5"].value == pytest.approx(-RIGHT["w5"])
    assert report.answers["w5"].verdict == "carried"
    assert grade(C, {"w5": "δ31 * a21"}).answers["w5"].verdict == "exact", "the right one, where there is none"
    later = grade(C, {"w5": "δ31 * a21", "δ31": "(a31 - y1)*a31*(1 - a31)"})
    assert later.score == 1


def test_expressions_that_go_in_circles(C):
    report = grade(C, {"w5": "dC/dw6", "w6": "dC/dw5", "z31": "1 +"})
    assert [answer.verdict for answer in report.answers.values()] == ["unreadable"] * 3
    assert "refers to itself" in report.answers["w5"].note


def test_carets_stand_where_the_student_wrote(C):
    note = grade(C, {"w5": "∂C/∂z³₁ * a2x"}).answers["w5"].note
    text, caret = note.splitlines()[-2:]
    assert text[caret.index("^"):].startswith("a2x")


# What cannot be marked

@pytest.mark.parametrize("answers, error, words", [
    ({"w55": 1}, ValueError, "did you mean 'w5'"), ({"dE/dw5": 1}, ValueError, "no 'E' here"),
    ({"da31/dw5": 1}, ValueError, "give a31 as the root"), ({"dC/dq": 1}, ValueError, "no node is called"),
    ({"w5": 1, "dC/dw5": 2}, ValueError, "the same node"), ({"a11": 1}, ValueError, "constant"),
    ({"y1": 1}, ValueError, "constant"), ({}, ValueError, "nothing to mark"), ({3: 1}, TypeError, "label or a Value"),
    ({"w5": [1]}, TypeError, "number or an expression"), ({"w5": Value(1.0)}, TypeError, "number or an expression"),
    ({"w5": 1j}, TypeError, "number or an expression"), ([("w5", 1)], TypeError, "must be a dict"), ("w5", TypeError, "must be a dict"),
    ({Value(1.0, "w5"): 1}, ValueError, "not in the graph"), ({"": 1}, ValueError, "no node is called"),
])
def test_hostile_input(C, answers, error, words):
    with pytest.raises(error, match=re.escape(words)):
        grade(C, answers)


def test_other_arguments(C):
    with pytest.raises(TypeError, match="needs a Value"):
        grade(0.5, {"x": 1})
    for bad in (1, 13, 4.5, True, "4"):
        with pytest.raises(ValueError, match="significant digits"):
            grade(C, RIGHT, digits=bad)
    for bad in (0, -1, math.nan, math.inf, "0.5"):
        with pytest.raises(ValueError, match="learning rate"):
            grade(C, RIGHT, lr=bad)


def test_labels_that_several_nodes_have():
    x = Value(2.0, "x")
    for labels in (("h", "h"), ("a^{2}", "a^{2}")):
        one, two = x * 2, x * 3
        one.label, two.label = labels
        y = one * two
        y.label = "y"
        with pytest.raises(ValueError, match="2 nodes are labelled"):
            grade(y, {labels[0]: 1})
        report = grade(y, {one: 6.0, two: 4.0, "x": 24.0})
        assert report.score == 1
    p, q = Value(1.0, "w_{1,12}"), Value(2.0, "w_{11,2}")
    with pytest.raises(ValueError, match="can be"):
        grade(p * q, {"w112": 1})


def test_what_is_asked_for_and_missing(C):
    report = grade(C, {"w5": RIGHT["w5"], "w6": None}, ask=["w5", "w6", "w7", "dC/dw8"])
    assert [answer.verdict for answer in report.answers.values()] == ["exact", "missing", "missing", "missing"]
    assert report.first_wrong is None
    assert (report.right, report.total) == (1, 4)
    assert grade(C, {}, ask=["w5"]).total == 1


def test_graphs_without_labels():
    x = Value(3.0)
    y = x * x + 2 * x
    report = grade(y, {x: 8})
    assert report.score == 1
    assert "∂f/∂x₁" in str(report)
    assert grade(y, {"x_{1}": 8}).score == 1
    assert grade(y, {y: 1}).score == 1


@pytest.mark.parametrize("function", [lambda y: y.tanh(), lambda y: y + 1, lambda y: y + y])
def test_a_deep_graph(function):
    x = Value(1.0, "x")
    y = x
    for _ in range(5_000 if function(x).data < 1.5 else 900):  # 2**900 is a float still
        y = function(y)
    y.label = "y"
    right = grade(y, {"x": 1.5}).answers["x"]
    assert right.verdict == "wrong"
    assert grade(y, {"x": right.expected}).score == 1
    assert grade(y, {"x": -right.expected}).first_wrong.verdict == "wrong"


# What is shown

def test_text_and_page(C):
    x = Value(1.0, "</script><b>&")
    y = x * 2
    y.label = "y"
    report = grade(y, {x: 3, y: "<i> 2 *"})
    page = report._repr_html_()
    ElementTree.fromstring(page.replace("&nbsp;", " "))
    assert "<b>&" not in page
    assert "<i>" not in page
    assert "✗ wrong" in page
    assert "? unreadable" in page
    assert repr(report) == str(report)
    assert "1 wrong" in str(report)
    report = grade(C, carry({"z31": -D1}))
    assert str(report) == str(grade(two_two_two(), carry({"z31": -D1}))), "the same graph gives the same text"
    assert "The first mistake, ∂C/∂z³₁:" in str(report)
    assert all(len(line) <= 110 for line in str(report).splitlines())
    data = report.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["first_wrong"] == "z31"
    assert data["answers"][0]["verdict"] == "wrong"
    assert data["answers"][0]["mistakes"][0]["kind"] == mistakes.REVERSED
    assert "wrong" in repr(report.answers)


def test_an_answer_is_called_as_it_was_handed_in(C):
    report = grade(C, {"δ31": -D1, "dC/dz32": "-0.0381", "w5": "-δ31 * a21"}, {"z31": 7})
    assert [row[0] for row in report.table()[1:]] == ["z³₁", "δ³₁", "∂C/∂z³₂", "∂C/∂w5"]
    delta = report.answers["δ31"]
    assert (delta.name, delta.symbol, delta.called, delta.heading) == ("z^{3}_{1}", "∂C/∂z³₁", "δ³₁", "δ31")
    assert delta.mistake.startswith("your δ³₁ equals")
    assert report.first_wrong.heading == report.to_dict()["first_wrong"] == "forward z31"
    assert "\nδ³₁:\n" in str(report)
    assert grade(C, {look(C, "test").named("z^{3}_{1}"): D1}).answers["δ31"].called == "∂C/∂z³₁"
    assert grade(C, {"δ31": 2 * D1, "δ32": 2 * D2}).answers["δ32"].note == "the same mistake as in δ³₁"


def test_marked_sheets_are_copied_and_pickled(C):
    for report in (grade(C, {"w5": "δ31*a21", "w6": 1}, {"z31": 1}), grade_class(C, {"Ada": {"w5": 1}})):
        for other in (copy.deepcopy(report), pickle.loads(pickle.dumps(report))):
            assert other.text == report.text and other.to_dict() == report.to_dict()


def test_one_minus_sign(C):
    table = grade(C, {"z31": "-0.1385", "z32": -.0381, "w7": "-(a21)", "w5": "1e-5"}).table()
    assert [row[1] for row in table[1:]] == ["−0.1385", "−0.0381", "−(a21)", "1e−5"]
    assert "-" not in "".join(cell for row in table for cell in row)


def test_values_for_gradients_are_noticed(C):
    report = grade(C, {"z31": "1.106", "δ32": 1.2249, "w5": W5, "a21": .1})
    answers = report.answers
    assert [answer.verdict for answer in answers.values()] == ["wrong"] * 4, "it is said, not forgiven"
    assert [answer.meant for answer in answers.values()] == ["forward z31", "forward z32", "", ""]
    assert "this is the value of z³₁;" in answers["z31"].note
    assert "heading 'forward z31'" in " ".join(str(report).split())
    assert grade(C, {}, {"z31": "1.106"}).forward["z31"].meant == ""


def test_formulas_go_on_in_the_next_line(C):
    page = grade(C, {"z31": 7})._repr_html_()
    assert page.count("<math") == 5
    assert page.count('<span style="white-space:nowrap">= <math') == 4
    x = Value(3.0, "x = 3 {a")
    y = relu(x) * relu(-2 * x) + sigmoid(x)
    y.label = "y"
    report = grade(y, {x: 7.0})
    ElementTree.fromstring(report._repr_html_())
    assert "x = 3 {a" in str(report)


@pytest.mark.parametrize("key, words", [
    ("a^{2}_{9}", "(did you mean 'a22'?); there are a22, a21, "), ("w55", "(did you mean 'w5'?); there are w5, w"),
    ("delta33", "(did you mean 'δ32'?); there are δ32, δ31, "), ("Q", "in the graph of C; there are w1, "),
])
def test_names_as_people_type_them_the_nearest_first(C, key, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        grade(C, {key: 1})
    assert "{2}" not in str(caught.value).partition(";")[2]
    assert re.search(r"and \d+ more$", str(caught.value))


def test_names_that_are_short_for_two_are_written_in_full():
    p, q = Value(1.0, "w_{1,12}"), Value(2.0, "w_{11,2}")
    with pytest.raises(ValueError, match=re.escape("there are w_{1,12}, w_{11,2}")):
        grade(p * q, {"x": 1})


def test_every_mistake_can_be_told_in_the_past_tense(C):
    batch = sum(losses.half_squared_error(MLP(1, [1], activation="relu", rng=1)([x]), [1.0]) for x in (.3, .9)) / 2
    x, y = Value(3.0, "x"), Value(2.0, "y")
    told = set()
    for root in (C, batch, (x / y) ** 3 + relu(x) * x.tanh() - y * sigmoid(x) * sigmoid(y)):
        marker = Marker(look(root, "test"))
        for node in marker.graph.order:
            ways = Derivation(marker.context, node, {}, marker.right), \
                Computation(marker.context, node, {}, marker.right)
            for way in ways if node.parents or node.label else ():
                told |= {Mistake(one.kind, one.words).done.split()[0] for one in way.candidates()}
    assert told == set(PAST.values())


# What a hostile reader would try

def chain():
    w, b = Value(.5, "w"), Value(.1, "b")
    z = w * 1.5 + b
    z.label = "z"
    a = sigmoid(z)
    a.label = "a"
    C = 0.5 * (1 - a) ** 2
    C.label = "C"
    return C


def verdict(root, label, given):
    return grade(root, {label: given}).answers[label].verdict


@pytest.mark.parametrize("text", ["0/0", "sqrt(-1)", "ln(-1)", "0/0 - w"])
def test_what_has_no_value_is_not_right(text):
    answer = grade(chain(), {"w": text}).answers["w"]
    assert answer.verdict == "unreadable"
    assert "has no value" in answer.note
    assert grade(chain(), {}, {"z": "0/0"}).forward["z"].verdict == "unreadable"


def test_infinite_gradients_are_not_everything():
    x = Value(0.0, "x")
    with pytest.warns(RuntimeWarning, match="log"):
        L = x.log()
    L.label = "L"
    for given in (1, -1e300, "0", "-inf", "-∞"):
        assert verdict(L, "x", given) == "wrong"
        assert grade(L, {"x": given}).answers["x"].mistakes == ()
    for given in (math.inf, "inf", "∞", "+∞", " Infinity"):
        assert verdict(L, "x", given) == "exact"
    assert verdict(chain(), "w", "inf") == "wrong"


def test_numbers_that_were_changed_since():
    C = chain()
    graph = look(C, "test")
    graph.named("w").data += 1
    with pytest.raises(ValueError, match="changed after the forward pass"):
        grade(C, {"w": 1})
    with pytest.raises(ValueError, match="changed after the forward pass"):
        grade_class(C, {"Ann": {"w": 1}})


def test_two_nodes_of_one_label_keep_their_answers():
    a1, a2 = Value(3.0, "a"), Value(4.0, "a")
    y = a1 * a2 * a1
    y.label = "y"
    report = grade(y, {a1: 24.0, a2: 99.0})
    assert [answer.value for answer in report.answers.values()] == [24.0, 99.0]
    assert list(report.answers) == ["a^{(1)}", "a^{(2)}"]
    assert (report.right, report.total) == (1, 2)


def test_zeros_that_are_rounded():
    x, s = Value(2.0, "x"), Value(.000455, "s")
    y = x * s
    y.label = "y"
    assert verdict(y, "x", "0.000") == verdict(y, "x", "0,000") == "close"
    assert verdict(y, "x", "0.0000") == verdict(y, "x", 0) == "wrong"
    assert verdict(y, "x", "0.00") == verdict(y, "x", 0.0) == "too coarse"
    assert verdict(y, "s", "0.000") == "wrong"
    for label in ("x", "s"):
        for given in ("0.000", "0.0000", 0, 0.0):
            assert grade(y, {label: given}).answers[label].mistakes == ()


@pytest.mark.parametrize("depth", [*range(1, 10), 15])
def test_right_lines_have_an_end(depth):
    for labelled in (True, False):
        x = Value(.5, "x")
        y = x
        for i in range(depth):
            y = (y + x * y).sin()
            y.label = f"y{i}" if labelled else ""
        y.label = "y"
        report = grade(y, {"x": 7.0}, {"y": 7.0})
        for answer in report.all:
            assert len(answer.line) < 1000
            assert answer.line.endswith(f" = {number_of(answer.expected)}")


@pytest.mark.parametrize("text", ["∂C/∂a ∂a/∂z", "dC/da 2", "∂C/∂a + ∂a/∂z ∂C/∂a"])
def test_messages_say_what_was_written(text):
    answer = grade(chain(), {"z": text}).answers["z"]
    assert answer.verdict == "unreadable"
    assert not re.search("[一-鿿]", answer.note)


@pytest.mark.parametrize("given", [
    "-9.42%", "-9.42 %", "-0.0942...", "-0.0942…", "~-0.0942", "≈ -0.0942", "'-0.0942", "dC/dw = -0.0942",
    "dC/dw = (a - 1)*a*(1 - a)*1.5 = -0.0942", "∂C/∂w ≈ −0.0942", "-9.42 x 10^-2", "-9.42·10^-2", "-9.42×10⁻²", "-9.42*10**(-2)",
    "-942 x 10^{-4}", Decimal("-0.0942"), Decimal("-9.42E-2"),
])
def test_numbers_as_people_write_them(given):
    assert grade(chain(), {"w": given}).answers["w"].value == pytest.approx(-.0942, rel=1e-15)  # 9.42 · 0.01 rounds
    assert verdict(chain(), "w", given) == "close"


@pytest.mark.parametrize("text, meant", [
    ("2z", "2*z"), ("1.5dC/dz", "1.5*dC/dz"), ("3(a + 2z)", "3*(a + 2*z)"), ("2e-3z", "0.002*z"), ("2sin(z)", "2*sin(z)"),
])
def test_products_without_a_sign(text, meant):
    loose, strict = (grade(chain(), {"w": each}).answers["w"].value for each in (text, meant))
    assert loose is not None
    assert loose == strict
    assert verdict(chain(), "w", "2 z") == "unreadable"


def test_what_was_asked_as_one_label_or_as_no_label():
    C = chain()
    assert list(grade(C, {"w": 1}, ask="dC/db").answers) == ["w", "dC/db"]
    assert list(grade(C, {"w": 1}, ask=look(C, "test").named("b")).answers) == ["w", "b"]
    with pytest.raises(TypeError, match="ask must be a list of labels"):
        grade(C, {"w": 1}, ask=3)


# A class

def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


WIDE = "name,z31,dC/dw5,w1,forward a21\nAnn,0.1385,0.08217,0.0004386,0.5933\nBob,-0.1385,-0.08217,,0.5933\n" \
       "Eve,2*(,δ31*a21,0.0004,\nBob,0.1385,0.1385\n"


def test_a_class_from_a_file(C, tmp_path):
    marked = grade_class(C, write(tmp_path / "class.csv", WIDE))
    assert list(marked.students) == ["Ann", "Bob", "Eve", "Bob (2)"]
    assert [(report.right, report.total) for report in marked.students.values()] == [(4, 4), (2, 4), (2, 4), (1, 4)]
    assert marked["Bob"].answers["w5"].verdict == "carried"
    assert marked["Bob"].answers["w1"].verdict == "missing"
    assert marked["Eve"].answers["z31"].verdict == "unreadable"
    assert marked["Bob (2)"].answers["w5"].mistakes[0].kind == mistakes.FACTOR
    by_label = {question.label: question for question in marked.questions}
    assert by_label["z31"].verdicts == {"close": 2, "wrong": 1, "unreadable": 1}
    assert by_label["z31"].mistakes == ((mistakes.REVERSED, 1),)
    assert by_label["dC/dw5"].right == 3
    text = str(marked)
    assert "✗↓·" in text
    assert "Bob (2)" in text
    ElementTree.fromstring(marked._repr_html_())
    assert json.loads(json.dumps(marked.to_dict()))["questions"][0]["label"] == "a21"
    marked.to_csv(tmp_path / "marks.csv")
    lines = (tmp_path / "marks.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("student,right,total,")
    assert len(lines) == 5
    assert lines[2].startswith("Bob,2,4,close,wrong,carried,missing,z31,your ∂C/∂z³₁")


@pytest.mark.parametrize("text, encoding", [
    (WIDE, "utf-8-sig"), (WIDE, "utf-16"), (WIDE, "utf-16-le"), (WIDE, "utf-16-be"), (WIDE.replace(",", ";"), "utf-8"), (WIDE.replace(",", "\t"), "utf-8"),
    (WIDE.replace(",", ";").replace("0.", "0,"), "utf-8"), (WIDE.replace("\n", "\r\n"), "utf-8"), (WIDE + "\n,,,,\n", "utf-8"),
    (WIDE.replace("δ31*a21", "dC/dz31*a21"), "cp1252"),
])
def test_files_as_programs_write_them(C, tmp_path, text, encoding):
    marked = grade_class(C, write(tmp_path / "class.csv", text, encoding))
    assert [report.right for report in marked.students.values()] == [4, 2, 2, 1]


def test_a_row_for_each_answer(C, tmp_path):
    text = 'student,label,answer\nAnn,z31,0.1385\nAnn,"z^{3}_{2}","-0,0381"\nBob,z31,-0.1385\n'
    marked = grade_class(C, write(tmp_path / "long.csv", text))
    assert [report.right for report in marked.students.values()] == [2, 0]
    assert marked["Bob"].answers["z32"].verdict == "missing"
    marked = grade_class(C, str(write(tmp_path / "homework.csv", "label,answer\nz31,0.1385\nw5,0.09\n")))
    assert list(marked.students) == ["homework"]
    assert marked["homework"].right == 1


@pytest.mark.parametrize("text, words", [
    ("", "no answers"), ("name,w5\n", "no answers"), ("name,w5,w5\nA,1,2\n", "2 columns called 'w5'"),
    ("name,,w5\nA,1,2\n", "no heading"), ("name,w5\nA,0,5\n", "line 2"), ('name,w5\nA,"1\n', "quotation mark"),
    ("name,w5,dC/dw5\nA,1,2\n", "the same node"), ("name,w99\nA,1\n", "no node is called"),
    ("label,answer\nw5,1\nw5,2\n", "second answer"), ("name,a11\nA,1\n", "constant"),
])
def test_files_that_are_no_answer_sheets(C, tmp_path, text, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        grade_class(C, write(tmp_path / "class.csv", text))


def test_a_hundred_sheets_in_one_call(tmp_path):
    net = MLP(2, [2, 1], activation="tanh", output="tanh", rng=5)
    C = losses.half_squared_error(net([.3, .8]), [.5])
    C.label = "C"
    labels = ["z^{3}_{1}", *(p.label for p in net.parameters())]
    right = {label: grade(C, {label: None}).answers[label].expected for label in labels}
    rows = [["name", *labels]]
    for number in range(100):  # every other student has the sign of one answer wrong
        sheet = {label: four(x) for label, x in right.items()}
        turned = labels[1 + number // 2 % (len(labels) - 1)]
        sheet[turned] *= -1 if number % 2 else 1
        rows.append([f"Student {number}", *map(str, sheet.values())])
    with open(tmp_path / "class.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    assert '"w^{2}_{1,1}"' in (tmp_path / "class.csv").read_text(encoding="utf-8")
    marked = grade_class(C, tmp_path / "class.csv")
    assert len(marked) == 100
    assert [report.right for report in marked.students.values()] == [len(labels), len(labels) - 1] * 50
    assert sum(n for question in marked.questions for _, n in question.mistakes) == 50
    assert {kind for question in marked.questions for kind, _ in question.mistakes} == {mistakes.REVERSED}


def test_a_class_from_dicts(C):
    marked = grade_class(C, {"Ann": {"z31": D1, "forward a21": "0.5933"}, "Bob": {"δ31": "a31 - y1", "w5": 1}}, lr=.5)
    assert marked["Ann"].answers["w5"].verdict == "missing"
    assert marked["Bob"].forward["a21"].verdict == "missing"
    assert marked["Bob"].first_wrong.mistakes[0].kind == mistakes.SLOPE
    assert len(marked) == 2
    for bad in ({}, [], {"Ann": 3}, 5):
        with pytest.raises(TypeError):
            grade_class(C, bad)
    with pytest.raises(OSError):
        grade_class(C, "no-such-file.csv")


def test_the_tables_of_a_class(C):
    marked = grade_class(C, {"Ann": {"δ31": -D1, "w5": -RIGHT["w5"]}, "Bob": {"δ31": D1, "w5": ""},
                             "Eve": {"δ31": "2*", "w5": A21}, "Max": {"δ31": 4, "w5": RIGHT["w5"]}})
    students, questions = marked.tables()
    assert students[1] == ("Ann", "1/2", "✗↓", "δ³₁: took (y₁ − a³₁) where (a³₁ − y₁) belongs")
    assert students[3][-1] == "∂C/∂w5: left out the upstream gradient δ³₁"
    assert students[4][-1] == "δ³₁", "a mistake that nobody knows"
    assert questions[0] == ("question", "exact or close", "carried", "wrong", "missing or unreadable",
                            "most common mistake")
    assert questions[1] == ("δ³₁", "1", "0", "2", "1", f"{mistakes.REVERSED} (1×)")
    assert questions[2] == ("∂C/∂w5", "1", "1", "1", "1", f"{mistakes.UPSTREAM} (1×)")
    assert all(sum(map(int, row[1:5])) == len(marked) for row in questions[1:])


def test_a_class_that_gave_values_for_gradients(C, tmp_path):
    text = "name,z31,dC/dz32,w5\nAnn,1.106,1.225,0.08217\nBob,1.106,-0.0381,0.4\nEve,1.2,-0.0381,0.4\nMax,1.1059,,\n"
    marked = grade_class(C, write(tmp_path / "class.csv", text))
    note = "∂C/∂z³₁: 3 of 4 answers are values of z³₁, not gradients. If that is what was asked for, head the column 'forward z31'."
    assert marked.notes == (note,), "a single slip is no note, nor the value of a weight"
    assert note in " ".join(str(marked).split())
    assert "head the column &#x27;forward z31&#x27;" in marked._repr_html_()
    assert marked.to_dict()["questions"][0]["note"] == note
    assert marked.questions[0].verdicts == {"wrong": 4}
    assert marked.questions[0].mistakes == ((mistakes.VALUE, 3),)
    marked = grade_class(C, write(tmp_path / "class.csv", text.replace("z31", "forward z31")))
    assert marked.notes == ()
    assert marked.questions[0].right == 3


def test_a_value_and_a_gradient_of_one_label(C, tmp_path):
    text = "name,z31,forward z31\nAnn,0.1385,1.2\nBob,7,1.106\n"
    marked = grade_class(C, write(tmp_path / "class.csv", text))
    marked.to_csv(tmp_path / "marks.csv")
    with open(tmp_path / "marks.csv", encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["z31"], row["forward z31"], row["first mistake"]) for row in rows] == [
        ("close", "wrong", "forward z31"), ("wrong", "close", "z31")]
    assert [(question.label, question.forward) for question in marked.questions] == [("z31", True), ("z31", False)]


@pytest.mark.parametrize("text, students", [
    ("w,b\n-0.0942,-0.0628\n-0.0942,\n", ["row 1", "row 2"]), ("w\n-0.0942\n", ["row 1"]),
    ("forward z,b\n0.85,1\n", ["row 1"]), ("who,b\nAnn,1\n", ["Ann"]), (",b\nAnn,1\n", ["Ann"]),
    ("sep=;\nname;w;b\nAnn;-0,0942;1\n", ["Ann"]), ("sep=|\r\nname|w|b\r\nAnn|-0.0942|1\r\n", ["Ann"]),
])
def test_files_without_names_and_with_other_signs_between(tmp_path, text, students):
    marked = grade_class(chain(), write(tmp_path / "class.csv", text))
    assert list(marked.students) == students
    if "-0" in text:
        assert [report.answers["w"].verdict for report in marked.students.values()] == ["close"] * len(students)


@pytest.mark.parametrize("text, encoding, words", [
    ("name|w|b\nAnn|1|2\n", "utf-8", "found one column, 'name|w|b'; separate"),
    ("name\nAnn\n", "utf-8", "found one column"), ("name,w\nAnn,\x001\n", "utf-8", "NUL characters"),
    ("name,w\nAnn,1\n", "utf-32-le", "NUL characters"),
])
def test_files_that_programs_spoilt(tmp_path, text, encoding, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        grade_class(chain(), write(tmp_path / "class.csv", text, encoding))


def test_names_that_are_formulas(tmp_path):
    names = ["=1+1", "+1", "-1", "@SUM(1)", "Ann"]
    grade_class(chain(), {name: {"w": "-0.0942"} for name in names}).to_csv(tmp_path / "marks.csv")
    with open(tmp_path / "marks.csv", encoding="utf-8", newline="") as file:
        assert [row["student"] for row in csv.DictReader(file)] == [*("'" + name for name in names[:4]), "Ann"]


# Digits: nobody is accused of a mistake that is rounding

@pytest.fixture(scope="module")
def forty_nets():
    """Exercises with 12 answers or more, and what marks them."""
    grading, rng, found = benchmark("grading"), random.Random(5), []
    while len(found) < 40:
        exercise = grading.Exercise(rng)
        if exercise.alive() and len(grading.Student(exercise, rng).answers()) >= 12:
            found.append((exercise, Marker(look(exercise.C, "test"), lr=exercise.rate)))
    return found


@pytest.mark.parametrize("on_the_way", [False, True])
@pytest.mark.parametrize("how, asked", [(".1f", {"decimals": 1}), (".2f", {"decimals": 2}), (".3f", {"decimals": 3}),
                                        (".2g", {"digits": 2}), (".3g", {"digits": 3})])
def test_no_right_answer_is_wrong_for_being_rounded(forty_nets, how, asked, on_the_way):
    """480 answers of 40 nets; half of the sheets as text, whose zeros at the end count."""
    grading = benchmark("grading")
    rng, verdicts, total = random.Random(5), set(), 0
    for number, (exercise, lenient) in enumerate(forty_nets):
        right = grading.Student(exercise, rng, keep=(lambda x: float(f"{x:{how}}")) if on_the_way else float).answers()
        sheet = {label: f"{x:{how}}" if number % 2 else float(f"{x:{how}}") for label, x in [*right.items()][:12]}
        for stated, marker in ((False, lenient), (True, Marker(lenient.graph, lr=exercise.rate, **asked))):
            report = marker.mark(sheet, {})
            total += report.total
            allowed = ("exact", "close") if stated else ("exact", "close", "too coarse")
            verdicts |= {(stated, answer.verdict) for answer in report.all if answer.verdict not in allowed}
            assert not any(answer.mistakes for answer in report.all)
    assert total == 960
    assert not verdicts


def test_mistakes_are_found_as_far_as_the_digits_go():
    grading = benchmark("grading")
    for writing, row in grading.by_digits(sheets=5, nets=5, seed=3).items():
        assert row["calm"] == 1, writing
        assert row["placed"] + row["coarse"] >= .5, writing


@pytest.mark.parametrize("given", ["-0.09", "-0.1", -0.09, "-9 %", "-1e-1", "-9e-2", Decimal("-0.09")])
def test_too_few_digits_are_no_mistake(given):
    report = grade(chain(), {"w": given})
    answer = report.answers["w"]
    assert (answer.verdict, answer.mistakes, answer.right, report.first_wrong) == ("too coarse", (), False, None)
    assert answer.note.endswith("could be the right −0.09422, rounded, but its one digit does not tell right from wrong: "
                                "give 3 significant digits")
    assert grade(chain(), {"w": given}, decimals=1).answers["w"].verdict == "close"
    assert verdict(chain(), "w", "0.09") == "wrong", "a sign shows in one digit"


def test_what_was_asked_for_is_right():
    assert [grade(chain(), {"w": given}, decimals=2).answers["w"].verdict for given in ("-0.09", -.09, "-0.10")] == [
        "close"] * 3
    answer = grade(chain(), {"w": "-0.09"}, decimals=3).answers["w"]
    assert answer.verdict == "too coarse"
    assert answer.note.endswith("give 3 decimals")
    x, s = Value(2.0, "x"), Value(.0042, "s")
    y = x * s
    y.label = "y"
    assert [grade(y, {"x": given}, decimals=2).answers["x"].verdict for given in ("0.00", 0.0, 0, "0.01", "0.02")] == [
        "close", "close", "close", "wrong", "wrong"]
    with pytest.raises(ValueError, match="one or the other; choose"):
        grade(y, {"x": 0}, digits=3, decimals=2)
    for bad in (-1, 13, 2.0, True, "2"):
        with pytest.raises(ValueError, match="how many decimals"):
            grade_class(y, {"Ann": {"x": 0}}, decimals=bad)


def test_what_follows_from_too_coarse_ones_is_not_carried():
    report = grade(chain(), {"a": "-0.3", "z": "-0.1", "w": "-0.15"})
    assert [answer.verdict for answer in report.answers.values()] == ["close", "too coarse", "too coarse"]
    assert "earlier answers" in report.answers["w"].note
    report = grade(chain(), {"a": .3, "z": .06, "w": .09})
    assert [answer.verdict for answer in report.answers.values()] == ["wrong", "too coarse", "too coarse"]
    assert "your earlier answers" in report.answers["z"].note


@pytest.mark.parametrize("text, verdicts", [
    ("-0.3*0.2*1.5", "too coarse"), ("-0.30*0.2097*1.5", "close"),
    ("0.3*0.2*1.5", "wrong"), ("(a-1)*0.2*1.5", "too coarse"), ("(a-1)*a*(1-a)*1.5", "exact"),
    ("(a-1)*a*(1-a)*1.6", "wrong"),
])
def test_an_expression_is_as_coarse_as_its_numbers(text, verdicts):
    assert verdict(chain(), "w", text) in verdicts


def test_whole_numbers_and_large_ones():
    x = Value(30.85, "x")
    y = 20 * x * x
    y.label = "y"
    assert [verdict(y, "x", given) for given in ("1200", 1200, 1200.0, "1.2e3", "1230", "1400", "2000")] == [
        *["too coarse"] * 4, "close", "wrong", "wrong"]
    i, j = Value(3, "i"), Value(5, "j")
    k = i * j + i
    k.label = "k"
    for given in (5, "5", 5.0):
        assert "path" in grade(k, {"i": given}).first_wrong.mistake


def test_differences_of_nearly_equal_numbers():
    p, q = Value(.34123, "p"), Value(.33321, "q")
    d = p - q
    d.label = "d"
    s = d * d
    s.label = "s"
    report = grade(s, {"p": "0.02"}, {"d": "0.01"})
    assert [answer.verdict for answer in report.all] == ["too coarse", "too coarse"]
    assert grade(s, {"p": "-0.02"}, {"d": "0.01"}).answers["p"].verdict == "wrong"


@pytest.mark.parametrize("numbers, writing", [
    ([.14, .08, 0.0], "2 decimals"), ([.1, .08, 1.23], "2 decimals"), ([.14, .082, .0044], "2 significant digits"),
    (["0.14", "0.082", "12"], "2 significant digits"), ([1200, 34], "2 significant digits"),
    ([.14, .08, .05, .084672348912], "2 decimals"), (["1.234e-8", "0.1234"], "4 significant digits"),
])
def test_how_a_sheet_is_written(numbers, writing):
    assert str(writing_of(Submitted(x, *numeral(x)) if isinstance(x, str) else submitted(x, "") for x in numbers)) == writing


# The benchmark, smaller

def test_the_benchmark_reaches_its_goals():
    grading = benchmark("grading")
    found, table = grading.run(sheets=100, nets=20, seed=7)
    assert sum(made for made, _, _ in table.values()) == 100
    for goal, share in grading.GOALS.items():
        assert found[goal] >= 100 * share, goal
    shares = grading.of_formulas(sheets=60, nets=20, seed=7)
    assert shares["right"] == shares["caught"] == 1 and shares["agree"] > 0.1


@pytest.mark.parametrize(("name", "args", "formula", "comes_to"), [
    ("sigmoid", (40.0,), "c*a*(1-a)", 0.0), ("sigmoid", (34.0,), "a(1 - a)*c", 1.7763568394002474e-09), ("tanh", (20.0,), "c(1 - a^2)", 0.0),
    ("hypot", (0.0, 0.0), "c*z/a", float("nan")), ("atan2", (0.0, 0.0), "c*w/(z^2 + w^2)", float("nan")),
])
def test_the_formula_of_a_book_is_exact_where_its_number_has_lost_digits(name, args, formula, comes_to):
    leaves = [Value(x, label) for x, label in zip(args, "zw")]
    a = named(name)(*leaves)
    a.label = "a"
    C = Value(1e6, "c") * a
    C.label = "C"
    answer = grade(C, {"z": formula}).answers["z"]
    assert (answer.verdict, answer.value) == ("exact", answer.expected)
    assert answer.expected != comes_to
    if comes_to == comes_to:  # the number alone is right, too, as somebody with rounded numbers has it
        assert grade(C, {"z": comes_to}).answers["z"].verdict == "close"
