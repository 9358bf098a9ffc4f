"""The table of docs/how_bam_works.md: figures of healthy runs of BAM, from the logs that `bam pretrain` writes.

    python docs/healthy_signs.py mitbih=runs/mitbih/bam-seed* fsdd=runs/fsdd/bam-seed* ...

A row for each NAME=PATTERN of run folders, seeds of one recipe: means over the runs, at the first row of the log and
over its last three, and how far apart the runs are at the end. Says as well whether the test of collapse would have
called any of them collapsed at any row.
"""

import glob
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bam_core.loss.collapse import collapse, end_of_training, uniform_entropy

LAST = 3
FIGURES = {
    "kl": 2,
    "target entropy / uniform": 2,
    "loss / uniform": 2,
    "RankMe of projections": 0,
    "RankMe of embeddings": 0,
}
"""Column -> decimals."""


def main(arguments: Sequence[str]) -> None:
    """Print the table in Markdown, and what the test of collapse says."""
    print("| runs | steps | " + " | ".join(FIGURES) + " |")
    print("|---|---:|" + "---:|" * len(FIGURES))
    n_rows, called = 0, []
    for argument in arguments:
        name, _, pattern = argument.rpartition("=")
        logs = {Path(folder): read_log(Path(folder)) for folder in sorted(glob.glob(pattern))}
        if not logs:
            raise SystemExit(f"expected folders of runs at {pattern}; there are none.")
        steps = max(log["step"].iloc[-1] for log in logs.values())
        cells = [shown([log[figure] for log in logs.values()], places) for figure, places in FIGURES.items()]
        print(f"| {name or pattern}, {len(logs)} seeds | {steps:,} | " + " | ".join(cells) + " |")
        for folder, log in logs.items():
            found = collapsed_at(log)
            n_rows, called = n_rows + len(log), called + [f"{folder}: {line}" for line in found]
    print(f"\nTest of collapse, at {n_rows} rows and every end: {len(called)} called collapsed.")
    print("\n".join(called))


def read_log(folder: Path) -> pd.DataFrame:
    """The log of a run, with the figures of the table."""
    log = pd.read_csv(folder / "metrics.csv")
    if "uniform_entropy" not in log:  # of a log of before there was this column: two views, half on the positive
        n_others = np.exp(log["uniform_loss"]) - 1
        log["uniform_entropy"] = [uniform_entropy(round(n), positive_weight=0.5) for n in n_others]
    log["target entropy / uniform"] = log["target_entropy"] / log["uniform_entropy"]
    log["loss / uniform"] = log["loss"] / log["uniform_loss"]
    log["RankMe of embeddings"] = log["rankme"]
    log["RankMe of projections"] = log.get("projections_rankme", math.nan)
    return log


def shown(logs: Sequence[pd.Series], places: int) -> str:
    """Begin and end of a figure, means over the runs, with the spread of the ends; empty if it was not logged."""
    begins, ends = [log.iloc[0] for log in logs], [log.iloc[-LAST:].mean() for log in logs]
    if np.isnan(ends).any():
        return ""
    spread = np.std(ends, ddof=1) if len(ends) > 1 else 0.0
    return f"{np.mean(begins):.{places}f} to {np.mean(ends):.{places}f} ± {spread:.{places}f}"


def collapsed_at(log: pd.DataFrame) -> list[str]:
    """What the test says of every row, and of the end."""
    rows = log.to_dict("records")
    found = [
        reason
        for row in rows
        if (
            reason := collapse(
                kl=row["kl"],
                target_entropy=row["target_entropy"],
                uniform_loss=row["uniform_loss"],
                uniform_entropy=row["uniform_entropy"],
                rankme=None if math.isnan(row["RankMe of projections"]) else row["RankMe of projections"],
            )
        )
    ]
    end = end_of_training(rows)
    return [*found, end.collapse] if end is not None and end.collapse else found


if __name__ == "__main__":
    main(sys.argv[1:])
