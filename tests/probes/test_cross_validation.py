"""Folds hold out every row once and no group in parts; means and spreads are those of the folds."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bam_core import InputError
from bam_core.probes.cross_validation import make_folds, over_folds
from bam_core.probes.evaluate import evaluate
from bam_core.probes.fold_tables import fold_view
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.probes.result_table import FoldInfo
from bam_core.probes.results import Results

PEOPLE = np.array([f"p{i}" for i in range(6)])


def test_every_group_is_left_out_once():
    labels = np.array([0, 1, 2, -1] * 6)
    groups = np.repeat(PEOPLE, 4)
    folds = make_folds(labels, groups, "leave_one_group_out")
    assert [fold.info for fold in folds] == [FoldInfo(name, (name,), 3) for name in PEOPLE]
    for fold, name in zip(folds, PEOPLE, strict=True):
        assert set(groups[fold.test]) == {name}
        assert name not in groups[fold.train]
        assert (labels[np.concatenate([fold.train, fold.test])] >= 0).all()
        assert len(fold.train) + len(fold.test) == 18


@pytest.mark.parametrize("kind", ["classes", "several", "numbers"])
def test_folds_by_group_hold_out_every_row_once(kind):
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i:02}" for i in range(12)], 10)
    labels = {
        "classes": np.tile([0, 1], 60),
        "several": rng.integers(0, 2, (120, 3)),
        "numbers": rng.normal(size=120),
    }[kind]
    folds = make_folds(labels, groups, 4, seed=1)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(120))
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert fold.info.groups == tuple(np.unique(groups[fold.test]))
        assert fold.info.n_rows == len(fold.test)
    again = make_folds(labels, groups, 4, seed=1)
    assert all((a.test == b.test).all() for a, b in zip(folds, again, strict=True))


def test_without_groups_folds_have_the_share_of_every_class():
    labels = np.array([0] * 40 + [1] * 10)
    folds = make_folds(labels, None, 5)
    assert [np.bincount(labels[fold.test]).tolist() for fold in folds] == [[8, 2]] * 5
    assert [fold.info.name for fold in folds] == [f"fold {i}" for i in range(1, 6)]


def test_a_fold_of_many_groups_is_called_by_the_first_of_them():
    folds = make_folds(np.tile([0, 1], 20), np.repeat([f"g{i:02}" for i in range(10)], 4), 2)
    assert folds[0].info.name.endswith("and 2 more")
    assert len(folds[0].info.groups) == 5


def test_what_cannot_be_divided_is_refused():
    labels = np.array([0, 1] * 6)
    with pytest.raises(InputError, match=r"leave_one_group_out expected labelled rows of at least two groups; got 0"):
        make_folds(labels, None, "leave_one_group_out")
    with pytest.raises(InputError, match=r"of at least two groups; got 1 group"):
        make_folds(labels, np.full(12, "a"), "leave_one_group_out")
    with pytest.raises(
        InputError, match=r"cross_validation=5 expected enough groups of the classes for 5 folds; only 3"
    ):
        make_folds(labels, np.repeat(["a", "b", "c"], 4), 5)


def table(x, y, groups, fold, protocol):
    labels = SplitLabels(
        train=y[fold.train], test=y[fold.test], train_groups=groups[fold.train], test_groups=groups[fold.test]
    )
    features = {
        "ours": Features(x[fold.train], x[fold.test]),
        "noise": Features(x[fold.train] * 0 + 1e-3, x[fold.test] * 0 + 1e-3),
    }
    return evaluate(features, labels, protocol, describe=False)


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(0)
    y, groups = np.tile([0, 1], 60), np.repeat(PEOPLE, 20)
    x = rng.normal(size=(120, 4)) + y[:, None] * 1.0
    protocol = EvaluationProtocol(
        fractions=(1.0, 0.2), draws=2, probes=("linear",), c_grid=(1.0,), metrics=("accuracy",), bootstrap=100,
        cross_validation="leave_one_group_out",
    )  # fmt: skip
    folds = make_folds(y, groups, "leave_one_group_out")
    tables = [table(x, y, groups, fold, protocol) for fold in folds]
    return tables, over_folds(tables, [fold.info for fold in folds], notes=["Said before."])


def test_mean_and_spread_are_those_of_the_folds(crossed):
    tables, joined = crossed
    for fraction in (1.0, 0.2):
        row = joined.row("ours", "linear", fraction)
        each = [one.row("ours", "linear", fraction).mean for one in tables]
        assert row.values == tuple(each)
        assert row.mean == pytest.approx(np.mean(each))
        assert row.spread == pytest.approx(np.std(each, ddof=1))
        assert row.spread_of == "standard deviation over 6 folds"
        assert not row.bootstrapped
    assert joined.row("ours", "linear", 1.0).n_labels == 100


def test_what_is_said(crossed, tmp_path):
    _, joined = crossed
    assert joined.notes[0] == "Said before."
    assert (
        "Cross-validation of 6 folds, each with 20 rows, and 6 groups in all; every row is held out once."
        in joined.notes
    )
    assert any(note.startswith("There are 6 groups only") for note in joined.notes)
    assert joined.compare("ours", "noise")[0].beats
    view = fold_view(joined)
    assert view.title == "accuracy of every fold, linear probe, 100 %"
    assert list(view.rows) == list(PEOPLE)
    assert view.rows["p0"][0].value == "20"
    assert view.rows["p0"][1].best
    assert "| p5 | 20 |" in joined.to_markdown()
    assert "<th>p5</th>" in joined._repr_html_()
    joined.save(tmp_path / "a.json")
    assert Results.load(tmp_path / "a.json") == replace(
        joined, rows=tuple(replace(r, values=tuple(float(f"{v:.6g}") for v in r.values)) for r in joined.rows)
    )
    assert json.loads((tmp_path / "a.json").read_text())["folds"][0] == {"name": "p0", "groups": ["p0"], "n_rows": 20}


def test_a_metric_that_is_undefined_in_a_fold_is_left_out(crossed):
    tables, joined = crossed
    rows = tuple(replace(row, mean=float("nan")) for row in tables[0].rows)
    found = over_folds([replace(tables[0], rows=rows), *tables[1:]], joined.folds)
    each = [one.row("ours", "linear", 1.0).mean for one in tables[1:]]
    assert found.row("ours", "linear", 1.0).mean == pytest.approx(np.mean(each))
    assert "A metric is undefined in p0, and left out of its mean." in found.notes


def test_tables_that_do_not_fit_are_refused(crossed):
    tables, joined = crossed
    with pytest.raises(InputError, match="a cross-validation expected a table for each of at least two folds; got 1"):
        over_folds(tables[:1], joined.folds[:1])
    with pytest.raises(InputError, match="a cross-validation expected the same features in every fold"):
        over_folds([tables[0], tables[1].restricted(["ours"])], joined.folds[:2])


def test_the_hash_of_a_protocol_without_folds_is_that_of_before():
    assert EvaluationProtocol().hash() == EvaluationProtocol(cross_validation=None).hash()
    assert EvaluationProtocol().hash() != EvaluationProtocol(cross_validation=5).hash()
