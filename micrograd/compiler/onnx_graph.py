"""ONNX as one more library of arrays: whatever is done with its arrays is written down as nodes of a graph.

An array is a Tensor, the name of one in a graph under construction. It has the operators and the few methods that
arrays of other libraries have here, so that running a plan on Tensors writes its graph. Numbers that are known by then,
those of parameters, say, stay arrays of NumPy until they meet a Tensor. Runtimes know all functions of ONNX for float32
and fewer for float64: what onnxruntime lacks is composed of what it has. This module knows nothing of networks, plans
or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Union

from .. import ops
from ..ops import Op
from ..packages import needed
from ..rows import Operators, spelling
from .libraries import Arrays, Library, numpy_library, rows
from .program import DETACHED

OPSET, IR_VERSION = 17, 8  # of 2022: newer ones have nothing that is needed here, and older runtimes know these
DTYPES = ("float64", "float32")
ROWS = "rows"              # the first dimension of what varies

Shape = tuple[Union[int, str], ...]

NODES = {  # what runtimes have for float64 as well; and by the names that modules such as `numpy` have for it
    ops.add: "Add", ops.sub: "Sub", ops.mul: "Mul", ops.div: "Div", ops.neg: "Neg", ops.pow: "Pow", ops.abs: "Abs",
    ops.exp: "Exp", ops.log: "Log", ops.sqrt: "Sqrt", ops.sin: "Sin", ops.cos: "Cos", ops.tanh: "Tanh",
    ops.floor: "Floor", ops.ceil: "Ceil", ops.round: "Round", ops.maximum: "Max", ops.minimum: "Min",
    ops.where: "Where", ops.relu: "Relu", ops.sigmoid: "Sigmoid",
}
NAMED = {**{op.name: kind for op, kind in NODES.items()}, "power": NODES[ops.pow]}


class OnnxGraph:
    """The inputs, the constants and the nodes of an ONNX graph, in the order in which they come."""

    def __init__(self, dtype: str) -> None:
        if dtype not in DTYPES:
            raise ValueError(f"to_onnx: dtype must be 'float64' or 'float32', found {dtype!r}")
        self.onnx, self.numpy = needed("onnx", "onnx"), needed("numpy", "onnx")
        self.dtype = self.numpy.dtype(dtype)
        self.inputs: list[Tensor] = []
        self.constants: list[Any] = []
        self.nodes: list[Any] = []
        self.known: dict[Any, Tensor] = {}  # what nodes and constants without a name have given
        self.given_out: set[str] = set()  # the names of outputs

    def input(self, name: str, *shape: int) -> Tensor:
        """A new input with a row for each sample."""
        self.inputs.append(Tensor(self, name, (ROWS, *shape), self.dtype))
        return self.inputs[-1]

    def free(self, name: str) -> str:
        """The name, or one like it that no input has."""
        while any(tensor.name == name for tensor in self.inputs):
            name += "_"
        return name

    def node(self, kind: str, *inputs: Any, shape: Shape | None = None, dtype: Any = None, **attributes: Any) -> Tensor:
        """The result of a node for these inputs: Tensors, arrays or numbers. shape: as they broadcast, by default."""
        tensors = [x if isinstance(x, Tensor) else self.constant(x) for x in inputs]
        names = [x.name for x in tensors]
        key = kind, *names, *map(str, attributes.items())
        if key not in self.known:
            shape = broadcast([x.shape for x in tensors]) if shape is None else shape
            dtype = dtype or tensors[1 if kind == "Where" else 0].dtype
            self.known[key] = found = Tensor(self, self.free(f"{kind}_{len(self.nodes)}"), shape, dtype)
            self.nodes.append(self.onnx.helper.make_node(kind, names, [found.name], **attributes))
        return self.known[key]

    def constant(self, numbers: Any, name: str = "") -> Tensor:
        """A constant; integers and truths in an array stay what they are."""
        kept = getattr(numbers, "dtype", self.dtype).kind in "ib"
        array = self.numpy.asarray(numbers) if kept else as_array(numbers, self.dtype)
        key = name, array.dtype, array.shape, array.tobytes()
        if key not in self.known:
            free = self.free(f"constant_{len(self.constants)}")
            constant = Tensor(self, name or free, array.shape, array.dtype)
            self.constants.append(self.onnx.numpy_helper.from_array(array, constant.name))
            self.known[key] = constant
        return self.known[key]

    def zeros(self, shape: Shape) -> Tensor:
        """As many as there are rows, if that is the first dimension."""
        rows = self.node("Shape", self.inputs[0], start=0, end=1, shape=(1,), dtype=self.numpy.dtype("int64"))
        sizes = self.node("Concat", rows, self.numpy.array(shape[1:], "int64"), axis=0, shape=(len(shape),))
        return self.node("Expand", 0.0, sizes, shape=shape)

    def give_out(self, tensor: Tensor, name: str) -> None:
        """Make a tensor an output. The node that computes it has its name then: of an Identity behind one that others
        read, too, onnxruntime makes an invalid model. Inputs, constants, and what is an output already are copied."""
        maker = next((node for node in self.nodes if tensor.name in node.output), None)
        if maker is None or tensor.name in self.given_out:
            self.nodes.append(self.onnx.helper.make_node("Identity", [tensor.name], [name]))
            return
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if each == tensor.name else each for each in names]
        tensor.name = name
        self.given_out.add(name)

    def model(self, outputs: Mapping[str, Tensor]) -> bytes:
        """The whole model, checked."""
        helper = self.onnx.helper
        for name, tensor in outputs.items():
            self.give_out(tensor, name)
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        ends = [[helper.make_tensor_value_info(name, kind, tensor.shape) for name, tensor in some]
                for some in ([(tensor.name, tensor) for tensor in self.inputs], outputs.items())]
        graph = helper.make_graph(self.nodes, "micrograd", *ends, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="micrograd")
        self.onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())


def as_array(numbers: Any, dtype: Any) -> Any:
    """Numbers as an array of NumPy. Raises OverflowError for one that the dtype lacks."""
    numpy = needed("numpy", "onnx")
    exact = numpy.asarray(numbers, dtype="float64")
    with numpy.errstate(all="ignore"):
        array = exact.astype(dtype)
    if (numpy.isinf(array) != numpy.isinf(exact)).any():
        raise OverflowError(f"a number is beyond those of {array.dtype}")
    return array


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape of what arrays of these shapes give number by number."""
    most = max(map(len, shapes))
    padded = [(1,) * (most - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*padded))


class Tensor(Operators):
    """A tensor of a graph, as an array: only its last axis is ever picked from."""

    __array_ufunc__ = None  # an operator between it and an array of NumPy is its own
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, graph: OnnxGraph, name: str, shape: Shape, dtype: Any) -> None:
        self.graph, self.name, self.shape, self.dtype = graph, name, shape, dtype

    def __op__(self, op: Op, args: Sequence[Any]) -> Tensor: return self.graph.node(NODES[op], *args)
    def __invert__(self) -> Tensor: return self.graph.node("Not", self)
    def __and__(self, other: Any) -> Tensor: return self.graph.node("And", self, other)
    def __or__(self, other: Any) -> Tensor: return self.graph.node("Or", self, other)
    def __lt__(self, other: Any) -> Tensor: return self.compared("Less", other)
    def __le__(self, other: Any) -> Tensor: return self.compared("LessOrEqual", other)
    def __gt__(self, other: Any) -> Tensor: return self.compared("Greater", other)
    def __ge__(self, other: Any) -> Tensor: return self.compared("GreaterOrEqual", other)
    def __eq__(self, other: Any) -> Tensor: return self.compared("Equal", other)  # type: ignore[override]
    def __ne__(self, other: Any) -> Tensor: return ~self.compared("Equal", other)  # type: ignore[override]
    def __len__(self) -> Any: return self.shape[0]
    __rand__, __ror__ = __and__, __or__

    def compared(self, kind: str, other: Any) -> Tensor:
        return self.graph.node(kind, self, other, dtype=self.graph.numpy.dtype("bool"))

    def __getitem__(self, key: Any) -> Tensor:
        at = key[-1] if isinstance(key, tuple) else key
        *others, size = self.shape
        if isinstance(at, slice):
            assert isinstance(size, int)
            start, stop, step = at.indices(size)
            left = len(range(start, stop, step))
            limits = [self.graph.numpy.array([i]) for i in (start, stop, -1, step)]
            return self if left == size else self.graph.node("Slice", self, *limits, shape=(*others, left))
        index = self.graph.numpy.asarray(at)
        return self.graph.node("Gather", self, index, axis=-1, shape=(*others, *index.shape))

    def reshape(self, *shape: Any) -> Tensor:
        whole, rest = (math.prod([n for n in sizes if isinstance(n, int) and n != -1]) for sizes in (self.shape, shape))
        missing = ROWS if ROWS in self.shape and ROWS not in shape else whole // (rest or 1)
        sizes = tuple([missing if n == -1 else n for n in shape])
        wanted = self.graph.numpy.array([0 if n == ROWS else n for n in sizes], "int64")  # 0: as it was
        return self.graph.node("Reshape", self, wanted, shape=sizes)

    def astype(self, dtype: Any) -> Tensor:
        dtype = self.graph.numpy.dtype(dtype)
        return self.graph.node("Cast", self, to=self.graph.onnx.helper.np_dtype_to_tensor_dtype(dtype), dtype=dtype)

    def sum(self, axis: int = 0) -> Tensor:
        shape = list(self.shape)
        del shape[axis]
        return self.graph.node("ReduceSum", self, self.graph.numpy.array([axis]), keepdims=0, shape=tuple(shape))

    @property
    def T(self) -> Tensor:
        return self.graph.node("Transpose", self, perm=[1, 0], shape=self.shape[::-1])


class Functions:
    """Such a module for Tensors; NumPy itself answers where none is among the arguments."""

    def __getattr__(self, name: str) -> Any:
        def function(*args: Any) -> Any:
            graph = graph_of(args)
            if graph is None:
                return getattr(needed("numpy", "onnx"), name)(*args)
            return graph.node(NAMED[name], *args) if name in NAMED else getattr(Composed, name)(self, *args)
        return function


def graph_of(args: Iterable[Any]) -> Any:
    """The graph of the Tensors among these; None where there are none."""
    return next((x.graph for x in args if isinstance(x, Tensor)), None)


class Composed:
    """The other functions of Tensors, made of those of such a module m: with all their digits, and with inf, nan and −0
    where C has them."""

    def fmod(m: Any, a: Any, b: Any) -> Any: return graph_of((a, b)).node("Mod", a, b, fmod=1)
    def isfinite(m: Any, x: Any) -> Any: return m.abs(x) < math.inf
    def ones_like(m: Any, x: Any) -> float: return 1.0
    def tan(m: Any, x: Any) -> Any: return m.sin(x) / m.cos(x)
    def expm1(m: Any, x: Any) -> Any: return m.tanh(x / 2) * (m.exp(x) + 1)
    def log2(m: Any, x: Any) -> Any: return m.log(x) / math.log(2)
    def log10(m: Any, x: Any) -> Any: return m.log(x) / math.log(10)
    def trunc(m: Any, x: Any) -> Any: return m.where(x < 0, m.ceil(x), m.floor(x))
    def arcsin(m: Any, x: Any) -> Any: return m.arctan(x / m.sqrt((1 - x) * (1 + x)))
    def arccos(m: Any, x: Any) -> Any: return 2 * m.arctan(m.sqrt((1 - x) / (1 + x)))

    def odd(m: Any, x: Any, y: Any) -> Any:
        """y with the sign of x; x itself where that is 0 or nan."""
        return m.where(x > 0, y, m.where(x < 0, -y, x))

    def log1p(m: Any, x: Any) -> Any:
        u = 1 + x
        rounded = u - 1
        return m.where(rounded == 0, x, m.where(rounded == x, m.log(u), m.log(u) * (x / rounded)))

    def sinh(m: Any, x: Any) -> Any:
        size = m.abs(x)
        e, root = m.expm1(size), m.exp(size / 2)  # of which the square overflows later than e
        return m.odd(x, m.where(size < 1, (e + e / (e + 1)) / 2, root / 2 * root - 0.5 / root / root))

    def cosh(m: Any, x: Any) -> Any:
        root = m.exp(m.abs(x) / 2)
        return root / 2 * root + 0.5 / root / root

    def hypot(m: Any, a: Any, b: Any) -> Any:
        a, b = m.abs(a), m.abs(b)
        large = m.maximum(a, b)
        ratio = m.minimum(a, b) / large
        found = m.where(large == 0, large, large * m.sqrt(1 + ratio * ratio))
        return m.where((a == math.inf) | (b == math.inf), math.inf, found)

    def arctan(m: Any, x: Any) -> Any:
        """Twice the digits of float32's: arctan x = t + arctan((x − tan t) / (1 + x tan t))."""
        near = m.where(m.abs(x) > 1, 1 / x, x)
        t = x.graph.node("Atan", near.astype("float32")).astype(x.dtype)
        sin, cos = m.sin(t), m.cos(t)
        found = m.where(x == 0, x, t + (near * cos - sin) / (cos + near * sin))
        return m.where(m.abs(x) > 1, m.odd(x, math.pi / 2 - m.abs(found)), found)

    def arctan2(m: Any, y: Any, x: Any) -> Any:
        def below_0(x: Any) -> Any:  # −0, too
            return (x < 0) | (1 / x < 0)
        high, wide = m.abs(y), m.abs(x)
        angle = m.arctan(m.where(high == 0, high, m.where(high == wide, 1.0, high / wide)))
        angle = m.where(below_0(x), math.pi - angle, angle)
        return m.where(x == x, m.where(below_0(y), -angle, angle), x)

    def arcsinh(m: Any, x: Any) -> Any:
        size = m.abs(x)
        small = m.log1p(size + size * size / (1 + m.sqrt(1 + size * size)))
        return m.odd(x, m.where(size > 1e9, m.log(size) + math.log(2), small))

    def arccosh(m: Any, x: Any) -> Any:
        small = m.log1p(x - 1 + m.sqrt(x - 1) * m.sqrt(x + 1))
        return m.where(x > 1e9, m.log(x) + math.log(2), small)

    def arctanh(m: Any, x: Any) -> Any:
        size = m.abs(x)
        return m.odd(x, 0.5 * m.log1p(2 * size / (1 - size)))

    def erf(m: Any, x: Any) -> Any:
        """In float64 the integral x ∫ 2/√π exp(-x² s²) ds over 0 < s < 1."""
        if x.dtype == "float32":
            return x.graph.node("Erf", x)
        points, weights = x.graph.numpy.polynomial.legendre.leggauss(24)  # to 2e-15 for |x| < 6
        squares = m.minimum(x * x, 36.0).reshape(*x.shape, 1)
        exponentials = m.exp(-squares * ((1 + points) / 2) ** 2)
        column = (weights / math.sqrt(math.pi)).reshape(-1, 1)
        integral = x.graph.node("MatMul", exponentials, column, shape=(*x.shape, 1)).reshape(*x.shape)
        return m.where(m.abs(x) < 6, x * integral, m.odd(x, 1.0))  # from 6 on erf is 1 to the last bit

    def erfc(m: Any, x: Any) -> Any:
        """From 0.5 on x/π ∫ exp(-x² - t²) / (x² + t²) dt by the trapezoidal rule, less what its poles add to that
        (Chiarella and Reichel 1968)."""
        step = 0.5
        t = step * x.graph.numpy.arange(13)
        far = m.minimum(x, 40.0)
        weights = step / math.pi * x.graph.numpy.exp(-t * t) * x.graph.numpy.where(t == 0, 1, 2)
        total = (weights / ((far * far).reshape(*x.shape, 1) + t * t)).sum(-1)
        poles = m.where(x < 6, 2 / (m.exp(far * (2 * math.pi / step)) - 1), 0.0)
        return m.where(x < 0.5, 1 - m.erf(x), far * m.exp(-far * far) * total - poles)


@cache
def onnx_library() -> Library:
    """The rows as nodes of the graph of their arguments; by NumPy where all numbers are known."""
    known, functions = numpy_library(), Functions()

    def constant(numbers: Any, like: Any) -> Any:
        return as_array(numbers, like.dtype)

    def either(by_numpy: Callable[..., Any], by_nodes: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (by_nodes if graph_of(args) else by_numpy)(*args)

    def opaque(op: Op) -> Callable[..., Any]:
        def function(*args: Any) -> Any:
            found: Any
            try:
                found = (spelling(op) or op.forward)(*[Arrays(arg, written) for arg in args])
            except (TypeError, ValueError, AttributeError) as error:  # it takes the bare number
                found = error
            if isinstance(found, Arrays):
                return found.x
            raise ValueError(f"{op.name} cannot be written in ONNX ({found}); an op of your own can where its function "
                             "is written with operators and rows, such as micrograd.exp(x)")
        return function

    def concatenated(*arrays: Any) -> Any:
        shape = (*arrays[0].shape[:-1], sum(array.shape[-1] for array in arrays))
        return arrays[0] if len(arrays) == 1 else graph_of(arrays).node("Concat", *arrays, axis=-1, shape=shape)

    def multiplied(a: Any, b: Any) -> Any:
        return graph_of((a, b)).node("MatMul", a, b, shape=(*a.shape[:-1], b.shape[-1]))

    def zeros(shape: Any, like: Any) -> Any:
        return like.graph.zeros(shape) if ROWS in shape else known.zeros(shape, like)

    given = {ops.pow: functions.power, ops.erf: functions.erf, ops.erfc: functions.erfc, DETACHED: DETACHED.forward,
             ops.relu: either(known.rows[ops.relu], functions.relu),
             ops.sigmoid: lambda x: 1 / (1 + functions.exp(-x))}  # its node has few digits where it is small
    written = {row: either(known.rows[row], function)
               for row, function in rows(functions, given, constant, functions.fmod, known.quiet).items()}
    joined = either(lambda *arrays: known.concatenate(arrays), concatenated)
    return Library("onnx", written, opaque, lambda arrays: joined(*arrays), either(known.matmul, multiplied),
                   known.index, constant, zeros, lambda like: 0, known.summed, known.quiet)
