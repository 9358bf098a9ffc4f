"""Reader of series from arrays, wide tables and the archives' files, one series a row or line."""

from pathlib import Path
from typing import Any

from bam_core.data import PreparedData, SplitWriter, cached
from bam_core.data.decimals import Decimal
from bam_core.errors import DataError, InputError
from modalities.timeseries.preparation import enough, write_tables
from modalities.timeseries.rows import Missing, Normalize, SeriesOptions
from modalities.timeseries.tables import read_table
from modalities.timeseries.unequal import check_equal


def read_arrays(
    *,
    path: str,
    test_path: str | None = None,
    signals: str | None = None,
    label: str | None = None,
    task: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split: str | None = None,
    decimal: Decimal | None = None,
    channels_last: bool | None = None,
    sampling_rate_hz: float | None = None,
    max_gap: float = 0.1,
    missing: Missing = "set_aside",
    normalize: Normalize = "record",
    unequal: bool = True,
    window: int | None = None,
    hop: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fitted: dict[str, Any] | None = None,
) -> PreparedData:
    """Read series from .npz, .npy, .csv, .tsv, .txt, .parquet or .ts, one a row.

    Arrays are (n, t) or (n, channels, t); series of unequal length lie in an .npz as arr_0, arr_1, ..., as
    `np.savez(file, *series)` writes them, or end to end in one array with their `lengths` in another. In tables, the
    columns that are not named by `label`, `group`, `id` or `split` are the values, in order; a header is recognised by
    not being numbers (or by counting them), the delimiter by its number in the first line. In parquet, columns of
    lists are channels. A .tsv of numbers only is the UCR archive's, with the label first; X_TEST.tsv is found beside
    X_TRAIN.tsv, and X_TEST.ts beside X_TRAIN.ts.

    Args:
        path: file; or the folder of a data set of the UCR or UEA archive.
        test_path: file with the test split.
        signals: name of the array (n, t) or (n, c, t) in an .npz; default: `signals`, or the only one.
        label: name of the column or array of labels, strings or numbers; for .npy, a file beside it, .npy or one label
            a line. Default: `label`, if there is one. Labels are optional, also row by row: missing, empty or -1.
        task: "classification", "multi_label" or "regression"; default: what labels look like, see `read_target`.
        group: the same for groups (persons, machines), which are never divided between splits.
        id: the same for names of the rows; default: file and row number.
        split: the same for a column of "train", "validation", "test". Without any of these ways to a test split, a
            part of the groups, or of every class, is held out if there are labels.
        decimal: mark in front of decimals in text tables; default: a comma if whole columns are written with it.
        channels_last: whether arrays of three axes are (n, t, channels); default: (n, channels, t), refused if there
            are more channels than steps.
        sampling_rate_hz: of the signals, if known.
        max_gap: longest run of missing values to interpolate, as a fraction of the series, or of the window.
        missing: what becomes of longer runs: "set_aside" leaves out the series, or the window; "mask" sets them to
            zero and adds a channel for each, 1 where it is known and 0 where it is not. Series that are constant on
            every channel are set aside in any case.
        normalize: "record" standardises each series and channel; "train" each channel by mean and deviation of the
            train split, which keeps differences of level and amplitude; "none" keeps the values.
        unequal: whether lengths may differ; missing values of all channels at the ends then make a series shorter. If
            not, they are gaps like others.
        window: cut series into windows of this many steps, each a row; those of a series are a group.
        hop: steps from one window to the next; default: `window`.
        test_fraction: to hold out; 0 for none.
        seed: of that choice.
        fitted: facts of a saved encoder: new data are scaled and their classes numbered as its training data were, and
            all go into "train".

    Returns:
        Splits with the facts in_channels, classes, length and shape if all are equally long, else unequal, shortest
        and longest; sampling_rate_hz, channel_mean, channel_std, channel_offset and mask_channels where they
        apply.

    Raises:
        InputError: options that contradict each other.
        DataError: unreadable or unsuitable files; the message says which and why.

    Example:
        >>> from importlib.resources import files
        >>> prepared = read_arrays(path=str(files("modalities.ecg") / "ecg5000.npz"), split="official_split")
        >>> prepared.facts["shape"], len(prepared.splits["test"])
        ([1, 140], 4500)
    """
    options = SeriesOptions(
        label=label, group=group, id=id, split=split, task=task, test_fraction=test_fraction, seed=seed, fitted=fitted,
        sampling_rate_hz=sampling_rate_hz, max_gap=max_gap, missing=missing, normalize=normalize, unequal=unequal,
        window=window, hop=hop,
    ).check()  # fmt: skip
    settings = {"path": path, "test_path": test_path, "signals": signals, "decimal": decimal,
                "channels_last": channels_last, **options.settings()}  # fmt: skip
    train_file, test_file = _files(Path(path).expanduser(), test_path)
    if test_file and split:
        raise InputError("test_path and split both say what is for testing; give one of them.")
    names = {"label": label, "group": group, "id": id, "split": split}
    beside = [train_file.parent / name for name in names.values() if name and train_file.suffix == ".npy"]
    files = [file for file in (train_file, test_file, *beside) if file and file.is_file()]

    def build(writer: SplitWriter) -> None:
        channels = (fitted or {}).get("channels")
        tables = []
        for file in (train_file, test_file):
            if file is not None:
                required = fitted is None
                table = read_table(
                    file,
                    names,
                    signals,
                    required=required,
                    decimal=decimal,
                    channels=channels,
                    channels_last=channels_last,
                )
                tables.append(table)
                channels = tables[0].channels
        if not unequal:
            check_equal([series for table in tables for series in table.signals])
        write_tables(writer, tables, options)

    return enough(cached("arrays", files, settings, build), train_file.name, fitted)


def _files(path: Path, test_path: str | None) -> tuple[Path, Path | None]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.lower().endswith(("_train.ts", "_train.tsv")))
        if len(found) != 1:
            some = f": {', '.join(file.name for file in found)}" if found else ""
            raise DataError(
                f"expected a file, or a folder with one *_TRAIN.tsv or *_TRAIN.ts; {path} has {len(found)} of "
                f"these{some}. Tables of one series each are for the reader 'long'."
            )
        path = found[0]
    if test_path is not None:
        test_file = Path(test_path).expanduser()
        if not test_file.is_file():
            raise DataError(f"expected a file at {test_file}; there is none.")
        return path, test_file
    if path.stem.lower().endswith("_train"):
        name = path.stem[: -len("train")].lower() + "test" + path.suffix.lower()
        beside = [file for file in path.parent.iterdir() if file.name.lower() == name]
        return path, beside[0] if beside else None
    return path, None
