"""How sphinx builds the site: the pages of this folder as they are, and two references from the docstrings."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import bam_core  # noqa: E402
from bam_core.config.option_docs import about_options  # noqa: E402

project = "bam-ssl"
author = "the bam-ssl developers"
copyright = f"{author}. Apache-2.0"
release = version = bam_core.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["results/**", "images/**"]

default_role = "code"  # `name` in a docstring

html_theme = "furo"
html_title = "bam-ssl"
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # notebooks are run by tests/test_notebooks.py, and keep their outputs
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Source", "notes_style"), ("Warns", "notes_style")]

DOMAINS = {
    "ecg": "ECG",
    "timeseries": "Time series",
    "tabular": "Tables",
    "audio": "Audio",
    "image": "Images",
}
OUTSIDE = {"](docs/": "](", "](CHANGELOG.md)": "](changelog.md)", "](CONTRIBUTING.md)": "](contributing.md)"}


def setup(app: Any) -> None:
    """Called by sphinx."""
    app.connect("builder-inited", write_options)
    app.connect("include-read", from_the_folder_above)
    app.connect("autodoc-process-docstring", say_in_full, priority=100)  # before napoleon


def from_the_folder_above(app: Any, path: Path, parent: str, content: list[str]) -> None:
    """Links of a page that is included from the root of the project."""
    for there, here in OUTSIDE.items():
        content[0] = content[0].replace(there, here)


TOGETHER: dict[Any, list[Any]] = {}  # a reader, views or an encoder -> all of its kind in its domain


def say_in_full(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What a docstring says of an option by "as there" or "see `read_folder`", in full."""
    if what not in ("function", "class") or obj not in TOGETHER:
        return
    texts, found, skipping = about_options(obj, TOGETHER[obj]), [], False
    for line in lines:
        started = re.match(r"    (\w+): ", line)
        if started and started[1] in texts:
            found.append(f"    {started[1]}: {texts[started[1]]}")
            skipping = True
        elif not (skipping and line.startswith("        ")):
            found.append(line)
            skipping = False
    lines[:] = found


def write_options(app: Any) -> None:
    """docs/options/DOMAIN.md: every reader, view and encoder with its options, from the docstrings."""
    folder = HERE / "options"
    folder.mkdir(exist_ok=True)
    for name, title in DOMAINS.items():
        modality = import_module(f"modalities.{name}").MODALITY
        kinds = {
            f"Readers: `data.reader`, of `modality: {name}`": modality.readers,
            "Views: `views.name`": modality.views,
            "Encoders: `encoder.name`": modality.encoders,
        }
        lines = [f"# {title}: every option", ""]
        for heading, parts in kinds.items():
            lines += [f"## {heading}", ""]
            for part, function in parts.items():
                TOGETHER[function] = list(parts.values())
                kind = "autoclass" if isinstance(function, type) else "autofunction"
                lines += [f"### {part}", "", "```{eval-rst}"]
                lines += [f".. {kind}:: {function.__module__}.{function.__qualname__}", "   :no-index:", "```", ""]
        page, text = folder / f"{name}.md", "\n".join(lines)
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
