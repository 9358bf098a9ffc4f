"""Training curves from a metrics table, such as the `metrics.csv` that Lightning's CSV logger writes."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bam_core.reports.figures import Drawing, curve_drawing

if TYPE_CHECKING:
    import pandas as pd

Curve = tuple[np.ndarray, np.ndarray]

PANELS = {
    "Loss": ("loss",),
    "What is left to learn, kl (nats)": ("kl",),
    "Entropies (nats)": ("target_entropy", "attention_entropy"),
    "Cosine of two views of a sample": ("positive_cosine",),
    "RankMe of the embeddings": ("rankme",),
    "Learning rate": ("learning_rate",),
}
FROM_ZERO = ("What is left to learn, kl (nats)", "RankMe of the embeddings")
BOUNDED_BY_UNIFORM = ("Loss", "Entropies (nats)")
UNIFORM = "uniform, log(N - T)"


def read_curves(metrics: "pd.DataFrame") -> dict[str, Curve]:
    """Curves by name, without missing values.

    A column counts by the last part of its name ("train/loss" is `loss`), without Lightning's suffix `_step`;
    "lr-AdamW" is `learning_rate`. Steps come from the column `step`, or else are the numbers of the rows.

    Example:
        >>> import pandas as pd
        >>> list(read_curves(pd.DataFrame({"step": [0, 1], "train/loss": [5.0, 4.0]})))
        ['loss']
    """
    steps = metrics["step"].to_numpy(float) if "step" in metrics else np.arange(len(metrics), dtype=float)
    curves: dict[str, Curve] = {}
    for column in metrics.columns:
        name = str(column).rsplit("/", 1)[-1].removesuffix("_step")
        name = "learning_rate" if name.split("-")[0] in ("lr", "learning_rate") else name
        if name in curves or not any(name in names for names in PANELS.values()):
            continue
        values = metrics[column].to_numpy(float)
        known = np.isfinite(values) & np.isfinite(steps)
        if known.any():
            curves[name] = (steps[known], values[known])
    return curves


class Panel(NamedTuple):
    """A panel of curves, with the level of a uniform attention where it is a bound."""

    title: str
    curves: dict[str, Curve]
    level: float | None
    from_zero: bool


def panels(metrics: "pd.DataFrame", *, uniform_loss: float | None = None) -> list[Panel]:
    """The panels that the table has columns for."""
    curves = read_curves(metrics)
    found = []
    for title, names in PANELS.items():
        present = {name.replace("_", " "): curves[name] for name in names if name in curves}
        if present:
            level = uniform_loss if title in BOUNDED_BY_UNIFORM else None
            found.append(Panel(title, present, level, title in FROM_ZERO))
    return found


def curve_drawings(metrics: "pd.DataFrame", *, uniform_loss: float | None = None) -> list[Drawing]:
    """A picture for every panel that the table has columns for, with the uniform value as a dashed level."""
    return [
        curve_drawing(title, curves, level=level, level_name=UNIFORM, from_zero=from_zero)
        for title, curves, level, from_zero in panels(metrics, uniform_loss=uniform_loss)
    ]
