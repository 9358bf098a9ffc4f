import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch.utils._python_dispatch import TorchDispatchMode

from bam_core import InputError
from bam_core.probes.knn import knn_probe, nearest


def naive(train, labels, test, k, temperature):
    """The definition in loops, float64."""
    n_classes = labels.max() + 1 if labels.ndim == 1 else labels.shape[1]
    scores = np.zeros((len(test), n_classes))
    for i, query in enumerate(test.astype(float)):
        cosines = [query @ row / np.linalg.norm(query) / np.linalg.norm(row) for row in train.astype(float)]
        total = 0.0
        for j in sorted(range(len(train)), key=lambda j: -cosines[j])[:k]:
            weight = np.exp(cosines[j] / temperature)
            scores[i] += weight * (np.eye(n_classes)[labels[j]] if labels.ndim == 1 else labels[j])
            total += weight
        scores[i] /= total
    return scores


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(60, 5)).astype(np.float32), rng.normal(size=(17, 5)).astype(np.float32)
    return train, rng.integers(0, 3, 60), test


@pytest.mark.parametrize("k", [1, 7, 20, 60])
def test_equals_a_naive_loop(data, k):
    train, labels, test = data
    np.testing.assert_allclose(knn_probe(train, labels, test, k=k), naive(train, labels, test, k, 0.07), atol=1e-5)


def test_multi_label_is_the_weighted_mean_of_label_vectors(data):
    train, _, test = data
    labels = np.random.default_rng(1).integers(0, 2, (60, 4))
    scores = knn_probe(train, labels, test, k=5, temperature=0.2)
    np.testing.assert_allclose(scores, naive(train, labels, test, 5, 0.2), atol=1e-5)


def test_predictions_agree_with_scikit_learn(data):
    train, labels, test = data
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    judge = KNeighborsClassifier(9, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07)).fit(unit, labels)
    np.testing.assert_allclose(knn_probe(train, labels, test, k=9), judge.predict_proba(test), atol=1e-5)


@pytest.mark.parametrize("blocks", [(1, 1), (3, 4), (17, 7), (1000, 1000)])
def test_blocks_do_not_change_neighbours(data, blocks):
    bank, queries = torch.from_numpy(data[0]), torch.from_numpy(data[2])
    found = nearest(bank, queries, k=6, query_block=blocks[0], bank_block=blocks[1])
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], bank[None], dim=-1)
    torch.testing.assert_close(found.cosines, cosines.topk(6, dim=1).values)
    assert torch.equal(found.indices, cosines.topk(6, dim=1).indices)


def test_unlabelled_rows_do_not_vote(data):
    train, labels, test = data
    some = labels.copy()
    some[::2] = -1
    expected = knn_probe(train[1::2], labels[1::2], test, n_classes=3)
    np.testing.assert_allclose(knn_probe(train, some, test, n_classes=3), expected, atol=1e-6)


def test_fewer_rows_than_k_all_vote(data):
    train, labels, test = data
    np.testing.assert_allclose(
        knn_probe(train[:4], labels[:4], test, n_classes=3, k=20),
        knn_probe(train[:4], labels[:4], test, n_classes=3, k=4),
    )


def test_sharp_temperature_does_not_overflow(data):
    train, labels, test = data
    scores = knn_probe(train, labels, test, temperature=1e-3)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)


def test_a_zero_row_is_near_to_none():
    bank = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert nearest(bank, torch.tensor([[1.0, 0.9]]), k=2).indices.tolist() == [[1, 0]]


def test_memory_stays_bounded():
    bank, queries = torch.randn(4000, 4), torch.randn(3000, 4)
    sizes = []

    class Spy(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(o.numel() for o in (out if isinstance(out, tuple) else (out,)) if isinstance(o, torch.Tensor))
            return out

    with Spy():
        nearest(bank, queries, k=5, query_block=100, bank_block=500)
    assert max(sizes) <= 100 * 500


def test_errors(data):
    train, labels, test = data
    with pytest.raises(InputError, match=r"of one width; got \(60, 5\) and \(17, 4\)"):
        nearest(torch.from_numpy(train), torch.from_numpy(test[:, :4]))
    with pytest.raises(InputError, match=r"1 <= k <= 60, the rows of the bank; got k=61"):
        nearest(torch.from_numpy(train), torch.from_numpy(test), k=61)
    with pytest.raises(InputError, match="expected labelled rows in train; got none"):
        knn_probe(train, np.full(60, -1), test)
    train[[3, 5], 2] = np.nan
    with pytest.raises(InputError, match="train features: 2 of 60 rows hold NaN or infinity"):
        knn_probe(train, labels, test)
    with pytest.raises(InputError, match="one row a label, 60; got 17 rows"):
        knn_probe(test, labels, test)
