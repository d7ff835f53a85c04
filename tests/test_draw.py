"""Drawings: what their DOT text says, and that they render wherever a `dot` can be found, and say so where none can."""

import base64
import os
import re
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import micrograd
from micrograd import MLP, Layer, Neuron, Standardizer, Value, draw
from micrograd.engine import constant
from micrograd.formulas.formula import number_of
from micrograd.formulas.labels import unicode_label
from micrograd.look.dot import LOOKS
from micrograd.look.draw import DIRECTIONS, notebook_view, svg_of
from micrograd.losses import half_squared_error

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = ['{a|b}', '<p>', '<<b>bold</b>>', '"quoted" \\"', "back\\slash\\", r"\N \G \l \n", "&lt;b&gt; & &amp;",
           "]; n0 -> n1 [", "//", "日本 ∂C/∂w σδ", "-->", "label=x", "<TABLE>", "</script><!--", "]]>", "&#0;", "\\",
           "it's", "שלום", "مرحبا (a|b)", "👩 🎓", "</B></TD>"]


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
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class").split()[0] in ("node", "edge")
              and "title" not in group.get("class").split()]
    title = {group: group.find(f"{SVG}title").text for group in groups}
    nodes = {title[group]: [text.text.strip("\u00a0") for text in group.iter(f"{SVG}text")]
             for group in groups if group.get("class").startswith("node")}
    return nodes, Counter(title[group] for group in groups if group.get("class") == "edge")


# What is drawn

def test_the_dot_text():
    source = draw(neuron()).source
    assert isinstance(draw(neuron()), graphviz.Digraph)
    lines = [line.strip() for line in source.splitlines()]
    assert lines[0] == "digraph {"
    assert lines[4].startswith('n0 [label=<<TABLE BORDER="0" ')
    assert lines[4].endswith(' class=parameter fillcolor="#d8f0da" id=n0 shape=note style=filled]')
    assert [line for line in lines if "->" in line] == [
        "n0 -> n2 [id=e2_0]", "n1 -> n2 [id=e2_1]", "n2 -> n4 [id=e4_0]", "n3 -> n4 [id=e4_1]", "n4 -> n5 [id=e5_0]"]


def test_the_same_graph_gives_the_same_bytes():
    first = draw(neuron()).source
    keep = [Value(float(i)) for i in range(100)]  # so that the second graph lies elsewhere in memory
    assert draw(neuron()).source == first
    assert len(keep) == 100


def test_a_node_that_is_used_twice_has_two_edges():
    x = Value(3.0, "x")
    source = draw(x * x).source
    assert "n0 -> n1 [id=e1_0]" in source and "n0 -> n1 [id=e1_1]" in source


def test_constants_have_no_gradient():
    y = (Value(3.0, "x") - 2) ** 3.5
    y.backward()
    source = draw(y).source
    assert "[label=<2> class=constant " in source
    assert "[label=<3.5> class=constant " in source
    labelled = Value(1.0, "x") * constant(0.1, "α")
    assert "label=<\u00a0α = 0.1\u00a0>" in draw(labelled).source


def shown(root):
    """What the boxes say: the texts of each label, by the first of them."""
    labels = re.findall(r"label=<<TABLE.*</TABLE>>", draw(root).source)
    words = [[word.strip("\u00a0") for word in re.split(r"<[^>]*>", label[7:-1]) if word] for label in labels]
    return {row[0]: row[1:] for row in words}


def test_the_gradient_is_a_dash_until_backward_has_come_by():
    assert draw(neuron(backward=False)).source.count(">–<") == 6
    assert ">–<" not in draw(neuron()).source


def test_a_gradient_of_zero_is_not_a_dash():
    x = Value(-1.0, "x")
    y = x.relu() * 2 + 1
    y.backward()
    assert shown(y)["x"] == ["data", "−1", "grad", "0"]
    assert "–" not in draw(y).source


def test_of_two_roots_one_may_have_its_gradients_already():
    x, p = Value(2.0, "x"), Value(3.0, "p")
    y, other = x * x, p + x
    y.backward()
    boxes = shown([y, other])
    assert boxes["x"] == ["data", "2", "grad", "4"]
    assert boxes["p"] == ["data", "3", "grad", "–"]
    assert boxes["+"] == ["data", "5", "grad", "–"]
    assert draw([y, other]).source.count("class=output") == 2


@pytest.mark.parametrize(("number", "written"), [
    (0.43734567, "0.4373"), (-0.0123456, "−0.01235"), (1e-7, "10⁻⁷"), (-1.5e300, "−1.5·10³⁰⁰"), (0.0, "0"),
    (-0.0, "0"), (float("inf"), "∞"), (float("nan"), "nan"),
])
def test_numbers(number, written):
    assert shown(Value(number, "x"))["x"] == ["data", written, "grad", "–"]


def place(drawing):
    """Where the first text of each node is, by the name of the node: x to the right, y downwards."""
    svg = ElementTree.fromstring(drawing.pipe(format="svg"))
    texts = {group.find(f"{SVG}title").text: group.find(f"{SVG}text") for group in svg.iter(f"{SVG}g")
             if group.get("class").startswith("node")}
    return {name: (float(text.get("x")), float(text.get("y"))) for name, text in texts.items()}


@pytest.mark.parametrize(("direction", "axis", "sign"), [("LR", 0, 1), ("RL", 0, -1), ("TB", 1, 1), ("BT", 1, -1)])
def test_directions(direction, axis, sign, executable):
    drawing = draw(neuron(), direction=direction)
    at = place(drawing)
    assert (at["n5"][axis] - at["n0"][axis]) * sign > 100
    assert parsed(drawing)[0]["n4"] == ["z²", "+", "data", "−2.75", "grad", "0.05648"]


def test_arguments_come_in_their_order(executable):
    """Of p - q * q the upper arrow is p, whatever was made first."""
    q, p = Value(1.0, "q"), Value(2.0, "p")
    product = q * q
    at = place(draw(p - product))
    assert at["n2"][1] < at["n1"][1]  # q is n0, its square n1, and p n2


# Rendering

def test_svg(executable):
    nodes, edges = parsed(draw(neuron()))
    assert nodes["n0"] == ["w²₁,₁", "data", "2", "grad", "−0.08471"]
    assert nodes["n5"] == ["σ", "data", "0.06009", "grad", "1"]
    assert len(nodes) == 6
    assert edges == Counter(["n0->n2", "n1->n2", "n2->n4", "n3->n4", "n4->n5"])


def test_two_edges_are_rendered_for_x_times_x(executable):
    x = Value(3.0, "x")
    assert parsed(draw(x * x))[1] == {"n0->n1": 2}


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_shown_as_they_are(label, executable):
    y = Value(2.0, label) * Value(3.0, "x")
    y.label = label + "!"
    nodes, edges = parsed(draw(y))
    assert nodes == {"n0": [label, "data", "2", "grad", "–"], "n1": ["x", "data", "3", "grad", "–"],
                     "n2": [label + "!", "×", "data", "6", "grad", "–"]}
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
    assert list(bundle) == ["text/html", "image/svg+xml"]
    assert "z²" in bundle["image/svg+xml"]
    drawing = draw(neuron())
    assert list(drawing._repr_mimebundle_(exclude=["image/svg+xml"])) == []
    assert list(drawing._repr_mimebundle_(include=["image/png"])) == ["image/png"]


def test_the_picture_in_html_is_that_of_the_svg(executable):
    """As an image, which passes where a notebook is not trusted, and which no page cuts off."""
    for bundle in draw(neuron())._repr_mimebundle_(), notebook_view(neuron()):
        [tag] = ElementTree.fromstring(bundle["text/html"].replace("></div>", "/></div>"))
        assert tag.tag == "img" and tag.get("style").endswith("max-width: 100%; height: auto") and tag.get("alt")
        svg = base64.b64decode(tag.get("src").removeprefix("data:image/svg+xml;base64,")).decode()
        assert bundle["image/svg+xml"] == svg.replace("<svg", '<svg style="max-width: 100%; height: auto"', 1)
    y = neuron()
    y.label = '"><script>'
    assert "<script" not in notebook_view(y)["text/html"]


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
    micrograd.look.draw.use_any_dot()
    assert Path(dot_command.DOT_BINARY) == scripts / name


def test_a_dot_that_the_user_chose_is_left_alone(monkeypatch):
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path(sys.executable))
    micrograd.look.draw.use_any_dot()
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


# A renderer of one's own, as in a browser

def an_svg(dot):
    return f"<?xml version='1.0'?>\n<!-- by hand -->\n<svg width='9pt'><desc>{len(dot)}</desc></svg>\n"


def test_a_renderer_makes_all_pictures_and_no_executable_is_sought(no_executable, monkeypatch, tmp_path):
    y, asked = neuron(), []
    monkeypatch.setattr(draw, "renderer", lambda dot: asked.append(dot) or an_svg(dot))
    svg = an_svg(draw(y).source)
    assert draw(y).pipe() == svg.encode() and draw(y).pipe("svg", encoding="utf-8") == svg
    assert svg_of(y) == svg[svg.index("<svg"):].strip()
    assert "<desc>" in notebook_view(y)["image/svg+xml"] and "<desc>" in draw(y)._repr_mimebundle_()["image/svg+xml"]
    assert "<desc>" in micrograd.stepper(y).html()
    assert set(asked) >= {draw(y).source}
    monkeypatch.chdir(tmp_path)
    files = [draw(y).render("a"), draw(y).render("b", directory="folder", cleanup=True), draw(y).render(outfile="c.svg")]
    assert files == ["a.svg", str(Path("folder", "b.svg")), "c.svg"]
    assert all(Path(file).read_text() == svg for file in files)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "a.svg", "b.svg", "c.gv", "c.svg", "folder"]
    assert Path("a").read_text().strip() == Path("c.gv").read_text().strip() == draw(y).source.strip()


def test_what_a_renderer_does_not_make_is_left_to_an_executable(executable, monkeypatch, tmp_path):
    monkeypatch.setattr(draw, "renderer", an_svg)
    assert draw(neuron()).pipe(format="png").startswith(b"\x89PNG")
    assert Path(draw(neuron()).render(outfile=tmp_path / "y.png")).read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(draw, "renderer", None)
    assert b"by hand" not in draw(neuron()).pipe()


async def later(dot):
    return an_svg(dot)


@pytest.mark.parametrize(("renderer", "kind", "message"), [
    (3, TypeError, "must be a function from DOT text to SVG text, or None; found int 3"),
    (lambda: "", RuntimeError, r"raised TypeError: .*takes 0 positional arguments"),
    (lambda dot: 1 / 0, RuntimeError, "raised ZeroDivisionError: division by zero"),
    (lambda dot: None, TypeError, "returned NoneType None, where text, one <svg> element, is needed"),
    (lambda dot: b"<svg></svg>", TypeError, "returned bytes b'<svg></svg>'"),
    (lambda dot: "<svg", ValueError, "returned '<svg', which is not an <svg> element"),
    (lambda dot: dot, ValueError, "returned 'digraph {.*…, which is not an <svg> element"),
], ids=["no function", "no argument", "raises", "nothing", "bytes", "cut off", "the DOT text"])
def test_a_renderer_that_makes_no_svg(renderer, kind, message, monkeypatch):
    monkeypatch.setattr(draw, "renderer", renderer)
    with pytest.raises(kind, match="micrograd.draw.renderer.*" + message):
        draw(neuron()).pipe()
    assert re.search("(?s)no picture: micrograd.draw.renderer.*" + message, notebook_view(neuron())["text/plain"])


def test_a_renderer_that_answers_later(monkeypatch):
    answer = later("")
    monkeypatch.setattr(draw, "renderer", lambda dot: answer)
    with pytest.raises(TypeError, match="returned a promise, where the SVG itself is needed: await what loads Graphviz"):
        draw(neuron()).pipe()
    answer.close()


def test_in_a_browser_no_executable_is_sought(monkeypatch, tmp_path):
    module = sys.modules[draw.__module__]
    monkeypatch.setattr(module, "IN_BROWSER", True)
    monkeypatch.setattr(module, "shutil", None)
    for act in (draw(neuron()).pipe, lambda: draw(neuron()).render(tmp_path / "x")):
        with pytest.raises(graphviz.ExecutableNotFound, match=r"micrograd.draw.renderer: the README has the lines"):
            act()
    assert draw(neuron())._repr_mimebundle_()["text/plain"].startswith("// In a browser")


# Roles, ids and classes

def groups(root, **options):
    """The groups of the SVG with an id of their own, by id: (classes, texts)."""
    svg = ElementTree.fromstring(svg_of(root, **options))
    return {group.get("id"): (group.get("class").split(), [text.text.strip("\u00a0") for text in group.iter(f"{SVG}text")])
            for group in svg.iter(f"{SVG}g") if group.get("class").split()[0] in ("node", "edge")}


def lecture_neuron():
    x1, x2, w1, w2 = Value(2.0, "x1"), Value(0.0, "x2"), Value(-3.0, "w1"), Value(1.0, "w2")
    n = x1 * w1 + x2 * w2 + Value(6.8813735870195432, "b")
    n.label = "n"
    o = n.tanh() * 1.0
    o.label = "o"
    o.backward()
    return o


def test_each_role_has_a_fill_and_an_outline_of_its_own():
    looks = [dict(look, fillcolor="") for look in LOOKS.values()]
    assert len({look["fillcolor"] for look in LOOKS.values()}) == len(LOOKS) == 5
    assert all(looks.count(look) == 1 for look in looks)


def test_roles_are_classes():
    found = groups(lecture_neuron())
    classes = {texts[0]: kinds[1:] for kinds, texts in found.values() if kinds[0] == "node"}
    assert classes["x1"] == ["input"] and classes["w1"] == classes["b"] == ["parameter"]
    assert classes["n"] == ["computed"] and classes["o"] == ["output"] and classes["1"] == ["constant"]


@pytest.mark.parametrize(("label", "role"), [
    ("w", "parameter"), ("w^{2}_{1,1}", "parameter"), ("w_1", "parameter"), ("w12", "parameter"), ("weight", "parameter"),
    ("b^{2}", "parameter"), ("bias", "parameter"), ("b", "parameter"), ("x", "input"), ("a^{1}_{1}", "input"),
    ("wide", "input"), ("beta", "input"), ("", "input"),
])
def test_parameters_are_told_by_their_labels(label, role):
    y = Value(1.0, label) + Value(2.0, "w9")
    assert f'class={role}' in draw(y).source.splitlines()[4]


def test_a_bare_b_without_weights_is_an_input():
    assert draw(Value(1.0, "a") + Value(2.0, "b")).source.count("class=input") == 2


def test_ids_are_places_in_the_topological_order(executable):
    y = lecture_neuron()
    order = micrograd.topological_order(y)
    place = {node: i for i, node in enumerate(order)}
    found = groups(y)
    assert set(found) == {f"n{i}" for i in place.values()} | {
        f"e{place[node]}_{j}" for node in order for j in range(len(node.parents))}
    svg = ElementTree.fromstring(svg_of(y))
    ends = {group.get("id"): group.find(f"{SVG}title").text for group in svg.iter(f"{SVG}g") if group.get("class") == "edge"}
    for node in order:
        for j, parent in enumerate(node.parents):
            assert ends[f"e{place[node]}_{j}"] == f"n{place[parent]}->n{place[node]}"


def test_svg_of_is_an_element_for_a_page(executable):
    svg = svg_of(lecture_neuron())
    assert svg.startswith("<svg ") and svg.endswith("</svg>") and "<!" not in svg
    assert svg == svg_of(lecture_neuron())
    ElementTree.fromstring(svg)


def test_the_texts_of_a_box_end_in_data_and_gradient(executable):
    y = lecture_neuron()
    found = groups(y)
    for i, node in enumerate(micrograd.topological_order(y)):
        texts = found[f"n{i}"][1]
        if node.op is micrograd.ops.CONSTANT:
            assert texts == [str(number_of(node.data))]
        else:
            assert texts[-4:] == ["data", str(number_of(node.data)), "grad", str(number_of(node.grad))]


# Options

def texts_of(root, **options):
    return [text for _, texts in groups(root, **options).values() for text in texts]


def test_values_and_gradients_may_be_left_out():
    assert not {"data", "−6"} & set(texts_of(lecture_neuron(), values=False))
    assert not {"grad", "−1.5"} & set(texts_of(lecture_neuron(), gradients=False))
    assert groups(lecture_neuron(), values=False, gradients=False)["n0"][1] == ["x1"]


def test_slopes_are_beside_their_arrows(executable):
    x, w = Value(2.0, "x"), Value(-3.0, "w")
    z = x * w
    z.label = "z"
    a = z.sigmoid() * 2
    found = groups(a, slopes=True)
    assert [found[name][1] for name in ("e2_0", "e2_1", "e3_0")] == [["−3"], ["2"], [str(number_of(a.parents[0].local_derivatives[0]))]]
    assert found["e5_1"][1] == []  # no slope towards a constant
    formulas = groups(a, slopes="formulas")
    assert formulas["e2_0"][1] == ["w = −3"]
    assert formulas["e3_0"][1][0].startswith("v₁(1 − v₁) = 0.00")
    assert formulas["n3"][1][0] == "v₁"
    assert formulas["e5_0"][1] == ["2"]


def test_names_of_nodes_without_a_label():
    x = Value(3.0, "x")
    assert groups(x * x + 1, names=True)["n1"][1][0] == "v₁"
    assert groups(x * x + 1)["n1"][1][0] == "×"


def edge_lines(drawing):
    return [line for line in drawing.source.splitlines() if "->" in line and "style=invis" not in line]


def widths(drawing):
    return [float(re.search(r"penwidth=([0-9.]+)", line).group(1)) for line in edge_lines(drawing) if "penwidth" in line]


def test_by_gradient_the_width_is_that_of_what_flows(executable):
    a, b = Value(1.0, "a"), Value(2.0, "c")
    y = a * 100.0 + b * 1.0
    y.backward()
    drawing = draw(y, by_gradient=True)
    thick = {re.search(r"id=(\S+)[\]]?", line).group(1).strip("]"): line for line in edge_lines(drawing)}
    assert "penwidth=4.00" in thick["e2_0"] and "style=dotted" in thick["e2_1"]
    assert widths(drawing) == sorted(widths(drawing), reverse=True)
    words = "".join(ElementTree.fromstring(drawing.pipe()).itertext())
    for part in ("gradient along an arrow", "100", "10", "0.1", "dotted: 0"):
        assert part in words


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_by_gradient_of_an_infinite_slope():
    y = Value(0.0, "x").sqrt() + Value(1.0, "u")
    y.backward()
    source = draw(y, by_gradient=True).source
    assert "style=dashed" in source and "dashed: ∞ or nan" in source
    ElementTree.fromstring(svg_of(y, by_gradient=True))


def test_by_gradient_before_backward():
    with pytest.raises(ValueError, match="call backward"):
        draw(neuron(backward=False), by_gradient=True)


# Neurons and layers

def network_and_cost(nin, nouts, samples=1, **options):
    net = MLP(nin, nouts, activation="tanh", rng=1, **options)
    costs = [half_squared_error(net([0.5 * s + j for j in range(nin)]), [0.1 * s] * nouts[-1]) for s in range(samples)]
    J = Value.sum(costs) / samples if samples > 1 else costs[0]
    J.label = "J"
    J.backward()
    return net, J


def counts(drawing):
    lines = drawing.source.splitlines()
    return Counter(re.search(r'class="\w+ (\w+)"', line).group(1) for line in lines if re.search(r'class="\w+ \w+"', line))


def test_an_mlp_with_a_loss_folds_into_its_neurons(executable):
    _, C = network_and_cost(2, [16, 16, 1])
    drawing = draw(C, collapse="neuron")
    nodes, _ = parsed(drawing)
    assert counts(drawing) == {"neuron": 33}
    boxes = [name for name in nodes if name.startswith("n")]
    assert len(boxes) == 2 + 33 + 3 + 3  # inputs, neurons; y - a, its square and C; y, 2 and 0.5
    weights = [line for line in edge_lines(drawing) if "arrowhead=none" in line]
    assert len(weights) == 2 * 16 + 16 * 16 + 16 + 6
    order = micrograd.topological_order(C)
    a = next(i for i, node in enumerate(order) if node.label == "a^{2}_{1}")
    z = next(node for node in order if node.label == "z^{2}_{1}")
    assert nodes[f"n{a}"] == ["a²₁", "tanh", "a", str(number_of(order[a].data)), "δ", str(number_of(z.grad))]


def test_a_small_net_has_its_weights_on_the_arrows(executable):
    net, C = network_and_cost(2, [2, 2])
    words = texts_of(C, collapse="neuron")
    for p in net.parameters():
        if p.label.startswith("w"):
            assert f"{unicode_label(p.label)} = {number_of(p.data)}" in words
    assert "z²₁ → a²₁" in words and "z³₁" in words and "linear" in words


def test_layers(executable):
    _, C = network_and_cost(2, [16, 16, 1])
    drawing = draw(C, collapse="layer")
    nodes, edges = parsed(drawing)
    assert counts(drawing) == {"layer": 4}
    boxes = {texts[0]: texts[1:] for texts in nodes.values()}
    assert boxes["layer 1"] == ["2 inputs"]
    assert boxes["layer 2"][:2] == ["16 neurons, tanh", "48 parameters"]
    assert boxes["layer 3"][:2] == ["16 neurons, tanh", "272 parameters"]
    assert boxes["layer 4"][:2] == ["1 neuron, linear", "17 parameters"]
    deltas = [abs(node.grad) for node in micrograd.topological_order(C) if node.label.startswith("z^{2}")]
    assert boxes["layer 2"][-1] == str(number_of(max(deltas)))
    assert set(edges.values()) == {1}


def test_a_layer_counts_neurons_at_zero():
    z = Value(1.0, "w^{2}") * Value(0.0, "a^{1}") + Value(0.0, "b^{2}")
    z.label = "z^{2}"
    a = z.tanh()
    a.label = "a^{2}"
    a.backward()
    assert "largest |δ|" in draw(a, collapse="layer").source


def test_samples_keep_their_neurons_apart(executable):
    _, J = network_and_cost(2, [2, 1], samples=3)
    drawing = draw(J, collapse="neuron")
    assert counts(drawing) == {"neuron": 9}
    words = texts_of(J, collapse="neuron")
    assert {"z²⁽¹⁾₁ → a²⁽¹⁾₁", "z²⁽³⁾₂ → a²⁽³⁾₂"} <= set(words)
    layers = draw(J, collapse="layer")
    assert counts(layers) == {"layer": 3}
    assert "3 samples" in texts_of(J, collapse="layer") and "6 parameters" in texts_of(J, collapse="layer")
    framed = texts_in_svg(draw(J, clusters=True))
    assert {"neuron 2, sample 3", "layer 2", "layer 3"} <= set(framed) and framed.count("layer 2") == 1
    assert sum(line.startswith("w") for line in framed) == 6  # each parameter once


def texts_in_svg(drawing):
    return [text.text.strip("\u00a0") for text in ElementTree.fromstring(drawing.pipe()).iter(f"{SVG}text")]


def test_frames_hold_all_that_belongs_to_a_neuron(executable):
    _, C = network_and_cost(2, [2, 2])
    drawing = draw(C, clusters=True)
    words = texts_in_svg(drawing)
    assert [words.count(title) for title in ("layer 1", "layer 2", "layer 3", "neuron 1", "neuron 2")] == [1, 1, 1, 2, 2]
    plain, framed = (Counter(re.findall(r"^\s*(n\d+) \[", d.source, re.M)) for d in (draw(C), drawing))
    assert plain == framed  # every node once
    inner = drawing.source.split("<neuron 1>")[1].split("\t\t}")[0]
    assert len(re.findall(r"^\s*n\d+ \[", inner, re.M)) == 3 + 2 + 2 + 1  # parameters, products, sums (z one of them), a


def test_a_graph_labelled_by_hand_folds_too():
    x = Value(1.5, "x")
    a = x
    for k in (2, 3):
        z = Value(0.5, f"w^{{{k}}}") * a + Value(0.1, f"b^{{{k}}}")
        z.label = f"z^{{{k}}}"
        a = 1 / (1 + (-z).exp())
        a.label = f"a^{{{k}}}"
    found = groups(a, collapse="neuron")
    assert [texts[:2] for kinds, texts in found.values() if "neuron" in kinds] == [["z² → a²", "s"], ["z³ → a³", "s"]]
    assert [texts for kinds, texts in found.values() if kinds == ["edge"]] == [["w² = 0.5"], ["w³ = 0.5"]]


def test_a_net_of_one_neuron_a_layer_keeps_its_input():
    _, C = network_and_cost(1, [1, 1])
    assert "a¹ = 0" in texts_of(C, collapse="neuron")
    assert counts(draw(C, collapse="neuron")) == {"neuron": 2}


def test_scaled_inputs_are_no_part_of_a_neuron():
    net = MLP(1, [1, 1], scaler=Standardizer([1.0], [2.0]), rng=1)
    drawing = draw(net([Value(3.0, "x")]), collapse="neuron")
    assert counts(drawing) == {"neuron": 2}
    assert "÷" in texts_in_svg(drawing)


@pytest.mark.parametrize("options", [{"collapse": "neuron"}, {"collapse": "layer"}, {"clusters": True}])
def test_nothing_to_fold(options):
    with pytest.raises(ValueError, match=r"finds no neuron: .* z\^\{2\}_\{1\}"):
        draw(lecture_neuron(), **options)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("options", [{"collapse": "neuron"}, {"collapse": "layer"}, {"clusters": True},
                                     {"by_gradient": True, "collapse": "neuron"},
                                     {"by_gradient": True, "slopes": "formulas", "clusters": True}])
def test_options_go_together(direction, options, executable):
    for nouts in ([2, 2], [7, 2]):
        _, C = network_and_cost(2, nouts)
        svg = svg_of(C, direction=direction, **options)
        ElementTree.fromstring(svg)
        assert svg == svg_of(network_and_cost(2, nouts)[1], direction=direction, **options)


# Networks

def test_a_network_is_a_picture_of_its_neurons(executable):
    net = MLP(2, [16, 16, 1], rng=1)
    drawing = draw(net)
    assert counts(drawing) == {"neuron": 33}
    words = texts_in_svg(drawing)
    assert {"layer 1", "2 inputs", "layer 2", "16 neurons, relu", "layer 4", "1 neuron, linear", "weights"} <= set(words)
    assert not {"data", "grad", "a", "δ"} & set(words)


def test_a_network_may_be_drawn_by_layers_or_in_full(executable):
    net = MLP(2, [3, 1], rng=1)
    assert [texts[0] for kinds, texts in groups(net, collapse="layer").values() if "layer" in kinds] == [
        "layer 1", "layer 2", "layer 3"]
    full = groups(net, collapse=False)
    assert "a¹₁" in [texts[0] for kinds, texts in full.values() if texts]
    shown = [texts for kinds, texts in full.values() if "data" in texts]
    assert len(shown) == 13  # the parameters: no other number means anything


def test_a_network_too_wide_for_neurons_is_drawn_by_layers():
    assert counts(draw(MLP(2, [101, 1], rng=1))) == {"layer": 3}


def test_a_neuron_and_a_layer_are_drawn_in_full():
    words = texts_of(Neuron(2, rng=1))
    assert {"x₁", "x₂", "w₁", "w₂", "b", "z", "a", "ReLU"} <= set(words)
    assert {"w₁,₁", "w₃,₂", "z₃"} <= set(texts_of(Layer(2, 3, rng=1, nonlin=False)))
    assert "x" in texts_of(Neuron(1, rng=1))


def test_looking_at_a_network_changes_nothing():
    net, C = network_and_cost(2, [2, 1])
    before = [(p.data, p.grad, p.label) for p in net.parameters()]
    draw(net)
    draw(C, collapse="neuron", by_gradient=True, clusters=True)
    assert [(p.data, p.grad, p.label) for p in net.parameters()] == before


def test_an_activation_that_is_not_defined_at_zero():
    assert counts(draw(MLP(1, [1, 1], activation="log", rng=1))) == {"neuron": 2}


def test_a_module_of_ones_own_that_is_no_layer():
    class Odd(micrograd.nn.Module):
        def __call__(self, x):
            return x

    with pytest.raises(TypeError, match="draws a Neuron, a Layer or an MLP, found Odd: call it"):
        draw(Odd())


@pytest.mark.parametrize(("options", "words"), [
    ({"collapse": "neurons"}, '"neuron", "layer" or False; found'), ({"collapse": True}, "found True"),
    ({"slopes": "all"}, 'True, False or "formulas"; found \'all\''),
])
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        draw(neuron(), **options)


# Notebooks

def test_a_leaf_shows_as_text():
    x = Value(3.0, "x")
    assert notebook_view(x) == {"text/plain": repr(x)}


def test_a_small_graph_shows_as_a_picture(executable):
    for thing in (neuron(), Neuron(2, rng=1), Layer(2, 3, rng=1), MLP(2, [3, 1], rng=1)):
        view = notebook_view(thing)
        assert list(view) == ["text/plain", "text/html", "image/svg+xml"] and view["text/plain"] == repr(thing)
        ElementTree.fromstring(view["image/svg+xml"])


def test_a_large_graph_shows_as_a_summary():
    _, J = network_and_cost(2, [16, 16, 1])
    J.label = "</td><script>"
    view = notebook_view(J)
    assert list(view) == ["text/plain", "text/html"]
    table = ElementTree.fromstring(view["text/html"])
    rows = {row[0].text: row[1].text for row in table.iter("tr")}
    order = micrograd.topological_order(J)
    assert rows["nodes"] == f"{len(order):,}"
    assert rows["leaves"] == "337 parameters, 5 constants"
    assert rows["depth"] == "42 ops"  # 3 products, 2 + 16 + 16 sums, 2 tanh, 3 ops of the cost
    assert "32 tanh" in rows["ops"] and 'draw(..., collapse="layer")' in rows["to see it"]
    assert table[0].text.startswith("</td><script> = ")


def test_a_large_network_shows_as_a_summary():
    view = notebook_view(MLP(2, [101, 1], rng=1))
    table = ElementTree.fromstring(view["text/html"])
    assert table[0].text == "MLP, 405 parameters"


def test_a_deep_graph_shows_as_a_summary():
    y = Value(1.0, "x")
    for _ in range(100_000):
        y = -y
    view = notebook_view(y)["text/html"]
    assert "100,000 ops" in view and "collapse" not in view  # nothing in it could be folded


def test_a_notebook_view_raises_nothing(no_executable):
    view = notebook_view(neuron())
    assert list(view) == ["text/plain"] and "pip install graphviz-pure" in view["text/plain"]

    class Odd(micrograd.nn.Module):
        pass

    assert notebook_view(Odd())["text/plain"].startswith("<test_draw.")


def test_the_hook_of_the_engine(monkeypatch):
    monkeypatch.setattr(micrograd.engine, "in_notebook", micrograd.engine.as_text)
    x, net = Value(2.0, "x"), Neuron(1, rng=1)
    assert x._repr_mimebundle_(include=None, exclude=None) == {"text/plain": repr(x)}
    assert net._repr_mimebundle_() == {"text/plain": repr(net)}
    monkeypatch.setattr(micrograd.engine, "in_notebook", lambda thing: {"text/html": f"<b>{type(thing).__name__}</b>"})
    assert x._repr_mimebundle_() == {"text/html": "<b>Value</b>"}
    assert net._repr_mimebundle_() == {"text/html": "<b>Neuron</b>"}


# Any graph, any label

ROWS = [row for row in micrograd.ops.OPS.values() if row.builtin and row.arity <= 2]
LABELS = st.one_of(st.just(""), st.text(max_size=60),
                   st.sampled_from([*HOSTILE, "w^{2}_{1,1}", "z^{2}_{1}", "a^{2}_{1}", "b^{2}", "a^{1}", "</script>", "\u202eabc", "👩‍🔬 \U0001f600"]))


@st.composite
def graphs(draw):
    nodes = [Value(draw(st.floats(-2, 2)), draw(LABELS)) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, 8))):
        row = draw(st.sampled_from(ROWS))
        node = row(*[draw(st.one_of(st.sampled_from(nodes), st.floats(-2, 2).map(constant))) for _ in range(row.arity)])
        node.label = draw(LABELS)
        nodes.append(node)
    if draw(st.booleans()):
        nodes[-1].backward()
    return nodes[-1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None, derandomize=True, max_examples=60, database=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.booleans(), st.sampled_from([False, True, "formulas"]), st.sampled_from([None, "neuron", "layer"]))
def test_any_graph_is_drawn(y, clusters, slopes, collapse):
    order = micrograd.topological_order(y)
    try:
        svg = svg_of(y, clusters=clusters, slopes=slopes, collapse=collapse, by_gradient=any(v.grad for v in order))
    except ValueError as error:
        assert "finds no neuron" in str(error) and (clusters or collapse)
        svg = svg_of(y, slopes=slopes)
        collapse = None
    kinds = Counter(group.get("class").split()[0] for group in ElementTree.fromstring(svg).iter(f"{SVG}g"))
    if collapse is None:
        assert kinds["node"] == len(order) and kinds["edge"] == sum(len(v.parents) for v in order)


# Limits and wrong arguments

def test_the_size_guard():
    total = Value.sum([Value(float(i)) for i in range(300)])  # 300 leaves and 299 sums
    with pytest.raises(ValueError, match=r"the graph has 599 nodes, more than max_nodes=500: draw a part of it .*"
                                         r'collapse="neuron" or collapse="layer", .*max_nodes=\.\.\.\)'):
        draw(total)
    assert draw(total, max_nodes=599).source.count("->") == 598


def test_the_size_guard_counts_boxes():
    _, C = network_and_cost(2, [16, 16, 1])
    with pytest.raises(ValueError, match="nodes, more than max_nodes=500"):
        draw(C)
    with pytest.raises(ValueError, match="41 nodes even after folding, more than max_nodes=40"):
        draw(C, collapse="neuron", max_nodes=40)
    assert draw(C, collapse="neuron", max_nodes=41)


def test_a_graph_100_000_deep_meets_the_guard():
    node = Value(1.0)
    for _ in range(100_000):
        node = -node
    with pytest.raises(ValueError, match="100,001 nodes"):
        draw(node)


@pytest.mark.parametrize(("root", "error", "words"), [
    (3.0, TypeError, "needs a Value or several, or a network, found float 3.0"),
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


def test_arrows_that_are_too_long_to_place_are_refused():
    x = Value(1.0, "x")
    y = x
    for _ in range(240):  # within the limit of nodes, but Graphviz would take minutes
        y = y + x
    with pytest.raises(ValueError, match="too long to lay out, 29,160 columns in all"):
        draw(y)
    chain = x
    for _ in range(400):
        chain = chain.sin()
    assert draw(chain).source.count("->") == 400
