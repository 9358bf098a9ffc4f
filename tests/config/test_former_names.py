"""`labels` and `groups`, as some readers once called `label` and `group`, still work, and a warning says so."""

import pytest

from bam_core.config.former_names import FORMER, takes_former_names
from bam_core.config.options import find_named, option_types
from bam_core.config.recipe import load_recipe
from bam_core.config.registry import load_modality

READERS = [
    (modality, reader)
    for modality in ("ecg", "timeseries", "audio", "tabular", "image")
    for reader, function in load_modality(modality).readers.items()
    if "label" in option_types(function)
]


def found(options, readers):
    problems = []
    named = find_named("data", "reader", options, readers, problems)
    assert not problems
    return dict(named.options)


def test_one_word_in_all_domains():
    assert {modality for modality, _ in READERS} == {"ecg", "timeseries", "audio", "tabular", "image"}
    for modality in {modality for modality, _ in READERS}:
        for function in load_modality(modality).readers.values():
            assert not FORMER.keys() & option_types(function).keys()


@pytest.mark.parametrize(("modality", "reader"), READERS)
def test_a_former_name_is_taken_with_a_hint(modality, reader):
    readers = load_modality(modality).readers
    of_ptbxl = reader == "ptbxl"
    value = "rhythm" if of_ptbxl else "diagnosis"
    with pytest.warns(FutureWarning, match=r"data\.labels is called data\.label now"):
        assert found({"reader": reader, "labels": value}, readers) == {"label": value}
    if "group" in option_types(readers[reader]):
        with pytest.warns(FutureWarning, match=r"data\.groups is called data\.group now"):
            assert found({"reader": reader, "groups": "person"}, readers) == {"group": "person"}


def test_a_name_that_a_reader_has_stays():
    def read(*, path, labels=None, group=None):
        raise NotImplementedError

    assert found({"reader": "mine", "labels": "x"}, {"mine": read}) == {"labels": "x"}


def test_a_recipe_of_before_loads_and_overrides_count(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "modality: ecg\ndata: {reader: wfdb, path: a, window_s: 2, labels: header, groups: p.csv:person}\n"
        "views: {name: ecg}\nencoder: {name: resnet1d}\n"
    )
    with pytest.warns(FutureWarning, match="now"):
        before = load_recipe(file)
    assert before.recipe.data == {
        "reader": "wfdb", "path": "a", "window_s": 2.0, "label": "header", "group": "p.csv:person",
    }  # fmt: skip
    with pytest.warns(FutureWarning, match="now"):
        assert load_recipe(file, ["data.label=t.csv:sex"]).recipe.data["label"] == "t.csv:sex"
    again = tmp_path / "again.yaml"
    again.write_text(before.recipe.to_yaml())
    with pytest.warns(FutureWarning, match="now"):
        assert load_recipe(again, ["data.labels=t.csv:sex"]).recipe.data["label"] == "t.csv:sex"


def test_a_reader_can_be_called_with_them():
    @takes_former_names
    def read(*, path: str, label: str | None = None):
        return path, label

    assert read(path="a", label="b") == ("a", "b")
    with pytest.warns(FutureWarning, match="^labels is called label now"):
        assert read(path="a", labels="b") == ("a", "b")
    assert option_types(read) == {"path": str, "label": str | None}
