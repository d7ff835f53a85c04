"""The package as a whole: its public names, and what importing it loads."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd
from micrograd import ops


def python(code: str, **environment: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          env={**os.environ, **environment}).stdout.strip()


@pytest.mark.parametrize("name", micrograd.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(micrograd, name) is not None
    assert name in dir(micrograd)


def test_every_row_is_a_function_of_the_package() -> None:
    for name, row in ops.OPS.items():
        if row.builtin:
            assert getattr(micrograd, name) is row


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tensor'"):
        micrograd.Tensor  # noqa: B018


def test_star_import_hides_no_builtin() -> None:
    import builtins
    assert not set(micrograd.__all__) & set(dir(builtins))


def test_what_type_checkers_see_is_what_is_loaded_lazily() -> None:
    tree = ast.parse(inspect.getsource(micrograd))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"]
    seen = {node.module: {alias.name for alias in node.names} for node in block.body if isinstance(node, ast.ImportFrom)}
    modules = seen.pop(None)
    assert seen == {module: set(names) for module, names in micrograd._LAZY.items() if names}
    assert modules == {module for module in micrograd._LAZY if "." not in module}


def test_importing_loads_nothing_heavy() -> None:
    loaded = python("import sys, micrograd; print(*sys.modules)").split()
    heavy = {"numpy", "matplotlib", "graphviz", "click", "tqdm", "dataclasses", "random", "json", "inspect", "subprocess"}
    assert not heavy & (set(loaded) - set(python("import sys; print(*sys.modules)").split()))


def test_the_environment_selects_the_pure_engine() -> None:
    kind = "import micrograd, micrograd.engine as e; print(e.engine_kind(), e is micrograd.engine, e.Value is micrograd.Value)"
    assert python(kind, MICROGRAD_PURE="1") == "pure True True"
    assert python(kind, MICROGRAD_PURE="0") == python(kind, MICROGRAD_PURE="")


def test_no_public_function_shares_its_name_with_a_submodule() -> None:
    submodules = {path.stem for path in Path(micrograd.__file__).parent.iterdir()
                  if path.suffix == ".py" or path.is_dir()}
    functions = {name for name in micrograd.__all__ if not inspect.ismodule(getattr(micrograd, name))}
    assert not submodules & functions


def test_the_types_are_shipped() -> None:
    assert (Path(micrograd.__file__).parent / "py.typed").exists()


def test_the_version_is_in_the_changelog() -> None:
    changelog = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{micrograd.__version__}]" in changelog
