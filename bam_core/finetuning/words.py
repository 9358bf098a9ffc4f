"""What a curve says, in a sentence for each number of labels: fine-tuned against the best that needs no pretraining."""

from bam_core.finetuning.trials import OURS
from bam_core.probes.metrics import LOWER_IS_BETTER, figure
from bam_core.probes.result_table import ResultTable
from bam_core.probes.verdict import compare

LINEAR = "linear probe"
COLUMN = "model"


def verdict(results: ResultTable) -> str:
    """A sentence for each part of the labels, few labels first.

    Args:
        results: the table of a fine-tuning.
    """
    metric = results.metrics[0]
    title = results.title(metric)
    others = [name for name in results.features if name not in (OURS, LINEAR)]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    lines = []
    told = set()
    for _, fraction in sorted(results.columns, key=lambda column: column[1]):
        ours = results.row(OURS, COLUMN, fraction)
        if ours.n_labels in told:  # of few labels a hundredth may be as many as a tenth
            continue
        told.add(ours.n_labels)
        rows = [results.row(name, COLUMN, fraction) for name in others if results.has(name, COLUMN, fraction)]
        text = (
            f"With {ours.n_labels:,} labels ({fraction * 100:g} %), {title} is {figure(ours.mean, metric)} fine-tuned"
        )
        if rows:
            best = max(rows, key=lambda row: sign * row.mean)
            found = compare(ours, best)
            said = "better" if found.beats else "worse" if found.loses else ""
            said = f"fine-tuned is {said} by more than the spread" if said else "no difference can be claimed"
            text += (
                f"; the best that needs no pretraining, {best.features}, has {figure(best.mean, metric)}: {said} "
                f"(± {figure(found.spread, metric, beside=ours.mean)})"
            )
        lines.append(f"{text}.")
    return "\n".join(lines)
