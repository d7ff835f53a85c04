"""The matrix equations that a plan is: Z2 = W2 @ X + b2, δ2 = (W3.T @ δ3) * step(Z2), dW2 = δ2 @ X.T / rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..formulas.labels import columns as columns_of
from ..formulas.layout import Applied, Layout, Quoted, aligned
from ..formulas.mathml import mathml
from ..formulas.notations import Signs
from ..look.tex import as_tex
from ..packages import needed
from ..page import Format, Savable, as_json, page
from ..terminal import Printed, Spelling, folded, padded, wrapped
from .arrays import PlanRun
from .libraries import numpy_library
from .lines import INLINE, PlanWriter, Shape
from .notation import in_latex, in_text, shortened
from .plan import COLUMNS, Plan
from .program import growing

LINES = 60  # that are printed; of more of them the first half and the last
LINE = Signs("{0} = {1}", "{0} & = {1}")


@dataclass(frozen=True, slots=True, repr=False)
class Equation(Printed):
    """One line: name = formula.

    Attributes:
        name: of what it computes.
        formula: as text.
        latex: the whole line, for an aligned environment.
        shape: () for one number, (16,), (16, 2), or (16, "rows"), a column for each sample.
        group: which of the plan's it is.

    Example:
        >>> line, = micrograd.compile(lambda a, b: a - b).plan.equations
        >>> str(line), line.shape
        ('loss = a - b', (1, 'rows'))
    """

    name: str
    formula: str
    latex: str
    shape: Shape
    group: int

    @property
    def size(self) -> str:
        """The shape as it is printed: 16 × rows."""
        return " × ".join(map(str, self.shape))

    def _laid_out(self, width: int, spell: Spelling) -> str:
        return "\n".join(folded(spell(f"{self.name} = {self.formula}"), width, 4))

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data."""
        return {"name": self.name, "formula": self.formula, "latex": self.latex, "shape": list(self.shape)}


class Equations(Printed, Savable):
    """The matrix equations of a compiled function: print them, show them in a notebook, or `.save("plan.tex")` them.

    Args:
        plan: what they are of.
        name: of what the plan computes.
        note: what is to be said below them.

    Example:
        >>> print(micrograd.compile(micrograd.MLP(2, [3, 1], activation="tanh"), params=[]).plan)
        Z2 = W2 @ X + b2    3 × rows
        A2 = tanh(Z2)       3 × rows
        Z3 = W3 @ A2 + b3   1 × rows
    """

    def __init__(self, plan: Plan, name: str = "loss", note: str = "") -> None:
        self.plan = plan
        self.name = name
        self.note = note if plan.steps else "nothing is computed"
        with growing:
            self.writer = PlanWriter(plan, name)
            lines = [*self.writer.lines()]
        self.rows = [Applied(LINE, [line.left, line.formula]) for line in lines]  # of an aligned environment
        self.written = tuple([Equation(in_text(line.left), in_text(line.formula), in_latex(row), line.shape, line.group)
                              for line, row in zip(lines, self.rows)])

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The lines as data."""
        return self.written

    def _laid_out(self, width: int, spell: Spelling) -> str:
        lines = [line if isinstance(line, str) else [spell(line.name), spell(line.formula), spell(line.size)]
                 for line in shortened(self.equations, LINES, "⋮ ({} more lines)")]
        known = [line for line in lines if not isinstance(line, str)]
        left, right = (max((columns_of(line[i]) for line in known), default=0) for i in (0, 2))
        room = width - left - right - 6  # of a formula, beside its name and its shape
        middle = max([columns_of(line[1]) for line in known if columns_of(line[1]) <= min(room, 2 * INLINE)], default=0)
        rows: list[str] = []
        for line in lines:
            if isinstance(line, str):
                rows.append(spell(line))
                continue
            name, formula, size = line
            first, *more = folded(f"{padded(name, left)} = {formula}", left + 3 + room, left + 7)
            rows += [f"{padded(first, left + 3 + middle)}   {size}".rstrip(), *more]
        return "\n".join([*rows, *(wrapped(spell(self.note), width) if self.note else ())])

    def to_dict(self) -> dict[str, Any]:
        """The lines as plain data."""
        return {"equations": [line.to_dict() for line in self.equations], "note": self.note}

    def _formats(self) -> dict[str, Format]:
        return {
            ".txt": lambda: f"{self.text}\n",
            ".tex": lambda: as_tex(rf"\[ {self.latex} \]"),
            ".html": lambda: page(f"{self.name}, as matrix equations", [mathml(self.layout(), display=True)]),
            ".json": lambda: as_json(self.to_dict())}

    @property
    def latex(self) -> str:
        """The lines as an aligned environment, without dollar signs."""
        return in_latex(self.layout())

    def layout(self) -> Layout:
        """The lines as an aligned environment."""
        shown = shortened(self.rows, LINES, r"& \vdots \text{{ ({} more lines)}}")
        rows = [Quoted("", row) if isinstance(row, str) else row for row in shown]
        return aligned([*rows, *([Quoted("", rf"& \text{{{self.note}}}")] if self.note else ())])

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def numbers(self, parameters: Sequence[float], table: Sequence[Sequence[float]]) -> dict[str, list[list[float]]]:
        """Compute the parameters, the inputs and each line as numbers.

        Args:
            parameters: a number for each, in the plan's order.
            table: a row for each sample, a column for each input.

        Returns:
            A dict by name: a matrix as a list of rows, with a column for each sample where they differ; a vector is a
            column.

        Raises:
            ImportError: where numpy is missing.

        Example:
            >>> micrograd.compile(lambda a, b: a - b).plan.numbers([], [[2.0, 5.0]])
            {'a': [[2.0]], 'b': [[5.0]], 'loss': [[-3.0]]}
        """
        np = needed("numpy")
        run = PlanRun(self.plan, numpy_library(), np.asarray(parameters, float),
                  np.asarray(table, float).reshape(len(table), len(self.plan.groups[COLUMNS])), whole=True)
        if self.plan.uniform is not None:
            run.uniform()
        else:
            run.varying()
        found = [(line.name, line.shape, run.groups[line.group]) for line in self.equations]
        given = [(name, shape, run.groups[group][..., places]) for name, shape, group, places in self.writer.read()]
        return {name: (array.T if "rows" in shape else array.reshape(-1, shape[1] if len(shape) == 2 else 1)).tolist()
                for name, shape, array in given + found}
