"""Objective: any encoder, any views, and terms that share one look at them. A method is a preset of terms."""

import copy
import warnings
from collections import namedtuple
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bam_core.collectives import errors_shared
from bam_core.errors import CollapseWarning, InputError
from bam_core.looks import PROJECTOR, Look, Wish, joined_rows
from bam_core.student import Generators, StudentObjective, evaluating
from bam_core.terms import AttentionOf, Comparison, Term, TermOutput
from bam_core.views import Drawn, draw_views

Weight = float | int | Callable[[float], float]


class Objective(StudentObjective):
    """Terms around any encoder and any views.

    Args:
        encoder: module that maps a view (a tensor, or a dict or tuple of tensors) to (b, d) embeddings.
        view_fn: callable that maps a batch to views; see `BAMObjective`.
        terms: name -> `bam_core.terms.Term`, at least one. The scalars of the first keep their names in the output,
            those of others have the term's name in front.
        weights: name of a term -> its weight, a number or a function of the fraction of the run that is over; 1 for
            those that are not named.
        projector: the head "projector", which terms may share; default: the one that a term brings, or `Projector()`.
            `nn.Identity()` where no term wishes for it.
        momentum: None for no teacher; else the momentum of an EMA teacher, a number or a function of the step.
        micro_batch: rows that the encoder sees at a time; None for all.
        total_steps: length of the run in optimiser steps, for what changes over it; None: the fraction stays at 0.

    Raises:
        InputError: settings out of range, no term, names that clash; in `forward`, views that do not fit, or a term
            that wishes for a teacher where there is none.

    Warns:
        CollapseWarning: in training, when a term says that something is wrong.

    Example:
        >>> from bam_core.objectives.terms.bam import BAM
        >>> objective = Objective(nn.Linear(8, 4), lambda x: [x, x + 0.1], {"bam": BAM()})
        >>> objective(torch.randn(32, 8)).loss.ndim
        0
    """

    def __init__(
        self,
        encoder: nn.Module,
        view_fn: Callable[..., Any],
        terms: Mapping[str, nn.Module],
        *,
        weights: Mapping[str, Weight] | None = None,
        projector: nn.Module | None = None,
        momentum: float | Callable[[int], float] | None = None,
        micro_batch: int | None = None,
        total_steps: int | None = None,
    ) -> None:
        if not terms:
            raise InputError("Objective expected at least one term; got none.")
        brought = [heads[PROJECTOR] for t in terms.values() if PROJECTOR in (heads := getattr(t, "heads", {}))]
        projector = brought[0] if brought and projector is None else projector
        super().__init__(encoder, view_fn, projector=projector, momentum=momentum, micro_batch=micro_batch)
        self.terms = nn.ModuleDict()
        self.weights: dict[str, Weight] = {}
        self.progress: Progress | None = None
        self.add_terms(terms, weights=weights, total_steps=total_steps)

    def add_terms(
        self,
        terms: Mapping[str, nn.Module],
        *,
        weights: Mapping[str, Weight] | None = None,
        total_steps: int | None = None,
    ) -> None:
        """Take further terms, before the first batch; their heads go to the student.

        Raises:
            InputError: a name that is no word or that is taken, a weight that is no term's, or one that changes over a
                run whose length is not known.
        """
        weights = dict(weights or {})
        stray = [name for name in weights if name not in terms]
        if stray:
            raise InputError(f"weights expected the names of terms, {', '.join(terms)}; got {', '.join(stray)}.")
        for name, term in terms.items():
            if not name.isidentifier() or name in self.terms:
                raise InputError(f"a term expected a word of its own as its name; got {name!r}.")
            if not isinstance(term, nn.Module) or not isinstance(term, Term):
                raise InputError(f"term {name!r} expected a bam_core.terms.Term; got {type(term).__name__}.")
            for head, module in getattr(term, "heads", {}).items():
                if getattr(self.student, head, None) is not module:
                    self.student.add_head(head, module)
            self.terms[name] = term
            self.weights[name] = weights.get(name, 1.0)
        if total_steps is not None:
            self.progress = Progress(total_steps)
        changing = [name for name, weight in weights.items() if callable(weight)]
        if changing and self.progress is None:
            raise InputError(
                f"the weight of {changing[0]!r} changes over the run: total_steps must say how long it is."
            )
        self.teacher = None
        self._make_teacher()

    @property
    def fraction(self) -> float:
        """Of the run that is over, from 0 to 1."""
        return 0.0 if self.progress is None else self.progress.fraction

    @property
    def advises(self) -> bool:
        """Whether a term says itself when the training goes wrong."""
        return any(hasattr(term, "advice") for term in self.terms.values())

    def forward(self, batch: Any, *, generator: Generators = None) -> Any:
        """Make views of a batch, look at them once, and let every term compare.

        Args:
            batch: whatever `view_fn` takes.
            generator: random generator handed to `view_fn` if it takes one. Several: the batch is divided into as many
                equal parts, each with views from its own generator (`bam_core.views.draw_views` says what for).

        Returns:
            A NamedTuple: `loss`, the weighted sum, differentiable; the scalars of the terms; `embeddings`,
            (n_views * b, d) of the views that the student looked at, view-major; and `projections`, if the first term
            has such. With several terms also `<term>_loss` of each, without its weight.

        Raises:
            InputError: views or embeddings that do not fit.
        """
        self.initialize(batch)
        with errors_shared():
            drawn = draw_views(self.view_fn, batch, generator)
            wishes = self._wishes(drawn, self.encoder)
            own = [wish for wished in wishes.values() for wish in wished if wish.who == "student"]
            if not own:
                raise InputError(
                    f"Objective expected a term that wishes for a look of the student, which is to learn; "
                    f"{', '.join(wishes)} wish for none. Add such a term."
                )
            looks: list[Look] = self.student(own, drawn)
        embeddings = _embeddings(looks)
        theirs = [wish for wished in wishes.values() for wish in wished if wish.who == "teacher"]
        of = {"student": iter(looks), "teacher": iter(self._taught(theirs, drawn))}
        outputs = {
            name: self.terms[name]([next(of[wish.who]) for wish in wished], drawn, self.fraction)
            for name, wished in wishes.items()
        }
        if self.training and torch.is_grad_enabled():
            self._advise(outputs)
        return self._joined(outputs, embeddings)

    def _wishes(self, drawn: Drawn, encoder: nn.Module) -> dict[str, list[Wish]]:
        return {name: cast(Term, term).wishes(drawn, encoder) for name, term in self.terms.items()}

    def _taught(self, wishes: list[Wish], drawn: Drawn) -> list[Look]:
        if not wishes:
            return []
        if self.teacher is None:
            raise InputError("a term wishes for the teacher, and there is none: give the objective a momentum.")
        return cast(list[Look], self.teacher(wishes, drawn))

    def _advise(self, outputs: Mapping[str, TermOutput]) -> None:
        for name, output in outputs.items():
            advice = getattr(self.terms[name], "advice", None)
            text = None if advice is None else advice(output)
            if text is not None:
                warnings.warn(text, CollapseWarning, stacklevel=5)

    def _joined(self, outputs: Mapping[str, TermOutput], embeddings: Tensor) -> Any:
        first, *others = outputs
        weights = {name: w(self.fraction) if callable(w) else w for name, w in self.weights.items()}
        values = {"loss": _weighted(outputs, weights)}
        values |= outputs[first].scalars
        for name in others:
            values |= {f"{name}_{key}": value for key, value in outputs[name].scalars.items()}
        if others:
            values |= {f"{name}_loss": output.loss.detach() for name, output in outputs.items()}
        values["embeddings"] = embeddings.detach()
        projections = outputs[first].projections
        if projections is not None:
            values["projections"] = projections
        return _output_type(tuple(values))(**values)

    def update_teacher(self) -> None:
        """Move the teacher towards the student, and the run on; call once per optimiser step."""
        super().update_teacher()
        if self.progress is not None:
            self.progress.steps += 1

    @torch.no_grad()
    def picture(self, batch: Any, *, generator: Generators = None) -> AttentionOf | None:
        """What a report draws of a batch; None where no term has a picture."""
        drawn = draw_views(self.view_fn, batch, generator).only_global()
        for term in self.terms.values():
            if hasattr(term, "picture"):
                wishes = [wish for wish in cast(Term, term).wishes(drawn, self.encoder) if wish.who == "student"]
                shown: AttentionOf | None = cast(Any, term).picture(self.student(wishes, drawn))
                return shown
        return None

    def cost(self, n_global: int) -> Comparison:
        """What the terms compare, for the estimate of a run's cost."""
        costs = [cast(Any, term).cost(n_global) for term in self.terms.values() if hasattr(term, "cost")]
        return Comparison(sum(c.n_columns for c in costs), sum(c.iterations for c in costs))

    def initialize(self, batch: Any) -> None:
        """See `StudentObjective.initialize`; terms whose parameters have no shape yet compare a batch once."""
        super().initialize(batch)
        lazy = [name for name, term in self.terms.items() if any(is_lazy(p) for p in term.parameters())]
        if lazy:
            with torch.no_grad(), evaluating(student := copy.deepcopy(self.student)), evaluating(self.terms):
                drawn = draw_views(self.view_fn, batch, None)
                for name in lazy:
                    wished = cast(Term, self.terms[name]).wishes(drawn, self.encoder)
                    self.terms[name](student(wished, drawn), drawn, 0.0)

    def _first_wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        found: dict[str | None, Wish] = {}
        for wished in self._wishes(drawn, encoder).values():
            for wish in wished:
                found.setdefault(wish.head, wish)
        return [wish for head, wish in found.items() if head is not None]

    def _load_from_state_dict(self, state_dict: MutableMapping[str, Any], prefix: str, *args: Any) -> None:
        """Take the state of an objective of before, whose loss was a part of it and not a term."""
        for name, term in self.terms.items():
            for key in term.state_dict():
                before, now = f"{prefix}{key}", f"{prefix}terms.{name}.{key}"
                if before in state_dict and now not in state_dict:
                    state_dict[now] = state_dict.pop(before)
        super()._load_from_state_dict(state_dict, prefix, *args)


class Progress(nn.Module):
    """How far a run is; a part of the state of an objective whose terms change over it.

    Args:
        total_steps: of the run, >= 1.

    Raises:
        InputError: `total_steps` < 1.
    """

    def __init__(self, total_steps: int) -> None:
        super().__init__()
        if total_steps < 1:
            raise InputError(f"an objective expected total_steps >= 1; got {total_steps}.")
        self.total_steps = total_steps
        self.steps = 0

    @property
    def fraction(self) -> float:
        """Of the run that is over, from 0 to 1."""
        return min(self.steps / self.total_steps, 1.0)

    def get_extra_state(self) -> dict[str, int]:
        """Steps so far."""
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Restore the steps."""
        self.steps = state["steps"]


def _embeddings(looks: Sequence[Look]) -> Tensor:
    """Of every view once, of all its places if there is such a look; views of another width than the first left out."""
    of_view: dict[int, Tensor] = {}
    for look in sorted(looks, key=lambda look: look.wish.keep is not None):
        of_view.setdefault(look.wish.view, look.embeddings)
    rows = [of_view[view] for view in sorted(of_view)]
    return joined_rows([r for r in rows if r.shape[1] == rows[0].shape[1]])


def _weighted(outputs: Mapping[str, TermOutput], weights: Mapping[str, float]) -> Tensor:
    first, *others = [weights[name] * output.loss for name, output in outputs.items()]
    for loss in others:
        first = first + loss
    return first


@lru_cache
def _output_type(fields: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("ObjectiveOutput", fields)
