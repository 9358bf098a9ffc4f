"""Read data as a training would, say what was found, draw views, and write a recipe to start from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bam_core.config.build import Parts, assemble, read_data
from bam_core.config.recipe import Resolved, load_recipe
from bam_core.config.registry import load_modality
from bam_core.config.shipped_recipes import find_recipe
from bam_core.data import PreparedData
from bam_core.data.text_files import unpacked_name
from bam_core.doctor.findings import facts_in_words, findings
from bam_core.errors import DataError, RecipeError
from bam_core.planning.dry_run import DryRun, dry_run
from bam_core.reports.figures import gallery_drawing
from bam_core.reports.pages import Page, Section, Table, write_page
from bam_core.runs.evaluate_run import gallery, pictured_labels

STEPS = 1000  # that a first run should take
MOST_EPOCHS = 400


@dataclass(frozen=True)
class Examined:
    """What was seen.

    Attributes:
        recipe: to start from.
        data: as they were read.
        found: what may spoil training or evaluation, a sentence each.
        cost: of the recipe on these data.
    """

    recipe: Resolved
    data: PreparedData
    found: list[str]
    cost: DryRun

    @property
    def verdict(self) -> str:
        """In a sentence or two."""
        n_aside, n = len(self.data.set_aside), len(self.found)
        said = f"{len(self.data.splits['train']):,} rows to train on."
        said += f" {n_aside:,} input(s) cannot be used." if n_aside else ""
        if not n:
            return f"{said} Nothing speaks against training."
        return f"{said} 1 finding: look at it first." if n == 1 else f"{said} {n} findings: look at them first."


def examine(data: Path, modality: str, options: Mapping[str, Any]) -> Examined:
    """Read data with the recipe of their domain and look at them.

    Args:
        data: file or folder.
        modality: name of the domain.
        options: of the reader; `reader` may name another.

    Raises:
        DataError: there is nothing at the path, or nothing that can be used.
        RecipeError: no such domain or option, or no reader for such files.
    """
    if not data.exists():
        raise DataError(f"expected data at {str(data)!r}; there is nothing.")
    own = find_recipe(f"{modality}/own")
    adapter = load_modality(modality)
    suffix = (
        "" if data.is_dir() else "".join(part.suffix.lower() for part in dict.fromkeys((unpacked_name(data), data)))
    )
    usual = load_recipe(own, [f"data.path={data}"]).reader.name if "reader" not in options else options["reader"]
    readers = adapter.readers_of(suffix)
    if "reader" not in options and usual not in readers and not readers:
        known = ", ".join(kind or "a folder" for kind in adapter.reader_for_suffix)
        raise RecipeError(
            f"no reader of {modality!r} is known to take {suffix or 'a folder'}. Known: {known}. Give one of these, or "
            f"say who reads it, reader=NAME: {', '.join(adapter.readers)}."
        )
    reader = usual if "reader" in options or usual in readers else readers[0]
    section = {**options, "reader": reader, "path": str(data)}
    overrides = [f"data.{name}={_yaml(value)}" for name, value in section.items()]
    recipe = load_recipe(own, overrides)
    found = read_data(recipe)
    n = len(found.splits["train"])
    batch = min(recipe.train.batch_size, 2 ** max(3, int(math.log2(max(n // 4, 8)))))
    epochs = min(MOST_EPOCHS, max(5, math.ceil(STEPS * batch / n)))
    recipe = load_recipe(own, [*overrides, f"train.batch_size={batch}", f"train.epochs={epochs}"])
    return Examined(recipe, found, findings(recipe, found), dry_run(recipe, samples=max(2, n)))


def write_examined_page(path: Path, examined: Examined) -> Path:
    """Write the page: findings, views of real rows, what the data are, what training will cost.

    Args:
        path: of the HTML file; its folder must exist.
        examined: by `examine`.
    """
    parts: Parts = assemble(examined.recipe, examined.data)
    labels, classes = pictured_labels(examined.data, "train")
    picture = gallery_drawing(gallery(parts, parts.dataset("train"), labels, classes), parts.modality.draw)
    account = [(line.strip(),) for line in examined.data.account().splitlines()]
    listed = [(text,) for text in examined.found]
    sections = [
        Section("Findings", "What may spoil training or evaluation.", table=Table(("",), listed, open=True))
        if listed
        else Section("Findings", "None beyond what the reader says below."),
        Section(
            "What the reader says", "What was guessed, mended and left out.", table=Table(("",), account, open=True)
        ),
        Section("What the data are", table=Table(("", ""), facts_in_words(examined.data), open=True)),
        Section(
            "What training will cost",
            "Estimated from two steps on stand-ins of the domain, for the recipe below.",
            table=Table(("", ""), [_split(line) for line in examined.cost.table().splitlines()], open=True),
        ),
        Section("A recipe to start from", text=examined.recipe.recipe.to_yaml()),
    ]
    caption = (
        "Rows of train, untouched (left) and in the views that training would draw: is what you look for still there?"
    )
    return write_page(path, Page("Before the training", examined.verdict, picture, caption, sections))


def _split(line: str) -> tuple[str, str]:
    name, _, text = line.partition("  ")
    return name, text.strip()


def _yaml(value: Any) -> str:
    import yaml

    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("\n...\n").strip()
