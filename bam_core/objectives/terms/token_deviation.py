"""The term `token_deviation`: at every place, every feature of the tokens varies over the samples."""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bam_core.collectives import all_gather
from bam_core.looks import Look, Wish
from bam_core.objectives.pairs import check_positive, check_several
from bam_core.objectives.tokens_needed import token_encoder
from bam_core.terms import TermOutput
from bam_core.tokens import Tokens
from bam_core.views import Drawn

_TINY = 1e-4  # below the root


def deviations(values: Float[Tensor, "b n d"], present: Bool[Tensor, "b n"] | None) -> Float[Tensor, "n d"]:
    """Deviation of every feature at every place over the samples of all ranks that have it; 1 where only one has."""
    there = values.new_ones(values.shape[:2]) if present is None else present.to(values.dtype)
    weighted = there[..., None] * values
    sums = torch.cat([there.sum(dim=0)[:, None], weighted.sum(dim=0), (weighted * values).sum(dim=0)], dim=1)
    count, first, second = all_gather(sums).sum(dim=0).split([1, values.shape[2], values.shape[2]], dim=1)
    n = count.clamp_min(2)
    variance = (second - first.square() / n) / (n - 1)
    return torch.where(count > 1, (variance.clamp_min(0) + _TINY).sqrt(), 1.0)


class TokenDeviation(nn.Module):
    r"""A hinge that keeps tokens from a collapse, for `jepa` and its kin: the mean over places, features and views of

    .. math:: \max\left(0, \gamma - \sqrt{\mathrm{Var}_i (x_{ipk}) + 10^{-4}}\right)

    with feature k of the student's token of sample i at place p, and all places shown. Places behind the end of a
    series do not count. Over several ranks the samples are those of all: ranks exchange sums, no tokens.

    Args:
        margin: gamma, a deviation that is enough.

    Shape:
        Tokens (b, n, d) of every global view -> a number.

    Raises:
        InputError: a margin that is not positive; in `wishes`, an encoder without tokens, or a batch of one.

    Source: the hinge is that of Bardes et al., VICReg, ICLR 2022, arXiv 2105.04906, equation 1; of each token as in
    AD-L-JEPA, arXiv 2501.04969, in our reading of its abstract.
    """

    def __init__(self, *, margin: float = 1.0) -> None:
        super().__init__()
        check_positive("token_deviation", margin=margin)
        self.margin = margin

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The student's tokens of the global views."""
        token_encoder("token_deviation", encoder)
        check_several("token_deviation", drawn)
        return [Wish(view, head=None, tokens=True) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Look at every place."""
        losses = []
        for look in looks:
            tokens = cast(Tokens, look.tokens)
            values = tokens.values.float() if tokens.values.element_size() < 4 else tokens.values
            with torch.autocast(values.device.type, enabled=False):
                losses.append((self.margin - deviations(values, tokens.present)).relu().mean())
        return TermOutput(torch.stack(losses).mean())


TERM = TokenDeviation
