"""What encoders promise: one vector a sample, trainable, saved and loaded, deaf to the rest of the batch."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from bam_core import BAMObjective
from bam_core.errors import BAMError
from bam_core.protocols import Batch, Modality
from bam_core.testing.contract import Contract
from bam_core.testing.devices import fake_cuda, like
from bam_core.testing.views import Maker
from bam_core.tokens import TokenEncoder
from bam_core.views import batch_size, encode_views


class Network(NamedTuple):
    """An encoder, its name and all of its options."""

    name: str
    encoder: nn.Module
    options: dict[str, Any]


def check_encoder(
    contract: Contract,
    modality: Modality,
    network: Network,
    makers: list[Maker],
    batch: Batch,
    take: Callable[[list[int]], Batch],
    facts: dict[str, Any],
    folder: Path,
) -> set[str]:
    """All rules of one encoder.

    Args:
        contract: of the modality.
        modality: with the facts of the data.
        network: the encoder.
        makers: all kinds of views.
        batch: of some rows.
        take: numbers of rows -> batch.
        facts: of the data.
        folder: for files.

    Returns:
        Names of the views that it takes.

    Raises:
        ContractError: a rule is broken.
    """
    what = f"encoder {network.name!r}"
    refusals: dict[str, str] = {}
    for maker in makers:
        with contract.rule("an encoder takes what a kind of views makes, or refuses it by a BAMError") as need:
            try:
                found = _embeddings(network.encoder, maker, batch)
            except BAMError as error:
                refusals[maker.name] = str(error)
                continue
            need(len({part.shape[1] for part in found}) == 1, f"{what} gives vectors of different lengths")
            need(all(part.isfinite().all() for part in found), f"{what} gives NaN or infinity for {maker.name!r}")
        _trains(contract, what, network.encoder, maker, batch)
        _in_parts(contract, what, network.encoder, maker, batch)
        with contract.rule("an encoder stays on the device of its views, and looks at no value there") as need:
            moved, made = copy.deepcopy(network.encoder), [*maker.draw(batch), maker.untouched(batch)]
            with fake_cuda(moved):
                devices = {part.device.type for part in encode_views(moved, [like(view) for view in made])}
            need(devices == {"cuda"}, f"embeddings of {what} on cuda lie on {', '.join(sorted(devices))}")
        _rows_alone(contract, what, network.encoder, maker, batch, take)
        _saved(contract, modality, network, maker.untouched(batch), facts, folder)
        if isinstance(network.encoder, TokenEncoder):
            _tokens(contract, what, network.encoder, maker.draw(batch)[0])
    with contract.rule("an encoder takes one kind of views at least") as need:
        said = "; ".join(f"{name}: {message}" for name, message in refusals.items())
        need(len(refusals) < len(makers), f"{what} refuses all ({said})")
    return {maker.name for maker in makers} - set(refusals)


def _embeddings(encoder: nn.Module, maker: Maker, batch: Batch) -> list[Tensor]:
    """Of every view and of the untouched batch; running statistics stay as they are."""
    return encode_views(copy.deepcopy(encoder).train(), [*maker.draw(batch), maker.untouched(batch)])


def _trains(contract: Contract, what: str, encoder: nn.Module, maker: Maker, batch: Batch) -> None:
    with contract.rule(
        "a step of training gives every parameter of an encoder a finite gradient, and moves it"
    ) as need:
        trained = copy.deepcopy(encoder).train()
        objective = BAMObjective(trained, maker.view_fn)
        objective.initialize(batch)
        torch.manual_seed(0)
        objective(batch, generator=torch.Generator().manual_seed(0)).loss.backward()
        gradients = {name: p.grad for name, p in trained.named_parameters() if p.requires_grad}
        need(gradients, f"{what} has no parameter")
        for name, gradient in gradients.items():
            need(gradient is not None, f"{name} of {what} has no part in the embeddings of {maker.name!r}")
            need(gradient.isfinite().all(), f"the gradient of {name} of {what} is not finite")  # type: ignore[union-attr]
        moving = [name for name, gradient in gradients.items() if gradient is not None and gradient.any()]
        need(moving, f"all gradients of {what} are zero on {maker.name!r}")
        torch.optim.AdamW(objective.parameters()).step()
        after = dict(trained.named_parameters())
        still = [name for name in moving if torch.equal(after[name], encoder.get_parameter(name))]
        need(not still, f"{', '.join(still)} did not move")
        need(all(p.isfinite().all() for p in after.values()), "NaN or infinity after the step")


def _in_parts(contract: Contract, what: str, encoder: nn.Module, maker: Maker, batch: Batch) -> None:
    with contract.rule("an encoder may be computed in micro-batches; the second pass changes no buffer") as need:
        trained = copy.deepcopy(encoder).train()
        views = maker.draw(batch)
        embeddings = torch.cat(encode_views(trained, views, micro_batch=max(2, batch_size(views[0]) // 2)))
        before = {name: buffer.clone() for name, buffer in trained.named_buffers()}
        embeddings.square().sum().backward()
        changed = [name for name, buffer in trained.named_buffers() if not torch.equal(buffer, before[name])]
        need(not changed, f"{', '.join(changed)} of {what} changed")


def _rows_alone(
    contract: Contract, what: str, encoder: nn.Module, maker: Maker, batch: Batch, take: Callable[[list[int]], Batch]
) -> None:
    with (
        contract.rule("in evaluation mode, a row has the same embedding alone and in a batch") as need,
        torch.no_grad(),
    ):
        network = copy.deepcopy(encoder).eval()
        together = network(maker.untouched(batch))
        for row in (0, len(together) // 2, len(together) - 1):
            alone = network(maker.untouched(take([row])))[0]
            far = (alone - together[row]).abs().max() / together.std().clamp_min(1e-6)
            need(far < 1e-2, f"row {row} alone is {far:.2g} deviations away, {what} on {maker.name!r}")


def _tokens(contract: Contract, what: str, encoder: TokenEncoder, view: Any) -> None:
    network = copy.deepcopy(encoder).eval()
    with contract.rule("an encoder is its trunk and its pool, and its grid counts the tokens") as need, torch.no_grad():
        whole = network.trunk(view)
        need(_near(network.pool(whole), network(view)), f"pool(trunk(view)) of {what} is not forward(view)")
        b, n = whole.values.shape[:2]
        need(math.prod(network.grid(view)) == n, f"the grid of {what} is {network.grid(view)}, and it makes {n} tokens")
        need(whole.place.tolist() == [list(range(n))] * b, f"places of {what} are not in the order of the grid")
    with contract.rule("a trunk shows the places that it should keep, in their order, and no others") as need:
        order = torch.rand(b, n, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
        with torch.no_grad():
            every, some = (network.trunk(view, keep=order[:, :k].contiguous()) for k in (n, max(1, n // 2)))
        moved = whole.values.gather(1, order[..., None].expand_as(whole.values))
        there = torch.ones_like(order, dtype=torch.bool) if every.present is None else every.present
        need(_near(every.values[there], moved[there]), f"with all places kept, tokens of {what} are others")
        need(some.place.equal(order[:, : max(1, n // 2)]), f"{what} shows places that it was not asked for")
        need(some.values.shape[1] == max(1, n // 2), f"{what} makes {some.values.shape[1]} tokens for {n // 2} places")
        need(some.values.isfinite().all(), f"{what} gives NaN or infinity when places are hidden")


def _near(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and bool((found - expected).abs().max() <= 1e-3 * (1 + expected.abs().max()))


def _saved(
    contract: Contract, modality: Modality, network: Network, view: Any, facts: dict[str, Any], folder: Path
) -> None:
    """With the file of weights, config and facts that a run leaves."""
    from bam_core.runs.pretrained import PretrainedEncoder

    with (
        contract.rule("a saved encoder comes back the same, from plain JSON options") as need,
        patch("bam_core.runs.pretrained.load_modality", lambda name: modality),
        torch.no_grad(),
    ):
        saved = PretrainedEncoder(modality.name, {"name": network.name, **network.options}, facts)
        saved.encoder.load_state_dict(network.encoder.state_dict())
        saved.save_pretrained(folder / "encoder")
        loaded = PretrainedEncoder.from_pretrained(folder / "encoder")
        need(torch.equal(loaded(view), saved(view)), f"encoder {network.name!r} gives other embeddings")
