"""`BAMEmbedder`: pretraining and embedding as a scikit-learn transformer, for rows that are in memory."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from bam_core.errors import BAMError, DataError, InputError
from bam_core.protocols import Modality
from bam_core.registry import anchored, load_modality

_NOT_SAVED = ("modality", "random_state")
_LEARNT = (
    "set_aside_",
    "repairs_",
    "n_steps_",
    "n_features_in_",
    "feature_names_in_",
    "_options",
    "_columns",
    "_n_features_out",
)


class BAMEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn an encoder from unlabelled rows, and embed rows with it: a scikit-learn transformer.

    X is what the modality takes in memory: a DataFrame or array (n, columns) for "tabular"; an array (n, t) or
    (n, channels, t), or a list of arrays of unequal length, for "timeseries" and "audio"; (n, t) or (n, leads, t) for
    "ecg"; (n, height, width) or with channels for "image".

    Args:
        modality: "tabular", "timeseries", "ecg", "audio", "image", any installed one, "file.py:NAME", or a `Modality`.
        data: options of the modality's `from_memory`, such as {"normalize": "train"} for series or
            {"categorical": ["code"]} for tables; "ecg" and "audio" need {"sampling_rate_hz": ...}.
        views: `name` (default: the modality's first) and options of the views.
        encoder: `name` (default: the modality's first) and options of the encoder.
        objective: `name` (default: "bam") and options of the objective.
        epochs: passes over the rows.
        batch_size: rows of a step; all, if there are fewer. What is left over waits for the next pass.
        learning_rate: its peak: linear warm-up, then half a cosine.
        random_state: of weights, order and views: an int for the same result every time, a `RandomState`, or None for
            numpy's global one.
        verbose: above 0, show bars and say what was mended in the data.

    Attributes:
        encoder_: the trained network, batch -> (b, d); rows are embedded on its device.
        facts_: about the training rows; plain values.
        set_aside_: columns and rows that were not used -> why.
        repairs_: kind of repair -> how often.
        n_steps_: optimiser steps that were made.
        n_features_in_: columns of a table; other modalities do not have it.
        feature_names_in_: their names, if all are texts.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(40, 3))
        >>> embedder = BAMEmbedder(encoder={"width": 16}, epochs=2, random_state=0)
        >>> embedder.fit_transform(X).shape
        (40, 16)

    Source: Shalam and Korman, "Unsupervised representation learning by balanced self attention matching", ECCV 2024,
    arXiv 2408.02014.
    """

    def __init__(
        self,
        modality: str | Modality = "tabular",
        *,
        data: Mapping[str, Any] | None = None,
        views: Mapping[str, Any] | None = None,
        encoder: Mapping[str, Any] | None = None,
        objective: Mapping[str, Any] | None = None,
        epochs: int = 100,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.modality = modality
        self.data = data
        self.views = views
        self.encoder = encoder
        self.objective = objective
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "BAMEmbedder":
        """Pretrain an encoder on the rows of X.

        Args:
            X: rows, see the class.
            y: not used; labels have no influence.

        Returns:
            The embedder itself.

        Raises:
            RecipeError: options that do not exist, or values out of range; all are named.
            DataError: X does not fit the modality, or fewer than two of its rows can be used.
            NonFiniteError: NaN or infinity in a step.
        """
        from bam_core.data.prepared import listed
        from bam_core.data.progress import shown
        from bam_core.training.memory import pretrain_in_memory

        modality = self._modality()
        X = self._checked(X, modality, reset=True)
        n_rows = _num_samples(X)
        if n_rows < 2:
            raise DataError(f"BAMEmbedder expected at least two rows to learn from; got {n_rows} sample(s).")
        recipe = self._recipe(modality)
        options = {name: value for name, value in recipe.data.items() if name != "reader"}
        with shown(self.verbose > 0):
            data = self._read(X, modality, options)
            if data.set_aside:
                warnings.warn(f"BAMEmbedder does without:{listed(data.set_aside)}", stacklevel=2)
            trained = pretrain_in_memory(recipe, modality, data, progress=self.verbose > 0)
        self.encoder_ = trained.objective.encoder.eval()
        self.facts_ = dict(data.facts)
        self.set_aside_ = {row.source: row.reason for row in data.set_aside}
        self.repairs_ = dict(data.repairs)
        self.n_steps_ = trained.n_steps
        self._options = options
        self._encoder_config = trained.parts.encoder_config
        self._n_features_out = self._embed(data, modality, [0]).shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed every row of X; the embeddings of the parts of a row that was cut into several are averaged.

        Args:
            X: rows, see the class.

        Returns:
            (n, d) float32.

        Raises:
            NotFittedError: before `fit`.
            DataError: X does not fit what the encoder was trained on, or rows cannot be used; they are named.
        """
        from bam_core.data.prepared import listed
        from bam_core.data.progress import shown

        check_is_fitted(self)
        modality = self._modality()
        X = self._checked(X, modality, reset=False)
        n_rows = _num_samples(X)
        with shown(self.verbose > 0):
            data = self._read(X, modality, {**self._options, "fitted": self.facts_})
            places = np.array([int(name.partition("@")[0]) for name in data.splits["train"]["id"]])
            n_parts = np.bincount(places, minlength=n_rows)
            if not n_parts.all():
                raise DataError(
                    f"{(n_parts == 0).sum()} of {n_rows} rows cannot be embedded:{listed(data.set_aside)}\n"
                    "Leave these rows out."
                )
            parts = self._embed(data, modality)
        embeddings = np.zeros((n_rows, parts.shape[1]))
        np.add.at(embeddings, places, parts)
        return np.asarray(embeddings / n_parts[:, None], np.float32)

    def save(self, folder: str | Path) -> None:
        """Write the fitted embedder as safetensors and a readable config; no pickle.

        `BAMEmbedder.load` reads it, and so does `PretrainedEncoder.from_pretrained`, without scikit-learn.

        Args:
            folder: to write into; it is made if it is not there.

        Raises:
            NotFittedError: before `fit`.
            RecipeError: a `Modality` that cannot be found again by its name.
        """
        from bam_core.pretrained import PretrainedEncoder

        check_is_fitted(self)
        name = anchored(self.modality, Path()) if isinstance(self.modality, str) else self.modality.name
        state = {
            "params": {key: value for key, value in self.get_params(deep=False).items() if key not in _NOT_SAVED},
            "learnt": {key: getattr(self, key) for key in _LEARNT if hasattr(self, key)},
        }
        saved = PretrainedEncoder(
            modality=name,
            encoder=self._encoder_config,
            facts=self.facts_,
            source={"embedder": json.loads(json.dumps(state, default=_plain))},
            trusted=True,
        )
        saved.encoder.load_state_dict(self.encoder_.state_dict())
        saved.save_pretrained(folder)

    @classmethod
    def load(cls, folder: str | Path, *, trusted: bool = False) -> "BAMEmbedder":
        """Read what `save` wrote.

        Args:
            folder: that was written.
            trusted: whether a modality in a Python file (`file.py:NAME`) may be run.

        Returns:
            The fitted embedder; its `random_state` is None.

        Raises:
            DataError: the folder holds no embedder, or weights that do not fit.
            RecipeError: the modality is a Python file and `trusted` is false, or does not exist.
        """
        from bam_core.pretrained import PretrainedEncoder

        if not (Path(folder) / "config.json").is_file():
            raise DataError(f"expected a folder that BAMEmbedder.save wrote; {str(folder)!r} has no config.json.")
        saved = PretrainedEncoder.from_pretrained(folder, trusted=trusted)
        state = saved.source.get("embedder")
        if state is None:
            raise DataError(
                f"{str(folder)!r} holds an encoder that BAMEmbedder.save did not write. Load it with "
                "PretrainedEncoder.from_pretrained."
            )
        embedder = cls(saved.config["modality"], **state["params"])
        embedder.encoder_, embedder.facts_ = saved.encoder, saved.facts
        embedder._encoder_config = saved.config["encoder"]
        for name, value in state["learnt"].items():
            setattr(embedder, name, np.array(value, dtype=object) if name == "feature_names_in_" else value)
        return embedder

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is an encoder."""
        return hasattr(self, "encoder_")

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may expect of X."""
        tags = super().__sklearn_tags__()
        try:
            table = self._modality().columns_are_features
        except BAMError:
            table = False
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = not table
        tags.input_tags.categorical = tags.input_tags.string = table
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _modality(self) -> Modality:
        if isinstance(self.modality, Modality):
            return self.modality
        if not isinstance(self.modality, str):
            raise InputError(
                f"BAMEmbedder expected a modality's name, such as 'tabular', or a Modality; got {self.modality!r}."
            )
        return load_modality(self.modality)

    def _checked(self, X: Any, modality: Modality, *, reset: bool) -> Any:
        """X, a table as a frame with the columns of the training table."""
        if not modality.columns_are_features:
            return X
        import pandas as pd

        is_frame = isinstance(X, pd.DataFrame)
        X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False, skip_check_array=is_frame)
        if reset:
            names = getattr(self, "feature_names_in_", X.columns if is_frame else range(X.shape[1]))
            self._columns = [str(name) for name in names]
        return pd.DataFrame(X).set_axis(self._columns, axis=1)

    def _recipe(self, modality: Modality) -> Any:
        """All parameters, checked."""
        from bam_core.training.memory import recipe_in_memory

        train = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)),
        }
        sections = {"data": self.data, "views": self.views, "encoder": self.encoder, "objective": self.objective}
        return recipe_in_memory(modality, train=train, **{name: given or {} for name, given in sections.items()})

    def _read(self, X: Any, modality: Modality, options: Mapping[str, Any]) -> Any:
        data = modality.from_memory(X, **options)  # type: ignore[misc]
        if self.verbose > 0:
            for kind, count in data.repairs.items():
                print(f"{kind}: {count}")
        return data

    def _embed(self, data: Any, modality: Modality, rows: Sequence[int] | None = None) -> np.ndarray:
        from bam_core.data import SplitDataset
        from bam_core.training.embedding import embed

        chosen = data.splits["train"] if rows is None else data.splits["train"].select(rows)
        return embed(self.encoder_, SplitDataset(chosen, modality.collate, data.facts), exact=True).numpy()


def _plain(value: Any) -> Any:
    """Numbers, arrays and mappings of other kinds as JSON knows them."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else dict(value)
