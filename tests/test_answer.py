"""Answers: what is understood, what is asked about, and that nothing is read as another number than a person reads."""

import math
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from micrograd import Value, grade, sigmoid
from micrograd.formulas.graph import look
from micrograd.mark.grade import Marker
from micrograd.mark.submission import Submission

DOCS = Path(__file__).parents[1] / "docs" / "answers.md"


def named(node, name):
    node.label = name
    return node


def chain():
    w, x, b, y = (Value(number, name) for number, name in ((0.5, "w"), (1.5, "x"), (0.1, "b"), (1.0, "y")))
    z = named(w * x + b, "z")
    a = named(sigmoid(z), "a")
    return named(0.5 * (y - a) ** 2, "C")


GRAPH = look(chain(), "test")
MARKER = Marker(GRAPH)


def submitted(written, asked="w", forward=False):
    """An answer as it is read."""
    node = GRAPH.named(asked)
    read = Submission(MARKER.nodes, MARKER.points, {} if forward else {node: written}, {node: written} if forward else {})
    return (read.forward if forward else read.gradients)[node]


def rows():
    """The rows of the tables in the docs: what is written, and what comes of it."""
    text = DOCS.read_text(encoding="utf-8") if DOCS.exists() else ""
    unescaped = (re.sub(r"\\([|*])", r"\1", line) for line in text.splitlines())
    return re.findall(r"^\| `(.*?)` \| (.*) \|$", "\n".join(unescaped), re.M)


@pytest.mark.parametrize(("written", "comes_of_it"), rows())
def test_the_tables_of_the_docs(written, comes_of_it):
    read = submitted(written)
    if re.fullmatch(r"-?(\d+(\.\d+)?|inf)", comes_of_it):
        assert read.problem == ""
        assert read.value == pytest.approx(float(comes_of_it), rel=2e-6)
    else:
        assert read.value is None
        message, text, caret = read.problem.splitlines()
        assert message.startswith(comes_of_it)
        assert caret.strip() == "^" and len(caret) <= len(text) + 1


def test_the_tables_are_there():
    if not DOCS.exists():
        pytest.skip("docs/ is not in the sdist")
    assert len(rows()) > 90


@pytest.mark.parametrize(("written", "number"), [
    ("0.1\u200b385", 0.1385), ("\ufeff-0.5", -0.5), ("\u00a00.5\u00a0", 0.5), ("１／３", 1 / 3), ("２ｘ", 3.0), ("𝟎.𝟓", 0.5),
    ("९.५", 9.5), ("1½ = 1.5", 1.5), ("1.5 = 1½", 1.5), ("2/3 ≈ 0.66", 2 / 3), ("0.667 ≈ 2/3", 2 / 3), ("0.85 = z = w*x + b", 0.85),
    ("dL/dw = 0.3", 0.3), ("w = 0.3", 0.3), ("δ·x = -0.0942", -0.0942), ("f'(w) = 0.3", 0.3), ("(a-y)a(1-a)x = -0.0942", -0.0942),
    ("0.0942 = ", 0.0942), ("x := 1.5", 1.5), ("-5 % = -0.05", -0.05), ("12,5 %", 0.125), ("1,5e-3", 0.0015), ("0,123", 0.123),
    ("12,345,678", 12345678.0), ("1.234.567,8", 1234567.8), ("1e400", math.inf), ("9.42∙10⁻²", 0.0942), ("5 · 100", 500.0), ("5·10²", 500.0), ("2·10⁻⁵", 2e-5), ("-2/3 = -0.66", -2 / 3),
    (r"\frac{\partial C}{\partial a} \cdot \frac{da}{dz} \cdot x", -0.09421931299660383), (r"-\frac{1}{\sqrt{4}}", -0.5),
    (r"\left(a - 1\right) \left(1 - x\right) \approx 0.1497", 0.1497), (r"\sqrt[3]{\dfrac{1}{8}}", 0.5), (r"5\,\%", 0.05),
    (r"x^{\frac{1}{2}}", 1.5 ** 0.5), (r"\sigma'\left(z\right)", 0.209772821359825), ("2·e", 2 * math.e), ("2e^x", 2 * math.exp(1.5)), ("10 - 2", 8.0), ("-0.5 - 0.25", -0.75), ("0.5-0.25", 0.25), ("0.5- 0.25", 0.25), ("0.3-0.4", -0.1), ("1-2-3", -4.0), ("2-1/2", 1.5),
])
def test_more_that_is_understood(written, number):
    assert submitted(written).value == pytest.approx(number, rel=1e-12), submitted(written).problem


@pytest.mark.parametrize("written", [
    "-0.0942 -0.1", "2 +2", "0,5  −0,5", "2024-5-3", "2024.5.3", "2024-5-3 0:00", "3²/3", "2¹⁄₂", "-1¹/3", "2½x", "1.5½", "x½", "1 2 3", "1 234", "0.1 385", "+-5", "-+inf", "--inf", "9.42 10-2", "9.42 × 10 - 2", "9.42×10+2", "10-2", "0·5", "3∙14", "1·5×10^2", "1/3 = 0.4", "-1/3 = -0.2", "x*10-3 + 1",
    "9.42e -2", "9.42 E-2", "2e", "2e(x)", "0.5e", "1/-2x", "2^-3x", "2^--3(x)", "x^2y", "e^-2x", "e^2(x)", "a/2b", "1/2∂C/∂a", "1/2 sin(x)",
    "x % 2(x)", "1/2/2024", "6/3/12", "12/31/99", "2024-05-03 00:00:00", "2024-05-03T10:00", "Mar-05", "5. Mai", "1:02:03", "1:30 PM",
    "#REF!", "#N/A", "a != 0.5", "a ≠ 0.5", "w += 0.3", "w =/= 3", "x => 2", "0.3~0.4", "w = 0.3; b = 0.5", "0.3 and b = 0.5",
    "question 3 = 0.5", "0.5 = no idea", "1 2 = 0.5", "0.7 = z = w*x", "x*z = z*y", "dL/db = 0.3", "∂C/∂z = 0.2", "0.5 (2)", "TRUE", "1_000",
    r"2\frac{1}{2}", r"2 \frac{1}{2}", r"\frac12", r"\frac{1}", r"\frac{1}{2", r"\frac{1}{2}x", r"\sqrt 2", r"\sum x", r"\frac{x}2",
    "0x10", "0.5.", "0.5;", '"0.5"', "1[z]", "1[z > 0", "1[z < 0]", "1[1 > z > 0]", "1[z > 0, 1]", "2[z > 0]", "[0.5]", "(0.5", "1]",
    "leaky_relu(1,5)", "1,2345.6", "1.2.3", "1,23,456", "1'23", "1,234,56", "5'", "0.5\u202e", "0.\u00ad5", "²", "Ⅷ", "①", "½½",
])
def test_more_that_is_asked_about(written):
    read = submitted(written)
    assert read.value is None, read.value
    assert read.problem.splitlines()[-1].strip() == "^"


def test_a_label_is_one_of_what_is_asked_for():
    assert submitted("z = 0.9", "z", forward=True).value == 0.9
    assert submitted("δ = -0.06", "z").value == submitted("dC/dz = -0.06", "z").value == submitted("z = -0.06", "z").value == -0.06
    assert submitted("δ = -0.06", "b").value == -0.06, "b has the same gradient"
    for written, asked, forward in (("δ = -0.06", "a", False), ("dC/dz = 0.85", "z", True), ("a = 0.2", "z", True)):
        assert submitted(written, asked, forward).value is None
    assert submitted("x = 1.5", "w").value == 1.5, "the answer is x, which is 1.5"


def test_an_answer_keeps_the_digits_of_the_side_that_counts():
    for written, digits, half in (("0.09 = 0.0942 ≈ 0.1", 3, 5e-5), ("0.5 = 0.50", 2, 5e-3), ("1/3 = 0.33", 17, 0.0),
                                  ("-9.42×10-2", 3, 5e-5), ("1.234,50", 6, 5e-3), ("5 %", 1, 5e-3)):
        read = submitted(written)
        assert (read.digits, read.half) == (digits, pytest.approx(half)), written


def test_a_decimal_comma_shows_on_the_rest_of_a_sheet():
    for mark, written, value in ((",", "1,106", 1.106), (",", "1.106", None), (".", "1,106", None), (".", "1.106", 1.106)):
        read = Submission(MARKER.nodes, MARKER.points, {GRAPH.named("w"): written}, {GRAPH.named("z"): f"0{mark}85"})
        assert read.gradients[GRAPH.named("w")].value == value
    mixed = Submission(MARKER.nodes, MARKER.points, {GRAPH.named("w"): "1,106", GRAPH.named("b"): "0.5"}, {GRAPH.named("z"): "0,85"})
    assert mixed.gradients[GRAPH.named("w")].value is None


def test_names_that_look_like_signs_of_numbers():
    e, E, x10, z = (Value(number, name) for number, name in ((0.3, "e"), (0.4, "E"), (7.0, "x10"), (2.0, "z")))
    C = named(e * E * x10 * z, "C")
    for written, number in (("e-z", -1.7), ("2*e", 0.6), ("2*x10", 14.0), ("5e-2", 0.05), ("5E-2", 0.05), ("5×10^2", 500.0)):
        assert grade(C, {"z": written}).answers["z"].value == pytest.approx(number), written
    for written in ("2x10", "2x10^2", "2e - 1", "2E", "2E -1", "2 E-1"):
        assert grade(C, {"z": written}).answers["z"].verdict == "unreadable", written


# A node may be called as a function is, as e, or with a sign; and a function's value is written as a product is.
@pytest.mark.parametrize(("labels", "numbers", "doubts"), [
    ("e x", {"e^2": 0.09, "e²": 0.09, "e**(2)": 0.09, "(e)**-x": 0.3 ** -0.4, "exp(-x)": math.exp(-0.4), "2*e^3": 0.054, "x^e": 0.4 ** 0.3},
     ["e^x", "e^-x", "e**-x", "e^{-x}", "e^(-x)", "e⁻ˣ", "1/(1 + e^-x)", "2e^x", "e⁻¹", "e^-1", "e^0.5", "e²ˣ", "e^2x", "e^(2*x)"]),
    ("E x", {"e^-x": math.exp(-0.4), "E^2": 0.09, "E^x": 0.3 ** 0.4}, []),
    ("σ z", {"σ*(1 - σ)": 0.21, "σ(z)": 1 / (1 + math.exp(-0.4)), "sigmoid(1 - z)": 1 / (1 + math.exp(-0.6)), "σ'(z)": 0.2402607457},
     ["σ(1 - σ)", "σ (1 − σ)", "2σ(1 - z)", "sigma(1-σ)", r"\sigma(1 - \sigma)", "σ(0.5)", "σ((z))"]),
    ("tanh z", {"tanh(z)": math.tanh(0.4), r"\tanh(1 - z)": math.tanh(0.6), "tanh*(1 - tanh)": 0.21, "1 - tanh²": 0.91},
     ["tanh(1 - tanh)", "tanh(z*z)"]),
    ("max z", {"max(0, z)": 0.4, "max*z": 0.12}, ["max(z)"]),
    ("h x", {"h*x": 0.12, "h(1 - h)": 0.21, "(h)(x)": 0.12, "2(x)": 0.8, "h(2)": 0.6, "x*(h)": 0.12},
     ["h(x)", "h (x)", "h( x )", "h(x)(1 - h(x))", "2h(x)", "dC/dh(x)"]),
    ("w+ w", {"w": 0.4, "w + 1": 1.4, "w+1": 1.4, "w^{+}": 0.3, "(w) + -1": -0.6, "w+ = 0.3": 0.3},
     ["w+", "w+ + 1", "w++1", "w+ - w", "2*(w+)", "dC/dw+ + 1", "w⁺"]),
    ("w* w", {"w*2": 0.8, "w*w": 0.16}, ["w* - w", "w**2", "w*", "dC/dw* - 1"]),
    ("x*w x w", {"x*w": 0.2, "dC/dx*(w)": 0.5}, ["dC/dx*w", "∂C/∂x*w"]),
    ("dw d w", {"dC/dw": 1.0, "d*w": 0.2}, []),
    ("zx z x", {r"\frac{dC}{dz}\frac{dC}{dx}": 1.0, r"\frac{dC}{dz}(x)": 0.5, r"\frac{dC}{dz}^2": 1.0}, [r"\frac{dC}{dz}x", r"x\frac{dC}{dz}"]),
])
def test_labels_that_make_an_answer_doubtful(labels, numbers, doubts):
    leaves = [Value(0.3 + 0.1 * place, label) for place, label in enumerate(labels.split())]
    last = named(Value(2.0), "q")
    C = named(sum(leaves, last), "C")

    def value(written):
        return grade(C, {"q": written}).answers["q"].value

    for written, number in numbers.items():
        assert value(written) == pytest.approx(number), written
    for written in doubts:
        assert value(written) is None, written


def test_a_slope_that_can_be_two_numbers():
    x = Value(2.0, "x")
    h = named(x * x, "h")
    C = named((h + x) * 3, "C")
    z = named(h * x + C, "z")
    L = named(z * z, "L")
    assert grade(L, {"h": "dL/dz * dz/dh"}).answers["h"].verdict == "unreadable", "of C, or with C held fixed"
    assert "direct effect" in grade(L, {"h": "dL/dz * dz/dh"}).answers["h"].note
    assert grade(L, {"C": "dL/dz * dz/dC", "h": "dL/dz * x + dL/dC * 3"}).score == 1


# Whatever is written: the number, or a question

WHOLE = st.integers(0, 10**6)
FINE = st.decimals(-10**4, 10**4, places=4).map(lambda number: f"{number:f}")
MINUS = st.sampled_from("-−–—－")
TIMES = st.sampled_from(["x", " x ", "×", " × ", "·", " · ", "*", " * ", "⋅"])
EXPONENT = st.sampled_from(["^{}", "**{}", "^({})", "**({})", "^{{{}}}", "{}"])
DIGITS = st.sampled_from(["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९"])
VULGAR = {"½": Fraction(1, 2), "⅓": Fraction(1, 3), "¾": Fraction(3, 4), "⅞": Fraction(7, 8)}


@st.composite
def spelled(draw):
    """A number, and a way of writing it."""
    kind = draw(st.sampled_from(["decimal", "power", "fraction", "vulgar", "mixed", "percent", "grouped", "chain"]))
    sign, minus = draw(st.sampled_from([(1, ""), (1, "+"), (-1, None)])), draw(MINUS)
    minus = minus if sign[1] is None else sign[1]
    if kind in ("decimal", "percent", "chain", "power", "grouped"):
        digits = draw(FINE).lstrip("-")
        if draw(st.booleans()):
            digits = digits.rstrip("0").rstrip(".") or "0"
        number = Fraction(digits)
        if kind == "grouped":
            digits = f"{int(number):,}" + (f".{digits.split('.')[1]}" if "." in digits else "")
        if draw(st.booleans()):
            digits = digits.translate(str.maketrans(".,", ",."))
            if re.fullmatch(r"\d{1,3}\.\d{3}", digits):  # with a point it is none of thousands
                number = Fraction(digits)
        digits = digits.translate(str.maketrans("0123456789", draw(DIGITS)))
        if kind == "power":
            exponent = draw(st.integers(-6, 6).filter(bool))  # ×100 is no power of ten whose exponent was lost
            if draw(st.booleans()):
                digits += f"e{exponent}"
            else:
                digits += draw(TIMES) + "10" + draw(EXPONENT).format(exponent)
            number *= Fraction(10) ** exponent
        if kind == "percent":
            digits, number = digits + draw(st.sampled_from(["%", " %"])), number / 100
        if kind == "chain":
            digits = draw(st.sampled_from(["= {}", "≈{}", "dC/dw = {}", "{} =", "{0} = {0}"])).format(minus + digits)
            minus = ""
    elif kind == "fraction":
        above, below = draw(WHOLE), draw(st.integers(1, 10**4))
        digits, number = f"{above}{draw(st.sampled_from(['/', ' / ', '÷', '⁄']))}{below}", Fraction(above, below)
    else:
        whole = draw(WHOLE) if kind == "mixed" else 0
        vulgar = draw(st.sampled_from([*VULGAR]))
        digits, number = (str(whole) if kind == "mixed" else "") + vulgar, whole + VULGAR[vulgar]
    return minus + digits, sign[0] * number


@given(spelled())
@settings(max_examples=300, deadline=None)
def test_a_number_is_read_as_it_is_written_or_asked_about(one):
    written, number = one
    value = submitted(written).value
    if value is not None:
        assert value == pytest.approx(float(number), rel=1e-12, abs=1e-300), written


PIECES = st.lists(st.sampled_from(["1", "2", "10", "0.5", "1,5", "½", "⅓", "²", "⁻²", "-", "−", "+", "*", "×", "/", " ", ".", ",", "e",
                                   "E", "x", "%", "(", ")", "=", "≈", "^", "x10", "'", ":", "10-2"]), max_size=8).map("".join)


@given(PIECES)
@example("2½")
@example("1'2'3")
@settings(max_examples=400, deadline=None)
def test_what_is_read_is_what_arithmetic_makes_of_it(written):
    """No digit changes places, and none is lost: the number is that of the same text in Python, or it is a question."""
    value = submitted(written).value
    if value is None or "=" in written or "≈" in written:
        return
    plain = re.sub(r"(?<![\d.])(\d*)([½⅓])", lambda mixed: f"({mixed[1] or 0}+{VULGAR[mixed[2]].numerator}/{VULGAR[mixed[2]].denominator})", written)
    plain = re.sub(r"[⁻²]+", lambda power: f"**({power[0].translate(str.maketrans('⁻²', '-2'))})", plain.strip().lstrip("'"))
    plain = re.sub(r"%$", "/100", plain).translate(str.maketrans("−×^,", "-*^.")).replace("^", "**").replace("'", "")
    plain = re.sub(r"([\d.)])x10(?=-\d|\*\*)", r"\1*10", plain)
    plain = re.sub(r"(\*10)(-\d)", r"\1**\2", plain) if re.fullmatch(r"[-+]?\d\.\d+\*10-\d+", plain) else plain
    plain = re.sub(r"(?<=[\d.)])(?=[x(])|(?<=x)(?=\()", "*", plain)
    plain = re.sub(r"(?<![\d.])0+(?=\d)", "", plain)
    try:
        expected = eval(plain, {"x": 1.5, "e": math.e})
    except (ZeroDivisionError, OverflowError, SyntaxError, TypeError, NameError):
        return
    if isinstance(expected, (int, float)) and abs(expected) < 1e300:
        assert value == pytest.approx(expected, rel=1e-9), plain


@given(st.text(max_size=30) | st.text("0123456789.,-+eE×10²½=≈%/: ", max_size=20))
@settings(max_examples=250, deadline=None)
def test_any_text_is_a_number_a_question_or_missing(written):
    read = submitted(written)
    assert not read.problem or read.value is None or math.isnan(read.value)


def test_a_text_that_is_too_long():
    for sign in ("1", " ", "×", "10", "1 ", "-", "=", "e ", "½", "1,", "(", "x10 "):
        assert submitted("0.5" + sign * 300 + "q").value is None
        assert submitted("0.5" + sign * 50_000 + "q").problem.startswith("an answer has at most 1,000 characters, found ")
