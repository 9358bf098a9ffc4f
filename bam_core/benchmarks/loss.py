"""What a loss costs: time and memory of one forward and backward pass, beside the products no loss can do without.

Contenders take turns, so that a busy machine slows all of them, and each round's times are divided by the same
round's unit: three matrix products in float32, S = z c^T, dS c and dS^T z, of the size of the batch. Peak memory is
measured in a process of its own, as the growth of its largest resident set over what it held before the pass.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import get_args

import torch
from torch import Tensor

from bam_core.benchmarks.machine import describe_machine, peak_resident, reset_peak
from bam_core.benchmarks.timing import Spread, Timing, measure, spread
from bam_core.errors import InputError
from bam_core.loss.attention import unit_rows
from bam_core.loss.definition import bam_loss
from bam_core.loss.dispatch import Method

UNIT = "three products"
_PROTOTYPES = 3000  # SwAV's
_DINO_OUTPUTS = 4096
_SLAB_ELEMENTS = 1 << 26  # scores that the unit holds at a time: 8192 x 8192

Result = tuple[Tensor, Tensor]  # loss and gradient
Pass = Callable[[], Result]


@dataclass(frozen=True)
class Cost:
    """What one contender costs.

    Attributes:
        name: the contender.
        seconds: times of the passes.
        ratio: over the rounds, its time in units of the round.
        processor_ratio: the same in processor time.
        disturbed: number of passes during which other processes took more than 5 % of the machine.
        peak_mib: growth of the resident set in MiB; None if it was not measured.
        loss_error: relative difference of the loss from the dense form; None where that says nothing.
        gradient_error: the same of the gradient, in Frobenius norm.
    """

    name: str
    seconds: list[float]
    ratio: Spread
    processor_ratio: Spread
    disturbed: int
    peak_mib: float | None = None
    loss_error: float | None = None
    gradient_error: float | None = None


@dataclass(frozen=True)
class LossBenchmark:
    """A table of costs and what it was measured on."""

    rows: int
    width: int
    machine: dict[str, str]
    costs: list[Cost]

    def table(self) -> str:
        """Markdown: one row a contender, and the machine below."""
        head = "one forward and backward pass", "in units: median (quartiles)", "in units of processor time", "seconds"
        memory = "peak memory, MiB", "score matrices", "loss off by", "gradient off by"
        lines = [_row(*head, *memory), "|---" * 8 + "|"]
        matrix = self.rows**2 * 4 / 2**20
        for cost in self.costs:
            peak = ("", "") if cost.peak_mib is None else (f"{cost.peak_mib:.0f}", f"{cost.peak_mib / matrix:.2f}")
            errors = ("" if e is None else f"{e:.0e}" for e in (cost.loss_error, cost.gradient_error))
            seconds = f"{spread(cost.seconds).median:.3f}"
            lines.append(_row(cost.name, f"{cost.ratio:.2f}", f"{cost.processor_ratio:.2f}", seconds, *peak, *errors))
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        rounds, disturbed = len(self.costs[0].seconds), sum(cost.disturbed for cost in self.costs)
        about = (
            f"{self.rows} rows, width {self.width}, {rounds} rounds, {disturbed} passes disturbed by other processes"
        )
        return "\n".join([*lines, "", f"{about}; {facts}."])

    def to_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(asdict(self), indent=2)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def contenders(rows: int, width: int, *, seed: int = 0) -> dict[str, Pass]:
    """The unit, the forms of BAM with and without a teacher, and lightly's losses where it is installed.

    Args:
        rows: two views of `rows / 2` samples each; as many columns.
        width: of the projections.
        seed: of the random projections.

    Returns:
        Functions that run one forward and backward pass and return loss and gradient.

    Raises:
        InputError: an odd number of rows.
    """
    if rows % 2 or rows < 4:
        raise InputError(f"the benchmark expected an even number of rows, two views of each sample; got {rows}.")
    generator = torch.Generator().manual_seed(seed)
    z, teacher = (torch.randn(rows, width, generator=generator) for _ in range(2))
    unit_z = unit_rows(z)
    memory: dict[str, Tensor] = {}

    def products() -> Result:
        slab = min(rows, _SLAB_ELEMENTS // rows)
        if not memory:
            memory.update(
                scores=torch.empty(slab, rows), rows=torch.empty(rows, width), columns=torch.empty(rows, width)
            )
        memory["columns"].zero_()
        for part, out in zip(unit_z.split(slab), memory["rows"].split(slab), strict=True):
            scores = torch.mm(part, unit_z.T, out=memory["scores"][: len(part)])
            torch.mm(scores, unit_z, out=out)
            memory["columns"].addmm_(scores.T, part)
        return memory["scores"][0, 0], memory["rows"]

    def of(loss: Callable[[Tensor], Tensor]) -> Pass:
        def run() -> Result:
            leaf = z.clone().requires_grad_()
            value = loss(leaf)
            value.backward()
            return value.detach(), torch.zeros_like(leaf) if leaf.grad is None else leaf.grad

        return run

    passes: dict[str, Pass] = {UNIT: products}
    for method in get_args(Method)[1:]:
        passes[f"BAM {method}"] = of(partial(_bam, None, method))
        passes[f"BAM {method}, teacher"] = of(partial(_bam, teacher, method))
    if find_spec("lightly"):
        passes |= {f"lightly {name}": of(loss) for name, loss in _peers(rows, width, teacher, generator).items()}
    return passes


def _bam(teacher: Tensor | None, method: Method, x: Tensor) -> Tensor:
    return bam_loss(x, teacher, method=method).loss


def _peers(rows: int, width: int, teacher: Tensor, generator: torch.Generator) -> dict[str, Callable[[Tensor], Tensor]]:
    from lightly.loss import DINOLoss, NTXentLoss, SwaVLoss, VICRegLoss

    nt_xent, vicreg, swav, dino = NTXentLoss(temperature=0.1), VICRegLoss(), SwaVLoss(), DINOLoss(_DINO_OUTPUTS)
    prototypes, outputs = (
        unit_rows(torch.randn(n, width, generator=generator)).T for n in (_PROTOTYPES, _DINO_OUTPUTS)
    )

    def views(x: Tensor, layer: Tensor | None = None) -> list[Tensor]:
        return list((x if layer is None else unit_rows(x) @ layer).chunk(2))

    return {
        "NT-Xent": lambda x: nt_xent(*views(x)),
        "VICReg": lambda x: vicreg(*views(x)),
        f"SwAV, {_PROTOTYPES} prototypes": lambda x: swav(views(x, prototypes), []),
        f"DINO, {_DINO_OUTPUTS} outputs": lambda x: dino(views(teacher, outputs), views(x, outputs)),
    }


def benchmark_loss(
    *,
    rows: int = 8192,
    width: int = 256,
    rounds: int = 7,
    only: list[str] | None = None,
    memory: bool = True,
    patience: float = 0.0,
) -> LossBenchmark:
    """Measure the contenders in turns.

    Args:
        rows: rows and columns of the score matrix.
        width: of the projections.
        rounds: how often each runs; if more than once, after one run to warm up.
        only: names of contenders to keep; the unit always stays.
        memory: measure peak memory too, each contender in a process of its own.
        patience: seconds for repeating a pass that other processes disturbed.

    Returns:
        Costs with medians, quartiles and, where it applies, errors against the dense form.

    Raises:
        InputError: a name that is no contender.
    """
    passes = contenders(rows, width)
    if wrong := set(only or []) - set(passes):
        raise InputError(f"the benchmark expected names among {', '.join(passes)}; got {', '.join(sorted(wrong))}.")
    passes = {name: run for name, run in passes.items() if only is None or name in only or name == UNIT}
    machine = describe_machine("lightly")
    timings: dict[str, list[Timing]] = {name: [] for name in passes}
    results: dict[str, Result] = {}
    for turn in range(rounds + (rounds > 1)):
        for name, run in passes.items():

            def keep_result(name: str = name, run: Pass = run) -> None:
                results[name] = run()

            timing = measure(keep_result, patience=patience)
            if turn or rounds == 1:
                timings[name].append(timing)
    costs = []
    for name, times in timings.items():
        ratios = [t.seconds / unit.seconds for t, unit in zip(times, timings[UNIT], strict=True)]
        peak = _peak_in_new_process(name, rows, width) if memory else None
        dense = "BAM dense" + ", teacher" * name.endswith(", teacher")
        errors = _errors(results[name], results[dense]) if name.startswith("BAM") and dense in results else (None, None)
        used = [t.processor_seconds / u.processor_seconds for t, u in zip(times, timings[UNIT], strict=True)]
        seconds, disturbed = [t.seconds for t in times], sum(t.disturbed for t in times)
        costs.append(Cost(name, seconds, spread(ratios), spread(used), disturbed, peak, *errors))
    return LossBenchmark(rows, width, machine, costs)


def _errors(got: Result, wanted: Result) -> tuple[float, float]:
    loss, gradient = (float((a - b).norm() / b.norm()) for a, b in zip(got, wanted, strict=True))
    return loss, gradient


def _peak_in_new_process(name: str, rows: int, width: int) -> float:
    numbers = (str(n) for n in (rows, width, torch.get_num_threads()))
    command = [sys.executable, "-m", "bam_core.benchmarks.loss", name, *numbers]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_memory(name: str, *, rows: int, width: int) -> float:
    """MiB by which this process's resident set grows at most in one pass; meaningful once in a process."""
    contenders(64, 16)[name]()  # libraries and threads
    run = contenders(rows, width)[name]
    before = reset_peak()
    run()
    return peak_resident() - before


if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    rows, width, threads = map(int, numbers)
    torch.set_num_threads(threads)
    print(peak_memory(name, rows=rows, width=width))
