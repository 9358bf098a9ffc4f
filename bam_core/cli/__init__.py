"""The command `bam`: one file a subcommand, each a thin call into the rooms above. Imports happen when it runs."""

import argparse
import os
import sys
from importlib import import_module
from typing import Any

from bam_core.errors import BAMError

COMMANDS = {
    "demo": "pretrain on real heartbeats and show what came out: the first thing to try",
    "doctor": "look at data before any training, and write a recipe to start from",
    "pretrain": "pretrain an encoder from a recipe",
    "evaluate": "evaluate a run with probes and write its report",
    "finetune": "train a classifier or regressor from a run and labels, beside what one would have without the run",
    "compare": "pretrain and evaluate several objectives on equal terms, over several seeds",
    "embed": "write the embeddings of new data to a parquet file",
    "search": "find the rows most like a file or a row, in a file of embeddings",
    "curate": "look through embeddings: near-duplicates, outliers, clusters, suspicious labels",
    "select": "show label-free figures of the encoders that runs keep",
    "export": "write the trained network as one file, ONNX or torch, with its preprocessing inside",
    "import-checkpoint": "turn a released checkpoint into an encoder",
    "recipes": "list, show or copy the recipes that come with bam-ssl",
    "new": "write a working skeleton of a modality or an objective of your own",
    "replay": "run a training step again that was not finite",
    "validate": "check a recipe without data",
    "bench": "measure what the loss, views, a training step and the start cost",
}

EPILOG = """\
the way from data to embeddings:
  bam demo                                          see it work, in three minutes
  bam recipes copy ecg/mitbih_resnet1d my.yaml      start from the recipe that is nearest
  bam pretrain my.yaml data.path=FOLDER run=runs/a  pretrain on your data, without labels
  bam evaluate runs/a                               table and report.html
  bam finetune runs/a                               classifier from the encoder and labels
  bam embed runs/a FOLDER -o embeddings.parquet     one row a record
  bam search runs/a FILE --in embeddings.parquet    the rows most like those of a file
'bam COMMAND --help' explains a command."""


def main(argv: list[str] | None = None) -> int:
    """Run `bam`; returns the exit code: 0, 1 for an error that is explained, 2 for wrong usage, 130 if interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; a notebook's backend is none that is installed here
    parser = _parser(argv)
    args, rest = parser.parse_known_args(argv)
    if not hasattr(args, "overrides") or any(word.startswith("-") for word in rest):
        args = parser.parse_args(argv)
    else:
        args.overrides += rest  # key=value behind an option, which argparse does not expect there
    if args.command is None:
        parser.print_help()
        return 0
    try:
        code = int(_module(args.command).run(args) or 0)
        if "torch" in sys.modules:  # there may be other processes of the same run
            from bam_core.collectives import leave_group

            leave_group()
        return code
    except BAMError as error:
        print(f"bam {args.command}: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _EXTRAS:
            extra = _EXTRAS[error.name.partition(".")[0]]
            print(
                f"bam {args.command}: needs the package {error.name!r}, which is not installed: "
                f"pip install 'bam-ssl[{extra}]'",
                file=sys.stderr,
            )
            return 1
        raise
    except OSError as error:
        if error.errno is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        print(f"bam {args.command}: {error.strerror}{where}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


_PACKAGES = {
    "train": "datasets huggingface_hub jinja2 lightning matplotlib numpy pandas pyarrow pydantic rich safetensors "
    "sklearn torchmetrics yaml",
    "ecg": "ecg_augmentations scipy wfdb",
    "tabular": "rtdl_num_embeddings",
    "audio": "scipy soundfile torchaudio",
    "image": "PIL timm torchvision",
    "peers": "lightly",
    "search": "usearch",
    "loggers": "tensorboard wandb mlflow",
    "export": "onnx onnxruntime onnxscript",
}
_EXTRAS = {package: extra for extra, packages in _PACKAGES.items() for package in packages.split()}


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    from bam_core import __version__

    parser = argparse.ArgumentParser(
        prog="bam",
        description="Self-supervised pretraining for data that is not photographs: balanced self-attention matching.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bam-ssl {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, line in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in argv:
            _module(name).add_arguments(subparser)
    return parser


def _module(command: str) -> Any:
    return import_module(f"bam_core.cli.{command.replace('-', '_')}")
