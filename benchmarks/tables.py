"""How well `micrograd train` learns from a table, all options left as they are, next to scikit-learn's networks.

    python benchmarks/tables.py [--seeds N] [--tables NAME ...]

The tables are those that come with scikit-learn. Each is written to a CSV file and trained on by the functions behind
the command, with the options that the command has by itself and --seed 0, 1, ... So a quarter of the rows is held out
to judge by, another quarter for each seed; what is reported of them is the share of right answers, and R² for diabetes.

scikit-learn gets the same rows to learn from and is judged by the same, as `train` makes them of the table: its
MLPClassifier and MLPRegressor, once with early_stopping=True and max_iter=1000 (which cuts none of them short), once
without; random_state=seed, and all else as it comes: 100 hidden neurons, relu, Adam with lr 0.001, 10 % of the rows to
stop by or 200 epochs at the most. Its inputs are standardised, and so are the targets of the regression, since `train`
does both.

Prints Markdown: mean and standard deviation over the seeds, and the seconds of a processor that the command takes with
seed 0, from its start as a process to the written model. Exits with 1 where scikit-learn with early stopping is the
better on average.
"""

import argparse
import contextlib
import csv
import inspect
import io
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from micrograd import accuracy, cli
from micrograd.data.table import read_table

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")


def write(name, folder):
    """The table as a CSV file, its target in words where scikit-learn has words for it."""
    bunch = getattr(datasets, f"load_{name}")()
    names = getattr(bunch, "target_names", None)
    targets = bunch.target if names is None else names[bunch.target]
    path = Path(folder, f"{name}.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*bunch.feature_names, "target"])
        writer.writerows([*row, t] for row, t in zip(bunch.data.tolist(), targets.tolist()))
    return path


def trained_on(path, seed):
    """What `micrograd train PATH --target target --seed SEED` trains, without what it prints."""
    given = cli.tables.train.make_context("train", [str(path), "--target", "target", "--seed", str(seed)]).params
    options = {name: given[name] for name in inspect.signature(cli.tables.train_on).parameters if name in given}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return cli.tables.train_on(read_table(path), **options)


def score(trained):
    """On the rows that it has not seen."""
    net, target = trained.net, trained.plan.target
    if target.classes:
        return accuracy(net, trained.held_X, trained.held_y)
    return r2_score(trained.held_y, [target.mean + target.scale * out for out in net.predict(trained.held_X)])


def peers_score(trained, seed, early_stopping):
    """Of scikit-learn's network, on the same rows."""
    options = {"random_state": seed, **({"early_stopping": True, "max_iter": 1000} if early_stopping else {})}
    if trained.plan.target.classes:
        network = MLPClassifier(**options)
    else:
        network = TransformedTargetRegressor(MLPRegressor(**options), transformer=StandardScaler())
    return make_pipeline(StandardScaler(), network).fit(trained.X, trained.y).score(trained.held_X, trained.held_y)


def scores(path, seeds):
    """What the command trained last; and a score for each seed in three lists: of the command, of scikit-learn's
    network with early stopping, and without."""
    columns = [[], [], []]
    for seed in range(seeds):
        trained = trained_on(path, seed)
        columns[0].append(score(trained))
        columns[1].append(peers_score(trained, seed, early_stopping=True))
        columns[2].append(peers_score(trained, seed, early_stopping=False))
    return trained, columns


def seconds(path):
    """Of the processor, for the command."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "micrograd", "train", str(path), "--target", "target", "--out",
                    str(path.with_suffix(".json"))], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, metavar="NAME")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # after 200 epochs
    behind = []
    print("| table | rows × inputs | `micrograd train` | scikit-learn, early stopping | without | the command |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.tables:
            path = write(name, folder)
            trained, columns = scores(path, options.seeds)
            means = list(map(statistics.fmean, columns))
            shown = " | ".join(f"{mean:.3f} ± {statistics.pstdev(column):.3f}" for mean, column in zip(means, columns))
            size = f"{len(trained.X) + len(trained.held_X):,} × {len(trained.X[0])}"
            print(f"| {name.replace('_', ' ')} | {size} | {shown} | {seconds(path):.1f} s |", flush=True)
            if means[0] < means[1]:
                behind.append(name)
    if behind:
        sys.exit(f"scikit-learn with early stopping is better on average: {', '.join(behind)}")


if __name__ == "__main__":
    main()
