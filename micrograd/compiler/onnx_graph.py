"""Formulas as nodes of an ONNX graph: what operators and rows make of a Tensor is added to its graph.

Runtimes know all functions of ONNX for float32 and fewer for float64; what onnxruntime lacks is composed of what it
has. This module knows nothing of networks or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..functions import SQRT_2, SQRT_PI
from ..ops import Op
from ..rows import Operators, spelling

OPSET, IR_VERSION = 17, 8  # of 2022: newer ones have nothing that is needed here, and older runtimes know these

NODES = {
    ops.add: "Add", ops.sub: "Sub", ops.mul: "Mul", ops.div: "Div", ops.pow: "Pow", ops.neg: "Neg", ops.abs: "Abs",
    ops.exp: "Exp", ops.log: "Log", ops.sqrt: "Sqrt", ops.sin: "Sin", ops.cos: "Cos", ops.sign: "Sign",
    ops.maximum: "Max", ops.minimum: "Min", ops.relu: "Relu", ops.sigmoid: "Sigmoid", ops.tanh: "Tanh",
    ops.identity: "Identity", ops.floor: "Floor", ops.ceil: "Ceil", ops.round: "Round",
}
COMPOSED: dict[Op, Callable[..., Any]] = {  # where exp would overflow, its argument is cut off at 0 first
    ops.tan: lambda x: ops.sin(x) / ops.cos(x),
    ops.expm1: lambda x: ops.tanh(x / 2) * (ops.exp(x) + 1),  # with all digits near 0
    ops.step: lambda x: ops.sign(ops.relu(x)),
    ops.trunc: lambda x: ops.sign(x) * ops.floor(ops.abs(x)),
    ops.mod: lambda a, b: remainder(a, b),
    ops.floordiv: lambda a, b: ops.round((a - a % b) / b),
    ops.softplus: lambda x: ops.relu(x) + ops.log(1 + ops.exp(-ops.abs(x))),
    ops.silu: lambda x: x * ops.sigmoid(x),
    ops.leaky_relu: lambda x, k: ops.relu(x) - k * ops.relu(-x),
    ops.elu: lambda x, k: ops.relu(x) + k * ops.expm1(-ops.relu(-x)),
    ops.where: lambda c, a, b: c.graph.where(c, a, b),
    ops.erf: lambda x: x.graph.erf(x),
    ops.gelu: lambda x: 0.5 * x * (1 + ops.erf(x / SQRT_2)),
}


class Graph:
    """The nodes and the constants of an ONNX graph with the input "x", in the order in which they come."""

    def __init__(self, onnx: Any, numpy: Any, dtype: str) -> None:
        self.onnx, self.numpy, self.dtype = onnx, numpy, dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: Any, **attributes: Any) -> Tensor:
        """What a new node gives for these inputs, Tensors or numbers."""
        names = [(x if isinstance(x, Tensor) else self.constant(x)).name for x in inputs]
        result = Tensor(self, f"{kind}_{len(self.nodes)}")
        self.nodes.append(self.onnx.helper.make_node(kind, names, [result.name], **attributes))
        return result

    def constant(self, numbers: Any, name: str = "", dtype: str = "") -> Tensor:
        """A new constant. Raises OverflowError for a number that the dtype has not."""
        with self.numpy.errstate(over="ignore"):
            array = self.numpy.array(numbers, dtype="float64").astype(dtype or self.dtype)
        if not self.numpy.isfinite(array).all():
            raise OverflowError(f"a number is beyond those of {self.dtype}")
        constant = Tensor(self, name or f"constant_{len(self.constants)}")
        self.constants.append(self.onnx.numpy_helper.from_array(array, constant.name))
        return constant

    def where(self, c: Any, a: Any, b: Any) -> Tensor:
        return self.node("Where", self.node("Cast", c, to=self.onnx.TensorProto.BOOL), a, b)

    def erf(self, x: Tensor) -> Tensor:
        """erf x; in float64, for which runtimes lack it, as the integral x ∫ 2/√π exp(-x² s²) ds over 0 < s < 1."""
        if self.dtype == "float32":
            return self.node("Erf", x)
        points, weights = self.numpy.polynomial.legendre.leggauss(24)  # to 2e-15 for |x| < 6
        last = self.constant([-1], dtype="int64")
        column = self.node("Unsqueeze", self.node("Clip", x, -6.0, 6.0), last)
        exponents = self.node("MatMul", -column * column, self.constant([((1 + points) / 2) ** 2]))
        integral = self.node("MatMul", ops.exp(exponents), self.constant(weights.reshape(-1, 1) / SQRT_PI))
        inside = x * self.node("Squeeze", integral, last)
        return self.where(ops.relu(6 - ops.abs(x)), inside, ops.sign(x))  # from 6 on erf is 1 to the last bit

    def model(self, nin: int, nout: int, y: Tensor) -> bytes:
        """The whole model, checked: from a table "x" (rows, nin) to a table "y" (rows, nout)."""
        helper, numpy = self.onnx.helper, self.numpy
        self.nodes.append(helper.make_node("Identity", [y.name], ["y"]))
        kind = helper.np_dtype_to_tensor_dtype(numpy.dtype(self.dtype))
        ends = [[helper.make_tensor_value_info(name, kind, ["rows", n])] for name, n in (("x", nin), ("y", nout))]
        graph = helper.make_graph(self.nodes, "micrograd", *ends, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="micrograd")
        self.onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


class Tensor(Operators):
    """A tensor of an ONNX graph. A formula that asks for its number, to branch on it for example, is a TypeError."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def __op__(self, row: Op, args: Sequence[Any]) -> Any:
        if row in NODES:
            return self.graph.node(NODES[row], *args)
        formula: Callable[..., Any] = COMPOSED.get(row) or spelling(row) or row.forward
        return formula(*args)

    def __bool__(self) -> bool:
        raise TypeError("it branches on a number; write it with where")

    def __eq__(self, other: object) -> bool:
        raise TypeError("it compares numbers; write it with where and step")

    __hash__ = None  # type: ignore[assignment]


def remainder(a: Any, b: Any) -> Tensor:
    """a % b, of which one at least is a Tensor: with the sign of b, where ONNX has that of a."""
    graph: Graph = (a if isinstance(a, Tensor) else b).graph
    rest = graph.node("Mod", a, b, fmod=1)
    return graph.where(ops.relu(-ops.sign(rest) * ops.sign(b)), rest + b, rest)
