"""docs/public_api.md names all that is public, and nothing that is not there."""

import re
from pathlib import Path

import bam_core
import bam_core.testing
from bam_core import protocols
from bam_core.cli import COMMANDS

PAGE = (Path(__file__).parents[1] / "docs" / "public_api.md").read_text(encoding="utf-8")
ROWS = {cells[0]: set(re.findall(r"`([^`]+)`", cells[1])) for cells in re.findall(r"^\| (.+?) \| (.+) \|$", PAGE, re.M)}


def test_every_public_name_is_listed():
    kinds = list(ROWS)
    listed = [ROWS[kind] for kind in kinds[kinds.index("from data to results") :]]
    assert set().union(*listed) == set(bam_core.__all__)
    assert sum(map(len, listed)) == len(bam_core.__all__)
    assert all(hasattr(bam_core, name) for name in bam_core.__all__)


def test_every_command_is_listed():
    assert {name.removeprefix("bam ") for name in ROWS["commands"] if not name.startswith("--")} == set(COMMANDS)


def test_every_protocol_is_listed():
    public = {
        name
        for name in vars(protocols)
        if getattr(getattr(protocols, name), "__module__", "") == protocols.__name__ and not name.startswith("_")
    }
    assert ROWS["protocols for your own parts"] - {"bam_core.protocols"} == public | {"Batch"}
