"""Expressions as people write them: what they compute, how names are found, and what is said of slips."""

import math
import pickle
import re
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import micrograd
from micrograd import Value, cli, diagnose, explain, ops, steps, text
from micrograd.formulas.expression import ExpressionError, UnknownName
from micrograd.formulas.labels import Names, unicode_label
from micrograd.formulas.notations import UNICODE
from micrograd.formulas.parse import WHOLE, parse, parse_program, parse_values
from micrograd.formulas.reading import LENGTH, NESTING

LABELS = ["w^{4}", "a^{2}", "a^{4}", "y", "z^{4}", "δ^{3}", "w^{2}_{1,1}", "x", "loss (1)", "a^{1}_{2}"]
VALUES = {label: 0.3 + place / 7 for place, label in enumerate(LABELS)}
w4, a2, a4, y, z4, δ3, w2_11, x, loss_1, a1_2 = VALUES.values()


def sigmoid(t):
    return 1 / (1 + math.exp(-t))


CASES = [
    ("1/3", 1 / 3), ("0.5", 0.5), ("-2e-3", -2e-3), ("2.", 2.0), (".5", 0.5), ("1E3", 1000.0), ("007", 7.0), ("½", 0.5),
    ("pi", math.pi), ("2*π", math.tau), ("tau", math.tau), ("e", math.e),
    ("1 - 2 - 3", -4.0), ("8/4/2", 1.0), ("2 + 3*4", 14.0), ("(2 + 3)*4", 20.0), ("2*3/4*5", 7.5), ("1 - 2*3 + 4", -1.0),
    ("2**3**2", 512.0), ("2^3^2", 512.0), ("(2**3)**2", 64.0), ("2**-1", 0.5), ("-2**2", -4.0), ("(-2)**2", 4.0),
    ("2**-2**2", 1 / 16), ("--3", 3.0), ("+3", 3.0), ("2 - +3", -1.0), ("2--3", 5.0), ("-3*-2", 6.0), ("6/-2*3", -9.0),
    ("2*-3**2", -18.0), ("5 − 3", 2.0), ("5 – 3", 2.0), ("2·3", 6.0), ("2×3", 6.0), ("6÷3", 2.0),
    ("3²", 9.0), ("2⁻¹", 0.5), ("-3²", -9.0), ("(1 + 2)²", 9.0), ("2³²", 2.0 ** 32), ("3^{2}", 9.0), ("2^{1 + 2}", 8.0),
    ("e^2", math.exp(2)), ("e^-x", math.exp(-x)), ("e**x**2", math.exp(x * x)), ("2^e^x", 2 ** math.exp(x)),
    ("e^{-x}*2", math.exp(-x) * 2), ("1/(1 + e^-x)", sigmoid(x)), ("(e)^2", math.e ** 2),
    ("|x - 2|", abs(x - 2)), ("||x| - 3|*|-2|", (3 - x) * 2), ("|-|-x||", x), ("2 + |3 - |1 - 5||", 3.0),
    ("x % 0.5", x % 0.5), ("-x % 3", -x % 3), ("-2*x % 3", -2 * x % 3), ("7 - x % 2 * 3", 7 - x % 2 * 3), ("x mod 2", x % 2),
    ("-7 // x", -7 // x), ("2 // -x % 3", 2 // -x % 3), ("7 // 2 ** 2", 1.0), ("mod(-x, 2)", -x % 2), ("7mod(x)", 7 % x),
    ("⌊x⌋ - ⌈x⌉", -1.0), ("⌊-x / 2⌋", -x // 2), ("round(2.5)*2", 4.0), ("trunc(-x)", float(math.trunc(-x))),
    ("2(x + 1)", 2 * (x + 1)), ("(1 - x)(2 - x)", (1 - x) * (2 - x)), ("x(1 - x)", x * (1 - x)), ("½(x)²", x * x / 2),
    ("8/2*2(x)", 8 * x), ("x²(3)", 3 * x * x), ("|x|(2)", 2 * x), ("-x(2)", -2 * x),
    ("exp(1)", math.e), ("ln(x)", math.log(x)), ("σ(x)", sigmoid(x)), (r"\sigma(x)", sigmoid(x)), ("ReLU(-1)", 0.0),
    ("max(x, 2)", 2.0), ("min(x, 2)", x), ("minimum(x, 2)", x), ("leaky_relu(-2)", -0.02), ("leaky_relu(-2, 0.5)", -1.0),
    ("where(step(x - 9), 1, 2)", 2.0), ("hypot(3, 4)", 5.0), ("arctan(1)", math.pi / 4), ("sub(3, 1)", 2.0),
    ("σ'(x)", sigmoid(x) * (1 - sigmoid(x))), ("relu′(x)", 1.0), ("tanh'(0)·3", 3.0), ("elu'(-x)", math.exp(-x)),
    ("elu′(-x, 0.5)", 0.5 * math.exp(-x)), ("leaky_relu'(-x)", 0.01), ("exp ( x )", math.exp(x)),
    ("(a4 - y) * a4 * (1 - a4)", (a4 - y) * a4 * (1 - a4)), ("δ3*a2", δ3 * a2), ("(a⁴ − y) · a⁴(1 − a⁴)", (a4 - y) * a4 * (1 - a4)),
    ("(a⁴ - y) · σ'(z⁴) · w⁴", (a4 - y) * sigmoid(z4) * (1 - sigmoid(z4)) * w4), ("\tx\n+\u00a0y ", x + y),
    ("loss (1)*2", loss_1 * 2), ("-a^{4}^2", -a4 ** 2), ("a4**2", a4 ** 2), ("a⁴**2", a4 ** 2), ("x^2", x * x), ("x^{2}", x * x),
    ("xʸ", x ** y), ("eˣ", math.exp(x)), ("y · xʸ⁻¹", y * x ** (y - 1)), ("-xʸ", -x ** y), ("e⁻ˣ", math.exp(-x)),
    ("x²⁻³", 1 / x), ("x²⁺ʸ", x ** (2 + y)), ("x²ʸ", x ** (2 * y)), ("2½", 2.5), ("2½²", 6.25), ("x - 1½", x - 1.5),
    ("1[x > y]", 1.0), ("1[x > 0]*2", 2.0), ("x·1[y - x > 0]", 0.0), ("1[|y| > x](x + 1)²", 0.0), ("1[1[x > 1] > 0]", 1.0),
    ("x^y", x ** y), ("x^2.5", x ** 2.5), ("(a^4)", a4), ("a^4", a4), ("w_11^2 * x", w2_11 * x),
]


@pytest.mark.parametrize(("written", "number"), CASES)
def test_numbers(written, number):
    expression = parse(written, LABELS)
    found = expression.evaluate(VALUES)
    assert type(found) is float
    assert found == pytest.approx(number, rel=1e-14, abs=0)  # rounding: the same sums, but not always in this order
    recorded = expression.evaluate({label: Value(value, label) for label, value in VALUES.items()})
    assert float(recorded) == pytest.approx(number, rel=1e-14, abs=0)
    assert isinstance(recorded, Value) == bool(expression.names) or recorded.op is ops.CONSTANT


@pytest.mark.parametrize(("written", "printed"), [
    ("0.5*(y - sigmoid(w*x + b))**2", "0.5 * (y - sigmoid(w * x + b))**2"), ("-w*x", "-w * x"), ("2*-w*x", "2 * (-w) * x"),
    ("w - -x", "w - (-x)"), ("w^2/x", "w**2 / x"), ("1/3*x", "0.333333 * x"), ("max(w, -2)", "maximum(w, -2)"),
    ("e^-x", "exp(-x)"), ("w(x + b)", "w * (x + b)"), ("x*x", "x * x"), ("σ'(x)", "sigmoid(x) * (1 - sigmoid(x))"),
])
def test_the_graph_is_as_it_was_written(written, printed):
    graph = parse(written, "wxby").evaluate({name: Value(0.5, name) for name in "wxby"})
    assert text(graph) == printed


def test_products_without_a_sign_where_that_is_allowed():
    x, y = Value(0.5, "x"), Value(0.25, "y")
    for written, meant in (("2x", "2*x"), ("2x^2", "2*x^2"), ("-2x", "-2*x"), ("3(x + 2y)", "3*(x + 2*y)"), ("2e-3x", "2e-3*x"),
                           ("0.5 tanh(x)", "0.5*tanh(x)"), ("2 σ'(x)", "2*σ'(x)"), ("y/x*2x", "y/x*2*x"), ("2e^x", "2*e^x"),
                           ("2\\sigma(x)", "2*σ(x)"), ("x + .5y", "x + .5*y")):
        loose, strict = parse(written, "xy", loosely=True), parse(meant, "xy")
        assert text(loose.evaluate({"x": x, "y": y})) == text(strict.evaluate({"x": x, "y": y})), written
    for written in ("2 x", "x y", "x2", "1/2x", "1/-2x", "2^3x", "x^2y", "e^2x", "x//2y", "x % 2y", "1/2 tanh(x)", "2e", "2e - 1", "2½x"):
        with pytest.raises(ExpressionError):
            parse(written, "xy", loosely=True)


def test_the_graph_has_the_gradient_of_ordinary_python():
    w, x, b, y = (Value(data, name) for data, name in zip((0.5, 1.5, 0.1, 1.0), "wxby"))
    C = parse("0.5*(y - sigmoid(w*x + b))**2").evaluate({"w": w, "x": x, "b": b, "y": y})
    by_hand = 0.5 * (y - (w * x + b).sigmoid()) ** 2
    assert C.data == by_hand.data
    assert [node.op for node in micrograd.topological_order(C)] == [
        node.op for node in micrograd.topological_order(by_hand)]
    assert micrograd.gradient(C, w).data == micrograd.gradient(by_hand, w).data


def test_whole_numbers_and_unused_names_are_welcome():
    assert parse("x/2").evaluate({"x": 3, "unused": None}) == 1.5
    assert type(parse("x").evaluate({"x": 3})) is float
    with pytest.raises(TypeError, match="the value of 'x' needs a real number, found str '3'"):
        parse("x").evaluate({"x": "3"})
    with pytest.raises(TypeError, match="an expression is text such as '2\\*x', found int 3"):
        parse(3)


def test_arithmetic_is_total():
    assert parse("9**9**9**9").evaluate({}) == math.inf
    assert parse("-1/0").evaluate({}) == -math.inf
    assert math.isnan(parse("log(-1)").evaluate({}))
    assert math.isnan(parse("(-8)**(1/3)").evaluate({}))
    assert parse("ln'(0)").evaluate({}) == math.inf


def test_an_expression_is_plain_data():
    expression = parse("2*x + max(x, w1)")
    assert expression.names == ("x", "w1")
    assert repr(expression.program) == ("(2.0, Variable(name='x', place=2), <op mul>, Variable(name='x', place=10), "
                                        "Variable(name='w1', place=13), <op maximum>, <op add>)")
    assert pickle.loads(pickle.dumps(expression)) == expression == parse("2*x + max(x, w1)")


def test_an_op_of_ones_own():
    try:
        micrograd.op("cube_of", lambda x: x ** 3, lambda y, x: 3 * x * x, symbol="cb")
        assert parse("cube_of(2) + cb(3) + cube_of'(1)").evaluate({}) == 38.0
    finally:
        ops.OPS.pop("cube_of", None)
    with pytest.raises(ExpressionError, match="no function 'cube_of'"):
        parse("cube_of(2)")


# Names

@pytest.mark.parametrize(("written", "label"), [
    *((written, "a^{4}") for written in ("a4", "a_4", "a^4", "a⁴", "a^{4}", "a_{4}", "a₄")),
    *((written, "w^{2}_{1,1}") for written in (
        "w2_11", "w^{2}_{1,1}", "w²₁,₁", "w_{1,1}^{2}", "w^2_{1,1}", "w_11^2", "w211", "w²_11", "w^2_11", "w²₁₁", "w²_{1,1}")),
    *((written, "δ^{3}") for written in ("delta3", "δ3", "δ³", "δ^3", r"\delta^3", r"\delta^{3}", "delta_3", "delta^3")),
    *((written, "a^{1}_{2}") for written in ("a1_2", "a^1_2", "a¹₂", "a12")),
    ("loss (1)", "loss (1)"), ("x", "x"),
])
def test_a_name_is_found_however_it_is_spelled(written, label):
    assert parse(f"2*{written} + 1", LABELS).names == (label,)
    assert parse(f"({written})**{written}", LABELS).names == (label,)


@pytest.mark.parametrize(("written", "labels", "names"), [
    ("a_1 + a1", ["a_1", "a1"], ("a_1", "a1")),                 # spelled exactly
    ("a¹ + a1", ["a^{1}", "a1"], ("a^{1}", "a1")),              # the first as it is printed
    ("w_{1,12}", ["w_{1,12}", "w_{11,2}"], ("w_{1,12}",)),
    ("a^{4}**2", ["a", "a^{4}"], ("a^{4}",)),
    ("a⁴ + a", ["a", "a^{4}"], ("a^{4}", "a")),
    ("a**4 + a²", ["a", "a^{4}"], ("a",)),
    ("\u00b5 + μ", ["μ"], ("μ",)),                              # the micro sign
    ("x\u0304", ["x\u0304"], ("x\u0304",)), ("\u0101", ["a\u0304"], ("a\u0304",)),
    ("e + pi", ["e", "pi"], ("e", "pi")),                       # a name comes before a constant
    ("exp + exp(exp)", ["exp"], ("exp",)),                      # and a function has parentheses
    ("my x*2", ["my x", "my"], ("my x",)), ("my*2", ["my x", "my"], ("my",)),
    ("日本 + ß", ["日本", "ß"], ("日本", "ß")),
    ("a^k - a^{k-1}", ["a^{k}", "a^{k-1}"], ("a^{k}", "a^{k-1}")), ("a₁ᵏ⁻¹", ["a^{k-1}_{1}"], ("a^{k-1}_{1}",)),
    ("x*w", ["x*w", "x", "w"], ("x", "w")),                     # a label that is itself a formula is no word
])
def test_names_that_are_much_alike(written, labels, names):
    assert parse(written, labels).names == names


@pytest.mark.parametrize(("written", "labels", "message", "place"), [
    ("2*w_112", ["w_{1,12}", "w_{11,2}"], "this can be 'w_{1,12}' or 'w_{11,2}'; write it in full", 2),
    ("1 + a^4", ["a", "a^{4}"], "this can be the name 'a^{4}' or a power of 'a'; write a^{4} for the one, a**...", 4),
    ("a_2^1", ["a^{2}", "a^{1}_{2}"], "this can be the name 'a^{1}_{2}' or a power of 'a^{2}'", 0),
])
def test_names_that_are_too_much_alike(written, labels, message, place):
    with pytest.raises(ExpressionError) as slip:
        parse(written, labels)
    assert slip.value.message.startswith(message)
    assert slip.value.place == place


def test_without_known_names_every_name_will_do():
    assert parse("w_1*x + w1 + w₁ - x^2*e + x²").names == ("w_1", "x")
    assert parse("a^{4} + a^4").names == ("a^{4}", "a")
    assert parse("pi*e*tau").names == ()


def test_names_can_be_kept_and_asked():
    names = Names(["a^{4}", "", "w_{1,12}", "w_{11,2}", "a^{4}"])
    assert names.names == ("a^{4}", "w_{1,12}", "w_{11,2}")
    assert (names.meant("a4"), names.meant("w112"), names.meant("b")) == (["a^{4}"], ["w_{1,12}", "w_{11,2}"], [])
    assert parse("a4", names) == parse("a4", ["a^{4}"])


# Slips

SLIPS = [  # the text, the place, the message or its beginning
    ("", 0, "an expression is missing, such as 2*x + 1"),
    (" \t", 0, "an expression is missing"),
    ("x +", 3, "the expression breaks off; a number or a name is missing"),
    ("2**", 3, "the expression breaks off"),
    ("x^2^", 4, "the expression breaks off"),
    ("2x", 1, "an operator is missing here; write 2*x"),
    ("2 x", 2, "an operator is missing here; write 2*x"),
    ("x y", 2, "an operator is missing here; write x*y"),
    ("x 2", 2, "an operator is missing here; write x*2"),
    ("exp(x) y", 7, "an operator is missing here; write exp(x)*y"),
    ("x\\delta", 1, "an operator is missing here; write a*b for a product"),
    ("exp(x)(y)", 6, "an operator is missing here; write a*b for a product"),
    ("1/2(x)", 3, "an operator is missing here, and without it the order is in doubt; write /(2*…) or /2*…"),
    ("1/-x(y)", 4, "an operator is missing here, and without it the order is in doubt"),
    ("2^x(y)", 3, "an operator is missing here, and without it the order is in doubt"),
    ("x = 3", 2, "unexpected '=': an expression has no names to assign to"),
    ("x == 3", 2, "unexpected '='"),
    ("x < y", 2, "unexpected '<': there are no comparisons, but 1[a > b] or step(a - b) is 1 where a > b, else 0"),
    ("x; y", 1, "unexpected ';': this is a single expression"),
    ("x.real", 1, "unexpected '.': a name stands for a number, which has no parts"),
    ("x[0]", 1, "unexpected '[': the brackets are round"), ("2[x > 0]", 1, "unexpected '[': the brackets are round"),
    ("1[x]", 1, "these brackets hold a comparison, as in 1[a > b]"), ("1[x > 0", 1, "'[' is not closed by ']'"),
    ("1[x > y > 0]", 8, "unexpected '>': there are no comparisons, but 1[a > b]"), ("1[(x > 0)]", 5, "unexpected '>'"),
    ("1[x > 0, y]", 7, "unexpected ','"), ("1[> 0]", 2, "unexpected '>'"), ("1[x > ]", 6, "unexpected ']'"), ("1[x > 0)", 1, "'['"),
    ("leaky_relu(0,5)", 12, "this can be a decimal comma or the second argument"), ("e^2(x)", 3, "an operator is missing here, and"),
    ("2^--x(y)", 5, "an operator is missing here, and without it the order is in doubt; write **(x*…) or **x*…"),
    ("x{2}", 1, "unexpected '{': the brackets are round"),
    ("'x'", 0, "unexpected \"'\": names are written without quotes"),
    ('"x"', 0, "unexpected '\"': names are written without quotes"),
    ("x'", 1, "unexpected \"'\": names are written without quotes; a derivative is one of a function, σ'(z)"),
    ("__import__('os')", 0, "there is no function '__import__'"),
    ("lambda x: x", 0, "there is no 'lambda' here, only x, y"),
    ("x if x else y", 2, "an operator is missing here; write x*if"),
    ("x /// y", 4, "a number or a name is missing before '/'"),
    ("x % * y", 4, "a number or a name is missing before '*'; write 0.05 for 5%"),
    ("x % 2(y)", 5, "an operator is missing here, and without it the order is in doubt"),
    ("x // 2(y)", 6, "an operator is missing here, and without it the order is in doubt"),
    ("x @ y", 2, "unexpected '@'"),
    ("* x", 0, "a number or a name is missing before '*'"),
    ("()", 1, "a number or a name is missing before ')'"),
    ("exp()", 4, "a number or a name is missing before ')'"),
    ("max(x,)", 6, "a number or a name is missing before ')'"),
    ("max(,x)", 4, "a number or a name is missing before ','"),
    ("((x + y)", 0, "'(' is not closed by ')'"),
    ("2*(x + |y)", 7, "'|' is not closed by '|'"),
    ("max(x, y", 3, "'(' is not closed by ')'"),
    ("x^{y)", 2, "'{' is not closed by '}'"),
    ("|(x|", 1, "'(' is not closed by ')'"),
    ("x + y)", 5, "')' closes nothing that is open"),
    ("x | y", 2, "'|' closes nothing that is open"),
    ("max(x)", 0, "max takes 2 arguments, found 1"),
    ("1 + exp(x, y)", 4, "exp takes 1 argument, found 2"),
    ("σ'(x, y)", 0, "σ' takes 1 argument, found 2"),
    ("leaky_relu(x, y, 2)", 0, "leaky_relu takes 2 arguments, found 3"),
    ("0,5", 1, "unexpected ',': only the arguments of a function are a list; a decimal point is a point"),
    ("(x, y)", 2, "unexpected ',': only the arguments of a function are a list"),
    ("exp", 0, "exp is a function; write exp(x)"),
    ("max + 1", 0, "max is a function; write max(x, y)"),
    ("sin²(x)", 0, "sin is a function; write sin(x)"),
    ("sigmod(x)", 0, "there is no function 'sigmod'; did you mean sigmoid?"),
    ("pi(x)", 0, "there is no function 'pi'"),
    ("2*q", 2, "there is no 'q' here, only x, y"),
    ("q_{1}^2_3", 0, "there is no 'q_{1}' here"),
    ("q^2_3", 0, "there is no 'q^2_3' here"),
    ("x\\", 1, "an operator is missing here"),
    ("\\", 0, "unexpected '\\\\'"),
    ("1e999", 0, "this number is larger than any float"),
    ("2*∞", 2, "unexpected '∞': numbers are finite"),
    ("√2", 0, "unexpected '√': write sqrt(x)"),
    ("50%", 3, "the expression breaks off; a number or a name is missing; write 0.05 for 5%"),
    ("(5%)", 3, "a number or a name is missing before ')'; write 0.05 for 5%"),
    ("5 mod", 5, "the expression breaks off; a number or a name is missing"),
    ("⌊x⌉", 0, "'⌊' is not closed by '⌋'"),
    ("x⌋", 1, "'⌋' closes nothing that is open"),
    ("xⁿ", 1, "there is no 'n' here, only x, y"),
    ("٣", 0, "unexpected '٣'"),
    ("x\0", 1, "unexpected U+0000"),
    ("\u202ex", 0, "unexpected U+202E RIGHT-TO-LEFT OVERRIDE"),
    ("x\ud800", 1, "unexpected U+D800"),
    ("💩", 0, "unexpected '💩'"),
]


@pytest.mark.parametrize(("written", "place", "message"), SLIPS)
def test_slips(written, place, message):
    with pytest.raises(ExpressionError) as slip:
        parse(written, "xy")
    assert slip.value.message.startswith(message)
    assert (slip.value.text, slip.value.place) == (written, place)


def test_a_slip_is_shown_with_a_caret():
    with pytest.raises(ValueError, match="an operator") as slip:
        parse("1 + 2x", "x")
    assert str(slip.value) == "an operator is missing here; write 2*x\n  1 + 2x\n       ^"
    again = pickle.loads(pickle.dumps(slip.value))
    assert (str(again), again.place) == (str(slip.value), 5)


@pytest.mark.parametrize(("written", "shown", "indent"), [
    ("日本 + q", "日本 + q", 7),                    # wide signs take two columns
    ("x\u0304 + q", "x\u0304 + q", 4),             # and accents none
    ("1\t+\nq\x00", "1 + q ", 4),                  # everything on one line
    ("1" * 200 + "q" + "1" * 200, "…" + "1" * 35 + "q" + "1" * 32 + "…", 36),
])
def test_the_caret_is_below_the_place(written, shown, indent):
    with pytest.raises(ExpressionError) as slip:
        parse(written, ["日本", "x\u0304"])
    _, line, caret = str(slip.value).split("\n")
    assert (line, caret) == (f"  {shown}", " " * (2 + indent) + "^")


def test_missing_values_have_a_place():
    with pytest.raises(ExpressionError) as slip:
        parse("2*x + y").evaluate({"x": 1.0})
    assert (slip.value.message, slip.value.place) == ("'y' has no value", 6)


def test_an_unknown_name_can_be_told_from_other_slips():
    with pytest.raises(UnknownName) as slip:
        parse("x + foo", "x")
    assert (slip.value.name, slip.value.place) == ("foo", 4)
    assert pickle.loads(pickle.dumps(slip.value)).name == "foo"
    for written in ("x + ", "foo(x)", "exp", "2x"):
        with pytest.raises(ExpressionError) as slip:
            parse(written, "x")
        assert type(slip.value) is ExpressionError


def test_near_misses_and_long_lists():
    with pytest.raises(ExpressionError, match="only alpha, beta, gamma; did you mean gamma"):
        parse("gama", ["alpha", "beta", "gamma"])
    with pytest.raises(ExpressionError, match="only n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 1,990 more"):
        parse("q", [f"n{i}" for i in range(2000)])
    with pytest.raises(ExpressionError, match="a number is needed here, not a name"):
        parse("q", [])


def test_limits():
    assert parse("(" * NESTING + "1" + ")" * NESTING).evaluate({}) == 1.0
    assert parse("1" + "+1" * (LENGTH // 2 - 1)).evaluate({}) == LENGTH // 2
    assert parse("-" * (LENGTH - 1) + "1").evaluate({}) == -1.0
    assert parse("2**" * 333 + "1").evaluate({}) == math.inf
    for opening in ("(", "|", "exp(", "2^{"):
        with pytest.raises(ExpressionError, match=f"brackets are nested more than {NESTING} deep") as slip:
            parse(opening * (NESTING + 1))
        assert slip.value.place == len(opening) * (NESTING + 1) - 1
    for hostile in ("(" * 10_000, "1" * (LENGTH + 1), "9**" * 10_000 + "9", "x" * 100_000):
        with pytest.raises(ExpressionError, match="at most 1,000 characters") as slip:
            parse(hostile)
        assert len(str(slip.value)) < 250  # the quotation is cut


# Programs and values

def test_a_program_names_its_inner_nodes():
    program = parse_program("z = w*x + b; a = sigmoid(z); 0.5*(y - a)**2", ["w", "x", "b", "y"])
    nodes = program.graph({"w": 0.5, "x": 1.5, "b": 0.1, "y": 1})
    assert [*nodes] == ["w", "x", "b", "y", "z", "a", ""]
    assert all(node.label == name for name, node in nodes.items())
    assert [text(nodes[name]) for name in ("z", "a", "")] == ["w * x + b", "sigmoid(z)", "0.5 * (y - a)**2"]
    assert nodes[""].data == 0.5 * (1 - sigmoid(0.85)) ** 2


def test_a_program_of_one_expression_and_of_numbers():
    assert parse_program("2*x", ["x"]).graph({"x": 3})[""].data == 6.0
    nodes = parse_program("k = 2; C = k*x; ", ["x"]).graph({"x": 3})
    assert text(nodes["C"]) == "k * x"
    assert (nodes["k"].data, nodes["k"].parents, [*nodes][-1]) == (2.0, (), "C")
    assert parse_program("1/4", []).graph({})[""].data == 0.25


def test_another_name_for_the_same():
    nodes = parse_program("z = x; z**2", ["x"]).graph({"x": 3})
    assert (nodes["x"].label, nodes["z"].label, text(nodes[""]), text(nodes["z"])) == ("x", "z", "z**2", "x")


def test_names_of_a_program_may_have_indices():
    nodes = parse_program("z² = w²*x; a^{2}_{1} = tanh(z2); C = a21(1 - a²₁)", ["w^{2}", "x"]).graph({"w^{2}": 1, "x": 2})
    assert [*nodes][2:] == ["z^{2}", "a^{2}_{1}", "C"]
    assert text(nodes["C"]) == "a²₁ * (1 - a²₁)"
    assert unicode_label(nodes["z^{2}"].label) == "z²"


@pytest.mark.parametrize(("written", "place", "message"), [
    ("", 0, "an expression is missing"), (";", 0, "an expression is missing"),
    ("z = w; z = 3", 7, "'z' has a value already; choose another name"),
    ("  w = 3", 2, "'w' has a value already"), ("w_1 = 3; w₁ = 4", 9, "'w_1' has a value already"),
    ("w; 3", 0, "only the last expression may go without a name; write z = ..."),
    ("z = 3;  z + w; 4", 8, "only the last expression may go without a name"),
    ("z = ; 3", 3, "an expression is missing"), ("z = w; q == 2", 10, "unexpected '='"),
    ("= 3", 0, "before '=' comes a name"), ("2z = 3", 0, "before '=' comes a name"), ("z + w = 3", 0, "before '='"),
    ("z = w; q", 7, "there is no 'q' here, only w, z"), ("z = z + 1; z", 4, "there is no 'z' here, only w"),
    ("z = w; 2x", 8, "an operator is missing"),
])
def test_slips_in_a_program(written, place, message):
    with pytest.raises(ExpressionError) as slip:
        parse_program(written, ["w"])
    assert slip.value.message.startswith(message)
    assert (slip.value.text, slip.value.place) == (written, place)


@pytest.mark.parametrize(("written", "values"), [
    (["w=0.5"], {"w": 0.5}), (["w = 1/3"], {"w": 1 / 3}), (["x_1=-2e-3"], {"x_1": -2e-3}), (["a⁴=2"], {"a^{4}": 2.0}),
    (["w=0.5", "x=1.5"], {"w": 0.5, "x": 1.5}), (["w=0.5, x=1.5,y=2", "b=1"], {"w": 0.5, "x": 1.5, "y": 2.0, "b": 1.0}),
    (["w=max(1,2),x=3"], {"w": 2.0, "x": 3.0}), (["w_{1,1}=1,w_{1,2}=2"], {"w_{1,1}": 1.0, "w_{1,2}": 2.0}),
    (["w²₁,₁=1,w²₁,₂=2"], {"w^{2}_{1,1}": 1.0, "w^{2}_{1,2}": 2.0}), (["δ=2*pi,e=3"], {"δ": math.tau, "e": 3.0}),
    (["w_1=1", "w_11=2"], {"w_1": 1.0, "w_11": 2.0}), ([], {}),
])
def test_values(written, values):
    assert parse_values(*written) == values


@pytest.mark.parametrize(("written", "place", "message"), [
    ("w", 1, "names and their values are written like this: w=0.5"), ("", 0, "names and their values"),
    ("w=", 2, "an expression is missing"), ("x=1,w=,y=2", 6, "an expression is missing"),
    ("w=x", 2, "a number is needed here, not a name"), ("=3", 0, "before '=' comes a name"),
    ("w=0,5", 3, "unexpected ','"), ("w=0,5,x=3", 3, "unexpected ','"), ("my w=3", 0, "before '=' comes a name"),
    ("w==3", 2, "unexpected '='"), ("w=1=3", 3, "unexpected '='"), ("5,w=3", 0, "before '=' comes a name"),
    ("w=3, w=4", 5, "'w' has a value already"), ("w=3,x=2x", 7, "an operator is missing here; write 2*x"),
])
def test_slips_in_values(written, place, message):
    with pytest.raises(ExpressionError) as slip:
        parse_values(written)
    assert slip.value.message.startswith(message)
    assert (slip.value.text, slip.value.place) == (written, place)


def test_a_name_has_one_value_wherever_it_is_given():
    with pytest.raises(ExpressionError, match="'w_1' has a value already"):
        parse_values("w_1=3", "x=2,w₁=4")


# Whatever is printed can be read, and whatever is written is read or refused

LEAVES = {label: Value(data, label) for data, label in zip((0.5, -1.25, 2.0, 0.75), ("x", "w^{2}_{1,1}", "a^{4}", "δ_3"))}
NUMBERS = st.floats(-1e3, 1e3).map(lambda number: Value(float(f"{number:.6g}")))  # as many digits as are printed
ROWS = [row for row in ops.OPS.values() if row.arity <= 2 and row.builtin]
FLATTENED = {ops.add: (ops.add, ops.sub, ops.identity), ops.mul: (ops.mul, ops.div)}  # a + (b + c) prints as a + b + c


def recorded(row, *arguments):
    """The row on those arguments, if that is finite and computed in the order in which it is printed; or the first."""
    arguments = arguments[:row.arity]
    if arguments[-1].op in FLATTENED.get(row, ()) or not math.isfinite(row.value(*map(float, arguments))):
        return arguments[0]
    return row(*arguments)


GRAPHS = st.recursive(st.sampled_from([*LEAVES.values()]) | NUMBERS,
                      lambda graphs: st.builds(recorded, st.sampled_from(ROWS), graphs, graphs), max_leaves=12)


@given(GRAPHS)
@settings(max_examples=300, deadline=None)
def test_a_printed_formula_is_read_back(graph):
    printed = text(graph, None)
    again = parse(printed, LEAVES).evaluate(LEAVES)
    assert float(again) == graph.data
    if isinstance(again, Value):
        printed = text(again)  # numbers alone have been computed: 2 * x for (1 + 1) * x
        assert text(parse(printed, LEAVES).evaluate(LEAVES)) == printed


OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "//", "**", "* -", "% -", "// -", "+ -", "- -", "- - -"])


@given(st.lists(st.tuples(OPERATORS, st.sampled_from(["7.0", "2.5", "3.0", "0.75", "(4 - 1.5)", "10.0"])), min_size=1, max_size=6),
       st.sampled_from(["", "-", "--"]))
@settings(max_examples=300, deadline=None)
def test_operators_bind_as_in_python(chain, sign):
    written = f"{sign}5.5 " + " ".join(f"{operator} {number}" for operator, number in chain)
    try:
        expected = eval(written)
    except (ZeroDivisionError, OverflowError):
        return
    if isinstance(expected, float) and abs(expected) < 1e15:  # -a * b is -(a * b) here, which rounds alike
        assert parse(written).evaluate({}) == expected


SIGNS = st.text(st.sampled_from("0123456789.eE+-*/%⌊⌋⌈⌉^()|{}[],;='xyw_ \t\\²⁴₁⁻½σδ−·<\0\u202e\u0301日"), max_size=60)


@given(SIGNS | st.text(max_size=40))
@example("x" * 2000)
@example("\ud800")
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused_with_a_place(words):
    for names in (None, ["x", "y", "w_1", "x^{2}"]):
        try:
            expression = parse(words, names)
        except ExpressionError as error:
            assert 0 <= error.place <= len(words)
            assert str(error).count("\n") == 2
        else:
            assert type(expression.evaluate(dict.fromkeys(expression.names, 0.5))) is float
    for read in (parse_values, lambda words: parse_program(words, ["x"]).graph({"x": 0.5})):
        try:
            read(words)
        except ExpressionError as error:
            assert 0 <= error.place <= len(words)


@pytest.mark.parametrize(("text", "written"), [
    ("math.sin(x)", "sin(x)"), ("np.exp(-x**2)", "exp(-x**2)"), ("numpy.maximum(x, 0)", "maximum(x, 0)"),
    ("torch.sigmoid(w*x)", "sigmoid(w*x)"), ("Math.sin(x)", "sin(x)"), ("Math.PI*x", "pi"), ("np.pi", "pi"),
    ("torch.nn.functional.relu(x)", "relu(x)"), ("math.sin(2*(x + 1))", "sin(x)"), ("mg.tanh(x)", "tanh(x)"),
    ("x.tanh()", "tanh(x)"), ("(w*x + 1).tanh()", "tanh(w*x + 1)"), ("sin(x).exp()", "exp(sin(x))"),
    ("x.pow(2)", "pow(x, 2)"), ("q.tanh()", "tanh(q)"), ("2*math.sqrt(x)", "sqrt(x)"), ("math.fabs(x)", "abs(x)"),
    ("np.arctan(x)", "arctan(x)"), ("math .sin (x)", "sin(x)"),
])
@pytest.mark.parametrize("names", [None, ["x", "w"]])
def test_functions_and_constants_of_modules(text, written, names):
    with pytest.raises(ExpressionError, match=r"stands by itself; write ") as error:
        parse(text, names)
    assert error.value.message.endswith(f"; write {written}")
    assert not isinstance(error.value, UnknownName)
    parse(written, [*(names or []), "q"] if names else None)


@pytest.mark.parametrize(("text", "message"), [
    ("np.square(x)", "there is no function 'square'; did you mean sqrt?"),
    ("np.zzzzzz(x)", "there is no function 'zzzzzz'"),
    ("x.data", "unexpected '.': a name stands for a number, which has no parts"),
    ("Sin(x)", "there is no function 'Sin'; did you mean sin? Names are case-sensitive"),
    ("X + 1", "there is no 'X' here, only x, W_1; did you mean x? Names are case-sensitive"),
    ("w_1", "there is no 'w_1' here, only x, W_1; did you mean W_1? Names are case-sensitive"),
    ("PI", "there is no 'PI' here, only x, W_1; did you mean pi? Names are case-sensitive"),
    ("q", "there is no 'q' here, only x, W_1"),
])
def test_names_that_are_nearly_right(text, message):
    with pytest.raises(ExpressionError) as error:
        parse(text, ["x", "W_1"])
    assert error.value.message == message


# Whole programs: what is done with them grows with their length, and no faster

def work_of(function):
    """How many lines of Python a call runs."""
    count = 0

    def trace(frame, event, _arg):
        nonlocal count
        count += 1
        return trace
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


PROGRAMS = {
    "squares": lambda n: "".join(f"a{i + 1}=a{i}*a{i};" for i in range(n)),
    "two at a time": lambda n: "".join(f"a{i + 1}=a{i}+b{i};b{i + 1}=a{i}*0.5;" for i in range(n // 2)),
    "all of one": lambda n: "".join(f"w_{{{i + 1}}}=sin(a0)+b0;" for i in range(n)),
}


def everything(text):
    """What the commands do with an expression."""
    root, nodes = cli.expressions.recorded(text, {"a0": 1.0, "b0": 0.5})
    cli.expressions.forward(root, UNICODE)
    return [str(explain(root)), str(explain(root, nodes["a0"])), str(steps(root)), str(diagnose(root))]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_twice_the_length_is_twice_the_work(program, capsys):
    small, large = (work_of(lambda n=n: everything(PROGRAMS[program](n))) for n in (60, 240))
    assert large < 6 * small, "quadratic would be 16 times"
    assert work_of(lambda: parse_program(PROGRAMS[program](240), ["a0", "b0"])) < 6 * work_of(
        lambda: parse_program(PROGRAMS[program](60), ["a0", "b0"]))


def test_many_values_are_read_in_time_that_grows_with_them():
    small, large = (work_of(lambda n=n: parse_values(", ".join(f"x{i}=1" for i in range(n)))) for n in (60, 240))
    assert large < 6 * small


def test_a_thousand_statements(capsys):
    text = PROGRAMS["squares"](1000)
    assert len(text) < WHOLE
    assert len(parse_program(text, ["a0"]).statements) == 1000
    assert "(970 more factors)" in everything(text)[1]


def test_one_limit_for_a_whole_program():
    text = PROGRAMS["squares"](2000)
    with pytest.raises(ExpressionError, match=r"expressions have at most 20,000 characters in all, found 32,673"):
        parse_program(text, ["a0"])
    with pytest.raises(ExpressionError, match=r"values have at most 20,000 characters in all"):
        parse_values("x=1, " * 5000)


def test_paths_that_nobody_can_count(capsys):
    text = "".join(f"a{i + 1}=a{i}+b{i};b{i + 1}=a{i}*0.1;" for i in range(500))
    root, nodes = cli.expressions.recorded(text, {"a0": 1.0, "b0": 0.5})
    assert re.search(r"about 10\S+ paths lead from", str(explain(root, nodes["a0"])))


def test_names_can_be_added():
    names = Names(["a^{4}"])
    names.add("b_1")
    names.add("b_1")
    assert names.names == ("a^{4}", "b_1") and names.meant("b1") == ["b_1"] and names.at("b₁ + 1", 0, 6) == "b₁"
    names.add("a⁴")
    assert names.meant("a⁴") == ["a⁴"], "one that is spelled so"
    assert Names(["a⁴", "a^{4}"]).meant("a⁴") == ["a⁴"] and Names(["a^{4}", "a⁴"]).meant("a^{4}") == ["a^{4}"]


def test_what_is_raised_is_a_power():
    assert parse("xʸ + xᵐᵃˣ", ["x", "y", "max"]).evaluate({"x": 2.0, "y": 3.0, "max": 1.0}) == 10.0
    assert parse("2ⁿ(n)").evaluate({"n": 3.0}) == 24.0 and parse("xᵏ⁺¹").names == ("x", "k")
    assert parse("aᵏ", ["a^{k}", "a"]).names == ("a^{k}",), "a name that is known is the name"
    for wrong, place in (("aᶻ", 1), ("(a)⁻", 4), ("2·a⁺ᶻ", 4)):
        with pytest.raises(ExpressionError) as error:
            parse(wrong, ["a"])
        assert (error.value.text, error.value.place) == (wrong, place)
