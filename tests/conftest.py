"""The suite runs on whichever engine is installed; MICROGRAD_PURE=1 chooses the pure one."""

import os
from pathlib import Path

import pytest

import micrograd


def pytest_configure() -> None:
    engine = Path(micrograd.engine.__file__)
    sources = [engine.with_name(name) for name in ("engine.py", "engine.pxd")]
    newest = max(source.stat().st_mtime for source in sources if source.exists())
    if engine.suffix != ".py" and newest > engine.stat().st_mtime + 1:
        pytest.exit(f"{engine.name} is older than engine.py: compile again (pip install -e .) or set MICROGRAD_PURE=1", 2)


def pytest_report_header() -> str:
    return f"micrograd {micrograd.__version__}, {micrograd.engine_kind()} engine: {micrograd.engine.__file__}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test may be skipped where a user lacks something, but never on the machine that decides what lands."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        for report in reporter.stats["skipped"]:
            reporter.write_line(f"skipped, which CI does not allow: {report.nodeid}: {report.longrepr}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
