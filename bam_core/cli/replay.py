"""`bam replay RUN [STEP]`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
When NaN or infinity appears in a step, training saves its batch and weights under RUN/nonfinite/. This command runs the
same step again, with the same views, and says where the first value that is not finite appears."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a run")
    parser.add_argument("step", metavar="STEP", type=int, nargs="?", help="which step (default: the first saved)")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.runs.replay import replay

    print(replay(args.run_folder, args.step, trusted=args.trust))
    return 0
