"""The cost of a network's outputs: loss(outputs, targets) is a Value, for one sample.

outputs: a list of Values, or one bare Value; targets: as many numbers, or one bare number (for `cross_entropy`, the
index of the right class). They can be compiled: then numbers are not known while the function is recorded, so that a
target which a loss refuses gives nan. What is recorded then has no 0 · ∞ at infinite outputs, and puts no output into
one branch of a `where` alone, which would cost a choice for each number of the network. This module knows nothing of
networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from operator import mul
from typing import Any, Union

from .arguments import counted, is_number, many, number
from .engine import Number, Value, constant, propagates_type
from .ops import CONSTANT, maximum, where

__all__ = [
    "half_squared_error", "mean_squared_error", "binary_cross_entropy", "binary_cross_entropy_from_logits",
    "cross_entropy", "max_margin", "logsumexp", "softmax", "l1_penalty", "l2_penalty",
]

CERTAIN = 1 / 64  # the odds against a class, from which on what rounding takes from log p counts

Outputs = Union[Value, Sequence[Value]]
Targets = Union[Number, Sequence[Number]]


def half_squared_error(outputs: Outputs, targets: Targets) -> Value:
    """C = ½‖y − a‖², so that ∂C/∂a = a − y.

    Args:
        outputs: the outputs a, a list of Values or a bare one.
        targets: as many numbers y, or a bare one.

    Returns:
        The cost of one sample, a Value.

    Raises:
        TypeError: for anything but numbers.
        ValueError: if there are more of one than of the other.

    Example:
        >>> a = micrograd.Value(3.0)
        >>> micrograd.losses.half_squared_error(a, 1.0).data
        2.0
    """
    return 0.5 * Value.sum([(y - a) ** 2 for a, y in _pairs(outputs, targets)])


def mean_squared_error(outputs: Outputs, targets: Targets) -> Value:
    """The mean of (y − a)² over the outputs.

    Args:
        outputs: the outputs a, a list of Values or a bare one.
        targets: as many numbers y, or a bare one.

    Returns:
        The cost of one sample, a Value.

    Raises:
        TypeError: for anything but numbers.
        ValueError: if there are more of one than of the other.

    Example:
        >>> a = micrograd.Value(3.0)
        >>> micrograd.losses.mean_squared_error(a, 1.0).data
        4.0
    """
    return _mean([(y - a) ** 2 for a, y in _pairs(outputs, targets)])


def binary_cross_entropy(outputs: Outputs, targets: Targets) -> Value:
    """−(y log p + (1 − y) log(1 − p)), averaged over the outputs.

    Every digit holds for the p that is given, and 0 · log 0 is 0. But a sigmoid rounds to 1 from z = 37 on, and nothing
    is left of 1 − p: prefer `binary_cross_entropy_from_logits` to a sigmoid and this.

    Args:
        outputs: the probabilities p in [0, 1], a list of Values or a bare one.
        targets: as many numbers y in [0, 1], or a bare one.

    Returns:
        The cost of one sample, a Value.

    Raises:
        TypeError: for anything but numbers.
        ValueError: for an output or a target outside of [0, 1], or more of one than of the other.

    Example:
        >>> p = micrograd.Value(0.25)
        >>> micrograd.losses.binary_cross_entropy(p, 0.0).data == -micrograd.log(0.75)
        True
    """
    terms = []
    for p, y in _pairs(outputs, targets):
        _check_between_0_and_1(y)
        if not (propagates_type(p) or propagates_type(y)) and (p.data < 0.0 or p.data > 1.0):  # nan goes on as nan
            raise ValueError(f"binary_cross_entropy needs probabilities in [0, 1], found {p.data}: end the network in "
                             "a sigmoid, or use binary_cross_entropy_from_logits")
        if y.op is CONSTANT:
            terms.append(-_mixture([y, 1 - y], [p.log, (-p).log1p]))
        else:  # of what would be 0 · log 0 the logarithm is that of 1; p is in no branch, which would cost much
            right = y * (p + where(where(y, 1.0, p), 0.0, 1.0)).log()
            wrong = (1 - y) * (where(where(1 - y, 1.0, 1 - p), 0.0, 1.0) - p).log1p()
            terms.append(-(right + wrong) + _refused_outside_0_1(y))
    return _mean(terms)


def binary_cross_entropy_from_logits(outputs: Outputs, targets: Targets) -> Value:
    """Binary cross-entropy for p = sigmoid(z), from logits z: y log(1 + e^−z) + (1 − y) log(1 + e^z); no z overflows.

    Every digit holds at both ends, also where p rounds to 0 or 1; an infinite z on the right side costs 0.

    Args:
        outputs: the logits z, a list of Values or a bare one.
        targets: as many numbers y in [0, 1], or a bare one.

    Returns:
        The cost of one sample, a Value: the mean over the outputs.

    Raises:
        TypeError: for anything but numbers.
        ValueError: for a target outside of [0, 1], or more outputs than targets, or fewer.

    Example:
        >>> z = micrograd.Value(800.0)
        >>> micrograd.losses.binary_cross_entropy_from_logits(z, 0.0).data
        800.0
    """
    terms = []
    for z, y in _pairs(outputs, targets):
        _check_between_0_and_1(y)
        if y.op is CONSTANT:
            terms.append(_mixture([y, 1 - y], [(-z).softplus, z.softplus]))
        else:  # softplus(−|z|) + (1 − y) z or − y z: no term is negative; without 0 · ∞, and z is in no branch alone
            up = z >= 0  # 1 or 0
            share = up - y
            weighed = share * where(where(share, 1.0, abs(z) < math.inf), z, 0.0)
            terms.append(((1 - 2 * up) * z).softplus() + weighed + _refused_outside_0_1(y))
    return _mean(terms)


def logsumexp(values: Iterable[Number]) -> Value:
    """log(e^v1 + e^v2 + ...), without overflow, to within a few roundings of the largest value or of 1.

    A value of −inf counts for nothing and gets the gradient 0; if all are −inf, so is the result.

    Args:
        values: numbers and Values, at least one.

    Returns:
        A Value.

    Raises:
        TypeError: for anything but numbers.
        ValueError: if there are none.

    Example:
        >>> micrograd.losses.logsumexp([1000.0, 1000.0]).data == 1000.0 + micrograd.log(2.0)
        True
    """
    nodes = _nodes(values, "logsumexp(values)")
    if not nodes:
        raise ValueError("logsumexp needs at least one value, found none")
    largest = _largest(nodes)
    shift, nothing = _finite(largest), largest <= -math.inf
    total = Value.sum([(node - shift).exp() for node in nodes])
    if propagates_type(total):
        found: Value = (total + where(nothing, 1.0, 0.0)).log() + shift + where(nothing, -math.inf, 0.0)
        return found
    return total.log() + shift if not nothing else constant(-math.inf)


def softmax(logits: Sequence[Number]) -> list[Value]:
    """Probabilities proportional to e^z, without overflow. A logit of −inf has the probability and the gradient 0.

    Args:
        logits: the numbers and Values z.

    Returns:
        As many Values, whose sum is 1.

    Raises:
        TypeError: for anything but numbers.

    Example:
        >>> [p.data for p in micrograd.losses.softmax([1000.0, 1000.0])]
        [0.5, 0.5]
    """
    nodes = _nodes(logits, "softmax(logits)")
    if not nodes:
        return []
    shift = _finite(_largest(nodes))
    powers = [(node - shift).exp() for node in nodes]
    total = Value.sum(powers)
    return [power / total for power in powers]


def cross_entropy(outputs: Outputs, target: Any) -> Value:
    """−log of the probability that softmax(outputs) gives to the right class; from logits, without overflow.

    It is log Σ e^d − d_c for d = z − max z, with p − y as derivatives. Where the likeliest class is all but certain,
    the first is log(1 + Σ e^d) over the other classes, and the slope in its logit is minus the sum of the others.
    So a loss of 1e-300 has all its digits, and so has its gradient. (Compiled, it is so wherever the right class is the
    likeliest; of probabilities, always.)

    Args:
        outputs: a logit for each class, two or more.
        target: the index of the class, 0, 1, ...; or a probability for each class, where 0 · log 0 is 0.

    Returns:
        The cost of one sample, a Value.

    Raises:
        TypeError: for anything but numbers.
        ValueError: for an index that no class has, or probabilities of more or fewer classes; and for one output.

    Example:
        >>> z = [micrograd.Value(0.0), micrograd.Value(0.0)]
        >>> cost = micrograd.losses.cross_entropy(z, 1)
        >>> cost.backward()
        >>> cost.data, z[0].grad, z[1].grad
        (0.6931471805599453, 0.5, -0.5)
    """
    logits = [_node(z, "cross_entropy(outputs)") for z in _listed(outputs, "cross_entropy(outputs)")]
    if len(logits) < 2:
        raise ValueError("cross_entropy needs an output for each of two classes or more, found 1; for one output use "
                         "binary_cross_entropy_from_logits")
    if isinstance(target, Value) and not propagates_type(target):
        target = target.data
    if not propagates_type(target) and not is_number(target):
        shares = [y for _, y in _pairs(logits, target)]
        total, less = _log_sum(logits)
        if all(y.op is CONSTANT for y in shares):
            return _mixture(shares, [partial(_minus, total, d) for d in less])
        kept = [d if d is None else where(where(y, 1.0, d > -math.inf), d, 0.0) for y, d in zip(shares, less)]
        return Value.sum([y * _minus(total, d) for y, d in zip(shares, kept)])  # without 0 · ∞
    if is_number(target) and (not 0 <= target < len(logits) or int(target) != target):
        raise ValueError(f"cross_entropy needs the index of a class, 0 to {len(logits) - 1}, found {target!r}")
    return _cost_of_class(logits, target)


def max_margin(outputs: Outputs, targets: Targets) -> Value:
    """relu(1 − y a), the hinge loss of a support vector machine, averaged over the outputs.

    Args:
        outputs: the outputs a, a list of Values or a bare one.
        targets: as many numbers y, −1 or 1, or a bare one.

    Returns:
        The cost of one sample, a Value.

    Raises:
        TypeError: for anything but numbers.
        ValueError: for another target, or more of one than of the other.

    Example:
        >>> micrograd.losses.max_margin(micrograd.Value(0.25), -1).data
        1.25
    """
    terms = []
    for a, y in _pairs(outputs, targets):
        margin = (1 - y * a).relu()
        if propagates_type(y):
            margin = margin + where(y * y - 1, math.nan, 0.0)
        elif y.data not in (-1.0, 1.0):
            raise ValueError(f"max_margin needs targets -1 and 1, found {y.data}")
        terms.append(margin)
    return _mean(terms)


def l1_penalty(parameters: Iterable[Value], strength: float = 1.0) -> Value:
    """strength · Σ|p|.

    Args:
        parameters: the Values p, such as net.parameters().
        strength: a number or a Value.

    Returns:
        A Value, to be added to a loss.

    Raises:
        TypeError: for anything but numbers.

    Example:
        >>> micrograd.losses.l1_penalty([micrograd.Value(-3.0), micrograd.Value(1.0)], 0.5).data
        2.0
    """
    nodes = _nodes(parameters, "l1_penalty(parameters)")
    return _node(strength, "l1_penalty(strength)") * Value.sum([abs(p) for p in nodes])


def l2_penalty(parameters: Iterable[Value], strength: float = 1.0) -> Value:
    """strength · Σp².

    Args:
        parameters: the Values p, such as net.parameters().
        strength: a number or a Value.

    Returns:
        A Value, to be added to a loss.

    Raises:
        TypeError: for anything but numbers.

    Example:
        >>> micrograd.losses.l2_penalty([micrograd.Value(-3.0), micrograd.Value(1.0)], 0.5).data
        5.0
    """
    nodes = _nodes(parameters, "l2_penalty(parameters)")
    return _node(strength, "l2_penalty(strength)") * Value.sum([p * p for p in nodes])


def _mean(terms: list[Value]) -> Value:
    return Value.sum(terms) / len(terms) if len(terms) > 1 else terms[0]


def _mixture(shares: list[Value], costs: list[Callable[[], Value]]) -> Value:
    """Σ share · cost for known shares. What has factor 0 is not even computed, as 0 · log 0 is 0; a factor 1 is not
    written."""
    return Value.sum([cost() if y.data == 1.0 else y * cost() for y, cost in zip(shares, costs) if y.data != 0.0])


def _log_sum(logits: list[Value]) -> tuple[Value, list[Any]]:
    """log Σ e^d and the list of d, the logits less the largest. p is e^d / Σ e^d.

    Where their sum without that of the class r with the largest logit, e^0, may be small, it is kept out of the sum:
    then d of r is 0, or None where this is known, and the others are differentiated by its logit.
    """
    r, most = _first_largest(logits)
    shift = most if propagates_type(r) or _is_certain(r, logits) else _largest(logits)
    less: list[Any] = [z - shift for z in logits]
    if propagates_type(r):
        others = [where(r - i, 1.0, 0.0) for i in range(len(logits))]
        return (Value.sum([other * d.exp() for other, d in zip(others, less)]).log1p(),
                [other * d for other, d in zip(others, less)])
    if shift is most:
        less[r] = None
        return Value.sum([d.exp() for d in less if d is not None]).log1p(), less
    return Value.sum([d.exp() for d in less]).log(), less


def _cost_of_class(logits: list[Value], c: Any) -> Value:
    """log Σ e^d − d of class c: as above where its logit is the largest. Else it is by itself, no derivative passes
    through the largest, and what is recorded needs fewer choices."""
    mine, largest = _at(c, logits), _largest(logits)
    first = mine >= largest
    if propagates_type(first):
        shift, own = where(first, mine, largest), where(first, 0.0, mine - largest)
        others = Value.sum([where(c - i, 1.0, 0.0) * (z - shift).exp() for i, z in enumerate(logits)])
        cost: Value = (others - (1 - own.exp())).log1p() - own
        return cost
    if first and _is_certain(c, logits):
        return Value.sum([(z - mine).exp() for i, z in enumerate(logits) if i != c]).log1p()
    less = [z - largest for z in logits]
    return Value.sum([d.exp() for d in less]).log() - less[int(c)]


def _is_certain(c: Any, logits: list[Value]) -> bool:
    """True if so little speaks against class c that 1 − p would lose digits. Else p − y is as good, and well known."""
    z = logits[int(c)].data
    return z < math.inf and sum(math.exp(min(x.data - z, 1.0)) for x in logits) < 1 + CERTAIN


def _minus(total: Value, d: Any) -> Value:
    """total − d, which is −log p; d may be None for 0."""
    return total if d is None else total - d


def _at(c: Any, nodes: Sequence[Value]) -> Any:
    """nodes[c]; nan where a c that is recorded is the index of none."""
    if not propagates_type(c):
        return nodes[int(c)]
    chosen = Value.sum([where(c - i, 0.0, node) for i, node in enumerate(nodes)])
    return chosen + where(reduce(mul, [c - i for i in range(len(nodes))]), math.nan, 0.0)


def _first_largest(nodes: list[Value]) -> tuple[Any, Value]:
    """The index of the first of the largest nodes, and this node."""
    if not any(map(propagates_type, nodes)):
        return max(enumerate(nodes), key=lambda each: each[1].data)
    most, index = nodes[0], 0.0
    for i, node in enumerate(nodes[1:], start=1):
        more = node > most
        most, index = where(more, node, most), where(more, float(i), index)
    return index, most


def _largest(nodes: list[Value]) -> Value:
    """The largest of the numbers, by which others are shifted: no derivative passes through it."""
    if any(map(propagates_type, nodes)):
        largest: Value = reduce(maximum, nodes)
        return largest.detach("max")
    return constant(reduce(maximum, [node.data for node in nodes]), "max")


def _finite(largest: Value) -> Any:
    """It, or 0 where it is infinite: ∞ − ∞ would be nan."""
    return where(abs(largest) < math.inf, largest, 0.0)


def _refused_outside_0_1(y: Value) -> Any:
    """0, or nan for a target that is not between 0 and 1: to be added, as then nothing else is in a branch of it."""
    return where(y * (1 - y) >= 0, 0.0, math.nan)


def _listed(x: Any, where: str) -> Sequence[Any]:
    return [x] if isinstance(x, Value) or is_number(x) else many(x, where, "a number or a list of them")


def _nodes(xs: Any, where: str) -> list[Value]:
    return [_node(x, where) for x in many(xs, where)]


def _node(x: Any, where: str) -> Value:
    return x if isinstance(x, Value) else constant(number(x, where))


def _pairs(outputs: Outputs, targets: Targets) -> list[tuple[Value, Value]]:
    """Each output with its target, as Values; a target that is a number is a constant labelled y or y_{i}."""
    outs, wanted = _listed(outputs, "the loss, for outputs,"), _listed(targets, "the loss, for targets,")
    if len(outs) != len(wanted) or not outs:
        hint = "; for the index of a class use cross_entropy" if len(outs) > len(wanted) == 1 else ""
        raise ValueError(f"the loss needs a target for each output, found {counted(len(outs), 'output')} and "
                         f"{counted(len(wanted), 'target')}{hint}")
    names = ["y"] if len(wanted) == 1 else [f"y_{{{i + 1}}}" for i in range(len(wanted))]
    return [(_node(a, "an output"), y if isinstance(y, Value) else constant(number(y, "a target"), name))
            for a, y, name in zip(outs, wanted, names)]


def _check_between_0_and_1(y: Value) -> None:
    if not propagates_type(y) and not 0.0 <= y.data <= 1.0:
        raise ValueError(f"binary cross-entropy needs targets from 0 to 1, found {y.data}")
