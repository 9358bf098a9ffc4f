"""Weights that somebody has trained, put into an encoder: all find their place, or an error lists those that do not."""

from collections.abc import Mapping

from torch import Tensor, nn

from bam_core.errors import DataError

_SHOWN = 20


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
