"""Networks for log-mels; those for waveforms come from the time-series modality."""

from modalities.audio.encoders.cnn import MelCNN
from modalities.audio.encoders.vit import MelViT

__all__ = ["MelCNN", "MelViT"]
