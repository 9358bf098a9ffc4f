"""From series as they come to rows as they are stored: trimmed, gaps mended, standardised, cut into windows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from bam_core.data import SplitWriter
from bam_core.data.row_options import RowOptions
from bam_core.errors import DataError, InputError
from bam_core.labels.strata import is_real
from modalities.timeseries.signals import fill_gaps, standardize
from modalities.timeseries.step_labels import label_of_window

BLOCK_BYTES = 64_000_000  # of rows in memory before they are written

SCALING = ("channel_mean", "channel_std")
OFFSET = "channel_offset"

Missing = Literal["set_aside", "mask"]
Normalize = Literal["record", "train", "none"]


@dataclass(frozen=True, kw_only=True)
class SeriesOptions(RowOptions):
    """What happens to every series; see `read_arrays` for the meaning of the options."""

    sampling_rate_hz: float | None = None
    max_gap: float = 0.1
    missing: Missing = "set_aside"
    normalize: Normalize = "record"
    unequal: bool = True
    window: int | None = None
    hop: int | None = None
    purity: float = 0.5

    facts_used: ClassVar[Sequence[str]] = ("in_channels", "classes", "task", "channels", "step", OFFSET, *SCALING)

    def check(self) -> "SeriesOptions":
        """The same, after a look at the numbers.

        Raises:
            InputError: a window, hop, gap or purity out of range, or a hop without a window.
        """
        if self.hop is not None and self.window is None:
            raise InputError("hop is the distance between windows: give the length of a window as well.")
        if (self.window is not None and self.window < 2) or (self.hop is not None and self.hop < 1):
            raise InputError(
                f"expected a window of at least two steps and a hop of at least one; got {self.window} and {self.hop}."
            )
        if not 0 <= self.max_gap <= 1:
            raise InputError(f"max_gap expected a fraction of the series, in [0, 1]; got {self.max_gap}.")
        if not 0 <= self.purity <= 1:
            raise InputError(f"purity expected a part of the steps of a window, in [0, 1]; got {self.purity}.")
        return self


class Row(NamedTuple):
    """A row to be stored, or the reason why there is none.

    Attributes:
        start: first step of a window in its series; None for a whole series.
        signal: (c, t) float32.
        known: (c, t), false where values remain missing.
        mended: whether gaps were interpolated.
        problem: why it cannot be used.
        trimmed: steps that the series lost at its begin.
        coarse: whether a channel is rounded so that its changes suffer.
    """

    start: int | None
    signal: np.ndarray
    known: np.ndarray
    mended: bool = False
    problem: str = ""
    trimmed: int = 0
    coarse: bool = False


def prepare_rows(series: np.ndarray, options: SeriesOptions, offset: np.ndarray | float = 0.0) -> Iterator[Row]:
    """Everything that becomes of one series.

    Args:
        series: (c, t) float64, NaN or infinite where missing.
        options: what happens to it.
        offset: (c,) what is taken off its values, so that 32 bits hold them.
    """
    series = series - np.reshape(offset, (-1, 1))
    known = np.isfinite(series)
    steps = np.flatnonzero(known.any(axis=0))
    nothing = series[:, :0].astype(np.float32), known[:, :0]
    if not len(steps):
        yield Row(None, *nothing, problem="all values are missing")
        return
    trimmed = int(steps[0]) if options.unequal else 0
    if options.unequal:
        series = series[:, steps[0] : steps[-1] + 1]
    t = series.shape[1]
    length = options.window or t
    if t < max(length, 2):
        wanted = f"the window of {length}" if options.window else "two"
        yield Row(None, *nothing, problem=f"has {t} step(s), fewer than {wanted}")
        return
    filled = fill_gaps(series, round(options.max_gap * length))
    signal = filled.signal
    if options.normalize == "record":
        signal = standardize(signal, ~filled.missing)
    signal = np.where(filled.missing, 0, signal)
    coarse = _is_coarse(signal)
    signal = signal.astype(np.float32)
    for start in range(0, t - length + 1, options.hop or length):
        where = slice(start, start + length)
        missing = filled.missing[:, where]
        problem = ""
        if missing.any() and (options.missing == "set_aside" or missing.all()):
            problem = f"{_share(missing, options)} in runs longer than {options.max_gap:.0%}"
        elif (np.ptp(filled.signal[:, where], axis=1) == 0).all():
            problem = "constant on every channel"
        elif coarse.all():
            level = np.abs(filled.signal).max()
            problem = (
                f"changes less than 32-bit numbers can hold at its level of {level:.2g}; normalize: record keeps it"
            )
        mended = bool(filled.n_gaps.any())
        yield Row(
            start if options.window else None, signal[:, where], ~missing, mended, problem, trimmed, bool(coarse.any())
        )


def _is_coarse(signal: np.ndarray) -> np.ndarray:
    """(c,) whether 32 bits cost a channel more than a hundredth of its spread; what may be rounding already does not
    count."""
    spread = signal.std(axis=1)
    lost = np.abs(signal.astype(np.float32) - signal).max(axis=1)
    return np.asarray((lost > 0.01 * spread) & (spread > 1e-12 * np.abs(signal).max(axis=1)))


def _level(series: np.ndarray) -> np.ndarray:
    """(c,) the median of a channel that lies far from zero for its spread, else 0."""
    offset = np.zeros(len(series))
    for channel, values in enumerate(series):
        known = values[np.isfinite(values)]
        if len(known) and abs(np.median(known)) > 1000 * known.std():
            offset[channel] = np.median(known)
    return offset


def _share(missing: np.ndarray, options: SeriesOptions) -> str:
    if options.window:
        return "values are missing"
    share = missing.mean(axis=-1)
    return f"{share.max():.0%} of channel {share.argmax()} is missing"


class RowWriter:
    """Writes series into splits, and learns what the facts are to say.

    Args:
        writer: takes rows, facts and report.
        options: what happens to every series.
    """

    def __init__(self, writer: SplitWriter, options: SeriesOptions) -> None:
        self.writer = writer
        self.options = options
        self._offset: np.ndarray | None = None
        if options.fitted is not None:
            self._offset = np.array(options.fitted.get(OFFSET, 0.0))
        self._lengths: set[int] = set()
        self._channels: int | None = None
        self._step_labels: Sequence[np.ndarray] | None = None
        self._moments: np.ndarray | float = (
            0.0  # of train: (3, c), number of known values, their sum and their squares'
        )

    def add(
        self,
        series: Sequence[np.ndarray] | np.ndarray,
        columns: Mapping[str, np.ndarray],
        parts: np.ndarray,
        step_labels: Sequence[np.ndarray] | None = None,
    ) -> None:
        """Append series.

        Args:
            series: (n, c, t), or n arrays (c, t).
            columns: `id`, and where known `label` and `group`, n values each.
            parts: (n,) names of splits.
            step_labels: of each series the labels of its steps, if they change within it; a window has that of most.
        """
        self._step_labels = step_labels
        pending: list[tuple[int, Row]] = []
        held = 0
        for index, one in enumerate(series):
            values = np.asarray(one, np.float64)
            if self._offset is None and self.options.normalize == "train":
                self._offset = _level(values)
            rows = list(prepare_rows(values, self.options, 0.0 if self._offset is None else self._offset))
            usable = [(index, row) for row in rows if not row.problem]
            self._report(columns["id"][index], rows)
            pending += usable
            held += sum(row.signal.nbytes + row.known.nbytes for _, row in usable)
            if held >= BLOCK_BYTES:
                self._write(pending, columns, parts)
                pending, held = [], 0
        self._write(pending, columns, parts)

    def _report(self, name: str, rows: list[Row]) -> None:
        if any(row.mended and not row.problem for row in rows):
            self.writer.repaired("series with short gaps interpolated")
        if any(row.coarse and not row.problem for row in rows):
            self.writer.repaired("series of which a channel changes less than 32-bit numbers can hold, rounded")
        for problem, count in Counter(row.problem for row in rows if row.problem).items():
            windows = f"{count} of {len(rows)} windows: " if rows[0].start is not None else ""
            self.writer.set_aside(name, windows + problem)

    def _write(self, rows: list[tuple[int, Row]], columns: Mapping[str, np.ndarray], parts: np.ndarray) -> None:
        source = np.array([index for index, _ in rows], np.int64)
        for part in np.unique(parts[source]):
            chosen = [row for index, row in rows if parts[index] == part]
            of_part = source[parts[source] == part]
            signals = [self._stored(row, learn=part == "train") for row in chosen]
            taken = {name: column[of_part] for name, column in columns.items()}
            if self.options.window:
                taken.setdefault("group", taken["id"])
                taken["id"] = np.array([f"{i}@{row.start}" for i, row in zip(taken["id"], chosen, strict=True)])
                taken |= self._place(columns["id"][of_part], chosen)
            if self._step_labels is not None:
                taken["label"] = self._window_labels(of_part, chosen)
            self.writer.add(str(part), signal=signals, **taken)

    def _place(self, names: np.ndarray, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Which part of which series the windows are."""
        rate = self.options.sampling_rate_hz
        first = np.array([(row.start or 0) + row.trimmed for row in rows])
        end = first + np.array([row.signal.shape[1] for row in rows])
        if rate is None:
            return {"record": names, "start_step": first, "end_step": end}
        return {"record": names, "start_s": first / rate, "end_s": end / rate}

    def _window_labels(self, source: np.ndarray, rows: Sequence[Row]) -> np.ndarray:
        found: list[float] = []
        for index, row in zip(source, rows, strict=True):
            first = (row.start or 0) + row.trimmed
            steps = self._step_labels[index][first : first + row.signal.shape[1]]  # type: ignore[index]
            found.append(label_of_window(steps, self.options.purity))
            if found[-1] == -1 and not is_real(steps) and (steps >= 0).any():
                self.writer.repaired(
                    f"windows left without a label, since less than {self.options.purity:.0%} of their labelled steps "
                    "have the same one, or two are equally frequent (purity)"
                )
        dtype = np.float64 if is_real(self._step_labels[0]) else np.int64  # type: ignore[index]
        return np.array(found, dtype)

    def _stored(self, row: Row, *, learn: bool) -> np.ndarray:
        signal = row.signal
        if self._channels not in (None, len(signal)):
            raise DataError(f"series expected {self._channels} channels, as the first one; got {len(signal)}.")
        self._channels = len(signal)
        self._lengths.add(signal.shape[1])
        if learn and self.options.normalize == "train":
            values = signal.astype(np.float64)
            sums = [row.known.sum(axis=1), values.sum(axis=1), np.square(values).sum(axis=1)]
            self._moments = self._moments + np.stack(sums)
        if self.options.missing == "mask":
            signal = np.concatenate([signal, row.known.astype(np.float32)])
        return signal.reshape(-1)

    def finish(self, about_labels: Mapping[str, Any]) -> None:
        """Write the facts; offset, mean and deviation of a saved encoder are taken.

        Args:
            about_labels: facts on the labels, `classes` among them.

        Raises:
            DataError: the encoder was trained on another number of channels.
        """
        if self._channels is None:
            return
        facts, fitted = self.writer.facts, self.options.fitted or {}
        channels = self._channels * (2 if self.options.missing == "mask" else 1)
        expected = fitted.get("in_channels", channels)
        if channels != expected:
            masks = ", with the masks of missing values" if self.options.missing == "mask" else ""
            raise DataError(
                f"series expected {expected} channels, as the encoder was trained on; got {channels}{masks}."
            )
        facts |= {"in_channels": channels, **about_labels}
        if len(self._lengths) == 1:
            length = self._lengths.pop()
            facts |= {"length": length, "shape": [channels, length]}
        else:
            facts |= {"unequal": True, "shortest": min(self._lengths), "longest": max(self._lengths)}
        if self.options.missing == "mask":
            facts["mask_channels"] = True
        if isinstance(self._moments, np.ndarray):
            n, total, squares = self._moments
            mean = total / np.maximum(n, 1)
            spread = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
            std = np.where(spread > 1e-9 * np.abs(mean), spread, 1)
            facts |= {"channel_mean": mean.tolist(), "channel_std": std.tolist()}
            facts |= {name: fitted[name] for name in SCALING if name in fitted}
            if self._offset is not None and self._offset.any():
                facts[OFFSET] = self._offset.tolist()
        if self.options.sampling_rate_hz is not None:
            facts["sampling_rate_hz"] = float(self.options.sampling_rate_hz)
