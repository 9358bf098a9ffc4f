"""`objective.terms` of a recipe: found, checked like all options, written back, and added to the objective."""

from pathlib import Path

import pytest
import yaml

from bam_core import RecipeError
from bam_core.comparison.compare import objective_section
from bam_core.config.build import build
from bam_core.config.recipe import check_recipe, load_recipe
from bam_core.config.terms import load_term, term_names
from bam_core.config.trust import remember
from bam_core.schedules import Ramp
from bam_core.training.batches import batch_loader

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke" / "timeseries.yaml"
MINE = '''
from torch import nn
from bam_core.looks import Wish
from bam_core.terms import TermOutput


class Quiet(nn.Module):
    """Small projections."""

    def __init__(self, *, power: int = 2) -> None:
        super().__init__()
        self.power = power

    def wishes(self, drawn, encoder):
        return [Wish(0)]

    def forward(self, looks, drawn, fraction):
        return TermOutput(looks[0].projections.abs().pow(self.power).mean())
'''


def terms_of(text, *overrides):
    return load_recipe(SMOKE, [f"objective.terms={text}", *overrides])


def test_terms_are_found_and_written_back():
    resolved = terms_of(
        "[{name: koleo, weight: 0.1}, {name: decorrelation, variance: 2, weight: {from: 0, to: 1, over: 0.2}}]"
    )
    first, second = resolved.terms
    assert (first.word, first.weight, first.term.options) == ("koleo", 0.1, {})
    assert (second.weight, second.term.options) == (Ramp(0.0, 1.0, 0.2), {"variance": 2.0})
    assert resolved.objective.options == {}
    assert check_recipe(yaml.safe_load(resolved.recipe.to_yaml())) == resolved
    assert resolved.objective_with_defaults()["terms"][1]["covariance"] == 0.04


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("koleo", r"objective.terms: expected a list such as \[\{name: koleo, weight: 0.1\}\], got 'koleo'"),
        ("[{name: kolea}]", r"term 'kolea' is not installed; did you mean 'koleo'\? Known: .*uniformity"),
        ("[{weight: 1}]", "objective.terms.0.name: is missing"),
        ("[{name: uniformity, tt: 1}]", r"objective.terms.0.tt: no such key"),
        ("[{name: uniformity, t: near}]", "objective.terms.0.t: input should be a valid number"),
        ("[{name: koleo, weight: much}]", "objective.terms.0.weight: expected a number, or .*got 'much'"),
        ("[{name: koleo, weight: .inf}]", "objective.terms.0.weight: expected a number"),
        (
            "[{name: koleo, weight: {from: 0, too: 1}}]",
            r"objective.terms.0.weight.too: no such key; did you mean 'to'\?",
        ),
        ("[{name: koleo, weight: {from: 0, to: 1, over: 2}}]", r"`over` a part of the run in \(0, 1\]"),
    ],
)
def test_mistakes(text, said):
    with pytest.raises(RecipeError, match=said):
        terms_of(text)


def test_a_term_of_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    recipe = tmp_path / "recipe.yaml"
    raw = yaml.safe_load(SMOKE.read_text())
    raw["objective"]["terms"] = [{"name": "mine.py:Quiet", "power": 3, "weight": 0.5}]
    recipe.write_text(yaml.safe_dump(raw))
    with pytest.raises(RecipeError, match=r"wants to run the Python file .*mine\.py', which nobody has trusted"):
        load_recipe(recipe)
    remember([f"{file}:Quiet"])
    (added,) = load_recipe(recipe).terms
    assert (added.word, added.term.options, added.weight) == ("quiet", {"power": 3}, 0.5)
    file.write_text("Quiet = 3")
    remember([f"{file}:Quiet"])
    with pytest.raises(RecipeError, match="expected a callable; got int"):
        load_term(f"{file}:Quiet")


def test_a_term_is_in_the_loss_with_its_weight():
    resolved = terms_of("[{name: koleo, weight: {from: 0, to: 2, over: 0.5}}, {name: koleo, weight: 0.5}]")
    parts = build(resolved)
    objective = parts.objective(total_steps=4)
    (batch,) = batch_loader(parts.training_set(lambda: (0, 0)), [list(range(16))], 0)
    objective.train()
    for weight in (0.0, 1.0, 2.0, 2.0):
        out = objective(batch)
        expected = out.bam_loss + weight * out.koleo_loss + 0.5 * out.koleo_2_loss
        assert out.loss.item() == pytest.approx(expected.item(), rel=1e-5)
        assert {"kl", "koleo_distance", "koleo_2_distance", "projections"} <= set(out._fields)
        objective.update_teacher()
    assert objective.state_dict()["progress._extra_state"] == {"steps": 4}


def test_an_objective_of_another_make_takes_no_terms(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def make(encoder, view_fn, *, total_steps):\n    return encoder\n")
    recipe = load_recipe(SMOKE, [f"objective={{name: '{file}:make', terms: [{{name: koleo}}]}}"])
    with pytest.raises(RecipeError, match="is not made of terms, and takes no further ones"):
        build(recipe).objective(total_steps=1)


def test_terms_in_a_comparison():
    recipe = load_recipe(SMOKE)
    label = "bam:terms=[{name: koleo, weight: {from: 0, to: 1}}, {name: uniformity}]:epsilon=0.05"
    section = objective_section(label, recipe)
    assert section == {
        "name": "bam", "epsilon": 0.05,
        "terms": [{"name": "koleo", "weight": {"from": 0, "to": 1}}, {"name": "uniformity"}],
    }  # fmt: skip


def test_every_built_in_term_has_source_and_formula():
    for name in term_names():
        assert "Source: " in load_term(name).__doc__, name
        assert "Shape:" in load_term(name).__doc__ or "PairTerm" in str(load_term(name).__mro__), name
