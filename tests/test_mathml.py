"""LaTeX as MathML: what the printers write can be read, and nothing in it becomes markup."""

import re
import xml.dom.minidom
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import micrograd as mg
from micrograd import Value, explain, latex, text
from micrograd.formulas.algebra import Name
from micrograd.formulas.boxes import DEEPEST
from micrograd.formulas.formula import laid_out
from micrograd.formulas.labels import in_one_notation, indices, printable
from micrograd.formulas.layout import Applied, Label, ShownNumber, layouts_of, written
from micrograd.formulas.mathml import TABLES, mathml
from micrograd.formulas.notations import LATEX, LATEX_WITH_SLOTS, TEXT, UNICODE, Signs, label_in_latex


def inner(formula: str) -> str:
    return inner_of(mathml(formula))


def inner_of(result: str) -> str:
    head = '<math xmlns="http://www.w3.org/1998/Math/MathML">'
    assert result.startswith(head)
    return result.removeprefix(head).removesuffix("</math>")


@pytest.mark.parametrize(("formula", "expected"), [
    ("a^{4}", "<msup><mi>a</mi><mn>4</mn></msup>"),
    ("w^{2}_{1,2}", "<msubsup><mi>w</mi><mrow><mn>1</mn><mo>,</mo><mn>2</mn></mrow><mn>2</mn></msubsup>"),
    (r"\frac{\partial C}{\partial w}", "<mfrac><mrow><mo>∂</mo><mi>C</mi></mrow><mrow><mo>∂</mo><mi>w</mi></mrow></mfrac>"),
    (r"\sigma'\left(z\right)", "<mrow><msup><mi>σ</mi><mo>′</mo></msup><mrow><mo>(</mo><mi>z</mi><mo>)</mo></mrow></mrow>"),
    (r"\sqrt[3]{x}", "<mroot><mi>x</mi><mn>3</mn></mroot>"),
    (r"\sqrt{2}", "<msqrt><mn>2</mn></msqrt>"),
    (r"-1.5 \cdot 10^{-7}", '<mrow><mo form="prefix">−</mo><mn>1.5</mn><mo>·</mo><msup><mn>10</mn><mrow><mo form="prefix">−</mo><mn>7</mn></mrow></msup></mrow>'),
    (r"\mathbf{1}\left[x > 0\right]", "<mrow><mn>𝟏</mn><mrow><mo>[</mo><mrow><mi>x</mi><mo>&gt;</mo><mn>0</mn></mrow><mo>]</mo></mrow></mrow>"),
    (r"\text{<script>alert(1)</script>}", "<mtext>&lt;script&gt;alert(1)&lt;/script&gt;</mtext>"),
    (r"\operatorname{leaky\_relu}", "<mi>leaky_relu</mi>"),
    (r"\begin{bmatrix}1 & 2 \\ 3 & 4\end{bmatrix}",
     f"<mtable{TABLES['bmatrix']}><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd>"
     "</mtr></mtable>"),
    ("a = -b - c", '<mrow><mi>a</mi><mo>=</mo><mo form="prefix">−</mo><mi>b</mi><mo>−</mo><mi>c</mi></mrow>'),
    (r"\foo x", r"<mrow><mtext>\foo</mtext><mi>x</mi></mrow>"),  # a command that is not known, by its name
    ("x''", "<msup><mi>x</mi><mrow><mo>′</mo><mo>′</mo></mrow></msup>"),
    ("", "<mrow></mrow>"),
    ("^2", "<msup><mrow></mrow><mn>2</mn></msup>"),
])
def test_what_is_written(formula, expected):
    assert inner(formula) == expected


def test_display():
    assert mathml("x", display=True).startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">')


@pytest.mark.parametrize("formula", ["{", "}", r"\left(x", r"x\right)", r"\begin{aligned}x", r"\begin{aligned}x\end{bmatrix}",
                                  r"\frac{1}{", r"\text{", r"\sqrt[3{x}"])
def test_what_does_not_match_is_an_error(formula):
    with pytest.raises(ValueError, match="this LaTeX cannot be read"):
        mathml(formula)


def test_depth_has_a_limit():
    assert mathml("{" * (DEEPEST - 1) + "x" + "}" * (DEEPEST - 1))
    with pytest.raises(ValueError, match=f"deeper than {DEEPEST} levels"):
        mathml("{" * 100_000)


@given(st.lists(st.sampled_from([r"\left(", r"\right)", "{", "}", "^", "_", "x", r"\frac", r"\text{", r"\begin{aligned}",
                                 r"\end{aligned}", "&", r"\\", "<", r"\sqrt[", "]", "'", '"', " ", "\\", "\0", "\ud800",
                                 r"\operatorname", r"\left", r"\mathbf", "&amp;", "]]>", "<!--", "−", "é"])))
def test_whatever_is_read_is_well_formed(pieces):
    try:
        result = mathml("".join(pieces))
    except ValueError as error:
        assert "cannot be read" in str(error)
    else:
        xml.dom.minidom.parseString(result)


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_every_character_of_a_label_is_shown(label):
    result = mathml(rf"\partial {label_in_latex(label).text} + 1")
    shown = "".join(ElementTree.fromstring(result).itertext()).replace("\u00a0", " ")
    if indices(label) is None:  # notation has its braces, ^ and _ turned into layout
        assert shown == f"∂{printable(label)}+1".replace("\u00a0", " ")


@pytest.mark.parametrize("op", [op for op in mg.ops.OPS.values() if op is not mg.ops.where], ids=lambda op: op.name)
def test_every_row_of_the_table(op):
    node = op(*[Value(0.5 * (low + high), f"x_{{{i}}}") for i, (low, high) in enumerate(op.domain)])
    result = mathml(latex(node))
    xml.dom.minidom.parseString(result)
    assert "\\" not in result


@pytest.mark.parametrize("op", [op for op in mg.ops.OPS.values() if op is not mg.ops.where], ids=lambda op: op.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_tree_shows_what_its_latex_shows(op):
    args = [Value(0.5 * (low + high), label) for (low, high), label in zip(op.domain, ("x_{1}", "my y", "k"))]
    inner = -2 * op(*args) - args[0] ** 2
    for root in (op(*args), op(*[inner] * op.arity), inner / (1 + inner), 1.5e-7 * inner + -args[0]):
        *_, (_, layout) = layouts_of(root, None)
        assert mathml(layout) == mathml(latex(root, None))
        assert written(layout, LATEX).text == latex(root, None)
        assert in_one_notation(written(layout, TEXT).text) == text(root, None)
    for found in (explain(inner), explain(inner, args[0]), explain(inner, args[0], detail="full")):
        assert found.to_mathml() == mathml(found.latex, display=True)
        for part in (formula for line in found.lines for side in line.sides for formula in side):
            assert part.mathml == mathml(part.latex)


def test_a_number_says_for_which_node_it_stands_only_where_that_is_asked_for():
    a = Name("a^{4}", 0.5)
    layout = laid_out(2 * a * (1 - a), numbers=True)
    assert written(layout, UNICODE).text == "2 · 0.5(1 − 0.5)"
    assert "data-slot" not in mathml(layout) and "htmlData" not in written(layout, LATEX).text
    with_slots = mathml(layout, slots=True)
    assert with_slots.count('<mrow data-slot="a^{4}"><mn>0.5</mn></mrow>') == 2
    assert re.sub('<mrow data-slot="[^"]*">(.*?)</mrow>', r"\1", with_slots) == mathml(layout)
    assert written(layout, LATEX_WITH_SLOTS).text == (
        r"2 \cdot \htmlData{slot=a^{4}}{0.5}\left(1 - \htmlData{slot=a^{4}}{0.5}\right)")


def test_the_sign_of_a_number_stays_in_its_slot():
    w, x = Name("w", -1.5), Name('<"x">', -2.0)
    layout = laid_out(w * x, numbers=True)
    assert mathml(layout) == mathml(r"-1.5 \cdot \left(-2\right)")
    assert inner_of(mathml(layout, slots=True)) == "".join((
        '<mrow><mrow><mo>(</mo><mrow data-slot="w"><mrow><mo form="prefix">−</mo><mn>1.5</mn></mrow></mrow><mo>)</mo></mrow>',
        '<mo>·</mo><mrow><mo>(</mo><mrow data-slot="&lt;&quot;x&quot;&gt;">',
        '<mrow><mo form="prefix">−</mo><mn>2</mn></mrow></mrow><mo>)</mo></mrow></mrow>'))


@pytest.mark.parametrize(("template", "shown"), [
    (r"\mathbf{{{0}}}", "<mi>x</mi>"),  # a style with an operand in it is left out
    (r"\text{{of }}{0}^2", "<mrow><mtext>of\u00a0</mtext><msup><mi>x</mi><mn>2</mn></msup></mrow>"),
    ("{0}_1^2", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
    ("a + {0:sum}", "<mrow><mi>a</mi><mo>+</mo><mi>x</mi></mrow>"),
])
def test_a_template_of_ones_own(template, shown):
    layout = Applied(Signs("", template), [Label("x")])
    assert inner_of(mathml(layout)) == shown
    xml.dom.minidom.parseString(mathml(layout))


def test_what_a_sum_adds_with_a_minus_sign_is_taken_away():
    minus = [ShownNumber(-2.0), Applied(mg.ops.neg, [Label("x")]), Applied(mg.ops.sub, [ShownNumber(-1.0), Label("y")])]
    written_out = [written(Applied(mg.ops.add, [Label("a"), each]), UNICODE).text for each in minus]
    assert written_out == ["a − 2", "a − x", "a − 1 − y"]
    for each in minus:
        layout = Applied(mg.ops.add, [Label("a"), each])
        assert mathml(layout) == mathml(written(layout, LATEX).text)


def test_a_template_that_cannot_be_read_is_still_printed():
    try:
        torn = mg.op("torn_for_mathml", lambda x: x, lambda y, x: 1.0, latex=r"\left({0}")
        y = torn(Value(0.5, "x"))
        assert (latex(y), text(y)) == (r"\left(x", "torn_for_mathml(x)")
        assert str(explain(y).lines[0]).startswith("f = torn_for_mathml(x) = ")
        with pytest.raises(ValueError, match="this LaTeX cannot be read"):
            explain(y).to_mathml()
    finally:
        mg.ops.OPS.pop("torn_for_mathml", None)
