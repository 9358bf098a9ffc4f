"""my_term keeps the promises of its protocol, and is what its formula says."""

from pathlib import Path

import pytest
import torch
from bam_core.config.terms import load_term
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.testing import check_term
from bam_core.views import Drawn

MAKE = load_term(f"{Path(__file__).with_name('my_term.py')}:MyTerm")


def test_it_keeps_its_promises() -> None:
    """Every rule of bam_core.terms.Term, and those of an objective that is made of it."""
    check_term(MAKE)


def test_its_formula() -> None:
    """Opposite unit vectors lie 2 apart."""
    views = [torch.eye(4), -torch.eye(4)]
    looks = [Look(Wish(k), rows, rows) for k, rows in enumerate(views)]
    assert MAKE(power=3.0)(looks, Drawn(views, 2, 2), 0.0).loss.item() == pytest.approx(8.0)


def test_a_wrong_option() -> None:
    """The message says what was expected."""
    with pytest.raises(InputError, match=r"power > 0; got 0\.0"):
        MAKE(power=0.0)
