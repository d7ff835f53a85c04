"""The engine, sentence by sentence: what a Value is, how it behaves as a number, what backward and gradient promise."""

import copy
import gc
import inspect
import itertools
import math
import operator
import os
import pickle
import subprocess
import sys
import types
import warnings
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

import micrograd
from micrograd import Value, gradient, ops, topological_order

quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # where inf and nan are meant
NUMBERS = [3, 3.0, True, Fraction(1, 2), np.float64(2.5), np.float32(0.5), np.int64(3), np.uint8(7), np.bool_(True),
           np.float16(0.25), np.longdouble(1.5)]
BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
each_binary = pytest.mark.parametrize("operation", BINARY, ids=lambda f: f.__name__)


# What a node is

@pytest.mark.parametrize("number", NUMBERS, ids=lambda x: type(x).__name__)
def test_data_is_a_float_whatever_number_it_was(number):
    x = Value(number)
    assert type(x.data) is float and x.data == float(number)
    for name in ("data", "grad"):
        setattr(x, name, number)
        assert type(getattr(x, name)) is float and getattr(x, name) == float(number)


@pytest.mark.parametrize("bad, message", [
    ("3", r"found str '3'; convert text first: float\('3'\)"),
    (None, "found NoneType None"),
    (1j, "found complex 1j"),
    ([1.0, 2.0], r"found list \[1.0, 2.0\]; for many numbers make one each: \[Value\(x\) for x in \.\.\.\]"),
    (np.array([1.0, 2.0]), r"found ndarray .*; for many numbers make one each"),
    (np.array(1j), r"found ndarray array\(0\.\+1\.j\)$"),
    (object, "found type"),
    (b"3", "found bytes"),
])
def test_what_is_no_number_is_a_type_error_that_says_what_to_do(bad, message):
    with pytest.raises(TypeError, match=r"Value\(data\) needs a real number, " + message):
        Value(bad)
    x = Value(1.0)
    for name in ("data", "grad") if bad is not None else ("data",):  # None is 0
        with pytest.raises(TypeError, match=rf"Value\.{name} needs a real number, " + message):
            setattr(x, name, bad)
    with pytest.raises(TypeError, match=r"backward\(seed\) needs a real number, " + message):
        x.backward(bad)
    assert (x.data, x.grad) == (1.0, 0.0)


def test_a_gradient_of_none_is_0_as_torch_writes_it():
    x = Value(1.0)
    (x * 3).backward()
    x.grad = None
    assert x.grad == 0.0
    (x * 3).backward()
    assert x.grad == 3.0


@pytest.mark.parametrize("make", [
    lambda a: Value(2.0, (a,), "+"), lambda a: Value(2.0, ()), lambda a: Value(2.0, (), ""),
    lambda a: Value(2.0, {a, a}, _op="*"), lambda a: Value(2.0, _children=(a, a), _op="+", label="c"),
    lambda a: Value(2.0, _op=""),
])
def test_the_children_and_the_op_of_the_original(make):
    with pytest.raises(TypeError, match=r"Value\(data, label\) takes no children and no op: operators .* record them, "
                                        r"as in c = a \+ b, and micrograd.op\(name, forward, derivative\) adds an op"):
        make(Value(1.0))


@pytest.mark.parametrize(("make", "found"), [
    (lambda: Value(2.0, "a", "+"), r"'\+'"), (lambda: Value(2.0, name="a"), "name='a'"),
    (lambda: Value(2.0, "a", 3, requires_grad=True), "3, requires_grad=True"),
])
def test_other_arguments_that_a_value_does_not_take(make, found):
    with pytest.raises(TypeError, match=rf"Value\(data, label\) takes a number and a name; also found: {found}$"):
        make()


@pytest.mark.parametrize(("name", "instead"), [
    ("_backward", r"v.backward\(\) runs the whole pass, .* micrograd.op\(name, forward, derivative\)"),
    ("m", r"m = \{p: 0.0 for p in net.parameters\(\)\} and then m\[p\]; or take micrograd.Adam"),
    ("v", "subclass of Value"), ("velocity", r"SGD\(momentum=...\)"),
])
def test_what_users_of_the_original_keep_on_a_node_is_elsewhere(name, instead):
    for x in Value(1.0), Value(1.0) * 2:
        for act in (lambda x=x: getattr(x, name), lambda x=x: setattr(x, name, 0)):
            with pytest.raises(AttributeError, match=f"a Value has no {name}: .*{instead}"):
                act()
        assert not hasattr(x, name)

    class Parameter(Value):  # which has a __dict__
        pass

    p = Parameter(1.0)
    assert not hasattr(p, name)
    setattr(p, name, 3)
    assert getattr(p, name) == 3 and vars(p) == {name: 3}


def test_a_method_may_be_added_to_the_class_with_either_engine():
    class Parameter(Value):
        pass

    relu = Value.relu
    try:
        Value.twice = lambda self: 2 * self
        Value.relu = lambda self: "another"
        assert (Value(3.0).twice().data, (Value(1.0) + 1).twice().data, Parameter(4.0).twice().data) == (6.0, 4.0, 8.0)
        assert Value(1.0).relu() == Parameter(1.0).relu() == "another"
    finally:
        Value.relu = relu
        del Value.twice
    assert not hasattr(Value(1.0), "twice") and Value(-1.0).relu().data == 0.0


def test_a_value_of_a_value_is_a_type_error():
    with pytest.raises(TypeError, match=r"found Value .*it is a node already: use it as it is, or its number, \.data"):
        Value(Value(1.0))


def test_a_leaf_is_born_with_its_data_and_label():
    x = Value(data=2, label="x")
    assert (x.data, x.grad, x.label, x.op, x.parents, x.local_derivatives) == (2.0, 0.0, "x", ops.LEAF, (), ())
    assert (x._prev, x._op) == (set(), "")
    assert Value(2.0).label == ""
    with pytest.raises(TypeError):
        Value()
    with pytest.raises(TypeError):
        Value(1.0, "a", "b")


@pytest.mark.parametrize("label", [3, None, 1.0, b"x", ["x"]])
def test_a_label_is_text(label):
    message = rf"a label is a str, found {type(label).__name__}"
    with pytest.raises(TypeError, match=message):
        Value(1.0, label)
    x = Value(1.0, "x")
    with pytest.raises(TypeError, match=message):
        x.label = label
    assert x.label == "x"


def test_a_label_may_come_from_numpy_and_change():
    x = Value(1.0, np.str_("petal"))
    assert x.label == "petal"
    x.label = np.array(["sepal"])[0]
    assert x.label == "sepal" and repr(x) == "Value(data=1.0, grad=0.0, label='sepal')"
    y = x * 2
    y.label = "z^{2}_{1}"
    assert y.label == "z^{2}_{1}"


def test_a_computed_node_knows_its_op_parents_and_local_derivatives():
    a, b = Value(2.0, "a"), Value(3.0, "b")
    y = a / b
    assert y.op is ops.div and y.parents == (a, b) and y.local_derivatives == (1 / 3, -(2 / 3) / 3)
    assert y._op == "/" and y._prev == {a, b} and y.label == "" and y.grad == 0.0
    z = y.tanh()
    assert z.op is ops.tanh and z.parents == (y,) and len(z.local_derivatives) == 1


def test_the_same_parent_twice_is_two_parents():
    x = Value(3.0)
    y = x * x
    assert y.parents == (x, x) and y.local_derivatives == (3.0, 3.0) and y._prev == {x}
    y.backward()
    assert x.grad == 6.0


def test_a_number_becomes_a_constant_node_with_no_derivative():
    x = Value(3.0)
    for y, place in ((x * 2, 1), (2 * x, 0), (x - 2, 1), (2 - x, 0), (x / 2, 1), (2 / x, 0), (x ** 2, 1), (2 ** x, 0)):
        constant = y.parents[place]
        assert constant.op is ops.CONSTANT and constant.data == 2.0 and y.parents[1 - place] is x
        assert y.local_derivatives[place] == 0.0 != y.local_derivatives[1 - place]
        y.backward()
        assert constant.grad == 0.0


def test_each_operation_draws_as_one_node():
    a, b = Value(5.0), Value(2.0)
    for y, symbol in ((a + b, "+"), (a - b, "-"), (a * b, "*"), (a / b, "/"), (a ** b, "**"), (-a, "-"), (a.relu(), "ReLU")):
        assert y._op == symbol and set(y.parents) <= {a, b}


@pytest.mark.parametrize("name", ["op", "parents", "local_derivatives", "_prev", "_op"])
def test_what_was_recorded_cannot_be_assigned(name):
    x = Value(1.0) * 2
    before = getattr(x, name)
    with pytest.raises(AttributeError):
        setattr(x, name, before)
    with pytest.raises(AttributeError):
        delattr(x, name)
    assert getattr(x, name) == before


@pytest.mark.parametrize("name", ["data", "grad", "label"])
def test_no_attribute_can_be_deleted(name):
    x = Value(1.0, "x")
    with pytest.raises((AttributeError, NotImplementedError)):  # the second is Cython's
        delattr(x, name)
    assert (x.data, x.grad, x.label) == (1.0, 0.0, "x")


def test_an_attribute_that_does_not_exist_cannot_be_made_by_mistake():
    x = Value(1.0)
    with pytest.raises(AttributeError):
        x.gard = 0.0


def test_assigned_data_leaves_what_was_computed_as_it_was():
    x = Value(3.0)
    y = x * x
    x.data = 5
    assert type(x.data) is float and y.data == 9.0 and y.local_derivatives == (3.0, 3.0)
    x.data -= 0.5 * 2
    assert x.data == 4.0 and (x * x).data == 16.0


# A Value behaves as a number

@each_binary
@pytest.mark.parametrize("number", NUMBERS, ids=lambda x: type(x).__name__)
def test_operators_with_numbers_on_either_side(operation, number):
    x = Value(1.5)
    left, right = operation(x, number), operation(number, x)
    assert type(left) is type(right) is Value
    assert left.data == operation(1.5, float(number)) and right.data == operation(float(number), 1.5)
    assert left.parents[0] is x and right.parents[1] is x


@each_binary
def test_operators_of_values_and_their_in_place_forms(operation):
    a, b = Value(1.5), Value(2.5)
    y = operation(a, b)
    assert y.data == operation(1.5, 2.5) and y.parents == (a, b)
    in_place = getattr(operator, "i" + operation.__name__)
    for other in (b, 2.5):
        z = in_place(a, other)
        assert z is not a and z.data == y.data and z.parents[0] is a and a.data == 1.5


def test_signs_and_absolute_value():
    x = Value(-1.5)
    assert (-x).data == 1.5 and (+x) is x and abs(x).data == 1.5 and abs(x).op is ops.abs


@each_binary
@pytest.mark.parametrize("foreign", ["1", None, [1.0], (1,), {}, 1j, object()], ids=lambda x: type(x).__name__)
def test_operators_refuse_what_is_no_number(operation, foreign):
    x = Value(1.5)
    for pair in ((x, foreign), (foreign, x)):
        with pytest.raises(TypeError, match=r"unsupported operand type|can only concatenate|multiply sequence"):
            operation(*pair)


def test_operators_give_a_foreign_class_its_chance():
    class Foreign:
        def __add__(self, other): return "left"
        def __radd__(self, other): return "right"
        __sub__ = __mul__ = __truediv__ = __pow__ = __add__
        __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __radd__
        def __lt__(self, other): return "less"
        def __gt__(self, other): return "more"

    x = Value(1.0)
    for operation in BINARY:
        assert operation(x, Foreign()) == "right" and operation(Foreign(), x) == "left"
    assert (x < Foreign()) == "more" and (Foreign() < x) == "less"


@pytest.mark.parametrize("operation", [operator.matmul, operator.and_, operator.lshift])
def test_operators_that_have_no_derivative_are_type_errors(operation):
    with pytest.raises(TypeError):
        operation(Value(3.0), 2)


def test_conversions():
    x = Value(2.567)
    assert (float(x), int(x), round(x), round(x, 1), complex(x)) == (2.567, 2, 3, 2.6, 2.567 + 0j)
    assert type(float(x)) is float and type(int(x)) is int and type(round(x)) is int and type(round(x, 1)) is float
    assert (math.floor(x), math.ceil(x), math.isnan(Value(nan))) == (2, 3, True)
    assert [bool(Value(number)) for number in (0.0, -0.0, 1e-320, -1.0, nan)] == [False, False, True, True, True]
    assert "%.1f" % x == "2.6"  # noqa: UP031


def test_format_is_that_of_the_number_and_empty_that_of_the_node():
    x = Value(2.567, "x")
    assert (f"{x:.2f}", format(x, "+8.1e"), f"{x:>6.1f}") == ("2.57", "+2.6e+00", "   2.6")
    assert f"{x}" == str(x) == repr(x) == "Value(data=2.567, grad=0.0, label='x')"
    assert repr(Value(1)) == "Value(data=1.0, grad=0.0)"
    with pytest.raises(ValueError, match="format"):
        format(x, "d")


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge], ids=lambda f: f.__name__)
def test_ordering_is_by_data_with_values_and_numbers_on_either_side(compare):
    for a, b in itertools.product([1.0, 2.0, inf, nan], repeat=2):
        expected = compare(a, b)
        results = [compare(Value(a), Value(b)), compare(Value(a), b), compare(a, Value(b)), compare(Value(a), np.float64(b))]
        assert all(type(result) is bool and result == expected for result in results)
        assert bool(compare(np.float64(a), Value(b))) == expected
    for foreign in ("1", None, [1.0], 1j):
        for pair in ((Value(1.0), foreign), (foreign, Value(1.0))):
            with pytest.raises(TypeError, match="not supported between instances"):
                compare(*pair)


def test_comparisons_are_exact_as_pythons():
    """With whole numbers of any size, fractions, decimals, the kinds of NumPy; in both orders."""
    floats = [0.0, -0.0, 0.1, 1 / 3, -2.5, 2.0**53, 2.0**53 + 2, -(2.0**63), 1e22, 1e300, 5e-324, math.inf, -math.inf, nan]
    others = [0, True, -3, 2**53, 2**53 + 1, -(2**63) - 1, 10**22 + 1, 10**400, -(10**400), Fraction(1, 10), Fraction(1, 3),
              Fraction(10**400), Decimal("0.1"), Decimal(2**53 + 1), Decimal("Infinity"), *floats]
    for x in floats:
        for y in others:
            if x != x and isinstance(y, Decimal):  # which Python refuses to compare, too
                continue
            for compare in (operator.lt, operator.le, operator.gt, operator.ge):
                assert compare(Value(x), y) is compare(x, y), (compare, x, y)
                assert compare(y, Value(x)) is compare(y, x), (compare, y, x)
                if type(y) is float:
                    assert compare(Value(x), Value(y)) is compare(x, y)
    for kind in (np.float16, np.float32, np.longdouble, np.int8, np.int64, np.uint64, np.bool_):
        for x in floats:
            for y in map(kind, (0, 1, 100) if kind is not np.int64 else (2**53 + 1, -(2**63), 7)):
                exact = int(y) if kind in (np.int8, np.int64, np.uint64, np.bool_) else float(y)
                for compare in (operator.lt, operator.le, operator.gt, operator.ge):
                    assert compare(Value(x), y) is compare(x, exact) and compare(y, Value(x)) is compare(exact, x), (x, y)
    assert Value(0.1) < np.float32(0.1) and Value(1.0) < np.longdouble(1) + np.finfo(np.longdouble).eps


def test_max_min_sorted_and_sum():
    a, b, c = Value(3.0), Value(1.0), Value(2.0)
    assert max(a, b, c) is a and min(a, b, c) is b and max(a, 5) == 5 and max(a, 2) is a
    assert sorted([a, b, c]) == [b, c, a] and sorted([a, b, c], reverse=True) == [a, c, b]
    total = sum([a, b, c])
    assert total.data == 6.0
    total.backward()
    assert (a.grad, b.grad, c.grad) == (1.0, 1.0, 1.0)
    assert math.fsum([a, b, c]) == 6.0


def test_equality_and_hash_are_by_identity():
    a, b = Value(1.0), Value(1.0)
    assert a == a and a != b and a != 1.0 and not operator.eq(a, 1.0)
    assert len({a, b, a}) == 2 and {a: "a", b: "b"}[b] == "b" and hash(a) == hash(a)
    assert [b, a].index(a) == 1
    before = hash(a)
    a.data = 7.0
    assert hash(a) == before


# NumPy

def test_arrays_on_either_side_are_taken_element_by_element():
    x, array = Value(3.0), np.array([1.0, 2.0])
    for operation in BINARY:
        left, right = operation(x, array), operation(array, x)
        assert left.dtype == right.dtype == object and left.shape == right.shape == (2,)
        assert [v.data for v in left] == [operation(3.0, y) for y in (1.0, 2.0)]
        assert [v.data for v in right] == [operation(y, 3.0) for y in (1.0, 2.0)]
        assert all(v.parents[0] is x for v in left) and all(v.parents[1] is x for v in right)


def test_object_arrays_with_matmul_sum_mean_and_max():
    weights = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    x = np.array([Value(5.0), Value(6.0)])
    z = weights @ x + np.array([0.5, -0.5])
    assert [v.data for v in z] == [17.5, 38.5]
    loss = (z ** 2).sum() + z.mean() + (x @ np.array([1.0, 2.0]))
    assert type(loss) is Value
    loss.backward()
    # d/dz = 2z + 1/2; d/dw_ij = dz_i x_j; d/dx_j = sum_i dz_i w_ij + (1, 2)_j: all exact in binary
    assert [[w.grad for w in row] for row in weights] == [[35.5 * 5, 35.5 * 6], [77.5 * 5, 77.5 * 6]]
    assert [v.grad for v in x] == [35.5 * 1 + 77.5 * 3 + 1, 35.5 * 2 + 77.5 * 4 + 2]
    assert x.max() is x[1] and np.argmax([v.data for v in x]) == 1
    assert np.array([Value(1.5)]).astype(float).tolist() == [1.5]


NUMPY_NAMES = ["exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
               "arcsin", "arccos", "arctan", "arcsinh", "arctanh"]


@pytest.mark.parametrize("name", NUMPY_NAMES)
def test_numpy_functions_of_a_value_and_of_an_array_of_values(name):
    function, x = getattr(np, name), Value(0.5)
    expected = float(function(0.5))
    y = function(x)
    assert type(y) is Value and y.data == pytest.approx(expected, rel=4e-16) and y.parents == (x,)
    assert [v.data for v in function(np.array([x, x]))] == [y.data, y.data]


def test_numpy_functions_of_two_values_and_arccosh():
    a, b = Value(3.0), Value(4.0)
    assert np.hypot(a, b).data == 5.0 and np.hypot(a, 4.0).op is ops.hypot
    assert np.arctan2(a, b).data == math.atan2(3, 4) and np.arctan2(a, b).parents == (a, b)
    assert np.arccosh(a).op is ops.acosh
    assert np.abs(Value(-2.0)).op is ops.abs and np.negative(a).op is ops.neg and np.power(a, 2).data == 9.0
    assert np.add(a, 1).data == 4.0 and np.square(a).data == 9.0
    assert np.maximum(np.array([a]), 5.0)[0] == 5.0


# Many at a time

def test_sum_builds_binary_nodes_from_the_left():
    a, b, c = Value(1.0), Value(2.0), Value(4.0)
    y = Value.sum(v for v in (a, b, c, 8))
    assert y.data == 15.0 and y.op is ops.add
    assert y.parents[0].parents[0].parents == (a, b) and y.parents[0].parents[1] is c and y.parents[1].data == 8.0
    assert Value.sum([a]) is a and Value.sum([3]).data == 3.0
    assert Value.sum([]).data == 0.0 and Value.sum([]).op is ops.CONSTANT
    with pytest.raises(TypeError, match="needs a real number, found str 'a'"):
        Value.sum([a, "a"])
    with pytest.raises(TypeError):
        Value.sum(3)


def test_dot_builds_the_graph_of_the_lecture():
    w1, w2, x1, b = Value(2.0), Value(3.0), Value(5.0), Value(7.0)
    y = Value.dot([w1, w2], (x1, 11), b)
    assert y.data == 7.0 + 10.0 + 33.0 and y.op is ops.add
    inner, last = y.parents
    assert last.op is ops.mul and last.parents[0] is w2 and last.parents[1].data == 11.0
    assert inner.op is ops.add and inner.parents[0] is b and inner.parents[1].parents == (w1, x1)
    y.backward()
    assert (w1.grad, w2.grad, x1.grad, b.grad) == (5.0, 11.0, 2.0, 1.0)


def test_dot_without_bias_of_nothing_and_of_generators():
    w, x = Value(2.0), Value(3.0)
    assert Value.dot([w], [x]).parents == (w, x)
    assert Value.dot([], []).data == 0.0 and Value.dot([], [], 2).data == 2.0 and Value.dot([], [], w) is w
    assert Value.dot((v for v in (w, 1)), iter([x, 2.0]), bias=1).data == 9.0
    assert Value.dot(np.array([1.0, 2.0]), [w, x]).data == 8.0


def test_dot_names_both_lengths():
    with pytest.raises(ValueError, match="as many inputs as weights, found 1 weights and 2 inputs"):
        Value.dot([1.0], [1.0, 2.0])
    with pytest.raises(TypeError, match="needs a real number, found NoneType"):
        Value.dot([None], [1.0])


# backward

def test_two_backwards_add_up_at_the_leaves_exactly():
    x = Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    y.backward()
    assert x.grad == 54.0
    x.grad = 0
    y.backward()
    assert x.grad == 27.0


def test_two_outputs_may_share_a_part_of_the_graph():
    a = Value(1.0)
    b = 3 * a
    c, d = b + 1, 10 * b
    c.backward()
    assert (a.grad, b.grad) == (3.0, 1.0)
    d.backward()
    assert (a.grad, b.grad, c.grad, d.grad) == (33.0, 10.0, 1.0, 1.0)


def test_a_diamond_is_walked_in_topological_order():
    a, b = Value(2.0), Value(3.0)
    c, d = a + b, a * b
    y = (c + d) + c * d
    y.backward()
    assert (y.data, a.grad, b.grad, c.grad, d.grad, y.grad) == (41.0, 25.0, 19.0, 7.0, 6.0, 1.0)


def test_seed_scales_the_gradient():
    x = Value(3.0)
    y = x * x
    y.backward(2.5)
    assert (x.grad, y.grad) == (15.0, 2.5)
    x.grad = 0.0
    y.backward(seed=np.float32(-1))
    assert x.grad == -6.0
    with pytest.raises(TypeError, match=r"backward\(seed\) needs a real number, found Value"):
        y.backward(Value(1.0))


def test_backward_of_a_leaf_accumulates():
    x = Value(3.0)
    assert x.backward() is None
    x.backward(2.0)
    assert x.grad == 3.0


def test_backward_from_the_middle_leaves_the_rest_alone():
    x = Value(3.0)
    y = x * 2
    z = y * 5
    z.backward()
    y.backward()
    assert (z.grad, y.grad, x.grad) == (1.0, 1.0, 12.0)


@quiet
def test_a_constant_has_no_gradient_even_where_the_upstream_gradient_is_infinite():
    x = Value(0.0)
    y = (x * 2).sqrt()
    y.backward()
    assert x.grad == inf
    constant = y.parents[0].parents[1]
    assert constant.op is ops.CONSTANT and constant.grad == 0.0
    for lonely in (Value.sum([]), constant):
        lonely.backward()
        assert lonely.grad == 0.0


def test_backward_needs_no_order_of_creation():
    # a node made long before it is used, and one used at two depths
    early = Value(2.0)
    chain = early
    for _ in range(50):
        chain = chain + 1
    y = chain * early
    y.backward()
    assert early.grad == 52.0 + 2.0


# gradient

def test_gradient_of_leaves_computed_nodes_and_what_is_not_reached():
    a, b, unused = Value(2.0), Value(3.0), Value(7.0)
    c = a * b
    y = c * c + a
    da, db, dc, dy, none = gradient(y, [a, b, c, y, unused])
    assert [g.data for g in (da, db, dc, dy, none)] == [2 * 6 * 3 + 1, 2 * 6 * 2, 12.0, 1.0, 0.0]
    assert none.op is ops.CONSTANT and all(type(g) is Value for g in (da, db, dc, dy, none))
    assert [v.grad for v in (a, b, c, y, unused)] == [0.0] * 5
    after_y = y + 1
    assert gradient(y, after_y).data == 0.0


def test_gradient_takes_one_value_or_a_sequence():
    x, z = Value(3.0), Value(2.0)
    y = x * x * z
    assert type(gradient(y, x)) is Value and gradient(y, x).data == 12.0
    for xs in ([x, z], (x, z), iter([x, z]), np.array([x, z])):
        assert [g.data for g in gradient(y, xs)] == [12.0, 9.0]
    assert gradient(y, []) == []
    twice = gradient(y, [x, x])
    assert [g.data for g in twice] == [12.0, 12.0]


def test_gradient_with_respect_to_a_constant_agrees_with_backward():
    x = Value(3.0)
    y = x * 2
    assert gradient(y, y.parents[1]).data == y.local_derivatives[1] == 0.0


def test_gradient_does_not_touch_grad_or_data():
    x = Value(3.0, "x")
    y = x ** 3 * x.sin()
    y.backward()
    before = [(v.data, v.grad, v.label) for v in topological_order(y)]
    gradient(gradient(y, x), x).backward()
    x.grad = before[topological_order(y).index(x)][1]
    assert [(v.data, v.grad, v.label) for v in topological_order(y)][:1] == before[:1]
    assert [(v.data, v.label) for v in topological_order(y)] == [(data, label) for data, _, label in before]


@pytest.mark.parametrize("y, xs, message", [
    (3.0, Value(1.0), r"gradient\(y, xs\) needs a Value y, found float 3.0"),
    (Value(1.0), [3.0], r"gradient\(y, xs\) needs Values in xs, found float 3.0"),
    (Value(1.0), 3.0, r"gradient\(y, xs\) needs .*, found float 3.0"),
    (Value(1.0), None, r"gradient\(y, xs\) needs .*, found NoneType None"),
])
def test_gradient_refuses_what_is_no_value(y, xs, message):
    with pytest.raises(TypeError, match=message):
        gradient(y, xs)


def test_third_derivatives_of_a_composition():
    x = Value(0.7)
    y = (x.sin() * x.exp()).tanh() / (1 + x * x)
    by_rule = [y.data]
    g = y
    for _ in range(3):
        g = gradient(g, x)
        by_rule.append(g.data)
    # computed with 40 digits; some fifty roundings, and 1 - tanh^2 loses a digit
    assert by_rule == pytest.approx(
        [0.57786926589561477, -0.050428828955538691, -2.5528820167110362, 9.3538318833318181], rel=1e-13)


@quiet
def test_the_square_differentiates_thrice_everywhere():
    for point in (0.0, -0.0, 3.0, -3.0):
        x = Value(point)
        first = gradient(x ** 2, x)
        second = gradient(first, x)
        third = gradient(second, x)
        assert (first.data, second.data, third.data, gradient(third, x).data) == (2 * point, 2.0, 0.0, 0.0)


def test_powers_differentiate_to_any_order_at_zero_and_below():
    for point in (0.0, -2.0):
        x, y = Value(point), None
        y = x ** 5
        for expected in (5 * point**4, 20 * point**3, 60 * point**2, 120 * point, 120.0, 0.0):
            y = gradient(y, x)
            assert y.data == expected


def test_a_constant_exponent_leaves_no_nan_in_the_gradient_graph():
    x = Value(-3.0)
    g = gradient(x ** 3, x)
    g.backward()
    assert x.grad == -18.0
    assert all(math.isfinite(v.grad) and all(map(math.isfinite, v.local_derivatives)) for v in topological_order(g))


def test_folded_derivatives_read_well():
    x = Value(2.0, "x")
    assert gradient(x + 1, x).op is ops.CONSTANT                           # 1, not 1 * 1
    assert gradient(x.sin(), x).op is ops.cos                              # no factor of 1
    assert gradient(x * 3 + 5, x).data == 3.0
    assert gradient(2 - x, x).data == -1.0
    assert gradient((2 - x).exp(), x).op is ops.neg                        # -e^..., not e^... * -1
    assert gradient(x.step() * 5, x).op is ops.CONSTANT                    # a term of 0 is left out


# inf and nan: IEEE results, one warning at the user's own line

def line_of_the_caller():
    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("compute, value, message", [
    (lambda: Value(0.0, "x").log(), -inf, r"log\(x = 0\.0\) is -inf"),
    (lambda: micrograd.log(Value(-1.0)), nan, r"log\(-1\.0\) is nan"),
    (lambda: Value(1.0, "a") / Value(0.0, "b"), inf, r"div\(a = 1\.0, b = 0\.0\) is inf"),
    (lambda: 1 / Value(-0.0), -inf, r"div\(1\.0, -0\.0\) is -inf"),
    (lambda: Value(0.0) / 0, nan, r"div\(0\.0, 0\.0\) is nan"),
    (lambda: Value(-8.0, "w") ** (1 / 3), nan, r"pow\(w = -8\.0, 0\.333\d*\) is nan"),
    (lambda: Value(0.0) ** -1, inf, r"pow\(0\.0, -1\.0\) is inf"),
    (lambda: Value(10.0) ** 400, inf, r"pow\(10\.0, 400\.0\) is inf"),
    (lambda: 10 ** Value(400.0), inf, r"pow\(10\.0, 400\.0\) is inf"),
    (lambda: Value(1000.0).exp(), inf, r"exp\(1000\.0\) is inf"),
    (lambda: Value(-1.0).sqrt(), nan, r"sqrt\(-1\.0\) is nan"),
    (lambda: Value(1e308) * 10, inf, r"mul\(1e\+308, 10\.0\) is inf"),
    (lambda: Value(1e308) + Value(1e308), inf, r"add\(1e\+308, 1e\+308\) is inf"),
    (lambda: -Value(1e308) - 1e308, -inf, r"sub\(-1e\+308, 1e\+308\) is -inf"),
    (lambda: Value(1.0).atanh(), inf, r"atanh\(1\.0\) is inf"),
    (lambda: Value(2.0).asin(), nan, r"asin\(2\.0\) is nan"),
    (lambda: Value(1.5e308).hypot(1.5e308), inf, r"hypot\(1\.5e\+308, 1\.5e\+308\) is inf"),
    (lambda: Value.sum([Value(1e308), 1e308]), inf, r"add\(1e\+308, 1e\+308\) is inf"),
    (lambda: Value.dot([Value(1e308)], [10]), inf, r"mul\(1e\+308, 10\.0\) is inf"),
])
def test_a_result_that_is_not_finite_warns_with_op_values_and_label(compute, value, message):
    with pytest.warns(RuntimeWarning, match=f"^{message}$") as caught:
        y = compute()
    assert len(caught) == 1
    assert y.data == value or (math.isnan(value) and math.isnan(y.data))
    assert caught[0].filename == __file__ and caught[0].lineno == compute.__code__.co_firstlineno


def test_the_warning_points_at_the_line_that_called_micrograd():
    x = Value(0.0, "x")
    with pytest.warns(RuntimeWarning) as caught:
        x.log()                                                            # a method
        micrograd.log(x)                                                   # a row of ops.py
        gradient(x.sqrt(), x)                                              # 0.5 / 0 inside gradient
        first = line_of_the_caller() - 3
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, first + i) for i in range(3)]


def test_the_warning_skips_every_module_of_micrograd():
    path = Path(micrograd.__file__).parent / "read" / "invented.py"
    inside = types.ModuleType("micrograd.read.invented")
    exec(compile("def deep(x):\n    return [micrograd.log(v) for v in [x]][0]\n", str(path), "exec"),
         vars(inside) | {"micrograd": micrograd}, vars(inside))
    with pytest.warns(RuntimeWarning) as caught:
        line = line_of_the_caller() + 1
        inside.deep(Value(0.0))
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, line)]
    neighbour = str(Path(micrograd.__file__).parent) + "_of_mine.py"      # not a module of micrograd
    exec(compile("\n\n\ny = x.log()", neighbour, "exec"), there := {"x": Value(1.0)})
    assert there["y"].data == 0.0
    with pytest.warns(RuntimeWarning) as caught:
        exec(compile("\n\n\ny = x.log()", neighbour, "exec"), {"x": Value(0.0)})
    assert [(w.filename, w.lineno) for w in caught] == [(neighbour, 4)]


def test_only_the_first_node_warns_and_what_follows_from_inf_does_not():
    with pytest.warns(RuntimeWarning) as caught:
        y = Value(0.0).log()
        z = (y * 2).exp() + y.tanh() - y * 0
    assert len(caught) == 1 and math.isnan(z.data)
    assert Value(inf).data == inf and math.isnan((Value(inf) - inf).data)  # given, not made: no warning
    assert Value(nan).exp().parents[0].grad == 0.0


def test_finite_results_do_not_warn_whatever_their_slope():
    x = Value(0.0)
    for y, slope in ((x.sqrt(), inf), (x.cbrt(), inf), (x ** 2, 0.0), (x ** 0, 0.0), (x ** 0.5, inf), (Value(1.0).asin(), inf)):
        assert math.isfinite(y.data) and y.local_derivatives[0] == slope
        y.backward()
    assert x.grad == inf


def test_the_same_warning_is_shown_once_a_line_by_default():
    x = Value(0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            x.log()
    assert len(caught) == 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("ignore", module="micrograd")              # it is in the user's module
        warnings.filterwarnings("always", module=__name__)
        x.log()
    assert len(caught) == 1


def test_as_an_error_it_stops_the_operation_and_the_graph_stays_usable():
    x, y = Value(0.0, "x"), Value(2.0, "y")
    z = x * y + y
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fails in (x.log, lambda: 1 / x, lambda: y ** 2000, lambda: Value.dot([y, y], [1e308, 1e308]),
                      lambda: Value.sum([1e308, 1e308]), lambda: x / 0, lambda: gradient(x.sqrt(), x)):
            with pytest.raises(RuntimeWarning, match=r" is (-?inf|nan)"):
                fails()
    z.backward()
    assert (x.grad, y.grad, (z + 1).data) == (2.0, 1.0, 3.0)


def test_w_error_on_the_command_line_makes_it_an_exception():
    program = "from micrograd import Value\nx = Value(0.0, 'x')\ntry:\n    x.log()\nexcept RuntimeWarning as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("log(x = 0.0) is -inf\n", "")
    shown = subprocess.run([sys.executable, "-c", "from micrograd import Value\n\nValue(0.0).log()"],
                           capture_output=True, text=True)
    assert "<string>:3: RuntimeWarning: log(0.0) is -inf" in shown.stderr


# Order

def test_topological_order_lists_each_node_once_after_its_parents_and_always_the_same():
    a, b = Value(1.0, "a"), Value(2.0, "b")
    c = a * b
    d = (c + a) * c
    order = topological_order(d)
    assert order == [a, b, c, d.parents[0], d]
    assert topological_order(d) == order and topological_order(a) == [a]
    assert topological_order() == [] and topological_order(d, d, c) == order
    e = b + 1
    both = topological_order(e, d)
    assert both[:3] == [b, e.parents[1], e] and both[-1] is d and len(both) == len(order) + 2


@pytest.mark.parametrize("bad", [3.0, None, "x", [Value(1.0)]], ids=lambda x: type(x).__name__)
def test_topological_order_refuses_what_is_no_value(bad):
    with pytest.raises(TypeError):
        topological_order(bad)


# Copies and pickles

def graph():
    x, w = Value(2.0, "x"), Value(-3.0, "w")
    h = (x * w + 1).tanh()
    h.label = "h"
    y = h * h / x - 5
    y.backward()
    return x, w, h, y


def look(root):
    order = topological_order(root)
    return [(v.data, v.grad, v.label, v.op, v.local_derivatives, [order.index(p) for p in v.parents]) for v in order]


def test_copy_copies_one_node_and_shares_its_parents():
    x, _, _, y = graph()
    for node in (x, y):
        other = copy.copy(node)
        assert other is not node and other.parents == node.parents and look(other) == look(node)
        other.data, other.label, other.grad = 9.0, "other", 8.0
        assert node.data != 9.0 and node.label != "other" and node.grad != 8.0


def test_deepcopy_copies_the_graph_and_shares_what_was_shared():
    x, w, h, y = graph()
    h2, y2, x2, xs = copy.deepcopy((h, y, x, [x, w]))
    assert look(y2) == look(y) and look(h2) == look(h)
    assert not set(topological_order(y)) & set(topological_order(y2))
    assert h2 in topological_order(y2) and x2 in topological_order(y2) and xs[0] is x2
    before = look(y)
    y2.backward()
    assert look(y) == before
    assert copy.deepcopy({"p": x})["p"].label == "x"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_restores_the_graph(protocol):
    x, _, _, y = graph()
    y2 = pickle.loads(pickle.dumps(y, protocol))
    assert look(y2) == look(y)
    leaf = pickle.loads(pickle.dumps(x, protocol))
    assert look(leaf) == look(x)
    constant = pickle.loads(pickle.dumps(y.parents[1], protocol))
    assert constant.op is ops.CONSTANT and constant.data == 5.0
    assert gradient(y2, [v for v in topological_order(y2) if v.label == "x"])[0].data == gradient(y, x).data


def test_pickled_roots_share_the_leaves_that_they_shared():
    x, w, h, y = graph()
    h2, y2, (x2, w2) = pickle.loads(pickle.dumps((h, y, (x, w))))
    assert x2 in topological_order(h2) and x2 in topological_order(y2) and w2 in topological_order(y2)
    again = pickle.loads(pickle.dumps((x, x * 2)))
    assert again[1].parents[0] is again[0]


def test_infinities_and_nan_survive_pickle():
    v = pickle.loads(pickle.dumps([Value(inf) * 2, Value(-0.0) * 1, Value(nan) + 1]))
    assert v[0].data == inf and math.copysign(1, v[1].data) == -1 and math.isnan(v[2].data)


# Subclasses

class Parameter(Value):
    """A subclass as users write it."""

    def __init__(self, data, label="", group="weights"):
        super().__init__(data, label)
        self.group = group

    def shrink(self):
        self.data *= 0.5


def test_a_subclass_is_a_value_whose_results_are_values():
    p = Parameter(4, "p")
    p.shrink()
    y = p * p + 1
    assert type(y) is Value and y.data == 5.0 and isinstance(p, Value) and p.op is ops.LEAF
    y.backward()
    assert p.grad == 4.0 and gradient(y, p).data == 4.0
    with pytest.raises(TypeError, match=r"Value\(data\) needs a real number"):
        Parameter("4")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
                         ids=["copy", "deepcopy", "pickle"])
def test_a_subclass_survives_copy_and_pickle(again):
    p = Parameter(4.0, "p", group="biases")
    p.grad = 3.0
    q = again(p)
    assert type(q) is Parameter and q is not p and (q.data, q.grad, q.label) == (4.0, 3.0, "p")
    assert q.group == "biases"
    y = again(p * 2)
    assert type(y.parents[0]) is Parameter and y.data == 8.0


def test_a_subclass_may_override_operators():
    class Loud(Value):
        def __add__(self, other): return "loud"
        def __radd__(self, other): return "loud, from the right"

    assert Loud(1) + 1 == Loud(1) + Value(1) == "loud"
    assert 1 + Loud(1) == "loud, from the right"
    assert Value(1) + Loud(1) == "loud, from the right"  # Python asks the subclass first
    assert (Loud(2) * 3).data == 6.0


# Memory, threads' marks, and the engine itself

def test_a_dropped_graph_is_freed_at_once_without_the_collector():
    x = Value(1.5)
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(x)
        y = (x * x + x.exp()) / 3
        y.backward()
        second = gradient(gradient(y, x), x)
        copies = copy.copy(y), topological_order(y)
        assert sys.getrefcount(x) > before
        del y, second, copies
        assert sys.getrefcount(x) == before
    finally:
        gc.enable()


def test_compiled_nodes_stay_out_of_the_collector():
    collected = micrograd.engine_kind() == "pure"  # whose nodes are ordinary Python objects
    assert bool(Value.__flags__ & (1 << 14)) == collected
    assert gc.is_tracked(Value(1.0)) == gc.is_tracked(Value(1.0) + 1) == collected


def test_engine_kind_says_what_runs():
    kind = micrograd.engine_kind()
    assert kind == ("pure" if micrograd.engine.__file__.endswith(".py") else "compiled")
    assert (Value.__module__, Value.__qualname__, Value.__name__) == ("micrograd.engine", "Value", "Value")


@pytest.mark.parametrize("setting, forced", [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_environment_selects_the_pure_engine(setting, forced):
    shown = subprocess.run([sys.executable, "-c", "import micrograd; from micrograd import nn, engine\n"
                            "print(micrograd.engine_kind(), nn.Value is micrograd.Value is engine.Value)"],
                           capture_output=True, text=True, env=os.environ | {"MICROGRAD_PURE": setting})
    kind, same = shown.stdout.split()
    assert same == "True"
    installed = Path(micrograd.__file__).parent
    compiled = any(path.suffix in (".so", ".pyd") for path in installed.glob("engine.*"))
    assert kind == ("compiled" if compiled and not forced else "pure")


PUBLIC = sorted(name for name in dir(Value) if not name.startswith("_")
                and not isinstance(getattr(Value, name), micrograd.engine.Elsewhere))


def test_public_methods_have_signatures_and_docstrings():
    for name in set(PUBLIC) - {"data", "grad", "label", "op", "parents", "local_derivatives"}:
        signature = inspect.signature(getattr(Value, name))
        assert "args" not in signature.parameters, name
        if micrograd.engine_kind() == "pure":  # compiled methods show their parameters; annotations are for the source
            assert signature.return_annotation in ("Value", "None", "bool"), name
    for name in PUBLIC:
        assert inspect.getdoc(inspect.getattr_static(Value, name)), name
    for function in (Value, gradient, topological_order, micrograd.engine_kind, micrograd.op):
        assert inspect.getdoc(function)
    assert list(inspect.signature(gradient).parameters) == ["y", "xs"]
    assert inspect.signature(Value.backward).parameters["seed"].default == 1.0


@pytest.mark.parametrize("name", [name for name in PUBLIC if callable(getattr(Value, name)) and name not in ("sum", "dot")]
                         + ["__copy__", "__deepcopy__", "__reduce__", "__neg__", "__add__", "__float__"])
def test_a_method_refuses_what_is_no_value(name):
    if micrograd.engine_kind() == "pure" and name in ("add", "sub", "mul", "div", "pow", "neg", "conjugate"):
        return  # Python itself then negates 3, as it is told: -self; and what is returned as it is, is 3
    for foreign in (3, "text", None):
        with pytest.raises((TypeError, AttributeError)):
            getattr(Value, name)(foreign, *{"__deepcopy__": [{}], "__add__": [1.0]}.get(name, []))


def test_help_says_how_to_make_a_value():
    if micrograd.engine_kind() == "pure":  # a compiled class has no signature that inspect can see; its text must do
        assert list(inspect.signature(Value).parameters)[:2] == ["data", "label"]
    assert "data: a real number.\n    label: the name" in inspect.getdoc(Value)


def test_public_names_are_names_of_the_package():
    for name in micrograd.__all__:
        assert getattr(micrograd, name) is not None, name
    assert set(micrograd.__all__) <= set(dir(micrograd))
    with pytest.raises(AttributeError, match="module 'micrograd' has no attribute 'Valeu'"):
        micrograd.Valeu  # noqa: B018
    hidden = {}
    exec("from micrograd import *", hidden)
    assert hidden["Value"] is Value and "abs" not in hidden and "pow" not in hidden


def test_import_is_light():
    program = "import sys, micrograd; print(*[m for m in ('numpy', 'matplotlib', 'tqdm', 'graphviz', 'click', 'json', " \
              "'micrograd.nn', 'micrograd.calculus', 'micrograd.train', 'asyncio', 'inspect') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
