"""The estimators, as scikit-learn itself checks them and as people use them."""

import math
import pickle
import warnings

import pytest

pytest.importorskip("sklearn")

import numpy as np
import sklearn
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import micrograd
from micrograd.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
TARGETS = load_diabetes(return_X_y=True)[1][:len(X)]


def small(kind=MLPClassifier, **arguments):
    return kind(**{"hidden_layer_sizes": (6,), "learning_rate_init": 0.03, "max_iter": 60, "random_state": 3,
                   "standardize": True, **arguments})


@parametrize_with_checks([kind(hidden_layer_sizes=(8,), learning_rate_init=0.01) for kind in (MLPClassifier, MLPRegressor)])
def test_what_scikit_learn_asks_of_an_estimator(estimator, check):
    check(estimator)


def test_a_pipeline_a_search_and_cross_validation():
    pipeline = make_pipeline(StandardScaler(), small(standardize=False))
    assert cross_val_score(pipeline, X, NAMES, cv=3).mean() > 0.8
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(), 3, (4, 3)],
                                     "mlpclassifier__activation": ["tanh", "logistic"],
                                     "mlpclassifier__alpha": np.array([1e-4, 1e-2])}, cv=2).fit(X, NAMES)
    assert search.best_score_ > 0.9
    assert set(search.predict(X)) == set(NAMES)


def test_a_pipeline_in_other_processes():
    assert cross_val_score(small(max_iter=10), X, NAMES, cv=2, n_jobs=2).mean() > 0.5


def test_a_classifier():
    model = small().fit(X, NAMES)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, NAMES) > 0.9
    shares = model.predict_proba(X)
    assert shares.shape == (150, 3) and np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(np.log(shares), model.predict_log_proba(X))
    assert (model.classes_[shares.argmax(axis=1)] == model.predict(X)).all()
    logits = np.array([[out.data for out in model.net_(row)] for row in X.tolist()])
    assert np.allclose(shares, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert model.n_iter_ == len(model.loss_curve_) <= 60 and model.loss_ == model.loss_curve_[-1]
    assert model.history_.ran in ("native", "python")


def test_two_classes_have_one_logit():
    model = small().fit(X, NAMES == "setosa")
    assert model.classes_.tolist() == [False, True] and model.score(X, NAMES == "setosa") == 1
    assert len(model.net_.layers[-1].neurons) == 1
    assert model.predict_proba(X[:1])[0, 1] == pytest.approx(micrograd.sigmoid(model.net_(X[0].tolist())).data)


def test_a_huge_logit_has_a_probability():
    model = small(hidden_layer_sizes=(), standardize=False).fit(X, NAMES)
    model.net_.layers[0].neurons[0].b.data = 1e6
    assert model.predict_proba(X[:1]).tolist() == [[1, 0, 0]]
    assert np.isfinite(model.predict_log_proba(X[:1])).all()


def test_a_regressor_of_one_output_and_of_several():
    y = X[:, 3] * 2 - X[:, 1]
    assert small(MLPRegressor, max_iter=200).fit(X, y).score(X, y) > 0.9
    both = small(MLPRegressor, max_iter=200).fit(X, np.column_stack([y, X[:, 0]]))
    assert both.predict(X).shape == (150, 2) and both.score(X, np.column_stack([y, X[:, 0]])) > 0.9
    column = small(MLPRegressor).fit(X, y[:, None])
    assert column.predict(X).shape == (150, 1)
    assert [out.data for out in both.net_(X[7].tolist())] == pytest.approx(both.predict(X[7:8])[0])


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_seed_decides(kind):
    y = NAMES if kind is MLPClassifier else TARGETS / 100
    first, again, other = (small(kind, random_state=seed, batch_size=16, max_iter=5).fit(X, y) for seed in (1, 1, 2))
    assert first.loss_curve_ == again.loss_curve_ != other.loss_curve_
    assert first.net_.state_dict() == again.net_.state_dict()


@pytest.mark.parametrize(("solver", "digits"), [("sgd", 1e-9), ("adam", 5e-3)])  # there, the eps of Adam is less
def test_the_same_steps_as_scikit_learn_takes(solver, digits):
    """From the same weights, batch by batch: penalty, loss, gradient steps and the end of training are the same."""
    mine = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", solver=solver, alpha=0.5, batch_size=50, max_iter=90,
                        learning_rate_init=0.01, tol=1e-3, n_iter_no_change=3, shuffle=False, random_state=0)
    theirs = neural_network.MLPRegressor(**{name: x for name, x in mine.get_params().items()
                                            if name not in ("init", "standardize")})
    draws = iter(range(1000))
    start = lambda nin, nout, rng: math.sin(next(draws))
    mine.set_params(init=start).fit(X, Y)

    class Started(neural_network.MLPRegressor):
        def _init_coef(self, fan_in, fan_out, dtype):
            weights = [[math.sin(next(again)) for _ in range(fan_in)] for _ in range(fan_out)]
            return np.array(weights).T, np.zeros(fan_out)

    again = iter(range(1000))
    theirs = Started(**theirs.get_params()).fit(X, Y)
    assert mine.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=digits)
    assert mine.n_iter_ < 90
    for a, b in zip(mine.coefs_ + mine.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert a == pytest.approx(b, rel=10 * digits, abs=10 * digits)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_it_stops_where_the_loss_settles(solver):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = small(solver=solver, max_iter=2000, tol=1e-3, n_iter_no_change=5).fit(X, NAMES)
    assert model.history_.stopped == "converged" and model.n_iter_ < 2000
    lowest = np.minimum.accumulate(model.loss_curve_)
    assert lowest[-7] - lowest[-1] < 6e-3


def test_what_was_not_enough_is_said():
    with pytest.warns(ConvergenceWarning, match="max_iter=2 epochs were not enough for the loss to settle"):
        small(max_iter=2).fit(X, NAMES)


def test_early_stopping_keeps_the_best_epoch():
    model = small(early_stopping=True, validation_fraction=0.3, n_iter_no_change=8, max_iter=500, alpha=0,
                  hidden_layer_sizes=(30,)).fit(X, NAMES)
    costs = model.history_.validation_loss
    assert model.n_iter_ == len(costs) < 500
    assert model.n_iter_ - 8 == 1 + costs.index(min(costs))
    assert model.score(X, NAMES) > 0.9


def test_a_clone_is_not_fitted_and_a_pickle_is():
    model = small(activation="tanh").fit(X, NAMES)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).predict(X)
    with pytest.raises(NotFittedError):
        clone(model).coefs_  # noqa: B018
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    again.net_.layers[0].neurons[0].b.data += 1.0  # what predicts is the network that one sees
    assert not (again.predict_proba(X) == model.predict_proba(X)).all()


def test_the_network_is_at_hand():
    model = small(hidden_layer_sizes=(2,), activation="sigmoid").fit(X, NAMES == "setosa")
    net = model.net_
    cost = micrograd.losses.binary_cross_entropy_from_logits(net(X[0].tolist()), 1.0)
    assert "∂f/∂z³₁ = " in str(micrograd.explain(cost))
    assert "digraph" in micrograd.draw(cost).source
    assert micrograd.compile(net, inputs=[4])(X[0].tolist()) == pytest.approx(net(X[0].tolist()).data)
    weights = [neuron.w for neuron in net.layers[0].neurons]
    assert model.coefs_[0].T.tolist() == [[w.data for w in row] for row in weights]
    assert [b.shape for b in model.intercepts_] == [(2,), (1,)]


def test_names_of_columns_are_kept():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = small().fit(table, pandas.Series(NAMES))
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"] and model.n_features_in_ == 4
    assert model.score(table, NAMES) > 0.9
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.rename(columns={"a": "e"}))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"solver": "lbfgs"}, "solver must be 'adam' or 'sgd', found 'lbfgs'"),
    ({"max_iter": 0}, "max_iter must be a whole number >= 1, found 0"),
    ({"max_iter": 2.5}, "max_iter must be a whole number >= 1, found 2.5"),
    ({"n_iter_no_change": "5"}, "n_iter_no_change must be a whole number >= 1, found '5'"),
    ({"alpha": -1}, "alpha must be a number >= 0, found -1"),
    ({"alpha": math.nan}, "alpha must be a number >= 0, found nan"),
    ({"tol": math.inf}, "tol must be a number >= 0, found inf"),
    ({"batch_size": 0}, "batch_size must be a whole number >= 1, or 'auto', found 0"),
    ({"batch_size": 0.5}, "batch_size must be a whole number >= 1, or 'auto', found 0.5"),
    ({"early_stopping": True, "validation_fraction": 1.5}, r"validation_fraction must be a share in \(0, 1\), found 1.5"),
    ({"hidden_layer_sizes": (0,)}, "needs 1 or more, found 0"),
    ({"hidden_layer_sizes": np.array([3, 0])}, "needs 1 or more, found 0"),
    ({"activation": "nope"}, "no activation is called 'nope'"),
    ({"init": "nope"}, "init must be one of"),
    ({"learning_rate_init": 0}, "the learning rate lr must be a number > 0"),
])
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments).fit(X, NAMES)


def test_what_cannot_be_learnt():
    with pytest.raises(TypeError, match="hidden_layer_sizes needs a list of widths, found NoneType"):
        small(hidden_layer_sizes=None).fit(X, Y)
    with pytest.raises(ValueError, match="early_stopping needs at least two rows, one of them to stop by; found one"):
        small(MLPRegressor, early_stopping=True).fit(X[:1], TARGETS[:1])
    with pytest.raises(ValueError, match="needs rows of at least two classes, found one class, 'setosa'"):
        small().fit(X[:9], NAMES[:9])
    line = small(MLPRegressor, hidden_layer_sizes=(), solver="sgd", standardize=False)
    with pytest.warns(ConvergenceWarning, match="the loss rose from .* to .*: lower learning_rate_init; columns of large"):
        line.fit(X * 1e5, TARGETS)
    with pytest.raises(ValueError, match=r"MLPRegressor could not be trained: diverged.*want standardize=True"):
        line.set_params(n_iter_no_change=100).fit(X * 1e5, TARGETS)


@pytest.mark.parametrize(("table", "message"), [
    (np.ma.array(X, mask=X > 7.8), "row 131, column 0: the number is missing"), ([*X[:-1], np.ma.array(X[-1], mask=[0, 0, 1, 0])], "row 149, column 2: the number is missing"),
    (X.astype(str), "row 0, column 0: a real number is needed, found str_"), ([["1", "2"], ["3", "4"]], "row 0, column 0: .* found str_"),
    (np.array([[1.0, "2"], [3.0, 4.0]], object), "row 0, column 1: a real number is needed, found str '2'"), (X.astype("M8[s]"), "row 0, column 0: .* found datetime64"),
    (X.astype("m8[s]"), "row 0, column 0: .* found timedelta64"),
])
def test_what_is_no_number_is_refused_as_everywhere(table, message):
    fitted = small().fit(X, Y)
    for ask in (lambda: small().fit(table, Y[:len(table)]), lambda: fitted.predict(table), lambda: small(MLPRegressor).fit(table, Y[:len(table)])):
        with pytest.raises(TypeError, match=f"X, {message}"):
            ask()


@pytest.mark.parametrize("y", [np.ma.array(Y, mask=Y == 0), Y.astype("m8[s]"), Y.astype(str), Y.astype(str).astype(object)])
def test_targets_that_are_no_numbers_are_refused_as_everywhere(y):
    with pytest.raises(TypeError, match="y, row 0: "):
        small(MLPRegressor).fit(X, y)
    if np.ma.is_masked(y):
        with pytest.raises(TypeError, match="y, row 0: the number is missing"):
            small().fit(X, y)


@pytest.mark.parametrize("again", [(X, np.zeros(150)), (X[:, :2], np.zeros(150)), (X[:, :2], np.array(["a", 1] * 75, object)), (X[:, :2], Y + 0.5)])
def test_what_could_not_be_trained_again_is_what_it_was(again):
    model = small().fit(X, NAMES)
    before, found = vars(model).copy(), model.predict(X).tolist()
    with pytest.raises((TypeError, ValueError)):
        model.fit(*again)
    assert vars(model) == before and model.predict(X).tolist() == found


def test_an_interrupted_run_says_so(monkeypatch):
    def interrupted(*arguments, **more):
        history = fit(*arguments, **{**more, "epochs": 3})
        history.stopped = "interrupted"
        return history

    fit = micrograd.fit
    monkeypatch.setattr("micrograd.sklearn.fit", interrupted)
    with pytest.warns(UserWarning, match="training was interrupted after 3 epochs"):
        assert small().fit(X, NAMES).n_iter_ == 3


def test_scikit_learn_is_asked_for_by_its_name():
    assert sklearn.__name__ == "sklearn" and micrograd.sklearn.MLPClassifier is MLPClassifier
