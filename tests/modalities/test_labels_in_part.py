"""From files whose labels are missing for a part: pretraining on all rows, evaluation on the labelled ones."""

import json

import bad_inputs as bad
import numpy as np
import pytest

from bam_core.cli import main
from bam_core.config.build import read_data
from bam_core.runs.run_folder import load_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb"),
    pytest.mark.usefixtures("quick_pictures"),
]
TRAIN = "train: {epochs: 1, batch_size: 8, log_every: 1}\nevaluate: {draws: 2, fractions: [1.0], baselines: none}\n"
RECIPES = {
    "timeseries": "data: {reader: arrays}\nviews: {name: series}\nencoder: {name: resnet1d, width: 4}\n",
    "ecg": "data: {reader: arrays}\nviews: {name: ecg, sampling_rate_hz: 100}\nencoder: {name: resnet1d, width: 4}\n",
    "tabular": "data: {reader: table}\nviews: {name: tabular}\nencoder: {name: mlp, width: 16}\n",
    "image": "data: {reader: folder}\nviews: {name: image}\nencoder: {name: cnn, width: 4}\n",
    "audio": "data: {reader: folder}\nviews: {name: log_mel}\nencoder: {name: cnn, width: 4, d: 8}\n",
}


def labelled_in_part(modality, folder, labels=None):
    """Two thirds of the rows have a label."""
    labels = bad.some(bad.LABELS) if labels is None else labels
    if modality in ("timeseries", "ecg"):
        return bad.csv(folder / "x.csv", bad.WIDE.assign(label=labels))
    if modality == "tabular":
        return bad.csv(folder / "x.csv", bad.TABLE.assign(label=labels))
    make, one = (bad.pictures, bad.picture) if modality == "image" else (bad.clips, bad.clip)
    make(folder)
    for i in range(6):
        one(folder / f"loose{i}.{'png' if modality == 'image' else 'wav'}", *([i] if modality == "image" else []))
    return folder


def run(modality, path, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"modality: {modality}\n{RECIPES[modality]}{TRAIN}")
    return main(["pretrain", str(recipe), f"data.path={path}", f"run={tmp_path / 'run'}"])


@pytest.mark.parametrize("modality", RECIPES)
def test_all_rows_train_and_the_labelled_are_probed(modality, tmp_path, capsys):
    assert run(modality, labelled_in_part(modality, tmp_path / "in"), tmp_path) == 0
    about = json.loads((tmp_path / "run" / "environment.json").read_text())
    n_all, n_labelled = {"image": (18, 12), "audio": (18, 12)}.get(modality, (24, 16))
    assert sum(about["data"]["rows"].values()) == n_all
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    data = read_data(load_run(tmp_path / "run"))
    labelled = {split: int((data.labels(split) >= 0).sum()) for split in data.splits}
    assert sum(labelled.values()) == n_labelled
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {row["n_labels"] for row in results["rows"]} == {labelled["train"]}
    assert "untrained encoder" in capsys.readouterr().out


@pytest.mark.parametrize(("labels", "said"), [("none", "No labels for a test split"), ("one class", "two classes")])
def test_labels_that_cannot_be_probed(labels, said, tmp_path, capsys):
    column = np.array([None if labels == "none" else "a"] * bad.N, dtype=object)
    path = labelled_in_part("timeseries", tmp_path / "in", column)
    if run("timeseries", path, tmp_path) == 0:
        assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert said in "".join(capsys.readouterr())


def test_one_record_is_nothing_to_train_on(tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "modality: ecg\ndata: {reader: wfdb, window_s: 2.0}\nviews: {name: ecg}\nencoder: {name: resnet1d, width: 4}\n"
    )
    (tmp_path / "in").mkdir()
    bad.records(tmp_path / "in", count=1, seconds=3)
    assert main(["pretrain", str(recipe), f"data.path={tmp_path / 'in'}", f"run={tmp_path / 'run'}"]) == 1
    assert "training expected at least two rows, to compare them; the data have 1" in capsys.readouterr().err
