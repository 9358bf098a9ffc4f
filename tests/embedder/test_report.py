"""The page on a fitted embedder."""

import numpy as np
import pytest
from rows import TINY, rows_of

from bam_core import BAMEmbedder, DataError, InputError


def test_a_page_with_curves_map_and_neighbours(tmp_path):
    rows = [*rows_of("timeseries", 24), np.ones((2, 30))]
    with pytest.warns(UserWarning, match="24: constant"):
        fitted = BAMEmbedder("timeseries", **TINY["timeseries"], steps=3, random_state=0).fit(rows)
    state = np.random.get_state()[1].copy()
    page = fitted.report(tmp_path / "pages" / "mine.html", rows[:24], ["a", "b", None] * 8)
    text = page.read_text(encoding="utf-8")
    for part in ("What is left to learn, kl", "trained encoder, PCA", "untrained encoder, PCA", "constant on every"):
        assert part in text, part
    assert text.count("<svg") + text.count("<img") >= 5
    assert (np.random.get_state()[1] == state).all()
    fitted.save(tmp_path / "saved")
    again = BAMEmbedder.load(tmp_path / "saved").report(tmp_path / "again.html")
    assert "What is left to learn, kl" in again.read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"expected y of shape \(24,\), one for each row; got \(2,\)"):
        fitted.report(page, rows[:24], [0, 1])
    with pytest.raises(DataError, match="at least two classes"):
        fitted.report(page, rows[:24], [0] * 24)
