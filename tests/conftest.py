"""The suite runs on whichever engine is installed; MICROGRAD_PURE=1 chooses the pure one."""

from pathlib import Path

import pytest

import micrograd


def pytest_configure(config: pytest.Config) -> None:
    engine = Path(micrograd.engine.__file__)
    sources = [engine.with_name("engine.py"), engine.with_name("engine.pxd")]
    if engine.suffix != ".py" and any(source.stat().st_mtime > engine.stat().st_mtime + 1 for source in sources
                                      if source.exists()):
        pytest.exit(f"{engine.name} is older than engine.py: compile again (pip install -e .), or set MICROGRAD_PURE=1", 2)


def pytest_report_header() -> str:
    return f"micrograd {micrograd.__version__}, {micrograd.engine_kind()} engine: {micrograd.engine.__file__}"
