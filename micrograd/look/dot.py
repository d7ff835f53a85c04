"""A graph as the DOT text that Graphviz lays out: boxes with their labels, arrows, frames, columns and legends.

Which node is in which box is decided in `grouping`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from math import isfinite, log10
from typing import Any, NamedTuple

from ..arguments import counted
from ..engine import Value
from ..formulas.algebra import Terms
from ..formulas.formula import formula_of, number_of
from ..formulas.graph import edges_of
from ..formulas.labels import cut, printable, unicode_label
from ..ops import CONSTANT, Op
from .grouping import Arrow, Grouping, LayerBox, NeuronBox, title_of

PORTS = {"LR": "ew", "TB": "sn", "RL": "we", "BT": "ns"}  # where straight arrows leave a box, and where they arrive
LONGEST_LABEL = 40  # characters; the rest of a longer one is left out
LABELLED = 12       # weights are written beside the arrows into neurons if there are no more of them
ROOMY = 6           # boxes have two lines in layers of no more neurons

# Dark ink on pale fills, and lines of a middle grey on no background: readable on a white page and on a black one.
INK, SOFT, LINE, GRADIENT = "#1f2937", "#667080", "#7d8794", "#b42318"
PLUS, MINUS = "#3b82c4", "#d9682b"  # weights: blue and orange, which everyone can tell apart
HEAT = ((125, 135, 148), (176, 92, 160), (224, 79, 95), (240, 120, 30))  # gradients, from small to large
DECADES = 3  # of gradients that differ in colour

# Every role has a fill, and its own outline for those who cannot see the fill.
LOOKS = {
    "constant": {"fillcolor": "#e6e9ed", "style": "rounded,filled", "penwidth": "0"},
    "input": {"fillcolor": "#fdf0c4", "style": "filled"},
    "parameter": {"fillcolor": "#d8f0da", "style": "filled", "shape": "note"},
    "computed": {"fillcolor": "#e1ecfb", "style": "rounded,filled"},
    "output": {"fillcolor": "#fbdcd7", "style": "rounded,filled", "penwidth": "2.2"},
}

SYMBOLS = {"*": "×", "-": "−", "/": "÷", "**": "^"}  # where there is a better sign than that of a typewriter
BOX = {"shape": "box", "color": LINE, "fontcolor": INK, "fontsize": "12", "fontname": "Helvetica", "height": "0.3",
       "width": "0.3", "margin": "0.05,0.03"}
ARROW = {"color": LINE, "fontcolor": LINE, "fontsize": "10", "fontname": "Helvetica", "arrowsize": "0.7"}
FRAME = {"style": "rounded", "color": LINE, "penwidth": "0.8"}


def symbol(op: Op) -> str:
    return SYMBOLS.get(op.symbol, op.symbol)


class DrawOptions(NamedTuple):
    """See the arguments of `draw`."""

    direction: str
    values: bool
    gradients: bool
    slopes: bool | str
    by_gradient: bool
    clusters: bool
    collapse: str | bool | None
    names: bool


class Painter:
    """Writes a grouping into a graphviz.Digraph."""

    def __init__(self, grouping: Grouping, options: DrawOptions, drawing: Any) -> None:
        self.grouping = grouping
        self.options = options
        self.drawing = drawing
        self.by_neuron = options.collapse == "neuron"
        self.arrows = grouping.arrows()
        self.weights = [grouping.weight(arrow) if self.by_neuron else None for arrow in self.arrows]
        self.dense = sum(weight is not None for weight in self.weights) > LABELLED

    def paint(self, boxes: list[Value]) -> None:
        grouping, options, drawing = self.grouping, self.options, self.drawing
        drawing.node_attr |= BOX
        drawing.edge_attr |= ARROW
        drawing.graph_attr |= {
            "rankdir": options.direction, "nslimit": "5", "nslimit1": "5",  # patience, in rounds for each node
            "bgcolor": "transparent", "fontname": "Helvetica", "fontsize": "11", "fontcolor": LINE, "pad": "0.1",
            "nodesep": "0.12" if self.dense else "0.22",
            "ranksep": "0.45" if not self.dense else "1.8" if grouping.symbolic else "1.3"}
        if self.dense:
            drawing.graph_attr["splines"] = "line"
        elif not (self.by_neuron or options.clusters):
            drawing.graph_attr["ordering"] = "in"
        widest = Counter((neuron.layer, neuron.sample) for neuron in grouping.neurons).most_common(1)
        compact = self.by_neuron and widest[0][1] > ROOMY and options.direction in ("LR", "RL")
        drawn = {node: self.box(node, compact) for node in boxes}
        for node in self.frames(drawn) if options.clusters and not self.dense else boxes:
            drawing.node(self.id(node), **drawn[node])
        if self.by_neuron:
            self.columns(boxes, self.dense or grouping.symbolic)
        self.paint_arrows()

    def paint_arrows(self) -> None:
        """Write the arrows, and below the picture what their lines mean."""
        options, drawing, dense = self.options, self.drawing, self.dense
        terms = Terms(self.grouping.names) if options.slopes == "formulas" else None
        sent = sent_by_backward(self.grouping.order)
        flows = [sum(sent.get(edge, 0.0) for edge in arrow.edges) for arrow in self.arrows]
        sizes = [abs(x) for x in (flows if options.by_gradient else [w.data for w in self.weights if w is not None])]
        scale = max(filter(isfinite, sizes), default=1.0) or 1.0
        thickest = 2.0 if dense else 4.0
        met: Counter[Value] = Counter()
        for arrow, weight, flow in zip(self.arrows, self.weights, flows):
            j = met[arrow.head] if options.collapse else arrow.edges[0][1]
            met[arrow.head] += 1
            look = {"id": f"e{self.grouping.place[arrow.head]}_{j}"}
            if options.by_gradient:
                look |= flow_line(flow, scale, thickest)
            elif weight is not None:
                look |= weight_line(weight.data, scale, 0.2 if dense else 0.7)
            if options.clusters and not options.collapse and self.enters(arrow):
                look["minlen"] = "2"  # so that the neuron's own leaves stand beside the layer before, not above it
            if dense:
                ports = PORTS[options.direction]
                look |= {"tailport": ports[0], "headport": ports[1], "arrowsize": "0.4"}
                look |= {} if options.by_gradient else {"arrowhead": "none"}
            label = "" if dense else self.beside(arrow, weight, terms)
            if label:
                look["label"] = f"<{slack(label)}>"
            drawing.edge(self.id(arrow.tail), self.id(arrow.head), **look)
        if options.by_gradient:
            drawing.graph_attr["label"] = flow_legend(scale, flows, thickest)
        elif dense:
            signs = [(PLUS, 2.0, number_of(scale)), (MINUS, 2.0, number_of(-scale))]
            drawing.graph_attr["label"] = legend("weights", signs, [])

    def id(self, node: Value) -> str:
        return f"n{self.grouping.place[node]}"

    def enters(self, arrow: Arrow) -> bool:
        """True if the arrow leads into a neuron from the layer before."""
        owner = self.grouping.member.get(arrow.head)
        return (owner is not None and self.grouping.member.get(arrow.tail) is not owner
                and self.grouping.roles[arrow.tail] != "parameter")

    def beside(self, arrow: Arrow, weight: Value | None, terms: Terms | None) -> str:
        if weight is not None:
            name = self.called(weight)
            return f"{name} = {number_of(weight.data)}" if self.options.values else name
        node, i = arrow.edges[0]
        if not self.options.slopes or len(arrow.edges) > 1 or node.parents[i].op is CONSTANT:
            return ""
        if terms is None:
            return "" if self.grouping.symbolic else number_of(node.local_derivatives[i])
        rule, x = formula_of(terms.slope(node, i)).text, number_of(node.local_derivatives[i])
        return rule if rule == x or self.grouping.symbolic else f"{cut(rule, LONGEST_LABEL)} = {x}"

    # Boxes

    def box(self, node: Value, compact: bool) -> dict[str, str]:
        grouping = self.grouping
        role = grouping.roles[node]
        look = {"id": self.id(node), "class": role, **LOOKS[role]}
        if node in grouping.layers:
            return look | self.layer_box(node)
        if self.options.collapse and node in grouping.member:
            return look | self.neuron_box(grouping.member[node], compact)
        name = self.called(node) if node.label or self.options.names else ""
        if node.op is CONSTANT:
            x = number_of(node.data)
            return look | {"label": f"<{slack(f'{name} = {x}' if name else x)}>"}
        if grouping.symbolic and self.options.collapse:
            return look | disc(name or symbol(node.op))
        return look | {"label": card([name and bold(name), text(symbol(node.op))], self.numbers(node))}

    def called(self, node: Value) -> str:
        return cut(unicode_label(self.grouping.names[node]), LONGEST_LABEL)

    def numbers(self, node: Value) -> list[str]:
        """The rows of data and gradient."""
        grouping = self.grouping
        known = not grouping.symbolic or grouping.roles[node] == "parameter"
        rows = [row("data", number_of(node.data))] if self.options.values and known else []
        if self.options.gradients and (not grouping.symbolic or node in grouping.reached):
            rows.append(self.gradient("grad", node))
        return rows

    def gradient(self, caption: str, node: Value) -> str:
        return row(caption, number_of(node.grad) if node in self.grouping.reached else "–", GRADIENT)

    def neuron_box(self, neuron: NeuronBox, compact: bool) -> dict[str, str]:
        grouping, last, z = self.grouping, neuron.last, neuron.z
        name = self.called(last)
        if grouping.symbolic:
            return {"class": f"{grouping.roles[last]} neuron", **disc(name)}
        numbers = [row(grouping.parts[last][0] or "?", number_of(last.data))] if self.options.values else []
        if self.options.gradients:
            numbers.append(self.gradient("δ", z) if z is not None else self.gradient("grad", last))
        if not (compact or z is None or z is last):
            name = f"{self.called(z)} → {name}"
        head = [bold(name), text(neuron.activation(symbol))]
        label = line(head, numbers) if compact else card(head, ["".join(numbers)] if numbers else [], 2 * len(numbers))
        return {"class": f"{grouping.roles[last]} neuron", "label": label}

    def layer_box(self, home: Value) -> dict[str, str]:
        layer = self.grouping.layers[home]
        rows = "".join(f"<TR><TD>{words}</TD></TR>" for words in self.about(layer))
        label = f"<{TABLE}<TR><TD>{bold(layer.title)}</TD></TR><HR/>{rows}</TABLE>>"
        return {"class": f"{self.grouping.roles[home]} layer", "label": label}

    def about(self, layer: LayerBox) -> list[str]:
        """The lines in the box of a layer."""
        if layer.inputs:
            return [text(counted(len({node.label for node in layer.inputs}), "input"))]
        kinds = ", ".join(dict.fromkeys(neuron.activation(lambda op: op.name) for neuron in layer.members))
        found = [text(f"{counted(len({neuron.index for neuron in layer.members}), 'neuron')}, {kinds}"),
                 counted(len({p for neuron in layer.members for p in neuron.parameters}), "parameter")]
        if samples := max(neuron.sample for neuron in layer.members):
            found.append(counted(samples, "sample"))
        deltas = [abs(neuron.z.grad) for neuron in layer.members if neuron.z in self.grouping.reached]
        if deltas and self.options.gradients and not self.grouping.symbolic:
            found.append(small("largest |δ|  ") + coloured(number_of(max(deltas)), GRADIENT))
        return found

    # Frames and columns

    def frames(self, drawn: dict[Value, dict[str, str]]) -> list[Value]:
        """Write the boxes that belong to neurons, in frames; return the others."""
        grouping, layers = self.grouping, self.grouping.by_layer
        layer_of = {node: "1" for node in drawn if grouping.parts[node][:2] == ("a", "1")}
        layer_of |= {p: neuron.layer for neuron in grouping.neurons for p in neuron.parameters}
        layer_of |= {node: neuron.layer for node, neuron in grouping.member.items()}
        inside: dict[str, dict[NeuronBox | None, list[Value]]] = {
            layer: {neuron: [] for neuron in (None, *layers.get(layer, ()))}
            for layer in (layers if "1" in layers else ["1", *layers])}
        rest = []
        for node in drawn:
            if node in layer_of and node not in grouping.layers:
                inside[layer_of[node]][grouping.member.get(node)].append(node)
            else:
                rest.append(node)
        for layer, members in inside.items():
            if any(members.values()):
                self.frame(layer, members, drawn)
        return rest

    def frame(self, layer: str, members: dict[NeuronBox | None, list[Value]],
              drawn: dict[Value, dict[str, str]]) -> None:
        """Write the frame of a layer, with the nodes of each neuron, and those of None; several neurons have a frame
        each in it."""
        with self.drawing.subgraph(name=f"cluster_{len(self.drawing.body)}") as frame:
            frame.attr(label=f"<{text(title_of(layer))}>", margin="12", **FRAME)
            for neuron, nodes in members.items():
                if neuron is None or self.by_neuron or len(members) == 2:
                    for node in nodes:
                        frame.node(self.id(node), **drawn[node])
                    continue
                sample = f", sample {neuron.sample}" if neuron.sample else ""
                with frame.subgraph(name=f"cluster_{len(self.drawing.body)}_{len(frame.body)}") as inner:
                    inner.attr(label=f"<neuron {text(neuron.index)}{sample}>", **FRAME)
                    inner.attr(style="rounded,dashed")
                    for node in nodes:
                        inner.node(self.id(node), **drawn[node])

    def columns(self, boxes: list[Value], titled: bool) -> None:
        """Keep the neurons of a layer, and the inputs, in one column and in their order, below a title if wanted."""
        grouping, drawing = self.grouping, self.drawing
        columns: dict[tuple[str, int], list[Value]] = {}
        for node in boxes:
            neuron = grouping.member.get(node)
            if neuron is not None:
                columns.setdefault((neuron.layer, neuron.sample), []).append(node)
            elif not node.parents and node.label.startswith(("a", "x")):
                columns.setdefault(("1", 0), []).append(node)
        before = ""
        for (layer, sample), column in columns.items():
            names = [self.id(node) for node in column]
            if titled:
                members = [grouping.member[node] for node in column if node in grouping.member]
                about = self.about(LayerBox("", members, [] if members else column))[0]
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


def row(caption: str, number: str, colour: str = INK) -> str:
    """The cells of a caption and its number, which has room for ten digits."""
    return f'<TD ALIGN="LEFT">{small(caption)}</TD><TD ALIGN="LEFT" WIDTH="62">{coloured(number, colour)}</TD>'


def card(head: list[str], rows: Sequence[str], columns: int = 2) -> str:
    """A box with a head and, below a line, rows of that many cells."""
    head = [*filter(None, head)]
    span = max(1, columns // len(head)) if head else 0
    above = "".join(f'<TD COLSPAN="{span}"{align}>{part}</TD>' for part, align in
                    zip(head, ("",) if len(head) == 1 else (' ALIGN="LEFT"', ' ALIGN="RIGHT"')))
    body = "".join(f"<TR>{each}</TR>" for each in rows)
    return f"<{TABLE}{f'<TR>{above}</TR>' if head else ''}{'<HR/>' if head and rows else ''}{body}</TABLE>>"


def line(head: list[str], rows: Sequence[str]) -> str:
    """The same on one line."""
    name = "".join(f'<TD ALIGN="LEFT" WIDTH="{width}">{part}</TD>' for part, width in zip(head, (44, 30)) if part)
    return f"<{TABLE}<TR>{name}{''.join(rows)}</TR></TABLE>>"


def disc(name: str) -> dict[str, str]:
    """The look of a neuron without numbers."""
    return {"shape": "circle", "style": "filled", "fixedsize": "true", "width": "0.5", "fontsize": "11",
            "label": f"<{text(name)}>"}


# Lines

def sent_by_backward(order: Sequence[Value]) -> dict[tuple[Value, int], float]:
    """The gradient that backward() has sent along each edge that it reached, by (node, which of its arguments)."""
    met: dict[Value, None] = {}
    sent: dict[tuple[Value, int], float] = {}
    for node in reversed(order):
        if node in met or node.grad != 0.0:
            for edge in edges_of(node):
                if edge.carries:
                    met[edge.parent] = None
                    sent[edge[:2]] = edge.local * node.grad
    return sent


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


def weight_line(x: float, scale: float, thinnest: float) -> dict[str, str]:
    share = min(abs(x) / scale, 1.0) if isfinite(x) else 1.0
    return {"color": PLUS if x >= 0 else MINUS, "penwidth": f"{thinnest + 1.8 * share:.2f}"}


def flow_legend(scale: float, flows: Sequence[float], thickest: float) -> str:
    shares = [1.0 - k / DECADES for k in range(DECADES + 1)]
    steps = [(rgb(share), pen(share, thickest), number_of(scale * 10.0 ** -k)) for k, share in enumerate(shares)]
    notes = ["dotted: 0"] if any(flow == 0.0 for flow in flows) else []
    if not all(map(isfinite, flows)):
        notes.append("dashed: ∞ or nan")
    return legend("gradient along an arrow", steps, notes)


def legend(title: str, steps: Sequence[tuple[str, float, str]], notes: Sequence[str]) -> str:
    """The line below the picture that explains its lines."""
    found = [f"<TD>{text(title)}\u00a0</TD>"]
    for colour, width, words in steps:
        found.append(f'<TD CELLPADDING="0" WIDTH="26" BORDER="{max(1, round(width))}" SIDES="B" COLOR="{colour}">'
                     f'<FONT POINT-SIZE="5"> </FONT></TD><TD>{text(words)}\u00a0</TD>')
    found += [f"<TD>{text(note)}</TD>" for note in notes]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="1"><TR>{"".join(found)}</TR></TABLE>>'
