"""What the commands have in common: what is printed, which files are read and written, complaints, and `main` itself.

"-" is standard input or output; nothing else is printed there then.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from click.core import ParameterSource

from .. import __version__
from ..data.table import TableError
from ..engine import engine_kind
from ..files import descriptor, status, write_whole
from ..formulas.expression import ExpressionError
from ..page import ALIKE, as_json
from ..terminal import spelling_of

STREAM = Path("-")
FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
FORMATS = {".html": "a page", ".csv": "a table", ".svg": "an SVG picture", ".png": "a PNG picture", ".json": "JSON",
           ".txt": "text", ".tex": "LaTeX", ".pdf": "PDF"}
# Facts of a run, in click's context
QUIET, TAKEN, READ, UNHEARD = (f"{__name__}.{word}" for word in ("quiet", "taken", "read", "unheard"))


class FileToWrite(click.Path):
    """A file that is written in one format; by the endings of such files, the usual one first."""

    def __init__(self, *endings: str) -> None:
        super().__init__(dir_okay=False, allow_dash=True, path_type=Path)
        self.endings = endings

    def check(self, path: Path) -> None:
        """Refuse the name of another format, which would promise what is not in the file."""
        ending = ALIKE.get(path.suffix.lower(), path.suffix.lower())
        if ending in FORMATS and ending not in self.endings:
            usual = self.endings[0]
            raise Problem(f"{path} is to be {FORMATS[usual]}, and not {FORMATS[ending]}: name it "
                          f"{path.with_suffix(usual)}")


PAGE, PICTURE, MODEL = map(FileToWrite, (".html", ".svg", ".json"))
TABLE = FileToWrite(".csv", ".txt")


def fact(name: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and context.meta.get(name, False)


def say(words: str, result: bool = False) -> None:
    """Print a report, or the result, at once, in step with the progress bar; in the encoding of the terminal, which
    click.echo may override. With -q no report is printed; where standard output has another use, all go to stderr."""
    if not fact(QUIET) or (result and not fact(TAKEN)):
        put(words, sys.stderr if fact(TAKEN) else sys.stdout)


def note(words: str) -> None:
    """Say what is odd, beside what is printed."""
    if not fact(QUIET):
        put(on_one_line(words), sys.stderr)


def put(words: str, stream: IO[str]) -> None:
    """Print at once. Where nobody listens any more, as after `| head -1`, the work goes on, so that what is learnt is
    kept; the error comes after it."""
    try:
        print(spelling_of(stream)(visible(words)), file=stream, flush=True)
    except OSError as error:
        context = click.get_current_context(silent=True)
        if context is None:
            raise
        context.meta.setdefault(UNHEARD, error)


# What terminals obey: to move, to colour, to turn the direction of writing. Ends of lines are none of these.
CONTROL = re.compile("[\0-\t\v-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(words: str) -> str:
    """Words that may come from a file, to print: with \\x1b for the sign of that number, which a terminal obeys."""
    return CONTROL.sub(lambda sign: sign[0].encode("unicode_escape").decode(), words)


def on_one_line(words: object) -> str:
    """Words that may quote what is in files."""
    return "\\n".join(str(words).splitlines())


def write(file: Path, content: str) -> None:
    """Write a file whole, as UTF-8, or to standard output."""
    write_whole(opened(file), content.encode(errors="backslashreplace"))


def write_json(data: Any) -> None:
    """Write to standard output what any program reads."""
    write(STREAM, as_json(data))


def source(file: Path) -> Path | IO[bytes]:
    """The file to read, or standard input, which can be read once."""
    if file != STREAM:
        return file
    if sys.stdin is None:
        raise Problem("there is no standard input to read")
    click.get_current_context().meta[READ] = True
    return sys.stdin.buffer


def opened(file: Path) -> Path | IO[bytes]:
    """The file to write, or standard output."""
    if file != STREAM:
        return file
    if sys.stdout is None:
        raise Problem("there is no standard output to write to")
    sys.stdout.flush()
    return sys.stdout.buffer


def is_stdout(out: Path) -> bool:
    return out == STREAM or descriptor(str(out)) == 1


def typed(*words: object) -> str:
    """A command to type in a shell."""
    plain = [re.sub("^(?=-)", os.path.join(os.curdir, ""), str(word)) if isinstance(word, Path) else str(word)
             for word in words]
    return subprocess.list2cmdline(plain) if os.name == "nt" else shlex.join(plain)


def settle(*outs: Path | None, read: Sequence[Path] = (), as_json: bool = False) -> None:
    """Before any work: check all files that are to be written, and that each has a place of its own."""
    if list(read).count(STREAM) + fact(READ) > 1:
        raise Problem("- and -: standard input is one file; give the other a name")
    files = [out for out in outs if out]
    for out in files:
        check_out(out, *read)
    context = click.get_current_context()
    for option in context.command.params:
        path = context.params.get(str(option.name))
        if isinstance(option.type, FileToWrite) and path in files:
            option.type.check(path)
    taken = [str(out) for out in files if is_stdout(out)] + (["--json"] if as_json else [])
    if len(taken) > 1:
        raise Problem(f"{' and '.join(taken)}: standard output takes one of them; give the others a file")
    places = [os.path.realpath(file) for file in files if file.is_file() or not file.exists()]
    if len(set(places)) < len(places):
        raise Problem(f"{files[0]} is to be written twice; choose a name for each file")
    context.meta[TAKEN] = bool(taken)


def check_out(out: Path, *read: Path) -> None:
    """Before any work: refuse a file to write that cannot be written, or that would overwrite a file that is read."""
    if out == STREAM:
        return
    if not out.name:
        raise Problem("a name is missing: which file is to be written?")
    if not out.parent.is_dir():
        raise Problem(f"there is no folder {out.parent} to put {out.name} in")
    number = descriptor(str(out))
    try:
        if number is not None:
            os.fstat(number)
        elif status(str(out)) is None and not os.access(out.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise Problem(f"{out} cannot be written: {str(error.strerror).lower()}") from None
    for path in read:
        if out.is_file() and path.is_file() and out.samefile(path):
            raise Problem(f"{out} is the file that is being read; choose another name to write to")


def by_default(option: str) -> bool:
    """True if nobody has given this option."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.DEFAULT


def keep(out: Path | None, again: Callable[[bytes], bool]) -> None:
    """Refuse to write to the default name of a file that exists, which nobody has asked to have replaced. again:
    whether its content is an earlier form of what is to be written."""
    if out and by_default("out") and out.exists() and not (out.is_file() and again(out.read_bytes())):
        raise Problem(f"there is another {out} already: add {typed('--out', out)} to replace it, or another name")


def printing(command: Callable[..., None]) -> Callable[..., None]:
    """The options --json and --quiet."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.", expose_value=False,
                         callback=lambda context, _option, quiet: context.meta.update({QUIET: quiet}))
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(quiet(command))


class Problem(click.ClickException):
    """Something that the user can mend, said in one line; exit code 2."""
    exit_code = 2

    def format_message(self) -> str:
        return visible(self.message)


class Commands(click.Group):
    """Commands whose complaints about tables and files are one line each; about expressions, with a caret below."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with complaints():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with complaints():
            result = super().invoke(ctx)
            if UNHEARD in ctx.meta:
                raise ctx.meta[UNHEARD]
            return result


@contextmanager
def complaints(fault: type[ValueError] = ExpressionError) -> Iterator[None]:
    """Errors of users and of files as a `Problem`. fault: what is wrong with other things than tables and files."""
    try:
        yield
    except TableError as error:
        raise Problem(on_one_line(error)) from None
    except fault as error:
        raise Problem(str(error)) from None
    except BrokenPipeError:  # `| head` has read enough; click leaves quietly
        raise
    except OSError as error:
        words = error.strerror or str(error)
        raise Problem(f"{error.filename}: {words}" if error.filename else words) from None


@contextmanager
def without_warnings() -> Iterator[None]:
    """Nothing is said of inf and nan while it happens: whoever uses this says what came of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message=f"%(prog)s %(version)s, {engine_kind()} engine")
def main() -> None:
    """A scalar autograd engine: derivatives and networks that can be seen.

    \b
    Start here:
      micrograd demo
    and then, with a table of your own:
      micrograd train houses.csv --target price
      micrograd predict model.json new-houses.csv

    \b
    Derivatives, as lecture notes derive them:
      micrograd explain "0.5*(y - sigmoid(w*x))**2" --at w=0.5 x=2 y=1 --wrt w
      micrograd step "0.5*(y - sigmoid(w*x))**2" --at w=0.5 x=2 y=1

    \b
    In pipes, - is standard input or output. Tab completes the commands after
      eval "$(_MICROGRAD_COMPLETE=bash_source micrograd)"
    in ~/.bashrc (zsh_source in ~/.zshrc).
    """
