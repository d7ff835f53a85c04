"""Numbers that are taken out of a graph: who computes with them is warned, who looks at them is not."""

import math
import re
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import micrograd
from micrograd import Value, caller

v, w = Value(0.5, "v"), Value(2.0)


class Unit:
    def __init__(self) -> None:
        self.squash, self.plain = math.tanh, float

    def __call__(self, x: Any) -> Any:
        return self.squash(x)


NAMES = {"v": v, "w": w, "unit": Unit(), "squash": math.tanh, "plain": float, "yes": True, "sin": math.sin, "Value": Value,
         "micrograd": micrograd, "np": import_module("numpy"),
         **{name: import_module(name) for name in ("array", "cmath", "math", "random", "statistics", "struct")}}

# Each computes with the number of a Value in a way that records nothing.
COMPUTES = """
math.sin(v)
w*math.sin(v)
sin(v)
squash(v)
unit.squash(v)
unit(v)
(lambda f: f(v))(math.exp)
1 + (2 * math.exp(v)) ** 2
math.pow(v, 2)
math.pow(2, v)
math.atan2(1.0, v if yes else w)
math.log(v, 2)
math.fabs(v) if v > 0 else 0
math.sin(math.cos(0.5) + v)
math.gamma(v)
f"{math.sqrt(v):.3f}"
str(math.cos(v))
dict(a=math.log(v), b=2)
[math.sin(x) for x in [v, w]]
{k: math.sin(x) for k, x in enumerate([v, w])}
list(math.sin(x) for x in [v, w])
cmath.exp(v)
micrograd.grad(math.sin)(1.0)
micrograd.value_and_grad(math.sin)(1.0)
micrograd.jvp(math.sin, (1.0,), (1.0,))
micrograd.grad(lambda x: x * math.cos(x))(1.0)
np.interp(v, [0, 1], [1, 2])
np.vectorize(math.sin)([v, w])
statistics.NormalDist(0, 1).pdf(v)
random.lognormvariate(v, 0.1)
"""

# Each looks at the number, or asks for it by name, or records what it does.
LOOKS = """
float(v)
plain(v)
unit.plain(v)
(lambda f: f(v))(float)
(float if yes else math.sin)(v)
(math.sin if not yes else float)(v)
math.sin(float(v))
math.sin(v.data)
math.sqrt(0.5) + float(v) * math.cos(1.0)
math.pow(float(v), float(w))
math.sin(*map(float, [v]))
math.fsum(map(float, [v, w]))
math.fsum([v, w])
math.dist([v, w], [0.0, 1.0])
[float(x) for x in [v, w]]
list(map(float, [v, w]))
f"{v:.3f}"
f"{v}"
"%.3f, %g" % (v, w)
"%.3f" % v
"{:.2f}".format(v)
str(v)
int(v)
complex(v)
round(v, 1)
v < w
max(v, w), min(v, 1.0), sorted([w, v])
math.isnan(v), math.isinf(v), math.isfinite(v), math.isclose(v, w)
math.floor(v), math.ceil(v)
math.sin(v.detach())
array.array("d", [v])
struct.pack("d", v)
np.float64(v)
np.array([v, w], dtype=float)
np.asarray([v, w], float)
np.full(2, v, dtype=float)
np.vectorize(float)([v, w])
np.zeros(1).fill(v)
np.random.default_rng(0).choice(2, p=[v, Value(0.5)])
np.sin(v), np.sin([v, w])
np.ones(2) * v
statistics.fmean([v, w])
random.gauss(v, 1.0), random.choices([0, 1], weights=[v, w])
micrograd.sin(v), v.sin()
micrograd.grad(micrograd.sin)(1.0)
micrograd.grad(lambda x: x * float(x))(1.0)
"""


def warned(code: str) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        exec(compile(code, "<a cell>", "exec"), dict(NAMES))
    return [f"{each.category.__name__}, {each.filename}: {each.message}" for each in found]


@pytest.mark.parametrize("code", COMPUTES.split("\n")[1:-1])
def test_who_computes_with_a_number_is_warned(code: str) -> None:
    for shape in ("{}", "def f():\n    return 1, [{}]\nf()", "for _ in [0]:\n    try:\n        1 / 0\n"
                  "    except ArithmeticError:\n        y = w, {}\n"):
        found = warned(shape.format(code))
        assert found, f"in {shape!r}"
        for each in found:
            assert re.match(r"RuntimeWarning, (<a cell>|.*test_caller.py): (\w+)\.(\w+) takes the bare number out of a "
                            r"Value, and no derivative passes through it: write ", each), each


@pytest.mark.parametrize("code", LOOKS.split("\n")[1:-1])
def test_who_looks_at_a_number_is_not(code: str) -> None:
    for shape in ("{}", "def f():\n    return 1, [{}]\nf()", "for _ in [0]:\n    try:\n        1 / 0\n"
                  "    except ArithmeticError:\n        y = w, {}\n", "math.sin(1.0) + math.cos(len([{}]))"):
        assert not warned(shape.format(code)), f"in {shape!r}"


def test_the_warning_says_what_to_write() -> None:
    for code, instead in (("math.sin(v)", "write micrograd.sin(x) or x.sin(); or math.sin(float(x)) where only"),
                          ("math.atan2(v, w)", "write micrograd.atan2;"), ("math.fabs(v)", r"write abs(x);"),
                          ("math.pow(v, 2)", "write micrograd.pow;"), ("math.gamma(v)", "functions of micrograd;"),
                          ("cmath.sin(v)", "cmath.sin takes")):
        assert instead in warned(code)[0]


def test_one_warning_a_line_at_the_users_line() -> None:
    code = "for i in range(5):\n    x = Value(i / 10)\n    y = x * math.sin(x)\n    z = math.cos(x)\n"
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        exec(compile(code, "homework.py", "exec"), dict(NAMES))
    assert [(each.filename, each.lineno) for each in found] == [("homework.py", 3), ("homework.py", 4)]


def test_an_error_where_warnings_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match=r"math\.sin takes"):
            math.sin(v)
        assert float(v) == 0.5


def test_one_place_that_calls_now_this_and_then_that() -> None:
    def apply(f: Callable[[Any], Any]) -> Any:
        return f(v)

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for f in (float, math.sin, float, micrograd.sin, math.cos):
            apply(f)
    assert [str(each.message).split()[0] for each in found] == ["math.sin", "math.cos"]


def test_a_library_that_computes_with_a_number_knows_what_it_does() -> None:
    code = compile("import math\ny = math.log10(v)", "/x/site-packages/plots/axis.py", "exec")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(code, {"v": v, "__name__": "plots.axis"})


def test_under_a_tracer_it_is_the_same() -> None:
    def tracer(frame: Any, event: str, argument: Any) -> Any:
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        computes, looks = warned("w * math.sin(v)"), warned("w * float(v)")
    finally:
        sys.settrace(before)
    assert computes and not looks


def test_many_places_are_forgotten_and_read_again() -> None:
    for _ in range(2):
        for i in range(caller.MOST + 10):
            exec(f"float(v) if {i} else 0", {"v": v})
        assert len(caller.paths) <= caller.MOST and warned("math.sin(v)") and not warned("float(v)")


def test_plots_are_silent() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    figure, ax = plt.subplots()
    values = [Value(i / 4) for i in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax.plot(values, values)
        ax.scatter(values, [2 * x for x in values])
        ax.bar(values, values)
        ax.axhline(v)
        ax.text(v, v, "v")
        ax.set_yscale("log")
        figure.canvas.draw()
    plt.close(figure)


def test_numbers_of_sympy_keep_the_graph() -> None:
    sympy = pytest.importorskip("sympy")
    x = Value(3.0)
    y = sympy.Rational(1, 2) * x + sympy.Integer(2) - x / sympy.Rational(3, 1)
    assert isinstance(y, Value)
    y.backward()
    assert x.grad == 0.5 - 1 / 3
    assert sympy.Rational(5, 2) < x and not sympy.Rational(7, 2) < x
    for wrong in (lambda: sympy.Symbol("s") * x, lambda: x * sympy.pi, lambda: sympy.sin(x)):
        with pytest.raises((TypeError, sympy.SympifyError)):
            wrong()
    with pytest.raises(sympy.SympifyError, match=re.escape("give float(v), where only its number is wanted")):
        sympy.sympify(x)
    assert sympy.sympify(float(x)) == 3.0
