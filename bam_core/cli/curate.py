"""`bam curate embeddings.parquet`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
Looks for near-duplicates (also between train and test), outliers, clusters, and labels that neighbours contradict.
Writes NAME.curated.parquet, with a column for each finding, and NAME.curated.html, a page with a map and examples,
beside the embeddings. Examples are drawn where the run and the data are still where they were; --run says where the run
is now.
The parquet file opens in embedding-atlas:
  embedding-atlas embeddings.curated.parquet --x x --y y --neighbors neighbors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path, help="parquet file that bam embed wrote")
    parser.add_argument("--labels", metavar="COLUMN", help="column of classes (default: class; none for none)")
    parser.add_argument(
        "--groups",
        metavar="COLUMN",
        help="column of persons or machines, whose rows do not vote for each other (default: group; none for none)",
    )
    parser.add_argument("-o", "--output", type=Path, help="parquet file to write; the page lies beside it")
    parser.add_argument("--run", type=Path, help="folder of the run, to draw examples")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.curation.outputs import curate_file

    output = args.output or args.embeddings.with_suffix(".curated.parquet")
    found, page = curate_file(
        args.embeddings, output, labels=args.labels, groups=args.groups, run_folder=args.run, trusted=args.trust
    )
    print(found.verdict)
    for note in found.notes:
        print(f"  Note: {note}")
    print(f"{output}: a row each, with a column for each finding. {page}: a map and examples.")
    return 0
