"""Graphs as expressions of SymPy, and expressions as graphs: every row of the table, there and back."""

import doctest
import math
import operator
import re
import warnings
from math import inf, nan, pi

import pytest

import micrograd
from micrograd import (
    MLP,
    Value,
    compile,
    exp,
    from_sympy,
    gradient,
    log,
    op,
    ops,
    relu,
    sin,
    text,
    to_sympy,
    topological_order,
)
from micrograd.symbolic import COMPOSED, NAMED

sympy = pytest.importorskip("sympy")

ROWS = [row for row in ops.OPS.values() if row.builtin]
UNKNOWN = {ops.floor, ops.ceil, ops.trunc, ops.round, ops.mod, ops.floordiv}  # whose derivative SymPy leaves open


def to_real(v):
    """In real symbols, of which SymPy knows all derivatives."""
    return to_sympy(v, real=True)


x, s, t = Value(2.0, "x"), *sympy.symbols("s t", real=True)


def points(row):
    """Where a row is tried: inside of its domain, not at a kink."""
    for share in (0.17, 0.58, 0.93):
        args = [low + (share + 0.37 * i) % 1 * (high - low) for i, (low, high) in enumerate(row.domain)]
        if row.kink is None or abs(row.kink(*args)) > 1e-9:
            yield args


def by_symbols(expression, leaves):
    return expression.subs({sympy.Symbol(leaf.label, real=True): leaf.data for leaf in leaves})


@pytest.mark.parametrize("row", [row for row in ROWS if row is not ops.where], ids=lambda row: row.name)
def test_a_row_there_and_back(row):
    for args in points(row):
        leaves = [Value(arg, name) for arg, name in zip(args, "abc")]
        y = row(*leaves)
        expression = to_real(y)
        assert float(by_symbols(expression, leaves)) == pytest.approx(y.data, rel=1e-12, abs=1e-14)
        again = from_sympy(expression, **{leaf.label: leaf for leaf in leaves})
        assert again.data == pytest.approx(y.data, rel=1e-12, abs=1e-14)
        for i, leaf in enumerate(leaves):
            slope = row.slope(i, y.data, *args)
            assert gradient(again, leaf).data == pytest.approx(slope, rel=1e-9, abs=1e-12)
            theirs = sympy.diff(expression, sympy.Symbol(leaf.label, real=True))
            if row in UNKNOWN:
                assert theirs.has(sympy.Derivative, sympy.Subs) or theirs == 0
            else:
                assert float(by_symbols(theirs, leaves)) == pytest.approx(slope, rel=1e-9, abs=1e-12)
                assert from_sympy(theirs, a=leaves[0], b=leaves[-1]).data == pytest.approx(slope, rel=1e-9, abs=1e-12)


def test_every_row_is_in_one_table():
    assert not NAMED.keys() & COMPOSED.keys()
    assert {*NAMED, *COMPOSED} == set(ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if row is not ops.where], ids=lambda row: row.name)
def test_derivatives_of_derivatives(row):
    """What gradients are made of, the private rows, has its formula, too."""
    for args in points(row):
        leaves = [Value(arg, name) for arg, name in zip(args, "abc")]
        for leaf in leaves:
            slope = gradient(gradient(row(*leaves), leaf), leaf)
            found = by_symbols(to_real(slope), leaves)
            assert float(found) == pytest.approx(slope.data, rel=1e-9, abs=1e-9)


def test_where_is_a_piecewise():
    expression = sympy.Piecewise((s ** 2, s > 1), (-s, s < 0), (sympy.Integer(5), True))
    for at, y, slope in ((3.0, 9.0, 6.0), (-2.0, 2.0, -1.0), (0.5, 5.0, 0.0)):
        leaf = Value(at)
        found = from_sympy(expression, s=leaf)
        assert (found.data, gradient(found, leaf).data) == (y, slope)
    step = compile(lambda u: from_sympy(expression, s=u))
    assert list(step.map([3.0, -2.0, 0.5])) == [9.0, 2.0, 5.0]
    assert step.grad(3.0) == 6.0
    assert COMPOSED[ops.where](sympy, sympy.Heaviside(s, 0), s, t) == sympy.Piecewise((s, s > 0), (t, True))
    assert COMPOSED[ops.where](sympy, t, s, 1) == sympy.Piecewise((s, sympy.Ne(t, 0)), (1, True))


@pytest.mark.parametrize("condition", [
    s > 0, s >= 1, s < 1, s <= 0, sympy.Eq(s, 1), sympy.Ne(s, 1), (s > 0) & (s < 2), (s < 0) | (s > 1), sympy.Not((s > 0) & (s < 2)),
    (s > 0) | sympy.Eq(s, -1), sympy.true, sympy.false,
], ids=str)
def test_conditions(condition):
    """By the engine, which takes the branch, and recorded, as SymPy itself has it."""
    choice = sympy.Piecewise((s + 10, condition), (-s, True))
    step = compile(lambda u: from_sympy(choice, s=u))
    for at in (-1.0, 0.0, 0.5, 1.0, 2.0):
        assert from_sympy(choice, s=at).data == step(at) == float(choice.subs(s, at))


def test_a_branch_that_is_not_taken_is_not_computed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_sympy(sympy.Piecewise((sympy.log(s), s > 0), (0, True)), s=-1.0).data == 0.0
    assert str(from_sympy(sympy.Piecewise((s, s > 0)), s=-1.0).data) == "nan"


MORE = [sympy.cot(s), sympy.sec(s), sympy.csc(s), sympy.coth(s), sympy.sech(s), sympy.csch(s), sympy.acot(s), sympy.asec(1 + s),
        sympy.acsc(1 + s), sympy.acoth(1 + s), sympy.asech(s), sympy.acsch(s), sympy.frac(s + 3), sympy.Heaviside(s),
        sympy.Heaviside(s, 1), sympy.DiracDelta(s), sympy.re(s), sympy.Max(s, t, 1), sympy.Min(s, t, 0),
        sympy.exp(-s ** 2) / (2 * sympy.pi), sympy.Rational(2, 3) * s / t, -s, -2 * s - t - 1, 1 / s, s ** -2, 1 / sympy.sqrt(s),
        s ** sympy.Rational(1, 3), sympy.GoldenRatio * s, sympy.E ** s, s ** t, 5 * s ** -2 * t ** -1, s - t, 1 - s, sympy.sqrt(2) * s,
        sympy.Rational(10 ** 400, 3 ** 800) * s, sympy.Float("0.1", 50) * s, sympy.atan2(s, t), sympy.Integer(7), sympy.log(s, 3)]


@pytest.mark.parametrize("expression", MORE, ids=str)
def test_what_else_is_read(expression):
    a, b = Value(0.6, "a"), Value(1.7, "b")
    y = from_sympy(expression, s=a, t=b)
    assert isinstance(y, Value)
    assert y.data == pytest.approx(float(expression.subs({s: 0.6, t: 1.7})), rel=1e-12)
    for leaf, symbol in ((a, s), (b, t)):
        theirs = sympy.diff(expression, symbol)
        if not theirs.has(sympy.Derivative, sympy.Subs):
            assert gradient(y, leaf).data == pytest.approx(float(theirs.subs({s: 0.6, t: 1.7})), rel=1e-9)


def test_it_reads_as_a_person_writes_it():
    a, b = Value(2.0, "a"), Value(3.0, "b")
    for expression, expected in ((s - t, "a - b"), (s / t, "a / b"), (-s * t, "-a * b"), (s / 2, "a / 2"), (2 * s + 1, "2 * a + 1"),
                                 (1 - s, "1 - a"), (sympy.sqrt(s), "sqrt(a)"), (sympy.Max(0, s), "relu(a)")):
        assert text(from_sympy(expression, s=a, t=b)) == expected


def test_names_come_from_labels():
    assert to_real(x * x + 2 * x) == sympy.Symbol("x", real=True) ** 2 + 2 * sympy.Symbol("x", real=True)
    one, other, bare = Value(1.0, "w"), Value(2.0, "w"), Value(3.0)
    names = {symbol.name for symbol in to_real(one * other * bare * Value(4.0)).free_symbols}
    assert names == {"w^{(1)}", "w^{(2)}", "x_1", "x_2"}  # two leaves are two symbols, always
    assert {symbol.name for symbol in to_real(Value(1.0) + Value(2.0, "x_1")).free_symbols} == {"x_{1}", "x_1"}
    net = MLP(2, [1], activation="tanh", output="tanh", rng=0)
    assert {symbol.name for symbol in to_real(net([1.0, 2.0])).free_symbols} == {
        "a^{1}_{1}", "a^{1}_{2}", "w^{2}_{1,1}", "w^{2}_{1,2}", "b^{2}_{1}"}


def test_numbers_are_exact():
    for number in (0.5, 3.0, 0.1, 1e300, -2.75, 1 / 3):
        [constant] = [arg for arg in to_real(x + number).args if arg.is_Number]
        assert float(constant) == number
    assert to_real(0.5 * x).args[0] == sympy.Rational(1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert to_real((x + inf).detach()) == sympy.oo and to_real((x + nan).detach()) is sympy.nan
        assert to_real((x - inf).detach()) == -sympy.oo
    assert from_sympy(sympy.oo).data == inf and from_sympy(3).data == 3.0
    assert from_sympy(s, s=3).label == "s" and from_sympy(s, s=x) is x
    assert from_sympy(sympy.Symbol("expr") + sympy.Symbol("w_{1}"), expr=1.0, **{"w_{1}": 2.0}).data == 3.0


def test_an_op_of_your_own():
    cube = op("cube", lambda u: u * u * u, lambda y, u: 3 * u * u)
    assert to_real(cube(x)) == sympy.Symbol("x", real=True) ** 3
    op("closed", lambda u: math.exp(u), lambda y, u: y)
    with pytest.raises(ValueError, match="closed has no counterpart in SymPy, as its function takes bare numbers"):
        to_real(ops.OPS["closed"](x))


@pytest.mark.parametrize("f", [
    lambda v: v * v + 0.1 * v, lambda v: v.elu(), lambda v: v.leaky_relu() - 0.5, lambda v: v.gelu(), lambda v: v.sin(),
    lambda v: v ** 2 - 0.3, lambda v: (v - 1).relu() + 1, lambda v: v / (v + 1), lambda v: v.maximum(0.1 * v),
], ids=["square", "elu", "leaky_relu", "gelu", "sin", "power", "relu", "quotient", "maximum"])
def test_deep_and_shared_graphs(f):
    """Neither a formula that would be 2**1000 long nor one that is 1,000 deep takes long, there or back."""
    leaf = Value(0.7, "x")
    y = leaf
    for _ in range(1000):
        y = f(y)
    again = from_sympy(to_real(y), x=leaf)
    assert again.data == pytest.approx(y.data, rel=1e-9, abs=1e-300)
    assert gradient(again, leaf).data == pytest.approx(gradient(y, leaf).data, rel=1e-6, abs=1e-300)
    assert len(topological_order(again)) < 20_000


def test_a_long_sum_is_one_sum():
    leaves = [Value(float(i), f"p{i}") for i in range(3000)]
    expression = to_real(Value.dot(leaves, leaves) - leaves[0])
    assert expression.is_Add and len(expression.args) == 3001
    assert from_sympy(expression, **{leaf.label: leaf for leaf in leaves}).data == sum(i * i for i in range(3000))
    assert to_real(Value(1.0, "u") + Value(2.0, "v") - (Value(3.0, "w") - Value(4.0, "z"))) == sympy.sympify(
        "u + v - w + z", {name: sympy.Symbol(name, real=True) for name in "uvwz"})


def test_what_is_used_twice_stays_one_node():
    expression = sympy.sin(s * t) ** 2 + sympy.exp(sympy.sin(s * t))
    assert sum(node.op is ops.sin for node in topological_order(from_sympy(expression, s=1.0, t=2.0))) == 1


@pytest.mark.parametrize(("expression", "message"), [
    (s + t, "the symbol t has no value (given are s): from_sympy(expr, t=...)"),
    (sympy.Sum(s, (t, 1, 3)), "has no counterpart here: write a finite one out with .doit()"),
    (sympy.Integral(sympy.exp(-t ** 2), (t, 0, s)), "let SymPy work it out first, with .doit()"),
    (sympy.Derivative(sympy.Function("f")(s), s), "let SymPy work it out first, with .doit()"),
    (sympy.diff(sympy.floor(s), s), "let SymPy work it out first"),
    (sympy.Function("f")(s), "f(s) has no counterpart here: a function without a definition; there are + - * / **"),
    (sympy.gamma(s), "gamma(s) has no counterpart here: "),
    (sympy.I * s, "I has no counterpart here: Values are real numbers"),
    (sympy.zoo, "zoo has no counterpart here: Values are real numbers"),
    (sympy.MatrixSymbol("M", 2, 2)[0, 0] + s, "has no counterpart here"),
    (sympy.Symbol("s") + s, "two symbols are called s, with different assumptions"),
])
def test_what_has_no_counterpart(expression, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_sympy(expression, s=1.0)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: from_sympy(s > 0, s=1.0), "a relation is not a number; Piecewise((a, condition), (b, True))"),
    (lambda: from_sympy("s**2", s=1.0), "found str s**2: sympy.sympify makes an expression of text"),
    (lambda: from_sympy(sympy.Matrix([s]), s=1.0), "of a matrix, give each entry by itself"),
    (lambda: from_sympy(x), "from_sympy needs an expression of SymPy, found Value"),
    (lambda: from_sympy(s, s="1"), "from_sympy(s=...) needs a real number, found str '1'"),
    (lambda: to_sympy(1.0), "to_sympy needs a Value, found float 1.0"),
    (lambda: to_sympy([x]), "of several, one at a time"),
])
def test_what_is_no_expression(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod, operator.floordiv]
RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # (-1)**x has no slope in x
@pytest.mark.parametrize("f", OPERATORS)
@pytest.mark.parametrize("number", [sympy.Rational(1, 2), sympy.Integer(3), sympy.Float(0.25), sympy.S.Half, sympy.S.One, sympy.S.NegativeOne])
def test_numbers_of_sympy_keep_the_graph(f, number):
    for y, expected in ((f(number, x), f(float(number), x)), (f(x, number), f(x, float(number)))):
        assert isinstance(y, Value)
        assert repr(y.data) == repr(expected.data)
        assert repr(gradient(y, x).data) == repr(gradient(expected, x).data)


@pytest.mark.parametrize("f", OPERATORS + RELATIONS)
@pytest.mark.parametrize("foreign", [s, s + 1, sympy.pi, sympy.sqrt(2), sympy.sin(s)], ids=str)
def test_expressions_are_refused_with_a_way_out(f, foreign):
    for call in (lambda: f(foreign, x), lambda: f(x, foreign)):
        with pytest.raises(TypeError, match=r"of SymPy do not go into one expression: micrograd\.from_sympy.*micrograd\.to_sympy"):
            call()


@pytest.mark.parametrize("call", [lambda: sympy.sin(x), lambda: sympy.sympify(x), lambda: s.subs(s, x)])
def test_sympy_takes_no_value(call):
    with pytest.raises(sympy.SympifyError, match=r"give float\(v\), where only its number is wanted, or micrograd\.to_sympy\(v\)"):
        call()


def test_a_derivative_by_sympy_trains_like_ours():
    """There, differentiated by SymPy, and back."""
    y = exp(-x * x) * sin(x) + log(1 + x) * relu(x - 1) + pi
    theirs = from_sympy(sympy.diff(to_real(y), sympy.Symbol("x", real=True)), x=x)
    assert theirs.data == pytest.approx(gradient(y, x).data, rel=1e-12)


@pytest.mark.parametrize("function", [to_sympy, from_sympy], ids=lambda function: function.__name__)
def test_the_example_is_what_python_prints(function):
    test = doctest.DocTestParser().get_doctest(function.__doc__, {"micrograd": micrograd}, function.__name__, None, 0)
    assert test.examples and doctest.DocTestRunner().run(test).failed == 0


def test_symbols_are_those_that_users_make():
    x, a = Value(2.0, "x"), sympy.Symbol("x")
    assert to_sympy(x * x).diff(a) == 2 * a and to_sympy(x.abs()) == abs(a) and to_sympy(x.relu()).subs(a, 3) == 3
