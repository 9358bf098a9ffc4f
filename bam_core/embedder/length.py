"""How long to train: a default in optimiser steps, since passes over a large table take hours."""

from numbers import Integral

from bam_core.errors import InputError

PASSES = 100
MOST_STEPS = 3000
"""Where neither passes nor steps are given: so many passes, but not more steps than that."""


def check_length(epochs: int | None, steps: int | None) -> None:
    """See to it that at most one of both is given, and that steps can be counted; passes are checked with the rest.

    Raises:
        InputError: both, or fewer than one step.
    """
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1):
        raise InputError(f"BAMEmbedder expected steps as a whole number, 1 or more; got {steps!r}.")
    if epochs is not None and steps is not None:
        raise InputError(f"BAMEmbedder expected epochs or steps; got both, {epochs} and {steps}. Leave out one.")


def total_steps(n_rows: int, batch_size: int, *, epochs: int | None, steps: int | None) -> int:
    """Optimiser steps of a run; what is left over of a pass waits for the next one.

    Example:
        >>> total_steps(569, 128, epochs=None, steps=None), total_steps(100_000, 128, epochs=None, steps=None)
        (400, 3000)
    """
    if steps is not None:
        return int(steps)
    a_pass = max(1, n_rows // batch_size)
    return min(PASSES * a_pass, MOST_STEPS) if epochs is None else epochs * a_pass
