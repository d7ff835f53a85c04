"""What setup.cfg cannot say: two modules are compiled, where Cython and a C compiler are at hand.

micrograd/engine.py is the engine, which is otherwise installed as plain Python. micrograd/replay/native.pyx is the
kernel that runs compiled functions, which otherwise run as generated Python. With MICROGRAD_PURE set, neither is
compiled.
"""

import os
import sys

from setuptools import Extension, setup


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
    fast = [] if sys.platform == "win32" else ["-O3"]
    kernel = cythonize(
        Extension("micrograd.replay.native", ["micrograd/replay/native.pyx", "micrograd/replay/kernel.c"],
                  extra_compile_args=fast,
                  depends=[f"micrograd/replay/{name}.h" for name in ("kernel", "machine", "vector")]),
        build_dir="build", language_level=3,
        compiler_directives={**directives, "boundscheck": False, "wraparound": False})
    # A graph has no reference cycles: its nodes need no garbage collector. (no_gc works only when it is set like this.)
    # The free list keeps up to 5 MB of dead nodes for new ones. It hands them out in the order in which they died, and
    # that drifts away from their order in memory: within a processor's cache this does not matter, but beyond it, it
    # costs more than to ask Python for memory.
    get_directive_defaults().update(no_gc=True, freelist=65536)
    # binding=False: the methods of an unbound Value, such as Value.exp, check that they are called on a Value.
    engine = cythonize(Extension("micrograd.engine", ["micrograd/engine.py"]), build_dir="build", language_level=3,
                       compiler_directives={**directives, "binding": False})
    for extension in engine + kernel:
        extension.optional = True  # cythonize() forgets it
    return engine + kernel


setup(ext_modules=extensions())
