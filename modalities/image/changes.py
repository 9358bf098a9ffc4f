"""What views do to a batch of images in [0, 1], one function a change; draws are per sample, from the generator.

Everything is batched arithmetic, nothing waits for an accelerator. Torchvision's functions take one factor for the
whole batch, as a number; these take one for each image and give the same pixels (the tests compare). Cropping and
blurring are products with matrices, a row for each new pixel, so that crops shrink without aliasing, as Pillow's and
torchvision's do with `antialias`, and `grid_sample` does not.

Source: Szegedy et al., CVPR 2015, arXiv 1409.4842 (random resized crop); Chen et al., "SimCLR", ICML 2020, arXiv
2002.05709 (colours, blur); Grill et al., "BYOL", NeurIPS 2020, arXiv 2006.07733 (solarise).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Range = tuple[float, float]
Generator = torch.Generator | None
Images = Float[Tensor, "b c h w"]

GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue, as in torchvision
TRIES = 10  # of a random box, as in torchvision


class Boxes(NamedTuple):
    """Parts of images, in pixels.

    Attributes:
        top: (b,) first row.
        left: (b,) first column.
        height: (b,) rows.
        width: (b,) columns.
    """

    top: Float[Tensor, "b"]
    left: Float[Tensor, "b"]
    height: Float[Tensor, "b"]
    width: Float[Tensor, "b"]


def draw(b: int, like: Tensor, generator: Generator, bounds: Range = (0.0, 1.0), *more: int) -> Float[Tensor, "b ..."]:
    """Uniform numbers, one or more for each of b images, on the device of a tensor."""
    device = like.device if generator is None else generator.device
    unit = torch.rand(b, *more, generator=generator, device=device).to(like.device)
    return bounds[0] + (bounds[1] - bounds[0]) * unit


def draw_boxes(images: Images, scale: Range, ratio: Range, generator: Generator) -> Boxes:
    """Boxes of random area, shape and place, by torchvision's rule: the first of ten tries that fits, else the centre.

    Args:
        images: to cut from.
        scale: area, as a fraction of the image's.
        ratio: width by height, drawn on a logarithmic scale.
        generator: of the draws.
    """
    b, _, h, w = images.shape
    area = h * w * draw(b, images, generator, scale, TRIES)
    shape = draw(b, images, generator, (math.log(ratio[0]), math.log(ratio[1])), TRIES).exp()
    width, height = (area * shape).sqrt().round(), (area / shape).sqrt().round()
    fits = (width >= 1) & (width <= w) & (height >= 1) & (height <= h)
    first = fits.int().argmax(dim=1, keepdim=True)
    some = fits.any(dim=1)
    usual_w, usual_h = min(w, round(h * ratio[1])), min(h, round(w / ratio[0]))
    width = torch.where(some, width.gather(1, first)[:, 0], usual_w)
    height = torch.where(some, height.gather(1, first)[:, 0], usual_h)
    top = (draw(b, images, generator) * (h - height + 1)).floor().clamp_max(h - 1)
    left = (draw(b, images, generator) * (w - width + 1)).floor().clamp_max(w - 1)
    top = torch.where(some, top, (h - usual_h) // 2)
    return Boxes(top, torch.where(some, left, (w - usual_w) // 2), height, width)


def crop(images: Images, boxes: Boxes, size: tuple[int, int], mirrored: Bool[Tensor, "b"] | None = None) -> Images:
    """Cut boxes out and bring them to one size, bicubic with antialiasing.

    Args:
        images: to cut from.
        boxes: one for each image.
        size: (height, width) of what comes out.
        mirrored: which images to turn left to right; None for none.
    """
    down = _resampling(boxes.top, boxes.height, images.shape[2], size[0])
    across = _resampling(boxes.left, boxes.width, images.shape[3], size[1])
    if mirrored is not None:
        across = torch.where(mirrored[:, None, None], across.flip(1), across)
    return _along_both(images, down, across)


def mirror(p: float, images: Images, generator: Generator) -> Bool[Tensor, "b"]:
    """Which images to turn left to right."""
    return draw(len(images), images, generator) < p


def jitter(
    images: Images,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    p: float,
    generator: Generator,
    *,
    any_order: bool = False,
) -> Images:
    """Change brightness, contrast, saturation and hue; grey images have no saturation and no hue.

    Args:
        images: to change.
        brightness: factors are drawn from 1 - brightness to 1 + brightness.
        contrast: the same for contrast, around the mean of the image.
        saturation: the same for saturation.
        hue: the shift is drawn from -hue to hue, in turns of the colour circle.
        p: probability, of all four together.
        generator: of the draws.
        any_order: draw an order for every image, as torchvision does, at four times the cost; else the order above.
    """
    b = len(images)
    by_brightness, by_contrast = _factor(brightness, images, generator), _factor(contrast, images, generator)
    changes: list[Callable[[Tensor], Tensor]] = [
        lambda x: (x * by_brightness).clamp(0, 1),
        lambda x: _blend(x, grey(x).mean(dim=(1, 2, 3), keepdim=True), by_contrast),
    ]
    if images.shape[1] == 3:
        by_saturation = _factor(saturation, images, generator)
        shift = draw(b, images, generator, (-hue, hue))[:, None, None]
        changes.append(lambda x: _blend(x, grey(x), by_saturation))
        changes += [lambda x: turn_hue(x, shift)] if hue else []
    changed = images
    if any_order:
        orders = draw(b, images, generator, (0.0, 1.0), len(changes)).argsort(dim=1)
        for turn in orders.T:
            before = changed
            for k, change in enumerate(changes):
                changed = torch.where((turn == k)[:, None, None, None], change(before), changed)
    else:
        for change in changes:
            changed = change(changed)
    return torch.where(_chosen(p, images, generator), changed, images)


def turn_hue(images: Images, shift: Float[Tensor, "b 1 1"]) -> Images:
    """Shift the hue of colour images, in turns of the colour circle; saturation and value of HSV stay.

    Source: https://en.wikipedia.org/wiki/HSL_and_HSV, "HSV to RGB alternative".
    """
    red, green, blue = images.unbind(dim=1)
    value, lowest = images.amax(dim=1), images.amin(dim=1)
    chroma = value - lowest
    divisor = torch.where(chroma == 0, 1, chroma)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    place = sixths + 6 * shift
    k = torch.stack([(place + n) % 6 for n in (5, 3, 1)], dim=1)
    part: Tensor = torch.minimum(k, 4 - k).clamp(0, 1)
    return value[:, None] - chroma[:, None] * part


def decolour(images: Images, p: float, generator: Generator) -> Images:
    """Make images grey, in as many channels as before."""
    return torch.where(_chosen(p, images, generator), grey(images), images)


def grey(images: Images) -> Float[Tensor, "b 1 h w"]:
    """Luminance of colour images; grey ones as they are."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    luminance: Tensor = GREY[0] * red + GREY[1] * green + GREY[2] * blue
    return luminance


def blur(images: Images, sigma: Range, p: float, generator: Generator) -> Images:
    """Gaussian blur; at the edges, of what lies inside.

    Args:
        images: to blur.
        sigma: standard deviation in pixels, drawn for every image.
        p: probability.
        generator: of the draws.
    """
    deviation = draw(len(images), images, generator, sigma)[:, None, None]
    down, across = (_gaussian(deviation, length) for length in images.shape[2:])
    return torch.where(_chosen(p, images, generator), _along_both(images, down, across), images)


def solarise(images: Images, p: float, generator: Generator) -> Images:
    """Invert what is lighter than the middle."""
    inverted = torch.where(images >= 128 / 255, 1 - images, images)
    return torch.where(_chosen(p, images, generator), inverted, images)


def _chosen(p: float, images: Images, generator: Generator) -> Bool[Tensor, "b 1 1 1"]:
    return (draw(len(images), images, generator) < p)[:, None, None, None]


def _factor(strength: float, images: Images, generator: Generator) -> Float[Tensor, "b 1 1 1"]:
    return draw(len(images), images, generator, (max(0.0, 1 - strength), 1 + strength))[:, None, None, None]


def _blend(images: Images, other: Tensor, factor: Tensor) -> Images:
    return (other + factor * (images - other)).clamp(0, 1)


def _along_both(
    images: Images, down: Float[Tensor, "b i h"], across: Float[Tensor, "b j w"]
) -> Float[Tensor, "b c i j"]:
    with torch.autocast(images.device.type, enabled=False):  # half precision would band and shift colours
        made: Tensor = down[:, None] @ images @ across[:, None].transpose(2, 3)
        return made.clamp(0, 1)


def _resampling(start: Tensor, length: Tensor, n_in: int, n_out: int) -> Float[Tensor, "b i n"]:
    """Matrices that resample a stretch of pixels, as torchvision's `resize` with bicubic antialiasing does."""
    scale = (length / n_out)[:, None, None]
    pixels = torch.arange(n_in, device=start.device) + 0.5
    centres = scale * (torch.arange(n_out, device=start.device)[:, None] + 0.5)
    from_start = pixels - start[:, None, None]
    weights = _cubic((from_start - centres) / scale.clamp_min(1))
    weights = torch.where((from_start > 0) & (from_start < length[:, None, None]), weights, 0)
    return weights / weights.sum(dim=2, keepdim=True)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x.square() + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))


def _gaussian(sigma: Tensor, length: int) -> Float[Tensor, "b n n"]:
    steps = torch.arange(length, device=sigma.device)
    weights = (-0.5 * ((steps - steps[:, None]) / sigma).square()).exp()
    return weights / weights.sum(dim=2, keepdim=True)
