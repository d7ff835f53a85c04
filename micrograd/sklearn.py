"""Networks as estimators of scikit-learn: in a Pipeline, under GridSearchCV and cross_val_score, with any labels::

    from micrograd.sklearn import MLPClassifier
    model = MLPClassifier(hidden_layer_sizes=(8,), random_state=1).fit(X, y)
    model.predict(X), model.net_

Arguments have scikit-learn's names and defaults where they mean what they mean there. `micrograd.fit` trains, in native
code where it can, and what it trained is at hand: `net_` can be drawn, explained, compiled and saved. The outputs of
`net_` are numbers for a regressor; for a classifier they are logits, one for two classes, else one for each class.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import losses
from .arguments import counted, is_number, many
from .compiler.api import compile
from .data import dataset
from .nn import MLP, Activation, Init
from .optim import SGD, Adam, Optimizer
from .packages import needed
from .train import fit
from .training.history import Criterion, History
from .training.samples import Loss

__all__ = ["MLPClassifier", "MLPRegressor"]

EXTRA = "sklearn"
np, base = needed("numpy", EXTRA), needed("sklearn.base", EXTRA)
ConvergenceWarning = needed("sklearn.exceptions", EXTRA).ConvergenceWarning
check_random_state = needed("sklearn.utils", EXTRA).check_random_state
check_classification_targets = needed("sklearn.utils.multiclass", EXTRA).check_classification_targets
validation = needed("sklearn.utils.validation", EXTRA)

ALSO = {"logistic": "sigmoid"}  # activations that scikit-learn calls by another name
ROWS_IN_A_BATCH = 200           # what batch_size="auto" is at the most

SCALES = ("lower learning_rate_init; columns of large numbers want standardize=True or a StandardScaler, and large "
          "targets are better scaled")


class Perceptron(base.BaseEstimator):  # type: ignore[misc, name-defined]
    """The base of the two estimators; not for use by itself."""

    def __init__(self, hidden_layer_sizes: Sequence[int] | int = (100,), activation: Activation | list[Activation] =
                 "relu", *, solver: str = "adam", alpha: float = 0.0001, batch_size: int | str = "auto",
                 learning_rate_init: float | Callable[[int], float] = 0.001, max_iter: int = 200,
                 shuffle: bool = True, random_state: Any = None, tol: float = 1e-4, verbose: bool = False,
                 momentum: float = 0.9, early_stopping: bool = False, validation_fraction: float = 0.1,
                 n_iter_no_change: int = 10, init: Init = "auto", standardize: bool = False) -> None:
        """Keep the arguments, which `fit` looks at.

        Args:
            hidden_layer_sizes: the widths of the hidden layers; () for none.
            activation: of these layers, whatever `micrograd.MLP` takes: the name of an op ("relu", "tanh", "gelu", ...;
                "logistic" is sigmoid), or a list with one for each layer.
            solver: "adam" or "sgd".
            alpha: the strength of the L2 penalty; alpha/2 · Σw² is added to the loss of a batch, as a sum over its
                rows; biases are free.
            batch_size: rows for each gradient step; "auto" is min(200, rows).
            learning_rate_init: the learning rate, or a function of the number of steps taken.
            max_iter: epochs at the most.
            shuffle: visit the rows in another order in each epoch.
            random_state: draws the weights, the order and the rows that are held out.
            tol, n_iter_no_change: training ends when the loss has not fallen by more than tol for that many epochs.
            verbose: show a progress bar, if tqdm is installed.
            momentum: of "sgd".
            early_stopping: hold out some of the rows, end when the loss on them has not fallen for n_iter_no_change
                epochs (tol does not count), and keep the weights of the epoch where it was lowest.
            validation_fraction: the share of the rows that is held out for that, in (0, 1).
            init: how weights are drawn, as in `micrograd.MLP`.
            standardize: scale each column of X by its mean and deviation; ``net_`` does so by itself then, so that it
                takes raw rows.
        """
        given = {**locals()}
        for name in set(given) - {"self"}:
            setattr(self, name, given[name])

    def _train(self, X: Any, y: list[Any], outputs: int, loss: Loss) -> None:
        """Make the network and train it on rows and targets that were checked."""
        rows, columns = X.shape
        self._check_arguments(rows)
        size = min(ROWS_IN_A_BATCH if self.batch_size == "auto" else int(self.batch_size), rows)
        draw = check_random_state(self.random_state)
        net = MLP(columns, [*self._widths(), outputs], activation=self._activation(), init=self.init,
                  rng=int(draw.randint(2**31 - 1)))
        weights = [w for layer in net.layers for neuron in layer.neurons for w in neuron.w]
        history = fit(net, X.tolist(), y, loss=loss, optimizer=self._optimizer(), epochs=int(self.max_iter),
                      batch_size=size, shuffle=self.shuffle, seed=int(draw.randint(2**31 - 1)),
                      penalty=(lambda _: losses.l2_penalty(weights, 0.5 * self.alpha / size)) if self.alpha else None,
                      standardize=self.standardize, progress=None if self.verbose else False, **self._stopping())
        if history.stopped.startswith("diverged") or not history.epochs:
            raise ValueError(f"{type(self).__name__} could not be trained: {history.stopped} (after "
                             f"{counted(history.epochs, 'epoch')}): {SCALES}")
        if history.stopped == "interrupted":
            warnings.warn(f"training was interrupted after {counted(history.epochs, 'epoch')}", stacklevel=3)
        elif history.loss[-1] > history.loss[0]:
            warnings.warn(f"the loss rose from {history.loss[0]:.4g} to {history.loss[-1]:.4g}: {SCALES}",
                          ConvergenceWarning, stacklevel=3)
        elif history.stopped == "all epochs done":
            warnings.warn(f"max_iter={self.max_iter} epochs were not enough for the loss to settle (it is "
                          f"{history.loss[-1]:.4g}): raise max_iter or learning_rate_init, or standardize the columns",
                          ConvergenceWarning, stacklevel=3)
        self.net_, self.history_ = net, history
        self.loss_curve_, self.n_iter_, self.loss_ = history.loss, history.epochs, history.loss[-1]
        self._outputs = compile(net, inputs=[columns], params=[])  # no slopes are asked for

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Everything of a fit is kept, or nothing: what could not be trained again is what it was."""
        before = vars(self).copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _check_arguments(self, rows: int) -> None:
        """Raise ValueError for what neither the network nor `fit` would refuse in the words of the arguments."""
        for name, low, whole in (("max_iter", 1, True), ("n_iter_no_change", 1, True), ("alpha", 0, False),
                                 ("tol", 0, False)):
            x = getattr(self, name)
            if not is_number(x) or not low <= x < math.inf or (whole and x != int(x)):
                raise ValueError(f"{name} must be a {'whole ' * whole}number >= {low}, found {x!r}")
        size: Any = self.batch_size
        if size != "auto" and not (hasattr(size, "__index__") and size >= 1):
            raise ValueError(f"batch_size must be a whole number >= 1, or 'auto', found {size!r}")
        if self.solver not in ("adam", "sgd"):
            raise ValueError(f"solver must be 'adam' or 'sgd', found {self.solver!r}")
        if self.early_stopping and not (is_number(self.validation_fraction) and 0 < self.validation_fraction < 1):
            raise ValueError(f"validation_fraction must be a share in (0, 1), found {self.validation_fraction!r}")
        if self.early_stopping and rows < 2:
            raise ValueError("early_stopping needs at least two rows, one of them to stop by; found one")

    def _widths(self) -> list[int]:
        widths: Any = self.hidden_layer_sizes
        return [widths] if is_number(widths) else list(many(widths, "hidden_layer_sizes", "a list of widths"))

    def _activation(self) -> Any:
        if isinstance(self.activation, (list, tuple)):
            return [ALSO.get(a, a) if isinstance(a, str) else a for a in self.activation]
        return ALSO.get(self.activation, self.activation) if isinstance(self.activation, str) else self.activation

    def _optimizer(self) -> Optimizer:
        if self.solver == "sgd":
            return SGD(lr=self.learning_rate_init, momentum=self.momentum, nesterov=self.momentum > 0)
        return Adam(lr=self.learning_rate_init)

    def _stopping(self) -> dict[str, Any]:
        """The arguments of `fit` that say when training ends."""
        if self.early_stopping:
            return {"validation": float(self.validation_fraction), "patience": int(self.n_iter_no_change)}
        return {"until": _settled(self.tol, self.n_iter_no_change)}

    def _forward(self, X: Any) -> Any:
        """The outputs of the network for each row: an array (rows, outputs)."""
        validation.check_is_fitted(self)
        _refuse_no_numbers("X", X)
        X = validation.validate_data(self, X, reset=False, dtype=float, order="C")
        found = self._outputs.map(X)
        return np.array(found if self._outputs.several else [found]).T

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer, an array (inputs, outputs)."""
        return [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T for layer in self._layers()]

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer, an array (outputs,)."""
        return [np.array([neuron.b.data for neuron in layer.neurons]) for layer in self._layers()]

    def _layers(self) -> list[Any]:
        validation.check_is_fitted(self)
        layers: list[Any] = self.net_.layers
        return layers


class MLPClassifier(base.ClassifierMixin, Perceptron):  # type: ignore[misc, name-defined]
    """A multilayer perceptron that tells classes apart; y may hold numbers or text.

    Two classes are told by one logit and binary cross-entropy, more by a logit each and cross-entropy. The arguments
    are those of `__init__`.

    Attributes:
        classes_: after fit, as all that follow: the classes, sorted.
        net_: the micrograd.MLP.
        history_: the micrograd.History of the run.
        loss_curve_: the mean loss of each epoch.
        loss_: the last of them.
        n_iter_: how many epochs there were.
        coefs_: the weights of each layer, an array (inputs, outputs).
        intercepts_: the biases of each layer, an array (outputs,).
        n_features_in_: how many columns X had.
        feature_names_in_: what they are called, where X has names.

    Example:
        >>> from micrograd.sklearn import MLPClassifier
        >>> model = MLPClassifier((), solver="sgd", learning_rate_init=0.5, tol=1e-3, random_state=1)
        >>> model.fit([[0.0], [1.0], [3.0], [4.0]], ["low", "low", "high", "high"]).predict([[-1.0], [5.0]]).tolist()
        ['low', 'high']
    """

    def fit(self, X: Any, y: Any) -> MLPClassifier:
        """Train on rows and their classes.

        Args:
            X: the rows, an array (rows, columns), lists or a frame.
            y: a class for each row.

        Returns:
            The estimator itself.

        Raises:
            ValueError: for data and arguments that cannot be learnt from, and where training diverged.
        """
        _refuse_no_numbers("X", X)
        _refuse_no_numbers("y", y, labels=True)
        with self._whole():
            X, y = validation.validate_data(self, X, y, dtype=float, order="C")
            kinds = {isinstance(label, str) for label in y} if y.dtype.kind == "O" else {False}
            if len(kinds) > 1:
                raise TypeError("y holds classes of which some are text and some are not: make them all text, or all "
                                "numbers")
            check_classification_targets(y)
            self.classes_, indices = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError("MLPClassifier needs rows of at least two classes, found one class, "
                                 f"{self.classes_.tolist()[0]!r}")
            if len(self.classes_) == 2:
                self._train(X, indices.tolist(), 1, losses.binary_cross_entropy_from_logits)
            else:
                self._train(X, indices.tolist(), len(self.classes_), losses.cross_entropy)
        return self

    def predict(self, X: Any) -> Any:
        """The likeliest class of each row.

        Args:
            X: the rows, as many columns as were trained on.

        Returns:
            An array (rows,).
        """
        chosen = self._logits(X).argmax(axis=1)
        return self.classes_[chosen]

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class.

        Args:
            X: the rows, as many columns as were trained on.

        Returns:
            An array (rows, classes), in the order of ``classes_``.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of the probabilities.

        Args:
            X: the rows, as many columns as were trained on.

        Returns:
            An array (rows, classes), in the order of ``classes_``.
        """
        logits = self._logits(X)
        less = logits - logits.max(axis=1, keepdims=True)
        return less - np.log(np.exp(less).sum(axis=1, keepdims=True))

    def _logits(self, X: Any) -> Any:
        logits = self._forward(X)
        return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits


class MLPRegressor(base.RegressorMixin, Perceptron):  # type: ignore[misc, name-defined]
    """A multilayer perceptron for numbers: it minimises half the squared error. The arguments are those of `__init__`.

    After fit it has the attributes of `MLPClassifier`, but for ``classes_``.

    Example:
        >>> from micrograd.sklearn import MLPRegressor
        >>> model = MLPRegressor((), solver="sgd", learning_rate_init=0.1, alpha=0, momentum=0.5, tol=1e-6)
        >>> model.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(1).tolist()
        [7.0]
    """

    def fit(self, X: Any, y: Any) -> MLPRegressor:
        """Train on rows and targets.

        Args:
            X: the rows, an array (rows, columns), lists or a frame.
            y: a number for each row, or several: (rows,) or (rows, outputs).

        Returns:
            The estimator itself.

        Raises:
            ValueError: for data and arguments that cannot be learnt from, and where training diverged.
        """
        _refuse_no_numbers("X", X)
        _refuse_no_numbers("y", y)
        with self._whole():
            X, y = validation.validate_data(self, X, y, dtype=float, order="C", multi_output=True, y_numeric=True)
            self._flat = y.ndim == 1
            self._train(X, y.astype(float).tolist(), 1 if self._flat else y.shape[1], losses.half_squared_error)
        return self

    def predict(self, X: Any) -> Any:
        """The outputs for each row.

        Args:
            X: the rows, as many columns as were trained on.

        Returns:
            An array of the shape that y had.
        """
        found = self._forward(X)
        return found[:, 0] if self._flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _refuse_no_numbers(where: str, x: Any, labels: bool = False) -> None:
    """Raise TypeError for what scikit-learn would take for numbers though it is none: masked items, and, unless these
    are labels, text and dates."""
    try:
        found = np.ma.array(x, copy=None)
    except Exception:  # of what is no array scikit-learn says so
        return
    if found.dtype.names:  # nor does it take records
        return
    for place in np.argwhere(np.ma.getmaskarray(found)) if np.ma.is_masked(found) else ():
        raise TypeError(f"{dataset.at(where, *place.tolist())}: the number is missing; fill the gap, or leave the row "
                        "out")
    if labels or found.dtype.kind in "fiub":
        return
    for place, item in np.ndenumerate(found.data):
        if isinstance(item, dataset.TEXT) or hasattr(item, "isoformat") or found.dtype.kind in "mM":
            raise dataset.wrong(dataset.at(where, *place), item)


def _settled(tol: float, patience: int) -> Callable[[History], bool]:
    """For until=: true once the mean loss has not fallen below its lowest by more than tol in `patience` epochs."""
    lowest, since = math.inf, 0

    @Criterion
    def until(history: History) -> bool:
        nonlocal lowest, since
        since = 0 if history.loss[-1] <= lowest - tol else since + 1
        lowest = min(lowest, history.loss[-1])
        return since > patience
    return until
