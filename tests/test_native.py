"""The kernel: random programs as the engine runs them, on every instruction set that this processor has; numbers at the
edges; programs that are none."""

import math
import random
from array import array
from itertools import product

import pytest

import micrograd
from micrograd import MLP, Value, elu, maximum, ops, sigmoid, tanh, where
from micrograd.compiler import executors
from micrograd.compiler.encode import encode, missing
from micrograd.compiler.gradient import gradient
from micrograd.compiler.program import AT_LEAST, GREATER, KEPT, simplified
from micrograd.compiler.schedule import schedule
from micrograd.compiler.trace import record
from micrograd.rows import spelling

native = executors.native  # (conftest.py leaves this file out where there is no kernel)

SIZES = (1, 7, 8, 9, 63, 64, 65, 1000)
CLOSE = 1e-12  # sums are added in another order, and a product may be rounded once with its sum
LARGEST = 2**31 - 1


@pytest.fixture(params=native.available)
def instruction_set(request, monkeypatch):
    monkeypatch.setattr(native, "available", [request.param])
    return request.param


def close(found, expected, scale=1.0):
    """Whether two numbers agree, in a computation with numbers of that size. nan is nan, inf is inf."""
    return found == expected or (found != found and expected != expected) or (
        abs(found - expected) <= CLOSE * max(abs(expected), scale))


def columns(rng, count, rows):
    return [array("d", [rng.uniform(-2, 2) for _ in range(rows)]) for _ in range(count)]


def by_the_engine(function, params, table):
    """The mean over the rows, its gradient; the values of the rows, their slopes by the inputs, a column for each."""
    for p in params:
        p.grad = 0.0
    values, slopes = [], []
    for row in zip(*table):
        inputs = [Value(x) for x in row]
        y = function(*inputs)
        y.backward(1 / len(table[0]))
        values.append(y.data)
        slopes.append([x.grad * len(table[0]) for x in inputs])
    return math.fsum(values) / len(values), [p.grad for p in params], values, list(zip(*slopes))


def agree(function, inputs, table):
    """Compare all that a compiled function tells of a table with the engine."""
    step = micrograd.compile(function, inputs=inputs, verify=0)
    assert step.backend == "native"
    mean, gradients, values, slopes = by_the_engine(function, step.params, table)
    found, found_gradients = step.value_and_grad(*table)
    found_values, found_slopes = step.map(*table, grad=True)
    assert close(found, mean)
    largest = max(map(abs, gradients), default=0.0)
    assert all(close(x, y, largest) for x, y in zip(found_gradients, gradients, strict=True))
    assert all(map(close, found_values, values))
    largest = max(abs(x) for column in slopes for x in column)
    for found_column, column in zip([found_slopes] if inputs == 1 else found_slopes, slopes, strict=True):
        assert all(close(x, y, largest) for x, y in zip(found_column, column, strict=True))


# What a random formula is made of: chains that fuse (sums of products, repeated terms, relu at the end of a sum,
# steps), and rows that do not. Kinks are put where no sample is.
PARTS = [
    lambda a, b, c, d, k: a + b - c,
    lambda a, b, c, d, k: k + 0.5 * a - b * 0.3 + 0.25 * c * d,
    lambda a, b, c, d, k: 0.5 * a * b,
    lambda a, b, c, d, k: k * a,
    lambda a, b, c, d, k: -a,
    lambda a, b, c, d, k: (0.5 * a + 0.1 * k) ** 2,
    lambda a, b, c, d, k: (tanh(a) + k) ** 3,
    lambda a, b, c, d, k: (a + 0.3 * b - 0.123).relu(),
    lambda a, b, c, d, k: a / (b * b + 1) - c / (b * b + 1) + k,
    lambda a, b, c, d, k: tanh(a) * sigmoid(b),
    lambda a, b, c, d, k: maximum(a, b - 0.0123),
    lambda a, b, c, d, k: where((a - 0.0321).relu(), b, c),
]


def random_formula(seed):
    """A function, and how many inputs it has."""
    rng = random.Random(seed)
    inputs = rng.randint(1, 3)
    params = [Value(rng.uniform(-1.5, 1.5), f"p{i}") for i in range(rng.randint(0, 4))]
    count = inputs + len(params)
    plan = [(rng.choice(PARTS), [rng.randrange(count + i) for _ in range(4)], rng.uniform(-2, 2))
            for i in range(rng.randint(3, 40))]

    def formula(*xs):
        nodes = [*xs, *params]
        for part, places, k in plan:
            a, b, c, d = [nodes[place] for place in places]
            y = part(a + 0.01 * xs[0], b, c, d, k)
            nodes.append(tanh(y) if len(nodes) % 4 == 0 else y)
        return tanh(sum(nodes[-3:])) + 0.01 * nodes[-1]

    return formula, inputs


@pytest.mark.parametrize("seed", range(24))
def test_a_random_formula_is_what_the_engine_computes(instruction_set, seed):
    formula, inputs = random_formula(seed)
    for rows in SIZES if seed < 3 else (1, 33, 130):
        agree(formula, inputs, columns(random.Random(rows), inputs, rows))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("width", [1, 3, 4, 9])  # layers of sums are worked out four at a time, and the rest one by one
def test_a_network(instruction_set, width, activation):
    net = MLP(2, [width, width, 1], activation=activation, rng=width)

    def loss(x0, x1, y):
        return (1 - y * net([x0, x1])).relu() + 1e-4 * sum(p * p for p in net.parameters())

    for rows in SIZES[:-1]:
        agree(loss, 3, columns(random.Random(rows), 3, rows))


def test_a_parameter_in_many_places(instruction_set):
    """Several products on their way to one mean, in one instruction."""
    w, b = Value(0.7), Value(-0.2)

    def shared(x, y):
        h = [(w * z + b).relu() for z in (x, y, x * y, x - y)]
        return sum((w * z + b).relu() for z in h)

    for rows in (1, 9, 130):
        agree(shared, 2, columns(random.Random(rows), 2, rows))


EDGES = [0.0, -0.0, 1.0, -3.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1e-310, 2.3e-308, 1e308, -1.7e308,
         1e-160]


def test_quotients_by_one_divisor_at_the_edges(instruction_set):
    """They are not products with its inverse, which is no double for the smallest divisors: no digit differs."""
    f = micrograd.compile(lambda a, b, c: [a / c, b / c], verify=0)
    rows = [(a, b, c) for a in EDGES for b in (1.0, 3e-320) for c in EDGES]
    for some in (rows, *[[row] * 9 for row in rows[::7]]):  # among others, and by themselves
        a, b, c = (array("d", column) for column in zip(*some))
        for x, y in zip(f.map(a, b, c), (a, b)):
            for found, numerator, divisor in zip(x, y, c):
                expected = ops.div.value(numerator, divisor)
                assert found == expected or (found != found and expected != expected), (numerator, divisor)


@pytest.mark.parametrize("rows", [1, 5, 9, 64, 65, 129])
def test_what_is_computed_beyond_the_last_row_is_not_felt(instruction_set, rows):
    """An infinite slope there must not meet a zero."""
    p = Value(2.0)
    step = micrograd.compile(lambda x: p * x, verify=0)
    assert step.value_and_grad(array("d", [1.0] * (rows - 1) + [math.inf])) == (math.inf, [math.inf])


def test_threads_change_no_digit(instruction_set):
    formula, inputs = random_formula(1)
    table = columns(random.Random(1), inputs, 10_000)
    found = [micrograd.compile(formula, inputs=inputs, verify=0, threads=n).value_and_grad(*table) for n in (1, 2, 5)]
    assert found[0] == found[1] == found[2]


# The rows of the table

SUMS = (ops.add, ops.sub, ops.mul, ops.neg, ops.identity)  # what sums of products are made of
COMPARISONS = {GREATER: lambda a, b: a > b, AT_LEAST: lambda a, b: a >= b}
ROWS = [*[row for row in ops.OPS.values() if row.builtin],
        *[row for row in ops.HELPERS.values() if row.name in native.codes], *COMPARISONS]
ENDS = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 1e-310, 1e300)
ULPS = 4  # vector.h is within 3.5 of the true result, and Python's own function within 1 of it, or nearly


def arguments(row):
    """Points to try a row at: every choice of numbers at the edges and in its domain."""
    return [*product(*[[*ENDS, *[low + fraction * (high - low) for fraction in (0.1, 0.37, 0.93)]]
                       for low, high in row.domain])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_has_an_opcode_or_is_a_sum(row):
    assert (row.name in native.codes) == (row not in SUMS)


TABLE = [*[row for row in ops.OPS.values() if row.builtin], *ops.HELPERS.values()]


def test_a_row_that_is_made_of_others_is_inlined_unless_it_has_an_opcode():
    assert set(KEPT) == {row for row in TABLE if spelling(row) is not None and row.name in native.codes}


@pytest.mark.filterwarnings("ignore:.* is (-?inf|nan)")  # not every row is defined there
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_no_row_of_the_table_is_left_to_generated_python(row):
    """Nor are its first and second derivatives, by columns and by parameters."""
    params = [Value(0.5), Value(0.75), Value(1.5)][:row.arity]
    by_columns = micrograd.compile(lambda *xs: row(*xs) * xs[-1], inputs=row.arity, verify=0)
    by_params = micrograd.compile(lambda x: row(*([x, *params] if row is ops.where else params)[:row.arity]) * x,
                                  params=params, verify=0)  # (a condition on a parameter alone is a branch taken now)
    for step, kinds in ((by_columns, ("value", "map", "slopes", "curves")), (by_params, ("train", "map", "slopes"))):
        for kind in kinds:
            assert missing(step._executors.schedule(kind), native.codes) == []
            assert isinstance(step._executors.executor(kind), native.Machine)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_what_the_table_says_at_the_edges_and_inside(instruction_set, row):
    function = micrograd.compile(COMPARISONS.get(row, row), inputs=row.arity, verify=0)
    assert function.backend == "native"
    points = arguments(row)
    table = [array("d", column) for column in zip(*points)]
    for args, found in zip(points, function.map(*table), strict=True):
        expected = row.value(*args)
        if expected != expected:
            assert found != found, args
        elif expected == 0 or math.isinf(expected):
            assert (found, math.copysign(1, found)) == (expected, math.copysign(1, expected)), args
        else:
            assert abs(found - expected) <= ULPS * math.ulp(expected), args


# Programs that are none

class Noted(dict):
    """Opcodes, and the names that the encoder has asked for: those of the instructions in its programs."""

    def __init__(self, codes):
        super().__init__(codes)
        self.names = set()

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)


def programs(codes, instruction_set):
    """Programs with every instruction of the kernel, and rows of one, two and three arguments: the code, the Values,
    and how many of them are trained."""
    net = MLP(2, [5, 1], rng=1)

    def loss(x, y):
        z = net([x, y])
        return (x / (y * y + 1) + z / (y * y + 1) - x * y * z * 0.5 + sum(p * p for p in net.parameters())
                + tanh(z) + elu(z, y) + where(x > y, x, z) + where(net.parameters()[0], x, 1.0))

    program = simplified(record(loss))
    [y] = program.outputs
    values = net.parameters()
    for trained, outputs in ((len(values), ([program.mean(y), *gradient(program, y, program.parameters)], [])),
                             (0, ([], [y, *gradient(program, y, program.inputs)]))):
        code = encode(schedule(program, *outputs), codes, native.lanes(instruction_set), program.parameters)
        yield code, values, trained


def test_no_operand_is_beyond_memory(instruction_set):
    """Any word of any part made too large, or negative, is refused; and so is what ends too soon."""
    codes = Noted(native.codes)
    for code, values, trained in programs(codes, instruction_set):

        def machine(code=code, values=values, trained=trained):
            return native.Machine(code, values, trained, [0, 0], instruction_set, 1)

        assert machine()
        for part in ("before", "body", "after"):
            words = getattr(code, part)
            for i, word in enumerate(words):
                for wrong in (LARGEST, -LARGEST, -2):
                    words[i] = wrong
                    with pytest.raises(ValueError, match="not a program"):
                        machine()
                words[i] = word
            if words:
                setattr(code, part, words[:-1])
                with pytest.raises(ValueError, match="not a program"):
                    machine()
                setattr(code, part, words)
    assert codes.names >= {"load", "store", "spread", "sum", "layer", "gather", "dot", "tanh+", "elu+",
                           GREATER.name, ops.where.name}


def test_a_block_has_whole_vectors(instruction_set):
    code, values, trained = next(programs(native.codes, instruction_set))
    for wrong in (0, -4, 1, 6):
        code.block = wrong
        with pytest.raises(ValueError, match="block"):
            native.Machine(code, values, trained, [0, 0], instruction_set, 1)
