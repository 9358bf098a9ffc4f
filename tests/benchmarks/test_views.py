"""Contenders make what we make: the same shapes, and the same share of what is changed, masked and amplified."""

import json

import numpy as np
import pytest
import torch

from bam_core import InputError
from bam_core.benchmarks.views import LOOP, OURS, benchmark_views, races
from bam_core.cli import main

DOMAINS = ["audio", "ecg", "image", "tabular", "timeseries"]


def tensors(views):
    """Every view as one array of numbers, (b, ...)."""
    made = []
    for view in views:
        if isinstance(view, dict):
            view = view.get("signal", view.get("numeric"))
        elif isinstance(view, list):
            view = np.stack([row[0] for row in view])
        made.append(np.asarray(view, dtype=np.float64))
    return made


def moments(make, times):
    """Sizes of the views, and averages over many of them of what all changes leave traces in."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [tensors(make()) for _ in range(times)]
    found = [
        [(x == 0).mean(), np.abs(x).mean(), x.reshape(len(x), -1).std(axis=1).mean()] for views in drawn for x in views
    ]
    return [(len(x), x[0].size) for x in drawn[0]], np.mean(found, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("domain", DOMAINS)
def test_contenders_do_the_same_work(domain):
    for race in races([domain])[domain]:
        times = max(3, 1280 // (race.n_samples * race.n_views))
        sizes, expected = moments(race.ours, times)
        assert {n for n, _ in sizes} == {race.n_samples}
        assert len(sizes) == race.n_views
        for name, make in race.others.items():
            other, got = moments(make, times)
            assert other == sizes, name
            np.testing.assert_allclose(got, expected, rtol=0.05, atol=0.02, err_msg=name)


def test_all_domains_have_a_race():
    assert sorted(races()) == DOMAINS
    with pytest.raises(InputError, match=r"no views to measure for 'ecgs'; did you mean 'ecg'\? Known: audio, ecg"):
        races(["ecgs"])


def test_a_table_of_ratios(capsys, tmp_path):
    assert main(["bench", "views", "--only", "tabular", "--rounds", "2", "--json", str(tmp_path / "x.json")]) == 0
    table = capsys.readouterr().out
    assert "**tabular**: 1024 rows" in table
    assert "2 rounds" in table
    rates = json.loads((tmp_path / "x.json").read_text())["rates"]
    assert [rate["contender"] for rate in rates] == [OURS, LOOP]
    assert rates[0]["ratio"] == [1.0, 1.0, 1.0]
    assert rates[1]["ratio"][0] > 0


def test_rates_and_ratios_are_of_the_same_round(monkeypatch):
    from bam_core.benchmarks import views
    from bam_core.benchmarks.timing import Timing

    seconds = iter([9, 9, 1, 4, 2, 4])  # the first turn warms up
    monkeypatch.setattr(views, "measure", lambda make, patience: Timing(*([next(seconds)] * 2), 0.0))
    monkeypatch.setattr(views, "races", lambda only: {"x": [views.Race("w", 2, 10, list, {"them": list})]})
    ours, theirs = benchmark_views(rounds=2).rates
    assert ours.per_second.median == pytest.approx((20 + 10) / 2)
    assert theirs.per_second.median == 5
    assert (theirs.ratio.low, theirs.ratio.high) == (2.5, 3.5)
