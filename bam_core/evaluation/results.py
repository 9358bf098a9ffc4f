"""What an evaluation found: rows of numbers with their spread, and the hashes that say what they may be compared to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bam_core.errors import DataError, InputError
from bam_core.evaluation.classes import ClassResult
from bam_core.evaluation.embeddings import EmbeddingFigures
from bam_core.evaluation.metrics import metric_title
from bam_core.evaluation.protocol import EvaluationProtocol
from bam_core.outputs import write_text

if TYPE_CHECKING:
    from rich.table import Table

    from bam_core.evaluation.verdict import Comparison

FORMAT = 1  # of results.json


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
        seconds: time of all fits of this cell, shared by its metrics.
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


@dataclass(frozen=True)
class Results:
    """The table of an evaluation.

    Attributes:
        rows: the numbers.
        protocol: how they were found.
        labels_hash: identifies labels, groups and splits; equal protocol and labels hash make tables comparable.
        data_fingerprint: of the prepared data, as the caller gave it.
        encoder: which one was judged, where that is known: `network`, and `weights` that identify it.
        classes: names of the classes.
        figures: RankMe and spread of every set of features on test.
        costs: of the pretraining behind a set of features, where it was measured.
        notes: what a reader should know: classes missing in train, groups in two splits, rows left out.
        n_runs: how many runs were aggregated.
        baselines: those that were asked for and could be had, see `bam_core.protocols.Baseline`.
        by_class: of multi-label data, every class for itself.
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

    def compare(self, ours: str, baseline: str, metric: str | None = None) -> "list[Comparison]":
        """Paired differences of two sets of features, one for each column that both have; see `Comparison`."""
        from bam_core.evaluation.verdict import compare

        return [
            compare(self.row(ours, probe, fraction, metric), self.row(baseline, probe, fraction, metric))
            for probe, fraction in self.columns
            if self.has(ours, probe, fraction) and self.has(baseline, probe, fraction)
        ]

    def verdict(self, ours: str | None = None) -> str:
        """In words: whether `ours` (default: the last set of features) beats the others by more than the spread."""
        from bam_core.evaluation.verdict import verdict

        return verdict(self, ours)

    def to_markdown(self, metric: str | None = None) -> str:
        """The table of one metric (default: the headline) for documentation; the best of a column in bold."""
        from bam_core.evaluation.tables import markdown_table

        return markdown_table(self, metric)

    def by_class_to_console(self, most: int = 20) -> "list[Table]":
        """Tables of single classes for rich, the most frequent ones; none unless labels are several a row."""
        from bam_core.evaluation.tables import class_console_tables

        return class_console_tables(self, most)

    def to_console(self, metric: str | None = None) -> "Table":
        """The table of one metric (default: the headline) for rich; the best of a column in bold."""
        from bam_core.evaluation.tables import console_table

        return console_table(self, metric)

    def joined(self, others: "Iterable[Results]") -> "Results":
        """The rows, figures, costs and notes of other sets of features behind these."""
        parts = [self, *others]
        return replace(
            self,
            rows=tuple(row for part in parts for row in part.rows),
            figures={name: figures for part in parts for name, figures in part.figures.items()},
            costs={name: cost for part in parts for name, cost in part.costs.items()},
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            by_class=tuple(row for part in parts for row in part.by_class),
        )

    def restricted(self, features: Sequence[str]) -> "Results":
        """The results of some sets of features only, in that order."""
        return replace(
            self,
            rows=tuple(row for name in features for row in self.rows if row.features == name),
            figures={name: self.figures[name] for name in features if name in self.figures},
            costs={name: self.costs[name] for name in features if name in self.costs},
            by_class=tuple(row for name in features for row in self.by_class if row.features == name),
        )

    def save(self, path: str | Path) -> None:
        """Write JSON: protocol, hashes, notes, figures and rows."""
        write_text(Path(path), json.dumps(self.to_plain(), indent=1))

    def to_plain(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "format": FORMAT,
            "protocol": self.protocol.model_dump(mode="json"),
            "protocol_hash": self.protocol.hash(),
            "labels_hash": self.labels_hash,
            "data_fingerprint": self.data_fingerprint,
            "encoder": dict(self.encoder),
            "classes": self.classes,
            "n_runs": self.n_runs,
            "baselines": self.baselines,
            "notes": self.notes,
            "figures": {name: figures._asdict() for name, figures in self.figures.items()},
            "costs": {name: cost._asdict() for name, cost in self.costs.items()},
            "rows": [_plain(row) for row in self.rows],
            "by_class": [asdict(row) for row in self.by_class],
        }

    @classmethod
    def load(cls, path: str | Path) -> "Results":
        """Read what `save` wrote.

        Raises:
            DataError: no such file, another format, or a protocol whose hash is not the stored one.
        """
        path = Path(path)
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{path} expected results that `Results.save` wrote; got {error!r}.") from error
        return cls.from_plain(content, where=str(path))

    @classmethod
    def from_plain(cls, content: Any, *, where: str = "the table") -> "Results":
        """The inverse of `to_plain`.

        Raises:
            DataError: something else, another format, or a protocol whose hash is not the stored one.
        """
        try:
            return cls._from_plain(content, where)
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{where} expected results that `Results.save` wrote; got {error!r}.") from error

    @classmethod
    def _from_plain(cls, content: Any, where: str) -> "Results":
        found = content["format"]
        if found != FORMAT:
            raise DataError(f"{where} expected results of format {FORMAT}; got {found}. Evaluate again.")
        protocol = EvaluationProtocol(**content["protocol"])
        if protocol.hash() != content["protocol_hash"]:
            raise DataError(
                f"{where} expected a protocol of hash {content['protocol_hash']}; got {protocol.hash()}: the file was "
                "changed, or another version wrote it. Evaluate again."
            )
        return cls(
            rows=tuple(Result(**{**row, "values": tuple(row["values"])}) for row in content["rows"]),
            protocol=protocol,
            labels_hash=content["labels_hash"],
            data_fingerprint=content["data_fingerprint"],
            encoder=content.get("encoder", {}),
            classes=tuple(content["classes"]),
            figures={name: EmbeddingFigures(**figures) for name, figures in content["figures"].items()},
            costs={name: Cost(**cost) for name, cost in content.get("costs", {}).items()},
            notes=tuple(content["notes"]),
            n_runs=content["n_runs"],
            baselines=tuple(content.get("baselines", ())),
            by_class=tuple(ClassResult(**row) for row in content.get("by_class", ())),
        )


def _plain(row: Result) -> dict[str, Any]:
    return {**asdict(row), "values": [float(f"{value:.6g}") for value in row.values]}
