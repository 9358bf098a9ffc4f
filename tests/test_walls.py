"""The walls: storeys and rooms import downwards only, the mathematics needs three packages, nothing goes in circles."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bam_core

CORE = Path(bam_core.__file__).parent
MATHEMATICS = {"torch", "einops", "jaxtyping"}
GROUND = {"", "loss"}  # the files at the top, and the loss that they are about
# What a room may import beside the ground floor; a room that is not here is none.
BELOW = {
    "loss": set(),
    "labels": set(),
    "probes": {"labels"},
    "data": {"labels"},
    "reports": {"probes", "labels"},
    "config": {"probes", "data"},
    "objectives": {"config"},
    "training": {"config", "probes", "data", "labels"},
    "runs": {"training", "config", "probes", "reports", "data", "labels"},
    "comparison": {"runs", "training", "config", "probes", "reports", "data", "benchmarks"},
    "finetuning": {"embedder", "runs", "training", "config", "probes", "reports", "data", "labels"},
    "export": {"finetuning", "runs", "config", "data"},
    "imagenet": {"finetuning", "runs", "training", "config", "probes", "data", "labels"},
    "planning": {"training", "config", "data"},
    "search": {"runs", "config", "probes", "reports", "data"},
    "curation": {"search", "runs", "reports", "data"},
    "selection": {"runs", "training", "config", "data"},
    "doctor": {"planning", "runs", "config", "reports", "data", "labels"},
    "embedder": {"runs", "training", "config", "reports", "data"},
    "testing": {"runs", "reports", "config", "data"},
    "benchmarks": {"runs", "training", "config", "data"},
    "api": {"search", "comparison", "finetuning", "runs", "training", "config", "probes", "reports", "data"},
}
BELOW["cli"] = set(BELOW)
METHODS = {"loss", "objectives", "objective", "terms", "looks"}  # rooms and files at the top that training may not know


def files() -> dict[str, Path]:
    """Every module of bam_core by its name without the package; "" is the package itself."""
    found = {}
    for file in CORE.rglob("*.py"):
        parts = file.relative_to(CORE).with_suffix("").parts
        if not {"templates", "launcher"} & set(parts):
            found[".".join(parts).removesuffix("__init__").removesuffix(".")] = file
    return found


FILES = files()


def imported(source: str, *, for_types: bool = True) -> set[str]:
    """Full names of all modules and names that a source file imports, at any depth, perhaps without those for types."""
    names: set[str] = set()
    nodes = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not for_types:
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own(names: set[str]) -> set[str]:
    """The modules of bam_core among imported names."""
    found = set()
    for name in names:
        package, _, inside = name.partition(".")
        if package == "bam_core":
            found.add(inside if inside in FILES else inside.rpartition(".")[0])
    return found


IMPORTS = {name: imported(file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def room_of(module: str) -> str:
    """The room that a module is in; "" for the files at the top."""
    room = module.partition(".")[0]
    return room if (CORE / room / "__init__.py").exists() else ""


def through_walls(module: str, names: set[str]) -> set[str]:
    """What a module imports that its room may not."""
    room = room_of(module)
    allowed = GROUND | {room} | BELOW.get(room, set())
    wrong = {name for name in names if name.partition(".")[0] == "modalities"}
    if module:  # the package itself names what is public, wherever it is
        wrong |= {name for name in own(names) if room_of(name) not in allowed}
    if room == "training":
        wrong |= {name for name in own(names) if name.partition(".")[0] in METHODS}
    if room in GROUND:
        free = (
            MATHEMATICS | {"bam_core", *sys.stdlib_module_names} | ({"triton"} if module == "loss.kernels" else set())
        )
        wrong |= {name for name in names if name.partition(".")[0] not in free}
    return wrong


def test_every_room_has_its_place():
    assert {room_of(name) for name in FILES} == {"", *BELOW}
    assert len(FILES) > 120


@pytest.mark.parametrize("module", sorted(FILES))
def test_no_module_reaches_through_a_wall(module):
    assert not through_walls(module, IMPORTS[module])


def test_this_test_can_fail():
    lazily = imported("def f():\n    from modalities.ecg import x")
    assert through_walls("runs.pretrain", lazily) == {"modalities.ecg.x"}
    assert through_walls("objective", {"numpy"}) == {"numpy"}
    assert through_walls("loss.streaming", {"bam_core.data.cached"}) == {"data"}
    assert through_walls("data.holdout", {"bam_core.probes.folds"}) == {"probes.folds"}
    assert through_walls("probes.knn", {"bam_core.config.recipe.Recipe"}) == {"config.recipe"}
    assert through_walls("reports.report", {"bam_core.training.module"}) == {"training.module"}
    assert through_walls("training.module", {"bam_core.objective.BAMObjective"}) == {"objective"}
    assert through_walls("training.callbacks", {"bam_core.loss.collapse.collapse"}) == {"loss.collapse"}
    assert through_walls("benchmarks.drill", {"bam_core.cli.files.new_run"}) == {"cli.files"}
    assert not through_walls("runs.pretrain", {"bam_core.training.module.PretrainModule", "numpy", "bam_core.bam_loss"})


def circles(edges: dict[str, set[str]]) -> set[str]:
    """Nodes of a graph that lie on a circle, or lead to one only."""
    left = dict(edges)
    while free := {node for node, targets in left.items() if not targets & left.keys()}:
        left = {node: targets for node, targets in left.items() if node not in free}
    return set(left)


def test_nothing_goes_in_circles():
    """Imports inside functions count, those for types alone do not; nor does the package, which names everything."""
    loaded = {name: imported(file.read_text(encoding="utf-8"), for_types=False) for name, file in FILES.items() if name}
    edges = {name: own(names) - {name} for name, names in loaded.items()}
    assert not circles(edges)
    assert circles({"a": {"b"}, "b": {"a"}, "c": set(), "d": {"c"}}) == {"a", "b"}
    rooms = {room: below - {room} for room, below in BELOW.items()}
    assert not circles(rooms)


def loaded_after(statement: str) -> set[str]:
    """Names of all modules in memory after a statement, in a new process."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sorted(sys.modules)))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_package_loads_nothing():
    assert not {"torch", "numpy", "pydantic"} & loaded_after("import bam_core, bam_core.cli")


def test_importing_the_objective_loads_no_training_and_no_compiler():
    """The compiler takes as long as torch itself, and `torch.compiler.disable` as a decorator would load it."""
    heavy = {"lightning", "datasets", "pandas", "sklearn", "pydantic", "matplotlib", "modalities", "torch._dynamo"}
    assert not heavy & loaded_after("from bam_core import BAMObjective")


@pytest.mark.slow
def test_probes_and_reports_load_no_training_and_no_domain():
    rooms = "from bam_core.probes.evaluate import evaluate\nfrom bam_core.reports.report import write_report"
    heavy = {"lightning", "modalities", "bam_core.training", "bam_core.config", "bam_core.data", "datasets", "wfdb"}
    assert not heavy & loaded_after(rooms)


@pytest.mark.slow
def test_a_recipe_can_hold_its_protocol_without_paying_for_the_probes():
    modules = loaded_after("from bam_core.probes.protocol import EvaluationProtocol")
    assert "pydantic" in modules
    assert not {"torch", "sklearn", "matplotlib", "pandas", "jinja2", "numpy"} & modules


def test_every_public_name_exists_and_is_explained():
    for name in bam_core.__all__:
        assert getattr(bam_core, name).__doc__, name
    assert sorted(bam_core.__all__) == sorted(n for names in bam_core._HOME.values() for n in names)
    modules = {name.partition(".")[0] for name in FILES}
    assert not modules & set(bam_core.__all__), "a module of that name would replace the public name"


def test_the_page_on_architecture_names_every_room_and_no_file_that_is_not_there():
    page = (CORE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert all(f"| `{room}/` |" in page for room in BELOW)
    paths = set(re.findall(r"`((?:\w+/)+\w+\.py)`", page))
    assert len(paths) > 20
    for path in paths:
        assert (CORE / path).is_file() or (CORE.parent / path).is_file(), path
