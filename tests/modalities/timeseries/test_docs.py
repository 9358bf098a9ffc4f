"""What docs/timeseries.md says: readers, views with their defaults, encoders with their sizes, and the code in it."""

import re
from pathlib import Path

import numpy as np
import pytest

from bam_core.cli import main
from modalities.timeseries import MODALITY
from modalities.timeseries.views import LABEL_RISKS, PRESETS, SeriesViews

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "timeseries.md").read_text(encoding="utf-8")


def test_every_reader_view_and_encoder_is_described():
    for name in (*MODALITY.readers, *MODALITY.encoders, *LABEL_RISKS):
        assert f"`{name}`" in TEXT, name
    assert (DOCS / "images" / "timeseries_views.png").is_file()


def test_defaults_of_views():
    defaults = SeriesViews.__init__.__kwdefaults__
    described = dict(re.findall(r"^\| `(\w+)`(?:, `\w+`)? \| ([^|]+) \|", TEXT.split("## Views")[1], re.MULTILINE))
    for name in ("scale", "magnitude_warp", "jitter", "mask", "channel_drop"):
        assert described[name] == "{:g} to {:g}".format(*defaults[name])
    local = defaults["local_window"]
    assert described["window"] == f"auto, {local[0]:g} to {local[1]:g}"
    assert [described[name] for name in ("resize", "time_warp")] == ["auto", "auto"]
    assert [defaults[name] for name in ("window", "resize", "time_warp")] == ["auto"] * 3
    assert (defaults["permutation"], defaults["overlap"], defaults["p"]) == (None, None, 0.5)
    for preset in PRESETS.values():
        assert "{:g} to {:g}".format(*preset["window"]) in TEXT


@pytest.mark.parametrize("name", MODALITY.encoders)
def test_sizes_of_encoders(name):
    width, count = re.search(rf"^\| `{name}` \|[^|]* (\d+) \| ([\d,]+) \|", TEXT, re.MULTILINE).groups()
    network = MODALITY.encoders[name](in_channels=1, **({"length": 500} if name == "rocket" else {}))
    assert sum(p.numel() for p in network.parameters()) == int(count.replace(",", ""))
    assert network.context == (512 if name == "patch_transformer" else None)
    assert int(width) == {"dilated": 320}.get(name, 256)


@pytest.mark.slow
def test_the_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", "smoke/timeseries", "run=runs/my_run", "train.epochs=1"]) == 0
    rng = np.random.default_rng(0)
    names = {"new": [rng.normal(size=(2, t)) for t in (130, 220, 175)]}
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1], names)
    assert names["vectors"].shape == (3, 32)
    assert names["windows"].embeddings.shape == (3, 4, 32)
    assert names["windows"].steps.tolist()[0] == [100, 80, 30, 0]
