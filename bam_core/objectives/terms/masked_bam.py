"""The term `masked_bam`: what is shown of a sample attends to the batch as another part of it does."""

from collections.abc import Sequence

from torch import nn

from bam_core.errors import InputError
from bam_core.looks import Look, Wish
from bam_core.masks import draw_subset
from bam_core.objectives.pairs import check_positive
from bam_core.objectives.terms.bam import BAM
from bam_core.objectives.tokens_needed import token_encoder
from bam_core.terms import TermOutput
from bam_core.views import Drawn


class MaskedBAM(BAM):
    """BAM on tokens: the views are random parts of the places of one view, so no changes of the data are needed.

    Of every global view `n_masks` subsets of the places are drawn, each with a share of `shown`. The student looks at
    each of them alone, pools and projects it, and all are matched as views of `bam`. With a teacher the targets, and
    the columns that are attended to, are of the whole view. How many places are shown follows from the grid.

    Args:
        shown: share of the places that a mask shows, in (0, 1).
        n_masks: masks of a global view; at least two in all.
        teacher: see `bam_core.objectives.terms.bam.BAM`, like all below.
        temperature: of the students' attention.
        epsilon: regularisation of the balanced target. None: a quarter of the temperature.
        iterations: Sinkhorn iterations.
        positive_weight: part of the target that falls on the sample's own other masks. None: a half.

    Shape:
        A projection (b, p) of every mask -> a number.

    Raises:
        InputError: settings out of range; in `wishes`, an encoder without tokens, or fewer than two masks in all.

    Source: ours; the loss is that of Shalam & Korman, ECCV 2024, arXiv 2408.02014. Random subsets as views: He et al.,
    "Masked autoencoders", CVPR 2022, arXiv 2111.06377, section 3; a mask's embedding matched with that of the whole:
    Assran et al., "Masked siamese networks", ECCV 2022, arXiv 2204.07141.
    """

    def __init__(
        self,
        *,
        shown: float = 0.5,
        n_masks: int = 2,
        teacher: bool = False,
        temperature: float = 0.1,
        epsilon: float | None = None,
        iterations: int = 3,
        positive_weight: float | None = None,
    ) -> None:
        super().__init__(
            teacher=teacher,
            temperature=temperature,
            epsilon=epsilon,
            iterations=iterations,
            positive_weight=positive_weight,
        )
        check_positive("masked_bam", n_masks=n_masks)
        if not 0 < shown < 1:
            raise InputError(f"masked_bam expected a share of places to show in (0, 1); got shown={shown}.")
        self.shown, self.n_masks = shown, n_masks

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """For every mask the student's tokens of the places that it shows; of the teacher the whole views."""
        tokens = token_encoder("masked_bam", encoder)
        if drawn.n_global * self.n_masks < 2:
            raise InputError("masked_bam expected at least two masks in all; got one. Raise n_masks.")
        masks = [
            Wish(view, keep=draw_subset(drawn.rand, tokens.grid(drawn.parts(view)[0]), share=self.shown), tokens=True)
            for view in range(drawn.n_global)
            for _ in range(self.n_masks)
        ]
        return [*masks, *(Wish(view, "teacher") for view in range(drawn.n_global) if self.teacher)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare the masks as views; see `BAMOutput` for the scalars."""
        n = drawn.n_global * self.n_masks
        whole = [look for look in looks[n:] for _ in range(self.n_masks)]
        return super().forward([*looks[:n], *whole], drawn._replace(n_views=n, n_global=n), fraction)


TERM = MaskedBAM
