"""Series of unequal length in one batch: padded with zeros behind their end, and every operation told where that is.

A batch is a tensor (b, c, t), all of whose steps count, or {"signal": (b, c, t), "length": (b,)}. Networks built of
these functions give a series the same embedding whatever it is padded to.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bam_core.errors import InputError
from bam_core.tokens import Tokens


class Padded(NamedTuple):
    """A batch of series.

    Attributes:
        signal: (b, c, t), zero behind the end of a series.
        valid: (b, 1, t), true up to the end of a series; None if all are t steps long.
    """

    signal: Float[Tensor, "b c t"]
    valid: Bool[Tensor, "b 1 t"] | None


def padded(batch: Any) -> Padded:
    """A batch in either form as signal and mask.

    Raises:
        InputError: neither a tensor (b, c, t) nor a dict with such a `signal` and `length` (b,).

    Example:
        >>> padded({"signal": torch.ones(2, 1, 3), "length": torch.tensor([3, 1])}).valid[:, 0].tolist()
        [[True, True, True], [True, False, False]]
    """
    if isinstance(batch, Tensor) and batch.ndim == 3:
        return Padded(batch, None)
    if isinstance(batch, Mapping) and {"signal", "length"} <= set(batch) and batch["signal"].ndim == 3:
        valid = steps_before(batch["length"], batch["signal"].shape[-1])
        return Padded(batch["signal"] * valid, valid)
    got: Any = tuple(batch.shape) if isinstance(batch, Tensor) else type(batch).__name__
    got = sorted(batch) if isinstance(batch, Mapping) else got
    raise InputError(
        "expected series as a tensor (b, channels, time), or for unequal lengths as "
        f'{{"signal": (b, channels, time), "length": (b,)}}; got {got}.'
    )


def as_batch(signal: Float[Tensor, "b c t"], valid: Tensor | None) -> Any:
    """Signal and mask as a batch again: what `padded` reads as the same."""
    return signal if valid is None else {"signal": signal, "length": valid.sum(dim=-1)[:, 0]}


def steps_before(length: Tensor, n_steps: int) -> Bool[Tensor, "b 1 t"]:
    """Mask of the first `length` (b,) of `n_steps` steps."""
    return torch.arange(n_steps, device=length.device) < length[:, None, None]


def only(x: Tensor, valid: Tensor | None) -> Tensor:
    """Zero behind the end of every series."""
    return x if valid is None else x * valid


def mean_over_time(x: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b c"]:
    """Average of the valid steps; zero where there are none."""
    if valid is None:
        return x.mean(dim=-1)
    return (x * valid).sum(dim=-1) / valid.sum(dim=-1).clamp_min(1)


def max_over_time(x: Float[Tensor, "b c t"], valid: Tensor | None) -> Float[Tensor, "b c"]:
    """Largest of the valid steps; zero where there are none."""
    if valid is None:
        return x.amax(dim=-1)
    return x.masked_fill(~valid, -torch.inf).amax(dim=-1).masked_fill(~valid.any(dim=-1), 0)


def in_parts(valid: Bool[Tensor, "b 1 t"], parts: int, *, stride: int = 1) -> Bool[Tensor, "b s p"]:
    """Which of the parts of its series, all equally long, every `stride`-th valid step belongs to.

    Example:
        >>> in_parts(steps_before(torch.tensor([4, 2]), 4), 2).int().argmax(dim=-1).tolist()
        [[0, 0, 1, 1], [0, 1, 0, 0]]
    """
    steps = torch.arange(0, valid.shape[-1], stride, device=valid.device)
    part = torch.div(steps * parts, valid.sum(dim=-1).clamp_min(1), rounding_mode="floor")
    return part[..., None] == torch.arange(parts, device=valid.device)


def mean_and_max(x: Float[Tensor, "b c t"], valid: Tensor | None, *, parts: int = 1) -> Float[Tensor, "b k"]:
    """Average and largest of the valid steps, each of every part: (b, 2 * c * parts)."""
    if parts == 1:
        return torch.cat([mean_over_time(x, valid), max_over_time(x, valid)], dim=1)
    if valid is None:
        pooled = [functional.adaptive_avg_pool1d(x, parts), functional.adaptive_max_pool1d(x, parts)]
        return torch.cat(pooled, dim=1).flatten(1)
    inside = in_parts(valid, parts)
    of_part = [inside[:, None, :, part] for part in range(parts)]
    means = torch.stack([mean_over_time(x, one) for one in of_part], dim=2)
    highest = torch.stack([max_over_time(x, one) for one in of_part], dim=2)
    return torch.cat([means, highest], dim=1).flatten(1)


class MeanAndMaxPool(nn.Module):
    """Average and largest of the tokens that are there: `Tokens` (b, n, d) -> (b, 2 * d)."""

    def forward(self, tokens: Tokens) -> Float[Tensor, "b d"]:
        """One vector a sample."""
        present = None if tokens.present is None else tokens.present[:, None]
        return mean_and_max(tokens.values.transpose(1, 2), present)


def shown(present: Bool[Tensor, "b n"] | None) -> Bool[Tensor, "b n"] | None:
    """Which tokens attention may look at: those that are there, or the first where none is, since it needs one."""
    if present is None:
        return None
    first = torch.arange(present.shape[1], device=present.device) == 0
    return present | (first & ~present.any(dim=1, keepdim=True))


def batch_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Float[Tensor, "b c ... t"], valid: Tensor | None) -> Tensor:
    """Apply a batch norm whose statistics see the valid steps only; zero elsewhere.

    Args:
        norm: the layer; with `valid=None`, or in evaluation mode, it is applied as it is.
        x: (b, c, ..., t).
        valid: broadcasts to (b, 1, ..., t).
    """
    if valid is None or not norm.training:
        return only(norm(x), valid)
    weights = valid.expand(len(x), 1, *x.shape[2:]).float()
    count = weights.sum()
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean = (x.float() * weights).sum(axes, keepdim=True) / count
    centred = (x.float() - mean) * weights
    variance = centred.square().sum(axes, keepdim=True) / count
    with torch.no_grad():  # `.data`: a layer that saw a batch without lengths before has kept these for its gradient
        norm.running_mean.data.lerp_(mean.flatten(), norm.momentum)  # type: ignore
        norm.running_var.data.lerp_(variance.flatten() * count / (count - 1), norm.momentum)  # type: ignore
        if norm.num_batches_tracked is not None:  # None while a micro-batch is computed again
            norm.num_batches_tracked += 1
    shape = mean.shape
    scaled = centred * torch.rsqrt(variance + norm.eps) * norm.weight.view(shape) + norm.bias.view(shape)
    return (scaled * weights).to(x.dtype)
