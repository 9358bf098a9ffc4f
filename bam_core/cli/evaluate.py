"""`bam evaluate RUN [RUN ...]`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
Embeds every split with the run's encoder, with the same encoder before training, and as raw features; probes all three
with kNN and a linear layer at several fractions of the labels; writes results.json and report.html into the run folder.
The table also has what you would use without pretraining, such as MiniRocket or gradient boosting, computed once for
the same data; some need pip install 'bam-ssl[baselines]'. The recipe's evaluate.baselines leaves them out or chooses.
Without labels the report still shows curves, a map, neighbours and effective ranks.
Several runs, of one recipe with other values of train.seed, end in one table with means and spreads over the seeds;
a table in results.json is kept if encoder, weights and protocol are still those that it was made with.

--protocol NAME evaluates a run as papers on ImageNet do, on any image data, and writes protocols/NAME-.../result.json:
  imagenet-knn      kNN among a class-balanced 10 % of train
  imagenet-linear   a linear layer on frozen features, trained with SGD on random crops: the last epoch, and the best
  semi-1, semi-10   the whole network fine-tuned with 1 % or 10 % of the labels; labels=FILE names the rows
  transfer          logistic regression on frozen features of another folder of images: path=FOLDER
Settings follow as key=value: bam evaluate runs/a --protocol imagenet-linear epochs=30 devices=8; a wrong key lists them
all. What was stopped goes on with the same command."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.set_defaults(overrides=[])  # key=value behind an option lands there
    parser.add_argument("run_folders", metavar="RUN", nargs="+", help="folder of a run; with --protocol: key=value")
    parser.add_argument(
        "--teacher", action="store_true", help="evaluate the teacher's encoder instead of the student's"
    )
    parser.add_argument(
        "--untrained", action="store_true", help="with --protocol: evaluate the encoder before pretraining"
    )
    parser.add_argument("--protocol", metavar="NAME", help="evaluate as papers on ImageNet do, see below")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.api.calls import load
    from bam_core.errors import InputError
    from bam_core.probes.seeds import aggregate
    from bam_core.runs.evaluate_run import stored

    if args.protocol is not None:
        return run_with_protocol(args)
    folders = [Path(folder) for folder in [*args.run_folders, *args.overrides]]
    if args.untrained:
        raise InputError("--untrained belongs to --protocol; without it the untrained encoder is in every table.")
    if len(folders) == 1:
        folder = folders[0]
        show(folder, load(folder, trusted=args.trust).evaluate(teacher=args.teacher))
        return 0
    runs = []
    for folder in folders:
        results = stored(folder, teacher=args.teacher, trusted=args.trust) or load(folder, trusted=args.trust).evaluate(
            teacher=args.teacher
        )
        if results is None:
            raise InputError(f"several runs expected labels to compare them by; {folder} has none for a test split.")
        runs.append(results)
    show_results(aggregate(runs))
    return 0


def run_with_protocol(args: argparse.Namespace) -> int:
    """Run the command with a protocol."""
    import yaml

    from bam_core.collectives import rank
    from bam_core.errors import InputError
    from bam_core.imagenet.protocols import Network
    from bam_core.imagenet.run_protocol import run_protocol

    words: list[str] = [*args.run_folders, *args.overrides]
    first, others = words[0], words[1:]
    settings = dict(word.partition("=")[::2] for word in others if "=" in word)
    if len(settings) < len(others) or (args.teacher and args.untrained):
        raise InputError(
            "--protocol expected one run, settings as key=value, and --teacher or --untrained or neither; got "
            f"{' '.join(words)}."
        )
    network: Network = "teacher" if args.teacher else "untrained" if args.untrained else "student"
    judged = run_protocol(
        Path(first),
        args.protocol,
        {k: yaml.safe_load(v) for k, v in settings.items()},
        network=network,
        trusted=args.trust,
    )
    if rank() != 0:
        return 0
    if judged.results is not None:
        show_results(judged.results)
    rows = judged.rows
    print(
        f"{args.protocol}, {network}: {rows['train']:,} labelled rows of train, {rows['judged']:,} of {rows['split']}"
    )
    if judged.history:
        for which, accuracy in (("last", judged.last), ("best", judged.best)):
            print(f"{which} epoch ({accuracy.epoch}): top-1 {accuracy.top1:.4f}, top-5 {accuracy.top5:.4f}")
        print(f"The last epoch is the figure to report; the best one was chosen on {rows['split']} itself.")
    print(f"Result: {judged.path}")
    return 0


def show_results(results: object, ours: str | None = None) -> None:
    """Print the tables and the verdict, about the last row unless another is named."""
    from rich.console import Console

    from bam_core.probes.results import Results

    console = Console()
    if isinstance(results, Results):
        for metric in results.metrics:
            console.print(results.to_console(metric))
        for table in results.by_class_to_console():
            console.print(table)
        console.print(results.verdict(ours))
    else:
        console.print("No labels for a test split: the report shows what can be said without.")


def show(folder: Path, results: object) -> None:
    """Print the tables, the verdict and where the report is."""
    show_results(results)
    print(f"Report: {folder / 'report.html'}")
