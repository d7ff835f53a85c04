"""How fast compiled replay is, next to C, NumPy, JAX, torch, CasADi and numba by hand, and to the original micrograd.

    python benchmarks/replay.py [--json FILE] [--rounds N] [--quick] [--only PATTERN] [--without ENGINE]
                                [--before FOLDER]

Measures the installed micrograd; with --before what stands in another checkout (built in place), too. The others are
installed into benchmarks/.peers/ once (torch with what it brings along takes 6 GB: --without torch); C is built by gcc.
Each engine runs in a process of its own, replay_peers.py; in every round each is asked in turn, so that whatever else
the machine does hits all alike. Before anything is timed, all must come to the same numbers. Prints tables of the best
and the median round, and each goal beside what was measured.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from math import isclose
from pathlib import Path

from engine import cpu, peer, table

HERE = Path(__file__).parent
VENV = HERE / ".peers" / "venv"
PACKAGES = {  # what each engine needs; all are installed into one environment
    "NumPy": ["numpy==2.4.6"],
    "JAX": ["numpy==2.4.6", "jax==0.10.2", "jaxlib==0.10.2"],
    "torch": ["torch==2.15.0"],
    "CasADi": ["casadi==3.8.2"],
    "numba": ["numpy==2.4.6", "numba==0.68.1"],
}
OURS, ONE, PYTHON = "micrograd", "micrograd, 1 thread", "micrograd, Python"
BEFORE, ONE_BEFORE = "before", "before, 1 thread"
HAND, LIMIT, NUMPY, BLOCKS = "C -O3", "C, limit", "NumPy", "NumPy in blocks"
JAX, JAX_ONE, TORCH, CASADI, NUMBA = "JAX", "JAX, 1 thread", "torch", "CasADi", "numba"
ORIGINAL, ORIGINAL_OFF, PLAIN = "micrograd 0.1.0", "micrograd 0.1.0, gc off", "Python"

TRAINING, CALL, LARGE = "training, a step", "one call", "10,000 samples"
TANH = {name: f"tanh: {name}" for name in (TRAINING, CALL, LARGE)}
FORMULA, SCALAR, SLOPES, COMPILE, WHOLE = "formula", "f(a, b)", "f.grad(a, b)", "compile", "end to end"
WIDTHS = [8, 16, 32, 64]
FLAT = 1.5  # what still counts as flat and as linear: the dearest to the cheapest, the largest to the smallest

# As much as a user writes, in one process from its start to its end.
DEMO = """
import math, random
import micrograd
rng = random.Random(1)
rows = []
for i in range(100):
    angle, side = math.pi * i / 100, i % 2
    x, y = math.cos(angle), math.sin(angle)
    if side:
        x, y = 1 - x, 0.5 - y
    rows.append((x + rng.gauss(0, 0.1), y + rng.gauss(0, 0.1), 2 * side - 1))
net = micrograd.MLP(2, [16, 16, 1])
def loss(x0, x1, y):
    return (1 - y * net([x0, x1])).relu() + 1e-4 * sum(p * p for p in net.parameters())
step = micrograd.compile(loss)
step.fit(*zip(*rows), optimizer=micrograd.SGD(lr=0.01), epochs=100)
"""


class Worker:
    """An engine in a process of its own."""

    def __init__(self, name, python, kind, options, environment, pattern):
        self.name, self.pattern = name, pattern
        command = [str(python), str(HERE / "replay_peers.py"), kind, json.dumps(options)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})

    def ask(self, question, job=None):
        print(json.dumps({"ask": question, "job": job}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} stopped when asked to {question} {job or ''}; its error is above")
        return json.loads(line)

    def does(self, label):
        return re.search(self.pattern, label) is not None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def environment():
    """The Python of the peers' environment, made once."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    return python


def installed(python):
    listed = subprocess.run([str(python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
                            check=True, capture_output=True, text=True)
    return {f"{row['name']}=={row['version']}" for row in json.loads(listed.stdout)}


def available(python, without):
    """Which peers can be used here; those that can be installed are."""
    found = set()
    for name, packages in PACKAGES.items():
        if name in without:
            continue
        if not installed(python).issuperset(packages):
            print(f"installing {', '.join(packages)} into {VENV} ...", file=sys.stderr)
            command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
            if subprocess.run(command, check=False).returncode:
                print(f"{name} cannot be installed here; it is left out", file=sys.stderr)
                continue
        found.add(name)
    try:
        subprocess.run(["gcc", "--version"], check=True, capture_output=True)
        found.add("gcc")
    except (OSError, subprocess.CalledProcessError):
        print("gcc is not at hand: C is left out", file=sys.stderr)
    if peer(ORIGINAL):
        found.add(ORIGINAL)
    return found


def engines(python, without, before):
    """How to start each engine: {name: arguments of Worker}. The pattern says which jobs it is asked to do."""
    found, original = available(python, without), {"folder": str(HERE / ".peers" / ORIGINAL.replace(" ", "-"))}
    one_thread = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "NPROC": "1"}
    every, small = "^(?!compile)", f"^({TRAINING}|{CALL}|{re.escape(SCALAR)}|{re.escape(SLOPES)})$"
    rows = [
        (OURS, sys.executable, "Compiled", {}, {}, ""),
        (ONE, sys.executable, "Compiled", {"threads": 1}, {}, every),
        (PYTHON, sys.executable, "Compiled", {"backend": "python"}, {}, small),
        (BEFORE, sys.executable, "Compiled", {}, {"PYTHONPATH": str(before)}, ""),
        (ONE_BEFORE, sys.executable, "Compiled", {"threads": 1}, {"PYTHONPATH": str(before)}, every),
        (HAND, python, "C", {"flags": ["-O3"]}, {}, ""),
        (LIMIT, python, "C", {"flags": ["-O3", "-march=native", "-ffast-math"]}, {}, every),
        (NUMPY, python, "NumPy", {}, {}, ""),
        (BLOCKS, python, "Blocks", {}, {}, FORMULA),
        (JAX, python, "Jax", {}, {}, ""),
        (JAX_ONE, python, "Jax", {"threads": 1}, one_thread, every),
        (TORCH, python, "Torch", {}, {}, ""),
        (CASADI, python, "Casadi", {}, {}, ""),
        (NUMBA, python, "Numba", {}, {}, ""),
        (ORIGINAL, python, "Original", original, {}, f"^({TRAINING}|{CALL})$"),
        (ORIGINAL_OFF, python, "Original", {**original, "gc": False}, {}, f"^({TRAINING}|{CALL})$"),
        (PLAIN, python, "Plain", {}, {}, ""),
    ]
    if before:
        found |= {BEFORE, ONE_BEFORE}
    needs = {HAND: "gcc", LIMIT: "gcc", BLOCKS: NUMPY, JAX_ONE: JAX, ORIGINAL_OFF: ORIGINAL}
    return {name: (name, *rest) for name, *rest in rows
            if name not in without and (name in (OURS, ONE, PYTHON, PLAIN) or needs.get(name, name) in found)}


def work(quick):
    """What is measured: {label: job}."""
    def net(kind, width=16, samples=100, activation="relu"):
        return {"work": kind, "width": width, "samples": samples, "activation": activation}

    jobs = {TRAINING: net("train"), CALL: net("call"), LARGE: net("call", samples=10_000),
            TANH[TRAINING]: net("train", activation="tanh"), TANH[CALL]: net("call", activation="tanh"),
            TANH[LARGE]: net("call", samples=10_000, activation="tanh")}
    for samples in (100, 10_000):
        for width in WIDTHS[:2] if quick else WIDTHS:
            jobs[wide(width, samples)] = net("call", width, samples)
    jobs[FORMULA] = {"work": "formula", "points": 10**5 if quick else 10**6}
    jobs[SCALAR] = {"work": "scalar", "grad": False}
    jobs[SLOPES] = {"work": "scalar", "grad": True}
    for width in (19, 64) if quick else (19, 64, 233):
        jobs[f"{COMPILE}, width {width}"] = {"work": "compiling", "width": width}
    return jobs


def wide(width, samples):
    return f"width {width}, {samples:,} samples"


def multiplies(width, samples):
    """How many multiplications the two passes of MLP(2, [width, width, 1]) have."""
    weights = width**2 + 3 * width
    return samples * (2 * weights + width**2 + width)  # not back to the inputs


def doing(workers, label, job):
    """The engines that have this job, after a look at whether they come to the same numbers."""
    answers = [(worker, worker.ask("check", job)["numbers"]) for worker in workers if worker.does(label)]
    compared = [(worker, numbers) for worker, numbers in answers if numbers]
    for worker, numbers in compared[1:]:
        first, expected = compared[0]
        # The same operations in other orders: rounding may differ, relative to the largest of what was summed up.
        scale = max(map(abs, expected))
        if len(numbers) != len(expected) or not all(isclose(x, y, rel_tol=1e-9, abs_tol=1e-12 * scale)
                                                    for x, y in zip(numbers, expected)):
            sys.exit(f"{worker.name} and {first.name} compute different things in {label!r}")
    return [worker for worker, numbers in answers if numbers is not None]


def measure(workers, jobs, rounds):
    """Microseconds of every round, and how many cores were busy: two of {label: {engine: [...]}}."""
    who = {label: doing(workers, label, job) for label, job in jobs.items()}
    taken = {label: {worker.name: [] for worker in who[label]} for label in jobs}
    cores = {label: {worker.name: [] for worker in who[label]} for label in jobs}
    stats = {}
    for turn in range(rounds + 1):  # the first round warms up
        for label, job in jobs.items():
            for worker in who[label]:
                answer = worker.ask("time", job)
                if turn:
                    taken[label][worker.name].append(answer["seconds"] * 1e6)
                    cores[label][worker.name].append(answer["cores"])
                if label.startswith(COMPILE) and worker.name == OURS:
                    stats[label] = worker.ask("stats")["stats"]
    return taken, cores, stats


def from_start_to_end(names, python, rounds):
    """Microseconds of fresh processes that train the demo."""
    peers = {NUMPY: "NumPy", JAX: "Jax", TORCH: "Torch"}
    commands = {name: [str(python), "-c", f"import replay_peers as peers; peers.demo(peers.{kind}())"]
                for name, kind in peers.items() if name in names}
    if OURS in names:
        commands = {OURS: [sys.executable, "-c", DEMO], **commands}
    taken = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=HERE)
            if turn:
                taken[name].append((time.perf_counter() - start) * 1e6)
    return taken


def summary(taken):
    return {"best": min(taken), "median": statistics.median(taken)}


def run(rounds, quick, only, without, before):
    python = environment()
    how = engines(python, without, before)
    jobs = {label: job for label, job in work(quick).items() if re.search(only, label)}
    workers = [Worker(*arguments) for arguments in how.values()]
    about = {worker.name: worker.ask("about") for worker in workers}
    taken, cores, stats = measure(workers, jobs, rounds)
    for worker in workers:
        worker.close()
    if re.search(only, WHOLE):
        taken[WHOLE] = from_start_to_end(how, python, min(rounds, 5))
    microseconds = {label: {name: summary(row[name]) for name in row} for label, row in taken.items()}
    return {
        "date": datetime.date.today().isoformat(), "rounds": rounds, "quick": quick, "cpu": cpu(),
        "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(), "engines": about,
        "microseconds": microseconds,
        "busy cores": {label: {name: statistics.median(row[name]) for name in row} for label, row in cores.items()},
        "multiplies": {wide(width, samples): multiplies(width, samples) for samples in (100, 10_000)
                       for width in WIDTHS if wide(width, samples) in jobs},
        "compilation": stats, "goals": judged(microseconds, stats),
    }


def judged(microseconds, stats):
    """The goals, each with what was measured. Whoever has one thread is compared with ours on one."""
    rows = []

    def at_most(limit, label, ours, other=None, scale=1.0):
        row = microseconds.get(label, {})
        if ours in row and (other is None or other in row):
            found = {which: row[ours][which] / (row[other][which] if other else scale) for which in row[ours]}
            add(f"{label}: {ours}" + (f" to {other}" if other else f", {'s' if scale == 1e6 else 'µs'}"), found, limit)

    def add(what, found, limit):
        rows.append({"what": what, **found, "limit": limit, "met": {which: found[which] <= limit for which in found}})

    def spread(what, costs):
        if len(costs) > 1:
            add(what, {which: costs[-1][which] / costs[0][which] for which in costs[0]}, FLAT)

    at_most(1.0, TRAINING, ONE, HAND)
    for ours, theirs in ((OURS, JAX), (ONE, JAX_ONE)):
        at_most(1.0, TRAINING, ours, theirs)
        at_most(1 / 3, CALL, ours, theirs)
        at_most(1.0, LARGE, ours, theirs)
    at_most(1 / 50_000, TRAINING, OURS, ORIGINAL)
    at_most(1.3, CALL, ONE, HAND)
    at_most(1.1, LARGE, ONE, HAND)
    for samples in (100, 10_000):
        at_most(1.1, wide(64, samples), ONE, HAND)
        costs = [{which: taken / multiplies(width, samples) for which, taken in row[ONE].items()} for width in WIDTHS
                 if ONE in (row := microseconds.get(wide(width, samples), {}))]
        spread(f"a multiply, {samples:,} samples: dearest width to cheapest", sorted(costs, key=lambda c: c["best"]))
    at_most(0.7, TANH[TRAINING], ONE, HAND)
    at_most(0.7, TANH[CALL], ONE, HAND)
    at_most(0.7, TANH[LARGE], ONE, HAND)
    at_most(1.5, FORMULA, ONE, NUMBA)
    at_most(1 / 10, FORMULA, ONE, NUMPY)
    at_most(0.5, SCALAR, OURS)
    at_most(0.7, SLOPES, OURS)
    at_most(10_000, f"{COMPILE}, width 19", OURS)
    spread("compile, a program node: largest to smallest",
           [{which: taken / stats[label]["program nodes"] for which, taken in microseconds[label][OURS].items()}
            for label in stats])
    at_most(0.2, WHOLE, OURS, scale=1e6)
    return rows


def figure(x):
    """A number with three digits or so."""
    digits = 0 if x >= 100 else 1 if x >= 10 else 2 if x >= 0.1 else 6 if x < 0.001 else 4
    return f"{x:,.{digits}f}"


def pair(figures, scale=1.0):
    return f"{figure(figures['best'] * scale)} / {figure(figures['median'] * scale)}"


def show(report):
    print(f"Python {report['python']}, {report['cpu']}, {report['cores']} cores, {report['date']}; "
          f"best / median of {report['rounds']} rounds\n")
    table("engine", ["version", "threads"], [(name, [str(about["version"]), str(about["threads"])])
                                             for name, about in report["engines"].items()])
    rows, ratios = report["microseconds"], report["multiplies"]
    groups = [
        ("microseconds, ReLU", [TRAINING, CALL, LARGE], {}),
        ("microseconds, tanh", list(TANH.values()), {}),
        *((f"picoseconds a multiply, {samples:,} samples", [wide(width, samples) for width in WIDTHS],
           {label: 1e6 / count for label, count in ratios.items()}) for samples in (100, 10_000)),
        ("microseconds", [FORMULA, SCALAR, SLOPES], {}),
        ("milliseconds", [*(label for label in rows if label.startswith(COMPILE)), WHOLE], dict.fromkeys(rows, 1e-3)),
    ]
    for title, labels, scale in groups:
        labels = [label for label in labels if label in rows]
        names = [name for name in report["engines"] if any(name in rows[label] for label in labels)]
        if labels:
            table(title, labels,
                  [(name, [pair(rows[label][name], scale.get(label, 1.0)) if name in rows[label] else ""
                           for label in labels]) for name in names])
    busy = report["busy cores"].get(LARGE, {})
    if busy:
        print(f"cores busy at {LARGE}: " + ", ".join(f"{name} {cores:.1f}" for name, cores in busy.items()) + "\n")
    for label, stats in report["compilation"].items():
        print(f"{label}: {stats['program nodes']:,} program nodes; by its own clock {stats['seconds'] * 1e3:,.1f} ms")
    for about in report["engines"].values():
        if "nodes of the formula" in about:
            print(f"the formula has {about['nodes of the formula']} nodes\n")
            break
    if report["goals"]:
        table("goal", ["found", "at most", ""],
              [(goal["what"], [pair(goal), figure(goal["limit"]), verdict(goal["met"])]) for goal in report["goals"]])
    print("""Training is a run of 100 full-batch steps (loss, all gradients, gradient descent) of MLP(2, [16, 16, 1]) on
100 samples: JAX's under lax.scan, C's and ours in a loop of their own. A call is loss and all gradients at 100 samples;
the original's has a step of gradient descent in it. "C, limit" is built with -march=native -ffast-math; both are called
through ctypes. The formula is that of replay_peers.py with its gradient at every point, into arrays that are there
already (JAX makes its own). Compilation ends with the first answer of ours, but before it with C and JAX.""")


def verdict(met):
    return "" if all(met.values()) else "MISSED" if not met["best"] else "MISSED by the median"


def main():
    parser = argparse.ArgumentParser(description="Time compiled replay next to others, and to its goals.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there, too")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how often to ask each engine (default: 7)")
    parser.add_argument("--quick", action="store_true", help="fewer widths, fewer points: to see that it runs")
    parser.add_argument("--only", default="", metavar="PATTERN", help="measure only what this regular expression finds")
    parser.add_argument("--without", action="append", default=[], metavar="ENGINE", help="leave out; may be repeated")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout to measure along with this one")
    arguments = parser.parse_args()
    report = run(max(arguments.rounds, 1), arguments.quick, arguments.only, arguments.without, arguments.before)
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
