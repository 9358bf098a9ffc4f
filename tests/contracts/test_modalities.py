"""Every installed modality keeps what the protocol promises."""

from importlib.metadata import entry_points

import pytest

from bam_core.config.registry import load_modality
from bam_core.testing import check_modality

SMALL = {
    "ecg": {"encoders": {"resnet1d": {"width": 8}}},
    "timeseries": {
        "views": {"series": {"n_local": 1, "overlap": 0.5, "permutation": (2, 4)}},
        "encoders": {
            "resnet1d": {"width": 8},
            "inceptiontime": {"width": 4, "n_modules": 4},
            "dilated": {"width": 8, "n_blocks": 3, "d": 20},
            "patch_transformer": {"patch": 8, "width": 32, "depth": 2},
        },
    },
    "audio": {
        "views": {"log_mel": {"n_local": 1}, "waveform": {"n_local": 1}},
        "encoders": {
            "cnn": {"width": 4, "d": 16},
            "vit": {"patch": 8, "width": 32, "depth": 2, "heads": 2},
            "resnet1d": {"width": 8},
        },
    },
    "tabular": {
        "views": {"tabular": {"n_local": 1, "subset": 0.7}},
        "encoders": {"mlp": {"width": 32}, "ft_transformer": {"width": 32, "depth": 1}},
    },
    "image": {
        "views": {"image": {"n_local": 1, "blur_sigma": (0.1, 2.0), "solarize_p": (0.0, 0.2)}},
        "encoders": {
            "cnn": {"width": 4},
            "resnet18": {"width": 4},
            "vit_tiny": {"width": 12, "depth": 2},
            "vit": {"size": "tiny", "patch": 8},
            "timm": {"model": "resnet10t"},
        },
    },
}


@pytest.fixture
def small_caformer(monkeypatch):
    """CAFormer has one size, of 52 million weights: here its stages have one block each, and few channels."""
    from timm.models import metaformer

    made = metaformer._create_metaformer
    small = {"depths": [1] * 4, "dims": [32, 32, 64, 64]}
    monkeypatch.setattr(metaformer, "_create_metaformer", lambda *args, **options: made(*args, **options | small))


@pytest.mark.usefixtures("small_caformer")
@pytest.mark.parametrize("name", sorted({entry.name for entry in entry_points(group="bam_ssl.modalities")}))
def test_it_keeps_its_promises(name):
    check_modality(load_modality(name), **SMALL.get(name, {}))
