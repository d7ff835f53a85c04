// Runs a Python program in the Python of browsers: node pyodide.mjs NODE_MODULES PROGRAM FOLDER=PLACE ...
// NODE_MODULES has npm's pyodide and @hpcc-js/wasm-graphviz. Each FOLDER of this machine is seen as PLACE there.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, program, ...folders] = process.argv.slice(2);
const at = (...path) => pathToFileURL(resolve(join(modules, ...path))).href;
const { loadPyodide } = await import(at("pyodide", "pyodide.mjs"));
const py = await loadPyodide({ env: { PYTHONDONTWRITEBYTECODE: "1", HOME: "/home/pyodide" } });
for (const [folder, place] of folders.map((pair) => pair.split("="))) {
    py.FS.mkdirTree(place);
    py.FS.mount(py.FS.filesystems.NODEFS, { root: folder }, place);
}
// What a page takes from the network, `wasm = await run_js("import('https://...')")`, is here that of NODE_MODULES.
py.globals.set("WASM_GRAPHVIZ", at("@hpcc-js", "wasm-graphviz", "dist", "index.js"));
await py.runPythonAsync(readFileSync(program, "utf8"), { filename: program });
