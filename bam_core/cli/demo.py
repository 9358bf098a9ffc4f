"""`bam demo`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bam_core.cli.evaluate import show
from bam_core.config.shipped_recipes import find_recipe

if TYPE_CHECKING:
    from bam_core.probes.results import Results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "Pretrains a small network on real heartbeats of 22 people, without labels; then classifies beats of 21 other "
        "people with few and many labels, and compares with the untrained network and with raw features. The data come "
        "with bam-ssl, nothing is downloaded. One to two minutes on two cores."
    )
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of ecg/demo")
    parser.add_argument("--run", type=Path, help="folder of the run (default: runs/<recipe>-<date>)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    path = find_recipe("ecg/demo")
    from bam_core.api.calls import pretrain
    from bam_core.config.recipe import load_recipe
    from bam_core.reports.label_curve import save_label_curve
    from bam_core.runs.run_folder import new_run

    recipe = load_recipe(path, args.overrides)
    folder = args.run or new_run(path.stem)
    print("Pretraining on real heartbeats of 22 people, without labels ...")
    run = pretrain(recipe.recipe, folder=folder)
    print("Evaluating the frozen encoder on 21 other people, with few and many labels ...")
    results = run.evaluate()
    show(folder, results)
    print(f"Encoder: {folder / 'encoder'} (PretrainedEncoder.from_pretrained)")
    if results is not None:
        picture = save_label_curve(results, folder / "score_by_labels.png")
        print(f"Picture: {picture}\n\n{sentence(results)}")
    return 0


def sentence(results: "Results") -> str:
    """What came out, in one sentence: the table's last probe, with the fewest labels but one."""
    fractions = sorted(results.protocol.fractions)
    fraction = fractions[min(1, len(fractions) - 1)]
    ours, untrained = (
        results.row(name, results.columns[-1][0], fraction) for name in (results.features[-1], "untrained encoder")
    )
    score = results.title(results.metrics[0])
    better = "better" if ours.mean - untrained.mean > max(ours.spread, untrained.spread) else "no clear difference"
    return (
        f"With {ours.n_labels:.0f} labels, {score} on people never seen before is {ours.mean:.2f} after pretraining "
        f"without labels and {untrained.mean:.2f} without pretraining: {better}."
    )
