"""How good are the embeddings of few hundred rows with few labels? The table of docs/sklearn.md.

    python docs/sklearn_few_labels.py [SEEDS]

Breast cancer Wisconsin, as it comes with scikit-learn: 569 tumours, 30 measurements. In every fold of a stratified
five-fold cross-validation, repeated with SEEDS (default: 3) other divisions, the encoder learns from the rows of the
training part without labels; a logistic regression learns from a few of them with labels, drawn five times; both are
scored on the test part. The same for the raw measurements, and for an encoder that was not trained.
"""

import sys
import time

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bam_core import BAMEmbedder

LABELS_OF_EACH_CLASS = (2, 5, 10, 50)
N_DRAWS = 5


def main(n_seeds: int) -> None:
    """Print mean and spread over the divisions."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    rows, seconds = [], []
    for seed in range(n_seeds):
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
            started = time.perf_counter()
            embedder = BAMEmbedder(random_state=seed).fit(X.iloc[train])
            seconds.append(time.perf_counter() - started)
            sources = {
                "raw measurements": None,
                "encoder, not trained": BAMEmbedder(random_state=seed, epochs=10, learning_rate=1e-12).fit(
                    X.iloc[train]
                ),
                "BAMEmbedder()": embedder,
            }
            for name, source in sources.items():
                features = X.to_numpy() if source is None else source.transform(X)
                scaled = StandardScaler().fit(features[train]).transform(features)
                rows += [(name, n, seed, *score(scaled, y.to_numpy(), train, test, n)) for n in LABELS_OF_EACH_CLASS]
    table = pd.DataFrame(rows, columns=["features", "labels of each class", "seed", "accuracy", "AUC"])
    of_seed = table.groupby(["features", "labels of each class", "seed"], sort=False).mean()
    both = of_seed.groupby(level=[0, 1], sort=False).agg(["mean", "std"]).round(3)
    print(both.to_string())
    print(f"BAMEmbedder().fit: {np.median(seconds):.0f} s (median), {max(seconds):.0f} s at most")


def score(features: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, n: int) -> tuple[float, float]:
    """Mean accuracy and AUC on the test part over draws of n labelled rows of each class."""
    accuracy, auc = [], []
    for draw in range(N_DRAWS):
        rng = np.random.default_rng(draw)
        chosen = np.concatenate([rng.permutation(train[y[train] == c])[:n] for c in np.unique(y)])
        model = LogisticRegression(max_iter=2000).fit(features[chosen], y[chosen])
        accuracy.append(model.score(features[test], y[test]))
        auc.append(roc_auc_score(y[test], model.decision_function(features[test])))
    return float(np.mean(accuracy)), float(np.mean(auc))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
