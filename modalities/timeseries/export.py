"""What exported networks of series take: values as they were recorded, standardised inside where that is arithmetic."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bam_core.protocols import ExportInput
from modalities.timeseries.padded import steps_before
from modalities.timeseries.rows import OFFSET

N_ROWS = 5
USUAL_STEPS = 64


class SeriesInput(nn.Module):
    """Series in their unit -> a batch as `collate_signals` makes it.

    Args:
        each: standardise every series and channel by itself.
        offset: (c,) taken off first.
        mean: (c,) of the training rows.
        std: (c,) of the training rows.
        known: whether NaN means missing, and a channel for each says what is known.

    Shape:
        (n, c, t), and for series of unequal length (n,) -> a batch.
    """

    offset: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, *, each: bool, offset: Any = 0.0, mean: Any = 0.0, std: Any = 1.0, known: bool = False) -> None:
        super().__init__()
        self.each, self.known = each, known
        for name, value in (("offset", offset), ("mean", mean), ("std", std)):
            values = torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, signal: Tensor, length: Tensor | None = None) -> Any:
        """A tensor, or signal and length."""
        there = torch.ones_like(signal, dtype=torch.bool)
        if self.known:
            there = ~signal.isnan()
            signal = torch.where(there, signal, 0.0)
        if length is not None:
            there = there & steps_before(length, signal.shape[-1])
        signal = signal - self.offset
        if self.each:
            signal = _standardised(signal, there)
        signal = (signal - self.mean) / self.std
        if self.known or length is not None:
            signal = torch.where(there, signal, 0.0)
        if self.known:
            signal = torch.cat([signal, there.to(signal.dtype)], dim=1)
        return signal if length is None else {"signal": signal, "length": length}


def _standardised(signal: Tensor, there: Tensor) -> Tensor:
    """Zero mean and unit deviation of what is there, in double precision; a flat channel becomes zero."""
    x = torch.where(there, signal, 0.0).double()
    n = there.sum(dim=-1, keepdim=True).clamp_min(1)
    centred = torch.where(there, x - x.sum(dim=-1, keepdim=True) / n, 0.0)
    spread = (centred.square().sum(dim=-1, keepdim=True) / n).sqrt()
    highest = torch.where(there, signal, -torch.inf).amax(dim=-1, keepdim=True)
    lowest = torch.where(there, signal, torch.inf).amin(dim=-1, keepdim=True)
    flat = highest <= lowest
    return torch.where(flat, 0.0, centred / torch.where(flat, 1.0, spread)).to(signal.dtype)


def export_input(facts: Mapping[str, Any], *, reader: str, options: Mapping[str, Any], seed: int) -> ExportInput:
    """Signals (n, channels, time), and their lengths where these differ; see `bam_core.protocols.Modality`."""
    normalize, cut = options.get("normalize", "none"), options.get("window") is not None
    return series_input(
        facts, seed=seed, each=normalize == "record" and not cut, trained=normalize == "train",
        before="standardised by its whole record, then cut" if normalize == "record" and cut else "",
        options={"normalize": "none" if cut and normalize == "record" else normalize, "missing": _missing(facts)},
    )  # fmt: skip


def _missing(facts: Mapping[str, Any]) -> str:
    return "mask" if facts.get("mask_channels") else "set_aside"


def series_input(
    facts: Mapping[str, Any],
    *,
    seed: int,
    each: bool,
    trained: bool,
    before: str,
    options: Mapping[str, Any],
) -> ExportInput:
    """Signals with random values.

    Args:
        facts: of the training data.
        seed: of the random values.
        each: see `SeriesInput`.
        trained: by mean and deviation of the training rows.
        before: what was done to rows before; "" for nothing, which is then compared with the usual reader.
        options: of `from_memory`.
    """
    known, unequal = bool(facts.get("mask_channels")), bool(facts.get("unequal"))
    channels = facts["in_channels"] // (2 if known else 1)
    steps = facts["shape"][-1] if "shape" in facts and not unequal else facts.get("longest", USUAL_STEPS)
    rng = np.random.default_rng(seed)
    mean, std = facts.get("channel_mean", 0.0), facts.get("channel_std", 1.0)
    offset = np.reshape(facts.get(OFFSET, 0.0), (-1, 1))
    unit = offset + np.reshape(mean, (-1, 1)) + np.reshape(std, (-1, 1)) * rng.normal(size=(N_ROWS, channels, steps))
    signal = torch.from_numpy(unit.astype(np.float32))
    examples, dynamic = {"signal": signal}, {"signal": {2: "time"}}
    about = {"signal": f"(batch, {channels}, time), {before or 'in the unit of the training data, not standardised'}"}
    lengths = [steps] * N_ROWS
    if unequal:
        shortest = max(2, min(facts.get("shortest", steps), steps))
        lengths = [steps, *rng.integers(shortest, steps + 1, N_ROWS - 1).tolist()]
        examples["length"] = torch.tensor(lengths)
        about["length"] = "(batch,) steps of each signal; what comes behind them does not count"
    if known:
        about["signal"] += "; NaN where missing"
    used = {"mean": mean, "std": std, "offset": facts.get(OFFSET, 0.0)} if trained else {}
    module = SeriesInput(each=each, known=known, **used)
    rows = None if before else [row[:, :n].numpy() for row, n in zip(signal, lengths, strict=True)]
    return ExportInput(module, examples, dynamic, about, rows, {"channels_last": False, **options})
