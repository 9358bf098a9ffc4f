"""Arguments that several commands have. Standard library only: `bam recipes` works after a plain install."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from bam_core.errors import RecipeError


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Declare --trust, for commands that may run a Python file which a recipe or a run names."""
    parser.add_argument(
        "--trust", action="store_true", help="run the Python files that the recipe or the run names; read them first"
    )


def split_overrides(overrides: Iterable[str]) -> tuple[list[str], Path | None, bool]:
    """Take `run=FOLDER` and `resume=true` out of the overrides; the rest belongs to the recipe."""
    rest, run, resume = [], None, False
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "run":
            run = Path(value)
        elif key == "resume":
            resume = value.lower() in ("true", "yes", "1")
        else:
            rest.append(override)
    if resume and run is None:
        raise RecipeError("resume=true expected the folder of the run as well: run=runs/NAME.")
    return rest, run, resume
