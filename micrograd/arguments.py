"""Arguments that users give, checked: a number, a whole number, many, a function; and how messages show what was found.

Each checker returns the argument in one form, or raises an error that opens with `where` it was given: "MLP(nin)".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import inf
from numbers import Real
from typing import Any


def is_number(x: object) -> bool:
    """True if x is one real number: int, float, bool, Fraction, NumPy scalar, an array or tensor without dimensions, a
    scalar of pyarrow; not any other array, text, a date or a node."""
    kind = type(x)
    if kind is float or kind is int:  # at once: operators ask this
        return True
    if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_", "timedelta64"):  # which is Integral
        return kind.__name__ != "timedelta64"
    return isinstance(x, (float, int, Real)) or isinstance(alone(x), (float, int, Real))


def alone(x: Any) -> Any:
    """The item of an array or tensor without dimensions, or of a scalar of pyarrow; anything else as it is."""
    if isinstance(x, (float, int)):
        return x
    if getattr(x, "shape", None) == ():
        take = getattr(x, "tolist", None) or getattr(x, "item", None)  # a masked one gives None by the first alone
    else:
        take = getattr(type(x), "as_py", None) and x.as_py
    if not take or getattr(getattr(x, "dtype", None), "kind", None) in ("m", "M"):  # a date, which gives an int
        return x
    try:
        return take()
    except Exception:  # it is being traced by JAX, or lies where it cannot be read
        return x


def as_float(x: Any) -> float:
    """A number as a float; a whole number beyond all floats as inf."""
    try:
        return float(alone(x))
    except OverflowError:
        return inf if x > 0 else -inf


def number(x: Any, where: str) -> float:
    """x as a float, or a TypeError that says what to write instead."""
    if type(x) is float:
        return x
    if is_number(x) or isinstance(x, Decimal):
        return as_float(x)
    hint = ""
    if isinstance(x, str):
        hint = f"; convert text first: float({x!r})"
    elif isinstance(x, type):
        hint = "; it is a class, not an object of it"
    elif hasattr(x, "__op__"):
        hint = "; it is a node already: use it as it is, or its number, .data"
    elif (hasattr(x, "__len__") or hasattr(x, "__array__")) and getattr(x, "shape", None) != ():
        hint = "; for many numbers make one each: [Value(x) for x in ...]"
    raise TypeError(f"{where} needs a real number, found {shown(x)}{hint}")


def rate(x: Any, where: str) -> float:
    """x as a finite float > 0."""
    if not 0.0 < (found := number(x, where)) < inf:
        raise ValueError(f"{where} needs a finite number > 0, found {shown(x)}")
    return found


def share(x: Any, where: str) -> float:
    """x as a float between 0 and 1, neither of them included."""
    if not 0.0 < (found := number(x, where)) < 1.0:
        raise ValueError(f"{where} needs a number between 0 and 1, found {shown(x)}")
    return found


def whole(x: Any, where: str, low: int = 1) -> int:
    """x as an int of at least `low`."""
    if isinstance(x, (bool, type)) or not hasattr(x, "__index__"):
        hint = f"; convert text first: int({x!r})" if isinstance(x, str) else ""
        raise TypeError(f"{where} needs a whole number, found {shown(x)}{hint}")
    if x < low:
        raise ValueError(f"{where} needs {low} or more, found {x}")
    return int(x)


def many(xs: Any, where: str, what: str = "a list of numbers") -> tuple[Any, ...]:
    """xs as a tuple, or a TypeError: also for what would hand out its keys, the names of its columns, or its items in
    any order."""
    if type(xs) is list or type(xs) is tuple:
        return tuple(xs)
    try:
        keyed = isinstance(xs, (str, bytes, bytearray, set, frozenset, Mapping)) or hasattr(xs, "columns")
        each = None if keyed else iter(xs)
    except TypeError:
        each = None
    if each is None:
        hint = "; did you mean its parameters()?" if hasattr(xs, "parameters") else ""
        raise TypeError(f"{where} needs {what}, found {shown(xs)}{hint}")
    return tuple(each)


def function(f: Any, where: str) -> Any:
    """f, if it can be called, or a TypeError."""
    if not callable(f):
        hint = "; y.backward() and micrograd.gradient(y, xs) differentiate a Value" if hasattr(f, "__op__") else ""
        raise TypeError(f"{where} needs a function, found {shown(f)}{hint}")
    return f


def seed(x: Any, where: str) -> Any:
    """x, if `random.Random` takes it."""
    return x if x is None or isinstance(x, (int, float, str, bytes)) else whole(x, where, 0)


def shown(x: Any) -> str:
    """An object in a message: its type, and the object itself in 40 characters."""
    words = " ".join(repr(x).split())
    return f"{type(x).__name__} {words if len(words) <= 40 else words[:37] + '...'}"


def counted(n: int, thing: str) -> str:
    """A number of things in a message: 1 node, 1,200 nodes."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"
