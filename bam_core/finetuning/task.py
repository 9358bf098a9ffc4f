"""What is to be predicted: one class, several labels, or a number; its loss, and outputs as scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bam_core.labels.strata import is_real
from bam_core.probes.inputs import labelled

Kind = Literal["classes", "several", "number"]


@dataclass(frozen=True)
class Task:
    """A kind of labels.

    Attributes:
        kind: "classes" (one a row), "several" (0 or 1 for each), or "number".
        classes: names; empty for numbers.
        offset: of numbers, their mean in the rows that are learnt from.
        unit: of numbers, their standard deviation there.
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    offset: float = 0.0
    unit: float = 1.0

    @classmethod
    def of_labels(cls, labels: np.ndarray, classes: Sequence[str]) -> "Task":
        """The task of some labels of train.

        Args:
            labels: (n,) class indices, (n, c) 0/1, or (n,) float; those of unlabelled rows do not count.
            classes: names.

        Example:
            >>> Task.of_labels(np.array([1.0, np.nan, 3.0]), ())
            Task(kind='number', classes=(), offset=2.0, unit=1.0)
        """
        if is_real(labels):
            known = labels[labelled(labels)]
            return cls("number", offset=float(known.mean()), unit=float(known.std()) or 1.0)
        return cls("several" if labels.ndim == 2 else "classes", tuple(map(str, classes)))

    @property
    def n_outputs(self) -> int:
        """Outputs of the last layer."""
        return 1 if self.kind == "number" else len(self.classes)

    def loss(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cross-entropy, binary cross-entropy, or squared error in units of the labels' standard deviation.

        Args:
            outputs: (b, n_outputs).
            labels: as in the data.
            weights: (n_outputs,) of the classes.
        """
        if self.kind == "classes":
            return nn.functional.cross_entropy(outputs, labels, weight=weights)
        if self.kind == "several":
            return nn.functional.binary_cross_entropy_with_logits(outputs, labels.float(), pos_weight=weights)
        return nn.functional.mse_loss(outputs[:, 0], ((labels - self.offset) / self.unit).float())

    def scores(self, outputs: Tensor) -> np.ndarray:
        """Probabilities (b, n_outputs), or numbers (b, 1) in the unit of the labels."""
        if self.kind == "number":
            return outputs.double().cpu().numpy() * self.unit + self.offset
        found = outputs.double().softmax(dim=1) if self.kind == "classes" else outputs.double().sigmoid()
        return found.cpu().numpy()

    def weights(self, labels: np.ndarray) -> Tensor | None:
        """Balanced weights: rows over classes times rows of the class; of several labels, rows without over rows with.

        Example:
            >>> Task("classes", ("a", "b")).weights(np.array([0, 0, 0, 1]))
            tensor([0.6667, 2.0000])
        """
        if self.kind == "number":
            return None
        counts = (labels == 1).sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(self.classes))
        there = np.maximum(counts, 1)
        found = (len(labels) - counts) / there if labels.ndim == 2 else len(labels) / ((counts > 0).sum() * there)
        return torch.tensor(np.maximum(found, 1e-3), dtype=torch.float32)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"kind": self.kind, "classes": list(self.classes), "offset": self.offset, "unit": self.unit}

    @classmethod
    def of_plain(cls, values: dict[str, Any]) -> "Task":
        """The inverse of `plain`."""
        return cls(values["kind"], tuple(values["classes"]), values["offset"], values["unit"])
