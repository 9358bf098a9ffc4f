import pytest

from bam_core.cli.files import find_recipe
from bam_core.training.recipe import load_recipe


@pytest.fixture
def smoke():
    """The smoke recipe of ECG with overrides."""
    return lambda *overrides: load_recipe(find_recipe("smoke/ecg"), overrides)
