import numpy as np
import pytest
import torch

from bam_core import InputError, bam_loss
from bam_core.reports.maps import drawn, pca_layout, tsne_layout
from bam_core.reports.palette import COLOURS, class_styles, restricted
from bam_core.reports.pictures import AttentionPicture, Gallery, NeighbourRows, take_sample


def projections(b=12, n_views=2, d=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, d, generator=generator) * 2
    labels = torch.arange(b) % 3
    rows = centres[labels].repeat(n_views, 1) + 0.5 * torch.randn(n_views * b, d, generator=generator)
    return rows, labels.numpy()


def test_attention_is_that_of_the_loss():
    rows, _ = projections()
    picture = AttentionPicture.of_projections(rows)
    for matrix in (picture.plan, picture.attention):
        assert matrix.shape == (12, 12)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(np.diag(matrix), 0, atol=1e-7)
    np.testing.assert_allclose(picture.plan.sum(axis=0), 1, atol=0.1)
    assert np.abs(picture.attention.sum(axis=0) - 1).max() > np.abs(picture.plan.sum(axis=0) - 1).max()
    uniform = AttentionPicture.of_projections(torch.ones(24, 4) + 1e-6 * torch.randn(24, 4))
    np.testing.assert_allclose(uniform.plan, uniform.attention, atol=1e-3)
    assert float(bam_loss(rows).column_error) < 0.2


def test_rows_are_sorted_by_label():
    rows, labels = projections()
    labels = np.where(np.arange(12) == 4, -1, labels)
    picture = AttentionPicture.of_projections(rows, labels=labels, classes=["a", "b", "c"])
    known = picture.labels[picture.labels >= 0]
    assert (np.diff(known) >= 0).all()
    assert picture.labels[-1] == -1
    assert picture.share_within_class(picture.plan) > picture.chance_within_class
    pairs = [(i, j) for i in range(11) for j in range(11) if i != j]
    chance = np.mean([known[i] == known[j] for i, j in pairs])
    assert picture.chance_within_class == pytest.approx(chance)
    assert AttentionPicture.of_projections(rows, labels=labels).classes == ["0", "1", "2"]
    assert AttentionPicture.of_projections(rows).share_within_class(picture.plan) is None


def test_attention_errors():
    with pytest.raises(InputError, match=r"\(n_views \* b, d\) projections with n_views=2, b >= 2; got \(7, 3\)"):
        AttentionPicture.of_projections(torch.randn(7, 3))
    with pytest.raises(InputError, match=r"one class index a sample, \(4,\); got \(8,\)"):
        AttentionPicture.of_projections(torch.randn(8, 3), labels=np.zeros(8, int))


def test_neighbours_are_the_nearest_of_other_rows():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(40, 5))
    labels = np.arange(40) % 4
    rows = NeighbourRows.find(
        embeddings, lambda i: f"sample {i}", queries=[3, 10], labels=labels, classes=list("wxyz"), k=6
    )
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for q, query in enumerate([3, 10]):
        order = [i for i in np.argsort(-(unit @ unit[query])) if i != query][:6]
        assert rows.neighbours[q] == [f"sample {i}" for i in order]
        assert rows.names[q] == ["wxyz"[labels[i]] for i in order]
        np.testing.assert_array_equal(rows.same[q], labels[order] == labels[query])
        np.testing.assert_allclose(rows.cosines[q], unit[order] @ unit[query], atol=1e-6)
    assert rows.query_names == ["z", "y"]
    assert rows.query_ids == ["", ""]
    named = NeighbourRows.find(embeddings, int, labels=labels, classes=list("wxyz"), ids=[f"r{i}" for i in range(50)])
    assert named.query_ids == [f"r{i}" for i in named.queries]
    assert named.ids == [[f"r{i}" for i in found] for found in named.neighbours]
    assert not rows.other_groups


def test_neighbours_come_from_other_groups():
    embeddings = np.random.default_rng(0).normal(size=(30, 4))
    groups = np.array(["p", "q", "r"])[np.arange(30) % 3]
    rows = NeighbourRows.find(embeddings, int, queries=[0, 1], groups=groups, k=25)
    assert rows.other_groups
    assert rows.cosines.shape == (2, 20)
    for query, found in zip([0, 1], rows.neighbours, strict=True):
        assert groups[query] not in groups[found]
    assert not NeighbourRows.find(embeddings, int, groups=np.zeros(30)).other_groups


def test_queries_are_one_of_each_class_and_seeded():
    embeddings = np.random.default_rng(0).normal(size=(50, 4))
    labels = np.where(np.arange(50) < 5, -1, np.arange(50) % 7)
    rows = NeighbourRows.find(embeddings, int, labels=labels, seed=1)
    assert rows.query_names == ["0", "1", "2", "3", "4"]
    assert rows.queries == NeighbourRows.find(embeddings, int, labels=labels, seed=1).queries
    unlabelled = NeighbourRows.find(embeddings, int, ids=[f"r{i}" for i in range(50)])
    assert len(set(unlabelled.queries)) == 5
    assert unlabelled.query_names[0] == f"r{unlabelled.queries[0]}"
    assert unlabelled.same is None
    multi_label = NeighbourRows.find(embeddings[:3], int, labels=np.zeros((3, 2), int))
    assert multi_label.names[0][0].startswith("row ")
    with pytest.raises(InputError, match="at least two embeddings; got 1"):
        NeighbourRows.find(embeddings[:1], int)


def test_samples_are_taken_out_of_any_view():
    view = {"x": torch.arange(6).reshape(3, 2), "y": (torch.arange(3), torch.arange(3) * 10)}
    sample = take_sample(view, 2)
    assert sample["x"].tolist() == [4, 5]
    assert [int(part) for part in sample["y"]] == [2, 20]
    gallery = Gallery.of_batch(view, [view, view], ["a", "b", "c"], count=5)
    assert (len(gallery.samples), len(gallery.views[0]), gallery.names) == (3, 2, ["a", "b", "c"])


def test_pca_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA

    x = np.random.default_rng(0).normal(size=(50, 6)) @ np.diag([5, 3, 1, 1, 1, 1]) + 2
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    judge = PCA(2).fit(unit)
    layout = pca_layout(x)
    np.testing.assert_allclose(np.abs(layout.positions), np.abs(judge.transform(unit)), atol=1e-5)
    assert layout.explained == pytest.approx(judge.explained_variance_ratio_.sum(), abs=1e-5)


def test_layouts_of_degenerate_embeddings():
    assert pca_layout(np.ones((4, 3))).positions.shape == (4, 2)
    assert pca_layout(np.arange(1.0, 6.0)[:, None]).positions.shape == (5, 2)
    for embeddings in (np.ones((12, 3)), np.arange(1.0, 13.0)[:, None], np.zeros((12, 2))):
        assert np.isfinite(tsne_layout(embeddings).positions).all()


def test_tsne_keeps_islands_apart():
    x = np.repeat(np.eye(3), 20, axis=0) * 5 + np.random.default_rng(0).normal(size=(60, 3)) * 0.3
    positions = tsne_layout(x, seed=1).positions
    islands = positions.reshape(3, 20, 2)
    within = np.linalg.norm(islands - islands.mean(axis=1, keepdims=True), axis=-1).mean()
    between = np.linalg.norm(islands.mean(axis=1)[0] - islands.mean(axis=1)[1])
    assert between > 3 * within
    np.testing.assert_array_equal(positions, tsne_layout(x, seed=1).positions)


def test_styles_cover_every_point_once_and_keep_their_colour_in_a_draw():
    labels = np.random.default_rng(0).choice(4, 200, p=[0.5, 0.3, 0.15, 0.05])
    labels[:10] = -1
    styles = class_styles(labels, list("abcd"), 200)
    assert [style.name for style in styles] == ["no label", "a", "b", "c", "d"]
    assert sorted(np.concatenate([style.rows for style in styles])) == list(range(200))
    assert len({(style.colour, style.marker) for style in styles}) == 5
    rows = np.flatnonzero(labels != 0)[::2]
    few = restricted(styles, rows)
    assert {style.name: style.colour for style in few}.items() <= {s.name: s.colour for s in styles}.items()
    for style in few:
        assert {labels[row] for row in rows[style.rows]} == {
            -1 if style.name == "no label" else "abcd".index(style.name)
        }


def test_many_classes_share_colours_by_shape_and_the_rest_is_grey():
    labels = np.repeat(np.arange(30), np.arange(31, 1, -1))
    styles = class_styles(labels, [], len(labels))
    own = [style for style in styles if style.name != "other"]
    assert len(own) == 20
    assert len({(style.colour, style.marker) for style in own}) == 20
    assert sum(len(style.rows) for style in styles) == len(labels)


def test_multi_label_rows_show_their_rarest_label():
    labels = np.array([[1, 0], [1, 1], [1, 0], [0, 0]])
    styles = {style.name: style.rows.tolist() for style in class_styles(labels, ["common", "rare"], 4)}
    assert styles == {"common": [0, 2], "rare": [1], "other or none": [3]}
    assert class_styles(None, [], 3)[0].colour == COLOURS[0]


def test_draws_are_nested():
    assert set(drawn(100, 10, 0)) <= set(drawn(100, 50, 0))
    assert drawn(5, 10, 0).tolist() == [0, 1, 2, 3, 4]
