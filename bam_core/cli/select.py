"""`bam select RUN...`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
Shows label-free figures of every encoder that the runs keep (train.keep: 5 keeps five of a run), a row each. Nothing is
recommended: docs/selecting.md says what was measured. Figures of other data, views or widths cannot be compared.
With labels, even few of them, bam evaluate and bam compare say more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folders", metavar="RUN", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("-o", "--output", type=Path, help="CSV file to write the table to")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.outputs import make_folder, written
    from bam_core.selection.select import select
    from bam_core.selection.words import in_words

    table = select(args.run_folders, trusted=args.trust)
    print(in_words(table))
    if args.output is not None:
        make_folder(args.output.parent)
        with written(args.output) as partial:
            table.to_csv(partial, index=False)
    return 0
