"""Every installed objective keeps what the protocol promises."""

from importlib.metadata import entry_points

import pytest

from bam_core.config.registry import load_objective
from bam_core.testing import check_objective

OPTIONS = {"bam": [{}, {"momentum": 0.9, "top_k": 4}, {"n_target": 1, "projector_standardize": False}]}
NAMES = sorted({entry.name for entry in entry_points(group="bam_ssl.objectives")})


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in NAMES for options in OPTIONS.get(name, [{}])]
)
def test_it_keeps_its_promises(name, options):
    check_objective(load_objective(name), **options)
