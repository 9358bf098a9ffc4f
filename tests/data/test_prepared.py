import datasets
import numpy as np
import pytest

from bam_core.data import SplitDataset, cached
from bam_core.errors import DataError


def collate(columns, facts):
    return {**columns, "facts": facts}


def test_batches_of_inputs_only():
    def build(writer):
        signal = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
        writer.add("train", signal=signal, label=np.arange(6), group=list("aabbcc"), id=list("123456"))

    prepared = cached("some", [], {}, build)
    rows = SplitDataset(prepared.splits["train"], collate, prepared.facts)
    assert len(rows) == 6
    batch = rows.__getitems__([4, 1])
    assert set(batch) == {"signal", "facts"}
    assert batch["signal"].tolist() == [[16, 17, 18, 19], [4, 5, 6, 7]]
    assert batch["facts"]["shape"] == [2, 2]
    assert rows[3]["signal"].tolist() == [[12, 13, 14, 15]]


def test_an_empty_split():
    with pytest.raises(DataError, match="expected at least one row; got none"):
        SplitDataset(datasets.Dataset.from_dict({"signal": []}), collate, {})
