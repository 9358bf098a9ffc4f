import pytest

from bam_core.data import in_memory
from bam_core.data.folder_layout import Place, known_in_train, read_layout, say_layout
from bam_core.errors import DataError

TRAIN_AND_TEST = ("train/cat/1", "train/dog/2", "test/cat/3", "test/dog/4")


def layout(*names, **options):
    return read_layout(names, "pets", **options)


def splits(*names, **options):
    """Name -> split; files that are not read are left out."""
    places = layout(*names, **options).places
    return {name: place.split for name, place in zip(names, places, strict=True) if not place.aside}


def test_folders_of_splits_and_classes():
    found = layout(*TRAIN_AND_TEST)
    assert found.places[0] == Place("train", ("cat",))
    assert found.places[3] == Place("test", ("dog",))
    assert [line.strip() for line in found.tree.splitlines()] == [
        "Folders of pets, as understood:",
        "train/ -> train, 2 file(s) in cat, dog",
        "test/ -> test, 2 file(s) in cat, dog",
    ]


@pytest.mark.parametrize("name", ["unlabeled", "Unlabelled", "extra"])
def test_unlabelled_files_beside_splits_are_for_training(name):
    place = layout(*TRAIN_AND_TEST, f"{name}/x/5").places[-1]
    assert place == Place("train", ("x",), is_labelled=False)
    assert f"{name}/ -> train, without labels, 1 file(s) in x" in layout(*TRAIN_AND_TEST, f"{name}/x/5").tree


def test_dev_is_validation_in_folders_too():
    assert splits(*TRAIN_AND_TEST, "dev/cat/5")["dev/cat/5"] == "validation"


def test_a_stray_file_changes_nothing():
    assert splits(*TRAIN_AND_TEST, "intro") == splits(*TRAIN_AND_TEST)
    assert layout(*TRAIN_AND_TEST, "intro").places[-1].aside.startswith("lies beside the folders of the splits")


def test_splits_below_one_folder_or_below_classes():
    wrapped = [f"images/2024/{name}" for name in TRAIN_AND_TEST]
    assert list(splits(*wrapped).values()) == ["train", "train", "test", "test"]
    assert layout(*wrapped).places[0].folders == ("cat",)
    below = ("cat/train/1", "dog/train/2", "cat/test/3", "dog/test/4")
    assert list(splits(*below).values()) == ["train", "train", "test", "test"]
    assert [place.folders for place in layout(*below).places] == [("cat",), ("dog",), ("cat",), ("dog",)]
    assert "cat/test/ -> test, 1 file(s)" in layout(*below).tree


def test_classes_alone():
    assert [place.folders for place in layout("images/cat/1", "images/dog/2").places] == [("cat",), ("dog",)]
    found = layout("cat/1", "dog/2", "dog/3", "loose")
    assert [place.split for place in found.places] == [""] * 4
    assert "dog/ -> class, 2 file(s)" in found.tree
    assert layout("1", "2").tree == ""
    many = layout(*(f"{i:02}/1" for i in range(20)))
    assert "... and 12 more folders" in many.tree


def test_only_training_files_leave_the_split_open():
    assert set(splits("train/cat/1", "train/dog/2", "unlabeled/3").values()) == {""}
    places = layout("cat/1", "dog/2", "unlabeled/3").places
    assert [(place.split, place.folders, place.is_labelled) for place in places] == [
        ("", ("cat",), True),
        ("", ("dog",), True),
        ("", (), False),
    ]


def test_a_vehicle_among_vehicles_is_a_class():
    places = layout("train/1", "car/2", "bus/3").places
    assert [place.folders for place in places] == [("train",), ("car",), ("bus",)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((*TRAIN_AND_TEST, "holdout/5"), r"train, test are splits by name; holdout not.*holdout: unlabeled}"),
        (("train/cat/1", "misc/2"), r"train is a split by name; misc not.*splits: {} if none of them is a split"),
        (("test/1", "cat/2", "dog/3"), "test is a split by name; cat, dog not"),
        (("test/cat/1", "val/cat/2"), "test, val by name, and nothing to train on"),
        (("seg_train/cat/1", "seg_test/cat/2"), r"look like splits.*{seg_train: train, seg_test: test}"),
        (("TrainSet/1", "TestSet/2", "ValSet/3"), "TrainSet, TestSet, ValSet look like splits"),
        (("a/train/1", "a/test/2", "b/train/3", "b/masks/4"), "train, test are splits by name; masks not"),
    ],
)
def test_what_is_not_clear_is_asked(names, message):
    with pytest.raises(DataError, match=message):
        layout(*names)
    assert set(splits(*names, splits={}).values()) == {""}
    assert len(splits(*names, is_new=True)) == len(names)


def test_another_way_out():
    with pytest.raises(
        DataError, match=r"^folders of pets: train is a split by name; misc not. Name the records: split.$"
    ):
        layout("train/cat/1", "misc/2", way_out="Name the records: split.")


def test_the_user_says_which_is_which():
    names = (*TRAIN_AND_TEST, "holdout/5", "docs/6")
    said = {"train": "train", "test": "validation", "holdout": "unlabeled"}
    assert splits(*names, splits=said) == {
        "train/cat/1": "train",
        "train/dog/2": "train",
        "test/cat/3": "validation",
        "test/dog/4": "validation",
        "holdout/5": "train",
    }
    assert layout(*names, splits=said).places[-1].aside == "lies in docs, which splits leaves out"
    assert "docs/ -> left out, 1 file(s)" in layout(*names, splits=said).tree


def test_wrong_choices():
    with pytest.raises(DataError, match="splits of pets expected a choice of train, test; got dev"):
        layout(*TRAIN_AND_TEST, splits={"train": "train", "dev": "test"})


def test_new_files_are_all_read():
    assert splits(*TRAIN_AND_TEST, "intro", is_new=True) == dict.fromkeys([*TRAIN_AND_TEST, "intro"], "")


def test_folders_of_test_files_that_are_no_classes():
    """`test/unknown/1.png`, as loaders want it that take every folder for a class."""
    said = []

    def build(writer):
        said.append(
            known_in_train(writer, ["a", "b", "a", "unknown", None], ["train", "train", "test", "test", "test"])
        )
        said.append(known_in_train(writer, [None, "a"], ["train", "test"]))
        writer.add("train", id=["1"])

    notes = in_memory("pets", build).notes
    assert said == [["a", "b", "a", None, None], [None, "a"]]
    assert list(notes) == ["No class of train, so 1 file(s) of other splits are without labels: unknown."]


def test_what_was_understood_is_said():
    names = (*TRAIN_AND_TEST, "unlabeled/5", "intro")

    def build(writer):
        say_layout(writer, names, layout(*names), {"link": "is a link to what is read already"})
        writer.add("train", id=["1"])

    said = in_memory("pets", build)
    assert "unlabeled/ -> train, without labels" in said.account()
    assert list(said.repairs.values()) == [1]
    assert [source for source, _ in said.set_aside] == ["intro", "link"]
