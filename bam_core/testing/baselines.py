"""What the protocol promises of a modality's baselines."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bam_core.protocols import Baseline, FittedBaseline, Modality
from bam_core.testing.contract import Contract

N_ROWS = 16


def check_baselines(contract: Contract, modality: Modality, rows: Any, facts: Mapping[str, Any]) -> None:
    """Fit every baseline that is installed on some rows, and look at its features.

    Args:
        contract: collects what is wrong.
        modality: offers the baselines, or none.
        rows: of the split "train".
        facts: of the data.
    """
    from bam_core.runs.baselines import columns_of, feature_array, not_installed

    with contract.rule("baselines are `bam_core.protocols.Baseline` by name, each with a sentence about it") as need:
        for name, baseline in modality.baselines.items():
            need(isinstance(baseline, Baseline), f"baseline {name!r} is a {type(baseline).__name__}")
            need(name.isidentifier(), f"the name {name!r}, which is no word")
            need(isinstance(baseline.about, str) and baseline.about.endswith("."), f"baseline {name!r} has no sentence")
    for name, baseline in modality.baselines.items():
        with contract.rule(f"baseline {name!r} says whether it can be had") as need:
            why_not = "" if baseline.why_not is None else baseline.why_not(rows.column_names, facts)
            need(isinstance(why_not, str), f"a {type(why_not).__name__}")
        if why_not or not_installed(baseline):
            continue
        with contract.rule(f"baseline {name!r} makes (b, k) finite numbers, the same for a row alone") as need:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the packages, as when they are evaluated
                fitted = baseline.fit(columns_of(rows, np.arange(N_ROWS)), facts, n_rows=N_ROWS, seed=0)
                need(isinstance(fitted, FittedBaseline), f"`fit` returns a {type(fitted).__name__}")
                wanted = (np.arange(N_ROWS), np.array([0]), np.array([N_ROWS - 1]))
                together, *alone = (feature_array(fitted.features(columns_of(rows, some))) for some in wanted)
            need(together.ndim == 2 and len(together) == N_ROWS, f"shape {together.shape} for {N_ROWS} rows")
            need(np.isfinite(together).all(), "NaN or infinity")
            for row, one in zip((0, N_ROWS - 1), alone, strict=True):
                need(one.shape == (1, together.shape[1]), f"shape {one.shape} for one row")
                need(np.allclose(one[0], together[row], rtol=1e-3, atol=1e-3), f"row {row} alone has other features")
            need(fitted.knn or fitted.classifier is not None, "neither kNN nor a classifier of its own")
