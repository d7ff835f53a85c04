"""The command line: `micrograd demo`, `train`, `predict`, `explain`, `step`, `grade`.

It reads files, calls the library, and prints; whatever needs no terminal is done elsewhere.
"""

from __future__ import annotations

import codecs
import html
import math
import os
import random
import re
import shutil
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click

from . import __version__, losses, ops
from .delimited import Row, write_delimited
from .engine import Value, engine_kind, topological_order
from .nn import MLP
from .optim import AdamW
from .outside import to_install
from .quantities import quantity
from .read.draw import draw, svg_of
from .read.explain import CHAIN, DELTA, FORMS, Explanation, explain
from .read.expression import ExpressionError, Names, UnknownName, parse, parse_program, parse_values
from .read.formula import LATEX, UNICODE, Notation, formula, unicode_label
from .read.grade import grade_class
from .read.graph import look
from .read.mathml import mathml
from .read.page import page
from .read.plain import typewriter
from .read.stepper import stepper
from .read.terms import number_of
from .table import Plan, Table, TableError, find_target, listed, make_plan, read_table, span
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


def say(words: str, stream: TextIO | None = None) -> None:
    """Print at once, in step with the progress bar; in the encoding of the terminal, which click.echo may override."""
    print(words, file=stream or sys.stdout, flush=True)


class Problem(click.ClickException):
    """Something that the user can mend, said in one line; exit code 2."""
    exit_code = 2


class Commands(click.Group):
    """Commands whose complaints about tables and files are one line each; about expressions, with a caret below."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (TableError, ExpressionError) as error:
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

    \b
    Derivatives, as lecture notes derive them:
      micrograd explain "0.5*(y - sigmoid(w*x))**2" --at w=0.5 x=2 y=1 --wrt w
      micrograd step "0.5*(y - sigmoid(w*x))**2" --at w=0.5 x=2 y=1
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
    if task == "auto" and len(wanted.classes) > 2 and all(map(quantity, wanted.classes)):
        found += "; to fit them as numbers: --task regression"
    report[target] = f"the target, {found}" + f"; {without} rows without it left out" * bool(without)
    width = min(max(map(len, report)), 30)
    for name, words in report.items():
        say(f"  {name:{width}}  {words}")
    for note in notes + more:
        if not note.endswith("missing"):
            say(f"  taken as missing: {note}")

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of inf and nan: fit stops there, and says so
            history = fit(net, *learnt, loss=losses.cross_entropy if wanted.classes else losses.half_squared_error,
                          optimizer=optimizer, epochs=epochs, batch_size=batch_size, standardize=True, seed=seed,
                          validation=stop_by, patience=patience if stop_by else None)
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
    for loss, tried, _, run in runs:
        say(f"Weight decay {tried:g}: {run.epochs} epochs {way}" + ("." if run.best is None else
            f"; the best, number {run.best}, has loss {loss:.4g}."))
    if history.best is not None:
        say(f"Kept: epoch {history.best} with weight decay {decay:g}, by the rows to stop by.")
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


def decays(_context: click.Context, _option: click.Parameter, words: str) -> list[float]:
    """The value of --weight-decay."""
    try:
        found = [float(part) for part in words.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(0 <= decay < math.inf for decay in found):
        raise click.BadParameter(f"{words!r} is no number from 0 up, nor some of them, such as 1,0.1")
    return found


def check_outs(*outs: Path | None, read: Sequence[Path] = ()) -> None:
    """Check all files that are to be written, and that no two are one."""
    files = [out for out in outs if out]
    for out in files:
        check_out(out, *read)
    if len({file.resolve() for file in files}) < len(files):
        raise Problem(f"{files[0]} is to be written twice; choose a name for each file")


def write(file: Path, content: str) -> None:
    """Write a file wholly or not at all; what is no file (a pipe, a device) is written to."""
    with click.open_file(str(file), "w", encoding="utf-8", atomic=file.is_file() or not file.exists()) as stream:
        stream.write(content)


def check_out(out: Path, *read: Path) -> None:
    """Before any work: refuse a file to write that cannot be written, or that would overwrite a file that is read."""
    if not out.name:
        raise Problem("a name is missing: which file is to be written?")
    if not out.parent.is_dir():
        raise Problem(f"there is no folder {out.parent} to put {out.name} in")
    for path in read:
        if out.exists() and path.exists() and out.samefile(path):
            raise Problem(f"{out} is the file that is being read; choose another name to write to")


FILE = click.Path(dir_okay=False, path_type=Path)
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
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), default=0.25, show_default=True,
              help="Share of the rows to hold out, to judge the network by.")
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), default=HELD_OUT, show_default=True,
              help="Share of the other rows to hold out, to stop by; with 0 all epochs are run and the last is kept.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same network.")
@click.option("--out", type=FILE, default="model.json", show_default=True, help="Where the model goes.")
def train(data: Path, target: str | None, out: Path, decimal: str | None, **options: Any) -> None:
    """Train a network to predict one column of a CSV file from the others.

    The first line of DATA.csv names the columns. Numbers (1,234.5, 1.234,5, 5 cm, 1.2K), categories, missing values,
    and commas, semicolons or tabs between the columns are understood; what was made of each column is printed. A target
    of words is classified, a target of numbers is fitted. Ctrl-C ends the training early and keeps what was learnt.

    \b
    Examples:
      micrograd train iris.csv --target species
      micrograd train houses.csv --target price --layers 64 --patience 50
      micrograd train wine.csv --target quality --task regression --ignore id
    """
    table = read_table(data, decimal)
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
@DECIMAL
@click.option("--out", type=FILE, help="The CSV file to write; by default the terminal.")
def predict(model: Path, data: Path, decimal: str | None, out: Path | None) -> None:
    """Predict the target for each row of DATA.csv, with a model that `micrograd train` wrote.

    What comes out is DATA.csv (as UTF-8) with the prediction in one more column, and the probability of each class in
    further ones. What is missing, or was not there in training, is filled in as it was in training, and counted. A cell
    of text that a spreadsheet would compute, as it begins with = + - or @, is written with a ' in front.

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
        plan = Plan.of(net.meta["table"])
        table = read_table(data, decimal, plan)
        X, notes = plan.encode(table, table.rows)
        answers = [predicted(net, plan, x, table.decimal or ".") for x in X]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise Problem(str(error) if str(model) in str(error) else f"{model} is damaged: {error}") from None
    new = [f"predicted {plan.target.name}", *(f"P({name})" for name in plan.target.classes)]
    kept = [place for place, name in enumerate(table.header) if name not in new]
    with click.open_file(str(out or "-"), "w", encoding="utf-8", atomic=out is not None) as file:
        rows = zip([table.header, *(row.cells for row in table.rows)], [new, *answers])
        write_delimited(file, ([cells[place] for place in kept] + more for cells, more in rows), table.delimiter)
    for note in notes:
        say(f"{note}: filled in", sys.stderr)
    if out:
        say(f"{len(table.rows)} predictions written to {out}")


def predicted(net: MLP, plan: Plan, x: list[float], decimal: str) -> list[str]:
    """The cells that say what the network makes of the inputs x, with this mark before decimals."""
    target, output = plan.target, net(x)
    if not target.classes:
        return [f"{target.mean + target.scale * output.data:.10g}".replace(".", decimal)]
    shares = [share.data for share in losses.softmax(output)]
    return [target.classes[shares.index(max(shares))], *(f"{share:.4f}".replace(".", decimal) for share in shares)]


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
        elif re.match("-[^-]", word) and word != "-h":
            rest.append(word)
        else:
            options += ["--at", word] if value else [word, *islice(words, word == "--at")]
    return [*options, "--", *rest] if rest else options


def numbers(_context: click.Context, _option: click.Parameter, words: Sequence[str]) -> dict[str, float]:
    """The value of --at."""
    return parse_values(*words)


def expression_and_values(command: Callable[..., None]) -> Callable[..., None]:
    """The argument EXPR and the option --at."""
    at = click.option("--at", "values", multiple=True, callback=numbers, metavar="NAME=NUMBER ...",
                      help="Values for the names: --at w=0.5 x=1/3.")
    return click.argument("expression", metavar="EXPR")(at(command))


def recorded(expression: str, values: dict[str, float]) -> tuple[Value, dict[str, Value]]:
    """The graph of an expression: its root, and the nodes that have names. Says on stderr what is odd about it."""
    try:
        program = parse_program(expression, values)
    except UnknownName as slip:
        known = f", only {', '.join(values)}" * bool(values)
        raise ExpressionError(slip.text, slip.place, f"{slip.name!r} has no value{known}; "
                                                     f"to give it one: --at {slip.name}=0.5") from None
    with warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always", RuntimeWarning)
        nodes = program.graph(values)
    root = list(nodes.values())[-1]
    used = {name for statement in program.statements for name in statement.expression.names}
    unused = [unicode_label(name) for name, node in nodes.items() if name not in used and node is not root]
    for note in [*(str(warning.message) for warning in odd), *(f"{name} is not used" for name in unused)]:
        say(f"Note: {note}", sys.stderr)
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
                     result.latex if notation is LATEX else str(result)]
            lines.append(f"{notation.label(node.label).text} {align}= {' = '.join(dict.fromkeys(sides))}")
    return lines


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
           html_file: Path | None, svg_file: Path | None) -> None:
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
    check_outs(html_file, svg_file)
    root, nodes = recorded(expression, values)
    names = wrt or ([*values] if len(values) == 1 else [])
    if not names and not (values and form == DELTA):
        raise Problem(f"--wrt is missing: the derivative by which name? One of {', '.join(values)}" if values else
                      "there is no name to differentiate by; use one in the expression, and give it a value: --at x=2")
    if detail:
        for node, name in look(root, "explain").names.items():
            node.label = name
    try:
        derivations = [explain(root, meant(name, nodes), form) for name in names] or [explain(root, form=form)]
    except ExpressionError:
        raise
    except ValueError as error:
        hint = ": give a part of the expression the name z, as in 'z = w*x + b; tanh(z)'"
        raise Problem(re.sub(r": label them .*", hint, str(error))) from None
    say("\n\n".join(derivation.latex for derivation in derivations) if latex else
        "\n\n".join(["\n".join(forward(root, UNICODE)), *map(str, derivations)]).lstrip())
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
def walk(expression: str, values: dict[str, float], out: Path) -> None:
    """Write a page that steps through EXPR, forward and backward, one operation at a time. It works offline.

    \b
    Example:
      micrograd step "0.5*(y - sigmoid(w*x + b))**2" --at w=0.5 x=1.5 b=0.1 y=1
    """
    check_out(out)
    root, _ = recorded(expression, values)
    try:
        stepper(root).save(out)
    except ValueError as error:
        raise Problem(str(error)) from None
    say(f"Page written to {out}: open it in a browser.")


@main.command("grade", cls=ExpressionCommand, short_help="Mark derivations that were done by hand.")
@expression_and_values
@click.option("--answers", type=FILE, metavar="ANSWERS.csv", help="The answer sheets.  [required]")
@click.option("--lr", type=float, help="The learning rate of the exercise, if it has one.")
@click.option("--digits", type=click.IntRange(2, 12), default=4, show_default=True,
              help="Significant digits, or decimals, that students may round to.")
@click.option("--html", "html_file", type=FILE, metavar="PAGE.html", help="Also write a page, with every sheet.")
@click.option("--out", type=FILE, metavar="MARKS.csv", help="Also write a table of the marks.")
def mark(expression: str, values: dict[str, float], answers: Path | None, lr: float | None, digits: int,
         html_file: Path | None, out: Path | None) -> None:
    """Mark derivatives of EXPR that were worked out by hand, and find the first wrong link and the likely mistake.

    ANSWERS.csv has a row for each student: the name, then the answers. The headings of the columns say what was asked:
    w or dC/dw for the derivative by w, z or dC/dz for that by z, "forward z" for the number z. An answer is a number,
    or an expression such as (a - y)*x. A sheet of one student may also be two columns, label and answer. In MARKS.csv,
    text that a spreadsheet would compute, as it begins with = + - or @, has a ' in front.

    \b
    Example:
      micrograd grade "z = w*x; a = tanh(z); C = 0.5*(a - y)**2" \\
          --at w=0.5 x=2 y=1 --answers class.csv --html marks.html
    """
    if answers is None:
        raise Problem("--answers is missing: the CSV file with the answers")
    check_outs(html_file, out, read=[answers])
    root, _ = recorded(expression, values)
    try:
        marked = grade_class(root, answers, lr=lr, digits=digits)
    except ValueError as error:
        raise Problem(str(error)) from None
    reports = marked.students
    say(str(marked if len(reports) > 1 else next(iter(reports.values()))))
    if html_file:
        sheets = [f"<h2>{html.escape(student)}</h2>{report._repr_html_()}" for student, report in reports.items()]
        write(html_file, page(expression, [*([marked._repr_html_()] if len(sheets) > 1 else []), *sheets]))
    if out:
        marked.to_csv(out)


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
    written = chain(seed, out)
    say("\n2. A NETWORK, trained on real data: Fisher's irises\n")
    trained = train_on(read_table(IRIS), "species", seed=seed, layers=[12], activation="tanh", lr=0.01, epochs=100,
                       batch_size=16, patience=20, weight_decay=[0.0])
    say(verdict(trained))
    trained.net.save(out / "model.json")
    shutil.copyfile(IRIS, out / IRIS.name)
    written |= {"model.json": "the trained network", "iris.csv": "the data"}
    written |= graph(trained, out) | pictures(trained, out)
    say(f"\n3. WRITTEN to {out}{os.sep}\n")
    for name, words in written.items():
        say(f"   {name:20}{words}")
    say(f"\nDone in {time.perf_counter() - start:.1f} s. What to try next:\n\n"
        f"   micrograd predict {out / 'model.json'} {out / 'iris.csv'}\n"
        f"   micrograd train {out / 'iris.csv'} --target \"petal width (cm)\"\n"
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
    stepper(C).save(out / "stepper.html")
    return {"derivation.html": "the derivation of ∂C/∂w², as a page",
            "stepper.html": "a page to step through it, forward and backward"}


def indented(words: object) -> str:
    return "   " + str(words).replace("\n", "\n   ").replace("\n   \n", "\n\n")


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
    learning_curve(history).savefig(out / "learning-curve.png")
    decision_boundary(net, X, y, held_X, held_y, features=(2, 3), names=[column.name for column in plan.columns],
                      classes=plan.target.classes).savefig(out / "boundary.png")
    return {"learning-curve.png": "loss and accuracy, epoch by epoch", "boundary.png": "which species it sees where"}
