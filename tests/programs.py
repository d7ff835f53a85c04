"""The programs of benchmarks/, of which tests run a smaller part."""

import importlib.util
from pathlib import Path

import pytest


def benchmark(name):
    """benchmarks/name.py as a module."""
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    if not path.exists():
        pytest.skip("benchmarks/ is not in the sdist")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
