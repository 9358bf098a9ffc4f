r"""A weight on the positives: targets that also name the sample's own other views.

The target of a row of view v from global view a is :math:`w U^{(v)} + (1 - w) P^{(a)}`, with P^(a) the balanced target,
which leaves positives out, and U^(v) uniform over the columns that show the sample in other views than v. The attention
then leaves out the row's own column only, with a teacher too.

A row whose sample has no column of another view (view 0 when it alone is attended) keeps P^(a) as its target.

With w = 1 this is NT-Xent of Chen et al., ICML 2020, arXiv 2002.05709. Related: Denize et al., "Similarity contrastive
estimation", WACV 2023, arXiv 2111.14585; Zheng et al., "ReSSL", NeurIPS 2021, arXiv 2107.09282.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.collectives import world_size
from bam_core.loss.row_layout import ViewLayout


class MixedTargets:
    """How the targets of every view divide between the balanced targets and the positives.

    Args:
        layout: how the rows divide into views.
        weight: w in [0, 1].

    Attributes:
        weight: w.
        balanced: 1 - w for every view, or 1 where a row has no positives to attend to.
    """

    def __init__(self, layout: ViewLayout, weight: float) -> None:
        self.layout, self.weight = layout, weight
        self._n_positives = [layout.n_target - (view < layout.n_target) for view in range(layout.n_views)]
        self._shares = [weight if n else 0.0 for n in self._n_positives]
        self.balanced = [1.0 - share for share in self._shares]

    def on_positives(self, like: Tensor) -> Float[Tensor, "v t"]:
        """What the targets of a row hold at its sample's column in each attended view, summed over the matched views.

        Args:
            like: gives dtype and device.
        """
        sums = like.new_zeros(self.layout.n_views, self.layout.n_target)
        for row, matched, share, n in zip(sums, self.layout.n_matched, self._shares, self._n_positives, strict=True):
            row.fill_(matched * share / max(n, 1))
        sums.diagonal().zero_()
        return sums

    def entropies(self, balanced: Float[Tensor, "g b"]) -> Float[Tensor, "g b"]:
        """Entropies of the mixed targets in nats, each in the mean over the views that are matched with it.

        Balanced target and positives share no column, so H(w U + (1 - w) P) = h(w) + w H(U) + (1 - w) H(P).

        Args:
            balanced: entropies H(P) of the balanced targets.
        """
        mixed = []
        for target, entropies in enumerate(balanced):
            students = [view for view, matched in self.layout.matches if matched == target]
            share_of_balanced = sum(self.balanced[view] for view in students) / len(students)
            mixed.append(entropies * share_of_balanced + sum(map(self._entropy_added, students)) / len(students))
        return torch.stack(mixed)

    def _entropy_added(self, view: int) -> float:
        return entropy_added(self._shares[view], self._n_positives[view])


def entropy_added(weight: float | int, n_positives: float | int) -> float:
    """What a weight on the positives adds to (1 - w) H(P): h(w) + w log n, in nats.

    Args:
        weight: w in [0, 1].
        n_positives: columns that share it equally.

    Example:
        >>> round(entropy_added(0.5, 1), 4), entropy_added(0.0, 3)
        (0.6931, 0.0)
    """
    of_the_split = -sum(p * math.log(p) for p in (weight, 1 - weight) if p > 0)
    return of_the_split + weight * math.log(max(n_positives, 1))


def uniform_loss(layout: ViewLayout, *, positive_weight: float, mask_positives: bool) -> float:
    """Loss of an attention that knows nothing: the mean over matched views of the log of the attended columns, in nats.

    Args:
        layout: how the rows divide into views.
        positive_weight: with a weight, rows leave out their own column only.
        mask_positives: without a weight, rows leave out all columns of their sample.

    Example:
        >>> layout = ViewLayout(n_views=2, n_global=2, n_target=2, batch_size=8)
        >>> [round(math.exp(uniform_loss(layout, positive_weight=w, mask_positives=True))) for w in (0.0, 0.5)]
        [14, 15]
    """
    n_columns = layout.n_target * layout.batch_size * world_size()

    def n_left_out(view: int) -> int:
        return view < layout.n_target if positive_weight else layout.n_target * mask_positives

    return sum(math.log(n_columns - n_left_out(view)) for view, _ in layout.matches) / layout.n_pairs
