"""One trial of a comparison, an objective with a seed, as one small file; and many of them as one table.

The files are all that a table needs, so they can be kept when the runs behind them are gone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bam_core.errors import DataError, InputError
from bam_core.outputs import write_text
from bam_core.probes.results import Results
from bam_core.probes.seeds import aggregate
from bam_core.probes.tables import class_markdown

FORMAT = 1  # of the files
CONTROLS = "terms"  # what files call them
LEFT_OUT = "left_out.json"  # in the folder of a comparison: sentences on baselines that could not be had
END_OF_TRAINING = ("loss", "kl", "target_entropy", "attention_entropy", "positive_cosine")


@dataclass(frozen=True)
class TrialResult:
    """What one trial found, and everything that is needed to repeat it.

    Attributes:
        label: row of the table: an objective as it was asked for, such as "bam:epsilon=0.05", or a baseline.
        seed: of training; None for what has none, such as raw features.
        controls: what all trials of a comparison share: data, views, encoder, training, protocol.
        objective: name and all options, defaults included; empty for a baseline.
        results: of this one set of features, named `label`; its cost, if it was trained, among them.
        steps: optimiser steps.
        peak_mebibytes: largest resident set of the process until training ended.
        set_aside: number of inputs that could not be used.
        repairs: kind of repair -> number of inputs mended.
        started: date and time, UTC.
        command: that started the comparison.
        machine: processor, threads, load and versions.
        metrics: what training last said of itself, such as loss and kl.
    """

    label: str
    seed: int | None
    controls: Mapping[str, Any]
    objective: Mapping[str, Any]
    results: Results
    steps: int = 0
    peak_mebibytes: float = 0.0
    set_aside: int = 0
    repairs: Mapping[str, int] | None = None
    started: str = ""
    command: str = ""
    machine: Mapping[str, str] | None = None
    metrics: Mapping[str, float] | None = None

    @property
    def controls_hash(self) -> str:
        """Sixteen hexadecimal digits: equal ones make two tables comparable."""
        return hash_of(self.controls)

    def save(self, path: Path) -> None:
        """Write JSON, one line an entry; the file appears only when it is complete."""
        plain = {CONTROLS if f.name == "controls" else f.name: getattr(self, f.name) for f in fields(self)}
        content = {
            "format": FORMAT,
            f"{CONTROLS}_hash": self.controls_hash,
            **plain,
            "results": self.results.to_plain(),
        }
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
        write_text(path, f"{{\n{lines}\n}}\n")

    @classmethod
    def load(cls, path: Path) -> "TrialResult":
        """Read what `save` wrote.

        Raises:
            DataError: something else, another format, or terms that do not fit their hash.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content.pop("format"), content.pop(f"{CONTROLS}_hash")
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(f"{path} expected a trial that `bam compare` wrote; got {error!r}.") from error
        if found != (FORMAT, hash_of(content.get(CONTROLS))):
            raise DataError(
                f"{path} expected a trial of format {FORMAT} whose terms fit their hash; got format {found[0]}, hash "
                f"{found[1]}: the file was changed, or another version wrote it. Delete it to run the trial again."
            )
        return cls(
            **{
                "controls": content.pop(CONTROLS),
                **content,
                "results": Results.from_plain(content["results"], where=str(path)),
            }
        )


def load_table(folder: Path) -> tuple[list[TrialResult], Results]:
    """The trials of a comparison's folder, and their table; its notes name the baselines that could not be had.

    Raises:
        DataError: a file that holds something else.
        InputError: as `join_trials` does.
    """
    trials = load_trials(folder)
    results, path = join_trials(trials), folder / LEFT_OUT
    left_out = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return trials, replace(results, notes=(*results.notes, *map(str, left_out)))


def hash_of(controls: Any) -> str:
    """Sixteen hexadecimal digits that change with any value of some plain values."""
    return hashlib.sha256(json.dumps(controls, sort_keys=True).encode()).hexdigest()[:16]


def load_trials(folder: Path) -> list[TrialResult]:
    """All trials in a folder, or in its folder `results`: without a seed first, else as they were started."""
    folder = folder / "results" if (folder / "results").is_dir() else folder
    return sorted(
        (TrialResult.load(path) for path in folder.glob("*.json")),
        key=lambda trial: (trial.seed is not None, trial.started),
    )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """In words, the keys of two nested mappings whose values differ.

    Example:
        >>> differences({"train": {"epochs": 5}}, {"train": {"epochs": 6}})
        ['train.epochs (5, now 6)']
    """
    a, b = dict(_flat(old)), dict(_flat(new))
    return [f"{key} ({a.get(key)}, now {b.get(key)})" for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def join_trials(trials: Sequence[TrialResult]) -> Results:
    """One table of all trials: a row a label, mean and spread over the seeds that every row has.

    Args:
        trials: of one comparison, in the order of the rows; what has no seed counts for all.

    Returns:
        The table; its notes name seeds that were left out, and versions that differ.

    Raises:
        InputError: no trials, trials on different terms, or no seed that every row has.
    """
    if not trials:
        raise InputError("expected at least one finished trial; got none.")
    for trial in trials[1:]:
        if trial.controls_hash != trials[0].controls_hash:
            raise InputError(
                f"{trial.label} (seed {trial.seed}) and {trials[0].label} (seed {trials[0].seed}) were made on "
                f"different "
                f"terms, and one table cannot hold both: {'; '.join(differences(trials[0].controls, trial.controls))}."
            )
    rows: dict[str, dict[int | None, Results]] = {}
    for trial in trials:
        rows.setdefault(trial.label, {})[trial.seed] = trial.results
    all_seeds = sorted({trial.seed for trial in trials if trial.seed is not None})
    seeds = [seed for seed in all_seeds if all(seed in row or None in row for row in rows.values())]
    if all_seeds and not seeds:
        have = "; ".join(f"{label}: {sorted(s for s in row if s is not None)}" for label, row in rows.items())
        raise InputError(f"expected a seed that every row has; got {have}. Finish the comparison first.")
    chosen: list[int | None] = [*seeds] or [None]
    runs = []
    for seed in chosen:
        first, *others = [row[seed] if seed in row else row[None] for row in rows.values()]
        runs.append(first.joined(others))
    table = aggregate(runs) if len(runs) > 1 else runs[0]
    return replace(table, notes=(*table.notes, *_remarks(trials, seeds, all_seeds)))


def _remarks(trials: Sequence[TrialResult], seeds: Sequence[int], all_seeds: Sequence[int]) -> list[str]:
    said = []
    left_out = [seed for seed in all_seeds if seed not in seeds]
    if left_out:
        said.append(f"Seeds {left_out} are left out: not every row has finished them.")
    machines = [dict(trial.machine or {}) for trial in trials]
    keys = dict.fromkeys(key for machine in machines for key in machine if key != "load")
    differing = [key for key in keys if len({machine.get(key) for machine in machines}) > 1]
    if differing:
        said.append(f"The trials were not all made on the same {', '.join(differing)}; seconds may not be comparable.")
    return said


def first_objective(trials: Sequence[TrialResult]) -> str | None:
    """The row that a verdict is about: the first that was trained; None if there is none yet."""
    return next((trial.label for trial in trials if trial.objective), None)


def trials_markdown(results: Results, trials: Sequence[TrialResult]) -> str:
    """All tables in Markdown, with the command and what they were made on."""
    first = trials[0]
    machine = ", ".join(f"{name} {value}" for name, value in (first.machine or {}).items() if name != "load")
    tables = "\n".join(results.to_markdown(metric) for metric in results.metrics)
    notes = "".join(f"- {note}\n" for note in results.notes)
    about = f"Terms {first.controls_hash}, data {first.controls['data']}; {machine}.\n"
    training = training_table(trials)
    by_class = class_markdown(results)
    parts = [
        tables,
        *([by_class] if by_class else []),
        *([training] if training else []),
        about,
        *([notes] if notes else []),
    ]
    return "\n".join([*parts, f"```sh\n{first.command}\n```\n"])


def training_table(trials: Sequence[TrialResult]) -> str:
    """How training ended, objective by objective, as means over the seeds; empty if no trial says so."""
    ends: dict[str, list[Mapping[str, float]]] = {}
    for trial in trials:
        if trial.metrics:
            ends.setdefault(trial.label, []).append(trial.metrics)
    names = [name for name in END_OF_TRAINING if any(name in end for found in ends.values() for end in found)]
    if not names:
        return ""
    lines = ["| end of training | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for label, found in ends.items():
        means = [[end[name] for end in found if name in end] for name in names]
        values = [f"{sum(values) / len(values):.2f}" if values else "-" for values in means]
        lines.append(f"| {label} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"
