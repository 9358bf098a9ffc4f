"""What CI, pre-commit, the Makefile and the page on installation say of each other."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def made(*arguments):
    """What make would run."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    command = ["make", "--dry-run", "--no-print-directory", "VENV=.none", "OLDEST=.none-oldest", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def first(lines, text):
    return next(i for i, line in enumerate(lines) if text in line)


def test_pytorch_for_the_cpu_is_installed_before_anything_that_wants_pytorch():
    lines = made("demo", "TORCH=cpu")
    pytorch = first(lines, "--index-url https://download.pytorch.org/whl/cpu torch torchvision torchaudio")
    assert pytorch < first(lines, "-e '.[all]'")
    assert not any("--index-url" in line for line in made("demo"))
    assert any(
        "--index-url file:///wheels/cpu torch" in line
        for line in made("test", "TORCH=cpu", "TORCH_INDEX=file:///wheels")
    )
    assert "--torch-backend cpu" in " ".join(made("test-oldest", "TORCH=cpu"))


def test_ci_runs_what_developers_run():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))["jobs"]
    versions = jobs["newest"]["strategy"]["matrix"]["python"]
    assert [f"Programming Language :: Python :: {version}" for version in versions] == [
        line for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)
    ]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert [jobs[job]["steps"][-1]["run"] for job in ("newest", "oldest")] == [
        "make test TORCH=cpu",
        "make test-oldest TORCH=cpu",
    ]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    checks = {
        line.replace(" --check .", "").replace(" .", "") for line in made("test") if "ruff" in line or "mypy" in line
    }
    assert {hook["entry"].removesuffix(" --force-exclude").replace(".venv", ".none") for hook in hooks} == checks


def test_every_extra_of_the_page_exists():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    extras = set(PROJECT["optional-dependencies"]) - {"train"}
    assert set(re.findall(r"\.\[(\w+)\]", page)) | {"timeseries", "audio", "tabular", "image"} == extras


@pytest.mark.parametrize(
    "requirement", [r for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for r in group]
)
def test_every_dependency_has_an_oldest_version(requirement):
    assert requirement.startswith("bam-ssl[") or re.fullmatch(r"[\w.-]+>=[\d.]+", requirement)
