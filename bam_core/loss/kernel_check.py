"""Whether the Triton kernels of the streaming form can be trusted here: they are tried once, beside torch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from bam_core.loss.products import rounds
from bam_core.loss.row_layout import ViewLayout

_LOGGER = logging.getLogger(__name__)
_WIDEST, _MOST_VIEWS = 256, 16  # of `bam_core.loss.kernels`, which imports Triton
_TOLERANCE = 1e-2  # relative, of the gradient
_WANTED: ContextVar[bool] = ContextVar("_WANTED", default=True)


@contextmanager
def without_kernels() -> Iterator[None]:
    """Inside, torch does the work; for comparisons."""
    token = _WANTED.set(False)
    try:
        yield
    finally:
        _WANTED.reset(token)


def kernels_serve(rows: Tensor, layout: ViewLayout) -> bool:
    """Whether the kernels take such rows, and give on this device what torch gives.

    Args:
        rows: (n, d) unit rows.
        layout: how they divide into views.
    """
    if not (
        _WANTED.get()
        and rounds(rows)
        and rows.shape[1] <= _WIDEST
        and layout.n_views <= _MOST_VIEWS
        and torch.cuda.is_available()
    ):
        return False
    return _agree(rows.device)


@cache
def _agree(device: torch.device) -> bool:
    """Compile and run the kernels on a small problem; say why torch does the work if they cannot be used."""
    if find_spec("triton") is None:
        return False
    from bam_core.loss.attention import unit_rows
    from bam_core.loss.streaming import blockwise_loss

    try:
        from bam_core.loss.kernels import kernel_loss

        z = unit_rows(torch.randn(192, 32, generator=torch.Generator().manual_seed(0))).to(device)
        layout = ViewLayout(2, 2, 2, 96)
        settings: dict[str, Any] = {
            "temperature": 0.1, "epsilon": 0.05, "iterations": 3, "mask_positives": True, "positive_weight": 0.5
        }  # fmt: skip
        with torch.cuda.device(device):
            found = kernel_loss(z, z, None, layout, **settings)
        expected = blockwise_loss(z, z, None, layout, top_k=None, room=0, **settings)
        error = float((found.row_grad - expected.row_grad).norm() / expected.row_grad.norm())
    except Exception as problem:  # whatever a compiler, a driver or an unknown GPU says
        _LOGGER.warning("bam_loss streams without Triton on %s: %s: %s", device, type(problem).__name__, problem)
        return False
    if not error < _TOLERANCE:
        _LOGGER.warning("bam_loss streams without Triton on %s: the gradient is off by %.1e", device, error)
        return False
    return True
