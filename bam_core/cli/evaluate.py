"""`bam evaluate RUN [RUN ...]`."""

import argparse
from pathlib import Path
from typing import Literal

from bam_core.cli.files import add_trust

BY_RUN = "runs"

EPILOG = """\
Embeds every split with the run's encoder, with the same encoder before training, and as raw features; probes all three
with kNN and a linear layer at several fractions of the labels; writes results.json and report.html into the run folder.
The table also has what you would use without pretraining, such as MiniRocket or gradient boosting, computed once for
the same data; some need pip install 'bam-ssl[baselines]'. The recipe's evaluate.baselines leaves them out or chooses.
Without labels the report still shows curves, a map, neighbours and effective ranks.
Several runs, of one recipe with other values of train.seed, end in one table with means and spreads over the seeds;
a table in results.json is kept if encoder, weights and protocol are still those that it was made with.

--cross-validation 5 evaluates on folds of all labelled rows as well, by group (person, machine) where there are groups
and stratified by class else; --cross-validation leave_one_group_out holds out each group once. The encoder stays the
same.
  bam evaluate runs/a --cross-validation leave_one_group_out
With several runs that hold out other rows as test, --cross-validation runs takes each as a fold, pretraining included.

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
    parser.add_argument("--cross-validation", metavar="FOLDS", help="a number, leave_one_group_out, or runs; see below")
    parser.add_argument("--protocol", metavar="NAME", help="evaluate as papers on ImageNet do, see below")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.api.calls import load
    from bam_core.errors import InputError
    from bam_core.probes.seeds import aggregate
    from bam_core.runs.cross_validate import joined_runs
    from bam_core.runs.evaluate_run import stored

    if args.protocol is not None:
        return run_with_protocol(args)
    folders = [Path(folder) for folder in [*args.run_folders, *args.overrides]]
    if args.untrained:
        raise InputError("--untrained belongs to --protocol; without it the untrained encoder is in every table.")
    by_run = args.cross_validation == BY_RUN
    if len(folders) == 1 or (args.cross_validation is not None and not by_run):
        how = folds_of(args.cross_validation, n_runs=len(folders))
        folder = folders[0]
        show(folder, load(folder, trusted=args.trust).evaluate(teacher=args.teacher, cross_validation=how))
        return 0
    runs = []
    for folder in folders:
        results = stored(folder, teacher=args.teacher, trusted=args.trust) or load(folder, trusted=args.trust).evaluate(
            teacher=args.teacher
        )
        if results is None:
            raise InputError(f"several runs expected labels to compare them by; {folder} has none for a test split.")
        runs.append(results)
    show_results(joined_runs(folders, runs, trusted=args.trust) if by_run else aggregate(runs))
    return 0


def folds_of(text: str | None, *, n_runs: int) -> int | Literal["leave_one_group_out"] | None:
    """What `--cross-validation` asks for.

    Raises:
        InputError: neither a number nor a known word, or something that does not fit the number of runs.
    """
    from bam_core.errors import InputError
    from bam_core.probes.protocol import LEAVE_ONE_GROUP_OUT

    if text is None:
        return None
    if text == LEAVE_ONE_GROUP_OUT and n_runs == 1:
        return LEAVE_ONE_GROUP_OUT
    if text.isdigit() and int(text) >= 2 and n_runs == 1:
        return int(text)
    raise InputError(
        f"--cross-validation expected with one run a number of folds from 2, or {LEAVE_ONE_GROUP_OUT}; with several "
        f"runs {BY_RUN}; got {text!r} and {n_runs} run(s)."
    )


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
        folds = results.folds_to_console()
        if folds is not None:
            console.print(folds)
            for note in results.notes:
                console.print(note, style="dim")
        for table in results.by_class_to_console():
            console.print(table)
        console.print(results.verdict(ours))
    else:
        console.print("No labels for a test split: the report shows what can be said without.")


def show(folder: Path, results: object) -> None:
    """Print the tables, the verdict and where the report is."""
    show_results(results)
    print(f"Report: {folder / 'report.html'}")
