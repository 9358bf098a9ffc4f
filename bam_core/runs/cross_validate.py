"""Frozen embeddings of a run on folds of all labelled rows, and prepared data divided into such folds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import torch
from torch import Tensor

from bam_core.config.build import Parts, read_data
from bam_core.config.recipe import Resolved
from bam_core.data import PreparedData
from bam_core.errors import InputError
from bam_core.probes.cross_validation import Fold, describe_fold, make_folds, over_folds
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.runs.baselines import Choice
from bam_core.runs.judge import judge, with_baselines
from bam_core.runs.run_folder import load_run


def cross_validate(
    features: Mapping[str, Mapping[str, Tensor]], parts: Parts, choice: Choice, protocol: EvaluationProtocol
) -> Results:
    """Judge sets of features on folds of all labelled rows.

    Args:
        features: name -> split -> rows.
        parts: of the run.
        choice: of baselines.
        protocol: its `cross_validation` says what the folds are.

    Raises:
        InputError: no labels, too few groups or rows, one class in a fold, or an encoder that learnt from labels.
    """
    check_labels_unseen(parts.resolved)
    whole = all_rows(parts.data)
    pooled = {name: torch.cat([splits[split] for split in parts.data.splits]) for name, splits in features.items()}
    tables, folds = [], data_of_folds(whole, protocol)
    for fold, data in folds:
        of_fold = {
            name: {"train": rows[fold.train.tolist()], "test": rows[fold.test.tolist()]}
            for name, rows in pooled.items()
        }
        try:
            judged = judge(of_fold, data, protocol, describe=False)
        except InputError as error:
            raise InputError(f"fold {fold.info.name!r} cannot be judged: {error}") from error
        tables += [] if judged is None else [with_baselines(judged, choice, replace(parts, data=data))]
    return over_folds(tables, [fold.info for fold, _ in folds], notes=_of_pretraining(parts.data, folds))


def check_labels_unseen(recipe: Resolved) -> None:
    """See that the encoder did not learn from the labels of rows that folds hold out.

    Raises:
        InputError: its objective asks for labels.
    """
    if recipe.needs_labels:
        raise InputError(
            "a cross-validation of one run expected an encoder that has seen no labels; objective "
            f"{recipe.objective.name!r} or a term beside it learns from those of train, which folds would hold out. "
            "Pretrain a run for each fold, with its groups as test, and give all of them to bam evaluate "
            "--cross-validation runs."
        )


def _of_pretraining(data: PreparedData, folds: Sequence[tuple[Fold, PreparedData]]) -> list[str]:
    """What the encoder has seen of the held-out rows."""
    is_train = np.concatenate([np.full(len(rows), split == "train") for split, rows in data.splits.items()])
    seen = [fold.info.name for fold, _ in folds if is_train[fold.test].any()]
    if not seen:
        return []
    return [
        f"One encoder for all folds, that of the run: of {len(seen)} of {len(folds)} folds it has seen held-out rows "
        "in pretraining, without their labels. To leave them out of pretraining as well, pretrain a run for each fold, "
        "with its groups as test, and give all of them to bam evaluate --cross-validation runs."
    ]


def all_rows(data: PreparedData) -> PreparedData:
    """The rows of all splits, one split after the other, as "train"."""
    rows = datasets.concatenate_datasets(list(data.splits.values()))
    return replace(data, splits={"train": rows}, fingerprint=f"{data.fingerprint}-all")


def data_of_folds(whole: PreparedData, protocol: EvaluationProtocol) -> list[tuple[Fold, PreparedData]]:
    """For each fold its rows as test and all others as train.

    Args:
        whole: see `all_rows`.
        protocol: its `cross_validation` and `seed` say what the folds are.

    Raises:
        InputError: no labels, or too few groups or rows.
    """
    how = protocol.cross_validation
    labels = whole.labels("train")
    if how is None or labels is None:
        raise InputError("a cross-validation expected labels; the data have none.")
    folds = make_folds(labels, whole.groups("train"), how, seed=protocol.seed)
    made = []
    for number, fold in enumerate(folds):
        splits = {"train": _taken(whole, fold.train), "test": _taken(whole, fold.test)}
        fingerprint = f"{whole.fingerprint}-{how}-{protocol.seed}-{number}"
        made.append((fold, replace(whole, splits=splits, fingerprint=fingerprint)))
    return made


def _taken(whole: PreparedData, rows: np.ndarray) -> datasets.Dataset:
    return whole.splits["train"].select(rows)


def joined_runs(folders: Sequence[Path], tables: Sequence[Results], *, trusted: bool = False) -> Results:
    """Tables of several runs as a cross-validation: each run holds out other rows of the same data as test.

    Args:
        folders: of the runs.
        tables: their results.
        trusted: run the Python files that the runs name, also if somebody else made them.

    Raises:
        InputError: recipes that differ in more than the data's options, other data, or a row that is held out twice.
    """
    recipes = [load_run(folder, trusted=trusted) for folder in folders]
    first, *others = (recipe.recipe.model_dump(mode="json", exclude={"data"}) for recipe in recipes)
    for folder, other in zip(folders[1:], others, strict=True):
        if differing := [name for name in first if first[name] != other.get(name)]:
            raise InputError(
                f"runs as folds expected one recipe that differs in data only; {folders[0]} and {folder} have another "
                f"section {' and '.join(differing)}."
            )
    datas = [read_data(recipe) for recipe in recipes]
    known = {tuple(sorted(_ids(data, tuple(data.splits)))) for data in datas}
    if len(known) > 1 or len({table.protocol.hash() for table in tables}) > 1:
        raise InputError(
            "runs as folds expected the same rows in every run, divided in other ways, and the same protocol; "
            f"{' and '.join(map(str, folders))} differ. Change only what is held out, such as data.test_groups."
        )
    held_out = [_ids(data, ("test",)) for data in datas]
    twice = [name for name, count in Counter(name for names in held_out for name in names).items() if count > 1]
    if twice:
        raise InputError(
            f"runs as folds expected every row in the test split of one run only; {min(twice)!r} is in several."
        )
    left = len(_ids(datas[0], tuple(datas[0].splits))) - sum(map(len, held_out))
    notes = [
        f"Each fold is a run with an encoder of its own, which has not seen the held-out rows: {len(folders)} runs."
    ]
    if left:
        notes.append(f"{left:,} rows are held out in no run.")
    about = [
        describe_fold(number, np.arange(len(data.splits["test"])), data.groups("test"))
        for number, data in enumerate(datas, start=1)
    ]
    return over_folds(tables, about, notes=notes)


def _ids(data: PreparedData, splits: Sequence[str]) -> list[str]:
    return [str(name) for split in splits for name in data.splits[split]["id"]]
