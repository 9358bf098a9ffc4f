"""Groups of features of narrow and of wide tables."""

import tracemalloc

import numpy as np
import pytest

from modalities.tabular import associations
from modalities.tabular.associations import feature_groups


def table(n=200, k=7, seed=0):
    """Numbers of which 0, 2 and 5 are alike, and categories: one is a number in two parts, one is all rare."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, k))
    numeric[:, [2, 5]] = numeric[:, [0]] * [-2, 1] + 0.1 * rng.normal(size=(n, 2))
    halves = 2 + (numeric[:, 1] > 0)
    categorical = np.stack([halves, 2 + np.arange(n) % 150], axis=1)
    return numeric, categorical, [4, 152]


def as_sets(groups):
    return {frozenset(group) for group in groups}


@pytest.mark.parametrize("most_linked", [2000, 2])
def test_groups_are_alike_in_both_ways(most_linked, monkeypatch):
    monkeypatch.setattr(associations, "MOST_LINKED", most_linked)
    monkeypatch.setattr(associations, "BLOCK", 2)
    groups = feature_groups(*table())
    assert as_sets(groups) == {frozenset(g) for g in ((0, 2, 5), (1, 7), (3,), (4,), (6,), (8,))}
    assert sorted(feature for group in groups for feature in group) == list(range(9))


def test_one_feature():
    assert feature_groups(np.ones((3, 1)), np.empty((3, 0), np.int64), []) == [[0]]


def test_wide_tables_take_little_memory():
    """All pairs of 5,000 columns in float64 are 200 MB, and linkage took six times that."""
    rng = np.random.default_rng(0)
    numeric = rng.normal(size=(100, 5000))
    numeric[:, 4999] = numeric[:, 0]
    tracemalloc.start()
    groups = feature_groups(numeric, np.empty((100, 0), np.int64), [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6
    assert [0, 4999] in groups
    assert len(groups) > 4000
