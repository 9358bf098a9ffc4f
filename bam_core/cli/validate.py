"""`bam validate RECIPE [key=value ...]`."""

import argparse

from bam_core.cli.files import add_trust, split_overrides
from bam_core.config.shipped_recipes import find_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "Prints the recipe, with the defaults of train and evaluate, if it is right; else every mistake in it at once. "
        "Data are not read: bam pretrain checks paths and columns. bam recipes show NAME --options lists every option "
        "of the reader, views, encoder and objective."
    )
    parser.add_argument("recipe", metavar="RECIPE", help="YAML file, or name of a shipped recipe")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe's values")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    path = find_recipe(args.recipe)
    overrides, _, _ = split_overrides(args.overrides)
    from bam_core.config.recipe import load_recipe

    print(load_recipe(path, overrides, trusted=args.trust).recipe.to_yaml(), end="")
    return 0
