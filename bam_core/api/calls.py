"""Where work begins: `pretrain`, `load` and `compare`."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from bam_core.api.recipes import RecipeLike, recipe_of, short_name
from bam_core.api.rows import in_memory, modality_of, on_rows, split_options
from bam_core.api.run import Run
from bam_core.errors import InputError, RecipeError
from bam_core.probes.results import Results
from bam_core.runs.run_folder import load_run, new_run


def pretrain(
    recipe: RecipeLike,
    *,
    data: Any = None,
    labels: Any = None,
    groups: Any = None,
    folder: str | PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    trusted: bool = False,
    **overrides: Any,
) -> Run:
    """Pretrain an encoder, without labels; what `bam pretrain` does.

    A folder that holds an unfinished run of the same recipe is continued, to the bit; a finished one is left alone.

    Args:
        recipe: a name such as "ecg/own" (`bam recipes` lists them), the path of a YAML file, a mapping of sections, or
            a `Recipe`.
        data: a path; options of the reader; or rows in memory: an array (n, t) or (n, channels, t) of series or ECGs,
            a list of such arrays of unequal length, an array of images, a list of waveforms, or a DataFrame. Rows are
            written into the folder of the run, where they stay for `evaluate` and to go on. What belongs to them is an
            option, such as `data__sampling_rate_hz=250`.
        labels: of rows in memory: (n,) classes or numbers, None for none; (n, k) of 0 and 1; a list of names for each
            row; or the name of a column of a DataFrame. Pretraining does not look at them.
        groups: of rows in memory: (n,) what must stay together, such as a person; or the name of a column.
        folder: of the run. Default: runs/NAME-DATE in the current folder.
        resume: insist that there is something to continue.
        progress: show a bar.
        trusted: run the Python files that a recipe file names, see docs/security.md.
        **overrides: of the recipe's values: a section in part, `train={"epochs": 5}`, or one value,
            `train__epochs=5`.

    Returns:
        The finished run.

    Raises:
        InputError: labels or groups of data that are not in memory; rows that lack an option, or do not fit the domain.
        BAMError: mistakes in the recipe, data that cannot be used, a folder with something else in it, NaN in a step.
        KeyboardInterrupt: it was interrupted; the same call with `folder` goes on.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = pretrain("smoke/ecg", folder=f"{folder}/run", train__epochs=1, progress=False)
        ...     run.encoder().facts["classes"]  # doctest: +ELLIPSIS
        Data: 64 rows (test 16, train 48)...
        ['slow', 'fast']

        >>> import numpy as np
        >>> signals = np.random.default_rng(0).normal(size=(40, 2, 60))
        >>> person = np.arange(40) // 4
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = pretrain("timeseries/own", data=signals, labels=person % 2, groups=person, folder=f"{folder}/run",
        ...                    train__epochs=1, encoder__d=8, progress=False)  # fmt: skip
        ...     len(run.embed(signals[:3]))  # doctest: +ELLIPSIS
        Data: 40 rows (test 8, train 32)...
        3
    """
    from bam_core.runs.pretrain import pretrain

    if in_memory(data):
        options, others = split_options(overrides)
        modality, name = modality_of(recipe, others, trusted=trusted)
        target = new_run(name) if folder is None else Path(folder)
        recipe, overrides = on_rows(modality, recipe, data, target, labels, groups, options, others)
    else:
        if labels is not None or groups is not None:
            raise InputError(
                "labels and groups are those of rows in memory. For files they are options of the reader, such as "
                'data={"path": "FOLDER", "label": "labels.csv:diagnosis"}.'
            )
        overrides = overrides if data is None else {"data": data, **overrides}
    checked = recipe_of(recipe, overrides, trusted=trusted)
    if not in_memory(data):
        target = new_run(short_name(recipe, checked.recipe)) if folder is None else Path(folder)
    return Run(pretrain(checked, target, resume=resume, progress=progress))


def load(folder: str | PathLike[str], *, trusted: bool = False) -> Run:
    """Open the folder of a run.

    Args:
        folder: that `pretrain` or `bam pretrain` made.
        trusted: run the Python files that the run names, also if somebody else made it.

    Raises:
        RecipeError: the folder is no run, or names a Python file that is not trusted.
    """
    load_run(Path(folder), trusted=trusted)
    return Run(Path(folder), trusted=trusted)


def compare(
    recipe: RecipeLike,
    objectives: Sequence[str],
    *,
    folder: str | PathLike[str] | None = None,
    seeds: int = 3,
    trusted: bool = False,
    **overrides: Any,
) -> Results:
    """Pretrain and evaluate several objectives on equal terms; what `bam compare` does.

    Every trial runs in a process of its own. Those that are finished in `folder` are not run again.

    Args:
        recipe: see `pretrain`.
        objectives: names, or names with options such as "bam:epsilon=0.05".
        folder: of the comparison. Default: runs/compare-NAME in the current folder.
        seeds: training seeds of each.
        trusted: run the Python files that a recipe file names.
        **overrides: see `pretrain`.

    Returns:
        The table, with raw features, baselines and the untrained encoder first. A page is in `folder`, report.html.

    Raises:
        BAMError: mistakes in recipe or objectives, data without labels, or trials that failed.
    """
    from bam_core.comparison.compare import compare_on

    if isinstance(objectives, str):
        raise RecipeError(f"compare expected a list of objectives, such as [{objectives!r}]; got one text.")
    checked = recipe_of(recipe, overrides, trusted=trusted)
    target = Path("runs") / f"compare-{short_name(recipe, checked.recipe)}" if folder is None else Path(folder)
    return compare_on(checked, objectives, target, n_seeds=seeds)
