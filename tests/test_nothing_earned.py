"""Nothing is earned by nothing: answers that name what they answer, zeros that follow from zeros, and what is asked for
where a number or a formula is."""

import math
import random

import pytest
from graphs import two_by_two
from programs import benchmark

from micrograd import MLP, Value, grade, grade_class, losses, relu, sigmoid
from micrograd.formulas.graph import look
from micrograd.mark.grade import Marker
from micrograd.mark.report import CARRIED, CLOSE, EXACT, FROM_ZERO, UNREADABLE, WRONG

# The step-by-step example: what is asked for
LABELS = ["z31", "z32", "a21", "a22", "z21", "z22", "w5", "w6", "w7", "w8", "w1", "w2", "w3", "w4"]
D1, A21, A31 = 0.13849856162855695, .5932699921071872, .7513650695523157


@pytest.fixture(scope="module")
def C():
    net, C = two_by_two()
    for p, name in zip(net.parameters(), ["w1", "w2", "b1", "w3", "w4", "b2", "w5", "w6", "b3", "w7", "w8", "b4"]):
        p.label = name
    return C


def chain(z=.8, activation=sigmoid):
    """z = w·x, a = s(z), C = ½(a − y)²"""
    x = Value(2.0, "x")
    w = Value(z / 2, "w")
    z = w * x
    z.label = "z"
    a = activation(z)
    a.label = "a"
    C = 0.5 * (a - Value(1.5, "y")) ** 2
    C.label = "C"
    return C


def verdicts(report):
    return {answer.heading: answer.verdict for answer in report.all}


# What names what it answers

@pytest.mark.parametrize("text", [
    "z31", "z_31", "z³₁", "z^{3}_{1}", " z31 ", "(z31)", "((z31))", "z31*1", "1*z31", "z31 + 0", "--z31", "identity(z31)",
    "z31 - 0*a21", "z31/1", "z31**1", "max(z31, z31)", "|z31|", "2z31 - z31", "w5*a21 + w6*a22 + b3 + 0*z31",
    "log(a31/(1 - a31))", "C - C + w5*a21 + w6*a22 + b3", "a31 - a31 + 1.1059", "step(a31)*1.1059",
    "dC/dw5", "δ31 + 1", "a31 + dC/da31", "dz31/dw5*w5 + dz31/dw6*w6 + b3", "dC/dC*1.1059",
])
def test_a_forward_value_is_not_worked_out_from_itself(C, text):
    for want in ("any", "number", "formula"):
        answer = grade(C, {}, {"z31": text}, want=want).forward["z31"]
        assert (answer.verdict, answer.value) == (UNREADABLE, None)
        assert answer.note.splitlines()[-1].strip() == "^", "a caret under the place"


def test_it_is_said_what_to_do_instead(C):
    notes = [grade(C, {}, {"z31": text}).forward["z31"].note for text in ("z31", "2 - a31", "a21 + dC/dz31")]
    assert "this is what is asked for" in notes[0]
    assert "a³₁ is computed from z³₁; work z³₁ out from what it is computed from" in notes[1]
    assert "derivatives are worked out from forward values; work z³₁ out without them" in notes[2]


def test_what_a_value_is_computed_from_may_be_in_it(C):
    for label, text in (("z31", "w5*a21 + w6*a22 + b3"), ("a31", "σ(z31)"), ("a31", "1/(1 + exp(-w5*a21 - w6*a22 - b3))"),
                        ("C", "((a31 - y1)^2 + (a32 - y2)^2)/2"), ("z31", "w5*σ(z21) + w6*a22 + b3")):
        assert grade(C, {}, {label: text}).forward[label].verdict == EXACT


def test_no_value_is_known_by_what_is_computed_from_it():
    """Over whole graphs: a forward answer may use all but the value itself and what is computed from it."""
    for width in (1, 2):
        net = MLP(2, [width, 1], activation="tanh", rng=width)
        root = losses.half_squared_error(net([.4, -.7]), [.5])
        root.label = "C"
        graph = look(root, "test")
        marker = Marker(graph, 4, None)
        named = [node for node in graph.order if node.label]
        for node in named:
            above, grows = {node}, True
            while grows:  # the other way round than the library goes
                more = {user for user in graph.order if not above.isdisjoint(user.parents)} - above
                above, grows = above | more, bool(more)
            refused = [other for other in named
                       if marker.mark({}, {node: f"{other.label}*1 + 0"}).all[0].verdict == UNREADABLE]
            assert refused == [other for other in named if other in above]


@pytest.mark.parametrize("text", [
    "δ31", "δ³₁", "δ_31", "delta31", "dC/dz31", "∂C/∂z³₁", "(δ31)", "1*δ31", "δ31 + 0", "2δ31 - δ31", "0*δ31 + 0.1385",
    "dC/dw5/a21", "dC/dw6/a22", "dC/db3", "dC/da21/w5 - dC/dz32*w7/w5", "dC/dw1 + 0.1376", "dC/dw5/(dz31/dw5)",
])
def test_a_gradient_is_not_worked_out_from_itself_or_from_what_follows(C, text):
    answer = grade(C, {"z31": text}).answers["z31"]
    assert (answer.verdict, answer.value) == (UNREADABLE, None)
    assert answer.note.splitlines()[-1].strip() == "^"
    for blank in (None, "", "2*", "δ31"):
        again = grade(C, {"z31": text, **dict.fromkeys(("w5", "w6", "b3", "a21", "w1"), blank)})
        assert again.answers["z31"].verdict == UNREADABLE, "no answer that can be read is none"


def test_but_it_is_from_answers_that_stand_by_themselves(C):
    assert grade(C, {"z31": "dC/db3", "b3": "0.1385"}).score == 1
    assert grade(C, {"z31": "dC/dw5/a21", "w5": .08217}).score == 1
    assert grade(C, {"b3": "(a31 - y1)*a31*(1 - a31)", "z31": "dC/db3"}).score == 1
    assert grade(C, {"w5": "dC/db3*a21"}).score == 1, "neither follows from the other"
    assert grade(C, {"z31": "dC/da31*da31/dz31"}).score == 1, "the chain rule"
    assert grade(C, {"z31": "dC/db3", "b3": .3}).answers["z31"].verdict == WRONG


def test_nor_by_way_of_others(C):
    by_way = grade(C, {"z31": "dC/db3", "b3": "dC/dw5/a21"})
    assert by_way.answers["z31"].verdict == UNREADABLE
    assert "∂C/∂w5 is not answered on this sheet, and is worked out from δ³₁" in by_way.answers["z31"].note
    circle = grade(C, {"z31": "dC/db3", "b3": "dC/dz31", "w5": "δ31*a21"})
    assert verdicts(circle) == {"z31": UNREADABLE, "b3": UNREADABLE, "w5": EXACT}, "w5 is in no circle"


# Zeros

ZEROS = [0, 0.0, "0", "0.0", "-0", "0/5", "w5 - w5", "0*a31", "0%", "0e3", "1e-400", "0*δ31*1", "0.1 + 0.2 - 0.3"]


@pytest.mark.parametrize("zero", ZEROS)
def test_nobody_with_all_zeros_has_a_point(C, zero):
    asked = [label for label in LABELS if label != "z31" or "δ" not in str(zero)]
    for forward in ({}, {"z31": 0, "a31": 0}):
        assert grade(C, dict.fromkeys(asked, zero), forward).right == 0
    report = grade(C, dict.fromkeys(LABELS[2:], zero))
    assert report.right == 0


@pytest.mark.parametrize("asked", [{"decimals": 1}, {"decimals": 2}, {"digits": 2}, {}])
@pytest.mark.parametrize("nothing", [0, "0.0", "0.00", "1e-20", 1e-20, "3e-9", "0.000001"])
def test_nor_has_anybody_whatever_was_asked_for_and_with_all_but_zeros(nothing, asked):
    _, root = two_by_two()
    asked_for = [f"w{k}{i}{j}" for k in (2, 3) for i in (1, 2) for j in (1, 2)] + ["δ31", "δ32", "δ21", "δ22"]
    report = grade(root, dict.fromkeys(asked_for, nothing), **asked)
    assert report.right == 0 and not any(answer.mistakes for answer in report.all if answer.verdict != "wrong")


def test_it_is_said_why(C):
    report = grade(C, dict.fromkeys(LABELS, 0))
    assert report.summary == "0 of 14 right: 2 wrong, 12 follow from 0"
    assert report.answers["z21"].note == "follows from 0: your ∂C/∂a²₁ is 0, and 0 times anything is 0"
    assert "your ∂C/∂z³₁ and ∂C/∂z³₂ are 0" in report.answers["a21"].note
    assert not any(answer.mistakes for answer in report.all), "no mistake is made up"
    assert report.first_wrong.label == "z31"
    printed = " ".join(str(report).split())
    assert "∂C/∂w8 0 −0.02274 follows from 0" in printed
    assert "0 follows from 0" in report._repr_html_()


def test_one_right_number_and_zeros(C):
    report = grade(C, {**dict.fromkeys(LABELS, 0), "z31": D1})
    assert report.right == 1
    assert report.answers["w5"].verdict == WRONG, "from a δ that is not 0"
    assert report.answers["w7"].verdict == FROM_ZERO


def test_a_zero_among_right_numbers(C):
    right = {label: grade(C, {label: 1}).answers[label].expected for label in LABELS}
    report = grade(C, {**right, "z31": 0, "w5": 0, "w6": "δ31*a22"})
    assert [report.answers[label].verdict for label in ("z31", "w5", "w6")] == [WRONG, FROM_ZERO, CARRIED]
    assert report.right == 12, "a formula that is right with the right δ is worked out, whatever its number is"
    assert grade(C, {"z31": 0, "w6": "δ31"}).answers["w6"].verdict == FROM_ZERO, "a wrong formula is not"


def test_what_is_not_zero_is_carried_through_zeros(C):
    right = {label: grade(C, {label: 1}).answers[label].expected for label in LABELS}
    report = grade(C, {"z31": 0, "z32": right["z32"], "a21": right["z32"] * .5})
    assert verdicts(report) == {"z31": WRONG, "z32": EXACT, "a21": CARRIED}
    assert grade(C, {"z31": 1e-9, "w5": 1e-9 * A21}).answers["w5"].verdict == CARRIED, "absurd, but worked out"
    cancels = grade(C, {"z31": .5, "z32": -.4, "a21": 0})
    assert verdicts(cancels) == {"z31": WRONG, "z32": WRONG, "a21": CARRIED}, "0.4 · 0.5 − 0.5 · 0.4"


def test_zeros_of_a_relu():
    dead = chain(-.8, relu)
    assert grade(dead, {"z": 0, "w": 0}).right == 2, "right"
    assert verdicts(grade(dead, {"a": 0, "z": 0, "w": 0})) == {"a": WRONG, "z": FROM_ZERO, "w": FROM_ZERO}
    nothing = grade(dead, {"a": 0, "z": 0}, {"a": 0, "z": 0})
    assert nothing.right == 0
    assert "every answer on this sheet is 0" in nothing.answers["z"].note
    assert not any(answer.mistakes for answer in nothing.all), "that other numbers are 0, too, shows nothing"
    assert "0 %" not in str(nothing).replace("100 %", ""), "no error of what is right"
    assert verdicts(grade(dead, {"a": .3, "z": 0, "w": 0})) == {"a": WRONG, "z": EXACT, "w": EXACT}
    alive = chain(.8, relu)
    taken = grade(alive, {"a": -.7, "z": 0, "w": 0})
    assert verdicts(taken) == {"a": EXACT, "z": WRONG, "w": FROM_ZERO}
    assert "for negative" in taken.first_wrong.mistake
    assert grade(alive, {"w": 0, "x": 0}).right == 0, "nor is the same mistake at two places a consequence"


def test_zeros_of_forward_values():
    C = chain(.8, relu)
    report = grade(C, {}, {"z": 0, "a": 0})
    assert verdicts(report) == {"forward z": WRONG, "forward a": FROM_ZERO}
    assert report.forward["a"].note == "follows from 0: your z is 0"
    assert verdicts(grade(C, {}, {"x": 0, "z": "0"})) == {"forward x": WRONG, "forward z": FROM_ZERO}
    assert verdicts(grade(chain(), {}, {"z": 0, "a": .5})) == {"forward z": WRONG, "forward a": CARRIED}, "σ(0)"
    report = grade(chain(), {"a": -1.5, "z": 0, "w": 0}, {"a": 0})
    assert report.answers["a"].verdict == CARRIED
    assert report.answers["z"].note == "follows from 0: your a is 0", "0 (1 − 0)"
    assert report.answers["w"].verdict == FROM_ZERO


def test_zeros_that_a_wrong_number_leads_to_are_carried():
    C = chain(.8, relu)
    report = grade(C, {"a": -1.5, "z": 0, "w": 0}, {"z": -.8, "a": 0})
    assert verdicts(report) == {"forward z": WRONG, "forward a": CARRIED, "a": CARRIED, "z": CARRIED, "w": CARRIED}
    report = grade(chain(), {"a": 0, "z": 0}, {"a": 1.5})
    assert verdicts(report) == {"forward a": WRONG, "a": CARRIED, "z": CARRIED}, "a − y is 0"


def test_infinity_is_no_consequence_of_itself():
    C = chain()
    for given in (math.inf, "-inf", "1/0"):
        report = grade(C, {"a": given, "z": given, "w": given}, {"z": given, "a": given})
        assert report.right == 0
        assert not any(answer.mistakes for answer in report.all)
    x = Value(2.0, "x")
    L = x.log()
    L.label = "L"
    report = grade(L, {"x": "inf"}, {"x": 0, "L": "-inf"})
    assert verdicts(report) == {"forward x": WRONG, "forward L": FROM_ZERO, "x": FROM_ZERO}
    z = Value(400.0, "z")
    y = z.exp()
    y.label = "y"
    assert verdicts(grade(y, {"z": "inf"}, {"z": 1e4, "y": "inf"})) == {
        "forward z": WRONG, "forward y": CARRIED, "z": CARRIED}, "of a number it is"


def test_no_zero_earns_anything_unless_it_is_right_and_consequences_are_carried():
    """Over random networks: right sheets with zeros instead of some answers, or of all; and sheets with one mistake."""
    bench, rng = benchmark("grading"), random.Random(4)
    carried = zeros = 0
    for _ in range(8):
        exercise = bench.Exercise(rng)
        if not exercise.alive():
            continue
        marker = Marker(look(exercise.C, "test"), 4, exercise.rate)
        student = bench.Student(exercise, rng)
        clean = {label: bench.rounded(x) for label, x in student.answers().items()}
        values = {f"forward {exercise.name(letter, k, i)}": bench.rounded(x)
                  for letter, layers in (("z", student.z), ("a", student.a))
                  for k in range(2, exercise.last + 1) for i, x in enumerate(layers[k])}
        w = exercise.name("w", 2, 0, 0)
        for share, forward in ((1, {}), (rng.random(), {}), (1, values), (rng.random(), values)):
            right = {**clean, **forward}
            gone = [label for label in right if rng.random() < share]
            zero = rng.choice(ZEROS[:5] if forward else [*ZEROS[:5], f"{w} - {w}", f"0*{w}"])
            given = {**right, **dict.fromkeys(gone, zero)}
            report = marker.mark({label: given[label] for label in clean},
                                 {label.removeprefix("forward "): given[label] for label in forward})
            for answer in report.all:
                zeros += answer.heading in gone and answer.expected != 0
                assert not (answer.right and answer.heading in gone and answer.expected), (answer, zero)
                assert answer.right or answer.heading in gone or right[answer.heading] == 0
                assert answer.verdict != FROM_ZERO or (answer.note and not answer.mistakes)
            assert share < 1 or report.right == 0
        for _ in range(3 if exercise.ask != "wb" else 0):  # there a mistake in a δ shows at several places
            sheet, [label], _, _ = bench.spoilt(exercise, rng)
            report = marker.mark(sheet, {})
            if sheet[label]:
                carried += sum(answer.verdict == CARRIED for answer in report.answers.values())
                assert [answer.label for answer in report.all if not answer.right] == [label]
    assert zeros > 100
    assert carried > 10


# Where a number or a formula is asked for

@pytest.mark.parametrize(("label", "text", "number", "formula"), [
    ("z31", "0.1385", CLOSE, UNREADABLE), ("z31", .1385, CLOSE, UNREADABLE), ("z31", "0.7414*0.1868", CLOSE, UNREADABLE),
    ("z31", "(a31 - y1)*a31*(1 - a31)", EXACT, EXACT), ("z31", "(a31 - y1)*σ'(z31)", EXACT, EXACT),
    ("z31", "dC/da31*da31/dz31", UNREADABLE, EXACT), ("z31", "(a31 - y1)*da31/dz31", UNREADABLE, EXACT),
    ("w5", "δ31*a21", UNREADABLE, EXACT), ("w5", "∂C/∂z³₁·a²₁", UNREADABLE, EXACT), ("w5", "dC/dC*δ31*a21", UNREADABLE, EXACT),
    ("z31", "dC/dC*(a31 - y1)*a31*(1 - a31)", EXACT, EXACT), ("z31", "pi*0.0441", CLOSE, UNREADABLE),
    ("C", 1, EXACT, EXACT), ("C", "2 - 1", EXACT, EXACT), ("z31", "", "missing", "missing"), ("z31", None, "missing", "missing"),
])
def test_what_is_wanted(C, label, text, number, formula):
    found = {want: grade(C, {label: text}, want=want).answers[label] for want in ("any", "number", "formula")}
    assert (found["number"].verdict, found["formula"].verdict) == (number, formula)
    assert found["any"].verdict in (number, formula) and found["any"].verdict != UNREADABLE
    if number == UNREADABLE:
        assert "a number is asked for, and " in found["number"].note
        assert "is not answered on this sheet; work it out" in found["number"].note
        assert found["number"].note.splitlines()[-1].strip() == "^"
    if formula == UNREADABLE:
        assert "a formula is asked for" in found["formula"].note
        assert "write it with names, such as " in found["formula"].note


def test_what_is_missing_is_named(C):
    def note(text, label="z31", **others):
        return grade(C, {label: text, **others}, want="number").answers[label].note.splitlines()[0]

    assert "∂C/∂a³₁ is not answered" in note("dC/da31*a31")
    assert "da³₁/dz³₁ is not answered" in note("0.7*da³₁/dz³₁")
    assert "δ³₁ is not answered" in note("δ31*a21", "w5")
    assert "δ³₁ is not answered" in note("δ31*a21", "w5", z31="dC/da31*0.2"), "which is refused itself"


def test_a_number_may_use_the_numbers_of_its_sheet(C):
    report = grade(C, {"z31": "0.1385", "w5": "δ31*a21", "w6": "dC/dz31*a22"}, want="number")
    assert report.score == 1
    report = grade(C, {"z31": -D1, "w5": "δ31*a21"}, want="number")
    assert verdicts(report) == {"z31": WRONG, "w5": CARRIED}


def test_a_formula_where_there_is_none_to_write():
    x, b = Value(2.0, "x"), Value(1.0, "b")
    z = 3 * x + b
    z.label = "z"
    sheet = {"x": 3, "b": "1", "z": 1}
    assert grade(z, sheet, {"x": 2}, want="formula").score == 1, "3, 1, 1 and a leaf have no names in them"
    assert grade(z, {}, {"z": 7}, want="formula").forward["z"].verdict == UNREADABLE
    assert grade(z, {}, {"z": "3x + b"}, want="formula").forward["z"].verdict == EXACT


def test_what_is_wanted_of_a_class(C):
    sheets = {"Ada": {"w5": "δ31*a21"}, "Max": {"w5": .08217}}
    scores = [[report.score for report in grade_class(C, sheets, want=want).students.values()]
              for want in ("any", "number", "formula")]
    assert scores == [[1, 1], [0, 1], [1, 0]]


@pytest.mark.parametrize("bad", ["numbers", "", None, 1, ["any"], True])
def test_what_cannot_be_wanted(C, bad):
    for call in (lambda: grade(C, {"w5": 1}, want=bad), lambda: grade_class(C, {"Ada": {"w5": 1}}, want=bad)):
        with pytest.raises(ValueError, match="want is what an answer has to be, 'any', 'number', 'formula', found"):
            call()
