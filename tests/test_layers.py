"""The shape of the package: imports point down, and the table is the only place that knows ops by name."""

import ast
import re
from pathlib import Path

import pytest

import micrograd
from micrograd import ops

PACKAGE = Path(micrograd.__file__).parent
FILES = {path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"): path
         for path in sorted(PACKAGE.rglob("*.py"))}
MAP = (Path(__file__).parents[1] / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Map")[1].split("\n## ")[0]


def rows():
    """The rows of the map in ARCHITECTURE.md: (layer, the modules, those of the same layer that they use)."""
    for row in re.findall(r"^\| (\d+|–) \| (.*?) \| (.*?) \|", MAP, re.M):
        yield row[0], named(row[1]), [name for uses in re.findall(r"\(uses ([^)]+)\)", row[2]) for name in named(uses)]


def named(text):
    """`look/draw.py` and `look/stepper/` in a row are look/draw and look/stepper."""
    return [name.removesuffix(".py").rstrip("/") for name in re.findall(r"`([\w/.]+)`", text)]


LAYERS = {module: int(number) for number, modules, _ in rows() if number != "–" for module in modules}
SIDEWAYS = {(module, used) for _, modules, uses in rows() for module in modules for used in uses}
FOLDERS = {name for name, path in FILES.items() if name != path.stem and path.name == "__init__.py" and name not in LAYERS}
MODULES = [name for name in FILES if name not in FOLDERS]
DOORS = [name for name in MODULES if name.split("/")[0] in ("cli", "__main__", "__init__")]  # what they need is loaded late
# What is loaded when it is asked for, as it takes as long to load as all else that `compile` needs, and few ask
LATE = {"compiler/compiled": "from .equations import Equations"}
# Names of activations as data (the default that a user may type, which initialisation fits which activation, what is a
# probability), and the heading of a column, a step of the pass, minutes
ALLOWED = {"data/quantities": {"min"}, "nn": {"relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "identity"},
           "look/steps": {"step"}, "train": {"sigmoid"}, "sklearn": {"sigmoid", "relu", "identity", "tanh"}}


def layer(module):
    assert module in LAYERS, f"{module} stands in no layer: give it a row in the map of ARCHITECTURE.md, above what it imports"
    return LAYERS[module]


def test_the_map_names_each_module_once_and_nothing_else():
    names = [name for _, modules, _ in rows() for name in modules]
    assert len(names) == len(set(names))
    assert set(FILES) - FOLDERS <= set(names)
    for name in names:
        assert any((PACKAGE / each).exists() for each in (name, f"{name}.py", f"compiler/kernel/{name}")), f"there is no {name}"
    used = {name for _, _, uses in rows() for name in uses}
    assert used <= set(names)


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_folder_says_what_it_holds_and_does_nothing(folder):
    [docstring] = ast.parse(FILES[folder].read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)


def imports(module):
    """The micrograd modules that a module imports, lazily included; those for type checkers only left out."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    package = (module if FILES[module].name == "__init__.py" else str(Path(module).parent)).strip(".")
    for_types = {inner for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
                 for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "micrograd" for alias in node.names), f"{module}: import . instead"
        if isinstance(node, ast.ImportFrom) and node not in for_types:
            assert (node.module or "").split(".")[0] != "micrograd", f"{module}: import from . instead"
            if node.level:
                home = "" if package == "__init__" else package
                base = Path(home, *[".."] * (node.level - 1), *(node.module or "").split("."))
                for alias in node.names:
                    for target in (base / alias.name, base):
                        name = Path(*resolved(target)).as_posix()
                        if name in FILES:
                            yield name
                            break


def resolved(path):
    parts = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return parts


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    for imported in imports(module):
        assert layer(imported) < layer(module) or (module, imported) in SIDEWAYS, \
            f"{module} (layer {layer(module)}) imports {imported} (layer {layer(imported)})"


@pytest.mark.parametrize("module", [name for name in MODULES if name not in DOORS])
def test_no_import_of_the_package_hides_in_a_function(module):
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            hidden = [ast.unparse(inner) for inner in ast.walk(node) if isinstance(inner, ast.ImportFrom) and inner.level]
            assert set(hidden) <= {LATE.get(module)}, f"{module}, line {node.lineno}: {hidden}"


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("ops", "rows", *DOORS)])
def test_ops_are_not_named_in_strings_outside_the_table(module):
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            known = node.value in ops.OPS and node.value not in ALLOWED.get(module, ())
            assert not known, f"{module}, line {node.lineno}: {node.value!r}; ask the row instead"


def test_the_lower_layers_import_nothing_heavy():
    allowed = {"arguments": {"__future__", "collections.abc", "decimal", "math", "numbers", "typing"},
               "functions": {"__future__", "collections.abc", "math", "typing"},
               "rows": {"__future__", "collections.abc", "functools", "math", "numbers", "string", "typing"},
               "ops": {"__future__", "math", "typing"},
               "caller": {"__future__", "collections.abc", "dis", "os", "sys", "types", "typing", "warnings"},
               "data/dataset": {"__future__", "array", "collections", "collections.abc", "contextlib", "decimal", "math", "numbers", "sys", "typing"},
               "engine": {"__future__", "array", "collections.abc", "itertools", "math", "numbers", "sys", "typing"}}
    for module, names in allowed.items():
        tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
        found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
        assert found <= names
