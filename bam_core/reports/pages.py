"""Pages of examples: a sentence and a picture first, then sections of examples and tables; one file, no scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bam_core.outputs import write_text
from bam_core.reports.figures import Drawing
from bam_core.reports.templates import template, text


@dataclass(frozen=True)
class Example:
    """A row of data on a page.

    Attributes:
        name: its id.
        lines: what is known of it.
        picture: of it, if it can be drawn.
        strong: whether it is what the others are shown for.
    """

    name: str
    lines: Sequence[str] = ()
    picture: Drawing | None = None
    strong: bool = False


@dataclass(frozen=True)
class Strip:
    """Examples side by side.

    Attributes:
        examples: from left to right.
        title: above them.
    """

    examples: Sequence[Example]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: their names.
        rows: a text for each column.
        more: what is said beneath, such as how many rows are not shown.
        open: whether it is shown unfolded.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: str = ""
    open: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: heading.
        said: what is shown, and how it was found.
        picture: first.
        strips: of examples.
        table: below, folded.
        text: last, as it is.
    """

    title: str
    said: str = ""
    picture: Drawing | None = None
    strips: Sequence[Strip] = ()
    table: Table | None = None
    text: str = ""


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: heading.
        verdict: what was found, in a sentence or a few.
        picture: beside it.
        caption: of the picture.
        sections: in order.
        made: how it was made, name -> text.
    """

    title: str
    verdict: str
    picture: Drawing | None = None
    caption: str = ""
    sections: Sequence[Section] = ()
    made: Sequence[tuple[str, str]] = ()


def write_page(path: Path, page: Page) -> Path:
    """Write a page and return its path.

    Args:
        path: of the HTML file; its folder must exist.
        page: what to show.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(Path(folder) / "a.html", Page("Neighbours", "Two rows.")).name
        'a.html'
    """
    write_text(path, template("page.html.jinja").render(page=page, style=text("base.css") + text("style.css")))
    return path
