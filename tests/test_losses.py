"""Losses: values against their definitions, gradients, extremes, wrong targets."""

import math
import random
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cache

import pytest

from micrograd import Value, check_gradients, compile, explain, losses
from micrograd.compiler import executors
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

WAYS = ["eager", "python"] + (["native"] if executors.native is not None else [])
every_way = pytest.mark.parametrize("way", WAYS)
EPS = 2.0 ** -52


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
    (lambda: half_squared_error(values(1, 2), [1]), "2 outputs and 1 target;"),
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


# Over the whole line: against 400 digits, eager and compiled, value and gradient

@cache
def recorded(loss, widths, way):
    return compile(loss, inputs=widths, backend=way, verify=0)


def asked(loss, z, y, way):
    """The loss and its derivatives by the outputs z, a list. y: a number, a list of numbers, or None."""
    if way == "eager":
        nodes = values(*z)
        cost = loss(nodes) if y is None else loss(nodes, y)
        cost.backward()
        return cost.data, [node.grad for node in nodes]
    width = [len(y)] if isinstance(y, list) else [] if y is None else [None]
    step = recorded(loss, (len(z), *width), way)
    found = step.grad(z) if y is None else step.grad(z, y)[0]
    return (step(z) if y is None else step(z, y)), found


def exact(reference, z, y):
    """(value, gradient, size) in 400 digits; size[i]: of the numbers whose difference the i-th derivative is."""
    with localcontext(Context(prec=400, Emax=MAX_EMAX, Emin=MIN_EMIN)):
        return reference([Decimal(x) for x in z], [Decimal(x) for x in y] if isinstance(y, list) else y)


def shares_of(z):
    largest = max(z)
    powers = [(x - largest).exp() for x in z]
    return [power / sum(powers) for power in powers], sum(powers).ln() + largest


def cross_entropy_exactly(z, y):
    p, total = shares_of(z)
    weights = y if isinstance(y, list) else [Decimal(i == y) for i in range(len(z))]
    rest = [sum(p[:i] + p[i + 1:]) for i in range(len(z))]
    terms = [(sum(weights[:i] + weights[i + 1:]) * p[i], weights[i] * rest[i]) for i in range(len(z))]
    return (sum(w * (total - x) for w, x in zip(weights, z)), [a - b for a, b in terms], [a + b for a, b in terms])


def binary_exactly(z, y):
    share = 1 / Decimal(len(z))
    up, down = [1 / (1 + (-x).exp()) for x in z], [1 / (1 + x.exp()) for x in z]
    value = share * sum(w * (1 + (-x).exp()).ln() + (1 - w) * (1 + x.exp()).ln() for x, w in zip(z, y))
    terms = [((1 - w) * p * share, w * q * share) for w, p, q in zip(y, up, down)]
    return value, [a - b for a, b in terms], [a + b for a, b in terms]


def probability_exactly(p, y):
    share = 1 / Decimal(len(p))
    value = -share * sum(w * x.ln() + (1 - w) * (1 - x).ln() for x, w in zip(p, y))
    terms = [((1 - w) / (1 - x) * share, w / x * share) for x, w in zip(p, y)]
    return value, [a - b for a, b in terms], [a + b for a, b in terms]


def squares_exactly(a, y):
    return sum((x - w) ** 2 for x, w in zip(a, y)) / 2, [x - w for x, w in zip(a, y)], [abs(x - w) for x, w in zip(a, y)]


def margin_exactly(a, y):
    share = 1 / Decimal(len(a))
    slopes = [-w * share if w * x < 1 else Decimal(0) for x, w in zip(a, y)]
    return share * sum(max(1 - w * x, 0) for x, w in zip(a, y)), slopes, map(abs, slopes)


def agree(found, wanted, steps, name):
    """Equal to within so many roundings of a number of the size that comes with it; the last bits of subnormal
    numbers aside."""
    for part, x, (true, size) in zip(("value", *range(99)), found, wanted):
        assert abs(Decimal(x) - true) <= Decimal(steps * EPS) * size + Decimal("2e-323"), (name, part, x, float(true))


def first_share(z):
    return softmax(z)[0]


def compare(loss, reference, z, y, way, steps, least=0):
    """least: of the sizes by which rounding is measured, where the loss is not small."""
    (value, slopes), (true, derivatives, sizes) = asked(loss, z, y, way), exact(reference, z, y)
    least = Decimal(least) if true > losses.CERTAIN / 2 else Decimal(0)
    sizes = [max(abs(size), least) for size in (true, *sizes)]
    agree([value, *slopes], [*zip((true, *derivatives), sizes)], steps, (z, y))


def magnitude(rng, low, high):
    """A number of any magnitude from e^low to e^high, of any sign."""
    return rng.choice([-1, 1]) * math.exp(rng.uniform(low, high))


@every_way
def test_cross_entropy_over_the_whole_line(way):
    rng = random.Random(1)
    smallest = 1.0
    for case in range(150):
        n = rng.randrange(2, 6)
        spread, middle = 690.0 if case < 5 else math.exp(rng.uniform(-7, 6.5)), rng.choice([0.0, 1.0, -30.0, 1e8, -1e16, 1e16])
        z = [middle + rng.choice([-0.5, rng.uniform(-0.5, 0.5), 0.5]) * spread for _ in range(n)]
        y = z.index(max(z)) if case % 3 else rng.randrange(n)
        steps = 8 + 2 * (max(z) - min(z))  # a difference of 700 is rounded to 1e-13, which e^x keeps
        compare(losses.cross_entropy, cross_entropy_exactly, z, y, way, steps, 0.5 * (way == "eager"))
        smallest = min(smallest, cross_entropy(z, y).data)
        weights = [float(i == y) for i in range(n)] if case % 2 else [rng.random() / n for _ in z]
        compare(losses.cross_entropy, cross_entropy_exactly, z, weights, way, steps, 0.5 * (way == "eager"))
    assert smallest < 1e-280


@every_way
def test_logsumexp_and_softmax_over_the_whole_line(way):
    rng = random.Random(4)
    for case in range(100):
        z = [magnitude(rng, -20, math.log(350)) + rng.choice([0.0, 1e8]) for _ in range(1 + case % 5)]
        (value, slopes), (p, total) = asked(logsumexp, z, None, way), exact(lambda z, y: shares_of(z), z, None)
        steps = 8 + 2 * (max(z) - min(z))
        agree([value, *slopes], [(total, 1 + abs(Decimal(max(z)))), *[(x, x) for x in p]], steps, z)
        share, slopes = asked(first_share, z, None, way)
        wanted = [p[0] * ((i == 0) - x) for i, x in enumerate(p)]
        agree([share, *slopes], [(p[0], p[0]), *[(x, p[0]) for x in wanted]], steps, z)


@every_way
def test_binary_cross_entropy_over_the_whole_line(way):
    rng = random.Random(2)
    for case in range(200):
        z = [magnitude(rng, -20, math.log(700)) for _ in range(1 + case % 2)]
        y = [rng.choice([0.0, 1.0, rng.random(), 1e-9, 1 - 1e-9]) for _ in z]
        compare(losses.binary_cross_entropy_from_logits, binary_exactly, z, y, way, 8)
        p = [rng.choice([math.exp(-rng.uniform(1, 700)), 1 - math.exp(-rng.uniform(1, 36))]) for _ in z]
        compare(losses.binary_cross_entropy, probability_exactly, p, y, way, 8)


@every_way
def test_squares_and_margins_over_the_whole_line(way):
    rng = random.Random(3)
    for case in range(200):
        a = [magnitude(rng, -50, 50) for _ in range(1 + case % 3)]
        compare(losses.half_squared_error, squares_exactly, a, [magnitude(rng, -50, 50) for _ in a], way, 4)
        compare(losses.max_margin, margin_exactly, a, [rng.choice([-1.0, 1.0]) for _ in a], way, 4)


INF = math.inf


@every_way
@pytest.mark.parametrize("loss, z, y, value, slopes", [
    (cross_entropy, [1e16, 1e16], 1, math.log(2), [0.5, -0.5]),
    (cross_entropy, [1e15, 1e15], 0, math.log(2), [-0.5, 0.5]),
    (cross_entropy, [1e15, 1e15], [0.5, 0.5], math.log(2), [0.0, 0.0]),
    (cross_entropy, [1e16 + 2, 1e16], 0, math.log1p(math.exp(-2)), [-1 / (1 + math.exp(2)), 1 / (1 + math.exp(2))]),
    (cross_entropy, [1e16 + 2, 1e16], 1, 2 + math.log1p(math.exp(-2)), [1 / (1 + math.exp(-2)), -1 / (1 + math.exp(-2))]),
    (cross_entropy, [-1e308, 1e308], 1, 0.0, [0.0, 0.0]), (cross_entropy, [0.0, -800.0, 0.0], 2, math.log(2), [0.5, 0.0, -0.5]),
    (cross_entropy, [-INF, 0.0, -INF], 1, 0.0, [0.0, 0.0, 0.0]), (cross_entropy, [-INF, 0.0], 0, INF, [-1.0, 1.0]),
    (cross_entropy, [0.0, -INF, 0.0], 0, math.log(2), [-0.5, 0.0, 0.5]),
    (cross_entropy, [-INF, 0.0], [0.0, 1.0], 0.0, [0.0, 0.0]), (cross_entropy, [-INF, 0.0], [1.0, 0.0], INF, [-1.0, 1.0]),
    (cross_entropy, [-INF, 0.0, 0.0], [0.0, 0.75, 0.25], math.log(2), [0.0, -0.25, 0.25]),
    (cross_entropy, [0.0, 0.0], [0.0, 0.0], 0.0, [0.0, 0.0]),
    (cross_entropy, [-INF, -INF], 0, math.nan, [math.nan, math.nan]), (cross_entropy, [math.nan, 0.0], 1, math.nan, [math.nan] * 2),
    (cross_entropy, [0.0, math.nan], 0, math.nan, [math.nan] * 2), (cross_entropy, [INF, 0.0], 0, math.nan, [math.nan, math.nan]),
    (logsumexp, [-INF, -INF], None, -INF, [0.0, 0.0]), (logsumexp, [-INF], None, -INF, [0.0]),
    (logsumexp, [-INF, 2.0, 2.0], None, 2 + math.log(2), [0.0, 0.5, 0.5]), (logsumexp, [1e16, 1e16], None, 1e16, [0.5, 0.5]),
    (logsumexp, [-INF, math.nan], None, math.nan, [math.nan, math.nan]), (logsumexp, [INF, 0.0], None, INF, [math.nan, 0.0]),
    (first_share, [-INF, 0.0], None, 0.0, [0.0, 0.0]), (first_share, [0.0, -INF], None, 1.0, [0.0, 0.0]),
    (binary_cross_entropy_from_logits, [INF], [1.0], 0.0, [0.0]), (binary_cross_entropy_from_logits, [-INF], [0.0], 0.0, [0.0]),
    (binary_cross_entropy_from_logits, [-INF], [1.0], INF, [-1.0]), (binary_cross_entropy_from_logits, [INF], [0.0], INF, [1.0]),
    (binary_cross_entropy_from_logits, [INF], [0.5], INF, [0.5]), (binary_cross_entropy_from_logits, [-INF], [0.5], INF, [-0.5]),
    (binary_cross_entropy_from_logits, [math.nan], [1.0], math.nan, [math.nan]),
    (binary_cross_entropy, [1.0], [1.0], 0.0, [-1.0]), (binary_cross_entropy, [0.0], [0.0], 0.0, [1.0]),
    (binary_cross_entropy, [0.0], [1.0], INF, [-INF]), (binary_cross_entropy, [1.0], [0.0], INF, [INF]),
    (max_margin, [INF], [1.0], 0.0, [0.0]), (max_margin, [-INF], [1.0], INF, [-1.0]),
])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_at_the_ends_of_the_line(loss, z, y, value, slopes, way):
    found = asked(loss, z, y, way)
    assert [found[0], *found[1]] == pytest.approx([value, *slopes], rel=1e-14, abs=0.0, nan_ok=True)
    assert loss is binary_cross_entropy or found[0] != 0.0 or math.copysign(1.0, found[0]) == 1.0  # no -0.0


@every_way
@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
def test_a_target_may_be_differentiated_by(y, way):
    """A Value, or the argument of a compiled function: also where it is 0 or 1, and its term would be left out."""
    def slope(loss, z):
        if way != "eager":
            return recorded(loss, (len(z), None), way).grad(z, y)[1]
        target = Value(y)
        loss(values(*z), target).backward()
        return target.grad

    assert slope(on_shares, [3.0, -1.0]) == close(4.0)  # log p₂ - log p₁
    assert slope(losses.binary_cross_entropy_from_logits, [3.0]) == close(-3.0)
    assert slope(losses.binary_cross_entropy, [0.2]) == close(math.log(4.0))


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("loss, z, y", [(losses.binary_cross_entropy_from_logits, [0.0], [0.25]),
                                        (cross_entropy, [0.0, 0.0, 0.0], [0.5, 0.25, 0.25])])
def test_there_is_no_kink_where_a_recorded_formula_changes_sides(loss, z, y, way):
    """At equal logits: the second derivatives are those of a softmax there, too."""
    found = recorded(loss, (len(z), len(y)), way).hessian(z, y)
    p = 0.5 if len(z) == 1 else 1 / 3
    for i in range(len(z)):
        assert found[i][:len(z)] == pytest.approx([p * (i == j) - p * p for j in range(len(z))], rel=1e-14)


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("loss, z, y", [(cross_entropy, 3, c) for c in (-1.0, 0.5, 3.0, 1e300, -INF, INF, math.nan, 5e-324)] + [
    (losses.binary_cross_entropy_from_logits, 1, y) for y in (-5e-324, 1 + 1e-15, INF, -INF, math.nan)])
def test_a_recorded_target_that_is_none_gives_nan(loss, z, y, way):
    assert math.isnan(recorded(loss, (z, None), way)([0.3] * z, y))


def on_shares(z, y):
    return losses.cross_entropy(z, [1 - y, y])


def test_derivations_read_as_in_the_notes() -> None:
    z = [Value(x, f"z_{i + 1}") for i, x in enumerate([1.0, 2.0, 0.5])]
    p_1 = "exp(z₁ − max) / (exp(z₁ − max) + exp(z₂ − max) + exp(z₃ − max))"
    assert f"{p_1} − 1\n" in str(explain(cross_entropy(z, 0), z[0]))
    assert f"{p_1}\n" in str(explain(cross_entropy(z, 2), z[0]))
    assert f"{p_1.replace('z₁ − max) /', 'z₂ − max) /')} − 1\n" in str(explain(cross_entropy(z, 1), z[1]))
    z = [Value(x, f"z_{i + 1}") for i, x in enumerate([1.0, 9.0, 0.5])]
    total = "(1 + exp(z₁ − z₂) + exp(z₃ − z₂))"  # the right class is all but certain
    assert f"exp(z₁ − z₂) / {total}\n" in str(explain(cross_entropy(z, 1), z[0]))
    slope, value = explain(cross_entropy(z, 1), z[1]), explain(cross_entropy(z, [0.0, 1.0, 0.0]))
    assert f"−(exp(z₁ − z₂) / {total} + exp(z₃ − z₂) / {total}) =" in " ".join(str(slope).split())
    assert "ln(1 + exp(z₁ − z₂) + exp(z₃ − z₂)) =" in " ".join(str(value).split())
    logit = Value(0.7, "z")
    assert "−σ(−z)" in str(explain(binary_cross_entropy_from_logits(logit, 1), logit))
    assert "(1 − y) · σ(z) − y · σ(−z)" in str(explain(binary_cross_entropy_from_logits(logit, 0.3), logit))
