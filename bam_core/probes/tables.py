"""The results as tables: sets of features down, probes and fractions of the labels across, the best in bold."""

from html import escape
from typing import TYPE_CHECKING

from bam_core.errors import InputError
from bam_core.probes.class_tables import class_views
from bam_core.probes.fold_tables import fold_view
from bam_core.probes.metrics import LOWER_IS_BETTER, PROBE_TITLES, UNDEFINED, figure
from bam_core.probes.result_table import Cost, Result, ResultTable
from bam_core.probes.table_view import Cell, Column, TableView

if TYPE_CHECKING:
    from rich.table import Table


def table_view(results: ResultTable, metric: str | None = None) -> TableView:
    """Arrange the results of one metric; RankMe and spread of the embeddings, and costs, come last.

    Raises:
        InputError: the results hold no such metric.
    """
    metric = results.metrics[0] if metric is None else metric
    if metric not in results.metrics:
        raise InputError(f"no metric {metric!r} in these results; there are {', '.join(results.metrics)}.")
    columns = []
    spreads: dict[str, dict[str, None]] = {}
    rows: dict[str, list[Cell]] = {name: [] for name in results.features}
    for probe, fraction in results.columns:
        have = [name for name in results.features if results.has(name, probe, fraction)]
        column = [results.row(name, probe, fraction, metric) for name in have]
        share = f"{fraction * 100:g} %"
        columns.append(Column(PROBE_TITLES[probe], share, f"{column[0].n_labels:,}"))
        shown = {row.features: figure(row.mean, metric) for row in column}
        defined = [float(value) for value in shown.values() if value != UNDEFINED]
        top = (min if metric in LOWER_IS_BETTER else max)(defined, default=None)
        for row in column:
            value = shown[row.features]
            if value == UNDEFINED:
                rows[row.features].append(Cell(value))
                continue
            short = f"±{figure(row.spread, metric, beside=row.mean)}".replace("0.", ".")
            rows[row.features].append(Cell(value, _spread(row), short, float(value) == top))
        for name in set(rows) - set(have):
            rows[name].append(Cell("-"))
        spreads.setdefault(column[0].spread_of, {})[share] = None
    if results.figures:
        columns += [Column("RankMe / width"), Column("embedding spread")]
        for name in results.features:
            figures = results.figures.get(name)
            rank = "-" if figures is None or figures.rankme is None else f"{figures.rankme:.1f} / {figures.width}"
            spread = "-" if figures is None or figures.spread is None else f"{figures.spread:.3f}"
            rows[name] += [Cell(rank), Cell(spread)]
    if results.costs:
        columns += [Column("seconds"), Column("memory, MiB")]
        for name in results.features:
            cost = results.costs.get(name)
            rows[name] += [Cell("-"), Cell("-")] if cost is None else _cost_cells(cost)
    footnotes = [f"Spread at {' and '.join(shares)}: {what}." for what, shares in spreads.items()]
    return TableView(results.title(metric), columns, rows, footnotes)


def _cost_cells(cost: Cost) -> list[Cell]:
    processor = f"{cost.processor_seconds:,.0f}"
    seconds = Cell(f"{cost.seconds:,.0f}", f"({processor} of processor)", f"cpu {processor}")
    return [seconds, Cell(f"{cost.mebibytes:,.0f}")]


def class_markdown(results: ResultTable) -> str:
    """Tables of single classes in Markdown; empty unless labels are several a row."""
    return "\n".join(line for view in class_views(results) for line in _plain_markdown(view))


def _plain_markdown(view: TableView) -> list[str]:
    """Lines of a table with one line of heads."""
    lines = [f"| {view.title} | " + " | ".join(column.title for column in view.columns) + " |"]
    lines += ["|---|" + "---:|" * len(view.columns)]
    for name, cells in view.rows.items():
        values = [f"**{cell.value}**" if cell.best else cell.value for cell in cells]
        texts = [f"{value} {cell.spread}".strip() for value, cell in zip(values, cells, strict=True)]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return [*lines, "", *view.footnotes, ""]


def markdown_table(results: ResultTable, metric: str | None = None) -> str:
    """The table in Markdown, with a line on spreads and hashes below."""
    view = table_view(results, metric)
    heads = [f"{c.title}, {c.share} (n = {c.n_labels})" if c.share else c.title for c in view.columns]
    lines = [f"| {view.title} | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name, cells in view.rows.items():
        values = [f"**{cell.value}**" if cell.best else cell.value for cell in cells]
        texts = [f"{value} {cell.spread}".strip() for value, cell in zip(values, cells, strict=True)]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    lines += ["", " ".join(view.footnotes), identity(results)]
    folds = fold_view(results, metric)
    return "\n".join([*lines, *(["", *_plain_markdown(folds)] if folds else [])]) + "\n"


def html_table(results: ResultTable, metric: str | None = None) -> str:
    """The table in HTML, for notebooks, with a line on spreads and hashes below."""
    view = table_view(results, metric)
    heads = [
        f"{escape(c.title)}<br>{c.share}<br><small>n = {c.n_labels}</small>" if c.share else escape(c.title)
        for c in view.columns
    ]
    lines = ["<table>", f"<tr><th>{escape(view.title)}</th>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for name, cells in view.rows.items():
        values = [f"<b>{escape(cell.value)}</b>" if cell.best else escape(cell.value) for cell in cells]
        spreads = [f"<br><small>{escape(cell.spread)}</small>" if cell.spread else "" for cell in cells]
        texts = "".join(f"<td>{value}{spread}</td>" for value, spread in zip(values, spreads, strict=True))
        lines.append(f"<tr><th>{escape(name)}</th>{texts}</tr>")
    lines += ["</table>", f"<small>{escape(' '.join([*view.footnotes, identity(results)]))}</small>"]
    folds = fold_view(results, metric)
    return "\n".join([*lines, *([] if folds is None else _plain_html(folds))])


def _plain_html(view: TableView) -> list[str]:
    heads = "".join(f"<th>{escape(column.title)}</th>" for column in view.columns)
    lines = ["<table>", f"<tr><th>{escape(view.title)}</th>{heads}</tr>"]
    for name, cells in view.rows.items():
        texts = "".join(
            f"<td>{f'<b>{escape(cell.value)}</b>' if cell.best else escape(cell.value)}</td>" for cell in cells
        )
        lines.append(f"<tr><th>{escape(name)}</th>{texts}</tr>")
    return [*lines, "</table>", f"<small>{escape(' '.join(view.footnotes))}</small>"]


def console_table(results: ResultTable, metric: str | None = None) -> "Table":
    """The table for a rich console; with six columns and short names it fits 80 characters."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    view = table_view(results, metric)
    half = ["± is half of an interval."] if any(row.bootstrapped for row in results.rows) else []
    table = Table(
        title=view.title,
        caption="\n".join([*view.footnotes, *half, identity(results)]),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("")
    short_titles = {
        "linear probe": "linear",
        "RankMe / width": "RankMe",
        "embedding spread": "embed.\nspread",
        "memory, MiB": "memory,\nMiB",
    }
    for column in view.columns:
        head = [short_titles.get(column.title, column.title), column.share, column.n_labels]
        table.add_column("\n".join(line for line in head if line), justify="right")
    for name, cells in view.rows.items():
        texts = [Text(cell.value.partition(" /")[0], style="bold green" if cell.best else "") for cell in cells]
        for text, cell in zip(texts, cells, strict=True):
            text.append(f"\n{cell.short}" if cell.short else "", style="dim not bold")
        table.add_row(name, *texts)
    return table


def class_console_tables(results: ResultTable, most: int) -> "list[Table]":
    """Tables of single classes for a rich console."""
    return [_plain_console(view) for view in class_views(results, most)]


def fold_console_table(results: ResultTable, metric: str | None = None) -> "Table | None":
    """The folds of a cross-validation for a rich console."""
    view = fold_view(results, metric)
    return None if view is None else _plain_console(view)


def _plain_console(view: TableView) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=view.title,
        caption=" ".join(view.footnotes),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("")
    for column in view.columns:
        table.add_column(column.title, justify="right")
    for name, cells in view.rows.items():
        texts = [Text(cell.value, style="bold green" if cell.best else "") for cell in cells]
        for text, cell in zip(texts, cells, strict=True):
            text.append(f" {cell.short}" if cell.short else "", style="dim not bold")
        table.add_row(name, *texts)
    return table


def identity(results: ResultTable) -> str:
    """What says whether two tables may be compared."""
    runs = f" {results.n_runs} runs." if results.n_runs > 1 else ""
    return f"Protocol {results.protocol.hash()}, labels {results.labels_hash}.{runs}"


def _spread(row: Result) -> str:
    if not row.bootstrapped:
        return f"± {figure(row.spread, row.metric, beside=row.mean)}"
    low, high = (figure(value, row.metric, beside=row.mean) for value in row.interval)
    return f"[{low}, {high}]"
