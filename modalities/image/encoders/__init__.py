"""Networks for images, most of them from timm, behind a fixed first layer that standardises the channels."""

from modalities.image.encoders.any_timm import timm_encoder
from modalities.image.encoders.base import ImageEncoder, Standardise
from modalities.image.encoders.convolutional import cnn, resnet18
from modalities.image.encoders.paper import caformer_m36, vit
from modalities.image.encoders.patches import Patches
from modalities.image.encoders.transformers import ViTEncoder, vit_tiny

__all__ = [
    "ImageEncoder",
    "Patches",
    "Standardise",
    "ViTEncoder",
    "caformer_m36",
    "cnn",
    "resnet18",
    "timm_encoder",
    "vit",
    "vit_tiny",
]
