"""A training run in one safetensors file, from which a run that was killed goes on with the same numbers.

The numbers are tensors of float64 (the order of the rows: int64), which any reader of safetensors shows; all else is
JSON in the metadata. It knows nothing of functions, optimizers or devices: who trains says where the run is
(`Progress`), and which facts tell it from another.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..arguments import counted
from ..files import FileName, write_whole
from ..packages import needed

FORMAT, VERSION = "micrograd training run", 1
NUMBERS = ("parameters", "gradients", "losses")  # fields of Progress that are tensors
COUNTS = ("steps", "epochs", "batches")  # and those that are in the metadata
MEMORY = "memory."  # before the names of what the optimizer remembers, as names of tensors
CURVE, BEST = "curve.", "best"  # before the names of what was measured, and the parameters of the best epoch
START_AFRESH = "delete the file to start afresh, or name another"
ABSENT = object()
OPERATIONS = "the checksum of its operations"  # the fact that tells one function from another


@dataclass(slots=True)
class Progress:
    """The state of a run: all that its next step depends on, and what it has found so far.

    parameters, gradients: their numbers, in the order of the parameters. memory: of the optimizer, by name, and steps:
    how many it has taken. epochs: how many are finished; batches: of a stream, how many were seen since the start, 0
    for a table. losses: of the finished epochs. order: the rows in the order that is shuffled next, empty if there is
    none. random: the getstate() of the random.Random that shuffles, or None. curves: what else was measured of each
    epoch, by name. best: the best epoch, from 1, 0 for none, and kept: the parameters after it.
    """

    parameters: list[float]
    gradients: list[float]
    memory: dict[str, list[float]]
    steps: int
    epochs: int
    batches: int
    losses: list[float]
    order: list[int]
    random: Any
    curves: dict[str, list[float]] = field(default_factory=dict)
    best: int = 0
    kept: list[float] = field(default_factory=list)


def write(path: FileName, progress: Progress, run: Mapping[str, Any]) -> None:
    """Write a run to a file, over the one of before. Whenever this is cut short, the old file or the new one is there.

    run: what tells this run from another, as plain JSON data.
    Raises FileNotFoundError for a folder that does not exist, ImportError without safetensors, TypeError and ValueError
    for facts that are not JSON (nan is not).
    """
    np, safetensors = _packages()
    file_name = _in_a_folder(path)
    tensors = {name: np.array(getattr(progress, name), np.float64) for name in NUMBERS}
    tensors |= {MEMORY + name: np.array(numbers, np.float64) for name, numbers in progress.memory.items()}
    tensors |= {CURVE + name: np.array(numbers, np.float64) for name, numbers in progress.curves.items()}
    if progress.best:
        tensors[BEST] = np.array(progress.kept, np.float64)
    tensors["order"] = np.array(progress.order, np.int64)
    counts = {name: getattr(progress, name) for name in COUNTS}
    notes = {"format": FORMAT, "version": str(VERSION), "run": json.dumps(run, allow_nan=False),
             "progress": json.dumps({**counts, "memory": list(progress.memory), "random": progress.random,
                                     "curves": list(progress.curves), "best": progress.best})}
    notes["checksum"] = _checksum(notes, tensors)
    write_whole(file_name, safetensors.numpy.save(tensors, notes))


def read(path: FileName, run: Mapping[str, Any]) -> Progress | None:
    """The state of the run in a file, to the last bit; None if there is no such file.

    run: as for `write`. Raises ValueError for the file of another run (naming the first fact that differs), of a later
    version, of something else, and for a damaged one; FileNotFoundError for a folder that does not exist, where nothing
    could be written later; ImportError without safetensors.
    """
    _, safetensors = _packages()
    file_name = _in_a_folder(path)
    if not os.path.exists(file_name):
        return None
    found, progress = _opened(safetensors, file_name)
    expected = json.loads(json.dumps(run, allow_nan=False))
    if found != expected:
        raise ValueError(f"{file_name} holds another run: {_difference(found, expected)}; {START_AFRESH}")
    return progress


def parameters_in(path: FileName, operations: str) -> list[float]:
    """The parameters in the file of a run, for a function with this checksum of its operations, whatever trained it.

    Raises ValueError for a file of something else, or of another function, and for a damaged one.
    """
    file_name = os.fsdecode(path)
    run, progress = _opened(_packages()[1], file_name)
    if run.get(OPERATIONS) != operations:
        raise ValueError(f"{file_name} holds the run of another function, {run.get('function')}, with "
                         f"{counted(len(progress.parameters), 'parameter')}: the operations differ")
    return progress.parameters


def _opened(safetensors: Any, file_name: str) -> tuple[dict[str, Any], Progress]:
    """The facts that tell the run in a file from another, and its state."""
    try:
        opened = safetensors.safe_open(file_name, framework="numpy")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{file_name} is damaged, or not a safetensors file ({error}): {START_AFRESH}") from None
    with opened as file:
        notes = file.metadata() or {}
        if notes.get("format") != FORMAT:
            raise ValueError(f"{file_name} is a safetensors file of something else (its metadata do not say "
                             f"{FORMAT!r}): name another file for the run")
        if notes.get("version") != str(VERSION):
            raise ValueError(f"{file_name} has version {notes.get('version')}, this program reads {VERSION}: go on "
                             f"with the program that wrote it, or {START_AFRESH}")
        try:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not iterable)
            if notes["checksum"] != _checksum(notes, tensors):
                raise ValueError("these are not the numbers that were written")
            facts, found = json.loads(notes["progress"]), json.loads(notes["run"])
            state = facts["random"]
            progress = Progress(
                **{name: tensors[name].tolist() for name in (*NUMBERS, "order")},
                **{name: facts[name] for name in COUNTS},
                memory={name: tensors[MEMORY + name].tolist() for name in facts["memory"]},
                random=state and (state[0], tuple(state[1]), state[2]),  # JSON has no tuples
                curves={name: tensors[CURVE + name].tolist() for name in facts.get("curves", ())},
                best=facts.get("best", 0), kept=tensors[BEST].tolist() if BEST in tensors else [])
        except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ValueError(f"{file_name} is damaged ({error}): {START_AFRESH}") from None
    return found, progress


def _difference(found: Any, expected: Any) -> str:
    """The first fact that differs, of facts within facts the innermost."""
    where = []
    while any(isinstance(found, kind) and isinstance(expected, kind) for kind in (dict, list)):
        if isinstance(found, list):
            if len(found) != len(expected):
                break
            found, expected = dict(enumerate(found)), dict(enumerate(expected))
        key = next(key for key in {**expected, **found} if found.get(key, ABSENT) != expected.get(key, ABSENT))
        where.append(str(key))
        found, expected = found.get(key, ABSENT), expected.get(key, ABSENT)
    return f"{'.'.join(where)} is {_shown(found)} in the file, and {_shown(expected)} now"


def _shown(fact: Any) -> str:
    if fact is ABSENT:
        return "absent"
    text = repr(fact)
    count = f"{counted(len(fact), 'item')}, " if isinstance(fact, list) else ""
    return count + (text if len(text) <= 60 else text[:57] + "...")


def _checksum(notes: Mapping[str, str], tensors: Mapping[str, Any]) -> str:
    """Of all that a run goes on from: safetensors itself would read a bit that has changed on the disk as another
    number."""
    crc = zlib.crc32((notes["run"] + notes["progress"]).encode())
    for name in sorted(tensors):
        crc = zlib.crc32(f"{name} {tensors[name].dtype} ".encode(), crc)
        crc = zlib.crc32(tensors[name].tobytes(), crc)
    return f"{crc:08x}"


def _in_a_folder(path: FileName) -> str:
    file_name = os.fsdecode(path)
    if not file_name:
        raise ValueError("a run is kept in a file: name one, such as 'run.safetensors'; found ''")
    folder = os.path.dirname(file_name) or os.curdir
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder!r} to keep the run in: make it first, or name another "
                                f"file than {file_name!r}")
    if os.path.isdir(file_name):
        raise IsADirectoryError(f"{file_name!r} is a folder: name a file in it to keep the run in")
    return file_name


def _packages() -> tuple[Any, Any]:
    """NumPy and safetensors."""
    numpy, _ = (needed(package, "safetensors") for package in ("numpy", "safetensors.numpy"))
    return numpy, needed("safetensors", "safetensors")
