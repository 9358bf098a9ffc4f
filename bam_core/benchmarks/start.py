"""What a user waits for before anything happens: new interpreters that import a package or print the help."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from bam_core.benchmarks.machine import describe_machine
from bam_core.benchmarks.timing import Spread, measure, spread

STARTS = {
    "python that does nothing": ["-c", "pass"],
    "import bam_core": ["-c", "import bam_core"],
    "bam --help": ["-m", "bam_ssl", "--help"],
    "import torch": ["-c", "import torch"],
    "from bam_core import BAMObjective": ["-c", "from bam_core import BAMObjective"],
}


@dataclass(frozen=True)
class StartBenchmark:
    """Seconds from start to end of a new process, by what it does."""

    rounds: int
    machine: dict[str, str]
    seconds: dict[str, Spread]

    def table(self) -> str:
        """Markdown: one row a start, and the machine below."""
        lines = ["| new process | seconds, median (quartiles) |", "|---|---|"]
        lines += [f"| `{name}` | {seconds:.3f} |" for name, seconds in self.seconds.items()]
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join([*lines, "", f"{self.rounds} rounds; {facts}."])

    def to_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(asdict(self), indent=2)


def benchmark_start(*, rounds: int = 7, patience: float = 0.0) -> StartBenchmark:
    """Start every process of `STARTS` in turns, after one round that fills the file cache.

    Args:
        rounds: how often.
        patience: seconds for repeating a start that other processes disturbed.

    Returns:
        Times with their spread.
    """
    machine = describe_machine()
    seconds: dict[str, list[float]] = {name: [] for name in STARTS}
    for arguments in STARTS.values():
        _start(arguments)
    for _ in range(rounds):
        for name, arguments in STARTS.items():
            seconds[name].append(measure(lambda a=arguments: _start(a), patience=patience).seconds)  # type: ignore[misc]
    return StartBenchmark(rounds, machine, {name: spread(times) for name, times in seconds.items()})


def _start(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
