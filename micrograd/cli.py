"""The command line: `micrograd demo`, `train`, `predict`, `explain`, `step`, `grade`.

It reads files, calls the library, and prints; whatever needs no terminal is done elsewhere.
"""

from __future__ import annotations

import codecs
import errno
import html
import io
import json
import math
import os
import random
import re
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import click
from click.core import ParameterSource

from . import __version__, losses, ops
from .data.delimited import Row
from .data.table import Plan, Table, TableError, brief, find_target, listed, make_plan, read_table, span
from .engine import Value, engine_kind, topological_order
from .files import descriptor, read_whole, status, write_whole
from .formulas.algebra import number_of
from .formulas.graph import look
from .formulas.layout import LATEX, UNICODE, Notation, formula, in_one_notation, unicode_label
from .formulas.mathml import mathml
from .formulas.parse import ExpressionError, Names, UnknownName, parse, parse_program, parse_values
from .look.draw import draw, svg_of
from .look.explain import CHAIN, DELTA, FORMS, Explanation, explain
from .look.stepper import stepper
from .look.steps import steps
from .mark.grade import grade_class
from .mark.submission import WANTS
from .nn import MLP
from .optim import AdamW
from .outside import to_install
from .page import page
from .save import as_csv, as_json
from .terminal import folded, spelling_of, typewriter, width_of_stdout
from .train import HELD_OUT, History, accuracy, fit, train_test_split

AS_GOOD = 1.05  # times the lowest loss, of networks on the rows to stop by: within this it is chance which is better
IRIS = Path(__file__).with_name("data") / "iris.csv"  # Fisher 1936; see the README beside it


def run() -> None:
    """The command `micrograd`. A terminal that lacks a sign gets one from the typewriter in its place."""
    codecs.register_error("typewriter", typewriter)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="typewriter")
    main(prog_name="micrograd")


# What is printed, and what is read and written. "-" is standard input or output; nothing else is printed there then.

STREAM = Path("-")
FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
# Facts of a run, in click's context
QUIET, TAKEN, READ, UNHEARD = (f"{__name__}.{word}" for word in ("quiet", "taken", "read", "unheard"))


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
        put(words, sys.stderr)


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
    """What to read: a file, or standard input, which can be read once."""
    if file != STREAM:
        return file
    if sys.stdin is None or fact(READ):
        raise Problem("- and -: standard input is one file; give the other a name" if sys.stdin else
                      "there is no standard input to read")
    click.get_current_context().meta[READ] = True
    return sys.stdin.buffer


def opened(file: Path) -> Path | IO[bytes]:
    """What to write to: a file, or standard output."""
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


def settle(*outs: Path | None, read: Sequence[Path] = (), as_json: bool = False, quiet: bool = False) -> None:
    """Before any work: check all files that are to be written, and that each has a place of its own."""
    if list(read).count(STREAM) + fact(READ) > 1:
        raise Problem("- and -: standard input is one file; give the other a name")
    files = [out for out in outs if out]
    for out in files:
        check_out(out, *read)
    taken = [str(out) for out in files if is_stdout(out)] + ["--json"] * as_json
    if len(taken) > 1:
        raise Problem(f"{' and '.join(taken)}: standard output takes one of them; give the others a file")
    places = [os.path.realpath(file) for file in files if file.is_file() or not file.exists()]
    if len(set(places)) < len(places):
        raise Problem(f"{files[0]} is to be written twice; choose a name for each file")
    click.get_current_context().meta.update({QUIET: quiet, TAKEN: bool(taken)})


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


def keep(out: Path, again: Callable[[bytes], bool]) -> None:
    """Refuse to write to the default name of a file that exists, which nobody has asked to have replaced. again:
    whether its content is an earlier form of what is to be written."""
    default = click.get_current_context().get_parameter_source("out") is ParameterSource.DEFAULT
    if default and out.exists() and not (out.is_file() and again(out.read_bytes())):
        raise Problem(f"there is another {out} already: add {typed('--out', out)} to replace it, or another name")


quietly = click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
json_too = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


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
def complaints() -> Iterator[None]:
    """Errors of users and of files as a `Problem`."""
    try:
        yield
    except TableError as error:
        raise Problem(on_one_line(error)) from None
    except ExpressionError as error:
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


class Trained(NamedTuple):
    """A network with what was learnt on the way, and the rows that it has seen and not seen. Those to stop by are among
    the former."""
    net: MLP
    plan: Plan
    history: History
    X: list[list[float]]
    y: list[float]
    held_X: list[list[float]]
    held_y: list[float]


def train_on(table: Table, target: str, *, task: str = "auto", ignore: Sequence[str] = (), test: float = 0.25,
             validation: float = HELD_OUT, patience: int, seed: int, layers: Sequence[int], activation: str, lr: float,
             weight_decay: Sequence[float], epochs: int, batch_size: int) -> Trained:
    """Train an MLP to predict a column of the table from the others, telling what is found and done."""
    wanted, rows, y = find_target(table, target, task)
    held, held_y = list[Row](), list[float]()
    if test:
        rows, held, y, held_y = train_test_split(rows, y, test=test, seed=seed)
    plan, report = make_plan(table, wanted, rows, y, ignore)
    wanted = plan.target
    (X, notes), (held_X, more) = plan.encode(table, rows), plan.encode(table, held)

    odd = f" (read as {table.encoding})" if table.encoding != "utf-8-sig" else ""
    say(f"{Path(table.path).name}: {len(table.rows)} rows, {len(table.header)} columns{odd}")
    found = (f"{len(wanted.classes)} classes: {listed(wanted.classes, 5)}" if wanted.classes else
             f"{span(y + held_y, wanted.unit, wanted.suffixes)}, mean {wanted.mean:g}")
    without = len(table.rows) - len(rows) - len(held)
    if task == "auto" and len(wanted.classes) > 2 and all(map(table.number, wanted.classes)):
        found += "; to fit them as numbers: --task regression"
    report[target] = f"the target, {found}" + f"; {without} rows without it left out" * bool(without)
    width = min(max(map(len, report)), 30)
    for name, words in report.items():
        say(on_one_line(f"  {brief(name):{width}}  {words}"))
    for odd in notes + more:
        if not odd.endswith("missing"):
            say(on_one_line(f"  taken as missing: {odd}"))

    targets = [(t - wanted.mean) / wanted.scale for t in y]
    learnt, stop_by = (X, targets), None
    if validation:
        learnt_X, stop_X, learnt_y, stop_y = train_test_split(X, targets, test=validation, seed=seed)
        learnt, stop_by = (learnt_X, learnt_y), (stop_X, stop_y)
    widths = [*layers, len(wanted.classes) or 1]
    try:  # all begin with the same numbers
        tries = [(decay, AdamW(lr=lr, weight_decay=decay), MLP(len(X[0]), widths, activation=activation, init="auto",
                                                               rng=seed)) for decay in weight_decay]
    except ValueError as error:
        raise Problem(str(error)) from None
    if stop_by is None:
        del tries[1:]  # nobody could choose among them
    net = tries[0][-1]
    say(f"A network {'-'.join(map(str, [net.nin, *widths]))} ({activation}, {len(net.parameters())} parameters) learns "
        f"from {len(learnt[0])} rows.\nHeld out: {len(rows) - len(learnt[0])} rows to stop by (--validation), "
        f"{len(held)} to judge it by (--test).")
    runs: list[tuple[float, float, MLP, History]] = []  # by what it is judged, weight decay, network, history
    for decay, optimizer, net in tries:
        with without_warnings():  # fit stops there, and says so
            history = fit(net, *learnt, loss=losses.cross_entropy if wanted.classes else losses.half_squared_error,
                          optimizer=optimizer, epochs=epochs, batch_size=batch_size, standardize=True, seed=seed,
                          validation=stop_by, patience=patience if stop_by else None,
                          progress=False if fact(QUIET) else None)
        patient = history.stopped.startswith("no better") and history.best
        if history.stopped not in ("all epochs done", "interrupted") and not patient:
            raise Problem(f"after {history.epochs} of {epochs} epochs, {history.stopped.removeprefix('diverged: ')}")
        runs.append((history.kept()["validation_loss"] if history.best else math.inf, decay, net, history))
        if history.stopped == "interrupted":
            say(f"\nInterrupted after {history.epochs} of {epochs} epochs: what was learnt is kept.")
            break
    lowest = min(loss for loss, *_ in runs)
    _, decay, net, history = next(run for run in runs if run[0] <= lowest * AS_GOOD)
    way = {"native": "in native code", "python": "in generated Python"}.get(history.ran, "sample by sample")
    say(f"It has learnt {way}.")
    for loss, tried, _, run in runs:
        say(f"Weight decay {tried:g}: {run.epochs} epochs" + ("." if run.best is None else
            f"; the best, number {run.best}, has loss {loss:.4g}."))
    if history.best is not None:
        say(f"Kept: epoch {history.best} with weight decay {decay:g}, by the rows to stop by.")
    net.meta["table"] = asdict(plan)
    return Trained(net, plan, history, X, y, held_X, held_y)


def judged(trained: Trained) -> dict[str, Any]:
    """How good the network is on rows that it has not seen, against a guess that looks at no column."""
    net, target, held = trained.net, trained.plan.target, bool(trained.held_X)
    X, y = (trained.held_X, trained.held_y) if held else (trained.X, trained.y)
    rows = {"rows": len(y), "held_out": held}
    if target.classes:
        right = accuracy(net, X, y)
        common = statistics.mode(trained.y)
        return {**rows, "accuracy": right, "right": round(right * len(y)), "most_common": target.classes[int(common)],
                "accuracy_of_most_common": y.count(common) / len(y)}
    errors = [target.mean + target.scale * out - t for out, t in zip(net.predict(X), y)]
    rmse, trivial = (math.sqrt(statistics.fmean(e * e for e in es)) for es in (errors, [target.mean - t for t in y]))
    spread = statistics.pvariance(y)
    return {**rows, "r2": 1 - rmse ** 2 / spread if spread else None, "rmse": rmse, "mean": target.mean,
            "rmse_of_mean": trivial}


def verdict(found: Mapping[str, Any]) -> str:
    """What `judged` has found, in words."""
    rows = f"the {found['rows']} {'held-out' if found['held_out'] else 'training'} rows"
    if "accuracy" in found:
        return (f"Accuracy on {rows}: {found['accuracy']:.1%} ({found['right']} right). "
                f"Always {brief(found['most_common'])!r}: {found['accuracy_of_most_common']:.1%}.")
    score = "" if found["r2"] is None else f"R² {found['r2']:.3f}, "
    return (f"On {rows}: {score}RMSE {found['rmse']:.4g}.\nAlways the mean, {found['mean']:.4g}: RMSE "
            f"{found['rmse_of_mean']:.4g}.")


def predicts(model: bytes) -> str | None:
    """The column that a model predicts; None for what is no model of a table."""
    try:
        name = json.loads(model)["meta"]["table"]["target"]["name"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return name if isinstance(name, str) else None


ENDS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@contextmanager
def ends_as_ctrl_c() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that is closed, end training as Ctrl-C does, so that what was learnt is kept;
    then the exit code is 143, or 129, as for whoever is ended by that signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = list[int]()

    def handler(number: int, _frame: object) -> None:
        if not came:
            came.append(number)
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in ENDS}
    heard = [number for number in ENDS if before[number] is not signal.SIG_IGN]  # nohup has SIGHUP ignored
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    except KeyboardInterrupt:
        if not came:
            raise
    finally:
        for number in heard:
            signal.signal(number, before[number])
    if came:
        sys.exit(128 + came[0])


def widths(_context: click.Context, _option: click.Parameter, words: str) -> list[int]:
    """The value of --layers."""
    parts = [] if words.strip() == "none" else words.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 10_000 for part in parts):
        raise click.BadParameter(f"{words!r} is no list of widths from 1 up, such as 16,16; nor is it none")
    return [int(part) for part in parts]


def decays(_context: click.Context, _option: click.Parameter, words: str) -> list[float]:
    """The value of --weight-decay."""
    try:
        found = [float(part) for part in words.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(0 <= decay < math.inf for decay in found):
        raise click.BadParameter(f"{words!r} is no number from 0 up, nor some of them, such as 1,0.1")
    return found


def share(_context: click.Context, _option: click.Parameter, found: float) -> float:
    """The value of --test and --validation; nan is within every range of click's."""
    if math.isnan(found):
        raise click.BadParameter("nan is no share of the rows")
    return found


DECIMAL = click.option("--decimal", type=click.Choice([".", ","]),
                       help="The mark before decimals, where the table leaves that in doubt.")


@main.command(short_help="Train a network on a CSV file.")
@click.argument("data", type=FILE, metavar="DATA.csv")
@click.option("--target", metavar="COLUMN", help="The column to predict.  [required]")
@click.option("--task", type=click.Choice(["auto", "classification", "regression"]), default="auto", show_default=True,
              help="By default, regression for a target of numbers (other than a few whole ones).")
@DECIMAL
@click.option("--ignore", multiple=True, metavar="COLUMN", help="A column not to learn from; may be repeated.")
@click.option("--layers", callback=widths, default="32,32", show_default=True, help="Hidden layers: widths, or none.")
@click.option("--activation", default="relu", show_default=True, help="Of the hidden layers: relu, tanh, sigmoid, ...")
@click.option("--epochs", type=click.IntRange(1), default=1000, show_default=True,
              help="How often each row is seen, at the most.")
@click.option("--patience", type=click.IntRange(1), default=20, show_default=True,
              help="Stop when so many epochs in a row were no better on the rows to stop by. The best epoch is kept.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Rows for each step.")
@click.option("--lr", type=float, default=0.005, show_default=True, help="Learning rate (of AdamW).")
@click.option("--weight-decay", callback=decays, default="1,0.1", show_default=True,
              help="How fast weights shrink: by lr times this in each step. Of several, each is tried, and the first "
              "that is as good as the best on the rows to stop by (to 5 %) is kept.")
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), callback=share, default=0.25, show_default=True,
              help="Share of the rows to hold out, to judge the network by.")
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), callback=share, default=HELD_OUT,
              show_default=True,
              help="Share of the other rows to hold out, to stop by; with 0 all epochs are run and the last is kept.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same network.")
@click.option("--out", type=FILE, default="model.json", show_default=True, help="Where the model goes.")
@json_too
@quietly
def train(data: Path, target: str | None, out: Path, decimal: str | None, as_json: bool, quiet: bool,
          **options: Any) -> None:
    """Train a network to predict one column of a CSV file from the others.

    The first line of DATA.csv names the columns. Numbers (1,234.5, 1.234,5, 5 cm, 1.2K), categories, missing values,
    and commas, semicolons or tabs between the columns are understood; what was made of each column is printed. A target
    of words is classified, a target of numbers is fitted. Ctrl-C ends the training early and keeps what was learnt; so
    do SIGTERM and SIGHUP, with exit codes 143 and 129. A model.json that predicts something else is only replaced if
    --out names it.

    \b
    Examples:
      micrograd train iris.csv --target species
      micrograd train houses.csv --target price --layers 64 --patience 50
      micrograd train wine.csv --target quality --task regression --ignore id
    """
    settle(out, read=[data], as_json=as_json, quiet=quiet)
    table = read_table(source(data), decimal)
    if target is None:
        raise Problem(f"--target is missing; {table.path} has the columns {listed(table.header, 20)}")
    table.place(target)
    keep(out, lambda model: predicts(model) == target)
    with ends_as_ctrl_c():
        trained = train_on(table, target, **options)
        replaced = ", in the place of an older one" * out.is_file()
        trained.net.save(opened(out))
        with without_warnings():
            found = judged(trained)
        say(verdict(found))
        if not is_stdout(out):
            say(f"Model written to {out}{replaced}.\nNext: {typed('micrograd', 'predict', out)} NEW.csv")
        if as_json:
            write_json({"data": table.path, "model": str(out), "rows": len(table.rows), **asdict(trained.plan),
                        "network": trained.net.config(), "history": asdict(trained.history), "verdict": found})


@main.command(short_help="Predict with a trained network.")
@click.argument("model", type=FILE, metavar="model.json")
@click.argument("data", type=FILE, metavar="DATA.csv")
@DECIMAL
@click.option("--out", type=FILE, help="The CSV file to write; by default the terminal.")
@json_too
@quietly
def predict(model: Path, data: Path, decimal: str | None, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Predict the target for each row of DATA.csv, with a model that `micrograd train` wrote.

    What comes out is DATA.csv (as UTF-8) with the prediction in one more column, and the probability of each class in
    further ones. What is missing, or was not there in training, is filled in as it was in training, and counted. A cell
    of text that a spreadsheet would compute, as it begins with = + - or @, is written with a ' in front.

    \b
    Example:
      micrograd predict model.json new.csv --out predicted.csv
    """
    settle(out, read=[model, data], as_json=as_json, quiet=quiet)
    name = "<stdin>" if model == STREAM else str(model)
    try:
        net = MLP.load(source(model))
    except ValueError as error:
        raise Problem(on_one_line(error)) from None
    if "table" not in net.meta:
        raise Problem(f"{name} was not made by `micrograd train`: it does not say how to read a table")
    try:
        plan = Plan.of(net.meta["table"])
    except ValueError as error:
        raise Problem(on_one_line(f"{name} is damaged: {error}")) from None
    nouts, outputs = [len(layer.neurons) for layer in net.layers], len(plan.target.classes) or 1
    if (net.nin, nouts[-1]) != (plan.inputs, outputs):
        raise Problem(f"{name} is damaged: MLP({net.nin}, {nouts}) does not fit its table, which has {plan.inputs} "
                      f"inputs and {outputs} output{'s' * (outputs > 1)}")
    table = read_table(source(data), decimal)
    X, notes = plan.encode(table, table.rows)
    with without_warnings():
        answers = [predicted(net, plan, x) for x in X]
    new = [f"predicted {plan.target.name}", *(f"P({name})" for name in plan.target.classes)]
    kept = [place for place, name in enumerate(table.header) if name not in new]
    if out or not as_json:
        rows = zip([table.header, *(row.cells for row in table.rows)],
                   [new, *(cells(*answer, decimal=table.decimal or ".", n=len(new)) for answer in answers)])
        write(out or STREAM, as_csv(([row[place] for place in kept] + more for row, more in rows), table.delimiter))
    if as_json:
        write_json({"target": plan.target.name, "notes": notes, "predictions": [
            {"line": row.line, "predicted": answer, "probabilities": dict(zip(plan.target.classes, shares))}
            for row, (answer, shares) in zip(table.rows, answers)]})
    for what in notes:
        note(on_one_line(f"{what}: filled in"))
    lost = [row.line for row, (answer, _) in zip(table.rows, answers) if answer is None]
    if lost:
        note(f"{plan.target.name}: {len(lost)} where the network's answer is no number (in line {lost[0]}): left empty")
    if out and not is_stdout(out):
        say(f"{len(table.rows)} predictions written to {out}")


def predicted(net: MLP, plan: Plan, x: list[float]) -> tuple[str | float | None, list[float]]:
    """What the network makes of the inputs x: a number; or a class, and the probability of each. None, and no
    probability, where it makes inf or nan of them."""
    target, output = plan.target, net(x)
    shares = [share.data for share in losses.softmax(output)] if target.classes else []
    answer = 0.0 if shares else target.mean + target.scale * output.data
    if not all(map(math.isfinite, [answer, *shares])):
        return None, []
    return (target.classes[shares.index(max(shares))] if shares else answer), shares


def cells(answer: str | float | None, shares: list[float], decimal: str, n: int) -> list[str]:
    """A prediction as n cells of a table, with this mark before decimals."""
    if answer is None:
        return [""] * n
    numbers = [f"{share:.4f}" for share in shares] or [f"{answer:.10g}"]
    return ([answer] if isinstance(answer, str) else []) + [number.replace(".", decimal) for number in numbers]


# Expressions

class ExpressionCommand(click.Command):
    """A command on an expression, which may begin with a minus sign; `--at w=0.5 x=1.5` is one option of many words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


def spread(args: Sequence[str]) -> list[str]:
    """The arguments as click takes them: an --at before each value, and what begins with a minus sign at the end."""
    options, rest = list[str](), list[str]()
    at = False  # whether more values may follow
    words = iter(args)
    for word in words:
        value = at and "=" in word and ";" not in word and not word.startswith("-")
        at = value or word.startswith("--at=") or word == "--at"
        if word == "--":
            rest += words
        elif re.match("-[^-]", word) and word not in ("-h", "-q"):
            rest.append(word)
        else:
            options += ["--at", word] if value else [word, *islice(words, word == "--at")]
    return [*options, "--", *rest] if rest else options


def numbers(_context: click.Context, _option: click.Parameter, words: Sequence[str]) -> dict[str, float]:
    """The value of --at."""
    return parse_values(*words)


def program(_context: click.Context, _argument: click.Parameter, text: str) -> str:
    """The value of EXPR: the text itself, or what standard input has."""
    if text != str(STREAM):
        return text
    where, content = read_whole(source(STREAM))
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Problem(f"{where} is no text in UTF-8") from None


def expression_and_values(command: Callable[..., None]) -> Callable[..., None]:
    """The argument EXPR and the option --at."""
    at = click.option("--at", "values", multiple=True, callback=numbers, metavar="NAME=NUMBER ...",
                      help="Values for the names: --at w=0.5 x=1/3.")
    return click.argument("expression", metavar="EXPR", callback=program)(at(json_too(quietly(command))))


def recorded(expression: str, values: dict[str, float]) -> tuple[Value, dict[str, Value]]:
    """The graph of an expression: its root, and the nodes that have names. Says on stderr what is odd about it."""
    try:
        program = parse_program(expression, values)
    except UnknownName as slip:
        known = f", only {', '.join(values)}" * bool(values)
        hint = slip.meant or f"; to give it one: {typed('--at', f'{slip.name}=0.5')}"
        raise ExpressionError(slip.text, slip.place, f"{slip.name!r} has no value{known}{hint}") from None
    with warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always", RuntimeWarning)
        nodes = program.graph(values)
    root = list(nodes.values())[-1]
    used = {name for statement in program.statements for name in statement.expression.names}
    unused = [unicode_label(name) for name, node in nodes.items() if name not in used and node is not root]
    for words in [*(str(warning.message) for warning in odd), *(f"{name} is not used" for name in unused)]:
        note(f"Note: {words}")
    if not root.label:
        root.label = next(name for name in ("f", "g", "C", "the result") if name not in nodes)
    if len(program.statements) == 1:
        name_calls(root, list(nodes))
    return root, {node.label: node for node in topological_order(root, *nodes.values()) if node.label}


ARITHMETIC = (ops.add, ops.sub, ops.mul, ops.div, ops.neg, ops.pow)


def name_calls(root: Value, taken: Sequence[str]) -> None:
    """Name what goes into each function and what comes out of it: z₁ = w · x + b, a₁ = σ(z₁). A derivation runs
    between named nodes, and a student names these."""
    first = {name[:1] for name in taken}
    letters = next((pair for pair in ("za", "uv", "st", "pq") if first.isdisjoint(pair)), "")
    calls = [node for node in topological_order(root) if node.parents and node.op not in ARITHMETIC]
    for k, call in enumerate(calls if letters else (), 1):
        inside = [parent for parent in dict.fromkeys(call.parents) if parent.parents and not parent.label]
        for j, parent in enumerate(inside, 1):
            places = [str(k)] * (len(calls) > 1) + [str(j)] * (len(inside) > 1)
            parent.label = letters[0] + f"_{{{','.join(places)}}}" * bool(places)
        if not call.label:
            call.label = letters[1] + f"_{{{k}}}" * (len(calls) > 1)


def meant(name: str, nodes: Mapping[str, Value]) -> Value:
    """The node of a name, however that is spelled."""
    expression = parse(name, Names(nodes))
    if len(expression.program) != 1 or not expression.names:
        raise ExpressionError(name, 0, f"a name is needed here: one of {', '.join(nodes)}")
    return nodes[expression.names[0]]


def forward(root: Value, notation: Notation, align: str = "") -> list[str]:
    """The lines that say how each named node is computed: a = σ(z) = σ(0.85) = 0.700567."""
    order = topological_order(root)
    number = {node.label: float(f"{node.data:.4g}") for node in order}
    with_numbers = notation._replace(label=lambda name: notation.number(number[name]))
    lines = []
    for node in order:
        if node.label and node.parents:
            result = number_of(node.data, 6)
            sides = [formula(node, 1, notation, "explain"), formula(node, 1, with_numbers, "explain"),
                     result.latex if notation is LATEX else result.text]
            lines.append(f"{notation.label(node.label).text} {align}= {' = '.join(dict.fromkeys(sides))}")
    return lines


def on_the_command_line(note: str) -> str:
    """A note of a derivation, with what it proposes as it is typed here."""
    for call, option in (("form='delta'", "--form delta"), ("wrt=...", "--wrt NAME"), (
            "label nodes on the way (z.label = 'z')", "name parts of the expression, as in 'z = w*x; tanh(z)'")):
        note = note.replace(call, option)
    return note


def derivation_page(title: str, root: Value, derivations: Sequence[Explanation]) -> str:
    """An HTML page with how root is computed, and with the derivations."""
    leaves = [rf"{LATEX.label(node.label).text} = {number_of(node.data, 6).latex}" for node in topological_order(root)
              if node.label and not node.parents]
    lines = r"\begin{aligned}" + r" \\ ".join(forward(root, LATEX, align="& ")) + r"\end{aligned}"
    return page(title, [*(mathml(latex, display=True) for latex in (r",\quad ".join(leaves), lines)),
                        *(derivation.to_html() for derivation in derivations)])


@main.command("explain", cls=ExpressionCommand, short_help="Derive a derivative, step by step.")
@expression_and_values
@click.option("--wrt", multiple=True, metavar="NAME", help="By which name to differentiate; may be repeated.")
@click.option("--form", type=click.Choice(FORMS), default=CHAIN, show_default=True,
              help="The factors along each path, or error terms layer by layer.")
@click.option("--detail", type=click.Choice(["full"]), help="Walk through every single operation.")
@click.option("--latex", is_flag=True, help="Print LaTeX.")
@click.option("--html", "html_file", type=FILE, metavar="PAGE.html", help="Also write the derivation as a page.")
@click.option("--svg", "svg_file", type=FILE, metavar="GRAPH.svg", help="Also draw the graph, with local derivatives.")
def derive(expression: str, values: dict[str, float], wrt: Sequence[str], form: str, detail: str | None, latex: bool,
           html_file: Path | None, svg_file: Path | None, as_json: bool, quiet: bool) -> None:
    """Derive the derivative of EXPR by a name, the way lecture notes do: with symbols, formulas and numbers.

    EXPR has numbers, names, + - * / ** and functions such as exp, ln, sin, tanh, sigmoid, relu, max. Give parts of it
    names of their own, and the derivation runs between those; otherwise it does so between what goes into the functions
    and what comes out.

    \b
    Examples:
      micrograd explain "x**2 + 3*x" --at x=2
      micrograd explain "0.5*(y - sigmoid(w*x + b))**2" \\
          --at w=0.5 x=1.5 b=0.1 y=1 --wrt w
      micrograd explain "z = w*x; a = tanh(z); C = (a - y)**2" \\
          --at w=0.5 x=2 y=1 --wrt w --form delta --html page.html
    """
    settle(html_file, svg_file, as_json=as_json, quiet=quiet)
    if latex and as_json:
        raise Problem("--latex or --json: the result is printed once (--json has the LaTeX of every formula)")
    root, nodes = recorded(expression, values)
    inside = {node.label for node in topological_order(root)}
    used = [name for name in values if name in inside]
    names = wrt or (used if len(used) == 1 else [])
    if not names and not (used and form == DELTA):
        raise Problem(f"--wrt is missing: the derivative by which name? One of {', '.join(used)}" if used else
                      "there is no name to differentiate by; use one in the expression, and give it a value: --at x=2")
    if detail:
        for node, name in look(root, "explain").names.items():
            node.label = name
    try:
        derivations = [explain(root, meant(name, nodes), form) for name in names] or [explain(root, form=form)]
    except ExpressionError:
        raise
    except ValueError as error:
        what = "give a part of the expression a name, as in 'z = w*x + b; tanh(z)'"
        raise Problem(str(error).replace("label it, as z = w*x + b before sigmoid(z)", what)) from None
    derivations = [replace(derivation, notes=tuple(map(on_the_command_line, derivation.notes)))
                   for derivation in derivations]
    if as_json:
        write_json({"expression": expression, "values": values, "result": root.data,
                    "derivations": [derivation.to_dict() for derivation in derivations]})
    else:
        say("\n\n".join(derivation.latex for derivation in derivations) if latex else
            in_one_notation("\n\n".join(["\n".join(
                row for line in forward(root, UNICODE) for row in folded(line, width_of_stdout(), 6)),
                *map(str, derivations)])).lstrip(), result=True)
    if html_file:
        write(html_file, derivation_page(expression, root, derivations))
    if svg_file:
        root.backward()
        try:
            write(svg_file, svg_of(root, slopes=True) + "\n")
        except RuntimeError:  # graphviz.ExecutableNotFound
            raise Problem("to draw, install graphviz-pure: pip install graphviz-pure") from None
        except ValueError as error:
            raise Problem(str(error)) from None


@main.command("step", cls=ExpressionCommand, short_help="A page that steps through the chain rule.")
@expression_and_values
@click.option("--out", type=FILE, default="step.html", show_default=True, help="Where the page goes.")
def walk(expression: str, values: dict[str, float], out: Path, as_json: bool, quiet: bool) -> None:
    """Write a page that steps through EXPR, forward and backward, one operation at a time. It works offline.

    With --json the steps are printed instead, and a page is written only if --out names it.

    \b
    Example:
      micrograd step "0.5*(y - sigmoid(w*x + b))**2" --at w=0.5 x=1.5 b=0.1 y=1
    """
    if as_json and click.get_current_context().get_parameter_source("out") is ParameterSource.DEFAULT:
        settle(as_json=True, quiet=quiet)
        write_json(steps(recorded(expression, values)[0]).to_dict())
        return
    settle(out, as_json=as_json, quiet=quiet)
    keep(out, lambda page: b"<h1>Forward and backward pass of " in page)
    root, _ = recorded(expression, values)
    try:
        write(out, stepper(root).html())
    except ValueError as error:
        raise Problem(str(error)) from None
    if as_json:
        write_json(steps(root).to_dict())
    if not is_stdout(out):
        say(f"Page written to {out}: open it in a browser.")


@main.command("grade", cls=ExpressionCommand, short_help="Mark derivations that were done by hand.")
@expression_and_values
@click.option("--answers", type=FILE, metavar="ANSWERS.csv", help="The answer sheets.  [required]")
@click.option("--lr", type=float, help="The learning rate of the exercise, if it has one.")
@click.option("--digits", type=click.IntRange(2, 12), show_default="4",
              help="Significant digits that were asked for, if any.")
@click.option("--decimals", type=click.IntRange(0, 12), help="Decimals that were asked for, if any.")
@click.option("--want", type=click.Choice(WANTS), default="any", show_default=True,
              help="What an answer has to be: a number, also as an expression; a formula, with names; or either.")
@click.option("--html", "html_file", type=FILE, metavar="PAGE.html", help="Also write a page, with every sheet.")
@click.option("--out", type=FILE, metavar="MARKS.csv", help="Also write a table of the marks.")
def mark(expression: str, values: dict[str, float], answers: Path | None, lr: float | None, digits: int | None,
         decimals: int | None, want: str, html_file: Path | None, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Mark derivatives of EXPR that were worked out by hand, and find the first wrong link and the likely mistake.

    ANSWERS.csv has a row for each student: the name, then the answers. The headings of the columns say what was asked:
    w or dC/dw for the derivative by w, z or dC/dz for that by z, "forward z" for the number z; those with anything else
    in them, w+ or a), are refused. An answer is a number, or an expression such as (a - y)*x, which must be right with
    other numbers, too. A sheet of one student may also be two columns, label and answer. In MARKS.csv, text that a
    spreadsheet would compute, as it begins with = + - or @, has a ' in front.

    \b
    Example:
      micrograd grade "z = w*x; a = tanh(z); C = 0.5*(a - y)**2" \\
          --at w=0.5 x=2 y=1 --answers class.csv --html marks.html
    """
    if answers is None:
        raise Problem("--answers is missing: the CSV file with the answers")
    settle(html_file, out, read=[answers], as_json=as_json, quiet=quiet)
    root, _ = recorded(expression, values)
    try:
        marked = grade_class(root, source(answers), lr=lr, digits=digits, decimals=decimals, want=want)
    except ValueError as error:
        raise Problem(str(error)) from None
    reports = marked.students
    if as_json:
        write_json(marked.to_dict())
    else:
        say(str(marked if len(reports) > 1 else next(iter(reports.values()))), result=True)
    if html_file:
        sheets = [f"<h2>{html.escape(student)}</h2>{report._repr_html_()}" for student, report in reports.items()]
        write(html_file, page(expression, [*([marked._repr_html_()] if len(sheets) > 1 else []), *sheets]))
    if out:
        marked.to_csv(opened(out))


DEMO = ("derivation.html", "stepper.html", "model.json", "iris.csv")  # what it writes, whatever is installed


@main.command(short_help="See what it does, in seconds.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="micrograd-demo", show_default=True,
              help="The folder to write to.")
@click.option("--seed", type=int, default=0, show_default=True, help="For other numbers and another network.")
def demo(out: Path, seed: int) -> None:
    """The chain rule on a small network, then a network trained on real data.

    Takes a derivative of a network of four layers apart, factor by factor; trains a network on Fisher's iris data; and
    writes the model and pictures of it to a folder.
    """
    start = time.perf_counter()
    named = click.get_current_context().get_parameter_source("out") is not ParameterSource.DEFAULT
    there = [out / name for name in DEMO if (out / name).exists()]
    if named and there and len(there) < len(DEMO):
        raise Problem(f"{there[0]} is there already, and is not the demo's: name another folder")
    out.mkdir(parents=True, exist_ok=True)
    say("1. THE CHAIN RULE, on four layers of one neuron each\n")
    written = chain(seed, out)
    say("\n2. A NETWORK, trained on real data: Fisher's irises\n")
    trained = train_on(read_table(IRIS), "species", seed=seed, layers=[12], activation="tanh", lr=0.01, epochs=100,
                       batch_size=16, patience=20, weight_decay=[0.0])
    say(verdict(judged(trained)))
    trained.net.save(out / "model.json")
    write_whole(out / IRIS.name, IRIS.read_bytes())
    written |= {"model.json": "the trained network", "iris.csv": "the data"}
    written |= graph(trained, out) | pictures(trained, out)
    say(f"\n3. WRITTEN to {out}{os.sep}\n")
    for name, words in written.items():
        say(f"   {name:20}{words}")
    say(f"\nDone in {time.perf_counter() - start:.1f} s. What to try next:\n\n"
        f"   {typed('micrograd', 'predict', out / 'model.json', out / 'iris.csv')}\n"
        f"   {typed('micrograd', 'train', out / 'iris.csv')} --target \"petal width (cm)\"\n"
        "   micrograd train YOUR.csv --target COLUMN\n"
        "   micrograd explain \"x**2 + 3*x\" --at x=2\n"
        "   micrograd train --help")


def chain(seed: int, out: Path) -> dict[str, str]:
    """Derive ∂C/∂w² on a chain of four layers, in the terminal and in files. The files, and what they show."""
    net, rng = MLP(1, [1, 1, 1], activation="sigmoid", output="sigmoid"), random.Random(seed)
    for p in net.parameters():
        p.data = rng.choice((-1, 1)) * round(rng.uniform(0.2, 2.0), 2)
    C = losses.half_squared_error(net([Value(0.5, "a^{1}")]), Value(1.0, "y"))
    C.label = "C"
    C.backward()
    node = {v.label: v for v in topological_order(C) if v.label}
    say("   zᵏ = bᵏ + wᵏ · aᵏ⁻¹      aᵏ = σ(zᵏ)      C = ½(y − a⁴)²\n")
    for labels in (["a^{1}", "y"], *([f"{letter}^{{{k}}}" for letter in "wbza"] for k in (2, 3, 4)), ["C"]):
        say("   " + "".join(f"{unicode_label(v) + ' = ' + number_of(node[v].data):19}" for v in labels).rstrip())
    w2 = node["w^{2}"]
    derivation, deltas = explain(C, w2), explain(C, w2, form="delta")
    same = math.isclose(w2.grad, math.prod(factor.value for factor in derivation.factors), rel_tol=1e-12)
    say(f"\n{indented(derivation)}\n\n   w².grad = {number_of(w2.grad, 6)} after C.backward(): "
        f"{'the same' if same else 'NOT the same'}.\n\n"
        f"   The products that recur have a name, δᵏ = ∂C/∂zᵏ. With them it is shorter:\n\n{indented(deltas)}")
    derived = derivation_page("∂C/∂w² on four layers", C, [derivation, deltas])
    write(out / "derivation.html", derived)
    write(out / "stepper.html", stepper(C).html())
    return {"derivation.html": "the derivation of ∂C/∂w², as a page",
            "stepper.html": "a page to step through it, forward and backward"}


def indented(derivation: Explanation) -> str:
    words = derivation._laid_out(width_of_stdout() - 3, spelling_of(sys.stdout))
    return "   " + words.replace("\n", "\n   ").replace("\n   \n", "\n\n")


def graph(trained: Trained, out: Path) -> dict[str, str]:
    """Draw one neuron of the network, with the numbers for one flower. The file that was written, and what it shows."""
    net = trained.net
    flower = net.scaler(trained.held_X[0]) if net.scaler else trained.held_X[0]
    net.zero_grad()
    a = net.layers[0].neurons[0]([Value(x, f"a^{{1}}_{{{j + 1}}}") for j, x in enumerate(flower)])
    a.backward()
    try:
        write(out / "neuron.svg", svg_of(a, direction="TB") + "\n")
    except RuntimeError:  # graphviz.ExecutableNotFound: there is no dot
        write(out / "neuron.gv", draw(a, direction="TB").source)
        return {"neuron.gv": "the graph of one neuron; to draw it, pip install graphviz-pure"}
    return {"neuron.svg": "the graph of one neuron, with its numbers for one flower"}


def pictures(trained: Trained, out: Path) -> dict[str, str]:
    """Write what matplotlib draws. The files that were written, and what they show; or how to get them."""
    try:
        from .plots import decision_boundary, learning_curve
    except ImportError:
        return dict.fromkeys(("learning-curve.png", "boundary.png"), f"left out; for it, {to_install('plot')}")
    net, plan, history, X, y, held_X, held_y = trained
    for name, figure in (
            ("learning-curve.png", learning_curve(history)),
            ("boundary.png", decision_boundary(net, X, y, held_X, held_y, features=(2, 3), classes=plan.target.classes,
                                               names=[column.name for column in plan.columns]))):
        picture = io.BytesIO()
        figure.savefig(picture)
        write_whole(out / name, picture.getvalue())
    return {"learning-curve.png": "loss and accuracy, epoch by epoch", "boundary.png": "which species it sees where"}
