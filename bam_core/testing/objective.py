"""`check_objective`: what the protocol promises of an objective, tried around a small network on noisy waves."""

import copy
import inspect
import io
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bam_core.errors import BAMError
from bam_core.protocols import Objective
from bam_core.testing.contract import Contract
from bam_core.testing.stand_ins import CHANNELS, STEPS, WIDTH, N, NoisyViews, Pooled
from bam_core.views import accepts_keyword, draw_views


def check_objective(factory: Callable[..., Any], **options: Any) -> None:
    """Check everything that `bam_core.protocols.Objective` promises; call it in a test of your objective.

    Args:
        factory: (encoder, view_fn, *, total_steps, **options) -> objective, as recipes name it.
        **options: of the factory, such as small widths, or a momentum that brings a teacher.

    Raises:
        ContractError: the first broken rule, and what came instead.

    Example:
        >>> from bam_core.objectives.bam import make_bam
        >>> check_objective(make_bam, projector_hidden=16, projector_out=8)
    """
    contract = Contract(f"objective {getattr(factory, '__name__', type(factory).__name__)!r}")
    check_declaration(contract, factory, n_positional=2)
    torch.manual_seed(0)
    batch = torch.randn(N, CHANNELS, STEPS)
    make = _Maker(factory, options)
    with contract.rule("the factory takes (encoder, view_fn, *, total_steps, **options) and returns a module") as need:
        objective = make()
        need(isinstance(objective, nn.Module), f"a {type(objective).__name__}")
        missing = [n for n in ("encoder", "initialize", "update_teacher", "embed") if not hasattr(objective, n)]
        need(isinstance(objective, Objective), f"no {', '.join(missing)}")
    _initialization(contract, objective, batch)
    _output(contract, objective, batch)
    _generators(contract, make, objective, batch)
    _views(contract, make, batch)
    _teacher(contract, objective, batch)
    _embeddings(contract, objective, batch)
    _state(contract, make, objective, batch)
    if accepts_keyword(factory, "micro_batch"):
        _micro_batches(contract, factory, options, batch)
    with contract.rule("a batch of one sample, which is nothing to compare with, is a BAMError") as need:
        try:
            out = _call(copy.deepcopy(objective), batch[:1])
        except BAMError:
            out = None
        need(out is None, f"{out}")


class _Maker:
    def __init__(self, factory: Callable[..., Any], options: dict[str, Any]) -> None:
        self.factory, self.options = factory, options

    def __call__(self, view_fn: Callable[..., Any] | None = None) -> Any:
        torch.manual_seed(0)
        return self.factory(Pooled(), view_fn or NoisyViews(), total_steps=10, **self.options)


def _call(objective: Any, batch: Tensor, seed: int | Sequence[int] = 0) -> Any:
    """A forward pass as the training makes it; dropout follows from the global generator, views from their own."""
    torch.manual_seed(0)
    seeds = [seed] if isinstance(seed, int) else seed
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    return objective(batch, generator=generators[0] if isinstance(seed, int) else generators)


def _values(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value) for name, value in state.items()}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    def same(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, Tensor) else a == b

    return [name for name in before.keys() | after.keys() if name not in before or name not in after
            or not same(before[name], after[name])]  # fmt: skip


def check_declaration(contract: Contract, factory: Callable[..., Any], *, n_positional: int) -> None:
    """Check that the options of a factory, behind its first parameters, can stand in a recipe."""
    from bam_core.config.options import options_model

    with contract.rule(
        "the options of a factory are keyword-only and typed, with defaults; `name` is none of them"
    ) as (need):
        (*options,) = list(inspect.signature(factory).parameters.values())[n_positional:]
        for option in options:
            need(option.kind is option.KEYWORD_ONLY, f"{option} can be given by position, or is open")
            need(option.annotation is not option.empty, f"{option} has no type")
            need(option.name == "total_steps" or option.default is not option.empty, f"{option} has no default")
            need(option.name != "name", "an option `name`")
        if n_positional:
            need("total_steps" in [option.name for option in options], "no keyword `total_steps`")
        options_model(factory)


def _initialization(contract: Contract, objective: Any, batch: Tensor) -> None:
    encoder = _values(objective.encoder.state_dict())
    with contract.rule(
        "initialize(batch) makes every parameter, and changes neither the encoder nor anything twice"
    ) as (need):
        objective.initialize(batch)
        lazy = [name for name, p in objective.named_parameters() if is_lazy(p)]
        need(not lazy, f"{', '.join(lazy)} are still without a shape")
        changed = _changed(encoder, objective.encoder.state_dict())
        need(not changed, f"it changes {', '.join(changed)} of the encoder")
        before = _values(objective.state_dict())
        objective.initialize(batch)
        need(not _changed(before, objective.state_dict()), "it changes its parameters when called again")
    with contract.rule("after initialize, no call makes parameters: the optimiser and DDP have counted them") as need:
        names = set(dict(objective.named_parameters()))
        _call(tried := copy.deepcopy(objective), batch)
        later = set(dict(tried.named_parameters())) - names
        need(not later, f"forward made {', '.join(sorted(later))}")


def _output(contract: Contract, objective: Any, batch: Tensor) -> None:
    tried = copy.deepcopy(objective)
    with contract.rule(
        "it returns a NamedTuple with `loss`, a finite number to differentiate, and `embeddings`"
    ) as need:
        out = _call(tried, batch)
        need(hasattr(out, "_asdict"), f"a {type(out).__name__}")
        need({"loss", "embeddings"} <= set(out._fields), f"the fields {', '.join(out._fields)}")
        need(out.loss.ndim == 0 and out.loss.isfinite() and out.loss.requires_grad, f"{out.loss}")
        others = [k for k, v in out._asdict().items() if k != "loss" and isinstance(v, Tensor) and v.requires_grad]
        need(not others, f"{', '.join(others)} hold on to the graph; detach them")
        shape = (2 * N, WIDTH)
        need(tuple(out.embeddings.shape) == shape, f"embeddings of shape {tuple(out.embeddings.shape)}, not {shape}")
    with contract.rule("the loss gives every trainable parameter a finite gradient, which DDP waits for") as need:
        out.loss.backward()
        for name, parameter in tried.named_parameters():
            if parameter.requires_grad:
                need(parameter.grad is not None, f"none for {name}; freeze it, or use it")
                need(cast(Tensor, parameter.grad).isfinite().all(), f"NaN or infinity for {name}")
        moved = [p for p in tried.encoder.parameters() if p.grad is not None and p.grad.any()]
        need(moved, "zero for the whole encoder")


def _generators(contract: Contract, make: _Maker, objective: Any, batch: Tensor) -> None:
    with contract.rule("from the same state, the same generator gives the same loss, and another one another") as need:
        first, again, other = (_call(copy.deepcopy(objective), batch, seed).loss for seed in (1, 1, 2))
        need(torch.equal(first, again), f"{first.item()} and {again.item()}")
        need(not torch.equal(first, other), f"{first.item()} for both seeds")
    with contract.rule(
        "several generators divide the batch into parts with views of their own, joined for the loss"
    ) as (need):
        seeds = (1, 2, 3, 4)
        parts = draw_views(NoisyViews(), batch, [torch.Generator().manual_seed(s) for s in seeds]).views
        n = len(seeds)
        joined = [torch.cat(parts[i * n : (i + 1) * n]) for i in range(2)]
        given = make(lambda batch: joined)
        given.initialize(batch)
        given.load_state_dict(objective.state_dict())
        other, expected = _call(copy.deepcopy(given), batch, 1).loss, _call(given, batch).loss
        got = _call(copy.deepcopy(objective), batch, seeds).loss
        if torch.equal(expected, other):  # else it draws, too, such as places to hide, and these are others
            need(torch.allclose(got, expected, rtol=1e-4), f"{got.item()} instead of {expected.item()}")
        need(got.isfinite(), f"{got.item()}")


def _views(contract: Contract, make: _Maker, batch: Tensor) -> None:
    with contract.rule("global views may differ in length") as need:
        objective = make(NoisyViews((STEPS, STEPS - 10)))
        objective.initialize(batch)
        out = _call(objective, batch)
        need(out.loss.isfinite() and len(out.embeddings) == 2 * N, f"loss {out.loss}, {len(out.embeddings)} embeddings")
    with contract.rule("shorter local views are used, left out, or refused by a BAMError") as need:
        try:
            objective = make(NoisyViews(local=(20, 20)))
            objective.initialize(batch)
            out = _call(objective, batch)
            need(out.loss.isfinite(), f"loss {out.loss}")
            need(len(out.embeddings) % N == 0, f"{len(out.embeddings)} embeddings of {N} samples")
        except BAMError:
            return


def _teacher(contract: Contract, objective: Any, batch: Tensor) -> None:
    tried = copy.deepcopy(objective)
    optimizer = torch.optim.SGD(tried.parameters(), lr=0.1)
    with contract.rule(
        "update_teacher moves what is called `teacher`, and nothing else does; without one it does nothing"
    ) as need:
        teacher = getattr(tried, "teacher", None)
        before = [p.clone() for p in teacher.parameters()] if teacher is not None else []
        for seed in range(2):
            _call(tried, batch, seed).loss.backward()
            optimizer.step()
        if teacher is None:
            state = _values(tried.state_dict())
            tried.update_teacher()
            changed = [name for name in _changed(state, tried.state_dict()) if isinstance(state.get(name), Tensor)]
            need(not changed, f"{', '.join(changed)} moved, and there is no attribute `teacher`")
            return
        need(not any(p.requires_grad for p in teacher.parameters()), "the teacher has trainable parameters")
        still = all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))
        need(still, "the teacher moved before update_teacher was called")
        student = [p.clone() for p in tried.encoder.parameters()]
        tried.update_teacher()
        need(any(not torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True)), "it did not move")
        need(
            all(torch.equal(a, b) for a, b in zip(student, tried.encoder.parameters(), strict=True)),
            "the student moved",
        )
        saved, expected = teacher.module.encoder.state_dict(), tried.encoder.state_dict()
        need(saved.keys() == expected.keys(), "teacher.module.encoder is no copy of the encoder")


def _embeddings(contract: Contract, objective: Any, batch: Tensor) -> None:
    tried = copy.deepcopy(objective)
    with contract.rule(
        "embed gives the encoder's vectors of `view_fn.untouched(batch)`, detached, in evaluation mode"
    ) as (need):
        got = tried.embed(batch)
        expected = copy.deepcopy(tried.encoder).eval()(batch / 2)
        need(tuple(got.shape) == (N, WIDTH), f"shape {tuple(got.shape)}")
        need(not got.requires_grad, "they hold on to the graph")
        need(torch.allclose(got, expected, rtol=1e-4, atol=1e-6), "other vectors")
    with contract.rule("embed leaves every module in the mode it was in") as need:
        tried.train()
        tried.encoder.dropout.eval()
        modes = [module.training for module in tried.modules()]
        tried.embed(batch)
        need(modes == [module.training for module in tried.modules()], "others")
    with contract.rule("embed(teacher=True) gives the teacher's vectors, or is a BAMError without a teacher") as need:
        try:
            got = tried.embed(batch, teacher=True)
            need(tuple(got.shape) == (N, WIDTH) and not got.requires_grad, f"shape {tuple(got.shape)}")
        except BAMError as error:
            need(getattr(tried, "teacher", None) is None, f"{type(error).__name__}: {error}")


def _state(contract: Contract, make: _Maker, objective: Any, batch: Tensor) -> None:
    with contract.rule(
        "its state dict holds all that training depends on, as a file without pickle can keep it"
    ) as need:
        used = copy.deepcopy(objective)
        for seed in range(2):
            _call(used, batch, seed)
            used.update_teacher()
        file = io.BytesIO()
        torch.save(used.state_dict(), file)
        file.seek(0)
        fresh = make()
        fresh.initialize(batch + 1)
        fresh.load_state_dict(torch.load(file, weights_only=True))
        for moment in ("after loading", "one update of the teacher later"):
            expected, got = _call(used, batch, 5).loss, _call(fresh, batch, 5).loss
            need(torch.equal(got, expected), f"loss {got.item()} instead of {expected.item()} {moment}")
            for one in (used, fresh):
                with torch.no_grad():
                    for parameter in one.encoder.parameters():
                        parameter.mul_(1.1)
                one.update_teacher()


def _micro_batches(contract: Contract, factory: Callable[..., Any], options: dict[str, Any], batch: Tensor) -> None:
    with contract.rule("with `micro_batch`, loss and gradient are those of the whole batch") as need:
        results = []
        for rows in (None, 24):
            torch.manual_seed(0)
            network = Pooled(plain=True)
            objective = factory(network, NoisyViews(), total_steps=10, **{**options, "micro_batch": rows})
            objective.initialize(batch)
            out = _call(objective, batch)
            out.loss.backward()
            results.append((out.loss, torch.cat([cast(Tensor, p.grad).flatten() for p in network.parameters()])))
        (loss, gradient), (in_parts, gradient_in_parts) = results
        need(torch.allclose(in_parts, loss, rtol=1e-4), f"loss {in_parts.item()} instead of {loss.item()}")
        far = (gradient_in_parts - gradient).norm() / gradient.norm()
        need(far < 1e-3, f"a gradient {far.item():.1e} away")
