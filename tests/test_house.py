"""The house rules: functions of one screen, files that one can hold in mind, one meaning for a name, plain first lines."""

import ast
from collections import defaultdict
from pathlib import Path

import micrograd

PACKAGE = Path(micrograd.__file__).parent
FILES = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(text) for name, text in FILES.items()}
SCREEN = 60  # lines of a function, without its docstring
PAGES = 500  # lines of a file
LONGER = {"engine.py"}  # one file on purpose, in the order of its story: it is compiled as one


def nodes(*kinds):
    return [(name, node) for name, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, kinds)]


def test_a_function_fits_on_a_screen():
    def length(function):
        docstring = ast.get_docstring(function, clean=False)
        return function.end_lineno - function.lineno + 1 - (len(docstring.split("\n")) if docstring else 0)

    long = {f"{name}: {node.name}": length(node) for name, node in nodes(ast.FunctionDef) if length(node) > SCREEN}
    assert not long


def test_a_file_can_be_held_in_mind():
    long = {name: text.count("\n") for name, text in FILES.items() if text.count("\n") > PAGES and name not in LONGER}
    assert not long


def test_the_name_of_a_class_has_one_meaning():
    homes = defaultdict(set)
    for name, node in nodes(ast.ClassDef):
        homes[node.name].add(name)
    assert not {name: found for name, found in homes.items() if len(found) > 1}


def test_a_docstring_begins_with_what_a_thing_is_or_does():
    """And not with a question: "Whether", "How", "What", "Who", "Which", "Where"."""
    questions = ("Whether ", "How ", "What ", "Who ", "Which ", "Where ")
    found = [f"{name}: {getattr(node, 'name', '')}: {docstring.splitlines()[0]}"
             for name, node in nodes(ast.FunctionDef, ast.ClassDef)
             if (docstring := ast.get_docstring(node)) and docstring.startswith(questions)]
    assert not found


def test_a_truth_value_is_not_a_factor():
    """Words are chosen by `if` and `else`, not by `"s" * (n > 1)`."""
    def is_truth(factor):
        asked = isinstance(factor, ast.Call) and isinstance(factor.func, ast.Name) and factor.func.id in ("bool", "any", "all")
        return asked or isinstance(factor, (ast.Compare, ast.BoolOp)) or (
            isinstance(factor, ast.UnaryOp) and isinstance(factor.op, ast.Not))

    found = [f"{name}, line {node.lineno}: {ast.unparse(node)}" for name, node in nodes(ast.BinOp)
             if isinstance(node.op, ast.Mult) and isinstance(node.left, (ast.Constant, ast.JoinedStr, ast.List))
             and is_truth(node.right)]
    assert not found
