"""The forward and the backward pass, one step of arithmetic at a time: `steps(C)` is a sequence of frames.

A frame of the forward pass computes one node. A frame of the backward pass sends one contribution along one edge,
upstream gradient times local derivative, and adds it to what the parent has. Frames are data; text, tables and the page
of the stepper are views of them. Nothing is stored on a node by looking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isclose, isnan
from typing import Any, overload

from ..engine import Value
from ..formulas.algebra import Terms
from ..formulas.formula import (
    Formula,
    as_factor,
    composed,
    equation,
    forward_rule,
    local_rule,
    loses_digits,
    name_of,
    number_of,
    partial,
    signed,
)
from ..formulas.graph import Edge, Graph, look
from ..formulas.notations import Signs
from ..ops import CONSTANT
from ..page import Block, Entry, Format, Grid, GridRow, Page, Summary
from ..terminal import Spelling, folded
from .tex import as_tex

__all__ = ["steps"]

ADDS, TIMES = Signs("{0} += {1}", "{0} += {1}"), Signs("{0} · {1}", r"{0} \cdot {1}")
RUNNING = Signs("{0} + {1} = {2}", "{0} + {1} = {2}")
ORDERS = ("topological", "naive")
LONGEST = 40   # frames of each pass that a table shows
FORWARD = ("step", "node", "rule", "in numbers", "value")
CSV = ("step", "pass", "node", "parent", "value", "upstream", "local derivative", "adds", "before", "after", "path",
       "note")
BACKWARD = ("step", "gradient", "path", "upstream", "local derivative", "upstream · local", "adds", "sum so far")


@dataclass(frozen=True, slots=True, repr=False)
class Frame(Entry):
    """One step. Whatever a forward frame lacks (an edge, gradients) is None there.

    Attributes:
        number: its place among the steps.
        kind: "forward" (node is computed) or "backward" (node hands its gradient on to parent, one of its arguments).
        node: what the step is about. The first backward frame is the seed, ∂root/∂root = 1: it has no parent; before
            and after are of root.
        parent: one of its arguments.
        value: the number of the node.
        upstream: the gradient of the node.
        local: ∂node/∂parent along this edge.
        contribution: their product.
        before, after: the gradient of parent without and with it.
        path: "2 of 3" for the second of the three edges that lead gradients into parent.
        note: what goes wrong here: 0 · ∞, which has no value; a formula that does not come to the number beside it, as
            a(1 − a) where a is rounded to 1; and in order="naive" what is passed on too early.
        edge: the edge in the graph.
        graph: all of the nodes, with their names.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> last = micrograd.steps(w * x)[-1]
        >>> last.upstream, last.local, last.after
        (1.0, 0.5, 0.5)
    """

    number: int
    kind: str
    node: Value
    parent: Value | None
    value: float
    upstream: float | None = None
    local: float | None = None
    contribution: float | None = None
    before: float | None = None
    after: float | None = None
    path: str = ""
    note: str = ""
    edge: Edge | None = field(default=None, compare=False)
    graph: Graph = field(compare=False, kw_only=True)

    @property
    def receiver(self) -> Value:
        """The node that the step changes: the one that is computed, or the one whose gradient grows."""
        return self.node if self.parent is None else self.parent

    @property
    def rule(self) -> Formula:
        """The whole step in symbols and numbers: z = w · x + b = 0.5 · 2 + 1 = 2, or
        ∂C/∂z += ∂C/∂a · ∂a/∂z = ∂C/∂a · a(1 − a) = 0.43 · 0.238 = 0.103.

        It is worked out when asked for, with the numbers that the nodes hold then.
        """
        if self.kind == "forward":
            return equation(*forward_sides(self))
        if self.parent is None:
            return equation(self.product, number_of(1.0))
        return composed(ADDS, partial(self.graph, self.graph.root, self.parent),
                        equation(self.product, self.symbols, self.numbers, number_of(self.contribution or 0.0)))

    @property
    def product(self) -> Formula:
        """Backward: upstream times local derivative, as derivatives: ∂C/∂a · ∂a/∂z."""
        if self.parent is None:
            return partial(self.graph, self.node, self.node)
        return composed(TIMES, partial(self.graph, self.graph.root, self.node),
                        partial(self.graph, self.node, self.parent))

    @property
    def symbols(self) -> Formula:
        """The same with the local derivative's formula: ∂C/∂a · a(1 − a)."""
        if self.edge is None:
            return number_of(1.0)
        return composed(TIMES, partial(self.graph, self.graph.root, self.node),
                        as_factor(local_rule(self.graph, self.node, self.edge.i)))

    @property
    def numbers(self) -> Formula:
        """The same in numbers: 0.43 · 0.238."""
        if self.upstream is None or self.local is None:
            return number_of(1.0)
        return composed(TIMES, number_of(self.upstream), signed(self.local))

    @property
    def running_sum(self) -> Formula | None:
        """At a fork, what has come together so far: 0.3 + 0.2 = 0.5. None where there is one path only."""
        if self.before is None or self.contribution is None or self.after is None or self.path in ("", "1 of 1"):
            return None
        return composed(RUNNING, number_of(self.before), signed(self.contribution), number_of(self.after))

    def to_dict(self) -> dict[str, Any]:
        """The frame as plain data for JSON: the nodes by name, the rule as text."""
        names = self.graph.names
        parent = None if self.parent is None else names[self.parent]
        return Entry.to_dict(self) | {"node": names[self.node], "parent": parent, "rule": self.rule.text}

    def _laid_out(self, width: int, spell: Spelling) -> str:
        return "\n".join(folded(spell(self.rule + (f"  ({self.note})" if self.note else "")), width, 4))

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.rule.latex}$"


@dataclass(frozen=True, slots=True, repr=False)
class Steps(Page, Sequence[Frame]):
    """The frames that `steps` gives, a sequence. A part of them, steps[3:7], is Steps as well.

    Attributes:
        graph: the nodes, with their names.
        order: in which the backward pass goes.
        frames: each a `Frame`.
        wrong: what comes out wrong in order="naive": by name, the gradient and what it should be.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> steps = micrograd.steps(w * x)
        >>> len(steps), len(steps.forward), len(steps.backward)
        (4, 1, 3)
    """

    graph: Graph = field(compare=False)
    order: str
    frames: tuple[Frame, ...]
    wrong: dict[str, tuple[float, float]] = field(compare=False)

    _data = ("order", "wrong", "frames")

    @property
    def forward(self) -> Steps:
        """The forward pass: a frame for each computed node."""
        return self.part(frame for frame in self.frames if frame.kind == "forward")

    @property
    def backward(self) -> Steps:
        """The backward pass: the seed, then a frame for each edge that a gradient goes along."""
        return self.part(frame for frame in self.frames if frame.kind == "backward")

    def part(self, frames: Iterable[Frame]) -> Steps:
        """Some of the frames.

        Args:
            frames: those that are wanted.

        Returns:
            Steps.
        """
        return Steps(self.graph, self.order, tuple(frames), self.wrong)

    @overload
    def __getitem__(self, place: int) -> Frame: ...
    @overload
    def __getitem__(self, place: slice) -> Steps: ...

    def __getitem__(self, place: int | slice) -> Frame | Steps:
        return self.part(self.frames[place]) if isinstance(place, slice) else self.frames[place]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, which must keep the nodes of all frames one graph: they are taken again from the root."""
        return unpickled, (self.graph.root, self.order, [frame.number for frame in self.frames])

    def to_dict(self) -> dict[str, Any]:
        """The steps as plain data for JSON."""
        return {"root": self.graph.names[self.graph.root], **Page.to_dict(self)}

    def title(self) -> str:
        """One line: of what, and how many."""
        count = Counter(frame.kind for frame in self.frames)
        naive = " in naive order" if self.order == "naive" else ""
        return (f"steps of {name_of(self.graph, self.graph.root)}{naive}: {count['forward']} forward, "
                f"{count['backward']} backward")

    def _title(self) -> str:
        return f"Steps of {name_of(self.graph, self.graph.root)}"

    def _blocks(self) -> Iterator[Block]:
        yield Summary(self.title())
        for frames, head, cells in ((self.forward, FORWARD, forward_sides), (self.backward, BACKWARD, backward_cells)):
            if frames:
                yield ""
                hidden = max(0, len(frames) - LONGEST)
                shown = [*frames[:LONGEST // 2], *frames[-LONGEST // 2:]] if hidden else frames
                yield Grid(head, [GridRow([str(frame.number), *cells(frame)]) for frame in shown],
                           left_out=f"{hidden:,} more steps, left out" if hidden else "")
        yield from verdicts(self)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        yield CSV
        yield from map(csv_row, self.frames)

    def _formats(self) -> dict[str, Format]:
        return {**Page._formats(self),
                ".tex": lambda: as_tex("\n".join(rf"\[ {frame.rule.latex} \]" for frame in self.frames))}


def forward_sides(frame: Frame) -> tuple[Formula, ...]:
    """The node, its rule in symbols and in numbers, and its number."""
    graph, node = frame.graph, frame.node
    return (name_of(graph, node), forward_rule(graph, node), forward_rule(graph, node, numbers=True),
            number_of(frame.value))


def backward_cells(frame: Frame) -> tuple[str, ...]:
    graph, edge = frame.graph, frame.edge
    upstream = local = numbers = ""
    if edge is not None:
        upstream, numbers = partial(graph, graph.root, edge.node), frame.numbers
        local = equation(partial(graph, edge.node, edge.parent), local_rule(graph, edge.node, edge.i))
    return (partial(graph, graph.root, frame.receiver), frame.path or "seed", upstream, local, numbers,
            number_of(frame.contribution or 0.0), number_of(frame.after or 0.0) + (" !" if frame.note else ""))


def csv_row(frame: Frame) -> tuple[Any, ...]:
    graph = frame.graph
    names = ("" if node is None else name_of(graph, node).text for node in (frame.node, frame.parent))
    return (frame.number, frame.kind, *names, frame.value, frame.upstream, frame.local, frame.contribution,
            frame.before, frame.after, frame.path, frame.note)


def verdicts(steps: Steps) -> list[str]:
    """The mistakes of naive order: a line for each frame that passes on too little, and one for each wrong gradient."""
    notes = list(dict.fromkeys(frame.note for frame in steps.frames if frame.note))
    graph = steps.graph
    for node in graph.order:
        if len(notes) < LONGEST and graph.names[node] in steps.wrong:
            got, right = map(number_of, steps.wrong[graph.names[node]])
            notes.append(f"{partial(graph, graph.root, node)} comes out as {got}, should be {right}")
    return [f"! {note}" for note in notes[:LONGEST]]


def steps(root: Value, order: str = "topological") -> Steps:
    """List every step of the forward and of the backward pass of a Value, as frames. No .grad is touched.

    Forward: each computed node, after its arguments. Backward: the seed, then for each node, from root down, one frame
    for each argument to which a derivative passes (not to constants, nor through step and sign), in the order of
    root.backward(); the last `after` of each node is the gradient that a first backward() would give it.

    Args:
        root: a Value.
        order: "topological", or "naive" to see what that order is for: depth-first from root, each node once, handing
            on to all its arguments at once the gradient that it has when it is met. A node on several paths is met
            before all of its gradient is there: such frames have a note, and `.wrong` lists the wrong results.

    Returns:
        The `Steps`, each a `Frame`. Printed, they are a table; of a long one, the beginning and the end.

    Raises:
        TypeError: for anything but a Value.
        ValueError: for another order.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> for frame in micrograd.steps(w * x):
        ...     print(frame.rule)
        f = w · x = 0.5 · 2 = 1
        ∂f/∂f = 1
        ∂f/∂w += ∂f/∂f · ∂f/∂w = ∂f/∂f · x = 1 · 2 = 2
        ∂f/∂x += ∂f/∂f · ∂f/∂x = ∂f/∂f · w = 1 · 0.5 = 0.5
    """
    graph = look(root, "steps(root)", fresh=True)
    if order not in ORDERS:
        raise ValueError(f"steps(order=...) must be one of {', '.join(ORDERS)}; found {order!r}")
    return frames_of(graph, order)


def frames_of(graph: Graph, order: str) -> Steps:
    """The steps of a graph, in either order."""
    root = graph.root
    frames = [Frame(number, "forward", node, None, node.data, graph=graph)
              for number, node in enumerate((node for node in graph.order if node.parents), 1)]
    if root.op is CONSTANT:
        return Steps(graph, order, tuple(frames), {})
    frames.append(Frame(len(frames) + 1, "backward", root, None, root.data, contribution=1.0, before=0.0, after=1.0,
                        graph=graph))
    visits = depth_first(root) if order == "naive" else graph.onward
    paths = Counter(edge.parent for edges in graph.onward.values() for edge in edges)
    gradients = dict.fromkeys(graph.order, 0.0) | {root: 1.0}
    passed_on: dict[Value, float] = {}
    late = dict.fromkeys(graph.order, 0.0)  # what has reached a node after it was met
    arrived: Counter[Value] = Counter()
    hands: list[tuple[Edge, float, float, float, int]] = []
    terms = Terms(graph.names)
    for node in visits:
        upstream = passed_on[node] = gradients[node]
        for edge in graph.onward.get(node, ()):
            parent = edge.parent
            before, contribution = gradients[parent], edge.local * upstream
            gradients[parent] += contribution
            late[parent] += contribution if parent in passed_on else 0.0
            arrived[parent] += 1
            hands.append((edge, contribution, before, gradients[parent], arrived[parent]))
    for edge, contribution, before, after, k in hands:
        upstream, more = passed_on[edge.node], late[edge.node]
        name = name_of(graph, edge.node)
        note = f"{name} passes on {number_of(upstream)}, but {number_of(more)} more will reach it later" if more else ""
        if not note and isnan(contribution) and not isnan(upstream) and not isnan(edge.local):
            note = f"{partial(graph, root, edge.parent)} has no value: 0 · ∞"
        note = note or loses_digits(graph, edge, terms)
        frames.append(Frame(len(frames) + 1, "backward", edge.node, edge.parent, edge.node.data, upstream, edge.local,
                            contribution, before, after, f"{k} of {paths[edge.parent]}", note, edge, graph=graph))
    wrong = {graph.names[node]: (gradients[node], right) for node, right in graph.gradients.items()
             if node.op is not CONSTANT and not same(gradients[node], right)}
    return Steps(graph, order, tuple(frames), wrong)


def unpickled(root: Value, order: str, numbers: Iterable[int]) -> Steps:
    steps = frames_of(look(root, "steps(root)"), order)
    return steps.part(steps.frames[number - 1] for number in numbers)


def depth_first(root: Value) -> Iterator[Value]:
    """Root, and what each node was computed from, as a naive recursion meets them: each once, before its arguments."""
    met: dict[Value, None] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in met:
            met[node] = None
            yield node
            stack += reversed(node.parents)


def same(x: float, y: float) -> bool:
    """True if two gradients differ by no more than the order of summation explains."""
    return isclose(x, y, rel_tol=1e-9) or (isnan(x) and isnan(y))
