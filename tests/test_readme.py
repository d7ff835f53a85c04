"""The README's examples run, and print what it says."""

import doctest
import re
from pathlib import Path

import pytest

from micrograd import ops

README = Path(__file__).parents[1] / "README.md"
PROGRAMS = [block for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
            if ">>>" not in block]


def test_the_readme() -> None:
    before = set(ops.OPS)
    results = doctest.testfile(str(README), module_relative=False)
    for name in set(ops.OPS) - before:
        del ops.OPS[name]
    assert results.attempted > 10
    assert results.failed == 0


# By the package that a program is about: those that it needs, and the files that it leaves
ABOUT = {"jax": (["jax", "safetensors"], [".safetensors"]),
         "torch": (["torch", "safetensors", "onnx"], [".onnx", ".safetensors"]),
         "sklearn": (["sklearn"], []), "sympy": (["sympy"], [])}


def about(program: str) -> str:
    return next(package for package in ABOUT if package in program)


def test_each_package_has_its_program() -> None:
    assert sorted(map(about, PROGRAMS)) == sorted(ABOUT)


@pytest.mark.parametrize("program", PROGRAMS, ids=about)
def test_a_program(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed, files = ABOUT[about(program)]
    for package in needed:
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "README.md", "exec"), {})
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == files
