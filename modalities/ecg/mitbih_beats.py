"""Reader of the embedded heartbeats of 43 people, a part of the MIT-BIH Arrhythmia Database (see `mitbih_beats.md`)."""

from pathlib import Path

import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached

CLASSES = ["normal", "supraventricular", "ventricular"]
"""AAMI's N, S and V."""

RATE_HZ = 128.0
STEP = 1 / 12  # of the stored whole numbers, in median standard deviations of the record
PATH = Path(__file__).with_name("mitbih_beats.npz")


def read_mitbih_beats() -> PreparedData:
    """Read 13,371 heartbeats of 43 people: 22 people to train on, 21 others to test on.

    A row has two channels of 1.25 s, 0.75 s of them before the R peak: lead MLII, and how the beat deviates from the
    median of all beats of that person. Rare beats are more frequent than in life: at most 220 normal, 150
    supraventricular and 150 ventricular beats a person were drawn.

    Returns:
        Splits with the columns signal, id, group (the person) and label, and the facts in_channels, length, shape,
        sampling_rate_hz, leads and classes.

    Example:
        >>> prepared = read_mitbih_beats()
        >>> {name: len(rows) for name, rows in sorted(prepared.splits.items())}
        {'test': 6277, 'train': 7094}
    """

    def build(writer: SplitWriter) -> None:
        with np.load(PATH, allow_pickle=False) as stored:
            for split in ("train", "test"):
                beats, person = stored[f"x_{split}"] * np.float32(STEP), stored[f"person_{split}"]
                own = np.searchsorted(stored[f"people_{split}"], person)
                medians = (stored[f"median_{split}"] * np.float32(STEP))[own]
                writer.add(
                    split,
                    signal=np.stack([beats, beats - medians], axis=1),
                    id=[f"{name}-{row}" for row, name in enumerate(person)],
                    group=[str(name) for name in person],
                    label=stored[f"y_{split}"].astype(np.int64),
                )
        writer.facts |= {
            "in_channels": 2,
            "length": beats.shape[1],
            "sampling_rate_hz": RATE_HZ,
            "leads": ["MLII"],
            "classes": CLASSES,
        }

    return cached("mitbih_beats", [PATH], {}, build)
