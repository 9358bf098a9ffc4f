"""Counts what training steps do: operations, bytes kept for the backward pass, tokens, and what passes through."""

from contextlib import ExitStack
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_backward_flop_count, sdpa_flop_count


class StepCounter(lightning.Callback):
    """Counts operations and kept bytes of each step, and looks at what passes through encoder and projector.

    Args:
        objective: that is trained.

    Attributes:
        flops: of each step, as torch's `FlopCounterMode` counts them.
        forward_flops: of each step, in the student's encoder, forward.
        kept: bytes of each step that autograd keeps, weights themselves left out.
        losses: of each step.
        tokens: of each step, that the encoder's first attention sees.
        view_bytes: of each step, that the encoder sees.
        largest_view: bytes of one row of the largest view.
        rows: of each step, that the projector sees.
        width: of the projections.
    """

    def __init__(self, objective: Any) -> None:
        self.flops: list[int] = []
        self.forward_flops: list[int] = []
        self.kept: list[int] = []
        self.losses: list[float] = []
        self.tokens: list[int] = []
        self.view_bytes: list[int] = []
        self.largest_view = 0.0
        self.rows: list[int] = []
        self.width = 0
        self._stack = ExitStack()
        attention = next((m for m in objective.encoder.modules() if "Attention" in type(m).__name__), None)
        if attention is not None:
            attention.register_forward_pre_hook(self._tokens)
        self._inside = 0
        for network in _entered(objective.encoder):
            network.register_forward_pre_hook(self._views)
            network.register_forward_hook(self._forward)
        if hasattr(objective, "projector"):
            objective.projector.register_forward_hook(self._projections)
        self._own = {p.data_ptr() for p in objective.parameters()}

    def _tokens(self, module: nn.Module, inputs: Any) -> None:
        x = inputs[0]
        self.tokens[-1] += x.shape[0] * (x.shape[1] if x.ndim == 3 else x.shape[-2:].numel())

    def _views(self, module: nn.Module, inputs: Any) -> None:
        self._inside += 1
        if self._inside > 1:
            return  # a trunk that its encoder calls
        leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(inputs) if isinstance(leaf, Tensor)]
        self.view_bytes[-1] += sum(leaf.nbytes for leaf in leaves)
        if leaves:
            self.largest_view = max(self.largest_view, sum(leaf.nbytes for leaf in leaves) / len(leaves[0]))
        self.forward_flops[-1] -= self._counter.get_total_flops()

    def _forward(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._inside -= 1
        if self._inside == 0:
            self.forward_flops[-1] += self._counter.get_total_flops()

    def _projections(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.rows.append(len(output))
        self.width = output.shape[1]

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """Begin to count."""
        self.tokens.append(0)
        self.view_bytes.append(0)
        self.forward_flops.append(0)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        self._hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        self._bytes = kept
        self._counter = self._stack.enter_context(FlopCounterMode(display=False, custom_mapping=FORMULAS))
        self._stack.enter_context(self._hooks)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        """All that is kept is kept by now."""
        self.kept.append(sum(self._bytes.values()))
        self.losses.append(loss.item())

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop counting."""
        self._stack.close()
        self.flops.append(self._counter.get_total_flops())


def _entered(encoder: nn.Module) -> list[nn.Module]:
    """Where views enter: the encoder, or those of its sides, and trunks, which are called alone for tokens."""
    whole = [encoder, *getattr(encoder, "sides", {}).values()]
    return [*whole, *(one.trunk for one in whole if isinstance(getattr(one, "trunk", None), nn.Module))]


def _attention_flops(q: Any, k: Any, v: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return int(sdpa_flop_count(q, k, v))


def _attention_backward_flops(grad: Any, q: Any, k: Any, v: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return int(sdpa_backward_flop_count(grad, q, k, v))


def _convolution_backward_flops(
    grad: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, mask: Any, out_shape: Any = None,
) -> int:  # fmt: skip
    """Each gradient takes the products of the forward pass; torch's formula forgets that groups divide them."""
    return int(conv_flop_count(x, weight, grad, transposed)) * (bool(mask[0]) + bool(mask[1]))


FORMULAS = {  # attention on CPU is unknown to torch's counter
    torch.ops.aten.convolution_backward: _convolution_backward_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}
