"""What our views of table rows are measured against: a loop over rows."""

from typing import Any

import numpy as np
import torch

from bam_core.benchmarks.views import LOOP, Race
from modalities.tabular.columns import UNKNOWN
from modalities.tabular.views import TabularViews

N_ROWS, N_NUMERIC, CARDINALITIES = 1024, 6, (9, 18, 8, 17, 8, 7, 4, 44)  # as in Adult
CORRUPT, MASK_GROUPS, NOISE = 0.1, 0.2, 0.1


def races() -> list[Race]:
    """Two views of 1024 rows of six numbers and eight categories, with the default changes."""
    rng = np.random.default_rng(0)
    facts: dict[str, Any] = {
        "cardinalities": list(CARDINALITIES),
        "quantiles": np.sort(rng.standard_normal((N_NUMERIC, 101)), axis=1).tolist(),
        "missing_rates": [0.05] * N_NUMERIC,
        "frequencies": [rng.dirichlet(np.ones(size)).tolist() for size in CARDINALITIES],
        "feature_groups": [[0, 1], [2], [3, 4, 5], [6, 7], *([i] for i in range(8, N_NUMERIC + len(CARDINALITIES)))],
    }
    views = TabularViews(**facts)
    numeric = rng.standard_normal((N_ROWS, N_NUMERIC)).astype(np.float32)
    missing = rng.random((N_ROWS, N_NUMERIC)) < 0.05
    categorical = np.stack([rng.integers(2, size, N_ROWS) for size in CARDINALITIES], axis=1)
    batch = {
        "numeric": torch.from_numpy(np.where(missing, 0, numeric)),
        "missing": torch.from_numpy(missing),
        "categorical": torch.from_numpy(categorical),
    }
    generator = torch.Generator().manual_seed(0)
    loop = _Loop(facts)
    rows = list(zip(batch["numeric"].numpy(), missing, categorical, strict=True))
    return [
        Race(
            f"{N_ROWS} rows of {N_NUMERIC} numbers and {len(CARDINALITIES)} categories; corruption from the marginals, "
            "masks of correlated features, noise",
            2,
            N_ROWS,
            lambda: views(batch, generator=generator).global_views,
            {LOOP: lambda: [[loop.view_of(*row, rng) for row in rows] for _ in range(2)]},
            ("numpy",),
        )
    ]


class _Loop:
    """Views of single rows, as `TabularViews` has them by default."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.quantiles = np.array(facts["quantiles"], np.float32)
        self.missing_rates = np.array(facts["missing_rates"])
        self.cumulated = [np.cumsum(shares) for shares in facts["frequencies"]]
        group_of = {f: i for i, group in enumerate(facts["feature_groups"]) for f in group}
        self.n_groups, self.group_of = (
            len(facts["feature_groups"]),
            np.array([group_of[f] for f in range(len(group_of))]),
        )

    def view_of(
        self, numeric: np.ndarray, missing: np.ndarray, categorical: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One view of one row."""
        k = len(numeric)
        chosen = rng.random(k) < CORRUPT
        gone = rng.random(k) < self.missing_rates
        other = self.quantiles[np.arange(k), rng.integers(self.quantiles.shape[1], size=k)]
        numeric = np.where(chosen, np.where(gone, 0, other), numeric)
        missing = np.where(chosen, gone, missing)
        drawn = [np.searchsorted(shares[:-1], place, "right") for shares, place in zip(
            self.cumulated, rng.random(len(categorical)), strict=True)]  # fmt: skip
        categorical = np.where(rng.random(len(categorical)) < CORRUPT, drawn, categorical)
        scores = rng.random(self.n_groups)
        hidden = ((scores < MASK_GROUPS) & (scores < scores.max()))[self.group_of]
        numeric, missing = np.where(hidden[:k], 0, numeric), missing | hidden[:k]
        categorical = np.where(hidden[k:], UNKNOWN, categorical)
        noise = NOISE * rng.standard_normal(k, dtype=np.float32)
        return np.where(missing, numeric, numeric + noise), missing, categorical
