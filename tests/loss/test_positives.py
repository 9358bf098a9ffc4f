"""A weight on the positives: what it is at both ends, its diagnostics, and what is refused."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from bam_core import BAMLoss, BAMObjective, InputError, Views, bam_loss
from bam_core.loss.positives import uniform_loss
from bam_core.loss.row_layout import ViewLayout

METHODS = ["dense", "stored", "streaming"]


def rows(n, d=5, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_of_one_is_nt_xent(method):
    """Loss and gradient of lightly's NT-Xent, which shares nothing with bam_core."""
    nt_xent = pytest.importorskip("lightly.loss").NTXentLoss(temperature=0.2)
    ours, theirs = rows(24).requires_grad_(), rows(24).requires_grad_()
    out = bam_loss(ours, temperature=0.2, positive_weight=1.0, method=method)
    expected = nt_xent(*theirs.chunk(2))
    (out.loss + expected).backward()
    assert out.loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-10, atol=1e-14)
    assert out.target_entropy.item() == pytest.approx(0, abs=1e-12)  # a single positive
    assert out.kl.item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_of_one_with_a_teacher_is_a_classification_of_the_samples(method):
    """One attended view, three students of it: each finds the teacher's view of its sample among all samples."""
    student, teacher = rows(4 * 6), rows(4 * 6, seed=1)
    out = bam_loss(student, teacher, n_views=4, n_global=1, positive_weight=1.0, method=method)
    scores = normalize(student[6:], dim=1) @ normalize(teacher[:6], dim=1).T
    assert out.loss.item() == pytest.approx(cross_entropy(scores / 0.1, torch.arange(6).repeat(3)).item(), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_linear_in_the_weight(method):
    def loss(w):
        return bam_loss(rows(24), n_views=3, n_global=2, positive_weight=w, method=method).loss.item()

    assert loss(0.3) == pytest.approx(0.7 * loss(1e-12) + 0.3 * loss(1.0), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_top_k_counts_columns_of_the_balanced_part(method):
    """Of 10 columns that are no positives all are kept with k = 10; with k = 1 positives keep their weight."""
    whole = bam_loss(rows(12), positive_weight=0.5, method=method)
    assert torch.allclose(torch.stack(bam_loss(rows(12), positive_weight=0.5, top_k=10, method=method)).detach(),
                          torch.stack(whole).detach())  # fmt: skip
    one = bam_loss(rows(12), positive_weight=0.5, top_k=1, method=method)
    assert one.target_entropy.item() == pytest.approx(math.log(2))  # half on one column, half on the positive


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_views", "n_global", "n_target"), [(2, 2, 2), (4, 2, 2), (3, 3, 1), (4, 3, 2), (2, 1, 1)])
def test_collapse_ends_at_the_uniform_loss(n_views, n_global, n_target, method):
    """All scores equal: target and attention are known in closed form. View 0, if attended alone, has no positive."""
    b, w = 4, 0.25
    options = {"n_views": n_views, "n_global": n_global, "n_target": n_target}
    out = bam_loss(torch.ones(n_views * b, 3, dtype=torch.float64), positive_weight=w, method=method, **options)
    pairs = [(v, a) for a in range(n_global) for v in range(n_views) if v != a]
    attended = {v: n_target * b - (v < n_target) for v, _ in pairs}
    entropies = []
    for v, _ in pairs:
        k = len({m for m in range(n_target) if m != v})
        share = w if k else 0.0
        target = [share / max(k, 1)] * k + [(1 - share) / (n_target * (b - 1))] * (n_target * (b - 1))
        entropies.append(-sum(p * math.log(p) for p in target))
    uniform = sum(math.log(attended[v]) for v, _ in pairs) / len(pairs)
    assert out.loss.item() == pytest.approx(uniform, rel=1e-9)
    assert out.target_entropy.item() == pytest.approx(sum(entropies) / len(pairs), rel=1e-9)
    assert out.kl.item() == pytest.approx(uniform - sum(entropies) / len(pairs), rel=1e-9)
    layout = ViewLayout(n_views, n_global, n_target, b)
    assert uniform_loss(layout, positive_weight=w, mask_positives=True) == pytest.approx(uniform)


@pytest.mark.parametrize(
    ("options", "n_columns"),
    [
        ({"positive_weight": 0.0}, 14),
        ({"mask_positives": False}, 16),
        ({"positive_weight": 0.5}, 15),
        ({"positive_weight": 0.0, "n_target": 1}, 7),
    ],
)
def test_the_objective_reports_the_uniform_loss(options, n_columns):
    objective = BAMObjective(torch.nn.Linear(3, 4), lambda x: [x, x + 0.1], **options)
    assert objective(rows(8, 3, dtype=torch.float32)).uniform_loss.item() == pytest.approx(math.log(n_columns))


def test_the_objective_and_the_module_pass_the_weight_on():
    z = rows(16)
    objective = BAMObjective(
        torch.nn.Identity(),
        lambda x: Views([x, x.cos()], [x.sin()]),
        projector=torch.nn.Identity(),
        positive_weight=0.4,
    )
    views = torch.cat([z, z.cos(), z.sin()])
    expected = bam_loss(views, n_views=3, n_global=2, positive_weight=0.4)
    assert objective(z).loss.item() == pytest.approx(expected.loss.item(), rel=1e-12)
    assert BAMLoss(n_views=3, n_global=2, positive_weight=0.4)(views).loss.item() == expected.loss.item()


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (8, {"positive_weight": -0.1}, r"positive_weight in \[0, 1\]; got -0.1"),
        (8, {"positive_weight": 1.5}, r"positive_weight in \[0, 1\]; got 1.5"),
        (8, {"positive_weight": math.nan}, r"positive_weight in \[0, 1\]; got nan"),
        (
            8,
            {"positive_weight": 0.5, "mask_positives": False},
            "mask_positives=True with positive_weight=0.5; got False",
        ),
        (8, {"positive_weight": 0.5, "n_views": 1}, "at least two views with positive_weight=0.5; got one"),
        (2, {"positive_weight": 1.0}, "at least two samples in the global batch; got one"),
    ],
)
def test_what_is_refused(n, options, message):
    with pytest.raises(InputError, match=message):
        bam_loss(rows(n), **options)


@pytest.mark.parametrize("options", [{"positive_weight": 2.0}, {"positive_weight": 0.5, "mask_positives": False}])
def test_an_objective_refuses_before_the_first_batch(options):
    with pytest.raises(InputError, match="positive_weight"):
        BAMObjective(torch.nn.Linear(3, 4), lambda x: [x, x], **options)
