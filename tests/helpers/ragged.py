"""Series of unequal length as a batch."""

import torch


def pad(series, to=None, filler=0.0):
    """Series (c, t) of unequal length, and their lengths; what lies behind the end is `filler`."""
    length = torch.tensor([one.shape[1] for one in series])
    signal = torch.full((len(series), series[0].shape[0], to or int(length.max())), filler)
    for row, one in zip(signal, series, strict=True):
        row[:, : one.shape[1]] = one
    return {"signal": signal, "length": length}
