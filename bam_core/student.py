"""What every objective around an encoder has: student, views, perhaps a teacher; the losses are left to others."""

import copy
import warnings
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from bam_core.collectives import errors_shared
from bam_core.errors import InputError
from bam_core.looks import PROJECTOR, Look, Student, Wish, joined_rows
from bam_core.projector import Projector
from bam_core.teacher import EMATeacher
from bam_core.views import Drawn, draw_views, encode_views

Generators = torch.Generator | Sequence[torch.Generator] | None  # of a batch, or one for each part of it


class StudentViews(NamedTuple):
    """What the student made of a batch.

    Attributes:
        drawn: what it saw.
        embeddings: (n_views * b, d) of the encoder, view-major.
        projections: (n_views * b, p) of the projector.
    """

    drawn: Drawn
    embeddings: Float[Tensor, "rows d"]
    projections: Float[Tensor, "rows p"]


class StudentObjective(nn.Module):
    """Networks around an encoder, without a loss: `Objective` adds terms; a child may call `see` and compare itself.

    Args:
        encoder: see `BAMObjective`, like all below.
        view_fn: batch -> views.
        projector: module between embeddings and loss.
        momentum: of an EMA teacher; None for none.
        micro_batch: rows that the encoder sees at a time; None for all.

    Raises:
        InputError: settings out of range; in `see`, views or embeddings that do not fit.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        *,
        projector: nn.Module | None = None,
        momentum: float | Callable[[int], float] | None = None,
        micro_batch: int | None = None,
    ) -> None:
        super().__init__()
        if micro_batch is not None:
            _check_micro_batch(micro_batch, encoder)
        self.student = Student(encoder, {PROJECTOR: Projector() if projector is None else projector}, micro_batch)
        self.view_fn = view_fn
        self.momentum = momentum
        self.teacher: EMATeacher | None = None
        self._frozen: list[nn.Module] = []
        self._make_teacher()

    def _make_teacher(self) -> None:
        if self.momentum is not None and self.teacher is None and not self._is_lazy():
            self.teacher = EMATeacher(self.student, self.momentum)

    @property
    def encoder(self) -> nn.Module:
        """The student's encoder: what pretraining is for."""
        return self.student.encoder

    @property
    def projector(self) -> nn.Module:
        """The student's projector."""
        return self.student.head(PROJECTOR)

    def _is_lazy(self) -> bool:
        return any(is_lazy(p) for p in (*self.student.parameters(), *self.student.buffers()))

    def initialize(self, batch: Any) -> None:
        """Let a batch tell the projector the width and the scale of the embeddings, and make the teacher.

        The first `forward` does it by itself; call this before wrapping in DistributedDataParallel. A state dict needs
        no call: it brings what is missing. The encoder is not changed.

        Args:
            batch: what `view_fn` takes; some hundred samples of all kinds are best.
        """
        if self._is_lazy():
            with torch.no_grad():
                drawn = draw_views(self.view_fn, batch, None)
                encoder = copy.deepcopy(self.encoder)  # whose running statistics may change
                wishes = self._first_wishes(drawn, encoder)
                heads = {w.head: self.student.head(w.head) for w in wishes if w.head is not None}
                with ExitStack() as stack:  # only their shapes and their `Standardize` are asked for
                    for head in heads.values():
                        stack.enter_context(evaluating(head))
                    Student(encoder, heads)(wishes, drawn)
        self._make_teacher()

    def _first_wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """One for every head, to find out what it will be given."""
        return [Wish(0)]

    def _load_from_state_dict(self, state_dict: MutableMapping[str, Any], prefix: str, *args: Any) -> None:
        """Make the teacher that a state dict has and a fresh objective has not yet, for its tensors to go into."""
        if (
            self.momentum is not None
            and self.teacher is None
            and any(k.startswith(f"{prefix}teacher.") for k in state_dict)
        ):
            own = f"{prefix}student."
            self.student.load_state_dict({k.removeprefix(own): v for k, v in state_dict.items() if k.startswith(own)})
            self.teacher = EMATeacher(self.student, self.momentum)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def train(self, mode: bool = True) -> "StudentObjective":
        """Training or evaluation mode; parts of an encoder that were put into evaluation mode by themselves keep it.

        So frozen batch normalisation stays frozen: `objective.encoder.stem.eval()`, once, is enough.
        """
        networks = [self.student] if self.teacher is None else [self.student, cast(Student, self.teacher.module)]
        if self.encoder.training:
            encoders = [network.encoder for network in networks]
            self._frozen = [m for encoder in encoders for m in encoder.modules() if not m.training]
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self

    def see(self, batch: Any, generator: Generators, *, local: bool = True) -> StudentViews:
        """Make views of a batch and let the student embed and project them; the first batch makes what is missing.

        Args:
            batch: whatever `view_fn` takes.
            generator: one, or one for each part of the batch; see `draw_views`.
            local: look at the local views, too.
        """
        self.initialize(batch)
        with errors_shared():
            drawn = draw_views(self.view_fn, batch, generator)
            drawn = drawn if local else drawn.only_global()
            self.check_views(drawn)
            return self.look(drawn)

    def look(self, drawn: Drawn, *, teacher: bool = False) -> StudentViews:
        """Let the student, or the teacher, embed and project views."""
        network = self.teacher if teacher and self.teacher is not None else self.student
        looks = cast(list[Look], network([Wish(view) for view in range(drawn.n_views)], drawn))
        embeddings = joined_rows([look.embeddings for look in looks])
        return StudentViews(drawn, embeddings, joined_rows([cast(Tensor, look.projections) for look in looks]))

    def check_views(self, drawn: Drawn) -> None:
        """Raise an `InputError` for views that the objective cannot use, before a network sees them."""

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
        network = cast(Student, self.teacher.module if teacher and self.teacher is not None else self.student)
        untouched = getattr(self.view_fn, "untouched", None)
        view = batch if untouched is None else untouched(batch)
        with evaluating(network):
            return encode_views(network.encoder, [view])[0]


def _check_micro_batch(micro_batch: int, encoder: nn.Module) -> None:
    if micro_batch < 1:
        raise InputError(f"the objective expected micro_batch >= 1, rows at a time; got {micro_batch}.")
    norm = next((name for name, m in encoder.named_modules() if isinstance(m, _BatchNorm)), None)
    if norm is not None:
        warnings.warn(
            f"micro_batch={micro_batch} with batch normalisation (encoder layer {norm!r}): every micro-batch is "
            "normalised by its own statistics, so loss and gradient are not quite those of the whole batch. Take an "
            "encoder with layer or group normalisation if they have to be.",
            stacklevel=4,
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; every part goes back to the mode it had."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training
