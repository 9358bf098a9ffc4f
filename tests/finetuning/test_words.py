"""The sentence says what the table holds, and no more."""

from dataclasses import replace

import pytest

from bam_core.finetuning.words import verdict


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ((0.9, 0.92, 0.88), "fine-tuned is better by more than the spread"),
        ((0.7, 0.9, 0.5), "no difference can be claimed"),
        ((0.3, 0.31, 0.29), "fine-tuned is worse by more than the spread"),
    ],
)
def test_against_the_best_without_pretraining(results, ours, expected):
    row = next(row for row in results.rows if row.fraction == 0.1 and row.probe == "linear")

    def made(name, values):
        return replace(row, features=name, probe="model", mean=sum(values) / 3, values=values, n_labels=30)

    rows = (
        made("raw features", (0.5, 0.5, 0.5)),
        made("from scratch", (0.7, 0.7, 0.7)),
        made("linear probe", (0.95, 0.95, 0.95)),
        made("fine-tuned", ours),
    )
    text = verdict(replace(results, rows=rows))
    assert text.startswith(
        f"With 30 labels (10 %), macro-F1 is {sum(ours) / 3:.3f} fine-tuned; the best that needs no "
    )
    assert f"pretraining, from scratch, has 0.700: {expected} (±" in text
