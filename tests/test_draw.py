"""Drawings: what their DOT text says, and that they render wherever a `dot` can be found, and say so where none can."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import graphviz
import pytest
from graphviz.backend import dot_command

import micrograd
from micrograd import Value, draw

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = ['{a|b}', '<p>', '<<b>bold</b>>', '"quoted" \\"', "back\\slash\\", r"\N \G \l \n", "&lt;b&gt; & &amp;",
           "]; n0 -> n1 [", "//", "日本 ∂C/∂w σδ", "-->", "label=x", "<TABLE>"]


def neuron(backward=True):
    w, x, b = Value(2.0, "w^{2}_{1,1}"), Value(-1.5, "x"), Value(0.25)
    z = w * x + b
    z.label = "z^{2}"
    a = z.sigmoid()
    if backward:
        a.backward()
    return a


@pytest.fixture(params=["dot", "graphviz-pure"])
def executable(request, monkeypatch, tmp_path):
    """A machine with an installed Graphviz, and one that has the package graphviz-pure only."""
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path("dot"))
    if request.param == "dot" and shutil.which("dot") is None:
        pytest.skip("no Graphviz is installed here")
    if request.param == "graphviz-pure":
        monkeypatch.setenv("PATH", str(tmp_path))
        if not any(Path(folder).glob("graphviz-pure*") for folder in
                   (sysconfig.get_path("scripts"), os.path.dirname(sys.executable))):
            pytest.skip("graphviz-pure is not installed here")
    return request.param


@pytest.fixture
def no_executable(monkeypatch, tmp_path):
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path("dot"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda *args: str(tmp_path))


def parsed(drawing):
    """The SVG of a drawing: the texts of each node, by its name, and the edges."""
    root = ElementTree.fromstring(drawing.pipe(format="svg"))
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class") in ("node", "edge")]
    title = {group: group.find(f"{SVG}title").text for group in groups}
    nodes = {title[group]: [text.text.strip("\u00a0") for text in group.iter(f"{SVG}text")]
             for group in groups if group.get("class") == "node"}
    return nodes, Counter(title[group] for group in groups if group.get("class") == "edge")


# What is drawn

def test_the_dot_text():
    source = draw(neuron()).source
    assert isinstance(draw(neuron()), graphviz.Digraph)
    lines = [line.strip() for line in source.splitlines()]
    assert lines[0] == "digraph {"
    assert 'n0 [label="{\u00a0w²₁,₁\u00a0} | {data 2 | grad −0.08471}" fillcolor="#dcf1de"]' in lines
    assert 'n1 [label="{x} | {data −1.5 | grad 0.113}" fillcolor="#dcf1de"]' in lines
    assert 'n2 [label="{×} | {data −3 | grad 0.05648}" fillcolor="#e3edfb"]' in lines
    assert 'n3 [label="{data 0.25 | grad 0.05648}" fillcolor="#fdf3d0"]' in lines
    assert 'n4 [label="{z² | +} | {data −2.75 | grad 0.05648}" fillcolor="#e3edfb"]' in lines
    assert 'n5 [label="{σ} | {data 0.06009 | grad 1}" fillcolor="#fbe0dc"]' in lines
    assert [line for line in lines if "->" in line] == ["n0 -> n2", "n1 -> n2", "n2 -> n4", "n3 -> n4", "n4 -> n5"]


def test_the_same_graph_gives_the_same_bytes():
    first = draw(neuron()).source
    keep = [Value(float(i)) for i in range(100)]  # so that the second graph lies elsewhere in memory
    assert draw(neuron()).source == first
    assert len(keep) == 100


def test_a_node_that_is_used_twice_has_two_edges():
    x = Value(3.0, "x")
    source = draw(x * x).source
    assert source.count("n0 -> n1") == 2


def test_constants_have_no_gradient():
    y = (Value(3.0, "x") - 2) ** 3.5
    y.backward()
    source = draw(y).source
    assert '[label=2 fillcolor="#eceef1"]' in source
    assert '[label=3.5 fillcolor="#eceef1"]' in source
    labelled = Value(1.0, "x") * micrograd.engine.constant(0.1, "α")
    assert 'label="α = 0.1"' in draw(labelled).source


def test_the_gradient_is_a_dash_until_backward_has_come_by():
    before = draw(neuron(backward=False)).source
    assert before.count("grad –") == 6
    after = draw(neuron()).source
    assert "grad –" not in after


def test_a_gradient_of_zero_is_not_a_dash():
    x = Value(-1.0, "x")
    y = x.relu() * 2 + 1
    y.backward()
    source = draw(y).source
    assert "{x} | {data −1 | grad 0}" in source
    assert "–" not in source


def test_of_two_roots_one_may_have_its_gradients_already():
    x, p = Value(2.0, "x"), Value(3.0, "p")
    y, other = x * x, p + x
    y.backward()
    source = draw([y, other]).source
    assert "{x} | {data 2 | grad 4}" in source
    assert "{p} | {data 3 | grad –}" in source
    assert "{+} | {data 5 | grad –}" in source
    assert source.count("#fbe0dc") == 2


@pytest.mark.parametrize(("number", "shown"), [
    (0.43734567, "0.4373"), (-0.0123456, "−0.01235"), (1e-7, "1e−7"), (-1.5e300, "−1.5e300"), (12345.0, "1.234e4"),
    (0.0, "0"), (-0.0, "0"), (float("inf"), "inf"), (float("nan"), "nan"),
])
def test_numbers(number, shown):
    assert f"{{data {shown} | grad –}}" in draw(Value(number)).source


def place(drawing):
    """Where the first text of each node is, by the name of the node: x to the right, y downwards."""
    svg = ElementTree.fromstring(drawing.pipe(format="svg"))
    texts = {group.find(f"{SVG}title").text: group.find(f"{SVG}text") for group in svg.iter(f"{SVG}g")
             if group.get("class") == "node"}
    return {name: (float(text.get("x")), float(text.get("y"))) for name, text in texts.items()}


@pytest.mark.parametrize(("direction", "axis", "sign"), [("LR", 0, 1), ("RL", 0, -1), ("TB", 1, 1), ("BT", 1, -1)])
def test_directions(direction, axis, sign, executable):
    drawing = draw(neuron(), direction=direction)
    at = place(drawing)
    assert (at["n5"][axis] - at["n0"][axis]) * sign > 100
    assert parsed(drawing)[0]["n4"] == ["z²", "+", "data −2.75", "grad 0.05648"]


def test_arguments_come_in_their_order(executable):
    """Of p - q * q the upper arrow is p, whatever was made first."""
    q, p = Value(1.0, "q"), Value(2.0, "p")
    product = q * q
    at = place(draw(p - product))
    assert at["n2"][1] < at["n1"][1]  # q is n0, its square n1, and p n2


# Rendering

def test_svg(executable):
    nodes, edges = parsed(draw(neuron()))
    assert nodes["n0"] == ["w²₁,₁", "data 2", "grad −0.08471"]
    assert nodes["n5"] == ["σ", "data 0.06009", "grad 1"]
    assert len(nodes) == 6
    assert edges == Counter(["n0->n2", "n1->n2", "n2->n4", "n3->n4", "n4->n5"])


def test_two_edges_are_rendered_for_x_times_x(executable):
    x = Value(3.0, "x")
    assert parsed(draw(x * x))[1] == {"n0->n1": 2}


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_shown_as_they_are(label, executable):
    y = Value(2.0, label) * Value(3.0, "x")
    y.label = label
    nodes, edges = parsed(draw(y))
    assert nodes == {"n0": [label, "data 2", "grad –"], "n1": ["x", "data 3", "grad –"],
                     "n2": [label, "×", "data 6", "grad –"]}
    assert edges == {"n0->n2": 1, "n1->n2": 1}


def test_a_label_is_one_line_of_moderate_length(executable):
    assert parsed(draw(Value(1.0, "two\nlines\x00")))[0]["n0"][0] == "two lines "
    assert parsed(draw(Value(1.0, "x" * 1000)))[0]["n0"][0] == "x" * 39 + "…"


def test_an_op_of_ones_own_may_have_any_symbol(executable):
    try:
        odd = micrograd.op("odd", lambda x: 2 * x, lambda y, x: 2.0, symbol="{|}<>\"\\")
        assert parsed(draw(odd(Value(1.0, "x"))))[0]["n1"][0] == "{|}<>\"\\"
    finally:
        micrograd.ops.OPS.pop("odd", None)


def test_files(executable, tmp_path):
    drawing = draw(neuron())
    png = drawing.render(tmp_path / "neuron", format="png", cleanup=True)
    assert Path(png).read_bytes().startswith(b"\x89PNG")
    svg = drawing.render(tmp_path / "neuron")
    assert svg.endswith(".svg")
    ElementTree.parse(svg)


def test_rendering_is_quiet(executable, capfd):
    draw(Value(1.0, "∂C/∂w σδ 日本")).pipe()
    assert capfd.readouterr() == ("", "")


def test_a_notebook_shows_the_picture(executable):
    bundle = draw(neuron())._repr_mimebundle_()
    assert list(bundle) == ["image/svg+xml"]
    assert "z²" in bundle["image/svg+xml"]


def test_the_picture_has_no_background_of_its_own(executable):
    """So that a dark page stays dark; the boxes bring their own fills for the dark ink on them."""
    svg = ElementTree.fromstring(draw(neuron()).pipe(format="svg"))
    assert not [shape for shape in svg.iter() if shape.get("fill") == "white"]


def test_an_environment_that_is_not_activated(monkeypatch, tmp_path):
    """Its scripts folder is not on PATH; the one of a copied interpreter is beside it."""
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path("dot"))
    monkeypatch.setenv("PATH", str(tmp_path))
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    name = "graphviz-pure.exe" if os.name == "nt" else "graphviz-pure"
    (scripts / name).write_text("")
    (scripts / name).chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda *args: str(scripts if args == ("scripts",) else tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    micrograd.read.draw.use_any_dot()
    assert Path(dot_command.DOT_BINARY) == scripts / name


def test_a_dot_that_the_user_chose_is_left_alone(monkeypatch):
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path(sys.executable))
    micrograd.read.draw.use_any_dot()
    assert Path(sys.executable) == dot_command.DOT_BINARY


def test_with_no_dot_at_all_the_error_says_what_to_install(no_executable, tmp_path):
    drawing = draw(neuron())
    for render in (drawing.pipe, lambda: drawing.render(tmp_path / "x")):
        with pytest.raises(graphviz.ExecutableNotFound, match=r"pip install graphviz-pure .* `dot` is on PATH"):
            render()


def test_with_no_dot_at_all_a_notebook_shows_the_dot_text(no_executable):
    drawing = draw(neuron())
    bundle = drawing._repr_mimebundle_(include=None, exclude=None)
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].startswith("// No Graphviz")
    assert bundle["text/plain"].endswith(drawing.source)


def test_without_the_package_graphviz_the_error_says_what_to_install():
    program = ("import sys; sys.modules['graphviz'] = None; import micrograd\n"
               "try: micrograd.draw\n"
               "except ImportError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "micrograd.draw needs the package graphviz: pip install graphviz graphviz-pure"


# Limits and wrong arguments

def test_the_size_guard():
    total = Value.sum([Value(float(i)) for i in range(300)])  # 300 leaves and 299 sums
    with pytest.raises(ValueError, match=r"the graph has 599 nodes, more than max_nodes=500: draw a part of it .*"
                                         r"max_nodes=\.\.\.\)"):
        draw(total)
    assert draw(total, max_nodes=599).source.count("->") == 598


def test_a_graph_100_000_deep_meets_the_guard():
    node = Value(1.0)
    for _ in range(100_000):
        node = -node
    with pytest.raises(ValueError, match="100,001 nodes"):
        draw(node)


@pytest.mark.parametrize(("root", "error", "words"), [
    (3.0, TypeError, "needs a Value or several, found float 3.0"),
    ([Value(1.0), 2], TypeError, "found int 2"),
    ("x", TypeError, "found str 'x'"),
    ([], ValueError, "found none"),
])
def test_wrong_roots(root, error, words):
    with pytest.raises(error, match=words):
        draw(root)


def test_wrong_direction():
    with pytest.raises(ValueError, match="one of LR, TB, RL, BT; found 'left'"):
        draw(neuron(), direction="left")
