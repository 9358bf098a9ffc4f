"""Shapes and types of every public function are checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook("bam_core", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _quiet_place(tmp_path_factory, monkeypatch):
    """Caches and trust go to a temporary folder, and no test sees another's random state."""
    monkeypatch.setenv("BAM_CACHE", str(tmp_path_factory.getbasetemp() / "bam-cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    torch.manual_seed(0)
