"""The README's examples run, and print what it says."""

import doctest
from pathlib import Path

from micrograd import ops


def test_the_readme() -> None:
    before = set(ops.OPS)
    results = doctest.testfile(str(Path(__file__).parents[1] / "README.md"), module_relative=False)
    for name in set(ops.OPS) - before:
        del ops.OPS[name]
    assert results.attempted > 10
    assert results.failed == 0
