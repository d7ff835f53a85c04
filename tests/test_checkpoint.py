"""A run in a file: what comes back is what was written, bit for bit; of another run or a damaged file nothing does."""

import json
import math
import os
import random
import struct
import subprocess
import sys
import time
from dataclasses import fields, replace

import numpy as np
import pytest

pytest.importorskip("safetensors.numpy", reason='safetensors is not installed: pip install "micrograd-lab[safetensors]"')

from safetensors import safe_open
from safetensors.numpy import save_file

from micrograd import Adam, Value
from micrograd.training.checkpoint import VERSION, Progress, read, write

RUN = {"function": "loss", "labels": ["w1", "w2", "w3"], "rows": 4, "batch_size": None, "shuffle": True, "seed": 7,
       "reduce": "mean", "optimizer": {"optimizer": "Adam", "lr": 0.1, "betas": [0.9, 0.999]}}
ODD = [math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1 / 3]
NAN_WITH_A_NOTE = struct.unpack("<d", bytes([1, 2, 3, 0, 0, 0, 0xF8, 0xFF]))[0]


def generator(seed):
    rng = random.Random(seed)
    rng.gauss(0.0, 1.0)  # its twin is kept, as the last number of the state
    return rng


FULL = Progress(parameters=[1.0, -0.0, 1 / 3], gradients=[math.nan, math.inf, -2.5e-300],
                memory={"mean": [0.1, 0.2, 0.3], "square": [1e-320, 2.0, math.inf]}, steps=2**40, epochs=3, batches=12,
                losses=[*ODD, NAN_WITH_A_NOTE], order=[2, 0, 3, 1], random=generator(7).getstate())
EMPTY = Progress(parameters=[], gradients=[], memory={}, steps=0, epochs=0, batches=0, losses=[], order=[], random=None)


def bits(progress):
    """All of it, as text in which equal means equal bits."""
    def exact(x):
        if isinstance(x, float):
            return struct.pack("<d", x).hex()
        if isinstance(x, dict):
            return [[name, exact(y)] for name, y in x.items()]
        return [type(x).__name__, *map(exact, x)] if isinstance(x, (list, tuple)) else repr(x)
    return json.dumps([[field.name, exact(getattr(progress, field.name))] for field in fields(progress)])


@pytest.mark.parametrize("progress", [FULL, EMPTY, replace(FULL, memory={}, order=[], random=None)],
                         ids=["full", "empty", "without memory"])
def test_what_was_written_comes_back_bit_for_bit(progress, tmp_path):
    path = tmp_path / "run.safetensors"
    write(path, progress, RUN)
    assert bits(read(path, RUN)) == bits(progress)
    assert bits(read(str(path), dict(reversed(RUN.items())))) == bits(progress)  # the order of the facts is none
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.safetensors"]


def test_the_random_numbers_go_on(tmp_path):
    rng = generator(3)
    write(tmp_path / "run", replace(FULL, random=rng.getstate()), RUN)
    other = random.Random()
    other.setstate(read(tmp_path / "run", RUN).random)
    assert [other.gauss(0, 1), *other.sample(range(1000), 50)] == [rng.gauss(0, 1), *rng.sample(range(1000), 50)]


def test_an_optimizer_goes_on(tmp_path):
    def train(optimizer, steps):
        for step in range(steps):
            for i, p in enumerate(optimizer.params):
                p.grad = math.sin(p.data + i + step)
            optimizer.step()
        return [p.data for p in optimizer.params]

    first = Adam([Value(1.0), Value(-2.0)], lr=0.1)
    numbers = train(first, 5)
    write(tmp_path / "run", replace(EMPTY, parameters=numbers, memory=first.state_dict(), steps=first.steps),
          {"optimizer": first.settings()})
    found = read(tmp_path / "run", {"optimizer": Adam(lr=0.1).settings()})
    second = Adam([Value(x) for x in found.parameters], lr=0.1)
    second.load_state_dict(found.memory, found.steps)
    assert train(second, 5) == train(first, 5)
    with pytest.raises(ValueError, match=r"another run: optimizer\.lr is 0\.1 in the file, and 0\.2 now"):
        read(tmp_path / "run", {"optimizer": Adam(lr=0.2).settings()})


def test_any_reader_of_safetensors_shows_the_numbers(tmp_path):
    write(tmp_path / "run", FULL, RUN)
    with safe_open(tmp_path / "run", framework="numpy") as file:
        assert sorted(file.keys()) == ["gradients", "losses", "memory.mean", "memory.square", "order", "parameters"]
        assert file.get_tensor("memory.mean").tolist() == [0.1, 0.2, 0.3]
        assert file.get_tensor("order").dtype == np.int64 and file.get_tensor("losses").dtype == np.float64
        assert json.loads(file.metadata()["run"]) == RUN


def test_no_file_is_no_progress(tmp_path):
    assert read(tmp_path / "run", RUN) is None


@pytest.mark.parametrize("change, error", [
    ({"seed": 8}, "seed is 7 in the file, and 8 now"),
    ({"seed": None, "batch_size": 32}, "batch_size is None in the file, and 32 now"),  # the first of two
    ({"labels": ["w1", "w2", "b"]}, r"labels\.2 is 'w3' in the file, and 'b' now"),
    ({"labels": ["w1"]}, r"labels is 3 items, \['w1', 'w2', 'w3'\] in the file, and 1 item, \['w1'\] now"),
    ({"optimizer": {"optimizer": "Adam", "lr": 0.1, "betas": [0.9, 0.99]}}, r"optimizer\.betas\.1 is 0\.999 in the file, and 0\.99 now"),
    ({"optimizer": None}, r"optimizer is \{'optimizer'.*\} in the file, and None now"),
    ({"penalty": 0.5}, "penalty is absent in the file, and 0.5 now"),
    ({"function": "x" * 100}, r"function is 'loss' in the file, and 'x{56}\.\.\. now"),
])
def test_the_file_of_another_run(change, error, tmp_path):
    write(tmp_path / "run", FULL, RUN)
    with pytest.raises(ValueError, match=f"run holds another run: {error}; delete the file to start afresh, or name another$"):
        read(tmp_path / "run", {**RUN, **change})
    with pytest.raises(ValueError, match="seed is 7 in the file, and absent now"):
        read(tmp_path / "run", {name: fact for name, fact in RUN.items() if name != "seed"})


def test_a_file_of_something_else(tmp_path):
    for notes in (None, {"format": "pt"}):
        save_file({"weight": np.zeros(3)}, tmp_path / "model", metadata=notes)
        with pytest.raises(ValueError, match=r"model is a safetensors file of something else.*name another"):
            read(tmp_path / "model", RUN)
    for content in (b"", b"{}", b"a text " * 100):
        (tmp_path / "notes").write_bytes(content)
        with pytest.raises(ValueError, match=r"notes is damaged, or not a safetensors file \(.*\): delete the file"):
            read(tmp_path / "notes", RUN)


def test_a_later_version(tmp_path):
    save_file({}, tmp_path / "run", metadata={"format": "micrograd training run", "version": str(VERSION + 1)})
    with pytest.raises(ValueError, match=f"has version {VERSION + 1}, this program reads {VERSION}: go on with the program"):
        read(tmp_path / "run", RUN)


def test_a_damaged_file_is_not_read(tmp_path):
    path = tmp_path / "run"
    write(path, replace(FULL, random=None), RUN)
    whole = path.read_bytes()
    refused = 0
    for i in range(len(whole)):
        for damaged in (whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1:], whole[:i]):
            path.write_bytes(damaged)
            try:
                assert bits(read(path, RUN)) == bits(replace(FULL, random=None))  # a space more or less in its header
            except ValueError as error:
                assert "run" in str(error)
                refused += 1
    assert refused > 1.9 * len(whole)
    path.write_bytes(whole.replace(b'"F64"', b'"U64"'))  # the same bytes, as whole numbers
    with pytest.raises(ValueError, match=r"damaged \(these are not the numbers that were written\): delete the file"):
        read(path, RUN)


@pytest.mark.parametrize("missing", ["safetensors.numpy", "numpy"])
def test_without_the_packages(missing, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    for call in (lambda: read(tmp_path / "run", RUN), lambda: write(tmp_path / "run", FULL, RUN)):
        with pytest.raises(ImportError, match=r'pip install "micrograd-lab\[safetensors\]"'):
            call()


def test_a_folder_that_does_not_exist_is_said_before_the_training(tmp_path):
    for call in (lambda path: read(path, RUN), lambda path: write(path, FULL, RUN)):
        with pytest.raises(FileNotFoundError, match=r"there is no folder '.*runs' to keep the run in: make it first"):
            call(tmp_path / "runs" / "1")
        with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
            call(tmp_path)


def test_a_name_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("run", FULL, RUN)
    assert bits(read("run", RUN)) == bits(FULL)


# Whole or not there

@pytest.mark.parametrize("module, name", [(os, "fsync"), (os, "replace"), (os, "open")])
@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()], ids=["full", "interrupted"])
def test_a_write_that_fails_leaves_the_old_file(module, name, error, tmp_path, monkeypatch):
    path = tmp_path / "run"
    write(path, FULL, RUN)

    def fails(*args, **more):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fails)
        with pytest.raises(type(error)):
            write(path, EMPTY, RUN)
    assert bits(read(path, RUN)) == bits(FULL)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_facts_that_are_not_json_leave_the_old_file(tmp_path):
    write(tmp_path / "run", FULL, RUN)
    for fact, error in ((math.nan, ValueError), (b"7", TypeError)):
        with pytest.raises(error):
            write(tmp_path / "run", EMPTY, {"seed": fact})
    assert bits(read(tmp_path / "run", RUN)) == bits(FULL)


WRITER = """
import itertools, sys
from micrograd.training.checkpoint import Progress, write
for k in itertools.count(1):
    many = [float(k)] * 20_000
    write(sys.argv[1], Progress(many, many, {"mean": many}, k, k, 0, many, [], None), {"run": 1})
"""


def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path):
    paths = [tmp_path / f"run{i}" for i in range(3)]
    children = [subprocess.Popen([sys.executable, "-c", WRITER, path]) for path in paths]
    try:
        for i, (child, path) in enumerate(zip(children, paths)):
            end = time.monotonic() + 60  # far more than it takes to start
            while not path.exists() and child.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(0.017 * i)
            child.kill()
            assert child.wait() != 0
            found = read(path, {"run": 1})
            many = [float(found.epochs)] * 20_000
            assert found == Progress(many, many, {"mean": many}, found.epochs, found.epochs, 0, many, [], None)
            for left in tmp_path.glob(f"{path.name}.*.part"):
                os.utime(left, (0, 0))  # of long ago
            write(path, FULL, RUN)
            assert bits(read(path, RUN)) == bits(FULL)
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name for path in paths]


def test_a_file_needs_a_name():
    with pytest.raises(ValueError, match=r"name one, such as 'run\.safetensors'"):
        read("", RUN)
