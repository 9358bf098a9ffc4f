"""The term `jepa`: tokens of what is shown predict the teacher's tokens of what is hidden."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bam_core.collectives import mean_over_ranks, world_size
from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.masks import Masks, Range, draw_blocks, draw_subsets
from bam_core.objectives.predictor import LinearLike
from bam_core.terms import TermOutput
from bam_core.tokens import TokenEncoder, Tokens, kept
from bam_core.views import Drawn

Kind = Literal["l1", "smooth_l1", "cosine"]


class JEPA(nn.Module):
    """Prediction of the teacher's tokens at hidden places, from the student's tokens of the places that are shown.

    In every global view several targets are drawn, and a context that has no place in common with them: blocks where
    neighbouring places are alike (time, images), subsets where they are not (the features of a table). The student
    sees the context only, the teacher the whole view. A small transformer, the predictor, is given the context's tokens
    and, for every place of one target, a learnt token with that place's position; it answers with its guess of the
    teacher's token there, normalised over its features. The loss is the mean distance of guess and token:

        l1: mean |p - t|;  smooth_l1: the same, squared below 1;  cosine: 1 - cos(p, t)

    Places behind the end of a series are no targets. Over several ranks the mean is over the targets of all of them.

    Args:
        n_targets: targets of a view.
        target_share: smallest and largest share of the places that a target covers.
        target_aspect: smallest and largest height of a block over its width, in two dimensions.
        predictor_width: of the predictor's tokens; a multiple of 4 and of its heads.
        predictor_depth: layers of the predictor.
        predictor_heads: heads of its attention.
        loss: distance of guess and token.

    Shape:
        Of every view the tokens (b, k, d) of its context and (b, n, d) of all places -> a number.

    Raises:
        InputError: widths that do not fit; in `wishes`, an encoder without tokens, a batch of one, or a view of too few
            places.

    Source: Assran et al., "I-JEPA", CVPR 2023, arXiv 2301.08243, section 3 (targets, context, predictor); for ECG Kim,
    "Learning General Representation of 12-Lead Electrocardiogram with a Joint-Embedding Predictive Architecture", 2024,
    arXiv 2410.08559; for tables Thimonier et al., "T-JEPA", ICLR 2025, arXiv 2410.05016. Our reading: one predictor and
    one set of options for all of them; positions in the predictor are fixed sines; a series' patches hold all leads.
    """

    def __init__(
        self,
        *,
        n_targets: int = 4,
        target_share: Range = (0.15, 0.2),
        target_aspect: Range = (0.75, 1.5),
        predictor_width: int = 128,
        predictor_depth: int = 2,
        predictor_heads: int = 4,
        loss: str = "smooth_l1",
    ) -> None:
        super().__init__()
        if loss not in ("l1", "smooth_l1", "cosine"):
            raise InputError(f"JEPA expected loss l1, smooth_l1 or cosine; got {loss!r}.")
        self.n_targets, self.share, self.aspect, self.loss = n_targets, target_share, target_aspect, loss
        self.predictor = Predictor(predictor_width, predictor_depth, predictor_heads)
        self._drawn: list[_Hidden] = []

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """For every global view, the student's tokens of a context and the teacher's of all places."""
        if not hasattr(encoder, "trunk"):
            raise InputError(
                "JEPA expected an encoder with tokens: patch_transformer, vit, ft_transformer, or a TokenEncoder "
                f"of yours; {type(encoder).__name__} has none."
            )
        if drawn.batch_size < 2:
            raise InputError("JEPA expected a batch of at least two samples, whose targets differ; got 1.")
        self._drawn, wishes = [], list[Wish]()
        for view in range(drawn.n_global):
            grid = cast(TokenEncoder, encoder).grid(drawn.parts(view)[0])
            if cast(TokenEncoder, encoder).ordered:
                masks = draw_blocks(drawn.rand, grid, n_targets=self.n_targets, share=self.share, aspect=self.aspect)
            else:
                masks = draw_subsets(drawn.rand, grid, n_targets=self.n_targets, share=self.share)
            self._drawn.append(_Hidden(grid, masks))
            shown = Wish(view, head=None, keep=masks.context, tokens=True)
            wishes += [shown, Wish(view, "teacher", head=None, tokens=True)]
        return wishes

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Predict and compare, the looks in the order of the wishes."""
        found = [
            self._view(hidden, cast(Tokens, shown.tokens), cast(Tokens, whole.tokens))
            for hidden, shown, whole in zip(self._drawn, looks[::2], looks[1::2], strict=True)
        ]
        own = torch.stack([torch.stack(list(one)) for one in found]).mean(dim=0)
        joint = _Compared(*mean_over_ranks(own.detach()).unbind())
        loss = own[0] + (joint.loss - own[0].detach())  # the value of all ranks, the gradient of this one
        return TermOutput(loss, {"error_of_mean": joint.error_of_mean, "target_deviation": joint.target_deviation})

    def _view(self, hidden: "_Hidden", context: Tokens, whole: Tokens) -> "_Compared":
        values = whole.values.detach().float()
        targets = functional.layer_norm(values, values.shape[-1:])
        b, m, a = hidden.masks.targets.shape
        places = hidden.masks.targets.flatten(1)
        wanted = kept(targets, places).values
        counts = torch.ones_like(places, dtype=torch.bool)
        if whole.present is not None and context.present is not None:
            counts = kept(whole.present, places).values & context.present.any(dim=1, keepdim=True)
        guesses = self.predictor(context, hidden.masks.targets, hidden.grid, counts.reshape(b, m, a), whole.values)
        with torch.autocast(wanted.device.type, enabled=False):
            weights = counts / mean_over_ranks(counts.sum().float()).clamp_min(1 / world_size())  # ranks may differ
            middle = mean_over_ranks((weights[..., None] * wanted).sum(dim=(0, 1))).expand_as(wanted)
            return _Compared(
                (weights * distance(guesses.float().flatten(1, 2), wanted, self.loss)).sum(),
                (weights * distance(middle, wanted, self.loss)).sum(),
                deviation(targets, whole.present),
            )


class Predictor(nn.Module):
    """A transformer from context tokens and places to guesses of the tokens there, each target by itself.

    Args:
        width: of its own tokens.
        depth: layers.
        heads: of the attention.

    Shape:
        Context of k tokens (b, k, d), m targets of a places (b, m, a) -> (b, m, a, d).

    Raises:
        InputError: a width that is no multiple of 4 and of the heads.
    """

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        if width < 4 or width % 4 or heads < 1 or width % heads:
            raise InputError(
                f"the predictor of JEPA expected a width that is a multiple of 4 and of its heads; got width {width}, "
                f"{heads} heads."
            )
        self.enter = nn.LazyLinear(width)
        self.query = nn.Parameter(0.02 * torch.randn(width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.leave = LinearLike(width)

    def forward(
        self,
        context: Tokens,
        targets: Int[Tensor, "b m a"],
        grid: tuple[int, ...],
        there: Bool[Tensor, "b m a"],
        like: Float[Tensor, "b n d"],
    ) -> Float[Tensor, "b m a d"]:
        """Guesses of the tokens at `targets`; places that are not `there` are not used."""
        b, m, a = targets.shape
        shown = self.enter(context.values)
        shown = shown + positions(context.place, grid, shown.shape[-1]).to(shown.dtype)
        queries = self.query + positions(targets, grid, shown.shape[-1]).to(shown.dtype)
        x = torch.cat([shown[:, None].expand(-1, m, -1, -1), queries], dim=2).flatten(0, 1)
        absent = None
        if context.present is not None:
            absent = ~torch.cat([context.present[:, None].expand(-1, m, -1), there], dim=2).flatten(0, 1)
            absent = absent & ~absent.all(dim=1, keepdim=True)  # attention among nothing is not a number
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=absent)
        guesses: Tensor = self.leave(self.norm(x[:, -a:]), like).unflatten(0, (b, m))
        return guesses


class _Hidden(NamedTuple):
    grid: tuple[int, ...]
    masks: Masks


class _Compared(NamedTuple):
    """Of one view.

    Attributes:
        loss: mean distance of guesses and targets.
        error_of_mean: the same of one guess for all, the mean of the targets: what knowing nothing costs.
        target_deviation: of a feature of the targets at one place, over the samples of a rank that reach it; 0 is
            collapse.
    """

    loss: Float[Tensor, ""]
    error_of_mean: Float[Tensor, ""]
    target_deviation: Float[Tensor, ""]


def distance(guess: Float[Tensor, "b n d"], target: Float[Tensor, "b n d"], kind: str) -> Float[Tensor, "b n"]:
    """Distance of every two tokens, see `JEPA`."""
    if kind == "cosine":
        return 1 - functional.cosine_similarity(guess, target, dim=-1)
    pointwise = functional.l1_loss if kind == "l1" else functional.smooth_l1_loss
    return pointwise(guess, target, reduction="none").mean(dim=-1)


def deviation(values: Float[Tensor, "b n d"], present: Bool[Tensor, "b n"] | None) -> Float[Tensor, ""]:
    """Deviation over the samples of a feature at one place, on average over those places that two samples have."""
    there = values.new_ones(values.shape[:2]) if present is None else present.to(values.dtype)
    n = there.sum(dim=0)
    mean = (there[..., None] * values).sum(dim=0) / n.clamp_min(1)[:, None]
    squares = (there[..., None] * (values - mean).square()).sum(dim=0)
    of_place = (squares / (n - 1).clamp_min(1)[:, None]).sqrt().mean(dim=1)
    counted = (n > 1).to(values.dtype)
    return (counted * of_place).sum() / counted.sum().clamp_min(1)


def positions(place: Int[Tensor, "..."], grid: tuple[int, ...], width: int) -> Float[Tensor, "... w"]:
    """Sines and cosines of where places lie along every axis of their grid.

    Args:
        place: numbers of the places, row after row.
        grid: places along one or two axes.
        width: features; a multiple of 4.

    Source: Vaswani et al., arXiv 1706.03762, section 3.5, one half of the features for each of two axes.
    """
    columns = grid[-1]
    along = [place] if len(grid) == 1 else [torch.div(place, columns, rounding_mode="floor"), place % columns]
    n = width // (2 * len(along))
    rates = 10_000.0 ** (-torch.arange(n, device=place.device) / n)
    angles = [axis[..., None] * rates for axis in along]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=-1)


TERM = JEPA
