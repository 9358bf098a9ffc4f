"""The network between the embeddings and the loss: a plain MLP, thrown away after pretraining."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer

from bam_core.batch_norm import GlobalBatchNorm
from bam_core.errors import InputError


class _TruncatedNormalLinear(nn.Linear):
    def reset_parameters(self) -> None:
        _truncated_normal(self)


def _truncated_normal(linear: nn.Linear) -> None:
    nn.init.trunc_normal_(linear.weight, std=0.02)
    nn.init.zeros_(linear.bias)


class _LazyTruncatedNormalLinear(nn.LazyLinear):
    cls_to_become = _TruncatedNormalLinear

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features != 0:
            _truncated_normal(self)


class Standardize(nn.Module):
    """Fixed shift and scale that give the first batch mean zero and deviation one, feature by feature.

    The embeddings of a fresh encoder often share one large component; the balanced target then starts uniform, and
    uniform it stays. Taking that component away once is enough. Afterwards this layer is a constant: unlike batch
    normalisation it makes no sample depend on another.

    Shape:
        (n, d) -> (n, d).

    Source: the idea of initialising from data is that of Kraehenbuehl et al., ICLR 2016, arXiv 1511.06856.
    """

    shift: Tensor
    scale: Tensor

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Shift and scale."""
        return (x - self.shift) * self.scale


class _LazyStandardize(LazyModuleMixin, Standardize):
    cls_to_become = Standardize

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", UninitializedBuffer())
        self.register_buffer("scale", UninitializedBuffer())

    @torch.no_grad()
    def initialize_parameters(self, x: Float[Tensor, "n d"]) -> None:
        """Take shift and scale from the first batch; features that hardly vary in it are not blown up."""
        if not self.has_uninitialized_params():
            return
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        deviation = x.std(dim=0, correction=0)
        floor = 0.05 * deviation.mean()
        self.shift.materialize(x.shape[1:])  # type: ignore[attr-defined]
        self.scale.materialize(x.shape[1:])  # type: ignore[attr-defined]
        self.shift.copy_(x.mean(dim=0))
        self.scale.copy_(torch.where(floor > 0, 1 / deviation.clamp_min(floor), 1.0))


class Projector(nn.Sequential):
    """MLP with GELU and biases; weights from a truncated normal of deviation 0.02.

    Args:
        in_features: width of the embeddings; None finds it out from the first batch.
        hidden_features: width of the hidden layers.
        out_features: width of the projections.
        n_layers: number of linear layers, >= 1.
        standardize: begin with `Standardize`, which is set by the first batch.
        batch_norm: normalise the hidden layers over the global batch, before their GELU, for objectives that need it;
            BAM does not.

    Raises:
        InputError: `n_layers` < 1.

    Shape:
        (n, in_features) -> (n, out_features).

    Example:
        >>> import torch
        >>> Projector(out_features=16)(torch.randn(4, 32)).shape
        torch.Size([4, 16])

    Source: ECCV 2024, arXiv 2408.02014, section 4.1: three layers of 4096, not standardised.
    """

    def __init__(
        self,
        in_features: int | None = None,
        *,
        hidden_features: int = 512,
        out_features: int = 256,
        n_layers: int = 3,
        standardize: bool = True,
        batch_norm: bool = False,
    ) -> None:
        if n_layers < 1:
            raise InputError(f"Projector expected n_layers >= 1; got {n_layers}.")
        widths = [hidden_features] * (n_layers - 1) + [out_features]
        layers: list[nn.Module] = [_LazyStandardize()] if standardize else []
        for width in widths:
            if in_features is None:
                layers.append(_LazyTruncatedNormalLinear(width))
            else:
                layers.append(_TruncatedNormalLinear(in_features, width))
            layers += [GlobalBatchNorm(width), nn.GELU()] if batch_norm else [nn.GELU()]
            in_features = width
        super().__init__(*layers[: -2 if batch_norm else -1])

    def forward(self, input: Float[Tensor, "n in_features"]) -> Float[Tensor, "n out_features"]:
        """Project embeddings."""
        projections: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return projections
