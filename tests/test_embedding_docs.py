"""What the docs say about going from new data to embeddings, and from there to scikit-learn, runs and agrees."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ecg_folders import heartbeats, wfdb
from run_folders import untrained_run

from bam_core.runs.embed import embed_data
from modalities.ecg.data import read_wfdb

DOCS = Path(__file__).parents[1] / "docs"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")  # see ecg_folders.py


def block(page, *, after, nth=0):
    section = (DOCS / page).read_text(encoding="utf-8").split(after)[1]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[nth]


def numbers(table):
    return table.filter(regex=r"^e\d+$").to_numpy()


def test_ecg(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("records").mkdir()
    leads = ["I", "II", "V1"]
    signal = np.stack([heartbeats(5250, range(250, 5250, 500), 1.0 + i, 8, seed=i) for i in range(3)], axis=1)
    exec(block("ecg.md", after="### Other files"), {"leads": leads, "signal": signal})
    recipe = {
        "modality": "ecg",
        "data": {"reader": "wfdb", "path": "records", "window_s": 2.0, "leads": ["V1", "I"]},
        "views": {"name": "ecg"},
        "encoder": {"name": "resnet1d", "width": 4},
    }
    run = tmp_path / "runs" / "my_run"
    untrained_run(run, recipe)
    embed_data(run, Path("records"), Path("embeddings.parquet"))
    expected = numbers(pd.read_parquet("embeddings.parquet"))
    assert expected.shape == (5, 16)

    read = {}
    exec(block("ecg.md", after="## Use the result"), read)
    np.testing.assert_allclose(read["embeddings"].numpy(), expected, atol=1e-5)
    kept = wfdb.rdrecord("records/patient7").p_signal  # in 16 bits
    np.testing.assert_allclose(kept, signal, atol=1e-3)
    names = {"recording": dict(zip(leads, kept.T, strict=True))}
    exec(block("ecg.md", after="## Use the result", nth=1), names)
    np.testing.assert_allclose(names["by_hand"].numpy(), expected, atol=1e-5)
    assert "normalize" in read_wfdb.__doc__  # where the page sends its readers


def test_tables_and_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"age": rng.normal(50, 9, 60), "town": rng.choice(["Bonn", "Kiel"], 60)})
    rows = rows.assign(label=rng.choice(["ill", "well"], 60), group=np.repeat(np.arange(10), 6))
    rows.loc[::20, "label"] = None
    rows.to_csv("rows.csv", index=False)
    recipe = {
        "modality": "tabular",
        "data": {"reader": "table", "path": "rows.csv"},
        "views": {"name": "tabular"},
        "encoder": {"name": "mlp", "width": 8},
    }
    run = tmp_path / "runs" / "adult"
    untrained_run(run, recipe)
    embed_data(run, Path("rows.csv"), Path("embeddings.parquet"))

    table = {"new_rows": rows.drop(columns="label")}
    exec(block("tabular.md", after="## Use the result"), table)
    np.testing.assert_allclose(table["vectors"].numpy(), numbers(pd.read_parquet("embeddings.parquet")), atol=1e-5)
    fitted = {}
    exec(block("sklearn.md", after="## From `bam embed`"), fitted)
    assert fitted["X"].shape == (57, 8)
    assert fitted["scores"].shape == (5,)
    assert set(fitted["table"]["class"]) == {"ill", "well"}
