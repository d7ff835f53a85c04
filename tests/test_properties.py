"""Expressions that nobody would write, built by hypothesis from the rows of the table, with shared subgraphs.

For each: reverse mode = the gradient graph = differences of the expression computed on floats; and more.
"""

import copy
import math
import pickle
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from micrograd import Value, gradient, ops, topological_order

careful = settings(deadline=None, derandomize=True, max_examples=400, database=None,
                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
ROWS = [row for row in ops.OPS.values() if row.builtin and row.arity <= 2]


@st.composite
def programs(draw):
    """A program for a stack machine: a list of (row, places of the arguments, whether to squash each), and its inputs.

    Each result is within the next row's domain and off its kinks, at these inputs; so derivatives exist there, and no
    result overflows.
    """
    inputs = draw(st.lists(st.floats(-2, 2).map(lambda x: round(x, 3) + 0.0), min_size=1, max_size=3))
    stack, program = list(inputs), []
    for _ in range(draw(st.integers(1, 12))):
        row = draw(st.sampled_from(ROWS))
        places = [draw(st.integers(0, len(stack) - 1)) for _ in range(row.arity)]
        squash = [not low + 0.05 < stack[place] < high - 0.05 for place, (low, high) in zip(places, row.domain)]
        args = arguments(stack, row, places, squash)
        if row.kink is not None and abs(row.kink(*args)) < 0.05:
            continue
        program.append((row, places, squash))
        stack.append(row(*args))
    return program, inputs


def arguments(stack, row, places, squash):
    """What stands at the places; squashed into the row's domain where it was outside."""
    return [low + (high - low) * ops.sigmoid(stack[place] * 0.25) if out else stack[place]
            for place, out, (low, high) in zip(places, squash, row.domain)]


def run(program, inputs):
    """The sum of what the last three steps computed; on floats a float, on Values a Value."""
    stack = list(inputs)
    for row, places, squash in program:
        stack.append(row(*arguments(stack, row, places, squash)))
    total = stack[-1]
    for x in stack[-3:-1]:
        total = total + x * 0.5
    return total


def derivative_by_differences(program, inputs, i):
    """d(run)/d(input i), and how far it can be trusted: two steps, extrapolated, and what they differ by."""
    def central(h):
        ahead, behind = ([*inputs[:i], inputs[i] + step, *inputs[i + 1:]] for step in (h, -h))
        return (run(program, ahead) - run(program, behind)) / (2 * h)

    coarse, fine = central(2e-4), central(1e-4)
    return fine + (fine - coarse) / 3, abs(fine - coarse)


@careful
@given(programs())
def test_reverse_mode_is_the_gradient_graph_is_differences(case):
    program, inputs = case
    xs = [Value(x) for x in inputs]
    y = run(program, xs)
    assert y.data == run(program, inputs)  # nodes and floats: the same bits
    y.backward()
    by_graph = gradient(y, xs)
    scale = 1 + max(abs(v.grad) for v in topological_order(y))
    for i, x in enumerate(xs):
        # the same products summed in another order: a rounding each, of numbers as large as the largest gradient
        assert math.isclose(by_graph[i].data, x.grad, rel_tol=1e-12, abs_tol=1e-13 * scale)
        expected, trust = derivative_by_differences(program, inputs, i)
        # rounding: 1e-16 / 1e-4 of the largest number; the extrapolation is better than what the steps differ by
        assert abs(x.grad - expected) <= trust + 1e-9 * scale


@careful
@given(programs())
def test_second_derivatives_are_symmetric_and_those_of_backward(case):
    program, inputs = case
    xs = [Value(x) for x in inputs]
    first = gradient(run(program, xs), xs)
    rows = [gradient(g, xs) for g in first]
    for i, g in enumerate(first):
        for x in xs:
            x.grad = 0.0
        g.backward()
        scale = 1 + max(abs(v.grad) for v in topological_order(g, *xs))
        for j, x in enumerate(xs):
            tolerance = {"rel_tol": 1e-9, "abs_tol": 1e-11 * scale}  # some hundred roundings, cancellation between terms
            assert math.isclose(rows[i][j].data, rows[j][i].data, **tolerance)
            assert math.isclose(rows[i][j].data, x.grad, **tolerance)


@careful
@given(programs(), st.floats(-4, 4).filter(lambda s: s == 0 or abs(s) > 1e-3))
def test_backward_is_linear_in_its_seed_and_adds_up_at_the_leaves(case, seed):
    program, inputs = case
    xs = [Value(x) for x in inputs]
    y = run(program, xs)
    y.backward()
    once = [x.grad for x in xs]
    between = [(v, v.grad) for v in topological_order(y) if v.parents]
    y.backward()
    twice = [x.grad for x in xs]
    assert all(v.grad == g for v, g in between)
    for x in xs:
        x.grad = 0.0
    y.backward(seed)
    scale = 1 + max(abs(g) for g in [*once, *(g for _, g in between)])
    for x, one, two in zip(xs, once, twice):  # the same products, added or scaled in another order
        assert math.isclose(two, 2 * one, rel_tol=1e-12, abs_tol=1e-13 * scale)
        assert math.isclose(x.grad, seed * one, rel_tol=1e-12, abs_tol=1e-13 * scale)


@careful
@given(programs())
def test_order_copies_and_pickles_keep_the_graph(case):
    program, inputs = case
    y = run(program, [Value(x, f"x{i}") for i, x in enumerate(inputs)])
    y.backward()
    order = topological_order(y)
    assert order[-1] is y and max(Counter(order).values()) == 1
    place = {node: i for i, node in enumerate(order)}
    assert all(place[parent] < place[node] for node in order for parent in node.parents)

    def look(nodes):
        at = {node: i for i, node in enumerate(nodes)}
        return [(v.data, v.grad, v.op, v.label, v.local_derivatives, [at[p] for p in v.parents]) for v in nodes]

    for other in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert look(topological_order(other)) == look(order)
        assert not set(topological_order(other)) & set(order)


finite = st.floats(allow_nan=False, allow_infinity=False)


@careful
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(st.sampled_from(ROWS), st.floats(), st.floats())
def test_any_row_at_any_float_records_what_it_computes_and_never_raises(row, a, b):
    args = (a, b)[:row.arity]
    nodes = [Value(arg) for arg in args]
    y, node = row(*args), row(*nodes)
    assert same(node.data, y)
    for i, recorded in enumerate(node.local_derivatives):
        assert same(recorded, row.slope(i, y, *args))
    for g in gradient(node, nodes):
        gradient(g, nodes)


@careful
@given(finite, finite)
def test_maximum_and_minimum_share_the_slope(a, b):
    for row in (ops.maximum, ops.minimum):
        slopes = row(Value(a), Value(b)).local_derivatives
        assert sum(slopes) == 1.0 and set(slopes) <= {0.0, 0.5, 1.0}
        assert (slopes == (0.5, 0.5)) == (a == b)


@careful
@given(st.floats(0, 1), st.floats(1e-300, 1e300))
def test_leaky_relu_has_slope_one_on_the_positive_side_for_every_slope_on_the_other(k, x):
    assert ops.leaky_relu.slope(0, x, x, k) == 1.0
    assert ops.leaky_relu.slope(0, -k * x, -x, k) == k


@careful
@given(st.lists(finite.filter(lambda x: abs(x) < 1e100), min_size=1, max_size=30))
def test_sum_is_pythons_sum_bit_for_bit(numbers):
    total = numbers[0]
    for number in numbers[1:]:
        total += number
    assert Value.sum([Value(x) for x in numbers]).data == total
    values = sorted(map(Value, numbers))
    assert all(a <= b for a, b in pairwise(values)) and [v.data for v in values] == sorted(numbers)


def same(x, y):
    return x == y or (x != x and y != y)
