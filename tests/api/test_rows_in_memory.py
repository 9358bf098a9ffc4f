"""Rows in memory where otherwise a path stands: they are written into the run folder, which stays usable."""

import shutil

import numpy as np
import pandas as pd
import pytest
from rows import TINY, rows_of

import bam_core as bam
from bam_core import DataError, InputError, RecipeError
from bam_core.api.recipes import recipe_of
from bam_core.config.build import read_data
from bam_core.config.registry import load_modality
from bam_core.data.storable import storable_labels
from bam_core.runs.stored_rows import store_rows

N = 24
LABELS = [("slow", "fast", None)[i % 3] for i in range(N)]
GROUPS = [f"p{i // 2:02}" for i in range(N)]
DOMAINS = ("timeseries", "ecg", "tabular", "image", "audio")
QUICK = {"train": {"epochs": 1, "batch_size": 8, "log_every": 1}, "progress": False, "evaluate__baselines": "none"}


def given(name):
    rows = rows_of(name, N)
    return rows.rename(columns={"label": "colour"}) if name == "tabular" else rows


def read(name, section):
    modality = load_modality(name)
    options = {key: value for key, value in section.items() if key != "reader"}
    return modality.readers[section["reader"]](**options)


@pytest.mark.parametrize("name", DOMAINS)
def test_rows_come_back_as_they_were_given(name, tmp_path):
    """As `from_memory` has them, with their labels and groups; the labels of a row are its own in every split."""
    options = TINY[name].get("data", {})
    modality = load_modality(name)
    section = store_rows(modality, given(name), tmp_path, labels=LABELS, groups=GROUPS, options=options)
    data = read(name, section | {"test_fraction": 0})
    plain = modality.from_memory(given(name), **options)
    assert data.facts["classes"] == ["fast", "slow"]
    assert data.groups("train").tolist() == GROUPS
    assert [["fast", "slow", None][i] for i in data.labels("train")] == LABELS
    for column in set(plain.splits["train"].column_names) - {"id"}:
        np.testing.assert_array_equal(_flat(data, column), _flat(plain, column))


def _flat(data, column):
    return np.concatenate([np.ravel(row) for row in data.splits["train"].with_format("numpy")[column][:]])


@pytest.mark.parametrize("name", DOMAINS)
def test_several_labels_and_numbers(name, tmp_path):
    options = TINY[name].get("data", {})
    lists = [["rain"], ["rain", "wind"], ["wind"]] * (N // 3)
    section = store_rows(load_modality(name), given(name), tmp_path / "a", labels=lists, options=options)
    labels = read(name, section | {"test_fraction": 0}).labels("train")
    assert labels[:3].tolist() == [[1, 0], [1, 1], [0, 1]]
    numbers = np.linspace(0.05, 9.7, N) ** 2
    section = store_rows(load_modality(name), given(name), tmp_path / "b", labels=numbers, options=options)
    np.testing.assert_allclose(read(name, section | {"test_fraction": 0}).labels("train"), numbers)
    if name == "audio":
        return
    table = (np.arange(N)[:, None] >> np.arange(3)) & 1
    section = store_rows(load_modality(name), given(name), tmp_path / "c", labels=table, options=options)
    assert read(name, section | {"test_fraction": 0}).labels("train").tolist() == table.tolist()


def test_columns_of_a_frame_are_named(tmp_path):
    frame = given("tabular").assign(kind=LABELS, who=GROUPS)
    section = store_rows(load_modality("tabular"), frame, tmp_path, labels="kind", groups="who")
    assert (section["label"], section["group"]) == ("kind", "who")
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 20))).assign(kind=LABELS, who=GROUPS)
    section = store_rows(load_modality("timeseries"), wide, tmp_path / "wide", labels="kind", groups="who")
    data = read("timeseries", section | {"test_fraction": 0})
    assert data.facts["shape"] == [1, 20]
    assert data.groups("train").tolist() == GROUPS
    rows = [(f"s{i}", t, float(np.sin(t * (i + 1))), "ab"[i % 2], f"p{i // 2}") for i in range(8) for t in range(12)]
    long = pd.DataFrame(rows, columns=["series", "when", "x", "kind", "who"])
    options = {"id": "series", "time": "when"}
    section = store_rows(
        load_modality("timeseries"), long, tmp_path / "long", labels="kind", groups="who", options=options
    )
    data = read("timeseries", section | {"test_fraction": 0})
    assert data.groups("train").tolist() == [f"p{i // 2}" for i in range(8)]
    assert data.labels("train").tolist() == [0, 1] * 4


@pytest.mark.slow
def test_a_run_on_rows_goes_on_is_judged_moved_and_fine_tuned(tmp_path, capsys):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(2, n)) for n in rng.integers(30, 40, N)]
    labels = np.arange(N) % 2
    folder = tmp_path / "run"
    options = {**QUICK, "encoder": {"d": 8, "n_dilations": 2, "n_thresholds": 1}}

    def pretrain(rows, **more):
        return bam.pretrain("timeseries/own", data=rows, labels=labels, groups=GROUPS, folder=folder, **options, **more)

    run = pretrain(series)
    assert pretrain(series).metrics.equals(run.metrics)  # nothing was trained anew
    with pytest.raises(RecipeError, match="holds other rows than these"):
        pretrain([-one for one in series])
    assert not list(folder.glob(".partial-*"))
    moved = bam.load(shutil.move(folder, tmp_path / "elsewhere"))
    assert {row.n_labels for row in moved.evaluate().rows if row.fraction == 1} == {
        read_data(moved._resolved).splits["train"].num_rows
    }
    assert moved.embed(series[:3]).filter(regex=r"^e\d").shape == (3, 8)
    quick = {"fractions": [1.0], "seeds": 1, "scratch": False, "epochs": 1, "min_steps": 1}
    made = moved.finetune(data=series[:12], labels=["calm", "wild"] * 6, data__max_gap=0.2, **quick)
    assert made.model().classes == ("calm", "wild")
    assert (
        moved.finetune(data=series[:12], labels=["calm", "wild"] * 6, data__max_gap=0.2, **quick).folder == made.folder
    )
    assert "Data: 12 rows" in capsys.readouterr().out
    with pytest.raises(InputError, match="rows in memory need labels to learn from"):
        moved.finetune(data=series)
    with pytest.raises(InputError, match=r"labels and groups are those of rows in memory, data=ROWS"):
        moved.finetune(labels=labels)


def test_a_recipe_without_data(tmp_path):
    recipe = {
        "modality": "ecg",
        "views": {"name": "ecg", "stretch": None},
        "encoder": {"name": "resnet1d", "width": 4, "n_blocks": 1},
    }
    run = bam.pretrain(recipe, data=rows_of("ecg", N), data__sampling_rate_hz=100, folder=tmp_path / "a", **QUICK)
    assert run.recipe.data["sampling_rate_hz"] == run.encoder().facts["sampling_rate_hz"] == 100
    assert run.embed(rows_of("ecg", 3)).filter(regex=r"^e\d").shape == (3, 8)


def test_what_is_refused(tmp_path):
    ecgs = rows_of("ecg", N)
    with pytest.raises(InputError, match="rows for 'ecg' need sampling_rate_hz: pass data__sampling_rate_hz=VALUE"):
        bam.pretrain("ecg/own", data=ecgs, folder=tmp_path / "a")
    with pytest.raises(InputError, match=r"data\.reader is for files; the data are in memory"):
        bam.pretrain("ecg/own", data=ecgs, data__reader="wfdb", folder=tmp_path / "a")
    with pytest.raises(InputError, match="labels and groups are those of rows in memory"):
        bam.pretrain("ecg/own", data="FOLDER", labels=LABELS)
    with pytest.raises(RecipeError, match=r"data\.windw: no such key"):
        bam.pretrain("timeseries/own", data=rows_of("timeseries", N), data__windw=3, folder=tmp_path / "b")
    with pytest.raises(DataError, match=r"'label' of rows\.npz expected one value for each of 24 rows"):
        bam.pretrain("timeseries/own", data=rows_of("timeseries", N), labels=LABELS[1:], folder=tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "letter.txt").write_text("dear")
    with pytest.raises(RecipeError, match="is not empty and no run"):
        bam.pretrain("image/own", data=rows_of("image", N), folder=tmp_path / "d", **QUICK)


def test_a_domain_without_to_files(tmp_path):
    from dataclasses import replace

    with pytest.raises(InputError, match="'ecg' does not write rows in memory to files: it has no to_files"):
        store_rows(replace(load_modality("ecg"), to_files=None), np.zeros((3, 2, 100)), tmp_path)


def test_wrong_rows_labels_and_groups(tmp_path):
    table, series, sounds = given("tabular"), load_modality("timeseries"), load_modality("audio")
    tabular, images, ecg = load_modality("tabular"), load_modality("image"), load_modality("ecg")
    with pytest.raises(InputError, match="labels in lists expected at least one name a row"):
        storable_labels([["a"], []])
    with pytest.raises(InputError, match="labels in lists expected at least one name a row, without any of"):
        storable_labels([["a;b"], ["c"]])
    with pytest.raises(InputError, match="groups expected a value for each row; got 3"):
        store_rows(series, np.ones((3, 20)), tmp_path, groups=3)
    with pytest.raises(
        InputError, match=r"labels expected a value for each row, or the name of a column .* got 'kind'"
    ):
        store_rows(series, np.ones((3, 20)), tmp_path, labels="kind")
    long = pd.DataFrame({"id": ["a", "a", "b"], "x": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="labels of a frame with a row for every time expected the name of its column"):
        store_rows(series, long, tmp_path, labels=[0, 1])
    with pytest.raises(InputError, match="ECGs in memory expected an array"):
        store_rows(ecg, long, tmp_path, options={"sampling_rate_hz": 100})
    with pytest.raises(DataError, match="expected records of one shape"):
        store_rows(ecg, [np.ones((2, 30)), np.ones((2, 40))], tmp_path, options={"sampling_rate_hz": 100})
    with pytest.raises(InputError, match="labels expected the name of a column; got 'kind', of size, colour, since"):
        store_rows(tabular, table, tmp_path, labels="kind")
    with pytest.raises(InputError, match=r"beside the table; there are 3 labels"):
        store_rows(tabular, table, tmp_path, labels=[0, 1, 0])
    with pytest.raises(
        InputError, match=r"the table has a column 'label'. If they are a column, name it: labels='label'"
    ):
        store_rows(tabular, table.assign(label=1), tmp_path, labels=LABELS)
    with pytest.raises(DataError, match="the table holds values that parquet does not"):
        store_rows(tabular, pd.DataFrame({"x": [1, "a", object()]}), tmp_path)
    with pytest.raises(DataError, match="X expected images of one size"):
        store_rows(images, [np.ones((8, 8)), np.ones((9, 9))], tmp_path)
    with pytest.raises(DataError, match="X expected images of numbers; got <U1"):
        store_rows(images, np.full((3, 8, 8), "a"), tmp_path)
    tones = rows_of("audio", 3)
    with pytest.raises(InputError, match="labels of sounds expected one for each of 3, of several labels a list"):
        store_rows(sounds, tones, tmp_path, labels=np.eye(3, dtype=int), options={"sampling_rate_hz": 4000})
    with pytest.raises(InputError, match=r"sampling_rate_hz expected a whole number from 1; got 4000\.5"):
        store_rows(sounds, tones, tmp_path, options={"sampling_rate_hz": 4000.5})
    assert not list(tmp_path.iterdir())


def test_the_recipe_of_a_run_finds_its_rows_when_the_folder_has_moved(tmp_path):
    folder = tmp_path / "run"
    section = store_rows(load_modality("image"), rows_of("image", N), folder)
    (folder / "recipe.yaml").write_text(recipe_of("image/own", {"data": section}).recipe.to_yaml())
    shutil.move(folder, tmp_path / "there")
    moved = bam.load(tmp_path / "there")
    assert moved.recipe.data["path"] == str(tmp_path / "there" / "rows" / "rows.npz")
