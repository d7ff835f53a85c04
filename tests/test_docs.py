"""Docstrings: those of ops, which are made from their rows, and those of all else that users call. What they say is so."""

import builtins
import copy
import dataclasses
import doctest
import importlib.util
import inspect
import itertools
import math
import pickle
import pydoc
import re

import pytest

import micrograd
from micrograd import Value, ops
from micrograd.formulas.parse import parse

ROWS = [row for row in ops.OPS.values() if row.builtin]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
PLACES = [-1e3, -3.0, -2.5, -1.0, -0.75, -0.5, -0.0, 0.0, 0.5, 0.75, 1.0, 2.0, 2.5, 3.0, 1e3]


@each_row
def test_the_example_is_what_python_prints(row: ops.Op) -> None:
    test = doctest.DocTestParser().get_doctest(row.__doc__ or "", {"micrograd": micrograd}, row.name, None, 0)
    assert len(test.examples) == 4
    assert doctest.DocTestRunner().run(test).failed == 0


@each_row
def test_it_is_in_the_form_that_sphinx_reads(row: ops.Op) -> None:
    lines = (row.__doc__ or "").splitlines()
    assert lines[0].startswith("y = ") and lines[0] != "y = "
    assert row.about and row.about in " ".join(lines)
    assert [line for line in lines if re.fullmatch(r"\w+:", line) and line != "Note:"] == ["Args:", "Returns:", "Example:"]
    assert ("Note:" in lines) == bool(row.note)
    assert max(map(len, lines)) <= 80
    assert [line.split(":")[0].strip() for line in lines[lines.index("Args:") + 1:][:row.arity]] == list(row.arguments)


@each_row
def test_the_derivative_that_it_states_is_the_slope(row: ops.Op) -> None:
    """What is written is read back, and computed where the op is smooth."""
    stated = re.findall(r"^(?:∂y/∂|dy/d)(\w) = (.*)$", row.__doc__ or "", re.M)
    assert [name for name, _ in stated] == list(row.arguments)
    for at in itertools.product((0.75, 1.25, -0.75), repeat=row.arity):
        y = row.value(*at)
        if math.isnan(y) or (row.kink is not None and row.kink(*at) == 0):
            continue
        numbers = dict(zip(row.arguments, at), y=y)
        for i, (_, rule) in enumerate(stated):
            if branches := re.fullmatch(r"(.*) where (.*) > 0, else (.*)", rule):
                rule = branches[1] if computed(branches[2], numbers) > 0 else branches[3]
            assert computed(rule, numbers) == pytest.approx(row.slope(i, y, *at), rel=1e-5, abs=1e-6, nan_ok=True)


def computed(formula: str, numbers: dict[str, float]) -> float:
    """The number of a formula as it stands in a docstring, where a sign of multiplication may be left out."""
    return float(parse(formula, numbers, loosely=True).evaluate(numbers))


@each_row
def test_it_is_defined_where_it_says(row: ops.Op) -> None:
    written = row.defined or "True"
    for sign, python in {" = ": " == ", "≠": "!=", "≤": "<=", "≥": ">=", "−": "-", ",": "", "b whole": "b % 1 == 0"}.items():
        written = written.replace(sign, python)
    for at in itertools.product(PLACES, repeat=row.arity):
        y = row.value(*at)
        defined = eval(written, {}, dict(zip(row.arguments, at)))
        assert not (defined and math.isnan(y)), at
        assert defined or not math.isfinite(y), at


@each_row
def test_its_signature_is_that_of_a_function_of_its_arguments(row: ops.Op) -> None:
    signature = inspect.signature(row)
    assert tuple(signature.parameters) == row.arguments
    assert len(row.arguments) == row.arity
    assert [p.default for p in signature.parameters.values() if p.default is not p.empty] == list(row.defaults)


def test_help_and_the_class() -> None:
    shown = pydoc.render_doc(micrograd.sin, renderer=pydoc.plaintext)
    assert "sin = <op sin>" in shown
    assert "dy/dx = cos(x)" in shown
    assert "_OfRow" not in shown
    assert (ops.Op.__doc__ or "").startswith("One row: ")
    assert "fields" in inspect.signature(ops.Op).parameters
    assert (micrograd.sin.__name__, ops.Op.__name__) == ("sin", "Op")
    assert str(inspect.signature(micrograd.leaky_relu)) == "(x, k=0.01, /)"
    assert pickle.loads(pickle.dumps(micrograd.sin)) is copy.deepcopy(micrograd.sin) is micrograd.sin


def test_some_by_hand() -> None:
    first, *rest = (micrograd.elu.__doc__ or "").split("\n\n")
    assert first == "y = elu(x, k): x where it is positive, else k (e^x − 1)."
    assert rest[:2] == ["∂y/∂x = 1 where x > 0, else y + k", "∂y/∂k = expm1(−ReLU(−x))"]
    assert "Defined for x > 0; beyond that" in (micrograd.log.__doc__ or "")
    assert "abs'(0) = 0" in (micrograd.abs.__doc__ or "")


def test_an_op_of_the_users_own_has_one_too() -> None:
    def slope(y, t):
        return where(micrograd.step(t), 2 * t, 0.0)

    where = micrograd.where
    op = micrograd.op("docs_half_square", lambda t: t * t if t > 0 else 0.0, slope, kink=lambda t: t, note="0 at 0")
    lines = (op.__doc__ or "").splitlines()
    assert lines[0] == "y = docs_half_square(t): an op of your own."
    assert "dy/dt = 2t where t > 0, else 0" in lines
    assert str(inspect.signature(op)) == "(t, /)"
    builtin = micrograd.op("docs_sine", math.sin, lambda *args: micrograd.cos(args[1]))
    assert "dy/dx = cos(x)" in (builtin.__doc__ or "")
    curious = micrograd.op("docs_curious", lambda x: x, lambda y, x: 1.0 if x > 0 else x / x)
    assert "dy/dx = …" in (curious.__doc__ or "")


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_a_method_says_where_to_look(name: str) -> None:
    assert f"micrograd.{name}" in (getattr(Value, name).__doc__ or "")


# All else that users call

MODULES = ["calculus", "check", "interchange", "losses", "nn", "optim", "plots", "sklearn", "symbolic", "train"]
NEEDED = {"plots": "matplotlib", "sklearn": "sklearn"}  # their own tests ask for these
GIVEN = [  # classes that users meet as what they are given
    "look.diagnose.Diagnosis", "look.diagnose.Finding", "look.derivation.Explanation", "look.nudge.Nudge", "mark.report.Answer",
    "mark.report.ClassReport", "mark.report.Mistake", "mark.report.Question", "mark.report.Report", "look.stepper.Stepper",
    "look.steps.Frame", "look.steps.Steps", "compiler.equations.Equation", "compiler.equations.Equations",
]
SECTIONS = ["Args", "Attributes", "Returns", "Yields", "Raises", "Example"]
REFUSED = {"self", "cls", "others", "unknown", "more"}  # the last three are there for what people give by mistake


def public() -> dict[str, object]:
    """Functions, classes and their methods, by the names that they go by."""
    found: dict[str, object] = {}
    things = [getattr(micrograd, name) for name in (*micrograd.__all__, "compile")]
    for name in MODULES:
        if name not in NEEDED or importlib.util.find_spec(NEEDED[name]) is not None:
            module = importlib.import_module(f"micrograd.{name}")
            things += [getattr(module, each) for each in module.__all__]
    for name in GIVEN:
        module, kind = name.rsplit(".", 1)
        things.append(getattr(importlib.import_module(f"micrograd.{module}"), kind))
    for thing in things:
        if callable(thing) and not isinstance(thing, ops.Op):
            found[f"{thing.__module__}.{thing.__qualname__}"] = thing
            if inspect.isclass(thing):
                found |= methods(thing)
    return found


def methods(kind: type) -> dict[str, object]:
    """What the class, or one of ours that it is made of, has of its own; `__call__` where it says something."""
    found: dict[str, object] = {}
    for each in kind.__mro__:
        for name, method in vars(each).items() if each.__module__.startswith("micrograd.") else ():
            called = name == "__call__" and method.__doc__
            if (called or not name.startswith("_")) and (callable(method) or isinstance(method, (classmethod, staticmethod, property))):
                found[f"{each.__module__}.{each.__qualname__}.{name}"] = (
                    method if isinstance(method, property) else getattr(each, name))
    return found


def sections(doc: str) -> dict[str, list[str]]:
    """The lines below each heading, those before the first under "" """
    found: dict[str, list[str]] = {"": []}
    for line in doc.splitlines():
        heading = re.fullmatch(r"(\w+):", line)
        if heading:
            assert heading[1] in SECTIONS and heading[1] not in found, line
        found.setdefault(heading[1], []) if heading else found[list(found)[-1]].append(line)
    return found


def entries(lines: list[str]) -> list[str]:
    """The names that a section explains, of Args or Raises."""
    heads = [line for line in lines if re.match(r"    \S", line)]
    named = [re.fullmatch(r"    ([\w*, ]+): .+", line) for line in heads]
    assert all(named), heads
    return [name.strip(" *") for match in named if match for name in match[1].split(",")]


def signature(thing: object) -> inspect.Signature | None:
    try:
        return inspect.signature(thing)  # type: ignore[arg-type]
    except ValueError:  # Cython keeps that of a class to itself; the pure engine shows it
        return None


THINGS = public()
each_thing = pytest.mark.parametrize("name", THINGS)


@each_thing
def test_it_says_what_goes_in_what_comes_out_and_what_is_raised(name: str) -> None:
    thing = THINGS[name]
    doc = inspect.getdoc(thing) or ""
    found = sections(doc)
    about, *rest = doc.splitlines()
    assert about.strip() and (not rest or not rest[0] or not found.keys() > {""}), "a summary first"
    assert all(any(line.strip() for line in lines) for lines in found.values()), "an empty section"
    assert list(found)[1:] == [title for title in SECTIONS if title in found], "in this order"
    if inspect.isclass(thing) and "Args:" in (made := inspect.getdoc(thing.__init__) or ""):  # type: ignore[misc]
        found["Args"] = sections(made)["Args"]
    method = "." in getattr(thing, "__qualname__", ".")  # a property has none
    if not isinstance(thing, property) and (shape := signature(thing)) and not about.startswith("See micrograd."):
        parameters = [parameter for parameter in shape.parameters if parameter not in REFUSED]
        made_here = inspect.isclass(thing) and "Attributes" in found and "Args" not in found  # no user calls the class
        if not made_here or dataclasses.is_dataclass(thing):
            assert sorted(entries(found.get("Attributes" if made_here else "Args", []))) == sorted(parameters)
        if not inspect.isclass(thing) and (parameters or not method) and shape.return_annotation not in ("None", None, shape.empty):
            assert found.keys() & {"Returns", "Yields"}
    for error in entries(found.get("Raises", [])):
        assert issubclass(getattr(builtins, error, None) or getattr(micrograd, error), BaseException)
    assert method or "Example" in found


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if ">>>" in (inspect.getdoc(thing) or "")])
def test_its_example_is_what_python_prints(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    doc = inspect.getdoc(THINGS[name]) or ""
    for package in re.findall(r"\w+", "".join(re.findall(r"ImportError: where (.*) is missing", doc)).replace(" or ", " ")):
        pytest.importorskip(package, reason=f"needs {package}: pip install {package}")
    test = doctest.DocTestParser().get_doctest(doc, {"micrograd": micrograd}, name, None, 0)
    assert 1 <= len(test.examples) <= 6
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
