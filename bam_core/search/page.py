"""The page of a search: every query with its neighbours, as the domain draws them."""

from pathlib import Path

import pandas as pd

from bam_core.errors import BAMError
from bam_core.reports.examples import about_lines, shown
from bam_core.reports.pages import Page, Section, Strip, write_page
from bam_core.runs.samples import Samples
from bam_core.search.search import Found

MOST_QUERIES = 12  # that a page shows


def write_search_page(path: Path, found: Found) -> Path:
    """Write the page and return its path.

    Args:
        path: of the HTML file; its folder must exist.
        found: by `bam_core.search.search.search`.
    """
    source = found.embeddings.source
    bank, problem = None, ""
    try:
        bank = Samples.of_source(found.recipe, found.encoder, source)
    except (BAMError, OSError) as error:
        problem = str(error)
    asked = bank if found.data is None else Samples(found.recipe, found.encoder, found.data)
    n, k = found.rows.shape
    strips = []
    for query in range(min(n, MOST_QUERIES)):
        about = found.queries.iloc[query]
        examples = [shown(asked, about, ["query", *about_lines(about)], strong=True)]
        for row, distance in zip(found.rows[query], found.distances[query], strict=True):
            neighbour = found.embeddings.about.iloc[row]
            examples.append(shown(bank, neighbour, [f"distance {distance:.3g}", *about_lines(neighbour)]))
        strips.append(Strip(examples, str(about["id"]) if n > 1 else ""))
    shown_of = f" The first {MOST_QUERIES} of {n:,} queries are shown." if n > MOST_QUERIES else ""
    hidden = f" Neighbours are named only, since their data cannot be read: {problem}" if problem else ""
    how = (
        f"Each query (framed) and its {k} nearest rows of {len(found.embeddings.matrix):,}, nearest first. The "
        "distance is 1 - cosine of the embeddings: 0 for the same direction, 1 for a right angle, 2 for the opposite."
        f"{' A graph of neighbours was used, which may miss some.' if found.approximate else ''}{shown_of}{hidden}"
    )
    title = f"Neighbours of {found.queries['id'].iloc[0]}" if n == 1 else f"Neighbours of {n:,} rows"
    made = [(name, str(source.get(name, ""))) for name in ("modality", "model", "network", "version")]
    made.append(("data", str((source.get("data") or {}).get("path"))))
    return write_page(
        path, Page(title, verdict(found), sections=[Section("Neighbours", how, strips=strips)], made=made)
    )


def verdict(found: Found) -> str:
    """What was found, in a sentence or two."""
    first = found.embeddings.about.iloc[found.rows[0, 0]]
    n, k = found.rows.shape
    whose = f"of {found.queries['id'].iloc[0]}" if n == 1 else f"of {n:,} queries"
    least, most = found.distances.min(), found.distances.max()
    said = f"The {k} nearest rows {whose} lie at distances from {least:.3g} to {most:.3g}."
    if n == 1 and "id" in first:
        said += f" The nearest is {first['id']}."
    return said + _same_class(found)


def _same_class(found: Found) -> str:
    about = found.embeddings.about
    if "class" not in about or "class" not in found.queries:
        return ""
    theirs = about["class"].to_numpy()[found.rows]
    mine = found.queries["class"].to_numpy()[:, None]
    known = pd.notna(mine) & pd.notna(theirs)
    if found.embeddings.about["class"].map(lambda value: isinstance(value, list)).any() or not known.any():
        return ""
    return f" {int((theirs == mine)[known].sum())} of {int(known.sum())} have the class of their query."
