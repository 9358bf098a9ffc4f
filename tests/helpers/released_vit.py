"""A narrow vision transformer laid out as the released checkpoints are, and what it must give: NumPy in float64.

`python tests/helpers/released_vit.py` writes `tests/fixtures/released_vit.pth`. The forward pass is written from
the papers, not from our network: Dosovitskiy et al., arXiv 2010.11929; Chen et al., "MoCo v3", arXiv 2104.02057.
"""

import math
from pathlib import Path

import numpy as np
import torch

WIDTH, DEPTH, HEADS, PATCH, SIDE = 16, 2, 4, 16, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILE = Path(__file__).parents[1] / "fixtures" / "released_vit.pth"


def images(side):
    """(2, 3, side, side) uint8."""
    places = np.arange(2 * 3 * side * side).reshape(2, 3, side, side)
    return ((places * 37 + places // side * 11) % 256).astype(np.uint8)


def weights(seed):
    """Random weights under the names of the released backbone."""
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=0.1):
        return (scale * rng.normal(size=shape)).astype(np.float32)

    found = {
        "cls_token": normal(1, 1, WIDTH),
        "pos_embed": positions(SIDE // PATCH),
        "patch_embed.proj.weight": normal(WIDTH, 3, PATCH, PATCH, scale=0.02),
        "patch_embed.proj.bias": normal(WIDTH),
        "norm.weight": 1 + normal(WIDTH),
        "norm.bias": normal(WIDTH),
    }
    for block in range(DEPTH):
        for norm in ("norm1", "norm2"):
            found |= {f"blocks.{block}.{norm}.weight": 1 + normal(WIDTH), f"blocks.{block}.{norm}.bias": normal(WIDTH)}
        for layer, n_out, n_in in (
            ("attn.qkv", 3 * WIDTH, WIDTH), ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH), ("mlp.fc2", WIDTH, 4 * WIDTH),
        ):  # fmt: skip
            found[f"blocks.{block}.{layer}.weight"] = normal(n_out, n_in, scale=n_in**-0.5)
            found[f"blocks.{block}.{layer}.bias"] = normal(n_out)
    return found


def positions(side):
    """(1, 1 + side^2, WIDTH): nothing for the class token; sine and cosine of column and row for the patches."""
    frequencies = 10_000.0 ** (-np.arange(WIDTH // 4) / (WIDTH // 4))
    row, column = (axis.reshape(-1, 1) * frequencies for axis in np.meshgrid(*[np.arange(side)] * 2, indexing="ij"))
    patches = np.concatenate([np.sin(column), np.cos(column), np.sin(row), np.cos(row)], axis=1)
    return np.concatenate([np.zeros((1, WIDTH)), patches])[None].astype(np.float32)


def forward(weights, pixels):
    """(b, WIDTH) class tokens after the last norm."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    x = (pixels / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    b, side = len(x), x.shape[-1] // PATCH
    patches = x.reshape(b, 3, side, PATCH, side, PATCH).transpose(0, 2, 4, 1, 3, 5).reshape(b, side**2, -1)
    x = patches @ w["patch_embed.proj.weight"].reshape(WIDTH, -1).T + w["patch_embed.proj.bias"]
    x = np.concatenate([np.broadcast_to(w["cls_token"], (b, 1, WIDTH)), x], axis=1) + w["pos_embed"]
    for block in range(DEPTH):
        p = {name.removeprefix(f"blocks.{block}."): v for name, v in w.items() if name.startswith(f"blocks.{block}.")}
        y = norm(x, p["norm1.weight"], p["norm1.bias"])
        qkv = y @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]
        q, k, v = qkv.reshape(b, -1, 3, HEADS, WIDTH // HEADS).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(WIDTH // HEADS)
        attention = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention /= attention.sum(axis=-1, keepdims=True)
        y = (attention @ v).transpose(0, 2, 1, 3).reshape(b, -1, WIDTH)
        x = x + y @ p["attn.proj.weight"].T + p["attn.proj.bias"]
        y = norm(x, p["norm2.weight"], p["norm2.bias"]) @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"]
        y = y * (1 + np.vectorize(math.erf)(y / math.sqrt(2))) / 2
        x = x + y @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]
    return norm(x[:, 0], w["norm.weight"], w["norm.bias"])


def norm(x, weight, bias):
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * weight + bias


def main():
    """Write the file."""
    model, expected = {}, {}
    for seed, (role, prefix) in enumerate((("student", "student.module."), ("teacher", "teacher."))):
        backbone = weights(seed)
        head = {f"layers.{k}.weight": np.ones((8, 8), np.float32) for k in (0, 2, 4)}
        model |= {f"{prefix}backbone.{name}": torch.from_numpy(value) for name, value in backbone.items()}
        model |= {f"{prefix}proj_head.{name}": torch.from_numpy(value) for name, value in head.items()}
        expected[role] = torch.from_numpy(forward(backbone, images(SIDE)).astype(np.float32))
    torch.save({"model": model, "epoch": 400, "expected": expected}, FILE)


if __name__ == "__main__":
    main()
