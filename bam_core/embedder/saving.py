"""A fitted embedder as a folder: safetensors, a readable config and the training curves; no pickle."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bam_core.config.registry import anchored
from bam_core.errors import DataError

if TYPE_CHECKING:
    from bam_core.embedder.estimator import BAMEmbedder

HISTORY = "history.csv"
_NOT_SAVED = ("modality", "random_state")
_LEARNT = (
    "set_aside_",
    "repairs_",
    "notes_",
    "n_steps_",
    "n_features_in_",
    "feature_names_in_",
    "_seed",
    "_options",
    "_columns",
    "_ranges",
    "_n_features_out",
)


def save(embedder: "BAMEmbedder", folder: str | Path) -> None:
    """Write a fitted embedder; see `BAMEmbedder.save`."""
    from bam_core.runs.pretrained import PretrainedEncoder

    modality = embedder.modality
    name = anchored(modality, Path()) if isinstance(modality, str) else modality.name
    state = {
        "params": {key: value for key, value in embedder.get_params(deep=False).items() if key not in _NOT_SAVED},
        "learnt": {key: getattr(embedder, key) for key in _LEARNT if hasattr(embedder, key)},
    }
    saved = PretrainedEncoder(
        modality=name,
        encoder=embedder._encoder_config,
        facts=embedder.facts_,
        source={"embedder": json.loads(json.dumps(state, default=_plain))},
        trusted=True,
    )
    saved.encoder.load_state_dict(embedder.encoder_.state_dict())
    saved.save_pretrained(folder)
    embedder.history_.to_csv(Path(folder) / HISTORY, index=False)


def load(cls: "type[BAMEmbedder]", folder: str | Path, trusted: bool) -> "BAMEmbedder":
    """Read what `save` wrote; see `BAMEmbedder.load`."""
    import pandas as pd

    from bam_core.runs.pretrained import PretrainedEncoder

    if not (Path(folder) / "config.json").is_file():
        raise DataError(f"expected a folder that BAMEmbedder.save wrote; {str(folder)!r} has no config.json.")
    saved = PretrainedEncoder.from_pretrained(folder, trusted=trusted)
    state = saved.source.get("embedder")
    if state is None:
        raise DataError(
            f"{str(folder)!r} holds an encoder that BAMEmbedder.save did not write. Load it with "
            "PretrainedEncoder.from_pretrained."
        )
    embedder = cls(saved.config["modality"], **state["params"])
    embedder.encoder_, embedder.facts_ = saved.encoder, saved.facts
    embedder._encoder_config = saved.config["encoder"]
    history = Path(folder) / HISTORY
    embedder.history_ = pd.read_csv(history) if history.is_file() else pd.DataFrame({"step": []})
    for name, value in state["learnt"].items():
        setattr(embedder, name, np.array(value, dtype=object) if name == "feature_names_in_" else value)
    return embedder


def _plain(value: Any) -> Any:
    """Numbers, arrays and mappings of other kinds as JSON knows them."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else dict[str, Any](value)
