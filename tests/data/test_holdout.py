import numpy as np
import pandas as pd
import pytest

from bam_core.data.holdout import check_disjoint, hold_out, named_groups
from bam_core.errors import DataError, InputError


def test_every_class_gives_the_same_fraction_and_unlabelled_rows_stay():
    labels = np.array([0] * 80 + [1] * 20 + [-1] * 50)
    held_out = hold_out(150, 0.25, seed=0, labels=labels)
    assert [held_out[labels == c].sum() for c in (0, 1, -1)] == [20, 5, 0]


def test_groups_stay_together():
    groups = np.repeat([f"p{i}" for i in range(10)], 7)
    held_out = hold_out(70, 0.3, seed=0, groups=groups, labels=np.arange(70) % 3)
    assert {bool(v) for v in held_out} == {True, False}
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert len(set(groups[held_out])) == 3


@pytest.mark.parametrize("columns", [{"labels": [0, 1] * 20}, {"groups": [str(i // 2) for i in range(40)]}])
def test_the_seed_decides(columns):
    first, again, other = (hold_out(40, 0.5, seed=seed, **columns) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_the_fraction_has_to_be_one(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        hold_out(10, fraction, seed=0)


def test_one_group_cannot_be_divided():
    with pytest.raises(DataError, match="at least two groups"):
        hold_out(4, 0.5, seed=0, groups=["a"] * 4)


def test_too_few_rows():
    with pytest.raises(DataError, match=r"cannot hold out 0\.2 of 2 rows"):
        hold_out(2, 0.2, seed=0, labels=[0, 1])


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA, ""])
def test_a_row_without_a_group(gap):
    with pytest.raises(DataError, match="a value in every row; 1 have none, the first is row 1"):
        named_groups(["a", gap, "b"])


def test_a_group_in_two_splits():
    check_disjoint(["train", "train", "test"], ["a", "a", "b"])
    with pytest.raises(DataError, match="group 'a' is in the splits 'train' and 'test'"):
        check_disjoint(["train", "test"], ["a", "a"])


@pytest.mark.parametrize("n", [5, 12, 40, 400])
def test_few_rows_with_real_numbers_as_labels_are_held_out_from_low_to_high(n):
    labels = np.linspace(0, 1, n)
    held_out = hold_out(n, 0.2, seed=0, labels=labels)
    assert abs(held_out.sum() - 0.2 * n) <= 1
    if n >= 12:
        assert (labels[held_out] < 0.5).any()
        assert (labels[held_out] > 0.5).any()
