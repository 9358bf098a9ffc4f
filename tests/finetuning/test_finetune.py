"""From a run and labels to a model: every kind of labels, its table and page, interruptions, wrong input."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from run_folders import untrained_run

import bam_core as bam
from bam_core import DataError, PretrainedClassifier, PretrainedRegressor
from bam_core.finetuning import trials
from bam_core.finetuning.finetune import finetune, load_model

pytestmark = pytest.mark.slow
QUICK = {"seeds": 1, "fractions": [1.0], "epochs": 12, "min_steps": 20, "batch_size": 32, "learning_rate": 0.01}


def people(n=240, seed=0):
    """Two numbers that tell class, labels and a number, of twenty people."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    return pd.DataFrame(
        {
            "x": x, "z": z, "who": [f"p{i % 20}" for i in range(n)], "kind": np.where(x + z > 0, "up", "down"),
            "high": (x > 0).astype(int), "wide": (z > 0).astype(int), "size": 100 + 20 * x,
        }
    )  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run on a table, whose encoder has random weights; its data have the labels that are asked for."""
    people().to_csv(tmp_path / "people.csv", index=False)

    def make(**options):
        used = {"x", "z", "who", *np.atleast_1d(options.get("label", []))}
        data = {"reader": "table", "path": str(tmp_path / "people.csv"), "group": "who", **options}
        untrained_run(
            tmp_path / "run",
            {
                "modality": "tabular",
                "data": {**data, "drop": sorted({*people().columns} - used)},
                "views": {"name": "tabular"},
                "encoder": {"name": "mlp", "width": 16, "depth": 1},
                "train": {"accelerator": "cpu"},
                "evaluate": {"baselines": "none", "bootstrap": 100},
            },
        )
        return tmp_path / "run"

    return make


def test_a_class_a_row(run, tmp_path, capsys):
    folder = run(label="kind")
    made = bam.load(folder).finetune(**QUICK, folder=tmp_path / "made")
    said = capsys.readouterr().out
    assert "[1/2] fine-tuned, 192 labels (100 %), seed 0: auc" in said
    assert made.results.features == ["raw features", "from scratch", "linear probe", "fine-tuned"]
    assert made.results.row("fine-tuned", "model", 1.0).mean > 0.95
    assert "48 of test" not in made.results.row("fine-tuned", "model", 1.0).spread_of
    assert "4 groups of test" in made.results.row("fine-tuned", "model", 1.0).spread_of
    assert any(note.startswith("Test has 4 group(s) only") for note in made.results.notes)
    page = made.report().read_text(encoding="utf-8")
    assert all(text in page for text in ("ROC", "Calibration", "What is taken for what", "Class by class"))
    assert "the best that needs no pretraining" in made.verdict()
    assert made.verdict().splitlines()[0] in page
    assert "<table>" in made._repr_html_()
    model = made.model()
    assert isinstance(model, PretrainedClassifier)
    assert model.classes == ("down", "up")
    new = people(50, seed=1)
    new.to_csv(tmp_path / "new.csv", index=False)
    of_files, of_frame = model.predict(tmp_path / "new.csv"), model.predict(new)
    assert (of_files["prediction"] == new["kind"]).mean() > 0.85
    assert of_files["prediction"].tolist() == of_frame["prediction"].tolist()
    chances = PretrainedClassifier.from_pretrained(made.folder / "model").predict_proba(new)
    np.testing.assert_allclose(chances[["down", "up"]].sum(axis=1), 1)
    assert (chances[["down", "up"]].idxmax(axis=1) == of_frame["prediction"]).all()
    with pytest.raises(DataError, match="PretrainedRegressor expected a model of number; this one is of a classes"):
        PretrainedRegressor.from_pretrained(made.folder / "model")


def test_several_labels_a_row(run, tmp_path):
    made = bam.load(run(label=["high", "wide"])).finetune(**QUICK, class_weights="balanced", folder=tmp_path / "made")
    assert made.results.metrics == ["auc", "average_precision"]
    assert made.results.row("fine-tuned", "model", 1.0).mean > 0.95
    assert {row.name for row in made.results.by_class} == {"high", "wide"}
    new = people(50, seed=1)
    found = made.model().predict(new)["prediction"]
    right = [set(names) == {n for n in ("high", "wide") if new[n][i]} for i, names in enumerate(found)]
    assert np.mean(right) > 0.7


def test_numbers(run, tmp_path):
    made = bam.load(run(label="size", task="regression")).finetune(**QUICK, folder=tmp_path / "made")
    assert made.results.metrics == ["r2", "mae", "spearman"]
    assert made.results.row("fine-tuned", "model", 1.0).mean > 0.8
    model = load_model(made.folder / "model")
    assert isinstance(model, PretrainedRegressor)
    new = people(50, seed=1)
    assert np.corrcoef(model.predict(new)["prediction"], new["size"])[0, 1] > 0.9
    assert "Said against true" in made.report().read_text(encoding="utf-8")


def test_a_frozen_encoder_stays_as_it_was(run, tmp_path):
    folder = run(label="kind")
    made = bam.load(folder).finetune(**QUICK, freeze="encoder", scratch=False, folder=tmp_path / "made")
    before, after = bam.load(folder).encoder().encoder.state_dict(), made.model().predictor.encoder.state_dict()
    assert all((before[name] == after[name]).all() for name in before)
    assert made.results.features == ["raw features", "linear probe", "fine-tuned"]


def test_a_refit_learns_from_all_labels_to_the_same_part_of_the_course(run, monkeypatch):
    """Rows that decided when to stop are learnt from afterwards; the saved model is the second training's."""
    from bam_core.finetuning import train as module

    seen = []
    fit = module.fit

    def watched(make, train, held_out, settings, folder, **options):
        model = fit(make, train, held_out, settings, folder, **options)
        seen.append((len(train(lambda: (0, 0))), 0 if held_out is None else len(held_out), model))
        return model

    monkeypatch.setattr(module, "fit", watched)
    run = bam.load(run(label="kind"))
    task, rows, settings, encoder = _parts_of(run, refit=True)
    fitted = module.train_predictor(
        encoder, task, rows, settings, run.recipe.train, pretrained=True, metric="accuracy", seed=0
    )
    (first, held_out, before), (second, none, after) = seen
    n = int((rows.labels >= 0).sum())
    assert (first + held_out, second, none, fitted.n_labels) == (n, n, 0, n)
    best = max(before.history, key=lambda look: look.quality).step
    assert after.last_step == fitted.steps == max(1, round(best / before.steps * after.steps))
    assert after.finished or fitted.steps == after.steps
    for name, value in after.predictor.state_dict().items():
        torch.testing.assert_close(fitted.predictor.state_dict()[name], value.cpu())


def test_folds_in_place_of_the_test_split(run, tmp_path, capsys):
    folder = run(label="kind")
    settings = {**QUICK, "epochs": 2, "min_steps": 4, "scratch": False, "cross_validation": 4}
    made = finetune(folder, settings)
    assert [len(fold.groups) for fold in made.results.folds] == [5] * 4
    row = made.results.row("fine-tuned", "model", 1.0)
    assert (len(row.values), row.n_labels) == (4, 180)
    assert row.mean == pytest.approx(np.mean(row.values))
    assert made.results.features == ["raw features", "linear probe", "fine-tuned"]
    page = made.report().read_text()
    assert '<h2 id="folds">Cross-validation</h2>' in page
    assert "240" in page, "all rows are predicted once"
    assert made.model().classes == ("down", "up")
    assert "The model that is kept learns from all labelled rows." in capsys.readouterr().out
    times = {file: file.stat().st_mtime_ns for file in made.folder.rglob("*.npz")}
    assert finetune(folder, settings).folder == made.folder
    assert {file: file.stat().st_mtime_ns for file in made.folder.rglob("*.npz")} == times


def _parts_of(run, **settings):
    from bam_core.config.build import read_data
    from bam_core.data import SplitDataset
    from bam_core.finetuning.settings import FinetuneSettings
    from bam_core.finetuning.task import Task
    from bam_core.finetuning.train import Rows

    data, encoder = read_data(run._resolved), run.encoder()
    labels = data.labels("train")
    rows = Rows(SplitDataset(data.splits["train"], encoder.modality.collate, data.facts), labels)
    quick = FinetuneSettings(**{"epochs": 2, "min_steps": 6, "batch_size": 8, **settings})
    return Task.of_labels(labels, data.facts["classes"]), rows, quick, encoder.encoder


def test_unlabelled_rows_of_train_standardise_too(run, tmp_path):
    """Two labelled rows alone would make every column one or minus one, however little it differs."""
    folder = run(label="kind")
    quick = {**QUICK, "scratch": False, "freeze": "encoder"}
    few, all_rows = (
        bam.load(folder).finetune(**quick, fraction=part, folder=tmp_path / str(part)).model() for part in (0.02, 1.0)
    )
    assert (few.predictor.scale == all_rows.predictor.scale).all()


def test_what_was_stopped_goes_on(run, tmp_path, monkeypatch):
    folder = run(label="kind")
    settings = {**QUICK, "fractions": [1.0, 0.5], "scratch": False}
    whole = finetune(folder, settings, output=tmp_path / "whole", say=lambda line: None)
    ran = []
    train = trials.Bench.train

    def stop_at_the_second(bench, trial):
        ran.append(trial.name)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return train(bench, trial)

    monkeypatch.setattr(trials.Bench, "train", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        finetune(folder, settings, output=tmp_path / "parts", say=lambda line: None)
    again = finetune(folder, settings, output=tmp_path / "parts", say=lambda line: None)
    assert ran == ["fine-tuned-1-0", "fine-tuned-0.5-0", "fine-tuned-0.5-0", "fine-tuned-0.5-1"]
    assert [row.values for row in again.results.rows] == [row.values for row in whole.results.rows]
    assert not list((tmp_path / "parts").rglob("*.checkpoints"))


def test_labels_of_other_data(run, tmp_path):
    folder = run()
    people(120, seed=2).to_csv(tmp_path / "train.csv", index=False)
    people(60, seed=3).to_csv(tmp_path / "test.csv", index=False)
    labels = {"label": "kind", "drop": ["high", "wide", "size"]}
    options = {"path": tmp_path / "train.csv", "test_path": tmp_path / "test.csv", **labels}
    made = bam.load(folder).finetune(data=options, **QUICK, scratch=False)
    assert made.folder.parent == folder
    assert made.folder.name.startswith("finetune-")
    assert made.results.row("fine-tuned", "model", 1.0).mean > 0.9
    assert json.loads((made.folder / "settings.json").read_text())["epochs"] == 12
    drawn = bam.load(folder).finetune(data={"path": tmp_path / "train.csv", **labels}, **QUICK, scratch=False)
    assert drawn.results.row("fine-tuned", "model", 1.0).n_labels == 96


def test_no_labels_are_refused_with_a_way_out(run):
    with pytest.raises(DataError, match=r"expected labels in train; there are none\. .* data\.label=COLUMN"):
        bam.load(run()).finetune(**QUICK)


def test_a_label_that_the_encoder_knows_is_refused(run):
    with pytest.raises(DataError, match="A label must not be a column that the encoder was trained on"):
        bam.load(run(group="none")).finetune(data={"label": "x", "task": "regression"}, **QUICK)
