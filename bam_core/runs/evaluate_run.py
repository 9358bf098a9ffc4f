"""Evaluate a run: frozen embeddings of every split beside the untrained encoder and raw features; table and report."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bam_core.config.build import Parts, build, read_data
from bam_core.config.registry import displayed
from bam_core.data import PreparedData, SplitDataset
from bam_core.errors import DataError, InputError
from bam_core.labels.strata import is_real, named_strata
from bam_core.probes.embeddings import EmbeddingFigures, describe_embeddings
from bam_core.probes.protocol import CrossValidation
from bam_core.probes.results import Results
from bam_core.reports.pictures import AttentionPicture, EmbeddingMap, Gallery, NeighbourRows, take_sample
from bam_core.reports.report import ReportContent, write_report
from bam_core.runs.baselines import choose_baselines
from bam_core.runs.cross_validate import cross_validate
from bam_core.runs.features import embed
from bam_core.runs.judge import judge, with_baselines
from bam_core.runs.run_folder import check_data, encoder_folder, load_encoder, load_run, weights_digest
from bam_core.training.batches import mixed_seed
from bam_core.training.checkpoints import newest_checkpoint
from bam_core.training.loggers import attach_report
from bam_core.views import make_views

RAW, UNTRAINED = "raw features", "untrained encoder"
N_PICTURED = 96  # samples of the attention picture


def evaluate_run(
    folder: Path, *, teacher: bool = False, trusted: bool = False, cross_validation: CrossValidation | None = None
) -> Results | None:
    """Evaluate a run and write `results.json` and `report.html` into its folder.

    Args:
        folder: of the run.
        teacher: evaluate the teacher's encoder instead of the student's.
        trusted: run the Python files that the run names, also if somebody else made it.
        cross_validation: judge on folds of all labelled rows as well, see `EvaluationProtocol`; default: as the recipe
            says. It is written to `cross_validation.json`.

    Returns:
        The table, of the cross-validation if there is one. None for data without labels or without a test split, or
        with labels that cannot be probed (one class only); then the report says what can be said without.

    Raises:
        RecipeError: the folder is no run, or has no such encoder.
        DataError: the data are not those that the run was begun with.
        InputError: a cross-validation of data without labels, or with too few groups or rows.
    """
    recipe = load_run(folder, trusted=trusted)
    parts = build(recipe)
    check_data(folder, parts.data)
    name = displayed(recipe.objective.name) + (" (teacher)" if teacher else "")
    encoder = load_encoder(folder, teacher=teacher, trusted=trusted)
    networks: dict[str, nn.Module] = {
        RAW: Function(parts.modality.raw_features),
        UNTRAINED: parts.encoder,
        name: encoder,
    }
    choice = choose_baselines(parts.modality, parts.data, recipe.evaluate)
    features = {label: embed_splits(network, parts, label) for label, network in networks.items()}
    try:
        results = judge(features, parts.data, recipe.evaluate)
        if results is not None:
            results = with_baselines(results, choice, parts)
    except InputError as error:
        warnings.warn(f"no table: {error}", stacklevel=2)
        results = None
    if results is not None:
        results = replace(results, encoder=_encoder(folder, teacher))
        results.save(folder / "results.json")
        encoder.add_evaluation(encoder_folder(folder, teacher=teacher), results, name)
    how = cross_validation or recipe.evaluate.cross_validation
    crossed = None
    if how is not None:
        of_folds = cross_validate(features, parts, choice, recipe.evaluate.model_copy(update={"cross_validation": how}))
        crossed = replace(of_folds, encoder=_encoder(folder, teacher))
        crossed.save(folder / "cross_validation.json")
    content = _content(folder, parts, features, results, name)
    page = write_report(folder / "report.html", replace(content, cross_validation=crossed))
    attach_report(folder, page)
    return results if crossed is None else crossed


def stored(folder: Path, *, teacher: bool = False, trusted: bool = False) -> Results | None:
    """The table that `evaluate_run` left in a run folder.

    Only if it is of this encoder and its present weights, by the present protocol, and with the baselines that can be
    had now.
    """
    try:
        results = Results.load(folder / "results.json")
    except DataError:  # none, or one of another version
        return None
    recipe = load_run(folder, trusted=trusted)
    if results.encoder != _encoder(folder, teacher) or results.protocol != recipe.evaluate:
        return None
    choice = choose_baselines(recipe.modality, read_data(recipe), recipe.evaluate)
    return results if results.baselines == choice.chosen else None


def _encoder(folder: Path, teacher: bool) -> dict[str, str]:
    weights = weights_digest(folder, teacher=teacher).hex()[:16]
    return {"network": "teacher" if teacher else "student", "weights": weights}


def embed_splits(network: nn.Module, parts: Parts, label: str) -> dict[str, Tensor]:
    """Embeddings of every split; the label is for the progress bar."""
    return {split: embed(network, parts.dataset(split), what=f"{label}, {split}") for split in parts.data.splits}


def _content(
    folder: Path,
    parts: Parts,
    features: Mapping[str, Mapping[str, Tensor]],
    results: Results | None,
    name: str,
) -> ReportContent:
    recipe, split = parts.resolved, "test" if "test" in parts.data.splits else "train"
    labels, classes = pictured_labels(parts.data, split)
    embeddings, dataset = features[name][split], parts.dataset(split)
    metrics = pd.read_csv(folder / "metrics.csv") if (folder / "metrics.csv").exists() else None
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    figures: dict[str, EmbeddingFigures] = {
        label: describe_embeddings(splits[split], seed=recipe.evaluate.seed) for label, splits in features.items()
    }
    return ReportContent(
        title=folder.name,
        results=results,
        ours=name,
        figures={} if results is not None else figures,
        metrics=metrics,
        uniform_loss=None if metrics is None else metrics.get("uniform_loss", pd.Series([None])).iloc[-1],
        map=EmbeddingMap(
            embeddings,
            features[UNTRAINED][split],
            labels,
            classes,
            groups=parts.data.groups(split),
            ids=parts.data.splits[split]["id"],
        ),
        draw=parts.modality.draw,
        gallery=gallery(parts, dataset, labels, classes),
        attention=_attention(folder, parts, dataset, labels, classes),
        neighbours=NeighbourRows.find(
            embeddings,
            lambda row: take_sample(_untouched(parts, dataset.__getitems__([row])), 0),
            labels=labels,
            classes=classes,
            groups=parts.data.groups(split),
            ids=parts.data.splits[split]["id"],
        ),
        set_aside=list(parts.data.set_aside),
        repairs=parts.data.repairs,
        notes=parts.data.notes,
        recipe=recipe.recipe.to_yaml(),
        versions=environment["versions"],
        seeds={"training": recipe.train.seed, "evaluation": recipe.evaluate.seed},
        command=environment["command"],
    )


def pictured_labels(data: PreparedData, split: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels for pictures and the names of their classes: real numbers as fifths by quantile."""
    labels = data.labels(split)
    if labels is None or not is_real(labels):
        return labels, tuple(data.facts.get("classes") or ())
    fifths, names = named_strata(labels)
    return fifths, tuple(names)


def gallery(
    parts: Parts, dataset: SplitDataset, labels: np.ndarray | None, classes: Sequence[str], n_samples: int = 4
) -> Gallery:
    """Some rows of a split, of every class equally many, with the views that training would draw of them."""
    rows = picture_rows(len(dataset), labels, n_samples)
    batch = dataset.__getitems__(rows)
    generator = torch.Generator().manual_seed(mixed_seed(parts.resolved.train.seed, 0))
    views = make_views(parts.view_fn, batch, generator)
    single = labels is not None and labels.ndim == 1 and len(classes) > 0
    names = [str(classes[labels[row]]) if labels[row] >= 0 else "" for row in rows] if single else []  # type: ignore
    return Gallery.of_batch(_untouched(parts, batch), [*views.global_views, *views.local_views], names, count=len(rows))


def _attention(
    folder: Path,
    parts: Parts,
    dataset: SplitDataset,
    labels: np.ndarray | None,
    classes: Sequence[str],
) -> AttentionPicture | None:
    """Of one batch, from the student of the newest checkpoint; None where no term of the objective has a picture."""
    objective = trained_objective(folder, parts)
    if objective is None or not hasattr(objective, "picture"):
        return None
    single = labels if labels is not None and labels.ndim == 1 else None
    rows = picture_rows(len(dataset), single, N_PICTURED)
    generator = torch.Generator().manual_seed(mixed_seed(parts.resolved.train.seed, 1))
    shown = objective.picture(dataset.__getitems__(rows), generator=generator)
    if shown is None:
        return None
    labels_of_rows = None if single is None else single[rows]
    return AttentionPicture.of_projections(**shown._asdict(), labels=labels_of_rows, classes=classes)


def trained_objective(folder: Path, parts: Parts) -> Any:
    """The objective of a run, heads and teacher included, from its newest checkpoint; None if there is none."""
    checkpoint = newest_checkpoint(folder / "checkpoints")
    if checkpoint is None:
        return None
    objective: Any = parts.objective(total_steps=1, state_follows=True)
    state = checkpoint.state["state_dict"]
    objective.load_state_dict({k.removeprefix("objective."): v for k, v in state.items()})
    return objective.eval()


def picture_rows(n: int, labels: np.ndarray | None, count: int) -> list[int]:
    """Rows for a picture: of every class equally many where there are labels, else at random."""
    order = np.random.default_rng(0).permutation(n)
    if labels is None or labels.ndim > 1 or not (labels >= 0).any():
        return [int(row) for row in order[:count]]
    of_class = [order[labels[order] == c] for c in np.unique(labels[labels >= 0])]
    turns = [rows[turn] for turn in range(count) for rows in of_class if turn < len(rows)]
    return [int(row) for row in turns[:count]]


def _untouched(parts: Parts, batch: Any) -> Any:
    untouched = getattr(parts.view_fn, "untouched", None)
    return batch if untouched is None else untouched(batch)


class Function(nn.Module):
    """A function as a module, so that raw features are embedded like all others."""

    def __init__(self, function: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, batch: Any) -> Tensor:
        """Call it."""
        return self.function(batch)
