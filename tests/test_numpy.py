"""NumPy's functions on arrays of Values: the numbers that NumPy has for floats, and the gradient of differences.

NumPy takes the operators and methods of the elements: np.exp(a) calls v.exp() for each. What it has for floats alone
never asks them; of these there is a list, too, with what to write instead.
"""

import math
from math import inf, nan

import pytest

import micrograd
from micrograd import Value

np = pytest.importorskip("numpy", reason="NumPy is not installed: pip install numpy")

X, Y = (0.3, 1.7, -2.4, 0.9), (1.2, -0.7, 2.3, 0.4)  # off all kinks

ONE = """exp expm1 exp2 sin cos tan arctan sinh cosh tanh arcsinh cbrt square reciprocal negative positive absolute fabs
    deg2rad radians rad2deg degrees rint conjugate conj sum prod mean std var nansum nanmean nanstd nanvar median max min
    nanmax nanmin ptp cumsum cumprod nancumsum diff sort flip ravel average nan_to_num round around trapezoid unwrap
    sinc ediff1d vander real linalg.norm atleast_2d trim_zeros"""
POSITIVE = "log log1p log2 log10 sqrt"
INSIDE = "arcsin arccos arctanh"
TWO = """add subtract multiply divide true_divide mod remainder fmod maximum minimum fmax fmin hypot arctan2 dot inner outer
    vdot kron matmul convolve correlate polyval"""
OTHERS = {
    "power": lambda x, y: np.power(np.abs(x), y), "x % 0.7": lambda x, y: x % 0.7, "7 % x": lambda x, y: 7.0 % x,
    "x % -y": lambda x, y: x % -y, "clip": lambda x, y: np.clip(x, -1.0, 1.0), "clip by Values": lambda x, y: np.clip(x, None, y[3]),
    "where": lambda x, y: np.where(x > 0.5, x, y), "select": lambda x, y: np.select([x > 1, x < 0], [x * x, -x], 0.5),
    "weights": lambda x, y: np.average(x, weights=[1.0, 2.0, 3.0, 4.0]), "einsum": lambda x, y: np.einsum("i,i->", x, y),
    "einsum of pairs": lambda x, y: np.einsum("i,j->ij", x, y), "ddof": lambda x, y: np.std(x, ddof=1),
    "axis": lambda x, y: np.std(np.reshape(x, (2, 2)), axis=0), "norm 1": lambda x, y: np.linalg.norm(x, 1),
    "norm inf": lambda x, y: np.linalg.norm(x, inf), "two digits": lambda x, y: np.round(x, 2) * x,
    "trace": lambda x, y: np.trace(np.reshape(x, (2, 2))), "accumulate": lambda x, y: np.add.accumulate(x),
    "reduce": lambda x, y: np.maximum.reduce(x), "softmax": lambda x, y: np.exp(x - x.max()) / np.exp(x - x.max()).sum(),
    "percentile": lambda x, y: np.percentile(x, 30), "linspace": lambda x, y: np.linspace(x[0], x[1], 5),
    "matrix power": lambda x, y: np.linalg.matrix_power(np.reshape(x, (2, 2)), 3),
    "tensordot": lambda x, y: np.tensordot(x, y, axes=1), "roll": lambda x, y: np.roll(x, 1) * y,
    "stack": lambda x, y: np.stack([x, y]) * np.concatenate([x, y]).reshape(2, 4), "cross": lambda x, y: np.cross(x[:3], y[:3]),
    "log-sum-exp": lambda x, y: np.log(np.sum(np.exp(x))), "tile": lambda x, y: np.tile(x, 2) ** 2,
    "meshgrid": lambda x, y: np.meshgrid(x, y)[0] * np.meshgrid(x, y)[1], "triu": lambda x, y: np.triu(np.outer(x, y)),
    "piecewise": lambda x, y: np.piecewise(x, [x < 0, x >= 0], [lambda t: -t * t, lambda t: t * t]),
    "apply": lambda x, y: np.apply_along_axis(np.std, 0, x), "vectorize": lambda x, y: np.vectorize(np.multiply)(x, y),
}


def named(name):
    function = np
    for part in name.split("."):
        function = getattr(function, part, None)  # None: np.trapezoid came with NumPy 2
    return function


def cases():
    for names, change in ((ONE, lambda x: x), (POSITIVE, np.abs), (INSIDE, np.tanh)):
        for name in names.split():
            if named(name):
                yield name, lambda x, y, name=name, change=change: named(name)(change(x))
    for name in TWO.split():
        yield name, lambda x, y, name=name: named(name)(x, y)
    yield from OTHERS.items()


CASES = dict(cases())


def numbers(found):
    """What a function gives, as a flat list of floats."""
    return [float(v.data) if isinstance(v, Value) else float(v) for v in np.ravel(np.asarray(found)).tolist()]


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_those_of_floats_and_the_gradient_that_of_differences(name):
    function = CASES[name]
    x, y = (np.array([Value(number) for number in column]) for column in (X, Y))
    found = np.ravel(np.asarray(function(x, y))).tolist()
    assert numbers(found) == pytest.approx(numbers(function(np.array(X), np.array(Y))), rel=1e-14, abs=1e-14)
    total = sum(weight * v for weight, v in enumerate(found, 1))  # so that no two of them are taken for each other
    assert type(total) is Value
    total.backward()
    for array, column in ((x, X), (y, Y)):
        for i, v in enumerate(array):
            def moved(h, i=i, column=column):
                other = np.array([z + h * (j == i) for j, z in enumerate(column)])
                found = numbers(function(*((other, np.array(Y)) if column is X else (np.array(X), other))))
                return sum(weight * number for weight, number in enumerate(found, 1))

            # Central differences: h² f'''/6 and rounding / h, 1e-10 of the size of the derivatives, at most some hundreds
            assert v.grad == pytest.approx((moved(1e-5) - moved(-1e-5)) / 2e-5, rel=1e-6, abs=1e-6), i


PLAIN = {  # what gives whole numbers or truth values, which have no derivative
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "fix": np.fix, "sign": np.sign, "argmax": np.argmax, "argmin": np.argmin,
    "argsort": np.argsort, "any": np.any, "all": np.all, "count_nonzero": np.count_nonzero, "nonzero": np.nonzero,
    "isreal": np.isreal, "imag": np.imag, "logical_not": np.logical_not, "greater": lambda x: np.greater(x, 0.5),
    "less_equal": lambda x: x <= x[::-1], "searchsorted": lambda x: np.searchsorted(np.sort(x), 0.5),
    "array_equal": lambda x: np.array_equal(x, x), "nanargmax": np.nanargmax, "astype": lambda x: x.astype(float),
}


@pytest.mark.parametrize("name", PLAIN)
def test_functions_that_give_plain_numbers(name):
    found, wanted = PLAIN[name](np.array([Value(number) for number in X])), PLAIN[name](np.array(X))
    assert not any(isinstance(v, Value) for v in np.ravel(np.asarray(found)).tolist())
    assert numbers(found) == numbers(wanted)


def test_floor_divide_and_the_like_are_values_with_slope_zero():
    x, y = (np.array([Value(number) for number in column]) for column in (X, Y))
    for found, wanted in ((x // y, np.array(X) // np.array(Y)), (np.floor_divide(x, 0.7), np.array(X) // 0.7),
                          (np.rint(x), np.rint(X)), (np.round(x), np.round(X)), (7.0 // x, 7.0 // np.array(X))):
        assert numbers(found) == numbers(wanted)
        found.sum().backward()
    assert [v.grad for v in (*x, *y)] == [0.0] * 8


FOR_FLOATS = {  # NumPy never asks the elements here: the call, and what to write
    "isnan": (lambda x: np.isnan(x), lambda x: np.vectorize(Value.isnan)(x)),
    "isinf": (lambda x: np.isinf(x), lambda x: np.vectorize(Value.isinf)(x)),
    "isfinite": (lambda x: np.isfinite(x), lambda x: np.vectorize(Value.isfinite)(x)),
    "logaddexp": (lambda x: np.logaddexp(x, 0.5), lambda x: np.vectorize(Value.logaddexp)(x, 0.5)),
    "divmod": (lambda x: np.divmod(x, 0.7), lambda x: (x // 0.7, x % 0.7)),
    "float_power": (lambda x: np.float_power(x, 2), lambda x: x ** 2),
    "signbit": (lambda x: np.signbit(x), lambda x: x < 0),
    "copysign": (lambda x: np.copysign(x, -1.0), lambda x: -abs(x)),
    "heaviside": (lambda x: np.heaviside(x, 0.0), lambda x: np.vectorize(micrograd.step)(x)),
    "allclose": (lambda x: np.allclose(x, x + 1.0), lambda x: all(abs(x - (x + 1.0)) <= 1e-8)),
}


@pytest.mark.parametrize("name", FOR_FLOATS)
def test_functions_for_floats_alone_refuse_and_can_be_written_otherwise(name):
    by_numpy, written = FOR_FLOATS[name]
    x = np.array([Value(number) for number in X])
    with pytest.raises(TypeError, match="not supported for the input types"):
        by_numpy(x)
    assert numbers(written(x)) == pytest.approx(numbers(by_numpy(np.array(X))), rel=1e-15)


# A single Value

@pytest.mark.parametrize("name", ["exp2", "deg2rad", "radians", "rad2deg", "degrees", "rint", "fabs", "conjugate", "square",
                                  "reciprocal", "round", "around"])
def test_functions_of_a_single_value(name):
    v = Value(0.7)
    found = getattr(np, name)(v)
    assert type(found) is Value
    assert found.data == pytest.approx(float(getattr(np, name)(0.7)), rel=4e-16)


@pytest.mark.parametrize("x", [0.5, -0.0, 1e308, inf, -inf, nan])
def test_what_kind_of_number_a_value_holds(x):
    v = Value(x)
    assert (v.isnan(), v.isinf(), v.isfinite()) == (math.isnan(x), math.isinf(x), math.isfinite(x))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("b", [0.5, -3.0, 1e308, -1e308, inf, -inf, nan])
@pytest.mark.parametrize("a", [0.5, 7.25, -1e16, 1e16, 800.0, inf, -inf, nan])
def test_logaddexp(a, b):
    v, w = Value(a), Value(b)
    y = v.logaddexp(w)
    assert y.data == pytest.approx(float(np.logaddexp(a, b)), rel=4e-16, nan_ok=True)
    if math.isfinite(a) and math.isfinite(b):
        y.backward()
        # sigmoid(a - b) and the other way round; one of them is 1 - sigmoid, with one rounding more
        assert (v.grad, w.grad) == pytest.approx((micrograd.sigmoid(a - b), micrograd.sigmoid(b - a)), rel=5e-16, abs=0)


@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, of the inf
@pytest.mark.parametrize("b", [3.0, -3.0, 0.7, inf])
@pytest.mark.parametrize("a", [5.5, -5.5, 0.1, -0.1, 0.0])
def test_fmod_has_the_sign_of_the_first(a, b):
    v, w = Value(a), Value(b)
    y = np.fmod(v, w)
    assert y.data == math.fmod(a, b)
    y.backward()
    assert (v.grad, w.grad) == (1.0, -math.trunc(a / b))


def test_in_a_compiled_function():
    def loss(x, y):
        both = np.array([x, y])
        return np.std(both) + np.exp2(x) + np.deg2rad(y) + np.round(x) + np.fmod(x, y) + x.logaddexp(y)

    step = micrograd.compile(loss, inputs=2)
    for x, y in zip(X, Y):
        a, b = Value(x), Value(y)
        total = loss(a, b)
        total.backward()
        assert step(x, y) == pytest.approx(total.data, rel=1e-14)
        assert step.grad(x, y) == pytest.approx([a.grad, b.grad], rel=1e-14)
    with pytest.raises(micrograd.TraceError, match=r"reads \.data of a Value that differs"):
        micrograd.compile(lambda x: x * x.isnan())
    with pytest.raises(micrograd.TraceError, match=r"rounds a Value.*micrograd\.floor\(x\)"):
        micrograd.compile(lambda x: np.floor(np.array([x]))[0] * x)
