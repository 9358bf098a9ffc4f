"""What an evaluation is given: features of the splits, and the labels that they shall predict."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from bam_core.errors import InputError
from bam_core.labels.strata import is_real


class Features(NamedTuple):
    """One vector a row, from one source (raw, untrained encoder, ...), as tensors or arrays (n, d)."""

    train: Any
    test: Any
    validation: Any = None


@dataclass(frozen=True)
class SplitLabels:
    """Labels and groups of the splits, in the order of the features' rows.

    Attributes:
        train: (n,) class indices with -1 for no label; (n, k) 0/1 for multi-label data, a row of -1 for none; or, for
            regression, (n,) real numbers with NaN for no label.
        test: the same for test.
        validation: the same for validation, where the data comes with one.
        classes: names of the classes, in the order of the indices. Default: the indices as text.
        train_groups: (n,) whose rows must stay together (the person, the recording), or None.
        test_groups: the same for test.
        regression: whether labels are real numbers, to be predicted as such.

    Raises:
        InputError: shapes that do not fit, labels that are no class indices, 0/1 or finite numbers, too few classes.

    Example:
        >>> labels = SplitLabels(train=np.array([0, 1, -1]), test=np.array([1, 0]), classes=["no", "yes"])
        >>> labels.multi_label, labels.n_classes
        (False, 2)
    """

    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray | None = None
    classes: Sequence[str] = ()
    train_groups: np.ndarray | None = None
    test_groups: np.ndarray | None = None
    regression: bool = False

    def __post_init__(self) -> None:
        keep = partial(object.__setattr__, self)
        for split in ("train", "test", "validation"):
            if getattr(self, split) is not None:
                check = _number_array if self.regression else _label_array
                keep(split, check(getattr(self, split), split))
        keep("train_groups", _group_array(self.train_groups, len(self.train), "train"))
        keep("test_groups", _group_array(self.test_groups, len(self.test), "test"))
        parts = [part for part in (self.train, self.test, self.validation) if part is not None]
        if len({part.shape[1:] for part in parts}) > 1:
            raise InputError(
                f"SplitLabels expected the same kind of labels in all splits; got {[part.shape for part in parts]}."
            )
        if self.regression:
            return
        n = self.train.shape[1] if self.multi_label else max(int(part.max(initial=-1)) for part in parts) + 1
        if self.classes and (n > len(self.classes) or (self.multi_label and n != len(self.classes))):
            raise InputError(f"SplitLabels expected a name for each of {n} classes; got {len(self.classes)} names.")
        keep("classes", tuple(str(c) for c in self.classes) or tuple(str(i) for i in range(n)))

    @property
    def multi_label(self) -> bool:
        """Whether a row can carry several labels."""
        return self.train.ndim == 2

    @property
    def n_classes(self) -> int:
        """Number of classes, whether they occur or not."""
        return len(self.classes)

    def hash(self) -> str:
        """Sixteen hexadecimal digits that identify labels, groups and splits, on any machine."""
        digest = hashlib.sha256(json.dumps(list(self.classes)).encode())
        for part in (self.train, self.test, self.validation):
            digest.update(b"|" if part is None else np.ascontiguousarray(part).tobytes() + str(part.shape).encode())
        for groups in (self.train_groups, self.test_groups):
            digest.update(b"|" if groups is None else json.dumps([str(g) for g in groups]).encode())
        return digest.hexdigest()[:16]


def labelled(labels: np.ndarray) -> np.ndarray:
    """(n,) True where a row has a label: class indices from 0, real numbers that are not NaN."""
    if is_real(labels):
        return np.asarray(np.isfinite(labels))
    return labels >= 0 if labels.ndim == 1 else labels.min(axis=1) >= 0


def feature_matrix(values: Any, n_rows: int | None = None, *, name: str = "features") -> np.ndarray:
    """Features as a finite float32 array (n, d).

    Args:
        values: tensor or array (n, d).
        n_rows: the number of rows that there must be.
        name: what the rows are, for the messages.

    Raises:
        InputError: another shape or number of rows, or values that are not finite.
    """
    array = values.detach().cpu().float().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise InputError(f"{name} expected numbers of shape (n, d); got {array.dtype} of shape {array.shape}.")
    if n_rows is not None and len(array) != n_rows:
        raise InputError(f"{name} expected one row a label, {n_rows}; got {len(array)} rows.")
    array = np.ascontiguousarray(array, dtype=np.float32)
    bad = int((~np.isfinite(array).all(axis=1)).sum())
    if bad:
        raise InputError(
            f"{name}: {bad} of {len(array)} rows hold NaN or infinity. Look for NaN in the input data, or for a "
            "training run that diverged."
        )
    return array


def check_features(features: Mapping[str, Features], labels: SplitLabels) -> dict[str, Features]:
    """All feature sets as finite float32 arrays that fit the labels.

    Raises:
        InputError: no feature set, or one that does not fit; the message names it.
    """
    if not features:
        raise InputError("evaluate expected at least one set of features; got none.")
    checked = {}
    for name, parts in features.items():
        train = feature_matrix(parts.train, len(labels.train), name=f"features {name!r}, train")
        test = feature_matrix(parts.test, len(labels.test), name=f"features {name!r}, test")
        if train.shape[1] != test.shape[1]:
            raise InputError(
                f"features {name!r} expected one width; got {train.shape[1]} in train and {test.shape[1]} in test."
            )
        validation = None
        if labels.validation is not None:
            if parts.validation is None:
                raise InputError(
                    f"features {name!r} expected a validation part, since the labels have one. Pass both or neither."
                )
            validation = feature_matrix(parts.validation, len(labels.validation), name=f"features {name!r}, validation")
        checked[name] = Features(train, test, validation)
    return checked


def _label_array(values: Any, split: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub" or (array != np.round(array)).any():
        raise InputError(
            f"SplitLabels expected class indices (n,) or 0/1 (n, k) for {split}; got {array.dtype} {array.shape}."
        )
    array = array.astype(np.int64)
    if array.min(initial=0) < -1 or (array.ndim == 2 and array.max(initial=0) > 1):
        raise InputError(
            f"SplitLabels expected class indices from 0, or 0/1 for multi-label data, and -1 for no label; got {split} "
            f"values from {array.min()} to {array.max()}."
        )
    return array


def _number_array(values: Any, split: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiu" or np.isinf(array).any():
        raise InputError(
            f"SplitLabels expected finite numbers (n,) for {split}, NaN for no label; got {array.dtype} {array.shape}."
        )
    return array.astype(np.float64)


def _group_array(values: Any, n: int, split: str) -> np.ndarray | None:
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape != (n,):
        raise InputError(f"SplitLabels expected one group a row of {split}, ({n},); got {array.shape}.")
    return array
