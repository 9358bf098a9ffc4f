"""`bam compare RECIPE --objectives A,B,...`."""

import argparse
from pathlib import Path

from bam_core.cli.evaluate import show_results
from bam_core.cli.files import add_trust
from bam_core.config.shipped_recipes import find_recipe
from bam_core.errors import RecipeError

EPILOG = """\
Pretrains and evaluates every objective with every seed on one recipe: the same data, encoder, views, batches, steps and
seeds. Each trial runs in a process of its own and leaves one small file in FOLDER/results; the table has raw features,
baselines such as MiniRocket or gradient boosting (evaluate.baselines) and the untrained encoder first. The same command
goes on where it was stopped and never runs a finished trial again; further objectives or seeds join the same table.
  bam compare ecg/ecg5000_resnet1d --objectives bam,simclr,vicreg --seeds 3 train.epochs=10
  bam compare my.yaml --objectives bam,bam:epsilon=0.05:temperature=0.2,byol --run runs/mine
  bam compare --show runs/mine
docs/compare.md says what is held equal, and what cannot be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "overrides", metavar="RECIPE [key=value ...]", nargs="*", help="YAML file or shipped name, and overrides"
    )
    parser.add_argument("--objectives", metavar="A,B,...", help="names, or names with options: bam:epsilon=0.05")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="training seeds (default: 3)")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="of the comparison (default: runs/compare-<recipe>)")
    parser.add_argument("--show", type=Path, metavar="FOLDER", help="print the table of finished trials, run nothing")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    recipes = [word for word in args.overrides if "=" not in word]
    overrides = [word for word in args.overrides if "=" in word]
    if len(recipes) + (args.show is not None) != 1:
        raise RecipeError(f"expected one RECIPE to run, or --show FOLDER; got {' '.join(args.overrides) or 'neither'}.")
    folder = args.show
    if folder is None:
        if not args.objectives:
            raise RecipeError("expected --objectives, such as --objectives bam,simclr.")
        path = find_recipe(recipes[0])
        from bam_core.comparison.compare import compare

        folder = args.run or Path("runs") / f"compare-{path.stem}"
        try:
            compare(
                path, args.objectives.split(","), folder, n_seeds=args.seeds, overrides=overrides, trusted=args.trust
            )
        except KeyboardInterrupt:
            print(f"\nStopped. Finished trials are kept in {folder}; the same command goes on from there.")
            raise
    from bam_core.comparison.trial_results import first_objective, load_table, trials_markdown

    trials, results = load_table(folder)
    if args.markdown:
        print(trials_markdown(results, trials), end="")
    else:
        show_results(results, first_objective(trials))
    if args.show is None:
        print(f"Table: {folder / 'table.md'}\nReport: {folder / 'report.html'}")
    return 0
