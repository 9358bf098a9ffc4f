from bam_core.config.build import build
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from modalities.timeseries.encoders import Rocket
from modalities.timeseries.views import SeriesViews

RECIPE = ["data.n_series=40", "data.unequal=false", "encoder={name: rocket, d: 8, n_dilations: 2}"]


def test_encoder_and_views_are_shown_as_many_rows_as_are_embedded_at_a_time(monkeypatch):
    shown = []
    monkeypatch.setattr("bam_core.config.build.rows_at_a_time", lambda facts: 5)
    for part in (Rocket, SeriesViews):
        monkeypatch.setattr(part, "calibrate", lambda self, batch: shown.append((type(self), len(batch))))
    build(load_recipe(find_recipe("smoke/timeseries"), RECIPE))
    assert shown == [(Rocket, 5), (SeriesViews, 5)]


def test_the_same_seed_calibrates_alike():
    first, second = (build(load_recipe(find_recipe("smoke/timeseries"), RECIPE)) for _ in range(2))
    assert first.view_fn.alignment == second.view_fn.alignment
    assert (first.encoder.thresholds == second.encoder.thresholds).all()
    assert first.encoder.thresholds.any()
