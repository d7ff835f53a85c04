"""The program of test_pyodide.py, which runs in the Python of browsers: a line of JSON for each section.

What a page has of micrograd is one Python process with little stack, no threads and no executables, and the pure engine.
"""

import copy
import gc
import json
import pickle
import re
import sys
import tempfile
import traceback
import types
import warnings
from pathlib import Path
from time import perf_counter
from unittest.mock import MagicMock
from xml.etree import ElementTree

NOTEBOOKS = ["01-derivatives-and-the-chain-rule", "02-the-four-layer-chain", "03-train-an-mlp",
             "04-see-the-backward-pass", "05-explain-and-grade-your-homework", "06-what-goes-wrong"]


def neuron():
    from micrograd import Value
    y = (Value(-3.0, "w") * Value(2.0, "x") + Value(6.5, "b")).tanh()
    y.label = "y"
    return y


def without_a_renderer():
    import graphviz

    import micrograd
    y = neuron()
    assert "(no picture: In a browser" in y._repr_mimebundle_()["text/plain"]
    assert micrograd.draw(y)._repr_mimebundle_()["text/plain"].startswith("// In a browser there is no executable")
    try:
        micrograd.draw(y).pipe(format="png")
    except graphviz.ExecutableNotFound as error:
        assert 'micrograd.draw.renderer: the README has the lines, under "In the browser"' in str(error)
    else:
        raise AssertionError("a PNG of nothing")


async def the_lines_of_the_readme():
    from pyodide.code import eval_code_async
    [lines] = [block for block in re.findall(r"```py\n(.*?)```", Path("/clone/README.md").read_text(), re.S)
               if "draw.renderer" in block]
    lines, urls = re.subn(r"https://[^'\"]+", WASM_GRAPHVIZ, lines)  # noqa: F821  # which pyodide.mjs sets
    assert urls == 1
    lines = "\n".join(line for line in lines.splitlines() if not line.startswith("%pip"))
    await eval_code_async(lines, {})


def draws():
    import micrograd
    y = neuron()
    svg = ElementTree.fromstring(micrograd.draw(y).pipe(format="svg", encoding="utf-8"))
    assert {"n0", "e2_0"} <= {element.get("id") for element in svg.iter()}
    assert list(y._repr_mimebundle_()) == ["text/plain", "text/html", "image/svg+xml"]
    assert "image/svg+xml" in micrograd.draw(micrograd.MLP(2, [3, 1]), clusters=True)._repr_mimebundle_()
    with tempfile.TemporaryDirectory() as folder:
        written = micrograd.draw(y).render(outfile=f"{folder}/y.svg", cleanup=True)
        assert ElementTree.parse(written) and [path.name for path in Path(folder).iterdir()] == ["y.svg"]


def numbers():
    import micrograd
    assert micrograd.engine_kind() == "pure"
    y = neuron()
    y.backward()
    w, x = y.parents[0].parents[0].parents
    assert (y.data, w.grad, x.grad) == (0.46211715726000974, 1.572895465931855, -2.3593431988977827)
    assert micrograd.grad(micrograd.grad(lambda x: x**3))(2.0) == 12.0
    assert micrograd.check_gradients(lambda v: micrograd.log(v[0]) * v[1] ** 2, [1.5, -2.0])


def a_chain_of_100_000_nodes():
    import micrograd
    x, b = micrograd.Value(1.0), micrograd.Value(2.0**-20)
    y = x
    for _ in range(50_000):
        y = y * x + b
    y.backward()
    assert b.grad == 50_000.0 == micrograd.gradient(y, b).data
    others = [copy.copy(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y))]
    for other in others:
        assert (other.data, other.local_derivatives) == (y.data, y.local_derivatives)
    del other, others, y  # each of them frees its nodes


def a_deep_graph_in_a_cycle():
    import micrograd

    class Node(micrograd.Value):  # one with a __dict__
        pass

    y = x = Node(1.0)
    for _ in range(20_000):
        y = y + x
    x.last = y
    del x, y
    gc.collect()


def explains_and_steps():
    import micrograd
    net = micrograd.MLP(1, [1, 1, 1], activation="sigmoid", output="sigmoid", rng=1)
    C = micrograd.losses.half_squared_error(net([0.5]), 1.0)
    C.label = "C"
    assert str(micrograd.explain(C, wrt=net.layers[0].neurons[0].w[0])).endswith("= −0.00112887")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        micrograd.stepper(C).save(page)
        assert "<svg" in page.read_text()
    assert micrograd.grade(C, {"δ4": "(a4 - y) * a4 * (1 - a4)"}).answers["δ4"].verdict == "exact"


def fits():
    from tqdm.auto import tqdm

    import micrograd
    net = micrograd.MLP(2, [8, 1], activation="tanh", rng=1)
    X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]
    history = micrograd.fit(net, X, Y, loss=micrograd.losses.max_margin, optimizer=micrograd.Adam(lr=0.05), epochs=100,
                            progress=True)
    assert history.loss[-1] < 0.1 and tqdm.monitor_interval == 0
    assert list(micrograd.compile(lambda a, b: a * b + b**3).map([1, 2, 3], [4, 5, 6])) == [68.0, 135.0, 234.0]


def run_notebook(name):
    """Its cells, one after the other, and what a notebook would show; only plots go nowhere (npm's pyodide has no
    matplotlib)."""
    from pyodide.code import eval_code
    pictures = []

    def display(*things):
        for thing in things:
            if hasattr(thing, "_repr_mimebundle_") and not isinstance(thing, MagicMock):
                bundle = thing._repr_mimebundle_()
                assert "no picture" not in bundle.get("text/plain", ""), bundle["text/plain"]
                pictures.append("image/svg+xml" in bundle)

    names = {"__name__": "__main__", "display": display}
    for cell in json.loads(Path(f"/clone/notebooks/{name}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            display(eval_code("".join(cell["source"]), names))
    assert any(pictures), "draw() shows a picture"


def stand_ins():
    """In the place of packages that npm's pyodide lacks: pictures of matplotlib and of IPython are not looked at."""
    def subplots(rows=1, columns=1, **options):
        axes = [MagicMock() for _ in range(rows * columns)]
        return MagicMock(), axes[0] if len(axes) == 1 else axes

    pyplot = MagicMock(subplots=subplots)
    sys.modules |= {"matplotlib": types.SimpleNamespace(pyplot=pyplot), "matplotlib.pyplot": pyplot,
                    "IPython": MagicMock(), "IPython.display": MagicMock()}


SECTIONS = [without_a_renderer, the_lines_of_the_readme, draws, numbers, a_chain_of_100_000_nodes,
            a_deep_graph_in_a_cycle, explains_and_steps, fits]


async def main():
    for section in SECTIONS:
        await report(section.__name__, section)
    stand_ins()
    for name in NOTEBOOKS:
        await report(name, lambda name=name: run_notebook(name))


async def report(name, section):
    start, wrong = perf_counter(), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = section()
            if result is not None:
                await result
    except Exception:
        wrong = traceback.format_exc()
    print(json.dumps({"section": name, "wrong": wrong, "seconds": round(perf_counter() - start, 2)}), flush=True)
