"""The parts of fine-tuning for themselves: tasks, layers, settings, held-out rows, the course of the rates."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from bam_core import RecipeError
from bam_core.finetuning.layers import layers_of, learning, parameter_groups
from bam_core.finetuning.module import Look, Predictor, _course
from bam_core.finetuning.settings import FinetuneSettings, checked_settings
from bam_core.finetuning.task import Task
from bam_core.finetuning.train import Rows, hold_rows_out
from bam_core.finetuning.trials import Outcome, plan
from bam_core.probes.protocol import EvaluationProtocol


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))


def test_losses_and_scores_of_the_three_kinds():
    outputs = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    one = Task("classes", ("a", "b"))
    expected = nn.functional.cross_entropy(outputs, torch.tensor([0, 1]))
    assert one.loss(outputs, torch.tensor([0, 1])) == expected
    np.testing.assert_allclose(one.scores(outputs).sum(axis=1), 1)
    several = Task("several", ("a", "b"))
    assert several.scores(torch.zeros(1, 2)).tolist() == [[0.5, 0.5]]
    assert several.loss(torch.zeros(1, 2), torch.tensor([[1, 0]])).item() == pytest.approx(np.log(2))
    number = Task.of_labels(np.array([10.0, np.nan, 30.0]), ())
    assert (number.offset, number.unit, number.n_outputs) == (20, 10, 1)
    assert number.scores(torch.tensor([[1.0]])).tolist() == [[30.0]]
    assert number.loss(torch.tensor([[0.0]]), torch.tensor([30.0])).item() == 1
    assert Task.of_plain(number.plain()) == number


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.array([0, 0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(Task("classes", tuple("abc")).weights(labels), expected, rtol=1e-6)
    several = Task("several", tuple("ab")).weights(np.array([[1, 0], [0, 0], [0, 1], [0, 1]]))
    assert several.tolist() == [3.0, 1.0]
    assert Task("number").weights(np.array([1.0])) is None


def test_layers_from_the_input_on():
    assert [layer.name for layer in layers_of(network())] == ["0", "2", "3"]
    assert [len(layer.parameters) for layer in layers_of(network())] == [4, 2, 2]

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
            self.token = nn.Parameter(torch.zeros(1, 1))

    assert [layer.name for layer in layers_of(Inner())] == ["(itself)", "trunk.0", "trunk.1"]


@pytest.mark.parametrize(
    ("freeze", "expected"), [("none", ["0", "2", "3"]), ("encoder", []), ("until:2", ["2", "3"]), ("until:3", ["3"])]
)
def test_what_is_frozen(freeze, expected):
    encoder = network()
    assert [layer.name for layer in learning(encoder, freeze)] == expected
    learns = {name.partition(".")[0] for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learns - {"1"} == set(expected)


def test_a_layer_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(
        RecipeError, match=r"freeze=until:layer3 expected a layer of the encoder; its layers are 0, 2, 3"
    ):
        learning(network(), "until:layer3")


def test_layers_towards_the_input_learn_more_slowly():
    groups = parameter_groups(layers_of(network()), rate=1.0, decay=0.5, weight_decay=0.1)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [
        (rate, decay) for rate in (1.0, 0.5, 0.25) for decay in (0.1, 0.0)
    ]
    assert sum(len(group["params"]) for group in groups) == len(list(network().parameters()))


def test_the_course_of_a_rate():
    course = _course(20, 100)
    assert [course(step) for step in (0, 19)] == [0, 0]
    assert course(24) == pytest.approx(1.0, abs=0.01)
    assert course(60) == pytest.approx(0.5)
    assert course(100) == pytest.approx(0)


def test_settings_have_all_mistakes_named():
    with pytest.raises(
        RecipeError, match=r"(?s)epochs: input should be.*frez: no such setting; did you mean 'freeze'\?"
    ):
        checked_settings({"frez": "none", "epochs": 0})
    with pytest.raises(RecipeError, match="freeze: expected none, encoder, or until: and the name of a layer"):
        checked_settings({"freeze": "layer3"})


def test_the_curve_ends_at_the_fraction():
    settings = checked_settings({"fraction": 0.1})
    assert settings.curve == (0.1, 0.01)
    protocol = settings.protocol(EvaluationProtocol(k=7))
    assert (protocol.fractions, protocol.draws, protocol.probes, protocol.k) == ((0.1, 0.01), 3, ("linear",), 7)
    assert [trial.name for trial in plan(FinetuneSettings(fractions=(0.1,), seeds=1, scratch=False))] == [
        "fine-tuned-1-0", "fine-tuned-0.1-0", "fine-tuned-0.1-1",
    ]  # fmt: skip


def test_rows_are_held_out_by_group():
    labels, groups = np.arange(100) % 2, np.arange(100) // 10
    found = hold_rows_out(Rows(None, labels, groups), 0.2, seed=0)
    assert found.made_of == "groups"
    assert len(found.held_out) == 20
    assert not set(groups[found.fit]) & set(groups[found.held_out])
    few = hold_rows_out(Rows(None, np.where(np.arange(100) < 40, labels, -1), groups), 0.2, seed=0)
    assert (len(few.fit), len(few.held_out), few.made_of) == (40, 0, "nothing")


def test_standardisation_is_part_of_the_predictor():
    predictor = Predictor(nn.Identity(), width=2, n_outputs=1)
    rows = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    predictor.standardise_by(rows)
    assert predictor.mean.tolist() == [2, 5]
    assert predictor.scale.tolist() == [1, 1]
    nn.init.ones_(predictor.head.weight)
    assert predictor(rows).tolist() == [[-1.0], [1.0]]


def test_a_column_that_hardly_varies_is_not_amplified_without_bound():
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 1e-4, 0.0]) + 3
    predictor = Predictor(nn.Identity(), width=4, n_outputs=1)
    predictor.standardise_by(rows)
    deviations = rows.std(dim=0, correction=0)
    least = 0.1 * deviations.square().mean().sqrt()
    assert torch.allclose(predictor.scale, torch.stack([*deviations[:2], least, torch.tensor(1.0)]))


def test_a_look_without_a_metric_is_the_worst():
    assert Look(1, float("nan"), 0.1).quality < Look(1, 0.0, 9.0).quality < Look(1, 0.0, 8.0).quality


def test_outcomes_come_back_as_they_were(tmp_path):
    outcome = Outcome(np.eye(2), 5, "groups", 12, 0.5)
    outcome.save(tmp_path / "a.npz")
    loaded = Outcome.load(tmp_path / "a.npz")
    assert loaded.scores.tolist() == outcome.scores.tolist()
    assert (loaded.n_labels, loaded.stopped_on, loaded.steps, loaded.seconds) == (5, "groups", 12, 0.5)
