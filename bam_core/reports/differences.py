"""Differences between one set of features and the others, with intervals."""

from bam_core.probes.metrics import PROBE_TITLES, figure
from bam_core.probes.results import Results
from bam_core.probes.verdict import Comparison, comparisons
from bam_core.reports.figures import Drawing, _drawing, _figure
from bam_core.reports.palette import COLOURS, GREY


def difference_chart(results: Results, ours: str | None = None) -> Drawing | None:
    """A panel for each number of labels, a line for each other set of features; None where there is no other.

    A point is the paired difference, to the right where ours is better, and its bar the spread. Differences within
    their spread are grey. The probe is the one that the table ends with.

    Args:
        results: of an evaluation or a comparison.
        ours: the set of features that is compared with the others; the last one if it is not named.
    """
    ours = ours or results.features[-1]
    others = [name for name in results.features if name != ours]
    probe, metric = results.columns[-1][0], results.metrics[0]
    fractions = sorted(fraction for name, fraction in results.columns if name == probe)
    found = {
        (pair.baseline.features, pair.ours.fraction): pair
        for other in others
        for pair in comparisons(results, ours, other)
        if pair.ours.probe == probe
    }
    others = [name for name in others if any((name, fraction) in found for fraction in fractions)]
    if not others:
        return None
    with _figure(2.0 + 2.4 * len(fractions), 0.9 + 0.3 * len(others)) as drawn:
        panels = drawn.subplots(1, len(fractions), squeeze=False, sharey=True)[0]
        for axes, fraction in zip(panels, fractions, strict=True):
            for place, name in enumerate(others):
                if pair := found.get((name, fraction)):
                    axes.errorbar(pair.gain, place, xerr=pair.spread, fmt="o", color=_colour(pair), capsize=2.5)
            axes.axvline(0, color="#777777", linestyle="--", linewidth=1)
            axes.set_title(f"{results.row(ours, probe, fraction, metric).n_labels:,} labels", loc="left")
            axes.set_yticks(range(len(others)), others)
            axes.set_xlabel(f"{ours} is better by")
        panels[0].invert_yaxis()
        said = "; ".join(
            f"{name}, {fraction * 100:g} %: {figure(pair.gain, metric)} ± {figure(pair.spread, metric)}"
            for (name, fraction), pair in found.items()
        )
        title = f"{results.title(metric)} of the {PROBE_TITLES[probe]}, {ours} minus the others"
        return _drawing(drawn, f"{title}: {said}.", title, vector=True)


def _colour(pair: Comparison) -> str:
    return COLOURS[0] if pair.beats else COLOURS[5] if pair.loses else GREY
