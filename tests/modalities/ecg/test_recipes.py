"""The recipes of PTB-XL and MIT-BIH from raw files to the report, on stand-ins for the folders."""

import json

import numpy as np
import pytest
import torch
import wfdb
from ecg_folders import write_mitbih, write_ptbxl
from run_folders import rows_of

from bam_core.config.build import read_data
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.probes.results import Results
from bam_core.runs.evaluate_run import evaluate_run
from bam_core.runs.pretrain import pretrain
from bam_core.runs.pretrained import PretrainedEncoder
from modalities.ecg.beats import MITBIH_INTER_PATIENT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("quick_pictures"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb"),  # see conftest.py
]

QUICK = [
    *("train.epochs=1", "train.warmup_epochs=0", "train.num_workers=0", "train.log_every=1"),
    *("evaluate.draws=2", "evaluate.bootstrap=100", "evaluate.c_grid=[0.1]", "evaluate.fractions=[1.0, 0.1]"),
    "evaluate.baselines=none",
]


def run(name, folder, *overrides):
    """Pretrain and judge; returns the recipe and the saved table."""
    recipe = load_recipe(find_recipe(name), [*QUICK, *overrides])
    results = evaluate_run(pretrain(recipe, folder, progress=False))
    saved = Results.load(folder / "results.json")
    assert [(row.features, row.mean) for row in saved.rows] == [(row.features, row.mean) for row in results.rows]
    assert saved.features == ["raw features", "untrained encoder", "bam"]
    assert saved.columns == [(probe, fraction) for probe in ("knn", "linear") for fraction in (1.0, 0.1)]
    assert saved.verdict() in (folder / "report.html").read_text(encoding="utf-8")
    return recipe, saved


def test_ptbxl_from_the_folder_to_macro_auc_of_the_statements(tmp_path):
    folds = np.repeat([1, 8, 9, 10], [9, 9, 6, 12])
    folder = write_ptbxl(tmp_path / "ptb-xl", folds)
    _, results = run("ecg/ptbxl_xresnet1d50", tmp_path / "run", f"data.path={folder}", "train.batch_size=8")
    assert len(rows_of(tmp_path / "run")) == 2
    assert results.metrics == ["auc"]
    assert results.classes == ("AFIB", "AMI", "ASMI", "IMI", "NDT", "NORM", "PVC", "SR")
    assert all(0 <= row.mean <= 1 for row in results.rows)
    for features in results.features:
        n_labels = [results.row(features, "linear", fraction).n_labels for fraction in (1.0, 0.1)]
        assert n_labels[0] == 18 > n_labels[1] > 0
    assert results.row("raw features", "linear", 1.0).mean > 0.7  # statements go with the heart rate

    about = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert about["data"]["rows"] == {"train": 18, "validation": 6, "test": 12}
    encoder = PretrainedEncoder.from_pretrained(tmp_path / "run" / "encoder")
    assert encoder(torch.randn(2, 12, 1000)).shape == (2, 512)


def test_mitbih_is_downloaded_and_tested_on_other_people(tmp_path, monkeypatch):
    downloads = []

    def download(db_dir, dl_dir):
        downloads.append(db_dir)
        write_mitbih(tmp_path / dl_dir)

    monkeypatch.setattr(wfdb, "dl_database", download)
    options = [f"data.path={tmp_path / 'mitdb'}", "data.download=true", "encoder.width=8", "train.batch_size=64"]
    recipe, results = run("ecg/mitbih_resnet1d", tmp_path / "run", *options)
    assert downloads == ["mitdb"]
    assert len(rows_of(tmp_path / "run")) == 22 * 10 // 64

    data = read_data(recipe)
    for split, names in MITBIH_INTER_PATIENT.items():
        assert set(data.groups(split)) == {row.partition("@")[0] for row in data.splits[split]["id"]} == set(names)
    assert not set(data.groups("train")) & set(data.groups("test"))
    assert data.facts["leads"] == ["MLII"]
    assert (data.facts["sampling_rate_hz"], data.facts["length"]) == (128, 160)
    assert np.bincount(data.labels("test"), minlength=4).min() == 0  # no fusion beats in the stand-in
    assert not data.set_aside

    assert results.classes == ("N", "S", "V", "F")
    assert results.protocol.classes == ("N", "S", "V")
    assert results.metrics == ["macro_f1", "balanced_accuracy", "accuracy"]
    assert results.row("raw features", "linear", 1.0).mean > 0.9  # wide beats, and early ones
    assert not any("group" in note for note in results.notes)
