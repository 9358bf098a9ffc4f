"""The command `bam`. It lies outside both packages, so that it can tell when another distribution shadows them."""

import sys
from importlib.util import find_spec
from pathlib import Path

MARK = '__distribution__ = "bam-ssl"'


def shadowed() -> str | None:
    """Say which of our packages is hidden by an unrelated one, and where that lies; None if all is well."""
    for name in ("bam_core", "modalities"):
        spec = find_spec(name)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None or not origin.exists() or MARK not in origin.read_text(encoding="utf-8", errors="replace"):
            where = origin.parent if origin else "nowhere: it is not installed"
            return (
                f"bam: the Python package {name!r} that would be imported is not part of bam-ssl but lies in {where}.\n"
                f"Another distribution, or a folder on PYTHONPATH, has the same package name. Remove it, or install "
                "bam-ssl into a virtual environment of its own: python3 -m venv .venv && .venv/bin/pip install bam-ssl"
            )
    return None


def main() -> int:
    """Entry point of the command."""
    message = shadowed()
    if message:
        print(message, file=sys.stderr)
        return 1
    from bam_core.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
