"""What setup.cfg cannot say: micrograd/engine.py is also compiled, where Cython and a C compiler are at hand.

Without them, or with MICROGRAD_PURE set, the same file is installed as plain Python.
"""

import os

from setuptools import Extension, setup


def compiled_engine():
    if os.environ.get("MICROGRAD_PURE", "0") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Options import get_directive_defaults
    except ImportError:
        return []
    # A graph has no reference cycles: its nodes need no garbage collector. (no_gc works only when it is set like this.)
    # The free list keeps up to 5 MB of dead nodes for new ones. It hands them out in the order in which they died, and
    # that drifts away from their order in memory: within a processor's cache this does not matter, but beyond it, it
    # costs more than to ask Python for memory.
    get_directive_defaults().update(no_gc=True, freelist=65536)
    # binding=False: the methods of an unbound Value, such as Value.exp, check that they are called on a Value.
    directives = {"annotation_typing": False, "cdivision": True, "binding": False, "embedsignature": True,
                  "embedsignature.format": "clinic"}
    [engine] = cythonize(Extension("micrograd.engine", ["micrograd/engine.py"]), build_dir="build", language_level=3,
                         compiler_directives=directives)
    engine.optional = True  # cythonize() forgets it
    return [engine]


setup(ext_modules=compiled_engine())
