"""What a user would take instead of pretraining, evaluated by the same protocol, once for the same data.

The table of a baseline is kept beside the prepared data, under a key made of the data, their labels and splits, the
protocol, the baseline's code and the versions of its packages; so many runs on the same data pay for it once.
"""

import hashlib
import importlib.util
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset

from bam_core import __version__
from bam_core.config.registry import choose
from bam_core.data import PreparedData
from bam_core.data.cache import cache_root
from bam_core.data.prepared import ABOUT
from bam_core.data.progress import track
from bam_core.data.row_budget import rows_at_a_time
from bam_core.errors import DataError, InputError, MissingExtraError
from bam_core.labels.strata import is_real
from bam_core.outputs import make_folder
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.logistic import standardisation
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.probes.task import rows_in_use
from bam_core.protocols import Baseline, Modality

FORMAT = 2  # of what is kept; raise it when the same key would give other numbers


class Choice(NamedTuple):
    """The baselines of a table, and why others are not in it, by name."""

    chosen: tuple[str, ...]
    left_out: dict[str, str]

    @property
    def notes(self) -> list[str]:
        """A sentence for each that is left out."""
        return [f"Baseline {name} is left out: {reason}" for name, reason in self.left_out.items()]


def choose_baselines(modality: Modality, data: PreparedData, protocol: EvaluationProtocol) -> Choice:
    """The baselines that the protocol asks for and that can be had.

    Args:
        modality: offers them.
        data: to be evaluated on.
        protocol: its `baselines` are "auto", "none" or names.

    Raises:
        RecipeError: a name that the modality does not offer.
        MissingExtraError: one that is asked for by name needs a package that is not installed.
        InputError: one that is asked for by name does not fit the data.
    """
    asked = protocol.baselines
    if asked == "none":
        return Choice((), {})
    by_name = asked != "auto"
    names: Sequence[str] = list(modality.baselines) if asked == "auto" else asked
    chosen, left_out = [], {}
    for name in names:
        baseline: Baseline = choose("evaluate.baselines", name, modality.baselines)
        missing = not_installed(baseline)
        why_not = "" if baseline.why_not is None else baseline.why_not(data.splits["train"].column_names, data.facts)
        if missing:
            reason = f"it needs {' and '.join(missing)}: pip install 'bam-ssl[{baseline.extra}]'."
            if by_name:
                raise MissingExtraError(f"evaluate.baselines: {name!r} cannot be had; {reason}")
            left_out[name] = reason
        elif why_not:
            if by_name:
                raise InputError(f"evaluate.baselines: {name!r} cannot be had; {why_not}")
            left_out[name] = why_not
        else:
            chosen.append(name)
    return Choice(tuple(chosen), left_out)


def judge_baseline(name: str, modality: Modality, data: PreparedData, protocol: EvaluationProtocol) -> Results | None:
    """The table of one baseline, taken from the cache if it was made before.

    Args:
        name: of the baseline.
        modality: offers it.
        data: with labels.
        protocol: of the evaluation.

    Returns:
        A table of one row, or None for data without labels or without a test split.

    Raises:
        InputError: labels that cannot be probed, or features that are not finite.
    """
    labels = split_labels(data)
    if labels is None:
        return None
    baseline = modality.baselines[name]
    path = cache_root() / "baselines" / f"{name}-{_key(name, baseline, modality, data, labels, protocol)}.json"
    try:
        return replace(Results.load(path), protocol=protocol)
    except DataError:  # none yet, or one of another version
        results = _judge(name, baseline, data, labels, protocol)
    make_folder(path.parent)
    results.save(path)
    return results


def split_labels(data: PreparedData) -> SplitLabels | None:
    """Labels and groups of all splits, or None for data without labels or without a test split."""
    labels = {split: data.labels(split) for split in data.splits}
    if "test" not in labels or labels["train"] is None or labels["test"] is None:
        return None
    return SplitLabels(
        train=labels["train"],
        test=labels["test"],
        validation=labels.get("validation"),
        classes=data.facts.get("classes") or (),
        train_groups=data.groups("train"),
        test_groups=data.groups("test"),
        regression=is_real(labels["train"]),
    )


def _judge(
    name: str, baseline: Baseline, data: PreparedData, labels: SplitLabels, protocol: EvaluationProtocol
) -> Results:
    rows = rows_in_use(labels, protocol)
    taken = {"train": rows.train, "test": rows.test}
    if rows.validation is not None:
        taken["validation"] = rows.validation
    n_fit = min(baseline.fit_rows, len(rows.train))
    at_random = np.random.default_rng(protocol.seed).choice(rows.train, n_fit, replace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages, on rows that are constant or short
        fitted = baseline.fit(
            columns_of(data.splits["train"], np.sort(at_random)),
            data.facts,
            n_rows=sum(map(len, taken.values())),
            seed=protocol.seed,
        )
        features: dict[str, np.ndarray] = {}
        for split, wanted in taken.items():
            size = rows_at_a_time(data.facts)
            starts = track(range(0, len(wanted), size), f"{name}, {split}")
            parts = [fitted.features(columns_of(data.splits[split], wanted[start : start + size])) for start in starts]
            features[split] = np.concatenate([feature_array(part) for part in parts]) if parts else np.empty((0, 1))
    if fitted.knn:
        mean, scale = standardisation(features["train"])
        features = {split: (values - mean) / scale for split, values in features.items()}
    results = evaluate(
        {name: Features(features["train"], features["test"], features.get("validation"))},
        rows.labels,
        protocol,
        data_fingerprint=data.fingerprint,
        classifiers={} if fitted.classifier is None else {name: fitted.classifier},
        without_knn=() if fitted.knn else (name,),
        describe=False,
    )
    versions = ", ".join(f"{package} {found}" for package, found in _versions(baseline).items())
    about = " ".join(part for part in (baseline.about, fitted.note) if part)
    note = f"{name}: {about}{f' ({versions})' if versions else ''}"
    return replace(results, labels_hash=labels.hash(), notes=(note, *(n for n in results.notes if n.startswith(name))))


def columns_of(rows: Dataset, wanted: np.ndarray) -> Mapping[str, Any]:
    """The columns of some rows of a split, as `Modality.collate` takes them."""
    names = [name for name in rows.column_names if name not in ABOUT]
    columns: Mapping[str, Any] = rows.select_columns(names).with_format("numpy")[wanted.tolist()]
    return columns


def feature_array(values: Any) -> np.ndarray:
    """Features of a baseline, array or tensor, as a float32 array."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return array.astype(np.float32, copy=False)


def not_installed(baseline: Baseline) -> list[str]:
    """Names of the modules that a baseline needs and that are not installed."""
    return [package for package in baseline.packages if importlib.util.find_spec(package) is None]


def _key(
    name: str,
    baseline: Baseline,
    modality: Modality,
    data: PreparedData,
    labels: SplitLabels,
    protocol: EvaluationProtocol,
) -> str:
    code = inspect.getsourcefile(getattr(baseline.fit, "func", baseline.fit))  # of a partial, what it calls
    parts = [
        *(FORMAT, __version__, modality.name, name, _versions(baseline)),
        hashlib.sha256(Path(code).read_bytes()).hexdigest() if code else "",
        data.fingerprint or data.content_hash(),
        labels.hash(),
        protocol.hash(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def _versions(baseline: Baseline) -> dict[str, str]:
    found = {}
    of_module = packages_distributions()
    for package in baseline.packages:
        for distribution in of_module.get(package, [package])[:1]:
            try:
                found[distribution] = version(distribution)
            except PackageNotFoundError:
                found[distribution] = ""
    return found
