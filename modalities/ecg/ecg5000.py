"""Reader of the embedded data: ECG5000, five thousand heartbeats of one patient (see `ecg5000.md`)."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from bam_core.data import PreparedData
from modalities.timeseries.data import read_arrays

CLASSES = ["normal", "R-on-T PVC", "PVC", "SP or EB", "unclassified"]
"""Of labels 1 to 5. PVC: premature ventricular contraction; SP or EB: supraventricular premature or ectopic beat."""

NOMINAL_RATE_HZ = 180.0
"""On average: every beat was stretched to 140 samples, so the true rate differs from beat to beat."""


def read_ecg5000(*, split: Literal["official", "large_train"] = "official") -> PreparedData:
    """Read ECG5000: single beats of 140 samples, each standardised, in five classes.

    Args:
        split: "official" is the UCR archive's, 500 beats for training and 4500 for testing; "large_train" holds out
            1000 beats, stratified by class, and leaves 4000 for training. Both divide the beats of one patient: they
            say nothing about other patients.

    Returns:
        Splits with the facts in_channels, length, shape, sampling_rate_hz (nominal), leads and classes.

    Example:
        >>> prepared = read_ecg5000(split="large_train")
        >>> {name: len(rows) for name, rows in sorted(prepared.splits.items())}
        {'test': 1000, 'train': 4000}
    """
    prepared = read_arrays(
        path=str(Path(__file__).with_name("ecg5000.npz")),
        split="official_split" if split == "official" else None,
        sampling_rate_hz=NOMINAL_RATE_HZ,
    )
    return replace(prepared, facts={**prepared.facts, "classes": CLASSES, "leads": ["ECG"]})
