"""The command line: `micrograd demo`, `train`, `predict`, `explain`, `step`, `grade`.

It reads files, calls the library, and prints; whatever needs no terminal is done elsewhere. A command is a function
under `@main.command` in a module that is imported here.
"""

from __future__ import annotations

import codecs
import sys

from ..terminal import typewriter
from . import demo, expressions, tables  # noqa: F401 - their commands
from .console import main


def run() -> None:
    """The command `micrograd`. A terminal that lacks a sign gets one from the typewriter in its place."""
    codecs.register_error("typewriter", typewriter)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="typewriter")
    main(prog_name="micrograd")
