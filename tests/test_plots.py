"""Pictures of training: what they show, read off the figures."""

import io
import subprocess
import sys
from typing import Any

import pytest

from micrograd.nn import MLP
from micrograd.plots import STEPS, decision_boundary, learning_curve
from micrograd.training.history import History

X = [[0.0, 0.0, 5.0], [1.0, 2.0, 7.0], [4.0, 1.0, 6.0]]


def net_of(weights: list[list[float]]) -> MLP:
    """A network without hidden layer, with these weights for each output."""
    net = MLP(len(weights[0]), [len(weights)])
    for neuron, ws in zip(net.layers[0].neurons, weights):
        for w, x in zip(neuron.w, ws):
            w.data = x
    return net


def boundaries(figure: Any, number: int) -> list[Any]:
    """The paths of the contours, of which there must be that number."""
    contours = [drawn for drawn in figure.axes[0].collections if type(drawn).__name__ == "QuadContourSet"]
    assert len(contours) == number
    return [path for contour in contours for path in contour.get_paths()]


def test_the_learning_curve_has_every_epoch() -> None:
    history = History([3.0, 2.0, 1.0], [0.1, 0.5, 0.9], [3.5, 2.5, 2.0], [0.1, 0.4, 0.6])
    loss, accuracy = learning_curve(history).axes
    assert [list(line.get_ydata()) for line in loss.lines] == [history.loss, history.validation_loss]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [history.accuracy, history.validation_accuracy]
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2, 3]] * 2
    assert (loss.get_xlabel(), loss.get_ylabel(), accuracy.get_ylabel()) == ("epoch", "loss", "accuracy")


def test_the_learning_curve_marks_the_epoch_that_was_kept() -> None:
    for axes in learning_curve(History([3.0, 2.0, 1.0], [0.1, 0.5, 0.9], [3.5, 2.0, 2.5], [0.1, 0.4, 0.6], best=2)).axes:
        mark = axes.lines[2]
        assert (list(mark.get_xdata()), mark.get_label()) == ([2, 2], "epoch 2, kept")


@pytest.mark.parametrize("history", [History([3.0, 2.0]), History()], ids=["regression", "interrupted at once"])
def test_the_learning_curve_shows_what_there_is(history: History) -> None:
    figure = learning_curve(history)
    [axes] = figure.axes
    [line] = axes.lines
    assert list(line.get_ydata()) == history.loss
    figure.savefig(io.BytesIO())


def test_the_learning_curve_of_losses_alone() -> None:
    [axes] = learning_curve(History([3.0, 2.0, -1.0], [0.1, 0.5, 0.9])[1:]).axes
    assert list(axes.lines[0].get_ydata()) == [2.0, -1.0] and axes.get_ylim()[0] < -1.0
    with pytest.raises(TypeError, match="history needs a list of losses, found NoneType"):
        learning_curve(None)


def test_the_boundary_is_where_the_outputs_are_equal() -> None:
    net = net_of([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # class 0 where x_1 > x_2, whatever x_3 is
    figure = decision_boundary(net, X, [0, 1, 0], names=["p", "q", "r"], classes=["below", "above"])
    [axes] = figure.axes
    for path in boundaries(figure, 2):
        assert len(path.vertices) > STEPS / 2
        # The lead of a class is linear in x_1 - x_2 only near 0, and contours interpolate within a cell of the grid.
        assert all(abs(x - y) < 4 / STEPS for x, y in path.vertices)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("p", "q")
    legend = axes.get_legend()
    assert legend is not None
    assert [words.get_text() for words in legend.get_texts()] == ["below", "above"]


def test_the_other_inputs_are_at_their_mean() -> None:
    net = net_of([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    net.layers[0].neurons[1].b.data = -2.0  # class 1 where x_1 > 2; the mean of x_1 is 5/3
    figure = decision_boundary(net, X, [0, 0, 1], X, [0, 0, 1], features=(2, 1))
    assert boundaries(figure, 0) == []
    assert figure.axes[0].get_xlabel() == "input 3"


def test_one_output_is_refused() -> None:
    with pytest.raises(ValueError, match="an output for each of two classes"):
        decision_boundary(net_of([[1.0, 0.0, 0.0]]), X, [0, 1, 0])


def test_without_matplotlib() -> None:
    code = "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.axes'] = None; import micrograd.plots"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert 'ImportError: plots need matplotlib: pip install "micrograd-lab[plot]"' in result.stderr


def test_matplotlibs_own_state_is_left_alone() -> None:
    code = ("import sys, micrograd, micrograd.plots; micrograd.plots.learning_curve(micrograd.History([1.0])); "
            "print('matplotlib.pyplot' in sys.modules)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert result.stdout == "False\n"
