"""Programs: every row of the table and its derivatives, run as they are recorded, also where branches meet."""

import itertools
import math
import re

import pytest

import micrograd as m
from micrograd import MLP, Value, gradient, losses, ops, where
from micrograd.compiler import executors
from micrograd.compiler.gradient import gradient as differentiate
from micrograd.compiler.program import (
    AT_LEAST,
    DETACHED,
    FIXED,
    GREATER,
    INPUT,
    MEAN,
    TOTAL,
    UNIFORM,
    VARYING,
    Node,
    Program,
    TraceError,
    simplified,
)
from micrograd.compiler.trace import record

BACKENDS = ["python"] + (["native"] if executors.native is not None else [])
ROWS = [row for row in ops.OPS.values() if row.builtin]
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the engine warns of inf and nan

# The kernel's functions are good to the last digit or two; a derivative adds up a few such numbers, of which a large one may
# cancel against another.
CLOSE = 1e-12


@pytest.fixture
def user_op():
    """Makes ops, and takes them out of the table again."""
    names = []

    def make(name, *rest, **options):
        names.append(name)
        return m.op(name, *rest, **options)

    yield make
    for name in names:
        ops.OPS.pop(name, None)


def assert_same(found, expected, scale=1.0):
    """Equal, or both nan, or apart by some roundings of numbers up to the scale."""
    found, expected = list(found), list(expected)
    assert len(found) == len(expected)
    for x, y in zip(found, expected):
        assert x == y or (x != x and y != y) or abs(x - y) <= CLOSE * max(scale, abs(y)), (found, expected)


def eagerly(function, samples):
    """For each sample the value, the gradient and the Hessian by the engine; and the largest finite number that entered."""
    found = []
    for sample in samples:
        xs = [Value(x) for x in sample]
        y = m.engine.as_value(function(*xs))
        slopes = gradient(y, xs)
        curves = [gradient(slope, xs) for slope in slopes]
        everything = m.topological_order(y, *slopes, *itertools.chain(*curves))
        scale = max([1.0, *[abs(node.data) for node in everything if math.isfinite(node.data)]])
        y.backward()
        found.append((y.data, [x.grad for x in xs], [[d.data for d in row] for row in curves], scale))
    return found


def check(function, samples, backend, curves=True, inputs=None):
    """Value, gradient and Hessian by the inputs at each sample."""
    samples = [[float(x) for x in sample] for sample in samples]
    step = m.compile(function, backend=backend, verify=0, inputs=inputs)
    values, slopes = step.map(*zip(*samples), grad=True)
    slopes = slopes if isinstance(slopes, tuple) else (slopes,)
    for i, (y, by_input, second, scale) in enumerate(eagerly(function, samples)):
        at = f"at {samples[i]}"
        assert_same([values[i]], [y], scale), at
        assert_same([slope[i] for slope in slopes], by_input, scale)
        if curves:
            for found, expected in zip(step.hessian(*samples[i]), second):
                assert_same(found, expected, scale)
    return step


def grid(row, fractions=(0.03, 0.27, 0.5, 0.68, 0.97)):
    """Points of the row's domain."""
    return [*itertools.product(*[[low + f * (high - low) for f in fractions] for low, high in row.domain])]


# Every row

@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_with_its_first_and_second_derivatives(row, backend):
    if row is ops.where:
        check(lambda c, a, b: where(c, a * a, b * a), [(1.0, 2.0, 3.0), (0.0, 2.0, 3.0)], backend)
        return
    check(row if row.arity == 1 else lambda a, b: row(a, b), grid(row), backend, inputs=row.arity)
    check(lambda a, b: row(*[a, b][:row.arity]) * b, [(*args, 0.5)[:2] for args in grid(row)], backend)


EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-300, 30.0, -30.0, 800.0, -800.0, 1e300, -1e300, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.arity <= 2], ids=lambda row: row.name)
def test_every_row_at_kinks_edges_and_beyond(row, backend):
    samples = [*itertools.product(EDGES, repeat=row.arity)]
    if row.name in ("sin", "cos", "tan"):
        samples = [sample for sample in samples if not 1e10 < abs(sample[0]) < math.inf]  # another argument reduction
    check(lambda *xs: row(*xs), samples, backend, curves=False, inputs=row.arity)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.arity == 2], ids=lambda row: row.name)
def test_constants_on_either_side(row, backend):
    """The engine differentiates nothing by a constant: no log of a negative base, no inf * 0."""
    for c in (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0):
        samples = [(x,) for x in (-2.0, -1.0, 0.0, 0.5, 1.0, 2.5, math.inf, math.nan)]
        check(lambda x, c=c: row(x, c), samples, backend, curves=False, inputs=1)
        check(lambda x, c=c: row(c, x), samples, backend, curves=False, inputs=1)
        p = Value(c)
        for order in (lambda x, p=p: (x, p), lambda x, p=p: (p, x)):
            step = m.compile(lambda x, order=order: row(*order(x)), backend=backend, verify=0)
            for (x,) in samples:
                node = Value(x)
                p.grad = 0.0
                y = row(*order(node))
                y.backward()
                value, (slope,) = step.value_and_grad([x])
                assert_same([value, slope, step.grad(x)], [y.data, p.grad, node.grad], max(1.0, abs(y.data) if math.isfinite(y.data) else 1.0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [*range(-3, 10), 0.5, -0.5, 2.5])
def test_powers(n, backend):
    samples = [(x,) for x in (0.0, -0.0, 1.0, -1.0, 0.3, -0.7, 3.0, -4.0, 1e60, -1e150, 1e-60, -1e-200, math.inf, -math.inf, math.nan)]
    check(lambda x: x**n, samples, backend, curves=False)
    check(lambda x: x**n, [(x,) for x in (0.3, 3.0, 1.0, *([-0.7, -4.0] if n == int(n) else []), *([0.0] if n >= 2 else []))], backend)
    check(lambda x: n**x if n > 0 else (x * x + 1) ** n, [(0.0,), (1.0,), (-2.5,), (0.3,)], backend)


def test_small_powers_are_products_and_large_ones_are_not():
    for n in range(2, 9):
        found = simplified(record(lambda x, n=n: x**n))
        assert set(found.ops) - {ops.CONSTANT} == {INPUT, ops.mul}
    for n in (0.0, 9.0, 0.5, -2.0):
        assert ops.pow in simplified(record(lambda x, n=n: x**n)).ops


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("compare", [lambda a, b: a > b, lambda a, b: a >= b, lambda a, b: a < b, lambda a, b: a <= b])
def test_comparisons(compare, backend):
    check(lambda a, b: where(compare(a, b), a * a, b), [*itertools.product(EDGES, repeat=2)], backend, curves=False)
    step = m.compile(lambda a, b: compare(a, b) * a + compare(a, 1), backend=backend, verify=0)
    for a, b in itertools.product((-1.0, 0.0, 1.0, 2.0), repeat=2):
        assert step(a, b) == compare(a, b) * a + compare(a, 1)
        assert step.grad(a, b) == (float(compare(a, b)), 0.0)


# Branches

SELDOM = {
    "log": lambda x, y: where(x > 0, m.log(x), -x),
    "log, by the other side": lambda x, y: where(x <= 0, y, m.log(x) * y),
    "sqrt": lambda x, y: where(x, m.sqrt(x * x), 0.0) + y,
    "1/x": lambda x, y: where(x, y / x, x + y),
    "1/x of a computed x": lambda x, y: where(x * y, 1 / (x * y), 0.0),
    "overflow of exp": lambda x, y: where(x < 100, m.exp(x), y * x),
    "overflow of exp before a branch": lambda x, y: where(x < 100, 1 / (1 + m.exp(-10 * x)), 1.0) * y,
    "nested": lambda x, y: where(x > 0, where(y > 0, m.log(x) * m.log(y), x), where(y, 1 / y, y)),
    "nested in the condition": lambda x, y: where(where(x > 0, m.log(x), 0.0), x / y, y),
    "chained": lambda x, y: where(x > 1, m.log(x - 1), where(x > 0, m.sqrt(x), where(y, x / y, x))),
    "shared by both branches": lambda x, y: shared(x, y, m.exp(x)),
    "shared with the outside": lambda x, y: shared(x, y, x * y) + m.tanh(x * y),
    "shared by two wheres": lambda x, y: twice(x, y, x * x + 1),
    "the same condition twice": lambda x, y: where(x > 0, m.log(x), 0.0) * where(x > 0, 1 / x, y),
    "branch of a branch": lambda x, y: where(x > 0, m.log(where(x > 0, x, 1.0)), y),
    "a branch is an input": lambda x, y: where(x > 0, x, y) * y,
    "a branch is a constant": lambda x, y: where(x > 0, 2.0, m.log(-x)) * y,
    "both are constants": lambda x, y: where(x > 0, 2.0, 3.0) * y,
    "both are the same": lambda x, y: where(x > y, x * y, x * y),
    "the condition is a branch": lambda x, y: where(x, x, y),
    "the condition depends on a branch": lambda x, y: condition_and_branch(x, y, 1 / x),
    "a branch in a sum of many": lambda x, y: sum([x, y, where(x > 0, m.log(x), y), where(y, 1 / y, x), x * y]),
    "a deep branch": lambda x, y: where(x > 0, m.tanh(m.log(m.sqrt(x) * y * y)) ** 3, x),
    "derivatives of a branch": lambda x, y: gradient(where(x > 0, m.exp(x / 1000) * y, x * y), x),
    "detached": lambda x, y: where(x > 0, m.log(x).detach() * y, x * y),
}
POINTS = [*itertools.product([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1000.0, -1000.0], repeat=2)]


def shared(x, y, z):
    return where(x > 0, z * m.log(x), z + y)


def twice(x, y, z):
    return where(x > 0, z / x, z) + where(y > 0, z * m.log(y), 2 * z)


def condition_and_branch(x, y, z):
    return where(x, where(z > 0, z * y, -z), y)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", SELDOM)
def test_branches_that_are_not_taken_are_not_felt(case, backend):
    check(SELDOM[case], POINTS, backend, curves=False)
    finite = [point for point in POINTS if all(x == x and abs(x) < math.inf for x in itertools.chain(*eagerly(SELDOM[case], [point])[0][2]))]
    assert finite
    check(SELDOM[case], finite, backend)


def by_parameters(function, parameters, samples, backend):
    """The mean and its gradient by the parameters."""
    step = m.compile(function, params=parameters, backend=backend, verify=0)
    total, slopes, scale = 0.0, [0.0] * len(parameters), 1.0
    for sample in samples:
        for p in parameters:
            p.grad = 0.0
        y = m.engine.as_value(function(*map(Value, sample)))
        y.backward()
        total += y.data / len(samples)
        slopes = [slope + p.grad / len(samples) for slope, p in zip(slopes, parameters)]
        scale = max([scale, *[abs(x) for node in m.topological_order(y) for x in (node.data, node.grad) if math.isfinite(x)]])
    value, found = step.value_and_grad(*zip(*samples))
    assert_same([value, *found], [total, *slopes], scale)


def two_of_three(x, z):
    return where(x > 1.6, z, x) + where(x > 2.5, z * x, 1.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_parameters_inside_of_branches(backend):
    p, q, zero = Value(0.7, "p"), Value(-1.5, "q"), Value(0.0, "zero")
    some, none, every = [(x,) for x in (-1.0, 2.0, 3.0, -5.0)], [(-1.0,), (-2.0,)], [(1.0,), (2.0,)]
    functions = [
        lambda x: where(x > 0, x * m.exp(p), 0.0),
        lambda x: where(x > 0, m.exp(p) * q, p * q * x),
        lambda x: where(x > 0, m.log(zero + x) * q, p),
        lambda x: where(x > 0, m.exp(p), m.tanh(q)),                        # branches that are the same for all samples
        lambda x: where(x > 0, m.exp(p), m.exp(p) * 2) + m.exp(p),
        lambda x: where(p, x * m.exp(q), x),
        lambda x: where(zero, x / zero, x * q) * p,
        lambda x: where(x * 0, 1 / zero, q) * p + x,
        lambda x: where(x, where(q, m.exp(q) * x, x / zero), m.exp(p + q)),
        lambda x: where(q, where(x > 1, m.exp(q) * x, p), 1 / zero) * p,
        lambda x: where(x > 1, where(x > 2, m.exp(p) * x, m.exp(p * q)), m.exp(p * q) * p),
        lambda x: where(x - p, m.sqrt(abs(x - p)), q),
        lambda x: where(x > 0, two_of_three(x, p * m.log(x - 1.5)), x * q),  # for x = 1 it is of no use, and log is nan
        lambda x: where(x > 0, two_of_three(x, p / (x - 1)), x * q),
    ]
    for function in functions:
        for samples in (some, none, every):
            by_parameters(function, [p, q, zero], samples, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_second_derivatives_where_a_first_one_is_zero(backend):
    """What comes to a node may be 0 and depend on others all the same."""
    check(lambda x, y: shared(x, y, m.exp(x) * y), [(1.0, 0.0), (-1.0, 0.0), (2.0, 1.0)], backend)
    check(lambda x, y: twice(x, y, x * y), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (-1.0, -1.0)], backend)
    check(lambda x, y: where(x, (x * y) ** 2, y) + where(y, (x * y) ** 2, x), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)], backend)


def test_what_serves_both_sides_of_a_condition_is_always_of_use():
    def cuts(function):
        built = simplified(record(function))
        (y,) = built.outputs
        before = built.ops.count(ops.where)
        differentiate(built, y, built.inputs)
        return built.ops.count(ops.where) - before

    def both(x):
        z = m.tanh(x)
        return where(x > 0, z * 2, z * 3)

    assert cuts(both) <= 4  # each side is cut once, and where it is of use; tanh and what is below it are not
    assert cuts(lambda x: m.tanh(m.tanh(m.tanh(both(x))))) == cuts(both) == cuts(lambda x: both(m.tanh(m.tanh(x))))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_branch_that_no_sample_takes_leaves_no_trace_of_its_parameters(backend):
    zero = Value(0.0, "zero")
    for function in (lambda x: where(x > 0, m.log(zero) * x, x), lambda x: where(x > 0, x / zero, x * zero),
                     lambda x: where(x <= 0, x, m.sqrt(zero) * m.log(zero) + x)):
        step = m.compile(function, params=[zero], backend=backend, verify=0)
        _, (slope,) = step.value_and_grad([-1.0, -3.0])
        expected = 0.0
        for x in (-1.0, -3.0):
            zero.grad = 0.0
            function(Value(x)).backward(0.5)
            expected += zero.grad
        assert slope == expected and math.isfinite(slope)


def test_a_long_chain_of_branches_is_no_recursion():
    def ladder(x):
        y = x
        for i in range(5_000):
            y = where(x > i, y + x * 0.001, y)
        return y

    def nested(x):
        y = x
        for i in range(2_000):
            y = where(x > i, m.sin(y), x)
        return y

    check(ladder, [(2.5,), (0.5,), (-1.0,)], "python", curves=False)
    check(nested, [(2.5,), (3000.5,), (-1.0,)], "python", curves=False)


# Higher derivatives

@pytest.mark.parametrize("backend", BACKENDS)
def test_hessians_are_those_of_micrograd(backend):
    net = MLP(2, [4, 1], activation="tanh", rng=3)
    functions = [lambda x, y: net([x, y]), lambda x, y: m.exp(x * y) / (1 + x * x), lambda x, y: (x**3 * y - y**2 / x).tanh(),
                 lambda x, y: m.hypot(x, y) * m.atan2(x, y), lambda x, y: where(x > y, x * x * y, y**4), lambda x, y: x**y + m.gelu(x * y)]
    for function in functions:
        step = m.compile(function, backend=backend)
        for point in [(0.5, 1.25), (1.5, -0.75)]:
            expected = m.hessian(function)(*point)
            for found, row in zip(step.hessian(*point), expected):
                assert_same(found, row, max(1.0, *map(abs, row)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_third_derivatives_inside_of_a_loss(backend):
    def third(x, y):
        z = m.sin(x * y) * m.exp(x)
        for _ in range(3):
            z = gradient(z, x)
        return z

    check(third, [(0.3, 2.0), (-1.0, 0.5)], backend)


# Ops of the user's own

@pytest.mark.parametrize("backend", BACKENDS)
def test_user_ops_that_are_written_with_rows_run_everywhere(backend, user_op):
    square = user_op("square", lambda x: x * x, lambda y, x: 2 * x)
    swish = user_op("swish2", lambda x, b: x * m.sigmoid(b * x), lambda y, x, b: m.sigmoid(b * x) + b * y * (1 - m.sigmoid(b * x)),
                    lambda y, x, b: x * y * (1 - m.sigmoid(b * x)))
    step = check(lambda x, y: square(x - y) * swish(x, y) + square(square(y)), [(1.0, 2.0), (-0.5, 3.0), (0.0, 0.0)], backend)
    assert step.backend == backend
    p = Value(0.5)
    by_parameters(lambda x: swish(x, square(p)), [p], [(1.0,), (2.0,)], backend)


def test_user_ops_that_take_floats_run_in_python(user_op):
    gauss = user_op("gauss", lambda x: math.exp(-x * x), lambda y, x: -2 * x * y)
    p = Value(0.5)
    step = check(lambda x: gauss(x) * p, [(1.0,), (-0.5,), (0.0,)], "auto")
    assert step.backend == "python"
    by_parameters(lambda x: gauss(x * p) * x, [p], [(1.0,), (2.0,)], "auto")
    wanted = "cannot run gauss: an op of your own runs natively if its" if executors.native is not None else "needs the compiled kernel"
    with pytest.raises(RuntimeError, match=wanted):
        m.compile(lambda x: gauss(x) * p, backend="native")
    branching = user_op("branching", lambda x: x * x if x > 0 else 0.0, lambda y, x: 2 * m.relu(x))
    assert check(lambda x: branching(x), [(1.0,), (-0.5,), (0.0,)], "auto").backend == "python"


@pytest.mark.parametrize("backend", BACKENDS)
def test_user_ops_are_total_too(backend, user_op):
    inverse = user_op("inverse", lambda x: 1 / x, lambda y, x: -y * y, domain=(0.5, 2.0))
    step = m.compile(lambda x: inverse(x) + inverse(2 * x), backend=backend)
    assert step(2.0) == 0.75
    assert math.isnan(step(math.nan)) and step(math.inf) == 0.0
    assert not math.isfinite(step(0.0))


# The program itself

def small():
    built = Program()
    return built, built.input("x"), built.parameter(Value(0.5), "p")


def test_ranks():
    built, x, p = small()
    c = built.constant(3.0)
    assert [built.rank[i] for i in (x, p, c)] == [VARYING, UNIFORM, FIXED]
    assert built.rank[built.emit(ops.mul, (x, p))] == VARYING
    assert built.rank[built.emit(ops.mul, (p, c))] == UNIFORM
    assert built.rank[built.emit(MEAN, (x,))] == UNIFORM
    folded = built.emit(ops.mul, (c, c))
    assert built.rank[folded] == FIXED and built.numbers[folded] == 9.0
    assert built.mean(p) == p and built.ops[built.mean(x)] is MEAN
    assert [row.name for row in (GREATER, AT_LEAST, MEAN, TOTAL, DETACHED)] == ["greater", "at_least", "mean", "total", "detached"]


def test_the_same_is_computed_once():
    built, x, p = small()
    for row in (ops.add, ops.mul):
        assert built.emit(row, (x, p)) == built.emit(row, (p, x))
    assert built.emit(ops.sub, (x, p)) != built.emit(ops.sub, (p, x))
    assert built.constant(0.0) != built.constant(-0.0) and built.constant(math.nan) == built.constant(math.nan)
    before = len(built.ops)
    built.emit(ops.sin, (x,))
    built.emit(ops.sin, (x,))
    assert len(built.ops) == before + 1


def test_what_is_written_more_simply_has_the_same_result():
    built, x, p = small()
    one, minus, zero = built.constant(1.0), built.constant(-1.0), built.constant(0.0)
    assert built.emit(ops.mul, (x, one)) == built.emit(ops.mul, (one, x)) == built.emit(ops.identity, (x,)) == x
    negative = built.emit(ops.mul, (minus, x))
    assert built.ops[negative] is ops.neg and built.emit(ops.neg, (negative,)) == x
    assert built.emit(ops.pow, (x, one)) == x
    assert built.emit(ops.where, (one, x, p)) == x and built.emit(ops.where, (zero, x, p)) == p
    assert built.emit(ops.where, (built.constant(math.nan), x, p)) == x and built.emit(ops.where, (p, x, x)) == x
    assert built.ops[built.emit(ops.mul, (x, zero))] is ops.mul  # 0 * nan is nan
    assert built.ops[built.emit(ops.add, (x, zero))] is ops.add  # -0.0 + 0.0 is 0.0
    assert built.total([]) == zero and built.total([x]) == x
    assert [built.ops[built.total([x] * n)] for n in (2, 3)] == [ops.add, TOTAL]


def test_the_gradient_is_zero_where_nothing_depends():
    built, x, p = small()
    y = built.emit(ops.sin, (x,))
    assert differentiate(built, y, [p]) == [built.constant(0.0)]
    assert differentiate(built, y, []) == []
    assert differentiate(built, x, [x, p]) == [built.constant(1.0), built.constant(0.0)]
    later = built.leaf(ops.LEAF)
    assert differentiate(built, y, [later]) == [built.constant(0.0)]


def test_rules_that_take_floats_are_refused():
    built, x, _ = small()
    node = Node(built, x)
    for look in (float, int, bool, round, math.exp, lambda n: n > 0, lambda n: [0][n]):
        with pytest.raises(TraceError, match=re.escape("takes a bare number out of a node")):
            look(node)


def test_a_program_is_linear_in_the_length_of_the_function():
    sizes = []
    for n in (200, 400):
        def chain(x, n=n):
            for _ in range(n):
                x = m.tanh(x) * x
            return x
        built = simplified(record(chain))
        (y,) = built.outputs
        differentiate(built, y, built.inputs)
        sizes.append(len(built.ops))
    assert sizes[1] - sizes[0] <= 200 * 12 and sizes[1] < 2.1 * sizes[0]


@pytest.mark.parametrize("loss", [losses.max_margin, losses.binary_cross_entropy, losses.binary_cross_entropy_from_logits,
                                  lambda a, y: where(y > 0, (a - 1) ** 2, 0.0)], ids=["margin", "probability", "logit", "branch"])
def test_a_branch_costs_what_its_numbers_cost_not_their_products(loss):
    """Each of n·n weights of a layer gets a product of two of 2n numbers: it is these that are cut, if need be."""
    def choices(width):
        net = MLP(2, [width, width, 1], output="sigmoid", rng=1)
        recorded = simplified(record(lambda x, t: loss(net(x), t), inputs=(2, None)))
        [y] = recorded.outputs
        differentiate(recorded, y, recorded.parameters)
        return recorded.ops.count(ops.where)
    assert choices(8) - choices(4) <= 2 * 2 * 4  # for 2 · 4 more neurons: their outputs and their error terms
