"""Two real processes, which JAX joins over the loopback, compute and train as one does; and go on after one was killed."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import worker

import micrograd as mg

jax = pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')
pytest.importorskip("safetensors", reason='safetensors is not installed: pip install "micrograd-lab[safetensors]"')
if os.name != "posix":
    pytest.skip("JAX joins processes on POSIX systems only", allow_module_level=True)

WORKER = Path(worker.__file__)
PAGE = (Path(__file__).parents[1] / "docs" / "many-devices.md").read_text(encoding="utf-8")
LIMIT = 150  # seconds for processes to end, of which they need a few on an idle machine
KILLED = -9


def together(script, folder, *arguments, devices=1, count=2):
    """Run a script in so many processes; returns their exit codes. None outlives this."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # Nothing of this process's JAX, of a cluster, nor of a proxy between us and ourselves.
    environment = {key: x for key, x in os.environ.items()
                   if not key.startswith(("JAX_", "XLA_", "SLURM_", "OMPI_")) and not key.lower().endswith("_proxy")}
    environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
                    "PYTHONPATH": str(Path(mg.__file__).parents[1])}
    processes = []
    end = time.monotonic() + LIMIT
    try:
        for number in range(count):
            with open(folder / f"output-{number}", "w", encoding="utf-8") as output:
                processes.append(subprocess.Popen(
                    [sys.executable, str(script), address, str(count), str(number), *map(str, arguments)], cwd=folder,
                    env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT))
        return [process.wait(max(0.0, end - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def said(folder, count=2):
    return "\n".join((folder / f"output-{number}").read_text(encoding="utf-8")[-3000:] for number in range(count))


def answers(folder, question, *arguments, devices=1):
    """What each of two processes answers."""
    assert together(WORKER, folder, question, *arguments, devices=devices) == [0, 0], said(folder)
    return [json.loads((folder / f"{question}-{number}.json").read_text(encoding="utf-8")) for number in range(2)]


def numbers(nested):
    """All numbers in lists of lists."""
    found, rest = [], [nested]
    while rest:
        x = rest.pop()
        if isinstance(x, (list, tuple)):
            rest += x
        else:
            found.append(x)
    return found


def close(found, expected):
    """To 1e-12 of the largest: sums over the rows are added in another order, and training repeats that some 50 times."""
    found, expected = numbers(found), numbers(expected)
    return len(found) == len(expected) and found == pytest.approx(expected, rel=0, abs=1e-12 * max(map(abs, expected)))


@pytest.fixture(scope="module")
def expected():
    """The answers of one process with one device."""
    return worker.questions(None)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The answers of two processes with a device each."""
    return answers(tmp_path_factory.mktemp("undisturbed"), "questions")


@pytest.mark.parametrize("devices", [1, 4])
def test_two_processes_answer_as_one_does(devices, expected, undisturbed, tmp_path):
    first, second = undisturbed if devices == 1 else answers(tmp_path, "questions", devices=devices)
    assert first == second, "to the bit"
    assert list(first) == list(expected)
    for question, found in first.items():
        assert close(found, expected[question]), question


@pytest.mark.parametrize("where, victim, step", [("table", 1, 20), ("stream", 0, 7)])
def test_a_process_is_killed_and_the_run_goes_on(where, victim, step, expected, undisturbed, tmp_path):
    codes = together(WORKER, tmp_path, "trained", where, victim, step)
    assert codes[victim] == KILLED, said(tmp_path)
    assert codes[1 - victim] != 0, "the other one cannot go on, and must say so"
    assert not list(tmp_path.glob("*.json")), "neither came to the end"
    checkpoint = tmp_path / "run.safetensors"
    before = checkpoint.read_bytes()

    first, second = answers(tmp_path, "trained", where)
    assert first == second
    *found, steps = first
    assert 0 < steps < worker.STEPS[where], "the checkpoint had some of them"
    assert found == undisturbed[0][f"training on a {where}"][:2], "to the bit"

    checkpoint.write_bytes(before)  # on fewer devices it goes on, too
    *found, alone = worker.trained(None, where, str(checkpoint))
    assert alone == steps
    assert close(found, expected[f"training on a {where}"][:2])


def test_who_writes_and_what_processes_must_not_do(tmp_path):
    first, second = answers(tmp_path, "rules")
    few, *others = second
    assert first[0] == "", "all of the devices are its own"
    assert re.match("ValueError: devices=1 has none of process 1: every process takes part", few)
    assert first[1:] == others, "all are told"
    for differ, complaint in zip(["the parameters", "the parameters", "the rows", "the number of rows",
                                  "the order of the rows", "the parameters, .*where the run is",
                                  "the arguments of fit"], others, strict=True):
        assert re.match(f"ValueError: the processes differ in {differ}: .* Give seeds to networks", complaint), complaint
    assert sorted(path.name for path in tmp_path.glob("*.safetensors*")) == [
        "alone-0.safetensors", "alone-1.safetensors", "together-0.safetensors"]


def blocks(language):
    """The programs in the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def test_the_script_in_the_page(tmp_path, monkeypatch, capsys):
    script = blocks("python")[0]
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    both.mkdir()
    (both / "train.py").write_text(script, encoding="utf-8")
    assert together("train.py", both) == [0, 0], said(both)
    monkeypatch.chdir(alone)
    monkeypatch.setattr(sys, "argv", ["train.py", "here:1", "1", "0"])
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args: None)  # this process has computed already
    exec(script, {})
    assert capsys.readouterr().out in (both / "output-0").read_text(encoding="utf-8")
    assert [path.name for path in sorted(alone.iterdir())] == ["net.json", "run.safetensors"]
    one, two = (list(mg.MLP.load(folder / "net.json").state_dict().values()) for folder in (alone, both))
    assert close(two, one)


def test_the_stream_in_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, Y = worker.data(1000)
    (tmp_path / "data.csv").write_text("".join(f"{x[0]!r},{x[1]!r},{y!r}\n" for x, y in zip(X, Y)), encoding="utf-8")
    step = worker.compiled(worker.network(), None)
    given = {"mg": mg, "step": step}
    exec(blocks("python")[1], given)
    assert len(given["losses"]) == 1 and step.value(X, Y) < given["losses"][0]


def test_the_predictions_in_the_page(capsys):
    given = {}
    exec(blocks("python")[-1], given)
    for table in capsys.readouterr().out.strip().split("\n\n"):
        assert table in PAGE, f"the page needs this table:\n{table}"
    for width in given["ROW"]:
        numbers = len(mg.MLP(2, [width, width, 1]).parameters()) + 1
        assert f"| {width} | {numbers:,} | {8 * numbers:,} |" in PAGE
