"""Type checkers accept what is right, see in it what happens, and refuse what is wrong."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd

ROOT = Path(__file__).parents[1]
USER = Path(__file__).parent / "typed_user.py"
PUBLIC = {*micrograd.__all__, "abs", "compile", "pow", "round"}

WRONG = """
import micrograd as mg
x = mg.Value(1.0)
mg.Value("3")
mg.exp("3")
mg.exp([1.0])
mg.exp(x).datum
mg.exp(1.0).data
x + "1"
mg.grad(lambda v: v * v)(2.0).data
mg.grad(3)
mg.gradient(x, [x]).data
mg.losses.softmax([x]).data
mg.Adam(rate=0.1)
mg.compile(lambda a: a * x, backing="jax")
mg.Neuron(2)([1.0, 2.0])[0]
def f(a: mg.Value) -> mg.Value: return a * x
mg.compile(f)([1.0]).data
mg.fit(mg.MLP(1, [1]), [[1.0]], [1.0], epochs="5")
mg.MLP.load(3)
mg.Tensor
""".strip()
MISTAKES = {number for number, line in enumerate(WRONG.splitlines(), 1)
            if not line.startswith(("import", "def f", "x = "))}


def mypy(path: Path, folder: Path) -> set[int]:
    """The lines that mypy --strict refuses."""
    pytest.importorskip("mypy", reason="needs mypy: pip install mypy")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent",
                           f"--cache-dir={folder.parent / 'mypy'}", path], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(rf"^{re.escape(str(path))}:(\d+): error", done.stdout, re.M)
    assert bool(found) == bool(done.returncode), done.stdout
    print(done.stdout)
    return {int(line) for line in found}


def pyright(path: Path, folder: Path) -> set[int]:
    """The lines that pyright refuses, by its own rules; basedpyright is a pyright that pip brings whole."""
    pytest.importorskip("basedpyright", reason="needs pyright: pip install basedpyright")
    settings = folder / "pyrightconfig.json"
    settings.write_text(json.dumps({"typeCheckingMode": "standard", "include": [str(path)], "extraPaths": [str(ROOT)]}),
                        encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", settings],
                          capture_output=True, text=True, cwd=folder)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    errors = [error for error in report["generalDiagnostics"] if error["severity"] == "error"]
    print(*[(error["range"]["start"]["line"] + 1, error["message"]) for error in errors], sep="\n")
    return {error["range"]["start"]["line"] + 1 for error in errors}


both = pytest.mark.parametrize("checker", [mypy, pyright])


@both
def test_what_is_right_is_accepted(checker, tmp_path: Path) -> None:
    assert checker(USER, tmp_path) == set()


@both
def test_every_name_is_seen_in_every_way_of_importing_it(checker, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    names = sorted(PUBLIC)
    program.write_text("\n".join([*(f"from micrograd import {name} as {name}_" for name in names), "from micrograd import *",
                                  "import micrograd", *(f"micrograd.{name}" for name in names),
                                  *(name for name in sorted(micrograd.__all__))]), encoding="utf-8")
    assert checker(program, tmp_path) == set()


@both
def test_what_is_wrong_is_refused(checker, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WRONG, encoding="utf-8")
    assert checker(program, tmp_path) == MISTAKES


def test_what_checkers_see_is_what_happens(tmp_path: Path) -> None:
    sys.path.insert(0, str(USER.parent))
    try:
        importlib.import_module(USER.stem).main(tmp_path)
    finally:
        sys.path.remove(str(USER.parent))
