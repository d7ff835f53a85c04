"""How fast the grouped lowering is: a scalar loss as array code on JAX, next to the same network written by hand.

    pip install "micrograd-lab[jax]"
    python benchmarks/grouped.py [--json FILE] [--rounds N] [--quick]

Both run in one process, in turn, in float64 (on a GPU in float32, too), and must come to the same numbers before
anything is timed. Then how long it takes from the function to the first result; and what a step costs on one and on two
devices that share this machine's processors, with what the devices say to each other: the figures from which
docs/many-devices.md predicts larger ones. Prints tables of the best and the median round, and each goal beside what
was measured.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from engine import cpu, table
from workloads import moons

WIDTHS, ROWS = [16, 64, 256], [100, 10_000]
TURN = 0.1       # seconds that a contender has at least when it is its turn
RATIO, SECONDS, PLANNED = 1.1, 1.5, 5.0  # the goals: of JAX by hand; to compile; to trace and plan 300,000 nodes
ON_ONE = [(16, 100), (16, 100_000), (64, 100), (64, 10_000), (64, 100_000), (256, 100), (256, 10_000)]  # width, rows
ON_SEVERAL = [(64, 10_000), (64, 100_000)]
WORDS = [1_000, 10_000, 100_000, 1_000_000]  # of a reduction


def data(rows):
    import numpy as np
    points, targets = moons(rows)
    return np.array(points), np.array(targets, dtype=float)


def scalar_loss(width):
    import micrograd
    net = micrograd.MLP(2, [width, width, 1], init="he", rng=1)

    def loss(x, y):
        return (1 - y * net(x)).relu() + 1e-4 * sum(p * p for p in net.parameters())

    return net, loss


def by_hand(net, dtype):
    """The same in JAX: loss and gradient as a function of (weights and biases, table)."""
    import jax
    import jax.numpy as jnp

    def loss(pairs, batch):
        x, y = batch[:, :2], batch[:, 2]
        *hidden, (w, b) = pairs
        for v, c in hidden:
            x = jax.nn.relu(x @ v.T + c)
        margin = 1 - y * (x @ w.T + b)[:, 0]
        penalty = sum((v * v).sum() + (c * c).sum() for v, c in pairs)
        return jax.nn.relu(margin).mean() + 1e-4 * penalty

    pairs = [(jnp.array([[w.data for w in neuron.w] for neuron in layer.neurons], dtype),
              jnp.array([neuron.b.data for neuron in layer.neurons], dtype)) for layer in net.layers]
    return jax.jit(jax.value_and_grad(loss)), pairs


def timed(contenders, rounds):
    """The seconds of each round for each contender, who take turns."""
    loops = {}
    for name, run in contenders.items():
        run()
        start = time.perf_counter()
        run()
        loops[name] = max(1, round(TURN / (time.perf_counter() - start)))
    found = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            for _ in range(loops[name]):
                run()
            found[name].append((time.perf_counter() - start) / loops[name])
    return found


def against_hand(rounds, widths, dtype):
    """Steps (loss and all gradients) of both, for each width and number of rows, and how long each took to start."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import micrograd
    steps, starts = [], []
    for width in widths:
        net, loss = scalar_loss(width)
        start = time.perf_counter()
        step = micrograd.compile(loss, inputs=(2, None), backend="jax", dtype=dtype)
        step._executors.plan("train")
        planned = time.perf_counter() - start
        ours = jax.jit(step.jax())
        hand, pairs = by_hand(net, dtype)
        params = jnp.array([p.data for p in step.params], dtype)
        for rows in ROWS:
            batch = jnp.array(np.column_stack(data(rows)), dtype)
            start = time.perf_counter()
            value, slopes = jax.block_until_ready(ours(params, batch))
            first = time.perf_counter() - start
            start = time.perf_counter()
            expected, pieces = jax.block_until_ready(hand(pairs, batch))
            first_by_hand = time.perf_counter() - start
            flat = [np.column_stack([w, b]).ravel() for w, b in pieces]
            close = 1e-4 if dtype == "float32" else 1e-12  # sums are added in another order
            np.testing.assert_allclose(value, expected, rtol=close)
            np.testing.assert_allclose(slopes, np.concatenate(flat), atol=close * max(np.abs(x).max() for x in flat))
            if rows == ROWS[-1]:
                starts.append({"width": width, "nodes": step.stats["program nodes"], "trace and plan": planned,
                               "array operations": len(step._executors.plan("train").steps), "first call": first,
                               "first call by hand": first_by_hand})
            found = timed({"ours": lambda: jax.block_until_ready(ours(params, batch)),  # noqa: B023
                           "by hand": lambda: jax.block_until_ready(hand(pairs, batch))}, rounds)  # noqa: B023
            steps.append({"width": width, "rows": rows, "dtype": dtype, **found})
    return steps, starts


def worker(question, count):
    """In a process with so many virtual devices; the answer is a line of JSON."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import micrograd
    found = {}
    if question != "sums":
        for width, rows in json.loads(question):
            _, loss = scalar_loss(width)
            step = micrograd.compile(loss, inputs=(2, None), backend="jax", devices=count, verify=0)
            x, y = data(rows)
            machine = step._executors.executor("train")
            placed = machine.shared(np.column_stack([x, y]))
            with machine.precision():
                run, p, n = machine.function("uniform", False), machine.replicated(machine.numbers(step.params)), \
                    machine.replicated(rows)
                found[f"{width} {rows}"] = timed({"": lambda: jax.block_until_ready(run(p, *placed, n))}, 5)[""]  # noqa: B023
    else:
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:count]), ("rows",))
        spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
        with jax.enable_x64(True):
            for words in WORDS:
                part = jax.device_put(jnp.ones((count, words)), spread)
                add = jax.jit(jax.shard_map(lambda x: jax.lax.psum(x, "rows"), mesh=mesh,
                                            in_specs=spread.spec, out_specs=jax.sharding.PartitionSpec()))
                found[words] = timed({"": lambda: jax.block_until_ready(add(part))}, 5)[""]  # noqa: B023
    print(json.dumps(found))


def asked(question, count, one_core=False):
    """What a worker says. one_core: its threads share one processor."""
    command = [sys.executable, __file__, "--worker", question, str(count), *["--one-core"] * one_core]
    flags = f"--xla_force_host_platform_device_count={count}"
    done = subprocess.run(command, check=True, capture_output=True, text=True,
                          env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"})
    return json.loads(done.stdout.splitlines()[-1])


def micro(numbers):
    return f"{1e6 * min(numbers):,.0f} / {1e6 * statistics.median(numbers):,.0f}"


def share(one, other):
    return f"{min(one) / min(other):.2f} / {statistics.median(one) / statistics.median(other):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="width 16 only, two rounds")
    parser.add_argument("--worker", nargs=2, metavar=("QUESTION", "DEVICES"), help=argparse.SUPPRESS)
    parser.add_argument("--one-core", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_core:
        os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[0]])
    if options.worker:
        worker(options.worker[0], int(options.worker[1]))
        return
    import jax
    jax.config.update("jax_enable_x64", True)
    widths, rounds = ([16], 2) if options.quick else (WIDTHS, options.rounds)
    device = jax.devices()[0]
    print(f"JAX {jax.__version__} on {device.device_kind} ({device.platform}); {cpu()}, {os.cpu_count()} processors; "
          f"best / median of {rounds} rounds\n")
    steps, starts = against_hand(rounds, widths, "float64")
    if device.platform != "cpu":
        steps += against_hand(rounds, widths, "float32")[0]
    rows = [(f"{s['dtype']}, width {s['width']}, {s['rows']:,} rows",
             [micro(s["ours"]), micro(s["by hand"]), share(s["ours"], s["by hand"])]) for s in steps]
    table("loss and gradient", ["ours, µs", "JAX by hand, µs", "ours of it"], rows)
    rows = [(f"width {s['width']}",
             [f"{s['nodes']:,}", str(s["array operations"]), f"{s['trace and plan']:.2f}", f"{s['first call']:.2f}",
              f"{s['first call by hand']:.2f}"]) for s in starts]
    table("to start", ["nodes", "array operations", "trace and plan, s", "first call, s", "by hand, s"], rows)
    figures = {"jax": jax.__version__, "cpu": cpu(), "device": device.device_kind, "steps": steps, "starts": starts}
    if hasattr(os, "sched_setaffinity") and not options.quick:
        machines = {"1 device, 1 processor": asked(json.dumps(ON_ONE), 1, one_core=True),
                    "1 device": asked(json.dumps(ON_SEVERAL), 1), "2 devices": asked(json.dumps(ON_SEVERAL), 2)}
        sums = {count: asked("sums", count) for count in (2, 8)}
        rows = [(f"width {width}, {n:,} rows", [micro(found[key]) if (key := f"{width} {n}") in found else ""
                                                for found in machines.values()]) for width, n in ON_ONE]
        table("a step, µs", [*machines], rows)
        rows = [(f"{n:,} numbers, {8 * n:,} bytes", [micro(found[str(n)]) for found in sums.values()]) for n in WORDS]
        table("one sum over all devices, µs", [*[f"{count} devices" for count in sums]], rows)
        figures |= {"devices": machines, "sums": sums}
    goals = [(f"width {s['width']}, {s['rows']:,} rows: at most {RATIO} of JAX by hand",
              [share(s["ours"], s["by hand"])]) for s in steps if s["rows"] == ROWS[-1]]
    goals += [(f"width {s['width']}: first call in at most {SECONDS} s", [f"{s['first call']:.2f}"]) for s in starts]
    last = starts[-1]
    goals += [(f"trace and plan {last['nodes']:,} nodes in at most {PLANNED:.0f} s", [f"{last['trace and plan']:.2f}"])]
    table("goal", ["found"], goals)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
