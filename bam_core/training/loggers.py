"""Loggers of others beside `metrics.csv`: TensorBoard, Weights & Biases, MLflow. They get hyper-parameters and report.

A run that is continued goes on in the same record, which `loggers.json` in its folder names.
"""

import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as lightning
from lightning.pytorch.loggers import Logger

from bam_core.config.registry import extra
from bam_core.config.schema import TrainSettings
from bam_core.outputs import write_text

PROJECT = "bam-ssl"
RECORDS = "loggers.json"


def names_of(settings: TrainSettings) -> tuple[str, ...]:
    """Loggers that a run has: those that are named, or TensorBoard if it is installed."""
    if settings.logger == "auto":
        return ("csv", "tensorboard") if find_spec("tensorboard") is not None else ("csv",)
    return tuple(dict.fromkeys(settings.logger))


def make_loggers(settings: TrainSettings, folder: Path, hyperparameters: Mapping[str, Any]) -> list[Logger]:
    """Lightning's loggers for a run; "csv" is `metrics.csv`, which is always written and needs none.

    Args:
        settings: name them.
        folder: of the run, after which they call it.
        hyperparameters: the recipe as plain values.

    Raises:
        MissingExtraError: one that is named is not installed.
    """
    made: list[Logger] = []
    known = _records(folder)
    for name in names_of(settings):
        if name == "csv":
            continue
        with extra("loggers", f"train.logger: {name}"):
            logger = MAKERS[name](folder, known.get(name, {}))
        logger.log_hyperparams(flat(hyperparameters))
        made.append(logger)
    return made


def remember_records(folder: Path, loggers: Sequence[Any]) -> None:
    """Write down which records of others a run goes on in; called by the first process, when the folder is there."""
    found = _records(folder)
    for logger in loggers:
        if isinstance(logger, lightning.loggers.WandbLogger):
            found["wandb"] = {"id": str(logger.experiment.id), "project": PROJECT}
        if isinstance(logger, lightning.loggers.MLFlowLogger):
            found["mlflow"] = {"run_id": str(logger.run_id), "uri": str(logger._tracking_uri)}
    if found:
        write_text(folder / RECORDS, json.dumps(found, indent=1))


def attach_report(folder: Path, report: Path) -> list[str]:
    """Attach a page to the records of a run.

    Args:
        folder: of the run.
        report: the page.

    Returns:
        Names of the loggers that have it now.

    Raises:
        MissingExtraError: a logger that the run had is not installed any more.
    """
    done = []
    for name, record in _records(folder).items():
        with extra("loggers", f"the record of {name}"):
            ATTACHERS[name](folder, record, report)
        done.append(name)
    return done


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one, with points between.

    Example:
        >>> flat({"train": {"epochs": 5}, "modality": "ecg"})
        {'train.epochs': 5, 'modality': 'ecg'}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _records(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / RECORDS
    known: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return known


def _tensorboard(folder: Path, record: Mapping[str, str]) -> Logger:
    import tensorboard  # noqa: F401

    return lightning.loggers.TensorBoardLogger(folder, name="", version="tensorboard")


def _wandb(folder: Path, record: Mapping[str, str]) -> Logger:
    import wandb  # noqa: F401

    return lightning.loggers.WandbLogger(
        name=folder.name, project=PROJECT, save_dir=folder, id=record.get("id"), resume="allow" if record else None
    )


def _mlflow(folder: Path, record: Mapping[str, str]) -> Logger:
    import mlflow  # noqa: F401

    uri = record.get("uri") or os.environ.get("MLFLOW_TRACKING_URI") or (folder.parent / "mlruns").resolve().as_uri()
    _allow_folder(uri)
    return lightning.loggers.MLFlowLogger(PROJECT, folder.name, tracking_uri=uri, run_id=record.get("run_id"))


def _allow_folder(uri: str) -> None:
    """MLflow of late asks for a word before it writes into a folder; a database would need all of its packages."""
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


def _to_wandb(folder: Path, record: Mapping[str, str], report: Path) -> None:
    import wandb

    with wandb.init(project=record["project"], id=record["id"], resume="allow", dir=folder, name=folder.name) as run:
        artifact = wandb.Artifact(f"report-{record['id']}", type="report")
        artifact.add_file(str(report))
        run.log_artifact(artifact)


def _to_mlflow(folder: Path, record: Mapping[str, str], report: Path) -> None:
    from mlflow.tracking import MlflowClient

    _allow_folder(record["uri"])
    MlflowClient(record["uri"]).log_artifact(record["run_id"], str(report))


class Maker(Protocol):
    """Makes a logger of Lightning for a run."""

    def __call__(self, folder: Path, record: Mapping[str, str]) -> Logger:
        """Make one, which goes on in a record if there is one."""
        ...


MAKERS: dict[str, Maker] = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
ATTACHERS = {"wandb": _to_wandb, "mlflow": _to_mlflow}
