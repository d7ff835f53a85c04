"""Views as files: what is written goes by the ending of the name, `explain(C, w).save("w.html")`."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite, isnan
from pathlib import Path
from typing import Any, Union

from .data.delimited import write_delimited
from .files import FileName, write_whole

Writer = Callable[[], Union[str, bytes]]
ALIKE = {".htm": ".html", ".dot": ".gv"}
HINTS = {".pdf": {".tex": "for a PDF, compile the .tex with pdflatex", ".html": "for a PDF, print the .html page"},
         ".png": {".svg": "for pixels, convert the .svg", ".html": "for a picture, take one of the .html page"}}


def saved(what: str, path: FileName, formats: Mapping[str, Writer]) -> Path:
    """Write a file wholly or not at all, in the format of its ending; one of that name is replaced. Returns the path.

    what: of whom messages speak. formats: by ending, the usual one first, which also goes to what is no file (a pipe, a
    device) and has no ending. Raises ValueError for any other ending.
    """
    name = os.fsdecode(path)
    ending = os.path.splitext(name)[1].lower()
    writer = formats.get(ALIKE.get(ending, ending))
    if writer is None and not ending and os.path.exists(name) and not os.path.isfile(name) and not os.path.isdir(name):
        writer = next(iter(formats.values()))
    if writer is None:
        hints = [words for other, words in HINTS.get(ending, {}).items() if other in formats]
        raise ValueError(f"{what}.save(path) writes {', '.join(formats)}, by the ending of the name; found {name!r}"
                         + "".join(f" ({words})" for words in hints[:1]))
    content = writer()
    write_whole(path, content.encode() if isinstance(content, str) else content)
    return Path(name)


def as_json(data: Any) -> str:
    """Plain data as strict JSON, which any program reads: for inf and nan, which it has not, "Infinity" and "NaN"."""
    return json.dumps(strict(data), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def strict(data: Any) -> Any:
    """Plain data with "NaN", "Infinity" and "-Infinity" in the place of these numbers."""
    if isinstance(data, Mapping):
        return {str(key): strict(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [strict(value) for value in data]
    if isinstance(data, float) and not isfinite(data):
        return "NaN" if isnan(data) else "Infinity" if data > 0 else "-Infinity"
    return data


def as_csv(rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    """A table, for spreadsheets, too (see `write_delimited`)."""
    file = io.StringIO(newline="")
    write_delimited(file, rows, delimiter)
    return file.getvalue()
