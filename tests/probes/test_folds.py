import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bam_core.probes.folds import make_splits


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 8), st.integers(2, 60), st.booleans())
def test_groups_never_straddle_and_every_fit_has_two_classes(seed, n_classes, n_groups, n, multi_label):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n_groups, n)
    labels = rng.integers(0, 2, (n, n_classes)) if multi_label else rng.integers(0, n_classes, n)
    found = make_splits(labels, groups, folds=3, seed=seed)
    assert found.made_of in ("groups", "rows", "nothing")
    assert bool(found.splits) == (found.made_of != "nothing")
    for fit, held_out in found.splits:
        assert not np.intersect1d(fit, held_out).size
        if found.made_of == "groups":
            assert not np.intersect1d(groups[fit], groups[held_out]).size
        assert (labels[fit].min(axis=0) != labels[fit].max(axis=0)).any()


def test_a_class_in_one_group_does_not_cost_the_groups():
    labels, groups = np.array([0, 1] * 15 + [2] * 5), np.repeat(np.arange(7), 5)
    found = make_splits(labels, groups, seed=1)
    assert found.made_of == "groups"
    assert len(found.splits) == 3


@pytest.mark.parametrize(
    ("labels", "groups", "made_of"),
    [
        (np.repeat([0, 1], 6), np.repeat([0, 1], 6), "rows"),  # each class in one group only
        (np.array([0, 1] * 6), np.zeros(12, int), "rows"),
        (np.array([0, 1] * 6), None, "rows"),
        (np.array([0, 1, 2]), None, "nothing"),
        (np.array([0, 1, 2]), np.array([0, 1, 2]), "nothing"),
    ],
)
def test_fallbacks(labels, groups, made_of):
    assert make_splits(labels, groups).made_of == made_of
