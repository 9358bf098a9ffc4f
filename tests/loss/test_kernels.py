"""The Triton kernels in Triton's interpreter, against the forms in torch; and when they are not taken."""

import logging
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from bam_core.loss import kernel_check
from bam_core.loss.row_layout import ViewLayout

CHECK = """
import torch
from bam_core.loss.attention import unit_rows
from bam_core.loss.kernels import kernel_loss
from bam_core.loss.row_layout import check_layout, gather_columns
from bam_core.loss.streaming import blockwise_loss

CASES = [
    {}, {"teacher": True}, {"views": (4, 2, 2)}, {"views": (3, 2, 1), "teacher": True}, {"weight": 0.5},
    {"views": (4, 3, 2), "weight": 0.3, "teacher": True}, {"views": (1, 1, 1)}, {"mask": False}, {"iterations": 0},
    {"epsilon": 0.005},
]
for case in CASES:
    n_views, n_global, n_target = case.get("views", (2, 2, 2))
    mask, teacher = case.get("mask", True), None
    layout = check_layout(
        n_views * 21, n_views=n_views, n_global=n_global, n_target=n_target, mask_positives=mask
    )
    draw = torch.Generator().manual_seed(0)
    z, t = (unit_rows(torch.randn(n_views * 21, 20, generator=draw).double()) for _ in range(2))
    teacher = t if case.get("teacher") else None
    settings = {
        "temperature": 0.1, "epsilon": case.get("epsilon", 0.025), "iterations": case.get("iterations", 3),
        "mask_positives": mask, "positive_weight": case.get("weight", 0.0),
    }
    columns = gather_columns(z if teacher is None else teacher, layout)
    expected = blockwise_loss(z, columns, teacher, layout, top_k=None, room=0, **settings)
    for precision, of_loss, of_gradient in ((torch.float32, 1e-6, 1e-5), (torch.float16, 1e-4, 2e-3)):
        found = kernel_loss(
            z.float(), columns.float(), None if teacher is None else t.float(), layout, precision=precision, **settings
        )
        small = 10 if case.get("epsilon") else 1  # errors of scores are divided by epsilon
        for name, value, wanted in zip(found._fields, found, expected):
            if wanted is None:
                assert value is None, (case, name)
                continue
            bound = of_gradient if name.endswith("grad") else of_loss if name == "loss" else 50 * of_loss
            error = float((value.double() - wanted).norm() / wanted.norm().clamp_min(1))
            if name.endswith("grad"):
                error = float((value.double() - wanted).norm() / wanted.norm())
            assert error < bound * small, (case, precision, name, error)
print("all as they should be")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with torch's wheels for GPUs")
def test_the_kernels_give_what_torch_gives():
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all as they should be"


def test_they_are_not_taken_without_a_gpu():
    assert not kernel_check.kernels_serve(torch.ones(4, 8), ViewLayout(2, 2, 2, 2))


def test_what_goes_wrong_is_said_and_torch_does_the_work(monkeypatch, caplog):
    kernel_check._agree.cache_clear()
    monkeypatch.setattr(kernel_check, "find_spec", lambda name: None)
    assert not kernel_check._agree(torch.device("cpu"))
    kernel_check._agree.cache_clear()
    monkeypatch.setattr(kernel_check, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "bam_core.loss.kernels", None)
    with caplog.at_level(logging.WARNING):
        assert not kernel_check._agree(torch.device("cpu"))
    assert "bam_loss streams without Triton on cpu: ModuleNotFoundError" in caplog.text
    kernel_check._agree.cache_clear()
