"""The warning of collapse: given once to a run that does collapse, and not to one that learns."""

import warnings
from unittest.mock import Mock

import lightning.pytorch as lightning
import pytest
import torch
from run_folders import rows_of

from bam_core import CollapseWarning
from bam_core.runs.pretrain import pretrain
from bam_core.training.batches import GlobalBatches
from bam_core.training.callbacks import COLLAPSED_SPREAD, Watch

ATTRACTING = '''
"""An objective that draws the views of a sample together and pushes nothing apart."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bam_core.views import draw_views, encode_views


class Output(NamedTuple):
    loss: Tensor
    embeddings: Tensor


class Attracting(nn.Module):
    def __init__(self, encoder, view_fn, *, total_steps):
        super().__init__()
        self.encoder, self.view_fn = encoder, view_fn

    def initialize(self, batch):
        pass

    def update_teacher(self):
        pass

    def embed(self, batch, *, teacher=False):
        return self.encoder(batch)

    def forward(self, batch, *, generator):
        views = draw_views(self.view_fn, batch, generator).views
        embeddings = torch.cat(encode_views(self.encoder, views))
        first, second = nn.functional.normalize(embeddings, dim=1).chunk(2)
        return Output(1 - (first * second).sum(dim=1).mean(), embeddings.detach())
'''


def warned_at(log_every=1, **metrics):
    """Steps of eight, three an epoch, at which a watch says that the embeddings have collapsed."""
    steps, callback = [], Watch(GlobalBatches(48, batch_size=16, seed=0))
    for step in range(1, 9):
        trainer = Mock(lightning.Trainer, global_step=step, log_every_n_steps=log_every, callback_metrics=metrics)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            callback.on_train_batch_end(trainer)
        steps += [step for warning in caught if warning.category is CollapseWarning]
    return steps


def test_the_first_epoch_is_given_time_and_the_warning_given_once():
    assert warned_at(embedding_spread=torch.tensor(COLLAPSED_SPREAD / 2)) == [4]
    assert warned_at(embedding_spread=torch.tensor(COLLAPSED_SPREAD * 2)) == []
    assert warned_at() == []


def test_only_what_was_just_measured_counts():
    """Between two measurements the spread of an earlier step is still there, at step 4 that of the first epoch."""
    assert warned_at(log_every=5, embedding_spread=torch.tensor(COLLAPSED_SPREAD / 2)) == [5]


@pytest.mark.slow
def test_a_run_whose_embeddings_become_all_alike(smoke, tmp_path):
    (tmp_path / "attracting.py").write_text(ATTRACTING)
    recipe = smoke(
        f"objective={{name: '{tmp_path / 'attracting.py'}:Attracting'}}",
        "train.epochs=20", "train.learning_rate=0.01",
    )  # fmt: skip
    with pytest.warns(
        CollapseWarning, match=r"all embeddings point the same way \(mean cosine (0\.9[89]|1\.0)"
    ) as said:
        folder = pretrain(recipe, tmp_path / "run", progress=False)
    assert len([w for w in said if w.category is CollapseWarning]) == 1
    spreads = [float(row["embedding_spread"]) for row in rows_of(folder)]
    assert spreads[-1] < COLLAPSED_SPREAD < spreads[0]


@pytest.mark.slow
def test_a_run_that_learns_is_left_in_peace(smoke, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        folder = pretrain(smoke("train.epochs=12", "train.learning_rate=0.01"), tmp_path / "run", progress=False)
    rows = rows_of(folder)
    assert len(rows) == 36
    assert min(float(row["embedding_spread"]) for row in rows[3:]) > COLLAPSED_SPREAD
