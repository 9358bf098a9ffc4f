"""Sets of features of a run's data judged by probes, and the baselines beside them."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from bam_core.config.build import Parts
from bam_core.data import PreparedData
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.runs.baselines import Choice, judge_baseline, split_labels


def judge(
    features: Mapping[str, Mapping[str, Tensor]],
    data: PreparedData,
    protocol: EvaluationProtocol,
    *,
    describe: bool = True,
) -> Results | None:
    """Evaluate sets of features.

    Args:
        features: name -> split -> rows.
        data: that they were made from.
        protocol: of the evaluation.
        describe: whether to add the label-free figures.

    Returns:
        The table, or None for data without labels or without a test split.

    Raises:
        InputError: labels that cannot be probed, such as of one class only.
    """
    labels = split_labels(data)
    if labels is None:
        return None
    return evaluate(
        {name: Features(s["train"], s["test"], s.get("validation")) for name, s in features.items()},
        labels,
        protocol,
        data_fingerprint=data.fingerprint,
        describe=describe,
    )


def with_baselines(results: Results, choice: Choice, parts: Parts) -> Results:
    """The table with the rows of the baselines behind that of the raw features, and what is to be said of them."""
    judged = [judge_baseline(name, parts.modality, parts.data, parts.resolved.evaluate) for name in choice.chosen]
    raw, *others = results.features
    joined = results.restricted([raw]).joined([*filter(None, judged), results.restricted(others)])
    return replace(joined, notes=(*joined.notes, *choice.notes), baselines=choice.chosen)
