"""The evaluations that papers on ImageNet report, as `bam evaluate RUN --protocol NAME`, for image runs of any size.

They differ from `bam_core.training.assess` in that labels may train the whole network, and in what is fixed: the recipe
of the field, not the search inside train. Each leaves `protocols/NAME-HASH/result.json` in the run folder, HASH being
that of its settings.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import nn

from bam_core.data import PreparedData, SplitDataset
from bam_core.distributed import rank
from bam_core.errors import DataError, RecipeError
from bam_core.evaluation import EvaluationProtocol, Features, Results, SplitLabels, balanced_rows, evaluate
from bam_core.evaluation.inputs import labelled
from bam_core.registry import did_you_mean, displayed, load_modality
from bam_core.training.assess import RAW, UNTRAINED, Function
from bam_core.training.build import Parts, assemble, read_data
from bam_core.training.checkpoints import write_text
from bam_core.training.classifier import Accuracy, Classifier, Labelled, fit_classifier
from bam_core.training.embedding import embed
from bam_core.training.imagenet_settings import (
    WHERE,
    ClassifierSettings,
    KNNSettings,
    LinearSettings,
    SemiOneSettings,
    SemiSettings,
    TransferSettings,
)
from bam_core.training.recipe import Recipe
from bam_core.training.records import check_data, file_digest, weights_digest
from bam_core.training.run import environment, load_encoder, load_run

Network = Literal["student", "teacher", "untrained"]
REFERENCE_BATCH = 256  # learning rates are given for it


@dataclass(frozen=True)
class Judged:
    """What a protocol found.

    Attributes:
        protocol: its name.
        network: student, teacher or untrained.
        settings: all values.
        results: a table, for protocols on frozen embeddings.
        history: top-1 and top-5 after every epoch, for those that train.
        rows: numbers of rows: to learn from, and to judge on, with the name of the split.
        path: of the file.
    """

    protocol: str
    network: Network
    settings: Mapping[str, Any]
    results: Results | None
    history: tuple[Accuracy, ...]
    rows: Mapping[str, Any]
    path: Path

    @property
    def last(self) -> Accuracy:
        """The last epoch: the figure to report."""
        return self.history[-1]

    @property
    def best(self) -> Accuracy:
        """The best epoch, chosen on the very rows that it is judged on: flattering."""
        return max(self.history, key=lambda accuracy: accuracy.top1)

    @classmethod
    def load(cls, path: Path) -> "Judged":
        """Read what `save` wrote about a training.

        Raises:
            DataError: the file is none of ours.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            history = tuple(Accuracy(int(epoch), top1, top5) for epoch, top1, top5 in found["epochs"])
            return cls(found["protocol"], found["network"], found["settings"], None, history, found["rows"], path)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no result of a protocol ({error!r}). Delete it to judge again.") from error

    def save(self, about: Mapping[str, Any]) -> None:
        """Write the file, with what a reader needs to repeat it."""
        found: dict[str, Any] = {"protocol": self.protocol, "network": self.network, "settings": dict(self.settings)}
        found |= {"rows": dict(self.rows), **about}
        if self.results is not None:
            found["results"] = self.results.to_plain()
        if self.history:
            found["last"], found["best"] = self.last._asdict(), self.best._asdict()
            found["epochs"] = [list(accuracy) for accuracy in self.history]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, json.dumps(found, indent=1))


def judge_by(
    folder: Path, protocol: str, overrides: Mapping[str, Any], *, network: Network = "student", progress: bool = True
) -> Judged:
    """Judge a run by one of the `PROTOCOLS`.

    Args:
        folder: of the run.
        protocol: name.
        overrides: of the settings of the protocol.
        network: which encoder; "untrained" is that of the recipe's seed before pretraining, for comparison.
        progress: show bars.

    Returns:
        What was found; it is in the run folder, too.

    Raises:
        RecipeError: no such protocol or setting; a run that is none of images, or has no such encoder.
        DataError: labels that are missing, for train or for a split to judge on; data that are not those that the run
            was begun with.
        KeyboardInterrupt: it was interrupted; the same command goes on.
    """
    if protocol not in PROTOCOLS:
        hint = did_you_mean(protocol, PROTOCOLS)
        raise RecipeError(f"--protocol expected one of {', '.join(PROTOCOLS)}; got {protocol!r}{hint}")
    model, function = PROTOCOLS[protocol]
    settings = _checked(model, protocol, overrides)
    _check_processes(protocol, settings)
    recipe = load_run(folder)
    data = read_data(recipe)
    check_data(folder, data)
    identity = _identity(folder, network, settings, data.fingerprint)
    target = folder / "protocols" / f"{protocol}-{identity}" / "result.json"
    if target.is_file() and isinstance(settings, ClassifierSettings):
        return Judged.load(target)
    found = function(_Asked(folder, recipe, data, network, target.parent, progress), settings)
    values = settings.model_dump(mode="json")
    judged = Judged(protocol, network, values, found.results, found.history, found.rows, target)
    if rank() == 0:
        known = environment(recipe, found.data)
        about = {key: known[key] for key in ("command", "started", "versions", "machine")}
        judged.save({**about, "data": found.data.fingerprint})
    return judged


def _check_processes(protocol: str, settings: BaseModel) -> None:
    """Somebody else may have started several of us."""
    started = int(os.environ.get("WORLD_SIZE", 1))
    devices, nodes = getattr(settings, "devices", 1), getattr(settings, "num_nodes", 1)
    if started > 1 and devices != "auto" and started != int(devices) * nodes:
        options = f"devices={started // nodes}" if isinstance(settings, ClassifierSettings) else "one process"
        raise RecipeError(
            f"--protocol {protocol}: {started} processes were started (WORLD_SIZE), for {devices} device(s) on {nodes} "
            f"machine(s). Take {options}."
        )


def _identity(folder: Path, network: Network, settings: BaseModel, data: str) -> str:
    """Eight digits of settings, data, weights and list of labels: others must not go on with a training of these."""
    found = hashlib.sha256(json.dumps([network, settings.model_dump(exclude=WHERE), data], sort_keys=True).encode())
    if network != "untrained":
        found.update(weights_digest(folder, teacher=network == "teacher"))
    if isinstance(settings, ClassifierSettings) and settings.labels is not None:
        found.update(file_digest(Path(settings.labels)))
    return found.hexdigest()[:8]


def _checked(model: type[BaseModel], protocol: str, overrides: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(dict(overrides))
    except ValidationError as error:
        lines = []
        for e in error.errors():
            key = ".".join(str(part) for part in e["loc"])
            hint = did_you_mean(key, model.model_fields) if e["type"] == "extra_forbidden" else ""
            lines.append(f"  {key}: {e['msg'][0].lower()}{e['msg'][1:]}{hint}")
        known = ", ".join(model.model_fields)
        raise RecipeError(
            f"--protocol {protocol}: settings have mistakes (known: {known}):\n" + "\n".join(lines)
        ) from error


class _Asked(NamedTuple):
    """The run that a protocol judges: its data, which encoder, and where to keep what is trained."""

    folder: Path
    recipe: Recipe
    data: PreparedData
    network: Network
    target: Path
    progress: bool

    def parts(self) -> Parts:
        """What the recipe names, built."""
        return assemble(self.recipe, load_modality(self.recipe.modality), self.data)


class _Found(NamedTuple):
    """What a protocol's function returns."""

    data: PreparedData
    rows: dict[str, Any]
    results: Results | None = None
    history: tuple[Accuracy, ...] = ()


def _knn(asked: _Asked, settings: KNNSettings) -> _Found:
    parts = asked.parts()
    held_out, train, judged = _labels(parts.data)
    bank = balanced_rows(train, settings.fraction, seed=settings.seed)
    options = {"k": settings.k, "temperature": settings.temperature}
    sets = (
        SplitDataset(parts.data.splits["train"].select(bank), parts.modality.collate, parts.data.facts),
        parts.dataset(held_out),
    )
    features = _features(asked, parts, sets)
    results = _evaluate(features, train[bank], judged, parts.data, held_out, probe="knn", **options)
    return _Found(parts.data, _counted(train[bank], judged, held_out), results)


def _transfer(asked: _Asked, settings: TransferSettings) -> _Found:
    _images_only(asked.recipe)
    own = asked.parts()
    options = {"reader": "folder", **settings.model_dump(), "decoding": "in_workers", "check": "decode"}
    data = read_data(asked.recipe.model_copy(update={"data": options}))
    held_out, train, judged = _labels(data)
    facts = {**data.facts, **{name: own.data.facts[name] for name in ("in_channels", "image_size")}}
    sets = [SplitDataset(data.splits[split], own.modality.collate, facts) for split in ("train", held_out)]
    features = _features(asked, own, sets)
    results = _evaluate(features, train, judged, data, held_out, probe="linear", seed=settings.seed)
    return _Found(data, _counted(train, judged, held_out), results)


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


def _classifier(asked: _Asked, settings: ClassifierSettings) -> _Found:
    recipe, network = asked.recipe, asked.network
    _images_only(recipe)
    parts = _parts_for_labels(asked, settings.scale)
    held_out, train, judged = _labels(parts.data)
    rows = _rows_to_learn_from(parts.data, train, settings)
    encoder = (
        parts.encoder if network == "untrained" else load_encoder(asked.folder, teacher=network == "teacher").encoder
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
    training = recipe.train.model_copy(
        update={
            **settings.model_dump(include={"epochs", "batch_size", "seed", *WHERE}, exclude_none=True),
            "gradient_clip": None,
            "log_every": 1,
            "strategy": "auto" if recipe.train.strategy == "fsdp" else recipe.train.strategy,
        }
    )
    history = fit_classifier(
        lambda steps: make(steps=steps),
        lambda seed: Labelled(parts.training_set(seed), rows, train),
        Labelled(parts.dataset(held_out), np.flatnonzero(labelled(judged)), judged),
        training,
        asked.target / "checkpoints",
        progress=asked.progress,
    )
    return _Found(parts.data, _counted(train[rows], judged, held_out), history=tuple(history))


def _parts_for_labels(asked: _Asked, scale: tuple[float, float]) -> Parts:
    """The parts of an image run whose views are one random crop, mirrored if the recipe mirrors, and nothing else."""
    plain = {
        "n_views": 1, "n_local": 0, "scale": scale, "jitter_p": 0.0, "grayscale_p": 0.0, "blur_sigma": None,
        "solarize_p": (0.0,), "boxes_every": None,
    }  # fmt: skip
    changed = asked.recipe.model_copy(update={"views": {**asked.recipe.views, **plain}})
    return asked._replace(recipe=changed).parts()


def _images_only(recipe: Recipe) -> None:
    if recipe.modality != "image":
        raise RecipeError(
            f"this protocol crops and mirrors images; the run is one of {displayed(recipe.modality)!r}. Without "
            "--protocol, bam evaluate judges any run."
        )


def _labels(data: PreparedData) -> tuple[str, np.ndarray, np.ndarray]:
    """The split to judge on, test or else validation, and the labels of train and of that split."""
    known = {split: data.labels(split) for split in data.splits}
    usable = {split: found for split, found in known.items() if found is not None and labelled(found).any()}
    held_out = next((split for split in ("test", "validation") if split in usable), None)
    if held_out is None or "train" not in usable:
        raise DataError(f"the protocol expected labels for train and for test or validation; got them for {[*usable]}.")
    if usable["train"].ndim > 1:
        raise DataError("the protocol expected one class a row; these data carry several labels.")
    return held_out, usable["train"], usable[held_out]


def _counted(train: np.ndarray, judged: np.ndarray, held_out: str) -> dict[str, Any]:
    return {"train": int(labelled(train).sum()), "judged": int(labelled(judged).sum()), "split": held_out}


def _features(asked: _Asked, parts: Parts, sets: Sequence[SplitDataset]) -> dict[str, Features]:
    """Of rows to learn from and rows to judge on: raw, of the untrained encoder, and of the one that is asked for."""
    networks: dict[str, nn.Module] = {RAW: Function(parts.modality.raw_features), UNTRAINED: parts.encoder}
    if asked.network != "untrained":
        teacher = asked.network == "teacher"
        name = displayed(asked.recipe.objective["name"]) + " (teacher)" * teacher
        networks[name] = load_encoder(asked.folder, teacher=teacher)
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


PROTOCOLS: dict[str, tuple[type[BaseModel], Callable[..., _Found]]] = {
    "imagenet-knn": (KNNSettings, _knn),
    "imagenet-linear": (LinearSettings, _classifier),
    "semi-1": (SemiOneSettings, _classifier),
    "semi-10": (SemiSettings, _classifier),
    "transfer": (TransferSettings, _transfer),
}
