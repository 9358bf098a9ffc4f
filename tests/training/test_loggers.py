"""Loggers of others: hyper-parameters, curves and the report end in local records, the same one when a run goes on."""

import json

import pytest
import yaml
from lightning.pytorch.loggers import TensorBoardLogger

import bam_core as bam
from bam_core import MissingExtraError, RecipeError
from bam_core.config.schema import TrainSettings
from bam_core.training import loggers as module
from bam_core.training.loggers import attach_report, flat, make_loggers, names_of, remember_records

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
RECIPE = {"modality": "ecg", "train": {"epochs": 7, "learning_rate": 1e-3}}


@pytest.fixture
def page(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").write_text("<p>A report.</p>")
    return tmp_path / "run" / "report.html"


def test_which_loggers(monkeypatch):
    assert names_of(TrainSettings(logger=["csv", "mlflow", "csv"])) == ("csv", "mlflow")
    assert names_of(TrainSettings()) == ("csv", "tensorboard")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert names_of(TrainSettings()) == ("csv",)
    assert flat(RECIPE) == {"modality": "ecg", "train.epochs": 7, "train.learning_rate": 1e-3}


def test_a_logger_that_does_not_exist_or_is_not_installed(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match=r"train\.logger.*'csv', 'tensorboard', 'wandb' or 'mlflow'"):
        bam.pretrain("smoke/ecg", train__logger=["neptune"])
    absent = ModuleNotFoundError("No module named 'wandb'", name="wandb")

    def missing(folder, record):
        raise absent

    monkeypatch.setitem(module.MAKERS, "wandb", missing)
    with pytest.raises(MissingExtraError, match=r"train\.logger: wandb needs the package 'wandb'.*bam-ssl\[loggers\]"):
        make_loggers(TrainSettings(logger=["wandb"]), tmp_path, RECIPE)
    (tmp_path / "loggers.json").write_text(json.dumps({"wandb": {"id": "a", "project": "b"}}))
    monkeypatch.setitem(module.ATTACHERS, "wandb", lambda *args: missing(*args[:2]))
    with pytest.raises(MissingExtraError, match="the record of wandb needs the package 'wandb'"):
        attach_report(tmp_path, tmp_path / "report.html")


def test_tensorboard(page):
    (logger,) = make_loggers(TrainSettings(logger=["tensorboard"]), page.parent, RECIPE)
    assert isinstance(logger, TensorBoardLogger)
    logger.log_metrics({"loss": 1.5}, step=1)
    logger.finalize("success")
    assert list((page.parent / "tensorboard").glob("events.out.tfevents.*"))
    remember_records(page.parent, [logger])
    assert attach_report(page.parent, page) == []


def test_mlflow_in_a_local_folder(page, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder, settings = page.parent, TrainSettings(logger=["csv", "mlflow"])
    (logger,) = make_loggers(settings, folder, RECIPE)
    logger.log_metrics({"loss": 1.5}, step=1)
    remember_records(folder, [logger])
    (again,) = make_loggers(settings, folder, RECIPE)
    again.log_metrics({"loss": 0.5}, step=2)
    assert attach_report(folder, page) == ["mlflow"]
    record = json.loads((folder / "loggers.json").read_text())["mlflow"]
    client = MlflowClient(record["uri"])
    run = client.get_run(record["run_id"])
    assert run.data.params["train.epochs"] == "7"
    assert [point.value for point in client.get_metric_history(record["run_id"], "loss")] == [1.5, 0.5]
    assert [file.path for file in client.list_artifacts(record["run_id"])] == ["report.html"]
    assert record["uri"].startswith("file://")


def test_wandb_offline(page, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    folder = page.parent
    (logger,) = make_loggers(TrainSettings(logger=["wandb"]), folder, RECIPE)
    logger.log_metrics({"loss": 1.5}, step=1)
    remember_records(folder, [logger])
    wandb.finish()
    assert attach_report(folder, page) == ["wandb"]
    wandb.teardown()  # waits until its own process has written everything
    record = json.loads((folder / "loggers.json").read_text())["wandb"]
    first, second = sorted((folder / "wandb").glob(f"offline-run-*-{record['id']}"))
    logged = next(first.glob("*.wandb")).read_bytes()
    assert b"train.epochs" in logged
    assert b"loss" in logged
    assert b"report.html" in next(second.glob("*.wandb")).read_bytes()


def test_a_run_with_mlflow(tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "records").as_uri())
    train = {"epochs": 1, "logger": ["csv", "mlflow"], "log_every": 1}
    run = bam.pretrain("smoke/ecg", folder=tmp_path / "run", train=train, progress=False)
    record = json.loads((run.folder / "loggers.json").read_text())["mlflow"]
    found = MlflowClient(record["uri"]).get_run(record["run_id"]).data
    assert found.metrics["loss"] == pytest.approx(run.metrics["loss"].iloc[-1], rel=1e-4)
    assert found.params["encoder.name"] == run.recipe.encoder["name"]
    assert yaml.safe_load((run.folder / "recipe.yaml").read_text())["train"]["logger"] == ["csv", "mlflow"]
