import json

import numpy as np
import pandas as pd
import pytest
import torch

from bam_core import DataError
from bam_core.config.recipe import check_recipe
from bam_core.runs.embed import embed_data
from bam_core.runs.pretrain import pretrain
from bam_core.runs.pretrained import PretrainedEncoder
from modalities.tabular.data import read_table

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, 80),
            "income": rng.normal(0, 1, 80).round(3),
            "city": rng.choice(["Bonn", "Kiel", "Ulm"], 80),
            "label": rng.integers(0, 2, 80),
        }
    )
    frame.loc[::9, "city"] = None
    frame.to_csv(tmp_path / "train.csv", index=False)
    return frame


@pytest.fixture
def run(table, tmp_path):
    recipe = check_recipe(
        {
            "modality": "tabular",
            "data": {"reader": "table", "path": str(tmp_path / "train.csv"), "test_fraction": 0.25},
            "views": {"name": "tabular"},
            "encoder": {"name": "mlp", "width": 16},
            "train": {"epochs": 1, "batch_size": 32, "log_every": 1},
        }
    )
    return pretrain(recipe, tmp_path / "run", progress=False)


def test_new_data_go_through_the_preprocessing_of_the_saved_encoder(run, table, tmp_path):
    new = table.drop(columns="label").iloc[[4, 1, 9]]  # alone, these would be standardised to something else
    new.assign(extra=1).to_parquet(tmp_path / "new.parquet", index=False)
    written = embed_data(run, tmp_path / "new.parquet", tmp_path / "out.parquet")
    assert (written.n_rows, written.width, written.n_set_aside) == (3, 16, 1)
    got = pd.read_parquet(tmp_path / "out.parquet").filter(regex="^e[0-9]").to_numpy()

    encoder = PretrainedEncoder.from_pretrained(run / "encoder")
    prepared = read_table(path=str(tmp_path / "train.csv"), test_fraction=0.25)
    assert json.loads(json.dumps(prepared.facts)) == {k: v for k, v in encoder.facts.items() if k != "ranges"}
    rows = {row["id"]: row for split in prepared.splits.values() for row in split}
    wanted = [rows[f"train:{i}"] for i in (4, 1, 9)]
    columns = {name: np.array([row[name] for row in wanted]) for name in ("numeric", "categorical")}
    with torch.no_grad():
        expected = encoder(encoder.modality.collate(columns, encoder.facts)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_new_data_of_other_columns(run, table, tmp_path):
    table.drop(columns="city").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match="new expected the columns of the training table; 'city' is missing"):
        embed_data(run, tmp_path / "new.csv", tmp_path / "out.parquet")
