"""Products on a GPU: inputs in float16, sums in float32, which has the digits of TF32 at half the traffic.

Elsewhere, and in float64, products are as they are. No setting of torch is asked or changed, and autocast has no say.
"""

import torch
from jaxtyping import Float
from torch import Tensor

GAIN = 2048.0  # float16 has no room for small entries of a gradient, and plenty above one
_LANES = 8  # columns that a product with tensor cores has at least


def rounds(values: Tensor) -> bool:
    """Whether products with these values are rounded."""
    return values.is_cuda and values.dtype == torch.float32 and torch.version.cuda is not None


def product(
    a: Float[Tensor, "n d"], b: Float[Tensor, "d m"], *, out: Float[Tensor, "n m"] | None = None
) -> Float[Tensor, "n m"]:
    """a b for entries of moderate size, such as those of unit rows."""
    if not rounds(a):
        return torch.mm(a, b) if out is None else torch.mm(a, b, out=out)
    found = half_product(a.half(), b.half())
    return found if out is None else out.copy_(found)


def add_product(total: Float[Tensor, "n d"], by_score: Float[Tensor, "n m"], b: Float[Tensor, "m d"]) -> None:
    """Add `by_score` b to a gradient; `by_score` has entries from far below one to the number of views."""
    if rounds(by_score):
        total.add_(product(by_score * GAIN, b), alpha=1 / GAIN)
    else:
        total.addmm_(by_score, b)


def half_product(a: Float[Tensor, "n k"], b: Float[Tensor, "k m"]) -> Float[Tensor, "n m"]:
    """a b of half precision, summed and returned in float32."""
    if a.is_cuda:
        found: Tensor = torch.mm(a, b, out_dtype=torch.float32)
        return found
    return a.float() @ b.float()


def times_vector(a: Float[Tensor, "n m"], x: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
    """a x for a in bfloat16 and x in float32, whose digits are kept: it is the sum of two bfloat16."""
    high = x.bfloat16()
    pair = torch.zeros(len(x), _LANES, dtype=torch.bfloat16, device=x.device)
    pair[:, 0], pair[:, 1] = high, x - high.float()
    return half_product(a, pair).sum(dim=1)
