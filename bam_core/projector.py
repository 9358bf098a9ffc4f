"""The network between the embeddings and the loss: a plain MLP, thrown away after pretraining."""

from jaxtyping import Float
from torch import Tensor, nn

from bam_core.errors import InputError


class _TruncatedNormalLinear(nn.Linear):
    def reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)


class _LazyTruncatedNormalLinear(nn.LazyLinear):
    cls_to_become = _TruncatedNormalLinear

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features != 0:
            _TruncatedNormalLinear.reset_parameters(self)


class Projector(nn.Sequential):
    """MLP with GELU, biases, no batch normalisation; weights from a truncated normal of deviation 0.02.

    Args:
        in_features: width of the embeddings; None finds it out from the first batch.
        hidden_features: width of the hidden layers.
        out_features: width of the projections.
        n_layers: number of linear layers, >= 1.

    Raises:
        InputError: `n_layers` < 1.

    Shape:
        (n, in_features) -> (n, out_features).

    Example:
        >>> import torch
        >>> Projector(out_features=16)(torch.randn(4, 32)).shape
        torch.Size([4, 16])

    Source: ECCV 2024, arXiv 2408.02014, section 4.1: three layers of 4096.
    """

    def __init__(
        self,
        in_features: int | None = None,
        *,
        hidden_features: int = 512,
        out_features: int = 256,
        n_layers: int = 3,
    ) -> None:
        if n_layers < 1:
            raise InputError(f"Projector expected n_layers >= 1; got {n_layers}.")
        widths = [hidden_features] * (n_layers - 1) + [out_features]
        layers: list[nn.Module] = []
        for width in widths:
            if in_features is None:
                layers.append(_LazyTruncatedNormalLinear(width))
            else:
                layers.append(_TruncatedNormalLinear(in_features, width))
            layers.append(nn.GELU())
            in_features = width
        super().__init__(*layers[:-1])

    def forward(self, input: Float[Tensor, "n in_features"]) -> Float[Tensor, "n out_features"]:
        """Project embeddings."""
        return super().forward(input)
