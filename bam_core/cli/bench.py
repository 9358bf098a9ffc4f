"""`bam bench [loss | train | views | start | drill | device]`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from bam_core.cli.files import add_trust
from bam_core.config.shipped_recipes import find_recipe
from bam_core.outputs import write_text

EPILOG = """\
Each prints a Markdown table with machine and versions, times as medians and quartiles. Measure on a quiet machine:
--patience repeats what other processes disturbed. docs/performance.md explains what bounds the numbers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    benchmarks = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)

    loss = benchmarks.add_parser("loss", help="the loss in all its forms, beside lightly's losses: time and memory")
    loss.add_argument("--rows", type=int, default=8192, help="rows and columns of the scores (default: 8192)")
    loss.add_argument("--width", type=int, default=256, help="width of the projections (default: 256)")
    loss.add_argument("--rounds", type=int, default=7, help="passes of each contender (default: 7)")
    loss.add_argument("--only", nargs="+", metavar="NAME", help="names of contenders, as in the table")
    loss.add_argument("--no-memory", action="store_true", help="leave peak memory out")

    train = benchmarks.add_parser("train", help="the parts of a recipe's training step")
    train.add_argument("recipe", metavar="RECIPE", nargs="?", default="ecg/ecg5000_resnet1d", help="file or name")
    train.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe's values")
    train.add_argument("--steps", type=int, default=50, help="steps to measure (default: 50)")

    add_trust(train)

    views = benchmarks.add_parser("views", help="views per second of every domain, beside other libraries and loops")
    views.add_argument("--rounds", type=int, default=7, help="turns of each contender (default: 7)")
    views.add_argument("--only", nargs="+", metavar="DOMAIN", help="names of modalities")

    start = benchmarks.add_parser("start", help="what a user waits for before anything happens")
    start.add_argument("--rounds", type=int, default=7, help="starts of each kind (default: 7)")

    kills = benchmarks.add_parser("drill", help="kill runs at random moments, and see that nothing is lost")
    kills.add_argument("--kills", type=int, default=100, help="altogether (default: 100)")
    kills.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")

    device = benchmarks.add_parser("device", help="what this machine's accelerator can do, in under eight minutes")
    device.add_argument("--only", nargs="+", metavar="PART", help="floor, loss, images, recipes (default: all)")
    device.add_argument(
        "--seconds", type=float, default=420.0, help="nothing is begun that would end later (default: 420)"
    )
    device.add_argument("--small", action="store_true", help="sizes for a try, as where there is no accelerator")

    for one in (loss, train, views, start, kills, device):
        one.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    for one in (loss, train, views):
        one.add_argument("--threads", type=int, help="threads of torch")
    for one in (loss, views, start):
        one.add_argument(
            "--patience", type=float, default=0.0, metavar="SECONDS", help="for repeating disturbed passes"
        )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if getattr(args, "threads", None):
        import torch

        torch.set_num_threads(args.threads)
    result = {"loss": _loss, "train": _train, "views": _views, "start": _start, "drill": _drill, "device": _device}[
        args.benchmark
    ](args)
    print(result.table())
    if args.json:
        write_text(args.json, result.to_json() + "\n")
    return int(bool(getattr(result, "lost", ())))


def _loss(args: argparse.Namespace) -> Any:
    from bam_core.benchmarks.loss import benchmark_loss

    return benchmark_loss(
        rows=args.rows,
        width=args.width,
        rounds=args.rounds,
        only=args.only,
        memory=not args.no_memory,
        patience=args.patience,
    )


def _train(args: argparse.Namespace) -> Any:
    from bam_core.benchmarks.training import benchmark_training
    from bam_core.config.recipe import load_recipe

    return benchmark_training(
        load_recipe(find_recipe(args.recipe), args.overrides, trusted=args.trust), steps=args.steps
    )


def _views(args: argparse.Namespace) -> Any:
    from bam_core.benchmarks.views import benchmark_views

    return benchmark_views(only=args.only, rounds=args.rounds, patience=args.patience)


def _start(args: argparse.Namespace) -> Any:
    from bam_core.benchmarks.start import benchmark_start

    return benchmark_start(rounds=args.rounds, patience=args.patience)


def _drill(args: argparse.Namespace) -> Any:
    from bam_core.benchmarks.drill import drill

    return drill(kills=args.kills, seed=args.seed, say=lambda line: print(line, file=sys.stderr, flush=True))


def _device(args: argparse.Namespace) -> Any:
    from bam_core.benchmarks.device import benchmark_device

    say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    return benchmark_device(only=args.only, seconds=args.seconds, small=args.small, say=say)
