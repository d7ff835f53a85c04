"""One of the processes of test_processes.py: python worker.py ADDRESS PROCESSES NUMBER QUESTION [ARGUMENT ...]

It asks the question, together with the others, and writes the answer to QUESTION-NUMBER.json.
"""

import inspect
import json
import os
import random
import signal
import sys
from pathlib import Path

import micrograd as mg

EPOCHS, BATCH = 6, 20
BATCHES = [16, 16, 1, 16, 7, 16, 16, 16, 1, 16, 16, 7]  # rows of a stream's; each number of rows is compiled
STEPS = {"table": EPOCHS * 6, "stream": len(BATCHES)}  # 103 rows are 5 batches of 20 and one of 3
TIMES = {"initialization_timeout": 120, "heartbeat_timeout_seconds": 10, "shutdown_timeout_seconds": 5}


def data(rows, seed=0):
    rng = random.Random(seed)
    table = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(rows)]
    return table, [x * y - 0.5 for x, y in table]


def network(seed=1):
    return mg.MLP(2, [5, 1], activation="tanh", rng=seed)


def compiled(net, devices, **options):
    return mg.compile(lambda x, y: (net(x) - y) ** 2, inputs=(2, None), backend="jax", devices=devices, **options)


class Plain(mg.SGD):
    """Goes by no rule, so its steps are taken in Python."""

    def update(self, before, gradients, lr):
        return [x - lr * g for x, g in zip(before, gradients)]


def questions(devices):
    """What there is to ask, as lists of numbers by name."""
    X, Y = data(103)
    net = network()
    step = compiled(net, devices)
    found = {f"{rows} rows": step.value_and_grad(X[:rows], Y[:rows]) for rows in (103, 1, 2)}
    values, (by_x, by_y) = step.map(X, Y, grad=True)
    found["map"] = [list(column) for column in (values, *by_x, by_y)]
    two = mg.compile(lambda x: (net(x), net(x).exp() * x[0]), inputs=[2], backend="jax", devices=devices)
    found["two outputs"] = [two.value(X), *map(list, two.map(X))]
    for optimizer in (mg.SGD(lr=0.05), Plain(lr=0.05)):
        net.load_state_dict(network().state_dict())
        losses = step.fit(X, Y, optimizer=optimizer, epochs=3, batch_size=BATCH, seed=2)
        found[f"fit by {type(optimizer).__name__}"] = [losses, list(net.state_dict().values())]
    for where in STEPS:
        found[f"training on a {where}"] = trained(devices, where)
    return found


def trained(devices, where, checkpoint=None, dies_at=None):
    """Losses, parameters, and how many steps it took here; it may die on the way."""
    steps = []

    def rate(step):
        if step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(step)
        return 0.02 / (1 + 0.1 * step)

    net = network()
    step, optimizer = compiled(net, devices), mg.Adam(lr=rate)
    if where == "table":
        losses = step.fit(*data(103), optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, seed=2, checkpoint=checkpoint)
    else:
        stream = (data(rows, seed) for seed, rows in enumerate(BATCHES))
        losses = step.fit(batches=stream, optimizer=optimizer, every=3, checkpoint=checkpoint)
    return losses, list(net.state_dict().values()), len(steps)


def rules(number):
    """Who writes a checkpoint; and what processes must not do together, and are told."""
    import jax
    X, Y = data(103)
    own = f"alone-{number}.safetensors"
    compiled(network(), None).fit(X, Y, epochs=1 + number, checkpoint=own)  # on a device of its own, by itself
    compiled(network(), "all").fit(X, Y, epochs=1, checkpoint=f"together-{number}.safetensors")
    return [complaint(mistake) for mistake in (
        lambda: compiled(network(), jax.local_device_count()),
        lambda: compiled(network(number), "all")(X, Y),
        lambda: compiled(network(number), "all", verify=0).fit(X, Y, epochs=1),
        lambda: compiled(network(), "all")(X[50 * number:], Y[50 * number:]),
        lambda: compiled(network(), "all", verify=0).fit(X[number:], Y[number:], epochs=1),
        lambda: compiled(network(), "all").fit(X, Y, epochs=1, batch_size=BATCH),
        lambda: compiled(network(), "all").fit(X, Y, epochs=3, checkpoint=own),
        lambda: compiled(network(), "all").fit(X, Y, epochs=1 + number),
    )]


def complaint(mistake):
    try:
        mistake()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(address, processes, number, question, *arguments):
    import resource

    import jax
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # JAX ends a process whose fellow has died by abort()
    number = int(number)
    known = inspect.signature(jax.distributed.initialize).parameters
    jax.distributed.initialize(address, int(processes), number, coordinator_bind_address=address,
                               **{name: time for name, time in TIMES.items() if name in known})
    if question == "trained":  # TABLE-OR-STREAM [VICTIM STEP]
        where, *victim = arguments
        dies_at = int(victim[1]) if victim and int(victim[0]) == number else None
        answer = trained("all", where, "run.safetensors", dies_at)
    else:
        answer = questions("all") if question == "questions" else rules(number)
    Path(f"{question}-{number}.json").write_text(json.dumps(answer), encoding="utf-8")
    jax.distributed.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
