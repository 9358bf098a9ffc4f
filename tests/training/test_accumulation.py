"""Lightning's gradient accumulation around the module: what counts optimiser steps counts no batches."""

import lightning.pytorch as lightning
import pytest
import torch

from bam_core import BAMObjective, NonFiniteError
from bam_core.config.build import build
from bam_core.config.schema import TrainSettings
from bam_core.training.batches import GlobalBatches, batch_loader
from bam_core.training.module import PretrainModule

pytestmark = pytest.mark.slow

ADVICE = (
    "ignore:.*does not have many workers",
    "ignore:.*isinstance.treespec, LeafSpec",
    "ignore:GPU available but not used",
)


class Record(lightning.Callback):
    """What is in force after every batch."""

    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, module, *args):
        decaying, still = trainer.optimizers[0].param_groups
        student, teacher = (
            torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone()
            for network in (module.objective.student, module.objective.teacher.module)
        )
        if trainer.global_step:
            assert (still["lr"], still["weight_decay"]) == (decaying["lr"], 0)
        self.rows.append((module.objective.teacher.steps, decaying["lr"], decaying["weight_decay"], student, teacher))


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.filterwarnings(*ADVICE)
def test_teacher_learning_rate_and_weight_decay_move_once_per_optimiser_step(smoke, tmp_path, every):
    recipe = smoke(
        "train.batch_size=8", "train.learning_rate=0.01", "train.weight_decay=0.1", "train.final_weight_decay=0.5",
        "objective.momentum=0.9", "train.warmup_epochs=0",
    )  # fmt: skip
    parts = build(recipe)
    batches = GlobalBatches(48, batch_size=8, seed=0)
    n_steps = len(batches) // every
    objective = parts.objective(total_steps=n_steps)
    module = PretrainModule(objective, recipe.train, total_steps=n_steps, steps_per_epoch=n_steps, folder=tmp_path)
    start = torch.nn.utils.parameters_to_vector(objective.student.parameters()).detach().clone()
    record = Record()
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=1, accumulate_grad_batches=every, callbacks=[record], logger=False,
        enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(module, batch_loader(parts.dataset("train"), batches, 0))

    assert trainer.global_step == n_steps == objective.teacher.steps
    assert len(record.rows) == len(batches) == 6
    previous_student = previous_teacher = start
    for batch, (steps, rate, decay, student, teacher) in enumerate(record.rows):
        assert steps == (batch + 1) // every
        moved = (batch + 1) % every == 0
        assert torch.equal(student, previous_student) != moved
        if steps:  # the values are set for a step, and stay until the next
            assert rate == pytest.approx(module.learning_rate(steps - 1))
            assert decay == pytest.approx(module.weight_decay(steps - 1))
        momentum = objective.teacher.momentum_at(steps - 1) if moved else 1.0
        torch.testing.assert_close(teacher, momentum * previous_teacher + (1 - momentum) * student)
        previous_student, previous_teacher = student, teacher
    assert len({module.learning_rate(step) for step in range(n_steps)}) == n_steps
    assert len({module.weight_decay(step) for step in range(n_steps)}) == n_steps


class Seeds:
    """A view function that notes what its randomness comes from."""

    def __init__(self):
        self.seen = []

    def __call__(self, batch, *, generator=None):
        if generator is not None:
            self.seen.append((generator.initial_seed(), torch.initial_seed()))
        return [batch, batch + 0.1 * torch.randn(batch.shape, generator=generator)]


class Once(torch.nn.Module):
    """Breaks the batch whose first value is 7."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(5, 4)

    def forward(self, x):
        return self.layer(x) * (float("inf") if 7 in x[:, 0] else 1.0)


def train(folder, every, broken=None, **settings):
    torch.manual_seed(0)
    batches = torch.randn(6, 8, 5)
    if broken is not None:
        batches[broken, 0, 0] = 7
    views = Seeds()
    objective = BAMObjective(Once(), views)
    objective.initialize(torch.randn(64, 5))
    module = PretrainModule(
        objective, TrainSettings(learning_rate=0.01, warmup_epochs=0, batch_size=8, **settings), total_steps=6,
        steps_per_epoch=6, folder=folder,
    )  # fmt: skip
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=1, accumulate_grad_batches=every, logger=False, enable_checkpointing=False,
        enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(list(batches), batch_size=None))
    return views.seen, torch.nn.utils.parameters_to_vector(objective.student.parameters())


@pytest.mark.filterwarnings(*ADVICE)
def test_every_micro_batch_has_views_and_dropout_of_its_own(tmp_path):
    plain, _ = train(tmp_path, 1)
    accumulated, _ = train(tmp_path, 4)  # the last step has two micro-batches only
    for seeds in (*zip(*plain, strict=True), *zip(*accumulated, strict=True)):
        assert len(set(seeds)) == 6
    assert [accumulated[0], accumulated[4]] == plain[:2]


@pytest.mark.filterwarnings(*ADVICE)
def test_a_micro_batch_that_is_not_finite_is_found_wherever_it_is(tmp_path):
    for broken in (2, 3, 5):
        with pytest.raises(NonFiniteError, match=rf"step {broken // 3} is not finite: .* objective\.student\.encoder "):
            train(tmp_path, 3, broken)
        saved = torch.load(tmp_path / "nonfinite" / f"step={broken // 3:08d}" / "step.pt", weights_only=True)
        assert saved["part"] == broken % 3
        assert saved["batch"][0, 0] == 7
    with pytest.warns(UserWarning, match="The step is left out"):
        _, left_out = train(tmp_path, 3, 0, on_nan="skip")
    with pytest.warns(UserWarning, match="The step is left out"):
        _, the_same = train(tmp_path, 3, 2, on_nan="skip")
    assert torch.equal(left_out, the_same)
    assert left_out.isfinite().all()
