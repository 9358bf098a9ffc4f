"""Templates, styles and scripts of the pages, from the files beside this one."""

from functools import cache
from importlib.resources import files
from typing import Any


def text(name: str) -> str:
    """The content of a file of this package."""
    return files("bam_core.reports").joinpath(name).read_text(encoding="utf-8")


@cache
def template(name: str) -> Any:
    """A jinja template, which escapes what it is given and refuses names that it is not given."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text(name))
