from dataclasses import replace

import numpy as np
import pytest

from bam_core import InputError, MissingExtraError, RecipeError
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.results import Results
from bam_core.protocols import Baseline, FittedBaseline
from bam_core.runs import baselines as module
from bam_core.runs.baselines import choose_baselines, judge_baseline
from modalities.tabular import MODALITY
from modalities.tabular.batches import collate_rows

QUICK = EvaluationProtocol(fractions=(1.0, 0.5), draws=2, bootstrap=100, c_grid=(1.0,))


@pytest.fixture(scope="module")
def data():
    return MODALITY.example()


@pytest.fixture
def numbers(tmp_path, monkeypatch):
    """A modality with two baselines, one of which cannot be had; and what it was asked."""
    monkeypatch.setenv("BAM_CACHE", str(tmp_path))
    asked = []

    def fit(columns, facts, *, n_rows, seed):
        asked.append((len(columns["numeric"]), n_rows))
        return FittedBaseline(lambda columns: collate_rows(columns, facts)["numeric"], note="Numbers only.")

    return replace(
        MODALITY,
        baselines={
            "numbers": Baseline(fit, "The numbers.", fit_rows=5),
            "rocket": Baseline(fit, "It flies.", packages=("no_such_rocket",)),
            "wide": Baseline(fit, "It is wide.", why_not=lambda names, facts: f"{names[0]} is narrow."),
        },
    ), asked


def test_what_cannot_be_had_is_left_out_and_named(numbers, data):
    choice = choose_baselines(numbers[0], data, QUICK)
    assert choice.chosen == ("numbers",)
    assert choice.notes == [
        "Baseline rocket is left out: it needs no_such_rocket: pip install 'bam-ssl[baselines]'.",
        f"Baseline wide is left out: {data.splits['train'].column_names[0]} is narrow.",
    ]
    assert choose_baselines(numbers[0], data, EvaluationProtocol(baselines="none")) == ((), {})
    assert choose_baselines(numbers[0], data, EvaluationProtocol(baselines=("numbers",))) == (("numbers",), {})


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("number", RecipeError, "evaluate.baselines.*did you mean 'numbers'"),
        ("rocket", MissingExtraError, r"'rocket' cannot be had; it needs no_such_rocket: pip install"),
        ("wide", InputError, "'wide' cannot be had; .* is narrow"),
    ],
)
def test_a_baseline_that_is_asked_for_by_name_must_be_had(numbers, data, name, kind, message):
    with pytest.raises(kind, match=message):
        choose_baselines(numbers[0], data, EvaluationProtocol(baselines=(name,)))


def test_a_baseline_is_judged_once_for_the_same_data_and_protocol(numbers, data):
    modality, asked = numbers
    first = judge_baseline("numbers", modality, data, QUICK)
    assert asked == [(5, sum(len(rows) for rows in data.splits.values()))]
    assert first.features == ["numbers"]
    assert first.columns == [("knn", 1.0), ("knn", 0.5), ("linear", 1.0), ("linear", 0.5)]
    assert first.notes == ("numbers: The numbers. Numbers only.",)
    again = judge_baseline("numbers", modality, data, QUICK.model_copy(update={"baselines": ("numbers",)}))
    assert len(asked) == 1
    assert [row.mean for row in again.rows] == [row.mean for row in first.rows]
    assert again.protocol.baselines == ("numbers",)
    judge_baseline("numbers", modality, data, QUICK.model_copy(update={"seed": 1}))
    assert len(asked) == 2
    path = next((module.cache_root() / "baselines").glob("*.json"))
    path.write_text("broken")
    judge_baseline("numbers", modality, data, QUICK)
    judge_baseline("numbers", modality, data, QUICK.model_copy(update={"seed": 1}))
    assert len(asked) == 3


def test_data_without_labels_have_no_table(numbers, data, monkeypatch):
    monkeypatch.setattr("bam_core.data.PreparedData.labels", lambda self, split: None)
    assert judge_baseline("numbers", numbers[0], data, QUICK) is None


def test_features_are_standardised_by_train(numbers, data, monkeypatch):
    seen = {}
    monkeypatch.setattr(module, "evaluate", lambda features, *a, **k: seen.update(features) or real(features, *a, **k))
    from bam_core.probes.evaluate import evaluate as real

    judge_baseline("numbers", numbers[0], data, QUICK)
    np.testing.assert_allclose(seen["numbers"].train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(seen["numbers"].train.std(axis=0), 1, atol=1e-3)


def test_the_hash_of_a_protocol_does_not_know_baselines_and_old_tables_load(numbers, data):
    assert EvaluationProtocol().hash() == EvaluationProtocol(baselines="none").hash() == "161478c15683664e"
    plain = judge_baseline("numbers", numbers[0], data, QUICK).to_plain()
    del plain["baselines"], plain["protocol"]["baselines"]
    assert Results.from_plain(plain).baselines == ()
