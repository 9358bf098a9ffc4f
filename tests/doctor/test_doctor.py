"""What a look at data before training finds, and the recipe and page that it leaves."""

import numpy as np
import pandas as pd
import pytest

from bam_core import DataError, RecipeError
from bam_core.cli import main
from bam_core.config.recipe import load_recipe
from bam_core.doctor.examine import examine
from bam_core.doctor.findings import _is_clipped, feature_score


def table(folder, **columns):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(240, 3)), columns=["age", "height", "dose"])
    frame["sick"] = rng.permutation(["yes", "no"] * 120)
    for name, values in columns.items():
        frame[name] = values(frame) if callable(values) else values
    frame.to_csv(folder / "people.csv", index=False)
    return folder / "people.csv"


@pytest.mark.slow
def test_a_table_with_faults(tmp_path, capsys):
    path = table(tmp_path, bill=lambda f: (f["sick"] == "yes") * 2.0 + f["age"] / 100)
    frame = pd.read_csv(path)
    frame.loc[239] = frame.loc[0]
    frame["part"] = ["train"] * 200 + ["test"] * 40
    frame.to_csv(path, index=False)
    command = ["doctor", str(path), "--modality", "tabular", "label=sick", "split=part"]
    outputs = ["-o", str(tmp_path / "my.yaml"), "--page", str(tmp_path / "doctor.html")]
    assert main([*command, *outputs]) == 0
    said = capsys.readouterr().out
    assert "'bill' alone tells the label (1.000 of 1)" in said
    assert "'age' alone" not in said
    assert "1 rows of test have the same values as a row of train" in said
    assert "No group says which rows are of the same person" in said
    recipe = load_recipe(tmp_path / "my.yaml")
    assert recipe.reader.options["label"] == "sick"
    assert recipe.train.batch_size * 4 <= 256
    assert 500 <= recipe.train.epochs * 200 / recipe.train.batch_size <= 2000
    page = (tmp_path / "doctor.html").read_text()
    assert "alone tells the label" in page
    assert page.count("<img") == 1
    assert main([*command, *outputs]) == 1
    assert "exists; write the recipe to another name" in capsys.readouterr().err


@pytest.mark.slow
def test_series_that_are_clipped_and_few(tmp_path):
    rng = np.random.default_rng(0)
    waves = np.sin(np.linspace(0, 20, 100) + rng.uniform(0, 6, (40, 1)))
    np.save(tmp_path / "waves.npy", np.clip(waves, -0.7, 0.7)[:, None])
    found = examine(tmp_path / "waves.npy", "timeseries", {}).found
    assert found[0].startswith("Train has 40 rows: too few")
    assert found[-1].startswith("40 of 40 rows stay at their largest or smallest value for a while: clipped")


def test_what_cannot_be_looked_at(tmp_path):
    with pytest.raises(DataError, match=r"expected data at '.*none\.csv'; there is nothing"):
        examine(tmp_path / "none.csv", "tabular", {})
    (tmp_path / "a.xml").touch()
    with pytest.raises(RecipeError, match=r"no reader of 'tabular' is known to take \.xml\. Known: .*reader=NAME"):
        examine(tmp_path / "a.xml", "tabular", {})


def test_how_well_one_feature_tells_the_label():
    labels = np.array([0, 1] * 50)
    noise = np.random.default_rng(0).normal(size=100)
    assert feature_score(labels * 10 + noise, labels) == 1
    assert feature_score(-labels * 10 + noise, labels) == 1
    assert feature_score(noise, labels) < 0.7
    assert feature_score(np.where(labels == 1, np.nan, 1.0), labels) == 0  # known for one class only
    assert feature_score(labels * 3, labels) == 1  # categories
    assert feature_score(np.zeros(100, int), labels) == 0


def test_a_peak_is_not_clipped():
    wave = np.sin(np.linspace(0, 20, 200))
    assert not _is_clipped(wave)
    assert _is_clipped(np.minimum(wave, 0.8))
    assert not _is_clipped(np.ones(200))
