"""The shape of the package: imports point down, and the table is the only place that knows ops by name."""

import ast
from pathlib import Path

import pytest

import micrograd
from micrograd import ops

PACKAGE = Path(micrograd.__file__).parent
FILES = {path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"): path
         for path in sorted(PACKAGE.rglob("*.py"))}
LAYERS = [
    {"ops", "outside", "files", "caller", "data/delimited", "data/quantities", "data"},
    {"engine", "data/dataset"},
    {"calculus", "nn", "losses", "optim", "training/progress", "formulas", "look", "mark", "compiler", "compiler/kernel", "training", "formulas/layout", "formulas/parse", "page", "save",
     "compiler/onnx_graph"},
    {"formulas/graph", "formulas/mathml", "terminal", "mark/answer", "compiler/trace", "interchange"},
    {"formulas/algebra", "mark/points", "look/tex", "look/grouping", "formulas/deltas", "formulas/layers", "compiler/program",
     "compiler/batch", "compiler/libraries", "training/checkpoint", "symbolic"},
    {"formulas/factors", "formulas/matrices", "formulas/undefined", "formulas/docs", "compiler/schedule"},
    {"look/draw", "look/steps", "look/explain", "look/diagnose", "look/nudge", "compiler/python_code", "compiler/fuse",
     "compiler/encode", "compiler/plan", "check"},
    {"mark/mistakes", "compiler/arrays", "compiler/notation"},
    {"mark/keys", "compiler/jax_devices", "compiler/equations"},
    {"mark/submission", "training/loop"},
    {"mark/sheets", "mark/report"},
    {"mark/grade", "compiler/api"},
    {"look/stepper", "train", "data/table", "plots"},
    {"sklearn"},
    {"cli/console"},
    {"cli/tables", "cli/expressions"},
    {"cli/demo"},
    {"cli"},
    {"__main__", "__init__"},
]
SIDEWAYS = {("formulas/parse", "formulas/layout"), ("compiler/encode", "compiler/fuse"),
            ("__main__", "cli")}  # as ARCHITECTURE.md has it
# Names of activations as data (the default that a user may type, and which initialisation fits which activation), and
# the heading of a column, a step of the pass, minutes
ALLOWED = {"data/quantities": {"min"}, "nn": {"relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "identity"},
           "look/steps": {"step"}}


def layer(module):
    for number, modules in enumerate(LAYERS):
        if module in modules:
            return number
    raise AssertionError(f"{module} stands in no layer: name it in LAYERS, and import only from the layers below")


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


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module):
    for imported in imports(module):
        assert layer(imported) < layer(module) or (module, imported) in SIDEWAYS, \
            f"{module} (layer {layer(module)}) imports {imported} (layer {layer(imported)})"


@pytest.mark.parametrize("module", [name for name in FILES if name not in ("cli/demo", "__main__", "__init__")])
def test_no_import_of_the_package_hides_in_a_function(module):
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            hidden = [ast.unparse(inner) for inner in ast.walk(node) if isinstance(inner, ast.ImportFrom) and inner.level]
            assert not hidden, f"{module}, line {node.lineno}: {hidden}"


@pytest.mark.parametrize("module", [name for name in FILES if name != "ops" and layer(name) < layer("train")])
def test_ops_are_not_named_in_strings_outside_the_table(module):
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            known = node.value in ops.OPS and node.value not in ALLOWED.get(module, ())
            assert not known, f"{module}, line {node.lineno}: {node.value!r}; ask the row instead"


def test_the_lower_layers_import_nothing_heavy():
    allowed = {"ops": {"__future__", "collections.abc", "decimal", "functools", "math", "numbers", "string", "typing"},
               "caller": {"__future__", "collections.abc", "dis", "os", "sys", "types", "typing", "warnings"},
               "data/dataset": {"__future__", "array", "collections", "collections.abc", "contextlib", "decimal", "numbers", "sys", "typing"},
               "engine": {"__future__", "array", "collections.abc", "itertools", "math", "numbers", "sys", "typing"}}
    for module, names in allowed.items():
        tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
        found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
        assert found <= names
