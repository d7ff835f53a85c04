"""The engine: a Value is a number that remembers how it was computed.

Every operation makes a new Value and records, at that very moment, which one or two Values it came from (its parents)
and how fast it changes with each of them (its local derivatives). `backward` sorts the recorded graph so that every
node comes after its parents, walks it from the result to the leaves, and applies the chain rule one node at a time:

    parent.grad += local derivative * node.grad

That is all of backpropagation, and it ends with `backward`, before line 200. What follows is how a Value behaves as a
number, gradients that can be differentiated again, copies, pickles and freeing. Nothing recurses, so a graph may be a
million nodes deep. The slots of a node (`_data`, `_a`, ...) are private, fast and unchecked; users see the properties.
Where a C compiler is at hand, Cython compiles this same file, with the types of engine.pxd: see `engine_kind`.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from math import ceil, floor, inf, isfinite, isinf, isnan, pi, trunc
from numbers import Integral
from typing import Any, NoReturn, TypeVar, Union

from . import caller, ops, packages
from .arguments import as_float, is_number, many, number
from .ops import ROWS, Op
from .packages import IN_BROWSER
from .rows import carries

__all__ = ["Value", "gradient", "topological_order", "engine_kind"]

packages.only_ours(__name__.rpartition(".")[0])

# A node holds its row by number: ROWS[number] is the row.
LEAF, CONSTANT, ADD, SUB = ops.LEAF.index, ops.CONSTANT.index, ops.add.index, ops.sub.index
MUL, DIV, NEG, POW, RELU = ops.mul.index, ops.div.index, ops.neg.index, ops.pow.index, ops.relu.index
TANH, SIGMOID = ops.tanh.index, ops.sigmoid.index

Number = Union["Value", float]  # what an operation takes: a node, or a number that becomes a constant


# How a node is made: its number, its parents, and the local derivative with respect to each. (The formulas are those of
# the table in ops.py. What every program spends its time in is written out here too; a test holds the two equal.)

def record(row: int, y: float, a: Value, da: float, b: Any, db: float) -> Value:
    """The node y = row(a, b) with its local derivatives; b is None for a row of one argument."""
    if type(a) is Value and (b is None or type(b) is Value):
        node = Value.__new__(Value)
    else:
        node = Value.__new__(kind_of_child(a, b))
    node._data, node._grad = y, 0.0
    node._a, node._b = a, b
    node._da = 0.0 if a._row == CONSTANT else da           # nothing is differentiated by a constant
    node._db = 0.0 if b is None or b._row == CONSTANT else db
    node._row, node._label, node._visit = row, "", 0
    if y - y != 0.0 and type(node) is Value:               # inf or nan
        warn_not_finite(node)
    return node


def plus(a: Value, b: Value) -> Value:
    return record(ADD, a._data + b._data, a, 1.0, b, 1.0)


def times(a: Value, b: Value) -> Value:
    x, w = a._data, b._data
    return record(MUL, x * w, a, w, b, x)


# The backward pass. Each walk takes a pair of marks, (1, 2), (3, 4), ..., for the nodes that it meets. They fit the 32
# bits that a node has for them, and come round again after two billion walks. next() is atomic, so threads may walk.
visits = chain.from_iterable(repeat(range(1, 2**32 - 1, 2)))


def walk(roots: Iterable[Value], afresh: bool = False) -> list[Value]:
    """The computed nodes that the roots depend on, themselves included, each after its parents.

    A depth-first search with a stack of its own. A node that is met is marked, and put back below its parents; when it
    comes up again they are done, and so is the node. `afresh` sets the gradients of the nodes to 0 on the way.
    """
    met = next(visits)
    done = met + 1
    order: list[Value] = []
    stack: list[Any] = [None] * 16  # a floor: a list that empties and fills again and again is resized each time
    stack += roots
    while True:
        node = stack.pop()
        if node is None:
            return order
        if node._visit == met:
            node._visit = done
            order.append(node)
        elif node._visit != done and node._a is not None:
            node._visit = met
            if afresh:
                node._grad = 0.0
            stack.append(node)
            a, b = node._a, node._b
            if b is not None and b._visit != done and b._a is not None:
                stack.append(b)
            if a._visit != done and a._a is not None:
                stack.append(a)


def chain_rule(order: list[Value]) -> None:
    """From the last node to the first, hand each node's gradient on to its parents.

    A product that is nan may be 0 · inf along an edge that carries nothing, or below one: there it is left out.
    """
    carrying: Any = None
    for node in reversed(order):
        upstream = node._grad
        da, db = node._da * upstream, node._db * upstream
        if da != da or db != db:
            carrying = edges_that_carry(order) if carrying is None else carrying
            da = da if da == da or (node, 0) in carrying else 0.0
            db = db if db == db or (node, 1) in carrying else 0.0
        node._a._grad += da
        if node._b is not None:
            node._b._grad += db


class Value:
    """A scalar that records how it was computed.

    Args:
        data: a real number.
        label: the name that drawings, formulas and messages show.

    Raises:
        TypeError: if data is not one real number.

    Example:
        >>> x = micrograd.Value(3.0, "x")
        >>> y = x * x + 2 * x
        >>> y.backward()
        >>> y.data, x.grad
        (15.0, 8.0)
    """

    __slots__ = ("_data", "_grad", "_a", "_b", "_da", "_db", "_row", "_label", "_visit")

    def __init__(self, data: float, label: str = "", *others: NoReturn, **unknown: NoReturn) -> None:
        self._label = label if type(label) is str and not (others or unknown) else label_alone(label, others, unknown)
        self._data, self._grad = number(data, "Value(data)"), 0.0
        self._a: Any = None                # the parents: none, one or two
        self._b: Any = None
        self._da = self._db = 0.0          # the local derivatives: d(self)/d(a), d(self)/d(b)
        self._row = LEAF                   # the row of the table that computed it
        self._visit = 0                    # the last walk over the graph that came by
        if not propagates_type(self):
            made[0] += 1

    # Arithmetic. A number on either side becomes a constant; anything foreign gets its own chance.

    def __add__(self, b: Number) -> Value:
        return plus(self, b) if isinstance(b, Value) else plus(self, constant(b)) if is_number(b) else foreign(b)
    def __sub__(self, b: Number) -> Value:
        return minus(self, b) if isinstance(b, Value) else minus(self, constant(b)) if is_number(b) else foreign(b)
    def __mul__(self, b: Number) -> Value:
        return times(self, b) if isinstance(b, Value) else times(self, constant(b)) if is_number(b) else foreign(b)
    def __truediv__(self, b: Number) -> Value:
        return over(self, b) if isinstance(b, Value) else over(self, constant(b)) if is_number(b) else foreign(b)
    def __pow__(self, b: Number) -> Value:
        return power(self, b) if isinstance(b, Value) else power(self, constant(b)) if is_number(b) else foreign(b)

    def __radd__(self, a: Number) -> Value: return plus(constant(a), self) if is_number(a) else foreign(a)
    def __rsub__(self, a: Number) -> Value: return minus(constant(a), self) if is_number(a) else foreign(a)
    def __rmul__(self, a: Number) -> Value: return times(constant(a), self) if is_number(a) else foreign(a)
    def __rtruediv__(self, a: Number) -> Value: return over(constant(a), self) if is_number(a) else foreign(a)
    def __rpow__(self, a: Number) -> Value: return power(constant(a), self) if is_number(a) else foreign(a)
    def __neg__(self) -> Value: return record(NEG, -self._data, self, -1.0, None, 0.0)

    def relu(self) -> Value:
        """max(0, x). Its derivative at 0 is 0. See micrograd.relu."""
        x = self._data
        return record(RELU, 0.0 if x <= 0.0 else x, self, 1.0 if x > 0.0 else x if x != x else 0.0, None, 0.0)

    def backward(self, seed: float = 1.0) -> None:
        """Fill in .grad of every Value that this one depends on: seed * d(self)/d(node).

        Leaves accumulate: a second backward adds to their gradients (set .grad = 0 between two gradient steps).
        Computed nodes start afresh at each backward, so that two outputs may share a part of the graph. Constants have
        no gradient. Runs in time and memory proportional to the number of nodes, at any depth.

        Args:
            seed: the gradient of this Value itself.

        Raises:
            TypeError: if seed is not a number.

        Example:
            >>> a, b = micrograd.Value(2.0), micrograd.Value(5.0)
            >>> (a * b).backward()
            >>> a.grad, b.grad
            (5.0, 2.0)
        """
        upstream = number(seed, "backward(seed)")
        order = walk([self], True)
        self._grad += upstream
        chain_rule(order)

    def detach(self, label: str = "") -> Value:
        """Its number as a constant: a node through which no derivative passes.

        Args:
            label: the name of that node.

        Returns:
            A Value.

        Example:
            >>> x = micrograd.Value(3.0)
            >>> (x * x.detach()).backward()
            >>> x.grad
            3.0
        """
        return constant(self._data, text(label))

    # What a node is

    @property
    def data(self) -> float:
        """The number. Assign to a leaf to change it (a gradient step); what was computed from it stays as it was."""
        return self._data

    @data.setter
    def data(self, x: float) -> None:
        self._data = number(x, "Value.data")

    @property
    def grad(self) -> float:
        """d(root)/d(self), filled in by root.backward(); 0.0 before. A constant's stays 0.0."""
        return 0.0 if self._row == CONSTANT else self._grad

    @grad.setter
    def grad(self, x: float | None) -> None:
        self._grad = 0.0 if x is None else number(x, "Value.grad")

    @property
    def label(self) -> str:
        """The name that drawings, formulas and messages show; "" for none."""
        return self._label

    @label.setter
    def label(self, name: str) -> None:
        self._label = name if type(name) is str else text(name)

    @property
    def op(self) -> Op:
        """The row of the table of operations that computed it. For a leaf: `ops.LEAF` or `ops.CONSTANT`."""
        return ROWS[self._row]

    @property
    def parents(self) -> tuple[Value, ...]:
        """The Values that it was computed from, in the order of the op's arguments: none, one or two."""
        return () if self._a is None else (self._a,) if self._b is None else (self._a, self._b)

    @property
    def local_derivatives(self) -> tuple[float, ...]:
        """d(self)/d(parent) for each parent, as recorded when it was computed; 0.0 for a constant."""
        return (self._da, self._db)[:len(self.parents)]

    @property
    def _prev(self) -> set[Value]:         # the names that notebooks written for Karpathy's micrograd use
        return set(self.parents)

    @property
    def _op(self) -> str:
        return ROWS[self._row].symbol

    # The rest of its arithmetic

    def __mod__(self, b: Number) -> Value:
        return binary(ops.mod, self, as_value(b)) if isinstance(b, Value) or is_number(b) else foreign(b)

    def __floordiv__(self, b: Number) -> Value:
        return binary(ops.floordiv, self, as_value(b)) if isinstance(b, Value) or is_number(b) else foreign(b)

    def __rmod__(self, a: Number) -> Value: return binary(ops.mod, constant(a), self) if is_number(a) else foreign(a)
    def __rfloordiv__(self, a: Number) -> Value:
        return binary(ops.floordiv, constant(a), self) if is_number(a) else foreign(a)

    def __divmod__(self, b: Number) -> tuple[Value, Value]: return self // b, self % b
    def __rdivmod__(self, a: Number) -> tuple[Value, Value]: return a // self, a % self
    def __pos__(self) -> Value: return self
    def __abs__(self) -> Value: return unary(ops.abs, self)

    # One method for each row of the table

    def add(self, other: Number) -> Value: """See micrograd.add."""; return self + other
    def sub(self, other: Number) -> Value: """See micrograd.sub."""; return self - other
    def mul(self, other: Number) -> Value: """See micrograd.mul."""; return self * other
    def div(self, other: Number) -> Value: """See micrograd.div."""; return self / other
    def pow(self, other: Number) -> Value: """See micrograd.pow."""; return self ** other
    def neg(self) -> Value: """See micrograd.neg."""; return -self
    def abs(self) -> Value: """See micrograd.abs."""; return unary(ops.abs, self)
    def exp(self) -> Value: """See micrograd.exp."""; return unary(ops.exp, self)
    def expm1(self) -> Value: """See micrograd.expm1."""; return unary(ops.expm1, self)
    def log(self) -> Value: """See micrograd.log."""; return unary(ops.log, self)
    def log1p(self) -> Value: """See micrograd.log1p."""; return unary(ops.log1p, self)
    def log2(self) -> Value: """See micrograd.log2."""; return unary(ops.log2, self)
    def log10(self) -> Value: """See micrograd.log10."""; return unary(ops.log10, self)
    def sqrt(self) -> Value: """See micrograd.sqrt."""; return unary(ops.sqrt, self)
    def cbrt(self) -> Value: """See micrograd.cbrt."""; return unary(ops.cbrt, self)
    def sin(self) -> Value: """See micrograd.sin."""; return unary(ops.sin, self)
    def cos(self) -> Value: """See micrograd.cos."""; return unary(ops.cos, self)
    def tan(self) -> Value: """See micrograd.tan."""; return unary(ops.tan, self)
    def asin(self) -> Value: """See micrograd.asin."""; return unary(ops.asin, self)
    def acos(self) -> Value: """See micrograd.acos."""; return unary(ops.acos, self)
    def atan(self) -> Value: """See micrograd.atan."""; return unary(ops.atan, self)
    def sinh(self) -> Value: """See micrograd.sinh."""; return unary(ops.sinh, self)
    def cosh(self) -> Value: """See micrograd.cosh."""; return unary(ops.cosh, self)
    def tanh(self) -> Value: """See micrograd.tanh."""; return tanh_of(self)
    def asinh(self) -> Value: """See micrograd.asinh."""; return unary(ops.asinh, self)
    def acosh(self) -> Value: """See micrograd.acosh."""; return unary(ops.acosh, self)
    def atanh(self) -> Value: """See micrograd.atanh."""; return unary(ops.atanh, self)
    def erf(self) -> Value: """See micrograd.erf."""; return unary(ops.erf, self)
    def erfc(self) -> Value: """See micrograd.erfc."""; return unary(ops.erfc, self)
    def identity(self) -> Value: """See micrograd.identity."""; return unary(ops.identity, self)
    def sigmoid(self) -> Value: """See micrograd.sigmoid."""; return sigmoid_of(self)
    def softplus(self) -> Value: """See micrograd.softplus."""; return unary(ops.softplus, self)
    def gelu(self) -> Value: """See micrograd.gelu."""; return unary(ops.gelu, self)
    def silu(self) -> Value: """See micrograd.silu."""; return unary(ops.silu, self)
    def step(self) -> Value: """See micrograd.step."""; return unary(ops.step, self)
    def sign(self) -> Value: """See micrograd.sign."""; return unary(ops.sign, self)
    def floor(self) -> Value: """See micrograd.floor."""; return unary(ops.floor, self)
    def ceil(self) -> Value: """See micrograd.ceil."""; return unary(ops.ceil, self)
    def trunc(self) -> Value: """See micrograd.trunc."""; return unary(ops.trunc, self)
    def round(self) -> Value: """See micrograd.round."""; return unary(ops.round, self)
    def mod(self, other: Number) -> Value: """See micrograd.mod."""; return self % other
    def floordiv(self, other: Number) -> Value: """See micrograd.floordiv."""; return self // other
    def leaky_relu(self, slope: Number = 0.01) -> Value:
        """See micrograd.leaky_relu."""
        return binary(ops.leaky_relu, self, as_value(slope))
    def elu(self, alpha: Number = 1.0) -> Value: """See micrograd.elu."""; return binary(ops.elu, self, as_value(alpha))
    def atan2(self, x: Number) -> Value: """See micrograd.atan2."""; return binary(ops.atan2, self, as_value(x))
    def hypot(self, other: Number) -> Value: """See micrograd.hypot."""; return binary(ops.hypot, self, as_value(other))
    def maximum(self, other: Number) -> Value:
        """See micrograd.maximum."""
        return binary(ops.maximum, self, as_value(other))
    def minimum(self, other: Number) -> Value:
        """See micrograd.minimum."""
        return binary(ops.minimum, self, as_value(other))
    def where(self, a: Number, b: Number) -> Value:
        """See micrograd.where."""
        return self.__op__(ops.where, (self, a, b))

    # NumPy's other names: np.arcsin(v) calls v.arcsin(), and so for each Value of an array
    arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
    arcsinh, arccosh, arctanh = asinh, acosh, atanh
    rint, fabs = round, abs

    def exp2(self) -> Value: """2 ** x."""; return power(constant(2.0), self)
    def radians(self) -> Value: """x · π/180."""; return times(self, constant(pi / 180.0))
    def degrees(self) -> Value: """x · 180/π."""; return times(self, constant(180.0 / pi))
    deg2rad, rad2deg = radians, degrees
    def conjugate(self) -> Value: """x itself: np.std and np.var multiply by it."""; return self

    def fmod(self, other: Number) -> Value:
        """The remainder with the sign of this Value, where `%` has that of the other.

        Args:
            other: a number or a Value.

        Returns:
            A Value.

        Example:
            >>> micrograd.Value(-7.0).fmod(3.0).data, (micrograd.Value(-7.0) % 3.0).data
            (-1.0, 2.0)
        """
        b = abs(as_value(other))
        return (-self).step().where(-(-self % b), self % b)

    def logaddexp(self, other: Number) -> Value:
        """log(e^x + e^y), stable over the whole line.

        Args:
            other: y, a number or a Value.

        Returns:
            A Value.

        Example:
            >>> micrograd.Value(1000.0).logaddexp(0.0).data
            1000.0
        """
        high = self.maximum(other)
        gap: Value = ops.where(abs(high) < inf, self.minimum(other) - high, as_value(0.0))
        return high + gap.softplus()

    # What NumPy has for floats alone, so that an array is asked so: np.vectorize(Value.isnan)(a)
    def isnan(self) -> bool: """True if its number is nan."""; return isnan(self.data)
    def isinf(self) -> bool: """True if its number is inf or -inf."""; return isinf(self.data)
    def isfinite(self) -> bool: """True if its number is neither inf nor nan."""; return isfinite(self.data)

    def __op__(self, op: Op, args: Sequence[Any]) -> Value:
        """Record a row called on nodes (what `Op.__call__` asks of a node)."""
        if op.arity == 1:
            return unary(op, as_value(args[0]))
        if op.arity == 2:
            return binary(op, as_value(args[0]), as_value(args[1]))
        for arg in args:
            if type(arg) is not type(self) and propagates_type(arg):
                other: Value = arg.__op__(op, args)
                return other
        return as_value(op.forward(*args))  # `where`: the branch itself, no node

    # Sums of many

    @staticmethod
    def sum(values: Iterable[Number]) -> Value:
        """v1 + v2 + ..., as ordinary binary nodes from the left.

        Args:
            values: numbers and Values, in one list.

        Returns:
            A Value; the constant 0 for none.

        Raises:
            TypeError: for anything but a list of numbers and Values.

        Example:
            >>> micrograd.Value.sum([micrograd.Value(1.0), 2.0, 3.0]).data
            6.0
        """
        terms = tuple(values) if isinstance(values, list) else many(values, "Value.sum(values)", "a list of numbers")
        return chain_of_sums(as_value(terms[0]), terms[1:]) if terms else constant(0.0)

    @staticmethod
    def dot(ws: Iterable[Number], xs: Iterable[Number], bias: Number | None = None) -> Value:
        """bias + w1*x1 + w2*x2 + ..., as ordinary binary nodes from the left, as lecture notes draw a neuron.

        Args:
            ws, xs: as many numbers or Values in the one as in the other.
            bias: a number or a Value; None for none.

        Returns:
            A Value.

        Raises:
            ValueError: if ws and xs differ in length.
            TypeError: for anything but numbers and Values.

        Example:
            >>> w = [micrograd.Value(2.0), micrograd.Value(3.0)]
            >>> micrograd.Value.dot(w, [10.0, 100.0], bias=1.0).data
            321.0
        """
        weights = tuple(ws) if isinstance(ws, list) else many(ws, "Value.dot(ws, xs)", "two lists of numbers")
        inputs = tuple(xs) if isinstance(xs, list) else many(xs, "Value.dot(ws, xs)", "two lists of numbers")
        if len(weights) != len(inputs):
            raise ValueError(f"Value.dot needs as many inputs as weights, found {len(weights)} weights and "
                             f"{len(inputs)} inputs")
        return chain_of_products(None if bias is None else as_value(bias), weights, inputs)

    # A Value behaves as a number. == and hash are by identity, so that a Value can be a key.

    def __float__(self) -> float:
        if self._row != CONSTANT and caller.unsettled():
            look_who_asks()
        return self._data

    def __int__(self) -> int: return int(self._data)
    def __bool__(self) -> bool: return self._data != 0.0
    def __round__(self, digits: int | None = None) -> float: return round(self._data, digits)
    def __floor__(self) -> int: return floor(self._data)
    def __ceil__(self) -> int: return ceil(self._data)
    def __trunc__(self) -> int: return trunc(self._data)

    def __lt__(self, other: Number) -> bool:
        x = comparable(other)
        return x if x is NotImplemented else bool(self._data < x)

    def __le__(self, other: Number) -> bool:
        x = comparable(other)
        return x if x is NotImplemented else bool(self._data <= x)

    def __gt__(self, other: Number) -> bool:
        x = comparable(other)
        return x if x is NotImplemented else bool(self._data > x)

    def __ge__(self, other: Number) -> bool:
        x = comparable(other)
        return x if x is NotImplemented else bool(self._data >= x)

    def __hash__(self) -> int:
        return id(self) >> 4  # as object.__hash__ has it, in half the time

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        label = f", label={self._label!r}" if self._label else ""
        return in_signs(f"Value(data={self._data}, grad={self.grad}{label})")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return in_notebook(self)

    def _sympy_(self) -> Any:
        """SymPy asks what a Value is to it: not a number, which would end the graph; r * v for a Rational r is v's."""
        raise sys.modules["sympy"].SympifyError(f"{self!r}: give float(v), where only its number is wanted, or "
                                                "micrograd.to_sympy(v), its formula")

    # Copies and pickles of a whole graph, node by node, so that its depth is no limit

    def __copy__(self) -> Value:
        return twin(self, self._a, self._b)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        return copy_graph(self, memo)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle. Several Values in one pickle share their leaves afterwards, but no computed nodes: pickle the
        last result, and find the others with `topological_order`; or use deepcopy, which keeps all."""
        if self._a is None:
            attributes = getattr(self, "__dict__", None)  # of a subclass
            return restore_leaf, (type(self), self._data, self._grad, self._label, self.op), attributes
        return restore_graph, flatten(self)

    def __dealloc__(self) -> None:
        """(Compiled engine only.) Let go of a long chain without filling the C stack."""
        if self._a is not None:
            release(self)


class Elsewhere:
    """An attribute that a Value does not have: reading or setting it raises an AttributeError that says what there is
    instead. (Objects of a subclass have a __dict__ and may hold it.)"""

    def __init__(self, name: str, instead: str) -> None:
        self.name = name
        self.words = f"a Value has no {name}: {instead}"

    def __get__(self, node: Any, kind: Any = None) -> Any:
        if node is None:
            return self
        if self.name not in getattr(node, "__dict__", ()):
            raise AttributeError(self.words)
        return node.__dict__[self.name]

    def __set__(self, node: Any, x: Any) -> None:
        if not hasattr(node, "__dict__"):
            raise AttributeError(self.words)
        node.__dict__[self.name] = x


caller.keep_open(Value)
setattr(Value, "_backward", Elsewhere(  # noqa: B010
    "_backward", "v.backward() runs the whole pass, v.local_derivatives are the slopes that it takes, and "
    "micrograd.op(name, forward, derivative) adds an op of your own"))
for name in ("m", "v", "velocity"):
    setattr(Value, name, Elsewhere(
        name, "it keeps nothing of yours, to stay small. Keep it outside, m = {p: 0.0 for p in net.parameters()} and "
        "then m[p]; or take micrograd.Adam, SGD(momentum=...), or a subclass of Value"))
del name

# How many leaves were made until now: where that is as before, nobody can have put a new one in the place of another.
made = [0]

def as_text(thing: Any) -> dict[str, str]:
    return {"text/plain": repr(thing)}


# How a notebook shows a Value or a network, a function from it to {MIME type: text}; and how words are spelled for a
# standard output that lacks some of their signs. The package hangs in its own.
in_notebook: Callable[[Any], dict[str, str]] = as_text
spelled: Callable[[str], str] = str


def engine_kind() -> str:
    """The engine that runs.

    Returns:
        "compiled" (this file, compiled by Cython) or "pure" (this file as Python).

    Example:
        >>> micrograd.engine_kind() in ("compiled", "pure")
        True
    """
    return "pure" if __file__.endswith(".py") else "compiled"


def let_go(node: Any) -> None:
    """Do as `__del__` of the pure engine what `__dealloc__` does for the compiled one."""
    global releasing
    if getattr(node, "_a", None) is not None:              # a node whose __init__ has failed has not even that
        outermost = not releasing
        try:
            release(node)
        finally:                                           # Ctrl-C comes where Python runs
            releasing = releasing and not outermost


# CPython frees a long chain of nodes by itself; but in WebAssembly it does not see how little stack a browser has, and
# 5,000 nodes overflow it. (Elsewhere there is no `__del__`, as it costs the pure engine a fifth of its speed.)
if IN_BROWSER and engine_kind() == "pure":
    Value.__del__ = let_go  # type: ignore[attr-defined]


def in_signs(words: str) -> str:
    """The words in signs that standard output has, so that they can be printed."""
    return words if words.isascii() else spelled(words)


# The kinds of nodes, and the rest of the operations

def propagates_type(x: Any) -> bool:
    """True if what is computed from x is of the kind of x: a subclass of Value says so by `_propagates_type = True`. It
    stands for many numbers, and has none that can be looked at."""
    return type(x) is not Value and getattr(type(x), "_propagates_type", False)


def kind_of_child(a: Value, b: Any) -> type[Value]:
    """The class of a node with these parents: Value, unless one of them is of a heritable kind."""
    return type(a) if propagates_type(a) else type(b) if propagates_type(b) else Value


def minus(a: Value, b: Value) -> Value:
    return record(SUB, a._data - b._data, a, 1.0, b, -1.0)


def over(a: Value, b: Value) -> Value:
    w = b._data
    if w == 0.0:                                           # where Python raises ZeroDivisionError
        return binary(ops.div, a, b)
    y = a._data / w
    return record(DIV, y, a, 1.0 / w, b, -y / w)


def power(a: Value, b: Value) -> Value:
    x, n = a._data, b._data
    exact = n - 1.0 + 1.0 == n and n - (n - 1.0) == 1.0    # else see functions.power_slope
    if b._row == CONSTANT and x != 0.0 and n != 0.0 and (exact or x > 0.0):
        try:
            y = math.pow(x, n)
            divides = not exact and 1e-290 < y < 1e300
            return record(POW, y, a, n * (y / x if divides else math.pow(x, n - 1.0)), b, 0.0)
        except (ValueError, ArithmeticError):
            pass                                           # nan or inf, as the row has it
    return binary(ops.pow, a, b)


def tanh_of(a: Value) -> Value:
    """tanh(a), whose slope 1 - tanh² is computed so that no digit is lost near ±1."""
    x = a._data
    e = math.exp(-2.0 * math.fabs(x))
    return record(TANH, math.tanh(x), a, 4.0 * e / ((1.0 + e) * (1.0 + e)), None, 0.0)


def sigmoid_of(a: Value) -> Value:
    """σ(a), whose slope σ (1 - σ) is computed so that no digit is lost near 1."""
    x = a._data
    e = math.exp(-math.fabs(x))
    return record(SIGMOID, (1.0 if x >= 0.0 else e) / (1.0 + e), a, e / ((1.0 + e) * (1.0 + e)), None, 0.0)


def unary(op: Op, a: Value) -> Value:
    """The node op(a), computed by the row."""
    row = op.index
    if row == TANH:
        return tanh_of(a)
    if row == SIGMOID:
        return sigmoid_of(a)
    x = a._data
    try:
        y = float(op.forward(x))
        da = float(op.slopes[0](y, x))
    except (TypeError, ValueError, ArithmeticError):       # where Python's float refuses; the row's total forms do not
        y = op.value(x)
        da = op.slope(0, y, x)
    return record(row, y, a, da, None, 0.0)


def binary(op: Op, a: Value, b: Value) -> Value:
    """The node op(a, b), computed by the row. No slope is taken towards a constant: it might need log(-1)."""
    x, w = a._data, b._data
    y = op.value(x, w)
    da = 0.0 if a._row == CONSTANT else op.slope(0, y, x, w)
    db = 0.0 if b._row == CONSTANT else op.slope(1, y, x, w)
    return record(op.index, y, a, da, b, db)


def constant(x: Any, label: str = "") -> Value:
    """A leaf that stands for a number which met a Value: no gradient is taken for it."""
    node = Value.__new__(Value)
    node._data, node._grad = x if type(x) is float else as_float(x), 0.0
    node._a = node._b = None
    node._da = node._db = 0.0
    node._row, node._label, node._visit = CONSTANT, label, 0
    return node


def as_value(x: Any) -> Value:
    """x itself if it is a Value; a number becomes a constant; a TypeError otherwise."""
    return x if isinstance(x, Value) else constant(number(x, "an operation on a Value"))


def foreign(x: Any) -> Any:
    """The answer of an operator to anything but a number: that the other may know. An expression of SymPy does not."""
    if isinstance(x, getattr(sys.modules.get("sympy"), "Basic", ())):
        raise TypeError(f"a Value and {x!s:.40} of SymPy do not go into one expression: micrograd.from_sympy(expr, "
                        "x=v) makes a Value of an expression, micrograd.to_sympy(v) an expression of a Value, and "
                        "float(...) a number of a constant such as pi")
    return NotImplemented


def comparable(x: Any) -> Any:
    """The number that Python compares a float with, to the last digit, for x: a whole number of any size stays one."""
    kind = type(x)
    if kind is float or kind is int:
        return x
    if isinstance(x, Value):
        return as_value(x)._data
    if not is_number(x) and kind.__module__ != "decimal":
        return foreign(x)
    if isinstance(x, Integral):                            # NumPy compares its own with a float as two floats
        return int(x)
    y = as_float(x)
    return y if y == x else x                              # a Fraction, say, which is not a float


def label_alone(label: Any, others: tuple[Any, ...], unknown: dict[str, Any]) -> str:
    """The label of Value(data, label), or a TypeError if there is more; above all what the original's Value takes."""
    children = isinstance(label, (tuple, list, set)) and all(isinstance(child, Value) for child in label)
    if children or "_children" in unknown or "_op" in unknown:
        raise TypeError("Value(data, label) takes no children and no op: operators and functions record them, as in "
                        "c = a + b, and micrograd.op(name, forward, derivative) adds an op of your own")
    name = text(label)
    if others or unknown:
        found = ", ".join([*map(repr, others), *(f"{key}={x!r}" for key, x in unknown.items())])
        raise TypeError(f"Value(data, label) takes a number and a name; also found: {found:.80}")
    return name


def text(label: Any) -> str:
    if not isinstance(label, str):
        raise TypeError(f"a label is a str, found {type(label).__name__} {label!r}")
    return str(label)  # a plain one, of NumPy's too


def chain_of_sums(total: Value, terms: tuple[Any, ...]) -> Value:
    for term in terms:
        total = plus(total, as_value(term))
    return total


def chain_of_products(total: Any, weights: tuple[Any, ...], inputs: tuple[Any, ...]) -> Value:
    for i in range(len(weights)):
        product = times(as_value(weights[i]), as_value(inputs[i]))
        total = product if total is None else plus(total, product)
    return constant(0.0) if total is None else total


def warn_not_finite(node: Value) -> None:
    """A RuntimeWarning at the user's own line, if an op made inf or nan of finite numbers."""
    if not all(isfinite(parent.data) for parent in node.parents):
        return
    arguments = ", ".join(f"{parent.label} = {parent.data!r}" if parent.label else repr(parent.data)
                          for parent in node.parents)
    name = node.op.symbol if node.op.stands_for else node.op.name  # a private row goes by what it stands for
    caller.warn(f"{name}({arguments}) is {node.data}", caller.outside(sys._getframe()))


def look_who_asks() -> None:
    """A RuntimeWarning at the user's own line, if it computes with the number of a node by a function that records
    nothing, such as math.sin. (Not for a constant: no gradient is lost with it.)"""
    found, line, certain = caller.function()
    if found:
        name = found.rpartition(".")[2]
        instead = INSTEAD.get(name) or ("operators and functions of micrograd" if name not in ops.OPS else
                                        f"micrograd.{name}(x) or x.{name}()" if ops.OPS[name].arity == 1 else
                                        f"micrograd.{name}")
        caller.warn(f"{found} takes the bare number out of a Value, and no derivative passes through it: write "
                    f"{instead}; or {found}(float(x)) where only the number is wanted", line)
    elif certain:
        caller.settle()


# What to write for functions of Python that have another name here
INSTEAD = {"fabs": "abs(x)", "exp2": "2 ** x", "degrees": "x * (180 / math.pi)",
           "radians": "x * (math.pi / 180)"}


# The graph, and gradients that can be differentiated again

def edges_that_carry(order: list[Value]) -> set[tuple[Value, int]]:
    """The edges, each a node and the place of a parent, along which a derivative of the last node passes."""
    reached, edges = set(order[-1:]), set()
    for node in reversed(order):
        if node in reached:
            for i, parent in enumerate(node.parents):
                if carries(node.op, i):
                    edges.add((node, i))
                    reached.add(parent)
    return edges


def topological_order(*roots: Value) -> list[Value]:
    """Every node that the roots depend on, leaves and roots included, each after its parents; the same at each call.

    Args:
        *roots: Values.

    Returns:
        A list of Values.

    Raises:
        TypeError: for a root that is not a Value.

    Example:
        >>> a, b = micrograd.Value(2.0, "a"), micrograd.Value(5.0, "b")
        >>> [node.label or node.op.symbol for node in micrograd.topological_order(a * b + a)]
        ['a', 'b', '*', '+']
    """
    for root in roots:
        if not isinstance(root, Value):
            raise TypeError(f"topological_order needs Values, found {type(root).__name__} {root!r}")
    order: dict[Value, None] = {}  # a set that keeps its order
    for node in walk(reversed(roots)):
        order.update(dict.fromkeys([*node.parents, node]))
    return list(order | dict.fromkeys(roots))


def skeleton(roots: Sequence[Value]) -> tuple[list[Value], list[int], list[int]]:
    """The bare shape of a graph: its nodes, each after its parents; for each of them three numbers in a row, that of
    its op and the places of its parents among the nodes, -1 for none; and the places of the roots."""
    place: dict[Value, int] = {}
    shape: list[int] = []
    for root in roots:
        for node in walk([root]):
            if node not in place:
                a = node._a
                b = node._b
                if a not in place:                         # a leaf
                    place[a] = len(place)
                    shape += (a._row, -1, -1)
                if b is not None and b not in place:
                    place[b] = len(place)
                    shape += (b._row, -1, -1)
                shape += (node._row, place[a], -1 if b is None else place[b])
                place[node] = len(place)
        if root not in place:
            place[root] = len(place)
            shape += (root._row, -1, -1)
    return list(place), shape, [place[root] for root in roots]


Wanted = TypeVar("Wanted", "Value", "list[Value]", Sequence["Value"])  # one gradient for one, a list for several


def gradient(y: Value, xs: Wanted) -> Wanted:
    """dy/dx for each x of xs, as Values: computed with the engine, so that they can be differentiated again.

    The rules are applied to the numbers that the nodes hold now (`backward` uses the local derivatives that were
    recorded). No .grad is touched.

    Args:
        y: a Value.
        xs: one Value or a sequence of Values, leaves or computed ones.

    Returns:
        A Value, or a list of them in the order of xs; the constant 0 where y does not depend on x, and for a constant
        x.

    Raises:
        TypeError: for anything but Values.

    Example:
        >>> x = micrograd.Value(2.0)
        >>> slope = micrograd.gradient(x ** 3, x)
        >>> slope.data, micrograd.gradient(slope, x).data
        (12.0, 12.0)
    """
    if not isinstance(y, Value):
        raise TypeError(f"gradient(y, xs) needs a Value y, found {type(y).__name__} {y!r}")
    wanted = [xs] if isinstance(xs, Value) else list(many(xs, "gradient(y, xs)", "a Value or a list of them as xs"))
    for x in wanted:
        if not isinstance(x, Value):
            raise TypeError(f"gradient(y, xs) needs Values in xs, found {type(x).__name__} {x!r}")
    order = walk([y])
    depends = dict.fromkeys([x for x in wanted if x.op is not ops.CONSTANT])
    for node in order:
        if node._a in depends or node._b in depends:
            depends[node] = None
    gradients = {y: constant(1.0)} if y in depends else {}
    uses: dict[Value, Any] = {y: None}  # 0 where only a branch not taken needs a node, else 1; None: it always counts
    for node in reversed(order):
        if node in gradients:
            for i, parent in enumerate(node.parents):
                if parent in depends and carries(node.op, i):
                    use = uses[node]
                    if node.op is ops.where:               # recorded to be compiled; what leaves a branch is cut
                        use = of_branch(node, i, 1.0 if use is None else use)
                        term = of_branch(node, i, gradients[node])
                    else:
                        term = chained(gradients[node], local_slope(node, i))
                        term = term if use is None else ops.where(use, term, 0.0)
                    if parent in gradients:
                        term = gradients[parent] + term
                        use = None if use is None or uses[parent] is None else ops.where(use, 1.0, uses[parent])
                    gradients[parent], uses[parent] = term, use
    result = [gradients[x] if x in gradients else constant(0.0) for x in wanted]
    return result[0] if isinstance(xs, Value) else result  # type: ignore[return-value]  # mypy: xs might be both


def of_branch(choice: Value, i: int, x: Any) -> Any:
    """x where a `where` takes its branch i, 1 or 2, else 0."""
    return ops.where(choice.parents[0], *((x, 0.0) if i == 1 else (0.0, x)))


def local_slope(node: Value, i: int) -> Any:
    """The i-th local derivative of a node, computed with the engine: a Value, or a number where it is one.

    The row sees a constant without a name as the number it is: x ** 3 gives 3 * x ** 2, and not 3 * x ** (3 - 1).
    """
    parents = node.parents
    derivative = node.op.derivatives[i]
    try:
        return derivative(node, *[p.data if p.op is ops.CONSTANT and not p.label else p for p in parents])
    except (ValueError, ArithmeticError):  # arithmetic on constants alone, such as 1 / 0.0
        return derivative(node, *parents)


def chained(upstream: Value, slope: Any) -> Value:
    """upstream * slope as a person writes it: a factor of 1 is left out."""
    if not isinstance(slope, Value):
        if slope == 1:
            return upstream
        if slope == -1:
            return -upstream
    if upstream._row == CONSTANT and upstream._data == 1.0:
        return as_value(slope)
    return times(upstream, as_value(slope))


# Copies, pickles and freeing, at any depth

def twin(node: Value, a: Any, b: Any) -> Value:
    """A copy of one node, between the given parents."""
    copied = Value.__new__(type(node))
    copied._data, copied._grad = node._data, node._grad
    copied._a, copied._b = a, b
    copied._da, copied._db = node._da, node._db
    copied._row, copied._label, copied._visit = node._row, node._label, 0
    made[0] += 1
    if type(node) is not Value:                            # the attributes of a subclass
        getattr(copied, "__dict__", {}).update(getattr(node, "__dict__", {}))
    return copied


def copy_graph(root: Value, memo: dict[int, Any]) -> Value:
    """A copy of root and of all that it depends on; memo maps the ids of nodes to their copies."""
    for node in topological_order(root):
        if id(node) not in memo:
            memo[id(node)] = twin(node, memo.get(id(node._a)), memo.get(id(node._b)))
    copied: Value = memo[id(root)]
    return copied


def flatten(root: Value) -> tuple[Any, ...]:
    """A graph for pickle: the leaves that the user made, by their place in the topological order, and for all other
    nodes a column for each field. (A leaf goes as itself: one that several graphs share is shared afterwards, too.)"""
    leaves: dict[int, Value] = {}
    rows: list[Op] = []
    labels: list[str] = []
    numbers, links = array("d"), array("q")
    place: dict[Any, int] = {None: 0}
    for node in topological_order(root):
        if node._row == LEAF:
            leaves[len(place)] = node
        else:
            rows.append(node.op)
            labels.append(node._label)
            numbers.extend((node._data, node._grad, node._da, node._db))
            links.extend((place[node._a], place[node._b]))
        place[node] = len(place)
    return leaves, rows, labels, numbers, links


def restore_graph(leaves: dict[int, Value], rows: list[Op], labels: list[str], numbers: Any, links: Any) -> Value:
    """Unpickle what `flatten` made."""
    field, link = iter(numbers), iter(links)
    nodes: list[Any] = [None]
    for row, label in zip(rows, labels):
        while len(nodes) in leaves:
            nodes.append(leaves[len(nodes)])
        node = constant(next(field), label)
        node._row = row.index
        node._grad, node._da, node._db = next(field), next(field), next(field)
        node._a, node._b = nodes[next(link)], nodes[next(link)]
        nodes.append(node)
    last: Value = nodes[-1]
    return last


def restore_leaf(kind: type[Value], data: float, grad: float, label: str, row: Op) -> Value:
    """Unpickle a leaf."""
    node = Value.__new__(kind)
    Value.__init__(node, data, label)
    node._grad = grad
    node._row = row.index
    return node


pending: list[Any] = [None] * 16  # a floor, as in `walk`
releasing = False


def release(node: Value) -> None:
    """Let a dying node's parents go: without recursion, and the last made first.

    Those that have parents of their own wait on a list, while others die, until the outermost call lets them go. New
    nodes take the places of the dead, the last freed first; so the next graph of the same shape lies in memory in the
    order in which it is made, which is what a processor is fast at.
    """
    global releasing
    a = node._a
    b = node._b
    if a._a is not None:
        pending.append(a)
    if b is not None and b._a is not None:
        pending.append(b)
    if not releasing:
        releasing = True
        a = b = node._a = node._b = None                   # from here on only `pending` holds them
        while pending.pop() is not None:
            pass
        pending.append(None)
        releasing = False
