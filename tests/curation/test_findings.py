"""Findings among vectors whose copies, outliers, clusters and wrong labels are known."""

import numpy as np
import pytest

from bam_core.curation.clusters import clusters
from bam_core.curation.findings import duplicates, outliers, suspicious_labels
from bam_core.curation.graph import neighbour_graph

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(3, 16))
KIND = np.repeat([0, 1, 2], [90, 60, 30])
ROWS = (CENTRES[KIND] + 0.25 * RNG.normal(size=(180, 16))).astype(np.float32)


def test_the_graph_is_that_of_all_distances():
    found = neighbour_graph(ROWS, 5)
    unit = ROWS.astype(np.float64) / np.linalg.norm(ROWS.astype(np.float64), axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(found.rows, np.argsort(distances, axis=1)[:, :5])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :5], atol=1e-12)


def test_copies_do_not_hide_a_row_from_itself():
    same = np.repeat(ROWS[:3], 8, axis=0)
    found = neighbour_graph(same, 3)
    assert (found.rows != np.arange(24)[:, None]).all()
    assert (duplicates(found).of == np.repeat([0, 8, 16], 8)).all()


@pytest.mark.parametrize("cone", [0, 30])  # embeddings that all point nearly the same way
def test_near_duplicates_are_found_and_nothing_else(cone):
    rows = ROWS + np.float32(cone)
    copies = np.concatenate([rows, rows[:5] * 1.5, rows[5:10] + 0.002 * RNG.normal(size=(5, 16))]).astype(np.float32)
    found = duplicates(neighbour_graph(copies, 20))
    assert np.flatnonzero(found.flagged).tolist() == [*range(10), *range(180, 190)]
    assert found.of[180:].tolist() == list(range(10))


def test_outliers_are_found_and_a_copy_of_one_is_one():
    far = np.concatenate([ROWS, [-CENTRES[0] + CENTRES[1], -CENTRES[2]], [-CENTRES[2]]]).astype(np.float32)
    found = outliers(far, duplicates(neighbour_graph(far, 20)))
    assert set(np.flatnonzero(found.flagged)) == {180, 181, 182}
    assert found.factor[181] == found.factor[182]
    assert found.distance[180] > found.distance[:180].max()


def test_factors_are_those_of_all_distances():
    from sklearn.neighbors import LocalOutlierFactor

    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    expected = -LocalOutlierFactor(20).fit(unit).negative_outlier_factor_
    found = outliers(ROWS, duplicates(neighbour_graph(ROWS, 20)))
    np.testing.assert_allclose(found.factor, expected, rtol=1e-4)


def test_clusters_the_largest_first_and_their_typical_rows():
    order = RNG.permutation(180)
    found = clusters(ROWS[order])
    assert found.of.tolist() == KIND[order].tolist()
    assert found.clear
    assert [len(rows) for rows in found.typical] == [90, 60, 30]
    assert (found.of[found.typical[2]] == 2).all()


def test_a_cloud_has_no_clear_clusters_and_equal_rows_have_none():
    assert not clusters(np.random.default_rng(1).normal(size=(300, 32)).astype(np.float32)).clear
    assert clusters(np.ones((10, 3), np.float32)).of.tolist() == [0] * 10


def test_wrong_labels_are_found():
    labels = KIND.copy()
    wrong = np.array([3, 17, 100, 140, 160])
    labels[wrong] = (labels[wrong] + 1) % 3
    labels[50] = -1
    found = suspicious_labels(neighbour_graph(ROWS, 20), labels)
    assert set(np.flatnonzero(found.margin > 0)) == set(wrong)
    assert (found.suggested[wrong] == KIND[wrong]).all()
    assert (found.suggested[labels == KIND] == -1).all()
    assert found.suggested[50] == -1


def test_groups_and_copies_do_not_vote_for_themselves():
    rows = np.concatenate([ROWS[:60], np.repeat(ROWS[:1] + 0.01, 20, axis=0)])
    labels = np.array([0] * 60 + [1] * 20)  # twenty windows of one record, all with the wrong label
    labels[1:10] = 1
    graph = neighbour_graph(rows, 20)
    groups = np.concatenate([np.arange(60), np.full(20, 99)])
    assert (suspicious_labels(graph, labels).margin[60:] == 0).all()
    assert (suspicious_labels(graph, labels, groups=groups).suggested[60:] == 0).sum() == 0  # nobody is left to ask
    wide = neighbour_graph(rows, 60)
    assert (suspicious_labels(wide, labels, groups=groups).agreement[60:] < 0.5).all()
    copies = duplicates(graph).of
    assert np.isnan(suspicious_labels(graph, labels, copies=copies).agreement[60:]).all()
