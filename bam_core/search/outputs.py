"""What a search leaves: a table on the terminal, a file of it, a page."""

from collections.abc import Sequence
from pathlib import Path

from bam_core.errors import InputError
from bam_core.outputs import make_folder, written
from bam_core.search.page import verdict, write_search_page
from bam_core.search.search import Found

SUFFIXES = (".csv", ".parquet", ".html")
MOST_LINES = 60


def check_outputs(paths: Sequence[Path]) -> None:
    """See that every file is of a kind that can be written.

    Raises:
        InputError: another suffix.
    """
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"-o expected a file {', '.join(SUFFIXES)}; got {str(path)!r}.")


def write_outputs(paths: Sequence[Path], found: Found) -> None:
    """Write the table or the page, as the suffixes say.

    Raises:
        InputError: another suffix.
    """
    check_outputs(paths)
    for path in paths:
        make_folder(path.parent)
        if path.suffix.lower() == ".html":
            write_search_page(path, found)
            continue
        with written(path) as partial:
            if path.suffix.lower() == ".csv":
                found.table.to_csv(partial, index=False)
            else:
                found.table.to_parquet(partial, index=False)


def shown_on_terminal(found: Found) -> str:
    """The verdict and the table, a line a neighbour."""
    table = found.table.drop(columns=["label", "seen_in_training"], errors="ignore")
    if len(found.queries) == 1:
        table = table.drop(columns="query")
    more = f"\n... and {len(table) - MOST_LINES:,} more: -o FILE.csv" if len(table) > MOST_LINES else ""
    shown = table.head(MOST_LINES).to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep="")
    return f"{verdict(found)}\n{shown}{more}"
