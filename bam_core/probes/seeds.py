"""Several runs of one experiment with different training seeds, as one table: mean and standard deviation."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bam_core.errors import InputError
from bam_core.probes.classes import mean_over_runs
from bam_core.probes.embeddings import EmbeddingFigures
from bam_core.probes.metrics import spread_of_values
from bam_core.probes.result_table import Cost, Result
from bam_core.probes.results import Results


def aggregate(runs: Sequence[Results]) -> Results:
    """Mean and standard deviation over runs; below fraction 1 over all draws of all runs.

    Every set of features is averaged over the runs, so raw features, which no training seed touches, show only the
    spread of the draws (and none at fraction 1).

    Args:
        runs: results with the same protocol, labels, features and metrics, at least two.

    Returns:
        Results whose `values` are those of all runs in order, so that comparisons stay paired.

    Raises:
        InputError: fewer than two runs, or runs that may not be compared.
    """
    if len(runs) < 2:
        raise InputError(f"aggregate expected at least two runs; got {len(runs)}.")
    first = runs[0]
    for what in ("protocol", "labels_hash", "features", "columns", "metrics"):
        found = [getattr(run, what) for run in runs]
        if any(value != found[0] for value in found):
            shown = [run.protocol.hash() for run in runs] if what == "protocol" else found
            raise InputError(f"aggregate expected runs of the same {what}; got {shown}. Evaluate them alike.")
    rows = []
    for row in first.rows:
        same = [run.row(row.features, row.probe, row.fraction, row.metric) for run in runs]
        rows.append(_joined(same))
    figures = {name: _mean_figures([run.figures[name] for run in runs]) for name in first.figures}
    costs = {
        name: Cost(*(float(np.mean(values)) for values in zip(*(run.costs[name] for run in runs), strict=True)))
        for name in first.costs
    }
    by_class = mean_over_runs([run.by_class for run in runs])
    notes = tuple(dict.fromkeys(note for run in runs for note in run.notes))
    return replace(
        first,
        rows=tuple(rows),
        encoder={},
        figures=figures,
        costs=costs,
        notes=notes,
        by_class=by_class,
        n_runs=len(runs),
    )


def _joined(rows: Sequence[Result]) -> Result:
    if rows[0].bootstrapped:
        values = tuple(row.mean for row in rows)
        spread_of = f"standard deviation over {len(rows)} runs"
    else:
        values = tuple(value for row in rows for value in row.values)
        spread_of = f"standard deviation over {len(rows)} runs x {len(rows[0].values)} draws of labels"
    return replace(
        rows[0],
        mean=float(np.mean([row.mean for row in rows])),
        spread=spread_of_values(values, False),
        spread_of=spread_of,
        seconds=float(np.mean([row.seconds for row in rows])),
        values=values,
    )


def _mean_figures(figures: Sequence[EmbeddingFigures]) -> EmbeddingFigures:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    return EmbeddingFigures(figures[0].width, mean([f.rankme for f in figures]), mean([f.spread for f in figures]))
