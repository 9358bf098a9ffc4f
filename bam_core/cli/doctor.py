"""`bam doctor DATA --modality NAME`."""

import argparse
from pathlib import Path

EPILOG = """\
Reads DATA as a training would and says, before any training: what the reader guessed, mended and left out; rows that
are there twice or in train and test; rare classes, few groups, groups in two splits; clipped signals; features that
tell the label alone; and what training will cost. key=value are options of the reader, such as label=diagnosis.
-o my.yaml writes a recipe to start from, --page doctor.html a page that also shows views of real rows.
  bam doctor table.csv --modality tabular label=diagnosis -o my.yaml --page doctor.html
  bam pretrain my.yaml run=runs/a"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("data", metavar="DATA", type=Path, help="file or folder")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="options of the reader")
    parser.add_argument("--modality", required=True, help="ecg, timeseries, audio, tabular or image")
    parser.add_argument("-o", "--output", type=Path, help="recipe to write")
    parser.add_argument("--page", type=Path, help="HTML page to write")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.doctor.examine import examine, write_examined_page
    from bam_core.doctor.findings import facts_in_words
    from bam_core.errors import RecipeError
    from bam_core.outputs import make_folder, write_text
    from bam_core.runs.new_data import options_of

    if args.output is not None and args.output.exists():
        raise RecipeError(f"{str(args.output)!r} exists; write the recipe to another name.")
    found = examine(args.data, args.modality, options_of(args.overrides))
    print(found.data.account())
    for name, text in facts_in_words(found.data):
        print(f"  {name}: {text}")
    print(f"\n{found.verdict}")
    for text in found.found:
        print(f"  - {text}")
    print(f"\nTo train {found.recipe.train.epochs} passes in batches of {found.recipe.train.batch_size}:")
    print(found.cost.table())
    if args.page is not None:
        make_folder(args.page.parent)
        print(f"\nPage: {write_examined_page(args.page, found)}")
    if args.output is not None:
        make_folder(args.output.parent)
        write_text(args.output, found.recipe.recipe.to_yaml())
        print(f"\n{args.output}: a recipe to start from.\nNext: bam pretrain {args.output} run=runs/a")
    return 0
