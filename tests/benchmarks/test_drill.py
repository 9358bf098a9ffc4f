import json

import pandas as pd
import pytest

from bam_core.benchmarks import drill as module
from bam_core.benchmarks.drill import KINDS, Drill, drill
from bam_core.benchmarks.drill_findings import damage, difference, other_table
from bam_core.cli import main


@pytest.mark.slow
def test_a_short_drill_loses_nothing():
    """`bam bench drill` is the same with 100 kills; docs/scaling.md has its figure."""
    said = []
    found = drill(kills=5, seed=1, say=said.append)
    assert found.lost == []
    assert found.kills == dict(zip(KINDS, (1, 1, 1, 1, 1), strict=True))
    assert said[0] == "training: 1 of 1"


def test_what_was_lost_is_told_and_is_an_error(monkeypatch, tmp_path, capsys):
    lost = Drill(0, {"cpu": "x"}, {"training": 3}, ["training, kill 2: step=00000002.ckpt is damaged"])
    monkeypatch.setattr(module, "drill", lambda **options: lost)
    assert main(["bench", "drill", "--kills", "3", "--json", str(tmp_path / "drill.json")]) == 1
    assert "LOST: training, kill 2: step=00000002.ckpt is damaged. Seed 0, 0 s; cpu x." in capsys.readouterr().out
    assert json.loads((tmp_path / "drill.json").read_text())["kills"] == {"training": 3}
    lost.lost.clear()
    assert main(["bench", "drill"]) == 0
    assert "All 3 survived. Seed 0" in capsys.readouterr().out


def test_differences_and_damage_are_seen(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
    assert difference(tmp_path / "a", tmp_path / "b") == "there is no checkpoint"
    (tmp_path / "a" / "checkpoints" / "step=00000001.ckpt").write_bytes(b"half")
    assert "cannot be read" in damage(tmp_path / "a")
    (tmp_path / "b" / "encoder").mkdir()
    assert damage(tmp_path / "b")
    pd.DataFrame({"e0": [1.0]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"e0": [1.0 + 1e-15]}).to_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    one, two, broken = (tmp_path / f"{name}.parquet" for name in "abc")
    assert other_table(one, one) == ""
    assert other_table(two, one) == "b.parquet differs from that of a call left alone"
    assert "c.parquet cannot be read" in other_table(broken, one)
