"""`bam pretrain RECIPE [key=value ...]`."""

import argparse
import sys

from bam_core.cli.files import add_trust, split_overrides
from bam_core.config.shipped_recipes import find_recipe

EPILOG = """\
RECIPE is a YAML file, or a name from 'bam recipes'. Every value of it can be overridden:
  bam pretrain ecg/mitbih_resnet1d data.path=/data/mitdb train.epochs=5 views.mask_s=null
Two keys belong to the run, not to the recipe:
  run=FOLDER     where everything goes (default: runs/<recipe>-<date>)
  resume=true    insist that there is something to go on from; an unfinished run in run=FOLDER goes on by itself
--dry-run builds everything, trains two steps on a few synthetic samples, reads and downloads nothing, and says what the
run will take: parameters, operations, memory, traffic between devices, hours.
Ctrl-C or SIGTERM stops after the current step with a checkpoint and a usable encoder.
The folder then holds encoder/ (load it with PretrainedEncoder.from_pretrained), recipe.yaml, metrics.csv, checkpoints/,
environment.json, and set_aside.csv if inputs could not be used. What the reader guessed, mended and left out is printed
before the first step. Next: bam evaluate FOLDER."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("recipe", metavar="RECIPE", help="YAML file, or name of a shipped recipe")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe's values")
    parser.add_argument("--dry-run", action="store_true", help="two steps on stand-in data, and what the run will cost")
    parser.add_argument("--samples", type=int, help="dry run: samples in your training split (default: a million)")
    parser.add_argument("--tflops", type=float, help="dry run: peak of a device in TFLOP/s (default: 312, an A100)")
    parser.add_argument("--efficiency", type=float, help="dry run: part of the peak that is reached (default: 0.35)")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    path = find_recipe(args.recipe)
    overrides, folder, resume = split_overrides(args.overrides)
    from bam_core.api.calls import pretrain
    from bam_core.collectives import rank
    from bam_core.config.recipe import load_recipe
    from bam_core.runs.run_folder import end_of_run, new_run

    recipe = load_recipe(path, overrides, trusted=args.trust)
    if args.dry_run:
        from bam_core.planning.dry_run import dry_run

        given = {name: getattr(args, name) for name in ("samples", "tflops", "efficiency")}
        print(dry_run(recipe, **{name: value for name, value in given.items() if value is not None}).table())
        return 0
    if folder is None:
        folder = new_run(path.stem)
        sys.argv.append(f"run={folder}")  # Lightning starts the processes of further devices with this command line
    try:
        pretrain(recipe.recipe, folder=folder, resume=resume)
    except KeyboardInterrupt:
        if (folder / "encoder").is_dir():
            print(f"Stopped. Encoder and checkpoint of this moment are in {folder}.")
            print(f"Go on with: bam pretrain {folder / 'recipe.yaml'} run={folder} resume=true")
        raise
    if rank() == 0:
        end = end_of_run(folder)
        if end is not None and end.collapse is not None:
            print(f"{end.words} docs/how_bam_works.md says what to do.")
        print(f"Encoder: {folder / 'encoder'}\nNext:    bam evaluate {folder}")
    return 0
