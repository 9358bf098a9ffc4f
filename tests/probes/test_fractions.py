import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bam_core import InputError
from bam_core.probes.fractions import balanced_rows, draw_rows

FRACTIONS = (0.01, 0.05, 0.1, 0.5, 1.0)
label_lists = st.lists(st.integers(-1, 3), min_size=1, max_size=200).filter(lambda values: max(values) >= 0)


@settings(max_examples=50, deadline=None)
@given(label_lists, st.integers(0, 5), st.integers(0, 3), st.integers(1, 3))
def test_draws_are_stratified_nested_and_labelled(values, seed, draw, at_least):
    labels = np.array(values)
    before = set()
    for fraction in FRACTIONS:
        rows = draw_rows(labels, fraction, draw=draw, seed=seed, min_per_class=at_least)
        assert (labels[rows] >= 0).all()
        assert (np.diff(rows) > 0).all()
        for c in np.unique(labels[labels >= 0]):
            count = (labels == c).sum()
            wanted = count if fraction == 1 else min(count, max(round(fraction * count), at_least))
            assert (labels[rows] == c).sum() == wanted
        assert before <= set(rows.tolist())
        before = set(rows.tolist())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_multi_label_draws_keep_every_label_and_are_nested(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((150, 12)) < rng.random(12) * 0.2).astype(int)
    labels[rng.choice(150, 10)] = -1
    known = (labels >= 0).all(axis=1)
    before = set()
    for fraction in FRACTIONS:
        rows = draw_rows(labels, fraction, seed=seed)
        assert known[rows].all()
        np.testing.assert_array_equal(labels[rows].any(axis=0), labels[known].any(axis=0))
        assert len(rows) >= round(fraction * known.sum())
        assert len(rows) <= round(fraction * known.sum()) + 12 + 1
        assert before <= set(rows.tolist())
        before = set(rows.tolist())


def test_same_seed_same_draw_and_other_draws_differ():
    labels = np.arange(1000) % 3
    first = draw_rows(labels, 0.1, draw=0, seed=5)
    np.testing.assert_array_equal(first, draw_rows(labels, 0.1, draw=0, seed=5))
    for other in (draw_rows(labels, 0.1, draw=1, seed=5), draw_rows(labels, 0.1, draw=0, seed=6)):
        assert len(np.intersect1d(first, other)) < 30


def test_errors():
    with pytest.raises(InputError, match=r"a fraction in \(0, 1\]; got 0"):
        draw_rows(np.array([0, 1]), 0.0)
    with pytest.raises(InputError, match=r"expected labelled rows; got none"):
        draw_rows(np.array([-1, -1]), 0.5)


@settings(max_examples=50, deadline=None)
@given(label_lists, st.sampled_from(FRACTIONS), st.integers(0, 5))
def test_balanced_rows_are_equally_many_of_each_class(values, fraction, seed):
    labels = np.array(values)
    rows = balanced_rows(labels, fraction, seed=seed)
    known = labels[labels >= 0]
    each = max(1, round(fraction * len(known) / len(np.unique(known))))
    for c in np.unique(known):
        assert (labels[rows] == c).sum() == (min(each, (known == c).sum()) if fraction < 1 else (known == c).sum())
    assert len(np.unique(rows)) == len(rows) == (labels[rows] >= 0).sum()
    assert np.array_equal(rows, balanced_rows(labels, fraction, seed=seed))


def test_balanced_rows_expect_one_class_a_row():
    with pytest.raises(InputError, match="one class each"):
        balanced_rows(np.array([-1, -1]), 0.5)
    with pytest.raises(InputError, match="one class each"):
        balanced_rows(np.zeros((4, 2), int), 0.5)
    with pytest.raises(InputError, match="fraction in"):
        balanced_rows(np.array([0, 1]), 0.0)
