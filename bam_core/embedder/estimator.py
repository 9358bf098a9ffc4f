"""`BAMEmbedder`: pretraining and embedding as a scikit-learn transformer, for rows that are in memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _num_samples, check_is_fitted

from bam_core.config.registry import load_modality
from bam_core.data.drift import ranges
from bam_core.embedder import embedding, reporting, saving
from bam_core.embedder.length import PASSES, check_length, total_steps
from bam_core.embedder.options import SECTIONS, merged, with_nested
from bam_core.embedder.rows import as_modality_wants, checked_groups
from bam_core.errors import BAMError, DataError, InputError
from bam_core.protocols import Modality


class BAMEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn an encoder from unlabelled rows, and embed rows with it: a scikit-learn transformer.

    X is what the modality takes in memory: a DataFrame or array (n, columns) for "tabular"; an array (n, t) or
    (n, channels, t), a list of arrays of unequal length, or a DataFrame with a row for every time of every series for
    "timeseries"; the like for "audio"; (n, t) or (n, leads, t) for "ecg"; (n, height, width) or with channels for
    "image". What was guessed, mended or left out in X is a warning, or printed if `verbose`.

    Args:
        modality: "tabular", "timeseries", "ecg", "audio", "image", any installed one, "file.py:NAME", or a `Modality`.
        data: options of the modality's `from_memory`, such as {"normalize": "train"} for series,
            {"id": "patient", "time": "day"} for series in a long DataFrame, or {"categorical": ["code"]} for tables;
            "ecg" and "audio" need {"sampling_rate_hz": ...}.
        views: `name` (default: the modality's first) and options of the views.
        encoder: `name` (default: the modality's first) and options of the encoder. An option of this or any other
            mapping is a parameter as well: `encoder__width` in `set_params` and in grids.
        objective: `name` (default: "bam") and options of the objective.
        epochs: passes over the rows.
        steps: optimiser steps, instead of passes. Where neither is given: 100 passes, but 3,000 steps at most.
        batch_size: rows of a step; all, if there are fewer. What is left over waits for the next pass.
        groups_per_batch: draw every batch from about so many groups only; `fit` then needs `groups`.
        learning_rate: its peak: linear warm-up, then half a cosine.
        random_state: of weights, order and views: an int for the same result every time, a `RandomState`, or None for
            numpy's global one.
        verbose: above 0, print what was read, how long training may take, and how far it is.

    Attributes:
        encoder_: the trained network, batch -> (b, d); rows are embedded on its device.
        facts_: about the training rows; plain values.
        set_aside_: columns and rows that were not used -> why.
        repairs_: kind of repair -> how often.
        notes_: what was guessed about X, a sentence each.
        n_steps_: optimiser steps that were made.
        history_: DataFrame with a row for every step: `step`, `loss`, and what the objective measures, such as `kl`,
            `target_entropy` and `attention_entropy`; every tenth row has `rankme`, the others NaN.
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
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int = 128,
        groups_per_batch: int | None = None,
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
        self.steps = steps
        self.batch_size = batch_size
        self.groups_per_batch = groups_per_batch
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> "BAMEmbedder":
        """Pretrain an encoder on the rows of X.

        Args:
            X: rows, see the class.
            y: not used; labels have no influence.
            groups: (n,) what each row belongs to, such as a person, for `groups_per_batch`.

        Returns:
            The embedder itself.

        Raises:
            RecipeError: options that do not exist, or values out of range; all are named.
            InputError: both `epochs` and `steps`, or `groups_per_batch` without `groups`.
            DataError: X does not fit the modality, or fewer than two of its rows can be used.
            NonFiniteError: NaN or infinity in a step.
        """
        from bam_core.data.progress import shown
        from bam_core.runs.in_memory import pretrain_in_memory
        from bam_core.training.history import History

        check_length(self.epochs, self.steps)
        modality = self._modality()
        X = as_modality_wants(self, X, modality, reset=True)
        recipe = self._recipe(modality)
        options = dict(recipe.reader.options)
        history = History()
        with shown(self.verbose > 0):
            if _num_samples(X) < 2:
                raise DataError(
                    f"BAMEmbedder expected at least two rows to learn from; got {_num_samples(X)} sample(s)."
                )
            data = embedding.read(X, modality, options, verbose=self.verbose)
            rows = data.splits["train"]
            trained = pretrain_in_memory(
                recipe,
                data,
                total_steps=total_steps(len(rows), self.batch_size, epochs=self.epochs, steps=self.steps),
                groups=checked_groups(groups, self.groups_per_batch, data, len(embedding.names_of_inputs(data, X))),
                callbacks=[history],
                progress=self.verbose > 0,
            )
        self.encoder_ = trained.objective.encoder.eval()
        self.facts_ = dict(data.facts)
        self.set_aside_ = {row.source: row.reason for row in data.set_aside}
        self.repairs_ = dict(data.repairs)
        self.notes_ = list(data.notes)
        self.n_steps_ = trained.n_steps
        self.history_ = history.table()
        self._seed = recipe.train.seed
        self._ranges = ranges(data, modality)
        self._options = options
        self._encoder_config = trained.parts.encoder_config
        first = replace(data, splits={"train": rows.select([0])})
        self._n_features_out = embedding.embed_rows(self.encoder_, first, modality).shape[1]
        return self

    def transform(self, X: Any) -> Any:
        """Embed every row of X; the embeddings of the parts of a row that was cut into several are averaged.

        Args:
            X: rows, see the class. Columns of a DataFrame are found by name.

        Returns:
            (n, d) float32; of a long DataFrame a row for each series, in the order in which they come first, with their
            names as index after `set_output(transform="pandas")`.

        Raises:
            NotFittedError: before `fit`.
            DataError: X does not fit what the encoder was trained on, or rows cannot be used; they are named.
        """
        check_is_fitted(self)
        found = embedding.embedded(self, X)
        embeddings = np.zeros((len(found.inputs), found.parts.shape[1]))
        np.add.at(embeddings, found.places, found.parts)
        embeddings = np.asarray(embeddings / np.bincount(found.places)[:, None], np.float32)
        if found.data.names and _get_output_config("transform", self)["dense"] == "pandas":
            import pandas as pd

            return pd.DataFrame(embeddings, index=list(found.inputs))  # scikit-learn would take the index of X
        return embeddings

    def report(self, path: str | Path, X: Any = None, y: Any = None) -> Path:
        """Write a page on the training: its curves, what was made of the rows, and with X a map and neighbours.

        Args:
            path: of the HTML file.
            X: rows to show, see the class: those of training, or others.
            y: (n,) their classes, for colours; missing ones are unlabelled.

        Returns:
            The path.

        Raises:
            NotFittedError: before `fit`.
            DataError: as in `transform`, or all of one class.
            InputError: not one class for each row.
        """
        check_is_fitted(self)
        return reporting.write(self, path, X, y)

    def save(self, folder: str | Path) -> None:
        """Write the fitted embedder as safetensors and a readable config, and `history.csv`; no pickle.

        `BAMEmbedder.load` reads it, and so does `PretrainedEncoder.from_pretrained`, without scikit-learn.

        Args:
            folder: to write into; it is made if it is not there.

        Raises:
            NotFittedError: before `fit`.
            RecipeError: a `Modality` that cannot be found again by its name.
        """
        check_is_fitted(self)
        saving.save(self, folder)

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
        return saving.load(cls, folder, trusted)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters; if `deep`, the options inside `data`, `views`, `encoder` and `objective` as well.

        Args:
            deep: also `encoder__width` and the like.
        """
        params: dict[str, Any] = super().get_params(deep)
        return with_nested(params) if deep else params

    def set_params(self, **params: Any) -> "BAMEmbedder":
        """Set parameters; `encoder__width` sets one option of `encoder`, and leaves the others as they are.

        Args:
            **params: names and values.

        Returns:
            The embedder itself.

        Raises:
            ValueError: there is no such parameter.
        """
        return super().set_params(**merged(self.get_params(deep=False), params))  # type: ignore[no-any-return]

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

    def _recipe(self, modality: Modality, seed: int | None = None) -> Any:
        """All parameters, checked; the seed is drawn from `random_state`, unless it is given."""
        from bam_core.runs.in_memory import recipe_in_memory

        train = {
            "epochs": PASSES if self.epochs is None else self.epochs,
            "batch_size": self.batch_size,
            "groups_per_batch": self.groups_per_batch,
            "learning_rate": self.learning_rate,
            "seed": int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            if seed is None
            else seed,
        }
        sections = {name: getattr(self, name) or {} for name in SECTIONS}
        return recipe_in_memory(modality, train=train, **sections)
