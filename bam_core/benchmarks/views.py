"""Views per second of every domain beside what a user would take otherwise: the same views, in turns, in one process.

What is raced stands with each domain, in `modalities/*/benchmark.py`, and is found by the entry points
`bam_ssl.view_benchmarks`. A loop over samples is written from the definitions of our views.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from bam_core.benchmarks.machine import describe_machine
from bam_core.benchmarks.timing import Spread, Timing, measure, spread
from bam_core.config.registry import did_you_mean
from bam_core.errors import InputError

GROUP = "bam_ssl.view_benchmarks"
LOOP = "NumPy, sample by sample"


class Race(NamedTuple):
    """The same views, made by us and by others.

    Attributes:
        work: what is made of what, in words.
        n_views: views of a sample in one call.
        n_samples: samples of the batch.
        ours: makes them.
        others: name -> makes as many. What is not installed is left out.
        packages: whose versions matter.
    """

    work: str
    n_views: int
    n_samples: int
    ours: Callable[[], Any]
    others: Mapping[str, Callable[[], Any]]
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rate:
    """How fast one contender is.

    Attributes:
        domain: of the data.
        work: what it makes.
        contender: its name.
        per_second: views of single samples a second.
        per_processor_second: the same in processor time of all threads, which other processes hardly change.
        ratio: over the rounds, our views a second by its own, in wall time.
        processor_ratio: the same in processor time.
        disturbed: calls during which other processes took more than 5 % of the machine.
    """

    domain: str
    work: str
    contender: str
    per_second: Spread
    per_processor_second: Spread
    ratio: Spread
    processor_ratio: Spread
    disturbed: int


@dataclass(frozen=True)
class ViewBenchmark:
    """A table of rates and what it was measured on."""

    rounds: int
    machine: dict[str, str]
    rates: list[Rate]

    def table(self) -> str:
        """Markdown: one row a contender, and the machine below."""
        lines = [
            "| | views/s, median (quartiles) | per processor second | bam-ssl is times as fast | in processor time |",
            "|---|---|---|---|---|",
        ]
        works: list[str] = []
        for rate in self.rates:
            if rate.work not in works:
                works.append(rate.work)
                lines.append(f"| **{rate.domain}**: {rate.work} | | | | |")
            ratios = ("", "") if rate.contender == OURS else (f"{rate.ratio:.1f}", f"{rate.processor_ratio:.1f}")
            rates = f"{rate.per_second:,.0f} | {rate.per_processor_second:,.0f}"
            lines.append(f"| {rate.contender} | {rates} | {ratios[0]} | {ratios[1]} |")
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        disturbed = sum(rate.disturbed for rate in self.rates)
        return "\n".join(
            [*lines, "", f"{self.rounds} rounds, {disturbed} calls disturbed by other processes; {facts}."]
        )

    def to_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(asdict(self), indent=2)


OURS = "bam-ssl"


def races(only: list[str] | None = None) -> dict[str, list[Race]]:
    """The races of the domains.

    Args:
        only: names of domains; None for all.

    Raises:
        InputError: a domain that has none.
    """
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in only or []:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"there are no views to measure for {name!r}{hint} Known: {', '.join(sorted(known))}.")
    return {name: known[name].load()() for name in sorted(known) if only is None or name in only}


def benchmark_views(*, only: list[str] | None = None, rounds: int = 7, patience: float = 0.0) -> ViewBenchmark:
    """Let the contenders of every race take turns, after one turn to warm up.

    Args:
        only: names of domains; None for all.
        rounds: turns of each.
        patience: seconds for repeating a call that other processes disturbed.

    Returns:
        Views a second with medians and quartiles, and ratios within the same round.

    Raises:
        InputError: a domain that has no race.
    """
    rates: list[Rate] = []
    packages: dict[str, None] = {}
    for domain, of_domain in races(only).items():
        for race in of_domain:
            packages |= dict.fromkeys(race.packages)
            contenders = {OURS: race.ours, **race.others}
            timings: dict[str, list[Timing]] = {name: [] for name in contenders}
            for turn in range(rounds + 1):
                for name, make in contenders.items():
                    timing = measure(make, patience=patience if turn else 0.0)
                    if turn:
                        timings[name].append(timing)
            rates += [_rate(domain, race, name, timings) for name in contenders]
    return ViewBenchmark(rounds, describe_machine(*packages), rates)


def _rate(domain: str, race: Race, name: str, timings: Mapping[str, list[Timing]]) -> Rate:
    pairs = list(zip(timings[name], timings[OURS], strict=True))
    n = race.n_views * race.n_samples
    return Rate(
        domain,
        race.work,
        name,
        spread([n / its.seconds for its, _ in pairs]),
        spread([n / its.processor_seconds for its, _ in pairs]),
        spread([its.seconds / our.seconds for its, our in pairs]),
        spread([its.processor_seconds / our.processor_seconds for its, our in pairs]),
        sum(its.disturbed for its, _ in pairs),
    )
