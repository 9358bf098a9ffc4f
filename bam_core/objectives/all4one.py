"""The objective `all4one` of recipes: neighbours, centroids of neighbours, and features, each contrasted."""

from torch import nn

from bam_core.objective import Objective
from bam_core.objectives.peers import peer_projector
from bam_core.objectives.terms.centroid import Centroid
from bam_core.objectives.terms.feature_contrast import FeatureContrast
from bam_core.objectives.terms.neighbour import Neighbour
from bam_core.protocols import ViewFn
from bam_core.schedules import CosineSchedule


def make_all4one(
    encoder: nn.Module,
    view_fn: ViewFn,
    *,
    total_steps: int,
    neighbour: float = 0.5,
    centroid: float = 0.5,
    feature: float = 5.0,
    n_neighbours: int = 5,
    queue_size: int = 4096,
    temperature: float = 0.2,
    momentum: float = 0.99,
    final_momentum: float = 1.0,
    projector_hidden: int = 512,
    projector_out: int = 256,
    projector_layers: int = 3,
    micro_batch: int | None = None,
) -> Objective:
    """All4One: the weighted sum of the terms `neighbour`, `centroid` and `feature_contrast`, all with a teacher.

    The teacher's projections look for neighbours and fill the queues, one of each of the first two terms. Local views
    are not used.

    Args:
        encoder: view -> (b, d).
        view_fn: batch -> views, at least two of them global.
        total_steps: length of the run in optimiser steps; filled in by the run.
        neighbour: weight of the contrast with single neighbours.
        centroid: weight of the contrast of centroids.
        feature: weight of the contrast of features.
        n_neighbours: that a centroid is made of.
        queue_size: rows of former batches that neighbours are looked for in; the authors' 65,536 to 98,304 are for
            larger data.
        temperature: of the contrast with single neighbours; that of the centroids stays at 0.1.
        momentum: of the teacher at the start.
        final_momentum: at the end, reached on a cosine.
        projector_hidden: width of the hidden layers of projector and predictors.
        projector_out: width of the projections.
        projector_layers: linear layers of the projector.
        micro_batch: rows that the encoder sees at a time; filled in by the run.

    Returns:
        The objective.

    Raises:
        InputError: settings out of range.

    Source: Estepa et al., ICCV 2023, arXiv 2303.09417, section 3. Weights and the number of neighbours are those of
    the authors' code; widths, and the size of the queue, are ours.
    """
    near = Neighbour(queue_size=queue_size, temperature=temperature, hidden=projector_hidden, teacher=True)
    mixed = Centroid(n_neighbours=n_neighbours, queue_size=queue_size, hidden=projector_hidden, teacher=True)
    return Objective(
        encoder,
        view_fn,
        {"neighbour": near, "centroid": mixed, "feature_contrast": FeatureContrast(teacher=True)},
        weights={"neighbour": neighbour, "centroid": centroid, "feature_contrast": feature},
        projector=peer_projector(projector_hidden, projector_out, projector_layers),
        momentum=CosineSchedule(momentum, final_momentum, total_steps),
        micro_batch=micro_batch,
    )
