"""What exported networks of tables take: numbers in their unit and places of categories; standardised inside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bam_core.protocols import ExportInput
from modalities.tabular.columns import FIRST

N_ROWS = 6


class TableInput(nn.Module):
    """Numbers and places of categories -> a batch as `collate_rows` makes it.

    Args:
        means: (k,) of the training rows.
        scales: (k,) standard deviations.

    Shape:
        (n, k) double and (n, m) int64 -> a batch.
    """

    means: Tensor
    scales: Tensor

    def __init__(self, means: list[float], scales: list[float]) -> None:
        super().__init__()
        self.register_buffer("means", torch.tensor(means, dtype=torch.float64), persistent=False)
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64), persistent=False)

    def forward(self, numeric: Tensor, categorical: Tensor) -> dict[str, Tensor]:
        """Numeric, missing and categorical."""
        missing = numeric.isnan()
        limit = torch.finfo(torch.float32).max
        scaled = ((numeric - self.means) / self.scales).clamp(-limit, limit)
        return {
            "numeric": torch.where(missing, 0.0, scaled).to(torch.float32),
            "missing": missing,
            "categorical": categorical,
        }


def export_input(facts: Mapping[str, Any], *, reader: str, options: Mapping[str, Any], seed: int) -> ExportInput:
    """Numbers (n, k) and categories (n, m); see `bam_core.protocols.Modality`."""
    rng = np.random.default_rng(seed)
    means, scales, sizes = facts["means"], facts["scales"], facts["cardinalities"]
    drawn = (np.asarray(means) + np.asarray(scales) * rng.normal(size=(N_ROWS, len(means)))).round(3)
    numeric = torch.from_numpy(drawn.reshape(N_ROWS, len(means)))
    places = [rng.integers(FIRST, max(size, FIRST + 1), N_ROWS) for size in sizes]
    categorical = torch.from_numpy(np.array(places, np.int64).reshape(len(sizes), N_ROWS).T.copy())
    names = ", ".join(facts["numeric_names"]) or "none"
    kinds = {plan["name"]: plan["categories"] for plan in facts["columns"] if "categories" in plan}
    texts = "; ".join(f"{name}: {', '.join(known)}" for name, known in kinds.items()) or "none"
    about = {
        "numeric": f"(batch, {len(means)}) numbers in the unit of the training table, NaN where missing: {names}",
        "categorical": f"(batch, {len(sizes)}) for each column 0 for unknown, 1 for missing, then from {FIRST} on the "
        f"place of the category: {texts}",
    }
    module = TableInput(means, scales)
    return ExportInput(
        module, {"numeric": numeric, "categorical": categorical}, {}, about, _frame(facts, numeric, categorical)
    )


def _frame(facts: Mapping[str, Any], numeric: Tensor, categorical: Tensor) -> pd.DataFrame | None:
    """The same rows as a frame; None where columns hold more than plain numbers and categories."""
    plans = facts["columns"]
    plain = all(set(plan) <= {"name", "kind", "categories"} and plan["kind"] != "date" for plan in plans)
    if not plain or any("categories" not in plan and plan["name"] not in facts["numeric_names"] for plan in plans):
        return None
    numbers = dict(zip(facts["numeric_names"], numeric.T.numpy(), strict=True))
    codes = dict(zip(facts["categorical_names"], categorical.T.tolist(), strict=True))
    return pd.DataFrame(
        {
            plan["name"]: [plan["categories"][place - FIRST] for place in codes[plan["name"]]]
            if "categories" in plan
            else numbers[plan["name"]]
            for plan in plans
        }
    )
