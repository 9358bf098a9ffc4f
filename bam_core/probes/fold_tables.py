"""The folds of a cross-validation one by one, as a table."""

from bam_core.probes.metrics import LOWER_IS_BETTER, PROBE_TITLES, UNDEFINED, figure
from bam_core.probes.result_table import ResultTable
from bam_core.probes.table_view import Cell, Column, TableView


def fold_view(results: ResultTable, metric: str | None = None) -> TableView | None:
    """Folds down, sets of features across, with all labels; of the linear probe if there is one.

    Args:
        results: of a cross-validation; of anything else there is no table.
        metric: default: the headline.
    """
    if not results.folds:
        return None
    metric = results.metrics[0] if metric is None else metric
    probe, fraction = max(results.columns, key=lambda column: (column[1], column[0] != "knn"))
    names = [name for name in results.features if results.has(name, probe, fraction)]
    rows = [results.row(name, probe, fraction, metric) for name in names]
    best = min if metric in LOWER_IS_BETTER else max
    cells: dict[str, list[Cell]] = {}
    for place, fold in enumerate(results.folds):
        shown = [figure(row.values[place], metric) for row in rows]
        top = best((float(value) for value in shown if value != UNDEFINED), default=None)
        cells[fold.name] = [Cell(f"{fold.n_rows:,}")]
        cells[fold.name] += [Cell(v, best=v != UNDEFINED and float(v) == top) for v in shown]
    title = f"{results.title(metric)} of every fold, {PROBE_TITLES[probe]}, {fraction * 100:g} %"
    what = "groups that are held out" if results.folds[0].groups else "rows that are held out"
    return TableView(title, [Column("rows"), *map(Column, names)], cells, [f"A line is a fold, called by the {what}."])
