"""Encoders that offer what lies before pooling: a vector for every place of a sample, such as a patch or a feature.

Methods that hide places and predict them need these vectors, of all places or of some. Masks are drawn by
`bam_core.masks` from the grid of places.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bam_core.errors import InputError
from bam_core.views import View, batch_size, recomputed, rows_of


class Tokens(NamedTuple):
    """A vector for every place that was shown.

    Attributes:
        values: (b, n, d).
        place: (b, n) number of each in the grid, row after row, from 0.
        present: (b, n) false for places behind the end of a sample, whose values mean nothing; None: all are there.
        summary: (b, d) a vector of the whole sample that has no place, such as a class token; None: there is none.
    """

    values: Float[Tensor, "b n d"]
    place: Int[Tensor, "b n"]
    present: Bool[Tensor, "b n"] | None = None
    summary: Float[Tensor, "b d"] | None = None


class TokenEncoder(nn.Module):
    """An encoder in two parts: a trunk that makes tokens, and a pool that makes one vector of them.

    A child sets the two and says how many places a view has. Both are modules, so that hooks, checkpointing and
    sharding see them whichever is called.

    Attributes:
        trunk: `(view, *, keep=None) -> Tokens`. `keep` (b, k) holds the places to show; what lies at all others has no
            influence. None: all, in their order.
        pool: `Tokens` -> (b, d).
        ordered: whether neighbouring places are alike, as in time. False for the features of a table.

    A child may also have `patches(view) -> (b, n, k)`: what lies at every place, as numbers, in the order of `grid`.
    Terms that reconstruct places ask for it.

    Shape:
        A view of b samples -> (b, d).

    Example:
        >>> class Words(TokenEncoder):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.trunk, self.pool = Trunk(), MeanOfTokens()
        ...     def grid(self, view):
        ...         return (view.shape[1],)
        >>> class Trunk(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.words = nn.Embedding(9, 4)
        ...     def forward(self, view, *, keep=None):
        ...         return Tokens(*kept(self.words(view), keep))
        >>> class MeanOfTokens(nn.Module):
        ...     def forward(self, tokens):
        ...         return tokens.values.mean(dim=1)
        >>> network, view = Words(), torch.tensor([[1, 2, 3], [4, 5, 6]])
        >>> network(view).shape, network.grid(view)
        (torch.Size([2, 4]), (3,))
        >>> network.trunk(view, keep=torch.tensor([[0, 2], [1, 2]])).values.shape
        torch.Size([2, 2, 4])
    """

    trunk: nn.Module
    pool: nn.Module
    ordered: bool = True

    def grid(self, view: View) -> tuple[int, ...]:
        """Places of a view along every axis; their product is the number of tokens. It follows from the shape alone."""
        raise NotImplementedError

    def forward(self, view: View) -> Float[Tensor, "b d"]:
        """One vector a sample."""
        embeddings: Tensor = self.pool(self.trunk(view))
        return embeddings

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take the weights of an encoder that was saved before it had a trunk: all of them are the trunk's."""
        own = [name for name in state_dict if name.startswith(prefix)]
        if not any(name.startswith((f"{prefix}trunk.", f"{prefix}pool.")) for name in own):
            for name in own:
                state_dict[f"{prefix}trunk.{name.removeprefix(prefix)}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)


def encode_tokens(
    encoder: nn.Module, view: View, *, keep: Tensor | None = None, micro_batch: int | None = None
) -> Tokens:
    """Tokens of a view.

    Args:
        encoder: with a `trunk`, as a `TokenEncoder` has it.
        view: of b samples.
        keep: (b, k) places to show; None for all.
        micro_batch: rows that the trunk sees at a time, see `bam_core.views.encode_views`; None for all.

    Raises:
        InputError: an encoder without a trunk.
    """
    trunk: Any = getattr(encoder, "trunk", None)
    if trunk is None:
        raise InputError(
            f"tokens expected an encoder with a trunk, as a bam_core.tokens.TokenEncoder has it; "
            f"{type(encoder).__name__} has none. Take another encoder, or leave the term out."
        )
    n = batch_size(view)
    if micro_batch is None or n <= micro_batch:
        whole: Tokens = trunk(view, keep=keep)
        return whole
    parts = [slice(i, i + micro_batch) for i in range(0, n, micro_batch)]
    found = [recomputed(trunk, rows_of(view, p), keep=None if keep is None else keep[p]) for p in parts]
    joined: list[Any] = [None if some[0] is None else torch.cat(some) for some in zip(*found, strict=True)]
    return Tokens(*joined)


class SummaryPool(nn.Module):
    """The summary is the embedding: `Tokens` -> (b, d).

    Raises:
        InputError: in a call, tokens without a summary.
    """

    def forward(self, tokens: Tokens) -> Float[Tensor, "b d"]:
        """One vector a sample."""
        if tokens.summary is None:
            raise InputError("SummaryPool expected tokens with a summary, such as a class token; these have none.")
        return tokens.summary


class Kept(NamedTuple):
    """Values at some places.

    Attributes:
        values: (b, k, ...).
        place: (b, k) where in the grid.
    """

    values: Tensor
    place: Int[Tensor, "b k"]


def kept(values: Tensor, keep: Tensor | None) -> Kept:
    """What lies at some places.

    Args:
        values: (b, n, ...) of all places in their order.
        keep: (b, k) places, each below n; None for all.

    Raises:
        InputError: places that are no whole numbers, or not of shape (b, k).

    Example:
        >>> kept(torch.tensor([[5, 6, 7], [1, 2, 3]]), torch.tensor([[2, 0], [1, 1]])).values.tolist()
        [[7, 5], [2, 2]]
    """
    b, n = values.shape[:2]
    if keep is None:
        return Kept(values, torch.arange(n, device=values.device).expand(b, n))
    if keep.ndim != 2 or len(keep) != b or keep.is_floating_point() or keep.dtype == torch.bool:
        raise InputError(
            f"a trunk expected keep as whole numbers of shape (b, k), here ({b}, k), the places to show; got "
            f"{tuple(keep.shape)} of {keep.dtype}."
        )
    index = keep.reshape(*keep.shape, *(1,) * (values.ndim - 2)).expand(-1, -1, *values.shape[2:])
    return Kept(values.gather(1, index), keep)
