"""The commands, as a user types them."""

import contextlib
import csv
import io
import json
import math
import os
import random
import re
import shlex
import shutil
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import graphviz
import pytest
from click.testing import CliRunner, Result

import micrograd
from micrograd import cli, losses
from micrograd.data.table import CsvPlan, find_target, read_table
from micrograd.formulas.parse import parse_program
from micrograd.nn import MLP
from micrograd.optim import AdamW
from micrograd.page import strict

QUICK = ("--epochs", "3", "--layers", "4")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def micrograd_(*args: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli.main, args, input=given, prog_name="micrograd")


COMMAND = [sys.executable, "-m", "micrograd"]


def command(*args: str, given: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A process of its own."""
    return subprocess.run([*COMMAND, *args], input=given, capture_output=True, timeout=200, check=False,
                          env={**os.environ, **environment})


def flowers(n: int = 60, delimiter: str = ",") -> str:
    """A table with everything: numbers, units, categories, missing values."""
    rng = random.Random(1)
    lines = ["size,weight,colour,kind,price"]
    for _ in range(n):
        size, colour = rng.uniform(1, 9), rng.choice(["red", "green", "blue"])
        kind = "big" if size + 2 * (colour == "red") > 5 else "small"
        lines.append(f"{'' if rng.random() < 0.1 else f'{size:.3f}'},{rng.randint(1, 99)} g,"
                     f"{'?' if rng.random() < 0.1 else colour},{kind},{3 * size + rng.random():.2f}")
    return "\n".join(lines).replace(",", delimiter) + "\n"


def rows_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


# demo

@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """What `micrograd demo` prints, its progress, and the folder that it writes."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    result = micrograd_("demo", "--out", str(out))
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr, out


def test_demo_derives_a_derivative(demonstration: tuple[str, str, Path]) -> None:
    lines = [line.strip() for line in demonstration[0].splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("∂C/∂w²"))
    factors, rules, symbols, numbers, result = (line.split("= ")[1].split(" · ") for line in lines[start:start + 5])
    assert factors == ["∂C/∂a⁴", "∂a⁴/∂z⁴", "∂z⁴/∂a³", "∂a³/∂z³", "∂z³/∂a²", "∂a²/∂z²", "∂z²/∂w²"]
    assert rules == ["(a⁴ − y)", "σ′(z⁴)", "w⁴", "σ′(z³)", "w³", "σ′(z²)", "a¹"]
    assert symbols == ["(a⁴ − y)", "a⁴(1 − a⁴)", "w⁴", "a³(1 − a³)", "w³", "a²(1 − a²)", "a¹"]

    shown = re.findall(r"([Cywbza][²³⁴¹]?) = (−?[\d.]+)", demonstration[0].partition("∂")[0])
    value = {name: float(x.replace("−", "-")) for name, x in shown}
    a = {k: value[f"a{k}"] for k in "¹²³⁴"}
    wanted = [a["⁴"] - value["y"], a["⁴"] * (1 - a["⁴"]), value["w⁴"], a["³"] * (1 - a["³"]), value["w³"],
              a["²"] * (1 - a["²"]), a["¹"]]
    product = 1.0
    for printed, x in zip(numbers, wanted):
        assert float(printed.replace("−", "-")) == pytest.approx(x, rel=0.01)  # of numbers printed with 3 and 4 digits
        product *= x
    assert float(result[0].replace("−", "-")) == pytest.approx(product, rel=0.01)
    assert f"w².grad = {result[0]} after C.backward(): the same." in demonstration[0]
    deltas = dict(line.split(" = ", 1) for line in lines if line.startswith(("δ", "∂C/∂w²  ")))
    assert [*map(str.strip, deltas)] == ["δ⁴", "δ³", "δ²", "∂C/∂w²"]
    assert deltas["δ³"].startswith("∂C/∂z³ = δ⁴ · w⁴ · σ′(z³) = ")
    assert all(line.endswith(f" = {result[0]}") for name, line in deltas.items() if name.startswith("∂"))


def test_demo_learns(demonstration: tuple[str, str, Path]) -> None:
    found = re.search(r"Accuracy on the 36 held-out rows: ([\d.]+)%", demonstration[0])
    assert found is not None
    assert float(found[1]) >= 93.0
    assert demonstration[1] == ""  # no progress bar: this is no terminal


def test_demo_writes(demonstration: tuple[str, str, Path]) -> None:
    printed, _, out = demonstration
    assert {file.name for file in out.iterdir()} == {"model.json", "iris.csv", "neuron.svg", "learning-curve.png",
                                                     "boundary.png", "derivation.html", "stepper.html"}
    assert (out / "derivation.html").read_text(encoding="utf-8").count("<math ") == 4
    assert "a⁴" in (out / "stepper.html").read_text(encoding="utf-8")
    for file in out.iterdir():
        assert file.name in printed
    for picture in out.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    drawing = (out / "neuron.svg").read_text(encoding="utf-8")
    assert "</svg>" in drawing
    found = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', drawing)
    assert found is not None
    assert float(found[1]) < 3 * float(found[2])  # from left to right it would be a ribbon
    assert (out / "iris.csv").read_bytes() == cli.demo.IRIS.read_bytes()


def test_demo_fits_a_terminal(demonstration: tuple[str, str, Path]) -> None:
    printed = demonstration[0].replace(str(demonstration[2]), "micrograd-demo")
    assert max(map(len, printed.splitlines())) <= 80


def test_demo_suggests_what_works(demonstration: tuple[str, str, Path]) -> None:
    out = demonstration[2]
    result = micrograd_("predict", str(out / "model.json"), str(out / "iris.csv"))
    rows = rows_of(result.stdout)
    assert sum(row["species"] == row["predicted species"] for row in rows) >= 0.93 * len(rows)
    assert f'micrograd train {out / "iris.csv"} --target "petal width (cm)"' in demonstration[0]
    assert micrograd_("train", str(out / "iris.csv"), "--target", "petal width (cm)", *QUICK).exit_code == 0
    assert 'micrograd explain "x**2 + 3*x" --at x=2\n' in demonstration[0]
    assert micrograd_("explain", "x**2 + 3*x", "--at", "x=2").stdout.endswith("∂f/∂x = 2x + 3\n      = 7\n")


def test_demo_without_plots_or_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_dot(*args: Any, **options: Any) -> None:
        raise graphviz.ExecutableNotFound(["dot"])

    real = cli.tables.train_on
    monkeypatch.setattr(cli.demo, "train_on", lambda *args, **options: real(*args, **{**options, "epochs": 1}))
    monkeypatch.setattr("micrograd.look.draw.Drawing.pipe", no_dot)
    monkeypatch.setitem(sys.modules, "micrograd.plots", None)
    result = micrograd_("demo")
    assert result.exit_code == 0, result.output
    assert {file.name for file in Path("micrograd-demo").iterdir()} == {"model.json", "iris.csv", "neuron.gv",
                                                                        "derivation.html", "stepper.html"}
    assert 'left out; for it, pip install "micrograd-lab[plot]"' in result.stdout
    assert "neuron.gv" in result.stdout


def test_demo_says_that_it_has_written_when_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device", "neuron.svg")

    real = cli.tables.train_on
    monkeypatch.setattr(cli.demo, "train_on", lambda *args, **options: real(*args, **{**options, "epochs": 1}))
    monkeypatch.setattr(cli.demo, "graph", full)
    result = micrograd_("demo")
    assert result.exit_code == 2
    assert "WRITTEN" not in result.stdout


def test_demo_refuses_a_file_as_folder() -> None:
    Path("taken").write_text("")
    assert micrograd_("demo", "--out", "taken").exit_code == 2


# train and predict

@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_predict_says_what_train_learnt(delimiter: str) -> None:
    Path("data.csv").write_text(flowers(delimiter=delimiter))
    trained = cli.tables.train_on(read_table("data.csv"), "kind", seed=3, layers=[6], activation="tanh", lr=0.02, epochs=4,
                           batch_size=8, patience=2, weight_decay=[0.5], validation=0.3)
    result = micrograd_("train", "data.csv", "--target", "kind", "--layers", "6", "--activation", "tanh", "--lr", "0.02",
                        "--epochs", "4", "--batch-size", "8", "--seed", "3", "--patience", "2", "--weight-decay", "0.5",
                        "--validation", "0.3")
    assert result.exit_code == 0, result.output
    result = micrograd_("predict", "model.json", "data.csv")
    assert result.exit_code == 0, result.output

    table, rows = read_table("data.csv"), rows_of(result.stdout, delimiter)
    assert list(rows[0]) == [*table.header, "predicted kind", "P(big)", "P(small)"]
    X, _ = trained.plan.encode(table, table.rows)
    for row, original, x in zip(rows, table.rows, X, strict=True):
        assert [row[name] for name in table.header] == original.cells
        shares = [share.data for share in losses.softmax(trained.net(x))]
        assert [row["P(big)"], row["P(small)"]] == [f"{share:.4f}" for share in shares]
        assert row["predicted kind"] == ("big" if shares[0] > shares[1] else "small")


def test_classification_is_judged_on_rows_it_has_not_seen() -> None:
    Path("data.csv").write_text(flowers(200))
    result = micrograd_("train", "data.csv", "--target", "kind", "--epochs", "15", "--layers", "8", "--ignore", "price")
    assert "data.csv: 200 rows, 5 columns" in result.stdout
    assert re.search(r"size +\d\.\d+ to \d\.\d+, median \d\.\d+, \d+ missing", result.stdout)
    assert re.search(r"weight +\d+ to \d+ g, median", result.stdout)
    assert re.search(r"colour +blue, green, red, \d+ missing", result.stdout)
    assert re.search(r"kind +the target, 2 classes: big, small", result.stdout)
    found = re.search(r"Accuracy on the (\d+) held-out rows: ([\d.]+)% .* Always 'big': ([\d.]+)%", result.stdout)
    assert found is not None
    assert 48 <= int(found[1]) <= 52
    assert float(found[2]) > float(found[3])
    assert "Model written to model.json" in result.stdout
    assert MLP.load("model.json").meta["table"]["target"]["classes"] == ["big", "small"]


def test_regression_is_judged_against_the_mean() -> None:
    Path("data.csv").write_text(flowers(200))
    result = micrograd_("train", "data.csv", "--target", "price", "--epochs", "20", "--layers", "8", "--out", "m.json")
    found = re.search(r"rows: R² ([\d.]+), RMSE ([\d.]+)\.\nAlways the mean, ([\d.]+): RMSE ([\d.]+)\.\n", result.stdout)
    assert found is not None, result.output
    assert float(found[1]) > 0.5
    assert float(found[2]) < float(found[4])
    result = micrograd_("predict", "m.json", "data.csv", "--out", "predicted.csv")
    assert result.stdout == "200 predictions written to predicted.csv\n"
    rows = rows_of(Path("predicted.csv").read_text(encoding="utf-8"))
    present = [row for row in rows if row["size"]]
    errors = [float(row["predicted price"]) - float(row["price"]) for row in present]
    assert sum(e * e for e in errors) / len(errors) < float(found[4]) ** 2


def test_the_same_seed_gives_the_same_model_to_the_last_digit() -> None:
    Path("data.csv").write_text(flowers())
    for out, seed in (("a.json", "1"), ("b.json", "1"), ("c.json", "2")):
        assert micrograd_("train", "data.csv", "--target", "kind", *QUICK, "--out", out, "--seed", seed).exit_code == 0
    assert Path("a.json").read_text() == Path("b.json").read_text() != Path("c.json").read_text()


def test_slips_in_the_data_are_told() -> None:
    Path("data.csv").write_text(flowers() + "huge,3 g,red,big,7\n")
    result = micrograd_("train", "data.csv", "--target", "kind", *QUICK)
    assert "  treated as missing: size: 1 not a number ('huge' in line 62)\n" in result.stdout


def test_no_row_held_out_and_no_hidden_layer() -> None:
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "kind", "--test", "0", "--layers", "none", "--epochs", "2")
    assert "learns from 48 rows.\nHeld out: 12 rows for validation (--validation), 0 for the test (--test).\n" in result.stdout
    assert "Accuracy on the 60 training rows" in result.stdout


def test_ctrl_c_keeps_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(AdamW):
        def step(self) -> None:
            super().step()
            if self.steps == 5:
                raise KeyboardInterrupt

    monkeypatch.setattr(cli.tables, "AdamW", Impatient)
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "kind", "--epochs", "9", "--layers", "3", "--batch-size", "20")
    assert result.exit_code == 0, result.output
    assert "Interrupted after 2 of 9 epochs: what was learnt is kept." in result.stdout  # 36 rows: 2 steps an epoch
    assert re.search(r"\nTrained sample by sample\.\nWeight decay 1: 2 epochs; the best, epoch ([12]), "
                     r"has validation loss [\d.]+\.\nKept: epoch \1 with weight decay 1, ", result.stdout)  # no other decay was tried
    assert micrograd_("predict", "model.json", "data.csv").exit_code == 0


def test_the_best_epoch_is_kept_and_said() -> None:
    Path("data.csv").write_text(flowers(200))
    train = ("train", "data.csv", "--target", "kind", "--patience", "7", "--seed", "4")
    result = micrograd_(*train, "--out", "a.json")
    found = re.search(r"learns from (\d+) rows\.\nHeld out: (\d+) rows for validation \(--validation\), (\d+) for the test "
                      r"\(--test\)\.\n", result.stdout)
    assert found is not None, result.output
    learnt, stop_by, judge_by = map(int, found.groups())
    assert learnt + stop_by + judge_by == 200 and 28 <= stop_by <= 32 and 48 <= judge_by <= 52
    tried = re.findall(r"\nWeight decay (.+): (\d+) epochs; the best, epoch (\d+), has validation loss ([\d.]+)\.", result.stdout)
    assert [decay for decay, *_ in tried] == ["1", "0.1"]
    assert all(int(epochs) == int(best) + 7 for _, epochs, best, _ in tried)
    lowest = min(float(loss) for *_, loss in tried)
    wanted = next((best, decay) for decay, _, best, loss in tried if float(loss) <= 1.05 * lowest)
    kept = re.search(r"\nKept: epoch (\d+) with weight decay (.+), chosen by validation loss\.\n", result.stdout)
    assert kept is not None and kept.groups() == wanted
    result = micrograd_(*train, "--out", "b.json", "--epochs", kept[1], "--weight-decay", kept[2])
    assert f"\nWeight decay {kept[2]}: {kept[1]} epochs; " in result.stdout
    numbers = [[p.data for p in MLP.load(name).parameters()] for name in ("a.json", "b.json")]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)  # so few epochs may be run sample by sample


@pytest.mark.parametrize("decays", ["0,1e-9", "1e-9,0"])
def test_of_weight_decays_as_good_as_each_other_the_first_is_kept(decays: str) -> None:
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "price", "--weight-decay", decays, *QUICK)
    assert f" with weight decay {decays.split(',')[0]}, chosen by validation loss" in result.stdout.replace("e-09", "e-9")


def test_a_weight_decay_that_is_too_strong_is_not_kept() -> None:
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "price", "--weight-decay", "100,0", "--layers", "8", "--epochs", "60")
    assert " with weight decay 0, chosen by validation loss" in result.stdout, result.output


def test_no_row_to_stop_by() -> None:
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "kind", "--validation", "0", "--epochs", "30", "--patience", "1")
    assert "learns from 45 rows.\nHeld out: 0 rows for validation" in result.stdout
    assert "\nWeight decay 1: 30 epochs.\n" in result.stdout  # and no other, as nothing could choose
    assert "Weight decay 0.1" not in result.stdout and "Kept" not in result.stdout
    Path("few.csv").write_text("x,y\n" + "".join(f"{i / 7},{i / 3}\n" for i in range(10)))
    for share, learnt in (("0.8", 1), ("0.99", 1)):  # one row at least goes to each side
        result = micrograd_("train", "few.csv", "--target", "y", "--test", "0.8", "--validation", share,
                            "--out", "few.json", *QUICK)
        assert f"learns from {learnt} rows.\nHeld out: 1 row for validation (--validation), 8 for the test" in result.stdout


def test_training_that_fails_writes_no_model() -> None:
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "price", "--lr", "1e300", *QUICK)
    assert result.exit_code == 2
    assert "try a smaller learning rate" in result.stderr
    assert not Path("model.json").exists()


def test_training_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spoilt(MLP):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            self.parameters()[0].data = math.inf

    monkeypatch.setattr(cli.tables, "MLP", Spoilt)
    Path("data.csv").write_text(flowers())
    result = micrograd_("train", "data.csv", "--target", "kind", *QUICK)
    assert result.exit_code == 2
    assert re.search(r"after 0 of \d+ epochs, .* is inf before the first step: give the parameters finite", result.stderr)
    assert not Path("model.json").exists()


@pytest.mark.parametrize(("args", "message"), [
    (["nope.csv", "--target", "kind"], "Error: nope.csv: No such file or directory"),
    (["data.csv", "--target", "kin"], r"Error: data.csv has no column 'kin' \(did you mean 'kind'\?\); it has size, "),
    (["data.csv", "--target", "kind", "--ignore", "a"], "Error: data.csv has no column 'a'"),
    (["data.csv", "--target", "kind", "--task", "regression"], "'small' in line 2|'big' in line 2"),
    (["data.csv", "--target", "price", "--task", "classification"], "not numbers, not classes"),
    (["data.csv", "--target", "kind", "--out", "no/such/model.json"], "there is no folder no.such to put model.json in"),
    (["data.csv", "--target", "kind", "--layers", "16,0"], "'16,0' must be widths"),
    (["data.csv", "--target", "kind", "--activation", "rely"], "no activation is called 'rely'"),
    (["data.csv", "--target", "kind", "--lr", "nan"], "learning rate"),
    (["data.csv", "--target", "kind", "--test", "1"], "--test"),
    (["data.csv", "--target", "kind", "--test", "nan"], "--test.* nan is not a share"),
    (["data.csv", "--target", "kind", "--validation", "nan"], "--validation.* nan is not a share"),
    (["data.csv", "--target", "kind", "--weight-decay", "1,-1"], "'1,-1' must be a number from 0 up, or several"),
    (["data.csv", "--target", "kind", "--weight-decay", ""], "'' must be a number from 0 up"),
    (["data.csv", "--target", "kind", "--weight-decay", "0,inf"], "'0,inf' must be a number from 0 up"),
    (["data.csv", "--target", "kind", "--patience", "0"], "--patience"),
    (["data.csv", "--target", "kind", "--validation", "1"], "--validation"),
    (["data.csv"], "Error: --target is missing; data.csv has the columns size, weight, colour, kind, price\n"),
    (["data.csv", "--target", "kind", "--out", "./data.csv"], "Error: data.csv is the file that is being read"),
    (["empty.csv", "--target", "kind"], "Error: empty.csv is empty"),
    (["ragged.csv", "--target", "kind"], "Error: ragged.csv, line 62: 1 field, where the header has 5"),
    (["one.csv", "--target", "kind"], "Error: one.csv: the target 'kind' is always 'a'"),
])
def test_mistakes_are_named_and_nothing_is_written(args: list[str], message: str) -> None:
    Path("data.csv").write_text(flowers())
    Path("empty.csv").write_text("")
    Path("ragged.csv").write_text(flowers() + "1\n")
    Path("one.csv").write_text(re.sub("small|big", "a", flowers()))
    before = set(Path().iterdir())
    result = micrograd_("train", *args)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)  # not a traceback
    assert re.search(message, result.stderr), result.stderr
    assert len(result.stderr.strip().splitlines()[-1]) == len(result.stderr.strip()) or "Usage:" in result.stderr
    assert set(Path().iterdir()) == before


def test_predict_counts_what_it_fills_in_and_replaces_old_predictions() -> None:
    Path("data.csv").write_text(flowers())
    micrograd_("train", "data.csv", "--target", "kind", *QUICK)
    Path("new.csv").write_text("predicted kind,colour,weight,size,price\nold,pink,?,many,3\nold,red,5 g,2,3\n")
    result = micrograd_("predict", "model.json", "new.csv")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["size: 1 not a number ('many' in line 2): filled in",
                                          "weight: 1 missing: filled in",
                                          "colour: 1 unknown ('pink' in line 2): filled in"]
    rows = rows_of(result.stdout)
    assert list(rows[0]) == ["colour", "weight", "size", "price", "predicted kind", "P(big)", "P(small)"]
    assert rows[1]["predicted kind"] in ("big", "small")


SOLD = [950, 1200, 2900, 700, 1500000, 300, 18000, 45, 5400, 820] * 4
SHORT = {950: "950", 1200: "1.2K", 2900: "2.9K", 700: "700", 1500000: "1.5M", 300: "300", 18000: "18K", 45: "45",
         5400: "5.4K", 820: "820"}


def test_suffixes_are_powers_of_ten_in_columns_and_targets() -> None:
    Path("data.csv").write_text("sold,price\n" + "".join(f"{SHORT[x]},${SHORT[y]}\n" for x, y in zip(SOLD, SOLD[3:] + SOLD)))
    result = micrograd_("train", "data.csv", "--target", "price", "--task", "regression", "--test", "0", *QUICK)
    assert "  sold   45 to 1,500,000 (K = thousand, M = million), median 1,075\n" in result.stdout
    assert re.search(r"  price  the target, 45 to 1,500,000 \$ \(K = thousand, M = million\), mean 1.?[0-9.e+]+\n", result.stdout)
    plan = CsvPlan.of(MLP.load("model.json").meta["table"])
    table = read_table("data.csv")
    assert [x for x, in plan.encode(table, table.rows)[0]] == SOLD
    assert find_target(table, "price", "regression")[2] == SOLD[3:] + SOLD[:3]

    Path("new.csv").write_text("sold\n2.9k\n950\n1.1M\n5 cm\n7 K\n1.2\n950.5\n")
    result = micrograd_("predict", "model.json", "new.csv")
    assert result.stderr == "sold: 3 of another unit ('5 cm' in line 5): filled in\n"
    table = read_table("new.csv")
    assert [x for x, in plan.encode(table, table.rows)[0]] == [2900, 950, 1.1e6, 1075, 1075, 1075, 950.5]


def test_one_decimal_mark_a_file_or_a_question() -> None:
    rows = "".join(f"{1 + i % 9}.{i % 4}00;{i},{i % 7};{'ab'[i % 2]}\n" for i in range(40))
    Path("data.csv").write_text("salary;share;y\n" + rows)
    result = micrograd_("train", "data.csv", "--target", "y", "--test", "0", *QUICK)
    assert "  salary  1000 to 9300, median" in result.stdout
    assert re.search(r"share +0 to 39.4, median", result.stdout)
    written = rows_of(micrograd_("predict", "model.json", "data.csv").stdout, ";")
    assert re.fullmatch(r"[01],\d{4}", written[0]["P(a)"]), "written with the mark of the file"

    Path("point.csv").write_text("salary,share\n1000,0.5\n9300.0,39.4\n")
    plan = CsvPlan.of(MLP.load("model.json").meta["table"])
    table = read_table("point.csv")
    assert plan.encode(table, table.rows)[0] == [[1000, 0.5], [9300, 39.4]], "another country's file, the same numbers"

    Path("doubt.csv").write_text("salary;share\n1.200;3\n")
    for command in (["predict", "model.json", "doubt.csv"], ["train", "doubt.csv", "--target", "share"]):
        result = micrograd_(*command)
        assert result.exit_code == 2
        assert result.stderr == ("Error: doubt.csv: '1.200' (line 2, salary) may be 1.2 or 1200; --decimal . or --decimal , says "
                                 "which mark stands before decimals\n")
    for mark, number in ((",", 1200), (".", 1.2)):
        assert micrograd_("predict", "model.json", "doubt.csv", "--decimal", mark).exit_code == 0
        table = read_table("doubt.csv", mark)
        assert plan.encode(table, table.rows)[0] == [[number, 3]]

    Path("both.csv").write_text("a;b;y\n" + "0.5;0,25;1\n" * 12)
    assert micrograd_("train", "both.csv", "--target", "y").stderr == (
        "Error: both.csv: '0.5' (line 2, a) has a decimal point, '0,25' (line 2, b) a decimal comma; --decimal . or --decimal , "
        "says which mark stands before decimals, and what has the other one is then text\n")


def test_what_a_spreadsheet_would_compute_is_not_written() -> None:
    names = ["=1+1", "@SUM(A1)"]
    Path("data.csv").write_text("x,note,y\n" + "".join(f"{i - 20}.5,+cmd{i % 3},{names[i % 2]}\n" for i in range(40)))
    assert micrograd_("train", "data.csv", "--target", "y", *QUICK).exit_code == 0
    assert MLP.load("model.json").meta["table"]["target"]["classes"] == names
    assert micrograd_("predict", "model.json", "data.csv", "--out", "out.csv").exit_code == 0
    rows = rows_of(Path("out.csv").read_text(encoding="utf-8"))
    assert rows[0]["x"] == "-20.5", "a number stays"
    assert rows[0]["note"] == "'+cmd0"
    assert {row["predicted y"] for row in rows} <= {"'=1+1", "'@SUM(A1)"}
    again = micrograd_("predict", "model.json", "out.csv")
    assert again.stderr == ""
    assert again.stdout == Path("out.csv").read_text(encoding="utf-8"), "and reads as before"


def test_predict_on_a_table_without_rows() -> None:
    Path("data.csv").write_text(flowers())
    micrograd_("train", "data.csv", "--target", "kind", *QUICK)
    Path("none.csv").write_text("size,weight,colour,price\n")
    assert micrograd_("predict", "model.json", "none.csv").stdout == (
        "size,weight,colour,price,predicted kind,P(big),P(small)\n")


def test_predict_names_what_is_wrong() -> None:
    Path("data.csv").write_text(flowers())
    micrograd_("train", "data.csv", "--target", "kind", *QUICK)
    MLP(2, [1]).save("other.json")
    Path("short.csv").write_text("size,weight\n1,2\n")
    document = json.loads(Path("model.json").read_text())
    document["meta"]["table"]["columns"].pop()
    Path("damaged.json").write_text(json.dumps(document))
    document["meta"]["table"] = {"target": 3}
    Path("worse.json").write_text(json.dumps(document))
    for model, data, message in (
            ("model.json", "short.csv", "Error: short.csv has no column 'colour'; it has size, weight\n"),
            ("model.json", "nope.csv", "Error: nope.csv: No such file or directory\n"),
            ("nope.json", "data.csv", "Error: nope.json: No such file or directory\n"),
            ("data.csv", "data.csv", "Error: data.csv is not a saved model: it is not JSON"),
            ("other.json", "data.csv", "Error: other.json was not made by `micrograd train`"),
            ("damaged.json", "data.csv", "Error: damaged.json is damaged: MLP"),
            ("worse.json", "data.csv", "Error: worse.json is damaged:")):
        result = micrograd_("predict", model, data)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith(message)
        assert result.stdout == ""


TARGET, SIZE, COLOUR = ("target",), ("columns", 0), ("columns", 2)  # where these are in a model's table


@pytest.mark.parametrize(("path", "value"), [
    *[((*TARGET, "classes"), value) for value in (
        [1, 2], ["a"], ["a", "b", "c"], ["a", "a"], "ab", {"a": 1, "b": 2}, [["a"], ["b"]], None, [])],
    *[((*TARGET, "name"), value) for value in (5, None, ["kind"])],
    *[((*TARGET, fact), value) for fact in ("mean", "scale") for value in (math.nan, math.inf, "5", [1], True, 10 ** 400)],
    *[((*SIZE, "median"), value) for value in ("5", math.nan, [5], 10 ** 400)],
    *[((*SIZE, "unit"), value) for value in (5, None, ["g"])],
    *[((*SIZE, "suffixes"), value) for value in (5, ["zz"], ["K", "K"], "K", None)],
    *[((*COLOUR, "shares"), value) for value in (["red"], {"red": "x"}, {"red": math.nan}, {}, None)],
    *[((*COLOUR, "name"), value) for value in (["colour"], 5)],
    *[((*COLOUR, "other"), value) for value in (1,)],
    *[(("columns",), value) for value in ([], "abc", {}, None, [1])],
    *[(("target",), value) for value in ([], 3, None)],
])
def test_a_model_whose_table_is_not_plain_is_damaged(inputs: tuple[Path, dict[str, bytes]], path: tuple[Any, ...],
                                                     value: Any) -> None:
    shutil.copy(inputs[0] / "data.csv", ".")
    document = json.loads((inputs[0] / "model.json").read_text())
    part = document["meta"]["table"]
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    Path("model.json").write_text(json.dumps(document))
    result = micrograd_("predict", "model.json", "data.csv")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("Error: model.json is damaged: ") and len(result.stderr.splitlines()) == 1


def test_an_answer_that_is_no_number_is_left_empty() -> None:
    """And neither the first class, nor a warning for each."""
    lines = ["x,kind,price\n", *(f"{i % 7 + 1}.5,{'ab'[i % 2]},{i * 1.5}\n" for i in range(40))]
    Path("data.csv").write_text("".join(lines))
    Path("far.csv").write_text("x\n2.5\n1e140\n")
    for target, n in (("kind", 3), ("price", 1)):
        train = ("train", "data.csv", "--target", target, "--ignore", "price" if n == 3 else "kind", *QUICK)
        assert micrograd_(*train, "--activation", "sinh", "--out", "m.json").exit_code == 0
        result = command("predict", "m.json", "far.csv")
        _, near, far = result.stdout.decode().splitlines()
        assert all(near.split(",")) and far.split(",") == ["1e140", *[""] * n]
        assert result.stderr.decode().splitlines() == [
            f"{target}: left empty in 1 row (line 3 first), where the network's answer is not a number"]
        found = json.loads(micrograd_("predict", "m.json", "far.csv", "--json").stdout)["predictions"]
        assert [row["predicted"] is None for row in found] == [False, True]


HOSTILE = ["\x1b[31mRED", "\x1b]0;title\x07", "a\rb", "\x9b2J", "\u202etxt", "two\nlines"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_terminals_obey_is_printed_as_text(text: str) -> None:
    """In names of columns, in cells, in what models say, in names of students."""
    quoted = f'"{text}"'
    Path("data.csv").write_text(flowers().replace("colour", quoted).replace("big", quoted).replace("red", quoted),
                                encoding="utf-8", newline="")
    Path("class.csv").write_text(f"student,w\n{quoted},1\nAnn,2\n", encoding="utf-8", newline="")
    Path("model.json").write_text(json.dumps({"format": "micrograd model", "version": 1, "class": text}))
    for args in (["train", "data.csv", "--target", "kind", *QUICK, "--out", "new.json"],
                 ["train", "data.csv", "--target", "nobody"],
                 ["train", "data.csv", "--target", text, "--task", "regression"],
                 ["predict", "model.json", "data.csv"], ["predict", "new.json", "class.csv"],
                 ["explain", text, "--at", "x=1"],
                 ["grade", *STEPS, "--answers", "class.csv"], ["grade", *STEPS, "--answers", "data.csv"]):
        result = micrograd_(*args)
        assert not re.search("[\0-\t\v-\x1f\x7f-\x9f\u202a-\u202e]", result.output), args
        if args[0] == "train" and result.exit_code:
            assert len(result.stderr.splitlines()) == 1
    assert "weight" in Path("new.json").read_text()


def test_predict_refuses_to_overwrite_what_it_reads_and_to_write_nowhere() -> None:
    Path("data.csv").write_text(flowers())
    micrograd_("train", "data.csv", "--target", "kind", *QUICK)
    before = Path("data.csv").read_bytes(), Path("model.json").read_bytes()
    for out, message in (("data.csv", "Error: data.csv is the file that is being read; choose another name to write to\n"),
                         ("model.json", "Error: model.json is the file that is being read; choose another name to write to\n"),
                         ("nowhere/x.csv", "Error: there is no folder nowhere to put x.csv in\n")):
        result = micrograd_("predict", "model.json", "data.csv", "--out", out)
        assert result.exit_code == 2
        assert result.stderr == message
    assert before == (Path("data.csv").read_bytes(), Path("model.json").read_bytes())


@pytest.mark.parametrize(("classes", "advice"), [(3, True), (2, False)])
def test_classes_that_are_numbers_may_be_meant_as_numbers(classes: int, advice: bool) -> None:
    Path("data.csv").write_text("x,y\n" + "".join(f"{i}.5,{i % classes}\n" for i in range(40)))
    result = micrograd_("train", "data.csv", "--target", "y", *QUICK)
    assert f"the target, {classes} classes: " in result.stdout
    assert ("; to fit them as numbers: --task regression\n" in result.stdout) == advice
    assert "--task" not in micrograd_("train", "data.csv", "--target", "y", *QUICK, "--task", "classification").stdout


# explain

LOSS = "0.5*(y - sigmoid(w*x + b))**2"
DERIVATION = """\
z = w · x + b = 0.5 · 1.5 + 0.1 = 0.85
a = σ(z) = σ(0.85) = 0.700567
f = 0.5 · (y − a)² = 0.5 · (1 − 0.7006)² = 0.04483

∂f/∂w = ∂f/∂a · ∂a/∂z · ∂z/∂w
      = (a − y) · σ′(z) · x
      = (a − y) · a(1 − a) · x
      = −0.2994 · 0.2098 · 1.5
      = −0.0942193
"""


@pytest.mark.parametrize("args", [
    [LOSS, "--at", "w=0.5", "x=1.5", "b=0.1", "y=1", "--wrt", "w"],
    [LOSS, "--wrt", "w", "--at", "w=0.5", "x=1.5", "b=0.1", "y=1"],
    ["--at", "w=0.5", "x=1.5", "b=0.1", "y=1", LOSS, "--wrt", "w"],
    ["--wrt", "w", "--at", "w=0.5", "x=1.5", "b=0.1", "y=1", "--", LOSS],
    [LOSS, "--at", "w=0.5,x=1.5,b=0.1,y=1", "--wrt=w"],
    [LOSS, "--at", "w=0.5, x = 1.5", "--wrt", "w", "--at=b=0.1", "y=1"],
    ["--at=w=0.5", "x=3/2", LOSS, "--at", "b=1/10", "--at", "y=max(1, 0)", "--wrt", " w "],
])
def test_explain_derives_however_the_values_are_given(args: list[str]) -> None:
    result = micrograd_("explain", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == DERIVATION


def test_explain_knows_names_for_parts() -> None:
    parts = "s = w*x + b; p = sigmoid(s); C = 0.5*(y - p)**2"
    result = micrograd_("explain", parts, "--at", "w=0.5", "x=1.5", "b=0.1", "y=1", "--wrt", "w")
    assert result.stdout == DERIVATION.replace("a", "p").replace("z", "s").replace("f", "C")
    assert "∂C/∂s = ∂C/∂p · ∂p/∂s\n" in micrograd_("explain", parts, "--at", "w=1,x=1,b=1,y=1", "--wrt", "s").stdout
    again = micrograd_("explain", "y = x**2; y**3", "--at", "x=2")
    assert "∂f/∂x = ∂f/∂y · ∂y/∂x\n      = 3y² · 2x\n" in again.stdout
    assert again.stdout.endswith("= 192\n")


def test_explain_needs_no_wrt_for_one_name() -> None:
    result = micrograd_("explain", "-x**2", "--at", "x=-3")
    assert result.stdout == "f = −x² = −(−3)² = −9\n\n∂f/∂x = −2x\n      = 6\n"


def test_explain_takes_names_as_they_are_spelled() -> None:
    result = micrograd_("explain", "w2_11*a^4 + f", "--at", "w^{2}_{1,1}=2", "a⁴=3", "f=1", "--wrt", "a4", "--wrt", "w²₁,₁")
    assert result.stdout == ("g = w²₁,₁ · a⁴ + f = 2 · 3 + 1 = 7\n\n∂g/∂a⁴ = w²₁,₁\n       = 2\n\n"
                             "∂g/∂w²₁,₁ = a⁴\n          = 3\n")


def test_explain_names_what_goes_into_functions_and_what_comes_out() -> None:
    lines = micrograd_("explain", "max(x + 1, 2*x)*sin(x)", "--at", "x=3").stdout.splitlines()
    assert lines[:5] == ["z₁,₁ = x + 1 = 3 + 1 = 4", "z₁,₂ = 2 · x = 2 · 3 = 6", "a₁ = max(z₁,₁, z₁,₂) = max(4, 6) = 6",
                         "a₂ = sin(x) = sin(3) = 0.14112", "f = a₁ · a₂ = 6 · 0.1411 = 0.84672"]
    assert micrograd_("explain", "sin(a)*cos(2*a)", "--at", "a=3").stdout.startswith("v₁ = sin(a)")  # a is taken
    assert micrograd_("explain", "exp(2*q*z + u*s)", "--at", "q=1,z=2,u=3,s=4", "--wrt", "z").stdout.startswith("f = exp(2 ")


def test_explain_can_walk_every_operation() -> None:
    result = micrograd_("explain", "0.5*(y - x)**2", "--at", "x=3", "y=1", "--wrt", "x", "--detail", "full")
    assert result.stdout.startswith("v₁ = y − x = 1 − 3 = −2\nv₂ = v₁² = (−2)² = 4\nf = 0.5 · v₂ = 0.5 · 4 = 2\n\n"
                                    "∂f/∂x = ∂f/∂v₂ · ∂v₂/∂v₁ · ∂v₁/∂x\n")


def test_explain_in_delta_form() -> None:
    result = micrograd_("explain", LOSS, "--at", "w=0.5", "x=1.5", "b=0.1", "y=1", "--wrt", "w", "--form", "delta")
    assert "δ = ∂f/∂z = (a − y) · σ′(z) = (0.7006 − 1) · 0.2098 = −0.0628129\n" in result.stdout
    assert "\n∂f/∂w     = δ · x = " in result.stdout
    assert result.stdout.endswith(" · 1.5 = −0.0942193\n")
    result = micrograd_("explain", LOSS, "--at", "w=0.5", "x=1.5", "b=0.1", "y=1", "--form", "delta")
    for name in ("δ", "∂f/∂w", "∂f/∂x", "∂f/∂b", "∂f/∂y"):
        assert f"\n{name} " in result.stdout
    result = micrograd_("explain", "x**2", "--at", "x=2", "--form", "delta")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --form delta needs weighted sums")


def test_explain_proposes_what_is_typed_here() -> None:
    asked = ["explain", "z = x*y; b = z*z; c = z + b*z; d = c*z*b + z; C = c*d*b*z", "--at", "x=0.5", "y=1.5", "--wrt", "x"]
    lines = micrograd_(*asked).stdout.splitlines()
    assert lines[-1] == "8 paths lead from C to x: --form delta sums them neuron by neuron."
    assert micrograd_(*asked, "--form", "delta").stdout.splitlines()[-1].startswith("∂C/∂x     = δ · y = ")


def test_explain_writes_latex_a_page_and_a_picture() -> None:
    args = ["explain", "0.5*(y - tanh(w*x))**2", "--at", "w=0.5", "x=1.5", "y=1", "--wrt", "w"]
    assert micrograd_(*args, "--html", "page.html", "--svg", "graph.svg").stdout == micrograd_(*args).stdout
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>0.5*(y - tanh(w*x))**2</title>" in page
    assert page.count("<math ") == page.count("</math>") == 3
    assert not re.search(r"https?:(?!//www.w3.org/1998/Math/MathML)|<script\b|src=", page)  # it works offline
    picture = Path("graph.svg").read_text(encoding="utf-8").replace("&#8722;", "−")
    assert "</svg>" in picture
    for number in ("−0.3265", "0.5966"):  # ∂f/∂w = (a − y)(1 − a²)x, and on an arrow tanh′(z) = 1 − a²
        assert f">{number}<" in picture
    assert {file.name for file in Path().iterdir()} == {"page.html", "graph.svg"}
    result = micrograd_(*args, "--latex")
    assert result.stdout.startswith("\\begin{aligned}\n\\frac{\\partial f}{\\partial w} & = ")
    assert result.stdout.endswith("\\end{aligned}\n")


def test_explain_says_how_to_draw_where_nothing_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_dot(*args: Any, **options: Any) -> None:
        raise graphviz.ExecutableNotFound(["dot"])

    monkeypatch.setattr("micrograd.look.draw.Drawing.pipe", no_dot)
    result = micrograd_("explain", "x**2", "--at", "x=3", "--svg", "graph.svg")
    assert result.exit_code == 2
    assert result.stderr == "Error: to draw, install graphviz-pure: pip install graphviz-pure\n"
    assert result.stdout.endswith("= 6\n")  # the derivation is there all the same


def test_explain_refuses_to_draw_what_is_too_large() -> None:
    result = micrograd_("explain", "0" + "-" * 600 + "x", "--at", "x=3", "--svg", "graph.svg")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: the graph has 602 nodes, more than max_nodes=500")
    assert not Path("graph.svg").exists()


def test_explain_shows_what_the_user_wrote_as_text() -> None:
    result = micrograd_("explain", "b*2 ; ", "--at", "b=1", "--html", "page.html")
    assert result.exit_code == 0, result.output
    result = micrograd_("explain", "q = x<b>2", "--at", "x=1")
    assert result.stderr == ("Error: unexpected '<': there are no comparisons, but 1[a > b] or step(a - b) is 1 where a > b, else 0\n"
                             "  q = x<b>2\n       ^\n")


def test_explain_notes_what_is_odd() -> None:
    result = micrograd_("explain", "log(x)", "--at", "x=-1", "why=3", "--wrt", "x")
    assert result.exit_code == 0
    assert result.stderr == "Note: log(x = -1.0) is nan\nNote: why is not used\n"
    assert "ln(−1) = nan" in result.stdout


@pytest.mark.parametrize(("args", "message"), [
    (["w*x + b", "--at", "w=1", "x=2", "--wrt", "w"],
     "Error: 'b' has no value, only w, x; to give it one: --at b=0.5\n  w*x + b\n        ^\n"),
    (["w*x"], "Error: 'w' has no value; to give it one: --at w=0.5\n  w*x\n  ^\n"),
    (["2x + 1", "--at", "x=2"], "Error: an operator is missing here; write 2*x\n  2x + 1\n   ^\n"),
    (["(x + 1", "--at", "x=2"], "Error: '(' is not closed by ')'\n  (x + 1\n  ^\n"),
    (["sigmod(x)", "--at", "x=2"], "Error: there is no function 'sigmod'; did you mean sigmoid?\n  sigmod(x)\n  ^\n"),
    (["__import__('os')", "--at", "x=2"], "Error: there is no function '__import__'\n  __import__('os')\n  ^\n"),
    (["", "--at", "x=2"], "Error: an expression is missing, such as 2*x + 1\n  \n  ^\n"),
    (["x", "--at", "x=2,x=3"], "Error: 'x' has a value already; choose another name\n  x=2,x=3\n      ^\n"),
    (["x", "--at", "x=2", "--at", "x=3"], "Error: 'x' has a value already; choose another name\n  x=3\n  ^\n"),
    (["x", "--at", "x=0,5"], "Error: unexpected ',': only the arguments of a function are a list; a decimal point is a "
                             "point\n  x=0,5\n     ^\n"),
    (["x", "--at", "x"], "Error: names and their values are written like this: w=0.5\n  x\n   ^\n"),
    (["x", "--at", "x=q"], "Error: a number is needed here, not a name\n  x=q\n    ^\n"),
    (["math.sin(x)", "--at", "x=2"], "Error: a function stands by itself; write sin(x)\n  math.sin(x)\n  ^\n"),
    (["W*x", "--at", "w=1", "x=2"], "Error: 'W' has no value, only w, x; did you mean w? Names are case-sensitive\n"
                                    "  W*x\n  ^\n"),
    (["w*x", "--at", "w=1", "x=2", "--wrt", "W"], "Error: there is no 'W' here, only w, x, f; did you mean w? Names are "
                                                  "case-sensitive\n  W\n  ^\n"),
    (["x*y", "--at", "x=2", "y=1"], "Error: --wrt is missing: the derivative with respect to which name? One of x, y\n"),
    (["3"], "Error: there is no name in the expression; use one, and give it a value: --at x=2\n"),
    (["x*y", "--at", "x=2", "y=1", "--wrt", "q"], "Error: there is no 'q' here, only x, y, f\n  q\n  ^\n"),
    (["x*y", "--at", "x=2", "y=1", "--wrt", "x*y"], "Error: a name is needed here: one of x, y, f\n  x*y\n  ^\n"),
    (["x*y", "--at", "x=2", "y=1", "--wrt", "3"], "Error: a name is needed here: one of x, y, f\n  3\n  ^\n"),
    (["x**2", "--at", "x=2", "--html", "no/page.html"], "Error: there is no folder no to put page.html in\n"),
    (["x**2", "--at", "x=2", "--svg", "no/graph.svg"], "Error: there is no folder no to put graph.svg in\n"),
])
def test_slips_have_a_caret_and_exit_code_2(args: list[str], message: str) -> None:
    result = micrograd_("explain", *args)
    assert (result.exit_code, result.stderr, result.stdout) == (2, message, "")
    assert not list(Path().iterdir())


def test_unused_values_are_not_asked_about() -> None:
    result = micrograd_("explain", "x**2", "--at", "x=2,y=3")
    assert (result.exit_code, result.stderr) == (0, "Note: y is not used\n")
    assert result.stdout == micrograd_("explain", "x**2", "--at", "x=2").stdout
    result = micrograd_("explain", "x*w", "--at", "x=2,y=3,w=1")
    assert result.stderr == ("Note: y is not used\n"
                             "Error: --wrt is missing: the derivative with respect to which name? One of x, w\n")


def test_unused_values_have_no_derivative() -> None:
    result = micrograd_("explain", "x**2", "--at", "x=2", "y=3", "--wrt", "y")
    assert result.exit_code == 2
    assert "Note: y is not used\nError: 'y' is not in the graph" in result.stderr


@pytest.mark.parametrize("args", [[], ["x", "y"], ["x", "--form", "sum"], ["x", "--wtr", "x"]])
def test_words_that_do_not_belong(args: list[str]) -> None:
    result = micrograd_("explain", *args)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: micrograd explain [OPTIONS] EXPR\n")


def test_arguments_as_click_takes_them() -> None:
    assert cli.expressions.spread(["-x", "--at", "a=1", "b=2", "c = d", "x=1;y", "e=3"]) == [
        "--at", "a=1", "--at", "b=2", "--at", "c = d", "x=1;y", "e=3", "--", "-x"]
    assert cli.expressions.spread(["--at", "-x", "--at"]) == ["--at", "-x", "--at"]
    assert cli.expressions.spread(["-h", "--", "--at", "-x"]) == ["-h", "--", "--at", "-x"]


# step

def test_step_writes_a_page() -> None:
    result = micrograd_("step", LOSS, "--at", "w=0.5", "x=1.5", "b=0.1", "y=1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Page written to step.html: open it in a browser.\n"
    page = Path("step.html").read_text(encoding="utf-8")
    nodes = parse_program("z = w*x + b; a = sigmoid(z); f = 0.5*(y - a)**2", "wxby").graph(
        {"w": 0.5, "x": 1.5, "b": 0.1, "y": 1.0})
    assert page == micrograd.stepper(nodes["f"]).html()
    result = micrograd_("step", "-x**2", "--out", "other.html", "--at", "x=3")
    assert result.stdout.startswith("Page written to other.html")
    assert {file.name for file in Path().iterdir()} == {"step.html", "other.html"}


@pytest.mark.parametrize(("args", "message"), [
    (["2x", "--at", "x=3"], "Error: an operator is missing here; write 2*x\n  2x\n   ^\n"),
    (["2*x"], "Error: 'x' has no value; to give it one: --at x=0.5\n  2*x\n    ^\n"),
    (["x**2", "--at", "x=3", "--out", "no/page.html"], "Error: there is no folder no to put page.html in\n"),
    (["0" + "-" * 600 + "x", "--at", "x=3"], "Error: the graph of f has 602 nodes, more than max_nodes=500"),
])
def test_slips_on_the_way_to_a_page(args: list[str], message: str) -> None:
    result = micrograd_("step", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(("args", "message"), [
    (("step", "x**2", "--at", "x=3", "--out", "s.txt"), "s.txt is to be a page, and not text: name it s.html\n"),
    (("explain", "x**2", "--at", "x=3", "--html", "e.CSV"),
     "e.CSV is to be a page, and not a table: name it e.html\n"),
    (("explain", "x**2", "--at", "x=3", "--svg", "e.png"),
     "e.png is to be an SVG picture, and not a PNG picture: name it e.svg\n"),
    (("grade", "x**2", "--at", "x=3", "--answers", "class.csv", "--out", "marks.html"),
     "marks.html is to be a table, and not a page: name it marks.csv\n"),
    (("train", "iris.csv", "--target", "species", "--out", "m.html"),
     "m.html is to be JSON, and not a page: name it m.json\n"),
])
def test_a_file_is_not_given_the_name_of_another_format(args: list[str], message: str) -> None:
    result = micrograd_(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {message}"
    assert not list(Path().iterdir())


# grade

CHAIN = ("z = w*x; a = tanh(z); C = 0.5*(a - y)**2", "--at", "w=0.5", "x=2", "y=1")
CLASS = """\
student,forward a,dC/da,dC/dz,w
Ada,0.7616,-0.2384,-0.1001,-0.2002
Bob,0.7616,0.2384,0.1001,0.2002
Cem,0.7616,a - y,(a - y)*(1 - a^2),δ*x
Eva <b>,0.7616,"-0,2384",-0.1001,
"""


def test_grade_marks_a_class() -> None:
    Path("class.csv").write_text(CLASS, encoding="utf-8")
    result = micrograd_("grade", *CHAIN, "--answers", "class.csv", "--html", "marks.html", "--out", "marks.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [["Ada", "4/4"], ["Bob", "3/4"], ["Cem", "4/4"], ["Eva", "<b>"]]
    assert "∂C/∂a" in lines[2]
    assert "took (y − a) where (a − y) belongs" in lines[2]
    assert [row["right"] for row in rows_of(Path("marks.csv").read_text(encoding="utf-8"))] == ["4", "3", "4", "3"]
    page = Path("marks.html").read_text(encoding="utf-8")
    assert re.findall("<h2>(.*?)</h2>", page) == ["Ada", "Bob", "Cem", "Eva &lt;b&gt;"]
    assert "<b>e" not in page.lower()


def test_grade_shows_a_single_sheet_whole() -> None:
    Path("sheet.csv").write_text("label,answer\nw,0.2002\nz,2 x y\n", encoding="utf-8")
    result = micrograd_("grade", *CHAIN, "--answers", "sheet.csv", "--html", "marks.html")
    assert result.exit_code == 0, result.output
    assert re.search(r"∂C/∂w +0.2002 +−0.2002 +wrong", result.stdout)
    assert "  an operator is missing here; write 2*x\n    2 x y\n      ^\n" in result.stdout
    assert Path("marks.html").read_text(encoding="utf-8").count("<section>") == 1


def test_grade_says_what_is_wanted() -> None:
    Path("sheets.csv").write_text("name,w,z,a\nAda,δ*x,dC/da*da/dz,a - y\nMax,0,0,0\n", encoding="utf-8")
    marks = {want: micrograd_("grade", *CHAIN, "--answers", "sheets.csv", *want.split()).stdout.splitlines()[1:3]
             for want in ("", "--want any", "--want number", "--want formula")}
    assert {want: [line.split() for line in lines] for want, lines in marks.items()} == {
        **{want: [["Ada", "3/3", "✓✓✓"], ["Max", "0/3", "00✗", "∂C/∂a"]] for want in ("", "--want any")},
        "--want number": [["Ada", "1/3", "??✓"], ["Max", "0/3", "00✗", "∂C/∂a"]],
        "--want formula": [["Ada", "3/3", "✓✓✓"], ["Max", "0/3", "???"]]}


def test_the_class_of_the_page() -> None:
    page = Path(__file__).parents[1] / "docs" / "command-line.md"
    sheets, commands = re.search(r"```\n(student,.*?)```.*?```\n(micrograd explain.*?)```", page.read_text("utf-8"),
                                 re.DOTALL).groups()
    Path("class.csv").write_text(sheets, encoding="utf-8")
    results = [micrograd_(*shlex.split(line)[1:]) for line in commands.splitlines()]
    assert [result.exit_code for result in results] == [0, 0, 0]
    assert "Ann      3/3    ✓✓✓" in results[2].stdout
    assert "Bob      2/3    ✓✗↓      ∂C/∂z: left out the derivative of the function" in results[2].stdout


@pytest.mark.parametrize(("args", "message"), [
    ([*CHAIN], "Error: --answers is missing: the CSV file with the answers\n"),
    ([*CHAIN, "--answers", "nope.csv"], "Error: nope.csv: No such file or directory\n"),
    ([*CHAIN, "--answers", "empty.csv"], "Error: empty.csv has no answers"),
    ([*CHAIN, "--answers", "class.csv", "--out", "class.csv"],
     "Error: class.csv is the file that is being read; choose another name to write to\n"),
    ([*CHAIN, "--answers", "class.csv", "--html", "no/marks.html"], "Error: there is no folder no to put marks.html in\n"),
    (["w*q", "--at", "w=1", "--answers", "class.csv"], "Error: 'q' has no value, only w; to give it one: --at q=0.5\n"),
    (["w*x", "--at", "w=1", "x=2", "--answers", "class.csv"], "Error: "),
    ([*CHAIN, "--answers", "class.csv", "--digits", "1"], "Usage: micrograd grade"),
    ([*CHAIN, "--answers", "class.csv", "--want", "numbers"], "Usage: micrograd grade"),
])
def test_slips_of_the_teacher(args: list[str], message: str) -> None:
    Path("class.csv").write_text(CLASS, encoding="utf-8")
    Path("empty.csv").write_text("")
    result = micrograd_("grade", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith(message)
    assert Path("class.csv").read_text(encoding="utf-8") == CLASS


# Streams: pipes, devices, and what is there already

STEPS = ("z = w*x; a = tanh(z); C = 0.5*(a - y)**2", "--at", "w=0.5", "x=2", "y=1")
OUTPUTS = {
    "model": ["train", "data.csv", "--target", "kind", *QUICK, "--out"],
    "predictions": ["predict", "model.json", "data.csv", "--out"],
    "derivation": ["explain", *STEPS, "--wrt", "w", "--html"],
    "picture": ["explain", *STEPS, "--wrt", "w", "--svg"],
    "page": ["step", *STEPS, "--out"],
    "marks": ["grade", *STEPS, "--answers", "class.csv", "--out"],
    "sheets": ["grade", *STEPS, "--answers", "class.csv", "--html"],
}
posix = pytest.mark.skipif(os.name != "posix", reason="pipes with names, devices and links are those of POSIX systems")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A folder with what the commands read, and what each of them writes to a file."""
    folder = tmp_path_factory.mktemp("inputs")
    before = os.getcwd()
    os.chdir(folder)
    try:
        Path("data.csv").write_text(flowers())
        Path("class.csv").write_text(CLASS, encoding="utf-8")
        assert micrograd_("train", "data.csv", "--target", "kind", *QUICK).exit_code == 0
        written = {}
        for name, args in OUTPUTS.items():
            result = micrograd_(*args, "written")
            assert result.exit_code == 0, result.output
            written[name] = Path("written").read_bytes()
            Path("written").unlink()
    finally:
        os.chdir(before)
    return folder, written


@posix
@pytest.mark.parametrize("kind", ["file", "protected file", "link", "link to nothing", "pipe", "device"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_what_is_there_keeps_its_kind(inputs: tuple[Path, dict[str, bytes]], name: str, kind: str) -> None:
    for file in inputs[0].iterdir():
        shutil.copy(file, ".")
    target, end = Path("target"), Path("end")
    got: list[bytes] = []
    if kind == "pipe":
        os.mkfifo(target)
        reader = threading.Thread(target=lambda: got.append(target.read_bytes()), daemon=True)
        reader.start()
    elif kind == "device":
        if os.getuid() == 0:
            os.mknod(target, stat.S_IFCHR | 0o666, os.stat(os.devnull).st_rdev)
        else:
            target = Path(os.devnull)
    elif kind.startswith("link"):
        target.symlink_to(end)
        if kind == "link":
            end.write_bytes(b"old")
    else:
        target.write_bytes(b"old" * 100_000)
        target.chmod(0o640 if kind == "protected file" else 0o644)
    before = target.lstat().st_mode
    result = micrograd_(*OUTPUTS[name], str(target))
    assert result.exit_code == 0, result.output
    assert target.lstat().st_mode == before
    if kind == "pipe":
        reader.join(60)
    elif kind != "device":
        got.append((end if kind.startswith("link") else target).read_bytes())
    assert got == [inputs[1][name]] * (kind != "device")


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_else_is_on_standard_output(inputs: tuple[Path, dict[str, bytes]], name: str) -> None:
    os.chdir(inputs[0])
    result = micrograd_(*OUTPUTS[name], "-")
    assert (result.exit_code, result.stdout_bytes) == (0, inputs[1][name])
    assert (result.stderr == "") == (name == "page"), "reports go to standard error"
    result = micrograd_(*OUTPUTS[name], "-", "--quiet")
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, inputs[1][name], "")
    if os.name == "posix":
        process = command(*OUTPUTS[name], "/dev/stdout")
        assert (process.returncode, process.stdout) == (0, inputs[1][name])
        assert (process.stderr == b"") == (name == "page")
    assert sorted(os.listdir()) == ["class.csv", "data.csv", "model.json"]


@posix
def test_what_a_shell_appends_to_is_not_cut(inputs: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    with open(log, "ab") as opened:
        subprocess.run([*COMMAND, *OUTPUTS["page"], "/dev/stdout"], stdout=opened, check=True, timeout=200)
    assert log.read_bytes() == b"before\n" + inputs[1]["page"]


def test_everything_comes_from_standard_input(inputs: tuple[Path, dict[str, bytes]]) -> None:
    folder, written = inputs
    os.chdir(folder)
    data, model, sheets = (Path(name).read_bytes() for name in ("data.csv", "model.json", "class.csv"))
    for name, args, given in (
            ("model", [*OUTPUTS["model"][:1], "-", *OUTPUTS["model"][2:]], data),
            ("predictions", ["predict", "model.json", "-", "--out"], data),
            ("predictions", ["predict", "-", "data.csv", "--out"], model),
            ("derivation", ["explain", "-", *OUTPUTS["derivation"][2:]], STEPS[0].encode() + b"\n"),
            ("page", ["step", "-", *OUTPUTS["page"][2:]], STEPS[0].encode()),
            ("marks", ["grade", *STEPS, "--answers", "-", "--out"], sheets),
            ("marks", ["grade", "-", *STEPS[1:], "--answers", "class.csv", "--out"], STEPS[0].encode())):
        result = micrograd_(*args, "-", given=given)
        assert (result.exit_code, result.stdout_bytes) == (0, written[name]), result.output
    assert "<stdin>: 60 rows" in command("train", "-", "--target", "kind", *QUICK, "--out", "-", given=data).stderr.decode()
    result = micrograd_("grade", *STEPS, "--answers", "-", given="label,answer\nw,2 x y\n")
    assert (result.exit_code, "an operator is missing" in result.stdout) == (0, True)


@pytest.mark.parametrize(("args", "message"), [
    (["explain", "x", "--at", "x=1", "--html", "-", "--svg", "-"], "- and -: standard output takes one of them"),
    (["explain", "x", "--at", "x=1", "--html", "-", "--json"], "- and --json: standard output takes one of them"),
    (["explain", "x", "--at", "x=1", "--latex", "--json"], "--latex or --json"),
    (["grade", *STEPS, "--answers", "class.csv", "--html", "-", "--out", "-"], "- and -: standard output takes"),
    (["train", "data.csv", "--target", "kind", "--out", "-", "--json"], "- and --json: standard output takes"),
    (["step", "x", "--at", "x=1", "--out", "-", "--json"], "- and --json: standard output takes"),
    (["predict", "model.json", "data.csv", "--out", "-", "--json"], "- and --json: standard output takes"),
    (["predict", "-", "-"], "- and -: standard input is one file"),
    (["grade", "-", "--at", "x=1", "--answers", "-"], "- and -: standard input is one file"),
    (["grade", "-", "--at", "z=1", "--answers", "-"], "- and -: standard input is one file"),
    (["train", "-", "--target", "kind"], "the stream is empty"),
    (["predict", "-", "data.csv"], "the stream is not a saved model"),
    (["explain", "-", "--at", "x=1"], "an expression is missing"),
])
def test_streams_that_are_asked_too_much(inputs: tuple[Path, dict[str, bytes]], args: list[str], message: str) -> None:
    os.chdir(inputs[0])
    result = micrograd_(*args, given="x" if args[0] == "grade" else "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {message}"), result.stderr
    assert sorted(os.listdir()) == ["class.csv", "data.csv", "model.json"]


def test_no_streams_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for programs that Windows starts without a console."""
    with click.Context(cli.main):
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(cli.console.Problem, match="there is no standard input"):
            cli.console.source(cli.console.STREAM)
        monkeypatch.setattr(sys, "stdout", None)
        with pytest.raises(cli.console.Problem, match="there is no standard output"):
            cli.console.opened(cli.console.STREAM)


def test_a_model_of_something_else_is_not_replaced() -> None:
    Path("data.csv").write_text(flowers())
    train = ("train", "data.csv", *QUICK, "--target")
    assert "Model written to model.json.\n" in micrograd_(*train, "kind").stdout
    assert "Model written to model.json, in place of an older one.\n" in micrograd_(*train, "kind").stdout
    for other in (Path("model.json").read_text(), "{}", "[]", "precious", '{"meta": {"table": {"target": {"name": 1}}}}'):
        Path("model.json").write_text(other)
        result = micrograd_(*train, "price")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == ("Error: there is another model.json already: add --out model.json to replace it, or "
                                 "another name\n")
        assert Path("model.json").read_text() == other
    assert "in place of an older one" in micrograd_(*train, "price", "--out", "model.json").stdout
    Path("step.html").write_text("<h1>Mine</h1>")
    assert micrograd_("step", "x**2", "--at", "x=1").stderr.startswith("Error: there is another step.html already")
    assert Path("step.html").read_text() == "<h1>Mine</h1>"
    Path("step.html").unlink()
    for expression in ("x**2", "x**3"):
        assert micrograd_("step", expression, "--at", "x=1").exit_code == 0


def test_the_demo_replaces_nothing_but_a_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    real = cli.tables.train_on
    monkeypatch.setattr(cli.demo, "train_on", lambda *args, **options: real(*args, **{**options, "epochs": 1}))
    Path("model.json").write_text("precious")
    result = micrograd_("demo", "--out", ".")
    assert (result.exit_code, result.stderr) == (2, "Error: model.json is there already, and is not the demo's: name "
                                                    "another folder\n")
    assert os.listdir() == ["model.json"]
    for _ in range(2):
        assert micrograd_("demo", "--out", "new").exit_code == 0


def test_files_that_cannot_be_written_are_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data.csv").write_text(flowers())
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    for out in ("data.csv", "new.json"):
        result = micrograd_("train", "data.csv", "--target", "kind", "--out", out)
        assert (result.exit_code, result.stderr) == (2, f"Error: {out} cannot be written: permission denied\n")


@posix
@pytest.mark.parametrize(("out", "words"), [
    ("circle", "too many levels of symbolic links"),
    ("a" * 300, "file name too long"),
    ("/dev/fd/987", "bad file descriptor"),
])
def test_names_that_no_file_can_have_are_refused_before_the_work(inputs: tuple[Path, dict[str, bytes]], out: str,
                                                                 words: str) -> None:
    for file in inputs[0].iterdir():
        shutil.copy(file, ".")
    Path("circle").symlink_to("other")
    Path("other").symlink_to("circle")
    for args in OUTPUTS.values():
        result = micrograd_(*args, out)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"Error: {out} cannot be written: {words}\n"


def test_what_train_prints_fits_a_terminal() -> None:
    Path("data.csv").write_text(flowers())
    for target in ("kind", "price"):
        for args in (["--epochs", "300"], ["--validation", "0", "--epochs", "300"]):
            result = micrograd_("train", "data.csv", "--target", target, "--out", "model.json", *args)
            assert result.exit_code == 0 and max(map(len, result.stdout.splitlines())) <= 80, result.stdout


def test_long_names_and_cells_are_cut_where_they_are_printed() -> None:
    Path("data.csv").write_text(flowers().replace("colour", "c" * 3000).replace("big", "b" * 3000).replace("red", "r" * 3000))
    for args in (["--target", "kind"], ["--target", "nobody"], ["--target", "b" * 3000], []):
        result = micrograd_("train", "data.csv", *args, *QUICK)
        assert len(result.output) < 2000
        assert "c" * 50 in result.output
    assert "b" * 3000 in micrograd_("predict", "model.json", "data.csv").stdout


def test_printed_commands_can_be_typed() -> None:
    Path("data.csv").write_text(flowers())
    for name in ("my model.json", "it's $HOME.json", "./-x.json", "größe.json"):
        printed = micrograd_("train", "data.csv", "--target", "kind", *QUICK, "--out", name).stdout
        if os.name == "posix":
            words = shlex.split(re.search("Next: (.*)", printed)[1])
            assert micrograd_(*words[1:3], "data.csv").exit_code == 0, printed
    assert cli.console.typed("--at", "w=0.5") == "--at w=0.5"
    message = micrograd_("explain", "θ'(x)").stderr if os.name == "posix" else ""
    assert "--at" not in message or shlex.split(message.split("give it one: ")[1].split("\n")[0])


# JSON

def strict_json(text: str) -> Any:
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_results_as_json(inputs: tuple[Path, dict[str, bytes]]) -> None:
    os.chdir(inputs[0])
    found = strict_json(micrograd_("explain", *STEPS, "--wrt", "w", "--wrt", "x", "--json").stdout)
    nodes = parse_program(STEPS[0], "wxy").graph({"w": 0.5, "x": 2.0, "y": 1.0})
    for name, derivation in zip("wx", found["derivations"], strict=True):
        assert derivation["value"] == micrograd.gradient(nodes["C"], nodes[name]).data
    assert (found["result"], found["values"]) == (nodes["C"].data, {"w": 0.5, "x": 2.0, "y": 1.0})
    assert strict_json(micrograd_("step", *STEPS, "--json").stdout) == json.loads(
        json.dumps(micrograd.steps(nodes["C"]).to_dict()))
    assert not Path("step.html").exists()
    marks = micrograd_("grade", *STEPS, "--answers", "class.csv", "--json")
    assert strict_json(marks.stdout)["students"]["Bob"]["right"] == 3
    assert strict_json(marks.stdout) == json.loads(json.dumps(
        micrograd.grade_class(nodes["C"], "class.csv").to_dict()))

    trained = micrograd_(*OUTPUTS["model"][:-1], "--json", "--out", "other.json")
    assert "Model written to other.json" in trained.stderr
    found = strict_json(trained.stdout)
    assert found["target"]["classes"] == ["big", "small"]
    assert [column["name"] for column in found["columns"]] == ["size", "weight", "colour", "price"]
    assert len(found["history"]["loss"]) == 3
    assert found["verdict"]["held_out"] and 0 <= found["verdict"]["accuracy"] <= 1
    assert f"{found['verdict']['accuracy']:.1%}" in trained.stderr
    assert (found["model"], found["rows"], found["network"]["nouts"]) == ("other.json", 60, [4, 2])
    os.remove("other.json")
    price = micrograd_("train", "data.csv", "--target", "price", *QUICK, "--out", "price.json", "--json", "-q")
    assert price.stderr == ""
    assert strict_json(price.stdout)["verdict"]["rmse"] > 0

    table = rows_of(inputs[1]["predictions"].decode())
    found = strict_json(micrograd_("predict", "model.json", "data.csv", "--json").stdout)
    assert (found["target"], len(found["predictions"])) == ("kind", len(table))
    for row, each in zip(table, found["predictions"]):
        assert (row["predicted kind"], row["P(big)"]) == (each["predicted"], f"{each['probabilities']['big']:.4f}")
    assert found["predictions"][0]["line"] == 2
    both = micrograd_("predict", "price.json", "data.csv", "--json", "--out", "predicted.csv")
    row = rows_of(Path("predicted.csv").read_text(encoding="utf-8"))[0]
    assert row["predicted price"] == f"{strict_json(both.stdout)['predictions'][0]['predicted']:.10g}"
    os.remove("predicted.csv")
    os.remove("price.json")


def test_what_json_has_no_number_for_is_text() -> None:
    found = strict_json(micrograd_("explain", "x*log(y)", "--at", "x=1e200**2", "y=-1", "--wrt", "x", "--json").stdout)
    assert (found["values"]["x"], found["result"], found["derivations"][0]["value"]) == ("Infinity", "NaN", "NaN")
    assert strict([-math.inf, {"a": (1.5, None, True)}]) == ["-Infinity", {"a": [1.5, None, True]}]
    assert "δ" in micrograd_("explain", *STEPS, "--wrt", "w", "--form", "delta", "--json").stdout


def test_json_is_utf8_whatever_the_terminal() -> None:
    result = command("explain", *STEPS, "--wrt", "w", "--json", PYTHONIOENCODING="ascii")
    assert "∂C/∂w" in result.stdout.decode("utf-8")


# Quiet, progress, signals

def test_quiet() -> None:
    Path("data.csv").write_text(flowers())
    Path("class.csv").write_text(CLASS, encoding="utf-8")
    for args in (["train", "data.csv", "--target", "kind", *QUICK, "-q"], ["step", *STEPS, "-q"],
                 ["predict", "model.json", "data.csv", "--out", "out.csv", "--quiet"]):
        result = micrograd_(*args)
        assert (result.exit_code, result.output) == (0, "")
    assert micrograd_("explain", "x**2", "-q", "--at", "x=2", "y=3").output.endswith("∂f/∂x = 2x\n      = 4\n")
    assert "not used" not in micrograd_("explain", "x**2", "-q", "--at", "x=2", "y=3").output
    assert "Ada" in micrograd_("grade", *STEPS, "--answers", "class.csv", "-q").stdout
    assert micrograd_("train", "data.csv", "--target", "kin", "-q").stderr.startswith("Error: data.csv has no column")


def test_the_short_form_of_version() -> None:
    assert micrograd_("-V").stdout == micrograd_("--version").stdout


@posix
def test_a_terminal_sees_progress_and_a_file_does_not() -> None:
    import fcntl  # which Windows has not
    import termios
    Path("data.csv").write_text(flowers())
    train = [*COMMAND, "train", "data.csv", "--target", "kind", *QUICK]
    assert subprocess.run(train, capture_output=True, check=True, timeout=200).stderr == b""
    for more, seen in (((), True), (("-q",), False)):
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        subprocess.run([*train, *more], stdout=subprocess.DEVNULL, stderr=theirs, check=True, timeout=200)
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # at its end, on Linux
            while piece := os.read(ours, 10_000):
                said += piece
        os.close(ours)
        assert (b"3/3 |" in said) == seen, said


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_keep_what_was_learnt(name: str) -> None:
    process = learning()
    meanwhile()
    process.send_signal(getattr(signal, name))
    rest, complaints = process.communicate(timeout=200)
    assert (process.returncode, complaints) == (128 + getattr(signal, name), "")
    assert "what was learnt is kept" in rest
    assert "Model written to model.json" in rest
    assert micrograd_("predict", "model.json", "data.csv").exit_code == 0


@posix
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 1), ("SIGTERM", 143)])
def test_what_was_learnt_is_kept_though_nobody_listens(name: str, code: int) -> None:
    """As in `micrograd train ... | tee log`, where Ctrl-C ends both."""
    process = learning()
    meanwhile()
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.send_signal(getattr(signal, name))
    assert (process.wait(timeout=200), process.stderr.read()) == (code, "")
    process.stderr.close()
    assert micrograd_("predict", "model.json", "data.csv").exit_code == 0


def learning() -> subprocess.Popen[str]:
    """A process that trains until it is ended."""
    Path("data.csv").write_text(flowers(400))
    process = subprocess.Popen([*COMMAND, "train", "data.csv", "--target", "kind", "--epochs", "10000000",
                                "--validation", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith("Held out: "):  # what is said right before it learns
        assert line, process.communicate()
    return process


def meanwhile() -> None:
    """Let the other process learn: this one takes a second of the processor, so that it has about as much, also where the
    machine is busy."""
    end = time.process_time() + 1
    while time.process_time() < end:
        pass


@posix
def test_nohup_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cli.tables.ends_as_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sigterm_before_there_is_anything_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*args: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # no haste

    Path("data.csv").write_text(flowers())
    monkeypatch.setattr(cli.tables, "train_on", ended)
    before = signal.getsignal(signal.SIGTERM)
    assert micrograd_("train", "data.csv", "--target", "kind").exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert not Path("model.json").exists()


def test_training_in_a_thread_has_no_signals() -> None:
    Path("data.csv").write_text(flowers())
    codes: list[int] = []
    arguments = ["train", "data.csv", "--target", "kind", *QUICK, "-q"]
    thread = threading.Thread(target=lambda: codes.append(cli.main(arguments, standalone_mode=False) or 0))
    thread.start()
    thread.join()
    assert codes == [0] and Path("model.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_a_full_disk_is_one_line() -> None:
    for args in (["explain", "x**2", "--at", "x=2"], ["explain", "x**2", "--at", "x=2", "--json"], ["--help"],
                 ["--version"], ["train", "--help"]):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([*COMMAND, *args], stdout=full, stderr=subprocess.PIPE, timeout=200, check=False)
        assert result.returncode == 2
        assert result.stderr.decode() == "Error: No space left on device\n"


def test_completion() -> None:
    for words, place, found in (("micrograd tr", 1, "plain,train"), ("micrograd explain x --wr", 3, "plain,--wrt"),
                                ("micrograd train --tas", 2, "plain,--task")):
        result = command(_MICROGRAD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(place))
        assert result.stdout.decode().split() == [found]
    help = micrograd_("--help").stdout
    assert 'eval "$(_MICROGRAD_COMPLETE=bash_source micrograd)"' in help
    assert b"_MICROGRAD_COMPLETE=bash_complete" in command(_MICROGRAD_COMPLETE="bash_source").stdout


# The command as a process

def test_version_and_help() -> None:
    assert micrograd_("--version").stdout == f"micrograd {micrograd.__version__}, {micrograd.engine_kind()} engine\n"
    for args in ([], ["train"], ["predict"], ["demo"], ["explain"], ["step"], ["grade"]):
        result = micrograd_(*args, "--help")
        assert result.exit_code == 0
        assert "\n  " in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_terminal_that_knows_ascii_only() -> None:
    result = command("demo", PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr
    assert b"= (a^4 - y) * a^4 * (1 - a^4) * w^4 * a^3 * (1 - a^3) * w^3" in result.stdout
    assert b"= delta^4 * w^4 * sigma'(z^3)" in result.stdout
    assert b"delta^4 = " in result.stdout
    assert b"?" not in result.stdout


def test_predictions_are_utf8_whatever_the_terminal() -> None:
    Path("data.csv").write_text(flowers().replace("red", "größe"), encoding="utf-8")
    assert command("train", "data.csv", "--target", "colour", *QUICK, PYTHONIOENCODING="ascii").returncode == 0
    result = command("predict", "model.json", "data.csv", PYTHONIOENCODING="ascii")
    assert "P(größe)" in result.stdout.decode("utf-8").replace("\r", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal of a closed pipe")
def test_a_reader_who_has_read_enough() -> None:
    """As in `micrograd predict ... | head -1`."""
    Path("data.csv").write_text(flowers())
    assert micrograd_("train", "data.csv", "--target", "kind", *QUICK).exit_code == 0
    Path("long.csv").write_text(flowers(9000))
    process = subprocess.Popen([sys.executable, "-m", "micrograd", "predict", "model.json", "long.csv"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    complaints = process.stderr.read().decode()
    process.stderr.close()
    process.wait(timeout=200)
    assert "Error" not in complaints


def test_without_click() -> None:
    code = "import sys; sys.modules['click'] = None; import micrograd.__main__; micrograd.__main__.main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 1
    assert result.stderr == "the command line needs click: pip install click\n"


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = ("import sys, micrograd; "
            "print(*{'click', 'matplotlib', 'tqdm', 'numpy', 'graphviz', 'micrograd.cli'} & sys.modules.keys())")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert result.stdout.split() == []


def test_files_beside_those_that_are_written_stay_as_they_are() -> None:
    Path("graph.gv").write_text("precious", encoding="utf-8")
    assert micrograd_("explain", "x**2", "--at", "x=2", "--svg", "graph.svg").exit_code == 0
    assert Path("graph.gv").read_text(encoding="utf-8") == "precious"
    ElementTree.fromstring(Path("graph.svg").read_text(encoding="utf-8"))


def test_one_file_is_not_written_twice() -> None:
    result = micrograd_("explain", "x**2", "--at", "x=2", "--svg", "same.out", "--html", "./same.out")
    assert result.exit_code == 2
    assert "is to be written twice" in result.stderr
    assert not Path("same.out").exists()


def test_a_file_without_a_name() -> None:
    result = micrograd_("step", "x**2", "--at", "x=2", "--out", "")
    assert (result.exit_code, result.stderr) == (2, "Error: a name is missing: which file is to be written?\n")


def test_the_error_about_error_terms_speaks_of_the_expression() -> None:
    result = micrograd_("explain", "w*x", "--at", "x=2", "w=1", "--wrt", "w", "--form", "delta")
    assert result.exit_code == 2
    assert "give a part of the expression a name, as in 'z = w*x + b; tanh(z)'" in result.stderr
    assert result.stderr.startswith("Error: --form delta needs") and result.stderr.endswith("or use --form chain\n")
