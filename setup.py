"""What setup.cfg cannot say: two modules are compiled, where Cython and a C compiler are at hand, and the README's
links are made to work on a package index.

micrograd/engine.py is the engine, which is otherwise installed as plain Python. micrograd/compiler/kernel/native.pyx is
the kernel that runs compiled functions, which otherwise run as generated Python. With MICROGRAD_PURE set, neither is
compiled.

MICROGRAD_REPOSITORY is the address of the repository, https://host/owner/name, and set by whoever publishes (the
workflow does). The metadata then names it, and the README shows its pictures and links its files at the tag of this
version. Without it they stay as they are, and no address is made up.
"""

import os
import re
import sys
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).parent
LINK = re.compile(r"(!?)(\[[^]]*\])\((?![a-z]+:|#)([^)\s]+)\)")  # in Markdown: ![a picture](here) or [a file](here)


def addresses():
    """The fields that say where the project lives."""
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    repository = os.environ.get("MICROGRAD_REPOSITORY", "").rstrip("/")
    if not repository:
        return {"long_description": readme}
    package = (HERE / "micrograd" / "__init__.py").read_text(encoding="utf-8")
    tag = "v" + re.search('^__version__ = "(.+)"', package, re.M)[1]
    return {"project_urls": {"Homepage": repository,
                             "Documentation": f"{repository}/blob/{tag}/README.md",
                             "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
                             "Issues": f"{repository}/issues"},
            "long_description": LINK.sub(lambda link: f"{link[1]}{link[2]}({repository}/"
                                         f"{'raw' if link[1] else 'blob'}/{tag}/{link[3]})", readme)}


def extensions():
    if os.environ.get("MICROGRAD_PURE", "0") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Options import get_directive_defaults
    except ImportError:
        return []
    directives = {"annotation_typing": False, "cdivision": True, "embedsignature": True,
                  "embedsignature.format": "clinic"}
    # -g0: Python's own flags may ask for debug information, which is four fifths of what comes out.
    small = [] if sys.platform == "win32" else ["-g0"]
    stripped = ["-Wl,-s"] if sys.platform == "linux" else []
    fast = [] if sys.platform == "win32" else ["-O3"]
    folder = "micrograd/compiler/kernel"
    kernel = cythonize(
        Extension("micrograd.compiler.kernel.native", [f"{folder}/native.pyx", f"{folder}/kernel.c"],
                  extra_compile_args=fast + small, extra_link_args=stripped,
                  depends=[f"{folder}/{name}.h" for name in ("kernel", "machine", "vector")]),
        build_dir="build", language_level=3,
        compiler_directives={**directives, "boundscheck": False, "wraparound": False})
    # A graph has no reference cycles: its nodes need no garbage collector. (no_gc works only when it is set like this.)
    # The free list keeps up to 5 MB of dead nodes for new ones. It hands them out in the order in which they died, and
    # that drifts away from their order in memory: within a processor's cache this does not matter, but beyond it, it
    # costs more than to ask Python for memory.
    get_directive_defaults().update(no_gc=True, freelist=65536)
    # binding=False: the methods of an unbound Value, such as Value.exp, check that they are called on a Value.
    engine = cythonize(Extension("micrograd.engine", ["micrograd/engine.py"], extra_compile_args=small,
                                 extra_link_args=stripped),
                       build_dir="build", language_level=3, compiler_directives={**directives, "binding": False})
    for extension in engine + kernel:
        extension.optional = True  # cythonize() forgets it
    return engine + kernel


setup(ext_modules=extensions(), **addresses())
