"""The three storeys stay apart: bam_core never imports modalities, and the mathematics needs three packages."""

import ast
import subprocess
import sys
from pathlib import Path

import bam_core

CORE = Path(bam_core.__file__).parent
MATHEMATICS = sorted(f for f in CORE.glob("*.py") if f.stem not in ("__init__", "pretrained", "registry", "testing"))
ALLOWED = {"torch", "einops", "jaxtyping", "bam_core"} | set(sys.stdlib_module_names)


def imported(source: str) -> set[str]:
    """Top-level names of all packages that a source file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def broken_walls(source: str, *, mathematics: bool) -> set[str]:
    names = imported(source)
    wrong = {n for n in names if n.partition(".")[0] == "modalities"}
    if mathematics:
        wrong |= {n for n in names if n.partition(".")[0] not in ALLOWED}
        rooms = tuple(f"bam_core.{room.name}" for room in CORE.iterdir() if (room / "__init__.py").exists())
        wrong |= {n for n in names if n.startswith(rooms)}
    return wrong


def test_core_does_not_know_modalities():
    for file in CORE.rglob("*.py"):
        assert not broken_walls(file.read_text(), mathematics=False), file


def test_the_mathematics_needs_three_packages():
    assert {"loss", "objective", "balancing", "streaming"} <= {f.stem for f in MATHEMATICS}
    for file in MATHEMATICS:
        assert not broken_walls(file.read_text(), mathematics=True), file


def test_this_test_can_fail():
    assert broken_walls("def f():\n    from modalities.ecg import x", mathematics=False) == {"modalities.ecg"}
    assert broken_walls("import numpy as np", mathematics=True) == {"numpy"}
    assert broken_walls("from bam_core.training import run", mathematics=True) == {"bam_core.training"}


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_package_loads_nothing():
    assert not {"torch", "numpy", "pydantic"} & loaded_after("import bam_core, bam_core.cli")


def test_importing_the_objective_loads_no_training():
    heavy = {"lightning", "datasets", "pandas", "sklearn", "pydantic", "matplotlib", "modalities"}
    assert not heavy & loaded_after("from bam_core import BAMObjective")


def test_importing_the_objective_loads_no_compiler():
    """It takes as long as torch itself, and `torch.compiler.disable` as a decorator would load it."""
    code = "import sys; from bam_core import BAMObjective; print('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_every_public_name_exists_and_is_explained():
    for name in bam_core.__all__:
        assert getattr(bam_core, name).__doc__, name
    assert sorted(bam_core.__all__) == sorted(n for names in bam_core._HOME.values() for n in names)
    modules = {f.stem for f in CORE.glob("*.py")}
    assert not modules & set(bam_core.__all__), "a module of that name would replace the public name"
