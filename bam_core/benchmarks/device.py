"""What this machine's accelerator can do for pretraining, in one command that needs no network and ends in time."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import torch

from bam_core.benchmarks.device_figures import Figure, Job
from bam_core.benchmarks.device_floor import floor
from bam_core.benchmarks.device_loss import losses
from bam_core.benchmarks.device_steps import images, recipes
from bam_core.benchmarks.machine import describe_machine
from bam_core.errors import InputError

PARTS = {
    "floor": "products, copies and exponentials: what no step can do without",
    "loss": "the forms of the loss, beside the three products and lightly's NT-Xent",
    "images": "steps of imagenet_vit_small and imagenet_vit on stand-in images: images a second and peak memory",
    "recipes": "steps of an ECG, a series, a sound and a table recipe, views on the device",
}
SECONDS = 420.0


@dataclass
class DeviceBenchmark:
    """What was measured.

    Attributes:
        device: kind of device, "cuda" or "cpu".
        machine: what on.
        budget: seconds that it was allowed to take.
        seconds: that it took.
        figures: by part.
        failed: what could not be measured, and why.
        left_out: what there was no time for.
    """

    device: str
    machine: dict[str, str]
    budget: float
    seconds: float = 0.0
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Markdown: a table a part, what is missing, and the machine below."""
        lines = []
        for part, figures in self.figures.items():
            lines += [
                f"### {part.capitalize()}: {PARTS[part]}",
                "",
                "| what | value | unit | note |",
                "|---|---:|---|---|",
            ]
            lines += [f"| {f.what} | {f.value:,.4g} | {f.unit} | {f.note} |" for f in figures]
            lines.append("")
        lines += [f"Not measured: {what}: {why}" for what, why in self.failed.items()]
        if self.left_out:
            lines.append(f"No time was left for: {', '.join(self.left_out)}. Choose parts with --only.")
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join([*lines, f"{self.device}; {self.seconds:.0f} of {self.budget:.0f} s; {facts}."])

    def to_json(self) -> str:
        """Everything, for machines."""
        figures = {part: [figure._asdict() for figure in found] for part, found in self.figures.items()}
        return json.dumps(asdict(self) | {"figures": figures}, indent=2)


def benchmark_device(
    *,
    only: Sequence[str] | None = None,
    seconds: float = SECONDS,
    small: bool = False,
    say: Callable[[str], None] | None = None,
) -> DeviceBenchmark:
    """Measure the accelerator, or the processor where there is none.

    Args:
        only: names of `PARTS`; default: all.
        seconds: nothing is begun after so many, nor what would end after them if it took as long as the longest before.
        small: sizes for a try in seconds, also taken where there is no accelerator.
        say: called with the name of what comes next.

    Returns:
        What could be measured in this time.

    Raises:
        InputError: a part that does not exist.
    """
    if unknown := sorted(set(only or ()) - set(PARTS)):
        raise InputError(f"bam bench device expected parts among {', '.join(PARTS)}; got {', '.join(unknown)}.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = small or device.type == "cpu"
    result = DeviceBenchmark(device.type, describe_machine("lightning", "timm", "lightly", "triton"), seconds)
    started, longest = time.perf_counter(), 0.0
    for part, job in _jobs(only, device, small):
        began = time.perf_counter()
        if began - started + longest > seconds:
            result.left_out.append(job.what)
            continue
        if say is not None:
            say(f"{part}: {job.what}")
        try:
            result.figures.setdefault(part, []).extend(job.run())
        except Exception as error:  # one figure less; the others are worth having
            result.failed[job.what] = f"{type(error).__name__}: {str(error)[:200]}"
        if device.type == "cuda":
            torch.cuda.empty_cache()
        longest = max(longest, time.perf_counter() - began)
    result.seconds = round(time.perf_counter() - started, 1)
    return result


def _jobs(only: Sequence[str] | None, device: torch.device, small: bool) -> Iterator[tuple[str, Job]]:
    parts: dict[str, Callable[[torch.device, bool], list[Job]]] = {
        "floor": floor, "loss": losses, "images": images, "recipes": recipes
    }  # fmt: skip
    for part, jobs in parts.items():
        if not only or part in only:
            for job in jobs(device, small):
                yield part, job
