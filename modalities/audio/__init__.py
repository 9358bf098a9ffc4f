"""Sounds: files of any length, rate and format, views of waveforms and log-mels, 2-D networks and transformers."""

from bam_core.protocols import Modality
from modalities.audio.baselines import BASELINES
from modalities.audio.batches import collate_clips, draw_clip, log_mel_features
from modalities.audio.clips import SUFFIXES
from modalities.audio.encoders import MelCNN, MelViT
from modalities.audio.example import synthetic_clips
from modalities.audio.export import export_input
from modalities.audio.folder import read_folder, read_speech_commands
from modalities.audio.huggingface import read_huggingface
from modalities.audio.manifest import read_manifest
from modalities.audio.memory import from_memory, to_files
from modalities.audio.views import LABEL_RISKS, LogMelViews, WaveformViews
from modalities.timeseries.encoders import ResNet1d

MODALITY = Modality(
    name="audio",
    readers={
        "folder": read_folder,
        "manifest": read_manifest,
        "huggingface": read_huggingface,
        "speech_commands": read_speech_commands,
        "example": synthetic_clips,
    },
    reader_for_suffix={
        **dict.fromkeys(("", *SUFFIXES), ("folder", "speech_commands")),
        **dict.fromkeys((".csv", ".tsv", ".txt"), "manifest"),
        ".parquet": ("manifest", "huggingface"),
    },
    views={"log_mel": LogMelViews, "waveform": WaveformViews},
    encoders={"cnn": MelCNN, "vit": MelViT, "resnet1d": ResNet1d},
    collate=collate_clips,
    raw_features=log_mel_features,
    example=synthetic_clips,
    draw=draw_clip,
    label_risks=LABEL_RISKS,
    from_memory=from_memory,
    to_files=to_files,
    export_input=export_input,
    baselines=BASELINES,
)
