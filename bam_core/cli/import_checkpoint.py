"""`bam import-checkpoint FILE -o FOLDER`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust
from bam_core.config.shipped_recipes import find_recipe

EPILOG = """\
FILE is laid out as the released ones are: a dict with 'model', whose names may begin with student.module.backbone.,
teacher.backbone., module. and the like. Only tensors and plain values are read from it, no code runs. Every tensor has
to find its place in the recipe's encoder, or nothing is written and those that did not are listed.
  bam import-checkpoint checkpoint.pth -o encoder
  bam import-checkpoint checkpoint.pth -o encoder --recipe imagenet_vit_small --network student
The folder then loads with PretrainedEncoder.from_pretrained(FOLDER)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("file", metavar="FILE", type=Path, help="checkpoint, as torch.save writes it")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe's values")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument("--recipe", default="imagenet_vit", help="whose encoder it is (default: imagenet_vit)")
    parser.add_argument(
        "--network", choices=("student", "teacher"), help="which to take (default: the teacher if there is one)"
    )
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    path = find_recipe(args.recipe)
    from bam_core.config.recipe import load_recipe
    from bam_core.runs.import_checkpoint import import_checkpoint

    recipe = load_recipe(path, args.overrides, trusted=args.trust)
    taken = import_checkpoint(args.file, recipe, args.output, network=args.network)
    after = "" if taken.epoch is None else f", epoch {taken.epoch}"
    print(f"{args.output}: {taken.n_tensors} tensors of the {taken.network or 'network'}{after}; all found their place")
    if taken.n_left:
        print(f"{taken.n_left} tensors of its projector were left out: an encoder does not need them.")
    print(f"Load it with PretrainedEncoder.from_pretrained({str(args.output)!r})")
    return 0
