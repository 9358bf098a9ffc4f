"""What the protocols of `bam_core.imagenet.run_protocol` do: functions of a run and settings."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from bam_core.config.build import Parts, assemble, read_data
from bam_core.config.recipe import Resolved
from bam_core.config.registry import displayed
from bam_core.config.schema import may_change
from bam_core.data import PreparedData, SplitDataset
from bam_core.errors import DataError, RecipeError
from bam_core.finetuning.fit import Labelled, fit
from bam_core.imagenet.classifier import Accuracy, Classifier
from bam_core.imagenet.settings import (
    ClassifierSettings,
    KNNSettings,
    LinearSettings,
    SemiOneSettings,
    SemiSettings,
    TransferSettings,
)
from bam_core.labels.strata import is_real
from bam_core.probes.evaluate import evaluate
from bam_core.probes.fractions import balanced_rows
from bam_core.probes.inputs import Features, SplitLabels, labelled
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.runs.evaluate_run import RAW, UNTRAINED, Function
from bam_core.runs.features import embed
from bam_core.runs.run_folder import load_encoder

Network = Literal["student", "teacher", "untrained"]
REFERENCE_BATCH = 256  # learning rates are given for it


class ProtocolRequest(NamedTuple):
    """The run that a protocol judges: its data, which encoder, and where to keep what is trained."""

    folder: Path
    recipe: Resolved
    data: PreparedData
    network: Network
    target: Path
    progress: bool
    trusted: bool = False

    def parts(self) -> Parts:
        """What the recipe names, built."""
        return assemble(self.recipe, self.data)


class ProtocolOutput(NamedTuple):
    """What a protocol's function returns."""

    data: PreparedData
    rows: dict[str, Any]
    results: Results | None = None
    history: tuple[Accuracy, ...] = ()


def _knn(request: ProtocolRequest, settings: KNNSettings) -> ProtocolOutput:
    parts = request.parts()
    held_out, train, judged = _labels(parts.data)
    bank = balanced_rows(train, settings.fraction, seed=settings.seed)
    options = {"k": settings.k, "temperature": settings.temperature}
    sets = (
        SplitDataset(parts.data.splits["train"].select(bank), parts.modality.collate, parts.data.facts),
        parts.dataset(held_out),
    )
    features = _features(request, parts, sets)
    results = _evaluate(features, train[bank], judged, parts.data, held_out, probe="knn", **options)
    return ProtocolOutput(parts.data, _counted(train[bank], judged, held_out), results)


def _transfer(request: ProtocolRequest, settings: TransferSettings) -> ProtocolOutput:
    _images_only(request.recipe)
    own = request.parts()
    options = {"reader": "folder", **settings.model_dump(), "decoding": "in_workers", "check": "decode"}
    data = read_data(request.recipe.changed(data=options))
    held_out, train, judged = _labels(data)
    facts = {**data.facts, **{name: own.data.facts[name] for name in ("in_channels", "image_size")}}
    sets = [SplitDataset(data.splits[split], own.modality.collate, facts) for split in ("train", held_out)]
    features = _features(request, own, sets)
    results = _evaluate(features, train, judged, data, held_out, probe="linear", seed=settings.seed)
    return ProtocolOutput(data, _counted(train, judged, held_out), results)


def _evaluate(
    features: Mapping[str, Features],
    train: np.ndarray,
    judged: np.ndarray,
    data: PreparedData,
    held_out: str,
    *,
    probe: Literal["knn", "linear"],
    **options: Any,
) -> Results:
    """One probe on all rows, however many."""
    rows = {"max_train_rows": max(20, len(train)), "max_test_rows": max(20, len(judged))}
    protocol = EvaluationProtocol(probes=(probe,), fractions=(1.0,), metrics=("accuracy",), **rows, **options)
    labels = SplitLabels(
        train=train, test=judged, classes=data.facts.get("classes") or (), test_groups=data.groups(held_out)
    )
    return evaluate(features, labels, protocol, data_fingerprint=data.fingerprint)


def _classifier(request: ProtocolRequest, settings: ClassifierSettings) -> ProtocolOutput:
    recipe, network = request.recipe, request.network
    _images_only(recipe)
    parts = _parts_for_labels(request, settings.scale)
    held_out, train, judged = _labels(parts.data)
    rows = _rows_to_learn_from(parts.data, train, settings)
    encoder = (
        parts.encoder
        if network == "untrained"
        else load_encoder(request.folder, teacher=network == "teacher", trusted=request.trusted).encoder
    )
    features = getattr(encoder, "probe_features", encoder) if settings.patch_tokens else encoder
    encoder.eval()
    with torch.no_grad():
        width = features(parts.dataset("train").__getitems__([0, 1])).shape[1]
    factor = settings.batch_size / REFERENCE_BATCH
    if len(rows) < settings.batch_size:  # one smaller batch is all there is
        factor = min(1.0, factor)
    encoder_rate = settings.encoder_learning_rate
    torch.manual_seed(settings.seed)
    make = partial(
        Classifier,
        encoder,
        features,
        parts.view_fn,
        width=width,
        n_classes=int(max(train.max(), judged.max())) + 1,
        learning_rate=settings.learning_rate * factor,
        encoder_learning_rate=None if encoder_rate is None else encoder_rate * factor,
        batch_norm=settings.batch_norm,
        seed=settings.seed,
    )
    where_it_runs = may_change(ClassifierSettings)
    training = recipe.train.model_copy(
        update={
            **settings.model_dump(include={"epochs", "batch_size", "seed", *where_it_runs}, exclude_none=True),
            "gradient_clip": None,
            "log_every": 1,
            "strategy": "auto" if recipe.train.strategy == "fsdp" else recipe.train.strategy,
        }
    )
    trained = fit(
        lambda steps: make(steps=steps),
        lambda seed: Labelled(parts.training_set(seed), rows, train),
        Labelled(parts.dataset(held_out), np.flatnonzero(labelled(judged)), judged),
        training,
        request.target / "checkpoints",
        progress=request.progress,
    )
    return ProtocolOutput(parts.data, _counted(train[rows], judged, held_out), history=tuple(trained.history))


def _parts_for_labels(request: ProtocolRequest, scale: tuple[float, float]) -> Parts:
    """The parts of an image run whose views are one random crop, mirrored if the recipe mirrors, and nothing else."""
    plain = {
        "n_views": 1, "n_local": 0, "scale": scale, "jitter_p": 0.0, "grayscale_p": 0.0, "blur_sigma": None,
        "solarize_p": (0.0,), "boxes_every": None,
    }  # fmt: skip
    changed = request.recipe.changed(views={**request.recipe.recipe.views, **plain})
    return request._replace(recipe=changed).parts()


def _images_only(recipe: Resolved) -> None:
    if recipe.recipe.modality != "image":
        raise RecipeError(
            f"this protocol crops and mirrors images; the run is one of {displayed(recipe.recipe.modality)!r}. Without "
            "--protocol, bam evaluate judges any run."
        )


def _labels(data: PreparedData) -> tuple[str, np.ndarray, np.ndarray]:
    """The split to evaluate on, test or else validation, and the labels of train and of that split."""
    known = {split: data.labels(split) for split in data.splits}
    usable = {split: found for split, found in known.items() if found is not None and labelled(found).any()}
    held_out = next((split for split in ("test", "validation") if split in usable), None)
    if held_out is None or "train" not in usable:
        raise DataError(f"the protocol expected labels for train and for test or validation; got them for {[*usable]}.")
    if usable["train"].ndim > 1 or is_real(usable["train"]):
        kind = "real numbers as" if is_real(usable["train"]) else "several"
        raise DataError(f"the protocol expected one class a row; these data carry {kind} labels.")
    return held_out, usable["train"], usable[held_out]


def _counted(train: np.ndarray, judged: np.ndarray, held_out: str) -> dict[str, Any]:
    return {"train": int(labelled(train).sum()), "judged": int(labelled(judged).sum()), "split": held_out}


def _features(request: ProtocolRequest, parts: Parts, sets: Sequence[SplitDataset]) -> dict[str, Features]:
    """Of rows to learn from and rows to evaluate on: raw, of the untrained encoder, and of the trained one."""
    networks: dict[str, nn.Module] = {RAW: Function(parts.modality.raw_features), UNTRAINED: parts.encoder}
    if request.network != "untrained":
        teacher = request.network == "teacher"
        name = displayed(request.recipe.objective.name) + " (teacher)" * teacher
        networks[name] = load_encoder(request.folder, teacher=teacher, trusted=request.trusted)
    return {name: Features(*(embed(module, rows, what=name) for rows in sets)) for name, module in networks.items()}


def _rows_to_learn_from(data: PreparedData, labels: np.ndarray, settings: ClassifierSettings) -> np.ndarray:
    if settings.labels is None:
        return balanced_rows(labels, settings.fraction, seed=settings.seed)
    path = Path(settings.labels)
    if not path.is_file():
        raise DataError(f"labels={settings.labels} expected a text file with an id a line; there is none.")
    names = [name for name in (line.strip() for line in path.read_text(encoding="utf-8").splitlines()) if name]
    ids = [str(identity) for identity in data.splits["train"]["id"]]
    rows: dict[str, list[int]] = {}
    for row, identity in enumerate(ids):
        for name in {identity, _stem(identity)}:
            rows.setdefault(name, []).append(row)
    found = [rows.get(name) or rows.get(_stem(name), []) for name in names]
    wrong = [name for name, places in zip(names, found, strict=True) if len(places) != 1]
    if wrong or not names:
        raise DataError(
            f"{path} expected lines that each name one row of train, by its id or the file's name; "
            f"{len(wrong)} of {len(names)} do not, such as {wrong[:3]}. An id looks like "
            f"{ids[0]!r}."
        )
    chosen = np.unique([place for places in found for place in places])
    if not labelled(labels[chosen]).all():
        raise DataError(f"{path} names {int((~labelled(labels[chosen])).sum())} row(s) of train without a label.")
    return chosen


def _stem(identity: str) -> str:
    """n01440764_10026 of train/n01440764/n01440764_10026.JPEG, and of train-000.tar:n01440764_10026."""
    return identity.rpartition("/")[2].rpartition(":")[2].partition(".")[0]


PROTOCOLS: dict[str, tuple[type[BaseModel], Callable[..., ProtocolOutput]]] = {
    "imagenet-knn": (KNNSettings, _knn),
    "imagenet-linear": (LinearSettings, _classifier),
    "semi-1": (SemiOneSettings, _classifier),
    "semi-10": (SemiSettings, _classifier),
    "transfer": (TransferSettings, _transfer),
}
