"""Whether one set of features beats another by more than the spread, in numbers and in words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bam_core.errors import InputError
from bam_core.probes.metrics import LOWER_IS_BETTER, PROBE_TITLES, figure, spread_of_values
from bam_core.probes.result_table import Result, ResultTable


class Comparison(NamedTuple):
    """A paired difference: ours minus baseline.

    Attributes:
        ours: one row of the table.
        baseline: the other row.
        difference: of the means.
        spread: of the difference: its standard deviation over the draws or runs; or half its 95 % bootstrap interval.
    """

    ours: Result
    baseline: Result
    difference: float
    spread: float

    @property
    def beats(self) -> bool:
        """Ours is better by more than the spread."""
        return self.gain > self.spread

    @property
    def gain(self) -> float:
        """The difference, positive where ours is better: errors are better where they are smaller."""
        return -self.difference if self.ours.metric in LOWER_IS_BETTER else self.difference

    @property
    def loses(self) -> bool:
        """Ours is worse by more than the spread."""
        return -self.gain > self.spread


def compare(ours: Result, baseline: Result) -> Comparison:
    """Compare two rows of one table draw by draw.

    Raises:
        InputError: rows of different probes, fractions, metrics, or without common draws.
    """
    same = ("probe", "fraction", "metric", "spread_of")
    if any(getattr(ours, f) != getattr(baseline, f) for f in same) or len(ours.values) != len(baseline.values):
        raise InputError(f"compare expected two rows of the same column and metric; got {ours} and {baseline}.")
    differences = np.subtract(ours.values, baseline.values)
    return Comparison(ours, baseline, ours.mean - baseline.mean, spread_of_values(differences, ours.bootstrapped))


def comparisons(table: ResultTable, ours: str, baseline: str, metric: str | None = None) -> list[Comparison]:
    """Paired differences of two sets of features of a table, one for each column that both have."""
    return [
        compare(table.row(ours, probe, fraction, metric), table.row(baseline, probe, fraction, metric))
        for probe, fraction in table.columns
        if table.has(ours, probe, fraction) and table.has(baseline, probe, fraction)
    ]


def column_title(probe: str, fraction: float) -> str:
    """Name of a column, such as "kNN, 10 %"."""
    return f"{PROBE_TITLES[probe]}, {fraction * 100:g} %"


def headline(results: ResultTable, ours: str | None = None) -> str:
    """One sentence: with the fewest labels, ours against the untrained encoder and against the best of all others."""
    ours = results.features[-1] if ours is None else ours
    metric = results.metrics[0]
    probe, fraction = _fewest_labels(results)
    found = {
        name: results.row(name, probe, fraction) for name in results.features if results.has(name, probe, fraction)
    }
    row = found.pop(ours)
    title = f"{results.title(metric)} of the {PROBE_TITLES[probe]}"
    words = f"With {row.n_labels:,} labels, the {title} is {figure(row.mean, metric)} for {ours}"
    if not found:
        return f"{words}."
    pairs = {name: compare(row, other) for name, other in found.items()}
    best = min(pairs, key=lambda name: pairs[name].gain)
    shown = [name for name in dict.fromkeys(("untrained encoder", best)) if name in pairs]
    said = []
    for name in shown:
        pair = pairs[name]
        against = "better than" if pair.beats else "worse than" if pair.loses else "no clear difference to"
        most = ", the best of the others" if name == best and len(pairs) > 1 else ""
        said.append(f"{against} {name} ({figure(pair.baseline.mean, metric)}){most}")
    return f"{words}: {'; '.join(said)}."


def verdict(results: ResultTable, ours: str | None = None) -> str:
    """A few lines that a reader without the table understands, and that claim no more than the table holds."""
    ours = results.features[-1] if ours is None else ours
    others = [name for name in results.features if name != ours]
    metric = results.metrics[0]
    probe, fraction = _fewest_labels(results)
    row = results.row(ours, probe, fraction)
    share = f"{fraction * 100:g} % of the labels ({row.n_labels:,})" if fraction < 1 else f"all {row.n_labels:,} labels"
    values = ", ".join(f"{name} {figure(results.row(name, probe, fraction).mean, metric)}" for name in [ours, *others])
    title = results.title(metric)
    words = [f"{title[0].upper()}{title[1:]} of the {PROBE_TITLES[probe]} with {share}: {values}."]
    for other in others:
        words.append(_against(ours, other, comparisons(results, ours, other)))
    alike = [name for name, figures in results.figures.items() if figures.one_direction]
    if alike:
        words.append(
            f"The vectors of {' and '.join(alike)} nearly all point in one direction (embedding spread below 0.02)."
        )
    return "\n".join(words)


def _fewest_labels(results: ResultTable) -> tuple[str, float]:
    """The column that words are about; the linear probe's, if there is one."""
    return min(results.columns, key=lambda column: (column[1], column[0] != "linear"))


def _shown(comparison: Comparison) -> str:
    metric, size = comparison.ours.metric, comparison.ours.mean
    difference = figure(abs(comparison.difference), metric, beside=size)
    sign = "-" if comparison.difference < 0 else "+"
    return f"{sign}{difference} ± {figure(comparison.spread, metric, beside=size)}"


def _against(ours: str, other: str, comparisons: Sequence[Comparison]) -> str:
    def listed(chosen: Sequence[Comparison]) -> str:
        return "; ".join(f"{column_title(c.ours.probe, c.ours.fraction)}: {_shown(c)}" for c in chosen)

    n = len(comparisons)
    won = [c for c in comparisons if c.beats]
    lost = [c for c in comparisons if c.loses]
    undecided = [c for c in comparisons if not c.beats and not c.loses]
    if won:
        where = "" if n == 1 else f" in all {n} columns" if len(won) == n else f" in {len(won)} of {n} columns"
        words = [f"{ours} beats {other} by more than the spread{where}."]
    else:
        words = [f"{ours} does not beat {other} by more than the spread{' in any column' if n > 1 else ''}."]
    if lost:
        words.append(f"It is worse by more than the spread in {len(lost)} ({listed(lost)}).")
    if undecided:
        words.append(f"No difference can be claimed in {len(undecided)} ({listed(undecided)}).")
    return " ".join(words)
