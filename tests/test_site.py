"""The site builds from the pages and docstrings without a warning, and its reference has every public name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bam_core

DOCS = Path(__file__).parents[1] / "docs"


def test_the_reference_has_every_public_name():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"auto\w+:: bam_core\.(\w+)", page)) == sorted(bam_core.__all__)


def test_the_quickstart_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    block = re.search(r"```python\n(.*?)```", (DOCS / "quickstart.md").read_text(encoding="utf-8"), re.S)[1]
    found = {}
    short = block.replace("train__epochs=20", 'train__epochs=1, evaluate={"baselines": []}')
    assert short != block
    exec(short, found)
    assert (tmp_path / "runs/first/report.html").exists()
    assert found["figure"].axes


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", DOCS, tmp_path / "site"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert 'id="bam_core.bam_loss"' in reference
    options = (tmp_path / "site" / "options" / "ecg.html").read_text(encoding="utf-8")
    assert "sampling_rate_hz" in options
    for page in (tmp_path / "site" / "options").glob("*.html"):
        assert "as there" not in page.read_text(encoding="utf-8"), page
