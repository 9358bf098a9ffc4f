"""The card of a saved network: what it is, from which data and views, labels that it is no good for, figures."""

from collections.abc import Mapping
from typing import Any

from bam_core.config.registry import choose, displayed, keyword_parameters
from bam_core.errors import BAMError
from bam_core.probes.results import Results
from bam_core.protocols import Modality

SHOWN_FACTS = {
    "in_channels": "channels",
    "channels": "names of the channels",
    "leads": "leads",
    "sampling_rate_hz": "sampling rate, Hz",
    "shape": "shape of a row",
    "image_size": "pixels",
    "shortest": "shortest, in steps",
    "longest": "longest, in steps",
    "numeric_names": "numbers",
    "categorical_names": "categories",
    "classes": "classes",
    "task": "kind of labels",
}
MOST = 20
EVALUATION = "evaluation"


def card_text(config: Mapping[str, Any], modality: Modality, *, kind: str, licence: str | None = None) -> str:
    """The card in Markdown, from what is saved with the weights.

    Args:
        config: as in `config.json`.
        modality: of the data.
        kind: name of the class that loads it.
        licence: of the weights, as Hugging Face abbreviates it.
    """
    source, facts = config.get("source") or {}, config.get("facts") or {}
    recipe = source.get("recipe") or {}
    objective = displayed((recipe.get("objective") or {}).get("name", "bam"))
    encoder = displayed(str(config["encoder"]["name"]))
    lines = [
        f"# {_title(kind)} of {_words(modality.name)}: {encoder}, {objective}",
        "",
        f"A network `{encoder}` that was pretrained with `{objective}` on {_words(modality.name)}, without labels, by "
        "[bam-ssl](https://pypi.org/project/bam-ssl)" + (", and fine-tuned with labels." if "task" in config else "."),
        "",
        *_use(kind),
        "## Data",
        "",
        *_data(recipe, source, facts),
        "",
        "## Views",
        "",
        *_views(recipe, modality),
        "",
        "## Training",
        "",
        *_training(recipe, source),
        "",
        "## Figures",
        "",
        *_figures(source.get(EVALUATION)),
        "",
        "## Licence",
        "",
        f"The weights: {licence}." if licence else "Of the weights none was stated. Their data may limit their use.",
        "bam-ssl itself is under Apache-2.0.",
    ]
    return "\n".join(lines) + "\n"


def evaluation_of(results: Results, ours: str | None = None) -> dict[str, Any]:
    """What a card says of an evaluation, as plain values."""
    return {
        "verdict": results.verdict(ours),
        "table": results.to_markdown(),
        "notes": list(results.notes),
    }


def _title(kind: str) -> str:
    return {"PretrainedClassifier": "Classifier", "PretrainedRegressor": "Regressor"}.get(kind, "Encoder")


def _words(name: str) -> str:
    return {"timeseries": "time series", "ecg": "ECGs", "tabular": "tables", "image": "images", "audio": "sounds"}.get(
        name, displayed(name)
    )


def _use(kind: str) -> list[str]:
    call = "encoder(batch)  # (n, width)" if kind == "PretrainedEncoder" else 'model.predict("new_data")'
    name = "encoder" if kind == "PretrainedEncoder" else "model"
    return ["```python", f"from bam_core import {kind}", "", f'{name} = {kind}.from_pretrained("FOLDER_OR_NAME")', call,
            "```", ""]  # fmt: skip


def _data(recipe: Mapping[str, Any], source: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    data = recipe.get("data") or {}
    rows = source.get("rows") or {}
    lines = [f"- read by `{displayed(str(data['reader']))}`"] if "reader" in data else []
    if rows:
        lines.append("- rows: " + ", ".join(f"{n:,} of {split}" for split, n in sorted(rows.items())))
    lines += [f"- {said}: {_listed(facts[name])}" for name, said in SHOWN_FACTS.items() if facts.get(name)]
    if source.get("data"):
        lines.append(f"- fingerprint: `{source['data']}`")
    return lines or ["Nothing is known of the data."]


def _listed(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    more = f" and {len(value) - MOST} more" if len(value) > MOST else ""
    return ", ".join(map(str, value[:MOST])) + more


def _views(recipe: Mapping[str, Any], modality: Modality) -> list[str]:
    views = dict(recipe.get("views") or {})
    name = views.pop("name", None)
    if name is None:
        return ["Nothing is known of the views."]
    risks = active_risks(str(name), views, modality)
    lines = [f"Pretraining taught the network to overlook what these changes (`{displayed(str(name))}`) vary."]
    if not risks:
        return [*lines, "No label is known to be destroyed by them."]
    lines += ["Labels that depend on it may be lost:", ""]
    return [*lines, *(f"- `{key}`: {labels}" for key, labels in risks.items())]


def active_risks(name: str, options: Mapping[str, Any], modality: Modality) -> dict[str, str]:
    """The changes that views make, and the labels that each may destroy; without those that are switched off.

    Args:
        name: of the views.
        options: that the recipe gives.
        modality: has the views.
    """
    try:
        factory = choose("views", name, modality.views, open_to="views")
    except BAMError:  # a file of one's own that is not here
        return dict(modality.label_risks)
    values = {p.name: p.default for p in keyword_parameters(factory)} | dict(options)

    def is_on(key: str) -> bool:
        own = [option for option in values if option == key or option.startswith(f"{key}_")]
        return bool(own) and not any(not values[option] for option in own if option in (key, f"{key}_p"))

    return {key: labels for key, labels in modality.label_risks.items() if is_on(key)}


def _training(recipe: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    train = recipe.get("train") or {}
    facts = {
        "optimiser steps": source.get("steps"), "epochs": train.get("epochs"), "batch size": train.get("batch_size"),
        "learning rate": train.get("learning_rate"), "seed": train.get("seed"), "minutes": source.get("minutes"),
    }  # fmt: skip
    lines = [f"- {name}: {value:,}" for name, value in facts.items() if isinstance(value, int | float)]
    return [*lines, "", "The whole recipe is in `config.json`, under `source`."]


def _figures(evaluation: Mapping[str, Any] | None) -> list[str]:
    if not evaluation:
        return ["It was not evaluated: `bam evaluate` or `bam finetune` would add a table here."]
    notes = [f"- {note}" for note in evaluation["notes"]]
    return [evaluation["verdict"].replace("\n", "  \n"), "", evaluation["table"], *notes]
