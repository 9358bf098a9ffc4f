"""What readers of sounds have in common: the options that say what happens to every sound."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from bam_core.data.row_options import RowOptions
from bam_core.errors import InputError

Normalize = Literal["clip", "none"]


@dataclass(frozen=True, kw_only=True)
class SoundOptions(RowOptions):
    """What happens to every sound; see `read_folder` for the meaning of the options."""

    task: str | None = "classification"
    sampling_rate_hz: int | None = None
    n_mels: int = 64
    frame_ms: float = 25.0
    hop_ms: float = 10.0
    window_s: float | None = None
    window_hop_s: float | None = None
    normalize: Normalize = "clip"
    test_groups: Sequence[str | int] | None = None
    validation_groups: Sequence[str | int] | None = None

    facts_used: ClassVar[Sequence[str]] = ("mel", "classes", "task")

    def check(self) -> "SoundOptions":
        """The same, after a look at the numbers.

        Raises:
            InputError: a rate or a length out of range, or a hop without a window.
        """
        for name in ("sampling_rate_hz", "n_mels", "frame_ms", "hop_ms", "window_s", "window_hop_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} expected a positive number; got {value}.")
        if self.window_hop_s is not None and self.window_s is None:
            raise InputError("window_hop_s is the distance between windows: give their length, window_s, as well.")
        return self
