import numpy as np
import pandas as pd
import pytest
import torch

from bam_core.data import SplitDataset
from bam_core.errors import DataError, InputError
from modalities.tabular import MODALITY
from modalities.tabular.batches import collate_rows
from modalities.tabular.data import read_table
from modalities.tabular.example import read_breast_cancer, synthetic_table
from modalities.tabular.memory import read_frame


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, 60).astype(float),
            "city": rng.choice(["Bonn", "Kiel"], 60),
            "person": [f"person {i // 3}" for i in range(60)],
            "label": np.array(["no", "yes"] * 30),
        }
    )


@pytest.fixture
def save(tmp_path):
    def to_file(frame, name="table.csv", **options):
        path = tmp_path / name
        if path.suffix == ".parquet":
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False, **options)
        return str(path)

    return to_file


def reasons(prepared):
    return {row.source: row.reason for row in prepared.set_aside}


# --- formats and roles


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.data", "table.parquet", "frame"])
def test_the_same_rows_from_every_source(frame, save, name):
    options = {"group": "person", "test_fraction": 0.25}
    if name == "frame":
        prepared = read_frame(frame=frame, **options)
    else:
        prepared = read_table(path=save(frame, name, **({"sep": "\t"} if name.endswith(".tsv") else {})), **options)
    assert {split: len(rows) for split, rows in prepared.splits.items()} == {"test": 15, "train": 45}
    assert not set(prepared.groups("train")) & set(prepared.groups("test"))
    assert prepared.facts["classes"] == ["no", "yes"]
    assert prepared.facts["numeric_names"] == ["age"]
    train = frame[frame["person"].isin(prepared.groups("train"))]
    np.testing.assert_allclose(
        prepared.column("train", "numeric")[:, 0], (train["age"] - train["age"].mean()) / train["age"].std(ddof=0), 1e-5
    )
    assert prepared.column("train", "categorical")[:, 0].tolist() == (train["city"] == "Kiel").add(2).tolist()
    assert prepared.labels("train").tolist() == (train["label"] == "yes").astype(int).tolist()


def test_the_preprocessing_is_learnt_from_the_training_rows_only(frame, save):
    test = frame.assign(age=1000.0, city="Ulm")
    paths = {"path": save(frame), "test_path": save(test, "test.csv")}
    with pytest.raises(DataError, match="test is unlike the training table:\n  column 'city': 60 of 60 values are cat"):
        read_table(**paths, drop=["person"])
    prepared = read_table(**paths, drop=["person"], max_unknown=1)
    alone = read_table(path=save(frame), drop=["person"], test_fraction=0)
    same = [key for key in alone.facts if prepared.facts[key] == alone.facts[key]]
    assert same == list(alone.facts)
    assert (prepared.column("test", "categorical") == 0).all()
    assert prepared.repairs == {"column 'city': categories not seen in training, such as 'Ulm'": 60}


def test_splits_by_column(frame):
    frame["split"] = ["train"] * 40 + ["Val"] * 10 + ["test"] * 10
    prepared = read_frame(frame=frame, drop=["person"])
    assert {split: len(rows) for split, rows in prepared.splits.items()} == {"test": 10, "train": 40, "validation": 10}
    with pytest.raises(DataError, match="split expected train, validation or test for every row; got first"):
        read_frame(frame=frame.assign(split="first"))
    with pytest.raises(DataError, match="split expected a value in every row; 1 have none, the first is row 3"):
        read_frame(frame=frame.assign(split=frame["split"].where(frame.index != 3)))


def test_labels_for_a_part_of_the_rows(frame):
    frame.loc[::2, "label"] = None
    frame.loc[1, "label"] = ""
    frame["label"] = frame["label"].where(frame.index % 4 != 3, "no")
    prepared = read_frame(frame=frame, drop=["person"])
    labels = np.concatenate([prepared.labels("train"), prepared.labels("test")])
    assert (labels == -1).sum() == 31
    assert (prepared.labels("test") >= 0).all()


def test_no_labels_at_all(frame):
    prepared = read_frame(frame=frame.drop(columns="label"), drop=["person"])
    assert list(prepared.splits) == ["train"]
    assert prepared.labels("train") is None
    assert prepared.facts["classes"] == []
    unlabelled = read_frame(frame=frame.assign(label=None), drop=["person"])
    assert unlabelled.labels("train") is None


def test_names_of_rows(frame, save):
    assert read_table(path=save(frame), test_fraction=0).splits["train"]["id"][0] == "table:0"
    named = frame.assign(id=[f"r{i}" for i in range(60)])
    assert read_table(path=save(named), test_fraction=0).splits["train"]["id"][1] == "r1"
    indexed = frame.set_axis([f"i{i}" for i in range(60)])
    assert read_frame(frame=indexed, test_fraction=0).splits["train"]["id"][2] == "i2"


def test_only_numbers_or_only_categories(frame):
    for name, shapes in (("age", ((5, 1), (5, 0))), ("city", ((5, 0), (5, 1)))):
        prepared = read_frame(frame=frame[[name]])
        dataset = SplitDataset(prepared.splits["train"], collate_rows, prepared.facts)
        batch = dataset.__getitems__(range(5))
        assert (batch["numeric"].shape, batch["categorical"].shape) == shapes
        assert MODALITY.with_facts(prepared.facts).raw_features(batch).shape[0] == 5
        for factory in MODALITY.encoders.values():
            facts = {key: prepared.facts[key] for key in ("n_numeric", "cardinalities", "quantiles")}
            assert torch.isfinite(factory(**facts)(batch)).all()


# --- what cannot be used is named


def test_columns_that_are_set_aside(frame, save):
    frame = frame.assign(
        number=range(60),
        unit="kg",
        empty=np.nan,
        name=[f"customer {i}" for i in range(60)],
        mixed=[str(i) if i % 2 else f"x{i}" for i in range(60)],
    )
    prepared = read_table(path=save(frame), drop=["person"])
    assert reasons(prepared).keys() == {f"column {name!r}" for name in ("number", "unit", "empty", "name", "mixed")}
    assert reasons(prepared)["column 'number'"] == "counts the rows"
    assert "constant: every value is 'kg'" in reasons(prepared)["column 'unit'"]
    assert prepared.facts["unused_columns"] == ["number", "unit", "empty", "name", "mixed", "person"]


def test_strings_in_a_numeric_column(frame, save):
    ages = [f"{50 + i}" for i in range(60)]
    ages[7] = "unknown"
    prepared = read_table(path=save(frame.assign(age=ages)), drop=["person"], test_fraction=0)
    assert prepared.repairs == {"column 'age': no numbers, such as 'unknown' in row 7, taken as missing": 1}
    assert np.isnan(prepared.column("train", "numeric")[:, 0]).tolist() == [i == 7 for i in range(60)]


def test_rows_without_values(frame):
    frame.loc[3, ["age", "city"]] = None
    prepared = read_frame(frame=frame, drop=["person"], test_fraction=0)
    assert reasons(prepared) == {"frame:3": "every value is missing"}
    assert len(prepared.splits["train"]) == 59


def test_infinite_values_are_missing(frame):
    frame.loc[0, "age"] = np.inf
    prepared = read_frame(frame=frame, drop=["person"], test_fraction=0)
    assert np.isnan(prepared.column("train", "numeric")[0, 0])
    assert list(prepared.repairs.values()) == [1]


def test_columns_of_the_test_file_only(frame, save):
    prepared = read_table(
        path=save(frame), test_path=save(frame.assign(more=1), "test.csv"), group=None, drop=["person"]
    )
    assert reasons(prepared) == {"column 'more' of test": "not in table"}
    with pytest.raises(DataError, match="test2 expected the columns of the training table; 'city' is missing"):
        read_table(path=save(frame), test_path=save(frame.drop(columns="city"), "test2.csv"), drop=["person"])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"label": "lable"}, r"no column 'lable' for label; did you mean 'label'\?"),
        ({}, {"group": "zzz"}, "no column 'zzz' for group; it has age, city"),
        ({}, {"drop": ["ages"]}, r"no column 'ages'; did you mean 'age'\?"),
        ({"label": "no"}, {}, "labels expected at least two classes"),
        ({"label": range(10, 70)}, {}, "labels 'label' are 60 different whole numbers, 10 to 69"),
        ({"label": "x"}, {"task": "regression"}, "task: regression expected numbers as labels: .*holds 'x'"),
        ({}, {"task": "regression", "drop": ["label"]}, "expected a column of labels for the task 'regression'"),
        ({"person": [None] + ["a"] * 59}, {"group": "person"}, "group expected a value in every row; 1 have none"),
        ({"person": "a"}, {"group": "person"}, "at least two groups"),
    ],
)
def test_unsuitable_tables(frame, change, options, message):
    with pytest.raises(DataError, match=message):
        read_frame(frame=frame.assign(**change), **options)


def test_too_many_classes(frame):
    many = pd.DataFrame({"size": np.linspace(0, 1, 1200), "label": [f"c{i % 1100}" for i in range(1200)]})
    with pytest.raises(DataError, match="label 'label' expected classes; got 1100 different values in 1200 rows"):
        read_frame(frame=many)


def test_labels_that_are_real_numbers(frame, save):
    prices = np.exp(np.random.default_rng(0).normal(size=60))
    prices[3] = np.nan
    path = save(frame.assign(label=prices))
    data = read_table(path=path)
    assert data.facts["task"] == "regression"
    assert data.facts["classes"] == []
    assert data.notes == [
        f"Labels 'label' are real numbers, {np.nanmin(prices):g} to {np.nanmax(prices):g}: regression; for classes, "
        "task: classification."
    ]
    tested = data.labels("test")
    assert (tested.dtype, len(tested)) == (np.float64, 10)
    assert np.sort(np.concatenate([data.labels("train"), tested])) == pytest.approx(np.sort(prices), nan_ok=True)
    tenths = np.nanquantile(prices, np.arange(1, 10) / 10)
    assert np.bincount(np.digitize(tested, tenths)).tolist() == [1] * 10
    new = read_frame(frame=frame.assign(label=range(60)), fitted=data.facts)
    assert new.labels("train").tolist() == list(range(60))
    assert new.facts["task"] == "regression"
    ages = read_frame(frame=frame, label="age", task="regression")
    assert ages.labels("train").dtype == np.float64
    assert "age" not in ages.facts.get("numeric_names", [])


def test_too_few_rows(frame):
    with pytest.raises(DataError, match="at least two rows for training; got 1"):
        read_frame(frame=frame.drop(columns="label").iloc[:1])
    with pytest.raises(DataError, match="at least one column that differs"):
        read_frame(frame=pd.DataFrame({"a": [1, 1]}))


def test_two_ways_to_a_test_split(frame, save):
    with pytest.raises(InputError, match="test_path and split both say"):
        read_table(path=save(frame), test_path="x.csv", split="label")
    with pytest.raises(InputError, match="test_frame and split both say"):
        read_frame(frame=frame, test_frame=frame, split="label")


# --- what columns are, and how values are written


@pytest.mark.parametrize(("label", "classes"), [(None, []), ("y", ["0", "1", "2"]), ("none", [])])
def test_the_y_of_three_axes_is_no_label(label, classes):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": rng.integers(0, 3, 60), "z": rng.normal(size=60)})
    prepared = read_frame(frame=frame, label=label, test_fraction=0)
    assert prepared.facts["classes"] == classes
    assert prepared.facts["numeric_names"] == (["x", "z"] if classes else ["x", "y", "z"])
    assert any("Column 'y' beside 'z' is an input, no label" in note for note in prepared.notes) == (label is None)


def test_columns_that_are_taken_as_labels_are_named(frame):
    prepared = read_frame(frame=frame.rename(columns={"label": "Target"}), drop=["person"])
    assert prepared.facts["classes"] == ["no", "yes"]
    assert prepared.notes == ["Column 'Target' is taken as the label; to say otherwise, label: NAME, or label: none."]
    unlabelled = read_frame(frame=frame, label="none", drop=["person"])
    assert unlabelled.facts["categorical_names"] == ["city", "label"]
    assert unlabelled.labels("train") is None


@pytest.mark.parametrize("source", ["table.csv", "table.parquet"])
def test_labels_that_look_missing_are_classes(frame, save, source):
    frame["label"] = ["None", "NA", "null", "007", "7", "1_2"] * 10
    prepared = read_table(path=save(frame, source), drop=["person"], test_fraction=0)
    assert prepared.facts["classes"] == ["007", "1_2", "7", "NA", "None", "null"]
    assert np.bincount(prepared.labels("train")).tolist() == [10] * 6
    assert prepared.notes == ["Label 'NA' is a class; unlabelled: ['NA'] makes it a missing label."]
    fewer = read_table(path=save(frame, source), drop=["person"], test_fraction=0, unlabelled=["None", "NA"])
    assert (fewer.labels("train") == -1).sum() == 20
    assert read_table(path=save(frame, source), drop=["person"], na_values=["null"]).facts["classes"][-1] == "None"


def test_labels_of_minus_one(frame):
    three = frame.assign(label=[-1, 0, 1] * 20)
    with pytest.raises(DataError, match=r"label 'label' has -1, 0 and 1: -1 may be a class, or mean"):
        read_frame(frame=three)
    assert read_frame(frame=three, unlabelled=[]).facts["classes"] == ["-1", "0", "1"]
    assert read_frame(frame=three, unlabelled=[-1]).facts["classes"] == ["0", "1"]
    assert read_frame(frame=frame.assign(label=[-1, 1] * 30)).facts["classes"] == ["-1", "1"]
    some = read_frame(frame=frame.assign(label=[-1, 0, 1, 2] * 15), test_fraction=0)
    assert (some.labels("train") == -1).sum() == 15
    assert any("Label -1 (15 rows) means no label" in note for note in some.notes)


def german(values):
    return [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in values]


def test_points_between_thousands(tmp_path):
    rng = np.random.default_rng(0)
    price, weight = rng.integers(500, 99999, 60) // 10 * 10, rng.normal(size=60)
    texts = [f"{value:,d}".replace(",", ".") for value in price]
    path = tmp_path / "a.csv"
    path.write_text("preis;gewicht\n" + "".join(f"{a};{b}\n" for a, b in zip(texts, german(weight), strict=True)))
    prepared = read_table(path=str(path))
    assert prepared.facts["means"] == pytest.approx([price.mean(), weight.round(2).mean()])
    path.write_text("preis;b\n" + "".join(f"{a};{i}\n" for i, a in enumerate(texts)))
    with pytest.raises(DataError, match=r"column 'preis' has numbers such as '\d+\.\d+', which may be"):
        read_table(path=str(path))
    for option in ({"decimal": ","}, {"thousands": "."}):
        assert read_table(path=str(path), **option).facts["means"] == pytest.approx([price.mean()])
    path.write_text("preis,b\n" + "".join(f"{a},{i}\n" for i, a in enumerate(texts)))
    points = [float(text) for text in texts]  # where commas divide, points are decimals
    assert read_table(path=str(path)).facts["means"] == pytest.approx([np.mean(points)])
    with pytest.raises(InputError, match=r"decimal and thousands expected different marks; both are '\.'"):
        read_table(path=str(path), decimal=".", thousands=".")


def test_labels_with_decimal_commas(tmp_path):
    rng = np.random.default_rng(0)
    price = rng.uniform(500, 5000, 60).round(2)
    lines = [f"{a};{b}\n" for a, b in zip(german(rng.normal(size=60)), german(price), strict=True)]
    (tmp_path / "a.csv").write_text("x;label\n" + "".join(lines))
    prepared = read_table(path=str(tmp_path / "a.csv"), test_fraction=0)
    assert prepared.facts["task"] == "regression"
    np.testing.assert_allclose(prepared.labels("train"), price)


# --- new data for a saved encoder


def people(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(8, 1, n).round(2),
            "member": rng.choice([True, False], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), "D"),
        }
    )


def test_new_data_that_are_written_otherwise_are_read_alike(save):
    trained = read_table(path=save(people()), test_fraction=0)
    new = people(seed=1)
    expected = read_table(path=save(new, "new.csv"), fitted=dict(trained.facts))
    german_excel = new.assign(
        since=new["since"].dt.strftime("%d.%m.%Y"), member=new["member"].map({True: "TRUE", False: "FALSE"})
    )
    for frame, options in (
        (new, {"sep": ";", "decimal": ","}),
        (german_excel, {"sep": ";", "decimal": ",", "encoding": "utf-16"}),
        (new.assign(member=new["member"].astype(int)), {}),
    ):
        got = read_table(path=save(frame, "other.csv", **options), fitted=dict(trained.facts))
        np.testing.assert_array_equal(got.column("train", "numeric"), expected.column("train", "numeric"))
        np.testing.assert_array_equal(got.column("train", "categorical"), expected.column("train", "categorical"))
        assert got.repairs
    frames = read_frame(frame=new, fitted=dict(trained.facts))
    np.testing.assert_array_equal(frames.column("train", "numeric"), expected.column("train", "numeric"))


def test_new_data_that_training_did_not_know_are_refused_above_a_share(save):
    trained = read_table(path=save(people()), test_fraction=0)
    new = people(seed=1)
    changed = new.assign(income=[f"{x} EUR" for x in new["income"]], member="perhaps")
    with pytest.raises(
        DataError,
        match=r"new is unlike the training table:\n  column 'income': 60 of 60 values are no numbers, such as .* EUR' "
        r"in row 0\n  column 'member': 60 of 60 values are categories not seen",
    ):
        read_table(path=save(changed, "new.csv"), fitted=dict(trained.facts))
    taken = read_table(path=save(changed, "new.csv"), fitted=dict(trained.facts), max_unknown=1)
    assert np.isnan(taken.column("train", "numeric")[:, 1]).all()
    some = new.astype({"income": object})
    some.loc[:9, "income"] = "unknown to us"
    said = read_table(path=save(some, "new.csv"), fitted=dict(trained.facts)).repairs
    assert said == {"column 'income': no numbers, such as 'unknown to us' in row 0, taken as missing": 10}
    one = read_frame(frame=new.iloc[:1].assign(member="perhaps"), fitted=dict(trained.facts))
    assert list(one.repairs) == ["column 'member': categories not seen in training, such as 'perhaps'"]
    with pytest.raises(DataError, match="2 of 2 values are no numbers"):
        read_frame(frame=changed[["income"]].iloc[:2].assign(age="x", member="y", since="z"), fitted=trained.facts)


def test_columns_that_are_empty_in_new_data_are_said(save):
    trained = read_table(path=save(people()), test_fraction=0)
    new = read_frame(frame=people().assign(income=None), fitted=dict(trained.facts))
    assert new.repairs == {"column 'income': missing values, which in training were 0%": 60}


def test_new_rows_are_read_as_the_training_rows_were(frame, save):
    trained = read_frame(frame=frame, drop=["person"], test_fraction=0)
    new = pd.DataFrame({"city": ["Kiel", "Ulm"], "extra": [1, 2], "age": ["31", "?"], "label": ["yes", "perhaps"]})
    prepared = read_table(path=save(new), fitted=dict(trained.facts), label="label", test_fraction=0.5)
    assert list(prepared.splits) == ["train"]
    age = (31 - frame["age"].mean()) / frame["age"].std(ddof=0)
    np.testing.assert_allclose(prepared.column("train", "numeric")[:, 0], [age, np.nan], rtol=1e-5)
    assert prepared.column("train", "categorical")[:, 0].tolist() == [3, 0]
    assert prepared.labels("train").tolist() == [1, -1]
    assert reasons(prepared) == {"column 'extra'": "not among the columns that the encoder was trained on"}
    for name in ("means", "scales", "quantiles", "columns", "classes"):
        assert prepared.facts[name] == trained.facts[name]


def test_a_single_new_row_without_label_or_group(frame):
    trained = read_frame(frame=frame, group="person", test_fraction=0.25)
    new = read_frame(frame=frame[["age", "city"]].iloc[:1], fitted=dict(trained.facts), group="person", label="label")
    assert len(new.splits["train"]) == 1
    assert new.labels("train") is None
    grouped = read_frame(frame=frame.iloc[:2].assign(person=[None, "a"]), fitted=dict(trained.facts), group="person")
    assert len(grouped.splits["train"]) == 2


def test_other_facts_are_another_cache_entry(frame, save):
    path = save(frame)
    one, other = (read_frame(frame=frame.assign(age=frame["age"] * k), drop=["person"]) for k in (1, 2))
    first, second = (read_table(path=path, fitted=dict(p.facts)) for p in (one, other))
    assert not np.allclose(first.column("train", "numeric"), second.column("train", "numeric"))


# --- the data sets that come along


def test_example():
    prepared = synthetic_table(n_rows=120)
    assert {split: len(rows) > 10 for split, rows in prepared.splits.items()} == {"test": True, "train": True}
    assert not set(prepared.groups("train")) & set(prepared.groups("test"))
    assert {plan["kind"] for plan in prepared.facts["columns"]} == {"number", "category", "date"}
    assert prepared.set_aside == []
    assert synthetic_table(n_rows=120, seed=1).fingerprint != prepared.fingerprint


def test_breast_cancer():
    prepared = read_breast_cancer()
    assert prepared.facts["n_numeric"] == 30
    assert prepared.facts["classes"] == ["benign", "malignant"]
    assert {split: len(rows) for split, rows in prepared.splits.items()} == {"test": 113, "train": 456}


def test_several_labels_a_row(frame, save):
    ill, old = np.arange(60) % 2, np.arange(60) // 30
    table = frame.drop(columns="label").assign(ill=ill, old=old)
    data = read_table(path=save(table), label=["ill", "old"])
    assert data.facts["classes"] == ["ill", "old"]
    assert not {"ill", "old"} & set(data.facts["numeric_names"] + data.facts["categorical_names"])
    assert sorted(map(tuple, np.concatenate([data.labels(split) for split in data.splits]))) == sorted(
        zip(ill, old, strict=True)
    )
    again = read_frame(frame=table, label=["ill", "old"], fitted=data.facts)
    assert again.labels("train").tolist() == np.stack([ill, old], axis=1).tolist()
    assert read_frame(frame=table.drop(columns="old"), label=["ill", "old"], fitted=data.facts).labels("train") is None
    cells = [["a", "b"][: 1 + i % 2] for i in range(60)]
    for labels in (cells, [",".join(cell) for cell in cells]):
        divided = read_frame(frame=frame.assign(label=labels), task="multi_label", test_fraction=0)
        assert divided.facts["classes"] == ["a", "b"]
        assert divided.labels("train").tolist() == [[1, i % 2] for i in range(60)]
    with pytest.raises(DataError, match="no column 'young'"):
        read_frame(frame=table, label=["ill", "young"])
    with pytest.raises(DataError, match="column 'age' of labels expected 0 or 1; row 0 holds"):
        read_frame(frame=table, label=["ill", "age"])
