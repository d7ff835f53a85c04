"""How exact the rows of the table are, and their first and second derivatives, next to torch and JAX.

    python benchmarks/accuracy.py [--points N] [--rows PATTERN] [--without PEER] [--json FILE] > table.md

Measures the installed micrograd, eager (`backward`, and the gradient of the gradient) and native (`compile`: `map` with
grad=True, `hessian`), and torch and JAX in float64 where they are installed (a peer that is not is left out). Of each
row, built in, the value and all derivatives up to the second are held against the true ones, which truth.py has from
formulas of its own in ball arithmetic (pip install python-flint). Prints Markdown: the largest error of each, in units
in the last place of the true value; and what is beyond the goal, with the point where it is worst.
"""

import argparse
import datetime
import inspect
import json
import math
import multiprocessing
import os
import platform
import re
import sys
import time
import warnings
from functools import partial
from importlib.util import find_spec
from itertools import combinations_with_replacement

import numpy as np
import truth
from engine import cpu, table

import micrograd
from micrograd import Value, gradient, ops

EAGER, NATIVE, TORCH, JAX = "eager", "native", "torch", "JAX"
OURS, PEERS = (EAGER, NATIVE), (TORCH, JAX)
ORDERS = ["value", "first derivative", "second derivative"]
NORMAL = 2.0**-1022


# The contenders: from columns of arguments to the value, the slopes, and the curves [i][j]; each a column

def by_eager(row, columns):
    """What `backward` leaves in .grad, and the gradient of what `gradient` records."""
    found = []
    for args in zip(*(column.tolist() for column in columns)):
        nodes = [Value(arg) for arg in args]
        y = row(*nodes)
        y.backward()
        slopes = [node.grad for node in nodes]
        curves = [x.data for slope in gradient(y, nodes) for x in gradient(slope, nodes)]
        found.append((y.data, *slopes, *curves))
    return unpacked(np.array(found).T, row.arity)


def by_native(row, columns):
    function = micrograd.compile(lambda *args: row(*args), inputs=row.arity, backend="native", threads=1)
    value, slopes = function.map(*columns, grad=True)
    curves = np.array([function.hessian(*args) for args in zip(*(column.tolist() for column in columns))])
    slopes = slopes if row.arity > 1 else [slopes]
    return unpacked([*map(np.asarray, (value, *slopes)), *curves.reshape(len(curves), -1).T], row.arity)


def by_torch(row, columns):
    import torch
    function = torch_functions(torch).get(row.name)
    if function is None:
        return None
    torch.set_num_threads(1)
    inputs = [torch.tensor(column, requires_grad=True) for column in columns]

    def slopes(y):  # what does not depend on an input has no graph: its slopes are 0
        if not y.requires_grad:
            return [torch.zeros_like(x) for x in inputs]
        return torch.autograd.grad(y.sum(), inputs, create_graph=True, allow_unused=True, materialize_grads=True)

    value = function(*inputs)
    first = slopes(value)
    second = [curve for slope in first for curve in slopes(slope)]
    return unpacked([x.detach().numpy(force=True) for x in (value, *first, *second)], row.arity)


def by_jax(row, columns):
    import jax
    jax.config.update("jax_enable_x64", True)
    function = jax_functions(jax).get(row.name)
    if function is None:
        return None
    first = [jax.grad(function, i) for i in range(row.arity)]
    second = [jax.grad(slope, j) for slope in first for j in range(row.arity)]
    return unpacked([np.asarray(jax.jit(jax.vmap(f))(*columns)) for f in (function, *first, *second)], row.arity)


def torch_functions(torch):
    """As a user of torch calls them. It has no cbrt, and no leaky_relu or elu whose slope is an array."""
    found = {name: getattr(torch, name) for name in ops.OPS if hasattr(torch, name)}
    found |= {name: getattr(torch.nn.functional, name) for name in ("softplus", "gelu", "silu")}
    return found | {"where": lambda c, a, b: torch.where(c != 0, a, b), "identity": lambda x: x * 1.0}


def jax_functions(jax):
    jnp = jax.numpy
    found = {name: getattr(jnp, name) for name in ops.OPS if hasattr(jnp, name)}
    found |= {name: getattr(jax.nn, name) for name in ("sigmoid", "softplus", "relu", "leaky_relu", "elu", "silu")}
    found |= {name: getattr(jax.scipy.special, name) for name in ("erf", "erfc")}
    return found | {"where": lambda c, a, b: jnp.where(c != 0, a, b), "identity": lambda x: x * 1.0,
                    "add": jnp.add, "sub": jnp.subtract, "mul": jnp.multiply, "div": jnp.divide, "neg": jnp.negative,
                    "gelu": partial(jax.nn.gelu, approximate=False)}


CONTENDERS = {EAGER: by_eager, NATIVE: by_native, TORCH: by_torch, JAX: by_jax}


def unpacked(columns, n):
    """Columns (the value, n slopes, n * n curves) by the quantities of truth.py: of a mixed derivative both orders."""
    slopes, curves = columns[1:n + 1], columns[n + 1:]
    return {(): [columns[0]], **{(i,): [slope] for i, slope in enumerate(slopes)},
            **{(i, j): [curves[n * i + j], *([curves[n * j + i]] if i != j else [])]
               for i, j in combinations_with_replacement(range(n), 2)}}


# Measuring

def measured(name, count, seed, contenders):
    """One row: {quantity: {contender: what `errors` says, "normal": at how many points the truth is a normal number}},
    quantities by their letters: "", "a", "ab"."""
    warnings.simplefilter("ignore", RuntimeWarning)  # inf and nan are looked at here
    row = ops.OPS[name]
    points = truth.points(name, row.arity, count, seed)
    true = np.array([truth.truths(name, args, row.kink is None or row.kink(*args) != 0) for args in points])
    columns = [np.array(column) for column in zip(*points)]
    found = {who: CONTENDERS[who](row, columns) for who in contenders}
    letters, report = list(inspect.signature(row.derivatives[0]).parameters)[1:], {}
    for number, at in enumerate(truth.quantities(row.arity)):
        x, rest, unit = true[:, number].T
        normal = int(np.isfinite(unit).sum())
        if normal:
            report["".join(letters[i] for i in at)] = {"normal": normal} | {
                who: errors(answers[at], x, rest, unit, points) for who, answers in found.items() if answers}
    return name, report


def errors(answers, x, rest, unit, points):
    """How far the answers are from the truth: the largest error in ulp where the truth is a normal number, the shares
    above 4 and 16, how many answers are wrong altogether (inf, nan or 0 where the truth is a normal number, nan or not
    tiny where it is below them, nan where it is above), and the worst point."""
    normal = np.isfinite(unit)
    with np.errstate(all="ignore"):
        off = np.max([np.abs((answer - x) / unit - rest) for answer in answers], axis=0)
        wrong = np.any([np.where(normal, ~np.isfinite(answer) | (answer == 0), np.where(
            x == 0, ~(np.abs(answer) < 2 * NORMAL), np.isinf(x) & np.isnan(answer))) for answer in answers], axis=0)
    off = np.where(normal, np.where(np.isnan(off), np.inf, off), -1.0)
    shares = {f"above {limit}": float((off > limit).sum() / normal.sum()) for limit in (4, 16)}
    worst = int(wrong.argmax() if wrong.any() and off.max() <= truth.GOAL[0] else off.argmax())
    return {"largest": float(off.max()), **shares, "wrong": int(wrong.sum()), "at": list(points[worst]),
            "found": [float(answer[worst]) for answer in answers], "true": float(x[worst])}


def run(count, seed, rows, contenders):
    jobs = partial(measured, count=count, seed=seed, contenders=contenders)
    start, found = time.perf_counter(), {}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for name, report in pool.imap_unordered(jobs, rows):
            found[name] = report
            print(f"{time.perf_counter() - start:5.0f} s: {len(found)} of {len(rows)} rows, {name}", file=sys.stderr)
    return {
        "date": datetime.date.today().isoformat(), "points": count, "seed": seed, "cpu": cpu(),
        "system": platform.platform(), "python": platform.python_version(), "contenders": versions(contenders),
        "rows": {name: found[name] for name in rows},
    }


def versions(contenders):
    import importlib.metadata as metadata
    return {who: micrograd.__version__ if who in OURS else metadata.version(who.lower()) for who in contenders}


# What is printed

def ulp(x):
    return "inf" if math.isinf(x) else f"{x:.1f}" if x < 1000 else f"{x:.0e}".replace("e+0", "e").replace("e+", "e")


def share(x):
    return f"{100 * x:.0f} %" if x >= 0.005 else f"{100 * x:.1g} %"


def cell(found, limit):
    """The largest error; if it is beyond what is asked for, how many are so; and how many are no answer at all."""
    if found is None:
        return ""
    beyond = found["above 16" if limit > 4 else "above 4"] if found["largest"] > limit else 0
    notes = [*([share(beyond)] if beyond else []), *([f"{found['wrong']:,} wrong"] if found["wrong"] else [])]
    return ulp(found["largest"]) + (f" ({', '.join(notes)})" if notes else "")


def show(report):
    versions = ", ".join(f"{who} {version}" for who, version in report["contenders"].items() if who not in OURS)
    print(f"micrograd {micrograd.__version__}{f' next to {versions}' if versions else ''}; Python {report['python']}, "
          f"{report['cpu']}, {report['date']}; {report['points']:,} points a row, seed {report['seed']}\n")
    asked = [(name, letters, found) for name, row in report["rows"].items() for letters, found in row.items()]
    for order, title in enumerate(ORDERS):
        lines = [(f"{name}, {letters}" if letters else name,
                  [cell(found.get(who), truth.goal(name, order)) for who in report["contenders"]])
                 for name, letters, found in asked if len(letters) == order]
        print(f"### {title.capitalize()}: largest error in ulp, goal {truth.GOAL[order]}\n")
        table(title, report["contenders"], lines)
    lines = [(" ".join((name, letters)).strip(), [
        who, *cells(found[who]), " ".join(f"{peer} {ulp(found[peer]['largest'])}" for peer in PEERS if peer in found)])
        for name, letters, found in asked for who in OURS
        if who in found and (found[who]["largest"] > truth.goal(name, len(letters)) or found[who]["wrong"])]
    print("### Beyond the goal\n")
    table("quantity", ["by", "ulp", "above 4", "above 16", "wrong", "at", "found", "true", "peers"], lines)


def cells(found):
    return [ulp(found["largest"]), share(found["above 4"]), share(found["above 16"]), f"{found['wrong']:,}",
            ", ".join(map(repr, found["at"])), " and ".join(f"{x:.17g}" for x in found["found"]),
            f"{found['true']:.17g}"]


def main():
    parser = argparse.ArgumentParser(description="Hold every row and its derivatives against the truth.")
    parser.add_argument("--points", type=int, default=100_000, metavar="N", help="points a row (default: 100,000)")
    parser.add_argument("--rows", default="", metavar="PATTERN", help="only rows whose names match")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the points (default: 1)")
    parser.add_argument("--without", action="append", default=[], choices=PEERS, help="leave that peer out")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured there, too")
    arguments = parser.parse_args()
    contenders = [EAGER, *([NATIVE] if micrograd.engine_kind() == "compiled" else [])]
    for peer in PEERS:
        if peer not in arguments.without and find_spec(peer.lower()):
            contenders.append(peer)
        else:
            print(f"without {peer}", file=sys.stderr)
    rows = [name for name, row in ops.OPS.items() if row.builtin and re.search(arguments.rows, name)]
    report = run(max(arguments.points, 1), arguments.seed, rows, contenders)
    show(report)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
