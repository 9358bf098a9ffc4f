"""Reader of ECGs from arrays and tables of equally long records, one a row."""

from typing import Literal

from bam_core.data import PreparedData
from modalities.timeseries.data import read_arrays


def read_equal_arrays(
    *,
    path: str,
    test_path: str | None = None,
    signals: str | None = None,
    label: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    sampling_rate_hz: float | None = None,
    max_gap: float = 0.1,
    normalize: Literal["record", "none"] = "record",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> PreparedData:
    """Read records from .npz, .npy, .csv, .tsv, .txt or .parquet; see `modalities.timeseries.data.read_arrays`.

    All records have the same length: the views and networks of this modality count on it. Values missing at the ends
    are gaps like others, and records with longer gaps than `max_gap` are set aside.

    Args:
        path: as there, like all arguments.
        test_path: file with the test split.
        signals: name of the array in an .npz.
        label: name of the column or array of labels.
        group: name of the column or array of groups.
        id: name of the column or array of names.
        split: name of the column or array of splits.
        sampling_rate_hz: of the signals.
        max_gap: longest run of missing values to interpolate, as a fraction of the record.
        normalize: "record" standardises each record and lead; "none" keeps the values.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.

    Returns:
        Splits with the facts in_channels, length, shape, classes, and sampling_rate_hz if given.

    Raises:
        BAMError: as there; also records of unequal length.
    """
    return read_arrays(**locals(), unequal=False)
