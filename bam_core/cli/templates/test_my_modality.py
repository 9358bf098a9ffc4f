"""my_modality keeps the promises of its protocol, and reads files as it should."""

from pathlib import Path

import numpy as np
import pytest
from bam_core.config.registry import load_modality
from bam_core.errors import DataError
from bam_core.testing import check_modality

MODALITY = load_modality(f"{Path(__file__).with_name('my_modality.py')}:MODALITY")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAM_CACHE", str(tmp_path / "cache"))


def test_it_keeps_its_promises() -> None:
    """Every rule of bam_core.protocols.Modality."""
    check_modality(MODALITY, encoders={"small": {"width": 4}})


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, delimiter: str) -> None:
    """A broken line is set aside; the others keep their labels and numbers."""
    lines = ["a,b,c,label", "1,2,3,x", "4,oops,6,x", "7,8,10,y", "9,9,8,"]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(lines).replace(",", delimiter))
    prepared = MODALITY.readers["files"](path=str(file), test_fraction=0.0)
    assert [source for source, _ in prepared.set_aside] == ["table.csv row 1"]
    assert prepared.facts["shape"] == [1, 3]
    labels = prepared.labels("train")
    assert labels is not None
    assert labels.tolist() == [0, 1, -1]


def test_new_data_are_scaled_as_those_of_training(tmp_path: Path) -> None:
    """By the facts of the encoder, not by their own."""
    file = tmp_path / "array.npy"
    np.save(file, np.arange(12.0).reshape(2, 6))
    first = MODALITY.readers["files"](path=str(file))
    np.save(file, np.arange(12.0).reshape(2, 6) + 100)
    new = MODALITY.readers["files"](path=str(file), fitted=dict(first.facts))
    assert new.facts["mean"] == first.facts["mean"]


def test_what_holds_no_signals(tmp_path: Path) -> None:
    """Every error says what was expected."""
    with pytest.raises(DataError, match="expected a file"):
        MODALITY.readers["files"](path=str(tmp_path / "nothing.csv"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="expected a header and lines of numbers; got 0 lines"):
        MODALITY.readers["files"](path=str(tmp_path / "empty.csv"))
    (tmp_path / "words.csv").write_text("a,b\nno,number\n")
    with pytest.raises(DataError, match="found no usable row"):
        MODALITY.readers["files"](path=str(tmp_path / "words.csv"))
    np.save(tmp_path / "one.npy", np.arange(3.0))
    with pytest.raises(DataError, match=r"\(n, channels, time\); got float64 \(3,\)"):
        MODALITY.readers["files"](path=str(tmp_path / "one.npy"))
    (tmp_path / "text.npy").write_text("1,2,3")
    with pytest.raises(DataError, match="no readable NumPy file"):
        MODALITY.readers["files"](path=str(tmp_path / "text.npy"))
