"""Batches that bring the labels of their samples, for objectives that use labels where there are some.

Labels go around the views: a view function never sees them, a term finds them in `Drawn.aux`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from bam_core.views import Views, make_views

LABEL = "label"  # in `Views.aux`
_BATCH, _LABELS = "labelled_batch", "labels_of_batch"

F = TypeVar("F", bound=Callable[..., Any])


def uses_labels(factory: F) -> F:
    """Mark the factory of an objective, or the class of a term, as one that learns from the labels of train."""
    factory.needs_labels = True  # type: ignore[attr-defined]
    return factory


def needs_labels(factory: Callable[..., Any]) -> bool:
    """Whether a factory was marked by `uses_labels`."""
    return bool(getattr(factory, "needs_labels", False))


def with_labels(batch: Any, labels: Shaped[Tensor, "b *k"]) -> dict[str, Any]:
    """A batch and the labels of its samples as one: plain containers of tensors, which go to devices and into files."""
    return {_BATCH: batch, _LABELS: labels}


class LabelledViews:
    """Views of a batch `with_labels`, whose labels become `aux["label"]`; of any other batch the views alone.

    What else the view function has, such as `untouched`, `loader` and `calibrate`, this has as well.

    Args:
        view_fn: batch -> views; it is given the batch without the labels.

    Example:
        >>> views = LabelledViews(lambda batch: [batch, -batch])
        >>> made = views(with_labels(torch.ones(2, 3), torch.tensor([1, 0])))
        >>> len(made.global_views), made.aux["label"].tolist()
        (2, [1, 0])
    """

    def __init__(self, view_fn: Callable[..., Any]) -> None:
        self.view_fn = view_fn

    def __call__(self, batch: Any, *, generator: torch.Generator | None = None) -> Views:
        """Random views of the batch, reproducible from the generator."""
        if not (isinstance(batch, dict) and batch.keys() == {_BATCH, _LABELS}):
            return make_views(self.view_fn, batch, generator)
        views = make_views(self.view_fn, batch[_BATCH], generator)
        return views._replace(aux={**views.aux, LABEL: batch[_LABELS]})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "view_fn":
            raise AttributeError(name)
        return getattr(self.view_fn, name)
