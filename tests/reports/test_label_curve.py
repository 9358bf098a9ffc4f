from dataclasses import replace

import numpy as np
import pytest

from bam_core.cli.demo import sentence
from bam_core.probes.evaluate import evaluate
from bam_core.probes.inputs import Features, SplitLabels
from bam_core.probes.protocol import EvaluationProtocol
from bam_core.reports.label_curve import label_curve, save_label_curve


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    good = rng.normal(size=(120, 4)) + 4 * y[:, None]
    sets = {
        name: Features(rows[:80], rows[80:])
        for name, rows in {
            "raw features": rng.normal(size=(120, 4)), "untrained encoder": rng.normal(size=(120, 4)), "bam": good,
        }.items()
    }  # fmt: skip
    protocol = EvaluationProtocol(fractions=(1.0, 0.2, 0.05), draws=3, bootstrap=100, metrics=("accuracy",))
    return evaluate(sets, SplitLabels(train=y[:80], test=y[80:], classes=("a", "b")), protocol)


def test_a_line_a_set_of_features(results, tmp_path):
    drawing = label_curve(results)
    assert drawing.uri.startswith("data:image/svg+xml")
    assert "against the number of labels" in drawing.alt
    path = save_label_curve(results, tmp_path / "curve.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_a_model_on_raw_columns_has_no_line_where_it_has_no_neighbours(results, tmp_path):
    without = tuple(row for row in results.rows if (row.features, row.probe) != ("raw features", "linear"))
    assert len(without) < len(results.rows)
    assert save_label_curve(replace(results, rows=without), tmp_path / "curve.png").is_file()


def test_one_number_of_labels_is_no_curve(results, tmp_path):
    one = replace(results, protocol=EvaluationProtocol(fractions=(1.0,)))
    assert label_curve(one) is None
    assert save_label_curve(one, tmp_path / "curve.png") is None
    assert not list(tmp_path.iterdir())


def test_the_demo_ends_with_a_sentence(results):
    ours, untrained = (results.row(name, "linear", 0.2) for name in ("bam", "untrained encoder"))
    assert sentence(results) == (
        f"With 16 labels, accuracy on people never seen before is {ours.mean:.2f} after pretraining without labels and "
        f"{untrained.mean:.2f} without pretraining: better."
    )
    same = replace(results, rows=tuple(replace(row, mean=0.5) for row in results.rows))
    assert sentence(same).endswith("no clear difference.")
