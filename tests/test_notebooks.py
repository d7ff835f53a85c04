"""Every notebook runs from top to bottom, somewhere else, without an error or a warning. What they claim, they assert."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS, f"no notebook in {FOLDER}"


# The Jupyter libraries warn of event loops and of themselves; the warnings of a notebook are in its own process.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # the settings and history of no user
    monkeypatch.delenv("MPLBACKEND", raising=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    # A cell that asserts in vain raises CellExecutionError here. The timeout is for one that hangs.
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(elsewhere)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert not [text for text in said if "Warning" in text]  # else: matplotlib tells of its font cache, once
    shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
    assert any("image/svg+xml" in data for data in shown), "draw() shows a picture"
    assert any("image/png" in data for data in shown), "so does matplotlib"
    assert os.listdir(elsewhere) == [], "it leaves no files"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_without_results(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for number, cell in enumerate(notebook.cells):
        assert cell.id == str(number), "ids that do not change at each execution"
        assert not cell.metadata
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert not cell.outputs
