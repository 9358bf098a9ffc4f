"""Names of splits, in columns, of folders and of data sets: `val` and `dev` mean the same in every domain."""

from collections.abc import Iterable, Mapping

from bam_core.errors import DataError, InputError

UNLABELED = "unlabeled"
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
    **dict.fromkeys(("unlabeled", "unlabelled", "unsupervised", "extra"), UNLABELED),
}
"""As data sets call their splits, in small letters -> "train", "validation", "test" or "unlabeled"."""


def split_of(name: object) -> str | None:
    """What a split is that data call so: "train", "validation", "test", "unlabeled", or None.

    Example:
        >>> split_of("Dev"), split_of("extra"), split_of("cat")
        ('validation', 'unlabeled', None)
    """
    return SPLIT_NAMES.get(str(name).strip().lower())


def part_of(split: str) -> str:
    """The split that files of one belong to: those without labels are for training."""
    return "train" if split == UNLABELED else split


def read_splits(values: Iterable[object], what: str = "row") -> list[str]:
    """A column of splits as "train", "validation" and "test"; unlabelled rows are for training.

    Args:
        values: a name in each row.
        what: a row is, for the message.

    Raises:
        DataError: a row has another name.

    Example:
        >>> read_splits(["training", "VAL", "test", "unlabeled"])
        ['train', 'validation', 'test', 'train']
    """
    names = [str(value) for value in values]
    known = {name: split_of(name) for name in dict.fromkeys(names)}
    unknown = [name for name, split in known.items() if split is None]
    if unknown:
        raise DataError(
            f"split expected train, validation or test for every {what}; got {', '.join(sorted(unknown)[:5])}. If "
            "these are folds, read them as groups."
        )
    return [part_of(str(known[name])) for name in names]


def check_choice(splits: Mapping[str, str], available: Iterable[str], where: str) -> None:
    """See to an option that says which split is which.

    Args:
        splits: name in the data -> train, validation, test or unlabeled.
        available: names in the data.
        where: the data are, for the message.

    Raises:
        DataError: a name that the data do not have.
        InputError: no such split.
    """
    names = list(available)
    unknown = sorted(set(splits) - set(names))
    if unknown:
        raise DataError(f"splits of {where} expected a choice of {listed(names)}; got {', '.join(unknown)}.")
    wrong = sorted(set(splits.values()) - set(SPLIT_NAMES.values()))
    if wrong:
        raise InputError(f"splits expected train, validation, test or unlabeled as values; got {', '.join(wrong)}.")


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
