"""How well `micrograd train` learns by itself: in native code, as it would take minutes in Python (see conftest.py)."""

import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from programs import benchmark

from micrograd import MLP, cli


def train(folder: Path, data: Path, *options: str) -> Result:
    result = CliRunner().invoke(cli.main, ["train", str(data), "--out", str(folder / "model.json"), *options])
    assert result.exit_code == 0, result.output
    return result


def test_noise_is_not_learnt_by_heart(tmp_path: Path) -> None:
    """Twenty columns, of which one tells a third of the target, and few rows: by itself the command stops in time."""
    rng = random.Random(0)
    rows = [[rng.gauss(0, 1) for _ in range(20)] for _ in range(1000)]
    (tmp_path / "data.csv").write_text(",".join(f"c{i}" for i in range(20)) + ",y\n" + "".join(
        ",".join(f"{x:.4f}" for x in [*row, row[0] + rng.gauss(0, 1.4)]) + "\n" for row in rows))
    found = {}
    for name, options in (("by itself", ()), ("to the end", ("--validation", "0", "--weight-decay", "0"))):
        result = train(tmp_path, tmp_path / "data.csv", "--target", "y", "--epochs", "200", "--test", "0.8", *options)
        found[name] = float(re.search(r"rows: R² (-?[\d.]+),", result.stdout)[1])
    assert found["by itself"] > 0.1 > 0 > found["to the end"], found


@pytest.mark.parametrize("name", ["iris", "diabetes"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # of scikit-learn, after 200 epochs
def test_tables_are_learnt_as_well_as_by_scikit_learn(name: str, tmp_path: Path) -> None:
    """The benchmark, smaller; it trains as the command does."""
    pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "micrograd-lab[sklearn]"')
    tables = benchmark("tables")
    data = tables.write(name, tmp_path)
    trained, (ours, theirs, _) = tables.scores(data, 2)
    assert sum(ours) >= sum(theirs)
    train(tmp_path, data, "--target", "target", "--seed", "1")
    assert MLP.load(tmp_path / "model.json").state_dict() == trained.net.state_dict()
