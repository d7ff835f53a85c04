"""Packages that may be missing or in the way, and whether this is a browser."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

DISTRIBUTION = "micrograd-lab"  # what is installed; on the package index, micrograd is the original
# Python in WebAssembly: no processes, no threads, and little stack.
IN_BROWSER = sys.platform in ("emscripten", "wasi")


def to_install(extra: str) -> str:
    """The command that brings what an extra of setup.cfg names."""
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def needed(package: str, extra: str = "") -> Any:
    """The package, loaded when it is first asked for. An ImportError says what to install: the extra that has it, or,
    where none has, the package itself."""
    try:
        return import_module(package)
    except ImportError as error:
        how = to_install(extra) if extra else f"pip install {package}"
        raise ImportError(f"{package} cannot be loaded ({error}): {how}") from error


def only_ours(package: str) -> None:
    """Raise an ImportError if the package is not ours: another one of the same name was put into the same folder, or
    was, and has taken files away as it left. What is ours says so in `__distribution__`."""
    if getattr(sys.modules[package], "__distribution__", None) != DISTRIBUTION:
        raise in_the_way(package, "__init__.py")


def in_the_way(package: str, file: str) -> ImportError:
    """The error for a file of the package that is not ours. Whose it is, is looked up in what pip wrote down."""
    from importlib.metadata import distributions  # slow, and of no use until something is wrong
    folder = sys.modules[package].__path__[0]
    others = {f"{other.name} {other.version}": other.name for other in distributions() if other.name != DISTRIBUTION
              and any(path.parts[0] == package for path in other.files or ())
              and os.path.realpath(str(other.locate_file(package))) == os.path.realpath(folder)}
    path = os.path.join(folder, file)
    return ImportError(
        f"{path} {f'is not that of {DISTRIBUTION}' if os.path.exists(path) else f'of {DISTRIBUTION} is gone'}: "
        f"{' and '.join(sorted(others)) or 'another package'} was installed into the same folder, and two packages "
        f"cannot share it. Keep one: pip uninstall {' '.join([*sorted(others.values()), DISTRIBUTION])}, then install "
        f"{DISTRIBUTION} again")
