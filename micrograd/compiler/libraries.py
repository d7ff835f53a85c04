"""The rows of the table on whole arrays: the same functions in NumPy, JAX and torch, from one list.

A row gives here what `row.value` gives for each number: inf and nan where they belong, the conventions at kinks, no
warnings; to the last digits, which libraries round in their own ways. Few rows are a library's own business; most go by
one name everywhere, and those that no library has, or not stable over the whole line, are composed of such. This module
knows nothing of recordings, nor of what arrays are for.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from .. import ops
from ..ops import Op
from ..packages import needed
from ..rows import Operators, spelling
from .program import AT_LEAST, DETACHED, GREATER

Function = Callable[..., Any]
Quiet = Callable[[], AbstractContextManager[Any]]  # a context without warnings

WRITTEN: dict[Op, Function] = {ops.add: operator.add, ops.sub: operator.sub, ops.mul: operator.mul,
                               ops.div: operator.truediv, ops.neg: operator.neg}
NAMED_ALIKE = (ops.abs, ops.exp, ops.expm1, ops.log, ops.log1p, ops.log2, ops.log10, ops.sqrt, ops.sin, ops.cos,
               ops.tan, ops.sinh, ops.cosh, ops.tanh, ops.hypot, ops.floor, ops.ceil, ops.trunc, ops.round)
NAMED = {ops.asin: "arcsin", ops.acos: "arccos", ops.atan: "arctan", ops.asinh: "arcsinh", ops.acosh: "arccosh",
         ops.atanh: "arctanh", ops.atan2: "arctan2"}  # the short names are missing in NumPy 1

IN_CACHE = 2**20  # numbers that stay in the caches of a processor, about


@dataclass(frozen=True)
class Library:
    """The functions that a library of arrays must have. `like` is an array whose dtype and device the new one has."""

    name: str                                      # "numpy"
    rows: Mapping[Op, Function]                    # on arrays that broadcast; all but one may be Python floats
    opaque: Callable[[Op], Function]               # the same for an op of the user's own, number by number in Python
    concatenate: Callable[[Sequence[Any]], Any]    # along the last axis
    matmul: Callable[[Any, Any], Any]              # in full precision
    index: Callable[[Any, Any], Any]               # (nested lists of ints, like) -> what array[...] takes
    constant: Callable[[Any, Any], Any]            # (nested lists of floats, like) -> an array
    zeros: Callable[[tuple[int, ...], Any], Any]   # (shape, like) -> an array
    at_once: Callable[[Any], int]                  # (like) -> how many numbers are best computed together; 0 for all
    summed: Callable[..., list[Any]]               # (function, arrays, like) -> what it gives for all items, added up
    quiet: Quiet = nullcontext                     # in which inf and nan are no cause of warnings


@cache
def numpy_library() -> Library:
    """The rows by NumPy. Raises ImportError where it is missing."""
    np = needed("numpy")
    quiet = partial(np.errstate, all="ignore")
    as_index, constant, zeros = makers(np.asarray, np.zeros, np.intp, quiet)

    def one_by_one(function: Callable[..., float]) -> Function:
        found = np.vectorize(function, otypes=[float])  # otypes: else an empty array is an error
        return lambda *args: found(*args).astype(args[0].dtype)

    def pow(a: Any, b: Any) -> Any:  # np.power takes a repeated exponent 0.5 for a square root, which differs at -inf
        return np.float_power(a, b).astype(a.dtype)

    given: dict[Op, Function] = {ops.pow: pow, ops.erf: one_by_one(math.erf), ops.erfc: one_by_one(math.erfc),
                                 DETACHED: DETACHED.forward}
    return Library("numpy", rows(np, given, constant, np.fmod, quiet),
                   lambda op: lifted(one_by_one(op.value), constant, quiet), partial(np.concatenate, axis=-1),
                   lifted(np.matmul, constant, quiet), as_index, constant, zeros, lambda like: IN_CACHE,
                   one_after_the_other, quiet)


@cache
def jax_library() -> Library:
    """The rows by JAX, to be traced or not. Raises ImportError where it is missing."""
    jax, jnp, special = (needed(f"jax{module}", "jax") for module in ("", ".numpy", ".scipy.special"))
    np = needed("numpy")
    as_index, constant, zeros = makers(jnp.asarray, jnp.zeros, int, partial(np.errstate, over="ignore"))

    def opaque(op: Op) -> Function:
        by_numpy = numpy_library().opaque(op)

        @jax.custom_jvp  # type: ignore[untyped-decorator]
        def function(*args: Any) -> Any:
            """Numbers go to Python and back as their bits, 32 each, for the thread that JAX calls from may be one that
            rounds float64 to float32: enable_x64 is of a thread."""
            def call(*bits: Any) -> Any:
                return by_numpy(*[np.array(b, order="C").view(dtype) for b in bits]).view(np.uint32)

            dtype = args[0].dtype
            bits = [jax.lax.bitcast_convert_type(arg, jnp.uint32) for arg in jnp.broadcast_arrays(*args)]
            found = jax.pure_callback(call, jax.ShapeDtypeStruct(bits[0].shape, jnp.uint32), *bits,
                                      vmap_method="broadcast_all")
            return jax.lax.bitcast_convert_type(found, dtype)

        function.defjvp(lambda args, slopes: opaque_to(op))  # else the bits would have a derivative: 0
        return lifted(function, constant)

    def summed(function: Function, arrays: Sequence[Any], like: Any) -> list[Any]:
        # Inside of a shard_map the sums are each device's own, so the zeros that they start from must seem to be, too.
        zero = jnp.where((arrays[0] != 0).any() | (like != 0).any(), 0.0, 0.0)
        zeros = [jnp.zeros(x.shape, x.dtype) + zero.astype(x.dtype)
                 for x in jax.eval_shape(function, *[x[0] for x in arrays])]
        total, _ = jax.lax.scan(lambda total, xs: ([a + b for a, b in zip(total, function(*xs))], None), zeros, arrays)
        return list(total)

    def div(a: Any, b: Any) -> Any:
        """a / b by itself: XLA would divide by b and by c as by b * c, which overflows, and multiply by the inverse of
        a b that it repeats for many a."""
        return operator.truediv(*jax.lax.optimization_barrier(tuple(jnp.broadcast_arrays(a, b))))

    given = {ops.div: div, ops.pow: jnp.power, ops.erf: special.erf, ops.erfc: special.erfc,
             DETACHED: jax.lax.stop_gradient}
    return Library("jax", rows(jnp, given, constant, jnp.fmod), opaque, partial(jnp.concatenate, axis=-1),
                   partial(jnp.matmul, precision="highest"), as_index, constant, zeros,
                   lambda like: IN_CACHE if jax.default_backend() == "cpu" else 0, summed)


@cache
def torch_library() -> Library:
    """The rows by torch, on whichever device its arguments are. Raises ImportError where it is missing."""
    torch = needed("torch", "torch")

    as_index, constant, zeros = makers(torch.as_tensor, torch.zeros, torch.int64,
                                       place=lambda like: {"device": like.device})

    def opaque(op: Op) -> Function:
        by_numpy = numpy_library().opaque(op)

        class Function(torch.autograd.Function):  # type: ignore[misc, name-defined]
            @staticmethod
            def forward(ctx: Any, *args: Any) -> Any:
                return constant(by_numpy(*[arg.detach().cpu().double().numpy() for arg in args]), args[0])

            @staticmethod
            def backward(ctx: Any, *slopes: Any) -> Any:
                opaque_to(op)

        return lifted(Function.apply, constant)

    def fmod(a: Any, b: Any) -> Any:
        """torch.fmod, which is nan where a / b overflows: there first by a multiple of b."""
        largest = 2.0 ** (math.frexp(torch.finfo(a.dtype).max)[1] - 1)
        return torch.fmod(torch.where(torch.isinf(a / b), torch.fmod(a, b * largest), a), b)

    given = {ops.pow: torch.pow, ops.erf: torch.special.erf, ops.erfc: torch.special.erfc, DETACHED: torch.detach}
    return Library("torch", rows(torch, given, constant, fmod), opaque, partial(torch.cat, dim=-1), torch.matmul,
                   as_index, constant, zeros, lambda like: IN_CACHE if like.device.type == "cpu" else 0,
                   one_after_the_other)


def one_after_the_other(function: Function, arrays: Sequence[Any], like: Any) -> list[Any]:
    """The arrays that a function gives for the items of these arrays, added up."""
    total: list[Any] = []
    for items in zip(*arrays):
        found = function(*items)
        total = [a + b for a, b in zip(total, found)] if total else found
    return total


def opaque_to(op: Op) -> Any:
    """For a library that is asked to differentiate an op of the user's own, number by number in Python."""
    raise TypeError(f"{op.name} is an op of your own, into which this library does not see: take the gradient that "
                    "comes with the loss, or write the function of the op with operators and rows, such as "
                    "micrograd.exp(x)")


def makers(array: Function, zeros: Function, whole: Any, quiet: Quiet = nullcontext,
           place: Callable[[Any], dict[str, Any]] = lambda like: {}) -> tuple[Function, Function, Function]:
    """`index`, `constant` and `zeros` of a library. quiet: 1e300 is inf as a float32. place: on which device."""
    def constant(numbers: Any, like: Any) -> Any:
        with quiet():
            return array(numbers, dtype=like.dtype, **place(like))

    return (lambda numbers, like: array(numbers, dtype=whole, **place(like)), constant,
            lambda shape, like: zeros(shape, dtype=like.dtype, **place(like)))


def lifted(function: Function, constant: Function, quiet: Quiet = nullcontext) -> Function:
    """The function with arrays in the place of Python's numbers, which some libraries refuse or treat apart: 1 / x as a
    reciprocal, x ** 0.5 as a square root. At least one argument is an array, or a number of NumPy's."""
    def call(*args: Any) -> Any:
        like = next(arg for arg in reversed(args) if type(arg) not in (float, int))  # of a `where`, a branch
        with quiet():
            return function(*[constant(arg, like) if type(arg) in (float, int) else arg for arg in args])
    return call


def rows(m: Any, given: Mapping[Op, Function], constant: Function, fmod: Function,
         quiet: Quiet = nullcontext) -> dict[Op, Function]:
    """Every row by the functions of the module m, and by those given that go by a name of their own there."""
    found: dict[Op, Function] = {**WRITTEN, **{row: getattr(m, row.name) for row in NAMED_ALIKE},
                                 **{row: getattr(m, name) for row, name in NAMED.items()}, **given}
    found = composed(m, found[ops.pow], found[ops.div], fmod) | found
    known = {row: lifted(function, constant, quiet) for row, function in found.items()}
    for row in (*ops.OPS.values(), *ops.HELPERS.values()):
        formula = spelling(row)
        if row.builtin and row not in known and formula is not None:
            known[row] = spelled_out(formula, known)
    return known


def spelled_out(formula: Function, known: Mapping[Op, Function]) -> Function:
    """A row by the others that it is made of."""
    return lambda *args: formula(*[Arrays(arg, known) for arg in args]).x


class Arrays(Operators):
    """An array, or a number, on which the formulas of rows are worked out."""

    def __init__(self, x: Any, known: Mapping[Op, Function]) -> None:
        self.x, self.known = x, known

    def __op__(self, op: Op, args: Sequence[Any]) -> Any:
        if op not in self.known:  # one of the user's own
            return (spelling(op) or op.forward)(*args)
        numbers = [arg.x if isinstance(arg, Arrays) else float(arg) for arg in args]
        function = op.value if all(type(x) is float for x in numbers) else self.known[op]
        return Arrays(function(*numbers), self.known)

    def __bool__(self) -> bool:
        raise TypeError("it branches on a number; write it with where")

    def __eq__(self, other: object) -> bool:
        raise TypeError("it compares numbers; write it with where and step")

    __hash__ = None  # type: ignore[assignment]


def composed(m: Any, power: Function, div: Function, fmod: Function) -> dict[Op, Function]:
    """The rows that are made of others, in the same way everywhere. nan fails every comparison: a formula compares so
    that nan then goes through. A Python number in a formula takes the dtype of the array that it meets."""
    where = m.where

    def sigmoid(x: Any) -> Any:
        e = m.exp(-m.abs(x))
        return where(x >= 0, 1.0, e) / (1.0 + e)

    def relu(x: Any) -> Any:
        return where(x <= 0, 0.0, x)

    def cbrt(x: Any) -> Any:
        root = sign(x) * m.abs(x) ** (1 / 3)
        return where((x == 0) | ~m.isfinite(x), x, root - (root - x / (root * root)) / 3.0)  # as ops.py has it

    def sign(x: Any) -> Any:
        return where(x > 0, 1.0, where(x < 0, -1.0, x))

    return {
        ops.cbrt: cbrt,
        ops.sign: sign,
        ops.step: lambda x: where(x > 0, 1.0, where(x <= 0, 0.0, x)),
        ops.identity: ops.identity.forward,
        ops.sigmoid: sigmoid,
        ops.softplus: lambda x: relu(x) + m.log1p(m.exp(-m.abs(x))),
        ops.relu: relu,
        ops.leaky_relu: lambda x, k: where(x <= 0, k * x, x),
        ops.elu: lambda x, k: where(x <= 0, k * m.expm1(x), x),
        ops.maximum: lambda a, b: where((a >= b) | (a != a), a, b),
        ops.minimum: lambda a, b: where((a <= b) | (a != a), a, b),
        ops.where: lambda condition, a, b: where(condition != 0, a, b),
        GREATER: lambda a, b: where(a > b, m.ones_like(a), 0.0),
        AT_LEAST: lambda a, b: where(a >= b, m.ones_like(a), 0.0),
        **remainders(m, fmod),
        **slopes(m, power, div),
    }


def remainders(m: Any, fmod: Function) -> dict[Op, Function]:
    """% and // as Python has them: by the exact remainder of fmod, from which libraries go on in ways of their own."""
    where = m.where

    def mod(a: Any, b: Any) -> Any:
        r = fmod(a, b)
        return where(r == 0, where(b < 0, -m.abs(r), m.abs(r)), where((r < 0) != (b < 0), r + b, r))

    def floordiv(a: Any, b: Any) -> Any:
        r = fmod(a, b)
        q = (a - r) / b
        q = where((r != 0) & ((r < 0) != (b < 0)), q - 1.0, q)
        whole = m.floor(q)
        whole = where(q - whole > 0.5, whole + 1.0, whole)
        return where(b == 0, a / b, where(q == 0, a / b * 0.0, whole))

    return {ops.mod: mod, ops.floordiv: floordiv}


def slopes(m: Any, power: Function, div: Function) -> dict[Op, Function]:
    """Private rows of which ops.py has a formula for float64 alone, as its bounds are beyond float32."""
    where = m.where

    def scaled(a: Any, b: Any) -> tuple[Any, Any, Any]:
        """a times a power of 2 by which the hypotenuse is neither subnormal nor inf; the hypotenuse then; the power."""
        h = m.hypot(a, b)
        s = where(h < 1e-30, 2.0**100, where(h > 1e30, 2.0**-100, m.ones_like(h)))
        return a * s, m.hypot(a * s, b * s), s

    def share(a: Any, b: Any) -> Any:
        a, h, _ = scaled(a, b)
        return where(h == 0, 0.0, a / h)

    def inversion(a: Any, b: Any) -> Any:
        a, h, s = scaled(a, b)
        return where(h == 0, 0.0, div(div(a, h), h) * s)

    def pow_slope(a: Any, b: Any) -> Any:
        y, rounds = power(a, b), ((b - 1) + 1 != b) | (b - (b - 1) != 1)
        divides = rounds & (((a > 0) & (y > 1e-30) & (y < 1e30)) | (y != y))
        return where(b == 0, where(a == a, 0.0, a), b * where(divides, y / a, power(a, b - 1)))

    return {ops.share: share, ops.inversion: inversion, ops.pow_slope: pow_slope}
