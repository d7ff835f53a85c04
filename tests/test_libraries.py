"""Every row in every library of arrays, against what the row gives for a number: over its domain, over the whole line, and
at all mixes of edges. Then arguments that are Python floats, float32, ops of a user's own, and what else is asked of a
library."""

import itertools
import math
import random
import subprocess
import sys
import threading
import warnings
from math import inf, nan

import pytest

import micrograd
from micrograd import ops
from micrograd.compiler import libraries
from micrograd.compiler.onnx_graph import OnnxGraph, Tensor, onnx_library
from micrograd.compiler.program import AT_LEAST, DETACHED, GREATER
from micrograd.rows import spelling

np = pytest.importorskip("numpy", reason="NumPy is not installed: pip install numpy")

ROWS = [*(row for row in ops.OPS.values() if row.builtin), GREATER, AT_LEAST, DETACHED]
HELPERS = [*ops.HELPERS.values()]
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 1e300, -1e300, 1e-300, 800.0, -800.0, inf, -inf, nan]
HINTS = {"numpy": "numpy", "jax": '"micrograd-lab[jax]"', "torch": '"micrograd-lab[torch]"', "onnx": '"micrograd-lab[onnx]"'}

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


class Side:
    """A library, with the ways into it and out of it."""

    def __init__(self, name):
        self.package = pytest.importorskip(name, reason=f"{name} is not installed: pip install {HINTS[name]}")
        self.library = onnx_library() if name == "onnx" else getattr(libraries, f"{name}_library")()

    def __call__(self, function, *columns, dtype="float64"):
        """What the function gives for arrays of these numbers, under jit where there is one, as a NumPy array."""
        with np.errstate(over="ignore"):  # 1e300 as a float32
            columns = [np.asarray(column, dtype=dtype) for column in columns]
        if self.library.name == "numpy":
            found = function(*columns)
        elif self.library.name == "torch":
            found = function(*map(self.package.from_numpy, columns)).numpy()
        elif self.library.name == "onnx":
            found = by_onnxruntime(function, columns, dtype)
        else:
            with x64(self.package):
                found = np.asarray(self.package.jit(function)(*map(self.package.numpy.asarray, columns)))
        assert found.dtype == dtype
        return found

    def compare(self, found, wanted, *limits, **tolerance):
        """As below; but where onnxruntime chooses, it adds 0 to what it chose, and -0 becomes 0."""
        zero = 0.0 if self.library.name == "onnx" else -0.0
        compare(found + zero, wanted + zero, *limits, **tolerance)


def by_onnxruntime(function, columns, dtype):
    """What the graph gives that the function leaves."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install onnxruntime")
    graph = OnnxGraph(dtype)
    graph.inputs = [Tensor(graph, f"x{i}", column.shape, graph.dtype) for i, column in enumerate(columns)]
    found = function(*graph.inputs)
    if not isinstance(found, Tensor):  # all of it was known
        return np.asarray(found)
    session = runtime.InferenceSession(graph.model({"y": found}), providers=["CPUExecutionProvider"])
    return session.run(None, {f"x{i}": column for i, column in enumerate(columns)})[0]


def x64(jax):
    """A context in which JAX has float64; the newer of its two names first."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64
    return enable_x64()


@pytest.fixture(params=list(HINTS), scope="module")
def side(request):
    return Side(request.param)


@pytest.fixture(params=["numpy", "jax", "torch"], scope="module")
def eager(request):
    """Those that have arrays at hand: with all their ways to be picked from, and for functions in Python."""
    return Side(request.param)


@pytest.fixture(scope="module")
def jax_side():
    return Side("jax")


@pytest.fixture(scope="module")
def torch_side():
    return Side("torch")


@pytest.fixture
def own():
    """Two ops of a user's own that take bare floats, and raise what Python's math raises."""
    yield (micrograd.op("root_over", lambda x: math.sqrt(x) / x, lambda y, x: -0.5 * y / x, domain=(0.1, 3.0)),
           micrograd.op("log_times", lambda a, b: math.log(a) * b, lambda y, a, b: b / a, lambda y, a, b: ops.log(a),
                        domain=((0.1, 3.0), (0.1, 3.0))))
    ops.OPS.pop("root_over")
    ops.OPS.pop("log_times")


def points(row):
    """Columns of arguments: from the row's domain; of medium size; of every size; near 1 and -1; and of mixed kinds."""
    rng = random.Random(row.name)
    wide = [lambda: rng.uniform(-40, 40), lambda: rng.uniform(-3, 3), lambda: rng.choice((1, -1)) * 10 ** rng.uniform(-300, 300),
            lambda: rng.choice((1, -1)) * 10 ** rng.uniform(-18, 3), lambda: rng.choice((1, -1)) + 10 ** rng.uniform(-16, 0)]
    rows = [[rng.uniform(*ends) for ends in row.domain] for _ in range(300)]
    rows += [[make() for _ in row.domain] for make in wide for _ in range(300)]
    rows += [[rng.choice(wide)() for _ in row.domain] for _ in range(300 * (row.arity > 1))]
    return list(zip(*rows))


def expected(row, columns, dtype="float64"):
    with np.errstate(all="ignore"):
        columns = [np.asarray(column, dtype=dtype).astype(float) for column in columns]
        return np.vectorize(row.value, otypes=[float])(*columns).astype(dtype)


def compare(found, wanted, relative, tiny):
    """Equal to a relative tolerance, or both at most tiny; inf, nan and the sign of a zero exactly."""
    found, wanted = np.broadcast_arrays(found, wanted)
    with np.errstate(invalid="ignore", over="ignore"):
        near = (found == wanted) | (np.isnan(found) & np.isnan(wanted)) | (
            np.isfinite(wanted) & (abs(found - wanted) <= relative * abs(wanted)))
    near |= (abs(found) <= tiny) & (abs(wanted) <= tiny)
    near &= (found != 0) | (wanted != 0) | (np.signbit(found) == np.signbit(wanted))
    assert near.all(), list(zip(np.argwhere(~near)[:5].tolist(), found[~near][:5], wanted[~near][:5]))


# Libraries round transcendental functions in their own ways. The largest errors that were seen are those of XLA: 5.7e-14
# (erfc far out, sinh, cosh); of the others 7e-16. XLA takes numbers below 2.3e-308 for 0, and silu(-709) is such a number
# times 709.
DOUBLE = {"relative": 2e-13, "tiny": 1e-304}
# In float32, with 6e-8 as half a unit of the last digit: gelu(x) = x/2 * erfc(-x / sqrt 2) multiplies the rounding of its
# argument by x^2, up to 170, before it vanishes. Seen: 1.3e-5 (gelu), 3.7e-6 (erfc), 1.5e-6 (sinh, cosh).
SINGLE = {"relative": 5e-5, "tiny": 1e-35}


# Rows

def test_every_row_is_there_and_no_more(side):
    assert set(side.library.rows) == {*ROWS, *HELPERS}
    assert len(ROWS) == len(ops.OPS) + 3
    assert ops.LEAF not in side.library.rows


def test_a_quotient_is_that_of_ieee_arithmetic(side):
    """Among others too: by what is repeated, by a constant, by a quotient, a root or a power of e, and one after the other."""
    div, root, exp = (side.library.rows[row] for row in (ops.div, ops.sqrt, ops.exp))
    rng = random.Random(5)
    a, b = ([float(rng.randint(1, 59)) for _ in range(3481)] for _ in range(2))
    A, B = np.array(a), np.array(b)
    exactly = [(lambda a, b: div(a, 49.0), A / 49.0), (lambda a, b: div(a, div(b, 3.0)), A / (B / 3.0)),
               (lambda a, b: div(div(a, b), 3.0), A / B / 3.0), (lambda a, b: div(a, b[:1]), A / B[0]),
               (lambda a, b: div(1.0, root(a)), 1.0 / side(root, a)),
               (lambda a, b: div(div(1e-200, 1e-200 * a), 1e-200 * b), 1e-200 / (1e-200 * A) / (1e-200 * B))]
    for function, wanted in exactly:
        assert (side(function, a, b) == wanted).all()
    assert (side(lambda a, b: div(a, exp(b)), a, b) == A / side(exp, b)).all()


@pytest.mark.parametrize("row", [ops.share, ops.inversion], ids=lambda row: row.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_slopes_of_a_hypotenuse_hold_where_it_is_subnormal_or_inf(side, row, dtype):
    small, large, tiny = (5e-324, 1.7e308, 0.0) if dtype == "float64" else (1.4e-45, 3.4e38, 0.0)
    if side.library.name == "jax":  # XLA takes subnormal numbers for 0
        small, tiny = (1e-220, 1e-307) if dtype == "float64" else (1e-30, 1e-37)
    columns = list(zip(*[(x * u, x * v) for x in (small, large) for u, v in ((1, 1), (1, -1), (0, 1), (1, 0))]))
    side.compare(side(side.library.rows[row], *columns, dtype=dtype), expected(row, columns, dtype), 1e-6, tiny)


@each_row
def test_a_row_on_arrays_is_the_row_on_numbers(side, row):
    columns = points(row)
    side.compare(side(side.library.rows[row], *columns), expected(row, columns), **DOUBLE)


@pytest.mark.parametrize("row", HELPERS, ids=lambda row: row.name)
def test_a_private_row_on_arrays_is_the_row_on_numbers(side, row):
    columns = [column[:900] for column in points(row)]  # from its domain, and of medium size
    side.compare(side(side.library.rows[row], *columns), expected(row, columns), **DOUBLE)
    columns = [column[:300] for column in columns]
    singles = side(side.library.rows[row], *columns, dtype="float32")
    side.compare(singles, expected(row, [np.float32(column).astype(float) for column in columns]), **SINGLE)


def test_a_row_that_no_library_has_is_made_of_others(side):
    """What a row says of itself in other rows will do, for arrays as for numbers."""
    row = ops.row("a_row_alone", lambda x: x / (1 + ops.abs(x)), lambda y, x: 1 / (1 + ops.abs(x)) ** 2)
    try:
        known = libraries.spelled_out(spelling(row), side.library.rows)
        side.compare(side(known, [-1.5, 0.25, 1e9]), expected(row, [[-1.5, 0.25, 1e9]]), **DOUBLE)
    finally:
        ops.OPS.pop("a_row_alone")
        ops.ROWS.remove(row)


@each_row
def test_edges_in_every_mix_by_broadcasting(side, row):
    mesh = np.meshgrid(*[EDGES] * row.arity, indexing="ij", sparse=True)
    found = side(side.library.rows[row], *mesh)
    assert found.shape == (len(EDGES),) * row.arity
    side.compare(found, expected(row, mesh), **DOUBLE)


@each_row
def test_float32_stays_float32(side, row):
    columns = [[*column, *edges] for column, edges in zip(points(row), zip(*itertools.product(EDGES, repeat=row.arity)))]
    columns = [[0.0 if 0 < abs(x) < 1.2e-38 else x for x in column] for column in columns]  # XLA takes these for 0
    found = side(side.library.rows[row], *columns, dtype="float32")
    side.compare(found, expected(row, columns, "float32"), **SINGLE)


@pytest.mark.parametrize("row", [row for row in ROWS if row.arity > 1], ids=lambda row: row.name)
def test_python_floats_among_the_arguments(side, row):
    for among in itertools.product((False, True), repeat=row.arity):
        if any(among) and not all(among):
            for number in (0.5, -2.0, 0.0, inf):
                arrays = [EDGES if is_array else number for is_array in among]

                def function(x, among=among, number=number):
                    return side.library.rows[row](*[x if is_array else number for is_array in among])

                found, wanted = side(function, EDGES), expected(row, np.broadcast_arrays(*arrays))
                zero = 0.0 if number == 0 else -0.0  # -0 + 0 is 0, but XLA leaves out what adds 0; x + -0 is x
                side.compare(found + zero, wanted + zero, **DOUBLE)


@pytest.mark.parametrize("number", [1e300, 0.1])
def test_a_python_float_is_rounded_to_the_arrays_dtype(eager, number):
    found = eager(lambda x: eager.library.rows[ops.maximum](x, number), [0.0, inf], dtype="float32")
    with np.errstate(over="ignore"):
        assert found.tolist() == [float(np.float32(number)), inf]


def test_a_condition_may_be_of_another_kind_than_the_branches(eager):
    found = eager(lambda x: eager.library.rows[ops.where](x > 0, x, 0.5), [1.0, -1.0, nan], dtype="float32")
    assert found.tolist() == [1.0, 0.5, 0.5]


def test_an_exponent_of_a_half_is_no_square_root(side):
    """Many libraries take it for one where it repeats; the two differ at -inf and at -0."""
    power = side.library.rows[ops.pow]
    found = [side(power, [[-inf, -0.0]] * 2, [[0.5]] * 2)[0], side(power, [-inf, -0.0], [0.5, 0.5]),
             side(power, [-inf, -0.0], 0.5), side(lambda x: power(x, 0.5), [-inf, -0.0])]
    for one in found:
        assert one.tolist() == [inf, 0.0]
        assert not np.signbit(one).any()


def test_no_samples_and_one_number(side):
    for row in (ops.erf, ops.erfc, ops.gelu, ops.sigmoid, ops.cbrt, DETACHED):
        function = side.library.rows[row]
        assert side(function, np.zeros((0, 3))).shape == (0, 3)
        assert side(function, 0.25).shape == ()


def test_a_sum_of_numpy_is_an_array_of_no_dimensions():
    rows = libraries.numpy_library().rows
    total = np.array([0.25, 0.5]).sum()  # an np.float64, which is a float as well
    assert rows[ops.div](total, 0.0) == inf
    assert rows[ops.erf](total) == pytest.approx(math.erf(0.75), rel=1e-15)


def test_no_derivative_of_jax_passes_a_detached_number(jax_side):
    row = jax_side.library.rows[DETACHED]
    assert jax_side.package.grad(lambda x: x * row(x))(jax_side.package.numpy.asarray(3.0)) == 3.0


def test_no_derivative_of_torch_passes_a_detached_number(torch_side):
    x = torch_side.package.tensor(3.0, requires_grad=True)
    (x * torch_side.library.rows[DETACHED](x)).backward()
    assert x.grad == 3.0


# Ops of a user's own

@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_op_of_floats_is_run_number_by_number(eager, own, dtype):
    for op in own:
        mesh = np.meshgrid(*[EDGES] * op.arity, indexing="ij", sparse=True)
        found = eager(eager.library.opaque(op), *mesh, dtype=dtype)
        wanted = expected(op, mesh, dtype)
        assert found.shape == wanted.shape
        assert found.tobytes() == wanted.tobytes() or np.array_equal(found, wanted, equal_nan=True)


def test_an_op_of_floats_takes_floats_and_no_samples(eager, own):
    root, times = own
    assert eager(lambda x: eager.library.opaque(times)(x, 2.0), [1.0, math.e]).tolist() == [0.0, 2.0]
    assert eager(lambda x: eager.library.opaque(times)(2.0, x), [3.0]).tolist() == [3.0 * math.log(2.0)]
    assert eager(eager.library.opaque(root), np.zeros((0, 3))).shape == (0, 3)
    assert eager(eager.library.opaque(root), 0.25) == 2.0


def test_an_op_of_floats_under_vmap(jax_side, own):
    jax = jax_side.package
    a, b = np.full((5, 4, 1), 2.0), np.array([1.0, 2.0, 3.0])
    found = jax_side(jax.vmap(jax_side.library.opaque(own[1]), in_axes=(0, None)), a, b)
    assert np.array_equal(found, expected(own[1], (a, np.broadcast_to(b, (5, 4, 3)))))


def test_an_op_of_floats_keeps_its_digits_on_another_thread(jax_side, own):
    """JAX calls back from threads of its own, for which float64 was not enabled."""
    jax = jax_side.package
    with x64(jax):
        x = jax.numpy.asarray([1 / 3, 0.1])
        compiled = jax.jit(jax_side.library.opaque(own[0])).lower(x).compile()
    found = []
    thread = threading.Thread(target=lambda: found.append(np.asarray(compiled(x))))
    thread.start()
    thread.join()
    assert found[0].tolist() == [own[0].value(1 / 3), own[0].value(0.1)]


def test_an_op_of_floats_takes_what_torch_differentiates(torch_side, own):
    x = torch_side.package.tensor([0.25], requires_grad=True)
    found = torch_side.library.opaque(own[0])(x)
    assert found.tolist() == [2.0]
    with pytest.raises(TypeError, match=r"root_over is an op of your own, .* take the gradient that comes with the loss"):
        found.sum().backward()  # not 0, without a word


def test_an_op_of_floats_says_that_jax_cannot_differentiate_it(jax_side, own):
    jax = jax_side.package
    slope = jax.grad(lambda x: jax_side.library.opaque(own[0])(x))
    with pytest.raises(TypeError, match=r"root_over is an op of your own, .* take the gradient that comes with the loss"):
        slope(jax.numpy.asarray(0.25))


# Arrays

def test_parts_are_joined_and_multiplied(side):
    library = side.library
    assert side(lambda a, b: library.concatenate([a, b]), [[1.0], [2.0]], [[3.0, 4.0], [5.0, 6.0]]).tolist() == [[1, 3, 4], [2, 5, 6]]
    assert side(library.matmul, [[1.0, 2.0]], [[3.0], [4.0]]).tolist() == [[11.0]]
    assert np.isnan(side(library.matmul, [[inf, 1.0]], [[0.0], [4.0]])).all()


def test_products_are_in_full_precision_on_every_device(jax_side):
    x = np.ones((2, 2), dtype="float32")
    assert "HIGHEST" in str(jax_side.package.make_jaxpr(jax_side.library.matmul)(x, x))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_made_is_like_an_array(eager, dtype):
    library = eager.library
    assert eager(lambda x: library.constant([[0.1, 1e300], [-inf, nan]], x) + x, 0.0, dtype=dtype).shape == (2, 2)
    with np.errstate(over="ignore"):
        wanted = np.array([0.1, 1e300, -0.0]).astype(dtype)
    assert eager(lambda x: library.constant([0.1, 1e300, -0.0], x), [1.0], dtype=dtype).tobytes() == wanted.tobytes()
    assert eager(lambda x: library.constant([], x), [1.0], dtype=dtype).shape == (0,)
    assert eager(lambda x: library.zeros((2, 3), x), [1.0], dtype=dtype).tolist() == [[0.0] * 3] * 2


def test_an_index_picks(eager):
    index = eager.library.index
    x = [[10.0, 1.0], [20.0, 2.0], [30.0, 3.0]]
    assert eager(lambda x: x[index([2, 0, 2], x)], x).tolist() == [x[2], x[0], x[2]]
    assert eager(lambda x: x[index([[2, 0], [1, 1]], x)], x).tolist() == [[x[2], x[0]], [x[1], x[1]]]
    assert eager(lambda x: x[index([], x)], x).shape == (0, 2)


def test_jax_without_float64_says_nothing(jax_side):
    """The arrays are float32 then; the settings of the user are left as they are."""
    jnp, library = jax_side.package.numpy, jax_side.library
    x = jnp.asarray([0.5, -1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [library.rows[ops.leaky_relu](x, 0.01), library.constant([0.1], x), library.zeros((2,), x),
                 x[library.index([1], x)], library.rows[GREATER](x, 0.0), library.matmul(x, x)]
    assert {str(one.dtype) for one in found} == {"float32"}


# The packages

@pytest.mark.parametrize("name", HINTS)
def test_a_missing_package_is_named_with_what_installs_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    make = OnnxGraph if name == "onnx" else getattr(libraries, f"{name}_library").__wrapped__
    with pytest.raises(ImportError) as caught:
        make(*["float64"] * (name == "onnx"))
    assert str(caught.value).endswith(f"pip install {HINTS[name]}")


def test_a_library_is_made_once(side):
    assert Side(side.library.name).library is side.library


def test_no_library_is_loaded_before_it_is_asked_for():
    code = ("import sys, micrograd, micrograd.compiler.libraries\n"
            "print([name for name in ('numpy', 'jax', 'torch') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
