"""A file of embeddings looked through: columns, sentences, the page, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from run_folders import untrained_run

from bam_core import DataError, InputError
from bam_core.cli import main
from bam_core.curation.curate import curate
from bam_core.curation.outputs import curate_file


def table(**columns):
    """Thirty rows in two classes; row 29 of test is a copy of row 0 of train, row 7 has the wrong label."""
    rng = np.random.default_rng(0)
    kind = np.arange(30) % 2
    rows = np.eye(8)[kind] + 0.1 * rng.normal(size=(30, 8))
    kind[29], rows[29] = kind[0], rows[0]
    label = np.where(np.arange(30) == 7, 1 - kind, kind)
    about = {"id": [f"r{i}" for i in range(30)], "class": np.array(["calm", "storm"])[label]}
    about |= {"split": ["train"] * 20 + ["test"] * 10, "group": [f"p{i}" for i in range(29)] + ["p3"]}
    frame = pd.DataFrame(rows, columns=[f"e{i}" for i in range(8)])
    return pd.concat([pd.DataFrame({**about, **columns}), frame], axis=1)


def test_a_column_each():
    found = curate(table())
    made = found.table
    assert len(made) == 30
    assert not [name for name in made if name in {f"e{i}" for i in range(8)}]
    assert made.loc[29, "duplicate_of"] == "r0"
    assert made.loc[made["leak"], "id"].tolist() == ["r0", "r29"]
    assert made.loc[made["label_margin"] > 0, ["id", "suggested_label"]].to_numpy().tolist() == [["r7", "storm"]]
    assert found.shared_groups == ["p3"]
    assert made["cluster"].nunique() == 2
    assert made["neighbors"][3]["ids"] == found.graph.rows[3, :10].tolist()
    assert "2 rows are near-duplicates of another, in 1 set." in found.verdict
    assert "1 of these sets is in train and in test or validation" in found.verdict
    assert "1 group in train and in test or validation as well." in found.verdict
    assert "1 row is labelled against its neighbours." in found.verdict


def test_what_is_not_known_is_said():
    bare = table().drop(columns=["class", "split", "group"])
    found = curate(bare)
    assert found.labels is None
    assert found.notes == ["Leaks are not looked for: no column `split` says which rows are in train."]
    several = curate(table(**{"class": [["a"], []] * 15}))
    assert several.notes == ["Labels are not judged: the column 'class' holds several labels a row."]
    assert curate(table(), labels="none", groups="none").labels is None
    assert curate(bare.assign(kind=["a", "b"] * 15), labels="kind").classes == ("a", "b")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "kind"}, r"--labels expected a column of the file \(id, class, split, group\); got 'kind'"),
        ({"groups": "person"}, r"--groups expected a column of the file .*; got 'person'"),
        ({"labels": "split2"}, "'split2' holds fewer than two classes"),
        ({"labels": "height"}, "'height' holds numbers, not classes"),
    ],
)
def test_other_columns_are_refused(options, said):
    frame = table()
    if "split2" in said:
        frame["split2"] = "x"
    if "height" in said:
        frame = pd.concat([frame] * 10, ignore_index=True).assign(height=np.linspace(0, 1, 300))
    with pytest.raises(InputError, match=said):
        curate(frame, **options)


def test_too_few_rows_and_other_files(tmp_path):
    with pytest.raises(DataError, match="expected at least three rows to compare; got 2"):
        curate(table()[:2])
    found, page = curate_file(table(), tmp_path / "bare.parquet")
    assert found.notes == [
        "Rows are named and not drawn: the embeddings do not say which run made them; --run names it."
    ]
    assert page == tmp_path / "bare.html"
    with pytest.raises(InputError, match=r"-o expected a file \.parquet; got '.*near\.csv'"):
        curate_file(table(), tmp_path / "near.csv")


def test_the_page_shows_rows_of_the_data(tmp_path, capsys):
    rng = np.random.default_rng(0)
    waves = [np.sin(np.linspace(0, 6 + 9 * (i % 2), 60)) + 0.05 * rng.normal(size=60) for i in range(16)]
    waves[15] = waves[1]
    data = pd.DataFrame(waves).assign(
        id=[f"s{i}" for i in range(16)], kind=["slow", "fast"] * 8, part=["train", "test"] * 8
    )
    data.to_csv(tmp_path / "series.csv", index=False)
    options = {"reader": "arrays", "path": str(tmp_path / "series.csv"), "label": "kind", "id": "id", "split": "part"}
    recipe = {"modality": "timeseries", "data": options, "views": {"name": "series"}}
    untrained_run(tmp_path / "run", {**recipe, "encoder": {"name": "resnet1d", "width": 4}})
    main(["embed", str(tmp_path / "run"), str(tmp_path / "series.csv"), "-o", str(tmp_path / "all.parquet")])
    capsys.readouterr()
    assert main(["curate", str(tmp_path / "all.parquet")]) == 0
    said = capsys.readouterr().out
    assert "2 rows are near-duplicates of another, in 1 set." in said
    page = (tmp_path / "all.curated.html").read_text()
    assert page.index('class="verdict"') < page.index("<img") < page.index("<h2")
    assert page.count("<b>s15</b>") >= 1
    assert page.count("<img") > 3
    made = pd.read_parquet(tmp_path / "all.curated.parquet")
    assert made.loc[made["id"] == "s15", "duplicate_of"].tolist() == ["s1"]
    (tmp_path / "run").rename(tmp_path / "moved")
    assert main(["curate", str(tmp_path / "all.parquet"), "-o", str(tmp_path / "b.parquet")]) == 0
    assert (tmp_path / "b.html").read_text().count("<img") == 1  # the map
    assert "Note: Rows are named and not drawn: '" in capsys.readouterr().out
    assert main(["curate", str(tmp_path / "all.parquet"), "--run", str(tmp_path / "moved")]) == 0
    assert (tmp_path / "all.curated.html").read_text().count("<img") == page.count("<img")
    untrained_run(tmp_path / "other", {**recipe, "encoder": {"name": "resnet1d", "width": 8}})
    with pytest.raises(InputError, match=r"--run expected the run that made the embeddings; '.*other' did not"):
        curate_file(tmp_path / "all.parquet", tmp_path / "b.parquet", run_folder=tmp_path / "other")


def test_rows_without_a_group_share_none():
    names = [None if i in (2, 25, 26) else f"p{i}" for i in range(30)]
    assert curate(table(group=names)).shared_groups == []
    assert curate(table(group=[float("nan")] * 30)).shared_groups == []
