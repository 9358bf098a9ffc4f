"""`bam demo`."""

import argparse
from pathlib import Path

from bam_core.cli.evaluate import show
from bam_core.cli.files import find_recipe, new_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "Pretrains a small network on ECG5000, 5,000 real heartbeats that come with bam-ssl, without labels; then "
        "compares it with the untrained network and with raw features, and writes a report. About three minutes on "
        "two cores; nothing is downloaded."
    )
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of ecg/ecg5000_resnet1d")
    parser.add_argument("--run", type=Path, help="folder of the run (default: runs/<recipe>-<date>)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    path = find_recipe("ecg/ecg5000_resnet1d")
    from bam_core.training.assess import assess
    from bam_core.training.recipe import load_recipe
    from bam_core.training.run import pretrain

    recipe = load_recipe(path, args.overrides)
    folder = args.run or new_run(path)
    print("Pretraining on real heartbeats, without labels ...")
    pretrain(recipe, folder)
    print("Judging the frozen encoder with few and many labels ...")
    show(folder, assess(folder))
    print(f"Encoder: {folder / 'encoder'} (PretrainedEncoder.from_pretrained)")
    return 0
