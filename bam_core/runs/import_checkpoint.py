"""Encoders out of the checkpoints of the paper's authors, and of others that are laid out like these.

Such a file holds a dict with `model` beside `optimizer`, `epoch`, `args` (an `argparse.Namespace`) and sometimes more.
With a teacher, names of weights begin with `student.module.backbone.` or `teacher.backbone.`; without one with
`module.backbone.` or `backbone.`, or they are the network's own. Wrappers leave `module.` and `_orig_mod.` anywhere.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from bam_core.config.recipe import Resolved
from bam_core.config.weights import place_weights
from bam_core.errors import DataError, InputError
from bam_core.runs.pretrained import PretrainedEncoder

Network = Literal["student", "teacher"]
_WRAPPERS = frozenset(("module", "_orig_mod"))
_HEADS = frozenset(("proj_head", "projector"))


class Imported(NamedTuple):
    """What was taken from a checkpoint.

    Attributes:
        network: student or teacher; None for a file that does not distinguish them.
        n_tensors: of the encoder.
        n_left: tensors of the projector, which an encoder does not need.
        epoch: that the file says it was saved after, or None.
    """

    network: Network | None
    n_tensors: int
    n_left: int
    epoch: int | None


def import_checkpoint(file: Path, recipe: Resolved, folder: Path, *, network: Network | None = None) -> Imported:
    """Turn a checkpoint into an encoder that `PretrainedEncoder.from_pretrained` loads.

    Args:
        file: written by `torch.save`; nothing but tensors and plain values is unpickled, and no code runs.
        recipe: whose encoder it is; its data are not read, so its encoder section names all that data would tell.
        folder: to write; must not exist.
        network: student or teacher. Default: the teacher if there is one.

    Returns:
        What was taken.

    Raises:
        DataError: the file cannot be read, or a tensor of it has no place in the encoder, or the encoder gets none
            for one of its own; the message lists them.
        InputError: the folder exists, or there is no such network in the file.
    """
    if folder.exists():
        raise InputError(f"import-checkpoint expected a new folder; {str(folder)!r} exists.")
    state = _read(file)
    weights, found, n_left = _weights(state, network, file)
    facts = {k: v for k, v in recipe.modality.example().facts.items() if k in _FACTS}
    config = {"name": recipe.encoder.name, **recipe.encoder.with_facts(facts)}
    epoch = state["epoch"] if isinstance(state.get("epoch"), int) else None
    source = {"checkpoint": file.name, "network": found, "epoch": epoch}
    encoder = PretrainedEncoder(
        recipe.recipe.modality, config, facts={**facts, **config_facts(config, facts)}, source=source
    )
    place_weights(weights, encoder.encoder, f"checkpoint {file.name}", "Change the recipe's encoder, or its options.")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    encoder.save_pretrained(partial)
    partial.rename(folder)
    return Imported(found, len(weights), n_left, epoch)


_FACTS = frozenset(("in_channels", "image_size", "sampling_rate_hz", "shape", "mean", "std"))


def config_facts(config: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that the encoder's own options say."""
    return {name: config[name] for name in facts if name in config}


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataError(f"expected a checkpoint at {str(file)!r}; there is none.")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever zipfile, pickle or the file system do
        reason = " ".join(str(error).split())
        if "Unsupported global" in reason or "GLOBAL" in reason:
            named = reason.partition("GLOBAL ")[2].partition(" ")[0]
            raise DataError(
                f"checkpoint {file.name} holds objects of {named or 'a class'} that could run code when they are read, "
                "and is not opened. Save its weights alone, in the environment that wrote it: "
                "torch.save({'model': checkpoint['model']}, FILE)."
            ) from error
        raise DataError(f"checkpoint {file.name} cannot be read ({type(error).__name__}): {reason[:200]}") from error
    if not isinstance(state, dict):
        raise DataError(f"checkpoint {file.name} expected a dict; got {type(state).__name__}.")
    return state


def _weights(
    state: Mapping[str, Any], wanted: Network | None, file: Path
) -> tuple[dict[str, Tensor], Network | None, int]:
    """Weights of one backbone under their own names, whose it is, and how many tensors belong to its projector."""
    model = next((state[key] for key in ("model", "state_dict") if isinstance(state.get(key), Mapping)), state)
    tensors = {name: value for name, value in model.items() if isinstance(value, Tensor)}
    parts = {name: [p for p in name.split(".") if p not in _WRAPPERS] for name in tensors}
    roles = {path[0] for path in parts.values()} & {"student", "teacher"}
    if not tensors:
        raise DataError(
            f"checkpoint {file.name} expected weights under 'model'; it holds {', '.join(map(str, state))}."
        )
    if wanted is not None and wanted not in roles:
        raise InputError(
            f"checkpoint {file.name} has no {wanted}; it has {' and '.join(sorted(roles)) or 'one network, unnamed'}."
        )
    role: Any = wanted or ("teacher" if "teacher" in roles else "student" if roles else None)
    weights: dict[str, Tensor] = {}
    n_left = 0
    for name, path in parts.items():
        if role is not None:
            if path[0] in roles and path[0] != role:
                continue
            path = path[1:] if path[0] == role else path
        if path[0] in _HEADS:
            n_left += 1
            continue
        weights[".".join(path[1:] if path[0] == "backbone" else path)] = tensors[name]
    return weights, role, n_left
