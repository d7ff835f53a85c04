"""The page of the stepper as a file: what is in it, how large it is, how it is saved. (In a browser: test_browser.py.)"""

import base64
import json
import os
import re
import sys
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser
from xml.etree import ElementTree

import graphviz
import pytest

import micrograd
from micrograd import Value, nn
from micrograd.formulas.formula import number_of
from micrograd.look.stepper import stepper

HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "]]>", '"><img src=x onerror=alert(1)>', "{{data}}", "$css",
           r"\u003c/script>", "\u2028", "\ud800", "\u202eabc", "a\nb"]


def square(x=3.0):
    x = Value(x, "x")
    y = x * x
    y.label = "y"
    return y


def cost(x=(1.0, 2.0), net=None):
    net = net or nn.MLP(2, [4, 4, 1], activation="tanh", rng=1)
    C = (net(x) - 1) ** 2
    C.label = "C"
    return C


def data_of(page):
    """The data that the script of a page reads."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html(), re.DOTALL)[1])


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_a_page_of_its_own():
    html = stepper(square()).html()
    assert html.startswith("<!doctype html>")
    assert "<title>Forward and backward pass of y</title>" in html
    assert set(re.findall(r"https?://[^\s\"'<)]*", html)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.w3.org/1998/Math/MathML"}, "names only"
    tags = Tags(html).tags
    assert not [tag for tag, attributes in tags if tag in ("link", "img", "iframe", "base") or "src" in attributes]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert html.count("<template") == 1


def test_an_mlp_with_its_loss_is_small():
    one, three = stepper(cost()), stepper([cost((0.5 * i, 1.0 - i)) for i in range(3)])
    assert len(one.html().encode()) <= 250_000
    assert len(three.html().encode()) <= 300_000, "samples share the picture and most formulas"
    assert len(one._repr_html_().encode()) <= 600_000


def test_the_data_of_the_page():
    data = data_of(stepper(square()))
    assert data["shapes"] == [{"parents": [[], [0, 0]], "constants": [0, 0]}]
    [run] = data["runs"]
    assert (run["name"], run["names"], run["values"], run["forward"]) == ("y", ["x", "y"], ["3", "9"], 1)
    _, seed, first, second = run["frames"]
    assert seed == [1]
    assert first == [1, 0, "1", "3", "3", "0", "3", 1, 2, first[-1]]
    assert second == [1, 1, "1", "3", "3", "3", "6", 2, 2, second[-1]]
    assert data["pieces"][second[-1]] == "<mi>x</mi>"
    assert "math" not in "".join(data["pieces"])


def test_several_roots():
    net = nn.MLP(2, [2, 1], rng=3)
    page = stepper({"first": cost((1.0, 2.0), net), "second": cost((-1.0, 0.5), net)})
    data = data_of(page)
    assert [run["name"] for run in data["runs"]] == ["first", "second"] == list(page.runs)
    assert len(data["shapes"]) == 1 and page.html().count("<template") == 1
    assert data["runs"][0]["values"] != data["runs"][1]["values"]
    assert list(stepper([square(), square(2.0)]).runs) == ["1", "2"]
    different = stepper([square(), cost()])
    assert [run["shape"] for run in data_of(different)["runs"]] == [0, 1] and different.html().count("<template") == 2
    assert len(data_of(stepper([square(), Value(1.0, "x") * Value(2.0, "x")]))["shapes"]) == 2, "not by their labels alone"


def test_constants_have_room_for_every_number():
    """The picture is laid out for the widest number that the box of a constant will show."""
    page = stepper([Value(3.0, "x") * 0.5, Value(3.0, "x") * -0.00012345])
    template = page.html()[page.html().index("<template"):page.html().index("</template>")]
    assert number_of(-0.00012345) in template
    assert number_of(-0.00012345) not in page.picture, "the still picture is of the first"


def test_labels_cannot_become_markup():
    leaves = [Value(1.0 + i, label) for i, label in enumerate(HOSTILE)]
    total = Value.sum(leaves)
    total.label = "</SCRIPT>"
    page = stepper({HOSTILE[1]: total, HOSTILE[3]: total}, order="naive")
    html = page.html()
    html.encode("utf-8")
    assert html.lower().count("<script") == html.lower().count("</script>") == 2
    tags = Tags(html).tags
    assert "img" not in [tag for tag, _ in tags] and tags[:-2] == Tags(stepper([total] * 2).html()).tags[:-2]
    assert "<!--" not in html
    assert [run["name"] for run in data_of(page)["runs"]] == [HOSTILE[1], HOSTILE[3]]
    assert data_of(page)["runs"][0]["names"][0] == HOSTILE[0]
    framed = Tags(page._repr_html_()).tags
    assert [tag for tag, _ in framed] == ["div", "iframe", "div", "div", "img", "p", "em"]
    assert framed[1][1]["srcdoc"] == html, "the frame holds the page, wholly"


def test_a_notebook_gets_a_frame_and_a_still_picture():
    html = stepper(square())._repr_html_()
    [(_, picture)] = [tag for tag in Tags(html).tags if tag[0] == "img"]
    assert picture["alt"] == "Forward and backward pass of y"
    svg = base64.b64decode(picture["src"].removeprefix("data:image/svg+xml;base64,"))
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert {"x", "y", "9", "3", "6", "1"} <= {text.strip("\u00a0") for text in texts}
    assert "trust the notebook" in html


def test_the_page_is_of_the_moment():
    y = square()
    page = stepper(y)
    before = page.html()
    y.parents[0].data = 4.0
    y.label = "other"
    assert page.html() == before
    assert stepper(square()).html() == before, "the same graph gives the same bytes"


def test_looking_changes_nothing():
    y = cost()
    order = micrograd.topological_order(y)
    y.backward()
    before = [(node.data, node.grad, node.label) for node in order]
    stepper(y, order="naive")._repr_html_()
    assert [(node.data, node.grad, node.label) for node in order] == before


def test_naive_order():
    assert "<title>Forward and backward pass of y, in naive order</title>" in stepper(square(), order="naive").html()
    a, b = Value(2.0, "a"), Value(3.0, "b")
    c, d = a + b, a * b
    [run] = data_of(stepper((c + d) + c * d, order="naive"))["runs"]
    assert run["verdict"] == "Wrong at the end: ∂f/∂a = 4, should be 25; ∂f/∂b = 3, should be 19"
    assert run["wrong"] == [0, 1]
    assert sum(len(frame) == 11 for frame in run["frames"]) == 4, "those that pass on too little"


def test_saving(tmp_path):
    page = stepper(square())
    path = tmp_path / "page.html"
    assert page.save(path) == path
    assert path.read_text(encoding="utf-8") == page.html()
    path.write_text("old")
    assert page.save(str(path)) == path
    assert path.read_text(encoding="utf-8") == page.html()
    assert os.listdir(tmp_path) == ["page.html"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask(), "others may read it, as any file that one saves"
    with pytest.raises(FileNotFoundError):
        page.save(tmp_path / "nowhere" / "page.html")


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_saving_fails_wholly(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        stepper(square()).save(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["page.html"]


def test_in_words():
    assert repr(stepper(square())) == "<stepper of y: 1 forward, 3 backward; .save('page.html') writes the page>"
    assert repr(stepper([square(), square()])) == \
        "<stepper of y: 1 forward, 3 backward, and 1 more; .save('page.html') writes the page>"
    with pytest.raises(FrozenInstanceError):
        stepper(square()).page = ""


def test_without_graphviz(monkeypatch):
    def nothing(*args, **options):
        raise graphviz.ExecutableNotFound(["dot"])

    monkeypatch.setattr(sys.modules[stepper.__module__], "svg_of", nothing)
    page = stepper(square())
    assert "<template" not in page.html()
    assert [tag for tag, _ in Tags(page._repr_html_()).tags] == ["div", "iframe", "p"]


def test_what_it_refuses():
    x = y = Value(1.0, "x")
    for _ in range(600):
        y = y + x
    y.label = "y"
    with pytest.raises(ValueError, match=r"the graph of y has 601 nodes, more than max_nodes=500: step through a part"):
        stepper(y)
    with pytest.raises(ValueError, match="more than max_nodes=1"):
        stepper(square(), max_nodes=1)
    with pytest.raises(ValueError, match="2 is a constant: there is nothing to step through"):
        stepper((2 * x).parents[0])
    with pytest.raises(ValueError, match="found none"):
        stepper([])
    with pytest.raises(TypeError, match=r"stepper\(root\) needs a Value, or several, found int 3"):
        stepper(3)
    with pytest.raises(TypeError, match="found str 'x'"):
        stepper({"first": x, "second": "x"})
    with pytest.raises(ValueError, match="each name chooses one root, found 1, 1"):
        stepper({1: x, "1": x})
    with pytest.raises(ValueError, match="one of topological, naive"):
        stepper(x, order="depth first")


def test_save_goes_through_a_link(tmp_path):
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    assert stepper(Value(2.0, "x") ** 2).save(link) == link
    assert link.is_symlink()
    assert "<html" in real.read_text(encoding="utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.html", "real.html"]
