"""What a network's outputs cost: loss(outputs, targets) is a Value, for one sample.

outputs: a list of Values, or one bare Value; targets: as many numbers, or one bare number (for `cross_entropy`, the
index of the right class). They can be compiled: then numbers are not known while the function is recorded, so that a
target which a loss refuses gives nan. This module knows nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Union

from .engine import Number, Value, as_value, constant, is_heritable
from .ops import is_number, maximum, number, relu, where

Outputs = Union[Value, Sequence[Value]]
Targets = Union[Number, Sequence[Number]]


def half_squared_error(outputs: Outputs, targets: Targets) -> Value:
    """C = ½‖y − a‖², so that ∂C/∂a = a − y."""
    return 0.5 * Value.sum([(y - a) ** 2 for a, y in _pairs(outputs, targets)])


def mean_squared_error(outputs: Outputs, targets: Targets) -> Value:
    """The mean of (y − a)² over the outputs."""
    squares = [(y - a) ** 2 for a, y in _pairs(outputs, targets)]
    return Value.sum(squares) / len(squares)


def binary_cross_entropy(outputs: Outputs, targets: Targets) -> Value:
    """−(y log p + (1 − y) log(1 − p)), averaged over the outputs p, which are probabilities; targets in [0, 1].

    Prefer `binary_cross_entropy_from_logits` to a sigmoid and this: it stays exact where p rounds to 0 or 1.
    """
    terms = []
    for p, y in _pairs(outputs, targets):
        if is_heritable(p) or is_heritable(y):  # no branch: what has factor 0 is the logarithm of 1 or more
            right, wrong = y * (p + where(y, 0.0, 1.0)).log(), (1 - y) * (where(1 - y, 0.0, 1.0) - p).log1p()
            terms.append(-(right + wrong) + _refused_outside_0_1(y))
            continue
        _check_between_0_and_1(y)
        if not 0.0 <= p.data <= 1.0:
            raise ValueError(f"binary_cross_entropy needs probabilities in [0, 1], found {p.data}: end the network in "
                             "a sigmoid, or use binary_cross_entropy_from_logits")
        if y.data != 0.0:  # a term with factor 0 is left out: 0 · log 0 is 0 here
            terms.append(-y * p.log() if y.data != 1.0 else -p.log())
        if y.data != 1.0:
            terms.append(-(1 - y) * (-p).log1p() if y.data != 0.0 else -(-p).log1p())
    return Value.sum(terms) / len(_listed(outputs))


def binary_cross_entropy_from_logits(outputs: Outputs, targets: Targets) -> Value:
    """The same for p = sigmoid(z), from the logits z: log(1 + e^z) − y z, which no z overflows."""
    terms = []
    for z, y in _pairs(outputs, targets):
        term = z.softplus() - y * z
        if is_heritable(y):
            term = term + _refused_outside_0_1(y)
        else:
            _check_between_0_and_1(y)
        terms.append(term)
    return Value.sum(terms) / len(terms)


def logsumexp(values: Iterable[Number]) -> Value:
    """log(e^v1 + e^v2 + ...), without overflow."""
    nodes = [as_value(v) for v in values]
    if not nodes:
        raise ValueError("logsumexp needs one value at least, found none")
    largest = _largest(nodes)
    return Value.sum([(node - largest).exp() for node in nodes]).log() + largest


def softmax(logits: Sequence[Number]) -> list[Value]:
    """Probabilities proportional to e^z, without overflow."""
    nodes = [as_value(z) for z in logits]
    if not nodes:
        return []
    largest = _largest(nodes)
    powers = [(node - largest).exp() for node in nodes]
    total = Value.sum(powers)
    return [power / total for power in powers]


def cross_entropy(outputs: Outputs, target: Any) -> Value:
    """−log of the probability that softmax(outputs) gives to the right class; from logits, without overflow.

    target: the index of the class, 0, 1, ...; or a probability for each class.
    """
    logits = _listed(outputs)
    if len(logits) < 2:
        raise ValueError("cross_entropy needs an output for each of two classes or more, found 1; for one output use "
                         "binary_cross_entropy_from_logits")
    if is_heritable(target):
        chosen: Any = math.nan
        for i, z in reversed([*enumerate(logits)]):
            chosen = where(target - i, chosen, z)
        picked: Value = logsumexp(logits) - chosen
        return picked
    if isinstance(target, Value):
        target = target.data
    if is_number(target):
        index = int(target)
        if index != target or not 0 <= index < len(logits):
            raise ValueError(f"cross_entropy needs the index of a class, 0 to {len(logits) - 1}, found {target!r}")
        return logsumexp(logits) - as_value(logits[index])
    total = logsumexp(logits)
    return Value.sum([y * (total - z) for z, y in _pairs(logits, target)])


def max_margin(outputs: Outputs, targets: Targets) -> Value:
    """relu(1 − y a), the hinge loss of a support vector machine, averaged over the outputs; targets −1 or 1."""
    terms = []
    for a, y in _pairs(outputs, targets):
        if is_heritable(y):
            terms.append(relu(1 - y * a) + where(y * y - 1, math.nan, 0.0))
            continue
        if y.data not in (-1.0, 1.0):
            raise ValueError(f"max_margin needs targets -1 and 1, found {y.data}")
        terms.append((1 - y * a).relu())
    return Value.sum(terms) / len(terms) if len(terms) > 1 else terms[0]


def l1_penalty(parameters: Iterable[Value], strength: float = 1.0) -> Value:
    """strength · Σ|p|."""
    return strength * Value.sum([abs(p) for p in parameters])


def l2_penalty(parameters: Iterable[Value], strength: float = 1.0) -> Value:
    """strength · Σp²."""
    return strength * Value.sum([p * p for p in parameters])


def _largest(nodes: list[Value]) -> Value:
    """The largest of the numbers, by which others are shifted: no derivative passes through it."""
    if any(map(is_heritable, nodes)):
        largest: Value = reduce(maximum, nodes)
        return largest.detach("max")
    return constant(max(node.data for node in nodes), "max")


def _refused_outside_0_1(y: Value) -> Any:
    """0, or nan for a target that is not between 0 and 1: to be added, as then nothing else is in a branch of it."""
    return where(y >= 0, where(y <= 1, 0.0, math.nan), math.nan)


def _listed(x: Any) -> list[Any]:
    return [x] if isinstance(x, Value) or is_number(x) else list(x)


def _pairs(outputs: Outputs, targets: Targets) -> list[tuple[Value, Value]]:
    """Each output with its target, as Values; a target that is a number is a constant labelled y or y_{i}."""
    outs, wanted = _listed(outputs), _listed(targets)
    if len(outs) != len(wanted) or not outs:
        hint = "; for the index of a class use cross_entropy" if len(outs) > len(wanted) == 1 else ""
        raise ValueError(f"the loss needs a target for each output, found {len(outs)} outputs and {len(wanted)} "
                         f"targets{hint}")
    names = ["y"] if len(wanted) == 1 else [f"y_{{{i + 1}}}" for i in range(len(wanted))]
    return [(as_value(a), y if isinstance(y, Value) else constant(number(y, "a target"), name))
            for a, y, name in zip(outs, wanted, names)]


def _check_between_0_and_1(y: Value) -> None:
    if not 0.0 <= y.data <= 1.0:
        raise ValueError(f"binary cross-entropy needs targets from 0 to 1, found {y.data}")
