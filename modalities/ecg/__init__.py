"""Electrocardiograms: WFDB records and arrays, views made of ecg-augmentations, 1-D convolutional encoders."""

from bam_core.protocols import Modality
from modalities.ecg.arrays import from_memory, read_equal_arrays, to_files
from modalities.ecg.baselines import BASELINES
from modalities.ecg.data import read_wfdb
from modalities.ecg.ecg5000 import read_ecg5000
from modalities.ecg.encoders import xresnet1d50
from modalities.ecg.example import synthetic_records
from modalities.ecg.export import export_input
from modalities.ecg.mitbih_beats import read_mitbih_beats
from modalities.ecg.ptbxl import read_ptbxl
from modalities.ecg.views import LABEL_RISKS, ECGViews
from modalities.timeseries.batches import collate_signals, draw_signal, flat_signal
from modalities.timeseries.encoders import PatchTransformer, ResNet1d, Rocket

MODALITY = Modality(
    name="ecg",
    readers={
        "wfdb": read_wfdb,
        "arrays": read_equal_arrays,
        "ecg5000": read_ecg5000,
        "mitbih_beats": read_mitbih_beats,
        "ptbxl": read_ptbxl,
        "example": synthetic_records,
    },
    reader_for_suffix={"": ("wfdb", "ptbxl"), **dict.fromkeys((".npz", ".npy", ".csv", ".tsv", ".parquet"), "arrays")},
    views={"ecg": ECGViews},
    encoders={
        "resnet1d": ResNet1d,
        "rocket": Rocket,
        "xresnet1d50": xresnet1d50,
        "patch_transformer": PatchTransformer,
    },
    collate=collate_signals,
    raw_features=flat_signal,
    example=synthetic_records,
    draw=draw_signal,
    label_risks=LABEL_RISKS,
    from_memory=from_memory,
    to_files=to_files,
    export_input=export_input,
    baselines=BASELINES,
)
