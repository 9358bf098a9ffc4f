"""`bam embed RUN DATA -o embeddings.parquet`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
DATA is read like the recipe's data if their reader takes such a file or folder, else by the usual reader for it, or by
reader=NAME. Options of the reader can be given as key=value: bam embed runs/a new.csv -o new.parquet label=diagnosis
The file holds one row a record or window: id; of windows and beats the record and where they begin and end in it, in
seconds (start_s, end_s) or steps; split, the one of the run's data that holds the same values, if there is one;
seen_in_training, whether train does; group, label and class where known (label is the place of the class among those of
the run, -1 for none); and e0, e1, ... the embedding. Its metadata, under bam_ssl, name the weights, the recipe and the
data. What was guessed, mended and left out is printed and written beside it (.data.txt; .set_aside.csv names every
input that could not be used).
With --engine, OUTPUT is a folder of such files, which grows part by part in memory that does not depend on the number
of rows. The same command goes on where a killed one ended. Of a folder of parquet or tar files, each is read when its
turn comes. docs/scaling.md says more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a run")
    parser.add_argument("data", metavar="DATA", type=Path, help="folder or file to embed")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="options of the reader")
    parser.add_argument("-o", "--output", type=Path, required=True, help="parquet file to write, or a folder")
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        help="write a folder of parquet files, part by part, by this process (local) or a Ray cluster (ray)",
    )
    parser.add_argument("--teacher", action="store_true", help="use the teacher's encoder instead of the student's")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.engine is None:
        from bam_core.runs.embed import embed_data

        write, aside = embed_data, args.output.with_suffix(".set_aside.csv")
    else:
        from bam_core.runs.embed_parts import embed_parts
        from bam_core.runs.embed_ray import embed_on_cluster

        write = embed_parts if args.engine == "local" else embed_on_cluster
        aside = args.output / "_set_aside.csv"
    n_rows, width, n_aside, account = write(
        args.run_folder, args.data, args.output, overrides=args.overrides, teacher=args.teacher, trusted=args.trust
    )
    print(account)
    print(f"{args.output}: {n_rows:,} rows, {width} features")
    if n_aside:
        print(f"{n_aside} input(s) could not be used; {aside} names them.")
    return 0
