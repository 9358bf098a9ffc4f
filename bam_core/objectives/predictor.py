"""Predictors of terms: small networks on the student's side, which no teacher has a copy of."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from bam_core.batch_norm import GlobalBatchNorm


class LinearLike(LazyModuleMixin, nn.Module):
    """A linear layer, as wide as the first rows that its output is to be like.

    Args:
        in_features: of the input.

    Shape:
        (..., in_features) and something (..., d) -> (..., d).
    """

    weight: UninitializedParameter
    bias: UninitializedParameter

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.weight, self.bias = UninitializedParameter(), UninitializedParameter()

    def initialize_parameters(self, x: Tensor, like: Tensor) -> None:
        """Called by torch before the first pass."""
        if self.has_uninitialized_params():
            with torch.no_grad():
                self.weight.materialize((like.shape[-1], self.in_features))
                self.bias.materialize((like.shape[-1],))
                nn.init.trunc_normal_(self.weight, std=0.02)
                nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """The layer; `like` is only asked for its width."""
        y: Tensor = functional.linear(x, self.weight, self.bias)
        return y


class PredictionHead(nn.Module):
    """MLP of one hidden layer with batch normalisation, as wide at its end as at its beginning.

    Args:
        hidden: width of the hidden layer.

    Shape:
        (n, p) -> (n, p), with p known from the first rows.

    Example:
        >>> PredictionHead(16)(torch.randn(8, 6)).shape
        torch.Size([8, 6])

    Source: Grill et al., BYOL, NeurIPS 2020, arXiv 2006.07733, section 3.3, with GELU for ReLU.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.enter = nn.LazyLinear(hidden)
        self.norm = GlobalBatchNorm(hidden)
        self.leave = LinearLike(hidden)

    def forward(self, rows: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
        """Predict."""
        hidden = functional.gelu(self.norm(self.enter(rows)))
        predicted: Any = self.leave(hidden, rows)
        return predicted  # type: ignore[no-any-return]
