"""Drawing a recorded graph: `draw(y)` is a graphviz.Digraph, which notebooks show and `.save("y.svg")` writes.

One box per node, with its label, its op, its data and its gradient; one arrow from each argument. `collapse` folds each
neuron, or each layer, into one box: neurons are told by the labels of the notation. Graphviz places the boxes: the
`dot` of an installed Graphviz, or else that of the package graphviz-pure, which needs no administrator.

What goes into which box is decided in `grouping`, and what a box looks like in `dot`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable
from inspect import isawaitable
from math import inf
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast

__all__ = ["draw"]

try:
    import graphviz
    from graphviz.backend import dot_command
except ImportError as error:
    raise ImportError("micrograd.draw needs the package graphviz: pip install graphviz graphviz-pure") from error

from ..arguments import counted, is_number, number
from ..engine import Value, topological_order
from ..files import FileName, write_whole
from ..formulas.formula import number_of
from ..formulas.labels import cut, indices, printable
from ..packages import IN_BROWSER
from ..page import Format, Grid, GridRow, Summary, html_of, image, page, saved
from .dot import LONGEST_LABEL, DrawOptions, Painter, symbol
from .grouping import NODES, Grouping, collapse_of, roles_of, symbolic_outputs, values_of
from .tex import tikz_document

EVERYWHERE = ("svg", "png", "json", "dot", "gv")  # the formats that every Graphviz writes
PIXELS = ("png", "jpg", "jpeg", "jpe", "gif", "bmp", "webp", "tif", "tiff")
PIXELS_TO_THE_INCH = 192  # of a picture that is saved: twice as many as Graphviz makes, to be sharp on paper
DIRECTIONS = ("LR", "TB", "RL", "BT")
LENGTH = 20         # of all arrows, in columns, for each of max_nodes: Graphviz takes the square of it in time

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

    The fill and the outline of a box show its role::

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
        max_nodes: the most boxes that there may be.
        values, gradients: whether boxes show data and gradient. "grad –" marks what no backward() has reached yet.
        slopes: True writes the local derivative on each arrow; "formulas" its formula too, and names all nodes.
        by_gradient: arrows thick and bright where much gradient flows back along them (the gradient of the node times
            the local derivative), with a legend; dotted where it is 0. Call backward() first.
        clusters: a frame around each layer and each neuron.
        collapse: "neuron": one box per neuron, and its weights on the arrows; "layer": one box per layer. By default
            networks are drawn this way; False draws all of their nodes.
        names: also name the nodes without a label, v₁, v₂, ..., as `steps` and `explain` do.

    Returns:
        A graphviz.Digraph: a notebook shows it, `.save("graph.svg")` (or .png, .pdf, .tex, ...) writes a file,
        `.source` is its DOT text, the same for the same graph.

    Raises:
        ValueError: for more than max_nodes boxes, or arrows too long to lay out; for collapse or clusters where no
            label marks a neuron, and for by_gradient before any backward().
        TypeError: for anything that cannot be drawn.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> picture = micrograd.draw(w * x, direction="TB")
        >>> picture.save("product.dot")
        'product.dot'
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"draw(direction=...) must be one of {', '.join(DIRECTIONS)}; found {direction!r}")
    if slopes not in (True, False, "formulas"):
        raise ValueError(f'draw(slopes=...) must be True, False or "formulas"; found {slopes!r}')
    if not (collapse is None or collapse is False or collapse in ("neuron", "layer")):
        raise ValueError(f'draw(collapse=...) must be "neuron", "layer" or False; found {collapse!r}')
    names = names or slopes == "formulas"
    if hasattr(root, "graph"):  # a compiled function, which has been recorded without numbers
        root, values, gradients = root.graph(), False, False
    network = callable(root) and hasattr(root, "parameters")
    roots = symbolic_outputs(root) if network else values_of(root)
    order = topological_order(*roots)
    if network and collapse is None:
        collapse = collapse_of(root, len(order))
    grouping = Grouping(order, roots, dict.fromkeys(root.parameters()) if network else None)
    if (collapse or clusters) and not grouping.neurons:
        raise ValueError("draw(collapse=..., clusters=...) finds no neuron: they are told by labels such as z^{2}_{1} "
                         "and a^{2}_{1} (or z^{2} and a^{2}, for one neuron per layer) on what is computed from leaves "
                         "labelled w^{2}_{1,1}, b^{2}_{1}; the networks of micrograd.nn label themselves")
    if collapse:
        grouping.fold(str(collapse))
    boxes = grouping.boxes()
    if len(boxes) > number(max_nodes, "draw(max_nodes)"):
        what = "nodes" if not collapse else "nodes even after folding"
        raise ValueError(f"the graph has {len(boxes):,} {what}, more than max_nodes={max_nodes:,}: draw a part of it "
                         '(one output, one sample, a node in the middle), a network with collapse="neuron" or '
                         'collapse="layer", or draw(root, max_nodes=...) for a large picture that takes its time')
    length = grouping.length_of_arrows()
    if length > LENGTH * max_nodes:
        raise ValueError(f"the arrows of this graph are too long to lay out, {length:,} columns in all: a node is used "
                         "far from where it is made, again and again (as in a sum over a loop). Draw a part of it, a "
                         'network with collapse="layer", or draw(root, max_nodes=...) and a few minutes of patience')
    if by_gradient and not any(node.grad for node in order):
        raise ValueError("draw(by_gradient=True) needs gradients, and all are 0: call backward() on the result first")
    drawing = Drawing(format="svg")
    options = DrawOptions(direction, values, gradients, slopes, by_gradient, clusters, collapse, names)
    Painter(grouping, options, drawing).paint(boxes)
    return drawing


def svg_of(root: Any, **options: Any) -> str:
    """The picture that `draw(root, **options)` makes, as an <svg> element to put into a page.

    Ids and classes are those of `draw`. The <text> elements of a node's box end in "data", its number, "grad", and its
    number, which have room for ten characters; a constant's is one text, "0.5" or "x = 0.5".
    """
    return element(draw(root, **options).pipe(format="svg", encoding="utf-8"))


def element(svg: str) -> str:
    """The <svg> element of what Graphviz wrote, without comments."""
    return re.sub(r"<!--.*?-->\n?", "", svg[svg.index("<svg"):], flags=re.DOTALL).strip()


# Notebooks

def notebook_view(thing: Any) -> dict[str, str]:
    """The views of a Value or a network for a notebook, by MIME type: its repr, and a picture or, if large, a summary.

    Never raises: where no picture can be made, the repr says why.
    """
    plain = repr(thing)
    if isinstance(thing, Value) and not thing.parents:
        return {"text/plain": plain}
    try:
        alone = isinstance(thing, Value)
        order = topological_order(*([thing] if alone else symbolic_outputs(thing)))
        large = len(order) > NODES if alone else collapse_of(thing, len(order)) == "layer"
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


def summary(thing: Any, order: list[Value]) -> str:
    """A summary, as HTML, of a graph that is too large for a picture."""
    parameters = dict.fromkeys(() if isinstance(thing, Value) else thing.parameters())
    roles = Counter(roles_of(order, [order[-1]], parameters).values())
    ops = Counter(symbol(node.op) for node in order if node.parents)
    depth: dict[Value, int] = {}
    for node in order:
        depth[node] = 1 + max((depth[parent] for parent in node.parents), default=-1)
    if isinstance(thing, Value):
        name = printable(thing.label)
        title = f"{name} = {number_of(thing.data)}" if name else f"Value {number_of(thing.data)}"
        labelled = any(node.parents and (indices(node.label) or "?")[0] in ("z", "a") for node in order)
        calls = ['draw(..., collapse="neuron")', 'draw(..., collapse="layer")'] if labelled else []
        calls.append("draw(...) of a part of it")
    else:
        title = f"{type(thing).__name__}, {counted(len(parameters), 'parameter')}"
        calls = ["draw(...): one box per layer", 'draw(..., collapse="neuron", max_nodes=...)']
    return html_of([Summary(cut(title, LONGEST_LABEL)), Grid((), [GridRow(row) for row in (
        ("nodes", f"{len(order):,}"),
        ("leaves", ", ".join(counted(roles[role], role) for role in ("parameter", "input", "constant") if roles[role])),
        ("depth", f"{max(depth.values()):,} ops"),
        ("ops", ", ".join(f"{n:,} {sign}" for sign, n in ops.most_common())),
        ("to see it", "; ".join(calls)))])])


# Rendering

class Drawing(graphviz.Digraph):  # type: ignore[misc]  # the package has no types
    """A graphviz.Digraph that finds a `dot` to render it, and shows its DOT text in a notebook where there is none."""

    def __repr__(self) -> str:
        return "<drawing of a graph; .save('graph.svg') writes it>"

    def __str__(self) -> str:
        """The DOT text; signs that standard output lacks are written as numbers, as Graphviz reads them."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        return str(self.source).encode(encoding, "xmlcharrefreplace").decode(encoding)

    def pipe(self, format: str | None = None, *args: Any, **options: Any) -> Any:
        svg = from_renderer(self.source) if (format or self.format) == "svg" else None
        if svg is not None:
            return svg if options.get("encoding") else svg.encode()
        use_any_dot()
        check_format(format or self.format)
        return super().pipe(format, *args, **{"quiet": True, **options})

    def render(self, filename: Any = None, *args: Any, **options: Any) -> Any:
        outfile = options.get("outfile")
        format = options.get("format") or (Path(outfile).suffix[1:] if outfile else self.format)
        svg = from_renderer(self.source) if format == "svg" and not options.get("view") else None
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
            ValueError: for any other ending, and where the format needs an installed Graphviz.
            graphviz.ExecutableNotFound: where there is nothing to lay out the graph.
        """
        name = "" if filename is None else os.fsdecode(filename)
        ending = os.path.splitext(name)[1].lower()
        if dpi is not None and not (is_number(dpi) and 0 < dpi < inf and ending[1:] in PIXELS):
            raise ValueError("Drawing.save(path, dpi=...) must be a number above 0, for a picture of pixels such as "
                             f".png; found {dpi!r} for {name!r}")
        if skip_existing is None or ending in ("", ".gv", ".dot"):  # None: `render` asks for the DOT text
            return str(super().save(filename, directory=directory, skip_existing=skip_existing))
        path = os.path.join(os.fsdecode(directory or self.directory), name)
        if skip_existing and os.path.exists(path):
            return path
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        picture = self.copy()
        if ending[1:] in PIXELS:
            picture.graph_attr["dpi"] = f"{dpi or PIXELS_TO_THE_INCH:g}"

        def svg() -> str:
            return element(picture.pipe("svg", encoding="utf-8"))

        formats: dict[str, Format] = {
            ".svg": lambda: f"{svg()}\n",
            ".png": lambda: picture.pipe("png"), ".pdf": lambda: picture.pipe("pdf"),
            ".tex": lambda: tikz_document(json.loads(picture.pipe("json"))),
            ".html": lambda: page(Path(path).stem, [image(svg(), "a graph")]),
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


def from_renderer(dot: str) -> str | None:
    """Ask `micrograd.draw.renderer` for the SVG of DOT text; None if there is no renderer.

    Raises RuntimeError if the renderer raises, TypeError or ValueError for anything but SVG.
    """
    renderer = draw.renderer
    if renderer is None:
        return None
    if not callable(renderer):
        raise TypeError("micrograd.draw.renderer must be a function from DOT text to SVG text, or None; found "
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
                         "which is not an <svg> element")
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
