"""Synthetic clips for tests and first trials."""

from functools import partial
from io import BytesIO

import numpy as np

from bam_core.data import PreparedData, SplitWriter, cached
from modalities.audio.options import SoundOptions
from modalities.audio.storage import Sound, write_sounds

RATE = 4000
SLOPES = {"rising": 1.2, "falling": -1.2, "steady": 0.0}  # octaves a clip


def synthetic_clips(*, n_clips: int = 96, seed: int = 0) -> PreparedData:
    """Tones that rise, fall or stay, of 0.3 to 0.8 s at 4 kHz, with noise; six of a voice, a quarter of them for test.

    Args:
        n_clips: in all.
        seed: of everything.

    Returns:
        Prepared data with labels and groups.

    Example:
        >>> synthetic_clips(n_clips=24).facts["classes"]
        ['falling', 'rising', 'steady']
    """

    def build(writer: SplitWriter) -> None:
        rng = np.random.default_rng(seed)
        pitch = rng.uniform(300, 700, n_clips)
        sounds = []
        for i in range(n_clips):
            voice, kind = i // 6, list(SLOPES)[i % 3]
            wave = _tone(pitch[voice], SLOPES[kind] * rng.uniform(0.7, 1.3), rng)
            split = "test" if voice % 4 == 3 else "train"
            sounds.append(Sound(f"clip {i}", partial(_wav, wave), kind, f"voice {voice}", split))
        write_sounds(writer, sounds, SoundOptions(n_mels=32))

    return cached("synthetic_clips", [], {"n_clips": n_clips, "seed": seed}, build)


def _tone(pitch_hz: float, slope: float, rng: np.random.Generator) -> np.ndarray:
    progress = np.linspace(0, 1, int(rng.uniform(0.3, 0.8) * RATE))
    turns = np.cumsum(pitch_hz * 2 ** (slope * (progress - 0.5))) / RATE
    tone = sum(np.sin(2 * np.pi * k * turns) / k for k in (1, 2, 3))
    fade = np.sin(np.pi * progress) ** 0.5
    return np.asarray(0.2 * fade * tone + 0.01 * rng.standard_normal(len(progress)))


def _wav(wave: np.ndarray) -> bytes:
    import soundfile

    contents = BytesIO()
    soundfile.write(contents, wave, RATE, format="WAV")
    return contents.getvalue()
