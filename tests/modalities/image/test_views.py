import math

import pytest
import torch
from fake_cuda import fake_cuda

from bam_core import BAMObjective, InputError
from modalities.image.encoders import resnet18, vit_tiny
from modalities.image.views import INVALIDATES, ImageViews

FACTS = {"in_channels": 3, "image_size": [32, 32], "mean": [0.5] * 3, "std": [0.25] * 3}
STILL = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip": 0.0, "jitter_p": 0.0, "grayscale_p": 0.0}
EVERYTHING = {"blur_sigma": (0.1, 2.0), "solarize_p": (0.0, 0.2)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(b=6, channels=3, height=32, width=32):
    return torch.randint(256, (b, channels, height, width), dtype=torch.uint8, generator=generator())


def views(batch, seed=0, **options):
    made = ImageViews(image_size=list(batch.shape[2:]), **options)(batch, generator=generator(seed))
    return [*made.global_views, *made.local_views]


def test_sizes():
    assert [tuple(v.shape) for v in views(images(), n_views=3)] == [(6, 3, 32, 32)] * 3
    shapes = [tuple(v.shape[1:]) for v in views(images(channels=1, height=20, width=30), n_local=2)]
    assert shapes == [(1, 20, 30)] * 2 + [(1, 10, 15)] * 2
    shapes = [tuple(v.shape[2:]) for v in views(images(), size=24, local_size=10, n_local=1)]
    assert shapes == [(24, 24)] * 2 + [(10, 10)]
    assert [tuple(v.shape[2:]) for v in views(images(height=1, width=1), n_local=1)] == [(1, 1)] * 3


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_stay_between_black_and_white(channels):
    for view in views(images(50, channels), n_local=2, **EVERYTHING):
        assert view.dtype == torch.float32
        assert view.isfinite().all()
        assert view.min() >= 0
        assert view.max() <= 1


def test_the_generator_decides_everything():
    first, again, other = (views(images(), seed, n_local=1, **EVERYTHING) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    views(images(), 1, n_local=1, **EVERYTHING)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_of_a_batch_are_changed_apart():
    same = images(1).expand(8, -1, -1, -1)
    view = views(same, **EVERYTHING)[0]
    assert all(not torch.equal(view[0], other) for other in view[1:])


def test_everything_off_is_the_image_itself():
    batch = images()
    for view in views(batch, **STILL):
        torch.testing.assert_close(view, batch / 255, atol=1e-6, rtol=0)
    for given in (batch / 255, batch):
        torch.testing.assert_close(views(given, seed=3)[0], views(batch / 255, seed=3)[0])


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({"scale": (0.2, 0.9)}, True),
        ({"ratio": (0.5, 0.6)}, True),
        ({"flip": 1.0}, True),
        ({"jitter_p": 1.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}, False),
        ({"jitter_p": 1.0, "brightness": 0.4, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}, True),
        ({"grayscale_p": 1.0}, True),
        ({"blur_sigma": (1.0, 2.0), "blur_p": (1.0,)}, True),
        ({"blur_sigma": None, "blur_p": (1.0,)}, False),
        ({"solarize_p": (1.0,)}, True),
    ],
)
def test_each_option_alone(options, differs):
    batch = images()
    changed = (views(batch, **{**STILL, **options})[0] - batch / 255).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert changed.all().item() == changed.any().item() == differs


def test_a_mirrored_view_is_the_mirrored_image():
    batch = images()
    torch.testing.assert_close(views(batch, **{**STILL, "flip": 1.0})[0], batch.flip(-1) / 255, atol=1e-6, rtol=0)


def test_probabilities_by_view():
    """The paper's blur and solarisation: the first view always blurred, the second seldom and sometimes solarised."""
    batch = images(1, height=8, width=8).expand(1000, -1, -1, -1)
    options = {**STILL, "n_views": 3, "n_local": 1, "local_scale": (1.0, 1.0), "local_size": 8}
    for name, bounds, local_share in (
        ("blur_p", {"blur_sigma": (1.0, 2.0), "local_blur_p": 0.5}, 0.5),
        ("solarize_p", {}, 0.0),
    ):
        made = views(batch, **options, **bounds, **{name: (1.0, 0.1)})
        shares = [((v - batch / 255).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean().item() for v in made]
        assert shares == pytest.approx([1.0, 0.1, 0.1, local_share], abs=0.05)


def test_local_views_show_less():
    """Columns of a ramp tell how much of the image a view shows."""
    ramp = torch.linspace(0, 1, 32).expand(500, 1, 32, 32)
    colourless = {"flip": 0.0, "jitter_p": 0.0, "ratio": (1.0, 1.0)}
    whole, _, local = views(ramp, n_local=1, scale=(0.25, 1.0), local_scale=(0.05, 0.25), **colourless)
    shown = [(v[:, 0, 0, -1] - v[:, 0, 0, 0]) for v in (whole, local)]
    assert shown[0].min() > 0.4
    assert shown[0].max() > 0.95
    assert 0.1 < shown[1].min() < shown[1].max() < 0.52


def test_nothing_waits_for_a_gpu():
    """Fake tensors raise on every look at a value, and on every mix of devices."""
    with fake_cuda():
        for channels in (1, 3):
            batch = torch.empty(4, channels, 32, 32, dtype=torch.uint8)
            made = ImageViews(image_size=[32, 32], n_local=2, **EVERYTHING)(batch)
            assert {v.device.type for v in (*made.global_views, *made.local_views)} == {"cuda"}


@pytest.mark.parametrize("encoder", [resnet18, vit_tiny])
def test_an_objective_trains_on_multi_crop(encoder):
    small = {"width": 4} if encoder is resnet18 else {"width": 12, "depth": 1}
    objective = BAMObjective(encoder(**FACTS, **small), ImageViews(image_size=[32, 32], n_local=2))
    out = objective(images(8), generator=generator())
    out.loss.backward()
    assert math.isfinite(out.loss.item())
    assert objective.embed(images(5)).shape[0] == 5


def test_every_change_is_documented():
    options = set(ImageViews.__init__.__kwdefaults__)
    settings = {"n_views", "n_local", "size", "local_size", "local_scale", "jitter_p", "blur_p", "local_blur_p"}
    settings |= {"jitter_order", "crops", "boxes_every", "boxes_alpha", "boxes_threshold"}
    assert set(INVALIDATES) == options - settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_views": 0}, "n_views >= 1 and n_local >= 0; got 0 and 0"),
        ({"n_local": -1}, "n_local >= 0; got 2 and -1"),
        ({"size": 0}, r"sizes of at least one pixel; got \(0, 0\)"),
        ({"local_size": -2}, "sizes of at least one pixel"),
        ({"scale": (0.0, 1.0)}, r"scale as \(lowest, highest\), each > 0 and <= 1; got \(0.0, 1.0\)"),
        ({"local_scale": (0.5, 1.5)}, "local_scale"),
        ({"ratio": (2.0, 1.0)}, r"ratio as \(lowest, highest\), each > 0; got \(2.0, 1.0\)"),
        ({"blur_sigma": (0.0, 1.0)}, "blur_sigma"),
        ({"flip": 1.5}, r"flip in \[0, 1\]; got 1.5"),
        ({"brightness": -0.1}, r"brightness in \[0, 1\]; got -0.1"),
        ({"contrast": 2.0}, "contrast"),
        ({"saturation": 2.0}, "saturation"),
        ({"hue": 0.6}, r"hue in \[0, 0.5\]; got 0.6"),
        ({"jitter_p": -1.0}, "jitter_p"),
        ({"grayscale_p": 3.0}, "grayscale_p"),
        ({"local_blur_p": 3.0}, "local_blur_p"),
        ({"blur_p": (0.5, 2.0)}, r"blur_p in \[0, 1\]; got 2.0"),
        ({"solarize_p": (-0.5,)}, "solarize_p"),
        ({"blur_p": ()}, "at least one probability; got none"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        ImageViews(image_size=[32, 32], **options)


@pytest.mark.parametrize("batch", [torch.zeros(2, 3), torch.zeros(2, 4, 8, 8), {"image": torch.zeros(2, 3, 8, 8)}])
def test_what_is_no_batch_of_images(batch):
    with pytest.raises(InputError, match=r"expected images \(b, 1 or 3, height, width\)"):
        ImageViews(image_size=[8, 8])(batch)
