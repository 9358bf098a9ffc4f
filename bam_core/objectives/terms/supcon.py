"""The term `supcon`: attention falls on all views of all samples of the same class."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bam_core.collectives import all_gather, rank
from bam_core.errors import InputError
from bam_core.labelled_views import LABEL, uses_labels
from bam_core.looks import Look, Wish
from bam_core.loss.attention import unit_rows
from bam_core.objectives.pairs import check_comparable, check_positive, with_cosine
from bam_core.terms import Comparison, TermOutput, projections_of
from bam_core.views import Drawn, recomputed

BLOCK = 1024  # rows whose scores with all columns are held at a time


def supervised_contrast(
    rows: Float[Tensor, "n p"],
    columns: Float[Tensor, "m p"],
    samples: Int[Tensor, " n"],
    column_samples: Int[Tensor, " m"],
    places: Int[Tensor, " n"],
    labels: Int[Tensor, " all"],
    *,
    temperature: float,
    block: int = BLOCK,
) -> Float[Tensor, ""]:
    """Mean over the rows of the mean over their positives of the cross-entropy; see `SupCon`.

    Args:
        rows: of unit length.
        columns: of unit length, the rows of all ranks.
        samples: number of the sample that each row shows.
        column_samples: the same of the columns.
        places: number of the column that each row itself is.
        labels: class of every sample; -1 for none.
        temperature: of the softmax.
        block: rows at a time.
    """

    def of_block(part: Tensor, sample: Tensor, place: Tensor, columns: Tensor) -> Tensor:
        scores = (part @ columns.T / temperature).scatter(1, place[:, None], -torch.inf)
        label = labels[sample][:, None]
        kin = (sample[:, None] == column_samples) | ((label == labels[column_samples]) & (label >= 0))
        kin = kin.scatter(1, place[:, None], False)
        attracted = scores.masked_fill(~kin, 0.0).sum(dim=1) / kin.sum(dim=1)
        return (scores.logsumexp(dim=1) - attracted).sum()

    parts = zip(rows.split(block), samples.split(block), places.split(block), strict=True)
    return torch.stack([recomputed(of_block, *part, columns) for part in parts]).sum() / len(rows)


@uses_labels
class SupCon(nn.Module):
    r"""Supervised contrast: a row attends to the other views of its sample and to all views of samples of its class.

    .. math:: \frac1n \sum_i \frac{-1}{|P(i)|} \sum_{k \in P(i)}
        \log \frac{e^{\langle z_i, z_k \rangle / \tau}}{\sum_{a \ne i} e^{\langle z_i, z_a \rangle / \tau}}

    over the unit projections z of all global views; P(i) are the other rows of the same sample or of the same class.
    A sample without a label (-1) has the other views of itself only. So without any labels this is NT-Xent, and with a
    part of the labels it is semi-supervised. Labels come in `Drawn.aux["label"]`, (b,) whole numbers: a recipe with
    this term takes those of train. Over several ranks the columns are those of all. Memory grows with the batch: scores
    are held in blocks.

    An encoder that was trained so has seen the labels of train: scores with few labels are no longer those of few.

    Args:
        temperature: of the softmax.

    Shape:
        A projection (b, p) of every global view -> a number, in nats.

    Raises:
        InputError: a temperature that is not positive; labels that are not one class a sample; in `wishes`, fewer than
            two global views, or a batch of one.

    Source: Khosla et al., NeurIPS 2020, arXiv 2004.11362, equation 2 (the mean outside of the logarithm); temperature
    0.1 is the paper's.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive("supcon", temperature=temperature)
        self.temperature = temperature

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """The global views of the student."""
        check_comparable(drawn)
        labels = drawn.aux.get(LABEL)
        if labels is not None and (labels.ndim != 1 or labels.is_floating_point()):
            raise InputError(
                f"supcon expected one class a sample, whole numbers of shape (b,); got labels of shape "
                f"{tuple(labels.shape)} and {labels.dtype}."
            )
        return [Wish(view) for view in range(drawn.n_global)]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare every row with all others."""
        outputs = projections_of(looks)
        v, b = len(outputs), len(outputs[0])
        with torch.autocast(outputs[0].device.type, enabled=False):
            rows = unit_rows(torch.cat(outputs))
            joined = all_gather(rows)  # (ranks, v * b, p)
            of_ranks = torch.arange(len(joined) * b, device=rows.device).view(-1, 1, b).expand(-1, v, -1).flatten(1)
            labels = drawn.aux.get(LABEL, torch.full((b,), -1, device=rows.device))
            loss = supervised_contrast(
                rows,
                joined.flatten(0, 1),
                of_ranks[rank()],
                of_ranks.flatten(),
                torch.arange(v * b, device=rows.device) + rank() * v * b,
                all_gather(labels).flatten(),
                temperature=self.temperature,
            )
        return with_cosine(loss, outputs)

    def cost(self, n_global: int) -> Comparison:
        """Every row with all columns."""
        return Comparison(n_global)


TERM = SupCon
