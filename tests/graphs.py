"""Small graphs that several test files look at, each with the labels of the lecture notes that it is from."""

from micrograd import MLP, Value
from micrograd.losses import half_squared_error


def diamond():
    """The diamond of the lecture notes: y = (c + d) + cd, c = a + b, d = ab, at a = 2 and b = 3."""
    a, b = Value(2.0, "a"), Value(3.0, "b")
    c, d = a + b, a * b
    c.label, d.label = "c", "d"
    y = (c + d) + c * d
    y.label = "y"
    return y


def neuron():
    """C = (y - a)² / 2, a = sigmoid(w · x + b), as the last layer of a network has it."""
    w, x, b, y = Value(0.5, "w^{4}"), Value(-0.3, "a^{3}"), Value(0.1, "b^{4}"), Value(1.0, "y")
    z = w * x + b
    z.label = "z^{4}"
    a = z.sigmoid()
    a.label = "a^{4}"
    C = 0.5 * (y - a) ** 2
    C.label = "C"
    return C


def four_layers():
    """A network of one neuron a layer, that of `micrograd demo`, and its cost."""
    net = MLP(1, [1, 1, 1], activation="sigmoid", output="sigmoid", rng=1)
    C = half_squared_error(net([Value(0.5, "a^{1}")]), Value(1.0, "y"))
    C.label = "C"
    return net, C


def two_by_two():
    """The step-by-step 2-2-2 example: the network and its cost."""
    net = MLP(2, [2, 2], activation="sigmoid", output="sigmoid")
    numbers = [0.15, 0.20, 0.35, 0.25, 0.30, 0.35, 0.40, 0.45, 0.60, 0.50, 0.55, 0.60]
    for p, number in zip(net.parameters(), numbers):
        p.data = number
    C = half_squared_error(net([0.05, 0.10]), [0.01, 0.99])
    C.label = "C"
    return net, C
