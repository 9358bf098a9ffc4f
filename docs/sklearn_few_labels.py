"""How good are the embeddings of about 500 rows with few labels? The tables of docs/sklearn.md.

    python docs/sklearn_few_labels.py [SEEDS]           breast cancer, as it comes with scikit-learn
    python docs/sklearn_few_labels.py SEEDS FOLDER      a data set of the UCR archive, such as FordA

The embedder learns from the rows of the training part, without labels. A logistic regression learns from a few of them
with labels, drawn five times, and both are scored on the test part; so do the rows as they are, and an encoder that was
not trained. Breast cancer: 569 tumours with 30 measurements, the parts are those of a stratified five-fold
cross-validation, another one for every seed. UCR: at most 500 series of the training file, and the whole test file.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bam_core import BAMEmbedder

LABELS_OF_EACH_CLASS = (2, 5, 10, 50)
N_DRAWS = 5
UNTRAINED = {"epochs": 3, "learning_rate": 1e-12}  # its batch norms see the data, nothing else happens


def main(n_seeds: int, folder: Path | None) -> None:
    """Print the mean balanced accuracy, and its spread over the seeds."""
    X, y = breast_cancer() if folder is None else ucr(folder)
    options = {} if folder is None else {"modality": "timeseries", "encoder": {"width": 32}, "epochs": 40}
    rows, seconds = [], []
    for seed in range(n_seeds):
        for train, test in parts(y, seed, folder):
            started = time.perf_counter()
            trained = BAMEmbedder(random_state=seed, **options).fit(X[train])
            seconds.append(time.perf_counter() - started)
            untrained = BAMEmbedder(random_state=seed, **{**options, **UNTRAINED}).fit(X[train])
            features = {
                "rows as they are": X,
                "not trained": untrained.transform(X),
                "BAMEmbedder": trained.transform(X),
            }
            for name, values in features.items():
                scaled = StandardScaler().fit(values[train]).transform(values)
                rows += [(name, n, seed, score(scaled, y, train, test, n)) for n in LABELS_OF_EACH_CLASS]
    table = pd.DataFrame(rows, columns=["features", "labels of each class", "seed", "balanced accuracy"])
    of_seed = table.groupby(["features", "labels of each class", "seed"], sort=False)["balanced accuracy"].mean()
    print(of_seed.groupby(level=[0, 1], sort=False).agg(["mean", "std"]).unstack().round(3).to_string())
    print(f"fit: {np.median(seconds):.0f} s (median), {max(seconds):.0f} s at most")


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    """Measurements and diagnoses."""
    return load_breast_cancer(return_X_y=True)


def ucr(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Series and classes: 500 of the training file at most, then the test file."""
    train, test = (np.loadtxt(folder / f"{folder.name}_{part}.tsv") for part in ("TRAIN", "TEST"))
    both = np.concatenate([train[:500], test])
    return both[:, 1:], both[:, 0]


def parts(y: np.ndarray, seed: int, folder: Path | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers for training and for testing."""
    if folder is None:
        yield from StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y)
    else:
        n_train = min(500, sum(1 for _ in (folder / f"{folder.name}_TRAIN.tsv").open()))
        yield np.arange(n_train), np.arange(n_train, len(y))


def score(features: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, n: int) -> float:
    """Mean over draws of n labelled rows of each class."""
    scores = []
    for draw in range(N_DRAWS):
        rng = np.random.default_rng(draw)
        chosen = np.concatenate([rng.permutation(train[y[train] == c])[:n] for c in np.unique(y)])
        model = LogisticRegression(max_iter=2000).fit(features[chosen], y[chosen])
        scores.append(balanced_accuracy_score(y[test], model.predict(features[test])))
    return float(np.mean(scores))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
