"""Every change alone, image by image, against torchvision, which takes one factor for a whole batch."""

from itertools import permutations

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from modalities.image import changes
from modalities.image.changes import Boxes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photos(b=6, channels=3, height=24, width=31):
    """Smooth colours with some noise, from black to white."""
    coarse = torch.rand(b, channels, 4, 4, generator=generator())
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * torch.randn(smooth.shape, generator=generator(1))).clamp(0, 1)


@pytest.mark.parametrize("size", [(12, 12), (32, 20), (24, 31)])
def test_a_crop_is_torchvisions(size):
    images = photos()
    boxes = Boxes(*(torch.tensor(v).float() for v in ([0, 3, 10, 0, 5, 20], [0, 7, 0, 11, 30, 2])),
                  *(torch.tensor(v).float() for v in ([24, 9, 14, 3, 19, 4], [31, 20, 5, 20, 1, 29])))  # fmt: skip
    made = changes.crop(images, boxes, size)
    for image, out, *box in zip(images, made, *boxes, strict=True):
        top, left, height, width = (int(v) for v in box)
        expected = tv.resized_crop(
            image, top, left, height, width, list(size), interpolation=InterpolationMode.BICUBIC, antialias=True
        )
        torch.testing.assert_close(out, expected.clamp(0, 1), atol=1e-5, rtol=0)


def test_a_mirrored_crop_is_the_crop_mirrored():
    images = photos(2)
    boxes = Boxes(*(torch.tensor([v, v]).float() for v in (2, 3, 15, 20)))
    plain = changes.crop(images, boxes, (16, 16))
    mirrored = changes.crop(images, boxes, (16, 16), torch.tensor([True, False]))
    torch.testing.assert_close(mirrored, torch.stack([plain[0].flip(-1), plain[1]]))
    chosen = changes.mirror(0.3, torch.empty(4000, 1, 1, 1), generator())
    assert chosen.float().mean().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (60, 25)])
def test_boxes_follow_the_distribution_of_torchvision(height, width):
    scale, ratio = (0.1, 0.9), (3 / 4, 4 / 3)
    ours = torch.stack(changes.draw_boxes(torch.empty(20000, 1, height, width), scale, ratio, generator()))
    torch.manual_seed(0)
    transform = RandomResizedCrop(8, scale=scale, ratio=ratio)
    draws = [transform.make_params([torch.empty(1, height, width)]) for _ in range(4000)]
    theirs = torch.tensor([[d["top"], d["left"], d["height"], d["width"]] for d in draws]).T.float()
    quantiles = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.quantile(quantiles), b.quantile(quantiles), atol=1.5, rtol=0)
    top, left, box_height, box_width = ours
    assert ((top >= 0) & (top + box_height <= height)).all()
    assert ((left >= 0) & (left + box_width <= width)).all()
    assert (box_width >= 1).all()
    assert (box_height >= 1).all()


def test_where_no_box_fits_it_is_the_centre():
    top, left, height, width = changes.draw_boxes(torch.empty(3, 1, 10, 100), (1.0, 1.0), (3 / 4, 4 / 3), generator())
    assert (width == 13).all()
    assert (height == 10).all()
    assert (top == 0).all()
    assert (left == 43).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_colour_change_is_torchvisions(name, channels, monkeypatch):
    images = photos(channels=channels)
    factors = torch.tensor([0.6, 0.8, 1.0, 1.1, 1.25, 1.4])
    shifts = torch.tensor([-0.5, -0.2, 0.0, 0.1, 0.3, 0.5])
    drawn = shifts if name == "hue" else factors
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    low_and_high = (-0.5, 0.5) if name == "hue" else (0.6, 1.4)

    def chosen(b, like, generator, bounds=(0.0, 1.0), *more):
        return drawn if bounds == pytest.approx(low_and_high) else torch.full((b,), sum(bounds) / 2)

    monkeypatch.setattr(changes, "draw", chosen)
    made = changes.jitter(images, **{**off, name: 0.5 if name == "hue" else 0.4}, p=1.0, generator=None)
    adjust = getattr(tv, f"adjust_{name}")
    expected = torch.stack([adjust(image, float(factor)) for image, factor in zip(images, drawn, strict=True)])
    torch.testing.assert_close(made, expected, atol=2e-5, rtol=0)


def test_factors_are_spread_over_their_range():
    plain = torch.full((4000, 3, 1, 1), 0.5)
    made = changes.jitter(plain, 0.4, 0.0, 0.0, 0.0, 1.0, generator())[:, 0, 0, 0]
    assert made.min().item() == pytest.approx(0.3, abs=0.005)
    assert made.max().item() == pytest.approx(0.7, abs=0.005)
    assert made.mean().item() == pytest.approx(0.5, abs=0.01)
    strong = changes.jitter(plain + 0.2, 1.0, 0.0, 0.0, 0.0, 1.0, generator())
    assert 0 <= strong.min() < 0.01
    assert strong.max() == 1


def test_grey_is_luminance_in_all_channels():
    images = photos()
    torch.testing.assert_close(changes.decolour(images, 1.0, generator()), tv.rgb_to_grayscale(images, 3))


def test_blur_is_torchvisions_and_keeps_flat_images():
    images = photos()
    made = changes.blur(images, (1.3, 1.3), 1.0, generator())
    expected = tv.gaussian_blur(images, [13, 13], [1.3, 1.3])
    inside = (..., slice(7, -7), slice(7, -7))
    torch.testing.assert_close(made[inside], expected[inside], atol=1e-4, rtol=0)
    flat = torch.full((2, 1, 9, 5), 0.7)
    torch.testing.assert_close(changes.blur(flat, (0.1, 3.0), 1.0, generator()), flat)
    sharp, soft = (changes.blur(images, (s, s), 1.0, generator()) for s in (0.1, 2.0))
    torch.testing.assert_close(sharp, images, atol=1e-5, rtol=0)
    assert soft.diff(dim=-1).abs().mean() < 0.5 * images.diff(dim=-1).abs().mean()


def test_solarise_is_torchvisions():
    images = (photos() * 255).round() / 255
    expected = tv.solarize((images * 255).round().to(torch.uint8), 128)
    torch.testing.assert_close(changes.solarise(images, 1.0, generator()) * 255, expected.float(), atol=1e-3, rtol=0)


def test_p_is_the_share_of_changed_images():
    images = photos(1).expand(1500, -1, -1, -1)
    for change in (
        lambda p: changes.jitter(images, 0.4, 0.4, 0.4, 0.1, p, generator()),
        lambda p: changes.decolour(images, p, generator()),
        lambda p: changes.blur(images, (1.0, 2.0), p, generator()),
        lambda p: changes.solarise(images, p, generator()),
    ):
        changed = (change(0.3) - images).abs().amax(dim=(1, 2, 3)) > 0
        assert changed.float().mean().item() == pytest.approx(0.3, abs=0.05)
        assert torch.equal(change(0.0), images)


def test_half_precision_of_a_training_step_does_not_reach_the_pixels():
    images = photos()
    boxes = changes.draw_boxes(images, (0.3, 1.0), (1.0, 1.0), generator())
    with torch.autocast("cpu", torch.bfloat16):
        made = changes.crop(images, boxes, (16, 16))
    assert torch.equal(made, changes.crop(images, boxes, (16, 16)))


def test_any_order_draws_one_of_all_orders_for_every_image(monkeypatch):
    """Each result is one of the 24 that torchvision's functions give in some order, all of them equally often."""
    image = photos(1, height=6, width=6)[0]
    real, b = changes.draw, 2400
    factors = {(0.6, 1.4): 1.35, (0.5, 1.5): 0.55, (0.3, 1.7): 1.6, (-0.4, 0.4): 0.3}

    def chosen(b, like, generator, bounds=(0.0, 1.0), *more):
        known = next((v for low_high, v in factors.items() if bounds == pytest.approx(low_high)), None)
        return real(b, like, generator, bounds, *more) if known is None else torch.full((b,), known)

    monkeypatch.setattr(changes, "draw", chosen)
    made = changes.jitter(image.expand(b, -1, -1, -1), 0.4, 0.5, 0.7, 0.4, 1.0, generator(), any_order=True)
    adjust = [
        (tv.adjust_brightness, 1.35),
        (tv.adjust_contrast, 0.55),
        (tv.adjust_saturation, 1.6),
        (tv.adjust_hue, 0.3),
    ]
    results = []
    for order in permutations(adjust):
        result = image
        for function, factor in order:
            result = function(result, factor)
        results.append(result)
    distance = (made[:, None] - torch.stack(results)).abs().amax(dim=(2, 3, 4))
    assert distance.amin(dim=1).max() < 1e-4
    shares = (distance < 1e-4).float().mean(dim=0)
    assert shares.min() > 0.5 / 24
    assert (distance < 1e-4).sum(dim=1).float().mean() < 2  # orders that give the same are few
