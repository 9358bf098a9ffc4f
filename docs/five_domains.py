"""The tables of docs/results.md that lay several comparisons side by side, from their result files.

    python docs/five_domains.py docs/results/japanesevowels docs/results/fsdd ...

A row for each folder that `bam compare` wrote, named after it; a table for each part of the labels. Numbers are of
the linear probe in the recipe's first metric: mean and spread over the seeds and draws of labels.
"""

import sys
from pathlib import Path

from bam_core.evaluation import Results, join_cells
from bam_core.evaluation.cells import load_cells


def main(folders: list[Path]) -> None:
    """Print the tables in Markdown."""
    found = {folder.name: join_cells(load_cells(folder)) for folder in folders}
    features = list(dict.fromkeys(name for results in found.values() for name in results.features))
    for fraction in (1.0, 0.1, 0.01):
        print(f"| linear probe, {fraction:.0%} of the labels | " + " | ".join(features) + " |")
        print("|---|" + "---:|" * len(features))
        for name, results in found.items():
            n_labels = results.row(results.features[0], "linear", fraction).n_labels
            cells = shown(results, fraction)
            head = f"{name}, {results.metrics[0].replace('_', ' ')}, {n_labels:,} labels"
            print(f"| {head} | " + " | ".join(cells.get(feature, "") for feature in features) + " |")
        print()


def shown(results: Results, fraction: float) -> dict[str, str]:
    """Mean and spread of all features, the best mean in bold."""
    cells = {name: results.row(name, "linear", fraction) for name in results.features}
    best = max(round(cell.mean, 3) for cell in cells.values())
    means = {name: f"{cell.mean:.3f}".removeprefix("0") for name, cell in cells.items()}
    return {
        name: (f"**{means[name]}**" if round(cell.mean, 3) == best else means[name])
        + f" ± {cell.spread:.3f}".replace("0.", ".")
        for name, cell in cells.items()
    }


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
