"""The way from data to answers in Python: recipes of every kind, a run, its embeddings and pictures."""

import subprocess
import sys

import jaxtyping
import matplotlib
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from rows import rows_of

import bam_core as bam
from bam_core import DataError, InputError, RecipeError
from bam_core.api.recipes import override_texts, recipe_of
from bam_core.config.shipped_recipes import find_recipe
from bam_core.reports.plots import map_figure, training_figure

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "series"
    return bam.pretrain("smoke/timeseries", folder=folder, train={"epochs": 1}, data__n_series=64, progress=False)


def test_a_recipe_is_a_name_a_path_a_mapping_or_a_recipe(tmp_path):
    path = find_recipe("smoke/ecg")
    content = yaml.safe_load(path.read_text())
    by_name = recipe_of("smoke/ecg", {"train__epochs": 7})
    assert by_name.train.epochs == 7
    for kind in (path, str(path), content, recipe_of(content, {}).recipe):
        assert recipe_of(kind, {"train": {"epochs": 7}}).recipe == by_name.recipe
    assert content == yaml.safe_load(path.read_text())


def test_overrides_as_keywords_are_those_of_the_shell():
    assert override_texts({"train": {"learning_rate": 1e-5}, "data.path": tuple("ab")}) == [
        "train.learning_rate=1.0e-05",
        "data.path=[a, b]",
    ]
    assert recipe_of("smoke/ecg", {"train__learning_rate": np.float64(1e-5)}).train.learning_rate == 1e-5
    assert recipe_of("smoke/ecg", {"objective": {"name": "bam", "epsilon": 0.1}}).objective.options["epsilon"] == 0.1


@pytest.fixture
def unchecked(monkeypatch):
    """As users have it, without the run-time checks of types."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_what_is_no_recipe_is_refused(unchecked):
    with pytest.raises(InputError, match="a recipe expected a name"):
        bam.pretrain(3)
    with pytest.raises(RecipeError, match=r"train\.epoch: no such key; did you mean 'epochs'\?"):
        bam.pretrain("smoke/ecg", train__epoch=3)
    with pytest.raises(RecipeError, match=r"compare expected a list of objectives, such as \['bam'\]"):
        bam.compare("smoke/ecg", "bam")
    with pytest.raises(RecipeError, match="is not a run folder"):
        bam.load("nothing/here")


def test_a_run_is_opened_and_judged(run):
    opened = bam.load(run.folder)
    assert repr(opened) == f"Run({str(run.folder)!r})"
    assert opened.recipe.train.epochs == 1
    assert opened.metrics["step"].tolist() == [1]
    assert opened.results is None or opened.results.features
    results = opened.evaluate()
    assert opened.results.to_markdown() == results.to_markdown()
    assert opened.report() == run.folder / "report.html"
    assert (run.folder / "report.html").is_file()


def test_files_and_rows_in_memory_have_the_same_embeddings(run, tmp_path, capsys):
    series = np.random.default_rng(0).normal(size=(5, run.encoder().facts["in_channels"], 40))
    np.save(tmp_path / "new.npy", series)
    of_files, of_rows = run.embed(tmp_path / "new.npy"), run.embed(series)
    assert "Data: 5 rows" in capsys.readouterr().out
    assert of_rows["id"].tolist() == list("01234")
    names = [name for name in of_rows if name.startswith("e")]
    np.testing.assert_allclose(of_files[names], of_rows[names], atol=1e-5)
    assert len(run.embed(series, window=20)) == 10


def test_a_frame_of_another_order_of_columns(tmp_path):
    frame = rows_of("tabular", 40)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    recipe = {
        "modality": "tabular",
        "data": {"reader": "table", "path": tmp_path / "rows.csv", "label": "none"},
        "views": {"name": "tabular"},
        "encoder": {"name": "mlp", "width": 8},
        "train": {"epochs": 1, "batch_size": 16},
    }
    run = bam.pretrain(recipe, folder=tmp_path / "run", progress=False)
    of_files, of_rows = run.embed(tmp_path / "rows.csv"), run.embed(frame[frame.columns[::-1]])
    names = [name for name in of_rows if name.startswith("e")]
    np.testing.assert_allclose(of_files[names], of_rows[names], atol=1e-5)


def test_wrong_options_of_rows(run):
    with pytest.raises(RecipeError, match=r"the options of the rows have mistakes:\n  data\.windw: no such key; did"):
        run.embed(np.zeros((3, 2, 40)), windw=3)
    with pytest.raises(DataError, match="series expected 2 channels, as the encoder was trained on; got 7"):
        run.embed(np.random.default_rng(0).normal(size=(3, 7, 40)))


def test_pictures_leave_the_backend_alone(run):
    backend = matplotlib.rcParams["backend"]
    for figure in (run.plot_training(), run.plot_map(), run.plot_map(split="train", layout="tsne"), run.plot_views(2)):
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")
    assert matplotlib.rcParams["backend"] == backend
    with pytest.raises(DataError, match="plot_map expected one of the splits test, train; got 'validation'"):
        run.plot_map(split="validation")
    assert len(run.plot_views(2).axes) == 2 * 3


def test_pictures_of_nothing(unchecked):
    with pytest.raises(InputError, match=r"expected columns such as loss; got \['x'\]"):
        training_figure(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(InputError, match="layout expected 'pca' or 'tsne'; got 'umap'"):
        map_figure(np.eye(3), layout="umap")
    with pytest.raises(InputError, match="'tsne' expected at least ten rows; got 3"):
        map_figure(np.eye(3), layout="tsne")


def test_a_map_says_what_its_colours_mean():
    figure = map_figure(np.eye(6), np.array([0, 0, 0, 1, 1, -1]), ["calm", "wild"])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["no label", "calm", "wild"]


def test_what_notebooks_show(run, results):
    page = run._repr_html_()
    assert "timeseries" in page
    assert "<th>optimiser steps</th><td>1</td>" in page
    assert "modality: timeseries" in run.recipe._repr_html_()
    table = results._repr_html_()
    assert table.count("<table>") == table.count("</table>") == 1
    assert all(f"<th>{name}</th>" in table for name in results.features)
    assert "Protocol" in table


def test_a_run_that_has_not_begun(tmp_path):
    (tmp_path / "recipe.yaml").write_text(recipe_of("smoke/ecg", {}).recipe.to_yaml())
    run = bam.load(tmp_path)
    with pytest.raises(DataError, match=r"expected a metrics\.csv; it has none, so it has not begun"):
        run.plot_training()
    assert "none yet" in run._repr_html_()


def test_importing_the_package_stays_cheap():
    code = "import bam_core as bam, sys; dir(bam); print(not {'torch', 'numpy', 'lightning'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "True"
