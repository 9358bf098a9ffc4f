"""`check_term`: what the protocol promises of a term of an objective, tried around a small network on noisy waves."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.looks import PROJECTOR, Look, Student, Wish
from bam_core.objective import Objective
from bam_core.projector import Projector
from bam_core.terms import Term, TermOutput
from bam_core.testing.contract import Contract
from bam_core.testing.objective import check_declaration, check_objective
from bam_core.testing.stand_ins import CHANNELS, STEPS, N, NoisyViews, Pooled
from bam_core.views import Drawn, draw_views

P = 16  # width of the projections


def check_term(factory: Callable[..., Any], *, width: int = P, **options: Any) -> None:
    """Check everything that `bam_core.terms.Term` promises, also of an objective made of it; call it in a test.

    Args:
        factory: (**options) -> term, as recipes name it.
        width: of the projections that it is given by the shared head.
        **options: of the factory.

    Raises:
        ContractError: the first broken rule, and what came instead.

    Example:
        >>> from bam_core.objectives.terms.koleo import KoLeo
        >>> check_term(KoLeo)
    """
    contract = Contract(f"term {getattr(factory, '__name__', type(factory).__name__)!r}")
    check_declaration(contract, factory, n_positional=0)
    torch.manual_seed(0)
    with contract.rule("the factory takes keywords and returns a module that is a `bam_core.terms.Term`") as need:
        term = factory(**options)
        need(isinstance(term, nn.Module), f"a {type(term).__name__}")
        need(isinstance(term, Term), "no method `wishes`")
    drawn = draw_views(NoisyViews(), torch.randn(N, CHANNELS, STEPS), torch.Generator().manual_seed(0))
    wishes = _wishes(contract, term, drawn)
    _output(contract, term, wishes, drawn, width)
    taught = any(wish.who == "teacher" for wish in wishes)

    def make(
        encoder: nn.Module, view_fn: Callable[..., Any], *, total_steps: int, micro_batch: int | None = None
    ) -> Objective:
        projector = Projector(hidden_features=P, out_features=width, batch_norm=True)
        shared = any(wish.head == PROJECTOR for wish in wishes)
        term = factory(**options)
        return Objective(
            encoder,
            view_fn,
            {"term": term},
            projector=None if PROJECTOR in getattr(term, "heads", {}) else projector if shared else nn.Identity(),
            momentum=0.9 if taught else None,
            micro_batch=micro_batch,
            total_steps=total_steps,
        )

    make.__name__ = f"an objective of {getattr(factory, '__name__', 'the term')}"
    check_objective(make)


def _wishes(contract: Contract, term: Any, drawn: Drawn) -> list[Wish]:
    with contract.rule(
        "wishes are for views that were drawn, of the student or the teacher, with a head or none"
    ) as need:
        wishes: list[Wish] = term.wishes(drawn, Pooled())
        need(isinstance(wishes, list) and wishes and all(isinstance(w, Wish) for w in wishes), f"{wishes!r}")
        need(any(w.who == "student" for w in wishes), "none for the student, who is to learn")
        for wish in wishes:
            need(0 <= wish.view < drawn.n_views, f"view {wish.view} of {drawn.n_views}")
            need(wish.who in ("student", "teacher"), f"who={wish.who!r}")
            need(wish.keep is None or wish.tokens, "`keep` without tokens")
    with contract.rule("heads are modules by name, which wishes may name beside the shared one") as need:
        heads = getattr(term, "heads", {})
        need(all(isinstance(head, nn.Module) and name.isidentifier() for name, head in heads.items()), f"{heads!r}")
        unknown = {w.head for w in wishes} - {None, PROJECTOR, *heads}
        need(not unknown, f"a wish for the head {', '.join(map(str, unknown))}, which nobody brings")
    return wishes


def _output(contract: Contract, term: Any, wishes: list[Wish], drawn: Drawn, width: int) -> None:
    heads = {PROJECTOR: Projector(hidden_features=P, out_features=width, batch_norm=True), **getattr(term, "heads", {})}
    networks = {"student": Student(Pooled(), heads), "teacher": Student(Pooled(), heads)}
    with contract.rule("a small network with tokens can look at what it wishes for"):
        looks: list[Look] = []
        for wish in wishes:
            with torch.set_grad_enabled(wish.who == "student"):
                looks += networks[wish.who]([wish], drawn)
    with contract.rule(
        "it returns a `TermOutput`: a finite number to differentiate, and scalars off the graph"
    ) as need:
        out = term(looks, drawn, 0.0)
        need(isinstance(out, TermOutput), f"a {type(out).__name__}")
        need(out.loss.ndim == 0 and out.loss.isfinite() and out.loss.requires_grad, f"{out.loss}")
        for name, value in out.scalars.items():
            need(name.isidentifier(), f"the scalar name {name!r}, which is no word")
            need(isinstance(value, Tensor) and value.ndim == 0, f"{name} is {value!r}")
            need(not value.requires_grad, f"{name} holds on to the graph; detach it")
    with contract.rule("the loss gives the student's encoder a gradient") as need:
        out.loss.backward()
        found = [p.grad for p in networks["student"].encoder.parameters()]
        need(any(grad is not None and grad.any() for grad in found), "no parameter of it has one")
