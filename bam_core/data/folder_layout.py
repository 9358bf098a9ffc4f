"""Folders of files: which are splits, which are classes, what is not read, and a small tree that says so."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from bam_core.data.folders import printable
from bam_core.data.splits import UNLABELED, check_choice, listed, part_of, split_of
from bam_core.data.writer import SplitWriter
from bam_core.errors import DataError

Kind = Literal["class", "group", "nothing"]
SHOWN = 8  # folders of a tree
DEEPEST = 2  # folders above those that are splits


class Place(NamedTuple):
    """What the folders of a file say.

    Attributes:
        split: "train", "validation" or "test"; "" where no folder says it.
        folders: those that are no split and do not hold all files, from the top.
        is_labelled: false below a folder of unlabelled files.
        aside: why the file is not read; "" if it is.
    """

    split: str
    folders: tuple[str, ...]
    is_labelled: bool = True
    aside: str = ""


class Layout(NamedTuple):
    """How a folder is understood: the place of every file, and a small tree that says so."""

    places: list[Place]
    tree: str


def read_layout(
    names: Sequence[str],
    where: str,
    *,
    splits: Mapping[str, str] | None = None,
    kind: Kind = "class",
    is_new: bool = False,
    way_out: str = "",
) -> Layout:
    """Which folders are splits, and which say something else.

    Folders called as splits are, also below one folder that holds all, or below classes (`cat/train`, `cat/test`).
    Files beside them are set aside. Another folder beside them is asked about. Where only training files are
    distinguished from unlabelled ones, the split is open: a part can be held out.

    Args:
        names: paths of files below the folder, with "/" between.
        where: the folder is, for messages.
        splits: folder -> train, validation, test or unlabeled, others are not read; {} if no folder is a split.
            Default: by their names.
        kind: what the other folders stand for.
        is_new: new files for a saved encoder: all are read, nothing is asked.
        way_out: how to say which folder is which, if not by an option `splits`.

    Raises:
        DataError: folders of which some are called as splits and others are not, or no folder of training files.
        InputError: `splits` with an unknown split.

    Example:
        >>> layout = read_layout(["train/cat/1.png", "dev/cat/2.png", "unlabeled/3.png"], "pets")
        >>> layout.places[1]
        Place(split='validation', folders=('cat',), is_labelled=True, aside='')
        >>> print(layout.tree)
        Folders of pets, as understood:
            train/ -> train, 1 file(s) in cat
            dev/ -> validation, 1 file(s) in cat
            unlabeled/ -> train, without labels, 1 file(s)
    """
    paths = _without_wrappers([tuple(name.split("/")[:-1]) for name in names], splits or {})
    sizes = Counter(paths)
    try:
        level, known = _split_level([*sizes], where, splits, ask=not is_new)
    except _Unclear as unclear:
        raise DataError(f"folders of {where}: {unclear.seen}. {way_out or unclear.way_out}") from None
    place_of = {path: _place(path, level, known, is_new) for path in sizes}
    if not any(place.split in ("validation", "test") for place in place_of.values()) or is_new:
        place_of = {path: place._replace(split="") for path, place in place_of.items()}
    return Layout([place_of[path] for path in paths], "" if is_new else _tree(sizes, level, known, where, kind))


def known_in_train(writer: SplitWriter, labels: Sequence[str | None], splits: Sequence[str]) -> list[str | None]:
    """Labels from folders, without those of validation and test that train has not, such as `test/unknown`.

    Args:
        writer: of the data, to say it.
        labels: of every file, None for none.
        splits: of every file, "" where open.

    Example:
        >>> known_in_train(SplitWriter(), ["cat", "dog", "cat", "x"], ["train", "train", "test", "test"])
        ['cat', 'dog', 'cat', None]
    """
    known = {label for label, split in zip(labels, splits, strict=True) if split in ("", "train")} - {None}
    strange = list(dict.fromkeys(label for label in labels if label is not None and label not in known))
    if not known or not strange:
        return list(labels)
    n = sum(label in strange for label in labels)
    writer.note(f"No class of train, so {n:,} file(s) of other splits are without labels: {listed(strange)}.")
    return [label if label in known else None for label in labels]


def say_layout(writer: SplitWriter, names: Sequence[str], layout: Layout, passed_over: Mapping[str, str]) -> None:
    """Print with the data how their folders were understood, and what is not read.

    Args:
        writer: of the data.
        names: as given to `read_layout`.
        layout: its result.
        passed_over: as from `find_files`.
    """
    if layout.tree:
        writer.note(layout.tree)
        unlabelled = sum(not place.is_labelled for place in layout.places)
        if unlabelled:
            writer.repaired("files in folders of unlabelled ones, used for training without labels", unlabelled)
    for name, place in zip(names, layout.places, strict=True):
        if place.aside:
            writer.set_aside(name, place.aside)
    for name, reason in passed_over.items():
        writer.set_aside(name, reason)


def splits_of_files(
    names: Sequence[str],
    source: Path,
    writer: SplitWriter,
    *,
    splits: Mapping[str, str] | None = None,
    way_out: str = "",
) -> list[str | None]:
    """Split of every file by its folder: "" where that is open, None for files that are not read.

    Args:
        names: see `read_layout`.
        source: the folder.
        writer: is told what was understood, if folders say anything.
        splits: see `read_layout`.
        way_out: see `read_layout`.

    Raises:
        DataError: it is not clear which folders are splits.
    """
    printed = [printable(name) for name in names]
    layout = read_layout(printed, source.resolve().name, splits=splits, kind="nothing", way_out=way_out)
    if any(place.split or place.aside for place in layout.places):
        say_layout(writer, printed, layout, {})
    return [None if place.aside else place.split for place in layout.places]


def _without_wrappers(paths: list[tuple[str, ...]], splits: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Without folders that hold all the others."""
    while True:
        tops = {path[0] for path in paths if path}
        if len(tops) != 1 or not any(len(path) > 1 for path in paths):
            return paths
        top = tops.pop()
        if split_of(top) or top in splits:
            return paths
        paths = [path[1:] for path in paths]


def _split_level(
    paths: Sequence[tuple[str, ...]], where: str, splits: Mapping[str, str] | None, *, ask: bool
) -> tuple[int | None, Mapping[str, str]]:
    """How many folders stand above those that are splits, and which split each of these is."""
    levels = [list(dict.fromkeys(path[level] for path in paths if len(path) > level)) for level in range(DEEPEST + 1)]
    if splits is not None:
        if not splits:
            return None, {}
        level = next((i for i, here in enumerate(levels) if set(here) & set(splits)), 0)
        if ask:
            check_choice(splits, levels[level], where)
        return level, splits
    for level, here in enumerate(levels):
        known = {name: split for name in here if (split := split_of(name))}
        others = [name for name in here if name not in known]
        kinds = set(known.values())
        if level and not ("train" in kinds and len(kinds) > 1):
            continue
        if not known or (kinds == {"train"} and _are_classes(paths, others)):
            continue
        if kinds == {UNLABELED} or (not others and kinds & {"train", UNLABELED}):
            return level, known
        if not ask:
            return (None, {}) if kinds == {"train"} else (level, known)
        raise _question(known, others)
    alike = {name: split for name in levels[0] if (split := _split_in(name))}
    if ask and "train" in alike.values() and len(set(alike.values())) > 1:
        raise _question({}, list(alike))
    return None, {}


def _are_classes(paths: Sequence[tuple[str, ...]], others: Sequence[str]) -> bool:
    """`train` among `car` and `bus`, all without folders below, is a class."""
    return len(others) > 1 and all(len(path) < 2 for path in paths)


def _split_in(name: str) -> str | None:
    """The split that a word of a name says: of `seg_train`, `TestSet`."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return next((split for word in words if (split := split_of(re.sub("(set|data)$", "", word.lower())))), None)


class _Unclear(Exception):
    def __init__(self, seen: str, way_out: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.way_out = way_out


def _question(known: Mapping[str, str], others: Sequence[str]) -> _Unclear:
    guess = {**known, **{name: _split_in(name) or UNLABELED for name in others[:SHOWN]}}
    said = ", ".join(f"{name}: {split}" for name, split in guess.items())
    if not known:
        seen = f"{listed(others)} look like splits"
    elif others:
        seen = f"{listed(known)} {'are splits' if len(known) > 1 else 'is a split'} by name; {listed(others)} not"
    else:
        seen = f"{listed(known)} by name, and nothing to train on"
    return _Unclear(
        seen,
        f"Say which is which, such as splits: {{{said}}} (train, validation, test or unlabeled; folders left out are "
        "not read), or splits: {} if none of them is a split.",
    )


def _place(path: tuple[str, ...], level: int | None, known: Mapping[str, str], is_new: bool) -> Place:
    if level is None:
        return Place("", path)
    if len(path) > level and path[level] in known:
        split = known[path[level]]
        return Place(part_of(split), path[:level] + path[level + 1 :], split != UNLABELED)
    if set(known.values()) == {UNLABELED} and level == 0:  # classes beside unlabelled files
        return Place("train", path)
    if is_new:
        return Place("train", path)
    if len(path) > level:
        return Place("", path, aside=f"lies in {path[level]}, which splits leaves out")
    return Place("", path, aside="lies beside the folders of the splits: move it into one of them")


def _tree(
    counts: Mapping[tuple[str, ...], int], level: int | None, known: Mapping[str, str], where: str, kind: Kind
) -> str:
    """What the folders were taken for, a line each; "" if there are none."""
    depth = level or 0
    sizes: Counter[tuple[str, ...]] = Counter()
    below: dict[tuple[str, ...], dict[str, None]] = {}
    for path, count in counts.items():
        if len(path) > depth:
            sizes[path[: depth + 1]] += count
        if len(path) > depth + 1:
            below.setdefault(path[: depth + 1], {})[path[depth + 1]] = None
    lines = []
    for folder in list(sizes)[:SHOWN]:
        meaning = _meaning(known.get(folder[-1]), level is not None and set(known.values()) != {UNLABELED}, kind)
        inside = f" in {listed(below[folder])}" if folder in below else ""
        lines.append(f"{'/'.join(folder)}/ -> {meaning}, {sizes[folder]:,} file(s){inside}")
    lines += [f"... and {len(sizes) - SHOWN} more folders"] * (len(sizes) > SHOWN)
    return "\n    ".join([f"Folders of {where}, as understood:", *lines]) if lines else ""


def _meaning(split: str | None, are_splits: bool, kind: Kind) -> str:
    if split == UNLABELED:
        return "train, without labels"
    if split is not None:
        return split
    return "left out" if are_splits else kind
