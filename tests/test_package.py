"""The package as a whole: its public names, and what importing it loads."""

import ast
import configparser
import inspect
import os
import re
import shutil
import subprocess
import sys
from email import message_from_string
from email.message import Message
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import micrograd
from micrograd import ops, packages

PACKAGE = Path(micrograd.__file__).parent
ROOT = Path(__file__).parents[1]


def python(code: str, **environment: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          env={**os.environ, **environment}).stdout.strip()


HIDING = ["abs", "compile", "pow", "round"]  # names of Python's own, which a star import must not hide
PUBLIC = [*micrograd.__all__, *HIDING]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(micrograd, name) is not None


def test_the_public_names_are_all_there_are() -> None:
    assert set(dir(micrograd)) == {*PUBLIC, "__doc__", "__version__"}
    assert len(PUBLIC) == len(set(PUBLIC))
    of_the_engine = {"Value", "engine", "engine_kind", "gradient", "op", "ops", "topological_order"}
    rows = {name for name, row in ops.OPS.items() if row.builtin}
    modules = {home for home in micrograd._LAZY if "." not in home} - {"sklearn"}  # a star import needs no scikit-learn
    assert set(PUBLIC) == {*of_the_engine, *rows, *micrograd._HOME, *modules}


def test_every_row_is_a_function_of_the_package() -> None:
    for name, row in ops.OPS.items():
        if row.builtin:
            assert getattr(micrograd, name) is row


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tensor'"):
        micrograd.Tensor  # noqa: B018


def test_star_import_hides_no_builtin() -> None:
    import builtins
    assert not set(micrograd.__all__) & set(dir(builtins))


def test_what_type_checkers_see_is_what_is_loaded_lazily() -> None:
    tree = ast.parse(inspect.getsource(micrograd))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"]
    seen = {node.module: [alias.asname or alias.name for alias in node.names] for node in block.body if isinstance(node, ast.ImportFrom)}
    assert set(seen.pop(None)) == {module for module in micrograd._LAZY if "." not in module}
    assert seen == {module: ["*"] for module, names in micrograd._LAZY.items() if names}
    for module, names in micrograd._LAZY.items():
        if names:
            assert literal_all(module.replace(".", "/")) == list(names), f"__all__ of {module} and what the package takes from it"
    for module in ("engine", "ops"):
        assert literal_all(module) == getattr(micrograd, module).__all__
    again = {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert again >= {*HIDING, "engine", "ops"} - {"compile"}  # public for a type checker where it is imported as itself


def literal_all(module: str) -> list[str]:
    """`__all__` of a module as type checkers read it."""
    path = next(path for path in (PACKAGE / f"{module}.py", PACKAGE / module / "__init__.py") if path.exists())
    [names] = [ast.literal_eval(node.value) for node in ast.parse(path.read_text(encoding="utf-8")).body
               if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    return names


def test_importing_loads_nothing_heavy() -> None:
    loaded = python("import sys, micrograd; print(*sys.modules)").split()
    heavy = {"numpy", "matplotlib", "graphviz", "click", "tqdm", "dataclasses", "random", "json", "inspect", "subprocess"}
    assert not heavy & (set(loaded) - set(python("import sys; print(*sys.modules)").split()))


def test_the_environment_selects_the_pure_engine() -> None:
    kind = "import micrograd, micrograd.engine as e; print(e.engine_kind(), e is micrograd.engine, e.Value is micrograd.Value)"
    assert python(kind, MICROGRAD_PURE="1") == "pure True True"
    assert python(kind, MICROGRAD_PURE="0") == python(kind, MICROGRAD_PURE="")


def test_no_public_function_shares_its_name_with_a_submodule() -> None:
    submodules = {path.stem for path in Path(micrograd.__file__).parent.iterdir()
                  if path.suffix == ".py" or path.is_dir()}
    functions = {name for name in micrograd.__all__ if not inspect.ismodule(getattr(micrograd, name))}
    assert not submodules & functions


def test_the_types_are_shipped() -> None:
    assert (Path(micrograd.__file__).parent / "py.typed").exists()


def installed(folder: Path, *theirs: str) -> Path:
    """A folder with a copy of the package in which files are another package's, as pip leaves it behind."""
    shutil.copytree(PACKAGE, folder / "micrograd", ignore=shutil.ignore_patterns("__pycache__"))
    about = folder / "micrograd_viz-0.2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: micrograd-viz\nVersion: 0.2.0\n", encoding="utf-8")
    (about / "RECORD").write_text("".join(f"micrograd/{name},,\n" for name in theirs), encoding="utf-8")
    for name in theirs:
        (folder / "micrograd" / name).write_text("class Value: ...\nclass MLP: ...\n", encoding="utf-8")
    return folder


def complaint_of(code: str, folder: Path) -> str:
    """The last line that a program leaves behind for which the package lies in that folder, and nowhere else."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=folder, env=alone)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("theirs", "use"), [
    (["__init__.py", "nn.py"], "import micrograd.engine"),
    (["__init__.py", "engine.py", "nn.py"], "import runpy; runpy.run_module('micrograd', run_name='__main__')"),
    (["engine.py"], "import os; os.environ['MICROGRAD_PURE'] = '1'; import micrograd"),
    (["nn.py"], "import micrograd; micrograd.MLP"),
])
def test_another_package_in_the_same_folder_is_one_clear_error(theirs: list[str], use: str, tmp_path: Path) -> None:
    complaint = complaint_of(use, installed(tmp_path, *theirs))
    replaced = tmp_path / "micrograd" / theirs[0]
    assert complaint == (
        f"ImportError: {replaced} is not that of micrograd-lab: micrograd-viz 0.2.0 was installed into the same folder, and "
        "two packages cannot share it. Keep one: pip uninstall micrograd-viz micrograd-lab, then install micrograd-lab again")


def test_another_package_that_took_our_file_away_with_it(tmp_path: Path) -> None:
    installed(tmp_path)
    (tmp_path / "micrograd" / "__init__.py").unlink()
    complaint = complaint_of("import micrograd.engine", tmp_path)
    assert "__init__.py of micrograd-lab is gone: another package was " in complaint


def test_two_packages_in_two_folders_are_no_matter(tmp_path: Path) -> None:
    assert python(f"import sys; sys.path[:0] = [{str(installed(tmp_path))!r}]; import micrograd; print(micrograd.MLP)")


def test_what_is_to_be_installed_is_an_extra() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["name"] == micrograd.__distribution__ == packages.DISTRIBUTION
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("needed", "to_install"):
                extra = node.args[-1] if node.func.id == "to_install" or len(node.args) == 2 else None
                if isinstance(extra, ast.Constant):
                    assert extra.value in setup["options.extras_require"], f"{path.name}, line {node.lineno}"
    texts = [path for folder in (PACKAGE, ROOT / "tests", ROOT / "docs", ROOT / "benchmarks", ROOT / "notebooks")
             for path in folder.rglob("*") if path.suffix in (".py", ".md", ".ipynb")]
    wrong = re.compile(r"pip install \S?micrograd\[")  # that is another product
    assert not [path.name for path in [*texts, *ROOT.glob("*.md")] if wrong.search(path.read_text(encoding="utf-8"))]


def metadata(**environment: str) -> Message:
    """What a package index is told: the fields, and the README as the payload."""
    with TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "setup.py", "-q", "egg_info", "-e", folder], check=True, capture_output=True, cwd=ROOT,
                       env={**os.environ, "MICROGRAD_PURE": "1", "MICROGRAD_REPOSITORY": "", **environment})
        return message_from_string((Path(folder) / "micrograd_lab.egg-info" / "PKG-INFO").read_text(encoding="utf-8"))


def test_the_page_on_the_index() -> None:
    pytest.importorskip("setuptools", minversion="77.0.3", reason="the metadata is made by setuptools")
    there = metadata(MICROGRAD_REPOSITORY="https://host.example/me/lab/")
    assert (there["Name"], there["License-Expression"], there["Version"]) == ("micrograd-lab", "MIT", micrograd.__version__)
    assert there["Author"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    at = f"https://host.example/me/lab/{{}}/v{micrograd.__version__}/"
    page = there.get_payload()
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page, flags=re.S))
    assert [link for link in links if not link.startswith("https://")] == []
    for link in links:
        for kind in ("raw", "blob"):
            if link.startswith(at.format(kind)):
                file = ROOT / link.removeprefix(at.format(kind))
                assert file.is_file()
                assert (kind == "raw") == (file.suffix in (".svg", ".png"))
    assert sum(link.startswith(at.format("raw")) for link in links) == 1
    assert {url.split(", ")[0] for url in there.get_all("Project-URL")} == {"Homepage", "Documentation", "Changelog", "Issues"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert page.replace(at.format("raw"), "").replace(at.format("blob"), "").strip() == readme
    here = metadata()  # nobody publishes: no address is made up
    assert here.get_payload().strip() == readme
    assert here.get_all("Project-URL") is None


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_runs_what_was_looked_at_and_may_do_little(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: *(.*)", text)
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action)] == []
    assert "\npermissions: {}\n" in text
    jobs = re.split(r"\n  (?=[\w-]+:\n)", text.split("\njobs:")[1])[1:]
    assert all("\n    permissions:\n      " in job for job in jobs)
    assert [job.split(":")[0] for job in jobs if ": write" in job] == ["rehearse", "publish"]


def test_what_is_slow_is_run_every_night() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert ".ci/run ${{ github.event_name == 'schedule' && 'nightly' || '' }}" in workflow and "schedule:" in workflow
    if (ROOT / ".ci").exists():  # it is not in the sdist
        assert "-m 'slow or not slow'" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
        hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
        assert all("==" in each for line in re.findall(r"additional_dependencies: \[(.*)\]", hooks) for each in line.split(","))


def test_the_version_is_in_the_changelog() -> None:
    changelog = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{micrograd.__version__}]" in changelog


def test_a_package_that_is_missing():
    assert packages.needed("json", "x").loads("1") == 1
    with pytest.raises(ImportError, match=r'no_such cannot be loaded \(No module.*: pip install "micrograd-lab\[x\]"$'):
        packages.needed("no_such", "x")
    with pytest.raises(ImportError, match=r"\): pip install no_such$"):
        packages.needed("no_such")


@pytest.mark.parametrize(("package", "use"), [("sklearn", "import micrograd.sklearn"),
                                              ("sympy", "micrograd.to_sympy(micrograd.Value(1.0))"),
                                              ("sympy", "micrograd.from_sympy(1.0)")])
def test_a_package_that_is_missing_is_named_with_its_extra(package: str, use: str) -> None:
    said = python(f"import sys; sys.modules[{package!r}] = None\nimport micrograd\ntry:\n    {use}\n"
                  "except ImportError as error:\n    print(error)")
    assert re.search(rf"{package}.* cannot be loaded .*micrograd-lab\[{package}\]", said), said
