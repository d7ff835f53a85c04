"""What a user reads who gives a wrong argument: an error that the package itself raises, at its door, in its words.

Each public callable has a call here that is right. Each argument of it is then replaced by each of what people give by
mistake. Either that is understood, or an error is raised on purpose, by a `raise` in the package, of a kind that is
meant for a caller, and it names what was found.
"""

import ast
import inspect
import traceback
import warnings
from functools import cache, partial
from pathlib import Path

import pytest

import micrograd as mg
from micrograd import losses, ops, optim
from micrograd.train import converged

PACKAGE = Path(mg.__file__).parent
TESTS = Path(__file__)
X, Y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [-1.0, 1.0, 1.0, -1.0]


def network():
    return mg.MLP(2, [2, 1], activation="tanh", rng=1)


def cost():
    w, x, b = mg.Value(0.5, "w"), mg.Value(1.5, "x"), mg.Value(0.1, "b")
    z = w * x + b
    z.label = "z"
    C = z.sigmoid()
    C.label = "C"
    C.backward()
    return C


def square(x):
    return x * x


def compiled(**options):
    return mg.compile(lambda a, b: a * b + b**3, **options)


def compiled_loss():
    net = network()
    return mg.compile(lambda x, y: losses.max_margin(net(x), y), inputs=(2, None))


# What is called, and right arguments for it, by name; each is made anew for each call
CALLS = {
    "Value": lambda: (mg.Value, {"data": 1.0, "label": "x"}),
    "Value.data": lambda: (lambda x: setattr(mg.Value(1.0), "data", x), {"x": 2.0}),
    "Value.grad": lambda: (lambda x: setattr(mg.Value(1.0), "grad", x), {"x": 2.0}),
    "Value.label": lambda: (lambda x: setattr(mg.Value(1.0), "label", x), {"x": "a"}),
    "Value.sum": lambda: (mg.Value.sum, {"values": [1.0, 2.0]}),
    "Value.dot": lambda: (mg.Value.dot, {"ws": [1.0, 2.0], "xs": [3.0, 4.0], "bias": 1.0}),
    "Value.detach": lambda: (mg.Value(1.0).detach, {"label": "x"}),
    "Value.backward": lambda: (cost().backward, {"seed": 1.0}),
    "gradient": lambda: (mg.gradient, {"y": cost(), "xs": mg.Value(1.0)}),
    "topological_order": lambda: (lambda root: mg.topological_order(root), {"root": cost()}),
    "op": lambda: (lambda name, forward, derivative, **more: mg.op(name, forward, derivative, **more),
                   {"name": "squared", "forward": square, "derivative": lambda y, x: 2 * x, "symbol": "sq",
                    "latex": "{0}^2", "text": "{0}**2", "binds": "power", "domain": (-1.0, 1.0), "kink": None,
                    "note": "a note"}),
    "Neuron": lambda: (mg.Neuron, {"nin": 2, "nonlin": True, "activation": "tanh", "init": "he", "bias": True, "rng": 1,
                                   "layer": 2, "index": 1, "chain": False, "fan_out": 1}),
    "Layer": lambda: (mg.Layer, {"nin": 2, "nout": 2, "layer": 2, "chain": False, "activation": "tanh", "rng": 1}),
    "MLP": lambda: (mg.MLP, {"nin": 2, "nouts": [2, 1], "activation": "tanh", "output": "sigmoid", "init": "he",
                             "bias": True, "rng": 1, "scaler": mg.Standardizer([0.0, 0.0], [1.0, 1.0])}),
    "MLP()": lambda: (network(), {"x": [1.0, 2.0]}),
    "Neuron()": lambda: (mg.Neuron(2), {"x": [1.0, 2.0]}),
    "Layer()": lambda: (mg.Layer(2, 2), {"x": [1.0, 2.0]}),
    "MLP.predict": lambda: (network().predict, {"X": X}),
    "MLP.load_state_dict": lambda: (network().load_state_dict, {"state": network().state_dict()}),
    "MLP.save": lambda: (network().save, {"path": "net.json"}),
    "Standardizer": lambda: (mg.Standardizer, {"means": [0.0], "scales": [1.0]}),
    "Standardizer.of": lambda: (mg.Standardizer.of, {"X": X}),
    "Standardizer()": lambda: (mg.Standardizer.of(X), {"x": [1.0, 2.0]}),
    **{name: lambda name=name: (getattr(losses, name), {"outputs": [mg.Value(0.25), mg.Value(0.75)],
                                                        "targets": [1.0, 1.0]})
       for name in ("half_squared_error", "mean_squared_error", "binary_cross_entropy",
                    "binary_cross_entropy_from_logits", "max_margin")},
    "cross_entropy": lambda: (losses.cross_entropy, {"outputs": [mg.Value(0.25), mg.Value(0.75)], "target": 1}),
    "softmax": lambda: (losses.softmax, {"logits": [1.0, 2.0]}),
    "logsumexp": lambda: (losses.logsumexp, {"values": [1.0, 2.0]}),
    "l1_penalty": lambda: (losses.l1_penalty, {"parameters": network().parameters(), "strength": 0.1}),
    "l2_penalty": lambda: (losses.l2_penalty, {"parameters": network().parameters(), "strength": 0.1}),
    "SGD": lambda: (mg.SGD, {"params": network().parameters(), "lr": 0.1, "momentum": 0.9, "nesterov": True,
                             "weight_decay": 0.1}),
    **{kind.__name__: lambda kind=kind: (kind, {"params": network().parameters(), "lr": 0.1, "betas": (0.9, 0.99),
                                                "eps": 1e-8, "weight_decay": 0.1}) for kind in (mg.Adam, mg.AdamW)},
    "Optimizer.attach": lambda: (mg.SGD().attach, {"params": network().parameters()}),
    "step_decay": lambda: (lambda **given: optim.step_decay(**given)(1), {"lr": 0.1, "every": 2, "factor": 0.5}),
    "exponential_decay": lambda: (lambda **given: optim.exponential_decay(**given)(1), {"lr": 0.1, "rate": 0.1}),
    "linear_decay": lambda: (lambda **given: optim.linear_decay(**given)(1), {"lr": 0.1, "steps": 2, "end": 0.0}),
    "cosine_decay": lambda: (lambda **given: optim.cosine_decay(**given)(1), {"lr": 0.1, "steps": 2, "end": 0.0}),
    "warmup": lambda: (lambda **given: optim.warmup(**given)(1), {"steps": 2, "then": 0.1}),
    **{name: lambda name=name: (lambda f, wrt, x: getattr(mg, name)(f, wrt)(x), {"f": square, "wrt": 0, "x": 2.0})
       for name in ("grad", "value_and_grad", "hessian", "jacobian")},
    "vjp": lambda: (lambda f, x, cotangent: mg.vjp(f, x)[1](cotangent), {"f": square, "x": 2.0, "cotangent": 1.0}),
    "jvp": lambda: (mg.jvp, {"f": square, "primals": (2.0,), "tangents": (1.0,)}),
    "hvp": lambda: (mg.hvp, {"f": square, "primals": (2.0,), "vector": (1.0,)}),
    "check_gradients": lambda: (mg.check_gradients, {"f": square, "at": 2.0, "order": 1}),
    "fit": lambda: (partial(mg.fit, progress=False), {
        "net": network(), "X": X, "y": Y, "loss": losses.max_margin, "optimizer": mg.SGD(lr=0.1), "epochs": 1,
        "batch_size": 2, "until": 0.1, "validation": 0.5, "patience": 2, "standardize": True,
        "penalty": losses.l2_penalty, "shuffle": True, "seed": 1, "callback": None, "backend": "auto",
        "devices": None}),
    "converged": lambda: (lambda **given: converged(**given)(mg.History(loss=[1.0] * 9)),
                          {"tolerance": 0.1, "patience": 2}),
    "accuracy": lambda: (mg.accuracy, {"net": network(), "X": X, "y": Y, "threshold": 0.5}),
    "train_test_split": lambda: (mg.train_test_split, {"X": X, "y": Y, "test": 0.5, "seed": 1}),
    "compile": lambda: (mg.compile, {"function": lambda a, b: a * b, "inputs": (None, None), "params": None,
                                     "reduce": "mean", "backend": "auto", "verify": 1, "threads": 1, "devices": None,
                                     "dtype": "float64"}),
    "Compiled()": lambda: (lambda a, b: compiled()(a, b), {"a": 2.0, "b": 3.0}),
    "Compiled.map": lambda: (lambda a, b, **more: compiled().map(a, b, **more),
                             {"a": [2.0, 3.0], "b": [3.0, 4.0], "grad": True}),
    "Compiled.grad": lambda: (lambda a, b: compiled().grad(a, b), {"a": 2.0, "b": 3.0}),
    "Compiled.fit": lambda: (lambda X, y, **more: compiled_loss().fit(X, y, **more), {
        "X": X, "y": Y, "optimizer": mg.SGD(), "epochs": 1, "batch_size": 2, "shuffle": True, "seed": 1}),
    "draw": lambda: (mg.draw, {"root": cost(), "direction": "LR", "max_nodes": 500, "values": True, "gradients": True,
                               "slopes": True, "by_gradient": False, "clusters": False, "collapse": None,
                               "names": True}),
    "explain": lambda: (mg.explain, {"y": cost(), "wrt": None, "form": "chain", "detail": None}),
    "steps": lambda: (mg.steps, {"root": cost(), "order": "topological"}),
    "stepper": lambda: (mg.stepper, {"root": cost(), "order": "topological", "max_nodes": 500}),
    "diagnose": lambda: (mg.diagnose, {"root": cost(), "parameters": network().parameters()}),
    "nudge": lambda: (mg.nudge, {"root": cost(), "x": "w", "h": 0.1}),
    "grade": lambda: (mg.grade, {"root": cost(), "answers": {"w": 0.1}, "forward": {"z": 0.85}, "ask": ["w"], "lr": 0.1,
                                 "digits": 4}),
    "grade_class": lambda: (mg.grade_class, {"root": cost(), "sheets": {"Ann": {"w": 0.1}}, "lr": 0.1, "digits": 4}),
    "latex": lambda: (mg.latex, {"node": cost(), "depth": 1}),
    "text": lambda: (mg.text, {"node": cost(), "depth": 1}),
    **{name: lambda name=name: (lambda x: getattr(mg, name)(x), {"x": 0.5}) for name in ("sin", "relu", "floor")},
    **{name: lambda name=name: (lambda a, b: getattr(mg, name)(a, b), {"a": 0.5, "b": 0.5})
       for name in ("atan2", "maximum", "leaky_relu")},
    "where": lambda: (lambda a, b, c: mg.where(a, b, c), {"a": 1.0, "b": 0.5, "c": 0.5}),
}
# What is not called with numbers, functions or networks by the people this is for, and why
ELSEWHERE = {
    "GradientReport": "is made by check_gradients", "History": "is made by fit", "Compiled": "is made by compile",
    "TraceError": "an exception", "Module": "is subclassed", "Optimizer": "is subclassed",
    "Check": "is made by check_gradients", "engine_kind": "takes nothing",
    **dict.fromkeys(["from_safetensors", "from_torch", "to_onnx", "to_safetensors", "to_torch"],
                    "of other libraries: tests/test_interchange.py"),
    **dict.fromkeys(["from_sympy", "to_sympy"], "of another library: tests/test_sympy.py"),
}
WRONG = {
    "None": lambda: None, "a text": lambda: "text", "bytes": lambda: b"x", "3": lambda: 3, "2.5": lambda: 2.5,
    "-1": lambda: -1, "a complex number": lambda: 1j, "nothing": list, "a list of None": lambda: [None],
    "a list of text": lambda: ["x"], "a list of lists": lambda: [[1.0], [2.0, 3.0]], "a dict": lambda: {"a": 1.0},
    "a set": lambda: {1.0}, "an object": object, "a function of nothing": lambda: lambda: 1.0,
    "a function of text": lambda: str.upper, "a class of networks": lambda: mg.MLP, "a network": network,
    "a class of optimizers": lambda: mg.Adam, "an optimizer": lambda: mg.Adam(), "a Value": lambda: mg.Value(1.0, "v"),
    "the class Value": lambda: mg.Value, "an iterator": lambda: iter([1.0]), "a module": lambda: losses,
}
# Of these a message names the kind or the thing; of lists, what in them is wrong
ALL_WRONG = {"None", "a complex number", "an object", "a class of networks", "a network", "a class of optimizers",
             "an optimizer", "the class Value", "a module"}
KINDS = (TypeError, ValueError, ImportError)
# Arguments that are functions, where what can be called is called: what goes wrong in there is the caller's
FUNCTIONS = {"f", "forward", "derivative", "kink", "init", "loss", "penalty", "callback", "function", "until", "lr", "then",
             "activation", "output"}


@cache
def raises_in(file):
    """The lines that the `raise` statements of a file stand on."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {line for node in ast.walk(tree) if isinstance(node, ast.Raise)
            for line in range(node.lineno, node.end_lineno + 1)}


def on_purpose(error):
    """Whether the package itself has raised this error, in a `raise` statement, or else the function of the caller."""
    *_, last = traceback.extract_tb(error.__traceback__)
    if last.name == square.__name__:
        return True
    file = PACKAGE.parent / last.filename if not Path(last.filename).is_absolute() else Path(last.filename)
    return PACKAGE in file.parents and last.lineno in raises_in(file)


def test_every_public_callable_is_here():
    public = {name for name in mg.__all__ if callable(getattr(mg, name)) and name not in ops.OPS} | {"compile"}
    assert public <= CALLS.keys() | ELSEWHERE.keys(), public - CALLS.keys() - ELSEWHERE.keys()
    functions = {name for name, f in vars(losses).items() if inspect.isfunction(f) and f.__module__ == losses.__name__}
    assert {name for name in functions if not name.startswith("_")} <= CALLS.keys()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a text is the name of a file


@pytest.mark.parametrize("name", CALLS)
def test_the_right_call_is_right(name):
    call, right = CALLS[name]()
    call(**right)


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_refused_on_purpose(name, what):
    for argument in CALLS[name]()[1]:
        call, right = CALLS[name]()
        wrong = WRONG[what]()
        if callable(wrong) and argument in FUNCTIONS:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call(**right | {argument: wrong})
        except Exception as error:
            said = f"{name}({argument}={what}): {type(error).__name__}: {error}"
            if isinstance(error, OSError) and error.filename == wrong:  # a text is the name of a file
                continue
            assert isinstance(error, KINDS) and on_purpose(error), said
            if what in ALL_WRONG and argument != "devices":  # which are for JAX alone, whatever they are
                names = {type(wrong).__name__, repr(wrong)[:12], getattr(wrong, "__name__", repr(wrong))}
                assert any(name in str(error) for name in names), said


POINT, TABLE = mg.Value(1.0, "a"), [[0, 0], [0, 1]]


@pytest.mark.parametrize(("call", "message"), [
    (lambda net: mg.fit(net, TABLE, [1, -1], epochs="5"),
     r"fit\(epochs\) needs a whole number, found str '5'; convert text first: int\('5'\)"),
    (lambda net: mg.fit(net, TABLE, [1, -1], epochs=2.5), r"fit\(epochs\) needs a whole number, found float 2.5"),
    (lambda net: mg.fit(net, TABLE, [1, -1], epochs=-1), r"fit\(epochs\) needs 0 or more, found -1"),
    (lambda net: mg.fit(net, TABLE, [1, -1], batch_size=0), r"fit\(batch_size\) needs 1 or more, found 0"),
    (lambda net: mg.fit(TABLE, [1, -1], net), r"fit\(net, X, y\) needs a network, .* found list \[\[0, 0\], \[0, 1\]\]"),
    (lambda net: mg.fit(mg.MLP, TABLE, [1, -1]), r"found the class MLP: make one of it, MLP\(...\)"),
    (lambda net: mg.accuracy(mg.MLP, TABLE, [1, -1]), r"accuracy\(net, X, y\) needs a network, found the class MLP"),
    (lambda net: mg.draw(mg.MLP), r"needs a network, found the class MLP"),
    (lambda net: mg.diagnose(POINT, mg.MLP), r"needs a network or Values, found the class MLP"),
    (lambda net: mg.Value.sum(1), r"Value.sum\(values\) needs a list of numbers, found int 1"),
    (lambda net: mg.Value.sum("12"), r"needs a list of numbers, found str '12'"),
    (lambda net: mg.Value.dot(POINT, POINT), r"Value.dot\(ws, xs\) needs two lists of numbers, found Value"),
    (lambda net: losses.softmax(3.0), r"softmax\(logits\) needs a list of numbers, found float 3.0"),
    (lambda net: losses.softmax(POINT), r"softmax\(logits\) needs a list of numbers, found Value"),
    (lambda net: losses.l2_penalty(net), r"l2_penalty\(parameters\) needs a list .*; did you mean its parameters\(\)\?"),
    (lambda net: net.load_state_dict([1]),
     r"load_state_dict needs a dict of numbers by path, such as state_dict\(\) gives, found list \[1\]"),
    (lambda net: mg.grad(3), r"grad\(f\) needs a function, found int 3"),
    (lambda net: mg.hessian(POINT * POINT), r"hessian\(f\) needs a function, found Value .*; y.backward\(\) and "
                                            r"micrograd.gradient\(y, xs\) differentiate a Value"),
    (lambda net: mg.check_gradients(lambda v: v[0] ** 2, 1.0), r"the function takes a list, or several, and was given a "
                                                               r"bare number; give a list as .* the point: \[1.0\]"),
    (lambda net: mg.grad(lambda v: sum(v))(1.0), "the function takes a list"),
    (lambda net: mg.grad(lambda v: len(v) * v)(1.0), "the function takes a list"),
    (lambda net: mg.jvp(lambda v: [x for x, y in (v,)], (1.0,), (1.0,)), "the function takes a list"),
    (lambda net: compiled()(), r"takes a, b here: the numbers of one sample; found no argument"),
    (lambda net: mg.compile(lambda a, b: a, inputs=(1, None, None)), r"inputs gives <lambda> 3 arguments, and it takes 2: a, b"),
    (lambda net: mg.Neuron(2, "tanh"), r"Neuron\(nonlin\) must be True or False, found str 'tanh'; .* is activation=..."),
    (lambda net: mg.sin(mg.Value), "sin needs a real number, found type .*; it is a class, not an object of it"),
    (lambda net: optim.linear_decay(0.1, 0), r"linear_decay\(steps\) needs a number of steps > 0, found 0"),
])
def test_what_was_obscure(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(network())


def test_an_error_of_the_callers_own_function_is_left_as_it_is():
    def own(x):
        raise TypeError("of my own")

    with pytest.raises(TypeError, match=r"^of my own$"):
        mg.grad(own)(1.0)
