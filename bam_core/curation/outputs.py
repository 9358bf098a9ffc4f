"""What a curation leaves: a parquet file with a column for each finding, and a page."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from bam_core.curation.curate import Curated, curate
from bam_core.curation.page import write_curation_page
from bam_core.errors import BAMError, InputError
from bam_core.outputs import make_folder, written
from bam_core.runs.embedding_file import Embeddings, model_hash
from bam_core.runs.run_folder import load_encoder, load_run
from bam_core.runs.samples import Samples


def curate_file(
    embeddings: Path | pd.DataFrame,
    output: Path,
    *,
    labels: str | None = None,
    groups: str | None = None,
    run_folder: Path | None = None,
    trusted: bool = False,
) -> tuple[Curated, Path]:
    """Look through embeddings, and write the table and the page.

    Args:
        embeddings: see `curate`, as for labels and groups.
        output: parquet file; the page has the same name with `.html`.
        labels: column.
        groups: column.
        run_folder: of the run, to draw examples; default: where it was when the embeddings were made.
        trusted: run the Python files that the run names, also if somebody else made it.

    Returns:
        What was found, and the path of the page.

    Raises:
        InputError: another suffix, or a run that did not make the embeddings.
        BAMError: see `curate`.
    """
    if output.suffix != ".parquet":
        raise InputError(f"-o expected a file .parquet; got {str(output)!r}.")
    found = curate(embeddings, labels=labels, groups=groups)
    samples = None
    try:
        samples = samples_of(found.embeddings, run_folder, trusted=trusted)
    except (BAMError, OSError) as error:
        if run_folder is not None:
            raise
        found = replace(found, notes=[*found.notes, f"Rows are named and not drawn: {error}"])
    make_folder(output.parent)
    with written(output) as partial:
        found.table.to_parquet(partial, index=False)
    return found, write_curation_page(output.with_suffix(".html"), found, samples)


def samples_of(embeddings: Embeddings, run_folder: Path | None, *, trusted: bool = False) -> Samples:
    """Samples behind embeddings.

    Args:
        embeddings: as they were read.
        run_folder: of the run; default: where it was when the embeddings were made.
        trusted: run the Python files that the run names, also if somebody else made it.

    Raises:
        InputError: the run did not make the embeddings, or they do not name one.
        BAMError: the run or the data cannot be read.
    """
    source = embeddings.source
    folder = run_folder or (Path(source["run"]) if source.get("run") else None)
    if folder is None:
        raise InputError("the embeddings do not say which run made them; --run names it.")
    recipe = load_run(folder, trusted=trusted)
    encoder = load_encoder(folder, teacher=source.get("network") == "teacher", trusted=trusted)
    if model_hash(encoder) != source.get("model"):
        raise InputError(f"--run expected the run that made the embeddings; {str(folder)!r} did not.")
    return Samples.of_source(recipe, encoder, source)
