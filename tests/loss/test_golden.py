"""Thirteen values that two independent implementations agree on, to all printed digits."""

import pytest
import torch

from bam_core import bam_loss

D = 8


def student(rows):
    return torch.sin(1.7 * (1 + torch.arange(rows * D, dtype=torch.float64))).view(rows, D)


def teacher(rows):
    return torch.cos(0.9 * (1 + torch.arange(rows * D, dtype=torch.float64))).view(rows, D)


@pytest.mark.parametrize(
    ("with_teacher", "settings", "loss", "gradient_norm"),
    [
        (False, {}, 15.3277272328, 0.8921244424),
        (False, {"iterations": 50}, 15.3283078827, 0.8912732386),
        (True, {}, 3.0023940139, 1.5173924133),
        (False, {"mask_positives": False}, 15.5123003566, 1.4158250565),
        (False, {"n_views": 4, "n_global": 2}, 10.4704308359, 0.9991650890),
        (True, {"n_views": 4, "n_global": 2}, 2.0777984825, 0.8243474371),
        (True, {"top_k": 4}, 3.0023687247, 1.5198909243),
        (False, {"epsilon": 0.1, "temperature": 0.2}, 8.0925634356, 0.4146556154),
        (False, {"positive_weight": 0.5}, 14.9734562678, 1.6042547778),
        (False, {"positive_weight": 1.0}, 14.6191847045, 2.4494476096),
        (True, {"positive_weight": 0.5}, 3.0774591447, 1.4560472083),
        (False, {"positive_weight": 0.5, "n_views": 4, "n_global": 2}, 11.5184056668, 0.8162450269),
        (True, {"positive_weight": 0.2, "n_views": 4, "n_global": 2}, 2.3339655363, 0.8043928067),
    ],
)
@pytest.mark.parametrize("method", ["dense", "stored", "streaming"])
def test_golden_value(with_teacher, settings, loss, gradient_norm, method):
    z = student(16).requires_grad_()
    out = bam_loss(z, teacher(16) if with_teacher else None, method=method, **{"epsilon": 0.05, **settings})
    out.loss.backward()
    assert out.loss.item() == pytest.approx(loss, abs=1e-8)
    assert z.grad.norm().item() == pytest.approx(gradient_norm, abs=1e-8)
