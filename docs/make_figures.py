"""Make the pictures of the documentation.

    python docs/make_figures.py RUN      # RUN: a run of ecg/ecg5000_resnet1d, for example from `make demo`

Needs `bam-ssl[all]`.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from bam_core import log_attention, positive_mask, sinkhorn, unit_rows
from bam_core.config.build import build
from bam_core.config.registry import complete
from bam_core.data import SplitDataset
from bam_core.runs.evaluate_run import picture_rows, trained_objective
from bam_core.runs.run_folder import load_run
from modalities.audio import MODALITY as AUDIO
from modalities.audio.views import LogMelViews
from modalities.ecg import MODALITY as ECG
from modalities.ecg.views import ECGViews
from modalities.image import MODALITY as IMAGE
from modalities.image.views import ImageViews
from modalities.tabular import MODALITY as TABULAR
from modalities.tabular.views import TabularViews
from modalities.timeseries import MODALITY as TIMESERIES
from modalities.timeseries.views import SeriesViews

IMAGES = Path(__file__).parent / "images"


def how_bam_works(run: Path) -> None:
    """Scores, attention and target of one batch, rows sorted by class."""
    parts = build(load_run(run))
    labels = parts.data.labels("test")
    rows = sorted(picture_rows(len(labels), labels, 48), key=lambda row: labels[row])
    objective = trained_objective(run, parts)
    batch = parts.dataset("test").__getitems__(rows)
    with torch.no_grad():
        z = unit_rows(objective.see(batch, torch.Generator().manual_seed(0), local=False).projections)
    samples = torch.arange(len(rows)).repeat(2)
    order = torch.argsort(samples, stable=True)
    scores, mask = z @ z.T, positive_mask(samples, samples)
    attention = log_attention(scores, temperature=objective.temperature, mask=mask).exp()
    plan = sinkhorn(scores, epsilon=objective.epsilon, iterations=objective.iterations, mask=mask).plan
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for axis, matrix, title, top in (
        (axes[0], scores, "cosines S", 1.0),
        (axes[1], attention, "attention Q", float(plan.quantile(0.995))),
        (axes[2], plan, "balanced target P", float(plan.quantile(0.995))),
    ):
        axis.imshow(matrix[order][:, order], cmap="Blues", vmin=-1 if title.endswith("S") else 0, vmax=top)
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks([])
        for boundary in np.flatnonzero(np.diff(labels[rows])):
            for line in (axis.axhline, axis.axvline):
                line(2 * boundary + 1.5, color="#c8553d", linewidth=0.8)
    save(figure, "how_bam_works")


def ecg_views() -> None:
    """Four synthetic two-lead records, and two views and a local view of each."""
    data = ECG.example(n_records=8, n_leads=2, seconds=4.0)
    batch = SplitDataset(data.splits["train"], ECG.collate, data.facts).__getitems__(range(4))
    made = ECGViews(sampling_rate_hz=100, n_local=1)(batch, generator=torch.Generator().manual_seed(1))
    columns = [batch, *made.global_views, *made.local_views]
    figure, axes = plt.subplots(4, 4, figsize=(12, 6), layout="constrained")
    for column, (view, title) in enumerate(zip(columns, ("untouched", "view 1", "view 2", "local view"), strict=True)):
        axes[0, column].set_title(title)
        for row in range(4):
            ECG.draw(axes[row, column], view[row])
            axes[row, column].set_xlim(0, batch.shape[-1])
    save(figure, "ecg_views")


def tabular_views() -> None:
    """Four synthetic rows, and two views of each with the default changes."""
    data = TABULAR.example(n_rows=60)
    modality = TABULAR.with_facts(data.facts)
    batch = SplitDataset(data.splits["train"], modality.collate, data.facts).__getitems__(range(4))
    view_fn = TabularViews(**complete("views", TabularViews, {}, data.facts))
    views = [batch, *view_fn(batch, generator=torch.Generator().manual_seed(1)).global_views]
    figure, axes = plt.subplots(4, 3, figsize=(12, 9), layout="constrained")
    for column, (view, title) in enumerate(zip(views, ("untouched", "view 1", "view 2"), strict=True)):
        axes[0, column].set_title(title)
        for row in range(4):
            modality.draw(axes[row, column], {name: part[row] for name, part in view.items()})
    save(figure, "tabular_views")


def timeseries_views() -> None:
    """Four synthetic series of unequal length with three channels, and two views and a local view of each."""
    data = TIMESERIES.example(n_series=24, n_channels=3, length=160, unequal=True)
    batch = SplitDataset(data.splits["train"], TIMESERIES.collate, data.facts).__getitems__([0, 1, 9, 17])
    made = SeriesViews(n_local=1)(batch, generator=torch.Generator().manual_seed(3))
    columns = [batch, *made.global_views, *made.local_views]
    figure, axes = plt.subplots(4, 4, figsize=(12, 6), layout="constrained")
    for column, (view, title) in enumerate(zip(columns, ("untouched", "view 1", "view 2", "local view"), strict=True)):
        axes[0, column].set_title(title)
        for row in range(4):
            TIMESERIES.draw(axes[row, column], {name: part[row] for name, part in view.items()})
            axes[row, column].set_xlim(0, batch["signal"].shape[-1])
    save(figure, "timeseries_views")


def audio_views() -> None:
    """Four synthetic clips as log-mels, and two views and a local view of each."""
    data = AUDIO.example(n_clips=24)
    modality = AUDIO.with_facts(data.facts)
    batch = SplitDataset(data.splits["train"], modality.collate, data.facts).__getitems__(range(4))
    view_fn = LogMelViews(**complete("views", LogMelViews, {"n_local": 1}, data.facts))
    made = view_fn(batch, generator=torch.Generator().manual_seed(1))
    views = [view_fn.log_mel(batch), *made.global_views, *made.local_views]
    longest = int(views[0]["length"].max())
    figure, axes = plt.subplots(4, 4, figsize=(12, 7), layout="constrained")
    for column, (view, title) in enumerate(zip(views, ("untouched", "view 1", "view 2", "local view"), strict=True)):
        axes[0, column].set_title(title)
        for row in range(4):
            modality.draw(axes[row, column], {name: part[row] for name, part in view.items()})
            axes[row, column].set_xlim(-0.5, longest - 0.5)
    save(figure, "audio_views")


def image_views() -> None:
    """Four synthetic images, and two views and two local views of each, with blur and solarisation."""
    data = IMAGE.example(n_images=60, size=64)
    batch = SplitDataset(data.splits["train"], IMAGE.collate, data.facts).__getitems__(range(4))
    view_fn = ImageViews(image_size=[64, 64], n_local=2, blur_sigma=(0.1, 1.5), solarize_p=(0.0, 0.2))
    made = view_fn(batch, generator=torch.Generator().manual_seed(1))
    views = [batch, *made.global_views, *made.local_views]
    titles = ("untouched", "view 1", "view 2", "local view 1", "local view 2")
    figure, axes = plt.subplots(4, 5, figsize=(10, 8), layout="constrained")
    for column, (view, title) in enumerate(zip(views, titles, strict=True)):
        axes[0, column].set_title(title)
        for row in range(4):
            IMAGE.draw(axes[row, column], view[row])
    save(figure, "image_views")


def save(figure: plt.Figure, name: str) -> None:
    """Write a picture."""
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"{name}.png", dpi=80)
    print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    how_bam_works(parser.parse_args().run)
    ecg_views()
    tabular_views()
    timeseries_views()
    audio_views()
    image_views()
