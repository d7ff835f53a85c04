"""A compiled function described: how large it is, its program in short, the graph of one sample."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .. import ops
from ..arguments import counted
from ..engine import Value
from .executors import Executors, native
from .program import Program
from .schedule import SumOfProducts


def stats(executors: Executors, recording: Program, seconds: float) -> dict[str, Any]:
    """Counts by name, as `Compiled.stats` has them."""
    kind = "train" if executors.params else "map"
    program = executors.schedule(kind)
    executors.executor(kind)
    sums = [len(instruction.terms) for instruction in program.body if isinstance(instruction, SumOfProducts)]
    instruction_set = native.available[0] if executors.backend == "native" else ""
    return {
        "backend": executors.backend, "instruction set": instruction_set,
        "columns": len(executors.program.inputs), "parameters": len(executors.params),
        "recorded nodes": sum(1 for parents in recording.args if parents), "program nodes": program.nodes,
        "instructions before": len(program.before), "instructions for each sample": len(program.body),
        "instructions after": len(program.after), "sums": len(sums), "terms in sums": sum(sums),
        "means": len(program.means), "seconds": round(seconds, 6),
    }


def listing(executors: Executors, recording: Program, stats: Mapping[str, Any], summed: bool) -> str:
    """The same in sentences."""
    names = ", ".join(a.name if a.width is None else f"{a.name}[{a.width}]" for a in recording.arguments)
    where = {"native": f"native code ({stats['instruction set']})", "python": "generated Python",
             "jax": f"{executors.dtype} by JAX on {counted(len(executors.devices), 'device')}"
             }[executors.backend]
    over = f", {'sum' if summed else 'mean'} over the rows" if executors.params else ""
    of_what = f"with the gradient for {counted(len(executors.params), 'parameter')}" if executors.params else "compiled"
    return (
        f"{recording.name}({names}){over}, in {where}\n"
        f"  {counted(stats['recorded nodes'], 'op')} recorded, {stats['program nodes']:,} {of_what}; as "
        f"instructions:\n"
        f"  {stats['instructions before']:6,} once before\n"
        f"  {stats['instructions for each sample']:6,} for each sample, {stats['sums']:,} of them sums of "
        f"{counted(stats['terms in sums'], 'product')}\n"
        f"  {stats['instructions after']:6,} once after, from {counted(stats['means'], 'mean')}\n"
        f"  compiled in {1e3 * stats['seconds']:.1f} ms")


def graph_of(recording: Program, numbers: Sequence[float]) -> list[Value]:
    """The outputs of one sample, as ordinary Values; without numbers all are 0."""
    given = numbers or [0.0] * len(recording.inputs)
    if len(given) != len(recording.inputs):
        raise ValueError(f"{recording.name} needs {len(recording.inputs)} numbers, found {len(given)}")
    nodes: list[Any] = []
    known = {**recording.parameters, **recording.numbers,
             **{i: Value(x, recording.labels.get(i, "")) for i, x in enumerate(given)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of inf and nan: the numbers may be of no interest
        for i, (row, parents) in enumerate(zip(recording.ops, recording.args)):
            node: Any = known.get(i)
            if node is None:
                given_to = [nodes[parent] for parent in parents]
                node = row(*given_to) if row.name in ops.OPS else row.value(*map(float, given_to))
                if isinstance(node, Value) and not node.label and node.parents:
                    node.label = recording.labels.get(i, "")
            nodes.append(node)
    return [node if isinstance(node, Value) else Value(node) for node in (nodes[y] for y in recording.outputs)]


def shortened(source: str, most: int = 40) -> str:
    """A program to look at: the whole of a short one, the beginning of what is done for each sample of a long one."""
    lines = source.rstrip().splitlines()
    if len(lines) <= most:
        return "\n".join(lines)
    start = next((i for i, line in enumerate(lines) if line.strip().lower().startswith("# for each sample")), 0)
    shown = [line if len(line) <= 110 else line[:107] + "..." for line in lines[start:start + most // 2]]
    return "\n".join([*shown, f"    ...  ({len(lines):,} lines in all: .source)"])
