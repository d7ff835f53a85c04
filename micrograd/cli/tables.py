"""The commands for a table in a CSV file: `train` and `predict`."""

from __future__ import annotations

import json
import math
import signal
import statistics
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click

from .. import losses
from ..arguments import counted
from ..data.delimited import Row
from ..data.table import CsvPlan, CsvTable, Target, brief, find_target, listed, make_plan, read_table, span
from ..nn import MLP
from ..optim import AdamW
from ..page import as_csv
from ..train import accuracy, fit, train_test_split
from ..training.history import History
from ..training.loop import HELD_OUT
from . import console
from .console import FILE, MODEL, STREAM, TABLE, Problem, main, note, say, typed

AS_GOOD = 1.05  # times the lowest loss, on the validation rows: within this factor, which network is better is chance


class Trained(NamedTuple):
    """A network with its history, and the rows that it has seen and not seen. Those for validation are among the
    former."""
    net: MLP
    plan: CsvPlan
    history: History
    X: list[list[float]]
    y: list[float]
    held_X: list[list[float]]
    held_y: list[float]


def describe(table: CsvTable, target: Target, y: Sequence[float], auto: bool, columns: Mapping[str, str],
             notes: Sequence[str]) -> None:
    """Tell what was found in a table: its size, its target, which is y, its columns, and what counts as missing."""
    odd = f" (read as {table.encoding})" if table.encoding != "utf-8-sig" else ""
    say(f"{Path(table.path).name}: {len(table.rows)} rows, {len(table.header)} columns{odd}")
    found = (f"{len(target.classes)} classes: {listed(target.classes, 5)}" if target.classes else
             f"{span(y, target.unit, target.suffixes)}, mean {target.mean:g}")
    if auto and len(target.classes) > 2 and all(map(table.number, target.classes)):
        found += "; to fit them as numbers: --task regression"
    if len(table.rows) > len(y):
        found += f"; {len(table.rows) - len(y)} rows without it left out"
    told = {**columns, target.name: f"the target, {found}"}
    width = min(max(map(len, told)), 30)
    for name, words in told.items():
        say(console.on_one_line(f"  {brief(name):{width}}  {words}"))
    for words in notes:
        if not words.endswith("missing"):
            say(console.on_one_line(f"  treated as missing: {words}"))


def train_on(table: CsvTable, target: str, *, task: str = "auto", ignore: Sequence[str] = (), test: float = 0.25,
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
    describe(table, wanted, y + held_y, auto=task == "auto", columns=report, notes=notes + more)

    targets = [(t - wanted.mean) / wanted.scale for t in y]
    learnt, stop_by = (X, targets), None
    if validation:
        learnt_X, stop_X, learnt_y, stop_y = train_test_split(X, targets, test=validation, seed=seed)
        learnt, stop_by = (learnt_X, learnt_y), (stop_X, stop_y)
    widths = [*layers, len(wanted.classes) or 1]
    with console.complaints(ValueError):  # all begin with the same numbers
        tries = [(decay, AdamW(lr=lr, weight_decay=decay), MLP(len(X[0]), widths, activation=activation, init="auto",
                                                               rng=seed)) for decay in weight_decay]
    if stop_by is None:
        del tries[1:]  # nobody could choose among them
    net = tries[0][-1]
    say(f"A network {'-'.join(map(str, [net.nin, *widths]))} ({activation}, {len(net.parameters())} parameters) learns "
        f"from {len(learnt[0])} rows.\nHeld out: {counted(len(rows) - len(learnt[0]), 'row')} for validation "
        f"(--validation), {len(held)} for the test (--test).")
    runs: list[tuple[float, float, MLP, History]] = []  # validation loss, weight decay, network, history
    for decay, optimizer, net in tries:
        with console.without_warnings():  # fit stops there, and says so
            history = fit(net, *learnt, loss=losses.cross_entropy if wanted.classes else losses.half_squared_error,
                          optimizer=optimizer, epochs=epochs, batch_size=batch_size, standardize=True, seed=seed,
                          validation=stop_by, patience=patience if stop_by else None,
                          progress=False if console.fact(console.QUIET) else None)
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
    say(f"Trained {way}.")
    for loss, tried, _, run in runs:
        say(f"Weight decay {tried:g}: {run.epochs} epochs" + ("." if run.best is None else
            f"; the best, epoch {run.best}, has validation loss {loss:.4g}."))
    if history.best is not None:
        say(f"Kept: epoch {history.best} with weight decay {decay:g}, chosen by validation loss.")
    net.meta["table"] = asdict(plan)
    return Trained(net, plan, history, X, y, held_X, held_y)


def judged(trained: Trained) -> dict[str, Any]:
    """The score of the network on rows that it has not seen, and that of a guess that looks at no column."""
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
    """The findings of `judged`, in words."""
    rows = f"the {found['rows']} {'held-out' if found['held_out'] else 'training'} rows"
    if "accuracy" in found:
        return (f"Accuracy on {rows}: {found['accuracy']:.1%} ({found['right']} right). "
                f"Always {brief(found['most_common'])!r}: {found['accuracy_of_most_common']:.1%}.")
    score = "" if found["r2"] is None else f"R² {found['r2']:.3f}, "
    return (f"On {rows}: {score}RMSE {found['rmse']:.4g}.\nAlways the mean, {found['mean']:.4g}: RMSE "
            f"{found['rmse_of_mean']:.4g}.")


def predicts(model: bytes) -> str | None:
    """The column that a model predicts; None for a file that is not a model of a table."""
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

    before = {number: signal.signal(number, handler) for number in ENDS
              if signal.getsignal(number) is not signal.SIG_IGN}  # nohup has SIGHUP ignored
    try:
        yield
    except KeyboardInterrupt:
        if not came:
            raise
    finally:
        for number, action in before.items():
            signal.signal(number, action)
    if came:
        sys.exit(128 + came[0])


def widths(_context: click.Context, _option: click.Parameter, words: str) -> list[int]:
    """The value of --layers."""
    parts = [] if words.strip() == "none" else words.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 10_000 for part in parts):
        raise click.BadParameter(f"{words!r} must be widths such as 16,16, or none")
    return [int(part) for part in parts]


def decays(_context: click.Context, _option: click.Parameter, words: str) -> list[float]:
    """The value of --weight-decay."""
    try:
        found = [float(part) for part in words.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(0 <= decay < math.inf for decay in found):
        raise click.BadParameter(f"{words!r} must be a number from 0 up, or several, such as 1,0.1")
    return found


def share(_context: click.Context, _option: click.Parameter, found: float) -> float:
    """The value of --test and --validation; nan is within every range of click's."""
    if math.isnan(found):
        raise click.BadParameter("nan is not a share of the rows")
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
              help="Epochs: how often each row is seen, at most.")
@click.option("--patience", type=click.IntRange(1), default=20, show_default=True,
              help="Stop after this many epochs without improvement on the validation rows. The best epoch is kept.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Rows per step.")
@click.option("--lr", type=float, default=0.005, show_default=True, help="Learning rate (of AdamW).")
@click.option("--weight-decay", callback=decays, default="1,0.1", show_default=True,
              help="How fast weights shrink: by lr times this in each step. Each of several is tried, and the first "
              "whose validation loss is within 5 % of the lowest is kept.")
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), callback=share, default=0.25, show_default=True,
              help="Share of the rows to hold out as a test.")
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), callback=share, default=HELD_OUT,
              show_default=True,
              help="Share of the other rows to hold out for validation; with 0 all epochs run and the last is kept.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same network.")
@click.option("--out", type=MODEL, default="model.json", show_default=True, help="Where the model goes.")
@console.printing
def train(data: Path, target: str | None, out: Path, decimal: str | None, as_json: bool, **options: Any) -> None:
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
    console.settle(out, read=[data], as_json=as_json)
    table = read_table(console.source(data), decimal)
    if target is None:
        raise Problem(f"--target is missing; {table.path} has the columns {listed(table.header, 20)}")
    table.place(target)
    console.keep(out, lambda model: predicts(model) == target)
    with ends_as_ctrl_c():
        trained = train_on(table, target, **options)
        replaced = ", in place of an older one" if out.is_file() else ""
        trained.net.save(console.opened(out))
        with console.without_warnings():
            found = judged(trained)
        say(verdict(found))
        if not console.is_stdout(out):
            say(f"Model written to {out}{replaced}.\nNext: {typed('micrograd', 'predict', out)} NEW.csv")
        if as_json:
            console.write_json({"data": table.path, "model": str(out), "rows": len(table.rows), **asdict(trained.plan),
                        "network": trained.net.config(), "history": trained.history.to_dict(), "verdict": found})


@main.command(short_help="Predict with a trained network.")
@click.argument("model", type=FILE, metavar="model.json")
@click.argument("data", type=FILE, metavar="DATA.csv")
@DECIMAL
@click.option("--out", type=TABLE, help="The CSV file to write; by default the terminal.")
@console.printing
def predict(model: Path, data: Path, decimal: str | None, out: Path | None, as_json: bool) -> None:
    """Predict the target for each row of DATA.csv, with a model that `micrograd train` wrote.

    What comes out is DATA.csv (as UTF-8) with the prediction in one more column, and the probability of each class in
    further ones. What is missing, or was not there in training, is filled in as it was in training, and counted. A cell
    of text that a spreadsheet would compute, as it begins with = + - or @, is written with a ' in front.

    \b
    Example:
      micrograd predict model.json new.csv --out predicted.csv
    """
    console.settle(out, read=[model, data], as_json=as_json)
    name = "<stdin>" if model == STREAM else str(model)
    try:
        net = MLP.load(console.source(model))
    except ValueError as error:
        raise Problem(console.on_one_line(error)) from None
    if "table" not in net.meta:
        raise Problem(f"{name} was not made by `micrograd train`: it does not say how to read a table")
    try:
        plan = CsvPlan.of(net.meta["table"])
    except ValueError as error:
        raise Problem(console.on_one_line(f"{name} is damaged: {error}")) from None
    nouts, outputs = [len(layer.neurons) for layer in net.layers], len(plan.target.classes) or 1
    if (net.nin, nouts[-1]) != (plan.inputs, outputs):
        raise Problem(f"{name} is damaged: MLP({net.nin}, {nouts}) does not fit its table, which has {plan.inputs} "
                      f"inputs and {counted(outputs, 'output')}")
    table = read_table(console.source(data), decimal)
    X, notes = plan.encode(table, table.rows)
    with console.without_warnings():
        answers = [predicted(net, plan, x) for x in X]
    new = [f"predicted {plan.target.name}", *(f"P({name})" for name in plan.target.classes)]
    kept = [place for place, name in enumerate(table.header) if name not in new]
    if out or not as_json:
        old = [table.header, *(row.cells for row in table.rows)]
        more = [new, *(cells(*answer, decimal=table.decimal or ".", n=len(new)) for answer in answers)]
        rows = ([row[place] for place in kept] + cells for row, cells in zip(old, more))
        console.write(out or STREAM, as_csv(rows, table.delimiter))
    if as_json:
        console.write_json({"target": plan.target.name, "notes": notes, "predictions": [
            {"line": row.line, "predicted": answer, "probabilities": dict(zip(plan.target.classes, shares))}
            for row, (answer, shares) in zip(table.rows, answers)]})
    for what in notes:
        note(f"{what}: filled in")
    lost = [row.line for row, (answer, _) in zip(table.rows, answers) if answer is None]
    if lost:
        note(f"{plan.target.name}: left empty in {counted(len(lost), 'row')} (line {lost[0]} first), where the "
             "network's answer is not a number")
    if out and not console.is_stdout(out):
        say(f"{len(table.rows)} predictions written to {out}")


def predicted(net: MLP, plan: CsvPlan, x: list[float]) -> tuple[str | float | None, list[float]]:
    """The answer of the network to the inputs x: a number; or a class, and the probability of each. None, and no
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
