"""What exported networks of ECGs take: rows of the length of the training rows, standardised inside where each was."""

from collections.abc import Mapping
from typing import Any

from bam_core.protocols import ExportInput
from modalities.timeseries.export import series_input

ARRAYS = ("arrays", "memory")
"""Readers of rows as they are; the others cut them out of records."""


def export_input(facts: Mapping[str, Any], *, reader: str, options: Mapping[str, Any], seed: int) -> ExportInput:
    """Signals (n, leads, time); see `bam_core.protocols.Modality`."""
    normalize = options.get("normalize", "none")
    as_they_are = reader in ARRAYS
    each = normalize == ("record" if as_they_are else "window")
    before = "" if as_they_are else f"prepared as the reader {reader!r} prepares rows"
    before += ", but not standardised" if before and each else ""
    rate = facts.get("sampling_rate_hz")
    found = series_input(
        facts, seed=seed, each=each, trained=False, before=before,
        options={"normalize": normalize, "sampling_rate_hz": rate or 1.0} if as_they_are else {},
    )  # fmt: skip
    if rate is None:
        return found
    about = {name: said + f", at {rate:g} Hz" * (name == "signal") for name, said in found.about.items()}
    return found._replace(about=about)
