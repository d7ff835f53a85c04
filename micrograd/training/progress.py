"""A progress bar, where tqdm is installed and one is wanted."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from ..packages import IN_BROWSER


class NoBar:
    """In the place of a tqdm bar that is not wanted."""

    def set_postfix_str(self, words: str, refresh: bool = False) -> None: ...
    def update(self, n: int = 1) -> None: ...
    def close(self) -> None: ...


def watched() -> bool:
    """Ask whether anybody can see a bar move: in a terminal, or a notebook. In a file it is a long line of nonsense."""
    shell = sys.modules.get("IPython")
    kernel = shell is not None and getattr(shell.get_ipython(), "kernel", None)  # of a notebook
    return bool(kernel) or (sys.stderr is not None and sys.stderr.isatty())


def progress_bar(epochs: int, progress: bool | None) -> Any:
    """A tqdm bar over so many epochs. progress: None for one in a terminal or a notebook, if tqdm is installed; True
    for one anywhere, or an ImportError."""
    if progress is False or (progress is None and not watched()):
        return NoBar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")  # a notebook without ipywidgets: a bar of text
            from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise ImportError("progress=True needs tqdm: pip install tqdm, or leave progress out") from None
        return NoBar()
    if IN_BROWSER:
        tqdm.monitor_interval = 0  # which would be a thread
    return tqdm(total=epochs, bar_format="{n}/{total} |{bar}| {remaining} left{postfix}", dynamic_ncols=True)
