"""`BAMClassifier` and `BAMRegressor`: pretraining and fine-tuning as scikit-learn estimators, for rows in memory."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted

from bam_core.embedder import BAMEmbedder
from bam_core.embedder.embedding import names_of_inputs, read
from bam_core.embedder.rows import as_modality_wants, places_of
from bam_core.errors import DataError, InputError
from bam_core.finetuning.settings import checked_settings
from bam_core.finetuning.task import Task


class _FineTuned(BaseEstimator):  # type: ignore[misc]
    """What both have: an embedder that is pretrained on the rows, and a network that is fine-tuned from its encoder."""

    def __init__(
        self,
        embedder: Any = None,
        *,
        freeze: str = "none",
        epochs: int = 50,
        min_steps: int = 200,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        head_learning_rate: float = 1e-2,
        layer_decay: float = 0.75,
        held_out: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.embedder = embedder
        self.freeze = freeze
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.layer_decay = layer_decay
        self.held_out = held_out
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may expect of X: what the embedder takes."""
        tags = super().__sklearn_tags__()
        inner = self.embedder if self.embedder is not None else BAMEmbedder()
        if hasattr(inner, "__sklearn_tags__"):
            tags.input_tags = inner.__sklearn_tags__().input_tags
        tags.target_tags.required = True
        return tags

    def _more_settings(self) -> dict[str, Any]:
        return {}

    def _fit(self, X: Any, labels: np.ndarray, classes: tuple[str, ...], groups: Any, metric: str) -> None:
        """Pretrain on X, then fine-tune with labels."""
        from bam_core.config.schema import TrainSettings
        from bam_core.data.progress import shown
        from bam_core.finetuning.train import train_predictor

        names = ("freeze", "epochs", "min_steps", "batch_size", "learning_rate", "head_learning_rate", "layer_decay")
        given = {name: getattr(self, name) for name in (*names, "held_out")} | self._more_settings()
        settings = checked_settings({name: _plain(value) for name, value in given.items()})
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        fitted = clone(BAMEmbedder() if self.embedder is None else self.embedder)
        self.embedder_ = fitted.set_params(random_state=seed).fit(X) if self.embedder is None else fitted.fit(X, None)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self._fitted, name):
                setattr(self, name, getattr(self._fitted, name))
        with shown(False):
            rows, _ = self._rows(X, groups=groups, labels=labels)
            self._task = task = Task.of_labels(labels, classes)
            self.predictor_ = train_predictor(
                self._fitted.encoder_,
                task,
                rows,
                settings,
                TrainSettings(accelerator="auto"),
                pretrained=True,
                metric=metric,
                seed=seed,
            ).predictor

    @property
    def _fitted(self) -> BAMEmbedder:
        """The embedder, also from inside of a `FrozenEstimator`."""
        inner = getattr(self.embedder_, "estimator", self.embedder_)
        if not isinstance(inner, BAMEmbedder):
            raise InputError(
                f"embedder expected a BAMEmbedder, or one that is fitted in a FrozenEstimator; got {inner!r}."
            )
        return inner

    def _rows(self, X: Any, *, groups: Any = None, labels: np.ndarray | None = None) -> tuple[Any, np.ndarray]:
        """Rows as they were read, with labels, and the place in X of each."""
        from bam_core.data import SplitDataset
        from bam_core.data.prepared import listed
        from bam_core.finetuning.train import Rows

        embedder = self._fitted
        modality = embedder._modality()
        X = as_modality_wants(embedder, X, modality, reset=False)
        told = {*embedder.notes_, *embedder.repairs_}
        data = read(X, modality, {**embedder._options, "fitted": embedder.facts_}, verbose=0, told=told)
        places, inputs = places_of(data), names_of_inputs(data, X)
        lost = len(inputs) - len(np.unique(places))
        if lost:
            raise DataError(f"{lost} of {len(inputs)} rows cannot be used:{listed(data.set_aside)}\nLeave them out.")
        dataset = SplitDataset(data.splits["train"], modality.collate, data.facts)
        if labels is None:
            return dataset, places
        for name, values in (("y", labels), ("groups", groups)):
            if values is not None and len(values) != len(inputs):
                raise InputError(f"fit expected {name} of length {len(inputs)}, one for each row; got {len(values)}.")
        return Rows(dataset, labels[places], None if groups is None else np.asarray(groups)[places]), places

    def _scores(self, X: Any) -> np.ndarray:
        """(n, c) scores; those of the parts of a row that was cut are averaged."""
        from bam_core.data.progress import shown
        from bam_core.runs.features import embed

        check_is_fitted(self, "predictor_")
        with shown(False):
            dataset, places = self._rows(X)
            exact = self._fitted._modality().columns_are_features
            found = self._task.scores(embed(self.predictor_, dataset, exact=exact))
        summed = np.zeros((places.max() + 1, found.shape[1]))
        np.add.at(summed, places, found)
        averaged: np.ndarray = summed / np.bincount(places)[:, None]
        return averaged


class BAMClassifier(ClassifierMixin, _FineTuned):  # type: ignore[misc]
    """Learn an encoder from rows without labels, then fine-tune it as a classifier.

    Args:
        embedder: a `BAMEmbedder`, which says what rows are and is pretrained on X; or a
            `sklearn.frozen.FrozenEstimator` around one that has been fitted, perhaps on more rows than have labels.
            None: a table, with all defaults.
        freeze: "none"; "encoder": only the last layer learns; or "until:LAYER".
        epochs: passes over the labelled rows, at most.
        min_steps: optimiser steps at least.
        batch_size: rows of a step.
        learning_rate: peak of the encoder's last layer.
        head_learning_rate: peak of the linear layer on top.
        layer_decay: each layer towards the input learns by this factor more slowly.
        held_out: part of the rows, by group if `fit` has groups, that decides when to stop.
        class_weights: "none" or "balanced".
        random_state: an int for the same result every time, a `RandomState`, or None for numpy's global one.

    Attributes:
        classes_: the classes.
        embedder_: the embedder, fitted.
        predictor_: the fine-tuned network.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(40, 3))
        >>> embedder = BAMEmbedder(encoder={"width": 8, "depth": 1}, epochs=1, random_state=0)
        >>> model = BAMClassifier(embedder, min_steps=50, random_state=0).fit(X, np.where(X[:, 0] > 0, "up", "down"))
        >>> model.predict_proba(X).shape, bool(model.score(X, np.where(X[:, 0] > 0, "up", "down")) > 0.8)
        ((40, 2), True)
    """

    def __init__(
        self,
        embedder: Any = None,
        *,
        freeze: str = "none",
        epochs: int = 50,
        min_steps: int = 200,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        head_learning_rate: float = 1e-2,
        layer_decay: float = 0.75,
        held_out: float = 0.2,
        class_weights: str = "none",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            embedder,
            freeze=freeze,
            epochs=epochs,
            min_steps=min_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            head_learning_rate=head_learning_rate,
            layer_decay=layer_decay,
            held_out=held_out,
            random_state=random_state,
        )
        self.class_weights = class_weights

    def _more_settings(self) -> dict[str, Any]:
        return {"class_weights": self.class_weights}

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> "BAMClassifier":
        """Pretrain on the rows of X, then fine-tune with their classes.

        Args:
            X: rows, as `BAMEmbedder.fit` takes them.
            y: (n,) classes.
            groups: (n,) persons, machines and the like, which are not divided between what is learnt from and what
                decides when to stop.

        Raises:
            BAMError: X does not fit the modality, or not one class for each row.
        """
        found = _targets(X, y)
        check_classification_targets(found)
        self.classes_, labels = np.unique(found, return_inverse=True)
        self._fit(X, labels.astype(np.int64), tuple(map(str, self.classes_)), groups, "accuracy")
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, c) probabilities of `classes_`.

        Raises:
            DataError: rows that do not fit, or cannot be used; they are named.
        """
        return self._scores(X)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) the likeliest class of each row.

        Raises:
            DataError: as `predict_proba`.
        """
        scores = self._scores(X)  # first: it says if there was no fit
        found: np.ndarray = self.classes_[scores.argmax(axis=1)]
        return found


class BAMRegressor(RegressorMixin, _FineTuned):  # type: ignore[misc]
    """Learn an encoder from rows without labels, then fine-tune it to predict a number; see `BAMClassifier`.

    Args:
        embedder: see `BAMClassifier`, as for the others.
        freeze: as there.
        epochs: as there.
        min_steps: as there.
        batch_size: as there.
        learning_rate: as there.
        head_learning_rate: as there.
        layer_decay: as there.
        held_out: as there.
        random_state: as there.

    Attributes:
        embedder_: the embedder, fitted.
        predictor_: the fine-tuned network.
    """

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> "BAMRegressor":
        """Pretrain on the rows of X, then fine-tune with their numbers.

        Args:
            X: rows, as `BAMEmbedder.fit` takes them.
            y: (n,) numbers.
            groups: see `BAMClassifier.fit`.

        Raises:
            BAMError: X does not fit the modality, or not one number for each row.
        """
        labels = _targets(X, y).astype(np.float64)
        if not np.isfinite(labels).all():
            raise DataError("fit expected finite numbers as y; Input y contains NaN or infinity.")
        self._fit(X, labels, (), groups, "mae")
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(n,) predicted numbers.

        Raises:
            DataError: rows that do not fit, or cannot be used; they are named.
        """
        found: np.ndarray = self._scores(X)[:, 0]
        return found


def _targets(X: Any, y: Any) -> np.ndarray:
    """y as one value for each row."""
    if y is None:
        raise DataError("fit requires y to be passed, but the target y is None: one label for each row of X.")
    found = column_or_1d(y, warn=True)
    n = _num_samples(X)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise DataError("fit expected labels for all rows; Input y contains NaN or infinity.")
    if hasattr(X, "shape") and len(found) != n:
        raise InputError(f"fit expected y of length {n}, one for each row; got {len(found)}.")
    return np.asarray(found)


def _plain(value: Any) -> Any:
    """Grids hold numpy's numbers."""
    return value.item() if isinstance(value, np.generic) else value
