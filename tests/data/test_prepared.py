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


def prepared_rows(ids, signal, **facts):
    def build(writer):
        writer.facts.update(facts)
        half = len(signal) // 2
        writer.add("train", signal=signal[:half], label=np.arange(half), group=list("ab"), id=ids[:half])
        writer.add("test", signal=signal[half:], label=np.arange(half), group=list("cd"), id=ids[half:])

    return cached("some", [], {"ids": ids, "sum": float(signal.sum()), **facts}, build)


def test_the_content_hash_follows_from_rows_and_facts_alone():
    signal = np.arange(16, dtype=np.float32).reshape(4, 2, 2)
    one, moved = (prepared_rows([f"{place}/{i}" for i in range(4)], signal, rate=2) for place in ("here", "there"))
    assert one.fingerprint != moved.fingerprint
    assert one.content_hash() == moved.content_hash()
    assert len(one.content_hash()) == 16
    assert prepared_rows(list("abcd"), signal, rate=3).content_hash() != one.content_hash()
    signal[3, 1, 1] += 1
    assert prepared_rows(list("abcd"), signal, rate=2).content_hash() != one.content_hash()


def test_the_rows_hash_follows_from_ids_splits_labels_and_groups_alone():
    signal = np.arange(16, dtype=np.float32).reshape(4, 2, 2)
    one = prepared_rows(list("abcd"), signal)
    assert prepared_rows(list("abcd"), signal + 1, rate=2).rows_hash() == one.rows_hash()
    assert prepared_rows(list("acbd"), signal).rows_hash() != one.rows_hash()

    def with_labels(label, split="test"):
        def build(writer):
            writer.add("train", signal=signal, label=np.arange(4), id=list("abcd"))
            writer.add(split, signal=signal, label=np.array([0, 1, 2, label]), id=list("efgh"))

        return cached("some", [], {"label": label, "split": split}, build).rows_hash()

    assert len({with_labels(3), with_labels(2), with_labels(3, "validation")}) == 3
