"""Score against optimiser steps for one data set after another: a table, and docs/images/step_curves.png.

    python docs/step_curves.py docs/results/mitbih docs/results/steps/mitbih_3 docs/results/steps/mitbih_10 ...

BAM with seed 0, whose learning rate falls to zero at the end of each run: every number of steps is a run of its own.
Linear probe in the recipe's first metric. Folders whose names begin alike are one data set.
"""

import sys
from itertools import groupby
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from bam_core.comparison.trial_results import join_trials, load_trials
from bam_core.reports.palette import COLOURS

HERE = Path(__file__).parent
FRACTIONS = (0.01, 0.1, 1.0)
OBJECTIVES = {"untrained encoder": "untrained", "bam": "bam"}


def main(folders: list[Path]) -> None:
    """Print the table, draw and save."""
    found: dict[str, dict[int, list[float]]] = {}
    for name, group in groupby(folders, key=lambda folder: folder.name.split("_")[0]):
        points = found.setdefault(name, {})
        for folder in group:
            trials = [trial for trial in load_trials(folder) if trial.label in OBJECTIVES and trial.seed == 0]
            results = join_trials(trials)
            for trial in trials:
                points[trial.steps] = [results.row(trial.label, "linear", f).mean for f in FRACTIONS]
    print("| steps | 1 % of the labels | 10 % | 100 % |\n|---|---:|---:|---:|")
    for name, points in found.items():
        for steps, scores in sorted(points.items()):
            shown = " | ".join(f"{score:.3f}".removeprefix("0") for score in scores)
            print(f"| {name}, {f'{steps:,}' if steps else 'untrained'} | {shown} |")
    figure, grid = plt.subplots(1, len(found), figsize=(9, 3), layout="constrained", squeeze=False)
    for (name, points), axes in zip(found.items(), grid.flat, strict=True):
        steps = sorted(points)
        for place, fraction in enumerate(FRACTIONS):
            label = f"{fraction * 100:g} % of the labels"
            axes.plot(
                range(len(steps)), [points[n][place] for n in steps], marker="o", color=COLOURS[place], label=label
            )
        axes.set_xticks(range(len(steps)), [f"{n:,}" for n in steps])
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
    figure.legend(
        *grid.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
    figure.supxlabel("optimiser steps (0: untrained)", fontsize=9)
    figure.savefig(HERE / "images" / "step_curves.png", dpi=110)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
