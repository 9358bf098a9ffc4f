"""A saved model reads new data by the recipe that it brings; a Python file that it names needs trust."""

import pytest

import bam_core as bam
from bam_core import PretrainedClassifier
from bam_core.errors import RecipeError


def test_a_reader_in_a_file_of_a_strangers_model_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = bam.pretrain("smoke/tabular", folder="run", train__epochs=1, progress=False)
    made = run.finetune(fractions=[1.0], seeds=1, epochs=1, folder="made")
    made.model().save_pretrained("model")
    (tmp_path / "new.py").write_text("raise SystemExit('it ran')\n")
    model = PretrainedClassifier.from_pretrained("model")
    model.source["recipe"]["data"] = {"reader": "new.py:READ", "path": "x.csv"}
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RecipeError, match="trust"):
        model.predict("x.csv")
