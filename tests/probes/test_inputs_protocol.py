import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bam_core import InputError
from bam_core.probes.embeddings import describe_embeddings
from bam_core.probes.inputs import Features, SplitLabels, check_features, feature_matrix
from bam_core.probes.protocol import EvaluationProtocol

OTHER = {
    "probes": ("knn",),
    "fractions": (1.0, 0.2),
    "draws": 7,
    "min_per_class": 2,
    "k": 10,
    "temperature": 0.1,
    "c_grid": (1.0,),
    "folds": 5,
    "max_search_rows": 100,
    "metrics": ("accuracy",),
    "classes": ("N",),
    "bootstrap": 200,
    "max_train_rows": 1000,
    "max_test_rows": 1000,
    "seed": 1,
    "cross_validation": 4,
}


def test_the_hash_changes_with_every_field_and_stays_otherwise():
    assert {*OTHER, "baselines"} == set(EvaluationProtocol.model_fields)
    assert EvaluationProtocol(baselines="none").hash() == EvaluationProtocol().hash()  # they change no other row
    hashes = {EvaluationProtocol(**{name: value}).hash() for name, value in OTHER.items()}
    assert len(hashes | {EvaluationProtocol().hash()}) == len(OTHER) + 1
    assert EvaluationProtocol(k=20, seed=0).hash() == EvaluationProtocol().hash()
    copy = EvaluationProtocol(**EvaluationProtocol(**OTHER).model_dump(mode="json"))
    assert copy == EvaluationProtocol(**OTHER)
    assert copy.hash() == EvaluationProtocol(**OTHER).hash()


def test_the_hash_changes_with_the_version_of_the_evaluation(monkeypatch):
    before = EvaluationProtocol().hash()
    monkeypatch.setattr("bam_core.probes.protocol.VERSION", 999)
    assert EvaluationProtocol().hash() != before


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"fractions": (0.0,)},
        {"fractions": ()},
        {"draws": 1},
        {"c_grid": (-1.0,)},
        {"metrics": ("f2",)},
        {"K": 1},
    ],
)
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        EvaluationProtocol(**wrong)


def test_it_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        EvaluationProtocol().k = 3


def split_labels(**values):
    return SplitLabels(**{k: v if k == "classes" else np.asarray(v) for k, v in values.items()})


def test_labels_fill_in_names_and_tell_kinds_apart():
    labels = split_labels(train=[0, 2, -1], test=[1])
    assert (labels.classes, labels.multi_label, labels.n_classes) == (("0", "1", "2"), False, 3)
    labels = split_labels(train=np.zeros((4, 2)), test=np.ones((2, 2), bool), classes=["x", "y"])
    assert (labels.multi_label, labels.n_classes) == (True, 2)
    assert labels.train.dtype == np.int64


def test_the_hash_of_labels_identifies_all_they_hold():
    base = {"train": [0, 1, 0], "test": [1, 0], "classes": ["a", "b"], "train_groups": ["p", "p", "q"]}
    changes = [
        {"train": [0, 1, 1]},
        {"test": [0, 1]},
        {"classes": ["b", "a"]},
        {"train_groups": ["p", "q", "q"]},
        {"test_groups": ["p", "q"]},
        {"validation": [1]},
        {"train": [0, 1], "train_groups": ["p", "p"], "test": [0, 1, 0]},
    ]
    hashes = [split_labels(**{**base, **change}).hash() for change in [{}, *changes]]
    assert len(set(hashes)) == len(hashes)
    assert split_labels(**base).hash() == hashes[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": ["a", "b"]}, "expected class indices .* for train; got <U1"),
        ({"train": [0.5, 1.0]}, "expected class indices .* for train; got float64"),
        ({"test": [0, -2]}, "got test values from -2 to 0"),
        ({"test": np.array([[0, 2]])}, "got test values from 0 to 2"),
        ({"test": np.array([[0, 1]])}, "same kind of labels in all splits"),
        ({"classes": ["a"]}, "a name for each of 2 classes; got 1 names"),
        ({"train_groups": ["p"]}, r"one group a row of train, \(2,\); got \(1,\)"),
        ({"test_groups": ["p", "q"]}, r"one group a row of test, \(1,\); got \(2,\)"),
    ],
)
def test_labels_that_do_not_fit(wrong, message):
    with pytest.raises(InputError, match=message):
        split_labels(**{"train": [0, 1], "test": [1], **wrong})


def test_features_that_do_not_fit():
    x, labels = np.zeros((3, 2)), split_labels(train=[0, 1, 0], test=[0, 1, 1], validation=[0])
    good = Features(x, x, x[:1])
    assert check_features({"raw": good}, labels)["raw"].train.dtype == np.float32
    for parts, message in [
        (None, "at least one set of features; got none"),
        (good._replace(train=x[:2]), "features 'raw', train expected one row a label, 3; got 2"),
        (good._replace(test=x[:, :1]), "features 'raw' expected one width; got 2 in train and 1 in test"),
        (good._replace(validation=None), "features 'raw' expected a validation part"),
        (good._replace(test=np.full((3, 2), np.nan)), "features 'raw', test: 3 of 3 rows hold NaN"),
        (good._replace(train=x[:, 0]), r"features 'raw', train expected numbers of shape \(n, d\)"),
    ]:
        with pytest.raises(InputError, match=message):
            check_features({} if parts is None else {"raw": parts}, labels)


def test_feature_matrix_takes_half_precision_and_gradients():
    tensor = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    assert feature_matrix(tensor).dtype == np.float32


def test_figures_of_embeddings():
    rng = np.random.default_rng(0)
    healthy, point = rng.normal(size=(3000, 16)), np.ones((50, 16)) + 1e-4 * rng.normal(size=(50, 16))
    figures = describe_embeddings(healthy)
    assert figures.rankme > 15
    assert figures.spread == pytest.approx(1, abs=0.01)
    assert not figures.one_direction
    assert describe_embeddings(point).one_direction
    with_zeros = np.concatenate([healthy[:100], np.zeros((10, 16))])
    assert describe_embeddings(with_zeros) == describe_embeddings(healthy[:100])
    assert describe_embeddings(np.zeros((5, 4))) == (4, None, None)
