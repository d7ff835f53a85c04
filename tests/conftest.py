"""The suite runs on whichever engine is installed; MICROGRAD_PURE=1 chooses the pure one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before JAX is loaded by anyone: the processor counts as eight devices.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"

# Before SciPy is loaded by anyone: scikit-learn then checks what its estimators do with arrays of other libraries, too.
os.environ["SCIPY_ARRAY_API"] = "1"

import micrograd
from micrograd.compiler.executors import native

# "ci" asks the same of each change; "nightly" asks ten times as much, and something else each night.
alike = {"deadline": None, "database": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, max_examples=100, **alike)
settings.register_profile("nightly", derandomize=False, max_examples=1000, **alike)
settings.load_profile(PROFILE := os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# With the pure engine there is no kernel to test, and nothing is learnt in seconds.
collect_ignore = [] if native is not None else ["test_native.py", "test_learning.py"]


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "dist", "no") == "load":  # pytest -n: a file stays with one worker, which keeps its fixtures
        config.option.dist = "loadfile"
    # Tests send these, and programs inherit that they are ignored: behind `&` in a script, and under nohup.
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
            signal.signal(getattr(signal, name), usual)
    if micrograd.engine_kind() == "pure":
        return
    engine = Path(micrograd.engine.__file__)
    assert native is not None, "the engine is compiled and the kernel is not: compile again (pip install -e .)"
    for built, folder, patterns in ((engine, engine.parent, ["engine.py", "*.pxd"]),
                                    (Path(native.__file__), engine.parent / "compiler" / "kernel", ["*.pyx", "*.c", "*.h"])):
        newest = max((source.stat().st_mtime for pattern in patterns for source in folder.glob(pattern)), default=0.0)
        if newest > built.stat().st_mtime + 1:
            pytest.exit(f"{built.name} is older than its source: compile again (pip install -e .) or set MICROGRAD_PURE=1", 2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a kernel, its tests are left out. At night, the tests that say themselves how many examples they want have
    ten times as many, too."""
    if native is None and (left_out := [item for item in items if item.get_closest_marker("kernel")]):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for test in {item.obj for item in items if isinstance(item, pytest.Function)} if PROFILE == "nightly" else ():
        if own := getattr(test, "_hypothesis_internal_use_settings", None):
            test._hypothesis_internal_use_settings = settings(own, derandomize=False, max_examples=min(1000, 10 * own.max_examples))


@pytest.fixture(autouse=True)
def no_op_stays() -> Iterator[None]:
    """The ops that a test adds leave the table with it."""
    before = dict(micrograd.ops.OPS)
    yield
    if len(before) != len(micrograd.ops.OPS):
        for name in set(micrograd.ops.OPS) - set(before):
            del micrograd.ops.OPS[name]


def pytest_report_header() -> str:
    return f"micrograd {micrograd.__version__}, {micrograd.engine_kind()} engine: {micrograd.engine.__file__}"


# A test may be skipped where a user lacks something (or the system does: Windows has fewer signals), but never on the
# machine that decides what lands. Of a whole file that is skipped pytest-xdist says nothing: its workers tell it here.

skipped: list[str] = []  # of this process, and from its workers


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        skipped.append(f"{report.nodeid}: {report.longrepr}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        skipped.append(f"{report.nodeid}: {report.longrepr}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    skipped.extend(getattr(node, "workeroutput", {}).get("skipped", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["skipped"] = skipped
    elif os.environ.get("CI") and os.name == "posix" and skipped:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        for line in sorted(set(skipped)):
            reporter.write_line(f"skipped, which CI does not allow: {line}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
