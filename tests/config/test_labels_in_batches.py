"""Objectives that learn from labels find them in their batches; all others get none."""

import dataclasses

import pytest
import torch

from bam_core import RecipeError
from bam_core.config.build import assemble, build
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.in_memory import pretrain_in_memory
from bam_core.views import draw_views

SMALL = ["data.n_series=40", "objective.projector_hidden=8", "objective.projector_out=8"]


def recipe(*overrides):
    return load_recipe(find_recipe("smoke/timeseries"), [*SMALL, *overrides])


@pytest.mark.parametrize("named", ["objective.name=supcon", "objective.terms=[{name: supcon, weight: 0.5}]"])
def test_labels_reach_the_term(named):
    parts = build(recipe(named))
    batch = parts.training_set(lambda: (0, 0)).__getitems__([3, 1, 2])
    drawn = draw_views(parts.view_fn, batch, [torch.Generator()] * 3)
    assert drawn.aux["label"].tolist() == parts.data.labels("train")[[3, 1, 2]].tolist()
    with_labels = parts.objective(10)(batch, generator=torch.Generator().manual_seed(0)).loss
    batch["labels_of_batch"] = torch.tensor([-1, -1, -1])
    without = parts.objective(10)(batch, generator=torch.Generator().manual_seed(0)).loss
    assert with_labels != without


def test_other_objectives_are_given_none():
    parts = build(recipe("objective.name=simclr"))
    batch = parts.training_set(lambda: (0, 0)).__getitems__([3, 1])
    assert "label" not in draw_views(parts.view_fn, batch, None).aux


def test_a_run_learns_from_labels():
    resolved = recipe("objective.name=supcon", "train.batch_size=16")
    trained = pretrain_in_memory(resolved, build(resolved).data, total_steps=2)
    assert trained.n_steps == 2
    rows = trained.parts.dataset("train").__getitems__([0, 1])
    assert trained.objective.embed(rows).shape[0] == 2  # without labels


def test_data_without_labels_are_refused():
    resolved = recipe("objective.name=supcon")
    data = build(resolved).data
    bare = {split: rows.remove_columns("label") for split, rows in data.splits.items()}
    parts = assemble(resolved, dataclasses.replace(data, splits=bare))
    with pytest.raises(RecipeError, match="'supcon' learns from the labels of train and expected one class a row"):
        parts.objective(10)
