import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_options import loss_options
from reference import reference_bam

from bam_core import BAMLoss, BAMObjective, CollapseWarning, InputError, bam_loss


def rows(n, d=5, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@st.composite
def problems(draw):
    options = draw(loss_options([0.05, 0.1, 0.3], [None, 1, 2, 100]))
    return options["n_views"] * draw(st.integers(2, 5)), options, draw(st.booleans()), draw(st.integers(0, 99))


@settings(deadline=None, max_examples=60)
@given(problems())
def test_equals_the_independent_reference(problem):
    n, options, with_teacher, seed = problem
    student, teacher = rows(n, seed=seed), rows(n, seed=seed + 100) if with_teacher else None
    expected = reference_bam(student.numpy(), None if teacher is None else teacher.numpy(), **options)
    assert tuple(v.item() for v in bam_loss(student, teacher, **options)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "options",
    [{}, {"n_views": 4, "n_global": 2}, {"n_views": 1}, {"mask_positives": False}, {"n_target": 1}, {"top_k": 3}],
)
@pytest.mark.parametrize("with_teacher", [False, True])
def test_gradcheck(options, with_teacher):
    """Targets carry no gradient, so they are held still: the teacher's by nature, the student's by a copy."""
    student, teacher = rows(8), rows(8, seed=1)
    if with_teacher:
        assert torch.autograd.gradcheck(lambda z: bam_loss(z, teacher, **options).loss, student.requires_grad_())
        return
    z = student.clone().requires_grad_()
    bam_loss(z, **options).loss.backward()
    assert torch.allclose(z.grad, _gradient_with_fixed_targets(student, options), atol=1e-6)


def _gradient_with_fixed_targets(z, options, h=1e-6):
    """Central differences of the cross-entropy, with the targets of the unmoved rows."""
    from bam_core.loss.balancing import sinkhorn
    from bam_core.loss.definition import check_layout, gather_columns, keep_top_k, matched_targets, sample_mask

    mask_positives = options.get("mask_positives", True)
    n_views = options.get("n_views", 2)
    layout = check_layout(
        len(z), n_views=n_views, n_global=options.get("n_global"), n_target=options.get("n_target"),
        mask_positives=mask_positives,
    )  # fmt: skip
    mask = (
        sample_mask(layout, z.device)
        if mask_positives
        else torch.zeros(len(z), layout.n_target * layout.batch_size).bool()
    )

    def scores(z):
        unit = torch.nn.functional.normalize(z, dim=1)
        return unit @ gather_columns(unit, layout).T

    plan = sinkhorn(scores(z), mask=mask).plan[: layout.n_global * layout.batch_size]
    targets = plan.view(layout.n_global, layout.batch_size, -1)
    if options.get("top_k"):
        targets = keep_top_k(targets, options["top_k"])
    weights = matched_targets(targets, n_views).flatten(0, 1)

    def loss(z):
        log_q = (scores(z) / 0.1).masked_fill(mask, -torch.inf).log_softmax(1).masked_fill(mask, 0.0)
        return -(weights * log_q).sum() / (layout.n_pairs * layout.batch_size)

    gradient = torch.zeros_like(z)
    for index in range(z.numel()):
        step = torch.zeros_like(z).view(-1).index_fill(0, torch.tensor(index), h).view_as(z)
        gradient.view(-1)[index] = (loss(z + step) - loss(z - step)) / (2 * h)
    return gradient


@pytest.mark.parametrize("temperature", [0.1, 0.3])
def test_epsilon_is_a_quarter_of_the_temperature_by_default(temperature):
    stated = bam_loss(rows(8), temperature=temperature, epsilon=temperature / 4)
    assert bam_loss(rows(8), temperature=temperature).loss == stated.loss
    assert BAMLoss(temperature=temperature)(rows(8)).loss == stated.loss
    assert BAMObjective(torch.nn.Identity(), list, temperature=temperature).epsilon == temperature / 4


def test_only_directions_matter():
    z = rows(8)
    lengths = torch.linspace(0.1, 10, 8, dtype=torch.float64)[:, None]
    assert bam_loss(z).loss.item() == pytest.approx(bam_loss(z * lengths).loss.item())


def test_order_of_samples_does_not_matter():
    z, order = rows(12), torch.randperm(6)
    shuffled = torch.cat([z[:6][order], z[6:][order]])
    assert bam_loss(z).loss.item() == pytest.approx(bam_loss(shuffled).loss.item())


def test_rotations_do_not_matter():
    z = rows(12)
    rotation = torch.linalg.qr(rows(5, seed=7)).Q
    assert bam_loss(z).loss.item() == pytest.approx(bam_loss(z @ rotation).loss.item())


def test_collapse_has_no_kl_and_the_uniform_loss():
    out = bam_loss(torch.ones(16, 4, dtype=torch.float64))
    assert out.kl.item() == pytest.approx(0, abs=1e-9)
    assert out.loss.item() == pytest.approx(math.log(16 - 2))


def test_teacher_gets_no_gradient():
    teacher = rows(8, seed=1).requires_grad_()
    bam_loss(rows(8).requires_grad_(), teacher).loss.backward()
    assert teacher.grad is None


def test_diagnostics_are_detached():
    out = bam_loss(rows(8).requires_grad_())
    assert out.loss.requires_grad
    assert not any(value.requires_grad for value in out[1:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype):
    z = rows(64, d=32, dtype=torch.float32)
    expected = bam_loss(z)
    with torch.autocast("cpu", dtype=dtype):
        mixed = bam_loss(z)
    assert mixed.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    half = bam_loss(z.to(dtype))
    assert half.loss.dtype == torch.float32
    assert half.loss.item() == pytest.approx(expected.loss.item(), rel=2e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_projector_under_autocast_changes_the_loss_little(dtype):
    projector = torch.nn.Linear(32, 32)
    x = rows(64, d=32, dtype=torch.float32)
    expected = bam_loss(projector(x)).loss
    with torch.autocast("cpu", dtype=dtype):
        mixed = bam_loss(projector(x).float()).loss
    assert mixed.item() == pytest.approx(expected.item(), rel=1e-3)


def test_sharp_targets_stay_finite_in_half_precision():
    z = torch.nn.functional.normalize(rows(64, d=2, dtype=torch.float32)).half().requires_grad_()
    out = bam_loss(z, epsilon=0.005, temperature=0.01)
    out.loss.backward()
    assert out.loss.isfinite()
    assert z.grad.isfinite().all()


def test_the_module_is_the_function():
    z = rows(12)
    module = BAMLoss(n_views=3, n_global=2, temperature=0.2)
    assert module(z).loss == bam_loss(z, n_views=3, n_global=2, temperature=0.2).loss
    assert "temperature=0.2" in repr(module)


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (7, {}, r"n_views=2; got 7 rows: 7 is not divisible by 2"),
        (0, {}, "got 0 rows"),
        (2, {}, "at least two samples in the global batch; got one"),
        (1, {"n_views": 1, "mask_positives": False}, "at least two samples"),
        (8, {"n_global": 3}, "n_target <= n_global <= n_views"),
        (8, {"n_target": 0}, "n_target=0"),
        (8, {"epsilon": 0.0}, "epsilon > 0; got 0"),
        (8, {"epsilon": float("nan")}, "epsilon > 0; got nan"),
        (8, {"temperature": -1.0}, "temperature > 0; got -1"),
        (8, {"top_k": 0}, "top_k >= 1"),
        (8, {"iterations": -1}, "iterations >= 0"),
    ],
)
def test_wrong_settings(n, options, message):
    with pytest.raises(InputError, match=message):
        bam_loss(rows(n), **options)


def test_rows_that_are_not_finite_are_counted():
    z = rows(8)
    z[2, 0] = float("nan")
    z[5, 1] = float("inf")
    with pytest.raises(InputError, match="student embeddings: 2 of 8 rows hold NaN or infinity"):
        bam_loss(z)
    with pytest.raises(InputError, match="teacher embeddings: 2 of 8"):
        bam_loss(rows(8), z)


def test_zero_vectors_are_counted():
    z = rows(8)
    z[3] = 0
    with pytest.raises(InputError, match="1 of 8 rows are zero vectors"):
        bam_loss(z)


def test_teacher_of_another_size():
    with pytest.raises(InputError, match="as many teacher as student rows; got 6 and 8"):
        bam_loss(rows(8), rows(6))


def test_blunt_targets_warn_of_collapse():
    with pytest.warns(CollapseWarning, match="all embeddings collapse to one point"):
        bam_loss(rows(8), epsilon=0.1, temperature=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bam_loss(rows(8), epsilon=0.099, temperature=0.1)
