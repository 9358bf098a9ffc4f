"""How well label-free criteria choose: rank correlation with a labelled score, and regret, over variants of runs.

    python docs/selecting_criteria.py OUTPUT.csv SERIES.ts [SERIES.ts ...]

Each set is pretrained without labels, by `timeseries/own` with three temperatures, three epsilons, and encoders kept at
a third, two thirds and the end: 27 encoders a set. The score of each is the mean accuracy of a logistic regression on
its embeddings over five folds of the same rows, which only the judge sees.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bam_core as bam
from bam_core.config.build import build
from bam_core.runs.features import embed
from bam_core.runs.run_folder import load_run
from bam_core.selection.select import candidates, select

TEMPERATURES = (0.05, 0.1, 0.3)
EPSILON_SHARES = (0.125, 0.25, 0.5)  # of the temperature
EPOCHS = 30
AS_LARGE = {"rankme", "lidar", "view_agreement", "spread"}  # more is said to be better; of all others less


def score(encoder: torch.nn.Module, parts: object, labels: np.ndarray) -> float:
    """Mean accuracy over five folds."""
    features = embed(encoder, parts.dataset("train")).numpy()  # type: ignore[attr-defined]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, features, labels, cv=folds).mean())


def measured(path: Path, folder: Path) -> pd.DataFrame:
    """Criteria and score of the 27 encoders of a set."""
    tables = []
    for temperature in TEMPERATURES:
        for share in EPSILON_SHARES:
            run = bam.pretrain(
                "timeseries/own",
                folder=folder / f"{path.stem}-{temperature}-{share}",
                data={"reader": "arrays", "path": str(path), "test_fraction": 0},
                objective={"temperature": temperature, "epsilon": temperature * share},
                train={"epochs": EPOCHS, "keep": 3, "num_workers": 0, "accelerator": "cpu"},
                progress=False,
            )
            parts = build(load_run(run.folder))
            labels = parts.data.labels("train")
            table = select([run.folder])
            table["score"] = [score(one.encoder, parts, labels) for one in candidates(run.folder)]
            tables.append(table.assign(set=path.stem, temperature=temperature, epsilon_share=share))
    return pd.concat(tables, ignore_index=True)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """For each set and criterion: rank correlation with the score, regret of its choice, and that of a blind one."""
    rows = []
    for name, part in table.groupby("set"):
        for criterion in ("rankme", "lidar", "alpha_req", "view_agreement", "spread", "loss", "kl", "target_entropy"):
            values = -(part[criterion] - 1).abs() if criterion == "alpha_req" else part[criterion]
            values = values if criterion in AS_LARGE | {"alpha_req"} else -values
            best = part["score"].max()
            rows.append(
                {
                    "set": name,
                    "criterion": criterion,
                    "rank_correlation": spearmanr(values, part["score"]).statistic,
                    "regret": best - part.loc[values.idxmax(), "score"],
                    "regret_at_random": best - part["score"].mean(),
                    "regret_of_the_last_default": best
                    - part[(part["temperature"] == 0.1) & (part["epsilon_share"] == 0.25)]["score"].iloc[-1],
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, write the table of encoders, print the summary."""
    output, *paths = map(Path, sys.argv[1:])
    done: list[pd.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            done.append(measured(path, Path(folder)))
            pd.concat(done).drop(columns="run").to_csv(output, index=False)
            print(summary(pd.concat(done)).to_string(index=False, float_format=lambda x: f"{x:.3f}"), flush=True)


if __name__ == "__main__":
    main()
