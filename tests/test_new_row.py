"""A row that is added to the table, and nothing else: it runs in native code, on arrays and in ONNX, if only slowly."""

import random

import pytest

import micrograd
from micrograd import MLP, Value, ops
from micrograd.compiler import libraries, onnx_graph

XS = [-3.0, -0.5, 0.25, 2.0]


@pytest.fixture(params=["written with rows", "spelled besides"])
def softsign(request):
    """x / (1 + |x|), whose forward function takes anything that rows take; or floats only, with a formula for others."""
    written = {"forward": lambda x: x / (1 + ops.abs(x))} if request.param == "written with rows" else {
        "forward": lambda x: x / (1 + (x if x > 0 else -x)), "spelled": lambda x: x / (1 + ops.abs(x))}
    row = ops.row("a_row_alone", written.pop("forward"), lambda y, x: 1 / (1 + ops.abs(x)) ** 2, **written)
    forget_libraries()
    yield row
    del ops.OPS["a_row_alone"]
    ops.ROWS.remove(row)
    forget_libraries()


def forget_libraries():
    """The libraries of arrays, which are made once, with the rows that there are."""
    for library in (libraries.numpy_library, libraries.jax_library, libraries.torch_library, onnx_graph.onnx_library):
        library.cache_clear()


def test_it_is_a_function_of_the_package(softsign):
    assert micrograd.a_row_alone is softsign
    y = micrograd.a_row_alone(Value(-3.0, "x"))
    assert y.data == -0.75 and micrograd.grad(softsign)(-3.0) == 0.0625
    assert str(micrograd.explain(y, wrt=y.parents[0])) == "∂f/∂x = a_row_alone′(x)\n      = 1 / (1 + |x|)²\n      = 0.0625"


@pytest.mark.parametrize("backend", ["python", "native"] if micrograd.engine_kind() == "compiled" else ["python"])
def test_it_is_compiled(softsign, backend):
    function = micrograd.compile(lambda x: softsign(x) * x, backend=backend)
    values, slopes = function.map(XS, grad=True)
    for x, value, slope in zip(XS, values, slopes):
        assert value == pytest.approx(softsign(x) * x, rel=1e-14)
        assert slope == pytest.approx(softsign(x) + x * softsign.slope(0, softsign(x), x), rel=1e-14)


@pytest.mark.parametrize("name", ["numpy", "jax", "torch"])
def test_it_works_on_arrays(softsign, name):
    pytest.importorskip(name)
    library = getattr(libraries, f"{name}_library").__wrapped__()  # a library that is made anew knows the row
    import numpy as np
    column = np.array(XS, dtype="float32")
    given = column if name == "numpy" else __import__("torch").from_numpy(column) if name == "torch" else column
    assert np.asarray(library.rows[softsign](given)) == pytest.approx([softsign(x) for x in XS], rel=1e-6)


def test_it_is_an_activation_in_onnx(softsign, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    import numpy as np
    net = MLP(2, [3, 1], activation="a_row_alone", rng=random.Random(1))
    micrograd.to_onnx(net, tmp_path / "net.onnx")
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    [found] = session.run(None, {"x": np.array([[0.5, -1.0], [2.0, 1.0]])})
    assert found[:, 0] == pytest.approx([net([0.5, -1.0]).data, net([2.0, 1.0]).data], rel=1e-12)


def test_its_truth_is_that_of_the_rows_it_is_made_of(softsign):
    from test_accuracy import truth
    (value, _, unit), (slope, _, _), (bend, _, _) = truth.truths("a_row_alone", (-3.0,))
    assert (value, slope) == (-0.75, 0.0625) and abs(bend - 0.03125) < 1e-17 and unit == 2.0 ** -53
