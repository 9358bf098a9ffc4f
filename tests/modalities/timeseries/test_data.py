import numpy as np
import pandas as pd
import pytest

from bam_core.errors import DataError, InputError
from modalities.timeseries.data import read_arrays
from modalities.timeseries.signals import fill_gaps, standardize


@pytest.fixture
def values():
    """(20, 8) rows that differ, and a label for each."""
    return np.random.default_rng(0).normal(3, 2, (20, 8))


@pytest.fixture
def labels():
    return np.array(["sinus", "flutter"] * 10)


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "data"
    target.mkdir()
    return target


def read(file, **options):
    return read_arrays(path=str(file), **options)


def signals(prepared, split="train"):
    rows = prepared.column(split, "signal")
    return rows.reshape(len(rows), *prepared.facts["shape"])


def frame(values, **columns):
    table = pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])
    return table.assign(**columns)


# --- one data set in all formats


def save_npz(folder, values, labels):
    np.savez(folder / "data.npz", values=values, label=labels)
    return folder / "data.npz", {}


def save_npy(folder, values, labels):
    np.save(folder / "data.npy", values)
    np.save(folder / "y.npy", labels)
    return folder / "data.npy", {"label": "y.npy"}


def save_npy_with_text(folder, values, labels):
    np.save(folder / "data.npy", values[:, None])
    (folder / "y.txt").write_text("\n".join(labels))
    return folder / "data.npy", {"label": "y.txt"}


def save_csv(folder, values, labels):
    frame(values, label=labels).to_csv(folder / "data.csv", index=False)
    return folder / "data.csv", {}


def save_csv_packed(folder, values, labels):
    frame(values, label=labels).to_csv(folder / "data.csv.bz2", index=False)
    return folder / "data.csv.bz2", {}


def save_csv_with_semicolons(folder, values, labels):
    frame(values, rhythm=labels).to_csv(folder / "data.csv", index=False, sep=";")
    return folder / "data.csv", {"label": "rhythm"}


def save_csv_from_excel(folder, values, labels):
    frame(values, label=labels).to_csv(folder / "data.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
    return folder / "data.csv", {}


def save_csv_without_header(folder, values, labels):
    pd.DataFrame(values).assign(y=(labels == "sinus").astype(int)).to_csv(
        folder / "data.txt", index=False, header=False
    )
    return folder / "data.txt", {"label": "8"}


def save_parquet(folder, values, labels):
    frame(values, label=labels).to_parquet(folder / "data.parquet")
    return folder / "data.parquet", {}


def save_ucr(folder, values, labels):
    pd.DataFrame(values).assign(y=labels == "sinus").astype(float).iloc[:, [8, *range(8)]].to_csv(
        folder / "data.tsv", sep="\t", index=False, header=False
    )
    return folder / "data.tsv", {}


@pytest.mark.parametrize(
    "save",
    [
        save_npz,
        save_npy,
        save_npy_with_text,
        save_csv,
        save_csv_packed,
        save_csv_with_semicolons,
        save_csv_from_excel,
        save_csv_without_header,
        save_parquet,
        save_ucr,
    ],
)
def test_formats(folder, values, labels, save):
    file, options = save(folder, values, labels)
    prepared = read(file, test_fraction=0, sampling_rate_hz=50, **options)
    rows = signals(prepared)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[:, 0], standardize(values), atol=1e-5)
    assert prepared.labels("train").tolist() == [1, 0] * 10
    assert prepared.facts["classes"] in (["flutter", "sinus"], ["0", "1"])
    assert prepared.column("train", "id")[3] == "data:3"
    assert prepared.facts == {
        "shape": [1, 8],
        "in_channels": 1,
        "length": 8,
        "sampling_rate_hz": 50.0,
        "classes": prepared.facts["classes"],
    }
    assert prepared.groups("train") is None


def test_the_values_themselves(folder, values, labels):
    file, _ = save_npz(folder, values, labels)
    prepared = read(file, normalize="none", test_fraction=0)
    np.testing.assert_allclose(signals(prepared)[:, 0], values, rtol=1e-6)


def test_several_channels(folder):
    array = np.random.default_rng(0).normal(size=(5, 3, 10)).astype(np.float16)
    np.savez(folder / "data.npz", other=np.ones((2, 2)), signals=array)
    prepared = read(folder / "data.npz")
    np.testing.assert_allclose(signals(prepared), standardize(array.astype(float)), atol=1e-5)
    assert prepared.facts["in_channels"] == 3
    assert prepared.facts["classes"] == []
    assert list(prepared.splits) == ["train"]


def test_more_rows_than_are_in_memory_at_a_time(folder, monkeypatch):
    monkeypatch.setattr("modalities.timeseries.rows.BLOCK_BYTES", 140)
    array = np.random.default_rng(0).normal(size=(30, 4))
    np.savez(folder / "data.npz", signals=array, split=["train", "test", "train"] * 10, id=np.arange(30))
    prepared = read(folder / "data.npz", normalize="none")
    np.testing.assert_allclose(signals(prepared)[:, 0], np.delete(array, np.s_[1::3], axis=0), rtol=1e-6)
    assert prepared.column("test", "id").tolist() == [str(i) for i in range(1, 30, 3)]


def test_a_header_that_counts_and_an_index_without_a_name(folder, values):
    pd.DataFrame(values).to_csv(folder / "counted.csv", index=False)
    assert len(read(folder / "counted.csv").splits["train"]) == 20
    pd.DataFrame(values, index=[f"r{i}" for i in range(20)]).to_csv(folder / "index.csv")
    prepared = read(folder / "index.csv")
    assert prepared.facts["length"] == 8
    assert prepared.column("train", "id")[:2].tolist() == ["r0", "r1"]
    table = pd.DataFrame(values, columns=list("abcdefgh")).assign(id=[f"own{i}" for i in range(20)])
    table.to_csv(folder / "both.csv")
    prepared = read(folder / "both.csv")
    assert prepared.facts["length"] == 8
    assert prepared.column("train", "id")[0] == "own0"


# --- labels


def test_labels_for_a_part_of_the_rows(folder, values):
    frame(values, label=[3.0, 10.0, -1.0, None] * 5).to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", test_fraction=0)
    assert prepared.labels("train")[:4].tolist() == [0, 1, -1, -1]
    assert prepared.facts["classes"] == ["3", "10"]


def test_no_row_is_labelled(folder, values):
    frame(values, label=[None] * 20).to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv")
    assert prepared.facts["classes"] == []
    assert list(prepared.splits) == ["train"]
    assert prepared.labels("train") is None


def test_minus_one_is_a_class_of_the_ucr_archive_only(folder, values):
    table = pd.DataFrame(values)
    table.insert(0, "y", [-1, 1] * 10)
    table.to_csv(folder / "data.tsv", sep="\t", header=False, index=False)
    assert read(folder / "data.tsv").facts["classes"] == ["-1", "1"]
    table.rename(columns={"y": "label"}).to_csv(folder / "data.csv", index=False)
    with pytest.raises(DataError, match="-1 counts as unlabelled: call that class by another name"):
        read(folder / "data.csv")


def test_one_class_only(folder, values):
    frame(values, label="sinus").to_csv(folder / "data.csv", index=False)
    with pytest.raises(DataError, match="at least two classes; all 20 labelled rows are 'sinus'"):
        read(folder / "data.csv")


# --- splits


def test_a_part_of_every_class_is_held_out(folder, values, labels):
    file, _ = save_npz(folder, values, labels)
    prepared = read(file, test_fraction=0.4, seed=1)
    assert np.bincount(prepared.labels("test")).tolist() == [4, 4]
    assert np.bincount(prepared.labels("train")).tolist() == [6, 6]
    other = read(file, test_fraction=0.4, seed=2)
    assert set(other.column("test", "id")) != set(prepared.column("test", "id"))


def test_groups_are_held_out_as_a_whole(folder, values, labels):
    frame(values, label=labels, patient=np.arange(20) // 4).to_parquet(folder / "data.parquet")
    prepared = read(folder / "data.parquet", group="patient", test_fraction=0.4)
    train, test = set(prepared.groups("train")), set(prepared.groups("test"))
    assert not train & test
    assert len(test) == 2
    assert prepared.facts["length"] == 8


def test_a_column_of_splits(folder, values, labels):
    part = np.array(["train"] * 10 + ["validation"] * 4 + ["test"] * 6)
    frame(values, label=labels, part=part).to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", split="part")
    assert {name: len(rows) for name, rows in prepared.splits.items()} == {"train": 10, "validation": 4, "test": 6}
    with pytest.raises(DataError, match="split expected train, validation or test for every row; got flutter, sinus"):
        read(folder / "data.csv", split="label", label="part")


def test_a_second_file(folder, values, labels):
    frame(values[:15], label=labels[:15]).to_csv(folder / "a.csv", index=False)
    frame(values[15:]).to_csv(folder / "b.csv", index=False)
    prepared = read(folder / "a.csv", test_path=str(folder / "b.csv"))
    assert prepared.labels("train").tolist() == [1, 0] * 7 + [1]
    assert prepared.labels("test").tolist() == [-1] * 5
    assert prepared.column("test", "id").tolist() == [f"b:{i}" for i in range(5)]


def test_files_of_the_ucr_archive_find_each_other(folder, values):
    for part, rows in (("TRAIN", slice(0, 12)), ("TEST", slice(12, 20))):
        table = pd.DataFrame(values[rows])
        table.insert(0, "y", [1, 2] * (len(table) // 2))
        table.to_csv(folder / f"Some_{part}.tsv", sep="\t", header=False, index=False)
    for path in (folder, folder / "Some_TRAIN.tsv"):
        prepared = read(path)
        assert {name: len(rows) for name, rows in prepared.splits.items()} == {"train": 12, "test": 8}
        assert prepared.facts["classes"] == ["1", "2"]
        np.testing.assert_allclose(signals(prepared, "test")[:, 0], standardize(values[12:]), atol=1e-5)


def test_splits_that_do_not_fit(folder, values, labels):
    frame(values, label=labels, group=np.arange(20) // 4).to_csv(folder / "a.csv", index=False)
    frame(values[:, :5], label=labels, group=9).to_csv(folder / "short.csv", index=False)
    frame(values, label=labels).to_csv(folder / "lone.csv", index=False)
    with pytest.raises(DataError, match="group '0' is in the splits 'train' and 'test'"):
        read(folder / "a.csv", test_path=str(folder / "a.csv"))
    with pytest.raises(DataError, match=r"records of one shape \(channels, time\); got \(1, 5\), \(1, 8\)"):
        read(folder / "a.csv", test_path=str(folder / "short.csv"), unequal=False)
    with pytest.raises(DataError, match="group expected a value in every row; 20 have none, the first is row 20"):
        read(folder / "a.csv", test_path=str(folder / "lone.csv"))
    with pytest.raises(DataError, match=r"expected a file at .*nowhere\.csv; there is none"):
        read(folder / "a.csv", test_path=str(folder / "nowhere.csv"))
    with pytest.raises(InputError, match="test_path and split both say"):
        read(folder / "a.csv", test_path=str(folder / "a.csv"), split="group")


# --- broken signals


def test_gaps_are_interpolated_or_set_aside(folder):
    array = np.tile(np.sin(np.arange(40.0)), (7, 2, 1))
    array[1, 0, 5:8] = np.nan
    array[2, 1, 5:20] = np.nan
    array[3, 1] = np.nan
    array[4] = 7.0
    array[5, 0] = 7.0
    array[6, 0, 3] = np.inf
    np.savez(folder / "data.npz", signals=array, id=list("abcdefg"))
    prepared = read(folder / "data.npz")
    assert prepared.column("train", "id").tolist() == list("abfg")
    assert dict(prepared.set_aside) == {
        "c": "38% of channel 1 is missing in runs longer than 10%",
        "d": "100% of channel 1 is missing in runs longer than 10%",
        "e": "constant on every channel",
    }
    assert prepared.repairs == {"series with short gaps interpolated": 2}
    rows = signals(prepared)
    assert np.isfinite(rows).all()
    assert (rows[2, 0] == 0).all()
    assert set(read(folder / "data.npz", max_gap=0.5).column("train", "id")) == set("abcfg")


def test_gaps_in_a_table(folder, values):
    values[2, 3] = np.nan
    frame(values).to_csv(folder / "data.csv", index=False)
    prepared = read(folder / "data.csv", max_gap=0.2, normalize="none")
    assert signals(prepared)[2, 0, 3] == pytest.approx((values[2, 2] + values[2, 4]) / 2)


def test_nothing_usable(folder):
    np.savez(folder / "data.npz", signals=np.full((3, 8), np.nan))
    with pytest.raises(DataError, match=r"(?s)no usable row for the split 'train'.*data:0: all values are missing"):
        read(folder / "data.npz")


def test_a_single_row(folder):
    np.savez(folder / "data.npz", signals=np.arange(8.0)[None])
    for _ in range(2):
        with pytest.raises(DataError, match="at least two usable series for training; got one"):
            read(folder / "data.npz")


def test_fill_gaps_at_the_ends_and_of_nothing():
    nan = np.nan
    filled = fill_gaps(np.array([[nan, 1.0, 2.0, nan, nan], [nan] * 5]), max_gap=1)
    assert filled.signal.tolist() == [[1, 1, 2, 2, 2], [0] * 5]
    assert filled.missing.tolist() == [[False, False, False, True, True], [True] * 5]
    assert filled.n_gaps.tolist() == [1, 0]


# --- files that cannot be used


def broken(name):
    """A test of a file with this name and contents."""

    def mark(contents, message, **options):
        return pytest.param(name, contents, options, message, id=message[:40])

    return mark


@pytest.mark.parametrize(
    ("name", "contents", "options", "message"),
    [
        broken("a.csv")("", r"a\.csv is empty"),
        broken("a.csv")("a,b,c\n", r"a\.csv is empty: it has no rows"),
        broken("a.csv")("a,b,label\n1,2,x\n", "expected 'lable' as label; it has a, b, label", label="lable"),
        broken("a.csv")("a,b\n1,2\n3,four\n", "column 'b' of a.csv expected numbers.* row 1 holds 'four'"),
        broken("a.csv")("a,b\n1,two\n3,4\n", r"row 0 holds 'two'"),
        broken("a.csv")("a,b\n1,2\n3,4,5,6\n", "line 3 has 4"),
        broken("a.csv")("a;b\n1,234;2\n3;4\n", "which may be 1.234 or 1234"),
        broken("a.csv")("label\nx\ny\n", "has no columns of values besides label"),
        broken("a.tsv")("\n\n", "is empty"),
        broken("a.parquet")("nonsense", "no readable parquet file"),
        broken("a.npy")("nonsense", "no readable NumPy file"),
        broken("a.npz")("nonsense", "no readable NumPy file"),
        broken("a.xlsx")("nonsense", r"expected one of \.npz, .*; got a\.xlsx"),
    ],
)
def test_broken_files(folder, name, contents, options, message):
    (folder / name).write_text(contents)
    with pytest.raises(DataError, match=message):
        read(folder / name, **options)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"signals": np.ones(3)}, {}, r"expected one array of signals .*; got signals \(3,\)"),
        ({"a": np.ones((3, 2)), "b": np.ones((3, 2))}, {}, r"got a \(3, 2\), b \(3, 2\)\. Name it"),
        ({"a": np.ones((3, 2))}, {"signals": "b"}, "expected 'b' as signals; it has a"),
        ({"a": np.ones((3, 2), complex)}, {}, "expected real numbers of shape .* got complex128"),
        ({"a": np.ones((3, 2, 2, 2))}, {}, r"got float64 of shape \(3, 2, 2, 2\)"),
        ({"a": np.ones((3, 2)), "label": [1, 2]}, {}, r"one value for each of 3 rows; got shape \(2,\)"),
        ({"a": np.ones((3, 2)), "label": np.ones((3, 2, 2))}, {"signals": "a"}, r"got shape \(3, 2, 2\)"),
        ({"a": np.eye(3), "label": np.full((3, 2), 0.5)}, {"signals": "a"}, "expected 0 or 1 for every class"),
        ({"a": np.ones((0, 2))}, {}, "is empty: it has no rows"),
        ({"a": np.ones((3, 2)), "label": np.array(["x", None, "y"])}, {}, r"Python objects.*\.astype\(str\)"),
    ],
)
def test_arrays_that_do_not_fit(folder, arrays, options, message):
    np.savez(folder / "data.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read(folder / "data.npz", **options)


def test_pickles_are_not_read(folder):
    np.save(folder / "data.npy", np.array([[1, "a"]], dtype=object))
    with pytest.raises(DataError, match=r"Python objects, and reading those could run code"):
        read(folder / "data.npy")


def test_files_that_are_not_there(folder):
    np.save(folder / "data.npy", np.ones((3, 2)))
    with pytest.raises(DataError, match=r"expected a file .*y\.npy with one value a row; there is none"):
        read(folder / "data.npy", label="y.npy")
    with pytest.raises(DataError, match=r"expected a file at .*nowhere\.csv; there is none"):
        read(folder / "nowhere.csv")
    with pytest.raises(
        DataError, match=r"folder with one \*_TRAIN\.tsv or \*_TRAIN\.ts; .* has 0 of these\. Tables of one series"
    ):
        read(folder)


def test_names_of_the_archives_files_in_small_letters(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 6), ("test", 4)):
        lines = [f"{i % 2 + 1}\t" + "\t".join(map(str, rng.normal(size=9))) for i in range(n)]
        (tmp_path / f"coffee_{split}.tsv").write_text("\n".join(lines))
    for path in (tmp_path, tmp_path / "coffee_train.tsv"):
        data = read_arrays(path=str(path))
        assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 6, "test": 4}
        assert data.facts["classes"] == ["1", "2"]
