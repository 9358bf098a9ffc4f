"""Rows of numbers with their spread, and the hashes that say what they may be compared to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bam_core.errors import InputError
from bam_core.probes.classes import ClassResult
from bam_core.probes.embeddings import EmbeddingFigures
from bam_core.probes.metrics import metric_title
from bam_core.probes.protocol import EvaluationProtocol


@dataclass(frozen=True)
class Result:
    """One metric of one probe on one set of features at one fraction of the labels.

    Attributes:
        features: name of the set of features.
        probe: "knn" or "linear".
        fraction: part of the labels of train.
        metric: name of the metric.
        mean: mean over the draws of labels; at fraction 1 the value on all of test.
        spread: half the width of what `spread_of` names; for a standard deviation, that deviation.
        spread_of: in words.
        n_labels: labelled rows that the probe saw (mean over the draws).
        seconds: time of all fits of this probe and fraction, shared by the metrics.
        values: a value a draw, or a value a bootstrap resampling; the same position is the same draw or resampling
            in every set of features, so differences are paired.
    """

    features: str
    probe: str
    fraction: float
    metric: str
    mean: float
    spread: float
    spread_of: str
    n_labels: int
    seconds: float
    values: tuple[float, ...] = field(repr=False)

    @property
    def bootstrapped(self) -> bool:
        """Whether `values` are resamplings of test, not draws of labels or runs."""
        return "bootstrap" in self.spread_of

    @property
    def interval(self) -> tuple[float, float]:
        """95 % percentile interval of the bootstrap, or mean -+ standard deviation."""
        if self.bootstrapped:
            low, high = np.nanpercentile(self.values, [2.5, 97.5])
            return float(low), float(high)
        return self.mean - self.spread, self.mean + self.spread


class Cost(NamedTuple):
    """What pretraining took.

    Attributes:
        seconds: of wall time.
        processor_seconds: of all cores; on a busy machine they say more.
        mebibytes: by which the process grew.
    """

    seconds: float
    processor_seconds: float
    mebibytes: float


class FoldInfo(NamedTuple):
    """A fold of a cross-validation.

    Attributes:
        name: of the groups that are held out, the first of them if they are many.
        groups: all of them; empty where there are no groups.
        n_rows: labelled rows that are held out.
    """

    name: str
    groups: tuple[str, ...]
    n_rows: int


@dataclass(frozen=True)
class ResultTable:
    """The table of an evaluation.

    Attributes:
        rows: the numbers.
        protocol: how they were found.
        labels_hash: identifies labels, groups and splits; equal protocol and labels hash make tables comparable.
        data_fingerprint: of the prepared data, as the caller gave it.
        encoder: which one was evaluated, where that is known: `network`, and `weights` that identify it.
        classes: names of the classes.
        figures: RankMe and spread of every set of features on test.
        costs: of the pretraining behind a set of features, where it was measured.
        notes: what a reader should know: classes missing in train, groups in two splits, rows left out.
        n_runs: how many runs were aggregated.
        baselines: those that were asked for and could be had, see `bam_core.protocols.Baseline`.
        by_class: of multi-label data, every class for itself.
        folds: of a cross-validation, in the order of the rows' `values`.
    """

    rows: tuple[Result, ...]
    protocol: EvaluationProtocol
    labels_hash: str
    data_fingerprint: str = ""
    encoder: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    figures: Mapping[str, EmbeddingFigures] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_runs: int = 1
    baselines: tuple[str, ...] = ()
    by_class: tuple[ClassResult, ...] = ()
    folds: tuple[FoldInfo, ...] = ()

    @property
    def features(self) -> list[str]:
        """Names of the sets of features, in the order given."""
        return list(dict.fromkeys(row.features for row in self.rows))

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the headline first."""
        return list(dict.fromkeys(row.metric for row in self.rows))

    @property
    def columns(self) -> list[tuple[str, float]]:
        """(probe, fraction) of the table's columns."""
        found = dict.fromkeys((row.probe, row.fraction) for row in self.rows)
        return sorted(found, key=lambda column: [*self.protocol.probes, column[0]].index(column[0]))

    def title(self, metric: str) -> str:
        """Name of a metric as tables print it."""
        return metric_title(metric, self.protocol.classes)

    def row(self, features: str, probe: str, fraction: float, metric: str | None = None) -> Result:
        """One row; the headline metric unless another is named.

        Raises:
            InputError: there is no such row.
        """
        key = (features, probe, fraction, metric or self.metrics[0])
        for row in self.rows:
            if (row.features, row.probe, row.fraction, row.metric) == key:
                return row
        raise InputError(
            f"no result for {key}; features are {self.features}, columns {self.columns}, metrics {self.metrics}."
        )

    def has(self, features: str, probe: str, fraction: float) -> bool:
        """Whether there is such a row; a model on raw columns has none for kNN."""
        return any((row.features, row.probe, row.fraction) == (features, probe, fraction) for row in self.rows)
