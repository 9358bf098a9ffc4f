"""A trained classifier or regressor on disk: safetensors and a readable config; it reads raw files of its domain."""

from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from torch import Tensor

from bam_core.config.recipe import recipe_of_values
from bam_core.data import SplitDataset
from bam_core.errors import DataError
from bam_core.finetuning.module import Predictor
from bam_core.finetuning.task import Task
from bam_core.runs.features import embed
from bam_core.runs.new_data import ReadNew, about_rows, read_files, read_rows
from bam_core.runs.pretrained import PretrainedEncoder

Made = TypeVar("Made", bound="_Pretrained")


class _Pretrained(PretrainedEncoder):
    """An encoder with a linear layer on top.

    Args:
        modality: see `PretrainedEncoder`.
        encoder: as there.
        task: kind of labels and classes, see `Task.plain`.
        width: of the embeddings.
        facts: as there.
        source: as there; `recipe` says how data were read.
        trusted: as there.
    """

    kinds: tuple[str, ...] = ()

    def __init__(
        self,
        modality: str,
        encoder: dict[str, Any],
        task: dict[str, Any],
        width: int,
        facts: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
        trusted: bool = False,
    ) -> None:
        super().__init__(modality, encoder, facts, source, trusted)
        self._trusted = trusted
        self.task = Task.of_plain(task)
        if self.task.kind not in self.kinds:
            other = "PretrainedRegressor" if self.task.kind == "number" else "PretrainedClassifier"
            raise DataError(
                f"{type(self).__name__} expected a model of {' or '.join(self.kinds)}; this one is of a "
                f"{self.task.kind}. Take {other}."
            )
        self.predictor = Predictor(self.encoder, width=width, n_outputs=self.task.n_outputs)
        del self.encoder  # it is the predictor's
        self.eval()

    @classmethod
    def of_predictor(
        cls: type[Made],
        predictor: Predictor,
        task: Task,
        *,
        modality: str,
        encoder: dict[str, Any],
        facts: dict[str, Any],
        source: dict[str, Any],
    ) -> Made:
        """A trained predictor, ready to be saved."""
        made = cls(
            modality=modality, encoder=encoder, task=task.plain(), width=len(predictor.mean), facts=facts,  # type: ignore[arg-type]
            source=source, trusted=True,
        )  # fmt: skip
        made.predictor.load_state_dict(predictor.state_dict())
        return made

    def forward(self, batch: Any) -> Tensor:
        """Outputs before softmax or sigmoid, (b, n)."""
        outputs: Tensor = self.predictor(batch)
        return outputs

    def _scored(self, data: Any, options: dict[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
        """What is known of the rows, and their scores."""
        recipe = recipe_of_values(self.source["recipe"], trusted=self._trusted)
        read: ReadNew = read_files if isinstance(data, str | PathLike) else read_rows
        found = read(recipe, self, Path(data) if isinstance(data, str | PathLike) else data, options)
        print(found.account(), flush=True)
        tables, scores = [], []
        for split, rows in found.splits.items():
            outputs = embed(self, SplitDataset(rows, self.modality.collate, found.facts), what=f"predicting {split}")
            scores.append(self.task.scores(outputs))
            tables.append(about_rows(rows, found.facts))
        return pd.concat(tables, ignore_index=True), np.concatenate(scores)


class PretrainedClassifier(_Pretrained):
    """A classifier made by `Run.finetune` or `bam finetune`: one class a row, or several labels.

    Save with `save_pretrained(folder)`, load with `PretrainedClassifier.from_pretrained(folder)`, offline.
    """

    kinds = ("classes", "several")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns of `predict_proba`."""
        return self.task.classes

    def predict_proba(self, data: Any, **options: Any) -> pd.DataFrame:
        """Probabilities of the classes.

        Args:
            data: a path, or rows in memory; read as the training data were, see `Run.embed`.
            **options: of the reader.

        Returns:
            A row for each record, window or row: `id`, and `group`, `label`, `class` where the data know them; then a
            column for each class. They sum to one, unless a row can carry several labels.

        Raises:
            BAMError: data or options do not fit.
        """
        about, scores = self._scored(data, options)
        return pd.concat([about, pd.DataFrame(scores, columns=list(self.classes))], axis=1)

    def predict(self, data: Any, **options: Any) -> pd.DataFrame:
        """The likeliest class of each row; of several labels all with a probability above a half.

        Args:
            data: see `predict_proba`.
            **options: as there.

        Returns:
            `id`, what else is known of the rows, and `prediction`: a name, or a list of names.
        """
        about, scores = self._scored(data, options)
        if self.task.kind == "classes":
            return about.assign(prediction=[self.classes[best] for best in scores.argmax(axis=1)])
        chosen = [[name for name, p in zip(self.classes, row, strict=True) if p > 0.5] for row in scores]
        return about.assign(prediction=pd.Series(chosen, dtype=object))


class PretrainedRegressor(_Pretrained):
    """A regressor made by `Run.finetune` or `bam finetune`; saved and loaded as `PretrainedClassifier` is."""

    kinds = ("number",)

    def predict(self, data: Any, **options: Any) -> pd.DataFrame:
        """The predicted number of each row, in the unit of the labels.

        Args:
            data: a path, or rows in memory; read as the training data were, see `Run.embed`.
            **options: of the reader.

        Returns:
            `id`, what else is known of the rows, and `prediction`.

        Raises:
            BAMError: data or options do not fit.
        """
        about, scores = self._scored(data, options)
        return about.assign(prediction=scores[:, 0])
