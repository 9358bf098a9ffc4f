"""Views of a modality, with changes of one's own after them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from bam_core.views import View, Views, accepts_keyword, make_views


class ChangedViews:
    """A view function whose views, global and local, each go through further changes.

    What else the view function has, such as `untouched`, `loader` and `calibrate`, this has as well: what is embedded
    after training is not changed.

    Args:
        view_fn: batch -> views.
        changes: (view) -> view, one after the other; they may take a keyword `generator`. They see all samples at once,
            keep their order, and leave the view that they are given as it is.

    Example:
        >>> views = ChangedViews(lambda batch: [batch, batch + 1], [lambda view: 2 * view])
        >>> [view.tolist() for view in views(torch.tensor([1.0, 2.0])).global_views]
        [[2.0, 4.0], [4.0, 6.0]]
    """

    def __init__(self, view_fn: Callable[..., Any], changes: Sequence[Callable[..., View]]) -> None:
        self.view_fn = view_fn
        self.changes = tuple(changes)

    def __call__(self, batch: Any, *, generator: torch.Generator | None = None) -> Views:
        """Random views of the batch, reproducible from the generator."""
        views = make_views(self.view_fn, batch, generator)
        return views._replace(
            global_views=[self._changed(view, generator) for view in views.global_views],
            local_views=[self._changed(view, generator) for view in views.local_views],
        )

    def _changed(self, view: View, generator: torch.Generator | None) -> View:
        for change in self.changes:
            view = change(view, generator=generator) if accepts_keyword(change, "generator") else change(view)
        return view

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "view_fn":
            raise AttributeError(name)
        return getattr(self.view_fn, name)
