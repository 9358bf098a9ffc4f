"""`bam new modality NAME`, `bam new objective NAME` and `bam new term NAME`: a skeleton that works, to be changed."""

import argparse
import keyword
from pathlib import Path

from bam_core.config.trust import remember
from bam_core.errors import InputError
from bam_core.outputs import make_folder, write_text

EPILOG = """\
NAME.py is one file with all that bam-ssl needs, NAME.yaml a recipe that trains it, test_NAME.py its tests:
  bam new modality seismic
  bam pretrain seismic.yaml run=runs/first
  python -m pytest test_seismic.py
A recipe finds NAME.py beside itself, or in the current folder. To install it, give it an entry point in your package:
  [project.entry-points."bam_ssl.modalities"]   seismic = "my_package.seismic:MODALITY"
  [project.entry-points."bam_ssl.objectives"]   mine = "my_package.mine:make_mine"
  [project.entry-points."bam_core.terms"]        near = "my_package.near:Near"
The groups bam_ssl.encoders, bam_ssl.views, bam_ssl.readers and bam_ssl.metrics are for parts alone."""
TEMPLATES = Path(__file__).parent / "templates"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("kind", choices=("modality", "objective", "term"), help="what to write")
    parser.add_argument("name", metavar="NAME", help="its name, as a Python module")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write it (default: the current one)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    files = write_skeleton(args.kind, args.name, args.folder)
    for file in files:
        print(file)
    print(f"Next: bam pretrain {files[1]}, and python -m pytest {files[2]}")
    return 0


def write_skeleton(kind: str, name: str, folder: Path) -> list[Path]:
    """Write code, recipe and tests of a new modality, objective or term of an objective.

    Args:
        kind: "modality", "objective" or "term".
        name: of the files; a Python name in lower case.
        folder: where to; it is made if need be.

    Returns:
        The files: code, recipe, tests.

    Raises:
        InputError: the name is none for a Python module, or files of that name exist.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise InputError(f"a name expected lower-case letters, digits and _, such as seismic_waves; got {name!r}.")
    files = [folder / file for file in (f"{name}.py", f"{name}.yaml", f"test_{name}.py")]
    there = [str(file) for file in files if file.exists()]
    if there:
        raise InputError(f"{', '.join(there)} exist(s) and will not be written over; take another name or --folder.")
    make_folder(folder)
    camel = "".join(part.capitalize() for part in name.split("_"))
    for file in files:
        template = TEMPLATES / file.name.replace(name, f"my_{kind}")
        text = template.read_text(encoding="utf-8").replace(f"my_{kind}", name)
        write_text(file, text.replace(f"My{kind.capitalize()}", camel))
    remember([f"{files[0]}:{name}"])
    return files
