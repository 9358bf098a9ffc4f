"""The options of what a recipe names, with type, default and a line from the docstring, for `bam recipes show`."""

import inspect
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from bam_core.config.options import FILLED_IN, Named, option_types
from bam_core.config.recipe import Resolved
from bam_core.config.registry import displayed, keyword_parameters

ELSEWHERE = re.compile(r"see `(?:\w+\.)*(?P<name>\w+)`")


class Option(NamedTuple):
    """One option of a reader, views, an encoder or an objective.

    Attributes:
        name: key in the section of the recipe.
        kind: its type, as it is written in Python.
        value: that the recipe gives, or the default; "needed" where there is none, or "from the data", whose facts
            fill it in.
        is_given: whether the recipe gives it.
        about: the first sentence of its docstring.
    """

    name: str
    kind: str
    value: str
    is_given: bool
    about: str


def options_of(named: Named, others: Collection[Callable[..., Any]] = ()) -> list[Option]:
    """All options of what a section names, in the order of the signature.

    Args:
        named: what the section names.
        others: where a docstring sends the reader, as in "see `read_folder`"; their words are taken.
    """
    types = option_types(named.factory)
    found = []
    about = about_options(named.factory, others)
    for parameter in keyword_parameters(named.factory):
        if parameter.name in FILLED_IN:
            continue
        is_given = parameter.name in named.options
        value = named.options[parameter.name] if is_given else parameter.default
        is_open = value is inspect.Parameter.empty
        found.append(
            Option(
                parameter.name,
                type_in_words(types[parameter.name]),
                repr(value) if not is_open else "needed" if named.section == "data" else "from the data",
                is_given,
                first_sentence(about[parameter.name]),
            )
        )
    return found


def about_options(factory: Callable[..., Any], others: Collection[Callable[..., Any]] = ()) -> dict[str, str]:
    """Argument -> what its docstring says, in full also where that sends the reader to another one.

    Args:
        factory: with a docstring in the style of Google.
        others: where a docstring sends the reader, as in "see `read_folder`"; their words are taken.
    """
    beside = vars(sys.modules[factory.__module__]).values()
    bases = inspect.getmro(factory) if inspect.isclass(factory) else ()
    mentioned = set(re.findall(r"`(?:\w+\.)*(\w+)`", inspect.getdoc(factory) or ""))
    known: dict[str, dict[str, str]] = {}
    for one in (*beside, *others, *bases):
        if getattr(one, "__name__", "") in mentioned or one in others:
            known[one.__name__] = _in_full(about_arguments(one))
    found = _in_full(about_arguments(factory))
    rest = next((text for name, text in found.items() if name.startswith("**")), "")
    found = {parameter.name: rest for parameter in keyword_parameters(factory)} | found
    for name in found:
        while (sent := ELSEWHERE.match(found[name])) and name in known.get(sent["name"], {}):
            found[name] = known[sent["name"]][name]
    return found


def options_table(resolved: Resolved) -> str:
    """A text: for reader, views, encoder and objective a line an option; a star marks what the recipe gives."""
    lines = []
    tables: Mapping[str, Mapping[str, Callable[..., Any]]] = {
        "data": resolved.modality.readers,
        "views": resolved.modality.views,
        "encoder": resolved.modality.encoders,
    }
    for named in (resolved.reader, resolved.views, resolved.encoder, resolved.objective):
        key = "reader" if named.section == "data" else "name"
        options = options_of(named, tables.get(named.section, {}).values())
        lines.append(f"{named.section}: {key}={displayed(named.name)}, {len(options)} option(s)")
        for option in options:
            mark = "*" if option.is_given else " "
            lines.append(f" {mark} {named.section}.{option.name}={option.value}  ({option.kind})")
            lines += [f"       {option.about}"] * bool(option.about)
    return "\n".join([*lines, "", "* given by the recipe; the others have their defaults."])


def about_arguments(factory: Callable[..., Any]) -> dict[str, str]:
    """Argument -> what the docstring of a function or class says under `Args:`.

    Example:
        >>> about_arguments(about_arguments)
        {'factory': 'with a docstring in the style of Google.'}

    Args:
        factory: with a docstring in the style of Google.
    """
    function = getattr(factory, "func", factory)  # of a partial, what it calls
    doc = inspect.getdoc(function) or ""
    if inspect.isclass(function) and "Args:" not in doc:
        doc = inspect.getdoc(function.__init__) or ""
    _, _, section = doc.partition("Args:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        started = re.match(r"    (\*{0,2}\w+): (.*)", line)
        if started:
            name = started[1]
            found[name] = started[2].strip()
        elif line.startswith("        ") and name:
            found[name] += f" {line.strip()}"
        else:
            break
    return found


def _in_full(about: Mapping[str, str]) -> dict[str, str]:
    """With "see `read_folder`" wherever it says "as there"."""
    there, found = "", {}
    for name, text in about.items():
        sent = ELSEWHERE.search(text)
        there = f"see `{sent['name']}`" if sent else there
        found[name] = there if text.startswith("as there") and there else text
    return found


def first_sentence(text: str) -> str:
    """Up to the first full stop, or the first semicolon, that ends a thought.

    Example:
        >>> first_sentence("cut at 0.5 s; others are longer. None: whole files.")
        'cut at 0.5 s'
    """
    return re.split(r"[.;](?:\s|$)", text, maxsplit=1)[0].strip()


def type_in_words(hint: Any) -> str:
    """A type as Python writes it, without the names of modules.

    Example:
        >>> type_in_words(int | None), type_in_words(dict[str, int])
        ('int | None', 'dict[str, int]')
    """
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)
