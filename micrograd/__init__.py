"""micrograd: a scalar autograd engine with a computation graph, to look at, step through and learn with.

    from micrograd import Value
    x = Value(3.0, "x")
    y = x * x + 2 * x
    y.backward()
    x.grad                  # 8.0

The engine and the table of operations are loaded at once; everything else when it is first used.
Set MICROGRAD_PURE=1 before the first import to run the engine as plain Python even where it was compiled.
"""

from __future__ import annotations

__version__ = "1.0.0"
__distribution__ = "micrograd-lab"  # the name on the package index, by which `packages.only_ours` knows this file

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if os.environ.get("MICROGRAD_PURE", "0") not in ("", "0"):
    from importlib.util import module_from_spec, spec_from_file_location

    _spec = spec_from_file_location(f"{__name__}.engine", os.path.join(os.path.dirname(__file__), "engine.py"))
    assert _spec is not None and _spec.loader is not None
    sys.modules[_spec.name] = module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])

from . import engine as engine, ops as ops, packages as _packages

if not hasattr(engine, "engine_kind"):
    raise _packages.in_the_way(__name__, "engine.py")

from .engine import *
from .ops import *
from .ops import abs as abs, pow as pow, round as round
from .rows import describe as _describe

if TYPE_CHECKING:  # the same names as below: those in `__all__` of each module
    from . import (
        calculus as calculus, check as check, interchange as interchange, losses as losses, nn as nn, optim as optim,
        sklearn as sklearn, symbolic as symbolic, train as train,
    )
    from .calculus import *
    from .check import *
    from .interchange import *
    from .nn import *
    from .optim import *
    from .look.diagnose import *
    from .look.draw import *
    from .look.explain import *
    from .formulas.layout import *
    from .mark.grade import *
    from .look.nudge import *
    from .look.stepper import *
    from .look.steps import *
    from .compiler.api import *
    from .compiler.compiled import *
    from .compiler.program import *
    from .symbolic import *
    from .train import *

# What is loaded when it is first asked for: the module, and the names that it gives to the package.
_LAZY = {
    "calculus": ("grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp"),
    "check": ("check_gradients", "GradientReport", "Check"),
    "interchange": ("to_torch", "from_torch", "to_safetensors", "from_safetensors", "to_onnx"),
    "losses": (),
    "nn": ("Module", "Neuron", "Layer", "MLP", "Standardizer"),
    "optim": ("Optimizer", "SGD", "Adam", "AdamW",
              "step_decay", "exponential_decay", "linear_decay", "cosine_decay", "warmup"),
    "look.diagnose": ("diagnose",),
    "look.draw": ("draw",),
    "look.explain": ("explain",),
    "formulas.layout": ("latex", "text"),
    "mark.grade": ("grade", "grade_class"),
    "look.nudge": ("nudge",),
    "look.stepper": ("stepper",),
    "look.steps": ("steps",),
    "compiler.api": ("compile",),
    "compiler.compiled": ("Compiled",),
    "compiler.program": ("TraceError",),
    "sklearn": (),
    "symbolic": ("to_sympy", "from_sympy"),
    "train": ("fit", "History", "converged", "train_test_split", "accuracy"),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}

if not TYPE_CHECKING:
    # What `from micrograd import *` brings: all but what would hide a name of Python's own, and what needs scikit-learn
    __all__ = ["engine", "ops", *engine.__all__, *ops.__all__,
               *(name for name in (*_LAZY, *_HOME) if name not in ("compile", "sklearn") and "." not in name)]

    def __getattr__(name: str) -> Any:  # hidden from type checkers: else every misspelt name would be one of Any
        if name in _HOME:
            module = import_module(f"{__name__}.{_HOME[name]}")
            if not all(hasattr(module, ours) for ours in _LAZY[_HOME[name]]):
                raise _packages.in_the_way(__name__, f"{_HOME[name].replace('.', '/')}.py")
            value = getattr(module, name)
        elif name in _LAZY:
            value = import_module(f"{__name__}.{name}")
        elif name in ops.OPS and ops.OPS[name].builtin:
            return ops.OPS[name]  # a row that is not in `ops.__all__`, which is there for editors and type checkers
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted([*__all__, "abs", "compile", "pow", "round", "__doc__", "__version__"])


engine.in_notebook = lambda thing: import_module(f"{__name__}.look.draw").notebook_view(thing)
engine.spelled = lambda words: import_module(f"{__name__}.terminal").in_signs_of_stdout(words)
_describe(lambda: import_module(f"{__name__}.formulas.docs"))
