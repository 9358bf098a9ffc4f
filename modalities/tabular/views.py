"""Batched, seeded views of table rows on the device of the batch.

Every random change is drawn per sample from the generator; nothing waits for an accelerator. What replaces a value
comes from the training rows: quantiles and frequencies in the facts. `LABEL_RISKS` says which labels each change may
destroy.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bam_core.errors import InputError
from bam_core.views import Views
from modalities.tabular.batches import Batch
from modalities.tabular.columns import UNKNOWN

LABEL_RISKS = {
    "corrupt": "labels decided by one or two columns: these may hold another row's values in both views",
    "mask_groups": "labels decided by a group of correlated columns, all of which may be masked",
    "subset": "labels that need several columns together, when few of them are kept",
    "noise": "labels decided by a threshold, or by digits finer than the noise",
    "missing": "labels told by the pattern of missing values: masks look the same",
}


class TabularViews:
    """Random views of a batch of rows.

    The changes happen in the order of the arguments, independently in every view. `None` switches a change off. What
    is masked looks like what is missing: a number becomes the mean and is marked, a category is unknown.

    Args:
        cardinalities: indices of every category; from the facts, like the next four.
        quantiles: (k, q) of the standardised numbers in training rows.
        missing_rates: (k,) share of missing values in training rows.
        frequencies: of every category, the shares of its indices in training rows.
        feature_groups: indices of features, numbers first, in groups that say much the same.
        n_views: global views.
        n_local: local views, which are students only and keep `local_subset` of the features.
        corrupt: probability that a value is replaced by that of a random training row (SCARF).
        mask_groups: probability that a group of correlated features is masked as a whole.
        subset: share of the features that a view shows, at least one; the others are masked.
        local_subset: the same for local views.
        noise: standard deviation of what is added to standardised numbers.

    Raises:
        InputError: counts or shares out of range.

    Example:
        >>> views = TabularViews(
        ...     cardinalities=[4], quantiles=[[-1.0, 0.0, 1.0]], missing_rates=[0.0], frequencies=[[0, 0, 0.5, 0.5]],
        ...     feature_groups=[[0], [1]],
        ... )
        >>> batch = {"numeric": torch.zeros(8, 1), "missing": torch.zeros(8, 1, dtype=torch.bool),
        ...     "categorical": torch.full((8, 1), 2)}
        >>> {name: tuple(part.shape) for name, part in views(batch).global_views[0].items()}
        {'numeric': (8, 1), 'missing': (8, 1), 'categorical': (8, 1)}

    Source: Bahri et al., "SCARF", ICLR 2022, arXiv 2106.15147; Ucar et al., "SubTab", NeurIPS 2021, arXiv 2110.04361.
    """

    def __init__(
        self,
        *,
        cardinalities: Sequence[int],
        quantiles: Sequence[Sequence[float]],
        missing_rates: Sequence[float],
        frequencies: Sequence[Sequence[float]],
        feature_groups: Sequence[Sequence[int]],
        n_views: int = 2,
        n_local: int = 0,
        corrupt: float | None = 0.1,
        mask_groups: float | None = 0.2,
        subset: float | None = None,
        local_subset: float = 0.5,
        noise: float | None = 0.1,
    ) -> None:
        if n_views < 1 or n_local < 0:
            raise InputError(f"TabularViews expected n_views >= 1 and n_local >= 0; got {n_views} and {n_local}.")
        for name, p in (("corrupt", corrupt), ("mask_groups", mask_groups)):
            if p is not None and not 0 <= p <= 1:
                raise InputError(f"TabularViews expected a probability {name} in [0, 1]; got {p}.")
        for name, share in (("subset", subset), ("local_subset", local_subset)):
            if share is not None and not 0 < share <= 1:
                raise InputError(f"TabularViews expected 0 < {name} <= 1, a share of the features; got {share}.")
        if noise is not None and noise < 0:
            raise InputError(f"TabularViews expected noise >= 0, a standard deviation; got {noise}.")
        self.n_views = n_views
        self.n_local = n_local
        self.corrupt = corrupt
        self.mask_groups = mask_groups
        self.subset = subset
        self.local_subset = local_subset
        self.noise = noise
        self.cardinalities = list(cardinalities)
        self.quantiles = torch.tensor([list(q) for q in quantiles]).reshape(len(quantiles), -1)
        self.missing_rates = torch.tensor(list(missing_rates))
        self.cumulated = _cumulated(frequencies, self.cardinalities)
        self.n_groups = len(feature_groups)
        group_of = {feature: index for index, group in enumerate(feature_groups) for feature in group}
        self.group_of = torch.tensor([group_of[feature] for feature in range(len(group_of))])

    def __call__(self, batch: Batch, *, generator: torch.Generator | None = None) -> Views:
        """Views of a batch of rows; a generator on the batch's device makes them reproducible."""
        return Views(
            [self._view(batch, self.subset, generator) for _ in range(self.n_views)],
            [self._view(batch, self.local_subset, generator) for _ in range(self.n_local)],
        )

    def _view(self, batch: Batch, subset: float | None, generator: torch.Generator | None) -> Batch:
        draw = _Draw(batch["numeric"].device, generator)
        view = batch
        if self.corrupt is not None:
            view = self._corrupt(view, self.corrupt, draw)
        n, n_features = len(batch["numeric"]), len(self.group_of)
        if self.mask_groups is not None:
            scores = draw.uniform(n, self.n_groups)
            hidden = (scores < self.mask_groups) & (scores < scores.amax(dim=1, keepdim=True))  # one is always shown
            view = _masked(view, hidden[:, self.group_of.to(draw.device)])
        if subset is not None:
            n_shown = max(1, round(subset * n_features))
            view = _masked(view, draw.uniform(n, n_features).argsort(dim=1).argsort(dim=1) >= n_shown)
        if self.noise is not None:
            added = self.noise * draw.normal(*view["numeric"].shape)
            view = {**view, "numeric": torch.where(view["missing"], view["numeric"], view["numeric"] + added)}
        return view

    def _corrupt(self, view: Batch, p: float, draw: "_Draw") -> Batch:
        numeric, missing, categorical = view["numeric"], view["missing"], view["categorical"]
        if numeric.shape[1]:
            chosen = draw.uniform(*numeric.shape) < p
            quantiles = self.quantiles.to(draw.device).T
            rows = (draw.uniform(*numeric.shape) * len(quantiles)).long().clamp_max(len(quantiles) - 1)
            other_missing = draw.uniform(*numeric.shape) < self.missing_rates.to(draw.device)
            other = torch.where(other_missing, 0.0, quantiles.gather(0, rows))
            numeric, missing = torch.where(chosen, other, numeric), torch.where(chosen, other_missing, missing)
        if categorical.shape[1]:
            chosen = draw.uniform(*categorical.shape) < p
            place = draw.uniform(categorical.shape[1], len(categorical))
            other = torch.searchsorted(self.cumulated.to(draw.device), place, right=True).T
            categorical = torch.where(chosen, other, categorical)
        return {"numeric": numeric, "missing": missing, "categorical": categorical}


class _Draw:
    """Random tensors on a device, from a generator that may live elsewhere."""

    def __init__(self, device: torch.device, generator: torch.Generator | None) -> None:
        self.device = device
        self.generator = generator
        self.source = device if generator is None else generator.device

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.source).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.source).to(self.device)


def _masked(view: Batch, hidden: Tensor) -> Batch:
    n_numeric = view["numeric"].shape[1]
    return {
        "numeric": view["numeric"].masked_fill(hidden[:, :n_numeric], 0.0),
        "missing": view["missing"] | hidden[:, :n_numeric],
        "categorical": view["categorical"].masked_fill(hidden[:, n_numeric:], UNKNOWN),
    }


def _cumulated(frequencies: Sequence[Sequence[float]], cardinalities: Sequence[int]) -> Tensor:
    """(m, largest cardinality) cumulated frequencies; the last of a category, and what pads it, are out of reach."""
    table = torch.full((len(cardinalities), max(cardinalities, default=0)), 2.0)
    for row, shares in zip(table, frequencies, strict=True):
        row[: len(shares) - 1] = torch.tensor(list(shares)).cumsum(0)[:-1]
    return table
