"""One test of collapse for BAM, on what every step yields: used by the objective, by runs and by reports.

A collapsed network satisfies the loss: target and attention are both uniform and agree. So neither loss nor kl shows
it alone. What shows it is what an attention that knows nothing would give: its target entropy and its kl, and, below
both, projections that lie on one line.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from bam_core.diagnostics import projections_rankme
from bam_core.loss.positives import entropy_added

NEAR_UNIFORM = 0.98  # of the entropy of a uniform target
NEAR_KL = 0.1  # nats from the kl of an attention that knows nothing
ONE_LINE = 1.5  # RankMe of projections that all point one way, or the opposite one
_LOGGED = ("kl", "target_entropy", "uniform_loss", "uniform_entropy", "projections_rankme")


def uniform_entropy(
    n_others: int, *, n_positives: float | int = 1, positive_weight: float | int = 0, top_k: int | None = None
) -> float:
    """Entropy in nats of a target that is uniform over the other samples: the most that `target_entropy` can be.

    Args:
        n_others: columns of other samples in a row.
        n_positives: columns of the row's own sample that a weight falls on.
        positive_weight: part of the target that falls on them.
        top_k: columns that are kept, at most.

    Example:
        >>> round(math.exp(uniform_entropy(14)), 6), round(math.exp(uniform_entropy(14, top_k=4)), 6)
        (14.0, 4.0)
        >>> round(math.exp(uniform_entropy(16, positive_weight=0.5)), 6)  # half on one column, half on 16
        8.0
    """
    kept = max(min(n_others, top_k or n_others), 1)
    return entropy_added(positive_weight, n_positives) + (1 - positive_weight) * math.log(kept)


def collapse(
    *, kl: float, target_entropy: float, uniform_loss: float, uniform_entropy: float, rankme: float | None = None
) -> str | None:
    """Why the figures of a step are those of a collapse, or of a network that has learnt nothing yet; None if not.

    Args:
        kl: of target and attention, in nats.
        target_entropy: mean entropy of the targets, in nats.
        uniform_loss: loss of an attention that knows nothing, in nats.
        uniform_entropy: the function of that name.
        rankme: of the projections; None if it is not known.

    Returns:
        One line, without a full stop.

    Example:
        >>> collapse(kl=0.04, target_entropy=5.50, uniform_loss=5.54, uniform_entropy=5.54)
        'the attention knows nothing (target entropy 5.50 of at most 5.54 nats, kl 0.04; knowing nothing gives 0.00)'
        >>> collapse(kl=0.4, target_entropy=3.1, uniform_loss=5.54, uniform_entropy=5.54, rankme=40.0)
    """
    if rankme is not None and rankme < ONE_LINE:
        return f"all projections lie on one line (RankMe {rankme:.2f})"
    uniform_kl = max(uniform_loss - uniform_entropy, 0.0)
    if target_entropy >= NEAR_UNIFORM * uniform_entropy and abs(kl - uniform_kl) < NEAR_KL:
        return (
            f"the attention knows nothing (target entropy {target_entropy:.2f} of at most {uniform_entropy:.2f} nats, "
            f"kl {kl:.2f}; knowing nothing gives {uniform_kl:.2f})"
        )
    return None


class End(NamedTuple):
    """How a training ended.

    Attributes:
        collapse: why it is a collapse, or that nothing was learnt; None if it is none.
        figures: the figures behind that, by name; means of the last rows of the log.
    """

    collapse: str | None
    figures: Mapping[str, float]

    @property
    def words(self) -> str:
        """A sentence."""
        if self.collapse is not None:
            return f"The network has collapsed, or has learnt nothing yet: {self.collapse}."
        rank = self.figures.get("projections_rankme")
        return (
            f"Nothing in the training points to a collapse: kl {self.figures['kl']:.2f}, target entropy "
            f"{self.figures['target_entropy']:.2f} of at most {self.figures['uniform_entropy']:.2f} nats"
            f"{'' if rank is None else f', RankMe of the projections {rank:.1f}'}."
        )


def end_of_training(rows: Sequence[Mapping[Any, Any]], *, n_last: int = 5) -> End | None:
    """How a training ended, from its log; None if that has no figures of an attention.

    Args:
        rows: of `metrics.csv`, by column.
        n_last: rows that are averaged, at most.
    """
    last = [{name: float(row[name]) for name in _LOGGED if row.get(name) not in (None, "")} for row in rows[-n_last:]]
    figures = {
        name: sum(values) / len(values)
        for name in _LOGGED
        if (values := [row[name] for row in last if math.isfinite(row.get(name, math.nan))])
    }
    if not {"kl", "target_entropy", "uniform_loss"} <= set(figures):
        return None
    figures.setdefault("uniform_entropy", figures["uniform_loss"])  # of a log of before there was this column
    reason = collapse(
        kl=figures["kl"],
        target_entropy=figures["target_entropy"],
        uniform_loss=figures["uniform_loss"],
        uniform_entropy=figures["uniform_entropy"],
        rankme=figures.get("projections_rankme"),
    )
    return End(reason, figures)


class CollapseWatch:
    """Looks at every so many steps, and says so once, when two looks in a row see a collapse.

    A look waits for the device, and the first steps are given time.

    Args:
        way_out: last words of what it says.
        every: steps between looks.
    """

    def __init__(self, way_out: str, every: int = 100) -> None:
        self.way_out = way_out
        self.every = every
        self.steps = 0
        self.warned = False
        self._seen = False

    def look(self, scalars: Mapping[str, Tensor], projections: Float[Tensor, "n p"]) -> str | None:
        """Count a step, and look if it is time.

        Args:
            scalars: of the step, by the names of `BAMOutput`.
            projections: what the loss compared.

        Returns:
            What to say, once.
        """
        self.steps += 1
        if self.warned or self.steps % self.every or torch.compiler.is_compiling():
            return None
        names = ("kl", "target_entropy", "uniform_loss", "uniform_entropy")
        figures = {name: float(scalars[name]) for name in names}
        reason = collapse(**figures, rankme=projections_rankme(projections))
        twice, self._seen = reason is not None and self._seen, reason is not None
        if not twice:
            return None
        self.warned = True
        return (
            f"after {self.steps} steps {reason}: the network has collapsed, or has learnt nothing yet. {self.way_out}"
        )
