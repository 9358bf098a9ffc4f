"""Peers in whole runs: recipe, training, report."""

import pytest
from run_folders import rows_of

from bam_core import CollapseWarning, RecipeError
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.evaluate_run import evaluate_run
from bam_core.runs.pretrain import pretrain

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_pictures")]
SMALL = ["train.epochs=1", "evaluate.bootstrap=100", "evaluate.fractions=[1.0]"]


@pytest.mark.parametrize("name", ["vicreg", "dino"])
def test_a_run_and_its_report(smoke, tmp_path, name):
    options = ["objective.n_prototypes=32"] if name == "dino" else []
    folder = pretrain(smoke(f"objective.name={name}", *options, *SMALL), tmp_path / "run", progress=False)
    assert all(float(row["loss"]) > 0 and abs(float(row["positive_cosine"])) <= 1 for row in rows_of(folder))
    assert (folder / "teacher").is_dir() == (name == "dino")
    results = evaluate_run(folder)
    assert results.features == ["raw features", "untrained encoder", name]
    html = (folder / "report.html").read_text()
    for part in ("the objective's own", "Cosine of two views", "RankMe of the embeddings"):
        assert part in html
    for of_bam in ("Attention of one batch", "dashed line is its value", "kl (nats)"):
        assert of_bam not in html


def test_bam_keeps_its_own_words(smoke, tmp_path):
    folder = pretrain(smoke(*SMALL), tmp_path / "run", progress=False)
    evaluate_run(folder)
    html = (folder / "report.html").read_text()
    assert "Attention of one batch" in html
    assert "dashed line is its value" in html
    assert "the objective's own" not in html


def test_advice_against_collapse_without_a_figure_of_the_objective(smoke, tmp_path, monkeypatch):
    """BAM looks at its own figures instead: tests/loss/test_collapse.py."""
    monkeypatch.setattr("bam_core.training.callbacks.COLLAPSED_SPREAD", 3.0)
    recipe = smoke("objective.name=simclr", "train.epochs=2")
    with pytest.warns(CollapseWarning, match="Lower train.lear"):
        pretrain(recipe, tmp_path / "run", progress=False)


def test_peers_need_the_whole_batch(smoke):
    with pytest.raises(RecipeError, match="objective 'simclr' needs the whole batch at once"):
        smoke("objective.name=simclr", "train.micro_batch=4")


def test_a_run_of_another_objective_is_not_continued(tmp_path):
    path = find_recipe("smoke/image")
    folder = pretrain(load_recipe(path, SMALL), tmp_path / "run", progress=False)
    with pytest.raises(RecipeError, match="another recipe; changed: objective"):
        pretrain(load_recipe(path, [*SMALL, "objective.name=simclr"]), folder, progress=False)
