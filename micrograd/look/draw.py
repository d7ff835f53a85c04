"""Drawing a recorded graph: `draw(y)` is a graphviz.Digraph, which notebooks show and `.save("y.svg")` writes.

One box a node, with its label, its op, its data and its gradient; one arrow from each argument. `collapse` folds each
neuron, or each layer, into one box: neurons are told by the labels of the notation. Graphviz places the boxes: the
`dot` of an installed Graphviz, or else that of the package graphviz-pure, which needs no installation.

What goes into which box is decided in scene.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from inspect import isawaitable
from math import inf, isfinite, log10
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast

try:
    import graphviz
    from graphviz.backend import dot_command
except ImportError as error:
    raise ImportError("micrograd.draw needs the package graphviz: pip install graphviz graphviz-pure") from error

from ..arguments import counted, is_number, number
from ..engine import Value, topological_order
from ..files import FileName, write_whole
from ..formulas.algebra import Terms, formula_of, number_of
from ..formulas.graph import edges_of
from ..formulas.layout import cut, indices, printable, unicode_label
from ..ops import CONSTANT
from ..packages import IN_BROWSER
from ..page import page
from ..save import Writer, saved
from .grouping import (
    NODES,
    Arrow,
    Layer,
    Neuron,
    Scene,
    collapse_of,
    fired,
    is_network,
    roles_of,
    title_of,
    values_of,
)
from .tex import tikz_document

EVERYWHERE = ("svg", "png", "json", "dot", "gv")  # the formats that every Graphviz writes
PIXELS = ("png", "jpg", "jpeg", "jpe", "gif", "bmp", "webp", "tif", "tiff")
PIXELS_TO_THE_INCH = 192  # of a picture that is saved: twice as many as Graphviz makes, to be sharp on paper
DIRECTIONS = ("LR", "TB", "RL", "BT")
PORTS = {"LR": "ew", "TB": "sn", "RL": "we", "BT": "ns"}  # where straight arrows leave a box, and where they arrive
LENGTH = 20         # of all arrows, in columns, for each of max_nodes: Graphviz takes the square of it in time
SMALLEST = 0.45     # of its size, a picture in HTML
LONGEST_LABEL = 40  # characters; the rest of a longer one is left out
LABELLED = 12       # arrows into neurons, at the most, that have their weights beside them
ROOMY = 6           # neurons in a layer, at the most, whose boxes have two lines

# Dark ink on pale fills, and lines of a middle grey on no background: readable on a white page and on a black one.
INK, SOFT, LINE, GRADIENT = "#1f2937", "#667080", "#7d8794", "#b42318"
PLUS, MINUS = "#3b82c4", "#d9682b"  # weights: blue and orange, which everyone can tell apart
HEAT = ((125, 135, 148), (176, 92, 160), (224, 79, 95), (240, 120, 30))  # gradients, from small to large
DECADES = 3  # of gradients that differ in colour

# Every role has a fill, and an outline of its own for whoever does not see the fill.
LOOKS = {
    "constant": {"fillcolor": "#e6e9ed", "style": "rounded,filled", "penwidth": "0"},
    "input": {"fillcolor": "#fdf0c4", "style": "filled"},
    "parameter": {"fillcolor": "#d8f0da", "style": "filled", "shape": "note"},
    "computed": {"fillcolor": "#e1ecfb", "style": "rounded,filled"},
    "output": {"fillcolor": "#fbdcd7", "style": "rounded,filled", "penwidth": "2.2"},
}

SYMBOLS = {"*": "×", "-": "−", "/": "÷", "**": "^"}  # where a typewriter's sign has a better one


P = ParamSpec("P")
T = TypeVar("T", covariant=True)


class Rendering(Protocol[P, T]):
    """A function whose pictures another may make: `micrograd.draw.renderer = f`."""

    renderer: Callable[[str], str] | None  # from DOT text to SVG text; asked before an executable is sought

    def __call__(self, *args: P.args, **options: P.kwargs) -> T: ...


def rendering(function: Callable[P, T]) -> Rendering[P, T]:
    drawing = cast("Rendering[P, T]", function)
    drawing.renderer = None
    return drawing


@rendering
def draw(root: Any, direction: str = "LR", max_nodes: int = 500, *, values: bool = True, gradients: bool = True,
         slopes: bool | str = False, by_gradient: bool = False, clusters: bool = False,
         collapse: str | bool | None = None, names: bool = False) -> Drawing:
    """Draw the graph of a Value, or of several, or a network (a Neuron, a Layer, an MLP), or a compiled function.

    What a box stands for is told by its fill and its outline::

        constant    grey, without an outline     a number that met a Value
        input       yellow, square corners       a leaf
        parameter   green, a corner folded       a leaf labelled as a weight or a bias: w, w1, b^{2}_{1}
        computed    blue, round corners          the result of an op
        output      red, a thick outline         a root, if it was computed

    In the SVG the i-th node in topological order has the id "n{i}", the arrow from its j-th argument "e{i}_{j}", and
    roles are classes. A collapsed box has the id of its last node.

    Where `micrograd.draw.renderer = f` is set, f(DOT text) → SVG text makes all pictures in place of an installed
    Graphviz: in a browser, say.

    Args:
        root: what to draw; several in a list.
        direction: where the arrows lead: "LR" (left to right), "TB" (top to bottom), "RL" or "BT".
        max_nodes: how many boxes there may be.
        values, gradients: whether boxes show data and gradient. "grad –" marks what no backward() has reached yet.
        slopes: True writes the local derivative on each arrow; "formulas" its formula too, and names all nodes.
        by_gradient: arrows thick and bright where much gradient flows back along them (the gradient of the node times
            the local derivative), with a legend; dotted where it is 0. Call backward() first.
        clusters: a frame around each layer and each neuron.
        collapse: "neuron": one box a neuron, and its weights on the arrows; "layer": one box a layer. Networks are
            drawn so by default; False draws all of their nodes.
        names: also name the nodes without a label, v₁, v₂, ..., as `steps` and `explain` do.

    Returns:
        A graphviz.Digraph: a notebook shows it, `.save("graph.svg")` (or .png, .pdf, .tex, ...) writes a file,
        `.source` is its DOT text, the same for the same graph.

    Raises:
        ValueError: for more than max_nodes boxes, or arrows too long to place; for collapse or clusters where no label
            tells a neuron, and for by_gradient before any backward().
        TypeError: for what is nothing to draw.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> picture = micrograd.draw(w * x, direction="TB")
        >>> picture.save("product.dot")
        'product.dot'
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"draw(direction=...) is one of {', '.join(DIRECTIONS)}; found {direction!r}")
    if slopes not in (True, False, "formulas"):
        raise ValueError(f'draw(slopes=...) is True, False or "formulas"; found {slopes!r}')
    if not (collapse is None or collapse is False or collapse in ("neuron", "layer")):
        raise ValueError(f'draw(collapse=...) is "neuron", "layer" or False; found {collapse!r}')
    names = names or slopes == "formulas"
    if hasattr(root, "graph"):  # a compiled function, which has been recorded without numbers
        root, values, gradients = root.graph(), False, False
    network = is_network(root)
    roots = fired(root) if network else values_of(root)
    order = topological_order(*roots)
    if network and collapse is None:
        collapse = collapse_of(root, len(order))
    scene = Scene(order, roots, network, dict.fromkeys(root.parameters()) if network else None)
    if (collapse or clusters) and not scene.neurons:
        raise ValueError("draw(collapse=..., clusters=...) finds no neuron: they are told by labels such as z^{2}_{1} "
                         "and a^{2}_{1} (or z^{2} and a^{2}, for one neuron a layer) on what is computed from leaves "
                         "labelled w^{2}_{1,1}, b^{2}_{1}; the networks of micrograd.nn label themselves")
    if collapse:
        scene.fold(str(collapse))
    boxes = scene.boxes()
    if len(boxes) > number(max_nodes, "draw(max_nodes)"):
        what = "nodes" if not collapse else "nodes even after folding"
        raise ValueError(f"the graph has {len(boxes):,} {what}, more than max_nodes={max_nodes:,}: draw a part of it "
                         '(one output, one sample, a node in the middle), a network with collapse="neuron" or '
                         'collapse="layer", or draw(root, max_nodes=...) for a large picture that takes its time')
    length = scene.length_of_arrows()
    if length > LENGTH * max_nodes:
        raise ValueError(f"the arrows of this graph are too long to place, {length:,} columns in all: a node is used "
                         "far from where it is made, again and again (as in a sum over a loop). Draw a part of it, a "
                         'network with collapse="layer", or draw(root, max_nodes=...) and some minutes of patience')
    if by_gradient and not any(node.grad for node in order):
        raise ValueError("draw(by_gradient=True) needs gradients, and all are 0: call backward() on the result first")
    return Painter(scene, direction, values, gradients, slopes, by_gradient, clusters, collapse, names).painted(boxes)


def svg_of(root: Any, **options: Any) -> str:
    """The picture that `draw(root, **options)` makes, as an <svg> element to put into a page.

    Ids and classes are those of `draw`. The <text> elements of a node's box end in "data", its number, "grad", and its
    number, which have room for ten characters; a constant's is one text, "0.5" or "x = 0.5".
    """
    return element(draw(root, **options).pipe(format="svg", encoding="utf-8"))


def element(svg: str) -> str:
    """What Graphviz wrote, without what stands before the <svg> element, and without comments."""
    return re.sub(r"<!--.*?-->\n?", "", svg[svg.index("<svg"):], flags=re.DOTALL).strip()


# DOT

@dataclass(slots=True, eq=False)
class Painter:
    """Writes a scene as DOT."""

    scene: Scene
    direction: str
    values: bool
    gradients: bool
    slopes: bool | str
    by_gradient: bool
    clusters: bool
    collapse: str | bool | None
    names: bool

    def painted(self, boxes: list[Value]) -> Drawing:
        scene, net = self.scene, self.collapse == "neuron"
        arrows = scene.arrows()
        weights = {id(arrow): scene.weight(arrow) for arrow in arrows} if net else {}
        dense = net and sum(weight is not None for weight in weights.values()) > LABELLED
        drawing = Drawing(
            format="svg",
            graph_attr={"rankdir": self.direction, "nslimit": "5", "nslimit1": "5",  # patience, in rounds for each node
                        "bgcolor": "transparent", "fontname": "Helvetica",
                        "fontsize": "11", "fontcolor": LINE, "pad": "0.1",
                        "nodesep": "0.12" if dense else "0.22",
                        "ranksep": "0.45" if not dense else "1.8" if scene.symbolic else "1.3",
                        **({"splines": "line"} if dense else {} if net or self.clusters else {"ordering": "in"})},
            node_attr={"shape": "box", "color": LINE, "fontcolor": INK, "fontsize": "12", "fontname": "Helvetica",
                       "height": "0.3", "width": "0.3", "margin": "0.05,0.03"},
            edge_attr={"color": LINE, "fontcolor": LINE, "fontsize": "10", "fontname": "Helvetica", "arrowsize": "0.7"})
        widest = Counter((neuron.layer, neuron.sample) for neuron in scene.neurons).most_common(1)
        compact = bool(net and widest and widest[0][1] > ROOMY and self.direction in ("LR", "RL"))
        drawn = {node: self.box(node, compact) for node in boxes}
        rest = self.frames(drawing, drawn, net) if self.clusters and not dense else boxes
        for node in rest:
            drawing.node(self.id(node), **drawn[node])
        if net:
            self.columns(drawing, boxes, dense or scene.symbolic)
        terms = Terms(scene.names) if self.slopes == "formulas" else None
        sent = sent_by_backward(scene.order)
        flows = {id(arrow): sum(sent.get(edge, 0.0) for edge in arrow.edges) for arrow in arrows}
        scale = scale_of(flows.values()) if self.by_gradient else scale_of(w.data for w in weights.values() if w)
        thickest = 2.0 if dense else 4.0
        met: Counter[Value] = Counter()
        for arrow in arrows:
            j = arrow.edges[0][1] if not self.collapse else met[arrow.head]
            met[arrow.head] += 1
            look = {"id": f"e{scene.place[arrow.head]}_{j}"}
            weight = weights.get(id(arrow))
            if self.by_gradient:
                look |= flow_line(flows[id(arrow)], scale, thickest)
            elif weight is not None:
                look |= weight_line(weight.data, scale, *((0.2, 1.8) if dense else (0.7, 1.8)))
            if self.clusters and not self.collapse and self.enters(arrow):
                look["minlen"] = "2"  # so that the neuron's own leaves stand beside the layer before, not above it
            if dense:
                look |= {"tailport": PORTS[self.direction][0], "headport": PORTS[self.direction][1], "arrowsize": "0.4"}
                look |= {} if self.by_gradient else {"arrowhead": "none"}
            label = self.beside(arrow, weight, terms, dense)
            if label:
                look["label"] = f"<{slack(label)}>"
            drawing.edge(self.id(arrow.tail), self.id(arrow.head), **look)
        if self.by_gradient:
            drawing.graph_attr["label"] = flow_legend(scale, [*flows.values()], thickest)
        elif dense:
            drawing.graph_attr["label"] = weight_legend(scale)
        return drawing

    def id(self, node: Value) -> str:
        return f"n{self.scene.place[node]}"

    def enters(self, arrow: Arrow) -> bool:
        """Whether the arrow leads into a neuron from the layer before."""
        owner = self.scene.member.get(arrow.head)
        return (owner is not None and self.scene.member.get(arrow.tail) is not owner
                and self.scene.roles[arrow.tail] != "parameter")

    def beside(self, arrow: Arrow, weight: Value | None, terms: Terms | None, dense: bool) -> str:
        """What is written beside an arrow."""
        if dense:
            return ""
        if weight is not None:
            name = self.called(weight)
            return f"{name} = {number_of(weight.data)}" if self.values else name
        node, i = arrow.edges[0]
        if not self.slopes or len(arrow.edges) > 1 or node.parents[i].op is CONSTANT:
            return ""
        if terms is None:
            return "" if self.scene.symbolic else number_of(node.local_derivatives[i])
        rule, x = formula_of(terms.slope(node, i)).text, number_of(node.local_derivatives[i])
        return rule if rule == x or self.scene.symbolic else f"{cut(rule, LONGEST_LABEL)} = {x}"

    # Boxes

    def box(self, node: Value, compact: bool) -> dict[str, str]:
        """The DOT attributes of a box."""
        scene = self.scene
        role, folded = scene.roles[node], self.collapse and node in scene.member
        look = {"id": self.id(node), "class": role, **LOOKS[role]}
        if node in scene.layers:
            return look | self.layer_box(node)
        if folded:
            return look | self.neuron_box(scene.member[node], compact)
        name = self.name(node)
        if node.op is CONSTANT:
            x = number_of(node.data)
            look["label"] = f"<{slack(f'{name} = {x}' if name else x)}>"
            return look
        if scene.symbolic and self.collapse:
            return look | disc(name or SYMBOLS.get(node.op.symbol, node.op.symbol))
        head = cells(bold(name) if name else "", text(SYMBOLS.get(node.op.symbol, node.op.symbol)))
        look["label"] = card(head, self.numbers(node))
        return look

    def called(self, node: Value) -> str:
        return cut(unicode_label(self.scene.names[node]), LONGEST_LABEL)

    def name(self, node: Value) -> str:
        """What a node is called, where that is written."""
        return self.called(node) if node.label or self.names else ""

    def numbers(self, node: Value) -> list[str]:
        """The rows of data and gradient."""
        scene = self.scene
        known = not scene.symbolic or scene.roles[node] == "parameter"
        rows = [row("data", number_of(node.data))] if self.values and known else []
        if self.gradients and (not scene.symbolic or node in scene.reached):
            rows.append(self.gradient("grad", node))
        return rows

    def gradient(self, caption: str, node: Value) -> str:
        return row(caption, number_of(node.grad) if node in self.scene.reached else "–", GRADIENT)

    def neuron_box(self, neuron: Neuron, compact: bool) -> dict[str, str]:
        scene, last, z = self.scene, neuron.last, neuron.z
        symbol = neuron.activation(lambda op: SYMBOLS.get(op.symbol, op.symbol))
        name = self.called(last)
        if scene.symbolic:
            return {"class": f"{scene.roles[last]} neuron", **disc(name)}
        letter = (indices(last.label) or "?")[0]
        numbers = [row(letter, number_of(last.data))] if self.values else []
        if self.gradients:
            numbers.append(self.gradient("δ", z) if z is not None else self.gradient("grad", last))
        if compact or z is None or z is last:
            head = cells(bold(name), text(symbol))
        else:
            head = cells(bold(f"{self.called(z)} → {name}"), text(symbol))
        label = line(head, numbers) if compact else card(head, ["".join(numbers)] if numbers else [], 2 * len(numbers))
        return {"class": f"{scene.roles[last]} neuron", "label": label}

    def layer_box(self, home: Value) -> dict[str, str]:
        layer = self.scene.layers[home]
        rows = [f"<TR><TD>{line_}</TD></TR>" for line_ in self.about(layer)]
        label = f"<{TABLE}<TR><TD>{bold(layer.title)}</TD></TR><HR/>{''.join(rows)}</TABLE>>"
        return {"class": f"{self.scene.roles[home]} layer", "label": label}

    def about(self, layer: Layer) -> list[str]:
        """What a layer's box says of it."""
        if layer.inputs:
            return [text(counted(len({node.label for node in layer.inputs}), "input"))]
        kinds = ", ".join(dict.fromkeys(neuron.activation(lambda op: op.name) for neuron in layer.members))
        lines = [f"{counted(len({neuron.index for neuron in layer.members}), 'neuron')}, {kinds}",
                 counted(len({p for neuron in layer.members for p in neuron.parameters}), "parameter")]
        if samples := max(neuron.sample for neuron in layer.members):
            lines.append(counted(samples, "sample"))
        deltas = [abs(neuron.z.grad) for neuron in layer.members if neuron.z and neuron.z in self.scene.reached]
        found = [text(each) for each in lines]
        if deltas and self.gradients and not self.scene.symbolic:
            found.append(small("largest |δ|  ") + coloured(number_of(max(deltas)), GRADIENT))
        return found

    # Frames and columns

    def frames(self, drawing: Drawing, drawn: dict[Value, dict[str, str]], net: bool) -> list[Value]:
        """Draw the boxes of neurons in frames; the other boxes come back."""
        scene = self.scene
        layers: dict[str, list[Neuron]] = {}
        for neuron in scene.neurons:
            layers.setdefault(neuron.layer, []).append(neuron)
        inside: dict[Neuron, list[Value]] = {neuron: [] for neuron in scene.neurons}
        shared: dict[str, list[Value]] = {}
        owner = {p: neuron for neuron in scene.neurons for p in neuron.parameters}
        rest = []
        for node in drawn:
            if node in scene.layers:
                rest.append(node)
            elif node in scene.member:
                inside[scene.member[node]].append(node)
            elif node in owner:
                shared.setdefault(owner[node].layer, []).append(node)
            elif indices(node.label) and indices(node.label)[:2] == ("a", "1"):  # type: ignore[index]
                shared.setdefault("1", []).append(node)
            else:
                rest.append(node)
        border = {"style": "rounded", "color": LINE, "penwidth": "0.8"}
        for key in [*(["1"] if "1" in shared and "1" not in layers else []), *layers]:
            members = layers.get(key, [])
            if not (shared.get(key) or any(inside[neuron] for neuron in members)):
                continue
            with drawing.subgraph(name=f"cluster_{len(drawing.body)}") as frame:
                frame.attr(label=f"<{text(title_of(key))}>", margin="12", **border)
                for node in shared.get(key, []):
                    frame.node(self.id(node), **drawn[node])
                for neuron in members:
                    if net or len(members) == 1:
                        for node in inside[neuron]:
                            frame.node(self.id(node), **drawn[node])
                        continue
                    sample = f", sample {neuron.sample}" * bool(neuron.sample)
                    with frame.subgraph(name=f"cluster_{len(drawing.body)}_{len(frame.body)}") as inner:
                        inner.attr(label=f"<neuron {text(neuron.index)}{sample}>", **border)
                        inner.attr(style="rounded,dashed")
                        for node in inside[neuron]:
                            inner.node(self.id(node), **drawn[node])
        return rest

    def columns(self, drawing: Drawing, boxes: list[Value], titled: bool) -> None:
        """Keep the neurons of a layer, and the inputs, in one column and in their order, below a title if wanted."""
        scene = self.scene
        columns: dict[tuple[str, int], list[Value]] = {}
        for node in boxes:
            neuron = scene.member.get(node)
            if neuron is not None:
                columns.setdefault((neuron.layer, neuron.sample), []).append(node)
            elif not node.parents and node.label.startswith(("a", "x")):
                columns.setdefault(("1", 0), []).append(node)
        before = ""
        for (layer, sample), column in columns.items():
            names = [self.id(node) for node in column]
            if titled:
                members = [scene.member[node] for node in column if node in scene.member]
                about = self.about(Layer("", members, [] if members else column))[0]
                names.insert(0, f"t{layer}_{sample}")
                drawing.node(names[0], f"<{bold(title_of(layer))}<BR/>{about}>", shape="plain", fontcolor=LINE,
                             fontsize="11", **{"class": "title"})
                if before and sample < 2:
                    drawing.edge(before, names[0], style="invis", weight="100")
                before = names[0]
            with drawing.subgraph() as same:
                same.attr(rank="same")
                for above, below in zip(names, names[1:]):
                    same.edge(above, below, style="invis")


# Labels: HTML-like ones, which Graphviz sets in several fonts

TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">'


def text(words: str) -> str:
    """Any text inside a label: no character of it is taken for markup or, after a backslash, for a command."""
    return escape(printable(words)).replace("\\", "\\\\")


def slack(words: str) -> str:
    """With room on both sides, as the font of a page may be wider than the one that boxes were laid out for."""
    room = "\u00a0" * (len(words.encode()) // 8)
    return room + text(words) + room


def bold(words: str) -> str:
    return f"<B>{slack(words)}</B>"


def small(words: str) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="{SOFT}">{text(words)}</FONT>'


def coloured(words: str, colour: str) -> str:
    return f'<FONT COLOR="{colour}">{text(words)}</FONT>'


def cells(name: str, symbol: str) -> list[str]:
    return [part for part in (name, symbol) if part]


def row(caption: str, number: str, colour: str = INK) -> str:
    """The cells of a caption and its number, which has room for ten digits."""
    return f'<TD ALIGN="LEFT">{small(caption)}</TD><TD ALIGN="LEFT" WIDTH="62">{coloured(number, colour)}</TD>'


def card(head: list[str], rows: Sequence[str], columns: int = 2) -> str:
    """A box with a head, and rows of numbers, of so many cells, below a line."""
    span = max(1, columns // len(head)) if head else 0
    above = "".join(f'<TD COLSPAN="{span}"{align}>{part}</TD>' for part, align in
                    zip(head, ("",) if len(head) == 1 else (' ALIGN="LEFT"', ' ALIGN="RIGHT"')))
    body = "".join(f"<TR>{each}</TR>" for each in rows)
    return f"<{TABLE}{f'<TR>{above}</TR>' if head else ''}{'<HR/>' if head and rows else ''}{body}</TABLE>>"


def line(head: list[str], rows: Sequence[str]) -> str:
    """The same on one line."""
    name = "".join(f'<TD ALIGN="LEFT" WIDTH="{width}">{part}</TD>' for part, width in zip(head, (44, 30)))
    return f"<{TABLE}<TR>{name}{''.join(rows)}</TR></TABLE>>"


def disc(name: str) -> dict[str, str]:
    """The look of a neuron without numbers."""
    return {"shape": "circle", "style": "filled", "fixedsize": "true", "width": "0.5", "fontsize": "11",
            "label": f"<{text(name)}>"}


# Lines

def sent_by_backward(order: Sequence[Value]) -> dict[tuple[Value, int], float]:
    """What backward() has sent along each edge, as (node, which of its arguments), that it has come to."""
    met: dict[Value, None] = {}
    sent: dict[tuple[Value, int], float] = {}
    for node in reversed(order):
        if node in met or node.grad != 0.0:
            for edge in edges_of(node):
                if edge.carries:
                    met[edge.parent] = None
                    sent[edge[:2]] = edge.local * node.grad
    return sent


def scale_of(numbers: Iterable[float]) -> float:
    """The largest of the sizes, infinite ones aside; 1 if there is none."""
    return max((abs(x) for x in numbers if isfinite(x)), default=1.0) or 1.0


def flow_line(flow: float, scale: float, thickest: float) -> dict[str, str]:
    """The look of an arrow along which so much gradient flows."""
    if flow == 0.0:
        return {"style": "dotted"}
    if not isfinite(flow):
        return {"color": rgb(1.0), "penwidth": f"{thickest:g}", "style": "dashed"}
    share = max(0.0, 1.0 + log10(abs(flow) / scale) / DECADES) if abs(flow) / scale > 0.0 else 0.0
    return {"color": rgb(share), "penwidth": f"{pen(share, thickest):.2f}"}


def pen(share: float, thickest: float) -> float:
    return thickest * (0.2 + 0.8 * share)


def rgb(share: float) -> str:
    """A colour of HEAT, from 0 to 1."""
    at = share * (len(HEAT) - 1)
    i = min(int(at), len(HEAT) - 2)
    return "#" + "".join(f"{round(low + (high - low) * (at - i)):02x}" for low, high in zip(HEAT[i], HEAT[i + 1]))


def weight_line(x: float, scale: float, thinnest: float, more: float) -> dict[str, str]:
    share = min(abs(x) / scale, 1.0) if isfinite(x) else 1.0
    return {"color": PLUS if x >= 0 else MINUS, "penwidth": f"{thinnest + more * share:.2f}"}


def flow_legend(scale: float, flows: Sequence[float], thickest: float) -> str:
    shares = [1.0 - k / DECADES for k in range(DECADES + 1)]
    steps = [(rgb(share), pen(share, thickest), number_of(scale * 10.0 ** -k)) for k, share in enumerate(shares)]
    notes = ["dotted: 0"] * any(flow == 0.0 for flow in flows)
    notes += ["dashed: ∞ or nan"] * any(not isfinite(flow) for flow in flows)
    return legend("gradient along an arrow", steps, notes)


def weight_legend(scale: float) -> str:
    return legend("weights", [(PLUS, 2.0, number_of(scale)), (MINUS, 2.0, number_of(-scale))], [])


def legend(title: str, steps: Sequence[tuple[str, float, str]], notes: Sequence[str]) -> str:
    """Below the picture: what its lines mean."""
    found = [f"<TD>{text(title)}\u00a0</TD>"]
    for colour, width, words in steps:
        found.append(f'<TD CELLPADDING="0" WIDTH="26" BORDER="{max(1, round(width))}" SIDES="B" COLOR="{colour}">'
                     f'<FONT POINT-SIZE="5"> </FONT></TD><TD>{text(words)}\u00a0</TD>')
    found += [f"<TD>{text(note)}</TD>" for note in notes]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="1"><TR>{"".join(found)}</TR></TABLE>>'


# Notebooks

def notebook_view(thing: Any) -> dict[str, str]:
    """What a notebook shows of a Value or a network, by MIME type: its repr, and a picture or, if large, a summary.

    Raises nothing: where no picture can be made, the repr says why.
    """
    plain = repr(thing)
    if isinstance(thing, Value) and not thing.parents:
        return {"text/plain": plain}
    try:
        if isinstance(thing, Value):
            order = topological_order(thing)
            large = len(order) > NODES
        else:
            order = topological_order(*fired(thing))
            large = collapse_of(thing, len(order)) == "layer"
        if large:
            return {"text/plain": plain, "text/html": summary(thing, order)}
        return {"text/plain": plain, **picture_views(svg_of(thing), plain)}
    except Exception as error:  # whatever goes wrong, the thing itself must show
        return {"text/plain": f"{plain}\n(no picture: {error})"}


def picture_views(svg: str, words: str) -> dict[str, str]:
    """A picture by MIME type, twice: nbconvert makes an image of an SVG and cuts off what is wider than the page,
    so that there is HTML; whoever takes no HTML finds the SVG."""
    return {"text/html": image(svg, words),
            "image/svg+xml": svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)}


def image(svg: str, words: str) -> str:
    """A picture as an HTML image, which a notebook that is not trusted shows as well; the words are its description.

    It is as wide as the page at the most, but so that it can be read: where it would be smaller, it scrolls.
    """
    width = re.search(r'width="([\d.]+)pt"', svg)
    least = f"min-width: {SMALLEST * float(width[1]):.0f}pt; " if width else ""
    return (f'<div style="overflow-x: auto"><img alt="{escape(words)}" style="{least}max-width: 100%; height: auto" '
            f'src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"></div>')


def summary(thing: Any, order: list[Value]) -> str:
    """What there is to say of a graph that is too large for a picture, as an HTML table."""
    network = None if isinstance(thing, Value) else dict.fromkeys(thing.parameters())
    roles = Counter(roles_of(order, [order[-1]], network).values())
    ops = Counter(SYMBOLS.get(node.op.symbol, node.op.symbol) for node in order if node.parents)
    depth: dict[Value, int] = {}
    for node in order:
        depth[node] = 1 + max((depth[parent] for parent in node.parents), default=-1)
    leaves = ", ".join(counted(roles[role], role) for role in ("parameter", "input", "constant") if roles[role])
    rows = {"nodes": f"{len(order):,}", "leaves": leaves, "depth": f"{max(depth.values()):,} ops",
            "ops": ", ".join(f"{n:,} {symbol}" for symbol, n in ops.most_common())}
    if isinstance(thing, Value):
        name = printable(thing.label)
        title = f"{name} = {number_of(thing.data)}" if name else f"Value {number_of(thing.data)}"
        labelled = any(node.parents and (indices(node.label) or "?")[0] in ("z", "a") for node in order)
        calls = ['draw(..., collapse="neuron")', 'draw(..., collapse="layer")'] * labelled
        calls.append("draw(...) of a part of it")
    else:
        title = f"{type(thing).__name__}, {counted(len(network or ()), 'parameter')}"
        calls = ["draw(...): one box a layer", 'draw(..., collapse="neuron", max_nodes=...)']
    rows["to see it"] = "; ".join(calls)
    cell = 'style="text-align: left; vertical-align: top"'
    body = "".join(f"<tr><th {cell}>{escape(name)}</th><td {cell}>{escape(words)}</td></tr>"
                   for name, words in rows.items())
    return f'<table><caption style="text-align: left">{escape(cut(title, LONGEST_LABEL))}</caption>{body}</table>'


# Rendering

class Drawing(graphviz.Digraph):  # type: ignore[misc]  # the package has no types
    """A graphviz.Digraph that finds a `dot` to render it, and shows its DOT text in a notebook where there is none."""

    def __repr__(self) -> str:
        return "<drawing of a graph; .save('graph.svg') writes it>"

    def __str__(self) -> str:
        """The DOT text; signs that standard output has not are written by their numbers, as Graphviz reads them."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        return str(self.source).encode(encoding, "xmlcharrefreplace").decode(encoding)

    def pipe(self, format: str | None = None, *args: Any, **options: Any) -> Any:
        svg = hooked(self.source) if (format or self.format) == "svg" else None
        if svg is not None:
            return svg if options.get("encoding") else svg.encode()
        use_any_dot()
        check_format(format or self.format)
        return super().pipe(format, *args, **{"quiet": True, **options})

    def render(self, filename: Any = None, *args: Any, **options: Any) -> Any:
        outfile = options.get("outfile")
        format = options.get("format") or (Path(outfile).suffix[1:] if outfile else self.format)
        svg = hooked(self.source) if format == "svg" and not options.get("view") else None
        if svg is not None:
            source = super().save(filename or (outfile and Path(outfile).with_suffix(".gv")),
                                  directory=options.get("directory"))
            rendered = os.fspath(outfile or f"{source}.svg")
            write_whole(rendered, svg.encode())
            if options.get("cleanup"):
                os.remove(source)
            return rendered
        use_any_dot()
        try:
            return super().render(filename, *args, **{"quiet": True, **options})
        except graphviz.CalledProcessError as error:
            check_format(next((str(word)[2:] for word in error.cmd if str(word).startswith("-T")), EVERYWHERE[0]))
            raise

    def save(self, filename: FileName | None = None, directory: FileName | None = None, *,
             skip_existing: bool | None = False, dpi: float | None = None) -> str:
        """Write the picture to a file.

        Args:
            filename: of the file, whose ending says how: .svg, .png, .pdf, .tex (TikZ, for pdflatex), .html, or another
                format of Graphviz; .gv, .dot and names without an ending get the DOT text, as graphviz has it.
            directory: where, as graphviz has it.
            skip_existing: leave a file that is there as it is.
            dpi: pixels to the inch, of .png and its like; 192 by default.

        Returns:
            The path.

        Raises:
            ValueError: for an ending that is none of these, and where the format wants an installed Graphviz.
            graphviz.ExecutableNotFound: where there is nothing to place the boxes.
        """
        name = "" if filename is None else os.fsdecode(filename)
        ending = os.path.splitext(name)[1].lower()
        if dpi is not None and not (is_number(dpi) and 0 < dpi < inf and ending[1:] in PIXELS):
            raise ValueError(f"Drawing.save(path, dpi=...) is a number above 0, for a picture of pixels such as .png; "
                             f"found {dpi!r} for {name!r}")
        if skip_existing is None or ending in ("", ".gv", ".dot"):  # None: `render` asks for the DOT text
            return str(super().save(filename, directory=directory, skip_existing=skip_existing))
        path = os.path.join(os.fsdecode(directory or self.directory), name)
        if skip_existing and os.path.exists(path):
            return path
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        picture = self.copy()
        if ending[1:] in PIXELS:
            picture.graph_attr["dpi"] = f"{dpi or PIXELS_TO_THE_INCH:g}"
        formats: dict[str, Writer] = {
            ".svg": lambda: element(picture.pipe("svg", encoding="utf-8")) + "\n",
            ".png": lambda: picture.pipe("png"), ".pdf": lambda: picture.pipe("pdf"),
            ".tex": lambda: tikz_document(json.loads(picture.pipe("json"))),
            ".html": lambda: page(Path(path).stem, [image(element(picture.pipe("svg", encoding="utf-8")), "a graph")]),
            ".gv": lambda: picture.source}
        if ending[1:] in graphviz.FORMATS:
            formats.setdefault(ending, lambda: picture.pipe(ending[1:]))
        return os.fspath(saved("Drawing", path, formats))

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> Any:
        try:
            bundle = super()._repr_mimebundle_(*args, **options)
        except graphviz.ExecutableNotFound as error:
            return {"text/plain": f"// {error}\n{self.source}"}
        svg = bundle.pop("image/svg+xml", None)  # none where another format is chosen
        return bundle | (picture_views(element(svg), "a drawing of a graph") if svg else {})


def hooked(dot: str) -> str | None:
    """What `micrograd.draw.renderer` makes of DOT text: SVG text; None if there is no renderer.

    Raises RuntimeError if the renderer raises, TypeError or ValueError for what is no SVG.
    """
    renderer = draw.renderer
    if renderer is None:
        return None
    if not callable(renderer):
        raise TypeError("micrograd.draw.renderer is a function from DOT text to SVG text, or None; found "
                        f"{type(renderer).__name__} {cut(repr(renderer), LONGEST_LABEL)}")
    try:
        svg = renderer(dot)
    except Exception as error:
        raise RuntimeError(f"micrograd.draw.renderer(dot) raised {type(error).__name__}: {error}") from error
    if isawaitable(svg):
        raise TypeError("micrograd.draw.renderer(dot) returned a promise, where the SVG itself is needed: await what "
                        "loads Graphviz first, and then give its function that answers at once")
    if not isinstance(svg, str):
        raise TypeError(f"micrograd.draw.renderer(dot) returned {type(svg).__name__} {cut(repr(svg), LONGEST_LABEL)}, "
                        "where text, one <svg> element, is needed")
    if not re.search(r"<svg\b.*</svg>\s*$", svg, re.DOTALL):
        raise ValueError(f"micrograd.draw.renderer(dot) returned {cut(repr(svg), LONGEST_LABEL)}, "
                         "which is no <svg> element")
    return svg


def check_format(wanted: str) -> None:
    """Raise a ValueError for a format that the Graphviz at hand does not write, which says what it writes."""
    if wanted in EVERYWHERE:
        return
    done = subprocess.run([dot_command.DOT_BINARY, f"-T{wanted}"], input=b"graph {}", capture_output=True)
    found = re.search("not recognized. Use one of: (.*)", done.stderr.decode(errors="replace"))
    if found:
        known = " ".join(name for name in found[1].split() if ":" not in name)
        name = os.path.basename(dot_command.DOT_BINARY)
        raise ValueError(f"{name} writes no {wanted}, only {known}. For it, install Graphviz "
                         "(https://graphviz.org/download) so that `dot` is on PATH; or save .svg, and convert that")


def use_any_dot() -> None:
    """Point the package graphviz to the executable of graphviz-pure, if it would find none.

    Raises graphviz.ExecutableNotFound if there is neither. An environment that is not activated has its scripts folder
    nowhere on PATH, so that is looked at as well. In a browser there are no executables.
    """
    if IN_BROWSER:
        raise not_found("In a browser there is no executable that could place the boxes. Graphviz in JavaScript makes "
                        'SVG there, as micrograd.draw.renderer: the README has the lines, under "In the browser".')
    if shutil.which(os.fspath(dot_command.DOT_BINARY)):
        return
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")),
               os.path.dirname(sys.executable), os.environ.get("PATH", "")]
    pure = shutil.which("graphviz-pure", path=os.pathsep.join(folders))
    if pure is None:
        raise not_found("No Graphviz to place the boxes: pip install graphviz-pure (no administrator needed), or "
                        "install Graphviz (https://graphviz.org/download) so that `dot` is on PATH.")
    dot_command.DOT_BINARY = Path(pure)


def not_found(words: str) -> Exception:
    error: Exception = graphviz.ExecutableNotFound(["dot"])
    error.args = (words,)
    return error
