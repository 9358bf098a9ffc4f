"""Kill runs at random moments, again and again, and see that nothing is lost: to the bit."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bam_core.benchmarks.drill_findings import damage, difference, other_table
from bam_core.benchmarks.machine import describe_machine
from bam_core.config.build import read_data
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.embed import embed_data
from bam_core.runs.pretrain import pretrain

RUN = ("train.epochs=8", "train.checkpoint_every=1", "train.log_every=1", "objective.momentum=0.9")
PREPARED = ("data.n_records=4000",)
N_EMBEDDED = 2000
KINDS = {
    "training": "at any moment of a run: it goes on, and ends with the weights, moments and figures of one left alone",
    "checkpoint": "while a checkpoint is written: the one before is whole, and the run goes on from it to the same end",
    "cache": "while data are prepared: the next process prepares them, the same",
    "two processes": "one of two that prepare the same data: the other ends with all of them",
    "embedding": "while data are embedded: the file is whole or not there, and the next call writes the same",
}


@dataclass
class Drill:
    """What became of the kills.

    Attributes:
        seed: of the moments.
        machine: where.
        kills: by kind.
        lost: what was wrong afterwards, in words; nothing if all is well.
        seconds: that it took.
    """

    seed: int
    machine: dict[str, str]
    kills: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> str:
        """Markdown: a row a kind, and the machine below."""
        lines = ["| killed (SIGKILL) | kills |", "|---|---:|"]
        lines += [f"| {KINDS[kind]} | {n} |" for kind, n in self.kills.items()]
        end = f"All {sum(self.kills.values())} survived" if not self.lost else "LOST: " + "; ".join(self.lost)
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join([*lines, "", f"{end}. Seed {self.seed}, {self.seconds:.0f} s; {facts}."])

    def to_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(asdict(self), indent=2)


def drill(*, kills: int = 100, seed: int = 0, say: Callable[[str], None] | None = None) -> Drill:
    """Kill training, writing of checkpoints, preparation of data and embedding.

    Args:
        kills: altogether; the kinds share them.
        seed: of the moments. The machine's pace decides as well, so they are never quite the same.
        say: called with a line after every kill.

    Returns:
        What became of them.
    """
    started = time.perf_counter()
    result = Drill(seed, describe_machine("lightning", "datasets", "pyarrow"))
    alone: dict[Path, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(KINDS):
            n = kills // len(KINDS) + (number < kills % len(KINDS))
            _Series(kind, n, Path(folder, kind), random.Random(f"{seed} {kind}"), result, say, alone).run()
    result.seconds = round(time.perf_counter() - started, 1)
    return result


class _Series:
    """The kills of one kind."""

    def __init__(
        self,
        kind: str,
        n: int,
        place: Path,
        chance: random.Random,
        result: Drill,
        say: Callable[[str], None] | None,
        alone: dict[Path, float],
    ) -> None:
        self.kind, self.n, self.place, self.chance, self.result, self.say = kind, n, place, chance, result, say
        self.alone = alone  # runs that nobody killed, which the kinds share, and their seconds
        self.result.kills[kind] = 0
        self.failed = False  # a process ended by itself: there is nothing to compare with
        place.mkdir()

    def run(self) -> None:
        if not self.n:
            return
        if self.kind in ("training", "checkpoint"):
            self._runs()
        elif self.kind == "embedding":
            self._embeddings()
        else:
            self._preparations(1 if self.kind == "cache" else 2)

    @property
    def _going_on(self) -> bool:
        return self.result.kills[self.kind] < self.n and not self.failed

    def _killed(self, process: Any) -> bool:
        """Kill; whether it was still at work."""
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            self._ended(process)
            return False
        self.result.kills[self.kind] += 1
        if self.say is not None:
            self.say(f"{self.kind}: {self.result.kills[self.kind]} of {self.n}")
        return True

    def _check(self, problem: str) -> None:
        if problem:
            self.result.lost.append(f"{self.kind}, kill {self.result.kills[self.kind]}: {problem}")

    def _ended(self, process: Any) -> None:
        """See that a process that was not killed went well."""
        if process.exitcode != 0:
            self.failed = True
            said = [line for log in self.place.glob("*.log") for line in log.read_text().splitlines() if line.strip()]
            self._check(f"a process ended by itself with {process.exitcode} ({said[-1] if said else 'no word'})")

    def _to_the_end(self, target: Callable[..., None], *args: str) -> float:
        """Seconds of a process that is left alone."""
        started = time.perf_counter()
        process = _start(target, *args)
        process.join()
        self._ended(process)
        return time.perf_counter() - started

    def _run_left_alone(self) -> Path:
        if not self.alone:
            folder = self.place / "alone"
            self.alone[folder] = self._to_the_end(_train, str(folder), str(self.place / "cache"))
        return next(iter(self.alone))

    def _runs(self) -> None:
        cache, alone, turn = str(self.place / "cache"), self._run_left_alone(), 0
        seconds = self.alone[alone]
        folder = self.place / "run 0"
        while self._going_on:
            process = _start(_train, str(folder), cache)
            if self.kind == "checkpoint":
                _wait_for_partial(folder / "checkpoints", process, self.chance.randint(1, 4))
            else:
                time.sleep(self.chance.uniform(0, seconds))
            if self._killed(process):
                self._check(damage(folder))
            else:
                self._check(difference(alone, folder))
                turn += 1
                folder = self.place / f"run {turn}"
        if not self.failed:
            self._to_the_end(_train, str(folder), cache)
            self._check(difference(alone, folder))

    def _preparations(self, n_processes: int) -> None:
        expected = self.place / "alone.txt"
        seconds = self._to_the_end(_prepare, str(self.place / "alone"), str(expected))
        while self._going_on:
            cache, found = self.place / "cache", self.place / "found.txt"
            found.unlink(missing_ok=True)
            first = _start(_prepare, str(cache), str(self.place / "of the killed.txt"))
            others = [_start(_prepare, str(cache), str(found)) for _ in range(n_processes - 1)]
            time.sleep(self.chance.uniform(0, seconds))
            self._killed(first)
            for other in others:
                other.join()
                self._ended(other)
            if not others:
                self._to_the_end(_prepare, str(cache), str(found))
            if self.failed:
                return
            same = found.is_file() and found.read_text() == expected.read_text()
            self._check("" if same else "the prepared data differ from those of a process left alone")
            shutil.rmtree(cache, ignore_errors=True)

    def _embeddings(self) -> None:
        run = str(self._run_left_alone())
        data, expected, found = (self.place / name for name in ("data.npz", "alone.parquet", "found.parquet"))
        signals = np.random.default_rng(0).normal(size=(N_EMBEDDED, 2, 500)).astype(np.float32)
        np.savez(data, signals=signals)
        seconds = self._to_the_end(_embed, run, str(data), str(expected), str(self.place / "cache 0"))
        while self._going_on:
            found.unlink(missing_ok=True)
            process = _start(_embed, run, str(data), str(found), str(self.place / "cache 1"))
            time.sleep(self.chance.uniform(0, seconds))
            self._killed(process)
            if found.exists():
                self._check(other_table(found, expected))
            self._to_the_end(_embed, run, str(data), str(found), str(self.place / "cache 1"))
            self._check("" if self.failed else other_table(found, expected))
            shutil.rmtree(self.place / "cache 1", ignore_errors=True)


def _start(target: Callable[..., None], *args: str) -> Any:
    known = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in known else "spawn")
    if "forkserver" in known:
        context.set_forkserver_preload([__name__, "modalities.ecg"])
    process = context.Process(target=target, args=args)
    process.start()
    return process


def _quietly(cache: str) -> None:
    os.environ["BAM_CACHE"] = cache
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.stdout = sys.stderr = open(f"{cache}.log", "a", buffering=1)  # noqa: SIM115
    torch.set_num_threads(1)


def _train(folder: str, cache: str) -> None:
    _quietly(cache)
    pretrain(load_recipe(find_recipe("smoke/ecg"), [*RUN, "train.accelerator=cpu"]), Path(folder), progress=False)


def _prepare(cache: str, found: str) -> None:
    _quietly(cache)
    Path(found).write_text(read_data(load_recipe(find_recipe("smoke/ecg"), PREPARED)).content_hash())


def _embed(run: str, data: str, output: str, cache: str) -> None:
    _quietly(cache)
    embed_data(Path(run), Path(data), Path(output))


def _wait_for_partial(folder: Path, process: Any, nth: int) -> None:
    """Until the nth checkpoint is being written."""
    there = False
    while process.is_alive() and nth:
        before, there = there, any(folder.glob("*.partial"))
        nth -= there and not before
        time.sleep(0.001)
