"""Every installed objective keeps what the protocol promises."""

import pytest

from bam_core.config.registry import load_objective, objective_names
from bam_core.testing import check_objective

OPTIONS = {"bam": [{}, {"momentum": 0.9, "top_k": 4}, {"n_target": 1, "projector_standardize": False}]}


def test_the_objectives_that_are_there():
    peers = {"bam", "simclr", "vicreg", "barlow_twins", "byol", "dino", "swav", "jepa"}
    assert {*peers, "supcon", "nnclr", "all4one"} <= set(objective_names())


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in objective_names() for options in OPTIONS.get(name, [{}])]
)
def test_it_keeps_its_promises(name, options):
    check_objective(load_objective(name), **options)
