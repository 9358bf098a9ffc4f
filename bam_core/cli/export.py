"""`bam export RUN --to onnx | torch [-o FILE]`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
Writes the trained network as one file with its preprocessing inside: standardisation, level, log-mel. What is not
arithmetic stays outside: reading files, resampling, cutting, texts of categories. RUN may also be the folder of a
fine-tuning or of a saved model; then probabilities, or numbers in the unit of the labels, come out.
  bam export runs/a                                   runs/a/encoder.onnx, for ONNX Runtime and others
  bam export runs/a --to torch -o encoder.pt2         for torch.export.load
  bam export runs/a/finetune-1a2b3c4d -o model.onnx   a classifier
The number of rows is free, and the length where the network allows it. The file is run on random rows and compared with
the network, read in the usual way; it is left only if they agree to 1e-5. docs/serving.md shows a server.
Needs pip install 'bam-ssl[export]' for ONNX."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a run, a fine-tuning or a saved model")
    parser.add_argument("--to", choices=("onnx", "torch"), default="onnx", help="format (default: onnx)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: encoder.onnx or .pt2 in the folder")
    parser.add_argument("--teacher", action="store_true", help="take the teacher's encoder")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from bam_core.export.files import export

    made = export(args.run_folder, args.to, args.output, teacher=args.teacher, trusted=args.trust)
    for name, said in made.inputs.items():
        print(f"Input {name}: {said}")
    print(f"Output {made.output}; free: {', '.join(made.dynamic)}")
    print(f"{made.path}: {made.n_rows} rows compared, largest difference {made.difference:.1g}")
    return 0
