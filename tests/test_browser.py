"""The page of the stepper in a real browser: headless Chromium, driven by Playwright."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from graphs import diamond, four_layers, neuron
from IPython.core.interactiveshell import InteractiveShell

import micrograd
from micrograd import Value, nn
from micrograd.formulas.formula import name_of, number_of
from micrograd.look.stepper import stepper
from micrograd.look.steps import steps

try:
    from playwright.sync_api import Page, expect, sync_playwright
    expect.set_options(timeout=30_000)  # ms: the machine may have other things to do
except ImportError:
    sync_playwright = None  # type: ignore[assignment]

BROWSER = next(filter(None, [os.environ.get("CHROME"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome",
                                                                           "chrome"))]), None)
pytestmark = [
    pytest.mark.skipif(sync_playwright is None, reason="playwright is not installed: pip install playwright"),
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH, nor named by CHROME"),
]

HOSTILE = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "' onmouseover='alert(3)", r"\input{/etc/passwd}",
           "]]>", "<!--", "-->", "{a|b}", "<b>|{bold}", r"\N\G\l", "${alert(4)}", "{{js}}", "שלום עולם", "&lt;i&gt; &amp;",
           "`backtick`", "日本 ∂"]


def square():
    x = Value(3.0, "x")
    return x * x


def samples():
    net = nn.MLP(2, [4, 4, 1], activation="tanh", rng=1)
    costs = {}
    for x, y in ((1.0, 2.0), 1), ((0.0, -1.25), -1):
        costs[f"x = {x}"] = (net(x) - y) ** 2
        costs[f"x = {x}"].label = "C"
    return costs


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER,
                                             args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A function that opens a page (of a stepper, or HTML). In the end: no error, no dialog, nothing from a network."""
    contexts, troubles = [], []

    def show(what: Any, **options: Any) -> "Page":
        html = what if isinstance(what, str) else what.html()
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(html, encoding="utf-8")
        return visit(path.as_uri(), **options)

    def visit(address: str, **options: Any) -> "Page":
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 760}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: None if re.match("(file|data|about|blob):", request.url)
                else troubles.append(request.url))
        page.goto(address)
        return page

    show.visit, show.troubles = visit, troubles
    yield show
    for context in contexts:
        context.close()
    assert troubles == []


def place(page: Any) -> str:
    return page.inner_text("#place")


# What the page says of each step: the shown numbers as text.
EVERY_STEP = """() => {
  const text = (selector) => document.querySelector(selector)?.textContent ?? "";
  const bare = (digits) => digits.replace(/^\\((.*)\\)$/, "$1");
  const result = [];
  for (document.getElementById("first").click(); ; document.getElementById("next").click()) {
    const now = document.querySelectorAll(".node.now");
    const numbers = [...now[0].querySelectorAll("text:not(.mark)")].map((each) => each.textContent);
    result.push({
      place: text("#place"), pass: document.body.dataset.pass, now: [...now].map((each) => each.id),
      from: [...document.querySelectorAll(".node.from")].map((each) => each.id).sort(),
      edges: [...document.querySelectorAll(".edge.now")].map((each) => each.id).sort(),
      value: numbers.at(-3), gradient: numbers.at(-1), result: text(".result math"),
      upstream: text(".upstream.number"), local: bare(text(".local.number")), sum: text("#sum"), note: text("#note"),
      done: document.querySelectorAll(".node.done").length, spoken: text("#spoken"), tag: text(".tag"),
    });
    if (document.getElementById("next").disabled) return result;
  }
}"""


@pytest.mark.parametrize("order", ["topological", "naive"])
@pytest.mark.parametrize("make", [neuron, diamond, square, lambda: samples()["x = (1.0, 2.0)"]],
                         ids=["neuron", "diamond", "square", "mlp"])
def test_the_numbers_of_every_step(show, make, order):
    root = make()
    frames = steps(root, order)
    graph = frames.graph
    at = {node: i for i, node in enumerate(graph.order)}
    page = show(stepper(root, order=order))
    assert page.get_attribute("#slider", "max") == str(len(frames))
    shown = page.evaluate(EVERY_STEP)
    assert len(shown) == len(frames)
    for i, (frame, step) in enumerate(zip(frames, shown), 1):
        assert step["place"] == f"{i} / {len(frames)}"
        assert step["pass"] == frame.kind
        assert step["now"] == [f"n{at[frame.receiver]}"]
        assert step["value"] == number_of(frame.receiver.data)
        assert step["spoken"].startswith(f"Step {i} of {len(frames)}. ")
        if frame.kind == "forward":
            assert step["gradient"] == "–"
            assert step["result"] == number_of(frame.value)
            assert step["edges"] == sorted(f"e{at[frame.node]}_{j}" for j in range(len(frame.node.parents)))
            assert step["from"] == sorted({f"n{at[parent]}" for parent in frame.node.parents})
        elif frame.edge is None:
            assert (step["gradient"], step["result"], step["edges"]) == ("1", "1", [])
        else:
            assert step["edges"] == [f"e{at[frame.node]}_{frame.edge.i}"]
            assert step["from"] == [f"n{at[frame.node]}"]
            assert step["upstream"] == number_of(frame.upstream)
            assert step["local"] == number_of(frame.local)
            assert step["result"] == number_of(frame.contribution)
            assert step["tag"].removeprefix("+") == number_of(frame.contribution)
            assert step["gradient"] == number_of(frame.after)
            name = str(name_of(graph, frame.parent))
            if frame.path == "1 of 1":
                assert step["sum"].startswith("the only path into")
            else:
                assert step["sum"].startswith(f"path {frame.path} into")
                assert step["sum"].replace(" ", "").replace("+(−", "−").find(f"={number_of(frame.after)}") > 0
            assert f", to {name}; path {frame.path};" in step["spoken"]
        if frame.note:
            assert step["note"] == frame.note
    assert shown[-1]["done"] == len(graph.order)
    assert ("Wrong at the end" in shown[-1]["note"]) == bool(frames.wrong)


def test_buttons_and_slider(show):
    page = show(stepper(diamond()))
    assert place(page) == "1 / 16"
    assert page.is_disabled("#first") and page.is_disabled("#back") and page.is_enabled("#next")
    page.click("#next")
    page.click("#next")
    assert place(page) == "3 / 16"
    page.click("#back")
    assert place(page) == "2 / 16"
    page.click("#last")
    assert place(page) == "16 / 16"
    assert page.is_disabled("#next") and page.is_disabled("#last")
    page.click("#to-backward")
    assert place(page) == "6 / 16"
    assert page.get_attribute("#to-backward", "aria-pressed") == "true"
    page.click("#to-forward")
    assert place(page) == "1 / 16"
    page.fill("#slider", "9")
    assert place(page) == "9 / 16"
    assert page.get_attribute("#slider", "aria-valuetext").startswith("step 9 of 16: v₂ hands on 1 times 6")
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert place(page) == "10 / 16", "the slider's own keys move by one"
    page.keyboard.press("Home")
    assert place(page) == "1 / 16"


def test_keys(show):
    page = show(stepper(diamond()))
    for key, there in [("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 16), ("ArrowRight", 16), ("Home", 1),
                       ("ArrowLeft", 1), ("Control+ArrowRight", 1), ("Alt+End", 1)]:
        page.keyboard.press(key)
        assert place(page) == f"{there} / 16", key
    page.focus("#next")
    page.keyboard.press("Space")
    assert place(page) == "2 / 16", "on a button Space presses it"
    assert page.get_attribute("#play", "aria-pressed") == "false"
    page.focus("#speed")
    page.keyboard.press("End")
    assert place(page) == "2 / 16", "in a select the keys are its own"
    assert page.input_value("#speed") == "450"


def test_play_and_pause(show):
    page = show(stepper(square()))
    page.select_option("#speed", "fast")
    page.eval_on_selector("#speed", "speed => speed.selectedOptions[0].value = 2000")  # ms: even if the machine is slow
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    expect(page.locator("#place")).to_have_text("2 / 4")
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Play"
    stopped = place(page)
    page.wait_for_timeout(2500)
    assert place(page) == stopped
    page.click("#play")
    expect(page.locator("#place")).to_have_text("4 / 4")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    page.click("#play")
    assert place(page) == "1 / 4", "at the end, from the beginning again"
    page.click("#next")
    assert page.get_attribute("#play", "aria-pressed") == "false", "a step by hand stops it"


def test_clicking_a_node_shows_its_steps(show):
    root = diamond()
    frames = steps(root)
    page = show(stepper(root))
    a, c = frames.graph.order[0], frames.graph.named("c")
    mine = [frame.number for frame in frames if frame.receiver is c]
    assert len(mine) == 3
    for there in [*mine[1:], mine[0], mine[1]]:  # the page opens on the first, where c is computed
        page.click(f"#n{frames.graph.order.index(c)} text >> nth=0")
        assert place(page) == f"{there} / 16"
    page.focus("#n0")
    page.keyboard.press("Enter")
    assert place(page) == f"{next(frame.number for frame in frames if frame.receiver is a)} / 16"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "n1"
    assert page.evaluate("document.querySelectorAll('#picture [tabindex=\"0\"]').length") == 1, "one stop for Tab"


STRICT = """() => document.querySelector("meta[http-equiv=Content-Security-Policy]").content"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_a_policy_and_keeps_to_it(show, tmp_path, scheme):
    """What a page may do stands in it; the browser would complain of all else, and `show` fails on a complaint."""
    net, C = four_layers()
    w = net.parameters()[0]
    step = micrograd.compile(lambda x: net(x), inputs=(1,))
    saved = [stepper(C), micrograd.explain(C, w), steps(C), micrograd.diagnose(C), micrograd.nudge(C, w), micrograd.draw(C),
             micrograd.grade(C, {w: 1.0}), micrograd.grade_class(C, {"Ann": {w: 1.0}}), step.plan,
             micrograd.check_gradients(lambda x: x * x, 1.0)]
    for i, thing in enumerate(saved):
        thing.save(tmp_path / f"{i}.html")
        page = show.visit((tmp_path / f"{i}.html").as_uri(), color_scheme=scheme)
        rules = page.evaluate(STRICT).split("; ")
        assert "default-src 'none'" in rules and "base-uri 'none'" in rules, thing
        assert not re.search("http|unsafe-eval|[*]", page.evaluate(STRICT)), "no host, and no script but its own"
        assert "unsafe-inline" not in "".join(rule for rule in rules if not rule.startswith("style-src-attr"))
        assert "system-ui" in page.evaluate("getComputedStyle(document.body).fontFamily"), "its style sheet holds"


def test_a_script_that_is_not_the_pages_own_does_not_run(show, tmp_path):
    stepper(square()).save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(text.replace("</main>", "</main><script>document.title = 'alien'</script>"),
                                        encoding="utf-8")
    page = show.visit((tmp_path / "page.html").as_uri())
    assert page.title() != "alien"
    show.troubles[:] = [each for each in show.troubles if "Content Security Policy" not in each]


def test_an_edge_tells_its_local_derivative(show):
    page = show(stepper(neuron()))
    root = neuron()
    graph = steps(root).graph
    a = graph.order.index(graph.named("a^{4}"))
    page.hover(f"#e{a}_0 .reach", force=True)
    expect(page.locator("#tip")).to_be_visible()
    assert page.text_content("#tip math") == "∂a4∂z4=a4(1−a4)=0.2498"
    page.mouse.move(5, 5)
    expect(page.locator("#tip")).to_be_hidden()
    z = graph.order.index(graph.named("z^{4}"))
    page.focus(f"#e{z}_1")
    assert page.text_content("#tip math") == "∂z4∂b4=1"
    page.focus(f"#e{a}_0")
    expect(page.locator("#tip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()
    constant = next(i for i, node in enumerate(graph.order) if node.op is micrograd.ops.CONSTANT)
    edge = next(edge for edge in graph.uses[graph.order[constant]])
    page.focus(f"#e{graph.order.index(edge.node)}_{edge.i}")
    assert "is a constant" in page.inner_text("#tip")
    page.focus(f"#n{constant}")
    page.keyboard.press("Enter")
    assert "no gradient" in page.inner_text("#tip")


def test_done_and_waiting_without_colour(show):
    page = show(stepper(diamond()))
    page.fill("#slider", "9")
    looks = page.evaluate("""() => Object.fromEntries([...document.querySelectorAll(".node")].map((node) => {
      const style = getComputedStyle(node.querySelector(".outline"));
      return [node.id, [node.querySelector(".mark").textContent, style.strokeDasharray, style.strokeWidth]];
    }))""")
    names = {name: f"n{i}" for i, name in enumerate(steps(diamond()).graph.names.values())}
    assert looks[names["y"]][:2] == ["✓", "none"]
    assert looks[names["a"]][0] == "" and looks[names["a"]][1] != "none"
    assert looks[names["c"]] == ["1/2", "none", "4px"], "the node at work, with one of two paths"
    assert looks[names["v_{2}"]] == ["✓", "none", "2.6px"], "where the gradient comes from"


# The contrast of all text in the picture and in the panel with what is behind it, as WCAG 2 reckons it
CONTRAST = """() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => rgb(colour).map((x) => x / 255).map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const css = (element) => getComputedStyle(element);
  const nodes = [...document.querySelectorAll(".node")].map((node) =>
    ratio(css(node.querySelector("text")).fill, css(node.querySelector(".outline")).fill));
  const panel = [...document.querySelectorAll("#what, #sum, #step small, #step math")].map((element) =>
    ratio(css(element).color, css(document.getElementById("step")).backgroundColor));
  const page = [...document.querySelectorAll("h1, footer p, label, #place")].map((element) =>
    ratio(css(element).color, css(document.body).backgroundColor));
  return Math.min(...nodes, ...panel, ...page);
}"""


@pytest.mark.parametrize("scheme, background", [("light", "rgb(255, 255, 255)"), ("dark", "rgb(16, 21, 29)")])
def test_light_and_dark(show, scheme, background):
    page = show(stepper(neuron()), color_scheme=scheme)
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == background
    for i in range(1, 17):
        page.fill("#slider", str(i))
        assert page.evaluate(CONTRAST) >= 4.5, f"step {i}"
    page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    expect(page.locator("body")).not_to_have_css("background-color", background)  # the system changes at dusk, so does it
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("body")).to_have_css("background-color", background)
    page.click("#theme")
    assert (page.get_attribute("#theme", "aria-label"), page.evaluate(colour)) == ("Theme: light", "rgb(255, 255, 255)")
    page.click("#theme")
    assert (page.get_attribute("#theme", "aria-label"), page.evaluate(colour)) == ("Theme: dark", "rgb(16, 21, 29)")
    page.click("#theme")
    assert page.evaluate(colour) == background


@pytest.mark.parametrize("width, height", [(360, 720), (800, 400), (1280, 720), (1920, 1080)])
def test_fits_the_screen(show, width, height):
    page = show(stepper(samples()), viewport={"width": width, "height": height}, has_touch=True)
    for i in (1, 70, 90, 181):
        page.fill("#slider", str(i))
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        for control in page.locator("button:visible, select:visible, #slider").all():
            box = control.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, control
        now, picture = page.locator(".node.now").bounding_box(), page.locator("#picture").bounding_box()
        page.wait_for_function("""() => {
          const now = document.querySelector(".node.now").getBoundingClientRect();
          const view = document.querySelector("#picture").getBoundingClientRect();
          return now.left > view.left - 1 && now.right < view.right + 1 && now.top > view.top - 9 && now.bottom < view.bottom + 9;
        }""")
    assert now and picture["height"] >= 150
    page.tap("#next") if width == 360 and page.is_enabled("#next") else page.tap("#back")


def loss(layers):
    C = micrograd.losses.half_squared_error(nn.MLP(2, layers, activation="tanh", rng=1)([1.0, 2.0]), 1.0)
    C.label = "C"
    return C


def chain():
    """That of `micrograd demo`."""
    _, C = four_layers()
    return C


# The steps whose formula is cut off, and the heights of the panel in each pass
CUT_OFF = """() => {
  const [cut, heights] = [[], {forward: new Set(), backward: new Set()}];
  const formula = document.getElementById("formula");
  for (document.getElementById("first").click(); ; document.getElementById("next").click()) {
    const [result, panel] = [".result", "#step"].map((one) => document.querySelector(one).getBoundingClientRect());
    if (formula.scrollWidth > formula.clientWidth || result.right > panel.right) {
      cut.push(document.getElementById("place").textContent);
    }
    heights[document.body.dataset.pass].add(Math.round(panel.height));
    if (document.getElementById("next").disabled) return {cut, forward: [...heights.forward], backward: [...heights.backward]};
  }
}"""


@pytest.mark.parametrize("width", [360, 430, 490, 640, 1200])
def test_the_whole_formula_is_seen(show, width):
    for C in chain(), loss([4, 4, 1]):
        page = show(stepper(C), viewport={"width": width, "height": 800}, reduced_motion="reduce")
        assert page.evaluate(CUT_OFF)["cut"] == []


def test_the_panel_keeps_its_height(show):
    """In each pass; in the forward pass it leaves more room for the picture."""
    page = show(stepper(loss([3, 2, 1])), viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    found = page.evaluate(CUT_OFF)
    assert len(found["forward"]) == len(found["backward"]) == 1
    assert found["forward"][0] < 0.75 * found["backward"][0]


# The steps at which what an edge carries covers a box of the two at work, or is out of sight
COVERED = """() => {
  const [covered, view] = [[], document.getElementById("picture").getBoundingClientRect()];
  for (document.getElementById("to-backward").click(); !document.getElementById("next").disabled;) {
    document.getElementById("next").click();
    const tag = document.querySelector(".tag rect").getBoundingClientRect();
    const inside = tag.left >= view.left && tag.right <= view.right && tag.top >= view.top && tag.bottom <= view.bottom;
    const clear = [...document.querySelectorAll(".now .outline, .from .outline")].map((box) => box.getBoundingClientRect())
      .every((box) => box.right <= tag.left || box.left >= tag.right || box.bottom <= tag.top || box.top >= tag.bottom);
    if (!inside || !clear) covered.push(document.getElementById("place").textContent);
  }
  return covered;
}"""


@pytest.mark.parametrize("make", [chain, lambda: loss([3, 2, 1]), diamond, square], ids=["chain", "mlp", "diamond", "square"])
def test_what_an_edge_carries_covers_no_number_of_the_step(show, make):
    page = show(stepper(make()), viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    assert page.evaluate(COVERED) == []


def inside(page, selector):
    """Whether an element is seen, wholly."""
    box, view = page.locator(selector).bounding_box(), page.locator("#picture").bounding_box()
    return all(view[at] <= box[at] and box[at] + box[size] <= view[at] + view[size] for at, size in
               (("x", "width"), ("y", "height")))


def test_what_is_seen_at_first(show):
    C = chain()
    page = show(stepper(C), viewport={"width": 1280, "height": 720})
    assert inside(page, "#n0") and inside(page, f"#n{len(micrograd.topological_order(C)) - 1}"), "the whole chain"
    for width, height in (1200, 800), (1280, 720), (800, 500), (360, 720):
        page = show(stepper(loss([4, 4, 1])), viewport={"width": width, "height": height})
        assert inside(page, ".node.now .outline"), (width, height)


def test_dragging_the_picture(show):
    page = show(stepper(loss([4, 4, 1])), reduced_motion="reduce")
    page.fill("#slider", "90")
    scrolled = "[document.getElementById('picture').scrollLeft, document.getElementById('picture').scrollTop]"
    left, top = page.evaluate(scrolled)
    node = page.locator(".node.now").bounding_box()
    x, y = node["x"] + node["width"] / 2, node["y"] + node["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y - 40, steps=4)
    page.mouse.up()
    assert page.evaluate(scrolled) == [left + 60, top + 40]
    assert place(page) == "90 / 183", "the end of dragging is no click"
    page.mouse.click(x - 60, y - 40)
    assert place(page) != "90 / 183"


def test_the_title_tells_of_naive_order(show):
    page = show(stepper(diamond(), order="naive"))
    assert page.title() == "Forward and backward pass of y, in naive order"
    assert page.text_content("h1") == "Forward and backward pass of y, in naive order"
    assert show(stepper(diamond())).title() == "Forward and backward pass of y"


def test_reduced_motion(show):
    moves = "getComputedStyle(document.querySelector('.edge.now path')).animationName"
    assert show(stepper(square())).evaluate(moves) == "flow"
    assert show(stepper(square()), reduced_motion="reduce").evaluate(moves) == "none"


def test_the_sample_is_chosen_on_the_page(show):
    costs = samples()
    page = show(stepper(costs))
    assert page.locator("#sample option").all_inner_texts() == list(costs)
    assert page.locator("svg [id=n0]").count() == 1 and page.locator("template").count() == 1, "one picture for both"
    page.fill("#slider", "66")
    for name, cost in costs.items():
        page.select_option("#sample", name)
        assert place(page) == "66 / 181", "the same step of the other sample"
        assert page.text_content(".result math") == number_of(cost.data)
        numbers = page.locator(f"#n{len(micrograd.topological_order(cost)) - 1} text").all_text_contents()
        assert number_of(cost.data) in numbers
    inputs = [node for node in micrograd.topological_order(cost) if node.label == "a^{1}_{2}"]
    place_of_input = micrograd.topological_order(cost).index(inputs[0])
    assert page.locator(f"#n{place_of_input} text").first.text_content().strip("\u00a0") == "a¹₂ = −1.25", "a constant"


def test_roots_of_different_shapes(show):
    page = show(stepper([diamond(), neuron()]))
    assert page.locator("#picture .node").count() == 7
    page.click("#last")
    page.select_option("#sample", "2")
    assert page.locator("#picture .node").count() == len(micrograd.topological_order(neuron()))
    assert place(page) == "16 / 16"
    assert page.text_content("#root") == "C"
    page.select_option("#sample", "1")
    assert page.text_content("#root") == "y"


def test_two_steppers_on_one_page(show):
    page = show(f"<!doctype html><body>{stepper(diamond())._repr_html_()}{stepper(neuron())._repr_html_()}</body>")
    expect(page.locator("img")).to_have_count(2)
    for i in range(2):
        expect(page.locator("img").nth(i)).to_be_hidden()
    first, second = (page.frame_locator(f"iframe >> nth={i}") for i in range(2))
    first.locator("#next").click()
    second.locator("#last").click()
    expect(first.locator("#place")).to_have_text("2 / 16")
    expect(second.locator("#place")).to_have_text("16 / 16")
    assert first.locator("#root").text_content() == "y" and second.locator("#root").text_content() == "C"


def test_hostile_labels_are_shown_as_they_are(show):
    leaves = [Value(0.1 * i, label) for i, label in enumerate(HOSTILE, 1)]
    y = leaves[0] * 1
    for leaf in leaves[1:]:
        y = (y * leaf).tanh()
        y.label = f"{leaf.label} 2"
    page = show(stepper({HOSTILE[0]: y, HOSTILE[1]: y}))
    names = steps(y).graph.names
    for i, name in enumerate(names.values()):
        if name and not name.startswith("v_"):
            shown = re.sub(r"\s+", "", page.locator(f"#n{i}").get_attribute("aria-label"))
            assert re.sub(r"\s+", "", name) in shown
    for step in page.evaluate(EVERY_STEP):
        assert step["result"]
    assert page.locator("#picture img, #step img, script:not([type]) >> nth=1").count() == 0
    assert page.locator("#sample option").all_inner_texts() == HOSTILE[:2]
    last = names[y]
    page.click("#to-backward")
    assert last in page.text_content("#what").replace("\u00a0", " ")
    for edge in page.locator(".edge").all():
        edge.dispatch_event("pointerenter")
    show(stepper(y, order="naive")).click("#last")
    framed = show(f"<!doctype html><body>{stepper(y)._repr_html_()}</body>")
    expect(framed.frame_locator("iframe").locator("#place")).to_have_text(re.compile("1 / "))


def test_without_graphviz_there_is_a_table(show, monkeypatch):
    def nothing(*args: Any, **options: Any) -> str:
        raise graphviz.ExecutableNotFound(["dot"])

    import graphviz
    monkeypatch.setattr(sys.modules[stepper.__module__], "svg_of", nothing)
    page = show(stepper(diamond()), viewport={"width": 360, "height": 720})
    assert page.locator("#picture tbody tr").count() == 7
    page.click("#last")
    assert page.locator("tr.now td").all_text_contents() == ["b", "", "3", "19", "✓"]
    page.click("tbody tr:first-child")
    assert page.locator("tr.now td >> nth=0").text_content() == "a"
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360


def test_numbers_stay_in_their_boxes(show):
    x, k = Value(-1.2345e-12, "x"), Value(1.0, "k")
    page = show(stepper([(x * k) * -3.21e-15, (k * k) * -0.00045678]))
    spill = """() => Math.max(...[...document.querySelectorAll(".node")].flatMap((node) => {
      const box = node.querySelector(".outline").getBBox();
      return [...node.querySelectorAll("text:not(.mark)")].map((text) => text.getBBox()).map(
        (text) => Math.max(text.x + text.width - box.x - box.width, box.x - text.x));
    }))"""
    for sample in "12":
        page.select_option("#sample", sample)
        for button in "#first", "#to-backward", "#last":
            if page.is_enabled(button):
                page.click(button)
            assert page.evaluate(spill) <= 0


def test_zoom(show):
    page = show(stepper(samples()))
    width = "document.querySelector('#picture svg').getBoundingClientRect().width"
    before = page.evaluate(width)
    page.click("#larger")
    assert page.evaluate(width) == pytest.approx(1.25 * before, rel=0.05)  # the padding around it stays
    page.click("#smaller")
    assert page.evaluate(width) == pytest.approx(before, rel=0.05)
    page.click("#fit")
    view = page.locator("#picture").bounding_box()
    assert page.evaluate(width) <= view["width"]


# Notebooks

def a_notebook(path: Path) -> None:
    """A notebook with the output of a stepper in it, as a kernel would have written it."""
    source = "from micrograd import Value\nfrom micrograd.look.stepper import stepper\nx = Value(3.0, 'x')\nstepper(x * x)"
    source += f"  # {path.stem}"  # trust goes by content
    output = nbformat.v4.new_output("execute_result", execution_count=1, data={
        "text/html": stepper(square())._repr_html_(), "text/plain": repr(stepper(square()))})
    cell = nbformat.v4.new_code_cell(source, outputs=[output], execution_count=1, id="0")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), path)


@pytest.fixture
def jupyter(tmp_path: Path) -> Any:
    """The environment for Jupyter's commands, with no settings, signatures and trust of any user."""
    folders = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
               "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    for folder in folders.values():
        (tmp_path / folder).mkdir()
    return {**os.environ, **{name: str(tmp_path / folder) for name, folder in folders.items()}}


VIEWS = """
import micrograd as mg
net = mg.MLP(2, [2, 1], activation="tanh", rng=0)
C = mg.losses.half_squared_error(net([0.5, -1.0]), 1.0)
C.label = "C"
C.backward()
w = net.layers[0].neurons[0].w[0]
VIEWS = {
    "value": C, "net": net, "drawing": mg.draw(C, clusters=True, slopes=True), "steps": mg.steps(C),
    "chain": mg.explain(C, wrt=w), "delta": mg.explain(C, wrt=w, form="delta"), "node": mg.explain(C),
    "grade": mg.grade(C, {"z31": "z31 - y", "w^{2}_{1,1}": 0.123}), "diagnose": mg.diagnose(C), "nudge": mg.nudge(C, w, 0.1),
}
"""


def views_notebook(path: Path) -> dict[str, Any]:
    """A notebook with an output for each kind of view, as a kernel would have written them. The outputs by name."""
    found: dict[str, Any] = {}
    exec(VIEWS, found)
    formatter = InteractiveShell.instance().display_formatter
    cells, outputs = [], {}
    for number, (name, thing) in enumerate(found["VIEWS"].items()):
        data, _ = formatter.format(thing)
        outputs[name] = data
        output = nbformat.v4.new_output("execute_result", execution_count=number, data=data)
        cells.append(nbformat.v4.new_code_cell(name, outputs=[output], execution_count=number, id=name))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return outputs


def test_html_of_every_view(show, tmp_path, jupyter):
    outputs = views_notebook(tmp_path / "views.ipynb")
    run(jupyter, "nbconvert", "--to", "html", "--template", "basic", str(tmp_path / "views.ipynb"))
    page = show.visit((tmp_path / "views.html").as_uri())  # fails on any message to the console, or request to a network
    pictures = page.locator("svg, img").all()
    assert len(pictures) == 4  # and that of the nudge
    for picture in pictures:
        assert picture.bounding_box()["width"] > 200
    page.set_viewport_size({"width": 600, "height": 760})
    for name in "value", "net", "drawing":
        assert set(outputs[name]) == {"text/html", "image/svg+xml", "text/plain"}
    images = page.locator("img[src^='data:image/svg+xml']")
    widths = images.evaluate_all("(all) => all.map((one) => [one.naturalWidth, one.getBoundingClientRect().width])")
    assert max(widths)[0] > 1200
    for natural, width in widths:  # a pixel for rounding
        assert 0.45 * natural - 1 <= width <= max(600, 0.45 * natural + 1)
    boxes = images.evaluate_all("(all) => all.map((one) => one.parentElement.getBoundingClientRect().right)")
    assert max(boxes) <= 600, "what is wider scrolls, and is not cut off"
    for name in "chain", "delta", "node":
        assert outputs[name]["text/latex"].startswith("$$\\begin{aligned}")
        assert set(outputs[name]) == {"text/latex", "text/plain"}  # a page that is not trusted keeps both
    text = page.inner_text("body")
    for words in "C: ", "path", "∂C/∂z³", "wrong", "nothing found", "predicted change":
        assert words in text, words


def test_on_paper_the_legend_is_below_the_picture(show):
    page = show(stepper(samples()))
    page.emulate_media(media="print")
    picture, legend = (page.locator(part).bounding_box() for part in ("#picture > svg", ".legend"))
    assert legend["y"] >= picture["y"] + picture["height"]
    assert picture["x"] + picture["width"] <= page.viewport_size["width"]


def test_tables_on_a_narrow_page(show, tmp_path):
    """Words are not squeezed into a column of single letters, and the heads of a second table stand apart."""
    report = micrograd.check_gradients(lambda x, y: (x * y).sin() + x.relu(), (0.0, 2.0), order=1)
    page = show.visit(report.save(tmp_path / "gradients.html").as_uri())
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.locator("td", has_text="kink").bounding_box()["width"] > 60
    page = show.visit(steps(diamond()).save(tmp_path / "steps.html").as_uri())
    first, second = (table.bounding_box() for table in page.locator("table").all())
    assert second["y"] - first["y"] - first["height"] >= 10


def run(jupyter: Any, *command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], env=jupyter, check=True, capture_output=True, timeout=120)


def test_html_of_nbconvert_from_disk(show, tmp_path, jupyter):
    pytest.importorskip("nbconvert", reason="nbconvert is not installed: pip install nbconvert")
    a_notebook(tmp_path / "square.ipynb")
    run(jupyter, "nbconvert", "--to", "html", "--template", "basic", str(tmp_path / "square.ipynb"))
    page = show.visit((tmp_path / "square.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("#last").click()
    expect(frame.locator("#place")).to_have_text("4 / 4")
    expect(page.locator("img")).to_be_hidden()


@contextmanager
def jupyterlab(jupyter: Any, folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--ServerApp.port_retries=0", "--IdentityProvider.token=secret", f"--ServerApp.root_dir={folder}",
               "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    server = subprocess.Popen(command, env=jupyter, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:  # it waits for a kernel that does not answer
            server.kill()
            server.wait()


@pytest.mark.slow  # JupyterLab takes its time to start
def test_in_jupyterlab_untrusted_trusted_and_run_again(browser, tmp_path, jupyter):
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed: pip install jupyterlab")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in "fresh", "trusted":
        a_notebook(folder / f"{name}.ipynb")
    for name in "views", "trusted-views":
        views_notebook(folder / f"{name}.ipynb")
    for name in "trusted", "trusted-views":
        run(jupyter, "jupyter", "trust", str(folder / f"{name}.ipynb"))
    with jupyterlab(jupyter, folder) as address:
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        page = context.new_page()
        page.goto(f"{address}/lab/tree/fresh.ipynb?token=secret&reset")
        still = page.locator(".jp-OutputArea-output img[src^='data:image/svg+xml']")
        expect(still).to_be_visible(timeout=60_000)
        assert page.locator(".jp-OutputArea-output iframe").count() == 0, "an untrusted notebook loses its frames"
        assert page.evaluate("document.querySelector('.jp-OutputArea-output img').naturalWidth") > 100
        assert "trust the notebook" in page.inner_text(".jp-OutputArea-output")

        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=60_000)
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")  # run the cell
        the_stepper(page, still)

        page.goto(f"{address}/lab/tree/trusted.ipynb?token=secret&reset")
        the_stepper(page, still)

        for name in "views", "trusted-views":
            page.goto(f"{address}/lab/tree/{name}.ipynb?token=secret&reset")
            expect(page.locator("mjx-container")).to_have_count(3, timeout=60_000)  # the derivations, typeset
            assert page.locator(".jp-OutputArea-output mjx-merror").count() == 0
            pictures = page.locator(".jp-OutputArea-output :is(img, svg:has(g.node))")
            expect(pictures).to_have_count(4)
            for picture in pictures.all():
                assert picture.bounding_box()["width"] > 200
            for text in "path", "wrong", "nothing found", "predicted change":
                expect(page.locator(".jp-OutputArea-output", has_text=text).first).to_be_attached()
        context.close()


def the_stepper(page: Any, still: Any) -> None:
    """What a trusted notebook shows: the page in its frame, in the theme of the notebook, and not the still picture."""
    frame = page.frame_locator(".jp-OutputArea-output iframe")
    expect(frame.locator("#place")).to_have_text("1 / 4", timeout=60_000)
    expect(still).to_be_hidden()
    frame.locator("#next").click()
    page.keyboard.press("ArrowRight")
    expect(frame.locator("#place")).to_have_text("3 / 4")
    html = frame.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    expect(html).to_have_attribute("data-theme", "dark")
