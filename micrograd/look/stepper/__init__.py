"""The page that steps through a graph: `stepper(C)` shows it in a notebook, `.save("page.html")` writes it as one file.

One picture of the graph, the frames of `steps` as data, and a script that shows one frame at a time. The page needs no
network and no library. A formula is in it once, as MathML; frames mention it by its place among the pieces.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from graphviz import ExecutableNotFound

from ...arguments import number
from ...engine import Value, topological_order
from ...formulas.formula import Formula, forward_rule, local_rule, name_of, number_of, partial
from ...formulas.graph import Graph, look
from ...formulas.labels import printable
from ...formulas.mathml import one_element
from ...ops import CONSTANT, Op
from ...page import Format, Savable, as_json, image, policy
from ...terminal import in_signs_of_stdout
from ..draw import svg_of
from ..steps import Frame, Steps, steps

__all__ = ["stepper"]

Shape = tuple[tuple[str, Op, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Stepper(Savable):
    """A page, as it was when `stepper` made it. A notebook shows it.

    Attributes:
        runs: the `Steps`, by the names of their roots.
        page: the page as text.
        picture: an SVG of the first run, for where no script may run; "" where none could be made.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> micrograd.stepper(w * x).html()[:15]
        '<!doctype html>'
    """

    runs: Mapping[str, Steps]
    page: str
    picture: str

    def html(self) -> str:
        """The page, as one file that needs no other and no network."""
        return self.page

    def _formats(self) -> dict[str, Format]:
        svg: dict[str, Format] = {".svg": lambda: f"{self.picture}\n"} if self.picture else {}
        return {".html": lambda: self.page, **svg,
                ".json": lambda: as_json({name: each.to_dict() for name, each in self.runs.items()})}

    def _repr_html_(self) -> str:
        """The page in a frame. Where a notebook is not trusted the frame is taken out, and what is left is the picture:
        the page hides it as soon as it runs."""
        page = self.page.replace("&", "&amp;").replace('"', "&quot;")
        name = escape(title(self.runs))
        frame = f'<iframe title="{name}" style="width: 100%; height: 560px; border: 0" srcdoc="{page}"></iframe>'
        words = "A still picture: run this cell, or trust the notebook, to step through the graph."
        if not self.picture:
            return f"<div>{frame}<p data-micrograd-static>{words}</p></div>"
        picture = image(self.picture, title(self.runs))
        return f"<div>{frame}<div data-micrograd-static>{picture}<p><em>{words}</em></p></div></div>"

    def __repr__(self) -> str:
        first = next(iter(self.runs.values()))
        several = f", and {len(self.runs) - 1} more" if len(self.runs) > 1 else ""
        return in_signs_of_stdout(
            f"<stepper of {first.title().removeprefix('steps of ')}{several}; .save('page.html') writes the page>")


def stepper(root: Value | Sequence[Value] | Mapping[str, Value], order: str = "topological",
            max_nodes: int = 500) -> Stepper:
    """The page that steps through the forward and the backward pass of a Value.

    Step with the buttons, the slider or the arrow keys; click a node for its steps; point at an arrow for its local
    derivative. Where there is no Graphviz, the page has a table of the nodes for the picture.

    Args:
        root: a Value; or several, to choose from on the page (a cost for each sample): a sequence, or a dict that names
            them.
        order: as for `steps`; "naive" shows what goes wrong.
        max_nodes: the most nodes that there may be.

    Returns:
        A `Stepper`: a notebook shows it; `.save("page.html")` writes it, as one file that works offline.

    Raises:
        ValueError: for a graph of more than max_nodes nodes.
        TypeError: for anything but a Value.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> path = micrograd.stepper(w * x).save("steps.html")
    """
    runs = {}
    for name, each in named_roots(root).items():
        graph = look(each, "stepper(root)")
        name = name or name_of(graph, each).text
        size = len(graph.order)
        if size > number(max_nodes, "stepper(max_nodes)"):
            raise ValueError(f"the graph of {name} has {size:,} nodes, more than max_nodes={max_nodes:,}: step through "
                             "a part of it (one sample, one neuron, a node in the middle), print(steps(root)) for a "
                             "table, or stepper(root, max_nodes=...) for a large page that takes its time")
        runs[name] = steps(each, order)
        if not runs[name]:
            raise ValueError(f"{name} is a constant: there is nothing to step through")
    return Stepper(runs, page(runs), picture_of([next(iter(runs.values()))]))


def named_roots(root: Any) -> dict[str, Any]:
    """The roots to step through, by the names to choose them by; "" for a single one."""
    if isinstance(root, Mapping):
        roots = {printable(str(name)): each for name, each in root.items()}
        if len(roots) < len(root):
            raise ValueError(f"stepper(root): each name chooses one root, found {', '.join(map(str, root))}")
    elif isinstance(root, Iterable):
        roots = {str(place): each for place, each in enumerate(root, 1)}
    else:
        roots = {"": root}
    if not roots:
        raise ValueError("stepper(root) needs a Value, or several, found none")
    for each in roots.values():
        if not isinstance(each, Value):
            raise TypeError(f"stepper(root) needs a Value, or several, found {type(each).__name__} {each!r:.40}")
    return roots


# The page

def page(runs: Mapping[str, Steps]) -> str:
    pieces: dict[str, int] = {}
    shapes: dict[Shape, list[Steps]] = {}
    data = []
    for name, each in runs.items():
        shape = shape_of(each.graph)
        shapes.setdefault(shape, []).append(each)
        data.append({"name": name, "shape": list(shapes).index(shape), **run_data(each, pieces)})
    pictures = [slim(picture_of(same)) for same in shapes.values()]
    text = json.dumps({"pieces": list(pieces), "shapes": [*map(shape_data, shapes)], "runs": data}, ensure_ascii=False,
                      separators=(",", ":"))
    content = {
        "title": escape(title(runs)), "order": ordered(runs),
        "policy": policy([source("stepper.css")], [source("stepper.js")]),
        "css": source("stepper.css"), "js": source("stepper.js"),
        "pictures": "\n".join(f'<template id="picture{i}">{svg}</template>' for i, svg in enumerate(pictures) if svg),
        "data": re.sub("<(?=[/!sS])", r"\\u003c", text),  # </script>, <!-- and <script would end the one that it is in
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: content[slot[1]], source("page.html"))


def title(runs: Mapping[str, Steps]) -> str:
    graph = next(iter(runs.values())).graph
    return f"Forward and backward pass of {name_of(graph, graph.root)}{ordered(runs)}"


def ordered(runs: Mapping[str, Steps]) -> str:
    """The words in a title for the order; "" for the usual one."""
    return ", in naive order" if next(iter(runs.values())).order == "naive" else ""


def source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def places(graph: Graph) -> dict[Value, int]:
    """The number of each node: its place in topological order, as in the ids of the picture."""
    return {node: i for i, node in enumerate(graph.order)}


def shape_of(graph: Graph) -> Shape:
    """All but the numbers, equal for graphs that can share a picture: names, ops, and the places of the parents."""
    place = places(graph)
    return tuple((graph.names[node], node.op, tuple(place[p] for p in node.parents)) for node in graph.order)


def shape_data(shape: Shape) -> dict[str, Any]:
    return {"parents": [parents for _, _, parents in shape], "constants": [int(op is CONSTANT) for _, op, _ in shape]}


def run_data(steps: Steps, pieces: dict[str, int]) -> dict[str, Any]:
    """One run for the script: numbers as they are shown, formulas by their place among the pieces."""
    graph, place = steps.graph, places(steps.graph)

    def piece(formula: Formula) -> int:
        return pieces.setdefault(one_element(formula.layout), len(pieces))

    def frame_data(frame: Frame) -> list[Any]:
        if frame.kind == "forward":
            rule, numbers = forward_rule(graph, frame.node), forward_rule(graph, frame.node, numbers=True)
            return [place[frame.node], piece(rule), piece(numbers) if numbers != rule else -1]
        if frame.edge is None:
            return [place[frame.node]]
        k, n = frame.path.split(" of ")
        shown = (frame.upstream, frame.local, frame.contribution, frame.before, frame.after)
        return [place[frame.node], frame.edge.i, *(number_of(x or 0.0).text for x in shown), int(k), int(n),
                piece(local_rule(graph, frame.node, frame.edge.i)), *([frame.note] if frame.note else [])]

    wrong = [node for node in graph.order if graph.names[node] in steps.wrong]
    verdicts = ["{} = {}, should be {}".format(partial(graph, graph.root, node),
                                               *map(number_of, steps.wrong[graph.names[node]])) for node in wrong]
    return {"names": [name_of(graph, node).text for node in graph.order],
            "maths": [piece(name_of(graph, node)) for node in graph.order],
            "values": [number_of(node.data).text for node in graph.order],
            "forward": len(steps.forward), "frames": [frame_data(frame) for frame in steps],
            "wrong": [place[node] for node in wrong],
            "verdict": f"Wrong at the end: {'; '.join(verdicts)}" if wrong else ""}


# The picture

def picture_of(runs: Sequence[Steps]) -> str:
    """An SVG of the graph that these runs have in common, with the numbers of the first; "" where there is no Graphviz.

    It is drawn from a copy, so that the user's gradients stay what they are. A constant is drawn as wide as the widest
    of its numbers; all other boxes have room for any.
    """
    first = runs[0]
    gradients = dict.fromkeys(first.graph.order, 0.0) | {frame.receiver: frame.after or 0.0 for frame in first.backward}
    twin = copy.deepcopy(first.graph.root)
    for node, gradient, *same in zip(topological_order(twin), gradients.values(), *(run.graph.order for run in runs)):
        node.grad = gradient
        if node.op is CONSTANT:
            node.data = max((each.data for each in same), key=lambda x: len(number_of(x)))
    try:
        return svg_of(twin, names=True, max_nodes=len(gradients))
    except ExecutableNotFound:
        return ""


def slim(svg: str) -> str:
    """The picture without the fonts and colours that the style sheet of the page sets."""
    attributes = re.compile(r' (?:fill|stroke|stroke-width|font-family|xml:space)="[^"]*"')
    return re.sub("<[a-z][^>]*>", lambda tag: attributes.sub("", tag[0]), re.sub("<title>[^<]*</title>\n?", "", svg))
