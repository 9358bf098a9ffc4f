"""Multi-label data class by class, as tables."""

import numpy as np

from bam_core.probes.metrics import PROBE_TITLES, UNDEFINED, figure, metric_title
from bam_core.probes.result_table import ResultTable
from bam_core.probes.table_view import Cell, Column, TableView


def class_views(results: ResultTable, most: int | None = None) -> list[TableView]:
    """A table for each metric: classes down, the most frequent first, sets of features across.

    Args:
        results: of an evaluation; without results by class there are no tables.
        most: classes to show.
    """
    if not results.by_class:
        return []
    probe = results.by_class[-1].probe
    rows = [row for row in results.by_class if row.probe == probe]
    features = list(dict.fromkeys(row.features for row in rows))
    counts = sorted({row.name: row.n_test for row in rows}.items(), key=lambda item: -item[1])
    shown = counts[:most]
    views = []
    for metric in dict.fromkeys(row.metric for row in rows):
        of = {(row.name, row.features): row for row in rows if row.metric == metric}
        cells: dict[str, list[Cell]] = {}
        for name, n_test in shown:
            values = [of[name, one] for one in features if (name, one) in of]
            top = max((round(row.mean, 3) for row in values if np.isfinite(row.mean)), default=None)
            cells[name] = [Cell(f"{n_test:,}")]
            for row in values:
                value, spread = figure(row.mean, metric), f"±{figure(row.spread, metric)}"
                spread = "" if value == UNDEFINED else spread
                cells[name].append(Cell(value, spread, spread.replace("0.", "."), round(row.mean, 3) == top))
        left = f" {len(counts) - len(shown)} rarer classes are left out here." if len(counts) > len(shown) else ""
        title = f"{metric_title(metric)} by class, {PROBE_TITLES[probe]}, all labels"
        columns = [Column("rows of test"), *map(Column, features)]
        what = (
            "half of a 95 % bootstrap interval"
            if results.n_runs == 1
            else f"standard deviation over {results.n_runs} runs"
        )
        views.append(TableView(title, columns, cells, [f"±: {what}.{left}"]))
    return views
