"""Weights that somebody has trained, put into an encoder: all find their place, or an error lists those that do not."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from bam_core.errors import DataError

_SHOWN = 20
_FILE = "model.safetensors"


def load_weights(path: Path, encoder: nn.Module) -> None:
    """Put the weights of a saved encoder into another one.

    Args:
        path: a folder that `PretrainedEncoder.save_pretrained` wrote, a run (its encoder; its teacher is the folder
            `teacher` in it), or a file of safetensors with the encoder's tensors.
        encoder: its weights are replaced.

    Raises:
        DataError: no such file, or one that is damaged or of another kind; tensors that do not fit, see
            `place_weights`.
    """
    files = [path / _FILE, path / "encoder" / _FILE] if path.is_dir() else [path]
    file = next((file for file in files if file.is_file()), None)
    if file is None or file.suffix != ".safetensors":
        why = "which holds no weights" if path.exists() else "which is not there"
        raise DataError(
            "encoder.weights expected the folder of an encoder or of a run, or a file .safetensors; got "
            f"{str(path)!r}, {why}. bam import-checkpoint makes such a folder of a checkpoint of torch."
        )
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as error:
        raise DataError(f"encoder.weights: {str(file)!r} is damaged, or holds no safetensors: {error}") from error
    if all(name.startswith("encoder.") for name in weights):
        weights = {name.removeprefix("encoder."): value for name, value in weights.items()}
    way_out = "Take the encoder and the options that these weights were trained with."
    place_weights(weights, encoder, f"encoder.weights: {str(file)!r}", way_out)


def place_weights(weights: Mapping[str, Tensor], encoder: nn.Module, where: str, way_out: str) -> None:
    """Give every tensor of an encoder its weights.

    Args:
        weights: by the names of the encoder's tensors; they may lack what all of these begin with.
        encoder: its weights are replaced.
        where: the weights come from, in words.
        way_out: a sentence for the error.

    Raises:
        DataError: lists every tensor that is missing, that the encoder does not have, or that has another shape.
    """
    own = encoder.state_dict()
    starts = [""]
    for parts in zip(*(name.split(".")[:-1] for name in own), strict=False):
        if len(set(parts)) > 1:
            break
        starts.append(f"{starts[-1]}{parts[0]}.")
    start = max(starts, key=lambda s: sum(s + name in own for name in weights))
    named = {start + name: value for name, value in weights.items()}
    problems = [f"{n.removeprefix(start)}: the encoder has no such tensor" for n in named if n not in own]
    problems += [f"{n.removeprefix(start)}: the file has none for it" for n in own if n not in named]
    problems += [
        f"{n.removeprefix(start)}: {tuple(named[n].shape)} in the file, {tuple(own[n].shape)} in the encoder"
        for n in own
        if n in named and named[n].shape != own[n].shape
    ]
    if problems:
        shown = "".join(f"\n  {line}" for line in problems[:_SHOWN])
        more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise DataError(
            f"{where} is not one of this encoder; {len(problems)} tensor(s) found no place. {way_out}{shown}{more}"
        )
    encoder.load_state_dict(named)
