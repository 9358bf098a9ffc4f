"""Batch normalisation by the rows of all ranks, on any device: a run is the same on 1, 2 or 8 processes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bam_core.collectives import all_gather, world_size
from bam_core.errors import InputError

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class GlobalBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of the global batch; on one process, torch's own.

    `torch.nn.SyncBatchNorm` does the same on GPUs only. Parameters and buffers have the names of torch's layers, so
    weights go from one to the other. In evaluation mode nothing is exchanged; in training mode every rank has to call
    this together.

    Raises:
        InputError: in `forward`, a tensor of one axis.

    Shape:
        (n, num_features, ...) -> the same.

    Example:
        >>> GlobalBatchNorm(3)(torch.randn(8, 3)).mean().abs() < 1e-6
        tensor(True)

    Source: Ioffe & Szegedy, ICML 2015, arXiv 1502.03167, algorithm 1.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise InputError(f"GlobalBatchNorm expected (n, {self.num_features}, ...); got {tuple(input.shape)}.")

    def forward(self, input: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Normalise."""
        if not self.training or world_size() == 1:
            same: Tensor = super().forward(input)
            return same
        self._check_input_dim(input)
        x = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
        counts = torch.full_like(mean, x.numel() / x.shape[1])
        means, variances, counts = all_gather(torch.stack([mean, variance, counts])).unbind(dim=1)
        total = counts.sum(dim=0)
        mean = (means * counts).sum(dim=0) / total
        variance = ((variances + (means - mean).square()) * counts).sum(dim=0) / total
        self._track(mean.detach(), variance.detach() * total / (total - 1))
        shape = [-1, *(1 for _ in x.shape[2:])]
        normalised = (x - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum  # type: ignore
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


def with_global_batch_norm(module: nn.Module) -> nn.Module:
    """Replace torch's batch normalisation in a module by `GlobalBatchNorm` with the same tensors.

    Subclasses of torch's layers stay: what else they do is not known here.

    Args:
        module: changed in place, unless it is such a layer itself.

    Returns:
        The module, or what takes its place.
    """
    if type(module) in _PLAIN:
        return _replaced(module)  # type: ignore[arg-type]
    for name, child in module.named_children():
        setattr(module, name, with_global_batch_norm(child))
    return module


def _replaced(norm: _BatchNorm) -> GlobalBatchNorm:
    made = GlobalBatchNorm(
        norm.num_features, norm.eps, norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats
    )
    for name, tensor in [*norm.named_parameters(recurse=False), *norm.named_buffers(recurse=False)]:
        setattr(made, name, tensor)
    return made.train(norm.training)
