"""The parameters of a compiled function, from the file of a network or of a training run."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ..interchange import from_safetensors
from ..modules import Module
from ..training.checkpoint import FORMAT as TRAINING_RUN
from ..training.checkpoint import parameters_in
from .executors import Executors
from .program import Program
from .trace import reachable_objects


def load(path: str | os.PathLike[str], recording: Program, executors: Executors,
         function: Callable[..., Any] | None) -> None:
    """`Compiled.load`. function: what was recorded, which can name its networks."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")  # with which a safetensors file begins
        tensors = size <= os.path.getsize(path)
        notes = file.read(size) if tensors else b""
    where = os.fspath(path)
    if f'"{TRAINING_RUN}"'.encode() in notes:
        for p, x in zip(executors.in_plan, parameters_in(path, recording.checksum())):
            p.data = x
        return
    mine = set(executors.places)
    found: dict[Module, Module] = {}  # the networks that are meant by the file, and what is in it
    nets = [thing for thing in reachable_objects(function)
            if isinstance(thing, Module) and mine.issuperset(thing.parameters())]
    for net in nets:
        if not any(net is not other and set(net.parameters()) < set(other.parameters()) for other in nets):
            found[net] = from_safetensors(path) if tensors else type(net).load(path)
    fitting = [net for net, other in found.items() if net.config() == other.config()]
    if len(fitting) != 1:
        known = "; ".join(f"{net!s:.200}" for net in found) or "no network whose parameters it computes with"
        why = "fits several of its networks" if fitting else "is of another network than it was compiled with"
        raise ValueError(f"{recording.name} is not loaded from {where}, which {why}. Within its reach there is "
                         f"{known}. Load a network by net.load_state_dict(MLP.load(path).state_dict()), or compile "
                         "what was loaded")
    fitting[0].load_state_dict(found[fitting[0]].state_dict())
