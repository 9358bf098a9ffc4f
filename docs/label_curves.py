"""Score against number of labels for several comparisons, one small plot each, from their result files.

    python docs/label_curves.py docs/results/mitbih docs/results/fsdd ...    # writes docs/images/label_curves.png

Linear probe in the recipe's first metric; bars are the spread over the seeds and draws of labels. Of the baselines, the
one that is best with the fewest labels is drawn.
"""

import runpy
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

from bam_core.comparison.trial_results import join_trials, load_trials
from bam_core.reports.palette import COLOURS, GREY

HERE = Path(__file__).parent
TABLES = runpy.run_path(str(HERE / "five_domains.py"))
RAW, UNTRAINED = TABLES["RAW"], TABLES["UNTRAINED"]
FRACTIONS = (0.01, 0.1, 1.0)


def main(folders: list[Path]) -> None:
    """Draw and save."""
    figure, grid = plt.subplots(2, (len(folders) + 1) // 2, figsize=(11, 5.2), layout="constrained", squeeze=False)
    for axes in grid.flat[len(folders) :]:
        axes.set_axis_off()
    for folder, axes in zip(folders, grid.flat, strict=False):
        cells = load_trials(folder)
        results = join_trials(cells)
        lines = {RAW: (GREY, "--"), UNTRAINED: ("#707070", "--"), "simclr": (COLOURS[2], "-"), "bam": (COLOURS[0], "-")}
        instead = max(TABLES["baselines"](cells), key=lambda name: results.row(name, "linear", 0.01).mean, default=None)
        if instead is not None:
            lines[instead] = (COLOURS[1], "-")
        for name, (colour, style) in lines.items():
            rows = [results.row(name, "linear", fraction) for fraction in FRACTIONS]
            axes.errorbar(
                [row.n_labels for row in rows],
                [row.mean for row in rows],
                [row.spread for row in rows],
                label="best baseline" if name == instead else name,
                color=colour,
                linestyle=style,
                linewidth=2.2 if name == "bam" else 1.3,
                marker="o",
                markersize=3,
                capsize=2,
            )
        counts = [results.row(RAW, "linear", fraction).n_labels for fraction in FRACTIONS]
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(f"{folder.name}" + (f" (best baseline: {instead})" if instead else ""), fontsize=9)
        axes.set_ylabel(results.metrics[0].replace("_", " "), fontsize=8)
        axes.tick_params(labelsize=8)
    handles = dict(pair[::-1] for axes in grid.flat for pair in zip(*axes.get_legend_handles_labels(), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=5, fontsize=9, frameon=False)
    figure.supxlabel("labels that the probe saw", fontsize=9)
    figure.savefig(HERE / "images" / "label_curves.png", dpi=110)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
