"""`bam evaluate RUN`."""

import argparse
from pathlib import Path

EPILOG = """\
Embeds every split with the run's encoder, with the same encoder before training, and as raw features; probes all three
with kNN and a linear layer at several fractions of the labels; writes results.json and report.html into the run folder.
Without labels the report still shows curves, a map, neighbours and effective ranks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a run")
    parser.add_argument("--teacher", action="store_true", help="judge the teacher's encoder instead of the student's")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.training.assess import assess

    show(args.run_folder, assess(args.run_folder, teacher=args.teacher))
    return 0


def show(folder: Path, results: object) -> None:
    """Print the table, the verdict and where the report is."""
    from rich.console import Console

    from bam_core.evaluation import Results

    console = Console()
    if isinstance(results, Results):
        for metric in results.metrics:
            console.print(results.to_console(metric))
        console.print(results.verdict())
    else:
        console.print("No labels for a test split: the report shows what can be said without.")
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
