"""Exported files say what the saved networks say, from raw rows; what disagrees is not left behind."""

import json
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from saved_encoders import READERS, make

from bam_core import DataError, InputError, PretrainedEncoder, RecipeError
from bam_core.cli import main
from bam_core.config.registry import load_modality
from bam_core.export import files, network
from bam_core.export.files import export
from bam_core.finetuning.module import Predictor
from bam_core.finetuning.pretrained import PretrainedClassifier, PretrainedRegressor
from bam_core.finetuning.task import Task

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Tracing meets symbols in place of numbers, which the checks of types are not made for."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def said_by(path, arrays):
    """What ONNX Runtime says, and what the file says of itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    about = json.loads(session.get_modelmeta().custom_metadata_map["bam"])
    return session.run(None, {name: values.numpy() for name, values in arrays.items()})[0], about


@pytest.mark.parametrize("name", READERS)
def test_a_file_says_what_the_encoder_says_of_raw_rows(name, tmp_path):
    saved = make(name, tmp_path)
    made = export(tmp_path, "onnx", tmp_path / "encoder.onnx")
    assert made.difference <= 1e-5
    source = network.open_source(tmp_path, seed=3)
    found, about = said_by(made.path, source.input.examples)
    assert source.input.rows is not None, "compared by way of the reader"
    expected = network.as_before(source, len(found))
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert found.std(axis=0).max() > 1e-3, "rows differ"
    assert about["modality"] == saved.config["modality"]
    assert about["output"] == "embeddings"
    assert about["inputs"].keys() == source.input.examples.keys()
    if name in ("timeseries", "ecg", "audio"):
        assert made.dynamic == ("batch", "time")


def test_series_scaled_as_the_training_rows_and_with_values_missing(tmp_path):
    encoder = {"name": "resnet1d", "width": 4, "n_blocks": 1}
    make("timeseries", tmp_path / "a", options={"normalize": "train", "missing": "mask"}, encoder=encoder)
    made = export(tmp_path / "a", "torch")
    assert made.path == tmp_path / "a" / "encoder.pt2"
    source = network.open_source(tmp_path / "a")
    module = torch.export.load(made.path).module()
    with torch.no_grad():
        gaps = {name: values.clone() for name, values in source.input.examples.items()}
        gaps["signal"][:, 0, 3:20] = torch.nan
        assert module(*gaps.values()).isfinite().all()


def test_what_comes_out_of_fine_tuned_models(tmp_path, capsys):
    saved = make("tabular", tmp_path / "encoder")
    for task, kind, output in (
        (Task("classes", ("a", "b")), PretrainedClassifier, "probabilities"),
        (Task("several", ("a", "b")), PretrainedClassifier, "probabilities"),
        (Task("number", (), 20.0, 3.0), PretrainedRegressor, "predictions"),
    ):
        predictor = Predictor(saved.encoder, width=8, n_outputs=task.n_outputs)
        torch.nn.init.normal_(predictor.head.weight)
        config = {name: saved.config[name] for name in ("modality", "encoder", "facts", "source")}
        folder = tmp_path / task.kind / "model"
        kind.of_predictor(predictor, task, **config).save_pretrained(folder)
        made = export(folder.parent, "torch")
        assert made.output == output
        assert made.path.name == "model.pt2"
        source = network.open_source(folder)
        with torch.no_grad():
            found = torch.export.load(made.path).module()(*source.input.examples.values()).numpy()
        np.testing.assert_allclose(found, network.as_before(source, len(found)), atol=1e-4)
        if task.kind == "classes":
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
            assert source.classes == ("a", "b")
    assert main(["export", str(tmp_path / "encoder"), "--to", "torch", "-o", str(tmp_path / "new" / "e.pt2")]) == 0
    printed = capsys.readouterr().out
    assert "Input numeric: (batch, 1) numbers in the unit of the training table, NaN where missing: size" in printed
    assert "rows compared, largest difference" in printed


def test_a_file_that_disagrees_is_not_left(tmp_path, monkeypatch):
    make("image", tmp_path)
    runner = files._runner
    monkeypatch.setattr(files, "_runner", lambda to, path: lambda arrays: runner(to, path)(arrays) + 1e-3)
    with pytest.raises(
        DataError, match=r"(?s)cannot be exported to torch; nothing was written.*the file says something else"
    ):
        export(tmp_path, "torch")
    assert {file.name for file in tmp_path.iterdir()} == {"README.md", "config.json", "model.safetensors"}


def test_what_cannot_be_exported(tmp_path, monkeypatch):
    saved = make("image", tmp_path / "a")
    with pytest.raises(InputError, match="export expected one of onnx, torch; got 'tflite'"):
        export(tmp_path / "a", "tflite")
    with pytest.raises(RecipeError, match="expected the folder of a run, of a fine-tuning, or of a saved encoder"):
        export(tmp_path)
    bare = PretrainedEncoder(**{**saved.config, "source": {}})
    bare.save_pretrained(tmp_path / "bare")
    with pytest.raises(RecipeError, match="does not say how its data were read"):
        export(tmp_path / "bare")
    silent = replace(load_modality("image"), export_input=None)
    monkeypatch.setattr("bam_core.runs.pretrained.load_modality", lambda name: silent)
    with pytest.raises(InputError, match="'image' does not say what an exported network takes: it has no export_input"):
        export(tmp_path / "a")
