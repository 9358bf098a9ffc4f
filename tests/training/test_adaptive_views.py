"""Views that follow the network: the ranks share the samples out, and every sample gets what was found for it."""

from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import Mock

import lightning.pytorch as lightning
import pytest
import torch
from torch import nn

from bam_core.config.schema import TrainSettings
from bam_core.training import adaptive_views
from bam_core.training.adaptive_views import RefreshViews
from modalities.image.memory import read_memory


class Looker:
    """Remembers the mean of every image, as the encoder returns it."""

    state = None

    def __call__(self, columns, facts, *, rows, seed):
        raise NotImplementedError

    def should_refresh(self, passes):
        return passes % 2 == 0

    def load(self, columns, facts):
        return torch.as_tensor(columns["image"].reshape(-1, 16)).float()

    def compute(self, encoder, batch):
        assert not encoder.training
        return encoder(batch.mean(dim=1, keepdim=True))


def ranks(world_size, epoch=1, epochs=4, n=11, is_last_batch=True):
    images = torch.arange(n * 16, dtype=torch.uint8).reshape(n, 4, 4).numpy()
    settings = TrainSettings(batch_size=4, epochs=epochs)
    objective = nn.Module()
    objective.encoder, objective.teacher = nn.Softmin(dim=1), nn.Module()
    objective.teacher.module = nn.Module()
    objective.teacher.module.encoder = nn.Identity()
    module = Mock(lightning.LightningModule, objective=objective, device=torch.device("cpu"))
    data = read_memory(images=images)
    for rank in range(world_size):
        trainer = Mock(
            lightning.Trainer,
            current_epoch=epoch, world_size=world_size, global_rank=rank, is_last_batch=is_last_batch,
            precision_plugin=SimpleNamespace(forward_context=nullcontext, convert_input=lambda batch: batch),
        )  # fmt: skip
        yield RefreshViews(Looker(), data, settings), trainer, module


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_sample_gets_its_own(monkeypatch, world_size):
    found = []
    monkeypatch.setattr(
        adaptive_views, "all_gather", lambda rows: found.append(rows) or rows[None].expand(world_size, -1, -1)
    )
    everyone = list(ranks(world_size))
    for callback, trainer, module in everyone:
        callback.on_train_epoch_end(trainer, module)
        assert module.objective.encoder.training
    monkeypatch.setattr(adaptive_views, "all_gather", lambda rows: torch.stack(found[:world_size]))
    expected = torch.arange(11 * 16).remainder(256).reshape(11, 16).float().mean(dim=1, keepdim=True)
    for callback, trainer, module in everyone:
        callback.on_train_epoch_end(trainer, module)
        torch.testing.assert_close(callback.loader.state, expected)


@pytest.mark.parametrize("moment", [{"epoch": 0}, {"epoch": 3}, {"is_last_batch": False}])
def test_it_looks_only_when_it_is_due_and_the_run_goes_on(moment):
    for callback, trainer, module in ranks(1, **moment):
        callback.on_train_epoch_end(trainer, module)
        assert callback.loader.state is None


def test_what_was_found_is_saved_and_restored():
    (callback, _, _), (other, _, _) = next(ranks(1)), next(ranks(1))
    assert callback.state_dict() == {}
    other.load_state_dict({})
    assert other.loader.state is None
    callback.loader.state = torch.rand(11, 4)
    other.load_state_dict(callback.state_dict())
    assert torch.equal(other.loader.state, callback.loader.state)
    assert other.loader.state.is_shared()


def test_checkpoints_of_before_know_it_by_its_first_name():
    callback, _, _ = next(ranks(1))
    assert callback.state_key == "FollowNetwork"
