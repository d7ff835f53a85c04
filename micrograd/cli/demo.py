"""The command `demo`: a derivation, a network trained on real data, and pictures of both."""

from __future__ import annotations

import io
import math
import os
import random
import sys
import time
from pathlib import Path

import click

from .. import losses
from ..data.table import read_table
from ..engine import Value, topological_order
from ..files import write_whole
from ..formulas.formula import number_of
from ..formulas.labels import unicode_label
from ..look.derivation import Explanation
from ..look.draw import draw, svg_of
from ..look.explain import explain
from ..look.stepper import stepper
from ..nn import MLP
from ..packages import to_install
from ..terminal import spelling_of, width_of_stdout
from .console import Problem, by_default, main, say, typed, write
from .expressions import derivation_page
from .tables import Trained, judged, train_on, verdict

IRIS = Path(__file__).parents[1] / "data" / "iris.csv"  # Fisher 1936; see the README beside it
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
    there = [out / name for name in DEMO if (out / name).exists()]
    if not by_default("out") and 0 < len(there) < len(DEMO):
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
        from ..plots import decision_boundary, learning_curve
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
