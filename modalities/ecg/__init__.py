"""Electrocardiograms: WFDB records and arrays, views made of ecg-augmentations, 1-D convolutional encoders."""

from bam_core.protocols import Modality
from modalities.ecg.data import read_wfdb
from modalities.ecg.encoders import xresnet1d50
from modalities.ecg.views import INVALIDATES, ECGViews
from modalities.timeseries.batches import collate_signals, draw_signal, flat_signal
from modalities.timeseries.encoders import ResNet1d

MODALITY = Modality(
    name="ecg",
    readers={"wfdb": read_wfdb},
    views={"ecg": ECGViews},
    encoders={"resnet1d": ResNet1d, "xresnet1d50": xresnet1d50},
    collate=collate_signals,
    raw_features=flat_signal,
    example=lambda: None,
    draw=draw_signal,
    invalidates=INVALIDATES,
)
