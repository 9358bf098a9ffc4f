"""Rows that were embedded, read again to be shown: as signals, pictures or rows of a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData, SplitDataset
from bam_core.errors import DataError
from bam_core.reports.pictures import Sample, take_sample
from bam_core.runs.new_data import read_files
from bam_core.runs.pretrained import PretrainedEncoder


class Samples:
    """Samples by the id of their row.

    Args:
        recipe: of the run.
        encoder: of the run.
        data: as they were read for it.
    """

    def __init__(self, recipe: Resolved, encoder: PretrainedEncoder, data: PreparedData) -> None:
        self.draw = encoder.modality.draw
        self._rows = {
            split: SplitDataset(rows, encoder.modality.collate, data.facts) for split, rows in data.splits.items()
        }
        self._place = {
            str(name): (split, row) for split, rows in data.splits.items() for row, name in enumerate(rows["id"])
        }
        views = recipe.views
        self._untouched: Any = None
        if hasattr(views.factory, "untouched"):
            self._untouched = views.factory(**views.with_facts(encoder.facts)).untouched

    @classmethod
    def of_source(cls, recipe: Resolved, encoder: PretrainedEncoder, source: Mapping[str, Any]) -> "Samples":
        """Those of a file of embeddings.

        Args:
            recipe: of the run.
            encoder: of the run.
            source: `Embeddings.source`.

        Raises:
            BAMError: its data cannot be read again, or it does not say where they are.
        """
        where = source.get("data") or {}
        if not where.get("path"):
            raise DataError("the embeddings are of rows that were in memory, which cannot be read again.")
        return cls(recipe, encoder, read_files(recipe, encoder, Path(where["path"]), where.get("options") or {}))

    def get(self, name: str) -> Sample | None:
        """The untouched sample of a row, or None if there is none of that name."""
        if name not in self._place:
            return None
        split, row = self._place[name]
        batch = self._rows[split].__getitems__([row])
        return take_sample(batch if self._untouched is None else self._untouched(batch), 0)
