"""The package in the Python of browsers, Pyodide, run by Node: in_pyodide.py does there what users of JupyterLite do.

The environment variable MICROGRAD_NODE_MODULES names the folder into which npm has installed pyodide and
@hpcc-js/wasm-graphviz: `npm install --prefix FOLDER pyodide @hpcc-js/wasm-graphviz`, and then FOLDER/node_modules.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import graphviz
import in_pyodide
import pytest
import tqdm

import micrograd

MODULES = os.environ.get("MICROGRAD_NODE_MODULES")
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(not (MODULES and NODE), reason="no node, or MICROGRAD_NODE_MODULES names no folder with "
                                                               "npm's pyodide and @hpcc-js/wasm-graphviz")
TESTS = Path(__file__).parent
SECTIONS = [*(section.__name__ for section in in_pyodide.SECTIONS), *in_pyodide.NOTEBOOKS]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    program = tmp_path_factory.mktemp("pyodide") / "program.py"
    program.write_text("import sys\nsys.path[:0] = ['/site', '/clone/tests']\nimport in_pyodide\n"
                       "in_pyodide.WASM_GRAPHVIZ = WASM_GRAPHVIZ\nawait in_pyodide.main()\n")
    folders = {Path(package.__file__).parent: f"/site/{package.__name__}" for package in (micrograd, graphviz, tqdm)}
    folders |= {TESTS.parent: "/clone"}
    done = subprocess.run([NODE, str(TESTS / "pyodide.mjs"), MODULES, str(program),
                           *(f"{folder}={place}" for folder, place in folders.items())],
                          capture_output=True, text=True, encoding="utf-8")
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"section"')]
    return {report["section"]: report for report in said}, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section(section, reports):
    done, output = reports
    assert section in done, f"the page died before this: {output}"
    assert done[section]["wrong"] is None, done[section]["wrong"]
