"""Images: folders, Hugging Face data sets and arrays, multi-crop views, ResNets and transformers from timm."""

from bam_core.protocols import Modality
from modalities.image.arrays import read_arrays
from modalities.image.baselines import BASELINES
from modalities.image.batches import collate_images, draw_image, raw_image
from modalities.image.decode import SUFFIXES
from modalities.image.encoders import Patches, caformer_m36, cnn, resnet18, timm_encoder, vit, vit_tiny
from modalities.image.example import synthetic_images
from modalities.image.export import export_input
from modalities.image.folder import read_folder
from modalities.image.hub import read_huggingface
from modalities.image.memory import from_memory, read_digits, read_memory, to_files
from modalities.image.shards import read_shards
from modalities.image.views import LABEL_RISKS, ImageViews

MODALITY = Modality(
    name="image",
    readers={
        "folder": read_folder,
        "huggingface": read_huggingface,
        "shards": read_shards,
        "arrays": read_arrays,
        "memory": read_memory,
        "digits": read_digits,
        "example": synthetic_images,
    },
    reader_for_suffix={
        **dict.fromkeys(("", *SUFFIXES), "folder"),
        **dict.fromkeys((".npz", ".npy"), "arrays"),
        ".parquet": "huggingface",
        ".tar": "shards",
    },
    views={"image": ImageViews},
    encoders={
        "patches": Patches,
        "cnn": cnn,
        "resnet18": resnet18,
        "vit_tiny": vit_tiny,
        "vit": vit,
        "caformer_m36": caformer_m36,
        "timm": timm_encoder,
    },
    collate=collate_images,
    raw_features=raw_image,
    example=synthetic_images,
    draw=draw_image,
    label_risks=LABEL_RISKS,
    from_memory=from_memory,
    to_files=to_files,
    export_input=export_input,
    baselines=BASELINES,
)
