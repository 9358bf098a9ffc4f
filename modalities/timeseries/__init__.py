"""Time series of any domain: arrays, archives' files and long tables, warped and windowed views, 1-D networks."""

from bam_core.protocols import Modality
from modalities.timeseries.baselines import BASELINES
from modalities.timeseries.batches import collate_signals, draw_signal, flat_signal
from modalities.timeseries.data import read_arrays
from modalities.timeseries.encoders import DilatedConv, InceptionTime, PatchTransformer, ResNet1d, Rocket
from modalities.timeseries.example import synthetic_series
from modalities.timeseries.export import export_input
from modalities.timeseries.long import read_frame, read_long
from modalities.timeseries.memory import from_memory, read_series
from modalities.timeseries.store import to_files
from modalities.timeseries.views import LABEL_RISKS, SeriesViews

MODALITY = Modality(
    name="timeseries",
    readers={
        "arrays": read_arrays,
        "long": read_long,
        "series": read_series,
        "frame": read_frame,
        "example": synthetic_series,
    },
    reader_for_suffix={
        **dict.fromkeys((".npz", ".npy", ".ts"), "arrays"),
        **dict.fromkeys(("", ".csv", ".tsv", ".txt", ".parquet"), ("arrays", "long")),
    },
    views={"series": SeriesViews},
    encoders={
        "rocket": Rocket,
        "resnet1d": ResNet1d,
        "inceptiontime": InceptionTime,
        "dilated": DilatedConv,
        "patch_transformer": PatchTransformer,
    },
    collate=collate_signals,
    raw_features=flat_signal,
    example=synthetic_series,
    draw=draw_signal,
    label_risks=LABEL_RISKS,
    from_memory=from_memory,
    to_files=to_files,
    export_input=export_input,
    baselines=BASELINES,
)
