"""Networks for series, (b, channels, time) -> (b, d), for any length, also for unequal lengths in one batch."""

from modalities.timeseries.encoders.base import SeriesEncoder, WindowEmbeddings
from modalities.timeseries.encoders.dilated import DilatedConv
from modalities.timeseries.encoders.inceptiontime import InceptionTime
from modalities.timeseries.encoders.patch_transformer import PatchTransformer
from modalities.timeseries.encoders.resnet1d import ResNet1d
from modalities.timeseries.encoders.rocket import Rocket

__all__ = [
    "DilatedConv",
    "InceptionTime",
    "PatchTransformer",
    "ResNet1d",
    "Rocket",
    "SeriesEncoder",
    "WindowEmbeddings",
]
