"""The world outside: packages that may be missing, and files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from glob import escape, glob
from importlib import import_module
from threading import get_ident
from time import time
from typing import Any, Union

FileName = Union[str, "os.PathLike[str]"]
LEFT = 600  # seconds, after which nobody is still writing


def needed(package: str, install: str) -> Any:
    """The package, loaded when it is first asked for. An ImportError says what to install."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f'{package} cannot be loaded ({error}): pip install "{install}"') from error


def write_whole(path: FileName, content: bytes) -> None:
    """Write a file over the one of that name. Whenever this is cut short, the old file or the new one is there.

    A link is followed. What is written on the way has a name of its own, path + ... + ".part", so that several may
    write at once; what one who was killed left behind is taken away later. What is no file (a pipe, a device) is
    written to as it is. Raises OSError where that cannot be.
    """
    target = os.path.realpath(os.fsdecode(path))
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            file.write(content)
        return
    for left in glob(f"{escape(target)}.*.part"):
        with suppress(OSError):
            if time() - os.path.getmtime(left) > LEFT:
                os.remove(left)
    part = f"{target}.{os.getpid()}.{get_ident()}.part"
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
