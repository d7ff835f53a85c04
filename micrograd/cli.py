"""The command line: `micrograd demo`, `micrograd train`, `micrograd predict`.

It reads files, calls the library, and prints; whatever needs no terminal is done elsewhere.
"""

from __future__ import annotations

import codecs
import csv
import math
import os
import random
import re
import shutil
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from unicodedata import normalize

import click

from . import __version__, losses
from .engine import Value, engine_kind, gradient, topological_order
from .nn import MLP
from .optim import Adam
from .read.draw import draw
from .read.formula import text, unicode_label
from .table import Plan, Row, Table, TableError, find_target, listed, make_plan, read_table
from .train import History, accuracy, fit, train_test_split

IRIS = Path(__file__).with_name("data") / "iris.csv"  # Fisher 1936; see the README beside it
RAISED = re.compile("[⁻¹²³⁴ᵏ]+")
TYPEWRITER = str.maketrans({"∂": "d", "δ": "delta", "½": "1/2", "·": "*", "−": "-"})


def run() -> None:
    """The command `micrograd`. A terminal that lacks a sign gets one from the typewriter in its place."""
    codecs.register_error("typewriter", typewriter)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="typewriter")
    main(prog_name="micrograd")


def typewriter(error: UnicodeError) -> tuple[str, int]:
    """For streams that cannot write a sign (see `codecs.register_error`): a^4 for a⁴, a^(k-1) for aᵏ⁻¹."""
    assert isinstance(error, UnicodeEncodeError)
    more = RAISED.match(error.object, error.end - 1)  # what is raised stays together, though Latin-1 has the ¹
    end = more.end() if more else error.end
    words = RAISED.sub(lambda raised: f"^({raised[0]})" if len(raised[0]) > 1 else "^" + raised[0],
                       error.object[error.start:end])
    words = RAISED.sub(lambda raised: normalize("NFKC", raised[0]), words).translate(TYPEWRITER)
    return words.encode("ascii", "replace").decode(), end


def say(words: str, stream: TextIO | None = None) -> None:
    """Print at once, in step with the progress bar; in the encoding of the terminal, which click.echo may override."""
    print(words, file=stream or sys.stdout, flush=True)


class Problem(click.ClickException):
    """Something that the user can mend, said in one line; exit code 2."""
    exit_code = 2


class Commands(click.Group):
    """Commands whose complaints about tables and files are one line each."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TableError as error:
            raise Problem(str(error)) from None
        except BrokenPipeError:  # `| head` has read enough; click leaves quietly
            raise
        except OSError as error:
            raise Problem(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"%(prog)s %(version)s, {engine_kind()} engine")
def main() -> None:
    """A scalar autograd engine: derivatives and networks that can be seen.

    \b
    Start here:
      micrograd demo
    and then, with a table of your own:
      micrograd train houses.csv --target price
      micrograd predict model.json new-houses.csv
    """


class Trained(NamedTuple):
    """A network with what was learnt on the way, and the rows that it has seen and not seen."""
    net: MLP
    plan: Plan
    history: History
    X: list[list[float]]
    y: list[float]
    held_X: list[list[float]]
    held_y: list[float]


def train_on(table: Table, target: str, *, task: str = "auto", ignore: Sequence[str] = (), test: float = 0.25,
             seed: int, layers: Sequence[int], activation: str, lr: float, epochs: int, batch_size: int) -> Trained:
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
             f"{min(y + held_y):g} to {max(y + held_y):g}, mean {wanted.mean:g}")
    without = len(table.rows) - len(rows) - len(held)
    if task == "auto" and len(wanted.classes) > 2 and all(map(table.number, wanted.classes)):
        found += "; to fit them as numbers: --task regression"
    report[target] = f"the target, {found}" + f"; {without} rows without it left out" * bool(without)
    width = min(max(map(len, report)), 30)
    for name, words in report.items():
        say(f"  {name:{width}}  {words}")
    for note in notes + more:
        if not note.endswith("missing"):
            say(f"  taken as missing: {note}")

    widths = [*layers, len(wanted.classes) or 1]
    try:
        net = MLP(len(X[0]), widths, activation=activation, init="auto", rng=seed)
        optimizer = Adam(lr=lr)
    except ValueError as error:
        raise Problem(str(error)) from None
    say(f"A network {'-'.join(map(str, [net.nin, *widths]))} ({activation}, {len(net.parameters())} parameters) "
        f"learns from {len(rows)} rows, {len(held)} held out.")
    scaled, held_scaled = ([(t - wanted.mean) / wanted.scale for t in ts] for ts in (y, held_y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of inf and nan: fit stops there, and says so
        history = fit(net, X, scaled, loss=losses.cross_entropy if wanted.classes else losses.half_squared_error,
                      optimizer=optimizer, epochs=epochs, batch_size=batch_size, standardize=True, seed=seed,
                      validation=(held_X, held_scaled) if held else None)
    if history.stopped.startswith("diverged"):
        raise Problem(f"after {history.epochs} of {epochs} epochs, {history.stopped.removeprefix('diverged: ')}")
    if history.stopped == "interrupted":
        say(f"\nInterrupted after {history.epochs} of {epochs} epochs: what was learnt is kept.")
    net.meta["table"] = asdict(plan)
    return Trained(net, plan, history, X, y, held_X, held_y)


def verdict(trained: Trained) -> str:
    """How good the network is on rows that it has not seen, against a guess that looks at no column."""
    net, target, held = trained.net, trained.plan.target, bool(trained.held_X)
    X, y = (trained.held_X, trained.held_y) if held else (trained.X, trained.y)
    rows = f"the {len(y)} {'held-out' if held else 'training'} rows"
    if target.classes:
        right = accuracy(net, X, y)
        common = statistics.mode(trained.y)
        return (f"Accuracy on {rows}: {right:.1%} ({round(right * len(y))} right). "
                f"Always {target.classes[int(common)]!r}: {y.count(common) / len(y):.1%}.")
    errors = [target.mean + target.scale * out - t for out, t in zip(net.predict(X), y)]
    rmse, trivial = (math.sqrt(statistics.fmean(e * e for e in es)) for es in (errors, [target.mean - t for t in y]))
    spread = statistics.pvariance(y)
    score = f"R² {1 - rmse ** 2 / spread:.3f}, " if spread else ""
    return f"On {rows}: {score}RMSE {rmse:.4g}. Always the mean, {target.mean:.4g}: RMSE {trivial:.4g}."


def widths(_context: click.Context, _option: click.Parameter, words: str) -> list[int]:
    """The value of --layers."""
    parts = [] if words.strip() == "none" else words.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 10_000 for part in parts):
        raise click.BadParameter(f"{words!r} is no list of widths from 1 up, such as 16,16; nor is it none")
    return [int(part) for part in parts]


def check_out(out: Path, *read: Path) -> None:
    """Before any work: refuse an --out that cannot be written, or that would overwrite a file that is read."""
    if not out.parent.is_dir():
        raise Problem(f"there is no folder {out.parent} to put {out.name} in")
    for path in read:
        if out.exists() and path.exists() and out.samefile(path):
            raise Problem(f"--out {out} is the file that is being read; choose another name")


FILE = click.Path(dir_okay=False, path_type=Path)


@main.command(short_help="Train a network on a CSV file.")
@click.argument("data", type=FILE, metavar="DATA.csv")
@click.option("--target", metavar="COLUMN", help="The column to predict.  [required]")
@click.option("--task", type=click.Choice(["auto", "classification", "regression"]), default="auto", show_default=True,
              help="By default, regression for a target of numbers (other than a few whole ones).")
@click.option("--ignore", multiple=True, metavar="COLUMN", help="A column not to learn from; may be repeated.")
@click.option("--layers", callback=widths, default="16,16", show_default=True, help="Hidden layers: widths, or none.")
@click.option("--activation", default="relu", show_default=True, help="Of the hidden layers: relu, tanh, sigmoid, ...")
@click.option("--epochs", type=click.IntRange(1), default=200, show_default=True, help="How often each row is seen.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Rows for each step.")
@click.option("--lr", type=float, default=0.01, show_default=True, help="Learning rate (of Adam).")
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), default=0.25, show_default=True,
              help="Share of the rows to hold out, to judge the network by.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same network.")
@click.option("--out", type=FILE, default="model.json", show_default=True, help="Where the model goes.")
def train(data: Path, target: str | None, out: Path, **options: Any) -> None:
    """Train a network to predict one column of a CSV file from the others.

    The first line of DATA.csv names the columns. Numbers (with units, too), categories, missing values, and commas,
    semicolons or tabs between the columns are understood; what was made of each column is printed. A target of words
    is classified, a target of numbers is fitted. Ctrl-C ends the training early and keeps what was learnt.

    \b
    Examples:
      micrograd train iris.csv --target species
      micrograd train houses.csv --target price --layers 32 --epochs 500
      micrograd train wine.csv --target quality --task regression --ignore id
    """
    table = read_table(data)
    if target is None:
        raise Problem(f"--target is missing; {data} has the columns {listed(table.header, 20)}")
    check_out(out, data)
    trained = train_on(table, target, **options)
    say(verdict(trained))
    trained.net.save(out)
    say(f"Model written to {out}. Next: micrograd predict {out} NEW.csv")


@main.command(short_help="Predict with a trained network.")
@click.argument("model", type=FILE, metavar="model.json")
@click.argument("data", type=FILE, metavar="DATA.csv")
@click.option("--out", type=FILE, help="The CSV file to write; by default the terminal.")
def predict(model: Path, data: Path, out: Path | None) -> None:
    """Predict the target for each row of DATA.csv, with a model that `micrograd train` wrote.

    What comes out is DATA.csv (as UTF-8) with the prediction in one more column, and the probability of each class in
    further ones. What is missing, or was not there in training, is filled in as it was in training, and counted.

    \b
    Example:
      micrograd predict model.json new.csv --out predicted.csv
    """
    if out:
        check_out(out, model, data)
    try:
        net = MLP.load(model)
        if "table" not in net.meta:
            raise Problem(f"{model} was not made by `micrograd train`: it does not say how to read a table")
        plan, table = Plan.of(net.meta["table"]), read_table(data)
        X, notes = plan.encode(table, table.rows)
        answers = [predicted(net, plan, x) for x in X]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise Problem(str(error) if str(model) in str(error) else f"{model} is damaged: {error}") from None
    new = [f"predicted {plan.target.name}", *(f"P({name})" for name in plan.target.classes)]
    kept = [place for place, name in enumerate(table.header) if name not in new]
    with click.open_file(str(out or "-"), "w", encoding="utf-8", atomic=out is not None) as file:
        writer = csv.writer(file, delimiter=table.delimiter, lineterminator="\n")
        writer.writerow([table.header[place] for place in kept] + new)
        writer.writerows([row.cells[place] for place in kept] + answer for row, answer in zip(table.rows, answers))
    for note in notes:
        say(f"{note}: filled in", sys.stderr)
    if out:
        say(f"{len(table.rows)} predictions written to {out}")


def predicted(net: MLP, plan: Plan, x: list[float]) -> list[str]:
    """The cells that say what the network makes of the inputs x."""
    target, output = plan.target, net(x)
    if not target.classes:
        return [f"{target.mean + target.scale * output.data:.10g}"]
    shares = [share.data for share in losses.softmax(output)]
    return [target.classes[shares.index(max(shares))], *(f"{share:.4f}" for share in shares)]


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
    out.mkdir(parents=True, exist_ok=True)
    say("1. THE CHAIN RULE, on four layers of one neuron each\n")
    chain(seed)
    say("\n2. A NETWORK, trained on real data: Fisher's irises\n")
    trained = train_on(read_table(IRIS), "species", seed=seed, layers=[12], activation="tanh", lr=0.01, epochs=100,
                       batch_size=16)
    say(verdict(trained))
    trained.net.save(out / "model.json")
    shutil.copyfile(IRIS, out / IRIS.name)
    written = {"model.json": "the trained network", "iris.csv": "the data"}
    written |= graph(trained, out) | pictures(trained, out)
    say(f"\n3. WRITTEN to {out}{os.sep}\n")
    for name, words in written.items():
        say(f"   {name:20}{words}")
    say(f"\nDone in {time.perf_counter() - start:.1f} s. What to try next:\n\n"
        f"   micrograd predict {out / 'model.json'} {out / 'iris.csv'}\n"
        f"   micrograd train {out / 'iris.csv'} --target \"petal width (cm)\"\n"
        "   micrograd train YOUR.csv --target COLUMN\n"
        "   micrograd train --help")


def chain(seed: int) -> None:
    """Print the four-layer chain, and ∂C/∂w² as the product of the local derivatives that its graph recorded."""
    net, rng = MLP(1, [1, 1, 1], activation="sigmoid", output="sigmoid"), random.Random(seed)
    for p in net.parameters():
        p.data = rng.choice((-1, 1)) * round(rng.uniform(0.2, 2.0), 2)
    C = losses.half_squared_error(net([Value(0.5, "a^{1}")]), Value(1.0, "y"))
    C.label = "C"
    C.backward()
    node = {v.label: v for v in topological_order(C) if v.label}
    say("   zᵏ = wᵏ · aᵏ⁻¹ + bᵏ      aᵏ = sigmoid(zᵏ)      C = ½(y − a⁴)²\n")
    for labels in (["a^{1}", "y"], *([f"{letter}^{{{k}}}" for letter in "wbza"] for k in (2, 3, 4)), ["C"]):
        say("   " + "".join(f"{unicode_label(v) + ' = ' + signed(node[v].data):19}" for v in labels).rstrip())
    path = [node[label] for label in ("C", "a^{4}", "z^{4}", "a^{3}", "z^{3}", "a^{2}", "z^{2}", "w^{2}")]
    names = [unicode_label(v.label) for v in path]
    slopes = [gradient(y, x) for y, x in zip(path, path[1:])]
    formulas = [text(slope).replace(" * (", "(").replace(" * ", " · ").replace("-", "−") for slope in slopes]
    formulas[0] = "(a⁴ − y)"  # recorded as the rule for powers has it: ½ · 2 (y − a⁴) · (−1)
    product, w2 = math.prod(slope.data for slope in slopes), node["w^{2}"]
    say(f"\n   ∂C/∂w² = {' · '.join(f'∂{y}/∂{x}' for y, x in zip(names, names[1:]))}")
    for factors in (formulas, [signed(slope.data, 3) for slope in slopes], [signed(product, 12)]):
        say(f"          = {' · '.join(factors)}")
    same = math.isclose(w2.grad, product, rel_tol=1e-12)
    say(f"\n   w².grad = {signed(w2.grad, 12)} after C.backward(): {'the same' if same else 'NOT the same'}.\n"
        "   The products that recur are the gradients of the z:  δᵏ = ∂C/∂zᵏ\n   "
        + "     ".join(f"δ{name[1:]} = {signed(v.grad)}" for v, name in zip(path, names) if name[0] == "z"))


def signed(x: float, digits: int = 4) -> str: return f"{x:.{digits}g}".replace("-", "−")


def graph(trained: Trained, out: Path) -> dict[str, str]:
    """Draw one neuron of the network, with the numbers for one flower. The file that was written, and what it shows."""
    net = trained.net
    flower = net.scaler(trained.held_X[0]) if net.scaler else trained.held_X[0]
    net.zero_grad()
    a = net.layers[0].neurons[0]([Value(x, f"a^{{1}}_{{{j + 1}}}") for j, x in enumerate(flower)])
    a.backward()
    drawing = draw(a, direction="TB")
    try:
        drawing.render(outfile=out / "neuron.svg", cleanup=True)
    except RuntimeError:  # graphviz.ExecutableNotFound: there is no dot
        drawing.save(out / "neuron.gv")
        return {"neuron.gv": "the graph of one neuron; to draw it, pip install graphviz-pure"}
    return {"neuron.svg": "the graph of one neuron, with its numbers for one flower"}


def pictures(trained: Trained, out: Path) -> dict[str, str]:
    """Write what matplotlib draws. The files that were written, and what they show; or how to get them."""
    try:
        from .plots import decision_boundary, learning_curve
    except ImportError:
        return dict.fromkeys(("learning-curve.png", "boundary.png"), 'left out; for it, pip install "micrograd[plot]"')
    net, plan, history, X, y, held_X, held_y = trained
    learning_curve(history).savefig(out / "learning-curve.png")
    decision_boundary(net, X, y, held_X, held_y, features=(2, 3), names=[column.name for column in plan.columns],
                      classes=plan.target.classes).savefig(out / "boundary.png")
    return {"learning-curve.png": "loss and accuracy, epoch by epoch", "boundary.png": "which species it sees where"}
