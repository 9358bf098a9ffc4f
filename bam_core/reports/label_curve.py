"""Score against the number of labels: the picture that says whether pretraining pays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bam_core.probes.results import Results
from bam_core.reports.figures import Drawing, _drawing, _figure
from bam_core.reports.palette import COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHED = ("raw features", "untrained encoder")


def label_curve(results: Results, *, ours: str | None = None) -> Drawing | None:
    """A line a set of features, with intervals, for the probe that the table ends with; None for one fraction only.

    Args:
        results: of an evaluation or a comparison.
        ours: the set of features that stands out; the last one if it is not named.
    """
    if len(results.protocol.fractions) < 2:
        return None
    with _drawn(results, ours) as figure:
        alt = f"{results.title(results.metrics[0])} of the {results.columns[-1][0]} probe against the number of labels"
        return _drawing(figure, alt, vector=True)


def save_label_curve(results: Results, path: Path, *, ours: str | None = None) -> Path | None:
    """The same as a PNG file; None where there is nothing to draw."""
    if len(results.protocol.fractions) < 2:
        return None
    with _drawn(results, ours) as figure:
        figure.savefig(path, dpi=140)
    return path


@contextmanager
def _drawn(results: Results, ours: str | None) -> Iterator["Figure"]:
    with _figure(7.2, 3.4) as figure:
        _draw(figure, results, results.columns[-1][0], results.metrics[0], ours or results.features[-1])
        yield figure


def _draw(figure: "Figure", results: Results, probe: str, metric: str, ours: str) -> None:
    axes = figure.add_subplot()
    fractions = sorted(fraction for name, fraction in results.columns if name == probe)
    colours = _colours(results.features, ours)
    for place, name in enumerate(results.features):
        rows = [results.row(name, probe, part, metric) for part in fractions if results.has(name, probe, part)]
        if not rows:  # a model on raw columns has no neighbours
            continue
        shift = 1 + 0.02 * (place - len(results.features) / 2)  # so that bars stand beside each other
        axes.errorbar(
            [row.n_labels * shift for row in rows],
            [row.mean for row in rows],
            [row.spread for row in rows],
            label=name,
            color=colours[name],
            linestyle="--" if name in _DASHED else "-",
            linewidth=2.4 if name == ours else 1.4,
            marker="o",
            markersize=5 if name == ours else 3.5,
            capsize=2.5,
            elinewidth=1,
        )
    axes.set_xscale("log")
    seen = sorted({row.n_labels for row in results.rows if row.probe == probe})
    axes.set_xticks(seen, [f"{n:,}" for n in seen])
    axes.minorticks_off()
    axes.set_xlabel("labels of train that were seen")
    axes.set_ylabel(results.title(metric))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _colours(names: Sequence[str], ours: str) -> dict[str, str]:
    others = [name for name in names if name != ours and name not in _DASHED]
    fixed = {ours: COLOURS[0], "raw features": GREY, "untrained encoder": "#707070"}
    return {name: COLOURS[1 + place % (len(COLOURS) - 1)] for place, name in enumerate(others)} | fixed
