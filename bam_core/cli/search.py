"""`bam search RUN QUERY --in embeddings.parquet`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
QUERY is an id that is in the embeddings, else a file or folder of the domain, each row a query; key=value
are options of its reader. The distance is 1 - cosine: 0 for the same direction, 2 for the opposite. -o may be given
several times: .csv and .parquet take the table, .html a page that shows queries and neighbours as signals, pictures or
rows. Above 500,000 rows a graph of neighbours is used if the package usearch is installed (pip install
'bam-ssl[search]'); it is kept beside the embeddings, and may miss some: --exact finds all.
  bam embed runs/a FOLDER -o embeddings.parquet
  bam search runs/a new.csv --in embeddings.parquet -k 5 -o neighbours.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of the run that made the embeddings")
    parser.add_argument("query", metavar="QUERY", help="id, file or folder to find neighbours for")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="options of the reader of QUERY")
    parser.add_argument("--in", dest="embeddings", type=Path, required=True, help="what bam embed wrote")
    parser.add_argument("-k", type=int, default=10, help="neighbours of each query (default: 10)")
    parser.add_argument("-o", "--output", type=Path, action="append", default=[], help=".csv, .parquet or .html")
    parser.add_argument("--exact", action="store_true", default=None, help="find all neighbours, however many rows")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.runs.new_data import options_of
    from bam_core.search.outputs import check_outputs, shown_on_terminal, write_outputs
    from bam_core.search.search import search

    check_outputs(args.output)
    found = search(
        args.run_folder,
        args.query,
        args.embeddings,
        k=args.k,
        exact=args.exact,
        options=options_of(args.overrides),
        trusted=args.trust,
    )
    print(shown_on_terminal(found))
    write_outputs(args.output, found)
    return 0
