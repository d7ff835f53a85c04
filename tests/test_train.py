"""fit: the algorithm, its ends, its history; splitting and accuracy."""

import math
import random
import sys
from types import SimpleNamespace

import pytest

from micrograd import MLP, SGD, Adam, Module, Value, accuracy, compile, fit, losses, train_test_split, where
from micrograd.compiler import executors
from micrograd.losses import binary_cross_entropy, binary_cross_entropy_from_logits
from micrograd.train import converged
from micrograd.training.history import History
from micrograd.training.loop import HELD_OUT, watched

LINE_X, LINE_Y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]


def line() -> MLP:
    return MLP(1, [1], rng=0)


def weight(net: MLP, w: float) -> None:
    """w as the weight of a neuron without a bias."""
    for p, x in zip(net.parameters(), (w, 0.0)):
        p.data = x


def test_a_line_is_found() -> None:
    net = line()
    history = fit(net, LINE_X, LINE_Y, optimizer=SGD(lr=0.1), epochs=500, until=1e-12, progress=False)
    [w], b = net.layers[0].neurons[0].w, net.layers[0].neurons[0].b
    assert (w.data, b.data) == (pytest.approx(2.0, abs=1e-5), pytest.approx(1.0, abs=1e-5))
    assert history.stopped == "converged"
    assert history.loss[-1] <= 1e-12 < history.loss[-2]
    assert history.accuracy == []


@pytest.mark.parametrize("batch_size, steps", [(None, 1), (1, 4), (3, 2), (4, 1), (100, 1)])
def test_batches(batch_size: int | None, steps: int) -> None:
    optimizer = SGD(lr=0.01)
    fit(line(), LINE_X, LINE_Y, optimizer=optimizer, epochs=5, batch_size=batch_size, progress=False)
    assert optimizer.steps == 5 * steps


def test_a_full_batch_step_takes_the_mean_gradient() -> None:
    net = line()
    w, b = (p.data for p in net.parameters())
    fit(net, LINE_X, LINE_Y, optimizer=SGD(lr=0.1), epochs=1, progress=False)
    errors = [w * x + b - y for [x], y in zip(LINE_X, LINE_Y)]
    expected = [w - 0.1 * sum(e * x for e, [x] in zip(errors, LINE_X)) / 4, b - 0.1 * sum(errors) / 4]
    assert [p.data for p in net.parameters()] == pytest.approx(expected, rel=1e-14)


def test_the_penalty_is_part_of_the_loss_and_of_the_gradient() -> None:
    net = line()
    for p in net.parameters():
        p.data = 1.0
    history = fit(net, [[0.0]], [1.0], optimizer=SGD(lr=0.5), epochs=1, progress=False,
                  penalty=lambda ps: losses.l2_penalty(ps, 0.25))
    assert history.loss == [0.5]
    assert [p.data for p in net.parameters()] == [0.75, 0.75]


def test_a_seed_gives_the_same_run() -> None:
    def run(seed: int) -> tuple[list[float], dict[str, float]]:
        net = MLP(1, [3, 1], rng=1)
        history = fit(net, LINE_X, LINE_Y, epochs=4, batch_size=2, seed=seed, optimizer=SGD(lr=0.01), progress=False,
                      validation=0.25)
        return history.loss, net.state_dict()
    assert run(1) == run(1)
    assert run(1) != run(2)


def test_validation_is_watched_and_not_trained_on() -> None:
    history = fit(line(), LINE_X, LINE_Y, validation=([[4.0]], [9.0]), epochs=3, progress=False)
    assert len(history.validation_loss) == 3
    net = line()
    fit(net, LINE_X[:3], LINE_Y[:3], optimizer=SGD(lr=0.1), epochs=3, seed=0, progress=False)
    other = line()
    fit(other, LINE_X[:3], LINE_Y[:3], optimizer=SGD(lr=0.1), epochs=3, seed=0, progress=False, validation=([[3.0]], [7.0]))
    assert net.state_dict() == other.state_dict()


def test_standardize_belongs_to_the_network() -> None:
    net = line()
    fit(net, [[100.0], [300.0]], [0.0, 1.0], epochs=1, standardize=True, progress=False)
    assert (net.scaler.means, net.scaler.scales) == ([200.0], [100.0])
    assert net.predict([[200.0]]) == [net.layers[0].neurons[0].b.data]


def test_a_run_that_cannot_start_changes_nothing() -> None:
    net = line()
    with pytest.raises(TypeError, match="found 'a'"):
        fit(net, [[100.0], [300.0]], ["a", "b"], standardize=True)
    assert net.scaler is None


def test_ctrl_c_keeps_what_was_learnt() -> None:
    net = line()

    def interrupt(history: History) -> None:
        if history.epochs == 3:
            raise KeyboardInterrupt

    history = fit(net, LINE_X, LINE_Y, epochs=100, callback=interrupt, progress=False)
    same = line()
    fit(same, LINE_X, LINE_Y, epochs=3, progress=False)
    assert (history.epochs, history.stopped) == (3, "interrupted")
    assert net.predict([[1.0]]) == pytest.approx(same.predict([[1.0]]), rel=1e-9)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_stops_before_the_numbers_are_gone() -> None:
    net = MLP(1, [4, 1], rng=0)
    history = fit(net, LINE_X, [1e3 * y for y in LINE_Y], optimizer=SGD(lr=1e3), epochs=1000, progress=False)
    assert history.stopped.startswith("diverged")
    assert all(math.isfinite(p.data) for p in net.parameters())


EVERY_WAY = ["eager", "python"] + (["native"] if executors.native is not None else [])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_loss_that_is_inf_before_the_first_step_is_not_put_down_to_the_learning_rate(batch_size: int | None) -> None:
    """Not in the first batch either, though steps were taken before it came."""
    X, y, said = [[0.02], [0.01], [1.0], [-0.01]], [1.0, 0.0, 0.0, 1.0], set()
    for backend in EVERY_WAY:
        net = MLP(1, [1], output="sigmoid", rng=1)
        weight(net, 50.0)
        history = fit(net, X, y, loss=binary_cross_entropy, optimizer=SGD(lr=1e-9), batch_size=batch_size, shuffle=False,
                      backend=backend, progress=False)
        said.add(history.stopped)
        assert history.epochs == 0
    step = compile(lambda x, t: binary_cross_entropy(net(x), t), inputs=(1, None))
    weight(net, 50.0)
    with pytest.raises(FloatingPointError) as error:
        step.fit(X, y, optimizer=SGD(lr=1e-9), batch_size=batch_size, shuffle=False)
    [sentence] = said | {str(error.value)}
    assert sentence.startswith("the loss of row 2 (1, 0) is inf before the first step, so that a smaller learning rate would")
    assert "micrograd.diagnose" in sentence and "binary_cross_entropy_from_logits" in sentence
    history = fit(net, X, y, loss=binary_cross_entropy_from_logits, optimizer=SGD(lr=1e-9), progress=False, epochs=2)
    assert history.stopped == "all epochs done"  # what it says does help


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", EVERY_WAY)
def test_what_else_is_wrong_before_the_first_step(backend: str) -> None:
    net = line()
    weight(net, math.nan)
    assert fit(net, LINE_X, LINE_Y, backend=backend, progress=False).stopped == (
        "w^{2} is nan before the first step: give the parameters finite numbers")
    net = line()
    weight(net, 0.0)
    rooted = fit(net, LINE_X, LINE_Y, loss=lambda a, y: (a * y).sqrt(), backend=backend, progress=False)
    assert rooted.stopped.startswith("the gradient of ") and " is nan before the first step" in rooted.stopped
    assert [p.data for p in net.parameters()] == [0.0, 0.0]
    used = SGD(lr=1e3)  # with it the run has diverged: it is not the start of another that is to blame
    net = line()
    for _ in range(2):
        diverged = fit(net, LINE_X, LINE_Y, optimizer=used, backend=backend, progress=False, epochs=1000).stopped
        assert diverged.startswith("diverged: the ") and diverged.endswith("try a smaller learning rate")


def test_converged() -> None:
    assert not converged(patience=2)(History(loss=[1.0, 0.9, 0.8]))
    assert not converged(patience=2)(History(loss=[1.0, 1.0]))
    assert converged(patience=2)(History(loss=[2.0, 1.0, 1.0, 1.0]))
    history = fit(line(), LINE_X, LINE_Y, until=converged(), epochs=10_000, progress=False)
    assert history.stopped == "converged"
    assert history.epochs < 10_000


def test_who_only_looks_at_the_history_costs_no_run_of_the_loss() -> None:
    def runs(until: object) -> int:
        seen.clear()
        fit(line(), LINE_X, LINE_Y, loss=counted, until=until, epochs=400, backend="python", progress=False)
        return len(seen)

    def counted(outputs: Value, target: float) -> Value:
        seen.append(target)
        return losses.half_squared_error(outputs, target)

    seen: list[object] = []
    assert runs(converged(0.0)) == runs(None) <= runs(lambda history: False) - 400


# Patience

AND_JAX = [*EVERY_WAY, "jax"]


def test_until_a_truth_of_another_kind() -> None:
    """As comparisons of NumPy's numbers have it."""
    class Truth:
        def __init__(self, truth: bool) -> None:
            self.truth = truth

        def __bool__(self) -> bool:
            return self.truth

    history = fit(line(), LINE_X, LINE_Y, until=lambda history: Truth(history.epochs == 3), progress=False)
    assert (history.epochs, history.stopped) == (3, "converged")


def up_to_two(backend: str, net: MLP | None = None, lr: float = 0.05, **options: object) -> tuple[list[float], History]:
    """An output that grows from 0 to 2, while it is judged by a row for which 1 would be right."""
    if backend == "jax":
        pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')
    net = line() if net is None else net
    weight(net, 0.0)
    history = fit(net, [[1.0]], [2.0], optimizer=SGD(lr=lr), backend=backend, progress=False,
                  validation=([[1.0]], [1.0]), **options)
    return [p.data for p in net.parameters()], history


@pytest.mark.parametrize("backend", AND_JAX)
def test_the_best_epoch_is_kept(backend: str) -> None:
    numbers, history = up_to_two(backend, patience=5)
    best = min(range(history.epochs), key=history.validation_loss.__getitem__) + 1
    assert (history.best, history.epochs, history.stopped) == (best, best + 5, "no better for 5 epochs")
    assert 1 < best < 20 and 0.9 < sum(numbers) < 1.1
    assert numbers == up_to_two(backend, epochs=best)[0]
    assert str(history).startswith(f"{best + 5} epochs (no better for 5 epochs; epoch {best} kept): loss ")
    assert f"validation loss {history.validation_loss[best - 1]:.4g}" in str(history)
    assert history.kept()["loss"] == history.loss[best - 1]


@pytest.mark.parametrize("backend", EVERY_WAY)
def test_the_best_epoch_is_kept_however_a_run_ends(backend: str) -> None:
    numbers, whole = up_to_two(backend, patience=50)
    assert (whole.stopped, whole.epochs) == ("no better for 50 epochs", whole.best + 50)

    def interrupt(history: History) -> None:
        if history.epochs == 30:
            raise KeyboardInterrupt

    for stopped, options in (("all epochs done", {"epochs": 30}), ("converged", {"until": whole.loss[29]}),
                             ("converged", {"until": lambda history: history.epochs == 30}),
                             ("interrupted", {"callback": interrupt})):
        found, history = up_to_two(backend, patience=50, **options)
        assert (found, history.best, history.epochs, history.stopped) == (numbers, whole.best, 30, stopped)

    def fail(history: History) -> None:
        if history.epochs == 30:
            raise LookupError

    net = line()
    with pytest.raises(LookupError):
        up_to_two(backend, net, patience=50, callback=fail)
    assert [p.data for p in net.parameters()] == numbers


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", EVERY_WAY)
def test_the_best_epoch_of_a_run_that_diverges_is_kept(backend: str) -> None:
    numbers, history = up_to_two(backend, lr=3.0, epochs=2000, patience=2000)  # 0, 6, -6, 30, ...
    assert history.stopped.startswith("diverged: ") and history.best == 1
    assert numbers == up_to_two(backend, lr=3.0, epochs=1)[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", EVERY_WAY)
def test_a_validation_loss_that_is_nan_is_never_the_best(backend: str) -> None:
    def loss(out: Value, t: float) -> Value:
        return (t - out) ** 1.5  # of the row that it is judged by, from 1 on

    numbers, history = up_to_two(backend, loss=loss, patience=6)
    assert all(map(math.isnan, history.validation_loss[-6:])) and history.epochs == history.best + 6
    assert numbers == up_to_two(backend, loss=loss, epochs=history.best)[0] and sum(numbers) <= 1.0
    net, same = line(), line()
    history = fit(net, LINE_X, LINE_Y, loss=lambda out, t: (out - t) ** 2 / 2 * where(t < 0, math.nan, 1.0),
                  validation=([[1.0]], [-1.0]), patience=3, backend=backend, progress=False)
    assert (history.epochs, history.best) == (3, None)
    assert history.stopped == "no better for 3 epochs: the validation loss was never finite"
    fit(same, LINE_X, LINE_Y, epochs=3, backend=backend, progress=False)
    assert net.state_dict() == same.state_dict()


@pytest.mark.parametrize("seed", range(5))
def test_the_best_epoch_is_that_of_the_lowest_validation_loss(seed: int) -> None:
    """The first of them, by which the numbers can be found again; the rows to stop by are a fifth, where none are given."""
    rng = random.Random(seed)
    X = [[rng.gauss(0, 1) for _ in range(3)] for _ in range(40)]
    y = [x[0] + rng.gauss(0, 1) for x in X]

    def run(**options: object) -> tuple[dict[str, float], History]:
        net = MLP(3, [6, 1], activation="tanh", rng=seed)
        history = fit(net, X, y, optimizer=Adam(lr=0.05), batch_size=8, seed=seed, progress=False,
                      backend="python", **options)
        return net.state_dict(), history

    numbers, history = run(epochs=300, patience=7)
    assert history.best == min(range(history.epochs), key=history.validation_loss.__getitem__) + 1
    assert history.epochs == history.best + 7
    assert numbers == run(epochs=history.best, validation=HELD_OUT)[0]


def test_a_callback_sees_which_epoch_is_the_best() -> None:
    seen = []
    _, history = up_to_two("eager", patience=3, callback=lambda history: seen.append(history.best))
    assert seen == [*range(1, history.best + 1), *[history.best] * 3]


def test_patience_goes_on_where_the_loss_changes() -> None:
    """From compiled to eager steps; the numbers that are kept may be of either."""
    ends = []
    for backend in ("python", "eager"):
        power = [2]
        ends.append(up_to_two(backend, loss=lambda out, t, power=power: abs(out - t) ** power[0], patience=4, lr=0.01,
                              callback=lambda h, power=power: power.__setitem__(0, 3) if h.epochs == 2 else None))
    assert ends[0][1].ran == "python, then eager: the loss has changed after epoch 2"
    assert ends[0][1].best == ends[1][1].best > 4 and ends[0][0] == pytest.approx(ends[1][0], rel=1e-12)


@pytest.mark.parametrize("patience", [0, -1, True, 2.5, "3", math.nan, [3]])
def test_patience_is_a_count(patience: object) -> None:
    net = line()
    before = net.state_dict()
    with pytest.raises((TypeError, ValueError), match=rf"fit\(patience\) needs .*found .*{patience!r}"):
        fit(net, LINE_X, LINE_Y, patience=patience)
    assert net.state_dict() == before


def xor() -> tuple[list[list[float]], list[int]]:
    return [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]


@pytest.mark.parametrize("loss, output, nouts, targets", [
    (losses.binary_cross_entropy, "sigmoid", [8, 1], lambda y: y),
    (losses.binary_cross_entropy_from_logits, "linear", [8, 1], lambda y: y),
    (losses.half_squared_error, "linear", [8, 1], lambda y: y),
    (losses.max_margin, "linear", [8, 1], lambda y: 2 * y - 1),
    (losses.cross_entropy, "linear", [8, 2], lambda y: y),
    (losses.cross_entropy, "linear", [8, 2], lambda y: [1 - y, y]),
])
def test_accuracy_follows_the_kind_of_target(loss: object, output: str, nouts: list[int], targets: object) -> None:
    X, y = xor()
    net = MLP(2, nouts, activation="tanh", output=output, rng=3)
    t = [targets(label) for label in y]
    history = fit(net, X, t, loss=loss, optimizer=Adam(lr=0.05), epochs=300, validation=(X, t), progress=False)
    assert history.accuracy[-1] == history.validation_accuracy[-1] == 1.0
    assert len(history.accuracy) == 300
    assert accuracy(net, X, t, threshold=0.5 if loss is losses.half_squared_error else None) == 1.0


def test_accuracy_refuses_numbers_that_are_no_classes() -> None:
    with pytest.raises(ValueError, match="classes as targets"):
        accuracy(line(), LINE_X, LINE_Y)


def test_split_takes_its_share_of_each_class() -> None:
    X, y = [[i] for i in range(100)], ["a"] * 80 + ["b"] * 20
    X_train, X_test, y_train, y_test = train_test_split(X, y, test=0.25, seed=1)
    assert (len(X_train), len(X_test), y_test.count("a"), y_test.count("b")) == (75, 25, 20, 5)
    assert sorted(X_train + X_test) == X
    assert all((row[0] < 80) == (label == "a") for row, label in zip(X_train + X_test, y_train + y_test))
    assert X_test == train_test_split(X, y, test=0.25, seed=1)[1]
    assert X_test != train_test_split(X, y, test=0.25, seed=2)[1]


def test_split_of_few_rows_leaves_one_on_each_side() -> None:
    assert [len(part) for part in train_test_split([[1], [2]], [1.5, 2.5], test=0.01)] == [1, 1, 1, 1]


@pytest.mark.parametrize("call, error", [
    (lambda: fit(line(), LINE_X, LINE_Y[:2]), "4 rows and 2 targets"),
    (lambda: fit(line(), [], []), "0 rows"),
    (lambda: fit(line(), LINE_X[:1], LINE_Y[:2]), "found 1 row and 2 targets"),
    (lambda: fit(line(), LINE_X, LINE_Y, validation=(LINE_X[:2], [1.0, math.nan])), "validation: y holds nan in row 1: leave the row out"),
    (lambda: fit(line(), LINE_X, LINE_Y, batch_size=0), r"fit\(batch_size\) needs 1 or more, found 0"),
    (lambda: fit(line(), LINE_X, LINE_Y, validation=1), r"a share in \(0, 1\).*, found int 1"),
    (lambda: fit(line(), LINE_X, LINE_Y, validation=1.5), r"in \(0, 1\)"),
    (lambda: fit(line(), LINE_X, LINE_Y, validation=math.nan), r"validation must be a share in \(0, 1\).*, found float nan"),
    (lambda: fit(line(), LINE_X[:1], LINE_Y[:1], patience=1), "at least two rows to hold one out, found one; give others"),
    (lambda: train_test_split([[1]], [1]), "two rows"),
    (lambda: fit(line(), [[1.0], [math.nan]], [1.0, 2.0]), "X holds nan in row 1"),
    (lambda: fit(line(), [[1.0], [2.0]], [1.0, math.inf]), "y holds inf in row 1"),
    (lambda: fit(line(), LINE_X, LINE_Y, optimizer=SGD(line().parameters())), "another network"),
])
def test_wrong_data(call: object, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        call()


@pytest.mark.parametrize("call, error", [
    (lambda: fit(line(), LINE_X, LINE_Y, loss="mse"), "loss must be a function"),
    (lambda: fit(line(), LINE_X, LINE_Y, optimizer="adam"), "optimizer must be an object"),
    (lambda: fit(line(), LINE_X, LINE_Y, until="lowest"), "until must be a number, the loss to stop at, or a function"),
    (lambda: fit(line(), LINE_X, LINE_Y, until=True), "until must be a number, the loss to stop at, or a function of the history, found True"),
    (lambda: fit(line(), LINE_X, LINE_Y, penalty="l2"), "penalty must be a function, found 'l2'"),
    (lambda: fit(line(), LINE_X, LINE_Y, callback=[print]), "callback must be a function, found"),
    (lambda: fit(line(), LINE_X, LINE_Y, validation="0.2"), r"a share in \(0, 1\).*, found str '0.2'"),
    (lambda: fit(line(), LINE_X, LINE_Y, until=converged), "with parentheses"),
    (lambda: fit(line(), LINE_X, LINE_Y, until=lambda history: converged()), "it returned a function"),
    (lambda: fit(line(), LINE_X, [1.0, None, 1.0, 1.0]), "row 1: a real number is needed, found NoneType None"),
    (lambda: fit(line(), LINE_X, ["a", "b", "a", "b"]), "found 'a' in row 0; give each class its index"),
])
def test_what_is_no_loss_optimizer_or_target(call: object, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        call()


def test_a_bar_is_shown_and_may_be_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = xor()
    fit(MLP(2, [1]), X, y, epochs=2, progress=True)
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "accuracy" in shown
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    fit(MLP(2, [1]), X, y, epochs=2)
    with pytest.raises(ImportError, match="pip install tqdm"):
        fit(MLP(2, [1]), X, y, epochs=2, progress=True)


@pytest.mark.parametrize(("shell", "terminal", "shown"), [
    ("a notebook", False, True), (None, True, True), (None, False, False), ("IPython, imported only", False, False),
    ("a shell without a kernel", False, False)])
def test_a_bar_is_shown_where_it_is_seen(monkeypatch: pytest.MonkeyPatch, shell: str | None, terminal: bool,
                                         shown: bool) -> None:
    running = {"a notebook": SimpleNamespace(kernel=object()), "a shell without a kernel": object()}.get(shell or "")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: running) if shell else None)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal))
    assert watched() == shown
    monkeypatch.setattr(sys, "stderr", None)  # as of a program without a console
    assert watched() == (shell == "a notebook")


def test_the_history_prints_itself() -> None:
    history = fit(line(), LINE_X, LINE_Y, epochs=2, progress=False)
    assert str(history).startswith("2 epochs (all epochs done): loss ")
    assert "no epoch" in str(History()) and "no epoch" in History().brief()
    assert repr(history) == f"<History: {history}>"


def test_a_network_is_any_module() -> None:
    class Parabola(Module):
        def __init__(self) -> None:
            self.a, self.b = Value(0.1), Value(0.2)

        def __call__(self, x: float) -> Value:
            return self.a * x * x + self.b

    net = Parabola()
    fit(net, [0.0, 1.0, 2.0], [1.0, 3.0, 9.0], epochs=2000, progress=False)
    assert (net.a.data, net.b.data) == (pytest.approx(2.0, abs=1e-3), pytest.approx(1.0, abs=1e-3))
    with pytest.raises(TypeError, match="needs an MLP"):
        fit(net, [0.0], [1.0], standardize=True)


@pytest.mark.parametrize("backend", ["auto", "eager"])
def test_what_a_callback_changes_is_seen(backend: str) -> None:
    """The factor of the loss is halved after each epoch: a recording of the first would not do."""
    losses_of = {}
    for way in (backend, "eager"):
        factor = [1.0]
        net = MLP(1, [4, 1], rng=1, activation="tanh")
        history = fit(net, [[x / 50] for x in range(100)], [x / 100 for x in range(100)], epochs=15, seed=2, batch_size=10,
                      loss=lambda out, t, factor=factor: factor[0] * (out - t) ** 2, progress=False, backend=way,
                      callback=lambda _, factor=factor: factor.__setitem__(0, factor[0] / 2))
        losses_of[way] = history.loss
        assert history.ran.endswith("then eager: the loss has changed after epoch 1") or way == "eager"
    # The same steps, but for the order in which sums are added.
    assert losses_of[backend] == pytest.approx(losses_of["eager"], rel=1e-10)


def test_a_loss_that_does_not_replay_is_trained_on_eagerly() -> None:
    calls = []

    def loss(out: Value, t: float) -> Value:
        calls.append(t)
        return (out - t) ** 2 * (1 if len(calls) < 56 else 2)  # after it was tried on 50 targets, and recorded

    history = fit(MLP(1, [1], rng=1), [[x / 50] for x in range(100)], [x / 100 for x in range(100)], epochs=15, loss=loss,
                  progress=False)
    assert history.epochs == 15 and history.ran.startswith("eager: TraceError: sample does not replay as it runs")


def test_frozen_layers_are_trained_natively_too() -> None:
    net, same = MLP(2, [3, 1], rng=1), MLP(2, [3, 1], rng=1)
    rows = [[x / 50, 1 - x / 70] for x in range(100)]
    frozen = [p.data for p in net.layers[0].parameters()]
    for each, backend in ((net, "auto"), (same, "eager")):
        history = fit(each, rows, [x / 100 for x in range(100)], epochs=12, batch_size=7, seed=1, progress=False,
                      optimizer=SGD(each.layers[1].parameters(), lr=0.1), backend=backend)
        assert history.ran in (("native", "python") if backend == "auto" else ("eager: not asked for",))
    assert [p.data for p in net.layers[0].parameters()] == frozen
    assert [p.data for p in net.parameters()] == pytest.approx([p.data for p in same.parameters()], rel=1e-9)


def test_a_loss_that_looks_up_its_target_is_trained_on_eagerly() -> None:
    weight = {0: 1.0, 1: 10.0}
    ends = []
    for backend in ("auto", "eager"):
        history = fit(MLP(2, [2, 1], rng=1), [[i / 100, 1.0] for i in range(100)], [i % 2 for i in range(100)], epochs=12,
                      loss=lambda out, t: weight.get(t, 1.0) * losses.binary_cross_entropy_from_logits(out, t), seed=1,
                      progress=False, backend=backend)
        ends.append(history.loss[-1])
        assert backend == "eager" or "it does something with the bare target" in history.ran
    assert ends[0] == ends[1]


@pytest.mark.parametrize("compiled", ["auto", "jax"])
def test_a_callback_may_give_the_optimizer_fewer_parameters(compiled: str) -> None:
    """The rest of the run leaves the others alone, compiled as eagerly."""
    if compiled == "jax":
        pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')
    ends = []
    for backend in (compiled, "eager"):
        net = MLP(2, [3, 1], rng=1)
        optimizer = SGD(lr=0.1)

        def freeze(history: History, net: MLP = net, optimizer: SGD = optimizer) -> None:
            if history.epochs == 3:
                optimizer.attach(net.layers[1].parameters())

        fit(net, [[i / 100, 1.0] for i in range(100)], [i % 2 for i in range(100)], optimizer=optimizer, epochs=12,
            callback=freeze, progress=False, backend=backend, shuffle=False)
        ends.append([p.data for p in net.parameters()])
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


@pytest.mark.parametrize("backend", ["eager", "python"])
def test_a_callback_may_not_replace_what_is_trained(backend: str) -> None:
    net = line()

    def prune(history: object) -> None:
        net.layers[0].neurons[0].w[0] = Value(0.0)

    with pytest.raises(ValueError, match=r"the callback has put other Values in place of parameters that the optimizer trains"):
        fit(net, LINE_X, LINE_Y, epochs=3, callback=prune, progress=False, backend=backend)


def test_a_callback_may_turn_the_loss_into_one_that_cannot_be_recorded() -> None:
    branches = []

    def loss(out: Value, t: float) -> Value:
        return abs(out - t) if branches and out > t else (out - t) ** 2

    history = fit(MLP(1, [1], rng=1), [[x / 50] for x in range(100)], [x / 100 for x in range(100)], epochs=12, loss=loss,
                  progress=False, callback=lambda history: branches.append(1) if history.epochs == 3 else None)
    assert history.epochs == 12 and history.ran.endswith("then eager: the loss has changed after epoch 3")


@pytest.mark.parametrize("devices", [None, 3])
def test_jax_takes_the_same_steps(devices: int | None) -> None:
    pytest.importorskip("jax", reason='JAX is not installed: pip install "micrograd-lab[jax]"')
    ends = {}
    for backend in ("jax", "eager"):
        net = MLP(2, [3, 1], activation="tanh", rng=1)
        history = fit(net, [[i / 50, 1 - i / 70] for i in range(50)], [i % 2 for i in range(50)], epochs=4, batch_size=16,
                      loss=losses.binary_cross_entropy_from_logits, optimizer=Adam(lr=0.05), validation=0.2, seed=1,
                      standardize=True, penalty=lambda ps: losses.l2_penalty(ps, 1e-3), progress=False, backend=backend,
                      devices=devices if backend == "jax" else None)
        assert history.ran == ("jax" if backend == "jax" else "eager: not asked for")
        ends[backend] = [*history.loss, *history.accuracy, *history.validation_loss, *history.validation_accuracy,
                         *[p.data for p in net.parameters()]]
    assert len(ends["jax"]) == 4 * 4 + 13
    # The same steps, but for the order in which sums are added.
    assert ends["jax"] == pytest.approx(ends["eager"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("backend", ["auto", "eager", "native", "python"])
def test_devices_are_of_jax(backend: str) -> None:
    with pytest.raises(ValueError, match="devices are for JAX: give backend='jax'"):
        fit(line(), LINE_X, LINE_Y, backend=backend, devices=2)
    with pytest.raises(ValueError, match="backend must be auto, eager, native, python or jax; found 'JAX'"):
        fit(line(), LINE_X, LINE_Y, backend="JAX")


# A stream of batches

COMPILED = "python" if executors.native is None else "native"  # the fastest backend that there is


def quadrants(rows: int = 120) -> list[tuple[list[list[float]], list[float]]]:
    """Batches of ten points, with the sign of the product of their coordinates."""
    rng = random.Random(1)
    X = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(rows)]
    return [(X[i:i + 10], [math.copysign(1.0, a * b) for a, b in X[i:i + 10]]) for i in range(0, rows, 10)]


@pytest.mark.parametrize("backend", ["auto", "eager", "python", pytest.param("native", marks=pytest.mark.kernel)])
def test_a_stream_takes_the_steps_of_a_table_in_its_order(backend: str) -> None:
    batches = quadrants()
    table, stream = MLP(2, [4, 1], rng=3), MLP(2, [4, 1], rng=3)
    X, y = [x for X, _ in batches for x in X], [t for _, y in batches for t in y]
    fit(table, X, y, epochs=1, batch_size=10, shuffle=False, optimizer=Adam(lr=0.1), backend=backend)
    optimizer = Adam(lr=0.1)
    history = fit(stream, batches=iter(batches), every=5, optimizer=optimizer, backend=backend)
    assert [p.data for p in stream.parameters()] == pytest.approx([p.data for p in table.parameters()], rel=1e-12)
    assert (len(history), optimizer.steps, history.stopped, history.accuracy) == (3, 12, "all batches seen", [])
    assert history.ran == {"auto": COMPILED, "eager": "eager: not asked for"}.get(backend, backend)


def test_a_stream_is_followed_where_the_loss_changes() -> None:
    def trained(backend: str) -> tuple[list[float], str]:
        scale = [1.0]

        def tell(history: History) -> None:
            scale[0] = 2.0

        net = MLP(2, [4, 1], rng=3)
        history = fit(net, batches=iter(quadrants()), every=4, callback=tell, backend=backend,
                      loss=lambda out, t: losses.half_squared_error(out, t) * scale[0])
        assert (len(history), history.stopped) == (3, "all batches seen")
        return [p.data for p in net.parameters()], history.ran

    (compiled, ran), (eager, _) = trained(COMPILED), trained("eager")
    assert compiled == pytest.approx(eager, rel=1e-12)
    assert ran == f"{COMPILED}, then eager: the loss has changed after epoch 1"


@pytest.mark.parametrize("backend", [COMPILED, "eager"])
def test_a_stream_goes_on_where_it_was(tmp_path, backend: str) -> None:
    batches, path = quadrants(), tmp_path / "run.safetensors"
    whole, resumed = MLP(2, [4, 1], rng=3), MLP(2, [4, 1], rng=4)
    expected = fit(whole, batches=batches, every=4, optimizer=Adam(), backend=backend)
    fit(MLP(2, [4, 1], rng=3), batches=batches[:8], every=4, optimizer=Adam(), backend=backend, checkpoint=path)
    history = fit(resumed, batches=batches, every=4, optimizer=Adam(), backend=backend, checkpoint=path)
    assert (list(history), history.stopped) == (list(expected), "all batches seen")
    assert [p.data for p in resumed.parameters()] == [p.data for p in whole.parameters()]
    with pytest.raises(ValueError, match="rows"):
        fit(resumed, *batches[0], optimizer=Adam(), backend=backend, checkpoint=path)


def test_a_stream_stops_by_rows_that_are_not_in_it() -> None:
    batches = quadrants()
    history = fit(MLP(2, [4, 1], rng=3), batches=batches[2:], every=1, validation=batches[0], patience=1,
                  optimizer=SGD(lr=5.0))
    assert history.stopped == "no better for 1 epoch"
    assert len(history.validation_loss) == len(history) < 10


@pytest.mark.parametrize(("given", "options", "message"), [
    ((), {"batches": []}, "fit needs at least one batch, found none: an iterator can be used once only"),
    ((), {"batches": 3}, r"batches must be an iterable of pairs \(rows, targets\), such as a generator, found int 3"),
    ((), {"batches": [([[1.0]],)]}, r"batch 0: a batch must be a pair \(rows, targets\), found tuple"),
    ((), {"batches": [([[1.0]], [math.nan])]}, "batch 0: y holds nan in row 0"),
    ((), {"batches": [([[1.0]], [1.0])], "standardize": True}, "the columns of a stream cannot be standardized before"),
    ((), {"batches": [([[1.0]], [1.0])], "validation": 0.5}, "no share of a stream can be held out"),
    ((), {"batches": [([[1.0]], [1.0])], "patience": 2}, "no share of a stream can be held out"),
    (([[1.0]], [1.0]), {"batches": [([[1.0]], [1.0])]}, "fit takes rows and targets, or batches, not both"),
    ((), {}, "fit: X needs numbers in a list or an array, found NoneType None"),
])
def test_what_is_not_a_stream_is_refused(given, options, message: str) -> None:
    net = MLP(1, [1])
    before = [p.data for p in net.parameters()]
    with pytest.raises((TypeError, ValueError), match=message):
        fit(net, *given, **options, every=3)
    assert [p.data for p in net.parameters()] == before


@pytest.mark.parametrize(("batch", "message"), [(([[1.0], [2.0]], [1.0]), "batch 1 needs a target for each row"),
                                                (([[1.0, 2.0]], [1.0]), "batch 1: X")])
def test_a_later_batch_is_checked_when_it_comes(batch, message: str) -> None:
    optimizer = SGD()
    with pytest.raises(ValueError, match=message):
        fit(MLP(1, [1]), batches=[([[1.0]], [1.0]), batch], optimizer=optimizer)
    assert optimizer.steps == 1
