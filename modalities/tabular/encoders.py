"""Networks for table rows: a multilayer perceptron, and a transformer over features."""

import math
import warnings
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError
from bam_core.tokens import SummaryPool, TokenEncoder, Tokens, kept
from modalities.tabular.batches import Batch

NumericEmbedding = Literal["none", "piecewise", "periodic"]
MOST_BYTES = 100e6  # that a row of a `FeatureTransformer` may keep in training
MOST_PERIODIC = 1000  # numbers that are embedded where nobody says how; embeddings of 20,000 would take 6 GB a step


class MLPEncoder(nn.Module):
    """Multilayer perceptron on embedded numbers, marks of missing ones, and embedded categories.

    Args:
        n_numeric: numbers of a row (k); from the facts, like the next two.
        cardinalities: indices of every category (m).
        quantiles: of the standardised numbers in training rows, (k, q): the bins of "piecewise".
        width: of the hidden layers and of the embeddings.
        depth: hidden layers.
        numeric: how a number enters: "none" as it is; "piecewise" as its place in bins of equal share, then linear;
            "periodic" as sines of learnt frequencies, then linear. Default: "periodic", or "none" for more than 1,000
            numbers.
        numeric_width: what a number is embedded in, unless it enters as it is.
        n_bins: of "piecewise".
        max_category_width: what a category is embedded in at most; those with few values get less.

    Shape:
        {numeric (b, k), missing (b, k), categorical (b, m)} -> (b, width).

    Example:
        >>> encoder = MLPEncoder(n_numeric=0, cardinalities=[4, 9], quantiles=[], width=32)
        >>> row = {"numeric": torch.zeros(5, 0), "missing": torch.zeros(5, 0), "categorical": torch.ones(5, 2).long()}
        >>> encoder(row).shape
        torch.Size([5, 32])
    """

    def __init__(
        self,
        *,
        n_numeric: int,
        cardinalities: Sequence[int],
        quantiles: Sequence[Sequence[float]],
        width: int = 256,
        depth: int = 3,
        numeric: NumericEmbedding | None = None,
        numeric_width: int = 16,
        n_bins: int = 20,
        max_category_width: int = 16,
    ) -> None:
        super().__init__()
        numeric = numeric or ("periodic" if n_numeric <= MOST_PERIODIC else "none")
        self.numbers = _numbers(numeric, n_numeric, numeric_width, quantiles, n_bins)
        widths = [min(max_category_width, size) for size in cardinalities]
        self.categories = nn.ModuleList(nn.Embedding(size, w) for size, w in zip(cardinalities, widths, strict=True))
        n_in = n_numeric * (1 if self.numbers is None else numeric_width) + n_numeric + sum(widths)
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(n_in if i == 0 else width, width), nn.BatchNorm1d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, row: Batch) -> Float[Tensor, "b d"]:
        """One vector a row."""
        numeric, missing = row["numeric"], row["missing"]
        parts = [numeric if self.numbers is None else self.numbers(numeric).flatten(1), missing.to(numeric.dtype)]
        parts += [table(indices) for table, indices in zip(self.categories, row["categorical"].T, strict=True)]
        x: Tensor = self.layers(torch.cat(parts, dim=1))
        return x


class FeatureTransformer(TokenEncoder):
    """Transformer over features: every number and category is a token, and so is a summary, which is the embedding.

    Args:
        n_numeric: see `MLPEncoder`, as for the next two.
        cardinalities: as there.
        quantiles: as there.
        width: of the tokens and of the embeddings, a multiple of `n_heads`.
        depth: transformer blocks.
        n_heads: attention heads.
        numeric: "piecewise" or "periodic", see `MLPEncoder`.
        n_bins: of "piecewise".

    Raises:
        InputError: a width that the heads cannot share, or features that would not fit into memory.

    Shape:
        {numeric (b, k), missing (b, k), categorical (b, m)} -> (b, width).

    Example:
        >>> encoder = FeatureTransformer(n_numeric=1, cardinalities=[4], quantiles=[[-1.0, 0.0, 1.0]], width=16)
        >>> row = {"numeric": torch.zeros(5, 1), "missing": torch.zeros(5, 1, dtype=torch.bool),
        ...     "categorical": torch.ones(5, 1).long()}
        >>> encoder(row).shape
        torch.Size([5, 16])

    Source: Gorishniy et al., "Revisiting deep learning models for tabular data", NeurIPS 2021, arXiv 2106.11959; "On
    embeddings for numerical features", NeurIPS 2022, arXiv 2203.05556.
    """

    ordered = False

    def __init__(
        self,
        *,
        n_numeric: int,
        cardinalities: Sequence[int],
        quantiles: Sequence[Sequence[float]],
        width: int = 64,
        depth: int = 3,
        n_heads: int = 4,
        numeric: Literal["piecewise", "periodic"] = "piecewise",
        n_bins: int = 20,
    ) -> None:
        super().__init__()
        if width % n_heads:
            raise InputError(f"FeatureTransformer expected width as a multiple of n_heads; got {width} and {n_heads}.")
        _check_memory(n_numeric + len(cardinalities), width, depth)
        numbers = _numbers(numeric, n_numeric, width, quantiles, n_bins)
        self.trunk = FeatureTrunk(numbers, n_numeric, cardinalities, width, depth, n_heads)
        self.pool = SummaryPool()

    def grid(self, view: Batch) -> tuple[int, ...]:
        """Features of a row: its numbers, then its categories."""
        return (view["numeric"].shape[1] + view["categorical"].shape[1],)


def _check_memory(n_features: int, width: int, depth: int) -> None:
    """See to it that a row fits into memory: every block keeps some 16 numbers a feature and unit of width.

    Raises:
        InputError: it does not.
    """
    size = 16 * 4 * n_features * width * depth
    if size > MOST_BYTES:
        raise InputError(
            f"FeatureTransformer keeps {size / 1e6:,.0f} MB a row in training, {256 * size / 1e9:,.0f} GB for 256 "
            f"rows, at {n_features:,} features, width {width} and depth {depth}; it takes up to "
            f"{MOST_BYTES / 1e6:g} MB. Take the encoder mlp, fewer columns (drop), or a smaller width or depth."
        )


class FeatureTrunk(nn.Module):
    """Tokens of a `FeatureTransformer`: numbers, then categories, (b, features, width).

    Args:
        numbers: (b, k) -> (b, k, width); None where there are none.
        n_numeric: see `FeatureTransformer`, like all below.
        cardinalities: of the categories.
        width: of the tokens.
        depth: blocks.
        n_heads: of the attention.
    """

    def __init__(
        self, numbers: nn.Module | None, n_numeric: int, cardinalities: Sequence[int], width: int, depth: int,
        n_heads: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.numbers = numbers
        self.categories = nn.ModuleList(nn.Embedding(size, width) for size in cardinalities)
        self.feature = nn.Parameter(_uniform(n_numeric + len(cardinalities), width))
        self.absent = nn.Parameter(_uniform(n_numeric, width))
        self.summary = nn.Parameter(_uniform(1, width))
        for table in self.categories:
            nn.init.uniform_(table.weight, -(width**-0.5), width**-0.5)  # type: ignore[arg-type]
        block = nn.TransformerEncoderLayer(
            width, n_heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, row: Batch, *, keep: Tensor | None = None) -> Tokens:
        """Tokens of all features, or of those to keep (b, k)."""
        tokens = [table(indices)[:, None] for table, indices in zip(self.categories, row["categorical"].T, strict=True)]
        if self.numbers is not None:
            numbers = self.numbers(row["numeric"])
            tokens.insert(0, torch.where(row["missing"][..., None].bool(), self.absent.to(numbers.dtype), numbers))
        features, place = kept(torch.cat(tokens, dim=1) + self.feature, keep)
        summary = self.summary.expand(len(features), 1, -1)
        x: Tensor = self.blocks(torch.cat([summary, features], dim=1))
        return Tokens(x[:, 1:], place, summary=x[:, 0])


def _numbers(
    kind: NumericEmbedding, n_numeric: int, width: int, quantiles: Sequence[Sequence[float]], n_bins: int
) -> nn.Module | None:
    """(b, k) -> (b, k, width), or None for nothing to do."""
    if kind == "none" or not n_numeric:
        return None
    import rtdl_num_embeddings as rtdl

    if kind == "periodic":
        embedding: nn.Module = rtdl.PeriodicEmbeddings(n_numeric, width, frequency_init_scale=0.1, lite=False)
        return embedding
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*just two bin edges")  # a column of two values has one bin
        bins = _bins(quantiles, n_bins)
        embedding = rtdl.PiecewiseLinearEmbeddings(bins, width, activation=False, version="B")
    return nn.Sequential(_Within([edges[0] for edges in bins], [edges[-1] for edges in bins]), embedding)


class _Within(nn.Module):
    """Brings numbers into the range of the training rows: bins have no end, and an outlier would outshine the row."""

    low: Tensor
    high: Tensor

    def __init__(self, low: Sequence[Tensor], high: Sequence[Tensor]) -> None:
        super().__init__()
        self.register_buffer("low", torch.stack(list(low)))
        self.register_buffer("high", torch.stack(list(high)))

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)


def _bins(quantiles: Sequence[Sequence[float]], n_bins: int) -> list[Tensor]:
    edges = []
    for values in quantiles:
        step = (len(values) - 1) / n_bins
        chosen = {values[round(i * step)] for i in range(n_bins + 1)} | {values[0], values[-1]}
        edges.append(torch.tensor(sorted(chosen)).unique())
    return edges


def _uniform(n: int, width: int) -> Tensor:
    return torch.empty(n, width).uniform_(-1, 1) / math.sqrt(width)
