"""Formulas of recorded graphs, in LaTeX and in plain text."""

import re
import warnings
from itertools import product

import pytest

import micrograd
from micrograd import Value, gradient, latex, ops, text
from micrograd.formulas import layout as formula
from micrograd.formulas.notations import UNICODE
from micrograd.formulas.parse import parse
from micrograd.rows import Ieee

a, b, c, x = (Value(data, name) for data, name in ((1.5, "a"), (2.0, "b"), (3.0, "c"), (0.5, "x")))
w, z, y = Value(0.1, "w^{2}_{1,1}"), Value(0.7, "a^{4}"), Value(1.0, "y")

CASES = [  # the graph, its text, its LaTeX
    (a + b * c, "a + b * c", r"a + b \cdot c"),
    ((a + b) * c, "(a + b) * c", r"\left(a + b\right) \cdot c"),
    (c * (a - b), "c * (a - b)", r"c \cdot \left(a - b\right)"),
    (a + (b + c), "a + b + c", "a + b + c"),
    (a - b - c, "a - b - c", "a - b - c"),
    (a - (b - c), "a - (b - c)", r"a - \left(b - c\right)"),
    (a - (b + c), "a - (b + c)", r"a - \left(b + c\right)"),
    (a - b * c, "a - b * c", r"a - b \cdot c"),
    (a + -b, "a - b", "a - b"),
    (a + -b * c, "a + (-b) * c", r"a + \left(-b\right) \cdot c"),
    (a + (-b + c), "a - b + c", "a - b + c"),
    (a - -b, "a - (-b)", r"a - \left(-b\right)"),
    (-a.neg(), "-(-a)", r"-\left(-a\right)"),
    (-(a * b), "-a * b", r"-a \cdot b"),
    (-(a + b), "-(a + b)", r"-\left(a + b\right)"),
    (a / b / c, "a / b / c", r"\frac{\frac{a}{b}}{c}"),
    (a / (b / c), "a / (b / c)", r"\frac{a}{\frac{b}{c}}"),
    (a / (b * c), "a / (b * c)", r"\frac{a}{b \cdot c}"),
    ((a + b) / c, "(a + b) / c", r"\frac{a + b}{c}"),
    ((a / b) ** 2, "(a / b)**2", r"\left(\frac{a}{b}\right)^{2}"),
    ((a * b) ** c, "(a * b)**c", r"\left(a \cdot b\right)^{c}"),
    (a ** b ** c, "a**(b**c)", r"a^{b^{c}}"),
    ((a ** b) ** c, "(a**b)**c", r"\left(a^{b}\right)^{c}"),
    (-a ** 2, "-a**2", "-a^{2}"),
    ((-a) ** 2, "(-a)**2", r"\left(-a\right)^{2}"),
    (a ** -2, "a**(-2)", "a^{-2}"),
    (a ** (b + 1), "a**(b + 1)", "a^{b + 1}"),
    (a + -2, "a - 2", "a - 2"),
    (a * -2, "a * (-2)", r"a \cdot \left(-2\right)"),
    (Value(-3.0) * a, "(-3) * a", r"\left(-3\right) \cdot a"),
    (abs(a - b), "|a - b|", r"\left|a - b\right|"),
    (micrograd.exp(-a) ** 2, "exp(-a)**2", r"\left(e^{-a}\right)^{2}"),
    (c * a.expm1(), "c * expm1(a)", r"c \cdot \left(e^{a} - 1\right)"),
    (micrograd.log1p(-x), "log1p(-x)", r"\ln\left(1 - x\right)"),
    (a.hypot(b + c), "hypot(a, b + c)", r"\sqrt{a^2 + \left(b + c\right)^2}"),
    ((a * b + c).sigmoid() * a, "sigmoid(a * b + c) * a", r"\sigma\left(a \cdot b + c\right) \cdot a"),
    (a.leaky_relu(), "leaky_relu(a, 0.01)", r"\operatorname{leaky\_relu}\left(a, 0.01\right)"),
    (w * z + b, "w²₁,₁ * a⁴ + b", r"w^{2}_{1,1} \cdot a^{4} + b"),
    (0.5 * (y - z) ** 2, "0.5 * (y - a⁴)**2", r"0.5 \cdot \left(y - a^{4}\right)^{2}"),
    (1 - z ** 2, "1 - (a⁴)**2", r"1 - \left(a^{4}\right)^{2}"),  # LaTeX has no a^{4}^{2}
]


@pytest.mark.parametrize(("graph", "in_text", "in_latex"), CASES, ids=[case[1] for case in CASES])
def test_parentheses(graph, in_text, in_latex):
    assert text(graph) == in_text
    assert latex(graph) == in_latex


@pytest.mark.parametrize("graph", [graph for graph, in_text, _ in CASES
                                   if in_text.isascii() and not re.search(r"[a-z]{2}|\|", in_text)])
def test_the_text_computes_the_same(graph):
    """Plain text of arithmetic is Python, so evaluate it: the parentheses are right if the number is."""
    names = {"a": 1.5, "b": 2.0, "c": 3.0, "x": 0.5, "y": 1.0}
    assert eval(text(graph), {}, names) == pytest.approx(graph.data, rel=1e-12)  # the order of sums may differ


@pytest.mark.parametrize(("number", "in_text", "in_latex"), [
    (2.0, "2", "2"), (0.5, "0.5", "0.5"), (-3.0, "-3", "-3"), (0.1 + 0.2, "0.3", "0.3"), (1234567.0, "1234567", "1234567"),
    (1.5e-7, "1.5e-07", r"1.5 \cdot 10^{-7}"), (-1.5e-7, "-1.5e-07", r"-1.5 \cdot 10^{-7}"),
    (1e300, "1e+300", "10^{300}"), (-1e-9, "-1e-09", "-10^{-9}"), (2 / 3, "0.666667", "0.666667"),
    (float("inf"), "inf", r"\infty"), (float("-inf"), "-inf", r"-\infty"), (float("nan"), "nan", r"\text{nan}"),
])
def test_numbers(number, in_text, in_latex):
    assert (text(Value(number)), latex(Value(number))) == (in_text, in_latex)


def test_powers_of_ten_take_parentheses_as_powers_do():
    assert latex(Value(1e-7) ** a) == r"\left(10^{-7}\right)^{a}"
    assert latex(Value(2e-7) ** a) == r"\left(2 \cdot 10^{-7}\right)^{a}"
    assert latex(a - Value(-2e-7)) == r"a - \left(-2 \cdot 10^{-7}\right)"
    assert latex(2e-7 * a) == r"2 \cdot 10^{-7} \cdot a"


@pytest.mark.parametrize(("label", "in_text", "in_latex"), [
    ("x", "x", "x"), ("loss", "loss", r"\text{loss}"), ("a4", "a4", r"\text{a4}"), ("my x", "my x", r"\text{my x}"),
    ("w^{2}_{1,1}", "w²₁,₁", "w^{2}_{1,1}"), ("w_{1,1}^{2}", "w²₁,₁", "w^{2}_{1,1}"), ("x_i", "xᵢ", "x_{i}"),
    ("x_12", "x₁₂", "x_{12}"), ("a^{k-1}", "aᵏ⁻¹", "a^{k-1}"), ("x_{max}", "xₘₐₓ", "x_{max}"), ("δ^4", "δ⁴", r"\delta^{4}"),
    (r"\delta^{4}_{10}", "δ⁴₁₀", r"\delta^{4}_{10}"), ("net_{h1}", "netₕ₁", r"\text{net}_{h1}"),
    ("a_b", "a_b", "a_{b}"), ("my_var", "my_var", r"\text{my}\_\text{var}"), ("50%", "50%", r"\text{50}\%"),
    ("a^{2}^{3}", "a^{2}^{3}", r"\text{a}{\wedge}\{\text{2}\}{\wedge}\{\text{3}\}"),
    ("$x$", "$x$", r"\$\text{x}\$"), (r"\input{f}", r"\input{f}", r"{\backslash}\text{input}\{\text{f}\}"),
    ("x^{\\input}", "x^{\\input}", r"\text{x}{\wedge}\{{\backslash}\text{input}\}"),
    ("two\nlines\x00", "two lines ", r"\text{two lines }"), ("}", "}", r"\}"),
    ("~#&<b>", "~#&<b>", r"{\sim}\#\&\text{<b>}"), ("日本", "日本", r"\text{日本}"),
])
def test_labels(label, in_text, in_latex):
    leaf = Value(2.0, label)
    assert (text(leaf), latex(leaf)) == (in_text, in_latex)
    assert is_balanced(latex(leaf))


def test_a_label_that_reads_like_a_formula_gets_parentheses_like_one():
    product = Value(6.0, "x1*w1 + b")
    assert text(product * a) == "(x1*w1 + b) * a"
    assert latex(product * a) == r"\left(\text{x1*w1 + b}\right) \cdot a"
    assert text(product + a) == "x1*w1 + b + a"


def test_every_formula_stops_at_labels_to_the_depth_asked_for():
    u = a + 1
    u.label = "u"
    v = u * u
    v.label = "v"
    loss = v - u
    loss.label = "C"
    assert text(loss) == "v - u"
    assert text(loss, depth=2) == "(a + 1) * (a + 1) - (a + 1)"  # u is one label away from C, so it is written out
    assert latex(loss, 1) == "v - u"
    assert text(a) == "a"
    assert text(Value(2.0, "k") + 1, depth=None) == "k + 1"


def test_the_chain_of_the_notes():
    activation = Value(0.5, "x")
    for k in (2, 3):
        weighted = Value(0.4, f"w^{{{k}}}") * activation + Value(0.1, f"b^{{{k}}}")
        weighted.label = f"z^{{{k}}}"
        activation = weighted.sigmoid()
        activation.label = f"a^{{{k}}}"
    assert latex(activation) == r"\sigma\left(z^{3}\right)"
    assert latex(activation, 2) == r"\sigma\left(w^{3} \cdot a^{2} + b^{3}\right)"
    assert text(activation, None) == "sigmoid(w³ * sigmoid(w² * x + b²) + b³)"


# Every row

def drawn_with_every_row():
    """For each op of one or two arguments, its node within itself, in a product and in a power."""
    rows = [op for op in ops.OPS.values() if op.arity <= 2]
    assert len(rows) > 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # acosh(0.6) is nan, and is written down all the same
        for op in rows:
            node = op(*[Value(0.6, "a^{4}"), Value(0.7) + Value(0.1, r"{\b}")][:op.arity])
            yield from (op(*[node] * op.arity), node * 2, node ** 2)


def is_balanced(formula_in_latex):
    """Whether braces and \\left ... \\right are paired, each closed after it was opened."""
    depths = {"{": 0, r"\left": 0}
    for token in re.findall(r"\\left|\\right|\\[a-z]+|\\.|[{}]", formula_in_latex):
        opener = {"}": "{", r"\right": r"\left"}.get(token, token)
        if opener in depths:
            depths[opener] += 1 if token == opener else -1
            if depths[opener] < 0:
                return False
    return not any(depths.values())


def test_every_row_renders_in_both_forms():
    for node in drawn_with_every_row():
        assert is_balanced(latex(node)), latex(node)
        assert text(node).count("(") == text(node).count(")")
        assert "a^{4}" in latex(node) and "a⁴" in text(node)


def test_a_parser_of_latex_accepts_every_row_and_label():
    parse = pytest.importorskip("matplotlib.mathtext").MathTextParser("path").parse
    hostile = Value(1.0, "\\ {}}} $x$ #1 % _ ^ ~ <b>'\" \\end")
    for node in [*drawn_with_every_row(), *(graph for graph, _, _ in CASES), hostile * hostile]:
        parse(f"${latex(node)}$")


# What derivatives are computed by, and what a book has in its place

OF_RESULT = {"_tanh_slope": ops.tanh, "_sigmoid_slope": ops.sigmoid, "_sigmoid_turn": ops.sigmoid}  # of y, and x besides


def points(row):
    """Arguments at which a row is sampled; those of a function of a result y belong together."""
    grid = product(*([low + fraction * (high - low) for fraction in (0.12, 0.31, 0.67, 0.94)] for low, high in row.domain))
    of = OF_RESULT.get(row.name)
    return [(of.value(args[1]), args[1]) if of else args for args in grid]


def read_latex(formula_in_latex):
    """A formula in LaTeX as an expression that `parse` reads."""
    words = formula_in_latex
    for pattern, form in ((r"\\_", "_"), (r"\\left([(|])", r"\1"), (r"\\right([)|])", r"\1"), (r"\\operatorname\{(\w+)\}", r"\1"),
                          (r"\\left\\lfloor (.*?) \\right\\rfloor", r"⌊\1⌋"), (r"\\left\\lceil (.*?) \\right\\rceil", r"⌈\1⌉"),
                          (r"\\mathbf\{1\}\\left\[(.*?) > 0\\right\]", r"step(\1)"), (r"\\log_2", "log2"),
                          (r"\\log_\{10\}", "log10"), (r"\\(ln|max|min|arc\w+|cosh?|sinh?|tanh?|sigma|pi)\b", r"\1"),
                          (r"\\cdot", "*"), (r"\\;", ""), (r"(?<=\d) (?=\\sqrt|[pq(])", "*"), (r"(?<=\d) pi", "*pi")):
        words = re.sub(pattern, form, words)
    before = ""
    while before != words:  # from the innermost braces outwards
        before = words
        for pattern, form in ((r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1) / (\2))"), (r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)"),
                              (r"\\sqrt\[3\]\{([^{}]*)\}", r"cbrt(\1)"), (r"(?<!\w)e\^\{([^{}]*)\}", r"exp(\1)"),
                              (r"\^\{([^{}]*)\}", r"**(\1)")):
            words = re.sub(pattern, form, words)
    return words


def written_everywhere(node):
    """The formula of a node in its three notations, as expressions."""
    yield text(node, depth=None)
    yield read_latex(latex(node, depth=None))
    yield formula.formula(node, None, UNICODE, "test")


@pytest.mark.parametrize("row", [*ops.OPS.values(), *ops.HELPERS.values()], ids=lambda row: row.name)
def test_the_formula_of_a_book_is_what_is_computed(row):
    for args in points(row):
        y = row.value(*args)
        if row.stands_for:
            assert float(row.stands_for(*map(Ieee, args))) == pytest.approx(y, rel=1e-9), args
        for i in range(row.arity):
            assert row.slope_by_book(i, y, *args) == pytest.approx(row.slope(i, y, *args), rel=1e-9), args


@pytest.mark.parametrize("row", ops.HELPERS.values(), ids=lambda row: row.name)
def test_a_private_row_is_written_so_that_it_can_be_read(row):
    for args in points(row):
        nodes = [Value(x, name) for x, name in zip(args, "pq")]
        for words in written_everywhere(row(*nodes)):
            assert "_" not in words.replace("leaky_relu", "")
            assert parse(words, "pq").evaluate(dict(zip("pq", args))) == pytest.approx(row.value(*args), rel=1e-9), words


@pytest.mark.parametrize("row", [row for row in ops.OPS.values() if row is not ops.where], ids=lambda row: row.name)
def test_gradients_of_every_row_are_written_so_that_they_can_be_read(row):
    """To the second order, with no name of a private row; to the digits of a number that a formula has."""
    for args in points(row):
        nodes = [Value(x, name) for x, name in zip(args, "pq")]
        first = [gradient(row(*nodes), x) for x in nodes]
        for node in (row(*nodes), *first, *(gradient(slope, x) for slope in first for x in nodes)):
            for words in written_everywhere(node):
                assert not any(name in words for name in ops.HELPERS), words
                read = float(parse(words, "pq").evaluate(dict(zip("pq", args))))
                assert read == pytest.approx(node.data, rel=1e-5, abs=1e-9), words


def test_an_op_of_ones_own():
    try:
        cube = micrograd.op("cube_of", lambda x: x ** 3, lambda y, x: 3 * x * x, latex="{0:atom}^3", binds="power")
        mean = micrograd.op("mean", lambda a, b: (a + b) / 2, lambda y, a, b: 0.5, lambda y, a, b: 0.5)
        assert latex(cube(a + b)) == r"\left(a + b\right)^3"
        assert latex(cube(cube(a))) == r"\left(a^3\right)^3"
        assert text(cube(cube(a)) ** 2) == "cube_of(cube_of(a))**2"
        assert latex(mean(a, b + 1)) == r"\operatorname{mean}\left(a, b + 1\right)"
        assert text(mean(a, b + 1) * c) == "mean(a, b + 1) * c"
    finally:
        for name in ("cube_of", "mean"):
            ops.OPS.pop(name, None)


# Limits

def test_a_shared_part_that_would_blow_up_is_an_error_that_says_what_to_do():
    node = Value(1.0, "x")
    for _ in range(100):  # written out: 2^100 x's
        node = node + node
    with pytest.raises(ValueError, match=r"this Value \(add, data .*longer than 10,000 characters.*[Ll]abel nodes"):
        text(node)
    halfway = Value(1.0, "x")
    for k in range(100):
        halfway = halfway * halfway
        halfway.label = f"t_{{{k}}}"
    assert latex(halfway) == r"t_{98} \cdot t_{98}"
    with pytest.raises(ValueError, match=r"'t_\{99\}'.*smaller depth: at 1 it is written"):
        latex(halfway, depth=None)
    with pytest.raises(ValueError, match=r"Label nodes on the way .*, with depth=1\.$"):
        latex(node, depth=2)  # no smaller depth would help


def test_a_chain_of_100_000_nodes_meets_the_limit_and_no_recursion():
    node = Value(0.5, "x")
    for _ in range(100_000):
        node = node + 1.0
    with pytest.raises(ValueError, match="longer than 10,000"):
        latex(node)
    node.label = "y"
    assert text(node * 2) == "y * 2"


def test_the_limit_is_on_what_is_written():
    terms = Value.sum([a] * 2501)  # "a" and 2,500 times " + a": 10,001 characters
    with pytest.raises(ValueError, match="longer than 10,000"):
        text(terms)
    assert len(text(Value.sum([a] * 2500))) == formula.LIMIT - 3


@pytest.mark.parametrize("write", [latex, text])
def test_wrong_arguments(write):
    with pytest.raises(TypeError, match=rf"{write.__name__}\(node\) needs a Value, found list"):
        write([a, b])
    for depth in (0, -1, 1.5, "2"):
        with pytest.raises(ValueError, match="a whole number from 1 up, or None"):
            write(a, depth)


def test_the_text_of_the_readme_expression_is_python_for_it():
    p, q = Value(-4.0, "p"), Value(2.0, "q")
    r, s = p + q, p * q + q**3
    r += r + 1
    r += 1 + r + (-p)
    s += s * 2 + (q + p).relu()
    s += 3 * s + (q - p).relu()
    f = (r - s)**2
    g = f / 2.0
    g += 10.0 / f
    names = {"p": -4.0, "q": 2.0, "relu": lambda x: max(x, 0.0)}
    assert eval(text(g), {}, names) == pytest.approx(24.70408163265306, rel=1e-12)  # the order of sums differs
