"""What is taken for series instead of pretraining: MiniRocket with a ridge classifier, and catch22, both from aeon."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bam_core.probes.classifiers import ridge
from bam_core.protocols import Baseline, FittedBaseline
from modalities.timeseries.batches import collate_signals

KERNELS = 10_000
SHORTEST = 9  # steps that a kernel of MiniRocket spans
KERNEL_STEPS = 4e11  # rows x channels x steps x kernels: some two minutes of one core
FEATURES = 2**28  # rows x kernels: a gibibyte


def signals(columns: Mapping[str, Any], facts: Mapping[str, Any], length: int | None = None) -> np.ndarray:
    """Rows as (b, channels, time) float32; those of unequal length end in zeros, up to `length`."""
    batch = collate_signals(columns, facts)
    if isinstance(batch, torch.Tensor):
        return batch.numpy()
    values = batch["signal"].numpy()[..., :length]
    return np.pad(values, ((0, 0), (0, 0), (0, (length or values.shape[-1]) - values.shape[-1])))


def minirocket(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """MiniRocket: proportions of positive values behind fixed dilated kernels, whose biases follow from rows of train.

    The 10,000 kernels are fewer where rows and steps are many. A kernel of several channels sums a random choice of
    them.

    Source: Dempster et al., "MiniRocket", KDD 2021, arXiv 2012.08791; aeon's implementation.
    """
    from aeon.transformations.collection.convolution_based import MiniRocket

    length = facts.get("longest") if facts.get("unequal") else None
    seen = signals(columns, facts, length)
    affordable = min(FEATURES // n_rows, int(KERNEL_STEPS / (n_rows * seen.shape[1] * seen.shape[2])))
    kernels = min(KERNELS, max(affordable, 840))
    transform = MiniRocket(n_kernels=kernels, random_state=seed).fit(seen)
    said = [f"{kernels:,} kernels, for there are many rows or steps."] * (kernels < KERNELS)
    said += [f"Shorter series are padded with zeros to the longest, {length} steps."] * (length is not None)
    return FittedBaseline(
        lambda columns: transform.transform(signals(columns, facts, length)), classifier=ridge, note=" ".join(said)
    )


def catch22(columns: Mapping[str, Any], facts: Mapping[str, Any], *, n_rows: int, seed: int) -> FittedBaseline:
    """The 22 CAnonical Time-series CHaracteristics of every channel, of every series at its own length.

    Source: Lubba et al., "catch22", Data Mining and Knowledge Discovery 33, 2019; aeon's implementation.
    """
    from aeon.transformations.collection.feature_based import Catch22

    transform = Catch22(catch24=True, replace_nans=True)

    def features(columns: Mapping[str, Any]) -> np.ndarray:
        batch = collate_signals(columns, facts)
        if isinstance(batch, torch.Tensor):
            return np.asarray(transform.fit_transform(batch.double().numpy()))
        each = zip(batch["signal"].double().numpy(), batch["length"].tolist(), strict=True)
        return np.asarray(transform.fit_transform([signal[:, :length] for signal, length in each]))

    return FittedBaseline(features)


def too_short(names: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Why MiniRocket cannot be had."""
    longest = facts.get("longest") or facts.get("length") or (facts.get("shape") or [SHORTEST])[-1]
    return "" if longest >= SHORTEST else f"its kernels span {SHORTEST} steps, and these series have {longest}."


MINIROCKET = Baseline(
    minirocket,
    "MiniRocket features; beside the linear probe a ridge classifier, its alpha by leave-one-out.",
    packages=("aeon",),
    why_not=too_short,
)
CATCH22 = Baseline(catch22, "22 canonical characteristics, mean and deviation of every channel.", packages=("aeon",))
BASELINES = {"minirocket": MINIROCKET, "catch22": CATCH22}
