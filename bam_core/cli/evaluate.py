"""`bam evaluate RUN [RUN ...]`."""

import argparse
from pathlib import Path

EPILOG = """\
Embeds every split with the run's encoder, with the same encoder before training, and as raw features; probes all three
with kNN and a linear layer at several fractions of the labels; writes results.json and report.html into the run folder.
Without labels the report still shows curves, a map, neighbours and effective ranks.
Several runs, of one recipe with other values of train.seed, end in one table with means and spreads over the seeds;
those with a results.json are not evaluated again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folders", metavar="RUN", type=Path, nargs="+", help="folder of a run")
    parser.add_argument("--teacher", action="store_true", help="judge the teacher's encoder instead of the student's")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.errors import InputError
    from bam_core.evaluation import Results, aggregate
    from bam_core.training.assess import assess

    if len(args.run_folders) == 1:
        folder = args.run_folders[0]
        show(folder, assess(folder, teacher=args.teacher))
        return 0
    runs = []
    for folder in args.run_folders:
        done = folder / "results.json"
        results = Results.load(done) if done.is_file() else assess(folder, teacher=args.teacher)
        if not isinstance(results, Results):
            raise InputError(f"several runs expected labels to compare them by; {folder} has none for a test split.")
        runs.append(results)
    show_results(aggregate(runs))
    return 0


def show_results(results: object, ours: str | None = None) -> None:
    """Print the tables and the verdict, about the last row unless another is named."""
    from rich.console import Console

    from bam_core.evaluation import Results

    console = Console()
    if isinstance(results, Results):
        for metric in results.metrics:
            console.print(results.to_console(metric))
        console.print(results.verdict(ours))
    else:
        console.print("No labels for a test split: the report shows what can be said without.")


def show(folder: Path, results: object) -> None:
    """Print the tables, the verdict and where the report is."""
    show_results(results)
    print(f"Report: {folder / 'report.html'}")
