"""Every term that can be had by name keeps what the protocol promises, alone in an objective."""

import pytest
import torch
from torch import nn

from bam_core import ContractError
from bam_core.config.terms import load_term, term_names
from bam_core.looks import Wish
from bam_core.terms import TermOutput
from bam_core.testing import check_term

SMALL = {"projector_hidden": 16, "projector_out": 16}
OPTIONS = {
    "bam": [{}, {"teacher": True}],
    "byol": [SMALL],
    "dino": [{**SMALL, "n_prototypes": 12}],
    "centroid_attraction": [{}, {"teacher": True, "unit": False}],
    "centroid": [{"width": 8, "heads": 2, "depth": 1, "queue_size": 20, "teacher": True}],
    "feature_contrast": [{}, {"teacher": True}],
    "neighbour": [{}, {"queue_size": 20, "teacher": True}],
    "positive": [{"teacher": True}],
    "masked_autoencoder": [{"decoder_width": 16, "normalise": False}],
    "masked_bam": [{"teacher": True}],
    "sigreg": [{"n_directions": 32}],
    "visreg": [{"n_directions": 32}],
    "swav": [{**SMALL, "n_prototypes": 12}],
}


def test_the_terms_that_are_there():
    peers = {"bam", "simclr", "vicreg", "barlow_twins", "byol", "dino", "swav"}
    added = {"decorrelation", "koleo", "uniformity", "positive", "centroid_attraction", "singular_values", "brownian"}
    further = {"supcon", "neighbour", "centroid", "feature_contrast", "sigreg", "visreg"}
    assert {*peers, *added, *further} <= set(term_names())


@pytest.mark.parametrize(("name", "options"), [(n, o) for n in term_names() for o in OPTIONS.get(n, [{}])])
def test_it_keeps_its_promises(name, options):
    check_term(load_term(name), **options)


class Broken(nn.Module):
    """Breaks one rule."""

    def __init__(self, *, how: str = "") -> None:
        super().__init__()
        self.how = how
        self.heads = {"no word": nn.Identity()} if how == "head" else {}

    def wishes(self, drawn, encoder):
        return {
            "none": [],
            "view": [Wish(9)],
            "teacher": [Wish(0, "teacher")],
            "stranger": [Wish(0, head="stranger")],
            "keep": [Wish(0, keep=torch.zeros(2, 2, dtype=torch.long))],
        }.get(self.how, [Wish(0), Wish(1)])

    def forward(self, looks, drawn, fraction):
        loss = (looks[0].projections - looks[1].projections).square().mean()
        if self.how == "number":
            return loss
        if self.how == "constant":
            return TermOutput(torch.zeros(()))
        return TermOutput(loss, {"graph": loss} if self.how == "graph" else {})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("none", r"wishes are for views that were drawn.*\[\]"),
        ("view", "view 9 of 2"),
        ("teacher", "none for the student, who is to learn"),
        ("stranger", "a wish for the head stranger, which nobody brings"),
        ("keep", "`keep` without tokens"),
        ("head", "heads are modules by name"),
        ("number", "it returns a `TermOutput`.*a Tensor"),
        ("constant", r"it returns a `TermOutput`.*Here: 0\.0"),
        ("graph", "graph holds on to the graph; detach it"),
    ],
)
def test_a_broken_rule_is_named(how, said):
    with pytest.raises(ContractError, match=said):
        check_term(Broken, how=how)
