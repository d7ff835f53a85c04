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

from . import engine, ops, packages as _packages

if not hasattr(engine, "engine_kind"):
    raise _packages.in_the_way(__name__, "engine.py")

from .engine import Value, engine_kind, gradient, topological_order
from .ops import (
    acos, acosh, add, asin, asinh, atan, atan2, atanh, cbrt, ceil, cos, cosh, div, elu, erf, erfc, exp, expm1, floor,
    floordiv, gelu, hypot, identity, leaky_relu, log, log1p, log2, log10, maximum, minimum, mod, mul, neg, op, relu,
    sigmoid, sign, silu, sin, sinh, softplus, sqrt, step, sub, tan, tanh, trunc, where,
)
from .ops import abs as abs, pow as pow, round as round  # as themselves: public for type checkers, without __all__
from .rows import describe as _describe

if TYPE_CHECKING:
    from . import calculus, check, interchange, losses, nn, optim, sklearn, symbolic, train
    from .calculus import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
    from .check import GradientReport, check_gradients
    from .interchange import from_safetensors, from_torch, to_onnx, to_safetensors, to_torch
    from .nn import MLP, Layer, Module, Neuron, Standardizer
    from .optim import SGD, Adam, AdamW
    from .look.diagnose import diagnose
    from .look.draw import draw
    from .look.explain import explain
    from .formulas.layout import latex, text
    from .mark.grade import grade, grade_class
    from .look.nudge import nudge
    from .look.stepper import stepper
    from .look.steps import steps
    from .compiler.api import Compiled, compile as compile
    from .compiler.program import TraceError
    from .symbolic import from_sympy, to_sympy
    from .train import History, accuracy, fit, train_test_split

# What is loaded when it is first asked for: the module, and the names that it gives to the package.
_LAZY = {
    "check": ("GradientReport", "check_gradients"),
    "calculus": ("grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"),
    "nn": ("MLP", "Layer", "Module", "Neuron", "Standardizer"),
    "interchange": ("from_safetensors", "from_torch", "to_onnx", "to_safetensors", "to_torch"),
    "losses": (),
    "optim": ("SGD", "Adam", "AdamW"),
    "train": ("History", "accuracy", "fit", "train_test_split"),
    "look.diagnose": ("diagnose",),
    "look.draw": ("draw",),
    "look.explain": ("explain",),
    "formulas.layout": ("latex", "text"),
    "mark.grade": ("grade", "grade_class"),
    "look.nudge": ("nudge",),
    "look.stepper": ("stepper",),
    "look.steps": ("steps",),
    "compiler.api": ("Compiled", "compile"),
    "compiler.program": ("TraceError",),
    "symbolic": ("from_sympy", "to_sympy"),
    "sklearn": (),  # not in __all__: `from micrograd import *` must do without scikit-learn
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}

# All public names but abs, compile, pow and round, which `from micrograd import *` must not hide. Written out, since
# type checkers read it; a test holds it equal to what there is.
__all__ = [
    "Value", "engine", "engine_kind", "gradient", "op", "ops", "topological_order",

    "add", "sub", "mul", "div", "neg", "mod", "floordiv", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt",
    "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf",
    "erfc", "identity", "sigmoid", "softplus", "relu", "leaky_relu", "elu", "gelu", "silu", "atan2", "hypot",
    "maximum", "minimum", "step", "sign", "floor", "ceil", "trunc", "where",

    "calculus", "check", "interchange", "losses", "nn", "optim", "symbolic", "train",

    "GradientReport", "check_gradients", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp",
    "MLP", "Layer", "Module", "Neuron", "Standardizer", "SGD", "Adam", "AdamW",
    "History", "accuracy", "fit", "train_test_split", "Compiled", "TraceError",
    "from_safetensors", "from_torch", "to_onnx", "to_safetensors", "to_torch", "from_sympy", "to_sympy",
    "diagnose", "draw", "explain", "grade", "grade_class", "latex", "nudge", "stepper", "steps", "text",
]


if not TYPE_CHECKING:  # else every misspelt name would be one of Any
    def __getattr__(name: str) -> Any:
        if name in _HOME:
            module = import_module(f"{__name__}.{_HOME[name]}")
            if not all(hasattr(module, ours) for ours in _LAZY[_HOME[name]]):
                raise _packages.in_the_way(__name__, f"{_HOME[name].replace('.', '/')}.py")
            value = getattr(module, name)
        elif name in _LAZY:
            value = import_module(f"{__name__}.{name}")
        elif name in ops.OPS and ops.OPS[name].builtin:
            return ops.OPS[name]  # a row that is not in the list above, which is there for editors and type checkers
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def _in_notebook(thing: Any) -> dict[str, str]:
    view: dict[str, str] = import_module(f"{__name__}.look.draw").notebook_view(thing)
    return view


def _spelled(words: str) -> str:
    plain: str = import_module(f"{__name__}.terminal").in_signs_of_stdout(words)
    return plain


engine.in_notebook, engine.spelled = _in_notebook, _spelled
_describe(lambda: import_module(f"{__name__}.formulas.docs"))


def __dir__() -> list[str]:
    return sorted([*__all__, "abs", "compile", "pow", "round", "__doc__", "__version__"])
