"""Steps of recipes on a device, on data that are made here."""

import torch

from bam_core.benchmarks.device_figures import Figure, Job
from bam_core.benchmarks.training import benchmark_training
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe

ONE_DEVICE = (
    "train.devices=1",
    "train.num_nodes=1",
    "train.strategy=auto",
    "train.micro_batch=null",
)
_TINY = (
    "encoder.size=tiny", "encoder.patch=8", "encoder.image_size=[16, 16]", "objective.projector_hidden=16",
    "objective.projector_out=16", "views.size=16", "views.local_size=8",
)  # fmt: skip
RECIPES = {
    "ECG, smoke/ecg": ("smoke/ecg", ("data.n_records=512",)),
    "series, smoke/timeseries": ("smoke/timeseries", ()),
    "sounds, smoke/audio": ("smoke/audio", ()),
    "tables, smoke/tabular": ("smoke/tabular", ()),
}


def images(device: torch.device, small: bool) -> list[Job]:
    """Jobs for steps of the vision transformers of the paper."""
    count, batch, size = (16, 4, 16) if small else (512, 256, 256)
    stand_ins = f"data={{reader: example, n_images: {count}, size: {size}}}"
    precision = "32-true" if device.type == "cpu" else "16-mixed"
    options = (
        stand_ins, f"train.batch_size={batch}", f"train.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}",
        f"train.precision={precision}", f"train.num_workers={0 if small else 8}", "objective.top_k=8", *ONE_DEVICE,
        *(_TINY if small else ()),
    )  # fmt: skip
    return [_job(name, name, options, 2 if small else 8) for name in ("imagenet_vit_small", "imagenet_vit")]


def recipes(device: torch.device, small: bool) -> list[Job]:
    """Jobs for steps of the other domains."""
    accelerator = f"train.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}"
    return [
        _job(what, recipe, (accelerator, *options, *ONE_DEVICE), 3 if small else 20)
        for what, (recipe, options) in RECIPES.items()
    ]


def _job(what: str, recipe: str, options: tuple[str, ...], steps: int) -> Job:
    def run() -> list[Figure]:
        found = benchmark_training(load_recipe(find_recipe(recipe), options), steps=steps, warmup=2)
        shares = sorted(((spread.median, part) for part, spread in found.fractions.items()), reverse=True)
        bound = ", ".join(f"{part} {share:.0%}" for share, part in shares[:3])
        return [
            Figure(what, found.samples_per_second.median, "samples/s", f"{bound}; {found.peak_mib:,.0f} MiB"),
        ]

    return Job(what, run)
