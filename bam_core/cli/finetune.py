"""`bam finetune RUN [key=value ...]`."""

import argparse
from pathlib import Path

from bam_core.cli.files import add_trust

EPILOG = """\
Trains a classifier or regressor from the run's encoder and labels, of any domain: one class a row, several labels, or
numbers. Labels are those of the run's data, or come from options of the reader, written data.OPTION=VALUE; with
data.path=FOLDER (and data.test_path=FOLDER) other data of the same kind are read as the run's were.
  bam finetune runs/a                                      the run's own labels
  bam finetune runs/a data.label=labels.csv:diagnosis      labels from a table
  bam finetune runs/a freeze=encoder fraction=0.1          only the last layer, from a tenth of the labels
  bam finetune runs/a freeze=until:layer3 seeds=5 epochs=100

For comparison, on the same rows: the same network from scratch, the linear probe on frozen embeddings, raw features,
and the baselines of the domain; at 1, 10 and 100 % of the labels. The table, the curve of score against number of
labels, and the confusion matrix are in report.html. When to stop is decided on held-out rows of train, by group
(person, machine) where there are groups; test has no part in any choice.

Settings, with their defaults:
{settings}
FOLDER/model holds the result: PretrainedClassifier.from_pretrained(FOLDER), then predict("new_recordings").
What was stopped goes on with the same command."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG.format(settings=_settings()) if _wanted() else EPILOG
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a run")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="settings, and data.OPTION of the reader")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="default: RUN/finetune-HASH")
    parser.add_argument("--teacher", action="store_true", help="start from the teacher's encoder")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from rich.console import Console

    from bam_core.api.calls import load
    from bam_core.runs.new_data import options_of

    given = options_of(args.overrides)
    data = {key.removeprefix("data."): value for key, value in given.items() if key.startswith("data.")}
    settings = {key: value for key, value in given.items() if not key.startswith("data.")}
    made = load(args.run_folder, trusted=args.trust).finetune(
        data=data, folder=args.output, teacher=args.teacher, **settings
    )
    for metric in made.results.metrics:
        Console().print(made.results.to_console(metric))
    print(made.verdict())
    print(f"Model:  {made.folder / 'model'}\nReport: {made.report()}")
    return 0


def _settings() -> str:
    """A line for each setting."""
    import inspect
    import re
    import textwrap

    from bam_core.finetuning.settings import FinetuneSettings

    source = inspect.getsource(FinetuneSettings)
    said = dict(re.findall(r'^    (\w+): [^\n]*\n    """(.*?)"""', source, re.DOTALL | re.MULTILINE))
    lines = []
    for name, field in FinetuneSettings.model_fields.items():
        text = " ".join(said[name].split())
        lines.append(
            textwrap.fill(
                f"{name}={_shown(field.default)}  {text}", 118, initial_indent="  ", subsequent_indent="      "
            )
        )
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]".replace(" ", "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wanted() -> bool:
    """Whether the help is asked for: the settings need pydantic, which takes a moment."""
    import sys

    return any(word in ("-h", "--help") for word in sys.argv)
