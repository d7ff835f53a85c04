"""The README and the pages of docs/: what they show runs and prints what they say, and every link leads somewhere."""

import doctest
import re
from pathlib import Path

import pytest

from micrograd import ops

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def programs(page: Path) -> list[str]:
    """The blocks of Python that are not a session at the prompt."""
    return [block for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
            if ">>>" not in block]


@each_page
def test_its_sessions(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(ops.OPS)
    results = doctest.testfile(str(page), module_relative=False)
    for name in set(ops.OPS) - before:
        del ops.OPS[name]
    assert results.failed == 0
    assert bool(results.attempted) == (">>>" in page.read_text(encoding="utf-8"))


# By page and by the package that a program is about: the packages that it needs, and the files that it leaves
ABOUT = {("compile", "jax"): (["jax", "safetensors"], [".safetensors"]),
         ("other-libraries", "torch"): (["torch", "safetensors", "onnx"], [".onnx", ".safetensors"]),
         ("other-libraries", "sklearn"): (["sklearn"], []),
         ("other-libraries", "sympy"): (["sympy"], []),
         ("answers", "micrograd"): ([], [])}
ELSEWHERE = {"many-devices": 4}  # run by test_processes.py (three of them, in two processes) and test_interchange.py
PROGRAMS = {(page.stem, next(about for stem, about in ABOUT if stem == page.stem and about in program)): program
            for page in PAGES if page.stem not in ELSEWHERE for program in programs(page)}


def test_each_program_is_run_somewhere() -> None:
    assert list(PROGRAMS) == list(dict.fromkeys(PROGRAMS)) and set(PROGRAMS) == set(ABOUT)
    assert sum(len(programs(page)) for page in PAGES) == len(PROGRAMS) + sum(ELSEWHERE.values())
    assert {page.stem: len(programs(page)) for page in PAGES if page.stem in ELSEWHERE} == ELSEWHERE


@pytest.mark.parametrize("about", ABOUT, ids="-".join)
def test_a_program(about: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                   capsys: pytest.CaptureFixture[str]) -> None:
    needed, files = ABOUT[about]
    for package in needed:
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(PROGRAMS[about], f"{about[0]}.md", "exec"), {})
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == files
    for line in capsys.readouterr().out.splitlines():
        assert line in PROGRAMS[about], "what it prints stands in a comment"


# The links

WRITTEN = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    """The page without what stands in it as code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file() and target.is_relative_to(ROOT), link
            assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_leads_to_everything() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(README))}
    assert linked >= {*PAGES[1:], *(ROOT / "notebooks").glob("*.ipynb"), ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"}
