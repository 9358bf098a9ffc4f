import numpy as np
import pytest
import soundfile


@pytest.fixture
def tone():
    """Write a tone: path, seconds, and what else is to be special about it."""

    def write(path, seconds=0.3, *, rate=8000, hz=440, channels=1, level=0.3, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
        soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **options)
        return path

    return write


@pytest.fixture
def words(tmp_path, tone):
    """A folder of two words, spoken six times by each of three voices."""
    for i, word in enumerate(("no", "yes")):
        for voice in ("anna", "bob", "cleo"):
            for take in range(6):
                tone(tmp_path / "words" / word / f"{voice}_{take}.wav", 0.2 + 0.02 * take, hz=300 + 200 * i)
    return tmp_path / "words"
