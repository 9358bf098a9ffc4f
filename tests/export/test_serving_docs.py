"""The server of docs/serving.md, run as it stands there."""

import re
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from saved_encoders import make

from bam_core.export import network
from bam_core.export.files import export
from bam_core.finetuning.module import Predictor
from bam_core.finetuning.pretrained import PretrainedClassifier
from bam_core.finetuning.task import Task

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.mark.filterwarnings("ignore")
def test_the_server(tmp_path, monkeypatch):
    from fastapi.testclient import TestClient

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    saved = make("tabular", tmp_path / "encoder")
    predictor = Predictor(saved.encoder, width=8, n_outputs=2)
    predictor.head.weight.data.normal_()
    config = {name: saved.config[name] for name in ("modality", "encoder", "facts", "source")}
    PretrainedClassifier.of_predictor(predictor, Task("classes", ("low", "high")), **config).save_pretrained(
        tmp_path / "model"
    )
    made = export(tmp_path / "model", "onnx")
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    assert len(code.splitlines()) <= 36
    monkeypatch.setenv("MODEL", str(made.path))
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    client = TestClient(names["app"])
    source = network.open_source(tmp_path / "model")
    rows = {name: values.tolist() for name, values in source.input.examples.items()}
    found = client.post("/predict", json=rows)
    assert found.status_code == 200
    expected = network.as_before(source, len(rows["numeric"]))
    np.testing.assert_allclose(found.json()["probabilities"], expected, atol=1e-5)
    assert found.json()["prediction"] == [["low", "high"][best] for best in expected.argmax(axis=1)]
    gap = {**rows, "numeric": [[None]] * len(rows["numeric"])}
    assert np.isfinite(client.post("/predict", json=gap).json()["probabilities"]).all()
    assert client.get("/about").json()["inputs"]["categorical"]["shape"][0] == "batch"
    assert client.post("/predict", json={}).json()["detail"] == "missing: categorical, numeric"
    assert "inputs do not fit" in client.post("/predict", json={**rows, "numeric": [[1.0, 2.0]]}).json()["detail"]
