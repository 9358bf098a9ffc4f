"""The tables of docs/results.md that lay several comparisons side by side, from their result files.

    python docs/five_domains.py docs/results/japanesevowels docs/results/fsdd ...

A row for each folder that `bam compare` wrote, named after it; a table for each part of the labels. Numbers are of
the linear probe in the recipe's first metric: mean and spread over the seeds and draws of labels. Of the baselines,
what a user would take instead, the one with the best mean is shown, with its name.
"""

import sys
from pathlib import Path

from bam_core.comparison.trial_results import TrialResult, join_trials, load_trials
from bam_core.probes.results import Results

RAW, UNTRAINED, INSTEAD = "raw features", "untrained encoder", "best baseline"


def main(folders: list[Path]) -> None:
    """Print the tables in Markdown."""
    kept = {folder.name: load_trials(folder) for folder in folders}
    columns = [RAW, INSTEAD] if any(map(baselines, kept.values())) else [RAW]
    columns += dict.fromkeys(
        [UNTRAINED, *(trial.label for trials in kept.values() for trial in trials if trial.objective)]
    )
    for fraction in (1.0, 0.1, 0.01):
        print(f"| linear probe, {fraction:.0%} of the labels | " + " | ".join(columns) + " |")
        print("|---|" + "---:|" * len(columns))
        for name, trials in kept.items():
            results = join_trials(trials)
            n_labels = results.row(RAW, "linear", fraction).n_labels
            row = shown(results, baselines(trials), fraction)
            head = f"{name}, {results.metrics[0].replace('_', ' ')}, {n_labels:,} labels"
            print(f"| {head} | " + " | ".join(row.get(column, "") for column in columns) + " |")
        print()


def baselines(trials: list[TrialResult]) -> list[str]:
    """What a user would take instead."""
    return [trial.label for trial in trials if not trial.objective and trial.label not in (RAW, UNTRAINED)]


def shown(results: Results, instead: list[str], fraction: float) -> dict[str, str]:
    """Mean and spread of every column, the best mean in bold."""
    found = {name: results.row(name, "linear", fraction) for name in results.features}
    top = max(instead, key=lambda name: found[name].mean, default=None)
    best = max(round(row.mean, 3) for row in found.values())
    means = {name: f"{row.mean:.3f}".removeprefix("0") for name, row in found.items()}
    texts = {
        name: (f"**{means[name]}**" if round(row.mean, 3) == best else means[name])
        + f" ± {row.spread:.3f}".replace("0.", ".")
        for name, row in found.items()
    }
    return texts if top is None else {**texts, INSTEAD: f"{texts[top]} {top}"}


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
