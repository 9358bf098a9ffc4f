"""What readers of sounds have in common: the options that say what happens to every sound."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from bam_core.errors import InputError

Normalize = Literal["clip", "none"]


class Treatment(NamedTuple):
    """What happens to every sound; see `read_folder` for the meaning of the options."""

    sampling_rate_hz: int | None = None
    n_mels: int = 64
    frame_ms: float = 25.0
    hop_ms: float = 10.0
    window_s: float | None = None
    window_hop_s: float | None = None
    normalize: Normalize = "clip"
    test_groups: Sequence[str | int] | None = None
    validation_groups: Sequence[str | int] | None = None
    test_fraction: float = 0.2
    seed: int = 0
    fitted: dict[str, Any] | None = None
    task: str | None = "classification"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Treatment":
        """Those of a reader's options that are named here, after a look at the numbers.

        Raises:
            InputError: a rate or a length out of range, or a hop without a window.
        """
        how = cls(**{name: options[name] for name in cls._fields if name in options})
        for name in ("sampling_rate_hz", "n_mels", "frame_ms", "hop_ms", "window_s", "window_hop_s"):
            value = getattr(how, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} expected a positive number; got {value}.")
        if how.window_hop_s is not None and how.window_s is None:
            raise InputError("window_hop_s is the distance between windows: give their length, window_s, as well.")
        return how

    def settings(self) -> dict[str, Any]:
        """All that the stored rows depend on."""
        fitted = (
            {name: self.fitted.get(name) for name in ("mel", "classes", "task")} if self.fitted is not None else None
        )
        return {**self._asdict(), "fitted": fitted}
