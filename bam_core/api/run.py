"""`Run`: a run folder in Python."""

from collections.abc import Mapping
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bam_core.api.recipes import plain
from bam_core.api.rows import data_options, split_options
from bam_core.config.recipe import Resolved
from bam_core.config.registry import displayed
from bam_core.config.schema import Recipe
from bam_core.errors import DataError
from bam_core.probes.results import Results
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import end_of_run, load_encoder, load_run, steps_of_encoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bam_core.finetuning.finetune import Finetuned


class Run:
    """A pretraining run: a folder with recipe, curves, checkpoints and the encoder.

    `bam_core.pretrain` makes one, `bam_core.load` opens one.

    Args:
        folder: of the run.
        trusted: run the Python files that it names, also if somebody else made it.

    Attributes:
        folder: as given.
    """

    def __init__(self, folder: str | PathLike[str], *, trusted: bool = False) -> None:
        self.folder = Path(folder)
        self._trusted = trusted

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was begun with, defaults included."""
        return self._resolved.recipe

    @property
    def _resolved(self) -> Resolved:
        return load_run(self.folder, trusted=self._trusted)

    @property
    def metrics(self) -> pd.DataFrame:
        """The training log: a row for every measured step.

        Raises:
            DataError: nothing was logged yet.
        """
        path = self.folder / "metrics.csv"
        if not path.is_file():
            raise DataError(f"the run {str(self.folder)!r} expected a metrics.csv; it has none, so it has not begun.")
        return pd.read_csv(path)

    @property
    def results(self) -> Results | None:
        """The table of the last evaluation, if there was one."""
        path = self.folder / "results.json"
        return Results.load(path) if path.is_file() else None

    def encoder(self, *, teacher: bool = False) -> PretrainedEncoder:
        """The trained network, batch -> (b, d), with the facts of its data.

        Args:
            teacher: the teacher's, of a run with `objective.momentum`.

        Raises:
            RecipeError: there is none yet.
        """
        return load_encoder(self.folder, teacher=teacher, trusted=self._trusted)

    def evaluate(
        self, *, teacher: bool = False, cross_validation: int | Literal["leave_one_group_out"] | None = None
    ) -> Results | None:
        """Evaluate the frozen encoder with probes; what `bam evaluate` does.

        Args:
            teacher: evaluate the teacher's encoder.
            cross_validation: evaluate on folds of all labelled rows as well: so many, by group where there are groups,
                or "leave_one_group_out". The encoder stays the same. Default: as the recipe says.

        Returns:
            The table: raw features, baselines, the untrained encoder, and ours. None without labels for a test split.
            `results.json` and `report.html` are in the folder. With cross-validation the table of that: means over the
            folds, what these are (`folds`), and their scores (`rows[i].values`); also in `cross_validation.json`.

        Raises:
            BAMError: no encoder yet, or other data than the run was begun with; too few groups for the folds.
        """
        from bam_core.runs.evaluate_run import evaluate_run

        return evaluate_run(self.folder, teacher=teacher, trusted=self._trusted, cross_validation=cross_validation)

    def embed(self, data: Any, *, teacher: bool = False, **options: Any) -> pd.DataFrame:
        """Embed files, arrays or a DataFrame, read and scaled as the training data were.

        What was guessed, mended or left out is printed.

        Args:
            data: a path; or rows in memory as `BAMEmbedder` takes them: an array, a list of arrays of unequal lengths,
                or a DataFrame.
            teacher: use the teacher's encoder.
            **options: of the reader, or of the modality's `from_memory`, such as `sampling_rate_hz=500`.

        Returns:
            A row for each record, window or row: `id` (of rows in memory their place, "3", or of parts "3@0"), then
            what else is known of it, such as `start_s`, `split`, `seen_in_training`, `label` and `class`, see
            `bam embed --help`, then the embedding as e0, e1, ...

        Raises:
            BAMError: data or options do not fit the encoder.
        """
        from bam_core.runs.embed import embed_new

        rows = Path(data) if isinstance(data, str | PathLike) else data
        found = embed_new(self._resolved, self.encoder(teacher=teacher), rows, plain(options), folder=self.folder)
        print(found.data.account(), flush=True)
        return found.table

    def search(
        self,
        query: Any,
        embeddings: str | PathLike[str] | pd.DataFrame,
        *,
        k: int = 10,
        exact: bool | None = None,
        page: str | PathLike[str] | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """The rows most like a query, by the cosine of their embeddings; what `bam search` does.

        Args:
            query: an id that is in the embeddings; else a path, or rows in memory as `embed` takes them.
            embeddings: what `embed` returned, or a file that `bam embed` wrote.
            k: neighbours of each query.
            exact: find all of them, or by a graph (usearch). Default: by a graph above 500,000 rows, if that is
                installed.
            page: HTML file to write, which shows queries and neighbours as signals, pictures or rows.
            **options: of the reader of the query.

        Returns:
            A row for each neighbour: `query`, `rank`, `distance` (1 - cosine, from 0 to 2), and what is known of it.

        Raises:
            BAMError: embeddings of another encoder, or a query that is neither an id nor data of the domain.
        """
        from bam_core.search.outputs import write_outputs
        from bam_core.search.search import search

        where = embeddings if isinstance(embeddings, pd.DataFrame) else Path(embeddings)
        found = search(self.folder, query, where, k=k, exact=exact, options=plain(options), trusted=self._trusted)
        write_outputs([] if page is None else [Path(page)], found)
        return found.table

    def finetune(
        self,
        *,
        data: Any = None,
        labels: Any = None,
        groups: Any = None,
        folder: str | PathLike[str] | None = None,
        teacher: bool = False,
        **settings: Any,
    ) -> "Finetuned":
        """Train a classifier or regressor from the encoder and labels; what `bam finetune` does.

        Beside it stand the same network from scratch, the linear probe, raw features and the baselines of the domain,
        from the same labels and evaluated on the same rows.

        Args:
            data: labelled data. Default: those of the run. A path is that of other data; a mapping holds options of the
                reader, such as {"label": "labels.csv:diagnosis"}, and perhaps `path` and `test_path`. Rows in memory
                are as in `bam_core.pretrain`; they are written into the run folder, and a fifth is held out as test.
            labels: of rows in memory, see `bam_core.pretrain`.
            groups: of rows in memory, as there.
            folder: to write into. Default: finetune-HASH in the run folder.
            teacher: start from the teacher's encoder.
            **settings: `freeze`, `fraction`, `seeds`, `epochs`, ...; see `bam finetune --help`; and options of the
                reader as `data__NAME=VALUE`.

        Returns:
            The table, the model (`.model()`), and where the page is.

        Raises:
            BAMError: no encoder yet, wrong settings or options, or no labels; labels of data that are not in memory.
            KeyboardInterrupt: it was interrupted; the same call goes on.
        """
        from bam_core.finetuning.finetune import finetune

        options, settings = split_options(settings)
        encoder = self.encoder(teacher=teacher)
        options = data_options(encoder.modality, self.folder, data, labels, groups, plain(options), encoder.facts)
        return finetune(
            self.folder,
            plain(settings),
            options,
            output=None if folder is None else Path(folder),
            teacher=teacher,
            trusted=self._trusted,
        )

    def report(self) -> Path:
        """The page on the run; it is evaluated first if that has not been done.

        Returns:
            The path of `report.html`.

        Raises:
            BAMError: as `evaluate`.
        """
        path = self.folder / "report.html"
        if not path.is_file():
            self.evaluate()
        return path

    def plot_training(self) -> "Figure":
        """The curves of the training: loss, entropies, RankMe and others that were measured.

        Raises:
            DataError: nothing was logged yet.
        """
        from bam_core.reports.plots import training_figure

        metrics = self.metrics
        uniform = metrics["uniform_loss"].iloc[-1] if "uniform_loss" in metrics else None
        return training_figure(metrics, uniform_loss=uniform)

    def plot_map(
        self, *, split: str | None = None, layout: Literal["pca", "tsne"] = "pca", teacher: bool = False
    ) -> "Figure":
        """The embeddings of a split in two dimensions, coloured by label where there are labels.

        Args:
            split: of the data. Default: test, or train where there is no test.
            layout: principal components, or t-SNE.
            teacher: use the teacher's encoder.

        Raises:
            BAMError: no encoder yet, or no such split or layout.
        """
        from bam_core.config.build import read_data
        from bam_core.data import SplitDataset
        from bam_core.reports.plots import map_figure
        from bam_core.runs.evaluate_run import pictured_labels
        from bam_core.runs.features import embed

        data, encoder = read_data(self._resolved), self.encoder(teacher=teacher)
        split = split or ("test" if "test" in data.splits else "train")
        if split not in data.splits:
            raise DataError(f"plot_map expected one of the splits {', '.join(data.splits)}; got {split!r}.")
        rows = SplitDataset(data.splits[split], encoder.modality.collate, data.facts)
        return map_figure(embed(encoder, rows, what=f"embedding {split}"), *pictured_labels(data, split), layout=layout)

    def plot_views(self, n_samples: int = 4) -> "Figure":
        """Samples of train, each untouched and in the views that training draws of it.

        Args:
            n_samples: rows of the picture.

        Raises:
            BAMError: the data cannot be read any more.
        """
        from bam_core.config.build import build
        from bam_core.reports.plots import views_figure
        from bam_core.runs.evaluate_run import gallery, pictured_labels

        parts = build(self._resolved)
        labels, classes = pictured_labels(parts.data, "train")
        made = gallery(parts, parts.dataset("train"), labels, classes, n_samples)
        return views_figure(made, parts.modality.draw)

    def _repr_html_(self) -> str:
        """What notebooks show: what the run is, how its training ended, and the table if it was evaluated."""
        recipe = self.recipe
        end, steps = end_of_run(self.folder), steps_of_encoder(self.folder)
        about: Mapping[str, str] = {
            "folder": str(self.folder),
            "modality": displayed(recipe.modality),
            "encoder": recipe.encoder["name"],
            "objective": displayed(recipe.objective["name"]),
            "optimiser steps": "none yet" if steps is None else f"{steps:,}",
            **({} if end is None else {"training": end.words}),
        }
        lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in about.items())
        results = self.results
        return f"<table>{lines}</table>" + ("" if results is None else results._repr_html_())
