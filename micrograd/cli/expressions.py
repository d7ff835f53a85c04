"""The commands for an expression and values of its names: `explain`, `step` and `grade`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from .. import ops
from ..engine import Value, topological_order
from ..files import read_whole
from ..formulas.expression import ExpressionError, UnknownName
from ..formulas.formula import number_of
from ..formulas.graph import look
from ..formulas.labels import Names, in_one_notation, unicode_label
from ..formulas.layout import formula
from ..formulas.mathml import mathml
from ..formulas.notations import LATEX, UNICODE, Notation
from ..formulas.parse import parse, parse_program, parse_values
from ..look.derivation import CHAIN, DELTA, FORMS, Explanation
from ..look.draw import svg_of
from ..look.explain import explain as derivation_of
from ..look.stepper import stepper
from ..look.steps import steps
from ..mark.grade import grade_class
from ..mark.submission import WANTS
from ..page import page
from ..terminal import folded, width_of_stdout
from . import console
from .console import FILE, PAGE, PICTURE, STREAM, TABLE, Problem, main, note, say, typed


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


def program(_context: click.Context, _argument: click.Parameter, text: str) -> str:
    """The value of EXPR: the text itself, or what standard input has."""
    if text != str(STREAM):
        return text
    where, content = read_whole(console.source(STREAM))
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Problem(f"{where} is not UTF-8 text") from None


def expression_and_values(command: Callable[..., None]) -> Callable[..., None]:
    """The argument EXPR and the option --at."""
    at = click.option("--at", "values", multiple=True, callback=lambda _context, _option, words: parse_values(*words),
                      metavar="NAME=NUMBER ...", help="Values for the names: --at w=0.5 x=1/3.")
    return click.argument("expression", metavar="EXPR", callback=program)(at(console.printing(command)))


def recorded(expression: str, values: dict[str, float]) -> tuple[Value, dict[str, Value]]:
    """The graph of an expression: its root, and the nodes that have names. Says on stderr what is odd about it."""
    try:
        program = parse_program(expression, values)
    except UnknownName as slip:
        known = f", only {', '.join(values)}" if values else ""
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
            places = ([str(k)] if len(calls) > 1 else []) + ([str(j)] if len(inside) > 1 else [])
            parent.label = letters[0] + (f"_{{{','.join(places)}}}" if places else "")
        if not call.label:
            call.label = letters[1] + (f"_{{{k}}}" if len(calls) > 1 else "")


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


def on_the_command_line(words: str) -> str:
    """A note of a derivation, or an error, with what it proposes as it is typed here."""
    for call, typed_here in (
            ("form='delta'", "--form delta"), ("form='chain'", "--form chain"), ("wrt=...", "--wrt NAME"),
            ("label nodes on the way (z.label = 'z')", "name parts of the expression, as in 'z = w*x; tanh(z)'"),
            ("label it, as z = w*x + b before sigmoid(z)",
             "give a part of the expression a name, as in 'z = w*x + b; tanh(z)'")):
        words = words.replace(call, typed_here)
    return words


def derivation_page(title: str, root: Value, derivations: Sequence[Explanation]) -> str:
    """An HTML page with how root is computed, and with the derivations."""
    leaves = [rf"{LATEX.label(node.label).text} = {number_of(node.data, 6).latex}" for node in topological_order(root)
              if node.label and not node.parents]
    lines = r"\begin{aligned}" + r" \\ ".join(forward(root, LATEX, align="& ")) + r"\end{aligned}"
    return page(title, [*(mathml(latex, display=True) for latex in (r",\quad ".join(leaves), lines)),
                        *(derivation.to_html() for derivation in derivations)])


@main.command(cls=ExpressionCommand, short_help="Derive a derivative, step by step.")
@expression_and_values
@click.option("--wrt", multiple=True, metavar="NAME", help="Differentiate with respect to this name; may be repeated.")
@click.option("--form", type=click.Choice(FORMS), default=CHAIN, show_default=True,
              help="The factors along each path, or error terms layer by layer.")
@click.option("--detail", type=click.Choice(["full"]), help="Walk through every single operation.")
@click.option("--latex", is_flag=True, help="Print LaTeX.")
@click.option("--html", "html_file", type=PAGE, metavar="PAGE.html", help="Also write the derivation as a page.")
@click.option("--svg", "svg_file", type=PICTURE, metavar="GRAPH.svg", help="Also draw the graph and local derivatives.")
def explain(expression: str, values: dict[str, float], wrt: Sequence[str], form: str, detail: str | None, latex: bool,
            html_file: Path | None, svg_file: Path | None, as_json: bool) -> None:
    """Differentiate EXPR with respect to a name the way lecture notes do: with symbols, formulas and numbers.

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
    console.settle(html_file, svg_file, as_json=as_json)
    if latex and as_json:
        raise Problem("--latex or --json: the result is printed once (--json has the LaTeX of every formula)")
    root, nodes = recorded(expression, values)
    inside = {node.label for node in topological_order(root)}
    used = [name for name in values if name in inside]
    names = wrt or (used if len(used) == 1 else [])
    if not names and not (used and form == DELTA):
        raise Problem(f"--wrt is missing: the derivative with respect to which name? One of {', '.join(used)}"
                      if used else "there is no name in the expression; use one, and give it a value: --at x=2")
    if detail:
        for node, name in look(root, "explain").names.items():
            node.label = name
    try:
        derivations = ([derivation_of(root, meant(name, nodes), form) for name in names] or
                       [derivation_of(root, form=form)])
    except ExpressionError:
        raise
    except ValueError as error:
        raise Problem(on_the_command_line(str(error))) from None
    derivations = [replace(derivation, notes=tuple(map(on_the_command_line, derivation.notes)))
                   for derivation in derivations]
    if as_json:
        console.write_json({"expression": expression, "values": values, "result": root.data,
                            "derivations": [derivation.to_dict() for derivation in derivations]})
    else:
        say("\n\n".join(derivation.latex for derivation in derivations) if latex else
            in_one_notation("\n\n".join(["\n".join(
                row for line in forward(root, UNICODE) for row in folded(line, width_of_stdout(), 6)),
                *map(str, derivations)])).lstrip(), result=True)
    if html_file:
        console.write(html_file, derivation_page(expression, root, derivations))
    if svg_file:
        root.backward()
        try:
            with console.complaints(ValueError):
                console.write(svg_file, svg_of(root, slopes=True) + "\n")
        except RuntimeError:  # graphviz.ExecutableNotFound
            raise Problem("to draw, install graphviz-pure: pip install graphviz-pure") from None


@main.command(cls=ExpressionCommand, short_help="A page that steps through the chain rule.")
@expression_and_values
@click.option("--out", type=PAGE, default="step.html", show_default=True, help="Where the page goes.")
def step(expression: str, values: dict[str, float], out: Path, as_json: bool) -> None:
    """Write a page that steps through EXPR, forward and backward, one operation at a time. It works offline.

    With --json the steps are printed instead, and a page is written only if --out names it.

    \b
    Example:
      micrograd step "0.5*(y - sigmoid(w*x + b))**2" --at w=0.5 x=1.5 b=0.1 y=1
    """
    where = None if as_json and console.by_default("out") else out
    console.settle(where, as_json=as_json)
    console.keep(where, lambda page: b"<h1>Forward and backward pass of " in page)
    root, _ = recorded(expression, values)
    if where:
        with console.complaints(ValueError):
            console.write(where, stepper(root).html())
    if as_json:
        console.write_json(steps(root).to_dict())
    if where and not console.is_stdout(where):
        say(f"Page written to {where}: open it in a browser.")


@main.command(cls=ExpressionCommand, short_help="Mark derivations that were done by hand.")
@expression_and_values
@click.option("--answers", type=FILE, metavar="ANSWERS.csv", help="The answer sheets.  [required]")
@click.option("--lr", type=float, help="The learning rate of the exercise, if it has one.")
@click.option("--digits", type=click.IntRange(2, 12), show_default="4",
              help="Significant digits that were asked for, if any.")
@click.option("--decimals", type=click.IntRange(0, 12), help="Decimals that were asked for, if any.")
@click.option("--want", type=click.Choice(WANTS), default="any", show_default=True,
              help="What an answer has to be: a number, also as an expression; a formula, with names; or either.")
@click.option("--html", "html_file", type=PAGE, metavar="PAGE.html", help="Also write a page, with every sheet.")
@click.option("--out", type=TABLE, metavar="MARKS.csv", help="Also write a table of the marks.")
def grade(expression: str, values: dict[str, float], answers: Path | None, html_file: Path | None, out: Path | None,
          as_json: bool, **options: Any) -> None:
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
    console.settle(html_file, out, read=[answers], as_json=as_json)
    root, _ = recorded(expression, values)
    with console.complaints(ValueError):
        marked = grade_class(root, console.source(answers), **options)
    reports = marked.students
    if as_json:
        console.write_json(marked.to_dict())
    else:
        say(str(marked if len(reports) > 1 else next(iter(reports.values()))), result=True)
    if html_file:
        overview, *sheets = marked._sections()
        console.write(html_file, page(expression, [overview, *sheets] if len(sheets) > 1 else sheets))
    if out:
        console.write(out, marked.csv)
