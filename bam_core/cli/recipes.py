"""`bam recipes [list | show NAME [--options] | copy NAME FILE]`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust
from bam_core.config.shipped_recipes import find_recipe, header, recipe_names, shipped_recipes
from bam_core.errors import RecipeError
from bam_core.outputs import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "Each recipe's header says where the data come from, what it costs and what was measured."
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="names and first lines (default)")
    show = actions.add_parser("show", help="print a recipe")
    show.add_argument("name", metavar="NAME")
    show.add_argument(
        "--options",
        action="store_true",
        help="list every option of its reader, views, encoder and objective: type, default, what it does",
    )
    show.add_argument("overrides", metavar="key=value", nargs="*", help="with --options, such as encoder.name=cnn")
    add_trust(show)
    copy = actions.add_parser("copy", help="copy a recipe to a file of yours, to change it")
    copy.add_argument("name", metavar="NAME")
    copy.add_argument("file", metavar="FILE", type=Path)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.action == "show" and args.options:
        from bam_core.config.option_docs import options_table
        from bam_core.config.recipe import load_recipe

        print(options_table(load_recipe(find_recipe(args.name), args.overrides, trusted=args.trust)))
    elif args.action == "show":
        if args.overrides:
            raise RecipeError("bam recipes show prints the file as it is; overrides are for --options.")
        print(find_recipe(args.name).read_text(encoding="utf-8"), end="")
    elif args.action == "copy":
        target = args.file / find_recipe(args.name).name if args.file.is_dir() else args.file
        if target.exists():
            raise RecipeError(f"{str(target)!r} exists; copy to another name.")
        write_text(target, find_recipe(args.name).read_text(encoding="utf-8"))
        print(f"{target}\nNext: bam pretrain {target}")
    else:
        names = recipe_names()
        width = max(map(len, names), default=0)
        for name in names:
            print(f"{name:<{width}}  {header(shipped_recipes() / f'{name}.yaml').partition(chr(10))[0]}")
    return 0
