"""LaTeX as MathML: what the printers write can be read, and nothing in it becomes markup."""

import xml.dom.minidom
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import micrograd as mg
from micrograd import Value
from micrograd.formulas.layout import indices, label_in_latex, latex, printable
from micrograd.formulas.mathml import DEEPEST, TABLES, mathml


def inner(text: str) -> str:
    result = mathml(text)
    head = '<math xmlns="http://www.w3.org/1998/Math/MathML">'
    assert result.startswith(head)
    return result.removeprefix(head).removesuffix("</math>")


@pytest.mark.parametrize(("text", "expected"), [
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
def test_what_is_written(text, expected):
    assert inner(text) == expected


def test_display():
    assert mathml("x", display=True).startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">')


@pytest.mark.parametrize("text", ["{", "}", r"\left(x", r"x\right)", r"\begin{aligned}x", r"\begin{aligned}x\end{bmatrix}",
                                  r"\frac{1}{", r"\text{", r"\sqrt[3{x}"])
def test_what_does_not_match_is_an_error(text):
    with pytest.raises(ValueError, match="this LaTeX cannot be read"):
        mathml(text)


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
