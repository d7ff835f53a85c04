"""The world outside: packages that may be missing, and files that are written whole or not at all."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Union

FileName = Union[str, "os.PathLike[str]"]


def needed(package: str, install: str) -> Any:
    """The package, loaded when it is first asked for. An ImportError says what to install."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f'{package} cannot be loaded ({error}): pip install "{install}"') from error


def write_whole(path: FileName, content: bytes) -> None:
    """Write a file over the one of that name. Whenever this is cut short, the old file or the new one is there.

    A link is followed. A file named path + ".part" is written on the way, and what is no file (a pipe, a device) is
    written to as it is. Raises OSError where that cannot be.
    """
    target = os.path.realpath(os.fsdecode(path))
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            file.write(content)
        return
    part = f"{target}.part"
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before the name changes: else, after a power cut, the file may be there and empty
        os.replace(part, target)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise
