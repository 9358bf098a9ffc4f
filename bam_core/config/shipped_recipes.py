"""The recipes that come with the package. Standard library only: `bam recipes` works after a plain install."""

import difflib
from pathlib import Path

import bam_core
from bam_core.errors import RecipeError


def shipped_recipes() -> Path:
    """Folder of the recipes that come with the package: inside it in a wheel, beside it in a checkout."""
    package = Path(bam_core.__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def recipe_names() -> list[str]:
    """Names such as `ecg/mitbih_resnet1d` of all shipped recipes."""
    root = shipped_recipes()
    return sorted(str(f.relative_to(root).with_suffix("")) for f in root.rglob("*.yaml"))


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of a shipped one, with or without `recipes/` and `.yaml`.

    Raises:
        RecipeError: there is no such file or name.
    """
    path = Path(name)
    if path.is_file():
        return path
    short = name.removeprefix("recipes/").removesuffix(".yaml")
    shipped = shipped_recipes() / f"{short}.yaml"
    if shipped.is_file():
        return shipped
    near = difflib.get_close_matches(short, recipe_names(), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise RecipeError(f"no recipe {name!r}: neither a file nor a name that 'bam recipes' lists{hint}")


def header(path: Path) -> str:
    """The comment at the top of a recipe."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return "\n".join(lines)
