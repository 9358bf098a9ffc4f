"""A step that is not finite on one of two ranks: nobody waits, all do the same, with and without accumulation."""

import lightning.pytorch as lightning
import pytest
import torch
from launch import run
from torch import nn

from bam_core import BAMObjective, InputError, NonFiniteError
from bam_core.config.schema import TrainSettings
from bam_core.training.module import PretrainModule

N_BATCHES, BAD = 6, 2


class Encoder(nn.Module):
    """Breaks the batch that holds the value 7, in the way it was told to."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.norm, self.how = nn.Linear(5, 4), nn.BatchNorm1d(4), how

    def forward(self, x):
        out = self.norm(self.layer(x))
        return out * {"embeddings": float("nan"), "zeros": 0.0}.get(self.how, 1.0) if 7 in x else out


class Objective(BAMObjective):
    """BAM, but the loss of one rank alone may break."""

    def forward(self, batch, **kwargs):
        out = super().forward(batch, **kwargs)
        return out._replace(loss=out.loss / 0) if self.encoder.how == "loss" and 7 in batch else out


class Record(lightning.Callback):
    """Weights and running statistics at the start and after every batch."""

    def __init__(self):
        self.states = []

    def on_train_start(self, trainer, module):
        self.on_train_batch_end(trainer, module)

    def on_train_batch_end(self, trainer, module, *args):
        weights = [p.detach().flatten() for p in module.objective.student.parameters()]
        self.states.append(torch.cat([*weights, module.objective.encoder.norm.running_mean]))


def train(rank, world_size, folder, how, on_nan, every):
    torch.manual_seed(0)
    data = torch.randn(N_BATCHES, 16, 5)
    data[BAD, 8, 0] = 7  # the first sample of the second rank
    own = [batch[rank * 8 :][:8] for batch in data]
    objective = Objective(Encoder(how), lambda x: [x, x.sin()], projector=nn.Linear(4, 4, bias=False), momentum=0.9)
    objective.initialize(data[0])
    settings = TrainSettings(on_nan=on_nan, learning_rate=0.01, warmup_epochs=0, batch_size=16)
    module = PretrainModule(objective, settings, total_steps=N_BATCHES, steps_per_epoch=N_BATCHES, folder=folder)
    record = Record()
    trainer = lightning.Trainer(
        accelerator="cpu", devices=world_size, strategy="ddp", max_epochs=1, accumulate_grad_batches=every,
        callbacks=[record], logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False, use_distributed_sampler=False,
    )  # fmt: skip
    message = ""
    try:
        trainer.fit(module, torch.utils.data.DataLoader(own, batch_size=None))
    except (NonFiniteError, InputError) as error:
        message = f"{type(error).__name__}: {error}"
    return {"states": torch.stack(record.states), "message": message, "steps": trainer.global_step}


CASES = [(how, "skip", every) for how in ("embeddings", "loss") for every in (1, 2, 3)]
CASES += [("embeddings", "stop", 1), ("loss", "stop", 1), ("loss", "stop", 2), ("zeros", "skip", 1)]


def train_all(rank, world_size, folder):
    return {
        "-".join(map(str, case)): train(rank, world_size, folder / "-".join(map(str, case)), *case) for case in CASES
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return folder, run(train_all, 2, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "on_nan", "every"), [case for case in CASES if case[1] == "skip" and case[0] != "zeros"]
)
def test_all_ranks_leave_the_step_out(trained, how, on_nan, every):
    folder, ranks = trained
    name = f"{how}-{on_nan}-{every}"
    results = [rank[name] for rank in ranks]
    assert [one["message"] for one in results] == ["", ""]
    assert [one["steps"] for one in results] == [N_BATCHES // every] * 2
    weights = [one["states"][:, :-4] for one in results]
    assert weights[0].isfinite().all()
    assert torch.equal(*weights)
    moved = [not torch.equal(weights[0][k], weights[0][k + 1]) for k in range(N_BATCHES)]
    expected = [(k + 1) % every == 0 and k // every != BAD // every for k in range(N_BATCHES)]
    assert moved == expected
    saved = folder / name / "nonfinite" / f"step={BAD // every:08d}"
    content = torch.load(saved / "step.pt", weights_only=True)
    assert (len(content["batch"]), content["part"]) == (8, BAD % every)
    first, statistics = BAD // every * every, results[0]["states"][:, -4:]  # those of rank 0 are everybody's
    assert torch.equal(statistics[first], statistics[first + every])


@pytest.mark.slow
@pytest.mark.parametrize(("how", "every"), [("embeddings", 1), ("loss", 1), ("loss", 2)])
def test_all_ranks_stop_with_the_message(trained, how, every):
    folder, ranks = trained
    name = f"{how}-stop-{every}"
    messages = {rank[name]["message"] for rank in ranks}
    assert len(messages) == 1
    layer = {"embeddings": "objective.student.encoder (Encoder)", "loss": "objective (Objective)"}[how]
    begins = f"begins in the output of {layer}; its input is finite. Batch and weights are in {folder / name}"
    assert f"step {BAD // every} is not finite on rank 1: NaN or infinity {begins}" in messages.pop()
    assert (folder / name / "nonfinite" / f"step={BAD // every:08d}" / "step.pt").exists()


@pytest.mark.slow
def test_another_error_of_one_rank_is_one_of_all(trained):
    _, ranks = trained
    first, second = (rank["zeros-skip-1"] for rank in ranks)
    assert "InputError: student embeddings: 16 of 16 rows are zero vectors" in second["message"]
    assert first["message"].startswith("InputError: rank 1 could not use its part of the batch")
    assert first["steps"] == second["steps"] == BAD
