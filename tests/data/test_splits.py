import pytest

from bam_core.data.splits import check_choice, listed, part_of, read_splits, split_of
from bam_core.errors import DataError, InputError


@pytest.mark.parametrize(
    ("split", "names"),
    {
        "train": ("train", "Training", "TRAIN "),
        "validation": ("val", "valid", "Validation", "dev"),
        "test": ("test", "testing", "eval"),
        "unlabeled": ("unlabeled", "unlabelled", "extra", "unsupervised"),
    }.items(),
)
def test_names_of_splits(split, names):
    assert {split_of(name) for name in names} == {split}
    assert set(read_splits(names)) == {"train" if split == "unlabeled" else split}


def test_other_names_in_a_column():
    assert split_of("cat") is split_of(3) is None
    with pytest.raises(DataError, match=r"train, validation or test for every clip; got 1, 2\. If these are folds"):
        read_splits([1, 2, "train"], "clip")


def test_wrong_choices():
    with pytest.raises(DataError, match="splits of pets expected a choice of train, test; got dev"):
        check_choice({"train": "train", "dev": "test"}, ["train", "test"], "pets")
    with pytest.raises(InputError, match="splits expected train, validation, test or unlabeled as values; got dev"):
        check_choice({"a": "dev"}, ["a"], "pets")


def test_parts_and_lists():
    assert part_of("unlabeled") == part_of("train") == "train"
    assert part_of("test") == "test"
    assert listed("abcdefgh") == "a, b, c, d, e, f and 2 more"
