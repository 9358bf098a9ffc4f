"""Every installed objective keeps what the protocol promises."""

import pytest

from bam_core.config.recipe import load_recipe
from bam_core.config.registry import load_objective, objective_names
from bam_core.config.shipped_recipes import find_recipe
from bam_core.testing import check_objective

SMALL = {"projector_hidden": 16, "projector_out": 16}
OPTIONS = {
    "bam": [{}, {"momentum": 0.9, "top_k": 4}, {"n_target": 1, "projector_standardize": False}],
    "all4one": [{**SMALL, "queue_size": 64}],
    "masked_autoencoder": [{"decoder_width": 16}],
    "masked_bam": [SMALL, {**SMALL, "momentum": 0.9, "n_masks": 1}],
    "lejepa": [{**SMALL, "n_directions": 32}],
    "msbreg": [SMALL],
    "nnclr": [{**SMALL, "queue_size": 64}],
    "supcon": [SMALL],
    "visreg": [{**SMALL, "n_directions": 32}],
}


def test_the_objectives_that_are_there():
    peers = {"bam", "simclr", "vicreg", "barlow_twins", "byol", "dino", "swav", "jepa"}
    assert {*peers, "supcon", "nnclr", "all4one", "msbreg", "lejepa", "visreg", "masked_autoencoder"} <= set(
        objective_names()
    )


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in objective_names() for options in OPTIONS.get(name, [{}])]
)
def test_it_keeps_its_promises(name, options):
    check_objective(load_objective(name), **options)


@pytest.mark.parametrize("name", objective_names())
def test_a_smoke_recipe_takes_it_by_an_override(name):
    """As docs/methods.md says; those that hide places need the recipe with tokens and one view."""
    recipe = "smoke/timeseries_jepa" if name.startswith(("jepa", "masked")) else "smoke/timeseries"
    resolved = load_recipe(find_recipe(recipe), [f"objective.name={name}"])
    assert resolved.objective.name == name
    assert resolved.needs_labels == (name == "supcon")
