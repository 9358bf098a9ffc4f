"""What an evaluation found: a table with what can be said of it in words, and its file, `results.json`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bam_core.errors import DataError
from bam_core.outputs import write_text
from bam_core.probes.classes import ClassResult
from bam_core.probes.embeddings import EmbeddingFigures
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.result_table import Cost, FoldInfo, Result, ResultTable
from bam_core.probes.tables import class_console_tables, console_table, fold_console_table, html_table, markdown_table
from bam_core.probes.verdict import Comparison, comparisons, headline, verdict

if TYPE_CHECKING:
    from rich.table import Table

FORMAT = 1  # of results.json


@dataclass(frozen=True)
class Results(ResultTable):
    """The table of an evaluation, with words, tables to print, and a file."""

    def compare(self, ours: str, baseline: str, metric: str | None = None) -> list[Comparison]:
        """Paired differences of two sets of features, one for each column that both have; see `Comparison`."""
        return comparisons(self, ours, baseline, metric)

    def verdict(self, ours: str | None = None) -> str:
        """In words: whether `ours` (default: the last set of features) beats the others by more than the spread."""
        return verdict(self, ours)

    def headline(self, ours: str | None = None) -> str:
        """One sentence: with the fewest labels, `ours` against the untrained encoder and the best of the others."""
        return headline(self, ours)

    def to_markdown(self, metric: str | None = None) -> str:
        """The table of one metric (default: the headline) for documentation; the best of a column in bold."""
        return markdown_table(self, metric)

    def _repr_html_(self) -> str:
        """What notebooks show: the table of the headline metric and the verdict."""
        words = "<br>".join(map(escape, self.verdict().splitlines()))
        return f"{html_table(self)}\n<p>{words}</p>"

    def by_class_to_console(self, most: int = 20) -> "list[Table]":
        """Tables of single classes for rich, the most frequent ones; none unless labels are several a row."""
        return class_console_tables(self, most)

    def folds_to_console(self, metric: str | None = None) -> "Table | None":
        """The folds of a cross-validation for rich, one by one; None of anything else."""
        return fold_console_table(self, metric)

    def to_console(self, metric: str | None = None) -> "Table":
        """The table of one metric (default: the headline) for rich; the best of a column in bold."""
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
            **({"folds": [fold._asdict() for fold in self.folds]} if self.folds else {}),
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
            folds=tuple(
                FoldInfo(fold["name"], tuple(fold["groups"]), fold["n_rows"]) for fold in content.get("folds", ())
            ),
        )


def _plain(row: Result) -> dict[str, Any]:
    return {**asdict(row), "values": [float(f"{value:.6g}") for value in row.values]}
