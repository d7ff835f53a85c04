"""Arguments that users give: what each checker takes, and the error that opens with where it was given."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest

import micrograd
from micrograd import arguments


@pytest.mark.parametrize("check, x, expected", [
    (arguments.number, 3, 3.0), (arguments.number, Fraction(1, 2), 0.5), (arguments.number, Decimal("0.5"), 0.5),
    (arguments.number, 10**400, math.inf), (arguments.number, True, 1.0),
    (arguments.rate, 1e-300, 1e-300), (arguments.rate, 2, 2.0),
    (arguments.share, 0.5, 0.5), (arguments.share, Fraction(1, 4), 0.25),
    (arguments.whole, 1, 1), (arguments.whole, 10**30, 10**30),
    (arguments.seed, None, None), (arguments.seed, "abc", "abc"), (arguments.seed, 1.5, 1.5),
    (arguments.many, range(3), (0, 1, 2)), (arguments.many, (x for x in "ab"), ("a", "b")), (arguments.many, [], ()),
])
def test_what_is_understood(check, x, expected) -> None:
    found = check(x, "f(x)")
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("check, x, error, words", [
    (arguments.number, "1.5", TypeError, "f(x) needs a real number, found str '1.5'; convert text first: float('1.5')"),
    (arguments.number, [1.0], TypeError, "f(x) needs a real number, found list [1.0]; for many numbers make one each"),
    (arguments.number, float, TypeError, "f(x) needs a real number, found type <class 'float'>; it is a class"),
    (arguments.number, micrograd.Value(1.0), TypeError, "it is a node already"),
    (arguments.number, 1j, TypeError, "f(x) needs a real number, found complex 1j"),
    *((arguments.rate, x, ValueError, f"f(x) needs a finite number > 0, found {type(x).__name__} {x!r}")
      for x in (0, -1.0, math.inf, math.nan)),
    (arguments.rate, None, TypeError, "f(x) needs a real number, found NoneType None"),
    *((arguments.share, x, ValueError, f"f(x) needs a number between 0 and 1, found {type(x).__name__} {x!r}")
      for x in (0.0, 1, 1.5, -0.5, math.nan)),
    (arguments.whole, 0, ValueError, "f(x) needs 1 or more, found 0"),
    (arguments.whole, 1.0, TypeError, "f(x) needs a whole number, found float 1.0"),
    (arguments.whole, True, TypeError, "f(x) needs a whole number, found bool True"),
    (arguments.whole, "3", TypeError, "found str '3'; convert text first: int('3')"),
    (arguments.seed, [1], TypeError, "f(x) needs a whole number, found list [1]"),
    (arguments.seed, {}, TypeError, "f(x) needs a whole number, found dict {}"),
    (arguments.many, {1, 2}, TypeError, "f(x) needs a list of numbers, found set {1, 2}"),
    (arguments.many, {"a": 1}, TypeError, "f(x) needs a list of numbers, found dict {'a': 1}"),
    (arguments.many, "ab", TypeError, "f(x) needs a list of numbers, found str 'ab'"),
    (arguments.many, 3, TypeError, "f(x) needs a list of numbers, found int 3"),
    (arguments.many, micrograd.MLP(1, [1]), TypeError, "did you mean its parameters()?"),
    (arguments.function, 3, TypeError, "f(x) needs a function, found int 3"),
])
def test_what_is_refused(check, x, error, words) -> None:
    with pytest.raises(error) as raised:
        check(x, "f(x)")
    assert words in str(raised.value)


def test_a_whole_number_from_another_one_on() -> None:
    assert arguments.whole(0, "f(x)", 0) == 0
    with pytest.raises(ValueError, match=r"f\(x\) needs 2 or more, found 1"):
        arguments.whole(1, "f(x)", 2)


def test_what_messages_show() -> None:
    assert [arguments.counted(n, "node") for n in (0, 1, 2, 1200)] == ["0 nodes", "1 node", "2 nodes", "1,200 nodes"]
    assert arguments.shown("a" * 50) == "str 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    assert arguments.shown([1,
                            2]) == "list [1, 2]"
