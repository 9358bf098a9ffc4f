"""What a view function returns, and how views are put through an encoder together.

A *view* is a tensor whose first axis is the batch, or a dict or tuple of such tensors.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from bam_core.errors import InputError
from bam_core.masks import rand_from

View = Any  # a Tensor, or a dict / tuple of Tensors: encoders decide what they take


class Views(NamedTuple):
    """Several views of one batch, all in the same order of samples.

    Attributes:
        global_views: views that give targets and are students.
        local_views: views that are students only, such as small crops.
        sides: for each view, global ones first, whose encoder it is for, where samples have several sides, such as a
            picture and a sound. Empty: all are for the one encoder.
        aux: name -> (b, ...) what a term of the objective may want to know of the draw.
    """

    global_views: Sequence[View]
    local_views: Sequence[View] = ()
    sides: Sequence[str] = ()
    aux: Mapping[str, Tensor] = {}


class Drawn(NamedTuple):
    """Views of a batch, possibly of its parts apart: what the terms of an objective look at.

    Attributes:
        views: all parts of the first view, all of the second, ...; joined they are the view-major rows of the loss.
        n_views: views of every sample.
        n_global: how many of them, the first, are global.
        sides: whose encoder each view is for; empty: there is one encoder.
        aux: name -> (b, ...), see `Views`.
        generators: of the parts, in their order; None is the global one.
    """

    views: list[View]
    n_views: int
    n_global: int
    sides: Sequence[str] = ()
    aux: Mapping[str, Tensor] = {}
    generators: Sequence[torch.Generator | None] = (None,)

    @property
    def batch_size(self) -> int:
        """Samples, those of all parts together."""
        return sum(batch_size(part) for part in self.parts(0))

    def parts(self, view: int) -> list[View]:
        """The parts of a view."""
        n = len(self.views) // self.n_views
        return self.views[view * n : (view + 1) * n]

    def view(self, view: int) -> View:
        """A view of the whole batch, its parts joined.

        Raises:
            InputError: the parts differ in shape.
        """
        parts = self.parts(view)
        if any(_signature(part) != _signature(parts[0]) for part in parts):
            shapes = ", ".join(str(tuple(leaves(part)[0].shape)) for part in parts)
            raise InputError(
                f"the parts of view {view} expected one shape, to be joined; got {shapes}. Cut all parts of a batch to "
                "one size, or set train.view_shards to 1."
            )
        return _concatenate(parts)

    def rand(self, *shape: int) -> Tensor:
        """(b, *shape) random numbers in [0, 1) on the views' device, each part of the batch from its own generator."""
        return rand_from(self.generators, self.batch_size)(*shape).to(leaves(self.views[0])[0].device)

    def only_global(self) -> "Drawn":
        """Without the local views."""
        parts = len(self.views) // self.n_views
        return self._replace(
            views=self.views[: self.n_global * parts], n_views=self.n_global, sides=self.sides[: self.n_global]
        )


def draw_views(
    view_fn: Callable[..., Any], batch: Any, generator: torch.Generator | Sequence[torch.Generator] | None
) -> Drawn:
    """Make views of a batch, or of as many equal parts of it as there are generators.

    Parts make the views independent of the number of processes: one process with four parts draws what four
    processes with one part each draw, if part k has the same generator everywhere.

    Args:
        view_fn: see `make_views`.
        batch: what it takes; with several generators a tensor, or a dict or tuple of tensors.
        generator: of the batch, or one for each part.

    Raises:
        InputError: as `make_views`; a batch that cannot be divided into that many parts.
    """
    if generator is None or isinstance(generator, torch.Generator):
        made = [make_views(view_fn, batch, generator)]
    else:
        n, k = batch_size(batch), len(generator)
        if not k or n % k:
            raise InputError(f"{k} generators expected a batch of a multiple of {k} samples; got {n}.")
        parts = (rows_of(batch, slice(i * (n // k), (i + 1) * (n // k))) for i in range(k))
        made = [make_views(view_fn, part, g) for part, g in zip(parts, generator, strict=True)]
    columns = [[*views.global_views, *views.local_views] for views in made]
    return Drawn(
        [part for view in zip(*columns, strict=True) for part in view],
        len(columns[0]),
        len(made[0].global_views),
        sides=tuple(made[0].sides),
        aux={name: _concatenate([views.aux[name] for views in made]) for name in made[0].aux},
        generators=[generator] if generator is None or isinstance(generator, torch.Generator) else list(generator),
    )


def make_views(view_fn: Callable[..., Any], batch: Any, generator: torch.Generator | None) -> Views:
    """Call `view_fn`, with `generator=` if it takes one, and check what comes back.

    Raises:
        InputError: the result is no list of views, is empty, or the views differ in batch size; or sides that do not
            fit.
    """
    takes_generator = generator is not None and accepts_keyword(view_fn, "generator")
    made = view_fn(batch, generator=generator) if takes_generator else view_fn(batch)
    if isinstance(made, Tensor) or not isinstance(made, list | tuple):
        raise InputError(
            "view_fn must return a list of views or a Views(global_views, local_views); got "
            f"{type(made).__name__}. Return [view1, view2], each with the batch as first axis."
        )
    views = made if isinstance(made, Views) else Views(list(made))
    if not views.global_views:
        raise InputError("view_fn returned no global views; at least one is needed, two are usual.")
    sizes = [batch_size(view) for view in (*views.global_views, *views.local_views)]
    if len(set(sizes)) > 1:
        raise InputError(f"view_fn returned views of different batch sizes: {sizes}. Each view shows every sample.")
    if views.sides and len(views.sides) != len(sizes):
        raise InputError(f"view_fn expected one of `sides` for each of its {len(sizes)} views; got {len(views.sides)}.")
    return views


def accepts_keyword(function: Callable[..., Any], name: str) -> bool:
    """Whether a callable can be called with the keyword `name`."""
    target = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.kind is p.VAR_KEYWORD or (p.name == name and p.kind is not p.POSITIONAL_ONLY) for p in parameters)


def encode_views(
    encoder: Callable[[View], Tensor], views: Sequence[View], *, micro_batch: int | None = None
) -> list[Tensor]:
    """Embed views with one pass of the encoder for every distinct shape.

    Args:
        encoder: maps a view to (b, d).
        views: views of b samples each.
        micro_batch: let the encoder see at most so many rows at a time, and keep what the backward pass needs of one
            such micro-batch only; each is then computed a second time. The gradient is that of the whole batch. Batch
            normalisation, though, takes the statistics of a micro-batch.

    Returns:
        One (b, d) tensor a view, in the order of `views`.

    Raises:
        InputError: the encoder returns something else than a (b, d) tensor.
    """
    n = batch_size(views[0])
    groups: dict[Any, list[int]] = {}
    for index, view in enumerate(views):
        groups.setdefault(_signature(view), []).append(index)
    embeddings: list[Tensor | None] = [None] * len(views)
    for indices in groups.values():
        joined = _concatenate([views[i] for i in indices])
        out = _encode(encoder, joined, micro_batch)
        rows = len(indices) * n
        if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != rows:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise InputError(
                f"the encoder must map a view to a tensor of shape (b, d), here ({rows}, d); got {got}. Pool over time "
                "or space and return one vector a sample."
            )
        for index, part in zip(indices, out.split(n), strict=True):
            embeddings[index] = part
    return [e for e in embeddings if e is not None]


def _encode(encoder: Callable[[View], Any], view: View, micro_batch: int | None) -> Any:
    n = batch_size(view)
    if micro_batch is None or n <= micro_batch:
        return encoder(view)
    parts = [rows_of(view, slice(i, i + micro_batch)) for i in range(0, n, micro_batch)]
    return torch.cat([recomputed(encoder, part) for part in parts])


def recomputed(module: Callable[..., Any], *inputs: Any, **keywords: Any) -> Any:
    """Call a module and keep its inputs only; the backward pass computes the rest a second time."""
    if not torch.is_grad_enabled():
        return module(*inputs, **keywords)

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), _without_running_statistics(module)

    return checkpoint(module, *inputs, use_reentrant=False, context_fn=contexts, **keywords)


@contextmanager
def _without_running_statistics(encoder: Callable[..., Any]) -> Iterator[None]:
    """For the second computation of a micro-batch: running statistics have been updated by the first."""
    modules = encoder.modules() if isinstance(encoder, torch.nn.Module) else ()
    norms = [m for m in modules if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def rows_of(view: View, rows: slice) -> View:
    """Some rows of a view or a batch."""
    return map_tensors(view, lambda tensor: tensor[rows])


def map_tensors(view: View, function: Callable[[Tensor], Tensor]) -> View:
    """The same structure, with a function applied to every tensor in it."""
    if isinstance(view, Tensor):
        return function(view)
    if isinstance(view, dict):
        return {key: map_tensors(part, function) for key, part in view.items()}
    return _rebuilt(view, [map_tensors(part, function) for part in view])


def _rebuilt(like: Any, parts: list[Any]) -> Any:
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def leaves(view: View) -> list[Tensor]:
    """All tensors of a view, those of a dict in the order of its keys.

    Raises:
        InputError: it holds something else.
    """
    if isinstance(view, Tensor):
        return [view]
    if isinstance(view, dict):
        return [leaf for key in sorted(view) for leaf in leaves(view[key])]
    if isinstance(view, list | tuple):
        return [leaf for part in view for leaf in leaves(part)]
    raise InputError(f"a view must be a tensor, or a dict or tuple of tensors; got {type(view).__name__}.")


def batch_size(view: View) -> int:
    """Samples in a view or a batch.

    Raises:
        InputError: its tensors differ in their first axis.
    """
    sizes = {len(leaf) for leaf in leaves(view)}
    if len(sizes) != 1:
        raise InputError(f"the tensors of one view must share their first axis, the batch; got sizes {sorted(sizes)}.")
    return sizes.pop()


def _signature(view: View) -> Any:
    return (
        tuple(sorted(view)) if isinstance(view, dict) else None,
        tuple((leaf.shape[1:], leaf.dtype) for leaf in leaves(view)),
    )


def _concatenate(views: Sequence[View]) -> View:
    first = views[0]
    if len(views) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(list(views))
    if isinstance(first, dict):
        return {key: _concatenate([view[key] for view in views]) for key in first}
    return _rebuilt(first, [_concatenate([view[i] for view in views]) for i in range(len(first))])
