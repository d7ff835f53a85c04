"""Losses: values against their definitions, gradients, extremes, wrong targets."""

import math

import pytest

from micrograd import Value, check_gradients
from micrograd.losses import (
    binary_cross_entropy,
    binary_cross_entropy_from_logits,
    cross_entropy,
    half_squared_error,
    l1_penalty,
    l2_penalty,
    logsumexp,
    max_margin,
    mean_squared_error,
    softmax,
)


def values(*xs: float) -> list[Value]:
    return [Value(x) for x in xs]


def close(x: object) -> object:
    return pytest.approx(x, rel=1e-13)  # a few roundings


def test_squared_errors() -> None:
    a = values(0.75, 0.5)
    cost = half_squared_error(a, [0.25, 1.0])
    cost.backward()
    assert cost.data == 0.5 * (0.25 + 0.25)
    assert [v.grad for v in a] == [0.5, -0.5]  # a - y
    assert mean_squared_error(values(1.0, 3.0), [0.0, 1.0]).data == 2.5


def test_one_output_may_be_bare() -> None:
    assert half_squared_error(Value(1.0), 3.0).data == half_squared_error(values(1.0), [3.0]).data == 2.0
    assert max_margin(Value(0.25), 1).data == 0.75


def test_targets_may_be_values() -> None:
    y = Value(3.0)
    half_squared_error(Value(1.0), y).backward()
    assert y.grad == 2.0


def test_binary_cross_entropy() -> None:
    p, y = [0.8, 0.3], [1.0, 0.0]
    assert binary_cross_entropy(values(*p), y).data == close(-(math.log(0.8) + math.log(0.7)) / 2)
    assert binary_cross_entropy(Value(0.8), 0.25).data == close(-(0.25 * math.log(0.8) + 0.75 * math.log(0.2)))
    z = Value(0.7)
    assert binary_cross_entropy_from_logits(z, 1).data == close(binary_cross_entropy(z.sigmoid(), 1).data)


def test_binary_cross_entropy_is_exact_where_a_factor_is_zero() -> None:
    assert binary_cross_entropy(Value(1.0), 1).data == 0.0
    assert binary_cross_entropy(Value(0.0), 0).data == 0.0


@pytest.mark.parametrize("z", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_logits_never_overflow(z: float, y: float) -> None:
    node = Value(z)
    cost = binary_cross_entropy_from_logits(node, y)
    cost.backward()
    assert cost.data == close(max(z, 0.0) + math.log1p(math.exp(-abs(z))) - y * z)
    assert node.grad == pytest.approx(1 / (1 + math.exp(-max(z, -700.0))) - y, abs=1e-15)


def test_softmax_and_cross_entropy() -> None:
    z = [1.0, 2.0, 0.5]
    powers = [math.exp(x) for x in z]
    assert [p.data for p in softmax(values(*z))] == close([p / sum(powers) for p in powers])
    logits = values(*z)
    cost = cross_entropy(logits, 1)
    cost.backward()
    assert cost.data == close(-math.log(powers[1] / sum(powers)))
    assert [v.grad for v in logits] == close([powers[0] / sum(powers), powers[1] / sum(powers) - 1, powers[2] / sum(powers)])
    assert cross_entropy(values(*z), [0.0, 1.0, 0.0]).data == close(cost.data)
    assert cross_entropy(values(*z), [0.5, 0.5, 0.0]).data == close(math.log(sum(powers)) - 1.5)


def test_softmax_of_extremes() -> None:
    assert [p.data for p in softmax(values(1000.0, -1000.0, 1000.0))] == [0.5, 0.0, 0.5]
    assert cross_entropy(values(1000.0, -1000.0), 1).data == 2000.0
    assert logsumexp(values(-1000.0, -1000.0)).data == close(-1000.0 + math.log(2))


def test_max_margin_and_penalties() -> None:
    assert max_margin(values(0.25, -3.0), [1, -1]).data == 0.375
    p = values(-2.0, 3.0)
    assert (l1_penalty(p, 0.5).data, l2_penalty(p, 0.5).data) == (2.5, 6.5)
    penalty = l2_penalty(p, 0.5)
    penalty.backward()
    assert [v.grad for v in p] == [-2.0, 3.0]


@pytest.mark.parametrize("loss, targets, at", [
    (half_squared_error, [0.3, -1.0], [0.5, 2.0]), (mean_squared_error, [0.3, -1.0], [0.5, 2.0]),
    (binary_cross_entropy, [0.0, 0.6], [0.2, 0.7]), (binary_cross_entropy_from_logits, [1.0, 0.3], [-0.4, 2.0]),
    (cross_entropy, 2, [0.1, -0.5, 0.7]), (cross_entropy, [0.2, 0.3, 0.5], [0.1, -0.5, 0.7]),
    (max_margin, [1, -1], [0.4, 0.2]), (lambda a, y: softmax(a)[0] * y, 1.0, [0.3, 0.9]),
])
def test_gradients_of_first_and_second_order(loss: object, targets: object, at: list[float]) -> None:
    report = check_gradients(lambda a: loss(a, targets), at)
    assert report.ok, str(report)


@pytest.mark.parametrize("call, error", [
    (lambda: half_squared_error(values(1, 2), [1]), "2 outputs and 1 targets"),
    (lambda: half_squared_error([], []), "0 outputs"),
    (lambda: half_squared_error(values(1, 2, 3), 2), "use cross_entropy"),
    (lambda: binary_cross_entropy(Value(1.5), 1), "found 1.5"),
    (lambda: binary_cross_entropy(Value(0.5), 2), "from 0 to 1, found 2"),
    (lambda: binary_cross_entropy_from_logits(Value(0.5), -1), "from 0 to 1, found -1"),
    (lambda: cross_entropy(values(1, 2), 2), "0 to 1, found 2"),
    (lambda: cross_entropy(values(1, 2), 0.5), "found 0.5"),
    (lambda: cross_entropy(Value(1.0), 0), "found 1"),
    (lambda: max_margin(Value(1.0), 0), "-1 and 1, found 0"),
    (lambda: logsumexp([]), "found none"),
])
def test_wrong_targets(call: object, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        call()
