"""One derivative has one answer: random expressions at kinks, poles and edges, asked in every way there is.

Reverse mode has many forms: `backward`, `gradient`, `grad`, `vjp`, and compiled by whoever runs the program. All have
nan in the same places and the same numbers elsewhere. (What reads a graph is held to `backward` in test_undefined.py;
forward mode may have inf where reverse mode has nan, see ARCHITECTURE.md.)
"""

import math
from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from test_libraries import x64

import micrograd as mg
from micrograd import Value, gradient, ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
BACKENDS = ["python", "native"] if mg.engine_kind() == "compiled" else ["python"]
ROWS = [row for row in ops.OPS.values() if row.builtin and row.arity <= 2]
MILD = [0.0, 1.0, -1.0, 2.0, 0.5, -2.0]
EXTREME = [*MILD, -0.0, 1e-309, 1e-200, 1e300, -1e300, math.inf]


def examples(n):
    return settings(deadline=None, derandomize=True, max_examples=n, database=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@st.composite
def functions(draw, longest=6):
    """A function of two numbers: a few rows on what came before, on constants (0 among them), on branches, and on
    numbers that are taken as they are, by `detach`."""
    steps = draw(st.lists(st.tuples(st.sampled_from([*ROWS, ops.where, "detach"]), st.integers(0, 30), st.integers(0, 30),
                                    st.integers(0, 30)), min_size=1, max_size=longest))
    constants = draw(st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 3.0]), min_size=1, max_size=2))

    def function(x, y):
        stack = [x, y, *constants]
        for row, *places in steps:
            args = [stack[-1 - place % len(stack)] for place in places]
            if row == "detach":
                stack.append(args[0].detach() if isinstance(args[0], Value) else args[0])
            else:
                stack.append(row(*args[:3 if row is ops.where else row.arity]))
        total = x * 0.5 + stack[-1]
        return total + stack[-2] if len(steps) > 1 else total

    function.__doc__ = f"{[(getattr(row, 'name', row), *places) for row, *places in steps]} with {constants}"
    return function


def alike(found, expected, scale):
    """The same, to rounding; nan and inf as such. What rounding of numbers as large as `scale` leaves is no difference."""
    if math.isnan(found) or math.isnan(expected):
        return math.isnan(found) and math.isnan(expected)
    return found == expected or abs(found - expected) <= 1e-10 * max(abs(expected), scale)


def largest(y):
    """The largest number on the way to a derivative, by which rounding is measured; inf where all may be lost."""
    sizes = [abs(x) for node in mg.topological_order(y) for x in (node.data, node.grad, *node.local_derivatives)]
    products = [abs(node.grad * x) for node in mg.topological_order(y) for x in node.local_derivatives]
    return max(x for x in [1.0, *sizes, *products] if not math.isnan(x))


def reverse(function, at):
    """The gradient in every eager way, by name; and the largest number on the way."""
    xs = [Value(x) for x in at]
    y = function(*xs)
    y.backward()
    return {
        "backward": [x.grad for x in xs],
        "gradient": [g.data for g in gradient(y, xs)],
        "grad": mg.grad(function)(*at),
        "vjp": mg.vjp(function, *at)[1](1.0),
    }, largest(y)


def recorded(function, backend, **more):
    """The function compiled; an example in which a branch is chosen by a parameter is none, as that is refused."""
    try:
        return mg.compile(function, backend=backend, verify=0, **more)
    except mg.TraceError:
        reject()


def flat(rows):
    return [x for row in rows for x in row]


def hold(found, scale, function, at):
    expected = found["backward"]
    for name, numbers in found.items():
        for x, y in zip(numbers, expected):
            assert alike(x, y, scale), (function.__doc__, at, name, numbers, expected)


@examples(400)
@given(functions(), st.sampled_from(MILD), st.sampled_from(MILD))
def test_the_gradient_is_one(function, x, y):
    found, scale = reverse(function, (x, y))
    for backend in BACKENDS:
        compiled = mg.compile(function, backend=backend, verify=0)
        found[f"{backend}, one"] = compiled.grad(x, y)
        found[f"{backend}, rows"] = [slopes[1] for slopes in compiled.map([2.5, x], [0.3, y], grad=True)[1]]
    hold(found, scale, function, (x, y))


@examples(400)
@given(functions(), st.sampled_from(EXTREME), st.sampled_from(EXTREME))
def test_the_gradient_is_one_at_the_extremes(function, x, y):
    found, scale = reverse(function, (x, y))
    hold(found, scale, function, (x, y))


@examples(150)
@given(functions(longest=4), st.sampled_from(MILD), st.sampled_from(MILD))
def test_parameters_and_inputs_have_the_same_gradient(function, x, y):
    """What is a constant to one is an input to the other: a rule that looked at constants would not hold."""
    found, scale = reverse(function, (x, y))
    for backend in BACKENDS:
        p = Value(x, "p")
        step = recorded(lambda y, p=p: function(p, y), backend)
        step([y])
        found[f"{backend}, a parameter and an input"] = [p.grad, step.grad(y)]
        q = Value(x)
        function(q, y).backward()
        found[f"a Value and a number, beside {backend}"] = [q.grad, found["backward"][1]]
    hold(found, scale, function, (x, y))


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
@examples(60)
@given(functions(longest=3), st.sampled_from(MILD), st.sampled_from(MILD))
def test_arrays_have_the_same_gradient(library, function, x, y):
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    np = pytest.importorskip("numpy", reason="NumPy is not installed")
    found, scale = reverse(function, (x, y))
    p = [Value(x), Value(y)]
    step = recorded(lambda unused: function(*p), "python", params=p)
    array = module.tensor if library == "torch" else np.array
    with x64(module) if library == "jax" else nullcontext():
        slopes = getattr(step, library)()(array([x, y], dtype=getattr(module, "float64", float)), array([[0.0]]))[1]
        found[library] = [float(slope) for slope in slopes]
    hold(found, scale, function, (x, y))


@examples(300)
@given(functions(longest=3), st.sampled_from(MILD), st.sampled_from(MILD))
def test_second_derivatives_are_one(function, x, y):
    xs = [Value(x), Value(y)]
    first = gradient(function(*xs), xs)
    rows, scale = [], 1.0
    for g in first:
        for v in xs:
            v.grad = 0.0
        g.backward()
        rows.append([v.grad for v in xs])
        scale = max(scale, largest(g))
    found = {"backward": flat(rows), "gradient": [h.data for g in first for h in gradient(g, xs)],
             "hessian": flat(mg.hessian(function)(x, y))}
    for backend in BACKENDS:
        compiled = mg.compile(function, backend=backend, verify=0)
        found[backend] = flat(compiled.hessian(x, y))
    hold(found, scale, function, (x, y))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 8, -1, 0.5])
def test_whole_powers_have_the_same_second_derivatives_beside_inf(n):
    """Compiled, x**1 is x and x**2 is x·x: no factor 0 may come in by x**0, which meets ∞."""
    for at in [(math.inf, 2.0), (math.inf, 1e-309), (math.inf, 0.0), (1.0, math.inf), (1e300, 1e300)]:
        hold({"backward": flat(mg.hessian(lambda x, y: x * y**n)(*at)),
              **{backend: flat(mg.compile(lambda x, y: x * y**n, backend=backend, verify=0).hessian(*at))
                 for backend in BACKENDS}}, 1.0, lambda x, y: x * y**n, at)
    assert mg.hessian(lambda x, y: x * mg.atanh(y**1))(-math.inf, 1e-309)[1][1] == -math.inf


@examples(150)
@given(functions(longest=4), st.sampled_from(MILD), st.sampled_from(MILD))
def test_a_compiled_derivative_is_the_derivative(function, x, y):
    """A function that asks for a gradient itself: recorded, both branches of a `where` are there, and only one counts."""
    _, scale = reverse(function, (x, y))
    expected = mg.grad(function)(x, y)
    for backend in BACKENDS:
        compiled = mg.compile(lambda x, y: list(mg.grad(function)(x, y)), backend=backend, verify=0)
        hold({"backward": expected, backend: compiled(x, y)}, scale, function, (x, y))


@pytest.mark.parametrize("ask", [
    lambda f, x: mg.grad(f)(x), lambda f, x: mg.vjp(f, x)[1](1.0), lambda f, x: mg.jvp(f, (x,), (1.0,))[1],
    lambda f, x: mg.grad(mg.grad(f))(x), lambda f, x: mg.hvp(f, (x,), (1.0,))])
@pytest.mark.parametrize("f", [
    lambda x: mg.where(mg.step(x), mg.sqrt(x), 2 * x), lambda x: mg.where(mg.step(x), mg.log(x) * x, 0.0 * x),
    lambda x: mg.sin(mg.where(mg.step(x), mg.where(mg.step(x - 3), mg.sqrt(x - 3), x), mg.cbrt(x - 1)) * x),
    lambda x: mg.sin(x * x)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_compiled_derivative_knows_nothing_of_the_branch_not_taken(ask, f, backend):
    compiled = mg.compile(lambda x: ask(f, x), backend=backend, verify=0)
    for x in [0.0, -1.0, 2.0, 3.0, 4.0]:
        assert compiled(x) == pytest.approx(ask(f, x), rel=1e-12, abs=1e-15)
        assert compiled.grad(x) == pytest.approx(mg.grad(lambda x: ask(f, x))(x), rel=1e-12, abs=1e-15)
