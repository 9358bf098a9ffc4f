"""What the encoders of log-mels share: their first layer."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from modalities.audio.mel import LogMel
from modalities.timeseries.encoders import SeriesEncoder, WindowEmbeddings


class MelEncoder(SeriesEncoder):
    """Encoder of clips by their log-mels; a network fills in `encode(log_mel, valid)`.

    Args:
        mel: what a log-mel is, a fact of the data.
        context_s: longest stretch that the network sees at once, in seconds; longer clips are cut into windows of
            that length, and their embeddings are averaged. None: the whole clip.

    Shape:
        Waveforms {"signal": (b, 1, t), "length": (b,)} or (b, 1, t), or their log-mels with n_mels channels -> (b, d).
    """

    def __init__(self, mel: Mapping[str, Any], context_s: float | None) -> None:
        super().__init__(None if context_s is None else round(1000 * context_s / mel["hop_ms"]))
        self.log_mel = LogMel(mel)

    def forward(self, batch: Any) -> Float[Tensor, "b d"]:
        """One vector a clip."""
        return super().forward(self.log_mel(batch))

    def embed_windows(self, batch: Any, *, window: int, hop: int | None = None) -> WindowEmbeddings:
        """One vector for every window, of so many frames; see `SeriesEncoder.embed_windows`."""
        return super().embed_windows(self.log_mel(batch), window=window, hop=hop)
