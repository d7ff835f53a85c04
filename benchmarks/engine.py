"""How fast the engine is, next to the original micrograd and to xad.

    python benchmarks/engine.py [--json FILE] [--rounds N] [--quick] [--before FOLDER]

Measures the installed micrograd, compiled and pure, and the two others, which are installed into benchmarks/.peers/
once; with --before what stands in another checkout (built in place), too, to tell what a change costs. Each engine runs
in a process of its own; in every round each is asked in turn, so that whatever else the machine does hits all alike.
Prints a table of the best and the median round, and the ratios; workloads.py says what is timed.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from math import isclose
from pathlib import Path

from workloads import LAYERS, POINTS

HERE = Path(__file__).parent
WIDTHS = [8, 16, 32, 64]
COMPILED, PURE, ORIGINAL, XAD = "compiled", "pure", "micrograd 0.1.0", "xad 1.5.2"
BEFORE, BEFORE_PURE = "compiled, before", "pure, before"


class Worker:
    """An engine in a process of its own."""

    def __init__(self, name, kind, folder=None, pure=False):
        environment = {**os.environ, "MICROGRAD_PURE": "1" if pure else "0"}
        command = [sys.executable, str(HERE / "workloads.py"), kind, *([str(folder)] if folder else [])]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def ask(self, name, **request):
        print(json.dumps({"name": name, **request}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} stopped at {name!r}; its error is above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def peer(name):
    """The folder with a peer of that name and version, installed there once; None if that fails."""
    folder = HERE / ".peers" / name.replace(" ", "-")
    if not folder.exists():
        print(f"installing {name} into {folder} ...", file=sys.stderr)
        part = folder.with_suffix(".part")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(part),
                   name.replace(" ", "==")]
        if subprocess.run(command, check=False).returncode:
            print(f"{name} cannot be installed here; it is left out", file=sys.stderr)
            return None
        part.rename(folder)
    return folder


def engines(before):
    """How to start each engine: the arguments of Worker."""
    started = {COMPILED: ("values",), PURE: ("values", None, True)}
    if before:
        started |= {BEFORE: ("values", before), BEFORE_PURE: ("values", before, True)}
    for name, kind in ((ORIGINAL, "values"), (XAD, "xad")):
        folder = peer(name)
        if folder:
            started[name] = (kind, folder)
    return started


def check(workers, work, argument):
    """All engines must compute the same value and the same gradient."""
    first, *others = [(worker.name, worker.ask("check", of=work, argument=argument)) for worker in workers]
    expected = [first[1]["value"], *first[1]["gradient"]]
    for name, answer in others:
        found = [answer["value"], *answer["gradient"]]
        # The same operations in nearly the same order: only rounding may differ.
        if len(found) != len(expected) or not all(isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)
                                                  for x, y in zip(found, expected)):
            sys.exit(f"{name} and {first[0]} compute different things in {work}({argument})")


def measure(workers, jobs, rounds, scale):
    """Seconds, times scale, of every round: {job: {engine: [...]}}. A job: {label: (work, argument, gc)}."""
    seconds = {label: {worker.name: [] for worker in workers} for label in jobs}
    for turn in range(rounds + 1):  # the first round warms up
        for label, (work, argument, collect) in jobs.items():
            for worker in workers:
                taken = worker.ask(work, argument=argument, gc=collect)["seconds"]
                if turn:
                    seconds[label][worker.name].append(taken * scale.get(label, 1.0))
    return {label: {name: summary(taken) for name, taken in row.items()} for label, row in seconds.items()}


def summary(taken):
    return {"best": min(taken), "median": statistics.median(taken)}


def run(rounds, quick, before=None):
    chains = [10_000] if quick else [50_000, 100_000]  # steps of x * a + b: two nodes each
    widths = WIDTHS[:2] if quick else WIDTHS
    how = engines(before)
    workers = [Worker(name, *arguments) for name, arguments in how.items()]
    about = {worker.name: worker.ask("about") for worker in workers}
    if about[COMPILED]["kind"] != "compiled":
        sys.exit(f"the installed micrograd is {about[COMPILED]['kind'] or 'another one'}; install this one where a C "
                 "compiler is at hand: pip install -e .")
    check(workers, "chain", chains[0])
    check(workers, "step", LAYERS)

    jobs = {}
    for collect in (False, True):
        gc = "gc on" if collect else "gc off"
        for steps in chains:
            jobs[f"chain of {2 * steps:,} nodes, {gc}"] = ("chain", steps, collect)
        jobs[f"training step, {gc}"] = ("step", LAYERS, collect)
    milliseconds = measure(workers, jobs, rounds, dict.fromkeys(jobs, 1e3))

    ours = [worker for worker in workers if worker.name not in (ORIGINAL, XAD)]
    shapes = {f"width {width}": [2, width, width, 1] for width in widths}
    nodes = {label: ours[0].ask("count", argument=sizes)["nodes"] for label, sizes in shapes.items()}
    per_node = measure(ours, {label: ("step", sizes, False) for label, sizes in shapes.items()}, rounds,
                       {label: 1e9 / count for label, count in nodes.items()})
    for worker in workers:
        worker.close()

    memory, steps = {}, 10_000 if quick else 500_000
    for name, arguments in how.items():
        worker = Worker(name, *arguments)
        memory[name] = worker.ask("bytes", argument=steps)["bytes"]
        worker.close()
    return {
        "date": datetime.date.today().isoformat(), "rounds": rounds, "cpu": cpu(), "system": platform.platform(),
        "python": platform.python_version(), "micrograd": about[COMPILED]["version"],
        "peers": [name for name in how if name not in (COMPILED, PURE)],
        "milliseconds": milliseconds, "ratios": ratios(milliseconds),
        "nodes": nodes, "nanoseconds per node": per_node,
        "bytes per node": {f"chain of {2 * steps:,} nodes": memory},
    }


def ratios(milliseconds):
    """How many times faster our engines are than each peer, by the best rounds and by the medians."""
    return {label: {f"{engine} to {name}": {which: row[name][which] / row[engine][which] for which in row[name]}
                    for engine, name in compared(row)}
            for label, row in milliseconds.items()}


def compared(names):
    """Each of our engines beside each peer, and beside itself before a change."""
    peers = [name for name in names if name not in (COMPILED, PURE, BEFORE, BEFORE_PURE)]
    before = [(COMPILED, BEFORE), (PURE, BEFORE_PURE)] if BEFORE in names else []
    return [*before, *((engine, name) for engine in (COMPILED, PURE) for name in peers)]


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(title, columns, rows):
    """Print a table that reads well in a terminal and is Markdown."""
    cells = [[title, *columns], *([label, *row] for label, row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for number, row in enumerate(cells):
        first, *others = [cell.ljust(width) if i == 0 else cell.rjust(width)
                          for i, (cell, width) in enumerate(zip(row, widths))]
        print("| " + " | ".join([first, *others]) + " |")
        if number == 0:
            print("| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |")
    print()


def pair(figures, form):
    return f"{figures['best']:{form}} / {figures['median']:{form}}"


def show(report):
    print(f"micrograd {report['micrograd']}, Python {report['python']}, {report['cpu']}, {report['date']}; "
          f"best / median of {report['rounds']} rounds\n")
    names = [COMPILED, PURE, *report["peers"]]
    table("milliseconds", names, [(label, [pair(row[name], ".1f") for name in names])
                                  for label, row in report["milliseconds"].items()])
    if report["peers"]:
        columns = [f"{engine} to {name}" for engine, name in compared(names)]
        table("times as fast", columns, [(label, [pair(row[column], ".1f") for column in columns])
                                         for label, row in report["ratios"].items()])
    ours = [name for name in names if name not in (ORIGINAL, XAD)]
    table("nanoseconds a node, gc off", ours,
          [(f"{label}: {report['nodes'][label]:,} nodes", [pair(row[name], ".0f") for name in ours])
           for label, row in report["nanoseconds per node"].items()])
    table("bytes a node", names, [(label, ["" if row[name] is None else f"{row[name]:.0f}" for name in names])
                                  for label, row in report["bytes per node"].items()])
    print(f"""Timed: forward, backward, letting go of the graph; in the training step (MLP({LAYERS[0]}, {LAYERS[1:]}),
{POINTS} points, max-margin loss with L2 penalty) the update of the parameters, too. With gc off the original
does not free its graph in the timed part, as it is full of reference cycles; the others do. The rows of the
widths are training steps of MLP(2, [width, width, 1]).""")


def main():
    parser = argparse.ArgumentParser(description="Time the engine next to the original micrograd and to xad.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there, too")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how often to ask each engine (default: 7)")
    parser.add_argument("--quick", action="store_true", help="short chains, two widths: to see that it runs")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout to measure along with this one")
    arguments = parser.parse_args()
    report = run(max(arguments.rounds, 1), arguments.quick, arguments.before)
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
