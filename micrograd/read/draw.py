"""Drawing a recorded graph: `draw(y)` is a graphviz.Digraph, which notebooks show and `.render("y")` saves.

One box a node, with its label, its op, its data and its gradient; one arrow from each argument. Graphviz places them:
the `dot` of an installed Graphviz, or else that of the package graphviz-pure, which needs no installation.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

try:
    import graphviz
    from graphviz.backend import dot_command
except ImportError as error:
    raise ImportError("micrograd.draw needs the package graphviz: pip install graphviz graphviz-pure") from error

from ..engine import Value, topological_order
from ..ops import CONSTANT
from .formula import unicode_label

DIRECTIONS = ("LR", "TB", "RL", "BT")
LONGEST_LABEL = 40  # characters; the rest of a longer one is left out

# Dark ink on pale fills, and grey lines on no background: readable on a white page and on a black one.
INK, LINE = "#1f2937", "#7d8794"
FILL = {"constant": "#eceef1", "input": "#fdf3d0", "named": "#dcf1de", "computed": "#e3edfb", "output": "#fbe0dc"}

SYMBOLS = {"*": "×", "-": "−", "/": "÷"}  # where a typewriter's sign has a better one

ESCAPES = str.maketrans({character: f"\\{character}" for character in '\\{}|<>"'})


def draw(root: Value | Iterable[Value], direction: str = "LR", max_nodes: int = 500) -> Drawing:
    """Draw the graph of a Value, or of several.

    A graphviz.Digraph comes back: a notebook shows it, `.render("name", format="png")` writes a file, `.source` is its
    DOT text, the same for the same graph. Pale fills tell constants (grey), leaves (yellow), leaves with a label
    (green), computed nodes (blue) and the roots (red) apart. "grad –" marks what no backward() has reached yet.

    direction: where the arrows lead: "LR" (left to right), "TB" (top to bottom), "RL" or "BT".
    Raises ValueError if there are more than max_nodes nodes.
    """
    roots = [root] if isinstance(root, Value) else list(root) if isinstance(root, Iterable) else [root]
    for each in roots:
        if not isinstance(each, Value):
            raise TypeError(f"draw(root) needs a Value or several, found {type(each).__name__} {each!r:.40}")
    if not roots:
        raise ValueError("draw(root) needs a Value or several, found none")
    if direction not in DIRECTIONS:
        raise ValueError(f"draw(direction=...) is one of {', '.join(DIRECTIONS)}; found {direction!r}")
    order, ends = topological_order(*roots), dict.fromkeys(roots)
    if len(order) > max_nodes:
        raise ValueError(f"the graph has {len(order):,} nodes, more than max_nodes={max_nodes:,}: draw a part of it "
                         "(one output, one sample, a node in the middle), or draw(root, max_nodes=...) for a large "
                         "picture that takes its time")
    drawing = Drawing(
        format="svg",
        graph_attr={"rankdir": direction, "ordering": "in", "bgcolor": "transparent",
                    "nodesep": "0.2", "ranksep": "0.4"},
        node_attr={"shape": "record", "style": "rounded,filled", "color": LINE, "fontcolor": INK, "fontsize": "12",
                   "fontname": "Helvetica", "height": "0.3", "margin": "0.12,0.05"},
        edge_attr={"color": LINE, "arrowsize": "0.7"})
    reached = reached_by_backward(order)
    names = {node: f"n{i}" for i, node in enumerate(order)}
    for node, name in names.items():
        role = "output" if node in ends and node.parents else role_of(node)
        drawing.node(name, record(node, node in reached, direction), fillcolor=FILL[role])
        for parent in node.parents:
            drawing.edge(names[parent], name)
    return drawing


def role_of(node: Value) -> str:
    """What the colour of a node's box tells: a key of FILL."""
    return "computed" if node.parents else "constant" if node.op is CONSTANT else "named" if node.label else "input"


def reached_by_backward(order: list[Value]) -> set[Value]:
    """The nodes whose gradient is known: where it is 0, that is a result if a node computed from it has another."""
    reached: set[Value] = set()
    for node in reversed(order):
        if node in reached or node.grad != 0.0:
            reached.update((node, *node.parents))
    return reached


def record(node: Value, reached: bool, direction: str) -> str:
    """What a node's box says, as the label of a DOT record: label and op above, data and gradient below."""
    label, symbol = field(node.label), field(SYMBOLS.get(node.op.symbol, node.op.symbol))
    head = " | ".join(part for part in (label, symbol) if part)
    if node.op is CONSTANT:
        return f"{label} = {number(node.data)}" if label else number(node.data)
    body = f"data {number(node.data)} | grad {number(node.grad) if reached else '–'}"
    rows = f"{{{head}}} | {{{body}}}" if head else f"{{{body}}}"
    return rows if direction in ("LR", "RL") else f"{{{rows}}}"  # Graphviz turns records with the direction


def number(x: float) -> str:
    """Four significant digits, with the minus sign of print; 0 for -0.0."""
    digits, e, exponent = f"{x + 0.0:.4g}".partition("e")
    return f"{digits}{e}{int(exponent) if e else ''}".replace("-", "−")


def field(words: str) -> str:
    """A label as a field of a DOT record: of a length that fits into a box, and no character taken for a command.

    It gets slack on both sides, as the font of a page may be wider than the one that the boxes were laid out for.
    """
    words = unicode_label(words)
    if len(words) > LONGEST_LABEL:
        words = words[:LONGEST_LABEL - 1] + "…"
    slack = "\u00a0" * (len(words.encode()) // 8)
    return slack + words.replace("&", "&amp;").translate(ESCAPES) + slack


class Drawing(graphviz.Digraph):  # type: ignore[misc]  # the package has no types
    """A graphviz.Digraph that finds a `dot` to render it, and shows its DOT text in a notebook where there is none."""

    def pipe(self, *args: Any, **options: Any) -> Any:
        use_any_dot()
        return super().pipe(*args, **{"quiet": True, **options})

    def render(self, *args: Any, **options: Any) -> Any:
        use_any_dot()
        return super().render(*args, **{"quiet": True, **options})

    def _repr_image_svg_xml(self) -> str:
        """What a notebook shows: as wide as the page at the most."""
        picture: str = super()._repr_image_svg_xml()
        return picture.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> Any:
        try:
            return super()._repr_mimebundle_(*args, **options)
        except graphviz.ExecutableNotFound as error:
            return {"text/plain": f"// {error}\n{self.source}"}


def use_any_dot() -> None:
    """Point the package graphviz to the executable of graphviz-pure, if it would find none.

    Raises graphviz.ExecutableNotFound if there is neither. An environment that is not activated has its scripts folder
    nowhere on PATH, so that is looked at as well.
    """
    if shutil.which(os.fspath(dot_command.DOT_BINARY)):
        return
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")),
               os.path.dirname(sys.executable), os.environ.get("PATH", "")]
    pure = shutil.which("graphviz-pure", path=os.pathsep.join(folders))
    if pure is None:
        error = graphviz.ExecutableNotFound(["dot"])
        error.args = ("No Graphviz to place the boxes: pip install graphviz-pure (no administrator needed), or install "
                      "Graphviz (https://graphviz.org/download) so that `dot` is on PATH.",)
        raise error
    dot_command.DOT_BINARY = Path(pure)
