"""BAMObjective: any encoder, any views, one loss. The five lines that a user writes stand in its docstring."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from bam_core.distributed import errors_shared, world_size
from bam_core.errors import InputError
from bam_core.loss import bam_loss, check_sharpness
from bam_core.projector import Projector
from bam_core.teacher import EMATeacher
from bam_core.views import View, draw_views, encode_views, make_views


class BAMOutput(NamedTuple):
    """What `BAMObjective` returns: the fields of `BAMLossOutput`, and the embeddings of the views.

    Attributes:
        loss: cross-entropy of target and attention, in nats; differentiable.
        kl: what is left to learn, in nats; detached, like all below.
        target_entropy: mean entropy of the targets, in nats.
        attention_entropy: mean entropy of the attention, in nats.
        column_error: largest relative deviation of a column total of the plan.
        uniform_loss: log of the columns that a row may attend to: the loss of an attention that knows nothing. Total
            collapse ends there, with a kl of zero.
        embeddings: (n_views * b, d) encoder outputs of all views, view-major.
    """

    loss: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    target_entropy: Float[Tensor, ""]
    attention_entropy: Float[Tensor, ""]
    column_error: Float[Tensor, ""]
    uniform_loss: Float[Tensor, ""]
    embeddings: Float[Tensor, "rows d"]


class _Student(nn.Module):
    """Encoder and projector: what the teacher copies."""

    def __init__(self, encoder: nn.Module, projector: nn.Module, micro_batch: int | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.micro_batch = micro_batch

    def forward(self, views: list[View]) -> tuple[Tensor, Tensor]:
        embeddings = torch.cat(encode_views(self.encoder, views, micro_batch=self.micro_batch))
        return embeddings, self.projector(embeddings)


class BAMObjective(nn.Module):
    """Balanced self-attention matching around any encoder and any views.

    Args:
        encoder: module that maps a view (a tensor, or a dict or tuple of tensors) to (b, d) embeddings.
        view_fn: callable that maps a batch to a list of views or a `Views(global_views, local_views)`; it may take
            a `generator=` keyword. Every view holds the same b samples in the same order; shapes may differ. If it
            has a method `untouched(batch)`, that turns a batch into the view that `embed` shows the encoder.
        projector: module between embeddings and loss, (n, d) -> (n, p). Default: `Projector()`, which finds out d
            from the first batch; `nn.Identity()` for none.
        momentum: None for no teacher; else the momentum of an EMA teacher, a number or a function of the step.
        n_target: the first T global views are the attended columns. Default: all global views.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target; keep it below `temperature`.
        iterations: Sinkhorn iterations.
        top_k: keep only the k largest entries of a target row.
        mask_positives: leave a sample's own columns out.
        micro_batch: rows that the encoder sees at a time, for batches that do not fit into memory. Loss and gradient
            are those of the whole batch, at the price of a second forward pass of the encoder.

    Raises:
        InputError: settings out of range; in `forward`, views or embeddings that do not fit.

    Example:
        >>> encoder = nn.Linear(8, 4)
        >>> objective = BAMObjective(encoder, lambda x: [x + 0.1 * torch.randn_like(x) for _ in range(2)])
        >>> optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
        >>> for batch in torch.randn(2, 32, 8):
        ...     objective(batch).loss.backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        ...     objective.update_teacher()
        >>> objective.embed(torch.randn(5, 8)).shape
        torch.Size([5, 4])

    Source: Shalam & Korman, ECCV 2024, arXiv 2408.02014.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        *,
        projector: nn.Module | None = None,
        momentum: float | Callable[[int], float] | None = None,
        n_target: int | None = None,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        top_k: int | None = None,
        mask_positives: bool = True,
        micro_batch: int | None = None,
    ) -> None:
        super().__init__()
        check_sharpness(temperature=temperature, epsilon=epsilon, top_k=top_k)
        if micro_batch is not None:
            _check_micro_batch(micro_batch, encoder)
        self.student = _Student(encoder, Projector() if projector is None else projector, micro_batch)
        self.view_fn = view_fn
        self.momentum = momentum
        self.n_target = n_target
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.top_k = top_k
        self.mask_positives = mask_positives
        self.teacher: EMATeacher | None = None
        if momentum is not None and not self._is_lazy():
            self.teacher = EMATeacher(self.student, momentum)

    @property
    def encoder(self) -> nn.Module:
        """The student's encoder: what pretraining is for."""
        return self.student.encoder

    @property
    def projector(self) -> nn.Module:
        """The student's projector."""
        return self.student.projector

    def _is_lazy(self) -> bool:
        return any(is_lazy(p) for p in (*self.student.parameters(), *self.student.buffers()))

    def initialize(self, batch: Any) -> None:
        """Let a batch tell the projector the width and the scale of the embeddings, and make the teacher.

        The first `forward` does it by itself; call this before wrapping in DistributedDataParallel or loading a
        state dict. The encoder is not changed.

        Args:
            batch: what `view_fn` takes; some hundred samples of all kinds are best.
        """
        if self._is_lazy():
            with torch.no_grad():
                encoder = copy.deepcopy(self.encoder)  # whose running statistics may change
                self.projector(encode_views(encoder, make_views(self.view_fn, batch, None).global_views[:1])[0])
        if self.momentum is not None and self.teacher is None:
            self.teacher = EMATeacher(self.student, self.momentum)

    def forward(self, batch: Any, *, generator: torch.Generator | Sequence[torch.Generator] | None = None) -> BAMOutput:
        """Make views of a batch, embed them and compare.

        Args:
            batch: whatever `view_fn` takes.
            generator: random generator handed to `view_fn` if it takes one. Several: the batch is divided into as many
                equal parts, each with views from its own generator (`bam_core.views.draw_views` says what for).

        Returns:
            Loss, diagnostics and embeddings.

        Raises:
            InputError: views or embeddings that do not fit; see `bam_loss`.
        """
        self.initialize(batch)
        with errors_shared():
            views, n_views, n_global = draw_views(self.view_fn, batch, generator)
            embeddings, projections = self.student(views)
            teacher = None if self.teacher is None else self.teacher(views)[1]
        out = bam_loss(
            projections,
            teacher,
            n_views=n_views,
            n_global=n_global,
            n_target=self.n_target,
            temperature=self.temperature,
            epsilon=self.epsilon,
            iterations=self.iterations,
            top_k=self.top_k,
            mask_positives=self.mask_positives,
        )
        n_others = len(projections) // n_views * world_size() - self.mask_positives
        uniform_loss = torch.full_like(out.kl, math.log((self.n_target or n_global) * n_others))
        return BAMOutput(*out, uniform_loss=uniform_loss, embeddings=embeddings.detach())

    def update_teacher(self) -> None:
        """Move the teacher towards the student; call once per optimiser step. Without a teacher it does nothing."""
        if self.teacher is not None:
            self.teacher.update(self.student)

    @torch.no_grad()
    def embed(self, batch: Any, *, teacher: bool = False) -> Float[Tensor, "b d"]:
        """Embeddings of the untouched batch, in evaluation mode.

        Args:
            batch: what `view_fn` takes if it has an `untouched` method; else what the encoder takes.
            teacher: use the teacher's encoder.

        Returns:
            (b, d) embeddings, detached.

        Raises:
            InputError: `teacher=True` without a teacher, or an encoder that does not return (b, d).
        """
        if teacher and self.teacher is None:
            raise InputError("embed(teacher=True) expected an objective with momentum; this one has no teacher.")
        network = cast(_Student, self.teacher.module if teacher and self.teacher is not None else self.student)
        untouched = getattr(self.view_fn, "untouched", None)
        view = batch if untouched is None else untouched(batch)
        with _evaluating(network):
            return encode_views(network.encoder, [view])[0]


def _check_micro_batch(micro_batch: int, encoder: nn.Module) -> None:
    if micro_batch < 1:
        raise InputError(f"BAMObjective expected micro_batch >= 1, rows at a time; got {micro_batch}.")
    norm = next((name for name, m in encoder.named_modules() if isinstance(m, _BatchNorm)), None)
    if norm is not None:
        warnings.warn(
            f"micro_batch={micro_batch} with batch normalisation (encoder layer {norm!r}): every micro-batch is "
            "normalised by its own statistics, so loss and gradient are not quite those of the whole batch. Take an "
            "encoder with layer or group normalisation if they have to be.",
            stacklevel=3,
        )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training
