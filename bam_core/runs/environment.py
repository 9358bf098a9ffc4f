"""What a reader of results needs in order to repeat them: command, seed, machine, versions, data."""

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from bam_core.config.schema import Recipe
from bam_core.data import PreparedData

PACKAGES = (
    *("bam-ssl", "torch", "lightning", "datasets", "numpy", "pandas", "scikit-learn"),
    *("wfdb", "ecg-augmentations", "soundfile", "torchaudio", "rtdl-num-embeddings", "timm", "torchvision", "lightly"),
)


def environment(recipe: Recipe, data: PreparedData) -> dict[str, Any]:
    """What a reader of the results needs in order to repeat them."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "seed": recipe.train.seed,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": versions,
        "data": {"fingerprint": data.fingerprint, "rows": {k: len(v) for k, v in data.splits.items()}},
        "facts": dict(data.facts),
        "repairs": dict(data.repairs),
        "notes": list(data.notes),
        "set_aside": len(data.set_aside),
    }
